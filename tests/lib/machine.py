"""A real systemd as PID 1: this machine's own programs in separate namespaces, on a root file
system in memory.

Needs root, overlayfs, cgroup2 and the packages of scripts/setup test. `/usr` is this machine's with
a writable layer in memory, so that `meson install` can write there; `/etc`, `/var`, `/run` and the
rest start empty. With `base`, all of it is a folder with a Debian of its own, under such a layer.
Nothing reaches or remains on this machine: the kernel ends everything when PID 1
ends, and PID 1 is killed when the test's process ends for any reason."""
import contextlib
import ctypes
import errno
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SYSTEMD = "/usr/lib/systemd/systemd"
PROGRAMS = ("unshare", "nsenter", "setpriv", "pivot_root", "mount", "dbus-daemon", "meson")
# What a container must not change on the host whose kernel it shares: its clock, modules, devices,
# log.
WITHHELD = (
    "sys_module",
    "sys_time",
    "sys_rawio",
    "sys_boot",
    "syslog",
    "wake_alarm",
    "block_suspend",
)
# Units that search for devices, consoles and terminals, or that are useless here.
MASKED = (
    "systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket "
    "systemd-udev-trigger.service "
    "systemd-sysctl.service systemd-modules-load.service systemd-random-seed.service "
    "systemd-timesyncd.service "
    "systemd-hwdb-update.service systemd-binfmt.service systemd-networkd.service "
    "systemd-networkd.socket "
    "systemd-resolved.service systemd-logind.service getty.target console-getty.service "
    "systemd-remount-fs.service "
    "dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount "
    "systemd-firstboot.service "
    "systemd-boot-update.service systemd-pstore.service systemd-update-utmp.service timers.target"
).split()
PASSWD = """root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
messagebus:x:101:101::/nonexistent:/usr/sbin/nologin
"""
GROUP = (
    "root:x:0:\ntty:x:5:\nadm:x:4:\nnogroup:x:65534:\nmessagebus:x:101:\nsystemd-journal:x:102:\n"
)
# The guide is for administrators with sudo; here every user who runs it is root.
SUDO = """#!/bin/bash
user=root
while :; do
	case $1 in
	-u) user=$2; shift 2 ;;
	-E) shift ;;
	*) break ;;
	esac
done
[ "$user" = root ] && exec "$@"
exec setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all -- "$@"
"""


