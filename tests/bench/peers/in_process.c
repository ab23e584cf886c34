/* The peer that links SQLite into the server: prepared statements in-process, one thread, the
 * daemon's pragmas, schema and statements. In comparison, the daemon has a socket and a JSON
 * text more to process for each call. */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "peer.h"

static void check(sqlite3 *db, int result, int expected, const char *what)
{
	if (result != expected)
		peer_die("%s: %s", what, sqlite3_errmsg(db));
}

static sqlite3 *open_database(const char *path)
{
	static const char *const pragmas[] = {
		"PRAGMA journal_mode=WAL",
		"PRAGMA synchronous=FULL",
		"PRAGMA foreign_keys=ON",
		"PRAGMA busy_timeout=5000",
		"PRAGMA temp_store=MEMORY",
		"PRAGMA cache_size=-32768",
		"PRAGMA mmap_size=0",
		"PRAGMA trusted_schema=ON",
	};
	sqlite3 *db;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
		SQLITE_OK)
		peer_die("%s: %s", path, sqlite3_errmsg(db));
	for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++)
		check(db, sqlite3_exec(db, pragmas[i], NULL, NULL, NULL), SQLITE_OK, pragmas[i]);
	return db;
}

/* `buffer` keeps a time's text until the statement has run. */
static int bind(sqlite3_stmt *statement, int index, const struct bind_param *slot,
	struct value value, char *buffer)
{
	if (!value.set)
		return sqlite3_bind_null(statement, index);
	switch ((enum type)slot->type) {
	case TYPE_TIMESTAMP:
		return sqlite3_bind_text(statement, index, buffer,
			(int)timestamp_format_stored(value.i, buffer), SQLITE_STATIC);
	case TYPE_BOOL:
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		return sqlite3_bind_int64(statement, index, value.i);
	default:
		return sqlite3_bind_text(
			statement, index, value.s.ptr, (int)value.s.len, SQLITE_STATIC);
	}
}

static void run_once(sqlite3 *db, sqlite3_stmt *prepared, const struct method *method,
	const char *key, int64_t now)
{
	const struct statement *statement = &method->statements[BACKEND_SQLITE];
	char times[CATALOG_MAX_VALUES][TIMESTAMP_TEXT_MAX];
	size_t bytes = 0;
	int result;

	for (int i = 0; i < statement->bind_count; i++) {
		const struct bind_param *slot = &method->binds[statement->binds[i]];

		check(db, bind(prepared, i + 1, slot, peer_value(slot, key, now), times[i]),
			SQLITE_OK, "binding");
	}
	while ((result = sqlite3_step(prepared)) == SQLITE_ROW) {
		int columns = sqlite3_column_count(prepared);

		for (int i = 0; i < columns; i++)
			if (sqlite3_column_text(prepared, i) != NULL)
				bytes += (size_t)sqlite3_column_bytes(prepared, i);
	}
	check(db, result, SQLITE_DONE, method->name);
	if (method->write ? sqlite3_changes(db) != 1 : bytes == 0)
		peer_die("%s with the key %s changed nothing", method->name, key);
	check(db, sqlite3_reset(prepared), SQLITE_OK, "resetting");
}

static void run_all(sqlite3 *db, const struct peer_options *options, struct peer_keys *keys,
	const struct method *method)
{
	sqlite3_stmt *prepared, *begin, *commit;
	struct peer_times times;
	bool grouped = options->group > 1;

	check(db,
		sqlite3_prepare_v3(db, method->statements[BACKEND_SQLITE].sql, -1,
			SQLITE_PREPARE_PERSISTENT, &prepared, NULL),
		SQLITE_OK, "preparing");
	check(db,
		sqlite3_prepare_v2(
			db, method->write ? "BEGIN IMMEDIATE" : "BEGIN", -1, &begin, NULL),
		SQLITE_OK, "BEGIN");
	check(db, sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL), SQLITE_OK, "COMMIT");
	peer_times_begin(&times, options->calls);
	for (size_t done = 0; done < options->calls; done += options->group) {
		uint64_t started = peer_clock(), taken;

		if (grouped)
			check(db, sqlite3_step(begin), SQLITE_DONE, "BEGIN");
		for (size_t i = 0; i < options->group; i++)
			run_once(db, prepared, method, peer_keys_random(keys), timestamp_now());
		if (grouped) {
			check(db, sqlite3_step(commit), SQLITE_DONE, "COMMIT");
			(void)sqlite3_reset(begin);
			(void)sqlite3_reset(commit);
		}
		taken = peer_clock() - started;
		for (size_t i = 0; i < options->group; i++)
			peer_times_add(&times, taken);
	}
	peer_times_print(&times, "in-process");
	(void)sqlite3_finalize(prepared);
	(void)sqlite3_finalize(begin);
	(void)sqlite3_finalize(commit);
}

int main(int argc, char **argv)
{
	struct peer_options options;
	struct peer_keys keys;
	sqlite3 *db;

	peer_options_read(&options, argc, argv);
	peer_keys_read(&keys, options.keys);
	db = open_database(options.target);
	run_all(db, &options, &keys, peer_method(options.method, BACKEND_SQLITE));
	(void)sqlite3_close(db);
	return 0;
}
