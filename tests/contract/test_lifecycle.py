"""The socket and the signals. Would catch: a live socket that is replaced, a deleted file, a link
that is followed, two daemons on one file, an answer lost at the end, another daemon's socket that
is removed, a group that can connect although the mode forbids it."""
import os
import signal
import socket
import stat
import subprocess
import threading
import time

from lib import strict
from lib.case import Case
from lib.daemon import BINARY, SLOW, Daemon, StartFailure, new_key, temporary_folder
from lib.rpc import Closed, Connection, RpcError
from lib.world import World, new_user, unique


class Lifecycle(Case):
    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder], check=False)
        self.key = new_key()

    def daemon(
        self, name="a", socket_name="s", options=(), environment=None, backend="sqlite", **arguments
    ):
        arguments.setdefault("database", f"sqlite:{self.folder}/{name}.db")
        daemon = Daemon(
            backend,
            folder=self.folder,
            options=options,
            environment=environment,
            key=self.key,
            **arguments,
        )
        daemon.socket_path = os.path.join(self.folder, socket_name)
        daemon.log_path = os.path.join(self.folder, f"log-{name}-{socket_name.replace('/', '_')}")
        return daemon

    def refused(self, code, **arguments):
        with self.assertRaises(StartFailure) as caught:
            self.start_alone(**arguments)
        self.assertEqual(caught.exception.code, code, caught.exception.log)
        return caught.exception.log

    def start_alone(self, **arguments):
        """Starts a daemon that must fail. Another daemon's live socket at its path must not count
        as its own."""
        daemon = self.daemon(**arguments)
        daemon.spawn()
        try:
            code = daemon.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            daemon.kill()
            self.fail("the daemon started")
        raise StartFailure(code, daemon.log())


