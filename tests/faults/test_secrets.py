"""Canary secrets in every method and under a set of faults, then a search for them wherever others
can read. Would catch: a password in a message or a log line, a hash quoted from the database's own
error, a key in /proc, a token that remains in memory.

Searched places:
- keys, tokens, passwords, hashes, session tokens, the database's password: in the log at the most
  verbose level, in every error answer, in the output of a failed start, in the small files of
  /proc/PID, in daemon.health and daemon.stats.
- in memory (what a core dump would hold; the daemon allows none, so root reads /proc/PID/mem): the
  key's text and the plain tokens and passwords must be erased once their calls are answered. Hashes
  and session tokens are rows of the database, which SQLite's cache and libpq's buffers hold like
  any row. The database's password must stay for reconnecting. The key's bytes are in one locked
  page that is excluded from dumps (contract/test_program.py)."""
import base64
import os
import resource
import secrets
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
import urllib.parse

from lib import databases, model, strict
from lib.case import Case
from lib.daemon import (
    CTL,
    Daemon,
    SANITIZER,
    StartFailure,
    new_key,
    run,
    temporary_folder,
)
from lib.interface import METHODS
from lib.memory import search_memory
from lib.postgres_server import PostgresServer
from lib.rpc import result_of
from lib.world import Samples, World, new_api_key, new_user, uuid4

PROC_FILES = (
    "environ",
    "cmdline",
    "comm",
    "status",
    "stat",
    "limits",
    "maps",
    "mountinfo",
    "wchan",
    "cgroup",
    "auxv",
    "io",
    "sched",
    "numa_maps",
)
FUTURE = "2030-01-01T00:00:00Z"
VERBOSE = ("--log-level", "debug", "--slow-call", "1ms", "--bcrypt-cost", "4")


def canary(kind):
    return f"CANARY-{kind}-{secrets.token_hex(12)}"


