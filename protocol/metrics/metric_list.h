/* The list of all counters and gauges of the daemon. The members of struct metrics, daemon.stats,
 * the metrics of pierre-dbctl and the table in docs/observe.md are made from it.
 *
 *   COUNTED(kind, member, metric, unit, scale, help)
 *   READ(kind, member, source, metric, unit, scale, help)
 *
 * kind: counter, which only grows, or gauge. member: the name in daemon.stats; of COUNTED also the
 * one in struct metrics. source: the member of struct stats_sources with the value. metric: NULL
 * where pierre-dbctl combines several members into one metric. unit: NULL, or the suffix of the
 * metric's name. scale: from the member's unit to the metric's. */
#ifndef PIERRE_METRIC_LIST_H
#define PIERRE_METRIC_LIST_H

/* clang-format off */
#define METRIC_LIST(COUNTED, READ) \
	READ(counter, requests, requests, NULL, NULL, 1, \
		"Calls, and lines refused before their method was known.") \
	READ(counter, errors, errors, NULL, NULL, 1, "Requests that failed.") \
	COUNTED(counter, lines, "pierre_dbd_received_lines", NULL, 1, \
		"Lines received from clients.") \
	COUNTED(counter, batches, "pierre_dbd_batches", NULL, 1, "JSON-RPC batches.") \
	COUNTED(counter, notifications, "pierre_dbd_notifications", NULL, 1, \
		"Requests without an id.") \
	COUNTED(counter, slow_calls, "pierre_dbd_slow_calls", NULL, 1, \
		"Calls that took longer than the setting slow-call.") \
	COUNTED(counter, calls_dropped, "pierre_dbd_calls_dropped", NULL, 1, \
		"Calls dropped before they began because the client had disconnected.") \
	COUNTED(counter, connections_accepted, "pierre_dbd_connections_accepted", NULL, 1, \
		"Client connections accepted.") \
	COUNTED(counter, connections_closed, "pierre_dbd_connections_closed", NULL, 1, \
		"Client connections closed.") \
	COUNTED(counter, connections_refused, "pierre_dbd_connections_refused", NULL, 1, \
		"Client connections refused because of a connection limit.") \
	COUNTED(counter, accept_failures, "pierre_dbd_accept_failures", NULL, 1, \
		"Client connections not accepted for lack of file descriptors or memory.") \
	COUNTED(counter, line_timeouts, "pierre_dbd_line_timeouts", NULL, 1, \
		"Clients disconnected because they did not complete a line in time.") \
	COUNTED(counter, write_timeouts, "pierre_dbd_write_timeouts", NULL, 1, \
		"Clients disconnected because they did not read answers in time.") \
	COUNTED(counter, reading_paused, "pierre_dbd_reading_pauses", NULL, 1, \
		"Times that reading from a client was paused because of its limits.") \
	COUNTED(counter, bytes_in, "pierre_dbd_received_bytes", "bytes", 1, \
		"Bytes received from clients.") \
	COUNTED(counter, bytes_out, "pierre_dbd_sent_bytes", "bytes", 1, \
		"Bytes sent to clients.") \
	READ(counter, passwords_hashed, passwords.hashed, "pierre_dbd_passwords_hashed", NULL, 1, \
		"Passwords hashed.") \
	READ(counter, passwords_verified, passwords.verified, \
		"pierre_dbd_passwords_verified", NULL, 1, "Passwords verified.") \
	READ(counter, password_timeouts, passwords.timeouts, \
		"pierre_dbd_password_timeouts", NULL, 1, \
		"Passwords whose wait for a thread timed out.") \
	READ(counter, bcrypt_rounds, passwords.rounds, "pierre_dbd_bcrypt_rounds", NULL, 1, \
		"Rounds of bcrypt, 2^cost per hash; every check takes the same number.") \
	READ(counter, log_lines, log_lines, "pierre_dbd_log_lines", NULL, 1, \
		"Lines written to the log.") \
	READ(counter, log_dropped, log_dropped, "pierre_dbd_log_dropped", NULL, 1, \
		"Log lines dropped because the log was not read fast enough.") \
	READ(counter, reloads, admin->reloads, "pierre_dbd_reloads", NULL, 1, \
		"Times that the settings were reloaded.") \
	COUNTED(counter, pauses, "pierre_dbd_pauses", NULL, 1, \
		"Times that the daemon was paused.") \
	READ(counter, db_transactions, store.transactions, "pierre_dbd_db_transactions", NULL, 1, \
		"Commits; several calls can share one.") \
	READ(counter, db_batched_calls, store.batched_calls, \
		"pierre_dbd_db_batched_calls", NULL, 1, "Calls in transactions.") \
	READ(counter, db_batches_ahead, store.batches_ahead, \
		"pierre_dbd_db_batches_ahead", NULL, 1, \
		"Batches sent while another was under way on the connection (PostgreSQL).") \
	READ(counter, db_merged_calls, store.merged_calls, "pierre_dbd_db_merged_calls", NULL, 1, \
		"Look-ups merged into a shared statement (PostgreSQL).") \
	READ(counter, db_retries, store.retries, "pierre_dbd_db_retries", NULL, 1, \
		"Calls that were retried.") \
	READ(counter, db_reconnects, store.reconnects, "pierre_dbd_db_reconnects", NULL, 1, \
		"PostgreSQL connections reopened after a loss.") \
	READ(counter, db_connect_failures, store.connect_failures, \
		"pierre_dbd_db_connect_failures", NULL, 1, \
		"Failed attempts to connect to PostgreSQL.") \
	READ(counter, db_went_back, store.went_back, "pierre_dbd_db_went_back", NULL, 1, \
		"PostgreSQL connections refused because the primary went back in its history.") \
	READ(counter, standby_reads, store.standby_reads, "pierre_dbd_standby_reads", NULL, 1, \
		"Causal reads that standbys have answered (PostgreSQL).") \
	READ(counter, primary_reads_behind, store.primary_reads[READ_BEHIND], NULL, NULL, 1, \
		"Causal reads on the primary: no standby had replayed what they must see.") \
	READ(counter, primary_reads_old, store.primary_reads[READ_OLD], NULL, NULL, 1, \
		"The same: every standby was older than standby-lag.") \
	READ(counter, primary_reads_conflict, store.primary_reads[READ_CONFLICT], NULL, NULL, 1, \
		"The same: replay on the standby cancelled them.") \
	READ(counter, primary_reads_lost, store.primary_reads[READ_LOST], NULL, NULL, 1, \
		"The same: no standby was connected.") \
	READ(counter, primary_reads_slow, store.primary_reads[READ_SLOW], NULL, NULL, 1, \
		"The same: the standby did not answer in time.") \
	READ(counter, primary_reads_pending, store.primary_reads[READ_PENDING], NULL, NULL, 1, \
		"The same: they follow a call on the primary.") \
	READ(counter, db_timeouts, store.timeouts, "pierre_dbd_db_timeouts", NULL, 1, \
		"Calls that timed out in the database.") \
	READ(counter, db_wait_ns, store.wait_ns_total, NULL, NULL, 1, \
		"Time that calls waited for a database connection or thread.") \
	READ(counter, db_waits, store.wait_count, NULL, NULL, 1, \
		"Calls that waited for a database connection or thread.") \
	READ(counter, sqlite_checkpoints, store.checkpoints, \
		"pierre_dbd_sqlite_checkpoints", NULL, 1, \
		"Checkpoints of SQLite's write-ahead log.") \
	READ(counter, sqlite_checkpoints_busy, store.checkpoint_busy, \
		"pierre_dbd_sqlite_checkpoints_busy", NULL, 1, \
		"Checkpoints that readers prevented from completing.") \
	READ(counter, seals, store.seals, "pierre_dbd_tokens_sealed", NULL, 1, \
		"Tokens encrypted.") \
	READ(counter, opens, store.opens, "pierre_dbd_tokens_opened", NULL, 1, \
		"Tokens decrypted.") \
	READ(counter, cpu_user_us, usage.cpu_user_us, NULL, NULL, 1, \
		"CPU time in user mode.") \
	READ(counter, cpu_system_us, usage.cpu_system_us, NULL, NULL, 1, \
		"CPU time in system mode.") \
 \
	READ(gauge, clients, server->set.count, "pierre_dbd_clients", NULL, 1, \
		"Connected clients.") \
	READ(gauge, clients_max, admin->runtime->settings->connections, \
		"pierre_dbd_clients_limit", NULL, 1, "Maximum number of connected clients.") \
	READ(gauge, in_flight, dispatcher->in_flight, "pierre_dbd_requests_in_flight", NULL, 1, \
		"Calls that have begun and are not yet answered.") \
	READ(gauge, client_memory_bytes, server->set.scheduler.account.held, \
		"pierre_dbd_client_memory_bytes", "bytes", 1, \
		"Memory in use for clients: lines, calls, batches and answers.") \
	READ(gauge, client_memory_peak_bytes, server->set.scheduler.account.peak, \
		"pierre_dbd_client_memory_peak_bytes", "bytes", 1, \
		"Maximum memory in use for clients since the daemon started.") \
	READ(gauge, draining, draining, "pierre_dbd_draining", NULL, 1, \
		"1 while the daemon shuts down.") \
	READ(gauge, paused, dispatcher->pause.paused, "pierre_dbd_paused", NULL, 1, \
		"1 while new calls are deferred until the daemon is resumed.") \
	READ(gauge, paused_calls, dispatcher->pause.count, "pierre_dbd_paused_calls", NULL, 1, \
		"Calls deferred by a pause.") \
	COUNTED(gauge, loop_lag_ns, "pierre_dbd_loop_lag_seconds", "seconds", 1e-9, \
		"Last measured lag of the event loop.") \
	COUNTED(gauge, loop_lag_max_ns, "pierre_dbd_loop_lag_max_seconds", "seconds", 1e-9, \
		"Maximum lag of the event loop since the daemon started.") \
	READ(gauge, loop_long_line_bytes_max, server->set.scheduler.long_bytes_max, \
		"pierre_dbd_loop_long_line_max_bytes", "bytes", 1, \
		"Maximum bytes of long lines processed in one loop iteration.") \
	READ(gauge, loop_result_bytes_max, store.loop_bytes_max, \
		"pierre_dbd_loop_result_max_bytes", "bytes", 1, \
		"Maximum bytes of rows converted to answers without yielding the event loop.") \
	READ(gauge, password_threads, passwords.threads, "pierre_dbd_password_threads", NULL, 1, \
		"Threads that hash passwords.") \
	READ(gauge, passwords_running, passwords.running, "pierre_dbd_passwords_running", NULL, 1, \
		"Passwords being hashed.") \
	READ(gauge, passwords_queued, passwords.queued, "pierre_dbd_passwords_queued", NULL, 1, \
		"Passwords that wait for a thread.") \
	READ(gauge, db_connections_idle, store.connections_idle, NULL, NULL, 1, \
		"Idle database connections (SQLite: threads).") \
	READ(gauge, db_connections_active, store.connections_active, NULL, NULL, 1, \
		"Active database connections (SQLite: threads).") \
	READ(gauge, db_connections_connecting, store.connections_connecting, NULL, NULL, 1, \
		"Database connections being opened.") \
	READ(gauge, db_connections_max, store.connections_max, \
		"pierre_dbd_db_pool_connections_limit", NULL, 1, \
		"Maximum number of database connections (SQLite: threads).") \
	READ(gauge, db_queued, store.queued, "pierre_dbd_db_queued_calls", NULL, 1, \
		"Calls that wait for a database connection or thread.") \
	READ(gauge, db_running, store.running, "pierre_dbd_db_running_calls", NULL, 1, \
		"Calls running in the database.") \
	READ(gauge, db_batch_max, store.batch_max, "pierre_dbd_db_batch_max_calls", NULL, 1, \
		"Maximum number of calls in one commit.") \
	READ(gauge, db_timeline, store.timeline, "pierre_dbd_db_timeline", NULL, 1, \
		"Newest timeline of a PostgreSQL primary since the daemon started.") \
	READ(gauge, db_outage_ns, store.outage_ns, \
		"pierre_dbd_db_outage_seconds", "seconds", 1e-9, \
		"Time without a primary while standbys are read; 0 while there is one.") \
	READ(gauge, sqlite_wal_bytes, store.wal_bytes, "pierre_dbd_sqlite_wal_bytes", "bytes", 1, \
		"Size of SQLite's write-ahead log.") \
	READ(gauge, key_seals, store.key_seals, "pierre_dbd_key_seals", NULL, 1, \
		"Texts encrypted with the current key; change the key before 4294967296.") \
	READ(gauge, resident_bytes, usage.resident_bytes, \
		"process_resident_memory_bytes", "bytes", 1, "Memory of the process.") \
	READ(gauge, descriptors, usage.descriptors, "process_open_fds", NULL, 1, \
		"Open file descriptors.") \
	READ(gauge, descriptors_max, usage.descriptor_limit, "process_max_fds", NULL, 1, \
		"Maximum number of open file descriptors.") \
	READ(gauge, threads, usage.threads, "process_threads", NULL, 1, "Threads of the process.") \
	READ(gauge, started_at, usage.started_at, "process_start_time_seconds", "seconds", 1, \
		"Start time of the process, in seconds since 1970.")
/* clang-format on */

#endif
