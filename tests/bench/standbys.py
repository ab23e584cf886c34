"""What reads from standbys are worth, with two of them on this machine: reads per second, and the
processors' time of each server for 1,000 causal reads, with `--read-from primary` and with
`--read-from standby` in turn; and what the setting costs when all standbys are gone.

usage: python3 tests/bench/standbys.py BUILD [--seconds S] [--rounds N]
All servers share the processors of one machine, so that what moves off the primary shows in its
time, not in the rate. What a call costs with the setting off: tests/bench/cost.py, against a build
from before."""
import argparse
import datetime
import json
import os
import pathlib
import shutil

from rows import markdown, median
from servers import Client, Daemon, run
from setting import workspace

USERS, GOALS, KEYS, USAGE = 500, 5, 20, 2_000  # rows of usage for each key
CLIENTS, PIPELINE = 16, 4
MODES = ("primary", "standby")
HEADINGS = (
    "1,000 calls of",
    "read from",
    "reads/s",
    "p50",
    "primary, CPU",
    "standbys, CPU",
    "daemon, CPU",
    "from standbys",
)
GONE_HEADINGS = ("all standbys gone", "reads/s", "p50", "of `primary`", "CPU", "of `primary`")


class Setting:
    """The servers, a daemon for each mode, and the calls."""

    def __init__(self, build, folder):
        from lib.standbys import Standbys  # which needs PIERRE_TEST_BUILD

        self.build, self.folder = pathlib.Path(build), folder
        self.group = Standbys(2, {"fsync": "on", "shared_buffers": "'64MB'", "autovacuum": "on"})
        self.group.start()
        (folder / "bench.key").write_text(self.group.key)
        (folder / "bench.key").chmod(0o600)
        self.daemons = {mode: self.daemon(mode) for mode in MODES}

    def daemon(self, mode):
        options = ("--pool", "8", "--read-from", mode)
        daemon = Daemon(self.build, self.folder, self.group.url(), mode, options)
        daemon.start()
        return daemon

    def stop(self):
        for daemon in self.daemons.values():
            daemon.stop()
        self.group.stop()

    def fill(self):
        """Users with goals and a profile, and keys with usage of the last days."""
        end = datetime.datetime.now(datetime.timezone.utc).replace(
            minute=0, second=0, microsecond=0
        )
        with Client(self.daemons["primary"].socket) as client:
            users = client.calls([("create_user", [user(i)]) for i in range(USERS)])
            client.calls(
                [("create_goal", [one, {"title": "Run", "target": 10}]) for one in users * GOALS]
            )
            client.calls([("upsert_user_profile", [one, {"age": 41}]) for one in users])
            client.calls([("create_api_key", [key(i, users[i])]) for i in range(KEYS)])
        psql = self.group.primary.psql
        psql(
            "INSERT INTO api_key_usage (api_key, timestamp, tool_name, response_time_ms, "
            "status_code) SELECT k.number, now() - interval '2 min' * i, 'tool' || (i % 12), "
            f"i % 900, 200 FROM api_keys k, generate_series({USAGE}, 1, -1) i"
        )
        while int(psql("SELECT roll_up_api_key_usage(200000)") or 1) > 0:
            pass
        psql("ANALYZE")
        self.group.caught_up()
        lines = self.folder / "users"
        lines.write_text("".join(f"{one}\n" for one in users))
        keys = self.folder / "keys"
        keys.write_text("".join(f"key{i}\n" for i in range(KEYS)))
        begin = (end - datetime.timedelta(days=30)).isoformat().replace("+00:00", "Z")
        return {
            "get_user_goals": ["get_user_goals", f"user_id=@{lines}"],
            "get_user_profile": ["get_user_profile", f"user_id=@{lines}"],
            "get_api_key_usage_stats": [
                "get_api_key_usage_stats",
                f"api_key_id=@{keys}",
                f"start_date={begin}",
                f"end_date={end.isoformat().replace('+00:00', 'Z')}",
            ],
        }

    def measure(self, mode, call, calls):
        daemon = self.daemons[mode]
        before = self.times(daemon), self.standby_reads(daemon)
        found = json.loads(
            run(
                [self.build / "client" / "pierre-dbctl", "--socket", daemon.socket, "--json"]
                + ["bench", *call, "-c", CLIENTS, "-P", PIPELINE, "-n", calls]
            )
        )
        spent = [after - then for after, then in zip(self.times(daemon), before[0])]
        return {
            "rate": found["calls_per_second"],
            "p50": found["microseconds"]["p50"],
            "cpu": [seconds * 1e6 / calls for seconds in spent],  # ms for 1,000 calls
            "share": (self.standby_reads(daemon) - before[1]) / calls,
        }

    def times(self, daemon):
        """Seconds of the processors: the primary, all standbys, the daemon."""
        return (
            cpu_seconds(self.group.primary),
            sum(map(cpu_seconds, self.group.standbys)),
            daemon.cpu_seconds(),
        )

    @staticmethod
    def standby_reads(daemon):
        with Client(daemon.socket) as client:
            return client.call("daemon.stats")["counters"].get("standby_reads", 0)


