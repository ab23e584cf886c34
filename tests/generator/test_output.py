"""The generator's output for the tiny project, word for word, and that C compilers accept it.

`test_output.py --update` rewrites tiny/expected after an intended change: read the difference
before you commit it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import ROOT, TINY, Project, generate

EXPECTED = TINY / "expected"


def outputs():
    catalog = Project().load()
    document = generate.emit_openrpc.document(catalog)
    return {
        "catalog.gen.c": generate.emit_c.source(catalog, document),
        "providers.gen.h": generate.emit_c.providers(catalog),
        "openrpc.json": generate.pretty(document),
        "methods.md": generate.emit_docs.reference(catalog),
        **generate.emit_client.files(catalog),
        **{f"rust/{name}": text for name, text in generate.emit_rust.files(catalog).items()},
    }


# Looks the tables up as the daemon does.
PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include "catalog.h"

int main(void)
{
	for (size_t i = 0; i < catalog_method_count; i++)
		if (catalog_find(catalog_methods[i].name, catalog_methods[i].name_length) !=
			&catalog_methods[i])
			return 1;
	if (catalog_find("get_thin", 8) || catalog_find("get_thingy", 10) || catalog_find("", 0) ||
		catalog_find("get_thinG", 9))
		return 2;
	for (size_t length = 0; length < 300; length++) {
		char name[300];

		memset(name, 'x', sizeof name);
		if (catalog_find(name, length))
			return 3;
	}
	if (strlen(catalog_openrpc) != catalog_openrpc_length)
		return 4;
	fwrite(catalog_openrpc, 1, catalog_openrpc_length, stdout);
	return 0;
}
"""


class Output(unittest.TestCase):
    maxDiff = None

    def test_word_for_word(self):
        for name, text in outputs().items():
            with self.subTest(name):
                self.assertEqual(
                    text,
                    (EXPECTED / name).read_text(encoding="utf-8"),
                    f"see --update in {__file__}",
                )

    def test_the_same_every_time(self):
        self.assertEqual(outputs(), outputs())

    def test_compiles_and_finds(self):
        compilers = [
            name for name in (os.environ.get("CC"), "gcc", "clang") if name and shutil.which(name)
        ]
        self.assertTrue(compilers, "no C compiler")
        files = outputs()
        for compiler in dict.fromkeys(compilers):
            with self.subTest(compiler), tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                (folder / "catalog.gen.c").write_text(files["catalog.gen.c"], encoding="utf-8")
                (folder / "main.c").write_text(PROGRAM, encoding="utf-8")
                subprocess.run(
                    [
                        compiler,
                        "-std=gnu11",
                        "-Wall",
                        "-Wextra",
                        "-Wconversion",
                        "-Wsign-conversion",
                        "-Wshadow",
                        "-Werror",
                        f"-I{ROOT / 'protocol'}",
                        "-o",
                        folder / "main",
                        folder / "main.c",
                        folder / "catalog.gen.c",
                    ],
                    check=True,
                )
                output = subprocess.run(
                    [folder / "main"], check=True, capture_output=True
                ).stdout.decode()
                self.assertNotIn("\n", output)
                self.assertEqual(json.loads(output), json.loads(files["openrpc.json"]))

    def test_the_clients_calls_compile(self):
        """The tables as the library has them, and the header as its users include it: in C of
        either age, and C++."""
        files = outputs()
        warnings = ["-Wall", "-Wextra", "-pedantic", "-Wshadow", "-Werror"]
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            for name in ("pierre-db-calls.h", "calls.gen.c"):
                (folder / name).write_text(files[name], encoding="utf-8")
            for name in ("user.c", "user.cc"):
                (folder / name).write_text(
                    "#include <pierre-db.h>\nint main(void) { pierre_free(pierre_new(0)); "
                    "return 0; }\n",
                    encoding="utf-8",
                )
            for compiler, standard, source in (
                ("gcc", "c11", "calls.gen.c"),
                ("clang", "c11", "calls.gen.c"),
                ("gcc", "c99", "user.c"),
                ("clang", "c17", "user.c"),
                ("g++", "c++11", "user.cc"),
                ("clang++", "c++17", "user.cc"),
            ):
                if shutil.which(compiler):
                    with self.subTest(f"{compiler} {standard} {source}"):
                        subprocess.run(
                            [
                                compiler,
                                f"-std={standard}",
                                *warnings,
                                f"-I{folder}",
                                f"-I{ROOT / 'client'}",
                                "-c",
                                folder / source,
                                "-o",
                                "/dev/null",
                            ],
                            check=True,
                        )

    def test_strange_texts_stay_what_they_are(self):
        text = 'a"b\\c\n\t\x01' + "1??=é😀%s"
        self.assertEqual(generate.emit_c.string(text), r'"a\"b\\c\012\011\0011\?\?=é😀%s"')


