"""A server that forwards everything to a real PostgreSQL, and sends something else on
request.

    with HostileServer(server) as hostile:
        daemon on hostile.url(name)
        # Instead of the answer to the next calls; None: the server's own answer.
        hostile.evil = lambda session: session.send(b"garbage")
        # The same at a connect, and for the queries of a start.
        hostile.evil_greeting, hostile.evil_question

The output of evil replaces the server's answer to Parse, Bind, Describe, Execute and Sync: the
daemon prepares no statements by name."""
import contextlib
import select
import socket
import struct
import threading

INT8, TEXT = 20, 25


def message(kind, data=b""):
    return kind + struct.pack("!I", len(data) + 4) + data


def text(value):
    return value.encode() + b"\0"


def parameter(name, value):
    return message(b"S", text(name) + text(value))


def fields(kind, **values):
    """An error or a notice, from one-letter fields."""
    return message(
        kind, b"".join(name.encode() + text(value) for name, value in values.items()) + b"\0"
    )


def columns(*described):
    """(name, type's oid, format) each."""
    return message(
        b"T",
        struct.pack("!H", len(described))
        + b"".join(
            text(name) + struct.pack("!IHIhih", 0, 0, oid, -1, -1, form)
            for name, oid, form in described
        ),
    )


def row(*values):
    return message(
        b"D",
        struct.pack("!H", len(values))
        + b"".join(
            struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
            for value in values
        ),
    )


def done(tag="SELECT 1"):
    return message(b"C", text(tag))


def ready(state=b"I"):
    return message(b"Z", state)


PARSED, BOUND, NO_DATA = message(b"1"), message(b"2"), message(b"n")
GOOD = columns(("result", INT8, 1)) + row(struct.pack("!q", 0)) + done()


class Session:
    """One connection, in its own thread."""

    def __init__(self, hostile, client):
        self.hostile, self.client = hostile, client
        self.server = socket.create_connection(("127.0.0.1", hostile.port_behind))
        self.closed = self.started = self.swallows = False
        self.input = b""
        threading.Thread(target=self._run, daemon=True).start()

    # The actions of evil

    def send(self, data):
        self.client.sendall(data)

    def flood(self, data, limit=None):
        """Sends the same data repeatedly, until the daemon disconnects or `limit` bytes are
        sent."""
        chunk = data * max(1, (1 << 16) // len(data))
        sent = 0
        try:
            while (limit is None or sent < limit) and not self.hostile.closed:
                self.client.sendall(chunk)
                sent += len(chunk)
                self.hostile.flooded = sent
        except OSError:
            self.closed = True

    def hang(self):
        """Sends nothing more, but still reads, so that no side is disconnected."""
        while self.client.recv(65536):
            pass
        self.closed = True

    def close(self, reset=False):
        self.closed = True
        if reset:
            with contextlib.suppress(OSError):  # closed at the same moment
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for one in (self.client, self.server):
            one.close()

    # Forwarding

    def _run(self):
        try:
            while not self.closed and not self.hostile.closed:
                readable = select.select([self.client, self.server], [], [], 0.2)[0]
                if self.server in readable:
                    data = self.server.recv(1 << 18)
                    if not data:
                        break
                    self.send(data)
                if self.client in readable:
                    data = self.client.recv(1 << 18)
                    if not data:
                        break
                    self.input += data
                    self._take()
        except (OSError, ValueError):
            pass  # one side has disconnected
        self.close()

    def _take(self):
        """Yields whole messages of the daemon."""
        while not self.closed:
            head = 1 if self.started else 0
            if len(self.input) < head + 4:
                return
            length = head + struct.unpack_from("!I", self.input, head)[0]
            if len(self.input) < length:
                return
            data, self.input = self.input[:length], self.input[length:]
            if self.started:
                self._message(data)
            elif struct.unpack_from("!I", data, 4)[0] >> 16 == 3:
                self.started = True
                self._pass(data, self.hostile.evil_greeting)
            else:
                self.server.sendall(data)  # a cancel

    def _pass(self, data, evil):
        if evil is not None:
            evil(self)
        else:
            self.server.sendall(data)

    def _message(self, data):
        if data[:1] == b"Q":
            self._pass(data, self.hostile.evil_question)
        elif data[:1] == b"P" and self.hostile.evil is not None:
            self.swallows = True
        elif not self.swallows:
            self.server.sendall(data)
        elif data[:1] == b"S":
            self.swallows = False
            evil = self.hostile.evil
            self._pass(data, evil)


class HostileServer:
    def __init__(self, server):
        self.pg, self.port_behind = server, server.port
        self.evil = self.evil_greeting = self.evil_question = None
        self.flooded = 0
        self.closed = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sessions = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, name, password="unused"):
        place = f"{self.pg.user}:{password}@127.0.0.1:{self.port}"
        return f"postgresql://{place}/{name}?sslmode=disable&gssencmode=disable"

    def _accept(self):
        while not self.closed:
            try:
                self.sessions.append(Session(self, self.listener.accept()[0]))
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True
        self.listener.close()
        for session in self.sessions:
            session.close()
