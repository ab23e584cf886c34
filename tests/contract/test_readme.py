"""Every command of the README's section on scripting, run as it stands there. Would catch: a README that tells of options and
methods that are not there, and a daemon that does not answer socat and jq."""
import os
import re
import shutil
import subprocess

from lib.case import Case
from lib.daemon import BUILD, CTL, SLOW, Daemon

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")


def commands():
    """The shell blocks between the mark and the next heading."""
    with open(README, encoding="utf-8") as file:
        text = file.read()
    section = text.split("<!-- tested:", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


class Readme(Case):
    def setUp(self):
        for tool in ("socat", "jq"):
            if shutil.which(tool) is None:
                self.skipTest(f"{tool} is ABSENT: the README's commands are NOT tested")
        if not os.path.exists(CTL):
            self.skipTest(f"{CTL} is ABSENT: the README's commands are NOT tested")

    def shell(self, daemon, command):
        environment = {
            **daemon.variables(),
            "SOCK": daemon.socket_path,
            "PIERRE_DBD_SOCKET": daemon.socket_path,
            "PATH": f"{os.path.dirname(CTL)}:{BUILD}/daemon:{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60 * SLOW,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), f"{command}\n{done.stdout}")
        return done.stdout

    def test_commands_in_their_order(self):
        found = commands()
        self.assertGreaterEqual(len(found), 5)
        with Daemon() as daemon:
            outputs = [self.shell(daemon, command) for command in found]
            self.assertEqual(outputs[0].strip(), "0")
            self.assertIn("zoe@example.com", outputs[1])
            for command, output in zip(found, outputs):
                self.assertTrue(output.strip(), command)
            self.assertEqual(daemon.call("get_user_count"), 2)

    def test_last_line_without_newline_through_socat(self):
        with Daemon() as daemon:
            out = self.shell(
                daemon,
                'printf \'%s\' \'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\' | socat -t30 - UNIX-CONNECT:$SOCK',
            )
            self.assertEqual(out, '{"jsonrpc":"2.0","id":1,"result":"pong"}\n')
