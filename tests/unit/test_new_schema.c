/* A new database beside one that all migrations have made. Would catch: a migration whose result is
 * not in the schema of new databases, a row or a setting of the file that it lacks; a database with
 * tables that is taken for a new one; a creation that an older version began and nobody ends. */
#include <string.h>

#include "../../backends/sqlite/files/widen.h"
#include "../../backends/sqlite/migrate.h"
#include "../../backends/sqlite/schema/upgrade.h"
#include "unit.h"

static struct session created, migrated;
static struct buffer steps;

static void new_schema_enter(void)
{
	const struct session closed = {0};

	created = migrated = closed;
	steps = (struct buffer){0};
	ck_assert_int_eq(session_open(&created, ":memory:", SESSION_MEMORY, NULL, NULL), 0);
	ck_assert_int_eq(session_open(&migrated, ":memory:", SESSION_MEMORY, NULL, NULL), 0);
}

static void new_schema_leave(void)
{
	session_close(&created);
	session_close(&migrated);
	buffer_free(&steps);
}

static void run_on(struct session *session, const char *sql)
{
	ck_assert_msg(sqlite3_exec(session->db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
		sqlite3_errmsg(session->db));
}

static void note_step(const char *what)
{
	buffer_text(&steps, what);
	buffer_text(&steps, " ");
}

/* Returns the steps' names, each followed by a space. */
static const char *apply_all(struct session *session)
{
	struct err err = {0};

	buffer_free(&steps);
	ck_assert_msg(migrate_apply(session, NULL, &(struct migrate_watch){.progress = note_step},
			      &err) == 0,
		"%s", err.message);
	buffer_byte(&steps, '\0');
	return steps.data;
}

static void add_rows(struct buffer *out, struct session *session, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);

	ck_assert_msg(code == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(session->db));
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			const char *text = (const char *)sqlite3_column_text(statement, i);

			buffer_text(out, text != NULL ? text : "NULL");
			buffer_text(out, " | ");
		}
		buffer_text(out, "\n");
	}
	ck_assert_int_eq(code, SQLITE_DONE);
	sqlite3_finalize(statement);
}

static void add_tables(struct buffer *out, struct session *session)
{
	sqlite3_stmt *statement = NULL;
	char sql[200];

	ck_assert_int_eq(sqlite3_prepare_v2(session->db,
				 "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY "
				 "rowid",
				 -1, &statement, NULL),
		SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(statement, 0);
		bool timed = strcmp(name, "pierre_migrations") == 0;

		sqlite3_snprintf(sizeof sql, sql, "SELECT %Q, %s FROM \"%w\"", name,
			timed ? "version, name" : "*", name);
		add_rows(out, session, sql);
	}
	sqlite3_finalize(statement);
}

/* Page size and encoding, and what user_version and application_id set. The rest of the file's
 * header counts pages and changes. */
static void add_header(struct buffer *out, struct session *session)
{
	sqlite3_int64 size = 0;
	unsigned char *image = sqlite3_serialize(session->db, "main", &size, 0);
	char text[8];

	ck_assert_ptr_nonnull(image);
	ck_assert_int_gt(size, 100);
	for (int i = 16; i < 72; i = i == 23 ? 44 : i + 1) {
		(void)snprintf(text, sizeof text, "%02x", image[i]);
		buffer_text(out, text);
	}
	sqlite3_free(image);
}

/* Everything in the database and the connection's settings, as a text that buffer_free frees. */
static struct buffer describe(struct session *session)
{
	static const char *const pragmas[] = {"foreign_keys", "legacy_alter_table",
		"writable_schema", "trusted_schema", "integrity_check", "foreign_key_check"};
	struct buffer out = {0};

	add_rows(&out, session,
		"SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid");
	add_tables(&out, session);
	add_header(&out, session);
	for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
		char sql[64];

		(void)snprintf(sql, sizeof sql, "PRAGMA %s", pragmas[i]);
		add_rows(&out, session, sql);
	}
	buffer_byte(&out, '\0');
	return out;
}

/* Shows the texts from the line of the first difference on: the whole is too long for a message. */
static void must_be_equal(void)
{
	struct buffer one = describe(&created), other = describe(&migrated);
	size_t line = 0;

	ck_assert_uint_gt(one.length, 10000);
	for (size_t i = 0; one.data[i] == other.data[i] && one.data[i] != '\0'; i++)
		line = one.data[i] == '\n' ? i + 1 : line;
	ck_assert_msg(strcmp(one.data, other.data) == 0, "created: %.300s\nmigrated: %.300s",
		one.data + line, other.data + line);
	buffer_free(&one);
	buffer_free(&other);
}

/* A table of the owner's makes the database one that the migrations upgrade. */
START_TEST(equals_what_the_migrations_make)
{
	struct buffer names = {0};

	for (const struct migration *migration = sqlite_migrations; migration->name != NULL;
		migration++) {
		buffer_text(&names, migration->name);
		buffer_text(&names, " ");
	}
	buffer_byte(&names, '\0');
	ck_assert_str_eq(apply_all(&created), "new database ");
	ck_assert_int_eq(migrate_version(&created, NULL), migration_newest(sqlite_migrations));
	run_on(&migrated, "CREATE TABLE other (x)");
	ck_assert_str_eq(apply_all(&migrated), names.data);
	run_on(&migrated, "DROP TABLE other");
	must_be_equal();
	buffer_free(&names);
}
END_TEST

/* An older version, which ran the migrations one by one, was ended between two of them. */
START_TEST(ends_a_creation_that_was_begun)
{
	ck_assert_int_eq(widen_register(migrated.db), SQLITE_OK);
	run_on(&migrated,
		"CREATE TABLE pierre_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
		"applied_at TEXT NOT NULL); "
		"INSERT INTO pierre_migrations VALUES (0, 'new database', ''), (1, '0001_base', "
		"'')");
	ck_assert_int_eq(upgrade_run(migrated.db, sqlite_migrations), SQLITE_OK);
	ck_assert_ptr_nonnull(strstr(apply_all(&migrated), "0002_trial_tier "));
	apply_all(&created);
	must_be_equal();
}
END_TEST

START_TEST(is_created_once)
{
	apply_all(&created);
	ck_assert_str_eq(apply_all(&created), "");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, new_schema_enter, new_schema_leave);
	tcase_add_test(tests, equals_what_the_migrations_make);
	tcase_add_test(tests, ends_a_creation_that_was_begun);
	tcase_add_test(tests, is_created_once);
	return unit_run("new schema", tests, true);
}
