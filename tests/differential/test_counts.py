"""Counts against the rows that they count. Rows are written by calls and by another program, late
and out of order, changed, moved to another key, deleted, and written again with their old ids,
while the daemon rolls them up. Every count of random periods is compared with a count of the rows
themselves. Would catch: a row counted twice or not at all around a step, a change that is lost
because a step is under way, an edge of a period on the wrong side of an hour or a day, a time with
an offset in another hour, a value that cannot be summed hidden by a rollup.

PIERRE_TEST_SEED=N repeats a run."""
import collections
import contextlib
import datetime
import json
import os
import random
import sqlite3
import time

from lib import databases
from lib.case import DaemonCase
from lib.daemon import SLOW
from lib.world import World, new_a2a_usage, new_usage

STRICT = True
SQLITE = databases.chosen() == "sqlite"
ROUNDS = 60 if os.environ.get("PIERRE_TEST_LONG") else 8
UTC = datetime.timezone.utc
TOOLS = ("get_activities", "get_athlete", "é", "Z", "")
STATUSES = (200, 204, 299, 300, 302, 399, 400, 404, 500)
HOUR = datetime.timedelta(hours=1)
KEY, PARENT = ("api_key_id", "client_id") if SQLITE else ("api_key", "client")

Row = collections.namedtuple("Row", "id parent at tool status time_ms capabilities")


def text(at):
    return at.isoformat(timespec="microseconds")


