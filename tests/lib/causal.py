"""A checker of reads: connections that write, read back what they wrote, and read what the others
write, over the raw socket. Each write has a number, and numbers grow, so a read shows how old it
is. What it checks of each answer:

own writes    a read shows the writes sent before it on its connection, and none sent behind it
monotonic     reads of a connection never go back in time, whichever server answers
age           with a primary, a read shows what was answered that long before it was sent
errors        no call fails, unless a fault of the primary explains it (expect_errors)

    with Checker(daemon, age=2.5) as checker:
        …fault…
    checker.verify()                # raises AssertionError with the first violations
    print(checker.report())
"""
import bisect
import collections
import json
import random
import selectors
import socket
import threading
import time

from . import routes
from .states import SLOW
from .world import HASH, World, new_user

ROWS = {"profile": 1, "goal": 2, "insight": 1, "task": 2, "log": 1}
KINDS = tuple(ROWS)
MAX_OPERATIONS = 8  # of one turn
RECENT = 24  # events of a connection that a violation shows
SHOWN = 5  # violations
BACK_OFF = 0.02  # seconds after a failed turn
GRACE = 60.0 * SLOW  # seconds for the last answers


class Series:
    """The numbered writes of one connection to the rows of one kind: number n goes to row n % rows.
    They take effect in the order of their numbers."""

    def __init__(self, owner, kind):
        self.owner, self.kind, self.rows = owner, kind, ROWS[kind]
        self.last = 0  # the newest number that was sent
        self.value = [0] * self.rows  # what the owner must see in each row
        self.refused = set()  # numbers that were not written, or perhaps not
        self.unknown = set()  # those of them that perhaps were
        self.times = [[0.0] for _ in range(self.rows)]  # of answered writes
        self.numbers = [[0] for _ in range(self.rows)]

    def row(self, number):
        return number % self.rows

    def least(self, row, seen):
        """What a row shows at least to a reader that has seen a number of the series."""
        if self.row(seen) == row:
            return seen
        number = seen - (seen - row) % self.rows
        while number > 0 and number in self.refused:
            number -= self.rows
        return max(number, 0)

    def old(self, row, moment):
        """The newest number of a row that was answered before a moment."""
        return self.numbers[row][bisect.bisect_right(self.times[row], moment) - 1]


# The numbers in an answer, one for each row of the series. A row that is not there counts as 0: the
# connection has not made it itself.


def of_profile(profile):
    return [profile["n"] if profile else 0]


def of_goals(goals):
    found = {int(goal["title"]): int(goal["current"]) for goal in goals}
    return [found.get(row, 0) for row in range(ROWS["goal"])]


def of_insights(insights):
    return [max((insight["n"] for insight in insights), default=0)]


def of_task(task):
    return task["result"]["n"] if task and task["result"] else 0


def of_log(entries):
    return [int(entries[0]["tool_name"]) if entries else 0]


class Operation:
    """One call of a turn. series, decode: whose numbers a read shows, and where in its answer; a
    count has no series. write: (series, number)."""

    def __init__(self, method, params, write=None, series=None, decode=None):
        self.method, self.params = method, params
        self.write, self.series, self.decode = write, series, decode
        self.answer = None
        self.sent = self.at = 0.0