def cgroup2():
    """Returns the mount point of the unified hierarchy, or None."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, place, kind, _ = line.split(maxsplit=3)
            if kind == "cgroup2":
                return place
    return None


def lacks():
    """Returns why no systemd can boot here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent or not os.path.exists(SYSTEMD):
        return f"not installed: {', '.join(absent) or 'systemd'}"
    if cgroup2() is None:
        return "no cgroup2 is mounted"
    try:
        probe = os.path.join(cgroup2(), f"pierre-test-{os.getpid()}")
        os.mkdir(probe)
        os.rmdir(probe)
    except OSError as problem:
        return f"no cgroup can be made: {problem}"
    tried = subprocess.run(
        ["unshare", "-m", "-p", "-f", "-u", "-i", "-n", "-C", "sh", "-c",
         "mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w /mnt/m && "
         "mount -t overlay -o lowerdir=/usr,upperdir=/mnt/u,workdir=/mnt/w o /mnt/m"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return (
        None if tried.returncode == 0 else f"no namespaces with an overlay: {tried.stderr.strip()}"
    )


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def _remove_cgroup(top):
    for place, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(place)


def _sweep():
    """Removes what a killed test has left: empty cgroups and a folder without mounts."""
    for place in glob.glob(os.path.join(cgroup2(), "pierre-test-*")) + glob.glob(
        "/tmp/pierre-machine-*-*"
    ):
        owner = os.path.basename(place).split("-")[2]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            if place.startswith("/tmp"):
                shutil.rmtree(place, ignore_errors=True)
            else:
                _remove_cgroup(place)


class Machine:
    """share: folders that are visible inside at the same path; changes in them are lost, too.
    base: the root of a Debian system, which stays as it is."""

    def __init__(self, share=(), base=None):
        self.share, self.base = list(share), base
        _sweep()
        self.folder = tempfile.mkdtemp(prefix=f"pierre-machine-{os.getpid()}-", dir="/tmp")
        self.cgroup = os.path.join(cgroup2(), f"pierre-test-{os.getpid()}-{os.urandom(3).hex()}")
        self.console = os.path.join(self.folder, "console")
        self.process = self.pid = None

    # Start and end
    # ----------------------------------------------------------------------------------------------

    def boot(self, seconds=90):
        os.mkdir(self.cgroup)
        os.mkdir(os.path.join(self.folder, "root"))
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), json.dumps(
                    {"folder": self.folder, "cgroup": self.cgroup, "share": self.share,
                     "base": self.base})],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                preexec_fn=_die_with_parent, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + seconds
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"systemd did not boot:\n{self.shown()}")
            self.pid = self.pid or self._init()
            if self.pid is not None:
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if state in ("running", "degraded"):
                    return self
            time.sleep(0.1)

    def shown(self):
        with open(self.console, encoding="utf-8", errors="replace") as file:
            return file.read()[-6000:]

    def _init(self):
        """Returns the host's pid of the machine's PID 1, once it is systemd."""
        try:
            with open(
                f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii"
            ) as file:
                child = file.read().split()
            if child and os.path.basename(os.readlink(f"/proc/{child[0]}/exe")) == "systemd":
                return int(child[0])
        except OSError:
            pass
        return None

    def end(self):
        """Kills everything in it and removes what is left on the host: an empty folder and an empty
        cgroup."""
        if self.process is not None:
            self.process.kill()  # PID 1 dies with it (--kill-child), and all others with PID 1
            self.process.wait()
        deadline = time.monotonic() + 30
        while os.path.isdir(self.cgroup):
            _remove_cgroup(self.cgroup)
            if os.path.isdir(self.cgroup):
                assert time.monotonic() < deadline, f"{self.cgroup} is still in use"
                time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)

    # Use
    # ----------------------------------------------------------------------------------------------

    def command(self, *command, user=None):
        """Returns the command that runs a command in the machine: as root, or as a user with all of
        its groups."""
        become = (
            ("setpriv", "--reuid", user, "--regid", user, "--init-groups", "--") if user else ()
        )
        return ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w",
                *become, *command]  # fmt: skip

    def run(self, *command, check=True, user=None, text=None, timeout=120, **variables):
        done = subprocess.run(
            self.command(*command, user=user), input=text, capture_output=True, text=True,
            check=False, timeout=timeout,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8",
                 "HOME": "/root", "SYSTEMD_COLORS": "0", "COLUMNS": "200", **variables},
        )  # fmt: skip
        assert (
            not check or done.returncode == 0
        ), f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n"
        return done

    def shell(self, script, **more):
        return self.run("bash", "-euc", script, **more)

    def path(self, path):
        """Returns the path by which this process reaches a path in the machine."""
        return f"/proc/{self.pid}/root{path}"

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(path), mode)

    def property(self, unit, name):
        return self.run("systemctl", "show", "-p", name, "--value", unit).stdout.strip()

    def main_pid(self, unit):
        """Returns the pid inside the machine; 0: not running."""
        return int(self.property(unit, "MainPID"))

    def journal(self, unit, *more):
        """Returns the entries that processes of the unit wrote, oldest first."""
        self.run("journalctl", "--sync")
        found = self.run("journalctl", "-o", "json", "--no-pager", f"_SYSTEMD_UNIT={unit}", *more)
        return [json.loads(line) for line in found.stdout.splitlines()]


# Inside the namespaces, before systemd
# ---------------------------------------------------------------------------


def _mount(kind, source, place, options=""):
    command = ["mount", "-t", kind] + (["-o", options] if options else [])
    subprocess.run([*command, source, place], check=True)


def _bind(source, place, *options):
    subprocess.run(["mount", "--rbind", source, place], check=True)
    subprocess.run(["mount", "--make-rprivate", place], check=True)
    if "ro" in options:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)


def _devices(root):
    _mount("tmpfs", "dev", f"{root}/dev", "mode=755,size=1m")
    for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
        os.mknod(f"{root}/dev/{name}", 0o020666, os.makedev(1, minor))
        os.chmod(f"{root}/dev/{name}", 0o666)
    os.mknod(f"{root}/dev/tty", 0o020666, os.makedev(5, 0))
    os.mkdir(f"{root}/dev/pts")
    os.mkdir(f"{root}/dev/shm")
    _mount("devpts", "devpts", f"{root}/dev/pts", "newinstance,ptmxmode=0666,mode=620,gid=5")
    os.symlink("pts/ptmx", f"{root}/dev/ptmx")
    os.symlink("/proc/self/fd", f"{root}/dev/fd")


def _write(path, text, mode=0o644):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, mode)


