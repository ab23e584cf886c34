"""Behind a PgBouncer in transaction mode, which assigns any free server connection to each
transaction. Would catch: a statement that is used where it was not prepared (26000) or prepared
twice (42P05), a dependence on session state, calls that are lost or stored twice when the pooler
pauses, ends or loses its server, a pool that stays small afterwards."""
import os
import re
import signal
import subprocess
import sys
import threading
import time

from lib import databases, invariants
from lib.daemon import BUILD, SLOW, StartFailure
from lib.load import Load
from lib.pgbouncer import PgBouncer
from lib.postgres_case import ServerCase, recovered
from lib.postgres_server import binary
from lib.proxy import Proxy
from lib.rpc import RpcError
from lib.world import Samples, World, new_usage

HERE = os.path.dirname(os.path.abspath(__file__))
BACKENDS = ("postgres",)
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))
FILES = ("test_api_keys", "test_tokens", "test_usage")  # all of them with --long
SERVERS = 2


class BouncerCase(ServerCase):
    settings = {"log_error_verbosity": "verbose", "log_min_error_statement": "panic"}

    def setUp(self):
        super().setUp()
        self.bouncer = PgBouncer(
            self.server,
            {"default_pool_size": SERVERS, "server_login_retry": 1, "query_wait_timeout": 20},
        )
        self.addCleanup(self.bouncer.stop)
        self.bouncer.start()
        self.log_begins = len(self.server_log())

    def behind(self, *options):
        return self.daemon(
            "--pool",
            "16",
            "--pool-min",
            "16",
            "--call-timeout",
            "10s",
            *options,
            url=self.bouncer.database_url(self.name),
        )

    def no_lost_statements(self):
        """Checks and returns the server's log since the test began."""
        log = self.server_log()[self.log_begins :]
        self.assertEqual(re.findall(r"ERROR:  (26000|42P05).*", log), [])
        return log


