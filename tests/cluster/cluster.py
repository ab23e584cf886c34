"""Three nodes with Patroni, etcd and PostgreSQL from the system's packages."""
import os
import shutil
import tempfile
import time
import unittest

from lib.postgres_server import binary
from node import Node

PROGRAMS = {"etcd": "etcd-server", "/usr/bin/patroni": "patroni"}
WAIT = 240  # seconds for the cluster itself, on a busy machine
STEPS = {  # words of PostgreSQL's log -> what they mean
    "received fast shutdown request": "stops",
    "received immediate shutdown request": "stops at once",
    "database system is shut down": "has stopped",
    "received promote request": "is promoted",
    "archive recovery complete": "accepts writes",
}


def require():
    """Skips the tests, with the reason, where a package is missing."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise unittest.SkipTest(f"the package {package} is missing: run scripts/setup test")
    try:
        binary("postgres")
    except RuntimeError as problem:
        raise unittest.SkipTest(str(problem)) from None


class Cluster:
    """settings: other values of the documented configuration. store: etcd, or etcd3."""

    def __init__(self, settings=None, store="etcd"):
        require()
        self.folder = tempfile.mkdtemp(prefix="pgc-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.nodes = [
            Node(f"db{number}", os.path.join(self.folder, str(number))) for number in (1, 2, 3)
        ]
        self.members = [node.etcd for node in self.nodes]
        for node in self.nodes:
            node.configure(self.members, settings or {}, store)

    def start(self):
        for member in self.members:
            member.start(self.members)
        self.until(lambda: all(member.healthy() for member in self.members), "etcd has a quorum")
        for node in self.nodes:
            node.start()
        self.healthy()
        self.leader().psql("CREATE DATABASE pierre")
        self.until(
            lambda: all(node.psql("SELECT 1", "pierre", check=False) for node in self.nodes),
            "all nodes have the database",
        )
        return self

    def stop(self):
        for node in self.nodes:
            node.kill_host()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database="pierre"):
        """All hosts, without target_session_attrs."""
        user, _, _ = self.nodes[0].url(database).rpartition("@")
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"{user}@{hosts}/{database}"

    def until(self, check, what, seconds=WAIT):
        """Waits for a state and returns its value."""
        until = time.monotonic() + seconds
        while True:
            value = check()
            if value:
                return value
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds} s: {what}\n{self.logs()}")
            time.sleep(0.1)

    def logs(self):
        text = ""
        for node in self.nodes:
            if os.path.exists(node.log):
                with open(node.log, encoding="utf-8", errors="replace") as file:
                    text += f"--- {node.name}\n{file.read()[-1500:]}\n"
        return text

    def steps(self, begin, end):
        """What PostgreSQL's logs say of a change of the primary between two times of the monotonic
        clock, in order."""
        offset = time.time() - time.monotonic()
        found = [
            (when - offset - begin, f"{node.name} {step}")
            for node in self.nodes
            for when, step in node.logged(STEPS)
        ]
        return [(after, step) for after, step in sorted(found) if 0 <= after <= end - begin]

    def members_now(self):
        """Returns what Patroni knows of its members, from the first node that answers."""
        for node in self.nodes:
            found = node.ask("/cluster") if node.patroni is not None else None
            if isinstance(found, dict) and found.get("members"):
                return found["members"]
        return []

    def leader_now(self):
        """The node that may write at the moment, or None."""
        for node in self.nodes:
            if node.patroni is not None and node.postmaster() is not None:
                found = node.ask("/patroni")
                if isinstance(found, dict) and found.get("role") in ("master", "primary"):
                    return node
        return None

    def leader(self):
        return self.until(self.leader_now, "there is a leader")

    def others(self):
        leader = self.leader()
        return [node for node in self.nodes if node is not leader]

    def _healthy_now(self, count):
        members = self.members_now()
        running = [one for one in members if one["state"] in ("running", "streaming")]
        roles = [one["role"] for one in running]
        return (
            len(running) >= count
            and roles.count("leader") == 1
            and (count == 1 or "sync_standby" in roles)
            and len({one.get("timeline") for one in running}) == 1
        )

    def healthy(self, count=3):
        """Waits until that many nodes run on one timeline, with a synchronous standby."""
        self.until(lambda: self._healthy_now(count), f"{count} nodes are healthy")

    def _synchronous(self):
        names = [one["name"] for one in self.members_now() if one["role"] == "sync_standby"]
        return names[0] if names else None

    def switchover(self):
        """To the synchronous standby. Waits until Patroni says that it is done; it refuses while
        its etcd is slow."""
        leader = self.leader()
        candidate = self.until(self._synchronous, "there is a synchronous standby")
        wanted = {"leader": leader.name, "candidate": candidate}
        self.until(
            lambda: "uccessfully" in str(leader.ask("/switchover", wanted, timeout=60))
            or self.leader_now() not in (leader, None),
            "a switchover",
        )
