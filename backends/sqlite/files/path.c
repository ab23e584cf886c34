#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* The bytes that SQLite locks. */
enum { SQLITE_LOCK_FIRST = 0x40000000, SQLITE_LOCK_COUNT = 512 };

char *path_beside(const char *path, const char *end)
{
	char *name;

	return asprintf(&name, "%s%s", path, end) >= 0 ? name : NULL;
}

char *path_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? strdup(".")
			     : strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int path_give_to_owner(int fd, const char *path, struct err *err)
{
	char *parent = path_folder(path);
	struct stat file, folder;
	bool known = parent != NULL && stat(parent, &folder) == 0 && fstat(fd, &file) == 0;

	free(parent);
	if (!known || geteuid() != 0 || file.st_uid != 0 ||
		fchown(fd, folder.st_uid, folder.st_gid) == 0)
		return 0;
	return err_exit(err, EX_CANTCREAT, "%s cannot be given to the owner of its folder: %s",
		path, strerror(errno));
}

/* A new name is durable only when its folder is. */
int path_sync_folder(const char *path, struct err *err)
{
	char *parent = path_folder(path);
	int fd = parent != NULL ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, result = 0;

	/* A folder that is writable but not readable, or that does not support sync, counts as
	 * durable. */
	if (fd >= 0 && fsync(fd) != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
		result = err_exit(err, EX_IOERR, "the folder %s cannot be made durable: %s", path,
			strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	free(parent);
	return result;
}

char *path_real(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *real = realpath(path, NULL), *folder, *above;

	if (real != NULL || errno != ENOENT)
		return real;
	folder = path_folder(path);
	above = folder != NULL ? realpath(folder, NULL) : NULL;
	free(folder);
	if (above == NULL ||
		asprintf(&real, "%s/%s", strcmp(above, "/") == 0 ? "" : above,
			slash != NULL ? slash + 1 : path) < 0)
		real = NULL;
	free(above);
	return real;
}

bool path_in_use(int fd)
{
	struct flock lock = {.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = SQLITE_LOCK_FIRST,
		.l_len = SQLITE_LOCK_COUNT};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
