"""Which file is opened, and whose it is: URLs, names, other programs' databases, owners' additions
to the schema, output files. Would catch: a URL that opens a new empty file, two daemons on one
file, a file changed before it is refused, an upgrade that drops or fails on foreign objects, a
device or a database overwritten by output."""
import contextlib
import glob
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys

from lib import invariants
from lib.daemon import (
    BINARY,
    CTL,
    SANITIZER,
    SLOW,
    Daemon,
    StartFailure,
    binary_for_others,
    new_key,
    temporary_folder,
)
from lib.databases import Sqlite
from lib.open_case import OpenCase
from lib.world import World

BACKENDS = ("sqlite",)  # about files
PRELOADED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "filesystem.c")


class Urls(OpenCase):
    REFUSED = (
        ("sqlite:file:/tmp/x.db", "file:"),
        ("file:/tmp/x.db", "accepted are"),
        ("sqlite:~/pierre.db", "~"),
        ("sqlite://~/pierre.db", "~"),
        ("sqlite:${DATA}/pierre.db", "${NAME}"),
        ("sqlite:$DATA/pierre.db", "$NAME"),
        ("sqlite:/data/$(id)/x.db", "variable"),
        ("sqlite:`pwd`/x.db", "command"),
        ("sqlite:./a\nb.db", "control"),
        ("sqlite:./a%0Ab.db", "control"),
        ("sqlite:./a%00b.db", "control"),
        ("sqlite:./a\tb.db", "control"),
        ("sqlite:./x.db?mode=ro", "mode=ro"),
        ("sqlite:./x.db?cache=shared", "cache=shared"),
        ("sqlite:./x.db?mode=rw&vfs=none", "vfs=none"),
        ("sqlite:./x.db?mode=rwc&mode=rw", "second time"),
        ("sqlite:./x.db?mode=RW", "mode=RW"),
        ("sqlite:", "does not name a file"),
        ("sqlite://", "does not name a file"),
        ("sqlite:./folder/", "folder"),
        ("sqlite: ./x.db", "white space"),
        ("sqlite:./x.db ?mode=rwc", "white space"),
        ('sqlite:"./x.db"', "quotation"),
        ("sqlite:.\\data\\x.db", "backslash"),
        ('"sqlite:./x.db"', "accepted are"),
        ("SQLITE:./x.db", "accepted are"),
        ("./pierre.db", "accepted are"),
        ("sqlite::memory:?mode=rw", "in memory"),
        ("postgresql://u:canary-url-secret@h/d\n?x=1", "control"),
    )

    def test_refused_by_name(self):
        for url, word in self.REFUSED:
            with self.subTest(url=url):
                self.refused(78, word, "accepted are", database=url)
                self.assertEqual(set(os.listdir(self.folder)) - {"log"}, set())
                with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
                    self.assertNotIn("canary-url-secret", file.read())

    def test_the_same_file(self):
        """All of these name one existing file; none may create a new one."""
        os.makedirs(os.path.join(self.folder, "my data"))
        path = os.path.join(self.folder, "my data", "a?b%.db")
        with self.daemon(database=f"sqlite:{self.folder}/my%20data/a%3Fb%25.db") as daemon:
            self.add(daemon, 2)
        before = sorted(os.listdir(os.path.dirname(path)))
        self.assertEqual(before, ["a?b%.db"])
        for url in (
            f"sqlite:{self.folder}/my data/a%3fb%.db",
            "sqlite:./my%20data/a%3Fb%25.db",
            "sqlite://my%20data/../my%20data/a%3Fb%25.db?mode=rw",
            f"sqlite://{self.folder}//my%20data/a%3Fb%25.db?mode=rwc&",
            f" \t sqlite:{self.folder}/my%20data/a%3Fb%25.db\r\n",
        ):
            with self.subTest(url=url):
                self.assertEqual(self.count(database=url), 2)
                self.assertEqual(sorted(os.listdir(os.path.dirname(path))), before)

    def test_white_space_from_anywhere(self):
        self.assertEqual(self.count(), 0)
        url = f"sqlite:{self.path}\r"
        self.assertEqual(self.count(database="sqlite:./wrong.db", environment={}), 0)
        with open(os.path.join(self.folder, "env"), "w", encoding="ascii", newline="") as file:
            file.write(f"DATABASE_URL={url}\r\n")
        for environment in (
            {"DATABASE_URL": url},
            {"DATABASE_URL": " \r\n", "PIERRE_DBD_ENV_FILE": "env"},
        ):
            done = subprocess.run(
                [BINARY, "--check-config=json"],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=True,
                env={"PATH": os.environ["PATH"], "ENCRYPTION_KEY": self.key, **environment},
            )
            self.assertEqual(
                json.loads(done.stdout)["database_url"]["value"], f"sqlite:{self.path}"
            )

    def test_must_exist(self):
        self.refused(73, "mode=rw", database=f"sqlite:{self.folder}/none.db?mode=rw")
        self.refused(73, "mode=rw", database=f"sqlite:{self.folder}/none/none.db?mode=rw")
        self.assertEqual(set(os.listdir(self.folder)) - {"log", "s.lock"}, set())

    def test_undecoded_name_of_an_earlier_version(self):
        with self.daemon() as daemon:
            self.add(daemon, 1)
        os.rename(self.path, os.path.join(self.folder, "a%20b.db"))
        self.refused(78, "a%20b.db", "%25", database=f"sqlite:{self.folder}/a%20b.db")
        self.assertEqual(self.count(database=f"sqlite:{self.folder}/a%2520b.db"), 1)

    def test_verify_and_transfer_read_the_same(self):
        name = os.path.join(self.folder, "a?b c%20.db")
        with self.daemon(database=f"sqlite:{self.folder}/a%3Fb%20c%2520.db") as daemon:
            self.add(daemon, 1)
        environment = {
            "PATH": os.path.dirname(BINARY) + ":" + os.environ["PATH"],
            "ENCRYPTION_KEY": self.key,
        }
        for arguments, code in (
            (["verify", name], 0),
            (["verify", "sqlite:a%3Fb%20c%2520.db\n"], 0),
            (["verify", "sqlite:~/x.db"], 78),
            (["verify", "sqlite:none.db"], 66),
            (["transfer", "--from", "sqlite:${X}/a.db", "--to", "sqlite:./t.db"], 78),
        ):
            done = subprocess.run(
                [CTL, *arguments],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
                env=environment,
            )
            self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))


