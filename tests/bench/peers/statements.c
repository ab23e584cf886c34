/* Prints every method's statements as JSON lines, as the daemon prepares them:
 * {"method":…,"part":…,"write":…,"short_read":…,"sqlite":…,"postgres":…,"sqlite_slots":[[name,
 * type],…],"postgres_slots":[…]}. part: a further statement, on SQLite alone. pgbench's scripts and
 * the tests of the query plans are made from them. */
#include <stdio.h>
#include <string.h>

#include "../../../protocol/json/json.h"
#include "peer.h"

static void write_text(struct buffer *out, const char *text)
{
	json_write_string(out, text, strlen(text));
}

/* What a value of the type looks like, as far as a sample of it is to be made. */
static const char *type_word(const struct bind_param *slot)
{
	switch ((enum type)slot->type) {
	case TYPE_BOOL:
		return "bool";
	case TYPE_U16:
	case TYPE_U32:
	case TYPE_I64:
		return "integer";
	case TYPE_F64:
		return "real";
	case TYPE_UUID:
		return "uuid";
	case TYPE_TIMESTAMP:
		return "timestamp";
	case TYPE_IP:
		return "ip";
	case TYPE_STRINGS:
		return "strings";
	case TYPE_DOCUMENT:
	case TYPE_JSON:
		return "document";
	default:
		return "text";
	}
}

static void write_statement(
	struct buffer *out, const struct method *method, enum backend_id backend, const char *name)
{
	const struct statement *statement = &method->statements[backend];

	buffer_text(out, ",\"");
	buffer_text(out, name);
	buffer_text(out, "\":");
	if (statement->sql != NULL)
		write_text(out, statement->sql);
	else
		buffer_text(out, "null");
	buffer_text(out, ",\"");
	buffer_text(out, name);
	buffer_text(out, "_slots\":[");
	for (unsigned i = 0; i < statement->bind_count; i++) {
		const struct bind_param *slot = &method->binds[statement->binds[i]];

		buffer_text(out, i == 0 ? "[" : ",[");
		write_text(out, slot->name);
		buffer_byte(out, ',');
		write_text(out, type_word(slot));
		buffer_byte(out, ']');
	}
	buffer_byte(out, ']');
}

int main(void)
{
	struct buffer out = {0};

	for (size_t i = 0; i < catalog_statement_count; i++) {
		const struct method *method = &catalog_methods[i];

		if (method->statements[BACKEND_SQLITE].sql == NULL)
			continue;
		buffer_text(&out, "{\"method\":");
		write_text(&out, method->name);
		buffer_text(&out, i < catalog_method_count ? ",\"part\":false" : ",\"part\":true");
		buffer_text(&out, method->write ? ",\"write\":true" : ",\"write\":false");
		buffer_text(&out,
			method->short_read ? ",\"short_read\":true" : ",\"short_read\":false");
		write_statement(&out, method, BACKEND_SQLITE, "sqlite");
		write_statement(&out, method, BACKEND_POSTGRES, "postgres");
		buffer_text(&out, "}\n");
	}
	if (out.failure != BUFFER_OK || fwrite(out.data, 1, out.length, stdout) != out.length)
		peer_die("writing failed");
	buffer_free(&out);
	return 0;
}
