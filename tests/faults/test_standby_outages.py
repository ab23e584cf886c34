"""Reads from standbys while servers are gone, or in the way. Would catch: reads that stop with the
primary, or go on for too long without one; an error that a daemon on the primary alone would not
have answered; a standby of an older timeline that is read after another one was promoted; a setting
that harms a single server, a pooler, or a role with few rights."""
import contextlib
import time

from lib.case import Case
from lib.causal import Checker
from lib.pgbouncer import PgBouncer
from lib.postgres_case import recovered
from lib.rpc import RpcError
from lib.standbys import reads, roles, shared
from lib.world import World, new_user

BACKENDS = ("postgres",)
STRICT = True
OUTAGE = 2.0
TIMES = ("--acquire-timeout", "1s", "--connect-timeout", "1s", "--call-timeout", "10s")
PAIRS = 200
MANY = 50


class OutageCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.group = shared()
        cls.first, cls.second = cls.group.standbys

    def daemon(self, *options, **named):
        daemon = self.group.daemon(*options, **named)
        self.addCleanup(daemon.stop)
        daemon.start()
        with daemon.connect() as one:
            self.user = World(one).user()
            self.write(one, 1)
        self.group.caught_up()
        return daemon

    def write(self, one, number):
        one.call("upsert_user_profile", user_id=self.user, profile_data={"n": number})

    def read(self, one):
        return one.call("get_user_profile", user_id=self.user)["n"]

    def from_standby(self, daemon, one):
        """Waits until a standby answers this connection."""

        def answered():
            before = reads(daemon)["standby"]
            return self.read(one) and reads(daemon)["standby"] > before

        self.within(10, answered)

    @staticmethod
    def kinds(one, *calls):
        found = []
        for method, params in calls:
            try:
                one.call(method, params)
                found.append(None)
            except RpcError as problem:
                found.append(problem.kind)
        return found

    def checked(self, daemon, callers=8):
        return Checker(daemon, callers, age=None)


class Primary(OutageCase):
    """The primary is gone and comes back."""

    @contextlib.contextmanager
    def killed(self):
        self.group.primary.kill()
        try:
            yield
        finally:
            self.group.primary.launch()
            for one in self.group.standbys:
                one.follow()

    @contextlib.contextmanager
    def frozen(self):
        primary = self.group.lagging(self.group.primary)
        with primary.frozen():
            yield

    def go_on(self, fault, gone, *options, **named):
        """Reads go on without a primary, for a time."""
        outage = ("--standby-outage", f"{OUTAGE:.0f}s")
        daemon = self.daemon("--pool", "4", *outage, *TIMES, *options, **named)
        with daemon.connect() as one, daemon.connect() as writer:
            if "read_from" not in named:
                self.from_standby(daemon, one)
            else:
                self.assertEqual((self.read(one), reads(daemon)["standby"]), (1, 0))
            with gone():
                began = time.monotonic()
                self.assertEqual(self.read(one), 1)
                recovered(fault, time.monotonic() - began)
                write = writer.request("create_user", user=new_user())
                exact = writer.request("get_user", user_id=self.user)
                while (late := time.monotonic() - began) < OUTAGE / 2:
                    self.assertEqual(self.read(one), 1, f"after {late:.2f} s")
                for call in (write, exact):
                    kind = writer.answer(call)["error"]["data"]["kind"]
                    self.assertIn(kind, ("unavailable", "timeout"))
                read = ("get_user_profile", [self.user])
                self.within(10, lambda: self.kinds(one, read) == ["unavailable"])
                self.assertGreater(time.monotonic() - began, OUTAGE / 2)
                self.assertGreater(reads(daemon)["standby"], 0)
            self.within(20, lambda: self.kinds(one, read) == [None])
            self.within(20, lambda: self.kinds(one, ("create_user", [new_user()])) == [None])
            if "read_from" not in named:
                self.from_standby(daemon, one)

    def test_killed(self):
        self.go_on("kill -9 of the primary, reads", self.killed)

    def test_frozen(self):
        self.go_on("SIGSTOP of the primary, reads", self.frozen)

    def test_only_if_lost(self):
        self.go_on(
            "kill -9 of the primary, only if lost", self.killed, read_from="standby-only-if-lost"
        )


