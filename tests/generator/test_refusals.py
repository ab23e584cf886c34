"""What the generator refuses, and that it reports the place: one change of the tiny project for
each."""

import unittest

from support import Project, RefusalCase

# (file, text, its replacement, what the refusal must contain)
CATALOG = {
    "rows beside another parameter": (
        "things",
        'params.days = { type = "u32", max = 100, doc = "How old." }',
        'params.days = { type = "u32", max = 100, doc = "How old." }\n'
        'params.all = { type = "[NewThing]", max = 9, doc = "More." }',
        "a list of rows is the only parameter of a write that counts",
    ),
    "rows without a maximum": (
        "things",
        'params.days = { type = "u32", max = 100, doc = "How old." }',
        'params.all = { type = "[NewThing]", doc = "More." }',
        "all has no `max`",
    ),
    "touches for a role that may not write": (
        "things",
        "short = true",
        "short = true\ntouches = true",
        "`touches` is for short reads whose role may also write",
    ),
    "no doc line of a method": (
        "things",
        'doc = "Lists things."\n',
        "",
        "things.toml:56: list_things has no doc line",
    ),
    "no doc line of a parameter": (
        "things",
        ', doc = "Most of them."',
        "",
        "limit has no doc line",
    ),
    "no doc line of a member": (
        "things",
        ', doc = "In metres."',
        "",
        "things.toml:13: width has no doc line",
    ),
    "no doc line of a type": ("things", 'doc = "A thing."\n', "", "Thing has no doc line"),
    "no doc line of an enum": ("things", 'doc = "A colour."\n', "", "colour has no doc line"),
    "no doc line of an extract": ("things", ', doc = "Its name."', "", "name has no doc line"),
    "a doc line that is not a sentence": (
        "things",
        '"In metres."',
        '"in metres"',
        "one line of whole sentences",
    ),
    "bad TOML": ("things", "[methods.get_thing]", "[methods.get_thing", "catalog/things.toml:"),
    "a guard of a read": (
        "things",
        'doc = "Lists things."\n',
        'doc = "Lists things."\nguard = "version"\n',
        "list_things reads, so it has no `guard`",
    ),
    "no table of a type": (
        "things",
        'table = "things"\n',
        "",
        "Thing must name in `table` the source of its rows",
    ),
    "a table that no migration creates": (
        "things",
        'table = "things"',
        'table = "thinks"',
        "`table` names `thinks`, which no migration creates",
    ),
    "a table of a parameter object": (
        "things",
        'doc = "A thing to be."',
        'doc = "A thing to be."\ntable = "things"',
        "`table` belongs to answer types",
    ),
    "a table of a method whose type has one": (
        "things",
        "short = true",
        'short = true\ntable = "things"',
        "an answer type has its own",
    ),
    "unknown entry": ("things", "short = true", "shrot = true", "unknown entry `shrot`"),
    "unknown table": ("things", "[methods.sweep]", "[method.sweep]", "unknown table `method`"),
    "unknown type": (
        "things",
        'type = "u32"',
        'type = "u23"',
        "unknown type `u23`; did you mean `u32`?",
    ),
    "unknown result": ("things", '"[Thing]"', '"[Thingy]"', "`[Thingy]` is not a result"),
    "optional list as a result": (
        "things",
        '"[Thing]"',
        '"[Thing]?"',
        "`[Thing]?` is not a result",
    ),
    "a list that is not a value": (
        "things",
        '"[string]?"',
        '"[u32]?"',
        "a list is [string], or a parameter of an input type",
    ),
    "unknown access": (
        "things",
        'access = "read"',
        'access = "reed"',
        "`access` is one of read, write, full, admin",
    ),
    "no access": ("things", 'access = "read"\n', "", "get_thing has no `access`"),
    "no result": ("things", 'result = "count"\n', "", "sweep has no `result`"),
    "unknown impl": ("secrets", 'impl = "daemon"', 'impl = "demon"', "`impl` is one of"),
    "bad default of an enum": (
        "things",
        'default = "red"',
        'default = "blue"',
        "bad default of colour",
    ),
    "bad default of a number": ("things", "default = 5", 'default = "5"', "bad default of limit"),
    "default out of range": ("things", "default = 5", "default = 10", "bad default of limit"),
    "default true for a number": (
        "things",
        "default = 5",
        "default = true",
        "bad default of limit",
    ),
    "default of a time": (
        "things",
        'default = "now"',
        'default = "noon"',
        "bad default of made_at",
    ),
    "default without ?": (
        "things",
        '"u32?", default',
        '"u32", default',
        "its type must end with ?",
    ),
    "range beyond the type": ("things", "max = 100", "max = 4294967296", "does not fit u32"),
    "range upside down": ("things", "max = 100", "min = 5, max = 4", "does not fit u32"),
    "range of a string": ("things", "max_bytes = 20", "max = 20", "a string has `max_bytes`"),
    "identifier of an answer": (
        "things",
        'unit = { type = "string?"',
        'unit = { type = "identifier?"',
        "use `string` in an answer",
    ),
    "max_bytes of a number": ("things", "max = 100", "max_bytes = 100", "belongs to strings"),
    "unknown check": ("things", 'check = "email"', 'check = "mail"', "`check` is"),
    "exactly_one of a required member": (
        "things",
        '["label", "number"]',
        '["label", "owner"]',
        "`exactly_one` names",
    ),
    "exactly_one of one": ("things", '["label", "number"]', '["label"]', "`exactly_one` names"),
    "an answer type as a parameter": (
        "things",
        'type = "NewThing"',
        'type = "Thing"',
        "`Thing` is not an `input` type",
    ),
    "an optional parameter object": (
        "things",
        'type = "NewThing"',
        'type = "NewThing?"',
        "cannot be optional",
    ),
    "an input type as a result": (
        "things",
        'result = "Thing?"',
        'result = "NewThing?"',
        "is not a result",
    ),
    "a map as a parameter": ("things", 'type = "u32"', 'type = "map"', "cannot be a parameter"),
    "null that is required": ("things", 'type = "null?"', 'type = "null"', "must end with ?"),
    "an unused type": (
        "things",
        "[types.Size]",
        '[types.Lost]\ndoc = "Lost."\nmembers.id = { type = "uuid", doc = "Id." }'
        "\n\n[types.Size]",
        "Lost is not used",
    ),
    "an unused enum": (
        "things",
        "[types.Size]",
        '[enums.lost]\ndoc = "Lost."\nvalues = ["a"]\n[types.Size]',
        "lost is not used",
    ),
    "an enum with a value twice": (
        "things",
        '["red", "green"]',
        '["red", "red"]',
        "must be distinct texts",
    ),
    "two methods of one name": (
        "secrets",
        '[methods."self.report"]',
        "[methods.get_thing]",
        "method `get_thing` collides with `get_thing` (catalog/things.toml:48)",
    ),
    "two methods of one name in C": (
        "secrets",
        '[methods."self.report"]',
        '[methods."get.thing"]',
        "collides with",
    ),
    "two types of one name": (
        "secrets",
        "[types.Account]",
        "[types.Thing]",
        "type `Thing` collides",
    ),
    "two meanings of a placeholder": (
        "things",
        "params.limit",
        "params.now",
        "the name of a built-in placeholder",
    ),
    "an extract with a parameter's name": (
        "things",
        "name = { from",
        "id = { from",
        "`:id` would have two meanings",
    ),
    "a name of an exact text": (
        "things",
        "name = { from",
        "data_exact = { from",
        "the name of a built-in placeholder",
    ),
    "a word of C": ("things", "params.limit", "params.long", "is a keyword of C"),
    "a name in capitals": ("things", "params.limit", "params.Limit", "lower-case letters"),
    "a method's name in capitals": (
        "things",
        "[methods.sweep]",
        "[methods.Sweep]",
        "lower-case letters",
    ),
    "a type's name in small letters": ("things", "[types.Size]", "[types.size]", "CamelCase"),
    "a subject that is not a parameter": (
        "things",
        'subject = ["id"]',
        'subject = ["it"]',
        "`subject` names `it`",
    ),
    "no subject": ("things", 'subject = ["id"]\n', "", "must name in `subject`"),
    "a read without result": (
        "things",
        'result = "[Thing]"',
        'result = "count"',
        "list_things reads",
    ),
    "a read with a conflict": (
        "things",
        "short = true",
        'conflict = ["id"]',
        "it has no `conflict`",
    ),
    "a short write": (
        "things",
        'result = "count"',
        'result = "count"\nshort = true',
        "`short` is for reads",
    ),
    "a short list": (
        "things",
        'result = "[Thing]"',
        'result = "[Thing]"\nshort = true',
        "`short` is for reads",
    ),
    "a write that readers may call": (
        "things",
        'access = "read"',
        'access = "read"\nwrite = true',
        "cannot be read",
    ),
    "extracts of no document": (
        "things",
        'type = "document"',
        'type = "string"',
        "extracts need",
    ),
    "an extract of another type": (
        "things",
        '["name", "title"], type = "string"',
        '["name"], type = "uuid"',
        "an extract is",
    ),
    "an extract without default": ("things", ', default = "none"', "", "name has no `default`"),
    "a token of one text": (
        "secrets",
        'params.refresh_token = { type = "sealed"',
        'params.refresh_token = { type = "string"',
        "a token has two sealed texts, not 1",
    ),
    "a token without nonce": (
        "secrets",
        'nonce = { type = "nonce", doc = "Hidden." }\n',
        "",
        "the last one is their nonce",
    ),
    "a nonce as a parameter": (
        "secrets",
        'params.user_id = { type = "uuid", doc = "Whose." }\nparams.access_token',
        'params.user_id = { type = "nonce", doc = "Whose." }\nparams.access_token',
        "`nonce` cannot be a parameter",
    ),
    "a password that is not secret": (
        "secrets",
        'params.password = { type = "string?", secret = true',
        'params.password = { type = "string?"',
        "hash_password needs",
    ),
    "a check without hash": (
        "secrets",
        'password_hash = { type = "string", secret = true, doc = "A hash." }\n',
        "",
        "verify_password needs",
    ),
    "undescribed json": (
        "secrets",
        'result_schema = "Report"\n',
        "",
        "must be described",
    ),
    "described by an answer type": (
        "secrets",
        'result_schema = "Report"',
        'result_schema = "Account"',
        "schema_only type",
    ),
    "a schema_only type as a member": (
        "things",
        'size = { type = "Size?"',
        'size = { type = "Report?"',
        "schema_only type",
    ),
    "tokens within another type": (
        "things",
        'size = { type = "Size?"',
        'other = { type = "Token?", doc = "Another." }\nsize = { type = "Token?"',
        "cannot be nested in Thing: a row holds one token",
    ),
    "no domain": (
        "things",
        '[domain]\ntitle = "Things"\ndoc = "What the tests are about."\norder = 10\n',
        "",
        "no [domain] table",
    ),
    "no interface": (
        "secrets",
        '[interface]\ntitle = "tiny"\nversion = "0.1.2"\ndoc = "A catalog for tests."\n',
        "",
        "exactly one file has an [interface] table",
    ),
    "a version of two numbers": ("secrets", '"0.1.2"', '"0.1"', "three numbers"),
    "too many values": (
        "protocol/catalog.h",
        "VALUES = 12",
        "VALUES = 6",
        "create_thing: 7 values; CATALOG_MAX_VALUES is 6",
    ),
    "too many members": (
        "protocol/catalog.h",
        "VALUES = 12",
        "VALUES = 8",
        "9 members of thing; CATALOG_MAX_VALUES is 8",
    ),
    "too many columns": (
        "protocol/catalog.h",
        "COLUMNS = 8",
        "COLUMNS = 4",
        "5 columns; CATALOG_MAX_COLUMNS is 4",
    ),
    "an unreadable error table": (
        "protocol/error.h",
        'true, "no database"',
        'maybe, "no database"',
        "ERROR_KINDS",
    ),
}

