/* The daemon's log: key=value lines on stderr, never waiting for its reader.
 *
 * Lines go through a bounded ring to a thread that writes them; when the ring is full a line is
 * dropped and counted. Before log_start and after log_stop they are written directly. With stderr
 * on the journal, lines begin with a priority prefix
 * (`<6>`), else with the time. Levels are those of syslog.h. Thread: any. */
#ifndef PIERRE_LOG_H
#define PIERRE_LOG_H

#include <stdint.h>
#include <syslog.h>

struct log_pair {
	const char *key;
	enum { LOG_PAIR_NONE, LOG_PAIR_TEXT, LOG_PAIR_NUMBER, LOG_PAIR_REAL } kind;
	const char *text;
	int64_t number;
	double real;
};

#define log_text(k, t)                                                                             \
	{                                                                                          \
		.key = (k), .kind = LOG_PAIR_TEXT, .text = (t)                                     \
	}
#define log_number(k, n)                                                                           \
	{                                                                                          \
		.key = (k), .kind = LOG_PAIR_NUMBER, .number = (int64_t)(n)                        \
	}
#define log_real(k, r)                                                                             \
	{                                                                                          \
		.key = (k), .kind = LOG_PAIR_REAL, .real = (r)                                     \
	}

/* log_event(LOG_INFO, "listening", log_text("socket", path), log_number("fd", 3)). A pair whose
 * text is NULL is left out. */
#define log_event(level, message, ...)                                                             \
	log_pairs((level), (message), (const struct log_pair[]){{.key = NULL}, ##__VA_ARGS__},     \
		sizeof((const struct log_pair[]){{.key = NULL}, ##__VA_ARGS__}) /                  \
			sizeof(struct log_pair))

void log_pairs(int level, const char *message, const struct log_pair *pairs, unsigned long count);
/* What stores call: the formatted text becomes the message. */
void log_printf(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

void log_set_level(int level);
void log_start(
	void); /* starts the writer thread; without it (no memory) lines are written directly */
void log_stop(void); /* waits up to a second for what is buffered */
uint64_t log_lines(void);
uint64_t log_dropped(void);

#endif
