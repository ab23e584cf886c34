/* The connection of the commands, and the path of the daemon's program. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "connect.h"
#include "ctl.h"

static void set_timeouts(const struct ctl *ctl)
{
	pierre_set_timeouts(ctl->db, ctl->connect_ms,
		ctl->timeout_seconds > 0 ? (unsigned)ceil(ctl->timeout_seconds * 1000) : 35000);
}

struct pierre *connect_open(struct ctl *ctl)
{
	if (ctl->db != NULL)
		return ctl->db;
	ctl->db = pierre_new(ctl->socket);
	if (ctl->db == NULL) {
		(void)output_fail(EX_OSERR, "out of memory");
		return NULL;
	}
	set_timeouts(ctl);
	pierre_set_limits(
		ctl->db, SIZE_MAX / 2, (size_t)1 << 30); /* the daemon enforces the limits */
	return ctl->db;
}

void connect_wait_up_to(struct ctl *ctl, unsigned ms)
{
	ctl->connect_ms = ms;
	if (ctl->db != NULL)
		set_timeouts(ctl);
}

void connect_close(struct ctl *ctl)
{
	pierre_free(ctl->db);
	ctl->db = NULL;
}

int connect_use_key(struct ctl *ctl, const char *key)
{
	struct pierre *db = connect_open(ctl);
	struct pierre_error error;

	if (db == NULL)
		return EX_OSERR;
	return pierre_set_key(db, key, &error) == 0 ? 0
						    : output_fail(EX_USAGE, "%s", error.message);
}

int connect_call(struct ctl *ctl, const char *method, const char *params, char **result)
{
	struct pierre *db = connect_open(ctl);
	struct pierre_error error;

	if (db == NULL)
		return EX_OSERR;
	if (ctl->call != NULL)
		return ctl->call(ctl, method, params, result);
	if (pierre_call(db, method, params, result, &error) != 0)
		return output_call_failed(ctl, &error);
	return 0;
}

void connect_own_folder(char *own)
{
	ssize_t length = readlink("/proc/self/exe", own, PATH_MAX - 1);
	char *slash;

	own[length > 0 ? length : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash != NULL)
		*slash = '\0';
}

void connect_daemon_program(char *out, size_t size)
{
	char own[PATH_MAX];

	connect_own_folder(own);
	(void)snprintf(out, size, "%s/pierre-dbd", own);
	if (access(out, X_OK) != 0)
		(void)snprintf(out, size, "pierre-dbd");
}
