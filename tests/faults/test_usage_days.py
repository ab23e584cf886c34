"""Counts of usage by day, against the rows. Days are summed once, later than their hours; rows come
late, change and go in days that are summed, and have times to come.
Would catch: a late row that is missing in its day, a day that counts as summed and is not, a count
that reads days which are not summed, a row of the future that closes the present day, a day that a
kill leaves half summed."""
import collections
import contextlib
import os
import signal
import sqlite3
import time

from lib.daemon import SLOW
from lib.rollup_case import SQLITE, RollupCase
from lib.world import World, new_a2a_usage, new_usage

STRICT = True
HOUR, DAY = 3600, 86400
KEY, PARENT = ("api_key_id", "client_id") if SQLITE else ("api_key", "client")

Row = collections.namedtuple("Row", "parent at tool status time_ms capabilities")


def text(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00", time.gmtime(at))


class Days(RollupCase):
    def setUp(self):
        self.midnight = int(time.time()) // DAY * DAY

    def shifted(self, days, hours=0):
        return self.midnight + days * DAY + int(hours * HOUR)

    def moment(self, at):
        return f"'{text(at)}'" if SQLITE else f"to_timestamp({at})"

    def parent(self, table, id):
        return f"'{id}'" if SQLITE else f"(SELECT number FROM {table} WHERE id = '{id}')"

    def fill_agents(self, daemon, client):
        """An agent's row for every second row of the keys."""
        listed = (
            'CASE id % 3 WHEN 0 THEN \'[]\' WHEN 1 THEN \'["x"]\' ELSE \'["y","x","y"]\' END'
            if SQLITE
            else "CASE id % 3 WHEN 0 THEN '{}' WHEN 1 THEN '{x}' ELSE '{y,x,y}' END::text[]"
        )
        self.other(
            daemon,
            f"INSERT INTO a2a_usage ({PARENT}, timestamp, tool_name, status_code, "
            "response_time_ms, client_capabilities) "
            f"SELECT {self.parent('a2a_clients', client)}, timestamp, tool_name, status_code, "
            f"response_time_ms, {listed} FROM api_key_usage WHERE id % 2 = 0",
        )

    def rows(self, daemon, log):
        parents, column = ("a2a_clients", PARENT) if log == "a2a_usage" else ("api_keys", KEY)
        listed = "client_capabilities" if log == "a2a_usage" else "'[]'" if SQLITE else "'{}'"
        at = "timestamp_us / 1000000" if SQLITE else "extract(epoch FROM timestamp)::bigint"
        found = self.other(
            daemon,
            f"SELECT p.id, {at}, u.tool_name, u.status_code, u.response_time_ms, "
            f"{listed} FROM {log} u JOIN {parents} p "
            f"ON p.{'id' if SQLITE else 'number'} = u.{column}",
        )
        return [
            Row(parent, int(at), tool, int(status), int(ms or 0), {"x", "y"} & set(listed))
            for parent, at, tool, status, ms, listed in found
        ]

    def stats(self, rows):
        return {
            "total_requests": len(rows),
            "successful_requests": sum(200 <= row.status <= 299 for row in rows),
            "failed_requests": sum(row.status >= 400 for row in rows),
            "total_response_time_ms": sum(row.time_ms for row in rows),
        }

    def counted(self, rows):
        return dict(sorted(collections.Counter(rows).items()))

    def periods(self):
        """Ends at the starts of days, between them and within hours, in one day, month or year and
        in several."""
        return [
            (-800, 0, 400, 0),
            (-400, 5.4, -35, 13.25),
            (-300, 0.75, -299, 23.1),
            (-100, 3, -100, 22),
            (-31, 0, -1, 0),
            (-2, 1, 1, 0.5),
            (0, 0, 3, 12),
        ]

    def compare(self, daemon):
        usage, a2a = self.rows(daemon, "api_key_usage"), self.rows(daemon, "a2a_usage")
        with daemon.connect() as connection:
            for first, hours, last, more in self.periods():
                a, b = self.shifted(first, hours), self.shifted(last, more)
                period = {"start_date": text(a), "end_date": text(b)}
                mine = [row for row in usage if a <= row.at < b]
                for key in self.keys:
                    got = connection.call("get_api_key_usage_stats", api_key_id=key, **period)
                    own = [row for row in mine if row.parent == key]
                    expected = {
                        "api_key_id": key,
                        "period_start": got["period_start"],
                        "period_end": got["period_end"],
                        **self.stats(own),
                        "tool_usage": self.counted(row.tool for row in own),
                    }
                    self.assertEqual(got, expected, period)
                for bucket, size in (("day", DAY), ("hour", HOUR)):
                    self.compare_series(connection, mine, bucket, size, period)
                got = connection.call("get_a2a_usage_stats", client_id=self.client, **period)
                own = [row for row in a2a if a <= row.at < b]
                self.assertEqual(
                    {name: got[name] for name in self.stats([])}, self.stats(own), period
                )
                claimed = self.counted(one for row in own for one in row.capabilities)
                self.assertEqual(got["capability_usage"], claimed, period)
                got = connection.call(
                    "get_top_tools_analysis",
                    user_id=self.user,
                    start_time=text(a),
                    end_time=text(b - 1),
                )
                self.assertEqual(
                    {one["tool_name"]: one["request_count"] for one in got},
                    self.counted(row.tool for row in mine),
                    period,
                )

    def compare_series(self, connection, rows, bucket, size, period):
        got = connection.call("get_user_usage_series", user_id=self.user, bucket=bucket, **period)
        by_start = collections.defaultdict(list)
        for row in rows:
            by_start[row.at // size * size].append(row)
        expected = [
            {"start": text(start)[:19], **self.stats(own)}
            for start, own in sorted(by_start.items())[:10_000]
        ]
        got = [{**one, "start": one["start"][:19]} for one in got]
        self.assertEqual(got, expected, (bucket, period))

    def settled(self, daemon):
        self.within(
            40 * SLOW,
            lambda: all(self.rolled_up(daemon, log) for log in ("api_key_usage", "a2a_usage"))
            and self.days_summed(daemon),
        )

    def forget_days(self, daemon, since):
        """As if the days from then on were not summed yet. The daemon must not run."""
        at = since // HOUR if SQLITE else f"to_timestamp({since})"
        for table in ("api_key_usage_days", "a2a_usage_days", "a2a_usage_capability_days"):
            self.other(daemon, f"DELETE FROM {table} WHERE day >= {at}")
        self.other(daemon, f"UPDATE usage_rolled SET days_to = {at}, days_next = NULL")

    def world(self, daemon, keys):
        with daemon.connect() as connection:
            world = World(connection)
            self.user = world.user()
            self.keys = [world.api_key(self.user) for _ in range(keys)]
            self.client = world.client(self.keys[0])

    def test_days_are_their_rows(self):
        daemon = self.daemon()
        self.world(daemon, 3)
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        self.fill(daemon, self.keys[0], now, 2500, 420)
        self.fill(daemon, self.keys[1], now, 800, 70)
        self.fill_agents(daemon, self.client)
        self.settled(daemon)
        self.compare(daemon)

        self.change(daemon)
        self.compare(daemon)
        self.settled(daemon)
        self.compare(daemon)
        self.assertEqual(self.days_to(daemon), self.days_end())

        daemon.terminate()
        self.assertEqual(self.verify(daemon), [])
        self.forget_days(daemon, self.shifted(-3))
        daemon.start()
        self.settled(daemon)
        daemon.terminate()
        self.assertEqual(self.verify(daemon), [])

        self.wrong_day(daemon)
        self.delete_key(daemon)

    def change(self, daemon):
        """In days that are summed, and in days to come."""
        old = self.moment(self.shifted(-100))
        for log in ("api_key_usage", "a2a_usage"):
            self.other(daemon, f"DELETE FROM {log} WHERE id % 7 = 0 AND timestamp < {old}")
            self.other(
                daemon,
                f"UPDATE {log} SET timestamp = {self.moment(self.shifted(-200, 7))}, "
                f"tool_name = 'moved' WHERE id % 11 = 0 AND timestamp < {old}",
            )
        with daemon.connect() as connection:
            for days, hours in (
                (-300, 2),
                (-150, 0),
                (-31, 23.5),
                (-1, 1),
                (0, 0),
                (3, 4),
                (45, 0),
            ):
                row = {"timestamp": text(self.shifted(days, hours)), "tool_name": "late"}
                for key in self.keys:
                    usage = new_usage(key, response_time_ms=days + 300, **row)
                    connection.call("record_api_key_usage", usage=usage)
                usage = new_a2a_usage(self.client, client_capabilities=["x"], **row)
                connection.call("record_a2a_usage", usage=usage)

    def wrong_day(self, daemon):
        """Counts read days where they are summed, and verify compares these with their hours."""
        day = self.shifted(-50)
        at = day // HOUR if SQLITE else f"to_timestamp({day})"
        changed = (
            "UPDATE api_key_usage_days SET requests = requests {} 1000 "
            f"WHERE {KEY} = {self.parent('api_keys', self.keys[1])} AND day = {at} "
            f"AND tool_name = (SELECT min(tool_name) FROM api_key_usage_days WHERE day = {at} "
            f"AND {KEY} = {self.parent('api_keys', self.keys[1])})"
        )
        self.other(daemon, changed.format("+"))
        self.assertEqual(
            self.verify(daemon),
            ["1 days of api_key_usage have counts that differ from their hours"],
        )
        self.other(daemon, "UPDATE a2a_usage_capability_days SET requests = 0")
        self.assertRegex(
            self.verify(daemon)[1], r"^\d+ days of a2a_usage have capabilities that differ from "
        )
        daemon.start()
        usage = self.rows(daemon, "api_key_usage")
        with daemon.connect() as connection:
            for first, last, hours, more in (
                (-800, 800, 0, 1000),
                (-50, -49, 0, 1000),
                (-50, -49, 1, 0),  # neither day is whole
                (-49, 1, 0, 0),
            ):
                a, b = self.shifted(first, hours), self.shifted(last, hours)
                got = connection.call(
                    "get_api_key_usage_stats",
                    api_key_id=self.keys[1],
                    start_date=text(a),
                    end_date=text(b),
                )
                own = sum(row.parent == self.keys[1] and a <= row.at < b for row in usage)
                self.assertEqual(got["total_requests"], own + more, (first, last, hours))
        self.other(daemon, changed.format("-"))

    def delete_key(self, daemon):
        statement = f"DELETE FROM api_keys WHERE id = '{self.keys[0]}'"
        if SQLITE:
            with contextlib.closing(sqlite3.connect(daemon.database.path, timeout=30)) as other:
                other.execute("PRAGMA foreign_keys = ON")
                with other:
                    other.execute(statement)
        else:
            self.other(daemon, statement)
        for table in ("a2a_usage_days", "a2a_usage_capability_days"):
            self.assertEqual(self.number(daemon, f"SELECT count(*) FROM {table}"), 0)
        left = self.number(daemon, f"SELECT count(DISTINCT {KEY}) FROM api_key_usage_days")
        self.assertEqual(left, 2)

    def test_killed_while_days_are_summed(self):
        daemon = self.daemon()
        self.world(daemon, 4)
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        for key in self.keys:
            self.fill(daemon, key, now, 1200, 420)
        self.fill_agents(daemon, self.client)
        self.settled(daemon)
        killed = 0
        for _ in range(10):
            daemon.terminate()
            self.forget_days(daemon, self.shifted(-400))
            daemon.start()
            self.within(20, lambda: self.sums_days(daemon) or self.days_summed(daemon), every=0)
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.process.wait()
            if self.sums_days(daemon):
                killed += 1
                # On both sides of where it has come to.
                for key in self.keys:
                    for days in (-350, -20):
                        self.other(
                            daemon,
                            f"INSERT INTO api_key_usage ({KEY}, timestamp, tool_name, status_code) "
                            f"SELECT {self.parent('api_keys', key)}, "
                            f"{self.moment(self.shifted(days, 5))}, 'late', 200",
                        )
            daemon.start()
            if killed == 2:
                break
        self.assertGreater(killed, 0)
        self.compare(daemon)
        self.settled(daemon)
        self.compare(daemon)
        daemon.terminate()
        self.assertEqual(self.verify(daemon), [])
