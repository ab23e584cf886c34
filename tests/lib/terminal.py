"""Programs on a terminal: in a pseudoterminal whose output is read, or in tmux, which shows what a
person would see."""
import contextlib
import fcntl
import os
import pty
import re
import shlex
import shutil
import signal
import struct
import subprocess
import termios
import time

from .daemon import SLOW, temporary_folder

SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE")


def environment(**more):
    found = {name: os.environ[name] for name in ("PATH", *SANITIZERS) if name in os.environ}
    return {**found, "LANG": "C.UTF-8", "TERM": "xterm", **more}


class Terminal:
    """A private tmux server with one window that runs a shell."""

    def __init__(self, width, height, variables):
        self.folder = temporary_folder()
        self.base = ["tmux", "-S", os.path.join(self.folder, "tmux"), "-f", "/dev/null"]
        assignments = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        self.tmux(
            "new-session",
            "-d",
            "-x",
            str(width),
            "-y",
            str(height),
            f"env {assignments} PS1='ready> ' HISTFILE= bash --norc --noprofile -i",
            env=environment(),
        )

    def tmux(self, *arguments, env=None):
        done = subprocess.run(
            [*self.base, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=env or environment(),
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def write(self, text):
        """Types a text, in which no word is the name of a key."""
        self.keys("-l", "--", text)

    def type(self, text):
        self.keys(text, "Enter")

    def lines(self, escapes=False):
        return (
            self.tmux("capture-pane", "-p", *(["-e"] if escapes else [])).rstrip("\n").split("\n")
        )

    def text(self):
        return "\n".join(self.lines())

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def state(self):
        """Alternate screen, cursor, wrapping: "0 1 1" is a terminal in the state that a shell
        expects."""
        return self.tmux(
            "display-message", "-p", "#{alternate_on} #{cursor_flag} #{wrap_flag}"
        ).strip()

    def pid_of_ctl(self):
        pane = subprocess.run(
            [*self.base, "display-message", "-p", "#{pane_pid}"],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        ).stdout.strip()
        if not pane:
            return None  # closed
        children = [
            line.split()
            for line in subprocess.run(
                ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
            ).stdout.splitlines()
        ]
        shells = {pane} | {one[0] for one in children if one[1] == pane}
        return next(
            (int(one[0]) for one in children if one[1] in shells and "pierre-dbctl" in one[2]), None
        )

    def close(self):
        """The program ends before its terminal: a leak checker that still runs when the terminal
        disconnects never ends."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid, deadline = self.pid_of_ctl(), time.monotonic() + 5 * SLOW
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):  # it may end at the same moment
                    os.kill(pid, number)
            while pid is not None and self.pid_of_ctl() is not None and time.monotonic() < deadline:
                time.sleep(0.05)
        subprocess.run([*self.base, "kill-server"], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def shown(command, width=80, height=24, code=0, **variables):
    """Runs a command whose stdout and stderr are a pseudoterminal of that size; returns its
    output."""
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=secondary,
        stderr=secondary,
        env=environment(**variables),
    ) as process:
        os.close(secondary)
        out = b""
        while True:
            try:
                part = os.read(primary, 65536)
            except OSError:
                part = b""
            if not part:
                break
            out += part
        os.close(primary)
    assert process.returncode == code, (command, process.returncode, out)
    return out.decode().replace("\r\n", "\n")


def without_colours(text):
    return re.sub(r"\033\[[\d;]*m", "", text)
