"""One TOML table under inspection: removes its entries one by one and refuses the rest."""

import re

from .problems import Problems, Source

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
NAME_MAX = 48

# Names become C identifiers in the client's stubs.
C_KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while bool true false""".split()
)

_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    list: "a list of texts",
    dict: "a table",
}


class Table:
    """A table's entries, with their location."""

    def __init__(self, source: Source, problems: Problems, keys, data):
        self.source, self.problems, self.keys = source, problems, tuple(keys)
        self.data = dict(data) if isinstance(data, dict) else {}
        if not isinstance(data, dict):
            self.complain(f"{self.keys[-1]} must be a table")

    @property
    def name(self):
        return self.keys[-1]

    def complain(self, message, *keys):
        self.problems.add(self.source.where(*self.keys, *keys), message)

    def take(self, key, kind, fallback=None, required=False):
        """The entry's value if it has the right kind; otherwise reports a problem and returns the
        fallback.
        """
        if key not in self.data:
            if required:
                self.complain(f"{self.name} has no `{key}`")
            return fallback
        value = self.data.pop(key)
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if kind is list:
            fits = fits and all(isinstance(item, str) for item in value)
        if not fits:
            self.complain(f"`{key}` of {self.name} must be {_KINDS[kind]}", key)
            return fallback
        return value

    def take_any(self, key):
        return self.data.pop(key, None)

    def doc(self):
        """The doc line, which is mandatory."""
        text = self.take("doc", str, "")
        if not text.strip():
            self.complain(f"{self.name} has no doc line")
        elif not text.rstrip().endswith((".", "`", ")")) or "\n" in text:
            self.complain(f"the doc line of {self.name} must be one line of whole sentences", "doc")
        return text.strip()

    def children(self, key):
        """The tables under an entry, each as a Table."""
        value = self.take(key, dict, {})
        return [
            Table(self.source, self.problems, (*self.keys, key, name), data)
            for name, data in value.items()
        ]

    def check_name(self, what):
        if not NAME.match(self.name) or len(self.name) > NAME_MAX:
            self.complain(
                f"{what} `{self.name}`: a name is lower-case letters, digits and _, at most "
                f"{NAME_MAX}"
            )
        elif self.name in C_KEYWORDS:
            self.complain(f"{what} `{self.name}` is a keyword of C")

    def finish(self):
        for key in self.data:
            self.complain(f"{self.name} has an unknown entry `{key}`", key)
