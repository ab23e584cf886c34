"""What the package's maintainer scripts do with the key, run on folders of their own. Would catch:
a key made beside a database, one that others can read, an old key replaced, a purge that removes
key or database or does not say where they are. tests/packages installs the real packages."""
BACKENDS = ("sqlite",)
# pylint: disable=wrong-import-position
import base64
import os
import stat
import subprocess
import tempfile

from lib.case import Case
from lib.daemon import BINARY

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOLDERS = ("/etc/pierre-dbd", "/var/lib/pierre-dbd", "/etc/systemd/system")


class Scripts(Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pierre-scripts-")
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.write("/etc/pierre-dbd/pierre-dbd.conf", "#DATABASE_URL=sqlite:./data/pierre.db\n")
        os.mkdir(f"{self.root}/bin")
        os.symlink(BINARY, f"{self.root}/bin/pierre-dbd")
        self.key = f"{self.root}/etc/pierre-dbd/encryption.key"

    def write(self, path, text):
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run_script(self, name, *arguments):
        """Runs it on the folders of the test; returns what it says."""
        with open(f"{ROOT}/debian/pierre-dbd.{name}", encoding="utf-8") as file:
            text = file.read()
        for folder in FOLDERS:
            text = text.replace(folder, self.root + folder)
        done = subprocess.run(
            ["sh", "-c", text, name, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"},
        )
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        return done.stderr

    def made(self):
        """Installs it; returns whether a key was made, which the message must tell."""
        shown = self.run_script("postinst", "configure", "")
        there = os.path.exists(self.key)
        self.assertEqual(f"made a key, {self.key}" in shown, there, shown)
        self.assertEqual("there is a database, but no key" in shown, not there, shown)
        if there:
            found = os.stat(self.key)
            self.assertEqual(stat.S_IMODE(found.st_mode), 0o600)
            with open(self.key, encoding="ascii") as file:
                text = file.read()
            self.assertEqual(len(base64.b64decode(text, validate=False)), 32)
            self.assertNotIn(text.strip(), shown)
        self.assertEqual(os.path.exists(self.key + ".new"), False)
        return there

    def test_without_a_database(self):
        self.assertTrue(self.made())

    def test_after_an_interrupted_installation(self):
        self.write("/etc/pierre-dbd/encryption.key.new", "AAAA")
        self.assertTrue(self.made())

    def test_with_a_database(self):
        """In the folder of the service, or named by its configuration or a drop-in."""
        for path, text in (
            ("/var/lib/pierre-dbd/pierre.db", ""),
            ("/etc/pierre-dbd/pierre-dbd.conf", "DATABASE_URL=postgresql://pierre@db/pierre\n"),
            (
                "/etc/systemd/system/pierre-dbd.service.d/override.conf",
                "[Service]\nEnvironment=DATABASE_URL=sqlite:///srv/pierre.db\n",
            ),
            (
                "/etc/systemd/system/pierre-dbd.service.d/override.conf",
                '[Service]\nEnvironment=A=1 "DATABASE_URL=sqlite:///srv/pierre.db"\n',
            ),
        ):
            with self.subTest(path=path, text=text):
                self.setUp()
                self.write(path, text)
                self.assertFalse(self.made())

    def test_a_drop_in_without_a_database(self):
        self.write("/etc/systemd/system/pierre-dbd.service.d/a.conf", "[Service]\nNice=5\n")
        self.assertTrue(self.made())

    def test_a_key_stays(self):
        self.write("/etc/pierre-dbd/encryption.key", "old")
        self.assertEqual(self.run_script("postinst", "configure", "0.1.0"), "")
        with open(self.key, encoding="ascii") as file:
            self.assertEqual(file.read(), "old")

    def test_purge(self):
        self.assertEqual(self.run_script("postrm", "purge"), "")
        self.write("/etc/pierre-dbd/encryption.key", "old")
        database = f"{self.root}/var/lib/pierre-dbd"
        self.assertEqual(self.run_script("postrm", "remove"), "")
        for path in (self.key, database):
            if path == database:
                self.write("/var/lib/pierre-dbd/pierre.db", "rows")
            self.assertIn(path, self.run_script("postrm", "purge"))
        self.assertIn(self.key, self.run_script("postrm", "purge"))
        self.assertTrue(os.path.exists(self.key) and os.path.exists(f"{database}/pierre.db"))
