"""daemon.transaction while something goes wrong in its middle. Would catch: half of a transaction
that stays after a kill, a deadline or a client that left; an answered one that is lost; readers
that see one half of it."""
import contextlib
import os
import random
import sqlite3
import subprocess
import threading
import time

from lib import databases, invariants
from lib.case import Case
from lib.daemon import SLOW, Daemon, new_key, temporary_folder
from lib.postgres_server import binary
from lib.rpc import Closed, RpcError
from lib.world import UNKNOWN, World, new_user, uuid4

STRICT = True
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))
KILLS = 60 if LONG else 15
ROUNDS = int((3000 if LONG else 300) / SLOW)
BROKEN = {"method": "update_last_active", "params": {"user_id": UNKNOWN}}


def user_with_goals(user):
    """A user and two goals, of which there must be all or none."""
    goal = {"user_id": user, "goal_data": {"title": "t"}}
    return [
        {"method": "create_user", "params": {"user": new_user(id=user)}},
        {"method": "create_goal", "params": goal},
        {"method": "create_goal", "params": goal},
    ]


class Writer(threading.Thread):
    """Creates users in transactions, several under way, until the connection breaks."""

    def __init__(self, daemon, seed):
        super().__init__(daemon=True)
        self.connection = daemon.connect()
        self.chance = random.Random(seed)
        self.sent, self.answered, self.refused = [], set(), set()
        self.problem = None

    def run(self):
        try:
            under_way = {}
            while True:
                while len(under_way) < 8:
                    user = uuid4()
                    calls = user_with_goals(user)
                    if self.chance.random() < 0.3:
                        calls.append(BROKEN)
                    self.sent.append(user)
                    request = self.connection.request("daemon.transaction", calls=calls)
                    under_way[request] = user
                answer = self.connection.read()
                (self.refused if "error" in answer else self.answered).add(
                    under_way.pop(answer["id"])
                )
        except (Closed, BrokenPipeError, ConnectionResetError):
            self.connection.close()
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem


class Kill(Case):
    def test_all_or_none(self):
        """kill -9 under six writers: what was answered is there as a whole, what was refused is
        not, and what was neither is there as a whole or not at all."""
        folder = temporary_folder()
        database = databases.make(databases.chosen(), folder)
        chance = random.Random(os.environ.get("PIERRE_TEST_SEED", "transactions"))
        key, counts = new_key(), [0, 0, 0]
        daemon = Daemon(database=database, folder=folder, key=key).start()
        try:
            for _ in range(KILLS):
                writers = [Writer(daemon, chance.random()) for _ in range(6)]
                for writer in writers:
                    writer.start()
                self.within(20, lambda ws=writers: all(len(w.answered) > 3 for w in ws))
                time.sleep(chance.uniform(0, 0.05))  # any place of a transaction
                daemon.kill()
                for writer in writers:
                    writer.join()
                    self.assertIsNone(writer.problem)
                daemon = Daemon(database=database, folder=folder, key=key).start()
                with daemon.connect() as connection:
                    for writer in writers:
                        self.judge(connection, writer, counts)
            daemon.stop()
        finally:
            daemon.kill()
            os.system(f"rm -rf {folder}")
            database.drop()
        print(
            f"  {KILLS} kills: {counts[0]} answered transactions, {counts[1]} refused, "
            f"{counts[2]} cut off; none in half",
            flush=True,
        )
        self.assertGreater(counts[0], KILLS * 10)
        self.assertGreater(counts[1], KILLS)

    def judge(self, connection, writer, counts):
        found = connection.many([("get_user", [user]) for user in writer.sent])
        goals = connection.many([("get_user_goals", [user]) for user in writer.sent])
        for user, one, two in zip(writer.sent, found, goals):
            state = (one["result"] is not None, len(two["result"]))
            if user in writer.answered:
                self.assertEqual(state, (True, 2), "an answered transaction is lost")
                counts[0] += 1
            elif user in writer.refused:
                self.assertEqual(state, (False, 0), "a refused transaction is there")
                counts[1] += 1
            else:
                self.assertIn(state, ((True, 2), (False, 0)), "half of a transaction is there")
                counts[2] += 1


