"""The Rust crate's calls: calls.rs. Each method has a function that sends it, an `async fn` and a
blocking twin of Client, and, where it can be part of a transaction, a function of Transaction. A
list with pages has an iterator besides.
"""

from . import emit_client as c
from .model import AFTER, Catalog, Field, Method
from .problems import Refused
from .rust_text import (
    BANNER,
    NUMBERS,
    camel,
    doc,
    enum_name,
    folded,
    lines,
    methods,
    owned,
    passed,
    stub,
    value,
    word,
)

OPTIONS = "options"  # the parameter of such a method
# With more optional parameters than this a method takes them as a struct.
_OPTIONAL_MAX = 3


def _optional(method):
    return [param for param in method.params if param.type.optional]


def _bundled(method: Method):
    """Whether the optional parameters are a struct."""
    return len(_optional(method)) > _OPTIONAL_MAX


def option_names(catalog: Catalog) -> list[str]:
    return [camel(method.c_name) for method in methods(catalog) if _bundled(method)]


def _borrowed(catalog, field: Field):
    """The Rust type of a parameter."""
    kind = value(catalog, field)
    many = {"Vec<String>": "&{0}[&{0}str]", "String": "&{0}str"}.get(kind)
    if many:
        kind = many.format("")
    elif kind in ("Secret", "Document", "Json") or field.type.base in catalog.types:
        kind = f"&[{field.type.base}]" if field.type.many else f"&{kind}"
    return f"Option<{kind}>" if field.type.optional else kind


def _with_lifetime(kind):
    return kind.replace("&", "&'a ")


def _params(catalog, method: Method):
    """The parameters in Rust, as (name, type)."""
    if not _bundled(method):
        return [(word(param.name), _borrowed(catalog, param)) for param in method.params]
    required = [
        (word(param.name), _borrowed(catalog, param))
        for param in method.params
        if not param.type.optional
    ]
    return [*required, (OPTIONS, f"{camel(method.c_name)}<'_>")]


def _result(catalog, method: Method):
    """The Rust type of the result, the `take` of its Method, and the function that reads it."""
    result_free = f"sys::pierre_{method.c_name}_result"
    kind = catalog.types.get(method.result.base)
    if method.answer == "none":
        return "()", f"Take::Nothing({result_free})", "nothing"
    if method.answer == "count":
        return "i64", f"Take::Integer({result_free})", "integer"
    if kind:
        name, free = kind.name, f"sys::pierre_{c.snake(kind.name)}_free"
        if method.answer == "list":
            return f"Vec<{name}>", f"Take::Rows({result_free}, {free})", f"rows::<{name}>"
        take = f"Take::Block({result_free}, {free})"
        if method.result.optional:
            return f"Option<{name}>", take, f"optional_row::<{name}>"
        return name, take, f"row::<{name}>"
    field = Field("result", method.result, "", secret=method.result_secret)
    number = stub(catalog, field)
    if number == "I64":
        return "i64", f"Take::Integer({result_free})", "integer"
    if number == "U32":
        return "u32", f"Take::Number({result_free})", "number"
    if number in NUMBERS or method.result.base in catalog.enums:
        raise Refused(f"{method.name}: the Rust crate has no form for the result {method.result}")
    take = f"Take::Block({result_free}, crate::sys::pierre_text_free)"
    reader = c.snake(value(catalog, field))
    prefix = "optional_" if method.result.optional else ""
    return owned(catalog, field), take, f"{prefix}text_of::<{value(catalog, field)}>"


