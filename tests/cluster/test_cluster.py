"""The daemon in front of a real Patroni cluster: one switchover and one death of the leader's host.
Would catch: an answered write that the new primary lacks, calls that fail in a planned switchover,
a daemon that does not find the new primary by itself, a guard that refuses it. The other faults:
test_cluster_faults.py."""
import time

from checker import check
from cluster import Cluster
from lib.case import Case
from lib.daemon import Daemon
from lib.postgres_case import Database
from writers import Writers

BACKENDS = ("postgres",)
SANITIZERS = False  # how long it takes depends on Patroni, and its faults are found with any build
TTL = 8


class Planned(Case):
    """The shortest times that Patroni and etcd keep on a busy machine."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster({"ttl": TTL, "loop_wait": 2, "retry_timeout": 3})
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.daemon = Daemon(
            database=Database(cls.cluster.url()),
            options=("--acquire-timeout", f"{TTL + 12}s", "--call-timeout", "60s"),
        )
        cls.addClassCleanup(cls.daemon.stop)
        cls.daemon.start()

    def verified(self, load, what):
        report = check(load, self.cluster, what)
        self.assertEqual(report.lost, 0)
        stats = self.daemon.call("daemon.stats")
        self.assertEqual(stats["counters"]["db_went_back"], 0)
        self.assertEqual(stats["gauges"]["db_timeline"], self.cluster.leader().timeline())
        return report

    def test_1_switchover(self):
        with Writers(self.daemon, writers=4, readers=2) as load:
            load.progress(500)
            self.cluster.switchover()
            load.resumed(time.monotonic(), 30)
            load.progress(500)
        report = self.verified(load, "switchover")
        self.assertEqual(report.refused, 0)
        self.cluster.healthy()

    def test_2_death_of_the_host(self):
        leader = self.cluster.leader()
        with Writers(self.daemon, writers=4, readers=2) as load:
            load.progress(500)
            leader.kill_host()
            load.resumed(time.monotonic() + 1, TTL + 30)
            load.progress(500)
        report = self.verified(load, "death of the leader's host")
        self.assertEqual(report.refused, 0)
