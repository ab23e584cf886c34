"""One member of the etcd that Patroni keeps its leader lock in."""
import json
import os
import shutil
import urllib.request

import processes


class EtcdMember:
    def __init__(self, name, folder, client_port, peer_port):
        self.name = name
        self.data = os.path.join(folder, "etcd")
        self.log = os.path.join(folder, "etcd.log")
        self.client = f"http://127.0.0.1:{client_port}"
        self.peer = f"http://127.0.0.1:{peer_port}"
        self.address = f"127.0.0.1:{client_port}"
        self.process = None

    def start(self, members):
        """members: of the whole etcd. A later start goes on with what is on its disk."""
        peers = ",".join(f"{member.name}={member.peer}" for member in members)
        # The times suit a machine whose processors are busy.
        self.process = processes.start(
            [
                *(shutil.which("etcd") or "/usr/bin/etcd", "--name", self.name),
                *("--data-dir", self.data, "--enable-v2=true", "--log-level", "warn"),
                *("--heartbeat-interval", "200", "--election-timeout", "2000"),
                *("--listen-client-urls", self.client, "--advertise-client-urls", self.client),
                *("--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer),
                *("--initial-cluster", peers, "--initial-cluster-token", "pierre"),
                *("--unsafe-no-fsync",),
            ],
            self.log,
            {"ETCD_UNSUPPORTED_ARCH": os.uname().machine},
        )

    def healthy(self):
        """Whether it has a quorum."""
        try:
            with urllib.request.urlopen(f"{self.client}/health", timeout=2) as answer:
                return json.load(answer)["health"] == "true"
        except (OSError, ValueError):
            return False

    def pids(self):
        return processes.family(self.process.pid) if self.process is not None else []
