#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "../protocol/rpc.h"
#include "connection.h"
#include "daemon.h"

enum { SMALL_ANSWER = 1024 };

static void batch_free(struct batch *batch)
{
	for (unsigned i = batch->next; batch->slots != NULL && i < batch->begun; i++)
		if (batch->slots[i] != NULL)
			request_free(&batch->slots[i]->daemon->dispatch.requests, batch->slots[i]);
	arena_free(&batch->arena);
	json_free(&batch->json);
	buffer_wipe(&batch->answer);
	buffer_free(&batch->answer);
	free(batch);
}

struct batch *batch_new(struct connection *connection, struct json *json, size_t length)
{
	struct batch *batch = calloc(1, sizeof *batch);

	if (batch == NULL)
		return NULL;
	arena_init(&batch->arena);
	batch->arena.wipe = true;
	batch->connection = connection;
	batch->json = *json;
	batch->json.text = arena_copy(&batch->arena, json->text, length);
	batch->count = json->nodes[0].count;
	batch->node = 1;
	batch->slots = arena_calloc(&batch->arena, batch->count, sizeof(struct request *));
	if (batch->json.text == NULL || batch->slots == NULL) {
		batch->json = (struct json){0};
		batch_free(batch);
		return NULL;
	}
	*json = (struct json){0};
	return batch;
}

bool batch_all_begun(const struct batch *batch)
{
	return batch->begun == batch->count;
}

/* The answers of a batch share the limit of one answer, the first ones first: what no longer fits becomes an error of its own. */
static void keep_within_limit(struct batch *batch, struct request *request)
{
	struct buffer *answer = &request->call.answer;
	uint64_t limit = request->daemon->settings.answer_limit;
	struct err err;

	if (answer->length <= SMALL_ANSWER || batch->answer.length + answer->length <= limit)
		return;
	(void)err_set(&err, ERR_TOO_LARGE, "the answers of the batch are larger than the limit of %llu bytes",
	              (unsigned long long)limit);
	buffer_wipe(answer);
	buffer_cut(answer, 0);
	rpc_error(answer, request->id, request->id_length, &err);
}

static void write_answer(struct batch *batch, struct request *request)
{
	size_t before = batch->answer.length + request->call.answer.length;

	batch->ahead -= request->call.answer.length;
	if (!request->notification) {
		keep_within_limit(batch, request);
		buffer_byte(&batch->answer, batch->answer.length == 0 ? '[' : ',');
		buffer_join(&batch->answer, &request->call.answer); /* when it failed the connection is closed */
	}
	batch->connection->held_bytes += batch->answer.length - before;
	request_free(&request->daemon->dispatch.requests, request);
}

static void end(struct batch *batch)
{
	struct connection *connection = batch->connection;

	connection->held_bytes -= batch->ahead + batch->answer.length;
	if (batch->answer.failure != BUFFER_OK) {
		connection_close(connection, "memory is out");
	} else if (batch->answer.length > 0) {
		buffer_byte(&batch->answer, ']');
		connection_send(connection, &batch->answer);
	}
	batch_free(batch);
}

void batch_finish(struct batch *batch, struct request *request)
{
	batch->ahead += request->call.answer.length;
	batch->connection->held_bytes += request->call.answer.length;
	batch->finished++;
	batch->slots[request->index] = request;
	while (batch->next < batch->count && batch->slots[batch->next] != NULL) {
		struct request *first = batch->slots[batch->next];

		batch->slots[batch->next++] = NULL;
		write_answer(batch, first);
	}
	if (batch->finished == batch->count)
		end(batch);
}

void batch_drop(struct batch *batch)
{
	batch->finished++;
	if (batch->finished == batch->count)
		end(batch);
}

void batch_abandon(struct batch *batch)
{
	batch->count = batch->begun;
	if (batch->finished == batch->count)
		end(batch);
}
