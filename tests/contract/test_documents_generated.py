"""The tables in the documents equal the programs' output. Would catch: a setting or metric that was
added without documentation, a manual page that groff rejects."""
import os
import re
import shutil
import subprocess
import sys

from lib.case import Case
from lib.daemon import BINARY, BUILD, CTL

BACKENDS = ("sqlite",)
GUIDES = ("run.md", "observe.md", "recover.md")
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


class Documents(Case):
    def test_tables(self):
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, "docs/tables.py"), BUILD, "--check"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_every_setting_in_the_manual(self):
        flags = re.findall(
            r"^[ *]+--(?:\[no-\])?([a-z-]+)",
            subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout,
            re.MULTILINE,
        )
        manual = text_of("client/man/pierre-dbd.8").replace("\\-", "-")
        self.assertGreater(len(flags), 30)
        self.assertEqual(
            [
                flag
                for flag in flags
                if f"--{flag}" not in manual and f"--[no-]{flag}" not in manual
            ],
            [],
        )

    def test_every_command_in_the_manual(self):
        help_text = subprocess.run(
            [CTL, "--help"], capture_output=True, text=True, check=True
        ).stdout
        commands = re.findall(
            r"^  ([a-z-]+) {2,}\S",
            help_text[help_text.index("Commands:") : help_text.index("Options")],
            re.MULTILINE,
        )
        manual = text_of("client/man/pierre-dbctl.1").replace("\\-", "-")
        self.assertEqual(
            [
                command
                for command in commands
                if not re.search(rf"^\.(B|BI|BR) \"?{command}\b", manual, re.MULTILINE)
            ],
            [],
        )

    def test_commands_in_the_guide(self):
        """The commands in the guide exist."""
        help_text = subprocess.run(
            [CTL, "--help"], capture_output=True, text=True, check=True
        ).stdout
        commands = set(
            re.findall(
                r"^  ([a-z-]+) {2,}\S",
                help_text[help_text.index("Commands:") : help_text.index("Options")],
                re.MULTILINE,
            )
        )
        named = set(
            re.findall(
                r"(?:^|[`|(]|&& |! )pierre-dbctl ([a-z-]+)",
                "".join(text_of(f"docs/{guide}") for guide in GUIDES),
                re.MULTILINE,
            )
        )
        self.assertGreater(len(named), 8)
        self.assertEqual(named - commands, set())

    def test_manual_pages_are_well_formed(self):
        if shutil.which("groff") is None:
            self.skipTest("groff is not installed")
        for name in ("pierre-dbd.8", "pierre-dbctl.1", "libpierre-db.3"):
            done = subprocess.run(
                [
                    "groff",
                    "-man",
                    "-Tutf8",
                    "-ww",
                    "-Wbreak",
                    "-z",
                    os.path.join(ROOT, "client/man", name),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
