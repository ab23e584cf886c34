/* The PostgreSQL end. Reading: one REPEATABLE READ snapshot, row by row. Writing: COPY within one
 * transaction. */
#include "postgres_end.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../backends/migration.h"
#include "../../backends/postgres/blocking/connect.h"
#include "../../backends/postgres/blocking/format.h"
#include "../../backends/postgres/blocking/keys.h"
#include "../../backends/postgres/blocking/migrate.h"
#include "../../backends/postgres/result.h"
#include "../../protocol/json/json.h"
#include "refs.h"
#include "row.h"

enum { COPY_BLOCK = 1 << 16, CONNECT_MS = 30000 };

struct postgres_end {
	struct end end;
	PGconn *connection;
	char *url;
	PGresult *row;             /* reading: the row returned by `next` */
	struct buffer block;       /* writing: COPY data not yet sent */
	struct refs keys, clients; /* writing: numbers by id */
	int64_t number;
};

static struct postgres_end *postgres_end_self(struct end *end)
{
	return (struct postgres_end *)(void *)end;
}

/* The server's text may quote a row, so only its kind and position are shown. COPY gives the
 * position: `COPY goals, line 2, column title: …`. */
static int postgres_end_failed(struct postgres_end *end, const struct table_of *table,
	const PGresult *result, struct err *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE),
		   *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
	const char *line = context != NULL ? strstr(context, ", line ") : NULL;

	if (PQstatus(end->connection) != CONNECTION_OK)
		return err_exit(err, EX_UNAVAILABLE, "%s: the connection was lost", end->end.shown);
	end->end.refused = line != NULL ? strtoll(line + strlen(", line "), NULL, 10) : 0;
	/* Classes 22 and 23: faults of a row's values. */
	return err_exit(err,
		state != NULL && (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0)
			? EX_DATAERR
			: EX_IOERR,
		"%s, table %s: refused (SQLSTATE %s%s%s)", end->end.shown,
		table != NULL ? table->name : "-", state != NULL ? state : "?????",
		constraint != NULL ? ", constraint " : "", constraint != NULL ? constraint : "");
}

static int command(struct postgres_end *end, const struct table_of *table, const char *sql,
	ExecStatusType expected, struct err *err)
{
	PGresult *result = PQexec(end->connection, sql);
	int code = PQresultStatus(result) == expected
		? 0
		: postgres_end_failed(end, table, result, err);

	PQclear(result);
	return code;
}

static int64_t ask_number(
	struct postgres_end *end, const struct table_of *table, const char *sql, struct err *err)
{
	PGresult *result = PQexec(end->connection, sql);
	int64_t number = PQresultStatus(result) == PGRES_TUPLES_OK
		? strtoll(PQgetvalue(result, 0, 0), NULL, 10)
		: postgres_end_failed(end, table, result, err);

	PQclear(result);
	return number;
}

static const char *name_of(const struct column_of *column)
{
	return column->postgres != NULL ? column->postgres : column->name;
}

/* Reading */

static int postgres_end_count(
	struct end *base, const struct table_of *table, int64_t *rows, struct err *err)
{
	struct buffer sql = {0};

	buffer_text(&sql, "SELECT count(*)");
	tables_from(table, BACKEND_POSTGRES, &sql);
	*rows = ask_number(postgres_end_self(base), table, sql.data, err);
	buffer_free(&sql);
	return *rows >= 0 ? 0 : -1;
}

static void select_column(struct buffer *sql, const struct column_of *column)
{
	static const char *const forms[] = {
		[COLUMN_TEXT] = "t.%s::text",
		[COLUMN_UUID] = "t.%s::text",
		[COLUMN_TIME] = "t.%s",
		[COLUMN_INTEGER] = "t.%s::bigint",
		[COLUMN_REAL] = "t.%s",
		[COLUMN_BOOL] = "t.%s::int::bigint",
		[COLUMN_STRINGS] = "array_to_json(t.%s)::text",
		[COLUMN_JSON] = "COALESCE(t.%1$s_exact, t.%1$s::text)",
		[COLUMN_IP] = "COALESCE(t.ip_text, host(t.%s))",
		[COLUMN_API_KEY] = "(SELECT k.id FROM api_keys k WHERE k.number = t.%s)",
		[COLUMN_CLIENT] = "(SELECT c.id FROM a2a_clients c WHERE c.number = t.%s)",
	};
	const char *form = forms[column->kind], *name = name_of(column);

	for (const char *p = form; *p != '\0'; p++)
		if (strncmp(p, "%1$s", 4) == 0) {
			buffer_text(sql, name);
			p += 3;
		} else if (strncmp(p, "%s", 2) == 0) {
			buffer_text(sql, name);
			p++;
		} else {
			buffer_byte(sql, *p);
		}
}

