#!/usr/bin/env python3
"""What a person does in the first ten minutes with the packages, run in a Debian system of its own
under a real systemd. Would catch: a command of docs/first-ten-minutes.md that fails or says
something else than it should, a page whose commands are not these.

    tests/packages/first_ten_minutes.py            runs the commands and checks what they print
    tests/packages/first_ten_minutes.py --write    also writes docs/first-ten-minutes.md

Run by `scripts/test --packages`, which builds the packages and makes the system. Ends with
`N passed, N failed`, where each command counts once; the first failure is the last command."""
import os
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib.machine import Machine, lacks
from lib.real_systemd import guide
from packages.test_packages import NAMES, PACKAGES, SYSTEM, package

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PAGE = os.path.join(ROOT, "docs", "first-ten-minutes.md")
PERSON = "ana"
WIDTH = 130
HEAD = """# The first ten minutes

The packages installed and tried on Debian 12, with the real output of each command, shortened
(`…`). `ana` is a user with `sudo`. `tests/packages/first_ten_minutes.py` runs the commands in a
Debian system of its own and writes this page; `scripts/test --packages` runs them again.
"""


DASHBOARD = "/usr/share/pierre-dbd/grafana/pierre-dbd.json"
RATE = f"jq -r 'first(.. | .expr? // empty | select(test(\"rate\")))' {DASHBOARD}"
# What the commands of docs/monitoring.md print.
EXPORTED = ("pierre-dbd-exporter=read", "^$", "Created symlink", "pierre_dbd_")


def monitoring():
    """The commands of the guide that set up the exporter."""
    return [line for line in guide("Setting it up").splitlines() if not line.startswith("#")]


class Command:
    """A line that a person types, what its output must match (an empty text: there is none), and
    how many lines of it are shown: the first ones and the last ones. within: seconds in which it is
    typed again until it matches."""

    def __init__(self, line, wanted, first=12, last=0, within=0):
        self.line, self.wanted, self.first, self.last = line, wanted, first, last
        self.within = within

    def matches(self, output):
        return re.search(self.wanted, output) is not None if self.wanted else not output.strip()

    def cut(self, output):
        lines = [one.rstrip() for one in output.strip("\n").splitlines()]
        lines = [one if len(one) <= WIDTH else one[: WIDTH - 1] + "…" for one in lines]
        if len(lines) <= self.first + self.last + 1:
            return lines
        return [*lines[: self.first], "…", *(lines[-self.last :] if self.last else ())]


