#include "shell_call.h"

#include <stdio.h>
#include <string.h>

#include "../connect.h"
#include "../output.h"
#include "catalog.h"
#include "shell_signals.h"

struct running {
	bool done;
	int status;
	char *result;
	struct pierre_error error;
};

static void shell_call_on_done(
	struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	struct running *running = userdata;

	(void)db;
	running->status = pierre_answer_json(answer, &running->result, &running->error);
	running->done = true;
}

static unsigned shell_call_wait(struct pierre *db, const struct shell_signals *signals)
{
	unsigned events = pierre_events(db);
	struct pollfd watched = {.fd = pierre_fd(db)};

	watched.events = (short)(((events & PIERRE_EVENT_READ) != 0 ? POLLIN : 0) |
		((events & PIERRE_EVENT_WRITE) != 0 ? POLLOUT : 0));
	return shell_signals_wait(signals, &watched, 1, pierre_timeout_ms(db));
}

/* Closing the connection makes the daemon drop what it has not begun. */
static int shell_call_cancel(struct ctl *ctl, const char *name)
{
	const struct method *method = catalog_find(name, strlen(name));

	connect_close(ctl);
	(void)fputs("\n", stderr); /* behind the ^C that the terminal shows */
	return output_fail(SHELL_CALL_CANCELLED, "cancelled%s",
		method != NULL && !method_may_write(method)
			? ""
			: ": the change may or may not have been made");
}

int shell_call_run(struct ctl *ctl, const char *method, const char *params, char **result)
{
	struct pierre *db = connect_open(ctl);
	struct running running = {.done = false};
	struct shell_signals signals;
	unsigned found = 0;

	if (db == NULL)
		return EX_OSERR;
	if (pierre_call_async(db, method, params, shell_call_on_done, &running, &running.error) < 0)
		return output_call_failed(ctl, &running.error);
	shell_signals_take(&signals, false);
	while (!running.done && found == 0) {
		pierre_process(db);
		if (!running.done)
			found = shell_call_wait(db, &signals);
	}
	shell_signals_release(&signals);
	if (!running.done)
		return shell_call_cancel(ctl, method);
	if (running.status != 0)
		return output_call_failed(ctl, &running.error);
	*result = running.result;
	return 0;
}
