"""The database file of an old installation, made by the old server's rules, and the daemon's
answers from it.

The old server had no version table. It wrote times in two forms: RFC 3339 with 0 to 9 fraction
digits and `+00:00`, and SQLite's own `2025-06-10 08:00:00` as a column's default. Ids made by a
default are 32 digits without hyphens. Tokens are sealed with AES-256-GCM without associated data;
one nonce column holds both nonces.

    made = old_installation.make(path)     # the file; the same every time
    made.key, made.calls                   # its key in base64; [(method, params, result)]
"""
import base64
import contextlib
import ctypes
import ctypes.util
import json
import os
import random
import sqlite3
from dataclasses import dataclass, field

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "old_installation.sql")
USER = "3f0c1a52-77b0-4c0e-9f0b-0d7c6a0b5e11"  # with a profile, goals and keys
KEY = "key-main"  # its key with the log
HEX_KEY = "00112233445566778899aabbccddeeff"  # an id made by a column's default
PROVIDERS = ("strava", "fitbit")
HASH = "$2b$12$abcdefghijklmnopqrstuuJ5J5J5J5J5J5J5J5J5J5J5J5J5J5J5J5"
NAMES = [
    "Zoë Ångström",
    None,
    'Ana "la liebre" Núñez',
    "走る人",
    "O'Brien; DROP TABLE users",
    "Bob 🏃",
    "a\\b\n\tc",
]


@dataclass
class Made:
    key: str
    calls: list = field(default_factory=list)


def make(path: str) -> Made:
    """Writes the file, which must not exist."""
    rnd = random.Random(1906)
    secret = bytes(rnd.randrange(256) for _ in range(32))
    made = Made(base64.b64encode(secret).decode())
    with contextlib.closing(sqlite3.connect(path)) as database:
        with open(SCHEMA, encoding="ascii") as file:
            database.executescript(file.read())
        database.execute("PRAGMA foreign_keys = ON")
        _users(database, made, rnd, secret)
        _documents(database, made)
        _api_keys(database, made)
        _usage(database, made)
        _agents(database, made)
        database.commit()
    os.chmod(path, 0o600)
    return made


class Sodium:
    """AES-256-GCM by libsodium, which the daemon needs as well."""

    library = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")

    @classmethod
    def seal(cls, key: bytes, nonce: bytes, text: str) -> str:
        if cls.library.sodium_init() < 0 or not cls.library.crypto_aead_aes256gcm_is_available():
            raise RuntimeError("libsodium has no AES-256-GCM on this processor")
        plain = text.encode()
        out, length = ctypes.create_string_buffer(len(plain) + 16), ctypes.c_ulonglong()
        cls.library.crypto_aead_aes256gcm_encrypt(
            out,
            ctypes.byref(length),
            plain,
            ctypes.c_ulonglong(len(plain)),
            None,
            ctypes.c_ulonglong(0),
            None,
            nonce,
            key,
        )
        return base64.b64encode(out.raw[: length.value]).decode()


def as_before(answer):
    """A token's answer without its version, which the old server's answers do not have."""
    if isinstance(answer, dict) and "access_token" in answer:
        assert isinstance(answer["version"], str) and answer["version"]
        return {name: value for name, value in answer.items() if name != "version"}
    return answer


def when(number: int, minute: int, day: str = "2025-06-10") -> tuple[str, str]:
    """Returns a time as the old server may have written it, and as the daemon answers it; number
    selects the form."""
    clock = f"{8 + minute // 60:02}:{minute % 60:02}:00"
    digits = ["", ".5", ".123456789", None, ".000001", ".999999999"][number % 6]
    if digits is None:
        return f"{day} {clock}", f"{day}T{clock}.000000Z"
    micros = (digits[1:] + "000000")[:6]
    return f"{day}T{clock}{digits}+00:00", f"{day}T{clock}.{micros}Z"


def insert(database, table, row):
    database.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
        tuple(row.values()),
    )


def user_id(number: int) -> str:
    return USER if number == 0 else f"{number:08x}-1906-4dad-8bad-{number:012x}"


