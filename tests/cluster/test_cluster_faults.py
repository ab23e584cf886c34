"""All faults of a real Patroni cluster, many times over; run by scripts/test --cluster, since they
take about an hour. Would catch: an answered write that is lost, a call that fails where it could
wait, a daemon that stays at a dead primary or a frozen one, a guard that fires in a regular
failover or is silent when the primary goes back.

Each test prints what its fault has cost: docs/postgresql.md has the table."""
import time

from checker import check
from cluster import Cluster
from lib.case import Case
from lib.daemon import Daemon
from lib.postgres_case import Database
from writers import Writers

BACKENDS = ("postgres",)
SANITIZERS = False
CLUSTER = True  # tests/run.py --cluster alone runs it
TTL = 20
PATIENT = ("--acquire-timeout", "40s", "--call-timeout", "60s")
FROZEN = 60  # seconds


class ClusterCase(Case):
    store = "etcd"
    settings = {"ttl": TTL, "loop_wait": 5, "retry_timeout": 5}

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(cls.settings, cls.store)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()

    def setUp(self):
        for node in self.cluster.nodes:  # what the test before has killed
            if node.etcd.process is None:
                node.etcd.start(self.cluster.members)
            if node.patroni is None:
                node.start()
        self.cluster.healthy()

    def daemon(self, *options):
        daemon = Daemon(
            database=Database(self.cluster.url()), options=options, key=getattr(self, "key", None)
        )
        self.addCleanup(daemon.stop)
        daemon.start()
        type(self).key = daemon.key
        return daemon

    def kept(self, load, daemon, what):
        """Nothing is lost, and the guard was silent."""
        report = check(load, self.cluster, what)
        self.assertEqual(report.lost, 0)
        stats = daemon.call("daemon.stats")
        self.assertEqual(stats["counters"]["db_went_back"], 0)
        self.assertEqual(stats["gauges"]["db_timeline"], self.cluster.leader().timeline())
        return report


class Faults(ClusterCase):
    def test_switchovers(self):
        daemon = self.daemon(*PATIENT)
        longest = answered = 0
        for number in range(20):
            with Writers(daemon) as load:
                load.progress(2000)
                self.cluster.switchover()
                load.resumed(time.monotonic(), 60)
                load.progress(1000)
            report = self.kept(load, daemon, f"switchover {number + 1}")
            self.assertEqual(report.refused, 0)
            longest = max(longest, report.writes_stopped)
            answered += report.answered
            self.cluster.healthy()
        print(f"  20 switchovers: at most {longest:.1f} s, {answered} answered", flush=True)

    def test_pause_and_switchover(self):
        daemon = self.daemon(*PATIENT)
        with Writers(daemon) as load:
            load.progress(2000)
            daemon.call("daemon.pause")
            self.cluster.switchover()
            daemon.call("daemon.resume")
            load.resumed(time.monotonic(), 60)
            load.progress(1000)
        report = self.kept(load, daemon, "pause, switchover, resume")
        self.assertEqual((report.refused, report.unknown), (0, 0))

    def test_death_of_the_host(self):
        daemon = self.daemon(*PATIENT)
        answered = 0
        for number in range(5):
            self.setUp()
            with Writers(daemon) as load:
                load.progress(9000)
                self.cluster.leader().kill_host()
                load.resumed(time.monotonic() + 1, TTL + 60)
                load.progress(3000)
            report = self.kept(load, daemon, f"death of the leader's host {number + 1}")
            self.assertEqual(report.refused, 0)
            answered += report.answered
        self.assertGreaterEqual(answered, 50_000)

    def test_death_of_the_host_with_the_default_times(self):
        """Calls wait for five seconds, then they are refused; the caller repeats them."""
        daemon = self.daemon()
        with Writers(daemon) as load:
            load.progress(5000)
            self.cluster.leader().kill_host()
            load.resumed(time.monotonic() + 1, TTL + 60)
            load.progress(2000)
        self.kept(load, daemon, "death of the leader's host, default times")

    def test_death_of_postgresql(self):
        daemon = self.daemon(*PATIENT)
        for number in range(4):
            with Writers(daemon) as load:
                load.progress(5000)
                self.cluster.leader().kill_postgres()
                load.resumed(time.monotonic() + 1, TTL + 60)
                load.progress(2000)
            self.kept(load, daemon, f"death of PostgreSQL {number + 1}")
            self.cluster.healthy()

    def frozen(self, what, postgres_only=False):
        daemon = self.daemon(*PATIENT)
        with Writers(daemon) as load:
            load.progress(5000)
            leader = self.cluster.leader()
            began = time.monotonic()
            stopped = leader.freeze(postgres_only=postgres_only)
            load.resumed(began + 2, FROZEN)
            time.sleep(max(0.0, began + FROZEN - time.monotonic()))
            leader.thaw(stopped)
            load.progress(2000)
            self.cluster.healthy()
            load.progress(1000)
        self.kept(load, daemon, what)

    def test_frozen_host(self):
        self.frozen("host frozen for 60 s")

    def test_frozen_postgresql(self):
        self.frozen("PostgreSQL frozen for 60 s", postgres_only=True)

    def test_rolling_restart(self):
        daemon = self.daemon(*PATIENT)
        with Writers(daemon) as load:
            load.progress(2000)
            for node in [*self.cluster.others(), self.cluster.leader()]:
                node.stop_patroni()
                node.start()
                self.cluster.healthy()
            load.progress(1000)
        report = self.kept(load, daemon, "rolling restart")
        self.assertEqual(report.refused, 0)

    def no_quorum(self, what):
        daemon = self.daemon()
        with Writers(daemon) as load:
            load.progress(2000)
            leader = self.cluster.leader()
            lost = [node for node in self.cluster.nodes if node is not leader]
            for node in lost:
                node.kill_etcd()
            time.sleep(45)
            for node in lost:
                node.etcd.start(self.cluster.members)
            load.resumed(time.monotonic() + 1, 120)
            load.progress(1000)
        return self.kept(load, daemon, what)

    def test_no_quorum(self):
        report = self.no_quorum("etcd without quorum for 45 s, failsafe_mode")
        self.assertEqual(report.refused, 0)