def _files(root):
    """What the machine takes from this one, and what it has of its own."""
    for name, text in (
        ("passwd", PASSWD),
        ("group", GROUP),
        ("fstab", ""),
        ("os-release", "ID=debian\n"),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ):
        _write(f"{root}/etc/{name}", text)
    for name in (
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "dbus-1",
        "alternatives",
        "ssl",
        "pam.d",
        "security",
    ):
        source, place = f"/etc/{name}", f"{root}/etc/{name}"
        if os.path.isdir(source):
            shutil.copytree(source, place, symlinks=True, ignore=shutil.ignore_patterns("private"))
        elif os.path.exists(source):
            shutil.copy(source, place)
    os.makedirs(f"{root}/etc/systemd/system")
    os.makedirs(f"{root}/usr/local/sbin", exist_ok=True)


def _configuration(root):
    # With a machine-id this is not a first boot, at which systemd enables every installed unit.
    for name, text in (
        ("machine-id", f"{os.urandom(16).hex()}\n"),
        ("hostname", "machine\n"),
        ("hosts", "127.0.0.1 localhost\n"),
    ):
        _write(f"{root}/etc/{name}", text)
    for unit in MASKED:
        place = f"{root}/etc/systemd/system/{unit}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
        os.symlink("/dev/null", place)
    _write(f"{root}/usr/local/sbin/sudo", SUDO, 0o755)


def _folders(root, layer):
    """An empty root with this machine's /usr."""
    _mount("tmpfs", "root", root, "mode=755,size=1g")
    for name in ("usr", "etc", "var", "var/lib", "var/log", "var/tmp", "run", "tmp", "proc", "sys",
                 "dev", "root", "home", "srv", "opt", "mnt"):  # fmt: skip
        os.mkdir(f"{root}/{name}", 0o755)
    os.chmod(f"{root}/root", 0o700)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", f"{root}/{name}")
    _overlay("/usr", layer, f"{root}/usr")
    _files(root)


def _overlay(below, layer, place):
    upper, work = tempfile.mkdtemp(dir=layer), tempfile.mkdtemp(dir=layer)
    os.chmod(upper, 0o755)
    os.makedirs(place, exist_ok=True)
    _mount("overlay", "layer", place, f"lowerdir={below},upperdir={upper},workdir={work}")


def _root(folder, share, base):
    """Makes a root file system whose changes lie in memory and are removed with the namespace."""
    root, layer = f"{folder}/root", f"{folder}/layer"
    os.mkdir(layer)
    _mount("tmpfs", "layer", layer, "mode=755,size=2g")
    if base is None:
        _folders(root, layer)
    else:
        _overlay(base, layer, root)
    _mount("proc", "proc", f"{root}/proc")
    _mount("sysfs", "sys", f"{root}/sys", "ro")
    _mount("cgroup2", "cgroup", f"{root}/sys/fs/cgroup")
    for place in ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"):
        if os.path.exists(root + place):
            _bind(root + place, root + place, "ro")
    for place in ("run", "tmp"):
        _mount("tmpfs", place, f"{root}/{place}", "mode=1777" if place == "tmp" else "mode=755")
    _devices(root)
    _configuration(root)
    for place in share:
        _overlay(place, layer, root + place)
    return root


def inside(folder, cgroup, share, base):  # pylint: disable=unused-argument
    """Runs as PID 1 of the new namespaces: makes the root, enters it, executes systemd."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    root = _root(folder, share, base)
    os.chdir(root)
    os.mkdir("old")
    subprocess.run(["pivot_root", ".", "old"], check=True)
    os.chroot(".")
    os.chdir("/")
    subprocess.run(["mount", "--make-rprivate", "/old"], check=True)
    subprocess.run(["umount", "-l", "/old"], check=True)
    os.rmdir("/old")
    # Services get their credentials through mounts that systemd makes and that must reach them.
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    bounding = ",".join(f"-{name}" for name in WITHHELD)
    os.execvpe("setpriv", ["setpriv", f"--bounding-set={bounding}", f"--inh-caps={bounding}", "--",
                           SYSTEMD, "--log-target=journal"],
               {"PATH": os.environ["PATH"], "container": "other", "LANG": "C.UTF-8"})  # fmt: skip


def outside(folder, cgroup, share, base):
    """Joins the cgroup, so that it is the root of the new cgroup namespace; then unshares."""
    with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
        file.write("0")
    arguments = json.dumps({"folder": folder, "cgroup": cgroup, "share": share, "base": base})
    os.execvp(
        "unshare",
        [
            "unshare",
            *("--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup"),
            "--kill-child=KILL",
            sys.executable,
            os.path.abspath(__file__),
            "--inside",
            arguments,
        ],
    )


if __name__ == "__main__":
    try:
        if sys.argv[1] == "--inside":
            inside(**json.loads(sys.argv[2]))
        else:
            outside(**json.loads(sys.argv[1]))
    except OSError as failure:
        print(f"machine.py: {errno.errorcode.get(failure.errno)}: {failure}", file=sys.stderr)
        sys.exit(1)
