"""Clients that misbehave: idle, slow, never reading, disconnecting, too many, too fast. Would
catch: a loop that spins, an unbounded buffer, a fatal write to a closed socket, a descriptor leaked
at each disconnect, a starved neighbour, an answer sent to the wrong client."""
import array
import os
import random
import resource
import socket
import threading
import time

from lib import invariants, strict
from lib.case import Case
from lib.daemon import SANITIZER, SLOW, Daemon
from lib.rpc import Closed, Connection, Late
from lib.world import World, new_user, uuid4

BACKENDS = ("sqlite",)
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))
MEMORY_CAP = 128 << 20  # a service limited to this much is never killed for memory
PING = b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\n'
PONG = {"jsonrpc": "2.0", "id": 1, "result": "pong"}


def ticks(pid):
    """Processor time used so far, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Clients(Case):
    options = ()
    limits = None

    def setUp(self):
        self.daemon = Daemon(options=self.options, limits=self.limits).start()
        self.addCleanup(self.daemon.discard)
        with self.daemon.connect() as connection:
            World(connection).user()
            connection.call("get_user_count")
        self.before = invariants.Snapshot(self.daemon)

    def finish(self):
        invariants.check(self.daemon, self.before)
        if not SANITIZER:  # its shadow memory and quarantine are not the daemon's
            self.assertLess(invariants.peak(self.daemon.pid), MEMORY_CAP)
        self.daemon.stop()

    def raw(self):
        return Connection(self.daemon.socket_path, 30 * SLOW)


class Silent(Clients):
    def test_a_thousand_silent_ones(self):
        """They use no processor time, and other clients are served as before."""
        silent = [self.raw() for _ in range(1000)]
        time.sleep(0.3)
        used, began = ticks(self.daemon.pid), time.monotonic()
        time.sleep(1.5)
        self.assertLess((ticks(self.daemon.pid) - used) / (time.monotonic() - began), 0.1 * SLOW)
        with self.daemon.connect() as polite:
            began = time.monotonic()
            for _ in range(200):
                self.assertEqual(polite.call("daemon.ping"), "pong")
            self.assertLess(time.monotonic() - began, 2 * SLOW)
        for one in silent:
            one.close()
        self.finish()


class Slow(Clients):
    options = ("--line-timeout", "2s")

    def test_a_byte_at_a_time(self):
        """A line that arrives in time is answered, however slowly it arrives. One that does not
        closes its own connection only."""
        slow = [self.raw() for _ in range(50)]
        with self.daemon.connect() as polite:
            for index, byte in enumerate(PING):
                for one in slow:
                    one.send(bytes([byte]), note=False)
                if index % 10 == 0:
                    self.assertEqual(polite.call("daemon.ping"), "pong")
            for one in slow:
                self.same(one.read(), PONG)
            for one in slow:
                one.send(PING[:10], note=False)
            began = time.monotonic()
            for one in slow:
                with self.assertRaises(Closed):
                    one.read_line(10)
            self.assertGreater(time.monotonic() - began, 1.5)
            self.assertLess(time.monotonic() - began, 6 * SLOW)
            self.assertEqual(polite.call("daemon.ping"), "pong")
        for one in slow:
            one.close()
        self.finish()


class Deaf(Clients):
    options = ("--write-timeout", "2s")

    def flood(self, connection, line, seconds, limit=400 << 20):
        """Sends and never reads. Returns the bytes accepted and how the connection ended."""
        connection.socket.setblocking(False)
        data, sent, at, deadline = (
            line * max(1, (1 << 18) // len(line)),
            0,
            0,
            time.monotonic() + seconds,
        )
        while time.monotonic() < deadline and sent < limit:
            try:
                count = connection.socket.send(data[at:])
                sent, at = sent + count, (at + count) % len(data)
            except BlockingIOError:
                time.sleep(0.005)
            except (BrokenPipeError, ConnectionResetError):
                return sent, "disconnected"
        return sent, "held"

    def test_never_reads(self):
        """Reading stops at the limits, memory is bounded, and the client is disconnected after the
        write timeout."""
        with self.raw() as deaf:
            began = time.monotonic()
            sent, end = self.flood(deaf, PING, 15 * SLOW)
            self.assertEqual(end, "disconnected")
            self.assertGreater(time.monotonic() - began, 1.5)
            self.assertLess(sent, 60 << 20)
            self.assertLess(
                invariants.memory(self.daemon.pid),
                self.before.memory + (64 << 20) * (1 if SLOW == 1 else 4),
            )
        self.finish()

    def test_never_reads_large_answers(self):
        with self.daemon.connect() as connection:
            user = World(connection).user()
            connection.call("upsert_user_profile", [user, {"t": "x" * 500_000}])
        line = (
            strict.dumps(
                {"jsonrpc": "2.0", "id": 1, "method": "get_user_profile", "params": [user]}
            )
            + "\n"
        ).encode()
        deaf = [self.raw() for _ in range(4)]
        threads = [threading.Thread(target=self.flood, args=(one, line, 1.2)) for one in deaf]
        peak = 0
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            peak = max(peak, invariants.memory(self.daemon.pid))
            time.sleep(0.02)
        self.assertLess(peak, self.before.memory + (200 << 20) * (1 if SLOW == 1 else 4))
        with self.daemon.connect() as polite:
            self.assertEqual(polite.call("daemon.ping"), "pong")
        for one in deaf:
            one.close()
        self.finish()

    def test_reads_after_a_while(self):
        """A client that resumes reading in time gets every answer."""
        with self.daemon.connect() as sleepy:
            count = 30_000
            data = b"".join(sleepy.encode("daemon.ping")[0] for _ in range(count))
            sent = 0
            sleepy.socket.setblocking(False)
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline and sent < len(data):
                try:
                    sent += sleepy.socket.send(data[sent : sent + 65536])
                except BlockingIOError:
                    time.sleep(0.01)
            sleepy.pump(data[sent:], count)
            self.assertEqual(sorted(sleepy.answers), list(range(1, count + 1)))
        self.finish()


class Gone(Clients):
    def test_disconnects_in_every_moment(self):
        """In the middle of a line, of a call, of an answer; with and without a reset. A write that
        has begun is complete."""
        chance = random.Random(os.environ.get("PIERRE_TEST_SEED", "gone"))
        rounds = 10_000 if LONG else 2500
        made = []
        with self.daemon.connect() as connection:
            user = World(connection).user()
            connection.call("upsert_user_profile", [user, {"t": "x" * 300_000}])
        read = (
            strict.dumps(
                {"jsonrpc": "2.0", "id": 1, "method": "get_user_profile", "params": [user]}
            )
            + "\n"
        ).encode()
        for number in range(rounds):
            with self.raw() as one:
                identifier = uuid4()
                write = (
                    strict.dumps(
                        {
                            "jsonrpc": "2.0",
                            "id": 1,
                            "method": "create_user",
                            "params": {"user": new_user(id=identifier)},
                        }
                    )
                    + "\n"
                ).encode()
                line = (PING, read, write, b"[" + PING.strip() + b"]\n")[number % 4]
                moment = chance.random()
                try:
                    if moment < 0.3:
                        one.send(line[: chance.randrange(len(line))], note=False)
                    elif moment < 0.6:
                        one.send(line * chance.randrange(1, 4), note=False)
                    else:
                        one.send(line, note=False)
                        one.socket.recv(chance.choice((1, 20, 5000)))
                except (BrokenPipeError, ConnectionResetError):
                    pass
                if number % 4 == 2:
                    made.append(identifier)
                if chance.random() < 0.3:
                    one.socket.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
                    )
                if chance.random() < 0.2:
                    one.half_close()
        with self.daemon.connect() as connection:
            for identifier in made:
                found = connection.call("get_user", user_id=identifier)
                self.assertTrue(found is None or found["email"].startswith("user-"))
        self.finish()

    def test_half_close(self):
        """All answers arrive, then the close, for each of many clients at once."""
        clients = []
        for _ in range(50):
            one = self.daemon.connect()
            for _ in range(100):
                one.request("create_user", user=new_user())
            one.half_close()
            clients.append(one)
        for one in clients:
            answers = [strict.loads(line) for line in one.read_to_end()]
            self.assertEqual(sorted(answer["id"] for answer in answers), list(range(1, 101)))
            one.close()
        self.finish()


class TooMany(Clients):
    options = ("--connections", "100")

    def test_over_the_limit(self):
        """Excess connections get an error, hundreds of times, and the loop does not spin. Then
        there are free places again."""
        clients = self.daemon.admitted(100)
        for _ in range(500):
            with self.raw() as late:
                self.assertEqual(late.read()["error"]["data"]["kind"], "overloaded")
                self.assertEqual(late.read_to_end(), [])
        used = ticks(self.daemon.pid)
        time.sleep(0.5)
        self.assertLess(ticks(self.daemon.pid) - used, 0.1 * SLOW)
        for one in clients:
            one.close()
        self.finish()

    def test_refused_ones_that_do_not_read(self):
        clients = self.daemon.admitted(100)
        refused = [self.raw() for _ in range(300)]
        for one in refused:
            one.socket.settimeout(5)
        self.assertEqual(clients[0].call("daemon.ping"), "pong")
        for one in clients + refused:
            one.close()
        self.finish()


class NoDescriptors(Case):
    def test_emfile(self):
        """Fewer descriptors than clients: admitted ones proceed, the loop does not spin, and the
        daemon recovers."""

        def limits():
            resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))

        daemon = Daemon(limits=limits)
        with daemon:
            with daemon.connect() as connection:
                World(connection).user()
            before = invariants.Snapshot(daemon)
            with daemon.connect() as inside:
                crowd = []
                for _ in range(150):
                    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                    one.settimeout(5)
                    one.connect(daemon.socket_path)
                    crowd.append(one)
                self.assertEqual(inside.call("daemon.ping"), "pong")
                self.assertIsNotNone(World(inside).user())
                used, began = ticks(daemon.pid), time.monotonic()
                time.sleep(1)
                self.assertLess(
                    (ticks(daemon.pid) - used) / (time.monotonic() - began), 0.5, "the loop spins"
                )
                for one in crowd:
                    one.close()
            self.within(5, lambda: self.serves(daemon))
            invariants.check(daemon, before)

    @staticmethod
    def serves(daemon):
        try:
            return daemon.call("daemon.ping") == "pong"
        except (OSError, Closed, Late, AssertionError, KeyError):
            return False


class Loud(Clients):
    def test_a_line_without_end(self):
        """100 MB (more in long runs) without a newline: bounded memory, one too_large, and normal
        service afterwards."""
        with self.raw() as one:
            chunk = b"x" * (1 << 20)
            one.send(chunk + b"xx", note=False)
            self.assertEqual(one.read()["error"]["data"]["kind"], "too_large")
            for _ in range(2048 if LONG else 100):
                one.send(chunk, note=False)
            self.assertLess(
                invariants.memory(self.daemon.pid),
                self.before.memory + (16 << 20) * (1 if SLOW == 1 else 4),
            )
            one.send(b"\n" + PING, note=False)
            self.same(one.read(), PONG)
        self.finish()

    def test_huge_batch(self):
        with self.raw() as one:
            one.send(b"[" + b",".join([b"1"] * 100_000) + b"]\n", note=False)
            self.assertEqual(one.read()["error"]["data"]["kind"], "invalid_request")
            one.send(PING, note=False)
            self.same(one.read(), PONG)
        self.finish()

    def test_flood_beside_polite_ones(self):
        """One client pipelines without end; ten others are still answered in time."""
        stop = threading.Event()
        problems = []

        def flood():
            try:
                with self.raw() as loud:
                    loud.socket.setblocking(False)
                    data, at = PING * 5000, 0
                    while not stop.is_set():
                        try:
                            at = (at + loud.socket.send(data[at : at + 65536])) % len(data)
                        except BlockingIOError:
                            pass
                        try:
                            loud.socket.recv(1 << 20)
                        except BlockingIOError:
                            time.sleep(0.001)
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            times = []
            polite = [self.daemon.connect() for _ in range(10)]
            for _ in range(50):
                for one in polite:
                    began = time.monotonic()
                    self.assertEqual(one.call("daemon.ping"), "pong")
                    times.append(time.monotonic() - began)
            times.sort()
            self.assertLess(times[len(times) // 2], 0.1 * SLOW)
            self.assertLess(times[-5], 0.5 * SLOW)
            self.assertIsNotNone(World(polite[0]).user())
        finally:
            stop.set()
            thread.join()
        self.assertEqual(problems, [])
        for one in polite:
            one.close()
        self.finish()

    def test_passed_descriptors_are_dropped(self):
        """250 at once, repeatedly: the daemon keeps none of them."""
        with self.raw() as one:
            reader, writer = os.pipe()
            for _ in range(20):
                one.socket.sendmsg(
                    [PING],
                    [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [reader] * 250))],
                )
                self.same(one.read(), PONG)
            os.close(reader)
            with self.assertRaises(BrokenPipeError):  # the reading end is closed everywhere
                os.write(writer, b"x")
            os.close(writer)
        self.finish()


# A sanitizer keeps data of its own on each thread's stack, about half of 512 KiB with TSan.
STACK = (512 << 10) * (2 if SANITIZER else 1)


def small_stack():
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, STACK))


class SmallStack(Clients):
    """The stacks of the loop and of all threads have 512 KiB."""

    limits = staticmethod(small_stack)

    def test_deep_nesting(self):
        """Too deep nesting is refused at any depth. The deepest allowed nesting is stored and
        returned."""
        with self.raw() as one:
            for text in (
                b"[" * 500_000,
                b'{"a":' * 150_000,
                b"[" * 100_000 + b"]" * 100_000,
                b"[" * 65 + b"]" * 65,
            ):
                one.send(text + b"\n", note=False)
                self.assertEqual(one.read()["error"]["data"]["kind"], "parse_error")
        with self.daemon.connect() as connection:
            user = World(connection).user()
            document = {}
            for _ in range(61):  # 64 with the request and its params
                document = {"a": document}
            connection.call("upsert_user_profile", [user, document])
            self.same(connection.call("get_user_profile", [user]), document)
            goal = connection.call("create_goal", [user, document])
            self.assertEqual(
                [one["id"] for one in connection.call("get_user_goals", [user])], [goal]
            )
        self.finish()


class Cuts(Clients):
    def test_same_bytes_cut_anywhere(self):
        """The same bytes, split at random places, give the same answers."""
        user = uuid4()
        lines = [
            PING,
            b"\r\n",
            b" \n",
            b"{broken\n",
            strict.dumps(
                {"jsonrpc": "2.0", "id": "é😀", "method": "get_user", "params": [user]}
            ).encode()
            + b"\n",
            b"[" + PING.strip() + b"," + PING.strip() + b"]\r\n",
            b"\xff\xfe\n",
            b"[]\n",
            b'{"jsonrpc":"2.0","method":"daemon.ping"}\n',
            b'{"jsonrpc":"2.0","id":2,"method":"get_user","params":{"user_id":"x"}}\n',
            b"x" * 3000 + b"\n",
            strict.dumps(
                {"jsonrpc": "2.0", "id": 9, "method": "get_user_by_email", "params": ["ü" * 5000]}
            ).encode()
            + b"\n",
            PING.strip(),
        ]
        data = b"".join(lines)

        def answers(pieces):
            with self.raw() as one:
                for piece in pieces:
                    one.send(piece, note=False)
                one.half_close()
                return sorted(one.read_to_end())

        expected = answers([data])
        self.assertEqual(len(expected), 10)
        chance = random.Random(os.environ.get("PIERRE_TEST_SEED", "cuts"))
        for _ in range(1000 if LONG else 200):
            places = sorted(chance.randrange(len(data)) for _ in range(chance.choice((1, 5, 60))))
            self.assertEqual(
                answers([data[a:b] for a, b in zip([0, *places], [*places, len(data)])]),
                expected,
                places,
            )
        for size in (1, 2, 7):
            self.assertEqual(
                answers([data[at : at + size] for at in range(0, len(data), size)]), expected
            )
        self.finish()

    def test_garbage(self):
        """Random bytes and mutated requests: each line gets an error or a result, and nothing
        crashes."""
        chance = random.Random(os.environ.get("PIERRE_TEST_SEED", "garbage"))
        seeds = [
            PING.strip(),
            b'{"jsonrpc":"2.0","id":1,"method":"get_user_by_email","params":["a@b"]}',
            b'{"jsonrpc":"2.0","id":1,"method":"create_goal","params":{'
            b'"user_id":"00000000-0000-4000-8000-00000000dead",'
            b'"goal_data":{"title":"x","target":1e5}}}',
        ]
        lines, answers = 0, 0
        with self.raw() as one:
            for _ in range(20_000 if LONG else 4000):
                lines += 1
                line = bytearray(chance.choice(seeds))
                for _ in range(chance.choice((0, 1, 3, 20))):
                    at = chance.randrange(len(line))
                    turn = chance.random()
                    if turn < 0.4:
                        line[at] = chance.randrange(256)
                    elif turn < 0.6:
                        del line[at : at + chance.randrange(1, 5)]
                        line = line or bytearray(b"x")
                    elif turn < 0.8:
                        line[at:at] = chance.choice(
                            (
                                b"{",
                                b"[",
                                b'"',
                                b"\\u",
                                b"\\",
                                b",",
                                b":",
                                b"1e999",
                                b"\xed\xa0\x80",
                                b"null",
                            )
                        )
                    else:
                        line[at:at] = line[: chance.randrange(len(line))]
                line = bytes(line).replace(b"\n", b" ").strip() or b"x"
                one.send(line + b"\n" + PING.replace(b'"id":1', b'"id":"end"'), note=False)
                while True:
                    answer = strict.loads(one.read_line())
                    if isinstance(answer, dict) and answer.get("id") == "end":
                        break
                    answers += 1
                self.assertLessEqual(answers, lines, line)
        self.finish()
