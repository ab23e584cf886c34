/* pierre-dbctl top: live activity of the daemon. */
#include "../output.h"
#include "../options.h"
#include "../terminal.h"
#include "top.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../catalog/tree.h"
#include "value.h"

enum { ANSWER_MS = 5000 };

#define FIRST_INTERVAL 0.5
#define INTERVAL_MIN 0.1
#define INTERVAL_MAX 3600.0

enum asked { STATS, HEALTH, VERSION, ASKED };

struct top {
	struct ctl *ctl;
	struct pierre *db;
	struct top_view view;
	struct top_numbers numbers;
	json_t *before; /* the daemon.stats result before the displayed one */
	json_t *shown[ASKED], *fresh[ASKED];
	double asked, next,
		lost;     /* clock_seconds(); lost: since when the daemon does not answer, or 0 */
	unsigned pending; /* outstanding answers */
	bool failed;      /* one of them failed */
	bool asking;      /* the query is in progress */
	bool full_screen, json;
	uint64_t max, done; /* frames or lines; max 0: no limit */
	char last_error[PIERRE_MESSAGE_SIZE];
};

/* Queries
 * ----------------------------------------------------------------------
 */

static void top_take(struct top *top, const struct pierre_answer *answer, enum asked asked)
{
	struct pierre_error error;
	char *text = NULL;
	json_t *tree = NULL;

	top->pending--;
	if (pierre_answer_json(answer, &text, &error) == 0)
		tree = json_loads(text, JSON_DECODE_ANY, NULL);
	else
		(void)snprintf(top->last_error, sizeof top->last_error, "%s", error.message);
	pierre_text_free(text);
	top->failed |= tree == NULL;
	top->fresh[asked] = tree;
}

static void on_stats(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	(void)db;
	top_take(userdata, answer, STATS);
}

static void on_health(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	(void)db;
	top_take(userdata, answer, HEALTH);
}

static void on_version(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	(void)db;
	top_take(userdata, answer, VERSION);
}

static void ask_for(struct top *top, const char *method, pierre_done *done)
{
	struct pierre_error error;

	if (pierre_call_async(top->db, method, NULL, done, top, &error) > 0) {
		top->pending++;
	} else {
		top->failed = true;
		(void)snprintf(top->last_error, sizeof top->last_error, "%s", error.message);
	}
}

/* Includes the version: another daemon may answer after a restart. */
static void top_ask(struct top *top)
{
	top->asked = clock_seconds();
	top->next = top->asked + top->view.interval;
	top->failed = false;
	top->asking = true;
	ask_for(top, "daemon.version", on_version);
	ask_for(top, "daemon.health", on_health);
	ask_for(top, "daemon.stats", on_stats);
}

static void remember_rate(struct top_view *view, double rate)
{
	if (view->history_count == TOP_HISTORY)
		memmove(view->history, view->history + 1,
			(TOP_HISTORY - 1) * sizeof *view->history);
	else
		view->history_count++;
	view->history[view->history_count - 1] = rate;
}

static void take_fresh(struct top *top)
{
	struct top_view *view = &top->view;

	json_decref(top->before);
	top->before = top->shown[STATS];
	top->shown[STATS] = NULL;
	for (int i = 0; i < ASKED; i++) {
		json_decref(top->shown[i]);
		top->shown[i] = top->fresh[i];
		top->fresh[i] = NULL;
	}
	view->stats = top->shown[STATS];
	view->health = top->shown[HEALTH];
	view->version = top->shown[VERSION];
	top_numbers_compute(&top->numbers, top->before, top->shown[STATS]);
	top_numbers_sort(&top->numbers, view->order);
	if (top->numbers.valid)
		remember_rate(view, top->numbers.rate);
}

/* All answers have arrived, or one failed: the previous data then stays on display. */
static void top_settle(struct top *top)
{
	if (top->failed) {
		for (int i = 0; i < ASKED; i++) {
			json_decref(top->fresh[i]);
			top->fresh[i] = NULL;
		}
		if (top->lost <= 0)
			top->lost = top->asked;
		top->view.last_error = top->last_error;
	} else {
		top->lost = 0;
		top->view.last_error = NULL;
		take_fresh(top);
	}
}

/* Reports a slow answer before its timeout. */
static void notice_silence(struct top *top)
{
	double now = clock_seconds();

	if (top->pending > 0 && top->view.last_error == NULL && now - top->asked > 2) {
		(void)snprintf(top->last_error, sizeof top->last_error,
			"connected, but the daemon is stalled");
		top->view.last_error = top->last_error;
		top->lost = top->asked;
	}
	top->view.lost_seconds = top->lost > 0 ? now - top->lost : 0;
}