class Caller:
    """One connection with rows of its own."""

    def __init__(self, checker, number):
        self.checker, self.number = checker, number
        self.random = random.Random(f"{checker.seed}-{number}")
        self.series = {kind: Series(number, kind) for kind in KINDS}
        self.seen = {}  # (owner, kind) -> the newest number seen
        self.counted = {}  # what is counted -> the largest count seen
        self.recent = collections.deque(maxlen=RECENT)
        self.groups, self.turn = collections.deque(), []
        self.waiting = {}  # id -> operation
        self.last_id, self.rest, self.due = 0, b"", 0.0
        self.socket = None

    # Its rows

    def prepare(self, connection):
        world = World(connection)
        self.user = world.user()
        self.key = world.api_key(self.user)
        self.client = world.client(self.key)
        self.goals = [world.goal(self.user, title=f"{row}") for row in range(ROWS["goal"])]
        self.tasks = [world.task(self.client) for _ in range(ROWS["task"])]
        connection.call("upsert_user_profile", user_id=self.user, profile_data={"n": 0})

    def write(self, kind):
        series = self.series[kind]
        series.last += 1
        number = series.last
        row = series.row(number)
        method, params = {
            "profile": lambda: ("upsert_user_profile", [self.user, {"n": number}]),
            "goal": lambda: ("update_goal_progress", [self.goals[row], number]),
            "insight": lambda: ("store_insight", [self.user, {"n": number}]),
            "task": lambda: (
                "update_a2a_task_status",
                [self.tasks[row], "running", {"n": number}],
            ),
            "log": lambda: (
                "record_api_key_usage",
                [{"api_key_id": self.key, "tool_name": f"{number}", "status_code": 200}],
            ),
        }[kind]()
        return Operation(method, params, write=(series, number))

    def read(self, kind, owner=None):
        """Returns the operation that reads another caller's rows, or its own."""
        whose = owner or self
        series = whose.series[kind]
        if kind == "profile":
            return self.reading(series, "get_user_profile", [whose.user], of_profile)
        if kind == "goal":
            return self.reading(
                series,
                "get_user_goals",
                [whose.user],
                of_goals,
            )
        if kind == "insight":
            return self.reading(
                series,
                "get_user_insights",
                {"user_id": whose.user, "limit": MAX_OPERATIONS + 2},
                of_insights,
            )
        if kind == "task":
            row = self.random.randrange(ROWS["task"])
            return self.reading(
                series,
                "get_a2a_task",
                [whose.tasks[row]],
                lambda r: [of_task(r) if one == row else None for one in range(ROWS["task"])],
            )
        return self.reading(
            series,
            "get_request_logs",
            {"api_key_id": whose.key, "limit": 1},
            of_log,
        )

    @staticmethod
    def reading(series, method, params, decode):
        return Operation(method, params, series=series, decode=decode)

    def count(self):
        """Returns an operation that counts rows: causal, or exact on the same tables."""
        whose = self.random.choice(self.checker.callers)
        return self.random.choice(
            (
                lambda: Operation(
                    "get_api_key_usage_stats",
                    [whose.key, "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"],
                    decode=lambda r: (("usage", whose.number), r["total_requests"]),
                ),
                lambda: Operation("get_user_count", [], decode=lambda r: ("users", r)),
                lambda: Operation(
                    "get_password_costs",
                    [],
                    decode=lambda r: ("users", sum(cost["users"] for cost in r)),
                ),
            )
        )()

    # Turns

    def plan(self):
        """Chooses the next calls, and whether they are sent at once or one after the other."""
        chosen, pairs = [], 0
        for _ in range(self.random.randint(1, MAX_OPERATIONS // 2)):
            kind, share = self.random.choice(KINDS), self.random.random()
            if share < 0.6:
                chosen += [self.write(kind), self.read(kind)]
                pairs += 1
            elif share < 0.9:
                # Soon again: what goes back in time does so within milliseconds.
                other = self.random.choice(self.checker.callers[: self.random.choice((2, None))])
                chosen += [self.read(kind, other) for _ in range(self.random.randint(1, 4))]
            elif share < 0.97:
                chosen.append(self.count())
            else:
                chosen.append(Operation("create_user", [new_user(password_hash=HASH)]))
        self.turn, self.pairs = chosen, pairs
        if self.random.random() < 0.5:
            self.groups.extend([one] for one in chosen)
        else:
            self.groups.append(chosen)

    def send(self):
        data, now = bytearray(), time.monotonic()
        for operation in self.groups.popleft():
            self.last_id += 1
            operation.sent = now
            self.waiting[self.last_id] = operation
            data += b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}\n' % (
                self.last_id,
                operation.method.encode(),
                json.dumps(operation.params).encode(),
            )
        self.socket.sendall(data)

    def receive(self):
        data = self.socket.recv(1 << 18)
        assert data, "the daemon closed the connection"
        now = time.monotonic()
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            operation = self.waiting.pop(answer["id"])
            operation.answer, operation.at = answer, now
            if operation.write is not None:
                self.written(operation, now)
        if not self.waiting:
            self.go_on()

    def written(self, operation, now):
        """At once: other connections may show it already."""
        series, number = operation.write
        if "error" in operation.answer:
            series.refused.add(number)
            if operation.answer["error"]["data"].get("outcome") == "unknown":
                series.unknown.add(number)
        else:
            row = series.row(number)
            series.times[row].append(now)
            series.numbers[row].append(number)

    def go_on(self):
        if self.groups:
            self.send()
            return
        for operation in self.turn:
            self.judge(operation)
        if self.turn:
            self.checker.pairs += self.pairs
        self.turn = []
        if not self.checker.stopping.is_set() and time.monotonic() >= self.due:
            self.plan()
            self.send()

    # Judgement, in the order in which the calls were sent

    def judge(self, operation):
        checker, answer = self.checker, operation.answer
        if "error" in answer:
            self.note(operation, answer["error"]["data"]["kind"])
            checker.failed(self, operation)
            self.due = time.monotonic() + BACK_OFF
            return
        if operation.write is not None:
            series, number = operation.write
            series.value[series.row(number)] = number
            self.note(operation, number)
        elif operation.decode is None:
            self.note(operation, "")
        elif operation.series is None:
            self.judge_count(operation)
        else:
            checker.reads += 1
            self.judge_read(operation)

    def judge_count(self, operation):
        self.checker.reads += 1
        what, count = operation.decode(operation.answer["result"])
        self.note(operation, f"{what}: {count}")
        if count < self.counted.get(what, 0):
            self.violation("monotonic", operation, f"{count} after {self.counted[what]}")
        self.counted[what] = max(count, self.counted.get(what, 0))

    def judge_read(self, operation):
        series, values = operation.series, operation.decode(operation.answer["result"])
        self.note(operation, values)
        if series.owner == self.number:
            self.judge_own(operation, values)
        self.judge_monotonic(operation, values)
        self.judge_age(operation, values)

    def judge_own(self, operation, values):
        series = operation.series
        for row, value in enumerate(values):
            # A read that is repeated after the loss of a connection may show writes that were
            # lost with it, also those sent behind it.
            if value is None or value == series.value[row]:
                continue
            if value > series.value[row] and value in series.unknown:
                continue
            self.violation("own writes", operation, f"{value}, not {series.value[row]}")

    def judge_monotonic(self, operation, values):
        series = operation.series
        name = series.owner, series.kind
        seen = self.seen.get(name, 0)
        for row, value in enumerate(values):
            if value is not None and value < series.least(row, seen):
                # Whether a number below it was written may not be known yet.
                self.violation(
                    "monotonic",
                    operation,
                    f"row {row} shows {value} after {seen}",
                    lambda r=row, v=value: v < series.least(r, seen),
                )
        self.seen[name] = max(seen, *(value for value in values if value is not None))

    def judge_age(self, operation, values):
        checker, series = self.checker, operation.series
        moment = operation.sent - checker.age if checker.age else 0.0
        if not checker.age or moment < checker.calm_since:
            return
        for row, value in enumerate(values):
            if value is not None and value < series.old(row, moment):
                late = time.monotonic() - moment
                self.violation(
                    "age", operation, f"{value}, {series.old(row, moment)} is {late:.3f} s old"
                )

    def note(self, operation, what):
        series = operation.series or (operation.write[0] if operation.write else None)
        whose = f"{series.kind} of {series.owner}" if series is not None else ""
        self.recent.append(
            f"{operation.sent - self.checker.began:9.4f} to "
            f"{operation.at - self.checker.began:9.4f} "
            f"{operation.method} {whose}: {what}"
        )

    def violation(self, rule, operation, what, still=None):
        self.checker.violations.append(
            Violation(rule, f"{operation.method}: {what}", self.number, list(self.recent), still)
        )


