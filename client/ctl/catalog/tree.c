#include "../output.h"
#include "../connect.h"
#include "tree.h"

int tree_call(struct ctl *ctl, const char *method, json_t **tree)
{
	return tree_call_with(ctl, method, NULL, tree);
}

int tree_call_with(struct ctl *ctl, const char *method, const char *params, json_t **tree)
{
	json_error_t error;
	char *result;
	int status = connect_call(ctl, method, params, &result);

	if (status != 0)
		return status;
	*tree = json_loads(result, JSON_DECODE_ANY, &error);
	pierre_text_free(result);
	return *tree != NULL
		? 0
		: output_fail(EX_PROTOCOL, "%s: invalid answer: %s", method, error.text);
}

void tree_print(const struct ctl *ctl, const json_t *tree)
{
	char *text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	if (text != NULL)
		output_print_json(ctl, text);
	free(text);
}

void tree_print_new(const struct ctl *ctl, json_t *tree)
{
	tree_print(ctl, tree);
	json_decref(tree);
}

const char *tree_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

double tree_number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}