static int postgres_end_read_table(struct end *base, const struct table_of *table, struct err *err)
{
	struct postgres_end *end = postgres_end_self(base);
	struct buffer sql = {0};
	bool sent;

	for (unsigned i = 0; i < table->column_count; i++) {
		buffer_text(&sql, i == 0 ? "SELECT " : ", ");
		select_column(&sql, &table->columns[i]);
	}
	tables_from(table, BACKEND_POSTGRES, &sql);
	sent = PQsendQueryParams(end->connection, sql.data, 0, NULL, NULL, NULL, NULL, 1) == 1 &&
		PQsetSingleRowMode(end->connection) == 1;
	buffer_free(&sql);
	return sent ? 0 : postgres_end_failed(end, table, NULL, err);
}

static bool postgres_end_fetch(const PGresult *row, int place, enum kind kind, struct value *value)
{
	int64_t bits;

	*value = (struct value){.set = !PQgetisnull(row, 0, place)};
	if (!value->set)
		return true;
	switch (kind) {
	case COLUMN_INTEGER:
	case COLUMN_BOOL:
	case COLUMN_REAL:
	case COLUMN_TIME:
		if (PQgetlength(row, 0, place) != 8)
			return false;
		bits = (int64_t)result_number(PQgetvalue(row, 0, place), 8);
		if (kind == COLUMN_REAL)
			memcpy(&value->f, &bits, sizeof bits);
		else
			value->i = bits;
		return kind != COLUMN_TIME ||
			!__builtin_add_overflow(bits, POSTGRES_EPOCH, &value->i);
	default:
		value->s.ptr = PQgetvalue(row, 0, place);
		value->s.len = (size_t)PQgetlength(row, 0, place);
		return true;
	}
}

static int postgres_end_next(struct end *base, const struct table_of *table, struct value *values,
	struct arena *arena, struct err *err)
{
	struct postgres_end *end = postgres_end_self(base);
	int code = 0;

	(void)arena;
	PQclear(end->row);
	end->row = PQgetResult(end->connection);
	if (PQresultStatus(end->row) == PGRES_SINGLE_TUPLE) {
		for (unsigned i = 0; i < table->column_count; i++)
			if (!postgres_end_fetch(
				    end->row, (int)i, table->columns[i].kind, &values[i]))
				return row_fail(table, values, base->shown, err,
					"%s has a value of the wrong type", table->columns[i].name);
		return 1;
	}
	if (PQresultStatus(end->row) != PGRES_TUPLES_OK)
		code = postgres_end_failed(end, table, end->row, err);
	PQclear(end->row);
	end->row = NULL;
	PQclear(PQgetResult(end->connection)); /* NULL: the end */
	return code;
}

/* Writing */

static int postgres_end_write_table(struct end *base, const struct table_of *table, struct err *err)
{
	struct postgres_end *end = postgres_end_self(base);
	struct buffer sql = {0};
	int code;

	buffer_text(&sql, "COPY ");
	buffer_text(&sql, table->name);
	buffer_text(&sql, table->numbered ? " (number, " : " (");
	for (unsigned i = 0; i < table->column_count; i++) {
		buffer_text(&sql, i > 0 ? ", " : "");
		buffer_text(&sql, name_of(&table->columns[i]));
		if (table->columns[i].kind == COLUMN_IP)
			buffer_text(&sql, ", ip_text");
		if (table->columns[i].kind == COLUMN_JSON) {
			buffer_text(&sql, ", ");
			buffer_text(&sql, name_of(&table->columns[i]));
			buffer_text(&sql, "_exact");
		}
	}
	buffer_append(&sql, ") FROM STDIN", 13);
	code = command(end, table, sql.data, PGRES_COPY_IN, err);
	buffer_free(&sql);
	end->number = 0;
	return code;
}

