"""The files of an open SQLite database are removed, moved or replaced. Would catch: a write that is
answered and then lost in a file that nobody opens again, a daemon that goes on or crashes."""
import os
import shutil
import signal
import time

from lib import invariants
from lib.case import Case
from lib.daemon import SLOW, Daemon, temporary_folder
from lib.databases import Sqlite
from lib.rpc import Closed, RpcError
from lib.world import World, new_user

BACKENDS = ("sqlite",)


class Removed(Case):
    def one(self, change, database=None, kept=False):
        """After the change no write may be answered with success and then be lost. Within 5 s the
        daemon logs the reason and exits with 74. kept: the database file stays in place, so the
        next start must find all answered writes."""
        daemon = Daemon("sqlite", database)
        daemon.start()
        stored = []
        try:
            with daemon.connect() as connection:
                stored.append(World(connection).user())
                change(os.path.realpath(daemon.database.path))
                began = time.monotonic()
                try:
                    while time.monotonic() - began < 8 * SLOW:
                        stored.append(connection.call("create_user", user=new_user()))
                        time.sleep(0.05)
                except (Closed, RpcError, BrokenPipeError, ConnectionResetError):
                    pass
                code = daemon.wait(10)
                self.assertLess(time.monotonic() - began, 8 * SLOW)
                self.assertEqual(code, 74, daemon.log()[-3000:])
                self.assertIn("pierre.db", daemon.log())
            daemon.check_log()
            if kept:
                with Daemon(
                    "sqlite", daemon.database, folder=daemon.folder, key=daemon.key
                ) as again, again.connect() as connection:
                    invariants.check_stored(connection, stored)
                self.assertEqual(invariants.integrity(daemon.database.path), "ok")
        finally:
            daemon.discard()

    def test_wal_removed(self):
        self.one(lambda path: os.unlink(path + "-wal"), kept=True)

    def test_wal_moved(self):
        self.one(lambda path: os.rename(path + "-wal", path + "-away"), kept=True)

    def test_wal_replaced(self):
        def change(path):
            os.rename(path + "-wal", path + "-old")
            shutil.copyfile(path + "-old", path + "-wal")

        self.one(change, kept=True)

    def test_wal_removed_behind_a_link(self):
        """SQLite keeps its files beside the target of a link."""
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        os.mkdir(os.path.join(folder, "real"))
        os.symlink("real/pierre.db", os.path.join(folder, "link.db"))
        self.one(lambda path: os.unlink(path + "-wal"), Sqlite(folder, "link.db"), kept=True)

    def test_index_removed(self):
        """A program that opens the database then would share neither locks nor the end of the WAL
        with the daemon."""
        self.one(lambda path: os.unlink(path + "-shm"), kept=True)

    def test_database_removed(self):
        self.one(os.unlink)

    def test_database_replaced(self):
        """By a copy with its own WAL, as when a user puts a backup in its place. The daemon changes
        neither at its exit."""
        put = {}

        def change(path):
            for end in ("", "-wal", "-shm"):
                os.rename(path + end, path + end + "-old")
            for end in ("", "-wal"):
                shutil.copyfile(path + end + "-old", path + end)
                with open(path + end, "rb") as file:
                    put[path + end] = file.read()

        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        self.one(change, Sqlite(folder))
        for path, content in put.items():
            with open(path, "rb") as file:
                self.assertEqual(file.read(), content, f"{path} was written to")

    def test_database_alone_replaced(self):
        """By a copy of itself: the WAL, which the daemon still uses, belongs to the removed
        file."""

        def change(path):
            os.rename(path, path + "-old")
            shutil.copyfile(path + "-old", path)

        self.one(change)

    def test_a_call_that_comes_with_the_end(self):
        """Stopped beyond its next look at the files, the daemon finds the loss first, and the call
        in the same turn of its loop."""
        daemon = Daemon()
        daemon.start()
        try:
            with daemon.connect() as connection:
                connection.call("get_user_count")
                daemon.signal(signal.SIGSTOP)
                os.unlink(daemon.database.path)
                call = connection.request("create_user", user=new_user())
                time.sleep(1.5)
                daemon.signal(signal.SIGCONT)
                with self.assertRaises((Closed, ConnectionResetError)):
                    connection.answer(call)
                self.assertEqual(daemon.wait(10), 74, daemon.log()[-3000:])
        finally:
            daemon.discard()

    def test_idle_daemon_notices_too(self):
        daemon = Daemon()
        daemon.start()
        try:
            daemon.call("get_user_count")
            os.unlink(daemon.database.path)
            self.assertEqual(daemon.wait(6), 74, daemon.log()[-3000:])
        finally:
            daemon.discard()
