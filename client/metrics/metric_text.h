/* Writes daemon.version, daemon.health and daemon.stats as OpenMetrics, or in Prometheus' older
 * text format. pierre-dbctl metrics and pierre-dbd-exporter both use it. */
#ifndef PIERRE_METRIC_TEXT_H
#define PIERRE_METRIC_TEXT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

enum metric_format {
	METRIC_OPENMETRICS,
	METRIC_CLASSIC, /* types belong to sample names, and there are no units */
};

/* What pierre-dbd-exporter adds about itself. */
struct metric_exporter {
	const char *version;
	double seconds; /* how long the daemon took to answer */
	uint64_t scrapes, failures, dropped;
};

struct metric_source {
	json_t *version, *health, *stats;       /* the results of the daemon's methods */
	const struct metric_exporter *exporter; /* NULL: it is not the exporter that asks */
};

void metric_text_write(FILE *out, enum metric_format format, const struct metric_source *source);

#endif
