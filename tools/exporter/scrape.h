/* One question to the daemon at a time: its version, health and statistics, and the pages that are
 * made from the answers. All requests that arrive meanwhile share it. */
#ifndef PIERRE_EXPORTER_SCRAPE_H
#define PIERRE_EXPORTER_SCRAPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pierre-db.h"

enum scrape_page { SCRAPE_METRICS, SCRAPE_HEALTHY, SCRAPE_READY, SCRAPE_PAGES };

struct page {
	unsigned status; /* of HTTP */
	char *text;      /* NULL: out of memory */
	size_t length;
};

enum { SCRAPE_CALLS = 3 };

struct scrape {
	struct pierre *db;
	int64_t calls[SCRAPE_CALLS]; /* their numbers; 0: none under way */
	json_t *results[SCRAPE_CALLS];
	uint64_t began, ended; /* milliseconds; ended 0: never */
	bool running;
	bool failing; /* the last one failed: logged once */
	uint64_t count, failures;
	const uint64_t *dropped; /* the server's count of connections */
	struct page pages[SCRAPE_PAGES];
};

/* The monotonic clock in milliseconds. */
uint64_t scrape_now(void);
/* Returns false when out of memory. */
bool scrape_init(
	struct scrape *scrape, const char *socket, uint64_t timeout_ms, const uint64_t *dropped);
void scrape_free(struct scrape *scrape);
/* Asks the daemon, unless a question is under way or its answer is recent. */
void scrape_begin(struct scrape *scrape);
/* The page, valid until the next scrape_begin(); NULL while the daemon is asked. */
const struct page *scrape_page(const struct scrape *scrape, enum scrape_page page);

#endif
