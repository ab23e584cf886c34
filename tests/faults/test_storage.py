"""Attacks on the database file: full disk, other programs' locks, corrupted pages, read-only
files. Would catch: a lost answered write, a crash or a hang on corrupt pages."""
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

from lib import invariants
from lib.case import Case
from lib.daemon import (
    SANITIZER,
    SLOW,
    Daemon,
    StartFailure,
    new_key,
    temporary_folder,
)
from lib.databases import Sqlite
from lib.rpc import Closed, Late, RpcError
from lib.world import World, new_user, uuid4

BACKENDS = ("sqlite",)
BIG = "x" * 200_000


class Full(Case):
    def fill(self, connection, stored, limit=2000):
        """Writes until the first `storage` error, and returns it."""
        for _ in range(limit):
            user = uuid4()
            try:
                connection.call("create_user", user=new_user(id=user, display_name=BIG))
                stored.append(user)
            except RpcError as problem:
                self.assertEqual(problem.kind, "storage", str(problem))
                self.assertIsNone(connection.call("get_user", user_id=user))
                return problem
        self.fail("the disk never became full")

    def judge(self, daemon, stored, before):
        with daemon.connect() as connection:
            invariants.check_stored(connection, stored)
        invariants.check(daemon, before)

    def test_small_disk(self):
        if os.getuid() != 0:
            self.skipTest("needs root to mount a small disk")
        mount = temporary_folder()
        if (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=12m", "none", mount],
                check=False,
                capture_output=True,
            ).returncode
            != 0
        ):
            os.rmdir(mount)
            self.skipTest("cannot mount a tmpfs here: a full disk is NOT tested this way")
        try:
            with Daemon(
                "sqlite", Sqlite(mount), options=("--checkpoint-pages", "100")
            ) as daemon, daemon.connect() as connection:
                balloon = os.path.join(mount, "balloon")
                with open(balloon, "wb") as file:
                    file.write(b"x" * (5 << 20))
                stored = []
                World(connection).user()
                before = invariants.Snapshot(daemon)
                self.fill(connection, stored)
                self.assertGreater(len(stored), 2)
                self.assertGreater(connection.call("get_user_count"), 2)  # reads continue
                self.assertEqual(connection.call("daemon.ping"), "pong")
                self.assertNotEqual(connection.call("daemon.health")["status"], "down")
                for _ in range(5):
                    connection.error("create_user", user=new_user(display_name=BIG))
                os.unlink(balloon)
                self.within(10, lambda: self.writes(connection))
                self.judge(daemon, stored, before)
        finally:
            subprocess.run(["umount", "-l", mount], check=False)
            os.rmdir(mount)

    @staticmethod
    def writes(connection):
        try:
            return connection.call("create_user", user=new_user(display_name=BIG))
        except RpcError:
            return None

    def test_file_size_limit(self):
        """RLIMIT_FSIZE: a write beyond it fails with EFBIG after SIGXFSZ, and may be short
        before."""
        limit = 3 << 20

        def limits():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        with Daemon("sqlite", limits=limits) as daemon, daemon.connect() as connection:
            stored = []
            World(connection).user()
            before = invariants.Snapshot(daemon)
            self.fill(connection, stored)
            self.assertGreater(connection.call("get_user_count"), len(stored))
            resource.prlimit(
                daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            self.within(10, lambda: self.writes(connection))
            self.judge(daemon, stored, before)


class Locks(Case):
    def outsider(self, daemon):
        return sqlite3.connect(
            daemon.database.path, timeout=10, isolation_level=None, check_same_thread=False
        )

    def test_locked_for_a_second(self):
        """All writes wait and succeed. Reads and the loop are not affected."""
        with Daemon() as daemon, daemon.connect() as writer, daemon.connect() as reader:
            user = World(writer).user()
            before = invariants.Snapshot(daemon)
            outside = self.outsider(daemon)
            outside.execute("BEGIN IMMEDIATE")
            requests = [writer.request("create_user", user=new_user()) for _ in range(20)]
            began, worst = time.monotonic(), 0.0
            while time.monotonic() - began < 1.0:
                at = time.monotonic()
                self.assertEqual(reader.call("get_user", user_id=user)["id"], user)
                reader.call("get_user_goals", user_id=user)
                worst = max(worst, time.monotonic() - at)
            self.assertLess(worst, 0.3 * SLOW)
            outside.execute("ROLLBACK")
            for request in requests:
                self.assertIn("result", writer.answer(request))
            outside.close()
            writer.close()
            reader.close()
            invariants.check(daemon, before)

    def test_locked_for_longer_than_a_call_may_take(self):
        """With an exclusive lock, too. Writes fail as `timeout` with outcome none and are not
        stored. Afterwards all calls succeed."""
        with Daemon(options=("--call-timeout", "1s")) as daemon, daemon.connect() as connection:
            user = World(connection).user()
            before = invariants.Snapshot(daemon)
            outside = self.outsider(daemon)
            outside.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            identifiers = [uuid4() for _ in range(10)]
            requests = [
                connection.request("create_user", user=new_user(id=identifier))
                for identifier in identifiers
            ]
            for request in requests:
                error = connection.answer(request)["error"]
                self.assertEqual(
                    (error["data"]["kind"], error["data"].get("outcome")),
                    ("timeout", "none"),
                    error,
                )
            took = time.monotonic() - began
            self.assertGreater(took, 0.7)
            self.assertLess(took, 4 * SLOW)
            self.assertEqual(connection.call("daemon.ping"), "pong")
            outside.execute("ROLLBACK")
            outside.close()
            self.within(5, lambda: Full.writes(connection))
            for identifier in identifiers:
                self.assertIsNone(connection.call("get_user", user_id=identifier))
            self.assertEqual(connection.call("get_user", user_id=user)["id"], user)
            connection.close()
            invariants.check(daemon, before)

    def test_long_reader_pins_the_wal(self):
        """A foreign read transaction keeps the WAL from being reset. The stats show it, and
        afterwards the WAL is truncated or reused."""
        with Daemon(options=("--checkpoint-pages", "50")) as daemon, daemon.connect() as connection:
            World(connection).user()
            before = invariants.Snapshot(daemon)
            outside = self.outsider(daemon)
            outside.execute("BEGIN")
            outside.execute("SELECT count(*) FROM users").fetchone()
            for _ in range(150):
                connection.call("create_user", user=new_user(display_name="y" * 20_000))
            pinned = os.path.getsize(daemon.database.path + "-wal")
            self.assertGreater(pinned, 2 << 20)
            self.within(5, lambda: invariants.gauges(connection)["sqlite_wal_bytes"] >= pinned)
            outside.execute("ROLLBACK")
            outside.close()

            def reused():
                for _ in range(20):
                    connection.call("create_user", user=new_user(display_name="y" * 20_000))
                return os.path.getsize(daemon.database.path + "-wal") <= pinned + (1 << 20)

            self.within(10, reused)
            size = os.path.getsize(daemon.database.path + "-wal")
            for _ in range(100):
                connection.call("create_user", user=new_user(display_name="y" * 20_000))
            self.assertLess(
                os.path.getsize(daemon.database.path + "-wal"),
                size + (2 << 20),
                "the WAL is never reset",
            )
            connection.close()
            invariants.check(daemon, before)

    def test_very_long_log(self):
        """A WAL that a reader keeps from being reused until it is very long causes a warning, and
        is truncated once the reader has finished."""
        if SANITIZER:
            self.skipTest("a quarter of a GiB takes too long in a sanitizer's build")
        with Daemon() as daemon, daemon.connect() as connection:
            World(connection).user()
            outside = self.outsider(daemon)
            outside.execute("BEGIN")
            outside.execute("SELECT count(*) FROM users").fetchone()
            log = daemon.database.path + "-wal"
            while os.path.getsize(log) <= 260 << 20:
                for answer in connection.many(
                    [
                        ("create_user", {"user": new_user(display_name="y" * 900_000)})
                        for _ in range(20)
                    ]
                ):
                    self.assertIn("result", answer)
            self.logged(daemon, "keeps it from being reused", 5)
            self.assertGreater(invariants.gauges(connection)["sqlite_wal_bytes"], 256 << 20)
            outside.execute("ROLLBACK")
            outside.close()
            self.within(30, lambda: Full.writes(connection) and os.path.getsize(log) < 64 << 20)
            self.assertEqual(daemon.log().count("keeps it from being reused"), 1)

    def test_log_stays_short_under_load(self):
        """Checkpoints run beside the writer: the WAL is still reset, however much is written at
        once."""
        with Daemon(options=("--checkpoint-pages", "50")) as daemon:
            sizes, before = [], None
            with daemon.connect() as connection:
                World(connection).user()
                before = invariants.Snapshot(daemon)

                def write():
                    with daemon.connect() as own:
                        for _ in range(6):
                            requests = [
                                ("create_user", {"user": new_user(display_name="z" * 3_000)})
                                for _ in range(100)
                            ]
                            self.assertTrue(
                                all("result" in answer for answer in own.many(requests))
                            )
                            sizes.append(os.path.getsize(daemon.database.path + "-wal"))

                workers = [threading.Thread(target=write) for _ in range(6)]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
                stats = connection.call("daemon.stats")
            self.assertEqual(len(sizes), 36)
            # 3,600 users are some 20 MiB of pages. One batch of all pending writes may add 2 MiB to
            # what is due.
            self.assertLess(max(sizes), 10 << 20, "the WAL is not reset")
            self.assertGreater(stats["counters"]["sqlite_checkpoints"], 5)
            invariants.check(daemon, before)


class Corrupt(Case):
    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.key = new_key()
        self.path = os.path.join(self.folder, "pierre.db")
        with self.daemon() as daemon, daemon.connect() as connection:
            world = World(connection)
            for _ in range(20):
                user = world.user(display_name="n" * 3000)
                key = world.api_key(user)
                for _ in range(10):
                    world.usage(key)
                connection.call("upsert_user_profile", [user, {"t": "t" * 3000}])
                world.goal(user)
        self.user = user
        with open(self.path, "rb") as file:
            self.good = file.read()

    def daemon(self):
        return Daemon("sqlite", Sqlite(self.folder), folder=self.folder, key=self.key)

    def put(self, data, wal=None):
        for suffix in ("-wal", "-shm"):
            if os.path.exists(self.path + suffix):
                os.unlink(self.path + suffix)
        with open(self.path, "wb") as file:
            file.write(data)
        if wal is not None:
            with open(self.path + "-wal", "wb") as file:
                file.write(wal)

    def survives(self, what, codes=(65, 74)):
        """It starts and answers each call with a result or an error, or refuses to start with one
        of the codes. It never dies from a signal and never hangs."""
        daemon = self.daemon()
        try:
            daemon.start()
        except StartFailure as failure:
            self.assertIn(failure.code, codes, f"{what}: {failure.log}")
            self.assertIn("pierre.db", failure.log)
            return "refused"
        try:
            with daemon.connect(15) as connection:
                for method, params in (
                    ("get_user", [self.user]),
                    ("get_user_profile", [self.user]),
                    ("get_user_goals", [self.user]),
                    ("get_user_api_keys", [self.user]),
                    ("get_request_logs", []),
                    ("get_user_count", []),
                    ("create_user", [new_user()]),
                    ("get_system_stats", []),
                ):
                    try:
                        connection.call(method, params)
                    except RpcError as problem:
                        self.assertIn(
                            problem.kind,
                            ("storage", "internal", "decryption_failed", "not_found"),
                            f"{what}: {method}: {problem}",
                        )
                        self.assertNotEqual(
                            problem.kind,
                            "internal",
                            f"{what}: {method}: {problem}\n{daemon.log()[-2000:]}",
                        )
        except Closed:
            code = daemon.wait(10)
            self.assertIn(code, (65, 74), f"{what}: {daemon.log()[-2000:]}")
            return "ended"
        finally:
            if daemon.alive():
                self.assertIn(daemon.terminate(), (0, 65, 74), f"{what}: {daemon.log()[-3000:]}")
            daemon.check_log()
            os.unlink(daemon.log_path)
        return "served"

    def test_header(self):
        for change in (b"\x00" * 100, b"not a database at all" * 5, self.good[:16] + b"\xff" * 84):
            self.put(change + self.good[len(change) :])
            self.assertEqual(self.survives(f"header {change[:20]!r}", (65,)), "refused")

    def test_cut(self):
        for length in (1, 100, 4096, 4097, len(self.good) // 2, len(self.good) - 1):
            self.put(self.good[:length])
            self.survives(f"cut at {length}")

    def test_pages(self):
        chance = random.Random(os.environ.get("PIERRE_TEST_SEED", "pages"))
        seen = set()
        for seed in range(60 if os.environ.get("PIERRE_TEST_LONG") else 25):
            data = bytearray(self.good)
            for _ in range(chance.choice((1, 10, 200))):
                at = chance.randrange(100, len(data))
                length = chance.choice((1, 2, 8, 500))
                data[at : at + length] = chance.randbytes(len(data[at : at + length]))
            self.put(bytes(data))
            seen.add(self.survives(f"seed {seed}"))
        self.assertIn("served", seen)

    def test_damage_in_one_row(self):
        """A write that needs the damaged page fails. Others succeed, even in the same
        transaction."""
        with self.daemon() as daemon, daemon.connect() as connection:
            world = World(connection)
            users = (
                [world.user() for _ in range(10)]
                + [world.user(display_name="Q" * 20_000)]
                + [world.user() for _ in range(10)]
            )
            world.user(
                display_name="z" * 20_000
            )  # after it, so that the damaged pages are not the file's last ones
        with open(self.path, "rb") as file:
            data = bytearray(file.read())
        chain = [at for at in range(0, len(data), 4096) if data[at + 4 : at + 4096] == b"Q" * 4092]
        self.assertGreater(len(chain), 1)
        for at in chain:
            data[at : at + 4] = b"\xff" * 4  # "continues at a page that does not exist"
        self.put(bytes(data))
        with self.daemon() as daemon, daemon.connect() as connection:
            outside = sqlite3.connect(self.path, isolation_level=None)
            outside.execute("BEGIN IMMEDIATE")
            first = connection.request(
                "create_user", user=new_user()
            )  # occupies the writer, so that all the others wait and share a batch
            self.within(10, lambda: invariants.gauges(connection)["db_running"] == 1)
            requests = [connection.request("update_last_active", user_id=user) for user in users]
            new = connection.request("create_user", user=new_user())
            self.within(10, lambda: invariants.gauges(connection)["db_queued"] == len(users) + 1)
            outside.execute("ROLLBACK")
            outside.close()
            self.assertIn("result", connection.answer(first))
            kinds = [
                connection.answer(request).get("error", {}).get("data", {}) for request in requests
            ]
            self.assertEqual(
                [data.get("kind") for data in kinds], [None] * 10 + ["storage"] + [None] * 10
            )
            self.assertEqual(kinds[10]["outcome"], "none")
            created = connection.answer(new)["result"]
            self.assertGreaterEqual(
                connection.call("daemon.stats")["gauges"]["db_batch_max"], 2
            )  # the others share commits again
            self.logged(daemon, "damaged")
        with self.daemon() as daemon, daemon.connect() as connection:
            self.assertEqual(connection.call("get_user", user_id=created)["id"], created)
            for user in users[:10] + users[11:]:
                self.assertIsNotNone(connection.call("get_user", user_id=user)["last_active"])

    def test_wal_of_garbage(self):
        """A WAL with invalid frames counts as absent."""
        for wal in (b"\xff" * 10_000, b"\x37\x7f\x06\x82" + b"\x00" * 5000, b"x"):
            self.put(self.good, wal)
            self.assertEqual(self.survives("a WAL of garbage"), "served")

    def test_wal_torn_after_kill(self):
        """Killed with a full WAL, whose end is then cut or overwritten: all writes before that
        point are present."""
        daemon = self.daemon()
        daemon.options = ["--checkpoint-pages", "100000"]
        daemon.start()
        users, sizes = [], []
        with daemon.connect() as connection:
            for _ in range(30):
                users.append(World(connection).user())
                sizes.append(os.path.getsize(self.path + "-wal"))
        daemon.kill()
        with open(self.path, "rb") as file:
            database = file.read()
        with open(self.path + "-wal", "rb") as file:
            wal = file.read()
        for index in (0, 5, 17, 29):
            for tear in (0, 1, 24, 1000):
                torn = wal[: sizes[index]] + (b"\xa5" * tear)
                self.put(database, torn)
                with self.daemon() as again, again.connect() as connection:
                    for user in users[: index + 1]:
                        self.assertIsNotNone(
                            connection.call("get_user", user_id=user),
                            f"lost with the WAL cut behind it ({index}, {tear})",
                        )
                    for user in users[index + 1 :]:
                        self.assertIsNone(connection.call("get_user", user_id=user))
                self.assertEqual(invariants.integrity(self.path), "ok")


class ReadOnly(Case):
    """A database that is not writable is refused at the start, by name, and not changed."""

    def setUp(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become another user and to mount")
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, True)
        with Daemon("sqlite", Sqlite(self.folder), folder=self.folder) as daemon:
            self.key, self.user = daemon.key, World(daemon.connect()).user()
        self.path = os.path.join(self.folder, "pierre.db")
        with open(self.path, "rb") as file:
            self.before = file.read()
        os.chmod(self.folder, 0o755)
        os.chmod(self.path, 0o644)

    def refused(self, folder, **arguments):
        daemon = Daemon("sqlite", Sqlite(folder), key=self.key, **arguments)
        self.addCleanup(daemon.discard)
        open(daemon.log_path, "ab").close()
        if daemon.user is not None:
            os.chown(daemon.folder, daemon.user, daemon.user)
        with self.assertRaises(StartFailure) as caught:
            daemon.start()
        self.assertEqual(caught.exception.code, 73, caught.exception.log)
        self.assertIn("pierre.db", caught.exception.log)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), self.before)

    def test_file_of_another_user(self):
        self.refused(self.folder, user=65534)

    def test_own_file_in_a_folder_of_another_user(self):
        """The database is writable, but its folder does not allow a WAL beside it."""
        os.chown(self.path, 65534, 65534)
        self.refused(self.folder, user=65534)

    def test_mount(self):
        mount = os.path.join(self.folder, "mount")
        os.mkdir(mount)
        for command in (
            ["mount", "--bind", self.folder, mount],
            ["mount", "-o", "remount,bind,ro", mount],
        ):
            if subprocess.run(command, check=False, capture_output=True).returncode != 0:
                subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
                self.skipTest("cannot mount here: a read-only mount is NOT tested")
        try:
            self.refused(mount)
        finally:
            subprocess.run(["umount", "-l", mount], check=False)


