"""Rules for the whole tree. Would catch: a layer that uses one above it, a test file that nothing
runs, a link or a command in the documents that leads nowhere, a file that is too long."""
import functools
import graphlib
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import planted  # noqa: E402

LAYERS = {
    "protocol": set(),
    "backends": {"protocol"},
    "daemon": {"protocol", "backends"},
    "client": {"protocol"},
    # A tool is either part of the daemon in a program of its own, or a client of it: never both.
    "tools/transfer": {"protocol", "backends", "daemon"},
    "tools/exporter": {"protocol", "client"},
}
# Folder -> headers of other libraries that it may include; others belong to the C library or to the
# system. The daemon uses databases through backends/store.h only; the transfer program
# (tools/transfer) opens two of them by the backends' own means.
LIBRARIES = {
    "protocol": set(),
    "backends": {
        "sqlite3.h",
        "libpq-fe.h",
        "libpq-events.h",
        "openssl/ssl.h",
        "sodium.h",
        "crypt.h",
    },
    "daemon": {"uv.h", "sodium.h"},
    "tools/transfer": {"sqlite3.h", "libpq-fe.h", "sodium.h"},
    "tools/exporter": {"jansson.h", "microhttpd.h"},
    "client": set(),
    "client/ctl": {"jansson.h", "histedit.h"},
    "client/metrics": {"jansson.h"},
}
FOREIGN = re.compile(r"uv|sqlite3|libpq|openssl|jansson|sodium|crypt|microhttpd|histedit")
# The folders of daemon/; each may use those before it (docs/design.md).
ROOMS = ("settings", "base", "clients", "calls", "admin", "loop")
LINES = 700
# Program -> the Debian package that contains it, where the names differ.
PROGRAMS = {
    "psql": "postgresql",
    "etcd": "etcd-server",
    "ip": "iproute2",
    "pgbench": "postgresql-contrib",
    "redis-benchmark": "redis-tools",
    "systemd-sysusers": "systemd",
    "systemd-analyze": "systemd",
    "promtool": "prometheus",
    "clang": "clang",
    "cppcheck": "cppcheck",
    "shellcheck": "shellcheck",
    "clang-tidy": "clang-tidy",
    "clang-format-14": "clang-format-14",
    "black": "black",
    "git": "git",
}
# Every Debian has these, or their absence skips only one test.
NOT_OURS = {"cc", "groff", "cargo", "gcc", "npm", "dpkg", "dpkg-query", "readelf"}
SOURCES = ("protocol", "backends", "daemon", "client", "tools", "tests")


