"""Monitoring: metrics in both text formats, the file for node_exporter, the slow-call log, health.
Would catch: a text that a collector rejects, a number that does not change, half a file, parameters
in the log, an admin method that waits."""
import glob
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time

from lib import databases, openmetrics, strict
from lib.case import Case, DaemonCase
from lib.daemon import CTL, SLOW, Daemon
from lib.postgres_server import binary
from lib.world import World, new_user

SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE")
PROMISED = {
    "pierre_dbd_requests": "counter",
    "pierre_dbd_request_duration_seconds": "histogram",
    "pierre_dbd_db_pool_connections": "gauge",
    "pierre_dbd_db_pool_wait_seconds": "summary",
    "pierre_dbd_sqlite_wal_bytes": "gauge",
    "pierre_dbd_sqlite_checkpoints": "counter",
    "pierre_dbd_clients": "gauge",
    "pierre_dbd_loop_lag_seconds": "gauge",
    "pierre_dbd_protocol_errors": "counter",
    "pierre_dbd_paused": "gauge",
    "pierre_dbd_build": "info",
    "pierre_dbd_slow_calls": "counter",
    "process_cpu_seconds": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_open_fds": "gauge",
    "process_max_fds": "gauge",
    "process_start_time_seconds": "gauge",
    "process_threads": "gauge",
}
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def ctl(path, *arguments, code=0):
    environment = {name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ}
    done = subprocess.run(
        [CTL, "--socket", path, *arguments],
        capture_output=True,
        text=True,
        timeout=60 * SLOW,
        check=False,
        env=environment,
    )
    assert done.returncode == code, (arguments, done)
    return done.stdout


class Parser(Case):
    """The parser rejects what the format forbids; otherwise its success would prove nothing."""

    HEAD = "# TYPE a counter\n# HELP a A.\n"

    def test_refusals(self):
        hist = "# TYPE h histogram\n# HELP h H.\n"
        for text in (
            "",
            "# EOF",
            self.HEAD + "a_total 1\n",
            self.HEAD + "a 1\n# EOF\n",
            self.HEAD + "a_total -1\n# EOF\n",
            self.HEAD + "a_total  1\n# EOF\n",
            self.HEAD + "a_total 1\na_total 2\n# EOF\n",
            "a_total 1\n# EOF\n",
            self.HEAD + "a_total 1\n# HELP b B.\n" + "# EOF\n",
            self.HEAD + "a_total 1\n# UNIT a x\n# EOF\n",
            self.HEAD + "# UNIT a seconds\na_total 1\n# EOF\n",
            self.HEAD + self.HEAD + "# EOF\n",
            "# TYPE a thing\n# EOF\n",
            self.HEAD + 'a_total{x="1" ,y="2"} 1\n# EOF\n',
            self.HEAD + 'a_total{x="1",x="2"} 1\n# EOF\n',
            self.HEAD + 'a_total{x="\\t"} 1\n# EOF\n',
            self.HEAD + "a_total 0x1\n# EOF\n",
            self.HEAD + "\n# EOF\n",
            self.HEAD + "a_total 1\n# TYPE a_total gauge\n# HELP a_total T.\na_total 1\n# EOF\n",
            hist + 'h_bucket{le="1.0"} 1\nh_count 1\nh_sum 1\n# EOF\n',
            hist + 'h_bucket{le="1.0"} 2\nh_bucket{le="+Inf"} 1\nh_count 1\nh_sum 1\n# EOF\n',
            hist + 'h_bucket{le="+Inf"} 1\nh_count 2\nh_sum 1\n# EOF\n',
            hist + 'h_bucket{le="+Inf"} 1\nh_count 1\n# EOF\n',
        ):
            with self.subTest(text=text), self.assertRaises(ValueError):
                openmetrics.parse(text)

    def test_good(self):
        found = openmetrics.parse(
            self.HEAD + 'a_total{x="q\\"\\\\\\n",y=""} 1.5e+3\na_total 2\n# EOF\n'
        )
        self.assertEqual(
            found["a"].samples,
            [("a_total", {"x": 'q"\\\n', "y": ""}, 1500.0), ("a_total", {}, 2.0)],
        )
        self.assertEqual(
            openmetrics.parse(
                "# TYPE a_total counter\n# HELP a_total A.\na_total 1\n", classic=True
            )["a_total"].values(),
            [1.0],
        )


