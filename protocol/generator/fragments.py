"""Column lists that several statements share: `-- columns: User u`, used as `{User}` or `{User c}`.

The list names its columns with the alias of its headline (`u.email`). `{User}` drops the alias,
`{User c}` replaces it. A list contains the columns of the answer type of the same name, in order.
"""

import re
from dataclasses import dataclass

from .problems import Problems

HEADLINE = re.compile(r"--\s*columns\s*:\s*([A-Z]\w*) ([a-z]\w*)\s*\Z")
_USE = re.compile(r"\{([A-Z]\w*)(?: ([a-z]\w*))?\}")


@dataclass(frozen=True)
class Fragment:
    name: str  # the answer type's
    alias: str
    where: str  # `sqlite/sql/users.sql:12`
    text: str

    def columns(self, alias: str | None) -> str:
        return re.sub(rf"\b{self.alias}\.", f"{alias}." if alias else "", self.text)


def insert(
    text: str, where: str, fragments: dict[str, Fragment], used: set[str], problems: Problems
) -> str:
    """The statement with its fragments expanded. Adds the names used to `used`."""

    def replace(match):
        fragment = fragments.get(match[1])
        if fragment is None:
            problems.add(where, f"no `-- columns: {match[1]} …` in this backend's SQL")
            return match[0]
        used.add(match[1])
        return fragment.columns(match[2])

    return _USE.sub(replace, text)
