"""daemon.transaction on PostgreSQL while other sessions, the server or the network interfere. Would
catch: a deadlock or serialization failure that the client is told of, tries without end, a
transaction that runs twice, half of one that is committed, an outcome that is not so."""
import threading

from lib import invariants
from lib.daemon import SLOW
from lib.postgres_case import ServerCase
from lib.proxy import CutBefore, CutCommitted, Once
from lib.rpc import result_of
from lib.world import UNKNOWN, World, unique

BACKENDS = ("postgres",)
TRIES_MAX = 100


def title(user, text):
    return {"method": "create_goal", "params": {"user_id": user, "goal_data": {"title": text}}}


def touch(user):
    return {"method": "update_last_active", "params": {"user_id": user}}


class CutCommit(Once):
    """Behind the statements of the transaction: before its COMMIT reaches the server, or once the
    server has committed it."""

    def __init__(self, marker, committed):
        super().__init__(marker)
        self.committed, self.seen = committed, False

    def go_on(self, link, message):
        if message.kind == b"P" and b"COMMIT\0" in message.data:
            self.seen = True
            if not self.committed:
                link.hit = True
                link.reset()
                return b""
        if self.seen and not link.hit and message.kind == b"S":
            return CutCommitted.go_on(self, link, message)
        return message.data


class TransactionCase(ServerCase):
    settings = {"deadlock_timeout": "'50ms'", "max_connections": "100"}
    options = ("--pool", "2", "--pool-min", "2")

    def setUp(self):
        super().setUp()
        self.small = self.daemon(*self.options)
        self.one = self.small.connect()
        self.addCleanup(self.one.close)
        self.world = World(self.one)
        self.user, self.other = self.world.user(), self.world.user()
        self.before = invariants.Snapshot(self.small)

    def sound(self):
        invariants.check(self.small, self.before)

    def request(self, *calls, connection=None):
        return (connection or self.one).request("daemon.transaction", calls=list(calls))

    def stored(self, text):
        return int(self.query(f"SELECT count(*) FROM goals WHERE title = '{text}'"))

    def blocked(self, count=1):
        """Waits until so many statements of daemons wait for a lock."""
        self.within(
            10,
            lambda: self.query(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pierre-dbd' "
                f"AND wait_event_type = 'Lock' AND datname = '{self.name}'"
            )
            == str(count),
        )


