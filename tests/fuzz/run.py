#!/usr/bin/env python3
"""Runs the libFuzzer targets of a build made by clang with -Dfuzz=true: first all kept inputs, then
new inputs for some seconds each.

usage: tests/fuzz/run.py BUILD [--seconds N] [--jobs N] [TARGET…]

Without --seconds the new inputs come from a fixed seed and are counted, so that two runs of the
same code try nearly the same inputs; with it they are random and find more. An input that makes a
target fail is kept as tests/fuzz/corpus/<target>/<its digest>, and shown in base64 at the end of
the output; commit it with the fix. Ends with `N passed, N failed`; exit code 1 when anything
failed.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

import seeds as begin

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "corpus")
RUNS = {"client_answer": 40_000}  # it opens a socket for each input
RUNS_OF_OTHERS = 500_000
OPTIONS = ("-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-max_len=4096")


def targets(build):
    found = glob.glob(os.path.join(build, "tests", "**", "fuzz_*"), recursive=True)
    return {
        os.path.basename(path)[len("fuzz_") :]: path
        for path in sorted(found)
        if os.path.isfile(path) and os.access(path, os.X_OK)
    }


def run(name, path, seconds):
    """Returns (line, output); output is None on success. seconds None: as many runs as stated
    above."""
    amount = (
        [f"-max_total_time={seconds}"]
        if seconds
        else ["-seed=1", f"-runs={RUNS.get(name, RUNS_OF_OTHERS)}"]
    )
    kept = os.path.join(CORPUS, name)
    with tempfile.TemporaryDirectory(prefix="pierre-fuzz-") as work:
        seeds = sorted(glob.glob(os.path.join(kept, "*")))
        grown = os.path.join(work, "grown")
        os.mkdir(grown)
        environment = {
            **os.environ,
            "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        commands = [[path, *OPTIONS, *seeds]] if seeds else []
        more = [kept] if seeds else []
        if name == "request":
            more.append(f"-dict={work}/words")
            with open(f"{work}/words", "w", encoding="utf-8") as file:
                file.write("\n".join(begin.request(grown)) + "\n")
        commands.append([path, *OPTIONS, *amount, f"-artifact_prefix={work}/", grown, *more])
        output = ""
        for command in commands:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                cwd=work,
            )
            output = done.stderr
            if done.returncode != 0:
                return f"{name}: FAILED{keep(kept, work)}", output[-8000:] + closing_lines(
                    name, output
                )
        executed = re.search(r"stat::number_of_executed_units: *(\d+)", output)
        covered = re.findall(r"cov: (\d+)", output)
        return (
            f"{name}: {len(seeds)} kept inputs, {int(executed.group(1)):,} new runs, "
            f"{covered[-1] if covered else 0} edges",
            None,
        )


def closing_lines(name, output):
    """Returns the lines for the end of the whole run's output, sufficient to try the input
    elsewhere."""
    what = re.findall(r"^SUMMARY: (.*)$", output, re.M)
    text = re.findall(r"^Base64: (.*)$", output, re.M)
    summary = what[-1] if what else "no summary"
    return f"\nfailed: {name}: {summary}; input in base64: {text[-1] if text else 'kept'}"


def keep(kept, work):
    """Copies the fuzzer's findings into the corpus."""
    names = []
    for path in glob.glob(os.path.join(work, "*-*")):
        with open(path, "rb") as file:
            name = hashlib.sha256(file.read()).hexdigest()[:16]
        os.makedirs(kept, exist_ok=True)
        shutil.copyfile(path, os.path.join(kept, name))
        names.append(name)
    return f", its input is kept as {', '.join(names)}" if names else ""


def main():
    parser = argparse.ArgumentParser(description="Runs the libFuzzer targets of a build.")
    parser.add_argument("build")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, help="run that long with random inputs")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_intermixed_args()
    found = targets(os.path.abspath(arguments.build))
    chosen = {
        name: path
        for name, path in found.items()
        if not arguments.targets or name in arguments.targets
    }
    if not chosen:
        print(f"NO fuzz target in {arguments.build}: build it by clang with -Dfuzz=true")
        print("0 passed, 1 failed")
        return 1
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        running = [pool.submit(run, name, path, arguments.seconds) for name, path in chosen.items()]
        for job in concurrent.futures.as_completed(running):
            line, output = job.result()
            print(line if output is None else f"{line}\n{output}", flush=True)
            failed += output is not None
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