class Schemas(unittest.TestCase):
    """The OpenRPC document, for details that a word-for-word comparison would only report as
    different."""

    def setUp(self):
        self.document = Project().document()
        self.methods = {method["name"]: method for method in self.document["methods"]}
        self.schemas = self.document["components"]["schemas"]

    def test_parameter_objects_are_closed_and_answers_as_the_catalog_says(self):
        closed = {
            name: schema["additionalProperties"]
            for name, schema in self.schemas.items()
            if "properties" in schema
        }
        self.assertEqual(
            closed,
            {
                "NewThing": False,
                "Size": False,
                "Thing": True,
                "Token": False,
                "Account": False,
                "Report": True,
                "Part": False,
            },
        )

    def test_required_members(self):
        self.assertEqual(self.schemas["NewThing"]["required"], ["owner"])
        self.assertEqual(self.schemas["Thing"]["required"], ["id", "colour", "size"])
        self.assertEqual(self.schemas["Part"]["required"], ["name"])

    def test_nonces_are_not_told(self):
        self.assertEqual(
            list(self.schemas["Token"]["properties"]), ["access_token", "refresh_token"]
        )

    def test_every_reference_leads_somewhere(self):
        def references(value):
            if isinstance(value, dict):
                yield from ([value["$ref"]] if "$ref" in value else [])
                value = list(value.values())
            for item in value if isinstance(value, list) else ():
                yield from references(item)

        found = set(references(self.document))
        self.assertGreater(len(found), 5)
        for reference in found:
            target = self.document
            for key in reference.removeprefix("#/").split("/"):
                target = target[key]

    def test_errors_of_methods(self):
        def errors(name):
            return [item["$ref"].rsplit("/", 1)[1] for item in self.methods[name]["errors"]]

        self.assertEqual(
            errors("create_thing"), ["invalid_params", "not_found", "conflict", "unavailable"]
        )
        self.assertEqual(
            errors("get_token"), ["invalid_params", "unavailable", "decryption_failed"]
        )
        self.assertEqual(errors("self.report"), ["invalid_params"])

    def test_positions_where_an_optional_parameter_stands_first(self):
        project = Project()
        project.replace(
            "things",
            'params.limit = { type = "u32?", default = 5, max = 9',
            'params.limit = { type = "u32"',
        )
        methods = {method["name"]: method for method in project.document()["methods"]}
        self.assertEqual(
            [param["name"] for param in methods["list_things"]["params"]], ["limit", "colour"]
        )
        self.assertEqual(methods["list_things"]["x-positional"], ["colour", "limit"])
        self.assertEqual(methods["list_things"]["paramStructure"], "by-name")
        self.assertEqual(self.methods["list_things"]["paramStructure"], "either")


if __name__ == "__main__":
    if "--update" in sys.argv:
        for name, text in outputs().items():
            generate.write(EXPECTED / name, text)
    else:
        unittest.main()