/* Output
 * ----------------------------------------------------------------------
 */

static void show_picture(struct top *top)
{
	struct buffer out = {0};

	terminal_size(&top->view.width, &top->view.height);
	top_draw(&top->view, &out);
	if (out.failure == BUFFER_OK)
		top_screen_write(&out);
	buffer_free(&out);
}

/* The first answer alone covers no interval: its line would be empty. */
static int show_line(struct top *top)
{
	struct buffer out = {0};

	if (top->view.last_error == NULL && !top->numbers.valid)
		return 0;
	if (top->json) {
		top_draw_json_line(&top->view, &out);
	} else {
		if (top->done % 50 == 0)
			top_draw_plain_head(&out);
		top_draw_plain_line(&top->view, &out);
	}
	if (out.failure == BUFFER_OK)
		(void)fwrite(out.data, 1, out.length, stdout);
	buffer_free(&out);
	top->done++;
	return fflush(stdout) == 0
		? 0
		: output_fail(EX_IOERR, "cannot write the output: %s", strerror(errno));
}

static void set_interval(struct top *top, double interval)
{
	interval = interval < INTERVAL_MIN ? INTERVAL_MIN
		: interval > INTERVAL_MAX  ? INTERVAL_MAX
					   : interval;
	top->view.interval = interval;
	top->next = top->asked + interval;
}

static void take_letter(struct top *top, char letter)
{
	struct top_view *view = &top->view;
	enum top_order order;

	if (letter == 'k')
		view->scroll -= view->scroll > 0;
	else if (letter == 'j')
		view->scroll++;
	else if (letter == '+')
		set_interval(top, view->interval * 2);
	else if (letter == '-')
		set_interval(top, view->interval / 2);
	else if (letter == ' ' || letter == '\n')
		top->next = 0;
	else if (top_numbers_parse_order((char[]){letter, '\0'}, &order)) {
		view->order = order;
		view->scroll = 0;
		top_numbers_sort(&top->numbers, order);
	}
}

/* Several keys can arrive at once; an arrow key sends three bytes. Returns true on quit. */
static bool take_keys(struct top *top, const char *keys)
{
	for (; *keys != '\0'; keys++) {
		if (*keys == 'q' || *keys == 'Q')
			return true;
		if (keys[0] == '\033' && (keys[1] == '[' || keys[1] == 'O') && keys[2] != '\0') {
			take_letter(top, keys[2] == 'A' ? 'k' : keys[2] == 'B' ? 'j' : '\0');
			keys += 2;
		} else {
			take_letter(top, *keys);
		}
	}
	return false;
}

/* The loop
 * ----------------------------------------------------------------------
 */

static double wait_seconds(const struct top *top)
{
	double wait = top->asking ? 1 : top->next - clock_seconds();
	int library = pierre_timeout_ms(top->db);

	if (wait > 1 && top->view.last_error != NULL)
		wait = 1; /* the display counts the seconds without an answer */
	return library >= 0 && library / 1e3 < wait ? library / 1e3 : wait;
}

/* Returns true when there is new data to display. */
static bool top_work(struct top *top)
{
	if (!top->asking && clock_seconds() >= top->next)
		top_ask(top);
	if (!top->asking)
		return false;
	pierre_process(top->db);
	if (top->pending > 0)
		return false;
	top->asking = false;
	top_settle(top);
	if (top->full_screen && !top->failed && !top->numbers.valid)
		top->next = top->asked +
			(top->view.interval < FIRST_INTERVAL ? top->view.interval : FIRST_INTERVAL);
	return true;
}

static bool enough(const struct top *top)
{
	return top->max > 0 && top->done >= top->max;
}

static int run_lines(struct top *top)
{
	struct top_event event;
	int status = 0;

	while (status == 0 && !enough(top)) {
		bool fresh = top_work(top);

		notice_silence(top);
		if (fresh)
			status = show_line(top);
		if (status != 0 || enough(top))
			break;
		top_screen_wait(pierre_fd(top->db), pierre_events(top->db), wait_seconds(top),
			false, &event);
		if (event.ended != 0)
			return 0;
	}
	return status == 0 && top->view.last_error != NULL ? EX_TEMPFAIL : status;
}

