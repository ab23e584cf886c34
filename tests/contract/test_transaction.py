"""daemon.transaction. Would catch: a call that does not see those before it, a change that stays
after a later call has failed, an error that names another call than the first that failed, a result
at another's place, a transaction that a peer without the role may run, calls of the connection that
overtake it."""
import random

from lib import strict
from lib.case import DaemonCase
from lib.interface import METHODS
from lib.rpc import result_of
from lib.world import (
    UNKNOWN,
    Samples,
    World,
    new_a2a_usage,
    new_api_key,
    new_usage,
    new_user,
    unique,
)

TOKEN = {
    "access_token": "canary-access-a",
    "refresh_token": "canary-refresh-r",
    "expires_at": "2030-01-01T00:00:00.000000Z",
    "scope": "read",
}
NOT_MEMBERS = [name for name in METHODS if name.startswith(("daemon.", "rpc."))] + [
    "migrate",
    "rotate_key",
]


def one(method, **params):
    return {"method": method, "params": params}


class TransactionCase(DaemonCase):
    options = ("--bcrypt-cost", "4")

    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user()

    def run_calls(self, *calls):
        return self.ok("daemon.transaction", calls=list(calls))

    def fails(self, kind, index, *calls, **expected):
        problem = self.refused(kind, "daemon.transaction", calls=list(calls), **expected)
        self.assertEqual(problem.data.get("index"), index, problem)
        return problem

    def goals(self, user=None):
        found = self.ok("get_user_goals", user_id=user or self.user)
        return {goal["title"]: goal["current_value"] for goal in found}


class Results(TransactionCase):
    def test_in_order_and_each_sees_those_before(self):
        email = f"{unique('tx')}@example.com"
        goal = self.world.goal(self.user)
        found = self.run_calls(
            one("get_user_by_email", email=email),
            one("create_user", user=new_user(email=email, display_name="Ana")),
            one("get_user_by_email", email=email),
            one("update_goal_progress", goal_id=goal, current_value=4.5),
            one("get_user_goals", user_id=self.user),
            one("update_goal_progress", goal_id=goal, current_value=5.5),
            {"method": "get_user_count"},
            one("get_user_profile", user_id=self.user),
        )
        self.assertEqual(len(found), 8)
        self.assertIsNone(found[0])
        self.assertEqual(found[2]["id"], found[1])
        self.assertEqual(found[2]["display_name"], "Ana")
        self.assertIsNone(found[3])
        self.assertEqual(found[4][0]["current_value"], 4.5)
        self.assertEqual(found[6], self.ok("get_user_count"))
        self.assertIsNone(found[7])
        self.assertEqual(self.goals(), {"Run": 5.5})

    def test_the_same_as_single_calls(self):
        """The results of reads are those of the calls alone, to the byte."""
        key = self.world.api_key(self.user)
        self.world.usage(key)
        self.ok("update_strava_token", user_id=self.user, **TOKEN)
        self.ok("upsert_user_profile", user_id=self.user, profile_data={"a": [1, 2.5, "é"]})
        reads = [
            ("get_user", {"user_id": self.user}),
            ("get_strava_token", {"user_id": self.user}),
            ("get_user_profile", {"user_id": self.user}),
            ("get_user_api_keys", [self.user]),
            ("get_request_logs", {"api_key_id": key}),
            ("get_system_stats", {}),
            ("get_user", [UNKNOWN]),
        ]
        alone = [self.ok(method, params) for method, params in reads]
        together = self.run_calls(*({"method": m, "params": p} for m, p in reads))
        self.assertEqual(strict.dumps(together), strict.dumps(alone))
        empty = self.run_calls(
            one("update_last_active", user_id=self.user),
            *({"method": m, "params": p} for m, p in reads[1:]),
        )
        self.assertEqual(strict.dumps(empty[1:]), strict.dumps(alone[1:]))

    def test_every_method_takes_part(self):
        """Each alone in a transaction, and all of them in one."""
        samples = Samples(self.c)
        params = samples.params()
        names = [name for name in METHODS if name not in NOT_MEMBERS]
        for name in names:
            with self.subTest(method=name):
                self.assertEqual(len(self.run_calls({"method": name, "params": params[name]})), 1)
        fresh = samples.params()
        found = self.run_calls(*({"method": name, "params": fresh[name]} for name in names))
        self.assertEqual(len(found), len(names))

    def test_a_token_is_sealed_and_opened(self):
        found = self.run_calls(
            one("update_strava_token", user_id=self.user, **TOKEN),
            one("get_strava_token", user_id=self.user),
            one("clear_strava_token", user_id=self.user),
            one("get_strava_token", user_id=self.user),
        )
        for name, value in TOKEN.items():
            self.assertEqual(found[1][name], value)
        self.assertIsNone(found[3])

    def test_large_results(self):
        """Rows of megabytes, of which PostgreSQL's are encoded beside the loop before the
        commit."""
        text = "x" * 300_000
        for number in range(3):
            self.ok("store_insight", user_id=self.user, insight_data={"note": text, "n": number})
        found = self.run_calls(
            one("get_user_insights", user_id=self.user),
            one("store_insight", user_id=self.user, insight_data={"note": text, "n": 3}),
            one("get_user_insights", user_id=self.user),
        )
        self.assertEqual([len(rows) for rows in (found[0], found[2])], [3, 4])
        self.assertEqual({row["n"] for row in found[2]}, {0, 1, 2, 3})

    def test_by_position(self):
        found = self.ok("daemon.transaction", [[{"method": "get_user_count", "params": []}]])
        self.assertEqual(found, [self.ok("get_user_count")])

    def test_one_time_for_all(self):
        """Rows made in one transaction have the time of the call."""
        self.run_calls(
            *(one("create_goal", user_id=self.user, goal_data={"title": str(i)}) for i in range(20))
        )
        times = {goal["created_at"] for goal in self.ok("get_user_goals", user_id=self.user)}
        self.assertEqual(len(times), 1)


