"""Lists in pages, and calls that are limited to an owner. Would catch: a row that is repeated or
missing while rows are added, ties in another order, a page behind a row of another list, a goal or
log entry of another user."""
import itertools
import threading

from lib.case import DaemonCase
from lib.world import UNKNOWN, World, new_client, unique, uuid4

TIMES = ("2025-06-01T08:00:00Z", "2025-06-01T08:00:00.000001Z", "2025-06-02T00:00:00Z")


class Pages(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user, self.other = self.world.user(), self.world.user()

    def pages(self, method, size, between=lambda: None, **params):
        """Returns all rows, read in pages of that size."""
        rows, after = [], None
        for _ in range(200):
            page = self.ok(method, **params, limit=size, **({"after": after} if after else {}))
            rows += page
            if len(page) < size:
                return rows
            after = page[-1]["id"]
            between()
        self.fail(f"{method}: the pages have no end")

    def check(self, method, whole, params, other):
        """whole: the list without pages. other: ids that the list does not contain."""
        self.assertGreater(len(whole), 4)
        for size in (1, 2, 3, len(whole), 1000):
            self.same(self.pages(method, size, **params), whole, ordered=True)
        last = whole[-1]["id"]
        self.assertEqual(self.ok(method, **params, limit=0), [])
        self.assertEqual(self.ok(method, **params, limit=5, after=last), [])
        self.assertEqual(self.ok(method, **params, limit=0, after=last), [])
        for unknown in other:
            for limit in (0, 5):
                self.refused(
                    "not_found", method, **params, limit=limit, after=unknown, path="after"
                )
        self.refused("invalid_params", method, **params, limit=1001, path="limit")

    def test_goals(self):
        foreign = self.world.goal(self.other)
        for _ in range(7):
            self.world.goal(self.user)
        whole = self.ok("get_user_goals", user_id=self.user)
        rest = self.ok("get_user_goals", user_id=self.user, after=whole[2]["id"].upper())
        self.same(rest, whole[3:], ordered=True)
        self.check("get_user_goals", whole, {"user_id": self.user}, (foreign, UNKNOWN))

    def test_insights(self):
        foreign = self.world.insight(self.other)
        for kind in "abaabab":
            self.world.insight(self.user, type=kind)
        whole = self.ok("get_user_insights", user_id=self.user)
        self.check("get_user_insights", whole, {"user_id": self.user}, (foreign, UNKNOWN))
        (b, *_) = (one["id"] for one in whole if one["insight_type"] == "b")
        found = self.pages("get_user_insights", 1, user_id=self.user, insight_type="a")
        self.same(found, [one for one in whole if one["insight_type"] == "a"], ordered=True)
        self.refused("not_found", "get_user_insights", user_id=self.user, insight_type="a", after=b)

    def test_api_keys(self):
        foreign = self.world.api_key(self.other)
        for name, created in zip("cAbBaC1", itertools.cycle(TIMES)):
            self.world.api_key(self.user, id=f"{self.user} {name}", created_at=created)
        whole = self.ok("get_user_api_keys", user_id=self.user)
        self.check("get_user_api_keys", whole, {"user_id": self.user}, (foreign, "none", ""))

    def test_a2a_clients(self):
        keys = [self.world.api_key(self.user) for _ in range(3)]
        off = self.world.api_key(self.user)
        hidden = self.world.client(off)
        self.ok("deactivate_api_key", api_key_id=off, user_id=self.user)
        foreign = self.world.client(self.world.api_key(self.other))
        for name, created, key in zip("cAbBaC1", itertools.cycle(TIMES), itertools.cycle(keys)):
            self.ok(
                "create_a2a_client",
                client=new_client(id=f"{self.user} {name}", created_at=created),
                api_key_id=key,
            )
        whole = self.ok("list_a2a_clients", user_id=self.user)
        self.check("list_a2a_clients", whole, {"user_id": self.user}, (foreign, hidden, "none"))

    def test_request_logs(self):
        keys = [self.world.api_key(self.user) for _ in range(3)]
        foreign = self.world.api_key(self.other)
        for number in range(20):
            self.world.usage(
                [*keys, foreign][number % 4],
                timestamp=TIMES[number % 3],
                status_code=(200, 500)[number % 2],
                tool_name="abc"[number % 3],
            )
        entries = {key: self.ok("get_request_logs", api_key_id=key) for key in [*keys, foreign]}
        mine = sorted(
            (one for key in keys for one in entries[key]),
            key=lambda one: (one["timestamp"], int(one["id"])),
            reverse=True,
        )
        self.assertEqual(len(mine), 15)
        outside = entries[foreign][0]["id"]
        strange = (outside, "0", "-1", "x", f"0{mine[0]['id']}", "9" * 30, "")
        self.same(self.ok("get_request_logs", user_id=self.user), mine, ordered=True)
        self.check("get_request_logs", mine, {"user_id": self.user}, strange)
        self.check("get_request_logs", entries[keys[0]], {"api_key_id": keys[0]}, strange)
        both = {"user_id": self.user, "api_key_id": keys[0]}
        self.check("get_request_logs", entries[keys[0]], both, strange)
        self.assertEqual(self.ok("get_request_logs", user_id=self.other, api_key_id=keys[0]), [])
        self.assertEqual(self.ok("get_request_logs", user_id=UNKNOWN), [])
        failed = [one for one in mine if one["status_code"] == 500]
        filters = {"user_id": self.user, "status_filter": "error"}
        self.check("get_request_logs", failed, filters, strange)
        fine = next(one for one in mine if one["status_code"] == 200)
        self.refused("not_found", "get_request_logs", **filters, after=fine["id"])
        window = {"user_id": self.user, "start_time": TIMES[1], "end_time": TIMES[1]}
        found = [one for one in mine if one["timestamp"][:26] == TIMES[1][:26]]
        self.check("get_request_logs", found, window, strange)

    def test_concurrent_writes(self):
        """Rows that exist throughout are in the pages exactly once, in order."""
        key = self.world.api_key(self.user)
        for number in range(60):
            self.world.goal(self.user, title=f"old {number}")
            self.world.usage(key, tool_name=f"old {number}")
        stop = threading.Event()

        def write():
            with self.daemon.connect() as connection:
                world = World(connection)
                while not stop.is_set():
                    world.goal(self.user, title="new")
                    world.usage(key, tool_name="new")
                    world.usage(key, tool_name="new", timestamp="2025-01-01T00:00:00Z")
                    world.insight(self.user)

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        try:
            for size in (1, 7):
                goals = self.pages("get_user_goals", size, user_id=self.user)
                titles = [goal["title"] for goal in goals if goal["title"] != "new"]
                self.assertEqual(titles, [f"old {number}" for number in reversed(range(60))])
                self.assertEqual(len({goal["id"] for goal in goals}), len(goals))
            logs, after = [], None
            while True:
                page = self.ok(
                    "get_request_logs",
                    user_id=self.user,
                    start_time="2025-02-01T00:00:00Z",
                    limit=9,
                    after=after,
                )
                logs += page
                if len(page) < 9:
                    break
                after = page[-1]["id"]
            tools = [one["tool_name"] for one in logs if one["tool_name"] != "new"]
            self.assertEqual(tools, [f"old {number}" for number in reversed(range(60))])
            self.assertEqual(len({one["id"] for one in logs}), len(logs))
        finally:
            stop.set()
            for writer in writers:
                writer.join()


class Owners(DaemonCase):
    def test_goal_progress(self):
        world = World(self.c)
        user, other = world.user(), world.user()
        goal = world.goal(user)
        for owner in (other, UNKNOWN, uuid4()):
            self.refused(
                "not_found",
                "update_goal_progress",
                goal_id=goal,
                current_value=3,
                user_id=owner,
            )
        self.assertEqual(self.ok("get_user_goals", user_id=user)[0]["current"], 0.0)
        self.ok("update_goal_progress", goal_id=goal, current_value=4, user_id=user.upper())
        self.assertEqual(self.ok("get_user_goals", user_id=user)[0]["current"], 4.0)
        self.ok("update_goal_progress", goal_id=goal, current_value=5)
        self.ok("update_goal_progress", [goal, 6, None])
        self.assertEqual(self.ok("get_user_goals", user_id=user)[0]["current"], 6.0)
        self.refused("invalid_params", "update_goal_progress", [goal, 6, unique("u")])
