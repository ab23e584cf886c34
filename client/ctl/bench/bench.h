/* pierre-dbctl bench: its parts.
 *
 * bench_lines.c writes every request beforehand, but its id; bench_run.c keeps a number of
 * connections busy with them from one thread; bench.c reads the options and prints the result. */
#ifndef PIERRE_CTL_BENCH_H
#define PIERRE_CTL_BENCH_H

#include "../../../protocol/metrics/log_linear.h"
#include "../ctl.h"

enum { BENCH_MARKS = 4, BENCH_PIPELINE_MAX = 1024, BENCH_CLIENTS_MAX = 10000 };

/* A request behind its id: `,"method":…,"params":…}` and a newline. Wherever a mark points a number
 * is put in that no other call has. */
struct bench_line {
	char *text;
	uint32_t length;
	uint32_t marks[BENCH_MARKS];
	uint32_t mark_count;
};

/* The lines of one method, and how often it is called in relation to the others. */
struct bench_group {
	struct bench_line *lines;
	size_t count;
	uint64_t weight;
};

struct bench_work {
	struct bench_group *groups;
	size_t count;
	uint64_t weights; /* sum */
};

/* argv: METHOD and its params, where name=@FILE stands for each line of the file in its turn. Tells
 * what is wrong; 0 or the exit code. */
int bench_lines_work_add(struct bench_work *work, uint64_t weight, int argc, char **argv);
/* A file of lines `WEIGHT METHOD params…`; # begins a comment line. */
int bench_lines_work_read(struct bench_work *work, const char *path);
void bench_lines_work_free(struct bench_work *work);

enum { BENCH_PARTS = 6, BENCH_BUCKETS = LOG_LINEAR_BUCKETS(64, BENCH_PARTS) };

struct bench_result {
	uint64_t buckets[BENCH_BUCKETS]; /* latencies in ns */
	uint64_t calls, errors, max_ns, bytes_in, bytes_out;
	double seconds;
	char first_error[512];
};

void bench_add_latency(struct bench_result *result, uint64_t ns);
/* The latency in µs that this part (0.99) of all calls did not exceed. */
double bench_quantile(const struct bench_result *result, double part);

struct bench_options {
	const char *path; /* the socket */
	uint64_t clients, pipeline, calls;
	double seconds;    /* 0: until `calls` are made */
	bool cyclic;       /* lines in their order, not at random */
	unsigned stall_ms; /* no answer for so long: given up */
};

int bench_run(const struct bench_options *options, const struct bench_work *work,
	struct bench_result *result);

#endif
