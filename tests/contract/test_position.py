"""daemon.position and daemon.wait_for on one server. Would catch: a position that does not cover an
answered write, a wait for the position of another database, a read that overtakes the wait before
it, a position that a restart makes worthless. tests/faults/test_standby.py has the standbys."""
from lib.case import DaemonCase
from lib.daemon import Daemon
from lib.world import World, new_user

FOREIGN = {
    "sqlite": "primary-69b1f0a2c3d4e5f6-4007-1-22",
    "postgres": "sqlite-0123456789abcdef0123456789abcdef",
}


class Position(DaemonCase):
    def test_other_connection(self):
        """A write that was answered here is seen there after the wait."""
        with self.daemon.connect() as other:
            for _ in range(20):
                user = World(self.c).user()
                position = self.ok("daemon.position")
                self.assertIsNone(other.call("daemon.wait_for", position=position))
                self.assertEqual(other.call("get_user", user_id=user)["id"], user)

    def test_in_order(self):
        """A position covers the writes before it on its connection, answered or not."""
        calls = []
        for _ in range(5):
            calls += [("create_user", {"user": new_user()}), ("daemon.position", None)]
        answers = self.results(self.c.many(calls))
        with self.daemon.connect() as other:
            for user, position in zip(answers[::2], answers[1::2]):
                found = other.many(
                    [("daemon.wait_for", [position]), ("get_user", {"user_id": user})]
                )
                self.assertEqual(self.results(found)[1]["id"], user)

    def test_batch(self):
        position = self.ok("daemon.position")
        lines = (
            '[{"jsonrpc":"2.0","id":"a","method":"daemon.wait_for","params":["%s"]},'
            '{"jsonrpc":"2.0","method":"daemon.wait_for","params":["%s"]},'
            '{"jsonrpc":"2.0","id":"b","method":"daemon.position"}]\n' % (position, position)
        )
        self.c.send(lines)
        answer = self.c.read()
        self.assertEqual([one["id"] for one in answer], ["a", "b"])
        self.assertIsNone(answer[0]["result"])

    def test_after_a_restart(self):
        position = self.ok("daemon.position")
        self.assertEqual(self.daemon.terminate(), 0)
        self.daemon.start()
        self.c = self.daemon.connect()
        self.addCleanup(self.c.close)
        self.assertIsNone(self.ok("daemon.wait_for", position=position))

    def test_another_database(self):
        other = Daemon(self.daemon.backend).start()
        self.addCleanup(other.stop)
        positions = [other.call("daemon.position"), FOREIGN[self.daemon.backend]]
        self.assertNotEqual(positions[0], self.ok("daemon.position"))
        for position in positions:
            self.refused("conflict", "daemon.wait_for", position=position, field="position")

    def test_no_position(self):
        good = self.ok("daemon.position")
        for text in ("", "x", good[:7], good + "-1", good.upper(), " " + good, "x" * 128):
            problem = self.refused("invalid_params", "daemon.wait_for", position=text)
            self.assertEqual(problem.path, "position")
        self.refused("invalid_params", "daemon.wait_for", position="x" * 129, path="position")
        self.refused("invalid_params", "daemon.wait_for", path="position")

    def test_not_in_a_transaction(self):
        for call in (
            {"method": "daemon.position"},
            {"method": "daemon.wait_for", "params": [self.ok("daemon.position")]},
        ):
            self.refused("invalid_params", "daemon.transaction", calls=[call])

    def test_paused(self):
        """Both ask the database, so they wait while the daemon is paused."""
        position = self.ok("daemon.position")
        with self.daemon.connect() as admin:
            admin.call("daemon.pause")
            self.c.request("daemon.wait_for", position=position)
            self.c.request("daemon.position")
            self.within(5, lambda: admin.call("daemon.pause")["waiting"] == 2)
            admin.call("daemon.resume")
        self.assertIsNone(self.c.answer(self.c.last_id - 1)["result"])
        self.assertIn("result", self.c.answer(self.c.last_id))
