"""OAuth tokens. Would catch: Strava and Fitbit columns mixed up, plain text in the database, a
nonce used twice, a token that survives its clearing, a write on an unknown user that says yes."""
import base64
import sqlite3

from lib import model
from lib.case import DaemonCase
from lib.world import UNKNOWN, World, unique

AWKWARD = [
    "",
    "a",
    "x" * 5000,
    "with space\tand\nnewline",
    '"quoted" \\ back',
    "⭐🔐 ünïcode",
    "' OR 1=1; --",
    "%_%",
    "\x01\x1f\x7f",
]


class Tokens(DaemonCase):
    def setUp(self):
        super().setUp()
        self.user = World(self.c).user()

    def update(
        self, which, access, refresh="refresh", expires="2025-07-01T08:00:00.7457389Z", scope="read"
    ):
        return self.ok(
            f"update_{which}_token",
            user_id=self.user,
            access_token=access,
            refresh_token=refresh,
            expires_at=expires,
            scope=scope,
        )

    def test_round_trip(self):
        for which in ("strava", "fitbit"):
            for text in AWKWARD:
                self.assertIsNone(self.update(which, text, refresh=text[::-1], scope=text))
                token = self.ok(f"get_{which}_token", user_id=self.user.upper())
                self.same(
                    token,
                    {
                        "access_token": text,
                        "refresh_token": text[::-1],
                        "expires_at": "2025-07-01T08:00:00.745738Z",
                        "scope": text,
                        "version": token["version"],
                    },
                    ordered=True,
                )

    def test_a_large_token(self):
        text = unique("big") + "é" * 200_000
        self.update("strava", text)
        self.assertEqual(self.ok("get_strava_token", user_id=self.user)["access_token"], text)

    def test_strava_and_fitbit_are_apart(self):
        self.update("strava", "s-access", "s-refresh", "2025-01-01T00:00:00Z", "s-scope")
        self.assertIsNone(self.ok("get_fitbit_token", user_id=self.user))
        self.update("fitbit", "f-access", "f-refresh", "2026-01-01T00:00:00Z", "f-scope")
        user = self.ok("get_user", user_id=self.user)
        self.same(
            user["strava_token"],
            {"expires_at": "2025-01-01T00:00:00.000000Z", "scope": "s-scope"},
            ordered=True,
        )
        self.same(
            user["fitbit_token"],
            {"expires_at": "2026-01-01T00:00:00.000000Z", "scope": "f-scope"},
            ordered=True,
        )
        self.assertIsNone(self.ok("clear_strava_token", user_id=self.user))
        self.assertIsNone(self.ok("get_strava_token", user_id=self.user))
        self.assertEqual(self.ok("get_fitbit_token", user_id=self.user)["access_token"], "f-access")
        user = self.ok("get_user_by_email", email=user["email"])
        self.assertIsNone(user["strava_token"])
        self.assertIsNotNone(user["fitbit_token"])

    def test_replaces(self):
        self.update("strava", "first", "first-r")
        self.update("strava", "second", "second-r", "2027-01-01T00:00:00Z", "all")
        token = self.ok("get_strava_token", user_id=self.user)
        self.same(
            token,
            {
                "access_token": "second",
                "refresh_token": "second-r",
                "expires_at": "2027-01-01T00:00:00.000000Z",
                "scope": "all",
                "version": token["version"],
            },
        )

    def test_clear_twice(self):
        self.update("fitbit", "x")
        self.ok("clear_fitbit_token", user_id=self.user)
        self.assertIsNone(self.ok("clear_fitbit_token", user_id=self.user))
        self.assertIsNone(self.ok("get_fitbit_token", user_id=self.user))

    def test_unknown_user(self):
        for which in ("strava", "fitbit"):
            self.assertIsNone(self.ok(f"get_{which}_token", user_id=UNKNOWN))
            self.refused("not_found", f"clear_{which}_token", user_id=UNKNOWN)
            self.refused(
                "not_found",
                f"update_{which}_token",
                user_id=UNKNOWN,
                access_token="a",
                refresh_token="b",
                expires_at="2025-01-01T00:00:00Z",
                scope="",
            )

    def test_never_plain_in_the_database(self):
        """What is stored is the mark of a bound token and base64 of ciphertext and tag, with a
        fresh nonce of 24 bytes each time."""
        model.secrets.update(("canary-plain-access", "canary-plain-refresh"))
        nonces = set()
        for _ in range(20):
            self.update("strava", "canary-plain-access", "canary-plain-refresh")
            *texts, nonce = self.stored()
            for text, plain in zip(texts, ("canary-plain-access", "canary-plain-refresh")):
                self.assertEqual(text[0], ":")
                self.assertEqual(len(base64.b64decode(text[1:], validate=True)), len(plain) + 16)
            raw = base64.b64decode(nonce, validate=True)
            self.assertEqual(len(raw), 24)
            nonces |= {raw[:12], raw[12:]}
        self.assertEqual(len(nonces), 40)
        if self.daemon.backend == "sqlite":
            for suffix in ("", "-wal"):
                with open(self.daemon.database.path + suffix, "rb") as file:
                    self.assertNotIn(b"canary-plain", file.read())

    def stored(self):
        columns = "strava_access_token, strava_refresh_token, strava_nonce"
        if self.daemon.backend == "sqlite":
            database = sqlite3.connect(self.daemon.database.path)
            row = database.execute(
                f"SELECT {columns} FROM users WHERE id = ?", (self.user,)
            ).fetchone()
            database.close()
            return row
        return self.daemon.database.query(
            f"SELECT {columns} FROM users WHERE id = '{self.user}'"
        ).split("|")
