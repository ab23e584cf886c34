"""What a person reads at a terminal: help, descriptions, advice. Would catch: a line that is wider
than the terminal, columns that are not aligned, advice that leads nowhere. None of it depends on
the database."""
BACKENDS = ("sqlite",)
# pylint: disable=wrong-import-position
import re
import subprocess

from lib import interface
from lib.case import Case
from lib.daemon import BINARY, CTL, Daemon
from lib.terminal import environment, shown, without_colours


def output(*command, code=0, **variables):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(**variables)
    )
    assert done.returncode == code, (command, done.returncode, done.stderr)
    return done.stdout + done.stderr


class Fitting(Case):
    def fits(self, text, width, what):
        for line in without_colours(text).splitlines():
            self.assertLessEqual(len(line), width, f"{what}: {line}")


class Width(Fitting):
    def test_help(self):
        text = output(CTL, "--help")
        commands = re.findall(
            r"^  ([a-z-]+) {2,}\S", re.split("Commands:|Options", text)[1], re.MULTILINE
        )
        self.assertGreater(len(commands), 20)
        self.fits(text, 80, "--help")
        self.fits(output(BINARY, "--help"), 80, "pierre-dbd --help")
        for command in commands:
            own = output(CTL, command, "--help")
            self.fits(own, 80, command)
            usage = re.search(r"^usage: (.*(?:\n {8}.*)*)", own, re.MULTILINE)[1]
            self.assertEqual(usage.count("["), usage.count("]"), usage)

    def test_usage_of_the_transfer(self):
        self.fits(output(CTL, "transfer", "--nonsense", code=64), 80, "transfer")

    def test_methods_and_descriptions(self):
        """At 80 and 160 columns; in a pipe each parameter is one line."""
        for width in (80, 160):
            self.fits(shown([CTL, "methods"], width), width, "methods")
        each = f"for one in {' '.join(interface.METHODS)}; do {CTL} describe $one; done"
        text = without_colours(shown(["sh", "-c", each], 80))
        self.fits(text, 80, "describe")
        self.assertEqual(text.split(), output("sh", "-c", each).split())
        wide = shown([CTL, "describe", "get_request_logs"], 160)
        self.fits(wide, 160, "get_request_logs")
        self.assertLess(wide.count("\n"), shown([CTL, "describe", "get_request_logs"]).count("\n"))
        self.fits(shown([CTL, "describe", "get_request_logs"], 50), 50, "at 50 columns")

    def test_columns_are_aligned(self):
        text = without_colours(shown([CTL, "describe", "create_api_key"], 100))
        rows = re.search(r"^ApiKeyInput: .*\n((?:  .*\n)+)", text, re.MULTILINE)[1].splitlines()
        starts = {re.match(r"(  \S+ +)\S", row).end(1) for row in rows if row[2] != " "}
        self.assertEqual(len(starts), 1, rows)
        (start,) = starts
        texts = {
            re.match(r"(\S.*?  +)\S", row[start:]).end(1)
            for row in rows
            if row[2] != " " and "  " in row[start:]
        }
        self.assertEqual(len(texts), 1, rows)

    def test_in_a_pipe_nothing_is_wrapped(self):
        text = output(CTL, "describe", "create_api_key")
        self.assertIn(
            "\n  key_prefix           string, at most 1024 bytes  The first characters of the key, "
            "used for look-up.\n",
            text,
        )
        self.assertRegex(output(CTL, "methods"), r"\n  get_user_count                   \S")


