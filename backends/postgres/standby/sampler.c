#include "sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>

#include "../../../protocol/value.h"
#include "../../position.h"
#include "../blocking/jobs.h"
#include "../cluster/takeover.h"
#include "../outage.h"
#include "../pg_store.h"
#include "split.h"

static const char *const sampler_names[SAMPLER_STATES] = {
	"closed", "connecting", "idle", "asking", "marking"};
static const uint32_t sampler_changes[SAMPLER_STATES] = {
	[SAMPLER_CLOSED] = STATE(SAMPLER_CONNECTING),
	[SAMPLER_CONNECTING] = STATE(SAMPLER_IDLE) | STATE(SAMPLER_CLOSED),
	[SAMPLER_IDLE] = STATE(SAMPLER_ASKING) | STATE(SAMPLER_MARKING) | STATE(SAMPLER_CLOSED),
	[SAMPLER_ASKING] = STATE(SAMPLER_IDLE) | STATE(SAMPLER_CLOSED),
	[SAMPLER_MARKING] = STATE(SAMPLER_IDLE) | STATE(SAMPLER_CLOSED),
};

const struct state_machine sampler_states = {
	"sampler of the primary", sampler_names, sampler_changes, SAMPLER_STATES};

static const uint64_t sampler_ms = 1000000;
enum { HURRY_MS = 1, BUSY_MS = 10, IDLE_MS = 1000, STALLED_MS = 1000, GIVE_UP_MS = 5000 };

/* The position as clients get it, and the transactions that run. */
#define SAMPLE_SQL                                                                                 \
	"SELECT position.result, current_setting('synchronous_commit') = 'off', "                  \
	"(SELECT value FROM pierre_meta WHERE key = '" SPLIT_TIMELINE_KEY "'), "                   \
	"pg_snapshot_xmin(now), (SELECT x FROM pg_snapshot_xip(now) AS x "                         \
	"WHERE x > pg_snapshot_xmin(now) ORDER BY x LIMIT 1), pg_snapshot_xmax(now), %s "          \
	"FROM (%s) AS position, pg_current_snapshot() AS now"
/* A role sees what its own sessions wait for: those of all daemons. */
#define WAITS_SQL "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')"
enum {
	SAMPLE_POSITION,
	SAMPLE_UNFLUSHED,
	SAMPLE_TIMELINE,
	SAMPLE_XMIN,
	SAMPLE_NEXT,
	SAMPLE_XMAX,
	SAMPLE_WAITS,
	SAMPLE_COLUMNS
};

/* A standby that is to confirm commits may not be there: this one does not wait for it. */
#define MARK_SQL                                                                                   \
	"SELECT set_config('synchronous_commit', 'local', true); "                                 \
	"INSERT INTO pierre_meta (key, value) VALUES ('" SPLIT_TIMELINE_KEY "', '%llu') "          \
	"ON CONFLICT (key) DO UPDATE SET value = excluded.value"

static void enter_sampler(struct sampler *sampler, enum sampler_state state)
{
	state_change(&sampler_states, &sampler->state, state, 0);
}

bool sampler_init(struct split *split)
{
	static const char name[] = "daemon.position";
	const struct method *method = catalog_find(name, sizeof name - 1);
	struct sampler *sampler = &split->sampler;
	uint64_t idle = split->store->settings.standby_lag_ms / 4;

	sampler->socket = -1;
	sampler->idle_ns = (idle < IDLE_MS ? idle : IDLE_MS) * sampler_ms;
	return asprintf(&sampler->sql, SAMPLE_SQL, "false",
		       method->statements[BACKEND_POSTGRES].sql) >= 0 &&
		asprintf(&sampler->waits_sql, SAMPLE_SQL, WAITS_SQL,
			method->statements[BACKEND_POSTGRES].sql) >= 0;
}

static void close_sampler(struct split *split)
{
	struct sampler *sampler = &split->sampler;

	if (sampler->socket >= 0 && PQsocket(sampler->pq) == sampler->socket)
		(void)epoll_ctl(split->store->epoll, EPOLL_CTL_DEL, sampler->socket, NULL);
	sampler->socket = -1;
	PQclear(sampler->last);
	sampler->last = NULL;
	PQfinish(sampler->pq);
	sampler->pq = NULL;
}

void sampler_free(struct split *split)
{
	close_sampler(split);
	free(split->sampler.sql);
	free(split->sampler.waits_sql);
}

