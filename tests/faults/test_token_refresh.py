"""A service whose refresh tokens rotate: each dies with its first use. Sixteen processes race to
refresh one user's token through leases and versions, some are killed as holders of the lease, and a
daemon is killed while the token is on its way; on PostgreSQL through two daemons on one database.

Would catch: two callers that refresh at once, so that the service is asked twice; a dead token that
is stored, or that replaces a live one; a lease whose holder is dead and that does not end."""
import json
import os
import socketserver
import subprocess
import sys
import threading

from lib.case import Case
from lib.daemon import Daemon, new_key, temporary_folder
from lib.world import World

STRICT = True
CALLERS = 16
DOOMED = 3  # callers that die in a round of deaths if they get the lease
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "refresher.py")
# What happens in each round.
ROUNDS = ("live", "before", "live", "daemon", "before", "after", "live", "daemon", "before", "live")


class Service:
    """Tokens of one user, and the rounds of the race."""

    def __init__(self, path):
        self.changed = threading.Condition()
        self.live, self.number = None, 0
        self.asked = []  # whether each request was good, of this round
        self.round, self.fates, self.old, self.outcomes = 0, [], None, []
        self.over = False
        self.on_refresh = None  # called for a good request before it is answered
        service = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    answer = service.answer(json.loads(line))
                    try:
                        self.wfile.write(json.dumps(answer).encode() + b"\n")
                    except OSError:
                        return  # the caller has died

        self.server = socketserver.ThreadingUnixStreamServer(path, Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def issue(self):
        """A new pair; the earlier refresh token is dead."""
        self.number += 1
        self.live = f"refresh {self.number}"
        return {"access": f"access {self.number}", "refresh": self.live}

    def answer(self, question):
        if question["op"] == "round":
            with self.changed:
                self.changed.wait_for(
                    lambda: self.over or self.round > question["after"] and self.fates
                )
                if self.over:
                    return {"round": None}
                return {"round": self.round, "fate": self.fates.pop(), "old": self.old}
        if question["op"] == "done":
            with self.changed:
                self.outcomes.append(question["outcome"])
                self.changed.notify_all()
            return {}
        with self.changed:
            good = question["token"] == self.live
            self.asked.append(good)
            pair = self.issue() if good else {"error": "invalid_grant"}
        if good and self.on_refresh:
            self.on_refresh()
        return pair

    def begin(self, fates, old):
        with self.changed:
            self.round += 1
            self.fates, self.old, self.asked, self.outcomes = list(fates), old, [], []
            self.changed.notify_all()


class Refresh(Case):
    def setUp(self):
        self.daemons = [Daemon(key=new_key())]
        self.addCleanup(self.daemons[0].discard)
        self.daemons[0].start()
        if self.daemons[0].backend == "postgres":
            self.daemons.append(Daemon(database=self.daemons[0].url, key=self.daemons[0].key))
            self.addCleanup(self.daemons[1].discard)
            self.daemons[1].start()
        with self.daemons[0].connect() as c:
            self.user = World(c).user()
        path = os.path.join(temporary_folder(), "service")
        self.service = Service(path)
        self.addCleanup(self.service.close)
        self.arguments = [sys.executable, PROGRAM, path, self.user]
        self.arguments += [daemon.socket_path for daemon in self.daemons]
        self.callers = [self.caller() for _ in range(CALLERS)]
        self.addCleanup(self.end_callers)

    def caller(self):
        return subprocess.Popen(self.arguments, stderr=subprocess.PIPE, text=True)

    def end_callers(self):
        for caller in self.callers:
            caller.kill()
            caller.wait()
            caller.stderr.close()

    def connect_user(self):
        """As after the user has allowed it in a browser."""
        pair = self.service.issue()
        self.daemons[0].call(
            "update_strava_token",
            user_id=self.user,
            access_token=pair["access"],
            refresh_token=pair["refresh"],
            expires_at="2030-01-01T00:00:00Z",
            scope="read",
        )

    def stored(self):
        return self.daemons[-1].call("get_strava_token", user_id=self.user)

    def replace_dead(self):
        """The number of callers that killed themselves. None ends otherwise."""
        dead = [caller for caller in self.callers if caller.poll() is not None]
        for caller in dead:
            self.assertEqual(caller.returncode, -9, caller.stderr.read())
            caller.stderr.close()
            self.callers.remove(caller)
            self.callers.append(self.caller())
        return len(dead)

    def restart_daemon(self):
        self.service.on_refresh = None
        self.daemons[0].kill()
        self.daemons[0].start()

    def test_rounds(self):
        self.connect_user()
        deaths = 0
        for number, kind in enumerate(ROUNDS):
            deaths += self.one_round(number, kind)
        self.assertGreater(deaths, 0)

    def one_round(self, number, kind):
        """The number of deaths in it."""
        fates = ["live"] * CALLERS
        if kind in ("before", "after"):
            # fates are given from the end: the first callers to come are the doomed ones
            fates = ["live"] * (CALLERS - DOOMED) + [kind] * DOOMED
        self.service.on_refresh = self.restart_daemon if kind == "daemon" else None
        self.service.begin(fates, self.stored()["access_token"])
        self.within(60, lambda: self.ended(number, kind), every=0.05)
        deaths = CALLERS - len(self.service.outcomes)
        self.within(10, lambda: self.dead() == deaths)
        self.assertEqual(self.replace_dead(), deaths)
        if kind == "after" and deaths:
            self.lost_pair(deaths)
        else:
            self.assertEqual(self.service.asked, [True])
            self.assertEqual(self.service.outcomes.count("stored"), 1)
            self.assertEqual(set(self.service.outcomes), {"stored"} | {"seen"})
        # What is stored is never a dead token.
        self.assertEqual(self.stored()["refresh_token"], self.service.live)
        return deaths

    def lost_pair(self, deaths):
        """The first holder died with the new pair: the service refuses the stored token to the
        next, until one lives to clear it; the user connects again."""
        self.assertEqual(self.service.asked, [True] + [False] * deaths)
        self.assertEqual(self.service.outcomes.count("refused"), 1)
        self.assertNotIn("stored", self.service.outcomes)
        self.assertIsNone(self.stored())
        self.connect_user()

    def dead(self):
        return sum(caller.poll() is not None for caller in self.callers)

    def ended(self, number, kind):
        for caller in self.callers:
            if caller.poll() not in (None, -9):
                self.fail(f"round {number} ({kind}): a caller ended: {caller.stderr.read()}")
        with self.service.changed:
            return not self.service.fates and len(self.service.outcomes) + self.dead() >= CALLERS
