#include "state.h"

#include <stdio.h>
#include <stdlib.h>

_Atomic(state_observer *) state_observed_by;

void state_observe(state_observer *observer)
{
	atomic_store_explicit(&state_observed_by, observer, memory_order_relaxed);
}

const char *state_name(const struct state_machine *machine, unsigned state)
{
	return state < machine->count ? machine->names[state] : "?";
}

void state_refuse(const struct state_machine *machine, uint64_t number, unsigned from, unsigned to)
{
	(void)fprintf(stderr, "%s %llu: the change from %s to %s is not allowed\n", machine->what,
		(unsigned long long)number, state_name(machine, from), state_name(machine, to));
	abort();
}
