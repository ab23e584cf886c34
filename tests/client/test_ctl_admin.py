"""pierre-dbctl clients, config, reload, pause, resume and doctor, for users and scripts. Would
catch: a doctor that needs a daemon, advice that does not fit, a pause that returns before calls
have ended."""
import grp
import json
import os
import pwd
import signal
import socket
import sqlite3
import subprocess
import threading

from lib.case import Case
from lib.daemon import BINARY, CTL, SLOW, Daemon, new_key, temporary_folder
from lib.world import new_user

SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE")
STRANGER = 54321


def ctl(path, *arguments):
    environment = {name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ}
    done = subprocess.run(
        [CTL, "--socket", path, *arguments],
        capture_output=True,
        text=True,
        timeout=60 * SLOW,
        check=False,
        env={**environment, "LANG": "C.UTF-8"},
    )
    return done.returncode, done.stdout, done.stderr


class CtlCase(Case):
    def start(self, *options, **more):
        daemon = Daemon(options=options, **more)
        self.addCleanup(daemon.discard)
        return daemon.start()

    def good(self, path, *arguments):
        code, out, err = ctl(path, *arguments)
        self.assertEqual((code, err), (0, ""), arguments)
        return out

    def findings(self, path, code):
        found, out, err = ctl(path, "--json", "doctor")
        self.assertEqual((found, err), (code, ""), out)
        report = json.loads(out)
        self.assertEqual(report["status"] == "fail", code == 1)
        for finding in report["findings"]:
            self.assertEqual(set(finding), {"name", "status", "detail", "advice"})
            self.assertEqual(finding["advice"] is None, finding["status"] == "ok", finding)
        return {finding["name"]: finding for finding in report["findings"]}


