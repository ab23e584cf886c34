/* Made by protocol/generate.py from the catalog and the SQL files. Do not edit. */

#include "answer.h"
#include "blocking.h"
#include "calls.h"
#include "decode_result.h"

static const struct stub_field fields_size[] = {
	{ .name = "width", .kind = STUB_F64, .offset = offsetof(struct pierre_size, width) },
	{ .name = "unit", .kind = STUB_TEXT, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_size, unit) },
};

static const struct stub_type type_size = { sizeof(struct pierre_size), fields_size, 2 };

static const struct stub_field fields_thing[] = {
	{ .name = "id", .kind = STUB_TEXT, .offset = offsetof(struct pierre_thing, id) },
	{ .name = "colour", .kind = STUB_TEXT, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_thing, colour) },
	{ .name = "size", .kind = STUB_OBJECT, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_thing, size), .type = &type_size },
	{ .name = "", .kind = STUB_WHOLE, .offset = offsetof(struct pierre_thing, whole) },
};

static const struct stub_type type_thing = { sizeof(struct pierre_thing), fields_thing, 4 };

static const struct stub_field fields_token[] = {
	{ .name = "access_token", .kind = STUB_TEXT, .offset = offsetof(struct pierre_token, access_token) },
	{ .name = "refresh_token", .kind = STUB_TEXT, .offset = offsetof(struct pierre_token, refresh_token) },
};

static const struct stub_type type_token = { sizeof(struct pierre_token), fields_token, 2 };

static const struct stub_field fields_account[] = {
	{ .name = "id", .kind = STUB_I64, .offset = offsetof(struct pierre_account, id) },
	{ .name = "password_hash", .kind = STUB_TEXT, .offset = offsetof(struct pierre_account, password_hash) },
};

static const struct stub_type type_account = { sizeof(struct pierre_account), fields_account, 2 };

static const struct stub_field fields_new_thing[] = {
	{ .name = "id", .kind = STUB_TEXT, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_new_thing, id) },
	{ .name = "label", .kind = STUB_TEXT, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_new_thing, label) },
	{ .name = "number", .kind = STUB_U16, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_new_thing, number), .beside = offsetof(struct pierre_new_thing, has_number) },
	{ .name = "colour", .kind = STUB_TEXT, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_new_thing, colour) },
	{ .name = "tags", .kind = STUB_TEXTS, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_new_thing, tags), .beside = offsetof(struct pierre_new_thing, tags_count) },
	{ .name = "owner", .kind = STUB_TEXT, .offset = offsetof(struct pierre_new_thing, owner) },
	{ .name = "made_at", .kind = STUB_TIME, .flags = STUB_OPTIONAL, .offset = offsetof(struct pierre_new_thing, made_at), .beside = offsetof(struct pierre_new_thing, has_made_at) },
};

static const struct stub_type type_new_thing = { sizeof(struct pierre_new_thing), fields_new_thing, 7 };

struct args_create_thing {
	const struct pierre_new_thing *thing;
};
static const struct stub_field fields_args_create_thing[] = {
	{ .name = "thing", .kind = STUB_OBJECT, .offset = offsetof(struct args_create_thing, thing), .type = &type_new_thing },
};

static const struct stub_type type_args_create_thing = { sizeof(struct args_create_thing), fields_args_create_thing, 1 };

struct args_get_thing {
	const char *id;
};
static const struct stub_field fields_args_get_thing[] = {
	{ .name = "id", .kind = STUB_TEXT, .offset = offsetof(struct args_get_thing, id) },
};

static const struct stub_type type_args_get_thing = { sizeof(struct args_get_thing), fields_args_get_thing, 1 };

struct args_list_things {
	const char *colour;
	const uint32_t *limit;
};
static const struct stub_field fields_args_list_things[] = {
	{ .name = "colour", .kind = STUB_TEXT, .flags = STUB_OPTIONAL, .offset = offsetof(struct args_list_things, colour) },
	{ .name = "limit", .kind = STUB_U32, .flags = STUB_OPTIONAL | STUB_BY_POINTER, .offset = offsetof(struct args_list_things, limit) },
};

static const struct stub_type type_args_list_things = { sizeof(struct args_list_things), fields_args_list_things, 2 };

struct args_put_document {
	const char *id;
	const char *data;
};
static const struct stub_field fields_args_put_document[] = {
	{ .name = "id", .kind = STUB_TEXT, .offset = offsetof(struct args_put_document, id) },
	{ .name = "data", .kind = STUB_OBJECT_TEXT, .offset = offsetof(struct args_put_document, data) },
};

