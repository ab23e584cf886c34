/* Connections that break at a rare moment: preloaded into the daemon.
 *
 * Once, data that contains the text $TEST_BROKEN is sent only from within PQconsumeInput, which
 * then finds the connection closed.
 *
 * $TEST_SLOW_CLOSE: the time in milliseconds that closing a connection takes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef struct pg_conn PGconn;

int PQconsumeInput(PGconn *pq);
void PQfinish(PGconn *pq);

enum { UNSEEN, HELD_BACK, SENT, OVER };
enum { WAIT_MS = 20000 };

static char marker[64];
static int state = UNSEEN, marked = -1, slow_close_ms;
static _Thread_local int consuming; /* other threads connect meanwhile */

/* At once: the daemon wipes its environment. */
__attribute__((constructor)) static void begin(void)
{
	const char *given = getenv("TEST_BROKEN"), *slow = getenv("TEST_SLOW_CLOSE");

	if (given != NULL && strlen(given) < sizeof marker)
		strcpy(marker, given);
	slow_close_ms = slow != NULL ? atoi(slow) : 0;
}

int PQconsumeInput(PGconn *pq)
{
	int (*next)(PGconn *) = (int (*)(PGconn *))dlsym(RTLD_NEXT, "PQconsumeInput");
	int consumed;

	consuming = 1;
	consumed = next(pq);
	consuming = 0;
	return consumed;
}

void PQfinish(PGconn *pq)
{
	void (*next)(PGconn *) = (void (*)(PGconn *))dlsym(RTLD_NEXT, "PQfinish");

	if (pq != NULL)
		nanosleep(&(struct timespec){.tv_nsec = slow_close_ms * 1000000L}, NULL);
	next(pq);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
	if (state == UNSEEN && marker[0] != '\0' &&
		memmem(data, length, marker, strlen(marker)) != NULL) {
		state = HELD_BACK;
		marked = fd;
	}
	if (state == HELD_BACK && fd == marked) {
		if (!consuming) {
			errno = EAGAIN;
			return -1;
		}
		state = SENT;
	}
	return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}

ssize_t recv(int fd, void *data, size_t length, int flags)
{
	if (state == SENT && fd == marked && consuming) {
		struct pollfd closed = {.fd = fd, .events = POLLRDHUP};

		state = OVER;
		(void)poll(&closed, 1, WAIT_MS);
	}
	return syscall(SYS_recvfrom, fd, data, length, flags, NULL, NULL);
}
