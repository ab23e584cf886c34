"""A daemon on a streaming standby, and positions of the primary's daemon. Would catch: a wait that
ends before the standby has the write, a read that overtakes the wait before it, a wait that keeps a
connection to the database or outlives its client, its time or the daemon, a position that counts
although a standby was promoted since, a position that an idle standby never reaches."""
import signal

from lib.daemon import Daemon
from lib.postgres_case import Database, ServerCase
from lib.rpc import result_of
from lib.states import until
from lib.world import new_user

BACKENDS = ("postgres",)
LIMIT = 30  # seconds for a state that comes at once as a rule


class Standby(ServerCase):
    """A server with standbys, and a daemon on either and on one of them, for all tests."""

    settings = {"shared_buffers": "'16MB'", "max_wal_senders": 4}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.addClassCleanup(cls.server.stop)
        cls.standby, cls.spare = cls.server.standbys(2)
        cls.addClassCleanup(cls.standby.stop)
        cls.addClassCleanup(cls.spare.stop)
        cls.url = cls.server.url
        cls.primary = Daemon(database=Database(cls.url), options=("--pool", "2"))
        cls.addClassCleanup(cls.primary.stop)
        cls.primary.start()
        for one in (cls.standby, cls.spare):
            cls.caught_up(one)
        options = ("--pool", "1", "--call-timeout", "10s")
        cls.reader = cls.on(cls.standby, *options)
        cls.addClassCleanup(cls.reader.stop)
        cls.reader.start()

    def setUp(self):
        pass

    @classmethod
    def on(cls, server, *options):
        return Daemon(database=Database(server.url), options=options, key=cls.primary.key)

    @classmethod
    def caught_up(cls, standby):
        """Waits until it shows what the primary has flushed."""
        flushed = cls.server.psql("SELECT pg_current_wal_flush_lsn()")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{flushed}'"
        until(lambda: standby.psql(replayed, "postgres") == "t", "replay")

    def write(self):
        """Sends both calls at once: the position covers the write before it."""
        calls = [("create_user", {"user": new_user()}), ("daemon.position", None)]
        with self.primary.connect() as one:
            return list(map(result_of, one.many(calls)))

    def waits(self, daemon=None):
        """Calls of the standby's daemon wait, with no connection to the database in use."""
        gauges = self.gauges(daemon or self.reader)
        return gauges["in_flight"] and not gauges["db_connections_active"]

    def test_waits_for_the_write(self):
        self.checked(1)  # the standby has all that was written before
        with self.reader.connect() as one, self.reader.connect() as other:
            with self.standby.paused():
                user, position = self.write()
                wait = one.request("daemon.wait_for", position=position)
                read = one.request("get_user", user_id=user)
                self.within(LIMIT, self.waits)
                self.assertIsNone(other.call("get_user", user_id=user))
                self.assertTrue(one.silent(0.1))
            self.assertIsNone(one.answer(wait)["result"])
            self.assertEqual(one.answer(read)["result"]["id"], user)

    def checked(self, count):
        """Writes there are read here."""
        with self.reader.connect() as one:
            for _ in range(count):
                user, position = self.write()
                calls = [("daemon.wait_for", [position]), ("get_user", [user])]
                done, found = map(result_of, one.many(calls))
                self.assertIsNone(done)
                self.assertEqual(found["id"], user)

    def test_end_of_page(self):
        self.checked(5)
        self.server.end_of_page()
        position = self.primary.call("daemon.position")
        self.assertIsNone(self.reader.call("daemon.wait_for", position=position))

    def test_commits_that_are_not_flushed(self):
        self.server.psql("ALTER DATABASE pierre SET synchronous_commit = off")
        with self.on(self.server) as self.primary:
            self.server.psql("ALTER DATABASE pierre RESET synchronous_commit")
            self.checked(3)
            self.server.end_of_page()
            position = self.primary.call("daemon.position")
            self.assertIsNone(self.reader.call("daemon.wait_for", position=position))

    def test_upkeep(self):
        """The daemon's own work for the database is left to those on the primary."""
        self.checked(1)
        self.assertNotIn("roll_up", self.server_log(self.standby))

    def test_back(self):
        """The primary has what the standby has shown."""
        position = self.reader.call("daemon.position")
        self.assertIsNone(self.primary.call("daemon.wait_for", position=position))
        with self.standby.paused():
            position = self.reader.call("daemon.position")
            self.assertIsNone(self.reader.call("daemon.wait_for", position=position))

    def test_time_limit(self):
        with self.on(self.standby, "--call-timeout", "300ms") as hasty, self.standby.paused():
            _, position = self.write()
            problem = hasty.connect().error("daemon.wait_for", position=position)
            self.assertEqual((problem.kind, problem.data["outcome"]), ("timeout", "none"))

    def test_client_gone(self):
        with self.standby.paused():
            _, position = self.write()
            with self.reader.connect() as one:
                one.request("daemon.wait_for", position=position)
                self.within(LIMIT, self.waits)
            self.within(LIMIT, lambda: not self.gauges(self.reader)["in_flight"])

    def test_stop(self):
        with self.on(self.standby) as reader, self.standby.paused(), reader.connect() as one:
            _, position = self.write()
            calls = [one.request("daemon.wait_for", position=position) for _ in range(2)]
            self.within(LIMIT, lambda: self.waits(reader))
            reader.signal(signal.SIGTERM)
            for call in calls:
                kind = one.answer(call, LIMIT)["error"]["data"]["kind"]
                self.assertEqual(kind, "shutting_down")
            self.assertEqual(reader.wait(LIMIT), 0)

    def test_promotion(self):
        """The log of the new primary goes on from where it had got to, with other contents."""
        _, position = self.write()
        old = self.reader.call("daemon.position")
        self.caught_up(self.spare)
        self.spare.promote()
        with self.on(self.spare) as daemon:
            for one in (position, old):
                problem = daemon.connect().error("daemon.wait_for", position=one)
                self.assertEqual((problem.kind, problem.field), ("conflict", "position"))
            new = daemon.call("daemon.position")
            self.assertIsNone(daemon.call("daemon.wait_for", position=new))
        problem = self.primary.connect().error("daemon.wait_for", position=new)
        self.assertEqual(problem.kind, "conflict")
