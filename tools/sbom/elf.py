"""What readelf and ldconfig say about programs and libraries."""
import os
import re
import shutil
import subprocess

MAGIC = b"\x7fELF"
# Debian keeps ldconfig out of the PATH of ordinary users.
LDCONFIG = shutil.which("ldconfig") or "/usr/sbin/ldconfig"


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _run(*command):
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    ).stdout


class Elf:
    """One program or shared library."""

    def __init__(self, path):
        self.path = path
        text = _run("readelf", "-W", "-h", "-l", "-d", "-n", "--dyn-syms", path)
        self.machine = re.search(r"^ +Machine: +(.*\S)", text, re.M)[1]
        self.kind = re.search(r"^ +Type: +(\w+)", text, re.M)[1]
        # Only what can be executed as a program names a loader.
        self.is_program = re.search(r"^ +INTERP ", text, re.M) is not None
        self.needed = self._dynamic(text, "NEEDED")
        self.soname = next(iter(self._dynamic(text, "SONAME")), None)
        self.run_paths = self._dynamic(text, "RUNPATH") + self._dynamic(text, "RPATH")
        self.dynamic_flags = set(re.findall(r"\(FLAGS(?:_1)?\) +(?:Flags: )?(.*)", text))
        self.dynamic_flags = {word for line in self.dynamic_flags for word in line.split()}
        self.has_text_relocations = "(TEXTREL)" in text or "TEXTREL" in self.dynamic_flags
        # type, flags: "LOAD", "R E"
        self.segments = re.findall(r"^ +([A-Z_0-9]+) +(?:0x[0-9a-f]+ +){5}([RWE ]{3}) ", text, re.M)
        properties = re.findall(r"x86 feature: ([^\n]*)", text)
        self.features = set(re.findall(r"\w+", ",".join(properties)))
        self.imported, self.exported = self._symbols(text)

    @staticmethod
    def _dynamic(text, tag):
        return re.findall(rf"\({tag}\) .*\[(.*)\]$", text, re.M)

    @staticmethod
    def _symbols(text):
        """The dynamic symbols that the file needs and those that it provides, with versions."""
        rows = re.findall(
            r"^ +\d+: [0-9a-f]+ +\w+ +(\w+) +(GLOBAL|WEAK|UNIQUE) +\w+ +(\w+) (\S+)", text, re.M
        )
        imported = {name for _, _, section, name in rows if section == "UND"}
        exported = {name for _, _, section, name in rows if section != "UND"}
        return imported, exported


def installed_libraries():
    """Returns (library, path) of all that the loader's cache lists."""
    return re.findall(r"^\t(\S+) \(.*\) => (\S+)$", _run(LDCONFIG, "-p"), re.M)


class Closure:
    """The libraries that files need, directly or through others.

    needs: path of a file or name of a library -> names of the libraries that it names.
    paths: name of a library -> its file; None where there is none."""

    def __init__(self, paths):
        files = [Elf(path) for path in paths]
        self.needs, self.paths = {}, {}
        own = {one.soname: one.path for one in files if one.soname}
        cache = installed_libraries()
        queue = [(one.path, one) for one in files]
        while queue:
            name, one = queue.pop()
            self.needs[name] = one.needed
            for library in one.needed:
                if library in self.paths:
                    continue
                found = self._find(library, own, cache, one.machine)
                self.paths[library] = found.path if found else None
                if found:
                    queue.append((library, found))

    @staticmethod
    def _find(library, own, cache, machine):
        """The cache may have a library once for each architecture."""
        candidates = [path for name, path in cache if name == library]
        for path in ([own[library]] if library in own else []) + candidates:
            found = Elf(path)
            if found.machine == machine:
                return found
        return None

    def reached_from(self, start):
        """Names of all libraries that are loaded with a library, itself included."""
        seen, queue = set(), [start]
        while queue:
            name = queue.pop()
            if name not in seen:
                seen.add(name)
                queue += self.needs.get(name, [])
        return seen
