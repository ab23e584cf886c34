"""The figures behind docs/design.md, "No cache, no document store": what BSON does to documents,
and what queries by JSON path cost with an index and without.

usage: python3 tests/bench/decisions.py BUILD [--bson FOLDER] [--goals N]
FOLDER is where `npm install bson` ran; without it the first part is left out. The figures about
Redis come from `scripts/bench --only "redis get 1x1" --only "postgres get 1x1"`.
"""

import argparse
import collections
import json
import math
import pathlib
import statistics
import subprocess
import sys
import time

import seed
from servers import ROOT, BenchError, Client, Daemon
from setting import PostgresServer, workspace

sys.path.insert(0, str(ROOT / "tests" / "differential"))
from generator import NUMBERS  # noqa: E402

# A document each; the numbers are those of the differential test.
DOCUMENTS = [f'{{"value":{number}}}' for number in NUMBERS] + [
    '{"$set":{"a":1}}',
    '{"$oid":"not an id"}',
    '{"$numberLong":"7"}',
    '{"$date":"2026-01-01T00:00:00Z"}',
    '{"a.b":1}',
    '{"":1}',
    '{"a\\u0000b":1}',
    '{"__proto__":1}',
]
# Through Extended JSON to BSON and back, as a driver that is given a text does.
ROUND_TRIP = """
const {BSON, EJSON} = require('bson');
const lines = require('fs').readFileSync(0, 'utf8').split('\\n');
for (const line of lines) {
  try {
    console.log(EJSON.stringify(BSON.deserialize(BSON.serialize(
      EJSON.parse(line, {relaxed: false})), {promoteValues: false})));
  } catch (problem) {
    console.log('refused');
  }
}
"""
QUERY = "SELECT id FROM goals WHERE document @? '$ ? (@.plan.race == \"race 77\")'"
INDEX = "CREATE INDEX goals_document ON goals USING gin (document jsonb_path_ops)"


def exact(text):
    """A value that is equal only for the same document: -0 is not 0, and 1.0 is not 1."""

    def number(word):
        return ("double", word) if math.isinf(float(word)) else ("double", float(word).hex())

    return json.loads(text, parse_float=number, parse_int=lambda word: ("integer", word))


def bson(folder):
    done = subprocess.run(
        ["node", "-e", ROUND_TRIP],
        input="\n".join(DOCUMENTS),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    found = collections.defaultdict(list)
    for before, after in zip(DOCUMENTS, done.stdout.splitlines()):
        what = "refused" if after == "refused" else "altered"
        if after == "refused" or exact(before) != exact(after):
            found[what].append(f"{before} → {after}")
    print(
        f"of {len(DOCUMENTS)} documents BSON refused {len(found['refused'])}, "
        f"altered {len(found['altered'])}:"
    )
    for line in [*found["refused"], *found["altered"]]:
        print(f"  {line}")


def median_ms(server, statement, count=15):
    """As psql's \\timing tells, without its start."""
    text = seed.psql(server, "\\timing on\n" + f"{statement};\n" * count, {})
    times = [float(line.split()[1]) for line in text.splitlines() if line.startswith("Time:")]
    return statistics.median(times)


def median_write_us(daemon, user, count=1500):
    with Client(daemon.socket) as client:
        times = []
        for number in range(count):
            goal = {"title": "Run", "plan": {"race": f"race {number}", "weeks": number % 20}}
            began = time.monotonic()
            client.call("create_goal", [user, goal])
            times.append((time.monotonic() - began) * 1e6)
    return statistics.median(times)


def queries(build, folder, goals):
    with PostgresServer(str(folder)) as server:
        place = server.connection()
        daemon = Daemon(build, folder, server.url, name="decisions")
        with daemon:
            seed.postgres(place, {"users": 1000})
            seed.psql(
                place,
                "INSERT INTO goals (user_id, title, goal_type, target_value, created_at, "
                "updated_at, document) SELECT u.id, 'Run', 'distance', 42, now(), now(), "
                "jsonb_build_object('title', 'Run', 'plan', jsonb_build_object('race', "
                "'race ' || i % 5000, 'weeks', i % 20)) FROM generate_series(1, :goals) AS n(i) "
                "JOIN (SELECT id, row_number() OVER () AS number FROM users) AS u "
                "ON u.number = 1 + i % 1000; VACUUM ANALYZE goals;",
                {"goals": goals},
            )
            user = seed.user_id(1)
            for words, prepare in (("without an index", ""), ("with the index", INDEX + ";")):
                if prepare:
                    seed.psql(place, prepare, {})
                print(
                    f"{goals:,} goals, {words}: a query by path {median_ms(place, QUERY):.2f} ms, "
                    f"create_goal {median_write_us(daemon, user):.0f} µs"
                )
            size = seed.psql(
                place,
                "SELECT pg_size_pretty(pg_relation_size('goals_document')) || ' beside ' || "
                "pg_size_pretty(pg_relation_size('goals'));",
                {},
            )
            print(f"the index: {' '.join(size.split())}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("build")
    parser.add_argument("--bson", type=pathlib.Path)
    parser.add_argument("--goals", type=int, default=200_000)
    options = parser.parse_args()
    folder, _ = workspace()
    try:
        if options.bson:
            bson(options.bson)
        queries(pathlib.Path(options.build).resolve(), folder, options.goals)
    except BenchError as problem:
        sys.exit(f"decisions.py: {problem}")
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=False)


if __name__ == "__main__":
    main()