class Canaries(Case):
    """erased: secrets that must not remain in memory. hidden: secrets that must not appear anywhere
    that others can read."""

    def setUp(self):
        self.access, self.refresh = canary("access"), canary("refresh")
        self.password, self.wrong_password = canary("password"), canary("wrong")
        self.key_hash, self.hash = canary("keyhash"), "$2b$04$" + secrets.token_hex(27)[:53]
        self.erased = [self.access, self.refresh, self.password, self.wrong_password]
        self.hidden = [*self.erased, self.key_hash, self.hash]
        self.errors = []

    def look(self, text, where):
        data = text.encode() if isinstance(text, str) else text
        for secret in self.hidden:
            self.assertNotIn(secret.encode(), data, f"{secret[:14]}… is in {where}")

    # All methods
    # -----------------------------------------------------------------------------------

    def run_methods(self, daemon):
        """Calls every method, with success where possible. Secrets created on the way are added to
        the lists."""
        with daemon.connect() as one:
            samples = Samples(one)
            params = samples.params()
            for method in ("update_strava_token", "update_fitbit_token"):
                params[method].update({"access_token": self.access, "refresh_token": self.refresh})
            params["verify_user_password"]["password"] = self.wrong_password
            params["create_api_key"]["api_key"]["key_hash"] = self.key_hash
            params["get_api_key_by_prefix"]["hash"] = self.key_hash
            params["create_user"]["user"]["password_hash"] = self.hash
            for method in METHODS:
                self.keep(one.answer(one.request(method, params[method])))
                if method.startswith("update_") and method.endswith("_token"):
                    result_of(
                        one.answer(
                            one.request(method.replace("update", "get"), {"user_id": samples.user})
                        )
                    )
            email = f"{secrets.token_hex(8)}@example.com"
            user = one.call("create_user", user={"email": email, "password": self.password})
            self.assertEqual(
                one.call("verify_user_password", email=email, password=self.password)["id"], user
            )
            self.hidden.append(one.call("get_user", user_id=user)["password_hash"])
            self.hidden.append(samples.session)
            model.secrets.update(self.hidden)
        return user

    def keep(self, answer):
        if "error" in answer:
            self.errors.append(strict.dumps(answer["error"]))

    def bad_lines(self, user):
        """Requests that fail, with secrets in their proper places. The first member contains no
        secret."""
        token = {
            "user_id": user,
            "access_token": self.access,
            "refresh_token": self.refresh,
            "expires_at": FUTURE,
            "scope": "s",
        }
        taken = new_user(password_hash=self.hash)
        key = new_api_key(user, key_hash=self.key_hash)
        calls = [
            ("update_strava_token", {**token, "user_id": uuid4()}),
            ("update_strava_token", {**token, "expires_at": "never"}),
            ("update_strava_token", {**token, "scope": None}),
            ("update_fitbit_token", {**token, "access_token": [self.access]}),
            ("update_fitbit_token", {**token, "refresh_token": {"t": self.refresh}}),
            ("update_fitbit_token", {**token, "extra": 1}),
            ("update_fitbit_token", [user, self.access, self.refresh, 5, "s"]),
            ("update_strava_token", [user, self.access]),
            ("update_strava_token", [user, self.access, self.refresh, FUTURE, "s", self.access]),
            (
                "create_user",
                {"user": {"email": "x", "password": self.password, "password_hash": self.hash}},
            ),
            ("create_user", {"user": {"password": self.password}}),
            ("create_user", {"user": {"email": "no", "password": self.password}}),
            ("create_user", {"user": {"email": "a@example.com", "password": self.password * 3}}),
            ("create_user", {"user": {"email": "a@example.com", "password": [self.password]}}),
            ("create_user", {"user": {"email": "a@example.com", "password_hash": [self.hash]}}),
            ("create_user", {"user": taken}),
            ("create_user", {"user": taken}),
            (
                "verify_user_password",
                {"email": taken["email"], "password": self.wrong_password, "extra": 0},
            ),
            ("verify_user_password", {"email": 5, "password": self.wrong_password}),
            ("verify_user_password", [self.wrong_password]),
            (
                "verify_user_password",
                {"email": taken["email"], "password": {"p": self.wrong_password}},
            ),
            ("create_api_key", {"api_key": key}),
            ("create_api_key", {"api_key": key}),
            (
                "create_api_key",
                {"api_key": {**key, "user_id": uuid4(), "id": "other", "key_prefix": "o"}},
            ),
            ("create_api_key", {"api_key": {**key, "key_hash": 7}}),
            ("create_api_key", {"api_key": {**key, "tier": "gold"}}),
            ("get_api_key_by_prefix", {"prefix": 1, "hash": self.key_hash}),
            ("get_api_key_by_prefix", {"hash": self.key_hash}),
            ("no_such_method", {"password": self.password}),
            ("migrate", {"key": self.password}),
        ]
        lines = [
            strict.dumps(
                {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            ).encode()
            for number, (method, params) in enumerate(calls)
        ]
        good = lines[0]
        lines += [
            good[:-1],
            good + b"}",
            good.replace(b'"2.0"', b'"1.0"'),
            good.replace(self.access.encode(), self.access.encode() + b"\xff"),
            good.replace(self.access.encode(), self.access.encode() + b"\\u0000"),
            b"[" + good,
            b'"' + self.access.encode() + b'"',
            good.replace(
                b'"params"', b'"params":{"access_token":"' + self.access.encode() + b'"},"params"'
            ),
            good.replace(b'"id":0', b'"id":{"x":1}'),
            good.replace(b'"method":"update', b'"method":"' + b"x" * 100 + b"update"),
            self.access.encode() * 60_000,
            b"[" + b",".join([good] * 1200) + b"]",
        ]
        return lines

    def run_faults(self, daemon, user):
        with daemon.connect() as one:
            for line in self.bad_lines(user):
                one.send(line + b"\n", note=False)
                answer = one.read_line()
                if b'"error"' in answer:
                    self.errors.append(answer.decode())
        token = strict.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "update_strava_token",
                "params": [user, self.access, self.refresh, FUTURE, "s"],
            }
        ).encode()
        for cut in (
            len(token) // 2,
            len(token) - 2,
        ):  # clients that disconnect in the middle of a secret, or that do not read the answer
            with daemon.connect() as one:
                one.send(token[:cut], note=False)
        with daemon.connect() as one:
            one.send(
                token
                + b"\n"
                + strict.dumps(
                    {"jsonrpc": "2.0", "id": 2, "method": "get_strava_token", "params": [user]}
                ).encode()
                + b"\n",
                note=False,
            )
        daemon.signal(signal.SIGHUP)
        self.lose_database(daemon, user)
        self.alter_token(daemon, user)

    def lose_database(self, daemon, user):
        """Calls with secrets while the database refuses writes, disconnects, or is locked."""

        def calls(one):
            return [
                one.request("update_strava_token", [user, self.access, self.refresh, FUTURE, "s"]),
                one.request("create_user", user=new_user(password_hash=self.hash)),
                one.request("create_api_key", api_key=new_api_key(user, key_hash=self.key_hash)),
                one.request(
                    "verify_user_password", email="a@example.com", password=self.wrong_password
                ),
            ]

        if daemon.backend == "sqlite":
            outside = sqlite3.connect(daemon.database.path, isolation_level=None)
            with daemon.connect() as one:
                outside.execute("BEGIN IMMEDIATE")
                waiting = calls(one)
                time.sleep(0.2)
                outside.execute("ROLLBACK")
                outside.execute(
                    "CREATE TRIGGER refuse BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, "
                    "'row refused'); END"
                )
                waiting += calls(one)
                for request in waiting:
                    self.keep(one.answer(request))
                outside.execute("DROP TRIGGER refuse")
            outside.close()
            return
        self.server.psql(
            "ALTER TABLE users ADD CONSTRAINT refuse CHECK (strava_access_token IS NULL) NOT VALID",
            daemon.url,
        )
        with daemon.connect() as one:
            for request in calls(one):
                self.keep(one.answer(request))
            self.server.psql("ALTER TABLE users DROP CONSTRAINT refuse", daemon.url)
            for _ in range(3):
                waiting = calls(one)
                for pid in self.server.backends():
                    self.server.psql(f"SELECT pg_terminate_backend({pid})", "postgres")
                for request in waiting:
                    self.keep(one.answer(request))
            self.server.shut("immediate")
            for request in calls(one):
                self.keep(one.answer(request))
            self.keep(one.answer(one.request("daemon.health")))
            self.look(
                strict.dumps(one.call("daemon.stats")), "daemon.stats"
            )  # it contains the last connect error
            self.server.launch()
            self.within(20, lambda: "result" in one.answer(one.request("get_user_count")))

    def alter_token(self, daemon, user):
        token = base64.b64encode(os.urandom(60)).decode()
        statement = f"UPDATE users SET strava_access_token = '{token}' WHERE id = '{user}'"
        with daemon.connect() as one:
            self.assertIsNone(
                one.call("update_strava_token", [user, self.access, self.refresh, FUTURE, "s"])
            )
            if daemon.backend == "sqlite":
                with sqlite3.connect(daemon.database.path, timeout=10) as database:
                    database.execute(statement)
                database.close()
            else:
                self.server.psql(statement, daemon.url)
            answer = one.answer(one.request("get_strava_token", [user]))
            self.assertEqual(answer["error"]["data"]["kind"], "decryption_failed")
            self.keep(answer)

    # The search
    # ---------------------------------------------------------------------------------------------

    def check_files(self, daemon):
        folders = [
            f"/proc/{daemon.pid}",
            *(f"/proc/{daemon.pid}/task/{task}" for task in os.listdir(f"/proc/{daemon.pid}/task")),
        ]
        seen = 0
        for folder in folders:
            for name in PROC_FILES:
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        self.look(file.read(), f"/proc/PID/{name}")
                        seen += 1
                except OSError:
                    continue
        self.assertGreater(seen, 10)

    def check_memory(self, daemon):
        if SANITIZER:
            return  # shadow memory and quarantine keep freed memory
        if os.geteuid() != 0:
            print("  NOT root: the daemon's memory is NOT searched for secrets", flush=True)
            return
        control = daemon.socket_path.encode()  # must be found: this proves that the search works
        needles = [text.encode() for text in (*self.erased, daemon.key)]
        found = search_memory(daemon.pid, [*needles, control])
        self.assertNotEqual(found.pop(control), [])
        self.assertEqual(
            {needle: len(flags) for needle, flags in found.items() if flags},
            {},
            "secrets remain in memory",
        )

    def daemon_on(self, folder, key=None):
        """With every secret that a command line and an environment can hold."""
        if databases.chosen() == "sqlite":
            return Daemon(folder=folder, options=VERBOSE, key=key)
        db_password = "CANARY-db:p@ss/%" + secrets.token_hex(8)
        quoted = urllib.parse.quote(db_password, safe="")
        self.hidden += [db_password, quoted]
        self.server = PostgresServer(
            hba=["local all all trust", "host all all 127.0.0.1/32 scram-sha-256"]
        ).start()
        self.addCleanup(self.server.stop)
        self.server.psql(f"CREATE ROLE canary LOGIN PASSWORD '{db_password}'", "postgres")
        self.server.psql("CREATE DATABASE canary OWNER canary", "postgres")
        url = f"postgresql://canary:{quoted}@127.0.0.1:{self.server.port}/canary"
        daemon = Daemon(
            folder=folder,
            options=VERBOSE,
            key=key,
            database=url,
            environment={"DATABASE_URL": url, "PGPASSWORD": db_password},
        )
        return daemon