class Requests(TransactionCase):
    """The calls of one request to a server: authenticate_api_key and lists of usage rows."""

    def setUp(self):
        super().setUp()
        self.user = self.world.user(last_active="2020-01-01T00:00:00Z")
        self.new = new_api_key(self.user)
        self.ok("create_api_key", api_key=self.new)
        self.key = self.new["id"]
        self.client = self.world.client(self.key)
        self.login = one(
            "authenticate_api_key", prefix=self.new["key_prefix"], hash=self.new["key_hash"]
        )

    def usages(self, count, **members):
        return [{**new_usage(self.key), **members} for _ in range(count)]

    def requests(self):
        return self.ok("get_api_key_current_usage", api_key_id=self.key)

    def test_authenticate(self):
        """It sees the calls before it, and those behind it see what it notes."""
        (recorded, first, listed, user, _, second) = self.run_calls(
            one("record_api_key_usages", usages=self.usages(3)),
            self.login,
            one("get_user_api_keys", user_id=self.user),
            one("get_user", user_id=self.user),
            one("deactivate_api_key", api_key_id=self.key, user_id=self.user),
            self.login,
        )
        self.assertEqual((recorded, first["current_usage"]), (3, 3))
        self.same(listed, [first["api_key"]])
        self.assertIsNotNone(listed[0]["last_used_at"])
        self.assertEqual(user["last_active"], listed[0]["last_used_at"])
        self.assertIsNone(second)

    def test_lists(self):
        a2a = [new_a2a_usage(self.client) for _ in range(2)]
        found = self.run_calls(
            one("record_api_key_usages", usages=self.usages(2)),
            one("record_a2a_usages", usages=a2a),
            one("get_api_key_current_usage", api_key_id=self.key),
            one("record_api_key_usages", usages=self.usages(5)),
            one("get_a2a_client_current_usage", client_id=self.client),
            one("get_api_key_current_usage", api_key_id=self.key),
        )
        self.assertEqual(found, [2, 2, 2, 5, 2, 7])
        self.assertEqual(self.requests(), 7)

    def test_undone(self):
        """A list whose parent is missing undoes the lists before it, and the note of the use."""
        wrong = self.usages(3)
        wrong[1]["api_key_id"] = "no key"
        before = self.ok("get_user", user_id=self.user)["last_active"]
        self.fails(
            "not_found",
            3,
            one("record_api_key_usages", usages=self.usages(2)),
            self.login,
            one("record_a2a_usages", usages=[new_a2a_usage(self.client)]),
            one("record_api_key_usages", usages=wrong),
            path="calls[3].params.usages[1].api_key_id",
        )
        self.assertEqual(self.requests(), 0)
        self.assertEqual(self.ok("get_a2a_client_current_usage", client_id=self.client), 0)
        (key,) = self.ok("get_user_api_keys", user_id=self.user)
        self.assertIsNone(key["last_used_at"])
        self.assertEqual(self.ok("get_user", user_id=self.user)["last_active"], before)


