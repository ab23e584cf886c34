"""pierre-dbctl backup: a copy made while the daemon writes is a snapshot of the database, and
complete whenever the daemon is killed. Would catch: a copy that mixes snapshots, an incomplete file
under the final name, a copy that needs a WAL beside it, one that others can read, a file replaced
without --force."""
import json
import os
import pty
import random
import re
import signal
import sqlite3
import stat
import subprocess
import threading
import time

from lib import databases
from lib.case import Case
from lib.daemon import BINARY, CTL, SLOW, Daemon, new_key, temporary_folder
from lib.rpc import RpcError
from lib.world import World, new_usage, new_user

SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE")
ROUNDS = 20 if os.environ.get("PIERRE_TEST_LONG") else 6


def ctl(daemon, *arguments, cwd=None, **variables):
    environment = {name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ}
    done = subprocess.run(
        [CTL, "--socket", daemon.socket_path, *arguments],
        capture_output=True,
        text=True,
        timeout=120 * SLOW,
        check=False,
        cwd=cwd,
        env={**environment, "LANG": "C.UTF-8", **variables},
    )
    return done.returncode, done.stdout, done.stderr


class BackupCase(Case):
    def start(self, *options, **more):
        daemon = Daemon(options=options, **more)
        self.addCleanup(daemon.discard)
        return daemon.start()

    def folder(self):
        path = temporary_folder()
        self.addCleanup(subprocess.run, ["rm", "-rf", path], check=False)
        return path

    @staticmethod
    def fill(daemon, megabytes):
        """Writes rows that are mostly text, for a file of about that size."""
        with daemon.connect() as c:
            key = World(c).api_key(World(c).user())
            c.many(
                [
                    ("record_api_key_usage", {"usage": new_usage(key, user_agent="x" * 10000)})
                    for _ in range(megabytes * 95)
                ]
            )
        return key


