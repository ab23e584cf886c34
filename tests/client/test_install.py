"""The files of `meson install`, used where they are installed: the C program of docs/clients.md
built through pkg-config with both libraries, the programs, the manual pages, the units. Would
catch: a header that is not installed, a symbol that is missing or should not be exported, a unit
that names a program in another place."""
import os
import re
import shutil
import subprocess
import tempfile

from lib.case import Case
from lib.daemon import BUILD, SANITIZER, Daemon

BACKENDS = ("sqlite",)
SANITIZERS = False
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "clients.md")


class Install(Case):
    @classmethod
    def setUpClass(cls):
        if SANITIZER or not shutil.which("meson") or not shutil.which("pkg-config"):
            cls.folder = None
            return
        cls.folder = tempfile.mkdtemp(prefix="pierre-install-")
        subprocess.run(
            ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", cls.folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        cls.files = sorted(
            os.path.relpath(os.path.join(place, name), cls.folder)
            for place, _, names in os.walk(cls.folder)
            for name in names
        )

    @classmethod
    def tearDownClass(cls):
        if cls.folder:
            shutil.rmtree(cls.folder)

    def setUp(self):
        if not self.folder:
            self.skipTest(
                "an installation is NOT tested: the build is a sanitizer's, or meson or "
                "pkg-config is absent"
            )

    def path(self, ending):
        found = [name for name in self.files if name.endswith(ending)]
        self.assertEqual(len(found), 1, f"{ending} in {self.files}")
        return os.path.join(self.folder, found[0])

    def pkg_config(self, *arguments):
        environment = {
            **os.environ,
            "PKG_CONFIG_PATH": os.path.dirname(self.path("pierre-db.pc")),
            "PKG_CONFIG_SYSROOT_DIR": self.folder,
        }
        return subprocess.run(
            ["pkg-config", *arguments, "pierre-db"],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()

    def built(self, name, *more):
        """The C program of docs/clients.md."""
        with open(PAGE, encoding="utf-8") as file:
            source = re.search(r"```c\n(.*?)```", file.read(), re.DOTALL).group(1)
        place = os.path.join(self.folder, "built")
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, "example.c"), "w", encoding="utf-8") as file:
            file.write(source)
        program = os.path.join(place, name)
        subprocess.run(
            [
                "cc",
                "-std=c11",
                "-Wall",
                "-Wextra",
                "-Werror",
                os.path.join(place, "example.c"),
                "-o",
                program,
                *more,
            ],
            check=True,
        )
        return program

    def check_program(self, program):
        with Daemon() as daemon:
            user = daemon.call(
                "create_user", user={"email": "ana@example.com", "password_hash": "x"}
            )
            environment = {
                "PIERRE_DBD_SOCKET": daemon.socket_path,
                "LD_LIBRARY_PATH": os.path.dirname(self.path("libpierre-db.so")),
            }
            done = subprocess.run(
                [program], env=environment, capture_output=True, text=True, check=False, timeout=60
            )
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, user + "\n", ""))

    def test_readme_program_against_the_shared_library(self):
        self.check_program(self.built("shared", *self.pkg_config("--cflags", "--libs")))

    def test_readme_program_against_the_static_library(self):
        self.check_program(
            self.built("static", *self.pkg_config("--cflags"), self.path("libpierre-db.a"))
        )

    def test_nothing_but_our_names_is_exported(self):
        for library, options in (
            (self.path("libpierre-db.so"), ("-D",)),
            (self.path("libpierre-db.a"), ()),
        ):
            names = subprocess.run(
                [
                    "nm",
                    *options,
                    "--defined-only",
                    "--extern-only",
                    "--format=just-symbols",
                    library,
                ],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.split()
            names = [
                name
                for name in names
                if not name.endswith(":") and not re.fullmatch(r"LIBPIERRE_DB_\d+", name)
            ]
            self.assertGreater(len(names), 100, library)
            self.assertEqual(
                [name for name in names if not name.startswith("pierre_")], [], library
            )

    def test_installed_programs_find_their_library(self):
        for name in ("bin/pierre-dbd", "bin/pierre-dbctl", "bin/pierre-dbd-exporter"):
            environment = {"LD_LIBRARY_PATH": os.path.dirname(self.path("libpierre-db.so"))}
            done = subprocess.run(
                [self.path(name), "--version"],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, rf"^{os.path.basename(name)} \d+\.\d+\.\d+")

    def test_manual_pages_and_completions(self):
        for name in (
            *("man1/pierre-dbctl.1", "man3/libpierre-db.3"),
            *("man8/pierre-dbd.8", "man8/pierre-dbd-exporter.8"),
        ):
            with open(self.path(name), encoding="utf-8") as file:
                self.assertIn(".SH NAME", file.read())
        self.path("bash-completion/completions/pierre-dbctl")
        self.path("site-functions/_pierre-dbctl")
        self.path("doc/pierre-dbd/docs/run.md")

    def test_all_lies_within_the_prefix(self):
        """A user who installs into a private folder needs no permission for any other, and
        overwrites no other installation's unit."""
        prefix = os.path.dirname(os.path.dirname(self.path("bin/pierre-dbd")))
        self.assertNotEqual(prefix, self.folder)
        self.assertEqual(
            [
                name
                for name in self.files
                if not os.path.join(self.folder, name).startswith(prefix + os.sep)
                and not name.startswith("built/")
            ],
            [],
        )

    def test_units_name_the_installed_programs(self):
        for name in ("pierre-dbd", "pierre-dbd-exporter"):
            with open(self.path(f"{name}.service"), encoding="utf-8") as file:
                program = re.search(r"^ExecStart=(\S+)", file.read(), re.MULTILINE).group(1)
            self.assertEqual(self.folder + program, self.path(f"bin/{name}"))
            self.path(f"{name}.socket")
        self.path("pierre-dbd/prometheus/pierre-dbd.rules.yml")
        self.path("pierre-dbd/grafana/pierre-dbd.json")
        self.path("sysusers.d/pierre-dbd.conf")
