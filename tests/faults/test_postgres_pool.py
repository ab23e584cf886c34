"""The settings of the pool. Would catch: connections that are never closed or opened without limit,
one that is used after a long silence without a check, calls that fail because a connection was
replaced, a connection that the network drops unnoticed, a log that an outage fills."""
import os
import signal
import time

from lib import invariants
from lib.daemon import SLOW, StartFailure
from lib.load import Load
from lib.postgres_case import ServerCase, recovered
from lib.world import World

BACKENDS = ("postgres",)
KEEPALIVE = 2  # this timer's number in /proc/net/tcp


class Size(ServerCase):
    def grow(self, daemon, calls, limit):
        """Fills the pool with calls that wait for a lock, one after the other."""
        with self.server.session(self.name) as other:
            other.run("BEGIN")
            other.run("LOCK TABLE users")
            clients = daemon.admitted(calls)
            waiting = []
            for client in clients:
                waiting.append((client, client.request("get_user_count")))
                self.within(10, lambda: self.blocked() == min(len(waiting), limit))
            time.sleep(0.6)  # the pool checks its pending calls several times
            self.assertEqual(len(self.backends()), limit)
            other.run("ROLLBACK")
        for client, identifier in waiting:
            self.assertIn("result", client.answer(identifier))
            client.close()

    def blocked(self):
        return int(
            self.query(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pierre-dbd' "
                "AND wait_event_type = 'Lock' "
                f"AND datname = '{self.name}'"
            )
        )

    def test_idle_ones_are_closed(self):
        for minimum in (1, 2):
            daemon = self.daemon(
                "--pool",
                "4",
                "--pool-min",
                str(minimum),
                "--idle-timeout",
                "1s",
                key=getattr(self, "key", None),
            )
            self.key = daemon.key
            before = invariants.Snapshot(daemon)
            self.grow(daemon, 4, limit=4)
            self.within(10, lambda: len(self.backends()) == minimum)
            time.sleep(1.5)  # longer than the idle timeout
            self.assertEqual(len(self.backends()), minimum, "the minimum must be kept")
            self.assertNotIn("the database connection failed", daemon.log())
            invariants.check(daemon, before)
            self.assertEqual(daemon.terminate(), 0)

    def test_patience_for_a_place(self):
        """When every connection is in use, a call is refused after the acquire timeout, not after
        the call timeout. A later request of the busy client waits for its earlier one."""
        daemon = self.daemon("--pool", "1", "--acquire-timeout", "1s", "--call-timeout", "4s")
        with daemon.connect() as first, daemon.connect() as other, self.server.session(
            self.name
        ) as outside:
            World(first).user()
            outside.run("BEGIN")
            outside.run("LOCK TABLE users")
            began = time.monotonic()
            taken = first.request("get_user_count")
            self.within(5, lambda: self.blocked() == 1)
            behind = first.request("get_system_stats")
            problem = other.error("get_user_by_email", email="nobody@example.com")
            self.assertEqual(
                (problem.kind, problem.data["outcome"], problem.data["retryable"]),
                ("unavailable", "none", True),
            )
            self.assertIn("all connections are in use", problem.message)
            self.assertGreaterEqual(time.monotonic() - began, 1)
            self.assertLess(time.monotonic() - began, 3 * SLOW)
            self.assertEqual(
                other.error("daemon.ping", [1]).kind, "invalid_params"
            )  # the connection still works
            outside.run("ROLLBACK")
            self.assertIsInstance(first.answer(taken)["result"], int)
            self.assertIn("user_count", first.answer(behind)["result"])
            self.assertIsNone(other.call("get_user_by_email", email="nobody@example.com"))

    def test_never_more_than_allowed(self):
        daemon = self.daemon("--pool", "3", "--call-timeout", "20s", "--acquire-timeout", "20s")
        before = invariants.Snapshot(daemon)
        self.grow(daemon, 8, limit=3)
        invariants.check(daemon, before)

    def test_replaced_under_load(self):
        """Each connection lives one second, and callers notice nothing."""
        daemon = self.daemon("--pool", "3", "--pool-min", "3", "--connection-lifetime", "1s")
        self.within(5, lambda: self.connections(daemon) == 3)
        before, seen = invariants.Snapshot(daemon), set()
        with Load(daemon, writers=6, readers=4) as load:
            until = time.monotonic() + 30 * SLOW
            while len(seen) < 12 and time.monotonic() < until:
                now = self.backends()
                self.assertLessEqual(len(now), 3 + 3)  # closing ones may still be counted
                seen.update(now)
                time.sleep(0.1)
        self.assertGreaterEqual(len(seen), 12, "no connection was replaced")
        self.assertEqual([call.message for call in load.failures()], [])
        load.verify(self.query)
        self.within(5, lambda: self.connections(daemon) == 3)
        self.assertNotIn("the database connection failed", daemon.log())
        invariants.check(daemon, before)

    def test_no_more_than_there_is_room_for(self):
        """A number beyond the pool's capacity is refused, not clamped."""
        for options in (("--pool", "129"), ("--pool-min", "0"), ("--pool", "2", "--pool-min", "3")):
            with self.assertRaises(StartFailure) as failure:
                self.daemon(*options)
            self.assertIn("pool", failure.exception.log)


