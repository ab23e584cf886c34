/* pierre-dbctl top: shared definitions.
 *
 * top_numbers.c computes the activity between two results of daemon.stats; top_draw.c renders it as
 * a frame or a line; top_screen.c controls the terminal; top.c queries the daemon and reads keys.
 */
#ifndef PIERRE_CTL_TOP_H
#define PIERRE_CTL_TOP_H

#include <jansson.h>

#include "buffer.h"
#include "../ctl.h"

enum { TOP_ROWS_MAX = 256, TOP_BUCKETS_MAX = 32, TOP_HISTORY = 512, TOP_SERVERS_MAX = 16 };

/* A latency histogram: calls that took at most bounds[i] and longer than the previous bound; the
 * last bucket is unbounded. */
struct top_latency {
	double bounds[TOP_BUCKETS_MAX], counts[TOP_BUCKETS_MAX + 1];
	size_t count;          /* of bounds */
	double calls, seconds; /* all calls; the sum of their times */
};

/* The percentile (0.99) of the latency in seconds, estimated from the buckets; -1 without calls. */
double top_numbers_quantile(const struct top_latency *latency, double part);

struct top_row {
	const char *name; /* owned by the newer result */
	double rate, p50, p90, p99, mean, errors, load, rows,
		total; /* per second; seconds; load: time in calls per second */
};

/* A server of the database, while the daemon reads from standbys. */
struct top_server {
	const json_t *now; /* owned by the newer result */
	double rate;       /* reads per second that it answers as a standby */
};

enum { TOP_REASONS = 6 };
extern const char *const top_numbers_reasons[TOP_REASONS];

/* Activity between two results. Rates are per second. The sums exclude daemon.* calls. */
struct top_numbers {
	bool valid; /* there are two results of the same daemon */
	double rate, errors, p50, p99, commits, batch, checkpoints, cpu, hashes;
	const char *error_kind; /* the most frequent error of the interval; NULL: none */
	struct top_row rows[TOP_ROWS_MAX];
	size_t row_count;
	double by_standbys, by_primary[TOP_REASONS]; /* causal reads: answered by standbys; by the
	                                                primary, for each reason */
	struct top_server servers[TOP_SERVERS_MAX];
	size_t server_count; /* 0: standbys are not read */
};

enum top_order { TOP_BY_RATE, TOP_BY_P99, TOP_BY_ERRORS, TOP_BY_LOAD, TOP_BY_TOTAL, TOP_BY_NAME };

/* before may be NULL. */
void top_numbers_compute(struct top_numbers *numbers, const json_t *before, const json_t *now);
void top_numbers_sort(struct top_numbers *numbers, enum top_order order);
/* `rate`, `p99`, … or its first letter. */
bool top_numbers_parse_order(const char *text, enum top_order *order);

/* The displayed data. */
struct top_view {
	const json_t *stats, *health, *version;
	const struct top_numbers *numbers;
	const char *socket, *last_error; /* last_error: why there is no current data, or NULL */
	double lost_seconds;             /* time without an answer */
	double interval;
	double history[TOP_HISTORY]; /* calls per second, newest last */
	size_t history_count;
	enum top_order order;
	size_t scroll; /* rows scrolled past; top_draw limits it */
	bool colours, utf8;
	unsigned width, height;
};

/* A whole frame, with cursor movements. */
void top_draw(struct top_view *view, struct buffer *out);
/* Plain output: the column headings, and one line. */
void top_draw_plain_head(struct buffer *out);
void top_draw_plain_line(const struct top_view *view, struct buffer *out);
void top_draw_json_line(const struct top_view *view, struct buffer *out);

/* The terminal: alternate screen, no echo, single keys. Signals end it cleanly (see
 * top_screen_signal). */
bool top_screen_possible(void);
int top_screen_open(void);
void top_screen_close(void);
void top_screen_write(const struct buffer *out);
/* Signals are blocked except while top_screen_wait waits. */
void top_screen_signals_init(bool full_screen);
/* Waits for a key, db_fd, a signal or the timeout. */
struct top_event {
	bool resized, suspended;
	int ended;     /* the signal's number */
	char keys[64]; /* bytes sent by the keys; "" = none */
};
void top_screen_wait(
	int db_fd, unsigned db_events, double seconds, bool keys, struct top_event *event);
/* Ctrl-Z: restores the terminal, stops the process, and takes the terminal again on SIGCONT. */
void top_screen_suspend(void);

#endif
