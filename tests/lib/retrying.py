"""Writers that outlive restarts of the daemon, since its socket stays open meanwhile."""
import threading
import time

from .daemon import SLOW
from .rpc import Closed, Connection, RpcError
from .world import HASH, uuid4


class Writers:
    """Clients that create users one after the other. A call without an answer is sent again on a
    new connection.

    answered: id -> e-mail; again: how many calls were sent again; longest: wait in seconds."""

    def __init__(self, path, count=4):
        self.path, self.stop, self.lock = path, threading.Event(), threading.Lock()
        self.answered, self.problems, self.again, self.longest = {}, [], 0, 0.0
        self.threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _run(self):
        connection = None
        while not self.stop.is_set() and not self.problems:
            identifier, email, attempts = uuid4(), f"{uuid4()}@example.com", 0
            began = time.monotonic()
            while True:
                try:
                    connection = connection or Connection(self.path, 60 * SLOW)
                    connection.call(
                        "create_user",
                        user={"id": identifier, "email": email, "password_hash": HASH},
                    )
                    break
                except RpcError as problem:
                    if attempts and problem.kind == "conflict":
                        break  # stored by the first request, whose answer was lost
                    if problem.kind != "shutting_down":
                        self.problems.append(f"refused: {problem}")
                        return
                except (Closed, BrokenPipeError, ConnectionResetError):
                    pass
                except Exception as problem:  # pylint: disable=broad-except
                    self.problems.append(f"{problem!r}")  # including refused connections
                    return
                attempts += 1
                if connection is not None:
                    connection.close()
                    connection = None
            with self.lock:
                self.answered[identifier] = email
                self.again += attempts
                self.longest = max(self.longest, time.monotonic() - began)
        if connection is not None:
            connection.close()
