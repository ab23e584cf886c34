"""Callers with many calls in flight, which remember each answer. Every write has a name of its own,
so that the database can be compared with the answers afterwards."""
import json
import socket
import threading
import time

from lib.world import World

OK = b'"result":null'


class Writer(threading.Thread):
    """Keeps `window` writes in flight on one connection."""

    def __init__(self, load, number, window):
        super().__init__(daemon=True)
        self.load, self.number, self.window = load, number, window
        self.sent = 0
        self.answered = {}  # name -> (when, None or the error's data)
        self.problem = None

    def line(self):
        self.sent += 1
        usage = {
            "api_key_id": self.load.key,
            "tool_name": f"w{self.number}-{self.sent}",
            "status_code": 200,
        }
        return (
            json.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": self.sent,
                    "method": "record_api_key_usage",
                    "params": {"usage": usage},
                }
            ).encode()
            + b"\n"
        )

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(self.load.daemon.socket_path)
                one.settimeout(120)
                self.exchange(one)
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem

    def exchange(self, one):
        rest = b""
        while len(self.answered) < self.sent or not self.load.stopping.is_set():
            free = self.window - (self.sent - len(self.answered))
            if free > 0 and not self.load.stopping.is_set():
                one.sendall(b"".join(self.line() for _ in range(free)))
            data = one.recv(1 << 18)
            assert data, "the daemon closed the connection"
            *lines, rest = (rest + data).split(b"\n")
            refused = False
            for line in lines:
                refused = self.take(line) or refused
            time.sleep(0.05 if refused else self.load.pause)

    def take(self, line):
        answer = json.loads(line)
        error = answer.get("error")
        now = time.monotonic()
        self.answered[f"w{self.number}-{answer['id']}"] = (now, error and error["data"])
        if error is None:
            self.load.last_success = now
        else:
            self.load.messages.setdefault(error["message"], now)
        return error is not None


class Reader(threading.Thread):
    """Reads one row again and again."""

    def __init__(self, load):
        super().__init__(daemon=True)
        self.load = load
        self.successes, self.failures = [], 0
        self.problem = None

    def run(self):
        try:
            with self.load.daemon.connect(timeout=120) as one:
                while not self.load.stopping.is_set():
                    answer = one.answer(one.request("get_user", user_id=self.load.user))
                    if "error" in answer:
                        self.failures += 1
                    else:
                        assert answer["result"]["id"] == self.load.user, "another user's answer"
                        self.successes.append(time.monotonic())
                    time.sleep(0.02)
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem


class Writers:
    """with Writers(daemon) as load: …fault…"""

    def __init__(self, daemon, writers=8, window=8, readers=4, pause=0.0):
        self.daemon, self.pause = daemon, pause
        with daemon.connect() as one:
            world = World(one)
            self.user = world.user()
            self.key = world.api_key(self.user)
        self.messages = {}  # of errors -> when first
        self.last_success = time.monotonic()
        self.stopping = threading.Event()
        self.writers = [Writer(self, number, window) for number in range(writers)]
        self.readers = [Reader(self) for _ in range(readers)]

    def __enter__(self):
        for thread in self.writers + self.readers:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for thread in self.writers + self.readers:
            thread.join(150)
        if kind is None:
            for thread in self.writers + self.readers:
                assert not thread.is_alive(), "a caller never got its answer"
                if thread.problem is not None:
                    raise thread.problem

    def done(self):
        return sum(len(writer.answered) for writer in self.writers)

    def progress(self, count, seconds=120):
        """Waits for that many more answers."""
        wanted, until = self.done() + count, time.monotonic() + seconds
        while self.done() < wanted:
            assert time.monotonic() < until, f"{wanted - self.done()} answers are missing"
            time.sleep(0.02)

    def resumed(self, since, seconds):
        """Waits for a successful write after `since`."""
        until = time.monotonic() + seconds
        while self.last_success <= since:
            assert time.monotonic() < until, f"no write in {seconds} s: {list(self.messages)[-3:]}"
            time.sleep(0.02)
