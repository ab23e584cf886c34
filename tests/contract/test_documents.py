"""Profiles, goals and insights: whole documents. Would catch: a number altered by JSONB, a member
dropped or overwritten by an overlay, an order or a limit applied in the wrong place, a default that
replaces a given value."""
import time

from lib import strict
from lib.case import DaemonCase
from lib.world import UNKNOWN, World

# Spelled as on the wire: numbers that a database's own JSON type alters.
NUMBERS = [
    "0",
    "-0",
    "1",
    "-1",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "0.0",
    "-0.0",
    "1.0",
    "0.1",
    "-0.1",
    "1e0",
    "1E5",
    "1e+5",
    "1e-5",
    "1e2",
    "100.0",
    "1.10",
    "1.5e300",
    "1e308",
    "1.7976931348623157e308",
    "-1.7976931348623157e308",
    "2.2250738585072014e-308",
    "5e-324",
    "4.9e-324",
    "1e-400",
    "-1e-400",
    "0.30000000000000004",
    "123456789012345678.0",
    "3.141592653589793",
    "0.000001",
    "1e21",
    "1e22",
    "1.0e-7",
    "179769313486231570000000000000000000000.0",
    "0e10",
    "0.00",
    "-0e-3",
    "9223372036854775808.0",
    "2e0",
    "12345678901234567890.5",
    "1e-10000000",
    "0e99999999",
    "0." + "0" * 17000 + "1",
    "1." + "3" * 20000,
    "9" * 300 + ".5",
    "1" * 309 + ".25",
    "0." + "0" * 320 + "49",
    "-0." + "0" * 5000,
]
TEXTS = [
    "",
    " ",
    "\u007f",
    "\u0001\u001f",
    "\b\f\n\r\t",
    '"\\/',
    "é",
    "e\u0301",
    "\u2028\u2029",
    "\ufeff",
    "\uffff",
    "😀",
    "\U0010ffff",
    "نص من اليمين",
    "\u202e",
    "%s %d %n",
    "'; DROP TABLE users; --",
    "\\u0041",
    "null",
    "true",
    "1",
    "{}",
]


def document(text):
    return strict.loads(text)


