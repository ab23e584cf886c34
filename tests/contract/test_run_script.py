"""scripts/run in a copy of the checkout, as somebody at a laptop uses it. Would catch: a build that needs more than the checkout,
commands to try that do not work, a new key made beside a database that has another."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib.case import Case, main  # noqa: E402
from lib.daemon import SANITIZER, SLOW  # noqa: E402

BACKENDS = ("sqlite",)
SANITIZERS = False
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PARTS = ("backends", "client", "daemon", "docs", "protocol", "scripts", "systemd", "tests", "meson.build", "README.md")


class RunScript(Case):
    def setUp(self):
        if SANITIZER:
            self.skipTest("builds by itself, which the run without a sanitizer tests")
        for tool in ("socat", "jq"):
            if shutil.which(tool) is None:
                self.skipTest(f"{tool} is ABSENT: scripts/run is NOT tested")
        self.folder = tempfile.mkdtemp(prefix="pierre-run-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.copy = os.path.join(self.folder, "checkout")
        os.mkdir(self.copy)
        for name in sorted(set(PARTS) | {name for name in os.listdir(ROOT) if name.startswith("meson")}):
            source = os.path.join(ROOT, name)
            if os.path.isdir(source):
                shutil.copytree(source, os.path.join(self.copy, name), ignore=shutil.ignore_patterns("__pycache__"))
            elif os.path.exists(source):
                shutil.copy2(source, self.copy)

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items()
                if name not in ("DATABASE_URL", "ENCRYPTION_KEY", "RUNTIME_DIRECTORY") and not name.startswith("PIERRE_DBD_")}
        return {**kept, "PIERRE_DBD_SOCKET": os.path.join(self.folder, "dbd.sock"), **more}

    def start(self, **more):
        """The running script and what it printed until it was ready."""
        process = subprocess.Popen(["scripts/run"], cwd=self.copy, env=self.environment(**more), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   # Ctrl-C works also where the tests themselves run in a background that ignores it.
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        text = ""
        for line in process.stdout:
            text += line
            if "Ctrl-C stops it" in line:
                return process, text
        self.fail(f"scripts/run ended with {process.wait()}:\n{text}")

    def stop(self, process):
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60 * SLOW), 0)

    def test_first_day(self):
        process, text = self.start()
        commands = re.findall(r"^  (\S.*)$", text, re.MULTILINE)
        self.assertEqual(len(commands), 3, text)
        outputs = []
        for command in commands:
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=self.copy, env=self.environment(), text=True,
                                  capture_output=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)
            outputs.append(done.stdout)
        self.assertIn('"ana@example.com"', outputs[1])
        self.assertIn(outputs[0].strip(), outputs[1])
        self.assertIn('"result": 1', outputs[2])
        self.stop(process)

        key, database = (os.path.join(self.copy, "data", name) for name in ("pierre.key", "pierre.db"))
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(database).st_mode & 0o777, 0o600)
        with open(key, encoding="ascii") as file:
            first_key = file.read()

        # The next day: the same key and the same users.
        process, text = self.start()
        self.assertNotIn("made a new key", text)
        done = subprocess.run(["build/client/pierre-dbctl", "call", "get_user_count"], cwd=self.copy, env=self.environment(),
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout.strip(), "1", done.stderr)
        self.stop(process)

        # Never a new key beside an existing database.
        os.rename(key, key + ".away")
        done = subprocess.run(["scripts/run"], cwd=self.copy, env=self.environment(), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 78, done.stdout)
        self.assertIn("data/pierre.key", done.stderr)
        self.assertFalse(os.path.exists(key))

        # A key of the caller's own is used as it is, and nothing is made.
        process, text = self.start(ENCRYPTION_KEY=first_key.strip())
        self.assertFalse(os.path.exists(key))
        self.stop(process)

        # A database of the caller's own needs its key.
        done = subprocess.run(["scripts/run"], cwd=self.copy, capture_output=True, text=True, check=False,
                              env=self.environment(DATABASE_URL=f"sqlite:{self.folder}/other.db"))
        self.assertEqual(done.returncode, 78, done.stdout)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "other.db")))


if __name__ == "__main__":
    main()
