"""Network faults between the daemon and PostgreSQL, made by a proxy. Would catch: a call that waits
forever, a connection used again after it broke, a wrong outcome, a write stored twice or in part, a
leaked thread or descriptor."""
import time

from lib import invariants
from lib.daemon import SLOW
from lib.load import Load
from lib.postgres_case import ServerCase, recovered
from lib.proxy import CutAnswer, CutBefore
from lib.world import World, new_usage, new_user, unique

BACKENDS = ("postgres",)


class Cuts(ServerCase):
    """A connection is cut at a chosen point of one batch's traffic. Writes without a unique key
    show whether they ran twice."""

    def setUp(self):
        super().setUp()
        self.proxy, self.small = self.proxied("--call-timeout", "2s", pool=2)
        self.beside = self.server.session(self.name)
        self.addCleanup(self.beside.close)
        self.one = self.small.connect()
        self.addCleanup(self.one.close)
        world = World(self.one)
        self.user = world.user()
        self.key = world.api_key(self.user)
        self.before = invariants.Snapshot(self.small)

    def usage(self, name):
        return "record_api_key_usage", {"usage": new_usage(self.key, tool_name=name)}

    def rows(self, name):
        return int(
            self.beside.run(f"SELECT count(*) FROM api_key_usage WHERE tool_name = '{name}'")
        )

    def warm(self):
        """Prepares the statement and the connection, so that each batch looks the same on the
        wire."""
        method, params = self.usage("warm")
        self.within(10, lambda: "result" in self.one.answer(self.one.request(method, params)))

    def cut(self, fault):
        """Sends one write whose batch is hit. Returns its answer and how often it is stored."""
        self.warm()
        name = fault.marker.decode()
        self.proxy.fault = fault
        began = time.monotonic()
        method, params = self.usage(name)
        answer = self.one.answer(self.one.request(method, params))
        took = time.monotonic() - began
        self.proxy.fault = None
        self.assertIsNotNone(fault.link, "the fault did not occur")
        self.within(10, lambda: fault.link.closed or fault.link.reused == 0)
        self.assertEqual(fault.link.reused, 0, "a broken connection was used again")
        self.assertLess(took, 2 + 2 + 2 + 2 * SLOW)
        return answer, self.rows(name)

    def test_before_the_sync(self):
        """Cut before the Sync reaches the server, which stores nothing. The call succeeds once on
        another connection, or its outcome is unknown, since the daemon cannot know what the network
        dropped."""
        for kind in (b"B", b"E", b"S"):
            for ending in ("reset", "close"):
                with self.subTest(kind=kind, ending=ending):
                    answer, count = self.cut(CutBefore(unique("cut"), kind, ending))
                    self.assertEqual(count, 0 if "error" in answer else 1)
                    if "error" in answer:
                        self.assertEqual(
                            (answer["error"]["data"]["kind"], answer["error"]["data"]["outcome"]),
                            ("unavailable", "unknown"),
                        )
        invariants.check(self.small, self.before)

    def test_in_the_answer(self):
        """Cut after k bytes of the answer, for positions before, in and after every message of
        it."""
        whole = 5 + 5 + 16 + 6  # BindComplete, NoData, CommandComplete "INSERT 0 1", ReadyForQuery
        for count in (0, 1, 5, 8, 10, 20, 26, 31, whole):
            for ending in ("reset", "half_close", "close"):
                with self.subTest(count=count, ending=ending):
                    answer, stored = self.cut(CutAnswer(unique("cut"), count, ending))
                    self.assertEqual(stored, 1, "the Sync arrived")
                    if count < whole or "error" in answer:
                        data = answer["error"]["data"]
                        self.assertEqual(
                            (data["kind"], data["outcome"], data["retryable"]),
                            ("unavailable", "unknown", True),
                        )
        invariants.check(self.small, self.before)

    def test_silence_in_the_answer(self):
        """The server's answer to the commit never arrives: the timeout ends the wait."""
        answer, stored = self.cut(CutAnswer(unique("cut"), 7, "hang"))
        self.assertEqual(stored, 1)
        self.assertEqual(
            (answer["error"]["data"]["kind"], answer["error"]["data"]["outcome"]),
            ("timeout", "unknown"),
        )
        invariants.check(self.small, self.before)

    def test_reads_are_tried_again(self):
        for count in (0, 1, 9, 40):
            with self.subTest(count=count):
                user = self.one.call("create_user", user=new_user(display_name="read"))
                email = self.one.call("get_user", user_id=user)["email"]
                self.one.call("get_user_by_email", email=email)
                self.proxy.fault = fault = CutAnswer(email, count)
                self.assertEqual(self.one.call("get_user_by_email", email=email)["id"], user)
                self.assertIsNotNone(fault.link)
                self.assertTrue(fault.link.hit)
        invariants.check(self.small, self.before)

    def test_group_of_several(self):
        """Reads and writes of one batch: reads are tried again, writes report their true
        outcome."""
        self.warm()
        names = [unique("group") for _ in range(6)]
        email = self.one.call("get_user", user_id=self.user)["email"]
        self.one.call("get_user_by_email", email=email)
        for count in (0, 30, 200):
            self.warm()
            self.proxy.fault = fault = CutAnswer(names[0], count)
            calls = []
            for name in names:
                calls += [self.usage(name), ("get_user_by_email", {"email": email})]
            answers = self.one.many(calls)
            self.proxy.fault = None
            self.assertIsNotNone(fault.link)
            for answer in answers[1::2]:
                self.assertEqual(answer["result"]["id"], self.user)
            for name, answer in zip(names, answers[::2]):
                stored = self.rows(name)
                if "error" in answer:
                    self.assertEqual(answer["error"]["data"]["outcome"], "unknown")
                self.assertEqual(stored, 1, f"{name}: {answer}")
            names = [unique("group") for _ in range(6)]
        invariants.check(self.small, self.before)


