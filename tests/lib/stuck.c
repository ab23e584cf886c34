/* A disk that hangs: preloaded into the daemon. While the file $TEST_STUCK holds `sync`, every fdatasync waits; while it holds `read`,
 * every pread of a descriptor does. What waits goes on when the file is emptied. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char path[256];

/* At once: the daemon wipes its environment. */
__attribute__((constructor)) static void begin(void)
{
	const char *given = getenv("TEST_STUCK");

	for (size_t i = 0; given != NULL && given[i] != '\0' && i + 1 < sizeof path; i++)
		path[i] = given[i];
}

static void wait_while(const char *word)
{
	for (;;) {
		char text[32] = "";
		int fd = path[0] != '\0' ? open(path, O_RDONLY | O_CLOEXEC) : -1;

		if (fd < 0)
			return;
		if (read(fd, text, sizeof text - 1) < 0)
			text[0] = '\0';
		close(fd);
		if (strcmp(text, word) != 0)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

int fdatasync(int fd)
{
	wait_while("sync");
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	wait_while("sync");
	return (int)syscall(SYS_fsync, fd);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t offset)
{
	wait_while("read");
	return syscall(SYS_pread64, fd, bytes, count, offset);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset)
{
	return pread64(fd, bytes, count, offset);
}
