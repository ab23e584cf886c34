"""The image of the Dockerfile, built without a container engine in a Debian system of its own, and
containers of it (image.py). Would catch: a step that fails, a program or library that the image
lacks, a daemon that writes outside of its volumes or runs as root, a health check that fails, a key
that is refused, a stop that takes longer than the grace period.

Run by `scripts/test --containers`, which makes the Debian system. It takes some minutes, and needs
root and the package archive."""
import base64
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from containers.image import Builder, Container
from lib.postgres_server import PostgresServer, binary

BASE = os.environ.get("PIERRE_TEST_CONTAINER_BASE")  # the root of a Debian system
KEY = "/run/secrets/encryption_key"
DATA, SOCKET = "/var/lib/pierre-dbd", "/run/pierre-dbd"
USER = "10001"


def setUpModule():
    """One image for all."""
    global IMAGE, WORK, STEPS  # pylint: disable=global-variable-undefined
    assert BASE, "run it by scripts/test --containers"
    WORK = tempfile.mkdtemp(prefix="pierre-containers-")
    os.chmod(WORK, 0o755)
    builder = Builder(ROOT, BASE, WORK)
    began = time.monotonic()
    try:
        IMAGE, STEPS = builder.build(), builder.steps
    except BaseException:
        shutil.rmtree(WORK)
        raise
    print(f"  the image was built in {time.monotonic() - began:.0f} s")


def tearDownModule():
    shutil.rmtree(WORK)


