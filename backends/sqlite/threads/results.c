#include "results.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include "../sqlite_store.h"

void results_hand_over(struct sqlite_store *store, struct list *calls)
{
	bool first;

	if (list_empty(calls))
		return;
	pthread_mutex_lock(&store->done_lock);
	first = list_empty(&store->done);
	list_splice(&store->done, calls);
	pthread_mutex_unlock(&store->done_lock);
	if (first)
		(void)eventfd_write(store->done_fd, 1);
}

void results_take(struct sqlite_store *store, struct list *calls)
{
	eventfd_t count;

	(void)eventfd_read(store->done_fd, &count);
	pthread_mutex_lock(&store->done_lock);
	list_splice(calls, &store->done);
	pthread_mutex_unlock(&store->done_lock);
}
