"""The cost of a call, counted instead of timed: instructions and allocations under callgrind,
system calls under strace. Would catch: a second JSON tree, a copy of every answer, a commit for
each row.

One daemon under each tool serves all methods; only the calls between two marks count."""
import collections
import contextlib
import glob
import os
import re
import secrets
import shutil
import socket
import subprocess
import time

from lib import case, daemon as daemons, databases

SANITIZERS = False
CALLS = 640
ROWS = 1024  # of a step of the roll-up: calls that record usage contain about one
TRACED_CALLS = 3200  # fewer than one for each call: timers and threads must not affect the count
WARMING = 64  # calls before the first mark: statements are prepared, memory is taken
PIPELINE = 16

# Bounds for one call, 16 in flight on one connection. They are wide, since the grouping of calls
# and the number of timer events depend on the machine's load. tests/bench/cost.py compares two
# builds closely.
Bound = collections.namedtuple("Bound", "instructions allocations syscalls")
BOUNDS = {
    "sqlite": {
        "daemon.ping": Bound(8_000, 0.5, 0.5),
        "get_user": Bound(45_000, 16, 1.5),
        # Its look-up runs at once; the notes of the last use are written once a minute.
        "authenticate_api_key": Bound(150_000, 75, 5),
        "get_strava_token": Bound(45_000, 14, 1.5),
        "update_strava_token": Bound(42_000, 14, 5),
        # With its part of a roll-up.
        "record_api_key_usage": Bound(75_000, 30, 5),
        "record_api_key_usage+key": Bound(110_000, 60, 5),
        "daemon.transaction": Bound(90_000, 60, 5),
    },
    "postgres": {
        "get_user": Bound(38_000, 1, 1),
        "authenticate_api_key": Bound(45_000, 5, 1.5),
        "get_strava_token": Bound(38_000, 1, 1.5),
        "update_strava_token": Bound(31_000, 2, 3),
        "record_api_key_usage": Bound(32_000, 2, 1.5),
        "record_api_key_usage+key": Bound(48_000, 3, 2),
        # BEGIN and COMMIT leave in writes of their own.
        "daemon.transaction": Bound(53_000, 20, 13),
    },
}

USER = "11111111-2222-4333-8444-555555555555"
KEY = "66666666-7777-4888-8999-aaaaaaaaaaaa"
SETUP = (
    (
        "create_user",
        {"user": {"id": USER, "email": "cost@example.com", "password_hash": "$2b$12$" + "x" * 53}},
    ),
    (
        "create_api_key",
        {
            "api_key": {
                "id": KEY,
                "user_id": USER,
                "name": "cost",
                "key_prefix": "pk_cost",
                "key_hash": "0" * 64,
                "tier": "starter",
                "rate_limit_requests": 1000,
                "rate_limit_window": 3600,
            }
        },
    ),
    (
        "update_strava_token",
        {
            "user_id": USER,
            "access_token": "a" * 40,
            "refresh_token": "r" * 40,
            "expires_at": "2030-01-01T00:00:00Z",
            "scope": "read,activity:read_all",
        },
    ),
)


def _transaction(*calls):
    listed = ",".join(f'{{"method":"{name}","params":{params}}}' for name, params in calls)
    return f'{{"calls":[{listed}]}}'


PARAMS = {
    "daemon.ping": "[]",
    "get_user": f'["{USER}"]',
    "authenticate_api_key": f'["pk_cost","{"0" * 64}"]',
    "get_strava_token": f'["{USER}"]',
    "update_last_active": f'["{USER}"]',
    "update_strava_token": f'["{USER}","{"b" * 40}","{"s" * 40}","2030-01-01T00:00:00Z","read"]',
    "record_api_key_usage": f'{{"usage":{{"api_key_id":"{KEY}","tool_name":"get_activities",'
    '"status_code":200,"response_time_ms":42,"ip_address":"192.0.2.17","user_agent":"cost/1.0"}}',
    "daemon.transaction": _transaction(
        ("update_last_active", f'["{USER}"]'), ("update_api_key_last_used", f'["{KEY}"]')
    ),
}


def callgrind_totals(path):
    """Returns the instructions of the whole run, and the calls of malloc, calloc and realloc, from
    callgrind's output."""
    names, callee, instructions, allocations = {}, "", 0, 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for text in file:
            if text.startswith(("fn=", "cfn=")):
                found = re.match(r"c?fn=\((\d+)\)(?: (.*))?", text)
                if found.group(2):
                    names[found.group(1)] = found.group(2).strip()
                callee = names[found.group(1)]
            elif text.startswith("calls=") and callee in ("malloc", "calloc", "realloc"):
                allocations += int(text[6:].split()[0])
            elif text.startswith("totals:"):
                instructions = int(text.split()[1])
    return instructions, allocations


