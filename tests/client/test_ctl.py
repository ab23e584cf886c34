"""pierre-dbctl for users and scripts, with a real daemon and without one."""
import json
import os
import re
import subprocess

from lib import interface
from lib.case import Case, DaemonCase
from lib.daemon import CTL, SLOW
from lib.terminal import environment, shown, without_colours

HASH = "$2b$12$" + "a" * 53


class CtlCase(Case):
    socket = "/nonexistent/socket"

    def ctl(self, *arguments, stdin="", **variables):
        variables.setdefault("PIERRE_DBD_SOCKET", self.socket)
        return subprocess.run(
            [CTL, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120 * SLOW,
            check=False,
            env=environment(**variables),
        )

    def good(self, *arguments, **more):
        """Returns its stdout; stderr must be empty."""
        done = self.ctl(*arguments, **more)
        self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
        return done.stdout

    def bad(self, code, *arguments, **more):
        """Returns its stderr; stdout must be empty."""
        done = self.ctl(*arguments, **more)
        self.assertEqual((done.returncode, done.stdout), (code, ""), (arguments, done.stderr))
        self.assertNotEqual(done.stderr, "")
        return done.stderr


class WithoutDaemon(CtlCase):
    def test_help(self):
        text = self.good("--help")
        self.assertLess(text.index("Examples:"), text.index("usage:"))
        self.assertEqual((self.good("help"), self.good("help", "help")), (text, text))
        commands = re.findall(
            r"^  ([a-z-]+) {2,}\S",
            text[text.index("Commands:") : text.index("Options")],
            re.MULTILINE,
        )
        self.assertGreaterEqual(
            set(commands),
            {
                "call",
                "transaction",
                "methods",
                "describe",
                "ping",
                "ready",
                "health",
                "stats",
                "metrics",
                "bench",
                "socket",
                "version",
                "completion",
            },
        )
        for command in commands:
            own = self.good(command, "--help")
            self.assertIn(f"usage: pierre-dbctl {command}", own)
            self.assertLess(own.index("Example"), own.index("usage:"))
            self.assertEqual(self.good("help", command), own)

    def test_usage(self):
        self.assertIn("usage:", self.bad(64))
        self.assertIn('did you mean "health"?', self.bad(64, "heatlh"))
        self.assertIn("--help lists them", self.bad(64, "xyzzy"))
        for arguments in (
            ("--socket",),
            ("--socket", ""),
            ("--socket=",),
        ):  # an unset variable must not select another daemon
            self.assertEqual(
                self.bad(64, "ping", *arguments), "pierre-dbctl: --socket requires a value\n"
            )
        self.assertIn("--timeout expects seconds", self.bad(64, "--timeout", "soon", "ping"))
        self.assertIn("accepts no arguments", self.bad(64, "ping", "x"))
        self.assertIn("call requires a method", self.bad(64, "call"))
        self.assertIn("no option --fast", self.bad(64, "call", "--fast", "x"))

    def test_messages_for_programs(self):
        """With --json in any place, an error is one JSON text on stderr, in the form of a failed
        call."""
        for code, kind, *arguments in (
            (64, "usage", "heatlh"),
            (64, "usage", "call", "get_usr"),
            (64, "usage", "--timeout", "soon", "ping"),
            (64, "usage", "call", "get_user", "user_idd=x"),
            (66, "no_input", "call", "get_user", "user_id=@/none"),
            (64, "usage", "metrics", "--output", "x"),
            (64, "usage", "transfer", "--from", "sqlite:x"),
            (66, "no_input", "verify", "/none"),
            (75, "no_connection", "health"),
            (64, "usage", "backup"),
        ):
            for place in (0, len(arguments)):
                err = self.bad(code, *arguments[:place], "--json", *arguments[place:])
                error = json.loads(err)["error"]
                self.assertEqual((error["kind"], err.count("\n")), (kind, 1), err)
                self.assertEqual(error["retryable"], code == 75)
        self.assertIn('"message":"unknown command \\"a\\nb\\"', self.bad(64, "--json", "a\nb"))

    def test_version_and_socket(self):
        self.assertRegex(self.good("--version"), r"^pierre-dbctl \d+\.\d+\.\d+\n$")
        self.assertEqual(self.good("socket"), self.socket + "\n")
        self.assertEqual(self.good("socket", "--socket=/a/b"), "/a/b\n")
        self.assertEqual(json.loads(self.good("--json", "socket")), {"socket": self.socket})
        self.assertEqual(
            self.good("socket", PIERRE_DBD_SOCKET="", RUNTIME_DIRECTORY="/run/x"),
            "/run/x/pierre-dbd.sock\n",
        )
        self.assertEqual(
            self.good("socket", PIERRE_DBD_SOCKET="", XDG_RUNTIME_DIR="/run/user/9"),
            "/run/user/9/pierre-dbd.sock\n",
        )

    def test_no_daemon(self):
        for arguments in (
            ("ping",),
            ("health",),
            ("call", "get_user_count"),
            ("stats",),
            ("metrics",),
            ("bench", "daemon.ping"),
        ):
            err = self.bad(75, *arguments)
            self.assertIn(self.socket, err)
            self.assertIn("is pierre-dbd running?", err)
            self.assertIn("try:", err)
        self.bad(1, "ready")
        error = json.loads(self.bad(75, "--json", "ping"))["error"]
        self.assertEqual(
            (error["kind"], error["retryable"], error["outcome"]), ("no_connection", True, "none")
        )

    def test_methods(self):
        names = self.good("methods", "--names").split()
        self.assertEqual(sorted(names), sorted(interface.METHODS))
        self.assertEqual(json.loads(self.good("methods", "--names", "--json")), names)
        text = self.good("methods")
        for name in names:
            self.assertIn(f"  {name} ", text)
        listed = json.loads(self.good("methods", "--json"))
        self.assertEqual([entry["name"] for entry in listed], names)
        self.assertEqual({entry["access"] for entry in listed}, {"read", "write", "full", "admin"})
        self.assertTrue(all(entry["summary"] for entry in listed))

    def test_describe(self):
        for name in self.good("methods", "--names").split():
            text = self.good("describe", name)
            self.assertTrue(text.startswith(name + "("), text)
            self.assertIn("\naccess: ", text)
            self.assertIn("\nerrors: ", text)
            self.assertNotIn("any JSON  ", text)
            self.assertEqual(json.loads(self.good("describe", name, "--json"))["name"], name)
        text = self.good("describe", "get_user_insights")
        self.assertRegex(text, r"limit +u32\? = 50, 0 to 1000  Maximum")
        self.assertRegex(
            self.good("describe", "create_user"), r"password +string\?, at most 72 bytes  The"
        )
        self.assertRegex(
            self.good("describe", "create_api_key"),
            r"\n  tier +tier  The[\s\S]*\ntier: Service[\s\S]*\n  trial\n",
        )
        self.assertIn("reads: causal (a standby may answer)\n", text)
        self.assertIn("reads: exact (the primary answers)\n", self.good("describe", "get_user"))
        self.assertNotIn("reads:", self.good("describe", "create_user"))
        text = self.good("describe", "daemon.health")
        self.assertRegex(text, r"\n  database_age_ms +f64\?  Time")
        self.assertRegex(text, r"\nDaemonCheck: A health[\s\S]*\n  status +health  Outcome")
        self.assertEqual(text.count("\nhealth: "), 1)
        self.assertRegex(self.good("describe", "create_user"), r"id +uuid\? = new_uuid ")
        self.assertRegex(
            self.good("describe", "create_goal"),
            r"members of goal_data that the method reads:\n  title +string\? = Untitled "
            r"Goal[\s\S]*\n  current +f64\? = 0",
        )
        self.assertRegex(
            self.good("describe", "update_a2a_task_status"), r"task_status: [\s\S]*cancelled"
        )
        self.assertIn('did you mean "get_user"?', self.bad(64, "describe", "get_usr"))
        self.bad(64, "describe")

    def test_wrong_parameters(self):
        """Refused by the built-in catalog, without a daemon."""
        for expected, *arguments in (
            ('did you mean "user_id"?', "get_user", "user_di=x"),
            ("get_user accepts: user_id", "get_user", "x=y"),
            ("accepts: no parameters", "get_user_count", "x=y"),
            ("whole number", "get_user_insights", "limit=many"),
            ("whole number", "get_user_insights", "limit=1.5"),
            ("must be a number", "update_goal_progress", "current_value=x"),
            ("true or false", "create_user", "user.is_active=yes"),
            ('did you mean "running"?', "update_a2a_task_status", "status=runing"),
            ("has no members", "get_user", "user_id.x=1"),
            ("given twice", "get_user", "user_id=1", "user_id=2"),
            ("given twice", "create_goal", "goal_data:={}", "goal_data.title=x"),
            ("not valid JSON", "create_goal", "goal_data:={"),
            ("not valid JSON", "create_goal", 'goal_data={"a":1,"a":2}'),
            ("can only be null", "create_user", "user.strava_token=x"),
            ("is not a parameter", "get_user", "user_id"),
            ("get_user accepts: user_id", "get_user", "x"),
            ("no other argument is allowed", "get_user", "-", "user_id=x"),
            ("no other argument is allowed", "get_user", "user_id=x", "@file"),
            ("is not a parameter", "get_user", "=x"),
            ("is not a parameter", "get_user", ":=x"),
            ('did you mean "email"?', "create_user", "user.emial=x"),
        ):
            self.assertIn(expected, self.bad(64, "call", *arguments), arguments)
        self.assertIn("No such file", self.bad(66, "call", "get_user", "@/nonexistent/file"))
        self.assertIn(
            "No such file", self.bad(66, "call", "get_user", "user_id=@/nonexistent/file")
        )
        err = self.bad(64, "call", "create_user", "user.is_active=SECRET", "user.password=x")
        self.assertIn("SECRET", err)

    def test_full_output(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run(
                [CTL, "methods"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
                check=False,
            )
        self.assertEqual(done.returncode, 74)
        self.assertIn("No space left", done.stderr)

    def test_bash_completion(self):
        script = (
            self.good("completion", "bash")
            + r"""
try() {
    COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
    _pierre_dbctl
    printf '%s ' "${COMPREPLY[@]}"
    echo
}
try 'pierre-dbctl he'
try 'pierre-dbctl --js'
try 'pierre-dbctl backup --f'
try 'pierre-dbctl top --i'
try 'pierre-dbctl health --f'
try 'pierre-dbctl --socket /x call get_user_by_'
try 'pierre-dbctl call create_user user.ema'
try 'pierre-dbctl call update_a2a_task_status status='
try 'pierre-dbctl call update_a2a_task_status status=ru'
try 'pierre-dbctl call create_goal goal'
try 'pierre-dbctl transaction get_user_count , create_user user.ema'
try 'pierre-dbctl call daemon.transaction '
try 'pierre-dbctl describe daemon.'
try 'pierre-dbctl completion z'
"""
        )
        done = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, env=environment(), check=False
        )
        self.assertEqual(done.stderr, "")
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "health help ",
                "--json ",
                "--force ",
                "--interval ",
                " ",
                "get_user_by_email get_user_by_email_required ",
                "user.email= ",
                "pending running completed failed cancelled ",
                "running ",
                "goal_data:= ",
                "user.email= ",
                "calls:= ",
                "daemon.transaction daemon.position daemon.wait_for daemon.ping "
                "daemon.version daemon.health daemon.stats daemon.clients daemon.config "
                "daemon.reload daemon.pause daemon.resume daemon.diagnose daemon.backup "
                "daemon.backup_state ",
                "zsh ",
            ],
        )
        self.assertTrue(self.good("completion", "zsh").startswith("#compdef pierre-dbctl\n"))
        self.bad(64, "completion", "fish")


