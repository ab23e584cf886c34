/* A client that makes one call after another sends the next within microseconds of the answer, and
 * a database nearby answers a look-up within some more. To go to sleep in between and be woken
 * takes longer than most calls themselves. So the loop goes on looking for a moment, but only after
 * calls have come so quickly several times running, and less readily after each that did not: a
 * daemon whose clients pause sleeps as ever. Where there is one processor only, the client needs
 * it. */
#include "busy_poll.h"

#include <sched.h>

enum { TRUST_FROM = 4, TRUST_MAX = 16 };

static void on_idle(uv_idle_t *idle)
{
	(void)idle; /* its being active is what keeps the loop from sleeping */
}

static bool one_processor(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1;
}

void busy_poll_init(struct busy_poll *poll, uv_loop_t *loop, uint64_t limit_us)
{
	*poll = (struct busy_poll){.limit = one_processor() ? 0 : limit_us * 1000};
	(void)uv_idle_init(loop, &poll->idle);
}

void busy_poll_before_wait(struct busy_poll *poll, bool calm)
{
	bool active, look;

	if (poll->limit == 0)
		return;
	if (poll->quiet_since == 0)
		poll->quiet_since = uv_hrtime();
	else if (uv_hrtime() - poll->quiet_since > poll->limit)
		calm = false;
	look = calm && poll->trust >= TRUST_FROM;
	active = uv_is_active((uv_handle_t *)&poll->idle) != 0;
	if (look && !active)
		(void)uv_idle_start(&poll->idle, on_idle);
	else if (!look && active)
		(void)uv_idle_stop(&poll->idle);
}

void busy_poll_heard(struct busy_poll *poll)
{
	if (poll->quiet_since == 0)
		return;
	if (uv_hrtime() - poll->quiet_since > poll->limit)
		poll->trust /= 2;
	else if (poll->trust < TRUST_MAX)
		poll->trust++;
	poll->quiet_since = 0;
}

void busy_poll_close(struct busy_poll *poll)
{
	uv_close((uv_handle_t *)&poll->idle, NULL);
}
