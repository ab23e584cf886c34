"""Idempotency keys on PostgreSQL: connections cut at each message of a write with a key, and one
key in two daemons at the same moment. Would catch: a refusal that the call's own row caused; a
write that is stored without its key, or twice; a certain answer where nobody can know."""
import secrets
import threading

from lib.daemon import new_key
from lib.postgres_case import ServerCase
from lib.world import World, new_api_key, new_user

BACKENDS = ("postgres",)
MESSAGES = 24  # more than one write with a key sends


class Cut:
    """Ends the connection at the message with that number: before it reaches the server, or when
    the server answers it."""

    def __init__(self, number, answered):
        self.left, self.answered = number, answered
        self.seen = b""

    def __call__(self, link, message):
        self.left -= 1
        self.seen += message.kind
        if self.left != 0:
            return message.data
        if not self.answered:
            link.reset()
            return b""
        link.answer_left = 0
        return message.data


class AtSync(Cut):
    """The same at the first Sync."""

    def __init__(self, answered):
        super().__init__(0, answered)

    def __call__(self, link, message):
        if message.kind == b"S" and b"S" not in self.seen:
            self.left = 1
        return super().__call__(link, message)


class OneDaemon(ServerCase):
    def setUp(self):
        super().setUp()
        self.proxy, self.one = self.proxied(pool=2)
        self.c = self.one.connect()
        self.addCleanup(self.c.close)
        self.user = World(self.c).user()

    def goals(self):
        return [goal["id"] for goal in self.c.call("get_user_goals", user_id=self.user)]

    def cut_at_each_message(self, write):
        made = []
        for number in range(1, MESSAGES):
            for answered in (False, True):
                self.proxy.fault = Cut(number, answered)
                which = secrets.token_hex(8)
                params = {"user_id": self.user, "goal_data": {"title": "x", "n": number}}
                made.append(write(which, params))
                self.proxy.fault = None
                self.same(write(which, params), made[-1])
                self.same(sorted(self.goals()), sorted(made))

    def test_cut_at_each_message(self):
        """The daemon itself runs the write again, and finds what an earlier attempt stored."""
        self.cut_at_each_message(lambda which, params: self.c.once(which, "create_goal", params))

    def transaction(self, which, method, params):
        """The method's result in a transaction with one call before and one behind it."""
        user = {"user_id": self.user}
        calls = [("update_last_active", user), (method, params), ("get_user_goals", user)]
        calls = [{"method": name, "params": named} for name, named in calls]
        return self.c.once(which, "daemon.transaction", calls=calls)[1]

    def test_transaction_cut_at_each_message(self):
        self.cut_at_each_message(
            lambda which, params: self.transaction(which, "create_goal", params)
        )

    def refused_because_of_its_own_row(self, write):
        for answered in (False, True):
            for number in range(1, MESSAGES):
                which, key = secrets.token_hex(8), {"api_key": new_api_key(self.user)}
                self.same(write(which, "create_api_key", key), None)
                self.proxy.fault = AtSync(answered) if number == 1 else Cut(number, answered)
                self.same(write(which, "create_api_key", key), None)
                self.proxy.fault = None

    def test_refused_because_of_its_own_row(self):
        """The repeated statement fails because the row is there; the connection breaks before the
        batch is rolled back."""
        self.refused_because_of_its_own_row(self.c.once)

    def test_transaction_refused_because_of_its_own_row(self):
        self.refused_because_of_its_own_row(self.transaction)


def in_transaction(connection, which, user):
    calls = [{"method": "create_user", "params": [user]}, {"method": "get_user_count"}]
    return connection.once(which, "daemon.transaction", calls=calls)


class TwoDaemons(ServerCase):
    def test_same_moment(self):
        """One runs; the other gives its answer, also where its own attempt is refused because of
        the new row."""
        self.same_moment(lambda one, which, user: one.once(which, "create_user", user=user))

    def test_transactions_at_the_same_moment(self):
        self.same_moment(in_transaction)

    def same_moment(self, write):
        key = new_key()
        daemons = [self.daemon(key=key) for _ in range(2)]
        connections = [daemon.connect() for daemon in daemons for _ in range(3)]
        for one in connections:
            self.addCleanup(one.close)
        users = connections[0].call("get_user_count")
        for round_number in range(1, 21):
            which, new, answers = secrets.token_hex(8), new_user(), []
            barrier = threading.Barrier(len(connections))

            def run(connection):
                barrier.wait()
                answers.append(write(connection, which, new))

            threads = [threading.Thread(target=run, args=(one,)) for one in connections]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.same(answers, [answers[0]] * len(connections))
            self.same(connections[0].call("get_user_count") - users, round_number)
        self.assertNotIn("deadlock detected", self.server_log())
