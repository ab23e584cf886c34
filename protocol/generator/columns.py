"""The columns that a method's SQL must return, in order."""

from dataclasses import dataclass

from .model import Catalog, ObjectType, TypeRef


@dataclass(frozen=True)
class Column:
    name: str  # "id", "strava_token.expires_at"; a scalar's is "result"
    c_type: str  # enum type of value.h
    nullable: bool


def columns_of(catalog: Catalog, what: TypeRef | ObjectType) -> list[Column]:
    kind = what if isinstance(what, ObjectType) else catalog.types.get(what.base)
    if kind is None:
        return [Column("result", catalog.scalar(what).c_type, what.optional)]
    columns = []
    for member in kind.members:
        inner = catalog.types.get(member.type.base)
        if inner:
            columns += [
                Column(
                    f"{member.name}.{part.name}",
                    catalog.scalar(part.type).c_type,
                    part.type.optional or member.type.optional,
                )
                for part in inner.members
            ]
        else:
            columns.append(
                Column(member.name, catalog.scalar(member.type).c_type, member.type.optional)
            )
    if kind.rest:
        columns.append(
            Column("document", "TYPE_REST", True)
        )  # the rest of a row without a document is empty
    return columns
