"""The libraries that the built programs load, their licences, and the bill of materials that names
them. Would catch: a library that nobody has looked at, a licence that does not fit, a table that is
out of date, a bill of materials that lacks a library, breaks its specification or differs between
two runs."""
import copy
import fnmatch
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from lib import spdx
from lib.case import Case
from lib.daemon import BUILD, CTL
from lib.hardening import elf_files

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tools", "sbom"))
import sbom  # noqa: E402
from elf import Closure  # noqa: E402

BACKENDS = ("sqlite",)
SANITIZERS = False
COPYRIGHT = "/usr/share/doc/{}/copyright"
# Those that Debian's other releases give to a library under another name are in no table.
RELEASE = "12"


def release():
    """Debian's release as a number, or None."""
    with open("/etc/os-release", encoding="utf-8") as file:
        text = file.read()
    found = re.search(r'^VERSION_ID="?(\d+)', text, re.M)
    return found[1] if found and re.search(r"^ID=debian$", text, re.M) else None


@functools.cache
def copyright_of(package):
    with open(COPYRIGHT.format(package), encoding="utf-8") as file:
        return file.read()


def words(text):
    return " ".join(re.sub(r"^[ \t*]+", "", text, flags=re.M).split())


def licence_of_files(text, pattern):
    """The licence of the paragraph `Files:` that lists the pattern (machine-readable copyright)."""
    for paragraph in re.split(r"\n\s*\n", text):
        found = re.search(r"^Files:((?:.|\n[ \t])*)", paragraph, re.M)
        if found and pattern in found[1].split():
            licence = re.search(r"^License:[ \t]*(.*)$", paragraph, re.M)
            return licence[1].strip() if licence else None
    return None


@functools.cache
def installation():
    """The installed files of the build, and what they load."""
    work = tempfile.TemporaryDirectory(prefix="pierre-licences-")
    sbom.installed(BUILD, work.name)
    files = list(elf_files(work.name))
    return work, files, Closure(files)


class Built(Case):
    @classmethod
    def setUpClass(cls):
        cls.work, cls.files, cls.closure = installation()
        cls.own = {name for name in cls.closure.paths if name.startswith("libpierre-db.so.")}
        cls.loaded = set(cls.closure.paths) - cls.own
        cls.reasons, cls.rows, cls.copied = sbom.table()

    def known(self, name):
        return sbom.row_of(name, self.rows)


