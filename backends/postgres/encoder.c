/* Encodes large results on a separate thread, and the loop serves others meanwhile. A result is
 * kept until its batch has committed. A batch that fails runs its calls again, and their kept
 * results are dropped. */
#include "encoder.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#include "../execute.h"
#include "pg_store.h"
#include "result.h"

/* Limits in bytes, of one result and of all results in a loop iteration, that the loop itself
 * encodes. Small results do not count: many of them are the loop's normal work. */
enum { LOOP_ITERATION = 512 << 10, SMALL_RESULT = 4096 };

struct encoding {
	struct list link; /* in batch->kept, the encoder's work or done */
	PGresult *result;
	size_t size; /* of the result */
	unsigned count;
	bool many;              /* from a statement shared by several calls */
	struct pg_batch *batch; /* of a transaction, which ends behind it; NULL: its calls end */
	struct call *calls[];
};

static struct encoding *encoding_of(struct list *node)
{
	return list_entry(node, struct encoding, link);
}

bool encoder_wants(struct postgres_store *store, const PGresult *result)
{
	size_t size = PQresultMemorySize(result);

	if (size <= SMALL_RESULT)
		return false;
	if (size > STORE_LARGE_ANSWER || store->iteration_bytes + size > LOOP_ITERATION)
		return true;
	store->iteration_bytes += size;
	if (store->iteration_bytes > store->iteration_bytes_max)
		store->iteration_bytes_max = store->iteration_bytes;
	return false;
}

bool encoder_keep(struct postgres_store *store, struct pg_batch *batch, struct call **calls,
	unsigned count, bool many, PGresult *result)
{
	struct encoding *encoding = malloc(sizeof *encoding + count * sizeof(struct call *));

	if (encoding == NULL)
		return false;
	encoding->result = result;
	encoding->size = PQresultMemorySize(result);
	encoding->count = count;
	encoding->many = many;
	encoding->batch = batch->transaction != NULL ? batch : NULL;
	for (unsigned i = 0; i < count; i++) {
		encoding->calls[i] = calls[i];
		calls[i]->route = ROUTE_KEPT;
	}
	list_append(&batch->kept, &encoding->link);
	batch->kept_bytes += encoding->size;
	store->encoder.kept += encoding->size;
	return true;
}

static void encoding_free(struct postgres_store *store, struct encoding *encoding)
{
	store->encoder.kept -= encoding->size;
	PQclear(encoding->result);
	free(encoding);
}

void encoder_drop(struct postgres_store *store, struct pg_batch *batch)
{
	list_for_each_safe (node, &batch->kept) {
		list_remove(node);
		encoding_free(store, encoding_of(node));
	}
}

static void encode(struct postgres_store *store, struct encoding *encoding)
{
	if (encoding->many) {
		result_many(store, encoding->calls, encoding->count, encoding->result);
	} else if (encoding->calls[0]->err.kind == ERR_NONE) {
		execute_begin(encoding->calls[0]);
		(void)result_rows(store, encoding->calls[0], encoding->result);
	}
	PQclear(encoding->result); /* freeing takes as long as building */
	encoding->result = NULL;
}

static void *encoder_run(void *argument)
{
	struct postgres_store *store = argument;
	struct encoder *encoder = &store->encoder;

	pthread_mutex_lock(&encoder->lock);
	for (;;) {
		struct list *node;
		bool first;

		while (list_empty(&encoder->work) && !encoder->stop)
			pthread_cond_wait(&encoder->wake, &encoder->lock);
		if (list_empty(&encoder->work))
			break;
		node = list_first(&encoder->work);
		list_remove(node);
		pthread_mutex_unlock(&encoder->lock);
		encode(store, encoding_of(node));
		pthread_mutex_lock(&encoder->lock);
		first = list_empty(&encoder->done);
		list_append(&encoder->done, node);
		if (first)
			(void)eventfd_write(store->mailbox->wake, 1);
	}
	pthread_mutex_unlock(&encoder->lock);
	return NULL;
}

bool encoder_start(struct postgres_store *store)
{
	struct encoder *encoder = &store->encoder;

	list_init(&encoder->work);
	list_init(&encoder->done);
	pthread_mutex_init(&encoder->lock, NULL);
	pthread_cond_init(&encoder->wake, NULL);
	encoder->started = pthread_create(&encoder->thread, NULL, encoder_run, store) == 0;
	return encoder->started;
}

void encoder_submit(struct postgres_store *store, struct pg_batch *batch)
{
	if (list_empty(&batch->kept))
		return;
	list_for_each (node, &batch->kept)
		for (unsigned i = 0; i < encoding_of(node)->count; i++) {
			list_remove(&encoding_of(node)->calls[i]->link);
			store->encoding++;
			batch->encoding += encoding_of(node)->batch != NULL;
		}
	pthread_mutex_lock(&store->encoder.lock);
	list_splice(&store->encoder.work, &batch->kept);
	pthread_mutex_unlock(&store->encoder.lock);
	pthread_cond_signal(&store->encoder.wake);
}

void encoder_collect(struct postgres_store *store)
{
	struct list done;

	if (store->encoding == 0)
		return;
	list_init(&done);
	pthread_mutex_lock(&store->encoder.lock);
	list_splice(&done, &store->encoder.done);
	pthread_mutex_unlock(&store->encoder.lock);
	while (!list_empty(&done)) {
		struct encoding *encoding = encoding_of(list_first(&done));

		list_remove(&encoding->link);
		for (unsigned i = 0; i < encoding->count; i++) {
			store->encoding--;
			if (encoding->batch == NULL)
				pg_store_finish(encoding->calls[i]);
			else if (--encoding->batch->encoding == 0) {
				encoding->batch->encoded = true;
				store->encoded++;
			}
		}
		encoding_free(store, encoding);
	}
}

void encoder_stop(struct postgres_store *store)
{
	struct encoder *encoder = &store->encoder;

	if (!encoder->started)
		return;
	pthread_mutex_lock(&encoder->lock);
	encoder->stop = true;
	pthread_mutex_unlock(&encoder->lock);
	pthread_cond_signal(&encoder->wake);
	pthread_join(encoder->thread, NULL);
	encoder->started = false;
	encoder_collect(store);
	pthread_cond_destroy(&encoder->wake);
	pthread_mutex_destroy(&encoder->lock);
}
