"""Starts against PostgreSQL: before it runs, many at once, cut off midway, on a schema of another
version, with every form of URL, in databases with unusual settings. Would catch: a start that gives
up too early or never, a schema created twice or in part, writes to a newer schema, a wrong exit
code, an option of the URL that has no effect, texts stored in an encoding that cannot hold them."""
import signal
import tempfile
import time
import urllib.parse

from lib import model
from lib.daemon import SLOW, Daemon, StartFailure, new_key
from lib.postgres_case import Database, ServerCase, recovered
from lib.postgres_server import PostgresServer
from lib.proxy import Proxy
from lib.world import World

BACKENDS = ("postgres",)


class StartCase(ServerCase):
    def spawned(self, *options, key=None):
        """Starts a daemon without waiting for it."""
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
        with self.assertRaises(OSError, msg="it listens although it cannot serve anyone"):
            daemon.connect()
        self.server.launch()
        began = time.monotonic()
        daemon.wait_ready(5)
        recovered("a start before the database, until ready", time.monotonic() - began)
        daemon.learn()
        with daemon.connect() as one:
            World(one).user()
        self.logged(daemon, "waiting for the database: ")
        self.assertLess(daemon.log().count("waiting for the database: "), 5, "the message repeats")
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
        return self.query(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        ), self.query(
            "SELECT string_agg(version || ' ' || name, ', ' ORDER BY version) FROM "
            "pierre_migrations"
        )

    def test_many_at_once(self):
        """On an empty database: one daemon migrates, the others find the schema complete, and none
        fails."""
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
        self.assertEqual(
            self.query(
                "SELECT count(*) || ' ' || count(DISTINCT version) || ' ' || max(version) FROM "
                "pierre_migrations"
            ),
            f"{version} {version} {version}",
        )
        for daemon in daemons:
            self.assertEqual(daemon.terminate(), 0)
            daemon.check_log()

    def test_many_at_once_in_a_database_set_otherwise(self):
        """A snapshot that is older than the wait for the lock would hide the other daemon's work.
        The wait itself has no lock timeout."""
        for setting, value in (
            ("default_transaction_isolation", "'serializable'"),
            ("lock_timeout", "'1ms'"),
            ("timezone", "'Asia/Kathmandu'"),
        ):
            self.query(f"ALTER DATABASE {self.name} SET {setting} = {value}")
        with self.server.session(self.name) as other:
            other.run("BEGIN")
            other.run("SELECT pg_advisory_xact_lock(7235434120189153124)")
            key = new_key()
            daemons = [self.spawned(key=key) for _ in range(4)]
            self.within(
                20,
                lambda: self.query(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND "
                    "application_name = 'pierre-dbd' "
                    f"AND datname = '{self.name}'"
                )
                == "4",
            )
            other.run("COMMIT")
        for daemon in daemons:
            daemon.wait_ready()
            daemon.learn()
            self.assertEqual(daemon.call("get_user_count"), 0)
            self.assertEqual(daemon.terminate(), 0)

    def test_read_only(self):
        """There is nothing to read yet, and nothing can be created."""
        self.query(f"ALTER DATABASE {self.name} SET default_transaction_read_only = on")
        self.assertIn("accepts no writes", self.refused(69))
        self.assertIn(
            "search_path",
            self.refused(
                78,
                url=self.url
                + "?options=-c%20search_path%3Dnowhere%20-c%20default_transaction_read_only%3Doff",
            ),
        )

    def test_tables_of_another_program(self):
        """The message names it, the exit code stops service managers from retrying, and nothing is
        changed."""
        for statement, name in (
            ("CREATE TABLE users (id serial, login text)", "public.users"),
            ("CREATE VIEW api_keys AS SELECT 1 AS id", "public.api_keys"),
            (
                "CREATE TABLE other (a int); CREATE INDEX goals_user_time ON other (a)",
                "public.goals_user_time",
            ),
        ):
            self.query(statement)
            before = self.query(
                "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE "
                "relnamespace = 'public'::regnamespace"
            )
            for options in ((), ("--no-migrate",), ("--migrate-only",)):
                log = self.refused(65, *options)
                self.assertIn(name, log)
                self.assertIn("another program's database", log)
            self.assertEqual(
                self.query(
                    "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class "
                    "WHERE relnamespace = 'public'::regnamespace"
                ),
                before,
            )
            self.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self.query("CREATE TABLE pierre_migrations (number int)")
        self.assertIn("a table does not match this daemon's schema", self.refused(65))
        self.query(
            "DROP TABLE pierre_migrations; CREATE SCHEMA theirs; CREATE TABLE theirs.users (id int)"
        )
        self.assertEqual(self.daemon().call("get_user_count"), 0)

    def test_another_encoding(self):
        for encoding in ("LATIN1", "SQL_ASCII"):
            name = f"{self.name}_{encoding.lower()}"
            self.server.psql(
                f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0",
                "postgres",
            )
            log = self.refused(78, url=self.server.database_url(name))
            self.assertIn(f"the database's encoding is {encoding}, it must be UTF8", log)
            self.assertEqual(
                self.server.psql(
                    "SELECT count(*) FROM pg_class WHERE relname LIKE 'pierre%'", name
                ),
                "0",
            )

    def test_many_keys_at_once(self):
        """The first daemon determines the key; the others exit with an error."""
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
        self.assertEqual(
            self.query(
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
            ),
            "0",
        )

    def test_cut_off_at_every_statement(self):
        """The connection breaks before the k-th statement of the first start. The next start finds
        each migration complete or absent. Later migrations repeat the ten statements of the first
        ones, of which every third is cut: all of them within three migrations."""
        whole, key = None, new_key()
        for stop_at in (*range(1, 27), *range(27, 400, 3)):
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
            self.assertEqual(
                self.query("SELECT count(*) || ' ' || max(version) FROM pierre_migrations"),
                f"{version} {version}",
            )
            if whole is not None:
                break
        self.assertIsNotNone(whole, "the start never succeeded")
        self.assertGreater(whole, 5, "the cuts did not occur")
        print(f"  cut off before each of {whole - 1} statements", flush=True)


