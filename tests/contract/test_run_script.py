"""scripts/run in a copy of the checkout, as on a developer's laptop. Would catch: a build that
needs more than the checkout, suggested commands that fail, a new key created beside a database that
has another, Ctrl-C that interrupts calls, another daemon's readiness mistaken for its own."""
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from lib.case import Case
from lib.daemon import SANITIZER, SLOW

BACKENDS = ("sqlite",)
SANITIZERS = False
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PARTS = (
    "backends",
    "client",
    "daemon",
    "docs",
    "protocol",
    "scripts",
    "systemd",
    "tools",
    "tests",
    "meson.build",
    "README.md",
)


class RunScript(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="pierre-run-")
        cls.copy = os.path.join(cls.folder, "checkout")
        os.mkdir(cls.copy)
        for name in sorted(
            set(PARTS) | {name for name in os.listdir(ROOT) if name.startswith("meson")}
        ):
            source = os.path.join(ROOT, name)
            if os.path.isdir(source):
                shutil.copytree(
                    source,
                    os.path.join(cls.copy, name),
                    ignore=shutil.ignore_patterns("__pycache__"),
                )
            elif os.path.exists(source):
                shutil.copy2(source, cls.copy)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def setUp(self):
        if SANITIZER:
            self.skipTest("makes its own build, which the run without a sanitizer tests")
        for tool in ("socat", "jq"):
            if shutil.which(tool) is None:
                self.skipTest(f"{tool} is ABSENT: scripts/run is NOT tested")
        shutil.rmtree(os.path.join(self.copy, "data"), ignore_errors=True)

    def environment(self, **more):
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "ENCRYPTION_KEY", "RUNTIME_DIRECTORY")
            and not name.startswith("PIERRE_DBD_")
        }
        return {**kept, "PIERRE_DBD_SOCKET": os.path.join(self.folder, "dbd.sock"), **more}

    def start(self, *options, **more):
        """Returns the running script and its output until it was ready."""
        process = subprocess.Popen(
            ["scripts/run", *options],
            cwd=self.copy,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C must work even when the tests run in a background process that ignores it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        text = ""
        for line in process.stdout:
            text += line
            if "Ctrl-C stops it" in line:
                return process, text
        self.fail(f"scripts/run ended with {process.wait()}:\n{text}")

    def refused(self, *options, **more):
        """Returns the exit code and both outputs of a script that exits by itself."""
        done = subprocess.run(
            ["scripts/run", *options],
            cwd=self.copy,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def stop(self, process):
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60 * SLOW), 0)

    def test_first_day(self):
        process, text = self.start()
        commands = re.findall(r"^  (\S.*)$", text, re.MULTILINE)
        self.assertEqual(len(commands), 3, text)
        outputs = []
        for command in commands:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=self.copy,
                env=self.environment(),
                text=True,
                capture_output=True,
                timeout=60,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)
            outputs.append(done.stdout)
        self.assertIn('"ana@example.com"', outputs[1])
        self.assertIn(outputs[0].strip(), outputs[1])
        self.assertIn('"result": 1', outputs[2])
        self.stop(process)

        key, database = (
            os.path.join(self.copy, "data", name) for name in ("pierre.key", "pierre.db")
        )
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(database).st_mode & 0o777, 0o600)
        with open(key, encoding="ascii") as file:
            first_key = file.read()

        # The next start: the same key and the same users.
        process, text = self.start()
        self.assertNotIn("created a new key", text)
        done = subprocess.run(
            ["build/client/pierre-dbctl", "call", "get_user_count"],
            cwd=self.copy,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.stdout.strip(), "1", done.stderr)
        self.stop(process)

        # A new key is never created beside an existing database.
        os.rename(key, key + ".away")
        code, out, err = self.refused()
        self.assertEqual(code, 78, out)
        self.assertIn("data/pierre.key", err)
        self.assertFalse(os.path.exists(key))

        # A key of the caller is used as it is, and no file is created.
        process, text = self.start(ENCRYPTION_KEY=first_key.strip())
        self.assertFalse(os.path.exists(key))
        self.stop(process)

        # A database of the caller needs its key.
        code, out, _ = self.refused(DATABASE_URL=f"sqlite:{self.folder}/other.db")
        self.assertEqual(code, 78, out)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "other.db")))

    def test_a_file_of_settings(self):
        """Its key and its socket are used. No other key is created, and the suggested commands find
        the socket."""
        process, _ = self.start()
        self.stop(process)
        os.rename(
            os.path.join(self.copy, "data", "pierre.key"), os.path.join(self.folder, "kept.key")
        )
        place, settings = os.path.join(self.folder, "of-file.sock"), os.path.join(
            self.folder, "settings"
        )
        for key in ("ENCRYPTION_KEY=$(cat)", f"ENCRYPTION_KEY_FILE={self.folder}/kept.key"):
            with open(os.path.join(self.folder, "kept.key"), encoding="ascii") as kept, open(
                settings, "w", encoding="ascii"
            ) as file:
                os.chmod(settings, 0o600)
                file.write(
                    f"{key.replace('$(cat)', kept.read().strip())}\nPIERRE_DBD_SOCKET={place}\n"
                )
            process, text = self.start("--env-file", settings, PIERRE_DBD_SOCKET="")
            self.assertIn(f"ready on {place}.", text)
            self.assertNotIn("created a new key", text)
            self.stop(process)

    def test_another_daemon_answers(self):
        process, _ = self.start()
        code, out, err = self.refused()
        self.assertEqual((code, "ready" in out), (75, False), out)
        self.assertIn("a daemon already answers at", err)
        self.stop(process)

    def test_ctrl_c_lets_calls_end(self):
        """From a terminal, which sends its signal to every foreground process: a daemon that got
        two would exit at once."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.copy)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # as in start()
            os.execve("scripts/run", ["scripts/run", "--drain-timeout", "60s"], self.environment())
        self.addCleanup(os.close, terminal)
        shown = b""
        while b"Ctrl-C stops it" not in shown:
            shown += os.read(terminal, 65536)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60 * SLOW)
            connection.connect(os.path.join(self.folder, "dbd.sock"))
            calls = [
                {
                    "jsonrpc": "2.0",
                    "id": i,
                    "method": "create_user",
                    "params": {"user": {"email": f"{i}@x", "password": "p"}},
                }
                for i in range(8)
            ]
            connection.sendall("".join(json.dumps(call) + "\n" for call in calls).encode())
            answers = connection.recv(65536)  # all requests are read, and most wait
            os.write(terminal, b"\x03")
            while more := connection.recv(65536):
                answers += more
        self.assertEqual(
            [line.count(b'"result"') for line in answers.splitlines()], [1] * 8, answers
        )
        try:
            while os.read(terminal, 65536):
                pass
        except OSError:
            pass  # the terminal has no users any more
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