class Commands(CtlCase):
    def test_clients_and_config(self):
        daemon = self.start("--batch-limit", "7")
        with daemon.connect() as other:
            other.call("get_user_count")
            lines = self.good(daemon.socket_path, "clients").splitlines()
            self.assertEqual(lines[0].split()[:5], ["id", "user", "pid", "program", "role"])
            self.assertEqual(len(lines), 3)
            self.assertTrue(lines[2].startswith("*") and "pierre-dbctl" in lines[2], lines)
            self.assertIn(f" {os.getpid()} ", lines[1])
            listed = json.loads(self.good(daemon.socket_path, "clients", "--json"))
            self.assertEqual([client["self"] for client in listed["clients"]], [False, True])
        text = self.good(daemon.socket_path, "config")
        self.assertRegex(text, r"\n\*batch_limit +7 +1000 +flag")
        self.assertRegex(text, r"\n pool +8 +8 +default")
        self.assertRegex(text, r"\n encryption_key +\*\*\* +environment")
        self.assertNotIn(daemon.key, text + self.good(daemon.socket_path, "config", "--json"))
        daemon.stop()

    def test_reload(self):
        daemon = Daemon(options=("--env-file", "settings"))
        self.addCleanup(daemon.discard)
        path = os.path.join(daemon.folder, "settings")

        def write(text):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

        write("")
        daemon.start()
        self.assertEqual(self.good(daemon.socket_path, "reload"), "nothing has changed\n")
        write("PIERRE_DBD_CONNECTIONS=99\nPIERRE_DBD_POOL=3\n")
        self.assertEqual(
            self.good(daemon.socket_path, "reload"),
            "changed: connections\nneed a restart: pool\n",
        )
        write("PIERRE_DBD_CONNECTIONS=few\n")
        code, out, err = ctl(daemon.socket_path, "reload")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("the old settings stay in force: PIERRE_DBD_CONNECTIONS", err)
        code, out, err = ctl(daemon.socket_path, "reload", "--json")
        self.assertEqual((code, err, json.loads(out)["reloaded"]), (1, "", False))
        daemon.stop()

    def test_pause_waits_for_what_is_under_way(self):
        if self.backend() != "sqlite":
            self.skipTest("the lock that keeps a call in flight belongs to SQLite")
        daemon = self.start()
        outsider = sqlite3.connect(
            daemon.database.path, isolation_level=None, check_same_thread=False
        )
        self.addCleanup(outsider.close)
        outsider.execute("BEGIN IMMEDIATE")
        with daemon.connect() as c:
            number = c.request("create_user", user=new_user())
            self.within(5, lambda: daemon.call("daemon.stats")["gauges"]["in_flight"] == 1)
            code, out, err = ctl(daemon.socket_path, "pause", "--timeout", "0.3")
            self.assertEqual((code, out), (75, "paused: 0 calls deferred, 1 in progress\n"))
            self.assertIn("1 earlier calls are still in progress", err)
            release = threading.Timer(0.3, outsider.execute, ("ROLLBACK",))
            release.start()
            self.assertEqual(
                self.good(daemon.socket_path, "pause"), "paused: 0 calls deferred, 0 in progress\n"
            )
            release.join()
            self.assertIn("result", c.answer(number))  # it had ended before pause returned
        code, out, _ = ctl(daemon.socket_path, "ready")
        self.assertEqual((code, out), (1, "not ready\n"))
        self.assertIn("live, not ready", self.good(daemon.socket_path, "health"))
        self.assertEqual(
            self.good(daemon.socket_path, "resume"), "resumed: 0 deferred calls continue\n"
        )
        self.assertEqual(self.good(daemon.socket_path, "ready"), "ready\n")
        daemon.stop()

    @staticmethod
    def backend():
        return os.environ.get("PIERRE_TEST_BACKEND", "sqlite")

    def test_completions_know_the_commands(self):
        for shell in ("bash", "zsh"):
            script = self.good("/nonexistent/socket", "completion", shell)
            commands = (
                next(
                    line
                    for line in script.splitlines()
                    if line.startswith("_pierre_dbctl_commands=")
                )
                .split("'")[1]
                .split()
            )
            self.assertLessEqual(
                {"clients", "config", "reload", "pause", "resume", "doctor", "metrics"},
                set(commands),
            )

    def test_rights(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become another user: NOT tested")
        daemon = self.start("--socket-mode", "0666", "--default-role", "write")
        os.chmod(daemon.folder, 0o755)
        for command in ("clients", "config", "reload", "pause", "resume"):
            code, out, err = self.as_stranger(daemon.socket_path, command)
            self.assertEqual((code, out), (1, ""), command)
            self.assertIn("permission_denied", err)
        code, out, err = self.as_stranger(daemon.socket_path, "doctor", "--json")
        found = {finding["name"]: finding for finding in json.loads(out)["findings"]}
        self.assertEqual((code, err, found["role"]["status"]), (0, "", "ok"))
        self.assertIn("this peer has the role write; run as root", found["role"]["detail"])
        self.assertNotIn("key", found)
        os.chmod(daemon.socket_path, 0o600)
        code, out, err = self.as_stranger(daemon.socket_path, "doctor", "--json")
        found = {finding["name"]: finding for finding in json.loads(out)["findings"]}
        self.assertEqual((code, found["socket"]["status"]), (1, "fail"))
        self.assertIn("may not connect", found["socket"]["detail"])
        self.assertIn(
            f"only {pwd.getpwuid(os.getuid()).pw_name} and root have access",
            found["socket"]["advice"],
        )
        code, out, err = self.as_stranger(daemon.socket_path, "health")
        self.assertEqual((code, out), (75, ""))
        self.assertIn("doctor, which shows who may connect", err)
        self.assertNotIn("start a daemon", err)
        os.chmod(daemon.socket_path, 0o660)
        code, out, err = self.as_stranger(daemon.socket_path, "doctor", "--json")
        found = {finding["name"]: finding for finding in json.loads(out)["findings"]}
        self.assertIn(
            f"usermod -aG {grp.getgrgid(os.getgid()).gr_name} USER", found["socket"]["advice"]
        )
        os.chmod(daemon.folder, 0o700)
        code, out, err = self.as_stranger(daemon.socket_path, "doctor", "--json")
        self.assertEqual(json.loads(out)["findings"][-2]["name"], "socket folder")
        daemon.stop()

    def as_stranger(self, path, *arguments):
        """The build may be in a folder that the other user cannot read, so the program is
        copied."""
        folder = temporary_folder()
        self.addCleanup(subprocess.run, ["rm", "-rf", folder], check=False)
        os.chmod(folder, 0o755)
        own = os.path.join(folder, "pierre-dbctl")
        for name in (CTL, os.path.join(os.path.dirname(CTL), "libpierre-db.so.1")):
            subprocess.run(["cp", "-L", name, folder], check=True)
        environment = {name: os.environ[name] for name in SANITIZERS if name in os.environ}
        done = subprocess.run(
            [own, "--socket", path, *arguments],
            capture_output=True,
            text=True,
            timeout=60 * SLOW,
            check=False,
            cwd="/",
            env={**environment, "LD_LIBRARY_PATH": folder},
            user=STRANGER,
            group=STRANGER,
            extra_groups=[],
        )
        return done.returncode, done.stdout, done.stderr


class Doctor(CtlCase):
    def test_all_is_well(self):
        daemon = self.start()
        found = self.findings(daemon.socket_path, 0)
        for name in (
            "socket path",
            "socket folder",
            "connecting",
            "answers",
            "version",
            "health: database",
            "role",
            "descriptors",
            "clock",
        ):
            self.assertEqual(found[name]["status"], "ok", found[name])
        self.assertIn(str(daemon.pid), found["connecting"]["detail"])
        text = self.good(daemon.socket_path, "doctor")
        self.assertRegex(text, r"(?m)^ok +key +fingerprint|^warn +key +fingerprint")
        self.assertNotIn(daemon.key, text)
        daemon.stop()

    def test_no_daemon(self):
        folder = temporary_folder()
        self.addCleanup(subprocess.run, ["rm", "-rf", folder], check=False)
        path = os.path.join(folder, "s")
        found = self.findings(path, 1)
        self.assertIn("no daemon runs here", found["socket"]["detail"])
        self.assertIn(f"--socket {path}", found["socket"]["advice"])
        self.assertNotIn("connecting", found)
        self.assertIn(
            "No such file", self.findings("/nonexistent/folder/s", 1)["socket folder"]["detail"]
        )
        with open(path, "w", encoding="ascii"):
            pass
        self.assertIn("is not a socket", self.findings(path, 1)["socket"]["detail"])

    def test_would_one_start_here(self):
        """Without a daemon: do the key and the settings fit this user and folder?"""
        folder = temporary_folder()
        self.addCleanup(subprocess.run, ["rm", "-rf", folder], check=False)
        base = {name: os.environ[name] for name in SANITIZERS if name in os.environ}
        base["PATH"] = os.path.dirname(BINARY) + ":" + os.environ["PATH"]

        def look(**environment):
            done = subprocess.run(
                [CTL, "--socket", os.path.join(folder, "s"), "--json", "doctor"],
                capture_output=True,
                text=True,
                cwd=folder,
                env={**base, **environment},
                timeout=60 * SLOW,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (1, ""))
            return {
                finding["name"]: finding for finding in json.loads(done.stdout)["findings"]
            }, done.stdout

        found, _ = look()
        self.assertEqual(found["settings here"]["status"], "warn")
        self.assertIn("there is no encryption key", found["settings here"]["detail"])
        self.assertIn("missing; the daemon creates it", found["database file"]["detail"])
        key = new_key()
        found, text = look(ENCRYPTION_KEY=key, DATABASE_URL=f"sqlite:{folder}/x.db")
        self.assertEqual(found["settings here"]["status"], "ok")
        self.assertNotIn(key, text)
        self.assertNotIn("canary", look(ENCRYPTION_KEY="canary")[1])
        found, _ = look(ENCRYPTION_KEY=key, PIERRE_DBD_POOOL="3")
        self.assertEqual(found["settings here"]["status"], "warn")
        self.assertIn("did you mean PIERRE_DBD_POOL?", found["settings here"]["detail"])
        self.assertIn(
            "PIERRE_DBD_POOL",
            look(ENCRYPTION_KEY=key, PIERRE_DBD_POOL="many")[0]["settings here"]["detail"],
        )

    def test_left_behind_and_starting(self):
        daemon = self.start()
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        self.assertIn(
            "left the socket behind", self.findings(daemon.socket_path, 1)["connecting"]["detail"]
        )
        # The lock is held, but the socket does not listen: a daemon is starting or stopping.
        with open(daemon.socket_path + ".lock", "w", encoding="ascii") as lock:
            subprocess.run(
                ["flock", "-n", str(lock.fileno())], pass_fds=(lock.fileno(),), check=True
            )
            self.assertIn(
                "starting or stopping", self.findings(daemon.socket_path, 1)["connecting"]["detail"]
            )
        daemon.start()
        self.findings(daemon.socket_path, 0)
        daemon.stop()

    def test_one_that_does_not_answer(self):
        folder = temporary_folder()
        self.addCleanup(subprocess.run, ["rm", "-rf", folder], check=False)
        path = os.path.join(folder, "s")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
            deaf.bind(path)
            deaf.listen(0)
            code, out, _ = ctl(path, "--json", "doctor", "--timeout", "0.3")
            found = {finding["name"]: finding for finding in json.loads(out)["findings"]}
            self.assertEqual((code, found["answers"]["status"]), (1, "fail"))
            # The backlog is full for the next client.
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                other.setblocking(False)
                try:
                    other.connect(path)
                except BlockingIOError:
                    pass
                self.assertIn("backlog", self.findings(path, 1)["connecting"]["detail"])

    def test_paused_and_open_folder(self):
        daemon = self.start()
        self.good(daemon.socket_path, "pause")
        os.chmod(daemon.folder, 0o777)
        found = self.findings(daemon.socket_path, 0)
        self.assertEqual(
            (
                found["paused"]["status"],
                found["health: clients"]["status"],
                found["socket folder"]["status"],
            ),
            ("warn", "warn", "warn"),
        )
        self.assertIn("resume", found["paused"]["advice"])
        daemon.stop()