def make_calls(path, method, count):
    """Sends PIPELINE calls in one write, reads their answers, and repeats: the same grouping in
    every run. A method with `+key` carries an idempotency key, another one for each call."""
    name, _, keyed = method.partition("+")

    def lines(turn):
        return "".join(
            f'{{"jsonrpc":"2.0","id":{i},'
            + (f'"idempotency_key":"{secrets.token_hex(8)}-{turn}-{i}",' if keyed else "")
            + f'"method":"{name}","params":{PARAMS[name]}}}\n'
            for i in range(PIPELINE)
        ).encode()

    same = lines(0)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(300)
        client.connect(path)
        with client.makefile("rb") as answers:
            for turn in range(count // PIPELINE):
                client.sendall(lines(turn) if keyed else same)
                for _ in range(PIPELINE):
                    answer = answers.readline()
                    if b'"result":' not in answer:
                        raise AssertionError(f"{method} was answered {answer!r}")


class Counter:
    """A daemon under a tool: `with Callgrind() as counter: counter.count(method)`."""

    calls = CALLS

    def __init__(self):
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with self.stack:
            folder = daemons.temporary_folder()
            self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self.output = os.path.join(folder, "counted")
            database = databases.make(databases.chosen(), folder)
            self.stack.callback(database.drop)
            # The migrations and the first rows do not run under the tool, which slows them down.
            with daemons.Daemon(database=database) as plain, plain.connect() as client:
                for name, params in SETUP:
                    client.call(name, params)
            # How often a busy loop polls depends on time, not on the cost of a call. One
            # connection: the number that a pool opens depends on time, too.
            self.server = daemons.Daemon(
                database=database,
                key=plain.key,
                wrapper=self.wrapper(),
                options=["--busy-poll", "0", "--pool", "1"],
            )
            self.stack.callback(self.server.discard)
            self.server.start(timeout=120)
            # Its first tick looks for upkeep that is due, which would count for the first method.
            while self.server.call("daemon.stats")["uptime_seconds"] < 2:
                time.sleep(0.1)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        with self.stack:
            self.server.terminate(timeout=120)

    def count(self, method):
        """Returns what one call costs."""
        make_calls(self.server.socket_path, method, WARMING)
        begin = self.mark()
        self.counted = max(self.calls, ROWS) if method.startswith("record_") else self.calls
        make_calls(self.server.socket_path, method, self.counted)
        return [total / self.counted for total in self.totals(begin)]


class Callgrind(Counter):
    """Counts instructions and allocations. dump: the output file of the last count."""

    def wrapper(self):
        return ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={self.output}"]

    def control(self, option):
        subprocess.run(
            ["callgrind_control", option, str(self.server.pid)],
            check=True,
            capture_output=True,
            timeout=120,
        )

    def mark(self):
        self.control("--zero")

    def totals(self, _):
        self.control("--dump")
        (self.dump,) = glob.glob(f"{self.output}.*")
        try:
            return callgrind_totals(self.dump)
        finally:
            self.forget()

    def forget(self):
        os.unlink(self.dump)


class Strace(Counter):
    """Counts system calls: a line for each, and one more where it is cut by another thread's."""

    calls = TRACED_CALLS

    def wrapper(self):
        return ["strace", "-f", "-qq", "-e", "signal=none", "-o", self.output]

    def mark(self):
        with open(self.output, "rb") as file:
            return sum("resumed>" not in line for line in map(bytes.decode, file))

    def totals(self, begin):
        return (self.mark() - begin,)


class Cost(case.Case):
    @classmethod
    def setUpClass(cls):
        cls.counters = []
        if daemons.SLOW > 1:
            return
        for needed in ("valgrind", "strace"):
            if shutil.which(needed) is None:
                raise AssertionError(f"{needed} is missing: run `scripts/setup test`")
        for kind in (Callgrind, Strace):
            cls.counters.append(cls.enterClassContext(kind()))

    def check(self, method):
        if daemons.SLOW > 1:
            self.skipTest(
                "the cost of a sanitizer's build is meaningless, and valgrind cannot run it"
            )
        bound = BOUNDS[databases.chosen()][method]
        counted = Bound(*(value for counter in self.counters for value in counter.count(method)))
        print(
            f"  {databases.chosen()} {method}: {counted.instructions:,.0f} instructions, "
            f"{counted.allocations:.2f} allocations, "
            f"{counted.syscalls:.2f} system calls",
            flush=True,
        )
        for what, value, limit in zip(Bound._fields, counted, bound):
            self.assertGreater(
                value,
                0 if what == "instructions" else -0.01,
                f"{what} of {method} were not counted",
            )
            self.assertLess(
                value, limit, f"{method} on {databases.chosen()} costs more {what} than allowed"
            )


def add_tests():
    for method in BOUNDS[databases.chosen()]:
        setattr(
            Cost,
            "test_" + re.sub(r"\W", "_", method),
            lambda self, method=method: self.check(method),
        )


add_tests()
