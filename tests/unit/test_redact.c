/* Random raw passwords in database URLs of many forms. Would catch: a part of a password that is
 * shown, since it holds what divides a URL.
 *
 * A run of four characters of the password must not be shown, unless the URL holds it without the
 * password as well. PIERRE_TEST_SEED gives another seed. */
#include <string.h>

#include "../../backends/store_redact.h"
#include "unit.h"

enum { RUN = 4, ROUNDS = 2000, URL_MAX = 256 };

static const char *const forms[] = {
	"postgresql://user:%s@host.example/name",
	"postgres://user:%s@host.example:5432/name?sslmode=require",
	"postgresql://user:%s@/name",
	"postgresql://user:%s@one.example:5432,two.example:5433/name?target_session_attrs=any",
	"postgresql://user:%s@[::1]:5432/name",
	"postgresql://user:%s",
	"postgresql://user:%s/name?sslmode=require",
	"postgresql://:%s@host.example",
	"postgresql://host.example:5432:%s@/name",
	"postgresql://host.example/name?user=user&password=%s",
	"postgresql://host.example/name?password=%s&sslmode=require",
	"postgresql://user@host.example/name?sslkey=/k&sslpassword=%s&connect_timeout=5",
	"postgresql:///name?PassWord=%s#end",
	"postgresql://user:%s@host.example/name?application_name=a@b",
	"postgresql://user@host.example:%s@host.example/name",
	"POSTGRES://user:%s@host.example/name",
	"postgre://user:%s@host.example/name",
	"postgresql:/user:%s@host.example/name",
	"user:%s@host.example/name",
	"host=host.example user=user password=%s dbname=name",
	"password='%s'",
	"sqlite:user:%s@host.example/name",
	"sqlite:postgresql://user:%s@host.example/name",
	"sqlite://user:%s@host.example/name",
	"sqlite:x.db?password=%s",
	" postgresql://user:%s@host.example",
};

static unsigned random_number(unsigned *state)
{
	*state = *state * 1103515245U + 12345U;
	return *state >> 16;
}

/* Pieces that delimit parts of URLs among ones that do not; digits may look like a port. */
static void random_password(unsigned *state, char *out, size_t size)
{
	static const char special[] = "@:/?#%&= '\"@:/?,;[]\\+";
	static const char common[] = "qxzjkvwQXZJKVW0123456789qxzjkv";
	size_t length = 4 + random_number(state) % (size - 5), i = 0;

	while (i < length) {
		unsigned kind = random_number(state) % 4;

		if (kind == 0 || i + 6 >= length)
			out[i++] = special[random_number(state) % (sizeof special - 1)];
		else
			for (unsigned n = 1 + random_number(state) % 6; n > 0; n--)
				out[i++] = kind == 1
					? (char)('0' + random_number(state) % 10)
					: common[random_number(state) % (sizeof common - 1)];
	}
	out[length] = '\0';
}

/* Without a host, the text after an @ is the host, and a number is its port. There the two
 * cannot be told apart. */
static void make_certain(char *password)
{
	for (char *p = password; *p != '\0'; p++)
		if (*p == '@')
			*p = 'q';
	if (*password >= '0' && *password <= '9')
		*password = 'q';
}

static void put_in(char *url, const char *form, const char *password)
{
	const char *place = strstr(form, "%s");

	(void)snprintf(url, URL_MAX, "%.*s%s%s", (int)(place - form), form, password, place + 2);
}

START_TEST(no_part_of_a_password)
{
	const char *given = getenv("PIERRE_TEST_SEED"), *form = forms[_i];
	unsigned state = (unsigned)_i * 2654435761U +
		(given != NULL ? (unsigned)strtoul(given, NULL, 10) : 1);

	for (unsigned round = unit_rounds(ROUNDS); round > 0; round--) {
		char password[40], url[URL_MAX], frame[URL_MAX], shown[URL_MAX];

		random_password(&state, password, sizeof password);
		if (strchr(strstr(form, "%s"), '@') == NULL &&
			strncmp(form, "postgresql://user:", 18) == 0)
			make_certain(password);
		put_in(url, form, password);
		put_in(frame, form, "***");
		store_redact_url(url, shown, sizeof shown);
		for (size_t at = 0; at + RUN <= strlen(password); at++) {
			char run[RUN + 1] = {0};

			memcpy(run, password + at, RUN);
			ck_assert_msg(strstr(shown, run) == NULL || strstr(frame, run) != NULL,
				"%s is shown as %s", url, shown);
		}
	}
}
END_TEST

/* A password without URL delimiters hides nothing else. */
START_TEST(the_rest_is_shown)
{
	char shown[URL_MAX];

	store_redact_url("postgresql://user:se%40cret!@one:1,two:2/name?sslmode=require", shown,
		sizeof shown);
	ck_assert_str_eq(shown, "postgresql://user:***@one:1,two:2/name?sslmode=require");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, no_part_of_a_password, 0, sizeof forms / sizeof *forms);
	tcase_add_test(tests, the_rest_is_shown);
	return unit_run("redact", tests, true);
}
