/* Calls that wait for threads, under one lock. The loop appends once an iteration; each thread
 * takes what has piled up. */
#ifndef PIERRE_SQLITE_QUEUE_H
#define PIERRE_SQLITE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

#include "../../../protocol/list.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list calls;
	unsigned length;
	bool stop;
};

void queue_init(struct queue *queue);
void queue_destroy(struct queue *queue);
/* Appends all of `calls` and wakes: one thread, or all when there is enough for several. */
void queue_push(struct queue *queue, struct list *calls, unsigned count);
/* Waits for calls; takes up to `max`, sharing with `sharers` threads. False when the queue was
 * stopped and is empty. */
bool queue_take(struct queue *queue, struct list *calls, unsigned max, unsigned sharers);
void queue_stop(struct queue *queue);
unsigned queue_length(struct queue *queue);

#endif
