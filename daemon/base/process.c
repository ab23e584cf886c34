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
#include "../settings/settings.h"

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

static void process_hide(const struct setting *row, char *value)
{
	if (row->type == SETTING_SECRET)
		explicit_bzero(value, strlen(value));
	else if (row->type == SETTING_URL)
		redact(value);
}

/* What stands behind `name=`; NULL: text does not begin so. */
static char *process_value_behind(char *text, const char *name)
{
	size_t length = name != NULL ? strlen(name) : 0;

	return length > 0 && strncmp(text, name, length) == 0 && text[length] == '='
		? text + length + 1
		: NULL;
}

/* libpq reads it at every connection: it moves to a block that /proc does not show. */
static void process_move_password(char *shown)
{
	char *copy = strdup(shown);
	size_t length = strlen(shown);

	if (copy != NULL && setenv("PGPASSWORD", copy, 1) == 0)
		explicit_bzero(shown, length);
	if (copy != NULL)
		explicit_bzero(copy, length);
	free(copy);
}

static void process_scrub_variable(char *entry)
{
	char *value = process_value_behind(entry, "PGPASSWORD");

	if (value != NULL)
		process_move_password(value);
	for (unsigned id = 0; id < SETTING_ROWS; id++)
		if ((value = process_value_behind(entry, setting_table[id].environment)) != NULL)
			process_hide(&setting_table[id], value);
}

/* next: the argument behind it; NULL: none. */
static void process_scrub_argument(char *argument, char *next)
{
	if (strncmp(argument, "--", 2) != 0)
		return;
	for (unsigned id = 0; id < SETTING_ROWS; id++) {
		const struct setting *row = &setting_table[id];
		char *value = process_value_behind(argument + 2, row->flag);

		if (value == NULL && row->flag != NULL && strcmp(argument + 2, row->flag) == 0)
			value = next;
		if (value != NULL)
			process_hide(row, value);
	}
}

void process_scrub(char **argv, char **environment)
{
	for (; *environment != NULL; environment++)
		process_scrub_variable(*environment);
	for (; *argv != NULL; argv++)
		process_scrub_argument(*argv, argv[1]);
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
