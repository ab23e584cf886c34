"""The Debian packages in a Debian system of their own (debootstrap), under a real systemd. Would
catch: a package that lacks a file or a dependency, a key made beside a database or readable by
others, an upgrade that refuses a client or loses a write, a purge that removes key or data, two
builds that differ, a program without its protections, a bill of materials that lists other files.

Run by `scripts/test --packages`, which builds the packages twice and makes the system. It takes
some minutes, and needs root and the package archive."""
import contextlib
import filecmp
import glob
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import spdx
from lib.hardening import elf_files, weaknesses
from lib.machine import Machine, lacks
from lib.real_systemd import SOCKET, UNIT, guide
from lib.retrying import Writers
from lib.rpc import Connection
from lib.world import HASH

PACKAGES = os.environ.get("PIERRE_TEST_PACKAGES")  # a folder of packages
AGAIN = os.environ.get("PIERRE_TEST_PACKAGES_AGAIN")  # the same tree, built once more
SYSTEM = os.environ.get("PIERRE_TEST_SYSTEM")  # the root of a Debian system
KEY = "/etc/pierre-dbd/encryption.key"
CONFIGURATION = "/etc/pierre-dbd/pierre-dbd.conf"
DATABASE = "/var/lib/pierre-dbd/pierre.db"
NEXT = "0.1.0+next"
NAMES = ("pierre-dbd", "libpierre-db1", "libpierre-db-dev")
MATERIALS = "usr/share/doc/pierre-dbd/pierre-dbd.spdx.json"


def package(name, folder=None):
    (found,) = glob.glob(os.path.join(folder or PACKAGES, f"{name}_*.deb"))
    return found


def next_version(folder):
    """Writes the packages of the daemon and the library with a higher version into the folder."""
    for name in ("pierre-dbd", "libpierre-db1"):
        tree = os.path.join(folder, name)
        subprocess.run(["dpkg-deb", "--raw-extract", package(name), tree], check=True)
        with open(f"{tree}/DEBIAN/control", encoding="utf-8") as file:
            control = file.read()
        with open(f"{tree}/DEBIAN/control", "w", encoding="utf-8") as file:
            file.write(control.replace("Version: 0.1.0\n", f"Version: {NEXT}\n"))
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", tree, folder],
            check=True,
            capture_output=True,
        )
        shutil.rmtree(tree)


