#include "password_cost.h"

#include <string.h>

#include "../../protocol/json/json.h"
#include "../base/log.h"
#include "dispatcher.h"

enum { WAIT_MS = 2000, SHARE = 50, DEPTH = 4 };
static const uint64_t fresh_ns = UINT64_C(1000000000);

static unsigned cost_limit(const struct password_cost *self)
{
	const struct settings *settings = self->dispatcher->runtime->settings;
	uint64_t limit = settings->bcrypt_cost_limit;

	return (unsigned)(limit > settings->bcrypt_cost ? limit : settings->bcrypt_cost);
}

/* The higher cost; one above the limit counts as no hash. */
static unsigned raise_cost(const struct password_cost *self, unsigned known, uint64_t cost)
{
	return cost > known && cost <= cost_limit(self) ? (unsigned)cost : known;
}

void password_cost_note(struct password_cost *self, const char *hash, size_t length)
{
	self->seen = raise_cost(self, self->seen, password_cost_of(hash, length));
}

unsigned password_cost_now(const struct password_cost *self)
{
	unsigned cost = (unsigned)self->dispatcher->runtime->settings->bcrypt_cost;

	cost = raise_cost(self, cost, self->stored);
	cost = raise_cost(self, cost, self->seen_before);
	return raise_cost(self, cost, self->seen);
}

/* [{"cost":12,"users":3},…] */
static void read_costs(struct password_cost *self)
{
	const struct buffer *answer = &self->call.answer;
	struct json json = {0};
	struct err err;

	if (json_scan(&json, answer->data, answer->length, DEPTH, &err) == 0) {
		self->stored = 0;
		memset(self->users, 0, sizeof self->users);
		for (uint32_t row = 1; row < json.nodes[0].next; row = json.nodes[row].next) {
			uint32_t cost = json_member(&json, row, "cost", strlen("cost"));

			uint32_t users = json_member(&json, row, "users", strlen("users"));
			uint64_t number = (uint64_t)json_scan_integer(&json, cost);

			self->stored = raise_cost(self, self->stored, number);
			if (number < sizeof self->users / sizeof self->users[0])
				self->users[number] = (uint64_t)json_scan_integer(&json, users);
		}
	}
	json_scan_free(&json);
}

uint64_t password_cost_beyond(const struct password_cost *self)
{
	uint64_t users = 0;

	for (unsigned cost = cost_limit(self) + 1;
		cost < sizeof self->users / sizeof self->users[0]; cost++)
		users += self->users[cost];
	return users;
}

/* At the start, and when their number grows. */
static void warn_of_costs(struct password_cost *self)
{
	uint64_t beyond = password_cost_beyond(self);

	if (beyond > self->warned_of)
		log_event(LOG_WARNING,
			"users whose password hash has a cost beyond bcrypt-cost-limit cannot log "
			"in",
			log_number("users", beyond),
			log_number("bcrypt_cost_limit", cost_limit(self)));
	self->warned_of = beyond;
}

static void let_all_go(struct password_cost *self)
{
	while (!list_empty(&self->waiting)) {
		struct request *request =
			list_entry(list_first(&self->waiting), struct request, link);

		list_remove(&request->link);
		self->ready(request);
	}
}

/* A failed answer changes nothing. A recently seen hash may have been stored after the answer's
 * snapshot, so it is forgotten only after two answers. */
static void on_logged(struct call *call)
{
	struct password_cost *self = (struct password_cost *)(void *)((char *)call -
		offsetof(struct password_cost, call));
	uint64_t now = uv_hrtime(), took = SHARE * (now - self->asked_at);

	if (call->err.kind == ERR_NONE && call->answer.failure == BUFFER_OK) {
		read_costs(self);
		warn_of_costs(self);
	}
	arena_reset(&call->arena);
	buffer_cut(&call->answer, 0);
	self->asking = self->overdue = false;
	self->fresh_until = now + (took > fresh_ns ? took : fresh_ns);
	(void)uv_timer_stop(&self->timer);
	let_all_go(self);
}

static void password_cost_on_timer(uv_timer_t *timer)
{
	struct password_cost *self = timer->data;

	self->overdue = true;
	let_all_go(self);
}

static void password_cost_ask(struct password_cost *self)
{
	struct call *call = &self->call;

	self->asking = true;
	self->seen_before = self->seen;
	self->seen = 0;
	self->asked_at = uv_hrtime();
	/* New hashes' own cost is the least that a check takes. */
	self->above = (struct value){
		.set = true, .i = (int64_t)self->dispatcher->runtime->settings->bcrypt_cost};
	call->values = &self->above;
	call->err.kind = ERR_NONE;
	call->kept = NULL;
	call->rows = 0;
	call->now = timestamp_now();
	call->submitted = self->asked_at;
	call->deadline = self->asked_at + (uint64_t)WAIT_MS * 1000000;
	(void)uv_timer_start(&self->timer, password_cost_on_timer, WAIT_MS, 0);
	dispatcher_submit(self->dispatcher, call);
}

void password_cost_start(struct password_cost *self)
{
	password_cost_ask(self);
}

bool password_cost_wait(struct password_cost *self, struct request *request)
{
	if (self->overdue || (!self->asking && uv_hrtime() < self->fresh_until))
		return false;
	list_append(&self->waiting, &request->link);
	if (!self->asking)
		password_cost_ask(self);
	return true;
}

int password_cost_init(struct password_cost *self, struct dispatcher *dispatcher,
	void (*ready)(struct request *request))
{
	static const char name[] = "get_password_costs";

	*self = (struct password_cost){.dispatcher = dispatcher, .ready = ready};
	list_init(&self->waiting);
	list_init(&self->call.link);
	arena_init(&self->call.arena);
	order_init(&self->order);
	self->call.method = catalog_find(name, strlen(name));
	self->call.order = &self->order;
	self->call.done = on_logged;
	self->timer.data = self;
	return uv_timer_init(&dispatcher->runtime->loop, &self->timer);
}

void password_cost_close(struct password_cost *self)
{
	uv_close((uv_handle_t *)&self->timer, NULL);
	order_free(&self->order);
}
