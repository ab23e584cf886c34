"""One behaviour, two databases: random sequences of calls, valid and invalid, go to a daemon on
SQLite and to one on PostgreSQL, and every answer is compared: members in order, doubles to the last
bit, after generated ids and times are mapped onto each other. Between the slices several
connections read at once. Would catch: any difference in a default, an order, a filter's edge, a
rounding, an error or its data; a setting of the PostgreSQL database that affects an answer; a read
that gets a neighbour's rows.

Seeds are printed: PIERRE_TEST_SEED=N repeats a run, PIERRE_TEST_CALLS=N sets the number of
calls."""
import datetime
import itertools
import os
import random
import threading
import time

from differential.mapping import Mapping
from lib import strict
from lib.case import Case
from lib.daemon import Daemon, SANITIZER, SLOW
from lib.databases import postgres_url
from lib.interface import METHODS, TASK_STATUSES, TIERS, TIMESTAMP, UUID

BACKENDS = ("both",)
STRICT = True
SLICE = 250  # calls that are pipelined between two checks of the answers
READERS, READS = 4, 30  # connections that read between two slices, and the number of calls of each
CALLS = int(
    os.environ.get(
        "PIERRE_TEST_CALLS",
        "100000" if os.environ.get("PIERRE_TEST_LONG") else "2000" if SANITIZER else "12000",
    )
)

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
# Every second seed uses these database settings, and no answer may show them.
SETTINGS = {
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "default_transaction_isolation": "serializable",
    "plan_cache_mode": "force_generic_plan",
    "client_encoding": "LATIN1",
    "client_min_messages": "debug1",
    "enable_seqscan": "off",
    "enable_hashagg": "off",
    "jit": "off",
}


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


MAKES = {
    "create_goal": "goal",
    "create_a2a_session": "session",
    "create_a2a_task": "task",
    "store_insight": "insight",
}


TRANSACTION = "daemon.transaction"


def parts(method, params, *answers):
    """A call with its answers; those of a transaction's calls, if it has succeeded."""
    if method != TRANSACTION or not all("result" in answer for answer in answers):
        return [(method, params, *answers)]
    return [
        (call["method"], call.get("params"), *({"result": result} for result in results))
        for call, *results in zip(params["calls"], *(answer["result"] for answer in answers))
    ]


class Side:
    """One daemon, and the ids in its answers."""

    def __init__(self, backend, settings=None):
        self.daemon = Daemon(backend, options=("--bcrypt-cost", "4"))
        for name, value in (settings or {}).items():
            self.daemon.database.admin(
                f"ALTER DATABASE {self.daemon.database.name} SET {name} = '{value}'"
            )
        self.daemon.start()
        self.connection = self.daemon.connect(60)
        self.readers = [self.daemon.connect(60) for _ in range(READERS)]
        self.made = {"goal": [], "session": [], "task": [], "log": [], "insight": [], "version": []}

    def fill(self, value):
        if isinstance(value, dict):
            if "@made" in value:
                return self.made[value["@made"]][value["n"]]
            return {name: self.fill(one) for name, one in value.items()}
        return [self.fill(one) for one in value] if isinstance(value, list) else value

    def run(self, calls, connection=None):
        connection, data, ids = connection or self.connection, bytearray(), []
        for method, params in calls:
            identifier = connection.last_id = connection.last_id + 1
            connection.waiting[("int", identifier)] = method
            head = f'{{"jsonrpc":"2.0","id":{identifier},"method":"{method}","params":'
            data += f"{head}{spell(self.fill(params))}}}\n".encode()
            ids.append(identifier)
        connection.pump(data, len(ids))
        return [connection.answers.pop(identifier) for identifier in ids]

    def close(self):
        for connection in (self.connection, *self.readers):
            connection.close()


