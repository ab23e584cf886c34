"""A process that refreshes a token in rounds, one of many that race: run as a program.

Its arguments are the socket of the scripted service (test_token_refresh.py), the id of the user,
and the sockets of the daemons. Each round it wants a token that is not the one of the round's
beginning: it asks for a lease, refreshes the token when it is granted, and otherwise waits until
another has done so. Its fate of a round is to live, or to kill itself as the holder of the lease
`before` or `after` it asks the service."""
import json
import os
import random
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib.rpc import Closed, Connection, Late, RpcError  # pylint: disable=wrong-import-position

SHORT, LONG = 1, 300  # seconds of a lease: of one who dies, and of one who must not lose it


class Service:
    """The scripted service, and the referee of the rounds."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw", encoding="utf-8")

    def ask(self, **question):
        self.file.write(json.dumps(question) + "\n")
        self.file.flush()
        return json.loads(self.file.readline())


class Daemons:
    """Calls through whichever daemon answers."""

    def __init__(self, paths):
        self.paths, self.connection = paths, None

    def call(self, method, **params):
        while True:
            try:
                if self.connection is None:
                    self.connection = Connection(random.choice(self.paths))
                return self.connection.call(method, **params)
            except RpcError as problem:
                if problem.kind not in ("unavailable", "timeout", "shutting_down"):
                    raise
            except (OSError, Closed, Late):
                self.connection = None  # the daemon was killed
            time.sleep(0.02)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def store(daemons, user, token, pair):
    """Stores the new pair. An answer that was lost with its daemon is no conflict of ours."""
    try:
        daemons.call(
            "update_strava_token",
            user_id=user,
            access_token=pair["access"],
            refresh_token=pair["refresh"],
            expires_at="2030-01-01T00:00:00Z",
            scope="read",
            if_version=token["version"],
        )
        return "stored"
    except RpcError as problem:
        if problem.kind != "conflict":
            raise
    stored = daemons.call("get_strava_token", user_id=user)
    return "stored" if stored and stored["access_token"] == pair["access"] else "conflict"


def release(daemons, user, token):
    """Another caller has refreshed the token before this lease was granted: a write of the same
    token ends the lease."""
    same = {"access": token["access_token"], "refresh": token["refresh_token"]}
    store(daemons, user, token, same)


def give_up(daemons, user, token):
    """The service does not know the refresh token: the user must connect again."""
    try:
        daemons.call("clear_strava_token", user_id=user, if_version=token["version"])
    except RpcError as problem:
        if problem.kind != "conflict":
            raise


def play(service, daemons, user, fate, old):
    while True:
        lease = daemons.call(
            "lease_token_refresh",
            user_id=user,
            provider="strava",
            seconds=LONG if fate == "live" else SHORT,
        )
        token = lease["token"]
        if token is None or token["access_token"] != old:
            if lease["granted"] and token is not None:
                release(daemons, user, token)
            return "seen"
        if not lease["granted"]:
            time.sleep(random.uniform(0.005, 0.03))
            continue
        if fate == "before":
            die()
        pair = service.ask(op="refresh", token=token["refresh_token"])
        if fate == "after":
            die()
        if "error" in pair:
            give_up(daemons, user, token)
            return "refused"
        return store(daemons, user, token, pair)


def main():
    path, user, *sockets = sys.argv[1:]
    service, daemons, number = Service(path), Daemons(sockets), 0
    while True:
        order = service.ask(op="round", after=number)
        if order["round"] is None:
            return
        number = order["round"]
        outcome = play(service, daemons, user, order["fate"], order["old"])
        service.ask(op="done", round=number, outcome=outcome)


main()
