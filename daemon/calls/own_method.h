/* A method that the daemon answers itself, such as daemon.ping. Thread: the loop thread. */
#ifndef PIERRE_OWN_METHOD_H
#define PIERRE_OWN_METHOD_H

#include "../../protocol/buffer.h"
#include "../../protocol/error.h"
#include "../../protocol/value.h"

struct admin;
struct connection;
struct request;

/* Who asks, and the parameters in their order. */
struct method_input {
	const struct connection *caller;
	const struct value *params;
};

/* All NULL: the store runs it. */
struct own_method {
	/* Appends the result's JSON text. */
	int (*answer)(struct admin *admin, const struct method_input *input, struct buffer *out,
		struct err *err);
	/* Takes the request; finish_call answers it later. */
	void (*begin)(struct admin *admin, struct request *request);
	/* The same, when it is the request's turn among the calls of its connection. It holds back
	 * those behind it until it ends. */
	void (*in_turn)(struct admin *admin, struct request *request);
};

#endif
