/* Stored times: C code and the generated columns follow one rule. Would catch: an offset that
 * only one of the two handles, an invalid day of a month, a text that only one of the two
 * accepts as a time. */
#include <sqlite3.h>
#include <string.h>

#include "../../backends/migration.h"
#include "../../backends/sqlite/files/widen.h"
#include "../../protocol/value.h"
#include "unit.h"

enum { TEXTS = 20000 };

static sqlite3 *db;
static sqlite3_stmt *insert, *read_back;

static void run(const char *sql)
{
	char *message = NULL;

	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
}

static void set_up(void)
{
	ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	ck_assert_int_eq(widen_register(db), SQLITE_OK);
	run("PRAGMA writable_schema=ON");
	for (const struct migration *migration = sqlite_migrations; migration->name != NULL;
		migration++)
		run(migration->sql);
	run("PRAGMA writable_schema=RESET");
	run("BEGIN; INSERT INTO users (id, email, password_hash, created_at,"
	    " last_active) VALUES ('u', 'e', 'h', '', '')");
	ck_assert_int_eq(
		sqlite3_prepare_v2(db,
			"INSERT OR REPLACE INTO api_keys (id, user_id, name, key_prefix, key_hash,"
			" expires_at) "
			"VALUES ('k', 'u', 'n', 'p', 'h', ?1)",
			-1, &insert, NULL),
		SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_prepare_v2(db, "SELECT expires_us FROM api_keys", -1, &read_back, NULL),
		SQLITE_OK);
}

static void tear_down(void)
{
	sqlite3_finalize(insert);
	sqlite3_finalize(read_back);
	sqlite3_close(db);
}

/* Returns true for a time. */
static bool same(const char *text, size_t length)
{
	int64_t micros = 0;
	bool good = timestamp_parse_stored(text, length, &micros);

	sqlite3_bind_text(insert, 1, text, (int)length, SQLITE_STATIC);
	ck_assert_int_eq(sqlite3_step(insert), SQLITE_DONE);
	sqlite3_reset(insert);
	ck_assert_int_eq(sqlite3_step(read_back), SQLITE_ROW);
	ck_assert_msg(sqlite3_column_type(read_back, 0) == (good ? SQLITE_INTEGER : SQLITE_NULL),
		"\"%s\": is it a time?", text);
	ck_assert_msg(!good || sqlite3_column_int64(read_back, 0) == micros,
		"\"%s\": C %lld, SQL %lld", text, (long long)micros,
		(long long)sqlite3_column_int64(read_back, 0));
	sqlite3_reset(read_back);
	return good;
}

#define ONE_OF(array) array[(unsigned)rand() % (sizeof array / sizeof array[0])]

static size_t make(char out[96])
{
	static const char *const years[] = {"0000", "0001", "1900", "1969", "2000", "2024", "2025",
		"9999", "20x5"},
				 *const days[] = {"-01-01", "-02-28", "-02-29", "-02-30", "-04-31",
					 "-06-10", "-12-31", "-13-01", "-00-10", "-06-00",
					 "-07-32"},
				 *const between[] = {"T", "T", "T", "t", " ", "_"},
				 *const hours[] = {"00:00", "08:30", "19:59", "23:59", "24:00",
					 "12:60"},
				 *const seconds[] = {":00", ":07", ":59", ":60"},
				 *const fractions[] = {"", "", ".1", ".123", ".123456", ".999999",
					 ".9995", ".999999999", ".1234567891", ".", ".1.2", "5",
					 ".1e2"},
				 *const offsets[] = {"", "Z", "z", "+00:00", "+00:00", "+02:00",
					 "-05:30", "+02", "-00:30", "+23:59", "-23:59", "+24:00",
					 "+0200", "+2", "+01:60", "Zx", " ", "-00:00", "+00:01",
					 "+2a:00", "\xC3\xA9"};
	int length =
		snprintf(out, 96, "%s%s%s%s%s%s%s", ONE_OF(years), ONE_OF(days), ONE_OF(between),
			ONE_OF(hours), ONE_OF(seconds), ONE_OF(fractions), ONE_OF(offsets));

	if (rand() % 10 == 0)
		out[rand() % length] = "\0 5-:Zx"[rand() % 7];
	return (size_t)length;
}

START_TEST(test_many_forms)
{
	unsigned times = 0, rounds = unit_rounds(TEXTS);

	srand(5);
	for (unsigned i = 0; i < rounds; i++) {
		char text[96];
		size_t length = make(text);

		times += same(text, length);
	}
	ck_assert_uint_gt(times, rounds / 50);
}
END_TEST

/* SQL has a separate branch for the form that the daemon writes: every day in it, and hours of
 * each kind. */
START_TEST(test_written_form)
{
	static const char *const years[] = {"0000", "1969", "2024", "2025", "9999"},
				 *const hours[] = {"00", "08", "19", "20", "23", "24"},
				 *const fractions[] = {"000000", "123456", "899999", "900000",
					 "999499", "999500", "999999", "1 3456", "12345 ",
					 "12345x"};

	for (unsigned i = 0; i < 20 * 40 * 6; i++) {
		unsigned month = i / 40 % 20, day = i % 40;
		char text[96];
		int length = snprintf(text, sizeof text, "%s-%02u-%02uT%s:%02u:59.%s+00:00",
			ONE_OF(years), month, day, hours[i / 800], (unsigned)rand() % 61,
			ONE_OF(fractions));

		same(text, (size_t)length);
		if (i % 50 == 0) {
			text[length] = '\0';
			ck_assert(!same(text, (size_t)length + 1));
		}
	}
}
END_TEST

START_TEST(test_strange_forms)
{
	static const char *const texts[] = {"", "now", "2460000.50000000000", "08:00:00.1234567890",
		"2025-06-10T08:00Z  ", " 2025-06-10T08:00:00", "2025-06-10", "2025-06-10T08:00",
		"1749542400", "-2025-06-10T08:00:00Z"};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		ck_assert_msg(!same(texts[i], strlen(texts[i])), "\"%s\"", texts[i]);
	ck_assert(same("2025-06-10T08:00:00+02:00", 25));
	ck_assert(same("2025-06-10 08:00:00", 19));
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("stored times");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, test_many_forms);
	tcase_add_test(tests, test_written_form);
	tcase_add_test(tests, test_strange_forms);
	return unit_run("stored times", tests, true);
}
