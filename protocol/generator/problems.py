"""Problems of the input, each with its location; all of them are reported at once."""

import re
from pathlib import Path


class Refused(Exception):
    """The input has problems; str() has one line for each."""


class Problems:
    def __init__(self):
        self.lines = []

    def add(self, where, message):
        """where: `file:line` or a file."""
        self.lines.append(f"{where}: {message}")

    def raise_if_any(self):
        if self.lines:
            raise Refused("\n".join(self.lines))


_KEY = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")


def _keys(text):
    return tuple(a or b or c for a, b, c in _KEY.findall(text))


class Source:
    """A catalog file as text, to find the line of an entry: tomllib does not report lines."""

    def __init__(self, path: Path, text: str):
        self.name = f"{path.parent.name}/{path.name}"
        self.lines = {}
        self.written_as = lambda key: key  # the file's key for a generated entry
        table = ()
        for number, line in enumerate(text.splitlines(), 1):
            header = re.match(r"\s*\[+([^\]]+)\]", line)
            entry = re.match(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_.-])+)\s*=""", line)
            if header:
                table = _keys(header[1])
                self.lines.setdefault(table, number)
            elif entry:
                self.lines.setdefault(table + _keys(entry[1]), number)

    def where(self, *keys):
        """`catalog/users.toml:12`: the entry's line, or that of the nearest entry around it."""
        if keys not in self.lines:
            keys = tuple(self.written_as(key) for key in keys)
        while keys and keys not in self.lines:
            below = [line for path, line in self.lines.items() if path[: len(keys)] == keys]
            if below:
                return f"{self.name}:{min(below)}"
            keys = keys[:-1]
        return f"{self.name}:{self.lines[keys]}" if keys else self.name
