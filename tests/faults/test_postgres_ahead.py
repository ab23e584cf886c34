"""Batches that are sent while others are under way on the same connection. Would catch: an error, a
cancel or a loss that is taken for another batch's, a write stored twice or answered wrongly behind
an unanswered one, calls of a client that overtake each other, a batch that waits behind a slow
one."""
import threading
import time
from operator import methodcaller

from lib import invariants
from lib.ahead_case import ANSWER, BATCHES, UNKNOWN, AheadCase, Far, told, tool
from lib.load import Load
from lib.postgres_case import ServerCase
from lib.proxy import STARTUP, Inject
from lib.world import World, new_usage, unique

BACKENDS = ("postgres",)


class Cuts(AheadCase):
    """The connection is cut with several batches under way."""

    locker = None
    reconnects = 0

    def cut(self, calls, count, ending):
        """Cuts after that many bytes of the answers to all batches, which the server has carried
        out. Returns the calls and their answers."""
        made, asked = self.under_way(calls)
        self.all_stored(made)
        self.cut_after(count, methodcaller(ending))
        return made, self.answers(asked)

    def test_in_the_answers(self):
        """Every batch is decided by its own answer: complete ones are answered, of the others
        nothing is known. The positions are before, in and after each message."""
        places = (0, 1, 5, 10, 20, 26, 31)
        for number, place in enumerate(places):
            batch = number % BATCHES
            ending = ("half_close", "reset", "close")[number % 3]
            with self.subTest(batch=batch, place=place, ending=ending):
                made, answers = self.cut(self.names(), batch * ANSWER + place, ending)
                for i, (call, answer) in enumerate(zip(made, answers)):
                    self.assertEqual(self.rows(tool(call)), 1, "stored twice")
                    if i >= batch or "error" in answer:
                        self.assertEqual(told(answer), UNKNOWN, f"batch {i}")
                    if ending == "half_close":  # no answer is lost with the connection
                        self.assertEqual("result" in answer, i < batch, f"batch {i}")
        self.sound()

    def test_reads_between_writes(self):
        """Reads run again on another connection, wherever the cut was."""
        for count in (3, ANSWER):
            with self.subTest(count=count):
                made, answers = self.cut(
                    lambda: [
                        self.usage(unique("a")),
                        self.read(),
                        self.usage(unique("b")),
                        self.read(),
                    ],
                    count,
                    "half_close",
                )
                for answer in answers[1::2]:
                    self.assertEqual(answer["result"]["id"], self.user)
                self.assertEqual("result" in answers[0], count >= ANSWER)
                self.assertEqual(told(answers[2]), UNKNOWN)
                self.assertEqual([self.rows(tool(call)) for call in made[::2]], [1, 1])
        self.sound()

    def test_before_the_server_has_them(self):
        """The server has received some batches whole, one in part, and nothing of the rest."""
        for batch, kind in ((0, b"S"), (1, b"B"), (3, b"E")):
            with self.subTest(batch=batch, kind=kind):
                self.warm()
                calls = self.names()()
                asked = self.ask(calls)
                answers = self.reset_before(asked, tool(calls[batch]), kind)
                for i, (call, answer) in enumerate(zip(calls, answers)):
                    stored = self.rows(tool(call))
                    if "error" in answer:
                        self.assertEqual(told(answer), UNKNOWN)
                    self.assertIn(stored, (0, 1) if "error" in answer else (1,))
                    if i >= batch and "error" in answer:
                        self.assertEqual(stored, 0, "the server does not have it")
        self.sound()

    def test_session_ended_by_the_server(self):
        """A server that says that it ends the session has not begun the batches behind: nothing is
        unknown, and everything is stored once."""
        with self.server.session(self.name) as self.locker:
            made, asked = self.under_way(self.blocked, held=False)
            self.beside.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE application_name = 'pierre-dbd' AND datname = '{self.name}'"
            )
            self.within(10, lambda: self.counter("db_reconnects") > self.reconnects)
            self.locker.run("COMMIT")
            answers = self.answers(asked)
        self.assertEqual([answer for answer in answers if "error" in answer], [])
        self.assertEqual([self.rows(tool(call)) for call in made], [1] * BATCHES)
        self.sound()

    def blocked(self):
        """The first batch will wait for a lock, and the others behind it."""
        self.reconnects = self.counter("db_reconnects")
        self.locker.run("BEGIN; LOCK TABLE api_key_usage IN SHARE MODE")
        return self.names()()

    def give_up(self):
        if self.locker is not None:
            self.locker.run("COMMIT")