class Names(OpenCase):
    def test_one_daemon_whatever_the_name(self):
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        os.symlink("../pierre.db", os.path.join(other, "link.db"))
        os.symlink(self.folder, os.path.join(other, "folder"))
        with self.daemon() as daemon:
            os.link(self.path, os.path.join(other, "hard.db"))
            for name in (
                "link.db",
                "folder/pierre.db",
                "hard.db",
                "../other/../pierre.db",
                "folder/other/link.db",
            ):
                with self.subTest(name=name):
                    second = self.daemon(
                        database=f"sqlite:{name}"
                        if name != "hard.db"
                        else f"sqlite:{other}/hard.db",
                        folder=other,
                    )
                    with self.assertRaises(StartFailure) as ended:
                        second.start()
                    self.assertEqual(ended.exception.code, 75, ended.exception.log)
            self.add(daemon, 1)
            self.assertEqual(
                {
                    name
                    for name in os.listdir(other)
                    if "-wal" in name or "-shm" in name or "-journal" in name
                },
                set(),
            )

    def test_the_log_is_found_by_any_name(self):
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        os.symlink("../pierre.db", os.path.join(other, "link.db"))
        self.killed(2, database=f"sqlite:{other}/link.db")
        self.assertEqual(self.count(), 2)
        self.killed(1)
        self.assertEqual(self.count(database=f"sqlite:{other}/link.db"), 3)

    def test_hard_links_are_told(self):
        self.assertEqual(self.count(), 0)
        os.link(self.path, os.path.join(self.folder, "second.db"))
        with self.daemon() as daemon:
            self.logged(daemon, "hard links")

    def test_what_is_not_a_regular_file(self):
        os.mkfifo(self.path)
        self.refused(65, "not a regular file")
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path).st_mode))
        os.unlink(self.path)
        os.mkdir(self.path)
        self.refused(65, "not a regular file")


