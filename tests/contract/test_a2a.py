"""Agent to agent. Would catch: a session found after its end or by its id, scopes out of order, a
task's times set in the wrong state, usage of an unknown session that is stored, a capability
counted once per row instead of once per claim."""
import datetime
import sqlite3

from lib import strict
from lib.case import DaemonCase
from lib.daemon import SLOW
from lib.interface import TASK_STATUSES
from lib.world import UNKNOWN, World, new_a2a_usage, new_client, stored_session, unique


def parse(timestamp):
    return datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))


def utc():
    return datetime.datetime.now(datetime.timezone.utc)


class A2ACase(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user()
        self.key = self.world.api_key(self.user)


class Clients(A2ACase):
    def test_all_members_come_back(self):
        client = new_client(
            is_active=False,
            created_at="2025-06-01T11:06:40.1234567+02:00",
            description="",
            public_key="",
            capabilities=["b", "a", "b", "", 'ü "q" \\ \n'],
            redirect_uris=[],
        )
        self.assertEqual(
            self.ok("create_a2a_client", client=client, api_key_id=self.key), client["id"]
        )
        expected = {**client, "created_at": "2025-06-01T09:06:40.123456Z"}
        for found in (
            self.ok("get_a2a_client", client_id=client["id"]),
            self.ok("get_a2a_client_by_name", name=client["name"]),
            self.ok("list_a2a_clients", user_id=self.user)[0],
        ):
            self.same(found, expected)

    def test_defaults(self):
        before = utc()
        client = self.world.client(self.key)
        found = self.ok("get_a2a_client", client_id=client)
        self.assertTrue(found["is_active"])
        self.assertLess(abs((parse(found["created_at"]) - before).total_seconds()), 60 * SLOW)

    def test_conflicts(self):
        client = new_client()
        self.ok("create_a2a_client", client=client, api_key_id=self.key)
        self.refused(
            "conflict",
            "create_a2a_client",
            client={**new_client(), "id": client["id"]},
            api_key_id=self.key,
            field="id",
        )
        self.refused(
            "conflict", "create_a2a_client", client=client, api_key_id=self.key, field="name"
        )  # both are taken
        other = self.world.api_key(self.world.user())
        self.refused(
            "conflict",
            "create_a2a_client",
            client={**new_client(), "name": client["name"]},
            api_key_id=other,
            field="name",
        )
        self.assertEqual(len(self.ok("list_a2a_clients", user_id=self.user)), 1)

    def test_unknown(self):
        self.refused(
            "not_found", "create_a2a_client", client=new_client(), api_key_id="no such key"
        )
        self.assertIsNone(self.ok("get_a2a_client", client_id="no such client"))
        self.assertIsNone(self.ok("get_a2a_client_by_name", name="no such client"))
        self.assertEqual(self.ok("list_a2a_clients", user_id=UNKNOWN), [])

    def test_look_ups_are_exact(self):
        client = new_client(id=unique("Mixed"), name=unique("Name"))
        self.ok("create_a2a_client", client=client, api_key_id=self.key)
        for wrong in (client["id"].upper(), client["id"] + " ", client["id"][:-1] + "_", "%", ""):
            self.assertIsNone(self.ok("get_a2a_client", client_id=wrong))
        for wrong in (client["name"].lower(), client["name"] + " ", "%"):
            self.assertIsNone(self.ok("get_a2a_client_by_name", name=wrong))

    def test_list_is_of_active_keys_newest_first(self):
        inactive = self.world.api_key(self.user, is_active=False)
        second = self.world.api_key(self.user)
        stranger = self.world.api_key(self.world.user())
        prefix = unique("c")
        for suffix, key, created in (
            ("b", self.key, "2025-06-01T00:00:00Z"),
            ("a", second, "2025-06-01T00:00:00Z"),
            ("z", second, "2025-05-31T23:59:59Z"),
            ("n", self.key, "2025-06-01T02:00:00.5+02:00"),
            ("i", inactive, "2025-06-02T00:00:00Z"),
            ("s", stranger, "2025-06-02T00:00:00Z"),
            ("C", self.key, "2025-06-01T00:00:00Z"),
        ):
            self.world.client(
                key, id=f"{prefix} {suffix}", created_at=created, is_active=suffix != "a"
            )
        self.assertEqual(
            [one["id"][-1] for one in self.ok("list_a2a_clients", user_id=self.user.upper())],
            ["n", "b", "a", "C", "z"],
        )
        self.ok("deactivate_api_key", api_key_id=second, user_id=self.user)
        self.assertEqual(
            [one["id"][-1] for one in self.ok("list_a2a_clients", user_id=self.user)],
            ["n", "b", "C"],
        )


class Sessions(A2ACase):
    def setUp(self):
        super().setUp()
        self.client = self.world.client(self.key)

    def test_session(self):
        before = utc()
        token = self.ok(
            "create_a2a_session",
            [self.client, self.user.upper(), ["write", "read", "write", ""], 36],
        )
        self.assertRegex(token, r"^[A-Za-z0-9_-]{43}$")
        found = self.ok("get_a2a_session", session_token=token)
        self.assertNotEqual(found["id"], token)
        self.assertEqual(
            (
                found["client_id"],
                found["user_id"],
                found["granted_scopes"],
                found["requests_count"],
            ),
            (self.client, self.user, ["write", "read", "write", ""], 0),
        )
        self.assertEqual(
            parse(found["expires_at"]) - parse(found["created_at"]), datetime.timedelta(hours=36)
        )
        self.assertEqual(found["created_at"], found["last_activity"])
        self.assertLess(abs((parse(found["created_at"]) - before).total_seconds()), 60 * SLOW)

    def test_tokens_are_random(self):
        tokens = {self.world.session(self.client) for _ in range(50)}
        self.assertEqual(len(tokens), 50)
        self.assertEqual(len({token[:8] for token in tokens}), 50)

    def test_without_user(self):
        token = self.ok(
            "create_a2a_session", client_id=self.client, granted_scopes=[], expires_in_hours=1
        )
        found = self.ok("get_a2a_session", session_token=token)
        self.assertEqual((found["user_id"], found["granted_scopes"]), (None, []))

    def test_hours(self):
        for good in (1, 87600):
            found = self.ok(
                "get_a2a_session", session_token=self.world.session(self.client, hours=good)
            )
            self.assertEqual(
                parse(found["expires_at"]) - parse(found["created_at"]),
                datetime.timedelta(hours=good),
            )
        for bad in (0, -1, 87601, 2**63 - 1, -(2**63), 1.0, "1", None):
            self.refused(
                "invalid_params",
                "create_a2a_session",
                path="expires_in_hours",
                client_id=self.client,
                user_id=None,
                granted_scopes=[],
                expires_in_hours=bad,
            )

    def test_unknown(self):
        self.refused(
            "not_found",
            "create_a2a_session",
            client_id="nobody",
            user_id=None,
            granted_scopes=[],
            expires_in_hours=1,
        )
        self.refused(
            "not_found",
            "create_a2a_session",
            client_id=self.client,
            user_id=UNKNOWN,
            granted_scopes=[],
            expires_in_hours=1,
        )
        self.assertIsNone(self.ok("get_a2a_session", session_token="no such session"))
        self.refused("not_found", "update_a2a_session_activity", session_token="no such session")
        token = self.world.session(self.client)
        found = self.ok("get_a2a_session", session_token=token)
        for wrong in (found["id"], token.swapcase(), token + "=", token[:-1], "", "%"):
            self.assertIsNone(self.ok("get_a2a_session", session_token=wrong))

    def test_activity(self):
        token, other = self.world.session(self.client), self.world.session(self.client)
        before = self.ok("get_a2a_session", session_token=token)
        quiet = self.ok("get_a2a_session", session_token=other)
        self.assertIsNone(self.ok("update_a2a_session_activity", session_token=token))
        after = self.ok("get_a2a_session", session_token=token)
        self.assertGreater(after["last_activity"], before["last_activity"])
        self.same({**after, "last_activity": None}, {**before, "last_activity": None})
        self.same(self.ok("get_a2a_session", session_token=other), quiet)

    def test_expired_and_inactive(self):
        expired, inactive = self.world.session(self.client), self.world.session(self.client)
        self.sql(
            "UPDATE a2a_sessions SET expires_at = '2025-01-01T00:00:00+00:00' WHERE "
            "session_token = '{}'",
            stored_session(expired),
        )
        self.sql(
            "UPDATE a2a_sessions SET is_active = false WHERE session_token = '{}'",
            stored_session(inactive),
        )
        self.assertIsNone(self.ok("get_a2a_session", session_token=expired))
        self.assertIsNone(self.ok("get_a2a_session", session_token=inactive))

    def sql(self, statement, value):
        if self.daemon.backend == "sqlite":
            database = sqlite3.connect(self.daemon.database.path, timeout=10)
            database.execute(statement.format(value))
            database.commit()
            database.close()
        else:
            self.daemon.database.query(statement.format(value))

    def test_requests_count(self):
        token, other = self.world.session(self.client), self.world.session(self.client)
        for chosen in (token, token, other, None, token):
            self.world.a2a_usage(self.client, session_token=chosen)
        self.assertEqual(self.ok("get_a2a_session", session_token=token)["requests_count"], 3)
        self.assertEqual(self.ok("get_a2a_session", session_token=other)["requests_count"], 1)


class Tasks(A2ACase):
    def setUp(self):
        super().setUp()
        self.client = self.world.client(self.key)

    def task(self, **members):
        identifier = self.ok(
            "create_a2a_task",
            **{"client_id": self.client, "task_type": "analysis", "input_data": {}, **members},
        )
        return identifier, self.ok("get_a2a_task", task_id=identifier)

    def test_new_task(self):
        identifier, task = self.task(input_data={"n": 1})
        self.assertLess(abs((parse(task.pop("created_at")) - utc()).total_seconds()), 60 * SLOW)
        self.same(
            task,
            {
                "id": identifier,
                "client_id": self.client,
                "session_id": None,
                "task_type": "analysis",
                "input_data": {"n": 1},
                "status": "pending",
                "started_at": None,
                "completed_at": None,
                "result": None,
                "error": None,
            },
        )

    def test_input_is_any_json(self):
        for text in (
            "null",
            "0",
            "-0.0",
            "1e300",
            "9223372036854775807",
            '""',
            '"x"',
            "true",
            "false",
            "[]",
            "{}",
            "[null]",
            '[1,2.5,{"a":[-0.0,1e-7,1e2]}]',
            '{"a":{"b":{"c":null}}}',
            '"\\ud83d\\ude00\\n"',
            "1.0",
            "1",
        ):
            value = strict.loads(text)
            identifier = self.c.last_id = self.c.last_id + 1
            self.c.send(
                strict.dumps(
                    {
                        "jsonrpc": "2.0",
                        "id": identifier,
                        "method": "create_a2a_task",
                        "params": [self.client, None, "t", "@"],
                    }
                ).replace('"@"', text)
                + "\n"
            )
            made = self.c.answer(identifier)["result"]
            self.same(self.ok("get_a2a_task", task_id=made)["input_data"], value)
            self.ok("update_a2a_task_status", task_id=made, status="completed", result=value)
            self.same(self.ok("get_a2a_task", task_id=made)["result"], value)

    def test_session_by_id_or_token(self):
        token = self.world.session(self.client, self.user)
        session = self.ok("get_a2a_session", session_token=token)["id"]
        digits = session.replace("-", "")
        for given in (token, session, session.upper(), digits, digits.upper()):
            _, task = self.task(session_id=given)
            self.assertEqual(task["session_id"], session)
        for given in (
            "nobody's",
            UNKNOWN,
            UNKNOWN.replace("-", ""),
            "",
            f"{digits[:8]}-{digits[8:]}",
            digits[:-1],
            f"{digits}0",
            f"{{{session}}}",
            f"{session} ",
            token.swapcase(),
            "%",
            "?" * 36,
            "_" * 32,
        ):
            self.refused(
                "not_found",
                "create_a2a_task",
                client_id=self.client,
                session_id=given,
                task_type="t",
                input_data={},
            )
        self.refused(
            "not_found",
            "create_a2a_task",
            client_id="nobody",
            session_id=None,
            task_type="t",
            input_data={},
        )

    def test_unknown(self):
        self.assertIsNone(self.ok("get_a2a_task", task_id=UNKNOWN))
        self.refused("not_found", "update_a2a_task_status", task_id=UNKNOWN, status="running")

    def update(self, identifier, status, **members):
        self.assertIsNone(
            self.ok("update_a2a_task_status", task_id=identifier, status=status, **members)
        )
        return self.ok("get_a2a_task", task_id=identifier)

    def test_times(self):
        identifier, _ = self.task()
        task = self.update(identifier.upper(), "pending")
        self.assertEqual((task["started_at"], task["completed_at"]), (None, None))
        task = self.update(identifier, "running")
        started = task["started_at"]
        self.assertIsNotNone(started)
        self.assertIsNone(task["completed_at"])
        for status in ("completed", "failed", "cancelled"):
            task = self.update(identifier, status)
            self.assertEqual((task["status"], task["started_at"]), (status, started))
            self.assertGreaterEqual(task["completed_at"], started)
            task = self.update(identifier, "running")
            self.assertEqual(
                (task["started_at"], task["completed_at"]), (started, None)
            )  # the first transition to running counts
        task = self.update(identifier, "completed")
        task = self.update(identifier, "pending")
        self.assertEqual((task["started_at"], task["completed_at"]), (started, None))

    def test_completed_without_running(self):
        for status in ("completed", "failed", "cancelled"):
            identifier, _ = self.task()
            task = self.update(identifier, status)
            self.assertIsNone(task["started_at"])
            self.assertIsNotNone(task["completed_at"])

    def test_result_and_error(self):
        identifier, _ = self.task()
        task = self.update(identifier, "completed", result={"pace": [1, 2.5, -0.0]}, error="almost")
        self.same(task["result"], {"pace": [1, 2.5, -0.0]})
        self.assertEqual(task["error"], "almost")

    def test_statuses(self):
        identifier, before = self.task()
        for status in TASK_STATUSES:
            self.assertEqual(self.update(identifier, status)["status"], status)
        for bad in ("", "done", "Running", "RUNNING", None, 1):
            self.refused(
                "invalid_params",
                "update_a2a_task_status",
                task_id=identifier,
                status=bad,
                path="status",
            )
        self.same(self.ok("get_a2a_task", task_id=identifier)["input_data"], before["input_data"])


class Usage(A2ACase):
    def setUp(self):
        super().setUp()
        self.client = self.world.client(self.key)

    def record(self, **members):
        self.assertIsNone(self.ok("record_a2a_usage", usage=new_a2a_usage(self.client, **members)))

    def test_unknown(self):
        self.refused("not_found", "record_a2a_usage", usage=new_a2a_usage("nobody"))
        self.refused(
            "not_found",
            "record_a2a_usage",
            usage=new_a2a_usage(self.client, session_token="nobody's"),
        )
        self.assertEqual(self.ok("get_a2a_client_current_usage", client_id=self.client), 0)
        self.assertEqual(self.ok("get_a2a_client_current_usage", client_id="nobody"), 0)
        self.assertEqual(self.ok("get_a2a_client_usage_history", client_id="nobody", days=30), [])
        self.same(
            self.ok(
                "get_a2a_usage_stats", ["nobody", "2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z"]
            ),
            {
                "client_id": "nobody",
                "period_start": "2025-01-01T00:00:00.000000Z",
                "period_end": "2025-01-02T00:00:00.000000Z",
                "total_requests": 0,
                "successful_requests": 0,
                "failed_requests": 0,
                "total_response_time_ms": 0,
                "tool_usage": {},
                "capability_usage": {},
            },
            ordered=True,
        )

    def test_stats(self):
        session = self.world.session(self.client)
        for status, milliseconds, capabilities, tool in (
            (200, 4294967295, ["a", "b"], "x"),
            (299, 1, ["a"], "x"),
            (301, None, [], "X"),
            (404, 2, ["é", "Z", "a"], "x"),
            (500, 3, ["b", "b"], "y"),
            (199, None, None, "x"),
        ):
            self.record(
                status_code=status,
                response_time_ms=milliseconds,
                client_capabilities=capabilities,
                tool_name=tool,
                timestamp="2025-06-04T12:00:00Z",
                session_token=session,
                protocol_version="2.0",
                granted_scopes=["read"],
                ip_address="::1",
                user_agent="agent",
                error_message="e",
                request_size_bytes=1,
                response_size_bytes=2,
                id=5,
            )
        stats = self.ok(
            "get_a2a_usage_stats",
            client_id=self.client,
            start_date="2025-06-04T12:00:00Z",
            end_date="2025-06-04T12:00:00.000001Z",
        )
        counts = stats["capability_usage"]
        self.same(
            {**stats, "capability_usage": None},
            {
                "client_id": self.client,
                "period_start": "2025-06-04T12:00:00.000000Z",
                "period_end": "2025-06-04T12:00:00.000001Z",
                "total_requests": 6,
                "successful_requests": 2,
                "failed_requests": 2,
                "total_response_time_ms": 4294967301,
                "tool_usage": {"X": 1, "x": 4, "y": 1},
                "capability_usage": None,
            },
            ordered=True,
        )
        self.assertEqual(list(counts), ["Z", "a", "b", "é"])
        self.assertEqual((counts["Z"], counts["a"], counts["é"]), (1, 3, 1))
        # A capability claimed twice in one row is not documented; both backends agree
        # (differential).
        self.assertIn(counts["b"], (2, 3))
        self.assertEqual(
            self.ok(
                "get_a2a_usage_stats",
                [self.client, "2025-06-04T12:00:00.000001Z", "2025-06-05T00:00:00Z"],
            )["total_requests"],
            0,
        )
        self.assertEqual(
            self.ok(
                "get_a2a_usage_stats", [self.client, "2025-06-03T00:00:00Z", "2025-06-04T12:00:00Z"]
            )["total_requests"],
            0,
        )

    def test_current_usage(self):
        start = utc().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        self.record(timestamp=start.isoformat())
        self.record(timestamp=(start - datetime.timedelta(microseconds=1)).isoformat())
        self.record()
        if utc().month == start.month:
            self.assertEqual(self.ok("get_a2a_client_current_usage", client_id=self.client), 2)

    def test_history(self):
        today = utc().replace(hour=0, minute=0, second=0, microsecond=0)
        day = datetime.timedelta(days=1)

        def at(moment, *codes):
            for code in codes:
                self.record(timestamp=moment.isoformat(), status_code=code)

        at(today, 200, 399, 400)
        at(today - day, 500)
        at(today - datetime.timedelta(microseconds=1), 100)
        at(today - 3 * day, 200)
        at(today - 3 * day - datetime.timedelta(microseconds=1), 200)
        expected = [
            {"day": stamp(today - 4 * day), "success_count": 1, "error_count": 0},
            {"day": stamp(today - 3 * day), "success_count": 1, "error_count": 0},
            {"day": stamp(today - day), "success_count": 1, "error_count": 1},
            {"day": stamp(today), "success_count": 2, "error_count": 1},
        ]
        if utc().date() != today.date():
            self.skipTest("midnight passed during the test")
        history = lambda days: self.ok(
            "get_a2a_client_usage_history", client_id=self.client, days=days
        )  # noqa: E731
        self.same(history(3), expected[1:], ordered=True)
        self.same(history(4), expected, ordered=True)
        self.same(history(0), expected[3:])
        self.same(history(1), expected[2:])
        self.same(history(36600), expected)
        for bad in (-1, 36601, "1", 1.0, None):
            self.refused(
                "invalid_params",
                "get_a2a_client_usage_history",
                client_id=self.client,
                days=bad,
                path="days",
            )


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class ManyUsages(A2ACase):
    def setUp(self):
        super().setUp()
        self.client = self.world.client(self.key)
        self.session = self.world.session(self.client, self.user)

    def rows(self):
        return [
            new_a2a_usage(self.client, timestamp="2025-06-04T12:00:00Z", client_capabilities=None),
            new_a2a_usage(
                self.client,
                timestamp="2025-06-04T14:00:00.1234567+02:00",
                session_token=self.session,
                response_time_ms=7,
                status_code=404,
                ip_address="unknown",
                client_capabilities=["b", "a", "b", 'ü "q" \\'],
                granted_scopes=["read"],
                protocol_version="2",
            ),
        ]

    def stats(self):
        return self.ok(
            "get_a2a_usage_stats",
            client_id=self.client,
            start_date="2025-01-01T00:00:00Z",
            end_date="2026-01-01T00:00:00Z",
        )

    def test_like_one_by_one(self):
        self.assertEqual(self.ok("record_a2a_usages", usages=self.rows()), 2)
        together = self.stats()
        self.assertEqual(
            self.ok("get_a2a_session", session_token=self.session)["requests_count"], 1
        )
        other = self.client = self.world.client(self.key)
        for row in self.rows():
            self.ok("record_a2a_usage", usage=row)
        self.same({**self.stats(), "client_id": ""}, {**together, "client_id": ""})
        self.assertEqual(self.stats()["client_id"], other)

    def test_all_or_nothing(self):
        unknown = {"client_id": "none", "session_token": "no token"}
        for place, member in ((0, "client_id"), (1, "session_token"), (2, "client_id")):
            usages = self.rows() + self.rows()
            usages[place][member] = unknown[member]
            problem = self.refused(
                "not_found", "record_a2a_usages", usages=usages, path=f"usages[{place}].{member}"
            )
            self.assertNotIn("no token", str(problem))
        both = {**self.rows()[1], **unknown}
        self.refused(
            "not_found", "record_a2a_usages", usages=[both], path="usages[0].session_token"
        )
        self.assertEqual(self.stats()["total_requests"], 0)