def _users(database, made, rnd, secret):
    for number, name in enumerate(NAMES):
        identifier, email = user_id(number), f"runner{number}.1@example.com"
        created, created_out = when(number, number)
        last, last_out = when(number + 1, number, "2025-06-11")
        row = {
            "id": identifier,
            "email": email,
            "display_name": name,
            "password_hash": HASH,
            "created_at": created,
            "last_active": last,
            "is_active": 0 if number == 5 else 1,
        }
        shown = {"id": identifier, "email": email, "display_name": name, "password_hash": HASH}
        for place, provider in enumerate(PROVIDERS):
            token = (
                None if (number + place) % 4 == 3 else _token(row, provider, number, rnd, secret)
            )
            made.calls.append((f"get_{provider}_token", {"user_id": identifier}, token))
            shown[f"{provider}_token"] = token and {
                "expires_at": token["expires_at"],
                "scope": token["scope"],
            }
        if number == 6:
            row["fitbit_nonce"] = None  # four of five columns are not a token
            made.calls[-1] = (*made.calls[-1][:2], None)
            shown["fitbit_token"] = None
        insert(database, "users", row)
        shown |= {"created_at": created_out, "last_active": last_out, "is_active": number != 5}
        made.calls += [
            ("get_user", {"user_id": identifier}, shown),
            ("get_user_by_email", {"email": email}, shown),
        ]
    made.calls.append(("get_user_count", {}, len(NAMES)))


def _token(row, provider, number, rnd, secret):
    texts = [["tok-1", "x" * 2000, "unicode_🚀", "a"][number % 4], f"refresh_⭐{number}"]
    nonce = bytes(rnd.randrange(256) for _ in range(24))
    expires, expires_out = when(number + 2, number, "2025-07-01")
    scope = ["read", "read,activity:read_all", ""][number % 3]
    row |= {
        f"{provider}_access_token": Sodium.seal(secret, nonce[:12], texts[0]),
        f"{provider}_refresh_token": Sodium.seal(secret, nonce[12:], texts[1]),
        f"{provider}_expires_at": expires,
        f"{provider}_scope": scope,
        f"{provider}_nonce": base64.b64encode(nonce).decode(),
    }
    return {
        "access_token": texts[0],
        "refresh_token": texts[1],
        "expires_at": expires_out,
        "scope": scope,
    }


def _documents(database, made):
    extra = {"name": "Zoë", "preferences": {"units": "km", "nested": [1, 2.5, None, True]}}
    columns = {
        "age": 41,
        "gender": "f",
        "weight_kg": 61.5,
        "height_cm": 170.25,
        "fitness_level": "advanced",
    }
    lists = {
        "primary_sports": ["run", "bike"],
        "training_focus": [],
        "injury_history": [{"knee": "2023"}],
    }
    written, _ = when(0, 5)
    insert(
        database,
        "user_profiles",
        {
            "user_id": USER,
            **columns,
            **{name: json.dumps(value) for name, value in lists.items()},
            "extra_data": json.dumps(extra),
            "created_at": written,
            "updated_at": written,
        },
    )
    made.calls += [
        (
            "get_user_profile",
            {"user_id": USER},
            {
                **columns,
                **lists,
                "training_history_months": 0,
                "preferred_units": "metric",
                "hours_per_week": 0.0,
                **extra,
            },
        ),
        ("get_user_profile", {"user_id": user_id(1)}, None),
    ]
    goals = []
    for number in range(3):
        created, shown = when(number, 20 + number)
        goal = {
            "id": f"9{number}000000-1906-4dad-8bad-000000000000",
            "user_id": USER,
            "title": f"Goal {number}",
            "description": "desc",
            "goal_type": "distance",
            "sport_type": "run",
            "target_value": 100.0 + number,
            "target_date": "2025-12-31",
            "current_value": 25.5 * number,
            "status": "active",
        }
        insert(database, "goals", {**goal, "created_at": created, "updated_at": created})
        goals.insert(
            0,
            {
                **goal,
                "type": "distance",
                "target": goal["target_value"],
                "current": goal["current_value"],
                "created_at": shown,
                "updated_at": shown,
            },
        )
    insert(
        database,
        "goal_milestones",
        {
            "id": "73000000-1906-4dad-8bad-000000000000",
            "goal_id": goals[0]["id"],
            "name": "Half",
            "target_value": 50,
            "created_at": written,
        },
    )
    made.calls.append(("get_user_goals", {"user_id": USER}, goals))
    created, shown = when(2, 30)
    insight = {
        "id": "80000000-1906-4dad-8bad-000000000000",
        "user_id": user_id(2),
        "activity_id": "act-1",
        "insight_type": "performance",
        "title": "Pace",
        "description": "Faster by 10%",
        "confidence": 0.85,
        "severity": "info",
    }
    insert(
        database,
        "analytics_insights",
        {**insight, "metadata": '{"data_points":15}', "created_at": created},
    )
    made.calls += [
        (
            "get_user_insights",
            {"user_id": user_id(2), "insight_type": "performance"},
            [{**insight, "metadata": {"data_points": 15}, "created_at": shown}],
        ),
        ("get_user_insights", {"user_id": user_id(2), "insight_type": "recovery"}, []),
    ]


