"""catalog.gen.c: the const tables of protocol/catalog.h."""

from . import emit_c_params, emit_c_row_schemas
from .columns import columns_of
from .ctext import BANNER, compact_json, lines_of_string, string, struct, table
from .model import AFTER, BACKENDS, Catalog, Method
from .scalars import CALLS_MAX, IDENTIFIER_MAX_BYTES, SCALARS


def source(catalog: Catalog, openrpc: dict) -> str:
    """openrpc: the document, which rpc.discover returns unchanged."""
    parts = [
        BANNER,
        "#include <string.h>\n",
        '#include "catalog.h"\n',
        f"const char catalog_version[] = {string(catalog.version)};\n"
        f"const size_t catalog_identifier_max = {IDENTIFIER_MAX_BYTES};\n"
        f"const unsigned catalog_calls_max = {CALLS_MAX};\n",
    ]
    parts += emit_c_params.tables(catalog)
    parts += emit_c_row_schemas.tables(catalog)
    for method in catalog.methods:
        parts += _binds(method)
    parts.append(_methods(catalog))
    parts.append(_providers(catalog))
    parts.append(_finder(catalog))
    text = compact_json(openrpc)
    parts.append(
        f"const char catalog_openrpc[] =\n{lines_of_string(text)};\n"
        "const size_t catalog_openrpc_length = sizeof catalog_openrpc - 1;\n"
    )
    return "\n".join(parts)


def _binds(method: Method) -> list[str]:
    parts = (
        [
            table(
                f"struct bind_param binds_{method.c_name}",
                [
                    struct(
                        name=string(bind.name),
                        type=SCALARS[bind.type].c_type,
                        compute=f"COMPUTE_{bind.compute.upper()}",
                        source=bind.source,
                    )
                    for bind in method.binds
                ],
            )
        ]
        if method.binds
        else []
    )
    if method.conflicts:
        parts.append(
            table(f"struct conflict conflicts_{method.c_name}", map(_conflict, method.conflicts))
        )
    for number, part in enumerate(method.parts):
        parts += _bind_numbers(f"part_{number}_binds_{method.c_name}", part.statement)
    for backend, statement in method.statements.items():
        parts += _bind_numbers(f"{backend}_binds_{method.c_name}", statement)
        if statement.footprint.accesses:
            parts.append(
                table(
                    f"struct table_use uses_{method.c_name}",
                    [_access(access) for access in statement.footprint.accesses],
                )
            )
    return parts


def _bind_numbers(name, statement):
    numbers = ", ".join(map(str, statement.binds))
    return [f"static const uint8_t {name}[] = {{ {numbers} }};\n"] if statement.binds else []


def _conflict(conflict):
    names = ", ".join(
        f"[BACKEND_{backend.upper()}] = {string(name)}" for backend, name in conflict.names.items()
    )
    return struct(names=f"{{ {names} }}", bind=conflict.bind)


def _place(names, name):
    return names.index(name) if name in names else -1


def _password(catalog: Catalog, method: Method) -> dict:
    """Where a method with bcrypt finds the password, and where the hash goes or comes from; -1:
    none.
    """
    if method.impl not in ("hash_password", "verify_password"):
        return dict(password_bind=-1, hash_bind=-1, hash_column=-1)
    binds = [bind.name for bind in method.binds]
    columns = [column.name for column in columns_of(catalog, method.result)]
    return dict(
        password_bind=_place(binds, "password"),
        hash_bind=_place(binds, "password_hash"),
        hash_column=_place(columns, "password_hash"),
    )


def _pair(values, empty):
    return (
        "{ " + ", ".join(str(value) for value in [*values, *([empty] * (2 - len(values)))]) + " }"
    )


def _access(access):
    return struct(
        table=access.table,
        mode=f"USE_{access.mode.upper()}",
        key_count=len(access.keys),
        keys=_pair([number for number, _ in access.keys], 0),
        binds=_pair([_pair(binds, -1) for _, binds in access.keys], _pair((), -1)),
    )