def quoted(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


class Counts(DaemonCase):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("PIERRE_TEST_SEED", time.time_ns() % 10**9))
        print(f"  PIERRE_TEST_SEED={self.seed}", flush=True)
        self.random = random.Random(self.seed)
        self.world = World(self.c)
        self.user = self.world.user()
        self.keys = [self.world.api_key(self.user) for _ in range(3)]
        self.clients = [self.world.client(self.keys[0]) for _ in range(2)]
        self.owned = set(self.keys)
        self.base = datetime.datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

    # The other program.

    def numbers(self, table, ids):
        if SQLITE:
            return {one: quoted(one) for one in ids}
        rows = self.other(f"SELECT id, number FROM {table}")
        return {id: number for id, number in rows if id in ids}

    def other(self, statement):
        rows = self.daemon.database.query(statement)
        return rows if SQLITE else [line.split("|") for line in rows.splitlines()]

    def moment(self):
        """Of the last days and the next hours, or of the last months."""
        since = 10**12 if self.random.random() < 0.7 else 3 * 10**13
        at = self.base + datetime.timedelta(
            microseconds=self.random.randrange(-since, 2 * 10**10)
        )
        kind = self.random.random()
        if kind < 0.2:
            at = at.replace(minute=0, second=0, microsecond=0)
        if kind < 0.1:
            at = at.replace(hour=0)
        return at

    def some_id(self, table):
        rows = self.other(f"SELECT id FROM {table} ORDER BY id")
        return int(self.random.choice(rows)[0]) if rows else None

    def stored_form(self, at):
        """What old servers and their owners wrote."""
        if not SQLITE:
            return text(at)
        naive = at.replace(tzinfo=None)
        return self.random.choice(
            (
                text(at),
                naive.isoformat(sep=" ", timespec="seconds"),
                at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                (at + datetime.timedelta(hours=5, minutes=30))
                .astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
                .isoformat(timespec="seconds"),
                naive.isoformat(timespec="seconds"),
                "never",
            )
        )

    def change(self):
        pick = self.random.random()
        a2a = self.random.random() < 0.5
        table = "a2a_usage" if a2a else "api_key_usage"
        column = PARENT if a2a else KEY
        parents = self.parents["a2a_clients" if a2a else "api_keys"]
        id = self.some_id(table)
        if pick < 0.35 or id is None:
            self.record(a2a)
        elif pick < 0.5:
            self.insert(table, column, parents)
        elif pick < 0.65:
            self.other(f"DELETE FROM {table} WHERE id = {id}")
        elif pick < 0.7:
            self.other(f"DELETE FROM {table} WHERE id BETWEEN {id} AND {id + 5}")
        elif pick < 0.95 or SQLITE:
            value = self.random.choice(
                (
                    f"timestamp = {quoted(self.stored_form(self.moment()))}",
                    f"tool_name = {quoted(self.random.choice(TOOLS))}",
                    f"status_code = {self.random.choice(STATUSES)}",
                    "response_time_ms = NULL",
                    "response_time_ms = 77",
                    f"{column} = {self.random.choice(list(parents.values()))}",
                    "user_agent = 'x'",
                )
            )
            self.other(f"UPDATE {table} SET {value} WHERE id >= {id} AND id < {id + 3}")
        else:
            # A row goes and comes back with its id, as from a copy. No trigger of SQLite notices
            # that: see docs/recover.md and test_usage_rollup.py.
            self.other(f"DELETE FROM {table} WHERE id = {id}")
            self.insert(table, column, parents, id)

    def insert(self, table, column, parents, id=None):
        names = ["timestamp", "tool_name", "status_code", "response_time_ms", column]
        values = [
            quoted(self.stored_form(self.moment())),
            quoted(self.random.choice(TOOLS)),
            str(self.random.choice(STATUSES)),
            self.random.choice(("NULL", "5", "4000000000")),
            str(self.random.choice(list(parents.values()))),
        ]
        if table == "a2a_usage":
            names.append("client_capabilities")
            values.append(
                self.random.choice(('\'["a","b"]\'', "'[]'", '\'["a","a"]\''))
                if SQLITE
                else self.random.choice(("'{a,b}'", "'{}'", "'{a,a}'"))
            )
        if id is not None:
            names.append("id")
            values.append(str(id))
        self.other(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})")

    def record(self, a2a):
        members = {
            "timestamp": text(self.moment()),
            "tool_name": self.random.choice(TOOLS),
            "status_code": self.random.choice(STATUSES),
            "response_time_ms": self.random.choice((None, 0, 17, 4294967295)),
        }
        if a2a:
            members["client_capabilities"] = self.random.choice(([], ["a"], ["b", "a", "b"]))
            usage = new_a2a_usage(self.random.choice(self.clients), **members)
            self.assertIsNone(self.ok("record_a2a_usage", usage=usage))
        else:
            usage = new_usage(self.random.choice(self.keys), **members)
            self.assertIsNone(self.ok("record_api_key_usage", usage=usage))

    # What the rows say.

    def rows(self, table, column):
        if SQLITE:
            # The rule for a stored time is tested elsewhere; NULL belongs to no period.
            found = self.daemon.database.query(
                f"SELECT id, {column}, timestamp_us, tool_name, status_code, response_time_ms, "
                f"{'client_capabilities' if table == 'a2a_usage' else 'NULL'} FROM {table}"
            )
            epoch = datetime.datetime(1970, 1, 1, tzinfo=UTC)
            for id, parent, at, tool, status, time_ms, listed in found:
                if at is not None:
                    yield Row(
                        id,
                        parent,
                        epoch + datetime.timedelta(microseconds=at),
                        tool,
                        status,
                        time_ms,
                        set(json.loads(listed or "[]")),
                    )
            return
        names = {
            number: id
            for id, number in self.other(
                f"SELECT id, number FROM {'a2a_clients' if table == 'a2a_usage' else 'api_keys'}"
            )
        }
        found = self.other(
            f"SELECT id, {column}, to_char(timestamp AT TIME ZONE 'UTC', "
            "'YYYY-MM-DD\"T\"HH24:MI:SS.US'), tool_name, status_code, "
            "COALESCE(response_time_ms::text, ''), "
            + ("array_to_string(client_capabilities, ',')" if table == "a2a_usage" else "''")
            + f" FROM {table}"
        )
        for id, parent, at, tool, status, time_ms, listed in found:
            yield Row(
                int(id),
                names[parent],
                datetime.datetime.fromisoformat(at).replace(tzinfo=UTC),
                tool,
                int(status),
                int(time_ms) if time_ms else None,
                set(filter(None, listed.split(","))),
            )

    def stats(self, rows):
        tools = collections.Counter(row.tool for row in rows)
        return {
            "total_requests": len(rows),
            "successful_requests": sum(200 <= row.status <= 299 for row in rows),
            "failed_requests": sum(row.status >= 400 for row in rows),
            "total_response_time_ms": sum(row.time_ms or 0 for row in rows),
            "tool_usage": dict(sorted(tools.items())),
        }

    def period(self):
        a, b = sorted((self.moment(), self.moment()))
        kind = self.random.random()
        if kind < 0.2:
            b = a + datetime.timedelta(microseconds=self.random.randrange(3 * 3600 * 10**6))
        elif kind < 0.3:
            a, b = b, a
        elif kind < 0.4:
            a = a.replace(minute=0, second=0, microsecond=0)
        return a, b

    def compare(self):
        usage = list(self.rows("api_key_usage", KEY))
        a2a = list(self.rows("a2a_usage", PARENT))
        month = datetime.datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        for key in self.keys:
            self.assertEqual(
                self.ok("get_api_key_current_usage", api_key_id=key),
                sum(row.parent == key and row.at >= month for row in usage),
            )
        for client in self.clients:
            self.assertEqual(
                self.ok("get_a2a_client_current_usage", client_id=client),
                sum(row.parent == client and row.at >= month for row in a2a),
            )
            self.compare_history(client, a2a)
        for _ in range(6):
            a, b = self.period()
            key, client = self.random.choice(self.keys), self.random.choice(self.clients)
            got = self.ok(
                "get_api_key_usage_stats", api_key_id=key, start_date=text(a), end_date=text(b)
            )
            mine = [row for row in usage if row.parent == key and a <= row.at < b]
            self.assertEqual({name: got[name] for name in self.stats([])}, self.stats(mine), (a, b))
            got = self.ok(
                "get_a2a_usage_stats", client_id=client, start_date=text(a), end_date=text(b)
            )
            mine = [row for row in a2a if row.parent == client and a <= row.at < b]
            claimed = collections.Counter(one for row in mine for one in row.capabilities)
            self.assertEqual(
                {name: got[name] for name in (*self.stats([]), "capability_usage")},
                {**self.stats(mine), "capability_usage": dict(sorted(claimed.items()))},
                (a, b),
            )
            self.compare_tools(usage, a, b)
            self.compare_user(usage, a, b)

    def compare_user(self, usage, a, b):
        period = {"user_id": self.user, "start_date": text(a), "end_date": text(b)}
        mine = [row for row in usage if row.parent in self.owned and a <= row.at < b]
        got = self.ok("get_user_api_key_usage", **period)
        self.assertEqual(
            {one["api_key_id"]: {name: one[name] for name in self.stats([])} for one in got},
            {key: self.stats([row for row in mine if row.parent == key]) for key in self.owned},
            (a, b),
        )
        for bucket, form in (("hour", "%Y-%m-%dT%H:00:00"), ("day", "%Y-%m-%dT00:00:00")):
            got = self.ok("get_user_usage_series", bucket=bucket, **period)
            starts = sorted({row.at.strftime(form) for row in mine})
            expected = []
            for start in starts:
                stats = self.stats([row for row in mine if row.at.strftime(form) == start])
                del stats["tool_usage"]
                expected.append({"start": start, **stats})
            self.assertEqual(
                [{**one, "start": one["start"][:19]} for one in got], expected, (a, b, bucket)
            )

    def compare_tools(self, usage, a, b):
        got = self.ok(
            "get_top_tools_analysis", user_id=self.user, start_time=text(a), end_time=text(b)
        )
        by_tool = collections.defaultdict(list)
        for row in usage:
            if a <= row.at <= b and row.parent in self.owned:
                by_tool[row.tool].append(row)
        expected = []
        for tool, rows in by_tool.items():
            times = [row.time_ms for row in rows if row.time_ms is not None]
            expected.append(
                {
                    "tool_name": tool,
                    "request_count": len(rows),
                    "success_rate": 100.0 * sum(200 <= r.status <= 299 for r in rows) / len(rows),
                    "average_response_time": sum(times) / len(times) if times else 0.0,
                }
            )
        expected.sort(key=lambda one: (-one["request_count"], one["tool_name"].encode()))
        self.assertEqual(got, expected[:10], (a, b))

    def compare_history(self, client, a2a):
        days = self.random.choice((0, 1, 5, 30))
        start = datetime.datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start -= datetime.timedelta(days=days)
        by_day = collections.Counter()
        for row in a2a:
            if row.parent == client and row.at >= start:
                by_day[row.at.strftime("%Y-%m-%dT00:00:00Z"), row.status < 400] += 1
        expected = [
            {
                "day": day,
                "success_count": by_day[day, True],
                "error_count": by_day[day, False],
            }
            for day in sorted({day for day, _ in by_day})
        ]
        got = self.ok("get_a2a_client_usage_history", client_id=client, days=days)
        self.assertEqual([{**one, "day": one["day"][:19] + "Z"} for one in got], expected)

    def rolled_up(self):
        for table in ("api_key_usage", "a2a_usage"):
            ((behind, changes),) = self.other(
                f"SELECT (SELECT count(*) FROM {table} WHERE id > last_id), "
                f"(SELECT count(*) FROM {table}_changes) "
                f"FROM usage_rolled WHERE source = '{table}'"
            )
            if int(behind) or int(changes):
                return False
        ((summing,),) = self.other(
            "SELECT count(*) FROM usage_rolled WHERE days_next IS NOT NULL OR days_to < "
            + ("unixepoch('now', '-25 hours') / 3600" if SQLITE else "now() - interval '25 hours'")
        )
        return int(summing) == 0

    def test_counts_are_those_of_the_rows(self):
        self.parents = {
            "api_keys": self.numbers("api_keys", self.keys),
            "a2a_clients": self.numbers("a2a_clients", self.clients),
        }
        for _ in range(ROUNDS):
            for _ in range(self.random.randrange(5, 40)):
                self.change()
            self.compare()
            if self.random.random() < 0.6:
                self.within(60 * SLOW, self.rolled_up)
                self.compare()
        self.within(60 * SLOW, self.rolled_up)
        self.compare()
        for place in (2, 0):
            self.delete_key(self.keys[place], cascade=place == 0)
            self.compare()
            self.within(60 * SLOW, self.rolled_up)
            self.compare()

    def delete_key(self, key, cascade):
        """On SQLite another program need not enforce foreign keys: the rows stay."""
        self.owned.remove(key)
        statement = f"DELETE FROM api_keys WHERE id = {quoted(key)}"
        if not SQLITE or not cascade:
            self.other(statement)
            return
        with contextlib.closing(sqlite3.connect(self.daemon.database.path, timeout=30)) as other:
            other.execute("PRAGMA foreign_keys = ON")
            with other:
                other.execute(statement)


