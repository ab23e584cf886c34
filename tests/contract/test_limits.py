"""The limits: each violation is a clear error, never a crash or a silent cut. Would catch: an
off-by-one at a limit, the rest of a long line taken for a new one, a cut answer, a line timeout
that restarts with each byte, a closed connection where an error is due, a password that is answered
long after its timeout."""
import threading
import time

from lib import invariants, strict
from lib.case import Case, DaemonCase
from lib.daemon import SANITIZER, SLOW, Daemon, new_key, run
from lib.rpc import Closed, result_of
from lib.world import World, new_user, unique

PING = b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}'
PONG = {"jsonrpc": "2.0", "id": 1, "result": "pong"}
MIB = 1 << 20


def padded(length):
    """Returns a valid request of exactly that many bytes."""
    head = PING[:-1] + b',"pad":"'
    return head + b"x" * (length - len(head) - 2) + b'"}'


class Lines(DaemonCase):
    def test_one_mebibyte(self):
        for length in (MIB - 1, MIB):
            self.c.send(padded(length) + b"\n", note=False)
            self.same(self.c.read(), PONG)
        self.c.send(padded(MIB) + b"\r\n", note=False)
        self.same(self.c.read(), PONG)
        for length in (MIB + 1, MIB + 2, 2 * MIB, 5 * MIB + 17):
            self.c.send(padded(length) + b"\n" + PING + b"\n", note=False)
            answer = self.c.read()
            self.assertEqual(
                (answer["id"], answer["error"]["code"], answer["error"]["data"]["kind"]),
                (None, -32007, "too_large"),
            )
            self.same(self.c.read(), PONG)
        self.assertTrue(self.c.silent(0.1))

    def test_long_line_without_end(self):
        """Answered as soon as it is too long. The rest, with any content but a newline, is
        skipped."""
        self.c.send(b"x" * (MIB + 100), note=False)
        self.assertEqual(self.c.read()["error"]["data"]["kind"], "too_large")
        self.c.send(PING * 100, note=False)
        self.assertTrue(self.c.silent(0.1))
        self.c.send(b"\n" + PING + b"\n")
        self.same(self.c.read(), PONG)

    def test_long_last_line(self):
        self.c.send(PING + b"\n" + padded(MIB + 1), note=False)
        self.c.half_close()
        answers = [self.c.check(line) for line in self.c.read_to_end()]
        self.same(answers[0], PONG)
        self.assertEqual([one["error"]["data"]["kind"] for one in answers[1:]], ["too_large"])

    def test_nesting(self):
        """64 nested containers are accepted, 65 are not; the request object is the first."""
        for brackets in ("[]", None):
            for depth, taken in (
                (62, True),
                (63, True),
                (64, False),
                (65, False),
                (1000, False),
                (100_000, False),
            ):
                inner = (
                    "[" * depth + "]" * depth
                    if brackets
                    else '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)
                )
                self.c.send(PING[:-1] + b',"x":' + inner.encode() + b"}\n", note=False)
                answer = self.c.read()
                if taken:
                    self.same(answer, PONG)
                else:
                    self.assertEqual(answer["error"]["data"]["kind"], "parse_error", depth)
        for depth, kind in ((64, "invalid_request"), (65, "parse_error")):
            self.c.send(b"[" * depth + b"]" * depth + b"\n", note=False)
            answer = self.c.read()
            answer = answer[0] if isinstance(answer, list) else answer
            self.assertEqual(answer["error"]["data"]["kind"], kind, depth)

    def test_deepest_document_comes_back(self):
        """As deep as a request allows: the request and its params are two of the 64."""
        user = World(self.c).user()
        document = "x"
        for depth in range(62):
            document = {"a": document} if depth % 2 else [document]
        self.assertIsInstance(document, dict)
        self.ok("upsert_user_profile", user_id=user, profile_data=document)
        self.same(self.ok("get_user_profile", user_id=user), document)


