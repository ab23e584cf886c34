"""No statement reads a large table from end to end without need: the plans of both databases, on
filled tables.

The statements are those that the daemon prepares; bench-statements prints them from the generated
catalog."""
import json
import os
import re
import sqlite3
import subprocess
import tempfile

import seed
from lib import case, daemon as daemons, databases
from lib.postgres_server import binary

SANITIZERS = False

# Tables that grow without limit. A plan may read one from end to end only if it is listed here,
# with the reason.
LARGE = (
    "users",
    "user_profiles",
    "goals",
    "goal_milestones",
    "analytics_insights",
    "api_keys",
    "api_key_usage",
    "a2a_clients",
    "a2a_sessions",
    "a2a_tasks",
    "a2a_usage",
)
ALLOWED = {
    # The method counts every row; both engines read their smallest index for it.
    ("get_user_count", "users"),
    ("get_system_stats", "users"),
    ("get_system_stats", "api_keys"),
    # It changes the rows that it has locked in order; a planner without statistics expects a third
    # of the table.
    ("cleanup_expired_api_keys", "api_keys"),
}
# Nearly every key is active: an index on that alone is as long as the table. It serves the methods
# that concern all active keys.
ACTIVE = ("get_system_stats", "cleanup_expired_api_keys", "get_expired_api_keys")
# Methods that return the newest few of many rows: sorting the rows of the window costs as much as
# reading all of it. The numbers count bounded sorts: the newest rows of each of a user's keys.
UNSORTED = {
    "get_request_logs": 1,
    "get_user_goals": 0,
    "get_user_insights": 0,
    "get_user_api_keys": 0,
}

COUNTS = {
    "users": 20_000,
    "api_keys": 2_000,
    "usage": 200_000,
    "a2a_clients": 500,
    "a2a_usage": 100_000,
}
START, END = "2025-01-01T10:00:00.000000+00:00", "2025-01-01T11:00:00.000000+00:00"
KNOWN = {
    "user_id": seed.user_id(17),
    "api_key_id": seed.api_key_id(17),
    "client_id": "client-17",
    "email": "user17@example.com",
    "id": seed.user_id(900_000),
    "limit": "100",
    "days": "30",
    "status": "running",
    "status_filter": "all",
    "tool_filter": "all",
    "tier": "starter",
    "insight_type": None,
    "start_date": START,
    "end_date": END,
    "start_time": START,
    "end_time": END,
}
# Statements that these tests must refuse: no index contains the column.
PLANTED = {
    "method": "planted",
    "sqlite": "SELECT id FROM users WHERE display_name = ?1",
    "postgres": "SELECT id FROM users WHERE display_name = $1::text",
    "sqlite_slots": [["display_name", "text"]],
    "postgres_slots": [["display_name", "text"]],
}
SAMPLES = {
    "array": "{}",
    "bool": "true",
    "integer": "1",
    "real": "1.0",
    "text": "text",
    "uuid": seed.user_id(17),
    "timestamp": START,
    "ip": "192.0.2.1",
    "strings": "[]",
    "document": "{}",
}


def statements():
    program = os.path.join(daemons.BUILD, "tests", "bench", "bench-statements")
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return [json.loads(one) for one in printed.splitlines()]


def sample(name, kind):
    return KNOWN[name] if name in KNOWN and kind != "array" else SAMPLES[kind]


def variants(statement, backend):
    """Yields the parameters of a statement: all of them, and with the filters of a listing
    omitted."""
    slots = statement[f"{backend}_slots"]
    yield "all", [sample(*slot) for slot in slots]
    filters = {name for name, _ in slots} & {
        "api_key_id",
        "start_time",
        "end_time",
        "user_id",
        "after",
    }
    if statement["method"] == "get_request_logs":
        for kept in (
            (),
            ("api_key_id",),
            ("start_time", "end_time"),
            ("api_key_id", "start_time", "end_time"),
            ("user_id",),
            ("after",),
        ):
            yield f"only {' and '.join(kept) or 'the limit'}", [
                None if name in filters and name not in kept else sample(name, kind)
                for name, kind in slots
            ]
    elif "after" in filters:
        yield "without after", [
            None if name == "after" else sample(name, kind) for name, kind in slots
        ]