class Verify(BackupCase):
    """The same on both backends; a daemon may run meanwhile."""

    def setUp(self):
        self.daemon = self.start()
        with self.daemon.connect() as c:
            self.users = [World(c).user() for _ in range(3)]
            for user in self.users:
                for which in ("strava", "fitbit"):
                    c.call(
                        f"update_{which}_token",
                        [
                            user,
                            "canary-verified-access",
                            "canary-verified-refresh",
                            "2030-01-01T00:00:00Z",
                            "s",
                        ],
                    )

    def verify(self, *arguments, key=None, database=None, **variables):
        environment = {name: os.environ[name] for name in SANITIZERS if name in os.environ}
        environment.update(
            PATH=os.path.dirname(BINARY) + ":" + os.environ["PATH"],
            LANG="C.UTF-8",
            ENCRYPTION_KEY=key or self.daemon.key,
            DATABASE_URL=database or self.daemon.url,
            **variables,
        )
        done = subprocess.run(
            [CTL, "verify", *arguments],
            capture_output=True,
            text=True,
            timeout=120 * SLOW,
            check=False,
            cwd=self.daemon.folder,
            env=environment,
        )
        for secret in (self.daemon.key, key, "canary-verified"):
            if secret:
                self.assertNotIn(secret, done.stdout + done.stderr)
        return done.returncode, done.stdout, done.stderr

    def report(self, code, *arguments, **more):
        found, out, err = self.verify("--json", *arguments, **more)
        self.assertEqual((found, err), (code, ""), out)
        report = json.loads(out)
        self.assertEqual(report["sound"], code == 0)
        self.assertEqual(report["problem_count"] == 0, code == 0)
        return report

    def sql(self, statement):
        if self.daemon.backend == "sqlite":
            with sqlite3.connect(self.daemon.database.path, timeout=10, isolation_level=None) as db:
                db.execute(statement)
        else:
            self.daemon.database.query(statement)

    def test_sound(self):
        report = self.report(0)
        self.assertEqual(
            (
                report["tokens"],
                report["unreadable_tokens"],
                report["problems"],
                report["tables"]["users"],
            ),
            (6, 0, [], 3),
        )
        self.assertEqual(
            report["schema_version"], self.daemon.call("daemon.version")["schema_version"]
        )
        self.assertEqual(list(report["tables"]), sorted(report["tables"]))
        code, out, err = self.verify()
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(
            out,
            r"is sound: (sqlite|postgresql), schema \d+, \d+ rows\n(  \w+: \d+\n)+6 tokens, "
            r"every one opens\n$",
        )
        if self.daemon.backend == "postgres":
            password = re.search(r"//[^:/@]+:([^@]+)@", self.daemon.url)
            self.assertNotIn(password.group(1) if password else "****", out)
        self.daemon.stop()

    def test_tokens_that_do_not_open(self):
        self.sql(f"UPDATE users SET fitbit_nonce = strava_nonce WHERE id = '{self.users[1]}'")
        report = self.report(65)
        self.assertEqual((report["tokens"], report["unreadable_tokens"]), (6, 1))
        self.assertEqual(
            report["problems"], [f"the fitbit token of user {self.users[1]} cannot be opened"]
        )
        code, out, _ = self.verify()
        self.assertEqual(code, 65)
        self.assertIn("NOT sound", out)
        self.assertIn(f"the fitbit token of user {self.users[1]} cannot be opened", out)
        self.daemon.stop()

    def test_keys(self):
        report = self.report(77, key=new_key())
        self.assertEqual(report["unreadable_tokens"], 6)
        self.assertIn("they were sealed with another key", report["problems"][0])
        self.assertEqual(
            self.report(0, key=new_key(), PREVIOUS_ENCRYPTION_KEY=self.daemon.key)[
                "unreadable_tokens"
            ],
            0,
        )
        code, out, err = self.verify(key="short")
        self.assertEqual((code, out), (78, ""))
        self.assertIn("32 bytes", err)
        self.daemon.stop()

    def test_what_is_no_database_of_ours(self):
        code, out, err = self.verify("nothing.db")
        self.assertEqual((code, out), (66, ""))
        self.assertFalse(os.path.exists(os.path.join(self.daemon.folder, "nothing.db")))
        self.assertEqual(self.verify("a", "b")[0], 66)  # the first name is checked first
        path = os.path.join(self.daemon.folder, "text.db")
        with open(path, "w", encoding="ascii") as file:
            file.write("not a database, but long enough to look like one " * 100)
        self.assertEqual(self.verify(path)[:2], (65, ""))
        with sqlite3.connect(path + "2") as db:
            db.execute("CREATE TABLE other (a)")
        report = self.report(65, path + "2")
        self.assertEqual(
            (report["tables"], report["problems"]),
            ({"other": 0}, ["it has no table of users: it is not a database of this daemon"]),
        )
        self.assertEqual(self.verify(database="postgresql://nobody@127.0.0.1:1/x")[:2], (69, ""))
        self.assertEqual(self.verify(database="sqlite::memory:")[0], 64)
        self.daemon.stop()


