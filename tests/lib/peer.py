"""A peer for tests of access control, run under other users' ids: sends its input to the socket, prints what comes back.
Exit code 13 when it may not connect."""
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
    peer.settimeout(30)
    try:
        peer.connect(sys.argv[1])
    except PermissionError:
        sys.exit(13)
    peer.sendall(sys.stdin.buffer.read())
    peer.shutdown(socket.SHUT_WR)
    while data := peer.recv(1 << 16):
        sys.stdout.buffer.write(data)
