"""No call delays the calls of other clients. Would catch: numbers formatted by trial and error,
megabytes of rows formatted on the event loop, many long lines parsed in one iteration, a large
result that is lost or sent twice when its batch runs again."""
import threading
import time

from lib import strict
from lib.case import DaemonCase
from lib.daemon import SLOW
from lib.world import World, unique, uuid4

CROWD = 12
# Limit in seconds for a bystander's ping. Formatting by trial and error takes half a second for
# each document of the crowd.
WORST = 2.0 * SLOW
LONG_LINE_BYTES = 256 << 10  # max of long lines in one loop iteration, without the last one
RESULT_BYTES = {
    "sqlite": 36 << 10,
    "postgres": 512 << 10,
}  # bytes of rows that the loop formats in one iteration (SQLite: with the envelope)
SMALL = b"2.2250738585072011e-308"  # the number whose shortest digits take the most trials


def small_doubles(length=980_000):
    return b'{"a":[' + b",".join([SMALL] * (length // (len(SMALL) + 1))) + b"]}"


class Bystander:
    """Pings all the time on its own connection and records the worst time."""

    def __init__(self, daemon):
        self.connection = daemon.connect(timeout=120.0)
        self.stopped = threading.Event()
        self.worst = 0.0
        self.count = 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopped.is_set():
            began = time.monotonic()
            self.connection.call("daemon.ping")
            self.worst = max(self.worst, time.monotonic() - began)
            self.count += 1
            time.sleep(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        self.connection.close()


class Loop(DaemonCase):
    def gauge(self, name):
        return self.c.call("daemon.stats")["gauges"][name]

    def crowd(self, count=CROWD):
        connections = [self.daemon.connect(timeout=120.0) for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.close)
        return connections

    def put(self, connection, user, document, identifier=1):
        connection.send(
            b'{"jsonrpc":"2.0","id":%d,"method":"upsert_user_profile","params":["%s",%s]}\n'
            % (identifier, user.encode(), document),
            note=False,
        )

    def get(self, connection, user):
        connection.send(
            b'{"jsonrpc":"2.0","id":1,"method":"get_user_profile","params":["%s"]}\n'
            % user.encode(),
            note=False,
        )

    def all_at_once(self, connections, send):
        """Sends each connection's line in a thread, since the daemon may read a long line
        slowly."""
        threads = [threading.Thread(target=send, args=(connection,)) for connection in connections]
        for thread in threads:
            thread.start()
        lines = [connection.read_line(timeout=120.0) for connection in connections]
        for thread in threads:
            thread.join()
        return lines

    def test_documents_of_small_doubles(self):
        users = [World(self.c).user() for _ in range(CROWD)]
        connections = self.crowd()
        pairs = dict(zip(connections, users))
        with Bystander(self.daemon) as bystander:
            for line in self.all_at_once(
                connections, lambda one: self.put(one, pairs[one], small_doubles())
            ):
                self.assertIn(b'"result":', line[:60])
            lines = self.all_at_once(connections, lambda one: self.get(one, pairs[one]))
        self.assertLess(bystander.worst, WORST)
        for line in lines:
            self.assertEqual(line.count(b"2.225073858507201e-308"), small_doubles().count(SMALL))

    def test_long_lines_take_turns(self):
        users = [World(self.c).user() for _ in range(CROWD)]
        connections = self.crowd()
        pairs = dict(zip(connections, users))
        document = b'{"text":"' + b"x" * 900_000 + b'"}'
        with Bystander(self.daemon) as bystander:
            for line in self.all_at_once(
                connections, lambda one: self.put(one, pairs[one], document)
            ):
                self.assertIn(b'"result":', line[:60])
        self.assertGreater(bystander.count, 0)
        longest = self.gauge("loop_long_line_bytes_max")
        self.assertGreater(longest, 900_000)
        self.assertLess(longest, LONG_LINE_BYTES + (1 << 20))

    def test_several_long_lines_of_one_connection(self):
        """Each waits for its turn in their order, and so do the requests behind them."""
        user = World(self.c).user()
        lines = b"".join(
            b'{"jsonrpc":"2.0","id":%d,"method":"upsert_user_profile",'
            b'"params":["%s",{"n":%d,"text":"%s"}]}\n' % (n, user.encode(), n, b"y" * 100_000)
            for n in range(1, 31)
        )
        lines += (
            b'{"jsonrpc":"2.0","id":31,"method":"get_user_profile","params":["%s"]}\n'
            % user.encode()
        )
        self.c.pump(lines, 31)
        self.assertEqual(self.c.answers.pop(31)["result"]["n"], 30)
        self.assertEqual(sorted(self.c.answers), list(range(1, 31)))
        self.c.answers.clear()

    def test_long_last_line(self):
        """It is answered although the client has shut down its writing side."""
        user = World(self.c).user()
        self.put(self.c, user, b'{"text":"' + b"z" * 500_000 + b'"}')
        self.c.half_close()
        self.assertEqual([strict.loads(line)["id"] for line in self.c.read_to_end()], [1])

    def test_gone_while_a_long_line_waits(self):
        users = [World(self.c).user() for _ in range(CROWD)]
        for connection, user in zip(self.crowd(), users):
            self.put(connection, user, b'{"text":"' + b"q" * 900_000 + b'"}')
            connection.close()
        self.within(30, lambda: self.gauge("clients") == 1)
        self.assertEqual(self.gauge("in_flight"), 0)

    def test_large_results_are_made_beside_the_loop(self):
        world = World(self.c)
        user = world.user()
        for n in range(8):
            world.goal(user, n=n, text="g" * 400_000)
        with Bystander(self.daemon) as bystander:
            connections = self.crowd(4)
            for connection in connections:
                for _ in range(4):
                    connection.request("get_user_goals", {"user_id": user})
            for connection in connections:
                for identifier in range(1, 5):
                    goals = connection.answer(identifier, timeout=120.0)["result"]
                    self.assertEqual(
                        sorted((goal["n"], len(goal["text"])) for goal in goals),
                        [(n, 400_000) for n in range(8)],
                    )
        self.assertLess(bystander.worst, WORST)
        self.assertLessEqual(self.gauge("loop_result_bytes_max"), RESULT_BYTES[self.daemon.backend])

    def test_look_ups_of_all_sizes(self):
        """Sizes around the limits above which another thread formats the result. The loop formats
        the small ones in between."""
        user = World(self.c).user()
        for size in (10, 32_000, 32_700, 32_768, 33_000, 65_000, 66_000, 200_000, 10, 950_000, 10):
            document = {"text": "k" * size}
            self.assertIsNone(
                self.ok("upsert_user_profile", {"user_id": user, "profile_data": document})
            )
            for _ in range(3):
                self.same(self.ok("get_user_profile", {"user_id": user}), document)
        self.assertLessEqual(self.gauge("loop_result_bytes_max"), RESULT_BYTES[self.daemon.backend])

    def test_large_results_beside_calls_that_fail(self):
        """On PostgreSQL they share a batch, which runs again without the failed call. Every answer
        arrives once and is correct."""
        user = World(self.c).user()
        text = "L" * 300_000
        self.ok("upsert_user_profile", {"user_id": user, "profile_data": {"text": text, "n": 0}})
        for turn in range(10):
            requests = [
                ("get_user_profile", {"user_id": user}),
                ("create_goal", {"user_id": uuid4(), "goal_data": {"title": "x"}}),
                ("get_user_profile", {"user_id": user}),
                (
                    "upsert_user_profile",
                    {"user_id": user, "profile_data": {"text": text, "n": turn}},
                ),
                ("get_user_profile", {"user_id": user}),
                ("create_user", {"user": {"email": unique("e") + "@example.com"}}),
                ("create_goal", {"user_id": uuid4(), "goal_data": {"title": unique("y")}}),
                ("get_user_profile", {"user_id": user}),
            ]
            answers = self.c.many(requests)
            before = max(turn - 1, 0)
            for place, n in ((0, before), (2, before), (4, turn), (7, turn)):
                self.same(answers[place]["result"], {"text": text, "n": n})
            self.assertEqual(
                [answers[place]["error"]["data"]["kind"] for place in (1, 5, 6)],
                ["not_found", "invalid_params", "not_found"],
            )

    def test_polite_writers_beside_large_answers(self):
        user, other = World(self.c).user(), World(self.c).user()
        self.put(self.c, user, b'{"text":"' + b"p" * 900_000 + b'"}')
        self.c.read_line()
        stopped = threading.Event()

        def read_on(connection):
            self.get(connection, user)
            while not stopped.is_set():
                self.get(connection, user)
                connection.read_line(timeout=120.0)

        threads = [
            threading.Thread(target=read_on, args=(connection,)) for connection in self.crowd(4)
        ]
        for thread in threads:
            thread.start()
        try:
            for n in range(100):
                began = time.monotonic()
                self.ok("upsert_user_profile", {"user_id": other, "profile_data": {"n": n}})
                self.assertLess(time.monotonic() - began, WORST)
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
