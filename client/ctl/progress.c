#include "progress.h"
#include "terminal.h"
#include "value.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR = 30 };

void progress_begin(struct progress *progress, const struct ctl *ctl, const char *unit)
{
	*progress = (struct progress){.unit = unit, .started = clock_seconds()};
	progress->shown = !ctl->json && isatty(STDERR_FILENO) == 1 && terminal_moves_cursor();
}

void progress_show(struct progress *progress, const char *what, double done, double all)
{
	static const char full[] = "##############################",
			  none[] = "..............................";
	double part = all > 0 ? done / all : 0, seconds = clock_seconds() - progress->started;
	int width;

	if (!progress->shown)
		return;
	part = part > 1 ? 1 : part;
	width = (int)(part * BAR);
	(void)fprintf(stderr, "\r\033[K%s [%.*s%.*s] %3.0f%%  %.0f of %.0f %s", what, width, full,
		BAR - width, none, part * 100, done, all, progress->unit);
	if (seconds > 0.5 && done > 0 && done < all)
		(void)fprintf(stderr, ", %.0f/s, %.0f s left", done / seconds,
			(all - done) * seconds / done);
	(void)fflush(stderr);
	progress->begun = true;
}

void progress_end(struct progress *progress)
{
	if (progress->begun)
		(void)fputs("\r\033[K", stderr);
	progress->begun = false;
}