class Lists(Fitting):
    """What a daemon lists, with values that no terminal's line holds."""

    ACCESS = ",".join(["user:nobody=read,group:daemon=write"] * 6)

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("sqlite", options=("--access", cls.ACCESS)).start()
        cls.addClassCleanup(cls.daemon.stop)
        cls.others = [cls.daemon.connect() for _ in range(2)]
        for one in cls.others:
            cls.addClassCleanup(one.close)
            one.call("get_user_count")

    def list(self, what, width, code=0):
        text = shown([CTL, "--socket", self.daemon.socket_path, what], width, code=code)
        self.fits(text, width, what)
        return without_colours(text).splitlines()

    def test_clients(self):
        """The more important a column is, the narrower the terminal that shows it."""
        found = {width: self.list("clients", width) for width in (60, 80, 160)}
        titles = {width: lines[0].split() for width, lines in found.items()}
        needed = ["id", "user", "program", "role", "idle", "in", "flight", "unsent"]
        for width, lines in found.items():
            self.assertEqual(len(lines), 4)
            self.assertLessEqual(set(needed), set(titles[width]))
            self.assertRegex(lines[-1], r"^\* *\d+ +\S+.* pierre-dbctl +admin .* 0$")
        self.assertLess(len(titles[60]), len(titles[80]))
        self.assertLess(len(titles[80]), len(titles[160]))
        piped = output(CTL, "--socket", self.daemon.socket_path, "clients").splitlines()
        self.assertEqual(piped[0].split(), titles[160])
        self.assertEqual(piped[0].index("program"), 32)

    def test_config(self):
        """Each value can be read in full."""
        settings = self.daemon.call("daemon.config")["settings"]
        for width in (80, 160):
            lines = self.list("config", width)
            begin = lines[0].index("value")
            end = lines[0].index("default" if width == 160 else "source")
            values = {}
            for line in lines[1 : lines.index("")]:
                name = line[1:begin].strip() or name  # pylint: disable=used-before-assignment
                values[name] = values.get(name, "") + line[begin:end].strip()
            self.assertEqual(
                values, {one["name"]: (one["value"] or "").strip() for one in settings}
            )
        piped = output(CTL, "--socket", self.daemon.socket_path, "config").splitlines()
        self.assertRegex(piped[0], r"^setting {23}value {30}default {16}source$")
        self.assertEqual(sum(line.startswith("*access ") for line in piped), 1)
        self.assertIn(f" {self.ACCESS} ", "\n".join(piped))

    def test_stats_and_health(self):
        for width in (80, 160):
            lines = self.list("stats", width)
            titles = next(line.split() for line in lines if line.startswith("method "))
            self.assertLessEqual({"calls", "errors", "p50", "p99"}, set(titles))
            if width == 160:
                self.assertEqual(titles[-4:], ["p50", "p90", "p99", "max"])
            self.list("health", width)

    def test_doctor(self):
        """Details and advice continue below their beginning."""
        for width in (60, 80, 160):
            lines = self.list("doctor", width)
            self.assertTrue(any(line.startswith("ok    socket path ") for line in lines))
            self.assertTrue(all(re.match(r"(ok|warn|fail) +\S| {24}", line) for line in lines))


class Colours(Case):
    def test_none_where_they_are_unwanted(self):
        for variables, coloured in (
            ({}, True),
            ({"NO_COLOR": ""}, True),
            ({"NO_COLOR": "1"}, False),
            ({"TERM": "dumb"}, False),
        ):
            text = shown([CTL, "describe", "get_user"], **variables)
            self.assertEqual("\033" in text, coloured, variables)
        self.assertNotIn("\033", output(CTL, "describe", "get_user"))


class Alone(Case):
    """`pierre-dbctl` without a command: the commands that it names work."""

    def advice(self, **variables):
        text = output(CTL, code=64, **variables)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 100, line)
        return text, re.findall(r"^  (pierre-dbctl \S.*?)(?:  +.*)?$", text, re.MULTILINE)

    def test_with_a_daemon(self):
        daemon = Daemon().start()
        self.addCleanup(daemon.stop)
        text, commands = self.advice(PIERRE_DBD_SOCKET=daemon.socket_path)
        self.assertRegex(text, r"\npierre-dbd \d\S* \(sqlite\) answers\. Type next:\n")
        self.assertEqual(commands[0], "pierre-dbctl call get_user_count")
        self.assertIn("pierre-dbctl shell", commands)
        for command in commands:
            output(CTL, *command.split()[1:], code=0, PIERRE_DBD_SOCKET=daemon.socket_path)
        named = output(CTL, "--socket", daemon.socket_path, code=64)
        self.assertIn(f"\n  pierre-dbctl --socket {daemon.socket_path} call get_user_count", named)

    def test_without_a_daemon(self):
        text, commands = self.advice(PIERRE_DBD_SOCKET="/nonexistent/s")
        self.assertRegex(text, r"\nNo daemon answers:\n  .*/nonexistent/s.*\n")
        self.assertEqual(commands[0], "pierre-dbctl doctor")
        for command in commands:
            output(CTL, *command.split()[1:], code=1 if "doctor" in command else 0,
                   PIERRE_DBD_SOCKET="/nonexistent/s")  # fmt: skip
        for option in re.findall(r"pierre-dbd (--[a-z-]+)", text):
            self.assertIn(option, output(BINARY, "--help"))

    def test_for_a_program(self):
        text = output(CTL, "--json", code=64)
        self.assertEqual(text.count("\n"), 1)
        self.assertIn('"kind":"usage"', text)
