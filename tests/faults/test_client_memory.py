"""The memory that clients make the daemon hold: every byte is charged to its connection and to
`memory-limit`. Would catch: a line that is kept for one of its members, calls or batches that are
not charged, one client that takes all memory from the others, connections that wait for memory that
no call will return, a charge that is never released, answers that are read although clients hold
all memory. The tests read the amounts that the daemon reports, so they need no clock: a paused
daemon holds its calls."""
import socket
import threading

from lib import invariants
from lib.case import Case
from lib.daemon import SANITIZER, Daemon
from lib.rpc import RpcError
from lib.world import World

KIB, MIB = 1 << 10, 1 << 20
LIMIT = 64 * MIB
PEAK = 128 * MIB  # that clients may use with default settings: docs/run.md
SMALL = 64 * KIB  # a connection with less is never throttled
MIB_OF_TEXT = 1_000_000  # what fits in a line
LOCK = threading.Lock()


def junk(length):
    """JSON of about that many bytes, nearly all of it in nodes."""
    return b"[" + b"1," * (length // 2 - 1) + b"1]"


def call(method, params, ignored=b"null", number=1):
    return b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s,"ignored":%s}' % (
        number,
        method.encode(),
        params,
        ignored,
    )


def document(user, length, nodes=False):
    body = junk(length) if nodes else b'"' + b"x" * length + b'"'
    return call("upsert_user_profile", b'["%s",{"a":%s}]' % (user.encode(), body))


class Flood:
    """A client whose thread sends as much as the daemon accepts, and which reads answers only on
    request."""

    def __init__(self, daemon, lines, end=b"\n"):
        self.end = end
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(300)
        self.socket.connect(daemon.socket_path)
        self.answers = self.socket.makefile("rb")
        self.count = len(lines)
        self.thread = threading.Thread(target=self._send, args=(lines,), daemon=True)
        self.thread.start()

    def _send(self, lines):
        try:
            for line in lines:
                self.socket.sendall(line + self.end)
        except OSError:
            pass

    def read_all(self):
        found = [self.answers.readline() for _ in range(self.count)]
        self.thread.join()
        return found

    def close(self):
        self.answers.close()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.thread.join()


class MemoryCase(Case):
    options = ()

    def setUp(self):
        self.daemon = Daemon(
            options=("--call-timeout", "1h", "--bcrypt-cost", "4", *self.options)
        ).start()
        self.addCleanup(self.daemon.stop)
        self.c = self.daemon.connect()
        self.addCleanup(self.c.close)
        self.user = World(self.c).user()

    def flood(self, lines, end=b"\n"):
        flood = Flood(self.daemon, lines, end)
        self.addCleanup(flood.close)
        return flood

    def others(self):
        return [one for one in self.c.call("daemon.clients")["clients"] if not one["self"]]

    def held(self):
        return self.c.call("daemon.stats")["gauges"]["client_memory_bytes"]

    def waits(self, calls, clients=1):
        """Waits until the other connections have that many calls in flight. Returns the memory held
        for them."""

        def check():
            found = self.others()
            return (
                len(found) == clients and sum(one["in_flight"] for one in found) == calls and found
            )

        return sum(one["memory_bytes"] for one in self.within(30, check))

    def settled(self):
        """Waits until the memory of the other connections is stable and none of them is being
        read."""
        seen = [None]

        def check():
            found = [(one["memory_bytes"], one["reading"]) for one in self.others()]
            same, seen[0] = found == seen[0], found
            return same and not any(reading for _, reading in found) and found

        return sum(memory for memory, _ in self.within(60, check, every=0.3))

    def returned(self):
        """Waits until the memory of all other connections is released."""
        self.within(60, lambda: self.held() < SMALL)


