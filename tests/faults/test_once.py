"""Writers through the client library, while connections are cut, the daemon is killed and the
server's processes are ended: each write is there once, and its caller knows it. Would catch: a
write that is repeated without its key, or given up while a daemon can be reached; an answer that is
stored apart from its write; a key that is not seen by another daemon, or after a restart."""
import collections
import os
import random
import select
import socket
import threading
import time

from lib import databases
from lib.case import Case
from lib.daemon import SANITIZER, Daemon, new_key, temporary_folder
from lib.library import Error, Handle
from lib.world import World, new_api_key, new_usage, unique

STRICT = True

LONG = bool(os.environ.get("PIERRE_TEST_LONG"))
WRITES = int(os.environ.get("PIERRE_TEST_WRITES", "100000" if LONG else "6000"))
WRITERS = 10
WINDOW = 16  # calls that a writer has under way
CALL_MS = 60000


class Proxy(threading.Thread):
    """Between clients and the daemons of `targets`, of which each connection gets one by chance.
    cut() ends connections, some in the middle of a line."""

    def __init__(self, path, targets):
        super().__init__(daemon=True)
        self.targets, self.chance = targets, random.Random(11)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.others = {}  # socket -> the one on the other side
        self.doomed = collections.Counter()  # socket -> bytes that it still passes on
        self.lock = threading.Lock()
        self.cuts = 0
        self.ending = False

    def cut(self, count):
        with self.lock:
            for one in self.chance.sample(
                sorted(self.others, key=id), min(count, len(self.others))
            ):
                self.doomed[one] = self.chance.choice((0, 1, 40, 200, 2000))

    def accept(self):
        client = self.listener.accept()[0]
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.chance.choice(self.targets))
        except OSError:
            client.close()
            server.close()
            return
        self.others[client], self.others[server] = server, client

    def end(self, one):
        other = self.others.pop(one, None)
        if other is None:
            return
        del self.others[other]
        for each in (one, other):
            self.doomed.pop(each, None)
            each.close()

    def forward(self, one):
        if one not in self.others:
            return
        try:
            data = one.recv(1 << 16)
            with self.lock:
                left = self.doomed.get(one)
            if left is not None:
                self.cuts += 1
                self.others[one].sendall(data[:left])
                data = b""
            if data:
                self.others[one].sendall(data)
            else:
                self.end(one)
        except OSError:
            self.end(one)

    def run(self):
        while not self.ending:
            with self.lock:
                sockets = [self.listener, *self.others]
            for one in select.select(sockets, [], [], 0.05)[0]:
                if one is self.listener:
                    with self.lock:
                        self.accept()
                else:
                    self.forward(one)
        for one in list(self.others):
            self.end(one)
        self.listener.close()


class Chaos(threading.Thread):
    """Cuts connections all the time, kills a daemon now and then, and on PostgreSQL ends the
    server's processes."""

    def __init__(self, proxy, daemons, seconds):
        super().__init__(daemon=True)
        self.proxy, self.daemons, self.seconds = proxy, daemons, seconds
        self.chance = random.Random(5)
        self.kills = self.ended = 0
        self.ending = threading.Event()
        self.problem = None

    def kill(self):
        daemon = self.chance.choice(self.daemons)
        daemon.kill()
        self.kills += 1
        daemon.start()

    def end_backends(self):
        database = self.daemons[0].database
        if databases.chosen() == "postgres":
            self.ended += len(
                database.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                    f"pg_backend_pid() AND datname = '{database.name}' AND random() < 0.5"
                ).split()
            )

    def run(self):
        last = time.monotonic()
        try:
            while not self.ending.wait(self.chance.uniform(0.01, 0.06)):
                self.proxy.cut(self.chance.choice((1, 1, 2, 50)))
                if self.chance.random() < 0.2:
                    self.end_backends()
                if time.monotonic() - last > self.seconds:
                    self.kill()
                    last = time.monotonic()
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem


class Writer(threading.Thread):
    """Each write has a text of its own, by which its row is found."""

    def __init__(self, path, writes, makers):
        super().__init__(daemon=True)
        self.handle = Handle(path, 30000, CALL_MS)
        self.writes, self.makers = writes, makers
        self.names, self.kinds = {}, {}
        self.problem = None

    def run(self):
        try:
            for number in range(1, self.writes + 1):
                name = unique("w")
                kind, method, params = self.makers[number % len(self.makers)](name)
                self.names[number], self.kinds[number] = name, kind
                self.handle.queue(number, method, params)
                if number % WINDOW == 0:
                    self.handle.wait()
            self.handle.wait()
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem


