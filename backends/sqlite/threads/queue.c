#include "queue.h"

void queue_init(struct queue *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->wake, NULL);
	list_init(&queue->calls);
	queue->length = 0;
	queue->stop = queue->nudged = false;
}

void queue_destroy(struct queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
	pthread_cond_destroy(&queue->wake);
}

void queue_push(struct queue *queue, struct list *calls, unsigned count)
{
	pthread_mutex_lock(&queue->lock);
	list_splice(&queue->calls, calls);
	queue->length += count;
	pthread_mutex_unlock(&queue->lock);
	if (count > 1)
		pthread_cond_broadcast(&queue->wake);
	else
		pthread_cond_signal(&queue->wake);
}

bool queue_take(struct queue *queue, struct list *calls, unsigned max, unsigned sharers)
{
	unsigned take;
	bool nudged;

	pthread_mutex_lock(&queue->lock);
	while (queue->length == 0 && !queue->stop && !queue->nudged)
		pthread_cond_wait(&queue->wake, &queue->lock);
	take = (queue->length + sharers - 1) / sharers;
	if (take > max)
		take = max;
	queue->length -= take;
	for (unsigned i = 0; i < take; i++) {
		struct list *node = list_first(&queue->calls);

		list_remove(node);
		list_append(calls, node);
	}
	nudged = queue->nudged;
	queue->nudged = false;
	pthread_mutex_unlock(&queue->lock);
	return take > 0 || nudged;
}

void queue_nudge(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->nudged = true;
	pthread_mutex_unlock(&queue->lock);
	pthread_cond_signal(&queue->wake);
}

void queue_stop(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->stop = true;
	pthread_mutex_unlock(&queue->lock);
	pthread_cond_broadcast(&queue->wake);
}

unsigned queue_length(struct queue *queue)
{
	unsigned length;

	pthread_mutex_lock(&queue->lock);
	length = queue->length;
	pthread_mutex_unlock(&queue->lock);
	return length;
}
