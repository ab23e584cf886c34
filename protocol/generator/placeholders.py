"""Placeholders that are not parameters: computed when the call begins to run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Builtin:
    name: str
    type: str  # a scalar's name
    compute: str  # enum compute of catalog.h, in lower case
    reads: str = ""  # the parameter that it is computed from


BUILTINS = (
    Builtin("now", "timestamp", "now"),
    Builtin("new_id", "uuid", "new_uuid"),
    Builtin("new_token", "string", "new_token"),
    Builtin("new_token_stored", "string", "stored_token", reads="new_token"),
    Builtin("month_start", "timestamp", "month_start"),
    Builtin("days_start", "timestamp", "days_start", reads="days"),
    Builtin("expires_at_computed", "timestamp", "hours_ahead", reads="expires_in_hours"),
    Builtin("lease_end", "timestamp", "seconds_ahead", reads="seconds"),
    Builtin("nonce", "nonce", "nonce"),
)

BUILTIN_NAMES = frozenset(builtin.name for builtin in BUILTINS)

# :<parameter>_exact, the text that PostgreSQL's own type cannot hold (enum compute AWKWARD)
EXACT = "_exact"

# :<parameter>_hashed and :<parameter>_unhashed, the two forms in which a session token may be
# stored; a statement uses both (enum compute TOKEN_HASHED, TOKEN_UNHASHED)
HASHED, UNHASHED = "_hashed", "_unhashed"
