#include "shell_edit.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "../terminal.h"
#include "shell_complete.h"
#include "shell_signals.h"

enum { HISTORY_MAX = 1000 };

struct shell_edit {
	EditLine *line;
	History *history;
	char prompt[16];
	struct shell_signals signals;
	unsigned signal; /* SHELL_SIGNALS_…: why the last read has ended */
	bool ended;      /* stdin has ended */
};

static struct shell_edit *of_line(EditLine *line)
{
	void *data = NULL;

	(void)el_get(line, EL_CLIENTDATA, &data);
	return data;
}

/* Keys
 * ----------------------------------------------------------------------
 */

/* ^Z: the shell that has started this one gets the terminal as it was. */
static void stop_here(EditLine *line)
{
	sigset_t one, before;
	struct sigaction usual = {.sa_handler = SIG_DFL}, own;

	(void)el_set(line, EL_PREP_TERM, 0);
	(void)sigemptyset(&one);
	(void)sigaddset(&one, SIGTSTP);
	(void)sigaction(SIGTSTP, &usual, &own);
	(void)raise(SIGTSTP);
	(void)sigprocmask(SIG_UNBLOCK, &one, &before); /* stops here until SIGCONT */
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)sigaction(SIGTSTP, &own, NULL);
	(void)el_set(line, EL_PREP_TERM, 1);
	(void)el_set(line, EL_REFRESH);
}

/* The terminal has wrapped the line anew, and the editor does not know where it begins: it is drawn
 * from the row of the cursor on. */
static void draw_again(EditLine *line)
{
	el_resize(line);
	(void)fputs("\r\033[J", stdout);
	(void)fflush(stdout);
	(void)el_set(line, EL_REFRESH);
}

/* Waits for a byte. Returns what read() does; a signal that ends the line is -1. */
static ssize_t wait_for_byte(struct shell_edit *edit, unsigned char *byte)
{
	struct pollfd watched = {.fd = STDIN_FILENO, .events = POLLIN};

	for (;;) {
		unsigned found = shell_signals_wait(&edit->signals, &watched, 1, -1);

		if ((found & (SHELL_SIGNALS_INTERRUPT | SHELL_SIGNALS_END)) != 0) {
			edit->signal = found;
			return -1;
		}
		if ((found & SHELL_SIGNALS_RESIZE) != 0)
			draw_again(edit->line);
		if ((found & SHELL_SIGNALS_SUSPEND) != 0)
			stop_here(edit->line);
		if (watched.revents != 0)
			return read(STDIN_FILENO, byte, 1);
	}
}

/* libedit's own reader repeats a read that a signal has interrupted. */
static int next_key(EditLine *line, wchar_t *key)
{
	struct shell_edit *edit = of_line(line);
	mbstate_t state = {0};
	unsigned char byte;

	for (;;) {
		ssize_t n = wait_for_byte(edit, &byte);
		size_t used;

		if (n <= 0) {
			edit->ended |= n == 0 || edit->signal == 0;
			errno = EINTR;
			return n == 0 ? 0 : -1;
		}
		used = mbrtowc(key, (const char *)&byte, 1, &state);
		if (used == (size_t)-1)
			state = (mbstate_t){0}; /* not UTF-8: the key is ignored */
		else if (used != (size_t)-2)
			return 1;
	}
}

/* Completion
 * ----------------------------------------------------------------------
 */

/* Below the line, in as many columns as fit; the line is then drawn again. */
static void list_candidates(const struct shell_complete *found)
{
	unsigned width, height, widest = 1;

	terminal_size(&width, &height);
	for (size_t i = 0; i < found->count; i++) {
		unsigned one = terminal_text_width(found->list[i]) + 2;

		widest = one > widest ? one : widest;
	}
	unsigned columns = widest < width ? width / widest : 1;
	size_t rows = (found->count + columns - 1) / columns;

	(void)putchar('\n');
	for (size_t row = 0; row < rows; row++) {
		for (size_t at = row; at < found->count; at += rows)
			(void)printf("%-*s", at + rows < found->count ? (int)widest : 0,
				found->list[at]);
		(void)putchar('\n');
	}
	(void)fflush(stdout);
}

