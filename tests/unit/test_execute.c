/* Around the statement: computed values, rows to answers, conflicts, URLs in logs. Would catch:
 * half an answer before an error, a token opened as the other one, a URL's password in a log. */
#include <math.h>
#include <string.h>

#include "../../backends/execute.h"
#include "../../backends/store.h"
#include "../../backends/store_redact.h"
#include "unit.h"

static const int64_t now = INT64_C(1750347889123456);
static struct value values[CATALOG_MAX_VALUES], columns[CATALOG_MAX_COLUMNS];
static struct call call;
static struct seal *seal;

static void begin(const char *method)
{
	memset(values, 0, sizeof values);
	memset(columns, 0, sizeof columns);
	arena_free(&call.arena);
	buffer_free(&call.answer);
	call = (struct call){
		.method = catalog_find(method, strlen(method)), .values = values, .now = now};
	ck_assert_msg(call.method != NULL, "%s", method);
	arena_init(&call.arena);
	buffer_text(&call.answer, "head:");
	call.answer_start = call.answer.length;
}

static void set(struct value *value, const char *text)
{
	value->set = true;
	value->s.ptr = text;
	value->s.len = strlen(text);
}

static struct value *slot(const char *name)
{
	for (unsigned i = 0; i < call.method->bind_count; i++)
		if (strcmp(call.method->binds[i].name, name) == 0)
			return &values[i];
	ck_abort_msg("%s has no %s", call.method->name, name);
}

static void answered(const char *expected)
{
	buffer_byte(&call.answer, '\0');
	ck_assert_int_eq(call.err.kind, ERR_NONE);
	ck_assert_str_eq(call.answer.data, expected);
}

static void failed(enum err_kind kind)
{
	ck_assert_int_eq(call.err.kind, kind);
	ck_assert_uint_eq(call.answer.length, call.answer_start);
}

START_TEST(results_without_rows)
{
	begin("update_last_active"); /* null, or not_found */
	set(slot("user_id"), "u-1");
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_end(&call, 1), 0);
	answered("head:null");
	begin("update_last_active");
	set(slot("user_id"), "u-1");
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_end(&call, 0), -1);
	failed(ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(call.err.message, "u-1"));
	begin("cleanup_expired_api_keys"); /* a count */
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_end(&call, 12), 0);
	answered("head:12");
	begin("get_user_goals"); /* a list */
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_end(&call, 0), 0);
	answered("head:[]");
	begin("get_user"); /* one or null */
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_end(&call, 0), 0);
	answered("head:null");
}
END_TEST

START_TEST(rows)
{
	begin("get_user_count");
	columns[0] = (struct value){.set = true, .i = INT64_MAX};
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_row(&call, NULL, columns), 0);
	ck_assert_int_eq(execute_row(&call, NULL, columns), -1); /* one too many */
	failed(ERR_INTERNAL);
	execute_restart(&call);
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_row(&call, NULL, columns), 0);
	ck_assert_int_eq(execute_end(&call, 1), 0);
	answered("head:9223372036854775807");
	begin("get_user_profile"); /* a stored document */
	set(&columns[0], " {\"a\": 1e2, \"b\":[ ] } ");
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_row(&call, NULL, columns), 0);
	ck_assert_int_eq(execute_end(&call, 1), 0);
	answered("head:{\"a\":100.0,\"b\":[]}");
}
END_TEST

START_TEST(unexpected_rows)
{
	begin("clear_strava_token");
	ck_assert_int_eq(execute_unexpected(&call), -1);
	failed(ERR_CONFLICT);
	ck_assert_str_eq(call.err.field, "version");
	begin("update_last_active"); /* its SQL never asks for it */
	ck_assert_int_eq(execute_unexpected(&call), -1);
	failed(ERR_INTERNAL);
}
END_TEST

START_TEST(damaged_rows)
{
	static const char *const bad[] = {
		"", "{", "[]", "null", "{\"a\":1,\"a\":2}", "{\"a\":\"\\ud800\"}", "{} x"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		begin("get_user_profile");
		set(&columns[0], bad[i]);
		ck_assert_int_eq(execute_begin(&call), 0);
		ck_assert_msg(execute_row(&call, NULL, columns) == -1, "%s", bad[i]);
		failed(ERR_STORAGE);
	}
	begin("get_user_goals");
	for (unsigned i = 0; i < call.method->row_schema->column_count; i++)
		if (call.method->row_schema->columns[i].type == TYPE_F64)
			columns[i] = (struct value){.set = true, .f = (double)INFINITY};
	ck_assert_int_eq(execute_begin(&call), 0);
	ck_assert_int_eq(execute_row(&call, NULL, columns), -1);
	failed(ERR_STORAGE);
}
END_TEST

