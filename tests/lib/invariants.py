"""What must hold after every fault: the same process, prompt answers, no leaks, a sound database,
no secret revealed."""
import os
import sqlite3
import time

from . import world
from .daemon import SANITIZER, SLOW

MEMORY_SLACK = 32 << 20


class Snapshot:
    """The resources that the daemon holds at rest."""

    def __init__(self, daemon):
        self.pid = daemon.pid
        self.memory = memory(daemon.pid)
        self.threads = len(os.listdir(f"/proc/{daemon.pid}/task"))
        with daemon.connect() as fresh:
            self.clients = gauges(fresh)["clients"]
            self.fds = own_fds(daemon, fresh)


def count_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def own_fds(daemon, connection):
    """Descriptors without those of the pool, which may grow to its size at any time."""
    if daemon.backend != "postgres":
        return count_fds(daemon.pid)
    return count_fds(daemon.pid) - sum(
        value
        for name, value in gauges(connection).items()
        if name in ("db_connections_idle", "db_connections_active", "db_connections_connecting")
    )


def memory(pid):
    """Resident bytes of the process itself (not of mapped files)."""
    return _status(pid, "RssAnon")


def peak(pid):
    """The peak of resident bytes, including mapped files."""
    return _status(pid, "VmHWM")


def _status(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
    raise AssertionError(f"no {name}")


def gauges(connection):
    return connection.call("daemon.stats")["gauges"]


def check(daemon, before, memory_slack=MEMORY_SLACK):
    """before: a Snapshot from before the fault. Raises AssertionError when an invariant does not
    hold."""
    assert daemon.alive(), f"the daemon ended with {daemon.process.poll()}:\n{daemon.log()[-4000:]}"
    assert daemon.pid == before.pid, "another process"
    began = time.monotonic()
    with daemon.admitted(1)[0] as fresh:
        took = time.monotonic() - began
        assert took < 1.0 * SLOW, f"a fresh client waited {took:.2f} s"
        began = time.monotonic()
        user = world.World(fresh).user(display_name="after the fault")
        assert fresh.call("get_user", user_id=user)["display_name"] == "after the fault"
        took = time.monotonic() - began
        assert took < 5.0 * SLOW, f"a write and its read took {took:.2f} s"
        _settle(
            lambda: gauges(fresh)["in_flight"] <= 1 and gauges(fresh)["clients"] <= before.clients,
            5,
            lambda: f"calls or clients are left: {gauges(fresh)}",
        )
        _settle(
            lambda: own_fds(daemon, fresh) <= before.fds,
            5,
            lambda: f"{own_fds(daemon, fresh)} descriptors, {before.fds} before",
        )
    if not SANITIZER:  # its shadow memory and quarantine are not the daemon's
        _settle(
            lambda: memory(before.pid) <= before.memory + memory_slack,
            5,
            lambda: f"{memory(before.pid) >> 20} MiB resident, {before.memory >> 20} before",
        )
    _settle(
        lambda: len(os.listdir(f"/proc/{before.pid}/task")) <= before.threads,
        5,
        lambda: f"{len(os.listdir(f'/proc/{before.pid}/task'))} threads, {before.threads} before",
    )
    check_database(daemon)
    daemon.check_log()
    check_process_files(daemon)


def _settle(true, seconds, words):
    deadline = time.monotonic() + seconds * SLOW
    while not true():
        assert time.monotonic() < deadline, words()
        time.sleep(0.05)


def check_database(daemon):
    if daemon.backend != "sqlite" or not hasattr(daemon.database, "path"):
        return
    assert integrity(daemon.database.path) == "ok"


def integrity(path):
    with sqlite3.connect(f"file:{path}?mode=rw", uri=True) as database:
        found = database.execute("PRAGMA integrity_check").fetchall()
    database.close()
    return "ok" if found == [("ok",)] else repr(found)


def check_stored(connection, users):
    """Each user whose creation was answered is there."""
    for user in users:
        assert connection.call("get_user", user_id=user) is not None, "an answered write is lost"


def check_process_files(daemon):
    """The key is neither in the arguments nor in the environment that /proc shows."""
    for name in ("cmdline", "environ"):
        with open(f"/proc/{daemon.pid}/{name}", "rb") as file:
            text = file.read()
        assert daemon.key.encode() not in text, f"the key is in /proc/pid/{name}"
