"""Every kind of error, provoked in the real daemon and received by the real client library, with
all its members. Would catch: a member that the daemon writes in one form and the library reads in
another, or that only one of them knows."""
import concurrent.futures
import ctypes
import glob
import os
import re
import signal

from lib import strict
from lib.case import Case
from lib.daemon import BINARY, SANITIZER, Daemon
from lib.interface import ERRORS
from lib.library import Error
from lib.world import UNKNOWN, World, new_user, unique

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
NONE, MAYBE = 0, 1  # enum pierre_outcome


class Library:
    def __init__(self):
        found = glob.glob(os.path.join(os.path.dirname(BINARY), "..", "client", "libpierre-db.so"))
        self.lib = ctypes.CDLL(os.path.realpath(found[0]))
        self.lib.pierre_new.restype = ctypes.c_void_p
        self.lib.pierre_new.argtypes = [ctypes.c_char_p]
        self.lib.pierre_free.argtypes = [ctypes.c_void_p]
        self.lib.pierre_call.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.POINTER(Error),
        ]
        self.lib.pierre_text_free.argtypes = [ctypes.c_void_p]
        self.lib.pierre_kind_name.restype = ctypes.c_char_p

    def client(self, daemon):
        handle = self.lib.pierre_new(daemon.socket_path.encode())
        assert handle
        return handle

    def call(self, handle, method, params=None):
        """Returns None for a result, else the error."""
        error, result = Error(), ctypes.c_void_p()
        text = (
            None
            if params is None
            else params
            if isinstance(params, bytes)
            else strict.dumps(params).encode()
        )
        if (
            self.lib.pierre_call(
                handle, method.encode(), text, ctypes.byref(result), ctypes.byref(error)
            )
            == 0
        ):
            self.lib.pierre_text_free(result)
            return None
        return error


