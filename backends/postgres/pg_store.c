#include "pg_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cluster/hosts.h"
#include "idempotency/pg_once.h"

struct postgres_store *pg_store_new(
	const struct store_ops *ops, const struct store_settings *settings)
{
	struct postgres_store *store = calloc(1, sizeof *store);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = PG_EVENT_MAILBOX};

	if (store == NULL)
		return NULL;
	store->store.ops = ops;
	store->settings = *settings;
	store->connection_limit = settings->connections < 1  ? 1
		: settings->connections > PG_CONNECTIONS_MAX ? PG_CONNECTIONS_MAX
							     : settings->connections;
	if (store->settings.min_connections < 1)
		store->settings.min_connections = 1;
	if (store->settings.min_connections > store->connection_limit)
		store->settings.min_connections = store->connection_limit;
	store->answer_room = SIZE_MAX;
	list_init(&store->waiting);
	list_init(&store->completed);
	list_init(&store->migrating);
	store->sending.wipe = true;
	store->url = strdup(settings->url);
	store->host_count = hosts_count(settings->url);
	store->alike = calloc(catalog_method_count, sizeof *store->alike);
	store->once_texts = calloc(catalog_method_count, sizeof *store->once_texts);
	store->epoll = epoll_create1(EPOLL_CLOEXEC);
	store->mailbox = jobs_mailbox_new();
	bool good = store->url != NULL && store->alike != NULL && store->once_texts != NULL &&
		store->epoll >= 0 && store->mailbox != NULL && store->mailbox->wake >= 0 &&
		epoll_ctl(store->epoll, EPOLL_CTL_ADD, store->mailbox->wake, &event) == 0;
	for (unsigned i = 0; i < store->connection_limit; i++)
		good = pg_connection_init(&store->connections[i], i + 1) && good;
	if (good && encoder_start(store))
		return store;
	pg_store_free(store);
	return NULL;
}

void pg_store_free(struct postgres_store *store)
{
	encoder_stop(store);
	if (!store->reads_only)
		split_free(store->split);
	for (unsigned i = 0; i < PG_CONNECTIONS_MAX; i++)
		pg_connection_free(&store->connections[i]);
	if (store->mailbox != NULL)
		jobs_mailbox_release(store->mailbox, true);
	if (store->epoll >= 0)
		close(store->epoll);
	if (store->url != NULL)
		explicit_bzero(store->url, strlen(store->url));
	free(store->url);
	free(store->alike);
	pg_once_free(store->once_texts);
	free(store->session_settings);
	buffer_free(&store->keys);
	arena_free(&store->sending);
	free(store);
}
