"""The benchmark: pierre-dbd and its peers alternately, several rounds, one table of medians and
ratios.

usage: scripts/bench [--quick] [--rounds N] [--seconds S] [--only TEXT] [--skip-beside] [--large]
                     [--users N] [--build FOLDER] [--folder FOLDER] [--keep] [--dry]
"""

import argparse
import json
import shutil
import subprocess
import sys

import beside
from measure import Bench
from rows import HEADINGS, TARGETS, cells, evaluate, markdown, put_between
from servers import ROOT, BenchError
from setting import ROWS, Setting, workspace

DOCUMENT = ROOT / "docs" / "performance.md"


def probes(bench, setting):
    """Returns every probe by name, each next to the one it is compared with: (parts that it needs,
    the measurement)."""

    def sqlite(call, clients, pipeline):
        return {"sqlite"}, lambda name: bench.daemon(
            name, setting.sqlite, getattr(setting.calls, call), clients, pipeline
        )

    def unsealed(call):
        return {"unsealed"}, lambda name: bench.daemon(
            name, setting.unsealed, getattr(setting.calls, call), 64, 16
        )

    def postgres(call, clients, pipeline):
        return {"postgres"}, lambda name: bench.daemon(
            name, setting.postgres_daemon, getattr(setting.calls, call), clients, pipeline
        )

    def far(call, clients, pipeline, daemon="far_daemon"):
        """The database is 5 ms away."""
        return {"postgres", "far"}, lambda name: bench.daemon(
            name, getattr(setting, daemon), getattr(setting.calls, call), clients, pipeline
        )

    def far_pgbench(script):
        return {"postgres", "far"}, lambda name: bench.pgbench(
            setting.far,
            getattr(setting, f"{script}_script"),
            getattr(setting, f"{script}_variables"),
            64,
            connecting=5,
        )

    def scaled(probe, factor):
        """Counted in requests, or in rows, of which a call is so many."""
        parts, measurement = probe

        def once(name):
            found = measurement(name)
            return {**found, "rate": found["rate"] * factor}

        return parts, once

    def several(count):
        """Updates rows of 2,000 users through that many daemons."""
        return {"postgres", "several"}, lambda name: bench.daemons(
            name, setting.postgres_daemons[:count], setting.calls.update_token, 48, 6
        )

    def redis(clients, pipeline, *command):
        return {"redis"}, lambda name: bench.redis(name, setting.redis, clients, pipeline, command)

    def in_process(method, keys, group):
        return {"in-process"}, lambda name: bench.in_process(
            name, setting.database("in-process"), method, getattr(setting, keys), group
        )

    def rust(method, keys, tasks, pipeline):
        return {"sqlite"}, lambda name: bench.rust(
            name, setting.sqlite, method, getattr(setting, keys), tasks, pipeline
        )

    def pgbench(script, clients):
        return {"postgres"}, lambda name: bench.pgbench(
            setting.postgres,
            getattr(setting, f"{script}_script"),
            getattr(setting, f"{script}_variables"),
            clients,
        )

    return {
        "ping 64x1": sqlite("ping", 64, 1),
        "redis ping 64x1": redis(64, 1, "PING"),
        "ping 64x16": sqlite("ping", 64, 16),
        "redis ping 64x16": redis(64, 16, "PING"),
        "ping 1x1": sqlite("ping", 1, 1),
        "sqlite get 64x1": sqlite("get", 64, 1),
        "in-process get": in_process("get_user", "user_keys", 1),
        "sqlite get 64x16": sqlite("get", 64, 16),
        "sqlite get 1x1": sqlite("get", 1, 1),
        "redis get 1x1": redis(1, 1, "GET", "user:__rand_int__"),
        "sqlite record 64x1": sqlite("record", 64, 1),
        "in-process insert 1": in_process("record_api_key_usage", "api_keys", 1),
        "sqlite record 64x16": sqlite("record", 64, 16),
        "in-process insert 128": in_process("record_api_key_usage", "api_keys", 128),
        "update token 64x16": sqlite("update_token", 64, 16),
        "unsealed update token 64x16": unsealed("update_token"),
        "get token 64x16": sqlite("get_token", 64, 16),
        "unsealed get token 64x16": unsealed("get_token"),
        "sqlite mixed 64x4": sqlite("mixed", 64, 4),
        "postgres get 64x1": postgres("get", 64, 1),
        "pgbench get 64": pgbench("get", 64),
        "pgbouncer get 64": (
            {"postgres", "pgbouncer"},
            lambda name: bench.pgbench(
                setting.bouncer, setting.get_script, setting.get_variables, 64, "extended"
            ),
        ),
        "pgbench get 64, two threads": (
            {"postgres"},
            lambda name: bench.pgbench(
                setting.postgres, setting.get_script, setting.get_variables, 64, threads=2
            ),
        ),
        "postgres get 64x16": postgres("get", 64, 16),
        "pipeline get": (
            {"postgres"},
            lambda name: bench.pipeline(name, setting.postgres, "get_user", setting.user_keys),
        ),
        "postgres get 1x1": postgres("get", 1, 1),
        "pgbench get 1": pgbench("get", 1),
        "postgres record 64x1": postgres("record", 64, 1),
        "pgbench record 64": pgbench("record", 64),
        "postgres record 64x16": postgres("record", 64, 16),
        "sqlite once 64x1": sqlite("record_once", 64, 1),
        "sqlite once 64x16": sqlite("record_once", 64, 16),
        "postgres once 64x1": postgres("record_once", 64, 1),
        "postgres once 64x16": postgres("record_once", 64, 16),
        "postgres mixed 64x4": postgres("mixed", 64, 4),
        "far get 64x1": far("get", 64, 1),
        "far pgbench get 64": far_pgbench("get"),
        "far record 64x1": far("record", 64, 1),
        "far pgbench record 64": far_pgbench("record"),
        "far once 64x1": far("record_once", 64, 1),
        "far once 64x1, before": far("record_once", 64, 1, "far_before"),
        "far get 64x1, before": far("get", 64, 1, "far_before"),
        "far record 64x1, before": far("record", 64, 1, "far_before"),
        **{
            f"{name} request in {words} {clients}x1": scaled(
                backend(f"{words}_calls", clients, 1), 1 / count
            )
            for name, backend in (("sqlite", sqlite), ("postgres", postgres))
            for words, count in (("two", 2), ("seven", 7))
            for clients in (1, 64)
        },
        "sqlite rows 8x1": scaled(sqlite("record_many", 8, 1), ROWS),
        "postgres rows 8x1": scaled(postgres("record_many", 8, 1), ROWS),
        "rust get 64x16": rust("get_user", "user_keys", 64, 16),
        "rust get 64x1": rust("get_user", "user_keys", 64, 1),
        "rust record 64x16": rust("record_api_key_usage", "api_keys", 64, 16),
        "rust record 64x1": rust("record_api_key_usage", "api_keys", 64, 1),
        "rust get 1x1": rust("get_user", "user_keys", 1, 1),
        "rust private": (set(), lambda name: bench.rust_private()),
        "library get 1x1": (
            {"sqlite"},
            lambda name: bench.library(name, setting.sqlite, setting.user_keys),
        ),
        "one daemon": several(1),
        "two daemons": several(2),
        "three daemons": several(3),
    }


