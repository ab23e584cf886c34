/* Made by protocol/generate.py from the catalog and the SQL files. Do not edit. */

#include <string.h>

#include "catalog.h"

const char catalog_version[] = "0.1.2";
const size_t catalog_identifier_max = 1024;
const unsigned catalog_calls_max = 100;

static const char *const enum_values_colour[] = { "red", "green", NULL };
static const struct enumeration enum_colour = { "colour", enum_values_colour };

static const char *const exactly_one_NewThing[] = { "label", "number", NULL };

static const struct field members_create_thing_thing[] = {
	{ .name = "id", .path = "thing.id", .name_length = 2, .type = TYPE_UUID, .flags = FIELD_OPTIONAL, .bind = 0, .fallback = { .kind = DEFAULT_NEW_UUID } },
	{ .name = "label", .path = "thing.label", .name_length = 5, .type = TYPE_STRING, .flags = FIELD_OPTIONAL, .bind = 1, .max = 20 },
	{ .name = "number", .path = "thing.number", .name_length = 6, .type = TYPE_U16, .flags = FIELD_OPTIONAL, .bind = 2, .max = 65535 },
	{ .name = "colour", .path = "thing.colour", .name_length = 6, .type = TYPE_ENUM, .flags = FIELD_OPTIONAL, .bind = 3, .fallback = { .kind = DEFAULT_TEXT, .text = "red" }, .enumeration = &enum_colour },
	{ .name = "tags", .path = "thing.tags", .name_length = 4, .type = TYPE_STRINGS, .flags = FIELD_OPTIONAL, .bind = 4, .fallback = { .kind = DEFAULT_TEXT, .text = "[]" } },
	{ .name = "owner", .path = "thing.owner", .name_length = 5, .type = TYPE_STRING, .flags = FIELD_EMAIL, .bind = 5 },
	{ .name = "made_at", .path = "thing.made_at", .name_length = 7, .type = TYPE_TIMESTAMP, .flags = FIELD_OPTIONAL, .bind = 6, .fallback = { .kind = DEFAULT_NOW } },
	{ .name = "old", .path = "thing.old", .name_length = 3, .type = TYPE_NULL, .flags = FIELD_OPTIONAL, .bind = -1 },
	{ .name = "note", .path = "thing.note", .name_length = 4, .type = TYPE_ANY, .flags = FIELD_OPTIONAL, .bind = -1 },
};

static const struct field params_create_thing[] = {
	{ .name = "thing", .path = "thing", .name_length = 5, .type = TYPE_OBJECT, .bind = -1, .members = members_create_thing_thing, .member_count = 9, .exactly_one = exactly_one_NewThing },
};

static const struct field params_get_thing[] = {
	{ .name = "id", .path = "id", .name_length = 2, .type = TYPE_UUID, .bind = 0 },
};

static const struct field params_list_things[] = {
	{ .name = "colour", .path = "colour", .name_length = 6, .type = TYPE_ENUM, .flags = FIELD_OPTIONAL, .bind = 0, .enumeration = &enum_colour },
	{ .name = "limit", .path = "limit", .name_length = 5, .type = TYPE_U32, .flags = FIELD_OPTIONAL, .bind = 1, .max = 9, .fallback = { .kind = DEFAULT_INTEGER, .integer = 5 } },
};

static const char *const extract_names_put_document_name[] = { "name", "title", NULL };

static const struct extract extracts_put_document_data[] = {
	{ .names = extract_names_put_document_name, .type = TYPE_STRING, .bind = 2, .fallback = { .kind = DEFAULT_TEXT, .text = "none" } },
};

static const struct field params_put_document[] = {
	{ .name = "id", .path = "id", .name_length = 2, .type = TYPE_UUID, .bind = 0 },
	{ .name = "data", .path = "data", .name_length = 4, .type = TYPE_DOCUMENT, .bind = 1, .extracts = extracts_put_document_data, .extract_count = 1 },
};

static const struct field params_sweep[] = {
	{ .name = "days", .path = "days", .name_length = 4, .type = TYPE_U32, .bind = 0, .max = 100 },
};

static const struct field params_put_token[] = {
	{ .name = "user_id", .path = "user_id", .name_length = 7, .type = TYPE_UUID, .bind = 0 },
	{ .name = "access_token", .path = "access_token", .name_length = 12, .type = TYPE_SEALED, .flags = FIELD_SECRET, .bind = 1 },
	{ .name = "refresh_token", .path = "refresh_token", .name_length = 13, .type = TYPE_SEALED, .flags = FIELD_SECRET, .bind = 2 },
};

static const struct field params_get_token[] = {
	{ .name = "user_id", .path = "user_id", .name_length = 7, .type = TYPE_UUID, .bind = 0 },
};

static const struct field params_create_account[] = {
	{ .name = "password_hash", .path = "password_hash", .name_length = 13, .type = TYPE_STRING, .flags = FIELD_OPTIONAL | FIELD_SECRET, .bind = 0 },
	{ .name = "password", .path = "password", .name_length = 8, .type = TYPE_STRING, .flags = FIELD_OPTIONAL | FIELD_SECRET, .bind = 1 },
};

static const struct field params_verify_account[] = {
	{ .name = "id", .path = "id", .name_length = 2, .type = TYPE_I64, .bind = 0, .min = INT64_MIN, .max = INT64_MAX },
	{ .name = "password", .path = "password", .name_length = 8, .type = TYPE_STRING, .flags = FIELD_SECRET, .bind = 1 },
};

static const struct member members_of_row_schema_uuid[] = {
	{ .type = TYPE_UUID },
};

static const struct column columns_of_row_schema_uuid[] = {
	{ .name = "result", .type = TYPE_UUID },
};

static const struct row_schema row_schema_uuid = { .name = "", .members = members_of_row_schema_uuid, .member_count = 1, .scalar = true, .columns = columns_of_row_schema_uuid, .column_count = 1 };

static const struct member members_of_row_schema_Thing_size[] = {
	{ .name = "width", .key = "\"width\":", .key_length = 8, .type = TYPE_F64, .column = 2 },
	{ .name = "unit", .key = "\"unit\":", .key_length = 7, .type = TYPE_STRING, .flags = MEMBER_NULLABLE, .column = 3 },
};

