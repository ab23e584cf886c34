#!/usr/bin/env python3
"""Runs all tests against a build folder: the unit tests through meson, then each end-to-end file on
each database.

usage: tests/run.py BUILD [--backend sqlite|postgres|both] [--postgres URL] [--sanitizer]
                    [--no-unit] [--jobs N] [--long] [--cluster] [--standbys] [--once] [FILE-PART…]

Each file is a session of pytest (conftest.py) on one database. FILE-PART selects files whose path
contains it (`users`, `faults/`); for one test, pytest itself is quicker: docs/testing.md.
--sanitizer: the build is slow and reports by itself. --long: more rounds of random tests, and the
tests of the tests (planted.py). --cluster: only the long tests of a cluster. --standbys: only the
long tests of reads from standbys, and the tests of FOLDERS_ON_STANDBYS with daemons that read from
a delayed standby. --once: see unsteady(). Ends with `N passed, N failed` (`, N skipped` may
follow); exit code 1 when anything failed.
"""
import argparse
import concurrent.futures
import contextlib
import functools
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from lib import databases, interface
from lib.daemon import REPORTS

HERE = os.path.dirname(os.path.abspath(__file__))

# The long ones first.
FOLDERS = ("faults", "cluster", "differential", "bench", "contract", "client", "exporter", "supply")
# Run once more on PostgreSQL, with daemons that read from a standby: in each run, with --standbys.
FILES_ON_STANDBYS = (
    "contract/test_documents.py",
    "contract/test_order.py",
    "differential/test_differential.py",
)
FOLDERS_ON_STANDBYS = ("differential", "contract")
STANDBY = "standby"  # stands for a backend
DELAY = "4ms"  # of the standby's replay
CALLS_ON_STANDBYS = "3000"  # of the random ones in each run
TIME_LIMIT = 900
LONG_LIMIT = 7200
NOTHING_CHOSEN = 5  # pytest's exit code
LINES_AGAIN = 60  # of a failed file's output, repeated at the end
# Reports end the process, so that no test can ignore one; leaks are checked at the daemon's exit.
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=1:"
    "allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@functools.cache
