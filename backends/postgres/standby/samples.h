/* Samples of the primary's log: how far it was flushed at which time. They tell which position of
 * the log covers a client's calls, and how old a standby is. Thread: the loop. */
#ifndef PIERRE_PG_SAMPLES_H
#define PIERRE_PG_SAMPLES_H

#include <stdbool.h>
#include <stdint.h>

enum { SAMPLES_KEPT = 1024 };

struct sample {
	uint64_t number; /* from 1, in the order of sending */
	uint64_t sent; /* clock_ns() when its query was sent: it covers all that was done before */
	uint64_t log;  /* position of the primary's log */
};

/* A ring: number, sent and log only grow. */
struct samples {
	struct sample kept[SAMPLES_KEPT];
	unsigned first, count;
	uint64_t spacing;    /* ns: two that are nearer may become one */
	struct sample asked; /* the last one sent; its log is not known */
};

/* span_ns: the longest age that samples_since() is to be asked for. */
void samples_init(struct samples *samples, uint64_t span_ns);
/* A query is sent. */
void samples_ask(struct samples *samples, uint64_t now);
/* Its answer. A log that is shorter than before belongs to another primary: the older samples are
 * forgotten. */
void samples_take(struct samples *samples, uint64_t log);

/* The number of the next one to be sent, which covers all that has been answered by now. */
static inline uint64_t samples_next(const struct samples *samples)
{
	return samples->asked.number + 1;
}

/* NULL: none yet. */
const struct sample *samples_last(const struct samples *samples);
/* The first sample from this number on; NULL: it is not there yet. */
const struct sample *samples_covering(const struct samples *samples, uint64_t number);
/* The first sample sent at this time or later; NULL: there is none. */
const struct sample *samples_since(const struct samples *samples, uint64_t sent);
/* The last sample whose position is not behind `log`; NULL: there is none. */
const struct sample *samples_reached(const struct samples *samples, uint64_t log);

#endif