static const struct member members_of_row_schema_Thing[] = {
	{ .name = "id", .key = "\"id\":", .key_length = 5, .type = TYPE_UUID, .column = 0 },
	{ .name = "colour", .key = "\"colour\":", .key_length = 9, .type = TYPE_ENUM, .flags = MEMBER_NULLABLE, .column = 1 },
	{ .name = "size", .key = "\"size\":", .key_length = 7, .type = TYPE_OBJECT, .flags = MEMBER_NULLABLE, .column = 2, .members = members_of_row_schema_Thing_size, .member_count = 2 },
	{ .name = "document", .type = TYPE_REST, .flags = MEMBER_NULLABLE, .column = 4 },
};

static const struct column columns_of_row_schema_Thing[] = {
	{ .name = "id", .type = TYPE_UUID },
	{ .name = "colour", .type = TYPE_ENUM, .nullable = true },
	{ .name = "size.width", .type = TYPE_F64, .nullable = true },
	{ .name = "size.unit", .type = TYPE_STRING, .nullable = true },
	{ .name = "document", .type = TYPE_REST, .nullable = true },
};

static const struct row_schema row_schema_Thing = { .name = "Thing", .members = members_of_row_schema_Thing, .member_count = 4, .columns = columns_of_row_schema_Thing, .column_count = 5 };

static const struct member members_of_row_schema_Token[] = {
	{ .name = "access_token", .key = "\"access_token\":", .key_length = 15, .type = TYPE_SEALED, .column = 0 },
	{ .name = "refresh_token", .key = "\"refresh_token\":", .key_length = 16, .type = TYPE_SEALED, .column = 1 },
	{ .name = "nonce", .type = TYPE_NONCE, .flags = MEMBER_HIDDEN, .column = 2 },
};

static const struct column columns_of_row_schema_Token[] = {
	{ .name = "access_token", .type = TYPE_SEALED },
	{ .name = "refresh_token", .type = TYPE_SEALED },
	{ .name = "nonce", .type = TYPE_NONCE },
};

static const struct row_schema row_schema_Token = { .name = "Token", .members = members_of_row_schema_Token, .member_count = 3, .columns = columns_of_row_schema_Token, .column_count = 3 };

static const struct member members_of_row_schema_i64[] = {
	{ .type = TYPE_I64 },
};

static const struct column columns_of_row_schema_i64[] = {
	{ .name = "result", .type = TYPE_I64 },
};

static const struct row_schema row_schema_i64 = { .name = "", .members = members_of_row_schema_i64, .member_count = 1, .scalar = true, .columns = columns_of_row_schema_i64, .column_count = 1 };

static const struct member members_of_row_schema_Account[] = {
	{ .name = "id", .key = "\"id\":", .key_length = 5, .type = TYPE_I64, .column = 0 },
	{ .name = "password_hash", .key = "\"password_hash\":", .key_length = 16, .type = TYPE_STRING, .column = 1 },
};

static const struct column columns_of_row_schema_Account[] = {
	{ .name = "id", .type = TYPE_I64 },
	{ .name = "password_hash", .type = TYPE_STRING },
};

static const struct row_schema row_schema_Account = { .name = "Account", .members = members_of_row_schema_Account, .member_count = 2, .columns = columns_of_row_schema_Account, .column_count = 2 };

static const struct member members_of_row_schema_json[] = {
	{ .type = TYPE_JSON },
};

static const struct column columns_of_row_schema_json[] = {
	{ .name = "result", .type = TYPE_JSON },
};

static const struct row_schema row_schema_json = { .name = "", .members = members_of_row_schema_json, .member_count = 1, .scalar = true, .columns = columns_of_row_schema_json, .column_count = 1 };

static const struct bind_param binds_create_thing[] = {
	{ .name = "id", .type = TYPE_UUID, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "label", .type = TYPE_STRING, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "number", .type = TYPE_U16, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "colour", .type = TYPE_ENUM, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "tags", .type = TYPE_STRINGS, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "owner", .type = TYPE_STRING, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "made_at", .type = TYPE_TIMESTAMP, .compute = COMPUTE_NONE, .source = -1 },
};

static const struct conflict conflicts_create_thing[] = {
	{ .names = { [BACKEND_SQLITE] = "things.id", [BACKEND_POSTGRES] = "things_pkey" }, .bind = 0 },
	{ .names = { [BACKEND_SQLITE] = "things.label", [BACKEND_POSTGRES] = "things_label_key" }, .bind = 1 },
};

static const uint8_t sqlite_binds_create_thing[] = { 0, 1, 2, 3, 4, 5, 6 };

static const uint8_t postgres_binds_create_thing[] = { 0, 1, 2, 3, 4, 5, 6 };

static const struct table_use uses_create_thing[] = {
	{ .table = 0, .mode = USE_READ, .key_count = 1, .keys = { 0, 0 }, .binds = { { 5, -1 }, { -1, -1 } } },
	{ .table = 1, .mode = USE_INSERT, .key_count = 2, .keys = { 0, 1 }, .binds = { { 0, -1 }, { 1, -1 } } },
};

static const struct bind_param binds_get_thing[] = {
	{ .name = "id", .type = TYPE_UUID, .compute = COMPUTE_NONE, .source = -1 },
};

static const uint8_t sqlite_binds_get_thing[] = { 0 };

static const uint8_t postgres_binds_get_thing[] = { 0 };

static const struct table_use uses_get_thing[] = {
	{ .table = 1, .mode = USE_READ, .key_count = 1, .keys = { 0, 0 }, .binds = { { 0, -1 }, { -1, -1 } } },
};

static const struct bind_param binds_list_things[] = {
	{ .name = "colour", .type = TYPE_ENUM, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "limit", .type = TYPE_U32, .compute = COMPUTE_NONE, .source = -1 },
};

static const uint8_t sqlite_binds_list_things[] = { 0, 1 };

static const uint8_t postgres_binds_list_things[] = { 0, 1 };