class Small(DaemonCase):
    """Smaller limits by settings."""

    options = (
        "--line-timeout",
        "400ms",
        "--answer-limit",
        "64KiB",
        "--batch-limit",
        "5",
        "--depth-limit",
        "10",
        "--line-limit",
        "300KiB",
        "--bcrypt-cost",
        "5",
    )

    def test_unfinished_line(self):
        """30 s by default from the first byte on; further bytes do not restart the time."""
        began = time.monotonic()
        with self.assertRaises(Closed):
            while time.monotonic() < began + 10 * SLOW:
                self.c.send(b"x")
                self.assertTrue(self.c.silent(0.05))
        took = time.monotonic() - began
        self.assertGreater(took, 0.35)
        self.assertLess(took, 3 * SLOW)

    def test_idle_and_finished_lines_are_no_unfinished_line(self):
        time.sleep(0.9)
        self.c.send(PING + b"\n")
        self.same(self.c.read(), PONG)
        self.c.send(b"\n  \n")
        time.sleep(0.9)
        for _ in range(4):
            self.c.send(PING[:20])
            time.sleep(0.2)
            self.c.send(PING[20:] + b"\n")
            self.same(self.c.read(), PONG)

    def test_begun_line_does_not_hold_up_answers(self):
        self.c.send(PING + b"\n" + PING[:10])
        self.same(self.c.read(), PONG)

    def test_answer_too_large(self):
        user = World(self.c).user()
        for _ in range(3):
            self.ok("create_goal", user_id=user, goal_data={"text": "y" * 30_000})
        answer = self.c.answer(self.c.request("get_user_goals", user_id=user))
        self.assertEqual(
            (answer["error"]["code"], answer["error"]["data"]["kind"]), (-32007, "too_large")
        )
        self.ok("upsert_user_profile", user_id=user, profile_data={"text": "z" * 66_000})
        self.refused("too_large", "get_user_profile", user_id=user)
        self.ok("upsert_user_profile", user_id=user, profile_data={"text": "z" * 60_000})
        self.assertEqual(len(self.ok("get_user_profile", user_id=user)["text"]), 60_000)

    def test_answer_limit_to_the_byte(self):
        """The limit applies to the whole answer or to its result. Either way it is exact, and no
        answer exceeds it."""
        user = World(self.c).user()
        edge = None
        for length in range(65_350, 65_560, 1):
            if length % 10 and edge is None:
                continue
            self.ok("upsert_user_profile", user_id=user, profile_data={"t": "z" * length})
            self.c.request("get_user_profile", user_id=user)
            line = self.c.read_line()
            if b'"too_large"' in line:
                edge = length
                break
            self.assertLessEqual(len(line), (64 << 10) + 80)
        self.assertIsNotNone(edge)

    def test_batch_limit(self):
        self.c.send(b"[" + b",".join([PING] * 5) + b"]\n")
        self.assertEqual(len(self.c.read()), 5)
        self.c.send(b"[" + b",".join([PING] * 6) + b"]\n")
        self.assertEqual(self.c.read()["error"]["data"]["kind"], "invalid_request")

    def test_depth_limit(self):
        for depth, taken in ((9, True), (10, False)):
            self.c.send(PING[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}\n")
            self.assertEqual("result" in self.c.read(), taken)


class Answers(DaemonCase):
    def test_sixteen_mebibytes(self):
        user = World(self.c).user()
        for _ in range(15):
            self.ok("create_goal", user_id=user, goal_data={"text": "y" * 1_040_000})
        goals = self.ok("get_user_goals", user_id=user)
        self.assertEqual([len(one["text"]) for one in goals], [1_040_000] * 15)
        for _ in range(2):
            self.ok("create_goal", user_id=user, goal_data={"text": "y" * 1_040_000})
        self.refused("too_large", "get_user_goals", user_id=user)
        self.assertEqual(self.ok("daemon.ping"), "pong")


class Time(DaemonCase):
    """A call is answered at its timeout, although bcrypt cannot be interrupted."""

    options = ("--call-timeout", "1s", "--bcrypt-cost", "17", "--password-threads", "1")

    def test_passwords(self):
        email = f"{unique('slow')}@example.com"
        began = time.monotonic()
        calls = [
            ("verify_user_password", {"email": "nobody@example.com", "password": "x"}),
            ("create_user", {"user": {"email": email, "password": "x"}}),
            ("get_user_by_email", {"email": email}),
        ]
        batch = [
            {"jsonrpc": "2.0", "id": f"b{index}", "method": method, "params": params}
            for index, (method, params) in enumerate(calls)
        ]
        alone = self.c.many(calls)  # the first is being hashed, the others are pending
        self.c.send(strict.dumps(batch) + "\n")
        for answers in (alone, self.c.read()):
            for answer in answers[:2]:
                self.assertEqual(
                    (answer["error"]["data"]["kind"], answer["error"]["data"]["outcome"]),
                    ("timeout", "none"),
                )
            self.assertIsNone(
                answers[2].get("result")
            )  # released when the write before it timed out: its own time is over, too
        self.assertLess(time.monotonic() - began, 4 * SLOW)
        self.assertIsNone(self.ok("get_user_by_email", email=email))
        gauges = self.ok("daemon.stats")["gauges"]
        self.assertEqual(
            (gauges["passwords_running"], gauges["passwords_queued"]), (1, 0)
        )  # and nothing waits for that one

    def test_a_hash_that_costs_too_much(self):
        """Its check never begins: it would occupy a thread for days."""
        email = f"{unique('dear')}@example.com"
        self.ok("create_user", user=new_user(email=email, password_hash="$2b$31$" + "a" * 53))
        problem = self.refused("timeout", "verify_user_password", email=email, password="x")
        self.assertEqual(problem.data["outcome"], "none")


class Connections(Case):
    def test_over_the_limit(self):
        """The connection beyond the limit is answered once with `overloaded` and closed. A place
        that becomes free is used again."""
        with Daemon(options=("--connections", "5")) as daemon:
            clients = daemon.admitted(5)
            for _ in range(20):
                with daemon.connect() as late:
                    answer = late.read()
                    self.assertEqual(
                        (answer["id"], answer["error"]["code"], answer["error"]["data"]["kind"]),
                        (None, -32006, "overloaded"),
                    )
                    self.assertEqual(late.read_to_end(), [])
            clients.pop().close()
            clients += daemon.admitted(1)
            for client in clients:
                self.assertEqual(client.call("daemon.ping"), "pong")
                client.close()

    def test_default_is_1024(self):
        with Daemon() as daemon:
            clients = daemon.admitted(1024)
            with daemon.connect() as late:
                self.assertEqual(late.read()["error"]["data"]["kind"], "overloaded")
            for client in clients:
                client.close()
            daemon.admitted(1)[0].close()

    def test_per_user(self):
        with Daemon(options=("--connections-per-user", "3")) as daemon:
            clients = daemon.admitted(3)
            with daemon.connect() as late:
                self.assertEqual(late.read()["error"]["data"]["kind"], "overloaded")
            for client in clients:
                client.close()


class InFlight(Case):
    def test_reading_stops_and_goes_on(self):
        """More calls than may be in flight: none is dropped, none is answered twice, and the daemon
        never holds more."""
        with Daemon(
            options=("--in-flight-limit", "16")
        ) as daemon, daemon.connect() as flood, daemon.connect() as watcher:
            requests = [("create_user", {"user": new_user()}) for _ in range(2000)]
            data = b"".join(flood.encode(*one)[0] for one in requests)
            flood.socket.setblocking(False)
            sent, peak = 0, 0
            while sent < len(data):
                try:
                    sent += flood.socket.send(data[sent : sent + 65536])
                except BlockingIOError:
                    peak = max(peak, watcher.call("daemon.stats")["gauges"]["in_flight"])
                    break
            flood.pump(data[sent:], 2000)
            self.assertEqual(sorted(flood.answers), list(range(1, 2001)))
            self.assertLessEqual(peak, 16 + 1)
            self.assertEqual(watcher.call("get_user_count"), 2000)

    def test_large_answers_do_not_pile_up(self):
        """Small requests with large answers: the daemon reads ahead only as far as it can hold the
        answers, alone and in a batch, and sends each of them."""
        with Daemon() as daemon, daemon.connect() as greedy:
            user = World(greedy).user()
            for _ in range(4):
                greedy.call("create_goal", user_id=user, goal_data={"text": "y" * 1_000_000})
            before, peak, done = invariants.memory(daemon.pid), 0, threading.Event()

            def watch():
                nonlocal peak
                while not done.is_set():
                    peak = max(peak, invariants.memory(daemon.pid))
                    time.sleep(0.005)

            thread = threading.Thread(target=watch)
            thread.start()
            try:
                batch = [
                    {
                        "jsonrpc": "2.0",
                        "id": f"b{index}",
                        "method": "get_user_goals",
                        "params": [user],
                    }
                    for index in range(60)
                ]
                greedy.send(strict.dumps(batch) + "\n")
                kinds = [
                    "ok" if "result" in one else one["error"]["data"]["kind"]
                    for one in greedy.read()
                ]
                self.assertEqual((kinds[:4], set(kinds[4:])), (["ok"] * 4, {"too_large"}))
                waiting = {greedy.request("get_user_goals", user_id=user) for _ in range(60)}
                while waiting:
                    answer = greedy.read()
                    self.assertEqual(len(result_of(answer)), 4)
                    waiting.remove(answer["id"])
            finally:
                done.set()
                thread.join()
            self.assertLess(peak - before, (160 << 20) * (4 if SANITIZER else 1))


class Deepest(Case):
    """The largest depth-limit: accepted values are stored and read back."""

    def test_documents_of_the_deepest_nesting(self):
        daemon = Daemon(options=("--depth-limit", "256")).start()
        self.addCleanup(daemon.discard)
        with daemon.connect() as one:
            user = World(one).user()
            document = 7
            for depth in range(254):
                document = {"a": document} if depth == 253 or depth % 2 else [document]
            one.call("upsert_user_profile", user_id=user, profile_data=document)
            self.same(one.call("get_user_profile", user_id=user), document)
            goal = one.call("create_goal", user_id=user, goal_data={"title": "t", **document})
            found = one.call("get_user_goals", user_id=user)[0]
            self.assertEqual(found["id"], goal)
            self.same(found["a"], document["a"])
            one.request("upsert_user_profile", user_id=user, profile_data={"b": document})
            self.assertEqual(one.read()["error"]["data"]["kind"], "parse_error")
        code, _, output = run(["--depth-limit", "257", "--check-config"], key=new_key())
        self.assertIn(code, (64, 78), output)
        self.assertIn("256", output)