class Sqlite(BackupCase):
    def whole(self, path):
        """Opens the copy as it is, without a write beside it. Returns the number of rows of its
        tables."""
        with open(path, "rb") as file:
            self.assertEqual(file.read(20)[18:20], b"\x01\x01", "the copy needs a WAL beside it")
        with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as db:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(db.execute("PRAGMA foreign_key_check").fetchall(), [])
            names = [
                row[0]
                for row in db.execute(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
                    "'sqlite\\_%' ESCAPE '\\'"
                )
            ]
            return {
                name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names
            }

    def test_a_copy_by_hand(self):
        daemon = self.start()
        self.fill(daemon, 3)
        folder = self.folder()
        path = os.path.join(folder, "copy.db")
        code, out, err = ctl(
            daemon, "backup", "copy.db", cwd=folder
        )  # a name within this folder, not the daemon's
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(
            out,
            re.escape(path) + r": [23]\.\d MiB, \d\d tables, [23]\d\d rows, checked; \d+\.\d s\n",
        )
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(os.listdir(folder), ["copy.db"])
        rows = self.whole(path)
        self.assertEqual((rows["users"], rows["api_keys"], rows["api_key_usage"]), (1, 1, 285))
        self.logged(daemon, f"the backup is complete: {path}, ", 5)
        # Without --force the file is not replaced.
        code, out, err = ctl(daemon, "backup", path)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("already exists", err)
        self.assertIn("--force replaces", err)
        code, out, err = ctl(daemon, "backup", path, "--force", "--json")
        self.assertEqual((code, err), (0, ""))
        report = json.loads(out)
        rows = self.whole(path)  # usage may have been rolled up since
        self.assertEqual(
            (report["state"], report["path"], report["tables"], report["bytes"], report["error"]),
            ("done", path, rows, os.stat(path).st_size, None),
        )
        self.assertEqual(report["pages_done"], report["pages"])
        self.looks(daemon, path, 0)
        # A daemon opens the copy as a database and finds the stored rows.
        users = daemon.call("get_user_count")
        with Daemon(database=f"sqlite:{path}", key=daemon.key) as again:
            self.assertEqual(again.call("get_user_count"), users)
        daemon.stop()

    def looks(self, daemon, path, code):
        """Runs `verify` on the file, which stays unchanged. Returns its report."""
        with open(path, "rb") as file:
            before = file.read()
        done = subprocess.run(
            [CTL, "--json", "verify", path],
            capture_output=True,
            text=True,
            timeout=60 * SLOW,
            check=False,
            env={
                **os.environ,
                "PATH": os.path.dirname(BINARY) + ":" + os.environ["PATH"],
                "ENCRYPTION_KEY": daemon.key,
            },
        )
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertFalse(os.path.exists(path + "-wal") or os.path.exists(path + "-journal"))
        return json.loads(done.stdout) if done.stdout else None

    def test_damage_is_found(self):
        daemon = self.start()
        key = self.fill(daemon, 1)
        folder = self.folder()
        path = os.path.join(folder, "copy.db")
        self.assertEqual(ctl(daemon, "backup", path)[0], 0)
        with open(path, "rb") as file:
            good = file.read()
        found = 0
        # Pages of tables and indexes. SQLite has no checksums: another letter within a long text is
        # undetected.
        for place in [
            page for page in range(4096, len(good), 4096) if good[page] in (2, 5, 10, 13)
        ][::6]:
            with open(path, "wb") as file:
                file.write(good[:place] + bytes(4096) + good[place + 4096 :])
            report = self.looks(daemon, path, 65)
            found += 1
            self.assertTrue(report is None or report["problems"][0].startswith("damaged: "), report)
        self.assertGreater(found, 5)
        with open(path, "wb") as file:
            file.write(good[: len(good) // 2])
        self.looks(daemon, path, 65)
        with open(path, "wb") as file:
            file.write(good)
        with sqlite3.connect(path) as db:
            db.execute("DELETE FROM api_keys WHERE id = ?", (key,))  # without its cascade
        db.close()
        report = self.looks(daemon, path, 65)
        self.assertEqual(
            report["problems"],
            ["95 rows of api_key_usage refer to missing rows of api_keys"],
        )
        daemon.stop()

    def test_refusals(self):
        daemon = self.start()
        folder = self.folder()
        path = os.path.join(folder, "copy.db")

        def refused(kind, words, **params):
            with self.assertRaises(RpcError) as caught:
                daemon.call("daemon.backup", **params)
            self.assertEqual(caught.exception.kind, kind)
            self.assertIn(words, str(caught.exception))

        refused("invalid_params", "an absolute file name", path="copy.db")
        refused("invalid_params", "an absolute file name", path=folder + "/")
        refused("invalid_params", "the database itself", path=daemon.database.path, force=True)
        with open(path + "-wal", "wb"):
            pass
        refused("invalid_params", "in use as a database", path=path, force=True)
        os.unlink(path + "-wal")
        self.assertEqual(daemon.call("daemon.backup_state")["state"], "none")
        code, out, err = ctl(daemon, "backup", "/nonexistent/folder/copy.db")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("/nonexistent/folder/copy.db.partial: No such file or directory", err)
        self.logged(
            daemon,
            'level=warning msg="the backup failed: /nonexistent/folder/copy.db.partial: ',
            5,
        )
        # A foreign file under the name of the partial file is left alone.
        os.mkdir(path + ".partial")
        code, out, err = ctl(daemon, "backup", path)
        self.assertEqual((code, out, os.listdir(folder)), (1, "", ["copy.db.partial"]))
        self.assertIn("already exists", err)
        os.rmdir(path + ".partial")
        os.symlink("/etc/passwd", path + ".partial")
        self.assertEqual(ctl(daemon, "backup", path)[0], 1)
        self.assertTrue(os.path.islink(path + ".partial"))
        for arguments in ((), ("a", "b"), ("--forse", path)):
            self.assertEqual(ctl(daemon, "backup", *arguments)[0], 64)
        daemon.stop()
        with Daemon(database="sqlite::memory:") as memory:
            self.assertIn("in memory", ctl(memory, "backup", path)[2])

    def test_disk_full(self):
        """A full file system: the error is reported, no file remains, and calls continue."""
        if os.getuid() != 0:
            self.skipTest("needs root to mount a small file system: NOT tested")
        folder = self.folder()
        if (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder],
                capture_output=True,
                check=False,
            ).returncode
            != 0
        ):
            self.skipTest("this machine does not allow mounting: NOT tested")
        self.addCleanup(subprocess.run, ["umount", folder], check=False)
        daemon = self.start()
        self.fill(daemon, 2)
        code, out, err = ctl(daemon, "backup", os.path.join(folder, "copy.db"))
        self.assertEqual((code, out), (1, ""))
        self.assertIn("the disk is full", err)
        self.assertEqual(os.listdir(folder), [])
        daemon.call("create_user", user=new_user())
        daemon.stop()

    def test_one_moment_while_writing(self):
        """Each writer numbers its users: a snapshot holds the first users of each writer, without
        gaps. The copy does not restart at each write, and the writers do not wait for it."""
        daemon = self.start()
        self.fill(daemon, 8)
        path = os.path.join(self.folder(), "copy.db")
        stop, answered, longest = threading.Event(), [0, 0], [0.0]

        def write(which):
            with daemon.connect() as c:
                while not stop.is_set():
                    began = time.monotonic()
                    c.call(
                        "create_user",
                        user=new_user(email=f"w{which}n{answered[which]}@example.com"),
                    )
                    longest[0] = max(longest[0], time.monotonic() - began)
                    answered[which] += 1

        threads = [threading.Thread(target=write, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        try:
            self.within(10, lambda: min(answered) > 5)
            before = list(answered)
            code, _, err = ctl(daemon, "backup", path)
            after = list(answered)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual((code, err), (0, ""))
        self.assertGreater(sum(after), sum(before), "no write succeeded during the backup")
        self.assertLess(longest[0], 5.0 * SLOW)
        self.whole(path)
        with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as db:
            for which in (0, 1):
                numbers = sorted(
                    int(email.split("n", 1)[1].split("@")[0])
                    for (email,) in db.execute(
                        "SELECT email FROM users WHERE email LIKE ?", (f"w{which}n%",)
                    )
                )
                self.assertEqual(numbers, list(range(len(numbers))))
                self.assertGreaterEqual(
                    len(numbers), before[which], "an earlier answered write is missing"
                )
        daemon.stop()

    def test_one_at_a_time_and_stopping(self):
        daemon = self.start()
        self.fill(daemon, 30)
        folder = self.folder()
        path = os.path.join(folder, "copy.db")
        with daemon.connect() as c:
            c.call("daemon.backup", path=path)
            other = c.call("daemon.backup", path=path + "2")
            state = c.call("daemon.backup_state")
        if state["state"] == "copying":  # else this machine is faster than two calls
            self.assertEqual((other["began"], other["path"]), (False, path))
            code, out, err = ctl(daemon, "backup", path + "3")
            self.assertEqual((code, out), (75, ""))
            self.assertIn("another backup is in progress: " + path, err)
        # A stop does not wait for the copy, and leaves no file behind.
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        for name in os.listdir(folder):
            self.whole(os.path.join(folder, name))
        daemon.stop()

    def test_killed_at_any_moment(self):
        """Either no file of the name, or a complete one. The next backup works."""
        daemon = self.start()
        self.fill(daemon, 10)
        folder = self.folder()
        path, seen = os.path.join(folder, "copy.db"), set()
        whole = 0.05 * SLOW
        for number in range(ROUNDS):
            with daemon.connect() as c:
                began = time.monotonic()
                c.call("daemon.backup", path=path)
                if number == 0:
                    self.within(60, lambda: daemon.call("daemon.backup_state")["state"] == "done")
                    whole = time.monotonic() - began
                else:
                    time.sleep(random.Random(number).random() * whole)
                daemon.signal(signal.SIGKILL)
                daemon.process.wait()
            if os.path.exists(path):
                self.assertEqual(self.whole(path)["api_key_usage"], 950)
                os.unlink(path)
                seen.add("whole")
            else:
                seen.add("none")
            daemon.start()
        self.assertEqual(ctl(daemon, "backup", path)[0], 0)
        self.assertEqual(os.listdir(folder), ["copy.db"])
        self.assertEqual(seen, {"whole", "none"})
        daemon.stop()

    def test_progress_on_a_terminal(self):
        """A terminal shows a progress bar, which is erased at the end. stdout contains only
        data."""
        daemon = self.start()
        self.fill(daemon, 10)
        path = os.path.join(self.folder(), "copy.db")
        ours, theirs = pty.openpty()
        environment = {
            name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ
        }
        with subprocess.Popen(
            [CTL, "--socket", daemon.socket_path, "backup", path],
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            env={**environment, "TERM": "xterm"},
        ) as asking:
            os.close(theirs)
            out = asking.communicate(timeout=60 * SLOW)[0]
        shown = b""
        try:
            while True:
                more = os.read(ours, 65536)
                shown += more
                if not more:
                    break
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        self.assertEqual(asking.returncode, 0, shown)
        self.assertTrue(out.startswith(path + ": ") and "\033" not in out, out)
        self.assertRegex(shown.decode(), r"^\r\x1b\[Kcopying \[#*\.*\] +\d+%  \d+ of \d+ pages")
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)
        daemon.stop()

    def test_restart_meanwhile_is_told(self):
        """The program does not mistake another daemon's state for the end of its own backup."""
        daemon = self.start()
        self.fill(daemon, 30)
        path = os.path.join(self.folder(), "copy.db")
        environment = {
            name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ
        }
        with subprocess.Popen(
            [CTL, "--socket", daemon.socket_path, "backup", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        ) as asking:
            self.within(
                10, lambda: os.path.exists(path + ".partial") or os.path.exists(path), every=0.002
            )
            daemon.kill()
            daemon.start()
            out, err = asking.communicate(timeout=60 * SLOW)
        if asking.returncode == 0:
            self.whole(path)
        else:
            self.assertEqual(out, b"")
            self.assertIn(asking.returncode, (74, 75), err)
        daemon.stop()


class Postgres(BackupCase):
    def test_says_how(self):
        daemon = self.start()
        code, out, err = ctl(daemon, "backup", "it's.dump")
        self.assertEqual(code, 69)
        self.assertIn("no backup was made: copy PostgreSQL ", err)
        lines = out.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(
            lines[0].startswith("pg_dump --format=custom ")
            and "--file='it'\\''s.dump'" in lines[0],
            lines,
        )
        self.assertNotIn("***", out)
        code, out, err = ctl(daemon, "backup", "it's.dump", "--json")
        report = json.loads(out)
        self.assertEqual((code, report["made"], report["commands"]), (69, False, lines))
        self.assertTrue(all(json.loads(line)["error"]["message"] for line in err.splitlines()))
        report = daemon.call("daemon.backup", path="/tmp/x.dump")
        self.assertFalse(report["began"])
        self.assertIn("pg_dump", report["error"])
        daemon.stop()

    def test_the_commands_work(self):
        """A shell executes the printed commands as they are."""
        daemon = self.start()
        with daemon.connect() as c:
            World(c).user()
        folder = self.folder()
        out = ctl(daemon, "backup", os.path.join(folder, "a.dump"))[1]
        password = re.search(r"//[^:/@]+:([^@]+)@", daemon.url)
        done = subprocess.run(
            ["sh", "-ec", out],
            capture_output=True,
            text=True,
            check=False,
            timeout=120 * SLOW,
            env={**os.environ, **({"PGPASSWORD": password.group(1)} if password else {})},
        )
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        listed = subprocess.run(
            ["pg_restore", "--list", os.path.join(folder, "a.dump")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.assertRegex(listed, r"TABLE DATA \S+ users ")
        daemon.stop()

    def test_versions(self):
        daemon = self.start()
        folder = self.folder()
        tool = os.path.join(folder, "pg_dump")
        with open(tool, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
        os.chmod(tool, 0o755)
        code, _, err = ctl(daemon, "backup", "a.dump", PATH=folder + ":/usr/bin:/bin")
        self.assertEqual(code, 69)
        self.assertIn("pg_dump has version 9, older than the server's", err)
        with open(tool, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 127\n")
        self.assertIn(
            "pg_dump is missing",
            ctl(daemon, "backup", "a.dump", PATH=folder + ":/usr/bin:/bin")[2],
        )
        daemon.stop()


if databases.chosen() == "sqlite":
    del Postgres
else:
    del Sqlite
