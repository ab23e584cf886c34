"""Binds methods to their SQL: numbers the binds, resolves the placeholders, and checks each side
against the other.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from .columns import columns_of
from .conflicts import conflicts_of
from .fragment_check import check_fragments
from .footprint import Footprint, check_order, footprint_of, load_schema
from .once import KEY_PARAMETERS, once_of
from .model import BACKENDS, Catalog, Method, BindParam, Part, Statement
from .placeholders import BUILTINS, EXACT, HASHED, UNHASHED
from .problems import Problems
from .scalars import SCALARS, UNBOUND
from .sql import Scanned, load_texts, scan


@dataclass(frozen=True)
class Limits:
    """CATALOG_MAX_… of protocol/catalog.h."""

    values: int
    columns: int


def bind(
    catalog: Catalog, backends_folder: Path, limits: Limits, allow_missing: bool, problems: Problems
):
    """Fills binds and statements of every method from
    <backends_folder>/<backend>/sql/<domain>.sql."""
    scanned = {method.name: {} for method in catalog.methods}
    parts = {}
    schemas = {
        backend: load_schema(backends_folder / backend / "migrations", problems)
        for backend in BACKENDS
    }
    by_name = {method.name: method for method in catalog.methods}
    for method in catalog.methods:
        if method.table and method.table not in schemas["postgres"]:
            problems.add(method.name, f"`table` names `{method.table}`, which no migration creates")
    for backend in BACKENDS:
        texts = load_texts(backends_folder / backend / "sql", catalog.providers, problems)
        bodies = texts.bodies
        check_fragments(catalog, texts.fragments, texts.used, problems)
        for name, (domain, body) in bodies.items():
            method = by_name.get(name)
            if method is None or not method.has_sql:
                problems.add(body.where, f"`{name}` is " + _no_method(name, method, by_name))
            elif method.domain != domain:
                problems.add(
                    body.where,
                    f"`{name}` belongs in {method.domain}.sql, like its entry in the catalog",
                )
            else:
                statement = scan(body, backend, problems)
                scanned[name][backend] = (statement, body.where)
                _check_statement(method, statement, body.where, problems)
        for name, found in texts.parts.items():
            method = by_name.get(name)
            if method is None or not method.touches or backend != "sqlite":
                problems.add(found[0].where, f"`{name}` is no method that `touches`, on SQLite")
                continue
            parts[name] = _scan_parts(found, backend, problems)
        for method in catalog.methods:
            if method.has_sql and method.name not in bodies and not allow_missing:
                problems.add(
                    f"{backend}/sql/{method.domain}.sql",
                    f"method `{method.name}` has no SQL for {backend}",
                )
    for method in catalog.methods:
        _bind_method(
            catalog,
            method,
            scanned[method.name],
            parts.get(method.name, ()),
            limits,
            schemas["postgres"],
            problems,
        )
        method.conflicts = _conflicts(schemas, method, scanned[method.name], problems)
    check_order(catalog, problems)


def _no_method(name, method, by_name):
    if method is not None:
        return f"answered without SQL (impl = {method.impl})"
    near = difflib.get_close_matches(name, by_name, 1)
    return "not a method of the catalog" + (f"; did you mean `{near[0]}`?" if near else "")


def _scan_parts(bodies, backend, problems):
    """Each with its kind: the fast read first, then the steps in order."""
    found = []
    for body in sorted(bodies, key=lambda body: body.kind != "fast"):
        statement = scan(body, backend, problems)
        verbs = ("SELECT",) if body.kind == "fast" else ("INSERT", "UPDATE", "DELETE")
        if statement.bare.split(" ", 1)[0].upper() not in verbs:
            problems.add(
                body.where, f"{body.name}: `-- {body.kind}:` begins with {' or '.join(verbs)}"
            )
        found.append((body.kind, statement, body.where))
    return found


def _check_statement(method: Method, statement: Scanned, where, problems: Problems):
    verb = statement.bare.split(" ", 1)[0].upper()
    allowed = ("INSERT", "UPDATE", "DELETE", "WITH") if method.write else ("SELECT", "WITH")
    if verb not in allowed:
        problems.add(
            where,
            f"{method.name} {'writes' if method.write else 'reads'}, so its SQL begins with "
            f"{' or '.join(allowed)}, not with `{verb or 'nothing'}`",
        )
    if not (method.write or method.touches) and re.search(
        r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b", statement.bare, re.IGNORECASE
    ):
        problems.add(where, f"{method.name} reads, so its SQL must not write")
    if bool(method.guard) != bool(re.search(r"\bunexpected ?\(", statement.bare)):
        problems.add(
            where, f"{method.name}: `guard` in the catalog and unexpected() in the SQL go together"
        )
    if _has_star(statement.bare):
        problems.add(where, f"{method.name}: columns are listed by name, not by *")


_STAR = re.compile(
    r"\b(?:SELECT|RETURNING|DISTINCT) ?\*(?: FROM \( ?#(\d+)\))?|, ?\*|\w\.\*", re.IGNORECASE
)


def _has_star(bare):
    """Whether a * decides which columns the statement returns. `SELECT * FROM (…)` is allowed: the
    list is inside.
    """
    outer, groups, depth = "", [], 0
    for char in bare:
        depth -= char == ")"
        if depth <= 0:
            outer += f"(#{len(groups)}" if char == "(" else char
            groups += [""] if char == "(" else []
        else:
            groups[-1] += char
        depth += char == "("
    return any(
        match[1] is None or _has_star(groups[int(match[1])]) for match in _STAR.finditer(outer)
    )


def _bind_method(catalog, method, scanned, parts, limits, tables, problems):
    binds = _parameter_binds(catalog, method)
    parameters = len(binds)
    used = set()
    for statement, *_ in (*scanned.values(), *(part[1:] for part in parts)):
        used.update(statement.names)
    binds += _computed_binds(catalog, method, binds, used)
    numbers = {bind.name: number for number, bind in enumerate(binds)}
    method.binds = tuple(binds)
    if len(binds) > limits.values:
        problems.add(
            f"method {method.name}", f"{len(binds)} values; CATALOG_MAX_VALUES is {limits.values}"
        )
    for param in method.params:
        members = len(catalog.members(param))
        if members >= limits.values:  # decode.c notes which of them are given
            problems.add(
                f"method {method.name}",
                f"{members} members of {param.name}; CATALOG_MAX_VALUES is {limits.values}",
            )
    if method.has_sql and method.answer not in ("none", "count"):
        columns = len(columns_of(catalog, method.result))
        if columns > limits.columns:
            problems.add(
                f"method {method.name}",
                f"{columns} columns; CATALOG_MAX_COLUMNS is {limits.columns}",
            )
    method.parts = tuple(_bind_parts(method, parts, binds, numbers, problems))
    for backend, (statement, where) in scanned.items():
        _check_placeholders(
            catalog, method, backend, statement, where, binds[:parameters], numbers, problems
        )
        if all(name in numbers for name in statement.names):
            many = (
                _many(catalog, method, statement, binds, numbers) if backend == "postgres" else ""
            )
            footprint = (
                footprint_of(tables, method, statement, numbers, where, problems)
                if backend == "postgres"
                else Footprint()
            )
            once = ("", -1)
            if backend == "postgres" and method.keyed:
                text = _numbered(backend, statement, binds, numbers, KEY_PARAMETERS)
                once = once_of(method, statement, text, numbers)
            if backend == "postgres" and method.causal:
                _check_causal(method, statement, footprint, where, problems)
            method.statements[backend] = _statement(
                backend, statement, binds, numbers, many, footprint, once
            )


def _check_causal(method, statement, footprint, where, problems):
    """A standby answers it once it shows the client's writes to the tables that it reads."""
    if not footprint.accesses:
        problems.add(where, f"{method.name} is causal, so its SQL must read a table")
    if re.search(r"\bFOR (NO KEY |KEY )?(UPDATE|SHARE)\b", statement.bare, re.IGNORECASE):
        problems.add(where, f"{method.name} is causal, so its SQL must not lock rows")


