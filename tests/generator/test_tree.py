"""The tree itself: generated files in it are up to date, and the build knows every input."""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import ROOT, generate

GENERATE = ROOT / "protocol/generate.py"


class Tree(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.catalog = generate.load(ROOT, allow_missing=False)
        self.document = generate.emit_openrpc.document(self.catalog)

    def test_the_method_reference_is_up_to_date(self):
        text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
        self.assertEqual(
            text, generate.emit_docs.reference(self.catalog), "run protocol/generate.py --docs"
        )

    def test_the_rust_crate_is_up_to_date(self):
        files = generate.emit_rust.files(self.catalog)
        folder = ROOT / generate.RUST
        self.assertEqual(sorted(files), sorted(path.name for path in folder.iterdir()))
        for name, text in files.items():
            self.assertTrue(
                (folder / name).read_text(encoding="utf-8") == text,
                f"{name}: run protocol/generate.py --docs",
            )

    def test_the_golden_document_is_up_to_date(self):
        text = (ROOT / "tests/golden/openrpc.json").read_text(encoding="utf-8")
        self.assertTrue(
            text == generate.pretty(self.document),
            "the interface has grown: check the changes, then run protocol/generate.py "
            "--update-golden",
        )

    def test_the_build_names_every_input(self):
        build = (ROOT / "protocol/meson.build").read_text(encoding="utf-8")
        domains = set(
            re.findall(r"'(\w+)'", re.search(r"catalog_domains = \[(.*?)\]", build, re.DOTALL)[1])
        )
        self.assertEqual(
            domains, {path.stem for path in (ROOT / "protocol/catalog").glob("*.toml")}
        )
        for path in (ROOT / "protocol/generator").glob("*.py"):
            self.assertIn(f"generator/{path.name}'", build)
        for backend in ("sqlite", "postgres"):
            for path in (ROOT / "backends" / backend / "sql").glob("*.sql"):
                self.assertIn(path.stem, domains)

    def test_the_header_tells_defaults_as_c_has_them(self):
        header = generate.emit_client.header(self.catalog)
        for text in (
            "may log in. Default: true. */",
            "agent-to-agent protocol. Default: 1.0. May",
            "claimed by the client. Default: none. May",
        ):
            self.assertIn(text, header)

    def test_every_method_has_a_summary_that_fits_a_line(self):
        for method in self.catalog.methods:
            self.assertLessEqual(len(method.summary), 150, method.name)


class CommandLine(unittest.TestCase):
    """generate.py as meson runs it."""

    def run_generator(self, *options):
        return subprocess.run([sys.executable, GENERATE, *options], capture_output=True, text=True)

    def copy(self, folder):
        for name in ("protocol", "backends", "tests/golden"):
            shutil.copytree(ROOT / name, Path(folder) / name)
        return Path(folder)

    def test_outputs_are_written_once(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.run_generator("--out", folder)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            first = {path.name: path.stat().st_mtime_ns for path in Path(folder).iterdir()}
            self.assertLessEqual(
                {"catalog.gen.c", "openrpc.json", "methods.md", "pierre-db-calls.h", "calls.gen.c"},
                set(first),
            )
            self.run_generator("--out", folder)
            self.assertEqual(
                first, {path.name: path.stat().st_mtime_ns for path in Path(folder).iterdir()}
            )

    def test_a_breaking_change_stops_the_build(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
            root = self.copy(folder)
            path = root / "protocol/catalog/insights.toml"
            path.write_text(path.read_text().replace("max = 1000", "max = 999"))
            done = self.run_generator("--root", root, "--out", out)
            self.assertEqual(done.returncode, 1)
            self.assertIn(
                "openrpc.json: breaking change: get_user_insights: parameter limit has a "
                "narrower range",
                done.stderr,
            )
            self.assertEqual(list(Path(out).iterdir()), [])
            self.assertEqual(self.run_generator("--root", root, "--update-golden").returncode, 0)
            self.assertEqual(self.run_generator("--root", root, "--out", out).returncode, 0)

    def test_a_damaged_golden_document_is_told(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
            root = self.copy(folder)
            (root / "tests/golden/openrpc.json").write_text("<<<<<<< HEAD\n")
            done = self.run_generator("--root", root, "--out", out)
            self.assertEqual(done.returncode, 1)
            self.assertTrue(
                done.stderr.startswith("openrpc.json: Expecting value: line 1"), done.stderr
            )
            self.assertEqual(list(Path(out).iterdir()), [])

    def test_the_example_of_the_documentation_works(self):
        """docs/adding-a-method.md: its blocks, put in their places, are all that a method needs."""
        text = (ROOT / "docs/adding-a-method.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^In `([^`]+)`:\n\n```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        self.assertEqual(len(blocks), 3)
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
            root = self.copy(folder)
            for name, block in blocks:  # under another name, in case the example becomes real
                with (root / name).open("a", encoding="utf-8") as file:
                    file.write(
                        "\n" + block.replace("rename_api_key", "example_of_the_documentation")
                    )
            done = self.run_generator("--root", root, "--out", out)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(
                '.name = "example_of_the_documentation",', (Path(out) / "catalog.gen.c").read_text()
            )

    def test_a_refusal_writes_nothing(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
            root = self.copy(folder)
            path = root / "protocol/catalog/users.toml"
            path.write_text(path.read_text().replace('result = "i64"', 'result = "i65"'))
            done = self.run_generator("--root", root, "--out", out)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"^catalog/users\.toml:\d+: `i65` is not a result")
            self.assertEqual(list(Path(out).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
