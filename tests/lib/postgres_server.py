"""A private PostgreSQL from the system's packages, in a temporary folder on a free port; never an
existing server.

    with PostgresServer() as server:
        server.url          # for the daemon: over the server's Unix socket
        server.tcp_url      # over 127.0.0.1
        server.create_database("x"); server.psql("SELECT 1"); server.restart("immediate")

As root it runs under the account `postgres` (PostgreSQL refuses root). stop() removes
everything."""
import contextlib
import functools
import glob
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

from . import states


@functools.cache
def binary(name):
    """Returns a program of the server in PIERRE_TEST_POSTGRES_BIN (tests/majors.py), else of the
    newest installed one. Debian's `psql` in PATH is a script that takes five times as long to
    start."""
    chosen = os.path.join(os.environ.get("PIERRE_TEST_POSTGRES_BIN", ""), name)
    if os.path.isabs(chosen) and os.path.exists(chosen):
        return chosen
    found = sorted(
        glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda path: int(path.split("/")[4])
    )
    path = found[-1] if found else shutil.which(name)
    if path is None:
        raise RuntimeError(f"{name} is not installed (Debian package postgresql)")
    return path


def run_psql(statement, *where, check=True):
    """Returns what a statement prints on the server and database that psql's options name."""
    done = subprocess.run(
        [binary("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", *where, "-c", statement],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"psql: {done.stderr.strip()}")
    return done.stdout.strip()


def of_process(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8") as file:
        return file.read()


def account():
    """Returns the account that runs the server, as keyword arguments for subprocess."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgresServer:
    user = "postgres"
    database = "pierre"

    def __init__(self, settings=None, hba=None):
        """settings: name → value for postgresql.conf. hba: lines of pg_hba.conf instead of local
        trust."""
        self.folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
        self.host = self.folder
        self.data = os.path.join(self.folder, "data")
        self.port = free_port()
        self.settings = settings or {}
        self.hba = hba
        self.process = None
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        os.chmod(self.folder, 0o755)

    # Addresses
    def database_url(self, name, host=None, options=""):
        host = urllib.parse.quote(self.host, safe="") if host is None else host
        return f"postgresql://{self.user}@{host}:{self.port}/{name}{options}"

    @property
    def url(self):
        return self.database_url(self.database)

    @property
    def tcp_url(self):
        return self.database_url(self.database, "127.0.0.1")

    def connection(self, database=None):
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "database": database or self.database,
            "password": None,
        }

    # Start and stop
    def run(self, *command, check=True):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd="/tmp",
            **account(),
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def start(self):
        self.run(
            binary("initdb"),
            "-D",
            self.data,
            "-A",
            "trust",
            "-U",
            self.user,
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
        )
        self.configure()
        self.launch()
        self.create_database(self.database)
        return self

    def configure(self):
        settings = {
            "port": self.port,
            "unix_socket_directories": f"'{self.folder}'",
            "listen_addresses": "'127.0.0.1'",
            "max_connections": 100,
            "shared_buffers": "'64MB'",
            "log_min_messages": "warning",
            **self.settings,
        }
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        if self.hba is not None:
            with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in self.hba)

    def launch(self, wait=True):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [binary("postgres"), "-D", self.data],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/tmp",
                **account(),
            )
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=60):
        until = time.monotonic() + seconds
        ready = [binary("pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > until:
                with open(
                    os.path.join(self.folder, "log"), encoding="utf-8", errors="replace"
                ) as file:
                    raise RuntimeError(f"PostgreSQL did not start: {file.read()[-2000:]}")
            time.sleep(0.02)

    def shut(self, mode="fast"):
        """smart, fast or immediate; the folder stays."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(
                {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
            )
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(30)
        self.process = None

    def processes(self):
        """Process ids of the server and of its children."""
        found = [self.process.pid]
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/children"):
            with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                found += map(int, file.read().split())
        return found

    @staticmethod
    def signal(pids, number):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextlib.contextmanager
    def frozen(self):
        """It and its connections do not answer."""
        stopped = self.processes()
        self.signal(stopped, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(stopped, signal.SIGCONT)

    @contextlib.contextmanager
    def one_frozen(self, victims):
        """One of these backends does not answer. It was waiting for its client, as its title says,
        so that it holds no lock of the server, for which all others would wait too."""
        for pid in itertools.cycle(victims):
            self.signal([pid], signal.SIGSTOP)
            try:
                states.until(lambda: of_process(pid, "stat").split()[2] == "T", "a stop")
                if of_process(pid, "cmdline").rstrip("\0 ").endswith(" idle"):
                    yield pid
                    return
            finally:
                self.signal([pid], signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self):
        """As a standby it receives and does not replay."""
        self.psql("SELECT pg_wal_replay_pause()", "postgres")
        state = "SELECT pg_get_wal_replay_pause_state()"
        states.until(lambda: self.psql(state, "postgres") == "paused", "a pause")
        try:
            yield
        finally:
            self.psql("SELECT pg_wal_replay_resume()", "postgres")

    def kill(self):
        """As the death of its host: all end at once, and the folder stays."""
        running = self.processes()
        self.signal(running, signal.SIGSTOP)
        self.signal(running, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def restart(self, mode="fast", wait=True):
        self.shut(mode)
        self.launch(wait)

    def stop(self):
        self.shut("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # Use
    def psql(self, statement, database=None, check=True, user=None):
        where = ["-h", self.host, "-p", str(self.port), "-U", user or self.user]
        return run_psql(statement, *where, "-d", database or self.database, check=check)

    def session(self, database=None):
        return Session(self, database or self.database)

    def create_database(self, name):
        self.psql(f'CREATE DATABASE "{name}"', "postgres")
        return self.database_url(name)

    def backends(self, where="application_name = 'pierre-dbd'"):
        """Returns the process ids of the connections to it."""
        text = self.psql(f"SELECT pid FROM pg_stat_activity WHERE {where}", "postgres")
        return [int(pid) for pid in text.split()]

    def standby(self, synchronous=False):
        """Returns a standby of this server that streams; promote() makes it a primary."""
        other = PostgresServer({**self.settings, "hot_standby": "on"})
        self.run(
            binary("pg_basebackup"),
            "-h",
            self.host,
            "-p",
            str(self.port),
            "-U",
            self.user,
            "-D",
            other.data,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "-N",
        )
        other.configure()
        other.launch()
        other.wait_streaming()
        if synchronous:
            self.psql("ALTER SYSTEM SET synchronous_standby_names = '*'", "postgres")
            self.psql("SELECT pg_reload_conf()", "postgres")
        return other

    def standbys(self, count):
        """Returns standbys that stream. They begin as copies of the server, which is shut down for
        that: quicker than base backups."""
        self.shut()
        copies = [self._copy() for _ in range(count)]
        self.launch()
        for one in copies:
            one.launch()
            one.wait_streaming()
        return copies

    def _copy(self):
        conninfo = f"'host={self.host} port={self.port} user={self.user}'"
        settings = {**self.settings, "hot_standby": "on", "primary_conninfo": conninfo}
        other = PostgresServer(settings)
        self.run("cp", "-a", self.data, other.data)
        self.run("touch", os.path.join(other.data, "standby.signal"))
        other.configure()
        return other

    def wait_streaming(self, seconds=60):
        """A standby answers before it receives what its primary writes."""
        until = time.monotonic() + seconds
        status = "SELECT status FROM pg_stat_wal_receiver"
        while (found := self.psql(status, "postgres")) != "streaming":
            if time.monotonic() > until:
                raise RuntimeError(f"the standby does not stream: {found or 'no receiver'}")
            time.sleep(0.02)

    def end_of_page(self):
        """Lets a commit end where a page of the log ends. The server then reports the place of the
        next record, behind the header of the next page, which no standby reaches."""
        with self.session() as one:
            before = int(one.run("SELECT pg_current_wal_insert_lsn() - '0/0'"))
            size = 512
            for _ in range(50):
                one.run(f"SELECT pg_logical_emit_message(true, '', repeat('x', {size}))")
                after = int(one.run("SELECT pg_current_wal_insert_lsn() - '0/0'"))
                if after % 8192 == 24:
                    return
                beside = after - before - size
                size = 8192 - after % 8192 - beside
                size += 8192 - 24 if size < 512 else 0
                before = after
        raise RuntimeError("no commit ended with a page")

    def promote(self):
        self.psql("SELECT pg_promote(true, 60)", "postgres")


class Session:
    """A psql that stays open, for transactions and locks beside the daemon. Leaving the block ends
    it and rolls back."""

    def __init__(self, server, database):
        self.process = subprocess.Popen(
            [
                binary("psql"),
                "-XAtq",
                "-h",
                server.host,
                "-p",
                str(server.port),
                "-U",
                server.user,
                "-d",
                database,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def send(self, statement):
        """Sends one without waiting for its end."""
        self.process.stdin.write(statement + ";\n\\echo done\n")
        self.process.stdin.flush()

    def wait(self):
        """Returns what one statement prints; raises RuntimeError when it fails."""
        lines = []
        while (line := self.process.stdout.readline().rstrip("\n")) != "done":
            if not line and self.process.poll() is not None:
                raise RuntimeError(f"psql has ended: {lines}")
            lines.append(line)
        text = "\n".join(lines)
        if "ERROR:" in text or "FATAL:" in text:
            raise RuntimeError(f"psql: {text}")
        return text

    def run(self, statement):
        self.send(statement)
        return self.wait()

    def close(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        self.run("SELECT 1")
        return self

    def __exit__(self, *_):
        self.close()


def main():
    """Starts one and waits: for scripts."""
    server = PostgresServer()
    try:
        print(server.start().tcp_url, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        server.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
