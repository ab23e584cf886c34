"""The objects of a run: seeded databases, the servers over them, and files of prepared calls."""

import json
import os
import pathlib
import shutil
import sys

import seed
from measure import pgbench_script, statements
from servers import ROOT, Client, Daemon, Delay, Redis

sys.path.insert(0, str(ROOT / "tests"))
from lib import pgbouncer, postgres_server  # noqa: E402

USAGE = {
    "tool_name": "get_activities",
    "response_time_ms": 42,
    "status_code": 200,
    "request_size_bytes": 512,
    "response_size_bytes": 2048,
    "ip_address": "192.0.2.17",
    "user_agent": "pierre-bench/1.0",
}
ROWS = 100  # of a call of record_many
FAR_US = 5000  # round trip of the delayed network
TOKEN = {
    "access_token": "a4b945687g5a8f7c9d0e1f2a3b4c5d6e7f8091a2",
    "refresh_token": "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
    "expires_at": "2030-01-01T00:00:00Z",
    "scope": "read,activity:read_all",
}


def line(method, params):
    """Returns a call as bench-load reads it."""
    return f'"method":{json.dumps(method)},"params":{json.dumps(params, separators=(",", ":"))}\n'


def named(prefix, values):
    """Returns members as pierre-dbctl reads them."""
    return [
        f"{prefix}{name}{'=' if isinstance(value, str) else ':='}{value}"
        for name, value in values.items()
    ]


def token_call(user):
    return "update_strava_token", {"user_id": user, **TOKEN}


class Calls:
    """Returns the calls as arguments of `pierre-dbctl bench`: another key in each call."""

    ping = ["daemon.ping"]

    def __init__(self, folder, users, keys, connected):
        self.folder = folder
        known = folder / "connected.keys"
        known.write_text("".join(user + "\n" for user in connected))
        self.get = ["get_user", f"user_id=@{users}"]
        self.record = ["record_api_key_usage", f"usage.api_key_id=@{keys}", *named("usage.", USAGE)]
        self.record_once = [*self.record, "--keys"]  # as the client libraries send writes
        self.get_token = ["get_strava_token", f"user_id=@{known}"]
        # Another token in each call: storing an unchanged value writes nothing and needs no commit.
        self.update_token = [
            "update_strava_token",
            f"user_id=@{known}",
            *named("", {**TOKEN, "access_token": "a4b945687g5a8f7c9d0e1f2a3b4c5d6e{n}"}),
        ]
        mix = folder / "mixed.calls"
        mix.write_text(
            "".join(
                f"{weight} {' '.join(call)}\n"
                for weight, call in ((7, self.get), (1, self.get_token), (2, self.record))
            )
        )
        self.mixed = ["--mix", str(mix)]
        self.write_request(keys)
        self.lines = self.write_lines(
            users.read_text().split()[:5000], keys.read_text().split(), connected
        )

    def write_request(self, keys):
        """What a server asks for each request of a client: in seven calls, the count once before
        and once behind the request, and in two. The files of keys have the same keys in their
        lines.
        """
        login = f"prefix=@{keys.with_name('prefixes.keys')} hash=@{keys.with_name('hashes.keys')}"
        owner = f"user_id=@{keys.with_name('owners.keys')}"
        record = " ".join(self.record)
        count = f"get_api_key_current_usage api_key_id=@{keys}"
        paths = {
            "seven_calls": [
                f"get_api_key_by_prefix {login}",
                f"get_user {owner}",
                count,
                f"update_api_key_last_used api_key_id=@{keys}",
                f"update_last_active {owner}",
                record,
                count,
            ],
            "two_calls": [f"authenticate_api_key {login}", record],
        }
        for name, calls in paths.items():
            path = self.folder / f"{name}.calls"
            path.write_text("".join(f"1 {call}\n" for call in calls))
            setattr(self, name, ["--mix", str(path)])
        rows = self.folder / "rows.json"
        known = keys.read_text().split()
        rows.write_text(
            "".join(
                json.dumps([{"api_key_id": key, **USAGE} for key in pick(known[first:], ROWS)])
                + "\n"
                for first in range(min(len(known), 100))
            )
        )
        self.record_many = ["record_api_key_usages", f"usages:=@{rows}"]

    def write_lines(self, users, keys, connected):
        """The same as whole requests, for calls at a given rate."""
        get = [line("get_user", [user]) for user in users]
        record = [
            line("record_api_key_usage", {"usage": {"api_key_id": key, **USAGE}}) for key in keys
        ]
        opened = [line("get_strava_token", [user]) for user in connected]
        mixed = [*pick(get, 7000), *pick(opened, 1000), *pick(record, 2000)]
        paths = {}
        for name, lines in (
            ("ping", [line("daemon.ping", [])]),
            ("redis ping", ["PING\n"]),
            ("get", get),
            ("record", record),
            ("mixed", mixed),
        ):
            paths[name] = self.folder / f"{name.replace(' ', '-')}.lines"
            paths[name].write_text("".join(lines))
        return paths


