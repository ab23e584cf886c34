#include "outage.h"

#include <stdio.h>
#include <sys/random.h>
#include <sys/types.h>
#include <syslog.h>

#include "../../protocol/value.h"
#include "pg_store.h"

enum { FIRST_PAUSE_MS = 50, LONGEST_PAUSE_MS = 2000 };
static const uint64_t millisecond = 1000000;

bool outage_connected(const struct postgres_store *store)
{
	for (unsigned i = 0; i < store->connection_limit; i++)
		if (store->connections[i].state == PG_CONNECTION_IDLE ||
			pg_connection_has_batch(&store->connections[i]))
			return true;
	return false;
}

void outage_note(struct postgres_store *store, const char *text)
{
	(void)snprintf(store->last_error, sizeof store->last_error, "%s", text);
	store->last_error_at = timestamp_now();
	if (failure_log_note(&store->failure_log, text, clock_ns()))
		store->settings.log(store->gone_back[0] != '\0' ? LOG_ERR : LOG_WARNING,
			"the database connection failed (failed attempts: %u): %s", store->failures,
			text);
}

/* The last error may be old, so its time is shown. */
void outage_cause(const struct postgres_store *store, char out[ERR_MESSAGE_MAX])
{
	char at[TIMESTAMP_TEXT_MAX];

	if (store->last_error[0] == '\0') {
		(void)snprintf(out, ERR_MESSAGE_MAX,
			outage_connected(store) ? "all connections are in use"
						: "no connection yet");
		return;
	}
	(void)timestamp_format(store->last_error_at, at);
	(void)snprintf(out, ERR_MESSAGE_MAX, "%.225s (at %s)", store->last_error, at);
}

/* Each pause is about a quarter of what the outage has lasted, so calls wait little longer than for
 * the database itself. */
uint64_t outage_backoff(unsigned failures)
{
	uint64_t delay = FIRST_PAUSE_MS;
	uint32_t chance = 0;

	for (unsigned i = 1; i < failures && delay < LONGEST_PAUSE_MS; i++)
		delay += delay / 4;
	if (delay > LONGEST_PAUSE_MS)
		delay = LONGEST_PAUSE_MS;
	if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != (ssize_t)sizeof chance)
		chance = (uint32_t)clock_ns();
	return (delay / 2 + chance % (delay / 2 + 1)) * millisecond;
}

/* It accepts clients all the same; waiting calls are held back as after a failed connect. */
void outage_unserved(struct postgres_store *store)
{
	uint64_t now = clock_ns();

	if (store->unserved > 0 && now < store->hold_until)
		return;
	store->unserved++;
	store->hold_until = store->retry_at = now + outage_backoff(store->unserved);
}