class Undone(TransactionCase):
    def test_failure_at_every_place(self):
        """Nothing of the calls before or behind it stays, and the index is its place."""
        goal = self.world.goal(self.user)
        before = self.ok("get_user_count")
        for place in range(7):
            calls = [
                one("create_user", user=new_user()),
                one("update_goal_progress", goal_id=goal, current_value=float(place + 1)),
                one("create_goal", user_id=self.user, goal_data={"title": f"never {place}"}),
                one("update_strava_token", user_id=self.user, **TOKEN),
                one("get_user", user_id=self.user),
                one("create_api_key", api_key=new_api_key(self.user)),
            ]
            calls.insert(place, one("update_last_active", user_id=UNKNOWN))
            with self.subTest(place=place):
                problem = self.fails("not_found", place, *calls)
                self.assertIn(UNKNOWN, problem.message)
        self.assertEqual(self.ok("get_user_count"), before)
        self.assertEqual(self.goals(), {"Run": 0.0})
        self.assertIsNone(self.ok("get_strava_token", user_id=self.user))
        self.assertEqual(self.ok("get_user_api_keys", user_id=self.user), [])

    def test_the_first_failure_counts(self):
        email = self.ok("get_user", user_id=self.user)["email"]
        problem = self.fails(
            "conflict",
            1,
            one("update_last_active", user_id=self.user),
            one("create_user", user=new_user(email=email)),
            one("update_last_active", user_id=UNKNOWN),
            field="email",
        )
        self.assertEqual(
            problem.data,
            {"kind": "conflict", "retryable": False, "field": "email", "index": 1},
        )
        self.fails(
            "not_found",
            0,
            one("update_last_active", user_id=UNKNOWN),
            one("create_user", user=new_user(email=email)),
        )

    def test_conflict_of_two_of_its_calls(self):
        user = new_user()
        before = self.ok("get_user_count")
        self.fails(
            "conflict",
            1,
            one("create_user", user=user),
            one("create_user", user=user),
            field="email",
        )
        self.assertEqual(self.ok("get_user_count"), before)

    def test_failed_reads(self):
        """A read that must find a row, behind writes."""
        self.fails(
            "not_found",
            1,
            one("create_goal", user_id=self.user, goal_data={"title": "never"}),
            one("get_user_by_email_required", email="nobody@example.com"),
        )
        self.assertEqual(self.goals(), {})

    def test_a_path(self):
        """An error that names a parameter names it within the transaction."""
        self.fails(
            "not_found",
            1,
            one("create_goal", user_id=self.user, goal_data={"title": "never"}),
            one("get_user_goals", user_id=self.user, limit=5, after=UNKNOWN),
            path="calls[1].params.after",
        )
        self.assertEqual(self.goals(), {})

    def test_a_parent_that_is_missing(self):
        self.fails(
            "not_found",
            1,
            one("create_goal", user_id=self.user, goal_data={"title": "never"}),
            one("create_goal", user_id=UNKNOWN, goal_data={"title": "never"}),
            one("create_goal", user_id=self.user, goal_data={"title": "never"}),
        )
        self.assertEqual(self.goals(), {})

    def test_too_large(self):
        """The answers together are beyond the limit: nothing is stored."""
        for number in range(5):
            self.ok(
                "store_insight", user_id=self.user, insight_data={"n": number, "t": "y" * 900_000}
            )
        reads = [one("get_user_insights", user_id=self.user)] * 4
        self.fails(
            "too_large",
            4,
            one("create_goal", user_id=self.user, goal_data={"title": "never"}),
            *reads,
        )
        self.assertEqual(self.goals(), {})
        self.assertEqual(len(self.run_calls(*reads[:3])), 3)

    def test_others_of_the_same_commit_stay(self):
        """Transactions that fail between writes that do not, in one go."""
        calls = []
        for number in range(60):
            good = one("create_goal", user_id=self.user, goal_data={"title": f"good {number}"})
            bad = one("create_goal", user_id=self.user, goal_data={"title": f"bad {number}"})
            broken = one("update_last_active", user_id=UNKNOWN)
            calls.append(("daemon.transaction", {"calls": [good]}))
            calls.append(("daemon.transaction", {"calls": [bad, broken]}))
            calls.append(
                (good["method"], {"user_id": self.user, "goal_data": {"title": f"s {number}"}})
            )
        answers = self.c.many(calls)
        self.assertEqual(["error" in answer for answer in answers], [False, True, False] * 60)
        self.assertEqual(
            set(self.goals()),
            {f"good {number}" for number in range(60)} | {f"s {number}" for number in range(60)},
        )


