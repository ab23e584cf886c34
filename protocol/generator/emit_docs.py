"""methods.md: the reference of every method, type and error."""

import re
import textwrap
from dataclasses import replace

from .model import AFTER, Catalog, Field, Method, ObjectType

_ACCESS = {"read": "reads", "write": "writes", "full": "reads secrets", "admin": "administers"}

_INTRODUCTION = (
    "[protocol.md](protocol.md) describes the transport and the scalar types. "
    "`rpc.discover` returns the content of this page as an OpenRPC document.",
    "Parameters are passed by name or, in the order of the tables, by position. Those marked "
    "*optional* may be omitted or null; unknown names are refused. Members of results are always "
    "present, in the order listed here. *Access* is the minimum role of the caller: `read`, "
    "`write`, `full` (reads secrets) or `admin`. Each role includes those before it.",
    "*Reads* says which server of PostgreSQL may answer. `exact`: the primary. `causal`: also a "
    "standby that shows at least what the connection has written and seen "
    "([postgresql.md](postgresql.md#reads-from-standbys)).",
)

_WIDTH = 100
_SHORT_CODE = re.compile(r"`[^`]{1,60}`")


def _filled(text: str, indent: str = "") -> list[str]:
    """Prose in lines of at most 100 columns. Short code is not split."""
    whole = _SHORT_CODE.sub(lambda code: code[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(
        whole,
        _WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def reference(catalog: Catalog) -> str:
    out = [
        "<!-- Made by protocol/generate.py --docs from protocol/catalog/*.toml. Do not edit. -->",
        "",
        "# Methods",
        "",
        *_filled(f"Version {catalog.version} of the interface. {catalog.doc}"),
        "",
    ]
    for paragraph in _INTRODUCTION:
        out += [*_filled(paragraph), ""]
    for domain in catalog.domains:
        names = ", ".join(
            f"[{method.name}](#{_anchor(method.name)})" for method in catalog.methods_of(domain)
        )
        out += _filled(f"- **[{domain.title}](#{_anchor(domain.title)})**: {names}", "  ")
    out += ["- **[Types](#types)**, **[Errors](#errors)**", ""]
    for domain in catalog.domains:
        out += [f"## {domain.title}", "", *_filled(domain.doc), ""]
        for method in catalog.methods_of(domain):
            out += _method(catalog, method)
    out += ["## Types", ""]
    for kind in sorted(catalog.types.values(), key=lambda kind: kind.name.lower()):
        out += _type(catalog, kind)
    for enum in sorted(catalog.enums.values(), key=lambda enum: enum.name):
        out += [
            f"### {enum.name}",
            "",
            *_filled(enum.doc),
            "",
            *_filled(", ".join(f"`{value}`" for value in enum.values)),
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
        *_filled(f"`{method.name}({params})` → {_linked(catalog, result)}"),
        "",
        *_filled(method.doc),
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
        *_filled(
            f"Access: `{method.access}` ({_ACCESS[method.access]})."
            + (f" Reads: `{method.reads}`." if method.reads else "")
            + (f" Specific errors: {', '.join(errors)}." if errors else "")
        ),
        "",
    ]
    return out


def _about(method, wire):
    if wire == "not_found":
        names = [*method.subject, *([AFTER] if method.pages else [])]
        return f" ({' or '.join(names)})"
    if wire == "conflict":
        return f" ({', '.join(method.conflict_fields)})"
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
        unit = " of them" if field.type.many else ""
        notes.append(f"{field.minimum} to {field.maximum:,}{unit}")
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
    out = [f"### {kind.name}", "", *_filled(kind.doc), "", "| member | type | |", "|---|---|---|"]
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
        meaning = _param_text(member) if kind.input else member.doc + absent
        out.append(f"| `{member.name}` | {text} | {meaning} |")
    return out + [""]


def _errors(catalog: Catalog) -> list[str]:
    out = [
        "## Errors",
        "",
        *_filled(
            "Every method can fail with `invalid_params`, `permission_denied`, `too_large`, "
            "`shutting_down` and `internal`. Methods that use the database can also fail with "
            "`unavailable`, `timeout` and `storage`."
        ),
        "",
        "| code | kind | retryable | when |",
        "|---|---|---|---|",
    ]
    out += [
        f"| {kind.code} | `{kind.wire}` | {'yes' if kind.retryable else 'no'} | {kind.meaning} |"
        for kind in catalog.errors
    ]
    return out + [""]
