"""What is around the daemon fails: its log, the clock, memory, inherited descriptors. Would catch: a loop that blocks on its log,
a deadline by the wall clock, an allocation failure that kills, a core file with the key."""
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import invariants  # noqa: E402
from lib.case import Case, main  # noqa: E402
from lib.daemon import SLOW, Daemon  # noqa: E402
from lib.rpc import Closed  # noqa: E402
from lib.world import World, new_user  # noqa: E402

BACKENDS = ("sqlite",)
SANITIZER = bool(os.environ.get("PIERRE_TEST_SANITIZER"))


class Log(Case):
    def start(self, stderr):
        daemon = Daemon(options=("--log-level", "debug"))
        self.addCleanup(daemon.discard)
        daemon.process = subprocess.Popen(daemon.arguments(), cwd=daemon.folder, env=daemon.variables(), stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True)
        daemon.pid = daemon.process.pid
        open(daemon.log_path, "ab").close()
        daemon.wait_ready()
        daemon.learn()
        return daemon

    def serve(self, daemon, seconds=2.0):
        """Work that logs; every answer must come promptly."""
        worst, end = 0.0, time.monotonic() + seconds
        with daemon.connect() as connection:
            while time.monotonic() < end:
                for _ in range(50):
                    began = time.monotonic()
                    connection.call("daemon.ping")
                    worst = max(worst, time.monotonic() - began)
                connection.call("create_user", user=new_user())
                with daemon.connect() as other:   # connections coming and going is what is logged
                    other.call("daemon.ping")
                daemon.signal(signal.SIGHUP)
        self.assertLess(worst, 0.5 * SLOW)

    def test_nobody_reads_it(self):
        """A full pipe: service goes on, lines are dropped and counted."""
        reader, writer = os.pipe()
        daemon = self.start(writer)
        os.close(writer)
        self.serve(daemon)
        self.within(20, lambda: self.fill(daemon))
        with daemon.connect() as connection:
            self.assertIsNotNone(World(connection).user())
        os.set_blocking(reader, False)
        while True:
            try:
                if not os.read(reader, 1 << 20):
                    break
            except BlockingIOError:
                break
        self.serve(daemon, 0.3)
        self.assertEqual(daemon.terminate(), 0)
        os.close(reader)

    def fill(self, daemon):
        """More lines until some are dropped."""
        for _ in range(300):
            daemon.signal(signal.SIGHUP)
            time.sleep(0.0005)
        counters = daemon.call("daemon.stats")["counters"]
        return any(value > 0 for name, value in counters.items() if "log" in name and "drop" in name)

    def test_closed(self):
        """The reader is gone: no SIGPIPE, service goes on."""
        reader, writer = os.pipe()
        daemon = self.start(writer)
        os.close(writer)
        os.close(reader)
        self.serve(daemon)
        self.assertEqual(daemon.terminate(), 0)

    def test_no_standard_descriptors_at_all(self):
        """Started with 0, 1 and 2 closed, the database must not end up as descriptor 2 and be written over by the log."""
        daemon = Daemon()
        self.addCleanup(daemon.discard)
        open(daemon.log_path, "ab").close()
        daemon.process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *daemon.arguments()], cwd=daemon.folder, env=daemon.variables(),
                                          start_new_session=True)
        daemon.pid = daemon.process.pid
        daemon.wait_ready()
        daemon.learn()
        with daemon.connect() as connection:
            for _ in range(20):
                World(connection).user()
            daemon.signal(signal.SIGHUP)
            self.assertEqual(connection.call("get_user_count"), 20)
        for number in (0, 1, 2):
            target = os.readlink(f"/proc/{daemon.pid}/fd/{number}") if os.path.lexists(f"/proc/{daemon.pid}/fd/{number}") else ""
            self.assertNotIn("pierre", target)
            self.assertNotIn("socket", target)
        self.assertEqual(daemon.terminate(), 0)
        self.assertEqual(invariants.integrity(daemon.database.path), "ok")


