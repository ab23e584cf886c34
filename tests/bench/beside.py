"""Measurements outside of the table of ratios: latency under half load, CPU time and system calls
per call, memory, start."""

import concurrent.futures
import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
import uuid

import counts as key_counts
import seed
from bystander import bystanders
from measure import Bench
from rows import median
from servers import BenchError, Client, Daemon, run, tool
from setting import PostgresServer

IDLE_CONNECTIONS = 1000
MANY_CALLS = 10_000_000
BULK_CLIENTS, BULK_DOCUMENTS, BULK_BYTES = 4, 100, 1_000_000
# titles of the tables that only --large makes
LARGE_TITLES = ("Many users", "Aggregates over", key_counts.TITLE)
LARGE_BYTES = (
    5_000  # of disk for each row of large_tables: three tables, their indexes, both databases' logs
)


def all_tables(bench, setting, say, before=None):
    tables = []
    backends = [("SQLite", setting.sqlite)] + (
        [("PostgreSQL", setting.postgres_daemon)] if "postgres" in setting.wanted else []
    )
    tables.append(half_load(bench, setting, backends, say))
    tables.append(stalls(bench, say))
    tables.append(bystanders(bench, setting, [name for name, _ in backends], before, say))
    tables.append(costs(bench, setting, backends, say))
    tables.append(resources(bench, setting, backends, say))
    return tables


# of two seconds at most, at half of the peak rate: an interruption by the host affects only one
# window
WINDOWS = 5


def half_load(bench, setting, backends, say):
    """Measures the peak of each shape, then half of it, with calls sent when they are due. For
    comparison it also measures the machine itself: pings at the rate of the first method's calls,
    to the daemon and to Redis, which cost next to nothing; and commits of a program that does
    nothing else."""
    rows = []

    def row(words, shape, rate, one, target):
        one(max(1000, int(rate)))  # the data of many look-ups is cached
        windows = [one(max(1000, int(rate * min(bench.seconds, 2.0)))) for _ in range(WINDOWS)]
        p50, p90, p99 = (
            f"{median([window[mark] for window in windows]):,.0f} µs"
            for mark in ("p50", "p90", "p99")
        )
        ratio = median([window["p99"] / window["p50"] for window in windows])
        rows.append(
            (
                words,
                shape,
                f"{rate:,.0f}/s",
                p50,
                p90,
                p99,
                f"{ratio:.1f}",
                "below 5" if target else "stated",
                ("yes" if ratio < 5 else "**no**") if target else "",
            )
        )

    def at(server, lines, pipeline, rate, redis=False):
        return lambda calls: bench.at_rate(
            server, setting.calls.lines[lines], 64, pipeline, rate, calls, redis
        )

    for pipeline in (1, 16):
        shape = f"64, {pipeline}"
        for backend, daemon in backends:
            for call in ("get", "record", "mixed"):
                say(f"half load: {call}, {backend}, {shape}")
                rate = (
                    bench.daemon(
                        f"peak {backend} {call} {pipeline}",
                        daemon,
                        getattr(setting.calls, call),
                        64,
                        pipeline,
                    )["rate"]
                    / 2
                )
                if (backend, call) == ("SQLite", "get"):
                    row("daemon.ping", shape, rate, at(daemon, "ping", pipeline, rate), False)
                    if "redis" in setting.wanted:
                        row(
                            "Redis PING",
                            shape,
                            rate,
                            at(setting.redis, "redis ping", pipeline, rate, True),
                            False,
                        )
                row(f"{call}, {backend}", shape, rate, at(daemon, call, pipeline, rate), True)
    if "in-process" in setting.wanted:
        commit = (
            "in-process insert 1",
            setting.database("in-process"),
            "record_api_key_usage",
            setting.api_keys,
            1,
        )
        row(
            "in-process, a commit each, at full speed",
            "1, 1",
            bench.in_process(*commit)["rate"],
            lambda _: bench.in_process(*commit),
            False,
        )
    return (
        "Latency at half of the peak rate",
        ("call", "c, P", "rate", "p50", "p90", "p99", "p99 / p50", "target", "met"),
        rows,
    )