/* COPY's text form: tabs, line feeds, carriage returns and backslashes are escaped. */
static void postgres_end_copy_text(struct buffer *out, const char *text, size_t length)
{
	const char *end = text + length;

	while (text < end) {
		size_t plain = 0;

		while (text + plain < end && text[plain] != '\\' && text[plain] != '\t' &&
			text[plain] != '\n' && text[plain] != '\r')
			plain++;
		buffer_append(out, text, plain);
		text += plain;
		if (text == end)
			return;
		buffer_byte(out, '\\');
		buffer_byte(out,
			*text == '\t'           ? 't'
				: *text == '\n' ? 'n'
				: *text == '\r' ? 'r'
						: '\\');
		text++;
	}
}

/* A JSON array of strings as an array literal: {"a","b"}, with quotes and backslashes escaped. */
static void copy_array(struct buffer *out, const struct value *value, struct arena *arena)
{
	struct buffer array = {0};
	struct json json = {0};

	buffer_byte(&array, '{');
	if (json_scan(&json, value->s.ptr, value->s.len, 4, NULL) == 0)
		for (uint32_t item = 1; item < json.nodes[0].next; item = json.nodes[item].next) {
			size_t length;
			const char *text = json_scan_text(&json, item, arena, &length);

			buffer_text(&array, item > 1 ? ",\"" : "\"");
			for (size_t i = 0; text != NULL && i < length; i++) {
				if (text[i] == '"' || text[i] == '\\')
					buffer_byte(&array, '\\');
				buffer_byte(&array, text[i]);
			}
			buffer_byte(&array, '"');
		}
	buffer_byte(&array, '}');
	postgres_end_copy_text(out, array.data, array.length);
	json_scan_free(&json);
	buffer_free(&array);
}

static int postgres_end_put_value(struct postgres_end *end, const struct table_of *table,
	const struct value *values, unsigned i, struct arena *arena, struct err *err)
{
	const struct column_of *column = &table->columns[i];
	const struct value *value = &values[i];
	struct buffer *out = &end->block;
	char text[64];
	int64_t number;

	if (!value->set) {
		buffer_text(out,
			column->kind == COLUMN_JSON || column->kind == COLUMN_IP ? "\\N\t\\N"
										 : "\\N");
		return 0;
	}
	switch (column->kind) {
	case COLUMN_INTEGER:
		buffer_append(out, text,
			(size_t)snprintf(text, sizeof text, "%lld", (long long)value->i));
		break;
	case COLUMN_BOOL:
		buffer_byte(out, value->i != 0 ? 't' : 'f');
		break;
	case COLUMN_REAL:
		buffer_append(out, text, (size_t)snprintf(text, sizeof text, "%.17g", value->f));
		break;
	case COLUMN_TIME:
		/* The year 0000 of ISO 8601 is 1 BC to PostgreSQL. */
		buffer_append(out, text, timestamp_format(value->i, text));
		if (memcmp(out->data + out->length - 27, "0000", 4) == 0) {
			memcpy(out->data + out->length - 27, "0001", 4);
			buffer_text(out, " BC");
		}
		break;
	case COLUMN_STRINGS:
		copy_array(out, value, arena);
		break;
	case COLUMN_IP:
		if ((value->flags & VALUE_ADDRESS) == 0)
			buffer_text(out, "\\N\t");
		postgres_end_copy_text(out, value->s.ptr, value->s.len);
		if ((value->flags & VALUE_ADDRESS) != 0)
			buffer_text(out, "\t\\N");
		break;
	case COLUMN_JSON:
		postgres_end_copy_text(out, value->s.ptr, value->s.len);
		buffer_byte(out, '\t');
		if ((value->flags & VALUE_AWKWARD) != 0)
			postgres_end_copy_text(out, value->s.ptr, value->s.len);
		else
			buffer_text(out, "\\N");
		break;
	case COLUMN_API_KEY:
	case COLUMN_CLIENT:
		number = refs_find(column->kind == COLUMN_API_KEY ? &end->keys : &end->clients,
			value->s.ptr, value->s.len);
		if (number == 0)
			return row_fail(table, values, "the source", err, "its %s does not exist",
				column->name);
		buffer_append(
			out, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)number));
		break;
	default:
		postgres_end_copy_text(out, value->s.ptr, value->s.len);
		break;
	}
	return 0;
}

