"""What takes long under a real systemd: the watchdog's own 30 seconds, more failed starts than
systemd allows by itself, many restarts and kills under load. Would catch: a hanging daemon that
stays, a client that stops the socket unit, a rare write that a restart loses, a call that it
refuses.

Run by `scripts/test --systemd`; tests/faults/test_real_systemd.py has what takes seconds."""
import contextlib
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib.real_systemd import UNIT, Real, guide, unbuilt
from lib.retrying import Writers

ROUNDS = 15


class Long(Real):
    def test_watchdog_under_load(self):
        """A process that hangs is replaced after the time of the shipped unit. Clients wait; those
        that were connected send their call again. A working service stays, however long."""
        before = self.m.main_pid(UNIT)
        seconds = int(self.m.property(UNIT, "WatchdogUSec").removesuffix("s"))
        time.sleep(seconds + 5)
        self.assertEqual(self.m.main_pid(UNIT), before)
        with Writers(self.path) as writers:
            self.await_more(writers)
            began = time.monotonic()
            self.m.run("kill", "-STOP", str(before))
            self.await_new(before, 3 * seconds)
            took = time.monotonic() - began
            self.await_more(writers)
        self.stored(writers)
        self.assertGreater(writers.again, 0)
        self.assertGreater(took, seconds / 2)
        log = self.m.run("journalctl", "--no-pager", f"UNIT={UNIT}", "-n", "50").stdout
        self.assertIn("Watchdog timeout", log)
        print(f"  SIGSTOP: replaced after {took:.0f} s, {len(writers.answered)} writes, none lost")

    def test_wrong_configuration(self):
        """Clients that keep connecting start the service again and again. Once the configuration is
        corrected, one command suffices."""
        self.break_configuration()
        before = self.failed_starts()
        # systemd's own limits are 20 starts by a socket in 2 s, and 5 of a service in 10 s.
        threads = 4
        with contextlib.ExitStack() as clients:
            for _ in range(threads):
                clients.enter_context(self.knocking())
            self.within(60, lambda: self.failed_starts() > before + 25, every=0.2)
        self.resting()
        self.assertEqual(self.m.property("pierre-dbd.socket", "ActiveState"), "active")
        self.mend_configuration()
        self.m.run("systemctl", "start", "pierre-dbd")
        self.assertEqual(self.call("daemon.ping"), "pong")

    def rounds(self, disturb):
        """Disturbs the service again and again under load. Returns the writers."""
        with Writers(self.path, 8) as writers:
            for _ in range(ROUNDS):
                before = self.m.main_pid(UNIT)
                self.await_more(writers, 5)
                disturb()
                self.await_new(before)
            self.await_more(writers)
        self.stored(writers)
        return writers

    def test_many_restarts_and_kills(self):
        for words, disturb in (
            ("restart", lambda: self.m.run("systemctl", "restart", "pierre-dbd")),
            ("kill -9", lambda: self.m.run("systemctl", "kill", "-s", "KILL", "pierre-dbd")),
        ):
            writers = self.rounds(disturb)
            print(
                f"  {ROUNDS} times {words}: {len(writers.answered)} writes, none lost, "
                f"{writers.again} sent again",
                flush=True,
            )

    def test_many_upgrades(self):
        """The guide's command, with the file of the program replaced each time."""
        command = unbuilt(guide("Stopping, restarting, upgrading"))
        self.rounds(lambda: self.m.shell(f"cd /srv/source && umask 022 && {command}"))


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    print(f"{result.testsRun - bad - skipped} passed, {bad} failed"
          + (f", {skipped} skipped" if skipped else ""))  # fmt: skip
    sys.exit(1 if bad else 0)
