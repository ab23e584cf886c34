"""The program around the service: settings and their sources, keys, refused databases, exit codes.
Would catch: a wrong key that starts, a key in a message, a .env that precedes the environment, a
file that is overwritten."""
import base64
import os
import sqlite3
import subprocess
import urllib.parse

from lib import model
from lib.case import Case
from lib.daemon import (
    BINARY,
    Daemon,
    SANITIZER,
    StartFailure,
    new_key,
    run,
    temporary_folder,
)
from lib.databases import Sqlite
from lib.memory import search_memory
from lib.world import World


class Program(Case):
    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder], check=False)

    def path(self, name, content=None, mode=0o600):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
            os.chmod(path, mode)
        return path

    def fails(
        self, code, *options, says=(), environment=None, key=None, database=None, pass_key=True
    ):
        """The daemon must not start: it exits with the code and prints one clear line without a
        secret. Returns the output."""
        if "--database-url" in options:
            at = options.index("--database-url")
            database, options = options[at + 1], options[:at] + options[at + 2 :]
        daemon = Daemon(
            folder=self.folder,
            database=database or f"sqlite:{self.folder}/fails.db",
            options=options,
            environment=environment,
            key=key,
            pass_key=pass_key,
        )
        try:
            daemon.start()
        except StartFailure as failure:
            self.assertEqual(failure.code, code, failure.log)
            daemon.check_log()
            for text in (says,) if isinstance(says, str) else says:
                self.assertIn(text.lower(), failure.log.lower())
            self.assertFalse(os.path.exists(daemon.socket_path))
            os.unlink(daemon.log_path)
            return failure.log
        daemon.kill()
        self.fail(f"the daemon started with {options} {environment}")


class Commands(Program):
    def test_version(self):
        code, out, err = run(["--version"])
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^pierre-dbd \d+\.\d+\.\d+[^\n]*\n$")

    def test_help_lists_every_setting(self):
        code, out, err = run(["--help"])
        self.assertEqual((code, err), (0, ""))
        for word in (
            "--database-url",
            "--socket",
            "--encryption-key-file",
            "--env-file",
            "--no-migrate",
            "--check-config",
            "--generate-key",
            "DATABASE_URL",
            "ENCRYPTION_KEY",
            "PIERRE_DBD_SOCKET",
            "sqlite:./data/pierre.db",
            "1MiB",
            "16MiB",
            "1024",
            "30s",
        ):
            self.assertIn(word, out)

    def test_help_and_version_need_no_configuration(self):
        for option in ("--help", "--version", "--generate-key"):
            self.assertEqual(
                run([option], environment={"DATABASE_URL": "nonsense", "ENCRYPTION_KEY": "x"})[0], 0
            )

    def test_generate_key(self):
        keys = set()
        for _ in range(5):
            code, out, err = run(["--generate-key"])
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(len(base64.b64decode(out.strip(), validate=True)), 32)
            self.assertTrue(out.endswith("\n"))
            keys.add(out)
        self.assertEqual(len(keys), 5)

    def test_check_config(self):
        secret = "canary-db-password"
        model.secrets.add(secret)
        key = new_key()
        model.secrets.add(key)
        code, out, err = run(
            ["--check-config", "--database-url", f"postgresql://u:{secret}@h:5432/d"], key=key
        )
        self.assertEqual(code, 0, err)
        self.assertIn("postgresql://u:", out)
        for text in (secret, key):
            self.assertNotIn(text, out + err)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "data")))
        code, out, err = run(["--check-config", "--database-url", "mysql://x"], key=key)
        self.assertEqual(code, 78, out + err)
        for url in ("sqlite:", "sqlite:///x.db?mode=ro", "postgresql://h/d?nothing=1"):
            code, out, err = run(["--check-config", "--database-url", url], key=key)
            self.assertEqual(code, 78, out + err)

    def test_names_that_are_no_settings(self):
        """Probably misspelt names are reported by --check-config and at the start, whatever their
        source. The daemon starts."""
        says = "there is no setting PIERRE_DBD_POOOL; did you mean PIERRE_DBD_POOL?"
        for form in ("--check-config", "--check-config=json"):
            code, out, err = run(
                [form], key=new_key(), folder=self.folder, environment={"PIERRE_DBD_POOOL": "3"}
            )
            self.assertEqual(code, 0, err)
            self.assertIn(says, err)
            self.assertNotIn("POOOL", out)
        with Daemon(
            folder=self.folder, database=Sqlite(self.folder), environment={"PIERRE_DBD_POOOL": "3"}
        ) as daemon:
            daemon.call("daemon.ping")
            self.logged(daemon, says)
            self.assertEqual(daemon.log().count(says), 1)

    def test_usage_errors(self):
        for options in (
            ["--no-such-option"],
            ["--database-url"],
            ["stray"],
            ["--connections", "many"],
            ["--connections", "-1"],
            ["--connections", "0"],
            ["--line-limit", "1"],
            ["--line-timeout", "5 parsecs"],
            ["--socket-mode", "999"],
        ):
            code, out, err = run(options, key=new_key(), folder=self.folder)
            self.assertEqual(code, 64, (options, out, err))
            self.assertTrue(err.strip(), options)
            self.assertLessEqual(len(err.strip().split("\n")), 3, err)


