#include "diagnose.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "../../protocol/json/json_add.h"
#include "../base/log.h"
#include "../base/process.h"
#include "admin.h"
#include "db_servers.h"

enum diagnose_level { OK, WARN, FAIL };

#define SPACE_FAIL (UINT64_C(100) * 1024 * 1024)
#define SPACE_WARN (UINT64_C(5) * 1024 * 1024 * 1024)
#define WAL_WARN (UINT64_C(64) * 1024 * 1024)
enum { RESERVED_DESCRIPTORS = 64, RECENT_SECONDS = 60, CLOCK_STEP_SECONDS = 5, TEXT_MAX = 512 };

struct diagnose_report {
	const struct admin *admin;
	const struct settings *settings;
	struct store_stats store;
	struct store_version version;
	struct process_usage usage;
	struct buffer *out;
};

static void diagnose_add(struct diagnose_report *report, const char *name,
	enum diagnose_level level, const char *advice, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void diagnose_add(struct diagnose_report *report, const char *name,
	enum diagnose_level level, const char *advice, const char *format, ...)
{
	static const char *const names[] = {[OK] = "ok", [WARN] = "warn", [FAIL] = "fail"};
	char detail[TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);
	json_add_object(report->out, NULL);
	json_add_text(report->out, "name", name);
	json_add_text(report->out, "status", names[level]);
	json_add_text(
		report->out, "detail", utf8_valid(detail, strlen(detail)) ? detail : "(not UTF-8)");
	json_add_text(report->out, "advice", level == OK ? NULL : advice);
	json_add_end(report->out, '}');
}

static void look_at_key(struct diagnose_report *report)
{
	static const char *const sources[] = {
		"systemd's credential", "the configuration file", "the environment", "an option"};
	const struct settings *settings = report->settings;
	bool file = *settings->encryption_key_file != '\0';
	char fingerprint[17];

	seal_fingerprint(report->admin->seal, fingerprint);
	if (seal_locked(report->admin->seal))
		diagnose_add(report, "key", OK, NULL,
			"fingerprint %s, from %s; its memory is locked", fingerprint,
			file ? "a key file" : sources[settings->source[SETTING_ID_encryption_key]]);
	else
		diagnose_add(report, "key", WARN,
			"allow it to lock memory: LimitMEMLOCK=64K in the unit, or ulimit -l 64",
			"fingerprint %s; its memory is not locked and may go to the swap space",
			fingerprint);
}

static void look_at_binding(struct diagnose_report *report)
{
	switch (seal_format(report->admin->seal)) {
	case BINDING_NONE:
		diagnose_add(report, "token_format", OK, NULL,
			"unbound, as older servers read it: a token that was moved to another user "
			"opens, too; pierre-dbctl rotate-key --bind changes that");
		break;
	case BINDING_CHANGES:
		diagnose_add(report, "token_format", WARN,
			"run pierre-dbctl rotate-key until it has ended with 0",
			"the tokens are being bound to their users");
		break;
	case BINDING_ALL:
		diagnose_add(report, "token_format", OK, NULL,
			"bound: a token opens for its own user and provider alone");
		break;
	}
}

static void look_at_password_costs(struct diagnose_report *report)
{
	uint64_t users = password_cost_beyond(&report->admin->dispatcher->password_cost);
	uint64_t limit = (uint64_t)report->settings->bcrypt_cost_limit;

	if (users == 0)
		diagnose_add(report, "password_costs", OK, NULL,
			"no stored password hash costs more than bcrypt-cost-limit (%llu)",
			(unsigned long long)limit);
	else
		diagnose_add(report, "password_costs", WARN,
			"give these users new passwords, or raise bcrypt-cost-limit, "
			"which slows each check down; pierre-dbctl call get_password_costs "
			"counts them",
			"%llu users cannot log in: their password hash costs more than "
			"bcrypt-cost-limit (%llu)",
			(unsigned long long)users, (unsigned long long)limit);
}

/* Only needed while the key is being changed, and easily forgotten. */
static void look_at_previous_key(struct diagnose_report *report)
{
	const struct seal *previous = seal_previous(report->admin->seal);
	char fingerprint[17];

	if (previous == NULL)
		return;
	seal_fingerprint(previous, fingerprint);
	diagnose_add(report, "previous_key", WARN,
		"run pierre-dbctl rotate-key; once it has ended with 0, remove the previous key "
		"from the settings",
		"the key is being changed: the key with fingerprint %s is accepted, too",
		fingerprint);
}

/* Whether users other than its owner have access to a file. */
static void diagnose_look_at_file(struct diagnose_report *report, const char *name,
	const char *path, mode_t others, const char *advice)
{
	struct stat status;

	if (stat(path, &status) != 0)
		diagnose_add(report, name, WARN, "correct the path before the next start", "%s: %s",
			path, strerror(errno));
	else if ((status.st_mode & others) != 0 &&
		!(S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0))
		diagnose_add(report, name, WARN, advice, "%s can be %s by other users (mode %04o)",
			path, (status.st_mode & others & 022) != 0 ? "changed" : "read",
			(unsigned)status.st_mode & 07777);
	else if (status.st_uid != geteuid() && status.st_uid != 0)
		diagnose_add(report, name, WARN, "chown it to the daemon's user",
			"%s belongs to the user %u", path, (unsigned)status.st_uid);
	else
		diagnose_add(report, name, OK, NULL, "%s (mode %04o)", path,
			(unsigned)status.st_mode & 07777);
}

static void look_at_settings_files(struct diagnose_report *report)
{
	const struct settings *settings = report->settings;

	if (*settings->encryption_key_file != '\0')
		diagnose_look_at_file(report, "key_file", settings->encryption_key_file, 077,
			"chmod 600 it: the daemon does not start with it otherwise");
	if (settings->env_path != NULL && access(settings->env_path, F_OK) == 0)
		diagnose_look_at_file(report, "settings_file", settings->env_path, 077,
			"chmod 600 it: it may hold the key or a password");
}

static void look_at_space(struct diagnose_report *report, const char *folder)
{
	struct statvfs system;
	uint64_t left, all;
	enum diagnose_level level;

	if (statvfs(folder, &system) != 0) {
		diagnose_add(report, "disk_space", WARN, "create the folder", "%s: %s", folder,
			strerror(errno));
		return;
	}
	left = (uint64_t)system.f_bavail * system.f_frsize;
	all = (uint64_t)system.f_blocks * system.f_frsize;
	level = left < SPACE_FAIL ? FAIL : left < SPACE_WARN && left < all / 10 ? WARN : OK;
	if ((system.f_flag & ST_RDONLY) != 0)
		diagnose_add(report, "disk_space", FAIL, "mount it for writing: every write fails",
			"%s is mounted read-only", folder);
	else
		diagnose_add(report, "disk_space", level,
			"make room: writes fail with `storage` once it is used up",
			"%.1f GiB left in %s", (double)left / (1 << 30), folder);
}

static void look_at_sqlite(struct diagnose_report *report)
{
	const char *path = report->version.path, *slash;
	char folder[TEXT_MAX];
	bool large = report->store.wal_bytes > WAL_WARN;

	if (path == NULL) {
		diagnose_add(report, "database_file", WARN, "use a file for data that must be kept",
			"the database is only in memory");
		return;
	}
	slash = strrchr(path, '/');
	(void)snprintf(folder, sizeof folder, "%.*s",
		slash == NULL || slash == path ? 1 : (int)(slash - path),
		slash == NULL ? "." : path);
	diagnose_look_at_file(
		report, "database_file", path, 077, "chmod 600 it: it holds password hashes");
	diagnose_look_at_file(report, "database_folder", folder, 022,
		"chmod go-w it: others could replace the database");
	if (report->version.warning != NULL)
		diagnose_add(report, "database_place", WARN,
			"put the whole folder on one local disk or volume", "%s",
			report->version.warning);
	look_at_space(report, folder);
	diagnose_add(report, "wal", large ? WARN : OK,
		"a long read of another program (sqlite3, a copy) keeps it from shrinking: "
		"`fuser FILE` finds it",
		"the write-ahead log has %.1f MiB; %llu checkpoints, %llu of them blocked",
		(double)report->store.wal_bytes / (1 << 20),
		(unsigned long long)report->store.checkpoints,
		(unsigned long long)report->store.checkpoint_busy);
}

static void look_at_pool(struct diagnose_report *report)
{
	const struct store_stats *store = &report->store;
	bool full = store->connections_active == store->connections_max &&
		store->queued > store->connections_max;

	diagnose_add(report, "connections", full ? WARN : OK,
		"raise the setting pool, or look for what is slow: `pierre-dbctl top`",
		"%u in use, %u idle, %u connecting, max. %u; %u calls wait",
		store->connections_active, store->connections_idle, store->connections_connecting,
		store->connections_max, store->queued);
}

static void look_at_timeline(struct diagnose_report *report)
{
	if (*report->store.gone_back != '\0')
		diagnose_add(report, "timeline", FAIL,
			"find the server that has the lost writes before its data is removed; "
			"restart the daemon to go on without them",
			"%s", report->store.gone_back);
	else if (report->store.timeline == 0)
		diagnose_add(report, "timeline", OK, NULL,
			"the server is a standby, or does not tell its timeline");
	else
		diagnose_add(report, "timeline", OK, NULL, "the primary is on timeline %llu",
			(unsigned long long)report->store.timeline);
}

/* Whether reads can be split as the settings say. */
static void look_at_standbys(struct diagnose_report *report)
{
	struct db_servers servers;
	char detail[DB_SERVERS_TEXT_MAX];

	db_servers_ask(&servers, report->admin->store, report->settings);
	if (servers.count == 0) {
		if (report->settings->read_from != READ_FROM_PRIMARY)
			diagnose_add(report, "standbys", WARN, "remove the setting read-from",
				"no standbys are read: this database has none");
		return;
	}
	(void)db_servers_complaint(&servers, detail);
	if (*detail == '\0')
		diagnose_add(report, "standbys", OK, NULL, "%u of %u can be read", servers.usable,
			servers.standbys);
	else
		diagnose_add(report, "standbys", WARN,
			servers.standbys == 0
				? "name hosts with standbys in the database URL or in standby-url, "
				  "or remove the setting read-from"
				: "see the findings on each server; the primary answers meanwhile",
			"%s", detail);
	for (unsigned i = 0; i < servers.count; i++) {
		const char *advice = db_servers_finding(&servers, &servers.of[i], detail);

		diagnose_add(report, "server", advice == NULL ? OK : WARN, advice, "%s", detail);
	}
}

static void look_at_errors(struct diagnose_report *report)
{
	int64_t age = (timestamp_now() - report->store.last_error_at) / 1000000;
	char at[TIMESTAMP_TEXT_MAX];

	if (*report->store.last_error == '\0') {
		diagnose_add(report, "last_error", OK, NULL,
			"the database has had no errors since the start");
		return;
	}
	(void)timestamp_format(report->store.last_error_at, at);
	diagnose_add(report, "last_error", age < RECENT_SECONDS ? WARN : OK,
		"`pierre-dbctl health` shows whether it lasts", "%s: %.300s", at,
		report->store.last_error);
}

static void look_at_limits(struct diagnose_report *report)
{
	const struct process_usage *usage = &report->usage;
	uint64_t need = report->settings->connections + report->store.connections_max +
		RESERVED_DESCRIPTORS;
	unsigned clients = report->admin->server->set.count;
	struct rlimit core = {0};

	if (usage->descriptor_limit < need)
		diagnose_add(report, "descriptors", WARN,
			"raise LimitNOFILE= in the unit (ulimit -n), or lower connections",
			"the limit is %llu open files; the max. number of clients needs %llu",
			(unsigned long long)usage->descriptor_limit, (unsigned long long)need);
	else
		diagnose_add(report, "descriptors", OK, NULL, "%llu of at most %llu files are open",
			(unsigned long long)usage->descriptors,
			(unsigned long long)usage->descriptor_limit);
	diagnose_add(report, "clients",
		clients * 10 > report->settings->connections * 9 ? WARN : OK,
		"`pierre-dbctl clients` lists them; raise connections if all are wanted",
		"%u of at most %llu", clients, (unsigned long long)report->settings->connections);
	(void)getrlimit(RLIMIT_CORE, &core);
	diagnose_add(report, "core_dumps", core.rlim_cur == 0 ? OK : WARN,
		"set LimitCORE=0: a core dump would hold the key", "%s",
		core.rlim_cur == 0 ? "disabled" : "enabled");
}

static void look_at_socket(struct diagnose_report *report)
{
	const struct socket *socket = report->admin->server->socket;
	const struct settings *settings = report->settings;
	struct stat status;

	if (!socket_in_place(socket))
		diagnose_add(report, "socket", FAIL,
			"restart the daemon: no new client can connect",
			"%s was removed or replaced", socket->path);
	else if (stat(socket->path, &status) == 0 && (status.st_mode & 002) != 0 &&
		settings->default_role > ROLE_READ)
		diagnose_add(report, "socket", WARN,
			"narrow socket-mode or default-role: every user of this machine can call",
			"%s is open to everyone (mode %04o), with the role %s", socket->path,
			(unsigned)status.st_mode & 07777,
			role_name((enum role)settings->default_role));
	else
		diagnose_add(report, "socket", OK, NULL, "%s%s", socket->path,
			socket->inherited ? ", held by systemd" : "");
}

/* Deadlines do not depend on the wall clock; what is stored does. */
static void diagnose_look_at_clock(struct diagnose_report *report)
{
	double up = (double)(uv_hrtime() - report->admin->started_at) / 1e9;
	double by_wall = (double)(timestamp_now() - report->admin->started_wall) / 1e6,
	       step = by_wall - up;

	if (step > CLOCK_STEP_SECONDS || step < -CLOCK_STEP_SECONDS)
		diagnose_add(report, "clock", WARN,
			"check the time service (timedatectl): stored times and expiries follow "
			"the clock",
			"it was changed by %.0f s since the daemon's start", step);
	else
		diagnose_add(report, "clock", OK, NULL, "steady since the start");
}

static void look_at_state(struct diagnose_report *report)
{
	const struct pause *pause = &report->admin->dispatcher->pause;
	uint64_t lost = log_dropped();

	diagnose_add(
		report, "schema", OK, NULL, "migration %lld", (long long)report->version.schema);
	if (pause->paused)
		diagnose_add(report, "paused", WARN, "`pierre-dbctl resume` lets calls go on",
			"%u calls wait", pause->count);
	diagnose_add(report, "log", lost > 0 ? WARN : OK,
		"the reader of the log is too slow: find out why", "%llu lines, %llu of them lost",
		(unsigned long long)log_lines(), (unsigned long long)lost);
}

int diagnose_daemon(
	struct admin *admin, const struct method_input *input, struct buffer *out, struct err *err)
{
	struct diagnose_report report = {
		.admin = admin, .settings = admin->runtime->settings, .out = out};

	(void)input;
	(void)err;
	admin->store->ops->stats(admin->store, &report.store);
	admin->store->ops->version(admin->store, &report.version);
	process_usage(&report.usage);
	json_add_object(out, NULL);
	json_add_array(out, "findings");
	look_at_key(&report);
	look_at_previous_key(&report);
	look_at_binding(&report);
	look_at_password_costs(&report);
	look_at_settings_files(&report);
	if (strcmp(admin->store->ops->name, "sqlite") == 0) {
		look_at_sqlite(&report);
	} else {
		look_at_pool(&report);
		look_at_timeline(&report);
	}
	look_at_standbys(&report);
	look_at_errors(&report);
	look_at_limits(&report);
	look_at_socket(&report);
	diagnose_look_at_clock(&report);
	look_at_state(&report);
	json_add_end(out, ']');
	json_add_end(out, '}');
	return 0;
}