class Packages(unittest.TestCase):
    """Each test has a machine of its own."""

    def setUp(self):
        self.assertTrue(PACKAGES and AGAIN and SYSTEM, "run it by scripts/test --packages")
        if lacks():
            self.skipTest(f"the packages are NOT installed: {lacks()}")
        self.folder = tempfile.mkdtemp(prefix="pierre-packages-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)
        for name in NAMES:
            shutil.copy(package(name), self.folder)
        os.mkdir(f"{self.folder}/next")
        next_version(f"{self.folder}/next")
        self.m = Machine([self.folder], base=SYSTEM)
        self.addCleanup(self.m.end)
        self.m.boot()
        self.path = self.m.path(SOCKET)

    def apt(self, *words, check=True):
        return self.m.run(
            "apt-get", "-y", "-q", "--no-install-recommends", *words,
            check=check, DEBIAN_FRONTEND="noninteractive",
        )  # fmt: skip

    def install(self, folder="", names=("libpierre-db1", "pierre-dbd")):
        done = self.apt("install", *(package(name, f"{self.folder}{folder}") for name in names))
        return done.stdout + done.stderr

    def call(self, method, **named):
        with contextlib.closing(Connection(self.path, 60)) as one:
            return one.call(method, **named)

    def key(self):
        with open(self.m.path(KEY), encoding="ascii") as file:
            return file.read()

    def test_first_installation(self):
        shown = self.install()
        self.assertIn(f"made a key, {KEY}", shown)
        found = os.stat(self.m.path(KEY))
        self.assertEqual((stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid), (0o600, 0, 0))
        self.assertNotIn(self.key().strip(), shown)
        mode = stat.S_IMODE(os.stat(self.m.path(CONFIGURATION)).st_mode)
        self.assertEqual(mode, 0o600)
        self.assertEqual(self.m.property(UNIT, "ActiveState"), "active")
        for unit in (UNIT, "pierre-dbd.socket"):
            self.assertEqual(self.m.run("systemctl", "is-enabled", unit).stdout.strip(), "enabled")
        exporter = "pierre-dbd-exporter.socket"
        self.assertEqual(self.m.property(exporter, "ActiveState"), "inactive")
        self.assertNotEqual(
            self.m.run("systemctl", "is-enabled", exporter, check=False).returncode, 0
        )
        doctor = self.m.run("pierre-dbctl", "doctor")
        self.assertNotRegex(doctor.stdout, r"(?m)^fail")
        self.assertEqual(self.call("get_user_count"), 0)
        for path in ("/usr/share/man/man8/pierre-dbd.8.gz", "/usr/share/man/man1/pierre-dbctl.1.gz",
                     "/usr/share/man/man8/pierre-dbd-exporter.8.gz", "/usr/bin/pierre-dbd-exporter",
                     "/usr/share/pierre-dbd/prometheus/pierre-dbd.rules.yml",
                     "/usr/share/pierre-dbd/grafana/pierre-dbd.json",
                     "/usr/share/doc/pierre-dbd/docs/postgresql.md",
                     "/usr/share/bash-completion/completions/pierre-dbctl",
                     "/usr/share/zsh/vendor-completions/_pierre-dbctl"):  # fmt: skip
            self.assertTrue(os.path.exists(self.m.path(path)), path)

    def test_upgrade_under_load(self):
        """Clients are neither refused nor lose an answered write: systemd holds the socket."""
        self.install()
        key, socket_began = self.key(), self.m.property("pierre-dbd.socket", "ActiveEnterTimestamp")
        with Writers(self.path) as writers:
            for folder in ("/next", ""):
                before, known = self.m.main_pid(UNIT), len(writers.answered)
                done = self.apt("install", "--allow-downgrades",
                                *(package(name, f"{self.folder}{folder}")
                                  for name in ("libpierre-db1", "pierre-dbd")))  # fmt: skip
                self.assertNotIn("made a key", done.stdout + done.stderr)
                self.assertNotIn(self.m.main_pid(UNIT), (0, before))
                self.assertGreater(len(writers.answered), known)
        self.assertEqual(writers.problems, [])
        self.assertGreater(len(writers.answered), 50)
        for identifier, email in writers.answered.items():
            self.assertEqual(self.call("get_user", user_id=identifier)["email"], email)
        self.assertEqual(self.key(), key)
        now = self.m.property("pierre-dbd.socket", "ActiveEnterTimestamp")
        self.assertEqual(now, socket_began)
        print(f"  upgrade and back under load: {len(writers.answered)} writes, none lost")

    def test_removed_and_purged(self):
        """Neither removes key or database. Installed again, the service opens them."""
        self.install()
        key = self.key()
        self.call("create_user", user={"email": "kept@example.com", "password_hash": HASH})
        for verb in ("remove", "purge"):
            done = self.apt(verb, "pierre-dbd")
            self.assertFalse(os.path.exists(self.path))
            self.assertTrue(os.path.exists(self.m.path(DATABASE)))
            self.assertEqual(self.key(), key)
            self.assertEqual(os.path.exists(self.m.path(CONFIGURATION)), verb == "remove")
            if verb == "purge":
                shown = done.stdout + done.stderr
                self.assertIn(KEY, shown)
                self.assertIn("/var/lib/pierre-dbd", shown)
            self.assertNotIn("made a key", self.install())
            self.assertEqual(self.key(), key)
            self.assertEqual(self.call("get_user_count"), 1)

    def test_database_without_key(self):
        """A new key would open nothing of it: none is made, and the message says what to do."""
        self.install()
        self.apt("purge", "pierre-dbd")
        os.rename(self.m.path(KEY), self.m.path("/root/key"))
        shown = self.install()
        self.assertIn("there is a database, but no key", shown)
        self.assertFalse(os.path.exists(self.m.path(KEY)))
        self.assertNotEqual(self.m.property(UNIT, "ActiveState"), "active")
        os.rename(self.m.path("/root/key"), self.m.path(KEY))
        self.m.run("systemctl", "start", "pierre-dbd")
        self.assertEqual(self.call("get_user_count"), 0)

    def test_the_commands_of_the_guide(self):
        """`scripts/package` has built the packages; the rest is executed as it stands there."""
        lines = guide("Installing").splitlines()
        self.assertTrue(lines[0].startswith("scripts/package "), lines)
        self.m.shell(f"mkdir /srv/source && ln -s {self.folder} /srv/source/build-package")
        for line in lines[1:]:
            shown = self.m.shell(
                f"cd /srv/source && {line}", text="y\n", DEBIAN_FRONTEND="noninteractive"
            )
        self.assertIn(f"{SOCKET} (from the system's service)", shown.stdout)
        self.assertNotRegex(shown.stdout, r"(?m)^fail")

    def extracted(self):
        """The files of the packages: package -> folder."""
        found = {}
        for name in NAMES:
            found[name] = f"{self.folder}/files/{name}"
            os.makedirs(found[name])
            subprocess.run(["dpkg-deb", "--extract", package(name), found[name]], check=True)
        return found

    def test_protections(self):
        """Of the programs that users get, which Debian's flags have built."""
        looked = 0
        for folder in self.extracted().values():
            for path in elf_files(folder):
                self.assertEqual(weaknesses(path), [], path)
                looked += 1
        self.assertGreaterEqual(looked, 4)

    def test_bill_of_materials(self):
        """It lists the files of all packages as they are, and nothing else."""
        folders = self.extracted()
        with open(f"{folders['pierre-dbd']}/{MATERIALS}", encoding="utf-8") as file:
            document = json.load(file)
        self.assertEqual(spdx.problems(document), [])
        owners = {
            one["relatedSpdxElement"]: one["spdxElementId"].removeprefix("SPDXRef-Package-")
            for one in document["relationships"]
            if one["relationshipType"] == "CONTAINS"
        }
        listed = {
            f"{folders[owners[one['SPDXID']]]}/{one['fileName'][2:]}": one["checksums"][1]
            for one in document["files"]
        }
        there = {
            os.path.join(place, name): None
            for folder in folders.values()
            for place, _, names in os.walk(folder)
            for name in names
            if not os.path.islink(os.path.join(place, name))
        }
        there.pop(f"{folders['pierre-dbd']}/{MATERIALS}")
        self.assertEqual(sorted(listed), sorted(there))
        for path, found in listed.items():
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self.assertEqual(found, {"algorithm": "SHA256", "checksumValue": digest}, path)

    def test_two_builds_are_equal(self):
        names = [os.path.basename(path) for path in glob.glob(f"{PACKAGES}/*.deb")]
        self.assertGreaterEqual(len(names), 3)
        for name in names:
            equal = filecmp.cmp(f"{PACKAGES}/{name}", f"{AGAIN}/{name}", shallow=False)
            self.assertTrue(equal, f"{name} differs from its second build")


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed")
    sys.exit(1 if bad else 0)
