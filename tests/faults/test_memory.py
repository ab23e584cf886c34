"""Memory exhaustion: the n-th allocation of the whole process (libraries included) fails, for every
n of a call, for every method. Each such call ends with an answer or a closed connection, the daemon
continues, and nothing leaks. Would catch: an unchecked pointer, an error path that frees twice or
never, a call that is never answered."""
import contextlib
import ctypes
import mmap
import os
import random
import re
import shutil
import sqlite3
import subprocess
import threading
import time

from lib import strict
from lib.case import Case
from lib.daemon import SANITIZER, Daemon, StartFailure, temporary_folder
from lib.interface import METHODS
from lib.rpc import Closed, Late
from lib.world import Samples, new_user, unique

BACKENDS = ("sqlite",)
STRICT = True
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "scarce.c")
MOST = 40_000
KINDS = {"internal", "storage", "unavailable", "timeout", "decryption_failed"}


class Words(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("left", "times", "failed", "live", "every")]


class Scarce(Case):
    def setUp(self):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            self.skipTest(
                "no C compiler for the allocator that fails: memory exhaustion is NOT tested"
            )
        if SANITIZER:
            self.skipTest("a sanitizer's build has an allocator of its own")
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, True)
        library, control = os.path.join(self.folder, "scarce.so"), os.path.join(
            self.folder, "words"
        )
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-fno-builtin", "-o", library, SOURCE], check=True
        )
        with open(control, "w+b") as file:
            file.truncate(ctypes.sizeof(Words))
            self.map = mmap.mmap(file.fileno(), ctypes.sizeof(Words))
        self.words = Words.from_buffer(self.map)
        self.plenty()
        self.environment = {"LD_PRELOAD": library, "TEST_SCARCE": control}

    def plenty(self):
        self.words.every = 0
        self.words.left = -1
        self.words.times = 0

    @contextlib.contextmanager
    def scarce(self, n, times=1, every=0):
        """In this context `times` allocations fail, beginning with the n-th from now on; with
        `every`, such failures repeat at that interval."""
        self.words.failed = 0
        self.words.times = times
        self.words.every = every
        self.words.left = n
        try:
            yield
        finally:
            self.plenty()


