"""What the tools show of PostgreSQL's servers while the daemon reads from standbys, with servers in
every state. Would catch: a server left out, a sample without or with a wrong label, a number that
is shown although it is unknown, a rate from the wrong counter."""
import json
import shlex
import shutil
import subprocess

from lib import openmetrics
from lib.altered import SERVERS, Altered, with_servers
from lib.case import Case
from lib.daemon import CTL, SLOW, Daemon
from lib.terminal import Terminal, environment, shown, without_colours

BACKENDS = ("sqlite",)


class ServersShown(Case):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon().start()
        cls.addClassCleanup(cls.daemon.stop)
        cls.polls = 0
        cls.socket = cls.enterClassContext(Altered(cls.daemon.socket_path, cls.change))

    @classmethod
    def change(cls, stats):
        """A thousand reads more each time."""
        cls.polls += 1
        with_servers(stats, cls.polls)

    def test_sqlite_has_none(self):
        with Daemon(options=("--read-from", "standby")) as daemon:
            self.assertNotIn("servers", daemon.call("daemon.stats"))
            (found,) = (
                one
                for one in daemon.call("daemon.diagnose")["findings"]
                if one["name"] == "standbys"
            )
            self.assertEqual(
                (found["status"], found["advice"]), ("warn", "remove the setting read-from")
            )

    def ctl(self, *arguments):
        done = subprocess.run(
            [CTL, "--socket", self.socket.path, *arguments],
            capture_output=True,
            text=True,
            timeout=30 * SLOW,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def by_server(self, found, name, suffix=""):
        return {
            labels["server"]: number
            for sample, labels, number in found[name].samples
            if sample == name + suffix
        }

    def test_metrics(self):
        found = openmetrics.parse(self.ctl("metrics"))
        self.assertEqual(
            [labels for _, labels, _ in found["pierre_dbd_server"].samples],
            [{"server": server["host"], "role": server["role"]} for server in SERVERS],
        )
        self.assertEqual(
            self.by_server(found, "pierre_dbd_server_connections"),
            {"db1:5432": 4, "db2:5432": 8, "db3:5432": 1, "db4:5432": 0},
        )
        self.assertEqual(
            self.by_server(found, "pierre_dbd_server_age_seconds"),
            {"db2:5432": 0.25, "db3:5432": 9},
        )
        self.assertEqual(
            self.by_server(found, "pierre_dbd_server_lag_bytes"),
            {"db2:5432": 16384, "db3:5432": 1 << 30},
        )
        self.assertEqual(
            self.by_server(found, "pierre_dbd_server_usable"),
            {"db2:5432": 1, "db3:5432": 0, "db4:5432": 0},
        )
        reads = self.by_server(found, "pierre_dbd_server_reads", "_total")
        self.assertEqual((reads["db1:5432"], reads["db3:5432"]), (0, 70))
        self.assertEqual(found["pierre_dbd_usable_standbys"].values(), [1])
        self.assertEqual(found["pierre_dbd_db_outage_seconds"].values(), [12])
        reasons = found["pierre_dbd_primary_reads"]
        self.assertEqual(reasons.values("_total", reason="behind"), [10])
        self.assertEqual(reasons.values("_total", reason="lost"), [0])
        self.assertEqual(len(reasons.samples), 6)
        classic = self.daemon.folder + "/servers.prom"
        self.ctl("metrics", "--output", classic)
        with open(classic, encoding="utf-8") as file:
            self.assertIn("pierre_dbd_server_reads_total", openmetrics.parse(file.read(), True))

    def test_stats(self):
        text = self.ctl("stats")
        self.assertRegex(text, r"\ndb2:5432 +standby +8 +\d+000 +250 +16384\n")
        self.assertRegex(text, r"\ndb4:5432 +unreachable +0 +0 +- +-  connection refused\n")

    def test_stats_fit_the_terminal(self):
        """Where lines are short, a column is left out and errors continue below each other."""
        for width in (80, 160):
            text = without_colours(shown([CTL, "--socket", self.socket.path, "stats"], width))
            for line in text.splitlines():
                self.assertLessEqual(len(line), width, line)
            self.assertRegex(text, r"\nserver +role.* reads +age in ms +lag in bytes\n")
            self.assertRegex(text, r"\ndb2:5432 +standby.* 250 +16384\n")
            self.assertRegex(text, r"\ndb4:5432 +unreachable.* - +-  connection")

    def test_top(self):
        line = json.loads(self.ctl("top", "--json", "--interval", "0.1", "--count", "1"))
        self.assertEqual([one["host"] for one in line["servers"]], [s["host"] for s in SERVERS])
        rates = [one["reads_per_second"] for one in line["servers"]]
        self.assertEqual((rates[0], rates[2], rates[3]), (0, 0, 0))
        self.assertGreater(rates[1], 0)
        self.assertEqual(rates[1], line["standby_reads_per_second"])
        reasons = line["primary_reads_per_second"]
        self.assertAlmostEqual(reasons["old"] * 10, rates[1], delta=rates[1] / 1e6)
        self.assertEqual(reasons["behind"], 0)

    def top(self, width):
        """A terminal that shows the standbys."""
        if shutil.which("tmux") is None:
            self.skipTest("tmux is not installed: the live view is NOT tested in a terminal")
        terminal = Terminal(width, 24, environment(TERM="tmux-256color"))
        self.addCleanup(terminal.close)
        self.within(20, lambda: "ready>" in terminal.text())
        terminal.type(shlex.join([CTL, "--socket", self.socket.path, "top", "--interval", "0.2"]))
        self.within(20, lambda: "   old " in terminal.text())
        return terminal

    def test_top_in_a_terminal(self):
        terminal = self.top(100)
        lines = terminal.lines()
        at = next(i for i, line in enumerate(lines) if line.startswith("standbys  "))
        self.assertRegex(
            lines[at],
            r"^standbys  reads [\d.k]+/s   on the primary [\d.k]+/s   old [\d.k]+"
            r"   no primary for 12.0 s$",
        )
        for line, pattern in zip(
            lines[at + 1 :],
            (
                r"db1:5432 +primary +4 connections",
                r"db2:5432 +standby +8 connections  [\d.k]+/s  age 250 ms  lag 16.0 KiB",
                r"db3:5432 +standby +1 connections  0.0/s  age 9.00 s  lag 1.00 GiB",
                r"db4:5432 +unreachable +0 connections  0.0/s  connection refused",
                r"process .*",
            ),
        ):
            self.assertRegex(line.strip(), f"^{pattern}$")
        self.assertLessEqual(len(lines), 24)

    def test_top_in_a_narrow_terminal(self):
        """Age and lag are never cut off."""
        self.addCleanup(setattr, self.socket, "change", self.socket.change)
        self.socket.change = self.with_long_names
        terminal = self.top(80)
        text = terminal.text()
        for pattern in (
            r"db2\.of-a-long-cloud\.re +standby +[\d.k]+/s  age 250 ms  lag 16.0 KiB\n",
            r"db3\.of-a-long-cloud\.re +standby +0.0/s  age 9.00 s  lag 1.00 GiB\n",
            r"db4\.of-a-long-cloud\.re +unreachable +0.0/s  connection refused\n",
        ):
            self.assertRegex(text, pattern)

    def with_long_names(self, stats):
        self.change(stats)
        for server in stats["servers"]:
            server["host"] = server["host"].replace(":", ".of-a-long-cloud.region.example.com:")

    def test_stats_with_long_names(self):
        """Names and errors wrap within their columns, and can be read in full."""
        self.addCleanup(setattr, self.socket, "change", self.socket.change)
        self.socket.change = self.with_long_names
        text = without_colours(shown([CTL, "--socket", self.socket.path, "stats"], 80))
        lines = text[text.index("\nserver ") + 1 :].split("\n\n")[0].splitlines()
        begin = lines[0].index("role")
        for line in lines:
            self.assertLessEqual(len(line), 80, line)
        names = "".join(line[:begin].strip() for line in lines[1:])
        hosts = (f"db{i}.of-a-long-cloud.region.example.com:5432" for i in (1, 2, 3, 4))
        self.assertEqual(names, "".join(hosts))
        at = next(line.index("connection") for line in lines if "connection" in line)
        errors = " ".join(line[at:] for line in lines[1:]).split()
        self.assertEqual(errors, ["connection", "refused"])

    def test_without_standbys(self):
        self.addCleanup(setattr, self.socket, "change", self.socket.change)
        self.socket.change = lambda stats: None
        line = json.loads(self.ctl("top", "--json", "--interval", "0.1", "--count", "1"))
        self.assertNotIn("servers", line)
        self.assertNotIn("server", self.ctl("stats").replace("method", ""))
        found = openmetrics.parse(self.ctl("metrics"))
        self.assertEqual([name for name in found if name.startswith("pierre_dbd_server")], [])
        self.assertNotIn("pierre_dbd_usable_standbys", found)
