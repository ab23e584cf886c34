"""The typed part of the client library: pierre-db-calls.h, and calls.gen.c with its tables and
one-line stubs.

Tables only describe the position of a value in a C struct; client/encode_params.c and
decode_result.c do the work. A name reserved by C or the library gets a trailing underscore.
"""

import re

from .ctext import BANNER, string, struct, table
from .model import Catalog, Field, Method, ObjectType
from .problems import Refused

# The catalog's scalars in a struct: C type and stub kind. Missing ones have no
# member there: null and any (input that is accepted and ignored), nonce (a hidden column).
C_TYPES = {
    "bool": ("bool", "BOOL"),
    "u16": ("uint16_t", "U16"),
    "u32": ("uint32_t", "U32"),
    "i64": ("int64_t", "I64"),
    "f64": ("double", "F64"),
    "timestamp": ("int64_t", "TIME"),
    "string": ("const char *", "TEXT"),
    "uuid": ("const char *", "TEXT"),
    "ip": ("const char *", "TEXT"),
    "enum": ("const char *", "TEXT"),
    "sealed": ("const char *", "TEXT"),
    "document": ("const char *", "OBJECT_TEXT"),
    "json": ("const char *", "JSON"),
    "strings": ("const char *const *", "TEXTS"),
    "map": ("const struct pierre_count *", "COUNTS"),
}
NUMBERS = ("BOOL", "U16", "U32", "I64", "F64", "TIME")

# A member behind those of a type with `rest`.
WHOLE = (
    "The whole object as JSON text, with the members of the stored document that are not listed "
    "above."
)
_WHOLE_DECLARATION = "const char *whole"

# Functions of client/pierre-db.h; a method or a type of that name would collide.
_CORE = {
    "new",
    "free",
    "set_timeouts",
    "set_limits",
    "default_socket",
    "call",
    "text_free",
    "call_async",
    "cancel",
    "answer_json",
    "pending",
    "wait",
    "fd",
    "events",
    "timeout_ms",
    "process",
    "time_now",
    "time_format",
    "time_parse",
    "kind_name",
    "version",
    "answer",
    "error",
    "done",
    "count",
    "transaction",
    "transaction_new",
    "transaction_free",
    "transaction_count",
    "transaction_run",
    "transaction_run_async",
    "transaction_result",
    "transaction_answer",
}
_TAKEN = {
    "db",
    "out",
    "count",
    "failure",
    "done",
    "userdata",
    "answer",
    "args",
    "transaction",
    *"auto bool break case char const continue default do double else enum extern float for "
    "goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned "
    "void volatile while "
    "class delete new operator private protected public this throw template typename try "
    "catch".split(),
}


def files(catalog: Catalog) -> dict[str, str]:
    """Both files by name."""
    _refuse_clashes(catalog)
    return {"pierre-db-calls.h": header(catalog), "calls.gen.c": source(catalog)}


