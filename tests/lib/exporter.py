"""The exporter under test: started on a free port, asked over HTTP, stopped and checked."""
import http.client
import os
import re
import signal
import socket
import subprocess
import time

from .daemon import BUILD, REPORTS, SLOW

EXPORTER = os.path.join(BUILD, "tools", "exporter", "pierre-dbd-exporter")
PASSED = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
          "LLVM_PROFILE_FILE")  # fmt: skip


def variables(**more):
    return {**{name: os.environ[name] for name in PASSED if name in os.environ}, **more}


def run(*arguments, timeout=30, **environment):
    """Runs it to its end; returns (exit code, stdout, stderr)."""
    done = subprocess.run(
        [EXPORTER, *arguments],
        env=variables(**environment),
        capture_output=True,
        text=True,
        timeout=timeout * SLOW,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


class Exporter:
    """An exporter for the daemon at a socket. command: what to run instead of the program."""

    def __init__(self, daemon_socket, *options, listen="127.0.0.1:0", command=None, **more):
        self.process = subprocess.Popen(
            [*(command or [EXPORTER]), "--listen", listen, "--socket", daemon_socket, *options],
            env=variables(**more.pop("environment", {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            **more,
        )
        self.text = ""
        first = self.process.stderr.readline().decode()
        found = re.fullmatch(r"pierre-dbd-exporter: listening on (.*)\n", first)
        if not found:
            self.process.kill()
            raise AssertionError(f"the exporter does not listen: {first}{self.rest()}")
        self.name = found[1]
        port = re.fullmatch(r"http://(\S+):(\d+)", self.name)
        self.address = (port[1].strip("[]"), int(port[2])) if port else self.name[len("unix:") :]
        os.set_blocking(self.process.stderr.fileno(), False)

    @property
    def target(self):
        return self.name[len("http://") :]

    def rest(self):
        return self.process.communicate()[1].decode()

    def log(self):
        """The lines so far."""
        while found := self.process.stderr.read(65536):
            self.text += found.decode("utf-8", "replace")
        return self.text

    def connect(self, timeout=20):
        """A raw connection."""
        if isinstance(self.address, tuple):
            return socket.create_connection(self.address, timeout * SLOW)
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(timeout * SLOW)
        one.connect(self.address)
        return one

    def raw(self, data, timeout=20):
        """Sends bytes and returns all that comes until the end."""
        with self.connect(timeout) as one:
            one.sendall(data)
            return read_all(one)

    def ask(self, path="/metrics", method="GET", body=None, headers=None, timeout=20):
        """Returns (status, headers, text)."""
        connection = http.client.HTTPConnection(*self.address, timeout=timeout * SLOW)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def status(self, path="/metrics", **more):
        return self.ask(path, **more)[0]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        """Ends it by SIGTERM; checks its exit code, and that nothing reported a defect."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the exporter does not end") from None
        log = self.log()
        self.process.stderr.close()
        assert code == 0, (code, log)
        for report in REPORTS:
            assert report not in log, log

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.process.kill()
            self.process.wait()


def read_all(one):
    """All bytes until the peer closes or resets the connection."""
    found = b""
    while True:
        try:
            some = one.recv(65536)
        except ConnectionResetError:
            return found
        if not some:
            return found
        found += some


def closed_after(one, seconds):
    """Returns after how long the peer has closed the connection, or None."""
    began = time.monotonic()
    one.settimeout(seconds)
    try:
        read_all(one)
    except TimeoutError:
        return None
    return time.monotonic() - began
