"""JSON Schemas of types. Every scalar carries `x-type`, its name in the catalog."""

from .model import Catalog, Field, ObjectType, TypeRef
from .scalars import CALLS_MAX, SCALARS

_HEX = "[0-9A-Fa-f]"
_UUID_IN = f"^({_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}|{_HEX}{{32}})$"
_UUID_OUT = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_TIME_IN = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$"
_TIME_OUT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"


# A call of a transaction: the params are those of the method.
_CALL = {
    "type": "object",
    "properties": {"method": {"type": "string"}, "params": {"type": ["object", "array"]}},
    "required": ["method"],
    "additionalProperties": False,
}


def schema_of(catalog: Catalog, ref: TypeRef, going_in: bool) -> dict:
    """A use of a type: a parameter (going_in) or part of an answer."""
    if ref.many:
        return {"type": "array", "items": schema_of(catalog, TypeRef(ref.base), going_in)}
    if ref.base in catalog.types or ref.base in catalog.enums:
        link = {"$ref": f"#/components/schemas/{ref.base}"}
        return {"oneOf": [link, {"type": "null"}]} if ref.optional else link
    schema = _scalar(ref.base, going_in)
    if ref.optional:
        _allow_null(schema)
    return schema


def _scalar(base, going_in):
    scalar = SCALARS.get(base)
    if base == "null":
        schema = {"type": "null"}
    elif base == "count":
        schema = {"type": "integer", "minimum": 0}
    elif base in ("any", "json"):
        schema = {}
    elif base == "bool":
        schema = {"type": "boolean"}
    elif scalar.minimum is not None:
        schema = {"type": "integer", "minimum": scalar.minimum, "maximum": scalar.maximum}
    elif base == "f64":
        schema = {"type": "number"}
    elif base == "strings":
        schema = {"type": "array", "items": {"type": "string"}}
    elif base == "document":
        schema = {"type": "object"}
    elif base == "calls":
        schema = {"type": "array", "minItems": 1, "maxItems": CALLS_MAX, "items": _CALL}
    elif base == "map":
        schema = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
    else:
        schema = {"type": "string", **_format(base, going_in)}
    return {
        **schema,
        "x-type": "[string]" if base == "strings" else "string" if base == "sealed" else base,
    }


def _format(base, going_in):
    if base == "uuid":
        return {"pattern": _UUID_IN} if going_in else {"format": "uuid", "pattern": _UUID_OUT}
    if base == "timestamp":
        return {"format": "date-time", "pattern": _TIME_IN if going_in else _TIME_OUT}
    if base == "ip" and going_in:
        return {"maxLength": 255}
    return {}


def _allow_null(schema):
    """A missing member and null mean the same: an optional member is nullable."""
    if "anyOf" in schema:
        schema["anyOf"].append({"type": "null"})
    if "type" in schema and schema["type"] != "null":
        schema["type"] = [schema["type"], "null"]


def parameter_schema(catalog: Catalog, field: Field) -> dict:
    """The schema of a parameter, or of a parameter object's member, with its own bounds."""
    schema = schema_of(catalog, field.type, going_in=True)
    if field.type.many:
        schema |= {"minItems": field.minimum, "maxItems": field.maximum}
    elif field.minimum is not None:
        schema |= {"minimum": field.minimum, "maximum": field.maximum}
    if field.max_bytes:
        schema |= {"maxLength": field.max_bytes, "x-max-bytes": field.max_bytes}
    if field.check == "email":
        schema["pattern"] = "^[^@]+@[^@]+$"
    if field.extracts:
        schema["properties"] = {}
        for extract in field.extracts:
            for name in extract.names:
                schema["properties"][name] = {
                    **schema_of(catalog, TypeRef(extract.type.base, optional=True), True),
                    "description": extract.doc,
                    "x-default": extract.default.value,
                }
    if field.constant is not None:
        schema["default"] = field.constant
    elif field.default is not None:
        schema["x-default"] = field.default.kind  # computed by the daemon
    if field.secret:
        schema["x-secret"] = True
    return schema


def type_schema(catalog: Catalog, kind: ObjectType) -> dict:
    """A component's schema."""
    members = [member for member in kind.members if member.type.base != "nonce"]
    schema = {"type": "object", "description": kind.doc, "properties": {}}
    for member in members:
        inner = (
            parameter_schema(catalog, member)
            if kind.input
            else schema_of(catalog, member.type, going_in=False)
        )
        if "$ref" in inner:
            inner = {"allOf": [inner]}  # many readers ignore keys next to a $ref
        schema["properties"][member.name] = {**inner, "description": member.doc}
        if member.secret and not kind.input:
            schema["properties"][member.name]["x-secret"] = True
    required = [
        member.name
        for member in members
        if (member.required if kind.input else not member.may_be_absent)
    ]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = kind.rest or kind.open
    if kind.exactly_one:
        schema["oneOf"] = [_only(name, kind.exactly_one) for name in kind.exactly_one]
    return schema


def _only(given, names):
    """Exactly one of the names is present and not null."""
    return {
        "required": [given],
        "properties": {
            name: {"type": "null"} if name != given else {"not": {"type": "null"}} for name in names
        },
    }


def enum_schema(enumeration) -> dict:
    return {"type": "string", "description": enumeration.doc, "enum": list(enumeration.values)}
