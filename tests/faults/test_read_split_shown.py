"""What a daemon that reads from standbys shows of its servers, and positions through it. Would
catch: a server with a wrong role or named twice, reads counted for the wrong reason, a standby
called usable that answers nothing, the reverse while there is no primary, a position that reads on
standbys do not see."""
import subprocess
import urllib.parse

from lib import openmetrics
from lib.daemon import CTL, SLOW, Daemon
from lib.postgres_case import Database, ServerCase
from lib.postgres_server import PostgresServer
from lib.rpc import result_of
from lib.terminal import environment
from lib.world import new_user

BACKENDS = ("postgres",)
HOUR = ("--standby-lag", "1h")


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
        cls.writer = Daemon(database=Database(cls.server.url), options=("--pool", "2"))
        cls.addClassCleanup(cls.writer.stop)
        cls.writer.start()
        cls.standby = cls.server.standby()
        cls.addClassCleanup(cls.standby.stop)
        cls.reader = cls.splitting("--standby-lag", "1s")
        cls.addClassCleanup(cls.reader.stop)
        cls.reader.start()

    def setUp(self):
        self.within(20, lambda: self.of(self.standby)["usable"])

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
            self.within(5, lambda: one.call("get_user_count") is not None and
                        self.counted("standby_reads") > before)  # fmt: skip
        primary, standby = self.of(self.server), self.of(self.standby)
        self.assertEqual((primary["role"], primary["usable"]), ("primary", False))
        self.assertGreater(primary["connections"], 0)
        self.assertEqual((standby["role"], standby["error"]), ("standby", None))
        self.assertGreater(standby["reads"], 0)
        self.assertGreater(standby["connections"], 0)
        self.assertIsNone(self.warning())
        self.assertEqual(self.findings()["standbys", "ok"], "1 of 1 can be read")
        found = self.metrics()
        self.assertEqual(found["pierre_dbd_usable_standbys"].values(), [1])
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
            self.within(20, lambda: not self.of(self.standby)["usable"])
            shown = self.of(self.standby)
            self.assertGreater(shown["age_ms"], 1000)
            self.assertGreater(shown["lag_bytes"], 0)
            before = self.counted("primary_reads_old")
            one.call("get_user_count")
            self.assertEqual(self.counted("primary_reads_old"), before + 1)
            self.assertRegex(self.warning(), r"^no standby can be read: .* more than standby-lag")
            self.assertIn("more than standby-lag", self.findings()["server", "warn"])
            self.assertEqual(self.metrics()["pierre_dbd_usable_standbys"].values(), [0])

    def test_positions(self):
        """A read through the daemon sees what another daemon has answered before the position,
        although its standby is behind and young enough."""
        with self.splitting(*HOUR) as reader, reader.connect() as one, reader.connect() as other:
            self.within(20, lambda: self.of(self.standby, reader)["usable"])
            with self.standby.paused():
                before = one.call("get_user_count")
                calls = [("create_user", {"user": new_user()}), ("daemon.position", None)]
                with self.writer.connect() as writer:
                    _, position = map(result_of, writer.many(calls))
                self.assertEqual(one.call("get_user_count"), before)
                one.call("daemon.wait_for", position=position)
                self.assertEqual(one.call("get_user_count"), before + 1)
                self.assertEqual(other.call("get_user_count"), before + 1)
                self.assertGreater(self.counted("primary_reads_behind", reader), 0)

    def test_standby_stopped(self):
        self.standby.shut("immediate")
        try:
            self.within(20, lambda: self.of(self.standby)["role"] == "unreachable")
            self.assertNotEqual(self.of(self.standby)["error"] or "", "")
            self.assertIn(f"{name(self.standby)} is unreachable: ", self.warning())
            self.assertIn("is unreachable: ", self.findings()["server", "warn"])
            before = self.counted("primary_reads_lost")
            self.reader.call("get_user_count")
            self.assertEqual(self.counted("primary_reads_lost"), before + 1)
        finally:
            self.standby.launch()

    def test_without_primary(self):
        options = ("--standby-lag", "500ms", "--standby-outage", "1h")
        with self.splitting(*options) as reader, reader.connect() as one:
            self.within(20, lambda: self.of(self.standby, reader)["usable"])
            count = one.call("get_user_count")
            self.server.shut("immediate")
            try:
                self.within(20, lambda: self.stats(reader)["gauges"]["db_outage_ns"] > 6e8)
                self.assertTrue(self.of(self.standby, reader)["usable"])
                self.assertEqual(one.call("get_user_count"), count)
                checks = reader.call("daemon.health")["checks"]
                detail = next(c for c in checks if c["name"] == "standbys")["detail"]
                self.assertFalse(reader.call("daemon.health")["ready"])
                self.assertRegex(detail, r"^no primary for \d+ s: standbys answer reads")
            finally:
                self.server.launch()
            self.within(20, lambda: self.stats(reader)["gauges"]["db_outage_ns"] == 0)
            self.within(20, lambda: self.of(self.server, reader)["role"] == "primary")

    def test_named_twice(self):
        with self.splitting(
            *HOUR, "--standby-url", self.standby.url, url=hosts(self.server, self.standby)
        ) as reader:
            self.assertEqual(
                [one["host"] for one in self.stats(reader)["servers"]],
                [name(self.server), name(self.standby)],
            )
