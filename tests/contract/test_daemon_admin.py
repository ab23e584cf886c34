"""The administrators' methods: clients, config, reload, pause, resume, diagnose. Would catch: a
secret setting that is shown, a reload that applies half of a wrong file, a paused daemon that
executes calls, ignores their order or time limit, or loses one."""
import os
import re
import signal
import time

from lib import databases, strict
from lib.case import Case, DaemonCase
from lib.daemon import SLOW, Daemon
from lib.rpc import result_of
from lib.world import World, new_user


def own(clients):
    return next(client for client in clients if client["self"])


class Clients(DaemonCase):
    def test_who_is_connected(self):
        other = self.daemon.connect()
        other.call("get_user_count")
        found = self.ok("daemon.clients")["clients"]
        self.assertEqual([client["self"] for client in found].count(True), 1)
        self.assertEqual(
            [client["id"] for client in found], sorted({client["id"] for client in found})
        )
        mine, its = own(found), found[-1]
        for client in (mine, its):
            self.assertEqual(
                (client["uid"], client["gid"], client["pid"]),
                (os.getuid(), os.getgid(), os.getpid()),
            )
            self.assertEqual(
                (client["role"], client["in_flight"], client["unsent_bytes"], client["reading"]),
                ("admin", 0, 0, True),
            )
            self.assertGreaterEqual(client["connected_seconds"], client["idle_seconds"])
        self.assertFalse(its["self"])
        self.assertEqual(its["lines"], 1)
        self.assertGreater(its["bytes_in"], 20)
        self.assertGreater(its["bytes_out"], 20)
        again = own(self.ok("daemon.clients")["clients"])
        self.assertEqual(again["lines"], mine["lines"] + 1)
        other.close()
        self.within(
            5,
            lambda: its["id"]
            not in {client["id"] for client in self.ok("daemon.clients")["clients"]},
        )

    def test_a_client_that_is_not_read(self):
        """A client with the maximum of calls in flight is shown as not being read."""
        self.ok("daemon.pause")
        with self.daemon.connect() as flood:
            flood.send(
                "".join(
                    strict.dumps({"jsonrpc": "2.0", "id": n, "method": "get_user_count"}) + "\n"
                    for n in range(300)
                )
            )
            stuck = self.within(
                5,
                lambda: [
                    client
                    for client in self.ok("daemon.clients")["clients"]
                    if not client["reading"]
                ],
            )
            self.assertEqual((len(stuck), stuck[0]["in_flight"]), (1, 256))
            self.ok("daemon.resume")
            self.within(
                5, lambda: all(client["reading"] for client in self.ok("daemon.clients")["clients"])
            )


class Config(Case):
    def test_values_and_sources(self):
        daemon = Daemon(
            options=["--batch-limit", "7", "--env-file", "settings"],
            environment={"PIERRE_DBD_SLOW_CALL": "250ms"},
        )
        self.addCleanup(daemon.discard)
        with open(os.path.join(daemon.folder, "settings"), "w", encoding="utf-8") as file:
            file.write("PIERRE_DBD_CONNECTIONS=77\n")
        daemon.start()
        config = daemon.call("daemon.config")
        self.assertEqual(config["file"], "settings")
        found = {setting["name"]: setting for setting in config["settings"]}
        self.assertEqual(len(found), len(config["settings"]))
        for name, value, fallback, source in (
            ("batch_limit", "7", "1000", "flag"),
            ("slow_call", "250ms", "1s", "environment"),
            ("connections", "77", "1024", "file"),
            ("line_limit", "1MiB", "1MiB", "default"),
            ("encryption_key", "***", "", "environment"),
        ):
            self.assertEqual(
                [found[name][member] for member in ("value", "default_value", "source")],
                [value, fallback, source],
            )
        self.assertEqual(
            (found["connections"]["flag"], found["connections"]["environment"]),
            ("connections", "PIERRE_DBD_CONNECTIONS"),
        )
        self.assertIsNone(found["encryption_key"]["flag"])
        self.assertEqual((found["connections"]["reloads"], found["pool"]["reloads"]), (True, False))
        self.assertNotIn(daemon.key, strict.dumps(config))
        self.assertEqual(found["database_url"]["source"], "flag")
        self.assertEqual(
            found["database_url"]["value"], re.sub(r"(//[^:/@]*:)[^@/]*@", r"\1***@", daemon.url)
        )
        daemon.stop()


