"""Failures of the daemon's environment: its log, the clock, memory, inherited descriptors. Would
catch: a loop that blocks on its log, a timeout by the wall clock, a fatal allocation failure, a
core file with the key."""
import datetime
import os
import resource
import shutil
import signal
import subprocess
import time

from lib import invariants
from lib.case import Case
from lib.daemon import Daemon, SANITIZER, SLOW, temporary_folder
from lib.rpc import Closed
from lib.world import World, new_user

BACKENDS = ("sqlite",)


class Log(Case):
    def start(self, stderr):
        daemon = Daemon(options=("--log-level", "debug"))
        self.addCleanup(daemon.discard)
        daemon.process = subprocess.Popen(
            daemon.arguments(),
            cwd=daemon.folder,
            env=daemon.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        daemon.pid = daemon.process.pid
        open(daemon.log_path, "ab").close()
        daemon.wait_ready()
        daemon.learn()
        return daemon

    def serve(self, daemon, seconds=2.0):
        """Executes calls that log. Every answer must be prompt."""
        worst, end = 0.0, time.monotonic() + seconds
        with daemon.connect() as connection:
            while time.monotonic() < end:
                for _ in range(50):
                    began = time.monotonic()
                    connection.call("daemon.ping")
                    worst = max(worst, time.monotonic() - began)
                connection.call("create_user", user=new_user())
                with daemon.connect() as other:  # connects and disconnects are logged
                    other.call("daemon.ping")
                daemon.signal(signal.SIGHUP)
        self.assertLess(worst, 0.5 * SLOW)

    def test_nobody_reads_it(self):
        """A full pipe: service continues, and lines are dropped and counted."""
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
        """Logs more lines until some are dropped."""
        for _ in range(300):
            daemon.signal(signal.SIGHUP)
            time.sleep(0.0005)
        counters = daemon.call("daemon.stats")["counters"]
        return any(
            value > 0 for name, value in counters.items() if "log" in name and "drop" in name
        )

    def test_closed(self):
        """The reader has closed its end: no SIGPIPE, and service continues."""
        reader, writer = os.pipe()
        daemon = self.start(writer)
        os.close(writer)
        os.close(reader)
        self.serve(daemon)
        self.assertEqual(daemon.terminate(), 0)

    def test_no_standard_descriptors_at_all(self):
        """Started with 0, 1 and 2 closed, the database must not become descriptor 2, where the log
        would overwrite it."""
        daemon = Daemon()
        self.addCleanup(daemon.discard)
        open(daemon.log_path, "ab").close()
        daemon.process = subprocess.Popen(
            ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *daemon.arguments()],
            cwd=daemon.folder,
            env=daemon.variables(),
            start_new_session=True,
        )
        daemon.pid = daemon.process.pid
        daemon.wait_ready()
        daemon.learn()
        with daemon.connect() as connection:
            for _ in range(20):
                World(connection).user()
            daemon.signal(signal.SIGHUP)
            self.assertEqual(connection.call("get_user_count"), 20)
        for number in (0, 1, 2):
            target = (
                os.readlink(f"/proc/{daemon.pid}/fd/{number}")
                if os.path.lexists(f"/proc/{daemon.pid}/fd/{number}")
                else ""
            )
            self.assertNotIn("pierre", target)
            self.assertNotIn("socket", target)
        self.assertEqual(daemon.terminate(), 0)
        self.assertEqual(invariants.integrity(daemon.database.path), "ok")


