"""Which parameter causes a unique conflict, from the tables' unique keys and the statement's
columns, for both databases.

A database names the violated key: PostgreSQL by the constraint, SQLite by its columns. The
generator writes both names beside the bind parameter, and nothing is guessed from a name at run
time.
"""

import re

from .footprint import FRESH, insert_values, update_values
from .model import BACKENDS, Conflict, Method
from .problems import Problems


def conflicts_of(schemas, method: Method, scanned, numbers, problems: Problems):
    """scanned: backend -> (statement, where). Each key of the added row whose values the caller
    sets.
    """
    keys = {}
    for backend, (statement, where) in scanned.items():
        for field, name in _keys(
            schemas[backend], backend, method, statement, numbers, where, problems
        ):
            keys.setdefault(field, {})[backend] = name
    for field in method.conflict:
        for backend in scanned:
            if backend not in keys.get(field, {}):
                problems.add(
                    scanned[backend][1],
                    f"{method.name}: no unique key of the row that it writes holds `{field}`, "
                    "which `conflict` names",
                )
    return tuple(
        Conflict(numbers[field], names)
        for field, names in keys.items()
        if len(names) == len(scanned)
    )


def _keys(tables, backend, method, statement, numbers, where, problems):
    """Fields, each with the database's name for its key."""
    change = insert_values(statement) or update_values(statement)
    if change is None or change.table not in tables:
        return
    for columns, constraint in tables[change.table].names.items():
        if change.whole and not all(column in change.given for column in columns):
            continue  # created by the database, hence unique
        values = [change.given.get(column, "") for column in columns]
        binds = [value[1:] for value in values if value[1:] in numbers]
        if not binds or any(method.binds[numbers[bind]].compute in FRESH for bind in binds):
            continue
        if re.search(rf"\bON CONFLICT \({', ?'.join(columns)}\)", statement.bare):
            continue
        named = [bind for bind in binds if bind in method.conflict]
        if len(named) != 1:
            problems.add(
                where,
                f"{method.name}: the unique {', '.join(columns)} may already exist: "
                "`conflict` must "
                "name exactly one of "
                f"{', '.join(binds)}",
            )
            continue
        yield named[0], (
            constraint
            if backend == "postgres"
            else ", ".join(f"{change.table}.{column}" for column in columns)
        )
