"""The watchdog is fed only while the loop and every storage thread make progress. Would catch: a
fed watchdog while a thread hangs behind busy others, and a daemon that is killed because of a
database outage, which a restart cannot end."""
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

from lib.daemon import SANITIZER, SLOW
from lib.notify import Services
from lib.postgres_server import PostgresServer
from lib.world import World, new_user

BACKENDS = ("sqlite",)  # plus a PostgreSQL server of its own
LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")
PACE = min(SLOW, 2)  # a sanitizer's build is slow, but its timers are not
EVERY = 0.6 * PACE  # WatchdogSec


class Watchdog(Services):
    def fed(self, service, seconds=0.8):
        self.within(20, lambda: service.notify.beats(seconds * PACE) >= 2)

    def starved(self, service, seconds=1.2):
        """Waits until the watchdog is no longer fed."""
        self.within(20, lambda: service.notify.beats(0.4 * PACE) == 0)
        self.assertEqual(service.notify.beats(seconds * PACE), 0)

    def watched(self, **arguments):
        return self.service(watchdog=EVERY, **arguments).start()

    def test_fed_at_rest_and_under_load(self):
        service = self.watched()
        self.fed(service)
        with service.connect() as one:
            before = len(service.notify.read())

            def beats_meanwhile():
                one.many([("create_user", {"user": new_user()}) for _ in range(50)])
                return service.notify.count("WATCHDOG", before) >= 3

            self.within(20, beats_meanwhile, every=0)
        service.end()

    def test_another_process_is_meant(self):
        service = self.service(watchdog=0.2, environment={"TEST_WATCHDOG_PID": "1"}).start()
        self.assertEqual(service.notify.beats(0.6), 0)
        service.end()

    def test_stopped_process(self):
        service = self.watched()
        self.fed(service)
        service.signal(signal.SIGSTOP)
        try:
            self.starved(service, 1.0)
        finally:
            service.signal(signal.SIGCONT)
        self.within(10, lambda: service.notify.beats(0.3) > 0)
        service.end()

    def stuck(self, *options):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None or SANITIZER:
            self.skipTest(
                "needs a C compiler and a build without a sanitizer: a disk that hangs is NOT "
                "tested"
            )
        folder = self.folder()
        library, self.control = os.path.join(folder, "stuck.so"), os.path.join(folder, "stuck")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", library, os.path.join(LIB, "stuck.c")],
            check=True,
        )
        self.hang("")
        return self.watched(
            environment={"LD_PRELOAD": library, "TEST_STUCK": self.control}, options=options
        )

    def hang(self, word):
        with open(self.control, "w", encoding="ascii") as file:
            file.write(word)

    def test_writer_hangs(self):
        """The writer hangs in fdatasync while readers and the loop work: the watchdog is not fed
        until the call returns."""
        service = self.stuck()
        self.fed(service)
        stop = threading.Event()

        def read():
            with service.connect() as other:
                while not stop.is_set():
                    other.call("get_system_stats")
                    time.sleep(0.01)

        with service.connect() as one:
            self.hang("sync")
            waiting = one.request("create_user", user=new_user())
            thread = threading.Thread(target=read)
            thread.start()
            try:
                self.starved(service)
                self.logged(service, "watchdog is not fed")
            finally:
                self.hang("")
                stop.set()
                thread.join()
            self.assertIn("result", one.answer(waiting))
            self.within(10, lambda: service.notify.beats(0.3 * PACE) > 0)
        service.end()

    def test_reading_hangs(self):
        """Readers or the loop itself hang in a pread: the watchdog is not fed."""
        service = self.stuck()
        with service.connect() as one:
            user = World(one).user()
            one.call("upsert_user_profile", [user, {"t": "x" * 500_000}])
            self.hang("read")
            waiting = [one.request("get_user_profile", [user]), one.request("get_system_stats")]
            try:
                self.starved(service)
            finally:
                self.hang("")
            for request in waiting:
                self.assertIn("result", one.answer(request))
            self.within(10, lambda: service.notify.beats(0.3 * PACE) > 0)
        service.end()

    def test_slow_disk_under_a_long_log(self):
        """A checkpoint takes longer than the watchdog's time, and the writer waits for it, but it
        makes progress: the watchdog is always fed."""
        service = self.stuck("--checkpoint-pages", "2000")

        def write():
            with service.connect() as one:
                world = World(one)
                for i in range(
                    84
                ):  # five times the amount of one checkpoint: 64 portions of 20 ms or more
                    one.call("upsert_user_profile", [world.user(), {"t": str(i % 10) * 500_000}])

        since = len(service.notify.read())
        self.hang("slow")
        began = time.monotonic()
        thread = threading.Thread(target=write)
        thread.start()
        while thread.is_alive():
            service.notify.read()
            time.sleep(0.02)
        took = time.monotonic() - began
        self.hang("")
        self.assertGreater(took, 3 * EVERY, "the disk was too fast for this test")
        self.assertNotIn("watchdog is not fed", service.log())
        self.assertGreaterEqual(service.notify.count("WATCHDOG", since), took / EVERY)
        with service.connect() as one:
            self.assertEqual(one.call("get_user_count"), 84)
        service.end()

    def test_outside_lock(self):
        """Another program holds the lock: the writer waits but is not stuck, and a restart would
        not help."""
        service = self.watched()
        outside = sqlite3.connect(service.database.path, isolation_level=None)
        outside.execute("BEGIN IMMEDIATE")
        with service.connect() as one:
            waiting = one.request("create_user", user=new_user())
            time.sleep(0.5 * PACE)
            self.fed(service, 1.2)
            outside.execute("COMMIT")
            self.assertIn("result", one.answer(waiting))
        outside.close()
        service.end()

    def test_stopped_server(self):
        """All processes of PostgreSQL are stopped: calls wait, and the daemon runs on with a fed
        watchdog."""
        with PostgresServer() as server:
            service = self.watched(backend="postgres", database=server.create_database("watched"))
            processes = [server.process.pid, *server.backends()]
            with service.connect() as one:
                try:
                    for pid in processes:
                        os.kill(pid, signal.SIGSTOP)
                    waiting = one.request("create_user", user=new_user())
                    time.sleep(0.5 * PACE)
                    self.fed(service, 1.2)
                finally:
                    for pid in processes:
                        try:
                            os.kill(pid, signal.SIGCONT)
                        except ProcessLookupError:
                            pass
                self.assertIn("result", one.answer(waiting))
            service.end()
