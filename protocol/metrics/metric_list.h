/* Every counter and gauge of the daemon, once: from these rows come the members of struct metrics,
 * daemon.stats, the metrics of pierre-dbctl and the table in docs/observe.md.
 *
 *   COUNTED(kind, member, metric, unit, scale, help)
 *   READ(kind, member, source, metric, unit, scale, help)
 *
 * kind: counter, which only grows, or gauge. member: the name in daemon.stats; of COUNTED also the
 * one in struct metrics. source: where the daemon reads it, a member of struct stats_sources.
 * metric: NULL where pierre-dbctl makes one metric of several members. unit: NULL, or what the
 * metric's name ends with. scale: from the member's unit to the metric's. */
#ifndef PIERRE_METRIC_LIST_H
#define PIERRE_METRIC_LIST_H

/* clang-format off */
#define METRIC_LIST(COUNTED, READ) \
	READ(counter, requests, requests, NULL, NULL, 1, \
		"Calls, and lines that were refused before a method was known.") \
	READ(counter, errors, errors, NULL, NULL, 1, "Those of them that failed.") \
	COUNTED(counter, lines, "pierre_dbd_received_lines", NULL, 1, "Lines that clients sent.") \
	COUNTED(counter, batches, "pierre_dbd_batches", NULL, 1, "JSON-RPC batches.") \
	COUNTED(counter, notifications, "pierre_dbd_notifications", NULL, 1, \
		"Requests without an id.") \
	COUNTED(counter, slow_calls, "pierre_dbd_slow_calls", NULL, 1, \
		"Calls that took longer than the setting slow-call.") \
	COUNTED(counter, calls_dropped, "pierre_dbd_calls_dropped", NULL, 1, \
		"Calls that never began because their client was gone.") \
	COUNTED(counter, connections_accepted, "pierre_dbd_connections_accepted", NULL, 1, \
		"Client connections that were accepted.") \
	COUNTED(counter, connections_closed, "pierre_dbd_connections_closed", NULL, 1, \
		"Client connections that ended.") \
	COUNTED(counter, connections_refused, "pierre_dbd_connections_refused", NULL, 1, \
		"Client connections that were refused: too many in all, or of one user.") \
	COUNTED(counter, accept_failures, "pierre_dbd_accept_failures", NULL, 1, \
		"Times that no file descriptor or no memory was left for a new client.") \
	COUNTED(counter, line_timeouts, "pierre_dbd_line_timeouts", NULL, 1, \
		"Clients that were disconnected because they did not end a line in time.") \
	COUNTED(counter, write_timeouts, "pierre_dbd_write_timeouts", NULL, 1, \
		"Clients that were disconnected because they took no answers in time.") \
	COUNTED(counter, reading_paused, "pierre_dbd_reading_pauses", NULL, 1, \
		"Times that the daemon stopped reading a client that was ahead of its answers.") \
	COUNTED(counter, bytes_in, "pierre_dbd_received_bytes", "bytes", 1, \
		"Bytes that clients sent.") \
	COUNTED(counter, bytes_out, "pierre_dbd_sent_bytes", "bytes", 1, \
		"Bytes that were sent to clients.") \
	READ(counter, passwords_hashed, passwords.hashed, "pierre_dbd_passwords_hashed", NULL, 1, \
		"Passwords that were hashed.") \
	READ(counter, passwords_verified, passwords.verified, "pierre_dbd_passwords_verified", NULL, 1, \
		"Passwords that were compared.") \
	READ(counter, password_timeouts, passwords.timeouts, "pierre_dbd_password_timeouts", NULL, 1, \
		"Passwords that waited too long for a thread.") \
	READ(counter, bcrypt_rounds, passwords.rounds, "pierre_dbd_bcrypt_rounds", NULL, 1, \
		"Rounds of bcrypt, 2^cost for each hash: the same for every check of a password.") \
	READ(counter, log_lines, log_lines, "pierre_dbd_log_lines", NULL, 1, \
		"Lines that were written to the log.") \
	READ(counter, log_dropped, log_dropped, "pierre_dbd_log_dropped", NULL, 1, \
		"Log lines that were lost because the log was not read fast enough.") \
	READ(counter, reloads, admin->reloads, "pierre_dbd_reloads", NULL, 1, \
		"Times that the settings were read again.") \
	COUNTED(counter, pauses, "pierre_dbd_pauses", NULL, 1, "Times that the daemon was paused.") \
	READ(counter, db_transactions, store.transactions, "pierre_dbd_db_transactions", NULL, 1, \
		"Commits; several calls can share one.") \
	READ(counter, db_batched_calls, store.batched_calls, "pierre_dbd_db_batched_calls", NULL, 1, \
		"Calls in them.") \
	READ(counter, db_merged_calls, store.merged_calls, "pierre_dbd_db_merged_calls", NULL, 1, \
		"Look-ups among them that shared one statement (PostgreSQL).") \
	READ(counter, db_retries, store.retries, "pierre_dbd_db_retries", NULL, 1, \
		"Calls that were run once more.") \
	READ(counter, db_reconnects, store.reconnects, "pierre_dbd_db_reconnects", NULL, 1, \
		"PostgreSQL connections that were lost and opened again.") \
	READ(counter, db_connect_failures, store.connect_failures, "pierre_dbd_db_connect_failures", NULL, 1, \
		"Attempts to connect to PostgreSQL that failed.") \
	READ(counter, db_timeouts, store.timeouts, "pierre_dbd_db_timeouts", NULL, 1, \
		"Calls whose time ran out in the database.") \
	READ(counter, db_wait_ns, store.wait_ns_total, NULL, NULL, 1, \
		"Time that calls waited for a database connection or thread.") \
	READ(counter, db_waits, store.wait_count, NULL, NULL, 1, "Calls that waited for one.") \
	READ(counter, sqlite_checkpoints, store.checkpoints, "pierre_dbd_sqlite_checkpoints", NULL, 1, \
		"Checkpoints of SQLite's write-ahead log.") \
	READ(counter, sqlite_checkpoints_busy, store.checkpoint_busy, "pierre_dbd_sqlite_checkpoints_busy", NULL, 1, \
		"Checkpoints that readers kept from finishing.") \
	READ(counter, seals, store.seals, "pierre_dbd_tokens_sealed", NULL, 1, \
		"Tokens that were encrypted.") \
	READ(counter, opens, store.opens, "pierre_dbd_tokens_opened", NULL, 1, \
		"Tokens that were decrypted.") \
	READ(counter, cpu_user_us, usage.cpu_user_us, NULL, NULL, 1, \
		"Processor time of the program itself.") \
	READ(counter, cpu_system_us, usage.cpu_system_us, NULL, NULL, 1, \
		"Processor time of the system on its behalf.") \
 \
	READ(gauge, clients, server->set.count, "pierre_dbd_clients", NULL, 1, \
		"Clients that are connected.") \
	READ(gauge, clients_max, admin->runtime->settings->connections, "pierre_dbd_clients_limit", NULL, 1, \
		"Clients that may be connected.") \
	READ(gauge, in_flight, dispatcher->in_flight, "pierre_dbd_requests_in_flight", NULL, 1, \
		"Calls that have begun and are not answered.") \
	READ(gauge, client_memory_bytes, server->set.scheduler.account.held, "pierre_dbd_client_memory_bytes", "bytes", 1, \
		"Memory held for clients: lines, calls, batches and answers.") \
	READ(gauge, client_memory_peak_bytes, server->set.scheduler.account.peak, "pierre_dbd_client_memory_peak_bytes", "bytes", 1, \
		"Most memory held for clients at any time since the start.") \
	READ(gauge, draining, draining, "pierre_dbd_draining", NULL, 1, "1 while the daemon stops.") \
	READ(gauge, paused, dispatcher->pause.paused, "pierre_dbd_paused", NULL, 1, \
		"1 while new calls wait until the daemon is resumed.") \
	READ(gauge, paused_calls, dispatcher->pause.count, "pierre_dbd_paused_calls", NULL, 1, \
		"Calls that wait for that.") \
	COUNTED(gauge, loop_lag_ns, "pierre_dbd_loop_lag_seconds", "seconds", 1e-9, \
		"How late the event loop last was.") \
	COUNTED(gauge, loop_lag_max_ns, "pierre_dbd_loop_lag_max_seconds", "seconds", 1e-9, \
		"How late the event loop was at most since the start.") \
	READ(gauge, loop_long_line_bytes_max, server->set.scheduler.long_bytes_max, "pierre_dbd_loop_long_line_max_bytes", "bytes", 1, \
		"Most bytes of long lines that one loop iteration took.") \
	READ(gauge, loop_result_bytes_max, store.loop_bytes_max, "pierre_dbd_loop_result_max_bytes", "bytes", 1, \
		"Most bytes of rows that the event loop made answers of without a pause.") \
	READ(gauge, password_threads, passwords.threads, "pierre_dbd_password_threads", NULL, 1, \
		"Threads for passwords.") \
	READ(gauge, passwords_running, passwords.running, "pierre_dbd_passwords_running", NULL, 1, \
		"Passwords that threads are working on.") \
	READ(gauge, passwords_queued, passwords.queued, "pierre_dbd_passwords_queued", NULL, 1, \
		"Passwords that wait.") \
	READ(gauge, db_connections_idle, store.connections_idle, NULL, NULL, 1, \
		"Database connections (SQLite: threads) that wait for work.") \
	READ(gauge, db_connections_active, store.connections_active, NULL, NULL, 1, \
		"Those that are at work.") \
	READ(gauge, db_connections_connecting, store.connections_connecting, NULL, NULL, 1, \
		"Those that are being opened.") \
	READ(gauge, db_connections_max, store.connections_max, "pierre_dbd_db_pool_connections_limit", NULL, 1, \
		"Most database connections (SQLite: threads) that are allowed.") \
	READ(gauge, db_queued, store.queued, "pierre_dbd_db_queued_calls", NULL, 1, \
		"Calls that wait for a database connection or thread.") \
	READ(gauge, db_running, store.running, "pierre_dbd_db_running_calls", NULL, 1, \
		"Calls that are in the database.") \
	READ(gauge, db_batch_max, store.batch_max, "pierre_dbd_db_batch_max_calls", NULL, 1, \
		"Most calls that shared one commit.") \
	READ(gauge, sqlite_wal_bytes, store.wal_bytes, "pierre_dbd_sqlite_wal_bytes", "bytes", 1, \
		"Size of SQLite's write-ahead log.") \
	READ(gauge, key_seals, store.key_seals, "pierre_dbd_key_seals", NULL, 1, \
		"Texts that the encryption key has sealed in its life; at 4294967296 it must have been changed.") \
	READ(gauge, resident_bytes, usage.resident_bytes, "process_resident_memory_bytes", "bytes", 1, \
		"Memory of the process.") \
	READ(gauge, descriptors, usage.descriptors, "process_open_fds", NULL, 1, \
		"File descriptors that are open.") \
	READ(gauge, descriptors_max, usage.descriptor_limit, "process_max_fds", NULL, 1, \
		"File descriptors that may be open.") \
	READ(gauge, threads, usage.threads, "process_threads", NULL, 1, "Threads of the process.") \
	READ(gauge, started_at, usage.started_at, "process_start_time_seconds", "seconds", 1, \
		"When the process was started, in seconds since 1970.")
/* clang-format on */

#endif