static const struct stub_type type_args_put_document = { sizeof(struct args_put_document), fields_args_put_document, 2 };

struct args_sweep {
	uint32_t days;
};
static const struct stub_field fields_args_sweep[] = {
	{ .name = "days", .kind = STUB_U32, .offset = offsetof(struct args_sweep, days) },
};

static const struct stub_type type_args_sweep = { sizeof(struct args_sweep), fields_args_sweep, 1 };

struct args_put_token {
	const char *user_id;
	const char *access_token;
	const char *refresh_token;
};
static const struct stub_field fields_args_put_token[] = {
	{ .name = "user_id", .kind = STUB_TEXT, .offset = offsetof(struct args_put_token, user_id) },
	{ .name = "access_token", .kind = STUB_TEXT, .offset = offsetof(struct args_put_token, access_token) },
	{ .name = "refresh_token", .kind = STUB_TEXT, .offset = offsetof(struct args_put_token, refresh_token) },
};

static const struct stub_type type_args_put_token = { sizeof(struct args_put_token), fields_args_put_token, 3 };

struct args_get_token {
	const char *user_id;
};
static const struct stub_field fields_args_get_token[] = {
	{ .name = "user_id", .kind = STUB_TEXT, .offset = offsetof(struct args_get_token, user_id) },
};

static const struct stub_type type_args_get_token = { sizeof(struct args_get_token), fields_args_get_token, 1 };

struct args_create_account {
	const char *password_hash;
	const char *password;
};
static const struct stub_field fields_args_create_account[] = {
	{ .name = "password_hash", .kind = STUB_TEXT, .flags = STUB_OPTIONAL, .offset = offsetof(struct args_create_account, password_hash) },
	{ .name = "password", .kind = STUB_TEXT, .flags = STUB_OPTIONAL, .offset = offsetof(struct args_create_account, password) },
};

static const struct stub_type type_args_create_account = { sizeof(struct args_create_account), fields_args_create_account, 2 };

struct args_verify_account {
	int64_t id;
	const char *password;
};
static const struct stub_field fields_args_verify_account[] = {
	{ .name = "id", .kind = STUB_I64, .offset = offsetof(struct args_verify_account, id) },
	{ .name = "password", .kind = STUB_TEXT, .offset = offsetof(struct args_verify_account, password) },
};

static const struct stub_type type_args_verify_account = { sizeof(struct args_verify_account), fields_args_verify_account, 2 };

const struct stub_method stub_methods[] = {
	{ .name = "create_thing", .write = true, .keyed = true, .params = &type_args_create_thing, .result = STUB_RESULT_VALUE, .value = { .name = "result", .kind = STUB_TEXT } },
	{ .name = "get_thing", .write = false, .keyed = false, .params = &type_args_get_thing, .result = STUB_RESULT_ROW, .value = { .name = "result", .kind = STUB_OBJECT, .flags = STUB_OPTIONAL, .type = &type_thing } },
	{ .name = "list_things", .write = false, .keyed = false, .params = &type_args_list_things, .result = STUB_RESULT_ROWS, .value = { .name = "result", .kind = STUB_OBJECT, .type = &type_thing } },
	{ .name = "put_document", .write = true, .keyed = true, .params = &type_args_put_document, .result = STUB_RESULT_NONE },
	{ .name = "sweep", .write = true, .keyed = true, .params = &type_args_sweep, .result = STUB_RESULT_VALUE, .value = { .name = "result", .kind = STUB_I64 } },
	{ .name = "put_token", .write = true, .keyed = true, .params = &type_args_put_token, .result = STUB_RESULT_NONE },
	{ .name = "get_token", .write = false, .keyed = false, .params = &type_args_get_token, .result = STUB_RESULT_ROW, .value = { .name = "result", .kind = STUB_OBJECT, .flags = STUB_OPTIONAL, .type = &type_token } },
	{ .name = "create_account", .write = true, .keyed = true, .params = &type_args_create_account, .result = STUB_RESULT_VALUE, .value = { .name = "result", .kind = STUB_I64 } },
	{ .name = "verify_account", .write = false, .keyed = false, .params = &type_args_verify_account, .result = STUB_RESULT_ROW, .value = { .name = "result", .kind = STUB_OBJECT, .flags = STUB_OPTIONAL, .type = &type_account } },
	{ .name = "self.report", .write = false, .keyed = false, .result = STUB_RESULT_VALUE, .value = { .name = "result", .kind = STUB_JSON } },
};

const size_t stub_method_count = sizeof stub_methods / sizeof stub_methods[0];

void pierre_size_free(struct pierre_size *size)
{
	decode_result_free(size);
}

