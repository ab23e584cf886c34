#!/usr/bin/env python3
"""Writes the tables that the programs print into the documents: settings, metrics and alarms; and
the libraries that they load, from tools/sbom/libraries.toml.

    docs/tables.py BUILD            rewrites what stands between the marks in docs/run.md,
                                    docs/observe.md, docs/monitoring.md, docs/supply-chain.md, the
                                    manual pages of the daemon and the exporter, and
                                    systemd/pierre-dbd.conf
    docs/tables.py BUILD --check    only says whether something would change (exit code 1); a test
                                    runs it
"""
import os
import re
import subprocess
import sys
import textwrap

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
WIDTH = 80  # of a line in the manual page: escapes make it longer


def output(build, program, *arguments):
    return subprocess.run(
        [os.path.join(build, program), *arguments], check=True, capture_output=True, text=True
    ).stdout.rstrip("\n")


def roff(text):
    """Plain text, with `code` in bold."""
    text = (
        text.replace("\\|", "|")
        .replace("&lt;", "<")
        .replace("\\", "\\e")
        .replace("-", "\\-")
        .replace("'", "\\(aq")
    )
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text)
    return "\\&" + text if text.startswith((".", "'")) else text


def filled(text):
    """The text in lines of a manual page; roff joins them again. What is `code` stays whole."""
    whole = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), text)
    return [
        roff(line.replace("\0", " "))
        for line in textwrap.wrap(whole, WIDTH, break_long_words=False, break_on_hyphens=False)
    ]


def sentence(doc):
    """A capital letter at the beginning, unless the first word is something to type."""
    return (doc[0].upper() + doc[1:] if re.match(r"[a-z]+ ", doc) else doc) + "."


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def man_settings(markdown):
    """The table of `pierre-dbd --help=markdown`, as a manual page has it."""
    lines = []
    for line in markdown.splitlines():
        if line.startswith("### "):
            lines.append(f".SS {line[4:]}")
        elif line.startswith("| `") or line.startswith("| |"):
            flag, environment, fallback, limits, *reloads, doc = cells(line)
            facts = (
                [environment] + [f"default {fallback}"] * bool(fallback) + [limits] * bool(limits)
            )
            facts += ["reloads"] * (reloads == ["yes"])
            lines += [
                ".TP",
                roff(flag or environment),
                *filled(sentence(doc)),
                ".br",
                *filled("(" + "; ".join(facts if flag else facts[1:] or ["no default"]) + ")"),
            ]
    return "\n".join(lines)


def config_settings(markdown):
    """The same table as a configuration file, each setting commented out with its default."""
    lines = []
    for line in markdown.splitlines():
        if line.startswith("### "):
            lines += ["", f"## {line[4:]}"]
        elif line.startswith("| `") or line.startswith("| |"):
            flag, environment, fallback, limits, _, doc = (
                one.replace("\\|", "|").replace("&lt;", "<") for one in cells(line)
            )
            if flag:  # what has none is a secret, and is no matter of this file
                text = sentence(doc) + (f" Range: {limits}." if limits else "")
                marks = {"initial_indent": "# ", "subsequent_indent": "# "}
                lines += ["", *textwrap.wrap(text, 96, break_on_hyphens=False, **marks)]
                lines.append(f"#{environment.strip('`')}={fallback.strip('`')}")
    return "\n".join(lines).strip("\n")


def replaced(text, name, table, begin, end):
    found = re.search(
        f"({re.escape(begin.format(name))}\n).*?(\n{re.escape(end)})", text, re.DOTALL
    )
    if not found:
        raise SystemExit(f"there is no place marked for the {name}")
    return text[: found.end(1)] + table + text[found.start(2) :]


def documents(build):
    settings = output(build, "daemon/pierre-dbd", "--help=markdown")
    marks = "<!-- {}: docs/tables.py writes this -->", "<!-- end -->"
    metrics = output(build, "client/pierre-dbctl", "metrics", "--markdown")
    libraries = output(ROOT, "tools/sbom/sbom.py", "--table")
    alarms = output(ROOT, "tools/exporter/monitoring/generate.py", "table")
    exporter = output(build, "tools/exporter/pierre-dbd-exporter", "--help=markdown")
    texts = {}
    roff_marks = '.\\" {}: docs/tables.py writes this', '.\\" end'
    config_marks = "# {}: docs/tables.py writes this", "# end"
    for document, name, table, between in (
        ("docs/run.md", "settings", settings, marks),
        ("docs/observe.md", "metrics", metrics, marks),
        ("docs/supply-chain.md", "libraries", libraries, marks),
        ("docs/observe.md", "alarms", alarms, marks),
        ("docs/monitoring.md", "settings", exporter, marks),
        ("client/man/pierre-dbd.8", "settings", man_settings(settings), roff_marks),
        ("client/man/pierre-dbd-exporter.8", "settings", man_settings(exporter), roff_marks),
        ("systemd/pierre-dbd.conf", "settings", config_settings(settings), config_marks),
    ):
        path = os.path.join(ROOT, document)
        if path not in texts:
            with open(path, encoding="utf-8") as file:
                texts[path] = file.read()
        texts[path] = replaced(texts[path], name, table, *between)
    return texts.items()


def main():
    if len(sys.argv) not in (2, 3) or (len(sys.argv) == 3 and sys.argv[2] != "--check"):
        raise SystemExit(__doc__)
    changed = False
    for path, text in documents(sys.argv[1]):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                continue
        changed = True
        print(
            f"{os.path.relpath(path, ROOT)} is not what the programs say"
            if len(sys.argv) == 3
            else f"wrote {os.path.relpath(path, ROOT)}"
        )
        if len(sys.argv) == 2:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    if changed and len(sys.argv) == 3:
        raise SystemExit("docs/tables.py BUILD brings them up to date")


if __name__ == "__main__":
    main()
