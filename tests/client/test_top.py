"""`pierre-dbctl top` in a real terminal (tmux) and in a pipe. Would catch: lines that wrap, a
display that ignores the terminal's size, a terminal left without echo or cursor, escape sequences
in a pipe, a view that ends with the daemon."""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time

from lib.case import Case
from lib.daemon import CTL, Daemon, SANITIZER, SLOW
from lib.rpc import Closed
from lib.terminal import Terminal, environment
from lib.world import World, uuid4


class Top(Case):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon().start()
        with cls.daemon.connect() as one:
            cls.user = World(one).user()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def setUp(self):
        self.stop = threading.Event()
        self.threads = []
        self.addCleanup(self.end_load)

    def load(self):
        """Reads, writes and refused calls until the test ends; it survives the end of the
        daemon."""

        def work():
            while not self.stop.is_set():
                try:
                    with self.daemon.connect() as one:
                        while not self.stop.is_set():
                            for _ in range(3):
                                one.call("get_user", user_id=self.user)
                            one.call("update_last_active", user_id=self.user)
                            one.error("update_last_active", user_id=uuid4())
                            time.sleep(0.005)
                except (OSError, Closed):
                    time.sleep(0.05)

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def end_load(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def command(self, *arguments):
        return [CTL, "--socket", self.daemon.socket_path, "top", *arguments]


class WithTerminals(Top):
    def setUp(self):
        super().setUp()
        if shutil.which("tmux") is None:
            self.skipTest("tmux is not installed: the live view is NOT tested in a terminal")

    def terminal(self, *arguments, width=80, height=24, **variables):
        """A terminal that runs top, past its first interval."""
        terminal = Terminal(width, height, environment(**{"TERM": "tmux-256color", **variables}))
        self.addCleanup(terminal.close)
        self.within(20, lambda: "ready>" in terminal.text())
        terminal.type(shlex.join(self.command("--interval", "0.3", *arguments)))
        return terminal

    def shown(self, terminal):
        """Returns the display once it has rates."""
        self.within(20, lambda: re.search(r"^calls .*/s ", terminal.text(), re.MULTILINE))
        return terminal.lines()


class InATerminal(WithTerminals):
    def test_80_columns(self):
        self.load()
        terminal = self.terminal()
        lines = self.shown(terminal)
        self.within(20, lambda: "get_user  " in terminal.text())
        lines = terminal.lines()
        self.assertEqual(len(lines), 24, "\n".join(lines))
        self.assertTrue(all(len(line) <= 80 for line in lines))
        database = "SQLite" if self.daemon.backend == "sqlite" else "PostgreSQL"
        self.assertRegex(
            lines[0],
            rf"^pierre-dbd \d+\.\d+\.\d+   {database} [\d.]+.*   up \d\d:\d\d:\d\d "
            r"+\d\d:\d\d:\d\d$",
        )
        self.assertEqual(len(lines[0]), 80)
        self.assertRegex(lines[1], r"^health    ok   database answers in [\d.]+ (µs|ms)$")
        self.assertRegex(
            lines[2],
            r"^calls     [\d.]+/s   p50 [\d.]+ (µs|ms)   p99 [\d.]+ (µs|ms|s)   errors [\d.]+/s "
            r"  most: not_found$",
        )
        self.assertRegex(
            lines[3], r"^clients   [23] of 1024   in flight \d+   hashing 0.0/s   queued 0$"
        )
        self.assertRegex(
            lines[4],
            r"^database  \d of \d+ busy   waiting \d+   (connecting \d+   )?commits [\d.]+/s of "
            r"[\d.]+ calls",
        )
        self.assertEqual("wal" in lines[4], self.daemon.backend == "sqlite")
        self.assertRegex(
            lines[5],
            r"^process   cpu \d+ %   memory [\d.]+ MiB   files \d+   loop lag [\d.]+ (µs|ms)$",
        )
        self.assertRegex(lines[6], r"^history   [▁▂▃▄▅▆▇█]+  up to [\d.k]+/s$")
        self.assertRegex(lines[8], r"^METHOD +▾CALLS/S +P50 +P99 +ERRORS/S +LOAD +TOTAL$")
        self.assertRegex(
            lines[9], r"^get_user +[\d.]+ +[\d.]+ (µs|ms) +[\d.]+ (µs|ms|s) +0\.0 +\d\.\d\d +\d+$"
        )
        self.assertTrue(lines[10].startswith("update_last_active "), lines[10])
        self.assertRegex(lines[23], r"^q quit   sort by r rate .* every 0.3 s$")
        self.assertEqual(terminal.state(), "1 0 0")
        if os.environ.get("PIERRE_TEST_PICTURE"):
            print("\n".join(lines), flush=True)

    def test_160_columns_and_resizing(self):
        self.load()
        terminal = self.terminal(width=160, height=50)
        lines = self.shown(terminal)
        self.assertEqual((len(lines[0]), len(lines)), (160, 50))
        self.within(10, lambda: re.search(r"P90.*MEAN.*ROWS/S", terminal.text()))
        for width, height in (
            (100, 30),
            (80, 24),
            (60, 20),
            (40, 8),
            (20, 4),
            (10, 1),
            (160, 50),
            (80, 24),
        ):
            terminal.resize(width, height)

            def fits():
                lines = terminal.lines()
                return (
                    max(map(len, lines)) <= width
                    and len(lines) <= height
                    and (
                        height < 9
                        or (lines[-1].startswith("q quit"[:width]) and len(lines) == height)
                    )
                    and (
                        height < 24
                        or (
                            len(lines[0]) == width and ("P90" in "\n".join(lines)) == (width >= 100)
                        )
                    )
                )

            self.within(10, fits)
        self.assertIsNotNone(terminal.pid_of_ctl())

    def names(self, terminal):
        """Returns the title line and the names; waits while the display is being drawn."""
        self.within(10, lambda: any(line.startswith("METHOD") for line in terminal.lines()))
        lines = terminal.lines()
        head = next((i for i, line in enumerate(lines) if line.startswith("METHOD")), None)
        if head is None:
            return self.names(terminal)
        return lines[head], [line.split()[0] for line in lines[head + 1 : -1] if line.strip()]

    def test_sorting_and_scrolling(self):
        self.load()
        terminal = self.terminal(width=80, height=24)
        self.shown(terminal)
        for key, title in (
            ("n", "METHOD"),
            ("e", "ERRORS/S"),
            ("t", "TOTAL"),
            ("l", "LOAD"),
            ("p", "P99"),
            ("r", "CALLS/S"),
        ):
            terminal.keys(key)
            mark = re.compile(r"^METHOD +▾" if key == "n" else rf"▾{title}")
            self.within(10, lambda mark=mark: mark.search(self.names(terminal)[0]))
            names = self.names(terminal)[1]
            if key == "n":
                self.assertEqual(names, sorted(names))
            if key == "e":
                self.assertEqual(names[0], "update_last_active")
            if key in "rt":
                self.assertEqual(names[0], "get_user")
        terminal.resize(80, 12)
        self.within(
            10, lambda: len(terminal.lines()) == 12 and terminal.lines()[-1].startswith("q quit")
        )
        first = self.names(terminal)[1][0]
        terminal.keys("Down", "Down")
        self.within(10, lambda: self.names(terminal)[1][0] != first)
        terminal.keys("Up", "Up", "Up", "Up")
        self.within(10, lambda: self.names(terminal)[1][0] == first)
        for key, interval in (("+", "0.6"), ("-", "0.3")):
            terminal.keys(key)
            self.within(10, lambda text=f"every {interval} s": terminal.lines()[-1].endswith(text))

    def test_every_end_gives_the_terminal_back(self):
        """q, Ctrl-C, SIGTERM, SIGHUP, -n: the shell's screen, the cursor and the echo are
        restored."""
        terminal = self.terminal()
        self.shown(terminal)
        for round_, end in enumerate(
            ("q", "C-c", signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, "count")
        ):
            self.assertEqual(terminal.state(), "1 0 0", end)
            if isinstance(end, signal.Signals):
                os.kill(terminal.pid_of_ctl(), end)
            elif end != "count":
                terminal.keys(end)
            self.within(10, lambda: terminal.state() == "0 1 1")
            terminal.type(f"echo code=$? round={round_}")
            self.within(10, lambda r=round_: f"code=0 round={r}\n" in terminal.text() + "\n")
            self.assertIn(f"ready> echo code=$? round={round_}", terminal.text())  # echoed
            terminal.type("stty -a | grep -c -- -icanon")
            self.within(10, lambda: "\n0\n" in terminal.text())
            terminal.type("clear")
            terminal.type(
                shlex.join(self.command("--interval", "0.3", *(["-n", "2"] if round_ == 4 else [])))
            )
            if round_ != 5:
                self.within(10, lambda: terminal.state() == "1 0 0")

    def test_suspended_and_continued(self):
        terminal = self.terminal()
        self.shown(terminal)
        terminal.keys("C-z")
        self.within(10, lambda: terminal.state() == "0 1 1" and "Stopped" in terminal.text())
        terminal.type("echo in the shell")
        self.within(10, lambda: "\nin the shell" in terminal.text())
        terminal.type("fg")
        self.within(10, lambda: terminal.state() == "1 0 0" and "METHOD" in terminal.text())
        terminal.keys("q")
        self.within(10, lambda: terminal.state() == "0 1 1")

    def test_colours(self):
        self.load()
        for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            terminal = self.terminal(**variables)
            self.shown(terminal)
            self.within(10, lambda t=terminal: "get_user  " in t.text())
            escapes = re.findall(r"\x1b\[[\d;]*m", "\n".join(terminal.lines(escapes=True)))
            self.assertEqual(bool(escapes), coloured, variables)
            terminal.close()

    def test_without_utf8(self):
        self.load()
        terminal = self.terminal(LANG="C", LC_ALL="C")
        text = "\n".join(self.shown(terminal))
        self.assertTrue(text.isascii(), text)
        self.assertRegex(text, r"\d us\b")

    def test_dumb_terminal(self):
        terminal = self.terminal("-n", "2", TERM="dumb")
        self.within(
            20, lambda: len(re.findall(r"^\d\d:\d\d:\d\d  ok", terminal.text(), re.MULTILINE)) == 2
        )
        self.assertEqual(terminal.state(), "0 1 1")


class AcrossARestart(WithTerminals):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon.expected_exits = {0, -signal.SIGKILL}

    def test_restart_and_silence(self):
        """It reports that it reconnects, keeps its data, and continues with the next daemon; keys
        work meanwhile."""
        if SANITIZER:
            self.skipTest(
                "rates across a restart are NOT tested in a slow build, whose callers may "
                "time out"
            )
        self.load()
        terminal = self.terminal()
        self.shown(terminal)
        self.within(10, lambda: "get_user  " in terminal.text())
        self.daemon.terminate()
        self.within(
            10,
            lambda: re.search(
                r"^health +reconnecting   no answer for \d+ s: .*", terminal.text(), re.MULTILINE
            ),
        )
        self.assertIn("get_user  ", terminal.text())
        terminal.keys("n")
        self.within(10, lambda: re.search(r"^METHOD +▾", terminal.text(), re.MULTILINE))
        self.daemon.start()
        self.within(20, lambda: re.search(r"^health +ok", terminal.text(), re.MULTILINE))
        self.within(20, lambda: re.search(r"^calls +[1-9][\d.]*/s", terminal.text(), re.MULTILINE))
        self.daemon.signal(signal.SIGSTOP)
        try:
            self.within(20, lambda: re.search(r"reconnecting .*stalled", terminal.text()))
        finally:
            self.daemon.signal(signal.SIGCONT)
        self.within(20, lambda: re.search(r"^health +ok", terminal.text(), re.MULTILINE))
        terminal.keys("q")
        self.within(10, lambda: terminal.state() == "0 1 1")


class InAPipe(Top):
    def run_top(self, *arguments, code=0, **variables):
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=60 * SLOW,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment(**variables),
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def test_lines(self):
        self.load()
        lines = self.run_top("--interval", "0.2", "--count", "3").splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[0].split()[:5], ["TIME", "HEALTH", "CALLS/S", "ERRORS/S", "P50"])
        for line in lines[1:]:
            self.assertRegex(
                line,
                r"^\d\d:\d\d:\d\d  ok +[\d.]+ +[\d.]+ +[\d.]+ (us|ms) +[\d.]+ (us|ms|s) +\d+ "
                r"+\d+ +\d+ +\d+ +[\d.]+ (B|KiB|MiB)$",
            )
            self.assertTrue(line.isascii() and "\x1b" not in line, line)

    def test_numbers(self):
        """The number of calls over the interval in which they were made."""
        process = subprocess.Popen(
            self.command("--json", "--interval", "1.5", "--count", "1"),
            stdout=subprocess.PIPE,
            text=True,  # pylint: disable=consider-using-with
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
        time.sleep(0.4 * SLOW if SLOW < 2 else 0.5)
        with self.daemon.connect() as one:
            one.many([("get_user_count", None)] * 600)
            one.error("update_last_active", user_id=uuid4())
        line = json.loads(process.communicate(timeout=60 * SLOW)[0])
        if SLOW < 2:
            self.assertTrue(600 / 1.9 < line["calls_per_second"] < 601 / 1.4, line)
            self.assertAlmostEqual(
                line["methods"]["get_user_count"]["calls_per_second"] / line["calls_per_second"],
                600 / 601,
                2,
            )
            self.assertAlmostEqual(line["errors_per_second"] * 601, line["calls_per_second"], 3)
        self.assertTrue(0 < line["p50_seconds"] <= line["p99_seconds"] < 5, line)
        self.assertEqual((line["health"], line["clients"] >= 1), ("ok", True))

    def test_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen(
                self.command("--interval", "0.2"),
                stdout=subprocess.PIPE,
                text=True,
                stdin=subprocess.DEVNULL,
                env=environment(),
            ) as process:
                self.assertIn("TIME", process.stdout.readline())
                process.stdout.readline()
                process.send_signal(number)
                self.assertEqual(process.wait(20 * SLOW), 0)

    def test_reader_goes(self):
        process = subprocess.Popen(
            self.command("--interval", "0.1"),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )  # pylint: disable=consider-using-with
        process.stdout.readline()
        process.stdout.close()
        self.assertIn(process.wait(20 * SLOW), (74, -signal.SIGPIPE))

    def test_daemon_goes(self):
        other = Daemon("sqlite").start()
        self.addCleanup(other.discard)
        with subprocess.Popen(
            [CTL, "--socket", other.socket_path, "top", "--interval", "0.2", "--count", "8"],
            stdout=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            env=environment(),
        ) as process:
            process.stdout.readline()
            process.stdout.readline()
            other.terminate()
            rest = process.stdout.read()
            self.assertEqual(process.wait(20 * SLOW), 75)
        self.assertRegex(rest, r"\d\d:\d\d:\d\d  unreachable  no answer for \d+ s\n$")

    def test_usage(self):
        self.assertIn("--interval expects seconds", self.run_top("--interval", "soon", code=64))
        self.assertIn("--interval expects seconds", self.run_top("--interval=0", code=64))
        self.assertIn("--interval requires a value", self.run_top("--interval", code=64))
        self.assertIn("--count expects a number", self.run_top("-n", "0", code=64))
        self.assertIn("--sort expects rate", self.run_top("--sort", "height", code=64))
        self.assertIn("top has no option --fast", self.run_top("--fast", code=64))
        done = subprocess.run(
            [CTL, "--socket", "/nonexistent/s", "top"],
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout), (75, ""))
        self.assertIn("is pierre-dbd running?", done.stderr)
