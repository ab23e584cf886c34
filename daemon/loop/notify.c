#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../protocol/value.h"

static int notify_fd = -1;
static uint64_t watchdog_ms;

static void read_watchdog(void)
{
	const char *micros = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (micros != NULL && (pid == NULL || strtol(pid, NULL, 10) == (long)getpid()))
		watchdog_ms = strtoull(micros, NULL, 10) / 1000;
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

void notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path != NULL ? strlen(path) : 0;

	read_watchdog();
	if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify_fd >= 0 &&
		connect(notify_fd, (const struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) != 0)
		notify_close();
	(void)unsetenv("NOTIFY_SOCKET");
}

void notify_close(void)
{
	if (notify_fd >= 0)
		(void)close(notify_fd);
	notify_fd = -1;
}

void notify_send(const char *format, ...)
{
	char message[1024];
	va_list arguments;
	int length;

	if (notify_fd < 0)
		return;
	va_start(arguments, format);
	length = vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	if (length > 0)
		(void)send(notify_fd, message,
			(size_t)length < sizeof message ? (size_t)length : sizeof message - 1,
			MSG_NOSIGNAL | MSG_DONTWAIT);
}

void notify_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_ns() / 1000));
}

uint64_t notify_watchdog_ms(void)
{
	return watchdog_ms;
}

bool notify_is_service(void)
{
	/* INVOCATION_ID reaches everything that a user's session starts; this one names the process
	 * itself. */
	const char *pid = getenv("SYSTEMD_EXEC_PID");

	return pid != NULL && strtol(pid, NULL, 10) == (long)getpid();
}
