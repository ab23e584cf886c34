#include "reader.h"

#include "../condition.h"
#include "../sqlite_store.h"
#include "large.h"
#include "queue.h"
#include "results.h"

/* One read transaction for the whole batch. */
static void read_batch(struct worker *reader, struct list *calls)
{
	struct sqlite_store *store = reader->store;
	struct list finished;

	list_init(&finished);
	atomic_store_explicit(&reader->running, list_length(calls), memory_order_relaxed);
	(void)session_step(reader->session.begin);
	while (!list_empty(calls)) {
		struct list *node = list_first(calls);
		struct call *call = call_of(node);
		enum run_result result =
			call->route == ROUTE_READER ? worker_run(reader, call) : RUN_INTERRUPTED;

		if (result == RUN_INTERRUPTED &&
			(call->route == ROUTE_READER_LARGE || large_is(reader, call))) {
			list_remove(node);
			large_add(store, call);
			continue;
		}
		if ((result == RUN_INTERRUPTED || result == RUN_BUSY) &&
			!worker_gives_up(store, call))
			continue;
		if (result == RUN_BROKEN)
			condition_note_error(store, call->err.message);
		list_remove(node);
		list_append(&finished, node);
	}
	(void)session_step(reader->session.commit);
	atomic_store_explicit(&reader->running, 0, memory_order_relaxed);
	results_hand_over(store, &finished);
}

void *reader_main(void *argument)
{
	struct worker *reader = argument;
	struct sqlite_store *store = reader->store;
	struct list calls, expired;

	list_init(&calls);
	reader->session.max = STORE_LARGE_ANSWER;
	while (queue_take(&store->reads, &calls, store->settings.batch, store->reader_count)) {
		worker_moves(reader);
		worker_count_waits(store, &calls);
		list_init(&expired);
		worker_expire(store, &calls, &expired);
		results_hand_over(store, &expired);
		if (!list_empty(&calls))
			read_batch(reader, &calls);
		large_run(reader);
		worker_rests(reader);
	}
	return NULL;
}