LITE, PG = "backends/sqlite/sql/things.sql", "backends/postgres/sql/things.sql"
SECRETS = "backends/sqlite/sql/secrets.sql"

SQL = {
    "a definition that is not there": (
        LITE,
        "made_at < :days_start",
        "made_at < {old 1}",
        "no `-- define: old` with 1 arguments",
    ),
    "a definition that nothing uses": (
        LITE,
        "-- name: sweep",
        "-- define: old\n1\n\n-- name: sweep",
        "no statement uses `{old …}`",
    ),
    "steps of a method without them": (
        LITE,
        "-- name: sweep",
        "-- step: sweep\nDELETE FROM things\n\n-- name: sweep",
        "`sweep` is no method that `touches`, on SQLite",
    ),
    "no SQL for SQLite": (
        LITE,
        "-- name: sweep\n",
        "-- sweep\n",
        "sqlite/sql/things.sql: method `sweep` has no SQL",
    ),
    "no SQL for PostgreSQL": (
        PG,
        "-- name: sweep\nDELETE FROM things WHERE id IN (SELECT id FROM things WHERE made_at < "
        ":days_start\n"
        "  ORDER BY id FOR NO KEY UPDATE)\n",
        "",
        "method `sweep` has no SQL for postgres",
    ),
    "SQL without method": (
        LITE,
        "-- name: sweep",
        "-- name: sweap",
        "sqlite/sql/things.sql:21: `sweap` is not a method of the catalog; did you mean `sweep`?",
    ),
    "SQL of the daemon's method": (
        LITE,
        "-- name: sweep",
        "-- name: self.report\nSELECT 1\n-- name: sweep",
        "answered without SQL (impl = daemon)",
    ),
    "SQL twice": (
        LITE,
        "-- name: sweep",
        "-- name: get_thing\nSELECT 1\n-- name: sweep",
        "already has SQL at",
    ),
    "SQL in another domain's file": (
        SECRETS,
        "-- name: put_token",
        "-- name: sweep\nDELETE FROM x\n-- name: put_token",
        "belongs in things.sql",
    ),
    "SQL before the first name": (
        LITE,
        "-- Things, in SQLite.",
        "SELECT 1;",
        "SQL before the first",
    ),
    "unknown placeholder": (
        LITE,
        ":colour IS NULL",
        ":color IS NULL",
        "unknown placeholder `:color`; did you mean `:colour`?",
    ),
    "unused parameter": (
        LITE,
        "WHERE id = :id\n",
        "WHERE id = 1\n",
        "`:id` is not used by the SQL for sqlite",
    ),
    "unused extract": (LITE, "name = :name, ", "", "`:name` is not used by the SQL for sqlite"),
    "unused source of a computed value": (
        LITE,
        "made_at < :days_start",
        "made_at < 1",
        "`:days` is not used",
    ),
    "a computed value without its parameter": (
        LITE,
        "LIMIT :limit",
        "LIMIT :limit + :days_start",
        "it needs the parameter `days`",
    ),
    "a nonce without token": (
        LITE,
        "LIMIT :limit",
        "LIMIT :limit + :nonce",
        "it needs two sealed parameters",
    ),
    "a token without nonce": (
        SECRETS,
        ", nonce = :nonce",
        "",
        "cannot be opened without their `:nonce`",
    ),
    "no exact text on PostgreSQL": (
        PG,
        "document_exact = :data_exact, ",
        "",
        "store `:data_exact` as well",
    ),
    "an exact text on SQLite": (
        LITE,
        "document = :data,",
        "document = :data_exact, d = :data,",
        "is for PostgreSQL",
    ),
    "a numbered placeholder of SQLite": (
        LITE,
        "LIMIT :limit",
        "LIMIT ?2 + :limit",
        "`?2` is not a placeholder",
    ),
    "a numbered placeholder of PostgreSQL": (
        PG,
        "LIMIT :limit",
        "LIMIT $2 + :limit",
        "`$2` is not a placeholder",
    ),
    "two statements": (
        LITE,
        "LIMIT :limit",
        "LIMIT :limit; DELETE FROM things",
        "more than one statement",
    ),
    "an open literal": (LITE, "'no :placeholder -- here'", "'no :placeholder", "is not closed"),
    "an open comment": (LITE, "/* all of :them */", "/* all of :them", "is not closed"),
    "nested comments": (
        LITE,
        "/* all of :them */",
        "/* all /* of */",
        "nested comments",
    ),
    "a read that writes": (
        LITE,
        "SELECT id, colour",
        "DELETE FROM things RETURNING id, colour",
        "get_thing reads",
    ),
    "a read that writes within": (
        LITE,
        "SELECT id, colour",
        "WITH x AS (DELETE FROM things) SELECT id, colour",
        "must not write",
    ),
    "a write that reads": (LITE, "UPDATE things SET", "SELECT things", "put_document writes"),
    "an empty statement": (
        LITE,
        "DELETE FROM things WHERE made_at < :days_start",
        "",
        "not with `nothing`",
    ),
    "columns by *": (LITE, "SELECT id, colour", "SELECT *, colour", "not by *"),
    "columns by * of another statement": (
        LITE,
        "SELECT id, colour",
        "SELECT * FROM (SELECT count(*), * FROM things) UNION " "SELECT id, colour",
        "not by *",
    ),
    "a column list of no type": (
        LITE,
        "-- name: create_thing",
        "-- columns: Thong t\nt.id\n-- name: create_thing",
        "sqlite/sql/things.sql:3: `Thong` is not an answer type of the catalog",
    ),
    "a column list of an input type": (
        LITE,
        "-- name: create_thing",
        "-- columns: NewThing t\nt.id\n-- name: create_thing",
        "`NewThing` is not an answer type of the catalog",
    ),
    "a column list that lacks a column": (
        LITE,
        "-- name: create_thing",
        "-- columns: Thing t\nt.id, t.colour\n" "-- name: create_thing",
        "the columns of Thing are id, colour, size.width",
    ),
    "an unused column list": (
        LITE,
        "-- name: create_thing",
        "-- columns: Thing t\nt.id, t.colour\n" "-- name: create_thing",
        "the columns of Thing are used by no statement",
    ),
    "a column list twice": (
        LITE,
        "-- name: create_thing",
        "-- columns: Thing t\nt.id\n-- columns: Thing u\nu.id\n" "-- name: create_thing",
        "`Thing` already has SQL at sqlite/sql/things.sql:3",
    ),
    "a use of a column list that is missing": (
        LITE,
        "SELECT id, colour",
        "SELECT {Thing}, id, colour",
        "no `-- columns: Thing …` in this backend's SQL",
    ),
    "a key that may already exist without a conflict": (
        "things",
        'conflict = ["id", "label"]',
        'conflict = ["id"]',
        "create_thing: the unique label may already exist: `conflict` must name exactly one of ",
    ),
    "a conflict that no key of a database holds": (
        "backends/sqlite/migrations/0001_base.sql",
        ", UNIQUE (label)",
        "",
        "create_thing: no unique key of the row that it writes holds `label`",
    ),
    "a changed key that may already exist": (
        "backends/sqlite/sql/things.sql",
        "SET document = :data, name = :name",
        "SET document = :data, label = :name",
        "put_document: the unique label may already exist",
    ),
    "rows locked in no order": (
        PG,
        "\n  ORDER BY id FOR NO KEY UPDATE",
        "",
        "sweep locks rows in no order",
    ),
    "rows locked by a condition with an alternative": (
        PG,
        "changed_at = :now WHERE id = :id",
        "changed_at = :now WHERE id = :id OR id = 0",
        "put_document locks rows in no order",
    ),
    "rows locked in the order of another key": (
        PG,
        "ORDER BY id FOR NO KEY UPDATE",
        "ORDER BY label FOR NO KEY UPDATE",
        "locks rows in the order of",
    ),
    "a table that no migration creates": (
        PG,
        "UPDATE things SET document",
        "UPDATE nothings SET document",
        "no migration creates the table nothings",
    ),
    "a unique key of the statement's own": (
        PG,
        "VALUES (:id, :label,",
        "VALUES (:id, lower(:label),",
        "the order of locks cannot be determined",
    ),
    "columns by table.*": (LITE, "SELECT id, colour", "SELECT things.*, colour", "not by *"),
}


