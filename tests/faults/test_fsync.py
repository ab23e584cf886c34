"""The order of fsync and answer, and the handling of disk errors, by tracing and altering the
daemon's system calls. Would catch: an answer before its fsync, synchronous=OFF or NORMAL, a commit
that "succeeds" after a failed fsync, a write batch that is partly stored."""
import os
import re
import shutil
import subprocess
import threading
import time

from lib import invariants
from lib.case import Case
from lib.daemon import Daemon, SANITIZER, SLOW
from lib.rpc import Closed, RpcError
from lib.world import World, new_usage, new_user, uuid4

BACKENDS = ("sqlite",)
STRICT = True
SANITIZERS = False
WRITES = 1000


def strace_works(options=("-e", "trace=getpid")):
    if shutil.which("strace") is None:
        return False
    return (
        subprocess.run(
            ["strace", "-o", "/dev/null", *options, "true"], capture_output=True, check=False
        ).returncode
        == 0
    )


class Traced(Case):
    def setUp(self):
        if SANITIZER:
            self.skipTest("a sanitizer's build is not traced")
        if not strace_works():
            self.skipTest(
                "strace is ABSENT or cannot trace here: the order of fsync and answer is NOT "
                "tested"
            )


class Order(Traced):
    def test_each_answer_is_after_its_fsync(self):
        """For each answered write: its text is written to the WAL, an fdatasync of the WAL begins
        after that and ends, and then the answer is sent."""
        daemon = Daemon()
        trace = os.path.join(daemon.folder, "trace")
        daemon.wrapper = [
            "strace",
            "-f",
            "-yy",
            "-ttt",
            "-s",
            "140000",
            "-e",
            "signal=none",
            "-o",
            trace,
            "-e",
            "trace=pwrite64,pwritev,write,writev,sendmsg,sendto,fdatasync,fsync",
        ]
        daemon.start()
        try:
            marks = self.write(daemon)
            daemon.wrapper = []
            daemon.signal(15)
            daemon.process.wait(20)
        finally:
            daemon.kill()
        try:
            self.judge(trace, marks)
        finally:
            daemon.discard()

    def write(self, daemon):
        """Writes WRITES users over 8 connections. Returns a map from mark to the id of its request;
        ids are unique over all connections."""
        marks, lock, problems = {}, threading.Lock(), []

        def work(worker):
            try:
                with daemon.connect() as connection:
                    connection.last_id = worker * 1_000_000
                    requests = []
                    for index in range(WRITES // 8):
                        requests.append(
                            (
                                "create_user",
                                {"user": new_user(display_name=f"mark-{worker}-{index}-end")},
                            )
                        )
                        with lock:
                            marks[f"mark-{worker}-{index}-end"] = worker * 1_000_000 + index + 1
                    for at in range(0, len(requests), 5):
                        for answer in connection.many(requests[at : at + 5]):
                            assert "result" in answer, answer
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        return marks

    def judge(self, trace, marks):
        written, syncs, answered = events(trace, marks)
        self.assertEqual(set(marks) - set(written), set(), "texts that never reached the WAL")
        self.assertEqual(set(marks.values()) - set(answered), set(), "answers that the trace lacks")
        self.assertGreater(len(syncs), 0)
        late = []
        for mark, identifier in marks.items():
            if not any(
                begin >= written[mark] and end <= answered[identifier] for begin, end in syncs
            ):
                late.append((mark, written[mark], answered[identifier]))
        self.assertEqual(
            late,
            [],
            f"answered before an fdatasync that began after the WAL was written ({len(syncs)} "
            "syncs)",
        )
        print(f"  {len(marks)} answers, {len(syncs)} syncs of the WAL", flush=True)


class Folders(Traced):
    def test_new_folders_are_durable(self):
        """The directory entry of each folder created for the database is synced before the first
        answer."""
        daemon = Daemon()
        daemon.url = f"sqlite:{daemon.folder}/deep/er/pierre.db"
        trace = os.path.join(daemon.folder, "trace")
        daemon.wrapper = [
            "strace",
            "-f",
            "-yy",
            "-e",
            "signal=none",
            "-o",
            trace,
            "-e",
            "trace=mkdir,fsync,listen",
        ]
        self.addCleanup(daemon.discard)
        daemon.start()
        with open(trace, encoding="utf-8") as file:
            calls = [re.sub(r"^\d+ +", "", line) for line in file]
        for made in (f"{daemon.folder}/deep", f"{daemon.folder}/deep/er"):
            at = next(
                index
                for index, call in enumerate(calls)
                if call.startswith(f'mkdir("{made}"') and call.endswith("= 0\n")
            )
            end = next(index for index, call in enumerate(calls) if call.startswith("listen("))
            self.assertTrue(
                any(
                    re.match(rf"fsync\(\d+<{re.escape(os.path.dirname(made))}>\) += 0", call)
                    for call in calls[at:end]
                ),
                calls,
            )


LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$", re.DOTALL)


def events(trace, marks):
    """Returns (mark -> end of its WAL write, [(begin, end) of WAL syncs], id -> begin of sending
    its answer)."""
    written, syncs, answered, open_sync, open_write = {}, [], {}, {}, {}
    pattern = re.compile(r"mark-\d+-\d+-end")
    identifier = re.compile(r'\{\\"jsonrpc\\":\\"2\.0\\",\\"id\\":(\d+),\\"result\\"')
    with open(trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = LINE.match(line)
            if match is None:
                continue
            pid, when, text = match.group(1), float(match.group(2)), match.group(3)
            if text.startswith("<..."):
                if pid in open_sync and ("fdatasync" in text or "fsync" in text) and "= 0" in text:
                    syncs.append((open_sync.pop(pid), when))
                elif pid in open_write:
                    for mark in open_write.pop(pid):
                        written.setdefault(mark, when)
            elif text.startswith(("fdatasync(", "fsync(")) and "-wal>" in text:
                if "unfinished" in text:
                    open_sync[pid] = when
                elif "= 0" in text:
                    syncs.append(
                        (when, when)
                    )  # a finished line: nothing else of this trace is in between
            elif (
                text.startswith(("pwrite64(", "pwritev(", "write("))
                and "-wal>" in text.split(",", 1)[0]
            ):
                found = pattern.findall(text)
                if "unfinished" in text:
                    open_write[pid] = found
                else:
                    for mark in found:
                        written.setdefault(mark, when)
            elif text.startswith(("sendmsg(", "sendto(", "write(", "writev(")):
                for one in identifier.findall(text):
                    answered.setdefault(int(one), when)
    return written, syncs, answered


class Injected(Traced):
    """System calls on the WAL fail from some moment on. Answered writes are stored, refused ones
    are not, and the daemon recovers by itself."""

    def setUp(self):
        super().setUp()
        if not strace_works(("-e", "inject=getpid:error=EIO")):
            self.skipTest(
                "strace cannot inject faults here: failing fsync and pwrite are NOT tested"
            )

    def inject(self, daemon, call, what, end="-wal"):
        """From now on, calls of that name on the WAL (end "": on the database) fail; `what` selects
        which."""
        tracer = subprocess.Popen(
            [
                "strace",
                "-f",
                "-p",
                str(daemon.pid),
                "-P",
                daemon.database.path + end,
                "-e",
                "signal=none",
                "-e",
                f"trace={call}",
                "-e",
                f"inject={call}:{what}",
                "-o",
                os.path.join(daemon.folder, "inject"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.within(5, lambda: self.traced(daemon.pid))
        return tracer

    @staticmethod
    def traced(pid):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
                if "TracerPid:\t0\n" in file.read():
                    return False
        return True

    def one(self, call, error, times):
        with Daemon() as daemon:
            before = self.warm(daemon)
            stored, refused, unclear = [], [], []
            tracer = self.inject(daemon, call, f"error={error}:when={times}")
            try:
                self.write_on(daemon, stored, refused, unclear, 40)
            finally:
                tracer.terminate()
                tracer.wait()
            self.assertTrue(refused or unclear, "the fault was not noticed")
            self.within(10, lambda: self.heals(daemon))
            with daemon.connect() as connection:
                invariants.check_stored(connection, stored)
                for user in refused:
                    self.assertIsNone(
                        connection.call("get_user", user_id=user), "a refused write is there"
                    )
            invariants.check(daemon, before)

    def warm(self, daemon):
        with daemon.connect() as connection:
            for _ in range(5):
                World(connection).user()
        return invariants.Snapshot(daemon)

    def write_on(self, daemon, stored, refused, unclear, count):
        with daemon.connect(10) as connection:
            for _ in range(count):
                user = uuid4()
                try:
                    connection.call("create_user", user=new_user(id=user))
                    stored.append(user)
                except RpcError as problem:
                    self.assertIn(problem.kind, ("storage", "unavailable", "timeout"), str(problem))
                    (unclear if problem.data.get("outcome") == "unknown" else refused).append(user)
                except Closed:
                    unclear.append(user)
                    return

    def heals(self, daemon):
        self.assertTrue(daemon.alive(), daemon.log()[-3000:])
        try:
            return daemon.call("create_user", user=new_user())
        except RpcError:
            return None

    def test_fdatasync_eio_once(self):
        self.one("fdatasync", "EIO", "3")

    def test_fdatasync_eio_for_a_while(self):
        self.one("fdatasync", "EIO", "2..9")

    def test_fdatasync_eio_again_and_again(self):
        self.one("fdatasync", "EIO", "1+3")

    def test_pwrite_eio(self):
        self.one("pwrite64", "EIO", "7..9")

    def test_pwrite_enospc(self):
        self.one("pwrite64", "ENOSPC", "4..20")

    def test_refused_stays_refused_after_a_kill(self):
        """A commit whose sync failed is still in the WAL. The next start must not take it as valid
        and store what was refused."""
        daemon = Daemon()
        daemon.start()
        self.addCleanup(daemon.discard)
        stored, refused, unclear = [], [], []
        self.warm(daemon)
        self.write_on(daemon, stored, refused, unclear, 3)
        tracer = self.inject(daemon, "fdatasync", "error=EIO:when=1+")
        try:
            self.write_on(daemon, stored, refused, unclear, 3)
        finally:
            daemon.kill()
            tracer.terminate()
            tracer.wait()
        self.assertEqual((len(stored), len(refused), len(unclear)), (3, 3, 0))
        with Daemon(
            "sqlite", daemon.database, folder=daemon.folder, key=daemon.key
        ) as again, again.connect() as connection:
            invariants.check_stored(connection, stored)
            for user in refused:
                self.assertIsNone(
                    connection.call("get_user", user_id=user), "a refused write is there"
                )
        self.assertEqual(invariants.integrity(daemon.database.path), "ok")

    def test_group_is_refused_as_a_whole(self):
        """Many calls share the commit that fails: all of them are refused, and none is stored."""
        with Daemon() as daemon:
            before = self.warm(daemon)
            with daemon.connect() as connection:
                key = World(connection).api_key(World(connection).user())
            tracer = self.inject(daemon, "fdatasync", "error=EIO:when=2..3")
            stored, refused = set(), set()
            try:
                with daemon.connect() as connection:
                    answers = connection.many(
                        [
                            (
                                "record_api_key_usage",
                                {"usage": new_usage(key, tool_name=f"t{index}")},
                            )
                            for index in range(400)
                        ]
                    )
                    for index, answer in enumerate(answers):
                        (stored if "result" in answer else refused).add(f"t{index}")
            finally:
                tracer.terminate()
                tracer.wait()
            self.assertTrue(refused)
            self.within(10, lambda: self.heals(daemon))
            there = set(
                daemon.call(
                    "get_api_key_usage_stats", [key, "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]
                )["tool_usage"]
            )
            self.assertEqual(there, stored)
            invariants.check(daemon, before)

    def test_transactions(self):
        """The commit that many transactions share fails, or a page of theirs cannot be written:
        each is there as a whole or not at all, as it was answered."""
        for call, fault in (
            ("fdatasync", "error=EIO:when=2..3"),
            ("pwrite64", "error=ENOSPC:when=2..3"),
        ):
            with self.subTest(call=call), Daemon() as daemon:
                before = self.warm(daemon)
                tracer = self.inject(daemon, call, fault)
                users = [uuid4() for _ in range(300)]
                try:
                    with daemon.connect() as connection:
                        answers = connection.many(
                            [
                                (
                                    "daemon.transaction",
                                    {
                                        "calls": [
                                            {
                                                "method": "create_user",
                                                "params": {"user": new_user(id=user)},
                                            },
                                            {
                                                "method": "create_goal",
                                                "params": [user, {"title": "x" * 500}],
                                            },
                                        ]
                                    },
                                )
                                for user in users
                            ]
                        )
                finally:
                    tracer.terminate()
                    tracer.wait()
                kinds = {answer["error"]["data"]["kind"] for answer in answers if "error" in answer}
                self.assertEqual(kinds, {"storage"})
                self.within(10, lambda: self.heals(daemon))
                with daemon.connect() as connection:
                    for user, answer in zip(users, answers):
                        goals = connection.call("get_user_goals", [user])
                        there = connection.call("get_user", [user]) is not None
                        whole = "result" in answer
                        self.assertEqual((there, len(goals)), (whole, int(whole)))
                invariants.check(daemon, before)

    def test_checkpoint_is_not_durable(self):
        """SQLite counts pages copied into the database as done although their sync failed. It would
        then reset the WAL, the only durable copy. Instead the daemon ends, leaves the WAL, and
        copies all of it again at its next start."""
        daemon = Daemon(options=("--checkpoint-pages", "10"))
        daemon.start()
        self.addCleanup(daemon.discard)
        self.warm(daemon)
        stored, ended = [], []
        tracer = self.inject(daemon, "fdatasync", "error=EIO:when=1+", "")
        try:
            workers = [
                threading.Thread(target=self.write_until_the_end, args=(daemon, stored, ended))
                for _ in range(6)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(60)
            daemon.expected_exits = {74}
            self.assertEqual(daemon.process.wait(20), 74, daemon.log()[-2000:])
        finally:
            tracer.terminate()
            tracer.wait()
        self.assertEqual(len(ended), 6)
        self.assertIn("may not have reached the disk", daemon.log())
        self.assertGreater(
            os.path.getsize(daemon.database.path + "-wal"), 10 * 4096, "the WAL was reset"
        )
        with Daemon(
            "sqlite", daemon.database, folder=daemon.folder, key=daemon.key
        ) as again, again.connect() as connection:
            invariants.check_stored(connection, stored)
        self.assertEqual(invariants.integrity(daemon.database.path), "ok")

    @staticmethod
    def write_until_the_end(daemon, stored, ended):
        try:
            with daemon.connect(30) as connection:
                while True:
                    users = [uuid4() for _ in range(4)]
                    for user, answer in zip(
                        users,
                        connection.many(
                            [("create_user", {"user": new_user(id=user)}) for user in users]
                        ),
                    ):
                        if "result" in answer:
                            stored.append(user)
        except (Closed, OSError):
            ended.append(True)


class Patience(Case):
    def test_slow_disk(self):
        """A slow disk delays answers and nothing else: pings are prompt while commits wait."""
        if SANITIZER or not strace_works(("-e", "inject=getpid:delay_exit=1")):
            self.skipTest("strace cannot delay calls here: a slow disk is NOT tested")
        with Daemon() as daemon:
            World(daemon.connect()).user()
            tracer = subprocess.Popen(
                [
                    "strace",
                    "-f",
                    "-p",
                    str(daemon.pid),
                    "-P",
                    daemon.database.path + "-wal",
                    "-e",
                    "trace=fdatasync",
                    "-e",
                    "inject=fdatasync:delay_exit=400000",
                    "-o",
                    "/dev/null",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            self.within(5, lambda: Injected.traced(daemon.pid))
            try:
                with daemon.connect() as writer, daemon.connect() as other:
                    identifier = writer.request("create_user", user=new_user())
                    time.sleep(0.05)
                    began = time.monotonic()
                    for _ in range(10):
                        other.call("get_user_count")
                    self.assertLess(time.monotonic() - began, 0.3 * SLOW)
                    self.assertIn("result", writer.answer(identifier))
            finally:
                tracer.terminate()
                tracer.wait()
