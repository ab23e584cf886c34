"""The model of the interface: every answer of every test is checked against it. It records every
method that was called with success, so that the run can list those that no test reached."""
import json
import os

from . import interface
from .schema import Schemas

succeeded = set()  # methods, for the whole test process
secrets = set()  # canaries: texts that must not appear in any error or log


class Model:
    """document: the daemon's rpc.discover; None: only the hand-written interface is checked."""

    def __init__(self, document=None):
        self.schemas = None
        self.results = {}
        if document is not None:
            self.schemas = Schemas(document)
            for method in document["methods"]:
                method = self.schemas.resolve(method["$ref"]) if "$ref" in method else method
                self.results[method["name"]] = method["result"]["schema"]

    def check_answer(self, method, answer):
        """Raises AssertionError when the answer is not as promised. method: None when it is
        unknown."""
        assert isinstance(answer, dict), f"an answer that is not an object: {answer!r}"
        members = list(answer)
        assert members in (
            ["jsonrpc", "id", "result"],
            ["jsonrpc", "id", "error"],
        ), f"members of an answer: {members}"
        assert answer["jsonrpc"] == "2.0", answer["jsonrpc"]
        if "error" in answer:
            check_error(method, answer["error"])
        elif method is not None:
            self.check_result(method, answer["result"])

    def check_result(self, method, result):
        assert (
            method in interface.METHODS
        ), f"{method} answered, but is not a method of the interface"
        problem = interface.wrong(interface.METHODS[method][1], result)
        assert problem is None, f"{method}: {problem}"
        if self.schemas is not None:
            problem = self.schemas.wrong(self.results[method], result)
            assert problem is None, f"{method}: against rpc.discover: {problem}"
        succeeded.add(method)


def check_error(method, error):
    assert list(error) == [
        "code",
        "message",
        "data",
    ], f"{method}: members of an error: {list(error)}"
    data = error["data"]
    assert isinstance(data, dict) and list(data)[:2] == [
        "kind",
        "retryable",
    ], f"{method}: error.data {data!r}"
    assert data["kind"] in interface.ERRORS, f"{method}: unknown kind {data['kind']!r}"
    code, retryable = interface.ERRORS[data["kind"]]
    assert error["code"] == code, f"{method}: {data['kind']} has code {error['code']}"
    assert isinstance(data["retryable"], bool), data
    assert retryable is None or data["retryable"] == retryable, f"{method}: {data}"
    assert isinstance(error["message"], str) and error["message"], f"{method}: no message"
    if data["kind"] == "invalid_params":
        assert isinstance(
            data.get("path"), str
        ), f"{method}: invalid_params without a path: {error}"
    if data["kind"] == "conflict":
        assert data.get("field") in (
            "email",
            "id",
            "name",
            "version",
            "position",
        ), f"{method}: conflict about {data.get('field')!r}"
    if data["kind"] == "timeout":
        assert data.get("outcome") in (
            "none",
            "unknown",
        ), f"{method}: timeout with outcome {data.get('outcome')!r}"
    if data["kind"] == "internal":
        assert "ref" in data, f"{method}: internal without ref"
    text = json.dumps(error, ensure_ascii=False)
    for secret in secrets:
        assert secret not in text, f"{method}: a secret is in the error {data['kind']}"
    lowered = error["message"].lower()
    for word in ("sqlstate", "constraint failed", "violates", "sqlite3_", "pq:", "psql"):
        assert (
            word not in lowered
        ), f"{method}: the database's own words in a message: {error['message']}"


def save_coverage():
    """Writes the names of the methods called with success for tests/run.py."""
    folder = os.environ.get("PIERRE_TEST_COVERAGE")
    if folder:
        with open(os.path.join(folder, f"{os.getpid()}.json"), "w", encoding="utf-8") as file:
            json.dump(sorted(succeeded), file)
