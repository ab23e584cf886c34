"""Random calls about few rows, mostly valid ones."""
import random
import time

from lib.interface import METHODS, TASK_STATUSES, TIERS

TRANSACTION = "daemon.transaction"

TEXTS = [
    "",
    "a",
    "A",
    "b",
    "get_activities",
    "get_athlete",
    "ü",
    "é",
    "e\u0301",
    "%",
    "_",
    "a b",
    "x" * 300,
    "'; --",
    '"',
    "\\",
    "😀",
    "\u0001",
    "pace",
    "all",
    "general",
    "success",
    "10",
    "9",
]
NUMBERS = (
    "0 -0 1 -1 1.0 0.1 -0.0 1e2 1e300 5e-324 9007199254740993 "
    "9223372036854775807 2.5 100.10 1E-7"
).split()
TIMES = [
    "2025-06-04T12:00:00Z",
    "2025-06-04T12:00:00.000001Z",
    "2025-06-04T14:00:00+02:00",
    "2025-06-04T11:59:59.9999999Z",
    "2024-02-29T23:59:59.5Z",
    "2025-12-31T23:30:00-00:45",
    "2031-01-01T00:00:00Z",
    "1969-12-31T23:59:59.1Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T00:00:00Z",
]
BROKEN = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    [],
    {},
    [1],
    {"a": 1},
    2**63 - 1,
    "2025-13-01T00:00:00Z",
    "00000000-0000-4000-8000-00000000000g",
]

PASSWORD, PASSWORD_HASHES = "right", (
    "$2b$04$abcdefghijklmnopqrstuuFmEfrkTQnczNzw475xE2VhDrK1uwJiC",
    "$2y$04$abcdefghijklmnopqrstuuFmEfrkTQnczNzw475xE2VhDrK1uwJiC",
)


class Raw(str):
    """A number that keeps the spelling given here."""


