#include "large.h"

#include "../../execute.h"
#include "../../transaction.h"
#include "../sqlite_store.h"
#include "results.h"
#include "worker.h"

static struct order *order_of(struct list *node)
{
	return list_entry(node, struct order, large_turn);
}

void large_init(struct large_reads *large)
{
	pthread_mutex_init(&large->lock, NULL);
	list_init(&large->turns);
	large->running_max = 1;
	atomic_store(&large->free, SIZE_MAX);
}

void large_destroy(struct large_reads *large)
{
	pthread_mutex_destroy(&large->lock);
}

bool large_is(const struct worker *reader, const struct call *call)
{
	size_t max = reader->session.max;

	if (max == 0)
		return false;
	for (unsigned i = 0; transaction_is(call) && i < call->member_count; i++)
		if (call->members[i].answer.length > max)
			return true;
	return call->answer.length > max;
}

/* Keeps the start of the envelope only: many calls may wait. Out of memory: the buffer stays. */
static void give_back(struct call *call)
{
	struct buffer *answer = &call->answer, kept = {.cap = answer->cap};

	for (unsigned i = 0; transaction_is(call) && i < call->member_count; i++) {
		buffer_wipe(&call->members[i].answer);
		buffer_free(&call->members[i].answer);
	}
	buffer_append(&kept, answer->data, call->answer_start);
	if (kept.failure != BUFFER_OK)
		return;
	buffer_wipe(answer);
	buffer_free(answer);
	*answer = kept;
}

void large_add(struct sqlite_store *store, struct call *call)
{
	struct large_reads *large = &store->large;
	struct order *order = call->order;

	execute_restart(call);
	give_back(call);
	call->route = ROUTE_LARGE;
	pthread_mutex_lock(&large->lock);
	list_append(&order->large_calls, &call->link);
	if (list_empty(&order->large_turn))
		list_append(&large->turns, &order->large_turn);
	atomic_fetch_add_explicit(&large->waiting, 1, memory_order_relaxed);
	pthread_mutex_unlock(&large->lock);
}

static bool has_room(const struct large_reads *large)
{
	return atomic_load_explicit(&large->free, memory_order_relaxed) >
		atomic_load_explicit(&large->made, memory_order_relaxed);
}

static struct call *large_begin(struct large_reads *large)
{
	struct call *call = NULL;
	uint64_t now = clock_ns();

	pthread_mutex_lock(&large->lock);
	if (list_empty(&large->turns) || large->running >= large->running_max) {
		;
	} else if (!has_room(large) && now - large->began < STORE_LARGE_WAIT_NS) {
		atomic_store_explicit(&large->no_room, true, memory_order_relaxed);
	} else {
		struct order *order = order_of(list_first(&large->turns));

		call = call_of(list_first(&order->large_calls));
		list_remove(&call->link);
		list_remove(&order->large_turn);
		if (!list_empty(&order->large_calls))
			list_append(&large->turns, &order->large_turn);
		atomic_fetch_sub_explicit(&large->waiting, 1, memory_order_relaxed);
		large->running++;
		large->began = now;
	}
	pthread_mutex_unlock(&large->lock);
	return call;
}

void large_run(struct worker *reader)
{
	struct sqlite_store *store = reader->store;
	struct large_reads *large = &store->large;
	struct call *call = large_begin(large);
	struct list finished;
	enum run_result result;

	if (call == NULL)
		return;
	worker_moves(reader);
	reader->session.max = 0;
	atomic_store_explicit(&reader->running, 1, memory_order_relaxed);
	(void)session_step(reader->session.begin);
	do
		result = worker_run(reader, call);
	while ((result == RUN_INTERRUPTED || result == RUN_BUSY) && !worker_gives_up(store, call));
	(void)session_step(reader->session.commit);
	atomic_store_explicit(&reader->running, 0, memory_order_relaxed);
	reader->session.max = STORE_LARGE_ANSWER;
	atomic_fetch_add(&large->made, call->answer.length);
	list_init(&finished);
	list_append(&finished, &call->link);
	results_hand_over(store, &finished);
	pthread_mutex_lock(&large->lock);
	large->running--;
	pthread_mutex_unlock(&large->lock);
	if (atomic_load_explicit(&large->waiting, memory_order_relaxed) > 0)
		queue_nudge(&store->reads);
}

void large_received(struct sqlite_store *store, const struct call *call)
{
	atomic_fetch_sub(&store->large.made, call->answer.length);
}

void large_memory(struct sqlite_store *store, size_t free)
{
	struct large_reads *large = &store->large;

	atomic_store_explicit(&large->free, free, memory_order_relaxed);
	if (atomic_load_explicit(&large->no_room, memory_order_relaxed) && has_room(large)) {
		atomic_store_explicit(&large->no_room, false, memory_order_relaxed);
		queue_nudge(&store->reads);
	}
}

void large_expire(struct sqlite_store *store)
{
	struct large_reads *large = &store->large;
	struct list expired;

	if (atomic_load_explicit(&large->waiting, memory_order_relaxed) == 0)
		return;
	list_init(&expired);
	pthread_mutex_lock(&large->lock);
	list_for_each_safe (node, &large->turns) {
		struct order *order = order_of(node);

		worker_expire(store, &order->large_calls, &expired);
		if (list_empty(&order->large_calls))
			list_remove(&order->large_turn);
	}
	atomic_fetch_sub(&large->waiting, list_length(&expired));
	pthread_mutex_unlock(&large->lock);
	/* As if they had run: large_received() takes their length back. */
	list_for_each (node, &expired)
		atomic_fetch_add(&large->made, call_of(node)->answer.length);
	results_hand_over(store, &expired);
	queue_nudge(&store->reads);
}
