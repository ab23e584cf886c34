"""SQL files: bodies by name, and their placeholders, whose meaning is not known here."""

import re
from dataclasses import dataclass
from pathlib import Path

from .fragments import DEFINITION, HEADLINE, Definition, Fragment, apply, insert
from .problems import Problems
from .providers import MARK, expand_sql, fill


@dataclass(frozen=True)
class Body:
    """The text after a `-- name: method` line, or after one of the lines that add to a method:

    `-- step:`: a statement that runs before it, in the order of the file; its rows are not read.
    `-- fast:`: a read that answers instead of all of them when it finds a row.
    """

    name: str
    where: str  # `sqlite/sql/users.sql:12`
    text: str
    kind: str = "name"  # name, step, fast


_NAME_LINE = re.compile(r"--\s*(name|step|fast)\s*:\s*(\S+)\s*\Z")


@dataclass(frozen=True)
class Texts:
    """The contents of a backend's SQL files."""

    bodies: dict[str, tuple[str, Body]]  # name -> (file's stem, body)
    fragments: dict[str, Fragment]
    used: set[str]  # names of the fragments that a body uses
    parts: dict[str, list[Body]]  # name -> steps and fast read


def load_texts(folder: Path, providers, problems: Problems) -> Texts:
    """All bodies and column lists of <folder>/*.sql, with the column lists expanded."""
    texts, definitions = Texts({}, {}, set(), {}), {}
    parts = [
        (path.stem, part)
        for path in sorted(folder.glob("*.sql"))
        for part in _split(path, providers, problems)
    ]
    for stem, part in parts:
        if isinstance(part, Body) and part.kind != "name":
            texts.parts.setdefault(part.name, []).append(part)
            continue
        kept = {Fragment: texts.fragments, Definition: definitions}.get(type(part), texts.bodies)
        if part.name in kept:
            taken = kept[part.name][1] if kept is texts.bodies else kept[part.name]
            problems.add(part.where, f"`{part.name}` already has SQL at {taken.where}")
        else:
            kept[part.name] = (stem, part) if kept is texts.bodies else part
    applied = set()

    def expand(body):
        text = apply(body.text, body.where, definitions, applied, problems)
        text = insert(text, body.where, texts.fragments, texts.used, problems)
        return Body(body.name, body.where, text, body.kind)

    for name, (stem, body) in texts.bodies.items():
        texts.bodies[name] = (stem, expand(body))
    for name, bodies in texts.parts.items():
        texts.parts[name] = [expand(body) for body in bodies]
    for definition in definitions.values():
        if definition.name not in applied:
            problems.add(definition.where, f"no statement uses `{{{definition.name} …}}`")
    return texts


def _split(path, providers, problems):
    """The file's bodies and fragments, with `{provider}` text repeated for each provider."""
    label = "/".join(path.parts[-3:])
    parts, head, start, lines = [], None, 0, []
    for number, line in enumerate(
        [*path.read_text(encoding="utf-8").splitlines(), "-- name: ."], 1
    ):
        name = _NAME_LINE.match(line) or HEADLINE.match(line) or DEFINITION.match(line)
        if not name:
            if head is None and line.strip() and not line.lstrip().startswith("--"):
                problems.add(f"{label}:{number}", "SQL before the first `-- name: method` line")
            lines.append(line + "\n")
            continue
        if head is not None:
            parts += _part(head, f"{label}:{start}", "".join(lines), providers)
        head, start, lines = name, number, []
    return parts


def _part(head, where, text, providers):
    text = expand_sql(text, providers)
    if head.re is HEADLINE:
        return [Fragment(head[1], head[2], where, text.strip())]
    if head.re is DEFINITION:
        bare = re.sub(r"--[^\n]*", " ", text).strip()
        return [Definition(head[1], tuple(head[2].split()), where, bare)]
    if MARK in head[2]:
        return [
            Body(fill(head[2], provider), where, fill(text, provider), head[1])
            for provider in providers
        ]
    return [Body(head[2], where, text, head[1])]


# The tokens of SQL that matter for finding placeholders. The first alternative
# that matches counts.
_COMMON = r"""
    (?P<comment> --[^\n]* | /\*.*?\*/ )
  | (?P<quoted> {escaped} '(?:[^']|'')*' | "(?:[^"]|"")*" {quotes} )
  | (?P<cast> :: )
  | :(?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<foreign> {foreign} )
  | (?P<space> \s+ )
  | (?P<open> ['"] | /\* )
  | (?P<end> ; )
  | (?P<other> [A-Za-z0-9_]+ | . )
"""

_TOKENS = {
    "sqlite": re.compile(
        _COMMON.format(
            escaped="", quotes=r"| `[^`]*` | \[[^\]]*\]", foreign=r"\?\d* | [@$][A-Za-z_0-9]+"
        ),
        re.VERBOSE | re.DOTALL,
    ),
    "postgres": re.compile(
        _COMMON.format(
            escaped=r"[eE]'(?:[^'\\]|\\.|'')*' |",
            quotes=r"| \$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$",
            foreign=r"\$\d+",
        ),
        re.VERBOSE | re.DOTALL,
    ),
}


@dataclass(frozen=True)
class Scanned:
    """A statement on one line: texts with placeholder names between them. parts[0::2] are texts."""

    parts: tuple[str, ...]
    bare: str  # the statement without literals and quoted names, for its keywords

    @property
    def names(self):
        """The distinct placeholders in the order of their first use."""
        return list(dict.fromkeys(self.parts[1::2]))

    def render(self, placeholder):
        """The statement with each name replaced by placeholder(name)."""
        return "".join(
            placeholder(part) if index % 2 else part for index, part in enumerate(self.parts)
        )


def outline(text):
    """The words of a PostgreSQL statement that are in no parentheses, each with its place."""
    words, depth = [], 0
    for match in _TOKENS["postgres"].finditer(text):
        depth -= match[0] == ")"
        if depth == 0 and match.lastgroup == "other" and match[0][0].isalpha():
            words.append((match[0].upper(), match.start()))
        depth += match[0] == "("
    return words


def scan(body: Body, backend: str, problems: Problems) -> Scanned:
    parts, bare, ended = [""], [], False
    for match in _TOKENS[backend].finditer(body.text):
        kind, token = match.lastgroup, match[0]
        if kind in ("comment", "space"):
            if kind == "comment" and "/*" in token[2:]:
                problems.add(body.where, f"{body.name}: nested comments")
            parts[-1] += "" if parts[-1].endswith(" ") or parts == [""] else " "
            bare.append(" ")
            continue
        if ended:
            problems.add(body.where, f"{body.name} is more than one statement")
            break
        bare.append("''" if kind == "quoted" else token)
        if kind == "name":
            parts += [match["name"], ""]
        elif kind == "end":
            ended = True
        elif kind == "foreign":
            problems.add(body.where, f"{body.name}: `{token}` is not a placeholder; write :name")
        elif kind == "open":
            problems.add(body.where, f"{body.name}: {token} is not closed")
            break
        else:
            parts[-1] += token
    parts[-1] = parts[-1].rstrip()
    return Scanned(tuple(parts), re.sub(r"\s+", " ", "".join(bare)).strip())
