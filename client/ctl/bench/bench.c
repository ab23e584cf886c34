/* pierre-dbctl bench */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

void bench_add_latency(struct bench_result *result, uint64_t ns)
{
	result->buckets[log_linear_bucket(ns, BENCH_PARTS)]++;
	result->calls++;
	if (ns > result->max_ns)
		result->max_ns = ns;
}

double bench_quantile(const struct bench_result *result, double part)
{
	uint64_t rank = (uint64_t)ceil((double)result->calls * part);

	return (double)log_linear_quantile(
		       result->buckets, BENCH_BUCKETS, BENCH_PARTS, rank, result->max_ns) /
		1000;
}

static const struct {
	const char *text, *json;
	double part;
} quantiles[] = {
	{"p50", "p50", 0.5}, {"p90", "p90", 0.9}, {"p99", "p99", 0.99}, {"p99.9", "p999", 0.999}};

enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

static void bench_print_json(
	const char *name, const struct bench_options *options, const struct bench_result *result)
{
	(void)printf(
		"{\"method\":\"%s\",\"clients\":%llu,\"pipeline\":%llu,\"calls\":%llu,\"errors\":%llu,\"seconds\":%.6f,"
		"\"calls_per_second\":%.1f,\"bytes_in\":%llu,\"bytes_out\":%llu,\"microseconds\":{",
		name, (unsigned long long)options->clients, (unsigned long long)options->pipeline,
		(unsigned long long)result->calls, (unsigned long long)result->errors,
		result->seconds, (double)result->calls / result->seconds,
		(unsigned long long)result->bytes_in, (unsigned long long)result->bytes_out);
	for (size_t i = 0; i < QUANTILES; i++)
		(void)printf("\"%s\":%.1f,", quantiles[i].json,
			bench_quantile(result, quantiles[i].part));
	(void)printf("\"max\":%.1f}}\n", (double)result->max_ns / 1000);
}

static void bench_print_text(const struct ctl *ctl, const char *name,
	const struct bench_options *options, const struct bench_result *result)
{
	(void)printf("%s: %llu calls in %.2f s, %llu clients with %llu calls under way each\n",
		name, (unsigned long long)result->calls, result->seconds,
		(unsigned long long)options->clients, (unsigned long long)options->pipeline);
	(void)printf("%s%.0f calls/s%s   sent %.1f MB/s, received %.1f MB/s\n", output_bold(ctl),
		(double)result->calls / result->seconds, output_plain(ctl),
		(double)result->bytes_out / result->seconds / 1e6,
		(double)result->bytes_in / result->seconds / 1e6);
	(void)fputs("latency in µs:", stdout);
	for (size_t i = 0; i < QUANTILES; i++)
		(void)printf(
			"  %s %.0f", quantiles[i].text, bench_quantile(result, quantiles[i].part));
	(void)printf("  max %.0f\nerrors: %llu\n", (double)result->max_ns / 1000,
		(unsigned long long)result->errors);
}

struct arguments {
	const char *mix;
	uint64_t seconds;
	char **rest;
	int count;
};

static int bad_number(const char *name, const char *text)
{
	return output_fail(EX_USAGE, "%s: \"%s\" is not a number that it takes", name, text);
}

static int bench_read_arguments(
	struct bench_options *options, struct arguments *arguments, int argc, char **argv)
{
	const struct {
		const char *name, *long_name;
		uint64_t *value, max;
	} numbers[] = {
		{"-c", "--clients", &options->clients, BENCH_CLIENTS_MAX},
		{"-P", "--pipeline", &options->pipeline, BENCH_PIPELINE_MAX},
		{"-n", "--calls", &options->calls, UINT64_MAX / 2},
		{"-d", "--duration", &arguments->seconds, 86400},
	};

