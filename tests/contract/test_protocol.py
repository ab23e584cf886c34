"""Framing, envelopes, ids, notifications and batches (docs/protocol.md). Would catch: an answer to
a notification, an id of another type, a batch out of order, a dropped last line without a newline,
a connection closed because of a bad line."""
import json
import os

from lib import strict
from lib.case import Case, DaemonCase
from lib.daemon import SHARED, Daemon
from lib.world import World, new_user, unique

PING = b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}'
PONG = {"jsonrpc": "2.0", "id": 1, "result": "pong"}


class Wire(DaemonCase):
    def exchange(self, data, count=1):
        self.c.send(data)
        answers = [self.c.read() for _ in range(count)]
        return answers[0] if count == 1 else answers

    def lines(self, data):
        """Returns all answers to the bytes, on a new connection that is half-closed after them."""
        with self.daemon.connect() as connection:
            connection.send(data)
            connection.half_close()
            return [connection.check(line) for line in connection.read_to_end()]

    def refuses(self, text, kind="invalid_request", identifier=None):
        """The line is answered with that error, and the connection continues."""
        answer = self.exchange(text if isinstance(text, bytes) else text.encode() + b"\n")
        self.assertEqual((answer["error"]["data"]["kind"], answer["id"]), (kind, identifier), text)
        self.same(self.exchange(PING + b"\n"), PONG)
        return answer["error"]


