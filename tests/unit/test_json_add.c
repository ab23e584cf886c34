/* Objects and arrays, member by member. Would catch: a comma too many or none, a name or text that
 * is not quoted. */
#include "../../protocol/json/json_add.h"
#include "unit.h"

static void check(struct buffer *out, const char *expected)
{
	buffer_byte(out, '\0');
	ck_assert_int_eq(out->failure, BUFFER_OK);
	ck_assert_str_eq(out->data, expected);
	buffer_free(out);
}

START_TEST(commas_stand_between_members)
{
	struct buffer out = {0};

	json_add_object(&out, NULL);
	json_add_object(&out, "empty");
	json_add_end(&out, '}');
	json_add_array(&out, "list");
	json_add_integer(&out, NULL, -1);
	json_add_text(&out, NULL, "{");
	json_add_text(&out, NULL, "[");
	json_add_text(&out, NULL, ":");
	json_add_array(&out, NULL);
	json_add_end(&out, ']');
	json_add_bool(&out, NULL, true);
	json_add_end(&out, ']');
	json_add_text(&out, "none", NULL);
	json_add_bool(&out, "no", false);
	json_add_end(&out, '}');
	check(&out,
		"{\"empty\":{},\"list\":[-1,\"{\",\"[\",\":\",[],true],\"none\":null,"
		"\"no\":false}");
}
END_TEST

START_TEST(a_value_stands_behind_what_the_buffer_holds)
{
	struct buffer out = {0};

	buffer_text(&out, "{\"result\":");
	json_add_object(&out, NULL);
	json_add_json(&out, "a", "[1]");
	json_add_real(&out, "b", 0.5);
	json_add_end(&out, '}');
	buffer_byte(&out, '}');
	check(&out, "{\"result\":{\"a\":[1],\"b\":0.5}}");
}
END_TEST

/* A caller may have written a member and its comma by other means; a text that ends like one has
 * a quote after it. */
START_TEST(a_comma_that_is_there_is_not_repeated)
{
	struct buffer out = {0};

	buffer_text(&out, "{\"a\":1,");
	json_add_text(&out, "b", ",");
	json_add_integer(&out, "c", 2);
	json_add_end(&out, '}');
	check(&out, "{\"a\":1,\"b\":\",\",\"c\":2}");
}
END_TEST

START_TEST(names_and_texts_are_quoted)
{
	struct buffer out = {0};

	json_add_object(&out, NULL);
	json_add_text(&out, "a\"b", "c\\\n");
	json_add_count(&out, "n", UINT64_MAX);
	json_add_end(&out, '}');
	check(&out, "{\"a\\\"b\":\"c\\\\\\n\",\"n\":9223372036854775807}");
}
END_TEST

START_TEST(a_failure_is_kept)
{
	struct buffer out = {.cap = 8};

	json_add_object(&out, NULL);
	json_add_text(&out, "a", "longer than the cap");
	json_add_end(&out, '}');
	ck_assert_int_eq(out.failure, BUFFER_OVER_CAP);
	buffer_free(&out);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("json_add");

	tcase_add_test(tests, commas_stand_between_members);
	tcase_add_test(tests, a_value_stands_behind_what_the_buffer_holds);
	tcase_add_test(tests, a_comma_that_is_there_is_not_repeated);
	tcase_add_test(tests, names_and_texts_are_quoted);
	tcase_add_test(tests, a_failure_is_kept);
	return unit_run("json_add", tests, true);
}