def stalls(bench, say):
    """A bound for every program: how long a loop that does nothing is interrupted."""
    say("what the machine takes for itself")
    windows = [
        json.loads(run([bench.program("bench-stalls"), min(bench.seconds, 2.0)]))
        for _ in range(WINDOWS)
    ]
    rows = [
        (
            f"gaps longer than {int(mark):,} µs",
            f"{median([window['lost'][mark] for window in windows]):.2%} of each processor's time",
        )
        for mark in windows[0]["lost"]
    ]
    rows.append(
        ("the longest gap", f"{median([window['longest_us'] for window in windows]):,.0f} µs")
    )
    return (
        "What the machine takes for itself, with nothing else running",
        ("what", "measured"),
        rows,
    )


def methods(setting):
    """Returns the methods whose costs are listed, with a call of each."""
    calls, users = setting.calls, f"user_id=@{setting.user_keys}"
    numbers = setting.folder / "prefixes.keys"
    numbers.write_text("".join(f"pk_{i:09d}\n" for i in range(1, 1001)))
    emails = setting.folder / "emails.keys"
    emails.write_text("".join(f"user{i}@example.com\n" for i in range(1, 10001)))
    return {
        "daemon.ping": calls.ping,
        "get_user": calls.get,
        "get_user_by_email": ["get_user_by_email", f"email=@{emails}"],
        "get_strava_token": calls.get_token,
        "get_api_key_by_prefix": ["get_api_key_by_prefix", f"prefix=@{numbers}", f"hash={1:064x}"],
        "get_user_goals": ["get_user_goals", users],
        "update_last_active": ["update_last_active", users],
        "update_strava_token": calls.update_token,
        "update_api_key_last_used": ["update_api_key_last_used", f"api_key_id=@{setting.api_keys}"],
        "record_api_key_usage": calls.record,
        "upsert_user_profile": [
            "upsert_user_profile",
            users,
            'profile_data:={"age":30,"goals":["run"],"weight":70.5}',
        ],
    }


@contextlib.contextmanager
def counted_syscalls(daemon, path):
    """Counts the daemon's system calls while the block runs. The result is a list that receives the
    number."""
    result = []
    tracer = subprocess.Popen(
        [tool("strace"), "-f", "-c", "-o", str(path), "-p", str(daemon.pid())],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    tracer.stderr.readline()  # "Process … attached with … threads"
    try:
        yield result
    finally:
        tracer.terminate()
        tracer.stderr.read()
        tracer.wait()
        total = re.search(
            r"^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)(?:\s+\d+)? total$", path.read_text(), re.M
        )
        result.append(int(total.group(1)) if total else 0)


def costs(bench, setting, backends, say):
    """CPU time hardly depends on the length of the measurement: one second each."""
    bench = Bench(bench.build, bench.folder, min(bench.seconds, 1.0))
    rows = []
    for name, call in methods(setting).items():
        for backend, daemon in backends:
            say(f"costs: {name}, {backend}")
            one = bench.daemon(f"cost {backend} {name} 1", daemon, call, 64, 1)
            many = bench.daemon(f"cost {backend} {name} 16", daemon, call, 64, 16)
            counts = []
            for pipeline in (1, 16):
                with counted_syscalls(daemon, setting.folder / "strace.txt") as counted:
                    bench.daemon("", daemon, call, 64, pipeline, calls=6400)
                counts.append(counted[0] / 6400)
            rows.append(
                (
                    name,
                    backend,
                    f"{one['cpu']:.1f}",
                    f"{many['cpu']:.1f}",
                    f"{counts[0]:.2f}",
                    f"{counts[1]:.2f}",
                )
            )
    return (
        "The daemon's CPU time and system calls for each call (64 clients)",
        (
            "method",
            "backend",
            "µs, P = 1",
            "µs, P = 16",
            "system calls, P = 1",
            "system calls, P = 16",
        ),
        rows,
    )


def start_ms(daemon):
    """The time from starting the program to its first answer."""
    daemon.stop()
    began = time.monotonic()
    daemon.start()
    return (time.monotonic() - began) * 1e3


def idle_connections(daemon, count):
    """The bytes that each further idle connection uses."""
    with contextlib.ExitStack() as stack:
        before = daemon.resident_bytes()
        for _ in range(count):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(daemon.socket))
            client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\n')
            client.recv(4096)
        time.sleep(0.2)
        return (daemon.resident_bytes() - before) / count


