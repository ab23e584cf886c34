"""The shipped units under a real systemd (lib/machine.py), installed by the commands of the guide.
Would catch: a command of the install guide that fails, a sandbox that blocks the daemon, a backup
or a key rotation, a restart that loses an answered write or refuses a connection, a watchdog that
systemd does not receive, a wrong configuration that needs more than its correction, a role
that a group does not get, a unit that is less confined. tests/systemd has what takes long. SQLite
only: PostgreSQL is a server of its own, independent of the units."""
import contextlib
import glob
import os
import re
import socket

from lib.daemon import BUILD, SLOW
from lib.notify import exposure
from lib.real_systemd import ROOT, SOCKET, UNIT, Real, guide, unbuilt
from lib.retrying import Writers
from lib.world import HASH

BACKENDS = ("sqlite",)
SANITIZERS = False


def said(pattern):
    """Returns what the group of a pattern finds in docs/run.md."""
    with open(os.path.join(ROOT, "docs", "run.md"), encoding="utf-8") as file:
        return re.search(pattern, file.read())[1]


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
        """Of each service that is installed, as systemd has loaded it."""
        units = sorted(os.path.basename(path) for path in glob.glob(f"{BUILD}/systemd/*.service"))
        self.assertIn(UNIT, units)
        for unit in units:
            output = self.m.run("systemd-analyze", "security", "--no-pager", unit).stdout
            print(f"  systemd-analyze security {unit}: {exposure(output)}", flush=True)
            self.assertLessEqual(exposure(output), 1.2, output)

    def test_the_drop_in_for_sqlite(self):
        """The guide's commands take the network away."""
        programs = os.path.dirname(self.m.run("which", "pierre-dbctl").stdout)
        share = os.path.join(os.path.dirname(programs), "share")
        script = guide("From source", 1).replace("/usr/share", share)
        place = re.search(r"/etc/systemd/system/\S+\.conf", script)[0]
        self.m.shell(script)
        self.addCleanup(self.m.shell, f"rm {place}; systemctl daemon-reload; "
                        "systemctl restart pierre-dbd")  # fmt: skip
        self.assertEqual(self.call("daemon.ping"), "pong")
        output = self.m.run("systemd-analyze", "security", "--no-pager", UNIT).stdout
        self.assertLessEqual(exposure(output), 0.6, output)
        shown = self.m.run("nsenter", "-n", "-t", str(self.m.main_pid(UNIT)), "cat",
                           "/proc/net/dev").stdout  # fmt: skip
        self.assertEqual(re.findall(r"^ *(\w+):", shown, re.M), ["lo"])

    def test_the_key_comes_as_a_credential(self):
        """The key is in no environment variable and in no file that the daemon's user can read."""
        environment = self.m.run("cat", f"/proc/{self.m.main_pid(UNIT)}/environ").stdout
        self.assertNotIn("ENCRYPTION_KEY", environment)
        self.assertIn("CREDENTIALS_DIRECTORY=/run/credentials/pierre-dbd.service", environment)
        found = self.m.run("cat", "/etc/pierre-dbd/encryption.key", user="pierre-dbd", check=False)
        self.assertNotEqual(found.returncode, 0)
        user = self.user_with_token("k@example.com")
        self.assertEqual(self.token(user), "canary of k@example.com")

    def test_who_may_connect(self):
        """A user of the group is admitted. Another user is refused and is advised to join the
        group."""
        self.m.shell("useradd --user-group alice; useradd --user-group mallory")
        self.m.shell(said(r"`(sudo usermod [^`]* alice)`"))
        self.assertEqual(self.m.run("pierre-dbctl", "ping", user="alice").returncode, 0)
        refused = self.m.run("pierre-dbctl", "ping", user="mallory", check=False)
        self.assertNotEqual(refused.returncode, 0)
        doctor = self.m.run("pierre-dbctl", "doctor", user="mallory", check=False)
        self.assertNotEqual(doctor.returncode, 0)
        self.assertIn("pierre-dbd", doctor.stdout)
        self.assertIn("join the group", doctor.stdout)

    def test_roles_of_users_and_groups(self):
        """The rules of the guide: a group reads, a user does all, another one administers."""
        self.m.shell(
            "groupadd analysts; for user in ana pierre-server backup guest; do "
            "id $user >/dev/null 2>&1 || useradd -U $user; "  # a system may have `backup`
            "usermod -aG pierre-dbd $user; done; usermod -aG analysts ana"
        )
        self.configure(said(r"```\n(PIERRE_DBD_DEFAULT_ROLE=none\n(?:.*\n)*?)```"))
        user = self.call("create_user", user={"email": "r@example.com", "password_hash": HASH})
        reads, changes = ("get_user_count",), ("update_last_active", f"user_id={user}")
        secret, administers = ("get_user", f"user_id={user}"), ("daemon.clients",)
        for name, may in (
            ("ana", (reads,)),
            ("pierre-server", (reads, changes, secret)),
            ("backup", (reads, changes, secret, administers)),
            ("guest", ()),
        ):
            for call in (reads, changes, secret, administers):
                with self.subTest(user=name, call=call[0]):
                    done = self.m.run("pierre-dbctl", "call", *call, user=name, check=False)
                    self.assertEqual(done.returncode == 0, call in may, done.stdout + done.stderr)
                    if call not in may:
                        self.assertIn("permission_denied", done.stdout + done.stderr)

    def test_journal_fields(self):
        """What an administrator filters by: unit, program, user, start of the service."""
        number = self.m.run("id", "-u", "pierre-dbd").stdout.strip()
        invocation = self.m.property(UNIT, "InvocationID")
        found = self.m.journal(UNIT, f"_SYSTEMD_INVOCATION_ID={invocation}")
        self.assertIn("msg=ready", "".join(one["MESSAGE"] for one in found))
        for one in found:
            wanted = {"SYSLOG_IDENTIFIER": "pierre-dbd", "_COMM": "pierre-dbd", "_UID": number}
            self.assertEqual({name: one[name] for name in wanted}, wanted)
            self.assertEqual(one["_TRANSPORT"], "stdout")
            self.assertNotRegex(one["MESSAGE"], r"^<\d>|\d\d:\d\d:\d\d")

    def test_journal_priorities(self):
        """An entry's priority is the line's level. The journal has the time; the line has none."""
        self.configure("PIERRE_DBD_NO_SUCH_SETTING=1\n")
        entries = [one for one in self.m.journal(UNIT) if one["_COMM"] == "pierre-dbd"]
        levels = {"error": "3", "warning": "4", "notice": "5", "info": "6", "debug": "7"}
        for one in entries:
            line = re.match(r"level=(\w+) msg=", one["MESSAGE"])
            self.assertIsNotNone(line, one["MESSAGE"])
            self.assertEqual(one["PRIORITY"], levels[line.group(1)], one["MESSAGE"])
        warned = self.m.journal(UNIT, "--priority=4..4")
        self.assertIn("NO_SUCH_SETTING", "".join(one["MESSAGE"] for one in warned))

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
        self.configure("")
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

    def test_upgrade_under_load(self):
        """The guide's command: new files, new units, a restart."""
        command = unbuilt(guide("Stopping, restarting, upgrading"))
        before = self.m.main_pid(UNIT)
        with Writers(self.path) as writers:
            self.await_more(writers)
            shown = self.m.shell(f"cd /srv/source && umask 022 && {command}").stdout
            self.await_more(writers)
        self.assertNotEqual(self.m.main_pid(UNIT), before)
        self.assertNotRegex(shown, r"(?m)^fail")
        self.stored(writers)

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

    def test_watchdog_of_the_unit(self):
        """tests/systemd stops the process and waits for it."""
        self.assertEqual(self.m.property(UNIT, "WatchdogUSec"), "30s")

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

    def test_transfer_under_load(self):
        """The guide's commands move the installation to another file while clients wait."""
        kept = self.user_with_token("moved@example.com")
        old, new = "/var/lib/pierre-dbd/pierre.db", "/var/lib/pierre-dbd/moved.db"
        script = guide("Moving to another database", 1)
        edit = re.search(r"^sudoedit (\S+)", script, re.M)
        script = script.replace(edit[0], f"umask 077; echo DATABASE_URL=sqlite:{new} >{edit[1]}")
        self.addCleanup(self.m.shell, f"rm -f {edit[1]} {new}*; systemctl restart pierre-dbd")
        with Writers(self.path) as writers:
            self.await_more(writers)
            self.m.shell(script, FROM_DATABASE_URL=f"sqlite:{old}", TO_DATABASE_URL=f"sqlite:{new}",
                         ENCRYPTION_KEY_FILE="/etc/pierre-dbd/encryption.key")  # fmt: skip
            self.await_more(writers)
        shown = self.m.run("pierre-dbctl", "config").stdout
        self.assertIn(new, shown)
        self.stored(writers)
        self.assertEqual(self.token(kept), "canary of moved@example.com")

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