class Foreign(OpenCase):
    """Refused before a byte changes, with the reason."""

    def test_another_programs_users(self):
        for journal in ("DELETE", "WAL"):
            with self.subTest(journal=journal):
                for path in glob.glob(self.path + "*"):
                    os.unlink(path)
                self.sql(
                    f"PRAGMA journal_mode={journal}; CREATE TABLE users (id INTEGER PRIMARY "
                    "KEY, email TEXT, password_hash TEXT, created_at TEXT); "
                    "CREATE TABLE wiki_pages (title TEXT); INSERT INTO users VALUES (1, 'a@b', "
                    "'x', 'y');"
                )
                self.refused(
                    65, "another program's database", "users", "display_name", "wiki_pages"
                )
                self.assertEqual(
                    [name for name in os.listdir(self.folder) if name.startswith("pierre.db")],
                    ["pierre.db"],
                )

    def test_other_kinds(self):
        made = {
            "no users": "CREATE TABLE wiki_pages (title TEXT);",
            "our migrations' name": "CREATE TABLE pierre_migrations (name TEXT); "
            "INSERT INTO pierre_migrations VALUES ('x');",
            "a view of users": "CREATE TABLE people (id); CREATE VIEW users AS SELECT * FROM "
            "people;",
        }
        for what, text in made.items():
            with self.subTest(what=what):
                for path in glob.glob(self.path + "*"):
                    os.unlink(path)
                self.sql(text)
                self.refused(65, "another program's database")

    def test_no_database(self):
        for data in (
            b"#!/bin/sh\n" * 200,
            b"x",
            b"SQLite format 4\0" + bytes(4080),
            os.urandom(8192),
        ):
            with open(self.path, "wb") as file:
                file.write(data)
            self.refused(65, "SQLite database")

    def test_a_newer_schema(self):
        self.assertEqual(self.count(), 0)
        self.sql("INSERT INTO pierre_migrations VALUES (9999, '9999_later', 'now')")
        self.refused(65, "9999", "newer")

    def test_only_some_of_our_tables(self):
        self.assertEqual(self.count(), 0)
        self.sql("DROP TABLE goals")
        self.refused(65, "goals")

    def test_with_a_journal_of_its_own(self):
        self.sql("CREATE TABLE users (id, name); CREATE TABLE big (x);")
        program = (
            f"import os, sqlite3\ndb = sqlite3.connect({self.path!r}, isolation_level=None)\n"
            "db.execute('PRAGMA cache_size=1')\n"
            "db.execute('BEGIN')\nfor _ in range(200): db.execute('INSERT INTO big VALUES "
            "(zeroblob(3000))')\nos.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", program], check=False)
        self.assertTrue(os.path.exists(self.path + "-journal"))
        self.refused(65, "another program's")

    def test_an_empty_file_is_a_new_one(self):
        with open(self.path, "wb"):
            pass
        self.assertEqual(self.count(), 0)