def read_at_once(sides, calls):
    """Runs calls[i] on the i-th reader of both sides, all at the same time. Returns the answers of
    each side and reader."""
    answers = [[None] * READERS for _ in sides]

    def run(side, number):
        answers[side][number] = sides[side].run(calls[number], sides[side].readers[number])

    threads = [
        threading.Thread(target=run, args=(side, number))
        for side in range(len(sides))
        for number in range(READERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def spell(value):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{strict.dumps(name)}:{spell(one)}" for name, one in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(spell, value)) + "]"
    return strict.dumps(value)


class Differential(Case):
    def setUp(self):
        if postgres_url() is None:
            self.skipTest("no PostgreSQL: the two databases are NOT compared")
        self.began = time.time()

    def test_random_calls(self):
        """Rules of the comparison: ids made by the daemon map one to one, and times of this run
        match any time of this run."""
        seed = int(os.environ.get("PIERRE_TEST_SEED") or random.SystemRandom().randrange(10**9))
        print(f"  seed {seed}, {CALLS} calls", flush=True)
        generator, mapping, kinds = Generator(seed), Mapping(), {}
        left, right = sides = Side("sqlite"), Side("postgres", SETTINGS if seed % 2 else None)
        try:
            done = 0
            while done < CALLS:
                calls = [generator.call() for _ in range(SLICE)]
                answers = left.run(calls), right.run(calls)
                for (method, params), *both in zip(calls, *answers):
                    self.compare(seed, method, params, *both, mapping, kinds)
                for method, _, a, b in itertools.chain.from_iterable(
                    parts(*call, *both) for call, *both in zip(calls, *answers)
                ):
                    if method.endswith("_token") and a.get("result"):
                        left.made["version"].append(a["result"]["version"])
                        right.made["version"].append(b["result"]["version"])
                        generator.made["version"] += 1
                    if method in MAKES and "result" in a:
                        left.made[MAKES[method]].append(a["result"])
                        right.made[MAKES[method]].append(b["result"])
                        generator.made[MAKES[method]] += 1
                    if method == "get_request_logs" and "result" in a:
                        for side, answer in ((left, a), (right, b)):
                            side.made["log"] += [entry["id"] for entry in answer["result"]]
                        generator.made["log"] = len(left.made["log"])
                reads = [[generator.read() for _ in range(READS)] for _ in range(READERS)]
                for calls, *answers in zip(reads, *read_at_once(sides, reads)):
                    for (method, params), a, b in zip(calls, *answers):
                        self.compare(seed, method, params, a, b, mapping, kinds)
                done += SLICE
        finally:
            for side in sides:
                side.close()
        left.daemon.stop()
        right.daemon.stop()
        print(f"  {dict(sorted(kinds.items()))}", flush=True)
        self.assertGreater(kinds.get("result", 0), CALLS // 2)
        for kind in ("not_found", "conflict", "invalid_params"):
            self.assertGreater(kinds.get(kind, 0), CALLS // 200, kind)
        for kind in ("transactions", "refused transactions"):
            self.assertGreater(kinds.pop(kind, 0), CALLS // 80, kind)
        self.assertEqual(set(kinds) - {"result", "not_found", "conflict", "invalid_params"}, set())

    def compare(self, seed, method, params, a, b, mapping, kinds):
        outcome = a["error"]["data"]["kind"] if "error" in a else "result"
        kinds[outcome] = kinds.get(outcome, 0) + 1
        if method == TRANSACTION:
            outcome = "refused transactions" if "error" in a else "transactions"
            kinds[outcome] = kinds.get(outcome, 0) + 1
        if method == TRANSACTION and "result" in a and "result" in b:
            self.assertEqual(len(a["result"]), len(b["result"]))
            for part in parts(method, params, a, b):
                self.compare(seed, *part, mapping, {})
            return
        if method == "migrate" and "result" in a and "result" in b:
            a, b = (
                a["result"]["applied"],
                b["result"]["applied"],
            )  # each database has its own versions
        else:
            a, b = mapping.settle_ties(method, params, a, b)
        found = self.differ(a, b, mapping)
        if found:
            self.fail(
                f"seed {seed}: {method} {spell(params)[:600]}\n{found}\n"
                f"sqlite:   {strict.dumps(a)[:1500]}\npostgres: {strict.dumps(b)[:1500]}"
            )

    def differ(self, a, b, mapping, path="$"):
        """Returns where two answers differ, or None."""
        if type(a) is not type(b):
            return f"{path}: {a!r} is not {b!r}"
        if isinstance(a, dict):
            if set(a) != set(b):
                return f"{path}: {list(a)} is not {list(b)}"
            if path.endswith(("tool_usage", "capability_usage")) and list(a) != list(b):
                return f"{path}: the order of {list(a)} is not that of {list(b)}"
            return next(
                filter(
                    None, (self.differ(a[name], b[name], mapping, f"{path}.{name}") for name in a)
                ),
                None,
            )
        if isinstance(a, list):
            if len(a) != len(b):
                return f"{path}: {len(a)} items, not {len(b)}"
            return next(
                filter(
                    None,
                    (
                        self.differ(x, y, mapping, f"{path}[{i}]")
                        for i, (x, y) in enumerate(zip(a, b))
                    ),
                ),
                None,
            )
        if (
            isinstance(a, str)
            and path.startswith("$.result[")
            and path.endswith("].id")
            and a.isdigit()
            and b.isdigit()
        ):
            return (
                None if mapping.fits("row " + a, "row " + b) else f"{path}: {a!r} is not {b!r}"
            )  # a log row's id, made by the database
        if path == "$.error.message":  # it may name a row by an id that differs between the sides
            a = UUID.sub(lambda found: mapping.right_of.get(found[0], found[0]), a)
        if isinstance(a, str) and a != b:
            if (
                TIMESTAMP.fullmatch(a)
                and TIMESTAMP.fullmatch(b)
                and self.recent(a)
                and self.recent(b)
            ):
                return None
            if (
                (UUID.fullmatch(a) and UUID.fullmatch(b)) or len(a) == len(b) in (32, 43)
            ) and mapping.fits(a, b):
                return None
            return f"{path}: {a!r} is not {b!r}"
        return strict.difference(a, b, path=path)

    def recent(self, stamp):
        moment = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
        ahead = moment - self.began
        return -5 < ahead < 600 * SLOW or 3500 < ahead < 87601 * 3600  # now, or a session's expiry
