#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "exporter_options.h"

enum { FIRST_PASSED_FD = 3, LISTEN_BACKLOG = 128 };

union listen_address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	struct sockaddr_un local;
	struct sockaddr_storage space;
};

static bool is_loopback(const union listen_address *address)
{
	switch (address->any.sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(address->four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&address->six.sin6_addr);
	default:
		return false;
	}
}

/* Names the address that the descriptor is bound to, and refuses what others can reach. */
static int accept_address(struct listener *listener)
{
	union listen_address address;
	socklen_t size = sizeof address;
	char host[INET6_ADDRSTRLEN] = "", port[8] = "";
	bool six;

	if (getsockname(listener->fd, &address.any, &size) != 0)
		return exporter_options_fail(
			EX_OSERR, "cannot read the socket's address: %s", strerror(errno));
	if (address.any.sa_family == AF_UNIX) {
		(void)snprintf(listener->name, sizeof listener->name, "unix:%.*s",
			(int)(size - offsetof(struct sockaddr_un, sun_path)),
			address.local.sun_path);
		return 0;
	}
	(void)getnameinfo(&address.any, size, host, sizeof host, port, sizeof port,
		NI_NUMERICHOST | NI_NUMERICSERV);
	if (!is_loopback(&address))
		return exporter_options_fail(EX_CONFIG,
			"%s is not a loopback address: use 127.0.0.1, [::1] or unix:PATH, and a "
			"proxy with TLS and authentication for other hosts",
			*host != '\0' ? host : "the socket's address");
	six = address.any.sa_family == AF_INET6;
	(void)snprintf(listener->name, sizeof listener->name, "http://%s%s%s:%s", six ? "[" : "",
		host, six ? "]" : "", port);
	return 0;
}

/* The number of sockets that systemd has passed to this process. */
static int passed_sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

	if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != getpid())
		return 0;
	return (int)strtol(count, NULL, 10);
}

static int take_passed(struct listener *listener, int count)
{
	int listening = 0, type = 0;
	socklen_t size = sizeof listening;

	if (count != 1)
		return exporter_options_fail(
			EX_CONFIG, "%d sockets were passed, one is expected", count);
	listener->fd = FIRST_PASSED_FD;
	if (getsockopt(listener->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
		getsockopt(listener->fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
		listening == 0 || type != SOCK_STREAM)
		return exporter_options_fail(
			EX_CONFIG, "the passed descriptor is not a listening stream socket");
	return accept_address(listener);
}

/* Removes what an exporter has left that has ended without cleaning up. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat info;
	int probe, result;

	if (lstat(address->sun_path, &info) != 0)
		return 0;
	if (!S_ISSOCK(info.st_mode))
		return exporter_options_fail(
			EX_CANTCREAT, "%s exists and is not a socket", address->sun_path);
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	result = connect(probe, (const struct sockaddr *)address, sizeof *address);
	if (result != 0 && errno == ECONNREFUSED)
		result = unlink(address->sun_path);
	else
		result = -1;
	(void)close(probe);
	return result == 0 ? 0
			   : exporter_options_fail(EX_TEMPFAIL, "another program listens on %s",
				     address->sun_path);
}

static int listen_local(struct listener *listener, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int status;

	if (*path == '\0' || strlen(path) >= sizeof address.sun_path)
		return exporter_options_fail(EX_CONFIG,
			"unix:PATH expects a path of 1 to %zu bytes", sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, strlen(path));
	status = remove_stale(&address);
	if (status != 0)
		return status;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mask = umask(0117); /* the group may connect */
	status = bind(listener->fd, (const struct sockaddr *)&address, sizeof address);
	(void)umask(mask);
	if (status != 0)
		return exporter_options_fail(
			EX_CANTCREAT, "cannot create %s: %s", path, strerror(errno));
	memcpy(listener->path, path, strlen(path) + 1);
	return 0;
}

/* Splits HOST:PORT or [HOST]:PORT into `host`, which has the size of `text`, and the port, which is
 * returned. NULL: it is neither. */
static const char *split_address(const char *text, char *host)
{
	const char *colon = strrchr(text, ':'), *begin = text, *end = colon;

	if (colon == NULL || colon == text || colon[1] == '\0' ||
		colon[1 + strspn(colon + 1, "0123456789")] != '\0')
		return NULL;
	if (*text == '[') {
		begin++;
		end--;
		if (end <= begin || *end != ']')
			return NULL;
	}
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	return colon + 1;
}

static int listen_network(struct listener *listener, const char *text)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char host[INET6_ADDRSTRLEN + 2];
	const char *port = strlen(text) < sizeof host ? split_address(text, host) : NULL;
	int one = 1, status = 0;

	if (port == NULL || strtoul(port, NULL, 10) > UINT16_MAX ||
		getaddrinfo(host, port, &hints, &found) != 0)
		return exporter_options_fail(EX_CONFIG,
			"\"%s\" is not an address: 127.0.0.1:PORT, [::1]:PORT or unix:PATH is "
			"expected",
			text);
	listener->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (listener->fd < 0 || bind(listener->fd, found->ai_addr, found->ai_addrlen) != 0)
		status = exporter_options_fail(errno == EADDRINUSE ? EX_TEMPFAIL : EX_CANTCREAT,
			"cannot listen on %s: %s", text, strerror(errno));
	freeaddrinfo(found);
	return status;
}

int listener_open(struct listener *listener, const char *address)
{
	int passed = passed_sockets(), status;

	*listener = (struct listener){.fd = -1};
	if (passed != 0)
		status = take_passed(listener, passed);
	else if (strncmp(address, "unix:", 5) == 0)
		status = listen_local(listener, address + 5);
	else
		status = listen_network(listener, address);
	if (status == 0 && passed == 0)
		status = accept_address(listener);
	if (status == 0 && passed == 0 && listen(listener->fd, LISTEN_BACKLOG) != 0)
		status = exporter_options_fail(errno == EADDRINUSE ? EX_TEMPFAIL : EX_CANTCREAT,
			"cannot listen on %s: %s", address, strerror(errno));
	if (status == 0)
		(void)fcntl(listener->fd, F_SETFL, fcntl(listener->fd, F_GETFL) | O_NONBLOCK);
	return status;
}

void listener_remove(const struct listener *listener)
{
	if (listener->path[0] != '\0')
		(void)unlink(listener->path);
}
