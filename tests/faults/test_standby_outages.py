"""Reads from standbys while servers are gone, or in the way. Would catch: reads that stop with the
primary, or go on for too long without one; a standby of an older timeline that is read after
another one was promoted."""
from lib.standby_case import LIMIT, TIMES, OutageCase
from lib.routes import reads, roles

BACKENDS = ("postgres",)
STRICT = True
MANY = 50
TOGETHER = 4


class Outages(OutageCase):
    def test_killed(self):
        self.go_on("kill -9 of the primary, reads", self.killed)

    def test_reads_that_wait_together(self):
        """Those of one client do not keep each other from a standby that has caught up."""
        daemon = self.daemon("--pool", "4", url=self.group.url(self.group.primary, self.first))
        with daemon.connect() as one:
            self.from_standby(daemon, one)
            with self.first.paused():
                self.write(one, 2)
                before = reads(daemon)["behind"]
                self.within(LIMIT, lambda: self.read(one) == 2 and reads(daemon)["behind"] > before)
                received = "SELECT pg_last_wal_receive_lsn() - '0/0'"
                position = self.group.position()
                self.within(LIMIT, lambda: int(self.first.ask(received)) >= position)
                before = reads(daemon)
                self.group.primary.kill()
                try:
                    calls = [
                        one.request("get_user_profile", user_id=self.user) for _ in range(TOGETHER)
                    ]
                    self.within(
                        LIMIT,
                        lambda: sum(reads(daemon).values()) >= sum(before.values()) + TOGETHER,
                    )
                    self.first.ask("SELECT pg_wal_replay_resume()")
                    for call in calls:
                        self.assertEqual(one.answer(call)["result"]["n"], 2)
                finally:
                    self.group.primary.launch()
            self.assertGreater(reads(daemon)["standby"], before["standby"])


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
            self.within(LIMIT, lambda: self.kinds(one, ("upsert_user_profile", params)) == [None])
            self.assertEqual(self.read(one), 2)
            before = reads(daemon)["standby"]
            clients = [one, *(daemon.connect() for _ in range(4))]

            def found_out():
                for client in clients:
                    self.assertEqual(self.read(client), 2)
                return roles(daemon).get(self.second.port) == "outdated"

            self.within(LIMIT, found_out)
            self.assertTrue(all(found_out() for _ in range(MANY)))
            self.assertEqual(reads(daemon)["standby"], before)
            self.assertLess(self.first.position_as_primary(), self.second.position())
            for client in clients[1:]:
                client.close()