static unsigned char complete(EditLine *line, int key)
{
	const LineInfo *info = el_line(line);
	char *command = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
	struct shell_complete found = {.count = 0};
	unsigned char answer = CC_REFRESH_BEEP;
	size_t common;

	(void)key;
	if (command != NULL)
		shell_complete_find(&found, command);
	common = shell_complete_common(&found);
	if (common > found.typed) {
		found.list[0][common] = '\0';
		(void)el_insertstr(line, found.list[0] + found.typed);
		answer = CC_REFRESH;
	}
	if (found.count == 1 && found.list[0][common - 1] != '=') {
		(void)el_insertstr(line, " ");
		answer = CC_REFRESH;
	} else if (found.count > 1 && common == found.typed) {
		list_candidates(&found);
		answer = CC_REDISPLAY;
	}
	shell_complete_free(&found);
	if (command != NULL)
		explicit_bzero(command, strlen(command)); /* may hold a password */
	free(command);
	return answer;
}

/* The editor
 * ----------------------------------------------------------------------
 */

static char *show_prompt(EditLine *line)
{
	return of_line(line)->prompt;
}

/* JSON is UTF-8; a session in another locale reads the keys as such, too. */
static void choose_locale(void)
{
	if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		(void)setlocale(LC_CTYPE, "C.UTF-8");
}

static void edit_close(struct shell_edit *edit)
{
	if (edit == NULL)
		return;
	if (edit->line != NULL)
		el_end(edit->line);
	if (edit->history != NULL)
		history_end(edit->history);
	free(edit);
}

static struct shell_edit *edit_open(void)
{
	struct shell_edit *edit = calloc(1, sizeof *edit);
	HistEvent event;

	if (edit == NULL)
		return NULL;
	choose_locale();
	edit->line = el_init("pierre-dbctl", stdin, stdout, stderr);
	edit->history = history_init();
	if (edit->line == NULL || edit->history == NULL) {
		edit_close(edit);
		return NULL;
	}
	(void)history(edit->history, &event, H_SETSIZE, HISTORY_MAX);
	(void)history(edit->history, &event, H_SETUNIQUE, 1);
	(void)el_set(edit->line, EL_CLIENTDATA, edit);
	(void)el_set(edit->line, EL_PROMPT, show_prompt);
	(void)el_set(edit->line, EL_SIGNAL, 0);
	(void)el_set(edit->line, EL_GETCFN, next_key);
	(void)el_set(edit->line, EL_HIST, history, edit->history);
	(void)el_set(edit->line, EL_EDITOR, "emacs");
	/* el_set() would copy the texts and never free them. */
	(void)el_wset(edit->line, EL_ADDFN, L"complete", L"completes the word", complete);
	(void)el_set(edit->line, EL_BIND, "^I", "complete", NULL);
	(void)el_set(edit->line, EL_BIND, "^R", "em-inc-search-prev", NULL);
	(void)el_source(edit->line, NULL); /* the user's ~/.editrc */
	return edit;
}

static enum shell_input_line edit_read(
	struct shell_edit *edit, const char *prompt, struct buffer *line)
{
	const char *text;
	int count = 0;

	(void)snprintf(edit->prompt, sizeof edit->prompt, "%s", prompt);
	edit->signal = 0;
	(void)fflush(stdout);
	shell_signals_take(&edit->signals, true);
	text = edit->ended ? NULL : el_gets(edit->line, &count);
	shell_signals_release(&edit->signals);
	if ((edit->signal & SHELL_SIGNALS_INTERRUPT) != 0) {
		el_reset(edit->line);
		(void)fputs("^C\n", stdout);
		return SHELL_INPUT_INTERRUPT;
	}
	if (text == NULL || count <= 0) {
		(void)fputs("\n", stdout);
		return SHELL_INPUT_END;
	}
	buffer_append(line, text, strcspn(text, "\n"));
	return SHELL_INPUT_LINE;
}

static void edit_remember(struct shell_edit *edit, const char *command)
{
	HistEvent event;

	(void)history(edit->history, &event, H_ENTER, command);
}

const struct shell_editor shell_edit_editor = {
	.open = edit_open,
	.close = edit_close,
	.read = edit_read,
	.remember = edit_remember,
};
