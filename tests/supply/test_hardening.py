"""The protections of the built programs and libraries, read from their ELF files as `meson install`
puts them there. Would catch: a flag that a change of meson.build or a target of its own loses, a
library that exports an internal name, a program that looks for its libraries beside itself.

tests/packages looks at the files of the Debian packages in the same way."""
import glob
import json
import os
import re
import struct
import subprocess
import tempfile

from lib.case import Case
from lib.daemon import BUILD
from lib.hardening import elf_files, features_of, weaknesses

BACKENDS = ("sqlite",)
SANITIZERS = False
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
OPTIMISED = ("1", "2", "3", "s")
PROGRAM = """#include <stdio.h>
#include <string.h>
int %s(int count, char **words);
int %s(int count, char **words) {
	char text[64];
	strcpy(text, words[count - 1]);
	return puts(text);
}
"""
GOOD = ("-O2", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2",
        "-fcf-protection", "-fPIE", "-pie", "-Wl,-z,relro,-z,now,-z,noexecstack")  # fmt: skip
# Flags that undo a protection, and what is then missing.
LOST = (
    (("-no-pie",), "no PIE"),
    (("-Wl,-z,norelro",), "no RELRO"),
    (("-Wl,-z,lazy",), "bound lazily"),
    (("-Wl,-z,execstack",), "stack is executable"),
    (("-fno-stack-protector",), "no stack canaries"),
    (("-U_FORTIFY_SOURCE",), "not fortified"),
    (("-Wl,-rpath,$ORIGIN",), "names a folder"),
    (("-rdynamic",), "a program exports main"),
)
# Objects of programs that run during the build and that nobody gets.
BUILD_TOOLS = ("make-new-schema.p",)
SHADOW_STACK = "-Wl,-z,shstk"
# Of a program header.
LOAD, EXECUTABLE, WRITABLE = 1, 1, 2


def options():
    """The options of the build by name."""
    shown = subprocess.run(
        ["meson", "introspect", "--buildoptions", BUILD], check=True, capture_output=True, text=True
    ).stdout
    return {one["name"]: one["value"] for one in json.loads(shown)}


class Built(Case):
    @classmethod
    def setUpClass(cls):
        cls.options = options()
        cls.reason = None
        if cls.options["b_sanitize"] != "none" or cls.options.get("fuzz"):
            cls.reason = "the protections are NOT looked at: the build is a sanitizer's"
            return
        cls.work = tempfile.TemporaryDirectory(prefix="pierre-hardening-")
        cls.addClassCleanup(cls.work.cleanup)
        subprocess.run(
            ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"]
            + ["--destdir", cls.work.name],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def setUp(self):
        if self.reason:
            self.skipTest(self.reason)

    def test_each_file_is_protected(self):
        """A prefix that the loader does not search by itself is the one folder that programs may
        name."""
        prefix, libraries = self.options["prefix"], self.options["libdir"]
        run_path = None if prefix == "/usr" else os.path.join(prefix, libraries)
        fortified = self.options["optimization"] in OPTIMISED
        names = set()
        for path in elf_files(self.work.name):
            with self.subTest(file=os.path.basename(path)):
                self.assertEqual(weaknesses(path, run_path, fortified), [])
            names.add(os.path.basename(path).split(".so")[0])
        self.assertLessEqual({"pierre-dbd", "pierre-dbctl", "pierre-transfer", "libpierre-db"},
                             names)  # fmt: skip

    def test_fortified_unless_told_otherwise(self):
        """What `scripts/build` makes is optimised, so that fortification holds."""
        with open(os.path.join(ROOT, "meson.build"), encoding="utf-8") as file:
            self.assertIn("'buildtype=debugoptimized'", file.read())

    def test_our_code_has_landing_pads(self):
        """Each object declares both parts of CET: a program has the note of the weakest one."""
        objects = [
            path
            for folder in ("protocol", "backends", "daemon", "client", "tools")
            for path in glob.glob(f"{BUILD}/{folder}/**/*.o", recursive=True)
            if not set(BUILD_TOOLS) & set(path.split(os.sep))
        ]
        self.assertGreater(len(objects), 100)
        if os.uname().machine != "x86_64":
            self.skipTest("CET is NOT looked at: it belongs to x86-64")
        shown = subprocess.run(
            ["readelf", "-W", "-n", *objects], check=True, capture_output=True, text=True
        ).stdout
        parts = re.split(r"^File: ", shown, flags=re.M)[1:]
        self.assertEqual(len(parts), len(objects))
        lacking = [part.split("\n")[0] for part in parts if "IBT, SHSTK" not in part]
        self.assertEqual(lacking, [])

    def test_the_static_library(self):
        """It is linked into other people's programs and must not take their protection away."""
        found = glob.glob(f"{self.work.name}/**/libpierre-db.a", recursive=True)
        if not found:
            self.skipTest("the build has no static library")
        sections = subprocess.run(
            ["readelf", "-W", "-S", found[0]], check=True, capture_output=True, text=True
        ).stdout
        stack = re.findall(r"\.note\.GNU-stack +PROGBITS +(?:[0-9a-f]+ +){4}(\w*) ", sections)
        self.assertEqual([flags for flags in stack if "X" in flags], [])
        self.assertIn(".note.GNU-stack", sections)
        if os.uname().machine == "x86_64":
            self.assertEqual(features_of(found[0]), {"IBT", "SHSTK"})


class Noticed(Case):
    """The checks themselves: a program that lacks one protection is found, a good one is not."""

    def build(self, *flags, name="main"):
        """flags stand behind the good ones and override them."""
        work = tempfile.TemporaryDirectory(prefix="pierre-hardening-")
        self.addCleanup(work.cleanup)
        source, program = os.path.join(work.name, "weak.c"), os.path.join(work.name, "weak")
        with open(source, "w", encoding="utf-8") as file:
            file.write(PROGRAM % (name, name))
        subprocess.run(["gcc", "-w", *GOOD, source, "-o", program, *flags], check=True)
        return program

    def test_a_good_program(self):
        self.assertEqual(weaknesses(self.build(SHADOW_STACK)), [])

    def test_each_lost_protection(self):
        for flags, words in LOST:
            with self.subTest(flags):
                found = weaknesses(self.build(SHADOW_STACK, *flags))
                self.assertTrue(any(words in one for one in found), found)

    def test_a_segment_that_is_writable_and_executable(self):
        """No flag of the linker makes one: the flags of the data segment are changed."""
        program = self.build(SHADOW_STACK)
        with open(program, "r+b") as file:
            content = file.read()
            first, size, count = struct.unpack_from("<Q14xHH", content, 32)
            for place in range(first, first + size * count, size):
                kind, flags = struct.unpack_from("<II", content, place)
                if kind == LOAD and flags & WRITABLE:
                    file.seek(place + 4)
                    file.write(struct.pack("<I", flags | EXECUTABLE))
        self.assertEqual(weaknesses(program), ["a segment is writable and executable"])

    def test_a_lost_shadow_stack(self):
        if os.uname().machine != "x86_64":
            self.skipTest("CET is NOT looked at: it belongs to x86-64")
        self.assertIn("CET: no SHSTK", weaknesses(self.build("-fcf-protection=none")))

    def test_a_library_that_exports_too_much(self):
        found = weaknesses(self.build("-shared", "-fPIC", name="helper"))
        self.assertTrue(any("exports helper" in one for one in found), found)