def user(number):
    return {"email": f"user{number}@example.com", "password_hash": "$2b$04$" + "x" * 53}


def key(number, owner):
    return {
        "id": f"key{number}",
        "user_id": owner,
        "name": "bench",
        "key_prefix": f"pk_{number}",
        "key_hash": f"{number:064x}",
        "tier": "starter",
        "rate_limit_requests": 1000,
        "rate_limit_window": 3600,
    }


def cpu_seconds(server):
    """Time of a server's processes, those that have ended included."""
    if server.process is None:
        return 0.0
    total = 0
    for pid in server.processes():
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
        if pid == server.process.pid:
            total += int(fields[13]) + int(fields[14])
    return total / os.sysconf("SC_CLK_TCK")


def alternately(setting, call, seconds, rounds):
    """Medians of both modes, measured in turn."""
    calls = max(200, int(setting.measure("primary", call, 200)["rate"] * seconds))
    setting.measure("standby", call, 200)
    found = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode in MODES:
            found[mode].append(setting.measure(mode, call, calls))
    return {mode: medians(runs) for mode, runs in found.items()}


def medians(runs):
    return {
        "rate": median([one["rate"] for one in runs]),
        "p50": median([one["p50"] for one in runs]),
        "cpu": [median(times) for times in zip(*(one["cpu"] for one in runs))],
        "share": median([one["share"] for one in runs]),
    }


def row(name, mode, found):
    return (
        name,
        f"`{mode}`",
        f"{found['rate']:,.0f}",
        f"{found['p50']:,.0f} µs",
        *(f"{one:,.0f} ms" for one in found["cpu"]),
        f"{found['share']:.0%}",
    )


def gone(setting, calls, seconds, rounds):
    """What --read-from standby costs when there is none."""
    for one in setting.group.standbys:
        one.kill()
    rows = []
    for name, call in calls.items():
        found = alternately(setting, call, seconds, rounds)
        for mode in MODES:
            ratio = found[mode]["rate"] / found["primary"]["rate"]
            spent, usual = sum(found[mode]["cpu"]), sum(found["primary"]["cpu"])
            rows.append(
                (
                    f"{name}, `{mode}`",
                    f"{found[mode]['rate']:,.0f}",
                    f"{found[mode]['p50']:,.0f} µs",
                    f"{ratio:.3f}",
                    f"{spent:,.1f} ms",
                    f"{spent / usual:.3f}",
                )
            )
    return rows


def main():
    parser = argparse.ArgumentParser(description="What reads from standbys are worth.")
    parser.add_argument("build")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ["PIERRE_TEST_BUILD"] = os.path.abspath(arguments.build)
    folder, _ = workspace()
    setting = Setting(os.path.abspath(arguments.build), folder)
    try:
        calls = setting.fill()
        rows = []
        for name, call in calls.items():
            found = alternately(setting, call, arguments.seconds, arguments.rounds)
            rows += [row(name, mode, found[mode]) for mode in MODES]
        print(markdown(HEADINGS, rows), flush=True)
        lost = gone(setting, calls, arguments.seconds, arguments.rounds)
        print("\n" + markdown(GONE_HEADINGS, lost), flush=True)
    finally:
        setting.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