class Forms(StartCase):
    """Forms and options of the URL."""

    PASSWORD = "canary p@ss/w:rd?&=%#[é]"
    TEXT = "Zoë 日本 😀"

    @classmethod
    def setUpClass(cls):
        cls.server = PostgresServer(
            {"fsync": "off"},
            [
                "local all postgres trust",
                "local all all scram-sha-256",
                "host all postgres 127.0.0.1/32 trust",
                "host all all 127.0.0.1/32 scram-sha-256",
            ],
        )
        cls.addClassCleanup(cls.server.stop)
        cls.server.start()
        cls.server.psql(
            f"CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '{cls.PASSWORD}'", "postgres"
        )
        model.secrets.update((cls.PASSWORD, urllib.parse.quote(cls.PASSWORD, safe="")))

    def stores(self, url, table="users"):
        """What the daemon stores through the URL is read back identically by the daemon and by
        psql."""
        daemon = self.daemon(url=url)
        with daemon.connect() as one:
            user = World(one).user(display_name=self.TEXT)
            self.assertEqual(one.call("get_user", user_id=user)["display_name"], self.TEXT)
        self.assertEqual(
            self.query(f"SELECT display_name FROM {table} WHERE id = '{user}'"), self.TEXT, url
        )
        return daemon

    def test_hosts(self):
        port, path = self.server.port, urllib.parse.quote(self.server.host, safe="")
        for url in (
            f"postgresql://postgres@{path}:{port}/{self.name}",
            f"postgres://postgres@/{self.name}?host={path}&port={port}",
            f"postgresql:///{self.name}?host={path}&port={port}&user=postgres",
            f"postgresql://postgres@127.0.0.1:{port}/{self.name}",
            f"postgresql://postgres@no-such-host.invalid,127.0.0.1:{port}/{self.name}?port={port}",
            f"postgresql://postgres@[::1]:{port},127.0.0.1:{port}/{self.name}",
        ):
            daemon = self.stores(url)
            self.query("DELETE FROM users; DELETE FROM pierre_meta")
            self.assertEqual(daemon.terminate(), 0)

    def test_password(self):
        server = f"127.0.0.1:{self.server.port}/{self.name}"
        quoted = urllib.parse.quote(self.PASSWORD, safe="")
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8"
        ) as file:  # readable by its owner only
            file.write("127.0.0.1:*:*:guarded:" + self.PASSWORD.replace(":", "\\:") + "\n")
            file.flush()
            key = None
            for url in (
                f"postgresql://guarded:{quoted}@{server}",
                f"postgresql://guarded@{server}?password={quoted}",
                f"postgresql://guarded@{server}?passfile={file.name}",
            ):
                daemon = self.daemon(url=url, key=key)
                self.assertEqual(daemon.call("get_user_count"), 0)
                key = daemon.key
        self.assertIn(
            "no password supplied", self.refused(69, url=f"postgresql://guarded@{server}", key=key)
        )
        wrong = urllib.parse.quote(self.PASSWORD + "x", safe="")
        self.assertIn(
            "password authentication failed",
            self.refused(69, url=f"postgresql://guarded:{wrong}@{server}", key=key),
        )

    def test_options(self):
        """Session options apply to each connection of the daemon. Only the encoding is fixed by the
        daemon."""
        self.query("CREATE SCHEMA elsewhere")
        daemon = self.stores(
            self.url + "?options=-c%20search_path%3Delsewhere%20-c%20client_encoding%3DLATIN1"
            "&client_encoding=LATIN1&application_name=another-name&keepalives=0",
            "elsewhere.users",
        )
        self.assertEqual(daemon.call("get_user_count"), 1)
        self.assertEqual(
            self.query(
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
            ),
            "0",
        )
        self.assertGreater(
            len(
                self.server.backends(
                    f"application_name = 'another-name' AND datname = '{self.name}'"
                )
            ),
            0,
        )