class Upgrade(OpenCase):
    def setUp(self):
        super().setUp()
        self.old_file()

    def test_what_owners_added_survives(self):
        self.sql(
            "ALTER TABLE api_keys ADD COLUMN team TEXT DEFAULT 'blue' CHECK (team IN ('blue', "
            "'starter'));"
            "UPDATE api_keys SET team = CASE WHEN rowid % 2 THEN 'blue' ELSE 'starter' END;"
            "CREATE INDEX my_keys ON api_keys(team, name) WHERE is_active = 1;"
            "CREATE TABLE audit (key TEXT, was TEXT);"
            "CREATE TRIGGER my_trigger AFTER UPDATE ON api_keys BEGIN INSERT INTO audit VALUES "
            "(new.id, old.name); END;"
            "CREATE TRIGGER my_insert AFTER INSERT ON api_keys BEGIN INSERT INTO audit VALUES "
            "(new.id, 'new'); END;"
            "CREATE VIEW my_view AS SELECT k.name, u.email, k.team FROM api_keys k JOIN users u "
            "ON u.id = k.user_id;"
            "CREATE TABLE notes (key TEXT REFERENCES api_keys(id), text TEXT);"
            "INSERT INTO notes SELECT id, 'n' FROM api_keys;"
            "DELETE FROM audit;"
        )
        text = (
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name IN "
            "('my_keys', 'my_trigger', 'my_insert', 'my_view', 'notes', 'audit') ORDER BY 2"
        )
        rows = "SELECT rowid, id, name, team FROM api_keys ORDER BY rowid"
        before = (
            self.sql(text),
            self.sql(rows),
            self.sql("SELECT * FROM notes"),
            self.sql("SELECT * FROM my_view ORDER BY 1"),
        )
        self.assertGreater(len(before[1]), 0)
        with self.daemon() as daemon, daemon.connect() as c:
            world = World(c)
            user = world.user()
            key = world.api_key(user, tier="trial")
            c.call("update_api_key_last_used", [key])
        after = (
            self.sql(text),
            [row for row in self.sql(rows) if row[1] != key],
            self.sql("SELECT * FROM notes"),
            [
                row
                for row in self.sql("SELECT * FROM my_view ORDER BY 1")
                if not row[1].startswith("u")
            ],
        )
        self.assertEqual(after[:3], before[:3])
        self.assertEqual(len(self.sql("SELECT * FROM my_view")), len(before[3]) + 1)
        self.assertEqual(self.sql(f"SELECT count(*) FROM audit WHERE key = '{key}'"), [(2,)])
        self.assertIn(
            "CHECK (team IN ('blue', 'starter'))",
            self.sql("SELECT sql FROM sqlite_schema WHERE name = 'api_keys'")[0][0],
        )
        self.assertEqual(invariants.integrity(self.path), "ok")

    def test_stale_views_and_triggers(self):
        self.sql(
            "CREATE VIEW stale AS SELECT * FROM gone; CREATE VIEW keys AS SELECT name FROM "
            "api_keys;"
            "CREATE VIEW older AS SELECT no_such_column FROM api_keys;"
            "CREATE TRIGGER on_view INSTEAD OF INSERT ON keys BEGIN SELECT 1; END;"
            "CREATE TRIGGER stale_trigger AFTER DELETE ON a2a_tasks BEGIN INSERT INTO gone "
            "VALUES (1); END;"
            "CREATE TRIGGER stale_insert AFTER INSERT ON a2a_usage BEGIN INSERT INTO gone "
            "VALUES (1); END;"
        )
        with self.daemon() as daemon, daemon.connect() as c:
            c.call("get_user_count")
            World(c).api_key(World(c).user(), tier="trial")
            self.logged(daemon, "a trigger that is not the daemon's")
        self.assertGreater(len(self.sql("SELECT * FROM keys")), 0)
        self.assertEqual(self.count() > 0, True)

    def test_rows_whose_parent_is_gone(self):
        self.sql(
            "PRAGMA foreign_keys=OFF; INSERT INTO goals (id, user_id, title, goal_type, "
            "target_value, target_date, created_at, updated_at) "
            "VALUES ('g1', 'nobody', 't', 'x', 1, 'd', 'c', 'u'), ('g2', 'nobody', 't', 'x', 1, "
            "'d', 'c', 'u');"
            # not enforceable: the parent's column is not unique
            "CREATE TABLE mine (key TEXT REFERENCES api_keys(name));"
            "INSERT INTO mine VALUES ('x');"
        )
        with self.daemon() as daemon:
            self.logged(daemon, "2 rows of goals refer to missing rows of users")
        self.assertEqual(self.sql("SELECT count(*) FROM goals WHERE user_id = 'nobody'"), [(2,)])
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
        self.assertEqual(done.returncode, 65)
        self.assertIn("2 rows of goals refer to missing rows of users", done.stdout)

    def test_the_old_server_still_writes(self):
        with self.daemon():
            pass
        user = self.sql("SELECT id FROM users LIMIT 1")[0][0]
        self.sql(
            "INSERT INTO api_keys (user_id, name, key_prefix, key_hash, tier) "
            f"VALUES ('{user}', 'by the old server', 'p', 'h', 'starter')"
        )
        with self.assertRaises(sqlite3.IntegrityError):
            self.sql(
                "INSERT INTO api_keys (user_id, name, key_prefix, key_hash, tier) VALUES "
                f"('{user}', 'wrong', 'p', 'h', 'gold')"
            )


