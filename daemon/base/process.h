/* What the process is and shows to others: limits, core dumps, inherited descriptors, traces of
 * secrets, its own numbers. Thread: main, before others start; process_usage: any. */
#ifndef PIERRE_PROCESS_H
#define PIERRE_PROCESS_H

#include <stdint.h>

/* Umask, ignored signals, no core, no tracing, no new privileges, descriptors 0 to 2 open. */
void process_harden(void);
/* Takes the secrets of the settings' table out of the environment block and the arguments, as /proc
 * shows them: keys whole, of URLs their passwords; PGPASSWORD besides. */
void process_scrub(char **argv, char **environment);
/* Raises the limit of open descriptors towards `wanted`; returns what it is then. */
uint64_t process_raise_descriptors(uint64_t wanted);

struct process_usage {
	uint64_t resident_bytes, descriptors, threads, cpu_user_us, cpu_system_us, descriptor_limit;
	int64_t started_at; /* wall clock, seconds */
};

void process_usage(struct process_usage *usage);
unsigned process_cpus(void);

#endif
