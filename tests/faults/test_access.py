"""Access control with real users. Would catch: a method in the wrong role, a group that is not
looked up, a denied call that takes effect, a setting that reverses permissions, a socket that
admits a user whom its mode excludes."""
import array
import os
import shutil
import signal
import socket

from lib import invariants, strict
from lib.case import Case
from lib.daemon import Daemon, temporary_folder
from lib.interface import METHODS
from lib.world import Samples

BACKENDS = ("sqlite",)
ROLES = {"none": "", "read": "r", "write": "rw", "full": "rws", "admin": "rwsa"}
STRANGER = 54321  # a uid and gid without a name


class Access(Case):
    def setUp(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become other users: access control is NOT tested")

    def daemon(self, *options):
        daemon = Daemon("sqlite", options=("--socket-mode", "0666", *options))
        os.chmod(daemon.folder, 0o755)
        self.addCleanup(daemon.discard)
        return daemon.start()

    def as_user(self, daemon, uid, lines, gid=None, groups=()):
        """The lines that a peer with that uid receives; None when it cannot connect."""
        reader, writer = os.pipe()
        child = child_as(
            uid,
            lambda: peer(daemon.socket_path, ("\n".join(lines) + "\n").encode(), writer),
            gid,
            groups,
        )
        os.close(writer)
        with open(reader, "rb") as file:
            text = file.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 13:
            return None
        self.assertEqual(code, 0)
        return [strict.loads(line) for line in text.splitlines()]

    def matrix(self, daemon, uid, role, gid=None, groups=()):
        """Sends every method with valid parameters: exactly those of the role are allowed."""
        with daemon.connect() as connection:
            samples = Samples(connection).params()
            users = connection.call("get_user_count")
        lines = [
            strict.dumps({"jsonrpc": "2.0", "id": name, "method": name, "params": samples[name]})
            for name in METHODS
        ]
        answers = {answer["id"]: answer for answer in self.as_user(daemon, uid, lines, gid, groups)}
        for name, (_, _, access) in METHODS.items():
            answer = answers[name]
            if access in ROLES[role]:
                self.assertIn("result", answer, (role, name, answer))
            else:
                self.assertEqual(
                    (answer.get("error") or {}).get("code"), -32005, (role, name, answer)
                )
                self.assertEqual(
                    answer["error"]["data"], {"kind": "permission_denied", "retryable": False}
                )
        with daemon.connect() as connection:
            self.assertEqual(
                connection.call("get_user_count") - users, 1 if "w" in ROLES[role] else 0
            )

    def test_default_roles(self):
        """root and the daemon's own user are admin. Every other user whom the socket admits is
        full."""
        daemon = self.daemon()
        self.matrix(daemon, 0, "admin")
        self.matrix(daemon, STRANGER, "full")

    def test_each_role_as_default(self):
        for role in ROLES:
            daemon = self.daemon("--default-role", role)
            self.matrix(daemon, STRANGER, role)
            self.matrix(daemon, 0, "admin")
            daemon.stop()

    def test_transactions(self):
        """A transaction needs what the strictest of its calls needs; what it lacks is told with the
        call's place, and nothing is done."""
        members = [
            name
            for name in METHODS
            if not name.startswith(("daemon.", "rpc.", "migrate", "rotate_key"))
        ]
        for role in ROLES:
            daemon = self.daemon("--default-role", role)
            with daemon.connect() as connection:
                samples = Samples(connection).params()
                users = connection.call("get_user_count")
            lines = [
                strict.dumps(
                    {
                        "jsonrpc": "2.0",
                        "id": name,
                        "method": "daemon.transaction",
                        "params": {
                            "calls": [
                                {"method": "get_user_count"},
                                {"method": name, "params": samples[name]},
                            ]
                        },
                    }
                )
                for name in members
            ]
            for answer in self.as_user(daemon, STRANGER, lines):
                name = answer["id"]
                if METHODS[name][2] in ROLES[role]:
                    self.assertEqual(len(answer["result"]), 2, (role, name))
                    continue
                data = {"kind": "permission_denied", "retryable": False}
                if role != "none":
                    data["index"] = 1
                self.assertEqual(answer["error"]["data"], data, (role, name))
            with daemon.connect() as connection:
                made = connection.call("get_user_count") - users
            self.assertEqual(made, 1 if "w" in ROLES[role] else 0)
            daemon.stop()

    def test_own_user_is_admin(self):
        daemon = Daemon(
            "sqlite", options=("--socket-mode", "0666", "--default-role", "none"), user=65534
        )
        os.chmod(daemon.folder, 0o777)
        os.chown(daemon.folder, 65534, 65534)
        open(daemon.log_path, "ab").close()
        self.addCleanup(daemon.discard)
        daemon.start()
        self.matrix(daemon, 65534, "admin", gid=65534)

    def test_users_and_groups(self):
        """Rules by name. A user's own rule precedes those of its groups. Of several groups the
        strongest rule counts, including supplementary groups."""
        daemon = self.daemon(
            "--default-role",
            "none",
            "--access",
            "user:daemon=read,group:bin=write,group:daemon=full,user:games=none",
        )
        self.matrix(daemon, 1, "read", gid=1)  # user daemon, although its group has full
        self.matrix(daemon, STRANGER, "none")
        bin_uid, bin_gid = ids("bin")
        self.matrix(daemon, bin_uid, "write", gid=bin_gid)
        games_uid, games_gid = ids("games")
        self.matrix(daemon, games_uid, "none", gid=games_gid)

    def test_supplementary_groups(self):
        """A peer's supplementary groups count as they were at its connect. The strongest rule
        applies, and a user's own rule precedes all others."""
        daemon = self.daemon(
            "--default-role",
            "none",
            "--access",
            "group:60001=read,group:60002=full,group:60003=write,user:60010=read,group:60004=none",
        )
        for groups, role in (
            ((), "none"),
            ((60001,), "read"),
            ((60003, 60001), "write"),
            ((60001, 60002, 60003), "full"),
            (range(60100, 60160), "none"),
            ((*range(60100, 60160), 60002), "full"),
            ((60004,), "none"),
            ((60004, 60001), "read"),
        ):
            self.matrix(daemon, STRANGER, role, groups=list(groups))
        self.matrix(daemon, 60010, "read", groups=[60002])
        self.matrix(daemon, STRANGER, "write", gid=60003, groups=[60001])
        self.matrix(daemon, 0, "read", gid=0, groups=[60001])  # rules apply to root, too

    def test_roles_change_on_reload(self):
        """SIGHUP: open connections get the roles of the new rules."""
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        settings = os.path.join(folder, "settings.env")

        def write(role):
            with open(settings, "w", encoding="ascii") as file:
                file.write(f"PIERRE_DBD_ACCESS=user:{STRANGER}={role}\n")
            os.chmod(settings, 0o600)

        write("write")
        daemon = self.daemon("--default-role", "none", "--env-file", settings)
        go, ready = os.pipe(), os.pipe()
        line = '{"jsonrpc":"2.0","id":1,"method":"cleanup_expired_api_keys"}'

        def stranger():
            kinds = []
            with daemon.connect() as one:
                for _ in range(3):
                    one.send(line + "\n")
                    answer = one.read()
                    kinds.append(answer["error"]["data"]["kind"] if "error" in answer else "result")
                    os.write(ready[1], b"x")
                    os.read(go[0], 1)
            return 0 if kinds == ["result", "permission_denied", "result"] else 3

        child = child_as(STRANGER, stranger)
        for role in ("read", "full"):
            os.read(ready[0], 1)
            write(role)
            before = daemon.log().count("settings were read again")
            daemon.signal(signal.SIGHUP)
            self.within(
                10, lambda seen=before: daemon.log().count("settings were read again") > seen
            )
            os.write(go[1], b"x")
        os.read(ready[0], 1)
        os.write(go[1], b"x")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        for end in (*go, *ready):
            os.close(end)

    def test_connections_of_one_user(self):
        """One user's connections are limited. Excess ones get an error, other users are still
        admitted, and closed connections free their places."""
        daemon = self.daemon("--connections-per-user", "5")
        before = invariants.Snapshot(daemon)
        ours = [daemon.connect() for _ in range(3)]
        for one in ours:
            self.assertEqual(one.call("daemon.ping"), "pong")
        for _ in range(3):
            result = self.crowd(daemon, STRANGER, 12)
            self.assertEqual((result.count(b"pong"), result.count(b"overloaded")), (5, 7))
            self.assertEqual(
                self.crowd(daemon, STRANGER + 1, 4), [b"pong"] * 4
            )  # all connect in sequence, and all are closed again
        for one in ours:
            self.assertEqual(one.call("daemon.ping"), "pong")
            one.close()
        invariants.check(daemon, before)

    def test_an_administrator_can_look(self):
        """The places reserved for administrators also extend the limit of one user, since root's
        own server may use all of that."""
        daemon = self.daemon("--connections-per-user", "3", "--admin-connections", "2")
        ours = daemon.admitted(5)
        with daemon.connect() as refused:
            self.assertEqual(refused.read()["error"]["data"]["kind"], "overloaded")
        result = self.crowd(daemon, STRANGER, 6)
        self.assertEqual((result.count(b"pong"), result.count(b"overloaded")), (3, 3))
        self.within(
            5, lambda: len(ours[4].call("daemon.clients")["clients"]) == 5
        )  # the strangers' places may become free a little later
        for one in ours:
            one.close()

    def crowd(self, daemon, uid, count):
        """The answer on each of that many connections, all open at once."""
        reader, writer = os.pipe()

        def enter():
            inside = []
            for _ in range(count):
                inside.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                inside[-1].settimeout(30)
                inside[-1].connect(daemon.socket_path)
                try:
                    inside[-1].sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\n')
                except BrokenPipeError:
                    pass  # already refused; the answer has arrived
                answer = inside[-1].recv(4096)
                os.write(
                    writer,
                    b"pong\n"
                    if b"pong" in answer
                    else b"overloaded\n"
                    if b"overloaded" in answer
                    else b"?\n",
                )
            return 0

        child = child_as(uid, enter)
        os.close(writer)
        with open(reader, "rb") as file:
            answers = file.read().split()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        return answers

    def test_passed_descriptors_of_a_stranger(self):
        """250 descriptors sent with a request, with half a line, and on a connection that is
        refused. The daemon keeps none of them."""
        daemon = self.daemon("--default-role", "none")
        before = invariants.Snapshot(daemon)
        reader, writer = os.pipe()

        def pass_on():
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [reader] * 250))]
            for data in (
                b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\n',
                b'{"jsonrpc":"2.0","id":1,',
                b"\n",
            ):
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                    one.settimeout(30)
                    one.connect(daemon.socket_path)
                    one.sendmsg([data], passed)
                    if data.endswith(b"}\n"):
                        assert b"permission_denied" in one.recv(4096)
            return 0

        child = child_as(STRANGER, pass_on)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        os.close(reader)

        def reading_end_is_closed():
            try:
                os.write(writer, b"x")
            except BrokenPipeError:
                return True
            return False

        self.within(5, reading_end_is_closed)  # once the daemon has read the data
        os.close(writer)
        invariants.check(daemon, before)

    def test_denied_in_batches_and_notifications(self):
        daemon = self.daemon("--default-role", "read")
        note = strict.dumps({"jsonrpc": "2.0", "method": "cleanup_expired_api_keys"})
        batch = strict.dumps(
            [
                {"jsonrpc": "2.0", "id": "w", "method": "cleanup_expired_api_keys"},
                {"jsonrpc": "2.0", "id": "r", "method": "get_user_count"},
            ]
        )
        lines = self.as_user(daemon, STRANGER, [note, batch])
        self.assertEqual(len(lines), 1)
        denied, allowed = lines[0]
        self.assertEqual(
            (denied["error"]["data"]["kind"], allowed["result"]), ("permission_denied", 0)
        )

    def test_denied_before_params_are_looked_at(self):
        """A denied caller learns nothing about rows or parameters. Unknown methods are still
        reported as unknown."""
        daemon = self.daemon("--default-role", "read")
        answers = self.as_user(
            daemon,
            STRANGER,
            [
                '{"jsonrpc":"2.0","id":1,"method":"get_user","params":{"nonsense":1}}',
                '{"jsonrpc":"2.0","id":2,"method":"no.such"}',
            ],
        )
        self.assertEqual(
            {answer["id"]: answer["error"]["code"] for answer in answers}, {1: -32005, 2: -32601}
        )

    def test_socket_mode_keeps_out(self):
        daemon = Daemon("sqlite")
        os.chmod(daemon.folder, 0o755)
        self.addCleanup(daemon.discard)
        daemon.start()
        self.assertIsNone(
            self.as_user(daemon, STRANGER, ['{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}'])
        )
        self.assertEqual(
            self.as_user(daemon, 0, ['{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}'])[0][
                "result"
            ],
            "pong",
        )

    def test_denied_calls_are_counted(self):
        daemon = self.daemon("--default-role", "none")
        self.as_user(daemon, STRANGER, ['{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}'])
        with daemon.connect() as connection:
            self.assertGreaterEqual(
                connection.call("daemon.stats")["errors_by_kind"]["permission_denied"], 1
            )

    def test_bad_rules_are_refused(self):
        for rules in (
            "user:daemon",
            "user:daemon=king",
            "nobody",
            "user:no-such-user-here=read",
            "user:=read",
            "role:x=read",
            "user:daemon=read,,",
        ):
            daemon = Daemon("sqlite", options=("--access", rules))
            try:
                with self.assertRaises(Exception) as caught:
                    daemon.start()
                self.assertIn(getattr(caught.exception, "code", None), (64, 78), rules)
            finally:
                daemon.discard()


def child_as(uid, work, gid=None, groups=()):
    """Runs work in a process of that user, which exits with its result, and returns the process id.
    It forks without exec, since another user may not be allowed to run this Python."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups(list(groups))
            os.setresgid(*[uid if gid is None else gid] * 3)
            os.setresuid(*[uid] * 3)
            code = work()
        finally:
            os._exit(code)
    return child


def peer(path, data, out):
    """Sends everything and forwards the answer; exits with 13 when it cannot connect."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        try:
            connection.connect(path)
        except PermissionError:
            return 13
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while got := connection.recv(1 << 16):
            os.write(out, got)
    return 0


def ids(name):
    with open("/etc/passwd", encoding="utf-8") as file:
        for line in file:
            fields = line.split(":")
            if fields[0] == name:
                return int(fields[2]), int(fields[3])
    raise AssertionError(f"no user {name}")
