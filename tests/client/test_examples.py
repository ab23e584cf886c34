"""The example programs with the real daemon: each does what Pierre's server does for a request of
an API key."""
import glob
import os
import subprocess

from lib.case import DaemonCase
from lib.daemon import BUILD, SLOW

EXAMPLES = os.path.join(BUILD, "client", "examples")
# tests/rust.py builds them for each compiler.
RUST_EXAMPLES = os.path.join(BUILD, "rust", "*", "debug", "examples")
HASH = "$2b$12$" + "a" * 53


class Examples(DaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = cls.daemon.call(
            "create_user", user={"email": "example@example.com", "password_hash": HASH}
        )
        cls.daemon.call(
            "create_api_key",
            api_key={
                "id": "example-key",
                "user_id": cls.user,
                "name": "näme",
                "key_prefix": "prefix",
                "key_hash": "hash of it",
                "tier": "professional",
                "rate_limit_requests": 1000,
                "rate_limit_window": 3600,
            },
        )

    def run_example(self, name, *arguments, socket=None):
        environment = {**os.environ, "PIERRE_DBD_SOCKET": socket or self.daemon.socket_path}
        return subprocess.run(
            [os.path.join(EXAMPLES, name), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60 * SLOW,
            check=False,
        )

    def check_lookup(self, name):
        self.ok("clear_strava_token", user_id=self.user)
        before = self.ok("get_api_key_current_usage", api_key_id="example-key")
        done = self.run_example(name, "prefix", "hash of it")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(
            done.stdout,
            f"key example-key of user {self.user}: näme, tier professional\nStrava: not connected\n"
            f"requests this month: {before + 1} of 1000\n",
        )
        self.ok(
            "update_strava_token",
            user_id=self.user,
            access_token="a" * 40,
            refresh_token="r",
            expires_at="2030-01-02T03:04:05Z",
            scope="read,activity",
        )
        done = self.run_example(name, "prefix", "hash of it")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("Strava: 40 characters of token, scope read,activity", done.stdout)
        self.assertIn(f"requests this month: {before + 2} of 1000", done.stdout)
        log = self.ok("get_request_logs", api_key_id="example-key", limit=1)[0]
        self.assertEqual(
            (log["tool_name"], log["status_code"], log["response_time_ms"]),
            ("get_activities", 200, 12),
        )
        done = self.run_example(name, "prefix", "another hash")
        self.assertEqual(
            (done.returncode, done.stdout), (2, "no active key has this prefix and hash\n")
        )
        done = self.run_example(name, "prefix", "hash of it", socket="/nonexistent/socket")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent/socket", done.stderr)
        self.assertEqual(self.run_example(name).returncode, 64)

    def test_c(self):
        self.check_lookup("lookup")

    def test_rust(self):
        """The crate's own tests run these on SQLite alone."""
        built = sorted(glob.glob(RUST_EXAMPLES))
        if not built:
            self.skipTest("the Rust examples are NOT built: run tests/rust.py")
        for name in ("provider", "request_path", "token_refresh"):
            with self.subTest(name):
                done = self.run_example(
                    os.path.join(built[0], name), f"pierre-dbd:{self.daemon.socket_path}"
                )
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_event_loop(self):
        done = self.run_example(
            "event_loop", "example@example.com", *[f"nobody{i}@example.com" for i in range(50)]
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = sorted(done.stdout.splitlines())
        self.assertEqual(len(lines), 51)
        self.assertEqual(lines[0], f"example@example.com: {self.user}")
        self.assertEqual(lines[-1], "nobody9@example.com: no such user")
        done = self.run_example("event_loop", "a@b", "c@d", socket="/nonexistent/socket")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.count("/nonexistent/socket"), 2)