class WithDaemon(CtlCase):
    """One daemon for all of them."""

    @classmethod
    def setUpClass(cls):
        DaemonCase.setUpClass.__func__(cls)
        cls.socket = cls.daemon.socket_path

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    options = ()
    environment = {}

    def user(self, email, **more):
        return self.daemon.call("create_user", user={"email": email, "password_hash": HASH, **more})

    def test_positions(self):
        position = self.good("position")
        form = r"^(sqlite|primary)-[0-9a-f-]+$"
        self.assertRegex(position.strip(), form)
        # The server's log grows by itself, too.
        self.assertRegex(json.loads(self.good("position", "--json")), form)
        self.assertEqual(self.good("wait-for", position.strip()), "")
        self.assertEqual(json.loads(self.good("wait-for", position.strip(), "--json")), None)
        self.assertIn("position", self.bad(1, "wait-for", "elsewhere"))
        foreign = position.strip()[:-1] + ("0" if position[-2] != "0" else "1")
        if self.daemon.backend == "sqlite":
            self.assertIn("another database", self.bad(1, "wait-for", foreign))
        self.assertIn("one position", self.bad(64, "wait-for"))
        self.bad(64, "position", "x")

    def test_status(self):
        self.assertRegex(self.good("ping"), r"^pong  \d+\.\d+ ms")
        self.assertEqual(json.loads(self.good("ping", "--json"))["result"], "pong")
        self.assertEqual(self.good("ready"), "ready\n")
        self.assertEqual(json.loads(self.good("ready", "--json"))["ready"], True)
        text = self.good("health")
        self.assertTrue(text.startswith("ok  "), text)
        self.assertRegex(text, r"\n  database +ok ")
        health = json.loads(self.good("health", "--json"))
        self.assertEqual(health["status"], "ok")
        self.assertIn(health["backend"], ("sqlite", "postgresql"))
        self.assertRegex(
            self.good("version"), r"pierre-dbctl +\d[\s\S]*pierre-dbd +\d[\s\S]*schema_version +\d"
        )
        self.assertIn("client", json.loads(self.good("version", "--json")))

    def test_transaction(self):
        """Calls from arguments, a file or stdin; what fails is named by its place."""
        user = self.user("tx@example.com")
        found = json.loads(
            self.good(
                "transaction",
                "create_goal",
                f"user_id={user}",
                'goal_data:={"title":"one, two"}',
                ",",
                "get_user_count",
                ",",
                "get_user_goals",
                f"user_id={user}",
            )
        )
        self.assertEqual(found[2][0]["id"], found[0])
        self.assertEqual(found[2][0]["title"], "one, two")
        calls = [
            {"method": "update_goal_progress", "params": [found[0], 2.5]},
            {"method": "get_user_goals", "params": {"user_id": user}},
        ]
        lines = "".join(json.dumps(call) + "\n\n" for call in calls)
        path = os.path.join(self.daemon.folder, "calls.json")
        array = json.dumps(calls)
        for text in (array, json.dumps(calls, indent=2) + "\n", lines, lines.strip()):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            for again in (
                self.good("transaction", "@" + path),
                self.good("transaction", "-", stdin=text),
            ):
                self.assertEqual(json.loads(again)[1][0]["current_value"], 2.5)
        unknown = "00000000-0000-4000-8000-00000000dead"
        failing = ("update_goal_progress", f"goal_id={found[0]}", "current_value=9", ",")
        failing += ("update_last_active", f"user_id={unknown}")
        said = self.bad(1, "transaction", *failing)
        self.assertIn("not_found", said)
        self.assertIn("call 1 of the transaction has failed", said)
        said = json.loads(self.bad(1, "--json", "transaction", *failing))
        self.assertEqual((said["error"]["kind"], said["error"]["index"]), ("not_found", 1))
        again = json.loads(self.good("call", "get_user_goals", f"user_id={user}"))
        self.assertEqual(again[0]["current_value"], 2.5)
        for arguments in (
            (),
            (",",),
            ("get_user_count", ","),
            (",", "get_user_count"),
            ("get_user_cuont",),
            ("get_user_count", ",", "get_user", "usr_id=x"),
        ):
            self.bad(64, "transaction", *arguments)
        self.bad(66, "transaction", "@/nonexistent/file")
        self.bad(64, "transaction", "-", stdin="{nonsense")

    def test_idempotency_key(self):
        user = self.good(
            "call", "-r", "create_user", "user.email=once@example.com", "user.password_hash=" + HASH
        ).strip()
        call = ("call", "create_goal", f"user_id={user}", "goal_data.title=x")
        first = self.good(*call, "--idempotency-key", "k-1")
        self.assertEqual(self.good(*call, "--idempotency-key=k-1"), first)
        self.assertNotEqual(self.good(*call), first)
        self.assertIn(
            "invalid_request", self.bad(1, *call, "goal_data.n:=2", "--idempotency-key=k-1")
        )
        self.assertIn("1 to 64 bytes", self.bad(64, *call, "--idempotency-key", "k" * 65))

    def test_call_converts_by_type(self):
        identifier = self.good(
            "call",
            "-r",
            "create_user",
            "user.email=types@example.com",
            "user.password_hash=" + HASH,
            "user.is_active=false",
            "user.display_name=true",
        ).strip()
        user = json.loads(self.good("call", "get_user", f"user_id={identifier}"))
        self.assertEqual((user["display_name"], user["is_active"]), ("true", False))
        self.assertEqual(
            self.good("call", "get_user", "user_id=" + identifier.upper()),
            self.good("--json", "call", "get_user", f'user_id:="{identifier}"'),
        )
        goal = self.good(
            "call",
            "create_goal",
            f"user_id={identifier}",
            "goal_data.title=10 km",
            "goal_data.target:=10",
            "--raw",
            "goal_data.deep.er=x",
        ).strip()
        self.good("call", "update_goal_progress", f"goal_id={goal}", "current_value=0.1")
        text = self.good("call", "get_user_goals", f"user_id={identifier}")
        self.assertIn('"current_value":0.1,', text)  # as the daemon writes it
        found = json.loads(text)[0]
        self.assertEqual(
            (found["title"], found["target"], found["deep"]), ("10 km", 10.0, {"er": "x"})
        )
        self.assertEqual(
            self.good("call", "get_user_insights", f"user_id={identifier}", "limit=5"), "[]\n"
        )

    def test_params_from_files_and_stdin(self):
        folder = self.daemon.folder
        path = os.path.join(folder, "params.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(
                {"user": {"email": "file@example.com", "password_hash": HASH}}, file, indent=2
            )
        identifier = json.loads(self.good("call", "create_user", "@" + path))
        self.assertEqual(
            json.loads(self.good("call", "get_user", "-", stdin=json.dumps([identifier])))["email"],
            "file@example.com",
        )
        self.assertEqual(
            json.loads(self.good("call", "get_user", "user_id=@-", stdin=identifier + "\n"))["id"],
            identifier,
        )
        secret = os.path.join(folder, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("correct horse\n")
        self.good(
            "call", "create_user", "user.email=secret@example.com", "user.password=@" + secret
        )
        self.assertIsNotNone(
            json.loads(
                self.good(
                    "call",
                    "verify_user_password",
                    "email=secret@example.com",
                    "password=correct horse",
                )
            )
        )
        self.good("call", "create_user", "user.email=at@example.com", "user.password_hash=@@x")
        self.assertEqual(
            self.daemon.call("get_user_by_email", ["at@example.com"])["password_hash"], "@x"
        )

    def test_errors(self):
        self.user("taken@example.com")
        err = self.bad(
            1, "call", "create_user", "user.email=taken@example.com", "user.password_hash=x"
        )
        self.assertTrue(err.startswith("pierre-dbctl: conflict: "), err)
        error = json.loads(
            self.bad(
                1,
                "--json",
                "call",
                "create_user",
                "user.email=taken@example.com",
                "user.password_hash=x",
            )
        )["error"]
        self.assertEqual(
            (error["kind"], error["code"], error["field"]), ("conflict", -32002, "email")
        )
        error = json.loads(
            self.bad(
                1, "--json", "call", "create_user", "user.email=nonsense", "user.password_hash=x"
            )
        )["error"]
        self.assertEqual((error["kind"], error["path"]), ("invalid_params", "user.email"))
        for _ in range(3):  # the daemon may report this before or after the whole line is written
            self.assertIn(
                "too_large",
                self.bad(
                    1,
                    "call",
                    "upsert_user_profile",
                    "-",
                    stdin=json.dumps({"user_id": "0" * 32, "profile_data": {"x": "y" * 3000000}}),
                ),
            )
        self.assertIn(
            "method_not_found", self.bad(1, "call", "--unchecked", "no_such_method", "a=b")
        )
        self.assertEqual(self.good("call", "--unchecked", "daemon.ping"), '"pong"\n')

    def test_stats(self):
        self.good("ping")
        stats = json.loads(self.good("stats", "--json"))
        self.assertGreater(stats["counters"]["requests"], 0)
        text = self.good("stats")
        self.assertIn("daemon.ping", text)
        self.assertRegex(text, r"\n  clients +\d")

    def test_bench(self):
        ids = os.path.join(self.daemon.folder, "ids.txt")
        with open(ids, "w", encoding="utf-8") as file:
            file.write("".join(self.user(f"bench{i}@example.com") + "\n" for i in range(5)))
        before = self.daemon.call("daemon.stats")["methods"].get("get_user", {"calls": 0})["calls"]
        result = json.loads(
            self.good(
                "bench", "get_user", f"user_id=@{ids}", "-c", "3", "-P", "7", "-n", "500", "--json"
            )
        )
        self.assertEqual(
            (result["calls"], result["errors"], result["clients"], result["pipeline"]),
            (500, 0, 3, 7),
        )
        times = result["microseconds"]
        self.assertTrue(
            0 < times["p50"] <= times["p90"] <= times["p99"] <= times["p999"] <= times["max"], times
        )
        self.assertEqual(
            self.daemon.call("daemon.stats")["methods"]["get_user"]["calls"], before + 500
        )
        text = self.good("bench", "daemon.ping", "-n", "100")
        self.assertRegex(text, r"calls/s")
        self.assertRegex(text, r"p50 \d+  p90 \d+  p99 \d+  p99\.9 \d+  max \d+\nerrors: 0")
        users = self.daemon.call("get_user_count")
        self.good(
            "bench",
            "create_user",
            "user.email={n}@bench.example.com",
            "user.password_hash=x",
            "-n",
            "60",
            "-P",
            "9",
            "-c",
            "2",
        )
        self.assertEqual(self.daemon.call("get_user_count"), users + 60)

    def test_bench_reports_errors(self):
        done = self.ctl(
            "bench",
            "update_last_active",
            "user_id=00000000-0000-0000-0000-000000000000",
            "-n",
            "20",
            "-P",
            "4",
            "--json",
        )
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["errors"], 20)
        self.assertIn("not_found", done.stderr)
        for expected, *arguments in (
            ("bench requires a method",),
            ("bench requires a method", "--mix", "x", "y"),
            ("--clients expects a number from 1 to 10000", "daemon.ping", "-c", "0"),
            ("--clients expects a number", "daemon.ping", "--clients=many"),
            ("--calls requires a value", "daemon.ping", "-n"),
            ("--duration requires a value", "daemon.ping", "--duration="),
            ("--cyclic accepts no value", "daemon.ping", "--cyclic=yes"),
            ("bench has no option -x", "daemon.ping", "-x"),
            ("no option", "daemon.ping", "--rate", "5"),
            ("unknown method", "daemon.pong"),
        ):
            self.assertIn(expected, self.bad(64, "bench", *arguments))

    def test_options_in_every_form(self):
        """Options before, between and after the words; long and short, with the value in the same
        argument or in the next."""
        for options in (
            ("-n", "12", "-P", "3", "daemon.ping"),
            ("daemon.ping", "-n12", "-P3"),
            ("--calls=12", "daemon.ping", "--pipeline", "3"),
        ):
            result = json.loads(self.good("bench", "--json", *options))
            self.assertEqual((result["calls"], result["pipeline"]), (12, 3), options)

    def test_bench_mix(self):
        path = os.path.join(self.daemon.folder, "mix.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                "# how often, what\n3 daemon.ping\n\n"
                "1 create_user 'user.email={n}@mix.example.com' user.password_hash=x "
                "'user.display_name=two words'\n"
            )
        users = self.daemon.call("get_user_count")
        result = json.loads(self.good("bench", "--mix", path, "-n", "400", "-P", "8", "--json"))
        self.assertEqual((result["method"], result["calls"], result["errors"]), ("mix", 400, 0))
        made = self.daemon.call("get_user_count") - users
        self.assertTrue(50 <= made <= 150, made)
        with open(path, "w", encoding="utf-8") as file:
            file.write("often daemon.ping\n")
        self.assertIn("WEIGHT METHOD", self.bad(65, "bench", "--mix", path))

    def on_a_terminal(self, *arguments, **variables):
        return shown([CTL, *arguments], PIERRE_DBD_SOCKET=self.socket, **variables)

    def test_terminal(self):
        identifier = self.user("tty@example.com", display_name='a "b", {c: [d]}')
        pretty = self.on_a_terminal("call", "get_user", f"user_id={identifier}")
        self.assertIn(
            '\n  \033[1m"email"\033[0m: \033[32m"tty@example.com"\033[0m,\n'
            '  \033[1m"display_name"\033[0m: \033[32m"a \\"b\\", {c: [d]}"\033[0m,\n',
            pretty,
        )
        self.assertIn('\033[1m"is_active"\033[0m: \033[35mtrue\033[0m\n}\n', pretty)
        plain = json.loads(without_colours(pretty))
        self.assertEqual(plain, self.daemon.call("get_user", user_id=identifier))
        for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            text = self.on_a_terminal("call", "get_user", f"user_id={identifier}", **variables)
            self.assertEqual(text, without_colours(pretty))
        self.assertEqual(
            self.on_a_terminal("--json", "call", "get_user", f"user_id={identifier}"),
            self.good("call", "get_user", f"user_id={identifier}"),
        )
        self.assertEqual(
            self.on_a_terminal("call", "list_a2a_clients", f"user_id={identifier}"), "[]\n"
        )
        self.assertIn("\033[32mready", self.on_a_terminal("ready"))

    def test_a_terminal_changes_nothing_but_white_space(self):
        """Numbers to the last digit; what controls a terminal is escaped."""
        user = self.user("exact@example.com")
        profile = (
            '{"big":9007199254740993,"tiny":5e-324,"third":0.3333333333333333,"one":1.0,'
            '"empty":[{},[],""],"text":"a: [1,2] \\\\ \\" é","control":"%s","none":null}'
        )
        for control, escaped in (("x", "x"), ("\u009b2J\u007f", "\\u009b2J\\u007f")):
            self.good(
                *("call", "upsert_user_profile", f"user_id={user}"),
                "profile_data:=" + profile % control,
            )
            piped = self.good("call", "get_user_profile", f"user_id={user}")
            text = self.on_a_terminal("call", "get_user_profile", f"user_id={user}")
            compact = re.sub(r'("(?:[^"\\]|\\.)*")|\s+', r"\1", without_colours(text))
            self.assertEqual(compact + "\n", piped.replace(control, escaped))
