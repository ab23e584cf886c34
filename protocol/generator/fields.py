"""Parameters and members: their types, ranges, defaults and extracts."""

import difflib
import math
import re

from .model import Catalog, Default, Field, Pick, TypeRef
from .scalars import IDENTIFIER, IDENTIFIER_MAX_BYTES, INTEGERS, SCALARS
from .tables import Table


def load_field(catalog: Catalog, table: Table, use, known) -> Field | None:
    """use: param, input (member of a parameter object), output or schema. known: names of all
    object types."""
    table.check_name("member" if use in ("output", "schema") else "parameter")
    doc = table.doc()
    text = table.take("type", str, "", required=True)
    ref = parse_type(catalog, table, text, use, known)
    if ref is None:
        return None
    secret = table.take("secret", bool, ref.base == "sealed")
    may_be_absent = use == "schema" and table.take("may_be_absent", bool, False)
    if use in ("output", "schema"):
        table.finish()
        return Field(table.name, ref, doc, secret=secret, may_be_absent=may_be_absent)
    minimum, maximum = _range(table, ref)
    max_bytes = _max_bytes(
        table, ref, IDENTIFIER_MAX_BYTES if text.rstrip("?") == IDENTIFIER else 0
    )
    check = _check(table, ref)
    default = None
    if "default" in table.data:
        default = load_default(catalog, table, ref, minimum, maximum)
        if not ref.optional:
            table.complain(f"{table.name} has a default, so its type must end with ?", "default")
    extracts = tuple(
        filter(None, (_extract(catalog, child) for child in table.children("extracts")))
    )
    if extracts and (ref.base != "document" or ref.optional or use != "param"):
        table.complain(f"{table.name}: extracts need a required document parameter", "extracts")
    table.finish()
    return Field(
        table.name,
        ref,
        doc,
        table.name,
        secret,
        default,
        minimum,
        maximum,
        max_bytes,
        check,
        extracts=extracts,
    )


def parse_type(catalog: Catalog, table: Table, text, use, known) -> TypeRef | None:
    match = re.match(r"(\[)?([A-Za-z0-9_]+)(\])?(\?)?\Z", text)
    if not match or bool(match[1]) != bool(match[3]):
        table.complain(f"`{text}` is not a type", "type")
        return None
    base, listed, optional = match[2], bool(match[1]), bool(match[4])
    if listed and base == "string":
        return TypeRef("strings", optional)
    if listed and use != "schema" and not (use == "param" and base in catalog.types):
        table.complain(f"`{text}`: a list is [string], or a parameter of an input type", "type")
        return None
    if base == IDENTIFIER and not listed:
        # Rows stored before the limit may hold longer ones, which stay readable.
        if use not in ("param", "input"):
            table.complain("`identifier` limits input; use `string` in an answer", "type")
            return None
        return TypeRef("string", optional)
    scalar = SCALARS.get(base) if base not in ("enum", "strings", "rows") else None
    if scalar is None and base not in known and base not in catalog.enums:
        near = difflib.get_close_matches(base, [*SCALARS, *known, *catalog.enums], 1)
        table.complain(
            f"unknown type `{base}`" + (f"; did you mean `{near[0]}`?" if near else ""), "type"
        )
        return None
    return _allowed(catalog, table, TypeRef(base, optional, listed), scalar, use)


def _allowed(catalog, table, ref, scalar, use):
    """The type if it is allowed there. Objects in answers are checked once all types are loaded."""
    going_in = use in ("param", "input")
    kind = catalog.types.get(ref.base)  # parameters: all types are loaded now
    problem = None
    if scalar and not (scalar.input if going_in else scalar.output):
        problem = f"`{ref.base}` cannot be {'a parameter' if going_in else 'part of an answer'}"
    elif ref.base in ("null", "any") and not ref.optional:
        problem = f"`{ref.base}` must end with ?: such a member may be missing"
    elif ref.optional and ref.base in ("sealed", "nonce"):
        problem = f"`{ref.base}` cannot be optional"
    elif scalar or ref.base in catalog.enums:
        pass
    elif use == "input":
        problem = f"`{ref.base}`: a parameter object holds plain values, not other objects"
    elif use == "param" and (not kind or not kind.input):
        problem = f"`{ref.base}` is not an `input` type"
    elif use == "param" and ref.optional:
        problem = "a parameter object cannot be optional"
    if problem:
        table.complain(problem, "type")
        return None
    return ref


def _range(table, ref):
    if ref.many:
        return 1, table.take("max", int, required=True)
    scalar = SCALARS.get(ref.base)
    if ref.base not in INTEGERS:
        for key in ("min", "max"):
            if table.take_any(key) is not None:
                table.complain(f"`{key}` belongs to whole numbers; a string has `max_bytes`", key)
        return None, None
    minimum = table.take("min", int, scalar.minimum)
    maximum = table.take("max", int, scalar.maximum)
    if not scalar.minimum <= minimum <= maximum <= scalar.maximum:
        table.complain(
            f"the range of {table.name}, {minimum} to {maximum}, does not fit {ref.base}"
        )
    return minimum, maximum


def _max_bytes(table, ref, fallback):
    max_bytes = table.take("max_bytes", int, fallback)
    if max_bytes < 0 or (max_bytes and ref.base not in ("string", "sealed")):
        table.complain("`max_bytes` is a positive number, and belongs to strings", "max_bytes")
    return max_bytes


def _check(table, ref):
    check = table.take("check", str, "")
    if check and (check != "email" or ref.base != "string"):
        table.complain('`check` is "email", and belongs to strings', "check")
    return check


def load_default(
    catalog: Catalog, table: Table, ref: TypeRef, minimum=None, maximum=None
) -> Default | None:
    value = table.take_any("default")
    base = ref.base
    if base == "timestamp" and value == "now":
        return Default("now")
    if base == "uuid" and value == "new_uuid":
        return Default("new_uuid")
    if base == "bool" and isinstance(value, bool):
        return Default("integer", int(value))
    if (
        base in INTEGERS
        and isinstance(value, int)
        and not isinstance(value, bool)
        and minimum <= value <= maximum
    ):
        return Default("integer", value)
    if (
        base == "f64"
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    ):
        return Default("real", float(value))
    if base == "string" and isinstance(value, str) and "\0" not in value:
        return Default("text", value)
    if base in catalog.enums and value in catalog.enums[base].values:
        return Default("text", value)
    if (
        base == "strings"
        and isinstance(value, list)
        and all(isinstance(item, str) for item in value)
    ):
        return Default("strings", tuple(value))
    table.complain(f"bad default of {table.name}: {value!r} is not a valid {ref}", "default")
    return None


def _extract(catalog, table):
    table.check_name("extract")
    doc = table.doc()
    names = table.take("from", list, [], required=True)
    text = table.take("type", str, "", required=True)
    if text not in ("string", "f64"):
        table.complain(f"an extract is a string or an f64, not `{text}`", "type")
        return None
    if not names or len(set(names)) != len(names):
        table.complain("`from` names different members, at least one", "from")
    if "default" not in table.data:
        table.complain(f"{table.name} has no `default`")
        return None
    default = load_default(catalog, table, TypeRef(text))
    table.finish()
    return Pick(table.name, tuple(names), TypeRef(text), default, doc) if default else None
