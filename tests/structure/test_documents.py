"""The names in the documents exist, and the documents are readable in a terminal. Would catch: a
tour that names a renamed or moved function, a page with lines that are too wide, a diagram that is
not drawn, a README that is too long."""
import functools
import re
import unittest

from test_structure import ROOT, files, name, text, tracked

WIDTH = 100
# These belong to other programs and to an installation, not to this tree.
FOREIGN = {"pgpass", "passfile", "sysexits.h", "lib/sm.c"}
SUFFIXES = r"(?:c|h|py|toml|sql|md|build|service|socket|conf|json|sh|1|3|8)"


def pages():
    return [path for path in files(".md") if "expected" not in path.parts]


def without_code(page):
    return re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)


@functools.cache
def names():
    """Returns every file of the tree, and every folder with a trailing slash."""
    found = {name(path) for path in tracked()}
    for one in list(found):
        parts = one.split("/")[:-1]
        found |= {"/".join(parts[: i + 1]) + "/" for i in range(len(parts))}
    return found


@functools.cache
def bare_names():
    return {path.name for path in tracked()}


def expanded(pattern):
    """Expands `a/{b,c}.md` to a/b.md and a/c.md."""
    found = re.search(r"\{([^}]*)\}", pattern)
    if not found:
        return [pattern]
    return [
        one
        for part in found[1].split(",")
        for one in expanded(pattern[: found.start()] + part + pattern[found.end() :])
    ]


def matches(pattern):
    """Returns the tree's files that match a name with `*` or `<word>`; the name must match to the
    end."""
    places = re.sub(r"<\w+>", "*", pattern)
    regex = re.escape(places).replace(r"\*", "[^/]+")
    known = names() if "/" in pattern else bare_names()
    found = re.compile(regex + "/?")
    return any(found.fullmatch(one) for one in known)


def defines(path, function):
    source = text(path)
    if path.suffix == ".py":
        return re.search(rf"^\s*(?:def|class) {function}\b", source, re.MULTILINE)
    return re.search(
        rf"^\w[^;={{}}#]*\b{function}\([^;{{]*\)\s*\n\{{", source, re.MULTILINE
    ) or re.search(rf"^\}} {function};|^(?:struct|enum) {function} \{{", source, re.MULTILINE)


class Names(unittest.TestCase):
    def test_files_and_functions(self):
        """`path:function` is defined there; `path`, and a bare file name, is in the tree."""
        functions = paths = 0
        for page in pages():
            if page.name == "CHANGELOG.md":  # it describes the past
                continue
            spans = set(re.findall(r"`([^`\s]+)`", without_code(text(page))))
            for span in spans:
                path, _, function = span.partition(":")
                if re.match(r"[A-Za-z_]", function) and re.fullmatch(
                    rf"[\w./-]+\.{SUFFIXES}", path
                ):
                    self.assertIn(path, names(), f"{name(page)} names {span}")
                    self.assertTrue(
                        defines(ROOT / path, function),
                        f"{name(page)} names {span}: {path} has no {function}",
                    )
                    functions += 1
                elif self.is_path(span):
                    for one in expanded(span):
                        self.assertTrue(matches(one), f"{name(page)} names {one}")
                    paths += 1
        self.assertGreater(functions, 60)
        self.assertGreater(paths, 60)

    @staticmethod
    def is_path(span):
        if span in FOREIGN or re.match(r"[/~.$]|\w+:|[A-Z]", span) or "…" in span:
            return False
        folders = {one.split("/")[0] for one in names() if "/" in one}
        if span.split("/")[0] in folders and "/" in span:
            return True
        return bool(re.fullmatch(r"[\w*-]+\.(?:c|py|toml)", span))

    def test_each_step_of_the_tour_names_its_function(self):
        tour = text(ROOT / "docs/tour.md")
        steps = re.findall(r"^\| (?:\d+|–) \|(.*)\|$", tour, re.MULTILINE)
        self.assertGreater(len(steps), 30)
        for step in steps:
            self.assertRegex(step, r"`[\w./-]+\.\w+(:\w+)?`", "docs/tour.md")


class Reading(unittest.TestCase):
    def test_width(self):
        """Except for tables and for the output of programs."""
        for page in pages():
            for line in without_code(text(page)).splitlines():
                if not line.startswith("|"):
                    self.assertLessEqual(len(line), WIDTH, f"{name(page)}: {line}")
        manuals = [path for path in files(".1", ".3", ".8") if "man" in path.parts]
        self.assertEqual(len(manuals), 4)
        for manual in manuals:
            for line in text(manual).splitlines():
                self.assertLessEqual(len(line), WIDTH, f"{name(manual)}: {line}")

    def test_each_section_stands_once(self):
        """A merge of two branches may leave a section twice."""
        for page in pages():
            seen, above = set(), []
            for marks, title in re.findall(r"^(#+) (.+)$", without_code(text(page)), re.MULTILINE):
                above = [*above[: len(marks) - 1], title]
                self.assertNotIn(tuple(above), seen, name(page))
                seen.add(tuple(above))

    def test_readme_is_short(self):
        self.assertLessEqual(len(text(ROOT / "README.md").splitlines()), 100)

    def test_every_page_is_listed(self):
        readme = text(ROOT / "README.md")
        for page in pages():
            if name(page).startswith("docs/"):
                self.assertIn(f"]({name(page)})", readme)

    def test_diagrams(self):
        """Mermaid allows no further colon, and no semicolon, in the text of an arrow."""
        arrows = 0
        for page in pages():
            for diagram in re.findall(r"^```mermaid\n(.*?)^```", text(page), re.M | re.DOTALL):
                lines = diagram.splitlines()
                self.assertEqual(lines[0], "stateDiagram-v2", name(page))
                for line in lines[1:]:
                    self.assertRegex(
                        line, r"^    (\w+|\[\*\]) --> (\w+|\[\*\])(: [^:;`]+)?$", name(page)
                    )
                    arrows += 1
        self.assertGreater(arrows, 40)


class Transcript(unittest.TestCase):
    """docs/first-ten-minutes.md is what the present tree prints. When this fails, the page is
    written again: `scripts/test --packages`, then tests/packages/first_ten_minutes.py --write."""

    def test_numbers(self):
        page = text(ROOT / "docs" / "first-ten-minutes.md")
        alarms = text(ROOT / "tools" / "exporter" / "monitoring" / "alarms.toml")
        newest = max(
            int(path.name[:4]) for path in (ROOT / "backends/sqlite/migrations").glob("*.sql")
        )
        self.assertEqual(
            re.findall(r"SUCCESS: (\d+) rules found", page), [str(alarms.count("[[alarm]]"))]
        )
        self.assertEqual(set(re.findall(r"schema[ =]\"?(\d+)", page)), {str(newest)})


if __name__ == "__main__":
    unittest.main()