class Calls(Scarce):
    BROKEN = (Closed, ConnectionResetError, BrokenPipeError)

    @staticmethod
    def kinds(connection, line):
        """Sends a line and returns the kinds of the errors in its answer."""
        connection.send(line + "\n")
        answer = connection.read()
        return {
            one["error"]["data"]["kind"]
            for one in (answer if isinstance(answer, list) else [answer])
            if "error" in one
        }

    def attempt(self, connection, line, n, times=1, usual=frozenset()):
        """Sends one line while its n-th allocation fails, and returns the number of failed
        allocations. The line may end with an answer, an error or a closed connection."""
        with self.scarce(n, times):
            try:
                found = self.kinds(connection, line)
                self.assertLessEqual(
                    found, KINDS | usual, f"{line[:300]} without its allocation {n}"
                )
            except self.BROKEN:
                pass
            except ValueError as problem:
                raise AssertionError(
                    f"{line[:300]} without its allocation {n}: {problem}: {problem.doc[:300]}"
                ) from None
            except Late:
                raise AssertionError(
                    f"{line[:300]} was never answered without its allocation {n}"
                ) from None
            return self.words.failed

    def every(self, daemon, make_line, step=1, times=1):
        """Fails one allocation of a line after the other until it needs no more. Returns how many
        it has."""
        chance = random.Random(7)
        connection, n = daemon.connect(), 0
        usual = self.kinds(connection, make_line())
        while self.attempt(connection, make_line(), n, times, usual):
            self.assertTrue(
                daemon.alive(),
                f"{make_line()} without its allocation {n} ended the daemon:\n"
                f"{daemon.log()[-3000:]}",
            )
            try:
                self.assertEqual(connection.call("daemon.ping"), "pong")
            except self.BROKEN:
                connection.close()
                connection = daemon.connect()
            self.assertLess(n, MOST)
            n += chance.randint(1, step)
        connection.close()
        return n

    @staticmethod
    def lines(samples):
        """Returns, for each method, a function that makes a line of it."""

        def maker(method):
            return lambda: strict.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": f"{method}\u00e9",
                    "method": method,
                    "params": samples.params()[method],
                }
            )

        return {
            method: maker(method)
            for method in METHODS
            if method not in ("daemon.pause", "daemon.resume")
        }  # they would make the following calls wait

    def test_every_method(self):
        """The second round must not increase the memory in use."""
        with Daemon(environment=self.environment) as daemon:
            with daemon.connect() as connection:
                lines = self.lines(Samples(connection))
            counts = {
                method: self.every(daemon, line, 1 if LONG else 4) for method, line in lines.items()
            }
            self.assertGreater(sum(counts.values()), 1500)
            self.assertGreater(sum(count > 0 for count in counts.values()), len(METHODS) - 10)
            self.leaks(daemon, lines, counts)

    def leaks(self, daemon, lines, counts):
        chance = random.Random(8)
        refused = [(method, n) for method, count in counts.items() for n in range(count)]
        before = None
        for part in range(3):
            for method, n in chance.sample(refused, 250):
                with daemon.connect() as connection:
                    self.attempt(
                        connection, lines[method](), n, usual={"invalid_params"}
                    )  # the backup has no folder
            live = self.settled(daemon)
            if before is not None:
                self.assertLess(live - before, 150, f"blocks that are never freed (round {part})")
            before = live

    def settled(self, daemon):
        """Returns the number of small blocks in use once all other connections are closed."""
        with daemon.connect() as connection:
            self.within(10, lambda: connection.call("daemon.stats")["gauges"]["clients"] == 1)
        return self.words.live

    def test_many_at_once(self):
        """The n-th allocation and the next two fail, so that the cleanup after the first has no
        memory either."""
        with Daemon(environment=self.environment) as daemon:
            with daemon.connect() as connection:
                lines = self.lines(Samples(connection))
            for line in (
                lines.values() if LONG else random.Random(6).sample(list(lines.values()), 20)
            ):
                self.every(daemon, line, 40, 3)

    def test_none_for_a_while(self):
        """Calls time out; once there is memory again, all calls succeed."""
        with Daemon(environment=self.environment, options=("--call-timeout", "1s")) as daemon:
            with daemon.connect() as connection:
                samples = Samples(connection)
            for method in ("create_user", "get_user_goals", "daemon.ping", "verify_user_password"):
                self.attempt(daemon.connect(), self.lines(samples)[method](), 5, 1 << 40)
                self.within(5, lambda: self.works(daemon, samples))

    @staticmethod
    def works(daemon, samples):
        with daemon.connect() as connection:
            answers = connection.many(
                [
                    ("create_user", samples.params()["create_user"]),
                    ("get_user", samples.params()["get_user"]),
                ]
            )
        return all("result" in answer for answer in answers)

    def test_batches_and_garbage(self):
        with Daemon(environment=self.environment) as daemon:
            with daemon.connect() as connection:
                lines = self.lines(Samples(connection))
            batch = [
                lines[method]
                for method in (
                    "get_user",
                    "create_goal",
                    "daemon.version",
                    "get_user_goals",
                    "create_user",
                )
            ]
            garbage = [
                "{",
                '["a',
                "[]",
                "[1,{}]",
                '{"jsonrpc":"2.0","id":"\\u00e9","method":"n\\u00e9"}',
                '{"a":1,"b":2,"\\u0061":3}',
                "[" * 60 + "]" * 60,
                '[{"jsonrpc":"2.0","method":"daemon.ping"},'
                '{"jsonrpc":"2.0","id":1,"method":"get_user_count"}]',
                "[0" + ",0" * 999 + "]",
            ]
            # A commit without memory reopens the database, which takes thousands of allocations.
            self.every(
                daemon, lambda: "[" + ",".join(line() for line in batch) + "]", 1 if LONG else 60
            )
            for line in garbage:
                self.every(daemon, lambda line=line: line)
            big = strict.dumps(
                {"jsonrpc": "2.0", "id": 1, "method": "daemon.ping", "params": {"x": "y" * 500_000}}
            )
            self.every(daemon, lambda: big)

    def test_connecting(self):
        with Daemon(environment=self.environment) as daemon:
            for n in range(MOST):
                with self.scarce(n):
                    try:
                        with daemon.connect() as connection:
                            self.assertEqual(connection.call("daemon.ping"), "pong")
                    except self.BROKEN:
                        pass
                    failed = self.words.failed
                self.assertTrue(daemon.alive(), daemon.log()[-3000:])
                if not failed:
                    break
            self.assertGreater(n, 0)


