"""Several daemons on one database. Would catch: row locks taken in different orders, so that the
daemons deadlock; reordered calls of one connection whose order is visible; a killed daemon that
leaves the others waiting; a key rotation that the others do not follow; a transfer of rows that
daemons still write."""
import os
import random
import subprocess
import threading

from lib.daemon import CTL, SLOW, StartFailure, new_key, temporary_folder
from lib.load import Load
from lib.postgres_case import ServerCase
from lib.rpc import result_of
from lib.world import World, new_api_key, new_client, unique, uuid4

BACKENDS = ("postgres",)
ROUNDS = int(60 / SLOW) + 5
TOKEN = {
    "access_token": "a",
    "refresh_token": "r",
    "expires_at": "2030-01-01T00:00:00Z",
    "scope": "read",
}


class ManyCase(ServerCase):
    # The server checks for deadlocks early, so that each one is counted.
    settings = {"deadlock_timeout": "'10ms'", "max_connections": "100"}

    def several(self, count, key=None):
        key = key or new_key()
        return [self.daemon(key=key) for _ in range(count)]

    def deadlocks(self):
        """Counts in the server's log, which has each deadlock at once; the statistics are updated
        later."""
        return self.server_log().count("deadlock detected")

    def clients(self, daemons, calls, clients=4, rounds=ROUNDS, pipelined=24):
        """Sends random calls; calls(random) returns a method and its parameters. Returns all
        answers, in the order of each client's requests."""
        answers, problems = [], []

        def run(number):
            try:
                chance = random.Random(number)
                with daemons[number % len(daemons)].connect(timeout=60 * SLOW) as connection:
                    for _ in range(rounds):
                        answers.extend(connection.many([calls(chance) for _ in range(pipelined)]))
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)

        threads = [
            threading.Thread(target=run, args=(number,)) for number in range(clients * len(daemons))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        return answers


class Locks(ManyCase):
    def no_deadlocks(self, daemons, calls, may_fail=()):
        before = self.deadlocks()
        answers = self.clients(daemons, calls)
        wrong = {
            answer["error"]["message"]
            for answer in answers
            if "error" in answer and answer["error"]["data"]["kind"] not in may_fail
        }
        self.assertEqual(wrong, set())
        self.assertEqual(self.deadlocks() - before, 0)

    def test_rows_of_one_table(self):
        daemons = self.several(3)
        with daemons[0].connect() as one:
            users = [World(one).user() for _ in range(12)]
        self.no_deadlocks(
            daemons, lambda chance: ("update_last_active", {"user_id": chance.choice(users)})
        )

    def test_added_rows_with_unique_keys(self):
        """A transaction that adds an e-mail which another transaction is adding waits for its
        end."""
        names = [unique("same") for _ in range(300)]
        daemons = self.several(2)
        self.no_deadlocks(
            daemons,
            lambda chance: (
                "create_user",
                {"user": {"email": f"{chance.choice(names)}@example.com", "password_hash": "h"}},
            ),
            may_fail=("conflict",),
        )

    def test_rows_of_many_at_once(self):
        """cleanup_expired_api_keys locks every expired key."""
        daemons = self.several(2)
        with daemons[0].connect() as one:
            world = World(one)
            user = world.user()
            keys = [world.api_key(user, expires_at="2020-01-01T00:00:00Z") for _ in range(40)]

        def calls(chance):
            if chance.random() < 0.05:
                return "cleanup_expired_api_keys", {}
            return "update_api_key_last_used", {"api_key_id": chance.choice(keys)}

        reviver = threading.Event()

        def revive():
            while not reviver.wait(0.01):
                self.query(
                    "UPDATE api_keys SET is_active = true WHERE number IN "
                    '(SELECT number FROM api_keys ORDER BY id COLLATE "C" FOR NO KEY UPDATE)'
                )

        thread = threading.Thread(target=revive)
        thread.start()
        try:
            self.no_deadlocks(daemons, calls)
        finally:
            reviver.set()
            thread.join()

    def test_every_kind(self):
        daemons = self.several(3)
        with daemons[0].connect() as one:
            world = World(one)
            users = [world.user() for _ in range(6)]
            keys = [world.api_key(user) for user in users]
            goals = [world.goal(user) for user in users]
            clients = [world.client(key) for key in keys]
            sessions = [world.session(client) for client in clients]
            tasks = [world.task(client) for client in clients]
        names = [unique("n") for _ in range(50)]

        def calls(chance):
            user, key = chance.choice(users), chance.choice(keys)
            return chance.choice(
                [
                    ("update_last_active", {"user_id": user}),
                    ("update_strava_token", {"user_id": user, **TOKEN}),
                    ("clear_fitbit_token", {"user_id": user}),
                    ("upsert_user_profile", {"user_id": user, "profile_data": {"a": 1}}),
                    (
                        "update_goal_progress",
                        {"goal_id": chance.choice(goals), "current_value": 1.0},
                    ),
                    ("update_api_key_last_used", {"api_key_id": key}),
                    ("get_user", {"user_id": user}),
                    ("create_api_key", {"api_key": new_api_key(user, name=chance.choice(names))}),
                    (
                        "create_a2a_client",
                        {"client": new_client(name=chance.choice(names)), "api_key_id": key},
                    ),
                    ("update_a2a_session_activity", {"session_token": chance.choice(sessions)}),
                    (
                        "update_a2a_task_status",
                        {"task_id": chance.choice(tasks), "status": "running"},
                    ),
                    ("get_user_api_keys", {"user_id": user}),
                    (
                        "create_goal",
                        {
                            "user_id": user,
                            "goal_data": {"title": "t", "goal_type": "g", "target_value": 1.0},
                        },
                    ),
                ]
            )

        self.no_deadlocks(daemons, calls, may_fail=("conflict",))


class Order(ManyCase):
    def test_contradictions(self):
        """A connection changes rows in the wrong order, with reads in between, while others fill
        the batches."""
        daemons = self.several(2)
        with daemons[0].connect() as one:
            users = sorted(World(one).user() for _ in range(8))
        stop = threading.Event()

        def busy(daemon, number):
            chance = random.Random(number)
            with daemon.connect(timeout=60 * SLOW) as connection:
                while not stop.is_set():
                    connection.many(
                        [
                            ("update_last_active", {"user_id": chance.choice(users)})
                            for _ in range(20)
                        ]
                    )

        threads = [
            threading.Thread(target=busy, args=(daemon, number))
            for daemon in daemons
            for number in range(2)
        ]
        for thread in threads:
            thread.start()
        try:
            with daemons[0].connect(timeout=60 * SLOW) as one:
                for round_ in range(ROUNDS):
                    self.one_round(one, users, round_)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def one_round(self, one, users, round_):
        new, requests = uuid4(), []
        address = f"{new}@example.com"
        for user in reversed(users):
            requests += [
                ("upsert_user_profile", {"user_id": user, "profile_data": {"round": round_}}),
                ("get_user_profile", {"user_id": user}),
                ("get_user_profile", {"user_id": users[0]}),
            ]
        requests += [
            ("update_last_active", {"user_id": new}),
            ("get_user_by_email", {"email": address}),
            ("create_user", {"user": {"id": new, "email": address, "password_hash": "h"}}),
            ("update_strava_token", {"user_id": new, **TOKEN}),
            ("get_user_by_email", {"email": address}),
            ("create_user", {"user": {"email": address, "password_hash": "h"}}),
            ("clear_strava_token", {"user_id": new}),
            ("get_strava_token", {"user_id": new}),
        ]
        answers = one.many(requests)
        for place, user in enumerate(reversed(users)):
            self.assertEqual(
                result_of(answers[3 * place + 1]),
                {"round": round_},
                "a read missed the write before it",
            )
            before = (
                {"round": round_}
                if user == users[0]
                else None
                if round_ == 0
                else {"round": round_ - 1}
            )
            self.assertEqual(
                result_of(answers[3 * place + 2]),
                before,
                "a read saw a later write, or missed an earlier one",
            )
        missing, absent, made, sealed, found, taken, cleared, after_clear = answers[
            3 * len(users) :
        ]
        self.assertEqual(missing["error"]["data"]["kind"], "not_found")
        self.assertIsNone(result_of(absent))
        self.assertEqual(result_of(made), new)
        result_of(sealed)
        self.assertIsNotNone(result_of(found)["strava_token"])
        self.assertEqual(taken["error"]["data"]["kind"], "conflict")
        result_of(cleared)
        self.assertIsNone(result_of(after_clear))


class Faults(ManyCase):
    def test_one_is_killed(self):
        """kill -9 during its writes: what it answered is stored, and the others lose nothing."""
        daemons = self.several(3)
        with Load(daemons[1]) as first, Load(daemons[2]) as second:
            victim = Load(daemons[0])
            for thread in victim.threads:
                thread.start()
            victim.progress(100)
            daemons[0].expected_exits = {-9}
            daemons[0].process.kill()
            daemons[0].process.wait()
            victim.stopping.set()
            first.progress(200)
            second.progress(200)
        for load in (first, second):
            self.assertEqual([call.message for call in load.failures()], [])
            load.verify(self.query)
        for thread in victim.threads:
            thread.join()
        stored = set(self.query("SELECT tool_name FROM api_key_usage").split("\n"))
        self.assertEqual(
            [
                name
                for name, call in victim.names.items()
                if call is not None and call.kind is None and name not in stored
            ],
            [],
        )
        self.within(
            10, lambda: self.query("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0"
        )

    def test_key_is_changed(self):
        """The daemons restart one after the other with both keys. Then one rotates the key while
        all of them write tokens."""
        old, new = new_key(), new_key()
        daemons = self.several(3, old)
        with daemons[0].connect() as one:
            users = [World(one).user() for _ in range(150)]
            for answer in one.many(
                [("update_strava_token", {"user_id": user, **TOKEN}) for user in users]
            ):
                result_of(answer)
        for daemon in daemons:
            self.assertEqual(daemon.terminate(), 0)
            daemon.key, daemon.environment = new, {"PREVIOUS_ENCRYPTION_KEY": old}
            daemon.start()
        before = self.deadlocks()
        ended = threading.Event()

        def rotate():
            try:
                with daemons[0].connect(timeout=60 * SLOW) as connection:
                    while connection.call("rotate_key")["state"] == "running":
                        pass
            finally:
                ended.set()

        def calls(chance):
            user = chance.choice(users)
            return chance.choice(
                [
                    ("update_strava_token", {"user_id": user, **TOKEN}),
                    ("get_strava_token", {"user_id": user}),
                    ("update_last_active", {"user_id": user}),
                ]
            )

        thread = threading.Thread(target=rotate)
        thread.start()
        answers = self.clients(daemons, calls)
        thread.join()
        self.assertEqual([answer["error"] for answer in answers if "error" in answer], [])
        self.assertEqual(self.deadlocks(), before)
        for daemon in daemons:
            self.assertEqual(daemon.terminate(), 0)
            daemon.environment = {}
            daemon.start()
            with daemon.connect() as one:
                for answer in one.many([("get_strava_token", {"user_id": user}) for user in users]):
                    self.assertEqual(result_of(answer)["access_token"], "a")

    def test_transfer_is_refused(self):
        key = new_key()
        daemons = self.several(2, key)
        with daemons[0].connect() as one:
            World(one).user()
        folder = temporary_folder()

        def transfer():
            return subprocess.run(
                [CTL, "transfer", "--from", self.url, "--to", f"sqlite:{folder}/p.db"],
                capture_output=True,
                text=True,
                timeout=60 * SLOW,
                env={**os.environ, "ENCRYPTION_KEY": key},
                check=False,
            )

        for daemon in daemons:
            done = transfer()
            self.assertEqual(done.returncode, 75, done.stderr)
            self.assertIn("a running daemon uses the source", done.stderr)
            self.assertFalse(
                os.path.exists(f"{folder}/p.db") and os.path.getsize(f"{folder}/p.db") > 0
            )
            self.assertEqual(daemon.terminate(), 0)
        self.within(10, lambda: self.backends() == [])
        self.assertEqual(transfer().returncode, 0)

    def test_start_during_a_transfer(self):
        with self.server.session(self.name) as other:
            other.run("SELECT pg_advisory_lock(7235434120189153125)")
            with self.assertRaises(StartFailure) as refused:
                self.daemon()
            self.assertEqual(refused.exception.code, 75, refused.exception.log)
            self.assertIn("a transfer is copying this database's rows", refused.exception.log)