class SqlitePlans(case.Case):
    """SQLite's EXPLAIN QUERY PLAN, without and with ANALYZE's statistics: an installation may have
    either."""

    @classmethod
    def setUpClass(cls):
        cls.server = daemons.Daemon(backend="sqlite").start()
        cls.server.terminate()
        seed.sqlite(cls.server.database.path, COUNTS)
        cls.db = sqlite3.connect(cls.server.database.path)
        for function in (
            "micros",
            "real_text",
            "whole_text",
            "word_text",
            "hour_of",
            "day_of",
            "kept_hour",
            "nearest_hour",
            "odd_usage",
            "sound_usage",
            "unexpected",
            "no_parent",
        ):  # the daemon's own functions, whose results do not affect the plan
            cls.db.create_function(function, -1, lambda *values: 0, deterministic=True)

    @classmethod
    def tearDownClass(cls):
        cls.db.close()
        cls.server.discard()

    def plan(self, statement, values):
        rows = self.db.execute("EXPLAIN QUERY PLAN " + statement["sqlite"], values)
        return [row[3] for row in rows]

    def aliases(self, sql):
        """Returns the table that a name in a statement refers to."""
        found = {}
        for table, alias in re.findall(
            r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)(?:\s+(?:AS\s+)?(\w+))?", sql, re.I
        ):
            found[table] = table
            if alias and alias.upper() not in (
                "WHERE",
                "SET",
                "ON",
                "JOIN",
                "LEFT",
                "INNER",
                "CROSS",
                "ORDER",
                "GROUP",
                "INDEXED",
            ):
                found[alias] = table
        return found

    def check(self, *chosen):
        for statement in chosen or statements():
            aliases = self.aliases(statement["sqlite"])
            for words, values in variants(statement, "sqlite"):
                plan = self.plan(statement, values)
                for step in plan:
                    self.check_step(statement["method"], words, aliases, step, plan)

    def check_step(self, method, words, aliases, step, plan):
        message = f"{method} ({words}) would {step}; its plan:\n  " + "\n  ".join(plan)
        self.assertNotIn("AUTOMATIC", step, message)
        scan = re.match(r"SCAN (\w+)", step)
        table = aliases.get(scan.group(1)) if scan else None
        if table in LARGE and (method, table) not in ALLOWED:
            self.assertEqual(method, "get_request_logs", message)
            # Without a key the log is read backwards in the order of time, up to the limit.
            self.assertIn("USING", step, message)
            self.assertIn("INDEX", step, message)
        elif table in LARGE:
            self.assertIn("USING COVERING INDEX", step, message)
        if method not in ACTIVE:
            self.assertNotIn("(is_active=?)", step, message)
        if method in UNSORTED and "USE TEMP B-TREE FOR ORDER BY" in step:
            self.assertEqual(plan.count(step), UNSORTED[method], message)

    def test_scan_is_noticed(self):
        for planted in (
            PLANTED,
            {**PLANTED, "sqlite": "SELECT id FROM api_keys WHERE is_active = 1 AND key_hash = ?1"},
        ):
            with self.assertRaises(AssertionError):
                self.check(planted)

    def test_odd_hours_have_an_index(self):
        """The primary key would have every hour of the period."""
        found = [one for one in statements() if "odd <> 0" in one["sqlite"]]
        self.assertGreater(len(found), 3)
        for statement in found:
            plan = self.plan(statement, next(variants(statement, "sqlite"))[1])
            self.assertRegex(" ".join(plan), r"SEARCH h USING INDEX idx_\w+_usage_hours_odd")

    def test_without_statistics(self):
        self.db.execute("DROP TABLE IF EXISTS sqlite_stat1")
        self.check()

    def test_with_statistics(self):
        self.db.execute("ANALYZE")
        self.check()


class PostgresPlans(case.Case):
    """PostgreSQL's EXPLAIN of the prepared statements: planned for the values, and generic, as
    after some calls."""

    @classmethod
    def setUpClass(cls):
        cls.server = daemons.Daemon(backend="postgres").start()
        cls.server.terminate()
        cls.url = cls.server.database.admin_url
        for table, count in COUNTS.items():
            cls.psql(
                seed.POSTGRES[table] + ";",
                first=1,
                last=count,
                users=COUNTS["users"],
                keys=COUNTS["api_keys"],
                clients=COUNTS["a2a_clients"],
            )
        cls.psql("VACUUM ANALYZE;")

    @classmethod
    def tearDownClass(cls):
        cls.server.discard()

    @classmethod
    def psql(cls, text, **variables):
        defined = [part for name, value in variables.items() for part in ("-v", f"{name}={value}")]
        with tempfile.TemporaryFile("w+") as script:
            script.write(text)
            script.seek(0)
            done = subprocess.run(
                [binary("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", *defined, "-d", cls.url],
                stdin=script,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise AssertionError(f"psql: {done.stderr}\n{text[:2000]}")
        return done.stdout

    def literal(self, name, kind, value):
        if value is None:
            return "NULL"
        return "'" + value.replace("'", "''") + "'"

    def plan(self, statement, values, mode):
        slots = statement["postgres_slots"]
        listed = ", ".join(self.literal(*slot, value) for slot, value in zip(slots, values))
        text = self.psql(
            f"SET plan_cache_mode = {mode};\nPREPARE one AS {statement['postgres']};\n"
            f"EXPLAIN (FORMAT JSON) EXECUTE one{f'({listed})' if slots else ''};"
        )
        return json.loads(text)[0]["Plan"]

    def nodes(self, plan):
        yield plan
        for child in plan.get("Plans", ()):
            yield from self.nodes(child)

    def check(self, mode, *chosen):
        for statement in chosen or [one for one in statements() if not one["part"]]:
            for words, values in variants(statement, "postgres"):
                plan = self.plan(statement, values, mode)
                for node in self.nodes(plan):
                    table = node.get("Relation Name")
                    filled = table in (
                        "users",
                        "api_keys",
                        "api_key_usage",
                        "a2a_clients",
                        "a2a_usage",
                    )
                    if filled and node["Node Type"] in ("Seq Scan", "Parallel Seq Scan"):
                        self.assertIn(
                            (statement["method"], table),
                            ALLOWED,
                            f"{statement['method']} ({words}) reads all of {table}:\n"
                            f"{json.dumps(plan, indent=1)}",
                        )

    def test_scan_is_noticed(self):
        with self.assertRaises(AssertionError):
            self.check("force_custom_plan", PLANTED)

    def test_custom_plans(self):
        self.check("force_custom_plan")

    def test_generic_plans(self):
        self.check("force_generic_plan")


# The test run starts this file once for each backend.
if databases.chosen() == "sqlite":
    del PostgresPlans
else:
    del SqlitePlans
