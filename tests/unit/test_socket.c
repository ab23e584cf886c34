/* The socket's path: what is replaced, what is left, who wins, what is removed. Would catch: a
 * live socket that is replaced, a deleted file or link, a lock file that two processes hold,
 * another daemon's socket removed at the end. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../daemon/clients/socket.h"
#include "unit.h"

static char folder[64], path[128], lock_path[136];
static struct socket sock;
static struct err err;

static void enter(void)
{
	(void)snprintf(folder, sizeof folder, "/tmp/pierre-socket-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/s", folder);
	(void)snprintf(lock_path, sizeof lock_path, "%s.lock", path);
	socket_init(&sock);
	memset(&err, 0, sizeof err);
}

static void leave(void)
{
	socket_close(&sock);
	(void)unlink(path);
	(void)unlink(lock_path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static int take(struct socket *into, mode_t mode)
{
	bool in_runtime;

	socket_init(into);
	if (socket_choose(into, path, true, &in_runtime, &err) < 0)
		return -1;
	ck_assert(!in_runtime);
	return socket_bind(into, mode, &err);
}

static int foreign_socket(const char *at, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_uint_lt(strlen(at), sizeof address.sun_path);
	memcpy(address.sun_path, at, strlen(at) + 1);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	if (listening)
		ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

static mode_t mode_of(const char *at)
{
	struct stat st;

	ck_assert_int_eq(lstat(at, &st), 0);
	return st.st_mode;
}

START_TEST(mode_and_end)
{
	ck_assert_int_eq(take(&sock, 0640), 0);
	ck_assert_int_eq(socket_listen(&sock, &err), 0);
	ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0640);
	ck_assert_uint_eq(mode_of(lock_path), S_IFREG | 0600);
	ck_assert(socket_in_place(&sock));
	socket_close(&sock);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_ne(access(lock_path, F_OK), 0);
	socket_close(&sock);
}
END_TEST

START_TEST(stale_is_replaced)
{
	(void)close(foreign_socket(path, false));
	ck_assert_int_eq(take(&sock, 0600), 0);
	ck_assert_int_eq(socket_listen(&sock, &err), 0);
}
END_TEST

START_TEST(live_is_not_stolen)
{
	int fd = foreign_socket(path, true);

	ck_assert_int_eq(take(&sock, 0600), -1);
	ck_assert_int_eq(err.exit_code, EX_TEMPFAIL);
	socket_close(&sock);
	ck_assert(S_ISSOCK(mode_of(path)));
	(void)close(fd);
}
END_TEST

START_TEST(the_lock_holds)
{
	struct socket second;

	ck_assert_int_eq(take(&sock, 0600),
		0); /* bound, not listening yet: a probe would find no listener */
	ck_assert_int_eq(take(&second, 0600), -1);
	ck_assert_int_eq(err.exit_code, EX_TEMPFAIL);
	socket_close(&second);
	ck_assert(socket_in_place(&sock));
}
END_TEST

START_TEST(other_files_are_left)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	(void)close(fd);
	ck_assert_int_eq(take(&sock, 0600), -1);
	ck_assert_int_eq(err.exit_code, EX_CANTCREAT);
	socket_close(&sock);
	ck_assert(S_ISREG(mode_of(path)));
}
END_TEST