class Conflicts(TransactionCase):
    def test_deadlock_of_two_daemons(self):
        """Two transactions hold what the other one wants; the server ends one of them, which runs
        again."""
        second = self.daemon(key=self.small.key)
        with second.connect() as two, self.server.session(self.name) as other:
            for number in range(5):
                a, b = f"a{number}", f"b{number}"
                other.run("BEGIN")
                other.run("LOCK TABLE goals IN EXCLUSIVE MODE")
                mine = self.request(touch(self.user), title(self.user, a), touch(self.other))
                theirs = self.request(
                    touch(self.other), title(self.user, b), touch(self.user), connection=two
                )
                self.blocked(2)  # both hold one row
                other.run("COMMIT")
                self.assertEqual(len(result_of(self.one.answer(mine))), 3)
                self.assertEqual(len(result_of(two.answer(theirs))), 3)
                self.assertEqual((self.stored(a), self.stored(b)), (1, 1))
        self.assertGreaterEqual(self.server_log().count("deadlock detected"), 5)
        # Other calls do not pay for it: they still change several rows in one transaction.
        self.assertNotIn("resolved a deadlock", self.small.log())
        self.sound()

    def test_serialization(self):
        """The row was changed by another transaction since its snapshot."""
        with self.server.session(self.name) as other:
            for number in range(3):
                text = unique("serial")
                other.run("BEGIN")
                other.run(f"UPDATE users SET display_name = 'x' WHERE id = '{self.user}'")
                waiting = self.request(title(self.other, text), touch(self.user))
                self.blocked()
                other.run("COMMIT")
                self.assertIsNone(result_of(self.one.answer(waiting))[1])
                self.assertEqual(self.stored(text), 1)
        self.assertGreaterEqual(self.one.call("daemon.stats")["counters"]["db_retries"], 3)
        self.sound()

    def test_one_state(self):
        """Its reads see the state of its beginning, whatever is committed meanwhile."""
        with self.server.session(self.name) as other:
            other.run("BEGIN")
            other.run("LOCK TABLE goals IN ACCESS EXCLUSIVE MODE")
            waiting = self.request(
                {"method": "get_user", "params": [self.other]},
                {"method": "get_user_goals", "params": [self.user]},
                {"method": "get_user", "params": [self.other]},
            )
            self.blocked()
            self.query(f"UPDATE users SET display_name = 'new' WHERE id = '{self.other}'")
            other.run("COMMIT")
            first, _, last = result_of(self.one.answer(waiting))
            self.assertEqual(first, last)
        self.assertEqual(self.one.call("get_user", [self.other])["display_name"], "new")
        self.sound()

    def tries(self, state, fail_first, when="BEFORE UPDATE ON users FOR EACH ROW"):
        """A trigger refuses the first tries with that SQLSTATE; the sequence counts them all, since
        it does not go back."""
        kind = "CONSTRAINT TRIGGER" if "DEFERRABLE" in when else "TRIGGER"
        self.query(
            "CREATE SEQUENCE tries; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN IF nextval('tries') <= {fail_first} THEN RAISE EXCEPTION 'not now' "
            f"USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$; "
            f"CREATE {kind} refuse {when} EXECUTE FUNCTION refuse()"
        )
        text = unique("tries")
        try:
            answer = self.one.answer(self.request(title(self.user, text), touch(self.user)))
            return answer, int(self.query("SELECT last_value FROM tries")), self.stored(text)
        finally:
            self.query("DROP TRIGGER refuse ON users; DROP FUNCTION refuse; DROP SEQUENCE tries")

    def test_tries(self):
        """As a whole, many times, and not for ever."""
        for state in ("40001", "40P01"):
            answer, tries, stored = self.tries(state, 30)
            self.assertEqual((answer.get("error"), tries, stored), (None, 31, 1))
        answer, tries, stored = self.tries("40001", 10000)
        data = answer["error"]["data"]
        self.assertEqual(
            (data["kind"], data["outcome"], data["index"], tries, stored),
            ("unavailable", "none", 1, TRIES_MAX, 0),
        )
        answer, tries, stored = self.tries("22012", 1)
        data = answer["error"]["data"]
        self.assertEqual((data["kind"], data["index"], tries, stored), ("internal", 1, 1, 0))
        self.sound()

    def test_a_failure_that_the_server_does_not_know(self):
        """No row was there to change: the transaction is taken back all the same."""
        text = unique("missing")
        answer = self.one.answer(self.request(title(self.user, text), touch(UNKNOWN)))
        self.assertEqual(answer["error"]["data"]["index"], 1)
        self.assertEqual(self.stored(text), 0)
        self.sound()

    def test_commit_refused(self):
        """What the server checks only at the COMMIT: no call is to blame."""
        when = "AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        answer, tries, stored = self.tries("40001", 3, when)
        self.assertEqual((answer.get("error"), tries, stored), (None, 4, 1))
        answer, tries, stored = self.tries("22012", 1, when)
        data = answer["error"]["data"]
        self.assertEqual((data["kind"], tries, stored), ("internal", 1, 0))
        self.assertNotIn("index", data)
        self.sound()

    def test_many_on_one_row(self):
        """Everyone's transaction changes the same row: all succeed in the end."""
        second = self.daemon(key=self.small.key)
        texts, problems = [], []

        def run(daemon, number):
            try:
                with daemon.connect(timeout=60 * SLOW) as connection:
                    for step in range(10):
                        text = f"{number} {step}"
                        request = self.request(
                            touch(self.user), title(self.user, text), connection=connection
                        )
                        result_of(connection.answer(request))
                        texts.append(text)
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)

        threads = [
            threading.Thread(target=run, args=(daemon, f"{at}-{i}"))
            for at, daemon in enumerate((self.small, second))
            for i in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        goals = self.one.call("get_user_goals", [self.user])
        self.assertEqual(sorted(goal["title"] for goal in goals), sorted(texts))
        self.assertEqual(len(texts), 120)
        self.sound()


class Broken(TransactionCase):
    def test_terminated_in_its_middle(self):
        """Nothing was committed: it runs again on another connection."""
        with self.server.session(self.name) as other:
            for _ in range(3):
                text = unique("terminated")
                other.run("BEGIN")
                other.run(f"UPDATE users SET display_name = 'x' WHERE id = '{self.user}'")
                waiting = self.request(title(self.other, text), touch(self.user))
                self.blocked()
                self.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                    "application_name = 'pierre-dbd' AND wait_event_type = 'Lock'"
                )
                other.run("ROLLBACK")
                self.assertIsNone(result_of(self.one.answer(waiting))[1])
                self.assertEqual(self.stored(text), 1)
                self.within(10, lambda: self.connections(self.small) == 2)
        self.sound()

    def test_terminated_all_the_time(self):
        """Server processes are ended at any moment: each transaction is there as a whole or not at
        all, and as it was answered."""
        stop = threading.Event()

        def terminate():
            while not stop.wait(0.02):
                self.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                    f"application_name = 'pierre-dbd' AND datname = '{self.name}' "
                    "ORDER BY random() LIMIT 1"
                )

        thread = threading.Thread(target=terminate)
        thread.start()
        counts = {}
        try:
            for _ in range(200):
                text = unique("any")
                answer = self.one.answer(
                    self.request(title(self.user, text), touch(self.user), title(self.other, text))
                )
                outcome = (
                    answer["error"]["data"].get("outcome", "") if "error" in answer else "stored"
                )
                counts[outcome] = counts.get(outcome, 0) + 1
                expected = {"stored": (2,), "none": (0,), "unknown": (0, 2)}[outcome]
                self.assertIn(self.stored(text), expected, answer)
        finally:
            stop.set()
            thread.join()
        print(f"  200 transactions while server processes end: {counts}", flush=True)
        self.assertGreater(counts["stored"], 50)


