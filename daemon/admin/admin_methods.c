#include "admin_methods.h"

#include <stdlib.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "../../protocol/json/json_add.h"
#include "../base/log.h"
#include "admin.h"

static void write_client(
	const struct connection *connection, bool self, uint64_t now, struct buffer *out)
{
	const struct account *account = &connection->scheduled.account;
	/* The line that asks carries the clock of before its answer, which may be a little newer
	 * than now. */
	uint64_t idle = now > connection->heard_at ? now - connection->heard_at : 0;

	json_add_object(out, NULL);
	json_add_count(out, "id", connection->scheduled.number);
	json_add_bool(out, "self", self);
	json_add_count(out, "uid", connection->uid);
	json_add_count(out, "gid", connection->gid);
	json_add_integer(out, "pid", connection->pid);
	json_add_text(out, "role", role_name(connection->role));
	json_add_real(out, "connected_seconds", (double)(now - connection->opened_at) / 1e9);
	json_add_real(out, "idle_seconds", (double)idle / 1e9);
	json_add_count(out, "lines", connection->lines);
	json_add_count(out, "bytes_in", connection->bytes_in);
	json_add_count(out, "bytes_out", connection->bytes_out);
	json_add_count(out, "in_flight", connection->scheduled.in_flight);
	json_add_count(out, "unsent_bytes", self ? 0 : output_pending(&connection->output));
	json_add_count(out, "memory_bytes", account->held);
	json_add_count(out, "memory_peak_bytes", account->peak);
	json_add_bool(out, "reading", (connection->events & UV_READABLE) != 0);
	json_add_end(out, '}');
}

int admin_methods_clients(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	uint64_t now = uv_hrtime(), limit = admin->runtime->settings->answer_limit;
	size_t start = out->length;

	json_add_object(out, NULL);
	json_add_array(out, "clients");
	list_for_each (node, &admin->server->set.connections) {
		const struct connection *connection = list_entry(node, struct connection, link);

		if (connection_alive(connection))
			write_client(connection, connection == input->caller, now, out);
	}
	json_add_end(out, ']');
	json_add_end(out, '}');
	if (out->length - start > limit)
		return err_set(err, ERR_TOO_LARGE,
			"the answer is larger than the limit of %llu bytes",
			(unsigned long long)limit);
	return 0;
}

int admin_methods_config(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	const char *file = admin->runtime->settings->env_path;

	(void)input;
	(void)err;
	json_add_object(out, NULL);
	json_add_text(out, "file", file != NULL && utf8_valid(file, strlen(file)) ? file : NULL);
	json_add_name(out, "settings");
	settings_text_write_list(admin->runtime->settings, out);
	json_add_end(out, '}');
	return 0;
}

/* "a,b" -> ["a","b"] */
static void write_names(struct buffer *out, const char *key, const char *names)
{
	json_add_array(out, key);
	while (*names != '\0') {
		size_t length = strcspn(names, ",");

		json_add_name(out, NULL);
		json_write_string(out, names, length);
		names += length + (names[length] == ',');
	}
	json_add_end(out, ']');
}

int admin_methods_reload(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	struct settings_changes changes = {0};
	struct err problem = {0};
	bool good = false;

	(void)input;
	(void)err;
	if (admin->dispatcher->stopping)
		(void)err_set(&problem, ERR_SHUTTING_DOWN, "the daemon is stopping");
	else
		good = admin->reload(admin->owner, &changes, &problem) == 0;
	json_add_object(out, NULL);
	json_add_bool(out, "reloaded", good);
	json_add_text(out, "error", good ? NULL : problem.message);
	write_names(out, "changed", good ? changes.taken : "");
	write_names(out, "need_restart", good ? changes.restart : "");
	json_add_end(out, '}');
	return 0;
}

static void write_pause(const struct dispatcher *dispatcher, struct buffer *out)
{
	const struct pause *pause = &dispatcher->pause;

	json_add_object(out, NULL);
	json_add_bool(out, "paused", pause->paused);
	json_add_count(out, "under_way", dispatcher->in_flight - pause->count);
	json_add_count(out, "waiting", pause->count);
	json_add_end(out, '}');
}

int admin_methods_pause(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	(void)input;
	(void)err;
	pause_begin(&admin->dispatcher->pause, admin->dispatcher->in_flight);
	admin->store->ops->pause(admin->store, true);
	write_pause(admin->dispatcher, out);
	return 0;
}

int admin_methods_resume(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	(void)input;
	(void)err;
	pause_end(&admin->dispatcher->pause);
	admin->store->ops->pause(admin->store, false);
	write_pause(admin->dispatcher, out);
	return 0;
}

/* PostgreSQL is copied by its own program, wherever that runs. */
static void write_no_backup(struct buffer *out)
{
	json_add_integer(out, "number", 0);
	json_add_text(out, "state", "none");
	json_add_text(out, "path", NULL);
	json_add_integer(out, "pages", 0);
	json_add_integer(out, "pages_done", 0);
	json_add_real(out, "seconds", 0);
	json_add_integer(out, "bytes", 0);
	json_add_json(out, "tables", "{}");
	json_add_text(
		out, "error", "a PostgreSQL database is copied by pg_dump, not by the daemon");
}

static void write_backup(struct store *store, bool began, struct buffer *out)
{
	json_add_object(out, NULL);
	json_add_bool(out, "began", began);
	if (store->ops->backup_state != NULL) {
		buffer_byte(out, ',');
		store->ops->backup_state(store, out);
	} else {
		write_no_backup(out);
	}
	json_add_end(out, '}');
}

int admin_methods_backup(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	const struct value *path = &input->params[0], *force = &input->params[1];
	struct store *store = admin->store;
	char *name = strndup(path->s.ptr, path->s.len);
	bool began = false;
	int result = 0;

	if (name == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (store->ops->backup != NULL)
		result = store->ops->backup(store, name, force->i != 0, &began, err);
	if (began && result == 0)
		log_event(LOG_NOTICE, "backup started", log_text("path", name),
			log_number("uid", input->caller->uid));
	if (result == 0)
		write_backup(store, began, out);
	free(name);
	return result;
}

int admin_methods_backup_state(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	(void)input;
	(void)err;
	write_backup(admin->store, false, out);
	return 0;
}
