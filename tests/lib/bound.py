"""Databases whose tokens are bound, and those of older versions."""
import contextlib
import os
import sqlite3
import subprocess

from . import model
from .case import Case
from .daemon import CTL, SLOW, Daemon, new_key
from .postgres_server import binary
from .rpc import RpcError, result_of
from .world import World, new_a2a_usage, new_user

EXPIRES = "2030-01-01T00:00:00Z"
PROVIDERS = ("strava", "fitbit")
COLUMNS = ("access_token", "refresh_token", "expires_at", "scope", "nonce")
SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE")
UNBIND = {
    "sqlite": "DELETE FROM pierre_meta WHERE key = 'token_format'",
    "postgres": "DELETE FROM pierre_meta WHERE key = 'token_format'; "
    "SELECT setval('token_format', 1)",
}


def run(command, **more):
    environment = {name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120 * SLOW,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**environment, "LANG": "C.UTF-8", **more},
    )
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def locked(database):
    """A transaction of another program that has changed a user."""
    with subprocess.Popen(
        [binary("psql"), "-XAtq", "-d", database.admin_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        other.stdin.write(
            "BEGIN; UPDATE users SET display_name = 'x' WHERE id = (SELECT min(id::text)::uuid "
            "FROM users); SELECT 'changed';\n"
        )
        other.stdin.flush()
        assert other.stdout.readline().strip() == "changed"
        yield
        other.stdin.write("ROLLBACK;\n")
        other.stdin.close()
        other.wait(30)


class BoundCase(Case):
    def setUp(self):
        self.key = new_key()
        model.secrets.add(self.key)
        self.daemon = Daemon(key=self.key)
        self.addCleanup(self.daemon.discard)

    def sql(self, *statements):
        """Runs statements as another program does. Returns the rows of the last one, as texts."""
        if self.daemon.backend == "sqlite":
            with contextlib.closing(
                sqlite3.connect(self.daemon.database.path, timeout=10, isolation_level=None)
            ) as db:
                for statement in statements:
                    rows = db.execute(statement).fetchall()
                return [[str(value) for value in row] for row in rows]
        out = self.daemon.database.query("; ".join(statements))
        return [line.split("|") for line in out.splitlines()]

    def unbind(self):
        """Makes a new database one that an older version has created."""
        self.daemon.start()
        self.stop()
        self.sql(*UNBIND[self.daemon.backend].split("; "))
        self.daemon.start()

    def stop(self):
        self.assertEqual(self.daemon.terminate(), 0)
        self.daemon.check_log()

    def ctl(self, *arguments):
        return run([CTL, "--socket", self.daemon.socket_path, *arguments])

    def fill(self, count):
        """Users with both tokens."""
        with self.daemon.connect(timeout=120) as c:
            users = [
                result_of(answer)
                for answer in c.many([("create_user", {"user": new_user()}) for _ in range(count)])
            ]
            for answer in c.many(
                [
                    (
                        f"update_{one}_token",
                        [user, f"a {one} {user}", f"r {one} {user}", EXPIRES, "s"],
                    )
                    for user in users
                    for one in PROVIDERS
                ]
            ):
                result_of(answer)
        return users

    def tokens(self, users):
        with self.daemon.connect(timeout=120) as c:
            return [
                result_of(answer)
                for answer in c.many(
                    [(f"get_{one}_token", {"user_id": user}) for user in users for one in PROVIDERS]
                )
            ]

    def formats(self):
        """The marks of all stored tokens and session tokens."""
        rows = self.sql(
            "SELECT strava_access_token, strava_refresh_token, fitbit_access_token, "
            "fitbit_refresh_token FROM users WHERE strava_nonce IS NOT NULL"
        )
        sessions = self.sql("SELECT session_token FROM a2a_sessions")
        return {text[0] == ":" for row in rows for text in row if text not in ("", "None")}, {
            row[0].startswith("sha256:") for row in sessions
        }

    def steps(self, bind=False):
        with self.daemon.connect(timeout=60) as c:
            while True:
                answer = c.call("rotate_key", **({"bind": True} if bind else {}))
                if answer["state"] != "running":
                    return answer

    def fails(self, method, **params):
        with self.assertRaises(RpcError) as caught:
            self.daemon.call(method, **params)
        return caught.exception.kind

    def sessions(self, count):
        """Sessions with their log: {token: the number of its requests}."""
        with self.daemon.connect() as c:
            world = World(c)
            client = world.client(world.api_key(world.user()))
            tokens = {world.session(client): number % 3 for number in range(count)}
            usages = [
                new_a2a_usage(client, session_token=token)
                for token, number in tokens.items()
                for _ in range(number)
            ]
            c.call("record_a2a_usages", usages=usages)
        return client, tokens

    def found(self, tokens):
        with self.daemon.connect() as c:
            return {
                token: result_of(answer)["requests_count"]
                for token, answer in zip(
                    tokens, c.many([("get_a2a_session", {"session_token": t}) for t in tokens])
                )
            }

    def begin(self):
        """The change is begun, and no token is bound yet."""
        if self.daemon.backend == "sqlite":
            self.assertEqual(self.daemon.call("rotate_key", bind=True)["format"], "binding")
            return
        with locked(self.daemon.database), self.assertRaises(RpcError) as caught:
            self.daemon.call("rotate_key", bind=True)
        self.assertIn("keeps the table users locked", str(caught.exception))