class Servers(OutageCase):
    """Standbys that are gone or refuse, and other things between."""

    def test_all_standbys_gone(self):
        daemon = self.daemon("--pool", "4")
        with self.checked(daemon) as checker:
            checker.progress(PAIRS)
            for one in self.group.standbys:
                one.kill()
            before = reads(daemon)
            checker.progress(PAIRS)
            self.assertGreater(reads(daemon)["lost"], before["lost"])
            for one in self.group.standbys:
                one.launch()
            before = reads(daemon)["standby"]
            self.within(20, lambda: reads(daemon)["standby"] > before + MANY)
        print(f"  {checker.report()}", flush=True)
        checker.verify()

    def test_conflicts(self):
        """Vacuum, changes of tables and locks on the primary cancel what standbys read."""
        for one in self.group.standbys:
            one.set(max_standby_streaming_delay="0")
        try:
            daemon = self.daemon("--pool", "4")
            with self.checked(daemon) as checker:
                for statement in (
                    "VACUUM FREEZE",
                    "ALTER TABLE goals ADD COLUMN spare int",
                    "ALTER TABLE goals DROP COLUMN spare",
                    "CREATE INDEX spare ON user_profiles (updated_at)",
                    "DROP INDEX spare",
                    "LOCK TABLE a2a_tasks IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.05)",
                    "VACUUM FULL user_profiles",
                ):
                    self.group.primary.psql(statement)
                    checker.progress(MANY)
            print(f"  {checker.report()}", flush=True)
            checker.verify()
        finally:
            for one in self.group.standbys:
                one.set(max_standby_streaming_delay="30s")

    def test_a_single_server(self):
        """There is no standby to read from, and nothing to lose by the setting."""
        daemon = self.daemon("--pool", "4", url=self.group.primary.url)
        with self.checked(daemon) as checker:
            checker.progress(PAIRS)
        checker.verify()
        self.assertEqual(reads(daemon)["standby"], 0)

    def test_off(self):
        daemon = self.daemon("--pool", "4", read_from="primary")
        with daemon.connect() as one:
            for _ in range(MANY):
                self.read(one)
        for one in self.group.standbys:
            self.assertEqual(one.backends(), [])
        self.assertFalse(any(reads(daemon).values()))

    def test_a_role_with_few_rights(self):
        self.group.primary.psql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        self.group.primary.psql(
            "CREATE ROLE limited LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO limited"
        )
        url = self.group.url().replace(f"//{self.group.primary.user}@", "//limited@")
        daemon = self.daemon("--pool", "4", url=url)
        with self.checked(daemon) as checker:
            checker.progress(PAIRS)
        checker.verify()
        with daemon.connect() as one:
            self.from_standby(daemon, one)

    def test_a_pooler_before_a_standby(self):
        bouncer = PgBouncer(self.first, {"default_pool_size": 2})
        self.addCleanup(bouncer.stop)
        bouncer.start()
        daemon = self.daemon(
            *("--pool", "4", "--standby-url", bouncer.database_url("pierre")),
            url=self.group.primary.url,
        )
        with self.checked(daemon) as checker:
            checker.progress(PAIRS)
            with self.first.paused():
                checker.progress(PAIRS)
        print(f"  {checker.report()}", flush=True)
        checker.verify()
        with daemon.connect() as one:
            self.from_standby(daemon, one)


class Promotion(OutageCase):
    """The last class: another server is the primary afterwards."""

    def test_a_standby_of_the_old_timeline(self):
        """It has more of the log than the one that was promoted, with other contents."""
        daemon = self.daemon("--pool", "4", *TIMES)
        with daemon.connect() as one:
            self.from_standby(daemon, one)
        self.first.cut_off()
        with self.group.daemon(read_from=None, url=self.group.primary.url) as writer:
            with writer.connect() as one:
                self.write(one, 666)
        self.group.primary.psql("SELECT pg_logical_emit_message(false, '', repeat('x', 1000000))")
        self.group.primary.psql("SELECT pg_logical_emit_message(true, '', '')")
        self.second.caught_up()
        self.group.primary.kill()
        self.first.promote()
        with daemon.connect() as one:
            params = [self.user, {"n": 2}]
            self.within(20, lambda: self.kinds(one, ("upsert_user_profile", params)) == [None])
            self.assertEqual(self.read(one), 2)
            before = reads(daemon)["standby"]
            clients = [one, *(daemon.connect() for _ in range(4))]
            until = time.monotonic() + 1.5  # the daemon connects to standbys anew meanwhile
            while time.monotonic() < until:
                for client in clients:
                    self.assertEqual(self.read(client), 2)
            self.within(10, lambda: roles(daemon).get(self.second.port) == "outdated")
            self.assertEqual(reads(daemon)["standby"], before)
            self.assertLess(self.first.position_as_primary(), self.second.position())
            for client in clients[1:]:
                client.close()
