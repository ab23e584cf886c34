/* pierre-dbctl doctor: checks everything between a caller and the data, and suggests fixes. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <jansson.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../columns.h"
#include "../options.h"
#include "../terminal.h"
#include "../output.h"
#include "../connect.h"
#include "sqlite_url.h"
#include "wire/socket_place.h"
#include "../catalog/tree.h"

enum { DETAIL_MAX = 512, PATIENCE_S = 5, SETTINGS_MAX = 64 * 1024, SAID_MAX = 4096 };

#define SERVICE_SETTINGS "/etc/pierre-dbd/pierre-dbd.conf"
#define SERVICE_KEY "/etc/pierre-dbd/encryption.key"

struct doctor {
	struct ctl *ctl;
	json_t *findings;
	char path[256];
	bool failed, warned;
};

/* status: "ok", "warn" or "fail"; advice: for the last two. */
static void doctor_add(struct doctor *doctor, const char *name, const char *status,
	const char *advice, const char *format, ...) __attribute__((format(printf, 5, 6)));

static void doctor_add(struct doctor *doctor, const char *name, const char *status,
	const char *advice, const char *format, ...)
{
	char detail[DETAIL_MAX];
	va_list arguments;
	bool good = strcmp(status, "ok") == 0;

	va_start(arguments, format);
	(void)vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);
	doctor->failed |= strcmp(status, "fail") == 0;
	doctor->warned |= strcmp(status, "warn") == 0;
	for (char *at = detail; *at != '\0'; at++)
		if ((*at & 0x80) != 0)
			*at = '?'; /* JSON cannot represent a path in another encoding */
	(void)json_array_append_new(doctor->findings,
		json_pack("{ss ss ss ss?}", "name", name, "status", status, "detail", detail,
			"advice", good ? NULL : advice));
}

static bool is_system(const struct doctor *doctor)
{
	return strcmp(doctor->path, SOCKET_PLACE_SYSTEM) == 0;
}

static bool find_path(struct doctor *doctor)
{
	const char *from = "the default", *named = getenv("PIERRE_DBD_SOCKET");
	struct socket_place place;
	struct pierre_error error;

	if (doctor->ctl->socket != NULL) {
		(void)snprintf(doctor->path, sizeof doctor->path, "%s", doctor->ctl->socket);
		from = "--socket";
	} else if (pierre_default_socket(doctor->path, sizeof doctor->path, &error) != 0) {
		doctor_add(doctor, "socket path", "fail",
			"set another path with --socket or $PIERRE_DBD_SOCKET", "%s",
			error.message);
		return false;
	} else {
		socket_place_find(&place);
		if (named != NULL && *named != '\0')
			from = "PIERRE_DBD_SOCKET";
		else if (is_system(doctor))
			from = "the system's service";
		else if (place.variable != NULL)
			from = place.variable;
	}
	doctor_add(doctor, "socket path", "ok", NULL, "%s (from %s)", doctor->path, from);
	return true;
}

/* Looks for a socket in the other usual places. */
static void other_places(const struct doctor *doctor, char *out, size_t size)
{
	char other[160];
	struct socket_place place;
	struct stat status;

	*out = '\0';
	for (unsigned kind = 0; kind <= SOCKET_PLACE_KINDS; kind++) {
		if (kind == SOCKET_PLACE_KINDS)
			(void)snprintf(other, sizeof other, "%s", SOCKET_PLACE_SYSTEM);
		else if (socket_place_of((enum socket_place_kind)kind, &place))
			(void)snprintf(other, sizeof other, "%.*s%s",
				(int)(place.length < 100 ? place.length : 100), place.folder,
				SOCKET_PLACE_NAME);
		else
			continue;
		if (strcmp(other, doctor->path) != 0 && stat(other, &status) == 0 &&
			S_ISSOCK(status.st_mode))
			(void)snprintf(out, size,
				"; there is one at %.150s: select it with --socket", other);
	}
}

