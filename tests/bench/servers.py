"""Starts and stops the servers of the benchmark: the daemon and Redis, each private and in its own
folder.

PostgreSQL and PgBouncer come from tests/lib. Every server listens on Unix sockets only where it
can, is stopped by the process that started it, and logs to a file beside its data.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class BenchError(Exception):
    """Something that the benchmark needs is missing or failed; the text is for the user."""


def tool(name):
    """Returns the full path of a program from a package."""
    path = shutil.which(
        name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/bin:/usr/bin"
    )
    if path is None:
        raise BenchError(f"{name} is missing: run `scripts/setup bench`")
    return path


def run(command, **options):
    """Runs a program to its end and returns its output as text."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    if done.returncode != 0:
        raise BenchError(
            f"{command[0]} ended with {done.returncode}: "
            f"{(done.stderr or done.stdout).strip()[-2000:]}"
        )
    return done.stdout


def wait_until(true, what, process=None, seconds=30.0, pause=0.02):
    """Waits until a condition holds; fails early when the process that should establish it has
    exited."""
    end = time.monotonic() + seconds
    while not true():
        if process is not None and process.poll() is not None:
            raise BenchError(f"{what}: the process ended with {process.returncode}")
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)


def answers(path, request=b"", expected=b""):
    """Checks whether a Unix socket accepts a connection and returns the expected answer."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2.0)
        client.connect(str(path))
        if not request:
            return True
        client.sendall(request)
        return expected in client.recv(4096)
    return False


class Server:
    """A child process: a context manager that ends it with SIGTERM, then by force."""

    wrapper = ()  # a program and its options to run the server under (strace, valgrind)

    def __init__(self, folder, name):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.process = None
        self.log = self.folder / f"{name}.log"

    def launch(self, command, **options):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in (*self.wrapper, *command)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **options,
            )

    def stop(self, seconds=30.0):
        """Stops the server and returns its exit status."""
        process, self.process = self.process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class Daemon(Server):
    """pierre-dbd on its own database."""

    def __init__(
        self, build, folder, url, name="daemon", options=(), wrapper=(), binary=None, seconds=60.0
    ):
        super().__init__(folder, name)
        self.binary = pathlib.Path(binary or pathlib.Path(build) / "daemon" / "pierre-dbd")
        self.url, self.options, self.wrapper, self.seconds = url, options, wrapper, seconds
        self.socket = self.folder / f"{name}.sock"
        self.key = self.folder / "bench.key"
        if not self.key.exists():
            self.key.write_text(run([self.binary, "--generate-key"]))
            self.key.chmod(0o600)

    def start(self):
        environment = {
            name: text
            for name, text in os.environ.items()
            if name not in ("DATABASE_URL", "ENCRYPTION_KEY", "NOTIFY_SOCKET")
            and not name.startswith("PIERRE_")
        }
        self.launch(
            [
                self.binary,
                "--database-url",
                self.url,
                "--socket",
                self.socket,
                "--encryption-key-file",
                self.key,
                *self.options,
            ],
            env=environment,
            cwd=self.folder,
        )
        try:
            wait_until(
                self.ready,
                f"starting pierre-dbd (see {self.log})",
                self.process,
                self.seconds,
                0.005,
            )
        except BenchError:
            self.stop()
            raise

    def ready(self):
        return answers(self.socket, b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\n', b'"pong"')

    def pid(self):
        """Returns the daemon's own process, also below a wrapper that forks it."""
        pid = self.process.pid
        while pathlib.Path(f"/proc/{pid}/exe").resolve() != self.binary.resolve():
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if not children:
                break
            pid = int(children[0])
        return pid

    def cpu_seconds(self):
        """User and system time of all its threads so far."""
        fields = pathlib.Path(f"/proc/{self.pid()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self, mark="VmRSS"):
        """Returns the current value; with the mark VmHWM the peak."""
        for line in pathlib.Path(f"/proc/{self.pid()}/status").read_text().splitlines():
            if line.startswith(mark + ":"):
                return int(line.split()[1]) * 1024
        raise BenchError("the daemon's memory cannot be read")


class Redis(Server):
    """Redis on a Unix socket, without persistence."""

    def __init__(self, folder):
        super().__init__(folder, "redis")
        self.socket = self.folder / "redis.sock"

    def start(self):
        self.launch(
            [
                tool("redis-server"),
                "--port",
                "0",
                "--unixsocket",
                self.socket,
                "--save",
                "",
                "--appendonly",
                "no",
                "--daemonize",
                "no",
                "--dir",
                self.folder,
            ]
        )
        wait_until(
            lambda: answers(self.socket, b"PING\r\n", b"PONG"), "starting Redis", self.process
        )

    def load(self, count, value):
        """Sets user:000000000000 … to the value: the keys of redis-benchmark's __rand_int__."""
        text = value.encode()
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.socket))
        with client, client.makefile("rb") as answered:
            for start in range(0, count, 1000):
                part = range(start, min(start + 1000, count))
                client.sendall(
                    b"".join(
                        b"*3\r\n$3\r\nSET\r\n$17\r\nuser:%012d\r\n$%d\r\n%s\r\n"
                        % (i, len(text), text)
                        for i in part
                    )
                )
                for _ in part:
                    if answered.readline() != b"+OK\r\n":
                        raise BenchError("Redis did not store a value")


class Delay(Server):
    """A network that delivers to a PostgreSQL server, and back, after that many microseconds."""

    def __init__(self, build, folder, postgres, microseconds):
        super().__init__(folder, f"delay-{microseconds}")
        self.binary = pathlib.Path(build) / "tests" / "bench" / "bench-delay"
        self.postgres, self.microseconds = postgres, microseconds

    def start(self):
        self.launch([self.binary, self.postgres.port, self.microseconds])
        wait_until(lambda: self.log.read_text().endswith("\n"), "starting the delay", self.process)
        self.port = int(self.log.read_text())


class Client:
    """A plain client of the daemon for preparations: many calls at once over one connection."""

    def __init__(self, path, timeout=120.0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")

    def call(self, method, params=None):
        return self.calls([(method, params)])[0]

    def calls(self, wanted, window=128):
        """Runs (method, params) pairs, `window` at a time. Returns the results in order and raises
        on any error."""
        results = []
        for start in range(0, len(wanted), window):
            part = wanted[start : start + window]
            self.socket.sendall(
                b"".join(request(i, method, params) for i, (method, params) in enumerate(part))
            )
            answered = {}
            for _ in part:
                line = self.lines.readline()
                if not line:
                    raise BenchError("the daemon closed the connection")
                answer = json.loads(line)
                if "error" in answer:
                    raise BenchError(f"{part[answer['id'] or 0][0]}: {answer['error']}")
                answered[answer["id"]] = answer["result"]
            results.extend(answered[i] for i in range(len(part)))
        return results

    def close(self):
        self.lines.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(number, method, params=None):
    """Returns one request's line."""
    members = {"jsonrpc": "2.0", "id": number, "method": method}
    if params is not None:
        members["params"] = params
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"
