"""Reads from standbys, checked for minutes: callers write and read back some 200,000 times while
standbys pause, lag, freeze, die, are cut off, hold up synchronous commits and are promoted. Run by
`scripts/test --standbys`; test_standby_reads.py has a short form. Would catch: a read that goes
back in time, misses its connection's write, is older than allowed, or fails.

PIERRE_TEST_PAIRS=N sets the number, PIERRE_TEST_SEED=N repeats the choice of faults."""
import contextlib
import os
import random
import time

from lib.case import Case
from lib.causal import Checker
from lib.routes import reads
from lib.standbys import Endpoint, Standbys

BACKENDS = ("postgres",)
STANDBYS = True
STRICT = True
PAIRS = int(os.environ.get("PIERRE_TEST_PAIRS", "200000"))
CALLERS = 16
LAG, MARGIN = 1.0, 0.5  # seconds
TIMES = ("--acquire-timeout", "30s", "--connect-timeout", "2s", "--call-timeout", "60s")
IN_A_STATE = 600  # pairs
PROMOTIONS = 3
NEVER = 600.0  # seconds


class Faults:
    """What may happen to a standby; each is undone by the end of its block."""

    def __init__(self, group, chance):
        self.group, self.chance = group, chance

    def one(self):
        return self.chance.choice(self.group.standbys)

    @contextlib.contextmanager
    def paused(self):
        with self.one().paused():
            yield

    @contextlib.contextmanager
    def all_paused(self):
        with contextlib.ExitStack() as stack:
            for one in self.group.standbys:
                stack.enter_context(one.paused())
            yield

    @contextlib.contextmanager
    def delayed(self):
        one = self.one()
        one.delay(self.chance.choice(("1ms", "5ms", "50ms", "3s")))
        yield
        one.delay(None)

    @contextlib.contextmanager
    def frozen(self):
        with self.one().frozen():
            yield

    @contextlib.contextmanager
    def killed(self):
        one = self.one()
        one.kill()
        yield
        one.launch()

    @contextlib.contextmanager
    def restarted(self):
        self.one().restart("fast")
        yield

    @contextlib.contextmanager
    def cut_off(self):
        one = self.one()
        one.cut_off()
        yield
        one.follow()

    @contextlib.contextmanager
    def synchronous(self):
        """Commits wait for both, one of which is slow to confirm, and are seen on the other one
        first."""
        first, second = self.group.standbys[:2]
        self.group.synchronous(f"2 ({first.name}, {second.name})")
        try:
            for _ in range(10):
                with self.one().frozen():
                    time.sleep(0.05)
            yield
        finally:
            self.group.synchronous("")

    @contextlib.contextmanager
    def conflicts(self):
        for one in self.group.standbys:
            one.set(max_standby_streaming_delay="0")
        for statement in (
            "VACUUM FREEZE",
            "ALTER TABLE goals ADD COLUMN spare int",
            "ALTER TABLE goals DROP COLUMN spare",
            "LOCK TABLE user_profiles IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.05)",
        ):
            self.group.primary.psql(statement)
        yield
        for one in self.group.standbys:
            one.set(max_standby_streaming_delay="30s")

    ALL = (
        paused,
        all_paused,
        delayed,
        frozen,
        killed,
        restarted,
        cut_off,
        synchronous,
        conflicts,
    )


class Long(Case):
    def setUp(self):
        seed = int(os.environ.get("PIERRE_TEST_SEED") or random.SystemRandom().randrange(10**9))
        print(f"  seed {seed}", flush=True)
        self.seed, self.chance = seed, random.Random(seed)
        self.group = Standbys(2, {"autovacuum": "on"})
        self.addCleanup(self.group.stop)
        self.group.start()

    def daemon(self, *options, url=None):
        daemon = self.group.daemon(
            "--pool", "4", "--standby-lag", f"{LAG:.0f}s", *TIMES, *options, url=url
        )
        self.addCleanup(daemon.stop)
        return daemon.start()

    def faults(self, checker, pairs):
        """All kinds in turn, in a random order, until that many pairs are done."""
        faults, done = Faults(self.group, self.chance), 0
        while checker.pairs < pairs:
            for fault in self.chance.sample(faults.ALL, len(faults.ALL)):
                with fault(faults):
                    checker.progress(IN_A_STATE, NEVER)
                checker.progress(IN_A_STATE, NEVER)
                done += 1
                if checker.violations:
                    print(f"  at {fault.__name__}", flush=True)
                    checker.stopping.set()
                    return done
        return done

    def ended(self, checker, faults):
        print(f"  {checker.report()}; {faults} faults", flush=True)
        checker.verify()
        self.assertGreater(checker.where().get("standby", 0), checker.reads / 20)

    def test_faults(self):
        with Checker(self.daemon(), CALLERS, LAG + MARGIN, self.seed) as checker:
            faults = self.faults(checker, PAIRS)
        self.ended(checker, faults)

    def test_an_endpoint(self):
        """One name for both standbys."""
        endpoint = Endpoint(*self.group.standbys)
        self.addCleanup(endpoint.close)
        options = ("--standby-url", self.group.url(endpoint))
        daemon = self.daemon(*options, url=self.group.primary.url)
        with Checker(daemon, CALLERS, LAG + MARGIN, self.seed) as checker:
            faults = self.faults(checker, PAIRS // 10)
        self.ended(checker, faults)

    def test_promotions(self):
        """The primary dies, a synchronous standby takes over, and the others follow it."""
        group = self.group
        group.add()
        daemon = None
        for _ in range(PROMOTIONS):
            first, *others = group.standbys
            group.synchronous(first.name)
            if daemon is None:
                daemon = self.daemon()
                checker = self.enterContext(Checker(daemon, CALLERS, LAG + MARGIN, self.seed))
            checker.progress(PAIRS // 40, NEVER)
            checker.expect_errors()
            old = group.primary
            old.kill()
            first.promote()
            group.synchronous("")
            for one in others:
                one.follow()
            before = reads(daemon)["standby"]
            checker.progress(IN_A_STATE, NEVER)
            self.within(30, lambda b=before: not others or reads(daemon)["standby"] > b)
            checker.calm()
            checker.progress(PAIRS // 40, NEVER)
            group.standbys = others
            if not others:
                break
        checker.stopping.set()
        checker.thread.join(60)
        self.ended(checker, PROMOTIONS)
