#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../../protocol/sqlite_url.h"
#include "belong.h"
#include "path.h"
#include "restore.h"

/* Creates the folders above the file, for the owner only. */
static int make_folders(const char *path, struct err *err)
{
	char *copy = strdup(path);
	int result = 0;

	if (copy == NULL)
		return err_exit(err, EX_OSERR, "out of memory");
	for (char *slash = strchr(copy + 1, '/'); slash != NULL && result == 0;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) == 0)
			result = path_sync_folder(copy, err);
		else if (errno != EEXIST)
			result = err_exit(err, EX_CANTCREAT, "the folder %s cannot be created: %s",
				copy, strerror(errno));
		*slash = '/';
	}
	free(copy);
	return result;
}

/* Earlier versions did not decode URLs: a file under the undecoded name must not appear lost. */
static int look_for_literal(const struct sqlite_url *url, struct err *err)
{
	if (url->literal == NULL || access(url->path, F_OK) == 0 || access(url->literal, F_OK) != 0)
		return 0;
	return err_exit(err, EX_CONFIG,
		"%.100s does not exist, but %.100s does: the URL is decoded (%%xx); rename that "
		"file, or write %%25 for "
		"each %% of its name",
		url->path, url->literal);
}

static int parse_file(const char *text, struct sqlite_url *url, struct err *err)
{
	if (sqlite_url_parse(text, url, err) < 0)
		return -1;
	return url->path != NULL ? look_for_literal(url, err) : 0;
}

/* Opens nothing where reading or writing has side effects. */
static int check_kind(const char *path, struct err *err)
{
	struct stat status;

	if (stat(path, &status) != 0 && errno != ENOENT)
		return err_exit(
			err, EX_CANTCREAT, "%s cannot be opened: %s", path, strerror(errno));
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return err_exit(err, EX_DATAERR, "%s is not a regular file", path);
	return 0;
}

/* SQLite treats a file that is too short as an empty one. */
static int check_magic(const struct sqlite_place *place, struct err *err)
{
	char begin[16];

	if (place->status.st_size == 0 ||
		(pread(place->fd, begin, sizeof begin, 0) == (ssize_t)sizeof begin &&
			memcmp(begin, "SQLite format 3", sizeof begin) == 0))
		return 0;
	return err_exit(err, EX_DATAERR, "%s is not an SQLite database", place->path);
}

/* This lock excludes other daemons; SQLite's own locks (fcntl) are independent of it. */
static int lock_file(struct sqlite_place *place, const struct sqlite_url *url, struct err *err)
{
	struct stat now;
	char *real;

	place->fd = open(url->path,
		O_RDWR | (url->must_exist ? 0 : O_CREAT) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (place->fd < 0)
		return err_exit(err, EX_CANTCREAT, "%s cannot be opened for writing: %s%s",
			url->path, strerror(errno),
			errno == ENOENT && url->must_exist ? " (mode=rw: it must exist)" : "");
	if (flock(place->fd, LOCK_EX | LOCK_NB) != 0)
		return err_exit(
			err, EX_TEMPFAIL, "%s is in use by a daemon: stop it first", url->path);
	real = realpath(url->path, NULL);
	if (real == NULL || fstat(place->fd, &place->status) != 0 || stat(real, &now) != 0 ||
		now.st_ino != place->status.st_ino || now.st_dev != place->status.st_dev) {
		free(real);
		return err_exit(err, EX_TEMPFAIL,
			"%s was replaced while it was opened: start again", url->path);
	}
	free(place->path);
	place->path = real;
	return S_ISREG(place->status.st_mode)
		? check_magic(place, err)
		: err_exit(err, EX_DATAERR, "%s is not a regular file", real);
}

/* SQLite reports only that it cannot open the database, for any of its files. */
static int check_side_files(const char *path, struct err *err)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal"};
	int result = 0;

	for (size_t i = 0; i < sizeof ends / sizeof ends[0] && result == 0; i++) {
		char *name = path_beside(path, ends[i]);
		struct stat file, database;

		if (name == NULL)
			return err_exit(err, EX_OSERR, "out of memory");
		if (stat(name, &file) == 0 && stat(path, &database) == 0 &&
			faccessat(AT_FDCWD, name, R_OK | W_OK, AT_EACCESS) != 0)
			result = err_exit(err, EX_CANTCREAT,
				"%s belongs to the user %u (mode %04o), which the daemon, user %u, "
				"cannot use: end the program that created it, such as a sqlite3 "
				"shell run by root, then chown %u the file; "
				"do not delete it: it holds data",
				name, (unsigned)file.st_uid, (unsigned)file.st_mode & 07777,
				(unsigned)geteuid(), (unsigned)database.st_uid);
		free(name);
	}
	return result;
}

static int place_open_file(
	struct sqlite_place *place, const struct sqlite_url *url, struct err *err)
{
	if (check_kind(url->path, err) < 0)
		return -1;
	place->path = path_real(url->path);
	if (place->path == NULL && url->must_exist)
		return err_exit(err, EX_CANTCREAT,
			"%s cannot be opened: %s (mode=rw: it must exist)", url->path,
			strerror(errno));
	/* A new folder contains nothing that could conflict. */
	if (place->path != NULL &&
		(restore_resume(place->path, err) < 0 ||
			belong_check_missing(place->path, err) < 0))
		return -1;
	if (!url->must_exist && make_folders(url->path, err) < 0)
		return -1;
	return lock_file(place, url, err) < 0 ? -1 : check_side_files(place->path, err);
}

int place_open(struct sqlite_place *place, const char *text, struct err *err)
{
	struct sqlite_url url;
	int result = parse_file(text, &url, err);

	*place = (struct sqlite_place){.fd = -1};
	if (result == 0 && url.path != NULL)
		result = place_open_file(place, &url, err);
	sqlite_url_free(&url);
	return result;
}

int place_find(struct sqlite_place *place, const char *text, struct err *err)
{
	struct sqlite_url url;
	int result = parse_file(text, &url, err);

	*place = (struct sqlite_place){.fd = -1};
	if (result == 0 && url.path != NULL) {
		place->path = realpath(url.path, NULL);
		if (place->path == NULL)
			result = err_exit(err, EX_NOINPUT, "%s: %s", url.path,
				errno == ENOENT ? "there is no such file" : strerror(errno));
		else if (stat(place->path, &place->status) != 0 || !S_ISREG(place->status.st_mode))
			result = err_exit(err, EX_DATAERR, "%s is not a regular file", place->path);
		else if (restore_pending(place->path))
			result = err_exit(err, EX_TEMPFAIL,
				"%s: a restore was interrupted: start the daemon, or restore "
				"again, which finishes it",
				place->path);
		else
			result = belong_check(place->path, err);
	}
	sqlite_url_free(&url);
	return result;
}

void place_free(struct sqlite_place *place)
{
	if (place->fd >= 0)
		(void)close(place->fd);
	free(place->path);
	*place = (struct sqlite_place){.fd = -1};
}
