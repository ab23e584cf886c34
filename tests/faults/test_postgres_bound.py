"""Several daemons while the tokens of their database are being bound. Would catch: a daemon that
goes on to store what the others no longer read, or that fails because the database refuses it."""
from lib.bound import EXPIRES, PROVIDERS, BoundCase
from lib.daemon import Daemon

BACKENDS = ("postgres",)


class TwoDaemons(BoundCase):
    def test_beside_another_daemon(self):
        """The other daemon learns of the change when the database refuses what it stores."""
        self.unbind()
        users = self.fill(120)
        client, _ = self.sessions(30)
        other = Daemon(key=self.key, database=self.daemon.database)
        self.addCleanup(other.discard)
        other.start()
        with other.connect() as lone, self.daemon.connect() as c:
            self.begin()
            # In the old format at first, then again; within a transaction, too.
            lone.call("update_strava_token", [users[0], "late", "r", EXPIRES, "s"])
            token = lone.call(
                "daemon.transaction",
                calls=[
                    {
                        "method": "update_fitbit_token",
                        "params": [users[0], "later", "r", EXPIRES, "s"],
                    },
                    {"method": "create_a2a_session", "params": [client, None, [], 1]},
                ],
            )[1]
            answer = self.steps()
            self.assertEqual((answer["state"], answer["format"]), ("finished", "bound"))
            for daemon in (c, lone):
                got = [daemon.call(f"get_{p}_token", user_id=users[0]) for p in PROVIDERS]
                self.assertEqual([one["access_token"] for one in got], ["late", "later"])
                self.assertIsNotNone(daemon.call("get_a2a_session", session_token=token))
        self.assertEqual(self.formats(), ({True}, {True}))
        self.logged(other, "the tokens are being bound to their users and providers")
        other.stop()
        self.daemon.stop()
