/* Reads from standbys: which server answers a causal read, so that
 *
 *     a read sees every write answered before it on its client's connection,
 *     reads of one connection never go back in time,
 *     and a read is otherwise at most standby_lag_ms old.
 *
 * A second store, the readers, has the connections to standbys. A call that it takes has another
 * order and another done() meanwhile; what it does not answer goes to the primary. docs/design.md,
 * "Reads from standbys", gives the reasons. Thread: the loop. */
#ifndef PIERRE_PG_SPLIT_H
#define PIERRE_PG_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "../../store.h"
#include "history.h"
#include "samples.h"
#include "sampler.h"
#include "servers.h"

/* The row of pierre_meta that holds the primary's timeline. A standby that shows the newest one
 * follows the newest primary. */
#define SPLIT_TIMELINE_KEY "primary_timeline"

struct postgres_store;

struct split {
	struct postgres_store *store;   /* the primary's */
	struct postgres_store *readers; /* of the standbys */
	struct servers servers;
	struct samples samples;
	struct sampler sampler;
	struct list holding; /* histories with calls that wait to go to the primary */
	unsigned clients;    /* that have had a history */
	uint64_t rescued_at; /* when calls that wait for a primary were last tried on standbys */
	uint64_t floor;      /* position that all reads must see */
	bool fallen;         /* a read has gone to the primary: others may have to follow */
	uint64_t lost_at;    /* since when there is no primary, clock_ns(); 0: there is one */
	uint64_t reads, primary_reads[READ_REASONS];
};

/* A causal read while standbys have it; in the call's arena. */
struct standby_read {
	struct split *split;
	struct order *order; /* the client's */
	void (*done)(struct call *);
	uint32_t tables; /* that it reads */
	uint64_t young;  /* the position that is young enough; call->position is not before it */
	uint64_t until;  /* clock_ns(): it waits so long for the replay; 0: it has not been tried */
	enum read_reason reason; /* why the primary answers it, if the standby fails */
};

/* NULL: out of memory or descriptors, or the URLs name too many hosts. */
struct split *split_new(struct postgres_store *store, struct err *err);
void split_free(struct split *split);
/* A new call: to a standby, to the primary, or held until it may go to the primary. */
void split_place(struct split *split, struct call *call);
/* Sends what waits for standbys. */
void split_flush(struct split *split);
/* Time-outs, connections, samples; as often as the store's timers. */
void split_step(struct split *split);
/* A new sample: calls that waited for it go on. */
void split_sampled(struct split *split);
/* A batch on a standby has ended: takes its proof. Reads that it does not cover leave the list:
 * they wait in `again` for the next one, or go to the primary. */
void split_batch_ended(struct split *split, struct pg_connection *connection, struct list *calls,
	struct list *again);
/* Whether a read may be sent there: one that has had to wait for the replay waits until it is
 * known to have happened. */
bool split_may_send(
	struct split *split, const struct pg_connection *connection, const struct call *call);
/* Whether the batch under way proves enough for the read, whose result has come. */
bool split_covers(
	const struct split *split, const struct pg_connection *connection, const struct call *call);
/* Ends the calls that are held: `end` gets each. */
void split_end(struct split *split, void (*end)(struct call *));
/* When split_step() is due, clock_ns(). */
uint64_t split_next_due(const struct split *split);
void split_stats(const struct split *split, struct store_stats *out);

#endif
