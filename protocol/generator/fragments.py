"""Column lists that several statements share: `-- columns: User u`, used as `{User}` or `{User c}`.

The list names its columns with the alias of its headline (`u.email`). `{User}` drops the alias, `{User c}` puts
another in its place. A list gives the columns of the answer type whose name it has, in their order.
"""

import re
from dataclasses import dataclass

from .columns import columns_of
from .model import Catalog
from .problems import Problems

HEADLINE = re.compile(r"--\s*columns\s*:\s*([A-Z]\w*) ([a-z]\w*)\s*\Z")
_USE = re.compile(r"\{([A-Z]\w*)(?: ([a-z]\w*))?\}")


@dataclass(frozen=True)
class Fragment:
    name: str   # the answer type's
    alias: str
    where: str  # `sqlite/sql/users.sql:12`
    text: str

    def columns(self, alias: str | None) -> str:
        return re.sub(rf"\b{self.alias}\.", f"{alias}." if alias else "", self.text)


def insert(text: str, where: str, fragments: dict[str, Fragment], used: set[str], problems: Problems) -> str:
    """The statement with its fragments in place. Names that were used are added to `used`."""

    def replace(match):
        fragment = fragments.get(match[1])
        if fragment is None:
            problems.add(where, f"no `-- columns: {match[1]} …` in this backend's SQL")
            return match[0]
        used.add(match[1])
        return fragment.columns(match[2])

    return _USE.sub(replace, text)


def check(catalog: Catalog, fragments: dict[str, Fragment], used: set[str], problems: Problems):
    for fragment in fragments.values():
        kind = catalog.types.get(fragment.name)
        if kind is None or kind.input or kind.schema_only:
            problems.add(fragment.where, f"`{fragment.name}` is no answer type of the catalog")
            continue
        names = [_column_name(column) for column in _split(fragment.text)]
        wanted = [column.name for column in columns_of(catalog, kind)]
        if names != wanted:
            problems.add(fragment.where, f"the columns of {fragment.name} are {', '.join(wanted)}; "
                                         f"the list gives {', '.join(names)}")
        if fragment.name not in used:
            problems.add(fragment.where, f"the columns of {fragment.name} are used by no statement")


def _split(text):
    """The list's items: commas within parentheses and quotes do not count."""
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
