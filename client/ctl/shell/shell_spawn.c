#include "shell_spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../output.h"

enum { OWN_WORDS = 8, PATH_SIZE = 256 };

/* What the arguments before the command point into. */
struct own_options {
	char program[16], socket[PATH_SIZE], timeout[48], json[8];
};

/* Stores them in argv; returns their number. */
static int add_own_options(const struct ctl *ctl, struct own_options *own, char **argv)
{
	int argc = 0;

	argv[argc++] = strcpy(own->program, "pierre-dbctl");
	if (ctl->socket != NULL) {
		(void)snprintf(own->socket, sizeof own->socket, "--socket=%s", ctl->socket);
		argv[argc++] = own->socket;
	}
	if (ctl->timeout_seconds > 0) {
		(void)snprintf(
			own->timeout, sizeof own->timeout, "--timeout=%.17g", ctl->timeout_seconds);
		argv[argc++] = own->timeout;
	}
	if (ctl->json)
		argv[argc++] = strcpy(own->json, "--json");
	return argc;
}

static int start(char **argv, bool with_stdin, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t usual;
	int problem;

	(void)sigemptyset(&usual);
	(void)sigaddset(&usual, SIGINT); /* an interactive shell ignores it meanwhile */
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setsigdefault(&attributes, &usual);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawn_file_actions_init(&files);
	if (!with_stdin)
		(void)posix_spawn_file_actions_addopen(
			&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	problem = posix_spawn(pid, "/proc/self/exe", &files, &attributes, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attributes);
	return problem;
}

int shell_spawn_run(const struct ctl *ctl, bool with_stdin, char **words, int count)
{
	char **argv = calloc((size_t)count + OWN_WORDS, sizeof *argv);
	struct own_options own;
	int argc, status = 0, problem;
	pid_t pid;

	if (argv == NULL)
		return output_fail(EX_OSERR, "out of memory");
	argc = add_own_options(ctl, &own, argv);
	memcpy(argv + argc, words, (size_t)count * sizeof *words);
	(void)fflush(stdout);
	problem = start(argv, with_stdin, &pid);
	free(argv);
	if (problem != 0)
		return output_fail(EX_OSERR, "cannot run %s: %s", words[0], strerror(problem));
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
