"""`pierre-dbctl shell` from a file and in a real terminal (tmux). Would catch: results other than
those of `call`, a failure that a script does not see, a secret in the history file, a call that ^C
does not end, a session that ends with the daemon, a terminal left without echo."""
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import time

from lib.case import Case, DaemonCase
from lib.daemon import CTL, SLOW
from lib.terminal import Terminal, environment
from lib.world import HASH, uuid4


class FromAFile(DaemonCase):
    def session(self, text, *options, code=0):
        """Returns stdout and stderr."""
        done = subprocess.run(
            [CTL, "--socket", self.daemon.socket_path, "shell", *options],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60 * SLOW,
            env=environment(),
        )
        self.assertEqual(done.returncode, code, (text, done.stdout, done.stderr))
        return done.stdout, done.stderr

    def user(self, email, **more):
        return self.ok("create_user", user={"email": email, "password_hash": HASH, **more})

    def test_lines_are_calls(self):
        """Each result is a line, as the daemon wrote it."""
        user = self.user("lines@example.com", display_name="Ana")
        out, err = self.session(
            "# a comment\n\n"
            f"get_user user_id={user}\n"
            f"call -r create_user user.email=lines2@example.com 'user.display_name=Zoe \\ B'"
            f" user.password_hash='{HASH}'\r\n"
            f'get_user {{"user_id":\n  "{user}"}}\n'
            f'get_user ["{user}"]\n'
            f'create_goal user_id={user} goal_data:={{\n  "title": "}}]",\n'
            '  "n": [1e400, 2]\n} \n',
            code=64,
        )
        lines = out.splitlines()
        found = self.ok("get_user", user_id=user)
        self.assertEqual([json.loads(lines[i]) for i in (0, 2, 3)], [found] * 3)
        self.assertEqual(self.ok("get_user", user_id=lines[1])["display_name"], "Zoe \\ B")
        self.assertEqual(len(lines), 4)
        self.assertRegex(err, r"^pierre-dbctl: line 8: goal_data: not valid JSON: ")
        out, _ = self.session(
            f'create_goal user_id={user} goal_data:={{\n  "title": "}}]\\"",\n  "n": [1, 2]\n}} \n'
            f"transaction get_user_count , get_user_goals user_id={user}\n"
            "ping\n"
            "quit\nno_such_method\n"
        )
        _, both, pong = out.splitlines()
        goal = json.loads(both)[1][0]
        self.assertEqual((goal["title"], goal["n"]), ('}]"', [1, 2]))
        self.assertTrue(pong.startswith("pong "))

    def test_the_first_failure_ends_it(self):
        unknown = uuid4()
        commands = (
            f"get_user_count\nupdate_last_active user_id={unknown}\nget_usr_count\nget_user_count"
        )
        out, err = self.session(commands, code=1)
        self.assertEqual(out.count("\n"), 1)
        self.assertTrue(err.startswith("pierre-dbctl: line 2: not_found: "), err)
        self.assertNotIn("code:", err)
        for option in ("-k", "--keep-going"):
            out, err = self.session(commands, option, code=1)
            self.assertEqual(out.count("\n"), 2)
            self.assertIn(
                'line 3: unknown method or command "get_usr_count"; did you mean "get_user_count"?',
                err,
            )

    def test_what_is_no_command(self):
        for text, expected, code in (
            ("get_user 'user_id=x\n", "line 1: a ' is not closed on its line", 64),
            ('\nget_user "user_id=x\n', 'line 2: a " is not closed on its line', 64),
            ('get_user {"a\n":1}', "a JSON string is not closed on its line", 64),
            ("get_user {\n\n", "line 1: a JSON text is not closed", 64),
            ("get_user -\n", "standard input holds the commands: name a file", 66),
            ("get_user user_id=@-\n", "standard input holds the commands: name a file", 66),
            ("get_user {}}", "not valid JSON", 64),
            ("shell\n", "this is the shell", 64),
            ("help nothing_like_it\n", "unknown method or command", 64),
            ("describe get_usr\n", 'did you mean "get_user"?', 64),
            ("get_user_count\0\n", "a NUL byte in the commands", 74),
        ):
            out, err = self.session(text, code=code)
            self.assertIn(expected, err, text)
            self.assertEqual(out, "")
        self.session("", "file", code=64)

    def test_no_daemon(self):
        done = subprocess.run(
            [CTL, "--socket", "/nonexistent/s", "--json", "shell"],
            input="get_user_count\n",
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
        self.assertEqual((done.returncode, done.stdout), (75, ""))
        self.assertEqual(json.loads(done.stderr)["error"]["kind"], "no_connection")


class InATerminal(DaemonCase):
    """One daemon and one terminal for all of them."""

    width = 80

    @classmethod
    def setUpClass(cls):
        if shutil.which("tmux") is None:
            cls.skipTest(cls, "tmux is not installed: the shell is NOT tested in a terminal")
        super().setUpClass()
        cls.state = os.path.join(cls.daemon.folder, "state")
        cls.history = os.path.join(cls.state, "pierre-dbctl", "history")
        cls.terminal = Terminal(
            cls.width, 24, environment(TERM="tmux-256color", XDG_STATE_HOME=cls.state)
        )

    @classmethod
    def tearDownClass(cls):
        cls.terminal.close()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.begin()
        self.addCleanup(self.end)

    def begin(self, *options, prefix="", expect=r"pierre-dbd \d\S* \((sqlite|postgresql)\)"):
        self.within(10, lambda: self.terminal.text().rstrip().endswith("ready>"))
        self.terminal.keys("C-l")
        command = [CTL, "--socket", self.daemon.socket_path, "shell", *options]
        self.terminal.type(f"{prefix} {shlex.join(command)}".strip())
        self.until(expect)
        self.at_prompt()

    def end(self):
        """^D ends it, and the terminal is as before."""
        self.terminal.keys("C-c")  # which also discards the keys that were not read
        self.at_prompt()
        self.terminal.keys("C-d")
        self.within(10, lambda: re.search(r"ready>$", self.terminal.text().rstrip()))
        self.terminal.type("echo code=$?; stty -a | grep -c -e ' -icanon' -e ' -echo '; echo .")
        self.until(r"code=0\n0\n\.\n")

    def until(self, pattern):
        found = re.compile(pattern, re.MULTILINE)
        try:
            return self.within(10, lambda: found.search(self.terminal.text() + "\n"))
        except AssertionError:
            self.fail(f"{pattern} is not on the screen:\n{self.terminal.text()}")

    def at_prompt(self):
        self.within(10, lambda: self.terminal.lines()[-1] == "pierre>")

    def say(self, text, pattern):
        """Types a line on an empty screen, and waits for what it shows."""
        self.terminal.keys("C-l")
        self.within(10, lambda: self.terminal.text().startswith("pierre>"))
        self.terminal.write(text)
        self.terminal.keys("Enter")
        found = self.until(pattern)
        self.at_prompt()
        return found

    def typed(self, *keys, line):
        """Presses keys on an empty line, and waits until it is `line`."""
        self.terminal.keys("C-e", "C-u", *keys)
        self.within(10, lambda: self.terminal.lines()[-1].rstrip() == f"pierre> {line}".rstrip())
        self.terminal.keys("C-u")
        self.at_prompt()

    def stored(self):
        with open(self.history, encoding="utf-8") as file:
            return file.read().splitlines()

    def test_calls_and_errors(self):
        user = self.ok("create_user", user={"email": "zoë@example.com", "password_hash": HASH})
        self.say(
            f"get_user user_id={user}",
            r'^\{\n  "id": "[0-9a-f-]{36}",\n  "email": "zoë@example.com",\n',
        )
        self.say("get_user_by_email email=zoë@example.com", r'^  "email": "zoë@example.com",$')
        self.say(
            "create_user user.email=zoë@example.com user.password_hash=x",
            r"^error: conflict: .*\n  code: -32002  field: email  retryable: false$",
        )
        self.say(
            "create_user user.email=zoë user.password_hash=x",
            r"^error: invalid_params: .*\n  code: -32602  path: user.email  retryable: false$",
        )
        self.say("get_usr", r'^error: unknown method or command "get_usr"; did you mean "get_user"')
        self.say("health", r"^ok  (sqlite|postgresql), live, ready$")
        self.say("help describe", r"^usage: pierre-dbctl describe METHOD$")
        self.say("help get_user_count", r"^get_user_count\(\) -> i64$")
        self.say("help", r"\^C cancels the running call")
        self.say("get_user 'x", r"^error: a ' is not closed on its line$")

    def test_json_over_several_lines(self):
        user = self.ok("create_user", user={"email": "json@example.com", "password_hash": HASH})
        self.terminal.type(f"create_goal user_id={user} goal_data:={{")
        self.until(r"^    \.\.\.$")
        self.terminal.write('  "title": "a } b",')
        self.terminal.keys("Enter")
        self.terminal.type('"target": 10}')
        self.until(r'^"[0-9a-f-]{36}"$')
        (goal,) = self.ok("get_user_goals", user_id=user)
        self.assertEqual((goal["title"], goal["target"]), ("a } b", 10.0))
        self.assertEqual(
            self.stored()[-1],
            f'create_goal user_id={user} goal_data:={{   "title": "a }} b", "target": 10}}',
        )
        for key, shown in (("C-c", r"\^C\npierre>$"), ("C-d", r"a JSON text is not closed$")):
            self.terminal.type("get_user {")
            self.until(r"^    \.\.\.$")
            self.terminal.keys(key)
            self.until(shown)
            self.at_prompt()

    def test_completion(self):
        self.typed("get_user_co", "Tab", line="get_user_count")
        self.typed("get_user", "Tab", "_by_email_r", "Tab", line="get_user_by_email_required")
        self.terminal.keys("C-l")
        self.typed("update_a2a_t", "Tab", "ta", "Tab", "x st", "Tab", "ru", "Tab",
                   line="update_a2a_task_status task_id=x status=running")  # fmt: skip
        self.typed(
            "create_user user.is", "Tab", "f", "Tab", line="create_user user.is_active=false"
        )
        self.typed("create_goal user_id=1 g", "Tab", line="create_goal user_id=1 goal_data:=")
        self.typed("create_goal goal_data.tit", "Tab", line="create_goal goal_data.title=")
        self.typed("describe get_sys", "Tab", line="describe get_system_stats")
        self.typed("transaction get_user_count , create_user user.ema", "Tab",
                   line="transaction get_user_count , create_user user.email=")  # fmt: skip
        self.typed(
            "create_user user.email=a user.em", "Tab", line="create_user user.email=a user.em"
        )
        self.typed("top --int", "Tab", line="top --interval")
        self.terminal.keys("C-l")
        self.terminal.keys("update_a2a_task_status status=", "Tab")
        self.until(
            r"^status=pending +status=completed +status=cancelled\nstatus=running +status=failed$"
        )
        self.within(
            10, lambda: self.terminal.lines()[-1] == "pierre> update_a2a_task_status status="
        )

    def test_history(self):
        """Without secrets, for the user alone, and there in the next session."""
        secret = "hunter2"
        user = "1"  # short lines, which the terminal does not wrap
        kept = (
            f"get_user user_id={user}",
            "describe get_user",
            "create_user user.email=h@example.com user.password=@/nonexistent/file",
            f'upsert_user_profile user_id={user} profile_data:={{"a": 1}}',
            "transaction get_user_count , get_system_stats",
        )
        hidden = (
            f"create_user user.email=h@example.com user.password={secret}",
            f"create_user user.email=h@example.com user.pasword={secret}",
            f'create_user user:={{"email": "h@example.com", "password": "{secret}"}}',
            f'create_user {{"user": {{"password": "{secret}"}}}}',
            f"verify_user_password email=h@example.com password={secret}",
            f"verify_user_pasword email=h@example.com password={secret}",
            f"transaction get_user_count , get_a2a_session session_token={secret}",
            f'daemon.transaction calls:=[{{"method": "get_user", "params": ["{secret}"]}}]',
            f"transfer --from=postgresql://x:{secret}@localhost:1/x --to=nothing:",
            f"get_user '{secret}",
            f"get_user {secret}",
        )
        for line in (*hidden, *kept):
            self.terminal.write(line)
            self.terminal.keys("Enter")
        self.terminal.type("get_user_count")
        self.within(20, lambda: self.stored()[-1:] == ["get_user_count"])
        self.at_prompt()
        self.assertEqual(self.stored()[-6:-1], list(kept))
        with open(self.history, encoding="utf-8") as file:
            self.assertNotIn(secret, file.read())
        found = os.stat(self.history)
        self.assertEqual(stat.S_IMODE(found.st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(self.history)).st_mode), 0o700)
        self.terminal.keys("C-l")
        self.typed("Up", "Up", line=kept[-1])
        self.typed("C-r", "profile_d", "C-e", line=kept[3])
        self.end()
        os.chmod(self.history, 0o644)
        self.begin()
        self.typed("Up", "Up", line=kept[-1])
        self.assertEqual(stat.S_IMODE(os.stat(self.history).st_mode), 0o600)
        self.end()
        before = self.stored()
        self.begin("--no-history")
        self.terminal.keys("C-l")
        self.typed("Up", line="")
        self.say("get_user_count", r"^\d+$")
        self.assertEqual(self.stored(), before)

    def test_a_long_history_is_cut(self):
        self.end()
        with open(self.history, "w", encoding="utf-8") as file:
            file.write("".join(f"get_user user_id={i}\n" for i in range(2001)))
        self.begin()
        self.assertEqual(len(self.stored()), 1000)
        self.typed("Up", line="get_user user_id=2000")
        self.assertEqual(os.listdir(os.path.dirname(self.history)), ["history"])

    def waiting(self, pid):
        """Returns the connections of the process with a call that waits."""
        clients = self.ok("daemon.clients")["clients"]
        return {one["id"] for one in clients if one["pid"] == pid and one["in_flight"] > 0}

    def test_control_c(self):
        """It ends the running call, and a line; the session goes on."""
        self.terminal.write("get_user not finished")
        self.until(r"^pierre> get_user not finished$")
        self.terminal.keys("C-c")
        self.until(r"^pierre> get_user not finished\^C\npierre>$")
        self.ok("daemon.pause")
        self.addCleanup(self.ok, "daemon.resume")
        pid, known = self.terminal.pid_of_ctl(), set()
        for method, shown in (
            ("get_user_count", r"^error: cancelled$"),
            (f"update_last_active user_id={uuid4()}", r"^error: cancelled: the change may or"),
        ):
            self.terminal.keys("C-l")
            self.terminal.type(method)
            known |= self.within(10, lambda: self.waiting(pid) - known)
            self.until(rf"^pierre> {method}$")
            self.terminal.keys("C-c")
            self.until(shown)
            self.at_prompt()
        self.ok("daemon.resume")
        self.say("get_user_count", r"^\d+$")
        self.terminal.type("top")
        self.within(10, lambda: self.terminal.state() == "1 0 0")
        self.terminal.keys("C-c")
        self.within(10, lambda: self.terminal.state() == "0 1 1")
        self.say("get_user_count", r"^\d+$")

    def test_suspended_and_continued(self):
        self.terminal.write("get_user_co")
        self.terminal.keys("C-z")
        self.until(r"Stopped")
        self.terminal.type("stty -a | grep -c -e ' -icanon' -e ' -echo '; fg")
        self.until(r"^0\n")
        self.within(10, lambda: self.terminal.lines()[-1] == "pierre> get_user_co")
        self.terminal.keys("unt", "Enter")
        self.until(r"^\d+$")

    def test_a_restart_is_survived(self):
        before = self.say("get_user_count", r"^(\d+)$")[1]
        self.daemon.terminate()
        self.say("get_user_count", r"^error: no_connection: .*")
        self.daemon.start()
        self.assertEqual(self.say("get_user_count", r"^(\d+)$")[1], before)
        self.daemon.terminate()
        self.daemon.start()
        self.assertEqual(self.say("get_user_count", r"^(\d+)$")[1], before)

    def test_resized(self):
        line = "create_goal user_id=1 goal_data.title=" + "x" * 30
        self.terminal.write(line)
        self.until(rf"^pierre> {line}$")
        self.addCleanup(self.terminal.resize, 80, 24)
        for width in (60, 160):
            self.terminal.resize(width, 24)
            self.until(rf"^pierre> {line[: width - 8]}")
            self.assertLessEqual(max(map(len, self.terminal.lines())), width)
            self.terminal.keys("C-a", "C-e", "y")
            line += "y"
            self.within(
                10,
                lambda: "".join(
                    self.terminal.lines()
                ).endswith(  # pylint: disable=cell-var-from-loop
                    "pierre> " + line
                ),
            )

    def test_plain_lines(self):
        """A terminal whose cursor does not move: no editor, no escape sequences."""
        self.end()
        self.begin(prefix="TERM=dumb")
        self.terminal.type("get_user_count")
        self.until(r"^\d+\npierre>$")
        self.terminal.write("get_user")
        self.terminal.keys("C-c")
        self.terminal.type("get_user_count")
        self.until(r"\d+\npierre>$")
        self.terminal.keys("C-d")
        self.within(10, lambda: re.search(r"ready>$", self.terminal.text().rstrip()))
        self.terminal.type("echo code=$?")
        self.until(r"^code=0$")
        self.begin()


