"""The shipped units. Would catch: a directive that systemd does not know, hardening that was lost, a path that does not agree with the
program's own."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib.case import Case, main  # noqa: E402
from lib.daemon import BINARY, BUILD, temporary_folder  # noqa: E402
from lib.notify import analyze, exposure  # noqa: E402

BACKENDS = ("sqlite",)
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


class Units(Case):
    """The shipped units, as systemd itself judges them."""

    def folder(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, True)
        return folder

    def setUp(self):
        if analyze("--version") is None:
            self.skipTest("systemd-analyze is not installed: the units are NOT checked")
        self.place = self.folder()
        bindir = os.path.join(self.place, "bin")
        os.mkdir(bindir)
        os.symlink(BINARY, os.path.join(bindir, "pierre-dbd"))
        with open(os.path.join(BUILD, "systemd", "pierre-dbd.service"), encoding="utf-8") as file:
            text = file.read()
        start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
        self.assertTrue(start.endswith("/bin/pierre-dbd"), start)
        self.unit = self.write("pierre-dbd.service", text.replace(start, f"ExecStart={bindir}/pierre-dbd"))
        shutil.copy(os.path.join(ROOT, "systemd", "pierre-dbd.socket"), self.place)

    def write(self, name, text):
        path = os.path.join(self.place, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def drop_in(self):
        """The units again, with the drop-in for SQLite."""
        with open(os.path.join(ROOT, "systemd", "sqlite-only.conf"), encoding="utf-8") as file:
            return self.write("pierre-dbd.service.d/sqlite-only.conf", file.read())

    def verify(self):
        code, output = analyze("verify", "--man=no", self.unit, os.path.join(self.place, "pierre-dbd.socket"))
        # Lines about other units of the machine are not about these.
        own = [line for line in output.splitlines() if "pierre-dbd" in line or self.place in line]
        self.assertEqual((code, own), (0, []), output)

    def test_verify(self):
        self.verify()
        self.drop_in()
        self.verify()

    def test_security(self):
        for words, most in (("as shipped", 1.5), ("with sqlite-only.conf", 0.6)):
            if most < 1:
                self.drop_in()
            code, output = analyze("security", "--offline=true", "--threshold=15", self.unit)
            score = exposure(output)
            print(f"  systemd-analyze security, {words}: {score}", flush=True)
            self.assertEqual(code, 0, output)
            self.assertLessEqual(score, most, output)

    def test_a_weak_unit_fails_the_gate(self):
        """The gate is one: without the hardening the same command says no."""
        with open(self.unit, encoding="utf-8") as file:
            text = file.read()
        weak = "\n".join(line for line in text.splitlines() if not line.startswith(("Protect", "Private", "SystemCall", "Restrict", "Capab")))
        code, output = analyze("security", "--offline=true", "--threshold=15", self.write("pierre-dbd.service", weak))
        self.assertNotEqual(code, 0, output)
        code, output = analyze("verify", "--man=no", self.write("pierre-dbd.service", text + "\n[Service]\nProtectSistem=strict\n"))
        self.assertIn("ProtectSistem", output)

    def test_sysusers(self):
        path = os.path.join(ROOT, "systemd", "pierre-dbd.sysusers")
        if shutil.which("systemd-sysusers") is None:
            self.skipTest("systemd-sysusers is not installed: the users' file is NOT checked")
        root = self.folder()
        os.mkdir(os.path.join(root, "etc"))
        done = subprocess.run(["systemd-sysusers", f"--root={root}", "--replace=/usr/lib/sysusers.d/pierre-dbd.conf", path],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(root, "etc", "passwd"), encoding="utf-8") as file:
            self.assertIn("pierre-dbd:", file.read())
        with open(os.path.join(root, "etc", "group"), encoding="utf-8") as file:
            self.assertIn("pierre-dbd:", file.read())

    def test_units_agree_with_the_program(self):
        """The socket's path is where a service looks by itself; exit codes that a restart does not mend; the key's credential."""
        with open(os.path.join(self.place, "pierre-dbd.socket"), encoding="utf-8") as file:
            socket_unit = file.read()
        with open(self.unit, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("ListenStream=/run/pierre-dbd/pierre-dbd.sock\n", socket_unit)
        self.assertIn("SocketMode=0660\n", socket_unit)
        self.assertIn("RuntimeDirectory=pierre-dbd\n", text)
        self.assertIn("LoadCredential=encryption_key:", text)
        self.assertNotIn("PrivateUsers", "".join(line for line in text.splitlines() if not line.startswith("#")))
        self.assertIn("RestartPreventExitStatus=64 65 77 78\n", text)


if __name__ == "__main__":
    main()
