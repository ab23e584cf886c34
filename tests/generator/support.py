"""A tiny project in memory, whose files can be changed before the generator reads them."""

import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TINY = HERE / "tiny"

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "protocol"))

import generate  # noqa: E402


class Project:
    """The tiny project's files by path; `things` and `secrets` are short for its catalog files."""

    def __init__(self, root=TINY):
        self.files = {
            str(path.relative_to(root)): path.read_text(encoding="utf-8")
            for folder in ("protocol", "backends")
            for path in sorted((root / folder).rglob("*.*"))
            if path.suffix in (".toml", ".sql", ".h")
        }

    @classmethod
    def of_tree(cls):
        """The project's own files, to change them as a contributor does."""
        return cls(ROOT)

    @staticmethod
    def path(name):
        return f"protocol/catalog/{name}.toml" if "/" not in name else name

    def replace(self, name, old, new):
        path = self.path(name)
        if self.files[path].count(old) < 1:
            raise AssertionError(f"{path} does not contain {old!r}: the test changes nothing")
        self.files[path] = self.files[path].replace(old, new, 1)

    def append(self, name, text):
        self.files[self.path(name)] = self.files.get(self.path(name), "") + text

    def in_folder(self, run):
        """Executes run(folder) while the files exist."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in self.files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return run(Path(folder))

    def load(self, allow_missing=False):
        """Returns the catalog, or raises generate.Refused."""
        return self.in_folder(lambda folder: generate.load(folder, allow_missing))

    def document(self):
        """Returns the OpenRPC document, without checking the SQL, on which it does not depend."""

        def run(folder):
            problems = generate.Problems()
            catalog = generate.load_catalog(
                folder / "protocol/catalog", folder / "protocol", problems
            )
            problems.raise_if_any()
            return generate.emit_openrpc.document(catalog)

        return self.in_folder(run)

    def refusal(self, allow_missing=False):
        """Returns the generator's message; empty when it accepts the project."""
        try:
            self.load(allow_missing)
        except generate.Refused as refused:
            return str(refused)
        return ""


class RefusalCase(unittest.TestCase):
    def refuses(self, cases):
        """cases: title -> file of the tiny project, its text, what replaces it, and words of the
        message."""
        for title, (name, old, new, message) in cases.items():
            with self.subTest(title):
                project = Project()
                project.replace(name, old, new)
                self.assertIn(message, project.refusal())
