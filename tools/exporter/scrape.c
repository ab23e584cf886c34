#include "scrape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../client/metrics/metric_text.h"
#include "exporter_options.h"

/* An answer of this age is returned again. So the requests of many clients cost the daemon at most
 * one question in this time. */
enum { RECENT_MS = 500 };

enum { CALL_VERSION, CALL_HEALTH, CALL_STATS };

static const char *const asked_methods[SCRAPE_CALLS] = {
	[CALL_VERSION] = "daemon.version",
	[CALL_HEALTH] = "daemon.health",
	[CALL_STATS] = "daemon.stats",
};

uint64_t scrape_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool scrape_init(
	struct scrape *scrape, const char *socket, uint64_t timeout_ms, const uint64_t *dropped)
{
	*scrape = (struct scrape){.db = pierre_new(socket), .dropped = dropped};
	if (scrape->db == NULL)
		return false;
	pierre_set_timeouts(scrape->db, 0, (unsigned)timeout_ms);
	return true;
}

static void forget_pages(struct scrape *scrape)
{
	for (int i = 0; i < SCRAPE_PAGES; i++) {
		free(scrape->pages[i].text);
		scrape->pages[i] = (struct page){.status = 503};
	}
}

static void forget_results(struct scrape *scrape)
{
	for (int i = 0; i < SCRAPE_CALLS; i++) {
		json_decref(scrape->results[i]);
		scrape->results[i] = NULL;
	}
}

void scrape_free(struct scrape *scrape)
{
	pierre_free(scrape->db);
	forget_results(scrape);
	forget_pages(scrape);
}

static void set_page(struct page *page, unsigned status, const char *first, const char *second)
{
	int length = asprintf(&page->text, "%s%s\n", first, second);

	if (length < 0)
		page->text = NULL;
	page->status = page->text != NULL ? status : 503;
	page->length = page->text != NULL ? (size_t)length : 0;
}

static void set_metrics(struct scrape *scrape, struct page *page)
{
	const struct metric_exporter own = {.version = pierre_version(),
		.seconds = (double)(scrape->ended - scrape->began) / 1e3,
		.scrapes = scrape->count,
		.failures = scrape->failures,
		.dropped = *scrape->dropped};
	const struct metric_source source = {.version = scrape->results[CALL_VERSION],
		.health = scrape->results[CALL_HEALTH],
		.stats = scrape->results[CALL_STATS],
		.exporter = &own};
	FILE *out = open_memstream(&page->text, &page->length);
	bool written;

	if (out == NULL)
		return;
	metric_text_write(out, METRIC_CLASSIC, &source);
	written = ferror(out) == 0;
	written = fclose(out) == 0 && written;
	if (written) {
		page->status = 200;
	} else {
		free(page->text);
		*page = (struct page){.status = 503};
	}
}

static void end_scrape(struct scrape *scrape)
{
	scrape->running = false;
	scrape->ended = scrape_now();
	scrape->count++;
	forget_pages(scrape);
}

static void succeed(struct scrape *scrape)
{
	const json_t *health = scrape->results[CALL_HEALTH];
	const char *status = json_string_value(json_object_get(health, "status"));
	bool live = json_is_true(json_object_get(health, "live"));
	bool ready = json_is_true(json_object_get(health, "ready"));

	end_scrape(scrape);
	if (scrape->failing)
		(void)fputs("pierre-dbd-exporter: the daemon answers again\n", stderr);
	scrape->failing = false;
	set_metrics(scrape, &scrape->pages[SCRAPE_METRICS]);
	set_page(&scrape->pages[SCRAPE_HEALTHY], live ? 200 : 503,
		live ? "live: " : "not live: ", status != NULL ? status : "?");
	set_page(&scrape->pages[SCRAPE_READY], ready ? 200 : 503,
		ready ? "ready: " : "not ready: ", status != NULL ? status : "?");
	forget_results(scrape);
}

static void fail(struct scrape *scrape, const char *reason)
{
	static const char words[] = "the daemon does not answer: ";

	for (int i = 0; i < SCRAPE_CALLS; i++) {
		if (scrape->calls[i] > 0)
			(void)pierre_cancel(scrape->db, scrape->calls[i]);
		scrape->calls[i] = 0;
	}
	end_scrape(scrape);
	scrape->failures++;
	if (!scrape->failing)
		(void)exporter_options_fail(0, "%s%s", words, reason);
	scrape->failing = true;
	for (int i = 0; i < SCRAPE_PAGES; i++)
		set_page(&scrape->pages[i], 503, words, reason);
	forget_results(scrape);
}

/* The call whose answer this is. The calls of a handle are answered in any order, so each callback
 * has its own. */
static void scrape_take_answer(struct scrape *scrape, int call, const struct pierre_answer *answer)
{
	struct pierre_error error;
	char *text;

	scrape->calls[call] = 0;
	if (pierre_answer_json(answer, &text, &error) != 0) {
		fail(scrape, error.message);
		return;
	}
	scrape->results[call] = json_loads(text, 0, NULL);
	pierre_text_free(text);
	if (scrape->results[call] == NULL) {
		fail(scrape, "its answer cannot be read");
		return;
	}
	for (int i = 0; i < SCRAPE_CALLS; i++)
		if (scrape->results[i] == NULL)
			return;
	succeed(scrape);
}

static void take_version(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	(void)db;
	scrape_take_answer(userdata, CALL_VERSION, answer);
}

static void take_health(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	(void)db;
	scrape_take_answer(userdata, CALL_HEALTH, answer);
}

static void take_stats(struct pierre *db, const struct pierre_answer *answer, void *userdata)
{
	(void)db;
	scrape_take_answer(userdata, CALL_STATS, answer);
}

void scrape_begin(struct scrape *scrape)
{
	static pierre_done *const done[SCRAPE_CALLS] = {
		[CALL_VERSION] = take_version,
		[CALL_HEALTH] = take_health,
		[CALL_STATS] = take_stats,
	};
	uint64_t now = scrape_now();
	struct pierre_error error;

	if (scrape->running || (scrape->ended != 0 && now - scrape->ended < RECENT_MS))
		return;
	scrape->running = true;
	scrape->began = now;
	for (int i = 0; i < SCRAPE_CALLS; i++) {
		scrape->calls[i] = pierre_call_async(
			scrape->db, asked_methods[i], NULL, done[i], scrape, &error);
		if (scrape->calls[i] < 0) {
			fail(scrape, error.message);
			return;
		}
	}
}

const struct page *scrape_page(const struct scrape *scrape, enum scrape_page page)
{
	return scrape->running ? NULL : &scrape->pages[page];
}
