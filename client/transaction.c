/* Transactions: collects calls, sends them as one, and gives each result to the method's own
 * function. */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "calls.h"
#include "decode_result.h"
#include "encode_params.h"
#include "failure.h"
#include "handle.h"
#include "../protocol/json/json_add.h"

enum { CALLS_AT_FIRST = 8 };

struct pierre_transaction {
	struct buffer calls; /* items of an array */
	const struct stub_method **methods;
	unsigned count, capacity;
	/* After a run. */
	char *text; /* the results, as decode_result_text copies them */
	struct json json;
	struct pierre_answer *answers; /* count */
};

static const struct stub_method transaction_method = {.name = "daemon.transaction"};

struct pierre_transaction *pierre_transaction_new(void)
{
	return calloc(1, sizeof(struct pierre_transaction));
}

/* It may contain a password or a token. */
static void drop_params(struct buffer *params)
{
	buffer_wipe(params);
	buffer_free(params);
}

static void drop_results(struct pierre_transaction *transaction)
{
	decode_result_free(transaction->text);
	transaction->text = NULL;
	json_scan_free(&transaction->json);
	free(transaction->answers);
	transaction->answers = NULL;
}

void pierre_transaction_free(struct pierre_transaction *transaction)
{
	if (transaction == NULL)
		return;
	drop_results(transaction);
	drop_params(&transaction->calls);
	free(transaction->methods);
	free(transaction);
}

int pierre_transaction_count(const struct pierre_transaction *transaction)
{
	return (int)transaction->count;
}

static int transaction_no_memory(struct pierre_error *error)
{
	return failure_set(error, PIERRE_NO_MEMORY, "out of memory for the transaction");
}

static bool room_for_call(struct pierre_transaction *transaction)
{
	unsigned capacity = transaction->capacity == 0 ? CALLS_AT_FIRST : 2 * transaction->capacity;
	const struct stub_method **methods;

	if (transaction->count < transaction->capacity)
		return true;
	methods = realloc(transaction->methods, capacity * sizeof *methods);
	if (methods == NULL)
		return false;
	transaction->methods = methods;
	transaction->capacity = capacity;
	return true;
}

int transaction_add(struct pierre_transaction *transaction, const struct stub_method *method,
	const void *args, struct pierre_error *error)
{
	struct buffer *calls = &transaction->calls;
	size_t before = calls->length;
	int status = 0;

	if (transaction->answers != NULL)
		return failure_set(error, PIERRE_MISUSE, "the transaction has run already");
	if (transaction->count >= PIERRE_TRANSACTION_MAX)
		return failure_set(error, PIERRE_MISUSE, "a transaction has at most %d calls",
			PIERRE_TRANSACTION_MAX);
	if (!room_for_call(transaction))
		return transaction_no_memory(error);
	json_add_object(calls, NULL);
	json_add_text(calls, "method", method->name);
	if (method->params != NULL) {
		json_add_name(calls, "params");
		status = encode_params(calls, method->params, args, error);
	}
	json_add_end(calls, '}');
	if (status == 0 && calls->failure != BUFFER_OK)
		status = transaction_no_memory(error);
	if (status != 0) {
		buffer_cut(calls, before);
		return status;
	}
	transaction->methods[transaction->count] = method;
	return (int)transaction->count++;
}

/* Gives each result its place. Takes the text. */
static int take_results(
	struct pierre_transaction *transaction, char *text, struct pierre_error *error)
{
	uint32_t node = 1;
	struct err err;

	drop_results(transaction);
	transaction->text = text;
	if (json_scan(&transaction->json, text, strlen(text), JSON_DEPTH_MAX, &err) < 0 ||
		transaction->json.nodes[0].type != JSON_ARRAY ||
		transaction->json.nodes[0].count != transaction->count)
		return failure_set(error, PIERRE_BAD_ANSWER,
			"invalid answer of daemon.transaction: it has not one result for each "
			"call");
	transaction->answers = calloc(transaction->count, sizeof *transaction->answers);
	if (transaction->answers == NULL)
		return transaction_no_memory(error);
	for (unsigned i = 0; i < transaction->count; i++) {
		transaction->answers[i] = (struct pierre_answer){.method = transaction->methods[i],
			.json = &transaction->json,
			.result = node};
		node = transaction->json.nodes[node].next;
	}
	return 0;
}

/* The params of daemon.transaction, with a final NUL, which the caller gives to drop_params. */
static int make_params(const struct pierre_transaction *transaction, struct buffer *params,
	struct pierre_error *error)
{
	json_add_object(params, NULL);
	json_add_array(params, "calls");
	buffer_join(params, &transaction->calls);
	json_add_end(params, ']');
	json_add_end(params, '}');
	buffer_byte(params, '\0');
	return params->failure == BUFFER_OK ? 0 : transaction_no_memory(error);
}

int64_t pierre_transaction_run_async(struct pierre *db,
	const struct pierre_transaction *transaction, pierre_done *done, void *userdata,
	struct pierre_error *error)
{
	struct buffer params = {0};
	int64_t number = make_params(transaction, &params, error);

	if (number == 0)
		number = pierre_call_async(
			db, transaction_method.name, params.data, done, userdata, error);
	drop_params(&params);
	return number;
}

int pierre_transaction_result(struct pierre_transaction *transaction,
	const struct pierre_answer *answer, struct pierre_error *error)
{
	char *text = NULL;
	int status;

	if (answer->method == NULL || strcmp(answer->method->name, transaction_method.name) != 0)
		return failure_set(error, PIERRE_MISUSE,
			"the answer belongs to a method other than %s", transaction_method.name);
	status = pierre_answer_json(answer, &text, error);
	return status != 0 ? status : take_results(transaction, text, error);
}

int pierre_transaction_run(
	struct pierre *db, struct pierre_transaction *transaction, struct pierre_error *error)
{
	struct buffer params = {0};
	char *text = NULL;
	int status = make_params(transaction, &params, error);

	if (status == 0)
		status = pierre_call(db, transaction_method.name, params.data, &text, error);
	drop_params(&params);
	return status != 0 ? status : take_results(transaction, text, error);
}

const struct pierre_answer *pierre_transaction_answer(
	const struct pierre_transaction *transaction, int index)
{
	if (transaction->answers == NULL || index < 0 || index >= (int)transaction->count)
		return NULL;
	return &transaction->answers[index];
}
