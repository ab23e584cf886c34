/* States that are named, checked and logged: each object with a life of several stages, such as a
 * connection, has one table of the changes that are allowed.
 *
 *     enum door { DOOR_OPEN, DOOR_CLOSED, DOOR_LOCKED };
 *
 *     static const char *const names[] = {"open", "closed", "locked"};
 *     static const uint32_t allowed[] = {
 *         [DOOR_OPEN] = STATE(DOOR_CLOSED),
 *         [DOOR_CLOSED] = STATE(DOOR_OPEN) | STATE(DOOR_LOCKED),
 *         [DOOR_LOCKED] = STATE(DOOR_CLOSED),
 *     };
 *     static const struct state_machine door_states = {"door", names, allowed, 3};
 *
 *     state_change(&door_states, &door->state, DOOR_CLOSED, door->number);
 *
 * A change that the table lacks is a defect: the process ends with a message that names it. The
 * object's owner decides which thread may change its state; state_observe() may be called from any
 * thread, and the observer runs on the thread that makes the change. */
#ifndef PIERRE_STATE_H
#define PIERRE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATE_MAX = 32 };

#define STATE(state) (UINT32_C(1) << (state))

struct state_machine {
	const char *what;         /* the kind of object, named in the log */
	const char *const *names; /* by state */
	const uint32_t *allowed;  /* by state: the STATE() bits of its successors */
	unsigned count;           /* of states; at most STATE_MAX */
};

/* number: identifies the object among its kind; 0 where there is only one. */
typedef void state_observer(
	const struct state_machine *machine, uint64_t number, unsigned from, unsigned to);

extern _Atomic(state_observer *) state_observed_by;

/* Reports every later change to `observer`, such as the debug log; NULL: to none. */
void state_observe(state_observer *observer);

/* Ends the process: the change is not allowed. */
_Noreturn void state_refuse(
	const struct state_machine *machine, uint64_t number, unsigned from, unsigned to);

static inline bool state_allows(const struct state_machine *machine, unsigned from, unsigned to)
{
	return from < machine->count && to < machine->count &&
		(machine->allowed[from] & STATE(to)) != 0;
}

/* A state may follow itself only where the table allows it. */
static inline void state_change(
	const struct state_machine *machine, uint8_t *state, unsigned to, uint64_t number)
{
	unsigned from = *state;
	state_observer *observer;

	if (__builtin_expect(!state_allows(machine, from, to), 0))
		state_refuse(machine, number, from, to);
	*state = (uint8_t)to;
	observer = atomic_load_explicit(&state_observed_by, memory_order_relaxed);
	if (__builtin_expect(observer != NULL, 0))
		observer(machine, number, from, to);
}

/* For logs and assertions; "?" for an invalid state. */
const char *state_name(const struct state_machine *machine, unsigned state);

#endif
