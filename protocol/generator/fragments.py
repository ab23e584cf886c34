"""Text that several statements share.

Column lists: `-- columns: User u`, used as `{User}` or `{User c}`. The list names its columns with
the alias of its headline (`u.email`). `{User}` drops the alias, `{User c}` replaces it, and
`{User c AS user}` names the columns for a member: "user.email". `{NULL User}` is as many NULLs. A
list contains the columns of the answer type of the same name, in order.

Expressions: `-- define: current_usage key`, used as `{current_usage k.id}`: its text with `k.id`
for each `{key}`.
"""

import re
from dataclasses import dataclass

from .problems import Problems

HEADLINE = re.compile(r"--\s*columns\s*:\s*([A-Z]\w*) ([a-z]\w*)\s*\Z")
DEFINITION = re.compile(r"--\s*define\s*:\s*([a-z]\w*)((?: [a-z]\w*)*)\s*\Z")
_USE = re.compile(r"\{([A-Z]\w*)(?: ([a-z]\w*))?(?: AS ([a-z]\w*))?\}")
_NULLS = re.compile(r"\{NULL ([A-Z]\w*)\}")
_APPLICATION = re.compile(r"\{([a-z]\w*)((?: [^{}]*)?)\}")


@dataclass(frozen=True)
class Fragment:
    name: str  # the answer type's
    alias: str
    where: str  # `sqlite/sql/users.sql:12`
    text: str

    def columns(self, alias: str | None, member: str | None = None) -> str:
        text = re.sub(rf"\b{self.alias}\.", f"{alias}." if alias else "", self.text)
        if member is None:
            return text
        return ", ".join(
            f'{_NAMED.sub("", item)} AS "{member}.{column_name(item)}"' for item in split_list(text)
        )


_NAMED = re.compile(r"""\s+AS\s+(?:"([^"]+)"|(\w+))\s*\Z""", re.IGNORECASE)


def column_name(item):
    """The name of a column in a list: that after AS, else its own."""
    named = _NAMED.search(item)
    if named:
        return named[1] or named[2]
    return item.rsplit(".", 1)[-1]


def split_list(text):
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


@dataclass(frozen=True)
class Definition:
    """The text of a `-- define:` headline and the names of its arguments."""

    name: str
    arguments: tuple[str, ...]
    where: str
    text: str


def apply(
    text: str, where: str, definitions: dict[str, Definition], used: set[str], problems: Problems
) -> str:
    """The statement with its definitions expanded, inner ones last. Several arguments are separated
    by `; `."""

    def replace(match):
        definition = definitions.get(match[1])
        given = tuple(part.strip() for part in match[2].split(";")) if match[2].strip() else ()
        if definition is None or len(given) != len(definition.arguments):
            problems.add(where, f"no `-- define: {match[1]}` with {len(given)} arguments")
            return match[1]
        used.add(definition.name)
        body = definition.text
        for name, value in zip(definition.arguments, given):
            body = body.replace(f"{{{name}}}", value)
        return body

    for _ in range(8):
        if not _APPLICATION.search(text):
            break
        text = _APPLICATION.sub(replace, text)
    return text


def insert(
    text: str, where: str, fragments: dict[str, Fragment], used: set[str], problems: Problems
) -> str:
    """The statement with its column lists expanded. Adds the names used to `used`."""

    def replace(match):
        fragment = fragments.get(match[1])
        if fragment is None:
            problems.add(where, f"no `-- columns: {match[1]} …` in this backend's SQL")
            return match[0]
        used.add(match[1])
        return fragment.columns(match[2], match[3])

    def nulls(match):
        fragment = fragments.get(match[1])
        return ", ".join(["NULL"] * len(split_list(fragment.text))) if fragment else match[0][6:]

    return _USE.sub(replace, _NULLS.sub(nulls, text))
