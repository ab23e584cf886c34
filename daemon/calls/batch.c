#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "../../protocol/wire/rpc.h"
#include "../clients/connection.h"
#include "dispatcher.h"

enum {
	SMALL_ANSWER = 1024,
	KEPT_NODES = 16 * 1024,
	ID_TEXT_MAX = 6 * RPC_ID_MAX + 2, /* each byte of a line may be an escape */
};

void batch_line_free(struct batch_line *line)
{
	arena_free(&line->arena);
	*line = (struct batch_line){.pieces = NULL};
}

static void charge_batch(struct batch *batch)
{
	account_charge(&batch->connection->scheduled.account, &batch->charged,
		sizeof *batch + batch->arena.total + batch->line.arena.total +
			batch->answer.capacity);
}

static void batch_free(struct batch *batch)
{
	for (unsigned i = batch->next; batch->slots != NULL && i < batch->begun; i++)
		if (batch->slots[i] != NULL)
			request_free(&batch->slots[i]->dispatcher->requests, batch->slots[i]);
	batch_line_free(&batch->line);
	arena_free(&batch->arena);
	buffer_wipe(&batch->answer);
	buffer_free(&batch->answer);
	account_charge(&batch->connection->scheduled.account, &batch->charged, 0);
	free(batch);
}

/* Records the position of each call instead of nodes, which take many times the memory of the
 * text. */
static bool cut_into_pieces(struct batch_line *line, const struct json *json)
{
	const struct json_node *nodes = json->nodes;
	struct batch_piece *piece = arena_calloc(&line->arena, nodes[0].count, sizeof *piece);

	line->pieces = piece;
	for (uint32_t node = 1; piece != NULL && node < nodes[0].next; node = nodes[node].next) {
		bool quoted = nodes[node].type == JSON_STRING;

		*piece++ = (struct batch_piece){
			nodes[node].start - quoted, nodes[node].length + 2U * quoted};
	}
	return line->pieces != NULL;
}

static bool copy_line(struct batch_line *line, const struct json *json, size_t length)
{
	size_t size = json->count * sizeof *json->nodes;

	line->arena.wipe = true;
	line->json.text = arena_copy(&line->arena, json->text, length);
	if (line->json.text == NULL)
		return false;
	if (json->count > KEPT_NODES)
		return cut_into_pieces(line, json);
	line->json.nodes = arena_alloc(&line->arena, size);
	if (line->json.nodes != NULL)
		memcpy(line->json.nodes, json->nodes, size);
	line->json.count = json->count;
	return line->json.nodes != NULL;
}

struct batch *batch_new(struct connection *connection, const struct json *json, size_t length)
{
	struct batch *batch = calloc(1, sizeof *batch);

	if (batch == NULL)
		return NULL;
	batch->connection = connection;
	batch->count = json->nodes[0].count;
	batch->node = 1;
	batch->slots = arena_calloc(&batch->arena, batch->count, sizeof(struct request *));
	if (batch->slots == NULL || !copy_line(&batch->line, json, length)) {
		batch_free(batch);
		return NULL;
	}
	charge_batch(batch);
	return batch;
}

int batch_next(struct batch *batch, struct json *scratch, struct json **json, uint32_t *node,
	struct batch_line *left)
{
	unsigned place = batch->begun++;
	struct batch_line *line = &batch->line;

	if (batch_all_begun(batch)) {
		*left = *line;
		*line = (struct batch_line){.pieces = NULL};
		line = left;
		charge_batch(batch);
	}
	if (line->pieces != NULL) {
		const struct batch_piece *piece = &line->pieces[place];
		struct err err;

		*json = scratch;
		*node = 0;
		return json_scan(scratch, line->json.text + piece->start, piece->length,
			JSON_DEPTH_MAX, &err);
	}
	*json = &line->json;
	*node = batch->node;
	batch->node = line->json.nodes[batch->node].next;
	return 0;
}

bool batch_all_begun(const struct batch *batch)
{
	return batch->begun == batch->count;
}

/* The answers of a batch share the limit of one answer, in order: one that no longer fits becomes
 * an error of its own. */
static void keep_within_limit(struct batch *batch, struct request *request)
{
	struct buffer *answer = &request->call.answer;
	uint64_t limit = request->dispatcher->runtime->settings->answer_limit;
	char id[ID_TEXT_MAX];
	struct err err;

	if (answer->length <= SMALL_ANSWER || batch->answer.length + answer->length <= limit)
		return;
	(void)err_set(&err, ERR_TOO_LARGE,
		"the answers of the batch are larger than the limit of %llu bytes",
		(unsigned long long)limit);
	/* The request's copy of the id is freed with its parameters. */
	memcpy(id, answer->data + RPC_ID_AT, request->id_length);
	buffer_wipe(answer);
	buffer_cut(answer, 0);
	rpc_error(answer, id, request->id_length, &err);
}

static void write_answer(struct batch *batch, struct request *request)
{
	size_t before = batch->answer.length + request->call.answer.length;

	batch->ahead -= request->call.answer.length;
	if (!request->notification) {
		keep_within_limit(batch, request);
		buffer_byte(&batch->answer, batch->answer.length == 0 ? '[' : ',');
		buffer_join(&batch->answer,
			&request->call.answer); /* on failure the connection is closed */
	}
	batch->connection->held_bytes += batch->answer.length - before;
	request_free(&request->dispatcher->requests, request);
	charge_batch(batch);
}

static void batch_end(struct batch *batch)
{
	struct connection *connection = batch->connection;

	connection->held_bytes -= batch->ahead + batch->answer.length;
	if (batch->answer.failure != BUFFER_OK) {
		connection_close(connection, "out of memory");
	} else if (batch->answer.length > 0) {
		buffer_byte(&batch->answer, ']');
		connection_send(connection, &batch->answer);
	}
	batch_free(batch);
}

void batch_finish(struct batch *batch, struct request *request)
{
	/* Only the answer waits for earlier ones. */
	arena_reset(&request->call.arena);
	request->id = NULL;
	request->lent = 0;
	request_charge(request);
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
		batch_end(batch);
}

void batch_drop(struct batch *batch)
{
	batch->finished++;
	if (batch->finished == batch->count)
		batch_end(batch);
}

void batch_abandon(struct batch *batch)
{
	batch->count = batch->begun;
	batch_line_free(&batch->line);
	charge_batch(batch);
	if (batch->finished == batch->count)
		batch_end(batch);
}
