"""Every stored string parameter, with texts that are difficult for databases and terminals:
returned byte for byte. Would catch: SQL built from text, LIKE instead of =, a cut, a normalised or
re-encoded character, a wrongly read escape."""
import random

from lib.case import DaemonCase
from lib.interface import IDENTIFIER_MAX_BYTES
from lib.world import (
    World,
    new_a2a_usage,
    new_api_key,
    new_client,
    new_usage,
    new_user,
    unique,
)

TEXTS = [
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    '" OR ""="',
    "x'); DELETE FROM api_keys; --",
    "$1",
    "?1",
    ":name",
    "@p",
    "\\",
    "\\'",
    "E'\\n'",
    "$$x$$",
    "$tag$",
    "%",
    "_",
    "%%",
    "a%b_c",
    "*",
    "[a-z]",
    "NULL",
    "null",
    "0",
    "-1",
    "1e5",
    "true",
    "",
    " ",
    "  two  ",
    "\t\n\r",
    "\u0001\u0002\u001f\u007f",
    "\u0080\u009f",
    "\u00a0",
    "é",
    "e\u0301",
    "ß",
    "İı",
    "Ω\u2126",
    "ﬁ",
    "\u200b\u200d\u2060",
    "\u202eright to left\u202c",
    "مرحبا بالعالم",
    "שלום",
    "走る人",
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "\U0001f1e9\U0001f1ea",
    "\ufeffbom",
    "\ufffd\ufffe\uffff",
    "\U0010ffff",
    "\u2028\u2029",
    '{"json":1}',
    "[1]",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "%s%n%x",
    "a" * 10_000,
    "é" * 65_536,
    '"' * 1000,
    "\\" * 1001,
]
BIG = 'ü"\\\n😀' * 70_000  # about 700 kB of UTF-8, more on the wire


def identifier(text, room=0):
    """Returns as much of it as fits an identifier; room: bytes that are left free."""
    return text.encode()[: IDENTIFIER_MAX_BYTES - room].decode("utf-8", "ignore")


