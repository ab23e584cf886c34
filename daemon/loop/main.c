/* The program: from arguments to a running daemon, and the exit codes (sysexits.h). */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../backends/secrets/seal_key.h"
#include "../../backends/store_redact.h"
#include "daemon.h"
#include "../base/log.h"
#include "../base/process.h"
#include "../settings/key.h"
#include "notify.h"
#include "verify.h"

extern char **environ;

static struct daemon_parts self;

/* What one step of a migration may take on a large database. */
#define MIGRATION_STEP_US 600000000ULL

static int print_key(void)
{
	char text[45];

	seal_key_generate(text);
	(void)puts(text);
	sodium_memzero(text, sizeof text);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static int run_command(enum settings_command command)
{
	switch (command) {
	case COMMAND_HELP:
		settings_text_write_help(stdout);
		break;
	case COMMAND_HELP_MARKDOWN:
		settings_text_write_markdown(stdout);
		break;
	case COMMAND_VERSION:
		(void)puts("pierre-dbd " PIERRE_VERSION);
		break;
	case COMMAND_GENERATE_KEY:
		return print_key();
	case COMMAND_RUN:
	case COMMAND_CHECK_CONFIG:
	case COMMAND_CHECK_CONFIG_JSON:
	case COMMAND_MIGRATE_ONLY:
	case COMMAND_VERIFY:
	case COMMAND_VERIFY_JSON:
	case COMMAND_RESTORE:
	case COMMAND_RESTORE_JSON:
		break;
	}
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

/* The unit's RestartPreventExitStatus=: what another attempt does not mend. */
static bool is_lasting(int code)
{
	return code == EX_USAGE || code == EX_DATAERR || code == EX_NOPERM || code == EX_CONFIG;
}

static int start_failed(const struct err *err)
{
	int code = err->exit_code != 0 ? err->exit_code : EX_SOFTWARE;

	log_event(LOG_ERR, err->message, log_number("exit_code", code));
	notify_send("STATUS=%s\nERRNO=%d", err->message, EIO);
	if (is_lasting(code))
		socket_dismiss(&self.socket);
	socket_close(&self.socket);
	seal_free(self.seal);
	access_free(&self.access);
	settings_free(&self.settings);
	notify_close();
	log_stop();
	return code;
}

/* A stop that is asked for before the loop runs: there is nothing to drain. */
static void stop_early(int number)
{
	(void)number;
	socket_remove(&self.socket); /* NOLINT(bugprone-signal-handler): lstat and unlink, which a
	                                handler may call */
	_exit(EX_OK);
}

/* A step that waits is reported repeatedly: to systemd each time, to the log once. */
static void on_progress(const char *what)
{
	static char logged[64];

	if (strncmp(logged, what, sizeof logged - 1) != 0)
		log_event(LOG_INFO, "preparing the database", log_text("step", what));
	(void)snprintf(logged, sizeof logged, "%s", what);
	notify_send("STATUS=preparing the database: %s\nEXTEND_TIMEOUT_USEC=%llu", what,
		MIGRATION_STEP_US);
}

static unsigned reader_threads(void)
{
	unsigned cpus = process_cpus();

	if (self.settings.sqlite_readers != 0)
		return (unsigned)self.settings.sqlite_readers;
	return cpus < 2 ? 2 : cpus > 8 ? 8 : cpus;
}

/* The current month is counted by its rows when too few of them are rolled up. */
static uint64_t kept_usage(uint64_t retention)
{
	const uint64_t least = UINT64_C(32) * 24 * HOUR;

	if (retention == 0 || retention >= least)
		return retention;
	log_event(LOG_WARNING,
		"usage-retention is shorter than 32 days: usage rows of the last 32 days are kept");
	return least;
}

static int open_store(struct err *err)
{
	const struct settings *s = &self.settings;
	const struct store_settings store = {
		.url = s->database_url,
		.seal = self.seal,
		.migrate = s->migrate != 0,
		.readers = reader_threads(),
		.batch = (unsigned)s->batch,
		.checkpoint_pages = (unsigned)s->checkpoint_pages,
		.connections = (unsigned)s->pool,
		.min_connections = (unsigned)s->pool_min,
		.connect_timeout_ms = s->connect_timeout,
		.acquire_timeout_ms = s->acquire_timeout,
		.idle_timeout_ms = s->idle_timeout,
		.lifetime_ms = s->connection_lifetime,
		.usage_retention_ms = kept_usage(s->usage_retention),
		.wait_for_database_ms = s->wait_for_database,
		.read_from = (enum read_from)s->read_from,
		.standby_url = s->standby_url[0] != '\0' ? s->standby_url : NULL,
		.standby_lag_ms = s->standby_lag,
		.standby_wait_ms = s->standby_wait,
		.standby_outage_ms = s->standby_outage,
		.queue = (unsigned)s->pool_queue,
		.prepared_statements = s->prepared_statements != 0,
		.log = log_printf,
		.progress = on_progress,
	};

	return store_open(&self.store, &store, err);
}

/* The socket is locked and bound before the database is touched, so that of many daemons starting
 * at once one goes on. */
static int claim_socket(struct err *err)
{
	bool in_runtime;
	int inherited = socket_inherit(&self.socket, err);
	mode_t mode = (mode_t)self.settings.socket_mode;

	if (inherited <= 0)
		return inherited;
	if (socket_choose(&self.socket, self.settings.socket, true, &in_runtime, err) < 0)
		return -1;
	return socket_bind(&self.socket, mode != 0 ? mode : in_runtime ? 0660 : 0600, err);
}

static int check_standby_url(struct err *err)
{
	struct err inner;
	enum backend_id backend;

	if (self.settings.standby_url[0] == '\0')
		return 0;
	if (store_check_url(self.settings.standby_url, &backend, &inner) < 0)
		return err_exit(err, EX_CONFIG, "PIERRE_DBD_STANDBY_URL: %.300s", inner.message);
	return backend == BACKEND_POSTGRES
		? 0
		: err_exit(err, EX_CONFIG, "PIERRE_DBD_STANDBY_URL does not name PostgreSQL hosts");
}

/* URLs, roles, keys: what can be wrong without touching socket or database. */
static int check_settings(struct err *err)
{
	enum backend_id backend;

	if (store_check_url(self.settings.database_url, &backend, err) < 0 ||
		check_standby_url(err) < 0 ||
		access_parse(&self.access, self.settings.access,
			(enum role)self.settings.default_role, err) < 0)
		return -1;
	return key_load(&self.settings, getenv("CREDENTIALS_DIRECTORY"), &self.seal, err);
}

static void daemon_main_print_config(bool json)
{
	struct buffer text = {.cap = 0};

	if (!json) {
		settings_text_write_config(&self.settings, stdout);
		(void)printf("socket path: %s\n", self.socket.path);
		return;
	}
	settings_text_write_json(&self.settings, &text);
	(void)printf("%.*s\n", (int)text.length, text.data != NULL ? text.data : "");
	buffer_free(&text);
}

static int daemon_main_check_config(bool json)
{
	struct err err = {0};
	bool in_runtime;

	if (socket_choose(&self.socket, self.settings.socket, false, &in_runtime, &err) < 0)
		return start_failed(&err);
	/* Shown before the keys are read, which wipes them. */
	daemon_main_print_config(json);
	(void)fflush(stdout);
	daemon_log_warnings(&self.settings);
	if (check_settings(&err) < 0)
		return start_failed(&err);
	seal_free(self.seal);
	access_free(&self.access);
	settings_free(&self.settings);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static int daemon_main_start(struct err *err)
{
	if (check_settings(err) < 0)
		return -1;
	if (claim_socket(err) < 0 || open_store(err) < 0)
		return -1;
	if (socket_listen(&self.socket, err) < 0) {
		self.store->ops->close(self.store, 0);
		return -1;
	}
	return 0;
}

static void log_start_line(void)
{
	char url[512];

	store_redact_url(self.settings.database_url, url, sizeof url);
	log_event(LOG_NOTICE, "starting", log_text("version", PIERRE_VERSION),
		log_number("pid", getpid()), log_text("database", url));
}

/* For a role that owns the tables, where the daemon's own may not change them. */
static int migrate_only(void)
{
	struct store_version version;
	struct err err = {0};

	log_set_level(settings_log_level(&self.settings));
	log_start();
	daemon_log_warnings(&self.settings);
	self.settings.migrate = 1;
	if (open_store(&err) < 0)
		return start_failed(&err);
	self.store->ops->version(self.store, &version);
	(void)printf("the schema has version %lld\n", (long long)version.schema);
	self.store->ops->close(self.store, 0);
	log_stop();
	settings_free(&self.settings);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

/* --verify and --restore, which need URL and key, and no socket. */
static int run_on_database(enum settings_command command)
{
	bool json = command == COMMAND_VERIFY_JSON || command == COMMAND_RESTORE_JSON;
	struct err err = {0};
	int code;

	if (check_settings(&err) < 0)
		return start_failed(&err);
	if (command == COMMAND_VERIFY || command == COMMAND_VERIFY_JSON)
		code = verify_database(self.settings.database_url, self.seal, json, &err);
	else
		code = verify_restore(
			self.settings.database_url, self.settings.file, self.seal, json, &err);
	if (code < 0)
		return start_failed(&err);
	seal_free(self.seal);
	access_free(&self.access);
	settings_free(&self.settings);
	return code;
}

static int usage_error(const struct err *err)
{
	(void)fprintf(stderr, "pierre-dbd: %s\n", err->message);
	notify_send("STATUS=%s\nERRNO=%d", err->message, EINVAL);
	socket_dismiss(&self.socket);
	notify_close();
	settings_free(&self.settings);
	return err->exit_code;
}

static int daemon_main_run(void)
{
	struct daemon_end end;
	struct err err = {0};

	log_set_level(settings_log_level(&self.settings));
	log_start();
	(void)signal(SIGTERM, stop_early);
	(void)signal(SIGINT, stop_early);
	(void)signal(SIGHUP, SIG_IGN); /* until there is something to reload */
	log_start_line();
	daemon_log_warnings(&self.settings);
	if (daemon_main_start(&err) < 0)
		return start_failed(&err);
	daemon_run(&self, &end);
	if (self.store != NULL)
		self.store->ops->close(self.store, end.close_by);
	socket_close(&self.socket);
	seal_free(self.seal);
	log_event(LOG_NOTICE, "stopped", log_number("exit_code", end.exit_code));
	notify_close();
	log_stop();
	if (end.abandoned)
		_exit(end.exit_code); /* threads may still work on what was given up */
	access_free(&self.access);
	settings_free(&self.settings);
	return end.exit_code;
}

int main(int argc, char **argv)
{
	enum settings_command command;
	struct err err = {0};
	int result;

	process_harden();
	socket_init(&self.socket);
	if (sodium_init() < 0) {
		(void)fputs("pierre-dbd: the cryptographic library cannot be set up\n", stderr);
		return EX_UNAVAILABLE;
	}
	notify_init(); /* so that systemctl status tells what is wrong with the settings, too */
	result = settings_read(
		&self.settings, argc, argv, environ, !notify_is_service(), &command, &err);
	process_scrub(argv, environ);
	if (result < 0 && err.exit_code == EX_USAGE)
		return usage_error(&err);
	if (result < 0)
		return start_failed(&err);
	if (command == COMMAND_CHECK_CONFIG || command == COMMAND_CHECK_CONFIG_JSON)
		return daemon_main_check_config(command == COMMAND_CHECK_CONFIG_JSON);
	if (command == COMMAND_MIGRATE_ONLY)
		return migrate_only();
	if (command == COMMAND_VERIFY || command == COMMAND_VERIFY_JSON ||
		command == COMMAND_RESTORE || command == COMMAND_RESTORE_JSON)
		return run_on_database(command);
	if (command != COMMAND_RUN) {
		settings_free(&self.settings);
		return run_command(command);
	}
	return daemon_main_run();
}