class Reload(Case):
    def setUp(self):
        self.daemon = Daemon(options=["--env-file", "settings", "--batch-limit", "7"])
        self.addCleanup(self.daemon.discard)
        self.write("PIERRE_DBD_CONNECTIONS=77\nPIERRE_DBD_POOL=3\n")
        self.daemon.start()

    def write(self, text):
        with open(os.path.join(self.daemon.folder, "settings"), "w", encoding="utf-8") as file:
            file.write(text)

    def value(self, name):
        return next(
            one["value"]
            for one in self.daemon.call("daemon.config")["settings"]
            if one["name"] == name
        )

    def test_takes_what_may_change(self):
        nothing = {"reloaded": True, "error": None, "changed": [], "need_restart": []}
        self.same(self.daemon.call("daemon.reload"), nothing)
        self.write(
            "PIERRE_DBD_CONNECTIONS=78\nPIERRE_DBD_POOL=4\nPIERRE_DBD_BATCH_LIMIT=9\n"
            "PIERRE_DBD_LINE_LIMIT=2KiB\n"
        )
        with self.daemon.connect() as old:
            old.call("daemon.ping")
            self.same(
                self.daemon.call("daemon.reload"),
                {**nothing, "changed": ["connections", "line_limit"], "need_restart": ["pool"]},
            )
            self.assertEqual(
                [self.value(name) for name in ("connections", "pool", "batch_limit")],
                ["78", "3", "7"],
            )
            # Connected clients get the new setting, too.
            old.send(
                b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"' + b" " * 4000 + b"}\n", note=False
            )
            self.assertEqual(old.read()["error"]["data"]["kind"], "too_large")
        self.assertEqual(self.daemon.call("daemon.stats")["counters"]["reloads"], 2)
        self.daemon.stop()

    def test_wrong_settings_change_nothing(self):
        for text in (
            "PIERRE_DBD_CONNECTIONS=78\nPIERRE_DBD_POOL=many\n",
            "PIERRE_DBD_CONNECTIONS=78\nPIERRE_DBD_ACCESS=user:no-such-user=read\n",
        ):
            self.write(text)
            answer = self.daemon.call("daemon.reload")
            self.assertEqual(
                (answer["reloaded"], answer["changed"], answer["need_restart"]), (False, [], [])
            )
            self.assertRegex(answer["error"], "PIERRE_DBD_POOL|no-such-user")
            self.assertEqual(self.value("connections"), "77")
        self.logged(self.daemon, "the old settings stay")
        self.daemon.stop()

    def test_warnings(self):
        """A reload logs the same warnings as a start."""
        self.write("PIERRE_DBD_CONNECTIONS=77\nPIERRE_DBD_BATCH_LIMITT=9\n")
        self.assertTrue(self.daemon.call("daemon.reload")["reloaded"])
        self.logged(
            self.daemon,
            "settings: there is no setting PIERRE_DBD_BATCH_LIMITT; "
            "did you mean PIERRE_DBD_BATCH_LIMIT?",
        )
        self.daemon.stop()

    def test_signal_and_notification(self):
        self.write("PIERRE_DBD_CONNECTIONS=79\n")
        self.daemon.signal(signal.SIGHUP)
        self.within(5, lambda: self.value("connections") == "79")
        self.write("PIERRE_DBD_CONNECTIONS=80\n")
        with self.daemon.connect() as c:
            c.send('{"jsonrpc":"2.0","method":"daemon.reload"}\n')
            self.assertEqual(c.call("daemon.ping"), "pong")  # and no other answer came before it
        self.assertEqual(self.value("connections"), "80")
        self.daemon.stop()