def _footprint(method: Method, footprint) -> str:
    if not footprint.accesses:
        return ""
    reads = sum(1 << number for number in {a.table for a in footprint.accesses if a.mode == "read"})
    writes = sum(
        1 << number for number in {a.table for a in footprint.accesses if a.mode != "read"}
    )
    return (
        f",\n\t\t\t\t.uses = uses_{method.c_name}, .use_count = {len(footprint.accesses)}, "
        f".reads = {reads:#x}, .writes = {writes:#x},\n"
        f"\t\t\t\t.lock = LOCK_{footprint.lock.upper()}, "
        f".rank = {footprint.rank}, .lock_binds = {_pair(footprint.binds, -1)}"
    )


def _once(statement):
    if not statement.once:
        return ""
    return f",\n\t\t\t\t.once = {string(statement.once)}, " f".once_bind = {statement.once_bind}"


def _statements(method: Method):
    rows = []
    for backend in BACKENDS:
        statement = method.statements.get(backend)
        if statement:
            binds = f"{backend}_binds_{method.c_name}" if statement.binds else "NULL"
            many = f",\n\t\t\t\t.many = {string(statement.many)}" if statement.many else ""
            once = _once(statement)
            rows.append(
                f"\n\t\t\t[BACKEND_{backend.upper()}] = {{\n"
                f"\t\t\t\t.sql = {string(statement.sql)},\n"
                f"\t\t\t\t.binds = {binds}, .bind_count = {len(statement.binds)}{many}{once}"
                f"{_footprint(method, statement.footprint)} }}"
            )
    return "{" + ",".join(rows) + " }" if rows else None


def _subject_bind(catalog: Catalog, method: Method):
    """The one bind whose value a not_found may show."""
    leaves = {leaf.name: leaf for leaf in catalog.leaves(method)}
    if len(method.subject) != 1:
        return -1
    leaf = leaves.get(method.subject[0])
    if leaf is None or leaf.secret or leaf.type.base not in ("string", "uuid"):
        return -1
    return [bind.name for bind in method.binds].index(leaf.name)


def _part_row(method: Method, number, part, index):
    """A method that no caller can name: it has a statement, and the method's bind parameters."""
    binds = f"part_{number}_binds_{method.c_name}" if part.statement.binds else "NULL"
    row_schema = emit_c_row_schemas.row_schema_name(method)
    answer = "ANSWER_OPTIONAL" if part.kind == "fast" else "ANSWER_COUNT"
    schema = f"\t\t.row_schema = &{row_schema},\n" if part.kind == "fast" else ""
    return (
        f"\t{{\n\t\t.name = {string(method.name)},\n\t\t.index = {index},\n"
        f"\t\t.answer = {answer},\n\t\t.binds = binds_{method.c_name},\n"
        f"\t\t.bind_count = {len(method.binds)},\n{schema}"
        "\t\t.statements = {\n\t\t\t[BACKEND_SQLITE] = {\n"
        f"\t\t\t\t.sql = {string(part.statement.sql)},\n"
        f"\t\t\t\t.binds = {binds}, .bind_count = {len(part.statement.binds)} }} }},\n\t}},\n"
    )


def _token_owner(catalog: Catalog, method: Method) -> dict:
    """Where a method that seals or opens a token finds whose it is; -1: nowhere."""
    binds = [bind.name for bind in method.binds]
    token = catalog.has_token(method)
    return dict(
        token_user_bind=_place(binds, "user_id") if token else -1,
        token_provider_bind=_place(binds, "provider") if token and not method.provider else -1,
        token_provider=string(method.provider) if method.provider else None,
    )


