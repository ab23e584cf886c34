"""Which of the protections that compiler and linker offer a program or library lacks."""
import os
import re
import subprocess
import sys

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "sbom")
)
from elf import Elf, is_elf  # noqa: E402

X86 = "X86-64"
VERSIONED = re.compile(r"pierre_\w+@@LIBPIERRE_DB_\d+|LIBPIERRE_DB_\d+(@@LIBPIERRE_DB_\d+)?")


def features_of(path):
    """The features that the note of an object declares."""
    done = subprocess.run(
        ["readelf", "-W", "-n", path], check=True, capture_output=True, text=True
    ).stdout
    return set(re.findall(r"\b(?:IBT|SHSTK)\b", done))


def start_files():
    """The C library's objects that the compiler links into every program."""
    for name in ("Scrt1.o", "crti.o", "crtn.o"):
        done = subprocess.run(
            [*os.environ.get("CC", "cc").split(), f"-print-file-name={name}"],
            check=True,
            capture_output=True,
            text=True,
        )
        yield done.stdout.strip()


def wanted_features():
    """A shadow stack asks nothing of the C library's start files. Indirect branch tracking does:
    its note would be false where they have no landing pads (Debian 12)."""
    return {"SHSTK"} | set.intersection(*map(features_of, start_files()))


def _linking(one):
    if one.kind != "DYN":
        yield "its address is fixed (no PIE)"
    kinds = {kind for kind, _ in one.segments}
    if "GNU_RELRO" not in kinds:
        yield "no RELRO"
    if not {"NOW", "BIND_NOW"} & one.dynamic_flags:
        yield "symbols are bound lazily: RELRO is partial"
    stack = [flags for kind, flags in one.segments if kind == "GNU_STACK"]
    if len(stack) != 1 or "E" in stack[0]:
        yield "its stack is executable"
    if any("W" in flags and "E" in flags for _, flags in one.segments):
        yield "a segment is writable and executable"
    if one.has_text_relocations:
        yield "text relocations"


def _code(one, fortified):
    if not any(name.startswith("__stack_chk_fail") for name in one.imported):
        yield "no stack canaries"
    checked = [name for name in one.imported if re.match(r"__\w+_chk(@|$)", name)]
    if fortified and not checked:
        yield "not fortified: no _chk function"
    if one.machine.endswith(X86):
        for feature in sorted(wanted_features() - one.features):
            yield f"CET: no {feature}"


def _names(one):
    if one.is_program:
        for name in sorted(one.exported):
            # Only what it has taken over from a library, with the version of that library.
            if "@" not in name and name != "_IO_stdin_used":
                yield f"a program exports {name}"
    else:
        for name in sorted(one.exported):
            if not VERSIONED.fullmatch(name):
                yield f"exports {name}, which is not ours or has no version"


def weaknesses(path, run_path=None, fortified=True):
    """Returns what a file lacks, in words. run_path: the only folder for libraries that it may
    name; None: none."""
    one = Elf(path)
    found = [*_linking(one), *_code(one, fortified), *_names(one)]
    found += [f"names a folder of libraries: {name}" for name in one.run_paths if name != run_path]
    return found


def elf_files(folder):
    """The programs and shared libraries below a folder, without links."""
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path) and is_elf(path):
                yield path
