/* pierre-dbctl methods, describe: use the built-in catalog and need no daemon. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../columns.h"
#include "../output.h"
#include "../terminal.h"
#include "params.h"
#include "../options.h"
#include "catalog.h"
#include "../ctl.h"

/* Widths of the first column where the output is no terminal. */
enum { NAME_WIDTH = 20, METHOD_WIDTH = 32 };

static const char *catalog_commands_text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static json_t *load_document(void)
{
	json_error_t error;
	json_t *document = json_loadb(catalog_openrpc, catalog_openrpc_length, 0, &error);

	if (document == NULL)
		(void)output_fail(
			EX_SOFTWARE, "the built-in catalog cannot be read: %s", error.text);
	return document;
}

static void print_tree(const struct ctl *ctl, const json_t *tree)
{
	char *text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text != NULL)
		output_print_json(ctl, text);
	free(text);
}

static json_t *method_summary(const json_t *method)
{
	return json_pack("{ssssssssssss?}", "name", catalog_commands_text_of(method, "name"),
		"summary", catalog_commands_text_of(method, "summary"), "domain",
		catalog_commands_text_of(
			json_array_get(json_object_get(method, "tags"), 0), "name"),
		"access", catalog_commands_text_of(method, "x-access"), "result",
		catalog_commands_text_of(method, "x-result"), "reads",
		json_string_value(json_object_get(method, "x-reads")));
}

static void methods_as_json(const struct ctl *ctl, const json_t *list, bool names)
{
	json_t *out = json_array(), *method;
	size_t i;

	json_array_foreach (list, i, method)
		(void)json_array_append_new(out,
			names ? json_deep_copy(json_object_get(method, "name"))
			      : method_summary(method));
	print_tree(ctl, out);
	json_decref(out);
}

static void print_method_names(const json_t *list)
{
	const json_t *method;
	size_t i;

	json_array_foreach (list, i, method)
		(void)puts(catalog_commands_text_of(method, "name"));
}

static const char *domain_of(const json_t *method)
{
	return catalog_commands_text_of(json_array_get(json_object_get(method, "tags"), 0), "name");
}

static void print_domains(const struct ctl *ctl, const json_t *list)
{
	const json_t *method;
	struct columns table = {0};
	const char *domain = "";
	size_t i;

	json_array_foreach (list, i, method) {
		if (strcmp(domain_of(method), domain) != 0) {
			columns_print(ctl, &table, METHOD_WIDTH);
			(void)printf("%s%s%s%s\n", *domain != '\0' ? "\n" : "", output_bold(ctl),
				domain_of(method), output_plain(ctl));
		}
		domain = domain_of(method);
		columns_add(&table, catalog_commands_text_of(method, "name"), NULL,
			catalog_commands_text_of(method, "summary"));
	}
	columns_print(ctl, &table, METHOD_WIDTH);
}

static int methods(struct ctl *ctl, int argc, char **argv)
{
	bool names = false;
	const struct option_row rows[] = {{.name = "names", .flag = &names}, {0}};
	json_t *document, *list;
	int words = options_read(rows, argc, argv);

	if (words < 0)
		return EX_USAGE;
	if (words > 0)
		return output_fail(EX_USAGE, "methods accepts options only");
	document = load_document();
	if (document == NULL)
		return EX_SOFTWARE;
	list = json_object_get(document, "methods");
	if (ctl->json)
		methods_as_json(ctl, list, names);
	else if (names)
		print_method_names(list);
	else
		print_domains(ctl, list);
	json_decref(document);
	return 0;
}

/* The schema inside an allOf of one, or a oneOf with null; else the schema itself. */
static const json_t *unwrapped(const json_t *schema)
{
	const json_t *choices = json_object_get(schema, "allOf"), *choice;
	size_t i;

	if (choices == NULL)
		choices = json_object_get(schema, "oneOf");
	json_array_foreach (choices, i, choice)
		if (strcmp(catalog_commands_text_of(choice, "type"), "null") != 0)
			return unwrapped(choice);
	return schema;
}

static bool may_be_null(const json_t *schema)
{
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(schema, "type"), i, item)
		if (strcmp(json_string_value(item), "null") == 0)
			return true;
	json_array_foreach (json_object_get(schema, "oneOf"), i, item)
		if (strcmp(catalog_commands_text_of(item, "type"), "null") == 0)
			return true;
	return false;
}

/* A short name of the schema's type: the catalog's type, a named schema, or a list of either. */
static void type_name(const json_t *whole, char *out, size_t size)
{
	const json_t *schema = unwrapped(whole);
	const char *reference = catalog_commands_text_of(schema, "$ref"),
		   *type = catalog_commands_text_of(schema, "x-type");
	char inner[64];

	if (*reference != '\0') {
		(void)snprintf(out, size, "%s", strrchr(reference, '/') + 1);
	} else if (*type != '\0') {
		(void)snprintf(out, size, "%s", type);
	} else if (json_object_get(schema, "items") != NULL) {
		type_name(json_object_get(schema, "items"), inner, sizeof inner);
		(void)snprintf(out, size, "[%.60s]", inner);
	} else {
		(void)snprintf(out, size, "%s",
			*catalog_commands_text_of(schema, "type") != '\0'
				? catalog_commands_text_of(schema, "type")
				: "any JSON");
	}
}

