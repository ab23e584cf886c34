/* The methods that the daemon answers itself: daemon.* and rpc.discover. Thread: the loop thread.
 */
#ifndef PIERRE_DAEMON_METHODS_H
#define PIERRE_DAEMON_METHODS_H

#include "../../protocol/buffer.h"
#include "../../protocol/catalog.h"
#include "../../protocol/error.h"

struct connection;
struct daemon;
struct value;

/* Who asks, and the parameters in their order. */
struct method_input {
	const struct connection *caller;
	const struct value *params;
};

typedef int (*daemon_method)(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err);

void daemon_methods_init(void);
/* Appends the result's JSON text. NULL for daemon.health, whose answer comes later. */
daemon_method daemon_method_of(const struct method *method);

/* admin_methods.c, diagnose.c */
int admin_methods_clients(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err);
int admin_methods_config(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err);
int admin_methods_reload(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err);
int admin_methods_pause(struct daemon *daemon, const struct method_input *input, struct buffer *out,
	struct err *err);
int admin_methods_backup(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err);
int admin_methods_backup_state(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err);
int admin_methods_resume(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err);
int diagnose_daemon(struct daemon *daemon, const struct method_input *input, struct buffer *out,
	struct err *err);

#endif
