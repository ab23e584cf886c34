/* daemon.diagnose: what commonly goes wrong around a daemon, seen from inside, with what to do
 * about it.
 *
 * It looks at a handful of files on the loop's thread; that is a matter of microseconds, and only
 * administrators may ask. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "../../protocol/json/json.h"
#include "../loop/daemon.h"
#include "daemon_methods.h"
#include "../loop/log.h"
#include "../loop/process.h"

enum level { OK, WARN, FAIL };

#define SPACE_FAIL (UINT64_C(100) * 1024 * 1024)
#define SPACE_WARN (UINT64_C(5) * 1024 * 1024 * 1024)
#define WAL_WARN (UINT64_C(64) * 1024 * 1024)
enum { RESERVED_DESCRIPTORS = 64, RECENT_SECONDS = 60, CLOCK_STEP_SECONDS = 5, TEXT_MAX = 512 };

struct report {
	struct daemon *daemon;
	struct store_stats store;
	struct store_version version;
	struct process_usage usage;
	struct buffer *out;
	bool first;
};

static void add_text(struct report *report, const char *key, const char *text)
{
	buffer_text(report->out, key);
	if (text == NULL)
		buffer_text(report->out, "null");
	else if (utf8_valid(text, strlen(text)))
		json_write_string(report->out, text, strlen(text));
	else
		buffer_text(report->out, "\"(not UTF-8)\"");
}

static void diagnose_add(struct report *report, const char *name, enum level level,
	const char *advice, const char *format, ...) __attribute__((format(printf, 5, 6)));

static void diagnose_add(struct report *report, const char *name, enum level level,
	const char *advice, const char *format, ...)
{
	static const char *const names[] = {[OK] = "ok", [WARN] = "warn", [FAIL] = "fail"};
	char detail[TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);
	add_text(report, report->first ? "{\"name\":" : ",{\"name\":", name);
	add_text(report, ",\"status\":", names[level]);
	add_text(report, ",\"detail\":", detail);
	add_text(report, ",\"advice\":", level == OK ? NULL : advice);
	buffer_byte(report->out, '}');
	report->first = false;
}

static void look_at_key(struct report *report)
{
	static const char *const sources[] = {
		"systemd's credential", "the configuration file", "the environment", "an option"};
	const struct settings *settings = &report->daemon->settings;
	bool file = *settings->encryption_key_file != '\0';
	char fingerprint[17];

	seal_fingerprint(report->daemon->seal, fingerprint);
	if (seal_locked(report->daemon->seal))
		diagnose_add(report, "key", OK, NULL,
			"fingerprint %s, from %s; its memory is locked", fingerprint,
			file ? "a key file" : sources[settings->source[SETTING_ID_encryption_key]]);
	else
		diagnose_add(report, "key", WARN,
			"allow it to lock memory: LimitMEMLOCK=64K in the unit, or ulimit -l 64",
			"fingerprint %s; its memory is not locked and may go to the swap space",
			fingerprint);
}

static void look_at_password_costs(struct report *report)
{
	uint64_t users = password_cost_beyond(&report->daemon->password_cost);
	uint64_t limit = (uint64_t)report->daemon->settings.bcrypt_cost_limit;

	if (users == 0)
		diagnose_add(report, "password_costs", OK, NULL,
			"no stored password hash costs more than bcrypt-cost-limit (%llu)",
			(unsigned long long)limit);
	else
		diagnose_add(report, "password_costs", WARN,
			"give these users new passwords, or raise bcrypt-cost-limit, which slows each check down; "
			"pierre-dbctl call get_password_costs counts them",
			"%llu users cannot log in: their password hash costs more than bcrypt-cost-limit (%llu)",
			(unsigned long long)users, (unsigned long long)limit);
}

/* It is there while the key is being changed, and easily forgotten. */
static void look_at_previous_key(struct report *report)
{
	const struct seal *previous = seal_previous(report->daemon->seal);
	char fingerprint[17];

	if (previous == NULL)
		return;
	seal_fingerprint(previous, fingerprint);
	diagnose_add(report, "previous_key", WARN,
		"run pierre-dbctl rotate-key; when it has ended with 0, take the previous key out of the settings",
		"the key is being changed: fingerprint %s opens, too", fingerprint);
}

