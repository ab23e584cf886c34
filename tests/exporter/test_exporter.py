"""pierre-dbd-exporter over HTTP. Would catch: metrics that differ from the daemon's, a daemon that
is asked once for each client, a client that holds the exporter up or fills it, an address that
others can reach, a daemon that hangs and the scrape with it. SQLite only: the exporter does not
know which database the daemon has."""
import concurrent.futures
import contextlib
import http.client
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import time

from lib import exporter, openmetrics
from lib.case import Case
from lib.daemon import CTL, SLOW, Daemon, temporary_folder
from lib.exporter import EXPORTER, Exporter

BACKENDS = ("sqlite",)
METRICS = "text/plain; version=0.0.4; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
REQUEST_SECONDS = 5  # REQUEST_MS of http.c
CROWD = 10000 if os.environ.get("PIERRE_TEST_LONG") else 800


def setUpModule():
    """Many connections need many descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Served(Case):
    """A daemon with an exporter that takes few connections."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(options=("--access", f"user:{os.geteuid()}=read")).start()
        cls.exporter = Exporter(cls.daemon.socket_path, "--connections", "8", "--timeout", "1")

    @classmethod
    def tearDownClass(cls):
        cls.exporter.stop()
        cls.daemon.stop()

    def ask(self, path="/metrics", **more):
        return self.exporter.ask(path, **more)

    def metrics(self):
        status, _, text = self.ask()
        self.assertEqual(status, 200, text)
        return openmetrics.parse(text, classic=True)


class Pages(Served):
    def test_metrics_are_those_of_the_daemon(self):
        status, headers, text = self.ask()
        self.assertEqual((status, headers["Content-Type"]), (200, METRICS))
        self.assertEqual(headers["Connection"], "close")
        found = openmetrics.parse(text, classic=True)
        file = os.path.join(self.daemon.folder, "metrics.prom")
        subprocess.run(
            [CTL, "--socket", self.daemon.socket_path, "metrics", "--output", file], check=True
        )
        with open(file, encoding="utf-8") as written:
            expected = openmetrics.parse(written.read(), classic=True)
        own = set(found) - set(expected)
        self.assertEqual(
            own,
            {
                "pierre_dbd_exporter_build_info",
                "pierre_dbd_exporter_scrape_duration_seconds",
                "pierre_dbd_exporter_scrapes_total",
                "pierre_dbd_exporter_scrape_failures_total",
                "pierre_dbd_exporter_connections_dropped_total",
            },
        )
        self.assertEqual(set(expected) - set(found), set())
        self.assertEqual(found["pierre_dbd_ready"].values(), [1])
        self.assertGreater(found["pierre_dbd_exporter_scrapes_total"].values()[0], 0)

    def test_they_change(self):
        def received():
            return self.metrics()["pierre_dbd_received_lines_total"].values()[0]

        before = received()
        for _ in range(30):
            self.daemon.call("daemon.ping")
        self.within(5, lambda: received() >= before + 30)

    def test_health(self):
        for path, text in (("/healthy", "live: ok\n"), ("/ready", "ready: ok\n")):
            status, headers, found = self.ask(path)
            self.assertEqual((status, headers["Content-Type"], found), (200, TEXT, text))

    def test_methods_and_paths(self):
        for path in ("/metrics", "/healthy", "/ready"):
            status, headers, text = self.ask(path, method="HEAD")
            self.assertEqual((status, text), (200, ""))
            self.assertGreater(int(headers["Content-Length"]), 5)
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE"):
                status, headers, _ = self.ask(path, method=method)
                self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"), method)
        for path in ("/", "/metric", "/metrics/", "//metrics", "/metrics%00", "/../metrics"):
            for method in ("GET", "POST"):
                self.assertEqual(self.ask(path, method=method)[0], 404, path)
        self.assertEqual(self.ask("/metrics?name=x")[0], 200)
        self.assertEqual(self.ask("/metrics", body="x" * 10)[0], 400)
        self.assertEqual(self.ask("/metrics", headers={"Transfer-Encoding": "chunked"})[0], 400)
        self.assertIn(b" 200 OK\r\n", self.exporter.raw(b"GET /ready HTTP/1.0\r\n\r\n"))
        big = {"Content-Length": str(1 << 40), "Expect": "100-continue"}
        self.assertEqual(self.ask("/metrics", method="POST", headers=big)[0], 405)

    def test_not_http(self):
        """Refused or closed at once, and the exporter stays. (libmicrohttpd 0.9.75 sends the head
        of some of its own refusals twice.)"""
        begin = b"GET /ready HTTP/1.1\r\nHost: x\r\n"
        for data, codes in (
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),  # TLS
            (b'{"jsonrpc":"2.0","id":1,"method":"get_user_count"}\n\n', (400, 404, 405, 505)),
            (b"GET\r\n\r\n", (400, 404, 405, 505)),
            (b"GET /ready HTTP/9.9\r\n\r\n", (400, 505)),
            (begin + b"X: " + b"y" * 20000 + b"\r\n\r\n", (413, 431)),
            (begin + b"".join(b"X%d: y\r\n" % i for i in range(2000)) + b"\r\n", (413, 431)),
            (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n", (413, 414, 431)),
            (begin + b"Content-Length: -1\r\n\r\n", (400,)),
            (begin + b"Content-Length: 99999999999999999999999\r\n\r\n", (400, 413)),
            (begin + b"Transfer-Encoding: nonsense\r\n\r\n", (400, 501)),
        ):
            with self.subTest(data=data[:40]):
                found = self.exporter.raw(data)
                for code in re.findall(rb"^HTTP/1\.1 (\d+) ", found, re.M):
                    self.assertIn(int(code), codes, found[:200])
                self.assertTrue(not found or found.startswith(b"HTTP/1.1 "), found[:200])
        self.assertEqual(self.exporter.status("/ready"), 200)

    def test_one_request_on_each_connection(self):
        one = b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"
        found = self.exporter.raw(one * 5 + b"\0" * 1000)
        self.assertEqual(found.count(b"HTTP/1.1 "), 1)
        self.assertTrue(found.startswith(b"HTTP/1.1 200 OK\r\n"), found[:100])

    def test_clients_share_a_question(self):
        """However many ask, the daemon is asked at most twice a second."""
        self.ask()
        before = self.daemon.call("daemon.stats")["methods"]["daemon.stats"]["calls"]
        began, asked = time.monotonic(), 0
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            while time.monotonic() < began + 1.2:
                statuses = list(pool.map(lambda _: self.exporter.status(), range(12)))
                self.assertEqual(set(statuses), {200})
                asked += len(statuses)
        seconds = time.monotonic() - began
        after = self.daemon.call("daemon.stats")["methods"]["daemon.stats"]["calls"]
        self.assertLessEqual(after - before, 2 + 2 * seconds + 1)
        self.assertGreater(asked, 24)