class Failures(AheadCase):
    """A batch fails, and those before and behind it do not."""

    size = 2

    def refuse(self, when):
        """The server refuses rows with such a name."""
        self.query(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'not this one' USING ERRCODE = 'check_violation'; END $$; "
            f"CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON api_key_usage {when} "
            "FOR EACH ROW WHEN (NEW.tool_name LIKE 'refused%') EXECUTE FUNCTION refuse()"
        )
        self.addCleanup(self.query, "DROP FUNCTION refuse CASCADE")

    def fail_one(self):
        """In the first, a middle and the last batch."""
        for place in (0, 3, 7):
            with self.subTest(place=place):

                def calls(place=place):
                    made = self.names(2 * BATCHES)()
                    made[place] = self.usage(unique("refused"))
                    return made

                made, asked = self.under_way(calls, BATCHES)
                self.check(made, self.answers(asked), place)
        self.sound()

    def check(self, made, answers, place):
        for i, (call, answer) in enumerate(zip(made, answers)):
            good = i != place
            self.assertEqual("result" in answer, good, f"{i}: {answer}")
            self.assertEqual(self.rows(tool(call)), good, f"{i}: {answer}")
        self.assertEqual(answers[place]["error"]["data"]["kind"], "internal")

    def test_statement(self):
        self.refuse("")
        self.fail_one()

    def test_commit(self):
        """A deferred constraint refuses at the Sync."""
        self.refuse("DEFERRABLE INITIALLY DEFERRED")
        self.fail_one()

    def test_all_at_once(self):
        """Half of each batch fails."""
        self.refuse("")

        def calls():
            return [self.usage(unique("ahead" if i % 2 else "refused")) for i in range(2 * BATCHES)]

        made, asked = self.under_way(calls, BATCHES)
        for i, (call, answer) in enumerate(zip(made, self.answers(asked))):
            self.assertEqual("result" in answer, i % 2 == 1, f"{i}: {answer}")
            self.assertEqual(self.rows(tool(call)), i % 2, f"{i}: {answer}")
        self.sound()

    def test_statements_lost(self):
        """The session forgets its statements under all batches: each runs again, once."""
        made, asked = None, None
        self.warm()
        made = self.names(2 * BATCHES)()
        asked = self.ask(made)
        self.proxy.fault = Inject(tool(made[0]), "DEALLOCATE ALL")
        self.control.call("daemon.resume")
        for call, answer in zip(made, self.answers(asked)):
            self.assertIn("result", answer)
            self.assertEqual(self.rows(tool(call)), 1)
        self.assertNotIn("keeps losing prepared statements", self.small.log())
        self.sound()


class Order(AheadCase):
    """What is not sent ahead."""

    def test_counted(self):
        before = self.counter("db_batches_ahead")
        _, asked = self.under_way(self.names())
        self.assertGreaterEqual(self.counter("db_batches_ahead"), before + BATCHES - 1)
        self.assertEqual(self.gauges(self.small)["db_running"], BATCHES)
        self.assertEqual([a for a in self.answers(asked) if "error" in a], [])
        self.sound()

    def test_never_more_than_allowed(self):
        _, asked = self.under_way(self.names(2 * BATCHES), BATCHES)
        self.assertEqual([a for a in self.answers(asked) if "error" in a], [])

    def test_calls_of_one_client(self):
        """Later calls of a client wait for its first batch, and other clients' do not."""
        one, other = self.clients[:2]
        made, asked = self.under_way(self.names(), 2, [one, one, one, other])
        self.answers(asked)
        order = self.beside.run(
            "SELECT string_agg(tool_name, ' ' ORDER BY id) FROM api_key_usage "
            f"WHERE tool_name IN ({', '.join(repr(tool(call)) for call in made)})"
        ).split()
        names = [tool(call) for call in made]
        self.assertEqual(order, [names[0], names[3], names[1], names[2]])

    def test_what_stays_alone(self):
        """Nothing follows a list, a call that locks rows, or a statement's first use; nothing
        overtakes a transaction."""
        usage = lambda: self.usage(unique("ahead"))
        world = World(self.control)
        goal = world.goal(self.user)
        self.control.call("get_user_goals", user_id=self.user)
        self.control.call("update_goal_progress", goal_id=goal, current_value=1.0)
        lists = ("get_user_goals", {"user_id": self.user})
        locks = ("update_goal_progress", {"goal_id": goal, "current_value": 2.0})
        member = {"method": "get_user", "params": {"user_id": self.user}}
        transaction = ("daemon.transaction", {"calls": [member]})
        self.control.call(*transaction)
        for what, middle, batches in (
            ("list", lists, 2),
            ("lock", locks, 2),
            ("transaction", transaction, 1),
        ):
            with self.subTest(what=what):
                calls = lambda middle=middle: [usage(), middle, usage(), usage()]
                _, asked = self.under_way(calls, batches)
                self.assertEqual([a for a in self.answers(asked) if "error" in a], [])

    def test_first_use_of_a_statement(self):
        """It is prepared in its batch: nothing may depend on that before it has ended."""
        fresh = iter(
            (
                ("get_user_profile", {"user_id": self.user}),
                ("get_a2a_client_by_name", {"name": "x"}),
                ("get_strava_token", {"user_id": self.user}),
                ("get_fitbit_token", {"user_id": self.user}),
            )
        )
        _, asked = self.under_way(lambda: [next(fresh), *self.names(2)()], 1)
        self.assertEqual([a for a in self.answers(asked) if "error" in a], [])

    def test_shutdown(self):
        """A daemon that stops waits for all batches."""
        far = Far(self.server, self.size)
        self.addCleanup(far.close)
        self.use(far)
        made, asked = self.under_way(self.names())
        self.small.process.terminate()
        self.logged(self.small, "msg=stopping")
        for answer in self.answers(asked):
            self.assertIn("result", answer)
        self.assertEqual([self.rows(tool(call)) for call in made], [1] * BATCHES)
        self.assertEqual(self.small.process.wait(30), 0)