def _api_keys(database, made):
    """One key of each kind of row: expired, without a limit, and one made by the columns'
    defaults."""
    shown = []
    for number, (identifier, tier, limit) in enumerate(
        (
            (KEY, "starter", 10000),
            ("key-expired", "professional", 100000),
            ("key-large", "enterprise", 4294967295),
        )
    ):
        created, created_out = when(number, 50 + number)
        expires, expires_out = when(number, 0, "2025-05-02") if number == 1 else (None, None)
        row = {
            "id": identifier,
            "user_id": USER,
            "name": f"Key {number}",
            "key_prefix": f"pk_live_{number:04}",
            "key_hash": f"{number:064}",
            "description": None,
            "tier": tier,
            "rate_limit_requests": limit,
            "rate_limit_window": 2592000,
            "is_active": 1,
            "last_used_at": None,
        }
        insert(
            database,
            "api_keys",
            {**row, "expires_at": expires, "created_at": created, "updated_at": created},
        )
        shown.insert(
            0,
            {
                **row,
                "is_active": True,
                "expires_at": expires_out,
                "created_at": created_out,
                "updated_at": created_out,
            },
        )
    insert(
        database,
        "api_keys",
        {
            "id": HEX_KEY,
            "user_id": user_id(1),
            "name": "Made by defaults",
            "key_prefix": "pk_hex",
            "key_hash": "h",
            "created_at": "2025-06-10 09:00:00",
            "updated_at": "2025-06-10 09:00:00",
        },
    )
    by_default = {
        "id": HEX_KEY,
        "user_id": user_id(1),
        "name": "Made by defaults",
        "key_prefix": "pk_hex",
        "key_hash": "h",
        "description": None,
        "tier": "starter",
        "rate_limit_requests": 10000,
        "rate_limit_window": 2592000,
        "is_active": True,
        "last_used_at": None,
        "expires_at": None,
        "created_at": "2025-06-10T09:00:00.000000Z",
        "updated_at": "2025-06-10T09:00:00.000000Z",
    }
    made.calls += [
        ("get_user_api_keys", {"user_id": USER}, shown),
        ("get_user_api_keys", {"user_id": user_id(1)}, [by_default]),
        ("get_expired_api_keys", {}, [shown[1]]),
        ("get_api_key_by_prefix", {"prefix": "pk_live_0002", "hash": f"{2:064}"}, shown[0]),
        ("get_api_key_by_prefix", {"prefix": "pk_live_0002", "hash": "nope"}, None),
        ("get_system_stats", {}, {"user_count": len(NAMES), "api_key_count": 4}),
    ]


