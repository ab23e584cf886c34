#include "wait_for.h"

#include <stdio.h>
#include <string.h>

#include "../../backends/position.h"
#include "../calls/finish.h"
#include "../calls/passwords.h"
#include "admin.h"

enum { STEP_MIN_MS = 2, STEP_MAX_MS = 64, LOOK_MS = 250 };
static const uint64_t ms = 1000000;

static void answer_wait(struct request *request)
{
	struct connection *connection = request->connection;

	list_remove(&request->call.link);
	list_remove(&request->link);
	finish_call(request);
	passwords_release_held(connection);
}

static void end_with(struct request *request, enum err_kind kind, const char *message)
{
	(void)err_set(&request->call.err, kind, "%s", message);
	request->call.err.outcome = OUTCOME_NONE;
	answer_wait(request);
}

static void conflict(struct request *request, const char *message)
{
	(void)err_set(&request->call.err, ERR_CONFLICT, "%s", message);
	(void)snprintf(request->call.err.field, sizeof request->call.err.field, "position");
	answer_wait(request);
}

static bool wanted_of(const struct request *request, struct position *wanted)
{
	const struct value *text = &request->call.values[0];

	return position_parse(wanted, text->s.ptr, text->s.len);
}

/* Standbys that answer reads of this daemon may be behind the server that was compared. */
static void raise_reads(struct store *store, const struct position *wanted)
{
	if (wanted->kind != POSITION_SQLITE && store->ops->read_after != NULL)
		store->ops->read_after(store, wanted->log);
}

/* Answers a request unless the database is behind its position. */
static void compare(struct store *store, struct request *request, const struct position *now)
{
	struct position wanted;

	(void)wanted_of(request, &wanted);
	switch (position_compare(&wanted, now)) {
	case POSITION_REACHED:
		raise_reads(store, &wanted);
		buffer_text(&request->call.answer, "null");
		answer_wait(request);
		break;
	case POSITION_FOREIGN:
		conflict(request, "the position is one of another database");
		break;
	case POSITION_FORKED:
		conflict(request,
			"the position is one of another timeline: since a standby was promoted the "
			"database may lack what it covers");
		break;
	case POSITION_BEHIND:
		break;
	}
}

static struct request *request_at(struct list *node)
{
	return request_of(call_of(node));
}

/* Ends those whose time has run out, or whose client is gone. Returns when the next time runs out,
 * or a look for clients is due. */
static uint64_t expire(struct wait_for *self, uint64_t now)
{
	uint64_t next = now + LOOK_MS * ms;

	list_for_each_safe (node, &self->waiting) {
		struct request *request = request_at(node);
		const struct order *order = request->call.order;

		if (atomic_load_explicit(&order->gone, memory_order_relaxed) &&
			!request->notification) {
			request->call.dropped = true;
			end_with(request, ERR_UNAVAILABLE, "the client has disconnected");
		} else if (request->call.deadline <= now) {
			end_with(request, ERR_TIMEOUT,
				"the call's time ran out before the database reached the position");
		} else if (request->call.deadline < next) {
			next = request->call.deadline;
		}
	}
	return next;
}

static void ask_position(struct wait_for *self, uint64_t now)
{
	struct call *probe = &self->probe;

	self->probing = true;
	probe->err.kind = ERR_NONE;
	probe->rows = 0;
	probe->now = timestamp_now();
	probe->submitted = now;
	probe->deadline = now + self->admin->runtime->settings->call_timeout * ms;
	dispatcher_submit(self->admin->dispatcher, probe);
}

static void wait_for_on_timer(uv_timer_t *timer);