def snake(name: str) -> str:
    """A2AClient -> a2a_client."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()


def _refuse_clashes(catalog):
    names = [method.c_name + end for method in catalog.methods for end in ("", "_async", "_result")]
    names += [f"add_{method.c_name}" for method in catalog.methods if method.joins]
    names += [f"{snake(kind.name)}_free" for kind in answers(catalog)]
    clashes = sorted({name for name in names if name in _CORE or names.count(name) > 1})
    if clashes:
        raise Refused(
            "\n".join(
                f"pierre_{name}: the client library needs this name for something else"
                for name in clashes
            )
        )


def answers(catalog) -> list[ObjectType]:
    """The answer objects that are results, parts before the whole."""
    wanted = []
    for method in catalog.methods:
        kind = catalog.types.get(method.result.base)
        if kind and not kind.schema_only:
            for part in [catalog.types.get(member.type.base) for member in kind.members] + [kind]:
                if part and part not in wanted:
                    wanted.append(part)
    return wanted


def inputs(catalog) -> list[ObjectType]:
    wanted = []
    for method in catalog.methods:
        for param in method.params:
            kind = catalog.types.get(param.type.base)
            if kind and kind not in wanted:
                wanted.append(kind)
    return wanted


def _name(name):
    return name + "_" if name in _TAKEN else name


def _c(catalog: Catalog, field: Field):
    """C type and stub kind of a field; None when it has no member in a struct."""
    kind = catalog.types.get(field.type.base)
    if kind:
        many = "OBJECTS" if field.type.many else "OBJECT"
        return f"const struct pierre_{snake(kind.name)} *", many
    return C_TYPES.get(catalog.scalar(field.type).name)


def _join(c_type, name):
    return f"{c_type}{name}" if c_type.endswith("*") else f"{c_type} {name}"


def fields_of(catalog, fields):
    return [(field, *_c(catalog, field)) for field in fields if _c(catalog, field)]


# Header
# --------------------------------------------------------------------------------------------------


def _comment(text, indent=""):
    """A comment of any length, folded at about 110 columns."""
    words, lines, width = text.replace("*/", "* /").split(), [""], 110 - len(indent)
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return f"{indent}/* " + f"\n{indent} * ".join(lines) + " */"


def _member_lines(catalog, kind: ObjectType):
    lines = []
    for field, c_type, stub in fields_of(catalog, kind.members):
        notes = [field.doc]
        if field.default:
            notes.append(f"Default: {default_text(field)}.")
        if stub == "TIME":
            notes.append("(µs)")
        if stub in ("JSON", "OBJECT_TEXT"):
            notes.append("(JSON text)")
        if field.type.optional and stub not in NUMBERS:
            notes.append("May be NULL.")
        values = catalog.enums.get(field.type.base)
        if values:
            notes.append("One of PIERRE_" + values.name.upper() + "_….")
        lines.append(_comment(" ".join(notes), "\t"))
        lines += [f"\t{part};" for part in _declarations(field, c_type, stub)]
    if kind.rest:
        lines += [_comment(WHOLE, "\t"), f"\t{_WHOLE_DECLARATION};"]
    return lines


def _declarations(field, c_type, stub):
    """The declarations of a member: itself, and what tells whether or how often it is there."""
    before = [f"bool has_{field.name}"] if field.type.optional and stub in NUMBERS else []
    after = [f"size_t {field.name}_count"] if stub in ("TEXTS", "COUNTS") else []
    return [*before, _join(c_type, _name(field.name)), *after]


def declarations(catalog: Catalog, kind: ObjectType) -> list[str]:
    """The declarations of a struct's members, in order."""
    found = [
        part
        for field, c_type, stub in fields_of(catalog, kind.members)
        for part in _declarations(field, c_type, stub)
    ]
    return found + ([_WHOLE_DECLARATION] if kind.rest else [])


def default_text(field):
    made = {"now": "now", "new_uuid": "a new one"}.get(field.default.kind)
    if made:
        return made
    if field.default.kind == "strings":
        return ", ".join(field.constant) or "none"
    return str(field.constant).lower() if field.type.base == "bool" else str(field.constant)


def _param(catalog, param: Field):
    """A parameter of the stub: one or two C declarations."""
    c_type, stub = _c(catalog, param)
    if stub in NUMBERS and param.type.optional:
        c_type = f"const {c_type} *"
    parts = [_join(c_type, _name(param.name))]
    if stub in ("TEXTS", "OBJECTS"):
        parts.append(f"size_t {param.name}_count")
    return parts


def _outputs(catalog, method: Method):
    """The result of the stub: C declarations."""
    kind = catalog.types.get(method.result.base)
    if method.answer == "none":
        return []
    if method.answer == "count":
        return ["int64_t *out"]
    if kind:
        pointer = f"struct pierre_{snake(kind.name)} **out"
        return [pointer, "size_t *count"] if method.answer == "list" else [pointer]
    c_type, stub = C_TYPES[catalog.scalar(method.result).name]
    if (
        method.answer == "list"
        or stub in ("TEXTS", "COUNTS")
        or (stub in NUMBERS and method.result.optional)
    ):
        raise Refused(
            f"{method.name}: the client library has no form for the result {method.result}"
        )
    return [f"{c_type} *out" if stub in NUMBERS else "char **out"]


def functions(catalog: Catalog, method: Method) -> list[tuple[str, str, list[str]]]:
    """The functions of a method: type, name without prefix, parameters; the last only for those
    that can be part of a transaction."""
    params = [
        part for param in method.params if _c(catalog, param) for part in _param(catalog, param)
    ]
    outputs = _outputs(catalog, method)
    failure = "struct pierre_error *failure"
    name = method.c_name
    found = [
        ("int", name, ["struct pierre *db", *params, *outputs, failure]),
        (
            "int64_t",
            name + "_async",
            ["struct pierre *db", *params, "pierre_done *done", "void *userdata", failure],
        ),
        ("int", name + "_result", ["const struct pierre_answer *answer", *outputs, failure]),
    ]
    if method.joins:
        transaction = "struct pierre_transaction *transaction"
        found.append(("int", "add_" + name, [transaction, *params, failure]))
    return found


