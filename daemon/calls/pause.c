#include "pause.h"

#include "../base/log.h"
#include "finish.h"

enum { MS = 1000 * 1000, GRAIN_MS = 10 }; /* limits this close end together */

static void pause_on_timer(uv_timer_t *timer);

static void wait_until(struct pause *pause, uint64_t due)
{
	uint64_t now = uv_hrtime(), wait = due > now ? (due - now) / MS + 1 : 0;

	pause->due = due;
	uv_update_time(&pause->runtime->loop);
	(void)uv_timer_start(&pause->timer, pause_on_timer, wait > GRAIN_MS ? wait : GRAIN_MS, 0);
}

static struct request *take_first(struct pause *pause)
{
	struct request *request = list_entry(list_first(&pause->waiting), struct request, link);

	list_remove(&request->link);
	pause->count--;
	return request;
}

static void pause_refuse(struct request *request, enum err_kind kind, const char *message)
{
	(void)err_set(&request->call.err, kind, "%s", message);
	request->call.err.outcome = OUTCOME_NONE;
	finish_call(request);
}

/* Ends calls whose time has run out, and sets the timer for the next one. */
static void pause_expire(struct pause *pause)
{
	uint64_t now = uv_hrtime(), next = 0;

	list_for_each_safe (node, &pause->waiting) {
		struct request *request = list_entry(node, struct request, link);
		uint64_t deadline = request->call.deadline;

		if (deadline <= now) {
			list_remove(node);
			pause->count--;
			pause_refuse(request, ERR_TIMEOUT,
				"the call's time ran out while the daemon was paused");
		} else if (next == 0 || deadline < next) {
			next = deadline;
		}
	}
	pause->due = 0;
	if (next != 0)
		wait_until(pause, next);
}

static void pause_on_timer(uv_timer_t *timer)
{
	struct pause *pause = timer->data;

	pause_expire(pause);
	if (pause->paused)
		return;
	(void)uv_timer_stop(timer);
	pause->due = 0;
	while (pause->count > 0)
		pause->go_on(take_first(pause));
}

int pause_init(struct pause *pause, struct runtime *runtime, void (*go_on)(struct request *request))
{
	*pause = (struct pause){.runtime = runtime, .go_on = go_on};
	list_init(&pause->waiting);
	pause->timer.data = pause;
	return uv_timer_init(&runtime->loop, &pause->timer);
}

void pause_close(struct pause *pause)
{
	uv_close((uv_handle_t *)&pause->timer, NULL);
}

void pause_begin(struct pause *pause, unsigned in_flight)
{
	if (pause->paused)
		return;
	pause->paused = true;
	pause->runtime->metrics.pauses++;
	log_event(LOG_NOTICE, "paused: new calls wait",
		log_number("under_way", in_flight - pause->count));
}

/* Deferred: the call that resumes is still being answered. */
void pause_end(struct pause *pause)
{
	if (!pause->paused)
		return;
	pause->paused = false;
	log_event(LOG_NOTICE, "resumed", log_number("waiting", pause->count));
	(void)uv_timer_start(&pause->timer, pause_on_timer, 0, 0);
}

void pause_give_up(struct pause *pause)
{
	pause->paused = false;
	(void)uv_timer_stop(&pause->timer);
	while (pause->count > 0)
		pause_refuse(take_first(pause), ERR_SHUTTING_DOWN,
			"the daemon stopped while it was paused; the call did not run");
}

void pause_hold(struct pause *pause, struct request *request)
{
	request_move(request, REQUEST_PAUSED);
	list_append(&pause->waiting, &request->link);
	pause->count++;
	if (pause->paused && (pause->due == 0 || request->call.deadline < pause->due))
		wait_until(pause, request->call.deadline);
}
