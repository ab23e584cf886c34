#include "peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void peer_die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	exit(1);
}

static size_t read_number(const char *name, const char *text)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number == 0)
		peer_die("%s: expected a number from 1, not \"%s\"", name, text);
	return (size_t)number;
}

void peer_options_read(struct peer_options *options, int argc, char **argv)
{
	*options = (struct peer_options){.calls = 10000, .group = 1, .connections = 4, .depth = 1};
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *text = argv[i + 1];

		if (strcmp(name, "--target") == 0)
			options->target = text;
		else if (strcmp(name, "--method") == 0)
			options->method = text;
		else if (strcmp(name, "--keys") == 0)
			options->keys = text;
		else if (strcmp(name, "--calls") == 0)
			options->calls = read_number(name, text);
		else if (strcmp(name, "--group") == 0)
			options->group = read_number(name, text);
		else if (strcmp(name, "--connections") == 0)
			options->connections = read_number(name, text);
		else if (strcmp(name, "--depth") == 0)
			options->depth = read_number(name, text);
		else
			peer_die("unknown option %s", name);
	}
	if (argc % 2 == 0 || options->target == NULL || options->method == NULL ||
		options->keys == NULL)
		peer_die("usage: %s --target DATABASE --method METHOD --keys FILE [--calls N] "
			 "[--group N] [--connections N] "
			 "[--depth N]",
			argv[0]);
}

void peer_keys_read(struct peer_keys *keys, const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0, capacity = 0;
	ssize_t length;

	*keys = (struct peer_keys){.state = UINT64_C(0x9e3779b97f4a7c15)};
	if (file == NULL)
		peer_die("%s: %s", path, strerror(errno));
	while ((length = getline(&line, &room, file)) > 0) {
		if (keys->count == capacity) {
			capacity = capacity == 0 ? 1024 : capacity * 2;
			keys->keys = realloc(keys->keys, capacity * sizeof *keys->keys);
			if (keys->keys == NULL)
				peer_die("out of memory");
		}
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		keys->keys[keys->count] = strdup(line);
		if (keys->keys[keys->count++] == NULL)
			peer_die("out of memory");
	}
	free(line);
	(void)fclose(file);
	if (keys->count == 0)
		peer_die("%s contains no keys", path);
}

const char *peer_keys_random(struct peer_keys *keys)
{
	keys->state ^= keys->state << 13;
	keys->state ^= keys->state >> 7;
	keys->state ^= keys->state << 17;
	return keys->keys[keys->state % keys->count];
}

const struct method *peer_method(const char *name, enum backend_id backend)
{
	const struct method *method = catalog_find(name, strlen(name));

	if (method == NULL || method->statements[backend].sql == NULL)
		peer_die("%s is not a method with a statement", name);
	return method;
}

static struct value text_value(const char *text)
{
	return (struct value){.set = true, .s = {text, strlen(text)}};
}

struct value peer_value(const struct bind_param *slot, const char *key, int64_t now)
{
	static const struct {
		const char *name, *text;
	} texts[] = {
		{"tool_name", "get_activities"},
		{"ip_address", "192.0.2.17"},
		{"user_agent", "pierre-bench/1.0"},
	};
	static const struct {
		const char *name;
		int64_t number;
	} numbers[] = {
		{"response_time_ms", 42},
		{"status_code", 200},
		{"request_size_bytes", 512},
		{"response_size_bytes", 2048},
	};

	if (strcmp(slot->name, "user_id") == 0 || strcmp(slot->name, "api_key_id") == 0)
		return text_value(key);
	if (slot->type == TYPE_TIMESTAMP)
		return (struct value){.set = true, .i = now};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strcmp(slot->name, texts[i].name) == 0)
			return text_value(texts[i].text);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(slot->name, numbers[i].name) == 0)
			return (struct value){.set = true, .i = numbers[i].number};
	return (struct value){.set = false};
}

uint64_t peer_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void peer_times_begin(struct peer_times *times, size_t calls)
{
	*times = (struct peer_times){.capacity = calls};
	times->each = malloc(calls * sizeof *times->each);
	if (times->each == NULL)
		peer_die("out of memory");
	/* Page faults belong to the start, not to the calls. */
	memset(times->each, 0xff, calls * sizeof *times->each);
	times->started = peer_clock();
}

void peer_times_add(struct peer_times *times, uint64_t ns)
{
	if (times->count < times->capacity)
		times->each[times->count++] = ns;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void peer_times_print(struct peer_times *times, const char *peer)
{
	static const struct {
		const char *name;
		double share;
	} marks[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999},
		{"max_us", 1.0}};
	double seconds = (double)(peer_clock() - times->started) / 1e9;

	if (times->count == 0)
		peer_die("no call was made");
	qsort(times->each, times->count, sizeof *times->each, compare);
	(void)printf("{\"peer\":\"%s\",\"calls\":%zu,\"seconds\":%.6f,\"calls_per_second\":%.1f",
		peer, times->count, seconds, (double)times->count / seconds);
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		size_t at = (size_t)((double)times->count * marks[i].share);

		if (at >= times->count)
			at = times->count - 1;
		(void)printf(",\"%s\":%.2f", marks[i].name, (double)times->each[at] / 1e3);
	}
	(void)puts("}");
	free(times->each);
}
