"""The daemon as a service, with a harness that plays systemd (lib/notify.py). Would catch: READY=1
before it answers, a stop or a reload without notification, a passed socket that is unlinked or
whose mode changes, calls lost across a restart."""
import contextlib
import glob
import os
import signal
import socket
import sqlite3
import stat
import time

from lib import databases
from lib.daemon import Daemon, SLOW, StartFailure, new_key
from lib.notify import Service, Services, listener
from lib.retrying import Writers
from lib.world import World

PING = b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\n'


def ping(path, timeout=10.0):
    """Raises OSError when no server listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(timeout * SLOW)
        one.connect(path)
        one.sendall(PING)
        return one.recv(4096)


class Ready(Services):
    def test_ready_when_it_answers(self):
        """The database makes the start wait: before that ends, there is no READY=1 and no socket
        that answers; afterwards there are both."""
        if databases.chosen() == "sqlite":
            service = self.service()
            first = sqlite3.connect(service.database.path, isolation_level=None)
            first.execute("PRAGMA journal_mode=WAL")
            first.execute("BEGIN EXCLUSIVE")
            service.spawn()
            time.sleep(0.7)
            self.assertEqual(service.notify.count("READY"), 0)
            self.assertTrue(service.alive(), service.log())
            self.assertRaises(OSError, ping, service.socket_path)
            first.execute("COMMIT")
            first.close()
        else:
            service = self.service(options=("--wait-for-database", "60s"))
            admin = service.database.admin
            admin(f'ALTER DATABASE "{service.database.name}" ALLOW_CONNECTIONS false')
            service.spawn()
            self.assertEqual(
                service.notify.wait(20, "EXTEND_TIMEOUT_USEC")["STATUS"],
                "preparing the database: waiting for the database",
            )
            self.assertEqual(service.notify.count("READY"), 0)
            self.assertRaises(OSError, ping, service.socket_path)
            admin(f'ALTER DATABASE "{service.database.name}" ALLOW_CONNECTIONS true')
        service.wait_ready()
        self.assertIn(b"pong", ping(service.socket_path))
        service.end()

    def test_messages_of_a_life(self):
        """Migrations extend the start timeout. Then the service is ready, has a status with counts,
        and announces its stop with a timeout."""
        service = self.service(fresh=True).start()
        fields = [fields for _, fields in service.notify.read()]
        ready = next(number for number, one in enumerate(fields) if "READY" in one)
        self.assertTrue(
            any(
                one.get("STATUS", "").startswith("preparing the database")
                and int(one["EXTEND_TIMEOUT_USEC"]) >= 60e6
                for one in fields[:ready]
            ),
            fields,
        )
        self.assertEqual(sum("READY" in one for one in fields), 1)
        with service.connect() as one:
            World(one).user()
            status = service.notify.wait(15, "STATUS", since=ready + 1)["STATUS"]
            self.assertRegex(
                status,
                r"^running: [12] clients, \d+ calls in flight; "
                r"(sqlite|postgresql): \d+ connections idle, \d+ active, "
                r"\d+ calls waiting$",
            )
        self.assertEqual(service.notify.count("WATCHDOG"), 0)  # the environment does not ask for it
        before = len(service.notify.read())
        service.end()
        stopping = service.notify.wait(1, "STOPPING", "1", since=before)
        self.assertGreater(int(stopping["EXTEND_TIMEOUT_USEC"]), 10e6)

    def test_draining_extends(self):
        """While calls are in flight, the stop timeout is extended repeatedly, and the watchdog is
        fed."""
        service = self.service(
            watchdog=2,
            options=("--bcrypt-cost", "15", "--drain-timeout", "3s", "--call-timeout", "1h"),
        ).start()
        with service.connect() as busy:
            for _ in range(12):
                busy.request("verify_user_password", email="nobody@example.com", password="x")
            busy.call("daemon.ping")
            before = len(service.notify.read())
            service.signal(signal.SIGTERM)
            service.wait(30)
        self.assertGreaterEqual(service.notify.count("EXTEND_TIMEOUT_USEC", before), 3)
        self.assertGreaterEqual(service.notify.count("WATCHDOG", before), 2)

    def test_failed_start_says_why(self):
        service = self.service(options=("--no-migrate",), fresh=True)
        self.assertRaises(StartFailure, service.start)
        self.assertTrue(
            any(
                "schema" in fields.get("STATUS", "") and "ERRNO" in fields
                for _, fields in service.notify.read()
            ),
            service.notify.messages,
        )
        self.assertEqual(service.notify.count("READY"), 0)
        for options, environment, says in (
            ((), {"PIERRE_DBD_POOL": "many"}, "PIERRE_DBD_POOL"),
            (("--poool", "3"), {}, "did you mean --pool?"),
        ):
            service = self.service(options=options, environment=environment)
            self.assertRaises(StartFailure, service.start)
            self.assertTrue(
                any(says in fields.get("STATUS", "") for _, fields in service.notify.read()),
                service.notify.messages,
            )

    def test_reload(self):
        """SIGHUP: RELOADING=1 with the time, then READY=1. A broken file does the same and changes
        nothing."""
        folder = self.folder()
        settings = os.path.join(folder, "settings.env")

        def write(text):
            with open(settings, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(settings, 0o600)

        write("PIERRE_DBD_BATCH_LIMIT=3\n")
        service = self.service(options=("--env-file", settings)).start()

        def takes_three():
            with service.connect() as one:
                one.send(b"[" + b",".join([PING.strip()] * 3) + b"]\n")
                return isinstance(one.read(), list)

        self.assertTrue(takes_three())
        for text, expected in (
            ("PIERRE_DBD_BATCH_LIMIT=2\n", False),
            ("PIERRE_DBD_BATCH_LIMIT=3\n", True),
            ("PIERRE_DBD_BATCH_LIMIT=x\n", True),
        ):
            write(text)
            before = len(service.notify.read())
            began = time.monotonic()
            service.signal(signal.SIGHUP)
            reloading = service.notify.wait(10, "RELOADING", "1", since=before)
            service.notify.wait(10, "READY", "1", since=before)
            self.assertTrue(
                began - 0.01 <= int(reloading["MONOTONIC_USEC"]) / 1e6 <= time.monotonic(),
                reloading,
            )
            kinds = [
                next(iter(fields))
                for _, fields in service.notify.read()[before:]
                if "RELOADING" in fields or "READY" in fields
            ]
            self.assertEqual(kinds, ["RELOADING", "READY"])
            self.assertEqual(takes_three(), expected, text)
        service.end()

    def test_abstract_notify_socket_and_bad_ones(self):
        folder = self.folder()
        open(
            os.path.join(folder, "notify"), "w", encoding="ascii"
        ).close()  # makes the harness use an abstract name
        service = self.service(folder=folder).start()
        self.assertTrue(service.notify.path.startswith("@"))
        service.end()
        for path in ("relative", "/nonexistent/notify", "/" + "x" * 300, "@", ""):
            with Daemon(environment={"NOTIFY_SOCKET": path}) as daemon:
                self.assertEqual(daemon.call("daemon.ping"), "pong")

    def test_key_as_credential(self):
        key = new_key()
        service = self.service(credential=key).start()
        with service.connect() as one:
            user = World(one).user()
            one.call(
                "update_strava_token",
                [user, "credential-canary", "r", "2030-01-01T00:00:00Z", "read"],
            )
            self.assertEqual(
                one.call("get_strava_token", [user])["access_token"], "credential-canary"
            )
        service.end()

    def test_no_env_file_under_systemd(self):
        """A file called .env in the working folder is for interactive use, not for a service."""
        service = self.service()
        with open(os.path.join(service.folder, ".env"), "w", encoding="ascii") as file:
            file.write("PIERRE_DBD_BATCH_LIMIT=nonsense\n")
        service.start().end()


class Activation(Services):
    def test_passed_socket(self):
        """Used as it is: neither unlinked nor changed in mode, at start and exit. The path of
        --socket is not created."""
        folder = self.folder()
        one = self.listening(folder, mode=0o622)
        before = os.lstat(os.path.join(folder, "s"))
        service = self.service(
            folder=folder,
            sockets=[one],
            names=["pierre-dbd"],
            options=("--socket", os.path.join(folder, "other"), "--socket-mode", "0600"),
        ).start()
        self.assertEqual(service.call("daemon.ping"), "pong")
        self.assertFalse(os.path.lexists(os.path.join(folder, "other")))
        self.assertEqual([name for name in os.listdir(folder) if name.endswith(".lock")], [])
        self.assertTrue(os.readlink(f"/proc/{service.pid}/fd/3").startswith("socket:"))
        service.end()
        after = os.lstat(os.path.join(folder, "s"))
        self.assertEqual(
            (after.st_ino, stat.S_IMODE(after.st_mode), after.st_ctime_ns),
            (before.st_ino, 0o622, before.st_ctime_ns),
        )

    def test_after_a_crash(self):
        """kill -9: the passed socket remains, and the next start answers a client that connects
        meanwhile."""
        folder = self.folder()
        one = self.listening(folder)
        service = self.service(folder=folder, sockets=[one]).start()
        service.kill()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as early:
            early.settimeout(20 * SLOW)
            early.connect(service.socket_path)
            early.sendall(PING)
            again = Service(
                folder=folder, sockets=[one], database=service.database, key=service.key
            )
            self.addCleanup(again.kill)
            again.start()
            self.assertIn(b"pong", early.recv(4096))
        again.end()

    def test_a_start_that_nothing_mends_closes_who_waits(self):
        """systemd starts a service as long as a connection waits, and would do so forever. A start
        that may succeed next time leaves the connections in the queue."""
        for number, (more, code, closed) in enumerate(
            (
                ({"environment": {"PIERRE_DBD_POOL": "many"}}, 78, True),
                ({"options": ("--no-such-option",)}, 64, True),
                ({"options": ("--access", "user=")}, 78, True),
                ({"database": "postgresql://nobody@127.0.0.1:1/x"}, 69, False),
            )
        ):
            folder = self.folder()
            one = self.listening(folder)
            with contextlib.ExitStack() as stack:
                early = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
                for client in early:
                    client.connect(os.path.join(folder, "s"))
                    client.sendall(PING)
                service = self.service(folder=folder, sockets=[one], **more)
                with self.assertRaises(StartFailure, msg=number) as caught:
                    service.start()
                self.assertEqual(caught.exception.code, code, caught.exception.log)
                for client in early:
                    client.setblocking(False)
                    if closed:
                        # A reset: the daemon did not read the client's data
                        self.assertRaises(ConnectionResetError, client.recv, 1)
                    else:
                        self.assertRaises(BlockingIOError, client.recv, 1)

    def test_not_for_this_process(self):
        """LISTEN_PID names another process: the daemon makes its own socket and does not touch
        descriptor 3."""
        folder = self.folder()
        other = listener(os.path.join(folder, "elsewhere"))
        self.addCleanup(other.close)
        service = self.service(folder=folder, sockets=[other], environment={"TEST_LISTEN_PID": "1"})
        service.activated = False
        service.start()
        self.assertEqual(service.call("daemon.ping"), "pong")
        service.end()

    def test_no_sockets(self):
        service = self.service(environment={"LISTEN_FDS": "0"}).start()
        self.assertEqual(service.call("daemon.ping"), "pong")
        service.end()

    def test_what_is_refused(self):
        """Two sockets; TCP, datagram, sequenced packets, a connected socket, a socket that does not
        listen, a pipe, a file: exit code 78 and one line."""
        folder = self.folder()
        place = os.path.join(folder, "s")
        tcp = socket.create_server(("127.0.0.1", 0))
        ends = socket.socketpair()
        packets = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        packets.bind(place + "p")
        packets.listen(1)
        pipe = [os.fdopen(end, "rb" if index == 0 else "wb") for index, end in enumerate(os.pipe())]
        file = open(place + "f", "wb")  # pylint: disable=consider-using-with
        good, second = listener(place + "1"), listener(place + "2")
        wrong = {
            "two": ([good, second], "2"),
            "tcp": ([tcp], "Unix"),
            "datagram": ([listener(place + "d", socket.SOCK_DGRAM)], "stream"),
            "packets": ([packets], "stream"),
            "connected": ([ends[0]], "listening"),
            "silent": ([listener(place + "q", backlog=0)], "listening"),
            "pipe": ([pipe[0]], "socket"),
            "file": ([file], "socket"),
        }
        for name, (sockets, word) in wrong.items():
            paths = {path: os.lstat(path).st_ino for path in glob.glob(place + "*")}
            service = Service(folder=self.folder(), sockets=sockets)
            try:
                with self.assertRaises(StartFailure, msg=name) as caught:
                    service.start()
                self.assertEqual(caught.exception.code, 78, name)
                self.assertIn(word, caught.exception.log, name)
                self.assertIn("systemd passed", caught.exception.log, name)
                self.assertEqual(service.notify.count("READY"), 0)
            finally:
                service.discard()
            self.assertEqual(
                paths, {path: os.lstat(path).st_ino for path in glob.glob(place + "*")}, name
            )
            for one in sockets:
                one.close()
        for one in (*ends, *pipe):
            one.close()


class Restart(Services):
    """No calls are lost while systemd holds the socket."""

    def test_under_load(self):
        folder = self.folder()
        one = self.listening(folder)
        key, database = new_key(), databases.make(databases.chosen(), folder)
        if databases.chosen() == "postgres":
            self.addCleanup(database.drop)

        def start():
            service = Service(folder=folder, sockets=[one], database=database, key=key)
            self.addCleanup(service.kill)
            return service.start()

        service, pids = start(), set()
        self.model = service.model
        with Writers(os.path.join(folder, "s"), 6) as writers:
            for _ in range(4):
                pids.add(service.pid)
                time.sleep(0.5)
                service.end()
                service.notify.close()
                service = start()
            time.sleep(0.3)
        self.assertEqual(writers.problems, [])
        self.assertEqual(len(pids), 4)
        self.assertGreater(len(writers.answered), 100 / SLOW)
        self.assertGreater(writers.again, 0)  # the restarts affected some client
        with service.connect() as connection:
            for identifier, email in writers.answered.items():
                self.assertEqual(connection.call("get_user", user_id=identifier)["email"], email)
            self.assertEqual(connection.call("get_user_count"), len(writers.answered))
        service.end()
        service.notify.close()
        print(
            f"  restart under load: {len(writers.answered)} writes over 4 restarts, none lost; "
            f"{writers.again} sent again; longest wait {writers.longest * 1000:.0f} ms",
            flush=True,
        )
