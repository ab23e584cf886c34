"""Several servers: a lost primary and a standby that takes over, silent hosts, servers that accept
no writes. Would catch: an answered write that the new primary lacks, writes that never resume, a
connect that waits for a silent host forever."""
import os
import signal
import time

from lib import invariants
from lib.daemon import SLOW, StartFailure
from lib.load import Load
from lib.postgres_case import ServerCase, recovered
from lib.postgres_server import PostgresServer
from lib.proxy import BlackHole
from lib.world import World, new_usage, unique

BACKENDS = ("postgres",)


def both(first, second, name, options=""):
    return (
        f"postgresql://{first.user}@127.0.0.1:{first.port},127.0.0.1:{second.port}/{name}"
        f"?sslmode=disable&gssencmode=disable{options}"
    )


class PairCase(ServerCase):
    """A primary and its streaming standby, new for each test, since a test uses them up."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.server = PostgresServer(
            {"fsync": "off", "shared_buffers": "'16MB'", "log_connections": "on"}
        )
        self.addCleanup(self.server.stop)
        self.server.start()
        super().setUp()

    def follow(self, synchronous):
        standby = self.server.standby(synchronous)
        self.addCleanup(standby.stop)
        if synchronous:
            self.within(
                20,
                lambda: self.server.psql(
                    "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
                )
                == "1",
            )
        return standby

    def held_up(self):
        """Waits until a commit of the daemon waits for the standby."""
        self.within(
            10,
            lambda: self.query(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pierre-dbd' "
                "AND wait_event = 'SyncRep'"
            )
            != "0",
        )


class Failover(PairCase):
    def fail_over(self, synchronous, how):
        standby = self.follow(synchronous)
        daemon = self.daemon(
            "--pool",
            "4",
            "--pool-min",
            "3",
            url=both(self.server, standby, self.name, "&target_session_attrs=read-write"),
        )
        self.within(5, lambda: self.connections(daemon) >= 3)
        before = invariants.Snapshot(daemon)
        with Load(daemon, writers=5, readers=3) as load:
            load.progress(100)
            self.server.shut(how)
            lost = time.monotonic()
            standby.promote()
            promoted = time.monotonic()
            first = load.first_success(promoted, seconds=5 * SLOW, write=True)
            load.everyone()
        for call in load.failures():
            self.assertIn(call.kind, ("unavailable", "timeout"))
        recovered(
            f"a failover ({how}, {'synchronous' if synchronous else 'asynchronous'} standby)",
            first,
            f"counted from the promotion, which took {promoted - lost:.2f} s",
        )
        invariants.check(daemon, before)
        return load, lambda statement: standby.psql(statement, self.name)

    def test_synchronous_standby(self):
        load, psql = self.fail_over(True, "immediate")
        print(f"  writes over the failover: {load.verify(psql)}", flush=True)

    def test_asynchronous_standby(self):
        """A fast shutdown sends all commits to the standby before it ends."""
        load, psql = self.fail_over(False, "fast")
        print(f"  writes over the failover: {load.verify(psql)}", flush=True)


class Synchronous(PairCase):
    def test_cancelled_wait(self):
        """The standby is silent, so a commit waits for it until the call times out. The server then
        reports the commit with a warning, although only the primary has it. The call must not be
        answered as stored."""
        standby = self.follow(True)
        daemon = self.daemon("--pool", "2", "--call-timeout", "1s")
        with daemon.connect() as one:
            world = World(one)
            key = world.api_key(world.user())
            receiver = int(standby.psql("SELECT pid FROM pg_stat_wal_receiver"))
            os.kill(receiver, signal.SIGSTOP)
            try:
                name = unique("waits")
                began = time.monotonic()
                waiting = one.request("record_api_key_usage", usage=new_usage(key, tool_name=name))
                self.held_up()
                error = one.answer(waiting)["error"]
                self.assertLess(time.monotonic() - began, 1 + 2 + 2 + 2 * SLOW)
                self.assertEqual(
                    (error["data"]["kind"], error["data"]["outcome"]), ("timeout", "unknown")
                )
                with daemon.connect() as reader:
                    self.assertIsNotNone(reader.call("get_user_count"))
            finally:
                os.kill(receiver, signal.SIGCONT)
            self.assertEqual(
                self.query(f"SELECT count(*) FROM api_key_usage WHERE tool_name = '{name}'"), "1"
            )
            self.within(
                10,
                lambda: "result"
                in one.answer(
                    one.request("record_api_key_usage", usage=new_usage(key, tool_name=unique("w")))
                ),
            )

    def test_wait_cancelled_by_another(self):
        """An administrator, not the daemon, ends the wait. A role that receives no warnings makes
        no difference."""
        standby = self.follow(True)
        self.query(f"ALTER DATABASE {self.name} SET client_min_messages = error")
        daemon = self.daemon("--pool", "2", "--call-timeout", "30s")
        with daemon.connect() as one:
            world = World(one)
            key = world.api_key(world.user())
            receiver = int(standby.psql("SELECT pid FROM pg_stat_wal_receiver"))
            for method in ("record_api_key_usage", "update_api_key_last_used"):
                os.kill(receiver, signal.SIGSTOP)
                try:
                    params = (
                        {"usage": new_usage(key)}
                        if method == "record_api_key_usage"
                        else {"api_key_id": key}
                    )
                    waiting = one.request(method, params)
                    self.held_up()
                    self.query(
                        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = "
                        "'SyncRep'"
                    )
                    error = one.answer(waiting)["error"]
                    self.assertEqual(
                        (error["data"]["kind"], error["data"]["outcome"]),
                        ("unavailable", "unknown"),
                    )
                finally:
                    os.kill(receiver, signal.SIGCONT)
                self.within(
                    10,
                    lambda: "result"
                    in one.answer(one.request("record_api_key_usage", usage=new_usage(key))),
                )

    def test_warning_of_a_trigger(self):
        """A warning of a user-defined function does not concern the commit."""
        daemon = self.daemon("--pool", "2")
        with daemon.connect() as one:
            user = World(one).user()
            self.query(
                "CREATE FUNCTION warns() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE "
                "WARNING 'old'; RETURN NEW; END $$; "
                "CREATE TRIGGER warns BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION warns()"
            )
            one.call("update_last_active", user_id=user)


class Standby(PairCase):
    def test_writes_to_a_standby(self):
        """The only host is a standby: reads are served, and writes are refused as `storage` until
        it is promoted."""
        first = self.daemon("--pool", "1")
        with first.connect() as one:
            user = World(one).user(display_name="on both")
        standby = self.follow(False)
        self.within(20, lambda: standby.psql("SELECT count(*) FROM users", self.name) == "1")
        url = standby.database_url(self.name)
        daemon = self.daemon("--pool", "2", url=url, key=first.key)
        with daemon.connect() as one:
            one.call("daemon.ping")
            before = invariants.Snapshot(daemon)
            for number in range(60):
                self.assertEqual(one.call("get_user", user_id=user)["display_name"], "on both")
                problem = one.error("update_last_active", user_id=user)
                self.assertEqual(problem.kind, "storage")
                self.assertIn("standby", problem.message)
                if number == 30:
                    time.sleep(2.2)  # from here on the connection is old enough to be checked
            connects = self.server_log(standby).count("application_name=pierre-dbd")
            self.assertGreater(connects, 1, "no connection was checked")
            self.assertLess(connects, 10, "too many connects")
            standby.promote()
            began = time.monotonic()
            self.within(
                5, lambda: "result" in one.answer(one.request("update_last_active", user_id=user))
            )
            recovered(
                "the promotion of the standby that it was connected to", time.monotonic() - began
            )
        invariants.check(daemon, before)

    def test_primary_becomes_read_only(self):
        """Connections to a server that no longer accepts writes are replaced by connections to one
        that does."""
        daemon = self.daemon(
            "--pool",
            "2",
            "--pool-min",
            "2",
            "--acquire-timeout",
            "1s",
            url=both(self.server, self.server, self.name, "&target_session_attrs=read-write"),
        )
        self.within(5, lambda: self.connections(daemon) == 2)
        with daemon.connect() as one:
            one.call("daemon.ping")
            before = invariants.Snapshot(daemon)
            user = World(one).user()
            time.sleep(2.1)
            self.server.psql("ALTER SYSTEM SET default_transaction_read_only = on", "postgres")
            self.server.psql("SELECT pg_reload_conf()", "postgres")
            problem = self.within(
                5, lambda: one.answer(one.request("update_last_active", user_id=user)).get("error")
            )
            self.assertIn(
                problem["data"]["kind"], ("storage", "unavailable")
            )  # from that server, or while the daemon searches for another
            with self.server.session("postgres") as admin:
                admin.run("SET default_transaction_read_only = off")
                admin.run("ALTER SYSTEM RESET default_transaction_read_only")
            self.server.psql("SELECT pg_reload_conf()", "postgres")
            began = time.monotonic()
            self.within(
                10, lambda: "result" in one.answer(one.request("update_last_active", user_id=user))
            )
            recovered("a server that was read-only for a while", time.monotonic() - began)
        self.within(5, lambda: self.connections(daemon) == 2)
        invariants.check(daemon, before)


class BlackHoles(ServerCase):
    def test_first_host_is_silent(self):
        """The first host accepts connections and stays silent: the daemon's own timer moves on to
        the second."""
        with BlackHole() as hole:
            url = (
                f"postgresql://{self.server.user}@127.0.0.1:{hole.port},"
                f"127.0.0.1:{self.server.port}/{self.name}?sslmode=disable&gssencmode=disable"
            )
            began = time.monotonic()
            daemon = self.daemon("--connect-timeout", "2s", url=url)
            took = time.monotonic() - began
            self.assertLess(took, 2 + 3 * SLOW)
            recovered("a black hole as first host, until ready", took)
            with daemon.connect() as one:
                World(one).user()
                self.server.psql(f"SELECT pg_terminate_backend({self.backends()[0]})", "postgres")
                began = time.monotonic()
                self.within(8, lambda: "result" in one.answer(one.request("get_user_count")))
                recovered(
                    "the loss of the connection beside a black hole", time.monotonic() - began
                )

    def test_only_host_is_silent(self):
        with BlackHole() as hole:
            url = (
                f"postgresql://{self.server.user}:canary-password@127.0.0.1:{hole.port}/"
                f"{self.name}?sslmode=disable&gssencmode=disable"
            )
            began = time.monotonic()
            with self.assertRaises(StartFailure) as failure:
                self.daemon("--connect-timeout", "2s", url=url)
            self.assertLess(time.monotonic() - began, 2 + 3 * SLOW)
            self.assertEqual(failure.exception.code, 69)
            self.assertIn("timeout", failure.exception.log)
            self.assertNotIn("canary-password", failure.exception.log)

    def test_becomes_silent(self):
        """A host becomes silent later: `unavailable` names the cause in bounded time."""
        proxy, daemon = self.proxied("--connect-timeout", "2s", "--acquire-timeout", "3s", pool=1)
        before = invariants.Snapshot(daemon)
        with daemon.connect() as one:
            one.call("get_user_count")
            proxy.stalled = True
            proxy.reset_all()
            began = time.monotonic()
            problem = one.error("get_user_count")
            self.assertLess(time.monotonic() - began, 3 + 2 + 2 * SLOW)
            self.assertEqual(problem.kind, "unavailable")
            self.assertIn("timeout", problem.message)
            proxy.stalled = False
            began = time.monotonic()
            self.within(10, lambda: "result" in one.answer(one.request("get_user_count")))
            recovered("a host that had become silent", time.monotonic() - began)
        invariants.check(daemon, before)