class NoFailsafe(ClusterCase):
    settings = {**ClusterCase.settings, "failsafe_mode": "false"}

    def test_no_quorum(self):
        Faults.no_quorum(self, "etcd without quorum for 45 s, no failsafe_mode")


class Regular(ClusterCase):
    settings = {"ttl": 8, "loop_wait": 2, "retry_timeout": 3}

    def test_the_guard_is_silent(self):
        """A hundred failovers, by turns planned ones and deaths of PostgreSQL's host."""
        daemon = self.daemon(*PATIENT)
        with Writers(daemon, writers=2, window=2, readers=1, pause=0.005) as load:
            for number in range(100):
                if number % 4 == 3:
                    self.cluster.leader().kill_host()
                else:
                    self.cluster.switchover()
                load.resumed(time.monotonic() + 0.5, 60)
                self.setUp()
        report = self.kept(load, daemon, "100 failovers")
        self.assertEqual(report.refused, 0)


class LostUpdate(ClusterCase):
    """Patroni before 3.0.3 on etcd's third interface: a frozen leader takes the lock back when it
    thaws, and the others are rewound to its timeline."""

    store = "etcd3"

    def test_the_guard_fires(self):
        daemon = self.daemon(*PATIENT)
        with Writers(daemon) as load:
            load.progress(5000)
            leader = self.cluster.leader()
            before = leader.timeline()
            began = time.monotonic()
            stopped = leader.freeze(postgres_only=True)
            load.resumed(began + 2, FROZEN)
            time.sleep(max(0.0, began + FROZEN - time.monotonic()))
            leader.thaw(stopped)
            self.within(60, lambda: daemon.call("daemon.stats")["counters"]["db_went_back"])
            fired = time.monotonic()
            time.sleep(5)
        stats = daemon.call("daemon.stats")
        message = f"the primary went back from timeline {before + 1} to {before}"
        self.logged(daemon, message)
        self.assertEqual(stats["gauges"]["db_timeline"], before + 1)
        self.assertEqual(daemon.call("daemon.health")["status"], "down")
        late = [
            when
            for writer in load.writers
            for when, error in writer.answered.values()
            if error is None and when > fired
        ]
        self.assertEqual(late, [], "writes were answered by a primary that went back")
        self.cluster.until(lambda: self.cluster.leader_now() is leader, "the old leader is back")
        check(load, self.cluster, "PostgreSQL frozen for 60 s, etcd3, Patroni before 3.0.3")
