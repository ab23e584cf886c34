"""Reads from standbys in other surroundings: a frozen primary, no standby, changes of tables, a
pooler, a role with few rights, a single server. Run by `scripts/test --standbys`. Would catch:
reads that wait for a primary that does not answer; an error that a daemon on the primary alone
would not have answered; a setting that harms where there is nothing to gain."""
from lib.pgbouncer import PgBouncer
from lib.standby_case import LIMIT, OutageCase
from lib.routes import reads
from lib.world import new_user

BACKENDS = ("postgres",)
STANDBYS = True
STRICT = True
PAIRS = 1000
FEW_PAIRS = 200
MANY = 50
LONG = 8.0  # seconds: longer than the daemon waits for a sample


class Primary(OutageCase):
    """The primary does not answer, or is gone."""

    def test_frozen(self):
        self.go_on("SIGSTOP of the primary, reads", self.group.primary.frozen)

    def test_frozen_for_long(self):
        """A call that it does not answer keeps a connection open."""
        daemon = self.daemon("--pool", "4", "--standby-lag", "3s")
        with daemon.connect() as one, daemon.connect() as writer:
            self.from_standby(daemon, one)
            with self.group.primary.frozen():
                write = writer.request("create_user", user=new_user())

                def lasted():
                    self.assertEqual(self.read(one), 1)
                    return daemon.call("daemon.stats")["gauges"]["db_outage_ns"] > LONG * 1e9

                self.within(LIMIT, lasted)
            self.assertNotIn("error", writer.answer(write))

    def test_only_if_lost(self):
        self.go_on(
            "kill -9 of the primary, only if lost", self.killed, read_from="standby-only-if-lost"
        )


class Servers(OutageCase):
    """What is between, or is not there."""

    def test_all_standbys_gone(self):
        daemon = self.daemon("--pool", "4")
        with self.checked(daemon) as checker:
            checker.progress(FEW_PAIRS)
            for one in self.group.standbys:
                one.kill()
            before = reads(daemon)
            checker.progress(FEW_PAIRS)
            self.assertGreater(reads(daemon)["lost"], before["lost"])
            for one in self.group.standbys:
                one.launch()
            before = reads(daemon)["standby"]
            self.within(LIMIT, lambda: reads(daemon)["standby"] > before + MANY)
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

    def limited(self, name):
        """A daemon of a role that may use the tables, and nothing else that was granted to it."""
        self.group.primary.psql(
            f"CREATE ROLE {name} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}"
        )
        url = self.group.url().replace(f"//{self.group.primary.user}@", f"//{name}@")
        daemon = self.daemon("--pool", "4", url=url)
        with self.checked(daemon) as checker:
            checker.progress(PAIRS)
        checker.verify()
        return daemon

    def test_a_role_with_few_rights(self):
        daemon = self.limited("limited")
        with daemon.connect() as one:
            self.from_standby(daemon, one)

    def test_a_role_that_may_not_ask_for_the_system(self):
        """Whatever it reads from, it fails no caller."""
        function = "FUNCTION pg_control_system() FROM PUBLIC"
        self.group.primary.psql(f"REVOKE EXECUTE ON {function}")
        self.addCleanup(
            self.group.primary.psql, f"GRANT EXECUTE ON {function.replace('FROM', 'TO')}"
        )
        self.limited("more_limited")

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
