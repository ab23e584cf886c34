"""Shared by the tests of opening a database: a folder with one database file, and daemons that
start on it, are refused or killed."""
import glob
import hashlib
import os
import shutil
import signal
import sqlite3

from . import old_installation
from .case import Case
from .daemon import Daemon, StartFailure, new_key, temporary_folder
from .databases import Sqlite
from .world import World


def sums(folder):
    """Returns every file except for log, socket and lock."""
    found = {}
    for path in glob.glob(os.path.join(folder, "**"), recursive=True):
        if os.path.isfile(path) and os.path.basename(path) not in ("log", "s.lock", "trace"):
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


class OpenCase(Case):
    def setUp(self):
        self.key = new_key()
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = os.path.join(self.folder, "pierre.db")

    def daemon(self, database=None, **more):
        daemon = Daemon(
            "sqlite",
            database or Sqlite(self.folder),
            folder=more.pop("folder", self.folder),
            key=more.pop("key", self.key),
            **more,
        )
        self.addCleanup(daemon.discard)
        return daemon

    def refused(self, code, *words, **more):
        """Checks that the start ends with this code and changes nothing."""
        before = sums(self.folder)
        daemon = self.daemon(**more)
        try:
            daemon.start()
        except StartFailure as ended:
            self.assertEqual(ended.code, code, ended.log)
            last = ended.log.strip().splitlines()[-1]
            for word in words:
                self.assertIn(word, last)
        else:
            daemon.stop()
            self.fail(f"it started: {more}")
        self.assertEqual(sums(self.folder), before)

    def killed(self, users, **more):
        """A daemon that has stored users and is then killed."""
        daemon = self.daemon(**more).start()
        self.add(daemon, users)
        daemon.expected_exits = {-signal.SIGKILL}
        daemon.kill()
        return daemon

    @staticmethod
    def add(daemon, users):
        with daemon.connect() as c:
            for _ in range(users):
                World(c).user()

    def count(self, **more):
        with self.daemon(**more) as daemon, daemon.connect() as c:
            return c.call("get_user_count")

    def old_file(self):
        """The file of an installation of the old server."""
        self.key = old_installation.make(self.path).key

    def sql(self, text, path=None):
        db = sqlite3.connect(path or self.path)
        try:
            rows = db.executescript(text).fetchall() if ";" in text else db.execute(text).fetchall()
            db.commit()
            return rows
        finally:
            db.close()
