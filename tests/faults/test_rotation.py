"""Changing the key while the daemon goes on. Would catch: an answer that differs before, amid and
after; a token that is lost or set back by the change when its owner writes it at the same moment; a
change that is called finished while rows of the old key are left; one that a kill -9 breaks; a
daemon that starts without a key that is still needed; more sealings under one key than are safe."""
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time

from lib import model
from lib.case import Case
from lib.daemon import BINARY, CTL, SLOW, Daemon, StartFailure, new_key
from lib.rpc import RpcError, result_of
from lib.world import new_user

SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE")
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))
EXPIRES = "2030-01-01T00:00:00Z"
PROVIDERS = ("strava", "fitbit")
LIMIT = 1 << 32


def ctl(daemon, *arguments, timeout=120):
    environment = {name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ}
    done = subprocess.run(
        [CTL, "--socket", daemon.socket_path, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout * SLOW,
        check=False,
        env={**environment, "LANG": "C.UTF-8"},
    )
    return done.returncode, done.stdout, done.stderr


class RotationCase(Case):
    def setUp(self):
        self.old, self.new = new_key(), new_key()
        model.secrets.update((self.old, self.new))
        self.daemon = Daemon(key=self.old)
        self.addCleanup(self.daemon.discard)

    def restart(self, key, previous=None):
        """With these keys; the database stays."""
        daemon = self.daemon
        if daemon.alive():
            self.assertEqual(daemon.terminate(), 0)
            daemon.check_log()
        daemon.key = key
        daemon.environment = {"PREVIOUS_ENCRYPTION_KEY": previous}
        return daemon.start()

    def refuses(self, key, previous=None, code=77):
        """The log of a start that must fail."""
        if self.daemon.alive():
            self.daemon.terminate()
        size = len(self.daemon.log())
        with self.assertRaises(StartFailure) as caught:
            self.restart(key, previous)
        self.assertEqual(caught.exception.code, code)
        self.daemon.check_log()
        return self.daemon.log()[size:]

    def fill(self, count):
        """Users with both tokens; what each must read."""
        with self.daemon.connect(timeout=120) as c:
            users = [
                result_of(answer)
                for answer in c.many([("create_user", {"user": new_user()}) for _ in range(count)])
            ]
            writes = [
                (
                    f"update_{provider}_token",
                    [
                        user,
                        f"access {provider} {i} {user}",
                        f"refresh {provider} {i}",
                        EXPIRES,
                        "read",
                    ],
                )
                for i, user in enumerate(users)
                for provider in PROVIDERS
            ]
            for answer in c.many(writes):
                result_of(answer)
        return users

    def answers(self, users):
        with self.daemon.connect(timeout=120) as c:
            calls = [
                (f"get_{provider}_token", {"user_id": user})
                for user in users
                for provider in PROVIDERS
            ]
            return [result_of(answer) for answer in c.many(calls)] + [
                result_of(c.answer(c.request("get_user", user_id=users[0])))
            ]

    def sql(self, statement):
        """The rows of a query as lists of texts, or the statement done."""
        if self.daemon.backend == "sqlite":
            with sqlite3.connect(self.daemon.database.path, timeout=10, isolation_level=None) as db:
                return [[str(value) for value in row] for row in db.execute(statement).fetchall()]
        out = self.daemon.database.query(statement)
        return [line.split("|") for line in out.splitlines()]

    def texts(self):
        return self.sql(
            "SELECT strava_access_token, strava_refresh_token, strava_nonce, "
            "fitbit_access_token, fitbit_nonce FROM users ORDER BY id"
        )

    def steps(self, most=None):
        """Calls rotate_key until it is over, or so often; the last answer and all that was sealed
        anew."""
        resealed = 0
        with self.daemon.connect() as c:
            while True:
                told = c.call("rotate_key")
                resealed += told["resealed"]
                most = most - 1 if most is not None else None
                if told["state"] != "running" or most == 0:
                    return told, resealed


class Changing(RotationCase):
    def test_from_beginning_to_end(self):
        self.daemon.start()
        users = self.fill(250)
        before, texts = self.answers(users), self.texts()
        self.restart(self.new, self.old)
        self.assertEqual(self.answers(users), before)
        found = {one["name"]: one for one in self.daemon.call("daemon.diagnose")["findings"]}
        self.assertEqual(found["previous_key"]["status"], "warn")
        self.assertIn("rotate-key", found["previous_key"]["advice"])
        self.logged(
            self.daemon,
            re.compile(
                r'level=notice msg="the key is being changed: [^"]*" key=[0-9a-f]{16} '
                r"previous_key=[0-9a-f]{16}\n"
            ),
        )
        # What is written now is the new key's; the old one alone is not enough any more, nor the
        # new one yet.
        with self.daemon.connect() as c:
            c.call("update_strava_token", [users[7], "fresh", "fresh refresh", EXPIRES, "all"])
            before[14] = c.call("get_strava_token", user_id=users[7])
        self.assertIn("a rotation of the key was begun and is not finished", self.refuses(self.new))
        self.assertIn("a rotation of the key was begun and is not finished", self.refuses(self.old))
        self.restart(self.new, self.old)
        code, out, said = ctl(self.daemon, "rotate-key")
        self.assertEqual((code, said), (0, ""))
        self.assertRegex(
            out,
            r"^all tokens of 250 users are sealed with the key [0-9a-f]{16}; "
            r"499 were re-encrypted\n"
            r"the previous key [0-9a-f]{16} is no longer needed: .*\n$",
        )
        self.logged(
            self.daemon,
            re.compile(
                r'level=notice msg="all tokens of 250 users are under the key [0-9a-f]{16}"\n'
            ),
        )
        self.assertEqual(self.answers(users), before)
        for row, old in zip(self.texts(), texts):
            for text in row:
                self.assertNotIn(text, old)
        # Again: nothing to do.
        code, out, said = ctl(self.daemon, "rotate-key", "--json")
        told = json.loads(out)
        self.assertEqual(
            (code, said, told["state"], told["resealed"], told["pass"]), (0, "", "finished", 0, 1)
        )
        # The new key alone opens everything, and the old one nothing.
        self.restart(self.new)
        self.assertNotIn(
            "previous_key", [one["name"] for one in self.daemon.call("daemon.diagnose")["findings"]]
        )
        self.assertEqual(self.answers(users), before)
        self.assertIn(
            "the encryption key does not open this database's tokens", self.refuses(self.old)
        )
        self.assertIn(
            "neither the encryption key nor the previous one", self.refuses(new_key(), self.old)
        )
        self.restart(self.new)
        code, out, said = ctl(self.daemon, "rotate-key")
        self.assertEqual((code, said), (0, ""))
        self.assertRegex(out, r"^all tokens of 250 users are sealed with the key [0-9a-f]{16}\n$")
        self.daemon.stop()

    def test_going_back(self):
        """Half way the new key is given up: the old one becomes the key in use again."""
        self.daemon.start()
        users = self.fill(230)
        before = self.answers(users)
        self.restart(self.new, self.old)
        with self.daemon.connect() as c:
            c.call("rotate_key")
        self.restart(self.old, self.new)
        self.assertEqual(self.answers(users), before)
        self.assertEqual(ctl(self.daemon, "rotate-key")[0], 0)
        self.refuses(self.new)
        self.restart(self.old)
        self.assertEqual(self.answers(users), before)
        self.daemon.stop()

    def test_wrong_keys(self):
        self.daemon.start()
        users = self.fill(3)
        before = self.answers(users)
        self.assertIn(
            "neither the encryption key nor the previous one", self.refuses(self.new, new_key())
        )
        self.assertIn("is the same", self.refuses(self.old, self.old, 78))
        self.assertIn(
            "PREVIOUS_ENCRYPTION_KEY: the encryption key is not 32 bytes in standard base64",
            self.refuses(self.new, self.old[:20], 78),
        )
        self.assertNotIn(self.old[:20], self.daemon.log())
        self.restart(self.old)
        self.assertEqual(self.answers(users), before)
        self.daemon.stop()

    def test_where_the_previous_key_stands(self):
        daemon = self.daemon
        daemon.start()
        users = self.fill(2)
        before = self.answers(users)
        path = os.path.join(daemon.folder, "old.key")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.old + "\n")
        os.chmod(path, 0o644)
        daemon.options += ["--previous-encryption-key-file", path]
        self.assertIn("mode 0644", self.refuses(self.new, None, 78))
        os.chmod(path, 0o600)
        self.assertIn(
            "both PREVIOUS_ENCRYPTION_KEY and a file for it", self.refuses(self.new, self.old, 78)
        )
        self.restart(self.new)
        self.assertEqual(self.answers(users), before)
        del daemon.options[-2:]
        self.assertEqual(daemon.terminate(), 0)
        credentials = os.path.join(daemon.folder, "credentials")
        os.mkdir(credentials, 0o700)
        os.rename(path, os.path.join(credentials, "previous_encryption_key"))
        daemon.environment = {"CREDENTIALS_DIRECTORY": credentials}
        daemon.start()
        self.assertEqual(self.answers(users), before)
        with open(f"/proc/{daemon.pid}/environ", "rb") as file:
            self.assertNotIn(self.old.encode(), file.read())
        self.restart(self.new, self.old)
        with open(f"/proc/{daemon.pid}/environ", "rb") as file:
            shown = file.read()
        self.assertIn(b"PREVIOUS_ENCRYPTION_KEY=", shown)
        self.assertNotIn(self.old.encode(), shown)
        settings = {one["name"]: one["value"] for one in daemon.call("daemon.config")["settings"]}
        self.assertEqual(settings["previous_encryption_key"], "***")
        daemon.stop()

    def test_tokens_that_no_key_opens(self):
        self.daemon.start()
        users = self.fill(120)
        self.restart(self.new, self.old)
        bad = sorted(users[3:6])
        for user in bad:
            self.sql(f"UPDATE users SET fitbit_nonce = strava_nonce WHERE id = '{user}'")
        # No token for anybody, and no reason to wait: a column of it is missing.
        self.sql(
            "UPDATE users SET strava_scope = NULL, strava_nonce = fitbit_nonce WHERE id = "
            f"'{users[8]}'"
        )
        for _ in range(2):
            code, out, said = ctl(self.daemon, "rotate-key")
            self.assertEqual((code, out), (1, ""))
            self.assertIn("not finished: 3 tokens open with neither the key", said)
            self.logged(
                self.daemon,
                re.compile(
                    r'level=warning msg="the rotation to the key [0-9a-f]{16} is not finished: '
                    r'no known key opens 3 tokens"'
                ),
            )
            self.assertEqual(
                [
                    line.split("user ")[1]
                    for line in said.splitlines()
                    if "user " in line and "fitbit" in line and "clear" not in line
                ],
                [f"{user}, fitbit" for user in bad],
            )
        self.assertIn("not finished", self.refuses(self.new))
        self.restart(self.new, self.old)
        told, _ = self.steps()
        self.assertEqual((told["state"], told["unreadable"]), ("blocked", 3))
        self.assertEqual(
            told["examples"], [{"user_id": user, "provider": "fitbit"} for user in bad]
        )
        with self.daemon.connect() as c:
            for user in bad:
                c.call("clear_fitbit_token", user_id=user)
        self.assertEqual(ctl(self.daemon, "rotate-key")[0], 0)
        self.restart(self.new)
        self.daemon.stop()

    def test_while_their_owners_write(self):
        """Each owner counts: a token must always be the last that was answered, also the moment
        after, and in the end."""
        self.daemon.start()
        users = self.fill(300)
        self.restart(self.new, self.old)
        owners, stop, problems, written = users[::30], threading.Event(), [], {}

        def write(user):
            with self.daemon.connect() as c:
                number = 0
                while not stop.is_set():
                    number += 1
                    c.call("update_strava_token", [user, f"own {number}", "r", EXPIRES, "s"])
                    written[user] = number
                    got = c.call("get_strava_token", user_id=user)["access_token"]
                    if got != f"own {number}":
                        problems.append((user, number, got))
                        return

        threads = [threading.Thread(target=write, args=(user,)) for user in owners]
        for thread in threads:
            thread.start()
        try:
            for _ in range(6 if LONG else 3):
                self.assertEqual(ctl(self.daemon, "rotate-key")[0], 0)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(problems, [])
        self.assertGreater(min(written.values()), 1)
        self.assertEqual(ctl(self.daemon, "rotate-key")[0], 0)
        self.restart(self.new)
        answers = self.answers(users)
        for index, user in enumerate(users):
            expected = (
                f"own {written[user]}" if user in written else f"access strava {index} {user}"
            )
            self.assertEqual(answers[2 * index]["access_token"], expected)
        self.daemon.stop()

    def test_killed_on_the_way(self):
        """kill -9 between and amid steps: all reads are as before, and the next steps end it."""
        self.daemon.start()
        users = self.fill(450)
        before = self.answers(users)
        self.restart(self.new, self.old)
        for number in range(8 if LONG else 3):
            with self.daemon.connect() as c:
                for _ in range(number % 3):
                    if c.call("rotate_key")["state"] != "running":
                        break
                c.request("rotate_key")
                time.sleep(0.001 * number)
                self.daemon.signal(signal.SIGKILL)
                self.daemon.process.wait()
            self.daemon.start()
            self.assertEqual(self.answers(users), before)
        told, _ = self.steps()
        self.assertEqual((told["state"], told["checked"]), ("finished", 450))
        self.restart(self.new)
        self.assertEqual(self.answers(users), before)
        self.daemon.stop()

    def test_the_command_survives_a_restart(self):
        self.daemon.start()
        users = self.fill(800)
        before = self.answers(users)
        self.restart(self.new, self.old)
        environment = {
            name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ
        }
        with subprocess.Popen(
            [CTL, "--socket", self.daemon.socket_path, "rotate-key", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            stderr=subprocess.PIPE,
            env=environment,
        ) as driving:
            self.within(
                20,
                lambda: self.daemon.call("daemon.stats")["methods"]
                .get("rotate_key", {})
                .get("calls", 0)
                > 0,
                every=0.002,
            )
            self.daemon.kill()
            self.daemon.start()
            out, said = driving.communicate(timeout=60 * SLOW)
        self.assertEqual((driving.returncode, said), (0, ""))
        self.assertEqual(json.loads(out)["state"], "finished")
        self.restart(self.new)
        self.assertEqual(self.answers(users), before)
        self.daemon.stop()

    def test_moving_amid_a_change(self):
        """`transfer` and `verify` open with both keys, and the copy asks for both as well."""
        if self.daemon.backend != "sqlite":
            self.skipTest("the same program, whatever the databases")
        self.daemon.start()
        users = self.fill(150)
        before = self.answers(users)
        self.restart(self.new, self.old)
        with self.daemon.connect() as c:
            c.call("rotate_key")
        self.assertEqual(self.daemon.terminate(), 0)
        copy = f"sqlite:{self.daemon.folder}/copy.db"
        environment = {name: os.environ[name] for name in SANITIZERS if name in os.environ}
        environment.update(
            PATH=os.path.dirname(BINARY) + ":" + os.environ["PATH"], ENCRYPTION_KEY=self.new
        )

        def run(*arguments, **more):
            return subprocess.run(
                [CTL, *arguments],
                env={**environment, **more},
                capture_output=True,
                text=True,
                timeout=60 * SLOW,
                check=False,
                cwd=self.daemon.folder,
            )

        done = run("transfer", "--from", self.daemon.url, "--to", copy)
        self.assertEqual(done.returncode, 77, done.stderr)
        done = run(
            "transfer", "--from", self.daemon.url, "--to", copy, PREVIOUS_ENCRYPTION_KEY=self.old
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run("verify", copy).returncode, 77)
        self.assertEqual(run("verify", copy, PREVIOUS_ENCRYPTION_KEY=self.old).returncode, 0)
        self.daemon.url = copy
        self.assertIn("not finished", self.refuses(self.new))
        self.restart(self.new, self.old)
        self.assertEqual(ctl(self.daemon, "rotate-key")[0], 0)
        self.restart(self.new)
        self.assertEqual(self.answers(users), before)
        self.daemon.stop()

    def test_disk_full(self):
        """A step that cannot be stored changes nothing; with room again the change goes on."""
        if self.daemon.backend != "sqlite":
            self.skipTest("the disk is the server's")
        if os.getuid() != 0:
            self.skipTest("needs root to mount a small file system: NOT tested")
        folder = os.path.join(self.daemon.folder, "small")
        os.mkdir(folder)
        if (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder],
                capture_output=True,
                check=False,
            ).returncode
            != 0
        ):
            self.skipTest("this machine does not allow mounting: NOT tested")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=False)
        self.daemon.url = f"sqlite:{folder}/pierre.db"
        self.daemon.start()
        users = self.fill(250)
        before = self.answers(users)
        self.restart(self.new, self.old)
        filler = os.path.join(folder, "filler")
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        code, out, said = ctl(self.daemon, "rotate-key")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("storage: the disk is full; nothing of the call was stored", said)
        self.assertEqual(self.answers(users), before)
        os.unlink(filler)
        self.within(10, lambda: ctl(self.daemon, "rotate-key")[0] == 0)
        self.restart(self.new)
        self.assertEqual(self.answers(users), before)
        self.daemon.stop()

    def test_rights_and_usage(self):
        self.daemon.start()
        self.assertEqual(ctl(self.daemon, "rotate-key", "now")[0], 64)
        code, out, said = ctl(self.daemon, "rotate-key")
        self.assertEqual((code, said), (0, ""))
        self.assertRegex(out, r"^all tokens of 0 users are sealed with the key [0-9a-f]{16}\n$")
        self.daemon.stop()
        self.assertEqual(ctl(self.daemon, "rotate-key", timeout=20)[0], 75)


