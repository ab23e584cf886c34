/* Shared by the test programs of this folder: running one suite, and data from outside the
 * project. */
#ifndef PIERRE_TEST_UNIT_H
#define PIERRE_TEST_UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	UNIT_SKIPPED = 77,
	UNIT_TIME = 120
}; /* meson's exit code for skipped; seconds for one test */

/* Runs everything and returns the program's exit code. `complete` false: data was absent, so
 * that success counts as skipped. */
static inline int unit_run(const char *name, TCase *tests, bool complete)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, UNIT_TIME);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0 ? EXIT_FAILURE : complete ? EXIT_SUCCESS : UNIT_SKIPPED;
}

/* Path of published test data beside the project (PIERRE_TEST_DATA names the folder); false,
 * with a message, when absent. */
static inline bool unit_data(const char *name, char *path, size_t size)
{
	const char *folder = getenv("PIERRE_TEST_DATA");

	(void)snprintf(path, size, "%s/%s", folder != NULL ? folder : "../shared", name);
	if (access(path, R_OK) == 0)
		return true;
	(void)fprintf(stderr, "ABSENT: %s. Its content is NOT TESTED.\n", path);
	return false;
}

/* Reads a whole file into memory that the caller frees, with a final NUL. A failure to read
 * fails the test. */
static inline char *unit_read(const char *path, size_t *length)
{
	FILE *file = fopen(path, "rb");
	char *text;
	long size;

	ck_assert_msg(file != NULL, "%s cannot be read", path);
	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	ck_assert_int_ge(size, 0);
	rewind(file);
	text = malloc((size_t)size + 1);
	ck_assert_ptr_nonnull(text);
	*length = fread(text, 1, (size_t)size, file);
	ck_assert_uint_eq(*length, (size_t)size);
	text[*length] = '\0';
	(void)fclose(file);
	return text;
}

/* The same numbers on every run with the same seed (splitmix64). */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

/* Number of rounds of random or long tests: fewer where each takes long, such as under valgrind
 * (PIERRE_UNIT_SHARE: one of that many). */
static inline unsigned unit_rounds(unsigned rounds)
{
	const char *share = getenv("PIERRE_UNIT_SHARE");
	unsigned long part = share != NULL ? strtoul(share, NULL, 10) : 1;

	return part > 1 ? (unsigned)(rounds / part) + 1 : rounds;
}

#endif
