"""Values of unexpected types in an SQLite file, whose columns are untyped: handled as in the
contract, or `storage` with table and row. Would catch: a word answered as 0, infinity answered as
an invented number, an offset that a comparison ignores, a list that does not say which row is
wrong. SQLite only: PostgreSQL's columns have types."""
import datetime
import json
import sqlite3
import subprocess

from lib.case import Case
from lib.daemon import Daemon
from lib.world import World, stored_session

BACKENDS = ("sqlite",)
SPAN = {"start_date": "2020-01-01T00:00:00Z", "end_date": "2090-01-01T00:00:00Z"}


class Rows(Case):
    def setUp(self):
        self.daemon = Daemon().start()
        self.addCleanup(self.daemon.discard)
        self.connection = self.daemon.connect()
        self.addCleanup(self.connection.close)
        self.world = World(self.connection)

    def sql(self, text, *values):
        database = sqlite3.connect(self.daemon.database.path, timeout=10)
        with database:
            database.execute(text, values)
        database.close()

    def refused(self, table, row, method, **params):
        self.connection.send(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n"
        )
        error = self.connection.read()["error"]
        self.assertEqual(error["data"]["kind"], "storage", error)
        self.assertIn(table, error["message"])
        self.assertIn(row, error["message"])
        return error["message"]

    def verified(self):
        done = subprocess.run(
            [self.daemon.binary, "--verify", "--database-url", self.daemon.url],
            capture_output=True,
            text=True,
            env=self.daemon.variables(),
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr


class Values(Rows):
    def test_numbers(self):
        user = self.world.user()
        key = self.world.api_key(user)
        for value in ("many", b"\x01", 2.5, -1, 1 << 32):
            self.sql("UPDATE api_keys SET rate_limit_requests = ? WHERE id = ?", value, key)
            self.refused("api_keys", key, "get_user_api_keys", user_id=user)
            self.assertIn(f'row "{key}"', self.verified())

    def test_times_and_texts(self):
        user = self.world.user()
        key = self.world.api_key(user)
        for column, value in (
            ("created_at", "yesterday"),
            ("created_at", "2025-02-30T08:00:00Z"),
            ("created_at", 17),
            ("created_at", "2025-06-10T08:00:00Z\0"),
            ("name", b"\xff\xfe"),
            ("name", "a\0b"),
        ):
            before = self.connection.call("get_user_api_keys", user_id=user)[0]
            self.sql(f"UPDATE api_keys SET {column} = ? WHERE id = ?", value, key)
            self.refused("api_keys", key, "get_user_api_keys", user_id=user)
            self.assertIn(f'row "{key}"', self.verified())
            self.sql(f"UPDATE api_keys SET {column} = ? WHERE id = ?", before[column], key)

    def test_one_bad_row_of_many_is_named(self):
        user = self.world.user()
        keys = [self.world.api_key(user) for _ in range(5)]
        self.sql("UPDATE api_keys SET rate_limit_window = 'long' WHERE id = ?", keys[2])
        self.assertNotIn(
            keys[1], self.refused("api_keys", keys[2], "get_user_api_keys", user_id=user)
        )

    def test_booleans_in_words(self):
        user = self.world.user()
        for value, shown in (
            ("true", True),
            ("false", False),
            ("TRUE", True),
            (1, True),
            (0, False),
        ):
            self.sql("UPDATE users SET is_active = ? WHERE id = ?", value, user)
            self.assertIs(self.connection.call("get_user", user_id=user)["is_active"], shown)
        for value in ("yes", 2, 0.5):
            self.sql("UPDATE users SET is_active = ? WHERE id = ?", value, user)
            self.refused("users", user, "get_user", user_id=user)

    def test_infinity_and_words_in_a_profile(self):
        user = self.world.user()
        self.connection.call("upsert_user_profile", user_id=user, profile_data={"weight_kg": 70.5})
        for value in (float("inf"), float("-inf"), "heavy", b"\x00"):
            self.sql(
                "UPDATE user_profiles SET weight_kg = ?, document = NULL WHERE user_id = ?",
                value,
                user,
            )
            self.refused("user_profiles", user, "get_user_profile", user_id=user)
            self.assertIn(f'row "{user}"', self.verified())

    def test_documents_and_lists(self):
        user = self.world.user()
        goal = self.connection.call("create_goal", user_id=user, goal_data={"title": "t"})
        for value in ("{", "[1]", "7"):
            self.sql("UPDATE goals SET document = ? WHERE id = ?", value, goal)
            self.refused("goals", goal, "get_user_goals", user_id=user)
            self.assertIn(f'row "{goal}"', self.verified())

    def test_numbers_that_are_counted(self):
        user = self.world.user()
        key = self.world.api_key(user)
        self.world.usage(key)
        self.sql("UPDATE api_key_usage SET status_code = 'fine'")
        self.refused("api_key_usage", "", "get_api_key_usage_stats", api_key_id=key, **SPAN)
        self.refused(
            "api_key_usage",
            "",
            "get_top_tools_analysis",
            user_id=user,
            start_time=SPAN["start_date"],
            end_time=SPAN["end_date"],
        )

    def test_the_row_that_cannot_be_counted_is_named(self):
        user = self.world.user()
        key = self.world.api_key(user)
        for _ in range(3):
            self.world.usage(key)
        self.sql("UPDATE api_key_usage SET response_time_ms = 'long' WHERE id = 2")
        for method, params in (
            ("get_api_key_usage_stats", {"api_key_id": key, **SPAN}),
            (
                "get_top_tools_analysis",
                {
                    "user_id": user,
                    "start_time": SPAN["start_date"],
                    "end_time": SPAN["end_date"],
                },
            ),
        ):
            message = self.refused("api_key_usage", 'row "2"', method, **params)
            self.assertIn("response_time_ms", message)

    def test_ids_that_are_none(self):
        for value in ("", "7", "me", "g" * 32, "0" * 31, "x" * 300, "é" * 99, b"\x01\x02"):
            user = self.world.user()
            goal = self.connection.call("create_goal", user_id=user, goal_data={"title": "t"})
            self.sql("UPDATE goals SET id = ? WHERE id = ?", value, goal)
            named = str(value)[:20] if value and isinstance(value, (str, int)) else ""
            message = self.refused("goals", named, "get_user_goals", user_id=user)
            self.assertIn("the stored id ", message)
            self.assertIn("of goals: id is invalid", self.verified())
        self.sql("UPDATE users SET id = 'me' WHERE id = ?", self.world.user())
        self.assertIn('row "me"', self.verified())
        user = self.world.user()
        for value in ("A" * 32, "ABCDEFAB-CDEF-ABCD-EFAB-CDEFABCDEFAB"):  # unusual, but still ids
            goal = self.connection.call("create_goal", user_id=user, goal_data={"title": "t"})
            self.sql("UPDATE goals SET id = ? WHERE id = ?", value, goal)
        self.assertEqual(len(self.connection.call("get_user_goals", user_id=user)), 2)

    def test_null_where_a_value_belongs(self):
        """Columns that the old server created without NOT NULL, and a primary key, which may be
        NULL in SQLite."""
        user = self.world.user()
        goal = self.connection.call("create_goal", user_id=user, goal_data={"title": "t"})
        for column in ("current_value", "id"):
            self.sql(f"UPDATE goals SET {column} = NULL")
            message = self.refused(
                "goals", goal if column != "id" else user, "get_user_goals", user_id=user
            )
            self.assertIn(f"the stored {column} ", message)
            self.assertIn(f"of goals: {column} is invalid", self.verified())

    def test_columns_of_an_old_profile(self):
        user = self.world.user()
        self.connection.call("upsert_user_profile", user_id=user, profile_data={"gender": "f"})
        wrong = {
            "age": ("forty", 2.5, b"\x01", float("inf")),
            "training_history_months": ("x", 0.5),
            "preferred_duration_minutes": ("x", b""),
            "hours_per_week": ("many", b"\x01", float("inf")),
            "gender": (b"\x01",),
            "preferred_units": (b"\x01",),
        }
        for column, values in wrong.items():
            for value in values:
                self.sql(f"UPDATE user_profiles SET document = NULL, age = 40, {column} = ?", value)
                message = self.refused("user_profiles", user, "get_user_profile", user_id=user)
                self.assertIn(f"the stored {column} ", message)
                self.assertIn(f"of user_profiles: {column} is invalid", self.verified())
            self.sql(f"UPDATE user_profiles SET {column} = NULL")
        self.sql("UPDATE user_profiles SET age = 41, fitness_level = 'beginner'")
        self.assertEqual(self.connection.call("get_user_profile", user_id=user)["age"], 41)

    def test_columns_of_an_old_goal_or_insight(self):
        user = self.world.user()
        goal = self.connection.call("create_goal", user_id=user, goal_data={"title": "t"})
        insight = self.connection.call(
            "store_insight", user_id=user, insight_data={"insight_type": "x"}
        )
        for table, row, method, column in (
            ("goals", goal, "get_user_goals", "description"),
            ("analytics_insights", insight, "get_user_insights", "activity_id"),
            ("analytics_insights", insight, "get_user_insights", "confidence"),
        ):
            self.sql(f"UPDATE {table} SET document = NULL, {column} = ?", b"\x01")
            limit = {"limit": 5} if method == "get_user_insights" else {}
            message = self.refused(table, row, method, user_id=user, **limit)
            self.assertIn(f"the stored {column} ", message)
            self.sql(f"UPDATE {table} SET {column} = '1'")


class Offsets(Rows):
    def at(self, hours, form):
        """Returns the time `hours` from now, written with an offset."""
        zone = datetime.timezone(datetime.timedelta(minutes=form))
        return (datetime.datetime.now(zone) + datetime.timedelta(hours=hours)).isoformat(
            timespec="microseconds"
        )

    def test_session(self):
        key = self.world.api_key(self.world.user())
        client = self.connection.call(
            "create_a2a_client",
            api_key_id=key,
            client={
                "name": f"c {key}",
                "description": "",
                "id": key,
                "public_key": "",
                "capabilities": [],
                "redirect_uris": [],
            },
        )
        token = self.connection.call(
            "create_a2a_session",
            client_id=client,
            user_id=None,
            granted_scopes=[],
            expires_in_hours=5,
        )
        for offset in (-720, -330, 120, 840):
            self.sql(
                "UPDATE a2a_sessions SET expires_at = ? WHERE session_token = ?",
                self.at(-1, offset),
                stored_session(token),
            )
            self.assertIsNone(self.connection.call("get_a2a_session", session_token=token), offset)
            self.sql(
                "UPDATE a2a_sessions SET expires_at = ? WHERE session_token = ?",
                self.at(1, offset),
                stored_session(token),
            )
            self.assertIsNotNone(
                self.connection.call("get_a2a_session", session_token=token), offset
            )

    def test_expired_keys(self):
        user = self.world.user()
        for offset in (-720, -330, 120, 840):
            late, good = self.world.api_key(user), self.world.api_key(user)
            self.sql("UPDATE api_keys SET expires_at = ? WHERE id = ?", self.at(-1, offset), late)
            self.sql("UPDATE api_keys SET expires_at = ? WHERE id = ?", self.at(1, offset), good)
            self.assertEqual(
                [found["id"] for found in self.connection.call("get_expired_api_keys")], [late]
            )
            self.assertEqual(self.connection.call("cleanup_expired_api_keys"), 1)

    def test_order(self):
        user = self.world.user()
        keys = [self.world.api_key(user) for _ in range(3)]
        for key, text in zip(
            keys,
            ("2025-06-10T08:00:00+02:00", "2025-06-10 07:00:00", "2025-06-10T00:30:00.5-05:30"),
        ):
            self.sql("UPDATE api_keys SET created_at = ? WHERE id = ?", text, key)
        self.assertEqual(
            [found["id"] for found in self.connection.call("get_user_api_keys", user_id=user)],
            [keys[1], keys[2], keys[0]],
        )
