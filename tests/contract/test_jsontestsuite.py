"""The files of JSONTestSuite, each as the bytes of a request's member. What must be refused is a
parse_error, what must be accepted is returned equal, and what is left open follows
docs/protocol.md. Would catch: a lenient scanner, a lost line."""
import os

from lib import strict
from lib.case import DaemonCase
from lib.daemon import SHARED
from lib.world import World

FOLDER = os.path.join(SHARED, "data", "jsontestsuite")

# Left open by the JSON standard, decided by the protocol: numbers beyond a double or an integer's
# range, invalid UTF-8 or Unicode, and too deep nesting are refused. A mere loss of precision is
# accepted.
OPEN_TAKEN = {"i_number_double_huge_neg_exp.json", "i_number_real_underflow.json"}


def expected(name):
    if name.startswith("y_"):
        return name not in (
            "y_object_duplicated_key.json",
            "y_object_duplicated_key_and_value.json",
            "y_object_escaped_null_in_key.json",
            "y_string_null_escape.json",
        )
    return name in OPEN_TAKEN


class Suite(DaemonCase):
    def setUp(self):
        super().setUp()
        if not os.path.isdir(FOLDER):
            self.skipTest(f"JSONTestSuite is ABSENT ({FOLDER}): not tested")
        self.user = World(self.c).user()

    def files(self, folder):
        path = os.path.join(FOLDER, folder)
        for name in sorted(os.listdir(path)):
            if name.endswith(".json"):
                with open(os.path.join(path, name), "rb") as file:
                    yield name, file.read()

    def answers(self, data):
        """Returns all answers to the bytes on a new connection."""
        with self.daemon.connect() as connection:
            connection.send(data + b"\n", note=False)
            connection.half_close()
            found = []
            for line in connection.read_to_end():
                answer = strict.loads(line)
                found += answer if isinstance(answer, list) else [answer]
            return found

    def test_parsing(self):
        """As the input of a task, where any JSON value is allowed."""
        client = World(self.c).client(World(self.c).api_key(self.user))
        count = 0
        for name, data in self.files("test_parsing"):
            with self.subTest(name):
                if name.startswith("y_"):
                    data = data.replace(b"\n", b" ")  # one line
                count += 1
                head = (
                    '{"jsonrpc":"2.0","id":2,"method":"create_a2a_task",'
                    f'"params":["{client}",null,"t",'
                )
                answers = self.answers(head.encode() + data.strip(b"\n") + b"]}")
                if expected(name):
                    self.assertEqual(
                        [(one["id"], "result" in one) for one in answers], [(2, True)], answers
                    )
                    self.see_all(self.c)
                    self.same(
                        self.ok("get_a2a_task", task_id=answers[0]["result"])["input_data"],
                        strict.loads(data),
                    )
                else:  # a newline within the bytes makes two lines of them
                    kinds = [one["error"]["data"]["kind"] for one in answers]
                    self.assertEqual(kinds[:1], ["parse_error"], answers)
                    self.assertLessEqual(
                        set(kinds),
                        {"parse_error", "invalid_request"} if b"\n" in data else {"parse_error"},
                    )
        self.assertGreater(count, 300)

    def test_as_whole_lines(self):
        """Each file as a line: none is a request, so each gets an error."""
        for name, data in self.files("test_parsing"):
            with self.subTest(name):
                if data.strip():
                    answers = self.answers(data.strip(b"\n"))
                    self.assertTrue(answers)
                    for one in answers:
                        self.assertIn(
                            one["error"]["data"]["kind"], ("parse_error", "invalid_request")
                        )
        self.assertEqual(self.ok("daemon.ping"), "pong")

    def test_transform(self):
        """Accepted documents are returned unchanged; others are refused, never altered."""
        count = 0
        for name, data in self.files("test_transform"):
            with self.subTest(name):
                count += 1
                head = (
                    '{"jsonrpc":"2.0","id":3,"method":"upsert_user_profile",'
                    f'"params":["{self.user}",{{"v":'
                )
                self.c.send(head.encode() + data.strip(b"\n") + b"}]}\n", note=False)
                answer = strict.loads(self.c.read_line())
                if "error" in answer:
                    self.assertEqual(answer["error"]["data"]["kind"], "parse_error")
                    self.assertNotIn(
                        name,
                        (
                            "number_1.0.json",
                            "number_1e6.json",
                            "number_1000000000000000.json",
                            "number_9223372036854775807.json",
                            "number_-9223372036854775808.json",
                            "number_1e-999.json",
                            "number_1.000000000000000005.json",
                            "object_key_nfc_nfd.json",
                            "object_key_nfd_nfc.json",
                        ),
                    )
                    continue
                self.assertNotIn(
                    name,
                    (
                        "number_9223372036854775808.json",
                        "number_-9223372036854775809.json",
                        "number_10000000000000000999.json",
                        "object_same_key_different_values.json",
                        "string_with_escaped_NULL.json",
                        "string_1_escaped_invalid_codepoint.json",
                    ),
                )
                self.same(
                    self.ok("get_user_profile", user_id=self.user),
                    strict.loads(b'{"v":' + data.strip(b"\n") + b"}"),
                )
        self.assertGreater(count, 20)
