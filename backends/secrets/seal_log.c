#include "seal_log.h"

#include <syslog.h>

#include "seal.h"

void seal_log_warn(const struct store_settings *settings, uint64_t before, uint64_t now)
{
	if (before < SEAL_WARN && now >= SEAL_WARN)
		settings->log(LOG_WARNING,
			"the encryption key has sealed %llu texts: change it (pierre-dbctl "
			"rotate-key) before it reaches the "
			"limit of 4294967296",
			(unsigned long long)now);
}

void seal_log_counted(
	const struct store_settings *settings, uint64_t added, uint64_t stored, bool committed)
{
	if (!committed) {
		seal_count_failed(settings->seal);
		return;
	}
	seal_count_stored(settings->seal, added, stored);
	seal_log_warn(settings, stored - added, stored);
}
