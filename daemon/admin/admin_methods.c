/* The methods of those who administer the daemon: who is connected, the settings, reloading,
 * pausing. */
#include <stdlib.h>
#include <string.h>

#include "../../protocol/json/json.h"
#include "../clients/access.h"
#include "../clients/connection.h"
#include "../loop/daemon.h"
#include "daemon_methods.h"
#include "../loop/log.h"

static void write_integer(struct buffer *out, const char *key, uint64_t number)
{
	buffer_text(out, key);
	json_write_integer(out, (int64_t)number);
}

static void write_seconds(struct buffer *out, const char *key, uint64_t ns)
{
	buffer_text(out, key);
	json_write_real(out, (double)ns / 1e9);
}

static void write_client(
	const struct connection *connection, bool self, uint64_t now, struct buffer *out)
{
	const char *role = role_name(connection->role);

	write_integer(out, "{\"id\":", connection->number);
	buffer_text(out, self ? ",\"self\":true" : ",\"self\":false");
	write_integer(out, ",\"uid\":", connection->uid);
	write_integer(out, ",\"gid\":", connection->gid);
	write_integer(out, ",\"pid\":", (uint64_t)connection->pid);
	buffer_text(out, ",\"role\":");
	json_write_string(out, role, strlen(role));
	write_seconds(out, ",\"connected_seconds\":", now - connection->opened_at);
	/* The line that asks carries the clock of before its answer, which may be a little newer
	 * than now. */
	write_seconds(out,
		",\"idle_seconds\":", now > connection->heard_at ? now - connection->heard_at : 0);
	write_integer(out, ",\"lines\":", connection->lines);
	write_integer(out, ",\"bytes_in\":", connection->bytes_in);
	write_integer(out, ",\"bytes_out\":", connection->bytes_out);
	write_integer(out, ",\"in_flight\":", connection->calls);
	write_integer(out, ",\"unsent_bytes\":", self ? 0 : output_pending(&connection->output));
	write_integer(out, ",\"memory_bytes\":", connection->account.held);
	write_integer(out, ",\"memory_peak_bytes\":", connection->account.peak);
	buffer_text(out,
		(connection->events & UV_READABLE) != 0 ? ",\"reading\":true}"
							: ",\"reading\":false}");
}

int admin_methods_clients(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	uint64_t now = uv_hrtime(), limit = daemon->settings.answer_limit;
	size_t start = out->length;
	bool first = true;

	buffer_text(out, "{\"clients\":[");
	list_for_each (node, &daemon->server.connections) {
		const struct connection *connection = list_entry(node, struct connection, link);

		if (!connection_alive(connection))
			continue;
		if (!first)
			buffer_byte(out, ',');
		first = false;
		write_client(connection, connection == input->caller, now, out);
	}
	buffer_text(out, "]}");
	if (out->length - start > limit)
		return err_set(err, ERR_TOO_LARGE,
			"the answer is larger than the limit of %llu bytes",
			(unsigned long long)limit);
	return 0;
}

int admin_methods_config(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	const char *file = daemon->settings.env_path;

	(void)input;
	(void)err;
	buffer_text(out, "{\"file\":");
	if (file != NULL && utf8_valid(file, strlen(file)))
		json_write_string(out, file, strlen(file));
	else
		buffer_text(out, "null");
	buffer_text(out, ",\"settings\":");
	settings_text_write_list(&daemon->settings, out);
	buffer_byte(out, '}');
	return 0;
}

/* "a,b" -> ["a","b"] */
static void write_names(struct buffer *out, const char *key, const char *names)
{
	bool first = true;

	buffer_text(out, key);
	buffer_byte(out, '[');
	while (*names != '\0') {
		size_t length = strcspn(names, ",");

		if (!first)
			buffer_byte(out, ',');
		first = false;
		json_write_string(out, names, length);
		names += length + (names[length] == ',');
	}
	buffer_byte(out, ']');
}

int admin_methods_reload(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	struct settings_changes changes = {0};
	struct err problem = {0};
	bool good = false;

	(void)input;
	(void)err;
	if (daemon->state != DAEMON_RUNNING)
		(void)err_set(&problem, ERR_SHUTTING_DOWN, "the daemon is stopping");
	else
		good = daemon_reload(daemon, &changes, &problem) == 0;
	buffer_text(out, good ? "{\"reloaded\":true,\"error\":" : "{\"reloaded\":false,\"error\":");
	if (good)
		buffer_text(out, "null");
	else
		json_write_string(out, problem.message, strlen(problem.message));
	write_names(out, ",\"changed\":", good ? changes.taken : "");
	write_names(out, ",\"need_restart\":", good ? changes.restart : "");
	buffer_byte(out, '}');
	return 0;
}

static void write_pause(const struct daemon *daemon, struct buffer *out)
{
	buffer_text(out, daemon->pause.paused ? "{\"paused\":true" : "{\"paused\":false");
	write_integer(out, ",\"under_way\":", daemon->dispatch.calls - daemon->pause.count);
	write_integer(out, ",\"waiting\":", daemon->pause.count);
	buffer_byte(out, '}');
}

int admin_methods_pause(struct daemon *daemon, const struct method_input *input, struct buffer *out,
	struct err *err)
{
	(void)input;
	(void)err;
	pause_begin(&daemon->pause);
	write_pause(daemon, out);
	return 0;
}

int admin_methods_resume(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	(void)input;
	(void)err;
	pause_end(&daemon->pause);
	write_pause(daemon, out);
	return 0;
}

/* PostgreSQL is copied by its own program, wherever that runs. */
static void write_backup(struct store *store, bool began, struct buffer *out)
{
	buffer_text(out, began ? "{\"began\":true," : "{\"began\":false,");
	if (store->ops->backup_state != NULL)
		store->ops->backup_state(store, out);
	else
		buffer_text(out,
			"\"number\":0,\"state\":\"none\",\"path\":null,\"pages\":0,\"pages_done\":0,\"seconds\":0.0,\"bytes\":0,"
			"\"tables\":{},\"error\":\"a PostgreSQL database is copied by pg_dump, not by the daemon\"");
	buffer_byte(out, '}');
}

int admin_methods_backup(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	const struct value *path = &input->params[0], *force = &input->params[1];
	struct store *store = daemon->store;
	char *name = strndup(path->s.ptr, path->s.len);
	bool began = false;
	int result = 0;

	if (name == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (store->ops->backup != NULL)
		result = store->ops->backup(store, name, force->i != 0, &began, err);
	if (began && result == 0)
		log_event(LOG_NOTICE, "a backup begins", log_text("path", name),
			log_number("uid", input->caller->uid));
	if (result == 0)
		write_backup(store, began, out);
	free(name);
	return result;
}

int admin_methods_backup_state(struct daemon *daemon, const struct method_input *input,
	struct buffer *out, struct err *err)
{
	(void)input;
	(void)err;
	write_backup(daemon->store, false, out);
	return 0;
}
