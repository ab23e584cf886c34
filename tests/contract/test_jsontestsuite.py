"""The files of JSONTestSuite, each as the bytes of a request's member. What must be refused is a parse_error, what must be
taken is taken and comes back equal, what is left open follows docs/protocol.md. Would catch: a lenient scanner, a lost line."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import strict  # noqa: E402
from lib.case import DaemonCase, main  # noqa: E402
from lib.daemon import SHARED  # noqa: E402
from lib.world import World  # noqa: E402

FOLDER = os.path.join(SHARED, "data", "jsontestsuite")
PING = b'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}'

# Left open by the JSON standard, decided by the protocol: numbers beyond a double or an integer's range, anything that is
# no valid UTF-8 or Unicode, and too deep nesting are refused; what only loses precision is taken.
OPEN_TAKEN = {"i_number_double_huge_neg_exp.json", "i_number_real_underflow.json"}


def expected(name):
    if name.startswith("y_"):
        return name not in ("y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json",
                            "y_object_escaped_null_in_key.json", "y_string_null_escape.json")
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

    def send_as_task(self, data):
        """The bytes as the input of a task: any JSON value is allowed there."""
        head = f'{{"jsonrpc":"2.0","id":2,"method":"create_a2a_task","params":["{self.client}",null,"t",'.encode()
        self.c.send(head + data + b"]}\n" + PING + b"\n", note=False)

    def test_parsing(self):
        self.client = World(self.c).client(World(self.c).api_key(self.user))
        count = 0
        for name, data in self.files("test_parsing"):
            if name.startswith("y_"):
                data = data.replace(b"\n", b" ")
            with self.subTest(name):
                count += 1
                if len(data) > 1 << 20:
                    continue
                self.send_as_task(data.strip(b"\n"))
                answers = []
                while not answers or answers[-1].get("id") != 1:   # a newline within the bytes makes more lines of it
                    answers.append(strict.loads(self.c.read_line()))
                verdicts = answers[:-1]
                if expected(name):
                    self.assertEqual([one["id"] for one in verdicts], [2], verdicts)
                    self.assertIn("result", verdicts[0], verdicts)
                    self.comes_back(verdicts[0]["result"], data)
                else:
                    self.assertTrue(verdicts, "no answer at all")
                    for one in verdicts:
                        self.assertIn(one["error"]["data"]["kind"], ("parse_error", "invalid_request", "invalid_params"), name)
                    self.assertEqual(verdicts[0]["error"]["data"]["kind"], "parse_error", verdicts)
        self.assertGreater(count, 300)

    def comes_back(self, task, data):
        self.same(self.ok("get_a2a_task", task_id=task)["input_data"], strict.loads(data))

    def test_as_whole_lines(self):
        """Each file by itself as a line: no request in any, an error for each, and the connection goes on."""
        for name, data in self.files("test_parsing"):
            with self.subTest(name):
                if len(data) > 1 << 20 or not data.strip():
                    continue
                self.c.send(data.strip(b"\n") + b"\n" + PING + b"\n", note=False)
                answers = []
                while True:
                    one = strict.loads(self.c.read_line())
                    if isinstance(one, dict) and one.get("result") == "pong":
                        break
                    answers.append(one)
                self.assertTrue(answers)
                for one in answers:
                    for error in one if isinstance(one, list) else [one]:
                        self.assertIn(error["error"]["data"]["kind"], ("parse_error", "invalid_request"))

    def test_transform(self):
        """What is taken comes back as it was; the rest is refused, never altered."""
        count = 0
        for name, data in self.files("test_transform"):
            with self.subTest(name):
                count += 1
                self.c.send(f'{{"jsonrpc":"2.0","id":3,"method":"upsert_user_profile","params":["{self.user}",{{"v":'.encode() +
                            data.strip(b"\n") + b"}]}\n", note=False)
                answer = strict.loads(self.c.read_line())
                if "error" in answer:
                    self.assertEqual(answer["error"]["data"]["kind"], "parse_error")
                    self.assertNotIn(name, ("number_1.0.json", "number_1e6.json", "number_1000000000000000.json",
                                            "number_9223372036854775807.json", "number_-9223372036854775808.json", "number_1e-999.json",
                                            "number_1.000000000000000005.json", "object_key_nfc_nfd.json", "object_key_nfd_nfc.json"))
                    continue
                self.assertNotIn(name, ("number_9223372036854775808.json", "number_-9223372036854775809.json",
                                        "number_10000000000000000999.json", "object_same_key_different_values.json",
                                        "string_with_escaped_NULL.json", "string_1_escaped_invalid_codepoint.json"))
                self.same(self.ok("get_user_profile", user_id=self.user), strict.loads(b'{"v":' + data.strip(b"\n") + b"}"))
        self.assertGreater(count, 20)


if __name__ == "__main__":
    main()
