"""Servers that break the protocol, sessions that lose their statements, and poolers, while several
batches are under way on a connection to a server that is far away. Would catch: an answer that is
taken for another batch's; a write that is stored twice, or whose caller is told that it is not
stored; a batch that is sent ahead where a session is shared."""
import struct

from lib.ahead_case import ANSWER, BATCHES, DELAY, UNKNOWN, AheadCase, told, tool
from lib.hostile_postgres import BOUND, NO_DATA, PARSED, fields, message, ready
from lib.load import Load
from lib.pgbouncer import PgBouncer
from lib.postgres_case import ServerCase
from lib.proxy import Proxy
from lib.world import unique

BACKENDS = ("postgres",)

BEGUN = BOUND + NO_DATA
SHORT = "a length that is too small"  # libpq sees it before the result at hand is taken
# Nobody can know what became of the batches behind these.
EVILS = {
    "an end without a beginning": ready(),
    "copy in": BEGUN + message(b"G", b"\0\0\0"),
    "copy out": BEGUN + message(b"H", b"\0\0\0"),
    "a row without a description": BOUND + message(b"D", struct.pack("!H", 0)),
    "answers without a request": PARSED + PARSED + PARSED,
    "an invalid message": message(b"\x01", b"?" * 100),
    SHORT: b"C\0\0\0\1",
    "the end of a pooler's server": fields(b"E", S="FATAL", V="FATAL", C="08P01", M="gone"),
}


class Hostile(AheadCase):
    """The server has carried out all batches when it goes mad."""

    def test_at_each_place(self):
        for number, (name, evil) in enumerate(EVILS.items()):
            for batch in {number % BATCHES, (number + 2) % BATCHES}:
                with self.subTest(evil=name, batch=batch):
                    self.go_mad(evil, batch, batch - (name == SHORT))
        self.sound()

    def go_mad(self, evil, batch, certain):
        made, asked = self.under_way(self.names())
        self.all_stored(made)

        def send(link):
            link.client.sendall(evil)
            link.half_close()

        self.cut_after(batch * ANSWER, send)
        answers = self.answers(asked)
        for i, (call, answer) in enumerate(zip(made, answers)):
            if i < certain:
                self.assertIn("result", answer, i)
            elif "error" in answer:
                self.assertEqual(told(answer), UNKNOWN, i)
            self.assertEqual(self.rows(tool(call)), 1, i)


class LostCase(AheadCase):
    def forget(self, condition):
        self.query(
            "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE "
            "'DEALLOCATE ALL'; RETURN NEW; END $$; "
            "CREATE TRIGGER forget AFTER INSERT ON api_key_usage FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION forget()"
        )
        self.addCleanup(self.query, "DROP FUNCTION forget CASCADE")

    def stored(self, made, asked):
        for i, (call, answer) in enumerate(zip(made, self.answers(asked))):
            self.assertIn("result", answer, i)
            self.assertEqual(self.rows(tool(call)), 1, i)


class Lost(LostCase):
    """The session loses its prepared statements under the batches behind one."""

    def test_at_each_place(self):
        self.forget("NEW.tool_name LIKE 'forget%'")
        for keys in (False, True):
            for place in range(BATCHES):
                with self.subTest(place=place, keys=keys):

                    def calls(place=place, keys=keys):
                        names = [unique("ahead") for _ in range(BATCHES)]
                        names[place] = unique("forget")
                        return [
                            (*self.usage(name), name) if keys else self.usage(name)
                            for name in names
                        ]

                    self.stored(*self.under_way(calls))
                    self.here.warmed = None  # the statements are prepared again
        self.assertNotIn("keeps losing prepared statements", self.small.log())
        self.sound()


class Shared(LostCase):
    """A daemon of its own: it does without prepared statements afterwards."""

    def test_lost_again_and_again(self):
        """As behind a pooler that is new between: batches under way run again, and from then on
        none is sent ahead."""
        self.warm()
        self.forget("true")
        made = self.names()()
        self.stored(made, self.ask_all(made))
        self.logged(self.small, "keeps losing prepared statements")
        before = self.counter("db_batches_ahead")
        made = self.names()()
        self.stored(made, self.ask_all(made))
        self.assertEqual(self.counter("db_batches_ahead"), before)
        self.sound()

    def ask_all(self, made):
        asked = self.ask(made)
        self.control.call("daemon.resume")
        return asked


class Pooler(ServerCase):
    def setUp(self):
        super().setUp()
        self.bouncer = PgBouncer(self.server, {"default_pool_size": 2, "server_login_retry": 1})
        self.addCleanup(self.bouncer.stop)
        self.bouncer.start()

    def ahead(self, daemon):
        return daemon.call("daemon.stats")["counters"]["db_batches_ahead"]

    def checked(self, load):
        self.assertEqual([call.message for call in load.failures(write=False)], [])
        for call in load.failures(write=True):
            self.assertEqual((call.kind, call.outcome), UNKNOWN, call.message)
        load.verify(self.query)

    def test_far_behind_one(self):
        """Nothing is sent ahead: another transaction may run in another session."""
        proxy = Proxy(self.bouncer)
        self.addCleanup(proxy.close)
        proxy.delay = DELAY
        proxy.pg = self.server
        daemon = self.daemon("--pool", "2", "--batch", "1", url=proxy.url(self.name))
        with Load(daemon, writers=6, readers=6) as load:
            load.progress(80)
            proxy.reset_all()
            load.progress(30)
        self.assertEqual(self.ahead(daemon), 0)
        self.checked(load)

    def test_moved_behind_one(self):
        """The next connections lead to a pooler while batches are sent ahead on the others."""
        proxy, daemon = self.proxied("--batch", "1", pool=2)
        proxy.delay = DELAY
        proxy.reset_all()
        self.within(10, lambda: daemon.call("daemon.stats")["counters"]["db_reconnects"] > 1)
        with Load(daemon, writers=6, readers=6) as load:
            self.within(20, lambda: self.ahead(daemon) > 20)
            proxy.target = ("127.0.0.1", self.bouncer.port)
            proxy.reset_all()
            load.progress(80)
        self.checked(load)
