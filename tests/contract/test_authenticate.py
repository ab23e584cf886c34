"""authenticate_api_key. Would catch: an expired or inactive key that is accepted, a use that is
never recorded or recorded at each call, a change of another key, a count that includes other
months, a later read on the connection that misses its change."""
import datetime

from lib.case import DaemonCase
from lib.world import World, new_api_key


def ago(**time):
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**time)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Authenticate(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user(last_active="2020-01-01T00:00:00Z")

    def key(self, **members):
        key = new_api_key(self.user, **members)
        self.ok("create_api_key", api_key=key)
        return key

    def authenticate(self, key):
        return self.ok("authenticate_api_key", prefix=key["key_prefix"], hash=key["key_hash"])

    def stored(self, key):
        (found,) = (
            one
            for one in self.ok("get_user_api_keys", user_id=key["user_id"])
            if one["id"] == key["id"]
        )
        return found

    def last_active(self):
        return self.ok("get_user", user_id=self.user)["last_active"]

    def test_a_key_and_its_usage(self):
        key, other = self.key(), self.key()
        for month in ("2024-02-01T00:00:00Z", ago(), ago(), ago(days=-40)):
            self.world.usage(key["id"], timestamp=month)
        self.world.usage(other["id"])
        found = self.authenticate(key)
        self.same(found["api_key"], self.stored(key))
        self.assertEqual(
            found["current_usage"], self.ok("get_api_key_current_usage", api_key_id=key["id"])
        )
        self.assertEqual(found["current_usage"], 3)
        self.assertEqual(
            self.ok("authenticate_api_key", [key["key_prefix"], key["key_hash"]]), found
        )

    def test_unknown_inactive_and_expired(self):
        key = self.key()
        for prefix, hashed in (
            (key["key_prefix"], "x"),
            ("x", key["key_hash"]),
            (key["key_hash"], key["key_prefix"]),
            ("", ""),
        ):
            self.assertIsNone(self.ok("authenticate_api_key", prefix=prefix, hash=hashed))
        expired = self.key(expires_at=ago(seconds=1))
        inactive = self.key(is_active=False)
        for one in (expired, inactive):
            self.assertIsNone(self.authenticate(one))
            self.assertIsNone(self.stored(one)["last_used_at"])
        self.assertEqual(self.last_active(), "2020-01-01T00:00:00.000000Z")
        self.assertIsNotNone(self.authenticate(self.key(expires_at=ago(days=-1))))

    def test_unusable_key_with_the_same_hash(self):
        both = {"key_prefix": "pk_hidden", "key_hash": "hidden"}
        usable = self.key(**both, created_at="2024-01-01T00:00:00Z")
        self.key(**both, is_active=False)
        self.key(**both, expires_at="2024-01-01T00:00:00Z")
        self.assertEqual(self.authenticate(usable)["api_key"]["id"], usable["id"])

    def test_use_is_recorded(self):
        key, other = self.key(), self.key()
        found = self.authenticate(key)["api_key"]
        self.assertGreater(found["last_used_at"], ago(minutes=1))
        self.assertEqual(found["updated_at"], found["last_used_at"])
        self.assertEqual(self.last_active(), found["last_used_at"])
        self.assertIsNone(self.stored(other)["last_used_at"])

    def test_at_most_once_a_minute(self):
        recent, old = ago(seconds=30), ago(seconds=61)
        kept = self.key(last_used_at=recent)
        self.assertEqual(self.authenticate(kept)["api_key"]["last_used_at"], recent)
        active = self.last_active()  # recorded, unlike the key's use
        self.assertGreater(active, ago(minutes=1))
        due = self.key(last_used_at=old)
        first = self.authenticate(due)["api_key"]
        self.assertGreater(first["last_used_at"], old)
        self.assertEqual(self.last_active(), active)
        for _ in range(3):
            self.assertEqual(self.authenticate(due)["api_key"], first)
        self.same(self.stored(due), first)
        self.assertEqual(self.stored(kept)["last_used_at"], recent)

    def test_future_time_is_corrected(self):
        key = self.key(last_used_at="2999-01-01T00:00:00Z")
        self.assertLess(self.authenticate(key)["api_key"]["last_used_at"], "2999")

    def test_order_on_one_connection(self):
        """It sees the calls before it in the pipeline, and those behind it see its changes."""
        for _ in range(20):
            key = self.key()
            user = {"user_id": self.user}
            login = {"prefix": key["key_prefix"], "hash": key["key_hash"]}
            usage = {"api_key_id": key["id"], "tool_name": "t", "status_code": 200}
            answers = self.results(
                self.c.many(
                    [
                        ("record_api_key_usage", {"usage": usage}),
                        ("authenticate_api_key", login),
                        ("get_user_api_keys", user),
                        ("get_user", user),
                        ("deactivate_api_key", {"api_key_id": key["id"], **user}),
                        ("authenticate_api_key", login),
                    ]
                )
            )
            self.assertEqual(answers[1]["current_usage"], 1)
            listed = next(one for one in answers[2] if one["id"] == key["id"])
            self.same(listed, answers[1]["api_key"])
            self.assertIsNotNone(listed["last_used_at"])
            self.assertIsNone(answers[5])

    def test_many_at_once(self):
        """All find the key unused. One use is recorded, and no call waits for a lock."""
        keys = [self.key() for _ in range(4)]
        connections = [self.daemon.connect() for _ in range(8)]
        for connection in connections:
            self.addCleanup(connection.close)
        calls = [
            (
                connection,
                connection.request(
                    "authenticate_api_key", prefix=key["key_prefix"], hash=key["key_hash"]
                ),
                key,
            )
            for _ in range(5)
            for connection in connections
            for key in keys
        ]
        for connection, call, key in calls:
            self.assertEqual(connection.answer(call)["result"]["api_key"]["id"], key["id"])
        for key in keys:
            used = self.stored(key)["last_used_at"]
            self.assertIsNotNone(used)
            self.assertEqual(self.authenticate(key)["api_key"]["last_used_at"], used)
