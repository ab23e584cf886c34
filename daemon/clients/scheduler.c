#include "scheduler.h"

#include <malloc.h>

#include "../../protocol/state.h"

enum {
	TRIM_PEAK = 4 * 1024 * 1024,
	SMALL_SHARE = 64 * 1024, /* connections that hold less never wait for memory */
	ITERATION_NS = 10 * 1000 * 1000,
	LONG_BYTES = 256 * 1024, /* of long lines in one iteration; the last one may go beyond */
};

static const char *const intake_names[] = {
	[INTAKE_READING] = "reading",
	[INTAKE_RUNNING] = "running",
	[INTAKE_QUEUED] = "queued",
	[INTAKE_LONG] = "queued with a long line",
	[INTAKE_DEFERRED] = "deferred",
	[INTAKE_THROTTLED] = "throttled",
	[INTAKE_STOPPED] = "stopped",
};
static const uint32_t next_intakes[] = {
	[INTAKE_READING] = STATE(INTAKE_RUNNING) | STATE(INTAKE_STOPPED),
	[INTAKE_RUNNING] = STATE(INTAKE_READING) | STATE(INTAKE_QUEUED) | STATE(INTAKE_LONG) |
		STATE(INTAKE_DEFERRED) | STATE(INTAKE_THROTTLED) | STATE(INTAKE_STOPPED),
	[INTAKE_QUEUED] = STATE(INTAKE_RUNNING) | STATE(INTAKE_STOPPED),
	[INTAKE_LONG] = STATE(INTAKE_RUNNING) | STATE(INTAKE_STOPPED),
	[INTAKE_DEFERRED] = STATE(INTAKE_QUEUED) | STATE(INTAKE_LONG) | STATE(INTAKE_STOPPED),
	[INTAKE_THROTTLED] = STATE(INTAKE_QUEUED) | STATE(INTAKE_LONG) | STATE(INTAKE_STOPPED),
	[INTAKE_STOPPED] = 0,
};
static const struct state_machine intake_states = {
	"intake", intake_names, next_intakes, INTAKE_STOPPED + 1};

static void scheduler_on_more(uv_idle_t *idle);

void scheduler_add(struct scheduler *scheduler, struct scheduled *scheduled)
{
	scheduled->intake = INTAKE_READING;
	scheduled->account.total = &scheduler->account;
	list_init(&scheduled->queue);
}

void scheduler_move(struct scheduler *scheduler, struct scheduled *scheduled, enum intake intake)
{
	state_change(&intake_states, &scheduled->intake, intake, scheduled->number);
	list_remove(&scheduled->queue);
	if (intake == INTAKE_THROTTLED)
		list_append(&scheduler->throttled, &scheduled->queue);
	if (intake != INTAKE_QUEUED && intake != INTAKE_LONG)
		return;
	list_append(intake == INTAKE_LONG ? &scheduler->long_ready : &scheduler->ready,
		&scheduled->queue);
	if (scheduler->active)
		return;
	scheduler->active = true;
	(void)uv_idle_start(&scheduler->more, scheduler_on_more);
}

void scheduler_ready(struct scheduler *scheduler, struct scheduled *scheduled)
{
	scheduler_move(scheduler, scheduled, scheduled->next_is_long ? INTAKE_LONG : INTAKE_QUEUED);
}

bool scheduler_takes_long(struct scheduler *scheduler, size_t length)
{
	if (!scheduler->long_iteration || scheduler->long_bytes >= LONG_BYTES)
		return false;
	scheduler->long_bytes += length;
	if (scheduler->long_bytes > scheduler->long_bytes_max)
		scheduler->long_bytes_max = scheduler->long_bytes;
	return true;
}

bool scheduler_iteration_over(struct scheduler *scheduler)
{
	uint64_t now = scheduler->runtime->clock.now;

	if (scheduler->iteration_ends == 0)
		scheduler->iteration_ends = now + ITERATION_NS;
	return now > scheduler->iteration_ends;
}

/* Those that were there at the beginning, each once. Those for which no time is left are first in
 * the next iteration. */
static void scheduler_serve(struct scheduler *scheduler, struct list *list)
{
	struct list iteration;

	list_init(&iteration);
	list_splice(&iteration, list);
	do
		scheduler->serve(list_entry(list_first(&iteration), struct scheduled, queue));
	while (!list_empty(&iteration) && !scheduler_iteration_over(scheduler) &&
		scheduler->long_bytes < LONG_BYTES);
	list_splice_front(list, &iteration);
}

