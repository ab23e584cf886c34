"""Databases for daemons under test: a file of its own, or a PostgreSQL database of its own on the run's server."""
import atexit
import os
import secrets
import subprocess

from .postgres_server import PostgresServer

BACKENDS = ("sqlite", "postgres")


def chosen():
    """The backend that this test process is for (tests/run.py runs each file once for each)."""
    return os.environ.get("PIERRE_TEST_BACKEND", "sqlite")


def postgres_url():
    """The URL of the run's PostgreSQL with a role that may create databases. A test file that is run by itself starts one of
    its own; None where that cannot be."""
    if "PIERRE_TEST_POSTGRES" not in os.environ:
        try:
            server = PostgresServer().start()
        except (OSError, RuntimeError, KeyError) as problem:
            print(f"NO PostgreSQL: {problem}", flush=True)
            os.environ["PIERRE_TEST_POSTGRES"] = ""
            return None
        atexit.register(server.stop)
        os.environ["PIERRE_TEST_POSTGRES"] = server.url
    return os.environ["PIERRE_TEST_POSTGRES"] or None


class Sqlite:
    backend = "sqlite"
    reported = "sqlite"   # as daemon.version names it

    def __init__(self, folder, name="pierre.db"):
        self.path = os.path.join(folder, name)
        self.url = f"sqlite:{self.path}"

    def drop(self):
        pass  # goes with its folder


class Postgres:
    backend = "postgres"
    reported = "postgresql"

    def __init__(self):
        self.name = f"pierre_{os.getpid()}_{secrets.token_hex(4)}"
        self.admin(f'CREATE DATABASE "{self.name}"')
        base, _, options = postgres_url().partition("?")
        self.url = base.rsplit("/", 1)[0] + "/" + self.name + ("?" + options if options else "")

    def admin(self, statement):
        return psql(postgres_url(), statement)

    def query(self, statement):
        """Rows of one statement in this database, as the text that psql -At prints."""
        return psql(self.url, statement)

    def drop(self):
        self.admin(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def psql(url, statement):
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url], input=statement, capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"psql: {done.stderr.strip()}")
    return done.stdout.strip()


def make(backend, folder):
    return Sqlite(folder) if backend == "sqlite" else Postgres()
