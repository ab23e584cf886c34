/* Turns libpq's results into answers and errors. A hostile or faulty server must do no harm: every
 * type and length is checked. */
#include "result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/value.h"
#include "../execute.h"
#include "pg_store.h"

enum {
	OID_BOOL = 16,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_FLOAT8 = 701,
	OID_VARCHAR = 1043,
	OID_TIMESTAMPTZ = 1184,
	OID_UUID = 2950,
	OID_UNKNOWN = 705
};

uint64_t result_number(const char *bytes, int count)
{
	uint64_t value = 0;

	for (int i = 0; i < count; i++)
		value = value << 8 | (unsigned char)bytes[i];
	return value;
}

/* more: columns after those of the answer */
static bool result_columns_match(const PGresult *result, const struct method *method, int more)
{
	int count = method->row_schema != NULL ? method->row_schema->column_count : 0;

	if (PQnfields(result) != count + more)
		return false;
	for (int i = 0; i < count; i++)
		if (PQfformat(result, i) != 1 ||
			strcmp(PQfname(result, i), method->row_schema->columns[i].name) != 0)
			return false;
	return true;
}

static bool result_read_integer(Oid oid, const char *bytes, int length, int64_t *value)
{
	if (oid == OID_INT8 && length == 8)
		*value = (int64_t)result_number(bytes, 8);
	else if (oid == OID_INT4 && length == 4)
		*value = (int32_t)result_number(bytes, 4);
	else if (oid == OID_INT2 && length == 2)
		*value = (int16_t)result_number(bytes, 2);
	else if (oid == OID_BOOL && length == 1)
		*value = bytes[0] != 0;
	else
		return false;
	return true;
}

static bool result_read_text(
	struct call *call, Oid oid, const char *bytes, int length, struct value *value)
{
	if (oid == OID_UUID && length == 16) {
		char *text = arena_alloc(&call->arena, UUID_TEXT);

		if (text == NULL)
			return false;
		uuid_from_bytes((const unsigned char *)bytes, text);
		value->s.ptr = text;
		value->s.len = UUID_TEXT;
		return true;
	}
	value->s.ptr = bytes;
	value->s.len = (size_t)length;
	return (oid == OID_TEXT || oid == OID_VARCHAR || oid == OID_UNKNOWN) &&
		utf8_valid(bytes, value->s.len);
}

static bool read_value(struct call *call, const PGresult *result, int row, int place, uint8_t type,
	struct value *value)
{
	Oid oid = PQftype(result, place);
	const char *bytes = PQgetvalue(result, row, place);
	int length = PQgetlength(result, row, place);
	int64_t integer = 0;

	value->set = !PQgetisnull(result, row, place);
	value->flags = 0;
	if (!value->set)
		return true;
	switch ((enum type)type) {
	case TYPE_BOOL:
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		if (!result_read_integer(oid, bytes, length, &integer))
			return false;
		value->i = integer;
		return value_integer_in_range((enum type)type, integer);
	case TYPE_F64:
		if (oid != OID_FLOAT8 || length != 8)
			return false;
		uint64_t bits = result_number(bytes, 8);
		memcpy(&value->f, &bits, 8);
		return isfinite(value->f);
	case TYPE_TIMESTAMP:
		if (oid != OID_TIMESTAMPTZ || length != 8)
			return false;
		/* 'infinity' is the largest number */
		return !__builtin_add_overflow(
			       (int64_t)result_number(bytes, 8), POSTGRES_EPOCH, &value->i) &&
			timestamp_in_range(value->i);
	default:
		return result_read_text(call, oid, bytes, length, value);
	}
}

/* Reads all columns even if one is invalid: the row's id may come later. */
static int result_read_row(
	struct postgres_store *store, struct call *call, const PGresult *result, int row)
{
	const struct row_schema *row_schema = call->method->row_schema;
	struct value columns[CATALOG_MAX_COLUMNS];
	int wrong = -1;

	for (int i = 0; i < row_schema->column_count; i++) {
		const struct column *column = &row_schema->columns[i];

		if (read_value(call, result, row, i, column->type, &columns[i]) &&
			(columns[i].set || column->nullable))
			continue;
		columns[i].set = false;
		wrong = wrong < 0 ? i : wrong;
	}
	if (wrong >= 0)
		return execute_bad_row(call, columns, row_schema->columns[wrong].name);
	return execute_row(call, store->settings.seal, columns);
}

static int wrong_columns(struct call *call)
{
	return execute_fail(call, ERR_INTERNAL,
		"%s: the database's columns do not match the answer's", call->method->name);
}

int result_rows(struct postgres_store *store, struct call *call, const PGresult *result)
{
	int rows = PQntuples(result);

	if (PQresultStatus(result) == PGRES_TUPLES_OK) {
		if (call->method->row_schema == NULL ||
			!result_columns_match(result, call->method, 0))
			return wrong_columns(call);
		for (int row = 0; row < rows; row++)
			if (result_read_row(store, call, result, row) < 0)
				return -1;
	}
	return execute_end(
		call, (uint64_t)strtoull(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10));
}

void result_many(
	struct postgres_store *store, struct call **calls, unsigned count, const PGresult *result)
{
	const struct method *method = calls[0]->method;
	int rows = PQntuples(result), place = method->row_schema->column_count;
	bool good = PQresultStatus(result) == PGRES_TUPLES_OK &&
		result_columns_match(result, method, 1) && PQfformat(result, place) == 1 &&
		PQftype(result, place) == OID_INT8;