class Together(Case):
    """Accounts whose sum never changes, moved by transactions, read by others."""

    def test_sum_stays(self):
        with Daemon() as daemon:
            with daemon.connect() as one:
                world = World(one)
                users = [world.user() for _ in range(4)]
                goals = [world.goal(user) for user in users]
                self.move(one, goals, [25.0] * 4)
                before = invariants.Snapshot(daemon)
            self.stop, self.problems, self.reads, self.moves = threading.Event(), [], 0, 0
            writers = [self.thread(self.write, daemon, goals, seed) for seed in range(4)]
            readers = [self.thread(self.watch, daemon, users, seed) for seed in range(3)]
            for thread in writers:
                thread.join()
            self.stop.set()
            for thread in readers:
                thread.join()
            self.assertEqual(self.problems, [])
            invariants.check(daemon, before)
        print(f"  {self.moves} moves, {self.reads} reads of one state", flush=True)
        self.assertGreater(self.reads, 20)

    def thread(self, run, *arguments):
        def guarded():
            try:
                run(*arguments)
            except Exception as problem:  # pylint: disable=broad-except
                self.problems.append(problem)
                self.stop.set()

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def move(self, connection, goals, values, order=None, broken=False):
        calls = [
            {
                "method": "update_goal_progress",
                "params": {"goal_id": goals[place], "current_value": values[place]},
            }
            for place in order or range(4)
        ]
        return connection.call("daemon.transaction", calls=calls + [BROKEN] * broken)

    def write(self, daemon, goals, seed):
        """In any order of the rows; some are undone at the end."""
        chance = random.Random(seed)
        with daemon.connect(timeout=60 * SLOW) as connection:
            for _ in range(ROUNDS):
                values = [float(chance.randrange(30)) for _ in range(3)]
                values.append(100.0 - sum(values))
                order = chance.sample(range(4), 4)
                if chance.random() < 0.3:
                    broken = [value + 1 for value in values]
                    try:
                        self.move(connection, goals, broken, order, True)
                        raise AssertionError("a transaction with a failing call succeeded")
                    except RpcError as problem:
                        assert problem.kind == "not_found" and problem.data["index"] == 4, problem
                else:
                    self.move(connection, goals, values, order)
                    self.moves += 1

    def watch(self, daemon, users, seed):
        chance = random.Random(seed)
        calls = [{"method": "get_user_goals", "params": {"user_id": user}} for user in users]
        with daemon.connect(timeout=60 * SLOW) as connection:
            while not self.stop.is_set():
                if chance.random() < 0.3:  # among writes
                    calls = [
                        *calls[:4],
                        {"method": "update_last_active", "params": {"user_id": users[0]}},
                    ]
                found = connection.call("daemon.transaction", calls=calls)
                total = sum(goals[0]["current_value"] for goals in found[:4])
                assert total == 100.0, f"a reader saw {total}"
                self.reads += 1


class Gone(Case):
    def test_clients_that_leave(self):
        """Nobody waits for the answer: the transaction is stored as a whole or not at all, and
        nothing is left of it in the daemon."""
        with Daemon() as daemon:
            with daemon.connect() as one:
                World(one).user()
                before = invariants.Snapshot(daemon)
            users = []
            for number in range(40):
                client = daemon.connect()
                for _ in range(1 + number % 5):
                    users.append(uuid4())
                    client.request("daemon.transaction", calls=user_with_goals(users[-1]))
                    client.request(
                        "daemon.transaction",
                        calls=[{"method": "get_user", "params": [users[-1]]}] * 3,
                    )
                client.close()
            self.within(20, lambda: daemon.call("daemon.stats")["gauges"]["in_flight"] == 0)
            with daemon.connect() as one:
                stored = 0
                for user in users:
                    goals = len(one.call("get_user_goals", [user]))
                    there = one.call("get_user", [user]) is not None
                    self.assertIn((there, goals), ((True, 2), (False, 0)))
                    stored += there
            self.assertGreater(stored, 0)
            invariants.check(daemon, before)


@contextlib.contextmanager
def locked(database, user):
    """Another program keeps writers off the user's row; on SQLite off the file."""
    if database.backend == "sqlite":
        with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as other:
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
        other.stdin.write(
            f"BEGIN; UPDATE users SET display_name = 'x' WHERE id = '{user}'; SELECT 'locked';\n"
        )
        other.stdin.flush()
        assert other.stdout.readline().strip() == "locked"
        yield
        other.stdin.write("ROLLBACK;\n")
        other.stdin.close()
        other.wait(30)


class Late(Case):
    """The database is locked by somebody else in the middle of a transaction."""

    def test_deadline(self):
        with Daemon(options=("--call-timeout", "1s")) as daemon:
            with daemon.connect() as one:
                user = World(one).user()
                before = invariants.Snapshot(daemon)
                with locked(daemon.database, user):
                    made = uuid4()
                    calls = user_with_goals(made)
                    calls.insert(2, {"method": "update_last_active", "params": [user]})
                    problem = one.error("daemon.transaction", calls=calls)
                    self.assertEqual((problem.kind, problem.data["outcome"]), ("timeout", "none"))
                    reads = [{"method": "get_user_count"}, {"method": "get_user", "params": [user]}]
                    self.assertEqual(len(one.call("daemon.transaction", calls=reads)), 2)
                self.assertIsNone(one.call("get_user", [made]))
                self.assertEqual(one.call("get_user_goals", [made]), [])
                self.assertEqual(len(one.call("daemon.transaction", calls=calls)), 4)
            invariants.check(daemon, before)

    def test_stop(self):
        """SIGTERM while it waits for a lock: an answer that says what became of it, and it is
        so."""
        daemon = Daemon(options=("--drain-timeout", "1s")).start()
        try:
            with daemon.connect() as one:
                user, made = World(one).user(), uuid4()
                calls = user_with_goals(made)
                calls.insert(2, {"method": "update_last_active", "params": [user]})
                with locked(daemon.database, user):
                    request = one.request("daemon.transaction", calls=calls)
                    self.within(10, lambda: daemon.call("daemon.stats")["gauges"]["db_running"] > 0)
                    daemon.signal(15)
                    answer = one.answer(request)
                    self.assertEqual(daemon.wait(60), 0)
            self.assertEqual(answer["error"]["data"]["kind"], "shutting_down")
            self.assertEqual(answer["error"]["data"]["outcome"], "none")
            stored = daemon.database.query(f"SELECT count(*) FROM users WHERE id = '{made}'")
            self.assertIn(stored, ("0", [(0,)]))
        finally:
            daemon.discard()