def source(catalog: Catalog) -> str:
    found = methods(catalog)
    out = [
        BANNER,
        "//! The calls.\n",
        "#![allow(clippy::too_many_arguments, unused_imports)]\n",
        "use super::sys;",
        "use super::types::*;",
        "use crate::args::{pointer, Args};",
        "use crate::call::{Call, Method, Take, To};",
        "use crate::client::Client;",
        "use crate::error::Result;",
        "use crate::pages::Pages;",
        "use crate::read::*;",
        "use crate::secret::Secret;",
        "use crate::transaction::{Planned, Transaction};",
        "use crate::values::{Document, Json, Time, Uuid};\n",
    ]
    for method in found:
        out += _options(catalog, method) if _bundled(method) else []
        out += _method(catalog, method)
        out += _send(catalog, method)
    for title, part in (
        ("Client", _client),
        ("Transaction", _transaction),
    ):
        out.append(f"impl {title} {{")
        for method in found:
            out += part(catalog, method)
        out += ["}", ""]
    return "\n".join(out)


def _options(catalog, method: Method):
    out = [
        *doc(f"The optional parameters of `{method.name}`; by default all are omitted."),
        "#[derive(Clone, Copy, Debug, Default)]",
        f"pub struct {camel(method.c_name)}<'a> {{",
    ]
    for param in _optional(method):
        out += doc(param.doc, "    ")
        out.append(f"    pub {word(param.name)}: {_with_lifetime(_borrowed(catalog, param))},")
    return [*out, "}\n"]


def _method(catalog, method: Method):
    kind, take, read = _result(catalog, method)
    return [
        f"static {method.c_name.upper()}: Method<{kind}> = Method {{",
        f"    take: {take},",
        f"    read: {read},",
        "};\n",
    ]


def _send(catalog, method: Method):
    """The function that passes the parameters to the C library."""
    params = [f"{name}: {kind}" for name, kind in _params(catalog, method)]
    out = folded(f"fn send_{method.c_name}", ["to: &To<'_>", *params], " -> Result<i64> {")
    out.append("    let args = Args::new();")
    values = []
    for param in method.params:
        if not c.fields_of(catalog, [param]):
            continue
        before, found = _argument(catalog, method, param)
        out += [f"    {line}" for line in before]
        values += found
    items = ["to", "args", f"pierre_{method.c_name}_async"]
    items += [f"pierre_add_{method.c_name}"] if method.joins else []
    items.append(f"{{ {', '.join(values)} }}" if values else "{}")
    return [*out, *folded("crate::send!", items, "", "    "), "}\n"]


def _argument(catalog, method, param: Field):
    """A parameter for C: lines before the call, and the names of the values."""
    kind, name = stub(catalog, param), word(param.name)
    text = f"{OPTIONS}.{name}" if _bundled(method) and param.type.optional else name
    if kind in ("OBJECT", "OBJECTS"):
        one = f'let {name} = args.within("{param.name}", || {text}.c(&args));'
        if kind == "OBJECT":
            return [one], [f"&{name}"]
        many = f'let {name}: Vec<_> = args.each("{param.name}", {text}, |one| one.c(&args));'
        return [many], [f"{name}.as_ptr()", f"{name}.len()"]
    if kind in NUMBERS:
        if not param.type.optional:
            return [], [f"{text}.as_micros()" if kind == "TIME" else text]
        micros = ".map(Time::as_micros)" if kind == "TIME" else ""
        before = [] if text + micros == name else [f"let {name} = {text}{micros};"]
        return before, [f"pointer(&{name})"]
    before, found = passed(catalog, param, text)
    if len(found) > 1:
        return before, found
    return [f"let {name} = {found[0]};"], [name]


def _arguments(method, catalog):
    return ", ".join(name for name, _ in _params(catalog, method))


def _documentation(method: Method):
    out = doc(method.stub_doc, "    ")
    if method.params and not _bundled(method):
        out.append("    ///")
        for param in method.params:
            first, *more = doc(f"* `{param.name}`: {param.doc}", "    ")
            out += [first, *(line.replace("/// ", "///   ", 1) for line in more)]
    return out


