#!/usr/bin/env python3
"""Makes everything that follows from the catalog and the SQL: C tables, the OpenRPC document, the
method reference.

meson runs it into the build folder. By hand:

    protocol/generate.py --out DIR         what meson does
    protocol/generate.py --docs            rewrites docs/methods.md and client/rust/src/generated
    protocol/generate.py --update-golden   rewrites tests/golden/openrpc.json, with which future
                                           versions must stay compatible
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "protocol"))
sys.dont_write_bytecode = True  # the tree stays clean

RUST = Path("client/rust/src/generated")  # kept in the tree: the crate is built without Python

from generator import emit_c, emit_client, emit_docs, emit_openrpc, emit_rust  # noqa: E402
from generator.bind import Limits, bind  # noqa: E402
from generator.breaking import breaking_changes  # noqa: E402
from generator.error_kinds import load_limit  # noqa: E402
from generator.load import load_catalog  # noqa: E402
from generator.problems import Problems, Refused  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    parser.add_argument("--out", type=Path, help="write the build's files there")
    parser.add_argument(
        "--docs", action="store_true", help="write docs/methods.md and client/rust/src/generated"
    )
    parser.add_argument(
        "--update-golden",
        action="store_true",
        help="write tests/golden/openrpc.json, whatever it breaks",
    )
    parser.add_argument(
        "--allow-missing-sql", action="store_true", help="methods without SQL are no error"
    )
    return parser.parse_args()


def load(root: Path, allow_missing: bool):
    """The whole catalog with its SQL, or Refused with everything that is wrong."""
    problems = Problems()
    catalog = load_catalog(root / "protocol/catalog", root / "protocol", problems)
    problems.raise_if_any()
    header = root / "protocol/catalog.h"
    limits = Limits(
        load_limit(header, "CATALOG_MAX_VALUES"), load_limit(header, "CATALOG_MAX_COLUMNS")
    )
    bind(catalog, root / "backends", limits, allow_missing, problems)
    problems.raise_if_any()
    return catalog


def check_golden(document: dict, golden: Path):
    if not golden.exists():
        return
    try:
        promised = json.loads(golden.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(
            f"{golden.name}: {error}\nRestore it as it was; or promise what the catalog says now: "
            "generate.py --update-golden"
        ) from None
    broken = breaking_changes(promised, document)
    if broken:
        raise Refused(
            "\n".join(f"{golden.name}: breaking change: {line}" for line in broken)
            + "\nCallers rely on what the golden document says. If the break is meant: "
            "generate.py --update-golden"
        )


def write(path: Path, text: str):
    """Only when it differs, so that what depends on it is not built again for nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def pretty(document: dict) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def emit(catalog, document: dict, out: Path):
    """All files of the build."""
    files = {
        "catalog.gen.c": emit_c.source(catalog, document),
        "providers.gen.h": emit_c.providers(catalog),
        "openrpc.json": pretty(document),
        "methods.md": emit_docs.reference(catalog),
        **emit_client.files(catalog),
    }
    emit_rust.files(catalog)  # refuses what the crate cannot express
    for name, text in files.items():
        write(out / name, text)


def main():
    options = arguments()
    golden = options.root / "tests/golden/openrpc.json"
    try:
        catalog = load(options.root, options.allow_missing_sql)
        document = emit_openrpc.document(catalog)
        if options.update_golden:
            write(golden, pretty(document))
        check_golden(document, golden)
        if options.docs:
            write(options.root / "docs/methods.md", emit_docs.reference(catalog))
            for name, text in emit_rust.files(catalog).items():
                write(options.root / RUST / name, text)
        if options.out:
            emit(catalog, document, options.out)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