/* Joining a group helps only where the group has access. bit: of the mode. */
static void advise_entering(const struct stat *status, mode_t bit, char out[DETAIL_MAX])
{
	const struct group *group = getgrgid(status->st_gid);
	const struct passwd *owner = getpwuid(status->st_uid);

	if ((status->st_mode & bit) == 0)
		(void)snprintf(out, DETAIL_MAX,
			"only %s and root have access: run this as one of them, or start the "
			"daemon "
			"with --socket-mode 0660 and a folder that its group can enter",
			owner != NULL ? owner->pw_name : "its owner");
	else if (group != NULL)
		(void)snprintf(out, DETAIL_MAX,
			"join the group (usermod -aG %s USER) and log in again, or run this as "
			"root",
			group->gr_name);
	else
		(void)snprintf(out, DETAIL_MAX,
			"join the group %lu and log in again, or run this as root",
			(unsigned long)status->st_gid);
}

static bool look_at_folder(struct doctor *doctor)
{
	char advice[DETAIL_MAX];
	char folder[sizeof doctor->path], *slash;
	struct stat status;
	bool open_to_all;

	(void)snprintf(folder, sizeof folder, "%s", doctor->path);
	slash = strrchr(folder, '/');
	if (slash == NULL)
		(void)snprintf(folder, sizeof folder, ".");
	else
		slash[slash == folder] = '\0';
	if (stat(folder, &status) != 0) {
		doctor_add(doctor, "socket folder", "fail",
			errno == ENOENT
				? "`systemctl start pierre-dbd` creates the folder of the service; "
				  "create any other before starting the daemon"
				: "join the group that has access, or run this as root",
			"%s: %s", folder, strerror(errno));
		return false;
	}
	advise_entering(&status, S_IXGRP, advice);
	open_to_all = (status.st_mode & 022) != 0 && (status.st_mode & S_ISVTX) == 0;
	if (!S_ISDIR(status.st_mode))
		doctor_add(doctor, "socket folder", "fail", "use a path inside a folder",
			"%s is not a folder", folder);
	else if (access(folder, X_OK) != 0)
		doctor_add(doctor, "socket folder", "fail", advice,
			"%s is not accessible (mode %04o)", folder,
			(unsigned)status.st_mode & 07777);
	else if (open_to_all)
		doctor_add(doctor, "socket folder", "warn",
			"run chmod go-w on it: other users could replace the daemon's socket",
			"%s is writable by other users (mode %04o)", folder,
			(unsigned)status.st_mode & 07777);
	else
		doctor_add(doctor, "socket folder", "ok", NULL, "%s (mode %04o)", folder,
			(unsigned)status.st_mode & 07777);
	return S_ISDIR(status.st_mode) && access(folder, X_OK) == 0;
}

static bool doctor_look_at_file(struct doctor *doctor)
{
	struct stat status;
	char elsewhere[256], advice[2 * DETAIL_MAX];

	if (lstat(doctor->path, &status) != 0) {
		other_places(doctor, elsewhere, sizeof elsewhere);
		(void)snprintf(advice, sizeof advice,
			"start the daemon: systemctl start pierre-dbd, or pierre-dbd --socket %s%s",
			doctor->path, elsewhere);
		doctor_add(doctor, "socket", "fail", advice, "%s",
			errno == ENOENT ? "it does not exist: no daemon runs here"
					: strerror(errno));
		return false;
	}
	if (!S_ISSOCK(status.st_mode)) {
		doctor_add(doctor, "socket", "fail",
			"move the file away: the daemon deletes only sockets", "%s is not a socket",
			doctor->path);
		return false;
	}
	if (access(doctor->path, W_OK) != 0) {
		advise_entering(&status, S_IWGRP, advice);
		doctor_add(doctor, "socket", "fail", advice,
			"this user may not connect (mode %04o, user %lu, group %lu)",
			(unsigned)status.st_mode & 07777, (unsigned long)status.st_uid,
			(unsigned long)status.st_gid);
		return false;
	}
	doctor_add(doctor, "socket", "ok", NULL, "it exists, and this user may connect (mode %04o)",
		(unsigned)status.st_mode & 07777);
	return true;
}

