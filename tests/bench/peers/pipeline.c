/* The peer that shows PostgreSQL's limit for a client: libpq in pipeline mode, a few
 * connections, many calls per sync, one prepared statement, results only counted. One thread. */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

enum { DEPTH_MAX = 16, CONNECTIONS_MAX = 64, BINARY = 1 };

struct pipeline {
	PGconn *connection;
	uint64_t started[DEPTH_MAX]; /* of each group in flight, oldest first */
	size_t groups, answered;     /* groups in flight; answers of the oldest one */
};

struct run {
	struct peer_options options;
	const struct method *method;
	struct peer_keys keys;
	struct peer_times times;
	struct pipeline pipelines[CONNECTIONS_MAX];
	size_t sent;
};

static void open_pipeline(struct pipeline *pipeline, const struct run *run)
{
	PGresult *result;

	pipeline->connection = PQconnectdb(run->options.target);
	if (PQstatus(pipeline->connection) != CONNECTION_OK)
		peer_die("connecting: %s", PQerrorMessage(pipeline->connection));
	result = PQprepare(
		pipeline->connection, "s", run->method->statements[BACKEND_POSTGRES].sql, 0, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		peer_die("preparing: %s", PQerrorMessage(pipeline->connection));
	PQclear(result);
	if (PQsetnonblocking(pipeline->connection, 1) != 0 ||
		PQenterPipelineMode(pipeline->connection) != 1)
		peer_die("pipeline mode: %s", PQerrorMessage(pipeline->connection));
}

static void send_call(struct run *run, struct pipeline *pipeline, int64_t now)
{
	const struct statement *statement = &run->method->statements[BACKEND_POSTGRES];
	const char *key = peer_keys_random(&run->keys);
	char texts[CATALOG_MAX_VALUES][TIMESTAMP_TEXT_MAX + 1];
	const char *values[CATALOG_MAX_VALUES];

	for (unsigned i = 0; i < statement->bind_count; i++) {
		const struct bind_param *slot = &run->method->binds[statement->binds[i]];
		struct value value = peer_value(slot, key, now);

		values[i] = texts[i];
		if (!value.set)
			values[i] = NULL;
		else if (slot->type == TYPE_TIMESTAMP)
			texts[i][timestamp_format_stored(value.i, texts[i])] = '\0';
		else if (slot->type == TYPE_U16 || slot->type == TYPE_U32 ||
			slot->type == TYPE_I64 || slot->type == TYPE_BOOL)
			(void)snprintf(texts[i], sizeof texts[i], "%lld", (long long)value.i);
		else
			values[i] = value.s.ptr;
	}
	if (PQsendQueryPrepared(pipeline->connection, "s", statement->bind_count, values, NULL,
		    NULL, BINARY) != 1)
		peer_die("sending: %s", PQerrorMessage(pipeline->connection));
}

static void send_groups(struct run *run, struct pipeline *pipeline)
{
	int64_t now = timestamp_now();

	while (pipeline->groups < run->options.depth && run->sent < run->options.calls) {
		pipeline->started[pipeline->groups++] = peer_clock();
		for (size_t i = 0; i < run->options.group; i++)
			send_call(run, pipeline, now);
		run->sent += run->options.group;
		if (PQpipelineSync(pipeline->connection) != 1)
			peer_die("sync: %s", PQerrorMessage(pipeline->connection));
	}
}

static void take_result(struct run *run, struct pipeline *pipeline, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_PIPELINE_SYNC) {
		uint64_t taken = peer_clock() - pipeline->started[0];

		if (pipeline->answered != run->options.group)
			peer_die(
				"%zu answers to %zu calls", pipeline->answered, run->options.group);
		for (size_t i = 0; i < pipeline->answered; i++)
			peer_times_add(&run->times, taken);
		pipeline->groups--;
		pipeline->answered = 0;
		memmove(pipeline->started, pipeline->started + 1,
			pipeline->groups * sizeof *pipeline->started);
	} else if (status == PGRES_TUPLES_OK ? PQntuples(result) == 1
					     : status == PGRES_COMMAND_OK) {
		pipeline->answered++;
	} else {
		peer_die("%s changed nothing: %s", run->method->name, PQresultErrorMessage(result));
	}
}

static void read_pipeline(struct run *run, struct pipeline *pipeline)
{
	if (PQconsumeInput(pipeline->connection) != 1)
		peer_die("reading: %s", PQerrorMessage(pipeline->connection));
	while (pipeline->groups > 0 && !PQisBusy(pipeline->connection)) {
		PGresult *result = PQgetResult(pipeline->connection);

		if (result == NULL) /* the end of one statement's results */
			continue;
		take_result(run, pipeline, result);
		PQclear(result);
	}
	send_groups(run, pipeline);
}

static void run_all(struct run *run)
{
	struct pollfd polled[CONNECTIONS_MAX];
	size_t count = run->options.connections;

	peer_times_begin(&run->times, run->options.calls);
	for (size_t i = 0; i < count; i++)
		send_groups(run, &run->pipelines[i]);
	while (run->times.count < run->options.calls) {
		for (size_t i = 0; i < count; i++) {
			short writing = PQflush(run->pipelines[i].connection) == 1 ? POLLOUT : 0;

			polled[i] = (struct pollfd){.fd = PQsocket(run->pipelines[i].connection),
				.events = (short)(POLLIN | writing)};
		}
		if (poll(polled, (nfds_t)count, 30000) <= 0)
			peer_die("no answer within 30 s");
		for (size_t i = 0; i < count; i++)
			if (polled[i].revents != 0)
				read_pipeline(run, &run->pipelines[i]);
	}
	peer_times_print(&run->times, "libpq pipeline");
}

int main(int argc, char **argv)
{
	static struct run run;

	peer_options_read(&run.options, argc, argv);
	if (run.options.connections > CONNECTIONS_MAX || run.options.depth > DEPTH_MAX)
		peer_die("at most %d connections with %d groups each", CONNECTIONS_MAX, DEPTH_MAX);
	run.options.calls -= run.options.calls % run.options.group;
	if (run.options.calls == 0)
		peer_die("fewer calls than make one group");
	peer_keys_read(&run.keys, run.options.keys);
	run.method = peer_method(run.options.method, BACKEND_POSTGRES);
	for (size_t i = 0; i < run.options.connections; i++)
		open_pipeline(&run.pipelines[i], &run);
	run_all(&run);
	for (size_t i = 0; i < run.options.connections; i++)
		PQfinish(run.pipelines[i].connection);
	return 0;
}
