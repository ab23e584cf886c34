#!/usr/bin/env python3
"""Tests of the Rust crate (client/rust) with each compiler that is there: the one in the PATH, and
Debian's.

usage: tests/rust.py BUILD [--sanitizer BUILD]

Builds against the library of BUILD, in BUILD/rust, and runs `cargo test`. With the first compiler
it also runs clippy, rustfmt, the documentation without warnings, Miri where it is installed, an
example of the package's files alone with each way to find the library, also linked statically, and
the tests of tests/rust_runtimes where Debian's sources of its dependencies are installed.
--sanitizer: runs the tests that were built before with the library of another build, which has a
sanitizer. Nothing is downloaded. Ends with `N passed, N failed[, N skipped]`; exit code 1 when
anything failed.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CRATE = os.path.join(ROOT, "client", "rust")
PACKAGED = ("LICENSE-APACHE", "LICENSE-MIT", "README.md", "build.rs", "src/generated/calls.rs")
TIME_LIMIT = 900
# The crate itself has no dependencies, so what needs some is a package of its own.
RUNTIMES = os.path.join(ROOT, "tests", "rust_runtimes")
SOURCES = "/usr/share/cargo/registry"
NEEDED = {
    "tokio": "librust-tokio-dev",
    "async-std": "librust-async-std-dev",
    "futures-lite": "librust-futures-lite-dev",
    "serde_derive": "librust-serde-derive-dev",
    "serde_json": "librust-serde-json-dev",
}
# Miri runs no C: it checks what turns values into C and back.
MIRI = ("args::", "read::", "secret::", "values::", "error::", "sys::", "wake::")


class Run:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def command(self, *command, **variables):
        """Returns success and output. A variable that is None is not set."""
        variables = {**os.environ, **variables}
        done = subprocess.run(
            command,
            cwd=CRATE,
            env={name: value for name, value in variables.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT,
            check=False,
        )
        return done.returncode == 0, done.stdout

    def count(self, name, good, output=""):
        """Counts a step as one test."""
        self.passed += good
        self.failed += not good
        if not good:
            print(output, f"failed: {name}", sep="\n", flush=True)

    def skip(self, what, why):
        self.skipped += 1
        print(f"SKIPPED: {what}: {why}", flush=True)

    def tests(self, name, good, output):
        """Counts the tests of a run of cargo."""
        results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed", output, re.M)
        passed, failed = (sum(int(one[i]) for one in results) for i in (0, 1))
        self.passed += passed
        self.failed += max(failed, not good)
        if not good or not passed:
            print(output, f"failed: {name}", sep="\n", flush=True)
        print(f"{name}: {passed} passed, {max(failed, not good)} failed", flush=True)


class Compiler:
    """A cargo with its rustc."""

    def __init__(self, cargo, build):
        self.cargo = cargo
        self.folder = os.path.dirname(cargo)
        self.variables = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "PIERRE_DB_LIB_DIR": os.path.join(build, "client"),
            "PIERRE_DBD": os.path.join(build, "daemon", "pierre-dbd"),
            "CARGO_NET_OFFLINE": "true",
        }
        found = subprocess.run(
            [os.path.join(self.folder, "rustc"), "--version"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.version = found.stdout.strip() if found.returncode == 0 else ""
        name = "-".join(self.version.split()[:2])
        self.variables["CARGO_TARGET_DIR"] = os.path.join(build, "rust", name)

    def run(self, run, *arguments, **variables):
        return run.command(self.cargo, *arguments, **{**self.variables, **variables})

    def has(self, run, part):
        return self.run(run, part, "--version")[0]


def compilers(build):
    """Each compiler once. rustup's programs may exist without a toolchain."""
    found = {}
    for cargo in (shutil.which("cargo"), "/usr/bin/cargo"):
        if cargo and os.access(cargo, os.X_OK):
            compiler = Compiler(cargo, build)
            if compiler.version:
                found.setdefault(compiler.version, compiler)
    return list(found.values())


