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

from differential.generator import TRANSACTION, Generator, Raw
from differential.mapping import Mapping
from lib import strict
from lib.case import Case
from lib.daemon import Daemon, SANITIZER, SLOW
from lib.databases import postgres_url
from lib.interface import TIMESTAMP, UUID

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


MAKES = {
    "create_goal": "goal",
    "create_a2a_session": "session",
    "create_a2a_task": "task",
    "store_insight": "insight",
}


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