class Metrics(DaemonCase):
    options = ("--slow-call", "0")

    def metrics(self):
        return openmetrics.parse(ctl(self.daemon.socket_path, "metrics"))

    def test_all_that_is_promised_is_there(self):
        found = self.metrics()
        self.assertEqual({name: found[name].type for name in PROMISED if name in found}, PROMISED)
        self.assertEqual(
            {labels["state"] for _, labels, _ in found["pierre_dbd_db_pool_connections"].samples},
            {"idle", "active", "connecting"},
        )
        for name, family in found.items():
            self.assertTrue(family.help.endswith("."), name)
            self.assertRegex(name, r"^(pierre_dbd|process)_[a-z0-9_]+$")
            self.assertFalse(
                re.search(r"_(ms|us|ns|milliseconds|kb|total|count)$", name), name
            )  # base units; the format defines the suffixes
            for _, labels, _ in family.samples:
                self.assertLessEqual(
                    set(labels),
                    {
                        "method",
                        "outcome",
                        "le",
                        "code",
                        "state",
                        "reason",
                        "check",
                        "version",
                        "protocol",
                        "backend",
                        "engine",
                        "schema",
                    },
                )

    def test_all_rows_of_the_list_are_told(self):
        """daemon.stats has exactly the members of METRIC_LIST, and each metric in that list is
        printed."""
        with open(os.path.join(ROOT, "protocol/metrics/metric_list.h"), encoding="utf-8") as file:
            rows = re.findall(
                r'^\t(?:COUNTED|READ)\((counter|gauge), (\w+),[^"]*?(NULL|"\w+")', file.read(), re.M
            )
        stats = self.ok("daemon.stats")
        for kind in ("counter", "gauge"):
            self.assertEqual(
                list(stats[kind + "s"]), [member for own, member, _ in rows if own == kind]
            )
        found = self.metrics()
        for kind, _, metric in rows:
            if metric != "NULL":
                self.assertEqual(found[metric.strip('"')].type, kind)

    def test_numbers_move(self):
        self.ok("get_user_count")
        before = self.metrics()
        world = World(self.c)
        user = world.user()
        for _ in range(3):
            world.goal(user)
        self.refused("invalid_params", "get_user", user_id="x")
        self.c.send("{\n")
        self.c.read()
        time.sleep(0.01)
        after = self.metrics()

        def grown(name, suffix="", **labels):
            return sum(after[name].values(suffix, **labels)) - sum(
                before[name].values(suffix, **labels)
            )

        self.assertEqual(
            grown("pierre_dbd_requests", "_total", method="create_goal", outcome="ok"), 3
        )
        self.assertEqual(
            grown("pierre_dbd_requests", "_total", method="get_user", outcome="invalid_params"), 1
        )
        self.assertEqual(
            grown("pierre_dbd_request_duration_seconds", "_count", method="create_goal"), 3
        )
        self.assertGreater(
            grown("pierre_dbd_request_duration_seconds", "_sum", method="create_goal"), 0
        )
        self.assertEqual(
            grown(
                "pierre_dbd_request_duration_seconds", "_bucket", method="create_goal", le="+Inf"
            ),
            3,
        )
        self.assertEqual(grown("pierre_dbd_protocol_errors", "_total", code="parse_error"), 1)
        self.assertEqual(grown("pierre_dbd_protocol_errors", "_total", code="invalid_params"), 1)
        # Four writes: each waited for its turn, for more than no time and less than the total.
        self.assertGreaterEqual(grown("pierre_dbd_db_pool_wait_seconds", "_count"), 4)
        self.assertGreater(grown("pierre_dbd_db_pool_wait_seconds", "_sum"), 0)
        self.assertLess(grown("pierre_dbd_db_pool_wait_seconds", "_sum"), 30)
        self.assertGreaterEqual(grown("pierre_dbd_db_transactions", "_total"), 4)
        self.assertGreater(after["process_cpu_seconds"].values("_total")[0], 0)
        self.assertGreater(after["process_resident_memory_bytes"].values()[0], 1 << 20)
        self.assertLess(abs(after["process_start_time_seconds"].values()[0] - time.time()), 600)
        if self.daemon.backend == "sqlite":
            self.within(
                5, lambda: self.metrics()["pierre_dbd_sqlite_wal_bytes"].values()[0] > 0
            )  # updated once a second

    def test_requests_and_durations_agree(self):
        found = self.metrics()
        for _, labels, number in found["pierre_dbd_request_duration_seconds"].samples:
            if "le" in labels and labels["le"] == "+Inf":
                self.assertEqual(
                    sum(found["pierre_dbd_requests"].values("_total", method=labels["method"])),
                    number,
                    labels,
                )

    def test_as_json(self):
        """The source data of the metrics."""
        found = json.loads(ctl(self.daemon.socket_path, "metrics", "--json"))
        self.assertEqual(set(found), {"version", "health", "stats"})
        self.assertEqual(
            (found["health"]["status"], found["version"]),
            ("ok", self.daemon.call("daemon.version")),
        )
        self.assertIn("gauges", found["stats"])

    def test_file_for_the_collector(self):
        path = os.path.join(self.daemon.folder, "pierre.prom")
        self.assertEqual(ctl(self.daemon.socket_path, "metrics", "--output", path), "")
        with open(path, encoding="utf-8") as file:
            found = openmetrics.parse(file.read(), classic=True)
        self.assertEqual(found["pierre_dbd_requests_total"].type, "counter")
        self.assertEqual(found["pierre_dbd_build_info"].type, "gauge")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o644)
        # A reader of a file that is rewritten repeatedly always sees a complete file.
        stop, broken, reads = threading.Event(), [], [0]

        def reader():
            while not stop.is_set():
                try:
                    with open(path, encoding="utf-8") as file:
                        openmetrics.parse(file.read(), classic=True)
                    reads[0] += 1
                except (OSError, ValueError) as problem:
                    broken.append(problem)
                    return

        thread = threading.Thread(target=reader)
        thread.start()
        for _ in range(10):
            ctl(self.daemon.socket_path, "metrics", "--output=" + path)
        stop.set()
        thread.join()
        self.assertEqual(broken, [])
        self.assertGreater(reads[0], 0)
        with open(path, encoding="utf-8") as file:
            old = file.read()
        ctl("/nonexistent/socket", "metrics", "--output", path, code=75)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), old)
        ctl(self.daemon.socket_path, "metrics", "--output", f"{path}.none/x.prom", code=73)
        self.assertEqual(glob.glob(path + "*"), [path])

    def test_table(self):
        """Every metric is in the table, and every member of daemon.stats is in a metric. The
        exporter's own are in the table only, as are those of servers without standbys."""
        rows = re.findall(
            r"^\| `([a-z_0-9]+)` \| (\w+) \| (.+) \|$",
            ctl("/nonexistent/socket", "metrics", "--markdown"),
            re.MULTILINE,
        )
        found = openmetrics.parse(ctl(self.daemon.socket_path, "metrics"))
        suffix = {"counter": "_total", "info": "_info"}
        self.assertEqual(
            {(name + suffix.get(family.type, ""), family.type) for name, family in found.items()},
            {
                (name, kind)
                for name, kind, _ in rows
                if "_exporter_" not in name and not openmetrics.OF_SERVERS.match(name)
            },
        )