/* Sends the probe that is due, and sets the timer for what follows. */
static void go_on_waiting(struct wait_for *self)
{
	uint64_t now = uv_hrtime(), next = expire(self, now);

	if (list_empty(&self->waiting)) {
		(void)uv_timer_stop(&self->timer);
		return;
	}
	if (!self->probing && self->due <= now)
		ask_position(self, now);
	if (!self->probing && self->due < next)
		next = self->due;
	uv_update_time(&self->admin->runtime->loop);
	(void)uv_timer_start(
		&self->timer, wait_for_on_timer, next > now ? (next - now) / ms + 1 : 1, 0);
}

static void wait_for_on_timer(uv_timer_t *timer)
{
	go_on_waiting(timer->data);
}

/* The answer is the position as a JSON string, which holds nothing to be escaped. */
static bool position_of(const struct call *probe, struct position *now)
{
	const struct buffer *text = &probe->answer;

	return text->length > 2 && position_parse(now, text->data + 1, text->length - 2);
}

/* now: where the database is, unless there is an error. */
static void take_position(
	struct wait_for *self, const struct position *now, const struct err *problem)
{
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &self->waiting);
	while (!list_empty(&waiting)) {
		struct request *request = request_at(list_first(&waiting));

		list_remove(&request->call.link);
		list_append(&self->waiting, &request->call.link);
		if (problem->kind == ERR_NONE) {
			compare(self->admin->store, request, now);
		} else {
			request->call.err = *problem;
			answer_wait(request);
		}
	}
}

static void on_position(struct call *probe)
{
	struct wait_for *self = list_entry(probe, struct wait_for, probe);
	struct position now = {.kind = POSITION_SQLITE};
	struct err problem = probe->err;

	if (problem.kind == ERR_NONE && !position_of(probe, &now))
		(void)err_set(&problem, ERR_INTERNAL, "the database's position is unreadable");
	arena_reset(&probe->arena);
	buffer_cut(&probe->answer, 0);
	self->probing = false;
	self->due = uv_hrtime() + self->step_ms * ms;
	self->step_ms = self->step_ms < STEP_MAX_MS ? 2 * self->step_ms : STEP_MAX_MS;
	take_position(self, &now, &problem); /* which may send the next probe */
	go_on_waiting(self);
}

void wait_for_begin(struct wait_for *self, struct request *request)
{
	struct position wanted;

	if (!wanted_of(request, &wanted)) {
		(void)err_set_path(&request->call.err, ERR_INVALID_PARAMS, "position",
			"position is not a result of daemon.position");
		finish_call(request);
		return;
	}
	if (self->admin->dispatcher->stopping) {
		(void)err_set(&request->call.err, ERR_SHUTTING_DOWN,
			"the daemon is stopping; try again in a moment");
		finish_call(request);
		return;
	}
	request_move(request, REQUEST_BEHIND);
	list_append(&self->waiting, &request->call.link);
	/* In front: those that are held come behind it. */
	list_append(request->connection->held.next, &request->link);
	self->step_ms = STEP_MIN_MS;
	if (!self->probing)
		ask_position(self, uv_hrtime());
	if (!uv_is_active((uv_handle_t *)&self->timer))
		(void)uv_timer_start(&self->timer, wait_for_on_timer, STEP_MAX_MS, 0);
}

void wait_for_give_up(struct wait_for *self)
{
	while (!list_empty(&self->waiting))
		end_with(request_at(list_first(&self->waiting)), ERR_SHUTTING_DOWN,
			"the daemon stopped before the database reached the position");
}

int wait_for_init(struct wait_for *self, struct admin *admin)
{
	static const char name[] = "daemon.position";

	*self = (struct wait_for){.admin = admin};
	list_init(&self->waiting);
	list_init(&self->probe.link);
	arena_init(&self->probe.arena);
	order_init(&self->order);
	self->probe.method = catalog_find(name, strlen(name));
	self->probe.order = &self->order;
	self->probe.done = on_position;
	self->timer.data = self;
	return uv_timer_init(&admin->runtime->loop, &self->timer);
}

void wait_for_close(struct wait_for *self)
{
	uv_close((uv_handle_t *)&self->timer, NULL);
	order_free(&self->order);
}
