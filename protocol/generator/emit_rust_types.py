"""The Rust crate's types of parameters and answers: types.rs."""

from . import emit_client as c
from .model import Catalog, Field, ObjectType
from .rust_text import (
    BANNER,
    NUMBERS,
    camel,
    doc,
    enum_name,
    folded,
    owned,
    passed,
    stub,
    sys_name,
    value,
    word,
)

_CONVERTED = ("String", "Secret")  # constructors take what can become one


def enums(catalog: Catalog) -> list[str]:
    """The enumerations that parameters and answers have."""
    fields = [member for kind in c.answers(catalog) + c.inputs(catalog) for member in kind.members]
    fields += [param for method in catalog.methods for param in method.params]
    found = {field.type.base for field in fields}
    return [name for name in catalog.enums if name in found]


def source(catalog: Catalog) -> str:
    out = [
        BANNER,
        "//! The types of parameters and answers.\n",
        "#![allow(unused_imports)]\n",
        "use super::sys;",
        "use crate::args::Args;",
        "use crate::error::Result;",
        "use crate::read::*;",
        "use crate::secret::Secret;",
        "use crate::values::{Document, Json, Time, Uuid};",
        "use std::collections::BTreeMap;",
        "use std::os::raw::c_char;\n",
    ]
    answered = {member.type.base for kind in c.answers(catalog) for member in kind.members}
    for name in enums(catalog):
        out += _enum(catalog, name, name in answered)
    for kind in c.answers(catalog):
        out += _answer(catalog, kind)
    for kind in c.inputs(catalog):
        out += _input(catalog, kind)
    return "\n".join(out)


def _enum(catalog, name, answered):
    kind, rust = catalog.enums[name], enum_name(catalog, name)
    words = [(camel(one), one) for one in kind.values]
    read = [
        "    unsafe fn read(c: *const c_char) -> Result<Self> {",
        "        match borrowed(c)? {",
        *(f'            "{one}" => Ok({rust}::{variant}),' for variant, one in words),
        f'            other => Err(unknown_word("{name}", other)),',
        "        }\n    }\n",
    ]
    return [
        *doc(kind.doc),
        "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]",
        "#[non_exhaustive]",
        f"pub enum {rust} {{",
        *(f"    /// `{one}`\n    {variant}," for variant, one in words),
        "}\n",
        f"impl {rust} {{",
        "    /// The word on the wire.",
        "    pub fn as_str(self) -> &'static str {",
        "        match self {",
        *(f'            {rust}::{variant} => "{one}",' for variant, one in words),
        "        }\n    }\n",
        *(read if answered else []),
        "}\n",
    ]


def _struct(catalog, kind, text):
    members = []
    for field, _, _ in c.fields_of(catalog, kind.members):
        note = f" Default: {c.default_text(field)}." if field.default else ""
        members += doc(field.doc + note, "    ")
        members.append(f"    pub {word(field.name)}: {owned(catalog, field)},")
    if kind.rest:
        members += [*doc(c.WHOLE, "    "), "    pub whole: Document,"]
    return [
        *doc(text),
        "#[derive(Clone, Debug, PartialEq)]",
        "#[non_exhaustive]",
        f"pub struct {kind.name} {{",
        *members,
        "}\n",
    ]


# Answers
# --------------------------------------------------------------------------------------------------


def _read(catalog, field: Field):
    """The expression that reads a member of a C struct."""
    kind, member, optional = stub(catalog, field), f"c.{word(field.name)}", field.type.optional
    if kind in NUMBERS:
        one = f"Time::from_micros({member})" if kind == "TIME" else member
        return f"c.has_{field.name}.then_some({one})" if optional else one
    if kind in ("TEXTS", "COUNTS"):
        return f"{kind.lower()}({member}, c.{field.name}_count)?"
    if kind == "OBJECT":
        return f"{'optional_part' if optional else 'part'}({member})?"
    reader = value(catalog, field)
    reader = f"{reader}::read" if field.type.base in catalog.enums else c.snake(reader)
    return f"optional({member}, {reader})?" if optional else f"{reader}({member})?"


def _answer(catalog, kind: ObjectType):
    fields = [field for field, _, _ in c.fields_of(catalog, kind.members)]
    return [
        *_struct(catalog, kind, kind.doc),
        f"impl Row for {kind.name} {{",
        f"    type C = sys::{sys_name(kind)};\n",
        "    unsafe fn read(c: &Self::C) -> Result<Self> {",
        f"        Ok({kind.name} {{",
        *(f"            {word(field.name)}: {_read(catalog, field)}," for field in fields),
        *(["            whole: document(c.whole)?,"] if kind.rest else []),
        "        })\n    }\n}\n",
    ]


# Parameter objects
# --------------------------------------------------------------------------------------------------


def _input(catalog, kind: ObjectType):
    fields = [field for field, _, _ in c.fields_of(catalog, kind.members)]
    params, sets = [], []
    for field in fields:
        name, rust = word(field.name), value(catalog, field)
        if field.type.optional:
            sets.append(f"{name}: None")
        elif rust in _CONVERTED:
            params.append(f"{name}: impl Into<{rust}>")
            sets.append(f"{name}: {name}.into()")
        else:
            params.append(f"{name}: {rust}")
            sets.append(name)
    before, members = [], []
    for field in fields:
        lines, found = _member(catalog, field)
        before += lines
        members += found
    return [
        *_struct(catalog, kind, kind.doc),
        f"impl {kind.name} {{",
        "    /// The required members. The others are omitted until they are set.",
        *(["    #[allow(clippy::too_many_arguments)]"] if len(params) > 7 else []),
        *folded("pub fn new", params, " -> Self {", "    "),
        f"        {kind.name} {{",
        *(f"            {one}," for one in sets),
        "        }\n    }\n",
        f"    pub(crate) fn c(&self, args: &Args) -> sys::{sys_name(kind)} {{",
        *(f"        {line}" for line in before),
        f"        sys::{sys_name(kind)} {{",
        *(f"            {one}," for one in members),
        "        }\n    }\n}\n",
    ]


def _member(catalog, field: Field):
    """A member in C: lines before, and members of the struct."""
    name, optional = word(field.name), field.type.optional
    if stub(catalog, field) in NUMBERS:
        time = stub(catalog, field) == "TIME"
        if not optional:
            return [], [f"{name}: self.{name}" + (".as_micros()" if time else "")]
        one = (
            f"self.{name}.map_or(0, Time::as_micros)"
            if time
            else f"self.{name}.unwrap_or_default()"
        )
        return [], [f"has_{field.name}: self.{name}.is_some()", f"{name}: {one}"]
    rust = value(catalog, field)
    text = f"self.{name}"
    if rust in ("String", "Vec<String>"):
        text = f"{text}.as_deref()" if optional else f"&{text}"
    elif rust in ("Secret", "Document", "Json") and optional:
        text += ".as_ref()"
    before, found = passed(catalog, field, text)
    return before, [f"{name}: {found[0]}", *found[1:]]