class Clock(Case):
    """The wall clock jumps (a preloaded library moves it): timeouts use the monotonic clock, data
    uses the wall clock."""

    def setUp(self):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            self.skipTest("no C compiler for the movable clock: clock jumps are NOT tested")
        if SANITIZER:
            self.skipTest("a sanitizer's build does not take the preloaded clock")
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, True)
        library, self.control = os.path.join(self.folder, "clock.so"), os.path.join(
            self.folder, "clock"
        )
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "clock.c")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True
        )
        self.jump(0)
        self.environment = {"LD_PRELOAD": library, "TEST_CLOCK": self.control}

    def jump(self, seconds):
        with open(self.control, "w", encoding="ascii") as file:
            file.write(str(seconds))

    def jump_and_wait(self, seconds):
        """The daemon may read the wall clock only occasionally."""
        self.jump(seconds)
        time.sleep(0.1)

    def test_jumps(self):
        with Daemon(
            options=("--call-timeout", "3s", "--line-timeout", "3s"), environment=self.environment
        ) as daemon:
            with daemon.connect() as connection:
                for seconds in (0, -3600, 3600, 366 * 86400, -366 * 86400, 30 * 86400, 0):
                    waiting = [connection.request("create_user", user=new_user()) for _ in range(5)]
                    self.jump(seconds)
                    for request in waiting:
                        self.assertIn("result", connection.answer(request))
                    time.sleep(0.1)
                    user = World(connection).user()
                    created = connection.call("get_user", user_id=user)["created_at"]
                    self.assertLess(
                        abs(
                            datetime.datetime.fromisoformat(
                                created.replace("Z", "+00:00")
                            ).timestamp()
                            - time.time()
                            - seconds
                        ),
                        60,
                    )
                    stats = connection.call("daemon.stats")
                    self.assertTrue(0 <= stats["uptime_seconds"] < 600, stats["uptime_seconds"])
                    self.assertTrue(
                        all(0 <= one["max"] < 3e6 for one in stats["methods"].values()),
                        stats["methods"],
                    )
            self.assertNotIn("=-", daemon.log())

    def test_month_and_session_go_by_the_wall_clock(self):
        """A session expires by the wall clock, and a new month's usage starts at zero."""
        with Daemon(environment=self.environment) as daemon, daemon.connect() as connection:
            world = World(connection)
            key = world.api_key(
                world.user(),
                expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200)),
            )
            session = world.session(world.client(key), hours=2)
            world.usage(key)
            self.assertEqual(connection.call("get_api_key_current_usage", api_key_id=key), 1)
            self.assertEqual(connection.call("get_expired_api_keys"), [])
            self.jump_and_wait(2 * 3600 - 60)
            self.assertIsNotNone(connection.call("get_a2a_session", session_token=session))
            self.jump_and_wait(2 * 3600 + 60)
            self.assertIsNone(connection.call("get_a2a_session", session_token=session))
            self.assertEqual([one["id"] for one in connection.call("get_expired_api_keys")], [key])
            self.jump_and_wait(32 * 86400)
            self.assertEqual(connection.call("get_api_key_current_usage", api_key_id=key), 0)
            self.assertEqual(connection.call("cleanup_expired_api_keys"), 1)


class Memory(Case):
    def test_little_address_space(self):
        """With little memory left, calls fail or connections close. The process survives and
        recovers."""
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
            resource.prlimit(
                daemon.pid, resource.RLIMIT_AS, (size + (6 << 20), resource.RLIM_INFINITY)
            )
            for _ in range(30):
                try:
                    with daemon.connect(10) as connection:
                        for _ in range(40):
                            connection.request("get_user_profile", [user])
                        # A client that does not read is not read from: the answers come first.
                        for _ in range(40):
                            connection.read()
                        connection.request("upsert_user_profile", [user, {"t": "y" * 900_000}])
                        connection.read()
                except (Closed, BrokenPipeError, ConnectionResetError):
                    pass
            self.assertTrue(daemon.alive(), daemon.log()[-2000:])
            resource.prlimit(
                daemon.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            invariants.check(daemon, before)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Process(Case):
    def test_no_core_and_no_tracing(self):
        """SIGSEGV leaves no core file in its folder."""
        daemon = Daemon(options=())
        daemon.limits = lambda: resource.setrlimit(
            resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
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

    def test_sleeps_when_nobody_calls(self):
        """However fast calls have arrived before, an idle daemon uses no processor time."""
        with Daemon(options=("--busy-poll", "1000")) as daemon, daemon.connect() as connection:
            for _ in range(3000):
                connection.call("daemon.ping")
            began = cpu_seconds(daemon.pid)
            time.sleep(2)
            self.assertLess(cpu_seconds(daemon.pid) - began, 0.5)
            for _ in range(100):  # less often than the daemon polls for them
                connection.call("daemon.ping")
                time.sleep(0.01)
            self.assertLess(cpu_seconds(daemon.pid) - began, 0.8)

    def test_inherited_descriptors(self):
        """Descriptors left open by a careless parent are not clients and do no harm."""
        pipes = [os.pipe() for _ in range(20)]
        with Daemon(pass_fds=[end for pair in pipes for end in pair]) as daemon:
            self.assertEqual(daemon.call("daemon.ping"), "pong")
            self.assertIsNotNone(daemon.call("create_user", user=new_user()))
        for pair in pipes:
            for end in pair:
                os.close(end)

    def test_umask_and_files(self):
        """With any umask, database and socket are accessible to the owner only."""
        daemon = Daemon()
        daemon.limits = lambda: os.umask(0)
        with daemon:
            daemon.call("create_user", user=new_user())
            for name in os.listdir(daemon.folder):
                if name not in ("log",):
                    mode = os.lstat(os.path.join(daemon.folder, name)).st_mode & 0o777
                    self.assertEqual(mode & 0o077, 0, f"{name} has mode {mode:o}")