STEPS = (
    (
        "Installing",
        "The packages are in the current folder; `scripts/package` has built them.",
        (
            Command("ls", r"pierre-dbd_.*\.deb"),
            Command("sudo apt-get install ./libpierre-db1_*.deb ./pierre-dbd_*.deb", "made a key",
                    first=3, last=12),
            Command("systemctl status pierre-dbd --no-pager", r"Active: active \(running\)",
                    first=20),
            Command("sudo pierre-dbctl doctor", r"(?m)^ok", first=30),
        ),
    ),
    (
        "The first call",
        "Members of the group may connect. A new membership counts from the next login.",
        (
            Command("pierre-dbctl ping", "join the group|denied"),
            Command("sudo usermod -aG pierre-dbd ana", ""),
            Command("pierre-dbctl ping", "pong"),
            Command("pierre-dbctl describe create_user", "create_user", first=14),
            Command("pierre-dbctl call create_user user.email=ana@example.com "
                    "user.password='correct horse'", r"[0-9a-f-]{36}"),
            Command("pierre-dbctl call verify_user_password email=ana@example.com "
                    "password='correct horse' | jq '{email, created_at, is_active}'",
                    "ana@example.com"),
            Command("echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"get_user_count\"}' "
                    "| socat -t30 - UNIX-CONNECT:$(pierre-dbctl socket) | jq .result", r"(?m)^1$"),
            Command("pierre-dbctl call get_user_by_email email=nobody@example.com", "null"),
            Command("pierre-dbctl call create_user user.email=ana@example.com "
                    "user.password=other", "conflict"),
        ),
    ),
    (
        "Inspecting it",
        "The log is in the journal. `pierre-dbctl` shows the state of the daemon.",
        (
            Command("sudo journalctl -u pierre-dbd -n 6 --no-pager", "msg=ready"),
            Command("pierre-dbctl health", "database"),
            Command("pierre-dbctl stats", "create_user", first=30),
            Command("sudo pierre-dbctl clients", "uid|user|role"),
            Command("systemd-analyze security pierre-dbd --no-pager | tail -n 2",
                    r"level.*: [01]\."),
        ),
    ),
    (
        "A backup, and back",
        "The daemon makes a backup while it serves clients. To restore one, stop the service.",
        (
            Command("sudo -u pierre-dbd mkdir -p /var/lib/pierre-dbd/backup", ""),
            Command("sudo pierre-dbctl backup /var/lib/pierre-dbd/backup/monday.db", "monday"),
            Command("sudo pierre-dbctl verify --encryption-key-file /etc/pierre-dbd/encryption.key "
                    "/var/lib/pierre-dbd/backup/monday.db", "users", first=16),
            Command("pierre-dbctl call create_user user.email=too-late@example.com "
                    "user.password=forgotten", r"[0-9a-f-]{36}"),
            Command("sudo systemctl stop pierre-dbd.socket pierre-dbd.service", ""),
            Command("sudo pierre-dbctl restore --database-url "
                    "sqlite:/var/lib/pierre-dbd/pierre.db --encryption-key-file "
                    "/etc/pierre-dbd/encryption.key /var/lib/pierre-dbd/backup/monday.db",
                    "pierre.db"),
            Command("sudo systemctl start pierre-dbd.socket pierre-dbd.service", ""),
            Command("pierre-dbctl call get_user_count", r"(?m)^1$"),
        ),
    ),
    (
        "A setting",
        "The file lists every setting with its default.",
        (
            Command("sudo grep -A1 -i 'minimum severity' /etc/pierre-dbd/pierre-dbd.conf",
                    "LOG_LEVEL"),
            Command("echo PIERRE_DBD_LOG_LEVEL=loud | sudo tee -a /etc/pierre-dbd/pierre-dbd.conf",
                    "loud"),
            Command("sudo systemctl restart pierre-dbd", "failed|control process"),
            Command("sudo journalctl -u pierre-dbd -p err -n 3 -o cat --no-pager",
                    "PIERRE_DBD_LOG_LEVEL"),
            Command("sudo sed -i s/=loud/=notice/ /etc/pierre-dbd/pierre-dbd.conf", ""),
            Command("sudo systemctl start pierre-dbd", ""),
            Command("pierre-dbctl ready", "ready"),
        ),
    ),
    (
        "Prometheus and a dashboard",
        "The commands of [monitoring.md](monitoring.md): the exporter gets the role `read` and is "
        "enabled.\nPrometheus scrapes it, and answers the question of a panel of the dashboard: "
        "calls per second.\nNo alarm is firing.",
        (
            *(Command(line, wanted) for line, wanted in zip(monitoring(), EXPORTED)),
            Command("sudo apt-get install --no-install-recommends prometheus",
                    "Setting up prometheus", first=2, last=6),
            Command("sudo sed -i 's#^rule_files:#&\\n"
                    "  - /usr/share/pierre-dbd/prometheus/pierre-dbd.rules.yml#' "
                    "/etc/prometheus/prometheus.yml", ""),
            Command("printf '%s\\n' '  - job_name: pierre-dbd' '    static_configs:' "
                    "\"      - targets: ['127.0.0.1:9754']\" "
                    "| sudo tee -a /etc/prometheus/prometheus.yml", "9754"),
            Command("promtool check config /etc/prometheus/prometheus.yml", "SUCCESS.*rules"),
            Command("sudo systemctl reload prometheus", ""),
            Command("pierre-dbctl bench get_user_count -d 40 | tail -n 1", "s"),
            Command("promtool query instant http://127.0.0.1:9090 'up{job=\"pierre-dbd\"}'",
                    "=> 1 ", within=60),
            Command(RATE, "requests_total"),
            Command(f"promtool query instant http://127.0.0.1:9090 \"$({RATE} "
                    "| sed 's/\\$instance/.*/g; s/\\$__rate_interval/1m/g')\"",
                    "get_user_count.* => [1-9]", within=60),
            Command("promtool query instant http://127.0.0.1:9090 'ALERTS{alertstate=\"firing\"}'",
                    ""),
        ),
    ),
    (
        "What it is made of",
        "The bill of materials lists all files and libraries: [supply-chain.md](supply-chain.md).",
        (
            Command("jq -r '.packages[] | [.name, .versionInfo, .licenseConcluded] | @tsv' "
                    "/usr/share/doc/pierre-dbd/pierre-dbd.spdx.json", "libsodium23", first=14),
        ),
    ),
)  # fmt: skip


