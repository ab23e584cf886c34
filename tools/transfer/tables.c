/* The tables of an installation. Parents come before children, for the foreign keys. Two of
 * SQLite's tables are missing, since no server ever wrote to them: api_key_usage_stats and
 * api_key_rate_limits. */
#include "tables.h"

#include <stddef.h>

#include "dropped.h"
#include "providers.gen.h"

#define IS(column, type)                                                                           \
	{                                                                                          \
		.name = column, .kind = COLUMN_##type                                              \
	}
#define NAMES(column)                                                                              \
	{                                                                                          \
		.name = column, .kind = COLUMN_TEXT, .identifier = true                            \
	}
#define MAYBE(column, type)                                                                        \
	{                                                                                          \
		.name = column, .kind = COLUMN_##type, .nullable = true                            \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define TOKEN(provider)                                                                            \
	MAYBE(provider "_access_token", TEXT), MAYBE(provider "_refresh_token", TEXT),             \
		MAYBE(provider "_expires_at", TIME), MAYBE(provider "_scope", TEXT),               \
		MAYBE(provider "_nonce", TEXT), MAYBE(provider "_version", TEXT),                  \
		MAYBE(provider "_lease", TEXT), MAYBE(provider "_lease_expires_at", TIME),         \
		MAYBE(provider "_lease_version", TEXT)

#define TOKENS(provider, title) TOKEN(provider),

#define REQUEST                                                                                    \
	IS("timestamp", TIME), IS("tool_name", TEXT), MAYBE("response_time_ms", INTEGER),          \
		IS("status_code", INTEGER), MAYBE("error_message", TEXT),                          \
		MAYBE("request_size_bytes", INTEGER), MAYBE("response_size_bytes", INTEGER),       \
		MAYBE("ip_address", IP), MAYBE("user_agent", TEXT)

static const struct column_of meta[] = {IS("key", TEXT), IS("value", TEXT)};

static const struct column_of users[] = {
	IS("id", UUID),
	NAMES("email"),
	MAYBE("display_name", TEXT),
	IS("password_hash", TEXT),
	/* clang-format off */
	TOKEN_PROVIDERS(TOKENS)
	/* clang-format on */
	IS("created_at", TIME),
	IS("last_active", TIME),
	IS("is_active", BOOL),
};

static const struct column_of profiles[] = {
	IS("user_id", UUID),
	IS("created_at", TIME),
	IS("updated_at", TIME),
	{.name = "document",
		.kind = COLUMN_JSON,
		.sqlite = "CASE WHEN document_updated_at = updated_at THEN document END"},
};

static const struct column_of goals[] = {
	IS("id", UUID),
	IS("user_id", UUID),
	IS("title", TEXT),
	IS("goal_type", TEXT),
	IS("target_value", REAL),
	{.name = "current_value", .kind = COLUMN_REAL, .sqlite = "COALESCE(current_value, 0.0)"},
	IS("status", TEXT),
	IS("created_at", TIME),
	IS("updated_at", TIME),
	IS("document", JSON),
};

static const struct column_of milestones[] = {
	IS("id", UUID),
	IS("goal_id", UUID),
	IS("name", TEXT),
	IS("target_value", REAL),
	{.name = "achieved", .kind = COLUMN_BOOL, .sqlite = "COALESCE(achieved, 0)"},
	MAYBE("achieved_date", TEXT),
	IS("created_at", TIME),
};

static const struct column_of insights[] = {
	IS("id", UUID),
	IS("user_id", UUID),
	IS("insight_type", TEXT),
	IS("created_at", TIME),
	IS("document", JSON),
};

static const struct column_of api_keys[] = {
	NAMES("id"),
	IS("user_id", UUID),
	NAMES("name"),
	NAMES("key_prefix"),
	IS("key_hash", TEXT),
	MAYBE("description", TEXT),
	IS("tier", TEXT),
	IS("rate_limit_requests", INTEGER),
	IS("rate_limit_window", INTEGER),
	IS("is_active", BOOL),
	MAYBE("last_used_at", TIME),
	MAYBE("expires_at", TIME),
	IS("created_at", TIME),
	IS("updated_at", TIME),
};

static const struct column_of usage[] = {
	IS("id", INTEGER),
	{.name = "api_key_id", .kind = COLUMN_API_KEY, .postgres = "api_key"},
	REQUEST,
};

static const struct column_of clients[] = {
	NAMES("id"),
	{.name = "api_key_id", .kind = COLUMN_API_KEY, .postgres = "api_key"},
	NAMES("name"),
	{.name = "description", .kind = COLUMN_TEXT, .sqlite = "COALESCE(description, '')"},
	{.name = "public_key", .kind = COLUMN_TEXT, .sqlite = "COALESCE(public_key, '')"},
	IS("capabilities", STRINGS),
	IS("redirect_uris", STRINGS),
	IS("is_active", BOOL),
	IS("created_at", TIME),
	IS("updated_at", TIME),
	MAYBE("agent_version", TEXT),
	MAYBE("contact_email", TEXT),
	MAYBE("documentation_url", TEXT),
	IS("is_verified", BOOL),
	MAYBE("verification_token", TEXT),
	MAYBE("verified_at", TIME),
};

static const struct column_of sessions[] = {
	IS("id", UUID),
	{.name = "client_id", .kind = COLUMN_CLIENT, .postgres = "client"},
	NAMES("session_token"),
	MAYBE("user_id", UUID),
	IS("granted_scopes", STRINGS),
	MAYBE("ip_address", TEXT),
	MAYBE("user_agent", TEXT),
	IS("created_at", TIME),
	IS("expires_at", TIME),
	IS("last_activity", TIME),
	IS("is_active", BOOL),
};

static const struct column_of tasks[] = {
	IS("id", UUID),
	{.name = "client_id", .kind = COLUMN_CLIENT, .postgres = "client"},
	MAYBE("session_id", UUID),
	IS("task_type", TEXT),
	MAYBE("input_data", JSON),
	IS("status", TEXT),
	MAYBE("progress_percentage", INTEGER),
	MAYBE("result_data", JSON),
	MAYBE("error_message", TEXT),
	IS("created_at", TIME),
	MAYBE("started_at", TIME),
	MAYBE("completed_at", TIME),
	MAYBE("estimated_duration_seconds", INTEGER),
	MAYBE("priority", INTEGER),
};

/* SQLite refers to a session by its token, PostgreSQL by its id. */
static const struct column_of a2a_usage[] = {
	IS("id", INTEGER),
	{.name = "client_id", .kind = COLUMN_CLIENT, .postgres = "client"},
	{.name = "session_id",
		.kind = COLUMN_UUID,
		.nullable = true,
		.stored = "session_token",
		.sqlite =
			"(SELECT s.id FROM a2a_sessions s WHERE s.session_token = t.session_token)",
		.set = "(SELECT s.session_token FROM a2a_sessions s WHERE s.id = ?)"},
	REQUEST,
	MAYBE("protocol_version", TEXT),
	{.name = "client_capabilities",
		.kind = COLUMN_STRINGS,
		.sqlite = "COALESCE(client_capabilities, '[]')"},
	{.name = "granted_scopes",
		.kind = COLUMN_STRINGS,
		.sqlite = "COALESCE(granted_scopes, '[]')"},
};

/* A write that is repeated after the transfer gives its stored answer. */
static const struct column_of idempotency_keys[] = {
	IS("uid", INTEGER),
	NAMES("key"),
	IS("method", TEXT),
	IS("digest", TEXT),
	MAYBE("answer", TEXT),
	IS("created_us", INTEGER),
};

/* Counts of usage rows that were dropped. */
#define HOUR                                                                                       \
	{                                                                                          \
		.name = "hour", .kind = COLUMN_TIME,                                               \
		.sqlite = "strftime('%Y-%m-%dT%H:00:00Z', t.hour * 3600, 'unixepoch')",            \
		.set = "hour_of(micros(?))"                                                        \
	}
#define COUNTS                                                                                     \
	HOUR, IS("tool_name", TEXT), IS("requests", INTEGER), IS("successful", INTEGER),           \
		IS("failed", INTEGER), IS("time_ms", INTEGER), IS("timed", INTEGER),               \
		IS("odd", INTEGER)

static const struct column_of usage_hours[] = {
	{.name = "api_key_id", .kind = COLUMN_API_KEY, .postgres = "api_key"},
	COUNTS,
};
static const struct column_of a2a_hours[] = {
	{.name = "client_id", .kind = COLUMN_CLIENT, .postgres = "client"},
	COUNTS,
};
static const struct column_of a2a_capabilities[] = {
	{.name = "client_id", .kind = COLUMN_CLIENT, .postgres = "client"},
	HOUR,
	IS("capability", TEXT),
	IS("requests", INTEGER),
};

#define TABLE(table, described)                                                                    \
	.name = table, .columns = described, .column_count = COUNT(described)

const struct table_of transfer_tables[] = {
	/* The target is another database, which gets a name of its own (identity.h). */
	{TABLE("pierre_meta", meta), .where = "key <> 'database'"},
	{TABLE("users", users)},
	{TABLE("user_profiles", profiles), .method = "upsert_user_profile",
		.binds = {{"user_id", "user_id"}, {"profile_data", "document"},
			{"now", "updated_at"}},
		.after = "UPDATE user_profiles SET created_at = :created_at WHERE user_id = "
			 ":user_id",
		.reader = "get_user_profile"},
	{TABLE("goals", goals), .method = "create_goal",
		.binds = {{"new_id", "id"}, {"user_id", "user_id"}, {"title", "title"},
			{"goal_type", "goal_type"}, {"target_value", "target_value"},
			{"current_value", "current_value"}, {"now", "created_at"},
			{"goal_data", "document"}},
		.after = "UPDATE goals SET status = :status, updated_at = :updated_at WHERE id = "
			 ":id",
		.reader = "get_user_goals"},
	{TABLE("goal_milestones", milestones)},
	{TABLE("analytics_insights", insights), .method = "store_insight",
		.binds = {{"new_id", "id"}, {"user_id", "user_id"},
			{"insight_type", "insight_type"}, {"now", "created_at"},
			{"insight_data", "document"}},
		.reader = "get_user_insights"},
	{TABLE("api_keys", api_keys), .numbered = true},
	{TABLE("api_key_usage", usage), .identity = true},
	{TABLE("a2a_clients", clients), .numbered = true},
	{TABLE("a2a_sessions", sessions)},
	{TABLE("a2a_tasks", tasks)},
	{TABLE("a2a_usage", a2a_usage), .identity = true},
	{TABLE("api_key_usage_hours", usage_hours),
		.from = {[BACKEND_SQLITE] =
				 DROPPED_SQLITE("api_key_usage", "api_key_id", "api_keys", "NULL"),
			[BACKEND_POSTGRES] = DROPPED_POSTGRES(
				"api_key_usage", "api_key", "api_keys", "NULL::text[]")},
		.end = {[BACKEND_SQLITE] = DROPPED_END_SQLITE("api_key_usage", "api_key_id"),
			[BACKEND_POSTGRES] = DROPPED_END_POSTGRES("api_key_usage", "api_key")}},
	{TABLE("a2a_usage_capabilities", a2a_capabilities),
		.from = {[BACKEND_SQLITE] = DROPPED_CAPABILITIES_SQLITE,
			[BACKEND_POSTGRES] = DROPPED_CAPABILITIES_POSTGRES}},
	{TABLE("a2a_usage_hours", a2a_hours),
		.from = {[BACKEND_SQLITE] = DROPPED_SQLITE(
				 "a2a_usage", "client_id", "a2a_clients", "client_capabilities"),
			[BACKEND_POSTGRES] = DROPPED_POSTGRES(
				"a2a_usage", "client", "a2a_clients", "client_capabilities")},
		.end = {[BACKEND_SQLITE] = DROPPED_END_SQLITE("a2a_usage", "client_id"),
			[BACKEND_POSTGRES] = DROPPED_END_POSTGRES("a2a_usage", "client")}},
	{TABLE("idempotency_keys", idempotency_keys)},
	{.name = NULL},
};

void tables_from(const struct table_of *table, enum backend_id backend, struct buffer *sql)
{
	buffer_text(sql, " FROM ");
	buffer_text(sql, table->from[backend] != NULL ? table->from[backend] : table->name);
	buffer_text(sql, " t");
	if (table->where != NULL) {
		buffer_text(sql, " WHERE ");
		buffer_text(sql, table->where);
	}
	buffer_append(sql, "", 1);
}
