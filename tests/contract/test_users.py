"""Users and passwords. Would catch: ids that are not canonical, a missing default, times rounded
instead of truncated, e-mail matched case-insensitively, a conflict about the wrong field, a write
to an unknown user that succeeds, password truncation."""
import datetime
import time

from lib import world
from lib.case import DaemonCase
from lib.daemon import SLOW
from lib.world import UNKNOWN, new_user, unique, uuid4


class Create(DaemonCase):
    def test_all_members_come_back(self):
        user = new_user(
            id=uuid4(),
            display_name='Zoë "Å" 🏃',
            created_at="2025-06-19T15:44:49.123456789+02:00",
            last_active="2025-01-01T00:00:00Z",
            is_active=False,
        )
        self.assertEqual(self.ok("create_user", user=user), user["id"])
        self.same(
            self.ok("get_user", user_id=user["id"]),
            {
                "id": user["id"],
                "email": user["email"],
                "display_name": 'Zoë "Å" 🏃',
                "password_hash": user["password_hash"],
                "strava_token": None,
                "fitbit_token": None,
                "created_at": "2025-06-19T13:44:49.123456Z",
                "last_active": "2025-01-01T00:00:00.000000Z",
                "is_active": False,
            },
            ordered=True,
        )

    def test_defaults(self):
        before = time.time()
        user = self.ok("get_user", user_id=self.ok("create_user", user=new_user()))
        self.assertTrue(user["is_active"])
        self.assertIsNone(user["display_name"])
        for member in ("created_at", "last_active"):
            self.assertLess(abs(seconds(user[member]) - before), 60 * SLOW)
        self.assertEqual(user["created_at"], user["last_active"])  # both are the time of the call

    def test_null_is_missing(self):
        user = new_user(
            id=None,
            display_name=None,
            created_at=None,
            last_active=None,
            is_active=None,
            strava_token=None,
            fitbit_token=None,
            password=None,
        )
        self.assertTrue(self.ok("get_user", user_id=self.ok("create_user", user=user))["is_active"])

    def test_id_in_any_spelling(self):
        identifier = uuid4()
        self.assertEqual(self.ok("create_user", user=new_user(id=identifier.upper())), identifier)
        for spelling in (identifier, identifier.upper(), identifier[:18].upper() + identifier[18:]):
            self.assertEqual(self.ok("get_user", user_id=spelling)["id"], identifier)

    def test_new_ids_are_random_version_4(self):
        made = [self.ok("create_user", user=new_user()) for _ in range(20)]
        self.assertEqual(len(set(made)), 20)
        for one in made:
            self.assertEqual(one[14], "4")
            self.assertIn(one[19], "89ab")

    def test_conflicts(self):
        user = new_user(id=uuid4())
        self.ok("create_user", user=user)
        self.refused("conflict", "create_user", user={**user, "id": uuid4()}, field="email")
        self.refused("conflict", "create_user", user=new_user(id=user["id"].upper()), field="id")
        self.refused("conflict", "create_user", user=user, field="email")  # both are taken
        count = self.ok("get_user_count")
        self.refused(
            "conflict", "create_user", user={**new_user(), "email": user["email"]}, field="email"
        )
        self.assertEqual(self.ok("get_user_count"), count)

    def test_email_is_exact(self):
        email = f"{unique('Mixed')}@Example.com"
        made = self.ok("create_user", user=new_user(email=email))
        self.assertEqual(self.ok("get_user_by_email", email=email)["id"], made)
        for other in (
            email.lower(),
            email.upper(),
            email + " ",
            " " + email,
            email[:-1] + "_",
            email[:-3] + "%",
        ):
            self.assertIsNone(self.ok("get_user_by_email", email=other))
            self.refused("not_found", "get_user_by_email_required", email=other)
        self.ok("create_user", user=new_user(email=email.lower()))  # another address
        self.assertEqual(self.ok("get_user_by_email_required", email=email)["id"], made)

    def test_email_form(self):
        for bad in ("", "@", "a@", "@b", "a", "a@b@c", "a@@b"):
            self.refused(
                "invalid_params", "create_user", user=new_user(email=bad), path="user.email"
            )
        for good in (
            "a@b",
            f"{unique('ü')}@münchen.de",
            f"{unique('sp ace')}@x y",
            f"{unique('o')}'brien@example.com",
        ):
            made = self.ok("create_user", user=new_user(email=good))
            self.assertEqual(self.ok("get_user", user_id=made)["email"], good)

    def test_exactly_one_password(self):
        user = new_user()
        both, neither = {**user, "password": "x"}, {
            k: v for k, v in user.items() if k != "password_hash"
        }
        self.refused("invalid_params", "create_user", user=both)
        self.refused("invalid_params", "create_user", user=neither)
        self.refused(
            "invalid_params",
            "create_user",
            user={**neither, "password": None, "password_hash": None},
        )

    def test_tokens_only_null(self):
        for name in ("strava_token", "fitbit_token"):
            self.refused(
                "invalid_params",
                "create_user",
                path=f"user.{name}",
                user=new_user(**{name: {"expires_at": "2025-01-01T00:00:00Z", "scope": ""}}),
            )

    def test_times(self):
        cases = {
            "2025-06-19T15:44:49Z": "2025-06-19T15:44:49.000000Z",
            "2025-06-19T15:44:49.1Z": "2025-06-19T15:44:49.100000Z",
            "2025-06-19T15:44:49.9999999Z": "2025-06-19T15:44:49.999999Z",
            "2025-06-19T15:44:49.999999999Z": "2025-06-19T15:44:49.999999Z",
            "2025-12-31T23:30:00-00:45": "2026-01-01T00:15:00.000000Z",
            "2024-02-29T00:00:00+14:00": "2024-02-28T10:00:00.000000Z",
            "1969-12-31T23:59:59.9999995Z": "1969-12-31T23:59:59.999999Z",
            "1969-12-31T23:59:59.0000019Z": "1969-12-31T23:59:59.000001Z",
            "0000-01-01T00:00:00Z": "0000-01-01T00:00:00.000000Z",
            "0001-01-01T00:00:00Z": "0001-01-01T00:00:00.000000Z",
            "9999-12-31T23:59:59.999999Z": "9999-12-31T23:59:59.999999Z",
            "1900-02-28T23:59:59+00:00": "1900-02-28T23:59:59.000000Z",
            "2025-06-19t15:44:49z": "2025-06-19T15:44:49.000000Z",
        }
        for given, kept in cases.items():
            made = self.ok("create_user", user=new_user(created_at=given, last_active=given))
            user = self.ok("get_user", user_id=made)
            self.assertEqual((given, user["created_at"], user["last_active"]), (given, kept, kept))

    def test_bad_times(self):
        for bad in (
            "",
            "2025-06-19",
            "2025-06-19T15:44:49",
            "2025-06-19 15:44",
            "2025-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2025-06-31T00:00:00Z",
            "2025-06-19T24:00:00Z",
            "2025-06-19T15:60:00Z",
            "2025-06-19T15:44:61Z",
            "2025-06-30T23:59:60Z",
            "2025-06-19T15:44:49.Z",
            "2025-06-19T15:44:49.1234567890Z",
            "now",
            "2025-06-19T15:44:49+24:00",
            "2025-06-19T15:44:49+02",
            "2025-06-19T15:44:49 Z",
            "12025-06-19T15:44:49Z",
            " 2025-06-19T15:44:49Z",
            "2025-06-19T15:44:49Z ",
            "2025-00-10T00:00:00Z",
            "2025-01-00T00:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
        ):
            self.refused(
                "invalid_params",
                "create_user",
                user=new_user(created_at=bad),
                path="user.created_at",
            )

    def test_what_is_wrong_with_a_time(self):
        for bad, words in (
            ("2016-12-31T23:59:60Z", "leap second"),
            ("2025-06-19T24:00:00Z", "write midnight as 00:00"),
            ("2025-02-29T00:00:00Z", "29"),
            ("2025-13-01T00:00:00Z", "month 13"),
            ("2025-06-19 15:44:49Z", "write a T"),
        ):
            problem = self.refused(
                "invalid_params",
                "create_user",
                user=new_user(created_at=bad),
                path="user.created_at",
            )
            self.assertIn(words, str(problem))


