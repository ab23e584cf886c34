"""Builds the image of a Dockerfile without a container engine, and runs containers of it: each
stage is a folder with a Debian of its own (debootstrap), each RUN a chroot in namespaces of its
own, each container a set of namespaces.

It knows the instructions that our Dockerfile uses, and refuses others. Needs root."""
import contextlib
import ctypes
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")


def instructions(path):
    """Returns [(name, arguments)]; continued lines are joined, comments removed."""
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not re.match(r"\s*(#|$)", line)]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in text.splitlines()]


class Image:
    """What the last stage leaves: a root and how a container of it runs."""

    def __init__(self, root):
        self.root = root
        self.environment = {"PATH": PATH}
        self.folder, self.user = "/", "0:0"
        self.volumes, self.entrypoint, self.health = [], [], []
        self.health_options, self.stop_signal = {}, "SIGTERM"


def _ignored(context):
    with open(os.path.join(context, ".dockerignore"), encoding="utf-8") as file:
        patterns = [line.strip() for line in file if line.strip()]

    def chosen(folder, names):
        at = os.path.relpath(folder, context)
        return {
            name
            for name in names
            for one in patterns
            if fnmatch.fnmatch(name if one.startswith("**/") else os.path.normpath(f"{at}/{name}"),
                               one.removeprefix("**/"))
        }  # fmt: skip

    return chosen


