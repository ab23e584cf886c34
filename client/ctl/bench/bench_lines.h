/* The requests of a benchmark, encoded in advance except for their ids. */
#ifndef PIERRE_CTL_BENCH_LINES_H
#define PIERRE_CTL_BENCH_LINES_H

#include <stddef.h>
#include <stdint.h>

enum { BENCH_MARKS = 4 };

/* A request after its id: `,"method":…,"params":…}` and a newline. A unique number is inserted at
 * each mark. */
struct bench_line {
	char *text;
	uint32_t length;
	uint32_t marks[BENCH_MARKS];
	uint32_t mark_count;
};

/* The lines of one method, and its weight. */
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

/* argv: METHOD and its params, where name=@FILE takes each line of the file as a value. Reports an
 * error; returns 0 or the exit code. */
int bench_lines_work_add(struct bench_work *work, uint64_t weight, int argc, char **argv);
/* A file of lines `WEIGHT METHOD params…`; # begins a comment line. */
int bench_lines_work_read(struct bench_work *work, const char *path);
void bench_lines_work_free(struct bench_work *work);

#endif
