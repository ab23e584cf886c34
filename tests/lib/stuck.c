/* A disk that hangs: preloaded into the daemon. While the file $TEST_STUCK holds `sync`, every
 * fdatasync waits; while it holds `read`, every pread of a descriptor does. Waiting calls
 * continue when the file is emptied. While it holds `slow`, each sync of a part of a file takes
 * 20 ms. */
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

static int is_asked_for(const char *word)
{
	char text[32] = "";
	int fd = path[0] != '\0' ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strcmp(text, word) == 0;
}

static void wait_while(const char *word)
{
	while (is_asked_for(word))
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

int sync_file_range(int fd, off64_t offset, off64_t count, unsigned flags)
{
	if (is_asked_for("slow"))
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	return (int)syscall(SYS_sync_file_range, fd, offset, count, flags);
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
