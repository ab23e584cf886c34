"""Processes of a node: started under the account of PostgreSQL, frozen, thawed and killed together
with their children."""
import contextlib
import glob
import os
import signal
import subprocess
import time

from lib.postgres_server import account


def start(command, log, environment=None):
    """Appends what it prints to the file `log`."""
    with open(log, "ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd="/tmp",
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environment or {})},
            start_new_session=True,
            **account(),
        )


def family(pid):
    """Returns a process and all of its descendants."""
    found = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            for child in file.read().split():
                found += family(int(child))
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def send(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(pids):
    """As a loss of power does: none of them sees another one end first."""
    send(pids, signal.SIGSTOP)
    send(pids, signal.SIGKILL)
    until = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.01)
