#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../backends/store_redact.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

static time_t started_at;

void process_harden(void)
{
	const struct rlimit none = {0, 0};
	int fd;

	started_at = time(NULL);
	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a write over the limit fails with EFBIG instead of ending
	                                   the process */
	(void)setrlimit(RLIMIT_CORE, &none);
#if !SANITIZED
	/* The leak checker of sanitizer builds traces the process, which this forbids. */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* A socket must never land on stderr's number. */
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* The redacted form in the place of the text; never longer than it. */
static void redact(char *url)
{
	size_t length = strlen(url);
	char *shown = malloc(length + 16);

	if (shown != NULL)
		store_redact_url(url, shown, length + 1);
	explicit_bzero(url, length);
	if (shown != NULL) {
		memcpy(url, shown, strlen(shown));
		explicit_bzero(shown, length + 16);
	}
	free(shown);
}

void process_scrub(char **argv, char **environment)
{
	for (; *environment != NULL; environment++) {
		if (strncmp(*environment, "ENCRYPTION_KEY=", 15) == 0)
			explicit_bzero(*environment + 15, strlen(*environment + 15));
		else if (strncmp(*environment, "PREVIOUS_ENCRYPTION_KEY=", 24) == 0)
			explicit_bzero(*environment + 24, strlen(*environment + 24));
		else if (strncmp(*environment, "DATABASE_URL=", 13) == 0)
			redact(*environment + 13);
		else if (strncmp(*environment, "PGPASSWORD=", 11) == 0) {
			/* libpq reads it at every connection: it moves to a block that /proc does
			 * not show. */
			char *copy = strdup(*environment + 11), *shown = *environment + 11;
			size_t length = strlen(shown);

			if (copy != NULL && setenv("PGPASSWORD", copy, 1) == 0)
				explicit_bzero(shown, length);
			if (copy != NULL)
				explicit_bzero(copy, strlen(copy));
			free(copy);
		}
	}
	for (; *argv != NULL; argv++) {
		if (strcmp(*argv, "--database-url") == 0 && argv[1] != NULL)
			redact(*++argv);
		else if (strncmp(*argv, "--database-url=", 15) == 0)
			redact(*argv + 15);
	}
}

uint64_t process_raise_descriptors(uint64_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur;
}

static uint64_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	uint64_t count = 0;

	if (dir == NULL)
		return 0;
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		count += entry->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

static uint64_t micros(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

void process_usage(struct process_usage *usage)
{
	FILE *file = fopen("/proc/self/statm", "re");
	struct rlimit limit;
	struct rusage spent;
	unsigned long long total, resident = 0;

	*usage = (struct process_usage){.started_at = started_at};
	if (file != NULL) {
		if (fscanf(file, "%llu %llu", &total, &resident) == 2)
			usage->resident_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
		(void)fclose(file);
	}
	usage->descriptors = count_entries("/proc/self/fd");
	usage->descriptors -= usage->descriptors > 0; /* the one that counted */
	usage->threads = count_entries("/proc/self/task");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		usage->descriptor_limit = limit.rlim_cur;
	if (getrusage(RUSAGE_SELF, &spent) == 0) {
		usage->cpu_user_us = micros(&spent.ru_utime);
		usage->cpu_system_us = micros(&spent.ru_stime);
	}
}

unsigned process_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}
