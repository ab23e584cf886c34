"""The storage fails and cannot be reopened for a while: every call ends in time, whatever the
writer has dequeued. Would catch: a dequeued call that the writer forgets while it tries to reopen
the database. SQLite only: PostgreSQL has no writer thread."""
import os
import resource
import sqlite3

from lib.case import Case
from lib.daemon import SLOW, Daemon
from lib.world import World, new_user

BACKENDS = ("sqlite",)
STRICT = True


class Reopen(Case):
    def setUp(self):
        self.daemon = Daemon(options=("--call-timeout", "4s")).start()
        self.addCleanup(self.daemon.discard)
        self.before = {}

    def limit(self, kind, value):
        was = resource.prlimit(self.daemon.pid, kind)
        self.before.setdefault(kind, was)
        resource.prlimit(self.daemon.pid, kind, (value, was[1]))

    def lift(self):
        for kind, was in self.before.items():
            resource.prlimit(self.daemon.pid, kind, was)

    def test_calls_behind_one_that_runs_alone(self):
        """The writer's first dequeued write fails. A key rotation is queued behind it, and a write
        behind that."""
        first, lone, last = (self.daemon.connect(timeout=20) for _ in range(3))
        for one in (first, lone, last):
            self.addCleanup(one.close)
        user = World(first).user()
        outside = sqlite3.connect(self.daemon.database.path, isolation_level=None)
        self.addCleanup(outside.close)
        outside.execute("BEGIN IMMEDIATE")
        holding = first.request("update_last_active", user_id=user)  # the writer waits with it
        self.within(10, lambda: last.call("daemon.stats")["gauges"]["db_running"] == 1)
        large = {"a": "x" * 900_000}
        queued = first.request("upsert_user_profile", user_id=user, profile_data=large)
        self.within(10, lambda: last.call("daemon.stats")["gauges"]["db_queued"] == 1)
        rotation = lone.request("rotate_key")
        self.within(10, lambda: last.call("daemon.stats")["gauges"]["db_queued"] == 2)
        behind = last.request("create_user", user=new_user())
        with self.daemon.connect() as other:
            self.within(10, lambda: other.call("daemon.stats")["gauges"]["db_queued"] == 3)
        # No file can be opened any more, and the WAL has room for the first call alone.
        self.limit(resource.RLIMIT_NOFILE, 3)
        log = os.stat(self.daemon.database.path + "-wal").st_size
        self.limit(resource.RLIMIT_FSIZE, log + 300_000)
        outside.execute("ROLLBACK")
        try:
            self.assertIn("result", first.answer(holding))
            for one, identifier, kind in (
                (first, queued, "storage"),
                (lone, rotation, "timeout"),
                (last, behind, "timeout"),
            ):
                error = one.answer(identifier, 15 * SLOW)["error"]["data"]
                self.assertEqual((error["kind"], error["outcome"]), (kind, "none"))
        finally:
            self.lift()
        self.within(
            20, lambda: "result" in last.answer(last.request("create_user", user=new_user()))
        )