def _bind_parts(method, parts, binds, numbers, problems):
    for kind, statement, where in parts:
        unknown = [name for name in statement.names if name not in numbers]
        if unknown:
            problems.add(where, f"{method.name}: unknown placeholder `:{unknown[0]}`")
        else:
            yield Part(kind, _statement("sqlite", statement, binds, numbers, "", Footprint()))


def _conflicts(schemas, method, scanned, problems):
    numbers = {bind.name: number for number, bind in enumerate(method.binds)}
    known = all(name in numbers for statement, _ in scanned.values() for name in statement.names)
    return conflicts_of(schemas, method, scanned, numbers, problems) if known else ()


def _parameter_binds(catalog: Catalog, method: Method) -> list[BindParam]:
    leaves = catalog.leaves(method)
    rows = method.rows
    binds = [
        BindParam(leaf.name, catalog.scalar(leaf.type).name, row=rows is not None)
        for leaf in leaves
        if leaf.type.base not in UNBOUND
    ]
    if rows:
        binds.append(BindParam(rows.name, "rows"))
    return binds + [
        BindParam(extract.name, extract.type.base) for leaf in leaves for extract in leaf.extracts
    ]


def _computed_binds(catalog, method, binds, used):
    numbers = {bind.name: number for number, bind in enumerate(binds)}
    sealed = sum(bind.type == "sealed" for bind in binds) == 2
    computed = []
    for builtin in BUILTINS:
        if (
            builtin.name in used
            and (not builtin.reads or builtin.reads in numbers)
            and (builtin.name != "nonce" or sealed)
        ):
            numbers[builtin.name] = len(binds) + len(computed)
            computed.append(
                BindParam(
                    builtin.name, builtin.type, builtin.compute, numbers.get(builtin.reads, -1)
                )
            )
    # The exact text is bound as plain text: it must not go through JSONB.
    computed += [
        BindParam(bind.name + EXACT, "string", "awkward", number, bind.row)
        for number, bind in enumerate(binds)
        if bind.type in ("document", "json", "ip") and bind.name + EXACT in used
    ]
    return computed + [
        BindParam(bind.name + form, "string", "token" + form, number, bind.row)
        for number, bind in enumerate(binds)
        for form in (HASHED, UNHASHED)
        if bind.type == "string" and bind.name + form in used
    ]


