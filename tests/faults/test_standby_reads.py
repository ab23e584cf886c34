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
# A primary that is slow to answer does not count as lost, so that no read may be older.
NO_OUTAGE = ("--standby-outage", "0")
LIMIT = 60  # seconds for a state that comes at once as a rule


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
        return self.answered_there(daemon, lambda: self.read(one))

    def answered_there(self, daemon, read):
        def answered():
            before = reads(daemon)["standby"]
            found = read()
            return found if reads(daemon)["standby"] > before else None

        return self.within(LIMIT, answered)

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
            self.within(LIMIT, lambda: self.from_standby(daemon, one) == 1 + MANY)

    def test_the_position_is_told_before_the_read(self):
        """The standby replays the write while the read is on its way."""
        proxy = Proxy(self.first)
        self.addCleanup(proxy.close)
        daemon = self.daemon(servers=[proxy])
        with daemon.connect() as one, contextlib.ExitStack() as stack:
            stack.enter_context(self.first.paused())
            self.write(one, 2)
            before = reads(daemon)["behind"]
            self.within(LIMIT, lambda: self.read(one) and reads(daemon)["behind"] > before)

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
            before = reads(daemon)["standby"]
            for _ in range(MANY):
                World(one).usage(self.key)
                self.assertEqual(self.read(one), 1)
            self.assertGreater(reads(daemon)["standby"], before + MANY // 2)

    def test_waits_for_replay(self):
        """A standby that is a little behind is waited for."""
        daemon = self.daemon("--standby-wait", "1s", servers=[self.first])
        self.first.delay("200ms")
        numbers = itertools.count(2)
        try:
            with daemon.connect() as one:

                def waited():
                    number = next(numbers)
                    self.write(one, number)
                    return self.answered(daemon, lambda: self.shows(one, number)) == "standby"

                self.within(LIMIT, waited)
        finally:
            self.first.delay(None)

    def shows(self, one, number):
        self.assertEqual(self.read(one), number)

    def answered(self, daemon, read):
        """Reads until the position that the read must see is known. Returns "standby", or why the
        primary has answered."""

        def known():
            before = reads(daemon)
            read()
            return [name for name in reads(daemon) - before if name != "pending"]

        return self.within(LIMIT, known)[0]

    def test_end_of_a_page(self):
        """An idle primary reports the end of its log behind the header of the next page."""
        daemon = self.daemon(servers=[self.first])
        found = []
        with daemon.connect() as one:
            while "standby" not in found and len(found) < 3:  # others may write in between
                self.group.primary.end_of_page()
                self.first.caught_up()
                # The next sample counts for this connection.
                one.call("get_user", user_id=self.user)
                found.append(self.answered(daemon, lambda: one.call("get_user_count")))
        self.assertIn("standby", found)

    # Order

    def test_a_read_behind_an_unfinished_write(self):
        daemon = self.daemon()
        with daemon.connect() as one, self.group.primary.session() as locker:
            locker.run("BEGIN")
            locker.run("LOCK TABLE user_profiles IN SHARE MODE")
            write = one.request("upsert_user_profile", user_id=self.user, profile_data={"n": 2})
            read = one.request("get_user_profile", user_id=self.user)
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            self.within(LIMIT, lambda: self.group.primary.psql(waiting) == "1")
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
            self.within(LIMIT, lambda: self.counted(one) and reads(daemon)["behind"] > before)
            self.received()
            with self.first.deaf():
                self.use()
                stats = ("get_api_key_usage_stats", [self.key, LONG_AGO, FAR])
                before = reads(daemon)["behind"]
                first = one.request(*stats)
                time.sleep(0.3)  # so much longer does the second one wait
                second = one.request(*stats)
                self.within(LIMIT, lambda: reads(daemon)["behind"] > before)
                stack.close()  # it replays the first use alone
                found = [one.answer(call)["result"]["total_requests"] for call in (first, second)]
                self.assertEqual(found, sorted(found))

    def received(self):
        """Waits until the first standby has all of the log, which it need not have replayed."""
        position = self.group.position()
        statement = "SELECT pg_last_wal_receive_lsn() - '0/0'"
        self.within(LIMIT, lambda: int(self.first.ask(statement)) >= position)

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
            self.within(LIMIT, lambda: roles(daemon)[proxy.port] == "unreachable")
            daemon.call("daemon.pause")
            write = another.request("record_api_key_usage", usage=new_usage(self.key))
            self.within(LIMIT, lambda: self.deferred(daemon) == 1)
            read = one.request("get_api_key_usage_stats", [self.key, LONG_AGO, FAR])
            self.within(LIMIT, lambda: self.deferred(daemon) == 2)
            daemon.call("daemon.resume")
            self.assertIsNone(another.answer(write)["result"])
            seen = one.answer(read)["result"]["total_requests"]
            proxy.target = ("127.0.0.1", self.first.port)
            self.within(LIMIT, lambda: roles(daemon)[proxy.port] == "standby")
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
        self.within(LIMIT, lambda: list(roles(daemon).values()).count("standby") == 2)
        self.group.caught_up()
        with self.second.paused(), contextlib.ExitStack() as stack:
            self.write(self.other, 2)
            self.first.caught_up()
            before = reads(daemon)
            clients = [stack.enter_context(daemon.connect()) for _ in range(8)]
            found = {client: [self.read(client) for _ in range(4)] for client in clients}
            for numbers in found.values():
                self.assertEqual(numbers, sorted(numbers))
            self.assertGreater(reads(daemon)["standby"], before["standby"] + 2 * len(clients))
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
                self.within(LIMIT, lambda: self.counted(one) == 1 and self.counted(another) == 1)
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
            self.within(LIMIT, crowded)
            endpoint.delay = 0.0

    def together(self, clients):
        asked = [client.request("get_user_profile", user_id=self.user) for client in clients]
        for client, one in zip(clients, asked):
            self.assertEqual(client.answer(one)["result"]["n"], 1)

    def test_a_standby_that_is_cut_off(self):
        """It has replayed all that it has received, and grows old."""
        lag = 1.0
        options = ("--standby-lag", f"{lag:.0f}s", *NO_OUTAGE)
        daemon = self.daemon(*options, servers=[self.first])
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
                self.within(LIMIT, lambda: self.read(one) == 2 and reads(daemon)["old"])
        finally:
            self.first.follow()
        self.within(LIMIT, lambda: self.reading(daemon) is None)

    # Errors

    def test_replay_cancels_a_read(self):
        """A read on the standby waits for one lock and holds another, which replay needs."""
        self.first.set(max_standby_streaming_delay="0")
        try:
            daemon = self.daemon("--pool", "4", servers=[self.first])
            client = self.world.client(self.key)
            with contextlib.ExitStack() as stack:
                one = stack.enter_context(daemon.connect())
                sessions = [
                    stack.enter_context(server.session())
                    for server in (self.group.primary, self.group.primary, self.first)
                ]
                # On a busy machine the daemon may find the standby slow before the conflict.
                self.within(LIMIT, lambda: self.cancelled(daemon, one, client, *sessions))
        finally:
            self.first.set(max_standby_streaming_delay="30s")

    def cancelled(self, daemon, one, client, locker, primary, standby):
        """Returns whether replay has cancelled a read, which the primary has then answered."""
        list_clients = ("list_a2a_clients", {"user_id": self.user})
        self.first.caught_up()
        self.answered_there(daemon, lambda: one.call(*list_clients))
        before = reads(daemon)
        locker.run("BEGIN")
        self.lock("a2a_clients", locker, primary, standby)
        call = one.request(*list_clients)

        def ended():
            now = reads(daemon)
            return now["conflict"] > before["conflict"] or now["slow"] > before["slow"]

        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        self.within(LIMIT, lambda: standby.run(waiting) == "1" or ended(), every=0.002)
        self.lock("api_keys", locker, primary, standby)
        self.within(LIMIT, ended)
        locker.run("COMMIT")
        self.assertEqual([found["id"] for found in one.answer(call)["result"]], [client])
        return reads(daemon)["conflict"] > before["conflict"]

    def lock(self, table, locker, primary, standby):
        """The lock of a change of the table, which the standby has taken as well. By sessions that
        are open: a program for each question would take too long."""
        locker.run(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        primary.run("SELECT pg_logical_emit_message(true, '', '')")
        flushed = primary.run("SELECT pg_current_wal_flush_lsn()")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{flushed}'"
        self.within(LIMIT, lambda: standby.run(replayed) == "t", every=0.002)


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
        with group.daemon("--pool", "4", "--standby-lag", "1s", *NO_OUTAGE) as daemon:
            with Checker(daemon, age=1.5) as checker:
                checker.progress(PAIRS)
                with first.paused(), second.paused():
                    before = reads(daemon)["old"]
                    self.within(LIMIT, lambda: reads(daemon)["old"] > before)
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
