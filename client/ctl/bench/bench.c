/* pierre-dbctl bench */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../output.h"
#include "../connect.h"
#include "bench_latency.h"
#include "bench_lines.h"
#include "bench_run.h"
#include "../catalog/tree.h"
#include "../options.h"

static const struct {
	const char *text, *json;
	double part;
} quantiles[] = {
	{"p50", "p50", 0.5}, {"p90", "p90", 0.9}, {"p99", "p99", 0.99}, {"p99.9", "p999", 0.999}};

enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

static json_t *json_tenths(double value)
{
	return json_real(round(value * 10) / 10);
}

static void bench_print_json(const struct ctl *ctl, const char *name,
	const struct bench_options *options, const struct bench_result *result)
{
	json_t *times = json_object();

	for (size_t i = 0; i < QUANTILES; i++)
		(void)json_object_set_new(times, quantiles[i].json,
			json_tenths(bench_latency_quantile(&result->latency, quantiles[i].part)));
	(void)json_object_set_new(times, "max", json_tenths((double)result->latency.max_ns / 1000));
	tree_print_new(ctl,
		json_pack("{ss sI sI sI sI sf so sI sI so}", "method", name, "clients",
			(json_int_t)options->clients, "pipeline", (json_int_t)options->pipeline,
			"calls", (json_int_t)result->latency.count, "errors",
			(json_int_t)result->errors, "seconds", result->seconds, "calls_per_second",
			json_tenths((double)result->latency.count / result->seconds), "bytes_in",
			(json_int_t)result->bytes_in, "bytes_out", (json_int_t)result->bytes_out,
			"microseconds", times));
}

static void bench_print_text(const struct ctl *ctl, const char *name,
	const struct bench_options *options, const struct bench_result *result)
{
	(void)printf("%s: %llu calls in %.2f s, %llu clients with %llu calls in flight each\n",
		name, (unsigned long long)result->latency.count, result->seconds,
		(unsigned long long)options->clients, (unsigned long long)options->pipeline);
	(void)printf("%s%.0f calls/s%s   sent %.1f MB/s, received %.1f MB/s\n", output_bold(ctl),
		(double)result->latency.count / result->seconds, output_plain(ctl),
		(double)result->bytes_out / result->seconds / 1e6,
		(double)result->bytes_in / result->seconds / 1e6);
	(void)fputs("latency in µs:", stdout);
	for (size_t i = 0; i < QUANTILES; i++)
		(void)printf("  %s %.0f", quantiles[i].text,
			bench_latency_quantile(&result->latency, quantiles[i].part));
	(void)printf("  max %.0f\nerrors: %llu\n", (double)result->latency.max_ns / 1000,
		(unsigned long long)result->errors);
}

struct arguments {
	const char *mix;
	uint64_t seconds;
	char **words; /* the method and its parameters */
	int count;
};

static int bench_read_arguments(
	struct bench_options *options, struct arguments *arguments, int argc, char **argv)
{
	const struct option_row rows[] = {
		{.name = "clients",
			.letter = 'c',
			.number = &options->clients,
			.min = 1,
			.max = BENCH_CLIENTS_MAX},
		{.name = "pipeline",
			.letter = 'P',
			.number = &options->pipeline,
			.min = 1,
			.max = BENCH_PIPELINE_MAX},
		{.name = "calls",
			.letter = 'n',
			.number = &options->calls,
			.min = 1,
			.max = UINT64_MAX / 2},
		{.name = "duration",
			.letter = 'd',
			.number = &arguments->seconds,
			.min = 1,
			.max = 86400},
		{.name = "keys", .flag = &options->keys},
		{.name = "cyclic", .flag = &options->cyclic},
		{.name = "mix", .text = &arguments->mix},
		{0},
	};

	arguments->count = options_read(rows, argc, argv);
	arguments->words = argv + 1;
	if (arguments->count < 0)
		return EX_USAGE;
	if ((arguments->mix == NULL) == (arguments->count == 0))
		return output_fail(
			EX_USAGE, "bench requires a method, or --mix with a file of methods");
	return 0;
}

