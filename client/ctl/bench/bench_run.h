/* The loop of a benchmark: drives several connections from one thread. */
#ifndef PIERRE_CTL_BENCH_RUN_H
#define PIERRE_CTL_BENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "bench_latency.h"
#include "bench_lines.h"

enum { BENCH_PIPELINE_MAX = 1024, BENCH_CLIENTS_MAX = 10000 };

struct bench_result {
	struct bench_latency latency; /* of all answered calls */
	uint64_t errors, bytes_in, bytes_out;
	double seconds;
	char first_error[512];
};

struct bench_options {
	const char *path; /* the socket */
	uint64_t clients, pipeline, calls;
	double seconds;    /* 0: until `calls` are complete */
	bool keys;         /* each call has an idempotency key of its own */
	bool cyclic;       /* lines in order, not at random */
	unsigned stall_ms; /* fails after this time without an answer */
};

/* Fills *result. Returns 0, or the exit code after reporting an error. */
int bench_run(const struct bench_options *options, const struct bench_work *work,
	struct bench_result *result);

#endif
