"""The daemon's own methods and rpc.discover. Would catch: a method missing from the document, a
parameter out of order, a health that does not query the database, counters that do not change, a
migrate that is not idempotent."""
import json
import re
import subprocess

from lib import interface
from lib.case import DaemonCase
from lib.daemon import BINARY
from lib.schema import Schemas
from lib.world import World

ACCESS = {"r": "read", "w": "write", "s": "full", "a": "admin"}
NO_READS = ("migrate", "rotate_key", "lease_token_refresh")


class Own(DaemonCase):
    def test_ping(self):
        self.assertEqual(self.ok("daemon.ping"), "pong")
        self.assertEqual(self.ok("daemon.ping", []), "pong")
        self.assertEqual(self.ok("daemon.ping", {}), "pong")

    def test_version(self):
        version = self.ok("daemon.version")
        engine = self.daemon.database.reported
        self.assertEqual(version["backend"], engine)
        self.assertEqual(
            list(version), ["version", "protocol", "backend", "schema_version", engine]
        )
        self.assertRegex(version[engine], r"^\d+\.\d+")
        output = subprocess.run(
            [BINARY, "--version"], capture_output=True, text=True, check=True
        ).stdout
        self.assertIn(version["version"], output)
        self.assertEqual(version["protocol"], self.ok("rpc.discover")["info"]["version"])

    def test_migrate_is_idempotent(self):
        first = self.ok("migrate")
        self.same(
            first, {"schema_version": self.ok("daemon.version")["schema_version"], "applied": []}
        )
        self.assertGreater(first["schema_version"], 0)
        self.same(self.ok("migrate"), first)

    def test_health(self):
        health = self.ok("daemon.health")
        self.assertEqual(
            (health["status"], health["backend"]), ("ok", self.daemon.database.reported)
        )
        self.assertEqual(list(health)[:3], ["status", "backend", "checks"])
        self.assertIn("database", [check["name"] for check in health["checks"]])
        for check in health["checks"]:
            self.assertEqual(check["status"], "ok")
            self.assertGreaterEqual(check["latency_ms"], 0)

    def test_stats_move(self):
        before = self.ok("daemon.stats")
        World(self.c).user()
        self.c.error("get_user", user_id="x")
        after = self.ok("daemon.stats")
        self.assertGreaterEqual(after["uptime_seconds"], before["uptime_seconds"])
        self.assertGreaterEqual(after["counters"]["requests"], before["counters"]["requests"] + 3)
        calls = after["methods"]["create_user"]
        self.assertEqual(
            calls["calls"], before["methods"].get("create_user", {"calls": 0})["calls"] + 1
        )
        self.assertGreater(after["methods"]["get_user"]["errors"], 0)
        text = json.dumps(calls)
        for name in ("p50", "p90", "p99", "p999", "max"):
            self.assertIn(name, text)
        self.assertGreaterEqual(after["gauges"]["clients"], 1)

    def test_stats_percentiles_are_ordered(self):
        for _ in range(200):
            self.ok("get_user_count")

        def values(of, found):
            for name, value in of.items():
                if isinstance(value, dict):
                    values(value, found)
                elif match := re.match(r"(p50|p90|p99|p999|max)\b", name):
                    found[match.group(1)] = value
            return found

        found = values(self.ok("daemon.stats")["methods"]["get_user_count"], {})
        ordered = [found[name] for name in ("p50", "p90", "p99", "p999", "max")]
        self.assertEqual(ordered, sorted(ordered))
        self.assertGreater(ordered[0], 0)


class Discover(DaemonCase):
    def setUp(self):
        super().setUp()
        self.document = self.ok("rpc.discover")
        self.schemas = Schemas(self.document)

    def test_every_method_and_no_other(self):
        self.assertEqual(
            {method["name"] for method in self.document["methods"]}, set(interface.METHODS)
        )

    def test_positional_order(self):
        for method in self.document["methods"]:
            self.assertEqual(
                method["x-positional"], list(interface.METHODS[method["name"]][0]), method["name"]
            )
            self.assertEqual({one["name"] for one in method["params"]}, set(method["x-positional"]))

    def test_access(self):
        for method in self.document["methods"]:
            self.assertEqual(
                method["x-access"], ACCESS[interface.METHODS[method["name"]][2]], method["name"]
            )

    def test_reads(self):
        for method in self.document["methods"]:
            name, (_, _, role) = method["name"], interface.METHODS[method["name"]]
            if name in interface.CAUSAL:
                self.assertEqual((method.get("x-reads"), role), ("causal", "r"), name)
            elif role == "w" or "." in name or name in NO_READS:
                self.assertNotIn("x-reads", method, name)
            else:
                self.assertEqual(method.get("x-reads"), "exact", name)

    def test_required_parameters(self):
        for method in self.document["methods"]:
            for param in method["params"]:
                kind = interface.METHODS[method["name"]][0][param["name"]]
                self.assertEqual(
                    param["required"], not kind.endswith("?"), (method["name"], param["name"])
                )

    def test_objects_have_the_members_promised(self):
        for name, members in {**interface.INPUTS, **interface.OUTPUTS}.items():
            schema = self.document["components"]["schemas"][name]
            listed = [member for member in members if member != "*"]
            self.assertEqual(list(schema["properties"]), listed, name)
            if name in interface.INPUTS:
                self.assertIs(schema["additionalProperties"], False)
                self.assertEqual(
                    set(schema.get("required", ())),
                    {m for m, kind in members.items() if not kind.endswith("?")},
                    name,
                )

    def test_errors(self):
        for name, (code, _) in interface.ERRORS.items():
            self.assertEqual(self.document["components"]["errors"][name]["code"], code)

    def test_every_reference_resolves(self):
        def walk(value):
            if isinstance(value, dict):
                if "$ref" in value:
                    self.schemas.resolve(value["$ref"])
                for one in value.values():
                    walk(one)
            elif isinstance(value, list):
                for one in value:
                    walk(one)

        walk(self.document)

    def test_openrpc(self):
        self.assertRegex(self.document["openrpc"], r"^1\.\d+\.\d+$")
        self.assertTrue(self.document["info"]["title"] and self.document["info"]["version"])
        for method in self.document["methods"]:
            self.assertTrue(method.get("summary") or method.get("description"), method["name"])
            seen_optional = False
            for param in method["params"]:  # OpenRPC: required ones first
                self.assertFalse(param["required"] and seen_optional, method["name"])
                seen_optional = not param["required"]
