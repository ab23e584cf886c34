/* Connecting, blocking: runs in a thread of its own or before the loop starts. libpq tries the
 * URL's hosts in turn with one connect_timeout each, which passes over a host that accepts and
 * stays silent. It ends at a host that answers with an error; connect_postgres goes on behind
 * that one. */
#include "connect.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../../protocol/value.h"
#include "../../store_redact.h"

enum { ASK_S = 30 };

/* Replaces every occurrence by asterisks. */
static void mask(char *text, const char *secret)
{
	size_t length = secret != NULL ? strlen(secret) : 0;

	if (length == 0)
		return;
	for (char *found = strstr(text, secret); found != NULL; found = strstr(found, secret)) {
		memset(found, '*', length);
		found += length;
	}
}

/* Known phrases that are safe to show where libpq's text may hold part of the password, mistaken
 * for a host or a database. */
static const char *known_reason(const char *message)
{
	static const char *const reasons[] = {"Connection refused", "timeout expired",
		"No such file or directory", "Permission denied", "could not translate host name",
		"password authentication failed", "No route to host", "Network is unreachable",
		"no password supplied", "does not exist", "too many clients", "starting up",
		"shutting down", "certificate", "SSL"};

	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (strstr(message, reasons[i]) != NULL)
			return reasons[i];
	return "the server cannot be reached";
}

/* Copies the server's text as one line. It may quote the URL or the password, from any source
 * (passfile, service, environment). */
static void describe_failure(const char *url, PGconn *pq, char out[ERR_MESSAGE_MAX])
{
	const char *message = pq != NULL ? PQerrorMessage(pq) : "out of memory";
	char *copy = strdup(message);
	PQconninfoOption *options;

	if (!store_redact_url_is_clear(url)) {
		(void)snprintf(out, ERR_MESSAGE_MAX,
			"%s (details are hidden: in the database URL it is ambiguous where the "
			"password ends; write @ "
			"as %%40, / as %%2F, ? as %%3F)",
			known_reason(message));
		free(copy);
		return;
	}
	options = PQconninfoParse(url, NULL);
	for (PQconninfoOption *option = options;
		copy != NULL && option != NULL && option->keyword != NULL; option++)
		if (strstr(option->keyword, "password") != NULL)
			mask(copy, option->val);
	if (copy != NULL && pq != NULL)
		mask(copy, PQpass(pq));
	(void)snprintf(out, ERR_MESSAGE_MAX, "%.300s", copy != NULL ? copy : "out of memory");
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	for (size_t length = strlen(out); length > 0 && out[length - 1] == ' '; length--)
		out[length - 1] = '\0';
	PQconninfoFree(options);
	free(copy);
}

/* libpq takes part of a password with a bare @ or / for the host, and shows it. */
static bool bare_signs(const char *url)
{
	const char *names = strstr(url, "://");
	const char *at = names != NULL ? strchr(names, '@') : NULL;
	const char *slash = names != NULL ? strchr(names + 3, '/') : NULL;

	if (at == NULL)
		return false;
	if (slash != NULL && slash < at)
		return memchr(names, '?', (size_t)(at - names)) == NULL;
	at += 1;
	return memchr(at, '@', strcspn(at, "?")) != NULL;
}

static bool port_is_number(const PQconninfoOption *options)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, "port") == 0 && options->val != NULL)
			return options->val[strspn(options->val, "0123456789, ")] == '\0';
	return true;
}

/* libpq's messages quote the text that they reject, which may be the password. Only the kind of
 * message is safe to show. */
static const char *syntax_problem(const char *message)
{
	static const char *const known[][2] = {
		{"missing key/value separator", "a parameter after the ? is not NAME=VALUE"},
		{"extra key/value separator",
			"a parameter after the ? has an extra =: write it as %3D within a value"},
		{"invalid URI query parameter",
			"a parameter after the ? is not an option of libpq"},
		{"percent-encoded",
			"a % is not followed by two hexadecimal digits: a % itself is written %25"},
		{"%00", "it contains %00"},
		{"]", "the brackets around an IPv6 address do not match"},
	};

	for (size_t i = 0; message != NULL && i < sizeof known / sizeof *known; i++)
		if (strstr(message, known[i][0]) != NULL)
			return known[i][1];
	return "libpq cannot parse it";
}