class Look(DaemonCase):
    def test_unknown(self):
        self.assertIsNone(self.ok("get_user", user_id=UNKNOWN))
        self.assertIsNone(self.ok("get_user_by_email", email="nobody@example.com"))
        self.refused("not_found", "get_user_by_email_required", email="nobody@example.com")
        self.refused("not_found", "update_last_active", user_id=UNKNOWN)

    def test_bad_uuid(self):
        for bad in (
            "",
            "x",
            UNKNOWN[:-1],
            UNKNOWN + "0",
            UNKNOWN.replace("-", "_"),
            "{" + UNKNOWN + "}",
            "urn:uuid:" + UNKNOWN,
            UNKNOWN.replace("d", "g"),
            UNKNOWN[:-1] + "é",
        ):
            self.refused("invalid_params", "get_user", user_id=bad, path="user_id")

    def test_update_last_active(self):
        made = world.World(self.c).user(
            last_active="2020-01-01T00:00:00Z", created_at="2020-01-01T00:00:00Z"
        )
        self.assertIsNone(self.ok("update_last_active", user_id=made.upper()))
        user = self.ok("get_user", user_id=made)
        self.assertLess(abs(seconds(user["last_active"]) - time.time()), 60 * SLOW)
        self.assertEqual(user["created_at"], "2020-01-01T00:00:00.000000Z")

    def test_count_holds_inactive_ones(self):
        before = self.ok("get_user_count")
        world.World(self.c).user()
        world.World(self.c).user(is_active=False)
        self.assertEqual(self.ok("get_user_count"), before + 2)
        self.assertEqual(self.ok("get_system_stats")["user_count"], before + 2)

    def test_by_position(self):
        made = self.ok("create_user", [new_user()])
        user = self.ok("get_user", [made])
        self.same(self.ok("get_user_by_email", [user["email"]]), user, ordered=True)
        self.same(self.ok("get_user_by_email_required", [user["email"]]), user, ordered=True)