class Abuse(Served):
    """Clients that want too much."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.patient = Exporter(cls.daemon.socket_path)
        cls.slow = []
        for data in (b"GET /metrics HTTP/1.1\r\nX: ", b"", b"GET /metr", b"\0\xff\xfe\r\n\r\n"):
            cls.slow.append(cls.patient.connect())
            cls.slow[-1].sendall(data)
        cls.began = time.monotonic()

    @classmethod
    def tearDownClass(cls):
        for one in cls.slow:
            one.close()
        cls.patient.stop()
        super().tearDownClass()

    def test_a_crowd(self):
        """Thousands of connections without a request do not keep a scrape out, and cost the
        exporter no more descriptors and memory than it has places."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        crowd = []
        with Exporter(self.daemon.socket_path) as one, contextlib.ExitStack() as stack:
            for i in range(min(CROWD, soft - 500)):
                crowd.append(stack.enter_context(one.connect()))
                if i % 1000 == 500:
                    self.assertEqual(one.status("/ready"), 200)
            began = time.monotonic()
            self.assertEqual(one.status(), 200)
            # Nor does it wait until their time is over.
            self.assertLess(time.monotonic() - began, REQUEST_SECONDS * SLOW)
            self.assertLess(one.descriptors(), 64 + 16)
            with open(f"/proc/{one.process.pid}/statm", encoding="ascii") as file:
                pages = int(file.read().split()[1])
        if "ASAN_OPTIONS" not in os.environ:
            self.assertLess(pages * resource.getpagesize(), 32 << 20)
        print(f"  {len(crowd)} connections without a request")

    def test_a_flood_of_requests(self):
        """Requests on more connections than there are places are all answered. A client that a
        busy machine delays between connecting and sending may lose its place, and asks again."""

        def ask(_):
            for _ in range(10):
                with contextlib.suppress(http.client.RemoteDisconnected, ConnectionResetError):
                    return self.exporter.status("/ready")
            return None

        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            self.assertEqual(set(pool.map(ask, range(300))), {200})

    def test_a_client_that_leaves(self):
        """It closes or resets its connection before the answer."""
        for reset in (False, True):
            for _ in range(20):
                with self.exporter.connect() as one:
                    one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                    if reset:
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.within(5, lambda: self.exporter.status() == 200)

    @staticmethod
    def ended(one, data):
        try:
            one.sendall(data)
            one.settimeout(0.01)
            return one.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def test_slow_clients(self):
        """One that sends a byte now and then, and others that send nothing, half a request, or
        something else: each is closed in time. They have begun with the class."""
        deadline = time.monotonic() + (REQUEST_SECONDS + 10) * SLOW
        while not self.ended(self.slow[0], b"y"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertGreater(time.monotonic(), self.began + REQUEST_SECONDS - 1)
        for one in self.slow[1:]:
            self.assertIsNotNone(exporter.closed_after(one, 5 * SLOW))
        dropped = "pierre_dbd_exporter_connections_dropped_total"
        found = openmetrics.parse(self.patient.ask()[2], classic=True)
        self.assertEqual(found[dropped].values(), [len(self.slow)])


class Daemons(Case):
    """A daemon that hangs, is away, comes back, or refuses."""

    def test_a_daemon_that_hangs(self):
        daemon = Daemon().start()
        self.addCleanup(daemon.discard)
        with Exporter(daemon.socket_path, "--timeout", "1") as one:
            self.assertEqual(one.status(), 200)
            time.sleep(0.6)  # the answer is no longer recent
            daemon.signal(signal.SIGSTOP)
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(9) as pool:
                paths = ["/metrics", "/healthy", "/ready"] * 3
                found = list(pool.map(one.ask, paths))
            self.assertLess(time.monotonic() - began, 3 * SLOW)
            for status, headers, text in found:
                self.assertEqual((status, headers["Content-Type"][:10]), (503, "text/plain"))
                self.assertIn("the daemon does not answer: ", text)
            daemon.signal(signal.SIGCONT)
            self.within(10, lambda: one.status() == 200)
            failures = openmetrics.parse(one.ask()[2], classic=True)
            self.assertGreater(failures["pierre_dbd_exporter_scrape_failures_total"].values()[0], 0)
            self.assertEqual(one.log().count("the daemon does not answer"), 1, one.log())
            self.assertEqual(one.log().count("the daemon answers again"), 1, one.log())
        daemon.stop()

    def test_a_daemon_that_is_away_and_starts(self):
        daemon = Daemon()
        self.addCleanup(daemon.discard)
        with Exporter(daemon.socket_path) as one:
            began = time.monotonic()
            self.assertEqual(one.status("/healthy"), 503)
            self.assertLess(time.monotonic() - began, 2 * SLOW)
            daemon.start()
            self.within(5, lambda: one.status() == 200)
            daemon.terminate()
            self.within(5, lambda: one.status() == 503)
            daemon.start()
            self.within(5, lambda: one.status() == 200)
        daemon.stop()

    def test_a_daemon_that_is_paused(self):
        """It is live and not ready; its metrics are there."""
        with Daemon() as daemon, Exporter(daemon.socket_path) as one:
            daemon.call("daemon.pause")
            self.within(5, lambda: one.ask("/ready")[::2] == (503, "not ready: degraded\n"))
            self.assertEqual(one.ask("/healthy")[::2], (200, "live: degraded\n"))
            found = openmetrics.parse(one.ask()[2], classic=True)
            self.assertEqual(found["pierre_dbd_ready"].values(), [0])
            daemon.call("daemon.resume")

    def test_a_daemon_that_refuses(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "settings")
        with open(path, "w", encoding="ascii"):
            pass
        with Daemon(options=("--env-file", path)) as daemon, Exporter(daemon.socket_path) as one:
            self.assertEqual(one.status(), 200)
            with open(path, "w", encoding="ascii") as file:
                file.write(f"PIERRE_DBD_ACCESS=user:{os.geteuid()}=none\n")
            daemon.signal(signal.SIGHUP)
            self.within(5, lambda: one.status() == 503)
            self.assertIn("needs read", one.ask()[2])

    def test_a_peer_that_is_no_daemon(self):
        """It answers with something else."""
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "s")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            with Exporter(path, "--timeout", "1") as one:
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    asked = pool.submit(one.status)
                    peer, _ = server.accept()
                    with peer:
                        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        self.assertEqual(asked.result(), 503)


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