/* A daemon holds the lock from before it listens until after it stops listening. */
static bool lock_is_held(const struct doctor *doctor)
{
	char path[sizeof doctor->path + 8];
	bool held;
	int fd;

	(void)snprintf(path, sizeof path, "%s.lock", doctor->path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == EACCES;
	held = flock(fd, LOCK_SH | LOCK_NB) != 0;
	(void)close(fd);
	return held;
}

static void explain_refusal(struct doctor *doctor, int reason)
{
	if (reason == ECONNREFUSED && lock_is_held(doctor))
		doctor_add(doctor, "connecting", "fail",
			"wait a moment, or see the log: journalctl -u pierre-dbd -n 20",
			"no process listens: a daemon is starting or stopping");
	else if (reason == ECONNREFUSED)
		doctor_add(doctor, "connecting", "fail",
			"start the daemon, which replaces the file; "
			"see journalctl -u pierre-dbd for how the last one ended",
			"no process listens: a killed daemon left the socket behind");
	else if (reason == EAGAIN)
		doctor_add(doctor, "connecting", "fail",
			"check its log and CPU usage; restart it if it is stalled",
			"the backlog is full: the daemon does not accept connections");
	else
		doctor_add(doctor, "connecting", "fail", "see the daemon's log", "%s",
			strerror(reason));
}

static bool try_to_connect(struct doctor *doctor)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t size = sizeof peer;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int reason = 0;

	if (strlen(doctor->path) >= sizeof address.sun_path)
		reason = ENAMETOOLONG;
	else
		memcpy(address.sun_path, doctor->path, strlen(doctor->path));
	if (reason == 0 &&
		(fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0))
		reason = errno;
	if (reason != 0)
		explain_refusal(doctor, reason);
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		doctor_add(doctor, "connecting", "ok", NULL, "process %ld of user %lu listens",
			(long)peer.pid, (unsigned long)peer.uid);
	if (fd >= 0)
		(void)close(fd);
	return reason == 0;
}

/* Does not report a failure: it becomes a finding. */
static bool doctor_ask(
	struct doctor *doctor, const char *method, json_t **tree, struct pierre_error *error)
{
	struct pierre *db = connect_open(doctor->ctl);
	json_error_t problem;
	char *text;

	*tree = NULL;
	if (db == NULL || pierre_call(db, method, NULL, &text, error) != 0)
		return false;
	*tree = json_loads(text, JSON_DECODE_ANY, &problem);
	pierre_text_free(text);
	if (*tree == NULL)
		(void)snprintf(error->message, sizeof error->message, "%s: invalid answer", method);
	return *tree != NULL;
}

static bool look_at_versions(struct doctor *doctor)
{
	struct pierre_error error = {0};
	const char *version, *engine;
	json_t *tree;

	if (!doctor_ask(doctor, "daemon.version", &tree, &error)) {
		doctor_add(doctor, "answers", "fail",
			error.kind == PIERRE_OVERLOADED
				? "see `pierre-dbctl clients`, or raise the setting connections"
				: "see the daemon's log; restart it if it is stalled",
			"%s", error.message);
		return false;
	}
	version = tree_text(tree, "version");
	engine = tree_text(tree, tree_text(tree, "sqlite")[0] != '\0' ? "sqlite" : "postgresql");
	doctor_add(doctor, "answers", "ok", NULL, "%s %s, schema %.0f", tree_text(tree, "backend"),
		engine, tree_number(tree, "schema_version"));
	if (strcmp(version, pierre_version()) == 0)
		doctor_add(doctor, "version", "ok", NULL, "%s, the same as this program", version);
	else
		doctor_add(doctor, "version", "warn",
			"restart the daemon after an upgrade, or install both from one package",
			"the daemon has version %s, this program %s", version, pierre_version());
	json_decref(tree);
	return true;
}