class InUse(OpenCase):
    def test_the_old_server_still_runs(self):
        """With a lock of any kind. The message says what to do, and nothing changes."""
        for journal, lock in (("DELETE", "BEGIN"), ("DELETE", "BEGIN IMMEDIATE"),
                              ("WAL", "BEGIN IMMEDIATE")):  # fmt: skip
            with self.subTest(journal=journal, lock=lock):
                for path in glob.glob(self.path + "*"):
                    os.unlink(path)
                self.old_file()
                with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as old:
                    old.execute(f"PRAGMA journal_mode={journal}")
                    old.execute(lock)
                    old.execute("SELECT * FROM users").fetchone()
                    daemon = self.daemon()
                    with self.assertRaises(StartFailure) as ended:
                        daemon.start()
                    self.assertEqual(ended.exception.code, 75, ended.exception.log)
                    self.assertIn("such as the old server, holds a lock", ended.exception.log)
                    self.assertIn("stop it, then start again", ended.exception.log)
                    self.assertEqual(
                        old.execute(
                            "SELECT name FROM sqlite_schema WHERE name LIKE 'pierre%'"
                        ).fetchall(),
                        [],
                    )


class Outputs(OpenCase):
    """An output file replaces regular files only, and never a database or its files."""

    def ctl(self, daemon, *arguments):
        return subprocess.run(
            [CTL, "--socket", daemon.socket_path, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60 * SLOW,
        )

    def test_metrics_and_backup(self):
        fifo, link, device = (
            os.path.join(self.folder, name) for name in ("fifo", "link", "device")
        )
        plain = os.path.join(self.folder, "plain")
        os.mkfifo(fifo)
        with open(plain, "w", encoding="ascii") as file:
            file.write("old")
        os.symlink(plain, link)
        paths = [fifo, link, self.folder]
        if os.geteuid() == 0:
            try:
                os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
                paths.append(device)
            except PermissionError:
                print("  cannot create devices here: not tested with one")
        with self.daemon() as daemon:
            self.add(daemon, 1)
            os.link(self.path, os.path.join(self.folder, "hard"))
            os.link(self.path + "-shm", os.path.join(self.folder, "index"))
            own = [
                self.path,
                *(self.path + end for end in ("-wal", "-shm", "-journal", "-restore")),
                os.path.join(self.folder, "hard"),
            ]
            kinds = {
                path: (os.lstat(path).st_mode, os.lstat(path).st_ino)
                for path in paths + own
                if os.path.lexists(path)
            }
            for path in paths + own:
                for command in (["metrics", "--output", path], ["backup", "--force", path]):
                    with self.subTest(command=command):
                        done = self.ctl(daemon, *command)
                        self.assertNotEqual(done.returncode, 0)
                        self.assertIn(path, done.stderr)
            self.assertNotEqual(
                self.ctl(
                    daemon, "backup", "--force", os.path.join(self.folder, "index")
                ).returncode,
                0,
            )
            self.assertEqual(
                {
                    path: (os.lstat(path).st_mode, os.lstat(path).st_ino)
                    for path in paths + own
                    if os.path.lexists(path)
                },
                kinds,
            )
            for command in (
                ["metrics", "--output", plain],
                ["backup", "--force", plain],
                ["backup", "--force", plain],
            ):
                self.assertEqual(self.ctl(daemon, *command).returncode, 0)
            self.assertNotEqual(
                self.ctl(daemon, "metrics", "--output", plain).returncode, 0
            )  # it contains a database now
            self.add(daemon, 1)
        other = temporary_folder()
        self.addCleanup(shutil.rmtree, other, ignore_errors=True)
        with self.daemon() as daemon, self.daemon(database=Sqlite(other), folder=other) as second:
            self.assertEqual(
                self.ctl(daemon, "backup", "--force", os.path.join(other, "pierre.db")).returncode,
                1,
            )
            self.add(second, 1)


class Places(OpenCase):
    def test_only_the_file_is_mounted(self):
        probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
        if os.geteuid() != 0 or probe.returncode != 0:
            self.skipTest("mounting is not allowed here: a single mounted file is NOT tested")
        with self.daemon() as daemon:
            self.add(daemon, 1)
            self.assertNotIn("mounted here", daemon.log())
        outside = temporary_folder()
        self.addCleanup(shutil.rmtree, outside, ignore_errors=True)
        source = os.path.join(outside, "p.db")
        os.rename(self.path, source)
        with open(self.path, "wb"):
            pass
        script = os.path.join(self.folder, "mounted.sh")
        with open(script, "w", encoding="ascii") as file:
            file.write(f'mount --bind {source} {self.path} || exit 99\nexec "$@"\n')
        with self.daemon(wrapper=("unshare", "-m", "sh", script)) as daemon:
            self.logged(daemon, "only the file")
            done = subprocess.run(
                [CTL, "--socket", daemon.socket_path, "doctor", "--json"],
                capture_output=True,
                text=True,
                check=False,
            )
            found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
            self.assertIn("mount the folder", json.dumps(found))

    def test_an_overlay_is_one_mount(self):
        """A container's own root: a file may have another device than its folder there."""
        place, lower, upper = (os.path.join(self.folder, name) for name in ("in", "low", "up"))
        for folder in (place, lower, upper):
            os.mkdir(folder)
        mount = (
            f"mount -t tmpfs layer {upper} && mkdir {upper}/files {upper}/work && mount -t overlay "
            f"-o lowerdir={lower},upperdir={upper}/files,workdir={upper}/work layer {place}"
        )
        tried = ["unshare", "-m", "sh", "-c", mount]
        if subprocess.run(tried, capture_output=True, check=False).returncode != 0:
            self.skipTest("no overlay can be mounted here: a database on one is NOT tested")
        script = os.path.join(self.folder, "overlay.sh")
        with open(script, "w", encoding="ascii") as file:
            file.write(f'{mount} || exit 99\nexec "$@"\n')
        with self.daemon(database=Sqlite(place), wrapper=("unshare", "-m", "sh", script)) as daemon:
            self.add(daemon, 1)
            self.assertNotIn("mounted here", daemon.log())

    def test_network_file_systems(self):
        """The daemon names them at each start, and the doctor does, too. They cannot be mounted
        here: a preloaded library reports their types."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None or SANITIZER:
            self.skipTest(
                "needs a C compiler and a build without a sanitizer: network file systems are NOT "
                "tested"
            )
        library = os.path.join(self.folder, "filesystem.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, PRELOADED], check=True)
        for kind, name in (
            ("ef53", None),  # ext4, first: the log of all starts is one file
            ("6969", "NFS"),
            ("fe534d42", "SMB"),
            ("01021997", "9p"),
            ("65735546", "FUSE or virtiofs"),
            ("7c7c6673", "a Parallels share"),
        ):
            environment = {"LD_PRELOAD": library, "TEST_FILESYSTEM": kind}
            with self.daemon(environment=environment) as daemon, daemon.connect() as c:
                findings = c.call("daemon.diagnose")["findings"]
                found = [one["detail"] for one in findings if one["name"] == "database_place"]
                if name is None:
                    self.assertEqual(found, [])
                    self.assertNotIn("network file system", daemon.log())
                else:
                    self.assertIn(f"on a network file system ({name})", found[0])
                    self.logged(daemon, f"on a network file system ({name})")


class SideFiles(OpenCase):
    def test_files_of_another_user(self):
        """A sqlite3 shell run by root leaves them. The message names the file, its owner and the
        remedy. Nothing is changed."""
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user: files of another user are NOT tested")
        key, path, stranger = new_key(), os.path.join(self.folder, "p.db"), 54321
        with Daemon(database=f"sqlite:{path}", key=key) as daemon:
            World(daemon.connect()).user()
        os.chown(self.folder, stranger, stranger)
        os.chown(path, stranger, stranger)
        for end in ("-wal", "-shm", "-journal"):
            with open(path + end, "wb"):
                pass
            for mode in (0o600, 0o644):
                os.chmod(path + end, mode)
                done = subprocess.run(
                    [
                        binary_for_others(),
                        "--database-url",
                        f"sqlite:{path}",
                        "--socket",
                        os.path.join(self.folder, "s"),
                    ],
                    env={"ENCRYPTION_KEY": key, "PATH": os.environ["PATH"]},
                    user=stranger,
                    group=stranger,
                    extra_groups=[],
                    cwd=self.folder,
                    capture_output=True,
                    text=True,
                    timeout=60 * SLOW,
                    check=False,
                )
                self.assertEqual(done.returncode, 73, done.stderr)
                self.assertIn(f"{path}{end} belongs to the user 0 (mode 0{mode:o})", done.stderr)
                self.assertIn(f"chown {stranger} the file", done.stderr)
                self.assertEqual(os.stat(path + end).st_uid, 0)
            os.remove(path + end)
