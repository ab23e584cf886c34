"""Single measurements: the daemon under a load, and every peer. Each returns a dict with at least
rate, p50 and p99 (µs)."""

import concurrent.futures
import csv
import json
import os
import pathlib
import re
import tempfile

from servers import ROOT, BenchError, run, tool


class Bench:
    """The programs, the prepared calls and the length of one measurement."""

    def __init__(self, build, folder, seconds):
        self.build = pathlib.Path(build)
        self.folder = pathlib.Path(folder)
        self.seconds = seconds
        self.rust_programs = {}  # of the crate's benches, by name
        self.rates = {}  # of each probe so far: the number of calls that fill the time

    def program(self, name):
        return self.build / "tests" / "bench" / name

    def calls_for(self, probe, once, first):
        """Returns how many calls last about as long as a measurement should; a short run determines
        it the first time."""
        if probe not in self.rates:
            self.rates[probe] = once(first)["rate"]
        return max(int(self.rates[probe] * self.seconds), 200)

    def timed(self, probe, once, first=2000):
        outcome = once(self.calls_for(probe, once, first))
        self.rates[probe] = outcome["rate"]
        return outcome

    def daemon(self, probe, daemon, call, clients, pipeline, calls=None):
        """Measures the daemon with `pierre-dbctl bench`; adds the daemon's CPU time per call."""

        def once(count):
            before = daemon.cpu_seconds()
            found = json.loads(
                run(
                    [
                        self.build / "client" / "pierre-dbctl",
                        "--socket",
                        daemon.socket,
                        "--json",
                        "bench",
                        *call,
                        "-c",
                        clients,
                        "-P",
                        pipeline,
                        "-n",
                        count,
                    ]
                )
            )
            return {
                "rate": found["calls_per_second"],
                **found["microseconds"],
                "cpu": (daemon.cpu_seconds() - before) * 1e6 / count,
            }

        return once(calls) if calls else self.timed(probe, once, 20000 if pipeline > 1 else 5000)

    def daemons(self, probe, daemons, call, clients, pipeline):
        """Measures several daemons on one database at once, each with its share of the clients: the
        sum of the rates, and the times of the slowest one."""

        def once(count):
            share = count // len(daemons)
            before = sum(daemon.cpu_seconds() for daemon in daemons)
            with concurrent.futures.ThreadPoolExecutor(len(daemons)) as pool:
                found = [
                    json.loads(text)
                    for text in pool.map(
                        lambda daemon: run(
                            [
                                self.build / "client" / "pierre-dbctl",
                                "--socket",
                                daemon.socket,
                                "--json",
                                "bench",
                                *call,
                                "-c",
                                clients // len(daemons),
                                "-P",
                                pipeline,
                                "-n",
                                share,
                            ]
                        ),
                        daemons,
                    )
                ]
            return {
                "rate": sum(one["calls_per_second"] for one in found),
                **{
                    name: max(one["microseconds"][name] for one in found) for name in ("p50", "p99")
                },
                "cpu": (sum(daemon.cpu_seconds() for daemon in daemons) - before)
                * 1e6
                / (share * len(daemons)),
            }

        return self.timed(probe, once, 20000)

    def at_rate(self, server, lines, clients, pipeline, rate, calls, redis=False):
        """Measures the daemon, or Redis, with calls that are sent when they are due, not when there
        is room for them."""
        return from_json(
            run(
                [
                    self.program("bench-load"),
                    "--socket",
                    server.socket,
                    "--lines",
                    lines,
                    "--clients",
                    clients,
                    "--pipeline",
                    pipeline,
                    "--calls",
                    calls,
                    "--rate",
                    rate,
                    "--redis",
                    "yes" if redis else "no",
                ]
            )
        )

    def redis(self, probe, redis, clients, pipeline, command):
        def once(count):
            text = run(
                [
                    tool("redis-benchmark"),
                    "-s",
                    redis.socket,
                    "-c",
                    clients,
                    "-P",
                    pipeline,
                    "-n",
                    count,
                    "-r",
                    100000,
                    "--csv",
                    "--precision",
                    3,
                    *command,
                ]
            )
            row = next(csv.DictReader(text.splitlines()))
            return {
                "rate": float(row["rps"]),
                "p50": float(row["p50_latency_ms"]) * 1e3,
                "p99": float(row["p99_latency_ms"]) * 1e3,
            }

        return self.timed(probe, once, 20000)

    def in_process(self, probe, database, method, keys, group):
        def once(count):
            return from_json(
                run(
                    [
                        self.program("bench-in-process"),
                        "--target",
                        database,
                        "--method",
                        method,
                        "--keys",
                        keys,
                        "--group",
                        group,
                        "--calls",
                        count,
                    ]
                )
            )

        return self.timed(probe, once, 1000)

    def library(self, probe, daemon, keys):
        """Measures the client library: one call after the other."""

        def once(count):
            return from_json(
                run(
                    [
                        self.program("bench-library"),
                        "--target",
                        daemon.socket,
                        "--method",
                        "get_user",
                        "--keys",
                        keys,
                        "--calls",
                        count,
                    ]
                )
            )

        return self.timed(probe, once)

    def rust_program(self, name):
        """A program of the Rust crate's benches, built when a probe needs it first."""
        if name not in self.rust_programs:
            text = run(
                [
                    tool("cargo"),
                    "bench",
                    "--offline",
                    "--no-run",
                    "--message-format=json",
                    f"--bench={name}",
                ],
                cwd=ROOT / "client" / "rust",
                env={
                    **os.environ,
                    "PIERRE_DB_LIB_DIR": str(self.build / "client"),
                    "CARGO_TARGET_DIR": str(self.build / "rust"),
                },
            )
            built = [json.loads(line).get("executable") for line in text.splitlines()]
            self.rust_programs[name] = next(one for one in built if one and f"/{name}-" in one)
        return self.rust_programs[name]

    def rust(self, probe, daemon, method, keys, tasks, pipeline):
        """Measures the Rust crate: tasks that share one client."""

        def once(count):
            return from_json(
                run(
                    [
                        self.rust_program("load"),
                        "--target",
                        daemon.socket,
                        "--method",
                        method,
                        "--keys",
                        keys,
                        "--tasks",
                        tasks,
                        "--pipeline",
                        pipeline,
                        "--calls",
                        count,
                    ]
                )
            )

        return self.timed(probe, once, 20000 if tasks > 1 else 5000)

    def rust_private(self):
        """Measures the starts of private daemons, each to its first answer."""
        daemon = str(self.build / "daemon" / "pierre-dbd")
        return from_json(
            run(
                [self.rust_program("private"), "--starts", 25],
                env={**os.environ, "PIERRE_DBD": daemon},
            )
        )

    def pipeline(self, probe, postgres, method, keys):
        def once(count):
            return from_json(
                run(
                    [
                        self.program("bench-pipeline"),
                        "--target",
                        conninfo(postgres),
                        "--method",
                        method,
                        "--keys",
                        keys,
                        "--connections",
                        4,
                        "--group",
                        32,
                        "--calls",
                        max(count, 128),
                    ]
                )
            )

        return self.timed(probe, once, 20000)

    def pgbench(self, postgres, script, variables, clients, protocol="prepared", threads=1):
        """Runs pgbench for a time. Its median comes from a log of some transactions, whose cost is
        negligible."""
        with tempfile.TemporaryDirectory(dir=self.folder) as logs:
            defined = [
                part for name, value in variables.items() for part in ("-D", f"{name}={value}")
            ]
            text = run(
                [
                    tool("pgbench"),
                    "-n",
                    "-M",
                    protocol,
                    "-c",
                    clients,
                    "-j",
                    threads,
                    "-T",
                    max(1, round(self.seconds)),
                    "-f",
                    script,
                    *defined,
                    "-h",
                    postgres["host"],
                    "-p",
                    postgres["port"],
                    "-U",
                    postgres["user"],
                    "-l",
                    "--sampling-rate",
                    1.0 if clients == 1 else 0.05,
                    "--log-prefix",
                    f"{logs}/log",
                    postgres["database"],
                ],
                env=environment(postgres),
                cwd=logs,
            )
            times = sorted(
                int(line.split()[2])
                for log in pathlib.Path(logs).glob("log*")
                for line in log.read_text().splitlines()
            )
        rate = re.search(r"^tps = ([0-9.]+)", text, re.M)
        failed = re.search(r"^number of failed transactions: ([0-9]+)", text, re.M)
        if rate is None or not times or (failed and failed.group(1) != "0"):
            raise BenchError(f"pgbench said: {text[-500:]}")
        return {
            "rate": float(rate.group(1)),
            "p50": float(times[len(times) // 2]),
            "p99": float(times[len(times) * 99 // 100]),
        }


def from_json(text):
    outcome = json.loads(text)
    return {
        "rate": outcome["calls_per_second"],
        "p50": outcome["p50_us"],
        "p90": outcome["p90_us"],
        "p99": outcome["p99_us"],
        "p999": outcome["p999_us"],
        "max": outcome["max_us"],
        "calls": outcome["calls"],
    }


def environment(postgres):
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    if postgres.get("password"):
        variables["PGPASSWORD"] = postgres["password"]
    return variables


def conninfo(postgres):
    parts = {
        "host": postgres["host"],
        "port": postgres["port"],
        "user": postgres["user"],
        "dbname": postgres["database"],
    }
    if postgres.get("password"):
        parts["password"] = postgres["password"]
    return " ".join(f"{name}={value}" for name, value in parts.items())


def statements(build):
    """Returns the daemon's statements by method, as bench-statements prints them."""
    lines = run([pathlib.Path(build) / "tests" / "bench" / "bench-statements"]).splitlines()
    return {one["method"]: one for one in map(json.loads, lines) if not one["part"]}


def pgbench_script(statement):
    """Replaces PostgreSQL's $1, $2 … by pgbench's variables with the parameters' names."""
    names = [name for name, _ in statement["postgres_slots"]]
    return (
        re.sub(
            r"\$([0-9]+)",
            lambda found: ":" + names[int(found.group(1)) - 1],
            " ".join(statement["postgres"].split()),
        )
        + ";\n"
    )