def _usage(database, made):
    tools, statuses, times = (
        ("get_athlete", "get_activities", "analyze_activity"),
        (200, 302, 404, 500),
        (5, None, 20, 4294967295),
    )
    rows = []
    for number in range(48):
        written, shown = when(number, 60 * (number % 8) + number // 8, f"2025-06-0{1 + number % 3}")
        row = {
            "timestamp": written,
            "tool_name": tools[number * 7 % 3],
            "response_time_ms": times[number % 4],
            "status_code": statuses[number // 2 % 4],
            "ip_address": ("127.0.0.1", "unknown", "::1")[number % 3],
        }
        insert(database, "api_key_usage", {"api_key_id": KEY, **row})
        rows.append({**row, "id": number + 1, "at": shown})
    start, end = "2025-06-01T08:00:00.000000Z", "2025-06-02T12:00:00.000000Z"
    window = [row for row in rows if start <= row["at"] < end]
    made.calls.append(
        (
            "get_api_key_usage_stats",
            {"api_key_id": KEY, "start_date": start, "end_date": end},
            {"api_key_id": KEY, "period_start": start, "period_end": end, **_statistics(window)},
        )
    )
    newest = sorted(rows, key=lambda row: (row["at"], row["id"]), reverse=True)
    made.calls.append(
        (
            "get_request_logs",
            {"api_key_id": KEY, "limit": 10},
            [
                {
                    "id": str(row["id"]),
                    "timestamp": row["at"],
                    "api_key_id": KEY,
                    "api_key_name": "Key 0",
                    "tool_name": row["tool_name"],
                    "status_code": row["status_code"],
                    "response_time_ms": row["response_time_ms"],
                    "error_message": None,
                    "request_size_bytes": None,
                    "response_size_bytes": None,
                }
                for row in newest[:10]
            ],
        )
    )


def _statistics(rows):
    return {
        "total_requests": len(rows),
        "successful_requests": sum(200 <= row["status_code"] < 300 for row in rows),
        "failed_requests": sum(row["status_code"] >= 400 for row in rows),
        "total_response_time_ms": sum(row["response_time_ms"] or 0 for row in rows),
        "tool_usage": {
            name: sum(row["tool_name"] == name for row in rows)
            for name in sorted({row["tool_name"] for row in rows})
        },
    }


def _agents(database, made):
    created = "2025-06-01 09:06:40"
    shown = "2025-06-01T09:06:40.000000Z"
    client = {
        "id": "client-1",
        "name": "Coach agent",
        "description": "plans",
        "public_key": "PUB",
        "capabilities": ["fitness-data-analysis", "goal-management"],
        "redirect_uris": ["https://a.example/cb"],
    }
    insert(
        database,
        "a2a_clients",
        {
            **client,
            "api_key_id": KEY,
            "capabilities": json.dumps(client["capabilities"]),
            "redirect_uris": json.dumps(client["redirect_uris"]),
            "created_at": created,
            "updated_at": created,
        },
    )
    answer = {**client, "is_active": True, "created_at": shown}
    made.calls += [
        ("get_a2a_client", {"client_id": "client-1"}, answer),
        ("get_a2a_client_by_name", {"name": "Coach agent"}, answer),
        ("list_a2a_clients", {"user_id": USER}, [answer]),
    ]
    session = {
        "id": "70000000-1906-4dad-8bad-000000000000",
        "client_id": "client-1",
        "user_id": USER,
    }
    insert(
        database,
        "a2a_sessions",
        {
            **session,
            "session_token": "token-1",
            "granted_scopes": '["read"]',
            "created_at": created,
            "expires_at": "2099-01-01T00:00:00+00:00",
            "last_activity": created,
        },
    )
    insert(
        database,
        "a2a_sessions",
        {
            "id": "71000000-1906-4dad-8bad-000000000000",
            "client_id": "client-1",
            "session_token": "token-2",
            "created_at": created,
            "expires_at": "2025-06-02T00:00:00+00:00",
            "last_activity": created,
        },
    )
    insert(
        database,
        "a2a_tasks",
        {
            "id": "72000000-1906-4dad-8bad-000000000000",
            "client_id": "client-1",
            "session_id": session["id"],
            "task_type": "analysis",
            "input_data": '{"n":1}',
            "created_at": created,
        },
    )
    rows = []
    for number, capabilities in enumerate((None, ["a", "b"], ["a", "a"])):
        written, at = when(number + 1, 120 + number, "2025-06-04")
        row = {
            "timestamp": written,
            "tool_name": "tool",
            "response_time_ms": 7,
            "status_code": (200, 500, 200)[number],
        }
        insert(
            database,
            "a2a_usage",
            {
                "client_id": "client-1",
                "session_token": "token-1",
                **row,
                "client_capabilities": capabilities and json.dumps(capabilities),
            },
        )
        rows.append({**row, "at": at})
    start, end = "2025-06-04T00:00:00.000000Z", "2025-06-05T00:00:00.000000Z"
    made.calls += [
        (
            "get_a2a_session",
            {"session_token": "token-1"},
            {
                **session,
                "granted_scopes": ["read"],
                "created_at": shown,
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "last_activity": shown,
                "requests_count": 3,
            },
        ),
        ("get_a2a_session", {"session_token": "token-2"}, None),
        (
            "get_a2a_task",
            {"task_id": "72000000-1906-4dad-8bad-000000000000"},
            {
                "id": "72000000-1906-4dad-8bad-000000000000",
                "client_id": "client-1",
                "session_id": session["id"],
                "task_type": "analysis",
                "input_data": {"n": 1},
                "status": "pending",
                "created_at": shown,
                "started_at": None,
                "completed_at": None,
                "result": None,
                "error": None,
            },
        ),
        (
            "get_a2a_usage_stats",
            {"client_id": "client-1", "start_date": start, "end_date": end},
            {
                "client_id": "client-1",
                "period_start": start,
                "period_end": end,
                **_statistics(rows),
                "capability_usage": {"a": 2, "b": 1},
            },
        ),
    ]