class Everywhere(Canaries):
    def test_run_through_everything(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        daemon = self.daemon_on(folder)
        self.addCleanup(daemon.discard)
        self.hidden.append(daemon.key)
        daemon.start()
        user = self.run_methods(daemon)
        self.run_faults(daemon, user)
        self.assertGreater(len(self.errors), 40)
        for error in self.errors:
            self.look(error, "an error answer")
        with daemon.connect() as one:
            for method in METHODS:
                if method.startswith(("daemon.", "rpc.")) and not METHODS[method][0]:
                    self.look(strict.dumps(one.call(method)), method)
        for command in ("config", "clients", "doctor", "health", "stats", "metrics", "version"):
            done = subprocess.run(
                [CTL, "--socket", daemon.socket_path, command],
                capture_output=True,
                timeout=60,
                check=False,
                env={**daemon.variables(), "PGPASSWORD": ""},
            )
            self.look(done.stdout + done.stderr, f"pierre-dbctl {command}")
        self.check_files(daemon)
        self.check_memory(daemon)
        self.assertEqual(daemon.terminate(), 0)
        log = daemon.log()
        self.assertGreater(
            log.count("\n"), 30
        )  # the most verbose level includes the lines of all levels
        self.assertIn("slow", log)
        self.look(log, "the log")

    def test_many_at_once(self):
        """Buffers that grew under load and were returned for reuse are as clean as those of a
        single call."""
        with Daemon(options=VERBOSE) as daemon:
            with daemon.connect() as one:
                users = [World(one).user() for _ in range(20)]
            clients = [daemon.connect() for _ in range(8)]
            for client in clients:
                for user in users:
                    client.request(
                        "update_strava_token",
                        [user, self.access * 50, self.refresh * 20, FUTURE, "s"],
                    )
                    client.request("get_strava_token", [user])
                    client.request(
                        "verify_user_password",
                        email="nobody@example.com",
                        password=self.wrong_password,
                    )
                batch = [
                    {
                        "jsonrpc": "2.0",
                        "id": f"b{number}",
                        "method": "get_strava_token",
                        "params": [user],
                    }
                    for number, user in enumerate(users)
                ]
                client.send(strict.dumps(batch) + "\n")
            for client in clients:
                for _ in range(61):
                    answer = client.read()
                    self.assertTrue(isinstance(answer, list) or "result" in answer, answer)
            self.check_memory(daemon)  # the connections are still open
            for client in clients:
                client.close()
            self.check_memory(daemon)


class Starts(Canaries):
    """The output of a failed start and of a configuration check."""

    def output_of(self, options, environment=None, key=None):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        code, out, err = run(
            ["--socket", f"{folder}/s", *options],
            environment=environment,
            key=key,
            folder=folder,
            timeout=60,
        )
        self.look(out, f"what {options} prints")
        self.look(err, f"what {options} logs")
        return code, out + err

    def test_database_urls(self):
        password = "CANARY-db:p@ss/" + secrets.token_hex(8)
        quoted = urllib.parse.quote(password, safe="")
        self.hidden += [password, quoted, "CANARY-db"]
        key = new_key()
        for code, url in (
            (69, f"postgresql://u:{quoted}@127.0.0.1:1/x"),
            (78, f"mysql://u:{quoted}@h/x"),
            (78, f"postgresql:/u:{quoted}@h/x"),
            (69, f"postgresql://u:{quoted}@h:99999999/x"),
            (78, f"postgresql://h/x?nonsense=1&password={quoted}"),
            (69, f"postgresql://127.0.0.1:1/x?password={quoted}&sslmode=disable"),
            (78, f"postgresql://u:{quoted}@[::1/x"),
            (
                69,
                f"postgresql://u:{quoted}@127.0.0.1:1,127.0.0.1:2/x"
                "?target_session_attrs=read-write",
            ),
            (78, f"user=u password={password} host=h"),
            (78, f"postgresql://u:{password}@127.0.0.1:1/x"),
            (78, f"u:{quoted}@h/x"),
            (78, f"postgresql://u:CANARY-db@h/{quoted}@h/x?a=b"),
            (78, f"postgresql://u:CANARY-db/{quoted}@h/x"),
            (78, f"postgresql:u:{quoted}@h/x"),
            (78, f"http//u:{quoted}@h/x?a=b"),
            (69, f"postgresql://u:CANARY-db?{quoted}@127.0.0.1:1/x?application_name=a@b"),
            (78, f"postgresql://h/x?password=%zz{quoted}"),
            (78, f"postgresql://h/x?password{quoted}"),
        ):
            for options, environment in (
                (["--database-url", url], {}),
                ([f"--database-url={url}"], {}),
                ([], {"DATABASE_URL": url}),
            ):
                got, output = self.output_of(
                    [*options, "--connect-timeout", "1s"], environment, key
                )
                self.assertEqual(got, code, f"{url}: {output}")
            for json in ([], ["--check-config=json"]):
                self.output_of([*(json or ["--check-config"]), "--database-url", url], {}, key)

    def test_keys(self):
        good = new_key()
        for key in (
            good[:-2],
            good + "AAAA",
            good.replace("=", ""),
            canary("key"),
            f" {good[:20]}\n{good[20:]}",
            good[:-1] + "!",
        ):
            self.hidden += [key, key[:16]]
            self.assertEqual(self.output_of([], key=key)[0], 78)
            folder = temporary_folder()
            self.addCleanup(shutil.rmtree, folder, True)
            path = os.path.join(folder, "key")
            with open(path, "w", encoding="utf-8") as file:
                file.write(key)
            os.chmod(path, 0o600)
            self.assertEqual(self.output_of(["--encryption-key-file", path])[0], 78)
            self.assertEqual(self.output_of(["--encryption-key-file", path], key=good)[0], 78)
            with open(os.path.join(folder, "settings.env"), "w", encoding="utf-8") as file:
                file.write(
                    f"ENCRYPTION_KEY='{key}\nPIERRE_DBD_BATCH={key}\n"
                )  # an unterminated quote
            self.assertEqual(self.output_of(["--env-file", file.name])[0], 78)

    def test_checked_configuration(self):
        key = new_key()
        self.hidden += [key]
        self.assertEqual(self.output_of(["--check-config"], key=key)[0], 0)
        self.assertEqual(self.output_of(["--check-config=json"], key=key)[0], 0)

    def test_wrong_key(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        with Daemon("sqlite", folder=folder) as daemon:
            key = daemon.key
        wrong = new_key()
        self.hidden += [key, wrong]
        with self.assertRaises(StartFailure) as caught:
            Daemon("sqlite", folder=folder, key=wrong).start()
        self.assertEqual(caught.exception.code, 77)
        self.look(caught.exception.log, "the log")


class Hygiene(Case):
    """The process as the kernel shows it."""

    def setUp(self):
        self.daemon = Daemon(options=("--log-level", "debug")).start()
        self.addCleanup(self.daemon.discard)
        with open(f"/proc/{self.daemon.pid}/status", encoding="ascii") as file:
            self.status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

    def test_status(self):
        self.assertEqual(self.status["NoNewPrivs"], "1")
        self.assertEqual(self.status["Umask"], "0077")
        ignored = int(self.status["SigIgn"], 16)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            self.assertTrue(ignored & 1 << (number - 1), number)
        if not SANITIZER:
            self.assertGreater(
                int(self.status["VmLck"].split()[0]), 0, "the key's memory is not locked"
            )

    def test_descriptors_end_at_exec(self):
        """A program that a library may execute inherits no database, socket or log of the
        daemon."""
        with self.daemon.connect() as one:
            World(one).user()
            left = []
            for name in os.listdir(f"/proc/{self.daemon.pid}/fd"):
                with open(f"/proc/{self.daemon.pid}/fdinfo/{name}", encoding="ascii") as file:
                    flags = next(
                        int(line.split()[1], 8) for line in file if line.startswith("flags:")
                    )
                if int(name) > 2 and not flags & os.O_CLOEXEC:
                    left.append((name, os.readlink(f"/proc/{self.daemon.pid}/fd/{name}")))
        self.assertEqual(left, [])

    def test_environment_block(self):
        with open(f"/proc/{self.daemon.pid}/environ", "rb") as file:
            block = file.read()
        self.assertIn(b"HOME=", block)
        self.assertNotIn(self.daemon.key.encode(), block)
        found = [entry for entry in block.split(b"\0") if entry.startswith(b"ENCRYPTION_KEY=")]
        self.assertIn(found, ([], [b"ENCRYPTION_KEY="]))

    def test_no_core_even_without_the_limit(self):
        """A second protection beside RLIMIT_CORE: when that has no effect (a preloaded setrlimit
        does nothing), the process is still not dumpable. A control process under the same
        conditions leaves a core."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if SANITIZER or compiler is None:
            self.skipTest(
                "needs a C compiler and a build that does not let itself be traced: cores are "
                "NOT tested"
            )
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        library = os.path.join(folder, "unlimited.so")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-xc", "-", "-o", library],
            check=True,
            text=True,
            input="int setrlimit(int which, const void *limit) { (void)which; (void)limit; "
            "return 0; }\n"
            "int setrlimit64(int which, const void *limit) { (void)which; (void)limit; "
            "return 0; }\n",
        )
        unlimited = lambda: resource.setrlimit(
            resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )  # noqa: E731
        control = subprocess.Popen(
            ["sleep", "60"], cwd=folder, preexec_fn=unlimited
        )  # pylint: disable=consider-using-with
        control.send_signal(signal.SIGABRT)
        control.wait()
        if not any("core" in name for name in os.listdir(folder)):
            self.skipTest(
                "this machine leaves no core files in the working folder (kernel.core_pattern): "
                "cores are NOT tested"
            )
        daemon = Daemon("sqlite", environment={"LD_PRELOAD": library})
        daemon.limits = unlimited
        self.addCleanup(daemon.discard)
        daemon.start()
        self.assertEqual(
            resource.prlimit(daemon.pid, resource.RLIMIT_CORE)[0], resource.RLIM_INFINITY
        )
        daemon.signal(signal.SIGABRT)
        self.assertEqual(daemon.wait(), -signal.SIGABRT)
        self.assertEqual([name for name in os.listdir(daemon.folder) if "core" in name], [])

    def test_own_user_may_not_look_inside(self):
        """Not dumpable: /proc/PID belongs to root, and another process of the same user can read
        neither memory nor environment."""
        if SANITIZER:
            self.skipTest("a sanitizer's build lets itself be traced")
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user: the daemon's own user is NOT tested")
        other = Daemon("sqlite", user=65534)
        self.addCleanup(other.discard)
        os.chown(other.folder, 65534, 65534)
        open(other.log_path, "ab").close()
        other.start()
        self.assertEqual(os.stat(f"/proc/{other.pid}/environ").st_uid, 0)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                code = (
                    0
                    if all(
                        refused(f"/proc/{other.pid}/{name}")
                        for name in ("environ", "mem", "maps", "fd")
                    )
                    else 2
                )
            finally:
                os._exit(code)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_files(self):
        """Database, WAL, lock and socket are accessible to their owner only."""
        for name in os.listdir(self.daemon.folder):
            if name != "log":
                self.assertEqual(
                    stat.S_IMODE(os.lstat(os.path.join(self.daemon.folder, name)).st_mode) & 0o077,
                    0,
                    name,
                )


def refused(path):
    try:
        if os.path.isdir(path):
            os.listdir(path)
        else:
            with open(path, "rb") as file:
                file.read(1)
    except PermissionError:
        return True
    return False