class Refusals(RefusalCase):
    def test_the_tiny_project_is_taken(self):
        self.assertEqual(Project().refusal(), "")

    def test_catalog(self):
        self.refuses(CATALOG)

    def test_sql(self):
        self.refuses(SQL)

    def test_a_star_that_decides_nothing_is_taken(self):
        for text in (
            "SELECT * FROM (SELECT id, count(*) FROM (SELECT * FROM t)) UNION SELECT id, colour",
            "SELECT (SELECT max(n) FROM (SELECT *, 1 AS n FROM t)), 2 * 3, colour",
        ):
            with self.subTest(text):
                project = Project()
                project.replace(LITE, "SELECT id, colour", text)
                self.assertEqual(project.refusal(), "")

    def test_all_problems_are_told_at_once(self):
        project = Project()
        project.replace(LITE, ":colour IS NULL", ":color IS NULL")
        project.replace(PG, "LIMIT :limit", "LIMIT 1")
        self.assertEqual(len(project.refusal().splitlines()), 2)

    def test_missing_sql_can_be_allowed(self):
        project = Project()
        del project.files[PG]
        self.assertIn("method `sweep` has no SQL for postgres", project.refusal())
        self.assertEqual(project.refusal(allow_missing=True), "")
        sweep = next(
            method for method in project.load(allow_missing=True).methods if method.name == "sweep"
        )
        self.assertEqual(list(sweep.statements), ["sqlite"])


if __name__ == "__main__":
    unittest.main()