class Profiles(DaemonCase):
    def setUp(self):
        super().setUp()
        self.user = World(self.c).user()

    def raw_upsert(self, text):
        """Stores a document exactly as it is spelled here."""
        identifier = self.c.last_id = self.c.last_id + 1
        self.c.send(
            f'{{"jsonrpc":"2.0","id":{identifier},"method":"upsert_user_profile",'
            f'"params":{{"user_id":"{self.user}","profile_data":{text}}}}}\n'
        )
        self.assertIn("result", self.c.answer(identifier), text)
        self.same(self.ok("get_user_profile", user_id=self.user), document(text))

    def test_numbers(self):
        """Each by itself, nested, and all together: integers are exact, doubles equal to the last
        bit, -0.0 still negative."""
        for number in NUMBERS:
            self.raw_upsert(
                f'{{"n":{number},"list":[{number},[{number}]],"deep":{{"n":{number},"other":1}}}}'
            )
        self.raw_upsert('{"all":[' + ",".join(NUMBERS) + "]}")

    def test_texts(self):
        for text in TEXTS:
            self.raw_upsert(strict.dumps({"t": text, "list": [text], text: {text: text}}))

    def test_shapes(self):
        for text in (
            "{}",
            '{"a":{}}',
            '{"a":[]}',
            '{"a":null}',
            '{"":""}',
            '{"a":[null,true,false,0,"",{},[]]}',
            '{ "a" : [ 1 , 2 ] , "b" : { } }',
            '{"b":1,"a":2,"B":3}',
            '{"a":"\\u00e9\\ud83d\\ude00\\/"}',
            '{"age":"not a '
            'number","weight_kg":[],"primary_sports":"run","gender":5,"extra_data":null}',
            '{"user_id":"x","id":1,"created_at":"never","updated_at":2,"document":{"document":1}}',
            strict.dumps({str(i): i for i in range(2000)}),
            '{"a":' + "[" * 58 + "]" * 58 + "}",
        ):
            self.raw_upsert(text)

    def test_many_members_of_known_columns(self):
        """The columns of older installations are part of the document; values of other types must
        not be lost."""
        self.raw_upsert(
            strict.dumps(
                {
                    "age": 41,
                    "gender": "f",
                    "weight_kg": 61.5,
                    "height_cm": 170,
                    "fitness_level": "advanced",
                    "primary_sports": ["run", "bike"],
                    "training_history_months": 36,
                    "preferred_units": "metric",
                    "training_focus": [],
                    "injury_history": [{"knee": "2023"}],
                    "hours_per_week": 7.5,
                    "preferred_days": ["mon"],
                    "preferred_duration_minutes": 45,
                    "name": "Zoë",
                    "nested": {"a": [1, 2.5, None, True]},
                }
            )
        )
        for odd in (
            {"age": 2**40},
            {"age": -1},
            {"age": 41.5},
            {"weight_kg": 61},
            {"weight_kg": "heavy"},
            {"fitness_level": None},
            {"primary_sports": {"a": 1}},
            {"hours_per_week": True},
            {"preferred_duration_minutes": 2**63 - 1},
        ):
            self.raw_upsert(strict.dumps(odd))

    def test_replaces_the_whole(self):
        self.ok(
            "upsert_user_profile",
            user_id=self.user,
            profile_data={"a": 1, "age": 41, "x": {"y": 1}},
        )
        self.ok("upsert_user_profile", user_id=self.user, profile_data={"b": 2})
        self.same(self.ok("get_user_profile", user_id=self.user.upper()), {"b": 2})
        self.ok("upsert_user_profile", user_id=self.user, profile_data={})
        self.same(self.ok("get_user_profile", user_id=self.user), {})

    def test_unknown(self):
        self.assertIsNone(self.ok("get_user_profile", user_id=self.user))
        self.assertIsNone(self.ok("get_user_profile", user_id=UNKNOWN))
        self.refused("not_found", "upsert_user_profile", user_id=UNKNOWN, profile_data={})
        self.assertIsNone(self.ok("get_user_profile", user_id=UNKNOWN))

    def test_no_document(self):
        for bad in ([], "x", 1, None, True, 1.5):
            self.refused(
                "invalid_params",
                "upsert_user_profile",
                user_id=self.user,
                profile_data=bad,
                path="profile_data",
            )

    def test_large(self):
        big = {"text": "é" * 300_000, "numbers": list(range(20_000))}
        self.ok("upsert_user_profile", user_id=self.user, profile_data=big)
        self.same(self.ok("get_user_profile", user_id=self.user), big)


