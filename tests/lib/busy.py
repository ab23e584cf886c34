"""A varied load on one daemon, so that every panel of the dashboard has something to show."""
import random
import threading
import time

from .rpc import RpcError
from .world import World, new_a2a_usage, new_usage


class Busy:
    """One client; `step()` makes some calls of every kind that the dashboard distinguishes. As a
    context it does so in a thread, `pause` seconds apart."""

    def __init__(self, daemon, pause=0.01, email="busy@example.com"):
        self.daemon, self.pause = daemon, pause
        self.c = daemon.connect()
        self.world = World(self.c)
        self.email = email
        self.user = self.c.call(
            "create_user", user={"email": self.email, "password": "correct horse"}
        )
        self.key = self.world.api_key(self.user)
        self.agent = self.world.client(self.key)
        self.random = random.Random(1)
        self.steps, self.problem = 0, None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def step(self):
        self.steps += 1
        call = self.c.call
        call("get_user", user_id=self.user)
        call("record_api_key_usage", usage=new_usage(self.key))
        call("record_a2a_usage", usage=new_a2a_usage(self.agent))
        if self.steps % 5 == 1:
            self.token()
        if self.steps % 7 == 1:
            call("get_user_goals", user_id=self.user)
            call("create_goal", user_id=self.user, goal_data={"title": "run"})
        if self.steps % 20 == 1:
            self.rare()

    def token(self):
        self.c.call(
            "update_strava_token",
            user_id=self.user,
            access_token="a",
            refresh_token="r",
            expires_at="2030-01-01T00:00:00Z",
            scope="read",
        )
        self.c.call("get_strava_token", user_id=self.user)

    def rare(self):
        """Errors, passwords, notifications, batches, a wait for a position, large values."""
        for method, params in (
            ("update_last_active", {"user_id": "00000000-0000-4000-8000-000000000000"}),
            ("get_user", {"user_id": "x"}),
        ):
            try:
                self.c.call(method, params)
            except RpcError:
                pass
        self.c.call("verify_user_password", email=self.email, password="wrong")
        self.c.send('{"jsonrpc":"2.0","method":"daemon.ping"}\n')
        self.c.call("daemon.wait_for", position=self.c.call("daemon.position"))
        text = "x" * self.random.randrange(40000, 100000)
        self.c.call("upsert_user_profile", user_id=self.user, profile_data={"text": text})
        self.c.call("get_user_profile", user_id=self.user)

    def _run(self):
        try:
            while not self.stopping.is_set():
                self.step()
                time.sleep(self.pause)
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(60)
        self.c.close()
        assert self.problem is None, self.problem
