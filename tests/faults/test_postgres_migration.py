"""The upgrade of a PostgreSQL database of the first version, whose unique keys were digests. Would
catch: a value too long for any key that stops the upgrade half way or without a message, changed
rows or changed tables of the owner, a conflict that names another field than on SQLite, an upgrade
that gives up because another program reads the tables."""
import os
import subprocess

from lib import databases
from lib.case import Case
from lib.daemon import Daemon, StartFailure, new_key
from lib.databases import psql
from lib.postgres_server import binary

BACKENDS = ("postgres",)
MIGRATIONS = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../backends/postgres/migrations"
)
FIRST = os.path.join(MIGRATIONS, "0001_base.sql")
NEWEST = len([name for name in os.listdir(MIGRATIONS) if name.endswith(".sql")])
USER = "10000000-0000-4000-8000-00000000000{}"
LONG = "x" * 1025
# The owner's own tables, which refer to ours.
OWN = """
CREATE SCHEMA own;
CREATE TABLE own.notes (note TEXT,
who UUID NOT NULL CONSTRAINT "Whose" REFERENCES users(id) ON UPDATE CASCADE);
CREATE INDEX own_index ON users (display_name);
"""
KEYS = """
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype IN ('u', 'p') AND connamespace = 'public'::regnamespace
AND conrelid = ANY ('{users,api_keys,a2a_clients}'::regclass[])
ORDER BY 1
"""
# Without the tables that later migrations add.
PARENTS = """
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || convalidated
FROM pg_constraint WHERE contype = 'f'
AND conrelid::regclass::text !~ 'usage_(hours|days|months|capabilit)' ORDER BY 1
"""
# Without the columns that a migration has added, which are null.
ROWS = """SELECT md5(string_agg(j::text, '|' ORDER BY j::text))
  FROM (SELECT jsonb_strip_nulls(to_jsonb(t)) AS j FROM {} t) AS rows"""
TABLES = ("users", "user_profiles", "api_keys", "a2a_clients", "own.notes")


