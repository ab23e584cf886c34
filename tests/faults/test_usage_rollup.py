"""The background work behind the counts of usage: rows of an existing installation are rolled up
while calls go on and the daemon is killed, two daemons record one key, and old rows are dropped.
Would catch: a row counted twice or left out around a kill or between two daemons, a retention that
forgets what it drops, or drops what is not counted yet, ids that are used again and not counted."""
import contextlib
import datetime
import os
import re
import signal
import sqlite3
import threading

from lib.daemon import SLOW
from lib.rollup_case import SQLITE, RollupCase
from lib.world import World, new_usage

STRICT = True
DOCUMENT = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "recover.md"
)
ROWS = 30_000
UTC = datetime.timezone.utc
WHOLE = {"start_date": "2000-01-01T00:00:00Z", "end_date": "2100-01-01T00:00:00Z"}


class Rollup(RollupCase):
    def test_killed_while_existing_rows_are_rolled_up(self):
        daemon = self.daemon()
        with daemon.connect() as connection:
            world = World(connection)
            key = world.api_key(world.user())
            self.fill(daemon, key, "2025-06-01 00:00:00", ROWS, 30)
            recorded = 0
            for _ in range(5):
                # A state in the middle, where there is one: the next start goes on from there.
                before = self.number(daemon, "SELECT min(last_id) FROM usage_rolled")
                for _ in range(20):
                    connection.call("record_api_key_usage", usage=new_usage(key))
                    recorded += 1
                got = connection.call("get_api_key_usage_stats", api_key_id=key, **WHOLE)
                self.assertEqual(got["total_requests"], ROWS + recorded)
                os.kill(daemon.process.pid, signal.SIGKILL)
                daemon.process.wait()
                self.assertGreaterEqual(
                    self.number(daemon, "SELECT min(last_id) FROM usage_rolled"), before
                )
                daemon.start()
                connection.close()
                connection = daemon.connect()
            self.within(120 * SLOW, lambda: self.rolled_up(daemon))
            self.assertEqual(self.in_rollups(daemon), ROWS + recorded)
            connection.close()

    def test_a_short_retention(self):
        for given, warned in (("31d", True), ("32d", False), ("0", False)):
            daemon = self.daemon("--usage-retention", given)
            self.assertEqual("rows of the last 32 days are kept" in daemon.log(), warned, given)
            daemon.terminate()

    def test_dropped_rows_stay_counted(self):
        daemon = self.daemon("--usage-retention", "40d")
        today = datetime.datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with daemon.connect() as connection:
            world = World(connection)
            key = world.api_key(world.user())
            self.fill(daemon, key, today, 3000, 100)
            expected = connection.call("get_api_key_usage_stats", api_key_id=key, **WHOLE)
            self.assertEqual(expected["total_requests"], 3000)
            old = (
                "timestamp_us < (strftime('%s', 'now') - 41 * 86400) * 1000000"
                if SQLITE
                else "timestamp < now() - interval '41 days'"
            )
            count = f"SELECT count(*) FROM api_key_usage WHERE {old}"
            self.assertGreater(self.number(daemon, "SELECT count(*) FROM api_key_usage"), 1000)
            for _ in range(50):
                connection.call("record_api_key_usage", usage=new_usage(key))
        daemon.terminate()
        daemon.start()  # which looks for old rows at once
        with daemon.connect() as connection:
            self.within(40 * SLOW, lambda: self.number(daemon, count) == 0)
            got = connection.call("get_api_key_usage_stats", api_key_id=key, **WHOLE)
            self.assertEqual(got["total_requests"], 3050)
            left = self.number(daemon, "SELECT count(*) FROM api_key_usage")
            self.assertGreater(left, 1000)
            # A row that goes otherwise is no longer counted.
            self.other(
                daemon,
                "DELETE FROM api_key_usage WHERE id = (SELECT max(id) FROM api_key_usage)",
            )
            self.within(60 * SLOW, lambda: self.rolled_up(daemon))
            got = connection.call("get_api_key_usage_stats", api_key_id=key, **WHOLE)
            self.assertEqual(got["total_requests"], 3049)

    def test_verify_finds_a_wrong_count(self):
        daemon = self.daemon()
        with daemon.connect() as connection:
            world = World(connection)
            key = world.api_key(world.user())
            client = world.client(key)
            self.fill(daemon, key, "2025-06-01 00:00:00", 500, 30)
            for _ in range(5):
                world.a2a_usage(client)
            for source in ("api_key_usage", "a2a_usage"):
                self.within(
                    60 * SLOW,
                    lambda source=source: self.number(
                        daemon,
                        f"SELECT (SELECT max(id) FROM {source}) - last_id FROM usage_rolled "
                        f"WHERE source = '{source}'",
                    )
                    == 0,
                )
        daemon.terminate()
        self.assertEqual(self.verify(daemon), [])
        first = "(SELECT min(hour) FROM api_key_usage_hours)"
        wrong = "UPDATE api_key_usage_hours SET failed = failed {} 1 WHERE hour = " + first
        self.other(daemon, wrong.format("+"))
        hours, days = self.verify(daemon)
        self.assertRegex(
            hours, r"^\d+ hours of api_key_usage have counts that differ from their rows"
        )
        self.assertRegex(
            days, r"^\d+ days of api_key_usage have counts that differ from their hours"
        )
        self.other(daemon, wrong.format("-"))
        self.other(daemon, "UPDATE a2a_usage_months SET requests = 7")
        self.assertEqual(
            self.verify(daemon), ["1 months of a2a_usage have counts that differ from their hours"]
        )