void pierre_thing_free(struct pierre_thing *thing)
{
	decode_result_free(thing);
}

void pierre_token_free(struct pierre_token *token)
{
	decode_result_free(token);
}

void pierre_account_free(struct pierre_account *account)
{
	decode_result_free(account);
}

int pierre_create_thing(struct pierre *db, const struct pierre_new_thing *thing, char **out,
	struct pierre_error *failure)
{
	struct args_create_thing args = { thing };

	return blocking_call(db, &stub_methods[0], &args, out, NULL, failure);
}

int64_t pierre_create_thing_async(struct pierre *db, const struct pierre_new_thing *thing,
	pierre_done *done, void *userdata, struct pierre_error *failure)
{
	struct args_create_thing args = { thing };

	return calls_submit(db, &stub_methods[0], &args, done, userdata, failure);
}

int pierre_create_thing_result(const struct pierre_answer *answer, char **out,
	struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[0], out, NULL, failure);
}

int pierre_add_create_thing(struct pierre_transaction *transaction,
	const struct pierre_new_thing *thing, struct pierre_error *failure)
{
	struct args_create_thing args = { thing };

	return transaction_add(transaction, &stub_methods[0], &args, failure);
}

int pierre_get_thing(struct pierre *db, const char *id, struct pierre_thing **out,
	struct pierre_error *failure)
{
	struct args_get_thing args = { id };

	return blocking_call(db, &stub_methods[1], &args, out, NULL, failure);
}

int64_t pierre_get_thing_async(struct pierre *db, const char *id, pierre_done *done,
	void *userdata, struct pierre_error *failure)
{
	struct args_get_thing args = { id };

	return calls_submit(db, &stub_methods[1], &args, done, userdata, failure);
}

int pierre_get_thing_result(const struct pierre_answer *answer, struct pierre_thing **out,
	struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[1], out, NULL, failure);
}

int pierre_add_get_thing(struct pierre_transaction *transaction, const char *id,
	struct pierre_error *failure)
{
	struct args_get_thing args = { id };

	return transaction_add(transaction, &stub_methods[1], &args, failure);
}

int pierre_list_things(struct pierre *db, const char *colour, const uint32_t *limit,
	struct pierre_thing **out, size_t *count, struct pierre_error *failure)
{
	struct args_list_things args = { colour, limit };

	return blocking_call(db, &stub_methods[2], &args, out, count, failure);
}

int64_t pierre_list_things_async(struct pierre *db, const char *colour, const uint32_t *limit,
	pierre_done *done, void *userdata, struct pierre_error *failure)
{
	struct args_list_things args = { colour, limit };

	return calls_submit(db, &stub_methods[2], &args, done, userdata, failure);
}

int pierre_list_things_result(const struct pierre_answer *answer, struct pierre_thing **out,
	size_t *count, struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[2], out, count, failure);
}

int pierre_add_list_things(struct pierre_transaction *transaction, const char *colour,
	const uint32_t *limit, struct pierre_error *failure)
{
	struct args_list_things args = { colour, limit };

	return transaction_add(transaction, &stub_methods[2], &args, failure);
}

int pierre_put_document(struct pierre *db, const char *id, const char *data,
	struct pierre_error *failure)
{
	struct args_put_document args = { id, data };

	return blocking_call(db, &stub_methods[3], &args, NULL, NULL, failure);
}

int64_t pierre_put_document_async(struct pierre *db, const char *id, const char *data,
	pierre_done *done, void *userdata, struct pierre_error *failure)
{
	struct args_put_document args = { id, data };

	return calls_submit(db, &stub_methods[3], &args, done, userdata, failure);
}

int pierre_put_document_result(const struct pierre_answer *answer, struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[3], NULL, NULL, failure);
}

int pierre_add_put_document(struct pierre_transaction *transaction, const char *id,
	const char *data, struct pierre_error *failure)
{
	struct args_put_document args = { id, data };

	return transaction_add(transaction, &stub_methods[3], &args, failure);
}

int pierre_sweep(struct pierre *db, uint32_t days, int64_t *out, struct pierre_error *failure)
{
	struct args_sweep args = { days };

	return blocking_call(db, &stub_methods[4], &args, out, NULL, failure);
}

int64_t pierre_sweep_async(struct pierre *db, uint32_t days, pierre_done *done, void *userdata,
	struct pierre_error *failure)
{
	struct args_sweep args = { days };

	return calls_submit(db, &stub_methods[4], &args, done, userdata, failure);
}

int pierre_sweep_result(const struct pierre_answer *answer, int64_t *out,
	struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[4], out, NULL, failure);
}

