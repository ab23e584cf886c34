"""Random raw passwords in database URLs, with the real program. Would catch: a part of a password
in the printed settings, in the message of a failed start, or in the log, because the password
contains characters that delimit parts of a URL.

tests/unit/test_redact.c tries the printed form far more often. The search is only for runs of rare
letters, so that no word of a message matches. PIERRE_TEST_SEED sets another seed."""
import os
import random
import subprocess

from lib.case import Case
from lib.daemon import BINARY, SLOW, new_key, rounds, temporary_folder

BACKENDS = ("postgres",)  # the URLs of SQLite hold no password
FORMS = (
    "postgresql://user:{}@127.0.0.1:1/name",
    "postgres://user:{}@127.0.0.1:1,[::1]:1/name?connect_timeout=2",
    "postgresql://127.0.0.1:1/name?user=user&password={}",
    "postgresql://user@127.0.0.1:1/name?sslpassword={}&connect_timeout=2",
    "postgresql://user:{}@/name?host=127.0.0.1&port=1",
    "host=127.0.0.1 port=1 user=user password={}",
    "user:{}@127.0.0.1:1/name",
)
RARE = "qxzjkvwQXZJKVW"
SPECIAL = "@:/?#%&= '\",;[]\\"


class RawPasswords(Case):
    def setUp(self):
        seed = int(os.environ.get("PIERRE_TEST_SEED", "1"))
        self.random = random.Random(seed)
        self.folder = temporary_folder()
        self.addCleanup(os.rmdir, self.folder)

    def password(self):
        pieces = [self.random.choice(SPECIAL)]
        for _ in range(self.random.randint(2, 4)):
            pieces += [
                "".join(self.random.choices(RARE, k=self.random.randint(4, 8))),
                self.random.choice(SPECIAL),
            ]
        self.random.shuffle(pieces)
        return "".join(pieces)

    def output_of(self, *options, url, by_option):
        """Returns the whole output of the program, and its exit code."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "ENCRYPTION_KEY": new_key(),
            "LANG": "C.UTF-8",
        }
        arguments = [BINARY, "--socket", os.path.join(self.folder, "s"), *options]
        if by_option:
            arguments += ["--database-url", url]
        else:
            environment["DATABASE_URL"] = url
        done = subprocess.run(
            arguments,
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60 * SLOW,
        )
        return done.stdout + done.stderr, done.returncode

    def tried(self, count, *options):
        codes = set()
        for number in range(count):
            password = self.password()
            url = FORMS[number % len(FORMS)].format(password)
            text, code = self.output_of(*options, url=url, by_option=number % 2 == 0)
            codes.add(code)
            for at in range(len(password) - 3):
                run = password[at : at + 4]
                if all(byte in RARE for byte in run):
                    self.assertNotIn(run, text, url)
        return codes

    def test_check_config(self):
        for form in ("--check-config", "--check-config=json"):
            self.assertLessEqual(self.tried(rounds(150), form), {0, 78})

    def test_failed_starts(self):
        """Refused because of the URL (78) or because the server is absent (69)."""
        self.assertEqual(self.tried(56, "--log-level", "debug"), {69, 78})