START_TEST(answer_over_its_limit)
{
	begin("get_user_count");
	call.answer.cap = call.answer_start + 3;
	columns[0] = (struct value){.set = true, .i = 123};
	ck_assert_int_eq(execute_row(&call, NULL, columns), 0);
	execute_restart(&call);
	columns[0].i = 1234;
	ck_assert_int_eq(execute_row(&call, NULL, columns), -1);
	failed(ERR_TOO_LARGE);
}
END_TEST

START_TEST(tokens)
{
	static const char user[] = "7f0f0a4e-1f60-4c7e-9c55-0d3f7c1b2a3d";
	const char *sealed[3];

	begin("update_strava_token");
	set(slot("user_id"), user);
	set(slot("access_token"), "access");
	set(slot("refresh_token"), "refresh");
	ck_assert_int_eq(execute_prepare(&call, seal), 0);
	for (int i = 0; i < 3; i++) {
		const struct value *found = slot(i == 0 ? "access_token"
				: i == 1                ? "refresh_token"
							: "nonce");

		ck_assert(found->set);
		sealed[i] = strndup(found->s.ptr, found->s.len);
	}
	ck_assert_str_ne(sealed[0], "access");
	ck_assert_uint_eq(strlen(sealed[2]), SEAL_NONCE_TEXT);
	for (int swapped = 0; swapped < 2; swapped++) {
		int part = 0;

		begin("get_strava_token");
		set(slot("user_id"), user);
		for (unsigned i = 0; i < call.method->row_schema->column_count; i++) {
			if (call.method->row_schema->columns[i].type == TYPE_SEALED)
				set(&columns[i], sealed[swapped ? 1 - part : part]), part++;
			else if (call.method->row_schema->columns[i].type == TYPE_NONCE)
				set(&columns[i], sealed[2]);
		}
		ck_assert_int_eq(part, 2);
		ck_assert_int_eq(execute_begin(&call), 0);
		ck_assert_int_eq(execute_row(&call, seal, columns), swapped ? -1 : 0);
		if (swapped)
			failed(ERR_DECRYPTION_FAILED);
		else
			ck_assert_ptr_nonnull(memmem(call.answer.data, call.answer.length,
				"\"access_token\":\"access\",\"refresh_token\":\"refresh\"", 49));
	}
	for (int i = 0; i < 3; i++)
		free((void *)(uintptr_t)sealed[i]);
}
END_TEST

START_TEST(computed_values)
{
	begin("create_a2a_session");
	slot("expires_in_hours")->set = true;
	slot("expires_in_hours")->i = 87600;
	ck_assert_int_eq(execute_prepare(&call, seal), 0);
	for (unsigned i = 0; i < call.method->bind_count; i++) {
		const struct bind_param *made = &call.method->binds[i];

		if (made->compute == COMPUTE_HOURS_AHEAD)
			ck_assert_int_eq(values[i].i, now + INT64_C(87600) * 3600 * 1000000);
		else if (made->compute == COMPUTE_NOW)
			ck_assert_int_eq(values[i].i, now);
		else if (made->compute == COMPUTE_NEW_TOKEN)
			ck_assert_uint_eq(values[i].s.len, 43);
	}
}
END_TEST

START_TEST(conflicts)
{
	static const struct {
		const char *method, *constraint, *field;
	} cases[] = {{"create_user", "users.email", "email"},
		{"create_user", "users_email_key", "email"}, {"create_user", "users_pkey", "id"},
		{"create_user", "users.id", "id"},
		{"create_api_key", "api_keys.user_id, api_keys.name", "name"},
		{"create_api_key", "api_keys_user_id_name_key", "name"},
		{"create_a2a_client", "a2a_clients_id_key", "id"}, {"create_user", "", NULL},
		/* Another method's key, and one that an owner has added. */
		{"create_user", "api_keys_id_key", NULL}, {"create_user", "users_name_email", NULL},
		{"create_user", "users.nothing", NULL}, /* a key that no parameter sets */
		{"create_user", "x.a_column_whose_name_is_far_too_long_to_be_kept_anywhere", NULL}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(cases[i].method);
		ck_assert_int_eq(execute_conflict(&call, cases[i].constraint), -1);
		failed(cases[i].field != NULL ? ERR_CONFLICT : ERR_INTERNAL);
		ck_assert_str_eq(call.err.field, cases[i].field != NULL ? cases[i].field : "");
	}
	begin("create_user");
	set(slot("email"), "a@b");
	(void)execute_conflict(&call, "users_email_key");
	ck_assert_str_eq(call.err.message, "email \"a@b\" is already taken");
}
END_TEST