class Generator:
    """Makes calls about few rows, so that most calls find some. Names of rows are chosen here. Ids
    made by the daemon are placeholders for the n-th answer of a kind, which each side replaces by
    its own."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.users, self.keys, self.clients, self.prefixes = [], [], [], []
        self.made = {"goal": 0, "session": 0, "task": 0, "log": 0, "insight": 0, "version": 0}
        self.count = 0
        self.began = time.monotonic()

    def pick(self, choices):
        return self.chance.choice(choices)

    def maybe(self, members, odds=0.5):
        return {name: value for name, value in members.items() if self.chance.random() < odds}

    def text(self):
        return self.pick(TEXTS)

    def new_id(self, kind):
        self.count += 1
        return f"{kind}{self.count}{self.text() if self.chance.random() < 0.3 else ''}"

    def user(self):
        if self.chance.random() < 0.06 or not self.users:
            return "00000000-0000-4000-8000-00000000dead"
        user = self.pick(self.users[-12:])
        return user.upper() if self.chance.random() < 0.1 else user

    def key(self):
        return (
            "no key" if self.chance.random() < 0.06 or not self.keys else self.pick(self.keys[-12:])
        )

    def client(self):
        return (
            "no client"
            if self.chance.random() < 0.06 or not self.clients
            else self.pick(self.clients[-8:])
        )

    def mark(self, kind):
        """Returns a goal, session or task that an earlier answer created."""
        if self.chance.random() < 0.08 or self.made[kind] == 0:
            return "00000000-0000-4000-8000-00000000beef"
        return {
            "@made": kind,
            "n": self.chance.randrange(max(0, self.made[kind] - 10), self.made[kind]),
        }

    def lease_seconds(self):
        """No lease ends by its time during the run, which each side would notice for itself."""
        return 300 if time.monotonic() - self.began < 200 else 301

    def number(self):
        return Raw(self.pick(NUMBERS))

    def json(self, depth=0):
        turn = self.chance.random()
        if depth > 3 or turn < 0.4:
            return self.pick(
                [None, True, False, self.text(), self.number(), self.number(), self.text()]
            )
        if turn < 0.7:
            return [self.json(depth + 1) for _ in range(self.chance.randrange(4))]
        return self.document(depth + 1)

    def document(self, depth=0):
        return {
            self.text() + str(index): self.json(depth) for index in range(self.chance.randrange(4))
        }

    def times(self):
        a, b = sorted((self.pick(TIMES), self.pick(TIMES)))
        return (a, b) if self.chance.random() < 0.9 else (b, a)

    def params(self, method):
        """Returns mostly valid parameters of a method, by name."""
        make = getattr(self, "make_" + method.replace(".", "_"), None)
        if make is not None:
            return make()
        found = {}
        after = {
            "get_user_goals": lambda: self.mark("goal"),
            "get_user_insights": lambda: self.mark("insight"),
            "get_user_api_keys": self.key,
            "list_a2a_clients": self.client,
            "get_request_logs": lambda: self.mark("log"),
        }
        for name, kind in METHODS[method][0].items():
            if kind.endswith("?") and self.chance.random() < 0.4:
                continue
            found[name] = {
                "user_id": self.user,
                "api_key_id": self.key,
                "client_id": self.client,
                "goal_id": lambda: self.mark("goal"),
                "task_id": lambda: self.mark("task"),
                "session_token": lambda: self.mark("session"),
                "session_id": lambda: self.mark("session"),
                "if_version": lambda: self.mark("version"),
                "provider": lambda: self.pick(("strava", "fitbit", "garmin")),
                "seconds": self.lease_seconds,
                "current_value": self.number,
                "profile_data": self.document,
                "limit": lambda: self.pick([0, 1, 3, 50, 1000, 1001]),
                "after": after.get(method),
                "bucket": lambda: self.pick(["hour", "day", "day", "week"]),
                "days": lambda: self.pick([0, 1, 400, 36600, 36601]),
                "expires_at": lambda: self.pick(TIMES),
                "status": lambda: self.pick(TASK_STATUSES),
                "result": self.json,
                "input_data": self.json,
                "status_filter": lambda: self.pick(["success", "error", "all", "none"]),
                "granted_scopes": lambda: [self.text() for _ in range(self.chance.randrange(3))],
                "expires_in_hours": lambda: self.pick([1, 24, 87600, 0]),
            }.get(name, self.text)()
        for start, end in (("start_date", "end_date"), ("start_time", "end_time")):
            if start in found and end in found:
                found[start], found[end] = self.times()
            elif start in found or end in found:
                found[start if start in found else end] = self.pick(TIMES)
        return found

    def make_create_user(self):
        user = (
            self.chance.choice(self.users[-5:])
            if self.users and self.chance.random() < 0.1
            else "%08x-0000-4000-8000-%012x" % (len(self.users), self.count)
        )
        self.users.append(user)
        self.count += 1
        email = (
            f"u{self.count if self.chance.random() < 0.9 else 1}{self.text().replace('@', '')}@x"
        )
        return {
            "user": {
                "id": user,
                "email": email,
                "password_hash": self.pick((self.text(), *PASSWORD_HASHES)),
                "created_at": self.pick(TIMES),
                **self.maybe(
                    {
                        "display_name": self.text(),
                        "last_active": self.pick(TIMES),
                        "is_active": self.pick([True, False]),
                    }
                ),
            }
        }

    def make_create_api_key(self):
        key = self.new_id("k") if self.chance.random() < 0.9 else self.key()
        self.keys.append(key)
        prefix = self.text()
        self.prefixes.append((prefix, self.pick(TEXTS[:4])))
        return {
            "api_key": {
                "id": key,
                "user_id": self.user(),
                "name": self.pick([key, key, self.text()]),
                "key_prefix": prefix,
                "key_hash": self.prefixes[-1][1],
                "tier": self.pick(TIERS),
                "rate_limit_requests": self.pick([0, 1, 4294967295]),
                "rate_limit_window": 60,
                "created_at": self.pick(TIMES),
                "updated_at": self.pick(TIMES),
                **self.maybe(
                    {
                        "description": self.text(),
                        "is_active": self.pick([True, False]),
                        "last_used_at": self.pick(TIMES),
                        "expires_at": self.pick(TIMES),
                    }
                ),
            }
        }

    def make_get_api_key_by_prefix(self):
        prefix, hashed = self.pick(self.prefixes[-10:] or [("a", "b")])
        return {"prefix": prefix, "hash": hashed}

    make_authenticate_api_key = make_get_api_key_by_prefix

    def make_get_user_by_email(self):
        return {"email": f"u{self.chance.randrange(1, max(2, self.count))}@x"}

    make_get_user_by_email_required = make_get_user_by_email

    def make_verify_user_password(self):
        return {
            **self.make_get_user_by_email(),
            "password": self.pick((PASSWORD, PASSWORD, self.text())),
        }

    def usage(self):
        return {
            "tool_name": self.text(),
            "status_code": self.pick([200, 204, 299, 301, 399, 400, 404, 500, 0, 65535]),
            "timestamp": self.pick(TIMES),
            **self.maybe(
                {
                    "response_time_ms": self.pick([0, 1, 7, 4294967295]),
                    "error_message": self.text(),
                    "request_size_bytes": 1,
                    "response_size_bytes": 4294967295,
                    "ip_address": self.pick(["::1", "10.0.0.1", "FE80::0:1", "1.2.3"]),
                    "user_agent": self.text(),
                }
            ),
        }

    def key_usage(self):
        return {"api_key_id": self.key(), **self.usage()}

    def make_record_api_key_usage(self):
        return {"usage": self.key_usage()}

    def make_record_api_key_usages(self):
        return {"usages": [self.key_usage() for _ in range(self.chance.randrange(12))]}

    def make_record_a2a_usages(self):
        count = self.chance.randrange(8)
        return {"usages": [self.make_record_a2a_usage()["usage"] for _ in range(count)]}

    def make_record_a2a_usage(self):
        return {
            "usage": {
                "client_id": self.client(),
                **self.usage(),
                **self.maybe(
                    {
                        "session_token": self.mark("session"),
                        "protocol_version": self.text(),
                        "granted_scopes": [self.text()],
                        "client_capabilities": [
                            self.text() for _ in range(self.chance.randrange(4))
                        ],
                    }
                ),
            }
        }

    def make_create_a2a_client(self):
        client = self.new_id("c") if self.chance.random() < 0.9 else self.client()
        self.clients.append(client)
        return {
            "client": {
                "id": client,
                "name": self.pick([client, client, self.text()]),
                "description": self.text(),
                "public_key": self.text(),
                "capabilities": [self.text()],
                "redirect_uris": [],
                "created_at": self.pick(TIMES),
                **self.maybe({"is_active": self.pick([True, False])}),
            },
            "api_key_id": self.key(),
        }

    def make_get_a2a_client_by_name(self):
        return {"name": self.client()}

    def make_create_goal(self):
        return {
            "user_id": self.user(),
            "goal_data": {
                **self.document(),
                **self.maybe(
                    {
                        "title": self.text(),
                        "goal_type": self.text(),
                        "type": self.text(),
                        "target_value": self.number(),
                        "target": self.number(),
                        "current_value": self.number(),
                        "current": self.number(),
                        "status": self.text(),
                        "id": self.json(3),
                    },
                    0.3,
                ),
            },
        }

    def make_store_insight(self):
        return {
            "user_id": self.user(),
            "insight_data": {
                **self.document(),
                **self.maybe({"insight_type": self.text(), "type": self.text(), "id": 1}, 0.3),
            },
        }

    def break_one(self, params):
        """Changes, removes or adds one parameter, or one member of an object."""
        params = dict(params)
        inner = next(
            (
                name
                for name, value in params.items()
                if isinstance(value, dict) and "@made" not in value
            ),
            None,
        )
        if inner is not None and self.chance.random() < 0.7:
            return {**params, inner: self.break_one(params[inner])}
        name = self.pick(sorted(params) or ["extra"])
        turn = self.chance.random()
        if turn < 0.2:
            params.pop(name, None)
        elif turn < 0.35:
            params["extra" + self.text()] = self.pick(BROKEN)
        else:
            params[name] = self.pick(BROKEN)
        return params

    def read(self):
        """Returns a call that changes nothing."""
        method = self.pick(
            [
                name
                for name in METHODS
                if name.startswith(("get_", "list_", "verify_")) or name == "migrate"
            ]
        )
        return method, self.params(method)

    def transaction(self):
        """Calls of several kinds, at times with one that cannot take part."""
        calls = []
        for _ in range(self.chance.randrange(1, 6)):
            method, params = self.read() if self.chance.random() < 0.5 else self.call(joins=True)
            if method != "migrate":
                calls.append({"method": method, "params": params})
        if self.chance.random() < 0.03:
            calls.append({"method": self.pick(("migrate", "daemon.ping", "daemon.transaction"))})
        return TRANSACTION, {"calls": calls}

    def call(self, joins=False):
        """joins: it can be part of a transaction."""
        if not joins and self.chance.random() < 0.08:
            return self.transaction()
        skipped = (
            "rpc.discover",
            "rotate_key",
            *(("migrate",) if joins else ()),
            *(name for name in METHODS if name.startswith("daemon.")),
        )
        heavy = (
            "create_user",
            "create_api_key",
            "record_api_key_usage",
            "record_a2a_usage",
            "record_api_key_usages",
            "record_a2a_usages",
            "create_a2a_client",
            "create_a2a_session",
            "create_goal",
            "store_insight",
            "upsert_user_profile",
            "create_a2a_task",
            "update_a2a_task_status",
            "get_user_goals",
            "get_request_logs",
            "get_user_api_keys",
            "list_a2a_clients",
            "authenticate_api_key",
            "get_user_api_key_usage",
        )
        method = self.pick(
            heavy
            if self.chance.random() < 0.5
            else [name for name in METHODS if name not in skipped]
        )
        params = self.params(method)
        if self.chance.random() < (0.02 if joins else 0.07):
            params = self.break_one(params)
        if self.chance.random() < 0.1 and set(params) <= set(METHODS[method][0]):
            params = [params.get(name) for name in METHODS[method][0]]
        return method, params