class Works(BouncerCase):
    def test_contract(self):
        """The contract tests, as they run on PostgreSQL itself."""
        folder = os.path.join(HERE, "..", "contract")
        files = (
            sorted(
                name[:-3]
                for name in os.listdir(folder)
                if name.startswith("test_") and name.endswith(".py")
            )
            if LONG
            else FILES
        )
        environment = {
            **os.environ,
            "PIERRE_TEST_BACKEND": "postgres",
            "PIERRE_TEST_POSTGRES": self.bouncer.database_url("pierre"),
            "PIERRE_TEST_TEMPLATE": databases.make_template(BUILD, self.server.url),
        }
        environment.pop("PIERRE_TEST_REPORT", None)
        passed = 0
        for name in files:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", os.path.join(folder, f"{name}.py")],
                env=environment,
                capture_output=True,
                text=True,
                timeout=600 * SLOW,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
            passed += int(re.search(r"(\d+) passed", done.stdout).group(1))
        self.assertGreater(passed, 30)
        self.no_lost_statements()
        print(f"  {passed} tests of the contract pass through PgBouncer", flush=True)

    def test_every_method(self):
        daemon = self.behind()
        with daemon.connect() as connection:
            samples = Samples(connection)
            for round_ in range(3):
                for method, params in samples.params().items():
                    if not method.startswith("daemon.") and method != "rotate_key":
                        self.assertIn(
                            "result",
                            connection.answer(connection.request(method, params)),
                            (round_, method),
                        )
        self.no_lost_statements()

    def test_many_connections_few_servers(self):
        daemon = self.behind()
        self.logged(daemon, "a pooler is in front of the database")
        self.within(10, lambda: self.connections(daemon) == 16)
        before = invariants.Snapshot(daemon)
        with Load(daemon, writers=24, readers=16) as load:
            load.progress(2000 if SLOW == 1 else 300, 60)
        self.assertEqual([call.message for call in load.failures()], [])
        load.verify(self.query)
        invariants.check(daemon, before)
        self.assertLessEqual(len(self.backends()), SERVERS)
        self.no_lost_statements()

    def test_pipelined(self):
        """Failing calls among successful ones, from several clients at once."""
        daemon = self.behind()
        with daemon.connect() as connection:
            world = World(connection)
            user = world.user()
            key = world.api_key(user)
        problems = []

        def run(number):
            try:
                calls = []
                for i in range(100):
                    good = i % 10 != 7
                    calls.append(
                        (
                            "record_api_key_usage",
                            {
                                "usage": new_usage(
                                    key if good else "nobody", tool_name=f"p{number}-{i}"
                                )
                            },
                        )
                    )
                    calls.append(("get_user", {"user_id": user}))
                with daemon.connect(timeout=60) as connection:
                    answers = connection.many(calls)
                for i in range(100):
                    assert (
                        answers[2 * i].get("error", {}).get("data", {}).get("kind") == "not_found"
                    ) == (i % 10 == 7), answers[2 * i]
                    assert answers[2 * i + 1]["result"]["id"] == user
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        self.assertEqual(
            self.query("SELECT count(*), count(DISTINCT tool_name) FROM api_key_usage"), "1080|1080"
        )
        self.no_lost_statements()

    def test_direct_connections_prepare(self):
        daemon = self.daemon()
        daemon.call("get_user_count")
        self.assertNotIn("a pooler is in front", daemon.log())

    def test_asked_to_do_without(self):
        daemon = self.behind("--no-prepared-statements")
        self.assertNotIn("a pooler is in front", daemon.log())
        self.assertEqual(daemon.call("get_user_count"), 0)

    def test_moved_behind_it(self):
        """The daemon starts on the server itself; its next connections reach a pooler. Prepared
        statements are lost or exist already one by one, and no caller notices."""
        with Proxy(self.server) as proxy:
            daemon = self.daemon("--pool", "16", "--pool-min", "16", url=proxy.url(self.name))
            with Load(daemon, writers=8, readers=8) as load:
                load.progress(100)
                proxy.target = ("127.0.0.1", self.bouncer.port)
                self.server.psql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                    f"'{self.name}'",
                    "postgres",
                )
                time.sleep(0.2)
                load.progress(500)
            self.assertEqual([call.message for call in load.failures(write=False)], [])
            for call in load.failures(write=True):
                self.assertEqual(
                    (call.kind, call.outcome), ("unavailable", "unknown"), call.message
                )
            load.verify(self.query)


