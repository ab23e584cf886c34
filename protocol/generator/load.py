"""Catalog files -> model. load_*.py makes every check that needs no SQL; bind.py makes the others.
"""

import re
import tomllib
from pathlib import Path

from .error_kinds import load_error_kinds
from .load_methods import load_method
from .load_types import check_type_uses, load_enum, load_type
from .model import Catalog, Domain
from .problems import Problems, Source
from .providers import expand, load_providers, unfill
from .tables import Table


def load_catalog(folder: Path, protocol_folder: Path, problems: Problems) -> Catalog:
    """Reads <folder>/*.toml. Invalid entries are omitted and reported as problems."""
    files, domains, tables, interface = [], [], [], []
    for path in sorted(folder.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            problems.add(f"{path.parent.name}/{path.name}", str(error))
            continue
        files.append((path.stem, Source(path, text), data))
    providers = load_providers([(source, problems, data) for _, source, data in files])
    for stem, source, data in files:
        source.written_as = lambda key: unfill(key, providers)
        data = expand(data, providers)
        table = Table(source, problems, (), data)
        tables.append((stem, table))
        domains.append(_domain(stem, table))
        if "interface" in data:
            interface.append(Table(source, problems, ("interface",), table.take("interface", dict)))
    catalog = Catalog(
        "",
        "",
        "",
        (),
        (),
        {},
        {},
        load_error_kinds(protocol_folder / "error.h", problems),
        providers,
    )
    _interface(catalog, interface, folder, problems)
    order = {domain.name: domain.order for domain in domains}
    catalog.domains = tuple(sorted(domains, key=lambda domain: (domain.order, domain.name)))
    tables.sort(key=lambda pair: (order[pair[0]], pair[0]))

    enums = _collect(tables, "enums")
    types = _collect(tables, "types")
    for _, table in enums:
        load_enum(catalog, table)
    known = {table.name for _, table in types}
    for _, table in types:
        load_type(catalog, table, known)
    methods = []
    for domain, table in _collect(tables, "methods"):
        method = load_method(catalog, domain, table)
        if method:
            methods.append(method)
    catalog.methods = tuple(methods)
    check_type_uses(catalog, [table for _, table in enums + types])
    for domain, table in tables:
        for key in table.data:
            table.complain(f"unknown table `{key}`", key)
    return catalog


def _domain(name, table):
    if "domain" not in table.data:
        table.complain(f"no [domain] table: {name}.toml needs title, doc and order")
        return Domain(name, name, "", 0)
    head = Table(table.source, table.problems, ("domain",), table.take("domain", dict, {}))
    domain = Domain(
        name,
        head.take("title", str, name, required=True),
        head.doc(),
        head.take("order", int, 0, required=True),
    )
    head.finish()
    return domain


def _interface(catalog, tables, folder, problems):
    if len(tables) != 1:
        problems.add(folder.name, f"exactly one file has an [interface] table, not {len(tables)}")
        return
    table = tables[0]
    catalog.title = table.take("title", str, "", required=True)
    catalog.version = table.take("version", str, "", required=True)
    catalog.doc = table.doc()
    if not re.match(r"\d+\.\d+\.\d+\Z", catalog.version):
        table.complain("`version` must be three numbers with dots", "version")
    table.finish()


def _collect(tables, section):
    """All tables of a section over all files, without duplicate names."""
    found, first = [], {}
    for domain, table in tables:
        for child in table.children(section):
            # In C a dot becomes an underscore, and constants lose the case of a name.
            key = child.name.replace(".", "_").upper()
            if key in first:
                child.complain(
                    f"{section[:-1]} `{child.name}` collides with `{first[key].name}` "
                    f"({first[key].source.where(*first[key].keys)})"
                )
                continue
            first[key] = child
            found.append((domain, child))
    return found
