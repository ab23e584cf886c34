"""Versions of tokens and leases of their refresh. Would catch: a write that replaces a token which
its caller does not know; a conflict that changes something; two callers with a lease at once; a
lease that outlives a write of its token, also one by the old server; a version that a change of the
key spoils."""
import calendar
import sqlite3
import time

from lib.case import DaemonCase
from lib.world import UNKNOWN, World

PROVIDERS = ("strava", "fitbit")
LEASE = ("granted", "lease", "expires_at", "token")


class TokenCase(DaemonCase):
    def setUp(self):
        super().setUp()
        self.user = World(self.c).user()

    def update(self, which, access="access", **more):
        return self.ok(f"update_{which}_token", **self.params(access), **more)

    def params(self, access="access"):
        return {
            "user_id": self.user,
            "access_token": access,
            "refresh_token": f"refresh of {access}",
            "expires_at": "2030-01-01T00:00:00Z",
            "scope": "read",
        }

    def get(self, which):
        return self.ok(f"get_{which}_token", user_id=self.user)

    def version(self, which):
        return self.get(which)["version"]

    def lease(self, which, **more):
        return self.ok("lease_token_refresh", user_id=self.user, provider=which, **more)

    def sql(self, statement):
        """A statement beside the daemon; the texts of its first row."""
        if self.daemon.backend == "sqlite":
            database = sqlite3.connect(self.daemon.database.path, timeout=10)
            with database:
                row = database.execute(statement).fetchone()
            database.close()
            return row
        return self.daemon.database.query(statement).strip().split("|")

    def columns(self, which):
        """The token's five columns, which are all that the old server knows of."""
        names = [
            f"{which}_{name}"
            for name in ("access_token", "refresh_token", "expires_at", "scope", "nonce")
        ]
        row = self.sql(f"SELECT {', '.join(names)} FROM users WHERE id = '{self.user}'")
        return dict(zip(names, row))

    def write_as_the_old_server(self, columns):
        """Replaces the token, as a server does that knows nothing of versions."""
        self.sql(
            "UPDATE users SET "
            + ", ".join(f"{name} = '{value}'" for name, value in columns.items())
            + f" WHERE id = '{self.user}'"
        )


class Versions(TokenCase):
    def test_each_write_has_a_version_of_its_own(self):
        seen = set()
        for which in PROVIDERS:
            for _ in range(5):
                self.update(which)
                version = self.version(which)
                self.assertEqual(self.version(which), version)
                self.assertNotIn(version, seen)
                seen.add(version)

    def test_a_write_with_the_stored_version(self):
        for which in PROVIDERS:
            self.update(which, "first")
            self.assertIsNone(self.update(which, "second", if_version=self.version(which)))
            self.assertEqual(self.get(which)["access_token"], "second")
            self.assertIsNone(
                self.ok(f"clear_{which}_token", user_id=self.user, if_version=self.version(which))
            )
            self.assertIsNone(self.get(which))

    def test_a_write_with_another_version_changes_nothing(self):
        for which in PROVIDERS:
            self.update(which, "first")
            old = self.version(which)
            self.update(which, "second")
            before = self.get(which)
            for version in (old, "", "x", "ü" * 500, self.version(which) + " "):
                problem = self.refused(
                    "conflict",
                    f"update_{which}_token",
                    **self.params("third"),
                    if_version=version,
                    field="version",
                )
                self.assertNotIn("third", str(problem))
                self.refused(
                    "conflict",
                    f"clear_{which}_token",
                    user_id=self.user,
                    if_version=version,
                    field="version",
                )
                self.same(self.get(which), before)

    def test_a_version_of_the_other_provider(self):
        self.update("strava")
        self.update("fitbit")
        self.refused(
            "conflict",
            "update_fitbit_token",
            **self.params(),
            if_version=self.version("strava"),
            field="version",
        )

    def test_without_a_token_no_version_fits(self):
        for which in PROVIDERS:
            for method, params in (
                (f"update_{which}_token", self.params()),
                (f"clear_{which}_token", {"user_id": self.user}),
            ):
                self.refused("conflict", method, **params, if_version="x", field="version")
            self.update(which)
            version = self.version(which)
            self.ok(f"clear_{which}_token", user_id=self.user)
            self.refused(
                "conflict",
                f"update_{which}_token",
                **self.params(),
                if_version=version,
                field="version",
            )
            self.assertIsNone(self.get(which))

    def test_null_is_no_condition(self):
        self.update("strava", "first", if_version=None)
        self.update("strava", "second", if_version=None)
        self.assertEqual(self.get("strava")["access_token"], "second")
        self.ok("clear_strava_token", user_id=self.user, if_version=None)

    def test_an_unknown_user(self):
        params = {**self.params(), "user_id": UNKNOWN}
        self.refused("not_found", "update_strava_token", **params, if_version="x")
        self.refused("not_found", "clear_strava_token", user_id=UNKNOWN, if_version="x")

    def test_what_is_no_version(self):
        for value in (1, True, [], {}, "x" * 1025):
            self.refused(
                "invalid_params",
                "update_strava_token",
                **self.params(),
                if_version=value,
                path="if_version",
            )

    def test_of_many_writes_with_one_version_one_succeeds(self):
        self.update("strava", "begin")
        version = self.version("strava")
        calls = [
            ("update_strava_token", {**self.params(f"n{i}"), "if_version": version})
            for i in range(50)
        ]
        answers = self.c.many(calls)
        won = [i for i, answer in enumerate(answers) if "result" in answer]
        self.assertEqual(len(won), 1)
        self.assertEqual(self.get("strava")["access_token"], f"n{won[0]}")
        kinds = {a["error"]["data"]["kind"] for a in answers if "error" in a}
        self.assertEqual(kinds, {"conflict"})

    def test_a_conflict_does_not_disturb_its_neighbours(self):
        """Calls of other users in the same batch of writes."""
        others = [World(self.c).user() for _ in range(10)]
        calls = []
        for other in others:
            calls.append(("update_strava_token", {**self.params(other), "user_id": other}))
            calls.append(("update_strava_token", {**self.params(), "if_version": "x"}))
        answers = self.c.many(calls)
        self.assertEqual([("result" in one) for one in answers], [True, False] * 10)
        for other in others:
            token = self.ok("get_strava_token", user_id=other)
            self.assertEqual(token["access_token"], other)

    def test_what_the_old_server_writes_has_another_version(self):
        self.update("strava", "the old server's")
        columns = self.columns("strava")
        self.update("strava", "ours")
        version = self.version("strava")
        self.write_as_the_old_server(columns)
        self.assertEqual(self.get("strava")["access_token"], "the old server's")
        self.assertNotEqual(self.version("strava"), version)
        self.refused(
            "conflict",
            "update_strava_token",
            **self.params(),
            if_version=version,
            field="version",
        )


