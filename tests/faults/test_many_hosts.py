"""Daemons on several hosts beside one PostgreSQL server, in network namespaces whose cable is
pulled. Would catch: a write that is repeated through another host and stored twice, a lease that
two hosts hold, a token that is overwritten by a host that was cut off, locks that a vanished host
keeps, a migration, a change of the key or a retention that several hosts disturb."""
import datetime
import os
import re
import subprocess
import threading
import time

from lib import hosts
from lib.case import Case
from lib.daemon import SLOW, Daemon, new_key
from lib.postgres_case import Database, recovered
from lib.postgres_server import PostgresServer
from lib.rpc import RpcError, result_of
from lib.world import World, new_usage

BACKENDS = ("postgres",)
STRICT = True
HOSTS = 3
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))
TOKEN = {
    "access_token": "a",
    "refresh_token": "r",
    "expires_at": "2030-01-01T00:00:00Z",
    "scope": "read",
}
TIMES = ("--acquire-timeout", "60s", "--call-timeout", "60s")


class ManyHosts(Case):
    @classmethod
    def setUpClass(cls):
        hosts.require()
        cls.hosts = []
        for number in range(1, HOSTS + 1):
            cls.hosts.append(hosts.Host(number))
            cls.addClassCleanup(cls.hosts[-1].remove)
        cls.server = PostgresServer(
            {"fsync": "off", "shared_buffers": "'16MB'", "listen_addresses": "'*'"},
            ["local all all trust", f"host all all {hosts.NETWORK}.0.0/16 trust"],
        )
        cls.addClassCleanup(cls.server.stop)
        cls.server.start()
        cls.key = new_key()

    def setUp(self):
        self.name = f"t{self.id().rpartition('.')[2][5:]}"
        self.server.create_database(self.name)
        for host in self.hosts:
            self.addCleanup(host.plug)

    def daemon(self, number, *options, key=None, start=True):
        host = self.hosts[number]
        url = self.server.database_url(self.name, host.server_address, "?sslmode=disable")
        daemon = Daemon(
            database=Database(url),
            options=(*TIMES, *options),
            key=key or self.key,
            wrapper=host.wrapper,
        )
        self.addCleanup(daemon.stop)
        return daemon.start() if start else daemon

    def daemons(self, *options):
        return [self.daemon(number, *options) for number in range(HOSTS)]

    def query(self, statement):
        return self.server.psql(statement, self.name)

    def test_migration(self):
        """All hosts start at the same moment on an empty database."""
        daemons = [self.daemon(number, start=False).spawn() for number in range(HOSTS)]
        for daemon in daemons:
            daemon.wait_ready()
            daemon.pid = daemon._inner_pid()  # pylint: disable=protected-access
            daemon.learn()
        rows = self.query("SELECT count(*), count(DISTINCT version) FROM pierre_migrations")
        count, distinct = rows.split("|")
        self.assertEqual(count, distinct)
        self.assertEqual(
            len({daemon.call("daemon.version")["schema_version"] for daemon in daemons}), 1
        )

    def test_idempotency_keys(self):
        """A host is cut off amid its writes. The client repeats them elsewhere."""
        first, second, third = self.daemons("--pool", "2")
        with first.connect() as one:
            world = World(one)
            key = world.api_key(world.user())
        names = [f"n{number}" for number in range(400)]
        answered = {}

        def write():
            with first.connect(timeout=120) as one:
                for name in names:
                    usage = new_usage(key, tool_name=name)
                    try:
                        one.once(name, "record_api_key_usage", usage=usage)
                        answered[name] = True
                    except RpcError as problem:
                        answered[name] = problem.data.get("outcome") == "none"

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        self.within(30, lambda: len(answered) > 50)
        self.hosts[0].unplug()
        known = len(answered)
        with second.connect() as one, third.connect() as other:
            for number, name in enumerate(names):
                connection = (one, other)[number % 2]
                usage = new_usage(key, tool_name=name)
                connection.once(name, "record_api_key_usage", usage=usage)
        self.assertGreaterEqual(len(answered), known)
        self.hosts[0].plug()
        thread.join(120)
        self.assertFalse(thread.is_alive())
        stored = self.query("SELECT count(*), count(DISTINCT tool_name) FROM api_key_usage")
        self.assertEqual(stored, f"{len(names)}|{len(names)}")

    def test_leases(self):
        """The holder of a lease is cut off. Another host gets it after its end, and what the first
        one writes late is refused."""
        first, second, third = self.daemons()
        with first.connect() as one, second.connect() as two, third.connect() as three:
            user = World(one).user()
            one.call("update_strava_token", user_id=user, **TOKEN)
            lease = {"user_id": user, "provider": "strava"}
            version = one.call("get_strava_token", user_id=user)["version"]
            mine = one.call("lease_token_refresh", **lease, seconds=2)
            self.assertTrue(mine["granted"])
            self.hosts[0].unplug()
            late = one.request("update_strava_token", user_id=user, **TOKEN, if_version=version)
            self.assertFalse(two.call("lease_token_refresh", **lease, seconds=5)["granted"])
            self.within(20, lambda: two.call("lease_token_refresh", **lease, seconds=30)["granted"])
            self.assertFalse(three.call("lease_token_refresh", **lease, seconds=5)["granted"])
            fresh = {**TOKEN, "access_token": "fresh"}
            two.call("update_strava_token", user_id=user, **fresh, if_version=version)
            self.hosts[0].plug()
            error = one.answer(late, 90)["error"]
            self.assertIn(error["data"]["kind"], ("conflict", "unavailable", "timeout"))
            token = three.call("get_strava_token", user_id=user)
            self.assertEqual(token["access_token"], "fresh")

    def test_change_of_the_key(self):
        """One host changes the key while the others write tokens; one of those is cut off."""
        new = new_key()
        daemons = self.daemons()
        with daemons[0].connect() as one:
            users = [World(one).user() for _ in range(60)]
            for user in users:
                one.call("update_strava_token", user_id=user, **TOKEN)
        for daemon in daemons:
            self.assertEqual(daemon.terminate(), 0)
            daemon.key, daemon.environment = new, {"PREVIOUS_ENCRYPTION_KEY": self.key}
            daemon.start()
        with daemons[2].connect() as cut, daemons[1].connect() as two:
            self.hosts[2].unplug()
            late = [
                cut.request("update_strava_token", user_id=user, **TOKEN) for user in users[:20]
            ]
            with daemons[0].connect(timeout=60 * SLOW) as one:
                while one.call("rotate_key")["state"] == "running":
                    two.call("update_strava_token", user_id=users[30], **TOKEN)
            self.hosts[2].plug()
            for identifier in late:
                cut.answer(identifier, 90)
        for daemon in daemons:
            daemon.terminate()
            daemon.environment = {}
            daemon.start()
            with daemon.connect() as one:
                for answer in one.many([("get_strava_token", {"user_id": user}) for user in users]):
                    self.assertEqual(result_of(answer)["access_token"], "a")

    def test_retention(self):
        """All hosts drop old rows and count what is new; each row is counted once."""
        daemon = self.daemon(0)
        with daemon.connect() as one:
            world = World(one)
            key = world.api_key(world.user())
            self.query(
                "INSERT INTO api_key_usage (api_key, timestamp, tool_name, status_code) SELECT "
                "(SELECT number FROM api_keys), now() - interval '50 days' * (n % 2) - "
                "interval '1 hour' * (n % 30), 't', 200 FROM generate_series(1, 4000) AS n"
            )
        daemon.terminate()
        daemon.options += ["--usage-retention", "40d"]
        daemon.start()
        daemons = [daemon, *(self.daemon(n, "--usage-retention", "40d") for n in (1, 2))]
        for each in daemons:
            for _ in range(20):
                each.call("record_api_key_usage", usage=new_usage(key))
        old = "SELECT count(*) FROM api_key_usage WHERE timestamp < now() - interval '45 days'"
        self.within(60, lambda: self.query(old) == "0")
        day = datetime.timedelta(days=1)
        today = datetime.datetime.now(datetime.timezone.utc)
        period = {
            "start_date": (today - 100 * day).isoformat(),
            "end_date": (today + day).isoformat(),
        }
        for each in daemons:
            stats = each.call("get_api_key_usage_stats", api_key_id=key, **period)
            self.assertEqual(stats["total_requests"], 4060)

    def test_keepalives_of_the_server(self):
        """The server asks a silent host after half a minute, not after its default of two hours."""
        self.daemon(0)

        def timer():
            done = subprocess.run(
                ["ss", "-tnoH", "state", "established", f"( sport = :{self.server.port} )"],
                capture_output=True,
                text=True,
                check=True,
            )
            return re.search(r"timer:\(keepalive,([^,]*),", done.stdout)

        self.assertRegex(self.within(10, timer)[1], r"^\d+sec$|ms$")

    if LONG:  # as long as the server's time-out

        def test_a_vanished_host_keeps_no_locks(self):
            """It is cut off amid a transaction that has locked a row."""
            first, second, _ = self.daemons("--pool", "1")
            with first.connect() as one, second.connect() as two:
                user = World(one).user()
                calls = [
                    {"method": "update_last_active", "params": {"user_id": user}},
                    {"method": "get_api_key_by_prefix", "params": {"prefix": "p", "hash": "h"}},
                ]
                with self.server.session(self.name) as locker:
                    locker.run("BEGIN; LOCK TABLE api_keys")
                    one.request("daemon.transaction", calls=calls)
                    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                    self.within(10, lambda: self.query(waiting) != "0")
                    self.hosts[0].unplug()
                began = time.monotonic()
                two.call("update_last_active", user_id=user)
                recovered("a host that vanished with a locked row", time.monotonic() - began)
                self.hosts[0].plug()
