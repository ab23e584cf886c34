#include "metric_table.h"

#include <stdio.h>
#include <string.h>

#define COUNTER(member, name, unit, scale, help)                                                   \
	{                                                                                          \
		"pierre_dbd_" name, "counter", unit, help, "counters", member, scale               \
	}
#define GAUGE(member, name, unit, scale, help)                                                     \
	{                                                                                          \
		"pierre_dbd_" name, "gauge", unit, help, "gauges", member, scale                   \
	}

const struct metric metric_table[] = {
	/* Printed by functions of their own: they have labels, or come from several members. */
	{"pierre_dbd_build", "info", NULL,
		"Versions of the daemon, the method set, the backend and the schema.", NULL, NULL,
		1},
	{"pierre_dbd_uptime_seconds", "gauge", "seconds", "Time since the daemon's start.", NULL,
		NULL, 1},
	{"pierre_dbd_check_status", "gauge", NULL,
		"What daemon.health found, by check: 0 ok, 1 degraded, 2 down.", NULL, NULL, 1},
	{"pierre_dbd_check_latency_seconds", "gauge", "seconds",
		"How long each check of daemon.health took.", NULL, NULL, 1},
	{"pierre_dbd_requests", "counter", NULL,
		"Calls by method and outcome: ok, or the error's kind.", NULL, NULL, 1},
	{"pierre_dbd_request_rows", "counter", NULL, "Rows that calls gave or changed, by method.",
		NULL, NULL, 1},
	{"pierre_dbd_request_duration_seconds", "histogram", "seconds",
		"Time from a call's arrival until its answer is written, by method.", NULL, NULL,
		1},
	{"pierre_dbd_protocol_errors", "counter", NULL,
		"Errors that were answered, by kind, lines that named no method included.", NULL,
		NULL, 1},
	{"pierre_dbd_db_pool_connections", "gauge", NULL,
		"Database connections (SQLite: threads) by state.", NULL, NULL, 1},
	{"pierre_dbd_db_pool_wait_seconds", "summary", "seconds",
		"Time that calls waited for a database connection or thread.", NULL, NULL, 1},
	{"process_cpu_seconds", "counter", "seconds", "Processor time, user and system.", NULL,
		NULL, 1},

	COUNTER("lines", "received_lines", NULL, 1, "Lines that clients sent."),
	COUNTER("batches", "batches", NULL, 1, "JSON-RPC batches."),
	COUNTER("notifications", "notifications", NULL, 1, "Requests without an id."),
	COUNTER("bytes_in", "received_bytes", "bytes", 1, "What clients sent."),
	COUNTER("bytes_out", "sent_bytes", "bytes", 1, "What clients were sent."),
	COUNTER("slow_calls", "slow_calls", NULL, 1,
		"Calls that took longer than the setting slow-call."),
	COUNTER("calls_dropped", "calls_dropped", NULL, 1,
		"Calls that never began, since their client was gone."),
	COUNTER("connections_accepted", "connections_accepted", NULL, 1,
		"Clients that were let in."),
	COUNTER("connections_closed", "connections_closed", NULL, 1,
		"Clients that are gone again."),
	COUNTER("connections_refused", "connections_refused", NULL, 1,
		"Clients turned away: too many in all, or of one user."),
	COUNTER("accept_failures", "accept_failures", NULL, 1,
		"Times that file descriptors or memory were out for a new client."),
	COUNTER("line_timeouts", "line_timeouts", NULL, 1,
		"Clients cut off since they did not end a line in time."),
	COUNTER("write_timeouts", "write_timeouts", NULL, 1,
		"Clients cut off since they took none of their answers in time."),
	COUNTER("reading_paused", "reading_pauses", NULL, 1,
		"Times that the daemon stopped reading a client who was ahead of its answers."),
	COUNTER("passwords_hashed", "passwords_hashed", NULL, 1, "Passwords that were hashed."),
	COUNTER("passwords_verified", "passwords_verified", NULL, 1,
		"Passwords that were compared."),
	COUNTER("password_timeouts", "password_timeouts", NULL, 1,
		"Passwords whose turn did not come in time."),
	COUNTER("bcrypt_rounds", "bcrypt_rounds", NULL, 1,
		"Rounds of bcrypt, 2^cost for each hash: the same for every check of a password."),
	COUNTER("log_lines", "log_lines", NULL, 1, "Lines for the log."),
	COUNTER("log_dropped", "log_dropped", NULL, 1,
		"Log lines lost since nobody read the log fast enough."),
	COUNTER("reloads", "reloads", NULL, 1, "Times that the settings were read again."),
	COUNTER("pauses", "pauses", NULL, 1, "Times that the daemon was paused."),
	COUNTER("db_transactions", "db_transactions", NULL, 1,
		"Commits; several calls can share one."),
	COUNTER("db_batched_calls", "db_batched_calls", NULL, 1, "Calls in them."),
	COUNTER("db_merged_calls", "db_merged_calls", NULL, 1,
		"Look-ups among them that shared one statement (PostgreSQL)."),
	COUNTER("db_retries", "db_retries", NULL, 1, "Calls that were run once more."),
	COUNTER("db_reconnects", "db_reconnects", NULL, 1,
		"PostgreSQL connections that were lost and made anew."),
	COUNTER("db_connect_failures", "db_connect_failures", NULL, 1,
		"Attempts to connect to PostgreSQL that failed."),
	COUNTER("db_timeouts", "db_timeouts", NULL, 1, "Calls whose time ran out in the database."),
	COUNTER("sqlite_checkpoints", "sqlite_checkpoints", NULL, 1,
		"Checkpoints of SQLite's write-ahead log."),
	COUNTER("sqlite_checkpoints_busy", "sqlite_checkpoints_busy", NULL, 1,
		"Checkpoints that readers kept from finishing."),
	COUNTER("seals", "tokens_sealed", NULL, 1, "Tokens that were encrypted."),
	COUNTER("opens", "tokens_opened", NULL, 1, "Tokens that were decrypted."),

	GAUGE("clients", "clients", NULL, 1, "Clients that are connected."),
	GAUGE("clients_max", "clients_limit", NULL, 1, "Clients that may be connected."),
	GAUGE("in_flight", "requests_in_flight", NULL, 1, "Calls that are begun and not answered."),
	GAUGE("client_memory_bytes", "client_memory_bytes", "bytes", 1,
		"Memory held for clients: lines, calls, batches and answers."),
	GAUGE("client_memory_peak_bytes", "client_memory_peak_bytes", "bytes", 1,
		"Most memory held for clients at any time since the start."),
	GAUGE("draining", "draining", NULL, 1, "1 while the daemon stops."),
	GAUGE("paused", "paused", NULL, 1, "1 while new calls wait until the daemon is resumed."),
	GAUGE("paused_calls", "paused_calls", NULL, 1, "Calls that wait for that."),
	GAUGE("loop_lag_ns", "loop_lag_seconds", "seconds", 1e-9,
		"How late the event loop last was."),
	GAUGE("loop_lag_max_ns", "loop_lag_max_seconds", "seconds", 1e-9,
		"How late the event loop was at most since the start."),
	GAUGE("loop_long_line_bytes_max", "loop_long_line_max_bytes", "bytes", 1,
		"Most bytes of long lines that one turn of the event loop took."),
	GAUGE("loop_result_bytes_max", "loop_result_max_bytes", "bytes", 1,
		"Most bytes of rows that the event loop made answers of without a pause."),
	GAUGE("password_threads", "password_threads", NULL, 1, "Threads for passwords."),
	GAUGE("passwords_running", "passwords_running", NULL, 1, "Passwords that are worked on."),
	GAUGE("passwords_queued", "passwords_queued", NULL, 1, "Passwords that wait."),
	GAUGE("db_connections_max", "db_pool_connections_limit", NULL, 1,
		"Database connections (SQLite: threads) that there may be."),
	GAUGE("db_queued", "db_queued_calls", NULL, 1,
		"Calls that wait for a database connection or thread."),
	GAUGE("db_running", "db_running_calls", NULL, 1, "Calls that are in the database."),
	GAUGE("db_batch_max", "db_batch_max_calls", NULL, 1, "Most calls that shared one commit."),
	GAUGE("key_seals", "key_seals", NULL, 1,
		"Texts that the encryption key has sealed in its life; at 4294967296 it must have been changed."),
	GAUGE("sqlite_wal_bytes", "sqlite_wal_bytes", "bytes", 1,
		"Size of SQLite's write-ahead log."),
	{"process_resident_memory_bytes", "gauge", "bytes", "Memory of the process.", "gauges",
		"resident_bytes", 1},
	{"process_open_fds", "gauge", NULL, "File descriptors that are open.", "gauges",
		"descriptors", 1},
	{"process_max_fds", "gauge", NULL, "File descriptors that may be open.", "gauges",
		"descriptors_max", 1},
	{"process_threads", "gauge", NULL, "Threads of the process.", "gauges", "threads", 1},
	{"process_start_time_seconds", "gauge", "seconds",
		"When the process was started, in seconds since 1970.", "gauges", "started_at", 1},
	{0},
};