class SlowCalls(Case):
    def test_log(self):
        """Above the threshold: method, duration, rows and client, never a parameter. Below it, and
        with 0: nothing."""
        daemon = Daemon(options=["--slow-call", "1ms", "--bcrypt-cost", "10"])
        self.addCleanup(daemon.discard)
        daemon.start()
        email, password = new_user()["email"], "canary password of a slow call"
        user = daemon.call("create_user", user={"email": email, "password": password})
        self.logged(daemon, "slow call", 5)
        line = next(line for line in daemon.log().splitlines() if "slow call" in line)
        self.assertRegex(
            line, r"method=create_user duration_ms=\d+\.\d+ rows=1 uid=\d+ pid=\d+ outcome=ok$"
        )
        self.assertGreater(float(re.search(r"duration_ms=([\d.]+)", line)[1]), 1)
        for text in (email, password, user):
            self.assertNotIn(text, daemon.log())
        self.within(
            5,
            lambda: daemon.call("daemon.stats")["counters"]["slow_calls"]
            == daemon.log().count("slow call"),
        )
        daemon.stop()
        for limit in ("0", "1h"):
            with Daemon(options=["--slow-call", limit]) as quiet:
                quiet.call("create_user", user={"email": email, "password": password})
                self.assertEqual(quiet.call("daemon.stats")["counters"]["slow_calls"], 0)
                self.assertNotIn("slow call", quiet.log())


