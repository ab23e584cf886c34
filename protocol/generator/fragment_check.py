"""Checks shared text: column lists against the answer types of the same name, and that all of it is
used."""

import re

from .columns import columns_of
from .fragments import Fragment
from .model import Catalog
from .problems import Problems


def check_fragments(
    catalog: Catalog, fragments: dict[str, Fragment], used: set[str], problems: Problems
):
    for fragment in fragments.values():
        if not fragment.is_list:
            if fragment.name not in used:
                problems.add(
                    fragment.where, f"the fragment {fragment.name} is used by no statement"
                )
            continue
        kind = catalog.types.get(fragment.name)
        if kind is None or kind.input or kind.schema_only:
            problems.add(fragment.where, f"`{fragment.name}` is not an answer type of the catalog")
            continue
        names = [_column_name(column) for column in _split(fragment.text)]
        wanted = [column.name for column in columns_of(catalog, kind)]
        if names != wanted:
            problems.add(
                fragment.where,
                f"the columns of {fragment.name} are {', '.join(wanted)}; "
                f"the list has {', '.join(names)}",
            )
        if fragment.name not in used:
            problems.add(fragment.where, f"the columns of {fragment.name} are used by no statement")


def _split(text):
    """The list's items; commas within parentheses and quotes do not separate."""
    bare = re.sub(r"--[^\n]*", " ", text)
    items, depth, start, quote = [], 0, 0, None
    for place, char in enumerate(bare):
        if quote:
            quote = None if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "," and depth == 0:
            items.append(bare[start:place])
            start = place + 1
    return [item.strip() for item in (*items, bare[start:])]


def _column_name(item):
    named = re.search(r"""\bAS\s+(?:"([^"]+)"|(\w+))\s*\Z""", item, re.IGNORECASE)
    if named:
        return named[1] or named[2]
    return item.rsplit(".", 1)[-1]