class Goals(DaemonCase):
    def setUp(self):
        super().setUp()
        self.user = World(self.c).user()

    def create(self, data):
        return self.ok("create_goal", user_id=self.user, goal_data=data)

    def goal(self, identifier):
        return next(
            one for one in self.ok("get_user_goals", user_id=self.user) if one["id"] == identifier
        )

    def test_defaults(self):
        goal = self.goal(self.create({}))
        for member, value in {
            "user_id": self.user,
            "title": "Untitled Goal",
            "goal_type": "custom",
            "type": "custom",
            "target_value": 0.0,
            "target": 0.0,
            "current_value": 0.0,
            "current": 0.0,
            "status": "active",
        }.items():
            self.same(goal[member], value)
        self.assertEqual(goal["created_at"], goal["updated_at"])
        self.assertEqual(len(goal), 12)

    def test_null_members_are_missing(self):
        goal = self.goal(
            self.create(
                {
                    "title": None,
                    "goal_type": None,
                    "type": None,
                    "target": None,
                    "current_value": None,
                }
            )
        )
        self.same(
            [goal["title"], goal["type"], goal["target"], goal["current"]],
            ["Untitled Goal", "custom", 0.0, 0.0],
        )

    def test_long_and_short_names(self):
        goal = self.goal(self.create({"title": "T", "type": "short", "target": 5, "current": 2.5}))
        self.same(
            [
                goal[m]
                for m in ("goal_type", "type", "target_value", "target", "current_value", "current")
            ],
            ["short", "short", 5.0, 5.0, 2.5, 2.5],
        )
        goal = self.goal(
            self.create(
                {
                    "goal_type": "long",
                    "type": "short",
                    "target_value": 7,
                    "target": 5,
                    "current_value": 3,
                    "current": 1,
                }
            )
        )
        self.same(
            [
                goal[m]
                for m in ("goal_type", "type", "target_value", "target", "current_value", "current")
            ],
            ["long", "long", 7.0, 7.0, 3.0, 3.0],
        )
        goal = self.goal(
            self.create({"goal_type": None, "type": "short", "target_value": None, "target": 5})
        )
        self.same([goal["goal_type"], goal["target_value"]], ["short", 5.0])

    def test_known_members_of_another_type(self):
        for bad in (
            {"title": 1},
            {"title": ["x"]},
            {"goal_type": 1},
            {"type": {}},
            {"target_value": "10"},
            {"target": True},
            {"target": []},
            {"current_value": "x"},
            {"current": {}},
            {"goal_type": "fine", "type": 5},
            {"target_value": 1, "target": "x"},
        ):
            problem = self.refused(
                "invalid_params", "create_goal", user_id=self.user, goal_data=bad
            )
            self.assertIn(problem.path, {f"goal_data.{name}" for name in bad})
        self.assertEqual(self.ok("get_user_goals", user_id=self.user), [])

    def test_other_members_are_kept(self):
        extra = {
            "description": "d",
            "sport_type": "run",
            "target_date": "2025-12-31",
            "unit": "km",
            "deadline": None,
            "n": 1,
            "x": -0.0,
            "big": 9007199254740993,
            "exp": 1e300,
            "nested": {"a": [1, {"b": None}]},
            "milestones": [],
        }
        goal = self.goal(self.create({**extra, "title": "T", "target": 10}))
        for name, value in extra.items():
            self.same(goal[name], value)

    def test_overlay_wins(self):
        """The daemon's members replace the document's members of the same name."""
        goal = self.goal(
            identifier := self.create(
                {
                    "id": "mine",
                    "user_id": "other",
                    "status": "done",
                    "created_at": 1,
                    "updated_at": {},
                    "title": "T",
                }
            )
        )
        self.assertEqual(
            [goal["id"], goal["user_id"], goal["status"], goal["title"]],
            [identifier, self.user, "active", "T"],
        )
        self.assertRegex(goal["created_at"], r"^20\d\d-")

    def test_progress(self):
        identifier = self.create({"title": "T", "target": 10, "current": 1, "unit": "km"})
        other = self.create({"title": "U"})
        before = self.goal(identifier)
        time.sleep(0.002)
        for value, kept in (
            (5, 5.0),
            (7.25, 7.25),
            (-1e-300, -1e-300),
            (1.7976931348623157e308, 1.7976931348623157e308),
            (0.1, 0.1),
        ):
            self.assertIsNone(
                self.ok("update_goal_progress", goal_id=identifier.upper(), current_value=value)
            )
            goal = self.goal(identifier)
            self.same([goal["current_value"], goal["current"]], [kept, kept])
        self.assertGreater(goal["updated_at"], before["updated_at"])
        self.assertEqual(goal["created_at"], before["created_at"])
        self.same([goal["unit"], goal["target"], goal["status"]], ["km", 10.0, "active"])
        self.same(self.goal(other)["current"], 0.0)

    def test_targets_to_the_last_bit(self):
        for number in (
            "1e308",
            "5e-324",
            "5.684341886080802e-14",
            "6.189700196426902e+26",
            "0.1",
            "-0.0",
            "9007199254740993",
            "1.7976931348623157e308",
            "123456789.123456789",
        ):
            goal = self.goal(self.create({"target": document(number)}))
            self.same(
                goal["target"], float(number) + 0.0
            )  # a negative zero counts as zero; only whole documents preserve it
            self.same(goal["target_value"], float(number) + 0.0)
            self.assertEqual(strict.digits(goal["target"].text), strict.digits(repr(float(number))))

    def test_newest_first(self):
        """Equal times (a batch executes at one time) are ordered by id, descending."""
        made = [self.create({"title": str(i)}) for i in range(5)]
        made += [
            one["result"]
            for one in self.batch(
                [("create_goal", {"user_id": self.user, "goal_data": {"title": "b"}})] * 20
            )
        ]
        goals = self.ok("get_user_goals", user_id=self.user)
        self.assertEqual({one["id"] for one in goals}, set(made))
        self.assertEqual(
            goals, sorted(goals, key=lambda one: (one["created_at"], one["id"]), reverse=True)
        )

    def batch(self, calls):
        texts = [
            strict.dumps({"jsonrpc": "2.0", "id": f"b{i}", "method": method, "params": params})
            for i, (method, params) in enumerate(calls)
        ]
        self.c.send("[" + ",".join(texts) + "]\n")
        return self.c.read()

    def test_unknown(self):
        self.assertEqual(self.ok("get_user_goals", user_id=UNKNOWN), [])
        self.refused("not_found", "create_goal", user_id=UNKNOWN, goal_data={})
        self.refused("not_found", "update_goal_progress", goal_id=UNKNOWN, current_value=1)

    def test_users_do_not_see_each_other(self):
        self.create({})
        other = World(self.c).user()
        self.assertEqual(self.ok("get_user_goals", user_id=other), [])


