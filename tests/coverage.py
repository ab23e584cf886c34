#!/usr/bin/env python3
"""Reports which lines of the C code the tests execute: builds with gcc's counters, runs all tests
(or the chosen ones), and prints a table.

usage: tests/coverage.py [--build FOLDER] [--least PERCENT] [--lines FILE] [--no-run] [FILE-PART…]

Files below the minimum (90) are listed with their share and the number of lines never executed;
--lines prints those of one file. --no-run: shows the counts of the last run. Exit code 1 when all
files together are below the minimum. Generated code does not count, nor do processes that end by
kill -9 or execute another program. A few tests fail in such a build, whose counters add exported
names and files that another user cannot write. It takes as long as the tests and is not part of
scripts/test.
"""
import argparse
import collections
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
FOLDERS = ("protocol", "backends", "daemon", "client")


def counted(build):
    """Returns {source file below the root: {line: how often it was executed}}."""
    lines = collections.defaultdict(dict)
    for data in glob.glob(os.path.join(build, "**", "*.gcda"), recursive=True):
        done = subprocess.run(
            ["gcov", "--json-format", "--stdout", data], cwd=build, capture_output=True, check=True
        )
        for text in done.stdout.splitlines():
            for file in json.loads(text)["files"]:
                name = os.path.relpath(os.path.join(build, file["file"]), ROOT)
                if name.split(os.sep)[0] not in FOLDERS:
                    continue
                for line in file["lines"]:
                    at = line["line_number"]
                    lines[name][at] = max(lines[name].get(at, 0), line["count"])
    return lines


def share(lines):
    return 100 * sum(count > 0 for count in lines.values()) / len(lines)


def print_lines(name, lines):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if lines.get(number) == 0:
                print(f"{number:5} {text}", end="")


def main():
    parser = argparse.ArgumentParser(description="Which lines of the C code the tests run.")
    parser.add_argument("parts", nargs="*", metavar="FILE-PART")
    parser.add_argument("--build", default=os.path.join(ROOT, "build-coverage"))
    parser.add_argument("--least", type=float, default=90)
    parser.add_argument("--lines", metavar="FILE")
    parser.add_argument("--no-run", action="store_true")
    arguments = parser.parse_intermixed_args()
    build = os.path.abspath(arguments.build)

    if not arguments.no_run:
        subprocess.run(
            [os.path.join(ROOT, "scripts", "build"), build, "-Db_coverage=true"], check=True
        )
        for data in glob.glob(os.path.join(build, "**", "*.gcda"), recursive=True):
            os.unlink(data)
        subprocess.run(
            [sys.executable, os.path.join(HERE, "run.py"), build, *arguments.parts], check=False
        )
    found = counted(build)
    if not found:
        sys.exit("no counts: has anything run?")
    if arguments.lines:
        print_lines(arguments.lines, found[arguments.lines])
        return 0
    for name, lines in sorted(found.items(), key=lambda item: share(item[1])):
        if share(lines) < arguments.least:
            print(
                f"{share(lines):6.1f} %  {sum(count == 0 for count in lines.values()):4} of "
                f"{len(lines):4} lines never ran  {name}"
            )
    whole = {(name, line): count for name, lines in found.items() for line, count in lines.items()}
    print(f"{share(whole):6.1f} %  of {len(whole)} lines in {len(found)} files")
    return 0 if share(whole) >= arguments.least else 1


if __name__ == "__main__":
    sys.exit(main())