if SQLITE:

    class OddValues(Counts):
        """A column of SQLite holds values of any type."""

        def test_counts_are_those_of_the_rows(self):
            self.parents = {
                "api_keys": self.numbers("api_keys", self.keys),
                "a2a_clients": self.numbers("a2a_clients", self.clients),
            }
            for _ in range(200):
                self.change()
            self.within(60 * SLOW, self.rolled_up)
            for before in (True, False):  # the step
                id = 10**6 + (not before)
                self.insert("api_key_usage", KEY, {0: quoted(self.keys[0])}, id=id)
                at = self.base - 30 * HOUR
                self.other(
                    f"UPDATE api_key_usage SET timestamp = {quoted(text(at))}, "
                    f"status_code = 'many' WHERE id = {id}"
                )
                if not before:
                    self.within(60 * SLOW, self.rolled_up)
                named = {"api_key_id": self.keys[0], "start_date": text(at - 5 * HOUR)}
                self.refused(
                    "storage", "get_api_key_usage_stats", end_date=text(at + 5 * HOUR), **named
                )
                self.ok("get_api_key_usage_stats", end_date=text(at), **named)
                self.ok(
                    "get_api_key_usage_stats",
                    api_key_id=self.keys[0],
                    start_date=text(at + datetime.timedelta(microseconds=1)),
                    end_date=text(at + 5 * HOUR),
                )
                self.other(f"DELETE FROM api_key_usage WHERE id = {id}")
                self.compare()
            self.within(60 * SLOW, self.rolled_up)
            self.compare()
