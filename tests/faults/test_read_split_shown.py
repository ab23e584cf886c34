"""What a daemon that reads from standbys shows of its servers, and positions through it. Would
catch: a server with a wrong role or named twice, reads counted for the wrong reason, a standby
called usable that answers nothing, the reverse while there is no primary, a position that reads on
standbys do not see."""
import os
import subprocess
import urllib.parse

from lib import openmetrics
from lib.daemon import CTL, SLOW, Daemon, StartFailure
from lib.postgres_case import Database, ServerCase
from lib.postgres_server import PostgresServer
from lib.rpc import result_of
from lib.states import until
from lib.terminal import environment
from lib.world import new_user

BACKENDS = ("postgres",)
HOUR = ("--standby-lag", "1h")
LIMIT = 60  # seconds for a state that comes at once as a rule


def hosts(*servers):
    names = (f"{urllib.parse.quote(one.host, safe='')}:{one.port}" for one in servers)
    return f"postgresql://{servers[0].user}@{','.join(names)}/{servers[0].database}"


def name(server):
    return f"{server.host}:{server.port}"


class ReadSplitShown(ServerCase):
    """A primary with one standby, a daemon that writes, and one that reads from the standby."""

    @classmethod
    def setUpClass(cls):
        cls.server = PostgresServer({"fsync": "off", "shared_buffers": "'16MB'"}).start()
        cls.addClassCleanup(cls.server.stop)
        (cls.standby,) = cls.server.standbys(1)
        cls.addClassCleanup(cls.standby.stop)
        cls.writer = Daemon(database=Database(cls.server.url), options=("--pool", "2"))
        cls.addClassCleanup(cls.writer.stop)
        cls.writer.start()
        cls.caught_up()
        cls.reader = cls.splitting("--standby-lag", "1s")
        cls.addClassCleanup(cls.reader.stop)
        cls.reader.start()

    def setUp(self):
        self.within(LIMIT, lambda: self.of(self.standby)["usable"])

    @classmethod
    def splitting(cls, *options, url=None):
        options = ("--read-from", "standby", "--standby-wait", "1ms", "--pool", "2", *options)
        database = Database(url or hosts(cls.server, cls.standby))
        return Daemon(database=database, options=options, key=cls.writer.key)

    @staticmethod
    def stats(daemon):
        return daemon.call("daemon.stats")

    def of(self, server, daemon=None):
        """What the daemon says of a server."""
        servers = self.stats(daemon or self.reader)["servers"]
        (found,) = (one for one in servers if one["host"] == name(server))
        return found

    def counted(self, member, daemon=None):
        return self.stats(daemon or self.reader)["counters"][member]

    def counts(self, one, member, before):
        """Waits until a read has been counted there."""
        self.within(
            LIMIT,
            lambda: one.call("get_user_count") is not None and self.counted(member) > before,
        )

    @classmethod
    def caught_up(cls):
        """Waits until the standby shows what the primary has flushed."""
        flushed = cls.server.psql("SELECT pg_current_wal_flush_lsn()")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{flushed}'"
        until(lambda: cls.standby.psql(replayed) == "t", "replay")

    def warning(self):
        checks = self.reader.call("daemon.health")["checks"]
        (found,) = (one for one in checks if one["name"] == "standbys")
        self.assertEqual(found["status"], "ok")
        return found.get("detail")

    def findings(self):
        found = self.reader.call("daemon.diagnose")["findings"]
        return {
            (one["name"], one["status"]): one["detail"]
            for one in found
            if one["name"] in ("standbys", "server")
        }

    def metrics(self):
        done = subprocess.run(
            [CTL, "--socket", self.reader.socket_path, "metrics"],
            capture_output=True,
            text=True,
            timeout=30 * SLOW,
            check=True,
            env=environment(),
        )
        return openmetrics.parse(done.stdout)

    def test_healthy(self):
        before = self.counted("standby_reads")
        with self.reader.connect() as one:
            self.counts(one, "standby_reads", before)
        primary, standby = self.of(self.server), self.of(self.standby)
        self.assertEqual((primary["role"], primary["usable"]), ("primary", False))
        self.assertGreater(primary["connections"], 0)
        self.assertEqual((standby["role"], standby["error"]), ("standby", None))
        self.assertGreater(standby["reads"], 0)
        self.assertGreater(standby["connections"], 0)
        # On a busy machine its age may pass the limit for a moment.
        self.within(LIMIT, lambda: self.warning() is None)
        expected = "1 of 1 can be read"
        self.within(LIMIT, lambda: self.findings().get(("standbys", "ok")) == expected)
        found = self.metrics()
        usable = "pierre_dbd_usable_standbys"
        self.within(LIMIT, lambda: self.metrics()[usable].values() == [1])
        self.assertEqual(
            {
                labels["server"]: labels["role"]
                for _, labels, _ in found["pierre_dbd_server"].samples
            },
            {name(self.server): "primary", name(self.standby): "standby"},
        )

    def test_old(self):
        with self.standby.paused(), self.reader.connect() as one:
            self.writer.call("create_user", user=new_user())
            self.within(LIMIT, lambda: not self.of(self.standby)["usable"])
            self.assertGreater(self.of(self.standby)["age_ms"], 1000)
            self.within(LIMIT, lambda: self.of(self.standby)["lag_bytes"] > 0)
            self.counts(one, "primary_reads_old", self.counted("primary_reads_old"))
            self.assertRegex(self.warning(), r"^no standby can be read: .* more than standby-lag")
            self.assertIn("more than standby-lag", self.findings()["server", "warn"])
            self.assertEqual(self.metrics()["pierre_dbd_usable_standbys"].values(), [0])

    def test_positions(self):
        """A read through the daemon sees what another daemon has answered before the position,
        although its standby is behind and young enough."""
        self.caught_up()
        with self.splitting(*HOUR) as reader, reader.connect() as one, reader.connect() as other:
            self.within(LIMIT, lambda: self.of(self.standby, reader)["usable"])
            with self.standby.paused():
                before = self.fresh_count(reader)
                calls = [("create_user", {"user": new_user()}), ("daemon.position", None)]
                with self.writer.connect() as writer:
                    _, position = map(result_of, writer.many(calls))
                self.within(LIMIT, lambda: self.fresh_count(reader) == before)
                one.call("daemon.wait_for", position=position)
                self.assertEqual(one.call("get_user_count"), before + 1)
                self.assertEqual(other.call("get_user_count"), before + 1)
                self.assertGreater(self.counted("primary_reads_behind", reader), 0)

    @staticmethod
    def fresh_count(reader):
        """By a client that has seen nothing yet."""
        with reader.connect() as one:
            return one.call("get_user_count")

    def test_standby_stopped(self):
        self.standby.shut("immediate")
        try:
            self.within(LIMIT, lambda: self.of(self.standby)["role"] == "unreachable")
            self.assertNotEqual(self.of(self.standby)["error"] or "", "")
            self.assertIn(f"{name(self.standby)} is unreachable: ", self.warning())
            self.assertIn("is unreachable: ", self.findings()["server", "warn"])
            with self.reader.connect() as one:
                self.counts(one, "primary_reads_lost", self.counted("primary_reads_lost"))
        finally:
            self.standby.launch()

    def test_without_primary(self):
        options = ("--standby-lag", "500ms", "--standby-outage", "1h")
        with self.splitting(*options) as reader, reader.connect() as one:
            self.within(LIMIT, lambda: self.of(self.standby, reader)["usable"])
            count = one.call("get_user_count")
            self.caught_up()
            self.within(LIMIT, lambda: self.of(self.standby, reader)["usable"])
            self.server.shut("immediate")
            try:
                self.within(LIMIT, lambda: self.stats(reader)["gauges"]["db_outage_ns"] > 6e8)
                self.assertTrue(self.of(self.standby, reader)["usable"])
                self.assertEqual(one.call("get_user_count"), count)
                checks = reader.call("daemon.health")["checks"]
                detail = next(c for c in checks if c["name"] == "standbys")["detail"]
                self.assertFalse(reader.call("daemon.health")["ready"])
                self.assertRegex(detail, r"^no primary for \d+ s: standbys answer reads")
            finally:
                self.server.launch()
            self.within(LIMIT, lambda: self.stats(reader)["gauges"]["db_outage_ns"] == 0)
            self.within(LIMIT, lambda: self.of(self.server, reader)["role"] == "primary")

    def test_named_twice(self):
        with self.splitting(
            *HOUR, "--standby-url", self.standby.url, url=hosts(self.server, self.standby)
        ) as reader:
            self.assertEqual(
                [one["host"] for one in self.stats(reader)["servers"]],
                [name(self.server), name(self.standby)],
            )

    def test_too_many_hosts(self):
        more = [f"127.0.0.1:{port}" for port in range(1, 16)]
        url = f"postgresql://nobody@{','.join(more)}/nothing"
        with self.splitting(*HOUR, "--standby-url", url, url=hosts(self.server)) as reader:
            self.assertEqual(len(self.stats(reader)["servers"]), 16)
        both = ("--standby-url", url, "--standby-lag", "1s")
        daemon = self.splitting(*both, url=hosts(self.server, self.standby))
        self.addCleanup(daemon.discard)
        with self.assertRaisesRegex(StartFailure, "name more than 16 hosts") as failure:
            daemon.start()
        self.assertEqual(failure.exception.code, os.EX_CONFIG)

    def test_no_standby(self):
        """A single host: the primary answers all, and the doctor says what to do."""
        for read_from in ("standby", "standby-only-if-lost"):
            with self.splitting("--read-from", read_from, url=hosts(self.server)) as reader:
                self.assertIsInstance(reader.call("get_user_count"), int)
                self.within(LIMIT, lambda d=reader: self.of(self.server, d)["role"] == "primary")
                findings = reader.call("daemon.diagnose")["findings"]
                (found,) = (one for one in findings if one["name"] == "standbys")
                self.assertEqual(found["detail"], "no server is a standby")
                self.assertIn("name hosts with standbys", found["advice"])
