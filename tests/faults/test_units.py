"""The shipped units. Would catch: a directive that systemd does not know, lost hardening, a path
that differs from the program's own, a system call that the hardening denies."""
import json
import os
import re
import shutil
import signal
import subprocess

from lib.case import Case
from lib.daemon import BINARY, BUILD, Daemon, SANITIZER, new_key, temporary_folder
from lib.interface import METHODS
from lib.notify import analyze, exposure
from lib.postgres_server import PostgresServer
from lib.world import Samples

BACKENDS = ("sqlite",)
SANITIZERS = False
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


class Units(Case):
    """Copies of the shipped units that can be checked here."""

    def folder(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        return folder

    def setUp(self):
        if analyze("--version") is None:
            self.skipTest("systemd-analyze is not installed: the units are NOT checked")
        self.place = self.folder()
        bindir = os.path.join(self.place, "bin")
        os.mkdir(bindir)
        os.symlink(BINARY, os.path.join(bindir, "pierre-dbd"))
        with open(os.path.join(BUILD, "systemd", "pierre-dbd.service"), encoding="utf-8") as file:
            text = file.read()
        start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
        self.assertTrue(start.endswith("/bin/pierre-dbd"), start)
        self.unit = self.write(
            "pierre-dbd.service", text.replace(start, f"ExecStart={bindir}/pierre-dbd")
        )
        shutil.copy(os.path.join(ROOT, "systemd", "pierre-dbd.socket"), self.place)

    def write(self, name, text):
        path = os.path.join(self.place, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class Judged(Units):
    """Checked by systemd itself."""

    def drop_in(self):
        """Writes the units again, with the drop-in for SQLite."""
        with open(os.path.join(ROOT, "systemd", "sqlite-only.conf"), encoding="utf-8") as file:
            return self.write("pierre-dbd.service.d/sqlite-only.conf", file.read())

    def verify(self):
        code, output = analyze(
            "verify", "--man=no", self.unit, os.path.join(self.place, "pierre-dbd.socket")
        )
        # Messages about other units of the machine do not count.
        own = [line for line in output.splitlines() if "pierre-dbd" in line or self.place in line]
        self.assertEqual((code, own), (0, []), output)

    def test_verify(self):
        self.verify()
        self.drop_in()
        self.verify()

    def test_security(self):
        for words, limit in (("as shipped", 1.5), ("with sqlite-only.conf", 0.6)):
            if limit < 1:
                self.drop_in()
            code, output = analyze("security", "--offline=true", "--threshold=15", self.unit)
            score = exposure(output)
            print(f"  systemd-analyze security, {words}: {score}", flush=True)
            self.assertEqual(code, 0, output)
            self.assertLessEqual(score, limit, output)

    def test_a_weak_unit_fails_the_gate(self):
        """The check can fail: without the hardening the same command reports an error."""
        with open(self.unit, encoding="utf-8") as file:
            text = file.read()
        weak = "\n".join(
            line
            for line in text.splitlines()
            if not line.startswith(("Protect", "Private", "SystemCall", "Restrict", "Capab"))
        )
        code, output = analyze(
            "security", "--offline=true", "--threshold=15", self.write("pierre-dbd.service", weak)
        )
        self.assertNotEqual(code, 0, output)
        code, output = analyze(
            "verify",
            "--man=no",
            self.write("pierre-dbd.service", text + "\n[Service]\nProtectSistem=strict\n"),
        )
        self.assertIn("ProtectSistem", output)

    def test_sysusers(self):
        path = os.path.join(ROOT, "systemd", "pierre-dbd.sysusers")
        if shutil.which("systemd-sysusers") is None:
            self.skipTest("systemd-sysusers is not installed: the users' file is NOT checked")
        root = self.folder()
        os.mkdir(os.path.join(root, "etc"))
        done = subprocess.run(
            [
                "systemd-sysusers",
                f"--root={root}",
                "--replace=/usr/lib/sysusers.d/pierre-dbd.conf",
                path,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(root, "etc", "passwd"), encoding="utf-8") as file:
            self.assertIn("pierre-dbd:", file.read())
        with open(os.path.join(root, "etc", "group"), encoding="utf-8") as file:
            self.assertIn("pierre-dbd:", file.read())

    def test_units_agree_with_the_program(self):
        """The socket's path is the default path of a service. Exit codes that a restart cannot
        correct. The key's credential."""
        with open(os.path.join(self.place, "pierre-dbd.socket"), encoding="utf-8") as file:
            socket_unit = file.read()
        with open(self.unit, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("ListenStream=/run/pierre-dbd/pierre-dbd.sock\n", socket_unit)
        self.assertIn("SocketMode=0660\n", socket_unit)
        # Clients that connect to a service that cannot start must not stop the socket.
        self.assertIn("\nTriggerLimitIntervalSec=0\n", socket_unit)
        self.assertIn("RuntimeDirectory=pierre-dbd\n", text)
        self.assertIn("LoadCredential=encryption_key:", text)
        self.assertNotIn(
            "PrivateUsers", "".join(line for line in text.splitlines() if not line.startswith("#"))
        )
        self.assertIn("RestartPreventExitStatus=64 65 77 78\n", text)
        # A database server that starts minutes after the daemon: neither side may have given up by
        # then.
        unit, service = text.split("[Service]")
        self.assertIn("StartLimitIntervalSec=0\n", unit)
        self.assertRegex(service, r"\nEnvironment=PIERRE_DBD_WAIT_FOR_DATABASE=\d+m\n")

    def test_settings_of_the_unit(self):
        """Every setting in the unit exists, and the program accepts its value."""
        with open(self.unit, encoding="utf-8") as file:
            given = dict(re.findall(r"^Environment=(\w+)=(.*)$", file.read(), re.MULTILINE))
        self.assertIn("DATABASE_URL", given)
        done = subprocess.run(
            [BINARY, "--check-config=json"],
            env={**given, "ENCRYPTION_KEY": new_key()},
            cwd=self.place,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        taken = [one for one in json.loads(done.stdout).values() if one["source"] == "environment"]
        self.assertEqual(len(taken), len(given) + 1)


class Confinement(Units):
    """The daemon's actual system calls, under strace, compared with those that the unit allows."""

    def setUp(self):
        super().setUp()
        if SANITIZER or shutil.which("strace") is None:
            self.skipTest(
                "needs strace and a build without a sanitizer: the unit's filters are NOT "
                "checked against the daemon"
            )
        with open(self.unit, encoding="utf-8") as file:
            self.settings = [
                line.split("=", 1)
                for line in file.read().splitlines()
                if "=" in line and not line.startswith("#")
            ]

    def expand(self, name):
        """Returns a systemd set as names of system calls."""
        if not name.startswith("@"):
            return {name}
        code, output = analyze("syscall-filter", "--no-pager", name)
        self.assertEqual(code, 0, output)
        found = [
            line.strip()
            for line in output.splitlines()[1:]
            if line.strip() and not line.strip().startswith("#")
        ]
        return set().union(*(self.expand(one) for one in found))

    def allowed(self):
        calls = set()
        for name, value in self.settings:
            if name == "SystemCallFilter":
                named = set().union(*(self.expand(one) for one in value.lstrip("~").split()))
                calls = calls - named if value.startswith("~") else calls | named
        # systemd calls these with the filter already loaded, or needs them to get there.
        return calls | {"execve", "exit", "exit_group", "rt_sigreturn", "restart_syscall"}

    def traced(self, backend, url):
        """Returns the trace of a whole life: start, every method, a reload, a stop."""
        daemon = Daemon(
            backend,
            database=url,
            wrapper=("strace", "-f", "-qq", "-s", "0", "-o", os.path.join(self.place, "trace")),
        )
        self.addCleanup(daemon.discard)
        daemon.start()
        with daemon.connect() as one:
            params = Samples(one).params()
            for method in METHODS:
                one.answer(one.request(method, params[method]))
            one.call("create_user", user={"email": "traced@example.com", "password": "traced"})
        daemon.signal(signal.SIGHUP)
        self.logged(daemon, "settings were read again")
        daemon.call("daemon.health")
        self.assertEqual(daemon.terminate(), 0)
        with open(os.path.join(self.place, "trace"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def check(self, trace, families):
        used = set(re.findall(r"^\d+ +(\w+)\(", trace, re.MULTILINE))
        self.assertGreater(len(used), 30)
        if os.geteuid() == 0:
            used.discard("fchown")  # SQLite calls this only as root, and the service is not root
        self.assertIn("prlimit64", used)  # the limit on cores: its entry must follow ~@resources
        self.assertEqual(used - self.allowed(), set(), "system calls that the unit forbids")
        executable = [line for line in trace.splitlines() if "PROT_WRITE|PROT_EXEC" in line]
        self.assertEqual(
            executable, [], "memory that is both writable and executable (MemoryDenyWriteExecute)"
        )
        opened = set(re.findall(r"socket\((AF_\w+)", trace))
        # glibc lists interfaces through netlink, and continues without when it is denied.
        self.assertLessEqual(opened - {"AF_NETLINK"}, families)

    def test_sqlite(self):
        with open(os.path.join(ROOT, "systemd", "sqlite-only.conf"), encoding="utf-8") as file:
            families = {
                word
                for line in file
                if line.startswith("RestrictAddressFamilies=")
                for word in line.strip().split("=")[1].split()
            }
        self.assertEqual(families, {"AF_UNIX"})
        self.check(self.traced("sqlite", None), families)

    def test_postgres(self):
        families = {
            word
            for name, value in self.settings
            if name == "RestrictAddressFamilies"
            for word in value.split()
        }
        with PostgresServer() as server:
            server.create_database("traced")
            self.check(
                self.traced("postgres", server.database_url("traced", "localhost")), families
            )
