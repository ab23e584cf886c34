"""The upgrade of an existing installation's file, killed at each of its writes to the disk. Would
catch: a migration outside of a transaction, a version recorded before its work is done, a file that
the next start takes for a new one."""
import os
import shutil
import signal
import socket
import subprocess

from lib import invariants, old_installation
from lib.case import Case
from lib.daemon import SANITIZER, Daemon, StartFailure, temporary_folder
from lib.databases import Sqlite

BACKENDS = ("sqlite",)
SANITIZERS = False
WRITES = "pwrite64,fdatasync,fsync,ftruncate,unlink"
ROUNDS = 400 if os.environ.get("PIERRE_TEST_LONG") else 40


def traced(output):
    """strace of the system calls that write to the disk, of all threads."""
    return ("strace", "-f", "-qq", "-e", "signal=none", "-e", f"trace={WRITES}", "-o", output)


class Migration(Case):
    def setUp(self):
        if SANITIZER:
            self.skipTest("a sanitizer's build is not traced")
        if (
            shutil.which("strace") is None
            or subprocess.run(
                ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False
            ).returncode
            != 0
        ):
            self.skipTest("strace is ABSENT or cannot trace: a killed upgrade is NOT tested")
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.original = os.path.join(folder, "pierre.db")
        made = old_installation.make(self.original)
        self.key, self.calls = made.key, made.calls

    def daemon(self, folder, **arguments):
        return Daemon("sqlite", Sqlite(folder), folder=folder, key=self.key, **arguments)

    def fresh(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        shutil.copyfile(self.original, os.path.join(folder, "pierre.db"))
        os.chmod(os.path.join(folder, "pierre.db"), 0o600)
        return folder

    def writes(self):
        """Returns how many system calls of a whole upgrade write to the disk."""
        folder = self.fresh()
        trace = os.path.join(folder, "trace")
        with self.daemon(
            folder,
            wrapper=traced(trace),
        ):
            with open(trace, encoding="ascii", errors="replace") as file:
                return sum("(" in line for line in file)

    def test_killed_at_each_write(self):
        count = self.writes()
        self.assertGreater(count, 20)
        killed = 0
        for number in range(1, count + 1, max(1, count // ROUNDS)):
            folder = self.fresh()
            cut = self.daemon(
                folder,
                wrapper=(
                    *traced(os.path.join(folder, "trace")),
                    "-e",
                    f"inject={WRITES}:signal=SIGKILL:when={number}",
                ),
            )
            cut.expected_exits = {-signal.SIGKILL, 128 + signal.SIGKILL}
            try:
                cut.start()
                cut.kill()
            except StartFailure as ended:
                self.assertIn(ended.code, cut.expected_exits, ended.log)
                killed += 1
            self.within(10, lambda: not self.listens(cut.socket_path))
            with self.subTest(killed_at=number):
                self.check(folder)
        print(f"  {killed} kills in {count} writes")
        self.assertGreater(killed, 15)

    @staticmethod
    def listens(path):
        """Checks whether the killed process still exists: strace may end before the last of its
        threads."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(path) == 0

    def check(self, folder):
        path = os.path.join(folder, "pierre.db")
        with self.daemon(folder) as daemon, daemon.connect() as connection:
            for method, params, result in self.calls:
                self.same(connection.call(method, params), result)
            self.same(connection.call("migrate")["applied"], [])
        self.assertEqual(invariants.integrity(path), "ok")
