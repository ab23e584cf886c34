"""`verify` on PostgreSQL: values that a column's type accepts and the contract does not. Would
catch: an infinite time, a number out of its range, a document that is not an object. All of these
make reads fail, and nothing finds them before."""
import subprocess

from lib.case import DaemonCase
from lib.world import World, new_client

# SQLite's columns accept anything: see test_old_rows.py.
BACKENDS = ("postgres",)


class Values(DaemonCase):
    def setUp(self):
        super().setUp()
        self.world = World(self.c)
        self.user = self.world.user()
        self.key = self.world.api_key(self.user)

    def verified(self):
        done = subprocess.run(
            [self.daemon.binary, "--verify", "--database-url", self.daemon.url],
            capture_output=True,
            text=True,
            env=self.daemon.variables(),
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    def found(self, table, column, row, assignment, where):
        """The value is found, and only while it is stored."""
        finding = f"of {table}: {column} is invalid"
        self.assertNotIn(finding, self.verified())
        self.daemon.database.query(f"UPDATE {table} SET {assignment} WHERE {where}")
        report = self.verified()
        self.assertIn(f'row "{row}" {finding}', report.replace('\\"', '"'))

    def test_numbers_times_and_lists(self):
        where = f"id = '{self.key}'"
        for column, value, good in (
            ("rate_limit_requests", "-1", "1"),
            ("rate_limit_window", "4294967296", "4294967295"),
            ("created_at", "'infinity'", "now()"),
            ("expires_at", "'-infinity'", "NULL"),
            ("updated_at", "'20000-01-01'", "'9999-12-31 23:59:59Z'"),
        ):
            self.found("api_keys", column, self.key, f"{column} = {value}", where)
            message = self.refused("storage", "get_user_api_keys", user_id=self.user).message
            self.assertIn(f'row "{self.key}" of api_keys: the stored {column} ', message)
            self.daemon.database.query(f"UPDATE api_keys SET {column} = {good} WHERE {where}")
        self.assertEqual(len(self.ok("get_user_api_keys", user_id=self.user)), 1)
        client = self.ok("create_a2a_client", api_key_id=self.key, client=new_client())
        self.found(
            "a2a_clients",
            "capabilities",
            client,
            "capabilities = '{a,NULL}'",
            f"id = '{client}'",
        )
        self.assertIn(
            f'row "{client}" of a2a_clients: the stored capabilities ',
            self.refused("storage", "list_a2a_clients", user_id=self.user).message,
        )

    def test_documents(self):
        goal = self.ok("create_goal", user_id=self.user, goal_data={"title": "t"})
        for column, assignment in (
            ("target_value", "target_value = 'NaN'"),
            ("current_value", "target_value = 1, current_value = '-Infinity'"),
            ("document", "current_value = 1, document = '[1]'"),
        ):
            self.found("goals", column, goal, assignment, f"id = '{goal}'")
            self.assertIn(
                f'row "{goal}" of goals: the stored {column} ',
                self.refused("storage", "get_user_goals", user_id=self.user).message,
            )
        self.daemon.database.query(f"UPDATE goals SET document = '{{}}' WHERE id = '{goal}'")
        for text in ("{", "[1]"):
            self.daemon.database.query(
                f"UPDATE goals SET document_exact = NULL WHERE id = '{goal}'"
            )
            self.found("goals", "document", goal, f"document_exact = '{text}'", f"id = '{goal}'")