/* Members of daemon.stats that the functions of their own print. */
static const char *const combined[] = {
	"requests",
	"errors",
	"db_connections_idle",
	"db_connections_active",
	"db_connections_connecting",
	"db_wait_ns",
	"db_waits",
	"cpu_user_us",
	"cpu_system_us",
};

const struct metric *metric_named(const char *name)
{
	for (const struct metric *metric = metric_table; metric->name != NULL; metric++)
		if (strcmp(metric->name, name) == 0)
			return metric;
	return NULL;
}

bool metric_covers(const char *group, const char *member)
{
	for (const struct metric *metric = metric_table; metric->name != NULL; metric++)
		if (metric->member != NULL && strcmp(metric->group, group) == 0 &&
			strcmp(metric->member, member) == 0)
			return true;
	for (size_t i = 0; i < sizeof combined / sizeof combined[0]; i++)
		if (strcmp(combined[i], member) == 0)
			return true;
	return false;
}

void metric_write_markdown(void)
{
	(void)puts("| metric | type | |\n|---|---|---|");
	for (const struct metric *metric = metric_table; metric->name != NULL; metric++) {
		const char *suffix = strcmp(metric->type, "counter") == 0 ? "_total"
			: strcmp(metric->type, "info") == 0               ? "_info"
									  : "";

		(void)printf(
			"| `%s%s` | %s | %s |\n", metric->name, suffix, metric->type, metric->help);
	}
}
