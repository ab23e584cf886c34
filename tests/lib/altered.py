"""A socket in front of a daemon that changes its statistics, to show tools states that are rare.

    with Altered(daemon.socket_path, change) as socket:
        socket.path            # for pierre-dbctl
        change(stats)          # is called with each result of daemon.stats, and alters it
"""
import os
import socket
import tempfile
import threading

from . import strict


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