/* The first call uses the library, which reports best why there is no connection. */
static int check_daemon(struct ctl *ctl, struct bench_options *options, char *path, size_t size)
{
	struct pierre_error error;
	char *pong;
	int status = connect_call(ctl, "daemon.ping", NULL, &pong);

	if (status != 0)
		return status;
	pierre_text_free(pong);
	if (ctl->socket == NULL && pierre_default_socket(path, size, &error) != 0)
		return output_fail(EX_CONFIG, "%s", error.message);
	options->path = ctl->socket != NULL ? ctl->socket : path;
	return 0;
}

static int run_and_print(struct ctl *ctl, const char *name, const struct bench_options *options,
	const struct bench_work *work)
{
	struct bench_result *result = calloc(1, sizeof *result);
	int status;

	if (result == NULL)
		return output_fail(EX_OSERR, "out of memory");
	status = bench_run(options, work, result);
	if (status == 0) {
		if (ctl->json)
			bench_print_json(ctl, name, options, result);
		else
			bench_print_text(ctl, name, options, result);
		if (result->errors > 0) {
			(void)fprintf(stderr, "first error: %s\n", result->first_error);
			status = EXIT_DAEMON_ERROR;
		}
	}
	free(result);
	return status;
}

static int bench(struct ctl *ctl, int argc, char **argv)
{
	struct bench_options options = {.clients = 1, .pipeline = 1, .calls = 10000};
	struct arguments arguments = {0};
	struct bench_work work = {0};
	char path[256];
	int status = bench_read_arguments(&options, &arguments, argc, argv);

	options.stall_ms =
		ctl->timeout_seconds > 0 ? (unsigned)(ctl->timeout_seconds * 1000) : 35000;
	options.seconds = (double)arguments.seconds;
	if (status == 0)
		status = arguments.mix != NULL
			? bench_lines_work_read(&work, arguments.mix)
			: bench_lines_work_add(&work, 1, arguments.count, arguments.words);
	if (status == 0)
		status = check_daemon(ctl, &options, path, sizeof path);
	if (status == 0)
		status = run_and_print(
			ctl, arguments.mix != NULL ? "mix" : arguments.words[0], &options, &work);
	bench_lines_work_free(&work);
	return status;
}

const struct command bench_commands[] = {
	{"bench",
		"METHOD [params] | --mix FILE [-c N] [-P N] [-n N | -d SECONDS] [--cyclic] "
		"[--keys]",
		"Measure throughput and latency of calls",
		"Examples:\n"
		"  pierre-dbctl bench daemon.ping -n 100000 -P 16\n"
		"  pierre-dbctl bench get_user user_id=@ids.txt -c 8 -P 16 -n 200000\n"
		"  pierre-dbctl bench record_api_key_usage usage.api_key_id=@keys.txt \\\n"
		"    usage.tool_name=bench usage.status_code=200 -c 4 -d 10\n"
		"  pierre-dbctl bench create_user 'user.email={n}@example.com' \\\n"
		"    user.password_hash=x -n 1000\n"
		"  pierre-dbctl bench --mix work.txt -c 64 -n 100000 --json\n\n"
		"The calls are real: methods that change data change it.\n\n"
		"name=@FILE       Each line of FILE is a value. Each call uses a random one, or\n"
		"                 the next one with --cyclic.\n"
		"{n}              In a value: a number that is unique to the call.\n"
		"-c, --clients    Number of connections (1).\n"
		"-P, --pipeline   Calls in flight on each connection (1).\n"
		"-n, --calls      Total number of calls (10000).\n"
		"-d, --duration   Run for this many seconds instead.\n"
		"--keys           Each call has an idempotency key of its own.\n"
		"--mix FILE       Lines `WEIGHT METHOD params...`: methods are chosen at random\n"
		"                 by weight. Single quotes keep white space.\n\n"
		"Latency is measured from before the request is written until the answer is read.\n"
		"Exit code 1 when a call returned an error.",
		bench},
	{0},
};
