/* `.env` files. Would catch: a quote read wrong, a comment in a value, an interpolation, a message
 * that shows a value. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../daemon/settings/envfile.h"
#include "unit.h"

static int parse(struct envfile *file, const char *text, struct err *err)
{
	size_t length = strlen(text);
	char *copy = malloc(length + 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, length + 1);
	memset(err, 0, sizeof *err);
	return envfile_parse(file, copy, length, "file", err);
}

static const struct {
	const char *text, *value; /* of K; NULL: absent */
} fine[] = {
	{"K=v", "v"},
	{"K=v\n", "v"},
	{"K=v\r\nX=1\r\n", "v"},
	{"  K = v  \n", "v"},
	{"export K=v", "v"},
	{"export\tK=v", "v"},
	{"export=1\nK=v", "v"},
	{"K=", ""},
	{"K=\nX=y", ""},
	{"# c\n\n\n  # d\nK=v", "v"},
	{"#K=v", NULL},
	{"K=v # c", "v"},
	{"K=v#c", "v#c"},
	{"K=#c", ""},
	{"K='a b'", "a b"},
	{"K='a#b' # c", "a#b"},
	{"K='a\\nb'", "a\\nb"},
	{"K=\"a\\nb\"", "a\nb"},
	{"K=\"a\\\"b\\\\c\"", "a\"b\\c"},
	{"K=\"a\\qb\"", "a\\qb"},
	{"K='a\nb'\nX=1", "a\nb"},
	{"K=$X`id`", "$X`id`"},
	{"K=\"${X}\"", "${X}"},
	{"K=a\nK=b", "b"},
	{"K=a=b==", "a=b=="},
	{"K=''", ""},
	{"K=\"\"", ""},
	{"X=1\nK=v\nY=2", "v"},
	{"K=it's", "it's"},
	{"K='x'\n\nX=1", "x"},
	{"", NULL},
	{"\n\n", NULL},
	{"K=\xc3\xbc", "\xc3\xbc"},
	{"\xEF\xBB\xBFK=v\r\n", "v"},
	{"\xEF\xBB\xBF", NULL},
	{"\xEF\xBB\xBF# c\nK=v", "v"},
};

START_TEST(values)
{
	struct envfile file;
	struct err err;
	const char *value;

	ck_assert_msg(parse(&file, fine[_i].text, &err) == 0, "%s: %s", fine[_i].text, err.message);
	value = envfile_get(&file, "K");
	if (fine[_i].value == NULL)
		ck_assert_ptr_null(value);
	else
		ck_assert_pstr_eq(value, fine[_i].value);
	envfile_free(&file);
}
END_TEST

START_TEST(neighbours)
{
	struct envfile file;
	struct err err;

	ck_assert_int_eq(parse(&file, "A='x'# c\nB=2\n\n#\nexport C=\"3\n4\"\nD=5", &err), 0);
	ck_assert_uint_eq(file.count, 4);
	ck_assert_str_eq(envfile_get(&file, "A"), "x");
	ck_assert_str_eq(envfile_get(&file, "B"), "2");
	ck_assert_str_eq(envfile_get(&file, "C"), "3\n4");
	ck_assert_str_eq(envfile_get(&file, "D"), "5");
	envfile_free(&file);
}
END_TEST

static const struct {
	const char *text, *says;
} broken[] = {
	{"secret", "line 1: expected KEY=VALUE"},
	{"A=1\nB=2\nsecret\n", "line 3"},
	{"=secret", "line 1"},
	{"A=1\n\nK='secret", "line 3: the quote is not closed"},
	{"K=\"secret\\\"", "not closed"},
	{"K='a'secret", "follows"},
	{"A='1\n2\n'\nB='3'\n\nsecret", "line 6"},
	{"A=1\nB=\n\n  secret secret", "line 4"},
	{"K!=secret", "line 1"},
	{"\xFF\xFEsecret", "is UTF-16: save it as UTF-8"},
	{"\xFE\xFFsecret", "is UTF-16: save it as UTF-8"},
	{"X=1\n\xEF\xBB\xBFK=secret", "line 2"},
};

START_TEST(errors_name_the_line_and_no_value)
{
	struct envfile file;
	struct err err;

	ck_assert_int_eq(parse(&file, broken[_i].text, &err), -1);
	ck_assert_int_eq(err.exit_code, EX_CONFIG);
	ck_assert_msg(strstr(err.message, broken[_i].says) != NULL, "%s", err.message);
	ck_assert_ptr_null(strstr(err.message, "secret"));
	envfile_free(&file);
}
END_TEST

START_TEST(nul_byte_is_refused)
{
	struct envfile file;
	struct err err;
	char *text = malloc(8);

	ck_assert_ptr_nonnull(text);
	memcpy(text, "K=a\0b=c", 8);
	ck_assert_int_eq(envfile_parse(&file, text, 7, "file", &err), -1);
	envfile_free(&file);
}
END_TEST

START_TEST(missing_file)
{
	struct envfile file;
	struct err err;

	ck_assert_int_eq(envfile_read(&file, "/nonexistent/.env", &err), 1);
	ck_assert_int_eq(envfile_read(&file, "/", &err), -1);
	envfile_free(&file);
}
END_TEST

/* Any bytes give a result or an error, within bounds (under the sanitizers). */
START_TEST(random_texts)
{
	static const char bytes[] = "K=v'\"\\\n #exprt\r\t$";
	unsigned seed = (unsigned)_i * 2654435761U + 1;

	for (int round = 0; round < 2000; round++) {
		char text[40];
		size_t length = 0;
		struct envfile file;
		struct err err;

		for (; length < (size_t)(round % 39); length++) {
			seed = seed * 1103515245U + 12345U;
			text[length] = bytes[(seed >> 16) % (sizeof bytes - 1)];
		}
		text[length] = '\0';
		if (parse(&file, text, &err) == 0)
			for (size_t i = 0; i < file.count; i++)
				ck_assert_ptr_nonnull(envfile_get(&file, file.entries[i].key));
		envfile_free(&file);
	}
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, values, 0, sizeof fine / sizeof *fine);
	tcase_add_test(tests, neighbours);
	tcase_add_loop_test(
		tests, errors_name_the_line_and_no_value, 0, sizeof broken / sizeof *broken);
	tcase_add_test(tests, nul_byte_is_refused);
	tcase_add_test(tests, missing_file);
	tcase_add_loop_test(tests, random_texts, 0, 10);
	return unit_run("envfile", tests, true);
}