class Clock(Case):
    def test_jumps(self):
        """The wall clock an hour back and a year ahead: deadlines go by the other clock, nothing times out, no negative time."""
        if shutil.which("faketime") is None:
            self.skipTest("faketime is ABSENT: jumps of the clock are NOT tested")
        if SANITIZER:
            self.skipTest("faketime and sanitizers do not go together")
        control = os.path.join("/tmp", f"pdt-clock-{os.getpid()}")
        library = subprocess.run(["faketime", "now", "env"], capture_output=True, text=True, check=True).stdout
        preload = next(line.split("=", 1)[1] for line in library.splitlines() if line.startswith("LD_PRELOAD="))
        with open(control, "w", encoding="ascii") as file:
            file.write("+0")
        self.addCleanup(os.unlink, control)
        with Daemon(options=("--call-timeout", "5s"), environment={
                "LD_PRELOAD": preload, "FAKETIME_TIMESTAMP_FILE": control, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}) as daemon:
            with daemon.connect() as connection:
                for jump in ("+0", "-1h", "+1h", "+1y", "-1y", "+0"):
                    with open(control, "w", encoding="ascii") as file:
                        file.write(jump)
                    for _ in range(20):
                        user = World(connection).user()
                        self.assertIsNotNone(connection.call("get_user", user_id=user))
                    stats = connection.call("daemon.stats")
                    self.assertGreaterEqual(stats["uptime_seconds"], 0)
                    self.assertLess(stats["uptime_seconds"], 600)
                    self.assertTrue(all(number["max"] < 60e6 for number in stats["methods"].values()))
            self.assertNotIn("-", "".join(word for word in daemon.log().split() if word.startswith("duration")))


class Memory(Case):
    def test_little_address_space(self):
        """With little room for more memory, calls fail or connections close; the process lives and heals."""
        if SANITIZER:
            self.skipTest("a sanitizer's build takes all the address space")
        daemon = Daemon()
        with daemon:
            with daemon.connect() as connection:
                user = World(connection).user()
                connection.call("upsert_user_profile", [user, {"t": "x" * 900_000}])
            before = invariants.Snapshot(daemon)
            with open(f"/proc/{daemon.pid}/statm", encoding="ascii") as file:
                size = int(file.read().split()[0]) * resource.getpagesize()
            resource.prlimit(daemon.pid, resource.RLIMIT_AS, (size + (6 << 20), resource.RLIM_INFINITY))
            for _ in range(30):
                try:
                    with daemon.connect(10) as connection:
                        for _ in range(40):
                            connection.request("get_user_profile", [user])
                        connection.request("upsert_user_profile", [user, {"t": "y" * 900_000}])
                        for _ in range(41):
                            connection.read()
                except (Closed, BrokenPipeError, ConnectionResetError):
                    pass
            self.assertTrue(daemon.alive(), daemon.log()[-2000:])
            resource.prlimit(daemon.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            invariants.check(daemon, before)


class Process(Case):
    def test_no_core_and_no_tracing(self):
        """SIGSEGV leaves no core file anywhere near."""
        daemon = Daemon(options=())
        daemon.limits = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        daemon.start()
        self.addCleanup(daemon.discard)
        with open(f"/proc/{daemon.pid}/limits", encoding="ascii") as file:
            core = next(line for line in file if line.startswith("Max core file size")).split()
        self.assertEqual(core[4], "0")
        if SANITIZER:
            return
        daemon.signal(signal.SIGSEGV)
        daemon.process.wait(10)
        self.assertEqual([name for name in os.listdir(daemon.folder) if "core" in name], [])

    def test_inherited_descriptors(self):
        """Descriptors that a careless parent left open are no clients and no harm."""
        pipes = [os.pipe() for _ in range(20)]
        with Daemon(pass_fds=[end for pair in pipes for end in pair]) as daemon:
            self.assertEqual(daemon.call("daemon.ping"), "pong")
            self.assertIsNotNone(daemon.call("create_user", user=new_user()))
        for pair in pipes:
            for end in pair:
                os.close(end)

    def test_umask_and_files(self):
        """Whatever the umask: database and socket are for the owner only."""
        daemon = Daemon()
        daemon.limits = lambda: os.umask(0)
        with daemon:
            daemon.call("create_user", user=new_user())
            for name in os.listdir(daemon.folder):
                if name not in ("log",):
                    mode = os.lstat(os.path.join(daemon.folder, name)).st_mode & 0o777
                    self.assertEqual(mode & 0o077, 0, f"{name} has mode {mode:o}")


if __name__ == "__main__":
    main()