	for (unsigned i = 0; i < count; i++)
		(void)execute_begin(calls[i]);
	for (int row = 0; good && row < rows; row++) {
		uint64_t number = PQgetlength(result, row, place) == 8
			? result_number(PQgetvalue(result, row, place), 8)
			: 0;

		good = number >= 1 && number <= count;
		if (good && calls[number - 1]->err.kind == ERR_NONE)
			(void)result_read_row(store, calls[number - 1], result, row);
	}
	for (unsigned i = 0; i < count; i++)
		if (!good)
			(void)wrong_columns(calls[i]);
		else if (calls[i]->err.kind == ERR_NONE)
			(void)execute_end(calls[i], 0);
}

static bool in_class(const char *state, const char *prefix)
{
	return strncmp(state, prefix, strlen(prefix)) == 0;
}

bool result_fatal(const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity == NULL)
		severity = PQresultErrorField(result, PG_DIAG_SEVERITY); /* from a pooler */
	return severity != NULL &&
		(strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/* PgBouncer uses one SQLSTATE for everything; only its text tells that the client was still waiting
 * for a server. The text is never translated. */
bool result_unserved(const PGresult *result)
{
	static const char *const words[] = {"server_login_retry", "query_wait_timeout",
		"server login failed", "server DNS lookup failed"};
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	for (size_t i = 0;
		text != NULL && result_in_class(result, "08") && i < sizeof words / sizeof words[0];
		i++)
		if (strstr(text, words[i]) != NULL)
			return true;
	return false;
}

bool result_in_class(const PGresult *result, const char *prefix)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state != NULL && in_class(state, prefix);
}

/* What an error of the server means for the call. The first row whose text the SQLSTATE begins with
 * applies: five characters are one condition, fewer are a class. */
static const struct error_rule {
	const char *state;
	enum err_kind kind;
	bool refused; /* certain: nothing of the call was stored */
	enum outcome next;
	const char *text; /* NULL: names the method and the SQLSTATE */
} error_rules[] = {
	{"26000", ERR_INTERNAL, false, CALL_REPREPARE, "a prepared statement was lost"},
	{"42P05", ERR_INTERNAL, false, CALL_REPREPARE, "a prepared statement was lost"},
	/* The tables changed under the statements, on every connection. */
	{"0A000", ERR_INTERNAL, false, CALL_REPREPARE_ALL,
		"the prepared statements no longer fit the tables"},
	{"40", ERR_UNAVAILABLE, true, CALL_RETRY,
		"the database kept refusing because of other transactions"},
	{"55P03", ERR_UNAVAILABLE, true, CALL_RETRY,
		"the database kept refusing because of other transactions"},
	{"57014", ERR_TIMEOUT, true, CALL_RETRY, "the call's time ran out in the database"},
	{"57P", ERR_UNAVAILABLE, true, CALL_MOVE,
		"the database server is going down or is not ready"},
	{"08", ERR_UNAVAILABLE, true, CALL_MOVE,
		"the database server is going down or is not ready"},
	/* A standby, or a primary that became one. Another connection may reach the server that
         * accepts writes. */
	{"25006", ERR_STORAGE, false, CALL_SUSPECT,
		"the database server accepts no writes: it is a standby or read-only"},
	{"53100", ERR_STORAGE, false, CALL_DONE, "the database server's disk is full"},
	{"58", ERR_STORAGE, false, CALL_DONE, "the database server cannot read or write its files"},
	{"XX001", ERR_STORAGE, false, CALL_DONE,
		"the database server cannot read or write its files"},
	{"XX002", ERR_STORAGE, false, CALL_DONE,
		"the database server cannot read or write its files"},
	{"53", ERR_UNAVAILABLE, true, CALL_DONE, "the database server is out of resources"},
	{"54", ERR_TOO_LARGE, false, CALL_DONE, "a value is larger than the database accepts"},
	/* The tables visible to this session, or its transaction state, are unexpected. */
	{"42P01", ERR_INTERNAL, false, CALL_SUSPECT, NULL},
	{"3F000", ERR_INTERNAL, false, CALL_SUSPECT, NULL},
	{"25", ERR_INTERNAL, false, CALL_MOVE, NULL},
	{"", ERR_INTERNAL, false, CALL_DONE, NULL},
};

static enum outcome apply_rule(struct call *call, const struct error_rule *rule, const char *state)
{
	if (rule->text != NULL)
		execute_fail(call, rule->kind, "%s", rule->text);
	else
		execute_fail(call, rule->kind, "%s failed within the database (SQLSTATE %s)",
			call->method->name, state);
	if (rule->refused)
		call->err.outcome = OUTCOME_NONE;
	return rule->next;
}

/* What names something: a constraint, a row, an object. */
enum outcome result_error(struct call *call, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const struct error_rule *rule = error_rules;

	if (state == NULL)
		state = "?????";
	if (strcmp(state, "23505") == 0) {
		execute_conflict(call, constraint != NULL ? constraint : "key");
	} else if (strcmp(state, "23503") == 0) {
		execute_no_row(call);
	} else if (strcmp(state, "42501") == 0) {
		/* "permission denied for table users": it names the object and quotes no row. */
		execute_fail(call, ERR_STORAGE, "the database role lacks a right: %.120s",
			text != NULL ? text : "?");
	} else {
		while (!in_class(state, rule->state))
			rule++;
		return apply_rule(call, rule, state);
	}
	return CALL_DONE;
}
