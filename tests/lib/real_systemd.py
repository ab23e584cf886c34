"""The service under a real systemd (machine.py), installed by the commands of the guide."""
import atexit
import contextlib
import os
import re
import socket
import threading

from lib.case import Case
from lib.daemon import BUILD, SANITIZER, SLOW
from lib.machine import Machine, lacks
from lib.rpc import Connection
from lib.world import HASH

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SOCKET = "/run/pierre-dbd/pierre-dbd.sock"
UNIT = "pierre-dbd.service"
CONFIGURATION = "/etc/pierre-dbd/pierre-dbd.conf"
LATER = "2030-01-01T00:00:00Z"


def guide(heading, number=0):
    """Returns a block of commands under a heading of one of these pages."""
    text = ""
    for page in ("run.md", "recover.md", "monitoring.md"):
        with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as file:
            text += file.read()
    section = re.search(
        rf"^##+ {re.escape(heading)}\n(.*?)(?=^##+ |\Z)", text, re.DOTALL | re.MULTILINE
    ).group(1)
    return re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[number]


class Real(Case):
    """One machine for all tests of a process. Each test begins and ends with a running service."""

    machine = None

    @classmethod
    def setUpClass(cls):
        cls.reason = "a sanitizer's build is not installed" if SANITIZER else lacks()
        if cls.reason or Real.machine is not None:
            return
        machine = Machine(dict.fromkeys((ROOT, BUILD)))
        atexit.register(machine.end)
        machine.boot()
        Real.machine = machine
        Real.install()

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
            cls.last = cls.machine.shell(f"cd /srv/source && umask 022 && {unbuilt(line)}")

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

    def configure(self, text):
        """Restarts the service with a configuration file for the rest of the test."""

        def undo():
            os.unlink(self.m.path(CONFIGURATION))
            self.m.run("systemctl", "restart", "pierre-dbd")

        self.m.write(CONFIGURATION, text, 0o600)
        self.addCleanup(undo)
        self.m.run("systemctl", "restart", "pierre-dbd")

    def await_new(self, before, seconds=30):
        """Waits until another process is the ready service. Returns its pid."""

        def found():
            pid = self.m.main_pid(UNIT)
            active = self.m.property(UNIT, "ActiveState") == "active"
            return pid if active and pid not in (0, before) else 0

        return self.within(seconds, found, every=0.1)

    def await_more(self, writers, count=10):
        """Waits until the writers have got more answers."""
        known = len(writers.answered)
        self.within(20, lambda: len(writers.answered) > known + count or writers.problems)

    def stored(self, writers):
        """Every answered write is stored."""
        self.assertEqual(writers.problems, [])
        self.assertGreater(len(writers.answered), 20)
        with contextlib.closing(self.connect()) as one:
            for identifier, email in writers.answered.items():
                self.assertEqual(one.call("get_user", user_id=identifier)["email"], email)

    def user_with_token(self, email):
        user = self.call("create_user", user={"email": email, "password_hash": HASH})
        self.call("update_strava_token", user_id=user, access_token=f"canary of {email}",
                  refresh_token="r", expires_at=LATER, scope="read")  # fmt: skip
        return user

    def token(self, user):
        return self.call("get_strava_token", user_id=user)["access_token"]

    # A configuration with which the service cannot start
    # ----------------------------------------------------------------------------------------------

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
        self.m.write(CONFIGURATION, "PIERRE_DBD_POOL=many\n", 0o600)
        self.m.run("systemctl", "stop", "pierre-dbd.service")

    def mend_configuration(self):
        os.unlink(self.m.path(CONFIGURATION))

    def failed_starts(self):
        return sum("PIERRE_DBD_POOL" in one["MESSAGE"] for one in self.m.journal(UNIT))

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


def unbuilt(line):
    """A command of the guide that installs: the build stays as it is."""
    return line.replace("meson install", "meson install --no-rebuild --quiet")
