/* The display of top: a frame of the terminal's size, or a line for each interval. */
#include "top.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "../catalog/tree.h"
#include "../terminal.h"

enum style { PLAIN, BOLD, DIM, GOOD, FAIR, BAD, HEAD };

static const char *const style_codes[] = {
	[PLAIN] = "",
	[BOLD] = "\033[1m",
	[DIM] = "\033[2m",
	[GOOD] = "\033[32m",
	[FAIR] = "\033[33m",
	[BAD] = "\033[31m",
	[HEAD] = "\033[7m",
};

struct picture {
	struct top_view *view;
	struct buffer *out;
	unsigned row, column;
};

enum { TEXT_MAX = 24 };

/* Appends as much of the text as fits the line. */
static void top_draw_put_text(struct picture *p, enum style style, const char *text)
{
	const char *end = text;

	while (*end != '\0' && (p->column < p->view->width || ((unsigned char)*end & 0xC0) == 0x80))
		p->column += ((unsigned char)*end++ & 0xC0) != 0x80;
	if (end == text)
		return;
	if (p->view->colours)
		buffer_text(p->out, style_codes[style]);
	for (; text < end; text++) /* text from the daemon must not control the terminal */
		buffer_byte(p->out, (unsigned char)*text < ' ' || *text == 0x7F ? '?' : *text);
	if (p->view->colours && style != PLAIN)
		buffer_text(p->out, "\033[0m");
}

__attribute__((format(printf, 3, 4))) static void top_draw_put(
	struct picture *p, enum style style, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	top_draw_put_text(p, style, text);
}

static bool room(const struct picture *p)
{
	return p->row < p->view->height;
}

/* Erasing after a full line would delete its last character. A newline after the last line would
 * scroll the terminal. */
static void end_line(struct picture *p)
{
	if (p->column < p->view->width)
		buffer_text(p->out, "\033[K");
	p->row++;
	p->column = 0;
	if (room(p))
		buffer_text(p->out, "\r\n");
}

/* Numbers
 * ----------------------------------------------------------------------
 */

static const char *three_digits(char *text, double value, const char *unit)
{
	(void)snprintf(text, TEXT_MAX, "%.*f%s%s",
		value >= 99.95 || value <= 0 ? 0
			: value < 9.995      ? 2
					     : 1,
		value, *unit != '\0' ? " " : "", unit);
	return text;
}

static const char *duration(char *text, double seconds, bool utf8)
{
	if (seconds < 0)
		return "-";
	if (seconds < 0.9995e-3)
		return three_digits(text, seconds * 1e6, utf8 ? "µs" : "us");
	if (seconds < 0.9995)
		return three_digits(text, seconds * 1e3, "ms");
	return three_digits(text, seconds, "s");
}

static const char *rate(char *text, double value)
{
	if (value >= 999500)
		(void)snprintf(text, TEXT_MAX, "%.2fM", value / 1e6);
	else if (value >= 99950)
		(void)snprintf(text, TEXT_MAX, "%.0fk", value / 1e3);
	else
		(void)snprintf(text, TEXT_MAX, "%.*f", value < 99.95 ? 1 : 0, value);
	return text;
}

static const char *total(char *text, double value)
{
	if (value >= 1e7)
		(void)snprintf(text, TEXT_MAX, value >= 1e10 ? "%.1fG" : "%.1fM",
			value >= 1e10 ? value / 1e9 : value / 1e6);
	else
		(void)snprintf(text, TEXT_MAX, "%.0f", value);
	return text;
}

static const char *bytes(char *text, double value)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	for (; value >= 1023.5 && unit < 4; unit++)
		value /= 1024;
	if (unit == 0)
		(void)snprintf(text, TEXT_MAX, "%.0f B", value);
	else
		(void)three_digits(text, value, units[unit]);
	return text;
}

static const char *uptime(char *text, double seconds)
{
	unsigned long all = (unsigned long)seconds, days = all / 86400;
	int n = days > 0 ? snprintf(text, TEXT_MAX, "%lud ", days) : 0;

	(void)snprintf(text + n, TEXT_MAX - (size_t)n, "%02lu:%02lu:%02lu", all / 3600 % 24,
		all / 60 % 60, all % 60);
	return text;
}

static double gauge(const struct top_view *view, const char *name)
{
	return tree_number(json_object_get(view->stats, "gauges"), name);
}

static void clock_text(char text[9])
{
	time_t now = time(NULL);
	struct tm local;

	if (localtime_r(&now, &local) == NULL || strftime(text, 9, "%H:%M:%S", &local) == 0)
		*text = '\0';
}

