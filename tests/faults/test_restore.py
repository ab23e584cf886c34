"""A copy in place of a database: a log of another file is never replayed, and a restore leaves
either the old file or the new one. Would catch: a foreign WAL or journal replayed into a copy, a
normal state mistaken for a crash, a restore that is half done after a kill."""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap

from lib import invariants, old_installation
from lib.case import Case
from lib.daemon import BINARY, CTL, SANITIZER, SLOW, Daemon, new_key
from lib.open_case import OpenCase, sums

BACKENDS = ("sqlite",)  # about files
STEPS = "rename,renameat,renameat2,fsync,fchown,fchmod,unlink,write,ftruncate"


class ForeignLog(OpenCase):
    def copies(self, daemon):
        """What users call a backup, made while the daemon runs."""
        done = subprocess.run(
            [CTL, "--socket", daemon.socket_path, "backup", f"{self.folder}/by-ctl"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        db = sqlite3.connect(self.path)
        copy = sqlite3.connect(f"{self.folder}/by-sqlite")
        db.backup(copy)
        copy.close()
        db.execute("VACUUM INTO ?", (f"{self.folder}/by-vacuum",))
        db.close()
        return ["by-ctl", "by-sqlite", "by-vacuum"]

    def put(self, name, how):
        if how == "over":
            with open(os.path.join(self.folder, name), "rb") as file, open(self.path, "r+b") as to:
                to.write(file.read())
                to.truncate()
        else:
            shutil.copyfile(os.path.join(self.folder, name), self.path + ".new")
            os.rename(self.path + ".new", self.path)

    def test_a_copy_over_a_killed_daemons_file(self):
        with self.daemon() as daemon:
            self.add(daemon, 2)
        shutil.copyfile(self.path, f"{self.folder}/while-down")
        daemon = self.daemon().start()
        self.add(daemon, 1)
        names = ["while-down", *self.copies(daemon)]
        self.add(daemon, 2)
        daemon.expected_exits = {-signal.SIGKILL}
        daemon.kill()
        kept = {end: open(self.path + end, "rb").read() for end in ("", "-wal", "-shm")}
        for name in names:
            for how in ("over", "renamed"):
                with self.subTest(name=name, how=how):
                    self.put(name, how)
                    for end in ("-wal", "-shm"):
                        with open(self.path + end, "wb") as file:
                            file.write(kept[end])
                    self.refused(65, "is not the log of this file", "pierre-dbctl restore")
                    os.rename(self.path + "-wal", self.path + "-moved")
                    os.unlink(self.path + "-shm")
                    self.assertEqual(self.count(), 2 if name == "while-down" else 3)
        with open(self.path, "wb") as file:
            file.write(kept[""])
        with open(self.path + "-wal", "wb") as file:
            file.write(kept["-wal"])
        self.assertEqual(self.count(), 5)

    def test_a_copy_of_before_the_upgrade(self):
        self.old_file()
        shutil.copyfile(self.path, f"{self.folder}/before")
        self.killed(2)
        self.put("before", "over")
        self.refused(65, "is not the log of this file")

    def test_verify_sees_it_too(self):
        self.assertEqual(self.count(), 0)
        shutil.copyfile(self.path, f"{self.folder}/copy")
        self.killed(1)
        self.put("copy", "over")
        before = sums(self.folder)
        done = subprocess.run(
            [CTL, "verify", self.path],
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": os.path.dirname(BINARY) + ":" + os.environ["PATH"],
                "ENCRYPTION_KEY": self.key,
            },
        )
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertEqual(sums(self.folder), before)

    def test_a_crash_is_never_refused(self):
        """Many logs, with partial checkpoints and a crash before each start."""
        users = 0
        for options in (
            ["--checkpoint-pages", "10"],
            [],
            ["--checkpoint-pages", "10"],
            ["--checkpoint-pages", "30"],
        ):
            for number in (1, 40, 7):
                users += number
                self.killed(number, options=options)
        self.assertEqual(self.count(), users)
        self.assertEqual(invariants.integrity(self.path), "ok")

    def test_the_database_is_gone_and_its_log_is_not(self):
        self.killed(2)
        os.rename(self.path, self.path + ".away")
        self.refused(65, "missing", "-wal")
        self.assertFalse(os.path.exists(self.path))
        with open(self.path, "wb"):
            pass
        self.refused(65, "empty", "-wal")
        os.rename(self.path + ".away", self.path)
        self.assertEqual(self.count(), 2)

    def by_a_killed_program(self, pragmas, statement):
        """Another program, like the server before this one, is killed with a transaction in
        progress or in its log."""
        program = textwrap.dedent(
            f"""
            import os, signal, sqlite3
            db = sqlite3.connect({self.path!r}, isolation_level=None)
            db.executescript({pragmas!r})
            db.executescript({statement!r})
            os.kill(os.getpid(), signal.SIGKILL)
        """
        )
        self.assertEqual(
            subprocess.run([sys.executable, "-c", program], check=False).returncode, -signal.SIGKILL
        )

    def test_the_old_servers_log(self):
        self.old_file()
        self.by_a_killed_program(
            "PRAGMA journal_mode=WAL;", "UPDATE users SET display_name = 'from the old log';"
        )
        self.assertGreater(os.path.getsize(self.path + "-wal"), 0)
        with self.daemon():
            pass
        self.assertEqual(set(self.sql("SELECT display_name FROM users")), {("from the old log",)})

    def cut_off(self):
        self.by_a_killed_program(
            "PRAGMA journal_mode=DELETE; PRAGMA cache_size=1; PRAGMA cache_spill=1;",
            "BEGIN; UPDATE users SET display_name = hex(zeroblob(20000)), email = email || 'x'; "
            "UPDATE goals SET title = hex(zeroblob(20000));",
        )
        self.assertGreater(os.path.getsize(self.path + "-journal"), 512)

    def test_a_journal_of_its_own(self):
        self.old_file()
        before = self.sql("SELECT id, display_name FROM users ORDER BY id")
        self.cut_off()
        with self.daemon():
            pass
        self.assertEqual(self.sql("SELECT id, display_name FROM users ORDER BY id"), before)

    def test_a_journal_of_another_state(self):
        self.old_file()
        self.cut_off()
        old_installation.make(f"{self.folder}/copy")
        self.sql(
            "UPDATE users SET is_active = 0; UPDATE users SET is_active = 1;", f"{self.folder}/copy"
        )
        self.put("copy", "over")
        self.refused(65, "-journal is not the log of this file")


class Restore(OpenCase):
    def setUp(self):
        super().setUp()
        with self.daemon() as daemon:
            self.add(daemon, 1)
            done = subprocess.run(
                [CTL, "--socket", daemon.socket_path, "backup", f"{self.folder}/backup"],
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
        self.killed(2)

    def restore(self, *arguments, key=None, wrapper=()):
        done = subprocess.run(
            [*wrapper, CTL, "restore", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60 * SLOW,
            env={
                "PATH": os.path.dirname(BINARY) + ":" + os.environ["PATH"],
                "ENCRYPTION_KEY": key or self.key,
                "DATABASE_URL": f"sqlite:{self.path}",
            },
        )
        self.assertNotIn(self.key, done.stdout + done.stderr)
        return done

    def refuses(self, code, *arguments, word="", **more):
        before = sums(self.folder)
        done = self.restore(*arguments, **more)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(word, done.stderr)
        self.assertEqual(sums(self.folder), before)

    def test_restores_and_sets_aside(self):
        os.chmod(self.path, 0o640)
        if os.geteuid() == 0:
            os.chown(self.path, 12345, 23456)
        was = os.stat(self.path)
        done = self.restore("--json", "backup")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = json.loads(done.stdout)
        self.assertEqual((report["database"], report["from"]), (self.path, "backup"))
        now = os.stat(self.path)
        self.assertEqual(
            (now.st_mode, now.st_uid, now.st_gid), (was.st_mode, was.st_uid, was.st_gid)
        )
        self.assertEqual(
            [name for name in os.listdir(self.folder) if name.startswith("pierre.db-")], []
        )
        self.assertEqual(self.count(), 1)
        # The old database is complete with its log, under its new name.
        self.assertEqual(self.count(database=f"sqlite:{report['set_aside']}"), 3)

    def test_where_there_was_none(self):
        for path in glob.glob(self.path + "*"):
            os.unlink(path)
        done = self.restore("backup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("the old database", done.stdout)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(self.count(), 1)

    def test_not_while_it_is_in_use(self):
        with self.daemon():
            done = self.restore("backup")
            self.assertEqual(done.returncode, 75, done.stderr)
            self.assertIn("in use by a daemon", done.stderr)
        db = sqlite3.connect(self.path)
        db.execute("BEGIN")
        db.execute("SELECT * FROM users").fetchone()
        done = self.restore("backup")
        self.assertEqual(done.returncode, 75, done.stderr)
        self.assertIn("another program", done.stderr)
        db.close()

    def test_what_is_no_backup(self):
        self.refuses(66, "none", word="none")
        self.refuses(64, self.path, word="itself")
        self.refuses(65, self.folder, word="regular file")
        self.refuses(77, "backup", key=new_key())
        self.refuses(64)
        self.refuses(64, "backup", "backup")
        with open(f"{self.folder}/backup", "rb") as file:
            whole = file.read()
        for name, data in (
            ("text", b"not a database" * 1000),
            ("half", whole[: len(whole) // 2]),
            ("empty", b""),
            ("torn", whole[:40960] + os.urandom(4096) + whole[45056:]),
        ):
            with open(f"{self.folder}/{name}", "wb") as file:
                file.write(data)
            self.refuses(65, name)
        self.sql("CREATE TABLE users (id, name)", f"{self.folder}/other.db")
        self.refuses(65, "other.db", word="another program's")
        shutil.copyfile(f"{self.folder}/backup", f"{self.folder}/newer")
        self.sql("INSERT INTO pierre_migrations VALUES (9999, 'x', 'y')", f"{self.folder}/newer")
        self.refuses(65, "newer", word="9999")
        for end in ("", "-wal"):
            shutil.copyfile(self.path + end, f"{self.folder}/logged{end}")
        self.refuses(65, "logged", word="incomplete")

    def test_killed_at_each_step(self):
        if SANITIZER:
            self.skipTest("a sanitizer's build is not traced")
        if (
            shutil.which("strace") is None
            or subprocess.run(
                ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False
            ).returncode
            != 0
        ):
            self.skipTest("strace is ABSENT or cannot trace: a killed restore is NOT tested")
        kept = {
            name: open(os.path.join(self.folder, name), "rb").read()
            for name in ("pierre.db", "pierre.db-wal", "backup")
        }

        def fresh():
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))
            for name, data in kept.items():
                with open(os.path.join(self.folder, name), "wb") as file:
                    file.write(data)
                os.chmod(os.path.join(self.folder, name), 0o600)

        def traced(*more):
            return (
                "strace",
                "-f",
                "-qq",
                "-e",
                "signal=none",
                "-e",
                f"trace={STEPS}",
                "-o",
                os.path.join(self.folder, "trace"),
                *more,
            )

        fresh()
        self.assertEqual(self.restore("backup", wrapper=traced()).returncode, 0)
        with open(os.path.join(self.folder, "trace"), encoding="utf-8", errors="replace") as file:
            made = re.findall(r"^\d+ +(\w+)\(", file.read(), re.MULTILINE)
        self.assertGreater(len(made), 8)
        seen = {1: 0, 3: 0}
        # strace counts each system call separately.
        for call, number in (
            (call, number + 1) for call in sorted(set(made)) for number in range(made.count(call))
        ):
            fresh()
            self.restore(
                "backup", wrapper=traced("-e", f"inject={call}:signal=SIGKILL:when={number}")
            )
            with self.subTest(killed_at=f"{call} {number}"):
                self.within(10, lambda: not self.locked())
                count = self.count()
                seen[count] += 1
                self.assertEqual(invariants.integrity(self.path), "ok")
                self.assertFalse(os.path.exists(self.path + "-restore"))
        print(f"  {len(made)} kills: {seen[3]} times the old database, {seen[1]} times the new one")
        self.assertGreater(min(seen.values()), 2)

    def locked(self):
        """strace may end before the process that it killed."""
        return any(
            subprocess.run(["flock", "-n", path, "true"], check=False).returncode != 0
            for path in glob.glob(self.path + "*")
        )


class Positions(Case):
    def test_copy(self):
        """A copy lacks what was written after it, so positions of the original are not for it."""
        with Daemon() as daemon:
            position = daemon.call("daemon.position")
            path = os.path.join(daemon.folder, "copy.db")
            with contextlib.closing(sqlite3.connect(path)) as copy:
                with contextlib.closing(sqlite3.connect(daemon.database.path)) as original:
                    original.backup(copy)
            with Daemon(database=f"sqlite:{path}", key=daemon.key) as other, other.connect() as one:
                problem = one.error("daemon.wait_for", position=position)
                self.assertEqual((problem.kind, problem.field), ("conflict", "position"))
                self.assertIsNone(one.call("daemon.wait_for", [one.call("daemon.position")]))