@functools.cache
def tracked():
    """The files of the tree that git tracks or would add; in a copy without git, all of them."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not path.relative_to(ROOT).parts[0].startswith(("build", ".git"))
    ]


def files(*suffixes, under=""):
    return [path for path in tracked() if path.suffix in suffixes and name(path).startswith(under)]


def name(path):
    return str(path.relative_to(ROOT))


def text(path):
    return path.read_text(encoding="utf-8")


def longest(folders, path):
    """Returns the innermost of the folders that a file is in, or None."""
    found = [folder for folder in folders if name(path).startswith(folder + "/")]
    return max(found, key=len, default=None)


def calls_and_names(path):
    """Returns the words that a C file uses as functions, and the external functions that it
    defines."""
    code = re.sub(r"/\*.*?\*/", " ", text(path), flags=re.DOTALL)
    code = re.sub(r'"(\\.|[^"\\\n])*"', '""', code)
    code = re.sub(r"^\s*#.*$", "", code, flags=re.MULTILINE)
    own = {
        found[1]
        for found in re.finditer(
            r"^(?!static\b)[a-z][\w \n*]*?\b(\w+)\([^;{]*\)\n\{", code, re.MULTILINE
        )
    }
    return set(re.findall(r"\b[a-z_]\w*\b(?=\s*[(,;)}])", code)), own


class Layers(unittest.TestCase):
    def test_each_knows_only_those_before_it(self):
        looked = 0
        for layer, known in LAYERS.items():
            for path in files(".c", ".h", under=layer + "/"):
                for included in re.findall(r'^\s*#\s*include "([^"]+)"', text(path), re.MULTILINE):
                    target = (path.parent / included).resolve()
                    if target.is_file():
                        to = longest(LAYERS, target)
                        self.assertIn(to, known | {layer}, f"{name(path)} includes {included}")
                        looked += 1
        self.assertGreater(looked, 100)

    def test_rooms_of_the_daemon_know_only_those_before_them(self):
        looked = 0
        for path in files(".c", ".h", under="daemon/"):
            room = ROOMS.index(path.parent.name)
            for included in re.findall(r'^\s*#\s*include "([^"]+)"', text(path), re.MULTILINE):
                target = (path.parent / included).resolve()
                if target.is_relative_to(ROOT / "daemon"):
                    to = target.parent.name
                    self.assertIn(to, ROOMS[: room + 1], f"{name(path)} includes {included}")
                    looked += 1
        self.assertGreater(looked, 60)

    def test_no_circle_of_files_in_the_daemon(self):
        """Calls between files: a file that calls another one is never called by it, directly or
        through others."""
        sources = {path: calls_and_names(path) for path in files(".c", under="daemon/")}
        owners = {}
        for path, (_, own) in sources.items():
            for function in own:
                owners.setdefault(function, path)
        edges = {
            path: {owners[word] for word in used if owners.get(word, path) != path}
            for path, (used, _) in sources.items()
        }
        self.assertGreater(sum(map(len, edges.values())), 60)
        try:
            tuple(graphlib.TopologicalSorter(edges).static_order())
        except graphlib.CycleError as err:
            self.fail("a cycle: " + " -> ".join(name(path) for path in err.args[1]))

    def test_the_whole_daemon_is_known_to_its_own_file(self):
        """Every other file works with a narrower struct."""
        for path in files(".c", ".h"):
            if name(path) not in ("daemon/loop/daemon.c", "tests/structure/test_structure.py"):
                self.assertIsNone(re.search(r"\bstruct daemon\b", text(path)), name(path))

    def test_the_daemon_knows_backends_by_their_interface(self):
        for path in files(".c", ".h", under="daemon/"):
            self.assertNotRegex(text(path), r'#include "[^"]*(sqlite|postgres)/', name(path))

    def test_who_holds_memory_for_clients_charges_it(self):
        """A struct of the daemon with growing memory has a `charged` field (account.h), or a reason
        here."""
        others = {
            "dispatcher": "scratch of one line, for all clients",
            "health": "one probe without parameters, for all clients",
            "wait_for": "one probe without parameters, for all clients",
            "password_cost": "one question without parameters, for all clients",
            "output": "charged by its connection: output_held",
            "large": "charged by its connection: output_held",
            "batch_line": "charged by its batch",
        }
        holders = 0
        for path in files(".c", ".h", under="daemon/"):
            if name(path).startswith("tools/transfer/"):
                continue
            for struct, members in re.findall(
                r"^struct (\w+) \{\n(.*?)^\}", text(path), re.MULTILINE | re.DOTALL
            ):
                if not re.search(
                    r"^\tstruct (arena|buffer|frame|output|call|json|batch_line) \w+;",
                    members,
                    re.MULTILINE,
                ):
                    continue
                holders += "size_t charged;" in members
                self.assertTrue(
                    "size_t charged;" in members or struct in others,
                    f"{name(path)}: struct {struct} holds memory and charges it to no account",
                )
        self.assertGreaterEqual(holders, 3)

    def test_libraries(self):
        for path in files(".c", ".h"):
            folder = longest(LIBRARIES, path)
            if folder is not None:
                for header in re.findall(r"^\s*#\s*include <([^>]+)>", text(path), re.MULTILINE):
                    if FOREIGN.match(header):
                        self.assertIn(header, LIBRARIES[folder], name(path))

    def test_one_database_does_not_know_the_other(self):
        for mine, other in (("sqlite", "postgres"), ("postgres", "sqlite")):
            for path in files(".c", ".h", under=f"backends/{mine}/"):
                self.assertNotRegex(text(path), rf'#include "[^"]*{other}', name(path))

    def test_each_tool_has_its_layer(self):
        tools = {"/".join(name(path).split("/")[:2]) for path in files(".c", under="tools/")}
        self.assertEqual({layer for layer in LAYERS if layer.startswith("tools/")}, tools)


class Facts(unittest.TestCase):
    def test_a_metric_stands_once(self):
        """A row of METRIC_LIST is enough for a counter: no other code that makes the struct, answer
        or metric names it."""
        path = ROOT / "protocol/metrics/metric_list.h"
        text = path.read_text(encoding="utf-8")
        rows = re.findall(
            r'^\t(COUNTED|READ)\((?:counter|gauge), (\w+),[^"]*?(NULL|"\w+")', text, re.M
        )
        self.assertGreater(len(rows), 50)
        members = {member for _, member, _ in rows}
        names = {metric.strip('"') for _, _, metric in rows} - {"NULL"}
        self.assertEqual(len(members), len(rows))
        for made in (*files(".c", ".h", under="daemon"), ROOT / "client/metrics/metric_table.c"):
            literals = set(re.findall(r'"(\w+)"', made.read_text(encoding="utf-8")))
            with self.subTest(file=made.name):
                self.assertFalse(literals & names)
                if made.name in ("daemon_methods.c", "metrics.c", "metric_table.c"):
                    self.assertFalse(literals & members - {"errors", "requests"})

    def test_the_rust_crate_has_the_version_of_the_project(self):
        version = re.search(r"^  version: '([\d.]+)'", text(ROOT / "meson.build"), re.M)[1]
        for file in ("Cargo.toml", "Cargo.lock"):
            found = re.search(r'^version = "([\d.]+)"', text(ROOT / "client/rust" / file), re.M)
            self.assertEqual(found[1], version, file)

    def test_one_file_knows_where_the_socket_is(self):
        for folder in ("protocol", "daemon", "client"):
            for path in files(".c", ".h", under=folder + "/"):
                if path.name not in ("socket_place.c", "socket_place.h"):
                    code = re.sub(r"(?s)/\*.*?\*/", "", text(path))
                    self.assertNotRegex(
                        code,
                        r'getenv\("(RUNTIME|XDG_RUNTIME)_DIR|"/(run|tmp)/pierre-dbd',
                        name(path),
                    )

    def test_a_provider_is_named_by_the_catalog_alone(self):
        """C code takes the services with stored tokens from catalog_providers or from
        TOKEN_PROVIDERS."""
        found = re.findall(
            r"^(\w+)\.title",
            text(ROOT / "protocol/catalog/tokens.toml").split("[providers]")[1],
            re.M,
        )
        self.assertIn("strava", found)
        for folder in ("protocol", "backends", "daemon", "client/ctl", "tools"):
            for path in files(".c", ".h", under=folder + "/"):
                code = re.sub(r"(?s)/\*.*?\*/", "", text(path))
                literals = " ".join(re.findall(r'"(?:[^"\\\n]|\\.)*"', code))
                self.assertNotRegex(literals, "|".join(found), name(path))


class Files(unittest.TestCase):
    def test_sizes(self):
        for path in files(".c", ".h", ".py"):
            if "/expected/" not in name(path):  # generated files
                limit = 2 * LINES if name(path) == "tests/planted.py" else LINES  # a table
                self.assertLessEqual(len(text(path).splitlines()), limit, name(path))

    def test_no_leftovers(self):
        pattern = re.compile(
            r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b"
        )
        for path in files(
            ".c", ".h", ".py", ".md", ".toml", ".sql", ".sh", ".build", ".service", ""
        ):
            if path.parts[-2] != "corpus" and "corpus" not in path.parts:
                self.assertIsNone(
                    pattern.search(path.read_text(encoding="utf-8", errors="replace")), name(path)
                )

    def test_suppressed_findings_name_the_next_line(self):
        """clang-tidy applies to the line after NOLINTNEXTLINE, even if it continues the comment."""
        for path in files(".c", ".h"):
            for line in text(path).split("\n"):
                if "NOLINTNEXTLINE" in line:
                    self.assertRegex(line, r"\*/$", name(path))

    def test_headers_have_guards(self):
        for path in files(".h"):
            if "/tiny/" not in name(path):
                self.assertRegex(
                    text(path),
                    r"#ifndef PIERRE_\w+_H\n#define PIERRE_\w+_H\n|#ifndef PIERRE_DB_H",
                    name(path),
                )

    def test_guards_are_all_different(self):
        seen = {}
        for path in files(".h"):
            found = re.search(r"^#ifndef (PIERRE_\w+)$", text(path), re.MULTILINE)
            if found and "/tiny/" not in name(path):
                self.assertNotIn(found[1], seen, name(path))
                seen[found[1]] = path


class Tests(unittest.TestCase):
    def test_every_file_is_run(self):
        """Each test file is executed by tests/run.py (end to end), or named in a meson.build or in
        scripts/test."""
        folders = re.search(r"^FOLDERS = \((.*?)\)", text(ROOT / "tests/run.py"), re.MULTILINE)[1]
        run, names = set(re.findall(r'"(\w+)"', folders)), set()
        for path in files(".py", under="tests/"):
            if not path.name.startswith("test_"):
                continue
            folder = path.parent
            if folder.name in run and folder.parent.name == "tests":
                self.assertRegex(text(path), r"(?m)^class \w+\(", f"{name(path)} runs nothing")
                self.assertNotIn(path.name, names, "pytest needs different names")
                names.add(path.name)
                continue
            if name(path) in text(ROOT / "scripts/test"):
                continue
            build = folder / "meson.build"
            self.assertTrue(build.is_file(), f"nothing runs {name(path)}")
            known = path.stem in text(build) or f"'{path.stem[len('test_'):]}'" in text(build)
            self.assertTrue(known, f"{name(build)} does not name {path.name}")

    def test_every_unit_test_is_built(self):
        for path in files(".c", under="tests/unit/test_"):
            self.assertIn(
                f"'{path.stem[len('test_'):]}'", text(ROOT / "tests/unit/meson.build"), name(path)
            )
        for path in files(".c", under="tests/fuzz/fuzz_"):
            self.assertIn(
                f"'{path.stem[len('fuzz_'):]}'", text(ROOT / "tests/fuzz/meson.build"), name(path)
            )

    def test_every_test_of_check_is_added(self):
        for path in files(".c", under="tests/"):
            source = text(path)
            for test in re.findall(r"^START_TEST\((\w+)\)", source, re.MULTILINE):
                self.assertRegex(
                    source,
                    rf"tcase_add_(loop_)?test\w*\([^;]*\b{test}\b",
                    f"{name(path)}: {test} is never run",
                )

    def test_defects_can_be_planted(self):
        """tests/planted.py takes long and is run by hand; this test checks that its places still
        exist."""
        for defect, edits, test, names in planted.DEFECTS:
            for file, place, replacement in edits:
                self.assertIsNotNone(
                    planted.place(text(ROOT / file), place),
                    f"{defect}: its place in {file} is gone",
                )
                self.assertNotEqual(place, replacement, defect)
            for one in names:
                self.assertRegex(
                    text(ROOT / "tests" / test),
                    rf"(class|def) {one.rsplit('.', 1)[-1]}\(",
                    f"{defect}: {test} has no {one}",
                )


class Databases(unittest.TestCase):
    def without_own_triggers(self, path, sql):
        """A trigger of ours may delete rows of tables that its migration has made."""
        made = set(re.findall(r"(?i)\bCREATE TABLE (\w+)", sql))
        for trigger in re.findall(r"(?is)\bCREATE TRIGGER pierre_\w+ .*?\bEND;", sql):
            for table in re.findall(r"(?i)\bDELETE FROM (\w+)", trigger):
                self.assertIn(table, made, f"{name(path)}: rows of {table} are not ours")
            sql = sql.replace(trigger, "")
        return sql

    def test_migrations_leave_alone_what_is_not_ours(self):
        """A table that is created again loses its owner's columns, indexes and triggers."""
        found = files(".sql", under="backends/sqlite/migrations/")
        self.assertGreater(len(found), 3)
        for path in found:
            sql = re.sub(r"--.*", "", text(path))
            sql = self.without_own_triggers(path, sql)
            earlier = "".join(text(other) for other in found if other.name < path.name)
            for column in re.findall(
                r"(?i)\bDROP COLUMN (\w+);", sql
            ):  # which an earlier migration has added
                self.assertTrue(
                    re.search(rf"ADD COLUMN {column} INTEGER\s+GENERATED", earlier),
                    f"{name(path)}: {column} is not ours",
                )
            sql = re.sub(r"(?i)\bDROP COLUMN \w+;", "", sql)
            self.assertNotRegex(
                sql,
                r"(?i)\bDROP\s+(TABLE|VIEW|TRIGGER|COLUMN)\b|\bRENAME\b|\bDELETE\s+FROM\b|"
                r"writable_schema",
                name(path),
            )
            for edit in re.findall(r"(?is)\bUPDATE\s+sqlite_(?:schema|master)\b[^;]*", sql):
                self.assertRegex(edit, r"SET sql = widen_check\(", name(path))
            for dropped in re.findall(r"(?i)\bDROP INDEX (?:IF EXISTS )?(\w+)", sql):
                self.assertTrue(
                    any(
                        re.search(rf"CREATE INDEX (IF NOT EXISTS )?{dropped} ", text(other))
                        for other in found
                    ),
                    f"{name(path)}: {dropped} is not ours",
                )

    def test_a_migration_that_changes_is_built_again(self):
        listed = text(ROOT / "backends/meson.build")
        for folder in ("sqlite", "postgres"):
            for path in files(".sql", under=f"backends/{folder}/migrations/"):
                self.assertIn(f"'{folder}/migrations/{path.name}'", listed)

    def test_one_place_finds_the_files_of_a_database(self):
        """One file has the form of URLs; the names beside the database derive from its one real
        path."""
        for path in (
            files(".c", under="backends/")
            + files(".c", under="daemon/")
            + files(".c", under="client/")
        ):
            if name(path).startswith("backends/sqlite/"):
                self.assertEqual(
                    len(re.findall(r"\brealpath\(", text(path))),
                    {"path.c": 2, "place.c": 2}.get(path.name, 0),
                    name(path),
                )
            self.assertNotRegex(
                text(path), r"\+ strlen\(\"sqlite:|strncmp\(url, \"sqlite://", name(path)
            )
            if name(path) not in (
                "backends/sqlite/files/belong.c",
                "backends/sqlite/files/place.c",
                "backends/sqlite/open.c",
                "backends/sqlite/files/restore.c",
                "backends/sqlite/files/watch.c",
            ):
                self.assertNotRegex(text(path), r'"(%s)?-(wal|shm|journal|restore)"', name(path))