if SQLITE:

    class OldIds(Rollup):
        def test_counted_again(self):
            """Rows that come back with their old ids, as the manual says."""
            with open(DOCUMENT, encoding="utf-8") as file:
                (recount,) = re.findall(r"^(BEGIN IMMEDIATE;\n.*?)^END\n", file.read(), re.M | re.S)
            daemon = self.daemon()
            with daemon.connect() as connection:
                world = World(connection)
                key = world.api_key(world.user())
                self.fill(daemon, key, "2025-06-01 00:00:00", 300, 30)
                self.within(60 * SLOW, lambda: self.rolled_up(daemon))
            daemon.terminate()
            row = f"'{key}', '2025-05-20T10:00:00.000000+00:00', 'other', 404"
            names = "id, api_key_id, timestamp, tool_name, status_code"
            self.other(daemon, "DELETE FROM api_key_usage WHERE id = 5")
            self.other(daemon, f"INSERT INTO api_key_usage ({names}) VALUES (5, {row})")
            self.other(daemon, f"REPLACE INTO api_key_usage ({names}) VALUES (7, {row})")
            (problem,) = self.verify(daemon)
            self.assertIn("hours of api_key_usage have counts that differ", problem)
            daemon.start()
            with contextlib.closing(sqlite3.connect(daemon.database.path, timeout=30)) as other:
                other.executescript(recount)
            with daemon.connect() as connection:
                for _ in range(2):  # before and after the steps
                    got = connection.call("get_api_key_usage_stats", api_key_id=key, **WHOLE)
                    self.assertEqual(got["total_requests"], 300)
                    self.assertEqual(got["tool_usage"]["other"], 2)
                    self.within(60 * SLOW, lambda: self.rolled_up(daemon))
            self.assertEqual(self.in_rollups(daemon), 300)
            daemon.terminate()
            self.assertEqual(self.verify(daemon), [])

        def test_sequence_reset(self):
            """A table that was emptied with its sequence gives its ids again."""
            daemon = self.daemon()
            with daemon.connect() as connection:
                world = World(connection)
                key = world.api_key(world.user())
                self.fill(daemon, key, "2025-06-01 00:00:00", 100, 30)
                self.within(60 * SLOW, lambda: self.rolled_up(daemon))
                self.other(daemon, "DELETE FROM api_key_usage")
                self.other(daemon, "DELETE FROM sqlite_sequence WHERE name = 'api_key_usage'")
                last = "SELECT last_id FROM usage_rolled WHERE source = 'api_key_usage'"
                self.within(60 * SLOW, lambda: self.number(daemon, last) <= 0)
                for count in (1, 2):
                    connection.call("record_api_key_usage", usage=new_usage(key))
                    got = connection.call("get_api_key_usage_stats", api_key_id=key, **WHOLE)
                    self.assertEqual(got["total_requests"], count)
                    self.within(60 * SLOW, lambda: self.rolled_up(daemon))

        test_killed_while_existing_rows_are_rolled_up = None
        test_dropped_rows_stay_counted = None
        test_verify_finds_a_wrong_count = None


if not SQLITE:

    class TwoDaemons(Rollup):
        def test_one_key_recorded_through_both(self):
            """No daemon waits for another one's count, and each row is counted once."""
            first = self.daemon()
            second = self.daemon(database=first.database, key=first.key)
            with first.connect() as connection:
                world = World(connection)
                key = world.api_key(world.user())
            failures = []

            def record(daemon):
                try:
                    with daemon.connect() as own:
                        for _ in range(400):
                            own.call("record_api_key_usage", usage=new_usage(key))
                except Exception as problem:  # pylint: disable=broad-exception-caught
                    failures.append(problem)

            threads = [
                threading.Thread(target=record, args=(daemon,))
                for daemon in (first, second)
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                with first.connect() as connection:
                    connection.call("get_api_key_current_usage", api_key_id=key)
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])
            for daemon in (first, second):
                with daemon.connect() as connection:
                    self.assertEqual(
                        connection.call("get_api_key_current_usage", api_key_id=key), 3200
                    )
            self.within(60 * SLOW, lambda: self.rolled_up(first))
            self.assertEqual(self.in_rollups(first), 3200)

        test_killed_while_existing_rows_are_rolled_up = None
        test_dropped_rows_stay_counted = None
        test_verify_finds_a_wrong_count = None
