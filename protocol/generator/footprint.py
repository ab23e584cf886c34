"""The footprint of a PostgreSQL statement: tables and keys it reads and writes, and the row locks
it takes.

A batch is one transaction that keeps its row locks until the commit. Several daemons share a
database, so all of them take locks in one order: by table, then by key. A locking statement that
this module cannot analyse is refused. The tables, their unique keys and foreign keys come from the
migrations.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from .problems import Problems
from .sql import Scanned

MAX_TABLES, MAX_KEYS, MAX_KEY_COLUMNS = 32, 2, 2
KEY_TYPES = ("uuid", "string", "u16", "u32", "i64")  # what commute.c compares
RANK_LAST = 255
FRESH = ("new_uuid", "new_token", "stored_token")  # values that are unique by construction


@dataclass
class Table:
    number: int
    columns: list[str] = field(default_factory=list)
    uniques: list[tuple[str, ...]] = field(default_factory=list)
    names: dict[tuple[str, ...], str] = field(default_factory=dict)  # unique columns -> constraint
    parents: dict[str, tuple[str, str]] = field(default_factory=dict)  # column -> table, its column


@dataclass(frozen=True)
class Access:
    """keys: unique keys of the row whose values the call knows, with their binds."""

    table: int
    mode: str  # read, update, insert
    keys: tuple[tuple[int, tuple[int, ...]], ...] = ()  # number of the unique key, binds


@dataclass(frozen=True)
class Footprint:
    accesses: tuple[Access, ...] = ()
    lock: str = "none"  # none, row, many
    rank: int = 0  # order of locks: by table, added rows before existing ones
    binds: tuple[int, ...] = ()  # lock row: the key's, by which locks of one rank are ordered
    columns: tuple[str, ...] = ()  # the key's columns


def load_schema(folder: Path, problems: Problems) -> dict[str, Table]:
    """Tables by name, numbered in the order of creation: parents precede children."""
    tables = {}
    for path in sorted(folder.glob("*.sql")):
        text = re.sub(r"--[^\n]*|'(?:[^']|'')*'", " ", path.read_text(encoding="utf-8"))
        for statement in re.sub(r"\s+", " ", text).split(";"):
            _learn(tables, statement.strip())
    if len(tables) > MAX_TABLES:
        problems.add(folder.name, f"{len(tables)} tables; the masks of catalog.h hold {MAX_TABLES}")
    return tables


def _learn(tables, statement):
    if made := re.match(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) ?\((.*)\)", statement):
        table = tables.setdefault(made[1], Table(len(tables)))
        for part in _split(made[2]):
            if not re.match(r"(CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN)\b", part):
                _learn_column(table, made[1], part)
            _learn_unique(table, made[1], part)
    elif added := re.match(r"ALTER TABLE (?:ONLY )?(\w+) ADD (?:COLUMN )?(.*)", statement):
        table = tables.setdefault(added[1], Table(len(tables)))
        if not added[2].startswith("CONSTRAINT"):
            _learn_column(table, added[1], added[2])
        _learn_unique(table, added[1], added[2])
        for constraint, index in re.findall(
            r"CONSTRAINT (\w+) (?:UNIQUE|PRIMARY KEY) USING INDEX (\w+)", added[2]
        ):
            table.names = {
                columns: constraint if name == index else name
                for columns, name in table.names.items()
            }
    elif index := re.match(
        r"CREATE UNIQUE INDEX (\w+) ON (\w+)(?: USING \w+)? ?\((.*)\)", statement
    ):
        table = tables.setdefault(index[2], Table(len(tables)))
        _add_unique(
            table,
            [word for word in re.findall(r"\w+", index[3]) if word in table.columns],
            index[1],
        )


def _learn_column(table, name_of_table, text):
    name = text.split(" ", 1)[0]
    table.columns.append(name)
    if parent := re.search(r"\bREFERENCES (\w+) ?\((\w+)\)", text):
        table.parents[name] = (parent[1], parent[2])
    if re.search(r"\b(PRIMARY KEY|UNIQUE)\b(?! ?\()", text):
        primary = "PRIMARY KEY" in text
        _add_unique(
            table, [name], f"{name_of_table}_pkey" if primary else f"{name_of_table}_{name}_key"
        )


def _learn_unique(table, name_of_table, text):
    """The name that PostgreSQL chooses where none is given."""
    for named, kind, columns in re.findall(
        r"(?:\bCONSTRAINT (\w+) )?\b(PRIMARY KEY|UNIQUE) ?\(([^()]*)\)", text
    ):
        words = re.findall(r"\w+", columns)
        made = "pkey" if kind == "PRIMARY KEY" else "_".join([*words, "key"])
        _add_unique(table, words, named or f"{name_of_table}_{made}")


def _add_unique(table, columns, name):
    columns = tuple(dict.fromkeys(columns))
    if columns and columns not in table.uniques:
        table.uniques.append(columns)
    if columns:
        table.names[columns] = name


def _split(text):
    """Splits at commas outside of parentheses."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


