"""Text that several statements share.

Column lists: `-- columns: User u`, used as `{User}` or `{User c}`. The list names its columns with
the alias of its headline (`u.email`). `{User}` drops the alias, `{User c}` replaces it. A list
contains the columns of the answer type of the same name, in order.

Other text: `-- fragment: counted_usage`, used as `{counted_usage}`. Its placeholders are those of
the statements that use it.
"""

import re
from dataclasses import dataclass

from .problems import Problems

HEADLINE = re.compile(r"--\s*columns\s*:\s*([A-Z]\w*) ([a-z]\w*)\s*\Z")
TEXT_HEADLINE = re.compile(r"--\s*fragment\s*:\s*([a-z]\w*)()\s*\Z")
_USE = re.compile(r"\{([A-Za-z]\w*)(?: ([a-z]\w*))?\}")


@dataclass(frozen=True)
class Fragment:
    name: str  # of a column list: the answer type's
    alias: str  # of a column list
    where: str  # `sqlite/sql/users.sql:12`
    text: str

    @property
    def is_list(self) -> bool:
        return self.alias != ""

    def columns(self, alias: str | None) -> str:
        return re.sub(rf"\b{self.alias}\.", f"{alias}." if alias else "", self.text)


def insert(
    text: str, where: str, fragments: dict[str, Fragment], used: set[str], problems: Problems
) -> str:
    """The statement with its fragments expanded. Adds the names used to `used`."""

    def replace(match):
        fragment = fragments.get(match[1])
        if fragment is None:
            kind = "columns" if match[1][0].isupper() else "fragment"
            problems.add(where, f"no `-- {kind}: {match[1]} …` in this backend's SQL")
            return match[0]
        used.add(match[1])
        return fragment.columns(match[2]) if fragment.is_list else fragment.text

    return _USE.sub(replace, text)