static const struct table_use uses_list_things[] = {
	{ .table = 1, .mode = USE_READ, .key_count = 0, .keys = { 0, 0 }, .binds = { { -1, -1 }, { -1, -1 } } },
};

static const struct bind_param binds_put_document[] = {
	{ .name = "id", .type = TYPE_UUID, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "data", .type = TYPE_DOCUMENT, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "name", .type = TYPE_STRING, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "now", .type = TYPE_TIMESTAMP, .compute = COMPUTE_NOW, .source = -1 },
	{ .name = "data_exact", .type = TYPE_STRING, .compute = COMPUTE_AWKWARD, .source = 1 },
};

static const uint8_t sqlite_binds_put_document[] = { 1, 2, 3, 0 };

static const uint8_t postgres_binds_put_document[] = { 1, 4, 2, 3, 0 };

static const struct table_use uses_put_document[] = {
	{ .table = 1, .mode = USE_UPDATE, .key_count = 1, .keys = { 0, 0 }, .binds = { { 0, -1 }, { -1, -1 } } },
};

static const struct bind_param binds_sweep[] = {
	{ .name = "days", .type = TYPE_U32, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "days_start", .type = TYPE_TIMESTAMP, .compute = COMPUTE_DAYS_START, .source = 0 },
};

static const uint8_t sqlite_binds_sweep[] = { 1 };

static const uint8_t postgres_binds_sweep[] = { 1 };

static const struct table_use uses_sweep[] = {
	{ .table = 1, .mode = USE_READ, .key_count = 0, .keys = { 0, 0 }, .binds = { { -1, -1 }, { -1, -1 } } },
	{ .table = 1, .mode = USE_READ, .key_count = 0, .keys = { 0, 0 }, .binds = { { -1, -1 }, { -1, -1 } } },
	{ .table = 1, .mode = USE_UPDATE, .key_count = 0, .keys = { 0, 0 }, .binds = { { -1, -1 }, { -1, -1 } } },
};

static const struct bind_param binds_put_token[] = {
	{ .name = "user_id", .type = TYPE_UUID, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "access_token", .type = TYPE_SEALED, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "refresh_token", .type = TYPE_SEALED, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "nonce", .type = TYPE_NONCE, .compute = COMPUTE_NONCE, .source = -1 },
};

static const uint8_t sqlite_binds_put_token[] = { 1, 2, 3, 0 };

static const uint8_t postgres_binds_put_token[] = { 1, 2, 3, 0 };

static const struct table_use uses_put_token[] = {
	{ .table = 2, .mode = USE_UPDATE, .key_count = 1, .keys = { 0, 0 }, .binds = { { 0, -1 }, { -1, -1 } } },
};

static const struct bind_param binds_get_token[] = {
	{ .name = "user_id", .type = TYPE_UUID, .compute = COMPUTE_NONE, .source = -1 },
};

static const uint8_t sqlite_binds_get_token[] = { 0 };

static const uint8_t postgres_binds_get_token[] = { 0 };

static const struct table_use uses_get_token[] = {
	{ .table = 2, .mode = USE_READ, .key_count = 1, .keys = { 0, 0 }, .binds = { { 0, -1 }, { -1, -1 } } },
};

static const struct bind_param binds_create_account[] = {
	{ .name = "password_hash", .type = TYPE_STRING, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "password", .type = TYPE_STRING, .compute = COMPUTE_NONE, .source = -1 },
};

static const uint8_t sqlite_binds_create_account[] = { 0 };

static const uint8_t postgres_binds_create_account[] = { 0 };

static const struct table_use uses_create_account[] = {
	{ .table = 3, .mode = USE_INSERT, .key_count = 0, .keys = { 0, 0 }, .binds = { { -1, -1 }, { -1, -1 } } },
};

static const struct bind_param binds_verify_account[] = {
	{ .name = "id", .type = TYPE_I64, .compute = COMPUTE_NONE, .source = -1 },
	{ .name = "password", .type = TYPE_STRING, .compute = COMPUTE_NONE, .source = -1 },
};

static const uint8_t sqlite_binds_verify_account[] = { 0 };

static const uint8_t postgres_binds_verify_account[] = { 0 };

static const struct table_use uses_verify_account[] = {
	{ .table = 3, .mode = USE_READ, .key_count = 1, .keys = { 0, 0 }, .binds = { { 0, -1 }, { -1, -1 } } },
};