/* Header
 * ----------------------------------------------------------------------
 */

static void draw_title(struct picture *p)
{
	const struct top_view *view = p->view;
	bool sqlite = json_object_get(view->version, "sqlite") != NULL;
	char text[TEXT_MAX], now[9];

	top_draw_put(p, BOLD, "pierre-dbd %s", tree_text(view->version, "version"));
	top_draw_put(p, PLAIN, "   %s %s   up %s", sqlite ? "SQLite" : "PostgreSQL",
		tree_text(view->version, sqlite ? "sqlite" : "postgresql"),
		uptime(text, tree_number(view->stats, "uptime_seconds")));
	clock_text(now);
	if (p->column + 10 <= view->width)
		top_draw_put(p, PLAIN, "%*s", (int)(view->width - p->column), now);
	end_line(p);
}

static enum style style_of(const char *status)
{
	return strcmp(status, "ok") == 0 ? GOOD : strcmp(status, "degraded") == 0 ? FAIR : BAD;
}

/* The details of checks that are not ok. */
static void put_complaints(struct picture *p)
{
	const json_t *check;
	size_t i;

	json_array_foreach (json_object_get(p->view->health, "checks"), i, check)
		if (strcmp(tree_text(check, "status"), "ok") != 0)
			top_draw_put(p, style_of(tree_text(check, "status")), "   %s: %s",
				tree_text(check, "name"), tree_text(check, "detail"));
}

static void draw_health(struct picture *p)
{
	const struct top_view *view = p->view;
	const char *status = tree_text(view->health, "status");
	const json_t *database = json_array_get(json_object_get(view->health, "checks"), 0);
	char text[TEXT_MAX];

	top_draw_put(p, DIM, "health    ");
	if (view->last_error != NULL) {
		top_draw_put(p, BAD, "reconnecting");
		top_draw_put(p, PLAIN, "   no answer for %.0f s: ", view->lost_seconds);
		top_draw_put(p, PLAIN, "%s", view->last_error);
	} else {
		top_draw_put(p, style_of(status), "%s", status);
		top_draw_put(p, PLAIN, "   database answers in %s",
			duration(text, tree_number(database, "latency_ms") / 1e3, view->utf8));
		if (gauge(view, "paused") > 0)
			top_draw_put(p, FAIR, "   paused, %.0f calls deferred",
				gauge(view, "paused_calls"));
		put_complaints(p);
	}
	end_line(p);
}

static void draw_calls(struct picture *p)
{
	const struct top_numbers *n = p->view->numbers;
	char a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX], d[TEXT_MAX];

	top_draw_put(p, DIM, "calls     ");
	if (!n->valid) {
		top_draw_put(p, DIM, "measuring");
	} else {
		top_draw_put(p, BOLD, "%s/s", rate(a, n->rate));
		top_draw_put(p, PLAIN, "   p50 %s   p99 %s   ", duration(b, n->p50, p->view->utf8),
			duration(c, n->p99, p->view->utf8));
		top_draw_put(p, n->errors > 0 ? BAD : PLAIN, "errors %s/s", rate(d, n->errors));
		top_draw_put(p, BAD, n->error_kind != NULL ? "   most: %s" : "%s",
			n->error_kind != NULL ? n->error_kind : "");
	}
	end_line(p);
	top_draw_put(p, DIM, "clients   ");
	top_draw_put(p, PLAIN, "%.0f of %.0f   in flight %.0f   hashing %s/s   queued %.0f",
		gauge(p->view, "clients"), gauge(p->view, "clients_max"),
		gauge(p->view, "in_flight"), rate(a, n->hashes),
		gauge(p->view, "passwords_queued"));
	end_line(p);
}

static void draw_database(struct picture *p)
{
	const struct top_view *view = p->view;
	const struct top_numbers *n = view->numbers;
	double connecting = gauge(view, "db_connections_connecting"),
	       queued = gauge(view, "db_queued");
	char a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX];

	top_draw_put(p, DIM, "database  ");
	top_draw_put(p, PLAIN, "%.0f of %.0f busy   ", gauge(view, "db_connections_active"),
		gauge(view, "db_connections_max"));
	top_draw_put(p, queued > 0 ? BOLD : PLAIN, "waiting %.0f", queued);
	if (connecting > 0)
		top_draw_put(p, FAIR, "   connecting %.0f", connecting);
	top_draw_put(p, PLAIN, "   commits %s/s of %s calls", rate(a, n->commits),
		three_digits(b, n->batch, ""));
	if (json_object_get(view->version, "sqlite") != NULL)
		top_draw_put(p, PLAIN, "   wal %s   checkpoints %.1f/s",
			bytes(c, gauge(view, "sqlite_wal_bytes")), n->checkpoints);
	end_line(p);
}