class Stalls(ServerCase):
    def test_stall(self):
        """No data passes for a while: calls time out, the rest of the daemon continues, and service
        resumes."""
        proxy, daemon = self.proxied(
            "--call-timeout", "1s", "--acquire-timeout", "1s", "--connect-timeout", "2s", pool=3
        )
        before = invariants.Snapshot(daemon)
        with Load(daemon, writers=4, readers=3) as load:
            load.progress()
            proxy.stalled = True
            time.sleep(5)
            with daemon.connect() as one:
                began = time.monotonic()
                self.assertEqual(one.call("daemon.ping"), "pong")
                self.assertLess(time.monotonic() - began, 0.5 * SLOW)
            proxy.stalled = False
            first = load.first_success(time.monotonic())
            load.progress()
        for call in load.failures():
            self.assertIn(call.kind, ("unavailable", "timeout"))
            self.assertLess(call.took, 1 + 2 + 2 + 2 * SLOW)
        self.assertTrue(load.failures())
        recovered(
            "5 s of silence between daemon and server", first, f"writes {load.verify(self.query)}"
        )
        self.within(10, lambda: self.connections(daemon) == 3)
        invariants.check(daemon, before)

    def test_migrate_while_stalled(self):
        """migrate has its own connection, which must not wait forever either."""
        proxy, daemon = self.proxied("--call-timeout", "1s", "--connect-timeout", "2s", pool=1)
        before = invariants.Snapshot(daemon)
        with daemon.connect() as one:
            self.assertEqual(one.call("migrate")["applied"], [])
            proxy.fault = lambda link, message: b"" if message.kind == b"Q" else message.data
            began = time.monotonic()
            problem = one.error("migrate")
            proxy.fault = None
            self.assertIn(problem.kind, ("timeout", "unavailable"))
            self.assertLess(time.monotonic() - began, 1 + 2 + 3 * SLOW)
            self.assertEqual(one.call("migrate")["applied"], [])
        invariants.check(daemon, before)

    def test_trickle(self):
        """One byte at a time is slow and correct."""
        proxy, daemon = self.proxied("--call-timeout", f"{int(10 * SLOW)}s", pool=2)
        before = invariants.Snapshot(daemon)
        with daemon.connect() as one:
            world = World(one)
            user = world.user(display_name="drop by drop")
            one.call("get_user", user_id=user)
            proxy.trickle = 0.0005
            calls = [
                ("create_user", {"user": new_user()})
                if number % 3 == 1
                else ("get_user", {"user_id": user})
                for number in range(6)
            ]
            answers = one.many(calls)
            proxy.trickle = 0.0
            self.assertEqual(
                [answer["result"]["display_name"] for answer in answers[::3]], ["drop by drop"] * 2
            )
            self.assertEqual([answer for answer in answers if "error" in answer], [])
        invariants.check(daemon, before)

    def test_trickle_past_the_deadline(self):
        proxy, daemon = self.proxied("--call-timeout", "1s", pool=2)
        before = invariants.Snapshot(daemon)
        with daemon.connect() as one:
            world = World(one)
            user = world.user(display_name="x" * 4000)
            proxy.trickle = 0.01
            began = time.monotonic()
            problem = one.error("get_user", user_id=user)
            took = time.monotonic() - began
            proxy.trickle = 0.0
            self.assertEqual(problem.kind, "timeout")
            self.assertLess(took, 1 + 2 + 2 + 2 * SLOW)
            self.within(10, lambda: "result" in one.answer(one.request("get_user", user_id=user)))
        invariants.check(daemon, before)

    def test_all_reset(self):
        """Resets every connection at once, repeatedly, under load."""
        proxy, daemon = self.proxied(pool=4)
        before = invariants.Snapshot(daemon)
        times = []
        with Load(daemon, writers=6, readers=4) as load:
            for _ in range(8):
                load.everyone()
                proxy.reset_all()
                times.append(load.first_success(time.monotonic()))
                self.within(5, lambda: self.connections(daemon) == 4)
        self.assertEqual([call.message for call in load.failures(write=False)], [])
        recovered(
            "a reset of all connections",
            max(times),
            f"the longest of {len(times)}, writes {load.verify(self.query)}",
        )
        invariants.check(daemon, before)
