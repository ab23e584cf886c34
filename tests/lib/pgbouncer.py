"""A private PgBouncer (Debian's) in front of a private PostgreSQL, in a temporary folder on a free
port.

    bouncer = PgBouncer(server, {"default_pool_size": 2}).start()
    bouncer.database_url("x")       # for a daemon: a database of the server, through it
    bouncer.admin("PAUSE"); bouncer.admin("SHOW POOLS"); bouncer.restart(); bouncer.stop()

PgBouncer refuses to run as root, so it runs as the account of PostgreSQL."""
import csv
import io
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

from .postgres_server import account, binary, free_port


def program():
    """Not every PATH includes /usr/sbin."""
    path = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise RuntimeError("pgbouncer is not installed (Debian package pgbouncer)")
    return path


class PgBouncer:
    def __init__(self, server, settings=None):
        self.server = server
        self.folder = tempfile.mkdtemp(prefix="pgb-", dir="/tmp")
        self.port = free_port()
        self.settings = {"pool_mode": "transaction", **(settings or {})}
        self.process = None
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        os.chmod(self.folder, 0o755)

    def database_url(self, name, options=""):
        folder = urllib.parse.quote(self.folder, safe="")
        return f"postgresql://{self.server.user}@{folder}:{self.port}/{name}{options}"

    def write(self, **settings):
        """Writes its configuration; admin("RELOAD") makes a running one apply it."""
        self.settings.update(settings)
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": self.folder,
            "auth_type": "trust",
            "auth_file": f"{self.folder}/users",
            "admin_users": self.server.user,
            "logfile": f"{self.folder}/log",
            "max_client_conn": 500,
            **self.settings,
        }
        with open(os.path.join(self.folder, "users"), "w", encoding="utf-8") as file:
            file.writelines(
                f'"{name}" ""\n' for name in (self.server.user, "pierre_owner", "pierre_daemon")
            )
        with open(os.path.join(self.folder, "ini"), "w", encoding="utf-8") as file:
            file.write(
                f"[databases]\n* = host={self.server.host} port={self.server.port}\n[pgbouncer]\n"
            )
            file.writelines(f"{name} = {value}\n" for name, value in lines.items())

    def start(self, wait=True):
        self.write()
        self.process = subprocess.Popen(
            [program(), "-q", os.path.join(self.folder, "ini")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/tmp",
            **account(),
        )
        until = time.monotonic() + 20
        while wait and self.admin("SHOW VERSION", check=False) is None:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PgBouncer did not start: {self.log()[-2000:]}")
            time.sleep(0.02)
        return self

    def end(self, number=signal.SIGTERM):
        """SIGTERM drops its clients at once, SIGINT lets their transactions end, SIGKILL leaves its
        socket behind."""
        self.process.send_signal(number)
        self.process.wait(30)

    def restart(self, number=signal.SIGTERM):
        self.end(number)
        for name in (f".s.PGSQL.{self.port}", f".s.PGSQL.{self.port}.lock"):
            if os.path.exists(os.path.join(self.folder, name)):
                os.unlink(os.path.join(self.folder, name))
        self.start()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def admin(self, command, check=True):
        """Returns the rows of an administration command as dictionaries; None when it does not
        answer and check is false."""
        done = subprocess.run(
            [
                binary("psql"),
                "-X",
                "--csv",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                self.database_url("pgbouncer"),
                "-c",
                command,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            if check:
                raise RuntimeError(f"{command}: {done.stderr.strip()}")
            return None
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def log(self):
        try:
            with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""