class Group(Scarce):
    """Writes that share a transaction, of which one runs out of memory: refused ones are not
    stored, answered ones are. The same holds for the users of a client's transaction together, and
    for idempotency keys."""

    CALLS, ROUNDS = 40, 1000 if LONG else 250

    def test_refused_is_absent(self):
        chance = random.Random(11)
        with Daemon(environment=self.environment) as daemon:
            self.answers, failed = {}, 0
            for _ in range(self.ROUNDS):
                with self.scarce(chance.randrange(40 * self.CALLS), chance.choice((1, 1, 3, 8))):
                    self.round(daemon)
                failed += self.words.failed
            self.assertGreater(failed, self.ROUNDS // 2)
            refused = [line for line, answer in self.answers.items() if "error" in answer]
            self.assertEqual({self.kind(line) for line in refused}, {0, 1, 2, 3})
            self.assertEqual(self.wrongly_stored(daemon), [])
            self.again(daemon, chance)

    def wrongly_stored(self, daemon):
        database = sqlite3.connect(daemon.database.path, timeout=10)
        there = {row[0] for row in database.execute("SELECT email FROM users")}
        database.close()
        return [
            (line, answer, sorted(self.emails(line) & there))
            for line, answer in self.answers.items()
            if self.emails(line) & there != ("result" in answer and self.emails(line) or set())
        ]

    def again(self, daemon, chance):
        """A repeat of a refused write is carried out; that of another gives its answer again."""
        keyed = [line for line in self.answers if "idempotency_key" in line]
        with daemon.connect() as connection:
            for line in chance.sample(keyed, 200):
                connection.send(line + "\n")
                answer, before = connection.read(), self.answers[line]
                self.assertIn("result", answer, (line, before))
                if "result" in before:
                    self.assertEqual(answer, before)

    @staticmethod
    def emails(line):
        return set(re.findall(r'"email":\s*"([^"]+)"', line))

    @staticmethod
    def kind(line):
        return 2 * ("daemon.transaction" in line) + ("idempotency_key" in line)

    @staticmethod
    def line(number):
        """One or two users, with or without an idempotency key."""
        request = {"jsonrpc": "2.0", "id": number}
        if number % 2:
            request["idempotency_key"] = unique("key")
        create = {"method": "create_user", "params": {"user": new_user()}}
        other = {"method": "create_user", "params": {"user": new_user()}}
        whole = {"method": "daemon.transaction", "params": {"calls": [create, other]}}
        return strict.dumps({**request, **(create if number % 4 < 2 else whole)})

    def round(self, daemon):
        """Sends many writes at once. Calls of a closed connection are unknown."""
        lines = [self.line(number) for number in range(self.CALLS)]
        with daemon.connect() as connection:
            try:
                connection.send("".join(line + "\n" for line in lines))
                for _ in lines:
                    answer = connection.read()
                    if answer["id"] is not None:
                        self.answers[lines[answer["id"]]] = answer
            except Calls.BROKEN:
                pass


class Constant(Scarce):
    """Each 37th allocation fails, for many clients at once. Reopening the database fails as well
    while that lasts."""

    CLIENTS, EVERY, SECONDS = 8, 37, 30 if LONG else 6

    def test_every_call_ends_in_time(self):
        """Each call ends with a correct answer or with the end of its connection."""
        with Daemon(environment=self.environment, options=("--call-timeout", "2s")) as daemon:
            self.stop, self.answers, self.late = threading.Event(), {}, []
            threads = [
                threading.Thread(target=self.client, args=(daemon,)) for _ in range(self.CLIENTS)
            ]
            with self.scarce(self.EVERY, 1, self.EVERY):
                for thread in threads:
                    thread.start()
                time.sleep(self.SECONDS)
                self.stop.set()
                for thread in threads:
                    thread.join()
                self.assertGreater(self.words.failed, 10)
            self.assertEqual(self.late, [])
            self.within(10, lambda: self.stored(daemon))
            database = sqlite3.connect(daemon.database.path, timeout=10)
            there = {row[0] for row in database.execute("SELECT email FROM users")}
            database.close()
            refused = {email for email, answer in self.answers.items() if "error" in answer}
            self.assertGreater(len(refused), 0)
            self.assertEqual(refused & there, set(), "refused, but stored")
            self.assertEqual(set(self.answers) - refused - there, set(), "answered, but not stored")

    @staticmethod
    def stored(daemon):
        with daemon.connect() as one:
            return "result" in one.answer(one.request("create_user", user=new_user()))

    def client(self, daemon):
        while not self.stop.is_set():
            try:
                with daemon.connect(15) as one:
                    while not self.stop.is_set():
                        self.pipeline(one)
            except (Closed, ConnectionResetError, BrokenPipeError, ConnectionRefusedError):
                continue
            except Late:
                self.late.append("a call was not answered in 15 s, with a time limit of 2 s")
                return

    def pipeline(self, one):
        users = {one.last_id + 1 + number: new_user() for number in range(6)}
        for user in users.values():
            one.request("create_user", user=user)
        rotation = one.request("rotate_key")
        for _ in range(len(users) + 1):
            answer = one.read()
            if answer["id"] is None:
                raise Closed()
            if answer["id"] != rotation:
                self.answers[users[answer["id"]]["email"]] = answer


class Starting(Scarce):
    def test_start(self):
        """The daemon starts, or reports the reason and exits with a code of sysexits.h."""
        with self.scarce(1 << 40):
            with Daemon(environment=self.environment):
                count = (1 << 40) - self.words.left
        for n in sorted(random.Random(9).sample(range(count), 500 if LONG else 50)):
            folder = temporary_folder()
            try:
                with self.scarce(n):
                    daemon = Daemon(folder=folder, environment=self.environment).start()
                with daemon.connect() as connection:
                    self.assertEqual(connection.call("get_user_count"), 0)
                daemon.stop()
            except StartFailure as failure:
                self.assertIn(
                    failure.code, range(64, 79), f"start without allocation {n}: {failure.log}"
                )
                self.assertRegex(failure.log, "memory|allocat", f"start without allocation {n}")
            finally:
                shutil.rmtree(folder, ignore_errors=True)