class Urls(Program):
    def test_unknown_forms(self):
        """One line with the given value and the accepted forms."""
        for url in (
            "mysql://u@h/d",
            "pierre.db",
            "./pierre.db",
            "SQLITE",
            "sqlite",
            "http://x",
            "postgres",
            "postgresql",
            "file:x.db",
            "sqlite3:x",
        ):
            log = self.fails(78, "--database-url", url, says=("sqlite:", "postgresql://"))
            self.assertIn(url, log)
            self.assertEqual(
                len([line for line in log.strip().split("\n") if "postgresql://" in line]), 1
            )

    def test_password_is_not_told(self):
        model.secrets.add("canary-url-password")
        self.fails(78, "--database-url", "mysql://user:canary-url-password@host/db")
        self.fails(
            69,
            "--database-url",
            "postgresql://user:canary-url-password@127.0.0.1:1/db",
            "--connect-timeout",
            "500ms",
        )
        self.fails(
            69,
            "--database-url",
            "postgresql://127.0.0.1:1/db?user=u&password=canary-url-password",
            "--connect-timeout",
            "500ms",
        )

    def test_memory(self):
        """One database for all connections, and no file. The form with slashes, as some programs
        write it, is the same."""
        for url in ("sqlite::memory:", "sqlite://:memory:"):
            with Daemon(folder=self.folder, database=url) as daemon:
                with daemon.connect() as one, daemon.connect() as two:
                    user = World(one).user()
                    self.assertEqual(two.call("get_user", user_id=user)["id"], user)
                    self.assertEqual(two.call("get_user_goals", user_id=user), [])
                    self.assertEqual(two.call("get_user_count"), 1)
        self.assertEqual([name for name in os.listdir(self.folder) if "memory" in name], [])

    def test_relative_path_and_default(self):
        """Unset or empty: ./data/pierre.db in the working folder; file and folder are created."""
        for url in (None, ""):
            daemon = Daemon(folder=self.folder, database="", environment={"DATABASE_URL": url})
            daemon.arguments = lambda d=daemon: [BINARY, "--socket", d.socket_path]
            daemon.start()
            daemon.call("daemon.ping")
            daemon.stop()
            self.assertTrue(os.path.exists(os.path.join(self.folder, "data", "pierre.db")))
            self.assertEqual(
                os.stat(os.path.join(self.folder, "data", "pierre.db")).st_mode & 0o077, 0
            )
            subprocess.run(["rm", "-rf", os.path.join(self.folder, "data")], check=True)
        with Daemon(folder=self.folder, database="sqlite:./deep/er/x.db") as daemon:
            daemon.call("daemon.ping")
        self.assertTrue(os.path.exists(os.path.join(self.folder, "deep", "er", "x.db")))

    def test_absolute_with_slashes(self):
        with Daemon(folder=self.folder, database=f"sqlite://{self.folder}/abs.db") as daemon:
            daemon.call("daemon.ping")
        self.assertTrue(os.path.exists(os.path.join(self.folder, "abs.db")))

    def test_awkward_file_names(self):
        for name in (
            "with space.db",
            "per%20cent.db",
            "100%.db",
            "quo'te.db",
            "q?mark.db",
            "ü.db",
            "#hash.db",
        ):
            try:
                with Daemon(folder=self.folder, database=f"sqlite:{self.folder}/{name}") as daemon:
                    World(daemon.connect()).user()
            except StartFailure as failure:
                self.assertIn(
                    failure.code, (64, 78), failure.log
                )  # a clear refusal is fine, another file is not
                continue
            self.assertTrue(
                os.path.exists(os.path.join(self.folder, urllib.parse.unquote(name))),
                os.listdir(self.folder),
            )

    def test_cannot_create(self):
        self.path("file", "x")
        self.fails(73, "--database-url", f"sqlite:{self.folder}/file/x.db")
        self.fails(73, "--database-url", "sqlite:/proc/nothing/x.db")

    def test_not_a_database(self):
        for content in (b"x" * 5000, b"SQLite format 3\x00" + b"\xff" * 5000, b"hello\n"):
            path = self.path("bad.db", content)
            log = self.fails(65, "--database-url", f"sqlite:{path}")
            self.assertIn("bad.db", log)
            with open(path, "rb") as file:
                self.assertEqual(file.read(), content)
        os.mkdir(os.path.join(self.folder, "folder.db"))
        self.refused_somehow(f"sqlite:{self.folder}/folder.db")

    def refused_somehow(self, url):
        with self.assertRaises(StartFailure) as caught:
            Daemon(folder=self.folder, database=url).start()
        self.assertIn(caught.exception.code, (65, 73, 78))

    def test_foreign_database(self):
        """A SQLite file of another program is neither upgraded nor read, nor is one whose users
        table has another meaning."""
        for number, (table, says) in enumerate(
            (("songs (id INTEGER)", "another program"), ("users (uid INTEGER, name TEXT)", "email"))
        ):
            path = self.path(f"foreign{number}.db")
            database = sqlite3.connect(path)
            database.execute(f"CREATE TABLE {table}")
            database.commit()
            database.close()
            self.fails(65, "--database-url", f"sqlite:{path}", says=says)
            database = sqlite3.connect(path)
            self.assertEqual(
                [sql for sql, in database.execute("SELECT sql FROM sqlite_schema")],
                [f"CREATE TABLE {table}"],
            )
            database.close()

    def test_no_migrate(self):
        self.fails(78, "--no-migrate", database=f"sqlite:{self.folder}/new.db")
        with Daemon(folder=self.folder, database=f"sqlite:{self.folder}/x.db") as daemon:
            key = daemon.key
        with Daemon(
            folder=self.folder,
            database=f"sqlite:{self.folder}/x.db",
            key=key,
            options=("--no-migrate",),
        ) as daemon:
            daemon.call("daemon.ping")

    def test_migrate_only(self):
        """It needs no key and stores none: the first daemon's key counts, and a second one is
        refused."""
        for _ in range(2):
            code, out, err = run(
                ["--migrate-only", "--database-url", f"sqlite:{self.folder}/x.db"],
                folder=self.folder,
            )
            self.assertEqual(code, 0, err)
            self.assertRegex(out, r"^the schema has version \d+\n$")
        with Daemon(
            folder=self.folder, database=f"sqlite:{self.folder}/x.db", options=("--no-migrate",)
        ) as daemon:
            World(daemon.connect()).user()
        self.fails(77, database=f"sqlite:{self.folder}/x.db", key=new_key())

    def test_newer_schema_is_refused(self):
        with Daemon(folder=self.folder, database=f"sqlite:{self.folder}/x.db") as daemon:
            key = daemon.key
        path = os.path.join(self.folder, "x.db")
        database = sqlite3.connect(path)
        table, columns = migrations_table(database)
        newest = database.execute(f"SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1").fetchone()
        row = [9999 if index == 0 else value for index, value in enumerate(newest)]
        database.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(columns))})", row)
        database.commit()
        database.close()
        self.fails(65, database=f"sqlite:{path}", key=key, says="9999")


