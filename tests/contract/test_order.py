"""The calls of one connection take effect in the order of their arrival. Would catch: a read that
overtakes a write (a reader thread with an older snapshot), a write that overtakes a read, a failed
call that makes its neighbours fail."""
import random
import threading

from lib.case import DaemonCase
from lib.rpc import result_of
from lib.world import UNKNOWN, World, new_api_key, new_usage, new_user, unique, uuid4

STRICT = True


class Order(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user()

    def test_read_sees_the_write_before_it(self):
        """Short reads by key, listings and counts."""
        requests, expected = [], []
        key = self.world.api_key(self.user)
        for index in range(300):
            requests.append(
                ("upsert_user_profile", {"user_id": self.user, "profile_data": {"n": index}})
            )
            requests.append(("get_user_profile", {"user_id": self.user}))
            expected.append(({"n": index}, len(requests) - 1))
            if index % 10 == 0:
                requests.append(
                    (
                        "record_api_key_usage",
                        {"usage": new_usage(key, timestamp="2025-06-04T12:00:00Z")},
                    )
                )
                requests.append(("get_request_logs", {"api_key_id": key, "limit": 1000}))
                expected.append((index // 10 + 1, len(requests) - 1))
        answers = self.c.many(requests)
        for value, at in expected:
            result = result_of(answers[at])
            self.same(result if isinstance(value, dict) else len(result), value)

    def test_write_does_not_overtake_the_read_before_it(self):
        """A slow listing is sent first, while others keep the readers busy. It must not see the
        write after it."""
        rival = self.world.user()
        key, other = self.world.api_key(self.user), self.world.api_key(rival)
        self.results(
            self.c.many(
                [
                    ("record_api_key_usage", {"usage": new_usage(one)})
                    for _ in range(900)
                    for one in (key, other)
                ]
            )
        )
        busy = self.daemon.connect()
        self.addCleanup(busy.close)
        self.see_all(busy)
        for _ in range(8):
            waiting = [
                busy.request(
                    "get_top_tools_analysis",
                    [rival, "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"],
                )
                for _ in range(100)
            ]
            requests = [
                ("get_request_logs", {"api_key_id": key, "limit": 1000}),
                (
                    "get_top_tools_analysis",
                    {
                        "user_id": self.user,
                        "start_time": "2020-01-01T00:00:00Z",
                        "end_time": "2099-01-01T00:00:00Z",
                    },
                ),
                ("get_user_profile", {"user_id": self.user}),
                ("record_api_key_usage", {"usage": new_usage(key)}),
                ("get_request_logs", {"api_key_id": key, "limit": 1000}),
            ]
            logs, tools, _, write, after = self.c.many(requests)
            result_of(write)
            self.assertEqual(len(result_of(logs)), result_of(tools)[0]["request_count"])
            self.assertEqual(len(result_of(after)), len(result_of(logs)) + 1)
            for request in waiting:
                self.assertEqual(result_of(busy.answer(request))[0]["request_count"], 900)

    def test_mixed_at_random(self):
        """A counter document, written and read in random order on several connections at once. Each
        keeps its own order."""
        failures = []

        def one(seed):
            chance = random.Random(seed)
            with self.daemon.connect() as connection:
                user = World(connection).user()
                requests, expected, value = [], [], None
                for index in range(600):
                    turn = chance.random()
                    if turn < 0.4:
                        value = {"n": index}
                        requests.append(
                            ("upsert_user_profile", {"user_id": user, "profile_data": value})
                        )
                        expected.append(None)
                    elif turn < 0.5:
                        requests.append(
                            (
                                "upsert_user_profile",
                                {"user_id": UNKNOWN, "profile_data": {"n": -index}},
                            )
                        )
                        expected.append("not_found")
                    elif turn < 0.55:
                        requests.append(("get_user", {"user_id": 5}))
                        expected.append("invalid_params")
                    elif turn < 0.6:
                        requests.append(("get_user_goals", {"user_id": user}))
                        expected.append([])
                    else:
                        requests.append(("get_user_profile", {"user_id": user}))
                        expected.append(value)
                for index, answer in enumerate(connection.many(requests)):
                    got = answer["error"]["data"]["kind"] if "error" in answer else answer["result"]
                    if got != expected[index]:
                        failures.append((seed, index, requests[index], got, expected[index]))

        threads = [threading.Thread(target=one, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_dependent_writes_without_waiting(self):
        """All kinds of rows in one write: each row needs the one before it."""
        user, key, client, email = (
            uuid4(),
            unique("key"),
            unique("client"),
            f"{unique('chain')}@example.com",
        )
        answers = self.c.many(
            [
                ("create_user", {"user": new_user(id=user, email=email)}),
                ("create_api_key", {"api_key": new_api_key(user, id=key)}),
                ("record_api_key_usage", {"usage": new_usage(key)}),
                (
                    "create_a2a_client",
                    {
                        "client": {
                            "id": client,
                            "name": client,
                            "description": "",
                            "public_key": "",
                            "capabilities": [],
                            "redirect_uris": [],
                        },
                        "api_key_id": key,
                    },
                ),
                (
                    "create_a2a_session",
                    {
                        "client_id": client,
                        "user_id": user,
                        "granted_scopes": [],
                        "expires_in_hours": 1,
                    },
                ),
                ("list_a2a_clients", {"user_id": user}),
                ("deactivate_api_key", {"api_key_id": key, "user_id": user}),
                ("list_a2a_clients", {"user_id": user}),
                ("get_user_by_email", {"email": email}),
                ("create_user", {"user": new_user(email=email)}),
                ("get_request_logs", {"api_key_id": key}),
            ]
        )
        kinds = ["error" in answer for answer in answers]
        self.assertEqual(kinds, [False] * 9 + [True, False], answers)
        self.assertEqual(
            (len(answers[5]["result"]), len(answers[7]["result"]), len(answers[10]["result"])),
            (1, 0, 1),
        )
        self.assertEqual(answers[8]["result"]["id"], user)

    def test_passwords_keep_the_order(self):
        """Other threads hash the password. A read after a create_user with a password still sees
        the user."""
        email = f"{unique('slow')}@example.com"
        answers = self.c.many(
            [
                ("create_user", {"user": {"email": email, "password": "p"}}),
                ("get_user_by_email", {"email": email}),
                ("verify_user_password", {"email": email, "password": "p"}),
                ("get_user_count", {}),
            ]
        )
        made = result_of(answers[0])
        self.assertEqual(result_of(answers[1])["id"], made)
        self.assertEqual(result_of(answers[2])["id"], made)

    def test_other_connections_see_answered_writes(self):
        """Once a write is answered, every connection reads it, on any thread."""
        with self.daemon.connect() as other:
            for index in range(300):
                self.ok("upsert_user_profile", user_id=self.user, profile_data={"n": index})
                self.see_all(other)
                self.same(other.call("get_user_profile", user_id=self.user), {"n": index})
                if index % 20 == 0:
                    goal = self.world.goal(self.user)
                    self.see_all(other)
                    self.assertIn(
                        goal, [one["id"] for one in other.call("get_user_goals", user_id=self.user)]
                    )

    def test_one_failure_among_many(self):
        """Conflicts and unknown rows as item k of a pipeline, for all k: each call gets its own
        answer."""
        taken = new_user()
        self.ok("create_user", user=taken)
        for k in range(12):
            users = [new_user() for _ in range(12)]
            users[k] = {**new_user(), "email": taken["email"]}
            answers = self.c.many([("create_user", {"user": user}) for user in users])
            for index, answer in enumerate(answers):
                if index == k:
                    self.assertEqual(answer["error"]["data"]["field"], "email")
                else:
                    self.assertIsNotNone(self.ok("get_user", user_id=result_of(answer)))
