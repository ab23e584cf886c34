"""The role with few rights of docs/postgresql.md, which all daemons under test use on PostgreSQL.
Would catch: a documented right that nothing needs, a method or a start that needs more, a test run
that has all rights after all."""
import re
import secrets

from lib import databases
from lib.case import Case
from lib.daemon import Daemon, StartFailure, new_key, run
from lib.databases import psql
from lib.world import Samples

BACKENDS = ("postgres",)
FORBIDDEN = (
    "CREATE TABLE mine (x int)",
    "CREATE TEMPORARY TABLE mine (x int)",
    "CREATE SCHEMA mine",
    "ALTER TABLE users ADD COLUMN x int",
    "DROP TABLE users",
    "TRUNCATE users CASCADE",
    "CREATE INDEX ON users (display_name)",
    "DELETE FROM pierre_migrations",
    "UPDATE pierre_migrations SET version = 99",
    "INSERT INTO pierre_migrations (version, name) VALUES (99, 'x')",
    "SELECT setval('api_keys_number_seq', 1)",
    "CREATE ROLE mine",
    "COPY users TO PROGRAM 'true'",
)


class Role(Case):
    def setUp(self):
        self.database = databases.Postgres()
        self.addCleanup(self.database.drop)
        self.key = new_key()

    def daemon(self, *options):
        return Daemon(database=self.database, key=self.key, options=options)

    def test_what_it_may_not(self):
        self.assertEqual(psql(self.database.url, "SELECT current_user"), "pierre_daemon")
        for statement in FORBIDDEN:
            with self.assertRaises(RuntimeError, msg=statement) as caught:
                psql(self.database.url, statement)
            self.assertRegex(
                str(caught.exception), "permission denied|must be (owner|superuser)", statement
            )
        self.assertEqual(
            psql(
                self.database.url,
                "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR "
                "rolbypassrls FROM pg_roles "
                "WHERE rolname = current_user",
            ),
            "f",
        )
        strangers = psql(
            self.database.admin_url,
            "SELECT has_database_privilege('public', current_database(), 'CONNECT')",
        )
        self.assertEqual(strangers, "f")

    def test_every_method(self):
        """With and without a check for migrations."""
        for options in ((), ("--no-migrate",)):
            with self.daemon(*options) as daemon, daemon.connect() as connection:
                for method, params in Samples(connection).params().items():
                    if (
                        not method.startswith("daemon.") and method != "rotate_key"
                    ):  # their own tests use this role, too
                        self.assertIn(
                            "result", connection.answer(connection.request(method, params)), method
                        )
                self.assertEqual(connection.call("migrate")["applied"], [])

    def test_nothing_is_changed_at_a_start(self):
        with self.daemon():
            pass
        before = self.database.query("SELECT xmin, * FROM pierre_migrations ORDER BY version")
        with self.daemon():
            pass
        self.assertEqual(
            self.database.query("SELECT xmin, * FROM pierre_migrations ORDER BY version"), before
        )

    def test_older_schema(self):
        """The message names what the role lacks, and nothing changes. The owner's migration solves
        it."""
        self.database.query("DELETE FROM pierre_migrations; DROP TABLE a2a_usage")
        for options, words in (
            ((), "the database role lacks the right to do this: CREATE on schema public"),
            (("--no-migrate",), "run pierre-dbd --migrate-only"),
        ):
            daemon = self.daemon(*options)
            with self.assertRaises(StartFailure) as caught:
                daemon.start()
            self.assertEqual(caught.exception.code, 78, caught.exception.log)
            self.assertIn(words, caught.exception.log)
            daemon.check_log()
            daemon.discard()
        self.assertEqual(self.database.query("SELECT count(*) FROM pierre_migrations"), "0")

    def test_a_right_is_missing(self):
        """The message names the right and its object."""
        for right, object_ in (("SELECT", "pierre_migrations"), ("SELECT", "pierre_meta")):
            self.database.query(f"REVOKE {right} ON {object_} FROM pierre_daemon")
            daemon = self.daemon()
            with self.assertRaises(StartFailure) as caught:
                daemon.start()
            self.assertEqual(caught.exception.code, 78, caught.exception.log)
            self.assertIn(f"{right} on table {object_}", caught.exception.log)
            daemon.discard()
            self.database.query(f"GRANT {right} ON {object_} TO pierre_daemon")
        with self.daemon() as daemon, daemon.connect() as connection:
            user = connection.call(
                "create_user", user={"email": "r@example.com", "password_hash": "h"}
            )
            self.database.query("REVOKE UPDATE ON users FROM pierre_daemon")
            error = connection.answer(connection.request("update_last_active", {"user_id": user}))[
                "error"
            ]
            self.assertEqual(error["data"]["kind"], "storage")
            self.assertIn("permission denied for table users", error["message"])


class Administrator(Case):
    def test_no_superuser(self):
        """Managed servers only grant the right to create roles and databases. Together with the
        documented commands this is enough."""
        mark = secrets.token_hex(4)
        server, database = (
            block.replace("pierre_owner", f"owner_{mark}")
            .replace("pierre_daemon", f"daemon_{mark}")
            .replace("DATABASE pierre", f"DATABASE pierre_{mark}")
            for block in databases.documented()[:2]
        )
        more = f"GRANT owner_{mark} TO CURRENT_USER;"
        with open(databases.DOCUMENT, encoding="utf-8") as file:
            self.assertIn(more.replace(f"owner_{mark}", "pierre_owner"), file.read())
        admin = databases.postgres_url()

        def as_boss(statement, name="postgres"):
            return psql(databases.with_database(admin, name), f"SET ROLE boss_{mark};\n{statement}")

        def cleanup():
            psql(admin, f"DROP DATABASE IF EXISTS pierre_{mark}")
            psql(admin, f"DROP ROLE IF EXISTS owner_{mark}, daemon_{mark}, boss_{mark}")

        self.addCleanup(cleanup)
        psql(admin, f"CREATE ROLE boss_{mark} CREATEROLE CREATEDB")
        roles, create = server.split("CREATE DATABASE")
        as_boss(roles)
        with self.assertRaises(RuntimeError):
            as_boss("CREATE DATABASE" + create)
        as_boss(more)
        as_boss("CREATE DATABASE" + create)
        as_boss(database, f"pierre_{mark}")
        # Before 15 the schema belongs to the superuser, who alone can take the right from PUBLIC.
        new = int(psql(admin, "SHOW server_version_num")) >= 150000
        self.assertEqual(
            psql(
                databases.with_database(admin, f"pierre_{mark}"),
                f"SELECT has_schema_privilege('owner_{mark}', 'public', 'CREATE'), "
                f"has_schema_privilege('daemon_{mark}', 'public', 'CREATE')",
            ),
            "t|f" if new else "t|t",
        )


class Documentation(Case):
    def test_settings(self):
        """The defaults in docs/postgresql.md equal those of the program."""
        code, out, _ = run(["--help=markdown"])
        self.assertEqual(code, 0)
        defaults = dict(
            re.findall(r"^\| `(--[^`]+)` \| `[^`]*` \| `([^`]*)` \|", out, re.MULTILINE)
        )
        with open(databases.DOCUMENT, encoding="utf-8") as file:
            named = re.findall(r"^\| `(--[^`]+)` \| `([^`]*)` \|", file.read(), re.MULTILINE)
        self.assertGreater(len(named), 8)
        for name, value in named:
            self.assertEqual(defaults.get(name), value, name)