START_TEST(links_are_not_followed)
{
	char target[128];

	(void)snprintf(target, sizeof target, "%s/target", folder);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_eq(take(&sock, 0600), -1);
	ck_assert_int_eq(err.exit_code, EX_CANTCREAT);
	socket_close(&sock);
	ck_assert(S_ISLNK(mode_of(path)));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink(target, lock_path), 0);
	ck_assert_int_eq(take(&sock, 0600), -1);
	ck_assert_int_eq(err.exit_code, EX_CANTCREAT);
	ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(only_its_own_is_removed)
{
	int fd;

	ck_assert_int_eq(take(&sock, 0600), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(!socket_in_place(&sock));
	fd = foreign_socket(path, true);
	socket_close(&sock);
	ck_assert(S_ISSOCK(mode_of(path)));
	(void)close(fd);
}
END_TEST

START_TEST(lengths)
{
	bool in_runtime;
	char name[256];

	memset(name, 'x', sizeof name);
	name[107] = '\0';
	ck_assert_int_eq(socket_choose(&sock, name, true, &in_runtime, &err), 0);
	ck_assert_str_eq(sock.path, name);
	name[107] = 'x';
	name[108] = '\0';
	ck_assert_int_eq(socket_choose(&sock, name, true, &in_runtime, &err), -1);
	ck_assert_int_eq(err.exit_code, EX_CONFIG);
	ck_assert_ptr_nonnull(strstr(err.message, "107"));
}
END_TEST

START_TEST(places)
{
	bool in_runtime;

	(void)setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
	(void)setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	ck_assert_int_eq(socket_choose(&sock, "/x/y", true, &in_runtime, &err), 0);
	ck_assert_str_eq(sock.path, "/x/y");
	ck_assert(!in_runtime);
	ck_assert_int_eq(socket_choose(&sock, "", true, &in_runtime, &err), 0);
	ck_assert_str_eq(sock.path, "/run/one/pierre-dbd.sock");
	ck_assert(in_runtime);
	(void)unsetenv("RUNTIME_DIRECTORY");
	ck_assert_int_eq(socket_choose(&sock, "", true, &in_runtime, &err), 0);
	ck_assert_str_eq(sock.path, "/run/user/1/pierre-dbd.sock");
	ck_assert_str_eq(sock.lock_path, "/run/user/1/pierre-dbd.sock.lock");
	ck_assert(!in_runtime);
}
END_TEST

START_TEST(inherited)
{
	char pid[24];
	int fd;

	ck_assert_int_eq(socket_inherit(&sock, &err), 1);
	(void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
	(void)setenv("LISTEN_PID", "1", 1);
	(void)setenv("LISTEN_FDS", "1", 1);
	ck_assert_int_eq(socket_inherit(&sock, &err), 1); /* meant for another process */
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", "2", 1);
	ck_assert_int_eq(socket_inherit(&sock, &err), -1);
	fd = foreign_socket(path, true);
	ck_assert_int_eq(dup2(fd, 3), 3);
	if (fd != 3)
		(void)close(fd);
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", "1", 1);
	ck_assert_int_eq(socket_inherit(&sock, &err), 0);
	ck_assert_str_eq(sock.path, path);
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	ck_assert_int_ne(fcntl(3, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert(socket_in_place(&sock));
	socket_close(&sock);
	ck_assert(S_ISSOCK(mode_of(path))); /* systemd's, not ours to remove */
	ck_assert_int_eq(dup2(STDIN_FILENO, 3), 3);
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", "1", 1);
	ck_assert_int_eq(socket_inherit(&sock, &err), -1); /* not a listening socket */
	ck_assert_int_eq(err.exit_code, EX_CONFIG);
}
END_TEST

/* Many processes at once, repeatedly: each time one gets it, and the others exit with 75. */
START_TEST(one_winner)
{
	enum { STARTS = 20 };
	pid_t children[STARTS];
	int go[2], tried[2], done[2], winners = 0;
	char byte;

	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(pipe(tried), 0);
	ck_assert_int_eq(pipe(done), 0);
	(void)close(foreign_socket(path, false)); /* a stale one exists */
	for (int i = 0; i < STARTS; i++) {
		children[i] = fork();
		ck_assert_int_ge(children[i], 0);
		if (children[i] == 0) {
			int code;

			(void)close(go[1]);
			(void)close(done[1]);
			(void)!read(go[0], &byte, 1);
			code = take(&sock, 0600) == 0 && socket_listen(&sock, &err) == 0
				? 0
				: err.exit_code;
			(void)!write(tried[1], "", 1);
			if (code == 0)
				(void)!read(done[0], &byte, 1); /* holds it until all have tried */
			_exit(code);
		}
	}
	(void)close(go[1]);
	for (int i = 0; i < STARTS; i++)
		ck_assert_int_eq(read(tried[0], &byte, 1), 1);
	(void)close(done[1]);
	for (int i = 0; i < STARTS; i++) {
		int status;

		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert(WIFEXITED(status));
		if (WEXITSTATUS(status) == 0)
			winners++;
		else
			ck_assert_int_eq(WEXITSTATUS(status), EX_TEMPFAIL);
	}
	ck_assert_int_eq(winners, 1);
	(void)close(go[0]);
	(void)close(tried[0]);
	(void)close(tried[1]);
	(void)close(done[0]);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, enter, leave);
	tcase_add_test(tests, mode_and_end);
	tcase_add_test(tests, stale_is_replaced);
	tcase_add_test(tests, live_is_not_stolen);
	tcase_add_test(tests, the_lock_holds);
	tcase_add_test(tests, other_files_are_left);
	tcase_add_test(tests, links_are_not_followed);
	tcase_add_test(tests, only_its_own_is_removed);
	tcase_add_test(tests, lengths);
	tcase_add_test(tests, places);
	tcase_add_test(tests, inherited);
	tcase_add_test(tests, one_winner);
	return unit_run("socket", tests, true);
}