def _client(catalog, method: Method):
    name, (kind, _, _) = method.c_name, _result(catalog, method)
    params = ["&self", *(f"{one}: {rust}" for one, rust in _params(catalog, method))]
    sent = ", ".join(["to", *(one for one, _ in _params(catalog, method))])
    given = _arguments(method, catalog)
    return [
        *folded(f"fn start_{name}", params, f" -> Call<{kind}> {{", "    "),
        f"        self.start(&{name.upper()}, &mut |to| send_{name}({sent}))",
        "    }\n",
        *_documentation(method),
        *folded(f"pub async fn {name}", params, f" -> Result<{kind}> {{", "    "),
        f"        self.start_{name}({given}).await",
        "    }\n",
        f"    /// The blocking twin of [`Client::{name}`].",
        *folded(f"pub fn {name}_blocking", params, f" -> Result<{kind}> {{", "    "),
        f"        self.start_{name}({given}).wait()",
        "    }\n",
        *(_pages(catalog, method) if method.pages else []),
    ]


def _kept(catalog, param: Field):
    """A parameter in the closure of an iterator: how it is kept, and how it is passed again."""
    kind, name = value(catalog, param), word(param.name)
    if kind == "String":
        if param.type.optional:
            return f"let {name} = {name}.map(String::from);", f"{name}.as_deref()"
        return f"let {name} = {name}.to_string();", f"&{name}"
    return "", name


def _set(param, text):
    """A member of a struct's literal."""
    name = word(param.name)
    return name if text == name else f"{name}: {text}"


def _pages(catalog, method: Method):
    """An iterator over the pages of a list: `limit` is their size, and `after` the last row."""
    row = method.result.base
    after = next(param for param in method.params if param.name == AFTER)
    last = f"after.map(|row: &{row}| {'row.id' if after.type.base == 'uuid' else '&row.id[..]'})"
    kept, passed_again = [], {"limit": "Some(size)", AFTER: last}
    for param in method.params:
        if param.name not in passed_again:
            line, again = _kept(catalog, param)
            source_of = f"{OPTIONS}.{word(param.name)}"
            if _bundled(method) and param.type.optional:
                line = line.replace(f"= {word(param.name)}", f"= {source_of}") or (
                    f"let {word(param.name)} = {source_of};"
                )
            kept += [line] if line else []
            passed_again[param.name] = again
    if _bundled(method):
        given = [passed_again[param.name] for param in method.params if not param.type.optional]
        given.append(OPTIONS)
        bundle = [
            f"let {OPTIONS} = {camel(method.c_name)} {{",
            *(f"    {_set(param, passed_again[param.name])}," for param in _optional(method)),
            "};",
        ]
    else:
        given, bundle = [passed_again[param.name] for param in method.params], []
    params = [
        f"{name}: {kind}" for name, kind in _params(catalog, method) if name not in ("limit", AFTER)
    ]
    note = f"The pages of [`Client::{method.c_name}`], with up to `size` rows each."
    if _bundled(method):
        note += " `limit` and `after` of the options are not used."
    return [
        *lines(note, "    /// "),
        *folded(
            f"pub fn {method.c_name}_pages",
            ["&self", *params, "size: u32"],
            f" -> Pages<{row}> {{",
            "    ",
        ),
        *(f"        {line}" for line in kept),
        "        Pages::new(self, size, move |client, size, after| {",
        *(f"            {line}" for line in bundle),
        *folded(f"client.start_{method.c_name}", given, "", "            "),
        "        })",
        "    }\n",
    ]


def _transaction(catalog, method: Method):
    if not method.joins:
        return []
    name, (kind, _, _) = method.c_name, _result(catalog, method)
    params = ["&mut self", *(f"{one}: {rust}" for one, rust in _params(catalog, method))]
    sent = ", ".join(["to", *(one for one, _ in _params(catalog, method))])
    return [
        f"    /// Adds a call of [`Client::{name}`].",
        *folded(f"pub fn {name}", params, f" -> Result<Planned<{kind}>> {{", "    "),
        f"        self.add(&{name.upper()}, &mut |to| send_{name}({sent}))",
        "    }\n",
    ]
