"""Dockerfile and compose files say what is true. Would catch: a setting that does not exist, a
secret or volume that nothing defines, a library that the image lacks, a container that runs as root
or is stopped before it has drained. `scripts/test --containers` runs the image. None of it depends
on the database."""
BACKENDS = ("sqlite",)
SANITIZERS = False  # an instrumented build needs other libraries
# pylint: disable=wrong-import-position
import glob
import os
import re
import shutil
import subprocess

import yaml

from containers.image import instructions
from lib.case import Case
from lib.daemon import BINARY, BUILD, CTL

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GIVEN = {"libc6"}  # in each Debian


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def settings():
    """Returns {variable: default}, from the table of the settings."""
    shown = subprocess.run(
        [BINARY, "--help=markdown"], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"^\|[^|]*\| `(\w+)` \| `?([^`|]*?)`? \|", shown, re.MULTILINE)
    assert len(found) > 30
    return dict(found)


class Dockerfile(Case):
    def setUp(self):
        self.steps = instructions(os.path.join(ROOT, "Dockerfile"))

    def only(self, name):
        """Returns the arguments of the last instruction of that name."""
        return [rest for one, rest in self.steps if one == name][-1]

    def test_libraries(self):
        """The packages that the image installs are those that the programs need."""
        if shutil.which("dpkg") is None:
            self.skipTest("no Debian: the packages of the image are NOT checked")
        programs = [BINARY, CTL, *glob.glob(f"{BUILD}/client/libpierre-db.so.?.*[0-9]"),
                    f"{BUILD}/tools/transfer/pierre-transfer"]  # fmt: skip
        if not any("-Dexporter=disabled" in rest for one, rest in self.steps if one == "RUN"):
            programs.append(f"{BUILD}/tools/exporter/pierre-dbd-exporter")
        paths = set()
        for program in programs:
            shown = subprocess.run(
                ["readelf", "-d", program], capture_output=True, text=True, check=True
            ).stdout
            needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", shown))
            shown = subprocess.run(
                ["ldd", program], capture_output=True, text=True, check=True
            ).stdout
            for name, path in re.findall(r"(\S+) => (/\S+)", shown):
                if name in needed and not name.startswith("libpierre-db"):
                    paths |= {path, "/usr" + path.removeprefix("/usr")}
        # A library has one of the two names.
        shown = subprocess.run(
            ["dpkg", "-S", *sorted(paths)], capture_output=True, text=True, check=False
        ).stdout
        owners = set(re.findall(r"^([\w.+-]+)(?::\w+)?: ", shown, re.MULTILINE))
        installs = [rest for one, rest in self.steps if one == "RUN" and "apt-get install" in rest]
        (packages,) = (
            set(re.search(r"--no-install-recommends (.*?) &&", rest)[1].split())
            for rest in installs
        )
        self.assertEqual(packages, owners - GIVEN)

    def test_how_it_runs(self):
        self.assertEqual({rest.split()[0] for one, rest in self.steps if one == "FROM"},
                         {"debian:12-slim"})  # fmt: skip
        self.assertNotRegex(text_of("Dockerfile"), r"\w+://")
        self.assertNotRegex(self.only("USER"), r"^(root|0)\b")
        self.assertTrue(self.only("HEALTHCHECK").endswith('CMD ["pierre-dbctl", "ready"]'))
        self.assertEqual(self.only("STOPSIGNAL"), "SIGTERM")
        known = settings()
        for name in re.findall(r"(\w+)=", self.only("ENV")):
            self.assertIn(name, known)

    def test_what_is_copied(self):
        for one, rest in self.steps:
            source = rest.split()[0]
            if one == "COPY" and not source.startswith("--from"):
                self.assertTrue(os.path.exists(os.path.join(ROOT, source)), source)
        ignored = text_of(".dockerignore").split()
        for name in (".git", "build*", "data", "secrets"):
            self.assertIn(name, ignored)


class Compose(Case):
    def test_files(self):
        """Each name is defined, each definition used."""
        for name in ("docker-compose.yml", "docker-compose.postgres.yml"):
            file = yaml.safe_load(text_of(name))
            secrets, volumes = set(), set()
            for service in file["services"].values():
                self.assertTrue("image" in service or "build" in service)
                secrets |= set(service.get("secrets", ()))
                volumes |= {one.split(":")[0] for one in service.get("volumes", ())}
                for other in service.get("depends_on", ()):
                    self.assertIn("healthcheck", file["services"][other])
                for value in service.get("environment", {}).values():
                    if value.startswith("/run/secrets/"):
                        self.assertIn(os.path.basename(value), service["secrets"])
            self.assertEqual(secrets, set(file.get("secrets", ())), name)
            self.assertEqual(volumes, set(file.get("volumes", ())), name)
            for secret in file.get("secrets", {}).values():
                made = secret["file"].removeprefix("./")
                self.assertRegex(text_of(name), rf"(?m)^# .*>{re.escape(made)}")

    def test_the_daemon(self):
        service = yaml.safe_load(text_of("docker-compose.yml"))["services"]["pierre-dbd"]
        known = settings()
        for name in service["environment"]:
            self.assertIn(name, known)
        self.assertNotIn("user", service)  # the image's
        self.assertIs(service["read_only"], True)
        self.assertEqual(service["cap_drop"], ["ALL"])
        self.assertGreater(
            int(service["stop_grace_period"].rstrip("s")),
            int(known["PIERRE_DBD_DRAIN_TIMEOUT"].rstrip("s")),
        )
        key = re.search(r"ENCRYPTION_KEY_FILE=(\S+)", text_of("Dockerfile"))[1]
        self.assertIn(os.path.basename(key), service["secrets"])
        socket = re.search(r"PIERRE_DBD_SOCKET=(\S+)", text_of("Dockerfile"))[1]
        self.assertIn(f"socket:{os.path.dirname(socket)}", service["volumes"])

    def test_the_group_is_that_of_the_image(self):
        group = re.search(r"groupadd --gid (\d+)", text_of("Dockerfile"))[1]
        for name in ("docker-compose.yml", "docs/containers.md"):
            found = set(re.findall(r"\b100\d\d\b", text_of(name))) - {"10002"}  # a client
            self.assertEqual(found, {group}, name)
