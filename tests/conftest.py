"""One pytest session over end-to-end tests: its build, backend and PostgreSQL server, and its
result.

    python3 -m pytest tests/contract -k users --backend postgres

tests/run.py runs one session for each file and each backend, passes all of this in environment
variables, and reads the result from the file that PIERRE_TEST_REPORT names.
"""
import json
import os
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BY_THEMSELVES = ("generator", "structure")  # folders whose tests need neither build nor database

SLOW = 5  # seconds after which a test is named in a quiet run


def pytest_addoption(parser):
    group = parser.getgroup("pierre-dbd")
    group.addoption("--backend", choices=("sqlite", "postgres"), help="database (sqlite)")
    group.addoption("--build", metavar="FOLDER", help="build under test (build-test or build)")
    group.addoption(
        "--postgres",
        metavar="URL",
        help="a running server whose role may create databases, instead of one for this session",
    )


def quiet():
    """Quiet mode, for tests/run.py."""
    return "PIERRE_TEST_REPORT" in os.environ


def has_daemon(folder):
    return os.path.exists(os.path.join(folder, "daemon", "pierre-dbd"))


def default_build():
    folders = [os.path.join(ROOT, name) for name in ("build-test", "build")]
    return next(filter(has_daemon, folders), folders[0])


def pytest_configure(config):
    """Sets the environment before the library and the test files are imported, since they read it
    then."""
    build = config.getoption("build") or os.environ.get("PIERRE_TEST_BUILD") or default_build()
    os.environ["PIERRE_TEST_BUILD"] = os.path.abspath(build)
    backend = config.getoption("backend")
    os.environ["PIERRE_TEST_BACKEND"] = backend or os.environ.get("PIERRE_TEST_BACKEND") or "sqlite"
    if config.getoption("postgres"):
        os.environ["PIERRE_TEST_POSTGRES"] = config.getoption("postgres")
    config.pluginmanager.register(Outcomes(), "pierre-outcomes")


def end_to_end(items):
    return [item for item in items if item.path.parent.name not in BY_THEMSELVES]


def backends(item):
    """A file may set BACKENDS = ("sqlite",) when its tests concern one database, or ("both",)."""
    return getattr(item.module, "BACKENDS", ("sqlite", "postgres"))


def pytest_collection_modifyitems(items):
    chosen, build = os.environ["PIERRE_TEST_BACKEND"], os.environ["PIERRE_TEST_BUILD"]
    if end_to_end(items) and not has_daemon(build):
        raise pytest.UsageError(f"no pierre-dbd in {build}: run `scripts/build build-test`")
    for item in end_to_end(items):
        wanted = backends(item)
        if chosen not in wanted and "both" not in wanted:
            item.add_marker(pytest.mark.skip(reason=f"needs --backend {wanted[0]}"))


@pytest.fixture(scope="session", autouse=True)
def postgres(request):
    """Provides the PostgreSQL server of the databases under test, and the template from which they
    are copied."""
    from lib import databases

    chosen = os.environ["PIERRE_TEST_BACKEND"]
    items = end_to_end(request.session.items)
    if any(chosen == "postgres" or "both" in backends(item) for item in items):
        if databases.postgres_url() is None:
            pytest.exit("no PostgreSQL: run `scripts/setup test`, or give --postgres URL", 1)
        databases.template()
    yield
    databases.end_session()


class Outcomes:
    """Counts tests, not phases or subtests, and reports to tests/run.py."""

    def __init__(self):
        self.began = time.monotonic()
        self.found = {}  # test -> its worst outcome, including subtests

    def add(self, report):
        worst = {"passed": 0, "skipped": 1, "failed": 2}
        known = self.found.get(report.nodeid)
        if report.outcome == "passed" and getattr(report, "when", None) != "call":
            return
        if known is None or worst[report.outcome] > worst[known]:
            self.found[report.nodeid] = report.outcome

    def pytest_runtest_logreport(self, report):
        self.add(report)
        if quiet() and report.when == "call" and report.duration > SLOW:
            print(f"  {report.outcome} {report.nodeid}  {report.duration:.1f} s", flush=True)

    def pytest_collectreport(self, report):
        if report.failed:
            self.add(report)

    def names(self, outcome):
        return [name for name, found in self.found.items() if found == outcome]

    def pytest_sessionfinish(self):
        from lib import model

        model.save_coverage()
        path = os.environ.get("PIERRE_TEST_REPORT")
        if path:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(
                    {outcome: self.names(outcome) for outcome in ("passed", "failed", "skipped")},
                    file,
                )

    def pytest_terminal_summary(self, terminalreporter):
        if not self.found:
            return
        counts = ", ".join(
            f"{len(self.names(outcome))} {outcome}" for outcome in ("passed", "failed", "skipped")
        )
        files = sorted({name.split("::")[0] for name in self.found})
        on_standby = "PIERRE_TEST_STANDBY" in os.environ
        backend = "standby" if on_standby else os.environ["PIERRE_TEST_BACKEND"]
        terminalreporter.write_line(
            f"{' '.join(files) if len(files) < 4 else f'{len(files)} files'}"
            f" [{backend}]: {counts}, "
            f"{time.monotonic() - self.began:.1f} s"
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report):
        """tests/run.py shows the tests' own lines and failures, without dots between them."""
        return (report.outcome, "", "") if quiet() and report.passed else None
