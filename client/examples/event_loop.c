/* Integrates the library into an event loop, here of poll(): looks up users while the loop does
 * other work.
 *
 *     cc event_loop.c $(pkg-config --cflags --libs pierre-db) -o event_loop
 *     ./event_loop EMAIL...
 *
 * All calls are sent together; each answer is printed when it arrives. With libuv or GLib, replace
 * the three lines that set `watched` and `timeout` by a poll handle and a timer, and update them
 * after every pierre_process(). */
#include <pierre-db.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

struct question {
	const char *email;
	int *failures;
};

static void answered(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	const struct question *question = userdata;
	struct pierre_error error;
	struct pierre_user *user;

	(void)db;
	if (pierre_get_user_by_email_result(answer, &user, &error) != 0) {
		(void)printf("%s: %s\n", question->email, error.message);
		++*question->failures;
		return;
	}
	(void)printf("%s: %s\n", question->email, user != NULL ? user->id : "no such user");
	pierre_user_free(user);
}

int main(int argc, char **argv)
{
	struct pierre *db = pierre_new(NULL);
	struct question questions[64];
	struct pierre_error error;
	int failures = 0, count = argc - 1 < 64 ? argc - 1 : 64;

	if (db == NULL)
		return 71;
	for (int i = 0; i < count; i++) {
		questions[i] = (struct question){argv[i + 1], &failures};
		if (pierre_get_user_by_email_async(
			    db, argv[i + 1], answered, &questions[i], &error) < 0) {
			(void)printf("%s: %s\n", argv[i + 1], error.message);
			failures++;
		}
	}
	while (pierre_pending(db) > 0) {
		unsigned events = pierre_events(db);
		struct pollfd watched = {.fd = pierre_fd(db)};
		int timeout = pierre_timeout_ms(db);

		watched.events = (short)(((events & PIERRE_EVENT_READ) != 0 ? POLLIN : 0) |
			((events & PIERRE_EVENT_WRITE) != 0 ? POLLOUT : 0));
		if (poll(&watched, 1, timeout) >=
			0) /* a negative fd is ignored: then only the timeout applies */
			pierre_process(db);
	}
	pierre_free(db);
	return failures > 0;
}
