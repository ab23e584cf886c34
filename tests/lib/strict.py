"""Strict JSON: duplicate names, NaN and the like are refused; integers and doubles are different;
doubles compare to the last bit. `Real` keeps the text of a double, so that a test can check how it
was written."""
import json
import struct


class Real(float):
    """A double that remembers how it was spelled."""

    text = ""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self


class NotStrict(ValueError):
    pass


def _object(pairs):
    found = {}
    for name, value in pairs:
        if name in found:
            raise NotStrict(f"duplicate member {name!r}")
        found[name] = value
    return found


def _constant(text):
    raise NotStrict(f"{text} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=Real)


def loads(text):
    """Returns the value of exactly one JSON text; bytes must be UTF-8 without a byte order mark."""
    if isinstance(text, (bytes, bytearray)):
        text = bytes(text).decode("utf-8")
    if text.startswith("\ufeff"):
        raise NotStrict("byte order mark")
    value, end = _decoder.raw_decode(text.strip(" \t\r\n"))
    if end != len(text.strip(" \t\r\n")):
        raise NotStrict("more than one JSON text")
    return value


def dumps(value):
    """Compact text, with UTF-8 characters unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def bits(number):
    return struct.pack(">d", number)


def digits(text):
    """The significant digits of a number's text: equal for texts that differ only in the position
    of point and exponent."""
    mantissa = text.lower().partition("e")[0].lstrip("-").replace(".", "")
    return mantissa.strip("0")


def difference(a, b, ordered=False, path="$"):
    """Returns where two JSON values differ, in words; None when they are equal. ordered: members
    must also be in the same order."""
    kind_a, kind_b = _kind(a), _kind(b)
    if kind_a != kind_b:
        return f"{path}: {kind_a} {_short(a)} is not {kind_b} {_short(b)}"
    if kind_a == "object":
        if set(a) != set(b):
            left, right = sorted(set(a) - set(b)), sorted(set(b) - set(a))
            return f"{path}: members differ: only left {left}, only right {right}"
        if ordered and list(a) != list(b):
            return f"{path}: order of members {list(a)} is not {list(b)}"
        for name in a:
            found = difference(a[name], b[name], ordered, f"{path}.{name}")
            if found:
                return found
        return None
    if kind_a == "array":
        if len(a) != len(b):
            return f"{path}: {len(a)} items, not {len(b)}"
        for index, (x, y) in enumerate(zip(a, b)):
            found = difference(x, y, ordered, f"{path}[{index}]")
            if found:
                return found
        return None
    if kind_a == "double":
        return None if bits(a) == bits(b) else f"{path}: {a!r} is not {b!r}"
    return None if a == b else f"{path}: {_short(a)} is not {_short(b)}"


def _kind(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "double"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    if isinstance(value, dict):
        return "object"
    raise TypeError(type(value))


def _short(value):
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text)} characters)"
