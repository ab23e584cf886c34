"""The C tables of answers: struct member, struct column, struct row_schema."""

from .columns import columns_of
from .ctext import member_key, string, struct, table
from .model import Catalog, Field, Method


def tables(catalog: Catalog) -> list[str]:
    parts, done = [], set()
    for method in catalog.methods:
        name = row_schema_name(method)
        if name and name not in done:
            done.add(name)
            kind = catalog.types.get(method.result.base)
            parts += (
                _object_row_schema(catalog, name, kind)
                if kind
                else _scalar_row_schema(catalog, name, method)
            )
    return parts


def row_schema_name(method: Method) -> str | None:
    """The row_schema of the method's rows; a nullable scalar has its own."""
    if method.answer in ("none", "count"):
        return None
    base = method.result.base
    return f"row_schema_{base}" + (
        "_or_null" if method.result.optional and base[0].islower() else ""
    )


def _row_schema(catalog, name, title, members, count, scalar, columns):
    return [
        table(
            f"struct column columns_of_{name}",
            [
                struct(
                    name=string(column.name),
                    type=column.c_type,
                    nullable="true" if column.nullable else None,
                )
                for column in columns
            ],
        ),
        f"static const struct row_schema {name} = "
        + struct(
            name=string(title),
            members=members,
            member_count=count,
            scalar="true" if scalar else None,
            columns=f"columns_of_{name}",
            column_count=len(columns),
        )
        + ";\n",
    ]


def _scalar_row_schema(catalog, name, method):
    columns = columns_of(catalog, method.result)
    flags = "MEMBER_NULLABLE" if method.result.optional else None
    members = table(
        f"struct member members_of_{name}", [struct(type=columns[0].c_type, flags=flags)]
    )
    return [members] + _row_schema(catalog, name, "", f"members_of_{name}", 1, True, columns)


def _object_row_schema(catalog, name, kind):
    parts, rows, column = [], [], 0
    for member in kind.members:
        inner = catalog.types.get(member.type.base)
        extra, width = {}, 1
        if inner:
            members = f"members_of_{name}_{member.name}"
            parts.append(
                table(
                    f"struct member {members}",
                    [
                        _member(catalog, part, column + number)
                        for number, part in enumerate(inner.members)
                    ],
                )
            )
            extra, width = dict(members=members, member_count=len(inner.members)), len(
                inner.members
            )
        rows.append(_member(catalog, member, column, **extra))
        column += width
    if kind.rest:
        rows.append(
            struct(
                name=string("document"), type="TYPE_REST", flags="MEMBER_NULLABLE", column=column
            )
        )
    from_ref = columns_of(catalog, kind)
    parts.append(table(f"struct member members_of_{name}", rows))
    return parts + _row_schema(
        catalog, name, kind.name, f"members_of_{name}", len(rows), False, from_ref
    )


def _member(catalog: Catalog, member: Field, column, **extra) -> str:
    scalar = catalog.scalar(member.type)
    hidden = member.type.base == "nonce"
    flags = "MEMBER_HIDDEN" if hidden else "MEMBER_NULLABLE" if member.type.optional else None
    key = None if hidden else member_key(member.name)
    return struct(
        name=string(member.name),
        key=string(key) if key else None,
        key_length=len(key) if key else None,
        type=scalar.c_type if scalar else "TYPE_OBJECT",
        flags=flags,
        column=column,
        **extra,
    )
