"""The rules of names and layout. Would catch: two functions or two types with one name, an external
function that does not show its file, a header without a description, a line that is too wide, a
folder with too many files."""
import collections
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("protocol/", "backends/", "daemon/", "client/", "tools/")
COLUMNS = 100
ROOM = 25  # files of C and headers in a folder
ATTRIBUTE = re.compile(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\)\s*")


def sources(*patterns):
    """Returns name -> text of the files that are not generated."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.splitlines() or [
        str(path.relative_to(ROOT))
        for pattern in patterns
        for path in ROOT.rglob(pattern)
        if not path.relative_to(ROOT).parts[0].startswith(("build", ".git"))
    ]
    return {
        name: (ROOT / name).read_text(encoding="utf-8", errors="replace")
        for name in names
        if (ROOT / name).is_file() and "/expected/" not in name and "/tiny/" not in name
    }


def bare(text):
    """Returns C without comments and the content of literals; lines keep their numbers."""
    return re.sub(
        r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'",
        lambda found: "\n" * found[0].count("\n") if found[0][0] == "/" else '""',
        text,
        flags=re.DOTALL,
    )


def functions(text):
    """Yields (name, static) for each function that a C text defines. scripts/format puts a
    function's opening brace, and no other, alone at the beginning of a line. A function with an
    unparsable head or another layout raises ValueError, so that none is ignored."""
    lines = re.sub(r"\\\n", " ", bare(text)).split("\n")
    for number, line in enumerate(lines):
        if re.match(r"[A-Za-z_].*\)\s*\{", line):
            raise ValueError(f"a function with another layout: {line}")
        if line.rstrip() != "{":
            continue
        first = number
        while first > 0 and not re.search(r"^\s*$|^#|[;}]\s*$|^[{}]", lines[first - 1]):
            first -= 1
        head = ATTRIBUTE.sub("", " ".join(lines[first:number]).strip())
        found = re.search(r"^[\w\s*]+?\b(\w+)\(.*\)$", head)
        if found is None:
            raise ValueError(f"a function with an unparsable head: {head}")
        yield found[1], head.startswith("static ")


def shared_functions(files):
    where = collections.defaultdict(list)
    for file, text in files.items():
        for name, _ in functions(text):
            if name != "main":
                where[name].append(file)
    return {name: places for name, places in where.items() if len(places) > 1}


def prefixes(header):
    """Returns those that a header declares by a line `prefix: x_, y_`."""
    lines = re.findall(r"^[\s/*]*prefix: (.*)$", header, re.MULTILINE)
    return [prefix for line in lines for prefix in re.findall(r"\w+", line)]


def misnamed_functions(files):
    """External functions that begin neither with their file's stem (its singular is allowed) nor
    with a prefix of the header of that stem. Those of the public interface begin with `pierre_`."""
    found = []
    for file, text in files.items():
        stem = Path(file).stem
        allowed = (
            *("pierre_", f"{stem}_", f"{stem.removesuffix('s')}_"),
            *prefixes(files.get(file.removesuffix(".c") + ".h", "")),
        )
        for name, static in functions(text):
            if not static and name not in ("main", stem) and not name.startswith(allowed):
                found.append(f"{file}: {name}")
    return found


def shared_types(files):
    where = collections.defaultdict(list)
    for file, text in files.items():
        for kind, tag in re.findall(r"\b(struct|union|enum)\s+(\w+)\s*\{", bare(text)):
            where[tag].append(f"{file}: {kind}")
    return {tag: places for tag, places in where.items() if len(places) > 1}


def wide_lines(files):
    return {
        file: count
        for file, text in files.items()
        if (count := sum(len(line.expandtabs(8)) > COLUMNS for line in text.splitlines()))
    }


class Names(unittest.TestCase):
    def setUp(self):
        self.c = {
            name: text
            for name, text in sources("*.c", "*.h").items()
            if name.startswith(LAYERS) and "/examples/" not in name
        }

    def test_functions(self):
        self.assertGreater(sum(len(list(functions(text))) for text in self.c.values()), 1000)
        self.assertEqual(shared_functions(self.c), {})

    def test_external_functions(self):
        self.assertEqual(misnamed_functions(self.c), [])

    def test_none_is_janssons(self):
        """pierre-dbctl links with jansson: of two functions with one name, the linker uses ours for
        both."""
        command = ["pkg-config", "--variable=includedir", "jansson"]
        folder = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        header = (Path(folder.strip()) / "jansson.h").read_text(encoding="utf-8")
        jansson = set(re.findall(r"\b(json_\w+)\(", header))
        self.assertIn("json_string", jansson)
        own = {name for text in self.c.values() for name, _ in functions(text)}
        self.assertEqual(own & jansson, set())

    def test_types(self):
        self.assertEqual(shared_types(self.c), {})

    def test_headers_say_what_they_are_for(self):
        for name, text in sources("*.h").items():
            self.assertRegex(text, r"\A(/\*|//) ?\S", name)


class Layout(unittest.TestCase):
    def test_width(self):
        files = sources("*.c", "*.h", "*.py", "*.sql", "*.toml", "*.sh", "scripts/*", ".ci/*")
        self.assertEqual(wide_lines(files), {})

    def test_rooms(self):
        rooms = collections.Counter(str(Path(name).parent) for name in sources("*.c", "*.h"))
        for room, count in rooms.items():
            if room.startswith(LAYERS):
                self.assertLessEqual(count, ROOM, room)


class Planted(unittest.TestCase):
    """Defects that the checks above must find."""

    def test_functions(self):
        one = "static int twice(int a)\n{\n\treturn a;\n}\n"
        long = (
            "/* a { */\n__attribute__((format(printf, 1, 2))) const char *const *\n"
            "twice(const char *format, void (*done)(int),\n\t...)\n{\n}\n"
        )
        other = 'static const char *text = "int twice(int)\\n{";\nint once(void)\n{\n}\n'
        self.assertEqual(list(functions(one)), [("twice", True)])
        self.assertEqual(list(functions(long)), [("twice", False)])
        self.assertEqual(list(functions(other)), [("once", False)])
        self.assertEqual(
            shared_functions({"a.c": one, "b.c": long, "c.c": other}), {"twice": ["a.c", "b.c"]}
        )
        for text in ("int once(void) {\n}\n", "MAGIC\n{\n}\n"):
            with self.assertRaises(ValueError):
                list(functions(text))

    def test_external_functions(self):
        files = {
            "clocks.h": "/* Time; not a prefix: away_\n *\n * prefix: time_, hour_ */\n",
            "clocks.c": "int clock_now(void)\n{\n}\nint hour_of(int a)\n{\n}\n"
            "int away_from(int a)\n{\n}\nstatic int any(void)\n{\n}\n",
        }
        self.assertEqual(misnamed_functions(files), ["clocks.c: away_from"])

    def test_types(self):
        files = {
            "a.h": "struct one {\n\tenum { A } a;\n};\n/* struct two {} */\n",
            "b.c": "struct two {\n};\nunion one {\n};\nstruct two *make(void);\n",
        }
        self.assertEqual(shared_types(files), {"one": ["a.h: struct", "b.c: union"]})

    def test_width(self):
        self.assertEqual(
            wide_lines({"a.c": "\t" * 12 + "1234\n", "b.c": "\t" * 12 + "12345\n"}), {"b.c": 1}
        )


if __name__ == "__main__":
    unittest.main()
