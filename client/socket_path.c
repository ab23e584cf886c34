/* The default path of the socket: the daemon's own rule, then the socket of the system service. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "failure.h"
#include "handle.h"
#include "wire/socket_place.h"

/* /tmp is world-writable: another user may have created the folder to impersonate the daemon. */
static int check_private_folder(const char *folder, struct pierre_error *error)
{
	const char *objection;
	struct stat st;

	if (lstat(folder, &st) != 0) {
		if (errno == ENOENT)
			return 0; /* no daemon yet: connecting reports it */
		return failure_set(error, PIERRE_NO_CONNECTION, "%s: %s", folder, strerror(errno));
	}
	objection = socket_place_objection(&st);
	if (objection != NULL)
		return failure_set(error, PIERRE_NO_CONNECTION,
			"the folder %s %s and is not used for the socket", folder, objection);
	return 0;
}

static int socket_path_join(char *path, size_t size, const char *folder, size_t length,
	const char *name, struct pierre_error *error)
{
	size_t whole = length + strlen(name);

	if (whole >= SOCKET_PATH_SIZE || whole >= size)
		return failure_set(error, PIERRE_NO_CONNECTION,
			"the socket path %.*s%s has %zu bytes, more than the maximum of %zu",
			(int)(length < 200 ? length : 200), folder, name, whole,
			(size < SOCKET_PATH_SIZE ? size : SOCKET_PATH_SIZE) - 1);
	(void)snprintf(path, size, "%.*s%s", (int)length, folder, name);
	return 0;
}

static int own_socket(char *path, size_t size, struct pierre_error *error)
{
	struct socket_place place;
	int status = 0;

	socket_place_find(&place);
	if (place.kind == SOCKET_PLACE_OWN)
		status = check_private_folder(place.own, error);
	return status != 0 ? status
			   : socket_path_join(path, size, place.folder, place.length,
				     SOCKET_PLACE_NAME, error);
}

static bool is_missing(const char *path)
{
	struct stat st;

	return lstat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* A service folder that the caller cannot enter counts as existing: connecting then reports the
 * problem. */
int pierre_default_socket(char *path, size_t size, struct pierre_error *error)
{
	const char *found = getenv("PIERRE_DBD_SOCKET");
	int status;

	if (found != NULL && *found != '\0')
		return socket_path_join(path, size, "", 0, found, error);
	status = own_socket(path, size, error);
	if ((status == 0 && !is_missing(path)) || is_missing(SOCKET_PLACE_SYSTEM))
		return status;
	return socket_path_join(path, size, "", 0, SOCKET_PLACE_SYSTEM, error);
}
