#include "sqlite_store.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "files/place.h"
#include "files/watch.h"
#include "threads/checkpoint.h"
#include "threads/queue.h"

struct sqlite_store *sqlite_store_new(
	const struct store_ops *ops, const struct store_settings *settings)
{
	struct sqlite_store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return NULL;
	store->store.ops = ops;
	store->settings = *settings;
	if (store->settings.batch == 0)
		store->settings.batch = 1;
	store->lock_fd = -1;
	store->place.fd = -1;
	store->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	list_init(&store->to_writer);
	list_init(&store->to_readers);
	list_init(&store->completed);
	list_init(&store->done);
	queue_init(&store->writes);
	queue_init(&store->reads);
	large_init(&store->large);
	pthread_mutex_init(&store->done_lock, NULL);
	pthread_mutex_init(&store->error_lock, NULL);
	pthread_mutex_init(&store->checkpointer.lock, NULL);
	pthread_cond_init(&store->checkpointer.wake, NULL);
	pthread_mutex_init(&store->writer.guard, NULL);
	pthread_mutex_init(&store->checkpoint_worker.guard, NULL);
	for (unsigned i = 0; i < READERS_MAX; i++)
		pthread_mutex_init(&store->readers[i].guard, NULL);
	if (store->done_fd >= 0)
		return store;
	sqlite_store_free(store);
	return NULL;
}

void sqlite_store_free(struct sqlite_store *store)
{
	session_close(&store->loop);
	for (unsigned i = 0; i < READERS_MAX; i++)
		session_close(&store->readers[i].session);
	checkpoint_free(store);
	session_close(&store->writer.session); /* last: it checkpoints the log and removes it */
	place_free(&store->place);
	if (store->done_fd >= 0)
		close(store->done_fd);
	queue_destroy(&store->writes);
	queue_destroy(&store->reads);
	large_destroy(&store->large);
	pthread_mutex_destroy(&store->done_lock);
	pthread_mutex_destroy(&store->error_lock);
	pthread_mutex_destroy(&store->writer.guard);
	pthread_mutex_destroy(&store->checkpoint_worker.guard);
	for (unsigned i = 0; i < READERS_MAX; i++)
		pthread_mutex_destroy(&store->readers[i].guard);
	watch_free(&store->watch);
	free(store);
}
