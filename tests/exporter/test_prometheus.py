"""A real Prometheus scrapes the exporters of two daemons, one on each database, under load; the
statistics of one show standbys in every state. Would
catch: a text that Prometheus refuses, an alarm that does not fire or always does, a panel of the
dashboard without data or with a metric that does not exist, a new metric that no panel shows."""
import importlib.util
import itertools
import json
import math
import os
import re
import subprocess
import sys
import tempfile

from lib import prometheus
from lib.altered import Altered, with_servers
from lib.busy import Busy
from lib.case import Case
from lib.daemon import CTL, Daemon
from lib.exporter import Exporter
from lib.openmetrics import OF_SERVERS
from lib.prometheus import DASHBOARD, RULES, Prometheus, expression, panels, promtool

BACKENDS = ("both",)
SANITIZERS = False  # test_exporter.py runs the exporter with them
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MONITORING = os.path.join(ROOT, "tools", "exporter", "monitoring")
INTERVAL = "5s"
METRIC = re.compile(r"\b(?:pierre_dbd|process)_\w+")


def generator():
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location(
        "monitoring_generate", os.path.join(MONITORING, "generate.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def metrics():
    """Returns name -> type of every metric, from the table that docs/observe.md has too."""
    shown = subprocess.run(
        [CTL, "metrics", "--markdown"], check=True, capture_output=True, text=True
    ).stdout
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", shown, re.M))


def family(sample, known):
    """The metric that a sample belongs to."""
    if sample not in known:
        bare = re.sub(r"_(bucket|count|sum)$", "", sample)
        if known.get(bare) in ("histogram", "summary"):
            return bare
    return sample


class Alarms(Case):
    """The rules and the text that makes them."""

    def setUp(self):
        self.generate = generator()

    def changed(self, change):
        """The generator's rules with an alarm that `change` has altered."""
        data = self.generate.read("alarms.toml")
        change(data["alarm"][0])
        self.generate.read = lambda _: data
        return list(self.generate.rules())

    def test_each_has_both_cases(self):
        self.assertGreater(len(self.generate.alarms()), 18)
        for name in ("fires", "silent"):
            for change in (
                lambda alarm, n=name: alarm.pop(n),
                lambda alarm, n=name: alarm[n].clear(),
            ):
                self.generate = generator()
                with self.assertRaisesRegex(SystemExit, "needs a case"):
                    self.changed(change)

    def test_unknown_members_are_refused(self):
        with self.assertRaisesRegex(SystemExit, "fire"):
            self.changed(lambda alarm: alarm.update(fire=[]))

    def test_they_use_metrics_that_exist(self):
        known = metrics()
        for alarm in self.generate.alarms():
            for sample in METRIC.findall(alarm["expr"]):
                self.assertIn(family(sample, known), known, alarm["name"])
            for text in re.findall(r"`((?:pierre_dbd|process)_\w+)`", alarm["meaning"]):
                self.assertIn(family(text, known), known, alarm["name"])

    def test_each_fires_and_stays_silent(self):
        if prometheus.lacks():
            self.skipTest(f"the alarms are NOT tested: {prometheus.lacks()}")
        code, output = promtool("check", "rules", RULES)
        self.assertEqual(
            (code, f"{len(generator().alarms())} rules found" in output), (0, True), output
        )
        tests = self.generate.tests(RULES)
        folder = tempfile.TemporaryDirectory(prefix="pierre-rules-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "tests.yml")
        code, output = self.run_tests(path, tests)
        self.assertEqual(code, 0, output)
        # The check can fail: an alert that is expected and does not fire, one that fires and is
        # not expected.
        wrong = self.generate.tests(RULES)
        first, second = wrong["tests"][0]["alert_rule_test"][:2]
        missed = first["exp_alerts"].pop()
        second["exp_alerts"].append(missed)
        code, output = self.run_tests(path, {**wrong, "tests": wrong["tests"][:1]})
        self.assertNotEqual(code, 0)
        self.assertEqual(output.count("alertname:"), 2, output)

    @staticmethod
    def run_tests(path, tests):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(tests, file)
        return promtool("test", "rules", path)


class Dashboard(Case):
    def test_it_shows_every_metric(self):
        """Each query names metrics that exist; each metric is shown, or left out with a reason."""
        known, shown = metrics(), set()
        self.assertGreater(len(known), 60)
        for panel in panels():
            for target in panel["targets"]:
                for sample in METRIC.findall(target["expr"]):
                    self.assertIn(family(sample, known), known, panel["title"])
                    shown.add(family(sample, known))
        left_out = generator().read("dashboard.toml")["left_out"]
        self.assertTrue(all(left_out.values()))
        self.assertEqual(set(known) - shown, set(left_out))

    def test_its_form(self):
        """What Grafana demands: panels with different numbers that do not overlap."""
        with open(DASHBOARD, encoding="utf-8") as file:
            found = json.load(file)
        numbers = [panel["id"] for panel in found["panels"]]
        self.assertEqual(len(set(numbers)), len(numbers))
        taken = set()
        for panel in found["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), taken, panel["title"])
                    taken.add((x, y))
        for panel in panels():
            letters = [target["refId"] for target in panel["targets"]]
            self.assertEqual(len(set(letters)), len(letters))
        names = [one["name"] for one in found["templating"]["list"]]
        self.assertEqual(names, ["datasource", "instance"])


class Scraped(Case):
    def test_under_load(self):
        if prometheus.lacks():
            self.skipTest(f"NOTHING is scraped: {prometheus.lacks()}")
        polls = itertools.count(1)
        with (
            Daemon("sqlite") as one,
            Daemon("postgres") as two,
            Altered(two.socket_path, lambda stats: with_servers(stats, next(polls))) as standbys,
            Exporter(one.socket_path) as first,
            Exporter(standbys.path) as second,
        ):
            targets, self.with_standbys = {first.target, second.target}, {second.target}
            text = first.ask()[2]
            code, output = promtool("check", "metrics", stdin=text)
            self.assertEqual((code, output), (0, ""))
            bounds = set(re.findall(r'\ble="([^"]*)"', text))
            self.assertGreater(len(bounds), 10)
            with open(os.path.join(MONITORING, "alarms.toml"), encoding="utf-8") as file:
                self.assertLessEqual(set(re.findall(r'\ble="([^"]*)"', file.read())), bounds)
            with Busy(one), Busy(two), Prometheus(targets) as server:
                self.server = server
                self.within(20, lambda: self.up() == targets)
                missing = self.within_all(targets)
                self.assertEqual(missing, {})
                self.healthy()

    def up(self):
        return {labels["instance"] for labels, number in self.server.query("up") if number == 1}

    def within_all(self, targets):
        """Waits until every query of the dashboard gives a number for each daemon; returns those
        that do not."""
        pending = {
            (panel["title"], legend["legendFormat"]): (panel, legend)
            for panel in panels()
            for legend in panel["targets"]
        }
        self.assertGreater(len(pending), 70)

        def ask():
            for key, (_, target) in list(pending.items()):
                given = self.with_standbys if OF_SERVERS.search(target["expr"]) else targets
                if self.gives(expression(target, INTERVAL), given):
                    del pending[key]
            return not pending

        try:
            self.within(25, ask, every=0.5)
        except AssertionError:
            pass
        return {key: target["expr"] for key, (_, target) in pending.items()}

    def gives(self, query, targets):
        """Whether it gives numbers: for each target, unless it sums them up."""
        found = [labels for labels, number in self.server.query(query) if not math.isnan(number)]
        instances = {labels.get("instance") for labels in found}
        return instances == {None} or instances == targets

    def healthy(self):
        """Prometheus has loaded each rule, and none fires on a healthy daemon under load."""
        (group,) = self.server.api("rules")["groups"]
        self.assertEqual(len(group["rules"]), len(generator().alarms()))
        for rule in group["rules"]:
            self.assertEqual((rule["health"], rule.get("lastError")), ("ok", None), rule["name"])
            self.assertNotEqual(rule["state"], "firing", rule)
        for target in self.server.api("targets")["activeTargets"]:
            self.assertEqual((target["health"], target["lastError"]), ("up", ""))
