"""The binary interface of libpierre-db: the layout of its structs, the values of its enums, and its
symbols. A program keeps working with a newer library of the same `soversion`.

    python3 tests/client/test_abi.py BUILD    writes tests/golden/abi.txt after a change that is
                                              allowed, or with a new soversion
Would catch: a member that moves, a struct that grows, a function that disappears or has no version.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
GOLDEN = os.path.join(ROOT, "tests", "golden", "abi.txt")
BACKENDS = ("sqlite",)
_STRUCT = re.compile(r"^struct (pierre_\w+) \{\n(.*?)^\};", re.DOTALL | re.MULTILINE)
_ENUM = re.compile(r"^enum (pierre_\w+) \{\n(.*?)^\};", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def headers(build):
    return [
        os.path.join(ROOT, "client", "pierre-db.h"),
        os.path.join(build, "protocol", "pierre-db-calls.h"),
    ]


def names_of(body):
    """The members' names of a struct's text: the last word of each declaration."""
    for declaration in body.replace("\n", " ").split(";"):
        for part in declaration.split(","):
            pointer = re.search(r"\(\*(\w+)\)", part)
            word = pointer or re.search(r"(\w+)(\[[^\]]*\])*\s*\Z", part)
            if word:
                yield word[1]
            if pointer:
                break


def printing_program(build):
    """A C program that prints a line for each struct, member and enumerator."""
    lines = ["#include <pierre-db.h>", "#include <stdio.h>", "int main(void) {"]
    for path in headers(build):
        with open(path, encoding="utf-8") as file:
            text = _COMMENT.sub("", file.read())
        for name, body in _STRUCT.findall(text):
            lines.append(f'printf("struct {name} %zu\\n", sizeof(struct {name}));')
            for member in names_of(body):
                lines.append(
                    f'printf("struct {name}.{member} %zu %zu\\n", '
                    f"offsetof(struct {name}, {member}), "
                    f"sizeof(((struct {name} *)0)->{member}));"
                )
        for name, body in _ENUM.findall(text):
            for member in re.findall(r"\b(PIERRE_\w+)", re.sub(r"=[^,]*", "", body)):
                lines.append(f'printf("enum {name}.{member} %d\\n", (int){member});')
    return "\n".join([*lines, "return 0; }"])


def layout(build):
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "abi.c"), os.path.join(folder, "abi")
        with open(source, "w", encoding="utf-8") as file:
            file.write(printing_program(build))
        subprocess.run(
            [
                *shlex.split(os.environ.get("CC", "cc")),
                *(f"-I{os.path.dirname(path)}" for path in headers(build)),
                source,
                "-o",
                program,
            ],
            check=True,
        )
        return subprocess.run([program], capture_output=True, text=True, check=True).stdout


def symbols(build):
    library = os.path.join(build, "client", "libpierre-db.so")
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", "--format=posix", library],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(
        f"symbol {words[0]}"
        for words in map(str.split, listed.splitlines())
        if words[1] in "TDBR" and words[0].startswith("pierre_")
    )


def soversion():
    with open(os.path.join(ROOT, "client", "meson.build"), encoding="utf-8") as file:
        return re.search(r"soversion: '(\d+)'", file.read())[1]


def interface(build):
    lines = [f"soversion {soversion()}", *layout(build).splitlines(), *symbols(build)]
    return "".join(line + "\n" for line in lines)


class Abi(unittest.TestCase):
    def setUp(self):
        self.build = os.environ["PIERRE_TEST_BUILD"]
        with open(GOLDEN, encoding="utf-8") as file:
            self.golden = file.read().splitlines()

    def test_nothing_moves_or_disappears(self):
        now = interface(self.build).splitlines()
        self.assertEqual(now[0], self.golden[0], "write tests/golden/abi.txt for a new soversion")
        self.assertEqual(
            [line for line in self.golden if line not in now],
            [],
            "programs that are linked with the library would break: raise its soversion",
        )
        self.assertEqual(
            [line for line in now if line not in self.golden],
            [],
            "write tests/golden/abi.txt",
        )

    def test_a_change_is_noticed(self):
        """The list has each struct's members, so that it cannot pass by being empty."""
        for line in (
            r"^struct pierre_user \d+$",
            r"^struct pierre_user\.email \d+ \d+$",
            r"^struct pierre_error\.kind 0 4$",
            r"^enum pierre_kind\.\w+ -?\d+$",
            r"^symbol pierre_new@@LIBPIERRE_DB_\d+$",
        ):
            self.assertTrue(any(re.match(line, one) for one in self.golden), line)

    def test_symbols_have_the_version_of_the_library(self):
        wanted = f"@@LIBPIERRE_DB_{soversion()}"
        for line in symbols(self.build):
            self.assertTrue(line.endswith(wanted), line)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(GOLDEN, "w", encoding="utf-8") as out:
        out.write(interface(os.path.abspath(sys.argv[1])))