def pick(values, count):
    return [values[i % len(values)] for i in range(count)]


class Setting:
    """All servers, started and seeded. A context manager; at its end everything stops and its
    folder is removed."""

    def __init__(self, build, folder, users, keys, wanted, before=None):
        self.before = before and pathlib.Path(before).resolve()  # another pierre-dbd
        self.build = pathlib.Path(build)
        self.folder = pathlib.Path(folder)
        self.counts = {"users": users, "api_keys": keys}
        # parts that some chosen probe needs: sqlite, unsealed, postgres, pgbouncer, redis
        self.wanted = wanted
        self.running = []

    def start(self, server):
        server.start()
        self.running.append(server)
        return server

    def __enter__(self):
        try:
            self.prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in reversed(self.running):
            server.stop()
        self.running.clear()

    def prepare(self):
        self.folder.chmod(0o755)  # PostgreSQL and PgBouncer run as another user when this is root
        self.user_keys = seed.key_file(
            self.folder / "users.keys", seed.user_id, self.counts["users"]
        )
        self.api_keys = seed.key_file(
            self.folder / "api.keys", seed.api_key_id, self.counts["api_keys"]
        )
        for name, value in (
            ("prefixes", seed.key_prefix),
            ("hashes", seed.key_hash),
            ("owners", lambda key: seed.key_owner(key, self.counts["users"])),
        ):
            seed.key_file(self.folder / f"{name}.keys", value, self.counts["api_keys"])
        users = self.user_keys.read_text().split()
        self.connected = users[:2000]
        self.calls = Calls(self.folder, self.user_keys, self.api_keys, self.connected)
        if self.wanted & {"sqlite", "in-process", "redis"}:
            self.prepare_sqlite()
        if "unsealed" in self.wanted:
            self.unsealed = self.sqlite_daemon(
                "unsealed", binary=self.build / "tests" / "bench" / "bench-unsealed"
            )
            self.connect_tokens(self.unsealed)
        if "redis" in self.wanted:
            self.redis = self.start(Redis(self.folder))
            with Client(self.sqlite.socket) as client:
                user = client.call("get_user", [users[0]])
            self.redis.load(100000, json.dumps(user, separators=(",", ":")))
        if "postgres" in self.wanted:
            self.prepare_postgres()

    def database(self, name):
        return self.folder / f"{name}.db"

    def sqlite_daemon(self, name, binary=None):
        """A daemon on its own seeded file; the daemon itself creates the schema."""
        daemon = Daemon(
            self.build, self.folder, f"sqlite://{self.database(name)}", name=name, binary=binary
        )
        daemon.start()
        daemon.stop()
        seed.sqlite(self.database(name), self.counts)
        return self.start(daemon)

    def prepare_sqlite(self):
        self.sqlite = self.sqlite_daemon("sqlite")
        self.connect_tokens(self.sqlite)
        self.sqlite.stop()
        shutil.copy(self.database("sqlite"), self.database("in-process"))
        self.sqlite.start()

    def connect_tokens(self, daemon):
        with Client(daemon.socket) as client:
            client.calls([token_call(user) for user in self.connected])

    def prepare_postgres(self):
        self.server = self.start(PostgresServer(self.folder))
        self.postgres = self.server.connection()
        daemon = Daemon(self.build, self.folder, self.server.url, name="postgres")
        daemon.start()
        seed.postgres(self.postgres, self.counts)
        self.postgres_daemon = daemon
        self.running.append(daemon)
        self.connect_tokens(daemon)
        self.postgres_daemons = [daemon]
        if "several" in self.wanted:
            self.postgres_daemons += [
                self.start(
                    Daemon(self.build, self.folder, self.server.url, name=f"postgres-{number}")
                )
                for number in (2, 3)
            ]
        self.scripts()
        if "far" in self.wanted:
            self.prepare_far()
        if "pgbouncer" in self.wanted:
            bouncer = self.start(
                pgbouncer.PgBouncer(
                    self.server, {"ignore_startup_parameters": "extra_float_digits"}
                )
            )
            self.bouncer = {**self.postgres, "host": bouncer.folder, "port": bouncer.port}

    def prepare_far(self):
        """A daemon with eight connections, whose database is 5 ms away."""
        delay = self.start(Delay(self.build, self.folder, self.server, FAR_US // 2))
        self.far = {**self.postgres, "host": "127.0.0.1", "port": delay.port}
        url = f"postgresql://{self.server.user}@127.0.0.1:{delay.port}"

        def daemon(name, binary=None):
            return self.start(
                Daemon(
                    self.build,
                    self.folder,
                    f"{url}/{self.postgres['database']}?sslmode=disable",
                    name=name,
                    options=("--pool", "8", "--pool-min", "8"),
                    binary=binary,
                )
            )

        self.far_daemon = daemon("far")
        if self.before is not None:
            self.far_before = daemon("far-before", self.before)

    def scripts(self):
        """Writes pgbench's scripts and variables: the daemon's statements. pgbench has no random
        texts and no NULL: it asks for the same user each time, which is to its advantage, and NULL
        is in its script."""
        known = statements(self.build)
        self.get_script = self.folder / "get.sql"
        self.get_script.write_text(pgbench_script(known["get_user"]))
        self.get_variables = {"user_id": self.user_keys.read_text().split()[0]}
        self.record_script = self.folder / "record.sql"
        self.record_script.write_text(
            pgbench_script(known["record_api_key_usage"]).replace(":error_message", "NULL", 1)
        )
        self.record_variables = {
            **USAGE,
            "api_key_id": self.api_keys.read_text().split()[0],
            "timestamp": "2025-06-19T15:44:49Z",
        }


class PostgresServer(postgres_server.PostgresServer):
    """The tests' private server with its data on the benchmark's disk, and the memory settings of a
    typical installation."""

    def __init__(self, folder):
        super().__init__({"shared_buffers": "'512MB'", "max_wal_size": "'4GB'"})
        self.data = os.path.join(folder, "postgres-data")
        os.mkdir(self.data, 0o700)
        if os.geteuid() == 0:
            account = postgres_server.account()
            os.chown(self.data, account["user"], account["group"])

    def stop(self):
        super().stop()
        shutil.rmtree(self.data, ignore_errors=True)


def workspace(chosen=None):
    """Returns a folder on a real disk: commits to a file system in memory are meaningless."""
    if chosen:
        path = pathlib.Path(chosen).resolve()
        path.mkdir(parents=True, exist_ok=True)
        return path, False
    path = (
        pathlib.Path("/var/tmp" if os.access("/var/tmp", os.W_OK) else ROOT)
        / f"pierre-bench-{os.getpid()}"
    )
    path.mkdir()
    return path, True
