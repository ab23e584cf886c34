"""Reads the table of error kinds and the limits from the C headers, their only source."""

import re
from pathlib import Path

from .model import ErrorKind
from .problems import Problems

_ROW = re.compile(r'X\(\s*([A-Z_]+), (-\d+), "([a-z_]+)", (true|false), "((?:[^"\\]|\\.)*)"\)')


def load_error_kinds(header: Path, problems: Problems) -> tuple[ErrorKind, ...]:
    """The rows of ERROR_KINDS in protocol/error.h."""
    text = header.read_text(encoding="utf-8")
    # Regardless of line breaks.
    text = re.sub(r"\s*\\\n\s*", " ", text)
    table = re.search(r"#define ERROR_KINDS\(X\)(.*)", text)
    rows = _ROW.findall(table[1]) if table else []
    if not rows or len(rows) != len(re.findall(r"\bX\(", table[1])):
        problems.add(
            header.name,
            'the table ERROR_KINDS cannot be read: a row is X(NAME, code, "wire", bool, "text")',
        )
    return tuple(
        ErrorKind(name, int(code), wire, retryable == "true", meaning)
        for name, code, wire, retryable, meaning in rows
    )


def load_limit(header: Path, name: str) -> int:
    """The value of `enum { NAME = n };`."""
    match = re.search(rf"\b{name} = (\d+)", header.read_text(encoding="utf-8"))
    if not match:
        raise SystemExit(f"{header.name}: {name} is missing")
    return int(match[1])
