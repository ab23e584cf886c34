"""The real binary under test: started in its own folder, waited for, monitored, stopped and
checked.

A daemon that exits in another way than it should, or leaves a sanitizer's report or a secret in its
log, fails the test."""
import atexit
import base64
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import databases, model as interface_model, routes
from .rpc import Closed, Connection, Late
from .states import SLOW

BUILD = os.path.abspath(
    os.environ.get(
        "PIERRE_TEST_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build")
    )
)
BINARY = os.path.join(BUILD, "daemon", "pierre-dbd")
CTL = os.path.join(BUILD, "client", "pierre-dbctl")
SHARED = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..", "shared"))
SANITIZER = bool(os.environ.get("PIERRE_TEST_SANITIZER"))  # such a build
REPORTS = (
    "AddressSanitizer",
    "LeakSanitizer",
    "ThreadSanitizer",
    "UndefinedBehaviorSanitizer",
    "runtime error:",
    "Assertion `",
    "stack smashing",
    "double free",
    "corrupted size",
    "buffer overflow detected",
)


def rounds(count):
    """Returns how often a test repeats what differs in chance or data alone: a sanitizer needs each
    path of the code, not each value."""
    return max(1, count // 5) if SANITIZER else count


class StartFailure(Exception):
    def __init__(self, code, log):
        super().__init__(f"the daemon ended with {code} at its start:\n{log}")
        self.code = code
        self.log = log


def new_key():
    return base64.b64encode(os.urandom(32)).decode()


@functools.cache
def binary_for_others():
    """Returns a copy of the binary where every user can reach it: a build may be in a folder that
    others cannot enter."""
    folder = temporary_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    os.chmod(shutil.copy(BINARY, folder), 0o755)
    return os.path.join(folder, os.path.basename(BINARY))


def temporary_folder():
    """A short path, since a socket's path is limited to 107 bytes."""
    return tempfile.mkdtemp(prefix="pdt-", dir="/tmp")


class Daemon:
    """backend: "sqlite", "postgres" or None (the process's own). database: an object of
    databases.py, or a URL. options: further arguments. environment: further variables; None removes
    one. wrapper: a command that runs the binary, such as strace. fresh: on a database that has not
    been migrated."""

    def __init__(
        self,
        backend=None,
        database=None,
        options=(),
        environment=None,
        key=None,
        folder=None,
        wrapper=(),
        user=None,
        limits=None,
        pass_key=True,
        pass_fds=(),
        fresh=False,
    ):
        self.folder = folder or temporary_folder()
        self.owns_folder = folder is None
        self.backend = backend or databases.chosen()
        self.owns_database = database is None
        self.database = (
            database if database is not None else databases.make(self.backend, self.folder, fresh)
        )
        self.url = self.database if isinstance(self.database, str) else self.database.url
        self.binary = BINARY if user in (None, os.geteuid()) else binary_for_others()
        self.key = key or new_key()
        interface_model.secrets.add(self.key)
        self.socket_path = os.path.join(self.folder, "s")
        self.log_path = os.path.join(self.folder, "log")
        self.options = [*getattr(self.database, "options", ()), *options]
        self.environment = environment or {}
        self.wrapper = list(wrapper)
        self.user, self.limits, self.pass_key, self.pass_fds = user, limits, pass_key, pass_fds
        self.process = None
        self.pid = None  # the binary's own, also under a wrapper
        self.model = None
        self.expected_exits = {0}

    # Start
    # ----------------------------------------------------------------------------------------------

    def arguments(self):
        return [
            self.binary,
            "--socket",
            self.socket_path,
            "--database-url",
            self.url,
            *self.options,
        ]

    def variables(self):
        found = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "LANG": "C.UTF-8",
            "TZ": "Pacific/Chatham",
        }
        for name in (
            "ASAN_OPTIONS",
            "UBSAN_OPTIONS",
            "LSAN_OPTIONS",
            "TSAN_OPTIONS",
            "LLVM_PROFILE_FILE",
        ):
            if name in os.environ:
                found[name] = os.environ[name]
        if self.pass_key:
            found["ENCRYPTION_KEY"] = self.key
        found.update(self.environment)
        return {name: value for name, value in found.items() if value is not None}

    def spawn(self):
        """Starts the process without waiting for it."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.wrapper + self.arguments(),
                cwd=self.folder,
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.user,
                preexec_fn=self.limits,
                pass_fds=self.pass_fds,
                start_new_session=True,
            )
        self.pid = self.process.pid
        return self

    def start(self, timeout=30.0):
        """Starts it and waits until its socket answers. Raises StartFailure when it exits
        instead."""
        self.spawn()
        self.wait_ready(timeout)
        if self.wrapper:
            self.pid = self._inner_pid()
        if self.model is None:
            self.learn()
        return self

    def wait_ready(self, timeout=30.0):
        deadline = time.monotonic() + timeout * SLOW
        while time.monotonic() < deadline:
            code = self.process.poll()
            if code is not None:
                raise StartFailure(code, self.log())
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                    probe.connect(self.socket_path)
                return
            except OSError:
                time.sleep(0.005)
        self.process.kill()
        raise AssertionError(f"the daemon was not ready after {timeout * SLOW} s:\n{self.log()}")

    def _inner_pid(self):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if os.readlink(f"/proc/{entry}/exe") == os.path.realpath(
                        self.binary
                    ) and self.socket_path in _cmdline(entry):
                        return int(entry)
                except OSError:
                    continue
        return self.process.pid

    def learn(self):
        """Fetches the OpenRPC document, against which every later answer is checked."""
        with Connection(self.socket_path) as connection:
            self.model = interface_model.Model(connection.call("rpc.discover"))
        return self.model

    # Use
    # ----------------------------------------------------------------------------------------------

    def connect(self, timeout=30.0):
        return Connection(self.socket_path, timeout * SLOW, self.model or interface_model.Model())

    def admitted(self, count, seconds=10.0):
        """Returns connections that have been answered. The places of closed connections may take a
        moment to become free."""
        clients, deadline = [], time.monotonic() + seconds * SLOW
        while len(clients) < count:
            client = self.connect()
            try:
                assert client.call("daemon.ping") == "pong"
                clients.append(client)
            except (
                Closed,
                BrokenPipeError,
                ConnectionResetError,
                KeyError,
                AssertionError,
            ):  # refused: no answer with our id
                client.close()
                assert (
                    time.monotonic() < deadline
                ), f"only {len(clients)} of {count} clients were admitted"
                time.sleep(0.02)
        return clients

    def call(self, method, params=None, **named):
        """One call on a new connection."""
        with self.connect() as connection:
            return connection.call(method, params, **named)

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    # End
    # ----------------------------------------------------------------------------------------------

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout=30.0):
        return self.process.wait(timeout * SLOW)

    def terminate(self, timeout=20.0):
        """Sends SIGTERM and returns the exit code."""
        if self.alive():
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"the daemon did not end within {timeout * SLOW} s of SIGTERM:\n"
                f"{self.log()[-3000:]}"
            ) from None

    def kill(self):
        """Sends SIGKILL, also to the wrapper."""
        if self.process is not None:
            for pid in {self.pid, self.process.pid}:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()

    def stop(self):
        """Stops it and checks its end: exit code 0, no report, no secret in the log. Removes
        everything."""
        try:
            if "PIERRE_TEST_READS" in os.environ and self.alive():
                self.note_reads()
            if self.process is not None:
                code = self.terminate()
                assert (
                    code in self.expected_exits
                ), f"the daemon ended with {code}:\n{self.log()[-4000:]}"
                self.check_log()
                assert (
                    0 not in self.expected_exits
                    or code != 0
                    or not os.path.exists(self.socket_path)
                ), "the daemon left its socket behind"
        finally:
            self.discard()

    def note_reads(self):
        """Adds to the run's counts which servers have answered reads."""
        with contextlib.suppress(Closed, OSError, AssertionError, Late):
            counts = routes.reads(self)
            with open(os.environ["PIERRE_TEST_READS"], "a", encoding="utf-8") as file:
                file.write(json.dumps(counts) + "\n")

    def check_log(self):
        text = self.log()
        for report in REPORTS:
            assert report not in text, f"the log holds {report!r}:\n{text[-6000:]}"
        for secret in interface_model.secrets:
            assert secret not in text, f"a secret is in the log ({secret[:3]}…)"

    def discard(self):
        self.kill()
        if self.owns_database and not isinstance(self.database, str):
            self.database.drop()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.discard()


def _cmdline(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().decode("utf-8", "replace")


def run(arguments, timeout=30.0, environment=None, folder=None, key=None, user=None):
    """Runs the binary to its end and returns (exit code, stdout, stderr). For options that start no
    service."""
    variables = {"PATH": os.environ["PATH"], "HOME": folder or "/nonexistent", "LANG": "C.UTF-8"}
    for name in (
        "ASAN_OPTIONS",
        "UBSAN_OPTIONS",
        "LSAN_OPTIONS",
        "TSAN_OPTIONS",
        "LLVM_PROFILE_FILE",
    ):
        if name in os.environ:
            variables[name] = os.environ[name]
    if key is not None:
        variables["ENCRYPTION_KEY"] = key
    variables.update(environment or {})
    done = subprocess.run(
        [BINARY, *arguments],
        cwd=folder or "/tmp",
        env=variables,
        capture_output=True,
        timeout=timeout * SLOW,
        stdin=subprocess.DEVNULL,
        user=user,
        check=False,
    )
    return (
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )
