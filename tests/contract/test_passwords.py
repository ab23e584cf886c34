"""Passwords against hashes of every origin. Would catch: work (and so time) that tells who exists
or how his hash was made, a hash that makes every check take minutes, another answer than null for a
hash that cannot be checked, a user of the old server who is locked out since his password is longer
than bcrypt takes.

No clock: the daemon counts its rounds of bcrypt."""
import random
import re
import time
import warnings

from lib.case import DaemonCase
from lib.world import new_user, unique

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
COST, LIMIT = 5, 9


def bcrypt(password, cost, prefix="2b"):
    salt = "".join(random.choice(ALPHABET) for _ in range(21)) + random.choice(".Oeu")
    made = crypt.crypt(password, f"${prefix}${cost:02}${salt}")
    assert made is not None and len(made) == 60, made
    return made


class Passwords(DaemonCase):
    options = ("--bcrypt-cost", str(COST), "--bcrypt-cost-limit", str(LIMIT))

    def user(self, stored, **members):
        email = f"{unique('pw')}@example.com"
        self.ok("create_user", user=new_user(email=email, password_hash=stored, **members))
        return email

    def rounds(self):
        return self.ok("daemon.stats")["counters"]["bcrypt_rounds"]

    def work(self, email, password, right=False):
        """The rounds of one check."""
        before = self.rounds()
        found = self.ok("verify_user_password", email=email, password=password)
        self.assertEqual(found is not None, right, (email, password[:80]))
        return self.rounds() - before


class Work(Passwords):
    def test_costs_the_same_for_every_cause(self):
        """In the order in which the costs rise, and then all again: a cost that is stored raises
        the work of all."""
        highest = COST
        for cost in (4, 5, 6, 8, LIMIT, LIMIT + 1, 13, 21, 31):
            stored = (
                bcrypt("right", cost) if cost <= 10 else f"$2b${cost:02}$" + bcrypt("right", 4)[7:]
            )
            highest = max(highest, cost if cost <= LIMIT else 0)
            email = self.user(stored)
            with self.subTest(cost=cost):
                self.assertEqual(self.work(email, "wrong"), 1 << highest)
                self.assertEqual(self.work(email, "right", right=cost <= LIMIT), 1 << highest)
                self.assertEqual(self.work("nobody@example.com", "right"), 1 << highest)
        good = bcrypt("right", 4)
        causes = {
            "unknown": "nobody@example.com",
            "inactive": self.user(good, is_active=False),
            "cheap": self.user(good),
            "costly": self.user(bcrypt("right", LIMIT)),
            "malformed": self.user("$2b$12$" + "!" * 53),
            "none": self.user(""),
            "plain": self.user("wrong"),
            "short": self.user(good[:-1]),
            "long": self.user(good + "."),
            "2x": self.user("$2x" + good[3:]),
            "cost 3": self.user("$2b$03" + good[6:]),
            "cost 00": self.user("$2b$00" + good[6:]),
            "cost 99": self.user("$2b$99" + good[6:]),
            "md5": self.user("$1$abcdefgh$" + "x" * 22),
            "letters": self.user(good[:40] + "é" * 10),
        }
        for name, email in causes.items():
            with self.subTest(name):
                self.assertEqual(self.work(email, "wrong"), 1 << LIMIT)
                self.assertEqual(self.work(email, "x" * 1000), 1 << LIMIT)


class Costs(Passwords):
    def test_new_hashes_keep_their_own_cost(self):
        made = self.ok(
            "create_user", user={"email": f"{unique('pw')}@example.com", "password": "right"}
        )
        self.assertTrue(
            self.ok("get_user", user_id=made)["password_hash"].startswith(f"$2b${COST:02}$")
        )

    def test_costs_are_counted(self):
        before = {row["cost"]: row["users"] for row in self.ok("get_password_costs")}
        for cost in (4, 7, 7, 14, 31):
            self.user(f"$2a${cost:02}$" + bcrypt("right", 4)[7:], is_active=cost != 7)
        self.user("none")
        after = self.ok("get_password_costs")
        self.assertEqual(
            {
                row["cost"]: row["users"] - before.get(row["cost"], 0)
                for row in after
                if row["users"] != before.get(row["cost"])
            },
            {4: 1, 7: 2, 14: 1, 31: 1},
        )
        self.assertEqual([row["cost"] for row in after], sorted(row["cost"] for row in after))
        for above in (3, 7, 13, 31, 99, 4294967295):
            self.assertEqual(
                self.ok("get_password_costs", above=above),
                [row for row in after if row["cost"] > above],
            )