class Silence(ServerCase):
    def test_asked_before_it_is_trusted_again(self):
        """A connection is idle for long and its peer disappears silently: the next write does not
        use it unchecked."""
        proxy, daemon = self.proxied("--call-timeout", "20s", pool=1)
        before = invariants.Snapshot(daemon)
        with daemon.connect() as one:
            user = World(one).user()
            one.call("update_last_active", user_id=user)
            time.sleep(30.5)
            for link in list(proxy.links):
                link.hang()
            began = time.monotonic()
            self.assertIsNone(one.call("update_last_active", user_id=user))
            recovered("a connection that went silent while idle", time.monotonic() - began)
            self.assertLess(time.monotonic() - began, 4 + 2 * SLOW)
        self.within(5, lambda: self.connections(daemon) == 1)
        invariants.check(daemon, before)

    def test_keepalives(self):
        """An idle connection has the kernel's keepalive timer, unless the URL disables it."""
        for options, timers in (
            ("?sslmode=disable", {KEEPALIVE}),
            ("?sslmode=disable&keepalives=0", {0}),
        ):
            daemon = self.daemon(
                "--pool",
                "2",
                "--pool-min",
                "2",
                url=self.server.database_url(self.name, "127.0.0.1", options),
                key=getattr(self, "key", None),
            )
            self.key = daemon.key
            self.within(5, lambda: self.connections(daemon) == 2)
            self.within(5, lambda: self.timers(daemon) == timers)
            self.assertEqual(daemon.terminate(), 0)

    def timers(self, daemon):
        """Returns the timers of the daemon's connections to the server."""
        sockets = set()
        for name in os.listdir(f"/proc/{daemon.pid}/fd"):
            try:
                sockets.add(os.readlink(f"/proc/{daemon.pid}/fd/{name}"))
            except OSError:
                pass
        found = []
        with open(f"/proc/{daemon.pid}/net/tcp", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if (
                    f"socket:[{fields[9]}]" in sockets
                    and int(fields[2].split(":")[1], 16) == self.server.port
                ):
                    found.append(int(fields[5].split(":")[0], 16))
        return set(found) if len(found) >= 2 else None


class Ended(ServerCase):
    def test_reason(self):
        """The server gives a reason when it ends a connection, idle or not, and the daemon logs it.
        No read fails."""
        self.query(f"ALTER DATABASE {self.name} SET idle_session_timeout = '500ms'")
        daemon = self.daemon("--pool-min", "2")
        with daemon.connect() as one:
            for pause in (1.0, 0.0, 1.2, 0.0):
                time.sleep(pause)
                one.call(
                    "get_user_count"
                )  # a write that meets the end of its connection may have an unknown outcome
            self.logged(daemon, "terminating connection due to idle-session timeout")
            self.query(f"ALTER DATABASE {self.name} RESET idle_session_timeout")
            self.within(10, lambda: len(self.backends()) == 2 and self.connections(daemon) == 2)
            time.sleep(1.0)  # the last connections that ended this way have been replaced
            with self.server.session(self.name) as other:
                other.run("BEGIN")
                other.run("LOCK TABLE users")
                waiting = one.request("get_user_count")
                self.within(
                    10,
                    lambda: self.query(
                        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.name}' "
                        "AND wait_event_type = 'Lock'"
                    )
                    == "1",
                )
                self.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                    f"'{self.name}' AND wait_event_type = 'Lock'"
                )
                self.logged(daemon, "terminating connection due to administrator command")
                other.run("ROLLBACK")
            self.assertEqual(one.answer(waiting)["result"], 0)


class Told(ServerCase):
    def tearDown(self):
        if self.server.process is None:
            self.server.launch()

    def test_an_outage_is_told_briefly(self):
        """Each kind of failure is logged once, and so is its end, however long it lasts and however
        many calls fail."""
        daemon = self.daemon(
            "--acquire-timeout", "100ms", "--slow-call", "50ms", "--pool", "4", "--pool-min", "4"
        )
        self.within(5, lambda: self.connections(daemon) == 4)
        refused = 0
        with daemon.connect() as one:
            one.call("get_user_count")
            self.server.shut("fast")
            until = time.monotonic() + 6
            while time.monotonic() < until:
                refused += sum(
                    "error" in answer for answer in one.many([("get_user_count", None)] * 200)
                )
            failures = one.call("daemon.stats")["counters"]["db_connect_failures"]
            self.server.launch()
            self.within(5, lambda: "result" in one.answer(one.request("get_user_count")))
        self.logged(daemon, "the database answers again", 5)
        lines = daemon.log().splitlines()
        logged_failures = [line for line in lines if "the database connection failed" in line]
        self.assertGreater(failures, 5)
        self.assertGreater(refused, 1000)
        self.assertGreaterEqual(len(logged_failures), 1)
        self.assertLess(len(logged_failures), 4 + 4, "the message repeats")
        self.assertEqual(len([line for line in lines if "the database answers again" in line]), 1)
        slow = [line for line in lines if 'msg="slow call"' in line]
        self.assertGreaterEqual(len(slow), 1)
        self.assertLess(len(slow), 20 * 10, "each refused call is logged")
        self.assertIn("suppressed=", "".join(slow))