class Documents(unittest.TestCase):
    @staticmethod
    def anchors(path):
        titles = re.findall(
            r"^#+ +(.*?)\s*$",
            re.sub(r"^```.*?^```", "", text(path), flags=re.MULTILINE | re.DOTALL),
            re.MULTILINE,
        )
        return {
            re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-")
            for title in titles
        }

    def test_links(self):
        looked = 0
        for path in files(".md"):
            if "expected" in path.parts:  # output of the generator for an invented catalog
                continue
            for target in re.findall(
                r"\]\(([^)\s]+)\)",
                re.sub(r"^```.*?^```", "", text(path), flags=re.MULTILINE | re.DOTALL),
            ):
                if re.match(r"\w+:", target):
                    continue
                to, _, anchor = target.partition("#")
                file = (path.parent / to).resolve() if to else path
                self.assertTrue(file.exists(), f"{name(path)} links to {target}")
                if anchor:
                    self.assertIn(anchor, self.anchors(file), f"{name(path)} links to {target}")
                looked += 1
        self.assertGreater(looked, 20)

    def test_commands_and_files_that_are_named(self):
        for path in [*files(".md"), *files("", under="scripts/")]:
            for command in re.findall(r"(?<![\w/.-])((?:scripts|tests)/[\w./-]*\w)", text(path)):
                self.assertTrue((ROOT / command).exists(), f"{name(path)} names {command}")

    def test_scripts_can_be_run(self):
        for path in [*files("", under="scripts/"), *files("", ".sh", under=".ci/")]:
            self.assertTrue(path.stat().st_mode & 0o100, name(path))
            self.assertTrue(text(path).startswith("#!"), name(path))

    def packages(self, script):
        """Returns what `scripts/setup SCRIPT` installs."""
        source = text(ROOT / "scripts/setup")
        common = re.search(r'^packages="([^"]*)"', source, re.MULTILINE)[1]
        own = re.search(rf'^{script}\) packages="\$packages ([^"]*)"', source, re.MULTILINE)
        more = re.search(rf'^{script}\) .*?\n\toptional="([^"]*)"', source, re.M | re.DOTALL)
        words = [found[1] for found in (own, more) if found]
        return set(common.split()) | set(" ".join(words).split())

    def test_each_script_installs_the_programs_that_it_runs(self):
        """Each script's packages are sufficient by themselves."""
        run = {"build": {"scripts/build": set()}, "bench": {}, "test": {}}
        for path in files(".py", under="tests/bench/"):
            if not path.name.startswith("test_"):
                run["bench"][name(path)] = set(re.findall(r'\btool\("([\w-]+)"\)', text(path)))
        run["bench"]["tests/lib/pgbouncer.py"] = {"pgbouncer"}
        for path in files(".py", under="tests/"):
            if not path.parts[-2] == "structure":
                run["test"][name(path)] = set(
                    re.findall(r'shutil\.which\("([\w-]+)"\)', text(path))
                )
        for script in ("lint", "format"):
            run["test"][f"scripts/{script}"] = {
                one
                for one in PROGRAMS
                if re.search(rf"\b{re.escape(one)}\b", text(ROOT / "scripts" / script))
            }
        self.assertIn("strace", set().union(*run["bench"].values()))
        for script, users in run.items():
            packages = self.packages(script)
            for user, programs in users.items():
                for program in programs - NOT_OURS:
                    self.assertIn(
                        PROGRAMS.get(program, program),
                        packages,
                        f"{user} runs {program}: scripts/setup {script}",
                    )

    def test_psql_is_the_program_itself(self):
        """Debian's script of that name costs 40 ms of processor time for each of a run's thousands
        of questions: postgres_server.binary() finds the program."""
        for path in files(".py", under="tests/"):
            self.assertNotRegex(text(path), r'(?m)\[\s*"psql"', name(path))

    def test_bench_programs_need_no_test_library(self):
        self.assertNotIn("dep_check", text(ROOT / "tests/bench/meson.build"))

    def test_shellcheck(self):
        if shutil.which("shellcheck") is None:
            self.skipTest("shellcheck is not installed: the scripts are NOT checked")
        scripts = [
            path
            for path in [
                *files("", ".sh", under="scripts/"),
                *files(".sh", under="client/"),
                *files("", under=".ci/"),
            ]
            if re.match(r"#!.*\b(sh|bash)\b", text(path))
        ]
        self.assertGreater(len(scripts), 3)
        done = subprocess.run(
            ["shellcheck", "--severity=warning", *scripts],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