class Pause(DaemonCase):
    options = ("--acquire-timeout", "500ms")

    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: self.daemon.alive() and self.daemon.call("daemon.resume"))

    def paused_calls(self):
        return self.c.call("daemon.stats")["gauges"]["paused_calls"]

    def test_new_calls_wait_and_go_on(self):
        self.same(self.ok("daemon.pause"), {"paused": True, "under_way": 0, "waiting": 0})
        with self.daemon.connect() as waiting:
            first = waiting.request("create_user", user=new_user())
            second = waiting.request("get_user_count")
            self.within(5, lambda: self.paused_calls() == 2)
            # The daemon's own methods are answered meanwhile, also on the waiting connection.
            for method in (
                "daemon.ping",
                "daemon.version",
                "daemon.stats",
                "daemon.config",
                "daemon.clients",
                "daemon.diagnose",
            ):
                waiting.call(method)
            health = waiting.call("daemon.health")
            self.assertEqual(
                (health["status"], health["live"], health["ready"]), ("degraded", True, False)
            )
            self.assertIn("paused: 2 calls wait", strict.dumps(health))
            gauges = self.ok("daemon.stats")["gauges"]
            self.assertEqual((gauges["paused"], gauges["in_flight"]), (1, 2))
            self.same(self.ok("daemon.pause"), {"paused": True, "under_way": 0, "waiting": 2})
            time.sleep(0.7)  # longer than the acquire timeout, which does not run yet
            self.same(self.ok("daemon.resume"), {"paused": False, "under_way": 0, "waiting": 2})
            self.assertIsInstance(result_of(waiting.answer(first)), str)
            self.assertGreaterEqual(result_of(waiting.answer(second)), 1)
        self.assertTrue(self.ok("daemon.health")["ready"])
        self.assertEqual(self.ok("daemon.stats")["gauges"]["paused_calls"], 0)
        self.same(self.ok("daemon.resume"), {"paused": False, "under_way": 0, "waiting": 0})

    def test_order_is_kept(self):
        """Calls that arrive during the pause, with the resume or after it take effect in the order
        in which they were sent. All of them are one small piece of data, so that the requests after
        the resume are mostly read in the same loop iteration, before the pending ones continue."""
        user = World(self.c).user()
        goal = World(self.c).goal(user)
        for _ in range(10):
            self.ok("daemon.pause")
            with self.daemon.connect() as c:
                text, reads = b"", []
                for n in range(12):
                    if n == 9:
                        text += c.encode("daemon.resume")[0]
                    text += c.encode(
                        "update_goal_progress", {"goal_id": goal, "current_value": n + 0.5}
                    )[0]
                    line, number = c.encode("get_user_goals", {"user_id": user})
                    text += line
                    reads.append(number)
                c.send(text, note=False)
                self.same(
                    [result_of(c.answer(number))[0]["current_value"] for number in reads],
                    [n + 0.5 for n in range(12)],
                    ordered=True,
                )
                self.assertEqual(
                    c.call("get_user_goals", user_id=user)[0]["current_value"], 11.5
                )  # the last request is the last one executed

    def test_password_and_batch(self):
        """A password that is hashed first, the request after it, and a batch: all are deferred as a
        whole and answered normally."""
        self.ok("daemon.pause")
        email = new_user()["email"]
        with self.daemon.connect() as c, self.daemon.connect() as batch:
            made = c.request("create_user", user={"email": email, "password": "correct horse"})
            found = c.request("get_user_by_email", email=email)
            batch.send(
                strict.dumps(
                    [
                        {
                            "jsonrpc": "2.0",
                            "id": "a",
                            "method": "get_user_by_email",
                            "params": ["nobody@example.com"],
                        },
                        {"jsonrpc": "2.0", "method": "get_user_count"},
                        {"jsonrpc": "2.0", "id": "b", "method": "daemon.ping"},
                    ]
                )
                + "\n"
            )
            self.within(5, lambda: self.paused_calls() == 4)
            self.assertTrue(batch.silent(0.1))
            self.ok("daemon.resume")
            self.assertEqual([one["result"] for one in batch.read()], [None, "pong"])
            self.assertEqual(result_of(c.answer(found))["id"], result_of(c.answer(made)))

    def test_who_leaves_is_not_missed(self):
        """A client disconnects while its calls are pending: nothing of it remains, and its writes
        are executed in order."""
        before = self.ok("get_user_count")
        self.ok("daemon.pause")
        with self.daemon.connect() as c:
            c.send(
                strict.dumps({"jsonrpc": "2.0", "method": "create_user", "params": [new_user()]})
                + "\n"
            )
            self.within(5, lambda: self.paused_calls() == 1)
        self.ok("daemon.resume")
        self.within(5, lambda: self.ok("get_user_count") == before + 1)
        self.within(5, lambda: self.ok("daemon.stats")["gauges"]["in_flight"] == 0)

    def test_notifications(self):
        with self.daemon.connect() as c:
            c.send('{"jsonrpc":"2.0","method":"daemon.pause"}\n')
            self.assertEqual(c.call("daemon.ping"), "pong")
            self.assertEqual(self.ok("daemon.stats")["gauges"]["paused"], 1)
            c.send('{"jsonrpc":"2.0","method":"daemon.resume"}\n')
            self.assertEqual(c.call("daemon.ping"), "pong")
            self.assertEqual(self.ok("daemon.stats")["gauges"]["paused"], 0)


