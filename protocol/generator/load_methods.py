"""Methods: everything except their SQL."""

import re

from .fields import load_field
from .load_types import SEALED, parse_result
from .model import ACCESS, READS, Catalog, Method
from .placeholders import BUILTIN_NAMES, HASHED, UNHASHED
from .tables import NAME_MAX, Table

_METHOD_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?\Z")

IMPLS = (
    "sql",
    "hash_password",
    "verify_password",
    "migrate",
    "rotate_key",
    "transaction",
    "position",
    "daemon",
    "wait",
)


def load_method(catalog: Catalog, domain, table: Table) -> Method | None:
    if not _METHOD_NAME.match(table.name) or len(table.name) > NAME_MAX:
        table.complain(
            f"method `{table.name}`: a name is lower-case letters, digits and _, with at most "
            "one dot"
        )
    before = len(table.problems.lines)
    doc = table.doc()
    access = table.take("access", str, "", required=True)
    if access and access not in ACCESS:
        table.complain(f"`access` is one of {', '.join(ACCESS)}, not `{access}`", "access")
    impl = table.take("impl", str, "sql")
    if impl not in IMPLS:
        table.complain(f"`impl` is one of {', '.join(IMPLS)}, not `{impl}`", "impl")
    params = tuple(
        load_field(catalog, child, "param", set(catalog.types))
        for child in table.children("params")
    )
    result = parse_result(catalog, table, table.take("result", str, "", required=True))
    write = table.take(
        "write", bool, access == "write" or impl in ("migrate", "rotate_key", "transaction")
    )
    reads = table.take("reads", str, "")
    short = table.take("short", bool, False)
    touches = table.take("touches", bool, False)
    subject = tuple(table.take("subject", list, []))
    conflict = tuple(table.take("conflict", list, []))
    guard = table.take("guard", str, "")
    provider = table.take("provider", str, "")
    result_schema = table.take("result_schema", str, "")
    result_secret = table.take("result_secret", bool, False)
    rows_of = table.take("table", str, "")
    table.finish()
    if result is None or None in params or len(table.problems.lines) > before:
        return None
    answer = {"null": "none", "count": "count"}.get(
        result.base, "list" if result.many else "optional" if result.optional else "row"
    )
    method = Method(
        table.name,
        domain,
        doc,
        access,
        params,
        result,
        answer,
        write,
        short,
        impl,
        subject,
        conflict,
        result_schema,
        rows_of or (catalog.types[result.base].table if result.base in catalog.types else ""),
        touches,
        guard,
        provider,
        result_secret,
        reads,
    )
    _check_names(catalog, table, method)
    _check_meaning(catalog, table, method)
    _check_impl(catalog, table, method)
    _check_reads(catalog, table, method)
    _check_owner(catalog, table, method)
    _check_rows_of(catalog, table, method, rows_of)
    return method


def _check_names(catalog, table, method):
    """Each placeholder has one meaning."""
    names = [leaf.name for leaf in catalog.leaves(method)]
    names += [extract.name for param in method.params for extract in param.extracts]
    exact = {
        leaf.name + "_exact"
        for leaf in catalog.leaves(method)
        if leaf.type.base in ("document", "json", "ip")
    }
    exact |= {
        leaf.name + form
        for leaf in catalog.leaves(method)
        if leaf.type.base == "string"
        for form in (HASHED, UNHASHED)
    }
    for name in sorted(set(names)):
        if names.count(name) > 1:
            table.complain(
                f"`:{name}` would have two meanings in {method.name}: rename one of the parameters"
            )
        if name in BUILTIN_NAMES or name in exact:
            table.complain(f"`{name}` in {method.name} has the name of a built-in placeholder")
    for name in method.subject:
        if name not in names:
            table.complain(
                f"`subject` names `{name}`, which is not a parameter of {method.name}", "subject"
            )


def _check_meaning(catalog, table, method):
    waits = method.impl == "wait"
    if method.answer in ("none", "count") and not method.write and not waits:
        table.complain(
            f"{method.name} reads, so its result cannot be {method.result.base}", "result"
        )
    if method.answer == "none" and not method.subject and not waits:
        table.complain(f"{method.name} must name in `subject` what not_found refers to")
    if method.conflict and not method.write and not waits:
        table.complain(f"{method.name} reads, so it has no `conflict`", "conflict")
    if method.guard and not method.write:
        table.complain(f"{method.name} reads, so it has no `guard`", "guard")
    # A transaction needs what its calls need.
    if method.write and method.access == "read" and method.impl != "transaction":
        table.complain(f"{method.name} writes, so its access cannot be read", "access")
    if method.short and (
        method.write or not method.has_sql or method.answer not in ("row", "optional")
    ):
        table.complain(f"{method.name}: `short` is for reads of one row", "short")
    if method.rows and (len(method.params) > 1 or not method.write or method.answer != "count"):
        table.complain(
            f"{method.name}: a list of rows is the only parameter of a write that counts", "params"
        )
    if method.touches and (not method.short or method.access in ("read", "write")):
        table.complain(
            f"{method.name}: `touches` is for short reads whose role may also write", "touches"
        )
    sealed = [leaf.name for leaf in catalog.leaves(method) if leaf.type.base == "sealed"]
    if len(sealed) not in (0, 2):
        table.complain(f"{method.name}: a token has two sealed texts, not {len(sealed)}")


