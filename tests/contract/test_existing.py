"""A database that an existing installation wrote: opened, upgraded, read, and still usable by the
old server. Would catch: a row lost in a rebuilt table, a time of the old form sorted wrongly, a
renamed column, a file changed with a wrong key."""
import json
import os
import shutil
import sqlite3
import subprocess

from lib import invariants, old_installation
from lib.case import Case
from lib.daemon import SHARED, Daemon, StartFailure, new_key, temporary_folder
from lib.databases import Sqlite
from lib.world import World, new_api_key, new_usage

BACKENDS = ("sqlite",)
FIXTURES = os.path.join(SHARED, "fixtures")
USER, KEY = old_installation.USER, old_installation.KEY


class Existing(Case):
    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder], check=False)
        self.path = os.path.join(self.folder, "pierre.db")
        made = old_installation.make(self.path)
        self.key, self.calls = made.key, made.calls

    def daemon(self, key=None, **arguments):
        return Daemon(
            "sqlite", Sqlite(self.folder), folder=self.folder, key=key or self.key, **arguments
        )

    def old(self):
        """The database as the old server opens it."""
        database = sqlite3.connect(self.path, timeout=10)
        database.execute("PRAGMA foreign_keys = ON")
        self.addCleanup(database.close)
        return database

    def content(self, only=None):
        """table -> rows of the old columns, in key order."""
        database = sqlite3.connect(self.path)
        database.text_factory = bytes
        found = {}
        for table, columns in (only or self.columns(database)).items():
            found[table] = sorted(
                database.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall(), key=repr
            )
        database.close()
        return found

    @staticmethod
    def columns(database):
        names = [
            name.decode()
            for name, in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        return {
            name: [row[1].decode() for row in database.execute(f"PRAGMA table_info({name})")]
            for name in names
        }

    def answers(self, connection):
        for method, params, result in self.calls:
            with self.subTest(method, params=params):
                self.same(old_installation.as_before(connection.call(method, params)), result)

    def test_answers(self):
        self.assertGreater(len(self.calls), 40)
        for _ in ("the start that upgrades it", "and the next"):
            with self.daemon() as daemon, daemon.connect() as connection:
                self.answers(connection)
                self.assertEqual(invariants.integrity(self.path), "ok")

    def test_answers_from_a_file_of_the_old_server(self):
        """A file that the old server itself wrote, if one exists beside the project."""
        published = os.path.join(FIXTURES, "existing-pierre")
        if not os.path.exists(f"{published}.db"):
            self.skipTest(f"the old server's own file is ABSENT ({FIXTURES}): not tested")
        shutil.copyfile(f"{published}.db", self.path)
        with open(f"{published}.key", encoding="ascii") as file:
            self.key = file.read().strip()
        with open(f"{published}.json", encoding="utf-8") as file:
            self.calls = [
                (call["method"], call["params"], call["result"])
                for call in json.load(file)["calls"]
            ]
        self.test_answers()

    def test_every_row_is_kept(self):
        database = sqlite3.connect(self.path)
        database.text_factory = bytes
        columns = self.columns(database)
        database.close()
        before = self.content(columns)
        with self.daemon() as daemon:
            daemon.call("daemon.ping")
        self.assertEqual(self.content(columns), before)
        database = self.old()
        indexes = {
            name
            for name, in database.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
        }
        self.assertLessEqual(
            {"idx_users_email", "idx_api_keys_prefix", "idx_a2a_usage_session_token"}, indexes
        )
        self.assertEqual(database.execute("PRAGMA foreign_key_check").fetchall(), [])

    def test_autoincrement_goes_on(self):
        """Ids of log rows are never reused, although the log's table may have been rebuilt."""
        database = self.old()
        database.execute("DELETE FROM api_key_usage WHERE id = (SELECT max(id) FROM api_key_usage)")
        database.commit()
        (last,) = database.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'api_key_usage'"
        ).fetchone()
        database.close()
        with self.daemon() as daemon:
            daemon.call(
                "record_api_key_usage", usage=new_usage(KEY, timestamp="2099-01-01T00:00:00Z")
            )
            (newest,) = daemon.call("get_request_logs", start_time="2099-01-01T00:00:00Z")
            self.assertEqual(newest["id"], str(last + 1))

    def test_trial_keys_work(self):
        with self.daemon() as daemon:
            daemon.call("create_api_key", api_key=new_api_key(USER, id="trial", tier="trial"))
            self.assertEqual(
                {one["tier"] for one in daemon.call("get_user_api_keys", user_id=USER)},
                {"trial", "starter", "professional", "enterprise"},
            )

    def test_old_server_reads_what_the_daemon_wrote(self):
        """With the old server's own columns: times that it can parse, 0/1, JSON arrays, sealed
        tokens with their nonce."""
        with self.daemon() as daemon, daemon.connect() as connection:
            world = World(connection)
            user = world.user(
                display_name="New", created_at="2025-06-19T15:44:49.123456Z", is_active=False
            )
            connection.call(
                "update_strava_token", [user, "access", "refresh", "2025-07-01T08:00:00.5Z", "read"]
            )
            connection.call(
                "upsert_user_profile",
                [
                    user,
                    {
                        "age": 30,
                        "weight_kg": 61.5,
                        "fitness_level": "advanced",
                        "primary_sports": ["run"],
                        "name": "N",
                    },
                ],
            )
            goal = world.goal(
                user,
                title="T",
                type="distance",
                target=10,
                current=2,
                description="d",
                sport_type="run",
                target_date="2025-12-31",
            )
            insight = world.insight(
                user,
                type="pace",
                title="T",
                description="D",
                confidence=0.5,
                severity="info",
                metadata={"a": 1},
            )
            key = world.api_key(user, created_at="2025-06-01T00:00:00Z")
            world.usage(key, status_code=404, ip_address="::1")
            client = world.client(key)
            session = world.session(client, user, ("read", "write"))
            task = world.task(client, session, {"n": [1]})
            world.a2a_usage(client, session_token=session, client_capabilities=["a"])
            connection.call("update_goal_progress", [goal, 7.5])
            connection.call("update_a2a_task_status", [task, "completed", {"ok": True}, None])
        database = self.old()
        row = database.execute(
            "SELECT email, is_active, created_at, strava_expires_at, strava_scope, "
            "length(strava_nonce) FROM users WHERE id = ?",
            (user,),
        ).fetchone()
        self.assertEqual(
            row[1:],
            (0, "2025-06-19T15:44:49.123456+00:00", "2025-07-01T08:00:00.500000+00:00", "read", 32),
        )
        self.assertEqual(
            database.execute(
                "SELECT age, weight_kg, fitness_level, primary_sports FROM user_profiles WHERE "
                "user_id = ?",
                (user,),
            ).fetchone(),
            (30, 61.5, "advanced", '["run"]'),
        )
        (extra,) = database.execute(
            "SELECT extra_data FROM user_profiles WHERE user_id = ?", (user,)
        ).fetchone()
        self.assertEqual(json.loads(extra)["name"], "N")
        self.assertEqual(
            database.execute(
                "SELECT title, description, goal_type, sport_type, target_value, target_date, "
                "current_value, status "
                "FROM goals WHERE id = ?",
                (goal,),
            ).fetchone(),
            ("T", "d", "distance", "run", 10.0, "2025-12-31", 7.5, "active"),
        )
        self.assertEqual(
            database.execute(
                "SELECT insight_type, title, description, confidence, severity FROM "
                "analytics_insights WHERE id = ?",
                (insight,),
            ).fetchone(),
            ("pace", "T", "D", 0.5, "info"),
        )
        self.assertEqual(
            database.execute(
                "SELECT is_active, created_at FROM api_keys WHERE id = ?", (key,)
            ).fetchone(),
            (1, "2025-06-01T00:00:00.000000+00:00"),
        )
        self.assertEqual(
            database.execute(
                "SELECT status_code, ip_address FROM api_key_usage WHERE api_key_id = ?", (key,)
            ).fetchone(),
            (404, "::1"),
        )
        self.assertEqual(
            database.execute(
                "SELECT capabilities FROM a2a_clients WHERE id = ?", (client,)
            ).fetchone(),
            ('["fitness-data-analysis","goals"]',),
        )
        self.assertEqual(
            database.execute(
                "SELECT granted_scopes, is_active FROM a2a_sessions WHERE session_token = ?",
                (session,),
            ).fetchone(),
            ('["read","write"]', 1),
        )
        self.assertEqual(
            database.execute(
                "SELECT status, json(input_data), json(result_data) FROM a2a_tasks WHERE id = ?",
                (task,),
            ).fetchone(),
            ("completed", '{"n":[1]}', '{"ok":true}'),
        )
        self.assertEqual(
            database.execute(
                "SELECT client_capabilities FROM a2a_usage WHERE client_id = ?", (client,)
            ).fetchone(),
            ('["a"]',),
        )

    def test_old_server_writes_into_the_upgraded_file(self):
        """Rows written with the old server's statements, with its times of both forms and its ids
        without hyphens. The daemon reads them."""
        with self.daemon() as daemon:
            daemon.call("daemon.ping")
        database = self.old()
        hexed = "0123456789abcdef0123456789abcdef"
        statements = [
            (
                "INSERT INTO users (id, email, display_name, password_hash, created_at, "
                "last_active, is_active) VALUES (?,?,?,?,?,?,?)",
                (
                    "11111111-1111-4111-8111-111111111111",
                    "old@example.com",
                    None,
                    "x",
                    "2025-06-10T08:00:00.123456789+00:00",
                    "2025-06-10T08:00:00+00:00",
                    1,
                ),
            ),
            (
                "INSERT INTO api_keys (user_id, name, key_prefix, key_hash, id) VALUES (?,?,?,?,?)",
                ("11111111-1111-4111-8111-111111111111", "Old", "pk_old", "h", hexed),
            ),
            (
                "INSERT INTO api_key_usage (api_key_id, tool_name, status_code) VALUES (?,?,?)",
                (hexed, "t", 200),
            ),
            (
                "INSERT INTO api_key_usage (api_key_id, timestamp, tool_name, status_code, "
                "ip_address) VALUES (?,?,?,?,?)",
                (hexed, "2025-06-10 08:00:00", "t", 200, "unknown"),
            ),
            (
                "INSERT INTO user_profiles (user_id, age, created_at, updated_at, extra_data) "
                "VALUES (?,?,?,?,?)",
                (
                    "11111111-1111-4111-8111-111111111111",
                    50,
                    "2025-06-10T08:00:00+00:00",
                    "2025-06-10T08:00:00+00:00",
                    '{"x":[1]}',
                ),
            ),
            (
                "INSERT INTO goals (id, user_id, title, goal_type, target_value, target_date, "
                "created_at, updated_at) VALUES (?,?,?,?,?,?,?,?)",
                (
                    "22222222-2222-4222-8222-222222222222",
                    "11111111-1111-4111-8111-111111111111",
                    "Old goal",
                    "distance",
                    5,
                    "2025-12-31",
                    "2025-06-10T08:00:00+00:00",
                    "2025-06-10T08:00:00+00:00",
                ),
            ),
            (
                "INSERT INTO analytics_insights (id, user_id, insight_type, title, description, "
                "confidence, severity, created_at) VALUES (?,?,?,?,?,?,?,?)",
                (
                    "33333333-3333-4333-8333-333333333333",
                    "11111111-1111-4111-8111-111111111111",
                    "pace",
                    "T",
                    "D",
                    0.5,
                    "info",
                    "2025-06-10T08:00:00+00:00",
                ),
            ),
            (
                "INSERT INTO a2a_clients (id, api_key_id, name) VALUES (?,?,?)",
                ("old client", hexed, "Old client"),
            ),
            (
                "INSERT INTO a2a_sessions (client_id, session_token, expires_at) VALUES "
                "(?,?,datetime('now', '+1 hour'))",
                ("old client", "old token"),
            ),
            (
                "INSERT INTO a2a_tasks (id, client_id, task_type, input_data) VALUES (?,?,?,?)",
                (hexed, "old client", "t", "[1]"),
            ),
            (
                "UPDATE users SET last_active = '2025-06-11T00:00:00+00:00', strava_scope = "
                "NULL WHERE id = ?",
                (USER,),
            ),
            ("UPDATE api_keys SET is_active = 0 WHERE id = ?", (KEY,)),
        ]
        for statement, values in statements:
            database.execute(statement, values)
        database.commit()
        database.close()
        self.assertEqual(invariants.integrity(self.path), "ok")
        with self.daemon() as daemon, daemon.connect() as connection:
            self.assertEqual(
                connection.call("get_user_by_email", email="old@example.com")["created_at"],
                "2025-06-10T08:00:00.123456Z",
            )
            self.assertEqual(
                connection.call("get_user", user_id=USER)["last_active"],
                "2025-06-11T00:00:00.000000Z",
            )
            old = "11111111-1111-4111-8111-111111111111"
            (key,) = connection.call("get_user_api_keys", user_id=old)
            self.assertEqual(
                (key["id"], key["tier"], key["rate_limit_requests"], key["is_active"]),
                (hexed, "starter", 10000, True),
            )
            logs = connection.call(
                "get_request_logs", api_key_id=hexed, start_time="2025-06-10T08:00:00Z"
            )
            self.assertEqual(
                [one["timestamp"] for one in logs][1:], ["2025-06-10T08:00:00.000000Z"]
            )
            self.assertEqual(connection.call("get_api_key_current_usage", api_key_id=hexed), 1)
            profile = connection.call("get_user_profile", user_id=old)
            self.assertEqual((profile["age"], profile["x"]), (50, [1]))
            (goal,) = connection.call("get_user_goals", user_id=old)
            self.same(
                [goal["title"], goal["target"], goal["target_date"]],
                ["Old goal", 5.0, "2025-12-31"],
            )
            (insight,) = connection.call("get_user_insights", user_id=old)
            self.same([insight["title"], insight["confidence"]], ["T", 0.5])
            client = connection.call("get_a2a_client", client_id="old client")
            self.assertEqual((client["is_active"], client["capabilities"]), (True, []))
            self.assertIsNotNone(connection.call("get_a2a_session", session_token="old token"))
            task = connection.call("get_a2a_task", task_id=hexed)
            self.assertEqual(
                (task["id"], task["input_data"]), ("01234567-89ab-cdef-0123-456789abcdef", [1])
            )
            self.assertIsNotNone(
                connection.call("get_a2a_task", task_id="01234567-89AB-CDEF-0123-456789ABCDEF")
            )
            connection.call("update_a2a_task_status", task_id=task["id"], status="running")
            self.assertEqual(connection.call("get_a2a_task", task_id=hexed)["status"], "running")

    def test_old_server_updates_a_row_of_the_daemon(self):
        """A goal's progress or a profile's column set by the old server is visible, although the
        daemon stores whole documents."""
        with self.daemon() as daemon:
            goal = daemon.call("create_goal", [USER, {"title": "T", "target": 10, "unit": "km"}])
        database = self.old()
        database.execute(
            "UPDATE goals SET current_value = 4.5, updated_at = '2099-01-01T00:00:00+00:00' "
            "WHERE id = ?",
            (goal,),
        )
        database.commit()
        database.close()
        with self.daemon() as daemon:
            found = next(
                one for one in daemon.call("get_user_goals", user_id=USER) if one["id"] == goal
            )
            self.same(
                [found["current_value"], found["current"], found["unit"], found["updated_at"]],
                [4.5, 4.5, "km", "2099-01-01T00:00:00.000000Z"],
            )

    def test_wrong_key(self):
        """Exit code 77, and not a byte of the file changes."""
        with open(self.path, "rb") as file:
            before = file.read()
        for key in (new_key(), new_key()):
            with self.assertRaises(StartFailure) as caught:
                self.daemon(key=key).start()
            self.assertEqual(caught.exception.code, 77, caught.exception.log)
            with open(self.path, "rb") as file:
                self.assertEqual(file.read(), before)
            self.assertEqual(
                sorted(name for name in os.listdir(self.folder) if name.startswith("pierre.db")),
                ["pierre.db"],
            )

    def test_no_migrate_refuses_it(self):
        with open(self.path, "rb") as file:
            before = file.read()
        with self.assertRaises(StartFailure) as caught:
            self.daemon(options=("--no-migrate",)).start()
        self.assertEqual(caught.exception.code, 78, caught.exception.log)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), before)

    def test_stopped_midway(self):
        """Killed at random moments of its first start: the next start completes it, and nothing is
        lost."""
        original = os.path.join(self.folder, "original.db")
        shutil.copyfile(self.path, original)
        for round_number in range(25):
            for suffix in ("", "-wal", "-shm", "-journal"):
                if os.path.exists(self.path + suffix):
                    os.unlink(self.path + suffix)
            shutil.copyfile(original, self.path)
            daemon = self.daemon().spawn()
            try:
                daemon.process.wait(0.002 + round_number * 0.002)
            except subprocess.TimeoutExpired:
                pass
            daemon.kill()
            self.assertEqual(invariants.integrity(self.path), "ok")
        with self.daemon() as daemon, daemon.connect() as connection:
            self.answers(connection)
