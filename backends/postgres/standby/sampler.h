/* The connection that samples the primary: how far its log is flushed, and which transactions run.
 * It also stores the primary's timeline in the database, where standbys show it once they follow.
 * Thread: the loop. */
#ifndef PIERRE_PG_SAMPLER_H
#define PIERRE_PG_SAMPLER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../../protocol/state.h"
#include "../../failure_log.h"
#include "history.h"

struct split;

enum sampler_state {
	SAMPLER_CLOSED,
	SAMPLER_CONNECTING, /* a job uses it */
	SAMPLER_IDLE,
	SAMPLER_ASKING,  /* a sample is under way */
	SAMPLER_MARKING, /* the timeline is being stored */
	SAMPLER_STATES
};

extern const struct state_machine sampler_states;

struct sampler {
	uint8_t state; /* enum sampler_state: state_change() */
	PGconn *pq;
	int socket;          /* in the store's epoll set; -1: none */
	char *sql;           /* the sample's statement, */
	char *waits_sql;     /* and the same with a look for commits that wait for a standby */
	PGresult *last;      /* the last one of the statements that are under way */
	bool wanted;         /* a client waits for the position of its calls */
	bool hurry;          /* a call waits for the next sample, */
	bool patient;        /* and has waited for long */
	bool looking;        /* the sample under way looks for commits that wait */
	bool waits;          /* a commit on the primary waited for a standby, */
	uint64_t looked_at;  /* when a sample that looked for it was sent, clock_ns() */
	bool unflushed;      /* the primary's commits are answered before they are flushed */
	bool silent;         /* the last sample was given up, when the primary */
	uint64_t answered;   /* had answered so many batches */
	unsigned failures;   /* in a row */
	uint64_t retry_at;   /* earliest time to connect */
	uint64_t asked_at;   /* when the statement under way was sent */
	uint64_t idle_ns;    /* longest time between two samples */
	uint64_t timeline;   /* of the newest sample's primary */
	struct snapshot now; /* of the newest sample */
	struct failure_log failure_log;
};

/* False: out of memory. */
bool sampler_init(struct split *split);
void sampler_free(struct split *split);
/* Connects, asks and gives up as is due. */
void sampler_step(struct split *split, uint64_t now);
/* Its socket is readable. */
void sampler_receive(struct split *split);
/* Whether the primary has not answered for so long that it counts as lost. */
bool sampler_stalled(const struct split *split, uint64_t now);
/* Whether the newest look since then has found no commit that waits for a standby. */
bool sampler_none_waits(const struct split *split, uint64_t since);
/* When sampler_step() is due, clock_ns(); UINT64_MAX: not before something happens. */
uint64_t sampler_next_due(const struct split *split, uint64_t now);

#endif