def _methods(catalog: Catalog) -> str:
    rows, parts = [], []
    for index, method in enumerate(catalog.methods):
        first = len(catalog.methods) + len(parts)
        fast = any(part.kind == "fast" for part in method.parts)
        parts += [
            _part_row(method, number, part, first + number)
            for number, part in enumerate(method.parts)
        ]
        row_schema = emit_c_row_schemas.row_schema_name(method)
        entries = dict(
            name=string(method.name),
            name_length=len(method.name),
            index=index,
            role=f"ROLE_{method.access.upper()}",
            impl=f"IMPL_{method.impl.upper()}",
            write=str(method.write).lower(),
            keyed=str(method.keyed).lower(),
            causal="true" if method.causal else None,
            short_read=str(method.short).lower(),
            touches="true" if method.touches else None,
            fast=first if fast else None,
            steps=first + fast if len(method.parts) > fast else None,
            step_count=len(method.parts) - fast or None,
            answer=f"ANSWER_{method.answer.upper()}",
            guard=string(method.guard) if method.guard else None,
            params=f"params_{method.c_name}" if method.params else None,
            param_count=len(method.params),
            binds=f"binds_{method.c_name}" if method.binds else None,
            bind_count=len(method.binds),
            subject=string(" or ".join(method.subject)) if method.subject else None,
            subject_bind=_subject_bind(catalog, method),
            row_binds=sum(bind.row and bind.compute == "none" for bind in method.binds) or None,
            after_bind=_place([bind.name for bind in method.binds], AFTER) if method.pages else -1,
            conflicts=f"conflicts_{method.c_name}" if method.conflicts else None,
            conflict_count=len(method.conflicts) or None,
            **_password(catalog, method),
            **_token_owner(catalog, method),
            row_schema=f"&{row_schema}" if row_schema else None,
            table=string(method.table) if method.table else None,
            statements=_statements(method),
            doc=string(method.doc),
        )
        body = "".join(
            f"\t\t.{key} = {value},\n" for key, value in entries.items() if value is not None
        )
        rows.append(f"\t{{\n{body}\t}},\n")
    return (
        "const struct method catalog_methods[] = {\n" + "".join(rows + parts) + "};\n"
        f"const size_t catalog_method_count = {len(rows)};\n"
        "const size_t catalog_statement_count = sizeof catalog_methods / "
        "sizeof catalog_methods[0];\n"
    )


def _providers(catalog: Catalog) -> str:
    rows = "".join(
        f"\t{{{string(provider.name)}, {string(provider.title)}}},\n"
        for provider in catalog.providers
    )
    return f"const struct token_provider catalog_providers[] = {{\n{rows}\t{{NULL, NULL}},\n}};\n"


def providers(catalog: Catalog) -> str:
    """providers.gen.h: the same as an X-macro."""
    rows = " ".join(
        f"X({string(provider.name)}, {string(provider.title)})" for provider in catalog.providers
    )
    return (
        f"{BANNER}/* X(name, title): the services whose tokens are stored, as catalog_providers "
        "has them. */\n"
        "#ifndef PIERRE_PROVIDERS_GEN_H\n#define PIERRE_PROVIDERS_GEN_H\n\n"
        f"#define TOKEN_PROVIDERS(X) {rows}\n\n#endif\n"
    )


def _finder(catalog: Catalog) -> str:
    """Names sorted by length, and where each length begins: a look-up compares only a few."""
    order = sorted(
        range(len(catalog.methods)),
        key=lambda i: (len(catalog.methods[i].name), catalog.methods[i].name),
    )
    lengths = [len(catalog.methods[i].name) for i in order]
    longest = max(lengths)
    begins = [sum(length < wanted for length in lengths) for wanted in range(longest + 2)]
    return f"""\
static const uint8_t methods_by_length[] = {{ {", ".join(map(str, order))} }};
/* Where the names of each length begin in methods_by_length. */
static const uint8_t length_begins[] = {{ {", ".join(map(str, begins))} }};

const struct method *catalog_find(const char *name, size_t length)
{{
	if (length > {longest})
		return NULL;
	for (unsigned i = length_begins[length]; i < length_begins[length + 1]; i++) {{
		const struct method *method = &catalog_methods[methods_by_length[i]];

		if (memcmp(method->name, name, length) == 0)
			return method;
	}}
	return NULL;
}}
"""
