"""Faults of PostgreSQL's processes: ended, killed, stopped, restarted under load. Would catch: a
write stored twice by a retry, a lost answered write, a wrong outcome, a read that fails although
another connection could have served it, a daemon that exits, a pool that stays small, a storm of
connects."""
import base64
import contextlib
import os
import pwd
import random
import signal
import subprocess
import tempfile
import time

from lib import invariants
from lib.daemon import SLOW
from lib.load import Load, percentile
from lib.postgres_case import ServerCase, recovered
from lib.world import World, new_user

BACKENDS = ("postgres",)
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))


class Backends(ServerCase):
    """One backend of the server at a time."""

    def one_by_one(self, name, hit, count, pool=4):
        daemon = self.daemon("--pool", str(pool), "--pool-min", str(pool), "--call-timeout", "10s")
        self.within(5, lambda: self.connections(daemon) == pool)
        before = invariants.Snapshot(daemon)
        chance = random.Random("backends")
        with Load(daemon, writers=6, readers=4) as load:
            load.progress()
            first = whole = 0.0
            for _ in range(count):
                victim = chance.choice(self.backends())
                hit(victim)
                began = time.monotonic()
                first = max(first, load.first_success(began))
                self.within(
                    5,
                    lambda: not os.path.exists(f"/proc/{victim}")
                    and self.connections(daemon) == pool,
                )
                whole = max(whole, time.monotonic() - began)
                load.everyone()
        self.assertEqual(
            [call.message for call in load.failures(write=False)],
            [],
            "a read was not tried on another connection",
        )
        for call in load.failures(write=True):
            self.assertIn(call.kind, ("unavailable", "timeout"))
            self.assertEqual(call.outcome, "unknown", call.message)
        numbers = load.verify(self.query)
        self.assertGreater(numbers["answered"], 20)
        invariants.check(daemon, before)
        slowest = max(call.took for call in load.calls)
        recovered(
            name, first, f"pool whole {whole:.2f} s, slowest call {slowest:.2f} s, writes {numbers}"
        )

    def test_terminated(self):
        self.one_by_one(
            "pg_terminate_backend",
            lambda pid: self.server.psql(f"SELECT pg_terminate_backend({pid})", "postgres"),
            12,
        )

    def test_killed(self):
        """SIGKILL of one backend makes the server end all of them and recover."""

        def kill(pid):
            self.server.signal([pid], signal.SIGKILL)
            self.server.wait_ready()

        self.one_by_one("kill -9 of a backend", kill, 4)

    def test_stopped(self):
        """SIGSTOP: the server keeps the connection open and does not answer. Only the calls on that
        connection suffer."""
        daemon = self.daemon("--pool", "4", "--pool-min", "3", "--call-timeout", "2s")
        self.within(5, lambda: self.connections(daemon) >= 3)
        before = invariants.Snapshot(daemon)
        with Load(daemon, writers=6, readers=6) as load:
            load.progress(200)
            quiet = percentile([call.took for call in load.calls], 0.99)
            with self.server.one_frozen(self.backends()):
                began, seen = time.monotonic(), len(load.calls)
                first = load.first_success(began)
                time.sleep(6.5)
                during = load.calls[seen:]
            load.progress()
            self.within(5, lambda: self.connections(daemon) >= 3)
        failures = load.failures()
        self.assertGreaterEqual(len(failures), 1, "the stopped connection had no calls")
        self.assertLessEqual(
            len(failures), 12, "more calls failed than the stopped connection could have"
        )
        for call in failures:
            self.assertEqual(call.kind, "timeout", call.message)
            self.assertLess(
                call.took, 2 + 2 + 2 + 2 * SLOW, "neither the timeout nor the grace time ended it"
            )
        served = [call.took for call in during if not call.kind]
        others = percentile(served, 0.99)
        self.assertGreater(len(served), 500 / SLOW, "the other connections did not continue")
        self.assertLess(others, max(10 * quiet, 0.5 * SLOW))
        numbers = load.verify(self.query)
        invariants.check(daemon, before)
        recovered(
            "SIGSTOP of a backend",
            first,
            f"{len(failures)} calls timed out, p99 of the others {others * 1000:.1f} ms, before "
            f"{quiet * 1000:.1f} ms, writes {numbers}",
        )

    def test_only_connection_stopped(self):
        """The only connection of an idle daemon is stuck. Other clients get a new one, and their
        pending calls move there. The stuck client's own later calls keep their order."""
        daemon = self.daemon("--pool", "3", "--call-timeout", "30s")
        with daemon.connect() as stuck, daemon.connect() as other:
            user = World(stuck).user()
            pid = self.backends()[0]
            os.kill(pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                write = stuck.request("update_last_active", user_id=user)
                time.sleep(0.05)
                behind = other.request("get_user_count")
                later = stuck.request("get_user", user_id=user)
                self.assertEqual(other.answer(behind)["result"], 1)
                recovered("the stop of the only backend, for others", time.monotonic() - began)
                self.assertLess(time.monotonic() - began, 3 + 2 * SLOW)
                self.assertTrue(stuck.silent(0.3), "a later call overtook the one that is stuck")
            finally:
                os.kill(pid, signal.SIGCONT)
            self.assertIsNone(stuck.answer(write)["result"])
            self.assertEqual(stuck.answer(later)["result"]["id"], user)


class Restart(ServerCase):
    ROUNDS = 50 if LONG else 4

    def test_under_load(self):
        daemon = self.daemon("--pool", "4", "--pool-min", "4")
        self.within(5, lambda: self.connections(daemon) == 4)
        before = invariants.Snapshot(daemon)
        chance, times = random.Random("restart"), {"fast": [], "immediate": []}
        with Load(daemon, writers=6, readers=4) as load:
            for number in range(self.ROUNDS):
                mode = ("fast", "immediate")[number % 2]
                load.progress()
                time.sleep(chance.uniform(0, 0.1))
                tried = self.tries()
                self.server.shut(mode)
                time.sleep(chance.uniform(0, 0.5))
                self.server.launch()
                times[mode].append(load.first_success(time.monotonic(), seconds=5 * SLOW))
                self.within(5, lambda: self.connections(daemon) == 4)
                self.assertLess(self.tries() - tried, 40, "too many connects")
        numbers = load.verify(self.query)
        for call in load.failures():
            self.assertIn(call.kind, ("unavailable", "timeout"))
        invariants.check(daemon, before)
        for mode, found in times.items():
            recovered(f"restart {mode}", max(found), f"the longest of {len(found)}")
        print(f"  writes over all restarts: {numbers}", flush=True)

    def tries(self):
        return self.server_log().count("connection received")

    def test_down_at_length(self):
        """During an outage: bounded waits, the cause in the error, few attempts, and no busy
        loop."""
        daemon = self.daemon("--acquire-timeout", "500ms", "--pool-min", "2")
        with daemon.connect() as one:
            one.call("get_user_count")
            before = invariants.Snapshot(daemon)
            self.server.shut("fast")
            began = time.monotonic()
            problem = one.error("get_user_count")
            self.assertLess(time.monotonic() - began, 0.5 + 2.5 * SLOW)
            self.assertEqual((problem.kind, problem.data["retryable"]), ("unavailable", True))
            self.assertRegex(problem.message, "(?i)no such file|refused|shut|terminat|closed")
            self.assertEqual(one.call("daemon.ping"), "pong")
            self.assertEqual(one.call("daemon.health")["status"], "down")
            counters = one.call("daemon.stats")["counters"]
            time.sleep(2)
            after = one.call("daemon.stats")["counters"]
            self.assertLess(
                after["db_connect_failures"] - counters["db_connect_failures"],
                12,
                "too many connects",
            )
            spent = (
                after["cpu_user_us"]
                + after["cpu_system_us"]
                - counters["cpu_user_us"]
                - counters["cpu_system_us"]
            )
            self.assertLess(spent, 200_000 * SLOW, "busy while waiting")
            self.server.launch()
            began = time.monotonic()
            self.within(5, lambda: "result" in one.answer(one.request("get_user_count")))
            recovered(
                "an outage of some seconds",
                time.monotonic() - began,
                f"{after['db_connect_failures']} attempts meanwhile",
            )
            self.within(5, lambda: one.call("daemon.health")["status"] == "ok")
        invariants.check(daemon, before)


class Connections(ServerCase):
    settings = {"max_connections": 12, "superuser_reserved_connections": 0, "max_wal_senders": 0}

    def test_exhausted(self):
        """Others hold nearly all connections of the server: the pool works with what is left. They
        hold all: calls wait until they time out. Afterwards the pool recovers."""
        daemon = self.daemon("--pool", "6", "--pool-min", "6", "--acquire-timeout", "800ms")
        self.within(20, lambda: self.connections(daemon) == 6)
        before = invariants.Snapshot(daemon)
        holders = []
        try:
            with daemon.connect() as one:
                self.take_places(daemon, holders, 4)
                held = len(holders)
                self.within(20, lambda: self.connections(daemon) == 2)
                began = time.monotonic()
                results = one.many([("create_user", {"user": new_user()}) for _ in range(200)])
                self.assertEqual([answer for answer in results if "error" in answer], [])
                few = time.monotonic() - began
                self.take_places(daemon, holders, 2)
                self.within(20, lambda: self.connections(daemon) == 0)
                began = time.monotonic()
                problem = one.error("get_user_count")
                took = time.monotonic() - began
                self.assertEqual(problem.kind, "unavailable")
                self.assertIn("too many clients", problem.message)
                self.assertGreater(took, 0.7)
                self.assertLess(took, 0.8 + 2.5 * SLOW)
                began = time.monotonic()
                for holder in holders:
                    holder.close()
                self.within(5, lambda: "result" in one.answer(one.request("get_user_count")))
                recovered(
                    "max_connections exhausted",
                    time.monotonic() - began,
                    f"{held} of 12 places held, 200 writes over the 2 connections left took "
                    f"{few:.2f} s",
                )
                self.within(15, lambda: self.connections(daemon) == 6)
        finally:
            for holder in holders:
                holder.close()
        invariants.check(daemon, before)

    def take_places(self, daemon, holders, count):
        """Ends that many of the daemon's connections and takes all free ones while the daemon is
        stopped."""
        holders += [self.within(20, self.hold)] if not holders else []
        own = (
            "FROM pg_stat_activity WHERE application_name = 'pierre-dbd' "
            f"AND datname = '{self.name}'"
        )
        daemon.signal(signal.SIGSTOP)
        try:
            before = int(holders[0].run(f"SELECT count(*) {own}"))
            holders[0].run(
                f"SELECT pg_terminate_backend(pid) FROM (SELECT pid {own} LIMIT {count}) AS chosen"
            )
            self.within(
                20, lambda: int(holders[0].run(f"SELECT count(*) {own}")) <= before - count
            )  # others may have been about to connect
            while (holder := self.hold()) is not None:
                holders.append(holder)
        finally:
            daemon.signal(signal.SIGCONT)

    def hold(self):
        """Takes one connection of the server; returns None when none is free."""
        session = self.server.session("postgres")
        try:
            session.run("SELECT 1")
            return session
        except (RuntimeError, BrokenPipeError):
            session.close()
            return None


class Disk(ServerCase):
    SIZE = 40 << 20

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest(
                "PostgreSQL ON A FULL DISK IS NOT TESTED: only root can mount a small file system"
            )
        super().setUp()
        self.mount = tempfile.mkdtemp(prefix="pg-disk-", dir="/tmp")
        self.addCleanup(os.rmdir, self.mount)
        done = subprocess.run(
            [
                "mount",
                "-t",
                "tmpfs",
                "-o",
                f"size={self.SIZE},mode=0755",
                "pierre-test",
                self.mount,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            self.skipTest(f"PostgreSQL ON A FULL DISK IS NOT TESTED: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", self.mount], check=True)
        self.place = os.path.join(self.mount, "tables")
        os.mkdir(self.place)
        owner = pwd.getpwnam("postgres")
        os.chown(self.place, owner.pw_uid, owner.pw_gid)
        self.server.psql(f"CREATE TABLESPACE small LOCATION '{self.place}'")
        self.addCleanup(self.server.psql, "DROP TABLESPACE small")
        self.server.psql(f"ALTER DATABASE {self.name} SET TABLESPACE small")
        self.addCleanup(self.server.psql, f"DROP DATABASE {self.name} WITH (FORCE)")

    def test_full(self):
        """Tables cannot grow: writes that need space fail as `storage` and store nothing, and reads
        are served. Writes succeed again once there is space."""
        daemon = self.daemon("--pool", "2")
        before = invariants.Snapshot(daemon)
        with daemon.connect() as one:
            user = World(one).user()
            profile = {"text": base64.b64encode(os.urandom(300000)).decode()}
            one.call("upsert_user_profile", user_id=user, profile_data=profile)
            balloon = os.path.join(self.mount, "balloon")
            with open(balloon, "wb") as file:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(65536))
                        file.flush()
            refused = 0
            for _ in range(20):
                other = {"text": base64.b64encode(os.urandom(300000)).decode()}
                error = one.answer(
                    one.request("upsert_user_profile", user_id=user, profile_data=other)
                ).get("error")
                if error is None:
                    profile = other  # the tables still had free space
                    continue
                refused += 1
                self.assertEqual(error["data"]["kind"], "storage", error)
                self.assertIn("disk is full", error["message"])
                self.assertEqual(one.call("get_user_profile", user_id=user), profile)
            self.assertGreater(refused, 10)
            self.assertEqual(daemon.call("daemon.ping"), "pong")
            os.unlink(balloon)
            began = time.monotonic()
            one.call("upsert_user_profile", user_id=user, profile_data={"text": "room again"})
            recovered("a full disk", time.monotonic() - began, f"{refused} writes refused")
            self.assertEqual(one.call("get_user_profile", user_id=user), {"text": "room again"})
        invariants.check(daemon, before)