static void look_at_health(struct doctor *doctor)
{
	struct pierre_error error = {0};
	const json_t *check;
	json_t *tree;
	size_t i;

	if (!doctor_ask(doctor, "daemon.health", &tree, &error)) {
		doctor_add(doctor, "health", "fail", "see the daemon's log", "%s", error.message);
		return;
	}
	json_array_foreach (json_object_get(tree, "checks"), i, check) {
		const char *state = tree_text(check, "status"),
			   *detail = tree_text(check, "detail"), *name = tree_text(check, "name");
		char title[64];

		(void)snprintf(title, sizeof title, "health: %.40s", name);
		doctor_add(doctor, title,
			strcmp(state, "ok") == 0                 ? "ok"
				: strcmp(state, "degraded") == 0 ? "warn"
								 : "fail",
			strcmp(name, "database") == 0
				? "check that the database accepts connections; the daemon "
				  "reconnects by itself"
				: "see \"Health and alarms\" in docs/observe.md",
			tree_number(check, "latency_ms") > 0 || *detail == '\0' ? "%s%s%.1f ms"
										: "%s",
			detail, *detail != '\0' ? "; " : "", tree_number(check, "latency_ms"));
	}
	json_decref(tree);
}

/* Asks the daemon for its own checks, if the role of this user allows it. */
static void look_from_inside(struct doctor *doctor)
{
	struct pierre_error error = {0};
	json_t *tree, *finding;
	size_t i;

	if (!doctor_ask(doctor, "daemon.diagnose", &tree, &error)) {
		bool denied = error.kind == PIERRE_PERMISSION_DENIED;

		doctor_add(doctor, "role", denied ? "ok" : "warn", "see the daemon's log", "%.*s%s",
			denied ? (int)strcspn(error.message, ";") : 300, error.message,
			denied ? "; run as root or the daemon's user to check limits, files and key"
			       : "");
		return;
	}
	doctor_add(doctor, "role", "ok", NULL, "this user has the role admin");
	json_array_foreach (json_object_get(tree, "findings"), i, finding) {
		const char *advice = tree_text(finding, "advice");

		doctor_add(doctor, tree_text(finding, "name"), tree_text(finding, "status"),
			*advice != '\0' ? advice : "see docs/recover.md", "%s",
			tree_text(finding, "detail"));
	}
	json_decref(tree);
}

/* Reads to the end of the stream and drops what does not fit. */
static void doctor_read_all(int fd, char *out, size_t size)
{
	char rest[512];
	size_t used = 0;
	ssize_t got;

	do {
		bool room = used + 1 < size;

		got = room ? read(fd, out + used, size - 1 - used) : read(fd, rest, sizeof rest);
		used += room && got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	out[used] = '\0';
	(void)close(fd);
}

/* Executes `pierre-dbd --check-config=json`. service: with the environment of the shipped unit, not
 * that of the shell. */
static void run_check(const char *program, bool service)
{
	static char *const clean[] = {"DATABASE_URL=sqlite:///var/lib/pierre-dbd/pierre.db", NULL};
	static char *const none[] = {NULL};
	bool file = access(SERVICE_SETTINGS, R_OK) == 0;

	if (service)
		(void)execle(program, "pierre-dbd", "--check-config=json", "--encryption-key-file",
			SERVICE_KEY, "--env-file", file ? SERVICE_SETTINGS : "/dev/null",
			(char *)NULL, file ? none : clean);
	else
		(void)execlp(program, "pierre-dbd", "--check-config=json", (char *)NULL);
	_exit(127);
}

/* Captures the output of `pierre-dbd --check-config=json`; returns its exit code, or -1 when it
 * cannot be run. */
static int doctor_check_config(
	bool service, char *out, size_t out_size, char *said, size_t said_size)
{
	char program[PATH_MAX + 16];
	int output[2], errors[2], status = -1;
	pid_t child;

	*out = *said = '\0';
	connect_daemon_program(program, sizeof program);
	if (pipe2(output, O_CLOEXEC) != 0)
		return -1;
	if (pipe2(errors, O_CLOEXEC) != 0) {
		(void)close(output[0]);
		(void)close(output[1]);
		return -1;
	}
	child = fork();
	if (child == 0) {
		(void)dup2(output[1], STDOUT_FILENO);
		(void)dup2(errors[1], STDERR_FILENO);
		run_check(program, service);
	}
	(void)close(output[1]);
	(void)close(errors[1]);
	doctor_read_all(output[0], out, out_size);
	doctor_read_all(errors[0], said, said_size);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
		WEXITSTATUS(status) == 127)
		return -1;
	return WEXITSTATUS(status);
}