class Violation:
    """still: a condition that is checked again at the end, if given."""

    def __init__(self, rule, what, caller, recent, still):
        self.rule, self.what, self.caller = rule, what, caller
        self.recent, self.still = recent, still or (lambda: True)

    def __str__(self):
        lines = "\n    ".join(self.recent)
        return f"{self.rule}, connection {self.caller}: {self.what}\n    {lines}"


class Checker:
    def __init__(self, daemon, callers=16, age=None, seed=None):
        """age: seconds before a read, counted by the tests' own clock, whose answered writes it
        must show; None: any age."""
        self.daemon, self.age = daemon, age
        self.seed = seed or random.SystemRandom().randrange(10**9)
        self.callers = [Caller(self, number) for number in range(callers)]
        self.pairs = self.reads = 0
        self.violations, self.errors, self.expected = [], [], collections.Counter()
        self.tolerant = False
        self.began = self.calm_since = time.monotonic()
        self.stopping, self.problem = threading.Event(), None
        self.thread = threading.Thread(target=self._guard, daemon=True)

    def __enter__(self):
        with self.daemon.connect() as connection:
            for caller in self.callers:
                caller.prepare(connection)
        self.before, self.after = self.counters(), None
        self.began = self.calm_since = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        self.thread.join(GRACE)
        self.after = self.counters()
        if kind is None:
            assert not self.thread.is_alive(), "a call was not answered"
            if self.problem is not None:
                raise self.problem

    # Faults

    def expect_errors(self):
        """The primary is about to go: calls may fail, and reads may show what is old."""
        self.tolerant, self.calm_since = True, float("inf")

    def calm(self):
        """The primary is there again."""
        self.tolerant, self.calm_since = False, time.monotonic()

    def failed(self, caller, operation):
        if self.tolerant:
            self.expected[operation.answer["error"]["data"]["kind"]] += 1
        else:
            self.errors.append((caller, operation))

    def progress(self, pairs, seconds=60.0):
        """Waits for that many more pairs."""
        wanted, until = self.pairs + pairs, time.monotonic() + seconds * SLOW
        while self.pairs < wanted:
            assert time.monotonic() < until, f"{wanted - self.pairs} pairs are missing"
            assert self.problem is None, self.problem
            time.sleep(0.005)

    # The loop

    def _guard(self):
        try:
            self._run()
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem

    def _run(self):
        with selectors.DefaultSelector() as selector:
            for caller in self.callers:
                caller.socket = socket.socket(socket.AF_UNIX)
                caller.socket.connect(self.daemon.socket_path)
                selector.register(caller.socket, selectors.EVENT_READ, caller)
                caller.go_on()
            until = None
            while until is None or any(caller.turn for caller in self.callers):
                for key, _ in selector.select(0.01):
                    key.data.receive()
                for caller in self.callers:
                    if not caller.turn and not self.stopping.is_set():
                        caller.go_on()
                if self.stopping.is_set() and until is None:
                    until = time.monotonic() + GRACE
                assert until is None or time.monotonic() < until, "calls were not answered"
            for caller in self.callers:
                caller.socket.close()

    # The result

    def counters(self):
        """Counters that tell which servers have answered reads."""
        return routes.reads(self.daemon)

    def where(self):
        """Reads by where they were answered and why, as the daemon counts them."""
        return {
            name: value - self.before.get(name, 0)
            for name, value in (self.after or self.counters()).items()
            if value != self.before.get(name, 0)
        }

    def broken(self):
        return [violation for violation in self.violations if violation.still()]

    def report(self):
        broken = collections.Counter(violation.rule for violation in self.broken())
        parts = [
            f"{self.pairs} pairs, {self.reads} reads in {time.monotonic() - self.began:.1f} s",
            ", ".join(f"{value} {name}" for name, value in self.where().items()) or "no standby",
            f"expected errors: {dict(self.expected)}" if self.expected else "",
            f"violations: {dict(broken)}, {len(self.errors)} errors, seed {self.seed}",
        ]
        return "; ".join(filter(None, parts))

    def verify(self):
        broken = self.broken()
        text = "\n".join(map(str, broken[:SHOWN]))
        assert not broken, f"{self.report()}\n{text}"
        if self.errors:
            caller, operation = self.errors[0]
            recent = "\n    ".join(caller.recent)
            raise AssertionError(
                f"{self.report()}\n{operation.method}: {operation.answer['error']}\n    {recent}"
            )
