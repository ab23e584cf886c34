"""Checks column lists against the answer types of the same name."""

from .columns import columns_of
from .fragments import Fragment, column_name, split_list
from .model import Catalog
from .problems import Problems


def check_fragments(
    catalog: Catalog, fragments: dict[str, Fragment], used: set[str], problems: Problems
):
    for fragment in fragments.values():
        kind = catalog.types.get(fragment.name)
        if kind is None or kind.input or kind.schema_only:
            problems.add(fragment.where, f"`{fragment.name}` is not an answer type of the catalog")
            continue
        names = [column_name(column) for column in split_list(fragment.text)]
        wanted = [column.name for column in columns_of(catalog, kind)]
        if names != wanted:
            problems.add(
                fragment.where,
                f"the columns of {fragment.name} are {', '.join(wanted)}; "
                f"the list has {', '.join(names)}",
            )
        if fragment.name not in used:
            problems.add(fragment.where, f"the columns of {fragment.name} are used by no statement")