const struct method catalog_methods[] = {
	{
		.name = "create_thing",
		.name_length = 12,
		.index = 0,
		.role = ROLE_WRITE,
		.impl = IMPL_SQL,
		.write = true,
		.keyed = true,
		.short_read = false,
		.answer = ANSWER_ROW,
		.params = params_create_thing,
		.param_count = 1,
		.binds = binds_create_thing,
		.bind_count = 7,
		.subject = "owner",
		.subject_bind = 5,
		.after_bind = -1,
		.conflicts = conflicts_create_thing,
		.conflict_count = 2,
		.password_bind = -1,
		.hash_bind = -1,
		.hash_column = -1,
		.token_user_bind = -1,
		.token_provider_bind = -1,
		.row_schema = &row_schema_uuid,
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "INSERT INTO things (id, label, number, colour, tags, owner, made_at, tip) VALUES (\?1, \?2, \?3, \?4, \?5, \?6, \?7, 'no :placeholder -- here') RETURNING id AS result",
				.binds = sqlite_binds_create_thing, .bind_count = 7 },
			[BACKEND_POSTGRES] = {
				.sql = "INSERT INTO things (id, label, number, colour, tags, owner, made_at) VALUES ($1::uuid, $2::text, $3::integer, $4::text, ARRAY(SELECT jsonb_array_elements_text($5::jsonb)), $6::text, $7::timestamptz) RETURNING id AS result",
				.binds = postgres_binds_create_thing, .bind_count = 7,
				.uses = uses_create_thing, .use_count = 2, .reads = 0x1, .writes = 0x2,
				.lock = LOCK_ROW, .rank = 3, .lock_binds = { 0, -1 } } },
		.doc = "Makes a thing; returns its id.",
	},
	{
		.name = "get_thing",
		.name_length = 9,
		.index = 1,
		.role = ROLE_READ,
		.impl = IMPL_SQL,
		.write = false,
		.keyed = false,
		.short_read = true,
		.answer = ANSWER_OPTIONAL,
		.params = params_get_thing,
		.param_count = 1,
		.binds = binds_get_thing,
		.bind_count = 1,
		.subject_bind = -1,
		.after_bind = -1,
		.password_bind = -1,
		.hash_bind = -1,
		.hash_column = -1,
		.token_user_bind = -1,
		.token_provider_bind = -1,
		.row_schema = &row_schema_Thing,
		.table = "things",
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "SELECT id, colour, width AS \"size.width\", unit AS \"size.unit\", document FROM things WHERE id = \?1",
				.binds = sqlite_binds_get_thing, .bind_count = 1 },
			[BACKEND_POSTGRES] = {
				.sql = "SELECT id, colour, width AS \"size.width\", unit AS \"size.unit\", document::text AS document FROM things WHERE id = $1::uuid AND note <> E'it\\'s :not' AND body <> $tag$ :nor 'this' $tag$",
				.binds = postgres_binds_get_thing, .bind_count = 1,
				.many = "SELECT found.*, asked.place FROM unnest($1::uuid[]) WITH ORDINALITY AS asked(key, place), LATERAL (SELECT id, colour, width AS \"size.width\", unit AS \"size.unit\", document::text AS document FROM things WHERE id = asked.key AND note <> E'it\\'s :not' AND body <> $tag$ :nor 'this' $tag$ LIMIT 2) AS found",
				.uses = uses_get_thing, .use_count = 1, .reads = 0x2, .writes = 0x0,
				.lock = LOCK_NONE, .rank = 0, .lock_binds = { -1, -1 } } },
		.doc = "Looks a thing up. Null when there is none.",
	},
	{
		.name = "list_things",
		.name_length = 11,
		.index = 2,
		.role = ROLE_READ,
		.impl = IMPL_SQL,
		.write = false,
		.keyed = false,
		.causal = true,
		.short_read = false,
		.answer = ANSWER_LIST,
		.params = params_list_things,
		.param_count = 2,
		.binds = binds_list_things,
		.bind_count = 2,
		.subject_bind = -1,
		.after_bind = -1,
		.password_bind = -1,
		.hash_bind = -1,
		.hash_column = -1,
		.token_user_bind = -1,
		.token_provider_bind = -1,
		.row_schema = &row_schema_Thing,
		.table = "things",
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "SELECT id, colour, width AS \"size.width\", unit AS \"size.unit\", document FROM things WHERE \?1 IS NULL OR colour = \?1 ORDER BY id LIMIT \?2",
				.binds = sqlite_binds_list_things, .bind_count = 2 },
			[BACKEND_POSTGRES] = {
				.sql = "SELECT id, colour, width AS \"size.width\", unit AS \"size.unit\", document::text AS document FROM things WHERE $1::text IS NULL OR colour = $1::text ORDER BY id LIMIT $2::bigint",
				.binds = postgres_binds_list_things, .bind_count = 2,
				.uses = uses_list_things, .use_count = 1, .reads = 0x2, .writes = 0x0,
				.lock = LOCK_NONE, .rank = 0, .lock_binds = { -1, -1 } } },
		.doc = "Lists things.",
	},
	{
		.name = "put_document",
		.name_length = 12,
		.index = 3,
		.role = ROLE_WRITE,
		.impl = IMPL_SQL,
		.write = true,
		.keyed = true,
		.short_read = false,
		.answer = ANSWER_NONE,
		.params = params_put_document,
		.param_count = 2,
		.binds = binds_put_document,
		.bind_count = 5,
		.subject = "id",
		.subject_bind = 0,
		.after_bind = -1,
		.password_bind = -1,
		.hash_bind = -1,
		.hash_column = -1,
		.token_user_bind = -1,
		.token_provider_bind = -1,
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "UPDATE things SET document = \?1, name = \?2, changed_at = \?3 WHERE id = \?4",
				.binds = sqlite_binds_put_document, .bind_count = 4 },
			[BACKEND_POSTGRES] = {
				.sql = "UPDATE things SET document = $1::jsonb, document_exact = $2::text, name = $3::text, changed_at = $4::timestamptz WHERE id = $5::uuid",
				.binds = postgres_binds_put_document, .bind_count = 5,
				.once = "WITH done AS (UPDATE things SET document = $6::jsonb, document_exact = $7::text, name = $8::text, changed_at = $9::timestamptz WHERE id = $10::uuid RETURNING 1)", .once_bind = -1,
				.uses = uses_put_document, .use_count = 1, .reads = 0x0, .writes = 0x2,
				.lock = LOCK_ROW, .rank = 4, .lock_binds = { 0, -1 } } },
		.doc = "Stores a document.",
	},
	{
		.name = "sweep",
		.name_length = 5,
		.index = 4,
		.role = ROLE_WRITE,
		.impl = IMPL_SQL,
		.write = true,
		.keyed = true,
		.short_read = false,
		.answer = ANSWER_COUNT,
		.params = params_sweep,
		.param_count = 1,
		.binds = binds_sweep,
		.bind_count = 2,
		.subject_bind = -1,
		.after_bind = -1,
		.password_bind = -1,
		.hash_bind = -1,
		.hash_column = -1,
		.token_user_bind = -1,
		.token_provider_bind = -1,
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "DELETE FROM things WHERE made_at < \?1",
				.binds = sqlite_binds_sweep, .bind_count = 1 },
			[BACKEND_POSTGRES] = {
				.sql = "DELETE FROM things WHERE id IN (SELECT id FROM things WHERE made_at < $1::timestamptz ORDER BY id FOR NO KEY UPDATE)",
				.binds = postgres_binds_sweep, .bind_count = 1,
				.uses = uses_sweep, .use_count = 3, .reads = 0x2, .writes = 0x2,
				.lock = LOCK_MANY, .rank = 4, .lock_binds = { -1, -1 } } },
		.doc = "Removes what is old.",
	},
	{
		.name = "put_token",
		.name_length = 9,
		.index = 5,
		.role = ROLE_WRITE,
		.impl = IMPL_SQL,
		.write = true,
		.keyed = true,
		.short_read = false,
		.answer = ANSWER_NONE,
		.params = params_put_token,
		.param_count = 3,
		.binds = binds_put_token,
		.bind_count = 4,
		.subject = "user_id",
		.subject_bind = 0,
		.after_bind = -1,
		.password_bind = -1,
		.hash_bind = -1,
		.hash_column = -1,
		.token_user_bind = 0,
		.token_provider_bind = -1,
		.token_provider = "acme",
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "UPDATE tokens SET access_token = \?1, refresh_token = \?2, nonce = \?3 WHERE user_id = \?4",
				.binds = sqlite_binds_put_token, .bind_count = 4 },
			[BACKEND_POSTGRES] = {
				.sql = "UPDATE tokens SET access_token = $1::text, refresh_token = $2::text, nonce = $3::text WHERE user_id = $4::uuid",
				.binds = postgres_binds_put_token, .bind_count = 4,
				.once = "WITH done AS (UPDATE tokens SET access_token = $6::text, refresh_token = $7::text, nonce = $8::text WHERE user_id = $9::uuid RETURNING 1)", .once_bind = -1,
				.uses = uses_put_token, .use_count = 1, .reads = 0x0, .writes = 0x4,
				.lock = LOCK_ROW, .rank = 6, .lock_binds = { 0, -1 } } },
		.doc = "Stores a token.",
	},
	{
		.name = "get_token",
		.name_length = 9,
		.index = 6,
		.role = ROLE_FULL,
		.impl = IMPL_SQL,
		.write = false,
		.keyed = false,
		.short_read = true,
		.answer = ANSWER_OPTIONAL,
		.params = params_get_token,
		.param_count = 1,
		.binds = binds_get_token,
		.bind_count = 1,
		.subject_bind = -1,
		.after_bind = -1,
		.password_bind = -1,
		.hash_bind = -1,
		.hash_column = -1,
		.token_user_bind = 0,
		.token_provider_bind = -1,
		.token_provider = "acme",
		.row_schema = &row_schema_Token,
		.table = "tokens",
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "SELECT access_token, refresh_token, nonce FROM tokens WHERE user_id = \?1",
				.binds = sqlite_binds_get_token, .bind_count = 1 },
			[BACKEND_POSTGRES] = {
				.sql = "SELECT access_token, refresh_token, nonce FROM tokens WHERE user_id = $1::uuid",
				.binds = postgres_binds_get_token, .bind_count = 1,
				.many = "SELECT found.*, asked.place FROM unnest($1::uuid[]) WITH ORDINALITY AS asked(key, place), LATERAL (SELECT access_token, refresh_token, nonce FROM tokens WHERE user_id = asked.key LIMIT 2) AS found",
				.uses = uses_get_token, .use_count = 1, .reads = 0x4, .writes = 0x0,
				.lock = LOCK_NONE, .rank = 0, .lock_binds = { -1, -1 } } },
		.doc = "Gives a token.",
	},
	{
		.name = "create_account",
		.name_length = 14,
		.index = 7,
		.role = ROLE_WRITE,
		.impl = IMPL_HASH_PASSWORD,
		.write = true,
		.keyed = true,
		.short_read = false,
		.answer = ANSWER_ROW,
		.params = params_create_account,
		.param_count = 2,
		.binds = binds_create_account,
		.bind_count = 2,
		.subject_bind = -1,
		.after_bind = -1,
		.password_bind = 1,
		.hash_bind = 0,
		.hash_column = -1,
		.token_user_bind = -1,
		.token_provider_bind = -1,
		.row_schema = &row_schema_i64,
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "INSERT INTO accounts (password_hash) VALUES (\?1) RETURNING id AS result",
				.binds = sqlite_binds_create_account, .bind_count = 1 },
			[BACKEND_POSTGRES] = {
				.sql = "INSERT INTO accounts (password_hash) VALUES ($1::text) RETURNING id AS result",
				.binds = postgres_binds_create_account, .bind_count = 1,
				.uses = uses_create_account, .use_count = 1, .reads = 0x0, .writes = 0x8,
				.lock = LOCK_NONE, .rank = 0, .lock_binds = { -1, -1 } } },
		.doc = "Makes an account.",
	},
	{
		.name = "verify_account",
		.name_length = 14,
		.index = 8,
		.role = ROLE_FULL,
		.impl = IMPL_VERIFY_PASSWORD,
		.write = false,
		.keyed = false,
		.short_read = false,
		.answer = ANSWER_OPTIONAL,
		.params = params_verify_account,
		.param_count = 2,
		.binds = binds_verify_account,
		.bind_count = 2,
		.subject_bind = -1,
		.after_bind = -1,
		.password_bind = 1,
		.hash_bind = -1,
		.hash_column = 1,
		.token_user_bind = -1,
		.token_provider_bind = -1,
		.row_schema = &row_schema_Account,
		.table = "accounts",
		.statements = {
			[BACKEND_SQLITE] = {
				.sql = "SELECT id, password_hash FROM accounts WHERE id = \?1",
				.binds = sqlite_binds_verify_account, .bind_count = 1 },
			[BACKEND_POSTGRES] = {
				.sql = "SELECT id, password_hash FROM accounts WHERE id = $1::bigint",
				.binds = postgres_binds_verify_account, .bind_count = 1,
				.uses = uses_verify_account, .use_count = 1, .reads = 0x8, .writes = 0x0,
				.lock = LOCK_NONE, .rank = 0, .lock_binds = { -1, -1 } } },
		.doc = "Checks a password.",
	},
	{
		.name = "self.report",
		.name_length = 11,
		.index = 9,
		.role = ROLE_ADMIN,
		.impl = IMPL_DAEMON,
		.write = false,
		.keyed = false,
		.short_read = false,
		.answer = ANSWER_ROW,
		.param_count = 0,
		.bind_count = 0,
		.subject_bind = -1,
		.after_bind = -1,
		.password_bind = -1,
		.hash_bind = -1,
		.hash_column = -1,
		.token_user_bind = -1,
		.token_provider_bind = -1,
		.row_schema = &row_schema_json,
		.doc = "Tells about the program.",
	},
};
const size_t catalog_method_count = 10;
const size_t catalog_statement_count = sizeof catalog_methods / sizeof catalog_methods[0];

