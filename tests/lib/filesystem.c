/* A database that seems to lie on another file system: preloaded into the daemon. statfs reports
 * the type that $TEST_FILESYSTEM holds in hexadecimal. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/vfs.h>

static long type;

/* At once: the daemon wipes its environment. */
__attribute__((constructor)) static void begin(void)
{
	const char *given = getenv("TEST_FILESYSTEM");

	type = given != NULL ? strtol(given, NULL, 16) : 0;
}

int statfs(const char *path, struct statfs *out)
{
	int (*real)(const char *, struct statfs *) =
		(int (*)(const char *, struct statfs *))dlsym(RTLD_NEXT, "statfs");
	int result = real(path, out);

	if (result == 0)
		out->f_type = type;
	return result;
}

int statfs64(const char *path, struct statfs64 *out)
{
	int (*real)(const char *, struct statfs64 *) =
		(int (*)(const char *, struct statfs64 *))dlsym(RTLD_NEXT, "statfs64");
	int result = real(path, out);

	if (result == 0)
		out->f_type = type;
	return result;
}
