/* pierre-dbctl metrics: prints the metrics, or writes them for node_exporter. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../output.h"
#include "../options.h"
#include "../../metrics/metric_table.h"
#include "../../metrics/metric_text.h"
#include "output_file.h"
#include "../catalog/tree.h"

/* Writes a temporary file and renames it, so that a collector never reads a partial file. The file
 * is world-readable: it contains no secrets. */
static int ctl_metrics_write_file(const char *path, const struct metric_source *source)
{
	const char *objection = output_file_objection(path, OUTPUT_FILE_TEXT);
	char *temporary;
	FILE *out;
	int fd, status = 0;

	if (objection != NULL)
		return output_fail(EX_CANTCREAT, "%s %s", path, objection);
	if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
		return output_fail(EX_OSERR, "out of memory");
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (out == NULL) {
		status = output_fail(
			EX_CANTCREAT, "cannot create %s: %s", temporary, strerror(errno));
		free(temporary);
		return status;
	}
	(void)fchmod(fd, 0644);
	metric_text_write(out, METRIC_CLASSIC, source);
	if (fflush(out) != 0 || ferror(out) != 0)
		status = output_fail(EX_IOERR, "cannot write %s: %s", temporary, strerror(errno));
	(void)fclose(out);
	objection = output_file_objection(
		path, OUTPUT_FILE_TEXT); /* another process may have replaced the file */
	if (status == 0 && objection != NULL)
		status = output_fail(EX_CANTCREAT, "%s %s", path, objection);
	if (status == 0 && rename(temporary, path) != 0)
		status = output_fail(EX_CANTCREAT, "cannot replace %s: %s", path, strerror(errno));
	if (status != 0)
		(void)unlink(temporary);
	free(temporary);
	return status;
}

static int metrics(struct ctl *ctl, int argc, char **argv)
{
	struct metric_source source = {0};
	const char *file = NULL;
	bool markdown = false;
	const struct option_row rows[] = {
		{.name = "output", .text = &file}, {.name = "markdown", .flag = &markdown}, {0}};
	int words = options_read(rows, argc, argv), status;

	if (words < 0)
		return EX_USAGE;
	if (words > 0)
		return output_fail(EX_USAGE, "metrics accepts options only");
	if (ctl->json && (file != NULL || markdown))
		return output_fail(
			EX_USAGE, "--json cannot be combined with --output or --markdown");
	if (markdown) {
		metric_write_markdown();
		return 0;
	}
	status = tree_call(ctl, "daemon.version", &source.version);
	if (status == 0)
		status = tree_call(ctl, "daemon.health", &source.health);
	if (status == 0)
		status = tree_call(ctl, "daemon.stats", &source.stats);
	if (status == 0 && ctl->json)
		tree_print_new(ctl,
			json_pack("{sO sO sO}", "version", source.version, "health", source.health,
				"stats", source.stats));
	else if (status == 0 && file != NULL)
		status = ctl_metrics_write_file(file, &source);
	else if (status == 0)
		metric_text_write(stdout, METRIC_OPENMETRICS, &source);
	json_decref(source.version);
	json_decref(source.health);
	json_decref(source.stats);
	return status;
}

const struct command metrics_commands[] = {
	{"metrics", "[--output FILE]", "Print all metrics in the OpenMetrics format",
		"Examples:\n"
		"  pierre-dbctl metrics\n"
		"  pierre-dbctl metrics \\\n"
		"    --output /var/lib/prometheus/node-exporter/pierre-dbd.prom\n\n"
		"--output FILE  Write the Prometheus text format for the textfile collector of\n"
		"               node_exporter. The file is replaced atomically. It is left\n"
		"               unchanged when the daemon does not answer: monitor its age\n"
		"               (node_textfile_mtime_seconds).\n"
		"--markdown     Print a table of all metrics. No daemon is needed.\n"
		"--json         Print the results of daemon.version, daemon.health and\n"
		"               daemon.stats, from which the metrics are made.\n\n"
		"Units are seconds and bytes. The number of label values is bounded by the\n"
		"number of methods and of error kinds.",
		metrics},
	{0},
};