def _check_placeholders(catalog, method, backend, statement, where, parameters, numbers, problems):
    for name in statement.names:
        if name not in numbers:
            near = difflib.get_close_matches(
                name, [*numbers, *(builtin.name for builtin in BUILTINS)], 1
            )
            problems.add(
                where,
                f"{method.name}: unknown placeholder `:{name}`"
                + (f"; did you mean `:{near[0]}`?" if near and near[0] != name else _needs(name)),
            )
    used = set(statement.names)
    used |= {builtin.reads for builtin in BUILTINS if builtin.name in used}
    for bind in parameters:
        forms = {bind.name + HASHED, bind.name + UNHASHED} & used
        if forms:
            used.add(bind.name)
        if len(forms) == 1:
            problems.add(
                where,
                f"{method.name}: a session token is looked up in both forms, not only by "
                f"`:{forms.pop()}`",
            )
    if method.impl in ("hash_password", "verify_password"):
        used.add("password")  # consumed before or after the SQL
    for bind in parameters:
        if bind.name not in used and bind.type != "rows":
            problems.add(
                where, f"{method.name}: `:{bind.name}` is not used by the SQL for {backend}"
            )
        exact = bind.name + EXACT
        if (
            backend == "postgres"
            and method.write
            and bind.type in ("document", "json")
            and exact not in used
        ):
            problems.add(
                where, f"{method.name}: JSONB alters some numbers; store `:{exact}` as well"
            )
        if backend == "postgres" and method.write and bind.type == "ip" and exact not in used:
            problems.add(
                where, f"{method.name}: INET holds addresses only; store `:{exact}` as well"
            )
        if backend != "postgres" and exact in used:
            problems.add(
                where,
                f"{method.name}: `:{exact}` is for PostgreSQL; {backend} keeps the text itself",
            )
    if any(bind.type == "sealed" for bind in parameters) and "nonce" not in used:
        problems.add(where, f"{method.name}: sealed texts cannot be opened without their `:nonce`")


def _needs(name):
    """Why a built-in placeholder is unavailable."""
    for builtin in BUILTINS:
        if name == builtin.name:
            return ": it needs " + (
                f"the parameter `{builtin.reads}`" if builtin.reads else "two sealed parameters"
            )
    return ""


def _many(catalog, method, statement, binds, numbers):
    """The look-up by one key, rewritten for many keys: concurrent callers share one statement.

    LIMIT keeps the planner from joining, where it would read a whole table that it estimates as
    small. A second row is an error that must show.
    """
    if (
        not method.short
        or len(statement.names) != 1
        or re.search(r"\bLIMIT\b", statement.bare, re.IGNORECASE)
    ):
        return ""
    kind = binds[numbers[statement.names[0]]].type
    types = {column.c_type for column in columns_of(catalog, method.result)}
    if kind not in ("uuid", "string") or types & {"TYPE_DOCUMENT", "TYPE_JSON", "TYPE_STRINGS"}:
        return ""
    one = statement.render(lambda name: "asked.key")
    return (
        f"SELECT found.*, asked.place FROM unnest($1::{SCALARS[kind].postgres}[]) WITH "
        "ORDINALITY AS asked(key, place), "
        f"LATERAL ({one} LIMIT 2) AS found"
    )


def _statement(backend, statement, binds, numbers, many, footprint, once=("", -1)):
    order = statement.names
    return Statement(
        _numbered(backend, statement, binds, numbers),
        tuple(numbers[name] for name in order),
        many,
        *once,
        footprint,
    )


def _numbered(backend, statement, binds, numbers, before=0):
    """The statement with numbered placeholders, behind so many others."""
    order = statement.names

    def numbered(name):
        place = order.index(name) + 1 + before
        if backend == "sqlite":
            return f"?{place}"
        bind = binds[numbers[name]]
        # An address goes as text: its binary form would need another encoder.
        kind = "text" if bind.row and bind.type == "ip" else SCALARS[bind.type].postgres
        return f"${place}::{kind}" + ("[]" if bind.row else "")

    return statement.render(numbered)
