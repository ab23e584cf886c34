"""methods.md: the reference of every method, type and error."""

import re
from dataclasses import replace

from .model import Catalog, Field, Method, ObjectType

_ACCESS = {"read": "reads", "write": "writes", "full": "reads secrets", "admin": "administers"}

_INTRODUCTION = """\
[protocol.md](protocol.md) describes the transport and the scalar types. `rpc.discover` returns this reference as an
OpenRPC document.

Parameters are passed by name or, in the order of the tables, by position. Parameters marked *optional* may be omitted
or null; unknown names are refused. Members of results are always present, in the order listed here. *Access* is the
minimum role of the caller: `read`, `write`, `full` (reads secrets) or `admin`, each of which includes those before it.
""".split(
    "\n"
)


def reference(catalog: Catalog) -> str:
    out = [
        "<!-- Made by protocol/generate.py --docs from protocol/catalog/*.toml. Do not edit. -->",
        "",
        "# Methods",
        "",
        f"Version {catalog.version} of the interface. {catalog.doc}",
        "",
        *_INTRODUCTION,
    ]
    for domain in catalog.domains:
        names = ", ".join(
            f"[{method.name}](#{_anchor(method.name)})" for method in catalog.methods_of(domain)
        )
        out.append(f"- **[{domain.title}](#{_anchor(domain.title)})**: {names}")
    out += ["- **[Types](#types)**, **[Errors](#errors)**", ""]
    for domain in catalog.domains:
        out += [f"## {domain.title}", "", domain.doc, ""]
        for method in catalog.methods_of(domain):
            out += _method(catalog, method)
    out += ["## Types", ""]
    for kind in sorted(catalog.types.values(), key=lambda kind: kind.name.lower()):
        out += _type(catalog, kind)
    for enum in sorted(catalog.enums.values(), key=lambda enum: enum.name):
        out += [
            f"### {enum.name}",
            "",
            enum.doc,
            "",
            ", ".join(f"`{value}`" for value in enum.values),
            "",
        ]
    out += _errors(catalog)
    return "\n".join(out)


def _anchor(title):
    return re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-")


def _method(catalog: Catalog, method: Method) -> list[str]:
    params = ", ".join(param.name + ("?" if param.type.optional else "") for param in method.params)
    result = method.result_schema or str(method.result)
    out = [
        f"### {method.name}",
        "",
        f"`{method.name}({params})` → {_linked(catalog, result)}",
        "",
        method.doc,
        "",
    ]
    if method.params:
        out += ["| parameter | type | |", "|---|---|---|"]
        out += [
            f"| `{param.name}` | {_linked(catalog, str(param.type))} | {_param_text(param)} |"
            for param in method.params
        ]
        out.append("")
        for param in method.params:
            if param.extracts:
                out += _extracts(param)
    errors = [
        f"`{kind.wire}`" + _about(method, kind.wire)
        for kind in catalog.errors_of(method)
        if kind.wire in ("not_found", "conflict", "decryption_failed")
    ]
    out += [
        f"Access: `{method.access}` ({_ACCESS[method.access]})."
        + (f" Specific errors: {', '.join(errors)}." if errors else ""),
        "",
    ]
    return out


def _about(method, wire):
    if wire == "not_found":
        return f" ({' or '.join(method.subject)})"
    if wire == "conflict":
        return f" ({', '.join(method.conflict)})"
    return ""


def _linked(catalog, text):
    base = text.strip("[]?")
    if base in catalog.types or base in catalog.enums:
        return (
            text.replace("[", r"\[")
            .replace("]", r"\]")
            .replace(base, f"[{base}](#{_anchor(base)})")
        )
    return f"`{text}`"


def _param_text(field: Field) -> str:
    notes = []
    if field.default is not None:
        value = {"now": "the time of the call", "new_uuid": "a new random UUID"}.get(
            field.default.kind
        )
        if value is None:
            value = (
                str(field.constant).lower() if field.type.base == "bool" else f"`{field.constant}`"
            )
        notes.append(f"optional, default {value}")
    elif field.type.optional:
        notes.append("optional")
    if field.minimum is not None and (field.minimum, field.maximum) not in _WHOLE_RANGES:
        notes.append(f"{field.minimum} to {field.maximum:,}")
    if field.max_bytes:
        notes.append(f"at most {field.max_bytes:,} bytes")
    if field.secret:
        notes.append("secret")
    return field.doc + (f" *({'; '.join(notes)})*" if notes else "")


_WHOLE_RANGES = ((0, 2**16 - 1), (0, 2**32 - 1), (-(2**63), 2**63 - 1))


def _extracts(param: Field) -> list[str]:
    out = [
        f"Members of `{param.name}` that the method reads:",
        "",
        "| value | member | type | default |",
        "|---|---|---|---|",
    ]
    for extract in param.extracts:
        names = ", else ".join(f"`{name}`" for name in extract.names)
        out.append(f"| {extract.name} | {names} | `{extract.type}` | `{extract.default.value}` |")
    return out + [""]


def _type(catalog: Catalog, kind: ObjectType) -> list[str]:
    out = [f"### {kind.name}", "", kind.doc, "", "| member | type | |", "|---|---|---|"]
    for member in kind.members:
        if member.type.base == "nonce":
            continue
        base = member.type.base
        text = _linked(
            catalog,
            str(replace(member.type, base="string" if base == "sealed" else base, optional=False)),
        )
        text += (
            " or null"
            if member.type.optional and not kind.input and base not in ("null", "any")
            else ""
        )
        absent = " *(may be absent)*" if member.may_be_absent else ""
        out.append(
            f"| `{member.name}` | {text} | {_param_text(member) if kind.input else member.doc + absent} |"
        )
    return out + [""]


def _errors(catalog: Catalog) -> list[str]:
    out = [
        "## Errors",
        "",
        "Every method can fail with `invalid_params`, `permission_denied`, `too_large`, `shutting_down` and "
        "`internal`; methods that",
        "query the database also with `unavailable`, `timeout` and `storage`.",
        "",
        "| code | kind | retryable | when |",
        "|---|---|---|---|",
    ]
    out += [
        f"| {kind.code} | `{kind.wire}` | {'yes' if kind.retryable else 'no'} | {kind.meaning} |"
        for kind in catalog.errors
    ]
    return out + [""]