def _signatures(catalog, method: Method):
    """The same as C text, without semicolons."""
    return [_function(*one) for one in functions(catalog, method)]


def _function(c_type, name, params):
    head, lines = f"{c_type} pierre_{name}(", [""]
    for number, param in enumerate(params):
        text = param + (", " if number + 1 < len(params) else ")")
        if len(lines[-1]) + len(text) > 100 - (len(head) if len(lines) == 1 else 8):
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += text
    return head + "\n\t".join(lines)


def _result_note(catalog, method: Method):
    kind = catalog.types.get(method.result.base)
    if method.answer in ("none", "count"):
        return ""
    nothing = ", or NULL" if method.result.optional else ""
    if kind and method.answer == "list":
        return (
            "*out: an array of *count (NULL when empty); free it with "
            f"pierre_{snake(kind.name)}_free."
        )
    if kind:
        return f"*out: the result{nothing}; free it with pierre_{snake(kind.name)}_free."
    if C_TYPES[catalog.scalar(method.result).name][1] in NUMBERS:
        return ""
    return f"*out: the text{nothing}; free it with pierre_text_free."


def header(catalog: Catalog) -> str:
    out = [
        BANNER,
        "/* The daemon's methods as C calls. Included by pierre-db.h, which documents their "
        "behaviour.\n *\n"
        " * A zeroed argument struct omits all optional members. NULL, or has_… being false, "
        "means that a member or\n"
        " * parameter is omitted. Times are microseconds since 1970-01-01T00:00:00Z. */",
        "#ifndef PIERRE_DB_CALLS_H\n#define PIERRE_DB_CALLS_H\n",
        '#ifdef __cplusplus\nextern "C" {\n#endif\n',
        "/* Version of the method set, as returned by daemon.version. */\n"
        f"#define PIERRE_METHODS_VERSION {string(catalog.version)}\n",
        "/* Error kinds of the daemon: its JSON-RPC codes. */",
        "enum pierre_daemon_kind {",
    ]
    out += [
        f"\tPIERRE_{kind.name} = {kind.code},  /* {kind.meaning} */" for kind in catalog.errors
    ] + ["};\n"]
    for kind in catalog.enums.values():
        out += [_comment(kind.doc)]
        out += [
            f"#define PIERRE_{kind.name.upper()}_{value.upper()} {string(value)}"
            for value in kind.values
        ] + [""]
    for kind in answers(catalog) + inputs(catalog):
        out += [
            _comment(kind.doc),
            f"struct pierre_{snake(kind.name)} {{",
            *_member_lines(catalog, kind),
            "};\n",
        ]
    for kind in answers(catalog):
        name = snake(kind.name)
        out.append(
            f"PIERRE_API void pierre_{name}_free(struct pierre_{name} *{name}); "
            "/* also frees an array; accepts NULL */"
        )
    for domain in catalog.domains:
        out.append(f"\n/* {domain.title} " + "-" * max(3, 105 - len(domain.title)) + " */")
        for method in catalog.methods_of(domain):
            if method.impl == "transaction":
                continue  # it is built of calls: pierre-db.h
            note = _result_note(catalog, method)
            out += ["", _comment(method.stub_doc + (" " + note if note else ""))]
            out += [f"PIERRE_API {signature};" for signature in _signatures(catalog, method)]
    out.append("\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n")
    return "\n".join(out)


# Source
# --------------------------------------------------------------------------------------------------


def _row(catalog, owner, field: Field, in_params):
    c_type, stub = _c(catalog, field)
    number = stub in NUMBERS
    flags = (["STUB_OPTIONAL"] if field.type.optional else []) + (
        ["STUB_BY_POINTER"] if in_params and number and field.type.optional else []
    )
    beside = None
    if stub in ("TEXTS", "COUNTS", "OBJECTS"):
        beside = f"{field.name}_count"
    elif number and field.type.optional and not in_params:
        beside = f"has_{field.name}"
    kind = catalog.types.get(field.type.base)
    return struct(
        name=string(field.name),
        kind=f"STUB_{stub}",
        flags=" | ".join(flags) or None,
        offset=f"offsetof({owner}, {_name(field.name)})",
        beside=f"offsetof({owner}, {beside})" if beside else None,
        type=f"&type_{snake(kind.name)}" if kind else None,
    )


