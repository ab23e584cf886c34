#!/usr/bin/env python3
"""Runs clang-tidy and cppcheck over the C files of a build folder, and shellcheck over the scripts.

usage: tests/lint.py BUILD [FILE-PART…]     (scripts/lint makes the build)
Two files at a time. Ends with `N passed, N failed`, where each file counts once for clang-tidy.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CPPCHECK = (
    "cppcheck",
    "--quiet",
    "--enable=warning,portability",
    "--inline-suppr",
    "--error-exitcode=1",
    "--template={file}:{line}: {message} [{id}]",
    "--suppress=*:*.gen.*",
    # cppcheck cannot read a file with jansson's loops; clang-tidy can.
    "--suppress=unknownMacro",
    f"-i{ROOT / 'tests'}",
)


def compile_commands(build):
    """Returns (source file, its command) for each C file that is not generated, except tests."""
    seen = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = Path(os.path.normpath(os.path.join(entry["directory"], entry["file"])))
        inside = ROOT in path.parents and not {build, ROOT / "tests"} & set(path.parents)
        if inside and ".gen." not in path.name:
            seen.setdefault(path, entry["command"])
    return sorted(seen.items())


def fingerprint(build, path, command):
    """Returns a digest of everything that the findings of a file depend on: its text, headers,
    options, settings."""
    source = path.read_bytes()
    seen, queue = {path: source}, [path]
    folders = [build / folder for folder in re.findall(r"-I(\S+)", command)]
    while queue:
        file = queue.pop()
        for name in re.findall(rb'^\s*#\s*include "([^"]+)"', seen[file], re.MULTILINE):
            for folder in (file.parent, *folders):
                found = Path(os.path.normpath(folder / name.decode()))
                if found.is_file():
                    if found not in seen:
                        seen[found] = found.read_bytes()
                        queue.append(found)
                    break
    text = hashlib.sha256(command.encode())
    for file in (ROOT / ".clang-tidy", Path(__file__)):
        text.update(file.read_bytes())
    for file in sorted(seen):
        text.update(hashlib.sha256(seen[file]).digest())
    return text.hexdigest()


def tidy(build, path, command):
    """Returns the findings of a file, "" for none; a file without findings is remembered."""
    stamp = build / "passed" / str(path.relative_to(ROOT)).replace("/", "+")
    print_ = fingerprint(build, path, command)
    if stamp.is_file() and stamp.read_text(encoding="ascii") == print_:
        return ""
    done = subprocess.run(
        ["clang-tidy", "-p", str(build), "--quiet", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        stamp.write_text(print_, encoding="ascii")
        return ""
    return done.stdout or done.stderr


def run(name, command):
    """Checks that a tool finds nothing, and prints its findings."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print((done.stdout + done.stderr).strip())
        print(f"failed: {name}", flush=True)
    return done.returncode == 0


def scripts():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
    for name in names.stdout.decode().splitlines():
        path = ROOT / name
        if "corpus" not in path.parts and path.is_file():
            with open(path, "rb") as file:
                if re.match(rb"#!.*\b(sh|bash)\b", file.readline()):
                    yield name


def main():
    build, parts = Path(sys.argv[1]).resolve(), sys.argv[2:]
    (build / "passed").mkdir(exist_ok=True)
    chosen = [
        (path, command)
        for path, command in compile_commands(build)
        if not parts or any(part in str(path.relative_to(ROOT)) for part in parts)
    ]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (path, _), found in zip(chosen, pool.map(lambda one: tidy(build, *one), chosen)):
            passed += not found
            failed += bool(found)
            if found:
                print(f"{found.strip()}\nfailed: {path.relative_to(ROOT)}", flush=True)
    if not parts:
        fine = [
            run(
                "cppcheck",
                [*CPPCHECK, f"-j{os.cpu_count()}", f"--project={build}/compile_commands.json"],
            ),
            run("shellcheck", ["shellcheck", "--severity=warning", *scripts()]),
        ]
        passed += sum(fine)
        failed += len(fine) - sum(fine)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
