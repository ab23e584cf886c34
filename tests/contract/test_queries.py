"""The queries over documents of docs/postgresql.md, run from the document as the role that it
creates. Would catch: a documented statement that fails or finds the wrong rows, an index that it
does not use, a role that reads secrets or writes, a daemon that is disturbed by the index."""
import os
import re

from lib import databases, model
from lib.case import Case
from lib.daemon import Daemon, new_key
from lib.databases import psql
from lib.world import World

BACKENDS = ("postgres",)


def documented():
    """The statements of the section: of the administrator, of the owner, and the reader's."""
    with open(databases.DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    section = text[text.index("## Queries over documents") :]
    section = section[: section.index("\n## ", 1)]
    blocks = re.findall(r"^```sql\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5, "docs/postgresql.md has other statements now"
    return blocks[0], blocks[1], blocks[2:]


class Queries(Case):
    @classmethod
    def setUpClass(cls):
        """Does what the document tells the administrator and the owner."""
        cls.admin, cls.indexes, cls.queries = documented()
        cls.database = databases.Postgres()
        cls.addClassCleanup(cls.database.drop)
        cls.key = new_key()
        cls.daemon = Daemon(database=cls.database, key=cls.key).start()
        cls.addClassCleanup(cls.daemon.stop)
        name = psql(cls.database.admin_url, "SELECT current_database()")
        cls.role = f"pierre_reader_{os.getpid()}"
        psql(
            cls.database.admin_url,
            cls.admin.replace("pierre_reader", cls.role).replace(
                "DATABASE pierre ", f'DATABASE "{name}" '
            ),
        )
        cls.addClassCleanup(cls.remove_role)
        for statement in cls.indexes.strip().splitlines():
            psql(cls.database.admin_url, statement)
        password = re.search(r"PASSWORD '([^']*)'", cls.admin).group(1)
        model.secrets.add(password)
        cls.reader = re.sub(r"//[^/]*@", f"//{cls.role}:{password}@", cls.database.admin_url)

    @classmethod
    def remove_role(cls):
        psql(cls.database.admin_url, f"DROP OWNED BY {cls.role}; DROP ROLE {cls.role}")

    def setUp(self):
        self.c = self.daemon.connect()
        self.addCleanup(self.c.close)
        self.world = World(self.c)

    def rows(self, number):
        text = psql(self.reader, self.queries[number])
        return [line.split("|") for line in text.splitlines()]

    def test_statements(self):
        ana, ben = self.world.user(), self.world.user()
        for user, title, plan in (
            (ana, "A", {"race": "Berlin", "weeks": 16}),
            (ana, "B", {"race": "Berlin", "weeks": 12}),
            (ben, "C", {"race": "Boston", "weeks": 20}),
            (ben, "D", {"race": "Berlin", "weeks": 1.3e1}),
        ):
            self.c.call("create_goal", user_id=user, goal_data={"title": title, "plan": plan})
        self.assertEqual([row[1:] for row in self.rows(0)], [[ana, "A", "16"], [ben, "D", "13.0"]])
        for user, units in ((ana, "metric"), (ben, "imperial")):
            self.c.call(
                "upsert_user_profile", user_id=user, profile_data={"preferences": {"units": units}}
            )
        self.assertEqual(self.rows(1), [[ana]])
        metrics = [{"name": "pace", "value": 5.5}, {"name": "heart", "value": 150}]
        insight = self.c.call("store_insight", user_id=ana, insight_data={"metrics": metrics})
        self.c.call("store_insight", user_id=ana, insight_data={"metrics": metrics[1:]})
        self.assertEqual(self.rows(2), [[insight, "[5.5]"]])

    def test_indexes_are_used(self):
        for query, index in zip(
            self.queries, ("goals_document", "profiles_document", "insights_document")
        ):
            plan = psql(self.reader, f"SET enable_seqscan = off; EXPLAIN {query}")
            self.assertIn(f"Bitmap Index Scan on {index}", plan)

    def test_what_the_role_may_not(self):
        user = self.world.user()
        for statement in (
            "SELECT email FROM users",
            "SELECT * FROM api_keys",
            "SELECT * FROM a2a_sessions",
            "SELECT * FROM pierre_meta",
            f"INSERT INTO user_profiles VALUES ('{user}', '{{}}', NULL, now(), now())",
            "SET default_transaction_read_only = off; DELETE FROM goals",
        ):
            with self.assertRaises(RuntimeError, msg=statement) as caught:
                psql(self.reader, statement)
            self.assertRegex(str(caught.exception), "permission denied|read-only transaction")

    def test_the_daemon_goes_on(self):
        """A daemon starts beside the indexes, and has nothing to migrate."""
        daemon = Daemon(database=self.database, key=self.key).start()
        self.addCleanup(daemon.stop)
        self.assertEqual(daemon.call("migrate")["applied"], [])