class Cancels(ServerCase):
    """Only the batch whose time is over is cancelled."""

    def waiting(self):
        return self.query(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            f"AND datname = '{self.name}'"
        )

    def test_a_late_cancel(self):
        """A cancel that the network delays does not hit the next batch of the connection."""
        proxy, daemon = self.proxied("--call-timeout", "1s", pool=1)
        held, arrived = threading.Event(), threading.Event()

        def fault(link, message):
            if message.kind == STARTUP and message.data[4:8] == b"\x04\xd2\x16\x2e":
                arrived.set()
                held.wait(10)
            return message.data

        with daemon.connect() as one, daemon.connect() as two, self.server.session(
            self.name
        ) as other:
            world = World(one)
            user = world.user()
            key = world.api_key(user)
            before = invariants.Snapshot(daemon)
            proxy.fault = fault
            self.addCleanup(held.set)
            other.run("BEGIN; LOCK TABLE api_key_usage IN SHARE MODE")
            late = one.request("record_api_key_usage", usage=new_usage(key))
            self.assertTrue(arrived.wait(10))
            retries = daemon.call("daemon.stats")["counters"]["db_retries"]
            other.run("COMMIT")
            one.answer(late)
            # It waits while the cancel is on its way, which would hit it.
            other.run("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            read = two.request("get_user", user_id=user)
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                self.assertEqual(self.waiting(), "0")
            self.assertGreaterEqual(self.gauges(daemon)["db_queued"], 1)  # the roll-up, too
            held.set()
            self.within(5, lambda: self.waiting() == "1")
            other.run("COMMIT")
            self.assertEqual(two.answer(read)["result"]["id"], user)
            self.assertEqual(daemon.call("daemon.stats")["counters"]["db_retries"], retries)
        invariants.check(daemon, before)


class Soak(ServerCase):
    def test_local_server(self):
        """Without a delay nothing is sent ahead once a batch was quick."""
        daemon = self.daemon("--batch", "1", "--pool", "1")
        self.within(10, lambda: self.ahead_of(daemon, 200) == 0)

    @staticmethod
    def ahead_of(daemon, calls):
        """How many batches were sent ahead during that many calls."""
        before = daemon.call("daemon.stats")["counters"]["db_batches_ahead"]
        with Load(daemon, writers=4, readers=4) as load:
            load.progress(calls)
        return daemon.call("daemon.stats")["counters"]["db_batches_ahead"] - before

    def test_resets_far_away(self):
        """Many clients, batches ahead on all connections, all connections reset again and again:
        every write is stored exactly as it was answered."""
        proxy, daemon = self.proxied(pool=2)
        proxy.delay = 0.003
        before = invariants.Snapshot(daemon)
        with Load(daemon, writers=16, readers=8) as load:
            for _ in range(3):
                load.progress(100)
                proxy.reset_all()
                load.everyone()
        self.assertEqual([call.message for call in load.failures(write=False)], [])
        self.assertGreater(daemon.call("daemon.stats")["counters"]["db_batches_ahead"], 0)
        load.verify(self.query)
        invariants.check(daemon, before)