class Sessions(BouncerCase):
    """Other clients leave settings behind in the pooler's server connections, as pg_dump does."""

    def spoil(self, statement):
        """Executes a statement on every server connection of the pool."""
        sessions = [
            subprocess.Popen(
                [
                    binary("psql"),
                    "-X",
                    "-q",
                    "-d",
                    self.bouncer.database_url(self.name),
                    "-c",
                    f"BEGIN; SELECT pg_sleep(0.3); {statement}; COMMIT",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for _ in range(SERVERS)
        ]
        for session in sessions:
            self.assertEqual(session.wait(60), 0, session.stderr.read())
            session.stderr.close()

    def test_settings_left_behind(self):
        daemon = self.behind()
        with daemon.connect() as one:
            world = World(one)
            user = world.user()
            one.call(
                "update_strava_token",
                {
                    "user_id": user,
                    "access_token": "a",
                    "refresh_token": "r",
                    "expires_at": "2030-01-01T00:00:00Z",
                    "scope": "s",
                },
            )
            for statement in (
                "SELECT set_config('search_path', '', false)",
                "SET search_path = pg_catalog",
                "SET statement_timeout = '1ms'",
                "SET client_min_messages = error",
                "SET row_security = off",
                "SET jit = on",
                "SET DateStyle = 'German'",
                "SET TimeZone = 'Asia/Kathmandu'",
                "SET extra_float_digits = 0",
                "SET standard_conforming_strings = off",
                "SET bytea_output = escape",
                "SET ROLE pg_monitor",
            ):
                with self.subTest(statement):
                    self.bouncer.admin("RECONNECT")
                    self.spoil(statement)
                    for _ in range(2 * SERVERS):
                        one.call("update_last_active", user_id=user)
                        self.assertEqual(one.call("get_user", user_id=user)["id"], user)
                    self.assertEqual(
                        one.call("get_strava_token", user_id=user)["expires_at"],
                        "2030-01-01T00:00:00.000000Z",
                    )
                    self.assertEqual(one.call("daemon.health")["status"], "ok")
                    self.assertEqual(one.call("rotate_key")["state"], "finished")
                    self.assertEqual(one.call("migrate")["applied"], [])
        self.assertEqual(daemon.terminate(), 0)
        self.bouncer.admin("RECONNECT")
        self.spoil("SELECT set_config('search_path', '', false)")
        daemon.start()
        self.assertEqual(daemon.call("get_user_count"), 1)

    def test_nothing_is_compiled(self):
        """The planner compiles what it takes for expensive, for longer than the call takes."""
        behind = self.behind()
        direct = self.daemon(key=behind.key)
        self.query("CREATE TABLE compiles AS SELECT ''::text AS jit WHERE false")
        self.query(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO public.compiles VALUES (current_setting('jit')); RETURN NEW; END $$; "
            "CREATE TRIGGER note AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION note()"
        )
        self.bouncer.admin("RECONNECT")
        self.spoil("SET jit = on")
        for daemon in (behind, direct):
            with daemon.connect() as one:
                World(one).user()
        self.assertEqual(self.query("SELECT DISTINCT jit FROM compiles"), "off")
        self.assertEqual(self.query("SELECT count(*) FROM compiles"), "2")

    def test_first_start_in_a_spoilt_session(self):
        self.spoil("SELECT set_config('search_path', '', false)")
        self.assertEqual(self.behind().call("get_user_count"), 0)

    def test_without_prepared_statements(self):
        """The daemon does not detect the pooler; a lost session state reveals it."""
        daemon = self.behind("--no-prepared-statements")
        self.spoil("SELECT set_config('search_path', '', false)")
        for _ in range(2 * SERVERS):
            self.assertEqual(daemon.call("get_user_count"), 0)

    def test_health_asks_a_table(self):
        """Health reports whether calls would be answered, not whether the server answers."""
        daemon = self.behind()
        self.query("ALTER TABLE pierre_meta RENAME TO away")
        self.within(10, lambda: daemon.call("daemon.health")["status"] != "ok")
        self.query("ALTER TABLE away RENAME TO pierre_meta")
        self.within(10, lambda: daemon.call("daemon.health")["status"] == "ok")

    def test_statement_mode(self):
        self.bouncer.write(pool_mode="statement")
        self.bouncer.admin("RELOAD")
        self.bouncer.admin("RECONNECT")
        with self.assertRaises(StartFailure) as refused:
            self.behind()
        self.assertEqual(refused.exception.code, 78, refused.exception.log)
        self.assertIn("set pool_mode to transaction or session", refused.exception.log)
        self.assertEqual(
            self.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0"
        )


class Faults(BouncerCase):
    def under_load(self, name, fault, writes_may_fail=True):
        daemon = self.behind()
        self.within(10, lambda: self.connections(daemon) == 16)
        before = invariants.Snapshot(daemon)
        with Load(daemon, writers=6, readers=4) as load:
            load.progress()
            fault(daemon, load)
            began = time.monotonic()
            first = load.first_success(began)
            self.within(10, lambda: self.connections(daemon) == 16)
            whole = time.monotonic() - began
            load.progress()
        self.assertEqual(
            [call.message for call in load.failures(write=False)],
            [],
            "a read was not tried on another connection",
        )
        for call in load.failures(write=True):
            self.assertTrue(writes_may_fail, call.message)
            self.assertIn(call.kind, ("unavailable", "timeout"))
            self.assertEqual(call.outcome, "unknown", call.message)
        numbers = load.verify(self.query)
        invariants.check(daemon, before)
        self.no_lost_statements()
        self.assertLess(first, 5 * SLOW)
        recovered(name, first, f"pool whole {whole:.2f} s, writes {numbers}")

    def test_paused(self):
        """Calls wait and none fails."""

        def fault(_, load):
            self.bouncer.admin("PAUSE")
            time.sleep(0.3 * SLOW)  # answers sent before are still being read
            done = len(load.calls)
            time.sleep(1.0)
            self.assertEqual(len(load.calls), done, "PAUSE held nothing")
            self.bouncer.admin("RESUME")

        self.under_load("PAUSE and RESUME of PgBouncer", fault, writes_may_fail=False)

    def test_killed_database(self):
        def fault(*_):
            self.bouncer.admin(f"KILL {self.name}")
            time.sleep(0.3)
            self.bouncer.admin(f"RESUME {self.name}")

        self.under_load("KILL and RESUME of PgBouncer", fault)

    def test_restarted(self):
        self.under_load("a restart of PgBouncer", lambda *_: self.bouncer.restart(signal.SIGTERM))

    def test_killed(self):
        self.under_load("kill -9 of PgBouncer", lambda *_: self.bouncer.restart(signal.SIGKILL))

    def test_reconnect(self):
        """Its server connections are replaced one by one."""
        self.under_load(
            "RECONNECT of PgBouncer",
            lambda *_: self.bouncer.admin("RECONNECT"),
            writes_may_fail=False,
        )

    def test_server_restarted(self):
        self.under_load(
            "a restart of PostgreSQL behind PgBouncer", lambda *_: self.server.restart("immediate")
        )

    def test_server_away(self):
        """The cause that PgBouncer reports is in errors and health. Service resumes as soon as the
        server is back."""
        daemon = self.behind("--acquire-timeout", "1s", "--call-timeout", "3s")
        self.server.shut("fast")
        try:
            with daemon.connect() as connection:
                connection.error("get_user_count")
                error = connection.error("get_user_count")
                self.assertIn(error.kind, ("unavailable", "timeout"))
                began = time.monotonic()
                health = connection.call("daemon.health")
                self.assertLess(time.monotonic() - began, 5 * SLOW)
                self.assertNotEqual(health["status"], "ok", health)
        finally:
            self.server.launch()
        began = time.monotonic()
        self.within(10, lambda: self.serves(daemon), 0.1)
        recovered("an outage of PostgreSQL behind PgBouncer", time.monotonic() - began)

    @staticmethod
    def serves(daemon):
        try:
            return daemon.call("get_user_count") == 0
        except RpcError:
            return False

    def test_locked(self):
        """A call that times out is cancelled through the pooler, also one that still waits for a
        server connection there."""
        daemon = self.behind("--call-timeout", "1s")
        with daemon.connect() as connection:
            user = World(connection).user()
        lock = subprocess.Popen(
            [
                binary("psql"),
                "-XAtq",
                "-d",
                self.server.database_url(self.name),
                "-c",
                "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(30)",
            ]
        )
        try:
            self.within(
                5,
                lambda: self.query(
                    "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted "
                    "AND relation = 'users'::regclass"
                )
                == "1",
            )
            clients = [daemon.connect() for _ in range(8)]
            began = time.monotonic()
            numbers = [client.request("update_last_active", user_id=user) for client in clients]
            for client, number in zip(clients, numbers):
                error = client.answer(number)["error"]
                self.assertEqual(error["data"]["kind"], "timeout", error)
                client.close()
            self.assertLess(time.monotonic() - began, 5 * SLOW)
        finally:
            lock.terminate()
            lock.wait()
            self.server.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE "
                "'%pg_sleep%' "
                "AND pid <> pg_backend_pid()",
                "postgres",
            )
        self.within(10, lambda: daemon.call("get_user", user_id=user)["id"] == user)
        self.no_lost_statements()
