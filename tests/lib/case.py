"""Base classes of the tests."""
import time
import unittest

from . import databases, routes, states, strict
from .daemon import Daemon, SLOW
from .rpc import RpcError, result_of


class Case(unittest.TestCase):
    """A test case without its own daemon."""

    maxDiff = None

    def same(self, got, expected, ordered=False):
        """JSON equality: integer is not double, doubles to the last bit."""
        found = strict.difference(got, expected, ordered)
        if found:
            self.fail(found)

    def within(self, seconds, check, every=0.02):
        """Waits until check() is true and returns its value; fails after the time."""
        deadline = time.monotonic() + seconds * SLOW
        while True:
            value = check()
            if value:
                return value
            if time.monotonic() > deadline:
                self.fail(f"not within {seconds * SLOW} s")
            time.sleep(every)

    def logged(self, daemon, what, seconds=10):
        """Waits until the log contains a text or matches a compiled pattern. A thread beside the
        loop writes the log, so an answer may come first."""
        self.within(
            seconds,
            lambda: what.search(daemon.log()) if hasattr(what, "search") else what in daemon.log(),
        )


class DaemonCase(Case):
    """One daemon for the class, on the process's backend; `self.c` is a new connection for each
    test."""

    options = ()
    environment = {}

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(options=cls.options, environment=cls.environment).start()
        if databases.on_standby():
            states.until(lambda: "standby" in routes.roles(cls.daemon).values(), "a standby")

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def setUp(self):
        self.c = self.daemon.connect()
        self.addCleanup(self.c.close)

    @staticmethod
    def see_all(connection):
        """A standby that the daemon reads from may show writes of other connections later."""
        if databases.on_standby():
            position = connection.call("daemon.position")
            connection.call("daemon.wait_for", position=position)

    def ok(self, method, params=None, **named):
        return self.c.call(method, params, **named)

    def refused(self, kind, method, params=None, path=None, field=None, **named):
        """Checks that the call fails in this way. Returns the RpcError."""
        try:
            result = self.c.call(method, params, **named)
        except RpcError as problem:
            self.assertEqual(problem.kind, kind, f"{method}: {problem}")
            if path is not None:
                self.assertEqual(problem.path, path, f"{method}: {problem}")
            if field is not None:
                self.assertEqual(problem.field, field, f"{method}: {problem}")
            return problem
        self.fail(f"{method} gave {strict.dumps(result)[:200]}, not {kind}")

    def results(self, answers):
        return [result_of(answer) for answer in answers]
