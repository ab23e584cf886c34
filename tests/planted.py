#!/usr/bin/env python3
"""Tests the tests: plants one defect at a time in a copy of the source, builds it, and expects the
matching test to fail.

usage: tests/planted.py [NAME-PART…]
Takes some minutes, since each defect is a build of its own; not part of an ordinary run. On SQLite,
but for tests that know PostgreSQL alone. A defect whose place in the source is not found any more
counts as failed: then it must be planted anew. Ends with `N passed, N failed`.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from run import pytest_command

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

# name, [(file, text, its replacement)], test file, tests in it (none: all)
# fmt: off
DEFECTS = [
    ("a primary that went back gets writes", [
        ("backends/postgres/cluster/takeover.c",
         "if (!guard_follows(&store->newest, lineage, store->gone_back)) {",
         "if (0) {"),
    ], "faults/test_postgres_takeover.py", ["Takeover.test_an_older_primary_gets_no_calls"]),
    ("reads on standbys ignore a position that a client has waited for", [
        ("daemon/admin/wait_for.c",
         "\t\traise_reads(store, &wanted);",
         "\t\tif (store == NULL)\n\t\t\traise_reads(store, &wanted);"),
    ], "faults/test_read_split_shown.py", ["ReadSplitShown.test_positions"]),
    ("a standby's reads are counted for another server", [
        ("backends/postgres/standby/split.c",
         "split->servers.list[servers_place(&split->servers, connection)].reads++;",
         "split->servers.list[0].reads++;"),
    ], "faults/test_read_split_shown.py", ["ReadSplitShown.test_healthy"]),
    ("the timeline guard compares the wrong way", [
        ("backends/postgres/cluster/guard.c",
         "if (now->timeline != 0 && now->timeline < newest->timeline) {",
         "if (now->timeline != 0 && now->timeline > newest->timeline) {"),
    ], "faults/test_postgres_takeover.py", ["Takeover.test_an_older_primary_gets_no_calls"]),
    ("a migration or a change of the key passes the timeline guard", [
        ("backends/postgres/blocking/jobs.c",
         "} else if (!guard_follows(&job->lineage, &lineage, job->error)) {",
         "} else if (0) {"),
    ], "faults/test_postgres_takeover.py", ["Takeover.test_an_older_primary_gets_no_calls"]),
    ("connections stay at a frozen primary that has been replaced", [
        ("backends/postgres/cluster/takeover.c",
         "\t\ttakeover_cut(store);\n\tPQfinish(pq);",
         "\t\t(void)0;\n\tPQfinish(pq);"),
        ("backends/postgres/pool.c",
         "\ttakeover_cut(store);\n",
         ""),
    ], "faults/test_postgres_takeover.py", ["Takeover.test_a_frozen_primary"]),
    ("a silent primary delays each attempt to find the next one", [
        ("backends/postgres/cluster/takeover.c",
         "else if (stuck && store->failures > 0 && store->host_count > 1)",
         "else if (0)"),
    ], "faults/test_postgres_takeover.py",
     ["Takeover.test_a_silent_primary_delays_one_attempt"]),
    ("an older primary keeps the newest from being found", [
        ("backends/postgres/cluster/takeover.c",
         "target.first += store->failures;",
         "target.first += 0;"),
    ], "faults/test_postgres_takeover.py",
     ["Takeover.test_an_older_primary_before_the_newest"]),
    ("the other hosts are not tried after a host that answers with an error", [
        ("backends/postgres/blocking/connect.c",
         ": hosts_passed(target->url, pq, target->first, attempt.passed);",
         ": count;"),
    ], "faults/test_postgres_takeover.py", ["Takeover.test_a_host_without_the_database"]),
    ("the server waits two hours for a host that has vanished", [
        ("backends/postgres/blocking/connect.c",
         "WHERE source = 'default')\"",
         "WHERE false)\""),
    ], "faults/test_many_hosts.py", ["ManyHosts.test_keepalives_of_the_server"]),
    ("a standby tells its position behind the reads", [
        ("backends/postgres/sending/send.c",
         "return !store->reads_only ||\n"
         "\t\tproof_begin(store, connection, call_of(list_first(&connection->back->calls)));",
         "return true;"),
        ("backends/postgres/sending/send.c",
         "return proof_end(store, connection, call_of(batch->calls.prev));",
         "return proof_begin(store, connection, call_of(batch->calls.prev)) && "
         "proof_end(store, connection, call_of(batch->calls.prev));"),
    ], "faults/test_standby_reads.py", ["Rules.test_the_position_is_told_before_the_read"]),
    ("the end of the log counts where nothing is flushed behind the header of a page", [
        ("backends/postgres/sql/daemon.sql",
         "ELSE pg_current_wal_flush_lsn() END",
         "ELSE pg_current_wal_insert_lsn() END"),
    ], "faults/test_standby_reads.py", ["Rules.test_end_of_a_page"]),
    ("nothing on a standby waits for what the primary has answered", [
        ("backends/postgres/standby/history.c",
         "history->sample[table] = samples_next(&history->split->samples);",
         "(void)samples_next;"),
    ], "faults/test_standby_reads.py", ["Rules.test_own_writes"]),
    ("a standby is believed because of what another connection was told", [
        ("backends/postgres/standby/split.c",
         "proof->replayed >= call->position && !history_fell_before(call);",
         "split->servers.list[(connection->number - 1) % split->servers.count].replayed >= "
         "call->position;"),
        ("backends/postgres/standby/servers.c",
         "server->replayed = proof->replayed;",
         "server->replayed = server->replayed > proof->replayed ? server->replayed : "
         "proof->replayed;"),
    ], "faults/test_standby_reads.py", ["Rules.test_a_name_of_several_servers"]),
    ("the primary shows what is older than a standby has shown", [
        ("backends/postgres/standby/history.c",
         "if ((history->shown & tables) == 0)\n\t\treturn true;",
         "if ((history->shown & tables) == 0 || now != NULL)\n\t\treturn true;"),
    ], "faults/test_standby_reads.py", ["Rules.test_from_a_standby_to_the_primary"]),
    ("a standby shows what is older than another one has shown", [
        ("backends/postgres/standby/split.c",
         "if (history->shown_log > log &&",
         "if (history->shown_log > log && history == NULL &&"),
    ], "faults/test_standby_reads.py", ["Rules.test_from_a_standby_to_another"]),
    ("a position from before its commit covers what a batch writes", [
        ("backends/postgres/pg_batch.c",
         "if (connection->front->writes)\n\t\treturn;\n\tlist_for_each",
         "list_for_each"),
        ("backends/postgres/sending/send.c",
         "sampler.unflushed || batch->writes ||",
         "sampler.unflushed ||"),
    ], "faults/test_standby_reads.py", ["Rules.test_from_the_primary_beside_a_write"]),
    ("a read stays on a standby behind one that the primary answers", [
        ("backends/postgres/standby/history.c",
         "return (history->fallen & read->tables) != 0 &&",
         "return history->fallen == UINT32_MAX &&"),
    ], "faults/test_standby_reads.py", ["Rules.test_a_read_behind_one_that_goes_to_the_primary"]),
    ("a standby of an older timeline is read", [
        ("backends/postgres/standby/servers.c",
         "return reader->timeline != 0 && reader->timeline == split->store->newest.timeline;",
         "return reader->timeline != 0;"),
        ("backends/postgres/standby/split.c",
         "proof->timeline == split->store->newest.timeline &&",
         "proof->timeline != 0 &&"),
    ], "faults/test_standby_outages.py", ["Promotion.test_a_standby_of_the_old_timeline"]),
    ("a standby that is cut off stays young", [
        ("backends/postgres/standby/split.c",
         "samples_since(&split->samples, now > lag ? now - lag : 0);",
         "samples_since(&split->samples, now < lag ? now : 0);"),
    ], "faults/test_standby_reads.py", ["Rules.test_a_standby_that_is_cut_off"]),
    ("a read on a standby overtakes an unfinished write", [
        ("backends/postgres/standby/split.c",
         "(history->primary.tables & tables) != 0 ||",
         ""),
    ], "faults/test_standby_reads.py", ["Rules.test_a_read_behind_an_unfinished_write"]),
    ("a write overtakes an unfinished read on a standby", [
        ("backends/postgres/standby/split.c",
         "if ((history->standby.tables & tables) != 0)\n\t\treturn false;",
         ""),
    ], "faults/test_standby_reads.py", ["Rules.test_a_write_behind_an_unfinished_read"]),
    ("a caller sees the error of a standby", [
        ("backends/postgres/standby/split.c",
         "if (call->err.kind == ERR_NONE || call->dropped ||",
         "if (call->err.kind < ERR_KIND_COUNT || call->dropped ||"),
    ], "faults/test_standby_reads.py", ["Rules.test_replay_cancels_a_read"]),
    ("other connections read what is older than a position that was waited for", [
        ("backends/postgres/postgres.c",
         "store->split->floor = log;",
         "(void)log;"),
    ], "faults/test_standby_reads.py", ["Rules.test_a_position_of_another_daemon"]),
    ("standbys answer for ever without a primary", [
        ("backends/postgres/standby/split.c",
         "if (split->lost_at != 0 && now - split->lost_at > outage * split_ms)",
         "if (split->lost_at != 0 && now - split->lost_at > outage * split_ms * 1000)"),
    ], "faults/test_standby_outages.py", ["Outages.test_killed"]),
    ("a primary that stays frozen no longer counts as lost", [
        ("backends/postgres/standby/sampler.c",
         "(sampler->silent && sampler->answered == split->store->transactions);",
         "sampler->answered == UINT64_MAX;"),
    ], "faults/test_standby_surroundings.py", ["Primary.test_frozen_for_long"]),
    ("of several hosts a standby is used", [
        ("backends/postgres/blocking/connect.c",
         'hosts.count > 1 && !hosts.chosen ? "read-write" : NULL',
         "NULL"),
    ], "faults/test_postgres_takeover.py", ["Takeover.test_several_hosts"]),
    ("the promotion of a standby is missed", [
        ("backends/postgres/pg_batch.c",
         "if (connection->standby && batch->writes)",
         "if (0)"),
    ], "faults/test_postgres_takeover.py", ["Takeover.test_a_promoted_standby"]),
    ("the exporter no longer listens after all its places were taken", [
        ("tools/exporter/http.c",
         "if (http->full && http->count < http->places)\n\t\treturn 0;",
         ""),
    ], "exporter/test_exporter.py", ["Abuse.test_a_flood_of_requests"]),
    ("clients of the exporter that send nothing keep others out", [
        ("tools/exporter/http.c",
         "if (http->count < http->places)\n\t\treturn;\n\twhile",
         "return;\n\twhile"),
    ], "exporter/test_exporter.py", ["Abuse.test_a_crowd"]),
    ("a client of the exporter that sends a byte at a time is never closed", [
        ("tools/exporter/http.c",
         "http->clients[i].deadline <= now)",
         "http->clients[i].deadline <= now - 3600000)"),
    ], "exporter/test_exporter.py", ["Abuse.test_slow_clients"]),
    ("the exporter listens on every address", [
        ("tools/exporter/listener.c",
         "if (!is_loopback(&address))",
         "if (!is_loopback(&address) && getenv(\"LISTEN_PID\") != NULL)"),
    ], "exporter/test_exporter.py", ["Addresses.test_only_loopback"]),
    ("the exporter asks the daemon for each client", [
        ("tools/exporter/scrape.c",
         "now - scrape->ended < RECENT_MS",
         "now < scrape->ended"),
    ], "exporter/test_exporter.py", ["Pages.test_clients_share_a_question"]),
    ("a refusal that another transaction with the key caused is final", [
        ("backends/postgres/idempotency/pg_replay.c",
         "\tkey->refused = key->look = true;\n\treturn true;",
         "\tkey->refused = key->look = true;\n\treturn false;"),
    ], "faults/test_postgres_once.py", ["TwoDaemons"]),
    ("a lost connection answers the refusal that a call's own row caused", [
        ("backends/postgres/pg_batch.c",
         "batch->failure == CALL_DONE && !batch->replay &&",
         "batch->failure == CALL_DONE &&"),
    ], "faults/test_postgres_once.py", ["OneDaemon.test_refused_because_of_its_own_row"]),
    ("an expired key is valid until its row is removed", [
        ("backends/sqlite/threads/replay.c",
         "AND created_us > ?3",
         "AND created_us > ?3 - 86400000000"),
    ], "contract/test_idempotency.py", ["Once.test_end_of_a_key"]),
    ("a late row is missing in its day", [
        ("backends/sqlite/threads/rollup.c",
         "usage_sums_any(&hours, bounds->summed_to)",
         "!usage_sums_any(&hours, INT64_MAX)"),
    ], "faults/test_usage_days.py", ["Days.test_days_are_their_rows"]),
    ("a late row is missing in a day that the sweep under way has summed", [
        ("backends/sqlite/threads/usage_days.h",
         'hour " < s.days_next AND (" parent',
         'hour " < s.days_to AND (" parent'),
    ], "faults/test_usage_days.py", ["Days.test_killed_while_days_are_summed"]),
    ("days count as summed without their sums", [
        ("backends/sqlite/threads/usage_days.c",
         "i < count && days->sums[i] != NULL",
         "i > count && days->sums[i] != NULL"),
    ], "faults/test_usage_days.py", ["Days.test_days_are_their_rows"]),
    ("counts read days that are not summed yet", [
        ("backends/sqlite/sql/usage.sql",
         "max(first_day, min(day_of(until), days_to)) AS last_day",
         "max(first_day, day_of(until)) AS last_day"),
    ], "faults/test_usage_days.py", ["Days.test_days_are_their_rows"]),
    ("the present day is summed", [
        ("backends/sqlite/threads/usage_days.c",
         "(timestamp_now() - wait_us)",
         "(timestamp_now() + 23 * wait_us)"),
    ], "faults/test_usage_days.py", ["Days.test_days_are_their_rows"]),
    ("the library does not repeat a write", [
        ("client/link.c",
         "(call->repeatable || (!call->write && !call->sent_before))",
         "(!call->write && !call->sent_before)"),
    ], "faults/test_once.py", []),
    ("a position shares the batch of the write before it", [
        ("backends/postgres/pg_batch.h",
         " || call->method->impl == IMPL_POSITION;",
         ";"),
    ], "faults/test_standby.py", ["Standby.test_waits_for_the_write"]),
    ("reads overtake a wait for a position", [
        ("daemon/admin/wait_for.c",
         "\tlist_append(request->connection->held.next, &request->link);\n",
         ""),
    ], "faults/test_standby.py", ["Standby.test_waits_for_the_write"]),
    ("a copy of a database keeps its name", [
        ("backends/sqlite/files/identity.c",
         "copied ? \"REPLACE\"",
         "copied ? \"IGNORE\""),
    ], "faults/test_restore.py", ["Positions"]),
    ("rows are locked in the order of arrival", [
        ("backends/postgres/gather.c",
         "if (gathering->unsorted)",
         "if (0)"),
    ], "faults/test_many_daemons.py", ["Locks.test_rows_of_one_table"]),
    ("calls that depend on each other are reordered", [
        ("backends/postgres/gather.c",
         "if (!commute_conflicts(before, call))",
         "if (1)"),
    ], "faults/test_many_daemons.py", ["Order"]),
    ("warnings at a commit are ignored", [
        ("backends/postgres/pg_batch.c",
         "if (batch->warned)",
         "if (0)"),
    ], "faults/test_postgres_failover.py", ["Synchronous.test_wait_cancelled_by_another"]),
    ("a health check shares a batch and takes its commit's error", [
        ("backends/postgres/pg_batch.c",
         "(uint8_t)(pg_batch_is_own(call) ? ROUTE_ALONE : route);",
         "(uint8_t)route;"),
        ("backends/postgres/pg_receive.c",
         "struct call *last = last_method(batch);",
         "struct call *last = list_empty(&batch->calls) ? last_method(batch) :\n"
         "\t\tcall_of(batch->calls.prev);"),
        ("backends/postgres/pg_receive.c",
         "if (last == NULL || batch->failed != NULL)",
         "if (last == NULL || last->method == NULL || batch->failed != NULL)"),
    ], "faults/test_postgres_commit.py", ["Refused"]),
    ("a batch that is sent while receiving counts as unsent", [
        ("backends/postgres/pg_receive.c",
         "(consumed != 1 || PQflush(connection->pq) == 0))",
         "consumed == 2)"),
    ], "faults/test_postgres_commit.py", ["Leaving"]),
    ("the error of a batch is taken for the one behind it", [
        ("backends/postgres/pg_receive.c",
         "\tconnection->front->failed = whole;\n"
         "\tpg_batch_enter(connection->front, PG_BATCH_FAILED);",
         "\tconnection->back->failed = whole;\n"
         "\tpg_batch_enter(connection->back, PG_BATCH_FAILED);"),
    ], "faults/test_postgres_ahead.py", ["Failures.test_statement"]),
    ("batches behind an unanswered one count as not carried out", [
        ("backends/postgres/pg_batch.c",
         "i == 0 || !connection->session_ended,", "i == 0,"),
    ], "faults/test_postgres_ahead.py", ["Cuts.test_in_the_answers"]),
    ("a batch is sent into a cancel of the one before", [
        ("backends/postgres/pg_connection.c",
         "return connection->cancelling == 0;", "return true;"),
    ], "faults/test_postgres_ahead.py", ["Cancels"]),
    ("calls of a client are in two batches at once", [
        ("backends/postgres/gather.c",
         "gathering->ahead && pg_connection_carries(connection, order)", "0"),
    ], "faults/test_postgres_ahead.py", ["Order.test_calls_of_one_client"]),
    ("a batch follows one that prepares a statement", [
        ("backends/postgres/sending/pg_queue.c",
         "\t\tconnection->back->quick = false;",
         "\t\tconnection->back->quick = true;"),
    ], "faults/test_postgres_ahead.py", ["Order.test_first_use_of_a_statement"]),
    ("a pooler's lost server has begun nothing", [
        ("backends/postgres/pg_receive.c",
         'return result_fatal(result) && !result_in_class(result, "08");',
         "return result_fatal(result);"),
    ], "faults/test_postgres_ahead_faults.py", ["Hostile"]),
    ("an answer that libpq cannot read is the call's refusal", [
        ("backends/postgres/pg_receive.c",
         "\tif (PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL)\n\t\treturn true;\n",
         "\tif (PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL)\n\t\treturn false;\n"),
    ], "faults/test_postgres_ahead_faults.py", ["Hostile"]),
    ("a write with a key is not sent ahead", [
        ("backends/postgres/gather.c",
         "(call->idempotency == NULL || pg_once_is(call))", "call->idempotency == NULL"),
    ], "faults/test_postgres_ahead_once.py", ["Keys.test_sent_ahead"]),
    ("the key of a refused write is stored", [
        ("backends/postgres/idempotency/pg_once.c",
         'effect_sql[] = ROW_WHERE "EXISTS (SELECT FROM done)"', 'effect_sql[] = ROW_WHERE "TRUE"'),
    ], "faults/test_postgres_ahead_once.py", ["Keys.test_refused_at_each_place"]),
    ("a stored key is an error of the write", [
        ("backends/postgres/idempotency/pg_replay.c",
         "item->kind == ITEM_CALL && item->count == 0 && pg_once_is(item->call);",
         "item->kind == ITEM_SYNC;"),
    ], "faults/test_postgres_ahead_once.py", ["Keys.test_known_at_each_place"]),
    ("the settings of a pooler's session are trusted", [
        ("backends/postgres/sending/pg_queue.c",
         "return !store->pooled ||",
         "return 1 || !store->pooled ||"),
    ], "faults/test_pgbouncer.py", ["Sessions.test_settings_left_behind"]),
    ("a failed transaction keeps its changes", [
        ("backends/sqlite/threads/savepoint.c",
         '"ROLLBACK TO calls; RELEASE calls"',
         '"RELEASE calls"'),
    ], "contract/test_transaction.py", ["Undone"]),
    ("a transaction is committed although a call failed", [
        ("backends/postgres/pg_receive.c",
         "send_end(store, connection, commit)",
         "send_end(store, connection, true)"),
    ], "faults/test_postgres_transactions.py",
     ["Conflicts.test_a_failure_that_the_server_does_not_know"]),
    ("a transaction is not retried after a serialization failure", [
        ("backends/postgres/pg_batch.c",
         "(transaction_is(call) && failure == CALL_RETRY ? TRANSACTION_TRIES_MAX : TRIES_MAX)",
         "(transaction_is(call) ? 0 : TRIES_MAX)"),
    ], "faults/test_postgres_transactions.py",
     ["Conflicts.test_serialization", "Conflicts.test_deadlock_of_two_daemons"]),
    ("writes are answered before the commit", [
        ("backends/sqlite/threads/writer.c",
         "\t*code = commit_batch(writer);\n",
         "\tresults_hand_over(writer->store, finished);\n\t*code = commit_batch(writer);\n"),
    ], "faults/test_fsync.py", ["Order", "Injected.test_group_is_refused_as_a_whole"]),
    ("the memory of calls is not charged", [
        ("daemon/calls/dispatch.c",
         "\trequest_charge(request);\n\treturn result;\n",
         "\treturn result;\n"),
    ], "faults/test_client_memory.py", ["Charged.test_a_document_counts_until_its_call_has_ended"]),
    ("a call keeps its whole line", [
        ("daemon/calls/dispatch.c",
         "bool whole = request->batch == NULL && length <= SMALL_LINE;",
         "bool whole = request->batch == NULL;"),
    ], "faults/test_client_memory.py", ["Charged.test_an_ignored_member_costs_nothing"]),
    ("the memory of batches is not charged", [
        ("daemon/calls/batch.c",
         "sizeof *batch + batch->arena.total + batch->line.arena.total +\n"
         "\t\t\tbatch->answer.capacity);",
         "sizeof *batch);"),
    ], "faults/test_client_memory.py", ["Charged.test_an_abandoned_batch_returns_its_line"]),
    ("connections that all wait for memory never continue", [
        ("daemon/clients/scheduler.c",
         "\tfavour_one(scheduler);\n",
         "\tif (0)\n\t\tfavour_one(scheduler);\n"),
    ], "faults/test_client_memory.py", ["NoDeadlock"]),
    ("the offset of a stored time is ignored", [
        ("backends/sqlite/migrations/0006_cheaper_times.sql",
         ":00', 1, 6)), 0)",
         ":00', 1, 6)), 0) * 0"),
    ], "contract/test_old_rows.py", ["Offsets"]),
    ("no fsync at all", [
        ("backends/sqlite/session.c",
         "PRAGMA synchronous=FULL",
         "PRAGMA synchronous=OFF"),
    ], "faults/test_fsync.py", ["Order"]),
    ("no fsync at all, found by the loss of power", [
        ("backends/sqlite/session.c",
         "PRAGMA synchronous=FULL",
         "PRAGMA synchronous=OFF"),
    ], "faults/test_power.py", []),
    ("fsync only at checkpoints", [
        ("backends/sqlite/session.c",
         "PRAGMA synchronous=FULL",
         "PRAGMA synchronous=NORMAL"),
    ], "faults/test_fsync.py", ["Order"]),
    ("commit errors are ignored", [
        ("backends/sqlite/threads/writer.c",
         "\t*code = commit_batch(writer);\n",
         "\t(void)commit_batch(writer);\n\t*code = SQLITE_OK;\n"),
    ], "faults/test_fsync.py", ["Injected"]),
    ("a refused commit stays in the log", [
        ("backends/sqlite/files/vfs.c",
         "if (code != SQLITE_OK && file->database != NULL && file->unsynced >= 0)",
         "if (0)"),
    ], "faults/test_fsync.py", ["Injected.test_refused_stays_refused_after_a_kill"]),
    ("long lines are not scheduled fairly", [
        ("daemon/clients/connection.c",
         "if (length <= LONG_LINE || scheduler_takes_long(scheduler, length))",
         "if (length <= LONG_LINE || scheduler_takes_long(scheduler, length) || "
         "!scheduler->long_iteration)"),
    ], "faults/test_loop.py", ["Loop.test_long_lines_take_turns"]),
    ("look-ups on the loop have no size limit", [
        ("backends/sqlite/loop.c",
         "\tsession_bound(&store->loop, LOOP_BYTES);\n",
         ""),
    ], "faults/test_loop.py", ["Loop.test_look_ups_of_all_sizes"]),
    ("a damaged page fails the other calls of the batch", [
        ("backends/sqlite/threads/writer.c",
         "bool alone = is_damage(finished, code);",
         "bool alone = false && is_damage(finished, code);"),
    ], "faults/test_storage.py", ["Corrupt.test_damage_in_one_row"]),
    ("a hash of a lower cost takes less work", [
        ("backends/secrets/password.c",
         " && pad(cut, stored, cost, rounds);",
         ";"),
    ], "contract/test_passwords.py", ["Work"]),
    ("a stop waits for another program's lock", [
        ("backends/sqlite/close.c",
         "atomic_store(&store->ending, true);",
         "atomic_store(&store->ending, false);"),
    ], "faults/test_abandoned.py", ["Drain.test_an_outside_lock"]),
    ("passwords of disconnected clients are hashed", [
        ("daemon/calls/dispatch.c",
         "password_pool_drop(dispatcher_of(connection)->passwords, connection);",
         "(void)connection;"),
    ], "faults/test_abandoned.py", ["Left.test_passwords"]),
    ("a call that waited keeps its role", [
        ("daemon/calls/submit.c",
         "} else if (submit_has_role(connection, request->call.method, &request->call.err)) {",
         "} else {"),
        ("backends/execute.c",
         ">= method->role)\n\t\treturn true;",
         ">= ROLE_NONE)\n\t\treturn true;"),
    ], "faults/test_abandoned.py", ["Roles"]),
    ("a thread that waits for a slow disk counts as stalled", [
        ("backends/sqlite/threads/checkpoint.c",
         "\t\tpthread_cond_wait(&checkpointer->wake, &checkpointer->lock);\n"
         "\t\tworker_moves(writer);\n",
         "\t\tpthread_cond_wait(&checkpointer->wake, &checkpointer->lock);\n"),
    ], "faults/test_watchdog.py", ["Watchdog.test_slow_disk_under_a_long_log"]),
    ("the write-ahead log is not watched", [
        ("backends/sqlite/files/watch.c",
         "look_beside(&watch->index, &now, err) < 0 || look_beside(&watch->log, &now, err) < 0",
         "look_beside(&watch->index, &now, err) < 0"),
    ], "faults/test_removed.py", ["Removed"]),
    ("a late interrupt fails the batch", [
        ("backends/sqlite/threads/writer.c",
         "return is_interrupt(*code) || *code == SQLITE_ABORT_ROLLBACK ? "
         "RUN_INTERRUPTED : RUN_BROKEN;",
         "return RUN_BROKEN;"),
    ], "faults/test_interrupt.py", []),
    ("the key is wiped before its last use", [
        ("daemon/loop/daemon.c",
         "\t\tsocket_close(&daemon->parts->socket);\n\t\tlog_stop();\n",
         "\t\tsocket_close(&daemon->parts->socket);\n\t\tseal_free(daemon->parts->seal);\n"
         "\t\tlog_stop();\n"),
    ], "contract/test_lifecycle.py", ["Signals.test_second_signal_while_tokens_are_opened"]),
    ("a look-up is answered inside submit", [
        ("backends/sqlite/loop.c",
         "\t\tcall->route = ROUTE_NONE;\n\t\tlist_append(&store->completed, &call->link);\n",
         "\t\tcall->route = ROUTE_NONE;\n\t\tcall->done(call);\n"),
    ], "contract/test_users.py", []),
    ("reads overtake writes", [
        ("backends/sqlite/loop.c",
         "\t} else if (call->order->writes > 0) {\n\t\tto_writer(store, call);\n",
         ""),
    ], "contract/test_order.py", []),
    ("writes overtake reads", [
        ("backends/sqlite/loop.c",
         "\t\tif (call->order->reads > 0)\n\t\t\treturn false;\n",
         ""),
    ], "contract/test_order.py", []),
    ("the database file is not watched", [
        ("backends/sqlite/files/watch.c",
         "now.st_ino != watch->inode",
         "0"),
    ], "faults/test_removed.py", ["Removed.test_database_alone_replaced"]),
    ("the tag of a sealed text is not checked", [
        ("backends/secrets/seal.c",
         "ad, ad_length, nonce, seal->state) == 0;",
         "ad, ad_length, nonce, seal->state) <= 0;"),
    ], "faults/test_altered_tokens.py", []),
    ("a token is not bound to its user", [
        ("backends/secrets/binding.c",
         "memcpy(place, user, UUID_TEXT);\n\t\towner->length += UUID_TEXT;",
         "(void)place;"),
    ], "faults/test_bound.py", ["Moved"]),
    ("a bound text is opened without its owner", [
        ("backends/secrets/seal.c",
         "!seal_decrypt(how->key, nonce, bytes, size, data, data_length, out)",
         "!seal_decrypt(how->key, nonce, bytes, size, data, 0, out) &&\n"
         "\t\t!seal_decrypt(how->key, nonce, bytes, size, data, data_length, out)"),
        ("backends/secrets/seal.c",
         "plain->text, plain->length, plain->data, plain->data_length, sealed",
         "plain->text, plain->length, plain->data, 0, sealed"),
    ], "faults/test_bound.py", ["Moved"]),
    ("a bound database reads the old format", [
        ("backends/secrets/seal.c",
         "if (!how->bound && !old_format_opens(seal))",
         "if (0 && !old_format_opens(seal))"),
    ], "faults/test_bound.py", ["Moved"]),
    ("a hash passes for a session token", [
        ("backends/execute.c",
         "!binding_is_hash(token->s.ptr, token->s.len)",
         "token->s.len > 0"),
    ], "faults/test_bound.py", ["Sessions"]),
    ("a call prepared before the change keeps the old format", [
        ("backends/postgres/pg_receive.c",
         "if (execute_follow_format(whole, store->settings.seal) < 0)",
         "if (0)"),
    ], "faults/test_postgres_bound.py", []),
    ("unsent answers have no limit", [
        ("daemon/settings/settings.h",
         "\"PIERRE_DBD_UNSENT_LIMIT\", \"8MiB\"",
         "\"PIERRE_DBD_UNSENT_LIMIT\", \"1024MiB\""),
        ("daemon/settings/settings.h",
         "\"PIERRE_DBD_MEMORY_LIMIT\", \"64MiB\"",
         "\"PIERRE_DBD_MEMORY_LIMIT\", \"4096MiB\""),
    ], "faults/test_clients.py", ["Deaf"]),
    ("ids are ignored", [
        ("protocol/wire/rpc.c",
         "\trpc_begin(out, id, id_length);\n"
         "\tbuffer_append(out, RPC_RESULT, sizeof RPC_RESULT - 1);",
         "\t(void)id;\n\t(void)id_length;\n\trpc_begin(out, \"1\", 1);\n"
         "\tbuffer_append(out, RPC_RESULT, sizeof RPC_RESULT - 1);"),
    ], "contract/test_protocol.py", ["Envelope"]),
    ("an integer id comes back as another one", [
        ("protocol/wire/rpc.c",
         "request->id = json->text + node->start;",
         "request->id = \"7\";\n\t\trequest->id_length = 1;\n\t\treturn true;"),
    ], "contract/test_protocol.py", ["Envelope"]),
    ("roles are not checked", [
        ("daemon/calls/submit.h",
         "if (connection->role >= method->role)",
         "if (true)"),
    ], "faults/test_access.py", []),
    ("the batch limit is off by one", [
        ("daemon/calls/dispatch.c",
         "count > dispatcher->runtime->settings->batch_limit",
         "count > dispatcher->runtime->settings->batch_limit + 1"),
    ], "contract/test_protocol.py", ["Batches"]),
    ("the line limit is off by one", [
        ("protocol/wire/frame.c",
         "line_length > frame->limit",
         "line_length > frame->limit + 1"),
    ], "contract/test_limits.py", ["Lines"]),
    ("the nesting limit is off by one", [
        ("protocol/json/json_scan.c",
         "levels->depth >= levels->limit && break",
         "levels->depth >= levels->limit + 1 && break"),
    ], "contract/test_limits.py", ["Lines"]),
    ("the end of a period belongs to it", [
        ("backends/sqlite/sql/usage.sql",
         "micros(:end_date) AS b",
         "micros(:end_date) + 1 AS b"),
    ], "contract/test_usage.py", []),
    ("the start of a period does not belong to it", [
        ("backends/sqlite/sql/usage.sql",
         "micros(:start_date) AS a,",
         "micros(:start_date) + 1 AS a,"),
    ], "contract/test_usage.py", []),
    ("inactive keys are found", [
        ("backends/sqlite/sql/api_keys.sql",
         "is_active = 1",
         "is_active IN (0, 1)"),
    ], "contract/test_api_keys.py", []),
    ("a wrong key is accepted", [
        ("backends/secrets/seal.c",
         "bool seal_check_matches(const struct seal *seal, const char *text, size_t length)\n{\n",
         "bool seal_check_matches(const struct seal *seal, const char *text, size_t length)\n{\n"
         "\tif (length > 0)\n\t\treturn true;\n"),
    ], "contract/test_program.py", ["Keys.test_wrong_key"]),
    ("paused: later calls overtake deferred ones", [
        ("daemon/calls/pause.h",
         "return pause->paused || pause->count > 0;",
         "return pause->paused;"),
    ], "contract/test_daemon_admin.py", ["Pause.test_order_is_kept"]),
    ("paused: time limits do not run", [
        ("daemon/calls/pause.c",
         "if (deadline <= now) {",
         "if (deadline == 0) {"),
    ], "contract/test_daemon_admin.py", ["PauseAndTimeLimit"]),
    ("paused: a stop runs the deferred calls", [
        ("daemon/calls/pause.c",
         "\t\tpause_refuse(take_first(pause), ERR_SHUTTING_DOWN,",
         "\t\tif (pause->go_on != NULL)\n\t\t\tpause->go_on(take_first(pause));\n\t\telse\n"
         "\t\t\tpause_refuse(take_first(pause), ERR_SHUTTING_DOWN,"),
    ], "contract/test_daemon_admin.py", ["StopWhilePaused"]),
    ("a reload applies part of an invalid file", [
        ("daemon/loop/daemon.c",
         "settings_reload(settings, check_rules, changes, err)",
         "settings_reload(settings, NULL, changes, err)"),
        ("daemon/loop/daemon.c",
         "static int check_rules(",
         "__attribute__((unused)) static int check_rules("),
    ], "contract/test_daemon_admin.py", ["Reload.test_wrong_settings_change_nothing"]),
    ("the watchdog is fed while a thread hangs", [
        ("daemon/loop/daemon.c",
         "stalled = stats.stalled_ns / 1000000 > notify_watchdog_ms() / 2;",
         "stalled = false;"),
    ], "faults/test_watchdog.py", ["Watchdog.test_writer_hangs", "Watchdog.test_reading_hangs"]),
    ("the watchdog is not fed while another program holds the lock", [
        ("backends/sqlite/threads/writer.c",
         "\t\tworker_moves(writer);\n\t\tif (list_empty(calls))\n",
         "\t\tif (list_empty(calls))\n"),
    ], "faults/test_watchdog.py", ["Watchdog.test_outside_lock"]),
    ("the daemon is ready before it answers", [
        ("daemon/loop/main.c",
         "\tlog_start_line();\n\tdaemon_log_warnings(&self.settings);\n",
         "\tlog_start_line();\n\tdaemon_log_warnings(&self.settings);\n"
         "\tnotify_send(\"READY=1\");\n"),
    ], "faults/test_systemd.py", ["Ready.test_ready_when_it_answers"]),
    ("a socket passed by systemd is unlinked at the end", [
        ("daemon/clients/socket.c",
         "\tsocket_remove(sock);\n\tsocket_deafen(sock);\n",
         "\tsocket_remove(sock);\n\tif (sock->inherited)\n\t\t(void)unlink(sock->path);\n"
         "\tsocket_deafen(sock);\n"),
    ], "faults/test_systemd.py", ["Activation.test_passed_socket"]),
    ("buffers are not wiped when they grow", [
        ("protocol/buffer.c",
         "\t\texplicit_bzero(buffer->data, buffer->length);\n\t\tfree(buffer->data);\n",
         "\t\tfree(buffer->data);\n"),
    ], "faults/test_secrets.py", ["Everywhere.test_many_at_once"]),
    ("the key stays in the environment", [
        ("daemon/base/process.c",
         "\tif (row->type == SETTING_SECRET)\n\t\texplicit_bzero(value, strlen(value));\n",
         "\tif (row->type == SETTING_SECRET)\n\t\treturn;\n"),
    ], "faults/test_secrets.py", ["Hygiene.test_environment_block"]),
    ("core dumps are possible", [
        ("daemon/base/process.c",
         "prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)",
         "prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)"),
    ], "faults/test_secrets.py", ["Hygiene.test_no_core_even_without_the_limit",
                                  "Hygiene.test_own_user_may_not_look_inside"]),
    ("the owner of a log is not checked", [
        ("backends/sqlite/files/belong.c",
         "\tif (strcmp(of_file.current, of_log.current) != 0 && "
         "strcmp(of_file.current, of_log.previous) != 0)\n",
         "\tif (0)\n"),
    ], "faults/test_restore.py", ["ForeignLog"]),
    ("a start writes no new mark", [
        ("backends/sqlite/open.c",
         "(!store->memory && belong_begin(writer, &store->mark, err) < 0)",
         "false"),
    ], "faults/test_restore.py", ["ForeignLog"]),
    ("an interrupted restore is not finished", [
        ("backends/sqlite/files/place.c",
         "restore_resume(place->path, err) < 0 || ",
         ""),
    ], "faults/test_restore.py", ["Restore.test_killed_at_each_step"]),
    ("the upgrade omits a tier", [
        ("backends/sqlite/migrations/0002_trial_tier.sql",
         "WHERE type = 'table' AND name = 'api_keys'",
         "WHERE type = 'table' AND name = 'api_key'"),
    ], "faults/test_open.py", ["Upgrade.test_what_owners_added_survives"]),
    ("a new database is created in two transactions", [
        ("backends/sqlite/migrate.c",
         "sqlite3_exec(session->db, STORE_FORMAT,",
         "sqlite3_exec(session->db, \"COMMIT; BEGIN IMMEDIATE; \" STORE_FORMAT,"),
    ], "faults/test_migration.py", ["Creation"]),
    ("another program's columns are not checked", [
        ("backends/sqlite/files/owner.c",
         "return length == 0 ? 0 : foreign(session, table, lacking, err);",
         "return 0;"),
    ], "faults/test_open.py", ["Foreign.test_another_programs_users"]),
    ("the file is opened by the given name, not by its real path", [
        ("backends/sqlite/files/place.c",
         "real = realpath(url->path, NULL);\n\tif (real == NULL || fstat",
         "real = strdup(url->path);\n\tif (real == NULL || fstat"),
        ("backends/sqlite/files/place.c",
         "flock(place->fd, LOCK_EX | LOCK_NB) != 0",
         "flock(place->fd, LOCK_SH | LOCK_NB) != 0"),
    ], "faults/test_open.py", ["Names.test_one_daemon_whatever_the_name"]),
    ("the end of a transaction within a call is not noticed", [
        ("backends/sqlite/threads/writer.c",
         "bool lost = transaction_lost(writer);\n\n\tif (!lost &&",
         "bool lost = false;\n\n\tif (!lost &&"),
    ], "faults/test_memory.py", ["Group"]),
    ("large answers do not wait for memory", [
        ("backends/sqlite/threads/large.c",
         "!has_room(large) &&",
         "0 &&"),
    ], "faults/test_client_memory.py", ["Answers.test_many_clients_that_take_nothing"]),
    ("large answers hold back small ones", [
        ("backends/sqlite/threads/reader.c",
         "large_is(reader, call)",
         "(0 && large_is(reader, call))"),
    ], "faults/test_client_memory.py", ["Answers"]),
    ("calls that the writer has taken have no time limit", [
        ("backends/sqlite/threads/writer.c",
         "if (writer->later != NULL)",
         "if (0)"),
    ], "faults/test_reopen.py", []),
    ("a waiting client restarts a failing service for ever", [
        ("daemon/loop/main.c",
         "if (is_lasting(code))",
         "if (0 && is_lasting(code))"),
    ], "faults/test_systemd.py", ["Activation.test_a_start_that_nothing_mends_closes_who_waits"]),
    ("clients do not try the service's socket", [
        ("client/socket_path.c",
         "|| is_missing(SOCKET_PLACE_SYSTEM))",
         "|| true)"),
    ], "client/test_default_socket.py", ["DefaultSocket.test_the_service_is_found"]),
    ("a lease is granted to several callers", [
        ("backends/sqlite/sql/tokens.sql",
         ":provider = '{p}' AND ({p}_lease IS NULL",
         ":provider = '{p}' AND (TRUE"),
    ], "faults/test_token_refresh.py", ["Refresh"]),
    ("the version of a token is not compared", [
        ("backends/sqlite/sql/tokens.sql",
         "WHEN :if_version = {token_version {p}} THEN 1",
         "WHEN :if_version <> {token_version {p}} THEN 1"),
    ], "contract/test_token_leases.py", ["Versions"]),
]
# fmt: on


def place(content, text):
    """Where the text stands, however its lines are broken: (start, end) of the first such place, or
    None."""
    found = re.search(
        r"\s*".join(re.escape(token) for token in re.findall(r"\w+|[^\w\s]", text)), content
    )
    return found.span() if found else None


def planted(content, text, replacement):
    """The content with the replacement at each such place."""
    done, rest = "", content
    while (found := place(rest, text)) is not None:
        done, rest = done + rest[: found[0]] + replacement.strip(), rest[found[1] :]
    return done + rest


def run(command, folder, log, **variables):
    with open(log, "ab") as file, subprocess.Popen(
        command,
        cwd=folder,
        stdout=file,
        stderr=subprocess.STDOUT,
        env={**os.environ, **variables},
        start_new_session=True,
    ) as process:
        code = process.wait()
        try:
            os.killpg(process.pid, signal.SIGKILL)  # a daemon that its defect keeps from ending
        except ProcessLookupError:
            pass
        return code


class Copy:
    """The source in a folder of its own, with a build of it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pierre-planted-")
        self.source, self.log = os.path.join(self.folder, "source"), os.path.join(
            self.folder, "log"
        )
        shutil.copytree(ROOT, self.source, ignore=shutil.ignore_patterns(".git", "build*", "data"))
        if (
            run(["meson", "setup", "build", "-Dtests=disabled"], self.source, self.log) != 0
            or self.build() != 0
        ):
            raise SystemExit(open(self.log, encoding="utf-8").read()[-5000:])

    def build(self):
        programs = (
            "daemon/pierre-dbd",
            "client/pierre-dbctl",
            "tools/exporter/pierre-dbd-exporter",
        )
        return run(["ninja", "-C", "build", *programs], self.source, self.log)

    def change(self, name, change):
        """Puts change(content) into the file; gives what was there."""
        path = os.path.join(self.source, name)
        with open(path, encoding="utf-8") as file:
            before = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(change(before))
        return before

    def test(self, file, names):
        path = os.path.join(self.source, "tests", file)
        with open(path, encoding="utf-8") as text:
            backend = "postgres" if 'BACKENDS = ("postgres",)' in text.read() else "sqlite"
        chosen = ["::".join([path, *name.split(".")]) for name in names] or [path]
        ini = os.path.join(self.source, "tests", "pytest.ini")
        return run(
            [*pytest_command(), "-c", ini, "-x", "-p", "no:cacheprovider", *chosen],
            self.source,
            self.log,
            PIERRE_TEST_BUILD=os.path.join(self.source, "build"),
            PIERRE_TEST_BACKEND=backend,
            PYTHONDONTWRITEBYTECODE="1",
        )