class Order(TransactionCase):
    def test_pipelined(self):
        """Single calls and transactions of one connection take effect in their order."""
        chance = random.Random(5)
        goals = [self.world.goal(self.user, title=str(n)) for n in range(3)]
        state, calls, expected = [0.0] * 3, [], []
        for step in range(300):
            place, value = chance.randrange(3), float(step + 1)
            turn = chance.random()
            write = one("update_goal_progress", goal_id=goals[place], current_value=value)
            read = one("get_user_goals", user_id=self.user)
            if turn < 0.3:
                calls.append((write["method"], write["params"]))
                expected.append(None)
                state[place] = value
            elif turn < 0.5:
                calls.append((read["method"], read["params"]))
                expected.append(list(state))
            elif turn < 0.7:
                calls.append(("daemon.transaction", {"calls": [read]}))
                expected.append([list(state)])
            elif turn < 0.85:
                before = list(state)
                state[place] = value
                calls.append(("daemon.transaction", {"calls": [read, write, read]}))
                expected.append([before, None, list(state)])
            else:
                broken = one("update_last_active", user_id=UNKNOWN)
                calls.append(("daemon.transaction", {"calls": [write, broken]}))
                expected.append("not_found")
        for answer, wanted in zip(self.c.many(calls), expected):
            self.assertEqual(self.simple(answer), wanted)

    def simple(self, answer):
        if "error" in answer:
            return answer["error"]["data"]["kind"]
        return self.values(answer["result"])

    def values(self, result):
        if not isinstance(result, list):
            return result
        if result and isinstance(result[0], dict):
            return [row["current_value"] for row in sorted(result, key=lambda row: row["title"])]
        return [self.values(part) for part in result]

    def test_in_a_batch(self):
        goal = self.world.goal(self.user)
        batch = [
            {"method": "update_goal_progress", "params": [goal, 1.0]},
            {
                "method": "daemon.transaction",
                "params": {
                    "calls": [
                        one("get_user_goals", user_id=self.user),
                        one("update_goal_progress", goal_id=goal, current_value=2.0),
                    ]
                },
            },
            {"method": "daemon.transaction", "params": {"calls": []}},
            {"method": "get_user_goals", "params": [self.user]},
        ]
        batch = [{"jsonrpc": "2.0", "id": i, **call} for i, call in enumerate(batch)]
        batch.append({"jsonrpc": "2.0", **batch[1], "method": "daemon.transaction"})
        del batch[-1]["id"]
        self.c.send(strict.dumps(batch) + "\n")
        answers = self.c.read()
        self.assertEqual([answer["id"] for answer in answers], [0, 1, 2, 3])
        self.assertEqual(answers[1]["result"][0][0]["current_value"], 1.0)
        self.assertEqual(answers[2]["error"]["data"]["path"], "calls")
        self.assertEqual(answers[3]["result"][0]["current_value"], 2.0)

    def test_a_notification(self):
        request = {
            "jsonrpc": "2.0",
            "method": "daemon.transaction",
            "params": {"calls": [one("create_goal", user_id=self.user, goal_data={"title": "n"})]},
        }
        self.c.send(strict.dumps(request) + "\n")
        self.assertEqual(self.goals(), {"n": 0.0})

    def test_long_lines(self):
        """Parameters that are not part of a short line, which is kept whole."""
        note = "z" * 5000
        found = self.run_calls(
            *(
                one("store_insight", user_id=self.user, insight_data={"note": note + str(n)})
                for n in range(100)
            )
        )
        self.assertEqual(len(set(found)), 100)
        stored = self.ok("get_user_insights", user_id=self.user, limit=1000)
        self.assertEqual({row["note"] for row in stored}, {note + str(n) for n in range(100)})