class Counting(RotationCase):
    """How much the key has sealed in its life is known over restarts, and bounded."""

    def stored(self):
        rows = dict(self.sql("SELECT key, value FROM pierre_meta WHERE key LIKE 'sealed:%'"))
        return {key: int(value) for key, value in rows.items()}

    def total(self):
        return self.daemon.call("daemon.stats")["gauges"]["key_seals"]

    def seal(self, times, user):
        with self.daemon.connect() as c:
            for answer in c.many([("update_strava_token", [user, "a", "r", EXPIRES, "s"])] * times):
                result_of(answer)

    def test_over_restarts_and_kills(self):
        self.daemon.start()
        self.assertEqual(self.stored(), {})
        with self.daemon.connect() as c:
            user = c.call("create_user", user=new_user())
        sealed = 0
        for number in range(4):
            self.seal(600, user)
            sealed += 1200
            self.assertGreaterEqual(self.total(), sealed)
            # SQLite: with what was sealed; PostgreSQL: a moment later.
            self.within(
                0.01 if self.daemon.backend == "sqlite" else 10,
                lambda: sum(self.stored().values()) >= self.total(),
            )
            if number % 2:
                self.daemon.signal(signal.SIGKILL)
                self.daemon.process.wait()
                self.daemon.start()
            else:
                self.restart(self.old)
            self.assertGreaterEqual(self.total(), sealed)
            self.assertLess(self.total(), sealed + 4 * 4096)
        ((name, _),) = self.stored().items()
        self.assertRegex(name, r"^sealed:[0-9a-f]{16}$")
        # Starts alone use up nothing.
        before = self.stored()
        self.restart(self.old)
        self.restart(self.old)
        self.assertEqual(self.stored(), before)
        self.daemon.stop()

    def test_counted_before_the_end(self):
        """A daemon that is stopped right after it has sealed has written that down."""
        self.daemon.start()
        users = self.fill(2)
        self.within(10, lambda: self.stored())
        ((name, _),) = self.stored().items()
        for _ in range(5):
            self.assertEqual(self.daemon.terminate(), 0)
            self.sql(f"UPDATE pierre_meta SET value = '0' WHERE key = '{name}'")
            self.daemon.start()
            self.daemon.call("update_strava_token", [users[0], "a", "r", EXPIRES, "s"])
            self.assertEqual(self.daemon.terminate(), 0)
            self.assertGreaterEqual(int(self.stored()[name]), 2)
            self.daemon.start()
        self.daemon.stop()

    def test_warning_and_refusal(self):
        self.daemon.start()
        users = self.fill(2)
        before = self.answers(users)
        self.within(10, lambda: self.stored())
        ((name, _),) = self.stored().items()

        def put(number):
            self.assertEqual(self.daemon.terminate(), 0)
            self.sql(f"UPDATE pierre_meta SET value = '{number}' WHERE key = '{name}'")
            self.daemon.start()

        put(LIMIT // 2 - 1500)
        self.assertNotIn("has sealed", self.daemon.log())
        self.seal(1000, users[0])
        self.logged(self.daemon, "the encryption key has sealed 2147")
        put(LIMIT // 2)
        self.logged(self.daemon, "the encryption key has sealed 2147483648 texts")
        checks = {one["name"]: one for one in self.daemon.call("daemon.health")["checks"]}
        self.assertEqual(checks["key"]["status"], "degraded")
        put(LIMIT - 5)
        with self.daemon.connect() as c:
            c.call("update_strava_token", [users[0], "last", "r", EXPIRES, "s"])
            c.call("update_fitbit_token", [users[0], "very last", "r", EXPIRES, "s"])
            for _ in range(3):
                with self.assertRaises(RpcError) as caught:
                    c.call("update_strava_token", [users[1], "too late", "r", EXPIRES, "s"])
                self.assertEqual(caught.exception.kind, "storage")
                self.assertIn("it must be changed", str(caught.exception))
            self.assertEqual(c.call("get_strava_token", user_id=users[0])["access_token"], "last")
        self.assertEqual(
            self.answers(users)[2:4], before[2:4]
        )  # the other one's tokens are as they were
        # Not to be got round by a restart; another key has a count of its own.
        self.restart(self.old)
        with self.assertRaises(RpcError):
            self.daemon.call("update_strava_token", [users[1], "too late", "r", EXPIRES, "s"])
        self.restart(self.new, self.old)
        self.daemon.call("update_strava_token", [users[1], "in time", "r", EXPIRES, "s"])
        self.assertEqual(ctl(self.daemon, "rotate-key")[0], 0)
        self.assertLess(self.total(), 10000)
        self.restart(self.new)
        self.assertEqual(self.answers(users)[2]["access_token"], "in time")
        self.daemon.stop()
