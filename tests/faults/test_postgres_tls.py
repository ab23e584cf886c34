"""Encrypted connections to PostgreSQL, by the options of its URL. Would catch: an unchecked
certificate, a host name that is not compared, a silent fall-back to plain text, a password in an
error, an answer that remains unread inside OpenSSL."""
import os
import select
import socket
import ssl
import subprocess
import threading
import time

from lib import model
from lib.daemon import Daemon, SLOW, StartFailure
from lib.postgres_case import Database, ServerCase
from lib.postgres_server import PostgresServer, account
from lib.world import World

BACKENDS = ("postgres",)
PASSWORD = "canary-tls-pa55"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Authority:
    """A certificate authority for the test."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate, self.key = self.path(name, "crt"), self.path(name, "key")
        openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            f"/CN=Test authority {name}",
            "-addext",
            "keyUsage=keyCertSign",
            "-days",
            "2",
            "-keyout",
            self.key,
            "-out",
            self.certificate,
        )

    def path(self, name, kind):
        return os.path.join(self.folder, f"{name}.{kind}")

    def issue(self, name, subject, names, days="2"):
        """Makes a certificate and its key."""
        request, extension, pair = (
            self.path(name, "csr"),
            self.path(name, "ext"),
            (self.path(name, "crt"), self.path(name, "key")),
        )
        with open(extension, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\n")
        openssl(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            f"/CN={subject}",
            "-keyout",
            pair[1],
            "-out",
            request,
        )
        openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            self.certificate,
            "-CAkey",
            self.key,
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            extension,
            "-out",
            pair[0],
        )
        os.chmod(pair[1], 0o600)
        return pair


class LargeRecords:
    """Terminates TLS before the server and sends each answer in TLS records of maximum size, as
    PostgreSQL 17 and some poolers do. The server of the tests makes no record beyond 8 KiB, which
    always fits libpq's buffer."""

    def __init__(self, server, pair):
        self.path = os.path.join(server.folder, f".s.PGSQL.{server.port}")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        """A client that does not ask for encryption sends a cancel request, which this proxy
        ignores."""
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            if client.recv(8)[4:] != b"\x04\xd2\x16\x2f":
                return
            client.sendall(b"S")
            try:
                with self.context.wrap_socket(client, server_side=True) as inner:
                    server.connect(self.path)
                    while True:
                        if inner.pending() or inner in select.select([inner, server], [], [])[0]:
                            data = inner.recv(65536)
                            server.sendall(data)
                        else:
                            data = self.answer(server)
                            inner.sendall(data)
                        if not data:
                            return
            except OSError:
                pass

    @staticmethod
    def answer(server):
        """Reads up to the server's ReadyForQuery; of other messages, what has arrived."""
        data = server.recv(65536)
        while data and data[-6:-1] != b"Z\0\0\0\5" and select.select([server], [], [], 0.2)[0]:
            data += server.recv(65536)
        return data


