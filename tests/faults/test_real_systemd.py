"""The shipped units under a real systemd (lib/machine.py), installed by the commands of the guide.
Would catch: a command of the install guide that fails, a sandbox that blocks the daemon, a backup
or a key rotation, a restart that loses an answered write or refuses a connection, a watchdog that
systemd does not receive, a wrong configuration that needs more than its correction. SQLite only:
PostgreSQL is a server of its own, independent of the units."""
import contextlib
import json
import os
import re
import signal
import socket
import threading
import time

from lib.case import Case
from lib.daemon import BUILD, SANITIZER, SLOW, new_key
from lib.machine import Machine, lacks
from lib.notify import exposure
from lib.rpc import Closed, Connection, RpcError
from lib.world import HASH, uuid4

BACKENDS = ("sqlite",)
SANITIZERS = False
ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SOCKET = "/run/pierre-dbd/pierre-dbd.sock"
UNIT = "pierre-dbd.service"
LATER = "2030-01-01T00:00:00Z"


def guide(heading):
    """Returns the first block of commands under a heading of one of these pages."""
    text = ""
    for page in ("run.md", "recover.md", "monitoring.md"):
        with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as file:
            text += file.read()
    return re.search(rf"^##+ {heading}\n.*?```sh\n(.*?)```", text, re.DOTALL | re.MULTILINE).group(
        1
    )


class Writers:
    """Clients that create users one after the other. A call without an answer is sent again on a
    new connection."""

    def __init__(self, path, count=4):
        self.path, self.stop, self.lock = path, threading.Event(), threading.Lock()
        self.answered, self.problems, self.again = {}, [], 0
        self.threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _run(self):
        connection = None
        while not self.stop.is_set() and not self.problems:
            identifier, email, attempts = uuid4(), f"{uuid4()}@example.com", 0
            while True:
                try:
                    connection = connection or Connection(self.path, 60 * SLOW)
                    connection.call(
                        "create_user",
                        user={"id": identifier, "email": email, "password_hash": HASH},
                    )
                    break
                except RpcError as problem:
                    if attempts and problem.kind == "conflict":
                        break  # stored by the first request, whose answer was lost
                    if problem.kind != "shutting_down":
                        self.problems.append(f"refused: {problem}")
                        return
                except (Closed, BrokenPipeError, ConnectionResetError):
                    pass
                except Exception as problem:  # pylint: disable=broad-except
                    self.problems.append(f"{problem!r}")  # including refused connections
                    return
                attempts += 1
                if connection is not None:
                    connection.close()
                    connection = None
            with self.lock:
                self.answered[identifier] = email
                self.again += attempts
        if connection is not None:
            connection.close()


class Real(Case):
    """One machine for all tests. Each test begins and ends with a running service."""

    @classmethod
    def setUpClass(cls):
        reason = "a sanitizer's build is not installed" if SANITIZER else lacks()
        cls.reason, cls.machine = reason, None
        if reason:
            return
        cls.machine = Machine(dict.fromkeys((ROOT, BUILD)))
        try:
            cls.machine.boot()
            cls.install()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        if cls.machine is not None:
            cls.machine.end()

    @classmethod
    def install(cls):
        """Executes the guide line by line, without the build commands: the existing build is the
        one under test."""
        lines = [
            line
            for line in guide("From source").splitlines()
            if line and not line.startswith(("scripts/setup", "meson setup"))
        ]
        assert any("meson install -C build" in line for line in lines), lines
        cls.lines = lines
        cls.machine.shell(f"mkdir /srv/source && ln -s {BUILD} /srv/source/build")
        for line in lines:
            if "meson install" in line:
                line = line.replace("meson install", "meson install --no-rebuild --quiet")
            cls.last = cls.machine.shell(f"cd /srv/source && umask 022 && {line}")

    def setUp(self):
        if self.reason:
            self.skipTest(f"the units are NOT tried under a real systemd: {self.reason}")
        self.m = self.machine
        self.path = self.m.path(SOCKET)

    def tearDown(self):
        if self.machine is not None and self._outcome is not None and not self._outcome.success:
            print(self.m.run("journalctl", "--no-pager", "-n", "40", check=False).stdout)

    def connect(self, timeout=60.0):
        connection = Connection(self.path, timeout * SLOW)
        self.addCleanup(connection.close)
        return connection

    def call(self, method, **named):
        with contextlib.closing(self.connect()) as one:
            return one.call(method, **named)

    def drop_in(self, text, name="test"):
        """Installs a drop-in for the rest of the test."""
        place = f"/etc/systemd/system/{UNIT}.d/{name}.conf"

        def undo():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.m.path(place))
            self.m.run("systemctl", "daemon-reload")
            self.m.run("systemctl", "restart", "pierre-dbd")

        self.m.write(place, text)
        self.addCleanup(undo)
        self.m.run("systemctl", "daemon-reload")

    def await_new(self, before, seconds=30):
        """Waits until another process is the ready service. Returns its pid."""

        def found():
            pid = self.m.main_pid(UNIT)
            active = self.m.property(UNIT, "ActiveState") == "active"
            return pid if active and pid not in (0, before) else 0

        return self.within(seconds, found, every=0.1)

    def stored(self, writers):
        """Every answered write is stored."""
        self.assertEqual(writers.problems, [])
        self.assertGreater(len(writers.answered), 20)
        with contextlib.closing(self.connect()) as one:
            for identifier, email in writers.answered.items():
                self.assertEqual(one.call("get_user", user_id=identifier)["email"], email)


