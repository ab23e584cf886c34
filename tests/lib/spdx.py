"""What SPDX 2.3 demands of a document in JSON: the fields of its clauses 6 to 8 and 11, the forms
of their values, and that each identifier that is used exists. The JSON schema of the specification
checks less: no identifiers, no forms, no licence expressions."""
import hashlib
import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
IDENTIFIER = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
CREATOR = re.compile(r"(Tool|Organization|Person): \S.*")
AGENT = re.compile(r"(Organization|Person): \S.*|NOASSERTION")
PURL = re.compile(r"pkg:deb/debian/[a-z0-9.+-]+@[A-Za-z0-9._~%-]+\?arch=[a-z0-9]+")
URI = re.compile(r"https?://[^\s#]+")
LICENCE = re.compile(r"[A-Za-z0-9.-]+\+?")
LENGTHS = {"SHA1": 40, "SHA256": 64}
NONE = ("NOASSERTION", "NONE")
KINDS = {"DESCRIBES", "CONTAINS", "DYNAMIC_LINK", "STATIC_LINK", "DEPENDS_ON"}
FILE_TYPES = {"SOURCE", "BINARY", "ARCHIVE", "APPLICATION", "TEXT", "OTHER"}
DOCUMENT = {
    "spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages",
    "files", "relationships",
}  # fmt: skip
PACKAGE = {
    "SPDXID", "name", "versionInfo", "supplier", "downloadLocation", "filesAnalyzed",
    "licenseConcluded", "licenseDeclared", "copyrightText",
}  # fmt: skip
PACKAGE_MORE = {
    "originator", "packageVerificationCode", "licenseInfoFromFiles", "primaryPackagePurpose",
    "homepage", "sourceInfo", "externalRefs",
}  # fmt: skip
FILE = {
    "SPDXID", "fileName", "fileTypes", "checksums", "licenseConcluded", "licenseInfoInFiles",
    "copyrightText",
}  # fmt: skip
RELATION = {"spdxElementId", "relationshipType", "relatedSpdxElement"}


def licences(expression):
    """Returns the licences of an expression (annex D) without parentheses; None where it is
    none."""
    names = []
    for part in re.split(r" (?:AND|OR) ", expression):
        words = part.split(" WITH ")
        if len(words) > 2 or not all(LICENCE.fullmatch(word) for word in words):
            return None
        names.append(part)
    return names