class Builder:
    """base: the root of a Debian system, which stays as it is. work: where the stages are made."""

    def __init__(self, context, base, work):
        self.context, self.base, self.work = context, base, work
        self.stages = {}
        self.image = None
        self.steps = []  # what was run, for people

    def build(self):
        for name, rest in instructions(os.path.join(self.context, "Dockerfile")):
            self.steps.append(f"{name} {rest}")
            getattr(self, "_" + name.lower())(rest)
        return self.image

    def _from(self, rest):
        found = re.fullmatch(r"(\S+)(?: AS (\w+))?", rest)
        assert found and found[1] == "debian:12-slim", f"FROM {rest}"
        root = os.path.join(self.work, f"stage-{len(self.stages)}")
        subprocess.run(["cp", "-a", self.base, root], check=True)
        self.image = Image(root)
        self.stages[found[2] or str(len(self.stages))] = self.image

    def _run(self, rest):
        image = self.image
        inner = (
            f"mount --bind {shlex.quote(image.root)} {shlex.quote(image.root)} && "
            f"mount -t proc proc {shlex.quote(image.root)}/proc && "
            f"mount --rbind /dev {shlex.quote(image.root)}/dev && "
            f"exec chroot {shlex.quote(image.root)} /bin/sh -c "
            + shlex.quote(f"cd {image.folder} && {rest}")
        )
        resolver = os.path.join(image.root, "etc/resolv.conf")
        shutil.copy("/etc/resolv.conf", resolver)
        done = subprocess.run(
            ["unshare", *NAMESPACES, "sh", "-c", inner],
            env=image.environment | {"HOME": "/root"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        os.unlink(resolver)
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout[-6000:]}"

    def _copy(self, rest):
        words = rest.split()
        source, ignore = self.context, _ignored(self.context)
        if words[0].startswith("--from="):
            source, ignore = self.stages[words.pop(0).removeprefix("--from=")].root, None
        assert len(words) == 2, f"COPY {rest}"
        origin = os.path.join(source, words[0].lstrip("/"))
        target = os.path.join(
            self.image.root, os.path.join(self.image.folder, words[1]).lstrip("/")
        )
        if os.path.isdir(origin):
            shutil.copytree(origin, target, symlinks=True, ignore=ignore, dirs_exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(origin, target)

    def _workdir(self, rest):
        self.image.folder = rest
        os.makedirs(self.image.root + rest, exist_ok=True)

    def _env(self, rest):
        self.image.environment |= dict(word.split("=", 1) for word in shlex.split(rest))

    def _user(self, rest):
        self.image.user = rest

    def _volume(self, rest):
        self.image.volumes = json.loads(rest)

    def _stopsignal(self, rest):
        self.image.stop_signal = rest

    def _healthcheck(self, rest):
        options, command = rest.split(" CMD ")
        self.image.health = json.loads(command)
        self.image.health_options = dict(re.findall(r"--([a-z-]+)=(\S+)", options))

    def _entrypoint(self, rest):
        self.image.entrypoint = json.loads(rest)


class Container:
    """A container with a read-only root, without capabilities and without a network.

    volumes: {path in it: folder outside}, at first with the owner and mode that the image's folder
    has, as a new volume of an engine. secrets: {path in it: file outside}, read-only. groups:
    further groups of the process."""

    def __init__(self, image, volumes, secrets=None, environment=None, command=None, user=None,
                 groups=()):  # fmt: skip
        self.image = image
        for path, folder in volumes.items():
            if os.path.isdir(folder) and not os.listdir(folder):
                model = os.stat(image.root + path)
                os.chown(folder, model.st_uid, model.st_gid)
                os.chmod(folder, model.st_mode & 0o7777)
        uid, gid = (user or image.user).split(":")
        plan = {
            "root": image.root,
            "volumes": volumes,
            "secrets": secrets or {},
            "folder": image.folder,
            "user": [
                "setpriv", "--reuid", uid, "--regid", gid,
                *(("--groups", ",".join(groups)) if groups else ("--clear-groups",)),
                "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--",
            ],
            "command": command or image.entrypoint,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [
                "unshare",
                *NAMESPACES,
                "--net",
                sys.executable,
                os.path.abspath(__file__),
                json.dumps(plan),
            ],
            env=image.environment | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_die_with_parent,
        )

    def init(self):
        """Returns the host's pid of its first process once that is in its root, else None."""
        try:
            with open(
                f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii"
            ) as file:
                pid = int(file.read())
            return pid if os.readlink(f"/proc/{pid}/root") != "/" else None
        except (OSError, ValueError):
            return None

    def enter(self, *command, **environment):
        """Runs a command in it, as its user, as an engine's health check does."""
        pid = self.init()
        assert pid is not None, "the container has ended"
        uid, gid = self.image.user.split(":")
        return subprocess.run(
            ["nsenter", "-t", str(pid), "-m", "-p", "-i", "-u", "-n", "-r", "-w",
             "setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs",
             "--inh-caps=-all", "--bounding-set=-all", "--", *command],
            env=self.image.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip

    def stop(self, seconds):
        """Sends the image's stop signal to its first process; returns the exit code and what it
        wrote."""
        pid = self.init()
        if pid is not None:
            os.kill(pid, getattr(signal, self.image.stop_signal))
        return self.wait(seconds)

    def wait(self, seconds):
        out, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, out

    def kill(self):
        """Returns when its first process is gone, which holds the socket and the database. Once
        that has changed its user, the kernel has dropped the signal of --kill-child."""
        pid = self.init()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        while pid is not None and os.path.exists(f"/proc/{pid}"):
            time.sleep(0.01)


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


# Inside the namespaces of a container
# --------------------------------------------------------------------------------------------------


def _mount(*words):
    subprocess.run(["mount", *words], check=True)


def _devices(root):
    _mount("-t", "tmpfs", "-o", "mode=755", "dev", f"{root}/dev")
    for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        os.mknod(f"{root}/dev/{name}", 0o020666, os.makedev(1, minor))
        os.chmod(f"{root}/dev/{name}", 0o666)


def inside(root, volumes, secrets, folder, user, command):
    """Makes the mounts of the container, enters it, and executes the command as its first
    process."""
    _mount("--make-rprivate", "/")
    _mount("--bind", root, root)
    _mount("-t", "proc", "proc", f"{root}/proc")
    _devices(root)
    _mount("-t", "tmpfs", "-o", "mode=1777,size=64m", "tmp", f"{root}/tmp")
    if any(path.startswith("/run/secrets/") for path in secrets):
        os.makedirs(f"{root}/run/secrets", exist_ok=True)
    for path, source in (*volumes.items(), *secrets.items()):
        if os.path.isdir(source):
            os.makedirs(root + path, exist_ok=True)
        elif not os.path.exists(root + path):
            with open(root + path, "w", encoding="ascii"):
                pass  # the place of the mount
        _mount("--bind", source, root + path)
        if path in secrets:
            _mount("-o", "remount,bind,ro", root + path)
    _mount("-o", "remount,bind,ro", root)
    os.chroot(root)
    os.chdir(folder)
    os.execvpe(user[0], [*user, *command], os.environ)


if __name__ == "__main__":
    inside(**json.loads(sys.argv[1]))
