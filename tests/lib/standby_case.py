"""Tests of daemons that read from the standbys of a group (lib/standbys.py), of which some servers
fail."""
import contextlib
import time

from .case import Case
from .causal import Checker
from .postgres_case import recovered
from .rpc import RpcError
from .routes import reads
from .standbys import shared
from .world import World, new_user

OUTAGE = 2.0  # seconds for which reads go on without a primary
LIMIT = 60  # seconds for a state that comes at once as a rule
TIMES = ("--acquire-timeout", "1s", "--connect-timeout", "1s", "--call-timeout", "2500ms")


class OutageCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.group = shared()
        cls.first, cls.second = cls.group.standbys

    def daemon(self, *options, **named):
        daemon = self.group.daemon(*options, **named)
        self.addCleanup(daemon.stop)
        daemon.start()
        with daemon.connect() as one:
            self.user = World(one).user()
            self.write(one, 1)
        self.group.caught_up()
        return daemon

    def write(self, one, number):
        one.call("upsert_user_profile", user_id=self.user, profile_data={"n": number})

    def read(self, one):
        return one.call("get_user_profile", user_id=self.user)["n"]

    def from_standby(self, daemon, one):
        """Waits until a standby answers this connection."""

        def answered():
            before = reads(daemon)["standby"]
            return self.read(one) and reads(daemon)["standby"] > before

        self.within(LIMIT, answered)

    @staticmethod
    def kinds(one, *calls):
        found = []
        for method, params in calls:
            try:
                one.call(method, params)
                found.append(None)
            except RpcError as problem:
                found.append(problem.kind)
        return found

    def checked(self, daemon, callers=8):
        return Checker(daemon, callers, age=None)

    @contextlib.contextmanager
    def killed(self):
        self.group.primary.kill()
        try:
            yield
        finally:
            self.group.primary.launch()
            for one in self.group.standbys:
                one.follow()

    def go_on(self, fault, gone, *options, **named):
        """Reads go on without a primary, for a time."""
        outage = ("--standby-outage", f"{OUTAGE * 1000:.0f}ms")
        daemon = self.daemon("--pool", "4", *outage, *TIMES, *options, **named)
        with daemon.connect() as one, daemon.connect() as writer:
            if "read_from" not in named:
                self.from_standby(daemon, one)
            else:
                self.assertEqual((self.read(one), reads(daemon)["standby"]), (1, 0))
            self.group.caught_up()  # also with what the read on the primary has shown
            with gone():
                began = time.monotonic()
                self.assertEqual(self.read(one), 1)
                recovered(fault, time.monotonic() - began)
                write = writer.request("create_user", user=new_user())
                exact = writer.request("get_user", user_id=self.user)
                while (late := time.monotonic() - began) < OUTAGE / 4:
                    self.assertEqual(self.read(one), 1, f"after {late:.2f} s")
                for call in (write, exact):
                    kind = writer.answer(call)["error"]["data"]["kind"]
                    self.assertIn(kind, ("unavailable", "timeout"))
                read = ("get_user_profile", [self.user])
                self.within(LIMIT, lambda: self.kinds(one, read)[0] in ("unavailable", "timeout"))
                self.assertGreater(time.monotonic() - began, OUTAGE / 2)
                self.assertGreater(reads(daemon)["standby"], 0)
            self.within(LIMIT, lambda: self.kinds(one, read) == [None])
            self.within(LIMIT, lambda: self.kinds(one, ("create_user", [new_user()])) == [None])
            if "read_from" not in named:
                self.from_standby(daemon, one)