/* The `msg=` of the last line, without quotes. */
static char *last_message(char *said)
{
	char *line, *message, *end;

	for (end = said + strlen(said); end > said && end[-1] == '\n';)
		*--end = '\0';
	line = strrchr(said, '\n');
	line = line != NULL ? line + 1 : said;
	message = strstr(line, "msg=\"");
	if (message == NULL)
		return line;
	message += 5;
	end = strstr(message, "\" ");
	if (end == NULL)
		end = message + strcspn(message, "\"");
	*end = '\0';
	return message;
}

static void look_at_database_file(struct doctor *doctor, const char *url)
{
	struct sqlite_url place;
	struct stat status;
	struct err err;
	const char *path;

	if (!sqlite_url_is_one(url) || sqlite_url_parse(url, &place, &err) < 0 ||
		(path = place.path) == NULL)
		return;
	if (stat(path, &status) != 0)
		doctor_add(doctor, "database file",
			errno == ENOENT && !place.must_exist ? "ok" : "warn",
			"give the daemon's user read and write access", "%s: %s", path,
			errno != ENOENT            ? strerror(errno)
				: place.must_exist ? "missing"
						   : "missing; the daemon creates it");
	else if (access(path, R_OK | W_OK) != 0)
		doctor_add(doctor, "database file", "warn",
			"run chown to give it to the daemon's user",
			"%s: this user cannot read and write it", path);
	else
		doctor_add(doctor, "database file", "ok", NULL, "%s, %.1f MiB (mode %04o)", path,
			(double)status.st_size / (1 << 20), (unsigned)status.st_mode & 07777);
	sqlite_url_free(&place);
}

/* The service does not answer: checks its settings. */
static void look_at_service(struct doctor *doctor)
{
	char out[SETTINGS_MAX], said[SAID_MAX];
	int code =
		geteuid() == 0 ? doctor_check_config(true, out, sizeof out, said, sizeof said) : -1;

	if (code < 0)
		doctor_add(doctor, "service", "warn",
			"as root: systemctl status pierre-dbd; journalctl -u pierre-dbd -n 20",
			"this user cannot read the settings of the service");
	else if (code == 0)
		doctor_add(doctor, "service", "ok", NULL,
			"%s and the key file allow the service to start", SERVICE_SETTINGS);
	else
		doctor_add(doctor, "service", "fail",
			"fix it in /etc/pierre-dbd, then run systemctl start pierre-dbd", "%s",
			last_message(said));
}

/* No daemon answers: checks whether one would start with the settings of this user and folder. A
 * service has separate settings. */
static void look_at_settings(struct doctor *doctor)
{
	char out[SETTINGS_MAX], said[SAID_MAX];
	int code = doctor_check_config(false, out, sizeof out, said, sizeof said);
	json_error_t problem;
	json_t *settings;

	if (code < 0)
		return;
	if (code == 0 && *said != '\0')
		doctor_add(doctor, "settings here", "warn", "fix it; a daemon starts nevertheless",
			"%s", last_message(said));
	else if (code == 0)
		doctor_add(doctor, "settings here", "ok", NULL,
			"a daemon started by this user in this folder has a key and valid "
			"settings");
	else
		doctor_add(doctor, "settings here", "warn",
			"fix it before you start a daemon here; a service has separate settings "
			"(/etc/pierre-dbd)",
			"%s", last_message(said));
	settings = json_loads(out, JSON_DISABLE_EOF_CHECK, &problem);
	look_at_database_file(
		doctor, tree_text(json_object_get(settings, "database_url"), "value"));
	json_decref(settings);
}