class Sockets(Lifecycle):
    def test_mode_and_removal(self):
        daemon = self.daemon().start()
        status = os.lstat(daemon.socket_path)
        self.assertTrue(stat.S_ISSOCK(status.st_mode))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o600)
        daemon.stop()
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("s")], [])
        with self.daemon(options=("--socket-mode", "0660")) as daemon:
            self.assertEqual(stat.S_IMODE(os.lstat(daemon.socket_path).st_mode), 0o660)

    def test_stale_socket_is_replaced(self):
        daemon = self.daemon().start()
        daemon.kill()
        self.assertTrue(os.path.exists(daemon.socket_path))
        with self.daemon() as again:
            self.assertEqual(again.call("daemon.ping"), "pong")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as foreign:
            foreign.bind(os.path.join(self.folder, "s"))
        with self.daemon() as again:
            self.assertEqual(again.call("daemon.ping"), "pong")

    def test_live_socket_is_not_stolen(self):
        with self.daemon() as first:
            inode = os.lstat(first.socket_path).st_ino
            log = self.refused(75, name="b")
            self.assertIn(first.socket_path, log)
            self.assertEqual(os.lstat(first.socket_path).st_ino, inode)
            self.assertEqual(first.call("daemon.ping"), "pong")

    def test_foreign_live_socket_is_not_stolen(self):
        path = os.path.join(self.folder, "s")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as foreign:
            foreign.bind(path)
            foreign.listen(5)
            inode = os.lstat(path).st_ino
            self.refused(75)
            self.assertEqual(os.lstat(path).st_ino, inode)

    def test_what_is_no_socket_is_not_deleted(self):
        path = os.path.join(self.folder, "s")
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        self.refused(73)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")
        os.unlink(path)
        os.mkdir(path)
        self.refused(73)
        self.assertTrue(os.path.isdir(path))
        os.rmdir(path)
        os.mkfifo(path)
        self.refused(73)
        self.assertTrue(stat.S_ISFIFO(os.lstat(path).st_mode))

    def test_planted_links_are_not_followed(self):
        path, target = os.path.join(self.folder, "s"), os.path.join(self.folder, "target")
        for make in (
            lambda: open(target, "w", encoding="ascii").close(),
            lambda: None,
            self.stale_target,
        ):
            make()
            os.symlink(target, path)
            existed = os.path.lexists(target)
            self.refused(73)
            self.assertEqual(os.readlink(path), target)
            self.assertEqual(os.path.lexists(target), existed)
            os.unlink(path)
            if existed:
                os.unlink(target)
        os.symlink(target, path + ".lock")
        try:
            self.daemon().start().stop()
        except StartFailure as failure:
            self.assertEqual(failure.code, 73, failure.log)
        self.assertFalse(os.path.lexists(target), "a planted lock link was followed")

    def stale_target(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stale:
            stale.bind(os.path.join(self.folder, "target"))

    def test_path_lengths(self):
        room = 107 - len(self.folder) - 1
        with self.daemon(socket_name="x" * room) as daemon:
            self.assertEqual(daemon.call("daemon.ping"), "pong")
        log = self.refused(78, socket_name="x" * (room + 1))
        self.assertIn("107", log)
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("xx")], [])

    def test_missing_folder(self):
        self.refused(73, socket_name="none/s")

    def test_own_socket_only_is_removed(self):
        """A different socket at the same path at the end must not be removed."""
        daemon = self.daemon().start()
        os.unlink(daemon.socket_path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as foreign:
            foreign.bind(daemon.socket_path)
            self.assertEqual(daemon.terminate(), 0)
            self.assertTrue(os.path.exists(daemon.socket_path))

    def test_default_places(self):
        """$PIERRE_DBD_SOCKET, else $RUNTIME_DIRECTORY, else $XDG_RUNTIME_DIR, else
        /tmp/pierre-dbd-<uid>."""
        folders = {name: os.path.join(self.folder, name) for name in ("run", "xdg")}
        for folder in folders.values():
            os.mkdir(folder, 0o700)
        named = os.path.join(self.folder, "named")
        everything = {
            "PIERRE_DBD_SOCKET": named,
            "RUNTIME_DIRECTORY": folders["run"],
            "XDG_RUNTIME_DIR": folders["xdg"],
        }
        for expected in (
            named,
            folders["run"] + "/pierre-dbd.sock",
            folders["xdg"] + "/pierre-dbd.sock",
        ):
            daemon = self.daemon(environment=dict(everything))
            daemon.socket_path = expected
            daemon.arguments = lambda d=daemon: [BINARY, "--database-url", d.url]
            with daemon:
                self.assertEqual(daemon.call("daemon.ping"), "pong")
            everything.pop(next(iter(everything)))
        if not os.path.lexists(f"/tmp/pierre-dbd-{os.getuid()}"):
            daemon = self.daemon()
            daemon.socket_path = f"/tmp/pierre-dbd-{os.getuid()}/pierre-dbd.sock"
            daemon.arguments = lambda: [BINARY, "--database-url", daemon.url]
            with daemon:
                self.assertEqual(daemon.call("daemon.ping"), "pong")
                self.assertEqual(
                    stat.S_IMODE(os.stat(os.path.dirname(daemon.socket_path)).st_mode), 0o700
                )
            os.rmdir(f"/tmp/pierre-dbd-{os.getuid()}")

    def test_private_folder_of_another_mode_is_refused(self):
        folder = f"/tmp/pierre-dbd-{os.getuid()}"
        if os.path.lexists(folder):
            self.skipTest(f"{folder} is in use")
        for make in (
            lambda: os.mkdir(folder, 0o755),
            lambda: os.symlink(self.folder, folder),
            lambda: open(folder, "w", encoding="ascii").close(),
        ):
            make()
            if os.path.isdir(folder) and not os.path.islink(folder):
                os.chmod(folder, 0o755)
            daemon = self.daemon()
            daemon.arguments = lambda d=daemon: [BINARY, "--database-url", d.url]
            try:
                with self.assertRaises(StartFailure) as caught:
                    daemon.start(timeout=5)
                self.assertIn(caught.exception.code, (73, 77, 78), caught.exception.log)
            finally:
                daemon.kill()
                (os.rmdir if os.path.isdir(folder) and not os.path.islink(folder) else os.unlink)(
                    folder
                )


class OneOfMany(Lifecycle):
    def test_fifty_starts_at_once(self):
        """One daemon wins, the others exit with 75. The winner continues to serve, and its socket
        remains."""
        daemons = [self.daemon(name="same") for _ in range(50)]
        for index, daemon in enumerate(daemons):
            daemon.log_path = os.path.join(self.folder, f"log{index}")
            daemon.spawn()
        deadline = time.monotonic() + 60 * SLOW
        while (
            sum(daemon.process.poll() is None for daemon in daemons) > 1
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        winners = [daemon for daemon in daemons if daemon.process.poll() is None]
        self.addCleanup(lambda: [daemon.kill() for daemon in daemons])
        self.assertEqual(len(winners), 1, [daemon.process.returncode for daemon in daemons])
        self.assertEqual(
            {daemon.process.returncode for daemon in daemons if daemon is not winners[0]}, {75}
        )
        winners[0].wait_ready()
        with winners[0].connect() as connection:
            World(connection).user()
            self.assertEqual(connection.call("get_user_count"), 1)
        self.assertEqual(winners[0].terminate(), 0)
        self.assertFalse(os.path.exists(winners[0].socket_path))

    def test_one_file_two_sockets(self):
        with self.daemon() as first:
            self.refused(75, socket_name="other")
            self.assertFalse(os.path.exists(os.path.join(self.folder, "other")))
            World(first.connect()).user()
        os.symlink(f"{self.folder}/a.db", f"{self.folder}/link.db")
        with self.daemon() as first:
            self.refused(75, name="link", socket_name="other")
            self.assertEqual(first.call("get_user_count"), 1)
        with self.daemon(socket_name="other") as again:
            self.assertEqual(again.call("get_user_count"), 1)


class Signals(Lifecycle):
    def own(self, **arguments):
        """A daemon on the process's backend."""
        daemon = Daemon(**arguments).start()
        self.addCleanup(daemon.discard)
        return daemon

    def test_sigterm_and_sigint(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = self.own()
            with daemon.connect() as idle:
                began = time.monotonic()
                daemon.signal(number)
                self.assertEqual(daemon.wait(), 0)
                self.assertLess(time.monotonic() - began, 3 * SLOW)
                self.assertEqual(idle.read_to_end(), [])
            self.assertFalse(os.path.exists(daemon.socket_path))
            daemon.check_log()

    def test_sigterm_under_load(self):
        """Every call that arrived before is answered with its result. Later ones get shutting_down
        or a closed connection. Exactly the users whose creation was answered exist afterwards."""
        daemon = self.own()
        made, refused, lost, problems = [], [], [], []
        lock = threading.Lock()

        def work(index):
            with daemon.connect() as connection:
                while True:
                    user = new_user()
                    try:
                        result = connection.call("create_user", user=user)
                        with lock:
                            made.append((result, user["email"]))
                    except RpcError as problem:
                        with lock:
                            (refused if problem.kind == "shutting_down" else problems).append(
                                (user["email"], str(problem))
                            )
                        if problem.kind == "shutting_down":
                            return
                    except (Closed, BrokenPipeError, ConnectionResetError):
                        with lock:
                            lost.append(user["email"])
                        return
                    except Exception as problem:  # pylint: disable=broad-except
                        with lock:
                            problems.append((index, repr(problem)))
                        return

        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0, daemon.log()[-2000:])
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        self.assertGreater(len(made), 20)
        again = Daemon(
            daemon.backend, database=daemon.database, folder=daemon.folder, key=daemon.key
        )
        with again, again.connect() as connection:
            for identifier, email in made:
                self.assertEqual(connection.call("get_user", user_id=identifier)["email"], email)
            for email, _ in refused:
                self.assertIsNone(connection.call("get_user_by_email", email=email))
            there = sum(
                connection.call("get_user_by_email", email=email) is not None for email in lost
            )
            self.assertEqual(connection.call("get_user_count"), len(made) + there)

    def test_calls_under_way_are_answered(self):
        """bcrypt calls that run at a SIGTERM are answered before the exit."""
        daemon = self.own()
        with daemon.connect() as connection:
            for _ in range(4):
                connection.request("verify_user_password", email="nobody@example.com", password="x")
            connection.call("daemon.ping")
            daemon.signal(signal.SIGTERM)
            lines = connection.read_to_end()
            self.assertEqual(len(lines), 4)
            for line in lines:
                self.assertIsNone(connection.check(line)["result"])
        self.assertEqual(daemon.wait(), 0)

    def test_calls_after_sigterm(self):
        """During the drain, new calls get shutting_down (retryable), and new connections are
        refused."""
        daemon = self.own()
        with daemon.connect() as busy, daemon.connect() as late:
            for _ in range(8):
                busy.request("verify_user_password", email="nobody@example.com", password="x")
            self.assertEqual(busy.call("daemon.ping"), "pong")
            daemon.signal(signal.SIGTERM)
            self.within(5, lambda: not connectable(daemon.socket_path))
            problem = late.error("create_user", user=new_user())
            self.assertEqual((problem.kind, problem.data["retryable"]), ("shutting_down", True))
            self.assertEqual(len(busy.read_to_end()), 8)
        self.assertEqual(daemon.wait(), 0)

    def test_second_signal_ends_at_once(self):
        daemon = self.own(options=("--bcrypt-cost", "15"))
        with daemon.connect() as busy:
            for _ in range(50):
                busy.request("verify_user_password", email="nobody@example.com", password="x")
            busy.call("daemon.ping")
            daemon.signal(signal.SIGTERM)
            time.sleep(0.3)
            self.assertTrue(daemon.alive())
            began = time.monotonic()
            daemon.signal(signal.SIGTERM)
            daemon.wait()
            self.assertLess(time.monotonic() - began, 2 * SLOW)
        self.assertFalse(os.path.exists(daemon.socket_path))

    def test_second_signal_while_tokens_are_opened(self):
        """The work of the storage threads is abandoned, with the key that they use. The process
        exits with 0, not from a signal."""
        daemon = self.own()
        with daemon.connect() as connection:
            user = World(connection).user()
        calls = [
            (
                "update_strava_token",
                [user, "a" * 300_000, "b" * 300_000, "2030-01-01T00:00:00Z", "x"],
            ),
            *[("get_strava_token", [user])] * 20,
        ]

        def work():
            try:
                with daemon.connect() as connection:
                    while True:
                        connection.many(calls)
            except (Closed, RpcError, OSError):
                pass

        for _ in range(15):
            workers = [threading.Thread(target=work) for _ in range(4)]
            for worker in workers:
                worker.start()
            self.within(10, lambda: daemon.call("daemon.stats")["gauges"]["in_flight"] > 10)
            for number in (signal.SIGTERM, signal.SIGINT):
                daemon.signal(number)
            self.assertEqual(daemon.wait(), 0, daemon.log()[-1000:])
            for worker in workers:
                worker.join()
            daemon.start()

    def test_drain_timeout(self):
        """Calls that are not done after the drain time are answered with shutting_down, and the
        daemon exits."""
        daemon = self.own(
            options=("--bcrypt-cost", "16", "--drain-timeout", "1s", "--call-timeout", "1h")
        )
        with daemon.connect() as busy:
            for _ in range(20):
                busy.request("verify_user_password", email="nobody@example.com", password="x")
            batch = [
                {
                    "jsonrpc": "2.0",
                    "id": f"b{index}",
                    "method": "create_user",
                    "params": {"user": {"email": f"{unique('late')}@example.com", "password": "x"}},
                }
                for index in range(5)
            ]
            busy.send(strict.dumps(batch) + "\n")
            busy.call("daemon.ping")
            began = time.monotonic()
            daemon.signal(signal.SIGTERM)
            daemon.wait(30)
            took = time.monotonic() - began
            self.assertGreater(took, 0.8)
            self.assertLess(took, 12 * SLOW)
            answers = [busy.check(line) for line in busy.read_to_end()]
            answers += [one for answer in answers if isinstance(answer, list) for one in answer]
            refused = [
                one["id"]
                for one in answers
                if isinstance(one, dict) and one["error"]["data"]["kind"] == "shutting_down"
            ]
            self.assertEqual(
                sorted(map(str, refused)),
                sorted([*map(str, range(1, 21)), *(f"b{index}" for index in range(5))]),
            )

    def test_sighup_rereads(self):
        """Changeable settings change: here the connection limit, from the .env file. Connected
        clients stay."""
        env = os.path.join(self.folder, ".env")
        with open(env, "w", encoding="ascii") as file:
            file.write("PIERRE_DBD_BATCH_LIMIT=3\n")
        os.chmod(env, 0o600)
        with self.daemon() as daemon, daemon.connect() as connection:
            ping = '{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}'
            connection.send("[" + ",".join([ping] * 3) + "]\n")
            self.assertEqual(len(connection.read()), 3)
            with open(env, "w", encoding="ascii") as file:
                file.write("PIERRE_DBD_BATCH_LIMIT=2\n")
            daemon.signal(signal.SIGHUP)

            def refused():
                connection.send("[" + ",".join([ping] * 3) + "]\n")
                return isinstance(connection.read(), dict)

            self.within(5, refused)
            with open(env, "w", encoding="ascii") as file:
                file.write("PIERRE_DBD_BATCH_LIMIT=nonsense\n")
            daemon.signal(signal.SIGHUP)  # a broken file changes nothing
            self.within(5, lambda: "nonsense" in daemon.log() or "BATCH_LIMIT" in daemon.log())
            connection.send("[" + ",".join([ping] * 2) + "]\n")
            self.assertEqual(len(connection.read()), 2)

    def test_signal_storm(self):
        """Endless SIGHUP, SIGPIPE, SIGCHLD, SIGWINCH and SIGURG do no harm."""
        daemon = self.own()
        with daemon.connect() as connection:
            for index in range(300):
                for number in (
                    signal.SIGHUP,
                    signal.SIGPIPE,
                    signal.SIGCHLD,
                    signal.SIGWINCH,
                    signal.SIGURG,
                    signal.SIGCONT,
                ):
                    daemon.signal(number)
                if index % 10 == 0:
                    self.assertEqual(connection.call("daemon.ping"), "pong")
            World(connection).user()
        daemon.stop()


def connectable(path):
    try:
        Connection(path).close()
        return True
    except OSError:
        return False