def plant(copy, edits, test, names):
    """What went wrong; None when the tests found the defect."""
    if copy.test(test, names) != 0:
        return "the tests fail without it, too"
    before = []
    try:
        for file, text, replacement in edits:
            before.append(
                (
                    file,
                    copy.change(
                        file, lambda content, t=text, r=replacement: planted(content, t, r)
                    ),
                )
            )
            if not place(before[-1][1], text):
                return f"its place in {file} is gone"
        if copy.build() != 0:
            return "it does not compile"
        return "the tests passed all the same" if copy.test(test, names) == 0 else None
    finally:
        for file, content in reversed(before):
            copy.change(file, lambda _, c=content: c)
        copy.build()


def main():
    chosen = [
        defect
        for defect in DEFECTS
        if not sys.argv[1:] or any(part in defect[0] for part in sys.argv[1:])
    ]
    copy, failed = Copy(), 0
    try:
        for name, edits, test, names in chosen:
            began = time.monotonic()
            problem = plant(copy, edits, test, names)
            failed += problem is not None
            print(
                f"{'FAIL' if problem else 'ok  '} {name}: {problem or 'found by ' + test}, "
                f"{time.monotonic() - began:.1f} s",
                flush=True,
            )
    finally:
        shutil.rmtree(copy.folder, ignore_errors=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
