"""Latency of a client that only pings, beside the calls that cost the event loop most. With another
program's binary (--before), that one's figures stand in front."""

import json
import multiprocessing
import os
import socket
import time
import uuid

from servers import Daemon

CROWD = 30
NUMBER = "2.2250738585072011e-308"  # its shortest digits are the dearest to find
DOCUMENT = '{"a":[' + ",".join([NUMBER] * 41_000) + "]}"
GOALS = 8  # of a document each, in one answer


def line(method, params):
    return b'{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' % (
        method.encode(),
        params.encode(),
    )


class Peer:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(300)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def call(self, request):
        self.socket.sendall(request)
        answer = self.file.readline()
        if b'"result":' not in answer[:60]:
            raise RuntimeError(f"the daemon answered {answer[:200]!r}")
        return answer


def ping(path, stop, times):
    peer, found = Peer(path), []
    while not stop.is_set():
        began = time.perf_counter()
        peer.call(line("daemon.ping", "[]"))
        found.append(time.perf_counter() - began)
        time.sleep(0.001)
    times.put(found)


def crowd_of(path, requests):
    """All of them are sent before the first answer is waited for."""
    peers = [Peer(path) for _ in requests]
    for peer, request in zip(peers, requests):
        peer.socket.sendall(request)
    for peer in peers:
        peer.file.readline()


def beside(path, requests):
    stop, times = multiprocessing.Event(), multiprocessing.Queue()
    pinger = multiprocessing.Process(target=ping, args=(path, stop, times))
    pinger.start()
    time.sleep(0.2)
    crowd_of(path, requests)
    stop.set()
    found = sorted(times.get())
    pinger.join()
    return found[len(found) * 99 // 100] * 1e3, found[-1] * 1e3


def prepare(peer):
    users = []
    for _ in range(CROWD):
        answer = peer.call(
            line(
                "create_user",
                json.dumps([{"email": f"{uuid.uuid4()}@example.com", "password_hash": "x"}]),
            )
        )
        users.append(json.loads(answer)["result"])
    for user in users:
        peer.call(line("upsert_user_profile", f'["{user}",{DOCUMENT}]'))
    for _ in range(GOALS):
        peer.call(line("create_goal", f'["{users[0]}",{DOCUMENT}]'))
    return users


def measured(daemon):
    """For each of the calls: p99 and the worst of the pings."""
    users = prepare(Peer(daemon.socket))
    return {
        f"{CROWD} get_user_profile of 1 MiB": beside(
            daemon.socket, [line("get_user_profile", f'["{user}"]') for user in users]
        ),
        f"{CROWD} upsert_user_profile of 1 MiB": beside(
            daemon.socket, [line("upsert_user_profile", f'["{user}",{DOCUMENT}]') for user in users]
        ),
        f"get_user_goals of {GOALS} MiB": beside(
            daemon.socket, [line("get_user_goals", f'["{users[0]}"]')]
        ),
    }


def one_binary(bench, folder, binary, url, name):
    with Daemon(bench.build, folder, url, name=name, binary=binary) as daemon:
        return measured(daemon)


def bystanders(bench, setting, backends, before, say):
    rows = []
    for backend in backends:
        say(f"a bystander beside the worst calls, {backend}")
        figures = {}
        for name, binary in [("before", before)] * bool(before) + [("now", None)]:
            url = (
                f"sqlite:{setting.folder}/bystander-{name}-{os.getpid()}.db"
                if backend == "SQLite"
                else setting.server.create_database(f"bystander_{name}")
            )
            figures[name] = one_binary(bench, setting.folder, binary, url, f"bystander-{name}")
        for call, (p99, worst) in figures["now"].items():
            old = figures.get("before", {}).get(call)
            rows.append(
                (
                    f"{call}, {backend}",
                    f"{old[0]:,.1f} / {old[1]:,.0f} ms" if old else "",
                    f"{p99:,.1f} / {worst:,.0f} ms",
                )
            )
    return (
        "Pings of a bystander beside the worst calls",
        ("calls", "before: p99 / worst", "p99 / worst"),
        rows,
    )