class Installed(Real):
    def test_the_guide_ends_with_a_healthy_service(self):
        """The guide's last line runs the doctor as root, without a socket's name. The doctor, the
        client and its library find the service's socket."""
        self.assertIn("pierre-dbctl doctor", self.lines[-1])
        self.assertIn(f"{SOCKET} (from the system's service)", self.last.stdout)
        self.assertNotRegex(self.last.stdout, r"(?m)^fail")
        self.assertEqual(self.m.property(UNIT, "ActiveState"), "active")
        self.assertEqual(self.m.property("pierre-dbd.socket", "ActiveState"), "active")
        self.assertEqual(self.m.run("pierre-dbctl", "ping").returncode, 0)

    def test_exposure(self):
        output = self.m.run("systemd-analyze", "security", "--no-pager", UNIT).stdout
        print(f"  systemd-analyze security of the running service: {exposure(output)}", flush=True)
        self.assertLessEqual(exposure(output), 1.2, output)

    def test_the_key_comes_as_a_credential(self):
        """The key is in no environment variable and in no file that the daemon's user can read."""
        environment = self.m.run("cat", f"/proc/{self.m.main_pid(UNIT)}/environ").stdout
        self.assertNotIn("ENCRYPTION_KEY", environment)
        self.assertIn("CREDENTIALS_DIRECTORY=/run/credentials/pierre-dbd.service", environment)
        found = self.m.run("cat", "/etc/pierre-dbd/encryption.key", user="pierre-dbd", check=False)
        self.assertNotEqual(found.returncode, 0)
        user = self.call("create_user", user={"email": "k@example.com", "password_hash": HASH})
        self.call("update_strava_token", user_id=user, access_token="sealed-canary",
                  refresh_token="r", expires_at=LATER, scope="read")  # fmt: skip
        found = self.call("get_strava_token", user_id=user)
        self.assertEqual(found["access_token"], "sealed-canary")

    def test_who_may_connect(self):
        """A user of the group is admitted. Another user is refused and is advised to join the
        group."""
        self.m.shell(
            "useradd --user-group alice; useradd --user-group mallory; usermod -aG pierre-dbd alice"
        )
        self.assertEqual(self.m.run("pierre-dbctl", "ping", user="alice").returncode, 0)
        refused = self.m.run("pierre-dbctl", "ping", user="mallory", check=False)
        self.assertNotEqual(refused.returncode, 0)
        doctor = self.m.run("pierre-dbctl", "doctor", user="mallory", check=False)
        self.assertNotEqual(doctor.returncode, 0)
        self.assertIn("pierre-dbd", doctor.stdout)
        self.assertIn("join the group", doctor.stdout)

    def test_journal_priorities(self):
        """An entry's priority is the line's level. The journal has the time; the line has none."""
        self.m.write("/etc/pierre-dbd/pierre-dbd.conf", "PIERRE_DBD_NO_SUCH_SETTING=1\n", 0o600)
        self.addCleanup(self.restart_plain)
        self.m.run("systemctl", "restart", "pierre-dbd")
        entries = [one for one in self.m.journal(UNIT) if one["_COMM"] == "pierre-dbd"]
        levels = {"error": "3", "warning": "4", "notice": "5", "info": "6", "debug": "7"}
        for one in entries:
            line = re.match(r"level=(\w+) msg=", one["MESSAGE"])
            self.assertIsNotNone(line, one["MESSAGE"])
            self.assertEqual(one["PRIORITY"], levels[line.group(1)], one["MESSAGE"])
        warned = self.m.journal(UNIT, "--priority=4..4")
        self.assertIn("NO_SUCH_SETTING", "".join(one["MESSAGE"] for one in warned))

    def restart_plain(self):
        os.unlink(self.m.path("/etc/pierre-dbd/pierre-dbd.conf"))
        self.m.run("systemctl", "restart", "pierre-dbd")

    def http(self, path):
        """Returns (status, text) of the exporter's answer to a user without rights."""
        program = (
            "import sys, urllib.request as u, urllib.error as e\n"
            "try: a = u.urlopen(sys.argv[1], timeout=20)\n"
            "except e.HTTPError as problem: a = problem\n"
            "print(a.status); print(a.read().decode(), end='')"
        )
        url = f"http://127.0.0.1:9754{path}"
        shown = self.m.run("python3", "-c", program, url, user="carol").stdout
        status, _, text = shown.partition("\n")
        return int(status), text

    def test_exporter(self):
        """It is off. After the lines of the guide it serves the metrics, with the role read, from
        a sandbox without a network; a restart of the daemon refuses no scrape for long."""
        sockets = "pierre-dbd-exporter.socket"
        self.assertEqual(self.m.property(sockets, "ActiveState"), "inactive")
        self.m.shell("useradd --user-group carol")
        self.addCleanup(self.restart_plain)
        self.addCleanup(self.m.shell, f"systemctl disable --now {sockets} pierre-dbd-exporter")
        for line in guide("Setting it up").splitlines():
            if not line.startswith(("#", "curl")):
                self.m.shell(line)
        status, text = self.http("/metrics")
        self.assertEqual(status, 200, text)
        self.assertIn("\npierre_dbd_ready 1\n", text)
        uid = int(self.m.run("id", "-u", "pierre-dbd-exporter").stdout)
        roles = [one["role"] for one in self.call("daemon.clients")["clients"] if one["uid"] == uid]
        self.assertEqual(roles, ["read"])
        shown = self.m.run(
            "systemd-analyze", "security", "--no-pager", "pierre-dbd-exporter.service"
        ).stdout
        print(f"  systemd-analyze security of the running exporter: {exposure(shown)}", flush=True)
        self.assertLessEqual(exposure(shown), 0.4, shown)
        self.m.run("systemctl", "restart", "pierre-dbd")
        self.within(10, lambda: self.http("/ready") == (200, "ready: ok\n"), every=0.2)

    def test_another_user_and_group(self):
        """A drop-in for service and socket. The new user owns the state folder."""
        self.m.shell("useradd --system --user-group fitness")
        self.drop_in("[Service]\nUser=fitness\nGroup=fitness\n")
        socket_unit = "/etc/systemd/system/pierre-dbd.socket.d/test.conf"
        self.m.write(socket_unit, "[Socket]\nSocketUser=fitness\nSocketGroup=fitness\n")
        self.addCleanup(self.m.shell, "systemctl stop pierre-dbd.socket pierre-dbd; "
        f"rm {socket_unit}; "
                        "systemctl daemon-reload; systemctl start pierre-dbd.socket")  # fmt: skip
        before = self.call("get_user_count")
        self.m.shell("systemctl stop pierre-dbd.socket pierre-dbd; systemctl daemon-reload; "
                     "systemctl start pierre-dbd.socket pierre-dbd")  # fmt: skip
        shown = self.m.shell(f"stat -c %U:%G {SOCKET} /var/lib/pierre-dbd/pierre.db").stdout.split()
        self.assertEqual(shown, ["fitness:fitness"] * 2)
        self.assertEqual(self.call("get_user_count"), before)
        self.assertEqual(self.m.run("pierre-dbctl", "ping", user="fitness").returncode, 0)