class Containers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=WORK)
        os.chmod(self.folder, 0o755)
        self.key = base64.b64encode(os.urandom(32)).decode()
        self.data, self.socket = self.place("data"), self.place("socket")

    def place(self, name):
        path = os.path.join(self.folder, name)
        os.mkdir(path)
        return path

    def secret(self, name, text, mode, group=int(USER)):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text + "\n")
        os.chown(path, 0, group)
        os.chmod(path, mode)
        return path

    def container(self, secrets=None, **more):
        if secrets is None:
            secrets = {KEY: self.secret("key", self.key, 0o440)}
        more.setdefault("volumes", {DATA: self.data, SOCKET: self.socket})
        one = Container(IMAGE, secrets=secrets, **more)
        self.addCleanup(one.process.stdout.close)
        self.addCleanup(one.kill)
        return one

    def healthy(self, container):
        """Runs the image's health check until it succeeds, for as long as an engine would."""
        deadline = time.monotonic() + int(IMAGE.health_options["start-period"].rstrip("s"))
        while True:
            if container.process.poll() is not None:
                self.fail(f"it has ended:\n{container.wait(10)}")
            if container.init() is not None:
                done = container.enter(*IMAGE.health)
                if done.returncode == 0:
                    return done.stdout
                self.assertEqual(done.returncode, 1, done.stderr)
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def client(self, *words, user="10002:10002", groups=(USER,), code=0):
        """Runs pierre-dbctl in a container of its own that has nothing but the socket."""
        one = Container(IMAGE, {SOCKET: self.socket}, command=["pierre-dbctl", *words], user=user,
                        groups=groups)  # fmt: skip
        status, out = one.wait(60)
        self.assertEqual(status, code, out)
        return out

    def test_image(self):
        """No compiler, no sources, no set-user-ID program of ours; the user is not root."""
        self.assertEqual(IMAGE.user, f"{USER}:{USER}")
        for path in ("/usr/bin/gcc", "/src", "/build", "/usr/include/pierre-db.h"):
            self.assertFalse(os.path.lexists(IMAGE.root + path), path)
        for path, mode in ((DATA, 0o700), (SOCKET, 0o750)):
            found = os.stat(IMAGE.root + path)
            self.assertEqual((found.st_uid, found.st_gid), (int(USER), int(USER)))
            self.assertEqual(stat.S_IMODE(found.st_mode), mode)
        before = self.privileged(BASE)
        self.assertEqual(self.privileged(IMAGE.root), before)
        programs = sorted(os.listdir(f"{IMAGE.root}/usr/bin"))
        programs = [name for name in programs if name.startswith("pierre-")]
        self.assertEqual(programs, ["pierre-dbctl", "pierre-dbd"])
        for program in programs:
            out = subprocess.run(
                ["chroot", IMAGE.root, program, "--version"],
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            self.assertTrue(out.startswith(program), out)
        size = int(subprocess.run(["du", "-sm", IMAGE.root], capture_output=True, text=True,
                                  check=True).stdout.split()[0])  # fmt: skip
        base = int(subprocess.run(["du", "-sm", BASE], capture_output=True, text=True,
                                  check=True).stdout.split()[0])  # fmt: skip
        print(f"  the image is {size - base} MiB larger than its base")

    def privileged(self, root):
        return {
            os.path.relpath(os.path.join(folder, name), root)
            for folder, _, names in os.walk(root)
            for name in names
            if not os.path.islink(os.path.join(folder, name))
            and os.stat(os.path.join(folder, name)).st_mode & 0o6000
        }

    def test_a_life(self):
        """Started, healthy, called from another container, stopped, and started again."""
        one = self.container()
        self.assertEqual(self.healthy(one), "ready\n")
        with open(f"/proc/{one.init()}/status", encoding="ascii") as file:
            status = dict(
                line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line
            )
        self.assertEqual(status["Uid"].split(), [USER] * 4)
        self.assertEqual((status["CapEff"], status["CapBnd"]), ("0" * 16,) * 2)
        self.assertEqual(status["NoNewPrivs"], "1")
        user = json.loads(
            self.client("call", "create_user", "user.email=a@example.com", "user.password_hash=x")
        )
        self.assertEqual(self.client("call", "get_user_count"), "1\n")
        self.assertIn("permission denied", self.client("ping", groups=(), code=75).lower())
        for path in ("/usr/x", "/etc/x", "/run/x", f"{KEY}.x"):
            done = one.enter("sh", "-c", f"echo x >{path}")
            self.assertRegex(done.stderr, "Read-only file system|Permission denied", path)
        written = subprocess.run(
            ["find", IMAGE.root, "-xdev", "-newer", self.data, "-type", "f", "-size", "+0"],
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        self.assertEqual(written, [])
        began = time.monotonic()
        code, log = one.stop(20)
        self.assertEqual(code, 0, log)
        self.assertLess(time.monotonic() - began, 10)
        self.assertNotIn(self.key, log)
        again = self.container()
        self.healthy(again)
        self.assertEqual(
            json.loads(self.client("call", "get_user", f"user_id={user}"))["email"], "a@example.com"
        )
        again.kill()
        third = self.container()
        self.healthy(third)
        self.assertEqual(self.client("call", "get_user_count"), "1\n")

    def test_without_a_daemon_it_is_unhealthy(self):
        one = self.container(command=["sleep", "60"])
        while one.init() is None:
            time.sleep(0.02)
        self.assertEqual(one.enter(*IMAGE.health).returncode, 1)

    def test_key_files(self):
        """As secrets are mounted: for the group alone, and for everybody below /run/secrets."""
        for mode, group, place, accepted in (
            (0o440, 10001, KEY, True),
            (0o444, 0, KEY, True),
            (0o400, 0, KEY, False),
            (0o440, 0, KEY, False),
            (0o444, 0, "/srv/key", False),
        ):
            with self.subTest(mode=oct(mode), group=group, place=place):
                one = self.container(
                    {place: self.secret(f"key-{mode:o}-{group}", self.key, mode, group)},
                    environment={"ENCRYPTION_KEY_FILE": place},
                )
                if accepted:
                    self.healthy(one)
                    code, log = one.stop(20)
                    self.assertEqual(code, 0, log)
                else:
                    code, log = one.wait(30)
                    self.assertEqual(code, 78, log)
                    self.assertIn(place, log)
                    self.assertNotIn(self.key, log)

    def test_a_key_is_made(self):
        one = self.container({}, command=["pierre-dbd", "--generate-key"])
        code, out = one.wait(30)
        self.assertEqual((code, len(base64.b64decode(out, validate=False))), (0, 32))

    def test_only_the_database_file_is_mounted(self):
        """The log of the database would stay in the container: the daemon warns."""
        inner = os.path.join(self.data, "data")
        os.mkdir(inner, 0o700)
        os.chown(inner, int(USER), int(USER))
        database = os.path.join(self.folder, "pierre.db")
        with open(database, "wb"):
            pass
        os.chown(database, int(USER), int(USER))
        os.chown(self.data, int(USER), int(USER))
        one = self.container(
            volumes={DATA: self.data, f"{DATA}/data/pierre.db": database, SOCKET: self.socket}
        )
        self.healthy(one)
        doctor = one.enter("pierre-dbctl", "doctor").stdout
        self.assertRegex(doctor, r"(?m)^warn .*mount")
        _, log = one.stop(20)
        self.assertRegex(log, "mount")

    def test_postgresql(self):
        """As docker-compose.yml configures it: the URL stands in a secret."""
        server = PostgresServer()
        server.start()
        self.addCleanup(server.stop)
        url = re.sub(r"/[^/?]*(\?|$)", r"/pierre_container\1", server.url)
        subprocess.run(
            [binary("psql"), "-qX", server.url, "-c", "CREATE DATABASE pierre_container"],
            check=True,
        )
        one = self.container(
            volumes={SOCKET: self.socket, server.folder: server.folder},
            secrets={
                KEY: self.secret("key", self.key, 0o440),
                "/run/secrets/pierre_dbd.conf": self.secret("conf", f"DATABASE_URL={url}", 0o440),
            },
            environment={"PIERRE_DBD_ENV_FILE": "/run/secrets/pierre_dbd.conf"},
        )
        self.healthy(one)
        self.assertIn('"backend":"postgresql"', self.client("--json", "health"))
        self.assertEqual(self.client("call", "get_user_count"), "0\n")
        self.assertEqual(one.stop(20)[0], 0)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed")
    sys.exit(1 if bad else 0)