def strings(rows):
    """The rows of one column."""
    return rows.splitlines() if isinstance(rows, str) else [row[0] for row in rows]


class Once(Case):
    TABLES = {  # what finds a write's row by its name, and the answer that its caller got
        "goal": ("goals", "title", "id"),
        "task": ("a2a_tasks", "task_type", "id"),
        "insight": ("analytics_insights", "insight_type", "id"),
        "key": ("api_keys", "name", None),
        "usage": ("api_key_usage", "tool_name", None),
    }

    def setUp(self):
        if SANITIZER:
            self.skipTest("the library is loaded into Python, which a sanitizer does not allow")
        self.folder = temporary_folder()

    def makers(self, daemon):
        with daemon.connect() as connection:
            world = World(connection)
            user = world.user()
            key = world.api_key(user)
            client = world.client(key)
        return [
            lambda name: (
                "goal",
                "create_goal",
                {"user_id": user, "goal_data": {"title": name}},
            ),
            lambda name: (
                "usage",
                "record_api_key_usage",
                {"usage": new_usage(key, tool_name=name)},
            ),
            lambda name: (
                "key",
                "create_api_key",
                {"api_key": {**new_api_key(user), "id": name, "name": name}},
            ),
            lambda name: (
                "insight",
                "store_insight",
                {"user_id": user, "insight_data": {"insight_type": name}},
            ),
            lambda name: (
                "task",
                "create_a2a_task",
                {"client_id": client, "task_type": name, "input_data": {}},
            ),
        ]

    def daemons(self):
        """Two on PostgreSQL."""
        key, first = new_key(), Daemon(key=new_key())
        first.key = key
        self.addCleanup(first.discard)
        first.start()
        if databases.chosen() == "sqlite":
            return [first]
        second = Daemon(key=key, database=first.database)
        self.addCleanup(second.discard)
        return [first, second.start()]

    def count(self, daemon, writers):
        """(writes, lost, twice, unknown, other failures, wrong answers)."""
        found, rows = collections.Counter(), {}
        for kind, (table, column, answer) in self.TABLES.items():
            both = strings(
                daemon.database.query(
                    f"SELECT {column} || ' ' || CAST({answer} AS TEXT) FROM {table}"
                    if answer
                    else f"SELECT {column} || ' ' FROM {table}"
                )
            )
            found.update((kind, one.split(" ")[0]) for one in both)
            if answer:
                rows[kind] = dict(one.split(" ") for one in both)
        lost = twice = unknown = failed = wrong = 0
        for writer in writers:
            for number, name in writer.names.items():
                kind, result = writer.kinds[number], writer.handle.results[number]
                times = found[kind, name]
                twice += times > 1
                if isinstance(result, Error):
                    unknown += result.outcome == 1
                    failed += result.outcome != 1
                    print(f"  {kind} {name}: {result.kind} {result.message.decode()}", flush=True)
                    continue
                lost += times == 0
                wrong += kind in rows and rows[kind].get(name) != result
        return sum(writer.writes for writer in writers), lost, twice, unknown, failed, wrong

    def test_checker(self):
        daemons = self.daemons()
        proxy = Proxy(os.path.join(self.folder, "proxy"), [one.socket_path for one in daemons])
        proxy.start()
        chaos = Chaos(proxy, daemons, 1.0 if LONG else 0.2)
        makers = self.makers(daemons[0])
        writers = [
            Writer(os.path.join(self.folder, "proxy"), WRITES // WRITERS, makers)
            for _ in range(WRITERS)
        ]
        began = time.monotonic()
        for thread in (*writers, chaos):
            thread.start()
        for writer in writers:
            writer.join()
        chaos.ending.set()
        chaos.join()
        proxy.ending = True
        proxy.join()
        self.assertEqual([writer.problem for writer in writers], [None] * WRITERS)
        self.assertIsNone(chaos.problem)
        counts = self.count(daemons[0], writers)
        print(
            f"  {counts[0]} writes, {proxy.cuts} cuts, {chaos.kills} kills of a daemon, "
            f"{chaos.ended} of server processes, {time.monotonic() - began:.0f} s: lost, twice, "
            f"unknown, failed, wrong answer: {counts[1:]}",
            flush=True,
        )
        for writer in writers:
            writer.handle.close()
        self.assertEqual(counts[1:], (0, 0, 0, 0, 0))
        self.assertGreater(proxy.cuts, 10)
        self.assertGreater(chaos.kills, 0)
