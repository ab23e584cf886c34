"""The counts of one key that has many rows: what a request's check and a dashboard's month cost at
a thousand rows, and at ten million; and what a year costs at a million.

usage: python3 tests/bench/counts.py BUILD [ROWS…]
It prints a table; scripts/bench --large makes the same one."""
import datetime
import os
import pathlib
import shutil
import sys
import tempfile
import time

import seed
from rows import markdown, median
from servers import Client, Daemon, wait_until
from setting import PostgresServer

TITLE = "Counts of one key"
SIZES = (1_000, 100_000, 1_000_000, 10_000_000)
MONTH, YEAR = 30, 365  # days
YEAR_ROWS = 1_000_000
REPEATS = 25
HEADINGS = ("method", "backend", "rows", "median", "slowest", "target", "met")

# Rows at equal distances over the last days, in the order of their times.
SQLITE = """
INSERT INTO api_key_usage (api_key_id, timestamp, tool_name, response_time_ms, status_code)
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
SELECT :key, strftime('%Y-%m-%dT%H:%M:%S', :now - (:days * 86400 * (:count - i)) / :count,
  'unixepoch') || '.500000+00:00', 'tool' || (i % 12), i % 900,
  CASE WHEN i % 20 = 0 THEN 500 ELSE 200 END
FROM n"""
POSTGRES = """
INSERT INTO api_key_usage (api_key, timestamp, tool_name, response_time_ms, status_code)
SELECT 1, to_timestamp(:now - (:days * 86400 * (:count - i)) / :count + 0.5), 'tool' || (i % 12),
  i % 900, CASE WHEN i % 20 = 0 THEN 500 ELSE 200 END
FROM generate_series(1::bigint, :count) AS n(i);
ANALYZE;"""
# Rows that are not rolled up, and whether days are not summed that ended more than an hour ago.
BEHIND = (
    "SELECT (SELECT COALESCE(max(id), 0) FROM api_key_usage) - last_id + "
    "(days_to < (unixepoch('now') / 3600 - 1) / 24 * 24) FROM usage_rolled "
    "WHERE source = 'api_key_usage'"
)


def text(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def calls(key, user, now, days):
    """Each call with its target in ms. A month whose ends are full hours, and one whose ends are
    not: rows of up to half an hour at each end are then read. Of a year the statistics alone."""
    end = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    whole = end.replace(minute=0, second=0)
    odd = whole - datetime.timedelta(minutes=31, microseconds=1)
    month = datetime.timedelta(days=days)
    between = [text(whole - month), text(whole)]
    if days == YEAR:
        return {"get_api_key_usage_stats, a year": ("get_api_key_usage_stats", [key, *between], 10)}
    divided = [text(odd - month + datetime.timedelta(hours=1)), text(odd)]
    return {
        "get_api_key_current_usage": ("get_api_key_current_usage", [key], 1),
        "get_api_key_usage_stats, a month": ("get_api_key_usage_stats", [key, *between], 10),
        "get_api_key_usage_stats, its ends within an hour": (
            "get_api_key_usage_stats",
            [key, *divided],
            None,
        ),
        "get_top_tools_analysis, a month": ("get_top_tools_analysis", [user, *between], 10),
        "get_user_usage_series, a month by days": (
            "get_user_usage_series",
            [user, *between, "day"],
            10,
        ),
    }


def times(daemon, method, params):
    with Client(daemon.socket, timeout=600) as client:
        client.call(method, params)
        taken = []
        for _ in range(REPEATS):
            began = time.monotonic()
            client.call(method, params)
            taken.append((time.monotonic() - began) * 1e3)
    return median(taken), max(taken)


def fill_sqlite(path, key, count, now, days):
    with seed.opened(path) as database:
        for first in range(1, count + 1, 1_000_000):
            database.execute(
                SQLITE,
                {
                    "key": key,
                    "now": now,
                    "count": count,
                    "days": days,
                    "first": first,
                    "last": min(first + 999_999, count),
                },
            )


def behind_sqlite(path):
    with seed.opened(path) as database:
        return database.execute(BEHIND).fetchone()[0]


def fill_postgres(server, count, now, days):
    seed.psql(server, POSTGRES, {"now": now, "count": count, "days": days})
    while int(seed.psql(server, "SELECT roll_up_api_key_usage(200000)") or 1) > 0:
        pass


def one_size(build, folder, server, backend, count, days=MONTH):
    """Returns the rows of the table for one backend and number of rows."""
    name, now = f"counts-{count}-{days}", int(time.time())
    key, user = seed.api_key_id(1), seed.key_owner(1, 1)
    path = folder / f"{name}.db"
    database = name.replace("-", "_")
    url = f"sqlite://{path}" if backend == "SQLite" else server.create_database(database)
    daemon = Daemon(build, folder, url, name=f"{name}-{backend}")
    with daemon:
        pass  # it has made the tables
    parents = {"users": 1, "api_keys": 1}
    if backend == "SQLite":
        seed.sqlite(path, parents)
        fill_sqlite(path, key, count, now, days)
    else:
        seed.postgres(server.connection(database), parents)
        fill_postgres(server.connection(database), count, now, days)
    found = []
    with daemon:
        if backend == "SQLite":
            wait_until(
                lambda: behind_sqlite(path) == 0, "rolling up", daemon.process, 1800, pause=0.5
            )
        for words, (method, params, target) in calls(key, user, now, days).items():
            middle, slowest = times(daemon, method, params)
            found.append(
                (
                    words,
                    backend,
                    f"{count:,}",
                    f"{middle:,.2f} ms",
                    f"{slowest:,.2f} ms",
                    f"below {target} ms" if target else "stated",
                    ("yes" if middle < target else "**no**") if target else "",
                )
            )
    if backend == "SQLite":
        for end in ("", "-wal", "-shm"):
            (folder / f"{name}.db{end}").unlink(missing_ok=True)
    return found


def table(build, folder, server, sizes, say):
    found = []
    for backend in ("SQLite", "PostgreSQL"):
        for count in sizes:
            say(f"counts of {count:,} rows of one key, {backend}: filling …")
            found += one_size(build, folder, server, backend, count)
        say(f"counts of a year, {backend}: filling …")
        found += one_size(build, folder, server, backend, YEAR_ROWS, YEAR)
    return TITLE, HEADINGS, found


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        sys.exit(__doc__)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pierre-counts-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        with PostgresServer(folder) as server:
            _, headings, found = table(
                pathlib.Path(arguments[0]).resolve(),
                folder,
                server,
                [int(number) for number in arguments[1:]] or SIZES,
                lambda words: print(words, file=sys.stderr, flush=True),
            )
        print(markdown(headings, found))
        print("load", *(f"{load:.1f}" for load in os.getloadavg()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
