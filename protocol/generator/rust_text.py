"""What the emitters of the Rust crate share: names, documentation, and the types of values."""

import re

from . import emit_client as c
from .model import Catalog, Field, Method, ObjectType

BANNER = "// Made by protocol/generate.py from the catalog. Do not edit.\n"
WIDTH = 100

NUMBERS = {"BOOL": "bool", "U16": "u16", "U32": "u32", "I64": "i64", "F64": "f64", "TIME": "Time"}
# Owned texts: Rust type -> the method that borrows the text.
TEXTS = {"String": "as_str", "Secret": "expose", "Document": "as_str", "Json": "as_str"}
_WORDS = (
    "as async await break const continue crate dyn else enum extern false fn for if impl in let "
    "loop match mod move mut pub ref return self static struct super trait true type unsafe use "
    "where while abstract become box do final macro override priv try typeof unsized virtual yield"
).split()


def camel(name: str) -> str:
    """task_status -> TaskStatus."""
    return "".join(part.capitalize() for part in re.split(r"[_.]", name.lower()))


def word(name: str) -> str:
    """A word that Rust reserves becomes a raw identifier."""
    return f"r#{name}" if name in _WORDS else name


def enum_name(catalog: Catalog, name: str) -> str:
    return camel(name) + ("Kind" if camel(name) in catalog.types else "")


def sys_name(kind: ObjectType) -> str:
    """The name of the C struct in sys.rs."""
    return camel(c.snake(kind.name))


def doc(text: str, indent: str = "") -> list[str]:
    """Documentation, folded. What looks like a link or a tag becomes plain text."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    parts[::2] = [re.sub(r"([\[\]<>])", r"\\\1", part) for part in parts[::2]]
    return lines("".join(parts), indent + "/// ")


def lines(text: str, begin: str) -> list[str]:
    """The words of a text in lines of at most WIDTH."""
    found = [""]
    for one in text.split(" "):
        if found[-1] and len(begin) + len(found[-1]) + len(one) + 1 > WIDTH:
            found.append("")
        found[-1] += (" " if found[-1] else "") + one
    return [begin + line for line in found]


def folded(head: str, items, tail: str, indent: str = "") -> list[str]:
    """`head(items)tail` on one line, or with one item per line."""
    line = f"{indent}{head}({', '.join(items)}){tail}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{indent}{head}(", *(f"{indent}    {item}," for item in items), f"{indent}){tail}"]


def methods(catalog: Catalog) -> list[Method]:
    """Those with a call. A transaction is built of calls, by hand."""
    return [method for method in catalog.methods if method.impl != "transaction"]


def stub(catalog: Catalog, field: Field) -> str:
    return c.fields_of(catalog, [field])[0][2]


def value(catalog: Catalog, field: Field) -> str:
    """The Rust type of a value that is owned, without Option."""
    kind, base = stub(catalog, field), field.type.base
    if kind in NUMBERS:
        return NUMBERS[kind]
    if base in catalog.enums:
        return enum_name(catalog, base)
    if field.secret or base == "sealed":
        return "Secret"
    return {
        "OBJECT": base,
        "OBJECTS": f"Vec<{base}>",
        "TEXTS": "Vec<String>",
        "COUNTS": "BTreeMap<String, i64>",
    }.get(kind) or {"uuid": "Uuid", "document": "Document", "json": "Json"}.get(base, "String")


def owned(catalog: Catalog, field: Field) -> str:
    kind = value(catalog, field)
    return f"Option<{kind}>" if field.type.optional else kind


def passed(catalog: Catalog, field: Field, text: str) -> tuple[list[str], list[str]]:
    """How a value that is not a number goes to C: lines before it, and the expressions for C.
    `text` is the value: &str, &T, Uuid or an enumeration, or an Option of these."""
    name, optional = field.name, field.type.optional
    kind = value(catalog, field)
    if kind == "Uuid":
        return [], [f"args.{'optional_uuid' if optional else 'uuid'}({text})"]
    if kind == "Vec<String>":
        given = text if optional else f"Some({text})"
        before = f'let ({name}_texts, {name}_count) = args.texts("{name}", {given});'
        return [before], [f"{name}_texts", f"{name}_count"]
    borrow = TEXTS.get(kind, "as_str")
    if kind != "String":
        text += f".map({kind}::{borrow})" if optional else f".{borrow}()"
    return [], [f'args.{"optional" if optional else "text"}("{name}", {text})']
