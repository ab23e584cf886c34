"""systemd from a service's view: the notify socket, passed sockets, the watchdog's variables,
credentials. It needs no running systemd: this file, executed as the service's first program, does
what systemd does at a service's start (see launch())."""
import os
import re
import shutil
import socket
import subprocess
import sys
import time

if __name__ != "__main__":  # as a program this file is only launch()
    from .case import Case
    from .daemon import Daemon, SLOW, StartFailure, temporary_folder
else:
    Case = Daemon = object

FIRST_PASSED = 3


class Notify:
    """The manager's end of $NOTIFY_SOCKET. Every datagram is kept with its time of arrival."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.messages = []  # (monotonic seconds, {field: value})

    def read(self):
        """Reads what has arrived; returns all messages so far."""
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return self.messages
            fields = dict(line.split("=", 1) for line in data.decode().splitlines() if line)
            self.messages.append((time.monotonic(), fields))

    def wait(self, seconds, field, value=None, since=0):
        """Returns the first message from number `since` on with that field (and value). Raises
        AssertionError when none arrives in time."""
        deadline = time.monotonic() + seconds * SLOW
        while True:
            for number, (_, fields) in enumerate(self.read()):
                if number >= since and field in fields and value in (None, fields[field]):
                    return fields
            assert (
                time.monotonic() < deadline
            ), f"no {field}={value or '…'} within {seconds * SLOW} s: {self.messages[since:]}"
            time.sleep(0.01)

    def count(self, field, since=0):
        return sum(field in fields for _, fields in self.read()[since:])

    def beats(self, seconds):
        """Returns how often the watchdog is fed in that time."""
        self.read()
        before = len(self.messages)
        time.sleep(seconds)
        return self.count("WATCHDOG", before)

    def close(self):
        self.socket.close()


def listener(path, kind=socket.SOCK_STREAM, mode=0o660, backlog=1024):
    """A socket as a .socket unit creates it."""
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(path)
    os.chmod(path, mode)
    if kind == socket.SOCK_STREAM and backlog:
        made.listen(backlog)
    return made


class Service(Daemon):
    """A daemon started as systemd starts one. sockets: those passed to it, from descriptor 3 on.
    watchdog: WatchdogSec."""

    def __init__(
        self,
        sockets=(),
        names=None,
        watchdog=None,
        credential=None,
        environment=None,
        folder=None,
        **more,
    ):
        folder = folder or temporary_folder()
        self.notify = Notify(
            os.path.join(folder, "notify")
            if not os.path.exists(os.path.join(folder, "notify"))
            else f"@{folder}/{os.urandom(4).hex()}"
        )
        variables = {"NOTIFY_SOCKET": self.notify.path, **(environment or {})}
        if watchdog is not None:
            variables["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        if names is not None:
            variables["LISTEN_FDNAMES"] = ":".join(names)
        if credential is not None:
            place = os.path.join(folder, "credentials")
            os.makedirs(place, mode=0o700, exist_ok=True)
            with open(os.path.join(place, "encryption_key"), "w", encoding="ascii") as file:
                file.write(credential)
            variables["CREDENTIALS_DIRECTORY"] = place
            more.setdefault("key", credential)
            more["pass_key"] = False
        numbers = [one.fileno() for one in sockets]
        super().__init__(
            folder=folder,
            environment=variables,
            pass_fds=numbers,
            wrapper=[sys.executable, os.path.abspath(__file__), ",".join(map(str, numbers))],
            **more,
        )
        self.activated = bool(sockets)

    def start(self, timeout=30.0):
        """Waits for READY=1, as systemd does, without using the socket before."""
        self.spawn()
        self.wait_ready(timeout)
        if self.model is None:
            self.learn()
        return self

    def wait_ready(self, timeout=30.0):
        deadline = time.monotonic() + timeout * SLOW
        while not any(fields.get("READY") == "1" for _, fields in self.notify.read()):
            if self.process.poll() is not None:
                raise StartFailure(self.process.returncode, self.log())
            assert (
                time.monotonic() < deadline
            ), f"no READY=1 after {timeout * SLOW} s:\n{self.log()}"
            time.sleep(0.002)

    def end(self):
        """Sends SIGTERM and checks the exit; folder and database stay."""
        code = self.terminate()
        assert code == 0, f"the service ended with {code}:\n{self.log()[-3000:]}"
        self.check_log()
        assert (
            os.path.lexists(self.socket_path) == self.activated
        ), "the socket's file: a passed one stays, an own one is removed"

    def discard(self):
        self.owns_folder = False
        super().discard()
        self.notify.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Services(Case):
    """Tests with services; what they create is removed with them."""

    def service(self, **arguments):
        service = Service(**arguments)
        self.addCleanup(service.discard)
        return service

    def folder(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        return folder

    def listening(self, folder, **arguments):
        made = listener(os.path.join(folder, "s"), **arguments)
        self.addCleanup(made.close)
        return made


def analyze(*arguments):
    """Runs systemd-analyze and returns (exit code, output); None if it is not installed."""
    if shutil.which("systemd-analyze") is None:
        return None
    done = subprocess.run(
        ["systemd-analyze", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "SYSTEMD_COLORS": "0", "COLUMNS": "200", "LANG": "C.UTF-8"},
    )
    return done.returncode, done.stdout


def exposure(output):
    """Returns the score at the end of `systemd-analyze security`."""
    found = re.search(r"Overall exposure level for .*: ([\d.]+) ", output)
    assert found, f"no score in:\n{output[-2000:]}"
    return float(found.group(1))


def launch(numbers, command):
    """Runs in the child: passed descriptors move to 3, 4, …, the variables name this process, and
    the daemon replaces it."""
    numbers = [int(number) for number in numbers.split(",") if number]
    spare = [os.dup(number) for number in numbers]  # out of the way first
    while spare and min(spare) < FIRST_PASSED + len(spare):
        spare = [os.dup(number) for number in spare]
    for index, number in enumerate(spare):
        os.dup2(number, FIRST_PASSED + index, inheritable=True)
    variables = {**os.environ, "SYSTEMD_EXEC_PID": str(os.getpid())}
    if numbers:
        variables.update(
            {
                "LISTEN_PID": os.environ.get("TEST_LISTEN_PID", str(os.getpid())),
                "LISTEN_FDS": str(len(numbers)),
            }
        )
    if "WATCHDOG_USEC" in variables:
        variables["WATCHDOG_PID"] = os.environ.get("TEST_WATCHDOG_PID", str(os.getpid()))
    os.closerange(FIRST_PASSED + len(numbers), 256)
    os.execve(command[0], command, variables)


if __name__ == "__main__":
    launch(sys.argv[1], sys.argv[2:])