class Ended(Case):
    def test_a_terminal_that_is_gone(self):
        """The session ends with its terminal, and with SIGTERM."""
        if shutil.which("tmux") is None:
            self.skipTest("tmux is not installed")
        terminal = Terminal(
            80, 24, environment(TERM="tmux-256color", XDG_STATE_HOME="/nonexistent")
        )
        self.addCleanup(terminal.close)
        self.within(10, lambda: "ready>" in terminal.text())
        terminal.type(shlex.join([CTL, "--socket", "/nonexistent/s", "shell"]))
        self.within(10, lambda: terminal.lines()[-1] == "pierre>")
        self.assertIn("error: no_connection", terminal.text())
        os.kill(terminal.pid_of_ctl(), signal.SIGTERM)
        self.within(10, lambda: terminal.pid_of_ctl() is None)
        terminal.type("echo; stty -a | grep -c -e ' -icanon' -e ' -echo '")
        self.within(10, lambda: "\n0\n" in terminal.text())
        terminal.type(shlex.join([CTL, "--socket", "/nonexistent/s", "shell"]))
        self.within(10, lambda: terminal.lines()[-1] == "pierre>")
        pid = terminal.pid_of_ctl()
        terminal.tmux("kill-server")
        deadline = time.monotonic() + 10 * SLOW
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