/* Who answers causal reads, and for which reasons the primary does. */
static void draw_split(struct picture *p)
{
	const struct top_numbers *n = p->view->numbers;
	double outage = gauge(p->view, "db_outage_ns") / 1e9, primary = 0;
	char text[TEXT_MAX];

	for (size_t i = 0; i < TOP_REASONS; i++)
		primary += n->by_primary[i];
	top_draw_put(p, DIM, "standbys  ");
	top_draw_put(p, PLAIN, "reads %s/s", rate(text, n->by_standbys));
	top_draw_put(p, PLAIN, "   on the primary %s/s", rate(text, primary));
	for (size_t i = 0; i < TOP_REASONS; i++)
		if (n->by_primary[i] > 0)
			top_draw_put(p, PLAIN, "   %s %s", top_numbers_reasons[i],
				rate(text, n->by_primary[i]));
	if (outage > 0)
		top_draw_put(p, BAD, "   no primary for %s", duration(text, outage, p->view->utf8));
	end_line(p);
}

enum { SERVER_WIDE = 96, SERVER_NAME = 22, SERVER_NAME_WIDE = 48 };

static void draw_server(struct picture *p, const struct top_server *server)
{
	const char *role = tree_text(server->now, "role"), *error = tree_text(server->now, "error");
	const json_t *age = json_object_get(server->now, "age_ms"),
		     *lag = json_object_get(server->now, "lag_bytes");
	bool primary = strcmp(role, "primary") == 0,
	     good = primary || json_is_true(json_object_get(server->now, "usable"));
	bool wide = p->view->width >= SERVER_WIDE;
	char text[TEXT_MAX];

	/* Age and lag matter most: where lines are short, they get the columns of the others. */
	top_draw_put(p, PLAIN, "          %-22.*s ", wide ? SERVER_NAME_WIDE : SERVER_NAME,
		tree_text(server->now, "host"));
	top_draw_put(p, good ? GOOD : BAD, "%-11s", role);
	if (wide)
		top_draw_put(
			p, PLAIN, "  %2.0f connections", tree_number(server->now, "connections"));
	if (!primary)
		top_draw_put(p, PLAIN, "  %s/s", rate(text, server->rate));
	if (json_is_number(age))
		top_draw_put(p, good ? PLAIN : BAD, "  age %s",
			duration(text, json_number_value(age) / 1e3, p->view->utf8));
	if (json_is_number(lag))
		top_draw_put(p, PLAIN, "  lag %s", bytes(text, json_number_value(lag)));
	if (*error != '\0')
		top_draw_put(p, PLAIN, "  %s", error);
	end_line(p);
}

/* Only while the daemon reads from standbys. */
static void draw_standbys(struct picture *p)
{
	const struct top_numbers *n = p->view->numbers;

	if (n->server_count == 0)
		return;
	draw_split(p);
	for (size_t i = 0; i < n->server_count && p->row + 8 < p->view->height; i++)
		draw_server(p, &n->servers[i]);
}

static void draw_process(struct picture *p)
{
	const struct top_view *view = p->view;
	char a[TEXT_MAX], b[TEXT_MAX];

	top_draw_put(p, DIM, "process   ");
	top_draw_put(p, PLAIN, "cpu %.0f %%   memory %s   files %.0f   loop lag %s",
		view->numbers->cpu * 100, bytes(a, gauge(view, "resident_bytes")),
		gauge(view, "descriptors"),
		duration(b, gauge(view, "loop_lag_ns") / 1e9, view->utf8));
	end_line(p);
}

static void draw_history(struct picture *p)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
	const struct top_view *view = p->view;
	size_t shown = view->width > 30 ? view->width - 30 : 0;
	size_t first = view->history_count > shown ? view->history_count - shown : 0;
	char text[TEXT_MAX];
	double max = 0;

	for (size_t i = first; i < view->history_count; i++)
		max = view->history[i] > max ? view->history[i] : max;
	top_draw_put(p, DIM, "history   ");
	for (size_t i = first; i < view->history_count; i++) {
		size_t level = max > 0 ? (size_t)(view->history[i] / max * 7.999) : 0;

		top_draw_put(p, PLAIN, "%s", view->utf8 ? blocks[level] : letters[level]);
	}
	top_draw_put(p, DIM, "  up to %s/s", rate(text, max));
	end_line(p);
}

/* Table
 * ----------------------------------------------------------------------
 */