class Restarted(Real):
    def test_socket_activation(self):
        """The service is down. A client that connects starts it and is answered."""
        self.m.run("systemctl", "stop", "pierre-dbd.service")
        self.assertEqual(self.m.property("pierre-dbd.socket", "ActiveState"), "active")
        self.assertEqual(self.call("daemon.ping"), "pong")
        self.assertEqual(self.m.property(UNIT, "ActiveState"), "active")

    def test_restart_under_load(self):
        """No answered write is lost and no connection is refused, since systemd holds the
        socket."""
        pids = set()
        with Writers(self.path) as writers:
            for _ in range(4):
                known = len(writers.answered)
                self.within(
                    20, lambda known=known: len(writers.answered) > known + 10 or writers.problems
                )
                self.m.run("systemctl", "restart", "pierre-dbd")
                pids.add(self.m.main_pid(UNIT))
        self.assertEqual(len(pids), 4)
        self.stored(writers)
        self.assertGreater(writers.again, 0)
        print(
            f"  4 restarts: {len(writers.answered)} writes, none lost, {writers.again} sent again",
            flush=True,
        )

    def test_killed_under_load(self):
        with Writers(self.path) as writers:
            for _ in range(3):
                known, before = len(writers.answered), self.m.main_pid(UNIT)
                self.within(
                    20, lambda known=known: len(writers.answered) > known + 10 or writers.problems
                )
                self.m.run("systemctl", "kill", "-s", "KILL", "pierre-dbd")
                self.await_new(before)
        self.stored(writers)

    def test_reload_under_load(self):
        """The same process uses the new value, and no call fails. A wrong file changes nothing."""
        self.m.write("/etc/pierre-dbd/reload.conf", "PIERRE_DBD_BATCH_LIMIT=3\n")
        self.drop_in("[Service]\nEnvironment=PIERRE_DBD_ENV_FILE=/etc/pierre-dbd/reload.conf\n")
        self.m.run("systemctl", "restart", "pierre-dbd")
        before = self.m.main_pid(UNIT)
        with Writers(self.path) as writers:
            for text, limit in (("2", 2), ("4", 4), ("nonsense", 4), ("5", 5)):
                self.m.write("/etc/pierre-dbd/reload.conf", f"PIERRE_DBD_BATCH_LIMIT={text}\n")
                self.m.run("systemctl", "reload", "pierre-dbd", check=False)
                self.within(10, lambda limit=limit: self.takes(limit) and not self.takes(limit + 1))
            self.within(20, lambda: len(writers.answered) > 30 or writers.problems)
        self.assertEqual(self.m.main_pid(UNIT), before)
        self.assertEqual(writers.again, 0)
        self.stored(writers)

    def takes(self, count):
        ping = '{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}'
        with contextlib.closing(self.connect()) as one:
            one.send(f"[{','.join([ping] * count)}]\n")
            return isinstance(one.read(), list)

    def test_watchdog(self):
        """A process that hangs is replaced. The test uses a shorter time than the shipped one,
        whose value is checked as well."""
        self.assertEqual(self.m.property(UNIT, "WatchdogUSec"), "30s")
        self.drop_in("[Service]\nWatchdogSec=3\n")
        self.m.run("systemctl", "restart", "pierre-dbd")
        before = self.m.main_pid(UNIT)
        time.sleep(5)  # longer than the watchdog's time: a working service stays
        self.assertEqual(self.m.main_pid(UNIT), before)
        self.m.run("kill", "-STOP", str(before))
        self.await_new(before)
        self.assertEqual(self.call("daemon.ping"), "pong")
        log = self.m.run("journalctl", "--no-pager", "UNIT=pierre-dbd.service", "-n", "50").stdout
        self.assertIn("Watchdog timeout", log)

    @contextlib.contextmanager
    def knocking(self):
        """A client that connects, waits up to a second for its answer, and connects again."""
        stop = threading.Event()

        def knock():
            while not stop.is_set():
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:
                    one.settimeout(1)
                    one.connect(self.path)
                    one.recv(1)

        thread = threading.Thread(target=knock)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def break_configuration(self):
        self.m.write("/etc/pierre-dbd/pierre-dbd.conf", "PIERRE_DBD_POOL=many\n", 0o600)
        self.m.run("systemctl", "stop", "pierre-dbd.service")

    def mend_configuration(self):
        os.unlink(self.m.path("/etc/pierre-dbd/pierre-dbd.conf"))

    def failed_starts(self):
        return sum("PIERRE_DBD_POOL" in one["MESSAGE"] for one in self.m.journal(UNIT))

    def test_wrong_configuration(self):
        """Clients that keep connecting start the service again and again. Once the configuration is
        corrected, one command suffices."""
        self.break_configuration()
        before = self.failed_starts()
        # More starts than systemd's own limits allow: 20 of a socket in 2 s, 5 of a service in 10
        # s.
        threads = 4
        with contextlib.ExitStack() as clients:
            for _ in range(threads):
                clients.enter_context(self.knocking())
            self.within(60, lambda: self.failed_starts() > before + 25, every=0.2)
        self.resting()
        self.assertEqual(self.m.property("pierre-dbd.socket", "ActiveState"), "active")
        self.mend_configuration()
        self.m.run("systemctl", "start", "pierre-dbd")
        self.assertEqual(self.call("daemon.ping"), "pong")

    def resting(self):
        """Waits until no connection starts the service any more."""
        seen = []

        def quiet():
            seen.append(
                (self.m.property(UNIT, "InvocationID"), self.m.property(UNIT, "ActiveState"))
            )
            return (
                len(seen) > 10
                and len(set(seen[-10:])) == 1
                and seen[-1][1] in ("failed", "inactive")
            )

        self.within(30, quiet, every=0.1)

    def test_a_client_that_waits_or_left_does_not_start_it_for_ever(self):
        """One start for one connection: the failing start closes it."""
        self.break_configuration()
        before = self.failed_starts()
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(30 * SLOW)
            one.connect(self.path)
            self.assertEqual(one.recv(1), b"")
        self.resting()
        self.assertEqual(self.failed_starts() - before, 1)
        self.mend_configuration()
        self.assertEqual(self.call("daemon.ping"), "pong")

    def test_wrong_configuration_mended_under_clients(self):
        """Clients need no command at all: the next one starts the service."""
        self.break_configuration()
        before = self.failed_starts()
        with self.knocking():
            self.within(60, lambda: self.failed_starts() > before + 3, every=0.2)
            self.mend_configuration()
            self.within(10, lambda: self.m.property(UNIT, "ActiveState") == "active")
            self.m.run("systemctl", "start", "pierre-dbd")
        self.assertEqual(self.call("daemon.ping"), "pong")


