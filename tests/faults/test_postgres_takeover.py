"""One primary takes over from another. Would catch: writes or reads on a primary that lacks what
was answered before, a guard that refuses the right one, calls that wait for a frozen primary
although a newer one is there, several hosts of which a standby is used, a host whose error keeps
the others from being tried, a standby whose promotion is missed."""
import contextlib

from lib.case import Case
from lib.daemon import SLOW, Daemon, StartFailure
from lib.postgres_case import Database, ServerCase
from lib.postgres_server import PostgresServer
from lib.proxy import Proxy
from lib.rpc import RpcError
from lib.world import World, new_user

BACKENDS = ("postgres",)
STRICT = True
WENT_BACK = "the primary went back from timeline 2 to 1: writes answered since may be gone"


class Takeover(Case):
    """`old` is a primary on timeline 1, and `new`, its former standby, one on timeline 2."""

    @classmethod
    def setUpClass(cls):
        cls.old = PostgresServer(
            {"fsync": "off", "shared_buffers": "'16MB'", "log_connections": "on"}
        )
        cls.addClassCleanup(cls.old.stop)
        cls.old.start()
        with Daemon(database=Database(cls.old.url)) as daemon:
            cls.key = daemon.key
        cls.new = cls.old.standby()
        cls.addClassCleanup(cls.new.stop)
        cls.new.promote()

    def daemon(self, url, *options):
        daemon = Daemon(database=Database(url), options=options, key=self.key)
        self.addCleanup(daemon.stop)
        return daemon.start()

    def proxied(self, server, *options):
        proxy = Proxy(server)
        self.addCleanup(proxy.close)
        return proxy, self.daemon(proxy.url("pierre"), *options)

    @staticmethod
    def lead(proxy, server):
        proxy.target = ("127.0.0.1", server.port)
        proxy.reset_all()

    @staticmethod
    def url(*servers):
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        return f"postgresql://{servers[0].user}@{hosts}/pierre?sslmode=disable&gssencmode=disable"

    def refusal(self, connection, method, **params):
        """Waits until the guard has seen the old primary."""

        def guarded():
            with contextlib.suppress(RpcError):
                connection.call(method, **params)
            problem = connection.error(method, **params)
            return problem if problem.kind == "storage" else None

        return self.within(10, guarded)

    @staticmethod
    def stats(daemon):
        found = daemon.call("daemon.stats")
        return {**found["counters"], **found["gauges"]}

    def test_an_older_primary_gets_no_calls(self):
        proxy, daemon = self.proxied(self.new, "--pool", "3")
        with daemon.connect() as one:
            user = World(one).user()
            self.assertEqual(self.stats(daemon)["db_timeline"], 2)
            before = self.old.psql("SELECT count(*) FROM users")
            self.lead(proxy, self.old)
            self.within(10, lambda: self.stats(daemon)["db_went_back"])
            calls = {
                "create_user": {"user": new_user()},
                "get_user": {"user_id": user},
                "daemon.transaction": {
                    "calls": [{"method": "create_user", "params": {"user": new_user()}}]
                },
                "migrate": {},
                "rotate_key": {},
            }
            for method, params in calls.items():
                problem = one.error(method, **params)
                self.assertEqual((problem.kind, problem.message), ("storage", WENT_BACK), method)
                self.assertNotEqual(problem.data.get("outcome"), "unknown", method)
            self.assertEqual(self.old.psql("SELECT count(*) FROM users"), before)
            self.shown(daemon)
            self.lead(proxy, self.new)
            self.within(10, lambda: "result" in one.answer(one.request("get_user", user_id=user)))
            World(one).user()
            health = daemon.call("daemon.health")
            self.assertEqual((health["status"], health["ready"]), ("ok", True))
            self.assertEqual(self.finding(daemon)["status"], "ok")

    @staticmethod
    def finding(daemon):
        findings = daemon.call("daemon.diagnose")["findings"]
        return next(finding for finding in findings if finding["name"] == "timeline")

    def shown(self, daemon):
        """Health, doctor, metric and log say what has happened."""
        health = daemon.call("daemon.health")
        self.assertEqual((health["status"], health["ready"]), ("down", False))
        details = {check["name"]: check.get("detail") for check in health["checks"]}
        self.assertEqual(details["store"], WENT_BACK)
        self.assertEqual(details["database"], WENT_BACK)
        finding = self.finding(daemon)
        self.assertEqual((finding["status"], finding["detail"]), ("fail", WENT_BACK))
        self.assertEqual(self.stats(daemon)["db_timeline"], 2)
        self.logged(daemon, WENT_BACK)

    def test_a_restart_is_consent(self):
        proxy, daemon = self.proxied(self.new)
        self.lead(proxy, self.old)
        with daemon.connect() as one:
            self.refusal(one, "create_user", user=new_user())
        daemon.terminate()
        daemon.start()
        with daemon.connect() as one:
            World(one).user()
        self.assertEqual(self.stats(daemon)["db_timeline"], 1)

    def test_another_cluster(self):
        other = PostgresServer({"fsync": "off", "shared_buffers": "'16MB'"})
        self.addCleanup(other.stop)
        other.start()
        proxy, daemon = self.proxied(self.old)
        self.lead(proxy, other)
        with daemon.connect() as one:
            problem = self.refusal(one, "get_user_count")
            self.assertIn("another database cluster", problem.message)

    def test_a_role_that_may_not_ask_for_the_system(self):
        """The timeline alone tells."""
        for server in (self.old, self.new):
            server.psql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
            server.psql(
                "CREATE ROLE limited LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO limited"
            )
        proxy = Proxy(self.new)
        self.addCleanup(proxy.close)
        daemon = self.daemon(proxy.url("pierre").replace(f"//{self.new.user}@", "//limited@"))
        self.lead(proxy, self.old)
        with daemon.connect() as one:
            problem = self.refusal(one, "get_user_count")
            self.assertEqual(problem.message, WENT_BACK)

    def test_a_frozen_primary(self):
        """All connections hang at the old primary. Once the new one is known, they end."""
        times = ("--acquire-timeout", "60s", "--call-timeout", "60s")
        daemon = self.daemon(self.url(self.old, self.new), "--pool", "1", *times)
        self.assertEqual(self.stats(daemon)["db_timeline"], 1)
        with daemon.connect() as one, self.old.session() as locker:
            locker.run("BEGIN; LOCK TABLE users")
            write = one.request("create_user", user=new_user())
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            self.within(10, lambda: self.old.psql(waiting) == "1")
            with self.old.frozen():
                problem = one.answer(write, 15 * SLOW)["error"]
                kinds = problem["data"]["kind"], problem["data"]["outcome"]
                self.assertEqual(kinds, ("unavailable", "unknown"), problem["message"])
                one.once("frozen", "create_user", user=new_user())
        self.assertEqual(self.stats(daemon)["db_timeline"], 2)

    def test_an_older_primary_before_the_newest(self):
        """The last good primary is gone. An older one stands before the one that took over."""
        newest = self.new.standby()
        self.addCleanup(newest.stop)
        proxy = Proxy(self.new)
        self.addCleanup(proxy.close)
        hosts = self.url(self.new, self.old, newest).replace(
            f":{self.new.port},", f":{proxy.port},"
        )
        daemon = self.daemon(hosts, "--pool", "1")
        newest.promote()
        with daemon.connect() as one:
            proxy.close()
            self.refusal(one, "get_user_count")
            self.within(10, lambda: "result" in one.answer(one.request("get_user_count")))
        self.assertEqual(self.stats(daemon)["db_timeline"], 3)

    def test_a_host_without_the_database(self):
        """A standby that has not replayed CREATE DATABASE refuses the connection in this way."""
        self.new.create_database("elsewhere")
        url = self.url(self.old, self.new).replace("/pierre?", "/elsewhere?")
        with self.daemon(url).connect() as one:
            World(one).user()
        daemon = Daemon(database=Database(url.replace("/elsewhere?", "/nowhere?")), key=self.key)
        self.addCleanup(daemon.discard)
        with self.assertRaises(StartFailure) as failure:
            daemon.start()
        self.assertEqual(failure.exception.code, 69)
        for server in (self.old, self.new):
            self.assertIn(f"port {server.port} failed", failure.exception.log)

    def test_a_silent_primary_delays_one_attempt(self):
        """It accepts connections and stays silent, while the standby is not promoted yet."""
        standby = self.new.standby()
        self.addCleanup(standby.stop)
        proxy = Proxy(self.new)
        self.addCleanup(proxy.close)
        hosts = self.url(self.new, standby).replace(f":{self.new.port},", f":{proxy.port},")
        times = ("--connect-timeout", "2s", "--acquire-timeout", "60s", "--call-timeout", "60s")
        daemon = self.daemon(hosts, "--pool", "2", *times)
        with daemon.connect() as one, daemon.connect() as other, self.new.session() as locker:
            locker.run("BEGIN; LOCK TABLE users")
            stuck = one.request("create_user", user=new_user())
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            self.within(10, lambda: self.new.psql(waiting) == "1")
            proxy.held = proxy.stalled = True
            accepted = proxy.accepted
            write = other.request("create_user", user=new_user())
            self.within(20, lambda: self.stats(daemon)["db_connect_failures"] >= 4)
            self.assertEqual(proxy.accepted - accepted, 1)
            standby.promote()
            self.assertIn("result", other.answer(write, 15 * SLOW))
            self.assertEqual(one.answer(stuck, 15 * SLOW)["error"]["data"]["outcome"], "unknown")

    def test_several_hosts(self):
        """A standby among the hosts is not used, and the last primary is tried first."""
        standby = self.new.standby()
        self.addCleanup(standby.stop)
        daemon = self.daemon(self.url(standby, self.new), "--pool", "1")
        with daemon.connect() as one:
            World(one).user()
            connects = ServerCase.server_log(self, standby).count("connection received")
            self.assertGreater(connects, 0)
            for _ in range(3):
                self.new.psql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'pierre-dbd'"
                )
                self.within(5, lambda: "result" in one.answer(one.request("get_user_count")))
            World(one).user()
        log = ServerCase.server_log(self, standby)
        self.assertEqual(log.count("connection received"), connects)
        self.only_standbys(standby)

    def only_standbys(self, standby):
        daemon = Daemon(database=Database(self.url(standby, standby)), key=self.key)
        self.addCleanup(daemon.discard)
        with self.assertRaises(StartFailure) as failure:
            daemon.start()
        self.assertEqual(failure.exception.code, 69)
        daemon = self.daemon(self.url(standby, standby) + "&target_session_attrs=any")
        self.assertGreater(daemon.call("get_user_count"), 0)

    def test_a_promoted_standby(self):
        """The daemon was connected to it before the promotion, and learns its timeline."""
        standby = self.new.standby()
        self.addCleanup(standby.stop)
        proxy, daemon = self.proxied(standby, "--pool", "1")
        self.assertEqual(self.stats(daemon)["db_timeline"], 0)
        standby.promote()
        with daemon.connect() as one:
            one.call("create_user", user=new_user())
            self.within(5, lambda: self.stats(daemon)["db_timeline"] == 3)
            self.lead(proxy, self.new)
            problem = self.refusal(one, "get_user_count")
            self.assertIn("from timeline 3 to 2", problem.message)
