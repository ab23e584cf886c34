#include "request.h"

#include <stdlib.h>

#include "../../protocol/state.h"
#include "../clients/connection.h"

static const char *const request_state_names[] = {
	[REQUEST_NEW] = "new",
	[REQUEST_PAUSED] = "paused",
	[REQUEST_HASHING] = "hashing",
	[REQUEST_WAITING] = "waiting",
	[REQUEST_BEHIND] = "waiting for a position",
	[REQUEST_STORE] = "in the store",
	[REQUEST_CHECKING] = "checking",
	[REQUEST_HEALTH] = "waiting for the probe",
	[REQUEST_DONE] = "done",
};
static const uint32_t next_request_states[] = {
	[REQUEST_NEW] = STATE(REQUEST_PAUSED) | STATE(REQUEST_HASHING) | STATE(REQUEST_WAITING) |
		STATE(REQUEST_BEHIND) | STATE(REQUEST_STORE) | STATE(REQUEST_HEALTH) |
		STATE(REQUEST_DONE),
	[REQUEST_PAUSED] = STATE(REQUEST_HASHING) | STATE(REQUEST_WAITING) | STATE(REQUEST_BEHIND) |
		STATE(REQUEST_STORE) | STATE(REQUEST_DONE),
	[REQUEST_HASHING] = STATE(REQUEST_WAITING) | STATE(REQUEST_DONE),
	[REQUEST_WAITING] = STATE(REQUEST_BEHIND) | STATE(REQUEST_STORE) | STATE(REQUEST_DONE),
	[REQUEST_BEHIND] = STATE(REQUEST_DONE),
	[REQUEST_STORE] = STATE(REQUEST_CHECKING) | STATE(REQUEST_DONE),
	[REQUEST_CHECKING] = STATE(REQUEST_DONE),
	[REQUEST_HEALTH] = STATE(REQUEST_DONE),
	[REQUEST_DONE] = STATE(REQUEST_NEW), /* reused */
};
static const struct state_machine request_states = {
	"request", request_state_names, next_request_states, REQUEST_DONE + 1};

void request_move(struct request *request, enum request_state state)
{
	state_change(
		&request_states, &request->state, state, request->connection->scheduled.number);
}

void request_pool_init(struct request_pool *pool)
{
	list_init(&pool->free);
	pool->free_count = pool->used = pool->min_free = 0;
	pool->bytes = 0;
}

static size_t bytes_of(const struct request *request)
{
	return sizeof *request + request->call.arena.total + request->call.answer.capacity;
}

void request_charge(struct request *request)
{
	account_charge(&request->connection->scheduled.account, &request->charged,
		bytes_of(request) + request->lent);
}

static void request_destroy(struct request *request)
{
	arena_free(&request->call.arena);
	buffer_free(&request->call.answer);
	free(request);
}

/* Frees the least recently used one. */
static void drop_last(struct request_pool *pool)
{
	struct request *request = list_entry(pool->free.prev, struct request, link);

	list_remove(&request->link);
	pool->free_count--;
	pool->bytes -= bytes_of(request);
	request_destroy(request);
}

void request_pool_free(struct request_pool *pool)
{
	while (pool->free_count > 0)
		drop_last(pool);
}

void request_pool_trim(struct request_pool *pool)
{
	unsigned unused =
		pool->min_free > REQUEST_KEPT ? (pool->min_free - REQUEST_KEPT + 3) / 4 : 0;

	while (unused-- > 0)
		drop_last(pool);
	pool->min_free = pool->free_count;
}

struct request *request_new(
	struct request_pool *pool, struct dispatcher *dispatcher, struct connection *connection)
{
	struct request *request;

	if (pool->free_count > 0) {
		request = list_entry(list_first(&pool->free), struct request, link);
		list_remove(&request->link);
		pool->free_count--;
		pool->bytes -= bytes_of(request);
		if (pool->free_count < pool->min_free)
			pool->min_free = pool->free_count;
		request->connection = connection;
		request_move(request, REQUEST_NEW);
	} else {
		request = calloc(1, sizeof *request);
		if (request == NULL)
			return NULL;
		arena_init(&request->call.arena);
		request->call.arena.wipe = true;
		list_init(&request->link);
		list_init(&request->call.link);
	}
	pool->used++;
	request->dispatcher = dispatcher;
	request->connection = connection;
	request->batch = NULL;
	request->index = 0;
	request->notification = false;
	request->id = NULL;
	request->id_length = 0;
	request->lent = 0;
	request->call.method = NULL;
	request->call.values = NULL;
	request->call.answer_start = 0;
	request->call.answer.cap = 0;
	request->call.err.kind = ERR_NONE;
	request->call.order = NULL;
	request->call.idempotency = NULL;
	request->call.kept = NULL;
	request->call.within = NULL;
	request->call.rows = 0;
	request->call.attempts = 0;
	request->call.dropped = false;
	return request;
}

void request_free(struct request_pool *pool, struct request *request)
{
	struct buffer *answer = &request->call.answer;

	account_charge(&request->connection->scheduled.account, &request->charged, 0);
	pool->used--;
	arena_reset(&request->call.arena);
	buffer_wipe(answer);
	buffer_cut(answer, 0);
	if (answer->capacity > REQUEST_SPARE_BYTES)
		buffer_free(answer);
	if (pool->free_count >= REQUEST_SPARES ||
		pool->bytes + bytes_of(request) > REQUEST_SPARES_BYTES) {
		request_destroy(request);
		return;
	}
	/* Last in, first out: its memory is still in the processor's cache. */
	list_remove(&request->link);
	request->link.next = pool->free.next;
	request->link.prev = &pool->free;
	pool->free.next->prev = &request->link;
	pool->free.next = &request->link;
	pool->free_count++;
	pool->bytes += bytes_of(request);
}
