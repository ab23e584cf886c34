"""The cost of a call, counted instead of timed: instructions and allocations under callgrind,
system calls under strace.

Each count is the difference between a run with N and one with 2N calls, divided by N: the cost of
the start cancels out."""
import collections
import os
import re
import secrets
import shutil
import socket

from lib import case, daemon as daemons, databases

SANITIZERS = False
CALLS = 640
TRACED_CALLS = (
    8000  # system calls are fewer than one per call: timers and threads must not affect the count
)
PIPELINE = 16

# Bounds for one call, 16 in flight on one connection. They are wide, since the grouping of calls
# and the number of timer events depend on the machine's load. tests/bench/cost.py compares two
# builds closely. These bounds catch a second JSON tree, a copy of every answer, a commit for each
# row.
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
    },
    "postgres": {
        "get_user": Bound(38_000, 1, 1),
        "authenticate_api_key": Bound(45_000, 5, 1.5),
        "get_strava_token": Bound(38_000, 1, 1.5),
        "update_strava_token": Bound(31_000, 2, 3),
        "record_api_key_usage": Bound(32_000, 2, 1.5),
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
PARAMS = {
    "daemon.ping": "[]",
    "get_user": f'["{USER}"]',
    "authenticate_api_key": f'["pk_cost","{"0" * 64}"]',
    "get_strava_token": f'["{USER}"]',
    "update_last_active": f'["{USER}"]',
    "update_strava_token": f'["{USER}","{"b" * 40}","{"s" * 40}","2030-01-01T00:00:00Z","read"]',
    "record_api_key_usage": f'{{"usage":{{"api_key_id":"{KEY}","tool_name":"get_activities",'
    '"status_code":200,"response_time_ms":42,"ip_address":"192.0.2.17","user_agent":"cost/1.0"}}',
}


def callgrind(output):
    return ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={output}"]


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


def strace_total(path):
    with open(path, encoding="utf-8") as file:
        found = re.search(
            r"^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)(?:\s+\d+)? total$", file.read(), re.M
        )
    return int(found.group(1))


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


class Cost(case.Case):
    def run_under(self, wrapper, method, count):
        # How often a busy loop polls depends on time, not on the cost of a call.
        # One connection: the number that a pool opens depends on time, too.
        server = daemons.Daemon(wrapper=wrapper, options=["--busy-poll", "0", "--pool", "1"])
        try:
            server.start(timeout=120)
            with server.connect() as client:
                for name, params in SETUP:
                    client.call(name, params)
            make_calls(server.socket_path, method, count)
            server.terminate(timeout=120)
        finally:
            server.discard()

    def per_call(self, wrapper, output, read, method, calls=CALLS):
        """Returns the two runs' difference for one call; `read` returns one or more totals of a
        run's output file."""
        totals = []
        for count in (calls, 2 * calls):
            self.run_under(wrapper, method, count)
            found = read(output)
            totals.append(found if isinstance(found, tuple) else (found,))
            os.unlink(output)
        return [(more - less) / calls for less, more in zip(*totals)]

    def check(self, method):
        if daemons.SLOW > 1:
            self.skipTest(
                "the cost of a sanitizer's build is meaningless, and valgrind cannot run it"
            )
        for needed in ("valgrind", "strace"):
            if shutil.which(needed) is None:
                self.fail(f"{needed} is missing: run `scripts/setup test`")
        bound = BOUNDS[databases.chosen()][method]
        folder = daemons.temporary_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        output = os.path.join(folder, "counted")
        instructions, allocations = self.per_call(
            callgrind(output), output, callgrind_totals, method
        )
        (syscalls,) = self.per_call(
            ["strace", "-f", "-c", "-o", output], output, strace_total, method, TRACED_CALLS
        )
        counted = Bound(instructions, allocations, syscalls)
        print(
            f"  {databases.chosen()} {method}: {instructions:,.0f} instructions, "
            f"{allocations:.2f} allocations, "
            f"{syscalls:.2f} system calls",
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