static int send_block(struct postgres_end *end, const struct table_of *table, struct err *err)
{
	int sent = end->block.failure == BUFFER_OK
		? PQputCopyData(end->connection, end->block.data, (int)end->block.length)
		: -1;

	end->block.length = 0;
	return sent == 1 ? 0 : postgres_end_failed(end, table, NULL, err);
}

/* Checked before any part of the row is sent: the server's own error would name neither column nor
 * row. */
static int postgres_end_check_names(struct postgres_end *end, const struct table_of *table,
	const struct value *values, struct err *err)
{
	for (unsigned i = 0; i < table->column_count; i++)
		if (table->columns[i].identifier && values[i].set &&
			values[i].s.len > catalog_identifier_max)
			return row_fail(table, values, end->end.shown, err,
				"%s has %zu bytes, the limit of a key is %zu: shorten it first",
				table->columns[i].name, values[i].s.len, catalog_identifier_max);
	return 0;
}

static int postgres_end_put(
	struct end *base, const struct table_of *table, const struct value *values, struct err *err)
{
	struct postgres_end *end = postgres_end_self(base);
	struct arena arena;
	char number[32];
	int code = postgres_end_check_names(end, table, values, err);

	if (code < 0)
		return code;
	arena_init(&arena);
	if (table->numbered) {
		buffer_append(&end->block, number,
			(size_t)snprintf(
				number, sizeof number, "%lld\t", (long long)++end->number));
		if (!refs_add(strcmp(table->name, "api_keys") == 0 ? &end->keys : &end->clients,
			    values[0].s.ptr, values[0].s.len, end->number))
			code = err_exit(err, EX_OSERR, "out of memory");
	}
	for (unsigned i = 0; i < table->column_count && code == 0; i++) {
		if (i > 0)
			buffer_byte(&end->block, '\t');
		code = postgres_end_put_value(end, table, values, i, &arena, err);
	}
	buffer_byte(&end->block, '\n');
	arena_free(&arena);
	return code == 0 && end->block.length >= COPY_BLOCK ? send_block(end, table, err) : code;
}

static int postgres_end_written(struct end *base, const struct table_of *table, struct err *err)
{
	struct postgres_end *end = postgres_end_self(base);
	const char *counter = table->numbered ? "number" : "id";
	PGresult *result;
	char sql[256];
	int code;

	if (end->block.length > 0 && send_block(end, table, err) < 0)
		return -1;
	if (PQputCopyEnd(end->connection, NULL) != 1)
		return postgres_end_failed(end, table, NULL, err);
	result = PQgetResult(end->connection);
	code = PQresultStatus(result) == PGRES_COMMAND_OK
		? 0
		: postgres_end_failed(end, table, result, err);
	PQclear(result);
	PQclear(PQgetResult(end->connection));
	if (code == 0 && table->end[BACKEND_POSTGRES] != NULL)
		return command(end, table, table->end[BACKEND_POSTGRES], PGRES_COMMAND_OK, err);
	if (code < 0 || (!table->numbered && !table->identity))
		return code;
	(void)snprintf(sql, sizeof sql,
		"SELECT setval(pg_get_serial_sequence('%s', '%s'), GREATEST(1, max(%s)), max(%s) "
		"IS NOT NULL) FROM %s",
		table->name, counter, counter, counter, table->name);
	return command(end, table, sql, PGRES_TUPLES_OK, err);
}

static int postgres_end_commit(struct end *base, struct err *err)
{
	if (command(postgres_end_self(base), NULL, "COMMIT", PGRES_COMMAND_OK, err) < 0)
		return -1;
	return command(postgres_end_self(base), NULL, "ANALYZE", PGRES_COMMAND_OK,
		err); /* for good query plans from the first day */
}

static void postgres_end_close_end(struct end *base)
{
	struct postgres_end *end = postgres_end_self(base);

	PQclear(end->row);
	PQfinish(end->connection);
	buffer_free(&end->block);
	refs_free(&end->keys);
	refs_free(&end->clients);
	free(end->url);
	free(end);
}

static const struct end_ops ops = {postgres_end_count, postgres_end_read_table, postgres_end_next,
	postgres_end_write_table, postgres_end_put, postgres_end_written, postgres_end_commit,
	postgres_end_close_end};

/* Opening */

/* Each session of a daemon holds the lock shared. Behind a pooler none does, but the server's list
 * shows its name. */
