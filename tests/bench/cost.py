"""The cost of a call compared with another build: instructions under callgrind, as test_cost.py
counts them.

usage: python3 tests/bench/cost.py OTHER-BUILD BUILD [METHOD…]
       python3 tests/bench/cost.py --functions BACKEND METHOD OTHER-BUILD BUILD
The first form prints a row for each method and backend. The second shows which functions cause the
difference."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BACKENDS = ("sqlite", "postgres")
SHOWN = 30  # functions


def functions(path):
    """Instructions by function, without those it calls."""
    listing = subprocess.run(
        ["callgrind_annotate", "--threshold=100", "--inclusive=no", "--auto=no", path],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {}
    for count, name in re.findall(
        r"^\s*([\d,]+) \(\s*[\d.]+%\)\s+(?!PROGRAM TOTALS)(\S+)", listing, re.M
    ):
        name = name.rpartition("/")[2].partition(":")[2] or name
        found[name] = found.get(name, 0) + int(count.replace(",", ""))
    return found


def count(methods, details):
    """Runs in a separate process, since tests/lib takes build and backend from the environment."""
    sys.path[:0] = [HERE, os.path.dirname(HERE)]
    import test_cost  # pylint: disable=import-outside-toplevel

    class Detailed(test_cost.Callgrind):
        def forget(self):
            self.functions = functions(self.dump) if details else {}
            super().forget()

    with Detailed() as counter:
        for method in methods or test_cost.PARAMS:
            instructions, allocations = counter.count(method)
            print(method, f"{instructions:.1f}", f"{allocations:.2f}", flush=True)
            for name, total in counter.functions.items():
                print("function", name, f"{total / counter.counted:.1f}")


def counted(build, backend, methods, details=False):
    """Parses the lines that count() prints."""
    done = subprocess.run(
        [sys.executable, __file__, "--count", "details" if details else "totals", *methods],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PIERRE_TEST_BUILD": os.path.abspath(build),
            "PIERRE_TEST_BACKEND": backend,
        },
    )
    if done.returncode != 0:
        sys.exit(f"{build}, {backend}: {(done.stderr or done.stdout)[-2000:]}")
    return [line.split() for line in done.stdout.splitlines() if not line.startswith("NO ")]


def compare(other, build, methods):
    print(f"{'':32} {'other':>10} {'this':>10} {'ratio':>7}  allocations")
    for backend in BACKENDS:
        for before, after in zip(
            counted(other, backend, methods), counted(build, backend, methods)
        ):
            ratio = float(after[1]) / float(before[1])
            print(
                f"{backend:9}{before[0]:23} {float(before[1]):10,.0f} {float(after[1]):10,.0f} "
                f"{ratio:7.3f}"
                f"  {before[2]} {after[2]}",
                flush=True,
            )


def show_functions(backend, method, other, build):
    before, after = (
        {line[1]: float(line[2]) for line in counted(each, backend, [method], True)[1:]}
        for each in (other, build)
    )
    changes = {
        name: after.get(name, 0) - before.get(name, 0) for name in before.keys() | after.keys()
    }
    print(f"{sum(before.values()):.0f} -> {sum(after.values()):.0f}")
    for name in sorted(changes, key=lambda name: -abs(changes[name]))[:SHOWN]:
        print(f"{changes[name]:+8.0f} {before.get(name, 0):8.0f} {after.get(name, 0):8.0f}  {name}")


def main(arguments):
    if arguments[:1] == ["--count"]:
        count(arguments[2:], arguments[1] == "details")
    elif arguments[:1] == ["--functions"] and len(arguments) == 5:
        show_functions(*arguments[1:])
    elif len(arguments) >= 2 and not arguments[0].startswith("-"):
        compare(arguments[0], arguments[1], arguments[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
