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

static const char *socket_path_variable(const char *name)
{
	const char *text = getenv(name);

	return text != NULL && *text != '\0' ? text : NULL;
}

/* /tmp is world-writable: another user may have created the folder to impersonate the daemon. */
static int check_private_folder(const char *folder, struct pierre_error *error)
{
	struct stat st;

	if (lstat(folder, &st) != 0) {
		if (errno == ENOENT)
			return 0; /* no daemon yet: connecting reports it */
		return failure_set(error, PIERRE_NO_CONNECTION, "%s: %s", folder, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return failure_set(error, PIERRE_NO_CONNECTION,
			"%s is not a folder and is not used for the socket", folder);
	if (st.st_uid != geteuid())
		return failure_set(error, PIERRE_NO_CONNECTION,
			"the folder %s belongs to another user and is not used for the socket",
			folder);
	if ((st.st_mode & 077) != 0)
		return failure_set(error, PIERRE_NO_CONNECTION,
			"the folder %s is accessible to others and is not used for the socket",
			folder);
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
	static const char name[] = "/pierre-dbd.sock";
	const char *found = socket_path_variable("RUNTIME_DIRECTORY");
	char folder[64];
	int status;

	if (found != NULL)
		return socket_path_join(path, size, found, strcspn(found, ":"), name,
			error); /* systemd may name several */
	found = socket_path_variable("XDG_RUNTIME_DIR");
	if (found != NULL)
		return socket_path_join(path, size, found, strlen(found), name, error);
	(void)snprintf(folder, sizeof folder, "/tmp/pierre-dbd-%lu", (unsigned long)geteuid());
	status = check_private_folder(folder, error);
	return status != 0 ? status
			   : socket_path_join(path, size, folder, strlen(folder), name, error);
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
	const char *found = socket_path_variable("PIERRE_DBD_SOCKET");
	int status;

	if (found != NULL)
		return socket_path_join(path, size, "", 0, found, error);
	status = own_socket(path, size, error);
	if ((status == 0 && !is_missing(path)) || is_missing(SYSTEM_SOCKET))
		return status;
	return socket_path_join(path, size, "", 0, SYSTEM_SOCKET, error);
}
