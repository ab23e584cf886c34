/* Accounts of memory: what the daemon holds for one client, and for all of them.
 *
 * Rule: who holds memory for a client charges it to the connection's account, and keeps the amount
 * in a `charged` field of its own. It charges again whenever that memory has grown or shrunk, and 0
 * when it returns it. So an account is back at 0 once its connection holds nothing, which is
 * asserted when the connection is freed. Thread: the loop thread. */
#ifndef PIERRE_ACCOUNT_H
#define PIERRE_ACCOUNT_H

#include <stddef.h>

struct account {
	size_t held, peak;     /* bytes now, and most at any time */
	struct account *total; /* is charged as well; NULL: this is the total */
};

/* One holder's memory is `bytes` now; *charged is what it has charged before. */
static inline void account_charge(struct account *account, size_t *charged, size_t bytes)
{
	size_t change = bytes - *charged; /* wraps when it is less, which the sum undoes */

	*charged = bytes;
	for (; account != NULL; account = account->total) {
		account->held += change;
		if (account->held > account->peak)
			account->peak = account->held;
	}
}

#endif