class Checked:
    """Collects in `problems` what a document breaks."""

    def __init__(self, document):
        self.document, self.problems = document, []
        self.identifiers = set()
        self._members("the document", document, DOCUMENT)
        for package in document.get("packages", ()):
            self._members(package.get("name", "a package"), package, PACKAGE, PACKAGE_MORE)
        for file in document.get("files", ()):
            self._members(file.get("fileName", "a file"), file, FILE)
        for relation in document.get("relationships", ()):
            self._members("a relationship", relation, RELATION)
        if self.problems:
            return
        self._head()
        for package in document["packages"]:
            self._package(package)
        for file in document["files"]:
            self._file(file)
        for relation in document["relationships"]:
            self._relation(relation)
        if not self.problems:
            self._described()

    def bad(self, where, what):
        self.problems.append(f"{where}: {what}")

    def _members(self, where, found, wanted, more=()):
        for name in sorted(wanted - set(found)):
            self.bad(where, f"lacks {name}")
        for name in sorted(set(found) - wanted - set(more)):
            self.bad(where, f"has an unknown member {name}")

    def _match(self, where, form, value):
        if not isinstance(value, str) or not form.fullmatch(value):
            self.bad(where, f"{value!r} has not the form {form.pattern}")

    def _identifier(self, where, value):
        self._match(where, IDENTIFIER, value)
        if value in self.identifiers:
            self.bad(where, "stands twice")
        self.identifiers.add(value)

    def _licence(self, where, value):
        if value not in NONE and licences(value) is None:
            self.bad(where, f"{value!r} is no licence expression")

    def _head(self):
        document, info = self.document, self.document["creationInfo"]
        for name, value in (
            ("spdxVersion", "SPDX-2.3"),
            ("dataLicense", "CC0-1.0"),
            ("SPDXID", "SPDXRef-DOCUMENT"),
        ):
            if document[name] != value:
                self.bad(name, f"is {document[name]!r}, not {value}")
        self.identifiers.add("SPDXRef-DOCUMENT")
        self._match("documentNamespace", URI, document["documentNamespace"])
        if not document["name"]:
            self.bad("name", "is empty")
        self._members("creationInfo", info, {"created", "creators", "licenseListVersion"})
        self._match("created", TIME, info.get("created"))
        for creator in info.get("creators") or [None]:
            self._match("creators", CREATOR, creator)
        self._match("licenseListVersion", re.compile(r"\d+\.\d+"), info.get("licenseListVersion"))

    def _package(self, package):
        where = package["name"]
        self._identifier(where, package["SPDXID"])
        self._match(where, AGENT, package["supplier"])
        for name in ("licenseConcluded", "licenseDeclared"):
            self._licence(where, package[name])
        if not package["versionInfo"]:
            self.bad(where, "has no version")
        for reference in package.get("externalRefs", ()):
            if (reference["referenceCategory"], reference["referenceType"]) != (
                "PACKAGE-MANAGER",
                "purl",
            ):
                self.bad(where, f"has the reference {reference}")
            self._match(where, PURL, reference["referenceLocator"])
        analyzed = package["filesAnalyzed"]
        if analyzed != ("packageVerificationCode" in package):
            self.bad(where, "has a verification code exactly if its files are listed")
        if analyzed:
            self._verify(where, package)

    def _verify(self, where, package):
        """The code is made of the SHA-1 sums of the package's files (clause 7.9)."""
        owned = {
            relation["relatedSpdxElement"]
            for relation in self.document["relationships"]
            if relation["relationshipType"] == "CONTAINS"
            and relation["spdxElementId"] == package["SPDXID"]
        }
        sums = sorted(
            one["checksumValue"]
            for file in self.document["files"]
            if file["SPDXID"] in owned
            for one in file["checksums"]
            if one["algorithm"] == "SHA1"
        )
        code = hashlib.sha1("".join(sums).encode()).hexdigest()
        if not sums or code != package["packageVerificationCode"]["packageVerificationCodeValue"]:
            self.bad(where, "its verification code is wrong")

    def _file(self, file):
        where = file["fileName"]
        self._identifier(where, file["SPDXID"])
        self._match(where, re.compile(r"\./[^/].*"), where)
        self._licence(where, file["licenseConcluded"])
        if not set(file["fileTypes"]) <= FILE_TYPES:
            self.bad(where, f"has the types {file['fileTypes']}")
        sums = {one["algorithm"]: one["checksumValue"] for one in file["checksums"]}
        if "SHA1" not in sums:  # clause 8.4
            self.bad(where, "has no SHA1 sum")
        for algorithm, value in sums.items():
            self._match(where, re.compile(f"[0-9a-f]{{{LENGTHS[algorithm]}}}"), value)

    def _relation(self, relation):
        for name in ("spdxElementId", "relatedSpdxElement"):
            if relation[name] not in self.identifiers:
                self.bad("a relationship", f"{relation[name]} does not exist")
        if relation["relationshipType"] not in KINDS:
            self.bad("a relationship", f"has the type {relation['relationshipType']}")

    def _described(self):
        """Everything is reached from the document, and it describes at least one package."""
        edges = {}
        for relation in self.document["relationships"]:
            edges.setdefault(relation["spdxElementId"], []).append(relation["relatedSpdxElement"])
        seen, queue = set(), ["SPDXRef-DOCUMENT"]
        while queue:
            one = queue.pop()
            if one not in seen:
                seen.add(one)
                queue += edges.get(one, [])
        for lost in sorted(self.identifiers - seen):
            self.bad(lost, "is not reached from the document")
        if "SPDXRef-DOCUMENT" not in edges:
            self.bad("the document", "describes nothing")


def problems(document):
    return Checked(document).problems
