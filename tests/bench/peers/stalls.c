/* The time that the machine takes for itself: a loop on each processor only reads the clock, and
 * its interruptions are measured. No program's latency can be better than that.
 *
 * usage: bench-stalls SECONDS; prints one line of JSON: the share of the time in gaps longer than
 * each of some lengths. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

enum { MARKS = 4, PROCESSORS_MOST = 256 };
static const uint64_t marks[MARKS] = {20000, 100000, 300000, 1000000};

struct watcher {
	pthread_t thread;
	int processor;
	uint64_t until, lost[MARKS], longest;
};

static void *watch(void *argument)
{
	struct watcher *watcher = argument;
	uint64_t last, now;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)watcher->processor, &one);
	if (pthread_setaffinity_np(pthread_self(), sizeof one, &one) != 0)
		peer_die("cannot run on processor %d", watcher->processor);
	for (last = peer_clock(); last < watcher->until; last = now) {
		now = peer_clock();
		for (int i = 0; i < MARKS; i++)
			watcher->lost[i] += now - last > marks[i] ? now - last : 0;
		if (now - last > watcher->longest)
			watcher->longest = now - last;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct watcher watchers[PROCESSORS_MOST];
	double seconds = argc == 2 ? strtod(argv[1], NULL) : 0.0;
	uint64_t until = peer_clock() + (uint64_t)(seconds * 1e9), longest = 0;
	unsigned count = 0;
	cpu_set_t all;

	if (seconds <= 0.0 || sched_getaffinity(0, sizeof all, &all) != 0)
		peer_die("usage: %s SECONDS", argv[0]);
	for (int i = 0; i < PROCESSORS_MOST; i++) {
		if (!CPU_ISSET((size_t)i, &all))
			continue;
		watchers[count] = (struct watcher){.processor = i, .until = until};
		if (pthread_create(&watchers[count].thread, NULL, watch, &watchers[count]) != 0)
			peer_die("cannot start a thread");
		count++;
	}
	for (unsigned i = 0; i < count; i++) {
		(void)pthread_join(watchers[i].thread, NULL);
		longest = watchers[i].longest > longest ? watchers[i].longest : longest;
	}
	(void)printf(
		"{\"processors\":%u,\"longest_us\":%.1f,\"lost\":{", count, (double)longest / 1e3);
	for (int mark = 0; mark < MARKS; mark++) {
		uint64_t lost = 0;

		for (unsigned i = 0; i < count; i++)
			lost += watchers[i].lost[mark];
		(void)printf("%s\"%llu\":%.6f", mark > 0 ? "," : "",
			(unsigned long long)marks[mark] / 1000,
			(double)lost / (seconds * 1e9 * count));
	}
	(void)puts("}}");
	return 0;
}