class Passwords(TransactionCase):
    def test_created_and_verified(self):
        users = [new_user(email=f"{unique('pw')}@example.com", password="pa ss") for _ in range(3)]
        for user in users:
            del user["password_hash"]
        emails = [user["email"] for user in users]
        found = self.run_calls(
            one("verify_user_password", email=emails[0], password="pa ss"),
            *(one("create_user", user=user) for user in users),
            one("verify_user_password", email=emails[0], password="pa ss"),
            one("verify_user_password", email=emails[1], password="pa  ss"),
            one("get_user_by_email", email=emails[2]),
        )
        self.assertIsNone(found[0])
        self.assertEqual(len(set(found[1:4])), 3)
        self.assertEqual(found[4]["id"], found[1])
        self.assertIsNone(found[5])
        self.assertTrue(found[6]["password_hash"].startswith("$2b$04$"))
        for email in emails:
            self.assertIsNotNone(self.ok("verify_user_password", email=email, password="pa ss"))

    def test_order_behind_a_hash(self):
        """What comes behind a transaction with a password waits for it."""
        email = f"{unique('pw')}@example.com"
        user = {"email": email, "password": "secret word"}
        answers = self.c.many(
            [
                ("daemon.transaction", {"calls": [one("create_user", user=user)]}),
                ("get_user_by_email", {"email": email}),
                ("daemon.transaction", {"calls": [one("get_user_by_email", email=email)]}),
            ]
        )
        results = [result_of(answer) for answer in answers]
        self.assertEqual(results[1]["id"], results[0][0])
        self.assertEqual(results[2][0], results[1])

    def test_undone_with_a_password(self):
        user = {"email": f"{unique('pw')}@example.com", "password": "secret word"}
        self.fails(
            "not_found",
            1,
            one("create_user", user=user),
            one("update_last_active", user_id=UNKNOWN),
        )
        self.assertIsNone(self.ok("get_user_by_email", email=user["email"]))

    def test_too_long_a_password(self):
        self.fails(
            "invalid_params",
            1,
            one("update_last_active", user_id=self.user),
            one("create_user", user={"email": "a@example.com", "password": "p" * 73}),
            path="calls[1].params.user.password",
        )