/* Each connection that was ready gets its share; one that has still more goes to the end of the
 * list. */
static void scheduler_on_more(uv_idle_t *idle)
{
	struct scheduler *scheduler = idle->data;

	scheduler->long_bytes = 0;
	if (!list_empty(&scheduler->ready))
		scheduler_serve(scheduler, &scheduler->ready);
	if (!list_empty(&scheduler->long_ready)) {
		scheduler->iteration_ends = 0;
		scheduler->long_iteration = true;
		scheduler_serve(scheduler, &scheduler->long_ready);
		scheduler->long_iteration = false;
	}
	if (!scheduler_idle(scheduler))
		return;
	scheduler->active = false;
	(void)uv_idle_stop(idle);
}

bool scheduler_idle(const struct scheduler *scheduler)
{
	return list_empty(&scheduler->ready) && list_empty(&scheduler->long_ready);
}

void scheduler_init(
	struct scheduler *scheduler, struct runtime *runtime, void (*serve)(struct scheduled *))
{
	*scheduler = (struct scheduler){.runtime = runtime, .serve = serve};
	list_init(&scheduler->ready);
	list_init(&scheduler->long_ready);
	list_init(&scheduler->throttled);
	(void)uv_idle_init(&runtime->loop, &scheduler->more);
	scheduler->more.data = scheduler;
}

void scheduler_close_handles(struct scheduler *scheduler)
{
	uv_close((uv_handle_t *)&scheduler->more, NULL);
}

/* A single line must fit whatever the setting says, or its connection could never go on. */
static uint64_t free_memory(const struct scheduler *scheduler, size_t held)
{
	const struct settings *settings = scheduler->runtime->settings;
	uint64_t min = 4 * settings->line_limit;
	uint64_t limit = settings->memory_limit > min ? settings->memory_limit : min;

	return limit > held ? limit - held : 0;
}

/* A connection may hold as much as is free: n that want all get a part of n + 1 each, and the rest
 * is left for newcomers. When all wait, the favoured one goes on, so that there is always
 * progress. */
bool scheduler_memory_short(const struct scheduler *scheduler, const struct scheduled *scheduled)
{
	size_t held = scheduled->account.held;

	return held > SMALL_SHARE && held > free_memory(scheduler, scheduler->account.held) &&
		(scheduled != scheduler->favoured || scheduled->in_flight > 0);
}

size_t scheduler_room(const struct scheduler *scheduler, size_t expected)
{
	return free_memory(scheduler, scheduler->account.held - expected);
}

void scheduler_content(struct scheduler *scheduler, const struct scheduled *scheduled)
{
	if (scheduler->favoured == scheduled)
		scheduler->favoured = NULL;
}

/* Connections with calls in flight go on when these end. Of the others, the one that has waited
 * longest is favoured. */
static void favour_one(struct scheduler *scheduler)
{
	list_for_each (node, &scheduler->throttled) {
		struct scheduled *scheduled = list_entry(node, struct scheduled, queue);

		if (scheduler->favoured != NULL)
			return;
		if (scheduled->in_flight == 0) {
			scheduler->favoured = scheduled;
			scheduler->favoured_waits = false;
		}
	}
}

void scheduler_iteration(struct scheduler *scheduler)
{
	scheduler->iteration_ends = 0;
	if (scheduler->account.held > scheduler->memory_peak)
		scheduler->memory_peak = scheduler->account.held;
	favour_one(scheduler);
	list_for_each_safe (node, &scheduler->throttled) {
		struct scheduled *scheduled = list_entry(node, struct scheduled, queue);

		if (!scheduler_memory_short(scheduler, scheduled))
			scheduler_ready(scheduler, scheduled);
	}
}

/* A favoured connection whose client does not send the rest of its line makes way for the next
 * one. */
static void favour_next(struct scheduler *scheduler)
{
	const struct scheduled *scheduled = scheduler->favoured;

	if (scheduled == NULL || scheduled->in_flight > 0)
		return;
	if (scheduler->favoured_waits)
		scheduler->favoured = NULL;
	scheduler->favoured_waits = true;
}

void scheduler_trim(struct scheduler *scheduler)
{
	size_t held = scheduler->account.held;

	favour_next(scheduler);
	if (scheduler->memory_peak > TRIM_PEAK && held < scheduler->memory_peak / 8) {
		(void)malloc_trim(0);
		scheduler->memory_peak = held;
	}
}