class Strings(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user()
        self.key = self.world.api_key(self.user)
        self.client = self.world.client(self.key)

    def texts(self, unique_ones=False):
        for text in TEXTS + [BIG]:
            yield (unique("") + text if unique_ones and len(text) < 100_000 else text)

    def test_users(self):
        for text in self.texts():
            email, hashed = f"{unique('s')}{identifier(text.replace('@', ''), 50)}@x", text[:10_000]
            made = self.ok(
                "create_user", user=new_user(email=email, display_name=text, password_hash=hashed)
            )
            for found in (
                self.ok("get_user", user_id=made),
                self.ok("get_user_by_email", email=email),
                self.ok("get_user_by_email_required", email=email),
            ):
                self.assertEqual(
                    (found["email"], found["display_name"], found["password_hash"]),
                    (email, text, hashed),
                )

    def test_tokens(self):
        for text in self.texts():
            for which in ("strava", "fitbit"):
                if len(text) > 200_000:
                    self.ok(
                        f"update_{which}_token",
                        [
                            self.user,
                            text[:100_000],
                            text[:99_999],
                            "2025-01-01T00:00:00Z",
                            text[:50_000],
                        ],
                    )
                    expected = (text[:100_000], text[:99_999], text[:50_000])
                else:
                    self.ok(
                        f"update_{which}_token",
                        [self.user, text, text, "2025-01-01T00:00:00Z", text],
                    )
                    expected = (text, text, text)
                found = self.ok(f"get_{which}_token", user_id=self.user)
                self.assertEqual(
                    (found["access_token"], found["refresh_token"], found["scope"]), expected
                )

    def test_documents(self):
        for text in self.texts():
            document = (
                {"text": text}
                if len(text) > 100_000
                else {"text": text, "list": [text], text: text}
            )
            self.ok("upsert_user_profile", user_id=self.user, profile_data=document)
            self.same(self.ok("get_user_profile", user_id=self.user), document)
        user = self.world.user()
        for text in self.texts():
            if len(text) > 100_000:
                continue
            goal = self.ok(
                "create_goal",
                user_id=user,
                goal_data={"title": text, "goal_type": text, "note": text},
            )
            found = next(
                one for one in self.ok("get_user_goals", user_id=user) if one["id"] == goal
            )
            self.assertEqual(
                (found["title"], found["goal_type"], found["note"]), (text, text, text)
            )
            insight = self.ok(
                "store_insight", user_id=user, insight_data={"insight_type": text, "note": text}
            )
            found = next(
                one
                for one in self.ok("get_user_insights", user_id=user, insight_type=text, limit=1000)
                if one["id"] == insight
            )
            self.assertEqual((found["insight_type"], found["note"]), (text, text))
            self.assertEqual(
                {
                    one["insight_type"]
                    for one in self.ok("get_user_insights", user_id=user, insight_type=text)
                },
                {text},
            )

    def test_api_keys(self):
        for text in TEXTS:
            user = self.world.user()
            name, short = unique("") + identifier(text, 50), identifier(text)
            key = new_api_key(
                user, id=name, name=short, key_prefix=name, key_hash=short, description=text
            )
            self.ok("create_api_key", api_key=key)
            for found in (
                self.ok("get_user_api_keys", user_id=user)[0],
                self.ok("get_api_key_by_prefix", prefix=name, hash=short),
            ):
                for member in ("id", "name", "key_prefix", "key_hash", "description"):
                    self.assertEqual(found[member], key[member])
            self.ok(
                "record_api_key_usage",
                usage=new_usage(name, tool_name=text, error_message=text, user_agent=text),
            )
            (log,) = self.ok("get_request_logs", api_key_id=name, tool_filter=text)
            self.assertEqual(
                (log["api_key_id"], log["api_key_name"], log["tool_name"], log["error_message"]),
                (name, short, text, text),
            )
            stats = self.ok(
                "get_api_key_usage_stats",
                api_key_id=name,
                start_date="2020-01-01T00:00:00Z",
                end_date="2999-01-01T00:00:00Z",
            )
            self.assertEqual(stats["tool_usage"], {text: 1})
            tools = self.ok(
                "get_top_tools_analysis",
                user_id=user,
                start_time="2020-01-01T00:00:00Z",
                end_time="2999-01-01T00:00:00Z",
            )
            self.assertEqual([tool["tool_name"] for tool in tools], [text])
            self.ok("deactivate_api_key", api_key_id=name, user_id=user)

    def test_big_texts(self):
        user = self.world.user(display_name=BIG)
        self.assertEqual(self.ok("get_user", user_id=user)["display_name"], BIG)
        key = new_api_key(user, description=BIG)
        self.ok("create_api_key", api_key=key)
        self.assertEqual(self.ok("get_user_api_keys", user_id=user)[0]["description"], BIG)
        self.ok("record_api_key_usage", usage=new_usage(key["id"], error_message=BIG))
        self.assertEqual(self.ok("get_request_logs", api_key_id=key["id"])[0]["error_message"], BIG)
        task = self.world.task(self.client, input_data=BIG)
        self.assertEqual(self.ok("get_a2a_task", task_id=task)["input_data"], BIG)

    def test_a2a(self):
        for text in TEXTS:
            name = unique("") + identifier(text, 50)
            client = new_client(
                id=name,
                name=name,
                description=text,
                public_key=text,
                capabilities=[text, text],
                redirect_uris=[text],
            )
            self.assertEqual(self.ok("create_a2a_client", client=client, api_key_id=self.key), name)
            for found in (
                self.ok("get_a2a_client", client_id=name),
                self.ok("get_a2a_client_by_name", name=name),
            ):
                for member in (
                    "id",
                    "name",
                    "description",
                    "public_key",
                    "capabilities",
                    "redirect_uris",
                ):
                    self.assertEqual(found[member], client[member])
            session = self.ok(
                "create_a2a_session",
                client_id=name,
                user_id=None,
                granted_scopes=[text],
                expires_in_hours=1,
            )
            self.assertEqual(
                self.ok("get_a2a_session", session_token=session)["granted_scopes"], [text]
            )
            task = self.ok(
                "create_a2a_task",
                client_id=name,
                session_id=session,
                task_type=text,
                input_data=text,
            )
            self.ok(
                "update_a2a_task_status", task_id=task, status="failed", result=[text], error=text
            )
            found = self.ok("get_a2a_task", task_id=task)
            self.assertEqual(
                (
                    found["client_id"],
                    found["task_type"],
                    found["input_data"],
                    found["result"],
                    found["error"],
                ),
                (name, text, text, [text], text),
            )
            self.ok(
                "record_a2a_usage",
                usage=new_a2a_usage(
                    name,
                    tool_name=text,
                    session_token=session,
                    client_capabilities=[text],
                    protocol_version=text,
                    granted_scopes=[text],
                    error_message=text,
                    user_agent=text,
                ),
            )
            stats = self.ok(
                "get_a2a_usage_stats",
                client_id=name,
                start_date="2020-01-01T00:00:00Z",
                end_date="2999-01-01T00:00:00Z",
            )
            self.assertEqual(
                (stats["tool_usage"], stats["capability_usage"]), ({text: 1}, {text: 1})
            )

    def test_long_keys(self):
        """Every index must hold an identifier of maximum length, and other texts that are looked
        up."""
        for length in (100, 500, IDENTIFIER_MAX_BYTES):
            chance = random.Random(length)
            text = identifier(
                "".join(
                    chance.choices(
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789éΩ走",
                        k=length,
                    )
                )
            )
            email = f"{identifier(text, 13)}@example.com"
            user = self.ok("create_user", user=new_user(email=email))
            self.assertEqual(self.ok("get_user_by_email", email=email)["id"], user)
            self.refused("conflict", "create_user", user=new_user(email=email), field="email")
            self.assertIsNone(self.ok("get_user_by_email", email=email + "x"))
            self.ok("create_user", user=new_user(email=email + "x"))
            key = new_api_key(user, id=text, name=text, key_prefix=text, key_hash=text)
            self.ok("create_api_key", api_key=key)
            self.refused(
                "conflict", "create_api_key", api_key=new_api_key(user, name=text), field="name"
            )
            self.refused(
                "conflict", "create_api_key", api_key=new_api_key(user, id=text), field="id"
            )
            self.assertEqual(self.ok("get_api_key_by_prefix", prefix=text, hash=text)["id"], text)
            self.ok("update_api_key_last_used", api_key_id=text)
            self.ok("record_api_key_usage", usage=new_usage(text, tool_name=text))
            self.assertEqual(len(self.ok("get_request_logs", api_key_id=text, tool_filter=text)), 1)
            self.ok("create_a2a_client", client=new_client(id=text, name=text), api_key_id=text)
            self.refused(
                "conflict",
                "create_a2a_client",
                client=new_client(name=text),
                api_key_id=text,
                field="name",
            )
            self.assertEqual(self.ok("get_a2a_client", client_id=text)["name"], text)
            self.assertEqual(self.ok("get_a2a_client_by_name", name=text)["id"], text)
            session = self.world.session(text)
            self.world.task(text, session)
            self.world.a2a_usage(text, session_token=session, tool_name=text)
            self.assertEqual(self.ok("get_a2a_client_current_usage", client_id=text), 1)
            self.ok("store_insight", user_id=user, insight_data={"type": text})
            self.assertEqual(len(self.ok("get_user_insights", user_id=user, insight_type=text)), 1)

    def test_look_ups_with_awkward_texts_find_nothing(self):
        for text in (identifier(text, 1) for text in TEXTS):
            self.assertIsNone(self.ok("get_user_by_email", email=text))
            self.assertIsNone(self.ok("get_a2a_client", client_id=text + "?"))
            self.assertIsNone(self.ok("get_a2a_session", session_token=text))
            self.assertIsNone(self.ok("get_api_key_by_prefix", prefix=text, hash=text))
            self.assertEqual(self.ok("get_request_logs", api_key_id=text + "?"), [])
            self.refused("not_found", "update_api_key_last_used", api_key_id=text + "?")
            self.refused("not_found", "update_a2a_session_activity", session_token=text)

    def test_maps_are_ordered_by_bytes(self):
        key = self.world.api_key(self.user)
        names = [
            "a",
            "B",
            "b",
            "A",
            "é",
            "e",
            "z",
            "Z",
            "_",
            "10",
            "9",
            "",
            "\u00ff",
            "\uffff",
            "😀",
            "a b",
            "ab",
            "\u0001",
        ]
        for name in names:
            self.world.usage(key, tool_name=name)
        stats = self.ok(
            "get_api_key_usage_stats",
            api_key_id=key,
            start_date="2020-01-01T00:00:00Z",
            end_date="2999-01-01T00:00:00Z",
        )
        self.assertEqual(list(stats["tool_usage"]), sorted(names, key=str.encode))