class Tls(ServerCase):
    @classmethod
    def setUpClass(cls):
        # A client without encryption, or with a role other than the one in its certificate, is
        # rejected.
        cls.server = PostgresServer(
            {"fsync": "off"},
            [
                "local all all trust",
                "hostssl all certified 127.0.0.1/32 cert",
                "hostssl all all 127.0.0.1/32 scram-sha-256",
            ],
        )
        cls.addClassCleanup(cls.server.stop)
        folder = cls.folder = os.path.join(cls.server.folder, "tls")
        os.mkdir(folder)
        ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
        cls.root, cls.other_root = ours.certificate, theirs.certificate
        cls.right = ours.issue("right", "localhost", "DNS:localhost,IP:127.0.0.1")
        cls.expired = ours.issue("expired", "localhost", "DNS:localhost", days="-1")
        cls.wrong_host = ours.issue("wrong-host", "db.example.com", "DNS:db.example.com")
        cls.foreign = theirs.issue("foreign", "localhost", "DNS:localhost,IP:127.0.0.1")
        cls.client = ours.issue("client", "certified", "DNS:certified")
        cls.foreign_client = theirs.issue("foreign-client", "certified", "DNS:certified")
        cls.own()
        cls.server.settings.update(
            {
                "ssl": "on",
                "ssl_cert_file": f"'{cls.right[0]}'",
                "ssl_key_file": f"'{cls.right[1]}'",
                "ssl_ca_file": f"'{ours.certificate}'",
            }
        )
        cls.server.start()
        cls.server.psql(
            f"CREATE ROLE pierre LOGIN SUPERUSER PASSWORD '{PASSWORD}'; "
            "CREATE ROLE certified LOGIN SUPERUSER",
            "postgres",
        )
        model.secrets.add(PASSWORD)

    @classmethod
    def own(cls):
        """The server's account must be able to read its key. As root, the daemon can still read the
        client's."""
        user = account()
        for entry in [cls.folder] + [
            os.path.join(cls.folder, name) for name in os.listdir(cls.folder)
        ]:
            if user:
                os.chown(entry, user["user"], user["group"])

    def tearDown(self):
        self.present(self.right)

    def present(self, pair=None):
        """Sets what the server presents from now on; None: plain text only."""
        for statement in (
            [
                f"ALTER SYSTEM SET ssl_cert_file = '{pair[0]}'",
                f"ALTER SYSTEM SET ssl_key_file = '{pair[1]}'",
                "ALTER SYSTEM SET ssl = on",
            ]
            if pair
            else ["ALTER SYSTEM SET ssl = off"]
        ) + ["SELECT pg_reload_conf()"]:
            self.server.psql(statement, "postgres")
        # The reload is done when a new connection gets the new greeting. No statement shows which
        # connection that is.
        expected = pair and self.fingerprint(pair[0])
        self.within(10, lambda: self.shown() == expected, 0.05)

    @staticmethod
    def fingerprint(path):
        done = subprocess.run(
            ["openssl", "x509", "-in", path, "-noout", "-fingerprint"],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def shown(self):
        done = subprocess.run(
            [
                "openssl",
                "s_client",
                "-starttls",
                "postgres",
                "-connect",
                f"127.0.0.1:{self.server.port}",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if "BEGIN CERTIFICATE" not in done.stdout:
            return None
        done = subprocess.run(
            ["openssl", "x509", "-noout", "-fingerprint"],
            input=done.stdout,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def to(self, mode, host="localhost", root=None, user=f"pierre:{PASSWORD}", more=""):
        root = f"&sslrootcert={root}" if root else ""
        return (
            f"postgresql://{user}@{host}:{self.server.port}/{self.name}?sslmode={mode}{root}{more}"
        )

    def encrypted(self):
        return self.server.psql(
            "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN "
            "pg_stat_activity USING (pid) WHERE "
            f"datname = '{self.name}' AND application_name = 'pierre-dbd'",
            "postgres",
        )

    def works(self, url):
        daemon = self.daemon("--pool", "3", "--pool-min", "3", url=url)
        self.assertEqual(daemon.call("get_user_count"), 0)
        self.within(5, lambda: self.encrypted() == "3|3")
        return daemon

    def refused(self, url, *words):
        """The daemon does not start and reports the reason in one line, without the password."""
        daemon = Daemon(database=Database(url))
        try:
            with self.assertRaises(StartFailure) as caught:
                daemon.start()
            self.assertEqual(caught.exception.code, 69)
            daemon.check_log()
            errors = [line for line in caught.exception.log.splitlines() if "level=error" in line]
            self.assertEqual(len(errors), 1, caught.exception.log)
            for word in ("the database cannot be reached", *words):
                self.assertIn(word, errors[0])
        finally:
            daemon.discard()

    def test_right_certificate(self):
        self.works(self.to("verify-full", root=self.root))

    def test_right_certificate_by_address(self):
        self.works(self.to("verify-full", "127.0.0.1", root=self.root))

    def test_another_authority(self):
        self.refused(self.to("verify-full", root=self.other_root), "certificate verify failed")
        self.present(self.foreign)
        self.refused(self.to("verify-full", root=self.root), "certificate verify failed")
        self.refused(self.to("verify-ca", root=self.root), "certificate verify failed")

    def test_another_host(self):
        self.present(self.wrong_host)
        self.refused(
            self.to("verify-full", root=self.root), "db.example.com", "does not match host name"
        )

    def test_expired(self):
        self.present(self.expired)
        self.refused(self.to("verify-full", root=self.root), "certificate verify failed")

    def test_no_encryption(self):
        self.present(None)
        for mode in ("verify-full", "require"):
            self.refused(self.to(mode, root=self.root), "does not support SSL")

    def test_no_root(self):
        self.refused(
            self.to("verify-full", root="/nonexistent/root.crt"),
            "root certificate file",
            "/nonexistent/root.crt",
        )

    def test_require_looks_at_nothing(self):
        self.present(self.foreign)
        self.works(self.to("require"))

    def test_server_that_insists(self):
        self.refused(self.to("disable"), "no encryption")

    def test_wrong_password(self):
        model.secrets.add("canary-wrong-pa55")
        self.refused(
            self.to("verify-full", root=self.root, user="pierre:canary-wrong-pa55"),
            "password authentication failed",
        )

    def test_client_certificate(self):
        def certificate(pair):
            return f"&sslcert={pair[0]}&sslkey={pair[1]}"

        if os.geteuid() == 0:  # libpq accepts only keys that belong to root, or to a group
            for pair in (self.client, self.foreign_client):
                os.chown(pair[1], 0, 0)
        self.works(
            self.to("verify-full", root=self.root, user="certified", more=certificate(self.client))
        )
        self.refused(self.to("verify-full", root=self.root, user="certified"), "certificate")
        self.refused(
            self.to(
                "verify-full",
                root=self.root,
                user="certified",
                more=certificate(self.foreign_client),
            ),
            "unknown ca",
        )

    def test_large_records(self):
        """libpq reads the last record in two parts, of which the socket announces only the
        first."""
        proxy = LargeRecords(self.server, self.right)
        self.addCleanup(proxy.listener.close)
        url = self.to("verify-full", root=self.root).replace(
            f":{self.server.port}/", f":{proxy.port}/"
        )
        key = None
        for sizes in (
            (5000, 12400, 12400),
            (5600, 12400, 12400),
            (4400, 11800, 12800),
            (100, 5000, 12400, 12400),
            (9000, 15000, 15000, 15000),
        ):
            daemon = self.daemon(
                "--pool", "1", "--call-timeout", "10s", url=url, key=key
            )  # new for each, since libpq's buffer only grows
            key = daemon.key
            with daemon.connect() as one:
                user = World(one).user()
                titles = [chr(ord("a") + number) * size for number, size in enumerate(sizes)]
                for title in titles:
                    one.call("create_goal", user_id=user, goal_data={"title": title})
                began = time.monotonic()
                self.assertEqual(
                    [goal["title"] for goal in one.call("get_user_goals", user_id=user)],
                    titles[::-1],
                )
                self.assertLess(
                    time.monotonic() - began, 5 * SLOW, "the end of the answer was not read"
                )

    def test_changed_under_way(self):
        """New connections are refused, errors name the cause, and service resumes afterwards."""
        daemon = self.works(self.to("verify-full", root=self.root))
        self.present(self.foreign)
        self.server.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'",
            "postgres",
        )
        with daemon.connect() as connection:
            error = connection.error("get_user_count")
            self.assertEqual((error.kind, error.data["retryable"]), ("unavailable", True))
            self.assertIn("certificate verify failed", error.message)
            health = connection.call("daemon.health")
            self.assertEqual(health["status"], "down", health)
            self.assertIn("certificate verify failed", str(health))
            self.assertNotIn(PASSWORD, error.message + str(health))
        self.present(self.right)
        self.within(10, lambda: "result" in self.answer(daemon))

    @staticmethod
    def answer(daemon):
        with daemon.connect() as connection:
            return connection.answer(connection.request("get_user_count"))