enum cell {
	CELL_RATE,
	CELL_P50,
	CELL_P90,
	CELL_P99,
	CELL_MEAN,
	CELL_ERRORS,
	CELL_LOAD,
	CELL_ROWS,
	CELL_TOTAL
};
enum { NAME_WIDTH = 29, NO_ORDER = -1 };

static const struct top_column {
	const char *title;
	int width, order;
	unsigned needs; /* minimum terminal width */
	enum cell cell;
} columns[] = {
	{"CALLS/S", 9, TOP_BY_RATE, 0, CELL_RATE},
	{"P50", 9, NO_ORDER, 50, CELL_P50},
	{"P90", 9, NO_ORDER, 100, CELL_P90},
	{"P99", 9, TOP_BY_P99, 60, CELL_P99},
	{"MEAN", 9, NO_ORDER, 110, CELL_MEAN},
	{"ERRORS/S", 9, TOP_BY_ERRORS, 70, CELL_ERRORS},
	{"LOAD", 6, TOP_BY_LOAD, 76, CELL_LOAD},
	{"ROWS/S", 10, NO_ORDER, 120, CELL_ROWS},
	{"TOTAL", 8, TOP_BY_TOTAL, 80, CELL_TOTAL},
};

static const char *cell_text(char *text, const struct top_row *row, enum cell cell, bool utf8)
{
	switch (cell) {
	case CELL_RATE:
		return rate(text, row->rate);
	case CELL_P50:
		return duration(text, row->p50, utf8);
	case CELL_P90:
		return duration(text, row->p90, utf8);
	case CELL_P99:
		return duration(text, row->p99, utf8);
	case CELL_MEAN:
		return duration(text, row->mean, utf8);
	case CELL_ERRORS:
		return rate(text, row->errors);
	case CELL_LOAD:
		return three_digits(text, row->load, "");
	case CELL_ROWS:
		return rate(text, row->rows);
	case CELL_TOTAL:
		return total(text, row->total);
	}
	return "";
}

static void put_cell(struct picture *p, enum style style, int width, const char *text)
{
	int fill = width - (int)terminal_text_width(text);

	top_draw_put(p, style, "%*s%s", fill > 0 ? fill : 0, "", text);
}

static void draw_table_head(struct picture *p)
{
	const struct top_view *view = p->view;
	const char *mark = view->utf8 ? "▾" : "v";
	char text[TEXT_MAX];

	top_draw_put(p, HEAD, "%-*s", NAME_WIDTH - (view->order == TOP_BY_NAME), "METHOD");
	if (view->order == TOP_BY_NAME)
		top_draw_put(p, HEAD, "%s", mark);
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		if (view->width < columns[i].needs)
			continue;
		(void)snprintf(text, sizeof text, "%s%s",
			(int)view->order == columns[i].order ? mark : "", columns[i].title);
		put_cell(p, HEAD, columns[i].width, text);
	}
	if (view->colours)
		top_draw_put(p, HEAD, "%*s", (int)(view->width - p->column), "");
	end_line(p);
}

static void draw_row(struct picture *p, const struct top_row *row)
{
	char text[TEXT_MAX];

	top_draw_put(p, row->rate > 0 ? PLAIN : DIM, "%-*s", NAME_WIDTH, row->name);
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
		if (p->view->width >= columns[i].needs)
			put_cell(p,
				columns[i].cell == CELL_ERRORS && row->errors > 0 ? BAD
					: row->rate > 0                           ? PLAIN
										  : DIM,
				columns[i].width,
				cell_text(text, row, columns[i].cell, p->view->utf8));
	end_line(p);
}

static void draw_table(struct picture *p)
{
	struct top_view *view = p->view;
	size_t places = view->height > p->row + 2 ? view->height - p->row - 2 : 0,
	       count = view->numbers->row_count;

	if (!room(p))
		return;
	draw_table_head(p);
	if (view->scroll + places > count)
		view->scroll = count > places ? count - places : 0;
	for (size_t i = 0; i < places && view->scroll + i < count; i++)
		draw_row(p, &view->numbers->rows[view->scroll + i]);
	while (p->row + 1 < view->height)
		end_line(p);
}

static void draw_foot(struct picture *p)
{
	const struct top_view *view = p->view;

	if (!room(p))
		return;
	top_draw_put(p, DIM,
		"q quit   sort by r rate p p99 e errors l load t total n name   +/- every %g s",
		view->interval);
	end_line(p);
}