int connect_check_url(const char *url, struct err *err)
{
	char *message = NULL;
	PQconninfoOption *options;
	bool port;

	if (bare_signs(url))
		return err_exit(err, EX_CONFIG,
			"the database URL has an extra @ or /: within a user's name, a "
			"password or a database's "
			"name they are written %%40 and %%2F");
	options = PQconninfoParse(url, &message);
	if (options == NULL) {
		(void)err_exit(err, EX_CONFIG, "the database URL cannot be read: %s",
			syntax_problem(message));
		PQfreemem(message);
		return -1;
	}
	port = port_is_number(options);
	PQconninfoFree(options);
	return port
		? 0
		: err_exit(err, EX_CONFIG,
			  "the database URL's port is not a number; a password stands between a "
			  "user's name and an @");
}

static void postgres_connect_settle(PGconn *pq, uint64_t timeout_ms);

static void ignore_notice(void *argument, const PGresult *result)
{
	(void)argument;
	(void)result; /* Messages may quote rows, and a server can send them without limit. */
}

/* libpq's part of connecting. NULL: out of memory. */
static PGconn *connect_hosts(const struct target *target, uint64_t timeout_ms)
{
	char seconds[24];
	struct hosts hosts;
	PGconn *pq = NULL;

	if (hosts_init(&hosts, target)) {
		/* The URL overrides the options before it; those after it override the URL. NULL
		 * counts as absent. */
		const char *names[] = {"application_name", "connect_timeout", "keepalives_idle",
			"keepalives_interval", "keepalives_count", "tcp_user_timeout",
			"target_session_attrs", "dbname", "client_encoding", "host", "hostaddr",
			"port", "target_session_attrs", NULL};
		const char *values[] = {"pierre-dbd", seconds, "30", "5", "3", "20000",
			hosts.count > 1 && !hosts.chosen ? "read-write" : NULL, target->url, "UTF8",
			hosts.host, hosts.hostaddr, hosts.port, target->only ? "any" : NULL, NULL};

		(void)snprintf(seconds, sizeof seconds, "%llu",
			(unsigned long long)((timeout_ms + 999) / 1000));
		pq = PQconnectdbParams(names, values, 1);
	}
	hosts_free(&hosts);
	return pq;
}

/* Whether the session can be used. */
static bool connect_complete(
	const char *url, PGconn *pq, uint64_t timeout_ms, char error[ERR_MESSAGE_MAX])
{
	if (PQstatus(pq) == CONNECTION_OK) {
		PQsetNoticeReceiver(pq, ignore_notice, NULL);
		postgres_connect_settle(pq, timeout_ms);
	}
	if (PQstatus(pq) == CONNECTION_OK && PQtransactionStatus(pq) == PQTRANS_IDLE)
		return true;
	if (PQstatus(pq) == CONNECTION_OK)
		(void)snprintf(error, ERR_MESSAGE_MAX, "the server sent an unexpected result");
	else
		describe_failure(url, pq, error);
	return false;
}

/* Hosts fail for different reasons, and each may be the one to correct. */
static void add_failure(char error[ERR_MESSAGE_MAX], const char *other)
{
	size_t length = strlen(error);

	if (strstr(error, other) == NULL)
		(void)snprintf(error + length, ERR_MESSAGE_MAX - length, "%s%s",
			length > 0 ? "; " : "", other);
}

/* A standby may lack what its primary has, such as the database or a free connection. */
PGconn *connect_postgres(
	const struct target *target, uint64_t timeout_ms, char error[ERR_MESSAGE_MAX])
{
	struct target attempt = *target;
	unsigned count = target->only ? 1 : hosts_count(target->url);

	error[0] = '\0';
	while (attempt.passed < count) {
		PGconn *pq = connect_hosts(&attempt, timeout_ms);
		char reason[ERR_MESSAGE_MAX];

		if (connect_complete(target->url, pq, timeout_ms, reason))
			return pq;
		add_failure(error, reason);
		attempt.passed = target->only
			? count
			: hosts_passed(target->url, pq, target->first, attempt.passed);
		PQfinish(pq);
	}
	return NULL;
}

/* Resets, for the transaction alone, settings that a pooler's other clients may have left in the
 * session. ALTER ROLE or ALTER DATABASE can set a role; otherwise there is none. Warnings stay
 * enabled: one reports a commit that is missing on the standby. Statements are not compiled to
 * machine code (jit): all read few rows, and compiling takes tens of milliseconds where the planner
 * cannot know how few. */