static int run_screen(struct top *top)
{
	struct top_event event = {.resized = true};
	int status = top_screen_open();

	while (status == 0) {
		bool fresh = top_work(top);

		notice_silence(top);
		if (fresh || event.resized || *event.keys != '\0' || top->view.last_error != NULL)
			show_picture(top);
		top->done += fresh && top->numbers.valid;
		if (enough(top))
			break;
		top_screen_wait(pierre_fd(top->db), pierre_events(top->db), wait_seconds(top), true,
			&event);
		if (event.suspended) {
			top_screen_suspend();
			event.resized = true;
		}
		if (event.ended != 0 || take_keys(top, event.keys))
			break;
	}
	top_screen_close();
	return status;
}

static int read_interval(struct top *top, const char *text)
{
	char *end;
	double interval = strtod(text, &end);

	if (end == text || *end != '\0' || !(interval >= INTERVAL_MIN && interval <= INTERVAL_MAX))
		return output_fail(EX_USAGE, "--interval expects seconds from %g to %g, not \"%s\"",
			INTERVAL_MIN, INTERVAL_MAX, text);
	top->view.interval = interval;
	return 0;
}

static int top_read_options(struct top *top, int argc, char **argv)
{
	const char *interval = NULL, *order = NULL;
	const struct option_row rows[] = {
		{.name = "interval", .letter = 'i', .text = &interval},
		{.name = "count", .letter = 'n', .number = &top->max, .min = 1, .max = UINT32_MAX},
		{.name = "sort", .letter = 's', .text = &order},
		{0},
	};
	int words = options_read(rows, argc, argv);

	if (words < 0)
		return EX_USAGE;
	if (words > 0)
		return output_fail(EX_USAGE, "top accepts options only");
	if (order != NULL && !top_numbers_parse_order(order, &top->view.order))
		return output_fail(EX_USAGE,
			"--sort expects rate, p99, errors, load, total or name, not \"%s\"", order);
	return interval == NULL ? 0 : read_interval(top, interval);
}

/* Without a daemon at the start, fails like every other command. */
static int top_begin(struct top *top)
{
	int status = tree_call(top->ctl, "daemon.version", &top->shown[VERSION]);

	if (status != 0)
		return status;
	top->db = top->ctl->db;
	if (top->ctl->timeout_seconds <= 0)
		pierre_set_timeouts(top->db, 0, ANSWER_MS);
	(void)setlocale(LC_CTYPE, "");
	top->view.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	top->view.colours = top->ctl->colours;
	top->view.numbers = &top->numbers;
	top->json = top->ctl->json;
	top->full_screen = !top->json && top_screen_possible();
	top_screen_signals_init(top->full_screen);
	return 0;
}

static int top(struct ctl *ctl, int argc, char **argv)
{
	struct top *top = calloc(1, sizeof *top);
	int status;

	if (top == NULL)
		return output_fail(EX_OSERR, "out of memory");
	top->ctl = ctl;
	top->view.interval = 1;
	status = top_read_options(top, argc, argv);
	if (status == 0)
		status = top_begin(top);
	if (status == 0)
		status = top->full_screen ? run_screen(top) : run_lines(top);
	/* Unfinished calls refer to the memory freed here. */
	pierre_free(ctl->db);
	ctl->db = NULL;
	json_decref(top->before);
	for (int i = 0; i < ASKED; i++) {
		json_decref(top->shown[i]);
		json_decref(top->fresh[i]);
	}
	free(top);
	return status;
}

const struct command top_commands[] = {
	{"top", "[--interval SECONDS] [--count N] [--sort COLUMN]",
		"Show live activity of the daemon",
		"Examples:\n"
		"  pierre-dbctl top\n"
		"  pierre-dbctl top --interval 5 --sort p99\n"
		"  pierre-dbctl top --interval 60 | tee -a pierre.log\n"
		"  pierre-dbctl top --json --count 1 | jq .calls_per_second\n\n"
		"--interval SECONDS, -i  time between updates: 0.1 to 3600 (1)\n"
		"--count N, -n           exit after N updates\n"
		"--sort COLUMN, -s       rate, p99, errors, load, total or name\n\n"
		"Keys: q quits; r, p, e, l, t and n sort; the arrow keys scroll the table;\n"
		"+ and - change the interval; the space bar updates at once.\n\n"
		"All columns except TOTAL cover the last interval. LOAD is the time spent in\n"
		"calls per second, that is the average number of calls in flight. P50 and P99 are\n"
		"estimated from histogram buckets, each four times the one before. The line\n"
		"`calls` excludes daemon.* methods.\n\n"
		"When stdout is not a terminal, or TERM is dumb, one line is printed for each\n"
		"interval; with --json, one object. The daemon may restart meanwhile.",
		top},
	{0},
};
