#include "transaction.h"

#include <stdio.h>
#include <string.h>

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

/* Two lines for each member: its answer, and the hash that its password is compared with. */
char *transaction_save(struct call *call, size_t *length)
{
	size_t size = 0;
	char *text, *end;

	for (unsigned i = 0; i < call->member_count; i++) {
		const struct call *member = &call->members[i];

		size += member->answer.length + 2;
		size += member->kept != NULL ? strlen(member->kept) : 0;
	}
	end = text = arena_alloc(&call->arena, size + 1);
	if (text == NULL) {
		execute_fail(call, ERR_INTERNAL, "out of memory; nothing of the call was stored");
		return NULL;
	}
	for (unsigned i = 0; i < call->member_count; i++) {
		const struct call *member = &call->members[i];

		memcpy(end, member->answer.data, member->answer.length);
		end += member->answer.length;
		end += sprintf(end, "\n%s\n", member->kept != NULL ? member->kept : "");
	}
	*length = size;
	return text;
}

static bool restore_member(struct call *member, const char **text, const char *end)
{
	const char *answer = *text, *kept, *next;

	kept = memchr(answer, '\n', (size_t)(end - answer));
	next = kept != NULL ? memchr(kept + 1, '\n', (size_t)(end - kept) - 1) : NULL;
	if (next == NULL)
		return false;
	buffer_append(&member->answer, answer, (size_t)(kept - answer));
	kept++;
	if (next > kept) {
		member->kept = arena_copy(&member->arena, kept, (size_t)(next - kept));
		if (member->kept == NULL)
			return false;
	}
	*text = next + 1;
	return true;
}

int transaction_restore(struct call *call, const char *text, size_t length)
{
	const char *end = text + length;

	for (unsigned i = 0; i < call->member_count; i++)
		if (!restore_member(&call->members[i], &text, end))
			return execute_fail(call, ERR_INTERNAL,
				"the stored answer of a transaction cannot be read");
	return transaction_end(call);
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