def without_warnings(run, compiler):
    """What the first compiler's other tools say."""
    if compiler.has(run, "clippy"):
        arguments = ("clippy", "--quiet", "--all-targets", "--", "-D", "warnings")
        run.count("clippy", *compiler.run(run, *arguments))
    else:
        run.skip("clippy", "cargo clippy is missing")
    if compiler.has(run, "fmt"):
        run.count("rustfmt", *compiler.run(run, "fmt", "--check"))
        sources = sorted(glob.glob(os.path.join(RUNTIMES, "*.rs")))
        arguments = ("--check", "--edition", "2021", "--config-path", CRATE)
        rustfmt = run.command("rustfmt", *arguments, *sources, **compiler.variables)
        run.count("rustfmt of tests/rust_runtimes", *rustfmt)
    else:
        run.skip("rustfmt", "cargo fmt is missing")
    documented = compiler.run(run, "doc", "--quiet", "--no-deps", RUSTDOCFLAGS="-D warnings")
    run.count("documentation", *documented)
    if compiler.has(run, "miri"):
        good, output = compiler.run(run, "miri", "test", "--lib", "--", *MIRI)
        run.tests("Miri", good, output)
    else:
        run.skip("Miri", "cargo miri is missing")


def package(run, compiler, build):
    """The files of the package alone: they find the library in each place, and need no other."""
    good, output = compiler.run(run, "package", "--list", "--allow-dirty")
    files = output.splitlines()
    missing = [name for name in PACKAGED if name not in files]
    run.count("package", good and not missing, f"{output}missing: {missing}")
    if not good:
        return
    tree = os.path.join(compiler.variables["CARGO_TARGET_DIR"], "package-tree")
    shutil.rmtree(tree, ignore_errors=True)
    for name in files:
        source, copy = os.path.join(CRATE, name), os.path.join(tree, "client", "rust", name)
        if os.path.exists(source):  # cargo makes some of them
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(source, copy)
    places(run, compiler, build, tree)


def places(run, compiler, build, tree):
    """A tree without a build, one beside an uninstalled build, and what pkg-config names."""
    target = os.path.join(compiler.variables["CARGO_TARGET_DIR"], "packaged")
    example = [
        "run",
        "--quiet",
        *("--manifest-path", os.path.join(tree, "client", "rust", "Cargo.toml")),
        *("--example", "token_refresh"),
    ]
    unset = {"CARGO_TARGET_DIR": target, "PIERRE_DB_LIB_DIR": None, "PKG_CONFIG": "false"}
    good, output = compiler.run(run, *example, **unset)
    run.count("no library", not good and "libpierre-db is missing: build it" in output, output)
    wrong = {**unset, "PIERRE_DB_LIB_DIR": "/nonexistent"}
    good, output = compiler.run(run, *example, **wrong)
    run.count("no folder", not good and "/nonexistent, which is not a folder" in output, output)
    named = {
        **unset,
        "PKG_CONFIG": "pkg-config",
        "PKG_CONFIG_PATH": os.path.join(build, "meson-uninstalled"),
        "LD_LIBRARY_PATH": os.path.join(build, "client"),
    }
    run.count("pkg-config", *compiler.run(run, *example, **named))
    if os.path.exists(os.path.join(build, "client", "libpierre-db.a")):
        named["PKG_CONFIG_PATH"] = installed(build, tree)
        good, output = compiler.run(run, *example, "--features", "static", **named)
        program = os.path.join(target, "debug", "examples", "token_refresh")
        linked = run.command("ldd", program)[1] if good else ""
        run.count("static linking", good and "libpierre-db" not in linked, output + linked)
    else:
        run.skip("static linking", "the build has no static library")
    os.symlink(build, os.path.join(tree, "build"))
    run.count("../../build", *compiler.run(run, *example, **unset))


