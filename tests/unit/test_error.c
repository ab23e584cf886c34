/* Errors: one table, messages that stay UTF-8 wherever they are cut. Would catch: half a
 * character in an answer, a code that two kinds share, a path of an earlier error in the next
 * one. */
#include <string.h>
#include <sysexits.h>

#include "../../protocol/error.h"
#include "../../protocol/value.h"
#include "unit.h"

static struct err err;

/* As listed in the protocol: names and codes on the wire never change. */
START_TEST(table)
{
	static const struct {
		enum err_kind kind;
		int code;
		const char *name;
		bool retryable;
	} want[] = {
		{ERR_PARSE_ERROR, -32700, "parse_error", false},
		{ERR_INVALID_REQUEST, -32600, "invalid_request", false},
		{ERR_METHOD_NOT_FOUND, -32601, "method_not_found", false},
		{ERR_INVALID_PARAMS, -32602, "invalid_params", false},
		{ERR_INTERNAL, -32603, "internal", false},
		{ERR_NOT_FOUND, -32001, "not_found", false},
		{ERR_CONFLICT, -32002, "conflict", false},
		{ERR_UNAVAILABLE, -32003, "unavailable", true},
		{ERR_TIMEOUT, -32004, "timeout", false},
		{ERR_PERMISSION_DENIED, -32005, "permission_denied", false},
		{ERR_OVERLOADED, -32006, "overloaded", true},
		{ERR_TOO_LARGE, -32007, "too_large", false},
		{ERR_DECRYPTION_FAILED, -32008, "decryption_failed", false},
		{ERR_STORAGE, -32009, "storage", false},
		{ERR_SHUTTING_DOWN, -32010, "shutting_down", true},
	};

	ck_assert_int_eq(ERR_KIND_COUNT, sizeof want / sizeof *want + 1);
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		const struct err_info *info = err_info(want[i].kind);

		ck_assert_int_eq(info->code, want[i].code);
		ck_assert_str_eq(info->name, want[i].name);
		ck_assert_int_eq(info->retryable, want[i].retryable);
		ck_assert_int_gt((int)strlen(info->meaning), 10);
	}
}
END_TEST

START_TEST(everything_is_set)
{
	memset(&err, 0xAA, sizeof err);
	ck_assert_int_eq(err_set(&err, ERR_STORAGE, "%s %d", "disk", 7), -1);
	ck_assert_int_eq(err.kind, ERR_STORAGE);
	ck_assert_str_eq(err.message, "disk 7");
	ck_assert_str_eq(err.path, "");
	ck_assert_str_eq(err.field, "");
	ck_assert_int_eq(err.outcome, OUTCOME_UNSET);
	ck_assert_int_eq(err.exit_code, 0);
	ck_assert_uint_eq(err.ref, 0);
	ck_assert_int_eq(err_set_path(&err, ERR_INVALID_PARAMS, "user.email", "no"), -1);
	ck_assert_str_eq(err.path, "user.email");
	ck_assert_int_eq(err_exit(&err, EX_NOPERM, "wrong"), -1);
	ck_assert_int_eq(err.exit_code, EX_NOPERM);
	ck_assert_str_eq(err.path, "");
	ck_assert_int_eq(err_set_path(&err, ERR_INVALID_PARAMS, NULL, "no"), -1);
	ck_assert_str_eq(err.path, "");
	ck_assert_int_eq(err.exit_code, 0);
	ck_assert_int_eq(err_set(NULL, ERR_STORAGE, "x"), -1);
	ck_assert_int_eq(err_set_path(NULL, ERR_STORAGE, "p", "x"), -1);
	ck_assert_int_eq(err_exit(NULL, 1, "x"), -1);
}
END_TEST

/* Texts of characters of each length, cut at every position by the array's end. */
START_TEST(cut_at_the_end)
{
	static const char *const characters[] = {
		"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x9A\xB4"};

	for (int c = 0; c < 4; c++)
		for (size_t before = 0; before < 8; before++) {
			char text[2 * ERR_MESSAGE_MAX + 16] = "";
			size_t width = strlen(characters[c]);

			memset(text, 'a', before);
			for (size_t at = before; at < sizeof text - 8; at += width)
				memcpy(text + at, characters[c], width + 1);
			err_set_path(&err, ERR_INVALID_PARAMS, text, "%s", text);
			ck_assert_uint_gt(strlen(err.message), ERR_MESSAGE_MAX - 1 - width);
			ck_assert_uint_gt(strlen(err.path), ERR_PATH_MAX - 1 - width);
			ck_assert(utf8_valid(err.message, strlen(err.message)));
			ck_assert(utf8_valid(err.path, strlen(err.path)));
			ck_assert_mem_eq(err.message, text, strlen(err.message));
			ck_assert_mem_eq(err.path, text, strlen(err.path));
		}
}
END_TEST

/* A text that is already cut (%.100s) leaves no half character within the message. */
START_TEST(cut_in_the_middle)
{
	err_set(&err, ERR_NOT_FOUND, "no row has the id \"%.*s%s\"", 4, "a\xC3\xA9\xC3\xA9",
		"\xE2\x80\xA6");
	ck_assert_str_eq(err.message, "no row has the id \"a\xC3\xA9\xE2\x80\xA6\"");
	err_set(&err, ERR_NOT_FOUND, "\"%.3s\" and \"%.2s\"", "\xF0\x9F\x9A\xB4", "\xE2\x82\xAC");
	ck_assert_str_eq(err.message, "\"\" and \"\"");
	err_set(&err, ERR_NOT_FOUND, "%s", "\xA9z\xFF\xC3");
	ck_assert_str_eq(err.message, "z");
	err_set_path(&err, ERR_INVALID_PARAMS, "a\xC3.b", "x");
	ck_assert_str_eq(err.path, "a.b");
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, table);
	tcase_add_test(tests, everything_is_set);
	tcase_add_test(tests, cut_at_the_end);
	tcase_add_test(tests, cut_in_the_middle);
	return unit_run("error", tests, true);
}
