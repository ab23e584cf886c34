"""Every parameter of every method, and every member of every parameter object, in every wrong way:
missing, null, each wrong type, out of range, extra, unknown. Each must be invalid_params with the
path of the wrong member, before anything is stored. Would catch: an unchecked member, a boolean
accepted as a number, a path that names another member."""

from lib import strict
from lib.case import DaemonCase
from lib.interface import IDENTIFIER_MAX_BYTES, INPUTS, METHODS, RANGES
from lib.world import Samples

# Values of every JSON type, including unusual ones, with the types that accept them.
VALUES = [
    (True, "bool"),
    (False, "bool"),
    (0, "integer"),
    (1, "integer"),
    (-1, "integer"),
    (65536, "integer"),
    (2**32, "integer"),
    (2**63 - 1, "integer"),
    (-(2**63), "integer"),
    (1.5, "real"),
    (1.0, "real"),
    (-0.0, "real"),
    (1e300, "real"),
    ("", "string"),
    ("x", "string"),
    ("true", "string"),
    ("5", "string"),
    ("null", "string"),
    ("00000000-0000-4000-8000-00000000000g", "string"),
    ("2025-06-19", "string"),
    ("starter ", "string"),
    ("é\u202e😀", "string"),
    ([], "strings"),
    (["a"], "strings"),
    ([1], "array"),
    ([None], "array"),
    ([["a"]], "array"),
    (["a", 2], "array"),
    ({}, "object"),
    ({"a": 1}, "object"),
    ({"length": 1}, "object"),
    ([{}], "array"),
    ("é" * (IDENTIFIER_MAX_BYTES // 2) + "x", "string"),
]


def takes(kind, value, shape):
    """Checks whether a parameter of that kind accepts the value (of that shape), so that it is not
    a bad case."""
    kind = kind.rstrip("?")
    if kind in ("any", "json"):
        return True
    if kind == "null" or kind in INPUTS:
        return False
    if kind == "bool":
        return shape == "bool"
    if kind in RANGES:
        return shape == "integer" and RANGES[kind][0] <= value <= RANGES[kind][1]
    if kind == "f64":
        return shape in ("integer", "real")
    if kind in ("string", "password"):
        return shape == "string"
    if kind == "identifier":
        return shape == "string" and len(value.encode()) <= IDENTIFIER_MAX_BYTES
    if kind == "[string]":
        return shape == "strings"
    if kind == "document":
        return shape == "object"
    if kind == "ip":  # any text that is short enough is stored
        return shape == "string" and len(value.encode()) <= 255
    return False  # uuid, timestamp, email and the enumerations accept none of the texts above


def cases(method, sample):
    """Returns (params, path or set of paths) of everything that is wrong with one method's
    parameters."""
    params = METHODS[method][0]
    names = list(params)
    for name, kind in params.items():
        without = {key: value for key, value in sample.items() if key != name}
        if not kind.endswith("?"):
            yield without, {name}
            if kind != "json":
                yield {**sample, name: None}, {name}
        for value, shape in VALUES:
            if not takes(kind, value, shape):
                if kind in INPUTS and shape == "object":
                    yield {**sample, name: value}, set(INPUTS[kind]) | set(value) | {name}
                else:
                    yield {**sample, name: value}, {name}
        if kind in INPUTS:
            yield from member_cases(name, INPUTS[kind], sample)
        elif kind[1:-1] in INPUTS:
            yield from row_cases(name, INPUTS[kind[1:-1]], sample[name])
        for wrong in (name.upper(), name + " ", name[:-1]):
            yield {**without, wrong: sample.get(name)}, {wrong, name}
    for extra in ("extra", "", "é", "__proto__", "jsonrpc"):
        for value in (None, 1, {}):
            yield {**sample, extra: value}, {extra}
    full = [sample.get(name) for name in names]
    for surplus in (None, 1, "x", [], {}):
        yield full + [surplus], None
    yield full + [1] * 50, None
    for length in range(len(names)):
        if any(not params[name].endswith("?") for name in names[length:]):
            yield full[:length], {name for name in names[length:]}
    for index, name in enumerate(names):
        for value, shape in VALUES:
            if not takes(params[name], value, shape) and params[name] not in INPUTS:
                yield full[:index] + [value] + full[index + 1 :], {name}


def member_cases(name, members, sample):
    inner = sample[name]
    for member, kind in members.items():
        path = f"{name}.{member}"
        without = {key: value for key, value in inner.items() if key != member}
        if not kind.endswith("?"):
            yield {**sample, name: without}, {path}
            yield {**sample, name: {**inner, member: None}}, {path}
        for value, shape in VALUES:
            if not takes(kind, value, shape):
                yield {**sample, name: {**inner, member: value}}, {path}
            elif kind == "password?" and shape == "string":
                yield {**sample, name: {**inner, member: value}}, {
                    path,
                    name,
                    f"{name}.password_hash",
                }  # both passwords
        yield {**sample, name: {**without, member + "x": 1}}, {path + "x", path}
    for extra in ("extra", "", "Id", "ciphertext"):
        yield {**sample, name: {**inner, extra: 1}}, {f"{name}.{extra}"}


def row_cases(name, members, rows):
    """A list of objects: too short, too long, and what is wrong with one of them."""
    yield {name: []}, {name}
    yield {name: rows[:1] * 1001}, {name}
    for value, shape in VALUES:
        if shape != "object":
            yield {name: [rows[0], value]}, {f"{name}[1]"}
    for wrong, paths in member_cases("row", members, {"row": rows[0]}):
        yield {name: [rows[0], rows[1], wrong["row"]]}, {
            path.replace("row", f"{name}[2]", 1) for path in paths
        }


class BadParams(DaemonCase):
    def test_every_bad_parameter(self):
        samples = Samples(self.c)
        before = self.content(samples)
        total = 0
        for method in METHODS:
            sample = samples.params()[method]
            batch = [(params, paths) for params, paths in cases(method, sample)]
            for at in range(0, len(batch), 200):
                part = batch[at : at + 200]
                answers = self.c.many([(method, params) for params, _ in part])
                for (params, paths), answer in zip(part, answers):
                    total += 1
                    self.judge(method, params, paths, answer)
        self.same(self.content(samples), before)
        print(f"  {total} bad parameters refused", flush=True)
        self.assertGreater(total, 5000)

    def judge(self, method, params, paths, answer):
        words = f"{method} {strict.dumps(params)[:300]}"
        self.assertIn("error", answer, words)
        data = answer["error"]["data"]
        self.assertEqual(data["kind"], "invalid_params", f"{words}: {answer['error']}")
        if paths is not None:
            wanted = {shorten(path) for path in paths}
            self.assertTrue(
                shorten(data["path"]) in wanted
                or any(shorten(data["path"]).startswith((f"{one}.", f"{one}[")) for one in wanted),
                f"{words}: path {data['path']!r}, not one of {wanted}",
            )

    def content(self, samples):
        """Returns what reads show about everything that the bad calls concern."""
        return [
            self.ok("get_system_stats"),
            self.ok("get_user_count"),
            self.ok("get_user", user_id=samples.user),
            self.ok("get_user_api_keys", user_id=samples.user),
            self.ok("list_a2a_clients", user_id=samples.user),
            self.ok("get_user_goals", user_id=samples.user),
            self.ok("get_user_insights", user_id=samples.user),
            self.ok("get_request_logs", limit=1000),
            self.ok("get_a2a_task", task_id=samples.task),
            self.ok("get_a2a_session", session_token=samples.session),
            self.ok("get_a2a_client_current_usage", client_id=samples.client),
        ]

    def test_samples_are_right(self):
        """The valid parameters from which the bad ones are made succeed; otherwise every case above
        would prove nothing."""
        samples = Samples(self.c)
        for method in METHODS:
            self.ok(method, samples.params()[method])
        for method in METHODS:
            sample = samples.params()[method]
            self.ok(method, [sample.get(name) for name in METHODS[method][0]])

    def test_null_for_all_that_is_optional(self):
        samples = Samples(self.c)
        for method, (params, _, _) in METHODS.items():
            sample = dict(samples.params()[method])
            for name, kind in params.items():
                if kind.endswith("?"):
                    sample[name] = None
                elif kind in INPUTS:
                    sample[name] = {
                        key: None
                        if INPUTS[kind][key].endswith("?") and key != "password_hash"
                        else value
                        for key, value in sample[name].items()
                    }
            self.ok(method, sample)

    def test_missing_params(self):
        """Missing params, [] and {} mean the same."""
        for method, (params, _, _) in METHODS.items():
            required = [name for name, kind in params.items() if not kind.endswith("?")]
            for given in (None, [], {}):
                data = {"jsonrpc": "2.0", "id": "m", "method": method}
                if given is not None:
                    data["params"] = given
                self.c.send(strict.dumps(data) + "\n")
                answer = self.c.read()
                if required:
                    self.assertEqual(answer["error"]["data"]["kind"], "invalid_params", method)
                    self.assertIn(answer["error"]["data"]["path"], required)
                else:
                    self.assertIn("result", answer, method)


def shorten(path):
    return path[:150]
