"""The default socket of clients: the user's own socket, then the service's in /run. In a mount
namespace with its own /run. Would catch: a library or a tool that does not find the system's
service, or that prefers it to the user's own daemon. SQLite only: the search does not depend on the
database."""
import glob
import os
import shutil
import subprocess
import sys

from lib.case import Case
from lib.daemon import BUILD, CTL, SANITIZER, Daemon, temporary_folder

BACKENDS = ("sqlite",)
SERVICE = "/run/pierre-dbd/pierre-dbd.sock"
# A program that uses only the C library. It prints the default path and whether a call succeeds
# there.
PROGRAM = """
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1])
lib.pierre_new.restype = ctypes.c_void_p
lib.pierre_new.argtypes = [ctypes.c_char_p]
lib.pierre_call.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p,
    ctypes.c_void_p]
path, error = ctypes.create_string_buffer(108), ctypes.create_string_buffer(1024)
assert lib.pierre_default_socket(path, ctypes.c_size_t(108), error) == 0, error.raw
text = ctypes.c_char_p()
handle = lib.pierre_new(None)
failed = lib.pierre_call(handle, b"daemon.ping", None, ctypes.byref(text), error)
print(path.value.decode(), "refused" if failed else text.value.decode())
"""


class Inside(Daemon):
    """A daemon in the namespace, reached from here through its process."""

    def __init__(self, enter, place):
        super().__init__(wrapper=enter)
        self.place = place

    def arguments(self):
        known, self.socket_path = self.socket_path, self.place
        try:
            return super().arguments()
        finally:
            self.socket_path = known

    def spawn(self):
        super().spawn()
        self.socket_path = f"/proc/{self.holder}/root{self.place}"
        return self


class DefaultSocket(Case):
    def setUp(self):
        if SANITIZER:
            self.skipTest("the library cannot be loaded into an interpreter without the sanitizer")
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, True)
        own = f"/tmp/pierre-dbd-{os.geteuid()}"
        script = (
            f"mount -t tmpfs run /run && mkdir /run/pierre-dbd /run/user && chmod 755 /run && "
            f"if [ -d {own} ]; then mount -t tmpfs -o mode=700 own {own}; "
            "fi && echo ready && exec sleep 3600"
        )
        root = os.geteuid() == 0
        command = [
            "unshare",
            *([] if root else ["--user", "--map-root-user"]),
            "--mount",
            "sh",
            "-c",
            script,
        ]
        self.holder = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.addCleanup(self.end)
        if self.holder.stdout.readline() != "ready\n":
            self.skipTest(
                f"no mount namespace: {self.holder.stderr.read().strip()}: the search in /run "
                "is NOT tested"
            )
        users = [] if root else ["--user", "--preserve-credentials"]
        self.enter = ["nsenter", "-t", str(self.holder.pid), "--mount", *users, "--"]

    def end(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        self.holder.stderr.close()

    def daemon(self, place):
        one = Inside(self.enter, place)
        one.holder = self.holder.pid
        self.addCleanup(one.discard)
        one.spawn()
        self.within(20, lambda: os.path.exists(one.socket_path) and self.answers(place))
        return one

    def answers(self, place):
        return self.run_(CTL, "--socket", place, "ping").returncode == 0

    def run_(self, *command, user=None, **variables):
        become = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if user else []
        return subprocess.run(
            [*self.enter, *become, *command], env={"PATH": os.environ["PATH"], **variables},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def library(self, **variables):
        (path,) = glob.glob(os.path.join(BUILD, "client", "libpierre-db.so"))
        done = self.run_(sys.executable, "-c", PROGRAM, path, **variables)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip()

    def found(self, place, **variables):
        """With the library and with the tool."""
        self.assertEqual(self.library(**variables), f'{place} "pong"')
        self.assertEqual(self.run_(CTL, "socket", **variables).stdout, place + "\n")
        self.assertEqual(self.run_(CTL, "ping", **variables).returncode, 0)
        return self.run_(CTL, "doctor", **variables).stdout

    def test_the_service_is_found(self):
        self.daemon(SERVICE)
        doctor = self.found(SERVICE)
        self.assertIn(f"{SERVICE} (from the system's service)", doctor)
        # A session without a daemon.
        self.found(SERVICE, XDG_RUNTIME_DIR="/run/user")

    def test_the_users_own_comes_first(self):
        self.daemon(SERVICE)
        own = "/run/user/pierre-dbd.sock"
        self.daemon(own)
        self.found(own, XDG_RUNTIME_DIR="/run/user")
        self.found(SERVICE)

    def test_what_is_named_is_not_replaced(self):
        self.daemon(SERVICE)
        named = os.path.join(self.folder, "none")
        self.assertEqual(self.run_(CTL, "socket", PIERRE_DBD_SOCKET=named).stdout, named + "\n")
        refused = self.run_(CTL, "ping", PIERRE_DBD_SOCKET=named)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(named, refused.stderr)

    def test_without_a_service_the_users_own_place_is_told(self):
        place = f"/tmp/pierre-dbd-{os.geteuid()}/pierre-dbd.sock"
        self.assertEqual(self.run_(CTL, "socket").stdout, place + "\n")
        self.assertEqual(
            self.run_(CTL, "socket", XDG_RUNTIME_DIR="/run/user").stdout,
            "/run/user/pierre-dbd.sock\n",
        )

    def test_a_service_that_may_not_be_entered_is_told_of(self):
        """Not the path in /tmp, which never existed."""
        if os.geteuid() != 0 or not os.access(os.path.dirname(CTL), os.X_OK):
            self.skipTest("needs root: another user's refusal is NOT tested")
        self.daemon(SERVICE)
        self.run_("chmod", "700", "/run/pierre-dbd")
        copy = shutil.copy(CTL, self.folder)  # a build may be in a folder that others cannot enter
        for library in glob.glob(os.path.join(BUILD, "client", "libpierre-db.so.?")):
            shutil.copy(library, self.folder)
        os.chmod(self.folder, 0o755)
        refused = self.run_(copy, "ping", user="65534", LD_LIBRARY_PATH=self.folder)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(SERVICE, refused.stderr)
        self.assertIn("ermission denied", refused.stderr)
