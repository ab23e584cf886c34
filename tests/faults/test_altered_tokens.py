"""Stored tokens altered in the database. Would catch: a tag that is not checked, a row's token
opened with another row's nonce, an error message that reveals the cause (an oracle), one bad row
that affects others, a listing that fails because of one token."""
import base64
import sqlite3

from lib.case import DaemonCase
from lib.daemon import SANITIZER
from lib.world import World

STRICT = True

COLUMNS = ("access_token", "refresh_token", "nonce")
ACCESS, REFRESH = "canary-altered-access-token", "canary-altered-refresh"


class Altered(DaemonCase):
    def setUp(self):
        super().setUp()
        self.user, self.other = World(self.c).user(), World(self.c).user()
        for user in (self.user, self.other):
            for which in ("strava", "fitbit"):
                self.ok(
                    f"update_{which}_token",
                    [
                        user,
                        ACCESS + user[:4] + which,
                        REFRESH + which,
                        "2030-01-01T00:00:00Z",
                        "read",
                    ],
                )
        self.texts = set()

    def columns(self, user, which="strava"):
        row = self.sql(
            f"SELECT {', '.join(f'{which}_{column}' for column in COLUMNS)} FROM users WHERE id "
            f"= '{user}'"
        )
        return dict(zip(COLUMNS, row))

    def put(self, which="strava", **columns):
        changes = ", ".join(f"{which}_{column} = '{value}'" for column, value in columns.items())
        self.sql(f"UPDATE users SET {changes} WHERE id = '{self.user}'")

    def sql(self, statement):
        """Returns one row of a query, or executes a statement."""
        if self.daemon.backend == "sqlite":
            if not hasattr(self, "database"):
                self.database = sqlite3.connect(
                    self.daemon.database.path, timeout=10, isolation_level=None
                )
                self.addCleanup(self.database.close)
            return self.database.execute(statement).fetchone()
        out = self.daemon.database.query(statement)
        return out.split("|") if out else None

    def fails(self, words, which="strava"):
        problem = self.refused("decryption_failed", f"get_{which}_token", user_id=self.user)
        self.texts.add((problem.message, problem.code))
        self.assertEqual(len(self.texts), 1, f"{words}: the cause shows: {self.texts}")

    def test_every_bit(self):
        """Flips each bit of ciphertext, tag and nonce in turn."""
        good = self.columns(self.user)
        step = 1 if self.daemon.backend == "sqlite" else 17  # each query starts a psql process
        step = max(step, 17 if SANITIZER else 1)
        flips = 0
        for column in COLUMNS:
            mark = ":" if good[column].startswith(":") else ""
            raw = base64.b64decode(good[column][len(mark) :])
            for bit in range(0, len(raw) * 8, step):
                changed = bytearray(raw)
                changed[bit // 8] ^= 1 << (bit % 8)
                self.put(**{column: mark + base64.b64encode(changed).decode()})
                self.fails(f"{column}, bit {bit}")
                flips += 1
            self.put(**{column: good[column]})
        self.assertGreater(flips * step, 900)
        self.assertEqual(
            self.ok("get_strava_token", user_id=self.user)["access_token"],
            ACCESS + self.user[:4] + "strava",
        )
        self.others_are_fine()

    def others_are_fine(self):
        self.assertEqual(
            self.ok("get_fitbit_token", user_id=self.user)["refresh_token"], REFRESH + "fitbit"
        )
        for which in ("strava", "fitbit"):
            self.assertEqual(
                self.ok(f"get_{which}_token", user_id=self.other)["access_token"],
                ACCESS + self.other[:4] + which,
            )
        self.assertIsNotNone(self.ok("get_user", user_id=self.user)["strava_token"])

    def test_swapped(self):
        """Values of another row, another provider, the other column, an older token."""
        good, foreign, fitbit = (
            self.columns(self.user),
            self.columns(self.other),
            self.columns(self.user, "fitbit"),
        )
        self.ok("update_strava_token", [self.user, ACCESS, REFRESH, "2030-01-01T00:00:00Z", "read"])
        fresh = self.columns(self.user)
        for words, columns in {
            "another row's access token": {**fresh, "access_token": foreign["access_token"]},
            "another row's refresh token": {**fresh, "refresh_token": foreign["refresh_token"]},
            "another row's nonce": {**fresh, "nonce": foreign["nonce"]},
            "the other provider's access token": {**fresh, "access_token": fitbit["access_token"]},
            "an older access token": {**fresh, "access_token": good["access_token"]},
            "access and refresh swapped": {
                **fresh,
                "access_token": fresh["refresh_token"],
                "refresh_token": fresh["access_token"],
            },
            "nonces swapped": {**fresh, "nonce": fresh["nonce"][16:] + fresh["nonce"][:16]},
        }.items():
            self.put(**columns)
            self.fails(words)
        self.put(**fresh)
        self.assertEqual(self.ok("get_strava_token", user_id=self.user)["refresh_token"], REFRESH)
        self.others_are_fine()

    def test_malformed(self):
        good = self.columns(self.user)
        raw = base64.b64decode(good["access_token"][1:])
        for words, columns in {
            "empty": {"access_token": ""},
            "invalid base64": {"access_token": "!!!!"},
            "plain": {"access_token": ACCESS},
            "no mark": {"access_token": good["access_token"][1:]},
            "mark only": {"access_token": ":"},
            "cut": {"access_token": ":" + base64.b64encode(raw[:-1]).decode()},
            "tag only": {"access_token": ":" + base64.b64encode(raw[-16:]).decode()},
            "15 bytes": {"access_token": ":" + base64.b64encode(raw[:15]).decode()},
            "longer": {"access_token": ":" + base64.b64encode(raw + b"x").decode()},
            "no padding": {
                "access_token": good["access_token"][:-4]
                + good["access_token"][-4:].replace("=", "")
                + "A"
            },
            "empty nonce": {"nonce": ""},
            "short nonce": {"nonce": base64.b64encode(b"x" * 12).decode()},
            "long nonce": {"nonce": base64.b64encode(b"x" * 25).decode()},
            "refresh truncated": {"refresh_token": "AAAA"},
            "long": {"access_token": "QUFB" * 50_000},
        }.items():
            self.put(**{**good, **columns})
            self.fails(words)
        self.put(**good)
        self.assertEqual(self.ok("get_strava_token", user_id=self.user)["scope"], "read")
        self.others_are_fine()

    def test_replaced_and_cleared(self):
        """A broken token can be replaced and cleared."""
        self.put(access_token="broken")
        self.fails("broken")
        self.ok("update_strava_token", [self.user, ACCESS, REFRESH, "2030-01-01T00:00:00Z", "read"])
        self.assertEqual(self.ok("get_strava_token", user_id=self.user)["access_token"], ACCESS)
        self.put(nonce="broken")
        self.ok("clear_strava_token", user_id=self.user)
        self.assertIsNone(self.ok("get_strava_token", user_id=self.user))

    def test_missing_column_is_no_token(self):
        """A token exists only when all five columns have values."""
        for column in (*COLUMNS, "expires_at", "scope"):
            self.ok(
                "update_strava_token", [self.user, ACCESS, REFRESH, "2030-01-01T00:00:00Z", "read"]
            )
            self.sql(f"UPDATE users SET strava_{column} = NULL WHERE id = '{self.user}'")
            self.assertIsNone(self.ok("get_strava_token", user_id=self.user), column)
            self.assertIsNone(self.ok("get_user", user_id=self.user)["strava_token"], column)
        self.assertEqual(
            self.ok("get_fitbit_token", user_id=self.user)["refresh_token"], REFRESH + "fitbit"
        )

    def test_pipeline_with_one_bad_row(self):
        self.put(access_token="broken")
        answers = self.c.many(
            [("get_strava_token", {"user_id": user}) for user in (self.other, self.user) * 50]
        )
        for index, answer in enumerate(answers):
            if index % 2 == 0:
                self.assertEqual(answer["result"]["refresh_token"], REFRESH + "strava")
            else:
                self.assertEqual(answer["error"]["data"]["kind"], "decryption_failed")