class Framing(Wire):
    def test_line_ends(self):
        for end in (b"\n", b"\r\n", b" \n", b"\t\r\n", b" \r \t\r\n"):
            self.same(self.exchange(PING + end), PONG)

    def test_white_space_around_and_empty_lines(self):
        self.same(self.exchange(b"\n\r\n  \n\t\r\n" + b" \t " + PING + b" \n\n\n"), PONG)
        self.assertTrue(self.c.silent(0.1))

    def test_white_space_within(self):
        self.same(
            self.exchange(
                b'{ "jsonrpc" : "2.0" ,\t"id" : 1 , "method" : "daemon.ping" , "params" : [ ] }\n'
            ),
            PONG,
        )

    def test_last_line_without_newline(self):
        self.same(self.lines(PING), [PONG])
        self.same(self.lines(PING + b"\n" + PING), [PONG, PONG])
        self.same(self.lines(PING + b"\r"), [PONG])
        self.same(self.lines(b""), [])
        self.same(self.lines(b"\n\n  "), [])
        (answer,) = self.lines(PING[:-1])
        self.assertEqual(answer["error"]["data"]["kind"], "parse_error")

    def test_half_close_gets_every_answer(self):
        """Also for slow calls and for many: all answers arrive before the daemon closes."""
        with self.daemon.connect() as connection:
            for _ in range(3):
                connection.request("verify_user_password", email="nobody@example.com", password="x")
            for _ in range(500):
                connection.request("create_user", user=new_user())
            connection.half_close()
            answers = [connection.check(line) for line in connection.read_to_end()]
            self.assertEqual(sorted(one["id"] for one in answers), list(range(1, 504)))
            self.assertTrue(all("result" in one for one in answers))

    def test_one_byte_at_a_time(self):
        for byte in PING + b"\n":
            self.c.send(bytes([byte]))
        self.same(self.c.read(), PONG)

    def test_many_lines_in_one_write(self):
        answers = self.exchange((PING + b"\n") * 300, 300)
        self.assertTrue(all(one == PONG for one in answers))

    def test_answers_are_one_line_of_compact_json(self):
        user = World(self.c).user(display_name='line\nfeed\r\u2028 "q"')
        self.c.request("get_user", user_id=user)
        line = self.c.read_line()
        self.assertEqual(line, strict.dumps(strict.loads(line)).encode())

    def test_parse_errors_keep_the_connection(self):
        for bad in (
            b"x",
            b"{",
            b"}",
            b"[",
            b'{"a"}',
            b'{"a":}',
            b"[1,]",
            b'"',
            b"{'a':1}",
            b"nul",
            b"tru",
            b"01",
            b"1.",
            b".5",
            b"+1",
            b"-",
            b"1e",
            b"0x10",
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"//",
            b"/**/{}",
            PING + PING,
            PING + b"x",
            PING + b" " + PING,
            b"[1 2]",
            b'{"a":1 "b":2}',
            b'{"a":1,}',
            b"\x0c",
            b"\xa0" + PING,
            b"\\u007b",
            b'{"a":"\t"}',
            b'{"a":"\x7f\x1f"}',
            b'"\\x41"',
            b'"\\u12"',
            b'"\\ud800"',
            b'"\\udc00"',
            b'"\\ud800\\u0041"',
            b'"\\udc00\\ud800"',
            b'"\\u0000"',
            b'{"\\u0000":1}',
            b"\x00",
            PING + b"\x00",
            b"\x00" + PING,
            PING[:-1] + b"\x00}",
            b'"a\x00b"',
            b'"\xff"',
            b'"\xc0\x80"',
            b'"\xc3"',
            b'"\xed\xa0\x80"',
            b'"\xed\xb0\x80"',
            b'"\xf4\x90\x80\x80"',
            b'"\xf8\x88\x80\x80\x80"',
            b'"\xe2\x82"',
            b'"\xe0\x80\xaf"',
            b'"\xf0\x80\x80\x80"',
            b"\xef\xbb\xbf" + PING,
            b"\xff\xfe" + PING,
            PING + b"\xff",
            b'{"a":1,"a":1}',
            b'{"a":1,"\\u0061":2}',
            b'{"x":{"a":1,"b":2,"a":3}}',
            PING[:-1] + b',"id":1}',
            b"9223372036854775808",
            b"-9223372036854775809",
            b"1e309",
            b"-1e309",
            b"1e400",
            b"1e999999999",
            b"[123456789012345678901234567890]",
        ):
            error = self.refuses(bad + b"\n", "parse_error")
            self.assertEqual(error["code"], -32700)

    BREACHES = (
        b"18446744073709551616",
        b"1e400",
        b"-1e999",
        b'"\\u0000"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'{"\\ud800":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"x":{"a":1,"b":2,"a":3}}',
        b"[" * 64 + b"]" * 64,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 9000 + b"1e400" + b"}" * 9000,
    )

    def test_breach_of_a_rule_is_answered_with_its_id(self):
        for breach in self.BREACHES:
            for text in (
                b'{"jsonrpc":"2.0","id":7,"method":"get_user_count","x":%s}',
                b'{"x":%s,"method":"no such","id":7}',
                b'{"\\u0069d":7,"x":[1,%s,2],"jsonrpc":"2.0","method":"get_user_count"}',
            ):
                self.refuses(text % breach + b"\n", "parse_error", 7)
        self.refuses(
            b'{"jsonrpc":"2.0","id":"a b","method":"daemon.ping","method":"daemon.ping"}\n',
            "parse_error",
            "a b",
        )

    def test_breach_without_an_id_that_can_be_told(self):
        for text in (
            b'{"id":1,"id":1,"x":1e400}',
            b'{"id":1,"\\u0069d":2}',
            b'{"id":18446744073709551616}',
            b'{"id":"\\ud800"}',
            b'{"id":1e400}',
            b'{"id":[1e400]}',
            b'{"id":5,"x":"\xff"}',
            b'{"id":5,"x":1e400',
            b'{"id":5,"x":1e400}}',
            b'{"id":5,"x":[1e400}',
            b'{"x":1e400,"method":"daemon.ping"}',
            b"1e400",
            b"[1e400,2]",
            b'{"id":5,"x":' + b"[" * 100_000,
        ):
            self.refuses(text + b"\n", "parse_error", None)

    def test_notification_that_breaks_a_rule_is_not_answered(self):
        self.c.send(b'{"jsonrpc":"2.0","method":"daemon.ping","x":1e400}\n')
        self.same(self.exchange(PING + b"\n"), PONG)

    def test_breach_within_a_batch(self):
        """Each call is checked separately; the others continue, in their order."""
        for breach in self.BREACHES:
            line = (
                b'[{"jsonrpc":"2.0","id":1,"method":"daemon.ping"},'
                b'{"jsonrpc":"2.0","id":2,"method":"daemon.ping","x":%s},5,'
                b'{"jsonrpc":"2.0","id":"c","method":"get_user_count"},'
                b'{"id":4,"id":5,"x":%s},1e400,'
                b'{"jsonrpc":"2.0","method":"daemon.ping","x":%s}]\n' % (breach, breach, breach)
            )
            answers = self.exchange(line)
            found = [
                (one["id"], one["error"]["data"]["kind"] if "error" in one else "ok")
                for one in answers
            ]
            self.assertEqual(
                found,
                [
                    (1, "ok"),
                    (2, "parse_error"),
                    (None, "invalid_request"),
                    ("c", "ok"),
                    (None, "parse_error"),
                    (None, "parse_error"),
                ],
                breach[:80],
            )

    def test_foreign_lines_are_named(self):
        for text, word in (
            (b"GET / HTTP/1.1\r", "HTTP"),
            (b"post /rpc HTTP/1.0", "HTTP"),
            (b"HTTP/1.1 200 OK", "HTTP"),
            (b"Content-Length: 52\r", "header"),
            (b"content-length:5", "header"),
            (b"\xef\xbb\xbf" + PING, "byte order mark"),
            (b"{", "pretty-printed"),
            (b"[", "pretty-printed"),
            (b"  [{ ", "pretty-printed"),
            (b'{ "jsonrpc": "2.0",', "pretty-printed"),
            (b"\x16\x03\x01\x02", "TLS"),
            (b"\xff\xfe{\x00", "UTF-16"),
        ):
            error = self.refuses(text + b"\n", "parse_error")
            self.assertIn(word, error["message"], text)
            self.assertRegex(error["message"], "one line|per line|UTF-8", text)

    def test_utf16_is_refused(self):
        """Its bytes contain newlines at random places. All answers are parse errors, and the
        connection stays open."""
        with self.daemon.connect() as connection:
            connection.send(PING.decode().encode("utf-16") + b"\n" + PING + b"\n")
            first = connection.read()
            self.assertEqual(first["error"]["data"]["kind"], "parse_error")
            self.same(connection.read(), PONG)

    def test_numbers_at_the_edge_are_taken(self):
        for text in (
            b"9223372036854775807",
            b"-9223372036854775808",
            b"1.7976931348623157e308",
            b"1e-400",
            b"-0",
            b"-0.0",
            b"0e1",
            b"9223372036854775808.0",
            b"1e308",
        ):
            self.same(self.exchange(PING[:-1] + b',"extra":' + text + b"}\n"), PONG)


