"""Starts against PostgreSQL: before it is there, many at once, cut off midway, on a schema of another version. Would catch: a start that
gives up too soon or never, a schema made twice or by halves, a newer schema that is written to, the wrong exit code."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib.case import main  # noqa: E402
from lib.daemon import SLOW, Daemon, StartFailure, new_key  # noqa: E402
from lib.postgres_case import Database, ServerCase, recovered  # noqa: E402
from lib.proxy import Proxy  # noqa: E402
from lib.world import World  # noqa: E402

BACKENDS = ("postgres",)


class StartCase(ServerCase):
    def spawned(self, *options, key=None):
        """A daemon that is started and not waited for."""
        daemon = Daemon(database=Database(self.url), options=options, key=key)
        self.addCleanup(daemon.discard)
        return daemon.spawn()

    def refused(self, code, *options, url=None, key=None):
        with self.assertRaises(StartFailure) as failure:
            self.daemon(*options, url=url, key=key)
        self.assertEqual(failure.exception.code, code, failure.exception.log)
        return failure.exception.log


class Waiting(StartCase):
    def tearDown(self):
        if self.server.process is None:
            self.server.launch()

    def test_not_asked_to_wait(self):
        self.server.shut("fast")
        began = time.monotonic()
        log = self.refused(69)
        self.assertLess(time.monotonic() - began, 2 * SLOW)
        self.assertIn("the database cannot be reached", log)

    def test_waits_as_long_as_asked(self):
        self.server.shut("fast")
        began = time.monotonic()
        self.refused(69, "--wait-for-database", "1500ms")
        took = time.monotonic() - began
        self.assertGreater(took, 1.5)
        self.assertLess(took, 1.5 + 2 * SLOW)

    def test_comes_up_when_the_database_does(self):
        self.server.shut("fast")
        daemon = self.spawned("--wait-for-database", "60s")
        time.sleep(1.0)
        self.assertTrue(daemon.alive())
        with self.assertRaises(OSError, msg="it listens although nobody could be served"):
            daemon.connect()
        self.server.launch()
        began = time.monotonic()
        daemon.wait_ready(5)
        recovered("a start before the database, until ready", time.monotonic() - began)
        daemon.learn()
        with daemon.connect() as one:
            World(one).user()
        self.assertIn("waiting for the database: ", daemon.log())
        self.assertLess(daemon.log().count("waiting for the database: "), 5, "it repeats itself")
        daemon.stop()

    def test_ended_while_it_waits(self):
        self.server.shut("fast")
        daemon = self.spawned("--wait-for-database", "60s")
        time.sleep(0.5 * SLOW)
        daemon.signal(signal.SIGTERM)
        began = time.monotonic()
        code = daemon.wait(5)
        self.assertLess(time.monotonic() - began, 2 * SLOW)
        self.assertIn(code, (0, 69, -signal.SIGTERM))
        daemon.check_log()


class Schema(StartCase):
    def schema(self):
        return self.query("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"), \
            self.query("SELECT string_agg(version || ' ' || name, ', ' ORDER BY version) FROM pierre_migrations")

    def test_many_at_once(self):
        """On an empty database: one migrates, the others find it done; no daemon fails."""
        key = new_key()
        daemons = [self.spawned(key=key) for _ in range(8)]
        for daemon in daemons:
            daemon.wait_ready()
            daemon.learn()
        users = []
        for daemon in daemons:
            with daemon.connect() as one:
                users.append(World(one).user())
        with daemons[0].connect() as one:
            self.assertEqual(one.call("get_user_count"), len(users))
            version = one.call("daemon.version")["schema_version"]
            self.assertEqual(one.call("migrate"), {"schema_version": version, "applied": []})
        self.assertEqual(self.query("SELECT count(*) || ' ' || count(DISTINCT version) || ' ' || max(version) FROM pierre_migrations"),
                         f"{version} {version} {version}")
        for daemon in daemons:
            self.assertEqual(daemon.terminate(), 0)
            daemon.check_log()

    def test_many_keys_at_once(self):
        """Whoever comes first decides which key it is; the others are told so."""
        daemons = [self.spawned() for _ in range(4)]
        served = 0
        for daemon in daemons:
            try:
                daemon.wait_ready()
                served += 1
                daemon.stop()
            except StartFailure as failure:
                self.assertEqual(failure.code, 77, failure.log)
        self.assertEqual(served, 1)

    def test_newer_schema(self):
        first = self.daemon()
        with first.connect() as one:
            World(one).user()
        before = self.schema()[0]
        self.query("INSERT INTO pierre_migrations (version, name) VALUES (9999, 'of the future')")
        for options in ((), ("--no-migrate",), ("--wait-for-database", "30s")):
            log = self.refused(65, *options, key=first.key)
            self.assertIn("9999", log)
            self.assertIn("newer", log)
        self.assertEqual(self.schema()[0], before)

    def test_not_migrated(self):
        log = self.refused(78, "--no-migrate")
        self.assertIn("--no-migrate", log)
        self.assertEqual(self.query("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"), "0")

    def test_cut_off_at_every_statement(self):
        """The connection breaks before the k-th statement of the first start: the next start finds all or nothing of each migration."""
        whole, key = None, new_key()
        for stop_at in range(1, 40):
            self.name = f"{self.name[:9]}_{stop_at}"
            url = self.server.create_database(self.name)
            with Proxy(self.server) as proxy:
                seen = []

                def cut(link, message):
                    if message.kind in (b"Q", b"P"):
                        seen.append(message)
                        if len(seen) == stop_at:
                            link.reset()
                    return message.data
                proxy.fault = cut
                daemon = Daemon(database=Database(proxy.url(self.name)), key=key)
                try:
                    daemon.start()
                    whole = stop_at
                except StartFailure as failure:
                    self.assertEqual(failure.code, 69, failure.log)
                finally:
                    proxy.fault = None
                    daemon.discard()
            with Daemon(database=Database(url), key=key) as again, again.connect() as one:
                World(one).user()
                version = one.call("daemon.version")["schema_version"]
            self.assertEqual(self.query("SELECT count(*) || ' ' || max(version) FROM pierre_migrations"), f"{version} {version}")
            if whole is not None:
                break
        self.assertIsNotNone(whole, "the start never went through")
        self.assertGreater(whole, 5, "the cuts hit nothing")
        print(f"  cut off before each of {whole - 1} statements", flush=True)


if __name__ == "__main__":
    main()
