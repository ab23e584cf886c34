"""A TCP proxy in front of a PostgreSQL server, which makes the faults of networks: stall, trickle,
reset, cut anywhere.

    with Proxy(server) as proxy:
        proxy.url("name")                 # where the daemon connects
        proxy.fault = CutAnswer(5)        # see below; None: everything passes
        proxy.stalled = True              # nothing passes any more in either direction; new
                                          # connections are accepted
        proxy.delay = 0.01                # seconds before answers pass: the server is far away
        proxy.held = True                 # no answer passes; what the daemon sends does

A fault is a callable fault(link, message) that sees each whole message from the daemon before it
passes, and returns what is sent instead. It may set on the link what happens to the server's
answers."""
import contextlib
import select
import socket
import struct
import sys
import threading
import time

STARTUP = b""


class Message:
    """One message of the frontend; kind: its type byte, STARTUP for those that have none."""

    def __init__(self, kind, data):
        self.kind, self.data = kind, data


class Link:
    """One connection through the proxy, in its own thread."""

    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.server = socket.create_connection(proxy.target)
        # Messages pass one by one; without this the second waits for the first one's receipt.
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()
        self.started = self.closed = False
        self.answer_left = None  # bytes of the server's answers that still pass; then ending()
        self.ending = self.reset
        self.swallow = False  # answers are discarded
        self.reused = 0  # messages that arrived after a fault had hit this link
        self.hit = False
        self.syncs = 0  # that have passed to the server
        threading.Thread(target=self._run, daemon=True).start()

    # The actions of a fault

    def reset(self):
        """Sends RST to the daemon, and the server loses its client."""
        with contextlib.suppress(OSError):  # its thread may have closed it at the same moment
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def half_close(self):
        """Ends the stream to the daemon; what it sends still arrives."""
        with contextlib.suppress(OSError):  # the daemon may have closed it at the same moment
            self.client.shutdown(socket.SHUT_WR)
        self.swallow = True

    def hang(self):
        """Nothing arrives any more, without an end of the stream."""
        self.swallow = True

    def close(self):
        self.closed = True
        for one in (self.client, self.server):
            one.close()

    # Traffic

    def _run(self):
        try:
            while not self.closed and not self.proxy.closed:
                if self.proxy.stalled:
                    time.sleep(0.02)
                    continue
                both = [self.client] if self.proxy.held else [self.client, self.server]
                readable = select.select(both, [], [], 0.01 if self.proxy.held else 0.1)[0]
                if self.client in readable and not self._up():
                    break
                if not self.closed and self.server in readable and not self._down():
                    break
        except (OSError, ValueError):
            pass  # one side has disconnected, or the fault closed both
        self.close()
        self.proxy.forget(self)

    def _up(self):
        data = self.client.recv(65536)
        self.input += data
        for message in self._messages():
            if self.hit and message.kind != b"X":
                self.reused += 1
            fault = self.proxy.fault
            out = fault(self, message) if fault is not None else message.data
            if self.closed:
                return False
            self.server.sendall(out)
            self.syncs += out[:1] == b"S" and self.started
        return bool(data)

    def _messages(self):
        while True:
            head = 1 if self.started else 0
            if len(self.input) < head + 4:
                return
            length = head + struct.unpack_from(">I", self.input, head)[0]
            if len(self.input) < length:
                return
            data = bytes(self.input[:length])
            del self.input[:length]
            if self.started:
                yield Message(data[:1], data)
            else:
                self.started = struct.unpack_from(">I", data, 4)[0] >> 16 == 3
                yield Message(STARTUP, data)

    def _down(self):
        data = self.server.recv(65536)
        if not data:
            return False
        if self.proxy.delay:
            time.sleep(self.proxy.delay)
        if self.swallow:
            return True
        last = self.answer_left is not None and self.answer_left <= len(data)
        if self.answer_left is not None:
            data = data[: self.answer_left]
            self.answer_left -= len(data)
        if self.proxy.trickle:
            for i in range(len(data)):
                self.client.sendall(data[i : i + 1])
                time.sleep(self.proxy.trickle)
        elif data:
            self.client.sendall(data)
        if last:
            self.ending()
        return True


