"""Base class of the tests, and the main program of each test file."""
import json
import os
import sys
import time
import unittest

from . import databases, model, strict
from .daemon import Daemon, SLOW
from .rpc import RpcError, result_of


class Case(unittest.TestCase):
    """No daemon of its own."""

    maxDiff = None

    def same(self, got, expected, ordered=False):
        """JSON equality: integer is not double, doubles to the last bit."""
        found = strict.difference(got, expected, ordered)
        if found:
            self.fail(found)

    def within(self, seconds, check, every=0.02):
        """Waits until check() is true (gives its value); fails after the time."""
        deadline = time.monotonic() + seconds * SLOW
        while True:
            value = check()
            if value:
                return value
            if time.monotonic() > deadline:
                self.fail(f"not within {seconds * SLOW} s")
            time.sleep(every)

    def logged(self, daemon, what, seconds=10):
        """Waits until the log has that: a text, or a compiled pattern. Lines are written by a thread beside the loop, so an answer may come first."""
        self.within(
            seconds,
            lambda: what.search(daemon.log()) if hasattr(what, "search") else what in daemon.log(),
        )


class DaemonCase(Case):
    """One daemon for the class, on the process's backend; `self.c` is a fresh connection for each test."""

    options = ()
    environment = {}

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(options=cls.options, environment=cls.environment).start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def setUp(self):
        self.c = self.daemon.connect()
        self.addCleanup(self.c.close)

    def ok(self, method, params=None, **named):
        return self.c.call(method, params, **named)

    def refused(self, kind, method, params=None, path=None, field=None, **named):
        """The call must fail in this way; gives the RpcError."""
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


class _Result(unittest.TestResult):
    """Counts, and prints what fails at once."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.began = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        took = time.monotonic() - self.began
        if took > 5 or os.environ.get("PIERRE_TEST_VERBOSE"):
            print(f"  ok   {test.id().split('.', 1)[-1]}  {took:.1f} s", flush=True)

    def _print(self, test, error, word):
        name = test.id() if hasattr(test, "id") else str(test)
        print(f"  {word} {name}\n{self._exc_info_to_string(error, test)}", flush=True)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._print(test, error, "FAIL")

    def addError(self, test, error):
        super().addError(test, error)
        self._print(test, error, "FAIL")

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._print(subtest, error, "FAIL")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"  SKIPPED {test.id()}: {reason}", flush=True)


def main():
    """Runs the tests of the calling file: names on the command line choose (`Class` or `Class.test`)."""
    began = time.monotonic()
    module = sys.modules["__main__"]
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    if len(sys.argv) > 1:
        suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:], module)
    result = _Result()
    suite.run(result)
    model.save_coverage()
    failed = len({id(test) for test, _ in result.failures + result.errors})
    name = os.path.relpath(module.__file__, os.path.join(os.path.dirname(__file__), ".."))
    took = time.monotonic() - began
    print(
        f"{name} [{databases.chosen()}]: {result.passed} passed, {failed} failed, {len(result.skipped)} skipped, {took:.1f} s",
        flush=True,
    )
    report = os.environ.get("PIERRE_TEST_REPORT")
    if report:
        with open(report, "w", encoding="utf-8") as file:
            json.dump(
                {
                    "passed": result.passed,
                    "failed": failed,
                    "skipped": len(result.skipped),
                    "seconds": took,
                },
                file,
            )
    sys.exit(1 if failed else 0)
