"""Databases for daemons under test: a new file, or a new PostgreSQL database on the run's
server."""
import contextlib
import os
import re
import secrets
import sqlite3
import subprocess
import urllib.parse

from . import model, states
from .postgres_server import PostgresServer, binary

DOCUMENT = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "postgresql.md"
)
BACKENDS = ("sqlite", "postgres")
STANDBY_WAIT = "100ms"  # longer than the standby's delay: most reads come from it

_session = contextlib.ExitStack()  # what this session has started, in order


def end_session():
    """Drops and stops what was made for this session; given servers stay."""
    _session.close()


def chosen():
    """The backend of this test process (tests/run.py runs each file once per backend)."""
    return os.environ.get("PIERRE_TEST_BACKEND", "sqlite")


def on_standby():
    """Whether daemons read from a standby beside the primary (tests/run.py)."""
    return "PIERRE_TEST_STANDBY" in os.environ


def postgres_url():
    """Returns the URL of a PostgreSQL server with a role that may create databases: the given one,
    or one started for this session; None if it cannot be started."""
    if "PIERRE_TEST_POSTGRES" not in os.environ:
        try:
            server = PostgresServer().start()
        except (OSError, RuntimeError, KeyError) as problem:
            print(f"NO PostgreSQL: {problem}", flush=True)
            os.environ["PIERRE_TEST_POSTGRES"] = ""
            return None
        _session.callback(server.stop)
        os.environ["PIERRE_TEST_POSTGRES"] = server.url
    return os.environ["PIERRE_TEST_POSTGRES"] or None


class Sqlite:
    backend = "sqlite"
    reported = "sqlite"  # as daemon.version names it

    def __init__(self, folder, name="pierre.db"):
        self.path = os.path.join(folder, name)
        self.url = f"sqlite:{self.path}"

    def query(self, statement):
        """Executes a statement beside the daemon, as another program does."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            return connection.execute(statement).fetchall()

    def drop(self):
        pass  # removed with its folder


def documented():
    """Returns the SQL of docs/postgresql.md that sets up the two roles: on the server, in the
    database, after the migrations."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    blocks = re.findall(
        r"^```sql\n(.*?)^```",
        text[text.index("## A role with few rights") :],
        re.MULTILINE | re.DOTALL,
    )
    model.secrets.update(re.findall(r"PASSWORD '([^']*)'", blocks[0]))
    assert len(blocks) >= 3, "docs/postgresql.md lacks the SQL of the roles"
    return blocks[:3]


def with_database(url, name, role=None):
    """Returns the URL of another database of the server, optionally for a role of
    docs/postgresql.md."""
    parts = urllib.parse.urlsplit(url)
    server = parts.netloc.rpartition("@")[2] if role else parts.netloc
    if role:
        password = re.search(
            rf"CREATE ROLE {role} LOGIN PASSWORD '([^']*)'", documented()[0]
        ).group(1)
        server = f"{role}:{password}@{server}"
    return urllib.parse.urlunsplit((parts.scheme, server, f"/{name}", parts.query, ""))


def make_template(build, url):
    """Returns the name of a database to copy, which the documented owner has migrated."""
    name = f"pierre_template_{os.getpid()}_{secrets.token_hex(4)}"
    server, database, after = (
        block.replace("DATABASE pierre ", f'DATABASE "{name}" ') for block in documented()
    )
    for statement in re.findall(r"CREATE ROLE [^;]*;", server):
        try:
            psql(url, statement)
        except RuntimeError as problem:
            if "already exists" not in str(problem):
                raise
    psql(
        url,
        "".join(
            statement
            for statement in server.splitlines()
            if not statement.startswith("CREATE ROLE")
        ),
    )
    psql(with_database(url, name), database)
    done = subprocess.run(
        [os.path.join(build, "daemon", "pierre-dbd"), "--migrate-only"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "DATABASE_URL": with_database(url, name, "pierre_owner")},
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the owner cannot migrate: {done.stderr}")
    psql(with_database(url, name), after)
    return name


def template():
    if "PIERRE_TEST_TEMPLATE" not in os.environ:
        os.environ["PIERRE_TEST_TEMPLATE"] = make_template(
            os.environ["PIERRE_TEST_BUILD"], postgres_url()
        )
        _session.callback(drop_template, postgres_url(), os.environ["PIERRE_TEST_TEMPLATE"])
    return os.environ["PIERRE_TEST_TEMPLATE"]


def drop_template(url, name):
    try:
        psql(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    except RuntimeError:
        pass  # the server has ended before


class Postgres:
    """Migrated by its owner; the daemon uses the role with few rights of docs/postgresql.md. fresh:
    empty, and the daemon owns it."""

    backend = "postgres"
    reported = "postgresql"

    def __init__(self, fresh=False):
        self.name = f"pierre_{os.getpid()}_{secrets.token_hex(4)}"
        self.admin_url = with_database(postgres_url(), self.name)
        if fresh:
            template()  # creates the roles
            self.admin(f'CREATE DATABASE "{self.name}" OWNER pierre_owner')
            self.url = with_database(postgres_url(), self.name, "pierre_owner")
        else:
            self.admin(f'CREATE DATABASE "{self.name}" TEMPLATE "{template()}" OWNER pierre_owner')
            self.query(
                "".join(
                    f"{line}\n"
                    for line in documented()[1]
                    .replace("DATABASE pierre ", f'DATABASE "{self.name}" ')
                    .splitlines()
                    if " ON DATABASE " in line
                )
            )  # a copy lacks its template's grants on the database
            self.url = with_database(postgres_url(), self.name, "pierre_daemon")
        self.options = self.standby_options() if on_standby() else ()

    def standby_options(self):
        """Lets the daemon read from the run's delayed standby, which has this database."""
        url = with_database(
            os.environ["PIERRE_TEST_STANDBY"], self.name, urllib.parse.urlsplit(self.url).username
        )
        flushed = psql(postgres_url(), "SELECT pg_current_wal_flush_lsn()")
        statement = f"SELECT pg_last_wal_replay_lsn() >= '{flushed}'"
        states.until(lambda: psql(os.environ["PIERRE_TEST_STANDBY"], statement) == "t", "replay")
        return ("--read-from", "standby", "--standby-url", url, "--standby-wait", STANDBY_WAIT)

    def admin(self, statement):
        return psql(postgres_url(), statement)

    def query(self, statement):
        """Returns the rows of one statement in this database, as psql -At prints them; with all
        rights."""
        return psql(self.admin_url, statement)

    def drop(self):
        self.admin(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def psql(url, statement):
    done = subprocess.run(
        [binary("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url],
        input=statement,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"psql: {done.stderr.strip()}")
    return done.stdout.strip()


def make(backend, folder, fresh=False):
    """fresh: not yet migrated."""
    return Sqlite(folder) if backend == "sqlite" else Postgres(fresh)