class Refused(TransactionCase):
    def test_how_many(self):
        call = {"method": "get_user_count"}
        for count in (1, 2, 99, 100):
            self.assertEqual(len(self.run_calls(*[call] * count)), count)
        for count in (0, 101, 1000):
            problem = self.refused(
                "invalid_params", "daemon.transaction", calls=[call] * count, path="calls"
            )
            self.assertNotIn("index", problem.data)

    def test_methods_that_cannot_take_part(self):
        good = {"method": "get_user_count"}
        for name in NOT_MEMBERS + ["get_nothing", "", "é" * 200]:
            with self.subTest(method=name):
                self.fails(
                    "invalid_params", 2, good, good, {"method": name}, path="calls[2].method"
                )

    def test_shapes(self):
        good = {"method": "get_user_count"}
        for call, path in (
            (None, "calls[1]"),
            ([], "calls[1]"),
            ("get_user_count", "calls[1]"),
            ({}, "calls[1].method"),
            ({"method": None}, "calls[1].method"),
            ({"method": ["get_user_count"]}, "calls[1].method"),
            ({"method": "get_user_count", "params": None}, "calls[1].params"),
            ({"method": "get_user_count", "params": 5}, "calls[1].params"),
            ({"method": "get_user_count", "id": 5}, "calls[1].id"),
            ({"method": "get_user_count", "jsonrpc": "2.0"}, "calls[1].jsonrpc"),
            ({"method": "get_user_count", "params": {"a": 1}}, "calls[1].params.a"),
            ({"method": "get_user_count", "params": [1]}, "calls[1].params[0]"),
            ({"method": "get_user", "params": ["x"]}, "calls[1].params.user_id"),
            ({"method": "get_user"}, "calls[1].params.user_id"),
            (one("create_user", user={"email": "none"}), "calls[1].params.user.email"),
        ):
            with self.subTest(call=call):
                self.fails("invalid_params", 1, good, call, good, path=path)

    def test_wrong_parameters_change_nothing(self):
        self.fails(
            "invalid_params",
            1,
            one("create_goal", user_id=self.user, goal_data={"title": "never"}),
            one("get_user", user_id="no uuid"),
        )
        self.assertEqual(self.goals(), {})

    def test_texts_that_break_a_rule(self):
        """A rule of the protocol broken within a call is an error of the line, with its id."""
        line = (
            '{"jsonrpc":"2.0","id":9,"method":"daemon.transaction","params":{"calls":'
            '[{"method":"get_user","params":{"user_id":"a\\u0000"}}]}}\n'
        )
        self.c.send(line)
        answer = self.c.read()
        self.assertEqual((answer["id"], answer["error"]["data"]["kind"]), (9, "parse_error"))

    def test_counted(self):
        """One call for the statistics."""
        before = self.ok("daemon.stats")["methods"].get("daemon.transaction", {"calls": 0})["calls"]
        self.run_calls({"method": "get_user_count"}, {"method": "get_user_count"})
        after = self.ok("daemon.stats")["methods"]["daemon.transaction"]
        self.assertEqual(after["calls"], before + 1)


class Paused(TransactionCase):
    def test_waits(self):
        self.ok("daemon.pause")
        with self.daemon.connect() as other:
            try:
                call = one("create_goal", user_id=self.user, goal_data={"title": "p"})
                request = other.request("daemon.transaction", calls=[call])
                self.within(5, lambda: self.ok("daemon.pause")["waiting"] == 1)
                self.assertEqual(self.ok("daemon.pause")["under_way"], 0)
            finally:
                self.ok("daemon.resume")
            self.assertEqual(len(result_of(other.answer(request))), 1)
        self.see_all(self.c)
        self.assertEqual(self.goals(), {"p": 0.0})