class Interference(Case):
    def test_outsiders_read_and_write_beside_it(self):
        """sqlite3 in another process also writes (the old server, a backup): the rows of both are
        present, and no write is refused."""
        with Daemon() as daemon:
            before = invariants.Snapshot(daemon)
            problems, outside_rows = [], []

            def outsider():
                database = sqlite3.connect(daemon.database.path, timeout=20)
                for index in range(60):
                    try:
                        database.execute(
                            "INSERT INTO users (id, email, password_hash, created_at, "
                            "last_active) VALUES (?,?,?,?,?)",
                            (
                                uuid4(),
                                f"outside{index}@example.com",
                                "x",
                                "2025-06-10T08:00:00+00:00",
                                "2025-06-10T08:00:00+00:00",
                            ),
                        )
                        database.commit()
                        outside_rows.append(index)
                    except sqlite3.Error as problem:
                        problems.append(problem)
                database.close()

            thread = threading.Thread(target=outsider)
            thread.start()
            made = []
            with daemon.connect() as connection:
                while thread.is_alive():
                    for answer in connection.many(
                        [("create_user", {"user": new_user()}) for _ in range(20)]
                    ):
                        made.append(answer["result"])
                thread.join()
                self.assertEqual(problems, [])
                self.assertEqual(connection.call("get_user_count"), len(made) + len(outside_rows))
                self.assertIsNotNone(
                    connection.call("get_user_by_email", email="outside59@example.com")
                )
            invariants.check(daemon, before)

    @staticmethod
    def send_fifty(connection):
        """Sends all in one piece, since a socket limits the number of pieces."""
        connection.send(
            b"".join(connection.encode("create_user", {"user": new_user()})[0] for _ in range(50)),
            note=False,
        )

    def test_stopped_for_a_while(self):
        """SIGSTOP for two seconds: afterwards every call is answered normally."""
        with Daemon() as daemon, daemon.connect() as connection:
            before = invariants.Snapshot(daemon)
            self.send_fifty(connection)
            daemon.signal(signal.SIGSTOP)
            time.sleep(2)
            self.send_fifty(connection)
            daemon.signal(signal.SIGCONT)
            for request in range(1, 101):
                try:
                    self.assertIn("result", connection.answer(request, 20))
                except Late:
                    self.fail("a call was never answered")
            connection.close()
            invariants.check(daemon, before)