def chosen_probes(only, before):
    """Returns the probes of the targets whose name, call or backend contains one of the texts; all
    of them without a text. before: whether there is another daemon to compare with."""
    names = []
    for target in TARGETS:
        texts = (target.call, target.probe, target.peer)
        if not only or any(text.lower() in one.lower() for text in only for one in texts):
            names += [name for name in (target.probe, target.peer) if name and name not in names]
    return [name for name in names if before or not name.endswith(", before")]


def measure(names, table, rounds, say):
    """Runs all probes in turn, so that other load on the machine affects the daemon and its peers
    alike."""
    results = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            say(f"round {number + 1} of {rounds}: {name}")
            results[name].append(table[name][1](name))
    return results


def build(folder, say):
    if folder:
        return ROOT / folder
    say("building with optimisation …")
    for command in (
        ["scripts/setup", "bench"],
        ["scripts/build", "build-bench", "-Dbuildtype=release", "-Dtests=disabled"],
    ):
        done = subprocess.run(command, cwd=ROOT, check=False)
        if done.returncode != 0:
            raise BenchError(f"{' '.join(command)} failed")
    return ROOT / "build-bench"


def arguments(argv):
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures pierre-dbd against what users would "
        "pick instead, prints one table and writes it to docs/performance.md.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of short measurements: a look, not a result"
    )
    parser.add_argument(
        "--rounds", type=int, default=None, help="rounds of all measurements (default 5)"
    )
    parser.add_argument(
        "--seconds", type=float, default=None, help="length of one measurement (default 3)"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="only rows that contain this text; repeatable",
    )
    parser.add_argument(
        "--skip-beside",
        action="store_true",
        help="leave out latency under half load, CPU, memory and start",
    )
    parser.add_argument(
        "--large", action="store_true", help="also with 10 million users and 10 million usage rows"
    )
    parser.add_argument(
        "--large-rows", type=int, default=10_000_000, metavar="N", help="that many instead"
    )
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--api-keys", type=int, default=1_000)
    parser.add_argument(
        "--build", help="an existing build folder to measure instead of building one"
    )
    parser.add_argument(
        "--before",
        metavar="BINARY",
        help="another pierre-dbd: its figures come first in the table of bystanders, and it is "
        "measured in turn with this one where the database is far away",
    )
    parser.add_argument("--folder", help="where databases go (default: a temporary folder on disk)")
    parser.add_argument("--keep", action="store_true", help="keep that folder")
    parser.add_argument(
        "--dry", action="store_true", help="print only; leave docs/performance.md alone"
    )
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (1.0 if options.quick else 3.0)
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def report(options, results, tables):
    outcomes = evaluate(results)
    parts = [markdown(HEADINGS, [cells(outcome) for outcome in outcomes])] if outcomes else []
    parts += [f"### {title}\n\n{markdown(headings, rows)}" for title, headings, rows in tables]
    text = "\n\n".join(parts)
    print(text)
    missed = [outcome.target for outcome in outcomes if not outcome.met]
    say(f"{len(outcomes) - len(missed)} of {len(outcomes)} targets met")
    if not (options.dry or options.quick or options.only or options.skip_beside):
        DOCUMENT.write_text(
            put_between(DOCUMENT.read_text(), text, () if options.large else beside.LARGE_TITLES)
        )
        say(f"written to {DOCUMENT.relative_to(ROOT)}")


def main(argv):
    options = arguments(argv)
    folder, temporary = workspace(options.folder)
    try:
        bench = Bench(build(options.build, say), folder, options.seconds)
        names = chosen_probes(options.only, options.before)
        setting = Setting(
            bench.build, folder, options.users, options.api_keys, set(), options.before
        )
        table = probes(bench, setting)
        setting.wanted = set().union(*(table[name][0] for name in names)) | {"sqlite"}
        say("making databases and starting servers …")
        with setting:
            results = measure(names, table, options.rounds, say)
            (folder / "results.json").write_text(json.dumps(results, indent=1))
            tables = (
                []
                if options.skip_beside
                else beside.all_tables(bench, setting, say, options.before)
            )
        if options.large:
            tables += beside.large_tables(bench, folder, options.large_rows, say)
        report(options, results, tables)
    except BenchError as problem:
        say(f"scripts/bench: {problem}")
        return 1
    finally:
        if temporary and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
