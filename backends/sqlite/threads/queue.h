/* Calls that wait for threads, under one lock. The loop appends once per iteration; each thread
 * takes a share of what has accumulated. */
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
	bool nudged; /* a thread has work other than calls */
};

void queue_init(struct queue *queue);
void queue_destroy(struct queue *queue);
/* Appends all of `calls` and wakes one thread, or all when there are enough for several. */
void queue_push(struct queue *queue, struct list *calls, unsigned count);
/* Waits for calls or a nudge and takes up to `max`, sharing with `sharers` threads. False when the
 * queue is stopped and empty. */
bool queue_take(struct queue *queue, struct list *calls, unsigned max, unsigned sharers);
/* Wakes one thread, which may then take no call. */
void queue_nudge(struct queue *queue);
void queue_stop(struct queue *queue);
unsigned queue_length(struct queue *queue);

#endif
