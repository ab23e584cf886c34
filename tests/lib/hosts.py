"""Hosts of their own for daemons: network namespaces of this machine, each joined to it by a
virtual cable that can be pulled. Needs root, and iproute2's `ip`."""
import os
import shutil
import subprocess
import unittest

# Of its own for each run: .1 is this machine's end of the cable to host N, .2 the host's.
NETWORK = f"10.{100 + os.getpid() % 100}"
FIRST = os.getpid() // 100 % 80 * 3


def require():
    """Skips, with the reason, where no namespace can be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise unittest.SkipTest("network namespaces need root and the package iproute2")
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        raise unittest.SkipTest("this machine allows no network namespaces")


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Host:
    def __init__(self, number):
        self.name = f"pdt{os.getpid()}-{number}"
        self.cable = f"p{os.getpid() % 1000000}n{number}"
        network = f"{NETWORK}.{FIRST + number}"
        self.server_address = f"{network}.1"  # this machine, as the host sees it
        ip("netns", "add", self.name)
        inside = ("-n", self.name)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("addr", "add", f"{self.server_address}/24", "dev", self.cable)
        ip(*inside, "addr", "add", f"{network}.2/24", "dev", "eth0")
        ip(*inside, "link", "set", "lo", "up")
        ip(*inside, "link", "set", "eth0", "up")
        self.plug()
        self.wrapper = ("ip", "netns", "exec", self.name)  # runs a program on the host

    def unplug(self):
        """Nothing arrives any more, and no end of a connection is seen."""
        ip("-n", self.name, "link", "set", "eth0", "down")

    def plug(self):
        ip("link", "set", self.cable, "up")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self.cable], capture_output=True, check=False)
