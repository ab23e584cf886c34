"""A raw JSON-RPC connection: bytes out, lines in. Every answer is strict JSON and is checked
against the interface's model (lib/model.py) if there is one. The sent lines determine the method of
each answer."""
import errno
import select
import socket
import time

from . import strict

LINE_MAX = 64 << 20


class Closed(Exception):
    """The daemon closed the connection."""


class Late(Exception):
    """No answer within the time allowed."""


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['code']} {error['message']} {strict.dumps(error['data'])}")
        self.error = error
        self.code = error["code"]
        self.message = error["message"]
        self.data = error["data"]
        self.kind = error["data"].get("kind")
        self.path = error["data"].get("path")
        self.field = error["data"].get("field")


class Connection:
    def __init__(self, path, timeout=30.0, model=None):
        self.timeout = timeout
        self.model = model
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.input = bytearray()
        self.searched = 0
        self.waiting = {}  # id -> method, of requests sent and not answered
        self.answers = {}  # id -> answer, read while waiting for another
        self.last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def fileno(self):
        return self.socket.fileno()

    # Bytes
    # ----------------------------------------------------------------------------------------------

    def send(self, data, note=True):
        """Sends bytes unchanged. note: record ids and methods from them (off for floods and for
        garbage)."""
        if isinstance(data, str):
            data = data.encode()
        if note and self.model is not None:
            self._note(data)
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _note(self, data):
        for line in data.split(b"\n"):
            try:
                request = strict.loads(line)
            except (ValueError, RecursionError):
                continue
            for one in request if isinstance(request, list) else [request]:
                if (
                    isinstance(one, dict)
                    and isinstance(one.get("id"), (int, str))
                    and isinstance(one.get("method"), str)
                ):
                    self.waiting[self._key(one["id"])] = one["method"]

    @staticmethod
    def _key(identifier):
        return (type(identifier).__name__, identifier)

    def read_line(self, timeout=None):
        """Returns the next line without its newline. Raises Closed at the end of the stream, and
        Late when none arrives in time."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            at = self.input.find(b"\n", self.searched)
            if at >= 0:
                line = bytes(self.input[:at])
                del self.input[: at + 1]
                self.searched = 0
                return line
            self.searched = len(self.input)
            if self.searched > LINE_MAX:
                raise AssertionError("the daemon sent a line over 64 MiB")
            self._fill(deadline)

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise Late()
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 18)
        except (TimeoutError, socket.timeout):
            raise Late() from None
        except OSError as problem:
            if problem.errno in (errno.ECONNRESET, errno.EPIPE):
                raise Closed() from None
            raise
        if not data:
            raise Closed()
        self.input += data

    def read_to_end(self, timeout=None):
        """Returns all lines until the daemon closes the connection."""
        lines = []
        while True:
            try:
                lines.append(self.read_line(timeout))
            except Closed:
                if self.input:
                    raise AssertionError(
                        f"the daemon closed in the middle of a line: {bytes(self.input[:200])!r}"
                    ) from None
                return lines

    def silent(self, seconds):
        """Checks that nothing arrives for that long."""
        try:
            self.read_line(seconds)
        except Late:
            return True
        return False

    # Answers
    # ----------------------------------------------------------------------------------------------

    def read(self, timeout=None):
        """The next answer (an object, or an array for a batch), checked against the model."""
        return self.check(self.read_line(timeout))

    def check(self, line):
        answer = strict.loads(line)
        if self.model is not None:
            for one in answer if isinstance(answer, list) else [answer]:
                identifier = one.get("id") if isinstance(one, dict) else None
                method = (
                    self.waiting.pop(self._key(identifier), None)
                    if isinstance(identifier, (int, str))
                    else None
                )
                self.model.check_answer(method, one)
        return answer

    def request(self, method, params=None, **named):
        """Sends a request and returns its id. answer() returns its answer."""
        data, identifier = self.encode(method, named if params is None and named else params)
        self.send(data, note=False)
        return identifier

    def encode(self, method, params=None, key=None):
        """key: an idempotency key."""
        self.last_id += 1
        request = {"jsonrpc": "2.0", "id": self.last_id, "method": method}
        if key is not None:
            request["idempotency_key"] = key
        if params is not None:
            request["params"] = params
        self.waiting[self._key(self.last_id)] = method
        return strict.dumps(request).encode() + b"\n", self.last_id

    def answer(self, identifier, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while identifier not in self.answers:
            one = self.read(max(0.0, deadline - time.monotonic()))
            assert isinstance(one, dict), f"an array instead of an answer: {one!r}"
            assert one["id"] not in self.answers, f"two answers with id {one['id']!r}"
            self.answers[one["id"]] = one
        return self.answers.pop(identifier)

    def call(self, method, params=None, **named):
        """Returns the result; raises RpcError."""
        return result_of(self.answer(self.request(method, params, **named)))

    def once(self, key, method, params=None, **named):
        """The same with an idempotency key."""
        data, identifier = self.encode(method, named if params is None and named else params, key)
        self.send(data, note=False)
        return result_of(self.answer(identifier))

    def many_once(self, requests, timeout=120.0):
        """As many(), for (key, method, params)."""
        data, ids = bytearray(), []
        for key, method, params in requests:
            line, identifier = self.encode(method, params, key)
            data += line
            ids.append(identifier)
        self.pump(data, len(ids), timeout)
        return [self.answers.pop(identifier) for identifier in ids]

    def error(self, method, params=None, **named):
        """Returns the RpcError of a call that must fail."""
        try:
            result = self.call(method, params, **named)
        except RpcError as problem:
            return problem
        raise AssertionError(f"{method} succeeded with {strict.dumps(result)[:200]}")

    def many(self, requests, timeout=120.0):
        """Pipelines (method, params) pairs, reading while sending. Returns the answers in the order
        of the requests."""
        data, ids = bytearray(), []
        for method, params in requests:
            line, identifier = self.encode(method, params)
            data += line
            ids.append(identifier)
        self.pump(data, len(ids), timeout)
        return [self.answers.pop(identifier) for identifier in ids]

    def pump(self, data, expected, timeout=120.0):
        """Sends data while reading `expected` answers into self.answers."""
        deadline = time.monotonic() + timeout
        view, sent = memoryview(bytes(data)), 0
        self.socket.setblocking(False)
        while expected > 0 or sent < len(view):
            at = self.input.find(b"\n")
            if at >= 0:
                one = self.check(bytes(self.input[:at]))
                del self.input[: at + 1]
                assert one["id"] not in self.answers, f"two answers with id {one['id']!r}"
                self.answers[one["id"]] = one
                expected -= 1
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late(f"{expected} answers missing, {len(view) - sent} bytes unsent")
            readable, writable, _ = select.select(
                [self.socket], [self.socket] if sent < len(view) else [], [], left
            )
            if writable:
                try:
                    sent += self.socket.send(view[sent : sent + (1 << 18)])
                except BlockingIOError:
                    pass
            if readable:
                received = self.socket.recv(1 << 18)
                if not received:
                    raise Closed()
                self.input += received


def result_of(answer):
    if "error" in answer:
        raise RpcError(answer["error"])
    return answer["result"]