class _Reader:
    """One statement."""

    def __init__(self, tables, method, statement: Scanned, numbers):
        self.tables, self.method, self.bare, self.numbers = tables, method, statement.bare, numbers
        self.used = [
            (name, alias if alias and alias.upper() not in _WORDS else "")
            for name, alias in re.findall(
                r"(?:\b(?:FROM|JOIN)|,) (\w+)(?=(?: (?:AS )?(\w+))?)", self.bare
            )
            if name in tables
        ]

    def fresh(self, bind):
        return self.method.binds[bind].compute in FRESH

    def keys(self, table, known):
        """The unique keys whose column values are all known and not created by the call."""
        found = []
        for number, columns in enumerate(table.uniques):
            binds = tuple(known.get(column, -1) for column in columns)
            if (
                len(binds) <= MAX_KEY_COLUMNS
                and -1 not in binds
                and not any(map(self.fresh, binds))
                and all(self.method.binds[bind].type in KEY_TYPES for bind in binds)
            ):
                found.append((number, binds))
        return tuple(found[:MAX_KEYS])

    def conditions(self, alias, text):
        """column -> bind of what a row must match; empty if an alternative (OR) exists."""
        if re.search(r"\bOR\b", text, re.IGNORECASE):
            return {}
        before = rf"\b{alias}\." if alias else r"(?<![.\w])"
        return {
            column: self.numbers[name]
            for column, name in re.findall(before + r"(\w+) = :(\w+)", text)
            if name in self.numbers
        }

    def reads(self):
        where = self.bare.partition(" FROM ")[2]
        for name, alias in self.used:
            sole = alias or len(self.used) == 1
            known = self.conditions(alias, where) if sole else {}
            yield Access(self.tables[name].number, "read", self.keys(self.tables[name], known))


_INSERT = re.compile(r"\bINSERT INTO (\w+)(?: AS \w+)? \(([^)]*)\) (.*)")
_WORDS = {
    "WHERE",
    "ORDER",
    "GROUP",
    "JOIN",
    "ON",
    "LEFT",
    "SET",
    "LIMIT",
    "UNION",
    "VALUES",
    "FOR",
    "RETURNING",
}


def footprint_of(
    tables, method, statement: Scanned, numbers, where, problems: Problems
) -> Footprint:
    reader = _Reader(tables, method, statement, numbers)
    accesses = list(reader.reads())
    insert = insert_values(statement)
    update = re.search(
        r"\b(?:UPDATE (?:ONLY )?(\w+)(?: (?:AS )?\w+)? SET|DELETE FROM (\w+))\b", reader.bare
    )
    if not insert and not update:
        return Footprint(tuple(accesses))
    name = insert.table if insert else update[1] or update[2]
    if name not in tables:
        problems.add(where, f"{method.name}: no migration creates the table {name}")
        return Footprint()
    if method.touches:
        return _touch(reader, accesses, where, problems)
    if insert:
        return _insert(reader, tables, insert, accesses, where, problems)
    return _update(reader, name, accesses, where, problems)


def _touch(reader, accesses, where, problems):
    """A read that changes rows now and then. It takes only locks that nobody holds, behind all
    others of its batch: it waits for no lock while it holds one, so it takes part in no deadlock.
    """
    changed = re.findall(r"\bUPDATE (\w+)(?: \w+)? SET\b", reader.bare)
    if len(changed) != len(re.findall(r"\bFOR NO KEY UPDATE SKIP LOCKED\b", reader.bare)):
        problems.add(
            where,
            f"{reader.method.name}: each UPDATE takes its rows from a SELECT … FOR NO KEY UPDATE "
            "SKIP LOCKED",
        )
    accesses += [Access(reader.tables[name].number, "update") for name in changed]
    return Footprint(tuple(accesses), "row", RANK_LAST)


