"""The upgrade of an existing installation's file, killed at each of its writes to the disk, and the
creation of a new one, killed at each sync. Would catch: a migration outside of a transaction, a
version recorded before its work is done, a file that the next start takes for a new one, a new one
with a part of its tables."""
import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess

from lib import invariants, old_installation
from lib.case import Case
from lib.daemon import SANITIZER, Daemon, StartFailure, new_key, temporary_folder
from lib.databases import Sqlite

BACKENDS = ("sqlite",)
SANITIZERS = False
WRITES = "pwrite64,fdatasync,fsync,ftruncate,unlink"
# A killed process keeps what it has written, and each commit is followed by a sync.
SYNCS = "fdatasync,fsync"
LONG = os.environ.get("PIERRE_TEST_LONG")
ROUNDS = 400 if LONG else 40


def traced(calls, output):
    """strace of these system calls, of all threads."""
    return ("strace", "-f", "-qq", "-e", "signal=none", "-e", f"trace={calls}", "-o", output)


class Killed(Case):
    """Starts of a daemon that are killed at one of their writes or syncs."""

    system_calls = WRITES

    def setUp(self):
        self.key = new_key()
        if SANITIZER:
            self.skipTest("a sanitizer's build is not traced")
        if (
            shutil.which("strace") is None
            or subprocess.run(
                ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False
            ).returncode
            != 0
        ):
            self.skipTest("strace is ABSENT or cannot trace: a killed start is NOT tested")

    def folder(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def daemon(self, folder, **arguments):
        return Daemon("sqlite", Sqlite(folder), folder=folder, key=self.key, **arguments)

    def writes(self, folder):
        """Returns how many such system calls a whole start makes."""
        trace = os.path.join(folder, "trace")
        with self.daemon(
            folder,
            wrapper=traced(self.system_calls, trace),
        ):
            with open(trace, encoding="ascii", errors="replace") as file:
                return sum("(" in line for line in file)

    def killed_at(self, folder, number):
        """Kills a start at that system call; False: it was ready before."""
        cut = self.daemon(
            folder,
            wrapper=(
                *traced(self.system_calls, os.path.join(folder, "trace")),
                "-e",
                f"inject={self.system_calls}:signal=SIGKILL:when={number}",
            ),
        )
        cut.expected_exits = {-signal.SIGKILL, 128 + signal.SIGKILL}
        killed = False
        try:
            cut.start()
            cut.kill()
        except StartFailure as ended:
            self.assertIn(ended.code, cut.expected_exits, ended.log)
            killed = True
        self.within(10, lambda: not self.listens(cut.socket_path))
        return killed

    @staticmethod
    def listens(path):
        """Checks whether the killed process still exists: strace may end before the last of its
        threads."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(path) == 0


class Migration(Killed):
    def setUp(self):
        super().setUp()
        self.original = os.path.join(self.folder(), "pierre.db")
        made = old_installation.make(self.original)
        self.key, self.calls = made.key, made.calls

    def fresh(self):
        folder = self.folder()
        shutil.copyfile(self.original, os.path.join(folder, "pierre.db"))
        os.chmod(os.path.join(folder, "pierre.db"), 0o600)
        return folder

    def test_killed_at_each_write(self):
        count = self.writes(self.fresh())
        self.assertGreater(count, 20)
        killed = 0
        for number in range(1, count + 1, max(1, count // ROUNDS)):
            folder = self.fresh()
            killed += self.killed_at(folder, number)
            with self.subTest(killed_at=number):
                self.check(folder)
        print(f"  {killed} kills in {count} writes")
        self.assertGreater(killed, 15)

    def check(self, folder):
        path = os.path.join(folder, "pierre.db")
        with self.daemon(folder) as daemon, daemon.connect() as connection:
            for method, params, result in self.calls:
                self.same(old_installation.as_before(connection.call(method, params)), result)
            self.same(connection.call("migrate")["applied"], [])
        self.assertEqual(invariants.integrity(path), "ok")


class Creation(Killed):
    """A new database is created in one transaction."""

    system_calls = WRITES if LONG else SYNCS

    def test_killed_at_each_sync(self):
        folder = self.folder()
        count = self.writes(folder)
        self.whole = self.content(folder)
        self.assertGreater(len(self.whole), 10)
        killed, states = 0, set()
        for number in range(1, count + 1):
            folder = self.folder()
            killed += self.killed_at(folder, number)
            with self.subTest(killed_at=number):
                states.add(self.check(folder))
        print(f"  {killed} kills in {count} system calls")
        self.assertEqual(states, {"empty", "whole"})

    @staticmethod
    def content(folder):
        """Returns the recorded migrations and the format of the tokens; an empty list where no
        table is."""
        path = os.path.join(folder, "pierre.db")
        if not os.path.exists(path):
            return []
        with contextlib.closing(sqlite3.connect(path)) as database:
            if not database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                return []
            return database.execute(
                "SELECT version, name FROM pierre_migrations UNION ALL "
                "SELECT key, value FROM pierre_meta WHERE key = 'token_format'"
            ).fetchall()

    def check(self, folder):
        """Returns what the killed start has left."""
        left = self.content(folder)
        self.assertIn(left, ([], self.whole))
        with self.daemon(folder) as daemon, daemon.connect() as connection:
            self.same(connection.call("migrate")["applied"], [])
        self.assertEqual(self.content(folder), self.whole)
        return "whole" if left else "empty"
