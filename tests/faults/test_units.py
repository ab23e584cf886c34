"""The shipped units. Would catch: a directive that systemd does not know, lost hardening, a path
that differs from the program's own, a system call that the hardening denies."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess

from lib.case import Case
from lib.daemon import BINARY, BUILD, Daemon, SANITIZER, new_key, temporary_folder
from lib.exporter import EXPORTER, Exporter
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
        self.unit = self.copied("pierre-dbd", BINARY, bindir)
        self.exporter_unit = self.copied("pierre-dbd-exporter", EXPORTER, bindir)

    def copied(self, name, program, bindir):
        """Copies a program's units; returns the path of the service, which names the program."""
        os.symlink(program, os.path.join(bindir, name))
        with open(os.path.join(BUILD, "systemd", f"{name}.service"), encoding="utf-8") as file:
            text = file.read()
        start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
        self.assertTrue(start.endswith(f"/bin/{name}"), start)
        shutil.copy(os.path.join(ROOT, "systemd", f"{name}.socket"), self.place)
        return self.write(f"{name}.service", text.replace(start, f"ExecStart={bindir}/{name}"))

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
        names = ("pierre-dbd.socket", "pierre-dbd-exporter.socket")
        sockets = [os.path.join(self.place, name) for name in names]
        code, output = analyze("verify", "--man=no", self.unit, self.exporter_unit, *sockets)
        # Messages about other units of the machine do not count.
        own = [line for line in output.splitlines() if "pierre-dbd" in line or self.place in line]
        self.assertEqual((code, own), (0, []), output)

    def test_verify(self):
        self.verify()
        self.drop_in()
        self.verify()

    def test_security(self):
        for words, unit, limit in (
            ("as shipped", self.unit, 1.2),
            ("with sqlite-only.conf", self.unit, 0.6),
            ("the exporter", self.exporter_unit, 0.4),
        ):
            if "sqlite-only" in words:
                self.drop_in()
            code, output = analyze("security", "--offline=true", "--threshold=12", unit)
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
            "security", "--offline=true", "--threshold=12", self.write("pierre-dbd.service", weak)
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
            users = file.read()
        self.assertRegex(users, "(?m)^pierre-dbd:")
        self.assertRegex(users, "(?m)^pierre-dbd-exporter:.*:/:/usr/sbin/nologin$")
        with open(os.path.join(root, "etc", "group"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"(?m)^pierre-dbd:x:\d+:pierre-dbd-exporter$")

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

    def test_exporter_agrees_with_the_program(self):
        """It is a user of its own, in the group that may connect, and has neither network nor key.
        It is off until it is enabled, and its socket listens where the program would."""
        with open(self.exporter_unit, encoding="utf-8") as file:
            unit = file.read()
        with open(os.path.join(self.place, "pierre-dbd-exporter.socket"), encoding="utf-8") as file:
            socket_unit = file.read()
        for line in ("User=pierre-dbd-exporter", "SupplementaryGroups=pierre-dbd",
                     "PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX",
                     "Environment=PIERRE_DBD_SOCKET=/run/pierre-dbd/pierre-dbd.sock"):  # fmt: skip
            self.assertIn(f"\n{line}\n", unit)
        self.assertNotIn("LoadCredential", unit)
        self.assertNotIn("[Install]", unit)
        shown = subprocess.run(
            [EXPORTER, "--help=markdown"], capture_output=True, text=True, check=True
        ).stdout
        address = re.search(r"`--listen` \| `\w+` \| `([^`]+)`", shown)[1]
        self.assertIn(f"\nListenStream={address}\n", socket_unit)


class Confinement(Units):
    """The programs' actual system calls, under strace, compared with those that the units allow."""

    def setUp(self):
        super().setUp()
        if SANITIZER or shutil.which("strace") is None:
            self.skipTest(
                "needs strace and a build without a sanitizer: the unit's filters are NOT "
                "checked against the daemon"
            )
        self.settings = self.directives(self.unit)

    @staticmethod
    def directives(unit):
        with open(unit, encoding="utf-8") as file:
            return [
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
        if os.geteuid() == 0:
            used.discard("fchown")  # SQLite calls this only as root, and the service is not root
        self.assertGreater(len(used), 20)
        self.assertEqual(used - self.allowed(), set(), "system calls that the unit forbids")
        executable = [line for line in trace.splitlines() if "PROT_WRITE|PROT_EXEC" in line]
        self.assertEqual(
            executable, [], "memory that is both writable and executable (MemoryDenyWriteExecute)"
        )
        opened = set(re.findall(r"socket\((AF_\w+)", trace))
        # glibc lists interfaces through netlink, and continues without when it is denied.
        self.assertLessEqual(opened - {"AF_NETLINK"}, families)

    def check_daemon(self, trace, families):
        # The limit on cores: its entry must follow ~@resources.
        self.assertIn(" prlimit64(", trace)
        self.check(trace, families)

    def test_exporter(self):
        """A whole life, on a socket that systemd would pass."""
        self.settings = self.directives(self.exporter_unit)
        trace = os.path.join(self.place, "trace")
        with Daemon("sqlite") as daemon, socket.create_server(("127.0.0.1", 0)) as one:
            start = f'exec 3<&{one.fileno()} && LISTEN_PID=$$ LISTEN_FDS=1 exec {EXPORTER} "$@"'
            with Exporter(
                daemon.socket_path,
                command=[
                    "strace",
                    "-f",
                    "-qq",
                    "-s",
                    "0",
                    "-o",
                    trace,
                    "bash",
                    "-c",
                    start,
                    "bash",
                ],
                pass_fds=(one.fileno(),),
            ) as exporter:
                for path in ("/metrics", "/healthy", "/ready", "/nothing"):
                    exporter.ask(path)
                children = subprocess.run(
                    ["pgrep", "-P", str(exporter.process.pid)],
                    capture_output=True, text=True, check=True,
                ).stdout.split()  # fmt: skip
                os.kill(int(children[0]), signal.SIGTERM)
                self.assertEqual(exporter.process.wait(30), 0)
        with open(trace, encoding="utf-8", errors="replace") as file:
            found = file.read()
        found = found[found.index("pierre-dbd-exporter") :] if "exporter" in found else found
        self.check(found, {"AF_UNIX"})

    def test_sqlite(self):
        with open(os.path.join(ROOT, "systemd", "sqlite-only.conf"), encoding="utf-8") as file:
            families = {
                word
                for line in file
                if line.startswith("RestrictAddressFamilies=")
                for word in line.strip().split("=")[1].split()
            }
        self.assertEqual(families, {"AF_UNIX"})
        self.check_daemon(self.traced("sqlite", None), families)

    def test_postgres(self):
        families = {
            word
            for name, value in self.settings
            if name == "RestrictAddressFamilies"
            for word in value.split()
        }
        with PostgresServer() as server:
            server.create_database("traced")
            self.check_daemon(
                self.traced("postgres", server.database_url("traced", "localhost")), families
            )