class Session:
    """The machine, and what the person has typed and seen."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pierre-first-")
        os.chmod(self.folder, 0o755)
        self.m = Machine([self.folder], base=SYSTEM)
        self.page, self.passed, self.failed = [HEAD], 0, 0

    def __enter__(self):
        self.m.boot()
        self.m.shell(f"useradd --create-home --user-group --shell /bin/bash {PERSON}; "
                     f"cp {self.folder}/*.deb /home/{PERSON}")  # fmt: skip
        return self

    def __exit__(self, *_):
        self.m.end()
        shutil.rmtree(self.folder)

    def run(self, line):
        """Runs a line: as root from the word `sudo` on, as the person otherwise."""
        user = None if re.match(r"sudo |.*\| sudo ", line) else PERSON
        done = self.m.run(
            "bash", "-c", f"exec 2>&1; cd ~{PERSON}; {line}", check=False, user=user, text="y\n",
            HOME=f"/home/{PERSON}", DEBIAN_FRONTEND="noninteractive", COLUMNS=str(WIDTH),
        )  # fmt: skip
        return done.stdout

    def step(self, title, text, commands):
        shown = []
        for command in commands:
            if self.failed:  # what follows needs what came before
                return
            output, until = self.run(command.line), time.monotonic() + command.within
            while not command.matches(output) and time.monotonic() < until:
                time.sleep(1)
                output = self.run(command.line)
            good = command.matches(output)
            self.passed += good
            self.failed += not good
            if not good:
                print(f"failed: {command.line}\n{output}\nit does not match: {command.wanted}")
                print(self.m.run("journalctl", "--no-pager", "-n", "40").stdout)
            shown += [f"$ {command.line}", *command.cut(output)]
        self.page.append(f"## {title}\n\n{text}\n\n```\n" + "\n".join(shown) + "\n```\n")


def typed(page):
    return re.findall(r"^\$ (.*)$", page, re.M)


def main():
    if lacks():
        print(f"SKIPPED: the first ten minutes: {lacks()}\n0 passed, 0 failed, 1 skipped")
        return 0
    began = time.monotonic()
    session = Session()
    for name in NAMES[:2]:
        shutil.copy(package(name, PACKAGES), session.folder)
    with session:
        for step in STEPS:
            session.step(*step)
    text = "\n".join(session.page)
    if "--write" in sys.argv[1:] and not session.failed:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
    with open(PAGE, encoding="utf-8") as file:
        same = typed(file.read()) == typed(text)
    if not same:
        print("failed: docs/first-ten-minutes.md has other commands: write it again (--write)")
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{session.passed + same} passed, {session.failed + (not same)} failed")
    return 1 if session.failed or not same else 0


if __name__ == "__main__":
    sys.exit(main())
