"""Enumerations, object types and type references."""

import re

from .fields import load_field
from .model import Catalog, Enumeration, ObjectType, TypeRef
from .scalars import SCALARS
from .tables import Table

# The sealed texts of a token, in the order of their nonces; binding.c knows the same columns.
SEALED = ("access_token", "refresh_token")

_TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\Z")


def load_enum(catalog: Catalog, table: Table):
    table.check_name("enum")
    if table.name in SCALARS:
        table.complain(f"enum `{table.name}` has the name of a scalar type")
    values = table.take("values", list, [], required=True)
    if len(set(values)) != len(values) or not values:
        table.complain(f"`values` of {table.name} must be distinct texts, at least one", "values")
    catalog.enums[table.name] = Enumeration(table.name, table.doc(), tuple(values))
    table.finish()


def load_type(catalog: Catalog, table: Table, known):
    """known: the names of all object types, including those not loaded yet."""
    if not _TYPE_NAME.match(table.name):
        table.complain(f"type `{table.name}`: the name of an object type is in CamelCase")
    doc = table.doc()
    is_input = table.take("input", bool, False)
    schema_only = table.take("schema_only", bool, False)
    is_open = table.take("open", bool, False)
    rest = table.take("rest", str)
    rows_of = table.take("table", str, "")
    exactly_one = tuple(table.take("exactly_one", list, []))
    use = "input" if is_input else "schema" if schema_only else "output"
    members = tuple(
        filter(
            None, (load_field(catalog, child, use, known) for child in table.children("members"))
        )
    )
    table.finish()

    if is_input and schema_only:
        table.complain(f"{table.name} cannot be both `input` and `schema_only`")
    if is_open and not schema_only:
        table.complain("`open` belongs to schema_only types", "open")
    if rest is not None and (rest != "document" or use != "output"):
        table.complain('`rest` is "document", and belongs to answer types', "rest")
    if rows_of and use != "output":
        table.complain("`table` belongs to answer types", "table")
    if not members:
        table.complain(f"{table.name} has no members")
    _check_exactly_one(table, exactly_one, members, is_input)
    if use == "output":
        _check_sealed(table, members)
    catalog.types[table.name] = ObjectType(
        table.name,
        doc,
        members,
        is_input,
        schema_only,
        is_open,
        rest is not None,
        exactly_one,
        rows_of,
    )


def _check_exactly_one(table, names, members, is_input):
    if not names:
        return
    optional = {
        member.name for member in members if member.type.optional and member.default is None
    }
    if not is_input or len(names) < 2 or not set(names) <= optional:
        table.complain(
            "`exactly_one` names at least two optional members without default of an input type",
            "exactly_one",
        )


def _check_sealed(table, members):
    """A token has two sealed texts that share a nonce column, which comes last."""
    bases = [member.type.base for member in members]
    if ("sealed" in bases or "nonce" in bases) and (
        bases.count("sealed") != 2 or bases.count("nonce") != 1 or bases[-1] != "nonce"
    ):
        table.complain(f"{table.name}: two members are sealed, and the last one is their nonce")
    names = tuple(member.name for member in members if member.type.base == "sealed")
    if len(names) == 2 and names != SEALED:
        table.complain(f"{table.name}: the sealed texts of a token are {' and '.join(SEALED)}")


def check_type_uses(catalog: Catalog, tables):
    """Checks that all types are used and that nested answer objects hold only scalars: columns are
    named parent.member.
    """
    used = set()
    for method in catalog.methods:
        used |= {method.result.base, method.result_schema}
        used |= {field.type.base for field in (*method.params, *catalog.leaves(method))}
    for kind in catalog.types.values():
        used |= {member.type.base for member in kind.members}
    for table in tables:
        kind = catalog.types.get(table.name)
        if table.name not in used:
            table.complain(f"{table.name} is not used")
        for member in kind.members if kind else ():
            inner = catalog.types.get(member.type.base)
            problem = inner and _unfit(catalog, kind, inner)
            if problem:
                table.complain(
                    f"{inner.name} cannot be nested in {kind.name}: {problem}",
                    "members",
                    member.name,
                )


def _unfit(catalog, kind, inner):
    """Why an object type cannot be a member of another."""
    if inner.input:
        return "it is an `input` type"
    if kind.schema_only:
        return None
    if inner.schema_only:
        return "it is a schema_only type, which describes no row"
    if inner.rest or any(part.type.base in catalog.types for part in inner.members):
        return "it contains more than plain values"
    if sum(has_token(catalog, member) for member in kind.members) > 1:
        return "a row holds one token"
    return None


def has_token(catalog, member):
    kind = catalog.types.get(member.type.base)
    return bool(kind) and any(part.type.base == "nonce" for part in kind.members)


def parse_result(catalog: Catalog, table: Table, text) -> TypeRef | None:
    """`null`, `count`, `T`, `T?` or `[T]`."""
    match = re.match(r"(\[)?([A-Za-z0-9_]+)(\])?(\?)?\Z", text)
    if match and bool(match[1]) == bool(match[3]) and not (match[1] and match[4]):
        base, many, optional = match[2], bool(match[1]), bool(match[4])
        kind, scalar = catalog.types.get(base), SCALARS.get(base)
        plain = base in ("null", "count") and not many and not optional
        if (
            plain
            or base in catalog.enums
            or (kind and not kind.input and not kind.schema_only)
            or (scalar and scalar.output and base not in ("enum", "strings", "sealed", "nonce"))
        ):
            return TypeRef(base, optional, many)
    table.complain(
        f"`{text}` is not a result: null, count, T, T? or [T], where T is a scalar, an enum or an "
        "answer type",
        "result",
    )
    return None
