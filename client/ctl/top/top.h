/* pierre-dbctl top: its parts.
 *
 * top_numbers.c turns two answers of daemon.stats into what happened between them; top_draw.c makes
 * a picture or a line of that; top_screen.c is the terminal; top.c asks the daemon and listens to
 * keys. */
#ifndef PIERRE_CTL_TOP_H
#define PIERRE_CTL_TOP_H

#include <jansson.h>
/* protocol/json/json.h has functions of these names; calling jansson's by them would end there. */
#pragma GCC poison json_string json_integer json_scan_real

#include "buffer.h"
#include "../ctl.h"

enum { TOP_ROWS_MAX = 256, TOP_BUCKETS_MAX = 32, TOP_HISTORY = 512 };

/* Calls by their latency: how many took no longer than bounds[i] and longer than the bound before;
 * the last: beyond all. */
struct top_latency {
	double bounds[TOP_BUCKETS_MAX], counts[TOP_BUCKETS_MAX + 1];
	size_t count;          /* of bounds */
	double calls, seconds; /* all of them; their time in sum */
};

/* The latency in seconds that this part (0.99) did not exceed, as near as the buckets tell; -1 when
 * there were no calls. */
double top_numbers_quantile(const struct top_latency *latency, double part);

struct top_row {
	const char *name; /* lives as long as the newer answer */
	double rate, p50, p90, p99, mean, errors, load, rows,
		total; /* per second; seconds; load: time in calls per second */
};

/* Between two answers. Rates are per second. The sums leave daemon.* calls out: those watch and
 * steer. */
struct top_numbers {
	bool valid; /* there were two answers of the same daemon */
	double rate, errors, p50, p99, commits, batch, checkpoints, cpu, hashes;
	const char *error_kind; /* the most frequent error of the interval; NULL: none */
	struct top_row rows[TOP_ROWS_MAX];
	size_t row_count;
};

enum top_order { TOP_BY_RATE, TOP_BY_P99, TOP_BY_ERRORS, TOP_BY_LOAD, TOP_BY_TOTAL, TOP_BY_NAME };

/* before may be NULL. */
void top_numbers_compute(struct top_numbers *numbers, const json_t *before, const json_t *now);
void top_numbers_sort(struct top_numbers *numbers, enum top_order order);
/* `rate`, `p99`, … or its first letter. */
bool top_numbers_parse_order(const char *text, enum top_order *order);

/* What is shown. */
struct top_view {
	const json_t *stats, *health, *version;
	const struct top_numbers *numbers;
	const char *socket, *last_error; /* trouble: why nothing is known any more, or NULL */
	double lost_seconds;             /* since when */
	double interval;
	double history[TOP_HISTORY]; /* calls a second, newest last */
	size_t history_count;
	enum top_order order;
	size_t scroll; /* rows passed over; top_draw bounds it */
	bool colours, utf8;
	unsigned width, height;
};

/* The whole picture, with the cursor's movements. */
void top_draw(struct top_view *view, struct buffer *out);
/* Plain output: the head of the columns, and one line. */
void top_draw_plain_head(struct buffer *out);
void top_draw_plain_line(const struct top_view *view, struct buffer *out);
void top_draw_json_line(const struct top_view *view, struct buffer *out);

/* The terminal: alternate screen, no echo, single keys. Signals end it cleanly (see
 * top_screen_signal). */
bool top_screen_possible(void);
int top_screen_open(void);
void top_screen_close(void);
void top_screen_size(unsigned *width, unsigned *height);
void top_screen_write(const struct buffer *out);
/* Blocks signals but while top_screen_wait waits. */
void top_screen_signals_init(bool full_screen);
/* Waits until a key is there (true in *key), db_fd is ready, a signal came or the time is over. */
struct top_event {
	bool resized, suspended;
	int ended;     /* the signal's number */
	char keys[64]; /* what the keys sent; "" = none */
};
void top_screen_wait(
	int db_fd, unsigned db_events, double seconds, bool keys, struct top_event *event);
/* Ctrl-Z: gives the terminal back, stops, and takes it again when it goes on. */
void top_screen_suspend(void);

#endif
