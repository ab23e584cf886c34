/* Where the daemon's socket is when nobody says so: the daemon's own rule, and then the system's
 * service. */
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

/* /tmp is everyone's: a folder there that is not the caller's own may have been planted, to be
 * spoken to in the daemon's place. */
static int check_private_folder(const char *folder, struct pierre_error *error)
{
	const char *objection;
	struct stat st;

	if (lstat(folder, &st) != 0) {
		if (errno == ENOENT)
			return 0; /* no daemon yet: connecting says so */
		return failure_set(error, PIERRE_NO_CONNECTION, "%s: %s", folder, strerror(errno));
	}
	objection = socket_place_objection(&st);
	if (objection != NULL)
		return failure_set(error, PIERRE_NO_CONNECTION,
			"the folder %s %s: it is not used for the socket", folder, objection);
	return 0;
}

static int socket_path_join(char *path, size_t size, const char *folder, size_t length,
	const char *name, struct pierre_error *error)
{
	size_t whole = length + strlen(name);

	if (whole >= SOCKET_PATH_SIZE || whole >= size)
		return failure_set(error, PIERRE_NO_CONNECTION,
			"the socket's path %.*s%s is %zu bytes long; at most %zu fit",
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

/* A folder of the service that the caller may not enter counts as there: connecting then says what
 * is wrong. */
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
