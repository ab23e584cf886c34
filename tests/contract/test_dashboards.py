"""The usage of all keys of a user in one call. Would catch: an unused key that is missing, a row of
another user, a period that includes its end or excludes its start, a bucket in local time, totals
that differ from those of the single keys."""
import datetime

from lib.case import DaemonCase
from lib.world import UNKNOWN, World

START, END = "2025-03-30T00:30:00Z", "2025-04-01T00:00:00Z"


class Dashboards(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user, self.other = self.world.user(), self.world.user()
        self.keys = [
            self.world.api_key(self.user, name=name, created_at=f"2024-01-0{day}T00:00:00Z")
            for name, day in (("first", 1), ("unused", 2), ("last", 3))
        ]
        foreign = self.world.api_key(self.other)
        hours = ("30T00:29:59.999999", "30T00:30:00", "30T00:59:59.999999", "30T01:00:00")
        hours += ("30T23:00:00", "31T12:00:00", "31T23:59:59.999999")
        self.times = [f"2025-03-{hour}Z" for hour in hours] + [END]
        for number, time in enumerate(self.times):
            for key in (self.keys[0], self.keys[2], foreign):
                self.world.usage(
                    key,
                    timestamp=time,
                    tool_name="bAa"[number % 3],
                    status_code=(200, 404, 301)[number % 3],
                    **({"response_time_ms": 7 * number} if number % 2 else {}),
                )

    def window(self, **params):
        return {"user_id": self.user, "start_date": START, "end_date": END, **params}

    def test_each_key(self):
        found = self.ok("get_user_api_key_usage", self.window())
        self.assertEqual([one["name"] for one in found], ["last", "unused", "first"])
        for one in found:
            name = one.pop("name")
            self.assertEqual(one["total_requests"], 0 if name == "unused" else 6)
            stats = self.ok(
                "get_api_key_usage_stats",
                api_key_id=one["api_key_id"],
                start_date=START,
                end_date=END,
            )
            self.same(one, stats, ordered=True)
        self.assertEqual(found[1]["tool_usage"], {})
        self.assertEqual(self.ok("get_user_api_key_usage", self.window(user_id=UNKNOWN)), [])
        empty = self.ok("get_user_api_key_usage", self.window(end_date=START))
        self.assertEqual([one["total_requests"] for one in empty], [0, 0, 0])

    def test_series(self):
        for bucket, width in (("hour", 13), ("day", 10)):
            expected = {}
            for number, time in enumerate(self.times[1:-1], 1):
                start = time[:width] + {13: ":00:00.000000Z", 10: "T00:00:00.000000Z"}[width]
                row = expected.setdefault(start, [0, 0, 0, 0])
                row[0] += 2
                row[1] += 2 * (number % 3 == 0)
                row[2] += 2 * (number % 3 == 1)
                row[3] += 14 * number * (number % 2)
            found = self.ok("get_user_usage_series", self.window(bucket=bucket))
            self.assertEqual(
                [(one["start"], list(one.values())[1:]) for one in found], sorted(expected.items())
            )
        self.assertEqual(
            self.ok("get_user_usage_series", self.window(bucket="day", user_id=UNKNOWN)), []
        )
        self.refused(
            "invalid_params", "get_user_usage_series", self.window(bucket="week"), path="bucket"
        )

    def test_years_before_1970(self):
        for time in ("0001-01-01T00:59:59Z", "1969-12-31T23:59:59.999999Z"):
            self.world.usage(self.keys[1], timestamp=time)
        found = self.ok(
            "get_user_usage_series",
            self.window(
                start_date="0001-01-01T00:00:00Z", end_date="1970-01-01T00:00:00Z", bucket="hour"
            ),
        )
        self.assertEqual(
            [one["start"] for one in found],
            ["0001-01-01T00:00:00.000000Z", "1969-12-31T23:00:00.000000Z"],
        )

    def test_no_more_than_ten_thousand(self):
        begin = datetime.datetime(2020, 1, 1)
        usage = {"api_key_id": self.keys[1], "tool_name": "t", "status_code": 200}
        times = [
            (begin + datetime.timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for hour in range(10_003)
        ]
        self.c.many(
            [("record_api_key_usage", {"usage": {**usage, "timestamp": time}}) for time in times]
        )
        window = {"user_id": self.user, "end_date": "2024-01-01T00:00:00Z", "bucket": "hour"}
        found = self.ok("get_user_usage_series", start_date=times[0], **window)
        self.assertEqual(len(found), 10_000)
        self.assertEqual(found[-1]["start"][:19], times[9_999][:19])
        rest = self.ok("get_user_usage_series", start_date=times[10_000], **window)
        self.assertEqual(len(rest), 3)