static void doctor_look_at_clock(struct doctor *doctor)
{
	struct timex clock = {0};
	int state = adjtimex(&clock);

	if (state == TIME_ERROR || (clock.status & STA_UNSYNC) != 0)
		doctor_add(doctor, "time service", "warn",
			"run a time service (systemd-timesyncd, chrony): timestamps depend on "
			"the clock",
			"the clock is not synchronised");
	else if (state >= 0)
		doctor_add(doctor, "time service", "ok", NULL, "the clock is synchronised");
}

enum { FINDING_NAME = 6, FINDING_DETAIL = 24 }; /* the columns where these begin */

static void print_finding(const struct ctl *ctl, const json_t *finding)
{
	const char *name = tree_text(finding, "name");
	unsigned width = terminal_text_width(name),
		 column = FINDING_NAME + width + 1 > FINDING_DETAIL ? FINDING_NAME + width + 1
								    : FINDING_DETAIL;
	const char *status = tree_text(finding, "status"), *advice = tree_text(finding, "advice");
	/* Colours are named after the states of daemon.health. */
	const char *colour =
		output_status_colour(ctl, strcmp(status, "warn") == 0 ? "degraded" : status);

	(void)printf("%s%-4s%s  %-17s ", colour, status, output_plain(ctl), name);
	columns_wrap(ctl, tree_text(finding, "detail"), column, FINDING_DETAIL);
	(void)putchar('\n');
	if (*advice != '\0') {
		(void)printf("%*s%s-> ", FINDING_DETAIL, "", output_bold(ctl));
		columns_wrap(ctl, advice, FINDING_DETAIL + 3, FINDING_DETAIL + 3);
		(void)printf("%s\n", output_plain(ctl));
	}
}

static int doctor(struct ctl *ctl, int argc, char **argv)
{
	struct doctor self = {.ctl = ctl, .findings = json_array()};
	const json_t *finding;
	size_t i;

	if (argc != 1)
		return options_none(argc, argv);
	if (ctl->timeout_seconds <= 0)
		ctl->timeout_seconds = PATIENCE_S;
	if (find_path(&self) && look_at_folder(&self) && doctor_look_at_file(&self) &&
		try_to_connect(&self) && look_at_versions(&self)) {
		look_at_health(&self);
		look_from_inside(&self);
	} else if (is_system(&self)) {
		look_at_service(&self);
	} else {
		look_at_settings(&self);
	}
	doctor_look_at_clock(&self);
	if (ctl->json) {
		tree_print_new(ctl,
			json_pack("{ssso}", "status",
				self.failed           ? "fail"
					: self.warned ? "warn"
						      : "ok",
				"findings", self.findings));
		return self.failed ? 1 : 0;
	}
	json_array_foreach (self.findings, i, finding)
		print_finding(ctl, finding);
	json_decref(self.findings);
	return self.failed ? 1 : 0;
}

const struct command doctor_commands[] = {
	{"doctor", "", "Find common problems and suggest fixes",
		"Examples:\n"
		"  pierre-dbctl doctor\n"
		"  pierre-dbctl doctor --json | \\\n"
		"    jq -r '.findings[] | select(.status != \"ok\") | .advice'\n\n"
		"Checks the socket and its folder, the connection, versions and health. With the\n"
		"role admin it also checks the daemon's key, files, disk space, limits and clock.\n"
		"Without a running daemon it says why none answers. Exit code 1 when a line says\n"
		"`fail`; a `warn` line is not urgent.",
		doctor},
	{0},
};