#define SETTINGS_SQL(select)                                                                       \
	select " FROM (SELECT name, CASE name WHEN 'client_min_messages' THEN 'warning' WHEN "     \
	       "'jit' THEN 'off' ELSE reset_val END AS value FROM pg_settings WHERE name IN ("     \
	       "'search_path', 'client_min_messages', 'jit', 'statement_timeout', "                \
	       "'lock_timeout', 'row_security', 'standard_conforming_strings') UNION ALL "         \
	       "SELECT 'role', COALESCE((SELECT substr(item, 6) FROM pg_db_role_setting, "         \
	       "unnest(setconfig) AS item WHERE item LIKE 'role=%' AND setrole IN (0, (SELECT "    \
	       "oid FROM pg_roles WHERE rolname = session_user)) AND setdatabase IN (0, "          \
	       "(SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY "       \
	       "setrole DESC, setdatabase DESC LIMIT 1), 'none')) AS settings"

const char postgres_settings_sql[] = SETTINGS_SQL("SELECT set_config(name, value, true)");

/* A statement_timeout left in the session must not cancel the query for the settings. */
static const char begin[] = "BEGIN; SET LOCAL statement_timeout = 0";

/* `began`: this function opens the transaction. Within the caller's, and without a pooler, the
 * settings are already right. */
static PGresult *enter(PGconn *pq, bool *began)
{
	PGresult *result;

	*began = false;
	if (PQtransactionStatus(pq) != PQTRANS_IDLE || connect_is_direct(pq))
		return NULL;
	result = connect_ask(pq, begin);
	if (PQresultStatus(result) == PGRES_COMMAND_OK) {
		PQclear(result);
		result = connect_ask(pq, postgres_settings_sql);
	}
	if (PQresultStatus(result) == PGRES_TUPLES_OK) {
		PQclear(result);
		*began = true;
		return NULL;
	}
	PQclear(connect_ask(pq, "ROLLBACK"));
	return result;
}

static PGresult *postgres_connect_leave(PGconn *pq, PGresult *result, bool began)
{
	PGresult *last;

	if (!began)
		return result;
	last = connect_ask(pq, PQtransactionStatus(pq) == PQTRANS_INERROR ? "ROLLBACK" : "COMMIT");
	if (PQresultStatus(last) == PGRES_COMMAND_OK) {
		PQclear(last);
		return result;
	}
	PQclear(result);
	return last;
}

PGresult *connect_query(PGconn *pq, const char *sql, int count, const char *const *values)
{
	bool began;
	PGresult *refused = enter(pq, &began);

	if (refused != NULL)
		return refused;
	return postgres_connect_leave(
		pq, PQexecParams(pq, sql, count, NULL, values, NULL, NULL, 0), began);
}

PGresult *connect_question(PGconn *pq, const char *sql)
{
	bool began;
	PGresult *refused = enter(pq, &began);

	return refused != NULL ? refused : postgres_connect_leave(pq, connect_ask(pq, sql), began);
}

int connect_settings(PGconn *pq, char **sql, struct err *err)
{
	PGresult *result = connect_question(pq,
		SETTINGS_SQL(
			"SELECT 'SELECT ' || string_agg(format('set_config(%L, %L, true)', name, "
			"value), ', ' ORDER BY name)"));
	bool good = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
		!PQgetisnull(result, 0, 0);

	*sql = good ? strdup(PQgetvalue(result, 0, 0)) : NULL;
	PQclear(result);
	if (*sql != NULL)
		return 0;
	return good ? err_exit(err, EX_OSERR, "out of memory")
		    : err_exit(err, EX_UNAVAILABLE, "the session's settings cannot be read");
}

/* libpq reads only as much as fits. The rest of a TLS record of up to 16 KiB is in OpenSSL's buffer
 * while the socket is empty; the next read must not wait for the socket. */
bool connect_unread(PGconn *pq)
{
	const SSL *ssl = PQsslStruct(pq, "OpenSSL");

	return ssl != NULL && SSL_pending(ssl) > 0;
}