class Addresses(Case):
    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "metrics")

    def test_only_loopback(self):
        for address in ("0.0.0.0:0", "[::]:0", "127.0.0.1", "localhost:1", "192.0.2.1:9754x",
                        "unix:", "unix:" + "x" * 200, "[::1]", "127.0.0.1:70000",
                        "127.0.0.1:-1", "[127.0.0.1:1", "x:1"):  # fmt: skip
            with self.subTest(address=address):
                code, _, text = exporter.run("--listen", address)
                self.assertEqual(code, 78, text)
                self.assertTrue(text.startswith("pierre-dbd-exporter: "), text)
        code, _, text = exporter.run("--listen", "0.0.0.0:0")
        self.assertIn("0.0.0.0 is not a loopback address", text)
        for address in ("127.0.0.1:0", "127.1.2.3:0", *(["[::1]:0"] if has_ipv6() else [])):
            with self.subTest(address=address), Exporter(self.path, listen=address) as one:
                self.assertEqual(one.status("/nothing"), 404)
        with Exporter(self.path) as one:
            code, _, text = exporter.run("--listen", one.target)
            self.assertEqual(code, 75, text)

    def test_unix_socket(self):
        with Exporter(self.path, listen=f"unix:{self.path}") as one:
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o660)
            self.assertIn(b"503 Service", one.raw(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"))
            code, _, text = exporter.run("--listen", f"unix:{self.path}")
            self.assertEqual((code, "another program listens" in text), (75, True), text)
        self.assertFalse(os.path.exists(self.path))
        one = Exporter(self.path, listen=f"unix:{self.path}")
        one.process.kill()
        one.process.wait()
        one.process.stderr.close()
        self.assertTrue(os.path.exists(self.path))
        with Exporter(self.path, listen=f"unix:{self.path}"):
            pass  # what the killed one has left is replaced
        with open(self.path, "w", encoding="ascii"):
            pass
        code, _, text = exporter.run("--listen", f"unix:{self.path}")
        self.assertEqual((code, "is not a socket" in text), (73, True), text)
        self.assertTrue(os.path.isfile(self.path))

    def passed(self, one, count=1, listen="127.0.0.1:1"):
        """The command that passes a socket as systemd does."""
        program = f'exec 3<&{one.fileno()} && LISTEN_PID=$$ LISTEN_FDS={count} exec "$0" "$@"'
        command = ["bash", "-c", program, EXPORTER]
        return {"command": command, "listen": listen, "pass_fds": (one.fileno(),)}

    def test_passed_socket(self):
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            with Exporter(self.path, **self.passed(one)) as found:
                self.assertEqual(found.address, ("127.0.0.1", port))
                self.assertEqual(found.status("/nothing"), 404)
        for address, count, listening, text in (
            ("0.0.0.0", 1, True, "not a loopback address"),
            ("127.0.0.1", 2, True, "2 sockets were passed"),
            ("127.0.0.1", 1, False, "not a listening stream socket"),
        ):
            with self.subTest(text=text), socket.socket() as one:
                one.bind((address, 0))
                if listening:
                    one.listen()
                with self.assertRaisesRegex(AssertionError, text):
                    Exporter(self.path, **self.passed(one, count))


class Options(Case):
    def test_refusals(self):
        for arguments in (("--nonsense",), ("--listen",), ("word",), ("--help=x",)):
            with self.subTest(arguments=arguments):
                self.assertEqual(exporter.run(*arguments)[0], 64)
        for flag, name, values in (
            ("--timeout", "PIERRE_DBD_EXPORTER_TIMEOUT", ("0", "61", "1s", "-1", "99999999999999")),
            ("--connections", "PIERRE_DBD_EXPORTER_CONNECTIONS", ("0", "3", "1001", "x", " 8")),
        ):
            for value in values:
                with self.subTest(value=value):
                    self.assertEqual(exporter.run(flag, value)[0], 78)
                    code, _, text = exporter.run(**{name: value})
                    self.assertEqual((code, name in text), (78, True), text)

    def test_help(self):
        code, text, _ = exporter.run("--help")
        self.assertEqual(code, 0)
        for name in ("PIERRE_DBD_EXPORTER_LISTEN", "PIERRE_DBD_SOCKET", "--timeout SECONDS"):
            self.assertIn(name, text)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertIn("socket activation systemd's socket is used", " ".join(text.split()))
        code, text, _ = exporter.run("--version")
        self.assertEqual(code, 0)
        self.assertRegex(text, r"^pierre-dbd-exporter \d+\.\d+\.\d+\n$")
