"""The log of API key usage and its evaluation. Would catch: an end of a window on the wrong side,
3xx counted as either, a sum over missing response times, a month start in local time, a limit
before a filter, a percentage as a fraction."""
import datetime
import time

from lib import strict
from lib.case import DaemonCase
from lib.world import UNKNOWN, World, new_usage

NOON = "2025-06-04T12:00:00"


class Usage(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user()
        self.key = self.world.api_key(self.user, name="The key")

    def record(self, **members):
        self.assertIsNone(self.ok("record_api_key_usage", usage=new_usage(self.key, **members)))

    def logs(self, **filters):
        return self.ok("get_request_logs", api_key_id=self.key, **filters)

    def test_log_entry(self):
        self.record(
            id="ignored",
            timestamp="2025-06-04T14:00:00.1234567+02:00",
            tool_name="tool ⭐",
            response_time_ms=4294967295,
            status_code=65535,
            error_message='it\'s "broken"',
            request_size_bytes=4294967295,
            response_size_bytes=0,
            ip_address="2001:DB8:0:0::1",
            user_agent="agent",
        )
        (entry,) = self.logs()
        self.assertRegex(entry.pop("id"), r"^\d+$")
        self.same(
            entry,
            {
                "timestamp": "2025-06-04T12:00:00.123456Z",
                "api_key_id": self.key,
                "api_key_name": "The key",
                "tool_name": "tool ⭐",
                "status_code": 65535,
                "response_time_ms": 4294967295,
                "error_message": 'it\'s "broken"',
                "request_size_bytes": 4294967295,
                "response_size_bytes": 0,
            },
        )

    def test_defaults(self):
        before = time.time()
        self.record(id={"any": ["thing"]})
        (entry,) = self.logs()
        self.assertLess(
            abs(
                datetime.datetime.fromisoformat(
                    entry["timestamp"].replace("Z", "+00:00")
                ).timestamp()
                - before
            ),
            60,
        )
        self.assertEqual(
            [
                entry[m]
                for m in (
                    "response_time_ms",
                    "error_message",
                    "request_size_bytes",
                    "response_size_bytes",
                )
            ],
            [None] * 4,
        )

    def test_addresses(self):
        for good in (
            "127.0.0.1",
            "::",
            "::ffff:1.2.3.4",
            "FE80::1",
            "2001:0db8:0000:0000:0000:0000:0000:0001",
        ):
            self.record(ip_address=good)
        count = self.ok("get_api_key_current_usage", api_key_id=self.key)
        others = (
            "",
            "unknown",
            "localhost",
            "1.2.3",
            "1.2.3.256",
            "01.2.3.4",
            "1.2.3.4/24",
            "::1%lo",
            "::g",
            " 1.2.3.4",
            "10.0.0.1:5555",
            ":::",
            "10.0.0.1, 192.0.2.7",
            "x" * 255,
            "é" * 127,
        )
        for other in others:
            self.record(ip_address=other)
        self.assertEqual(
            self.ok("get_api_key_current_usage", api_key_id=self.key), count + len(others)
        )
        for bad in ("x" * 256, "é" * 128):
            self.refused(
                "invalid_params",
                "record_api_key_usage",
                usage=new_usage(self.key, ip_address=bad),
                path="usage.ip_address",
            )

    def test_stored_addresses(self):
        """What is not an address is stored as it came."""
        column = (
            "ip_address"
            if self.daemon.backend == "sqlite"
            else "coalesce(host(ip_address), ip_text)"
        )
        for given, stored in (
            ("unknown", "unknown"),
            ("10.0.0.1:5555", "10.0.0.1:5555"),
            ("10.0.0.1, " * 25 + "1.2.3", None),
            ("x" * 255, None),
            ("FE80::0:1", "fe80::1"),
        ):
            usage = new_usage(self.key, ip_address=given, tool_name="address")
            # Of a long line, and of a batch, only the parameters are kept.
            long = {**usage, "user_agent": "x" * 3000}
            filler = {"jsonrpc": "2.0", "method": "daemon.ping"}
            for method, params in (
                ("record_api_key_usage", {"usage": usage}),
                ("record_api_key_usage", {"usage": long}),
                ("record_api_key_usages", {"usages": [long, usage]}),
            ):
                for batch in (False, True) if params.get("usage") == long else (False,):
                    if batch:
                        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                        self.c.send(strict.dumps([request, filler]) + "\n")
                        self.assertIn("result", self.c.read()[0])
                    else:
                        self.ok(method, params)
                    rows = self.daemon.database.query(
                        f"SELECT {column} FROM api_key_usage WHERE tool_name = 'address' ORDER BY "
                        "id DESC LIMIT 1"
                    )
                    self.assertEqual(
                        rows.strip() if isinstance(rows, str) else rows[0][0], stored or given
                    )

    def test_unknown_key(self):
        self.refused("not_found", "record_api_key_usage", usage=new_usage("no such key"))
        self.assertEqual(self.ok("get_request_logs", api_key_id="no such key"), [])
        self.assertEqual(self.ok("get_api_key_current_usage", api_key_id="no such key"), 0)
        self.same(
            self.ok(
                "get_api_key_usage_stats",
                api_key_id="no such key",
                start_date="2025-01-01T00:00:00Z",
                end_date="2026-01-01T01:00:00+01:00",
            ),
            {
                "api_key_id": "no such key",
                "period_start": "2025-01-01T00:00:00.000000Z",
                "period_end": "2026-01-01T00:00:00.000000Z",
                "total_requests": 0,
                "successful_requests": 0,
                "failed_requests": 0,
                "total_response_time_ms": 0,
                "tool_usage": {},
            },
            ordered=True,
        )

    def test_stats(self):
        for status, milliseconds, tool in (
            (200, 4294967295, "b"),
            (299, 4294967295, "a"),
            (199, 1, "a"),
            (300, None, "Z"),
            (399, 2, "é"),
            (400, 3, "a"),
            (599, None, "b"),
            (65535, 4, "a b"),
            (0, 5, "a"),
        ):
            self.record(
                status_code=status,
                response_time_ms=milliseconds,
                tool_name=tool,
                timestamp=NOON + "Z",
            )
        stats = self.ok(
            "get_api_key_usage_stats",
            api_key_id=self.key,
            start_date="2025-06-04T00:00:00Z",
            end_date="2025-06-05T00:00:00Z",
        )
        self.same(
            {name: stats[name] for name in stats if name.endswith(("requests", "_ms"))},
            {
                "total_requests": 9,
                "successful_requests": 2,
                "failed_requests": 3,
                "total_response_time_ms": 2 * 4294967295 + 15,
            },
        )
        self.same(stats["tool_usage"], {"Z": 1, "a": 4, "a b": 1, "b": 2, "é": 1}, ordered=True)

    def test_stats_window(self):
        """start ≤ timestamp < end, to the microsecond, whatever the offset's spelling."""
        for fraction in ("00.000000", "00.000001", "59.999999"):
            self.record(timestamp=f"2025-06-04T12:00:{fraction}Z", tool_name=fraction)

        def tools(start, end):
            return list(self.ok("get_api_key_usage_stats", [self.key, start, end])["tool_usage"])

        everything = ["00.000000", "00.000001", "59.999999"]
        self.assertEqual(tools("2025-06-04T12:00:00Z", "2025-06-04T12:01:00Z"), everything)
        self.assertEqual(
            tools("2025-06-04T14:00:00+02:00", "2025-06-04T12:00:59.999999Z"), everything[:2]
        )
        self.assertEqual(
            tools("2025-06-04T12:00:00.000001Z", "2025-06-04T12:01:00Z"), everything[1:]
        )
        self.assertEqual(tools("2025-06-04T12:00:00Z", "2025-06-04T12:00:00Z"), [])
        self.assertEqual(tools("2025-06-04T12:01:00Z", "2025-06-04T12:00:00Z"), [])

    def test_current_usage_is_this_month(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        self.record(timestamp=start.isoformat())
        self.record(timestamp=(start - datetime.timedelta(microseconds=1)).isoformat())
        self.record(timestamp=(start - datetime.timedelta(hours=13)).isoformat())
        self.record()
        count = self.ok("get_api_key_current_usage", api_key_id=self.key)
        after = datetime.datetime.now(datetime.timezone.utc)
        self.assertIn(count, (2,) if after.month == now.month else (0, 1, 2))

    def test_logs_are_newest_first_and_limited(self):
        for index in range(120):
            self.c.request(
                "record_api_key_usage",
                usage=new_usage(
                    self.key,
                    timestamp=f"2025-06-04T12:00:0{index % 4}Z",
                    tool_name=f"tool {index % 3}",
                    status_code=(200, 404)[index % 2],
                ),
            )
        everything = self.logs(limit=1000)
        self.assertEqual(len(everything), 120)
        self.assertEqual(
            everything,
            sorted(everything, key=lambda one: (one["timestamp"], int(one["id"])), reverse=True),
        )
        self.same(self.logs(), everything[:100])
        self.same(self.logs(limit=None), everything[:100])
        self.assertEqual(self.logs(limit=0), [])
        self.same(
            self.logs(limit=7, status_filter="error", tool_filter="tool 1"),
            [
                one
                for one in everything
                if one["status_code"] == 404 and one["tool_name"] == "tool 1"
            ][:7],
        )
        self.same(
            self.ok("get_request_logs", [self.key, None, None, "success", None, 3]),
            [one for one in everything if one["status_code"] == 200][:3],
        )
        for bad in (-1, 1001, "10", 10.0, 2**63 - 1):
            self.refused("invalid_params", "get_request_logs", limit=bad, path="limit")

    def test_log_filters(self):
        for status in (199, 200, 299, 300, 399, 400, 500):
            self.record(
                status_code=status,
                timestamp=NOON + "Z",
                tool_name="all" if status == 200 else "Tool",
            )
        self.assertEqual(
            {one["status_code"] for one in self.logs(status_filter="success")}, {200, 299}
        )
        self.assertEqual(
            {one["status_code"] for one in self.logs(status_filter="error")}, {400, 500}
        )
        self.assertEqual(len(self.logs(status_filter="all")), 7)
        self.assertEqual(len(self.logs(status_filter=None)), 7)
        self.assertEqual(len(self.logs(tool_filter="all")), 7)
        self.assertEqual(len(self.logs(tool_filter="Tool")), 6)
        for other in ("tool", "Too", "Tool ", "%", "T_ol", ""):
            self.assertEqual(self.logs(tool_filter=other), [], other)
        for bad in ("", "SUCCESS", "failed", "2xx"):
            self.refused(
                "invalid_params", "get_request_logs", status_filter=bad, path="status_filter"
            )

    def test_log_window_holds_both_ends(self):
        for fraction in ("00.000000", "30.000000", "59.999999"):
            self.record(timestamp=f"2025-06-04T12:00:{fraction}Z", tool_name=fraction)

        def tools(**window):
            return sorted(one["tool_name"] for one in self.logs(**window))

        self.assertEqual(
            tools(start_time="2025-06-04T12:00:00Z", end_time="2025-06-04T12:00:30Z"),
            ["00.000000", "30.000000"],
        )
        self.assertEqual(
            tools(start_time="2025-06-04T12:00:00.000001Z"), ["30.000000", "59.999999"]
        )
        self.assertEqual(tools(end_time="2025-06-04T12:00:59.999998Z"), ["00.000000", "30.000000"])
        self.assertEqual(
            tools(start_time="2025-06-04T12:00:30+00:00", end_time="2025-06-04T12:00:30Z"),
            ["30.000000"],
        )

    def test_logs_of_all_keys(self):
        other = self.world.api_key(self.user, name="Other key")
        self.record(timestamp="2999-01-01T00:00:00Z")
        self.world.usage(other, timestamp="2999-01-02T00:00:00Z")
        entries = self.ok("get_request_logs", start_time="2999-01-01T00:00:00Z")
        self.assertEqual([one["api_key_name"] for one in entries][:1], ["Other key"])
        self.assertLessEqual({"Other key", "The key"}, {one["api_key_name"] for one in entries})
        self.assertEqual(
            len(self.ok("get_request_logs", start_time="2999-01-01T00:00:00Z", limit=1)), 1
        )


class TopTools(DaemonCase):
    def test_analysis(self):
        world = World(self.c)
        user, other = world.user(), world.user()
        keys = [world.api_key(user), world.api_key(user, is_active=False)]
        stranger = world.api_key(other)

        def record(key, tool, count, status=200, **members):
            for _ in range(count):
                self.c.request(
                    "record_api_key_usage",
                    usage=new_usage(
                        key, tool_name=tool, status_code=status, timestamp=NOON + "Z", **members
                    ),
                )

        record(keys[0], "busy", 2, response_time_ms=10)
        record(keys[1], "busy", 1, status=500, response_time_ms=30)
        record(keys[0], "busy", 1, status=301)
        record(keys[0], "tie b", 3)
        record(keys[1], "tie B", 3, response_time_ms=4294967295)
        record(keys[0], "third", 1, response_time_ms=1)
        record(keys[0], "third", 2, status=404, response_time_ms=1)
        record(stranger, "foreign", 9)
        self.world_edges(keys[0])
        found = self.ok(
            "get_top_tools_analysis",
            user_id=user,
            start_time="2025-06-04T12:00:00Z",
            end_time="2025-06-04T12:00:00Z",
        )
        self.same(
            found,
            [
                {
                    "tool_name": "busy",
                    "request_count": 4,
                    "success_rate": 50.0,
                    "average_response_time": (10 + 10 + 30) / 3,
                },
                {
                    "tool_name": "third",
                    "request_count": 3,
                    "success_rate": 100 / 3,
                    "average_response_time": 1.0,
                },
                {
                    "tool_name": "tie B",
                    "request_count": 3,
                    "success_rate": 100.0,
                    "average_response_time": 4294967295.0,
                },
                {
                    "tool_name": "tie b",
                    "request_count": 3,
                    "success_rate": 100.0,
                    "average_response_time": 0.0,
                },
            ],
            ordered=True,
        )
        wide = self.ok(
            "get_top_tools_analysis",
            user_id=user,
            start_time="2025-06-04T11:59:59.999999Z",
            end_time="2025-06-04T12:00:00.000001Z",
        )
        self.assertEqual(
            [one["tool_name"] for one in wide],
            ["busy", "third", "tie B", "tie b", "after", "before"],
        )
        self.assertEqual(
            self.ok(
                "get_top_tools_analysis", [UNKNOWN, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]
            ),
            [],
        )

    def world_edges(self, key):
        for tool, moment in (
            ("before", "2025-06-04T11:59:59.999999Z"),
            ("after", "2025-06-04T12:00:00.000001Z"),
        ):
            self.ok("record_api_key_usage", usage=new_usage(key, tool_name=tool, timestamp=moment))

    def test_at_most_ten(self):
        world = World(self.c)
        user = world.user()
        key = world.api_key(user)
        for index in range(13):
            for _ in range(1 + (index < 3)):
                world.usage(key, tool_name=f"tool {index:02}", timestamp=NOON + "Z")
        found = self.ok(
            "get_top_tools_analysis",
            user_id=user,
            start_time="2025-06-04T00:00:00Z",
            end_time="2025-06-05T00:00:00Z",
        )
        self.assertEqual(
            [one["tool_name"] for one in found], [f"tool {index:02}" for index in range(10)]
        )


class Many(DaemonCase):
    """Requests logged at once. Would catch: a part of them stored, a default that a row of its own
    would get, an address that only one way stores, an error without its row."""

    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user()
        self.keys = [self.world.api_key(self.user) for _ in range(2)]

    def rows(self):
        key, other = self.keys
        return [
            new_usage(key, timestamp="0000-01-02T00:00:00Z", tool_name=""),
            new_usage(other, timestamp="9999-12-31T23:59:59.999999Z", ip_address="FE80::0:1"),
            new_usage(
                key,
                timestamp="2025-06-04T14:00:00.1234567+02:00",
                tool_name='tool "⭐" \\ \u0001',
                response_time_ms=4294967295,
                status_code=65535,
                error_message="it's, {broken}",
                request_size_bytes=4294967295,
                response_size_bytes=0,
                ip_address="unknown",
                user_agent="a" * 3000,
                id={"any": 1},
            ),
            new_usage(key, timestamp=NOON + "Z", error_message=None, ip_address="10.1.2.3"),
        ]

    def log(self, **filters):
        found = self.ok("get_request_logs", user_id=self.user, limit=1000, **filters)
        return [{**one, "id": None} for one in found]

    def test_like_one_by_one(self):
        self.assertEqual(self.ok("record_api_key_usages", usages=self.rows()), 4)
        together = self.log()
        self.assertEqual(len(together), 4)
        for row in self.rows():
            self.ok("record_api_key_usage", usage=row)
        every = self.log()
        self.assertEqual(len(every), 8)
        for one in together:
            self.assertEqual(every.count(one), 2, one)

    def test_defaults_and_order(self):
        usages = [new_usage(self.keys[0], tool_name=f"tool {n}") for n in range(1000)]
        self.assertEqual(self.ok("record_api_key_usages", [usages]), 1000)
        found = self.ok("get_request_logs", api_key_id=self.keys[0], limit=1000)
        self.assertEqual(
            [one["tool_name"] for one in found], [one["tool_name"] for one in reversed(usages)]
        )
        self.assertEqual(len({one["timestamp"] for one in found}), 1)
        self.assertEqual(self.ok("get_api_key_current_usage", api_key_id=self.keys[0]), 1000)

    def test_all_or_nothing(self):
        for place in (0, 2, 4):
            usages = self.rows() + self.rows()[:1]
            usages[place]["api_key_id"] = UNKNOWN
            usages[4]["api_key_id"] = "no key"
            self.refused(
                "not_found",
                "record_api_key_usages",
                usages=usages,
                path=f"usages[{place}].api_key_id",
            )
        self.assertEqual(self.log(), [])

    def test_beside_others_in_one_batch(self):
        """A failed one undoes no other call's rows, and none of its own stay."""
        good, bad = new_usage(self.keys[0]), new_usage("no key")
        calls = []
        for _ in range(30):
            calls += [
                ("record_api_key_usage", {"usage": good}),
                ("record_api_key_usages", {"usages": [good, good, bad]}),
                ("record_api_key_usages", {"usages": [good, good]}),
                ("get_api_key_current_usage", {"api_key_id": self.keys[0]}),
            ]
        answers = self.c.many(calls)
        for number in range(30):
            _, failed, stored, count = answers[4 * number : 4 * number + 4]
            self.assertEqual(failed["error"]["data"]["path"], "usages[2].api_key_id")
            self.assertEqual(stored["result"], 2)
            self.assertEqual(count["result"], 3 * (number + 1))

    def test_bad_rows(self):
        good = new_usage(self.keys[0])
        for wrong, path in (
            ([], "usages"),
            ([good] * 1001, "usages"),
            ({}, "usages"),
            ([good, None], "usages[1]"),
            ([good, {**good, "status_code": 70000}], "usages[1].status_code"),
            ([{**good, "extra": 1}], "usages[0].extra"),
            ([{"tool_name": "t", "status_code": 1}], "usages[0].api_key_id"),
            ([good] * 12 + [{**good, "timestamp": "soon"}], "usages[12].timestamp"),
        ):
            self.refused("invalid_params", "record_api_key_usages", usages=wrong, path=path)
        self.assertEqual(self.log(), [])
