"""Every command marked as tested in README.md and docs/clients.md, executed as it is. Would catch:
a page that names missing options and methods, and a daemon that does not answer socat and jq."""
import os
import re
import shutil
import subprocess

from lib.case import Case
from lib.daemon import BUILD, CTL, SLOW, Daemon

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def commands(page):
    """Returns the shell blocks between the mark and the next heading."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        text = file.read()
    section = text.split("<!-- tested:", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


class Readme(Case):
    def setUp(self):
        for tool in ("socat", "jq"):
            if shutil.which(tool) is None:
                self.skipTest(f"{tool} is ABSENT: the commands of the pages are NOT tested")
        if not os.path.exists(CTL):
            self.skipTest(f"{CTL} is ABSENT: the commands of the pages are NOT tested")

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
        readme, clients = commands("README.md"), commands("docs/clients.md")
        self.assertEqual(len(readme), 2)
        self.assertGreaterEqual(len(clients), 5)
        with Daemon() as daemon:
            outputs = [self.shell(daemon, command) for command in readme + clients]
            for command, output in zip(readme + clients, outputs):
                self.assertTrue(output.strip(), command)
            self.assertEqual(outputs[0].strip(), "0")
            self.assertEqual(outputs[2].strip(), '"zoe@example.com"')
            created = sum(command.count("create_user") for command in readme + clients)
            self.assertEqual(daemon.call("get_user_count"), created)

    def test_last_line_without_newline_through_socat(self):
        with Daemon() as daemon:
            out = self.shell(
                daemon,
                'printf \'%s\' \'{"jsonrpc":"2.0","id":1,"method":"daemon.ping"}\' | socat -t30 '
                "- UNIX-CONNECT:$SOCK",
            )
            self.assertEqual(out, '{"jsonrpc":"2.0","id":1,"result":"pong"}\n')
