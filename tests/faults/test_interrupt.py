"""Calls that time out are interrupted by a thread other than the one that executes them, which may
already execute something else. Would catch: a whole write batch refused, or stored twice, because
of one late call."""
import os
import shutil
import subprocess

from lib import invariants
from lib.case import Case
from lib.daemon import SANITIZER, Daemon, temporary_folder
from lib.world import World, new_usage, new_user

BACKENDS = ("sqlite",)
STRICT = True
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "interrupted.c")


class Interrupt(Case):
    def daemon(self):
        """Returns a daemon and the path of the file that makes interrupts hit while it exists."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            self.skipTest(
                "no C compiler for the library that interrupts: late interrupts are NOT tested"
            )
        if SANITIZER:
            self.skipTest("a sanitizer's build must be the first to be loaded")
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        library = os.path.join(folder, "interrupted.so")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True
        )
        control = os.path.join(folder, "control")
        return Daemon(environment={"LD_PRELOAD": library, "TEST_INTERRUPTED": control}), control

    def test_interrupt_hits_begin_and_commit(self):
        """Every call is answered as if there were no interrupts, and its write is stored once."""
        daemon, control = self.daemon()
        with daemon, daemon.connect() as connection:
            before = invariants.Snapshot(daemon)
            key = World(connection).api_key(World(connection).user())
            taken = new_user()
            connection.call("create_user", user=taken)
            open(control, "wb").close()
            for part in range(20):
                calls = [
                    (
                        "record_api_key_usage",
                        {"usage": new_usage(key, tool_name=f"t{part}-{index}")},
                    )
                    for index in range(5)
                ]
                answers = connection.many(
                    [
                        *calls,
                        ("create_user", {"user": new_user(email=taken["email"])}),
                        ("get_user_count", []),
                    ]
                )
                self.assertTrue(all("result" in answer for answer in answers[:5]), answers)
                self.assertEqual(answers[5]["error"]["data"]["kind"], "conflict")
                self.assertEqual(answers[6]["result"], 2)
            os.unlink(control)
            used = connection.call(
                "get_api_key_usage_stats", [key, "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]
            )["tool_usage"]
            self.assertEqual(
                used, {f"t{part}-{index}": 1 for part in range(20) for index in range(5)}
            )
            counters = connection.call("daemon.stats")["counters"]
            self.assertGreater(
                sum(value for name, value in counters.items() if "retries" in name), 10, counters
            )
            self.assertNotIn("storage failed", daemon.log())
            connection.close()
            invariants.check(daemon, before)
