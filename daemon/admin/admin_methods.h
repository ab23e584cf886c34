/* The methods of those who administer the daemon: clients, settings, reloading, pausing, backups.
 * Thread: the loop thread. */
#ifndef PIERRE_ADMIN_METHODS_H
#define PIERRE_ADMIN_METHODS_H

#include "../calls/own_method.h"

int admin_methods_clients(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err);
int admin_methods_config(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err);
int admin_methods_reload(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err);
int admin_methods_pause(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err);
int admin_methods_resume(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err);
int admin_methods_backup(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err);
int admin_methods_backup_state(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err);

#endif
