"""pierre-dbctl transfer: SQLite to PostgreSQL and back, compared by the answers of every read.
Would catch: a missing column, an altered time or number, a half-done target, ids that restart, a
document that loses the members without a column."""
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import uuid

from differential.test_differential import MAKES, Generator, Side
from lib import databases, invariants, old_installation
from lib.case import Case
from lib.daemon import CTL, SLOW, Daemon, new_key, temporary_folder
from lib.notify import Service, listener
from lib.retrying import Writers
from lib.rpc import RpcError
from lib.world import World, new_usage

BACKENDS = ("both",)
CALLS = 1500 if SLOW > 1 else 6000
START, END = "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z"


class File:
    """A SQLite database that outlives its daemon."""

    backend, reported = "sqlite", "sqlite"

    def __init__(self, path):
        self.path, self.url = path, f"sqlite:{path}"

    def drop(self):
        pass


def reads(made):
    """Returns the calls that read everything that the source's daemon has stored."""
    calls = [("get_user_count", []), ("get_system_stats", []), ("get_expired_api_keys", [])]
    for user in made["user"]:
        calls += [
            (method, [user])
            for method in (
                "get_user",
                "get_strava_token",
                "get_fitbit_token",
                "get_user_profile",
                "get_user_goals",
                "get_user_api_keys",
                "list_a2a_clients",
            )
        ]
        calls += [
            ("get_user_insights", {"user_id": user, "limit": 1000}),
            ("get_top_tools_analysis", [user, START, END]),
        ]
    calls += [("get_a2a_task", [task]) for task in made["task"]] + [
        ("get_a2a_session", [session]) for session in made["session"]
    ]
    calls.append(("get_request_logs", {"limit": 1000}))
    return calls