class PauseAndTimeLimit(DaemonCase):
    options = ("--call-timeout", "1s")

    def test_time_limit_runs_on(self):
        self.ok("daemon.pause")
        began = time.monotonic()
        problem = self.daemon_error("create_user", user=new_user())
        took = time.monotonic() - began
        self.assertEqual((problem.kind, problem.data["outcome"]), ("timeout", "none"))
        self.assertIn("paused", str(problem))
        self.assertGreater(took, 0.95)
        self.assertLess(took, 1 + 5 * SLOW)
        self.ok("daemon.resume")
        self.ok("create_user", user=new_user())

    def daemon_error(self, method, **params):
        with self.daemon.connect() as c:
            return c.error(method, **params)


class StopWhilePaused(Case):
    def test_waiting_calls_are_told(self):
        daemon = Daemon().start()
        self.addCleanup(daemon.discard)
        c = daemon.connect()
        count = c.call("get_user_count")
        c.call("daemon.pause")
        number = c.request("create_user", user=new_user())
        c.call("daemon.ping")
        self.assertEqual(daemon.terminate(), 0)
        answer = c.answer(number)
        self.assertEqual(
            (answer["error"]["code"], answer["error"]["data"]["retryable"]), (-32010, True)
        )
        daemon.start()
        self.assertEqual(daemon.call("get_user_count"), count)  # and no call is deferred any more
        daemon.stop()


class Diagnose(DaemonCase):
    def find(self, daemon, name):
        return next(
            (one for one in daemon.call("daemon.diagnose")["findings"] if one["name"] == name), None
        )

    def test_all_is_well(self):
        found = {one["name"]: one for one in self.ok("daemon.diagnose")["findings"]}
        wanted = {
            "key",
            "password_costs",
            "last_error",
            "descriptors",
            "clients",
            "core_dumps",
            "socket",
            "clock",
            "schema",
            "log",
            "token_format",
        }
        wanted |= (
            {"database_file", "database_folder", "disk_space", "wal"}
            if self.daemon.backend == "sqlite"
            else {"connections", "timeline"}
        )
        wanted |= {"standbys", "server"} if databases.on_standby() else set()
        self.assertEqual(set(found) - {"settings_file"}, wanted)
        for name in wanted - {"disk_space", "key"}:  # these depend on the machine
            self.assertEqual(
                (found[name]["status"], found[name]["advice"]), ("ok", None), found[name]
            )
        self.assertRegex(found["key"]["detail"], r"fingerprint [0-9a-f]{16}")
        self.assertNotIn(self.daemon.key, strict.dumps(found))

    def test_the_fingerprint_tells_keys_apart(self):
        fingerprints = []
        for key in (self.daemon.key, None):
            with Daemon("sqlite", key=key) as daemon:
                fingerprints.append(self.find(daemon, "key")["detail"][12:28])
        self.assertEqual(fingerprints[0], self.find(self.daemon, "key")["detail"][12:28])
        self.assertNotEqual(fingerprints[0], fingerprints[1])

    def test_what_is_wrong_is_found(self):
        folder = Daemon("sqlite")
        self.addCleanup(folder.discard)
        folder.options += [
            "--socket-mode",
            "0666",
            "--encryption-key-file",
            os.path.join(folder.folder, "key"),
        ]
        folder.pass_key = False
        path = os.path.join(folder.folder, "key")
        with open(
            path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)
        ) as file:
            file.write(folder.key)
        folder.start()
        self.assertEqual(self.find(folder, "key_file")["status"], "ok")
        self.assertEqual(self.find(folder, "socket")["status"], "warn")
        os.chmod(path, 0o640)
        os.chmod(folder.database.path, 0o644)
        os.chmod(folder.folder, 0o777)
        folder.call("daemon.pause")
        for name, word in (
            ("key_file", "0640"),
            ("database_file", "0644"),
            ("database_folder", "changed"),
            ("paused", "0 calls"),
        ):
            found = self.find(folder, name)
            self.assertEqual(found["status"], "warn", found)
            self.assertIn(word, found["detail"])
            self.assertTrue(found["advice"])
        os.chmod(folder.folder, 0o755)
        os.unlink(path)
        self.assertIn("No such file", self.find(folder, "key_file")["detail"])
        with folder.connect() as c:
            os.unlink(folder.socket_path)
            self.assertEqual(
                next(
                    one for one in c.call("daemon.diagnose")["findings"] if one["name"] == "socket"
                )["status"],
                "fail",
            )
        folder.stop()