def many_calls(bench, setting, backend, daemon, say):
    """Resident bytes after a tenth of many calls, when the database's page caches are full, and
    after all of them."""
    calls = MANY_CALLS if bench.seconds >= 3 else MANY_CALLS // 50
    say(f"{calls:,} calls, {backend}")
    bench.daemon("", daemon, setting.calls.mixed, 64, 16, calls=calls // 50)
    bench.daemon("", daemon, setting.calls.get, 64, 16, calls=calls // 10 - calls // 50)
    first = daemon.resident_bytes()
    bench.daemon("", daemon, setting.calls.mixed, 64, 16, calls=calls // 50)
    bench.daemon("", daemon, setting.calls.get, 64, 16, calls=calls - calls // 10 - calls // 50)
    return first, daemon.resident_bytes(), calls


def import_documents(path):
    """One client that pipelines documents and reads all answers."""
    with contextlib.closing(Client(path)) as client:
        user = {"email": f"{uuid.uuid4()}@example.com", "password_hash": "x"}
        params = [client.call("create_user", {"user": user}), {"text": "x" * BULK_BYTES}]
        client.calls([("upsert_user_profile", params)] * BULK_DOCUMENTS, window=BULK_DOCUMENTS)


def bulk_import(daemon):
    """Peak bytes above the idle daemon's, and bytes per second, while some clients import documents
    of one megabyte."""
    daemon.stop()
    daemon.start()
    idle, began = daemon.resident_bytes(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(BULK_CLIENTS) as clients:
        list(clients.map(import_documents, [daemon.socket] * BULK_CLIENTS))
    took = time.monotonic() - began
    return daemon.resident_bytes("VmHWM") - idle, BULK_CLIENTS * BULK_DOCUMENTS * BULK_BYTES / took


def resources(bench, setting, backends, say):
    rows = []

    def row(what, backend, value, unit, target):
        rows.append(
            (
                what,
                backend,
                f"{value:,.1f} {unit}",
                f"below {target:g} {unit}" if target else "stated",
                ("yes" if value < target else "**no**") if target else "",
            )
        )

    for backend, daemon in backends:
        say(f"memory and start, {backend}")
        row(
            "start to first answer, median of 9",
            backend,
            median([start_ms(daemon) for _ in range(9)]),
            "ms",
            100,
        )
        time.sleep(0.5)
        row("memory, idle after the start", backend, daemon.resident_bytes() / 2**20, "MiB", 12)
        row(
            "memory for each idle connection more",
            backend,
            idle_connections(daemon, IDLE_CONNECTIONS) / 2**10,
            "KiB",
            16,
        )
        first, last, calls = many_calls(bench, setting, backend, daemon, say)
        row(f"memory after {calls // 10:,} calls", backend, first / 2**20, "MiB", 0)
        row(
            f"memory after {calls:,} calls, more than that",
            backend,
            (last - first) / 2**20,
            "MiB",
            1 if calls == MANY_CALLS else 0,
        )
        say(f"bulk import, {backend}")
        peak, rate = bulk_import(daemon)
        row(
            "peak memory of bulk imports, above the idle daemon",
            backend,
            peak / 2**20,
            "MiB",
            128,
        )
        row("bulk imports", backend, rate / 2**20, "MiB/s", 0)
    return "Memory and start", ("what", "backend", "measured", "target", "met"), rows


# --- with ten million rows
# -------------------------------------------------------------------------------------------


def window(number, hours):
    """Returns a time window of that many seconds' rows: the usage rows of seed.py are one second
    apart."""
    start = 1735689600 + number
    return (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start)),
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + hours * 3600)),
    )


def aggregate_calls(rows, days):
    """Each aggregate method over that many days, by its name in the table. Ten days are 864,000
    rows."""
    key, user = seed.api_key_id(17), seed.user_id(17)
    start, end = window(rows // 100, 24 * days)
    return {
        "get_api_key_usage_stats": ("get_api_key_usage_stats", [key, start, end]),
        "get_top_tools_analysis": ("get_top_tools_analysis", [user, start, end]),
        "get_a2a_usage_stats": ("get_a2a_usage_stats", ["client-17", start, end]),
        "get_request_logs of one key": (
            "get_request_logs",
            {"api_key_id": key, "start_time": start, "end_time": end, "limit": 100},
        ),
        "get_request_logs of all": (
            "get_request_logs",
            {"start_time": start, "end_time": end, "limit": 100},
        ),
    }


def aggregate_times(daemon, backend, rows):
    """Returns one row per method: the times of both windows, and their ratio."""
    times = []
    short, long = aggregate_calls(rows, 1), aggregate_calls(rows, 10)
    for words in short:
        one, ten = time_of(daemon, *short[words]), time_of(daemon, *long[words])
        times.append((words, backend, f"{one:,.2f} ms", f"{ten:,.2f} ms", f"{ten / one:.1f}"))
    return times + [
        (method, backend, f"{time_of(daemon, method, []):,.2f} ms", "", "")
        for method in ("get_system_stats", "get_user_count")
    ]


def time_of(daemon, method, params, repeats=5):
    with Client(daemon.socket, timeout=600) as client:
        taken = []
        for _ in range(repeats):
            began = time.monotonic()
            client.call(method, params)
            taken.append((time.monotonic() - began) * 1e3)
    return median(taken)


def large_tables(bench, folder, rows, say):
    """Millions of users and usage rows on both backends: a look-up compared with its time with
    100,000 users, and the aggregate methods."""
    counts = {
        "users": rows,
        "api_keys": 1_000,
        "usage": rows,
        "a2a_clients": 100,
        "a2a_usage": rows,
    }
    small = {"users": 100_000, "api_keys": 1_000}
    lookups, aggregates = [], []
    needed = rows * LARGE_BYTES
    if shutil.disk_usage(folder).free < needed:
        raise BenchError(f"{rows:,} rows need {needed / 2**30:,.0f} GiB at {folder}")
    with PostgresServer(folder) as server:
        for backend in ("SQLite", "PostgreSQL"):
            rates = {}
            for size in (small, counts):
                say(f"{size['users']:,} users, {backend}: filling …")
                rate, times = large_one(bench, folder, server, backend, size)
                rates[size["users"]] = rate
                aggregates += times
            ratio = rates[small["users"]] / rates[counts["users"]]
            lookups.append(
                (
                    f"get_user, {rows:,} users beside 100,000",
                    backend,
                    f"{ratio:.2f} × its time",
                    "at most 1.5 ×",
                    "yes" if ratio <= 1.5 else "**no**",
                )
            )
        sizes = [size for size in key_counts.SIZES if size < rows] + [rows]
        of_one_key = key_counts.table(bench.build, folder, server, sizes, say)
    return [
        of_one_key,
        (LARGE_TITLES[0], ("what", "backend", "measured", "target", "met"), lookups),
        (
            f"{LARGE_TITLES[1]} {rows:,} usage rows",
            ("method", "backend", "one day", "ten days", "ratio"),
            aggregates,
        ),
    ]


def large_one(bench, folder, server, backend, counts):
    name = f"large-{counts['users']}"
    times = []
    if backend == "SQLite":
        path = folder / f"{name}.db"
        daemon = Daemon(bench.build, folder, f"sqlite://{path}", name=name)
        daemon.start()
        daemon.stop()
        seed.sqlite(path, counts)
    else:
        daemon = Daemon(
            bench.build,
            folder,
            server.create_database(name.replace("-", "_")),
            name=f"{name}-postgres",
        )
        daemon.start()
        daemon.stop()
        seed.postgres(server.connection(name.replace("-", "_")), counts)
    with daemon:
        keys = seed.key_file(folder / "large.keys", seed.user_id, counts["users"], 50_000, seed=2)
        call = ["get_user", f"user_id=@{keys}"]
        bench.daemon("", daemon, call, 16, 4, calls=100_000)  # caches the data of many look-ups
        rate = median(
            [bench.daemon("", daemon, call, 1, 1, calls=20_000)["rate"] for _ in range(3)]
        )
        if "usage" in counts:
            times = aggregate_times(daemon, backend, counts["usage"])
    if backend == "SQLite":
        for end in ("", "-wal", "-shm"):
            (folder / f"{name}.db{end}").unlink(missing_ok=True)
    return rate, times