class Insights(DaemonCase):
    def setUp(self):
        super().setUp()
        self.user = World(self.c).user()

    def store(self, data):
        return self.ok("store_insight", user_id=self.user, insight_data=data)

    def test_type(self):
        for data, kept in (
            ({}, "general"),
            ({"type": "pace"}, "pace"),
            ({"insight_type": "long", "type": "short"}, "long"),
            ({"insight_type": None, "type": "short"}, "short"),
            ({"type": None}, "general"),
            ({"type": ""}, ""),
        ):
            identifier = self.store(data)
            found = next(
                one
                for one in self.ok("get_user_insights", user_id=self.user)
                if one["id"] == identifier
            )
            self.assertEqual(found["insight_type"], kept)
            self.assertEqual(found["user_id"], self.user)
        for bad in ({"type": 1}, {"insight_type": []}, {"insight_type": "x", "type": False}):
            problem = self.refused(
                "invalid_params", "store_insight", user_id=self.user, insight_data=bad
            )
            self.assertIn(problem.path, {f"insight_data.{name}" for name in bad})

    def test_document_is_kept(self):
        data = {
            "id": "mine",
            "created_at": 5,
            "user_id": None,
            "type": "pace",
            "title": 7,
            "confidence": 0.85,
            "severity": "info",
            "metadata": {"n": 9223372036854775807, "x": 1e300},
            "activity_id": None,
            "description": ["a"],
        }
        identifier = self.store(data)
        (found,) = self.ok("get_user_insights", user_id=self.user)
        self.assertEqual(found["id"], identifier)
        for name in (
            "type",
            "title",
            "confidence",
            "severity",
            "metadata",
            "activity_id",
            "description",
        ):
            self.same(found[name], data[name])
        self.assertEqual(found["user_id"], self.user)
        self.assertRegex(found["created_at"], r"^20\d\d-")

    def test_order_filter_and_limit(self):
        answers = self.c.many(
            [
                (
                    "store_insight",
                    {"user_id": self.user, "insight_data": {"type": "ab"[i % 2], "n": i}},
                )
                for i in range(60)
            ]
        )
        self.assertEqual(len(set(self.results(answers))), 60)
        everything = self.ok("get_user_insights", user_id=self.user, limit=1000)
        self.assertEqual(len(everything), 60)
        self.assertEqual(
            everything,
            sorted(everything, key=lambda one: (one["created_at"], one["id"]), reverse=True),
        )
        self.same(self.ok("get_user_insights", user_id=self.user), everything[:50])
        self.same(
            self.ok("get_user_insights", user_id=self.user, limit=None, insight_type=None),
            everything[:50],
        )
        only = [one for one in everything if one["insight_type"] == "a"]
        self.assertEqual(len(only), 30)
        self.same(
            self.ok("get_user_insights", user_id=self.user, insight_type="a", limit=7), only[:7]
        )
        self.same(self.ok("get_user_insights", [self.user, "a", 7]), only[:7])
        self.assertEqual(self.ok("get_user_insights", user_id=self.user, limit=0), [])
        self.assertEqual(self.ok("get_user_insights", user_id=self.user, insight_type="A"), [])
        self.assertEqual(self.ok("get_user_insights", user_id=self.user, insight_type="%"), [])
        for bad in (-1, 1001, 2**32, 5.0, "5", True):
            problem = self.refused(
                "invalid_params", "get_user_insights", user_id=self.user, limit=bad, path="limit"
            )
            self.assertEqual(
                problem.message, "limit must be an integer from 0 to 1000"
            )  # its own bounds, whatever is wrong

    def test_unknown(self):
        self.assertEqual(self.ok("get_user_insights", user_id=UNKNOWN), [])
        self.refused("not_found", "store_insight", user_id=UNKNOWN, insight_data={})
