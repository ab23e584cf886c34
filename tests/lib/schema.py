"""The part of JSON Schema that an OpenRPC document of this daemon may use. An unknown keyword is an
error, so that no part of a schema is skipped silently."""
import datetime
import ipaddress
import math
import re

IGNORED = {
    "title",
    "description",
    "examples",
    "default",
    "deprecated",
    "$comment",
    "readOnly",
    "writeOnly",
}
FORMATS = {
    "uuid",
    "date-time",
    "ip",
    "ipv4",
    "ipv6",
    "double",
    "int64",
    "uint32",
    "uint16",
    "email",
    "byte",
}


class UnknownSchema(Exception):
    pass


class Schemas:
    """Validates values against schemas of one document; resolves its `#/…` references."""

    def __init__(self, document):
        self.document = document

    def resolve(self, reference):
        if not reference.startswith("#/"):
            raise UnknownSchema(f"reference {reference!r}")
        found = self.document
        for part in reference[2:].split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found

    def wrong(self, schema, value, path="$"):
        """Returns what is wrong with the value, in words; None when it fits."""
        if schema is True:
            return None
        if schema is False:
            return f"{path}: nothing is allowed here"
        for keyword, argument in schema.items():
            if keyword in IGNORED or keyword.startswith("x-"):
                continue
            check = CHECKS.get(keyword)
            if check is None:
                raise UnknownSchema(f"keyword {keyword!r}")
            problem = check(self, schema, argument, value, path)
            if problem:
                return problem
        return None


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


TYPES = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": _is_integer,
    "number": lambda v: _is_integer(v) or isinstance(v, float),
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def _type(_, __, argument, value, path):
    names = argument if isinstance(argument, list) else [argument]
    return None if any(TYPES[name](value) for name in names) else f"{path}: no {' or '.join(names)}"


def _ref(schemas, _, argument, value, path):
    return schemas.wrong(schemas.resolve(argument), value, path)


def _properties(schemas, _, argument, value, path):
    if isinstance(value, dict):
        for name, inner in argument.items():
            if name in value:
                problem = schemas.wrong(inner, value[name], f"{path}.{name}")
                if problem:
                    return problem
    return None


def _additional(schemas, schema, argument, value, path):
    if isinstance(value, dict):
        for name in value:
            if name not in schema.get("properties", {}):
                problem = schemas.wrong(argument, value[name], f"{path}.{name}")
                if problem:
                    return problem
    return None


def _required(_, __, argument, value, path):
    missing = [name for name in argument if isinstance(value, dict) and name not in value]
    return f"{path}: {missing} missing" if missing else None


def _property_names(schemas, _, argument, value, path):
    for name in value if isinstance(value, dict) else ():
        problem = schemas.wrong(argument, name, f"{path} (name {name!r})")
        if problem:
            return problem
    return None


def _items(schemas, _, argument, value, path):
    for index, item in enumerate(value if isinstance(value, list) else ()):
        problem = schemas.wrong(argument, item, f"{path}[{index}]")
        if problem:
            return problem
    return None


def _enum(_, __, argument, value, path):
    return (
        None
        if any(value == one and type(value) is type(one) for one in argument)
        else f"{path}: {value!r} is not of {argument}"
    )


def _one_of(schemas, _, argument, value, path):
    problems = [schemas.wrong(one, value, path) for one in argument]
    return (
        None
        if problems.count(None) == 1
        else f"{path}: fits {problems.count(None)} of oneOf ({problems})"
    )


def _any_of(schemas, _, argument, value, path):
    problems = [schemas.wrong(one, value, path) for one in argument]
    return None if None in problems else f"{path}: fits none of anyOf ({problems})"


def _all_of(schemas, _, argument, value, path):
    return next(filter(None, (schemas.wrong(one, value, path) for one in argument)), None)


def _not(schemas, _, argument, value, path):
    return (
        f"{path}: fits what it must not" if schemas.wrong(argument, value, path) is None else None
    )


def _bound(compare, words, measure=None, of=(int, float)):
    def check(_, __, argument, value, path):
        if not isinstance(value, of) or isinstance(value, bool):
            return None
        size = measure(value) if measure else value
        return None if compare(size, argument) else f"{path}: {size} is {words} {argument}"

    return check


def _pattern(_, __, argument, value, path):
    return (
        f"{path}: {value!r} is not of the pattern"
        if isinstance(value, str) and not re.search(argument, value)
        else None
    )


def _format(_, __, argument, value, path):
    if argument not in FORMATS:
        raise UnknownSchema(f"format {argument!r}")
    try:
        if isinstance(value, str) and argument == "uuid":
            fits = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)
        elif isinstance(value, str) and argument == "date-time":
            fits = (
                datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
                if not value.startswith("0000")
                else True
            )
        elif isinstance(value, str) and argument in ("ip", "ipv4", "ipv6"):
            fits = ipaddress.ip_address(value)
        elif argument == "double":
            fits = value is None or not isinstance(value, float) or math.isfinite(value)
        else:
            fits = True
    except ValueError:
        fits = False
    return None if fits else f"{path}: {value!r} is no {argument}"


CHECKS = {
    "$ref": _ref,
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "propertyNames": _property_names,
    "items": _items,
    "enum": _enum,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "allOf": _all_of,
    "not": _not,
    "pattern": _pattern,
    "format": _format,
    "const": lambda s, c, argument, value, path: _enum(s, c, [argument], value, path),
    "minimum": _bound(lambda v, a: v >= a, "below"),
    "maximum": _bound(lambda v, a: v <= a, "above"),
    "exclusiveMinimum": _bound(lambda v, a: v > a, "not above"),
    "exclusiveMaximum": _bound(lambda v, a: v < a, "not below"),
    "minLength": _bound(lambda v, a: v >= a, "under", len, str),
    "maxLength": _bound(lambda v, a: v <= a, "over", len, str),
    "minItems": _bound(lambda v, a: v >= a, "under", len, list),
    "maxItems": _bound(lambda v, a: v <= a, "over", len, list),
    "minProperties": _bound(lambda v, a: v >= a, "under", len, dict),
    "maxProperties": _bound(lambda v, a: v <= a, "over", len, dict),
}
