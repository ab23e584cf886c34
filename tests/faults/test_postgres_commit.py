"""Writes whose commit fails, or whose connection breaks exactly when the commit is sent. Would
catch: a rolled-back write answered as stored, because the health check came last in its batch; a
write stored twice, because its batch counted as unsent."""
import os
import shutil
import subprocess

from lib import invariants
from lib.daemon import SANITIZER, temporary_folder
from lib.postgres_case import ServerCase
from lib.proxy import STARTUP, CutCommitted
from lib.world import World, new_usage, unique

BACKENDS = ("postgres",)
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "broken.c")
REFUSED = "refused"


class CutHealthCheck:
    """Cuts the health check's connection and blocks new connections until the end."""

    def __init__(self):
        self.link = None  # the link that was cut
        self.starting = []

    def __call__(self, link, message):
        if message.kind == STARTUP:
            self.starting.append(link)
            return b""
        if self.link is None and message.kind == b"P" and b"FROM pierre_meta" in message.data:
            self.link = link
            link.reset()
        return message.data

    def end(self):
        for link in self.starting:
            if not link.closed:
                link.reset()


class CommitCase(ServerCase):
    def usage(self, name):
        return "record_api_key_usage", {"usage": new_usage(self.key, tool_name=name)}

    def rows(self, name):
        return int(self.query(f"SELECT count(*) FROM api_key_usage WHERE tool_name = '{name}'"))

    def make_key(self, one):
        self.user = World(one).user()
        self.key = World(one).api_key(self.user)

    def library(self):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            self.skipTest("no C compiler for the library that breaks connections: NOT tested")
        if SANITIZER:
            self.skipTest("a sanitizer's build must be the first to be loaded")
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        library = os.path.join(folder, "broken.so")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True
        )
        return library


class Refused(CommitCase):
    """A deferred trigger makes the commit itself fail."""

    def refuse(self):
        self.query(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'not this one' USING ERRCODE = 'check_violation'; END $$; "
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON api_key_usage DEFERRABLE "
            f"INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.tool_name = '{REFUSED}') "
            "EXECUTE FUNCTION refuse()"
        )

    def lock_awaited(self):
        return self.query(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pierre-dbd' "
            f"AND wait_event_type = 'Lock' AND datname = '{self.name}'"
        )

    @staticmethod
    def reconnects(daemon):
        return daemon.call("daemon.stats")["counters"]["db_reconnects"]

    def test_health_check_behind_writes(self):
        """The health check loses its connection and then waits behind writes on the other one.
        Their commit fails, and the failure is theirs."""
        # After a loss, waiting calls are deferred for 50 ms, in which a health check gives up. When
        # the close alone takes longer, the health check moves to the other connection at once.
        proxy, daemon = self.proxied(
            pool=2, environment={"LD_PRELOAD": self.library(), "TEST_SLOW_CLOSE": "100"}
        )
        self.refuse()
        with daemon.connect() as one, daemon.connect() as checker:
            self.make_key(one)
            before = invariants.Snapshot(daemon)
            names = [unique("w") for _ in range(6)]
            names[2] = REFUSED
            with self.server.session(self.name) as other:
                other.run("BEGIN")
                other.run(f"SELECT 1 FROM users WHERE id = '{self.user}' FOR UPDATE")
                blocked = one.request("update_last_active", user_id=self.user)
                self.within(10, lambda: self.lock_awaited() == "1")
                writes = [one.request(*self.usage(name)) for name in names]
                self.within(10, lambda: self.gauges(daemon)["db_queued"] == len(names))
                proxy.fault = fault = CutHealthCheck()
                self.addCleanup(fault.end)
                health = checker.request("daemon.health")
                self.within(10, lambda: self.reconnects(daemon) > 0)
                other.run("COMMIT")
                self.assertIsNone(one.answer(blocked)["result"])
                for name, write in zip(names, writes):
                    answer, stored = one.answer(write), name != REFUSED
                    self.assertEqual(("result" in answer, self.rows(name)), (stored, stored), name)
            checks = {
                check["name"]: check["status"]
                for check in checker.answer(health)["result"]["checks"]
            }
            self.assertEqual(checks["database"], "ok")
            proxy.fault = None
            fault.end()
            self.within(10, lambda: self.connections(daemon) == 2)
        invariants.check(daemon, before)


class Leaving(CommitCase):
    """The last bytes of a batch are sent while the daemon receives."""

    def test_connection_breaks_in_the_same_step(self):
        """The server has committed. The daemon cannot know that, and must not run the batch
        again."""
        name = unique("broken")
        proxy, daemon = self.proxied(
            pool=1, environment={"LD_PRELOAD": self.library(), "TEST_BROKEN": name}
        )
        with daemon.connect() as one:
            self.make_key(one)
            before = invariants.Snapshot(daemon)
            one.call(*self.usage("warm"))
            proxy.fault = fault = CutCommitted(name)
            answer = one.answer(one.request(*self.usage(name)))
            proxy.fault = None
            self.assertTrue(fault.link is not None and fault.link.hit, "the fault hit nothing")
            self.assertEqual(self.rows(name), 1, answer)
            self.assertEqual(
                (answer["error"]["data"]["kind"], answer["error"]["data"]["outcome"]),
                ("unavailable", "unknown"),
            )
            one.call(*self.usage("after"))
        invariants.check(daemon, before)
