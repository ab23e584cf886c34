"""Calls that are pending while the daemon is asked to stop, their client disconnects, or their
peer's role is revoked. Would catch: a stop that takes as long as another process's lock, a write
that is refused and still stored, work for clients that have disconnected, one client's many
passwords that keep another from logging in, a call that is executed with a revoked role."""
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time

from lib import strict
from lib.case import Case
from lib.daemon import SANITIZER, SLOW, Daemon, temporary_folder
from lib.postgres_server import binary
from lib.rpc import Connection
from lib.world import World, new_user, unique

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")
STRANGER = 54321  # a uid without a name


@contextlib.contextmanager
def outside_lock(database):
    """Another program blocks all writes to users until the end, and then rolls back."""
    if database.backend == "sqlite":
        with contextlib.closing(
            sqlite3.connect(database.path, timeout=30, isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    with subprocess.Popen(
        [binary("psql"), "-XAtq", "-d", database.admin_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        other.stdin.write("BEGIN; LOCK TABLE users IN EXCLUSIVE MODE; SELECT 'locked';\n")
        other.stdin.flush()
        assert other.stdout.readline().strip() == "locked"
        yield
        other.stdin.write("ROLLBACK;\n")
        other.stdin.close()
        other.wait(30)


@contextlib.contextmanager
def locked_schema(database):
    """Another program blocks all access. Yields a function that counts the calls that wait for its
    lock."""
    with subprocess.Popen(
        [binary("psql"), "-XAtq", "-d", database.admin_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:

        def ask(text):
            other.stdin.write(text + "\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        assert (
            ask(
                "BEGIN; LOCK TABLE users, pierre_meta, pierre_migrations IN ACCESS EXCLUSIVE MODE; "
                "SELECT 'locked';"
            )
            == "locked"
        )
        yield lambda: int(
            ask(
                "SELECT pg_stat_clear_snapshot(); SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock';"
            )
            or ask("")
        )
        other.stdin.write("ROLLBACK;\n")
        other.stdin.close()
        other.wait(30)


class Waiting(Case):
    def own(self, *options, **arguments):
        daemon = Daemon(options=("--socket-mode", "0666", *options), **arguments)
        os.chmod(daemon.folder, 0o755)
        self.addCleanup(daemon.discard)
        return daemon.start()

    def stats(self, daemon):
        return daemon.call("daemon.stats")

    def counter(self, daemon, name):
        return self.stats(daemon)["counters"][name]

    def gauge(self, daemon, name):
        return self.stats(daemon)["gauges"][name]

    def running(self, daemon):
        """Waits until the database executes a call."""
        self.within(10, lambda: self.gauge(daemon, "db_running") > 0)

    def blocked(self, daemon):
        """Waits until a call waits for the outside lock. The daemon's own statements, which also
        run, do not."""
        self.running(daemon)
        if daemon.database.backend == "postgres":
            waits = (
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            self.within(10, lambda: daemon.database.query(waits) != "0")


class Drain(Waiting):
    def stops(self, daemon, connection, waiting):
        """Sends SIGTERM: the daemon exits with 0 within the drain timeout. Returns the errors of
        the pending calls, by id."""
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(60), 0)
        self.assertLess(time.monotonic() - began, 8 * SLOW)
        answers = {
            one["id"]: one for one in (connection.check(line) for line in connection.read_to_end())
        }
        self.assertEqual(sorted(answers), sorted(waiting), answers)
        return {identifier: answers[identifier]["error"]["data"] for identifier in waiting}

    def test_an_outside_lock(self):
        """The daemon abandons its pending calls. A call that is reported to have no effect has
        none, then or later."""
        daemon = self.own("--drain-timeout", "1s")
        users = [new_user() for _ in range(5)]
        with daemon.connect() as one, outside_lock(daemon.database):
            waiting = [one.request("create_user", user=user) for user in users[:2]]
            self.blocked(daemon)
            waiting += [one.request("create_user", user=user) for user in users[2:]]
            reading = one.request("get_user_count")
            self.within(10, lambda: self.gauge(daemon, "in_flight") == 6)
            errors = self.stops(daemon, one, [*waiting, reading])
        for data in errors.values():
            self.assertIn(data["kind"], ("shutting_down", "timeout"), data)
        self.assertEqual(errors[reading]["outcome"], "none")
        for identifier in waiting if daemon.backend == "sqlite" else waiting[2:]:
            self.assertEqual(errors[identifier]["outcome"], "none", errors[identifier])
        daemon.start()
        for user, identifier in zip(users, waiting):
            if errors[identifier]["outcome"] == "none":
                self.assertIsNone(daemon.call("get_user_by_email", email=user["email"]))

    def test_calls_that_wait_for_others_of_their_connection(self):
        """SQLite defers a write behind a read; PostgreSQL has it in the pipeline. Each call is
        answered."""
        daemon = self.own("--drain-timeout", "1s")
        with daemon.connect() as one, outside_lock(daemon.database):
            waiting = [one.request("create_user", user=new_user())]
            self.blocked(daemon)
            for _ in range(7):
                waiting.append(one.request("get_system_stats"))
                waiting.append(one.request("create_user", user=new_user()))
            self.within(10, lambda: self.gauge(daemon, "in_flight") == len(waiting))
            self.stops(daemon, one, waiting)

    def test_rotate_key_and_migrate(self):
        for method in ("rotate_key", "migrate"):
            daemon = self.own("--drain-timeout", "1s")
            with daemon.connect() as one, outside_lock(daemon.database):
                first = one.request("create_user", user=new_user())
                self.blocked(daemon)
                second = one.request(method)
                self.within(10, lambda: self.gauge(daemon, "in_flight") == 2)
                began = time.monotonic()
                daemon.signal(signal.SIGTERM)
                self.assertEqual(daemon.wait(60), 0)
                self.assertLess(time.monotonic() - began, 8 * SLOW)
                self.assertEqual(
                    sorted(one.check(line)["id"] for line in one.read_to_end()), [first, second]
                )

    def test_the_server_is_left_with_nothing(self):
        """A server that waits for a lock does not notice that its client has disconnected. It would
        store the row when the lock is released."""
        for method, params in (
            ("create_user", {"user": new_user()}),
            ("migrate", {}),
            ("rotate_key", {}),
        ):
            daemon = self.own("--drain-timeout", "1s")
            if daemon.backend != "postgres":
                self.skipTest("SQLite's statements end with the daemon")
            with daemon.connect() as one, locked_schema(daemon.database) as waiting:
                one.request(method, **params)
                self.within(20, lambda: waiting() > 0)
                daemon.signal(signal.SIGTERM)
                self.assertEqual(daemon.wait(60), 0)
                self.within(5, lambda: waiting() == 0)
            daemon.start()
            self.assertEqual(daemon.call("get_user_count"), 0)

    def test_a_deadline_leaves_the_server_with_nothing(self):
        daemon = self.own("--call-timeout", "1s")
        if daemon.backend != "postgres":
            self.skipTest("SQLite's statements end with the daemon")
        for method, params in (
            ("create_user", {"user": new_user()}),
            ("migrate", {}),
            ("rotate_key", {}),
        ):
            with daemon.connect() as one, locked_schema(daemon.database) as waiting:
                identifier = one.request(method, **params)
                self.assertIn(
                    one.answer(identifier)["error"]["data"]["kind"], ("timeout", "unavailable")
                )
                self.within(5, lambda: waiting() == 0)

    def test_a_disk_that_hangs(self):
        """During the commit's sync, which cannot be undone: the outcome is reported as unknown."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if Daemon().backend != "sqlite":
            self.skipTest("the disk belongs to the database server")
        if compiler is None or SANITIZER:
            self.skipTest(
                "needs a C compiler and a build without a sanitizer: a disk that hangs is NOT "
                "tested"
            )
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        library, control = os.path.join(folder, "stuck.so"), os.path.join(folder, "stuck")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", library, os.path.join(LIB, "stuck.c")],
            check=True,
        )
        with open(control, "w", encoding="ascii") as file:
            file.write("")
        daemon = self.own(
            "--drain-timeout", "1s", environment={"LD_PRELOAD": library, "TEST_STUCK": control}
        )
        with daemon.connect() as one, daemon.connect() as other:
            World(one).user()
            with open(control, "w", encoding="ascii") as file:
                file.write("sync")
            waiting = [one.request("create_user", user=new_user())]
            self.running(daemon)
            waiting.append(one.request("create_user", user=new_user()))
            self.within(10, lambda: other.call("daemon.stats")["gauges"]["in_flight"] == 2)
            errors = self.stops(daemon, one, waiting)
        self.assertEqual(
            [errors[identifier].get("outcome") for identifier in waiting], ["unknown", "none"]
        )
        self.assertEqual({data["kind"] for data in errors.values()}, {"shutting_down"})


class Left(Waiting):
    """Clients that have disconnected."""

    def test_passwords(self):
        """Of 250 passwords, one or two threads have begun a few when the client disconnects. The
        others are never processed."""
        daemon = self.own("--bcrypt-cost", "11", "--password-threads", "1")
        leaving = daemon.connect()
        for index in range(125):
            leaving.request("verify_user_password", email="nobody@example.com", password="x")
            leaving.request(
                "create_user", user={"email": f"{unique('gone')}@example.com", "password": "x"}
            )
        self.within(20, lambda: self.gauge(daemon, "passwords_queued") > 100)
        leaving.close()
        self.within(10, lambda: self.gauge(daemon, "passwords_queued") == 0)
        counters = self.stats(daemon)["counters"]
        self.assertGreater(counters["calls_dropped"], 100)
        self.assertLess(counters["passwords_hashed"] + counters["passwords_verified"], 100)
        self.assertIsNone(
            daemon.call("verify_user_password", email="nobody@example.com", password="x")
        )
        self.assertEqual(daemon.call("get_user_count"), counters["passwords_hashed"])

    def test_who_only_ends_his_input_is_answered(self):
        daemon = self.own("--bcrypt-cost", "6", "--password-threads", "1")
        with daemon.connect() as one:
            for _ in range(50):
                one.request("verify_user_password", email="nobody@example.com", password="x")
            one.half_close()
            self.assertEqual(len(one.read_to_end()), 50)
        self.assertEqual(self.counter(daemon, "calls_dropped"), 0)

    def test_notifications_are_carried_out(self):
        """Notifications are never answered, so a sender that has disconnected does not matter."""
        daemon = self.own("--bcrypt-cost", "10", "--password-threads", "1")
        with daemon.connect() as one:
            one.send(
                "".join(
                    strict.dumps(
                        {
                            "jsonrpc": "2.0",
                            "method": "create_user",
                            "params": {
                                "user": {"email": f"{unique('note')}@example.com", "password": "x"}
                            },
                        }
                    )
                    + "\n"
                    for _ in range(10)
                )
            )
        self.within(60, lambda: daemon.call("get_user_count") == 10)

    def test_reads_in_the_store_are_dropped_and_writes_are_not(self):
        daemon = self.own()
        user = new_user()
        before = self.counter(daemon, "calls_dropped")
        with outside_lock(daemon.database):
            leaving = daemon.connect()
            leaving.request("create_user", user=user)
            self.blocked(daemon)
            for _ in range(10):
                leaving.request("get_user_count")  # behind the write
            leaving.request("create_user", user=new_user())
            self.within(10, lambda: self.gauge(daemon, "in_flight") == 12)
            leaving.close()
            # A connection whose end is read is also checked for calls to drop.
            self.within(
                10,
                lambda: any(not one["reading"] for one in daemon.call("daemon.clients")["clients"]),
            )
        self.within(20, lambda: self.gauge(daemon, "in_flight") == 0)
        self.assertEqual(
            daemon.call("get_user_by_email", email=user["email"])["email"], user["email"]
        )
        self.assertEqual(daemon.call("get_user_count"), 2)
        self.assertGreaterEqual(self.counter(daemon, "calls_dropped") - before, 10)


class Fair(Waiting):
    def test_one_log_in_beside_a_thousand(self):
        """Its turn comes after the jobs that have begun, and it is accepted although another client
        fills the queue."""
        daemon = self.own(
            "--bcrypt-cost", "10", "--password-threads", "1", "--password-queue", "20"
        )
        with daemon.connect() as many, daemon.connect() as one:
            for _ in range(100):
                many.request("verify_user_password", email="nobody@example.com", password="x")
            self.within(20, lambda: self.gauge(daemon, "passwords_queued") == 20)
            before = self.counter(daemon, "passwords_verified")
            self.assertIsNone(
                one.call("verify_user_password", email="nobody@example.com", password="x")
            )
            self.assertLess(self.counter(daemon, "passwords_verified") - before, 15)


class Roles(Waiting):
    def setUp(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become another user: a revoked role is NOT tested")
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.settings = os.path.join(self.folder, "settings.env")
        self.give("full")

    def give(self, role, daemon=None):
        with open(self.settings, "w", encoding="ascii") as file:
            file.write(f"PIERRE_DBD_ACCESS=user:{STRANGER}={role}\n")
        os.chmod(self.settings, 0o600)
        if daemon is not None:
            daemon.call("daemon.reload")

    def stranger(self, daemon):
        """The kernel reports the peer's identity as of the connect."""
        os.seteuid(STRANGER)
        try:
            return Connection(daemon.socket_path, model=daemon.model)
        finally:
            os.seteuid(0)

    def denied(self, connection, identifiers):
        for identifier in identifiers:
            self.assertEqual(
                connection.answer(identifier)["error"]["data"]["kind"], "permission_denied"
            )

    def test_calls_that_wait_for_resume(self):
        daemon = self.own("--env-file", self.settings, "--default-role", "none")
        with self.stranger(daemon) as one:
            daemon.call("daemon.pause")
            waiting = [
                one.request("create_user", user=new_user()),
                one.request("get_user_by_email", email="x@y"),
                one.request(
                    "create_user", user={"email": f"{unique('p')}@example.com", "password": "x"}
                ),
            ]
            allowed = one.request("get_user_count")
            one.send(
                strict.dumps(
                    [
                        {
                            "jsonrpc": "2.0",
                            "id": f"b{index}",
                            "method": "create_user",
                            "params": {"user": new_user()},
                        }
                        for index in range(3)
                    ]
                )
                + "\n"
            )
            self.within(10, lambda: self.gauge(daemon, "paused_calls") == 7)
            self.give("read", daemon)
            daemon.call("daemon.resume")
            batch = None
            while batch is None:
                answer = one.read()
                if isinstance(answer, list):
                    batch = answer
                else:
                    one.answers[answer["id"]] = answer
            self.denied(one, waiting)
            self.assertEqual(one.answer(allowed)["result"], 0)
            self.assertEqual(
                {item["error"]["data"]["kind"] for item in batch}, {"permission_denied"}
            )
        self.assertEqual(daemon.call("get_user_count"), 0)

    def test_calls_behind_a_password(self):
        daemon = self.own(
            "--env-file",
            self.settings,
            "--default-role",
            "none",
            "--bcrypt-cost",
            "12",
            "--password-threads",
            "1",
        )
        with self.stranger(daemon) as one, daemon.connect() as other:
            for _ in range(3):  # keeps the only thread busy
                other.request("verify_user_password", email="nobody@example.com", password="x")
            self.within(10, lambda: self.gauge(daemon, "passwords_running") == 1)
            hashed = one.request(
                "create_user", user={"email": f"{unique('p')}@example.com", "password": "x"}
            )
            waiting = [
                one.request("create_user", user=new_user()),
                one.request("update_last_active", user_id="0" * 32),
            ]
            self.within(10, lambda: self.gauge(daemon, "passwords_queued") >= 1)
            self.give("read", daemon)
            self.denied(one, [hashed, *waiting])
        self.assertEqual(daemon.call("get_user_count"), 0)

    def test_calls_that_wait_in_the_store(self):
        daemon = self.own("--env-file", self.settings, "--default-role", "none")
        with self.stranger(daemon) as one:
            with outside_lock(daemon.database):
                one.request("create_user", user=new_user())
                self.blocked(daemon)
                waiting = [one.request("create_user", user=new_user()) for _ in range(5)]
                self.within(10, lambda: self.gauge(daemon, "in_flight") == 6)
                self.give("read", daemon)
            self.denied(one, waiting)
        self.assertLessEqual(daemon.call("get_user_count"), 1)
