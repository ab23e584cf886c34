/* Positions: what daemon.position answers and daemon.wait_for compares.
 *
 *     sqlite-<32 hexadecimal digits>                          the database's name
 *     primary-<system>-<database>-<timeline>-<log position>   PostgreSQL, the same digits
 *     standby-…                                               the timeline may be an older one
 *
 * A position names its database, so that one of another database is never waited for. On SQLite
 * each answered write is visible to all connections at once: the name says everything. */
#ifndef PIERRE_POSITION_H
#define PIERRE_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum position_kind { POSITION_SQLITE, POSITION_PRIMARY, POSITION_STANDBY };

struct position {
	enum position_kind kind;
	uint64_t database[2]; /* PostgreSQL: the cluster's system identifier, the database's OID */
	uint64_t timeline, log;
};

/* False: the text is no position. */
bool position_parse(struct position *ret, const char *text, size_t length);

enum position_order {
	POSITION_REACHED,
	POSITION_BEHIND,
	POSITION_FOREIGN, /* of another database */
	POSITION_FORKED,  /* of another timeline, whose changes the database may lack for ever */
};

/* Where a database that is at `now` stands with respect to `wanted`. */
enum position_order position_compare(const struct position *wanted, const struct position *now);

#endif