class Envelope(Wire):
    def test_ids_come_back(self):
        for text in (
            "0",
            "1",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "null",
            '""',
            '"1"',
            '"null"',
            '"a b"',
            '"é😀"',
            '"\\u00e9\\n\\"\\\\\\/"',
            '"' + "x" * 256 + '"',
            '"' + "é" * 128 + '"',
            "-0",
        ):
            answer = self.exchange(f'{{"jsonrpc":"2.0","id":{text},"method":"daemon.ping"}}\n')
            self.same(answer["id"], strict.loads(text))
            self.assertEqual(answer["result"], "pong")
            answer = self.exchange(f'{{"jsonrpc":"2.0","id":{text},"method":"no.such.method"}}\n')
            self.same(answer["id"], strict.loads(text))

    def test_other_ids_are_invalid(self):
        for text in (
            "true",
            "false",
            "[]",
            "{}",
            "[1]",
            '{"a":1}',
            "1.5",
            "1.0",
            "1e2",
            "-0.0",
            '"' + "x" * 257 + '"',
            '"' + "é" * 129 + '"',
        ):
            self.refuses(f'{{"jsonrpc":"2.0","id":{text},"method":"daemon.ping"}}')

    def test_invalid_requests(self):
        for text in (
            "1",
            '"x"',
            "null",
            "true",
            "1.5",
            "{}",
            '{"foo":"boo"}',
            '{"jsonrpc":"2.0"}',
            '{"jsonrpc":"1.0","method":"daemon.ping"}',
            '{"jsonrpc":2.0,"method":"daemon.ping"}',
            '{"jsonrpc":"2.0","method":1}',
            '{"jsonrpc":"2.0","method":null}',
            '{"jsonrpc":"2.0","method":["daemon.ping"]}',
            '{"method":"daemon.ping"}',
            '{"jsonrpc":null,"method":"daemon.ping"}',
            '{"jsonrpc":"2.0","method":"daemon.ping","params":1}',
            '{"jsonrpc":"2.0","method":"daemon.ping","params":"x"}',
            '{"JSONRPC":"2.0","METHOD":"daemon.ping"}',
            '{"jsonrpc":"2.00","method":"daemon.ping"}',
        ):
            error = self.refuses(text)
            self.assertEqual(error["code"], -32600)

    def test_invalid_requests_with_an_id(self):
        """The id of an invalid request is returned if it can be determined, else null."""
        for text in (
            '{"jsonrpc":"2.0","id":5}',
            '{"jsonrpc":"1.0","id":5,"method":"daemon.ping"}',
            '{"id":5,"method":"daemon.ping"}',
            '{"jsonrpc":"2.0","id":5,"method":7}',
            '{"jsonrpc":"2.0","id":5,"method":"daemon.ping","params":"x"}',
            '{"jsonrpc":"2.0","id":5,"method":"daemon.ping","params":false}',
        ):
            answer = self.exchange(text + "\n")
            self.assertEqual(answer["error"]["data"]["kind"], "invalid_request", text)
            self.assertIn(answer["id"], (5, None), text)

    def test_other_members_are_ignored(self):
        self.same(
            self.exchange(PING[:-1] + b',"trace":{"a":[1]},"Method":"x","result":1,"error":{}}\n'),
            PONG,
        )

    def test_order_of_members_does_not_matter(self):
        self.same(
            self.exchange(b'{"params":{},"method":"daemon.ping","id":1,"jsonrpc":"2.0"}\n'), PONG
        )

    def test_escaped_names(self):
        self.same(
            self.exchange(
                b'{"json\\u0072pc":"2.\\u0030","\\u0069d":1,"method":"daemon\\u002eping"}\n'
            ),
            PONG,
        )

    def test_method_not_found(self):
        for name in (
            "",
            "daemon.pin",
            "daemon.ping ",
            "Daemon.Ping",
            "get_user\\n",
            "rpc.",
            "rpc.other",
            "é",
            "x" * 5000,
            "__proto__",
            "%s%n",
        ):
            answer = self.exchange(f'{{"jsonrpc":"2.0","id":7,"method":"{name}"}}\n')
            self.assertEqual(
                (answer["id"], answer["error"]["data"]["kind"], answer["error"]["code"]),
                (7, "method_not_found", -32601),
                name,
            )

    def test_params_null_is_like_none_or_refused_as_a_whole(self):
        """JSON-RPC leaves null params open: either way there is one answer, and the connection
        continues."""
        answer = self.exchange(b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping","params":null}\n')
        self.assertTrue(
            answer.get("result") == "pong" or answer["error"]["data"]["kind"] == "invalid_request",
            answer,
        )

    def test_notifications_are_never_answered(self):
        for text in (
            '{"jsonrpc":"2.0","method":"daemon.ping"}',
            '{"jsonrpc":"2.0","method":"no.such"}',
            '{"jsonrpc":"2.0","method":"get_user","params":{"user_id":"x"}}',
            '{"jsonrpc":"2.0","method":"get_user","params":[1,2,3]}',
            '{"jsonrpc":"2.0","method":"update_last_active",'
            '"params":["00000000-0000-4000-8000-00000000dead"]}',
        ):
            self.same(self.exchange(text.encode() + b"\n" + PING + b"\n"), PONG)
        self.assertTrue(self.c.silent(0.1))

    def test_notifications_take_effect(self):
        email = f"{unique('note')}@example.com"
        self.c.send(
            strict.dumps(
                {
                    "jsonrpc": "2.0",
                    "method": "create_user",
                    "params": {"user": new_user(email=email)},
                }
            )
            + "\n"
        )
        self.assertIsNotNone(self.ok("get_user_by_email", email=email))


class Batches(Wire):
    def batch(self, *texts):
        return self.exchange(("[" + ",".join(texts) + "]\n").encode())

    def test_empty(self):
        for text in (b"[]\n", b" [ ] \n"):
            error = self.refuses(text)
            self.assertEqual(error["code"], -32600)

    def test_invalid_items(self):
        for items in (["1"], ["1", "2"], ["1", '"x"', "null", "[]", "{}", "[1]", "true", "1.5"]):
            answers = self.batch(*items)
            self.assertEqual(len(answers), len(items))
            for answer in answers:
                self.assertEqual(
                    (answer["id"], answer["error"]["data"]["kind"]), (None, "invalid_request")
                )

    def test_notifications_only(self):
        note = '{"jsonrpc":"2.0","method":"daemon.ping"}'
        for items in ([note], [note] * 1000, ['{"jsonrpc":"2.0","method":"no.such"}', note]):
            self.c.send("[" + ",".join(items) + "]\n")
        self.same(self.exchange(PING + b"\n"), PONG)

    def test_answers_stand_in_request_order(self):
        """Slow, fast, failing and unknown calls mixed; notifications leave no gap."""
        items = []
        for index in range(40):
            method, params = (
                ("daemon.ping", []),
                ("verify_user_password", ["nobody@example.com", "x"])
                if index == 1
                else ("get_user_count", []),
                ("get_user", [7]),
                ("no.such", []),
                ("create_user", [new_user()]),
            )[index % 5]
            items.append({"jsonrpc": "2.0", "id": f"i{index}", "method": method, "params": params})
            if index % 3 == 0:
                items.append({"jsonrpc": "2.0", "method": "daemon.ping"})
        answers = self.batch(*map(strict.dumps, items))
        self.assertEqual([one["id"] for one in answers], [f"i{index}" for index in range(40)])
        kinds = [one["error"]["data"]["kind"] if "error" in one else "ok" for one in answers]
        self.assertEqual(kinds, ["ok", "ok", "invalid_params", "method_not_found", "ok"] * 8)

    def test_same_ids(self):
        answers = self.batch(*[PING.decode()] * 3)
        self.same(answers, [PONG] * 3)

    def test_batch_of_one_is_an_array(self):
        self.same(self.batch(PING.decode()), [PONG])

    def test_broken_batch_is_one_error(self):
        for text in (
            "[" + PING.decode() + ",",
            "[" + PING.decode() + ',{"jsonrpc"]',
            "[" + PING.decode() + "]]",
        ):
            self.refuses(text, "parse_error")

    def test_1000_and_1001(self):
        answers = self.batch(
            *[f'{{"jsonrpc":"2.0","id":{index},"method":"daemon.ping"}}' for index in range(1000)]
        )
        self.assertEqual([one["id"] for one in answers], list(range(1000)))
        note = '{"jsonrpc":"2.0","method":"daemon.ping"}'
        for items in ([PING.decode()] * 1001, [note] * 1001, ["1"] * 1001):
            error = self.refuses("[" + ",".join(items) + "]")
            self.assertEqual(error["code"], -32600)

    def test_batch_is_no_transaction(self):
        user, email = new_user(), f"{unique('b')}@example.com"
        calls = [
            ("create_user", [user]),
            ("create_user", [user]),
            ("create_user", [new_user(email=email)]),
        ]
        answers = self.batch(
            *[
                strict.dumps({"jsonrpc": "2.0", "id": index, "method": method, "params": params})
                for index, (method, params) in enumerate(calls)
            ]
        )
        self.assertEqual([("result" in one) for one in answers], [True, False, True])
        self.assertEqual(answers[1]["error"]["data"]["field"], "email")
        self.assertIsNotNone(self.ok("get_user_by_email", email=email))

    def test_order_within_a_batch(self):
        """A read sees the writes before it in the same batch, not those after it."""
        user = World(self.c).user()
        calls = []
        for index in range(100):
            calls.append(("upsert_user_profile", [user, {"n": index}]))
            calls.append(("get_user_profile", [user]))
        answers = self.batch(
            *[
                strict.dumps({"jsonrpc": "2.0", "id": index, "method": method, "params": params})
                for index, (method, params) in enumerate(calls)
            ]
        )
        self.assertEqual([one["result"]["n"] for one in answers[1::2]], list(range(100)))


class SpecExamples(Case):
    """The examples of the JSON-RPC 2.0 specification, with methods of this daemon instead of the
    specification's."""

    def test_examples(self):
        path = os.path.join(SHARED, "data", "jsonrpc2_spec_examples.json")
        if not os.path.exists(path):
            self.skipTest(f"the specification's examples are ABSENT ({path}): not tested")
        with open(path, encoding="utf-8") as file:
            cases = json.load(file)["cases"]
        replaced = {
            "subtract": (
                "get_top_tools_analysis",
                [
                    "00000000-0000-4000-8000-000000000001",
                    "2025-01-01T00:00:00Z",
                    "2025-01-02T00:00:00Z",
                ],
            ),
            "sum": ("daemon.ping", []),
            "get_data": ("get_user_count", []),
            "update": ("daemon.ping", []),
            "notify_hello": ("daemon.ping", []),
            "notify_sum": ("daemon.ping", []),
        }
        with Daemon() as daemon, daemon.connect() as connection:
            for case in cases:
                with self.subTest(case["name"]):
                    self.one(connection, case, replaced)
        self.assertGreater(len(cases), 10)

    def one(self, connection, case, replaced):
        try:
            sent = strict.loads(case["send"])
        except ValueError:
            data = case["send"]
        else:
            for request in sent if isinstance(sent, list) else [sent]:
                if isinstance(request, dict) and request.get("method") in replaced:
                    request["method"], request["params"] = replaced[request["method"]]
            data = strict.dumps(sent)
        connection.send(data + "\n")
        if case["expect"] is None:
            self.assertTrue(connection.silent(0.1))
            return
        answer = connection.read()
        self.assertEqual(self.shape(answer), self.shape(case["expect"]))

    def shape(self, answer):
        """Returns what an answer and the specification's have in common: ids, which failed, and
        with which code."""
        if isinstance(answer, list):
            return [self.shape(one) for one in answer]
        return (answer["id"], answer["error"]["code"] if "error" in answer else "result")