class Kept(Real):
    """Backup, restore and key rotation, as documented, within the shipped sandbox."""

    def user_with_token(self, email):
        user = self.call("create_user", user={"email": email, "password_hash": HASH})
        self.call("update_strava_token", user_id=user, access_token=f"canary of {email}",
                  refresh_token="r", expires_at=LATER, scope="read")  # fmt: skip
        return user

    def token(self, user):
        return self.call("get_strava_token", user_id=user)["access_token"]

    def test_backup_and_restore(self):
        kept = self.user_with_token("kept@example.com")
        self.m.shell(guide("Backup"))
        (name,) = os.listdir(self.m.path("/var/lib/pierre-dbd/backup"))
        place = f"/var/lib/pierre-dbd/backup/{name}"
        self.m.run(
            "pierre-dbctl",
            "verify",
            "--encryption-key-file",
            "/etc/pierre-dbd/encryption.key",
            place,
        )
        later = self.user_with_token("later@example.com")
        script = guide("Restoring")
        self.assertIn("2026-01-31.db", script)
        self.m.shell(script.replace("/var/lib/pierre-dbd/backup/2026-01-31.db", place))
        self.assertEqual(self.token(kept), "canary of kept@example.com")
        self.assertIsNone(self.call("get_user", user_id=later))
        self.assertEqual(
            self.m.shell("stat -c %U:%a /var/lib/pierre-dbd/pierre.db").stdout, "pierre-dbd:600\n"
        )

    def test_backup_elsewhere_is_refused_with_the_remedy(self):
        self.m.shell("install -d -o pierre-dbd -m 700 /srv/backup")
        refused = self.m.run("pierre-dbctl", "backup", "/srv/backup/a.db", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, "ead-only file system")
        self.drop_in("[Service]\nReadWritePaths=/srv/backup\n")
        self.m.run("systemctl", "restart", "pierre-dbd")
        self.m.run("pierre-dbctl", "backup", "/srv/backup/a.db")

    def test_change_of_the_key(self):
        """Executes the documented commands, with the drop-in written where `systemctl edit` puts
        it."""
        user = self.user_with_token("rotated@example.com")
        before = self.m.run("cat", "/etc/pierre-dbd/encryption.key").stdout
        place = f"/etc/systemd/system/{UNIT}.d/override.conf"
        script = guide("Changing the key")
        lines = re.sub(r"sudo systemctl edit pierre-dbd *# (\[Service\])\n *# "
        r"(LoadCredential=\S+)\n",
                       rf"mkdir -p {os.path.dirname(place)}; printf '\1\\n\2\\n' >{place}; "
                       r"systemctl daemon-reload\n",
                       script)  # fmt: skip
        self.assertNotIn("systemctl edit", lines)
        self.assertIn("LoadCredential=previous_encryption_key", lines)
        self.m.shell(lines)
        self.assertNotEqual(self.m.run("cat", "/etc/pierre-dbd/encryption.key").stdout, before)
        self.assertFalse(os.path.exists(self.m.path(place)))
        self.assertEqual(self.token(user), "canary of rotated@example.com")
