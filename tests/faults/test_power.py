"""Power loss: every write and sync of the database's files is traced, and images are made as a disk
may hold them at some moment. Synced data is present; unsynced data is present, missing or torn.
Each image must open, be sound, and hold every write that was answered. Would catch: an answer
before its fsync, a checkpoint that precedes the log's sync, a missing sync of the database."""
import os
import random
import re
import shutil
import sqlite3
import subprocess
import threading

from lib.case import Case
from lib.daemon import Daemon, SANITIZER, temporary_folder
from lib.databases import Sqlite
from lib.world import new_user

BACKENDS = ("sqlite",)
STRICT = True
SANITIZERS = False
IMAGES = 400 if os.environ.get("PIERRE_TEST_LONG") else 120
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$", re.DOTALL)
FILE = re.compile(r"^\d+<([^>]*)>")
DATA = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
IDENTIFIER = re.compile(rb'"id":(\d+),"result"')


def unescape(text):
    """strace -xx prints texts and paths as \\x2f\\x74…"""
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


class Disk:
    """The files as a disk holds them: the synced content, and the writes since."""

    def __init__(self):
        self.synced = {}  # path -> bytes
        self.pending = {}  # path -> [(offset, bytes) or (length, None) for a truncation]

    def write(self, path, offset, data):
        self.pending.setdefault(path, []).append((offset, data))

    def truncate(self, path, length):
        self.pending.setdefault(path, []).append((length, None))

    def sync(self, path):
        self.synced[path] = self.apply(path, self.pending.pop(path, []))

    def apply(self, path, writes):
        content = bytearray(self.synced.get(path, b""))
        for offset, data in writes:
            if data is None:
                content = content[:offset].ljust(offset, b"\0")
            else:
                content = content.ljust(offset, b"\0")
                content[offset : offset + len(data)] = data
        return bytes(content)

    def image(self, chance):
        """Returns path -> content after a power loss: some of the unsynced writes are present, some
        are missing, some are torn at a sector."""
        found = {}
        odds = chance.choice((0.0, 0.5, 0.9, 1.0))
        for path in set(self.synced) | set(self.pending):
            kept = []
            for offset, data in self.pending.get(path, []):
                if chance.random() >= odds:
                    continue
                if data is not None and len(data) > 512 and chance.random() < 0.3:
                    data = data[: 512 * chance.randrange(1, len(data) // 512 + 1)]
                kept.append((offset, data))
            found[path] = self.apply(path, kept)
        return found


class Power(Case):
    def setUp(self):
        if SANITIZER:
            self.skipTest("a sanitizer's build is not traced")
        if (
            shutil.which("strace") is None
            or subprocess.run(
                ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False
            ).returncode
            != 0
        ):
            self.skipTest("strace is ABSENT or cannot trace here: power loss is NOT tested")
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, True)

    def test_images(self):
        trace = os.path.join(self.folder, "trace")
        daemon = Daemon(
            "sqlite",
            Sqlite(self.folder),
            folder=self.folder,
            options=("--checkpoint-pages", "40"),
            wrapper=(
                "strace",
                "-f",
                "-yy",
                "-xx",
                "-s",
                "1000000",
                "-e",
                "signal=none",
                "-o",
                trace,
                "-e",
                "trace=pwrite64,write,writev,sendmsg,sendto,fdatasync,fsync,ftruncate,unlink",
            ),
        )
        daemon.start()
        try:
            emails = self.write(daemon)
            daemon.signal(15)
            daemon.process.wait(30)
        finally:
            daemon.kill()
        events = list(self.events(trace, daemon.database.path))
        self.assertGreater(
            sum(kind == "sync" and path.endswith("-wal") for kind, path, *_ in events), 10
        )
        self.assertTrue(
            any(kind == "write" and path == daemon.database.path for kind, path, *_ in events),
            "no checkpoint was seen",
        )
        self.replay(events, emails, daemon)

    def write(self, daemon):
        """Creates users on four connections. Returns a map from request id to e-mail."""
        emails, lock, problems = {}, threading.Lock(), []

        def work(worker):
            try:
                with daemon.connect() as connection:
                    connection.last_id = worker * 1_000_000
                    for _ in range(25):
                        users = [new_user(display_name="n" * 700) for _ in range(3)]
                        with lock:
                            emails.update(
                                {
                                    connection.last_id + 1 + index: user["email"]
                                    for index, user in enumerate(users)
                                }
                            )
                        for answer in connection.many(
                            [("create_user", {"user": user}) for user in users]
                        ):
                            assert "result" in answer, answer
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        return emails

    def events(self, trace, path):
        """Yields ("write", path, offset, data), ("truncate", path, length), ("unlink", path),
        ("begin" / "sync", path, thread), ("answer", id). A sync takes effect at its end, and for
        the writes before its begin."""
        unfinished = {}
        with open(trace, encoding="ascii", errors="replace") as file:
            for line in file:
                if resumed := re.match(r"^(\d+) +<\.\.\. (\w+) resumed>.*= (-?\d+)", line):
                    found = unfinished.pop(resumed.group(1), None)
                    if found is not None and resumed.group(3) == "0":
                        yield ("sync", found, resumed.group(1))
                    continue
                call = CALL.match(line)
                if call is None:
                    continue
                pid, name, rest = call.groups()
                target = FILE.match(rest)
                target = unescape(target.group(1)).decode() if target else ""
                if name in ("fdatasync", "fsync") and target.startswith(path):
                    yield ("begin", target, pid)
                    if "unfinished" in rest:
                        unfinished[pid] = target
                    elif "= 0" in rest:
                        yield ("sync", target, pid)
                elif name == "pwrite64" and target.startswith(path):
                    data = unescape(DATA.search(rest).group(1))
                    offset = int(re.search(r'", (\d+), (\d+)', rest).group(2))
                    yield ("write", target, offset, data)
                elif name == "unlink" and (
                    removed := unescape(DATA.search(rest).group(1)).decode()
                ).startswith(path):
                    yield ("unlink", removed)
                elif name == "ftruncate" and target.startswith(path):
                    yield ("truncate", target, int(re.match(r"^\d+<[^>]*>, (\d+)", rest).group(1)))
                elif name in ("write", "writev", "sendmsg", "sendto"):
                    for text in DATA.findall(rest):
                        for identifier in IDENTIFIER.findall(unescape(text)):
                            yield ("answer", int(identifier))

    def replay(self, events, emails, daemon):
        chance = random.Random(os.environ.get("PIERRE_TEST_SEED", "power"))
        disk, answered, begun = Disk(), [], {}
        first = next(
            index
            for index, event in enumerate(events)
            if event[0] == "answer" and event[1] in emails
        )
        moments = set(chance.sample(range(first, len(events)), min(IMAGES, len(events) - first)))
        checked = 0
        for index, event in enumerate(events):
            if event[0] == "write":
                disk.write(*event[1:])
            elif event[0] == "truncate":
                disk.truncate(*event[1:])
            elif event[0] == "unlink":
                disk.synced.pop(event[1], None)
                disk.pending.pop(event[1], None)
            elif event[0] == "begin":
                begun[event[2]] = (event[1], len(disk.pending.get(event[1], [])))
            elif event[0] == "sync":
                self.sync(disk, *begun.pop(event[2]))
            elif event[1] in emails:
                answered.append(emails[event[1]])
            if index in moments:
                self.judge(disk.image(chance), answered, daemon, index)
                checked += 1
        self.assertEqual(len(answered), len(emails))
        print(
            f"  {checked} images of {len(events)} events, {len(answered)} answered writes",
            flush=True,
        )

    @staticmethod
    def sync(disk, path, count):
        """Only writes before the begin of a sync are certain to be on the disk after it."""
        later = disk.pending.get(path, [])[count:]
        disk.pending[path] = disk.pending.get(path, [])[:count]
        disk.sync(path)
        if later:
            disk.pending[path] = later

    def judge(self, image, answered, daemon, index):
        folder = os.path.join(self.folder, "image")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        for path, content in image.items():
            with open(os.path.join(folder, os.path.basename(path)), "wb") as file:
                file.write(content)
        name = os.path.join(folder, os.path.basename(daemon.database.path))
        database = sqlite3.connect(name)
        try:
            self.assertEqual(
                database.execute("PRAGMA integrity_check").fetchall(),
                [("ok",)],
                f"at event {index}",
            )
            there = {email for email, in database.execute("SELECT email FROM users")}
        finally:
            database.close()
        self.assertEqual(
            set(answered) - there,
            set(),
            f"answered writes are lost at a power loss at event {index}",
        )
        if index % 25 == 0:
            with Daemon("sqlite", Sqlite(folder), folder=folder, key=daemon.key) as again:
                self.assertGreaterEqual(again.call("get_user_count"), len(answered))