class Errors(Case):
    def setUp(self):
        if SANITIZER:
            self.skipTest("the library cannot be loaded into an interpreter without the sanitizer")
        self.library = Library()

    def own(self, *options, **arguments):
        daemon = Daemon(options=options, **arguments)
        self.addCleanup(daemon.discard)
        return daemon.start()

    def client(self, daemon):
        handle = self.library.client(daemon)
        self.addCleanup(self.library.lib.pierre_free, handle)
        return handle

    def expect(self, kind, error, path="", field="", outcome=NONE, retryable=None):
        self.assertIsNotNone(error, f"no error, but {kind} was expected")
        name = self.library.lib.pierre_kind_name(error.kind).decode()
        self.assertEqual(name, kind, error.message.decode())
        code, repeats = ERRORS[kind]
        self.assertEqual((error.kind, error.code), (code, code))
        wanted = repeats if retryable is None else retryable
        if wanted is not None:
            self.assertEqual(error.retryable, wanted)
        self.assertEqual(
            (error.path.decode(), error.field.decode(), error.outcome),
            (path, field, outcome),
            error.message.decode(),
        )
        self.assertNotEqual(error.message, b"")
        self.assertEqual(error.ref != 0, kind == "internal")
        self.seen.add(kind)

    seen = set()

    def test_what_a_caller_gets_wrong(self):
        daemon = self.own()
        one = self.client(daemon)
        self.expect("method_not_found", self.library.call(one, "no_such_method"))
        # The error has the call's id, and the connection continues.
        for params in (b"7", b'"x"', b"null"):
            self.expect("invalid_request", self.library.call(one, "get_user_count", params))
        self.assertIsNone(self.library.call(one, "get_user_count"))
        stats = daemon.call("daemon.stats")
        self.assertEqual(stats["errors_by_kind"]["invalid_request"], 3)
        self.expect(
            "invalid_params",
            self.library.call(one, "create_user", {"user": new_user(email="none")}),
            path="user.email",
        )
        self.expect(
            "invalid_params", self.library.call(one, "get_user", {"user_id": "é"}), path="user_id"
        )
        self.expect("not_found", self.library.call(one, "update_last_active", {"user_id": UNKNOWN}))
        user = new_user()
        self.assertIsNone(self.library.call(one, "create_user", {"user": user}))
        self.expect(
            "conflict", self.library.call(one, "create_user", {"user": user}), field="email"
        )
        shallow = self.client(
            self.own("--depth-limit", "8")
        )  # the library checks lines against the default limit
        deep = b'{"user_id":"%s","profile_data":{"a":%s}}' % (
            UNKNOWN.encode(),
            b"[" * 20 + b"]" * 20,
        )
        self.expect("parse_error", self.library.call(shallow, "upsert_user_profile", deep))

    def test_limits_and_rights(self):
        daemon = self.own(
            "--default-role", "read", "--access", f"user:{os.getuid()}=read", "--line-limit", "4096"
        )
        one = self.client(daemon)
        self.expect(
            "permission_denied", self.library.call(one, "create_user", {"user": new_user()})
        )
        self.expect(
            "too_large", self.library.call(one, "get_user_profile", {"user_id": "x" * 5000})
        )
        crowded = self.own("--connections", "2", "--admin-connections", "0")
        for _ in range(3):  # clients that stay connected
            error = self.library.call(self.client(crowded), "daemon.ping")
        self.expect("overloaded", error)

    def test_internal_has_its_reference(self):
        """The reference equals the one in the log."""
        daemon = self.own()
        one = self.client(daemon)
        if daemon.backend == "sqlite":
            daemon.database.query(
                "CREATE TRIGGER odd BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'odd'); END"
            )
        else:
            daemon.database.query(
                "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE "
                "EXCEPTION 'odd'; END $$;"
                "CREATE TRIGGER odd BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION odd()"
            )
        with daemon.connect() as other:
            user = World(other).user()
        error = self.library.call(one, "update_last_active", {"user_id": user})
        self.expect("internal", error)
        reference = f"{error.ref:016x}"
        self.assertIn(reference, error.message.decode())
        self.logged(daemon, re.compile(rf"internal error.*ref={reference}"))

    def test_secrets_and_storage(self):
        daemon = self.own()
        one = self.client(daemon)
        with daemon.connect() as other:
            user = World(other).user()
            other.call(
                "update_strava_token", [user, "access", "refresh", "2030-01-01T00:00:00Z", "read"]
            )
        daemon.database.query(
            "UPDATE users SET strava_access_token = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' WHERE "
            f"id = '{user}'"
        )
        self.expect(
            "decryption_failed", self.library.call(one, "get_strava_token", {"user_id": user})
        )
        if daemon.backend == "sqlite":
            daemon.database.query(f"UPDATE users SET created_at = 'never' WHERE id = '{user}'")
            self.expect("storage", self.library.call(one, "get_user", {"user_id": user}))
        else:
            daemon.database.admin(
                f'ALTER DATABASE "{daemon.database.name}" SET default_transaction_read_only = on'
            )
            others = (
                "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            pids = daemon.database.query(f"SELECT string_agg(pid::text, ',') FROM {others}")
            daemon.database.query(f"SELECT pg_terminate_backend(pid) FROM {others}")
            # A write that meets the end of its session has an unknown outcome, so a read comes
            # first.
            self.within(
                10,
                lambda: daemon.database.query(
                    f"SELECT count(*) FROM pg_stat_activity WHERE pid IN ({pids})"
                )
                == "0",
            )
            self.library.call(one, "get_user", {"user_id": user})
            self.expect("storage", self.library.call(one, "update_last_active", {"user_id": user}))

    def test_time_and_room(self):
        daemon = self.own(
            "--bcrypt-cost",
            "13",
            "--password-threads",
            "1",
            "--call-timeout",
            "1s",
            "--password-queue",
            "1",
        )
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            handles = [self.client(daemon) for _ in range(8)]
            errors = list(
                pool.map(
                    lambda one: self.library.call(
                        one, "verify_user_password", ["nobody@example.com", "x"]
                    ),
                    handles,
                )
            )
        kinds = {
            self.library.lib.pierre_kind_name(error.kind).decode(): error
            for error in errors
            if error is not None
        }
        self.expect("unavailable", kinds["unavailable"])
        slow = self.own("--bcrypt-cost", "16", "--password-threads", "1", "--call-timeout", "100ms")
        self.expect(
            "timeout",
            self.library.call(
                self.client(slow),
                "create_user",
                {"user": {"email": f"{unique('t')}@example.com", "password": "x"}},
            ),
        )

    def test_shutting_down(self):
        daemon = self.own("--bcrypt-cost", "16", "--password-threads", "1", "--drain-timeout", "2s")
        one = self.client(daemon)
        self.assertIsNone(self.library.call(one, "daemon.ping"))
        with daemon.connect() as busy:
            busy.request("verify_user_password", email="nobody@example.com", password="x")
            self.within(10, lambda: daemon.call("daemon.stats")["gauges"]["passwords_running"] == 1)
            daemon.signal(signal.SIGTERM)
            self.logged(daemon, "stopping")
            self.expect("shutting_down", self.library.call(one, "get_user_count"))
        self.assertEqual(daemon.wait(60), 0)