class Charged(MemoryCase):
    """One client, while the daemon is paused."""

    def setUp(self):
        super().setUp()
        self.c.call("daemon.pause")

    def test_a_document_counts_until_its_call_has_ended(self):
        flood = self.flood([document(self.user, 500 * KIB)])
        self.assertGreater(self.waits(1), 500 * KIB)
        self.c.call("daemon.resume")
        self.assertIn(b'"result":null', flood.read_all()[0])
        self.returned()
        self.assertGreater(
            self.c.call("daemon.stats")["gauges"]["client_memory_peak_bytes"], 500 * KIB
        )

    def test_an_ignored_member_costs_nothing(self):
        """Of a line only the parameters are kept, whatever else it contains."""
        user = b'["%s"]' % self.user.encode()
        for name, line, calls in (
            ("line", call("get_user", user, junk(900 * KIB)), 1),
            ("batch", b"[" + call("get_user", user, junk(900 * KIB)) + b"]", 1),
            (
                "batch of text",
                b"[" + call("get_user", user, b'"' + b"x" * 900_000 + b'"') + b"]",
                1,
            ),
            (
                "batch of many",
                b"[" + b",".join([call("get_user", user, junk(40 * KIB))] * 20) + b"]",
                20,
            ),
        ):
            with self.subTest(name):
                flood = self.flood([line])
                self.within(
                    30, lambda n=calls: self.waits(n) < SMALL + n * 8 * KIB
                )  # the next loop iteration frees the line
                flood.close()
                self.c.call("daemon.resume")
                self.returned()
                self.c.call("daemon.pause")

    def test_an_abandoned_batch_returns_its_line(self):
        """Its calls beyond `in-flight-limit` never begin, and the line is kept until then. A batch
        of the same length whose calls have all begun has returned its line."""
        user = b'["%s"]' % self.user.encode()
        held = []
        for calls in (256, 300):
            one = call("get_user", user, junk(900 * KIB // calls))
            flood = self.flood([b"[" + b",".join([one] * calls) + b"]"])
            held.append(self.within(30, lambda: self.waits(256)))
            flood.close()
            self.c.call("daemon.resume")
            self.returned()
            self.c.call("daemon.pause")
        self.assertGreater(held[1], held[0] + 800 * KIB)

    def test_many_nodes_in_a_batch_are_calls_all_the_same(self):
        """A batch whose nodes are not kept: its calls are parsed again, with the same answers."""
        self.c.call("daemon.resume")
        user = self.user.encode()
        calls = [
            call("upsert_user_profile", b'["%s",{"a":%s}]' % (user, junk(60_000))),
            b'"not a request"',
            b"1",
            b"[]",
            call("get_user_profile", b'{"user_id":"%s"}' % user, junk(60_000), 2),
            call("no_such", b"[]", number=3),
            call("daemon.ping", b"[]", number=4),
        ]
        self.c.send(b"[" + b",".join(calls) + b"]\n", note=False)
        answers = self.c.read()
        self.same(answers[0]["result"], None)
        self.assertEqual(
            [one["error"]["data"]["kind"] for one in answers[1:4]], ["invalid_request"] * 3
        )
        self.same(answers[4]["result"], {"a": [1] * 30_000})
        self.assertEqual(answers[5]["error"]["data"]["kind"], "method_not_found")
        self.same(answers[6], {"jsonrpc": "2.0", "id": 4, "result": "pong"})


class Shares(MemoryCase):
    """Floods, while the daemon is paused."""

    def test_one_client_leaves_room_for_others(self):
        self.c.call("daemon.pause")
        flood = self.flood([document(self.user, 1_000_000)] * 100)
        self.assertLess(self.settled(), LIMIT // 2 + 4 * MIB)
        other = self.flood([document(self.user, 900 * KIB)])
        self.within(30, lambda: sorted(one["in_flight"] for one in self.others())[0] == 1)
        self.c.call("daemon.resume")
        self.assertIn(b'"result":null', other.read_all()[0])
        self.assertTrue(all(b'"result":null' in one for one in flood.read_all()))
        self.returned()

    def test_many_clients_stay_within_the_limit(self):
        self.c.call("daemon.pause")
        lines = {
            "line": document(self.user, 1_000_000),
            "batch": b"[" + document(self.user, 1_000_000) + b"]",
            "password": call("verify_user_password", b'["a@b","%s"]' % (b"x" * 900_000)),
        }
        floods = [self.flood([line] * 12) for line in lines.values() for _ in range(4)]
        self.assertLess(self.settled(), LIMIT + len(floods) * SMALL + 4 * MIB)
        with self.daemon.connect() as small:  # small calls proceed, however much others hold
            small.call("daemon.ping")
            small.request("get_user", [self.user])
            self.within(30, lambda: min(one["in_flight"] for one in self.others()) == 1)
            self.c.call("daemon.resume")
            self.assertEqual(small.read()["result"]["id"], self.user)
        for flood in floods:
            self.assertTrue(
                all(b'"result":' in one or b'"error":' in one for one in flood.read_all())
            )
        self.returned()


class NoDeadlock(MemoryCase):
    options = ("--memory-limit", "4MiB")

    def test_begun_lines_fill_the_memory(self):
        """No call in flight can release memory, and the connections still proceed one by one."""
        floods = [self.flood([document(self.user, 900_000)]) for _ in range(40)]
        for flood in floods:
            self.assertIn(b'"result":null', flood.read_all()[0])
        self.returned()

    def test_clients_that_send_no_more(self):
        """Incomplete lines that fill the memory and never end: other connections proceed."""
        for _ in range(4):
            self.flood([b"[" + b" " * 1_000_000], end=b"")
        self.within(30, lambda: self.held() > 2 * MIB)
        flood = self.flood([document(self.user, 900_000)] * 3)
        self.assertTrue(all(b'"result":null' in one for one in flood.read_all()))


class Resident(MemoryCase):
    """The memory of the process: what allocators and databases add stays within the documented
    limit, too."""

    def check(self, line, lines, clients=4):
        if SANITIZER:
            self.skipTest("a sanitizer's shadow memory and quarantine are not the daemon's")
        before, peak, done = invariants.memory(self.daemon.pid), 0, threading.Event()
        floods = [self.flood([line] * lines) for _ in range(clients)]

        def watch():
            nonlocal peak
            while not done.is_set():
                peak = max(peak, invariants.memory(self.daemon.pid))
                done.wait(0.002)

        thread = threading.Thread(target=watch)
        thread.start()
        readers = [threading.Thread(target=flood.read_all) for flood in floods]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        done.set()
        thread.join()
        self.returned()
        self.assertLess(peak - before, PEAK)

    def test_documents(self):
        self.check(document(self.user, 1_000_000), 40)

    def test_documents_of_many_nodes(self):
        self.check(document(self.user, 1_000_000, nodes=True), 8)

    def test_batches_with_an_ignored_member(self):
        self.check(b"[" + call("verify_user_password", b'["a@b","pw"]', junk(1_000_000)) + b"]", 40)


class Answers(MemoryCase):
    """Large answers, which the daemon reads only while clients leave memory for them."""

    GOALS = 4  # an answer with them has 4 MiB
    MARGIN = 80 * MIB
    CLIENTS, CALLS = 12, 5

    def setUp(self):
        super().setUp()
        if SANITIZER:
            self.skipTest("a sanitizer's shadow memory and quarantine are not the daemon's")
        for _ in range(self.GOALS):
            self.c.call(
                "create_goal",
                user_id=self.user,
                goal_data={"title": "t", "text": "x" * MIB_OF_TEXT},
            )
        self.other = World(self.c).user()
        self.line = call("get_user_goals", b'["%s"]' % self.user.encode())
        self.before = invariants.memory(self.daemon.pid)

    def grown(self):
        return invariants.memory(self.daemon.pid) - self.before

    def deaf(self, clients, calls):
        """Clients that send calls and take no answer, until these hold all of the memory."""
        floods = [self.flood([self.line] * calls) for _ in range(clients)]
        self.within(60, lambda: self.held() > LIMIT - (self.GOALS + 1) * MIB)
        return floods

    def small(self):
        """Another client's lists, which are short: they do not wait for the large ones. Between
        any two of them a large one could begin."""
        with self.daemon.connect(60) as one:
            for _ in range(100):
                self.assertEqual(one.call("get_user_goals", [self.other]), [])
                self.assertLess(self.grown(), LIMIT + self.MARGIN)

    def test_many_clients_that_take_nothing(self):
        """Together they ask for 240 MiB. Once they read, each gets all of its answers."""
        floods = self.deaf(self.CLIENTS, self.CALLS)
        self.small()
        self.assertGreater(self.held(), LIMIT // 2)
        readers = [threading.Thread(target=self.check, args=(flood,)) for flood in floods]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        self.assertEqual(self.complete, self.CLIENTS * self.CALLS)
        self.returned()

    complete = 0

    def check(self, flood):
        for _ in range(flood.count):
            line = flood.answers.readline()
            if len(line) > self.GOALS * MIB_OF_TEXT and b'"result":' in line[:60]:
                with LOCK:
                    self.complete += 1

    def test_one_client_whose_answers_grow(self):
        """Its small answers say nothing of the next ones."""
        small = call("get_user_goals", b'["%s"]' % self.other.encode())
        flood = self.flood([small] * 40 + [self.line] * 70)
        for _ in range(40):
            flood.answers.readline()
        self.within(60, lambda: self.held() > LIMIT - (self.GOALS + 1) * MIB)
        self.small()

    def test_a_transaction_of_large_answers(self):
        """Their sum is refused before all of them are in memory."""
        calls = [{"method": "get_user_goals", "params": [self.user]}] * 40
        done, peak = threading.Event(), [0]

        def watch():
            while not done.wait(0.002):
                peak[0] = max(peak[0], self.grown())

        thread = threading.Thread(target=watch)
        thread.start()
        with self.assertRaises(RpcError) as refused:
            with self.daemon.connect(60) as one:
                one.call("daemon.transaction", calls=calls)
        done.set()
        thread.join()
        self.assertEqual(refused.exception.kind, "too_large")
        self.assertLess(peak[0], 128 * MIB)