class Leases(TokenCase):
    def test_one_at_a_time(self):
        for which in PROVIDERS:
            self.update(which, "stored")
            before = time.time()
            first = self.lease(which)
            self.assertEqual(tuple(first), LEASE)
            self.assertIs(first["granted"], True)
            self.assertRegex(first["lease"], r"\A[A-Za-z0-9_-]{43}\Z")
            self.same(first["token"], self.get(which), ordered=True)
            self.assertAlmostEqual(self.seconds(first, before), 30, delta=10)
            for _ in range(3):
                self.same(
                    self.lease(which, seconds=300), {**first, "granted": False, "lease": None}
                )

    @staticmethod
    def seconds(lease, since):
        """How long the lease is."""
        stamp = time.strptime(lease["expires_at"][:19], "%Y-%m-%dT%H:%M:%S")
        return calendar.timegm(stamp) - since

    def test_a_write_ends_it(self):
        for which in PROVIDERS:
            for write in (
                lambda which: self.update(which, "new"),
                lambda which: self.update(which, "new", if_version=self.version(which)),
                lambda which: self.ok(f"clear_{which}_token", user_id=self.user),
                lambda which: self.ok(f"clear_{which}_token", user_id=self.user),
            ):
                first = self.lease(which, seconds=300)
                self.assertTrue(first["granted"])
                write(which)
                second = self.lease(which, seconds=300)
                self.assertTrue(second["granted"])
                self.assertNotEqual(first["lease"], second["lease"])
                write(which)

    def test_a_refused_write_does_not_end_it(self):
        self.update("strava")
        self.assertTrue(self.lease("strava")["granted"])
        self.refused("conflict", "update_strava_token", **self.params(), if_version="x")
        self.refused("conflict", "clear_strava_token", user_id=self.user, if_version="x")
        self.assertFalse(self.lease("strava")["granted"])

    def test_a_write_by_the_old_server_ends_it(self):
        self.update("strava", "the old server's")
        columns = self.columns("strava")
        self.update("strava", "ours")
        self.assertTrue(self.lease("strava", seconds=300)["granted"])
        self.write_as_the_old_server(columns)
        lease = self.lease("strava", seconds=300)
        self.assertTrue(lease["granted"])
        self.assertEqual(lease["token"]["access_token"], "the old server's")

    def test_its_time_ends_it(self):
        self.update("strava")
        first = self.lease("strava", seconds=1)
        second = self.within(30, lambda: self.granted("strava"))
        self.assertGreaterEqual(second["expires_at"], first["expires_at"])
        self.assertNotEqual(second["lease"], first["lease"])

    def granted(self, which):
        lease = self.lease(which, seconds=300)
        return lease if lease["granted"] else None

    def test_without_a_token(self):
        lease = self.lease("fitbit")
        self.assertTrue(lease["granted"])
        self.assertIsNone(lease["token"])
        self.assertFalse(self.lease("fitbit")["granted"])
        self.update("fitbit")
        self.assertTrue(self.lease("fitbit")["granted"])

    def test_a_token_without_all_its_columns_is_none(self):
        for column in ("access_token", "refresh_token", "expires_at", "scope", "nonce"):
            self.update("strava")
            self.sql(f"UPDATE users SET strava_{column} = NULL WHERE id = '{self.user}'")
            self.assertIsNone(self.lease("strava")["token"])

    def test_providers_and_users_are_apart(self):
        self.update("strava")
        self.update("fitbit", "other")
        self.assertTrue(self.lease("strava")["granted"])
        lease = self.lease("fitbit")
        self.assertTrue(lease["granted"])
        self.assertEqual(lease["token"]["access_token"], "other")
        self.update("fitbit")
        self.assertFalse(self.lease("strava")["granted"])
        self.user = World(self.c).user()
        self.assertTrue(self.lease("strava")["granted"])

    def test_of_many_at_once_one_is_granted(self):
        self.update("strava")
        calls = [("lease_token_refresh", {"user_id": self.user, "provider": "strava"})] * 50
        granted = [answer["result"]["granted"] for answer in self.c.many(calls)]
        self.assertEqual(sorted(granted), [False] * 49 + [True])

    def test_bad_parameters(self):
        for seconds in (0, 301, -1, 1.5, "30"):
            self.refused(
                "invalid_params",
                "lease_token_refresh",
                user_id=self.user,
                provider="strava",
                seconds=seconds,
                path="seconds",
            )
        for provider in ("garmin", "Strava", "", 1):
            self.refused(
                "invalid_params",
                "lease_token_refresh",
                user_id=self.user,
                provider=provider,
                path="provider",
            )
        self.refused("not_found", "lease_token_refresh", user_id=UNKNOWN, provider="strava")