class Upgrade(Case):
    def setUp(self):
        self.database = databases.Postgres(fresh=True)
        self.addCleanup(self.database.drop)
        self.key = new_key()
        with open(FIRST, encoding="utf-8") as file:
            base = file.read()
        self.owner(
            f"{base} CREATE TABLE pierre_migrations (version INTEGER NOT NULL, name TEXT NOT NULL, "
            "applied_at TIMESTAMPTZ NOT NULL DEFAULT now(), "
            "CONSTRAINT pierre_migrations_pkey PRIMARY KEY (version));"
            "INSERT INTO pierre_migrations (version, name) VALUES (1, '0001_base');"
        )
        for number in range(1, 4):
            user = USER.format(number)
            self.owner(
                "INSERT INTO users (id, email, password_hash, created_at, last_active) "
                f"VALUES ('{user}', 'u{number}@x', 'h', now(), now());"
                "INSERT INTO user_profiles (user_id, document, created_at, updated_at) "
                f"VALUES ('{user}', '{{}}', now(), now());"
                "INSERT INTO api_keys (id, user_id, name, key_prefix, key_hash, created_at, "
                f"updated_at) VALUES ('key{number}', '{user}', 'name', 'p{number}', 'h', now(), "
                "now());"
                "INSERT INTO a2a_clients (id, api_key, name, created_at, updated_at) "
                f"SELECT 'client{number}', number, 'agent{number}', now(), now() FROM api_keys "
                f"WHERE id = 'key{number}';"
            )

    def owner(self, statement):
        return psql(self.database.url, statement)

    def daemon(self):
        return Daemon(database=self.database, key=self.key)

    def test_plain_keys(self):
        self.owner(OWN + f"INSERT INTO own.notes VALUES ('mine', '{USER.format(2)}')")
        rows = [self.owner(ROWS.format(table)) for table in TABLES]
        parents = self.owner(PARENTS)
        with self.daemon() as daemon, daemon.connect() as connection:
            self.assertEqual(connection.call("daemon.version")["schema_version"], NEWEST)
            self.assertEqual([self.owner(ROWS.format(table)) for table in TABLES], rows)
            self.assertEqual(self.owner(PARENTS), parents)
            self.assertEqual(
                self.owner(KEYS).splitlines(),
                [
                    "a2a_clients a2a_clients_id_key UNIQUE (id)",
                    "a2a_clients a2a_clients_name_key UNIQUE (name)",
                    "a2a_clients a2a_clients_pkey PRIMARY KEY (number)",
                    "api_keys api_keys_id_key UNIQUE (id)",
                    "api_keys api_keys_pkey PRIMARY KEY (number)",
                    "api_keys api_keys_user_id_name_key UNIQUE (user_id, name)",
                    "users users_email_key UNIQUE (email)",
                    "users users_pkey PRIMARY KEY (id)",
                ],
            )
            self.assertEqual(
                self.owner("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%md5(%'"), "0"
            )
            self.assertEqual(
                self.owner("SELECT count(*) FROM pg_indexes WHERE indexname = 'own_index'"), "1"
            )
            self.assertEqual(
                connection.call("get_user_by_email", email="u2@x")["id"], USER.format(2)
            )
            for user, field in (
                ({"id": USER.format(1), "email": "u2@x"}, "email"),
                ({"id": USER.format(1), "email": "new@x"}, "id"),
                ({"email": "u3@x"}, "email"),
            ):
                error = connection.answer(
                    connection.request("create_user", {"user": {**user, "password_hash": "h"}})
                )["error"]
                self.assertEqual(error["data"]["field"], field)

    def test_values_that_no_key_can_hold(self):
        """They are reported by table and row before anything changes, and their text is never
        quoted."""
        self.owner(
            f"UPDATE users SET email = '{LONG}@x' WHERE id = '{USER.format(2)}';"
            f"UPDATE api_keys SET name = '{LONG}', key_prefix = '{LONG}' WHERE id <> 'key1'"
        )
        before = self.owner("SELECT string_agg(indexdef, ';' ORDER BY indexdef) FROM pg_indexes")
        for _ in range(2):
            daemon = self.daemon()
            with self.assertRaises(StartFailure) as caught:
                daemon.start()
            log = caught.exception.log
            self.assertEqual(caught.exception.code, 65, log)
            daemon.discard()
            self.assertIn(
                "0002_plain_keys: values of more than 1024 bytes: "
                f"users.email in 1 rows (the first: id {USER.format(2)}), "
                "api_keys.name in 2 rows (the first: number 2), "
                "api_keys.key_prefix in 2 rows (the first: number 2); shorten them first",
                log,
            )
            self.assertNotIn("xxxx", log)
            self.assertEqual(
                self.owner("SELECT string_agg(indexdef, ';' ORDER BY indexdef) FROM pg_indexes"),
                before,
            )
            self.assertEqual(self.owner("SELECT max(version) FROM pierre_migrations"), "1")
        self.owner(
            f"UPDATE users SET email = left(email, 1024);"
            "UPDATE api_keys SET name = left(name, 1024), key_prefix = left(key_prefix, 1024)"
        )
        with self.daemon() as daemon, daemon.connect() as connection:
            self.assertEqual(
                connection.call("get_user_by_email", email="x" * 1024)["id"], USER.format(2)
            )

    def session(self, *statements):
        """Starts a psql that runs beside the upgrade."""
        program = subprocess.Popen(
            [binary("psql"), "-XAtq", "-d", self.database.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(program.wait, 30)
        self.addCleanup(program.stdin.close)
        self.say(program, *statements)
        return program

    @staticmethod
    def say(program, *statements):
        for statement in statements:
            program.stdin.write(statement + ";\n")
        program.stdin.flush()

    def waits(self, table, mode):
        count = self.owner(
            f"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass "
            f"AND mode = '{mode}' AND NOT granted"
        )
        return count != "0"

    def test_a_deadlock_with_a_reader_is_tried_again(self):
        """The reader holds the tables to be changed, and writes while the upgrade waits for it."""
        gate = self.session(
            "BEGIN", "LOCK TABLE a2a_clients IN ROW EXCLUSIVE MODE", "SELECT 'held'"
        )
        self.assertEqual(gate.stdout.readline(), "held\n")
        daemon = self.daemon()
        self.addCleanup(daemon.discard)
        daemon.spawn()
        self.within(30, lambda: self.waits("a2a_clients", "ShareLock"))
        # It waits for the upgrade's lock on users, and holds one on api_keys before the upgrade.
        reader = self.session(
            "BEGIN",
            "SELECT count(*) FROM api_keys",
            f"UPDATE users SET display_name = 'read' WHERE id = '{USER.format(1)}'",
            "COMMIT",
            "SELECT 'done'",
        )
        self.within(30, lambda: self.waits("users", "RowExclusiveLock"))
        self.owner("SELECT pg_sleep(2)")  # the reader's own deadlock check is over
        self.say(gate, "COMMIT")
        daemon.wait_ready(60)
        daemon.learn()
        out = iter(reader.stdout.readline, "done\n")
        self.assertNotIn("deadlock", "".join(out))
        self.assertEqual(
            self.owner(f"SELECT display_name FROM users WHERE id = '{USER.format(1)}'"), "read"
        )
        self.assertEqual(self.owner("SELECT max(version) FROM pierre_migrations"), str(NEWEST))
        daemon.stop()
