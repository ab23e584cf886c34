"""Tests of batches that are sent while others are under way on the same connection, to a server
that is far away. A class's tests share one daemon with one connection.

The daemon is paused while calls arrive, and sends all of them in one step when it resumes: one
batch for each call, or for two. The proxy holds the answers until all batches are under way."""
import secrets
import time

from . import invariants
from .daemon import SLOW, Daemon
from .postgres_case import Database, ServerCase
from .proxy import Proxy
from .world import World, new_usage, unique

DELAY = 0.005
WARM = 4  # pairs of batches after which the connection knows that its server is far away
BATCHES = 4  # most under way on one connection
ANSWER = 5 + 5 + 16 + 6  # BindComplete, NoData, CommandComplete "INSERT 0 1", ReadyForQuery
UNKNOWN = ("unavailable", "unknown")


def told(answer):
    """What an error says of its call."""
    return answer["error"]["data"]["kind"], answer["error"]["data"]["outcome"]


def tool(call):
    return call[1]["usage"]["tool_name"]


class Far:
    """A database far away, and a daemon with one connection to it."""

    def __init__(self, server, size):
        self.name = f"t{secrets.token_hex(4)}"
        server.create_database(self.name)
        self.proxy = Proxy(server)
        self.daemon = Daemon(
            database=Database(self.proxy.url(self.name)),
            options=("--pool", "1", "--pool-min", "1", "--batch", str(size)),
        )
        self.daemon.start()
        self.control = self.daemon.connect()
        self.beside = server.session(self.name)
        world = World(self.control)
        self.user = world.user()
        self.key = world.api_key(self.user)
        self.clients = [self.daemon.connect() for _ in range(2 * BATCHES)]
        self.warmed = None  # the link that is known to be far
        self.proxy.delay = DELAY
        self.proxy.reset_all()  # the next connection knows no faster server

    def close(self):
        for one in (*self.clients, self.control):
            one.close()
        try:
            self.daemon.stop()
        finally:
            self.beside.close()
            self.proxy.close()


class AheadCase(ServerCase):
    size = 1  # max calls of a batch
    far = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.far = Far(cls.server, cls.size)

    @classmethod
    def tearDownClass(cls):
        cls.far.close()

    def setUp(self):
        self.use(self.far)

    def use(self, far):
        self.name, self.proxy, self.small = far.name, far.proxy, far.daemon
        self.beside, self.control, self.clients = far.beside, far.control, far.clients
        self.user, self.key = far.user, far.key
        self.here = far
        self.proxy.fault, self.proxy.held = None, False
        self.warm()
        self.before = invariants.Snapshot(self.small)

    def sound(self):
        invariants.check(self.small, self.before)

    def usage(self, name):
        return "record_api_key_usage", {"usage": new_usage(self.key, tool_name=name)}

    def read(self):
        return "get_user", {"user_id": self.user}

    def names(self, count=BATCHES):
        return lambda: [self.usage(unique("ahead")) for _ in range(count)]

    def counter(self, name):
        return self.small.call("daemon.stats")["counters"][name]

    def rows(self, name):
        return int(
            self.beside.run(f"SELECT count(*) FROM api_key_usage WHERE tool_name = '{name}'")
        )

    def warm(self):
        """The connection has prepared its statements and knows that its server is far away."""
        link = self.here.warmed
        if link is not None and not link.closed and self.proxy.links == [link]:
            return
        self.within(10, lambda: "result" in self.control.answer(self.control.request(*self.read())))
        for _ in range(WARM):
            self.control.call(*self.usage("warm"))
            self.control.once(unique("warm"), *self.usage("warm"))
        self.here.warmed = self.proxy.links[0]

    def syncs(self):
        return sum(link.syncs for link in list(self.proxy.links))

    def ask(self, calls, clients=None):
        """Sends the calls, each from a client of its own, while the daemon is paused. A call may
        have an idempotency key."""
        clients = clients or self.clients
        self.control.call("daemon.pause")
        asked = []
        for client, call in zip(clients, calls):
            data, identifier = client.encode(*call)
            client.send(data, note=False)
            asked.append((client, identifier))
            self.within(10, lambda: self.paused() == len(asked), 0.001)
        return asked

    def under_way(self, calls, batches=BATCHES, clients=None, held=True):
        """Returns the calls, which are under way in that many batches, unanswered. A step of the
        roll-up, or a loaded machine, may be in the way: then again with other calls."""
        for _ in range(20):
            self.warm()
            made = calls()
            asked = self.ask(made, clients)
            wanted = (self.syncs() + batches, max(0, len(made) - batches * self.size))
            self.proxy.held = held
            self.control.call("daemon.resume")
            end = time.monotonic() + 0.5 * SLOW
            while time.monotonic() < end and (self.syncs(), self.queued()) != wanted:
                time.sleep(0.002)
            if (self.syncs(), self.queued()) == wanted:
                return made, asked
            self.give_up()
            self.answers(asked)
        self.fail("the batches were never sent together")

    def paused(self):
        return self.control.call("daemon.stats")["gauges"]["paused_calls"]

    def queued(self):
        return self.control.call("daemon.stats")["gauges"]["db_queued"]

    def give_up(self):
        """Lets calls end that are not under way as they should be."""

    def answers(self, asked):
        self.proxy.held = False
        return [client.answer(identifier) for client, identifier in asked]

    def reset_before(self, asked, name, kind):
        """Lets the calls that were asked run, and resets the link at the first message of this kind
        from the parameters with that name on. Returns the answers."""
        seen = []

        def fault(link, message):
            if message.kind == b"B" and name.encode() in message.data and not seen:
                seen.append(link)
            if seen == [link] and message.kind == kind:
                link.reset()
                return b""
            return message.data

        self.proxy.fault = fault
        self.control.call("daemon.resume")
        answers = self.answers(asked)
        self.proxy.fault = None
        return answers

    def all_stored(self, made):
        """Waits until the server has carried out all batches."""
        names = [tool(call) for call in made if call[0] == "record_api_key_usage"]
        self.within(10, lambda: all(self.rows(name) == 1 for name in names))

    def cut_after(self, count, ending):
        """Ends the answers after that many bytes. ending: what the link does then."""
        link, self.here.warmed = self.proxy.links[0], None
        link.answer_left = count
        link.ending = lambda: ending(link)
        if count == 0:
            link.ending()
