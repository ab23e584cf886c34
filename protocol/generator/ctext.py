"""C literals."""

import json

BANNER = "/* Made by protocol/generate.py from the catalog and the SQL files. Do not edit. */\n"


def string(text):
    """A C string literal of any text: UTF-8 is kept; trigraphs and overlong hex escapes are
    avoided.
    """
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "?":
            out.append("\\?")
        elif ord(char) < 32 or ord(char) == 127:
            out.append(f"\\{ord(char):03o}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def lines_of_string(text, width=110):
    """A long text as several literals, one per line."""
    return "\n".join(
        "\t" + string(text[start : start + width]) for start in range(0, len(text), width)
    )


def integer(value):
    """An int64_t."""
    return (
        "INT64_MIN"
        if value == -(2**63)
        else "INT64_MAX"
        if value == 2**63 - 1
        else f"INT64_C({value})"
        if abs(value) >= 2**31
        else str(value)
    )


def compact_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def member_key(name):
    """The text that the writer of answers appends for a member."""
    return json.dumps(name, ensure_ascii=False) + ":"


def table(declaration, rows):
    """`static const struct x name[] = {…};` with one row per line."""
    return f"static const {declaration}[] = {{\n" + "".join(f"\t{row},\n" for row in rows) + "};\n"


def struct(**entries):
    """A designated initialiser without the entries that are None (they stay zero)."""
    return (
        "{ "
        + ", ".join(f".{key} = {value}" for key, value in entries.items() if value is not None)
        + " }"
    )