@dataclass(frozen=True)
class Change:
    """A row that a statement writes: its columns, each with the expression of its value."""

    table: str
    given: dict[str, str]
    whole: bool  # a new row: other columns have their defaults


def update_values(statement: Scanned) -> Change | None:
    found = re.search(r"\bUPDATE (\w+)(?: (?:AS )?\w+)? SET (.*?)(?: WHERE |$)", statement.bare)
    if found is None:
        return None
    pairs = (part.partition(" = ") for part in _split(found[2]))
    return Change(found[1], {column: value for column, _, value in pairs}, whole=False)


def insert_values(statement: Scanned) -> Change | None:
    found = _INSERT.search(statement.bare)
    if found is None:
        return None
    verb, _, rest = found[3].partition(" ")
    source = _group(rest) if verb == "VALUES" else _until_from(rest)
    columns = [column.strip() for column in found[2].split(",")]
    return Change(found[1], dict(zip(columns, _split(source))), whole=True)


def _insert(reader, tables, insert, accesses, where, problems):
    table, given = tables[insert.table], insert.given
    known = {
        column: reader.numbers[value[1:]]
        for column, value in given.items()
        if value.startswith(":") and value[1:] in reader.numbers
    }
    for unique in table.uniques:
        if any(
            column in given
            and (column not in known or reader.method.binds[known[column]].type not in KEY_TYPES)
            for column in unique
        ):
            problems.add(
                where,
                f"{reader.method.name}: the unique {', '.join(unique)} is not a parameter of a "
                "type that can be a key: "
                "the order of locks cannot be determined",
            )
    for column, (parent, target) in table.parents.items():
        if column in given:
            key = {target: known[column]} if column in known else {}
            if column in known or parent not in dict(
                reader.used
            ):  # otherwise a row that the statement reads anyway
                accesses.append(
                    Access(tables[parent].number, "read", reader.keys(tables[parent], key))
                )
    keys = reader.keys(table, known)
    accesses.append(Access(table.number, "insert", keys))
    if not keys:
        return Footprint(tuple(accesses))
    number, binds = keys[0]
    return Footprint(tuple(accesses), "row", 2 * table.number + 1, binds, table.uniques[number])


def _update(reader, name, accesses, where, problems):
    table = reader.tables[name]
    alone = all(used == name for used, _ in reader.used)
    known = reader.conditions("", reader.bare.rpartition(" WHERE ")[2]) if alone else {}
    keys = reader.keys(table, known)
    rank = 2 * table.number + 2
    accesses = [*accesses, Access(table.number, "update", keys)]
    if keys:
        return Footprint(tuple(accesses), "row", rank, keys[0][1], table.uniques[keys[0][0]])
    ordered = re.search(
        r"\bORDER BY (?:\w+\.)?(\w+)(?: COLLATE '')? FOR NO KEY UPDATE\b", reader.bare
    )
    if not ordered:
        problems.add(
            where,
            f"{reader.method.name} locks rows in no order: select those of a "
            "SELECT … ORDER BY <key> FOR NO KEY UPDATE",
        )
        return Footprint()
    return Footprint(tuple(accesses), "many", rank, (), (ordered[1],))


def _group(text):
    """The text inside the parentheses that `text` begins with."""
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return text[1:place]
    return text


def _until_from(text):
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0 and text.startswith(" FROM ", place):
            return text[:place]
    return text


def check_order(catalog, problems: Problems):
    """A table's rows are locked in the order of one key; a second order would deadlock with it."""
    first = {}
    for method in catalog.methods:
        statement = method.statements.get("postgres")
        if statement is None or statement.footprint.lock == "none":
            continue
        footprint = statement.footprint
        name, columns = first.setdefault(footprint.rank, (method.name, footprint.columns))
        if columns != footprint.columns:
            problems.add(
                f"method {method.name}",
                f"locks rows in the order of {', '.join(footprint.columns)}, "
                f"{name} in that of {', '.join(columns)}",
            )
