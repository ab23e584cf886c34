/* A scripted daemon in the test's own thread: each test states what it accepts, reads and writes,
 * and when.
 *
 * While the test waits for data, the library's handle is driven, as a foreign event loop does. */
#ifndef PIERRE_TEST_FAKE_H
#define PIERRE_TEST_FAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "pierre-db.h"

struct fake {
	char folder[64], path[96];
	int listener, peer;
	struct pierre *db; /* driven while the fake waits; NULL: nothing to drive */
	char *in;
	size_t length, size;
};

/* How a call ended: the last callback's answer, and how many there were. */
struct ended {
	int times, status;
	char *json;
	struct pierre_error error;
};

void fake_open(struct fake *fake);  /* listens, and makes the handle */
void fake_close(struct fake *fake); /* frees everything */
void fake_stop_listening(struct fake *fake);
void fake_listen(struct fake *fake);
void fake_accept(struct fake *fake); /* in place of the earlier peer */
void fake_hang_up(struct fake *fake);
/* The next line that the library wrote, without its newline; valid until the next one. */
const char *fake_line(struct fake *fake);
bool fake_has_line(struct fake *fake);               /* within a short time */
void fake_send(struct fake *fake, const char *text); /* unchanged, no newline added */
/* `{"jsonrpc":"2.0","id":N,"result":…}` to the request line just read. */
void fake_answer(struct fake *fake, const char *line, const char *result);
void fake_answer_error(struct fake *fake, const char *line, const char *error);
long long fake_id(const char *line);

void drive(struct fake *fake, int turns); /* that many loop iterations, each of at most 5 ms */
/* Drives the handle until the call has ended. */
void drive_until(struct fake *fake, const struct ended *ended);
void ended_free(struct ended *ended);
/* A callback: userdata is a struct ended. */
void note_end(struct pierre *db, const struct pierre_answer *answer, void *userdata);
/* pierre_call_async with note_end. */
void begin(struct fake *fake, const char *method, const char *params, struct ended *ended);

#endif
