"""Tests that disturb a private PostgreSQL server: one server for all classes of the process with
the same settings, one database and one daemon for each test."""
import atexit
import os
import secrets

from .case import Case
from .daemon import Daemon
from .postgres_server import PostgresServer
from .proxy import Proxy


def recovered(fault, seconds, more=""):
    """Prints one line of the run's list of recovery times."""
    print(
        f"  recovery after {fault}: {seconds:.2f} s{' (' + more + ')' if more else ''}", flush=True
    )


class Database:
    """What lib/daemon.py needs to know about a database; the server outlives it."""

    backend = "postgres"

    def __init__(self, url):
        self.url = url

    def drop(self):
        pass


_servers = []


def _server(settings):
    for server in _servers:
        if server.settings == settings:
            return server
    server = PostgresServer(settings)
    atexit.register(server.stop)
    _servers.append(server.start())
    return server


class ServerCase(Case):
    settings = {}
    parameters = ""  # of the URL

    @classmethod
    def setUpClass(cls):
        cls.server = _server({"fsync": "off", "log_connections": "on", **cls.settings})

    def setUp(self):
        self.name = f"t{secrets.token_hex(4)}"
        self.url = self.server.create_database(self.name) + self.parameters

    def daemon(self, *options, url=None, key=None, environment=None):
        """A daemon on the test's database, or on another route to it; stopped and checked when the
        test ends."""
        daemon = Daemon(
            database=Database(url or self.url), options=options, key=key, environment=environment
        )
        try:
            daemon.start()
        except Exception:
            daemon.discard()
            raise
        self.addCleanup(daemon.stop)
        return daemon

    def proxied(self, *options, pool, environment=None):
        """A daemon whose connections, all open from the start, pass through a proxy."""
        proxy = Proxy(self.server)
        self.addCleanup(proxy.close)
        daemon = self.daemon(
            *("--pool", str(pool), "--pool-min", str(pool), *options),
            url=proxy.url(self.name),
            environment=environment,
        )
        self.within(5, lambda: self.connections(daemon) == pool)
        return proxy, daemon

    def query(self, statement):
        return self.server.psql(statement, self.name)

    def backends(self):
        """Process ids of the daemons' connections to the test's database."""
        return self.server.backends(f"application_name = 'pierre-dbd' AND datname = '{self.name}'")

    @staticmethod
    def gauges(daemon):
        return daemon.call("daemon.stats")["gauges"]

    def connections(self, daemon):
        """Returns the number of connections that are ready for calls."""
        gauges = self.gauges(daemon)
        return gauges["db_connections_idle"] + gauges["db_connections_active"]

    def server_log(self, server=None):
        with open(
            os.path.join((server or self.server).folder, "log"), encoding="utf-8", errors="replace"
        ) as file:
            return file.read()
