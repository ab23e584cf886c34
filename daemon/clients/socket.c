#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../protocol/wire/socket_place.h"

enum { FIRST_INHERITED = 3 };

void socket_init(struct socket *sock)
{
	*sock = (struct socket){.fd = -1, .lock_fd = -1};
}

static int set_path(struct socket *sock, const char *folder, size_t folder_length, const char *name,
	struct err *err)
{
	size_t length = folder_length + strlen(name);

	if (length > SOCKET_PATH_MAX)
		return err_exit(err, EX_CONFIG,
			"the socket's path %.*s%s is %zu bytes long; the system takes at most %d",
			(int)folder_length, folder, name, length, SOCKET_PATH_MAX);
	(void)snprintf(sock->path, sizeof sock->path, "%.*s%s", (int)folder_length, folder, name);
	(void)snprintf(sock->lock_path, sizeof sock->lock_path, "%s.lock", sock->path);
	return 0;
}

/* /tmp is everyone's: the folder must belong to this user, or another one could have planted it.
 */
static int private_folder(const char *path, bool make, struct err *err)
{
	const char *objection;
	struct stat st;
	int fd;

	if (!make && lstat(path, &st) != 0 && errno == ENOENT)
		return 0;
	if (make && mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_exit(
			err, EX_CANTCREAT, "cannot make the folder %s: %s", path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		if (fd >= 0)
			(void)close(fd);
		return err_exit(err, EX_CANTCREAT,
			"%s is not a folder that can be used for the socket: %s", path,
			strerror(errno));
	}
	(void)close(fd);
	objection = socket_place_objection(&st);
	if (objection != NULL)
		return err_exit(err, EX_CANTCREAT,
			"the folder %s %s: it is not used for the socket", path, objection);
	return 0;
}

int socket_choose(
	struct socket *sock, const char *configured, bool make, bool *in_runtime, struct err *err)
{
	struct socket_place place;

	*in_runtime = false;
	if (*configured != '\0')
		return set_path(sock, "", 0, configured, err);
	socket_place_find(&place);
	*in_runtime = place.kind == SOCKET_PLACE_RUNTIME;
	if (place.kind == SOCKET_PLACE_OWN && private_folder(place.own, make, err) < 0)
		return -1;
	return set_path(sock, place.folder, place.length, SOCKET_PLACE_NAME, err);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

int socket_inherit(struct socket *sock, struct err *err)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	bool ours = pid != NULL && count != NULL && strtol(pid, NULL, 10) == (long)getpid();
	long n = ours ? strtol(count, NULL, 10) : 0;
	struct sockaddr_un address = {0};
	socklen_t size = sizeof address;

	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (n <= 0)
		return 1;
	if (n > 1)
		return err_exit(err, EX_CONFIG, "systemd passed %ld sockets; one is expected", n);
	if (option(FIRST_INHERITED, SO_DOMAIN) != AF_UNIX ||
		option(FIRST_INHERITED, SO_TYPE) != SOCK_STREAM ||
		option(FIRST_INHERITED, SO_ACCEPTCONN) != 1)
		return err_exit(err, EX_CONFIG,
			"the socket that systemd passed is not a listening Unix stream socket");
	if (fcntl(FIRST_INHERITED, F_SETFD, FD_CLOEXEC) != 0 ||
		fcntl(FIRST_INHERITED, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
		return err_exit(err, EX_CONFIG, "the socket that systemd passed cannot be used: %s",
			strerror(errno));
	sock->fd = FIRST_INHERITED;
	sock->inherited = true;
	if (getsockname(sock->fd, (struct sockaddr *)&address, &size) == 0)
		(void)snprintf(
			sock->path, sizeof sock->path, "%.*s", SOCKET_PATH_MAX, address.sun_path);
	return 0;
}

/* systemd starts the service again as long as a connection waits on its socket, also one whose
 * client has given up: a service that cannot start would be started for ever, many times a second.
 */
void socket_dismiss(struct socket *sock)
{
	struct err ignored = {0};

	if (sock->fd < 0 && !sock->bound && sock->lock_fd < 0)
		(void)socket_inherit(sock, &ignored);
	if (!sock->inherited)
		return;
	for (int count = 0; count < SOCKET_BACKLOG; count++) {
		int fd = accept4(sock->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return;
		(void)close(fd);
	}
}

/* Holds the lock file, which is still the one at its path; 75 when another daemon does. */
static int take_lock(struct socket *sock, struct err *err)
{
	struct stat held, named;

	for (;;) {
		int fd = open(sock->lock_path,
			O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

		if (fd < 0)
			return err_exit(err, EX_CANTCREAT, "cannot create the lock file %s: %s",
				sock->lock_path, strerror(errno));
		if (fstat(fd, &held) != 0 || !S_ISREG(held.st_mode)) {
			(void)close(fd);
			return err_exit(err, EX_CANTCREAT,
				"%s is not a regular file: it is not used as the lock file",
				sock->lock_path);
		}
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			int reason = errno;

			(void)close(fd);
			if (reason == EWOULDBLOCK)
				return err_exit(err, EX_TEMPFAIL,
					"another pierre-dbd holds the socket %s", sock->path);
			return err_exit(err, EX_CANTCREAT, "cannot lock %s: %s", sock->lock_path,
				strerror(reason));
		}
		/* A daemon that ends removes its lock file: the one that was locked here may be
		 * gone already. */
		if (lstat(sock->lock_path, &named) == 0 && named.st_dev == held.st_dev &&
			named.st_ino == held.st_ino) {
			sock->lock_fd = fd;
			return 0;
		}
		(void)close(fd);
	}
}

static struct sockaddr_un address_of(const struct socket *sock)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, sock->path, strlen(sock->path) + 1);
	return address;
}

/* Removes the socket of a dead daemon; an error when a live one or another file is there. */
static int clear_path(const struct socket *sock, struct err *err)
{
	struct sockaddr_un address = address_of(sock);
	struct stat st;
	int fd, reason;

	if (lstat(sock->path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		return err_exit(err, EX_CANTCREAT, "cannot use the socket's path %s: %s",
			sock->path, strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return err_exit(err, EX_CANTCREAT,
			"%s exists and is not a socket: it is left unchanged", sock->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_exit(err, EX_CANTCREAT, "cannot create a socket: %s", strerror(errno));
	reason = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
	(void)close(fd);
	if (reason == 0 || reason == EAGAIN)
		return err_exit(err, EX_TEMPFAIL,
			"another process listens on the socket %s already", sock->path);
	if (reason == ENOENT)
		return 0;
	if (reason != ECONNREFUSED)
		return err_exit(err, EX_CANTCREAT,
			"cannot find out whether another process listens on %s: %s", sock->path,
			strerror(reason));
	if (unlink(sock->path) != 0 && errno != ENOENT)
		return err_exit(err, EX_CANTCREAT, "cannot remove the old socket %s: %s",
			sock->path, strerror(errno));
	return 0;
}

int socket_bind(struct socket *sock, mode_t mode, struct err *err)
{
	struct sockaddr_un address = address_of(sock);
	struct stat st;
	mode_t old;
	int result, reason;

	if (take_lock(sock, err) < 0 || clear_path(sock, err) < 0)
		return -1;
	sock->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock->fd < 0)
		return err_exit(err, EX_CANTCREAT, "cannot create a socket: %s", strerror(errno));
	/* The mode is there from the first moment: a chmod afterwards could be led elsewhere by a
	 * planted link. */
	old = umask(~mode & 0777);
	result = bind(sock->fd, (const struct sockaddr *)&address, sizeof address);
	reason = errno;
	(void)umask(old);
	if (result != 0 && reason == EADDRINUSE)
		return err_exit(err, EX_TEMPFAIL,
			"another process has just taken the socket's path %s", sock->path);
	if (result != 0)
		return err_exit(err, EX_CANTCREAT, "cannot create the socket %s: %s", sock->path,
			strerror(reason));
	if (lstat(sock->path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return err_exit(
			err, EX_CANTCREAT, "the socket %s was replaced as it was made", sock->path);
	sock->device = st.st_dev;
	sock->inode = st.st_ino;
	sock->bound = true;
	return 0;
}

int socket_listen(struct socket *sock, struct err *err)
{
	if (!sock->inherited && listen(sock->fd, SOCKET_BACKLOG) != 0)
		return err_exit(
			err, EX_CANTCREAT, "cannot listen on %s: %s", sock->path, strerror(errno));
	return 0;
}

bool socket_in_place(const struct socket *sock)
{
	struct stat st;

	return !sock->bound ||
		(lstat(sock->path, &st) == 0 && st.st_dev == sock->device &&
			st.st_ino == sock->inode);
}

void socket_deafen(struct socket *sock)
{
	if (sock->fd >= 0)
		(void)close(sock->fd);
	sock->fd = -1;
}

void socket_remove(const struct socket *sock)
{
	if (sock->bound && socket_in_place(sock))
		(void)unlink(sock->path);
	if (sock->lock_fd >= 0)
		(void)unlink(sock->lock_path); /* while it is still held */
}

void socket_close(struct socket *sock)
{
	socket_remove(sock);
	socket_deafen(sock);
	if (sock->lock_fd >= 0)
		(void)close(sock->lock_fd);
	sock->lock_fd = -1;
	sock->bound = false;
}
