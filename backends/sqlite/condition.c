#include "condition.h"

#include <stdio.h>

#include "../../protocol/value.h"
#include "sqlite_store.h"

#define QUIET_NS UINT64_C(5000000000)

void condition_note_error(struct sqlite_store *store, const char *text)
{
	unsigned failures;
	bool tell;

	pthread_mutex_lock(&store->error_lock);
	(void)snprintf(store->last_error, sizeof store->last_error, "%s", text);
	store->last_error_at = timestamp_now();
	tell = failure_log_note(&store->failure_log, text, clock_ns());
	failures = store->failure_log.failures;
	pthread_mutex_unlock(&store->error_lock);
	if (tell)
		store->settings.log(3, "the storage failed (failures: %u): %s", failures, text);
}

/* After a while without a failed write: on a nearly full disk, large writes fail and small ones
 * succeed. */
void condition_log_recovery(struct sqlite_store *store)
{
	enum writing again = WRITING_AGAIN;
	unsigned failures = 0;

	if (atomic_load_explicit(&store->writing, memory_order_relaxed) != again)
		return;
	pthread_mutex_lock(&store->error_lock);
	if (clock_ns() - store->failure_log.last > QUIET_NS &&
		atomic_compare_exchange_strong(&store->writing, &again, WRITING_WELL))
		failures = failure_log_end(&store->failure_log);
	pthread_mutex_unlock(&store->error_lock);
	if (failures > 0)
		store->settings.log(5, "the storage accepts writes again (failures: %u)", failures);
}

enum store_health condition_health(struct store *base, char detail[ERR_MESSAGE_MAX])
{
	struct sqlite_store *store = sqlite_store_of(base);
	char at[TIMESTAMP_TEXT_MAX];
	bool broken;

	detail[0] = '\0';
	if (atomic_load(&store->lost)) {
		(void)snprintf(
			detail, ERR_MESSAGE_MAX, "the database file was removed or replaced");
		return STORE_DOWN;
	}
	broken = atomic_load(&store->broken);
	if (!broken && atomic_load(&store->writing) != WRITING_FAILS)
		return STORE_OK;
	pthread_mutex_lock(&store->error_lock);
	(void)timestamp_format(store->last_error_at, at);
	(void)snprintf(detail, ERR_MESSAGE_MAX, "%s%.250s (at %s)",
		broken ? "" : "the last write failed: ", store->last_error, at);
	pthread_mutex_unlock(&store->error_lock);
	return STORE_DEGRADED;
}