void top_draw(struct top_view *view, struct buffer *out)
{
	struct picture picture = {.view = view, .out = out};
	void (*const parts[])(struct picture *) = {draw_title, draw_health, draw_calls,
		draw_database, draw_standbys, draw_process, draw_history};

	buffer_text(out, "\033[H");
	for (size_t i = 0; i < sizeof parts / sizeof *parts && picture.row + 4 < view->height; i++)
		parts[i](&picture);
	if (picture.row + 8 < view->height)
		end_line(&picture);
	draw_table(&picture);
	draw_foot(&picture);
	buffer_text(out, "\033[J");
}

/* Plain output
 * ----------------------------------------------------------------------
 */

void top_draw_plain_head(struct buffer *out)
{
	buffer_text(out,
		"TIME      HEALTH         CALLS/S  ERRORS/S       P50       P99   CLIENTS  IN "
		"FLIGHT  BUSY  WAITING        WAL\n");
}

void top_draw_plain_line(const struct top_view *view, struct buffer *out)
{
	const struct top_numbers *n = view->numbers;
	char line[256], now[9], a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX], d[TEXT_MAX], e[TEXT_MAX];

	clock_text(now);
	if (view->last_error != NULL)
		(void)snprintf(line, sizeof line, "%-8s  %-10s  no answer for %.0f s\n", now,
			"unreachable", view->lost_seconds);
	else
		(void)snprintf(line, sizeof line,
			"%-8s  %-11s %10s %9s %9s %9s %9.0f %10.0f %5.0f %8.0f %10s\n", now,
			tree_text(view->health, "status"), n->valid ? rate(a, n->rate) : "-",
			n->valid ? rate(b, n->errors) : "-", duration(c, n->p50, false),
			duration(d, n->p99, false), gauge(view, "clients"),
			gauge(view, "in_flight"), gauge(view, "db_connections_active"),
			gauge(view, "db_queued"), bytes(e, gauge(view, "sqlite_wal_bytes")));
	buffer_text(out, line);
}

static json_t *number_or_null(double value, bool known)
{
	return known ? json_pack("f", value) : json_null();
}

/* What the daemon says of its servers, with the rate of each. */
static void add_servers(json_t *line, const struct top_numbers *n)
{
	json_t *servers = json_array(), *reasons = json_object();

	for (size_t i = 0; i < n->server_count; i++) {
		json_t *server = json_copy((json_t *)(uintptr_t)n->servers[i].now);

		(void)json_object_set_new(
			server, "reads_per_second", number_or_null(n->servers[i].rate, n->valid));
		(void)json_array_append_new(servers, server);
	}
	for (size_t i = 0; i < TOP_REASONS; i++)
		(void)json_object_set_new(reasons, top_numbers_reasons[i],
			number_or_null(n->by_primary[i], n->valid));
	(void)json_object_update_new(line,
		json_pack("{so so so}", "standby_reads_per_second",
			number_or_null(n->by_standbys, n->valid), "primary_reads_per_second",
			reasons, "servers", servers));
}

void top_draw_json_line(const struct top_view *view, struct buffer *out)
{
	const struct top_numbers *n = view->numbers;
	json_t *line = json_pack("{sI ss s{}}", "time", (json_int_t)time(NULL), "health",
		view->last_error != NULL ? "unreachable" : tree_text(view->health, "status"),
		"methods");
	json_t *methods = json_object_get(line, "methods");
	char *text;

	if (view->last_error == NULL) {
		(void)json_object_update_new(line,
			json_pack("{so so so so sf sf sf sf sf}", "calls_per_second",
				number_or_null(n->rate, n->valid), "errors_per_second",
				number_or_null(n->errors, n->valid), "p50_seconds",
				number_or_null(n->p50, n->p50 >= 0), "p99_seconds",
				number_or_null(n->p99, n->p99 >= 0), "clients",
				gauge(view, "clients"), "in_flight", gauge(view, "in_flight"),
				"db_active", gauge(view, "db_connections_active"), "db_queued",
				gauge(view, "db_queued"), "wal_bytes",
				gauge(view, "sqlite_wal_bytes")));
		for (size_t i = 0; i < n->row_count; i++)
			if (n->rows[i].rate > 0)
				(void)json_object_set_new(methods, n->rows[i].name,
					json_pack("{sf sf sf sf}", "calls_per_second",
						n->rows[i].rate, "errors_per_second",
						n->rows[i].errors, "p50_seconds", n->rows[i].p50,
						"p99_seconds", n->rows[i].p99));
		if (n->server_count > 0)
			add_servers(line, n);
	}
	text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
	if (text != NULL) {
		buffer_text(out, text);
		buffer_byte(out, '\n');
	}
	free(text);
	json_decref(line);
}