class Transfer(Case):
    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.key = new_key()

    def postgres(self):
        database = databases.Postgres(
            fresh=True
        )  # a transfer runs as the owner, who creates the tables
        self.addCleanup(database.drop)
        return database

    def command(self, source, target, *options, key=None, **variables):
        return [CTL, "transfer", *options], {
            "PATH": os.environ["PATH"],
            "ENCRYPTION_KEY": key or self.key,
            "FROM_DATABASE_URL": source,
            "TO_DATABASE_URL": target,
            "HOME": self.folder,
            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
            **variables,
        }

    def run_transfer(self, source, target, *options, **more):
        arguments, environment = self.command(source, target, *options, **more)
        return subprocess.run(
            arguments,
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300 * SLOW,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def good(self, source, target, **more):
        done = self.run_transfer(source, target, "--json", **more)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def refused(self, code, words, source, target, *options, **more):
        done = self.run_transfer(source, target, *options, **more)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertIn(words, done.stderr)
        self.assertNotIn(self.key, done.stderr)

    def daemon(self, database, **arguments):
        daemon = Daemon(
            database.backend, database, folder=temporary_folder(), key=self.key, **arguments
        )
        daemon.owns_folder = True
        return daemon

    def answers(self, database, calls):
        with self.daemon(database) as daemon, daemon.connect() as connection:
            found = []
            for method, params in calls:
                try:
                    found.append(connection.call(method, params))
                except RpcError as problem:
                    found.append(problem.kind)
            return found

    def filled(self, path, seed="transfer"):
        """Fills a source with all kinds of rows by random calls. Returns the answers that show all
        of it."""
        generator, side = Generator(seed), Side("sqlite")
        try:
            side.daemon.key = side.daemon.key
            self.key = side.daemon.key
            for _ in range(CALLS // 100):
                calls = [generator.call() for _ in range(100)]
                for (method, _), answer in zip(calls, side.run(calls)):
                    if method in MAKES and "result" in answer:
                        side.made[MAKES[method]].append(answer["result"])
                        generator.made[MAKES[method]] += 1
            side.connection.close()
            side.daemon.terminate()
            shutil.copyfile(side.daemon.database.path, path)
        finally:
            side.daemon.discard()
        return reads({**side.made, "user": generator.users})

    def same_everywhere(self, calls, expected, *others):
        for database in others:
            for call, one, other in zip(calls, expected, self.answers(database, calls)):
                with self.subTest(call[0], params=call[1], on=database.backend):
                    self.same(other, one)

    def test_there_and_back(self):
        first, second, postgres = (
            File(f"{self.folder}/first.db"),
            File(f"{self.folder}/second.db"),
            self.postgres(),
        )
        calls = self.filled(first.path)
        expected = self.answers(first, calls)
        there = self.good(first.url, postgres.url)
        back = self.good(postgres.url, second.url)
        self.assertEqual({name: table for name, table in there["tables"].items()}, back["tables"])
        for name in (
            "users",
            "user_profiles",
            "goals",
            "analytics_insights",
            "api_keys",
            "api_key_usage",
            "a2a_clients",
            "a2a_sessions",
            "a2a_tasks",
            "a2a_usage",
        ):
            self.assertGreater(there["tables"][name]["rows"], 5, name)
        self.assertGreater(there["tokens"], 5)
        self.assertEqual(invariants.integrity(second.path), "ok")
        self.same_everywhere(calls, expected, postgres, second)

    def test_ids_go_on_after_it(self):
        first, postgres, back = (
            File(f"{self.folder}/first.db"),
            self.postgres(),
            File(f"{self.folder}/back.db"),
        )
        with self.daemon(first) as daemon, daemon.connect() as connection:
            world = World(connection)
            user = world.user()
            key = world.api_key(user)
            for _ in range(5):
                world.usage(key)
            client = world.client(key)
            world.a2a_usage(client, session_token=world.session(client, user))
        self.good(first.url, postgres.url)
        self.good(postgres.url, back.url)
        for database in (postgres, back):
            with self.daemon(database) as daemon, daemon.connect() as connection:
                world = World(connection)
                world.usage(key)
                other = world.api_key(user)
                world.usage(other)
                world.client(other)
                world.a2a_usage(client)
                self.assertEqual(
                    [
                        log["id"]
                        for log in connection.call(
                            "get_request_logs", {"limit": 1000, "api_key_id": key}
                        )
                    ],
                    ["6", "5", "4", "3", "2", "1"],
                )

    def test_idempotency_keys(self):
        """A write that is repeated after the transfer gives its stored answer."""
        first, postgres, back = (
            File(f"{self.folder}/first.db"),
            self.postgres(),
            File(f"{self.folder}/back.db"),
        )
        with self.daemon(first) as daemon, daemon.connect() as connection:
            user = World(connection).user()
            write = ("create_goal", [user, {"title": "x"}])
            goal = connection.once("moved", *write)
            connection.once("quiet", "update_last_active", [user])
        there = self.good(first.url, postgres.url)
        self.assertEqual(there["tables"]["idempotency_keys"]["rows"], 2)
        self.good(postgres.url, back.url)
        for database in (postgres, back):
            with self.daemon(database) as daemon, daemon.connect() as connection:
                self.same(connection.once("moved", *write), goal)
                self.same(connection.once("quiet", "update_last_active", [user]), None)
                self.same(len(connection.call("get_user_goals", [user])), 1)

    def test_dropped_usage(self):
        """Statistics over whole hours count rows that retention has dropped, and still do so in the
        target, in each direction, also if a daemon has summed the days of the empty target."""
        files = [File(f"{self.folder}/{name}.db") for name in ("first", "second", "third")]
        postgres = [self.postgres(), self.postgres()]
        with self.daemon(files[0]) as daemon, daemon.connect() as one:
            world = World(one)
            user = world.user()
            key, unused = world.api_key(user), world.api_key(user)
            client = world.client(key)
            for number in range(40):
                day = ("01-31", "02-28", "03-31")[number % 3]
                usage = {
                    "timestamp": f"2025-{day}T2{number % 4}:1{number % 5}:00Z",
                    "tool_name": "ab"[number % 2],
                    "status_code": (200, 404, 301)[number % 3],
                    **({"response_time_ms": number} if number % 4 else {}),
                }
                world.usage(key, **usage)
                capabilities = ["x", "y", "x"][: number % 4]
                world.a2a_usage(client, **usage, client_capabilities=capabilities)
            world.usage(key)
            world.a2a_usage(client)
        period = ["2025-01-01T00:00:00Z", "2100-01-01T00:00:00Z"]
        calls = [
            ("get_api_key_usage_stats", [key, *period]),
            ("get_api_key_usage_stats", [key, "2025-01-31T22:00:00Z", "2025-02-28T21:00:00Z"]),
            ("get_a2a_usage_stats", [client, *period]),
            ("get_a2a_usage_stats", [client, "2025-01-31T22:00:00Z", "2025-02-28T21:00:00Z"]),
            ("get_user_api_key_usage", [user, *period]),
            ("get_user_usage_series", [user, *period, "hour"]),
            ("get_top_tools_analysis", [user, *period]),
            ("get_api_key_current_usage", [key]),
            ("get_api_key_usage_stats", [unused, *period]),
        ]
        logs = ("get_request_logs", {"api_key_id": key})
        with self.daemon(files[0]) as daemon:
            expected = [daemon.call(method, params) for method, params in calls]
        with self.daemon(files[0], options=("--usage-retention", "40d")) as daemon:
            self.within(20, lambda: len(daemon.call(logs[0], **logs[1])) == 1)
            self.same([daemon.call(method, params) for method, params in calls], expected)
        self.assertEqual(expected[0]["total_requests"], 41)
        for target in (files[1], postgres[1]):
            with self.daemon(target):
                self.within(20, lambda target=target: self.days_summed(target))
        chain = [files[0], *postgres, *files[1:]]
        for source, target in zip(chain, chain[1:]):
            done = self.good(source.url, target.url)
            for table in ("api_key_usage_hours", "a2a_usage_hours", "a2a_usage_capabilities"):
                self.assertGreater(done["tables"][table]["rows"], 3)
            *answers, left = self.answers(target, [*calls, logs])
            self.same(answers, expected)
            self.assertEqual(len(left), 1)

    @staticmethod
    def days_summed(database):
        summed = "SELECT count(*) FROM usage_rolled WHERE days_to > "
        if database.backend == "postgres":
            return database.query(f"{summed} now() - interval '50 hours'") == "2"
        with contextlib.closing(sqlite3.connect(database.path)) as reader:
            found = reader.execute(f"{summed} unixepoch('now', '-50 hours') / 3600")
            return found.fetchone()[0] == 2

    def test_existing_installation(self):
        first, second, postgres = (
            File(f"{self.folder}/first.db"),
            File(f"{self.folder}/second.db"),
            self.postgres(),
        )
        made = old_installation.make(first.path)
        self.key, calls = made.key, made.calls
        self.refused(65, "start pierre-dbd on it once", first.url, postgres.url)
        self.answers(first, [])
        self.good(first.url, postgres.url)
        self.good(postgres.url, second.url)
        reads = [call[:2] for call in calls]
        answers = self.answers(first, reads)
        for answer, call in zip(answers, calls):
            self.same(old_installation.as_before(answer), call[2])
        self.same_everywhere(reads, answers, postgres, second)

    def test_source_in_use(self):
        """One snapshot, beside a daemon that still writes."""
        first, postgres = File(f"{self.folder}/first.db"), self.postgres()
        with self.daemon(first) as daemon, daemon.connect() as connection:
            key = World(connection).api_key(World(connection).user())
            arguments, environment = self.command(first.url, postgres.url, "--json")
            with subprocess.Popen(
                arguments,
                env=environment,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as running:
                while running.poll() is None:
                    connection.call("record_api_key_usage", {"usage": new_usage(key)})
                out, errors = running.communicate()
            self.assertEqual((running.returncode, errors), (0, ""))
            self.assertEqual(json.loads(out)["tables"]["users"]["rows"], 1)
            self.refused(73, "the target is not empty", first.url, postgres.url)
            self.refused(75, "in use by a daemon", postgres.url, first.url)

    def test_without_a_lost_call(self):
        """The steps of docs/recover.md while clients write: each answered write is in the new
        database."""
        first, postgres, one = (
            File(f"{self.folder}/first.db"),
            self.postgres(),
            listener(f"{self.folder}/s"),
        )
        self.addCleanup(one.close)
        old, new = (
            Service(folder=self.folder, sockets=[one], database=database, key=self.key)
            for database in (first, postgres)
        )
        for service in (old, new):
            self.addCleanup(service.notify.close)
            self.addCleanup(service.kill)
        old.start()
        with Writers(f"{self.folder}/s") as clients:
            self.within(20, lambda: len(clients.answered) > 50)
            # The method answers at once. Calls in flight must end first, as `pierre-dbctl pause`
            # waits for.
            self.within(20, lambda: old.call("daemon.pause")["under_way"] == 0)
            before = len(clients.answered)
            moved = self.good(first.url, postgres.url)["tables"]["users"]["rows"]
            # No write was answered meanwhile, except for answers sent before the pause and counted
            # after it.
            self.assertLessEqual(len(clients.answered) - before, len(clients.threads))
            old.end()
            new.start()
            self.within(20, lambda: len(clients.answered) > moved + 50)
        self.assertEqual(clients.problems, [])
        with new.connect() as connection:
            self.assertEqual(connection.call("get_user_count"), len(clients.answered))
            for identifier, email in clients.answered.items():
                self.assertEqual(connection.call("get_user", user_id=identifier)["email"], email)
        new.end()
        with contextlib.closing(sqlite3.connect(first.path)) as reader:  # the source is unchanged
            self.assertEqual(reader.execute("SELECT count(*) FROM users").fetchone()[0], moved)
        print(
            f"  moved under load: {moved} writes before it, {len(clients.answered) - moved} "
            f"after it, none lost; {clients.again} sent again; "
            f"longest wait {clients.longest * 1000:.0f} ms",
            flush=True,
        )

    def test_refusals(self):
        first, postgres = File(f"{self.folder}/first.db"), self.postgres()
        with self.daemon(first) as daemon, daemon.connect() as connection:
            world = World(connection)
            user = world.user()
            connection.call(
                "update_strava_token",
                user_id=user,
                access_token="a",
                refresh_token="b",
                expires_at="2030-01-01T00:00:00Z",
                scope="c",
            )
            world.goal(user)
        self.refused(66, "no such file", f"sqlite:{self.folder}/nothing.db", postgres.url)
        self.assertFalse(os.path.exists(f"{self.folder}/nothing.db"))
        self.refused(77, "the encryption key does not open", first.url, postgres.url, key=new_key())
        self.refused(78, "no encryption key", first.url, postgres.url, ENCRYPTION_KEY="")
        self.refused(78, "accepted are", "mysql://x", postgres.url)
        self.refused(78, "names no file", "sqlite::memory:", postgres.url)
        self.refused(78, "mode=ro", first.url + "?mode=ro", postgres.url)
        self.refused(
            66, "no such file", f"sqlite:{self.folder}/nothing.db?mode=rwc", postgres.url
        )  # parsed as the daemon parses it
        self.refused(
            64,
            "a password among the arguments",
            first.url,
            "",
            "--to",
            "postgresql://a:secret@localhost/x",
        )
        self.refused(
            64,
            "a password among the arguments",
            first.url,
            "",
            "--to",
            "postgresql://a:secret@localhost/x?application_name=" + 2000 * "z",
        )
        self.refused(64, "name both databases", first.url, "", TO_DATABASE_URL="")
        self.refused(69, "cannot be reached", first.url, f"postgresql://nobody@%2Fnonexistent/x")

    def test_targets_of_others(self):
        """The content of the target is reported, and it is not changed: no tables are created, no
        old schema is migrated."""
        first = File(f"{self.folder}/first.db")
        self.many(first.path, 1)
        for name, statements in (
            ("another", ["CREATE TABLE recipes (x)"]),
            (
                "older",
                [
                    "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT UNIQUE NOT NULL)",
                    "INSERT INTO users VALUES ('a', 'b')",
                ],
            ),
        ):
            path = f"{self.folder}/{name}.db"
            for statement in statements:
                self.change(path, statement)
            with open(path, "rb") as file:
                before = file.read()
            self.refused(
                73,
                f"it has a table {statements[0].split()[2]} with {len(statements) - 1} row",
                first.url,
                f"sqlite:{path}",
            )
            with open(path, "rb") as file:
                self.assertEqual(file.read(), before, name)
        for owner, words in (
            ("pierre_owner", "with 0 rows"),
            (None, "that belongs to another role"),
        ):
            postgres = self.postgres()
            postgres.query(
                "CREATE TABLE recipes (x integer)"
                + (f"; ALTER TABLE recipes OWNER TO {owner}" if owner else "")
            )
            self.refused(73, f"it has a table recipes {words}", first.url, postgres.url)
            self.assertEqual(
                postgres.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "1"
            )

    def test_texts_that_are_not_canonical(self):
        """Old rows hold addresses in any form, and texts that are not addresses. They return
        unchanged."""
        first, back, postgres = (
            File(f"{self.folder}/first.db"),
            File(f"{self.folder}/back.db"),
            self.postgres(),
        )
        addresses = [
            "2001:DB8:0:0::1",
            "2001:db8::1",
            "::ffff:192.0.2.1",
            "192.0.2.1",
            "010.0.0.1",
            "10.0.0.0/8",
            "unknown",
            "",
        ]
        self.many(first.path, len(addresses))
        for place, address in enumerate(addresses, 1):
            self.change(
                first.path, f"UPDATE api_key_usage SET ip_address = '{address}' WHERE id = {place}"
            )
        self.good(first.url, postgres.url)
        self.assertEqual(
            postgres.query(
                "SELECT host(ip_address) FROM api_key_usage WHERE ip_address IS NOT NULL ORDER "
                "BY id"
            ).split(),
            addresses[1:4],
        )
        self.good(postgres.url, back.url)
        reader = sqlite3.connect(back.path)
        self.assertEqual(
            [row[0] for row in reader.execute("SELECT ip_address FROM api_key_usage ORDER BY id")],
            addresses,
        )
        reader.close()

    def test_bad_rows(self):
        """What PostgreSQL or the daemon cannot hold is reported, and nothing is transferred."""
        first, postgres = File(f"{self.folder}/first.db"), self.postgres()
        with self.daemon(first) as daemon, daemon.connect() as connection:
            world = World(connection)
            user = world.user()
            connection.call(
                "update_strava_token",
                user_id=user,
                access_token="a",
                refresh_token="b",
                expires_at="2030-01-01T00:00:00Z",
                scope="c",
            )
            goal = world.goal(user)
            key = world.api_key(user)
            for _ in range(3):
                world.usage(key)
            client = world.client(key)
            world.a2a_usage(client, session_token=world.session(client, user))
        reader = sqlite3.connect(first.path)
        token = reader.execute("SELECT session_token FROM a2a_usage").fetchone()[0]
        nobody = str(uuid.UUID(int=7))
        reader.close()
        for statement, undo, words in (
            (
                f"UPDATE goals SET user_id = '{nobody}'",
                f"UPDATE goals SET user_id = '{user}'",
                f"table goals, row {goal}: it refers to a missing row of users",
            ),
            (
                "UPDATE a2a_usage SET session_token = 'gone'",
                f"UPDATE a2a_usage SET session_token = '{token}'",
                "table a2a_usage, row 1: it refers to a missing row of a2a_sessions",
            ),
            # An older version accepted it, but it exceeds the limit of a PostgreSQL key.
            (
                f"UPDATE users SET email = '{'x' * 1023}@x' WHERE id = '{user}'",
                f"UPDATE users SET email = 'short@x' WHERE id = '{user}'",
                f"table users, row {user}: email has 1025 bytes, the limit of a key is 1024: "
                "shorten it first",
            ),
            # Only PostgreSQL rejects its length, and reports only its position among the rows.
            (
                "UPDATE api_key_usage SET id = 70, status_code = 99999999999 WHERE id = 3",
                "UPDATE api_key_usage SET status_code = 200 WHERE id = 70",
                "table api_key_usage, row 70: the target, table api_key_usage: refused "
                "(SQLSTATE 22003)",
            ),
            (
                f"UPDATE goals SET document = '[1,' WHERE id = '{goal}'",
                f"UPDATE goals SET document = '{{}}' WHERE id = '{goal}'",
                f"table goals, row {goal}: document is not JSON",
            ),
            (
                f"UPDATE users SET created_at = 'yesterday' WHERE id = '{user}'",
                f"UPDATE users SET created_at = '2025-01-01T00:00:00Z' WHERE id = '{user}'",
                f"table users, row {user}: created_at",
            ),
            (
                f"UPDATE users SET strava_access_token = 'AAAA' WHERE id = '{user}'",
                f"UPDATE users SET strava_access_token = NULL WHERE id = '{user}'",
                f"the strava token of user {user} does not open",
            ),
        ):
            self.change(first.path, statement)
            self.refused(65, words, first.url, postgres.url)
            self.change(first.path, undo)
            if postgres.query(
                "SELECT to_regclass('users')"
            ):  # errors in the source are reported before the target is touched
                self.assertEqual(postgres.query("SELECT count(*) FROM users"), "0")
        self.good(first.url, postgres.url)

    def change(self, path, statement):
        database = sqlite3.connect(path)
        database.execute(statement)
        database.commit()
        database.close()

    def many(self, path, count):
        with self.daemon(File(path)) as daemon, daemon.connect() as connection:
            key = World(connection).api_key(World(connection).user())
        self.change(
            path,
            f"""INSERT INTO api_key_usage (api_key_id, timestamp, tool_name, response_time_ms,
            status_code, request_size_bytes, response_size_bytes, ip_address, user_agent)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
            SELECT '{key}',
            strftime('%Y-%m-%dT%H:%M:%S', 1735689600 + i, 'unixepoch') || '.500000+00:00',
            'tool ' || i % 12, i % 900, 200, 512, 2048, '192.0.2.17', 'test/1.0' FROM n""",
        )

    def test_killed_and_begun_again(self):
        first = File(f"{self.folder}/first.db")
        self.many(first.path, 60_000)
        for target in (self.postgres(), File(f"{self.folder}/second.db")):
            killed = 0
            for delay in (0.1, 0.3, 0.6):
                arguments, environment = self.command(first.url, target.url)
                with subprocess.Popen(
                    arguments,
                    env=environment,
                    cwd=self.folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                ) as running:
                    time.sleep(delay * SLOW)
                    running.send_signal(signal.SIGKILL)
                killed += running.returncode == -signal.SIGKILL
            self.assertGreater(killed, 0)
            if target.backend == "postgres":
                self.within(10, lambda: self.postgres_is_quiet(target))
            # Either no row of it is present, and it restarts, or the last one was killed after its
            # commit, and all rows are present.
            if self.rows(target) == 0:
                self.good(first.url, target.url)
            self.assertEqual(self.rows(target), 60_000)

    @staticmethod
    def rows(database):
        try:
            if database.backend == "postgres":
                return int(database.query("SELECT count(*) FROM api_key_usage"))
            with contextlib.closing(sqlite3.connect(database.path)) as reader:
                return reader.execute("SELECT count(*) FROM api_key_usage").fetchone()[0]
        except (RuntimeError, sqlite3.OperationalError) as problem:
            if "api_key_usage" not in str(problem):
                raise
            return 0  # killed before it created its tables

    @staticmethod
    def postgres_is_quiet(database):
        return (
            database.query(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "pid <> pg_backend_pid()"
            )
            == "0"
        )

    def test_rate(self):
        """Measured without a limit; a million rows with --long."""
        count = 1_000_000 if os.environ.get("PIERRE_TEST_LONG") else 30_000
        first, second, postgres = (
            File(f"{self.folder}/first.db"),
            File(f"{self.folder}/second.db"),
            self.postgres(),
        )
        self.many(first.path, count)
        there, back = self.good(first.url, postgres.url), self.good(postgres.url, second.url)
        print(
            f"  {count} usage rows: to PostgreSQL {there['seconds']:.1f} s, back "
            f"{back['seconds']:.1f} s"
        )