def _check_reads(catalog, table, method):
    """Each read by SQL states whether a standby may answer it. What grants access comes from the
    primary.
    """
    if not method.joins or method.write:
        if method.reads:
            table.complain(f"{method.name} is not a read by SQL, so it has no `reads`", "reads")
        return
    if not method.reads:
        table.complain(f"{method.name} reads, so it has `reads`: {' or '.join(READS)}")
    elif method.reads not in READS:
        table.complain(f"`reads` is one of {', '.join(READS)}, not `{method.reads}`", "reads")
    reason = method.causal and _must_be_exact(catalog, method)
    if reason:
        table.complain(f"{method.name} {reason}, so its `reads` is exact", "reads")


def _must_be_exact(catalog, method):
    """Why only the primary may answer it; "" when the catalog gives no reason."""
    if catalog.has_token(method):
        return "opens a token"
    if method.impl != "sql":
        return "checks a password"
    if method.touches:
        return "at times writes"
    if method.access != "read":
        return f"needs the role {method.access}"
    secrets = any(leaf.secret for leaf in catalog.leaves(method)) or catalog.shows_secrets(method)
    if secrets:
        return "takes or shows a secret"
    return ""


def _check_owner(catalog, table, method):
    """A token is bound to its user, provider and column, so each method must tell them."""
    leaves = {leaf.name: leaf for leaf in catalog.leaves(method)}
    told = method.provider != "", "provider" in leaves
    if not catalog.has_token(method):
        if method.provider:
            table.complain(f"{method.name} has no token, so it has no `provider`", "provider")
        return
    if "user_id" not in leaves or leaves["user_id"].type.base != "uuid":
        table.complain(f"{method.name}: a token is bound to its user, the parameter user_id")
    if told[0] == told[1] or (
        method.provider and method.provider not in {one.name for one in catalog.providers}
    ):
        table.complain(
            f"{method.name}: a token is bound to its provider: name it in `provider`, or have a "
            "parameter of that name",
            "provider",
        )
    sealed = [leaf.name for leaf in leaves.values() if leaf.type.base == "sealed"]
    if sealed and sealed != list(SEALED):
        table.complain(f"{method.name}: the sealed texts of a token are {' and '.join(SEALED)}")


def _check_rows_of(catalog, table, method, rows_of):
    """An invalid stored value is reported with its table."""
    kind = catalog.types.get(method.result.base)
    stored = method.has_sql and (kind or method.result.base in ("document", "json"))
    if rows_of and (kind or not method.has_sql or method.answer in ("none", "count")):
        table.complain(
            "`table` belongs to methods with a stored scalar as result; an answer type has its own",
            "table",
        )
    if stored and not method.table:
        where = kind.name if kind else method.name
        table.complain(f"{where} must name in `table` the source of its rows")


def _check_impl(catalog, table, method):
    leaves = {leaf.name: leaf for leaf in catalog.leaves(method)}
    kind = catalog.types.get(method.result.base)
    passwords = "password" in leaves and leaves["password"].secret
    if method.impl == "hash_password" and not (passwords and "password_hash" in leaves):
        table.complain(
            f"{method.name}: hash_password needs the parameters password (secret) and "
            "password_hash",
            "impl",
        )
    if method.impl == "verify_password" and not (
        passwords
        and method.answer == "optional"
        and kind
        and "password_hash" in {m.name for m in kind.members}
    ):
        table.complain(
            f"{method.name}: verify_password needs the parameter password (secret) and an "
            "optional row with "
            "the member password_hash",
            "impl",
        )
    calls = [param.name for param in method.params if param.type.base == "calls"]
    if (method.impl == "transaction") != bool(calls) or len(calls) != len(method.params) * bool(
        calls
    ):
        table.complain(f"{method.name}: only a transaction has `calls`, and nothing else", "impl")
    described = catalog.types.get(method.result_schema)
    if method.result_schema and not (
        described
        and described.schema_only
        and method.impl in ("daemon", "rotate_key")
        and str(method.result) == "json"
    ):
        table.complain(
            "`result_schema` names the schema_only type of a json result that the daemon writes "
            "itself",
            "result_schema",
        )
    if (
        method.impl in ("daemon", "rotate_key")
        and method.result.base == "json"
        and not method.result_schema
    ):
        table.complain(f"{method.name} has no `result_schema`: its json result must be described")
