"""What happens to PostgreSQL's processes: ended, killed, stopped, restarted under load. Would catch: a write stored twice by a retry, an
answered one lost, an outcome that is wrong, a read that shows an error where another connection would have served it, a daemon that
ends, a pool that stays small, a storm of connects."""
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import invariants  # noqa: E402
from lib.case import main  # noqa: E402
from lib.daemon import SLOW  # noqa: E402
from lib.load import Load, percentile  # noqa: E402
from lib.postgres_case import ServerCase, recovered  # noqa: E402

BACKENDS = ("postgres",)
LONG = bool(os.environ.get("PIERRE_TEST_LONG"))


class Backends(ServerCase):
    """One backend of the server at a time."""

    def one_by_one(self, name, hit, count, pool=4):
        daemon = self.daemon("--pool", str(pool), "--pool-min", str(pool), "--call-timeout", "10s")
        self.within(5, lambda: self.connections(daemon) == pool)
        before = invariants.Snapshot(daemon)
        chance = random.Random("backends")
        with Load(daemon, writers=6, readers=4) as load:
            load.progress()
            first = whole = 0.0
            for _ in range(count):
                victim = chance.choice(self.backends())
                hit(victim)
                began = time.monotonic()
                first = max(first, load.first_success(began))
                self.within(5, lambda: victim not in self.backends() and self.connections(daemon) == pool)
                whole = max(whole, time.monotonic() - began)
                load.progress()
        self.assertEqual([call.message for call in load.failures(write=False)], [], "a read was not tried on another connection")
        for call in load.failures(write=True):
            self.assertIn(call.kind, ("unavailable", "timeout"))
            self.assertEqual(call.outcome, "unknown", call.message)
        numbers = load.verify(self.query)
        self.assertGreater(numbers["answered"], 20)
        invariants.check(daemon, before)
        slowest = max(call.took for call in load.calls)
        recovered(name, first, f"pool whole {whole:.2f} s, slowest call {slowest:.2f} s, writes {numbers}")

    def test_terminated(self):
        self.one_by_one("pg_terminate_backend", lambda pid: self.server.psql(f"SELECT pg_terminate_backend({pid})", "postgres"), 12)

    def test_killed(self):
        """SIGKILL of one backend makes the server end all and recover."""
        def kill(pid):
            os.kill(pid, signal.SIGKILL)
            self.server.wait_ready()
        self.one_by_one("kill -9 of a backend", kill, 4)


if __name__ == "__main__":
    main()
