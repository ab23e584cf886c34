"""Callers that continue while a fault is injected, and remember their answers. Every write has a
unique name, so that the database can be compared with the answers."""
import threading
import time

from .world import World, new_usage

START, END = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


class Outcome:
    """One answered call. kind: None when it succeeded."""

    def __init__(self, began, write, error):
        self.began, self.ended, self.write = began, time.monotonic(), write
        self.caller = threading.get_ident()
        self.kind = error["data"]["kind"] if error else None
        self.outcome = error["data"].get("outcome") if error else None
        self.message = error["message"] if error else ""

    @property
    def took(self):
        return self.ended - self.began


class Load:
    """with Load(daemon, writers=4, readers=2) as load: …fault…; then load.verify(server's psql).
    Each caller has one connection and one call in flight. Writes go to one API key's usage log,
    whose rows no other caller counts or makes unique.
    """

    def __init__(self, daemon, writers=4, readers=2, pause=0.0):
        self.daemon, self.pause = daemon, pause
        with daemon.connect() as connection:
            world = World(connection)
            self.user = world.user()
            self.key = world.api_key(self.user)
        self.calls = []  # every Outcome, in the order of the answers
        self.names = {}  # a write's name: its Outcome, None until it has one
        self.problems = []
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(
                target=self._guard, args=(f"w{i}" if i < writers else None,), daemon=True
            )
            for i in range(writers + readers)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        if kind is None:
            assert not any(
                thread.is_alive() for thread in self.threads
            ), "a caller never got its answer"
            assert not self.problems, self.problems[0]

    def _guard(self, name):
        try:
            with self.daemon.connect(timeout=60) as connection:
                self._run(connection, name)
        except Exception as problem:  # pylint: disable=broad-except
            self.problems.append(problem)

    def _run(self, connection, prefix):
        count = 0
        while not self.stopping.is_set():
            count += 1
            began = time.monotonic()
            name = f"{prefix}-{count}"
            if prefix is None:
                request = connection.request("get_user", user_id=self.user)
            else:
                self.names[name] = None
                request = connection.request(
                    "record_api_key_usage", usage=new_usage(self.key, tool_name=name)
                )
            answer = connection.answer(request)
            outcome = Outcome(began, prefix is not None, answer.get("error"))
            if prefix is None:
                assert outcome.kind or answer["result"]["id"] == self.user, "another user's answer"
            else:
                self.names[name] = outcome
            self.calls.append(outcome)
            if self.pause or outcome.kind:
                time.sleep(max(self.pause, 0.01 if outcome.kind else 0))

    # The results

    def failures(self, write=None):
        return [call for call in list(self.calls) if call.kind and write in (None, call.write)]

    def first_success(self, since, seconds=20.0, write=None):
        """Returns the seconds from `since` to the answer of the first call that was sent after it
        and succeeded."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for call in list(self.calls):
                if call.kind is None and call.began >= since and write in (None, call.write):
                    return call.ended - since
            assert not self.problems, self.problems[0]
            time.sleep(0.02)
        raise AssertionError(
            f"no success within {seconds} s; "
            f"the last failure: {(self.failures() or [None])[-1].message}"
        )

    def progress(self, count=20, seconds=20.0):
        """Waits for that many more successes."""
        have, until = self._done(), time.monotonic() + seconds
        while self._done() < have + count:
            assert (
                time.monotonic() < until and not self.problems
            ), f"no progress: {self.problems or self._done() - have}"
            time.sleep(0.01)

    def everyone(self, seconds=20.0):
        """Waits until each caller has the answer to a call sent after now, so that earlier faults
        have no further effect."""
        since, until = time.monotonic(), time.monotonic() + seconds
        while len({call.caller for call in list(self.calls) if call.began > since}) < len(
            self.threads
        ):
            assert (
                time.monotonic() < until and not self.problems
            ), f"a caller has no answer: {self.problems}"
            time.sleep(0.01)

    def _done(self):
        return sum(call.kind is None for call in list(self.calls))

    def verify(self, psql):
        """Every answered write is stored once, every refused one is not, every unknown one is
        stored at most once. Returns their numbers."""
        rows = psql(
            "SELECT tool_name || ' ' || count(*) FROM api_key_usage u JOIN api_keys k ON "
            "k.number = u.api_key "
            f"WHERE k.id = '{self.key}' GROUP BY tool_name"
        )
        return self.judge(
            {line.rsplit(" ", 1)[0]: int(line.rsplit(" ", 1)[1]) for line in rows.splitlines()}
        )

    def judge(self, stored):
        """The same, from the number of rows for each name."""
        numbers = {"answered": 0, "refused": 0, "unknown": 0}
        for name, outcome in self.names.items():
            count = stored.pop(name, 0)
            assert outcome is not None, f"{name} has no answer"
            if outcome.kind is None:
                assert count == 1, f"{name} was answered and is stored {count} times"
                numbers["answered"] += 1
            elif outcome.outcome == "unknown":
                assert count in (0, 1), f"{name} is stored {count} times"
                numbers["unknown"] += 1
            else:
                refusal = f"{outcome.kind}: {outcome.message}"
                assert count == 0, f"{name} was refused ({refusal}) and is stored {count} times"
                numbers["refused"] += 1
        assert not stored, f"rows that no caller wrote: {stored}"
        return numbers


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0