def migrations_table(database):
    names = [
        name
        for name, in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%migration%'"
        )
    ]
    assert len(names) == 1, names
    return names[0], [row[1] for row in database.execute(f"PRAGMA table_info({names[0]})")]


class Keys(Program):
    def start(self, **arguments):
        arguments.setdefault("database", f"sqlite:{self.folder}/k.db")
        return Daemon(folder=self.folder, **arguments)

    def test_none(self):
        log = self.fails(78, pass_key=False, says="--generate-key")
        self.assertIn("ENCRYPTION_KEY", log)
        self.fails(78, pass_key=False, environment={"ENCRYPTION_KEY": ""})

    def test_bad_keys(self):
        """The message names the rule, never the key."""
        good = new_key()
        bad = {
            "short": base64.b64encode(os.urandom(31)).decode(),
            "long": base64.b64encode(os.urandom(33)).decode(),
            "invalid base64": "!" * 44,
            "no padding": good.rstrip("="),
            "url-safe": "-_" * 21 + "A=",
            "hex": os.urandom(32).hex(),
            "text": "my secret password 1234",
            "stray bits": base64.b64encode(b"\xff" * 32).decode()[:-2] + "9=",
            "inner space": good[:20] + " " + good[20:],
            "prefix": "base64:" + good,
        }
        for name, key in bad.items():
            log = self.fails(78, key=key, says=("ENCRYPTION_KEY: ", "32", "base64"))
            self.assertNotIn(key, log, name)
            self.assertNotIn(key[:12], log, name)

    def test_key_file(self):
        key = new_key()
        path = self.path("key", key + "\n")
        daemon = self.start(key=key, pass_key=False, options=("--encryption-key-file", path))
        with daemon:
            World(daemon.connect()).user()
        for mode in (0o640, 0o604, 0o644, 0o660, 0o666):
            os.chmod(path, mode)
            log = self.fails(78, "--encryption-key-file", path, pass_key=False, key=key)
            self.assertIn(path, log)
        os.chmod(path, 0o400)
        with self.start(key=key, pass_key=False, options=("--encryption-key-file", path)):
            pass
        self.fails(
            78, "--encryption-key-file", path, key=key, says="both"
        )  # variable and file together
        self.fails(78, "--encryption-key-file", self.folder + "/none", pass_key=False)
        self.fails(78, "--encryption-key-file", self.folder, pass_key=False)
        for content in ("", "\n", key[:-1], key + key, key + "\n" + key + "\n", os.urandom(32)):
            self.fails(
                78,
                "--encryption-key-file",
                self.path("bad", content),
                pass_key=False,
                says="/bad: the encryption key",
            )

    def test_key_file_of_a_container(self):
        """Root's 0440 needs the daemon's group; 0444 is accepted only below /run/secrets."""
        if os.geteuid() != 0:
            self.skipTest("needs root: the secrets of containers are NOT tested")
        key = new_key()
        folder = os.path.join(self.folder, "..2026")
        os.mkdir(folder)
        os.symlink("..2026", os.path.join(self.folder, "..data"))
        os.symlink("..data/key", os.path.join(self.folder, "secret"))
        path, real = os.path.join(self.folder, "secret"), os.path.join(folder, "key")
        with open(real, "w", encoding="utf-8") as file:
            file.write(key + "\n")
        for mode, group, code in (
            (0o440, os.getegid(), 0),
            (0o440, 54321, 78),
            (0o444, os.getegid(), 78),
            (0o640, os.getegid(), 78),
        ):
            os.chown(real, 0, group)
            os.chmod(real, mode)
            self.assertEqual(self.exit_with_key(path), code, (oct(mode), group))
        os.chmod(real, 0o444)
        in_memory = (
            "mkdir -p /run/secrets && mount -t tmpfs tmpfs $0 && cp -p $1 $0/key && shift && "
            'exec "$@"'
        )
        for place, found, code in (
            ("/run/secrets", "/run/secrets/key", 0),
            ("/mnt", "/mnt/key", 78),
        ):
            wrapper = (
                "unshare",
                "-m",
                "sh",
                "-c",
                "mkdir -p /run && mount -t tmpfs tmpfs /run && " + in_memory,
                place,
                real,
            )
            if (
                subprocess.run(wrapper + ("true",), capture_output=True, check=False).returncode
                != 0
            ):
                self.skipTest("needs a mount namespace: the place of secrets is NOT tested")
            self.assertEqual(self.exit_with_key(found, wrapper), code, found)

    def exit_with_key(self, path, wrapper=()):
        """Returns the exit code of a check that reads the key, with a database in memory."""
        arguments = [
            *wrapper,
            BINARY,
            "--verify",
            "--database-url",
            f"sqlite:{self.folder}/none.db?mode=rwc",
            "--encryption-key-file",
            path,
        ]
        done = subprocess.run(
            arguments,
            env={"PATH": os.environ["PATH"]},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return 78 if done.returncode == 78 else 0

    def test_credentials_directory(self):
        key = new_key()
        self.path("encryption_key", key)
        with self.start(
            key=key, pass_key=False, environment={"CREDENTIALS_DIRECTORY": self.folder}
        ) as daemon:
            daemon.call("daemon.ping")
        self.fails(78, key=key, environment={"CREDENTIALS_DIRECTORY": self.folder}, says="both")
        with self.start(
            key=key, environment={"CREDENTIALS_DIRECTORY": self.folder + "/none"}
        ) as daemon:
            daemon.call("daemon.ping")

    def test_credentials_without_the_key(self):
        """The unit names a missing file or another credential: the message names the folder and the
        unit's line."""
        self.path("another", new_key())
        self.fails(
            78,
            pass_key=False,
            environment={"CREDENTIALS_DIRECTORY": self.folder},
            says=f"the credentials folder {self.folder} holds no encryption_key: check "
            "LoadCredential=",
        )

    def test_wrong_key(self):
        """Also on a database without tokens: it holds the check value from the first start on."""
        with self.start() as daemon:
            key = daemon.key
        path = os.path.join(self.folder, "k.db")
        with open(path, "rb") as file:
            before = file.read()
        log = self.fails(77, database=f"sqlite:{path}", key=new_key())
        self.assertIn("key", log)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), before)
        with self.start(key=key) as daemon:
            daemon.call("daemon.ping")

    def test_key_leaves_the_environment_and_memory_maps(self):
        """/proc/pid/environ and cmdline do not show it; a core dump must not contain it."""
        with self.start() as daemon:
            for name in ("environ", "cmdline"):
                with open(f"/proc/{daemon.pid}/{name}", "rb") as file:
                    self.assertNotIn(daemon.key.encode(), file.read())
            with open(f"/proc/{daemon.pid}/limits", encoding="ascii") as file:
                core = next(line for line in file if line.startswith("Max core file size"))
            self.assertEqual(core.split()[4], "0")

    def test_key_in_memory_is_guarded(self):
        """The raw key is in no readable writable memory of the process except for its locked page.
        Its text is nowhere."""
        if SANITIZER:
            self.skipTest("a sanitizer's shadow memory is too large to search")
        with self.start() as daemon:
            user = World(daemon.connect()).user()
            daemon.call("update_strava_token", [user, "a", "b", "2025-01-01T00:00:00Z", ""])
            text, raw = daemon.key.encode(), base64.b64decode(daemon.key)
            found = search_memory(daemon.pid, [text, raw])
            self.assertEqual(found[text], [], "the key's text is in memory")
            self.assertTrue(
                all("lo" in flags and "dd" in flags for flags in found[raw]),
                "the raw key is in memory that is not locked or not excluded from dumps: "
                f"{found[raw]}",
            )


