/* A JSON-RPC batch: its calls are begun one by one, run side by side and are answered in one array
 * in their order. Thread: the loop thread. */
#ifndef PIERRE_BATCH_H
#define PIERRE_BATCH_H

#include <stdbool.h>

#include "../../protocol/arena.h"
#include "../../protocol/json/json.h"
#include "request.h"

struct batch_piece {
	uint32_t start, length;
};

/* What a batch needs of its line to begin its calls. */
struct batch_line {
	struct arena arena; /* holds the rest */
	struct json
		json; /* text and nodes; no nodes when they are many: each call is scanned again */
	struct batch_piece *pieces; /* of the text, one for each call; NULL: there are nodes */
};

struct batch {
	struct connection *connection;
	struct arena arena;     /* slots */
	struct batch_line line; /* goes once all calls are begun */
	uint32_t node;          /* of the next call to begin */
	unsigned count, begun, finished;
	struct request **slots; /* finished calls that wait for others before them */
	unsigned next;          /* the next one to write */
	struct buffer answer;   /* the array so far */
	size_t ahead;           /* bytes in slots; they and those of `answer` are counted in
	                           connection->held_bytes */
	size_t charged;         /* to the connection */
};

/* Copies the text of a non-empty array, and its nodes unless they are many. NULL when out of
 * memory. */
struct batch *batch_new(struct connection *connection, const struct json *json, size_t length);
bool batch_all_begun(const struct batch *batch);
/* Counts the next call as begun; -1 when out of memory. *json and *node: where it is, which may be
 * `scratch`, into which it is scanned again. The last call comes with the line itself (*left), for
 * the caller to free. */
int batch_next(struct batch *batch, struct json *scratch, struct json **json, uint32_t *node,
	struct batch_line *left);
void batch_line_free(struct batch_line *line);
/* The answer of one of its calls is in request->call.answer (a whole object without newline;
 * nothing for a notification). Takes the request. Sends the array and frees the batch after the
 * last one. */
void batch_finish(struct batch *batch, struct request *request);
/* One of its calls could not even be begun, for want of memory; its connection is closed already.
 */
void batch_drop(struct batch *batch);
/* The connection is gone: calls that are not begun never will be. */
void batch_abandon(struct batch *batch);

#endif
