#include "transaction.h"

#include <stdio.h>

#include "execute.h"

static void transaction_fail(struct call *member)
{
	struct call *call = member->within;
	unsigned place = (unsigned)(member - call->members);

	buffer_cut(&call->answer, call->answer_start);
	call->err = member->err;
	call->err.index = place + 1;
	if (*member->err.path != '\0')
		(void)snprintf(call->err.path, sizeof call->err.path, "calls[%u].params.%.130s",
			place, member->err.path);
}

/* The results up to this one, with all brackets and commas. */
static size_t length_up_to(const struct call *member)
{
	const struct call *call = member->within;
	size_t length = call->answer_start + call->member_count + 1;

	for (const struct call *one = call->members; one <= member; one++)
		length += one->answer.length;
	return length;
}

bool transaction_goes_on(struct call *member)
{
	size_t limit = member->within->answer.cap;

	if (member->err.kind == ERR_NONE && limit != 0 && length_up_to(member) > limit)
		(void)execute_fail(member, ERR_TOO_LARGE,
			"the answer of the transaction is larger than the limit of %zu bytes",
			limit);
	if (member->err.kind == ERR_NONE)
		return true;
	transaction_fail(member);
	return false;
}

int transaction_end(struct call *call)
{
	struct buffer *answer = &call->answer;

	call->rows = 0;
	buffer_cut(answer, call->answer_start);
	for (unsigned i = 0; i < call->member_count; i++) {
		struct call *member = &call->members[i];

		if (!transaction_goes_on(member))
			return -1;
		buffer_byte(answer, i == 0 ? '[' : ',');
		buffer_join(answer, &member->answer);
		call->rows += member->rows;
	}
	buffer_byte(answer, ']');
	if (answer->failure != BUFFER_OK)
		return execute_fail(call, ERR_INTERNAL, "out of memory");
	return 0;
}

void transaction_free(struct call *call)
{
	for (unsigned i = 0; i < call->member_count; i++) {
		struct buffer *answer = &call->members[i].answer;

		arena_free(&call->members[i].arena);
		if (answer->data != NULL)
			buffer_wipe(answer);
		buffer_free(answer);
	}
	call->members = NULL;
	call->member_count = 0;
}

size_t transaction_bytes(const struct call *call)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < call->member_count; i++)
		bytes += call->members[i].arena.total + call->members[i].answer.capacity;
	return bytes;
}