class EnvFile(Program):
    def daemon(self, content, environment=None, options=(), mode=0o600, name=".env"):
        """A daemon without options: all settings come from the environment or the file."""
        self.path(name, content, mode)
        daemon = Daemon(
            folder=self.folder,
            database=Sqlite(self.folder),
            environment=environment,
            pass_key=False,
        )
        daemon.arguments = lambda: [BINARY, "--socket", daemon.socket_path, *options]
        return daemon

    def test_all_spellings(self):
        key = new_key()
        for url in (
            "DATABASE_URL=sqlite:./e.db",
            "export DATABASE_URL=sqlite:./e.db",
            "DATABASE_URL='sqlite:./e.db'",
            'DATABASE_URL="sqlite:./e.db"',
            "DATABASE_URL=sqlite:./e.db   # comment",
            "\n# comment\n\n  DATABASE_URL = sqlite:./e.db",
        ):
            with self.daemon(f"ENCRYPTION_KEY={key}\n{url}\nUNKNOWN=fine\n") as daemon:
                daemon.call("daemon.ping")
            self.assertTrue(os.path.exists(os.path.join(self.folder, "e.db")), url)
            os.unlink(os.path.join(self.folder, "e.db"))

    def test_no_interpolation(self):
        key = new_key()
        with self.daemon(
            f"ENCRYPTION_KEY={key}\nX=y\nDATABASE_URL=sqlite:./a$X`id`.db\n"
        ) as daemon:
            daemon.call("daemon.ping")
        self.assertTrue(
            os.path.exists(os.path.join(self.folder, "a$X`id`.db")), os.listdir(self.folder)
        )

    def test_precedence(self):
        """Options precede the environment, and the environment precedes the file."""
        key = new_key()
        content = f"ENCRYPTION_KEY={key}\nDATABASE_URL=sqlite:./file.db\n"
        for environment, options, wins in (
            ({}, (), "file.db"),
            ({"DATABASE_URL": "sqlite:./env.db"}, (), "env.db"),
            ({"DATABASE_URL": ""}, (), "file.db"),
            (
                {"DATABASE_URL": "sqlite:./env.db"},
                ("--database-url", "sqlite:./flag.db"),
                "flag.db",
            ),
            ({}, ("--database-url=sqlite:./flag.db",), "flag.db"),
        ):
            with self.daemon(content, environment, options) as daemon:
                daemon.call("daemon.ping")
            self.assertEqual(
                [name for name in os.listdir(self.folder) if name.endswith(".db")], [wins]
            )
            os.unlink(os.path.join(self.folder, wins))

    def test_named_file(self):
        key = new_key()
        with self.daemon(
            f"ENCRYPTION_KEY={key}\nDATABASE_URL=sqlite:./named.db\n",
            options=("--env-file", "other.env"),
            name="other.env",
        ) as daemon:
            daemon.call("daemon.ping")
        self.assertTrue(os.path.exists(os.path.join(self.folder, "named.db")))
        self.fails(78, "--env-file", self.folder + "/none.env")

    def test_broken_file(self):
        key = new_key()
        model.secrets.add(key)
        for content in (
            f"ENCRYPTION_KEY={key}\nno equals sign\n",
            f"ENCRYPTION_KEY='{key}\n",
            f"ENCRYPTION_KEY={key}\n=x\n",
        ):
            daemon = self.daemon(content)
            with self.assertRaises(StartFailure) as caught:
                daemon.start()
            self.assertEqual(caught.exception.code, 78)
            self.assertNotIn(key, caught.exception.log)

    def test_warns_when_others_may_read_it(self):
        key = new_key()
        for mode, warned in ((0o600, False), (0o644, True), (0o640, True)):
            daemon = self.daemon(f"ENCRYPTION_KEY={key}\nDATABASE_URL=sqlite:./w.db\n", mode=mode)
            with daemon:
                daemon.call("daemon.ping")
                if warned:
                    self.logged(daemon, ".env")
                else:
                    self.logged(daemon, "msg=ready")
                    self.assertNotIn(".env", daemon.log())
            os.unlink(daemon.log_path)