class Licences(Built):
    def test_each_library_is_known(self):
        """Those that our files name themselves on every system; those that these load where the
        release of Debian is the one of the table."""
        direct = {name for path in self.files for name in self.closure.needs[path]} - self.own
        self.assertLessEqual({"libuv.so.1", "libpq.so.5", "libsqlite3.so.0"}, direct)
        unknown = {name for name in direct if not self.known(name)}
        if release() == RELEASE:
            unknown |= {name for name in self.loaded if not self.known(name)}
        self.assertEqual(
            sorted(unknown), [], "look at their licences and add them to tools/sbom/libraries.toml"
        )

    def test_no_row_is_out_of_date(self):
        if release() != RELEASE:
            self.skipTest(f"the table of libraries is NOT compared: this is not Debian {RELEASE}")
        stale = [row["name"] for row in self.rows if row["name"] not in self.loaded]
        self.assertEqual(stale, [], "nothing loads them: tools/sbom/libraries.toml")
        names = [row["name"] for row in self.rows]
        self.assertEqual(len(names), len(set(names)))

    def test_each_licence_fits(self):
        used = {row["licence"] for row in self.rows + self.copied}
        self.assertEqual(used, set(self.reasons), "a licence needs a reason, a reason a library")
        for licence, reason in self.reasons.items():
            with self.subTest(licence):
                self.assertGreater(len(reason), 10)
                self.assertIsNotNone(spdx.licences(licence))
                # Only a choice of another licence or an exception makes GPL fit.
                if licence.startswith("GPL"):
                    self.assertIn(" WITH GCC-exception", licence)
                choices = licence.split(" OR ")
                self.assertFalse(
                    all(one.startswith(("GPL", "AGPL")) and "WITH" not in one for one in choices)
                )

    def test_debian_says_the_same(self):
        """Package and licence of each library, as the system that it was built on has them."""
        if release() != RELEASE:
            self.skipTest(f"copyright files are NOT read: this is not Debian {RELEASE}")
        copied = list(sbom.copied_in())
        paths = {name: path for name, path in self.closure.paths.items() if self.known(name)}
        owners = sbom.Debian([*paths.values(), *(path for _, path in copied)])
        pairs = [(self.known(name), path) for name, path in paths.items()] + copied
        self.assertGreater(len(pairs), 20)
        for row, path in pairs:
            with self.subTest(row["name"]):
                package = owners.package(path)
                self.assertIsNotNone(package, f"no package has {path}")
                self.assertTrue(fnmatch.fnmatch(package[0], row["package"]), package)
                if not os.path.exists(COPYRIGHT.format(package[0])):
                    self.skipTest(f"{package[0]} has no copyright file here")
                self.assert_evidence(row["copyright"], copyright_of(package[0]))

    def assert_evidence(self, evidence, text):
        if "phrase" in evidence:
            self.assertGreater(len(evidence["phrase"]), 20)
            self.assertIn(evidence["phrase"], words(text))
        else:
            self.assertEqual(licence_of_files(text, evidence["files"]), evidence["licence"])

    def test_the_static_library_needs_only_the_c_library(self):
        """The feature `static` of the Rust crate, and every C program that links it."""
        found = [
            os.path.join(place, name)
            for place, _, names in os.walk(self.work.name)
            for name in names
            if name.endswith(".a")
        ]
        if not found:
            self.skipTest("the build has no static library")
        self.assertEqual([os.path.basename(path) for path in found], ["libpierre-db.a"])
        shown = subprocess.run(
            ["nm", "--undefined-only", "--format=just-symbols", found[0]],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        wanted = {word for word in shown.split() if not word.endswith(":")}
        wanted -= {"_GLOBAL_OFFSET_TABLE_"}
        libc = subprocess.run(
            ["nm", "-D", "--defined-only", "--format=just-symbols", self.closure.paths["libc.so.6"]]
            + [path for name, path in self.closure.paths.items() if name.startswith("ld-linux")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        given = {word.split("@")[0] for word in libc.split()}
        self.assertGreater(len(wanted), 20)
        self.assertEqual(sorted(wanted - given), [])

    def test_what_the_client_loads(self):
        """docs/supply-chain.md names the libraries that pierre-dbctl itself loads."""
        with open(os.path.join(ROOT, "docs", "supply-chain.md"), encoding="utf-8") as file:
            sentence = re.search(r"`pierre-dbctl` loads (.*?) alone\.", file.read(), re.S)[1]
        shown = subprocess.run(
            ["objdump", "-p", CTL], check=True, capture_output=True, text=True
        ).stdout
        needed = {name.split(".")[0] for name in re.findall(r"NEEDED +(\S+)", shown)}
        named = set(re.findall(r"`(\S+)`", sentence))
        self.assertIn("and the C library", sentence)
        needed -= {"libc", "libm", "ld-linux-x86-64"}
        self.assertEqual(needed | {"libedit"}, named)  # which is optional

    def test_the_rust_crate_has_no_dependency(self):
        with open(os.path.join(ROOT, "client/rust/Cargo.lock"), encoding="utf-8") as file:
            locked = file.read()
        self.assertEqual(re.findall(r'^name = "(.*)"$', locked, re.M), ["pierre-db"])
        with open(os.path.join(ROOT, "client/rust/Cargo.toml"), encoding="utf-8") as file:
            manifest = file.read()
        self.assertNotRegex(manifest, r"(?m)^\[(.*-)?dependencies")
        self.assertIn(f'license = "{sbom.project("license")}"', manifest)


class Materials(Built):
    @classmethod
    def setUpClass(cls):
        if shutil.which("dpkg-query") is None:
            cls.reason = "no bill of materials is made: this is not Debian"
            return
        super().setUpClass()
        cls.reason = None
        cls.text = cls.made()
        cls.document = json.loads(cls.text)

    def setUp(self):
        if self.reason:
            self.skipTest(self.reason)

    @classmethod
    def made(cls, **variables):
        environment = {key: os.environ[key] for key in os.environ if key != "SOURCE_DATE_EPOCH"}
        return subprocess.run(
            [os.path.join(ROOT, "scripts", "sbom"), "--files", f"pierre-dbd={cls.work.name}"],
            check=True,
            capture_output=True,
            text=True,
            env={**environment, **variables},
        ).stdout

    def named(self, kind, name):
        (found,) = [one for one in self.document[kind] if re.search(name, str(one))]
        return found

    def test_it_keeps_to_the_specification(self):
        self.assertEqual(spdx.problems(self.document), [])

    def test_a_breach_is_found(self):
        """The check itself: each change of the document makes it fail."""

        def broken(change):
            document = copy.deepcopy(self.document)
            change(document)
            return spdx.problems(document)

        def lose(kind, member):
            return lambda document: document[kind][0].pop(member)

        changes = [lose("packages", member) for member in spdx.PACKAGE]
        changes += [lose("relationships", member) for member in spdx.RELATION]
        changes += [lambda document, member=member: document.pop(member)
                    for member in spdx.DOCUMENT]  # fmt: skip
        changes += [
            lambda document: document["files"][0]["checksums"][0].update(checksumValue="0" * 40),
            lambda document: document["files"][0]["checksums"].pop(0),
            lambda document: document["packages"].pop(),
            lambda document: document["relationships"].pop(0),
            lambda document: document["packages"][1].update(SPDXID="SPDXRef-DOCUMENT"),
            lambda document: document["packages"][1].update(licenseDeclared="MIT or ISC"),
            lambda document: document["creationInfo"].update(created="2026-11-27"),
            lambda document: document.update(documentNamespace="pierre#dbd"),
        ]
        for change in changes:
            self.assertNotEqual(broken(change), [])

    def test_it_has_each_library(self):
        described = {one["name"]: one for one in self.document["packages"]}
        owners = sbom.Debian([self.closure.paths[name] for name in self.loaded])
        for name in sorted(self.loaded):
            with self.subTest(name):
                fields = owners.package(self.closure.paths[name])
                if fields is None:
                    self.skipTest(f"no package has {name}")
                package = described[fields[0]]
                self.assertEqual(package["versionInfo"], fields[1])
                row = self.known(name)
                self.assertEqual(
                    package["licenseConcluded"], row["licence"] if row else "NOASSERTION"
                )
        users = {
            (one["spdxElementId"], one["relatedSpdxElement"])
            for one in self.document["relationships"]
            if one["relationshipType"] == "DYNAMIC_LINK"
        }
        daemon = self.named("files", r"bin/pierre-dbd'")["SPDXID"]
        for name in ("libuv1", "libpq5", "libsqlite3-0", "libsodium23"):
            self.assertIn((daemon, described[name]["SPDXID"]), users)
        for row in self.copied:
            self.assertTrue(any(fnmatch.fnmatch(name, row["package"]) for name in described))

    def test_it_has_the_hash_of_each_file(self):
        listed = {one["fileName"]: one["checksums"][1] for one in self.document["files"]}
        for path in self.files:
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            found = listed["./" + os.path.relpath(path, self.work.name)]
            self.assertEqual(found, {"algorithm": "SHA256", "checksumValue": digest})

    def test_it_is_the_same_again(self):
        """No time of the run, no name of a folder here; SOURCE_DATE_EPOCH changes one member."""
        self.assertNotIn(self.work.name, self.text)
        again = json.loads(self.made(SOURCE_DATE_EPOCH="1700000000"))
        self.assertEqual(again["creationInfo"].pop("created"), "2023-11-14T22:13:20Z")
        again["creationInfo"]["created"] = self.document["creationInfo"]["created"]
        self.assertEqual(again, self.document)
