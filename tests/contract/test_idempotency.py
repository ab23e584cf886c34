"""Writes with an idempotency key happen once, and the key gives the stored answer. Would catch: a
repeated write that is carried out again, after a restart, on another connection or at the same
moment; an answer that belongs to another user, method or other params; a refused write that is
remembered; a secret in the table of the keys; keys that stay, or that end too early."""
import os
import secrets
import subprocess
import sys
import threading

from lib import databases, strict
from lib.case import Case, DaemonCase
from lib.daemon import Daemon, new_key
from lib.rpc import RpcError, result_of
from lib.world import UNKNOWN, Samples, World, new_api_key, new_usage, new_user, unique, uuid4

STRICT = True
STRANGER = 54321


def key():
    return secrets.token_hex(8)


def text(rows):
    return rows if isinstance(rows, str) else "\n".join(str(row) for row in rows)


def number(rows):
    return int(rows if isinstance(rows, str) else rows[0][0])


def stored(daemon, condition="true"):
    return number(daemon.database.query(f"SELECT count(*) FROM idempotency_keys WHERE {condition}"))


def grow_old(daemon, hours, condition="true"):
    """Stored keys are as many hours older."""
    daemon.database.query(
        f"UPDATE idempotency_keys SET created_us = created_us - {hours} * 3600000000 "
        f"WHERE {condition}"
    )


def invalid_key(problem):
    return problem.kind == "invalid_request" and "idempotency_key" in problem.message