	for (int i = 1; i < argc; i++) {
		bool taken = false;

		for (size_t j = 0; j < sizeof numbers / sizeof numbers[0]; j++) {
			if (strcmp(argv[i], numbers[j].name) != 0 &&
				strcmp(argv[i], numbers[j].long_name) != 0)
				continue;
			if (i + 1 == argc ||
				!text_to_number(argv[i + 1], 1, numbers[j].max, numbers[j].value))
				return bad_number(argv[i], i + 1 < argc ? argv[i + 1] : "");
			i++;
			taken = true;
			break;
		}
		if (taken)
			continue;
		if (strcmp(argv[i], "--cyclic") == 0)
			options->cyclic = true;
		else if (strcmp(argv[i], "--mix") == 0 && i + 1 < argc)
			arguments->mix = argv[++i];
		else if (argv[i][0] == '-' && argv[i][1] != '\0')
			return output_fail(
				EX_USAGE, "bench has no option %s, or it needs a value", argv[i]);
		else
			arguments->rest[arguments->count++] = argv[i];
	}
	if ((arguments->mix == NULL) == (arguments->count == 0))
		return output_fail(EX_USAGE, "bench takes a method, or --mix with a file of them");
	return 0;
}

/* First a call by the library: it tells best why there is no connection. */
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
			bench_print_json(name, options, result);
		else
			bench_print_text(ctl, name, options, result);
		if (result->errors > 0) {
			(void)fprintf(stderr, "the first error: %s\n", result->first_error);
			status = EXIT_DAEMON_ERROR;
		}
	}
	free(result);
	return status;
}

static int bench(struct ctl *ctl, int argc, char **argv)
{
	struct bench_options options = {.clients = 1, .pipeline = 1, .calls = 10000};
	struct arguments arguments = {.rest = calloc((size_t)argc, sizeof *arguments.rest)};
	struct bench_work work = {0};
	char path[256];
	int status;

	if (arguments.rest == NULL)
		return output_fail(EX_OSERR, "out of memory");
	status = bench_read_arguments(&options, &arguments, argc, argv);
	options.stall_ms =
		ctl->timeout_seconds > 0 ? (unsigned)(ctl->timeout_seconds * 1000) : 35000;
	options.seconds = (double)arguments.seconds;
	if (status == 0)
		status = arguments.mix != NULL
			? bench_lines_work_read(&work, arguments.mix)
			: bench_lines_work_add(&work, 1, arguments.count, arguments.rest);
	if (status == 0)
		status = check_daemon(ctl, &options, path, sizeof path);
	if (status == 0)
		status = run_and_print(
			ctl, arguments.mix != NULL ? "mix" : arguments.rest[0], &options, &work);
	bench_lines_work_free(&work);
	free(arguments.rest);
	return status;
}

const struct command bench_commands[] = {
	{"bench", "METHOD [params] | --mix FILE [-c N] [-P N] [-n N | -d SECONDS] [--cyclic]",
		"measures how fast calls are answered",
		"Examples:\n"
		"  pierre-dbctl bench daemon.ping -n 100000 -P 16\n"
		"  pierre-dbctl bench get_user user_id=@ids.txt -c 8 -P 16 -n 200000\n"
		"  pierre-dbctl bench record_api_key_usage usage.api_key_id=@keys.txt usage.tool_name=bench usage.status_code=200 -c 4 -d 10\n"
		"  pierre-dbctl bench create_user 'user.email={n}@example.com' user.password_hash=x -n 1000\n"
		"  pierre-dbctl bench --mix work.txt -c 64 -n 100000 --json\n\n"
		"It really calls: methods that change data do so.\n"
		"name=@FILE       each line of the file is a value; one is taken at random for each call (--cyclic: in their order)\n"
		"{n}              in a value: a number that no other call has\n"
		"-c, --clients    connections (1)\n"
		"-P, --pipeline   calls that each has under way (1)\n"
		"-n, --calls      how many calls in all (10000)\n"
		"-d, --duration   instead: for so many seconds\n"
		"--mix FILE       lines `WEIGHT METHOD params...`: methods at random, by their weights; single quotes keep white space\n"
		"A call's time runs from before it is written until its answer is read. Exit code 1 when calls were answered with errors.",
		bench},
	{0},
};
