/* The form of SQLite's URLs. Would catch: a URL that is mistaken for another file, one that is
 * refused without need, a name that its URL does not preserve. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "../../protocol/sqlite_url.h"
#include "unit.h"

static const struct {
	const char *url, *path, *literal; /* path NULL: refused; "": in memory */
	bool must_exist;
} cases[] = {
	{"sqlite:x.db", "x.db", NULL, false},
	{"sqlite:///a/b.db", "/a/b.db", NULL, false},
	{"sqlite://a/b.db?mode=rw", "a/b.db", NULL, true},
	{"sqlite:a%20b.db?mode=rwc", "a b.db", "a%20b.db", false},
	{"sqlite:100%.db", "100%.db", NULL, false},
	{"sqlite:%zz%4", "%zz%4", NULL, false},
	{"sqlite:%3a%3A?", "::", "%3a%3A", false},
	{"sqlite:%7E/%24HOME", "~/$HOME", "%7E/%24HOME", false},
	{"sqlite:%66ile:x", "file:x", "%66ile:x", false},
	{"sqlite:a$b", "a$b", NULL, false},
	{"sqlite:a/$5", "a/$5", NULL, false},
	{"sqlite::memory:", "", NULL, false},
	{"sqlite://:memory:?mode=rwc", "", NULL, false},
	{.url = "sqlite:"},
	{.url = "sqlite:?mode=rw"},
	{.url = "sqlite:a/"},
	{.url = "sqlite:~x"},
	{.url = "sqlite:$X"},
	{.url = "sqlite:a/$X"},
	{.url = "sqlite:a${X}"},
	{.url = "sqlite:%0a"},
	{.url = "sqlite:a%7F"},
	{.url = "sqlite:a\x01"},
	{.url = "sqlite:file:a"},
	{.url = "sqlite:a?mode=ro"},
	{.url = "sqlite:a?mode=rw&mode=rw"},
	{.url = "sqlite:a?x"},
	{.url = "sqlite::memory:?mode=rw"},
};

START_TEST(forms)
{
	struct sqlite_url url;
	struct err err;
	int result = sqlite_url_parse(cases[_i].url, &url, &err);

	if (cases[_i].path == NULL) {
		ck_assert_int_eq(result, -1);
		ck_assert_int_eq(err.exit_code, EX_CONFIG);
		ck_assert_ptr_nonnull(strstr(err.message, "accepted are"));
	} else {
		ck_assert_msg(result == 0, "%s: %s", cases[_i].url, err.message);
		ck_assert_str_eq(url.path != NULL ? url.path : "", cases[_i].path);
		ck_assert_str_eq(url.literal != NULL ? url.literal : "",
			cases[_i].literal != NULL ? cases[_i].literal : "");
		ck_assert_int_eq(url.must_exist, cases[_i].must_exist);
	}
	sqlite_url_free(&url);
}
END_TEST

/* Every byte that a name may contain is preserved, except for control characters, which are
 * refused. */
START_TEST(round_trip)
{
	struct sqlite_url url;
	struct err err;

	for (int byte = 1; byte < 256; byte++) {
		char path[] = {'/', (char)byte, '%', '4', '1', (char)byte, '\0'}, text[64];
		bool control = byte < 0x20 || byte == 0x7F, folder = byte == '/';

		ck_assert(sqlite_url_of_file(path, text, sizeof text));
		ck_assert_int_eq(sqlite_url_parse(text, &url, &err), control || folder ? -1 : 0);
		if (!control && !folder)
			ck_assert_str_eq(url.path, path);
		sqlite_url_free(&url);
	}
}
END_TEST

START_TEST(trimmed)
{
	char text[] = " \t\r\nsqlite:a b\r\n", blank[] = " \n";

	ck_assert_str_eq(sqlite_url_trim(text), "sqlite:a b");
	ck_assert_str_eq(sqlite_url_trim(blank), "");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("sqlite_url");

	tcase_add_loop_test(tests, forms, 0, sizeof cases / sizeof cases[0]);
	tcase_add_test(tests, round_trip);
	tcase_add_test(tests, trimmed);
	return unit_run("sqlite_url", tests, true);
}