static void sampler_failed(struct split *split, const char *reason)
{
	struct sampler *sampler = &split->sampler;
	uint64_t now = clock_ns();
	char text[ERR_MESSAGE_MAX];

	(void)snprintf(text, sizeof text, "%.300s", reason);
	text[strcspn(text, "\n")] = '\0';
	close_sampler(split);
	enter_sampler(sampler, SAMPLER_CLOSED);
	sampler->failures++;
	sampler->retry_at = now + outage_backoff(sampler->failures);
	if (failure_log_note(&sampler->failure_log, text, now))
		split->store->settings.log(LOG_NOTICE,
			"the primary's position is not known, so that standbys can answer few "
			"reads: %s",
			text);
}

static void sampler_connected(struct postgres_store *store, struct pg_connection *none, PGconn *pq,
	const struct lineage *lineage, const char *error)
{
	struct split *split = store->split;
	struct sampler *sampler = &split->sampler;
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = PG_EVENT_SAMPLER};

	(void)none;
	sampler->pq = pq;
	if (pq == NULL || store->closing) {
		sampler_failed(split, pq == NULL ? error : "the daemon is stopping");
		return;
	}
	if (lineage->standby || !takeover_admits(store, pq, lineage)) {
		sampler_failed(
			split, lineage->standby ? "the server is a standby" : store->gone_back);
		return;
	}
	takeover_cut(store);
	(void)PQsetnonblocking(pq, 1);
	sampler->socket = PQsocket(pq);
	(void)epoll_ctl(store->epoll, EPOLL_CTL_ADD, sampler->socket, &event);
	enter_sampler(sampler, SAMPLER_IDLE);
	sampler->hurry = true;
}

static void connect_sampler(struct split *split, uint64_t now)
{
	const struct target target = takeover_target(split->store, now);

	if (split->store->closing || now < split->sampler.retry_at)
		return;
	enter_sampler(&split->sampler, SAMPLER_CONNECTING);
	if (!jobs_connect(split->store, NULL, &target, sampler_connected))
		sampler_failed(split, "a thread could not be started");
}

/* As one simple query, which is one transaction. Behind a pooler it sets its own settings. */
static void send_query(struct split *split, enum sampler_state state, const char *sql, uint64_t now)
{
	struct sampler *sampler = &split->sampler;
	char *text = NULL;
	int length = split->store->pooled
		? asprintf(&text, "%s; %s", split->store->session_settings, sql)
		: 0;

	enter_sampler(sampler, state);
	sampler->asked_at = now;
	if (length < 0 || PQsendQuery(sampler->pq, text != NULL ? text : sql) != 1 ||
		PQflush(sampler->pq) < 0)
		sampler_failed(split, PQerrorMessage(sampler->pq));
	free(text);
}

static void ask_sample(struct split *split, uint64_t now)
{
	struct sampler *sampler = &split->sampler;
	const char *sql = sampler->patient ? sampler->waits_sql : sampler->sql;

	sampler->looking = sampler->patient;
	sampler->wanted = sampler->hurry = sampler->patient = false;
	samples_ask(&split->samples, now);
	send_query(split, SAMPLER_ASKING, sql, now);
}

static void mark_timeline(struct split *split, uint64_t now)
{
	char sql[sizeof MARK_SQL + 24];

	(void)snprintf(sql, sizeof sql, MARK_SQL, (unsigned long long)split->sampler.timeline);
	send_query(split, SAMPLER_MARKING, sql, now);
}

static uint64_t sample_number(const PGresult *result, int column)
{
	return strtoull(PQgetvalue(result, 0, column), NULL, 10);
}

/* Returns what is wrong with it; NULL: nothing. */
static const char *take_sample(struct split *split, const PGresult *result)
{
	struct sampler *sampler = &split->sampler;
	struct position position;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return PQresultErrorMessage(result);
	if (PQntuples(result) != 1 || PQnfields(result) != SAMPLE_COLUMNS ||
		!position_parse(&position, PQgetvalue(result, 0, SAMPLE_POSITION),
			(size_t)PQgetlength(result, 0, SAMPLE_POSITION)))
		return "the server sent an unexpected result";
	if (position.kind != POSITION_PRIMARY)
		return "the server is a standby";
	sampler->unflushed = PQgetvalue(result, 0, SAMPLE_UNFLUSHED)[0] == 't';
	if (sampler->looking) {
		sampler->waits = PQgetvalue(result, 0, SAMPLE_WAITS)[0] == 't';
		sampler->looked_at = sampler->asked_at;
	}
	sampler->timeline = position.timeline;
	sampler->now = (struct snapshot){.xmin = sample_number(result, SAMPLE_XMIN),
		.next = sample_number(result, SAMPLE_NEXT),
		.xmax = sample_number(result, SAMPLE_XMAX)};
	samples_take(&split->samples, position.log);
	return NULL;
}

