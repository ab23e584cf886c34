"""A socket in front of a daemon that changes its statistics, to show tools states that are rare.

    with Altered(daemon.socket_path, change) as socket:
        socket.path            # for pierre-dbctl
        change(stats)          # is called with each result of daemon.stats, and alters it

SERVERS are PostgreSQL's servers in every state, which with_servers() puts into the statistics.
"""
import os
import socket
import tempfile
import threading

from . import strict

SERVERS = [
    {
        "host": "db1:5432",
        "role": "primary",
        "usable": False,
        "connections": 4,
        "reads": 0,
        "age_ms": None,
        "lag_bytes": None,
        "error": None,
    },
    {
        "host": "db2:5432",
        "role": "standby",
        "usable": True,
        "connections": 8,
        "reads": 1000,
        "age_ms": 250,
        "lag_bytes": 16384,
        "error": None,
    },
    {
        "host": "db3:5432",
        "role": "standby",
        "usable": False,
        "connections": 1,
        "reads": 70,
        "age_ms": 9000,
        "lag_bytes": 1 << 30,
        "error": None,
    },
    {
        "host": "db4:5432",
        "role": "unreachable",
        "usable": False,
        "connections": 0,
        "reads": 0,
        "age_ms": None,
        "lag_bytes": None,
        "error": "connection refused",
    },
]


def with_servers(stats, polls):
    """Makes them those of a daemon that reads from standbys, with a thousand reads more each time
    that it is asked."""
    servers = [dict(server) for server in SERVERS]
    servers[1]["reads"] *= polls
    stats["servers"] = servers
    stats["counters"].update(standby_reads=1000 * polls, primary_reads_behind=10)
    stats["counters"].update(primary_reads_old=100 * polls)
    stats["gauges"]["db_outage_ns"] = 12 * 10**9


class Altered:
    def __init__(self, daemon, change):
        self.daemon, self.change = daemon, change
        self.folder = tempfile.TemporaryDirectory(prefix="pierre-altered-")
        self.path = os.path.join(self.folder.name, "socket")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()
        self.threads = []

    def __enter__(self):
        self._run(self._accept)
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(10)
        self.listener.close()
        self.folder.cleanup()

    def _run(self, work, *arguments):
        self.threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self.threads[-1].start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            daemon.connect(self.daemon)
            self._run(self._copy, client, daemon, lambda line: line)
            self._run(self._copy, daemon, client, self._altered)

    def _copy(self, source, target, altered):
        with source.makefile("rb") as lines:
            try:
                for line in lines:
                    target.sendall(altered(line))
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def _altered(self, line):
        answer = strict.loads(line)
        result = answer.get("result")
        if isinstance(result, dict) and "counters" in result:
            self.change(result)
        return strict.dumps(answer).encode() + b"\n"
