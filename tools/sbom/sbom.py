#!/usr/bin/env python3
"""Writes a software bill of materials (SPDX 2.3, JSON) of a build or of installed folders.

usage: sbom.py [BUILD]                 what `meson install` of the build installs (default: build)
       sbom.py --files NAME=FOLDER…    the files below each folder, as the package NAME
       sbom.py … --output FILE         writes the file, which leaves itself out, instead of standard
                                       output
       sbom.py --table                 the libraries with their licences, as a table

The same files and the same installed libraries give the same bytes: the time is SOURCE_DATE_EPOCH,
or the date of the newest entry of debian/changelog. Names and versions of libraries are those of
the Debian packages that are installed here; exit code 69 where there is no dpkg.
"""
import argparse
import email.utils
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib

from elf import Closure, Elf, is_elf

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LICENCE_LIST = "3.22"
NONE = "NOASSERTION"


def read(*names):
    with open(os.path.join(ROOT, *names), encoding="utf-8") as file:
        return file.read()


def table():
    """The rows of libraries.toml: (licence -> reason, libraries, what the compiler copies in)."""
    found = tomllib.loads(read("tools", "sbom", "libraries.toml"))
    return found["licences"], found["library"], found["copied"]


def project(name):
    """A value of the project() call in meson.build."""
    return re.search(rf"^  {name}: '([^']+)'", read("meson.build"), re.M)[1]


def epoch():
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    date = re.search(r"^ -- .*>  (.*)$", read("debian", "changelog"), re.M)[1]
    return int(email.utils.parsedate_to_datetime(date).timestamp())