static void sampler_answered(struct split *split, const PGresult *result)
{
	struct sampler *sampler = &split->sampler;
	bool marked = sampler->state == SAMPLER_MARKING;
	const char *problem = marked
		? (PQresultStatus(result) == PGRES_COMMAND_OK ? NULL : PQresultErrorMessage(result))
		: take_sample(split, result);

	if (problem != NULL) {
		sampler_failed(split, problem);
		return;
	}
	enter_sampler(sampler, SAMPLER_IDLE);
	sampler->failures = 0;
	sampler->silent = sampler->silent && marked;
	if (failure_log_end(&sampler->failure_log))
		split->store->settings.log(LOG_NOTICE, "the primary's position is known again");
	if (!marked && sample_number(result, SAMPLE_TIMELINE) != sampler->timeline)
		mark_timeline(split, clock_ns());
	if (!marked)
		split_sampled(split);
}

void sampler_receive(struct split *split)
{
	struct sampler *sampler = &split->sampler;

	if (sampler->pq == NULL)
		return;
	if (PQconsumeInput(sampler->pq) != 1) {
		sampler_failed(split, PQerrorMessage(sampler->pq));
		return;
	}
	while (sampler->state >= SAMPLER_ASKING && !PQisBusy(sampler->pq)) {
		PGresult *result = PQgetResult(sampler->pq), *last = sampler->last;

		if (result != NULL) {
			PQclear(last);
			sampler->last = result;
			continue;
		}
		sampler->last = NULL;
		sampler_answered(split, last);
		PQclear(last);
	}
}

/* A frozen primary keeps its connections open, and does not answer new ones for connect_timeout. */
bool sampler_stalled(const struct split *split, uint64_t now)
{
	const struct sampler *sampler = &split->sampler;

	return (sampler->state == SAMPLER_ASKING &&
		       now > sampler->asked_at + STALLED_MS * sampler_ms) ||
		(sampler->silent && sampler->answered == split->store->transactions);
}

/* Without a connection there is nothing to wait for. */
bool sampler_none_waits(const struct split *split, uint64_t since)
{
	const struct sampler *sampler = &split->sampler;

	return sampler->state < SAMPLER_IDLE || (sampler->looked_at > since && !sampler->waits);
}

static uint64_t sample_due(const struct split *split)
{
	const struct sampler *sampler = &split->sampler;
	uint64_t pause = sampler->hurry ? HURRY_MS * sampler_ms
		: sampler->wanted       ? BUSY_MS * sampler_ms
					: sampler->idle_ns;

	return split->samples.asked.sent + pause;
}

static void give_up_sample(struct split *split)
{
	struct sampler *sampler = &split->sampler;

	sampler->silent = sampler->silent || sampler->state == SAMPLER_ASKING;
	sampler->answered = split->store->transactions;
	sampler_failed(split, "the primary did not answer in time");
}

void sampler_step(struct split *split, uint64_t now)
{
	struct sampler *sampler = &split->sampler;

	if (sampler->state == SAMPLER_CLOSED)
		connect_sampler(split, now);
	else if (sampler->state == SAMPLER_IDLE && now >= sample_due(split))
		ask_sample(split, now);
	else if (sampler->state >= SAMPLER_ASKING &&
		now > sampler->asked_at + GIVE_UP_MS * sampler_ms)
		give_up_sample(split);
}

uint64_t sampler_next_due(const struct split *split, uint64_t now)
{
	const struct sampler *sampler = &split->sampler;

	switch ((enum sampler_state)sampler->state) {
	case SAMPLER_CLOSED:
		return sampler->retry_at;
	case SAMPLER_IDLE:
		return sample_due(split);
	case SAMPLER_ASKING:
	case SAMPLER_MARKING:
		return sampler->asked_at +
			(now <= sampler->asked_at + STALLED_MS * sampler_ms ? STALLED_MS
									    : GIVE_UP_MS) *
			sampler_ms +
			1;
	default:
		return UINT64_MAX;
	}
}