class Cut(ServerCase):
    def setUp(self):
        super().setUp()
        self.proxy, self.small = self.proxied(pool=1)
        self.one = self.small.connect()
        self.addCleanup(self.one.close)
        self.user = World(self.one).user()
        self.before = invariants.Snapshot(self.small)

    def cut(self, fault, text):
        self.proxy.fault = fault
        calls = [title(self.user, text), touch(self.user), title(self.user, text)]
        answer = self.one.answer(self.one.request("daemon.transaction", calls=calls))
        self.proxy.fault = None
        self.assertTrue(fault.link is not None and fault.link.hit, "the fault hit nothing")
        stored = int(self.query(f"SELECT count(*) FROM goals WHERE title = '{text}'"))
        self.within(10, lambda: self.connections(self.small) == 1)
        return answer, stored

    def test_before_its_commit(self):
        """Its statements do not all arrive, or their Sync does not: it runs again."""
        for kind in (b"B", b"E", b"S"):
            text = unique("cut")
            answer, stored = self.cut(CutBefore(text, kind), text)
            self.assertEqual((answer.get("error"), stored), (None, 2), kind)
        invariants.check(self.small, self.before)

    def test_around_its_commit(self):
        """The daemon cannot know whether the COMMIT has arrived."""
        for committed in (False, True):
            text = unique("cut")
            answer, stored = self.cut(CutCommit(text, committed), text)
            data = answer["error"]["data"]
            self.assertEqual((data["kind"], data["outcome"]), ("unavailable", "unknown"))
            self.assertEqual(stored, 2 if committed else 0)
        invariants.check(self.small, self.before)

    def test_reads_run_again(self):
        calls = [{"method": "get_user", "params": [self.user]}] * 2
        marker = bytes.fromhex(self.user.replace("-", "")).decode("latin-1")
        fault = CutBefore("", b"S")
        fault.marker = marker.encode("latin-1")
        self.proxy.fault = fault
        found = result_of(self.one.answer(self.one.request("daemon.transaction", calls=calls)))
        self.proxy.fault = None
        self.assertTrue(fault.link.hit)
        self.assertEqual([user["id"] for user in found], [self.user] * 2)