class Proxy:
    def __init__(self, server):
        self.target = ("127.0.0.1", server.port)
        self.pg = server
        self.fault = None
        self.stalled = self.held = False
        self.delay = 0.0  # seconds before each piece of an answer
        self.trickle = 0.0  # seconds between the bytes of answers
        self.closed = False
        self.links, self.lock = [], threading.Lock()
        self.accepted = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def url(self, name, options=""):
        place = f"{self.pg.user}@127.0.0.1:{self.port}"
        return f"postgresql://{place}/{name}?sslmode=disable&gssencmode=disable{options}"

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            with self.lock:
                try:
                    self.links.append(Link(self, client))
                except OSError:
                    client.close()  # no server to connect to

    def reset_all(self):
        """All at once."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(0.0002)
        for link in list(self.links):
            link.reset()
        sys.setswitchinterval(interval)

    def forget(self, link):
        with self.lock:
            if link in self.links:
                self.links.remove(link)

    def close(self):
        self.closed = True
        self.listener.close()
        with self.lock:
            links = list(self.links)
        for link in links:
            link.close()


class BlackHole:
    """Accepts connections and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


# Faults that hit once: the next batch of calls, on any connection.


class Once:
    """The batch with a statement whose message contains `marker`."""

    def __init__(self, marker):
        self.marker = marker.encode()
        self.link = None  # the link that was hit

    def __call__(self, link, message):
        if self.link is None and message.kind == b"B" and self.marker in message.data:
            self.link = link
            return self.begin(link, message)
        if link is self.link:
            return self.go_on(link, message)
        return message.data

    def begin(self, link, message):
        return message.data

    def go_on(self, link, message):
        return message.data


class CutBefore(Once):
    """Cut before the message of that kind (b"S": the Sync) reaches the server."""

    def __init__(self, marker, kind, ending="reset"):
        super().__init__(marker)
        self.kind, self.how = kind, ending

    def go_on(self, link, message):
        if message.kind == self.kind and not link.hit:
            link.hit = True
            getattr(link, self.how)()
            return b""
        return message.data


class CutAnswer(Once):
    """The Sync passes; only that many bytes of the server's answer to the batch pass."""

    def __init__(self, marker, count, ending="reset"):
        super().__init__(marker)
        self.count, self.how = count, ending

    def begin(self, link, message):
        link.answer_left = self.count
        link.ending = getattr(link, self.how)
        if self.count == 0:
            link.swallow = True
        return message.data

    def go_on(self, link, message):
        if message.kind == b"S":
            link.hit = True
            if self.count == 0:
                link.server.sendall(message.data)
                time.sleep(0.05)  # the server executes it
                getattr(link, self.how)()
                return b""
        return message.data


class CutCommitted(Once):
    """The server has committed the batch, and nothing of its answer passes."""

    def go_on(self, link, message):
        if message.kind != b"S" or link.hit:
            return message.data
        link.hit = True
        link.server.sendall(message.data)
        data = b""
        while data[-6:-1] != b"Z\0\0\0\5":
            data += link.server.recv(65536)
        link.reset()
        return b""


class Inject(Once):
    """A foreign simple query on the connection, just before the batch; its answer is hidden."""

    def __init__(self, marker, statement):
        super().__init__(marker)
        self.statement = statement.encode() + b"\0"

    def begin(self, link, message):
        link.server.sendall(b"Q" + struct.pack(">I", 4 + len(self.statement)) + self.statement)
        data = b""
        while not (data[-6:-1] == b"Z\0\0\0\5"):
            data += link.server.recv(65536)
        return message.data
