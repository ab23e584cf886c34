"""kill -9 under eight writers that receive answers. Would catch: an answer before the commit,
synchronous=OFF together with a checkpoint, a write stored twice after a retry, a call stored in
part, a leftover socket or lock that blocks the next start."""
import os
import random
import threading
import time

from lib import databases, invariants
from lib.case import Case
from lib.daemon import SLOW, Daemon, new_key, rounds, temporary_folder
from lib.rpc import Closed
from lib.world import World, new_usage, new_user

STRICT = True

LONG = bool(os.environ.get("PIERRE_TEST_LONG"))
ROUNDS = int(os.environ.get("PIERRE_TEST_KILLS", "200" if LONG else rounds(50)))
SECONDS = 300 if LONG else 75
WRITERS = 8
WINDOW = 24  # calls that a writer has in flight


class Writer(threading.Thread):
    """Records usage rows with unique names and creates users until the connection breaks, and
    remembers what was answered."""

    def __init__(self, daemon, key, name):
        super().__init__(daemon=True)
        self.connection = daemon.connect()
        self.key, self.prefix = key, name
        self.sent, self.answered, self.refused = [], set(), set()
        self.problem = None

    def run(self):
        try:
            under_way = {}
            while True:
                while len(under_way) < WINDOW:
                    name = f"{self.prefix}-{len(self.sent)}"
                    self.sent.append(name)
                    if len(self.sent) % 8:
                        request = self.connection.request(
                            "record_api_key_usage", usage=new_usage(self.key, tool_name=name)
                        )
                    else:
                        request = self.connection.request(
                            "create_user",
                            user=new_user(email=f"{name}@example.com", display_name=name),
                        )
                    under_way[request] = name
                answer = self.connection.read()
                (self.refused if "error" in answer else self.answered).add(
                    under_way.pop(answer["id"])
                )
        except (Closed, BrokenPipeError, ConnectionResetError):
            self.connection.close()
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem


class Kill(Case):
    def setUp(self):
        self.folder = temporary_folder()
        self.database = databases.make(databases.chosen(), self.folder)
        self.key = new_key()
        self.chance = random.Random(os.environ.get("PIERRE_TEST_SEED", "kill"))

    def tearDown(self):
        os.system(f"rm -rf {self.folder}")
        self.database.drop()

    def daemon(self):
        return Daemon(database=self.database, folder=self.folder, key=self.key)

    def test_no_answered_write_is_lost(self):
        began, done, answered = time.monotonic(), 0, 0
        daemon = self.daemon().start()
        try:
            while done < ROUNDS and time.monotonic() - began < SECONDS * SLOW:
                daemon, count = self.one_round(daemon, done)
                answered += count
                done += 1
            daemon.stop()
        finally:
            daemon.kill()
        print(f"  {done} kills, {answered} answered writes, none lost", flush=True)
        self.assertGreaterEqual(done, min(10, ROUNDS))
        self.assertGreater(answered, done * 50 / SLOW)

    def one_round(self, daemon, number):
        with daemon.connect() as connection:
            world = World(connection)
            key = world.api_key(world.user())
        writers = [Writer(daemon, key, f"r{number}w{index}") for index in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(self.chance.uniform(0.02, 0.35))
        daemon.kill()
        for writer in writers:
            writer.join(20)
            self.assertFalse(writer.is_alive())
            if writer.problem:
                raise writer.problem
        again = self.daemon()
        began = time.monotonic()
        again.start()
        self.assertLess(time.monotonic() - began, 2.0 * SLOW, "not ready again in time")
        self.verify(again, key, writers)
        if databases.chosen() == "sqlite" and number % 10 == 0:
            self.assertEqual(invariants.integrity(self.database.path), "ok")
        return again, sum(len(writer.answered) for writer in writers)

    def verify(self, daemon, key, writers):
        """Every answered write is stored exactly once, no refused one is stored, and every unknown
        one is stored whole or not at all."""
        with daemon.connect() as connection:
            rows = connection.call(
                "get_api_key_usage_stats",
                api_key_id=key,
                start_date="2020-01-01T00:00:00Z",
                end_date="2999-01-01T00:00:00Z",
            )["tool_usage"]
            for writer in writers:
                self.assertEqual(writer.refused, set())
                users = [name for index, name in enumerate(writer.sent, 1) if index % 8 == 0]
                found = connection.many(
                    [("get_user_by_email", {"email": f"{name}@example.com"}) for name in users]
                )
                for name, answer in zip(users, found):
                    if name in writer.answered:
                        self.assertEqual(
                            (answer["result"] or {}).get("display_name"),
                            name,
                            "an answered user is lost",
                        )
                    elif answer["result"] is not None:
                        self.assertEqual(answer["result"]["display_name"], name)
                for name in set(writer.sent) - set(users):
                    self.assertIn(
                        rows.pop(name, 0),
                        (1,) if name in writer.answered else (0, 1),
                        f"{name} (answered: {name in writer.answered})",
                    )
            self.assertEqual(rows, {}, "rows that no writer sent")
