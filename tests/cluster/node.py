"""One host of the cluster: an etcd member, Patroni and its PostgreSQL, on ports of 127.0.0.1."""
import datetime
import json
import os
import re
import signal
import urllib.error
import urllib.request

import processes
from etcd_member import EtcdMember
from lib.postgres_server import account, binary, free_port, run_psql

DOCUMENT = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "postgresql.md")


def documented():
    """Returns the configuration of Patroni that docs/postgresql.md recommends."""
    with open(DOCUMENT, encoding="utf-8") as file:
        section = file.read().partition("\n## A cluster\n")[2]
    return re.search(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[1]


class Node:
    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        os.makedirs(folder)
        if os.geteuid() == 0:
            os.chown(folder, account()["user"], account()["group"])
        self.port, self.api = free_port(), free_port()
        self.etcd = EtcdMember(name, folder, free_port(), free_port())
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "patroni.log")
        self.config = os.path.join(folder, "patroni.yml")
        self.patroni = None

    def configure(self, members, settings, store="etcd"):
        """Writes the documented configuration with this machine's addresses. settings: other values
        of its keys."""
        here = {
            "name": self.name,
            "hosts": ",".join(member.address for member in members),
            "data_dir": self.data,
            "bin_dir": os.path.dirname(binary("postgres")),
            **settings,
        }
        text = documented().replace("etcd:", f"{store}:", 1)
        for key, value in here.items():
            text, count = re.subn(rf"(?m)^( *{key}: ).*$", rf"\g<1>{value}", text)
            assert count == 1, f"{key} stands {count} times in the documented configuration"
        for port, mine in ((8008, self.api), (5432, self.port)):
            text = re.sub(
                rf"(listen|connect_address): [\w.]+:{port}", rf"\1: 127.0.0.1:{mine}", text
            )
        text = re.sub(r"10\.0\.0\.0/24", "127.0.0.1/32", text)
        text = text.replace(
            "  parameters:\n",
            f"  pgpass: {self.folder}/pgpass\n  parameters:\n"
            f"    unix_socket_directories: '{self.folder}'\n"
            "    shared_buffers: 16MB\n    fsync: 'off'\n    log_timezone: UTC\n",
            1,
        )
        text = text.replace("mode: automatic", "mode: 'off'")  # the tests' machine has no watchdog
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.config, 0o644)

    def start(self):
        # Debian's program is for Debian's Python, whichever is first in PATH.
        self.patroni = processes.start(["/usr/bin/patroni", self.config], self.log)

    def ask(self, path, body=None, timeout=3):
        """Returns the answer of Patroni's REST interface, or None."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api}{path}",
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as problem:
            text = problem.read()
        except OSError:
            return None
        try:
            return json.loads(text)
        except ValueError:
            return text.decode("utf-8", "replace")

    def psql(self, statement, database="postgres", check=True):
        return run_psql(statement, "-d", self.url(database), check=check)

    def url(self, database):
        password = re.search(r"username: postgres\n *password: (\S+)", documented())[1]
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def logged(self, words):
        """Returns when PostgreSQL logged any of these, in seconds of the Unix clock, and the words'
        meaning."""
        found = []
        with open(self.log, encoding="utf-8", errors="replace") as file:
            for line in file:
                time = re.match(r"(\d{4}-\d\d-\d\d [\d:]+\.\d+) UTC \[\d+\] LOG: +(.*)$", line)
                for text, meaning in words.items() if time else ():
                    if time[2].startswith(text):
                        when = datetime.datetime.fromisoformat(f"{time[1]}+00:00")
                        found.append((when.timestamp(), meaning))
        return found

    def timeline(self):
        return int(self.psql("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)

    # The processes

    def postmaster(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as file:
                pid = int(file.readline())
        except (OSError, ValueError):
            return None
        return pid if processes.alive(pid) else None

    def postgres_pids(self):
        pid = self.postmaster()
        return processes.family(pid) if pid is not None else []

    def pids(self):
        """All that runs on this host."""
        own = processes.family(self.patroni.pid) if self.patroni is not None else []
        return [*dict.fromkeys(self.etcd.pids() + own + self.postgres_pids())]

    def kill_host(self):
        processes.kill(self.pids())
        for process in (self.patroni, self.etcd.process):
            if process is not None:
                process.wait()
        self.patroni = self.etcd.process = None

    def kill_postgres(self):
        processes.kill(self.postgres_pids())

    def kill_etcd(self):
        processes.kill(self.etcd.pids())
        self.etcd.process.wait()
        self.etcd.process = None

    def freeze(self, postgres_only=False):
        """Returns the processes, for thaw()."""
        stopped = self.postgres_pids() if postgres_only else self.pids()
        processes.send(stopped, signal.SIGSTOP)
        return stopped

    @staticmethod
    def thaw(stopped):
        processes.send(stopped, signal.SIGCONT)

    def stop_patroni(self):
        """An orderly stop, as of a service: PostgreSQL stops with it."""
        self.patroni.terminate()
        self.patroni.wait(60)
        self.patroni = None
