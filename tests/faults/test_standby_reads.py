"""Reads from standbys, on a primary with two of them: each rule by itself, and a checker of all of
them while standbys lag and vanish. Would catch: a read
that misses its connection's write, or shows a write sent behind it; reads that go back in time
between two standbys, or between a standby and the primary; a standby that is believed although
another one told how far it is; one that is cut off and still counts as fresh; an error of a standby
that a caller sees."""
import contextlib
import itertools
import os
import socket
import threading
import time

from lib.case import Case
from lib.causal import Checker
from lib.daemon import SLOW
from lib.postgres_server import free_port
from lib.proxy import Proxy
from lib.rpc import result_of
from lib.routes import reads, roles
from lib.standbys import Endpoint, shared
from lib.world import World, new_usage

BACKENDS = ("postgres",)
STRICT = True
LONG_AGO, FAR = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
CAUSAL = (
    "get_user_profile",
    "get_user_goals",
    "get_user_insights",
    "get_a2a_task",
    "get_request_logs",
    "get_api_key_usage_stats",
    "get_user_count",
)
LONG_COMMIT = 1.5  # seconds that a synchronous standby takes to confirm
PAIRS = 300  # in each state of the standbys
CROWD = 60
MANY = 20  # reads of which some would go to a wrong server


class Rules(Case):
    @classmethod
    def setUpClass(cls):
        cls.group = shared()
        cls.first, cls.second = cls.group.standbys
        cls.writer = cls.group.daemon("--pool", "2", read_from=None, url=cls.group.primary.url)
        cls.addClassCleanup(cls.writer.stop)
        cls.writer.start()

    def setUp(self):
        self.other = self.writer.connect()  # whose writes no tested daemon knows
        self.addCleanup(self.other.close)
        self.world = World(self.other)
        self.user = self.world.user()
        self.key = self.world.api_key(self.user)
        self.write(self.other, 1)
        self.group.caught_up()

    def daemon(self, *options, servers=(), url=None):
        """A daemon that has read from its standbys."""
        url = url or (self.group.url(self.group.primary, *servers) if servers else None)
        daemon = self.group.daemon(*("--pool", "4", "--standby-lag", "60s", *options), url=url)
        self.addCleanup(daemon.stop)
        daemon.start()
        self.reading(daemon)
        return daemon

    def reading(self, daemon):
        """Waits until a standby answers."""
        with daemon.connect() as one:
            self.from_standby(daemon, one)

    def from_standby(self, daemon, one):
        """Waits until a standby answers this connection; returns the answer."""

        def answered():
            before = reads(daemon)["standby"]
            found = self.read(one)
            return found if reads(daemon)["standby"] > before else None

        return self.within(10, answered)

    def write(self, one, number):
        one.call("upsert_user_profile", user_id=self.user, profile_data={"n": number})

    def read(self, one):
        return one.call("get_user_profile", user_id=self.user)["n"]

    def use(self):
        self.world.usage(self.key)

    def counted(self, one):
        """Causal."""
        return one.call("get_api_key_usage_stats", [self.key, LONG_AGO, FAR])["total_requests"]

    def limit(self, one):
        """Exact, and of the same tables."""
        return one.call("get_api_key_current_usage", api_key_id=self.key)

    @contextlib.contextmanager
    def all_paused(self):
        with self.first.paused(), self.second.paused():
            yield

    # Own writes

    def test_own_writes(self):
        """No standby has them."""
        daemon = self.daemon()
        with self.all_paused(), daemon.connect() as one:
            before = reads(daemon)
            for number in range(2, 2 + MANY):
                self.write(one, number)
                self.assertEqual(self.read(one), number)
            after = reads(daemon)
            self.assertEqual(after["standby"], before["standby"])
            self.assertGreater(
                after["behind"] + after["pending"], before["behind"] + before["pending"]
            )
            with daemon.connect() as another:
                self.assertEqual(self.from_standby(daemon, another), 1)
        with daemon.connect() as one:
            self.within(10, lambda: self.from_standby(daemon, one) == 1 + MANY)

    def test_the_position_is_told_before_the_read(self):
        """The standby replays the write while the read is on its way."""
        proxy = Proxy(self.first)
        self.addCleanup(proxy.close)
        daemon = self.daemon(servers=[proxy])
        with daemon.connect() as one, contextlib.ExitStack() as stack:
            stack.enter_context(self.first.paused())
            self.write(one, 2)
            before = reads(daemon)["behind"]
            self.within(10, lambda: self.read(one) and reads(daemon)["behind"] > before)

            def replay():
                stack.close()
                self.first.caught_up()

            proxy.fault = BehindTheFirst(replay)
            self.assertEqual(self.read(one), 2)
            self.assertTrue(proxy.fault.hit)

    def test_own_writes_in_a_transaction(self):
        daemon = self.daemon()
        params = {"user_id": self.user, "profile_data": {"n": 2}}
        with self.all_paused(), daemon.connect() as one:
            calls = [{"method": "upsert_user_profile", "params": params}]
            one.call("daemon.transaction", calls=calls)
            self.assertEqual(self.read(one), 2)

    def test_other_tables_stay_on_the_standby(self):
        """Usage is recorded with each request, and does not send all else to the primary."""
        daemon = self.daemon()
        with self.all_paused(), daemon.connect() as one:
            for _ in range(MANY):
                before = reads(daemon)["standby"]
                World(one).usage(self.key)
                self.assertEqual(self.read(one), 1)
                self.assertEqual(reads(daemon)["standby"], before + 1)

    def test_waits_for_replay(self):
        """A standby that is a little behind is waited for."""
        daemon = self.daemon("--standby-wait", "1s", servers=[self.first])
        self.first.delay("20ms")
        try:
            with daemon.connect() as one:
                before = reads(daemon)
                for number in range(2, 7):
                    self.write(one, number)
                    self.assertEqual(self.read(one), number)
                after = reads(daemon)
                self.assertGreater(after["standby"] + after["pending"], before["standby"])
                self.assertEqual(after["behind"], before["behind"])
        finally:
            self.first.delay(None)

    def test_end_of_a_page(self):
        """An idle primary reports the end of its log behind the header of the next page."""
        daemon = self.daemon(servers=[self.first])
        with daemon.connect() as one:
            self.group.primary.end_of_page()
            self.first.caught_up()
            one.call("get_user", user_id=self.user)  # the next sample counts for this connection
            before = reads(daemon)

            def answered():
                return one.call("get_user_count") and reads(daemon)["standby"] > before["standby"]

            self.within(10, answered)
            self.assertEqual(reads(daemon)["behind"], before["behind"])

    # Order

    def test_a_read_behind_an_unfinished_write(self):
        daemon = self.daemon()
        with daemon.connect() as one, self.group.primary.session() as locker:
            locker.run("BEGIN")
            locker.run("LOCK TABLE user_profiles IN SHARE MODE")
            write = one.request("upsert_user_profile", user_id=self.user, profile_data={"n": 2})
            read = one.request("get_user_profile", user_id=self.user)
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            self.within(10, lambda: self.group.primary.psql(waiting) == "1")
            locker.run("COMMIT")
            self.assertIsNone(one.answer(write)["result"])
            self.assertEqual(one.answer(read)["result"]["n"], 2)

    def test_a_write_behind_an_unfinished_read(self):
        proxy = Proxy(self.first)
        self.addCleanup(proxy.close)
        daemon = self.daemon(servers=[proxy])
        with daemon.connect() as one:
            proxy.stalled = True
            calls = [
                ("get_user_profile", {"user_id": self.user}),
                ("upsert_user_profile", {"user_id": self.user, "profile_data": {"n": 2}}),
                ("get_user_profile", {"user_id": self.user}),
            ]
            before, _, after = map(result_of, one.many(calls))
            proxy.stalled = False
            self.assertEqual((before["n"], after["n"]), (1, 2))

    def test_a_read_behind_one_that_goes_to_the_primary(self):
        """Both have waited for the standby. The second one does not show what is older."""
        daemon = self.daemon("--standby-wait", "500ms", servers=[self.first])
        with daemon.connect() as one, contextlib.ExitStack() as stack:
            stack.enter_context(self.first.paused())
            self.use()
            self.assertEqual(self.limit(one), 1)
            before = reads(daemon)["behind"]
            self.within(10, lambda: self.counted(one) and reads(daemon)["behind"] > before)
            self.received()
            with self.first.deaf():
                self.use()
                stats = ("get_api_key_usage_stats", [self.key, LONG_AGO, FAR])
                before = reads(daemon)["behind"]
                first = one.request(*stats)
                self.assertTrue(one.silent(0.3))
                second = one.request(*stats)
                self.within(10, lambda: reads(daemon)["behind"] > before)
                stack.close()  # it replays the first use alone
                found = [one.answer(call)["result"]["total_requests"] for call in (first, second)]
                self.assertEqual(found, sorted(found))

    def received(self):
        """Waits until the first standby has all of the log, which it need not have replayed."""
        position = self.group.position()
        statement = "SELECT pg_last_wal_receive_lsn() - '0/0'"
        self.within(10, lambda: int(self.first.ask(statement)) >= position)

    # Monotonic reads

    def test_from_the_primary_to_a_standby(self):
        """An exact read has shown what no standby has."""
        daemon = self.daemon()
        with self.all_paused(), daemon.connect() as one:
            self.use()
            self.assertEqual(self.limit(one), 1)
            for _ in range(MANY):
                self.assertEqual(self.counted(one), 1)

    def test_from_the_primary_beside_a_write(self):
        """A read that shares its transaction with another client's write shows it. The log's end of
        that moment does not cover the write."""
        proxy = Proxy(self.first)
        self.addCleanup(proxy.close)
        daemon = self.daemon("--pool", "1", servers=[proxy])
        with daemon.connect() as one, daemon.connect() as another, self.first.paused():
            proxy.target = ("127.0.0.1", free_port())
            proxy.reset_all()
            self.within(10, lambda: roles(daemon)[proxy.port] == "unreachable")
            daemon.call("daemon.pause")
            write = another.request("record_api_key_usage", usage=new_usage(self.key))
            self.within(10, lambda: self.deferred(daemon) == 1)
            read = one.request("get_api_key_usage_stats", [self.key, LONG_AGO, FAR])
            self.within(10, lambda: self.deferred(daemon) == 2)
            daemon.call("daemon.resume")
            self.assertIsNone(another.answer(write)["result"])
            seen = one.answer(read)["result"]["total_requests"]
            proxy.target = ("127.0.0.1", self.first.port)
            self.within(20, lambda: roles(daemon)[proxy.port] == "standby")
            for _ in range(3):
                self.assertGreaterEqual(self.counted(one), seen)

    @staticmethod
    def deferred(daemon):
        return daemon.call("daemon.stats")["gauges"]["paused_calls"]

    def test_from_a_standby_to_another(self):
        """The one that a connection has read is lost, and the other one is behind it."""
        proxy = Proxy(self.first)
        self.addCleanup(proxy.close)
        daemon = self.daemon(servers=[proxy, self.second])
        self.within(10, lambda: list(roles(daemon).values()).count("standby") == 2)
        self.group.caught_up()
        with self.second.paused(), contextlib.ExitStack() as stack:
            self.write(self.other, 2)
            self.first.caught_up()
            before = reads(daemon)
            clients = [stack.enter_context(daemon.connect()) for _ in range(8)]
            found = {client: [self.read(client) for _ in range(4)] for client in clients}
            for numbers in found.values():
                self.assertEqual(numbers, sorted(numbers))
            self.assertEqual(reads(daemon)["standby"], before["standby"] + 4 * len(clients))
            seen = [client for client in clients if found[client][-1] == 2]
            self.assertTrue(seen)
            proxy.close()
            for _ in range(4):
                self.assertEqual([self.read(client) for client in seen], [2] * len(seen))
            with daemon.connect() as another:
                self.assertEqual(self.from_standby(daemon, another), 1)

    def test_from_a_standby_to_the_primary(self):
        """A commit that waits for a synchronous standby is visible on another one before it is
        visible on the primary."""
        proxy = Proxy(self.first)
        self.addCleanup(proxy.close)
        daemon = self.daemon(servers=[proxy])
        self.group.synchronous(f"2 ({self.first.name}, {self.second.name})")
        self.addCleanup(self.group.synchronous, "")
        with daemon.connect() as one, daemon.connect() as another:
            with self.second.frozen():
                usage = self.other.request("record_api_key_usage", usage=new_usage(self.key))
                self.within(10, lambda: self.counted(one) == 1 and self.counted(another) == 1)
                exact = one.request("get_api_key_current_usage", api_key_id=self.key)
                proxy.close()  # from now on the primary alone can answer
                causal = another.request("get_api_key_usage_stats", [self.key, LONG_AGO, FAR])
                self.assertTrue(one.silent(0.2))
                self.assertTrue(another.silent(LONG_COMMIT))
            self.assertIsNone(self.other.answer(usage)["result"])
            self.assertEqual(one.answer(exact)["result"], 1)
            self.assertEqual(another.answer(causal)["result"]["total_requests"], 1)

    def test_a_position_of_another_daemon(self):
        """All connections read what it covers."""
        daemon = self.daemon()
        with self.all_paused(), daemon.connect() as one, daemon.connect() as another:
            self.write(self.other, 2)
            self.assertEqual(self.from_standby(daemon, another), 1)
            position = self.other.call("daemon.position")
            self.assertIsNone(one.call("daemon.wait_for", position=position))
            for client in (one, another):
                for _ in range(MANY):
                    self.assertEqual(self.read(client), 2)

    # Which standby is believed

    def test_a_name_of_several_servers(self):
        """Connections to one host lead to a standby that is behind, and to one that is not."""
        endpoint = Endpoint(self.first, self.second)
        self.addCleanup(endpoint.close)
        daemon = self.daemon(
            *("--pool-min", "4", "--standby-url", self.group.url(endpoint)),
            url=self.group.primary.url,
        )
        self.crowd(daemon, endpoint)
        with Checker(daemon) as checker:
            checker.progress(PAIRS)
            with self.second.paused():
                checker.progress(PAIRS)
        checker.verify()
        self.assertGreater(checker.where().get("standby", 0), MANY)

    def crowd(self, daemon, endpoint):
        """Has so many reads under way that the daemon opens another connection to the endpoint."""

        def connections():
            servers = daemon.call("daemon.stats")["servers"]
            return max(server["connections"] for server in servers)

        def crowded():
            self.together(clients)
            return connections() >= 2

        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(daemon.connect()) for _ in range(CROWD)]
            endpoint.delay = 0.02
            self.within(20, crowded)
            endpoint.delay = 0.0

    def together(self, clients):
        asked = [client.request("get_user_profile", user_id=self.user) for client in clients]
        for client, one in zip(clients, asked):
            self.assertEqual(client.answer(one)["result"]["n"], 1)

    def test_a_standby_that_is_cut_off(self):
        """It has replayed all that it has received, and grows old."""
        lag = 1.0
        daemon = self.daemon("--standby-lag", f"{lag:.0f}s", servers=[self.first])
        self.first.cut_off()
        try:
            self.write(self.other, 2)
            answered = time.monotonic()
            with daemon.connect() as one:
                stale = True
                while stale:
                    sent = time.monotonic()
                    stale = self.read(one) == 1
                    self.assertFalse(stale and sent > answered + lag)
                self.within(10 * SLOW, lambda: self.read(one) == 2 and reads(daemon)["old"])
        finally:
            self.first.follow()
        self.within(10, lambda: self.reading(daemon) is None)

    # Errors

    def test_replay_cancels_a_read(self):
        """A read on the standby waits for one lock and holds another, which replay needs."""
        self.first.set(max_standby_streaming_delay="0")
        try:
            daemon = self.daemon("--pool", "4", servers=[self.first])
            client = self.world.client(self.key)
            self.first.caught_up()
            with daemon.connect() as one, self.group.primary.session() as locker:
                list_clients = ("list_a2a_clients", {"user_id": self.user})
                before = reads(daemon)
                self.within(
                    10,
                    lambda: one.call(*list_clients)
                    and reads(daemon)["standby"] > before["standby"],
                )
                locker.run("BEGIN")
                self.lock(locker, "a2a_clients")
                call = one.request(*list_clients)
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                self.within(5, lambda: self.first.ask(waiting) == "1")
                self.lock(locker, "api_keys")
                self.within(5, lambda: "conflict with recovery" in self.log(self.first))
                locker.run("COMMIT")
                found = one.answer(call)
                self.assertEqual([c["id"] for c in found["result"]], [client])
            self.assertGreater(reads(daemon)["conflict"], before["conflict"])
        finally:
            self.first.set(max_standby_streaming_delay="30s")

    def lock(self, locker, table):
        """The lock of a change of the table, which the standby has taken as well."""
        locker.run(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        self.group.primary.psql("SELECT pg_logical_emit_message(true, '', '')")
        self.first.caught_up()

    @staticmethod
    def log(server):
        with open(f"{server.folder}/log", encoding="utf-8", errors="replace") as file:
            return file.read()


class BehindTheFirst:
    """Calls `then` when the first statement of the next batch with several has run, and before the
    second."""

    def __init__(self, then):
        self.then, self.hit = then, False
        self.last = {}  # link -> kind of its last message

    def __call__(self, link, message):
        if not self.hit and self.last.get(link) == b"E" and message.kind not in b"SHX":
            self.hit = True
            self.then()
        self.last[link] = message.kind
        return message.data


class Checked(Case):
    """All rules at once."""

    def test_faults_of_standbys(self):
        group = shared()
        first, second = group.standbys
        with group.daemon("--pool", "4", "--standby-lag", "1s") as daemon:
            with Checker(daemon, age=1.5) as checker:
                checker.progress(PAIRS)
                with first.paused(), second.paused():
                    before = reads(daemon)["old"]
                    self.within(10, lambda: reads(daemon)["old"] > before)
                second.delay("5ms")
                with first.frozen():
                    checker.progress(PAIRS)
                first.kill()
                checker.progress(PAIRS)
                first.launch()
                second.cut_off()
                checker.progress(PAIRS)
                second.follow()
                second.delay(None)
                checker.progress(PAIRS)
            print(f"  {checker.report()}", flush=True)
            checker.verify()
            self.assertGreater(checker.where().get("standby", 0), PAIRS)

    def test_the_checker(self):
        """It finds the faults of a router that takes any standby."""
        group = shared()
        with contextlib.ExitStack() as stack:
            daemons = [
                stack.enter_context(group.daemon(read_from=None, url=server.url))
                for server in (group.primary, *group.standbys)
            ]
            group.standbys[0].delay("100ms")
            stack.callback(group.standbys[0].delay, None)
            router = stack.enter_context(Naive(*daemons))
            with Checker(router, callers=4, age=0.05) as checker:
                checker.progress(100)
        rules = {violation.rule for violation in checker.broken()}
        self.assertEqual(rules, {"own writes", "monotonic", "age"})
        self.assertFalse(checker.errors)
        self.assertRaises(AssertionError, checker.verify)


class Naive:
    """Sends causal reads to the daemons on standbys in turn."""

    def __init__(self, primary, *standbys):
        self.daemons = primary, *standbys
        self.connect, self.call = primary.connect, primary.call
        self.socket_path = os.path.join(primary.folder, "naive")
        self.causal = tuple(f'"method":"{name}"'.encode() for name in CAUSAL)

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket_path)
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        os.unlink(self.socket_path)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.ExitStack() as stack:
            stack.enter_context(client)
            servers = []
            for daemon in self.daemons:
                servers.append(stack.enter_context(socket.socket(socket.AF_UNIX)))
                servers[-1].connect(daemon.socket_path)
                threading.Thread(
                    target=self._answers, args=(servers[-1], client), daemon=True
                ).start()
            standbys = itertools.cycle(servers[1:])
            with client.makefile("rb") as lines:
                for line in lines:
                    causal = any(name in line for name in self.causal)
                    (next(standbys) if causal else servers[0]).sendall(line)

    @staticmethod
    def _answers(server, client):
        with contextlib.suppress(OSError), server.makefile("rb") as lines:
            for line in lines:
                client.sendall(line)
