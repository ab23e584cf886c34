"""API keys. Would catch: an inactive key found by its prefix, expiry judged by the daemon, a
conflict about the wrong field, `trial` or a u32 that does not fit the column, an owner not looked
at, a wrong order or window."""
import time

from lib.case import DaemonCase
from lib.interface import TIERS
from lib.world import UNKNOWN, World, new_api_key, unique


class Keys(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user()

    def test_all_members_come_back(self):
        for tier in TIERS:
            key = new_api_key(
                self.user,
                tier=tier,
                description='for "Zoë"',
                rate_limit_requests=4294967295,
                rate_limit_window=0,
                is_active=False,
                last_used_at="2025-06-02T10:00:00+02:00",
                expires_at="2031-01-01T00:00:00.5Z",
                created_at="2025-06-01T08:00:00.1234567Z",
                updated_at="2025-06-03T00:00:00Z",
            )
            self.assertIsNone(self.ok("create_api_key", api_key=key))
            found = next(
                one
                for one in self.ok("get_user_api_keys", user_id=self.user)
                if one["id"] == key["id"]
            )
            self.same(
                found,
                {
                    **key,
                    "last_used_at": "2025-06-02T08:00:00.000000Z",
                    "expires_at": "2031-01-01T00:00:00.500000Z",
                    "created_at": "2025-06-01T08:00:00.123456Z",
                    "updated_at": "2025-06-03T00:00:00.000000Z",
                },
            )

    def test_defaults(self):
        key = new_api_key(self.user.upper())
        del key["description"]
        self.ok("create_api_key", api_key=key)
        (found,) = self.ok("get_user_api_keys", user_id=self.user)
        self.assertEqual(
            (found["is_active"], found["last_used_at"], found["expires_at"], found["description"]),
            (True, None, None, None),
        )
        self.assertEqual(found["created_at"], found["updated_at"])
        self.assertEqual(found["user_id"], self.user)
        self.assertEqual(found["created_at"][:4], time.strftime("%Y", time.gmtime()))

    def test_ids_are_any_text(self):
        for identifier in (
            "",
            " ",
            "'; DROP TABLE api_keys; --",
            "ключ 🔑",
            "%",
            UNKNOWN.upper(),
            unique("x") * 100,
        ):
            key = new_api_key(self.user, id=identifier)
            self.ok("create_api_key", api_key=key)
            self.assertEqual(
                self.ok("get_api_key_by_prefix", prefix=key["key_prefix"], hash=key["key_hash"])[
                    "id"
                ],
                identifier,
            )
            self.ok("update_api_key_last_used", api_key_id=identifier)
        self.refused(
            "not_found", "update_api_key_last_used", api_key_id=UNKNOWN.lower()
        )  # a text is not a uuid

    def test_conflicts(self):
        key = new_api_key(self.user)
        self.ok("create_api_key", api_key=key)
        self.refused(
            "conflict", "create_api_key", api_key=new_api_key(self.user, id=key["id"]), field="id"
        )
        self.refused(
            "conflict",
            "create_api_key",
            api_key=new_api_key(self.user, name=key["name"]),
            field="name",
        )
        self.refused("conflict", "create_api_key", api_key=key, field="name")  # both are taken
        self.assertEqual(len(self.ok("get_user_api_keys", user_id=self.user)), 1)
        other = self.world.user()
        self.ok(
            "create_api_key", api_key=new_api_key(other, name=key["name"])
        )  # another user's name
        self.ok("create_api_key", api_key=new_api_key(self.user, name=key["name"].upper()))
        self.ok(
            "create_api_key",
            api_key=new_api_key(other, key_prefix=key["key_prefix"], key_hash=key["key_hash"]),
        )

    def test_by_prefix(self):
        key = new_api_key(self.user, expires_at="2020-01-01T00:00:00Z")
        self.ok("create_api_key", api_key=key)
        prefix, hashed = key["key_prefix"], key["key_hash"]
        self.assertEqual(
            self.ok("get_api_key_by_prefix", prefix=prefix, hash=hashed)["id"], key["id"]
        )  # expiry is the caller's
        self.assertEqual(self.ok("get_api_key_by_prefix", [prefix, hashed])["id"], key["id"])
        for a, b in (
            (prefix, hashed + "x"),
            (prefix, hashed.upper()),
            (prefix[:-1], hashed),
            (prefix.upper(), hashed),
            ("", ""),
            ("%", "%"),
            (hashed, prefix),
            (prefix, prefix),
        ):
            self.assertIsNone(self.ok("get_api_key_by_prefix", prefix=a, hash=b))
        self.ok("deactivate_api_key", api_key_id=key["id"], user_id=self.user)
        self.assertIsNone(self.ok("get_api_key_by_prefix", prefix=prefix, hash=hashed))

    def test_inactive_with_the_same_prefix(self):
        """An inactive key must not hide the active one behind it."""
        for active in (False, True, False):
            self.ok(
                "create_api_key",
                api_key=new_api_key(
                    self.user, key_prefix="pk_same", key_hash="same", is_active=active
                ),
            )
        self.assertTrue(
            self.ok("get_api_key_by_prefix", prefix="pk_same", hash="same")["is_active"]
        )

    def test_newest_first(self):
        times = [
            "2025-06-01T08:00:00Z",
            "2025-06-01T08:00:00.5Z",
            "2025-06-01T09:59:59+02:00",
            "2025-06-01T08:00:00Z",
            "2024-12-31T00:00:00Z",
            "2025-06-01T08:00:00.000001Z",
        ]
        for index, created in enumerate(times):
            self.world.api_key(
                self.user,
                id=f"{self.user} {'cAbBaC'[index]}",
                created_at=created,
                is_active=index % 2 == 0,
            )
        found = self.ok("get_user_api_keys", user_id=self.user)
        self.assertEqual([one["id"][-1] for one in found], ["A", "C", "c", "B", "b", "a"])
        self.assertEqual(sum(one["is_active"] for one in found), 3)

    def test_last_used(self):
        key = self.world.api_key(
            self.user, updated_at="2020-01-01T00:00:00Z", created_at="2020-01-01T00:00:00Z"
        )
        other = self.world.api_key(self.user)
        self.assertIsNone(self.ok("update_api_key_last_used", api_key_id=key))
        found = {one["id"]: one for one in self.ok("get_user_api_keys", user_id=self.user)}
        self.assertEqual(found[key]["last_used_at"][:4], time.strftime("%Y", time.gmtime()))
        self.assertEqual(found[key]["created_at"], "2020-01-01T00:00:00.000000Z")
        self.assertIsNone(found[other]["last_used_at"])
        self.refused("not_found", "update_api_key_last_used", api_key_id="no such key")

    def test_deactivate(self):
        key = self.world.api_key(self.user)
        other = self.world.user()
        self.refused("not_found", "deactivate_api_key", api_key_id=key, user_id=other)
        self.refused("not_found", "deactivate_api_key", api_key_id="no such key", user_id=self.user)
        self.refused("not_found", "deactivate_api_key", api_key_id=key, user_id=UNKNOWN)
        self.assertTrue(self.ok("get_user_api_keys", user_id=self.user)[0]["is_active"])
        active = self.ok("get_system_stats")["api_key_count"]
        self.assertIsNone(self.ok("deactivate_api_key", api_key_id=key, user_id=self.user.upper()))
        self.assertFalse(self.ok("get_user_api_keys", user_id=self.user)[0]["is_active"])
        self.assertEqual(self.ok("get_system_stats")["api_key_count"], active - 1)
        self.assertIsNone(
            self.ok("deactivate_api_key", api_key_id=key, user_id=self.user)
        )  # the row is there

    def test_unknown_user(self):
        self.assertEqual(self.ok("get_user_api_keys", user_id=UNKNOWN), [])
        self.refused("not_found", "create_api_key", api_key=new_api_key(UNKNOWN))

    def test_bad_members(self):
        for member, bad in (
            ("tier", "gold"),
            ("tier", "Trial"),
            ("tier", ""),
            ("rate_limit_requests", -1),
            ("rate_limit_window", 2**32),
            ("rate_limit_requests", 1.0),
            ("name", 5),
            ("is_active", 1),
            ("user_id", "x"),
            ("expires_at", "soon"),
        ):
            self.refused(
                "invalid_params",
                "create_api_key",
                api_key=new_api_key(self.user, **{member: bad}),
                path=f"api_key.{member}",
            )


class Expired(DaemonCase):
    """A database of its own: these methods look at all keys."""

    def test_expired_and_cleanup(self):
        world = World(self.c)
        user, other = world.user(), world.user()
        late = world.api_key(user, expires_at="2025-05-02T10:00:00+02:00")
        early = world.api_key(other, expires_at="2025-05-02T07:59:59.999999Z")
        tie_b, tie_a = (
            world.api_key(user, id=name, expires_at="2024-01-01T00:00:00Z")
            for name in ("tie b", "tie a")
        )
        world.api_key(user, expires_at="2020-01-01T00:00:00Z", is_active=False)
        world.api_key(user)
        world.api_key(user, expires_at="2999-01-01T00:00:00Z")
        soon = world.api_key(
            user, expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
        )
        found = [one["id"] for one in self.ok("get_expired_api_keys")]
        self.assertEqual(set(found[:2]), {tie_a, tie_b})
        self.assertEqual(found[2:], [early, late, soon])
        self.assertEqual(self.ok("cleanup_expired_api_keys"), 5)
        self.assertEqual(self.ok("get_expired_api_keys"), [])
        self.assertEqual(self.ok("cleanup_expired_api_keys"), 0)
        self.assertEqual(
            sum(one["is_active"] for one in self.ok("get_user_api_keys", user_id=user)), 2
        )
        self.assertEqual(self.ok("get_system_stats"), {"user_count": 2, "api_key_count": 2})
