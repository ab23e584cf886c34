#include "verify_rules.h"

#include <stdio.h>
#include <string.h>

#include "providers.gen.h"
#include "verify.h"

#define U16_MAX "65535"
#define U32_MAX "4294967295"
#define I64_MAX "9223372036854775807"

#define RULE(table_, id_, column_, ...)                                                            \
	{                                                                                          \
		.table = table_, .id = id_, .column = column_, __VA_ARGS__                         \
	}

const struct verify_rule verify_rules[] = {
	RULE("users", "id", "id", .kind = VERIFY_UUID, .required = true),
	RULE("users", "id", "email", .kind = VERIFY_TEXT, .required = true),
	RULE("users", "id", "display_name", .kind = VERIFY_TEXT),
	RULE("users", "id", "password_hash", .kind = VERIFY_TEXT, .required = true),
	RULE("users", "id", "created_at", .kind = VERIFY_TIME, .required = true),
	RULE("users", "id", "last_active", .kind = VERIFY_TIME, .required = true),
	RULE("users", "id", "is_active", .kind = VERIFY_BOOL, .required = true),
#define EXPIRY(provider, title)                                                                    \
	RULE("users", "id", provider "_expires_at", .kind = VERIFY_TIME),                          \
		RULE("users", "id", provider "_lease_expires_at", .kind = VERIFY_TIME),
	/* clang-format off */
	TOKEN_PROVIDERS(EXPIRY)
	/* clang-format on */
	RULE("user_profiles", "user_id", "user_id", .kind = VERIFY_UUID, .required = true),
	RULE("user_profiles", "user_id", "weight_kg", .kind = VERIFY_REAL, .old = true),
	RULE("user_profiles", "user_id", "height_cm", .kind = VERIFY_REAL, .old = true),
	RULE("user_profiles", "user_id", "hours_per_week", .kind = VERIFY_REAL, .old = true),
	RULE("user_profiles", "user_id", "age", .kind = VERIFY_WHOLE, .old = true, .max = I64_MAX),
	RULE("user_profiles", "user_id", "training_history_months", .kind = VERIFY_WHOLE,
		.old = true, .max = I64_MAX),
	RULE("user_profiles", "user_id", "preferred_duration_minutes", .kind = VERIFY_WHOLE,
		.old = true, .max = I64_MAX),
	RULE("user_profiles", "user_id", "gender", .kind = VERIFY_TEXT, .old = true),
	RULE("user_profiles", "user_id", "fitness_level", .kind = VERIFY_TEXT, .old = true),
	RULE("user_profiles", "user_id", "preferred_units", .kind = VERIFY_TEXT, .old = true),
	RULE("user_profiles", "user_id", "document", .kind = VERIFY_OBJECT,
		.exact = "document_exact"),
	RULE("goals", "id", "id", .kind = VERIFY_UUID, .required = true),
	RULE("goals", "id", "user_id", .kind = VERIFY_UUID, .required = true),
	RULE("goals", "id", "title", .kind = VERIFY_TEXT, .required = true),
	RULE("goals", "id", "goal_type", .kind = VERIFY_TEXT, .required = true),
	RULE("goals", "id", "status", .kind = VERIFY_TEXT, .required = true),
	RULE("goals", "id", "target_value", .kind = VERIFY_REAL, .required = true),
	RULE("goals", "id", "current_value", .kind = VERIFY_REAL, .required = true),
	RULE("goals", "id", "created_at", .kind = VERIFY_TIME, .required = true),
	RULE("goals", "id", "updated_at", .kind = VERIFY_TIME, .required = true),
	RULE("goals", "id", "document", .kind = VERIFY_OBJECT, .exact = "document_exact"),
	RULE("analytics_insights", "id", "id", .kind = VERIFY_UUID, .required = true),
	RULE("analytics_insights", "id", "user_id", .kind = VERIFY_UUID, .required = true),
	RULE("analytics_insights", "id", "insight_type", .kind = VERIFY_TEXT, .required = true),
	RULE("analytics_insights", "id", "created_at", .kind = VERIFY_TIME, .required = true),
	RULE("analytics_insights", "id", "confidence", .kind = VERIFY_REAL, .required = true,
		.old = true),
	RULE("analytics_insights", "id", "document", .kind = VERIFY_OBJECT,
		.exact = "document_exact"),
	RULE("api_keys", "id", "id", .kind = VERIFY_TEXT, .required = true),
	RULE("api_keys", "id", "user_id", .kind = VERIFY_UUID, .required = true),
	RULE("api_keys", "id", "name", .kind = VERIFY_TEXT, .required = true),
	RULE("api_keys", "id", "key_prefix", .kind = VERIFY_TEXT, .required = true),
	RULE("api_keys", "id", "key_hash", .kind = VERIFY_TEXT, .required = true),
	RULE("api_keys", "id", "tier", .kind = VERIFY_TEXT, .required = true),
	RULE("api_keys", "id", "description", .kind = VERIFY_TEXT),
	RULE("api_keys", "id", "rate_limit_requests", .kind = VERIFY_WHOLE, .required = true,
		.max = U32_MAX),
	RULE("api_keys", "id", "rate_limit_window", .kind = VERIFY_WHOLE, .required = true,
		.max = U32_MAX),
	RULE("api_keys", "id", "is_active", .kind = VERIFY_BOOL, .required = true),
	RULE("api_keys", "id", "last_used_at", .kind = VERIFY_TIME),
	RULE("api_keys", "id", "expires_at", .kind = VERIFY_TIME),
	RULE("api_keys", "id", "created_at", .kind = VERIFY_TIME, .required = true),
	RULE("api_keys", "id", "updated_at", .kind = VERIFY_TIME, .required = true),
	RULE("api_key_usage", "id", "timestamp", .kind = VERIFY_TIME, .required = true),
	RULE("api_key_usage", "id", "tool_name", .kind = VERIFY_TEXT, .required = true),
	RULE("api_key_usage", "id", "status_code", .kind = VERIFY_WHOLE, .required = true,
		.max = U16_MAX),
	RULE("api_key_usage", "id", "response_time_ms", .kind = VERIFY_WHOLE, .max = U32_MAX),
	RULE("api_key_usage", "id", "request_size_bytes", .kind = VERIFY_WHOLE, .max = U32_MAX),
	RULE("api_key_usage", "id", "response_size_bytes", .kind = VERIFY_WHOLE, .max = U32_MAX),
	RULE("api_key_usage", "id", "error_message", .kind = VERIFY_TEXT),
	RULE("a2a_clients", "id", "id", .kind = VERIFY_TEXT, .required = true),
	RULE("a2a_clients", "id", "name", .kind = VERIFY_TEXT, .required = true),
	RULE("a2a_clients", "id", "description", .kind = VERIFY_TEXT),
	RULE("a2a_clients", "id", "public_key", .kind = VERIFY_TEXT),
	RULE("a2a_clients", "id", "capabilities", .kind = VERIFY_STRINGS, .required = true),
	RULE("a2a_clients", "id", "redirect_uris", .kind = VERIFY_STRINGS, .required = true),
	RULE("a2a_clients", "id", "is_active", .kind = VERIFY_BOOL, .required = true),
	RULE("a2a_clients", "id", "created_at", .kind = VERIFY_TIME, .required = true),
	RULE("a2a_sessions", "id", "id", .kind = VERIFY_UUID, .required = true),
	RULE("a2a_sessions", "id", "user_id", .kind = VERIFY_UUID),
	RULE("a2a_sessions", "id", "granted_scopes", .kind = VERIFY_STRINGS, .required = true),
	RULE("a2a_sessions", "id", "created_at", .kind = VERIFY_TIME, .required = true),
	RULE("a2a_sessions", "id", "expires_at", .kind = VERIFY_TIME, .required = true),
	RULE("a2a_sessions", "id", "last_activity", .kind = VERIFY_TIME, .required = true),
	RULE("a2a_sessions", "id", "is_active", .kind = VERIFY_BOOL, .required = true),
	RULE("a2a_tasks", "id", "id", .kind = VERIFY_UUID, .required = true),
	RULE("a2a_tasks", "id", "session_id", .kind = VERIFY_UUID),
	RULE("a2a_tasks", "id", "task_type", .kind = VERIFY_TEXT, .required = true),
	RULE("a2a_tasks", "id", "status", .kind = VERIFY_TEXT, .required = true),
	RULE("a2a_tasks", "id", "error_message", .kind = VERIFY_TEXT),
	RULE("a2a_tasks", "id", "created_at", .kind = VERIFY_TIME, .required = true),
	RULE("a2a_tasks", "id", "started_at", .kind = VERIFY_TIME),
	RULE("a2a_tasks", "id", "completed_at", .kind = VERIFY_TIME),
	RULE("a2a_tasks", "id", "input_data", .kind = VERIFY_JSON, .exact = "input_data_exact"),
	RULE("a2a_tasks", "id", "result_data", .kind = VERIFY_JSON, .exact = "result_data_exact"),
	RULE("a2a_usage", "id", "timestamp", .kind = VERIFY_TIME, .required = true),
	RULE("a2a_usage", "id", "tool_name", .kind = VERIFY_TEXT, .required = true),
	RULE("a2a_usage", "id", "status_code", .kind = VERIFY_WHOLE, .required = true,
		.max = U16_MAX),
	RULE("a2a_usage", "id", "response_time_ms", .kind = VERIFY_WHOLE, .max = U32_MAX),
	RULE("a2a_usage", "id", "request_size_bytes", .kind = VERIFY_WHOLE, .max = U32_MAX),
	RULE("a2a_usage", "id", "response_size_bytes", .kind = VERIFY_WHOLE, .max = U32_MAX),
	RULE("a2a_usage", "id", "error_message", .kind = VERIFY_TEXT),
	RULE("a2a_usage", "id", "client_capabilities", .kind = VERIFY_STRINGS),
	RULE("a2a_usage", "id", "granted_scopes", .kind = VERIFY_STRINGS),
};

const size_t verify_rule_count = sizeof verify_rules / sizeof verify_rules[0];

void verify_rule_condition(
	const struct verify_rule *rule, const char *pattern, char *out, size_t size)
{
	size_t length = 0;

	for (const char *at = pattern; *at != '\0' && length < size;) {
		bool column = strncmp(at, "%1$s", 4) == 0, bound = strncmp(at, "%2$s", 4) == 0;

		length += (size_t)snprintf(out + length, size - length, "%.*s",
			column || bound ? 40 : 1,
			column          ? rule->column
				: bound ? rule->max
					: at);
		at += column || bound ? 4 : 1;
	}
}

void verify_bad_row(struct verify_report *report, const struct verify_rule *rule, const char *id,
	const char *place, long long count)
{
	verify_problem(report, "row \"%.100s\"%s of %s: %s is invalid (%lld such rows)", id, place,
		rule->table, rule->column, count);
}
