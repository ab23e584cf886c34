"""Writes with an idempotency key that are sent while others are under way on the same connection.
Would catch: such a write that waits for a result, or happens twice after a loss; an answer that is
stored without its write; a stored key that spoils the batches around it; a refused call whose key
is taken."""
from operator import methodcaller

from lib.ahead_case import ANSWER, BATCHES, AheadCase, tool
from lib.world import new_usage, unique, uuid4

BACKENDS = ("postgres",)


class Keys(AheadCase):
    def once(self, which=None):
        which = which or unique("key")
        return (*self.usage(which), which)

    def ring(self, *, place=None, call=None):
        """As many calls as there are places, one of them given."""
        return lambda: [call if i == place else self.once() for i in range(BATCHES)]

    def keys(self, names):
        listed = ", ".join(f"'{name}'" for name in names)
        return int(
            self.beside.run(
                f"SELECT count(*) FROM idempotency_keys WHERE key IN ({listed}) "
                "AND method = 'record_api_key_usage'"
            )
        )

    def stored_once(self, made):
        self.assertEqual([self.rows(tool(call)) for call in made], [1] * len(made))
        self.assertEqual(self.keys(call[2] for call in made), len(made))

    def test_sent_ahead(self):
        """All of them in one round trip, with and without keys in turn."""
        for calls in (
            self.ring(),
            lambda: [self.once(), self.usage(unique("a")), self.once(), self.read()],
        ):
            made, asked = self.under_way(calls)
            answers = self.answers(asked)
            self.assertEqual([answer for answer in answers if "error" in answer], [])
            self.stored_once([call for call in made if len(call) > 2])
        self.sound()

    def test_cut_in_the_answers(self):
        """The daemon itself finds out what the server has carried out: each call gets its answer,
        and is stored once."""
        for number, place in enumerate((0, 1, 12, 26, 31)):
            batch = number % BATCHES
            ending = methodcaller(("half_close", "reset", "close")[number % 3])
            with self.subTest(batch=batch, place=place):
                made, asked = self.under_way(self.ring())
                self.all_stored(made)
                self.cut_after(batch * ANSWER + place, ending)
                answers = self.answers(asked)
                self.assertEqual([answer.get("result", answer) for answer in answers], [None] * 4)
                self.stored_once(made)
        self.sound()

    def test_cut_before_the_server_has_them(self):
        for batch, kind in ((0, b"S"), (1, b"B"), (2, b"E"), (3, b"B")):
            with self.subTest(batch=batch, kind=kind):
                self.warm()
                made = self.ring()()
                asked = self.ask(made)
                answers = self.reset_before(asked, tool(made[batch]), kind)
                self.assertEqual([answer.get("result", answer) for answer in answers], [None] * 4)
                self.stored_once(made)
        self.sound()

    def test_known_at_each_place(self):
        """A key that is stored already, alone and at all places at once."""
        for place in range(BATCHES):
            with self.subTest(place=place):
                known = self.once()
                self.control.once(known[2], *known[:2])
                made, asked = self.under_way(self.ring(place=place, call=known))
                answers = self.answers(asked)
                self.assertEqual([answer.get("result", answer) for answer in answers], [None] * 4)
                self.stored_once(made)
        made = self.ring()()
        for call in made:
            self.control.once(call[2], *call[:2])
        _, asked = self.under_way(lambda: made)
        answers = self.answers(asked)
        self.assertEqual([answer.get("result", answer) for answer in answers], [None] * 4)
        self.stored_once(made)
        self.sound()

    def test_known_for_another_call(self):
        """The answer is that of a key that belongs to another call; the others are stored."""
        for place in range(BATCHES):
            with self.subTest(place=place):
                known = self.once()
                self.control.once(known[2], *known[:2])
                other = (*self.usage(unique("other")), known[2])
                made, asked = self.under_way(self.ring(place=place, call=other))
                for i, answer in enumerate(self.answers(asked)):
                    kind = answer["error"]["data"]["kind"] if "error" in answer else None
                    self.assertEqual(kind, "invalid_request" if i == place else None)
                self.assertEqual([self.rows(tool(call)) for call in made].count(1), BATCHES - 1)
                self.assertEqual(self.rows(tool(other)), 0)
        self.sound()

    def test_the_same_in_two_batches(self):
        """It is carried out once, and both get its answer."""
        for other in range(1, BATCHES):

            def calls(other=other):
                made = self.ring()()
                made[other] = made[0]
                return made

            with self.subTest(other=other):
                made, asked = self.under_way(calls)
                answers = self.answers(asked)
                self.assertEqual([answer.get("result", answer) for answer in answers], [None] * 4)
                self.stored_once({call[2]: call for call in made}.values())
        self.sound()

    def test_the_same_answer(self):
        """An answer that the call makes is the one that is given again."""
        for new in (uuid4(), uuid4().upper()):
            user = {"email": f"{unique('u')}@example.com", "password_hash": "x", "id": new}
            which = unique("key")
            first = self.control.once(which, "create_user", user=user)
            self.assertEqual(self.control.once(which, "create_user", user=user), first)
            self.assertEqual(first, new.lower())

    def test_refused_at_each_place(self):
        """Nothing of it is stored, and its key is free."""
        for place in range(BATCHES):
            with self.subTest(place=place):
                name = unique("nobody")
                usage = new_usage("no-such-key", tool_name=name)
                refused = ("record_api_key_usage", {"usage": usage}, name)
                made, asked = self.under_way(self.ring(place=place, call=refused))
                for i, answer in enumerate(self.answers(asked)):
                    kind = answer["error"]["data"]["kind"] if "error" in answer else None
                    self.assertEqual(kind, "not_found" if i == place else None)
                self.stored_once([call for call in made if call is not refused])
                self.assertEqual(self.keys([name]), 0)
                self.control.once(name, *self.usage(name))
        self.sound()

    def test_rows_of_many(self):
        """All rows with their key, or none of them and a free key."""
        usages = [new_usage(self.key, tool_name=unique("many")) for _ in range(3)]
        which = unique("key")
        wrong = [*usages, new_usage("no-such-key")]
        refused = self.control.answer(self.keyed("record_api_key_usages", {"usages": wrong}, which))
        self.assertEqual(refused["error"]["data"]["path"], "usages[3].api_key_id")
        for _ in range(2):
            self.same(self.control.once(which, "record_api_key_usages", usages=usages), 3)
        self.same([self.rows(usage["tool_name"]) for usage in usages], [1] * 3)

    def keyed(self, method, params, which):
        data, identifier = self.control.encode(method, params, which)
        self.control.send(data, note=False)
        return identifier
