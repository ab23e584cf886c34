"""A build without its optional parts, as on a machine with the packages of one script only. Would
catch: a program of scripts/bench, or the daemon itself, that needs the tests' library. SQLite only:
the set of programs does not depend on the database, and PostgreSQL's part is compiled alike."""

import glob
import os
import re
import shutil
import subprocess
import tempfile

from lib.case import Case
from lib.daemon import SANITIZER

BACKENDS = ("sqlite",)
SANITIZERS = False
ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
ROW = (
    "--only",
    "unsealed get token 64x16",
    "--rounds",
    "1",
    "--seconds",
    "0.2",
    "--users",
    "200",
    "--api-keys",
    "10",
)


class OptionalParts(Case):
    def setUp(self):
        if SANITIZER or not shutil.which("meson"):
            self.skipTest(
                "NOT tested: a build without optional parts needs meson and a plain build"
            )
        self.folder = tempfile.mkdtemp(prefix="pierre-optional-")
        self.addCleanup(shutil.rmtree, self.folder)

    def run_(self, *command):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, (command, done.stdout[-3000:], done.stderr[-3000:]))
        return done.stdout

    def test_bench_needs_no_test_library(self):
        build = os.path.join(self.folder, "build")
        self.run_("scripts/build", build, "-Dtests=disabled")
        self.assertFalse(os.path.exists(os.path.join(build, "tests", "unit")))
        for name in self.programs():
            self.assertTrue(os.path.exists(os.path.join(build, "tests", "bench", name)), name)
        shown = self.run_("scripts/bench", "--build", build, *ROW, "--skip-beside", "--dry")
        self.assertIn("the same without sealing", shown)

    def programs(self):
        """The programs that the benchmark scripts run."""
        names = set()
        for path in glob.glob(os.path.join(ROOT, "tests", "bench", "*.py")):
            with open(path, encoding="utf-8") as file:
                names |= set(re.findall(r'"(bench-[a-z-]+)"', file.read()))
        self.assertGreater(len(names), 4)
        return names