int pierre_add_sweep(struct pierre_transaction *transaction, uint32_t days,
	struct pierre_error *failure)
{
	struct args_sweep args = { days };

	return transaction_add(transaction, &stub_methods[4], &args, failure);
}

int pierre_put_token(struct pierre *db, const char *user_id, const char *access_token,
	const char *refresh_token, struct pierre_error *failure)
{
	struct args_put_token args = { user_id, access_token, refresh_token };

	return blocking_call(db, &stub_methods[5], &args, NULL, NULL, failure);
}

int64_t pierre_put_token_async(struct pierre *db, const char *user_id, const char *access_token,
	const char *refresh_token, pierre_done *done, void *userdata, struct pierre_error *failure)
{
	struct args_put_token args = { user_id, access_token, refresh_token };

	return calls_submit(db, &stub_methods[5], &args, done, userdata, failure);
}

int pierre_put_token_result(const struct pierre_answer *answer, struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[5], NULL, NULL, failure);
}

int pierre_add_put_token(struct pierre_transaction *transaction, const char *user_id,
	const char *access_token, const char *refresh_token, struct pierre_error *failure)
{
	struct args_put_token args = { user_id, access_token, refresh_token };

	return transaction_add(transaction, &stub_methods[5], &args, failure);
}

int pierre_get_token(struct pierre *db, const char *user_id, struct pierre_token **out,
	struct pierre_error *failure)
{
	struct args_get_token args = { user_id };

	return blocking_call(db, &stub_methods[6], &args, out, NULL, failure);
}

int64_t pierre_get_token_async(struct pierre *db, const char *user_id, pierre_done *done,
	void *userdata, struct pierre_error *failure)
{
	struct args_get_token args = { user_id };

	return calls_submit(db, &stub_methods[6], &args, done, userdata, failure);
}

int pierre_get_token_result(const struct pierre_answer *answer, struct pierre_token **out,
	struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[6], out, NULL, failure);
}

int pierre_add_get_token(struct pierre_transaction *transaction, const char *user_id,
	struct pierre_error *failure)
{
	struct args_get_token args = { user_id };

	return transaction_add(transaction, &stub_methods[6], &args, failure);
}

int pierre_create_account(struct pierre *db, const char *password_hash, const char *password,
	int64_t *out, struct pierre_error *failure)
{
	struct args_create_account args = { password_hash, password };

	return blocking_call(db, &stub_methods[7], &args, out, NULL, failure);
}

int64_t pierre_create_account_async(struct pierre *db, const char *password_hash,
	const char *password, pierre_done *done, void *userdata, struct pierre_error *failure)
{
	struct args_create_account args = { password_hash, password };

	return calls_submit(db, &stub_methods[7], &args, done, userdata, failure);
}

int pierre_create_account_result(const struct pierre_answer *answer, int64_t *out,
	struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[7], out, NULL, failure);
}

int pierre_add_create_account(struct pierre_transaction *transaction, const char *password_hash,
	const char *password, struct pierre_error *failure)
{
	struct args_create_account args = { password_hash, password };

	return transaction_add(transaction, &stub_methods[7], &args, failure);
}

int pierre_verify_account(struct pierre *db, int64_t id, const char *password,
	struct pierre_account **out, struct pierre_error *failure)
{
	struct args_verify_account args = { id, password };

	return blocking_call(db, &stub_methods[8], &args, out, NULL, failure);
}

int64_t pierre_verify_account_async(struct pierre *db, int64_t id, const char *password,
	pierre_done *done, void *userdata, struct pierre_error *failure)
{
	struct args_verify_account args = { id, password };

	return calls_submit(db, &stub_methods[8], &args, done, userdata, failure);
}

int pierre_verify_account_result(const struct pierre_answer *answer, struct pierre_account **out,
	struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[8], out, NULL, failure);
}

int pierre_add_verify_account(struct pierre_transaction *transaction, int64_t id,
	const char *password, struct pierre_error *failure)
{
	struct args_verify_account args = { id, password };

	return transaction_add(transaction, &stub_methods[8], &args, failure);
}

int pierre_self_report(struct pierre *db, char **out, struct pierre_error *failure)
{
	return blocking_call(db, &stub_methods[9], NULL, out, NULL, failure);
}

int64_t pierre_self_report_async(struct pierre *db, pierre_done *done, void *userdata,
	struct pierre_error *failure)
{
	return calls_submit(db, &stub_methods[9], NULL, done, userdata, failure);
}

int pierre_self_report_result(const struct pierre_answer *answer, char **out,
	struct pierre_error *failure)
{
	return answer_result(answer, &stub_methods[9], out, NULL, failure);
}
