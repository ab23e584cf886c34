"""The C tables of parameters: struct field, struct extract, struct enumeration."""

from .ctext import compact_json, integer, string, struct, table
from .model import Catalog, Default, Field, Method


def tables(catalog: Catalog) -> list[str]:
    parts = []
    for name in _enums_of_params(catalog):
        values = ", ".join(map(string, catalog.enums[name].values))
        parts.append(
            f"static const char *const enum_values_{name}[] = {{ {values}, NULL }};\n"
            f"static const struct enumeration enum_{name} = {{ {string(name)}, "
            f"enum_values_{name} }};\n"
        )
    for kind in catalog.types.values():
        if kind.exactly_one:
            names = ", ".join(map(string, kind.exactly_one))
            parts.append(
                f"static const char *const exactly_one_{kind.name}[] = {{ {names}, NULL }};\n"
            )
    for method in catalog.methods:
        if method.params:
            parts += _method(catalog, method)
    return parts


def _enums_of_params(catalog):
    return dict.fromkeys(
        leaf.type.base
        for method in catalog.methods
        for leaf in catalog.leaves(method)
        if leaf.type.base in catalog.enums
    )


def _method(catalog: Catalog, method: Method) -> list[str]:
    parts, numbers = [], {bind.name: number for number, bind in enumerate(method.binds)}
    rows = []
    for param in method.params:
        extra = {}
        if param.extracts:
            rows_of_extracts = []
            for extract in param.extracts:
                names = f"extract_names_{method.c_name}_{extract.name}"
                texts = ", ".join(map(string, extract.names))
                parts.append(f"static const char *const {names}[] = {{ {texts}, NULL }};\n")
                rows_of_extracts.append(
                    struct(
                        names=names,
                        type=f"TYPE_{extract.type.base.upper()}",
                        bind=numbers[extract.name],
                        fallback=_fallback(extract.default),
                    )
                )
            name = f"extracts_{method.c_name}_{param.name}"
            parts.append(table(f"struct extract {name}", rows_of_extracts))
            extra = dict(extracts=name, extract_count=len(param.extracts))
        members = catalog.members(param)
        if members:
            name = f"members_{method.c_name}_{param.name}"
            parts.append(
                table(
                    f"struct field {name}", [_field(catalog, member, numbers) for member in members]
                )
            )
            kind = catalog.types[param.type.base]
            extra = dict(
                members=name,
                member_count=len(members),
                exactly_one=f"exactly_one_{kind.name}" if kind.exactly_one else None,
            )
        rows.append(_field(catalog, param, numbers, **extra))
    return parts + [table(f"struct field params_{method.c_name}", rows)]


def _field(catalog: Catalog, field: Field, numbers, **extra) -> str:
    flags = [
        flag
        for flag, on in (
            ("FIELD_OPTIONAL", field.type.optional),
            ("FIELD_EMAIL", field.check == "email"),
            ("FIELD_SECRET", field.secret),
        )
        if on
    ]
    minimum, maximum = (
        (field.minimum, field.maximum) if field.minimum is not None else (0, field.max_bytes)
    )
    scalar = catalog.scalar(field.type)
    return struct(
        name=string(field.name),
        path=string(field.path),
        name_length=len(field.name),
        type=scalar.c_type if scalar else "TYPE_ROWS" if field.type.many else "TYPE_OBJECT",
        flags=" | ".join(flags) or None,
        bind=numbers.get(field.name, -1),
        min=integer(minimum) if minimum else None,
        max=integer(maximum) if maximum else None,
        fallback=_fallback(field.default),
        enumeration=f"&enum_{field.type.base}" if field.type.base in catalog.enums else None,
        **extra,
    )


def _fallback(default: Default | None):
    if default is None:
        return None
    if default.kind == "integer":
        return struct(kind="DEFAULT_INTEGER", integer=integer(default.value))
    if default.kind == "real":
        return struct(kind="DEFAULT_REAL", real=repr(default.value))
    if default.kind in ("text", "strings"):
        text = default.value if default.kind == "text" else compact_json(list(default.value))
        return struct(kind="DEFAULT_TEXT", text=string(text))
    return struct(kind=f"DEFAULT_{default.kind.upper()}")