class AdminPath(Case):
    """health, stats, ping and the metrics answer at once, whatever state the daemon is in."""

    METHODS = (
        "daemon.ping",
        "daemon.version",
        "daemon.stats",
        "daemon.clients",
        "daemon.config",
        "daemon.diagnose",
    )

    def daemon(self, *options, **more):
        daemon = Daemon(options=options, **more)
        self.addCleanup(daemon.discard)
        return daemon.start()

    def answers(self, connection, slow=False):
        """Each answers within a second (health may wait 2 s for the database, and reports it).
        Returns the health."""
        for method in self.METHODS:
            began = time.monotonic()
            connection.call(method)
            self.assertLess(time.monotonic() - began, 1.0 * SLOW, method)
        began = time.monotonic()
        health = connection.call("daemon.health")
        self.assertLess(time.monotonic() - began, (3.0 if slow else 1.0) * SLOW)
        self.assertTrue(health["live"])
        return health

    def hold(self, daemon):
        """Blocks all writes from now on. Returns the function that ends it."""
        if daemon.backend == "sqlite":
            outsider = sqlite3.connect(daemon.database.path, isolation_level=None)
            outsider.execute("BEGIN IMMEDIATE")
            self.addCleanup(outsider.close)
            return outsider.close
        outsider = subprocess.Popen(
            [binary("psql"), "-XAtq", "-d", daemon.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

        def end():
            if outsider.poll() is None:
                outsider.communicate("ROLLBACK;\n", timeout=30)

        self.addCleanup(end)
        outsider.stdin.write("BEGIN; LOCK TABLE users IN EXCLUSIVE MODE; SELECT 'held';\n")
        outsider.stdin.flush()
        self.assertEqual(outsider.stdout.readline(), "held\n")
        return end

    def test_while_it_drains(self):
        daemon = self.daemon("--drain-timeout", "30s")
        c, writer = daemon.connect(), daemon.connect()
        c.call("daemon.ping")
        release = self.hold(daemon)
        number = writer.request("create_user", user=new_user())
        self.within(5, lambda: c.call("daemon.stats")["gauges"]["in_flight"] == 1)
        daemon.signal(signal.SIGTERM)
        self.within(5, lambda: c.call("daemon.stats")["gauges"]["draining"] == 1)
        health = self.answers(c, slow=True)
        self.assertFalse(health["ready"])
        self.assertIn("stopping", strict.dumps(health))
        self.assertEqual(c.error("get_user_count").kind, "shutting_down")
        self.assertFalse(c.call("daemon.reload")["reloaded"])
        release()
        self.assertIn("result", writer.answer(number))
        self.assertEqual(daemon.wait(), 0)

    def test_while_the_queue_is_full(self):
        daemon = self.daemon(
            "--pool", "1", "--pool-queue", "5", "--in-flight-limit", "2000", "--call-timeout", "60s"
        )
        release = self.hold(daemon)
        with daemon.connect() as flood:
            numbers = [flood.request("create_user", user=new_user()) for _ in range(300)]
            with daemon.connect() as c:
                self.within(5, lambda: c.call("daemon.stats")["gauges"]["in_flight"] > 0)
                self.answers(c, slow=True)
                openmetrics.parse(ctl(daemon.socket_path, "metrics"))
                release()
                for number in numbers:
                    flood.answer(number)
                self.within(10, lambda: c.call("daemon.health")["ready"])
        daemon.stop()

    def test_while_it_is_paused(self):
        daemon = self.daemon()
        with daemon.connect() as c:
            c.call("daemon.pause")
            daemon.connect().request("get_user_count")
            health = self.answers(c)
            self.assertEqual((health["status"], health["ready"]), ("degraded", False))
            openmetrics.parse(ctl(daemon.socket_path, "metrics"))
            c.call("daemon.resume")
            self.assertTrue(c.call("daemon.health")["ready"])
        daemon.stop()

    def test_while_its_clients_are_too_many(self):
        """Places reserved for administrators beyond the limit; other clients are refused as
        usual."""
        daemon = self.daemon("--connections", "3", "--admin-connections", "2")
        crowd = daemon.admitted(5)
        with daemon.connect() as refused:
            self.assertEqual(refused.read()["error"]["data"]["kind"], "overloaded")
        self.answers(crowd[4])
        self.assertEqual(crowd[4].call("daemon.stats")["gauges"]["clients"], 5)
        for client in crowd:
            client.close()
        daemon.stop()

    def test_without_the_database(self):
        if databases.chosen() == "sqlite":
            self.lose_sqlite()
        else:
            self.lose_postgres()

    def lose_sqlite(self):
        """Another program locks the file so that not even a read succeeds."""
        daemon = self.daemon("--call-timeout", "60s")
        World(daemon.connect()).user()
        with daemon.connect() as c:
            self.assertIsInstance(c.call("daemon.health")["database_age_ms"], float)
            release = self.hold(daemon)
            with daemon.connect() as writer:
                number = writer.request("create_user", user=new_user())
                self.within(5, lambda: c.call("daemon.stats")["gauges"]["in_flight"] == 1)
                self.answers(c, slow=True)
                release()
                self.assertIn("result", writer.answer(number))
            self.assertTrue(c.call("daemon.health")["ready"])
        daemon.stop()

    def lose_postgres(self):
        from lib.postgres_server import PostgresServer

        server = PostgresServer().start()
        self.addCleanup(server.stop)
        daemon = self.daemon(database=server.url)
        with daemon.connect() as c:
            c.call("get_user_count")
            self.assertTrue(c.call("daemon.health")["ready"])
            server.shut("immediate")
            self.within(10, lambda: c.call("daemon.health")["status"] == "down")
            health = self.answers(c, slow=True)
            self.assertFalse(health["ready"])
            self.assertGreater(health["database_age_ms"], 0)
            self.assertIn("last_error", strict.dumps(c.call("daemon.diagnose")))
            found = openmetrics.parse(ctl(daemon.socket_path, "metrics"))
            self.assertEqual(found["pierre_dbd_check_status"].values(check="database"), [2.0])
            self.assertEqual(
                json.loads(ctl(daemon.socket_path, "ready", "--json", code=1))["ready"], False
            )
            self.assertIn("fail", ctl(daemon.socket_path, "doctor", code=1))
            server.launch()
            self.within(20, lambda: c.call("daemon.health")["ready"])
            self.logged(daemon, "the database answers again")
            self.assertEqual(daemon.log().count("the database answers again"), 1)
        daemon.stop()