def _type_tables(catalog, name, owner, fields, in_params=False, whole=False):
    rows = [_row(catalog, owner, field, in_params) for field, _, _ in fields_of(catalog, fields)]
    if whole:
        rows.append(struct(name=string(""), kind="STUB_WHOLE", offset=f"offsetof({owner}, whole)"))
    return [
        table(f"struct stub_field fields_{name}", rows),
        f"static const struct stub_type type_{name} = {{ sizeof({owner}), fields_{name}, "
        f"{len(rows)} }};\n",
    ]


def _args(catalog, method: Method):
    """The struct in which the stub collects its arguments, and its table."""
    if not method.params or method.impl == "transaction":
        return []
    lines = [
        f"\t{part};"
        for param in method.params
        if _c(catalog, param)
        for part in _param(catalog, param)
    ]
    owner = f"struct args_{method.c_name}"
    return [f"{owner} {{\n" + "\n".join(lines) + "\n};"] + _type_tables(
        catalog, f"args_{method.c_name}", owner, method.params, in_params=True
    )


def _method_row(catalog, method: Method):
    kind = catalog.types.get(method.result.base)
    value = None
    if method.answer == "none":
        result = "NONE"
    elif method.answer == "count":
        result, value = "VALUE", struct(name='"result"', kind="STUB_I64")
    else:
        result = "VALUE" if not kind else "ROWS" if method.answer == "list" else "ROW"
        stub = "OBJECT" if kind else C_TYPES[catalog.scalar(method.result).name][1]
        value = struct(
            name='"result"',
            kind=f"STUB_{stub}",
            flags="STUB_OPTIONAL" if method.result.optional else None,
            type=f"&type_{snake(kind.name)}" if kind else None,
        )
    return struct(
        name=string(method.name),
        write=str(method.write).lower(),
        keyed=str(method.keyed).lower(),
        params=f"&type_args_{method.c_name}"
        if method.params and method.impl != "transaction"
        else None,
        result=f"STUB_RESULT_{result}",
        value=value,
    )


def _stubs(catalog, number, method: Method):
    plain, later, take, *add = _signatures(catalog, method)
    names = [
        _name(param.name) if index == 0 else f"{param.name}_count"
        for param in method.params
        if _c(catalog, param)
        for index in range(len(_param(catalog, param)))
    ]
    args = f"\tstruct args_{method.c_name} args = {{ {', '.join(names)} }};\n\n" if names else ""
    given = "&args" if names else "NULL"
    outputs = _outputs(catalog, method)
    places = ("out" if outputs else "NULL") + (", count" if len(outputs) > 1 else ", NULL")
    return (
        f"{plain}\n{{\n{args}\treturn blocking_call(db, &stub_methods[{number}], {given}, "
        f"{places}, failure);\n}}\n\n"
        f"{later}\n{{\n{args}\treturn calls_submit(db, &stub_methods[{number}], {given}, done, "
        "userdata, failure);\n}\n\n"
        f"{take}\n{{\n\treturn answer_result(answer, &stub_methods[{number}], {places}, "
        "failure);\n}\n"
    ) + "".join(
        f"\n{one}\n{{\n{args}\treturn transaction_add(transaction, &stub_methods[{number}], "
        f"{given}, failure);\n}}\n"
        for one in add
    )


def source(catalog: Catalog) -> str:
    parts = [
        BANNER,
        '#include "answer.h"\n#include "blocking.h"\n#include "calls.h"\n'
        '#include "decode_result.h"\n',
    ]
    for kind in answers(catalog) + inputs(catalog):
        name = snake(kind.name)
        parts += _type_tables(
            catalog, name, f"struct pierre_{name}", kind.members, whole=bool(kind.rest)
        )
    for method in catalog.methods:
        parts += _args(catalog, method)
    parts.append(
        table(
            "struct stub_method stub_methods_",
            [_method_row(catalog, method) for method in catalog.methods],
        ).replace(
            "static const struct stub_method stub_methods_[]",
            "const struct stub_method stub_methods[]",
        )
    )
    parts.append("const size_t stub_method_count = sizeof stub_methods / sizeof stub_methods[0];\n")
    for kind in answers(catalog):
        name = snake(kind.name)
        parts.append(
            f"void pierre_{name}_free(struct pierre_{name} *{name})\n{{\n"
            f"\tdecode_result_free({name});\n}}\n"
        )
    parts += [
        _stubs(catalog, number, method)
        for number, method in enumerate(catalog.methods)
        if method.impl != "transaction"
    ]
    return "\n".join(parts)
