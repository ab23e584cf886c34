"""Reads from standbys while servers are gone, or in the way. Would catch: reads that stop with the
primary, or go on for too long without one; an error that a daemon on the primary alone would not
have answered; a standby of an older timeline that is read after another one was promoted."""
import time

from lib.standby_case import TIMES, OutageCase
from lib.routes import reads, roles

BACKENDS = ("postgres",)
STRICT = True
PAIRS = 200
MANY = 50


class Outages(OutageCase):
    def test_killed(self):
        self.go_on("kill -9 of the primary, reads", self.killed)

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