class Debian:
    """The installed packages that own files."""

    def __init__(self, paths):
        self.owners, self.described = {}, {}
        names = {}
        for path in paths:
            real = os.path.realpath(path)
            # A package may own /lib/… where the file is in /usr/lib/….
            for name in (real, real.removeprefix("/usr"), path):
                names.setdefault(name, path)
        done = subprocess.run(
            ["dpkg-query", "-S", *names], capture_output=True, text=True, check=False
        )
        for line in done.stdout.splitlines():
            package, _, name = line.rpartition(": ")
            if name in names:
                self.owners.setdefault(names[name], package.split(",")[0])
        fields = ("Package", "Version", "Architecture", "source:Package", "source:Version")
        form = "\t".join(f"${{{one}}}" for one in (*fields, "Maintainer", "Homepage"))
        if self.owners:
            shown = subprocess.run(
                ["dpkg-query", "-W", f"-f={form}\n", *sorted(set(self.owners.values()))],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for line in shown.splitlines():
                words = line.split("\t")
                self.described[words[0]] = words

    def package(self, path):
        """Returns the fields of the package that owns a file, or None."""
        owner = self.owners.get(path)
        return self.described.get(owner.split(":")[0]) if owner else None


def copied_in():
    """Returns (row of libraries.toml, path) of the objects that the compiler links into
    everything."""
    compiler = os.environ.get("CC", "cc").split()
    for row in table()[2]:
        done = subprocess.run(
            [*compiler, f"-print-file-name={row['name']}"],
            capture_output=True,
            text=True,
            check=True,
        )
        yield row, done.stdout.strip()


def identifier(kind, name):
    """An SPDX identifier: letters, digits, dots and hyphens."""
    return f"SPDXRef-{kind}-" + re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-")


def digest(path, algorithm):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


class Document:
    """The bill of materials of folders, each of them one package of this project."""

    def __init__(self, folders, output=None):
        self.folders = folders  # name -> folder
        self.excluded = os.path.realpath(output) if output else None
        self.licence, self.version = project("license"), project("version")
        self.copyright = re.search(r"^Copyright .*$", read("LICENSE-MIT"), re.M)[0]
        self.packages, self.files, self.relations = [], [], []

    def relate(self, one, kind, other):
        self.relations.append(
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
        )

    def contents(self, folder):
        """Regular files, sorted by their name below the folder, without dpkg's own."""
        found = []
        for place, inner, names in os.walk(folder):
            inner[:] = [one for one in inner if (place, one) != (folder, "DEBIAN")]
            for name in names:
                path = os.path.join(place, name)
                if not os.path.islink(path) and os.path.realpath(path) != self.excluded:
                    found.append((os.path.relpath(path, folder), path))
        return sorted(found)

    def add_file(self, package, name, path):
        spdx = identifier("File", f"{package}-{name}")
        self.files.append(
            {
                "SPDXID": spdx,
                "fileName": f"./{name}",
                "fileTypes": ["BINARY" if is_elf(path) else "OTHER"],
                "checksums": [
                    {"algorithm": "SHA1", "checksumValue": digest(path, "sha1")},
                    {"algorithm": "SHA256", "checksumValue": digest(path, "sha256")},
                ],
                "licenseConcluded": self.licence,
                "licenseInfoInFiles": [NONE],
                "copyrightText": self.copyright,
            }
        )
        return spdx

    def add_own(self, name, folder):
        """Adds a package of this project. Returns the identifiers of its ELF files by path."""
        spdx, programs, sums = identifier("Package", name), {}, []
        self.relate("SPDXRef-DOCUMENT", "DESCRIBES", spdx)
        for inside, path in self.contents(folder):
            one = self.add_file(name, inside, path)
            sums.append(self.files[-1]["checksums"][0]["checksumValue"])
            self.relate(spdx, "CONTAINS", one)
            if is_elf(path):
                programs[path] = one
        code = {
            "packageVerificationCodeValue": hashlib.sha1("".join(sorted(sums)).encode()).hexdigest()
        }
        if self.excluded and self.excluded.startswith(os.path.realpath(folder) + os.sep):
            inside = os.path.relpath(self.excluded, os.path.realpath(folder))
            code["packageVerificationCodeExcludedFiles"] = [f"./{inside}"]
        self.packages.append(
            {
                "SPDXID": spdx,
                "name": name,
                "versionInfo": self.version,
                "supplier": "Organization: The pierre-dbd authors",
                "downloadLocation": NONE,
                "filesAnalyzed": True,
                "packageVerificationCode": code,
                "licenseConcluded": self.licence,
                "licenseDeclared": self.licence,
                "licenseInfoFromFiles": [NONE],
                "copyrightText": self.copyright,
                "primaryPackagePurpose": "LIBRARY" if name.startswith("lib") else "APPLICATION",
            }
        )
        return programs

    def add_foreign(self, fields, licence):
        """Adds a Debian package once. Returns its identifier."""
        name, version, architecture, source, source_version, maintainer, homepage = fields
        spdx = identifier("Package", f"debian-{name}")
        if all(one["SPDXID"] != spdx for one in self.packages):
            self.packages.append(
                {
                    "SPDXID": spdx,
                    "name": name,
                    "versionInfo": version,
                    "supplier": "Organization: Debian",
                    "originator": NONE,
                    "downloadLocation": NONE,
                    "filesAnalyzed": False,
                    "homepage": homepage or NONE,
                    "sourceInfo": f"Debian source package {source} {source_version}, maintained by "
                    f"{maintainer}",
                    "licenseConcluded": licence,
                    "licenseDeclared": licence,
                    "copyrightText": NONE,
                    "externalRefs": [
                        {
                            "referenceCategory": "PACKAGE-MANAGER",
                            "referenceType": "purl",
                            "referenceLocator": f"pkg:deb/debian/{name}@{purl(version)}"
                            f"?arch={architecture}",
                        }
                    ],
                }
            )
        return spdx

    def link(self, programs):
        """Adds the libraries that programs load, and what the compiler has copied into them."""
        closure = Closure(sorted(programs))
        own = {Elf(path).soname: spdx for path, spdx in programs.items()}
        own.pop(None, None)
        foreign = {name: path for name, path in closure.paths.items() if name not in own and path}
        copied = list(copied_in())
        owners = Debian([*foreign.values(), *(path for _, path in copied)])
        licences = {row["name"]: row["licence"] for row in table()[1]}
        known = dict(own)
        for name, path in sorted(foreign.items()):
            fields = owners.package(path)
            if fields:
                known[name] = self.add_foreign(fields, licences.get(name, NONE))
        starts = [
            self.add_foreign(owners.package(path), row["licence"])
            for row, path in copied
            if owners.package(path)
        ]
        pairs = set()
        for name, needed in closure.needs.items():
            if name in own:  # is there as a file already
                continue
            user = programs.get(name) or known.get(name)
            kind = "DYNAMIC_LINK" if name in programs else "DEPENDS_ON"
            pairs |= {(user, kind, known[one]) for one in needed if user and one in known}
        for spdx in programs.values():
            pairs |= {(spdx, "STATIC_LINK", one) for one in starts}
        for one, kind, other in sorted(pairs):
            if one != other:
                self.relate(one, kind, other)

    def made(self):
        programs = {}
        for name, folder in self.folders.items():
            programs.update(self.add_own(name, folder))
        self.link(programs)
        body = {
            "packages": self.packages,
            "files": self.files,
            "relationships": self.relations,
        }
        # The namespace must differ between documents that differ.
        text = json.dumps(body, sort_keys=True).encode()
        name = f"pierre-dbd-{self.version}"
        return {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": name,
            "documentNamespace": "https://pierre-dbd.example/spdx/"
            f"{name}-{hashlib.sha256(text).hexdigest()[:32]}",
            "creationInfo": {
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch())),
                "creators": [
                    "Organization: The pierre-dbd authors",
                    f"Tool: scripts-sbom-{self.version}",
                ],
                "licenseListVersion": LICENCE_LIST,
            },
            **body,
        }


def purl(version):
    """A version as a purl has it: all but letters, digits and `.-_~` is escaped."""
    return re.sub(r"[^A-Za-z0-9._~-]", lambda one: f"%{ord(one[0]):02X}", version)


def markdown():
    reasons, libraries, copied = table()
    lines = ["| library | Debian package | licence | why it may be linked |", "|---|---|---|---|"]
    for row in libraries + copied:
        lines.append(
            f"| `{row['name']}` | {row['package']} | {row['licence']} "
            f"| {reasons[row['licence']]} |"
        )
    return "\n".join(lines)


def row_of(name, rows):
    return next((row for row in rows if fnmatch.fnmatch(name, row["name"])), None)


def installed(build, folder):
    subprocess.run(
        ["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return {"pierre-dbd": folder}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", nargs="?", default=os.path.join(ROOT, "build"))
    parser.add_argument("--files", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--output")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        print(markdown())
        return 0
    if shutil.which("dpkg-query") is None:
        print("scripts/sbom: this is not Debian: dpkg is missing", file=sys.stderr)
        return 69
    with tempfile.TemporaryDirectory() as work:
        folders = (
            dict(one.split("=", 1) for one in arguments.files)
            if arguments.files
            else installed(arguments.build, work)
        )
        text = json.dumps(Document(folders, arguments.output).made(), indent=1) + "\n"
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
