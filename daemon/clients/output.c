#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { MAX_PIECES = 32 };

struct large {
	struct list link;
	struct buffer line;
};

void output_init(struct output *output)
{
	*output = (struct output){.sent = 0};
	list_init(&output->large);
}

static void wiped_free(struct buffer *buffer)
{
	buffer_wipe(buffer);
	buffer_free(buffer);
}

static void drop_first_large(struct output *output)
{
	struct large *large = list_entry(list_first(&output->large), struct large, link);

	output->large_bytes -= large->line.length;
	output->large_held -= large->line.capacity;
	output->large_sent = 0;
	list_remove(&large->link);
	wiped_free(&large->line);
	free(large);
}

void output_free(struct output *output)
{
	while (!list_empty(&output->large))
		drop_first_large(output);
	wiped_free(&output->text);
	output->sent = 0;
}

struct buffer *output_text(struct output *output, struct output_spares *spares)
{
	if (output->text.data == NULL && output->text.failure == BUFFER_OK && spares->count > 0)
		output->text = spares->buffers[--spares->count];
	return &output->text;
}

void output_add(struct output *output, struct output_spares *spares, struct buffer *line)
{
	struct large *large = line->length >= OUTPUT_LARGE ? malloc(sizeof *large) : NULL;

	if (large == NULL) {
		buffer_append(output_text(output, spares), line->data, line->length);
		return;
	}
	large->line = *line;
	large->line.cap = 0;
	*line = (struct buffer){.cap = line->cap};
	list_append(&output->large, &large->link);
	output->large_bytes += large->line.length;
	output->large_held += large->line.capacity;
}

/* A large line that was begun comes first, then the text, then the other large ones. */
static int daemon_output_gather(struct output *output, struct iovec *pieces)
{
	size_t text = output->text.length - output->sent;
	bool begun = output->large_sent > 0;
	int n = 0;

	if (text > 0 && !begun)
		pieces[n++] = (struct iovec){output->text.data + output->sent, text};
	list_for_each (node, &output->large) {
		struct buffer *line = &list_entry(node, struct large, link)->line;
		size_t skip = begun && n == 0 ? output->large_sent : 0;

		if (n == MAX_PIECES)
			return n;
		pieces[n++] = (struct iovec){line->data + skip, line->length - skip};
		if (skip > 0 && text > 0)
			pieces[n++] = (struct iovec){output->text.data + output->sent, text};
	}
	return n;
}

static void daemon_output_account(struct output *output, size_t n)
{
	while (n > 0) {
		size_t text = output->text.length - output->sent, left;

		if (output->large_sent == 0 && text > 0) {
			left = n < text ? n : text;
			output->sent += left;
		} else {
			struct large *large =
				list_entry(list_first(&output->large), struct large, link);

			left = large->line.length - output->large_sent;
			if (left > n) {
				output->large_sent += n;
				return;
			}
			drop_first_large(output);
		}
		n -= left;
	}
}

/* A client that always lags a little must not make the buffer grow without bound. */
static void daemon_output_compact(struct output *output)
{
	struct buffer *text = &output->text;

	if (output->sent < OUTPUT_LARGE || output->sent < text->length / 2)
		return;
	text->length -= output->sent;
	memmove(text->data, text->data + output->sent, text->length);
	explicit_bzero(text->data + text->length, output->sent);
	output->sent = 0;
}

/* Nothing is unsent: the buffer goes back to the spares, wiped, or is freed when they are many or
 * it is large. */
static void daemon_output_return(struct output *output, struct output_spares *spares)
{
	struct buffer *text = &output->text;

	output->sent = 0;
	if (text->data == NULL)
		return;
	explicit_bzero(text->data, text->length);
	text->length = 0;
	if (spares->count < OUTPUT_SPARES && text->capacity <= OUTPUT_SPARE_BYTES) {
		spares->buffers[spares->count++] = *text;
		*text = (struct buffer){.cap = 0};
	} else {
		buffer_free(text);
	}
}

enum output_result output_write(
	struct output *output, struct output_spares *spares, int fd, size_t *sent)
{
	struct iovec pieces[MAX_PIECES + 1];

	*sent = 0;
	if (output->text.failure != BUFFER_OK)
		return OUTPUT_FAILED;
	while (output_pending(output) > 0) {
		struct msghdr message = {.msg_iov = pieces,
			.msg_iovlen = (size_t)daemon_output_gather(output, pieces)};
		ssize_t n = message.msg_iovlen == 1
			? send(fd, pieces[0].iov_base, pieces[0].iov_len,
				  MSG_NOSIGNAL | MSG_DONTWAIT)
			: sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
			return OUTPUT_FAILED;
		if (n < 0) {
			daemon_output_compact(output);
			return OUTPUT_BLOCKED;
		}
		daemon_output_account(output, (size_t)n);
		*sent += (size_t)n;
		if (*sent >= OUTPUT_SHARE && output_pending(output) > 0)
			return OUTPUT_BLOCKED;
	}
	daemon_output_return(output, spares);
	return OUTPUT_DONE;
}

void output_spares_free(struct output_spares *spares)
{
	while (spares->count > 0)
		buffer_free(&spares->buffers[--spares->count]);
}