START_TEST(urls_in_logs)
{
	static const char *const cases[][2] = {
		{"postgresql://u:secret@h:5/d", "postgresql://u:***@h:5/d"},
		{"postgresql://u@h/d", "postgresql://u@h/d"},
		{"postgresql://u:se@cr/et@h/d?x=1", "postgresql://***"},
		{"postgresql:///d?user=u&password=secret&x=y",
			"postgresql:///d?user=u&password=***"},
		{"postgresql://h/d?sslPassword=secret", "postgresql://h/d?sslPassword=***"},
		{"sqlite:/a@b:c?d", "sqlite:/a@b:c?d"},
		{"host=h password=secret dbname=d", "***"},
		{"", ""},
		{"u:secret@h", "***"},
		{"/a/b.db", "/a/b.db"},
		{"postgresql://u:secret", "postgresql://***"},
		{"postgres://u:secret/d?x=1", "postgres://***"},
		{"postgresql://h:5432,[::1]:1/d", "postgresql://h:5432,[::1]:1/d"},
		{"postgresql://h1:1,h:9secret/d", "postgresql://***"},
		{"postgresql://u:a@secret?x=y@h/d", "postgresql://***"},
		{"postgresql://u:a?secret@h/d", "postgresql://***"},
		{"postgresql://h?passfile=/p&sslmode=require",
			"postgresql://h?passfile=/p&sslmode=require"},
		{"postgresql://h?p%61ssword=secret", "postgresql://***"},
		{"postgresql://h?secret", "postgresql://***"},
		{"sqlite:u:secret@h", "sqlite:***"},
		{"sqlite://u:secret@h/d", "sqlite://u:***@h/d"},
		{"file:x.db", "file:x.db"},
	};
	char out[64];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		store_redact_url(cases[i][0], out, sizeof out);
		ck_assert_str_eq(out, cases[i][1]);
		for (size_t size = 1; size < 40; size++) { /* any size of the buffer */
			char *small = malloc(size);

			ck_assert_ptr_nonnull(small);
			store_redact_url(cases[i][0], small, size);
			ck_assert_ptr_null(strstr(small, "secret"));
			ck_assert_int_eq(strncmp(small, cases[i][1], strlen(small)), 0);
			free(small);
		}
	}
}
END_TEST

START_TEST(urls)
{
	static const char *const bad[] = {
		"", "mysql://h", "SQLITE:x", "sqlite", "postgresql:/x", "/a/b.db"};
	enum backend_id backend;
	struct err err;

	ck_assert_int_eq(store_check_url("sqlite::memory:", &backend, &err), 0);
	ck_assert_int_eq(backend, BACKEND_SQLITE);
	ck_assert_int_eq(store_check_url("postgres://u@h/d", &backend, &err), 0);
	ck_assert_int_eq(backend, BACKEND_POSTGRES);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_int_eq(store_check_url(bad[i], &backend, &err), -1);
		ck_assert_int_eq(err.exit_code, 78);
	}
}
END_TEST

int main(void)
{
	unsigned char key[SEAL_KEY_BYTES] = {1};
	TCase *tests = tcase_create("all");
	struct err err;
	int result;

	if (seal_new(&seal, key, false, &err) < 0)
		return EXIT_FAILURE;
	tcase_add_test(tests, results_without_rows);
	tcase_add_test(tests, rows);
	tcase_add_test(tests, unexpected_rows);
	tcase_add_test(tests, damaged_rows);
	tcase_add_test(tests, answer_over_its_limit);
	tcase_add_test(tests, tokens);
	tcase_add_test(tests, computed_values);
	tcase_add_test(tests, conflicts);
	tcase_add_test(tests, urls_in_logs);
	tcase_add_test(tests, urls);
	result = unit_run("execute", tests, true);
	arena_free(&call.arena);
	buffer_free(&call.answer);
	seal_free(seal);
	return result;
}