def installed(build, tree):
    """A folder with the pkg-config file of a library whose folder every linker searches: pkg-config
    prints no -L for it."""
    folder = os.path.join(tree, "pkgconfig")
    os.mkdir(folder)
    with open(os.path.join(build, "meson-private", "pierre-db.pc"), encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"^libdir=.*", f"libdir={build}/client", text, flags=re.M)
    text = re.sub(r"^Libs:.*", "Libs: -lpierre-db", text, flags=re.M)
    with open(os.path.join(folder, "pierre-db.pc"), "w", encoding="utf-8") as file:
        file.write(text)
    return folder


def runtimes(run, compiler, name, *tests, **variables):
    """The crate as a dependency, with the runtimes and the JSON library that its users have.
    Returns whether they are there."""
    missing = [
        package
        for crate, package in NEEDED.items()
        if not glob.glob(os.path.join(SOURCES, f"{crate}-[0-9]*"))
    ]
    if missing:
        run.skip("TOKIO, ASYNC-STD AND SERDE_JSON ARE NOT TESTED", f"install {' '.join(missing)}")
        return False
    lock = os.path.join(RUNTIMES, "Cargo.lock")
    good, output = compiler.run(
        run,
        "test",
        *("--manifest-path", os.path.join(RUNTIMES, "Cargo.toml")),
        *("--config", "source.crates-io.replace-with='debian'"),
        *("--config", f"source.debian.directory='{SOURCES}'"),
        *tests,
        CARGO_TARGET_DIR=os.path.join(compiler.variables["CARGO_TARGET_DIR"], "runtimes"),
        **variables,
    )
    # It names the versions that are installed now.
    if os.path.exists(lock):
        os.remove(lock)
    run.tests(name, good, output)
    return True


def sanitized(run, compiler, other):
    """The same programs with a library that reports wrong accesses to memory, and leaks."""
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    runner = [
        "env",
        f"LD_PRELOAD={os.path.realpath(found.stdout.strip())}",
        f"LD_LIBRARY_PATH={os.path.join(other, 'client')}",
        "ASAN_OPTIONS=abort_on_error=1:detect_leaks=1",
        "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1",
    ]
    runner = {"CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER": " ".join(runner)}
    name = os.path.basename(other)
    good, output = compiler.run(
        run,
        *("test", "--lib", "--test", "client", "--"),
        *("--skip", "forgotten_futures"),  # these leak
        *("--skip", "secrets_are_wiped"),  # a sanitizer maps terabytes
        **runner,
    )
    run.tests(f"{compiler.version} with {name}", good, output)
    named = f"tokio, async-std and serde_json with {name}"
    runtimes(run, compiler, named, "--test", "runtimes", **runner)


def main():
    arguments = sys.argv[1:]
    if len(arguments) not in (1, 3) or (len(arguments) == 3 and arguments[1] != "--sanitizer"):
        sys.exit(__doc__)
    build, run = os.path.abspath(arguments[0]), Run()
    found = compilers(build)
    if not found:
        run.skip("THE RUST CRATE IS NOT TESTED", "cargo is missing: run scripts/setup test")
    elif len(arguments) == 3:
        sanitized(run, found[0], os.path.abspath(arguments[2]))
    else:
        for compiler in found:
            run.tests(compiler.version, *compiler.run(run, "test"))
        without_warnings(run, found[0])
        package(run, found[0], build)
        name = "tokio, async-std and serde_json"
        if runtimes(run, found[0], name, "--test", "runtimes"):
            # Ignored elsewhere: examples of the README that need these crates. An older cargo gives
            # the programs of documentation no folder of libraries.
            examples = ("--doc", "--", "--include-ignored")
            library = {"LD_LIBRARY_PATH": os.path.join(build, "client")}
            runtimes(run, found[0], f"the README with {name}", *examples, **library)
    skipped = f", {run.skipped} skipped" if run.skipped else ""
    print(f"{run.passed} passed, {run.failed} failed{skipped}")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