/* A file that others than its owner can get at. */
static void diagnose_look_at_file(struct report *report, const char *name, const char *path,
	mode_t others, const char *advice)
{
	struct stat status;

	if (stat(path, &status) != 0)
		diagnose_add(report, name, WARN, "see that the path is right before the next start",
			"%s: %s", path, strerror(errno));
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

static void look_at_settings_files(struct report *report)
{
	const struct settings *settings = &report->daemon->settings;

	if (*settings->encryption_key_file != '\0')
		diagnose_look_at_file(report, "key_file", settings->encryption_key_file, 077,
			"chmod 600 it: the daemon does not start with it otherwise");
	if (settings->env_path != NULL && access(settings->env_path, F_OK) == 0)
		diagnose_look_at_file(report, "settings_file", settings->env_path, 077,
			"chmod 600 it: it may hold the key or a password");
}

static void look_at_space(struct report *report, const char *folder)
{
	struct statvfs system;
	uint64_t left, all;
	enum level level;

	if (statvfs(folder, &system) != 0) {
		diagnose_add(report, "disk_space", WARN, "see that the folder is there", "%s: %s",
			folder, strerror(errno));
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

static void look_at_sqlite(struct report *report)
{
	const char *path = report->version.path, *slash;
	char folder[TEXT_MAX];
	bool large = report->store.wal_bytes > WAL_WARN;

	if (path == NULL) {
		diagnose_add(report, "database_file", WARN, "use a file for what is to be kept",
			"the database is in memory alone");
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
		"a long read of another program (sqlite3, a copy) keeps it from shrinking: `fuser FILE` finds it",
		"the write-ahead log has %.1f MiB; %llu checkpoints, %llu of them held up",
		(double)report->store.wal_bytes / (1 << 20),
		(unsigned long long)report->store.checkpoints,
		(unsigned long long)report->store.checkpoint_busy);
}

static void look_at_pool(struct report *report)
{
	const struct store_stats *store = &report->store;
	bool full = store->connections_active == store->connections_max &&
		store->queued > store->connections_max;

	diagnose_add(report, "connections", full ? WARN : OK,
		"raise the setting pool, or look for what is slow: `pierre-dbctl top`",
		"%u in use, %u idle, %u being made, at most %u; %u calls wait",
		store->connections_active, store->connections_idle, store->connections_connecting,
		store->connections_max, store->queued);
}

static void look_at_errors(struct report *report)
{
	int64_t age = (timestamp_now() - report->store.last_error_at) / 1000000;
	char at[TIMESTAMP_TEXT_MAX];

	if (*report->store.last_error == '\0') {
		diagnose_add(report, "last_error", OK, NULL,
			"the database has made no trouble since the start");
		return;
	}
	(void)timestamp_format(report->store.last_error_at, at);
	diagnose_add(report, "last_error", age < RECENT_SECONDS ? WARN : OK,
		"`pierre-dbctl health` tells whether it lasts", "%s: %.300s", at,
		report->store.last_error);
}

static void look_at_limits(struct report *report)
{
	const struct process_usage *usage = &report->usage;
	uint64_t need = report->daemon->settings.connections + report->store.connections_max +
		RESERVED_DESCRIPTORS;
	unsigned clients = report->daemon->server.count;
	struct rlimit core = {0};

	if (usage->descriptor_limit < need)
		diagnose_add(report, "descriptors", WARN,
			"raise LimitNOFILE= in the unit (ulimit -n), or lower the setting connections",
			"%llu files may be open; as many clients as the settings allow need %llu",
			(unsigned long long)usage->descriptor_limit, (unsigned long long)need);
	else
		diagnose_add(report, "descriptors", OK, NULL, "%llu files are open, %llu may be",
			(unsigned long long)usage->descriptors,
			(unsigned long long)usage->descriptor_limit);
	diagnose_add(report, "clients",
		clients * 10 > report->daemon->settings.connections * 9 ? WARN : OK,
		"`pierre-dbctl clients` tells whose they are; raise the setting connections if they are meant",
		"%u of at most %llu", clients,
		(unsigned long long)report->daemon->settings.connections);
	(void)getrlimit(RLIMIT_CORE, &core);
	diagnose_add(report, "core_dumps", core.rlim_cur == 0 ? OK : WARN,
		"set LimitCORE=0: a core would hold the key", "%s",
		core.rlim_cur == 0 ? "none are written" : "they are allowed");
}

static void look_at_socket(struct report *report)
{
	const struct socket *socket = &report->daemon->socket;
	const struct settings *settings = &report->daemon->settings;
	struct stat status;

	if (!socket_in_place(socket))
		diagnose_add(report, "socket", FAIL, "restart the daemon: nobody else can connect",
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
static void diagnose_look_at_clock(struct report *report)
{
	double up = (double)(uv_hrtime() - report->daemon->started_at) / 1e9;
	double by_wall = (double)(timestamp_now() - report->daemon->started_wall) / 1e6,
	       step = by_wall - up;

	if (step > CLOCK_STEP_SECONDS || step < -CLOCK_STEP_SECONDS)
		diagnose_add(report, "clock", WARN,
			"see that the time is kept (timedatectl): stored times and expiries follow it",
			"it was set by %.0f s since the daemon's start", step);
	else
		diagnose_add(report, "clock", OK, NULL, "steady since the start");
}

static void look_at_state(struct report *report)
{
	const struct daemon *daemon = report->daemon;
	uint64_t lost = log_dropped();

	diagnose_add(
		report, "schema", OK, NULL, "migration %lld", (long long)report->version.schema);
	if (daemon->pause.paused)
		diagnose_add(report, "paused", WARN, "`pierre-dbctl resume` lets calls go again",
			"%u calls wait", daemon->pause.count);
	diagnose_add(report, "log", lost > 0 ? WARN : OK,
		"whoever reads the log is too slow: see to it", "%llu lines, %llu of them lost",
		(unsigned long long)log_lines(), (unsigned long long)lost);
}

int diagnose_daemon(struct daemon *daemon, const struct method_input *input, struct buffer *out,
	struct err *err)
{
	struct report report = {.daemon = daemon, .out = out, .first = true};

	(void)input;
	(void)err;
	daemon->store->ops->stats(daemon->store, &report.store);
	daemon->store->ops->version(daemon->store, &report.version);
	process_usage(&report.usage);
	buffer_text(out, "{\"findings\":[");
	look_at_key(&report);
	look_at_previous_key(&report);
	look_at_password_costs(&report);
	look_at_settings_files(&report);
	if (strcmp(daemon->store->ops->name, "sqlite") == 0)
		look_at_sqlite(&report);
	else
		look_at_pool(&report);
	look_at_errors(&report);
	look_at_limits(&report);
	look_at_socket(&report);
	diagnose_look_at_clock(&report);
	look_at_state(&report);
	buffer_text(out, "]}");
	return 0;
}