static int must_be_unused(struct postgres_end *end, struct err *err)
{
	int64_t others = ask_number(end, NULL,
		"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pierre-dbd' "
		"AND datname = current_database() AND pid <> pg_backend_pid()",
		err);
	int64_t free = others >= 0
		? ask_number(
			  end, NULL, "SELECT pg_try_advisory_lock(" POSTGRES_USE_LOCK ")::int", err)
		: -1;

	if (free < 0)
		return -1;
	if (others > 0 || free == 0)
		return err_exit(err, EX_TEMPFAIL,
			"a running daemon uses %s (%" PRId64
			" connections named pierre-dbd): stop all daemons first",
			end->end.shown, others);
	return 0;
}

static int postgres_end_open_source(struct postgres_end *end, struct err *err)
{
	if (command(end, NULL, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", PGRES_COMMAND_OK,
		    err) < 0 ||
		end_schema_must_be(migrate_schema(end->connection, err),
			migration_newest(postgres_migrations), end->end.shown, err) < 0)
		return -1;
	return keys_prove_key(end->connection, end->end.seal, err) < 0
		? -1
		: format_read(end->connection, &end->end.format, err);
}

/* Tables in the schema of the target, except those of an extension. */
static int postgres_end_target_must_be_empty(struct postgres_end *end, struct err *err)
{
	static const char tables[] =
		"SELECT relname, CASE WHEN has_table_privilege(oid, 'SELECT') THEN 'SELECT "
		"count(*) FROM ' || oid::regclass END "
		"FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = "
		"to_regnamespace(current_schema()) AND NOT EXISTS (SELECT FROM pg_depend d "
		"WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') "
		"ORDER BY relname";
	int64_t version = migrate_schema(end->connection, err), rows;
	PGresult *found;
	int code;

	if (version < 0)
		return -1;
	found = PQexec(end->connection, tables);
	code = PQresultStatus(found) == PGRES_TUPLES_OK
		? 0
		: postgres_end_failed(end, NULL, found, err);
	for (int i = 0; code == 0 && i < PQntuples(found); i++) {
		if (PQgetisnull(found, i, 1))
			code = err_exit(err, EX_CANTCREAT,
				"the target is not empty: it has a table %.80s that belongs to "
				"another role",
				PQgetvalue(found, i, 0));
		else if ((rows = ask_number(end, NULL, PQgetvalue(found, i, 1), err)) < 0)
			code = -1;
		else
			code = end_table_must_be_empty(version, PQgetvalue(found, i, 0), rows, err);
	}
	PQclear(found);
	return code;
}

static int postgres_end_open_target(struct postgres_end *end, struct err *err)
{
	if (postgres_end_target_must_be_empty(end, err) < 0 ||
		migrate_check_schema(end->connection, false, err) < 0 ||
		migrate_postgres(end->connection, NULL, NULL, err) < 0 ||
		keys_prove_key(end->connection, end->end.seal, err) < 0 ||
		format_read(end->connection, &end->end.format, err) < 0 ||
		command(end, NULL, "BEGIN", PGRES_COMMAND_OK, err) < 0)
		return -1;
	/* The daemon's other facts are copied from the source. */
	return command(end, NULL, "DELETE FROM pierre_meta WHERE key <> 'token_format'",
		PGRES_COMMAND_OK, err);
}

int postgres_end_open(
	struct end **ret, const char *url, bool target, struct seal *seal, struct err *err)
{
	struct postgres_end *end = calloc(1, sizeof *end);
	char reason[ERR_MESSAGE_MAX];
	int result = -1;

	if (end == NULL)
		return err_exit(err, EX_OSERR, "out of memory");
	end->end = (struct end){
		.ops = &ops, .shown = target ? "the target" : "the source", .seal = seal};
	end->connection = connect_postgres(&(struct target){.url = url}, CONNECT_MS, reason);
	if (end->connection == NULL)
		(void)err_exit(err, EX_UNAVAILABLE, "%s cannot be reached: %.250s", end->end.shown,
			reason);
	else if (must_be_unused(end, err) == 0)
		result = target ? postgres_end_open_target(end, err)
				: postgres_end_open_source(end, err);
	if (result < 0) {
		postgres_end_close_end(&end->end);
		return -1;
	}
	*ret = &end->end;
	return 0;
}
