"""Load and random faults for any length of time: PIERRE_TEST_SOAK=28800 python3 -m pytest
tests/faults/test_soak.py for eight hours, some seconds in an ordinary run. After each round all
invariants hold, and at the end memory and descriptors are as after the first rounds. Would catch: a
small leak at each fault, and effects of two simultaneous faults that neither has alone."""
import os
import random
import resource
import signal
import sqlite3
import threading
import time

from lib import databases, invariants
from lib.case import Case
from lib.daemon import SANITIZER, SLOW, Daemon
from lib.load import END, START, Load

SECONDS = float(os.environ.get("PIERRE_TEST_SOAK", "20"))
ROUND = 3.0  # seconds of load and faults
WARM = 3  # rounds before memory and descriptors count as usual
KEPT = 50_000  # rows of old rounds above which they are deleted
PING = b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\n'
REFUSALS = {"storage", "timeout", "unavailable", "overloaded"}


class Faults:
    """Each method is one fault, which has ended when the method returns."""

    def __init__(self, daemon, chance):
        self.daemon, self.chance = daemon, chance

    def choose(self):
        own = [name for name in dir(self) if name.startswith(("any_", f"{self.daemon.backend}_"))]
        return getattr(self, self.chance.choice(own))

    def send(self, data):
        """On its own connection, which is never read."""
        connection = self.daemon.connect(2)
        try:
            connection.socket.settimeout(0.5)
            connection.socket.sendall(data)
        except OSError:
            pass  # the daemon no longer reads it, or has closed it
        return connection

    def any_garbage(self):
        for _ in range(10):
            self.send(self.chance.randbytes(self.chance.randrange(1, 5000)) + b"\n").close()

    def any_long_line(self):
        self.send(b"[" * (2 << 20)).close()

    def any_gone_before_the_answers(self):
        for _ in range(10):
            self.send(PING * self.chance.randrange(1, 300)).close()

    def any_deaf(self):
        deaf = [self.send(PING * 20_000) for _ in range(3)]
        time.sleep(0.3)
        for connection in deaf:
            connection.close()

    def any_silent(self):
        silent = [self.daemon.connect() for _ in range(100)]
        time.sleep(0.2)
        for connection in silent:
            connection.close()

    def any_stopped(self):
        self.daemon.signal(signal.SIGSTOP)
        time.sleep(0.3)
        self.daemon.signal(signal.SIGCONT)

    def any_reload(self):
        for _ in range(20):
            self.daemon.signal(signal.SIGHUP)

    def outsider(self):
        return sqlite3.connect(self.daemon.database.path, timeout=20, isolation_level=None)

    def sqlite_lock(self):
        outside = self.outsider()
        outside.execute("BEGIN IMMEDIATE")
        time.sleep(0.4)
        outside.execute("ROLLBACK")
        outside.close()

    def sqlite_long_reader(self):
        outside = self.outsider()
        outside.execute("BEGIN")
        outside.execute("SELECT count(*) FROM users").fetchone()
        time.sleep(0.6)
        outside.close()

    def sqlite_outside_checkpoint(self):
        outside = self.outsider()
        mode = self.chance.choice(("PASSIVE", "FULL", "RESTART", "TRUNCATE"))
        outside.execute(f"PRAGMA wal_checkpoint({mode})")
        outside.close()

    def sqlite_no_room(self):
        room = os.path.getsize(self.daemon.database.path + "-wal") + 20_000
        resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        time.sleep(0.3)
        resource.prlimit(
            self.daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )

    def postgres_terminated(self):
        self.daemon.database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
            "current_database() "
            "AND usename = 'pierre_daemon'"
        )

    def postgres_lock(self):
        self.daemon.database.query("BEGIN; LOCK TABLE api_key_usage; SELECT pg_sleep(0.4); COMMIT")

    def postgres_vacuum(self):
        self.daemon.database.query("VACUUM api_key_usage")


class Soak(Case):
    def test_random_faults(self):
        seed = os.environ.get("PIERRE_TEST_SEED", "soak")
        faults, held, done, answered = {}, [], 0, 0
        with Daemon(options=("--checkpoint-pages", "200", "--call-timeout", "10s")) as daemon:
            chooser, before, end = (
                Faults(daemon, random.Random(seed)),
                None,
                time.monotonic() + SECONDS,
            )
            while time.monotonic() < end or done <= WARM:
                if done == WARM:
                    before = invariants.Snapshot(daemon)
                answered += self.one_round(daemon, chooser, faults)
                done += 1
                if before is not None:
                    invariants.check(daemon, before)
                    held.append((invariants.memory(daemon.pid), invariants.count_fds(daemon.pid)))
                    if len(held) % 100 == 0:
                        print(
                            f"  after {done} rounds: {held[-1][0] >> 20} MiB, {held[-1][1]} "
                            f"descriptors, {answered} answered writes",
                            flush=True,
                        )
        print(f"  {done} rounds, {answered} answered writes, faults: {faults}", flush=True)
        self.assertGreater(answered, 50 * done / SLOW)
        if len(held) > 30 and not SANITIZER:  # flat: the last third holds no more than the first
            third = len(held) // 3
            self.assertLess(
                max(memory for memory, _ in held[-third:]),
                max(memory for memory, _ in held[:third]) + (8 << 20),
            )

    def one_round(self, daemon, chooser, faults):
        problems = []

        def disturb():
            try:
                end = time.monotonic() + ROUND
                while time.monotonic() < end:
                    fault = chooser.choose()
                    faults[fault.__name__] = faults.get(fault.__name__, 0) + 1
                    fault()
                    time.sleep(chooser.chance.uniform(0, 0.2))
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)

        with Load(daemon, writers=3, readers=2, pause=0.002) as load:
            disturbers = [threading.Thread(target=disturb) for _ in range(2)]
            for thread in disturbers:
                thread.start()
            for thread in disturbers:
                thread.join()
            load.everyone(30 * SLOW)
        self.assertEqual(problems, [])
        self.assertLessEqual({call.kind for call in load.failures()}, REFUSALS)
        with daemon.connect() as connection:
            numbers = load.judge(
                connection.call("get_api_key_usage_stats", [load.key, START, END])["tool_usage"]
            )
        self.tidy(daemon)
        return numbers["answered"]

    @staticmethod
    def tidy(daemon):
        """Deletes the rows of old rounds with another program, since the growth of the database
        alone would need more memory."""
        if databases.chosen() == "postgres":
            if int(daemon.database.query("SELECT count(*) FROM api_key_usage")) > KEPT:
                daemon.database.query("DELETE FROM users")
            return
        outside = sqlite3.connect(daemon.database.path, timeout=20, isolation_level=None)
        outside.execute("PRAGMA foreign_keys=ON")
        if outside.execute("SELECT count(*) FROM api_key_usage").fetchone()[0] > KEPT:
            outside.execute("DELETE FROM users")
        outside.close()