const struct token_provider catalog_providers[] = {
	{"acme", "Acme"},
	{NULL, NULL},
};

static const uint8_t methods_by_length[] = { 4, 1, 6, 5, 2, 9, 0, 3, 7, 8 };
/* Where the names of each length begin in methods_by_length. */
static const uint8_t length_begins[] = { 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 4, 4, 6, 8, 8, 10 };

const struct method *catalog_find(const char *name, size_t length)
{
	if (length > 14)
		return NULL;
	for (unsigned i = length_begins[length]; i < length_begins[length + 1]; i++) {
		const struct method *method = &catalog_methods[methods_by_length[i]];

		if (memcmp(method->name, name, length) == 0)
			return method;
	}
	return NULL;
}

const char catalog_openrpc[] =
	"{\"openrpc\":\"1.2.6\",\"info\":{\"title\":\"tiny\",\"version\":\"0.1.2\",\"description\":\"A catalog for tests.\"},\"methods\":[{"
	"\"name\":\"create_thing\",\"summary\":\"Makes a thing; returns its id.\",\"description\":\"Makes a thing; returns its id."
	"\",\"tags\":[{\"name\":\"things\"}],\"paramStructure\":\"either\",\"params\":[{\"name\":\"thing\",\"description\":\"The thing.\",\"r"
	"equired\":true,\"schema\":{\"$ref\":\"#/components/schemas/NewThing\"}}],\"result\":{\"name\":\"result\",\"schema\":{\"type\":\""
	"string\",\"format\":\"uuid\",\"pattern\":\"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$\",\"x-type\":\"u"
	"uid\"}},\"errors\":[{\"$ref\":\"#/components/errors/invalid_params\"},{\"$ref\":\"#/components/errors/not_found\"},{\"$ref"
	"\":\"#/components/errors/conflict\"},{\"$ref\":\"#/components/errors/unavailable\"}],\"x-access\":\"write\",\"x-write\":tru"
	"e,\"x-idempotency-key\":true,\"x-positional\":[\"thing\"],\"x-result\":\"uuid\",\"x-conflict\":[\"id\",\"label\"]},{\"name\":\"ge"
	"t_thing\",\"summary\":\"Looks a thing up.\",\"description\":\"Looks a thing up. Null when there is none.\",\"tags\":[{\"na"
	"me\":\"things\"}],\"paramStructure\":\"either\",\"params\":[{\"name\":\"id\",\"description\":\"The thing's id.\",\"required\":tru"
	"e,\"schema\":{\"type\":\"string\",\"pattern\":\"^([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-"
	"f]{12}|[0-9A-Fa-f]{32})$\",\"x-type\":\"uuid\"}}],\"result\":{\"name\":\"result\",\"schema\":{\"oneOf\":[{\"$ref\":\"#/component"
	"s/schemas/Thing\"},{\"type\":\"null\"}]}},\"errors\":[{\"$ref\":\"#/components/errors/invalid_params\"},{\"$ref\":\"#/compon"
	"ents/errors/unavailable\"}],\"x-access\":\"read\",\"x-write\":false,\"x-reads\":\"exact\",\"x-positional\":[\"id\"],\"x-result"
	"\":\"Thing\?\"},{\"name\":\"list_things\",\"summary\":\"Lists things.\",\"description\":\"Lists things.\",\"tags\":[{\"name\":\"thi"
	"ngs\"}],\"paramStructure\":\"either\",\"params\":[{\"name\":\"colour\",\"description\":\"Only such ones.\",\"required\":false,\""
	"schema\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/colour\"},{\"type\":\"null\"}]}},{\"name\":\"limit\",\"description\":\"Mos"
	"t of them.\",\"required\":false,\"schema\":{\"type\":[\"integer\",\"null\"],\"minimum\":0,\"maximum\":9,\"x-type\":\"u32\",\"defau"
	"lt\":5}}],\"result\":{\"name\":\"result\",\"schema\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Thing\"}}},\"e"
	"rrors\":[{\"$ref\":\"#/components/errors/invalid_params\"},{\"$ref\":\"#/components/errors/unavailable\"}],\"x-access\":\""
	"read\",\"x-write\":false,\"x-reads\":\"causal\",\"x-positional\":[\"colour\",\"limit\"],\"x-result\":\"[Thing]\"},{\"name\":\"put_"
	"document\",\"summary\":\"Stores a document.\",\"description\":\"Stores a document.\",\"tags\":[{\"name\":\"things\"}],\"paramS"
	"tructure\":\"either\",\"params\":[{\"name\":\"id\",\"description\":\"The thing's id.\",\"required\":true,\"schema\":{\"type\":\"st"
	"ring\",\"pattern\":\"^([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}"
	")$\",\"x-type\":\"uuid\"}},{\"name\":\"data\",\"description\":\"Any object.\",\"required\":true,\"schema\":{\"type\":\"object\",\"x-"
	"type\":\"document\",\"properties\":{\"name\":{\"type\":[\"string\",\"null\"],\"x-type\":\"string\",\"description\":\"Its name.\",\"x"
	"-default\":\"none\"},\"title\":{\"type\":[\"string\",\"null\"],\"x-type\":\"string\",\"description\":\"Its name.\",\"x-default\":\"n"
	"one\"}}}}],\"result\":{\"name\":\"result\",\"schema\":{\"type\":\"null\",\"x-type\":\"null\"}},\"errors\":[{\"$ref\":\"#/components/"
	"errors/invalid_params\"},{\"$ref\":\"#/components/errors/not_found\"},{\"$ref\":\"#/components/errors/unavailable\"}],\""
	"x-access\":\"write\",\"x-write\":true,\"x-idempotency-key\":true,\"x-positional\":[\"id\",\"data\"],\"x-result\":\"null\"},{\"na"
	"me\":\"sweep\",\"summary\":\"Removes what is old.\",\"description\":\"Removes what is old.\",\"tags\":[{\"name\":\"things\"}],\""
	"paramStructure\":\"either\",\"params\":[{\"name\":\"days\",\"description\":\"How old.\",\"required\":true,\"schema\":{\"type\":\"i"
	"nteger\",\"minimum\":0,\"maximum\":100,\"x-type\":\"u32\"}}],\"result\":{\"name\":\"result\",\"schema\":{\"type\":\"integer\",\"mini"
	"mum\":0,\"x-type\":\"count\"}},\"errors\":[{\"$ref\":\"#/components/errors/invalid_params\"},{\"$ref\":\"#/components/errors"
	"/unavailable\"}],\"x-access\":\"write\",\"x-write\":true,\"x-idempotency-key\":true,\"x-positional\":[\"days\"],\"x-result\":"
	"\"count\"},{\"name\":\"put_token\",\"summary\":\"Stores a token.\",\"description\":\"Stores a token.\",\"tags\":[{\"name\":\"secr"
	"ets\"}],\"paramStructure\":\"either\",\"params\":[{\"name\":\"user_id\",\"description\":\"Whose.\",\"required\":true,\"schema\":{"
	"\"type\":\"string\",\"pattern\":\"^([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}|[0-9A"
	"-Fa-f]{32})$\",\"x-type\":\"uuid\"}},{\"name\":\"access_token\",\"description\":\"One text.\",\"required\":true,\"schema\":{\"ty"
	"pe\":\"string\",\"x-type\":\"string\",\"x-secret\":true}},{\"name\":\"refresh_token\",\"description\":\"Another.\",\"required\":t"
	"rue,\"schema\":{\"type\":\"string\",\"x-type\":\"string\",\"x-secret\":true}}],\"result\":{\"name\":\"result\",\"schema\":{\"type\":"
	"\"null\",\"x-type\":\"null\"}},\"errors\":[{\"$ref\":\"#/components/errors/invalid_params\"},{\"$ref\":\"#/components/errors/"
	"not_found\"},{\"$ref\":\"#/components/errors/unavailable\"}],\"x-access\":\"write\",\"x-write\":true,\"x-idempotency-key\":"
	"true,\"x-positional\":[\"user_id\",\"access_token\",\"refresh_token\"],\"x-result\":\"null\"},{\"name\":\"get_token\",\"summary"
	"\":\"Gives a token.\",\"description\":\"Gives a token.\",\"tags\":[{\"name\":\"secrets\"}],\"paramStructure\":\"either\",\"param"
	"s\":[{\"name\":\"user_id\",\"description\":\"Whose.\",\"required\":true,\"schema\":{\"type\":\"string\",\"pattern\":\"^([0-9A-Fa-f"
	"]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32})$\",\"x-type\":\"uuid\"}}],\"resul"
	"t\":{\"name\":\"result\",\"schema\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/Token\"},{\"type\":\"null\"}]}},\"errors\":[{\"$r"
	"ef\":\"#/components/errors/invalid_params\"},{\"$ref\":\"#/components/errors/unavailable\"},{\"$ref\":\"#/components/err"
	"ors/decryption_failed\"}],\"x-access\":\"full\",\"x-write\":false,\"x-reads\":\"exact\",\"x-positional\":[\"user_id\"],\"x-res"
	"ult\":\"Token\?\"},{\"name\":\"create_account\",\"summary\":\"Makes an account.\",\"description\":\"Makes an account.\",\"tags\""
	":[{\"name\":\"secrets\"}],\"paramStructure\":\"either\",\"params\":[{\"name\":\"password_hash\",\"description\":\"A hash.\",\"req"
	"uired\":false,\"schema\":{\"type\":[\"string\",\"null\"],\"x-type\":\"string\",\"x-secret\":true}},{\"name\":\"password\",\"descri"
	"ption\":\"A password.\",\"required\":false,\"schema\":{\"type\":[\"string\",\"null\"],\"x-type\":\"string\",\"x-secret\":true}}],"
	"\"result\":{\"name\":\"result\",\"schema\":{\"type\":\"integer\",\"minimum\":-9223372036854775808,\"maximum\":9223372036854775"
	"807,\"x-type\":\"i64\"}},\"errors\":[{\"$ref\":\"#/components/errors/invalid_params\"},{\"$ref\":\"#/components/errors/unav"
	"ailable\"}],\"x-access\":\"write\",\"x-write\":true,\"x-idempotency-key\":true,\"x-positional\":[\"password_hash\",\"passwor"
	"d\"],\"x-result\":\"i64\"},{\"name\":\"verify_account\",\"summary\":\"Checks a password.\",\"description\":\"Checks a password"
	".\",\"tags\":[{\"name\":\"secrets\"}],\"paramStructure\":\"either\",\"params\":[{\"name\":\"id\",\"description\":\"Whose.\",\"requir"
	"ed\":true,\"schema\":{\"type\":\"integer\",\"minimum\":-9223372036854775808,\"maximum\":9223372036854775807,\"x-type\":\"i64"
	"\"}},{\"name\":\"password\",\"description\":\"A password.\",\"required\":true,\"schema\":{\"type\":\"string\",\"x-type\":\"string\""
	",\"x-secret\":true}}],\"result\":{\"name\":\"result\",\"schema\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/Account\"},{\"typ"
	"e\":\"null\"}]}},\"errors\":[{\"$ref\":\"#/components/errors/invalid_params\"},{\"$ref\":\"#/components/errors/unavailable"
	"\"}],\"x-access\":\"full\",\"x-write\":false,\"x-reads\":\"exact\",\"x-positional\":[\"id\",\"password\"],\"x-result\":\"Account\?\""
	"},{\"name\":\"self.report\",\"summary\":\"Tells about the program.\",\"description\":\"Tells about the program.\",\"tags\":["
	"{\"name\":\"secrets\"}],\"paramStructure\":\"either\",\"params\":[],\"result\":{\"name\":\"result\",\"schema\":{\"$ref\":\"#/compon"
	"ents/schemas/Report\"}},\"errors\":[{\"$ref\":\"#/components/errors/invalid_params\"}],\"x-access\":\"admin\",\"x-write\":f"
	"alse,\"x-positional\":[],\"x-result\":\"Report\"}],\"components\":{\"schemas\":{\"colour\":{\"type\":\"string\",\"description\":"
	"\"A colour.\",\"enum\":[\"red\",\"green\"]},\"Size\":{\"type\":\"object\",\"description\":\"How big a thing is.\",\"properties\":{"
	"\"width\":{\"type\":\"number\",\"x-type\":\"f64\",\"description\":\"In metres.\"},\"unit\":{\"type\":[\"string\",\"null\"],\"x-type\":"
	"\"string\",\"description\":\"As it was given.\"}},\"required\":[\"width\",\"unit\"],\"additionalProperties\":false},\"Thing\":"
	"{\"type\":\"object\",\"description\":\"A thing.\",\"properties\":{\"id\":{\"type\":\"string\",\"format\":\"uuid\",\"pattern\":\"^[0-9"
	"a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$\",\"x-type\":\"uuid\",\"description\":\"The thing's id.\"},\"c"
	"olour\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/colour\"},{\"type\":\"null\"}],\"description\":\"Its colour.\"},\"size\":{"
	"\"oneOf\":[{\"$ref\":\"#/components/schemas/Size\"},{\"type\":\"null\"}],\"description\":\"Its size.\"}},\"required\":[\"id\",\"c"
	"olour\",\"size\"],\"additionalProperties\":true},\"NewThing\":{\"type\":\"object\",\"description\":\"A thing to be.\",\"proper"
	"ties\":{\"id\":{\"type\":[\"string\",\"null\"],\"pattern\":\"^([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}"
	"-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32})$\",\"x-type\":\"uuid\",\"x-default\":\"new_uuid\",\"description\":\"The thing's id.\"},\"l"
	"abel\":{\"type\":[\"string\",\"null\"],\"x-type\":\"string\",\"maxLength\":20,\"x-max-bytes\":20,\"description\":\"What stands o"
	"n it.\"},\"number\":{\"type\":[\"integer\",\"null\"],\"minimum\":0,\"maximum\":65535,\"x-type\":\"u16\",\"description\":\"Which on"
	"e it is.\"},\"colour\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/colour\"},{\"type\":\"null\"}],\"default\":\"red\",\"descrip"
	"tion\":\"Its colour.\"},\"tags\":{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"string\"},\"x-type\":\"[string]\",\"default\":["
	"],\"description\":\"Words.\"},\"owner\":{\"type\":\"string\",\"x-type\":\"string\",\"pattern\":\"^[^@]+@[^@]+$\",\"description\":\""
	"Whose it is.\"},\"made_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\",\"pattern\":\"^\\\\d{4}-\\\\d{2}-\\\\d{2}[Tt]\\\\"
	"d{2}:\\\\d{2}:\\\\d{2}(\\\\.\\\\d{1,9})\?([Zz]|[+-]\\\\d{2}:\\\\d{2})$\",\"x-type\":\"timestamp\",\"x-default\":\"now\",\"description"
	"\":\"When.\"},\"old\":{\"type\":\"null\",\"x-type\":\"null\",\"description\":\"Only null.\"},\"note\":{\"x-type\":\"any\",\"descriptio"
	"n\":\"Ignored.\"}},\"required\":[\"owner\"],\"additionalProperties\":false,\"oneOf\":[{\"required\":[\"label\"],\"properties\":"
	"{\"label\":{\"not\":{\"type\":\"null\"}},\"number\":{\"type\":\"null\"}}},{\"required\":[\"number\"],\"properties\":{\"label\":{\"typ"
	"e\":\"null\"},\"number\":{\"not\":{\"type\":\"null\"}}}}]},\"Token\":{\"type\":\"object\",\"description\":\"A token.\",\"properties\""
	":{\"access_token\":{\"type\":\"string\",\"x-type\":\"string\",\"description\":\"One text.\",\"x-secret\":true},\"refresh_token\""
	":{\"type\":\"string\",\"x-type\":\"string\",\"description\":\"Another.\",\"x-secret\":true}},\"required\":[\"access_token\",\"ref"
	"resh_token\"],\"additionalProperties\":false},\"Account\":{\"type\":\"object\",\"description\":\"An account.\",\"properties\""
	":{\"id\":{\"type\":\"integer\",\"minimum\":-9223372036854775808,\"maximum\":9223372036854775807,\"x-type\":\"i64\",\"descript"
	"ion\":\"Its number.\"},\"password_hash\":{\"type\":\"string\",\"x-type\":\"string\",\"description\":\"A hash.\",\"x-secret\":true"
	"}},\"required\":[\"id\",\"password_hash\"],\"additionalProperties\":false},\"Report\":{\"type\":\"object\",\"description\":\"Ab"
	"out the program.\",\"properties\":{\"parts\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Part\"},\"descript"
	"ion\":\"What it has.\"}},\"required\":[\"parts\"],\"additionalProperties\":true},\"Part\":{\"type\":\"object\",\"description\":"
	"\"A part.\",\"properties\":{\"name\":{\"type\":\"string\",\"x-type\":\"string\",\"description\":\"What it is called.\"},\"detail\""
	":{\"type\":[\"string\",\"null\"],\"x-type\":\"string\",\"description\":\"More.\"}},\"required\":[\"name\"],\"additionalProperties"
	"\":false}},\"errors\":{\"invalid_params\":{\"code\":-32602,\"message\":\"a bad parameter\",\"data\":{\"kind\":\"invalid_params"
	"\",\"retryable\":false}},\"not_found\":{\"code\":-32001,\"message\":\"the row does not exist\",\"data\":{\"kind\":\"not_found\""
	",\"retryable\":false}},\"conflict\":{\"code\":-32002,\"message\":\"a unique key is taken\",\"data\":{\"kind\":\"conflict\",\"re"
	"tryable\":false}},\"unavailable\":{\"code\":-32003,\"message\":\"no database\",\"data\":{\"kind\":\"unavailable\",\"retryable\""
	":true}},\"decryption_failed\":{\"code\":-32008,\"message\":\"cannot be opened\",\"data\":{\"kind\":\"decryption_failed\",\"re"
	"tryable\":false}}}}}";
const size_t catalog_openrpc_length = sizeof catalog_openrpc - 1;
