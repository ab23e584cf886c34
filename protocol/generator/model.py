"""The catalog in memory: load.py reads it, bind.py completes it, and every emitter writes from it.

Everything here is plain data that has passed all checks. Names are those of the catalog; `c_name`
is a method's name in C. Order matters everywhere: parameters are positional, members are written
and methods numbered in order.
"""

from dataclasses import dataclass, field, replace

from .footprint import Footprint
from .providers import Provider
from .scalars import SCALARS, Scalar

BACKENDS = ("sqlite", "postgres")

AFTER = "after"  # the parameter with the id of the row behind which a page of a list begins

ACCESS = ("read", "write", "full", "admin")  # each includes those before it

# What a read sees: everything committed, on the primary; or at least what its caller has seen and
# written, on the primary or a standby.
READS = ("exact", "causal")


@dataclass(frozen=True)
class TypeRef:
    """A use of a type: `uuid`, `uuid?`, `User?`, `[Goal]`, `[string]`.

    base is a scalar's name (scalars.py; `[string]` as a parameter or member has the base
    `strings`), or the name of an enumeration or of an object type. many: a list of base (results,
    and members of schema-only types).
    """

    base: str
    optional: bool = False
    many: bool = False

    def __str__(self):
        text = "[string]" if self.base == "strings" else self.base
        return f"[{text}]" if self.many else text + ("?" if self.optional else "")


@dataclass(frozen=True)
class Default:
    """The value of a missing or null parameter.

    kind: integer (booleans too), real, text, strings, now, new_uuid.
    """

    kind: str
    value: object = None  # int, float, str, list of str; None for now and new_uuid


@dataclass(frozen=True)
class Enumeration:
    name: str
    doc: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Pick:
    """A value extracted from a document parameter: the first of `names` in it that is not null,
    else the default.
    """

    name: str  # the placeholder in SQL
    names: tuple[str, ...]
    type: TypeRef  # string or f64
    default: Default
    doc: str


@dataclass(frozen=True)
class Field:
    """A parameter, a member of a parameter object, or a member of an answer object."""

    name: str
    type: TypeRef
    doc: str
    path: str = ""  # parameters: from the params on, "user.email" (see Catalog.members)
    secret: bool = False
    default: Default | None = None
    minimum: int | None = None  # integers: smallest and largest value allowed
    maximum: int | None = None
    max_bytes: int = 0  # strings: most bytes, 0 = no limit
    check: str = ""  # "email" or ""
    may_be_absent: bool = False  # members of schema-only types
    extracts: tuple[Pick, ...] = ()  # document parameters

    @property
    def required(self):
        """A parameter is required."""
        return not self.type.optional

    @property
    def constant(self):
        """The default as a JSON value; None where there is none, or the daemon computes it."""
        if self.default is None or self.default.value is None:
            return None
        if self.default.kind == "strings":
            return list(self.default.value)
        return bool(self.default.value) if self.type.base == "bool" else self.default.value


@dataclass(frozen=True)
class ObjectType:
    """A parameter object (input), an answer object, or (schema_only) a description of JSON that the
    daemon writes.
    """

    name: str
    doc: str
    members: tuple[Field, ...]
    input: bool = False
    schema_only: bool = False
    open: bool = False  # schema_only: other members are allowed
    rest: bool = False  # answer: followed by a stored document's other members
    exactly_one: tuple[str, ...] = ()  # input: exactly one of these members is required
    table: str = ""  # answer: the table of its rows; "" for another type's or none


@dataclass(frozen=True)
class BindParam:
    """One of a call's values: parameters first, in order, then extracts, then computed values."""

    name: str  # the placeholder in SQL
    type: str  # a scalar's name or "enum"
    compute: str = "none"  # as enum compute of catalog.h, in lower case
    source: int = -1  # the bind that a computed one reads
    row: bool = False  # it has a value for each row of a list


@dataclass(frozen=True)
class Statement:
    """A method's SQL for one backend, on one line, with numbered placeholders; binds[k] is bound to
    number k + 1."""

    sql: str
    binds: tuple[int, ...]
    # PostgreSQL: the same for an array of keys at once, each row with its key's place; "": none.
    many: str = ""
    # PostgreSQL: see once.py; "": none.
    once: str = ""
    once_bind: int = -1
    footprint: Footprint = Footprint()  # PostgreSQL: what it touches and locks


@dataclass(frozen=True)
class Part:
    """Another statement of a method on SQLite: `fast` or `step` (see sql.Body)."""

    kind: str
    statement: Statement


@dataclass(frozen=True)
class Conflict:
    """A unique key that a call's row may violate."""

    bind: int  # the parameter that data.field names
    names: dict[str, str]  # backend -> the database's name for the key


