#!/usr/bin/env python3
"""Makes a C table of one backend's migrations: embed_migrations.py FOLDER OUTPUT NAME.

Files are called NNNN_name.sql; their numbers must be 1, 2, 3, … without a gap. The table is
`const struct migration NAME[]`, ended by a row whose name is NULL.

An expression that a file needs often stands once, between `-- define NAME` and `-- end`, with {x}
for what it is about; `{NAME column}` is that expression for a column. It may use those that are
defined behind it.
"""
import pathlib
import re
import sys


def c_string(text: str) -> str:
    lines = text.replace("\\", "\\\\").replace('"', '\\"').replace("??", r"?\?").splitlines()
    return "\n".join(f'\t"{line}\\n"' for line in lines)


_DEFINITION = re.compile(r"^-- define (\w+)\n(.*?)\n-- end\n", re.MULTILINE | re.DOTALL)


def expand(text: str) -> str:
    definitions = _DEFINITION.findall(text)
    text = _DEFINITION.sub("", text)
    for name, body in definitions:
        text = re.sub(
            rf"\{{{name} (\w+)\}}", lambda use, body=body: body.replace("{x}", use[1]), text
        )
    return text


def main() -> None:
    folder, output, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    rows = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", path.name)
        if match is None or int(match[1]) != number:
            sys.exit(f"{path}: expected a file called {number:04}_name.sql")
        rows.append(
            f'\t{{{number}, "{path.stem}",\n'
            f'{c_string(expand(path.read_text(encoding="utf-8")))}\t}},\n'
        )
    output.write_text(
        "/* Made by embed_migrations.py. Do not edit. */\n#include <stddef.h>\n\n"
        '#include "migration.h"\n\n'
        f"const struct migration {name}[] = {{\n{''.join(rows)}\t{{0, NULL, NULL}},\n}};\n",
        encoding="utf-8",
    )


main()