class Passwords(DaemonCase):
    def setUp(self):
        super().setUp()
        self.email = f"{unique('pw')}@example.com"

    def create(self, password, **members):
        user = {"email": self.email, "password": password, **members}
        return self.ok("create_user", user=user)

    def test_hashed_by_the_daemon(self):
        made = self.create("correct horse battery")
        stored = self.ok("get_user", user_id=made)["password_hash"]
        self.assertRegex(stored, r"^\$2b\$\d\d\$[./A-Za-z0-9]{53}$")
        self.assertEqual(
            self.ok("verify_user_password", email=self.email, password="correct horse battery")[
                "id"
            ],
            made,
        )
        self.same(
            self.ok("verify_user_password", email=self.email, password="correct horse battery"),
            self.ok("get_user", user_id=made),
            ordered=True,
        )
        for wrong in (
            "",
            "correct horse batter",
            "correct horse battery ",
            "Correct horse battery",
        ):
            self.assertIsNone(self.ok("verify_user_password", email=self.email, password=wrong))
        self.assertIsNone(
            self.ok(
                "verify_user_password", email=self.email.upper(), password="correct horse battery"
            )
        )

    def test_cost_is_twelve(self):
        made = self.create("x")
        self.assertTrue(self.ok("get_user", user_id=made)["password_hash"].startswith("$2b$12$"))

    def test_salted(self):
        first = self.ok("get_user", user_id=self.create("same"))["password_hash"]
        self.email = f"{unique('pw')}@example.com"
        self.assertNotEqual(
            self.ok("get_user", user_id=self.create("same"))["password_hash"], first
        )

    def test_72_bytes(self):
        edge = "é" * 36  # 72 bytes
        self.refused(
            "invalid_params",
            "create_user",
            user={"email": self.email, "password": "x" * 73},
            path="user.password",
        )
        self.refused(
            "invalid_params",
            "create_user",
            user={"email": self.email, "password": edge + "x"},
            path="user.password",
        )
        made = self.create(edge)
        self.assertEqual(
            self.ok("verify_user_password", email=self.email, password=edge)["id"], made
        )
        self.assertIsNone(
            self.ok("verify_user_password", email=self.email, password="é" * 35 + "è")
        )

    def test_inactive_and_unknown_take_as_long(self):
        """Every refusal costs one bcrypt, also for a user without a usable hash: a difference would
        reveal which addresses exist."""
        self.create("right", is_active=False)
        other = f"{unique('pw')}@example.com"
        self.ok("create_user", user={"email": other, "password": "right"})
        odd = f"{unique('pw')}@example.com"
        self.ok("create_user", user=new_user(email=odd, password_hash="$2b$12$" + "!" * 53))
        took = {}
        for name, email, password in (
            ("wrong", other, "wrong"),
            ("unknown", "no-such@example.com", "right"),
            ("inactive", self.email, "right"),
            ("unusable", odd, "right"),
            ("too long", other, "x" * 73),
        ):
            best = 1e9
            for _ in range(3):
                began = time.monotonic()
                self.assertIsNone(self.ok("verify_user_password", email=email, password=password))
                best = min(best, time.monotonic() - began)
            took[name] = best
        self.assertGreater(min(took.values()), 0.3 * max(took.values()), took)

    def test_foreign_hashes(self):
        """$2a$, $2b$ and $2y$ of one password are verified alike; a text that is not a hash never
        matches."""
        made = self.create("correct horse")
        stored = self.ok("get_user", user_id=made)["password_hash"]
        for prefix in ("$2a$", "$2b$", "$2y$"):
            email = f"{unique('pw')}@example.com"
            self.ok("create_user", user=new_user(email=email, password_hash=prefix + stored[4:]))
            self.assertIsNotNone(
                self.ok("verify_user_password", email=email, password="correct horse"), prefix
            )
            self.assertIsNone(
                self.ok("verify_user_password", email=email, password="correct horses")
            )
        for broken in (
            "",
            "plain",
            "correct horse",
            "$2b$12$",
            stored[:-1],
            "$1$abc$def",
            "*0",
            "*1",
            "$2x$" + stored[4:],
        ):
            email = f"{unique('pw')}@example.com"
            self.ok("create_user", user=new_user(email=email, password_hash=broken))
            self.assertIsNone(
                self.ok("verify_user_password", email=email, password="correct horse"), broken
            )
            self.assertIsNone(self.ok("verify_user_password", email=email, password=broken), broken)

    def test_loop_goes_on_while_hashing(self):
        """bcrypt runs off the event loop: pings are answered while several passwords are hashed."""
        with self.daemon.connect() as busy:
            for _ in range(6):
                busy.request("verify_user_password", email="nobody@example.com", password="x")
            worst = 0.0
            for _ in range(20):
                began = time.monotonic()
                self.ok("daemon.ping")
                worst = max(worst, time.monotonic() - began)
            self.assertLess(worst, 0.2 * SLOW)


def seconds(timestamp):
    return datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()