/* PQexec with a time limit, since a server can accept a connection and then stay silent. */
/* until: clock_ns */
static PGresult *ask_until(PGconn *pq, const char *sql, uint64_t until)
{
	PGresult *last = NULL, *next;

	if (PQsendQuery(pq, sql) != 1)
		return NULL;
	for (;;) {
		while (PQisBusy(pq)) {
			struct pollfd poller = {.fd = PQsocket(pq), .events = POLLIN};
			uint64_t now = clock_ns();

			if (now >= until) {
				PQclear(last);
				return NULL;
			}
			if ((connect_unread(pq) ||
				    poll(&poller, 1, (int)((until - now) / 1000000) + 1) > 0) &&
				PQconsumeInput(pq) != 1)
				break;
		}
		next = PQgetResult(pq);
		if (next == NULL)
			return last;
		/* The server's last result is followed by one from libpq that reports the lost
		 * connection. */
		if (PQresultErrorField(last, PG_DIAG_SQLSTATE) != NULL &&
			PQresultErrorField(next, PG_DIAG_SQLSTATE) == NULL) {
			PQclear(next);
			continue;
		}
		PQclear(last);
		last = next;
		if (PQresultStatus(last) >= PGRES_COPY_OUT &&
			PQresultStatus(last) != PGRES_FATAL_ERROR &&
			PQresultStatus(last) != PGRES_NONFATAL_ERROR)
			return last;
	}
}

PGresult *connect_ask(PGconn *pq, const char *sql)
{
	return ask_until(pq, sql, clock_ns() + ASK_S * UINT64_C(1000000000));
}

PGresult *connect_ask_within(PGconn *pq, const char *sql, uint64_t timeout_ms)
{
	return ask_until(pq, sql, clock_ns() + timeout_ms * 1000000);
}

/* Marks a connection without a pooler. It is never called, since each connection has a notice
 * receiver. An event procedure would cost two allocations for each result. */
static void direct_mark(void *argument, const char *message)
{
	(void)argument;
	(void)message;
}

bool connect_is_direct(PGconn *pq)
{
	return PQsetNoticeProcessor(pq, NULL, NULL) == direct_mark; /* NULL leaves it unchanged */
}

/* By default the server would notice after two hours that the daemon's host is gone. Until then the
 * session's transaction would keep its locks. What an administrator has set stays. */
#define KEEPALIVES_SQL                                                                             \
	"(SELECT count(set_config(name, value, false)) FROM (VALUES ('tcp_keepalives_idle', "      \
	"'30'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'), "                 \
	"('tcp_user_timeout', '20000')) AS wanted (name, value) JOIN pg_settings USING (name) "    \
	"WHERE source = 'default')"

/* A pooler reports invented process ids to its clients. The lock shows for the session's life that
 * the database is in use; a pooler's session must not be changed. jit: see SETTINGS_SQL. */
static void postgres_connect_settle(PGconn *pq, uint64_t timeout_ms)
{
	char sql[640];
	PGresult *result;

	(void)snprintf(sql, sizeof sql,
		"SELECT CASE pg_backend_pid() WHEN %d THEN set_config('client_min_messages', "
		"'warning', false) || set_config('jit', 'off', false) "
		"|| pg_try_advisory_lock_shared(" POSTGRES_USE_LOCK ")::text || " KEEPALIVES_SQL
		" END",
		PQbackendPID(pq));
	result = ask_until(pq, sql, clock_ns() + timeout_ms * 1000000);
	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
		PQnfields(result) == 1 && !PQgetisnull(result, 0, 0))
		(void)PQsetNoticeProcessor(pq, direct_mark, NULL);
	PQclear(result);
}

bool connect_in_use(PGconn *pq)
{
	PGresult *result =
		connect_ask(pq, "SELECT pg_try_advisory_lock_shared(" POSTGRES_USE_LOCK ")");
	bool refused = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
		PQgetvalue(result, 0, 0)[0] == 'f';

	PQclear(result);
	return !refused;
}

/* In statement mode PgBouncer refuses a BEGIN and ends the connection. */
int connect_check_pooler(PGconn *pq, struct err *err)
{
	PGresult *result = connect_ask(pq, "BEGIN");
	bool statement_mode = strstr(PQresultErrorMessage(result), "statement pooling") != NULL,
	     good = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);
	if (good)
		PQclear(connect_ask(pq, "ROLLBACK"));
	if (statement_mode)
		return err_exit(err, EX_CONFIG,
			"the pooler in front of the database runs each statement on any server "
			"connection (PgBouncer: pool_mode = "
			"statement): set pool_mode to transaction or session");
	return good ? 0
		    : err_exit(err, EX_UNAVAILABLE,
			      "the pooler in front of the database refuses a transaction");
}
