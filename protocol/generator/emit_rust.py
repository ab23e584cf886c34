"""The generated part of the Rust crate (client/rust/src/generated): the C library's functions and
structs, the kinds of errors, the types of parameters and answers, and the calls.

Generated code only moves values: args.rs turns them into C, read.rs turns C into them, and call.rs
sends and awaits.
"""

import re

from . import emit_client as c
from . import emit_rust_calls, emit_rust_types
from .model import Catalog
from .problems import Refused
from .rust_text import BANNER, camel, doc, enum_name, folded, methods, sys_name, word

_C_TO_RUST = {
    "bool": "bool",
    "uint16_t": "u16",
    "uint32_t": "u32",
    "int64_t": "i64",
    "int": "c_int",
    "double": "f64",
    "size_t": "usize",
    "char": "c_char",
    "pierre_done *": "Done",
    "void *": "*mut c_void",
    "struct pierre *": "*mut Pierre",
    "const char *const *": "*const *const c_char",
}
# Types that are written by hand.
_TAKEN = (
    "Builder Client Document Error Failure Json Outcome Pages Planned Result Results Secret Time "
    "Transaction Uuid"
).split()
# The library's own kinds of errors: enum pierre_kind. A test of the crate compares the codes.
_OWN_KINDS = (
    ("NO_CONNECTION", -1, "no daemon answers at the socket; nothing was sent"),
    ("BROKEN", -2, "the connection broke before the answer arrived"),
    ("NO_ANSWER", -3, "the call timed out"),
    ("BAD_ANSWER", -4, "the library cannot decode the answer"),
    ("NO_MEMORY", -5, "out of memory"),
    ("MISUSE", -6, "the library refuses such a use"),
    ("OTHER_ERROR", -7, "the daemon returned an error with an unknown code"),
)


def files(catalog: Catalog) -> dict[str, str]:
    """All files by name."""
    _refuse_clashes(catalog)
    return {
        "sys.rs": sys(catalog),
        "errors.rs": errors(catalog),
        "types.rs": emit_rust_types.source(catalog),
        "calls.rs": emit_rust_calls.source(catalog),
    }


def _refuse_clashes(catalog):
    names = [kind.name for kind in c.answers(catalog) + c.inputs(catalog)]
    names += [enum_name(catalog, name) for name in emit_rust_types.enums(catalog)]
    names += emit_rust_calls.option_names(catalog)
    clashes = sorted({name for name in names if name in _TAKEN or names.count(name) > 1})
    if clashes:
        raise Refused(
            "\n".join(f"{name}: the Rust crate has another type of this name" for name in clashes)
        )


# The C library
# --------------------------------------------------------------------------------------------------


def _declaration(text):
    """A C declaration as name and Rust type."""
    c_type, name = re.fullmatch(r"(.*?[ *])(\w+)", text).groups()
    c_type = c_type.strip()
    if c_type in _C_TO_RUST:
        return name, _C_TO_RUST[c_type]
    constant, base, stars = re.fullmatch(
        r"(const )?(?:struct pierre_)?(\w+) (\*+)", c_type
    ).groups()
    if stars == "**":  # where a block of any type is stored
        return name, "*mut *mut c_void"
    base = _C_TO_RUST.get(base) or camel(base)
    return name, f"*{'const' if constant else 'mut'} {base}"


def _struct(catalog, kind):
    members = [_declaration(text) for text in c.declarations(catalog, kind)]
    return [
        "#[derive(Clone, Copy)]",
        "#[repr(C)]",
        f"pub struct {sys_name(kind)} {{",
        *(f"    pub {word(name)}: {rust}," for name, rust in members),
        "}\n",
    ]


def sys(catalog: Catalog) -> str:
    kinds = c.answers(catalog) + c.inputs(catalog)
    out = [
        BANNER,
        "//! The typed part of the C library: pierre-db-calls.h.\n",
        "use crate::sys::{Answer, Count, Done, Error, Pierre, Transaction};",
        "use std::os::raw::{c_char, c_int, c_void};\n",
    ]
    for kind in kinds:
        out += _struct(catalog, kind)
    out.append('extern "C" {')
    results = {method.result.base for method in methods(catalog)}
    for kind in c.answers(catalog):
        if kind.name in results:
            out.append(f"    pub fn pierre_{c.snake(kind.name)}_free(block: *mut c_void);")
    for method in methods(catalog):
        for c_type, name, params in c.functions(catalog, method)[1:]:
            items = [f"{word(one)}: {rust}" for one, rust in map(_declaration, params)]
            out += folded(f"pub fn pierre_{name}", items, f" -> {_C_TO_RUST[c_type]};", "    ")
    out += [
        "}\n",
        "/// The layout of every struct, in the words of tests/golden/abi.txt.",
        "#[cfg(test)]",
        "pub fn layouts(all: &mut Vec<String>) {",
    ]
    for kind in kinds:
        names = [word(_declaration(text)[0]) for text in c.declarations(catalog, kind)]
        items = ["all", sys_name(kind), f'"pierre_{c.snake(kind.name)}"', *names]
        out += folded("crate::layout!", items, ";", "    ")
    return "\n".join([*out, "}", ""])


# Errors
# --------------------------------------------------------------------------------------------------


def errors(catalog: Catalog) -> str:
    kinds = [(kind.name, kind.code, kind.meaning) for kind in catalog.errors]
    kinds = [(camel(name), code, name.lower(), text) for name, code, text in (*kinds, *_OWN_KINDS)]
    out = [
        BANNER,
        "//! The kinds of errors.\n",
        "use crate::error::Failure;\n",
        "/// Why a call failed: a variant for each kind. [`Failure`] has the members of the error.",
        "#[derive(Clone, Debug, PartialEq, Eq)]",
        "#[non_exhaustive]",
        "pub enum Error {",
    ]
    for name, _, _, meaning in kinds:
        out += [*doc(meaning[0].upper() + meaning[1:] + ".", "    "), f"    {name}(Box<Failure>),"]
    all_kinds = " | ".join(f"Error::{name}(failure)" for name, _, _, _ in kinds)
    out += [
        "}\n",
        "impl Error {",
        "    /// The error of a kind by its code: `enum pierre_kind`.",
        "    pub(crate) fn of(code: i32, failure: Failure) -> Error {",
        "        let failure = Box::new(failure);",
        "        match code {",
        *(f"            {code} => Error::{name}(failure)," for name, code, _, _ in kinds[:-1]),
        f"            _ => Error::{kinds[-1][0]}(failure),",
        "        }\n    }\n",
        "    /// The members of the error.",
        "    pub fn failure(&self) -> &Failure {",
        "        #[rustfmt::skip]",
        "        let (" + all_kinds.replace(" | ", "\n        | ") + ") = self;",
        "        failure\n    }\n",
        "    /// The name of the kind, such as `not_found` or `broken`.",
        "    pub fn kind(&self) -> &'static str {",
        "        match self {",
        *(f'            Error::{name}(_) => "{wire}",' for name, _, wire, _ in kinds),
        "        }\n    }\n}\n",
        "/// Codes and names, for the test that compares them with the C library's.",
        "#[cfg(test)]",
        "pub const CODES: &[(i32, &str)] = &[",
        *(f'    ({code}, "{wire}"),' for _, code, wire, _ in kinds),
        "];",
        "",
    ]
    return "\n".join(out)
