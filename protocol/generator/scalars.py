"""The scalar types, one row each: the type in C and in PostgreSQL, and where it is allowed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scalar:
    name: str  # in the catalog
    c_type: str  # enum type of protocol/value.h
    postgres: str  # the type of a placeholder in PostgreSQL; "" where none is bound
    input: bool = True  # may be a parameter or a member of a parameter object
    output: bool = True  # may be a result or a member of an answer object
    minimum: int | None = None
    maximum: int | None = None


_ROWS = (
    Scalar("null", "TYPE_NULL", "", output=False),
    Scalar("any", "TYPE_ANY", "", output=False),
    Scalar("bool", "TYPE_BOOL", "boolean"),
    Scalar("u16", "TYPE_U16", "integer", minimum=0, maximum=2**16 - 1),
    Scalar("u32", "TYPE_U32", "bigint", minimum=0, maximum=2**32 - 1),
    Scalar("i64", "TYPE_I64", "bigint", minimum=-(2**63), maximum=2**63 - 1),
    Scalar("f64", "TYPE_F64", "double precision"),
    Scalar("string", "TYPE_STRING", "text"),
    Scalar("uuid", "TYPE_UUID", "uuid"),
    Scalar("timestamp", "TYPE_TIMESTAMP", "timestamptz"),
    Scalar("ip", "TYPE_IP", "inet"),
    Scalar("enum", "TYPE_ENUM", "text"),  # appears as the enumeration's name
    Scalar("strings", "TYPE_STRINGS", "jsonb"),  # written [string]; passed as JSON text
    Scalar("document", "TYPE_DOCUMENT", "jsonb"),
    Scalar("json", "TYPE_JSON", "jsonb"),
    Scalar("map", "TYPE_MAP", "", input=False),
    Scalar("sealed", "TYPE_SEALED", "text"),
    Scalar("rows", "TYPE_ROWS", "", input=False, output=False),  # written [T] of an input type
    Scalar("calls", "TYPE_CALLS", "", output=False),  # of a transaction
    Scalar("nonce", "TYPE_NONCE", "text", input=False),  # an answer's hidden column
)

SCALARS = {row.name: row for row in _ROWS}

# Types without a value of their own in a call.
UNBOUND = ("null", "any", "calls")

# Max bytes of an `identifier`, a string parameter that names a row.
IDENTIFIER = "identifier"
IDENTIFIER_MAX_BYTES = 1024

# Max calls of one transaction.
CALLS_MAX = 100

INTEGERS = ("u16", "u32", "i64")
