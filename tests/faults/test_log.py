"""The log during lasting failures. Would catch: a line for each of a thousand calls that fail for
one reason, a failure whose end is not logged, a good health report while nothing can be stored, an
error without its time."""
import os
import re
import resource
import time

from lib import databases
from lib.case import Case
from lib.daemon import Daemon
from lib.rpc import RpcError
from lib.world import World, new_user

BIG = "x" * 60000


class Lines(Case):
    def lines(self, daemon, text):
        return [line for line in daemon.log().splitlines() if text in line]

    def fails(self, connection, kind, method, **params):
        try:
            connection.call(method, **params)
        except RpcError as problem:
            self.assertEqual(problem.kind, kind, str(problem))
            self.last = problem
            return True
        return False

    def store_check(self, connection):
        health = connection.call("daemon.health")
        return next(check for check in health["checks"] if check["name"] == "store")


class Storage(Lines):
    def test_no_room_for_long(self):
        """The failure is logged once, not for each call. Health reports it until a write is stored
        again; then the log reports the recovery."""

        def limits():
            resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, resource.RLIM_INFINITY))

        with Daemon(limits=limits) as daemon, daemon.connect() as c:
            World(c).user()
            self.assertEqual(self.store_check(c)["status"], "ok")
            failures = 0
            for _ in range(2000):
                failures += self.fails(c, "storage", "create_user", user=new_user(display_name=BIG))
                if failures == 50:
                    break
            self.assertEqual(failures, 50)
            self.assertLessEqual(len(self.lines(daemon, "the storage failed")), 3, daemon.log())
            self.assertRegex(
                self.lines(daemon, "the storage failed")[0],
                r'level=error msg="the storage failed \(failures: 1\): ',
            )
            check = self.store_check(c)
            self.assertEqual(check["status"], "degraded", check)
            self.assertRegex(
                check["detail"], r"^the last write failed: .+ \(at \d{4}-\d\d-\d\dT[\d:.]+Z\)$"
            )
            c.call("get_user_count")  # a successful read does not count as a stored write
            self.assertEqual(self.store_check(c)["status"], "degraded")
            resource.prlimit(
                daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            self.within(
                10,
                lambda: not self.fails(
                    c, "storage", "create_user", user=new_user(display_name=BIG)
                ),
            )
            self.assertEqual(self.store_check(c)["status"], "ok")
            self.within(30, lambda: self.lines(daemon, "the storage accepts writes again"))
            line = self.lines(daemon, "the storage accepts writes again")[0]
            self.assertIn("level=notice", line)
            self.assertGreaterEqual(int(re.search(r"failures: (\d+)", line)[1]), 50)


class Journal(Lines):
    def test_priorities(self):
        """Only if stderr is the journal's does each line begin with its priority, without a
        time."""
        for ours in (True, False):
            daemon = Daemon(options=("--log-level", "debug"))
            self.addCleanup(daemon.discard)
            with open(daemon.log_path, "wb") as log:
                status = os.fstat(log.fileno())
            daemon.environment = {
                "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + (not ours)}",
                "PIERRE_DBD_NOTHING": "1",
            }
            daemon.start()
            daemon.call("daemon.reload")
            daemon.connect().close()
            self.logged(daemon, "connection closed", 5)
            lines = daemon.log().splitlines()
            numbers = {"error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
            seen = set()
            for line in lines:
                found = re.match(
                    r"<(\d)>level=(\w+) msg=" if ours else r"(time=\S+Z) level=(\w+) msg=", line
                )
                self.assertIsNotNone(found, line)
                seen.add(found[2])
                self.assertEqual(found[1], str(numbers[found[2]]) if ours else found[1])
                self.assertEqual("time=" in line, not ours, line)
            self.assertGreaterEqual(seen, {"warning", "notice", "debug"})
            daemon.stop()


class Outage(Lines):
    def setUp(self):
        from lib.postgres_server import PostgresServer

        self.server = PostgresServer().start()
        self.addCleanup(self.server.stop)

    def test_start_before_the_server(self):
        """The wait is logged when it begins, not four times a second."""
        self.server.shut("fast")
        daemon = Daemon("postgres", self.server.url, options=("--wait-for-database", "60s"))
        self.addCleanup(daemon.discard)
        daemon.spawn()
        self.logged(daemon, "waiting for the database")
        time.sleep(2)  # eight attempts
        self.server.launch()
        daemon.wait_ready()
        daemon.learn()
        self.assertEqual(
            len(self.lines(daemon, 'step="waiting for the database"')), 1, daemon.log()
        )
        self.assertLessEqual(len(self.lines(daemon, "waiting for the database: ")), 3, daemon.log())
        self.assertEqual(len(self.lines(daemon, "step=0001_base")), 1)
        daemon.stop()

    def test_the_cause_and_its_time(self):
        """The result of the last attempt to connect, and its time, are in the errors of calls and
        in daemon.health."""
        at = r" failed: .+ \(at \d{4}-\d\d-\d\dT[\d:.]+Z\)$"
        with Daemon(
            "postgres", self.server.url, options=("--acquire-timeout", "200ms")
        ) as daemon, daemon.connect() as c:
            c.call("get_user_count")
            self.server.shut("immediate")
            self.within(
                20,
                lambda: self.fails(c, "unavailable", "get_user_count")
                and " failed: " in self.last.message,
            )
            self.assertRegex(self.last.message, "^no database connection in time: .*" + at)
            self.assertRegex(self.store_check(c)["detail"], at)
            self.server.launch()
            self.within(20, lambda: not self.fails(c, "unavailable", "get_user_count"))
            self.assertEqual(self.store_check(c)["status"], "ok")


if databases.chosen() == "postgres":  # each database has failures of its own
    del Storage
else:
    del Outage