class Beyond(Passwords):
    """Users whose hash costs more than the limit cannot log in: the log and the doctor say how many
    they are."""

    def finding(self):
        return next(
            one for one in self.ok("daemon.diagnose")["findings"] if one["name"] == "password_costs"
        )

    def test_they_are_counted(self):
        self.within(10, lambda: self.finding()["status"] == "ok")
        self.assertNotIn("cannot log in", self.daemon.log())
        good = bcrypt("right", 4)
        for cost in (LIMIT, LIMIT + 1, 16, 31):
            self.user(f"$2b${cost:02}$" + good[7:])
        self.daemon.terminate()
        self.daemon.start()
        self.c = self.daemon.connect()
        self.logged(
            self.daemon, re.compile(r"cannot log in.* users=3 bcrypt_cost_limit=%d" % LIMIT)
        )
        self.within(10, lambda: self.finding()["status"] == "warn")
        self.assertIn("3 users cannot log in", self.finding()["detail"])


class Elsewhere(Passwords):
    """Hashes that the daemon has not seen: those stored before its start, and those that another
    program stores."""

    def test_hashes_stored_before_the_start(self):
        self.user(bcrypt("right", 8))
        self.daemon.terminate()
        self.daemon.start()
        self.c = self.daemon.connect()
        self.assertEqual(self.work("nobody@example.com", "right"), 1 << 8)

    def test_hashes_that_another_program_stores(self):
        email = self.user(bcrypt("right", 6))
        self.assertGreaterEqual(self.work("nobody@example.com", "right"), 1 << 6)
        self.daemon.database.query(
            "UPDATE users SET password_hash = '%s' WHERE email = '%s'"
            % (bcrypt("right", LIMIT), email)
        )
        self.within(20, lambda: self.work("nobody@example.com", "right") == 1 << LIMIT)
        self.assertEqual(self.work(email, "right", right=True), 1 << LIMIT)


class Long(Passwords):
    def test_bytes_behind_the_72nd_do_not_count_when_checking(self):
        for prefix in ("2a", "2b", "2y"):
            for password in ("p" * 72, "é" * 36, "€" * 24, "p" + "é" * 35 + "p", "p" * 70 + "é"):
                email = self.user(bcrypt(password, 4, prefix))
                for longer in ("", "x", "é", "x" * 430, "x" * 440, "y" * 5000):
                    self.work(email, password + longer, right=True)
                self.work(email, password[:-1], right=False)
                self.work(email, "x" + password[1:] + "x", right=False)

    def test_a_character_that_the_72nd_byte_ends_within(self):
        """The old server cut bytes, not characters."""
        email = self.user(bcrypt("p" * 71 + "é", 4))
        self.work(email, "p" * 71 + "é", right=True)
        self.work(email, "p" * 71 + "ê and more", right=True)  # the same first byte
        self.work(email, "p" * 71 + "x", right=False)

    def test_no_hash_is_made_of_more(self):
        for password in ("p" * 73, "é" * 36 + "p", "p" * 71 + "é", "€" * 25):
            self.refused(
                "invalid_params",
                "create_user",
                user={"email": f"{unique('pw')}@example.com", "password": password},
                path="user.password",
            )
        for password in ("p" * 72, "é" * 36, "€" * 24):
            email = f"{unique('pw')}@example.com"
            self.ok("create_user", user={"email": email, "password": password})
            self.work(email, password, right=True)