def pytest_command():
    """Returns the command for pytest of the first interpreter that has it: another interpreter may
    precede Debian's own in PATH."""
    for python in (sys.executable, "/usr/bin/python3"):
        has = [python, "-c", "import pytest, pytest_subtests"]
        if subprocess.run(has, capture_output=True, check=False).returncode == 0:
            return (python, "-m", "pytest", "-c", os.path.join(HERE, "pytest.ini"))
    sys.exit("tests/run.py: pytest or pytest-subtests is missing: run scripts/setup test")


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def unit_tests(build, totals, failures):
    began = time.monotonic()
    done = subprocess.run(
        [
            "meson",
            "test",
            "-C",
            build,
            "--no-rebuild",
            "--print-errorlogs",
            "--no-suite",
            "integration",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    numbers = dict(
        re.findall(
            r"^(Ok|Fail|Expected Fail|Unexpected Pass|Timeout|Skipped):\s+(\d+)",
            done.stdout,
            re.MULTILINE,
        )
    )
    count = {name: int(value) for name, value in numbers.items()}
    failed = count.get("Fail", 0) + count.get("Timeout", 0) + count.get("Unexpected Pass", 0)
    passed = count.get("Ok", 0) + count.get("Expected Fail", 0)
    if done.returncode != 0 or failed:
        print(done.stdout[-20000:], done.stderr[-4000:])
        failed = max(failed, 1)
        bad = re.sub(r"^.* OK +[0-9.]+s\n", "", done.stdout, flags=re.MULTILINE)
        names = dict.fromkeys(
            re.findall(r"^ *\d+/\d+ (.*?) +(?:FAIL|TIMEOUT)\b", bad, re.MULTILINE)
        )  # meson prints each name twice
        failures.append(("unit tests", ", ".join(names), bad))
    if passed + failed == 0:
        print("no unit tests were found: is this a build with tests?")
        failed = 1
    print(
        f"unit tests (meson): {passed} passed, {failed} failed, {count.get('Skipped', 0)} "
        f"skipped, {time.monotonic() - began:.1f} s",
        flush=True,
    )
    totals.add(passed, failed, count.get("Skipped", 0))


def backends_of(path):
    """A file may set BACKENDS = ("sqlite",) when its tests concern one database, or ("both",) when
    they compare two."""
    with open(path, encoding="utf-8") as file:
        found = re.search(r"^BACKENDS = \(([^)]*)\)", file.read(), re.MULTILINE)
    return tuple(re.findall(r'"(\w+)"', found.group(1))) if found else ("sqlite", "postgres")


def under_sanitizers(path):
    """A file may set SANITIZERS = False when it tests no C code of this build, or measures how long
    or how often something takes."""
    with open(path, encoding="utf-8") as file:
        return re.search(r"^SANITIZERS = False", file.read(), re.MULTILINE) is None


def option_of(path):
    """A file sets CLUSTER = True or STANDBYS = True when it takes so long that --cluster or
    --standbys alone runs it. Returns that option, or None."""
    with open(path, encoding="utf-8") as file:
        found = re.search(r"^(CLUSTER|STANDBYS) = True", file.read(), re.MULTILINE)
    return found and found.group(1).lower()


def guards_data(path):
    """A file sets STRICT = True when its failure means lost data, a wrong answer or a crash: even a
    single failure counts."""
    with open(path, encoding="utf-8") as file:
        return re.search(r"^STRICT = True", file.read(), re.MULTILINE) is not None


def unsteady(path, output):
    """Whether a busy machine may be the cause of a failure: such a file is run once more, alone,
    and that result counts. It is still reported: a test that waits for a time instead of a state
    must be corrected."""
    crashed = (
        any(report in output for report in REPORTS)
        or re.search(r"ended with -(4|6|7|8|11)\b", output) is not None
    )
    return not guards_data(path) and not crashed


def files(arguments):
    for folder in FOLDERS:
        for path in sorted(glob.glob(os.path.join(HERE, folder, "test_*.py"))):
            name = os.path.relpath(path, HERE)
            if (not arguments.parts or any(part in name for part in arguments.parts)) and (
                not arguments.sanitizer or under_sanitizers(path)
            ):
                yield path, name


def jobs(arguments):
    chosen = ("sqlite", "postgres") if arguments.backend == "both" else (arguments.backend,)
    for path, name in files(arguments):
        backends = backends_of(path)
        if option_of(path) == arguments.option:
            for backend in backends:
                if backend in chosen or (backend == "both" and len(chosen) == 2):
                    yield path, backend
        if "postgres" in chosen and backends != ("sqlite",) and on_standbys(name, arguments):
            yield path, STANDBY


def on_standbys(name, arguments):
    if arguments.option == "standbys":
        return name.split(os.sep)[0] in FOLDERS_ON_STANDBYS
    return arguments.option is None and not arguments.postgres and name in FILES_ON_STANDBYS


def run_job(path, backend, environment, work):
    name = f"{os.path.relpath(path, HERE)} [{backend}]"
    report = os.path.join(work, re.sub(r"\W", "_", name) + ".report")
    variables = {
        **environment,
        "PIERRE_TEST_BACKEND": {"both": "sqlite", STANDBY: "postgres"}.get(backend, backend),
        "PIERRE_TEST_REPORT": report,
    }
    limit = (LONG_LIMIT if option_of(path) else TIME_LIMIT) * float(environment["PIERRE_TEST_SLOW"])
    command = [
        *pytest_command(),
        *("-qq", "--capture=no", "-p", "no:cacheprovider"),
        *(
            "-o",
            f"faulthandler_timeout={limit - 20}",
        ),  # shows the stack before the process is killed
        path,
    ]
    try:
        done = subprocess.run(
            command,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
        )
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output, code = (late.stdout or b"").decode(
            "utf-8", "replace"
        ) + f"\n{name}: took too long and was ended\n", -1
    try:
        with open(report, encoding="utf-8") as file:
            found = json.load(file)
        os.unlink(report)
    except OSError:  # the session broke off
        output += f"{name}: ended with {code} and no report\n"
        found = {"passed": [], "failed": [], "skipped": []}
    if code not in (0, NOTHING_CHOSEN) and not found["failed"]:
        found["failed"] = ["the file as a whole"]
    return name, output, found


def numbers(found):
    return tuple(len(found[outcome]) for outcome in ("passed", "failed", "skipped"))


def failed_tests(found):
    return ", ".join(name.partition("::")[2].replace("::", ".") or name for name in found["failed"])


def print_end(name, output):
    print(f"--- the end of {name}:", *output.splitlines()[-LINES_AGAIN:], sep="\n", flush=True)


def missing_methods(work):
    reached = set()
    for path in glob.glob(os.path.join(work, "coverage", "*.json")):
        with open(path, encoding="utf-8") as file:
            reached |= set(json.load(file))
    return sorted(set(interface.METHODS) - reached)


def planted(totals):
    """Runs the tests of the tests: each planted defect must be found."""
    done = subprocess.run(
        [sys.executable, os.path.join(HERE, "planted.py")],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    found = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, re.MULTILINE)
    totals.add(*((int(found.group(1)), int(found.group(2)), 0) if found else (0, 1, 0)))


def start_postgres(environment):
    """Starts the run's own PostgreSQL; returns None, with a message, when the machine has none."""
    try:
        from lib.postgres_server import PostgresServer

        server = PostgresServer()
        server.start()
    except Exception as problem:  # pylint: disable=broad-except
        print(f"NO PostgreSQL: {problem}. Half of the tests cannot run.", flush=True)
        return None
    environment["PIERRE_TEST_POSTGRES"] = server.url
    return server


class Pair:
    """A primary and a delayed standby, for daemons that read from it."""

    def __init__(self, build, environment):
        from lib.standbys import Standbys

        self.group = Standbys(1)
        self.group.start(migrate=False)
        self.group.standbys[0].delay(DELAY)
        self.counts = environment["PIERRE_TEST_COVERAGE"] + ".reads"
        self.environment = {
            **environment,
            "PIERRE_TEST_POSTGRES": self.group.primary.url,
            "PIERRE_TEST_TEMPLATE": databases.make_template(build, self.group.primary.url),
            "PIERRE_TEST_STANDBY": self.group.standbys[0].tcp_url,
            "PIERRE_TEST_READS": self.counts,
        }

    def stop(self, totals):
        """A pair whose standby was never read has tested nothing."""
        self.group.stop()
        counts = {}
        with contextlib.suppress(FileNotFoundError), open(self.counts, encoding="utf-8") as file:
            for line in file:
                for name, value in json.loads(line).items():
                    counts[name] = counts.get(name, 0) + value
        print(f"reads with a delayed standby: {counts}", flush=True)
        read = counts.get("standby", 0) > 0
        totals.add(read, not read, 0)


def main():
    parser = argparse.ArgumentParser(description="Runs all tests against a build folder.")
    parser.add_argument("build")
    parser.add_argument("parts", nargs="*", metavar="FILE-PART")
    parser.add_argument("--backend", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument(
        "--postgres",
        metavar="URL",
        help="a running server whose role may create databases, instead of an own one",
    )
    parser.add_argument("--sanitizer", action="store_true")
    parser.add_argument("--no-unit", action="store_true")
    parser.add_argument("--long", action="store_true")
    for option in ("cluster", "standbys"):
        parser.add_argument(f"--{option}", dest="option", action="store_const", const=option)
    parser.add_argument(
        "--once", action="store_true", help="no file that fails is run a second time"
    )
    parser.add_argument("--jobs", type=int, default=min(3, 1 + (os.cpu_count() or 1)))
    arguments = parser.parse_intermixed_args()

    began = time.monotonic()
    totals = Totals()
    failures = []
    work = tempfile.mkdtemp(prefix="pierre-tests-")
    os.mkdir(os.path.join(work, "coverage"))
    environment = {
        **os.environ,
        "PIERRE_TEST_BUILD": os.path.abspath(arguments.build),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIERRE_TEST_COVERAGE": os.path.join(work, "coverage"),
        "PIERRE_TEST_SLOW": os.environ.get("PIERRE_TEST_SLOW", "8" if arguments.sanitizer else "1"),
    }
    if arguments.sanitizer:
        environment.update(
            {
                **SANITIZER_OPTIONS,
                **{name: os.environ[name] for name in SANITIZER_OPTIONS if name in os.environ},
            }
        )
        environment["PIERRE_TEST_SANITIZER"] = "1"
    if arguments.long:
        environment["PIERRE_TEST_LONG"] = "1"
    server = template = pair = None
    try:
        if not arguments.no_unit and not arguments.option and not arguments.parts:
            unit_tests(arguments.build, totals, failures)
        planned = list(jobs(arguments))
        if arguments.postgres:
            environment["PIERRE_TEST_POSTGRES"] = arguments.postgres
        elif any(backend not in ("sqlite", STANDBY) for _, backend in planned):
            server = start_postgres(environment)
            if server is None:
                totals.add(0, 1, 0)
                planned = [job for job in planned if job[1] == "sqlite"]
        if environment.get("PIERRE_TEST_POSTGRES"):
            template = databases.make_template(arguments.build, environment["PIERRE_TEST_POSTGRES"])
            environment["PIERRE_TEST_TEMPLATE"] = template
        if any(backend == STANDBY for _, backend in planned):
            pair = Pair(arguments.build, environment)
            if arguments.option is None:
                pair.environment.setdefault("PIERRE_TEST_CALLS", CALLS_ON_STANDBYS)
        variables = lambda backend: pair.environment if backend == STANDBY else environment
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            running = {
                pool.submit(run_job, path, backend, variables(backend), work): (path, backend)
                for path, backend in planned
            }
            again = []
            for job in concurrent.futures.as_completed(running):
                name, output, found = job.result()
                print(output, end="", flush=True)
                if found["failed"] and not arguments.once and unsteady(running[job][0], output):
                    again.append((running[job], failed_tests(found), output))
                    continue
                totals.add(*numbers(found))
                if found["failed"]:
                    failures.append((name, failed_tests(found), output))
        for (path, backend), tests, first in again:
            name, output, found = run_job(path, backend, variables(backend), work)
            print(output, end="", flush=True)
            totals.add(*numbers(found))
            if found["failed"]:
                failures.append((name, failed_tests(found), output))
            else:
                print_end(f"{name}, run among others", first)
                print(f"UNSTEADY: {name}: failed among others, passed alone: {tests}", flush=True)
        if arguments.long and not arguments.sanitizer:
            planted(totals)
        if not arguments.parts and not arguments.option and arguments.backend == "both":
            missing = missing_methods(work)
            print(
                f"methods never called with success: {', '.join(missing)}"
                if missing
                else f"all {len(interface.METHODS)} methods were called with success",
                flush=True,
            )
            totals.add(not missing, bool(missing), 0)
    finally:
        if pair is not None:
            pair.stop(totals)
        if template is not None:
            databases.drop_template(environment["PIERRE_TEST_POSTGRES"], template)
        if server is not None:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)
    for name, _, output in failures:
        print_end(name, output)
    for name, tests, _ in failures:
        print(f"failed: {name}: {tests}")
    print(f"{time.monotonic() - began:.0f} s in all", flush=True)
    print(
        f"{totals.passed} passed, {totals.failed} failed"
        + (f", {totals.skipped} skipped" if totals.skipped else "")
    )
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