@dataclass
class Method:
    name: str
    domain: str
    doc: str
    access: str  # one of ACCESS: the minimum role
    params: tuple[Field, ...]  # in positional order
    result: TypeRef  # base "null" and "count" are results without a row
    answer: str  # none, count, row, optional, list: as enum answer of catalog.h
    write: bool  # changes the database
    short: bool
    impl: str  # one of IMPLS (load_methods.py)
    subject: tuple[str, ...]  # parameters (or members) that not_found refers to
    conflict: tuple[str, ...]  # what data.field of a conflict can name
    result_schema: str  # schema-only type that describes a json result; ""
    table: str  # table of the stored values in the result, for errors about them; ""
    touches: bool = False  # a read that at times also writes
    guard: str = ""  # what data.field of a conflict names when its SQL calls unexpected(); ""
    provider: str = ""  # the provider of the token that it seals or opens; "": its parameter tells
    result_secret: bool = False  # the result is a text that grants something: a session's token
    reads: str = ""  # one of READS; "": it is no read by SQL
    # Filled by bind.py
    parts: tuple["Part", ...] = ()  # SQLite: the fast read, then the steps
    binds: tuple[BindParam, ...] = ()
    statements: dict[str, Statement] = field(default_factory=dict)  # by backend; empty without SQL
    conflicts: tuple[Conflict, ...] = ()

    @property
    def has_sql(self):
        return self.joins or self.impl == "position"

    @property
    def joins(self):
        """Whether it can be part of a transaction."""
        return self.impl in ("sql", "hash_password", "verify_password")

    @property
    def causal(self):
        """Whether a standby may answer it."""
        return self.reads == "causal"

    @property
    def conflict_fields(self) -> tuple[str, ...]:
        """All that data.field of a conflict can name."""
        return self.conflict + ((self.guard,) if self.guard else ())

    @property
    def rows(self):
        """The parameter that is a list of rows: the statement is for each of them (SQLite), or for
        arrays of their members (PostgreSQL)."""
        return next((param for param in self.params if param.type.many), None)

    @property
    def keyed(self):
        """Whether an idempotency key makes the write happen once. Reads ignore the key, as do
        operations that no single transaction holds."""
        return self.write and self.impl in ("sql", "hash_password", "transaction")

    @property
    def pages(self):
        """The list can begin behind a row. An unknown one is not_found: the SQL answers a row of
        NULLs then."""
        return self.answer == "list" and any(param.name == AFTER for param in self.params)

    @property
    def c_name(self):
        """create_user, daemon_ping: for C identifiers."""
        return self.name.replace(".", "_")

    @property
    def stub_doc(self):
        """The doc of its functions in C and Rust."""
        return self.doc + (" Causal: a standby may answer it." if self.causal else "")

    @property
    def summary(self):
        """The doc's first sentence."""
        head, dot, _ = self.doc.partition(". ")
        return head + "." if dot else self.doc


@dataclass(frozen=True)
class Domain:
    """One catalog file."""

    name: str
    title: str
    doc: str
    order: int


@dataclass(frozen=True)
class ErrorKind:
    """A row of the table in protocol/error.h."""

    name: str  # NOT_FOUND
    code: int
    wire: str  # not_found
    retryable: bool
    meaning: str


@dataclass
class Catalog:
    title: str
    version: str  # of the interface: `protocol` in daemon.version
    doc: str
    domains: tuple[Domain, ...]
    methods: tuple[Method, ...]  # in the order of their numbers
    types: dict[str, ObjectType]
    enums: dict[str, Enumeration]
    errors: tuple[ErrorKind, ...]
    providers: tuple[Provider, ...] = ()

    def object(self, ref: TypeRef) -> ObjectType | None:
        return self.types.get(ref.base)

    def enumeration(self, ref: TypeRef) -> Enumeration | None:
        return self.enums.get(ref.base)

    def scalar(self, ref: TypeRef) -> Scalar | None:
        """The scalar's row (enumerations are the scalar `enum`); None for object types."""
        return SCALARS["enum"] if ref.base in self.enums else SCALARS.get(ref.base)

    def leaves(self, method: Method) -> list[Field]:
        """The parameters as values: a parameter object is replaced by its members."""
        return [leaf for param in method.params for leaf in self.members(param) or (param,)]

    def members(self, param: Field) -> list[Field]:
        """A parameter object's members with their paths; empty for other parameters."""
        kind = self.types.get(param.type.base)
        mark = "[]" if param.type.many else ""
        return (
            [replace(member, path=f"{param.name}{mark}.{member.name}") for member in kind.members]
            if kind
            else []
        )

    def methods_of(self, domain: Domain) -> list[Method]:
        return [method for method in self.methods if method.domain == domain.name]

    def has_token(self, method: Method) -> bool:
        """Whether it seals a token, or opens one."""
        return self._opens_tokens(method.result) or any(
            leaf.type.base == "sealed" for leaf in self.leaves(method)
        )

    def _opens_tokens(self, ref: TypeRef) -> bool:
        if ref.base == "sealed":
            return True
        kind = self.types.get(ref.base)
        return bool(kind) and any(self._opens_tokens(member.type) for member in kind.members)

    def shows_secrets(self, method: Method) -> bool:
        return method.result_secret or self._has_secret(method.result)

    def _has_secret(self, ref: TypeRef) -> bool:
        kind = self.types.get(ref.base)
        return bool(kind) and any(
            member.secret or self._has_secret(member.type) for member in kind.members
        )

    def errors_of(self, method: Method) -> list[ErrorKind]:
        """The errors that a call of the method can return, in the table's order."""
        kinds = {"invalid_params", "internal", "permission_denied", "too_large", "shutting_down"}
        if method.impl != "daemon":
            kinds |= {"unavailable", "timeout", "storage"}
        if method.subject or method.pages:
            kinds.add("not_found")
        if method.conflict_fields:
            kinds.add("conflict")
        if method.impl == "transaction":  # those of its calls
            kinds |= {"not_found", "conflict", "decryption_failed"}
        if self._opens_tokens(method.result):
            kinds.add("decryption_failed")
        return [kind for kind in self.errors if kind.wire in kinds]