/* Appends a range that is narrower than that of the type. */
static void add_bounds(struct buffer *out, const json_t *schema)
{
	const json_t *lowest = json_object_get(schema, "minimum"),
		     *highest = json_object_get(schema, "maximum");
	json_int_t min = json_integer_value(lowest), max = json_integer_value(highest);
	json_int_t bytes = json_integer_value(json_object_get(schema, "x-max-bytes"));
	char text[64];

	if (lowest != NULL && highest != NULL && min != INT64_MIN &&
		(min != 0 || (max != UINT16_MAX && max != UINT32_MAX))) {
		(void)snprintf(text, sizeof text,
			", %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, min, max);
		buffer_text(out, text);
	}
	if (bytes != 0) {
		(void)snprintf(
			text, sizeof text, ", at most %" JSON_INTEGER_FORMAT " bytes", bytes);
		buffer_text(out, text);
	}
}

/* The default value: a constant, or the name of what the daemon generates. The caller frees it;
 * NULL when there is none. */
static char *default_text(const json_t *schema)
{
	const json_t *constant = json_object_get(schema, "default"),
		     *made = json_object_get(schema, "x-default");

	if (constant == NULL && json_is_string(made))
		return strdup(json_string_value(made));
	return json_dumps(constant != NULL ? constant : made, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void add_value_row(struct columns *table, const char *name, const json_t *schema,
	bool optional, const char *doc)
{
	char type[64], *fallback = default_text(schema);
	struct buffer text = {0};

	type_name(schema, type, sizeof type);
	buffer_text(&text, type);
	buffer_text(&text, optional ? "?" : "");
	buffer_text(&text, fallback != NULL ? " = " : "");
	buffer_text(&text, fallback != NULL ? fallback : "");
	add_bounds(&text, schema);
	buffer_byte(&text, '\0');
	table->failed |= text.failure != BUFFER_OK;
	columns_add(table, name, text.failure == BUFFER_OK ? text.data : NULL, doc);
	buffer_free(&text);
	free(fallback);
}

static bool in_list(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		if (strcmp(json_string_value(item), name) == 0)
			return true;
	return false;
}

/* The schema that another one references, directly or as its items; stores its name in *name. */
static const json_t *named_schema(const json_t *document, const json_t *whole, const char **name)
{
	const json_t *schema = unwrapped(whole), *items = json_object_get(schema, "items");
	const char *reference = catalog_commands_text_of(schema, "$ref");

	if (items != NULL)
		return named_schema(document, items, name);
	if (*reference == '\0')
		return NULL;
	*name = strrchr(reference, '/') + 1;
	return json_object_get(
		json_object_get(json_object_get(document, "components"), "schemas"), *name);
}

/* Prints the named schema and those that its members reference; printed: those already printed. */
static void print_members(const struct ctl *ctl, const json_t *document, const json_t *schema,
	bool input, json_t *printed)
{
	const char *name = "", *key;
	const json_t *named = named_schema(document, schema, &name);
	struct columns table = {0};
	json_t *member;
	const json_t *item;
	size_t i;

	if (named == NULL || json_object_get(printed, name) != NULL)
		return;
	(void)json_object_set_new(printed, name, json_true());
	(void)printf("\n%s%s%s: ", output_bold(ctl), name, output_plain(ctl));
	columns_wrap(ctl, catalog_commands_text_of(named, "description"),
		terminal_text_width(name) + 2, 0);
	(void)putchar('\n');
	json_object_foreach (json_object_get(named, "properties"), key, member)
		add_value_row(&table, key, member,
			input ? !in_list(json_object_get(named, "required"), key)
			      : may_be_null(member),
			catalog_commands_text_of(member, "description"));
	columns_print(ctl, &table, NAME_WIDTH);
	json_array_foreach (json_object_get(named, "enum"), i, item)
		(void)printf("  %s\n", json_string_value(item));
	json_object_foreach (json_object_get(named, "properties"), key, member)
		print_members(ctl, document, member, input, printed);
}

/* Prints the members of a document that the method reads. */
static void print_extracts(const struct ctl *ctl, const json_t *param)
{
	json_t *properties = json_object_get(json_object_get(param, "schema"), "properties"),
	       *member;
	struct columns table = {0};
	const char *key;

	if (properties == NULL)
		return;
	(void)printf("\nmembers of %s%s%s that the method reads:\n", output_bold(ctl),
		catalog_commands_text_of(param, "name"), output_plain(ctl));
	json_object_foreach (properties, key, member)
		add_value_row(
			&table, key, member, true, catalog_commands_text_of(member, "description"));
	columns_print(ctl, &table, NAME_WIDTH);
}

static void print_params(const struct ctl *ctl, const json_t *method)
{
	const json_t *params = json_object_get(method, "params"),
		     *order = json_object_get(method, "x-positional"), *name, *param;
	struct columns table = {0};
	size_t i, j;

	if (json_array_size(params) > 0)
		(void)fputs("\nparameters, in the order of calls by position:\n", stdout);
	json_array_foreach (order, i, name)
		json_array_foreach (params, j, param)
			if (strcmp(catalog_commands_text_of(param, "name"),
				    json_string_value(name)) == 0)
				add_value_row(&table, catalog_commands_text_of(param, "name"),
					json_object_get(param, "schema"),
					!json_is_true(json_object_get(param, "required")),
					catalog_commands_text_of(param, "description"));
	columns_print(ctl, &table, NAME_WIDTH);
}

/* name(parameter, …) -> result */
static void print_signature(const struct ctl *ctl, const json_t *method)
{
	const char *method_name = catalog_commands_text_of(method, "name");
	struct buffer rest = {0};
	const json_t *name;
	size_t i;

	buffer_byte(&rest, '(');
	json_array_foreach (json_object_get(method, "x-positional"), i, name) {
		buffer_text(&rest, i > 0 ? ", " : "");
		buffer_text(&rest, json_string_value(name));
	}
	buffer_text(&rest, ") -> ");
	buffer_text(&rest, catalog_commands_text_of(method, "x-result"));
	buffer_byte(&rest, '\0');
	(void)printf("%s%s%s", output_bold(ctl), method_name, output_plain(ctl));
	if (rest.failure == BUFFER_OK)
		columns_wrap(ctl, rest.data, terminal_text_width(method_name), 4);
	(void)putchar('\n');
	buffer_free(&rest);
}

static void print_error_kinds(const struct ctl *ctl, const json_t *method)
{
	struct buffer names = {0};
	const json_t *error;
	size_t i;

	json_array_foreach (json_object_get(method, "errors"), i, error) {
		buffer_byte(&names, ' ');
		buffer_text(&names, strrchr(catalog_commands_text_of(error, "$ref"), '/') + 1);
	}
	buffer_byte(&names, '\0');
	(void)fputs("\nerrors:", stdout);
	if (names.failure == BUFFER_OK)
		columns_wrap(ctl, names.data, 7, 8);
	(void)putchar('\n');
	buffer_free(&names);
}

static void print_method(const struct ctl *ctl, const json_t *document, const json_t *method)
{
	const json_t *param;
	json_t *printed = json_object();
	size_t i;

	print_signature(ctl, method);
	columns_wrap(ctl, catalog_commands_text_of(method, "description"), 0, 0);
	(void)printf("\n\naccess: %s%s\n", catalog_commands_text_of(method, "x-access"),
		json_is_true(json_object_get(method, "x-write")) ? ", changes data" : "");
	if (json_object_get(method, "x-reads") != NULL)
		(void)printf("reads: %s\n",
			strcmp(catalog_commands_text_of(method, "x-reads"), "causal") == 0
				? "causal (a standby may answer)"
				: "exact (the primary answers)");
	print_params(ctl, method);
	json_array_foreach (json_object_get(method, "params"), i, param) {
		print_extracts(ctl, param);
		print_members(ctl, document, json_object_get(param, "schema"), true, printed);
	}
	print_members(ctl, document, json_object_get(json_object_get(method, "result"), "schema"),
		false, printed);
	json_decref(printed);
	print_error_kinds(ctl, method);
}

static int describe(struct ctl *ctl, int argc, char **argv)
{
	json_t *document;
	const json_t *method;
	size_t i;

	if (argc != 2)
		return output_fail(EX_USAGE, "describe requires the name of one method");
	if (params_find_method(argv[1]) == NULL)
		return EX_USAGE;
	document = load_document();
	if (document == NULL)
		return EX_SOFTWARE;
	json_array_foreach (json_object_get(document, "methods"), i, method) {
		if (strcmp(catalog_commands_text_of(method, "name"), argv[1]) != 0)
			continue;
		if (ctl->json)
			print_tree(ctl, method);
		else
			print_method(ctl, document, method);
	}
	json_decref(document);
	return 0;
}

const struct command catalog_commands[] = {
	{"methods", "[--names]", "List all methods",
		"Examples:\n"
		"  pierre-dbctl methods\n"
		"  pierre-dbctl methods --names | grep goal\n"
		"  pierre-dbctl methods --json | jq -r '.[] | select(.access == "
		"\"write\").name'\n"
		"  pierre-dbctl methods --json | jq -r '.[] | select(.reads == "
		"\"causal\").name'\n\n"
		"The list is built in: no daemon is needed. `pierre-dbctl call rpc.discover`\n"
		"returns the list of the running daemon.",
		methods},
	{"describe", "METHOD", "Show the parameters and result of a method",
		"Examples:\n"
		"  pierre-dbctl describe create_user\n"
		"  pierre-dbctl describe create_user --json    its part of the OpenRPC document\n\n"
		"A ? marks a parameter that may be omitted, or a result member that may be null.\n"
		"The value after = is the default.",
		describe},
	{0},
};