class Once(DaemonCase):
    def setUp(self):
        super().setUp()
        self.user = World(self.c).user()

    def goal(self, which, connection=None, **members):
        return (connection or self.c).once(
            which, "create_goal", user_id=self.user, goal_data={"title": "run", **members}
        )

    def goals(self):
        return self.c.call("get_user_goals", user_id=self.user)

    def reused(self, which, method, **params):
        with self.assertRaises(RpcError) as found:
            self.c.once(which, method, **params)
        self.assertEqual(found.exception.kind, "invalid_request")
        self.assertIn("idempotency key", found.exception.message)

    def test_stored_answer(self):
        which = key()
        first = self.goal(which)
        self.same([self.goal(which) for _ in range(3)], [first] * 3)
        self.same([goal["id"] for goal in self.goals()], [first])
        self.assertNotEqual(self.goal(key()), first)
        self.assertNotEqual(self.goal(None), self.goal(None))

    def test_every_write(self):
        """Each one gives the answer that it has stored."""
        samples = Samples(self.c)
        methods = self.c.call("rpc.discover")["methods"]
        keyed = {one["name"] for one in methods if one.get("x-idempotency-key")}
        keyed.remove("daemon.transaction")  # see below
        for method, params in samples.params().items():
            if method not in keyed:
                continue
            which, before = key(), stored(self.daemon)
            first = self.c.once(which, method, params)
            self.assertEqual(self.c.once(which, method, params), first, method)
            self.assertEqual(stored(self.daemon) - before, 1, method)
            keyed.remove(method)
        self.assertEqual(keyed, set())

    def test_same_params_in_another_form(self):
        """Names in another order, by position, with null for what is missing, with escapes."""
        which, client = key(), World(self.c).client(World(self.c).api_key(self.user))
        params = {"client_id": client, "task_type": "é", "input_data": {"a": [1, "b"]}}
        task = self.c.once(which, "create_a2a_task", params)
        self.same(self.c.once(which, "create_a2a_task", dict(reversed(list(params.items())))), task)
        self.same(self.c.once(which, "create_a2a_task", {**params, "session_id": None}), task)
        self.same(self.c.once(which, "create_a2a_task", [client, None, "é", {"a": [1, "b"]}]), task)
        line = (
            '{"jsonrpc":"2.0","id":"x","method":"create_a2a_task","idempotency_key":"%s", "params":'
            '{"client_id":"%s" , "task_type":"\\u00e9","input_data":{"a" : [1,"\\u0062"]}}}\n'
        )
        self.c.send(line % (which, client))
        self.same(self.c.read()["result"], task)

    def test_no_params_in_another_form(self):
        which = key()
        calls = [
            {"jsonrpc": "2.0", "id": 1, "method": "cleanup_expired_api_keys", **params}
            for params in ({}, {"params": []}, {"params": {}})
        ]
        for call in calls:
            self.c.send(strict.dumps({**call, "idempotency_key": which}) + "\n")
            self.assertIn("result", self.c.read())

    def test_other_method_or_params(self):
        which = key()
        first = self.goal(which, target_value=1)
        goal = {"title": "run", "target_value": 2}
        self.reused(which, "create_goal", user_id=self.user, goal_data=goal)
        self.reused(which, "create_goal", user_id=UNKNOWN, goal_data={"title": "run"})
        self.reused(which, "store_insight", user_id=self.user, insight_data={"insight_type": "x"})
        self.reused(which, "create_user", user=new_user())
        self.same(self.goal(which, target_value=1), first)
        self.same(len(self.goals()), 1)

    def test_defaults_that_change_with_time(self):
        """The time of the call, or a new id, that the daemon adds makes no other params."""
        which, one = key(), World(self.c).api_key(self.user)
        for _ in range(2):
            self.c.once(which, "record_api_key_usage", usage=new_usage(one))
        self.same(len(self.c.call("get_request_logs", api_key_id=one)), 1)
        user, again = new_user(), key()
        self.same(
            self.c.once(again, "create_user", user=user),
            self.c.once(again, "create_user", user=user),
        )

    def test_repeat_that_alone_would_be_refused(self):
        which, new = key(), new_api_key(self.user)
        for _ in range(2):
            self.same(self.c.once(which, "create_api_key", api_key=new), None)
        self.refused("conflict", "create_api_key", api_key=new)
        with self.assertRaises(RpcError) as found:
            self.c.once(key(), "create_api_key", api_key=new)
        self.assertEqual(found.exception.kind, "conflict")

    def test_rows_of_one_call(self):
        which, usages = key(), [new_usage(World(self.c).api_key(self.user)) for _ in range(3)]
        for _ in range(2):
            self.same(self.c.once(which, "record_api_key_usages", usages=usages), 3)
        for usage in usages:
            self.same(len(self.c.call("get_request_logs", api_key_id=usage["api_key_id"])), 1)
        self.reused(which, "record_api_key_usages", usages=usages[:2])
        self.reused(which, "record_api_key_usages", usages=usages[::-1])
        self.reused(which, "record_api_key_usages", usages=[*usages[:2], usages[0]])
        same = [{"user_agent": None, **dict(reversed(list(one.items())))} for one in usages]
        self.same(self.c.once(which, "record_api_key_usages", usages=same), 3)

    def test_count_is_stored(self):
        World(self.c).api_key(self.user, expires_at="2020-01-01T00:00:00Z")
        which = key()
        count = self.c.once(which, "cleanup_expired_api_keys")
        self.assertGreaterEqual(count, 1)
        self.same(self.c.call("cleanup_expired_api_keys"), 0)
        self.same(self.c.once(which, "cleanup_expired_api_keys"), count)

    def test_refused_writes_store_nothing(self):
        which, owner = key(), uuid4()
        before = stored(self.daemon)
        for _ in range(2):
            with self.assertRaises(RpcError) as found:
                self.c.once(which, "create_goal", user_id=owner, goal_data={"title": "x"})
            self.assertEqual(found.exception.kind, "not_found")
        with self.assertRaises(RpcError) as found:
            self.c.once(which, "create_goal", user_id=owner, goal_data={"title": 5})
        self.assertEqual(found.exception.kind, "invalid_params")
        self.same(stored(self.daemon), before)
        World(self.c).user(id=owner)
        goal = self.c.once(which, "create_goal", user_id=owner, goal_data={"title": "x"})
        self.same(self.c.once(which, "create_goal", user_id=owner, goal_data={"title": "x"}), goal)
        self.same(stored(self.daemon), before + 1)

    def test_keys(self):
        """1 to 64 bytes of any text; the escapes of JSON are none of it."""
        for which in ("k", "k" * 64, "ü" * 32, 'a"\\\n\t', "\U0001f600", " "):
            which = which if len(which.encode()) > 32 else which + key()
            which = which[:64]
            self.same(self.goal(which), self.goal(which))
        for which in ("", "k" * 65, "ü" * 33, 5, True, [], {}, 1.5):
            with self.assertRaises(RpcError) as found:
                self.goal(which)
            self.assertTrue(invalid_key(found.exception), found.exception)
        line = (
            '{"jsonrpc":"2.0","id":1,"method":"create_goal","params":["%s",{"title":"run"}],'
            '"idempotency_key":%s}\n'
        )
        which = key()
        escaped = f"\\u00{ord(which[0]):x}{which[1:]}"
        self.c.send(line % (self.user, f'"{which}"') + line % (self.user, f'"{escaped}"'))
        self.same(self.c.read()["result"], self.c.read()["result"])
        self.c.send(line % (self.user, "null"))
        self.same(self.c.read()["error"]["data"]["kind"], "invalid_request")

    def test_ignored_where_nothing_is_written(self):
        """By reads, and by the daemon's own methods, whatever it is."""
        which = key()
        for odd in (which, 5, "", "k" * 65):
            self.assertIsInstance(self.c.once(odd, "get_user_count"), int)
            self.c.once(odd, "daemon.ping")
            self.same(self.c.once(odd, "get_user_goals", user_id=self.user), [])
            self.same(self.c.once(odd, "authenticate_api_key", prefix="p", hash="h"), None)
        self.same(stored(self.daemon, f"key = '{which}'"), 0)
        self.goal(which)

    def test_batches(self):
        which, other = key(), key()
        calls = [
            {
                "jsonrpc": "2.0",
                "id": place,
                "method": "create_goal",
                "params": [self.user, {"title": "run"}],
                "idempotency_key": one,
            }
            for place, one in enumerate([which, other, which, which, other])
        ]
        calls[3]["params"] = [self.user, {"title": "other"}]
        for _ in range(2):
            self.c.send(strict.dumps(calls) + "\n")
            answers = self.c.read()
            self.same([answer["id"] for answer in answers], list(range(5)))
            self.same(answers[2]["result"], answers[0]["result"])
            self.same(answers[4]["result"], answers[1]["result"])
            self.same(answers[3]["error"]["data"]["kind"], "invalid_request")
        self.same(len(self.goals()), 2)
        calls = [{**calls[0], "id": place, "idempotency_key": key()} for place in range(700)]
        self.c.send(strict.dumps(calls) + "\n")
        first = self.c.read()
        self.c.send(strict.dumps(calls) + "\n")
        self.same(self.c.read(), first)
        self.same(len(self.goals()), 702)

    def test_notifications(self):
        which = key()
        line = {
            "jsonrpc": "2.0",
            "method": "create_goal",
            "params": [self.user, {"title": "run"}],
            "idempotency_key": which,
        }
        self.c.send((strict.dumps(line) + "\n") * 2)
        goal = self.goal(which)
        self.same([one["id"] for one in self.goals()], [goal])
        # None is answered, whatever its key is.
        for odd in ("", 5, which):
            call = {**line, "params": [self.user, {"title": "other"}], "idempotency_key": odd}
            self.c.send(strict.dumps(call) + "\n" + strict.dumps([call]) + "\n")
        self.same([one["id"] for one in self.goals()], [goal])

    def test_order_of_a_connection(self):
        """A read sees the writes before it, repeated and new ones, and none behind it."""
        known = [(key(), index) for index in range(40)]
        for which, index in known:
            self.goal(which, n=index)
        requests, expected = [], []
        for place in range(60):
            which, index = known[place % 40] if place % 2 else (key(), place)
            params = {"user_id": self.user, "goal_data": {"title": "run", "n": index}}
            requests.append((which, "create_goal", params))
            requests.append((None, "get_user_goals", {"user_id": self.user}))
            expected.append(40 + (place + 2) // 2)
        answers = self.c.many_once(requests)
        self.same([len(result_of(answer)) for answer in answers[1::2]], expected)

    def test_same_moment(self):
        """Many clients send one call at once: one runs, and all have its answer."""
        for round_number in range(10):
            which, answers, problems = key(), [], []
            barrier = threading.Barrier(12)
            new = new_user()

            def run():
                try:
                    with self.daemon.connect() as connection:
                        barrier.wait()
                        if round_number % 2:
                            answers.append(connection.once(which, "create_user", user=new))
                        else:
                            answers.append(self.goal(which, connection))
                except Exception as problem:  # pylint: disable=broad-except
                    problems.append(problem)

            threads = [threading.Thread(target=run) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(problems, [])
            self.same(answers, [answers[0]] * 12)
        self.same(len(self.goals()), 5)

    def test_failure_of_a_neighbour(self):
        """Calls that share a transaction with a refused one, or with a repeated one, run once."""
        twice = key()
        goal = self.goal(twice, n=-1)
        requests = []
        for index in range(300):
            params = {"user_id": self.user, "goal_data": {"title": "run", "n": index}}
            requests.append((key(), "create_goal", params))
            if index % 50 == 7:
                requests.append((key(), "create_goal", {**params, "user_id": UNKNOWN}))
            if index % 60 == 9:
                requests.append(
                    (
                        twice,
                        "create_goal",
                        {"user_id": self.user, "goal_data": {"title": "run", "n": -1}},
                    )
                )
        for _ in range(2):
            for (which, _, params), answer in zip(requests, self.c.many_once(requests)):
                if params["user_id"] == UNKNOWN:
                    self.same(answer["error"]["data"]["kind"], "not_found")
                elif which == twice:
                    self.same(result_of(answer), goal)
                else:
                    self.assertIn("result", answer)
            self.same(len(self.goals()), 301)

    def test_nothing_secret_is_stored(self):
        """A session's token is an answer; a password is a parameter."""
        client = World(self.c).client(World(self.c).api_key(self.user))
        token = self.c.once(
            key(), "create_a2a_session", client_id=client, granted_scopes=[], expires_in_hours=1
        )
        goal = self.goal(key())
        rows = text(
            self.daemon.database.query("SELECT method, digest, answer FROM idempotency_keys")
        )
        self.assertIn("create_a2a_session", rows)
        self.assertNotIn(token, rows)
        self.assertNotIn(goal, rows)

    def test_altered_rows_are_named(self):
        for column, value, kind in (
            ("answer", "AAAA", "decryption_failed"),
            ("digest", "x", "storage"),
            ("method", "y", "invalid_request"),
        ):
            which = key()
            self.goal(which)
            self.daemon.database.query(
                f"UPDATE idempotency_keys SET {column} = '{value}' WHERE key = '{which}'"
            )
            with self.assertRaises(RpcError) as found:
                self.goal(which)
            self.assertEqual(found.exception.kind, kind)
        self.same(len(self.goals()), 3)

    def test_end_of_a_key(self):
        """A day later the key is free, whether or not its row is still there."""
        young, old = key(), key()
        first = [self.goal(young), self.goal(old)]
        grow_old(self.daemon, 23, f"key = '{young}'")
        grow_old(self.daemon, 25, f"key = '{old}'")
        self.same(self.goal(young), first[0])
        again = self.goal(old)
        self.assertNotEqual(again, first[1])
        self.same(self.goal(old), again)
        self.same(len(self.goals()), 3)


class Transactions(DaemonCase):
    """One key for all calls of daemon.transaction, and their results for it."""

    options = ("--bcrypt-cost", "4")

    def setUp(self):
        super().setUp()
        self.user = World(self.c).user()

    def run_calls(self, which, *calls, connection=None):
        calls = [{"method": method, "params": params} for method, params in calls]
        return (connection or self.c).once(which, "daemon.transaction", calls=calls)

    def goals(self):
        return [goal["id"] for goal in self.c.call("get_user_goals", user_id=self.user)]

    def test_stored_answer(self):
        which = key()
        calls = [
            ("create_goal", {"user_id": self.user, "goal_data": {"title": "é"}}),
            ("get_user_goals", {"user_id": self.user}),
            ("update_last_active", {"user_id": self.user}),
        ]
        first = self.run_calls(which, *calls)
        self.same([goal["id"] for goal in first[1]], [first[0]])
        self.c.call("update_goal_progress", goal_id=first[0], current_value=5)
        with self.daemon.connect() as other:
            self.same(self.run_calls(which, *calls, connection=other), first)
        self.same(self.goals(), [first[0]])
        by_position = [
            ("create_goal", [self.user, {"title": "é"}]),
            ("get_user_goals", {"limit": None, "user_id": self.user}),
            ("update_last_active", [self.user]),
        ]
        self.same(self.run_calls(which, *by_position), first)
        self.assertNotEqual(self.run_calls(key(), *calls)[0], first[0])

    def test_other_calls(self):
        which = key()
        goal = ("create_goal", {"user_id": self.user, "goal_data": {"title": "x"}})
        active = ("update_last_active", {"user_id": self.user})
        first = self.run_calls(which, goal, active)
        for calls in (
            (goal,),
            (active, goal),
            (goal, active, active),
            (goal, ("get_user_goals", {"user_id": self.user})),
            (("create_goal", [self.user, {"title": "y"}]), active),
        ):
            with self.assertRaises(RpcError) as found:
                self.run_calls(which, *calls)
            self.assertEqual(found.exception.kind, "invalid_request")
            self.assertIn("idempotency key", found.exception.message)
        self.same(self.run_calls(which, goal, active), first)
        self.same(self.goals(), [first[0]])

    def test_undone_ones_store_nothing(self):
        which, owner = key(), uuid4()
        goal = ("create_goal", {"user_id": self.user, "goal_data": {"title": "x"}})
        active = ("update_last_active", {"user_id": owner})
        for _ in range(2):
            with self.assertRaises(RpcError) as found:
                self.run_calls(which, goal, active)
            self.assertEqual(
                (found.exception.kind, found.exception.data["index"]), ("not_found", 1)
            )
        self.same(self.goals(), [])
        self.same(stored(self.daemon, f"key = '{which}'"), 0)
        World(self.c).user(id=owner)
        first = self.run_calls(which, goal, active)
        self.same(self.run_calls(which, goal, active), first)
        self.same(self.goals(), [first[0]])

    def test_conflict_that_alone_would_be_refused(self):
        which, new = key(), {"api_key": new_api_key(self.user)}
        for _ in range(2):
            self.same(self.run_calls(which, ("create_api_key", new)), [None])

    def test_ignored_by_reads(self):
        which = key()
        for _ in range(2):
            self.run_calls(which, ("get_user_count", []))
        self.same(stored(self.daemon, f"key = '{which}'"), 0)

    def test_passwords(self):
        """The stored hashes are compared again: the answers are the same."""
        which = key()
        user = new_user(email=f"{unique('pw')}@example.com", password="pa ss")
        del user["password_hash"]
        calls = [
            ("create_user", {"user": user}),
            ("verify_user_password", {"email": user["email"], "password": "pa ss"}),
            ("verify_user_password", {"email": user["email"], "password": "pass"}),
            ("verify_user_password", {"email": unique("nobody"), "password": "pass"}),
        ]
        first = self.run_calls(which, *calls)
        self.same(first[1]["id"], first[0])
        self.same(first[2:], [None, None])
        self.same(self.run_calls(which, *calls), first)
        rows = text(self.daemon.database.query("SELECT answer FROM idempotency_keys"))
        self.assertNotIn("$2b$", rows)

    def test_large_results(self):
        which, note = key(), "x" * 300_000
        calls = [
            ("store_insight", {"user_id": self.user, "insight_data": {"note": note}}),
            ("get_user_insights", {"user_id": self.user}),
            ("get_user_insights", {"user_id": self.user}),
        ]
        first = self.run_calls(which, *calls)
        self.same(first[1], first[2])
        self.same(self.run_calls(which, *calls), first)

    def test_same_moment(self):
        for _ in range(5):
            which, answers, barrier = key(), [], threading.Barrier(8)
            calls = [("create_user", {"user": new_user()}), ("get_user_count", [])]

            def run():
                with self.daemon.connect() as connection:
                    barrier.wait()
                    answers.append(self.run_calls(which, *calls, connection=connection))

            threads = [threading.Thread(target=run) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.same(answers, [answers[0]] * 8)

    def test_beside_other_calls(self):
        """Pipelined with single writes of the same and of other keys."""
        goal = {"user_id": self.user, "goal_data": {"title": "x"}}
        calls = {"calls": [{"method": "create_goal", "params": goal}, {"method": "get_user_count"}]}
        requests = []
        for _ in range(30):
            requests.append((key(), "create_goal", goal))
            requests.append((key(), "daemon.transaction", calls))
            requests.append((None, "daemon.transaction", calls))
        first = [result_of(answer) for answer in self.c.many_once(requests)]
        again = [result_of(answer) for answer in self.c.many_once(requests)]
        for place, (which, _, _) in enumerate(requests):
            self.same(again[place] == first[place], which is not None)
        self.same(len(self.goals()), 120)


class Keyless(DaemonCase):
    """The key cannot be stored: the write must not stay without it."""

    def tearDown(self):
        self.refuse_keys(False)
        super().tearDown()

    def refuse_keys(self, refuse):
        if databases.chosen() == "sqlite":
            made = (
                "CREATE TRIGGER no_keys BEFORE INSERT ON idempotency_keys "
                "BEGIN SELECT RAISE(ABORT, 'no'); END",
            )
            undone = ("DROP TRIGGER IF EXISTS no_keys",)
        else:
            made = (
                "CREATE FUNCTION no_keys() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN RAISE 'no'; END$$",
                "CREATE TRIGGER no_keys BEFORE INSERT ON idempotency_keys "
                "FOR EACH ROW EXECUTE FUNCTION no_keys()",
            )
            undone = ("DROP FUNCTION IF EXISTS no_keys CASCADE",)
        for statement in made if refuse else undone:
            self.daemon.database.query(statement)

    def test_nothing_stays(self):
        user = World(self.c).user()
        goal = {"user_id": user, "goal_data": {"title": "x"}}
        calls = {"calls": [{"method": "create_goal", "params": goal}] * 2}
        self.refuse_keys(True)
        requests = [(key(), "create_goal", goal), (key(), "daemon.transaction", calls)]
        for answer in self.c.many_once(requests):
            self.assertIn("error", answer)
        self.same(self.c.call("get_user_goals", user_id=user), [])
        self.refuse_keys(False)
        for which, method, params in requests:
            self.same(self.c.once(which, method, params), self.c.once(which, method, params))
        self.same(len(self.c.call("get_user_goals", user_id=user)), 3)


class Others(Case):
    """With a daemon of their own."""

    def daemon(self, **named):
        daemon = Daemon(**named).start()
        self.addCleanup(daemon.discard)
        return daemon

    def restarted(self, kill):
        daemon = self.daemon()
        with daemon.connect() as c:
            user = World(c).user()
            which = [key() for _ in range(50)]
            params = {"user_id": user, "goal_data": {"title": "x"}}
            first = c.many_once([(one, "create_goal", params) for one in which])
        if kill:
            daemon.kill()
        else:
            daemon.terminate()
        daemon.start()
        with daemon.connect() as c:
            again = c.many_once([(one, "create_goal", params) for one in which])
            self.same([result_of(one) for one in again], [result_of(one) for one in first])
            self.same(len(c.call("get_user_goals", user_id=user)), 50)

    def test_restart(self):
        self.restarted(kill=False)

    def test_kill(self):
        self.restarted(kill=True)

    def test_another_user(self):
        """A key is known to the user of the socket who used it."""
        if os.getuid() != 0:
            self.skipTest("needs root to become another user")
        daemon = Daemon(options=("--socket-mode", "0666"))
        os.chmod(daemon.folder, 0o755)
        self.addCleanup(daemon.discard)
        daemon.start()
        which = key()
        with daemon.connect() as c:
            user = World(c).user()
            params = [user, {"title": "x"}]
            own = c.once(which, "create_goal", params)
            line = strict.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "create_goal",
                    "params": params,
                    "idempotency_key": which,
                }
            )
            program = (
                "import socket,sys\n"
                "s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
                "s.sendall((sys.argv[2]+'\\n').encode()*2); f=s.makefile()\n"
                "print(f.readline(), f.readline())\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", program, daemon.socket_path, line],
                user=STRANGER,
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            )
            theirs = [strict.loads(one)["result"] for one in done.stdout.splitlines() if one]
            self.same(theirs, [theirs[0]] * 2)
            self.assertNotEqual(theirs[0], own)
            self.same(len(c.call("get_user_goals", user_id=user)), 2)

    def test_change_of_the_token_key(self):
        """Keys stored before it are known as long as the daemon has the previous key."""
        daemon = self.daemon()
        which, quiet = key(), key()
        with daemon.connect() as c:
            user = World(c).user()
            goal = c.once(which, "create_goal", [user, {"title": "x"}])
            c.once(quiet, "update_last_active", user_id=user)
        old, daemon.key = daemon.key, new_key()
        daemon.terminate()
        daemon.environment = {**daemon.environment, "PREVIOUS_ENCRYPTION_KEY": old}
        daemon.start()
        with daemon.connect() as c:
            self.same(c.once(which, "create_goal", [user, {"title": "x"}]), goal)
            with self.assertRaises(RpcError) as found:
                c.once(which, "create_goal", [user, {"title": "y"}])
            self.assertEqual(found.exception.kind, "invalid_request")
            self.same(c.once(quiet, "update_last_active", user_id=user), None)

    def test_old_keys_are_removed(self):
        """In the background, also when nobody writes; younger ones stay."""
        daemon = self.daemon()
        with daemon.connect() as c:
            user = World(c).user()
            params = {"user_id": user, "goal_data": {"title": "x"}}
            old = [key() for _ in range(700)]
            c.many_once([(one, "create_goal", params) for one in old])
            grow_old(daemon, 25)
            young = key()
            goal = c.once(young, "create_goal", params)
        daemon.terminate()
        daemon.start()
        self.within(20, lambda: stored(daemon) == 1)
        with daemon.connect() as c:
            self.same(c.once(young, "create_goal", params), goal)
            self.same(len(c.call("get_user_goals", user_id=user)), 701)
