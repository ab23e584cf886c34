"""A PostgreSQL write in a form that stores its idempotency key in the same statement.

The answer is stored with the key, so it must be known before the statement runs: it is null, a
value that the call binds, or the number of rows that the call names. The row of the key is added
only if the write finds what it changes: otherwise the call is refused and its key stays free.
"""

import re

from .footprint import insert_values
from .sql import outline

KEY_PARAMETERS = 5  # placeholders for the row of the key, before those of the statement


def once_of(method, statement, text, numbers):
    """The common table expressions `… done AS (statement)`, and the bind parameter that is the
    answer (-1: none is). ("", -1): the answer is not known before. text: the statement with its
    placeholders numbered from KEY_PARAMETERS + 1 on."""
    words = outline(text)
    if words[0][0] == "WITH" and words[1][0] == "RECURSIVE":
        return "", -1
    main = next(place for word, place in words if word in ("SELECT", "INSERT", "UPDATE", "DELETE"))
    head = text[:main].rstrip() + ", " if main > 0 else "WITH "
    bind = -1
    if method.rows is None and method.answer == "none":
        if any(word == "RETURNING" for word, _ in words):
            return "", -1
        text += " RETURNING 1"
    elif method.rows is None:
        name = _answer_of(statement) if method.answer == "row" else ""
        if name not in numbers:
            return "", -1
        bind = numbers[name]
    return f"{head}done AS ({text[main:]})", bind


def _answer_of(statement):
    """The placeholder whose value the only column of the answer has; "": unknown."""
    returned = re.search(r" RETURNING (:?\w+) AS result$", statement.bare)
    if returned is None:
        return ""
    change = insert_values(statement)
    value = returned[1]
    if not value.startswith(":"):
        value = change.given.get(value, "") if change else ""
    return value[1:] if re.fullmatch(r":\w+", value) else ""
