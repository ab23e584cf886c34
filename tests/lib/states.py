"""Waits for states of servers, outside of a test case."""
import os
import time

# How much slower than usual the build under test is (sanitizers).
SLOW = float(os.environ.get("PIERRE_TEST_SLOW", "1"))


def until(check, what, seconds=60.0, every=0.01):
    """Waits until check() is true and returns its value."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * SLOW} s: {what}")
        time.sleep(every)
