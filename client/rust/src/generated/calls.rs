// Made by protocol/generate.py from the catalog. Do not edit.

//! The calls.

#![allow(clippy::too_many_arguments, unused_imports)]

use super::sys;
use super::types::*;
use crate::args::{pointer, Args};
use crate::call::{Call, Method, Take, To};
use crate::client::Client;
use crate::error::Result;
use crate::pages::Pages;
use crate::read::*;
use crate::secret::Secret;
use crate::transaction::{Planned, Transaction};
use crate::values::{Document, Json, Time, Uuid};

static CREATE_USER: Method<Uuid> = Method {
    take: Take::Block(sys::pierre_create_user_result, crate::sys::pierre_text_free),
    read: text_of::<Uuid>,
};

fn send_create_user(to: &To<'_>, user: &NewUser) -> Result<i64> {
    let args = Args::new();
    let user = args.within("user", || user.c(&args));
    crate::send!(to, args, pierre_create_user_async, pierre_add_create_user, { &user })
}

static GET_USER: Method<Option<User>> = Method {
    take: Take::Block(sys::pierre_get_user_result, sys::pierre_user_free),
    read: optional_row::<User>,
};

fn send_get_user(to: &To<'_>, user_id: Uuid) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    crate::send!(to, args, pierre_get_user_async, pierre_add_get_user, { user_id })
}

static GET_USER_BY_EMAIL: Method<Option<User>> = Method {
    take: Take::Block(sys::pierre_get_user_by_email_result, sys::pierre_user_free),
    read: optional_row::<User>,
};

fn send_get_user_by_email(to: &To<'_>, email: &str) -> Result<i64> {
    let args = Args::new();
    let email = args.text("email", email);
    crate::send!(to, args, pierre_get_user_by_email_async, pierre_add_get_user_by_email, { email })
}

static GET_USER_BY_EMAIL_REQUIRED: Method<User> = Method {
    take: Take::Block(sys::pierre_get_user_by_email_required_result, sys::pierre_user_free),
    read: row::<User>,
};

fn send_get_user_by_email_required(to: &To<'_>, email: &str) -> Result<i64> {
    let args = Args::new();
    let email = args.text("email", email);
    crate::send!(
        to,
        args,
        pierre_get_user_by_email_required_async,
        pierre_add_get_user_by_email_required,
        { email },
    )
}

static VERIFY_USER_PASSWORD: Method<Option<User>> = Method {
    take: Take::Block(sys::pierre_verify_user_password_result, sys::pierre_user_free),
    read: optional_row::<User>,
};

fn send_verify_user_password(to: &To<'_>, email: &str, password: &Secret) -> Result<i64> {
    let args = Args::new();
    let email = args.text("email", email);
    let password = args.text("password", password.expose());
    crate::send!(
        to,
        args,
        pierre_verify_user_password_async,
        pierre_add_verify_user_password,
        { email, password },
    )
}

static UPDATE_LAST_ACTIVE: Method<()> = Method {
    take: Take::Nothing(sys::pierre_update_last_active_result),
    read: nothing,
};

fn send_update_last_active(to: &To<'_>, user_id: Uuid) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    crate::send!(
        to,
        args,
        pierre_update_last_active_async,
        pierre_add_update_last_active,
        { user_id },
    )
}

static GET_USER_COUNT: Method<i64> = Method {
    take: Take::Integer(sys::pierre_get_user_count_result),
    read: integer,
};

fn send_get_user_count(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_get_user_count_async, pierre_add_get_user_count, {})
}

static GET_PASSWORD_COSTS: Method<Vec<PasswordCost>> = Method {
    take: Take::Rows(sys::pierre_get_password_costs_result, sys::pierre_password_cost_free),
    read: rows::<PasswordCost>,
};

fn send_get_password_costs(to: &To<'_>, above: Option<u32>) -> Result<i64> {
    let args = Args::new();
    crate::send!(
        to,
        args,
        pierre_get_password_costs_async,
        pierre_add_get_password_costs,
        { pointer(&above) },
    )
}

static UPDATE_STRAVA_TOKEN: Method<()> = Method {
    take: Take::Nothing(sys::pierre_update_strava_token_result),
    read: nothing,
};

fn send_update_strava_token(
    to: &To<'_>,
    user_id: Uuid,
    access_token: &Secret,
    refresh_token: &Secret,
    expires_at: Time,
    scope: &str,
    if_version: Option<&str>,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let access_token = args.text("access_token", access_token.expose());
    let refresh_token = args.text("refresh_token", refresh_token.expose());
    let scope = args.text("scope", scope);
    let if_version = args.optional("if_version", if_version);
    crate::send!(
        to,
        args,
        pierre_update_strava_token_async,
        pierre_add_update_strava_token,
        { user_id, access_token, refresh_token, expires_at.as_micros(), scope, if_version },
    )
}

static GET_STRAVA_TOKEN: Method<Option<Token>> = Method {
    take: Take::Block(sys::pierre_get_strava_token_result, sys::pierre_token_free),
    read: optional_row::<Token>,
};

fn send_get_strava_token(to: &To<'_>, user_id: Uuid) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    crate::send!(to, args, pierre_get_strava_token_async, pierre_add_get_strava_token, { user_id })
}

static CLEAR_STRAVA_TOKEN: Method<()> = Method {
    take: Take::Nothing(sys::pierre_clear_strava_token_result),
    read: nothing,
};

fn send_clear_strava_token(to: &To<'_>, user_id: Uuid, if_version: Option<&str>) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let if_version = args.optional("if_version", if_version);
    crate::send!(
        to,
        args,
        pierre_clear_strava_token_async,
        pierre_add_clear_strava_token,
        { user_id, if_version },
    )
}

static UPDATE_FITBIT_TOKEN: Method<()> = Method {
    take: Take::Nothing(sys::pierre_update_fitbit_token_result),
    read: nothing,
};

fn send_update_fitbit_token(
    to: &To<'_>,
    user_id: Uuid,
    access_token: &Secret,
    refresh_token: &Secret,
    expires_at: Time,
    scope: &str,
    if_version: Option<&str>,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let access_token = args.text("access_token", access_token.expose());
    let refresh_token = args.text("refresh_token", refresh_token.expose());
    let scope = args.text("scope", scope);
    let if_version = args.optional("if_version", if_version);
    crate::send!(
        to,
        args,
        pierre_update_fitbit_token_async,
        pierre_add_update_fitbit_token,
        { user_id, access_token, refresh_token, expires_at.as_micros(), scope, if_version },
    )
}

static GET_FITBIT_TOKEN: Method<Option<Token>> = Method {
    take: Take::Block(sys::pierre_get_fitbit_token_result, sys::pierre_token_free),
    read: optional_row::<Token>,
};

fn send_get_fitbit_token(to: &To<'_>, user_id: Uuid) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    crate::send!(to, args, pierre_get_fitbit_token_async, pierre_add_get_fitbit_token, { user_id })
}

static CLEAR_FITBIT_TOKEN: Method<()> = Method {
    take: Take::Nothing(sys::pierre_clear_fitbit_token_result),
    read: nothing,
};

fn send_clear_fitbit_token(to: &To<'_>, user_id: Uuid, if_version: Option<&str>) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let if_version = args.optional("if_version", if_version);
    crate::send!(
        to,
        args,
        pierre_clear_fitbit_token_async,
        pierre_add_clear_fitbit_token,
        { user_id, if_version },
    )
}

static LEASE_TOKEN_REFRESH: Method<TokenLease> = Method {
    take: Take::Block(sys::pierre_lease_token_refresh_result, sys::pierre_token_lease_free),
    read: row::<TokenLease>,
};

fn send_lease_token_refresh(
    to: &To<'_>,
    user_id: Uuid,
    provider: Provider,
    seconds: Option<u32>,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let provider = args.text("provider", provider.as_str());
    crate::send!(
        to,
        args,
        pierre_lease_token_refresh_async,
        pierre_add_lease_token_refresh,
        { user_id, provider, pointer(&seconds) },
    )
}

static UPSERT_USER_PROFILE: Method<()> = Method {
    take: Take::Nothing(sys::pierre_upsert_user_profile_result),
    read: nothing,
};

fn send_upsert_user_profile(to: &To<'_>, user_id: Uuid, profile_data: &Document) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let profile_data = args.text("profile_data", profile_data.as_str());
    crate::send!(
        to,
        args,
        pierre_upsert_user_profile_async,
        pierre_add_upsert_user_profile,
        { user_id, profile_data },
    )
}

static GET_USER_PROFILE: Method<Option<Document>> = Method {
    take: Take::Block(sys::pierre_get_user_profile_result, crate::sys::pierre_text_free),
    read: optional_text_of::<Document>,
};

fn send_get_user_profile(to: &To<'_>, user_id: Uuid) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    crate::send!(to, args, pierre_get_user_profile_async, pierre_add_get_user_profile, { user_id })
}

static CREATE_GOAL: Method<Uuid> = Method {
    take: Take::Block(sys::pierre_create_goal_result, crate::sys::pierre_text_free),
    read: text_of::<Uuid>,
};

fn send_create_goal(to: &To<'_>, user_id: Uuid, goal_data: &Document) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let goal_data = args.text("goal_data", goal_data.as_str());
    crate::send!(to, args, pierre_create_goal_async, pierre_add_create_goal, { user_id, goal_data })
}

static GET_USER_GOALS: Method<Vec<Goal>> = Method {
    take: Take::Rows(sys::pierre_get_user_goals_result, sys::pierre_goal_free),
    read: rows::<Goal>,
};

fn send_get_user_goals(
    to: &To<'_>,
    user_id: Uuid,
    limit: Option<u32>,
    after: Option<Uuid>,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let after = args.optional_uuid(after);
    crate::send!(
        to,
        args,
        pierre_get_user_goals_async,
        pierre_add_get_user_goals,
        { user_id, pointer(&limit), after },
    )
}

static UPDATE_GOAL_PROGRESS: Method<()> = Method {
    take: Take::Nothing(sys::pierre_update_goal_progress_result),
    read: nothing,
};

fn send_update_goal_progress(
    to: &To<'_>,
    goal_id: Uuid,
    current_value: f64,
    user_id: Option<Uuid>,
) -> Result<i64> {
    let args = Args::new();
    let goal_id = args.uuid(goal_id);
    let user_id = args.optional_uuid(user_id);
    crate::send!(
        to,
        args,
        pierre_update_goal_progress_async,
        pierre_add_update_goal_progress,
        { goal_id, current_value, user_id },
    )
}

static STORE_INSIGHT: Method<Uuid> = Method {
    take: Take::Block(sys::pierre_store_insight_result, crate::sys::pierre_text_free),
    read: text_of::<Uuid>,
};

fn send_store_insight(to: &To<'_>, user_id: Uuid, insight_data: &Document) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let insight_data = args.text("insight_data", insight_data.as_str());
    crate::send!(
        to,
        args,
        pierre_store_insight_async,
        pierre_add_store_insight,
        { user_id, insight_data },
    )
}

static GET_USER_INSIGHTS: Method<Vec<Insight>> = Method {
    take: Take::Rows(sys::pierre_get_user_insights_result, sys::pierre_insight_free),
    read: rows::<Insight>,
};

fn send_get_user_insights(
    to: &To<'_>,
    user_id: Uuid,
    insight_type: Option<&str>,
    limit: Option<u32>,
    after: Option<Uuid>,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let insight_type = args.optional("insight_type", insight_type);
    let after = args.optional_uuid(after);
    crate::send!(
        to,
        args,
        pierre_get_user_insights_async,
        pierre_add_get_user_insights,
        { user_id, insight_type, pointer(&limit), after },
    )
}

static CREATE_API_KEY: Method<()> = Method {
    take: Take::Nothing(sys::pierre_create_api_key_result),
    read: nothing,
};

fn send_create_api_key(to: &To<'_>, api_key: &ApiKeyInput) -> Result<i64> {
    let args = Args::new();
    let api_key = args.within("api_key", || api_key.c(&args));
    crate::send!(to, args, pierre_create_api_key_async, pierre_add_create_api_key, { &api_key })
}

static GET_API_KEY_BY_PREFIX: Method<Option<ApiKey>> = Method {
    take: Take::Block(sys::pierre_get_api_key_by_prefix_result, sys::pierre_api_key_free),
    read: optional_row::<ApiKey>,
};

fn send_get_api_key_by_prefix(to: &To<'_>, prefix: &str, hash: &Secret) -> Result<i64> {
    let args = Args::new();
    let prefix = args.text("prefix", prefix);
    let hash = args.text("hash", hash.expose());
    crate::send!(
        to,
        args,
        pierre_get_api_key_by_prefix_async,
        pierre_add_get_api_key_by_prefix,
        { prefix, hash },
    )
}

static AUTHENTICATE_API_KEY: Method<Option<AuthenticatedApiKey>> = Method {
    take: Take::Block(sys::pierre_authenticate_api_key_result, sys::pierre_authenticated_api_key_free),
    read: optional_row::<AuthenticatedApiKey>,
};

fn send_authenticate_api_key(to: &To<'_>, prefix: &str, hash: &Secret) -> Result<i64> {
    let args = Args::new();
    let prefix = args.text("prefix", prefix);
    let hash = args.text("hash", hash.expose());
    crate::send!(
        to,
        args,
        pierre_authenticate_api_key_async,
        pierre_add_authenticate_api_key,
        { prefix, hash },
    )
}

static GET_USER_API_KEYS: Method<Vec<ApiKey>> = Method {
    take: Take::Rows(sys::pierre_get_user_api_keys_result, sys::pierre_api_key_free),
    read: rows::<ApiKey>,
};

fn send_get_user_api_keys(
    to: &To<'_>,
    user_id: Uuid,
    limit: Option<u32>,
    after: Option<&str>,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let after = args.optional("after", after);
    crate::send!(
        to,
        args,
        pierre_get_user_api_keys_async,
        pierre_add_get_user_api_keys,
        { user_id, pointer(&limit), after },
    )
}

static UPDATE_API_KEY_LAST_USED: Method<()> = Method {
    take: Take::Nothing(sys::pierre_update_api_key_last_used_result),
    read: nothing,
};

fn send_update_api_key_last_used(to: &To<'_>, api_key_id: &str) -> Result<i64> {
    let args = Args::new();
    let api_key_id = args.text("api_key_id", api_key_id);
    crate::send!(
        to,
        args,
        pierre_update_api_key_last_used_async,
        pierre_add_update_api_key_last_used,
        { api_key_id },
    )
}

static DEACTIVATE_API_KEY: Method<()> = Method {
    take: Take::Nothing(sys::pierre_deactivate_api_key_result),
    read: nothing,
};

fn send_deactivate_api_key(to: &To<'_>, api_key_id: &str, user_id: Uuid) -> Result<i64> {
    let args = Args::new();
    let api_key_id = args.text("api_key_id", api_key_id);
    let user_id = args.uuid(user_id);
    crate::send!(
        to,
        args,
        pierre_deactivate_api_key_async,
        pierre_add_deactivate_api_key,
        { api_key_id, user_id },
    )
}

static CLEANUP_EXPIRED_API_KEYS: Method<i64> = Method {
    take: Take::Integer(sys::pierre_cleanup_expired_api_keys_result),
    read: integer,
};

fn send_cleanup_expired_api_keys(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(
        to,
        args,
        pierre_cleanup_expired_api_keys_async,
        pierre_add_cleanup_expired_api_keys,
        {},
    )
}

static GET_EXPIRED_API_KEYS: Method<Vec<ApiKey>> = Method {
    take: Take::Rows(sys::pierre_get_expired_api_keys_result, sys::pierre_api_key_free),
    read: rows::<ApiKey>,
};

fn send_get_expired_api_keys(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_get_expired_api_keys_async, pierre_add_get_expired_api_keys, {})
}

static RECORD_API_KEY_USAGE: Method<()> = Method {
    take: Take::Nothing(sys::pierre_record_api_key_usage_result),
    read: nothing,
};

fn send_record_api_key_usage(to: &To<'_>, usage: &ApiKeyUsageInput) -> Result<i64> {
    let args = Args::new();
    let usage = args.within("usage", || usage.c(&args));
    crate::send!(
        to,
        args,
        pierre_record_api_key_usage_async,
        pierre_add_record_api_key_usage,
        { &usage },
    )
}

static RECORD_API_KEY_USAGES: Method<i64> = Method {
    take: Take::Integer(sys::pierre_record_api_key_usages_result),
    read: integer,
};

fn send_record_api_key_usages(to: &To<'_>, usages: &[ApiKeyUsageInput]) -> Result<i64> {
    let args = Args::new();
    let usages: Vec<_> = args.each("usages", usages, |one| one.c(&args));
    crate::send!(
        to,
        args,
        pierre_record_api_key_usages_async,
        pierre_add_record_api_key_usages,
        { usages.as_ptr(), usages.len() },
    )
}

static GET_API_KEY_CURRENT_USAGE: Method<u32> = Method {
    take: Take::Number(sys::pierre_get_api_key_current_usage_result),
    read: number,
};

fn send_get_api_key_current_usage(to: &To<'_>, api_key_id: &str) -> Result<i64> {
    let args = Args::new();
    let api_key_id = args.text("api_key_id", api_key_id);
    crate::send!(
        to,
        args,
        pierre_get_api_key_current_usage_async,
        pierre_add_get_api_key_current_usage,
        { api_key_id },
    )
}

static GET_API_KEY_USAGE_STATS: Method<ApiKeyUsageStats> = Method {
    take: Take::Block(sys::pierre_get_api_key_usage_stats_result, sys::pierre_api_key_usage_stats_free),
    read: row::<ApiKeyUsageStats>,
};

fn send_get_api_key_usage_stats(
    to: &To<'_>,
    api_key_id: &str,
    start_date: Time,
    end_date: Time,
) -> Result<i64> {
    let args = Args::new();
    let api_key_id = args.text("api_key_id", api_key_id);
    crate::send!(
        to,
        args,
        pierre_get_api_key_usage_stats_async,
        pierre_add_get_api_key_usage_stats,
        { api_key_id, start_date.as_micros(), end_date.as_micros() },
    )
}

static GET_USER_API_KEY_USAGE: Method<Vec<NamedApiKeyUsageStats>> = Method {
    take: Take::Rows(sys::pierre_get_user_api_key_usage_result, sys::pierre_named_api_key_usage_stats_free),
    read: rows::<NamedApiKeyUsageStats>,
};

fn send_get_user_api_key_usage(
    to: &To<'_>,
    user_id: Uuid,
    start_date: Time,
    end_date: Time,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    crate::send!(
        to,
        args,
        pierre_get_user_api_key_usage_async,
        pierre_add_get_user_api_key_usage,
        { user_id, start_date.as_micros(), end_date.as_micros() },
    )
}

static GET_USER_USAGE_SERIES: Method<Vec<UsageBucket>> = Method {
    take: Take::Rows(sys::pierre_get_user_usage_series_result, sys::pierre_usage_bucket_free),
    read: rows::<UsageBucket>,
};

fn send_get_user_usage_series(
    to: &To<'_>,
    user_id: Uuid,
    start_date: Time,
    end_date: Time,
    bucket: UsageBucketKind,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let bucket = args.text("bucket", bucket.as_str());
    crate::send!(
        to,
        args,
        pierre_get_user_usage_series_async,
        pierre_add_get_user_usage_series,
        { user_id, start_date.as_micros(), end_date.as_micros(), bucket },
    )
}

/// The optional parameters of `get_request_logs`; by default all are omitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct GetRequestLogs<'a> {
    /// Only requests made with this key.
    pub api_key_id: Option<&'a str>,
    /// Only requests at or after this time.
    pub start_time: Option<Time>,
    /// Only requests at or before this time.
    pub end_time: Option<Time>,
    /// Only requests with this status.
    pub status_filter: Option<RequestStatus>,
    /// Only requests for exactly this tool; `all` means every tool.
    pub tool_filter: Option<&'a str>,
    /// Maximum number of requests.
    pub limit: Option<u32>,
    /// Only requests made with this user's keys.
    pub user_id: Option<Uuid>,
    /// Only the requests behind this one in the list: the id of the last request that the caller
    /// has.
    pub after: Option<&'a str>,
}

static GET_REQUEST_LOGS: Method<Vec<RequestLog>> = Method {
    take: Take::Rows(sys::pierre_get_request_logs_result, sys::pierre_request_log_free),
    read: rows::<RequestLog>,
};

fn send_get_request_logs(to: &To<'_>, options: GetRequestLogs<'_>) -> Result<i64> {
    let args = Args::new();
    let api_key_id = args.optional("api_key_id", options.api_key_id);
    let start_time = options.start_time.map(Time::as_micros);
    let end_time = options.end_time.map(Time::as_micros);
    let status_filter = args.optional("status_filter", options.status_filter.map(RequestStatus::as_str));
    let tool_filter = args.optional("tool_filter", options.tool_filter);
    let limit = options.limit;
    let user_id = args.optional_uuid(options.user_id);
    let after = args.optional("after", options.after);
    crate::send!(
        to,
        args,
        pierre_get_request_logs_async,
        pierre_add_get_request_logs,
        { api_key_id, pointer(&start_time), pointer(&end_time), status_filter, tool_filter, pointer(&limit), user_id, after },
    )
}

static GET_SYSTEM_STATS: Method<SystemStats> = Method {
    take: Take::Block(sys::pierre_get_system_stats_result, sys::pierre_system_stats_free),
    read: row::<SystemStats>,
};

fn send_get_system_stats(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_get_system_stats_async, pierre_add_get_system_stats, {})
}

static GET_TOP_TOOLS_ANALYSIS: Method<Vec<ToolUsage>> = Method {
    take: Take::Rows(sys::pierre_get_top_tools_analysis_result, sys::pierre_tool_usage_free),
    read: rows::<ToolUsage>,
};

fn send_get_top_tools_analysis(
    to: &To<'_>,
    user_id: Uuid,
    start_time: Time,
    end_time: Time,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    crate::send!(
        to,
        args,
        pierre_get_top_tools_analysis_async,
        pierre_add_get_top_tools_analysis,
        { user_id, start_time.as_micros(), end_time.as_micros() },
    )
}

static CREATE_A2A_CLIENT: Method<String> = Method {
    take: Take::Block(sys::pierre_create_a2a_client_result, crate::sys::pierre_text_free),
    read: text_of::<String>,
};

fn send_create_a2a_client(to: &To<'_>, client: &A2AClientInput, api_key_id: &str) -> Result<i64> {
    let args = Args::new();
    let client = args.within("client", || client.c(&args));
    let api_key_id = args.text("api_key_id", api_key_id);
    crate::send!(
        to,
        args,
        pierre_create_a2a_client_async,
        pierre_add_create_a2a_client,
        { &client, api_key_id },
    )
}

static GET_A2A_CLIENT: Method<Option<A2AClient>> = Method {
    take: Take::Block(sys::pierre_get_a2a_client_result, sys::pierre_a2a_client_free),
    read: optional_row::<A2AClient>,
};

fn send_get_a2a_client(to: &To<'_>, client_id: &str) -> Result<i64> {
    let args = Args::new();
    let client_id = args.text("client_id", client_id);
    crate::send!(to, args, pierre_get_a2a_client_async, pierre_add_get_a2a_client, { client_id })
}

static GET_A2A_CLIENT_BY_NAME: Method<Option<A2AClient>> = Method {
    take: Take::Block(sys::pierre_get_a2a_client_by_name_result, sys::pierre_a2a_client_free),
    read: optional_row::<A2AClient>,
};

fn send_get_a2a_client_by_name(to: &To<'_>, name: &str) -> Result<i64> {
    let args = Args::new();
    let name = args.text("name", name);
    crate::send!(
        to,
        args,
        pierre_get_a2a_client_by_name_async,
        pierre_add_get_a2a_client_by_name,
        { name },
    )
}

static LIST_A2A_CLIENTS: Method<Vec<A2AClient>> = Method {
    take: Take::Rows(sys::pierre_list_a2a_clients_result, sys::pierre_a2a_client_free),
    read: rows::<A2AClient>,
};

fn send_list_a2a_clients(
    to: &To<'_>,
    user_id: Uuid,
    limit: Option<u32>,
    after: Option<&str>,
) -> Result<i64> {
    let args = Args::new();
    let user_id = args.uuid(user_id);
    let after = args.optional("after", after);
    crate::send!(
        to,
        args,
        pierre_list_a2a_clients_async,
        pierre_add_list_a2a_clients,
        { user_id, pointer(&limit), after },
    )
}

static CREATE_A2A_SESSION: Method<Secret> = Method {
    take: Take::Block(sys::pierre_create_a2a_session_result, crate::sys::pierre_text_free),
    read: text_of::<Secret>,
};

fn send_create_a2a_session(
    to: &To<'_>,
    client_id: &str,
    user_id: Option<Uuid>,
    granted_scopes: &[&str],
    expires_in_hours: i64,
) -> Result<i64> {
    let args = Args::new();
    let client_id = args.text("client_id", client_id);
    let user_id = args.optional_uuid(user_id);
    let (granted_scopes_texts, granted_scopes_count) = args.texts("granted_scopes", Some(granted_scopes));
    crate::send!(
        to,
        args,
        pierre_create_a2a_session_async,
        pierre_add_create_a2a_session,
        { client_id, user_id, granted_scopes_texts, granted_scopes_count, expires_in_hours },
    )
}

static GET_A2A_SESSION: Method<Option<A2ASession>> = Method {
    take: Take::Block(sys::pierre_get_a2a_session_result, sys::pierre_a2a_session_free),
    read: optional_row::<A2ASession>,
};

fn send_get_a2a_session(to: &To<'_>, session_token: &Secret) -> Result<i64> {
    let args = Args::new();
    let session_token = args.text("session_token", session_token.expose());
    crate::send!(
        to,
        args,
        pierre_get_a2a_session_async,
        pierre_add_get_a2a_session,
        { session_token },
    )
}

static UPDATE_A2A_SESSION_ACTIVITY: Method<()> = Method {
    take: Take::Nothing(sys::pierre_update_a2a_session_activity_result),
    read: nothing,
};

fn send_update_a2a_session_activity(to: &To<'_>, session_token: &Secret) -> Result<i64> {
    let args = Args::new();
    let session_token = args.text("session_token", session_token.expose());
    crate::send!(
        to,
        args,
        pierre_update_a2a_session_activity_async,
        pierre_add_update_a2a_session_activity,
        { session_token },
    )
}

static CREATE_A2A_TASK: Method<Uuid> = Method {
    take: Take::Block(sys::pierre_create_a2a_task_result, crate::sys::pierre_text_free),
    read: text_of::<Uuid>,
};

fn send_create_a2a_task(
    to: &To<'_>,
    client_id: &str,
    session_id: Option<&Secret>,
    task_type: &str,
    input_data: &Json,
) -> Result<i64> {
    let args = Args::new();
    let client_id = args.text("client_id", client_id);
    let session_id = args.optional("session_id", session_id.map(Secret::expose));
    let task_type = args.text("task_type", task_type);
    let input_data = args.text("input_data", input_data.as_str());
    crate::send!(
        to,
        args,
        pierre_create_a2a_task_async,
        pierre_add_create_a2a_task,
        { client_id, session_id, task_type, input_data },
    )
}

static GET_A2A_TASK: Method<Option<A2ATask>> = Method {
    take: Take::Block(sys::pierre_get_a2a_task_result, sys::pierre_a2a_task_free),
    read: optional_row::<A2ATask>,
};

fn send_get_a2a_task(to: &To<'_>, task_id: Uuid) -> Result<i64> {
    let args = Args::new();
    let task_id = args.uuid(task_id);
    crate::send!(to, args, pierre_get_a2a_task_async, pierre_add_get_a2a_task, { task_id })
}

static UPDATE_A2A_TASK_STATUS: Method<()> = Method {
    take: Take::Nothing(sys::pierre_update_a2a_task_status_result),
    read: nothing,
};

fn send_update_a2a_task_status(
    to: &To<'_>,
    task_id: Uuid,
    status: TaskStatus,
    result: Option<&Json>,
    error: Option<&str>,
) -> Result<i64> {
    let args = Args::new();
    let task_id = args.uuid(task_id);
    let status = args.text("status", status.as_str());
    let result = args.optional("result", result.map(Json::as_str));
    let error = args.optional("error", error);
    crate::send!(
        to,
        args,
        pierre_update_a2a_task_status_async,
        pierre_add_update_a2a_task_status,
        { task_id, status, result, error },
    )
}

static RECORD_A2A_USAGE: Method<()> = Method {
    take: Take::Nothing(sys::pierre_record_a2a_usage_result),
    read: nothing,
};

fn send_record_a2a_usage(to: &To<'_>, usage: &A2AUsageInput) -> Result<i64> {
    let args = Args::new();
    let usage = args.within("usage", || usage.c(&args));
    crate::send!(to, args, pierre_record_a2a_usage_async, pierre_add_record_a2a_usage, { &usage })
}

static RECORD_A2A_USAGES: Method<i64> = Method {
    take: Take::Integer(sys::pierre_record_a2a_usages_result),
    read: integer,
};

fn send_record_a2a_usages(to: &To<'_>, usages: &[A2AUsageInput]) -> Result<i64> {
    let args = Args::new();
    let usages: Vec<_> = args.each("usages", usages, |one| one.c(&args));
    crate::send!(
        to,
        args,
        pierre_record_a2a_usages_async,
        pierre_add_record_a2a_usages,
        { usages.as_ptr(), usages.len() },
    )
}

static GET_A2A_CLIENT_CURRENT_USAGE: Method<u32> = Method {
    take: Take::Number(sys::pierre_get_a2a_client_current_usage_result),
    read: number,
};

fn send_get_a2a_client_current_usage(to: &To<'_>, client_id: &str) -> Result<i64> {
    let args = Args::new();
    let client_id = args.text("client_id", client_id);
    crate::send!(
        to,
        args,
        pierre_get_a2a_client_current_usage_async,
        pierre_add_get_a2a_client_current_usage,
        { client_id },
    )
}

static GET_A2A_USAGE_STATS: Method<A2AUsageStats> = Method {
    take: Take::Block(sys::pierre_get_a2a_usage_stats_result, sys::pierre_a2a_usage_stats_free),
    read: row::<A2AUsageStats>,
};

fn send_get_a2a_usage_stats(
    to: &To<'_>,
    client_id: &str,
    start_date: Time,
    end_date: Time,
) -> Result<i64> {
    let args = Args::new();
    let client_id = args.text("client_id", client_id);
    crate::send!(
        to,
        args,
        pierre_get_a2a_usage_stats_async,
        pierre_add_get_a2a_usage_stats,
        { client_id, start_date.as_micros(), end_date.as_micros() },
    )
}

static GET_A2A_CLIENT_USAGE_HISTORY: Method<Vec<A2AUsageDay>> = Method {
    take: Take::Rows(sys::pierre_get_a2a_client_usage_history_result, sys::pierre_a2a_usage_day_free),
    read: rows::<A2AUsageDay>,
};

fn send_get_a2a_client_usage_history(to: &To<'_>, client_id: &str, days: u32) -> Result<i64> {
    let args = Args::new();
    let client_id = args.text("client_id", client_id);
    crate::send!(
        to,
        args,
        pierre_get_a2a_client_usage_history_async,
        pierre_add_get_a2a_client_usage_history,
        { client_id, days },
    )
}

static MIGRATE: Method<MigrateResult> = Method {
    take: Take::Block(sys::pierre_migrate_result, sys::pierre_migrate_result_free),
    read: row::<MigrateResult>,
};

fn send_migrate(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_migrate_async, {})
}

static ROTATE_KEY: Method<Json> = Method {
    take: Take::Block(sys::pierre_rotate_key_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_rotate_key(to: &To<'_>, bind: Option<bool>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_rotate_key_async, { pointer(&bind) })
}

static DAEMON_POSITION: Method<String> = Method {
    take: Take::Block(sys::pierre_daemon_position_result, crate::sys::pierre_text_free),
    read: text_of::<String>,
};

fn send_daemon_position(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_position_async, {})
}

static DAEMON_WAIT_FOR: Method<()> = Method {
    take: Take::Nothing(sys::pierre_daemon_wait_for_result),
    read: nothing,
};

fn send_daemon_wait_for(to: &To<'_>, position: &str) -> Result<i64> {
    let args = Args::new();
    let position = args.text("position", position);
    crate::send!(to, args, pierre_daemon_wait_for_async, { position })
}

static DAEMON_PING: Method<String> = Method {
    take: Take::Block(sys::pierre_daemon_ping_result, crate::sys::pierre_text_free),
    read: text_of::<String>,
};

fn send_daemon_ping(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_ping_async, {})
}

static DAEMON_VERSION: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_version_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_version(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_version_async, {})
}

static DAEMON_HEALTH: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_health_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_health(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_health_async, {})
}

static DAEMON_STATS: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_stats_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_stats(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_stats_async, {})
}

static DAEMON_CLIENTS: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_clients_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_clients(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_clients_async, {})
}

static DAEMON_CONFIG: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_config_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_config(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_config_async, {})
}

static DAEMON_RELOAD: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_reload_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_reload(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_reload_async, {})
}

static DAEMON_PAUSE: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_pause_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_pause(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_pause_async, {})
}

static DAEMON_RESUME: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_resume_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_resume(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_resume_async, {})
}

static DAEMON_DIAGNOSE: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_diagnose_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_diagnose(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_diagnose_async, {})
}

static DAEMON_BACKUP: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_backup_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_backup(to: &To<'_>, path: &str, force: Option<bool>) -> Result<i64> {
    let args = Args::new();
    let path = args.text("path", path);
    crate::send!(to, args, pierre_daemon_backup_async, { path, pointer(&force) })
}

static DAEMON_BACKUP_STATE: Method<Json> = Method {
    take: Take::Block(sys::pierre_daemon_backup_state_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_daemon_backup_state(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_daemon_backup_state_async, {})
}

static RPC_DISCOVER: Method<Json> = Method {
    take: Take::Block(sys::pierre_rpc_discover_result, crate::sys::pierre_text_free),
    read: text_of::<Json>,
};

fn send_rpc_discover(to: &To<'_>) -> Result<i64> {
    let args = Args::new();
    crate::send!(to, args, pierre_rpc_discover_async, {})
}

impl Client {
    fn start_create_user(&self, user: &NewUser) -> Call<Uuid> {
        self.start(&CREATE_USER, &mut |to| send_create_user(to, user))
    }

    /// Creates a user; returns the user's id.
    ///
    /// * `user`: The new user.
    pub async fn create_user(&self, user: &NewUser) -> Result<Uuid> {
        self.start_create_user(user).await
    }

    /// The blocking twin of [`Client::create_user`].
    pub fn create_user_blocking(&self, user: &NewUser) -> Result<Uuid> {
        self.start_create_user(user).wait()
    }

    fn start_get_user(&self, user_id: Uuid) -> Call<Option<User>> {
        self.start(&GET_USER, &mut |to| send_get_user(to, user_id))
    }

    /// Returns the user with this id; null when there is none.
    ///
    /// * `user_id`: The user's id.
    pub async fn get_user(&self, user_id: Uuid) -> Result<Option<User>> {
        self.start_get_user(user_id).await
    }

    /// The blocking twin of [`Client::get_user`].
    pub fn get_user_blocking(&self, user_id: Uuid) -> Result<Option<User>> {
        self.start_get_user(user_id).wait()
    }

    fn start_get_user_by_email(&self, email: &str) -> Call<Option<User>> {
        self.start(&GET_USER_BY_EMAIL, &mut |to| send_get_user_by_email(to, email))
    }

    /// Returns the user with this exact e-mail address; null when there is none.
    ///
    /// * `email`: The address, compared byte for byte.
    pub async fn get_user_by_email(&self, email: &str) -> Result<Option<User>> {
        self.start_get_user_by_email(email).await
    }

    /// The blocking twin of [`Client::get_user_by_email`].
    pub fn get_user_by_email_blocking(&self, email: &str) -> Result<Option<User>> {
        self.start_get_user_by_email(email).wait()
    }

    fn start_get_user_by_email_required(&self, email: &str) -> Call<User> {
        self.start(&GET_USER_BY_EMAIL_REQUIRED, &mut |to| send_get_user_by_email_required(to, email))
    }

    /// Returns the user with this exact e-mail address; fails with not_found when there is none.
    ///
    /// * `email`: The address, compared byte for byte.
    pub async fn get_user_by_email_required(&self, email: &str) -> Result<User> {
        self.start_get_user_by_email_required(email).await
    }

    /// The blocking twin of [`Client::get_user_by_email_required`].
    pub fn get_user_by_email_required_blocking(&self, email: &str) -> Result<User> {
        self.start_get_user_by_email_required(email).wait()
    }

    fn start_verify_user_password(&self, email: &str, password: &Secret) -> Call<Option<User>> {
        self.start(&VERIFY_USER_PASSWORD, &mut |to| send_verify_user_password(to, email, password))
    }

    /// Verifies a password. Returns the user when it is correct. Returns null, after the same time,
    /// for a wrong password, an unknown address or an inactive user. bcrypt uses only the first 72
    /// bytes of the password. A hash with a cost above the setting `bcrypt-cost-limit` never
    /// matches.
    ///
    /// * `email`: The user's address, compared byte for byte.
    /// * `password`: The password to verify.
    pub async fn verify_user_password(
        &self,
        email: &str,
        password: &Secret,
    ) -> Result<Option<User>> {
        self.start_verify_user_password(email, password).await
    }

    /// The blocking twin of [`Client::verify_user_password`].
    pub fn verify_user_password_blocking(
        &self,
        email: &str,
        password: &Secret,
    ) -> Result<Option<User>> {
        self.start_verify_user_password(email, password).wait()
    }

    fn start_update_last_active(&self, user_id: Uuid) -> Call<()> {
        self.start(&UPDATE_LAST_ACTIVE, &mut |to| send_update_last_active(to, user_id))
    }

    /// Sets a user's last_active to the time of the call.
    ///
    /// * `user_id`: The user's id.
    pub async fn update_last_active(&self, user_id: Uuid) -> Result<()> {
        self.start_update_last_active(user_id).await
    }

    /// The blocking twin of [`Client::update_last_active`].
    pub fn update_last_active_blocking(&self, user_id: Uuid) -> Result<()> {
        self.start_update_last_active(user_id).wait()
    }

    fn start_get_user_count(&self) -> Call<i64> {
        self.start(&GET_USER_COUNT, &mut |to| send_get_user_count(to))
    }

    /// Counts all users, including inactive ones. Causal: a standby may answer it.
    pub async fn get_user_count(&self) -> Result<i64> {
        self.start_get_user_count().await
    }

    /// The blocking twin of [`Client::get_user_count`].
    pub fn get_user_count_blocking(&self) -> Result<i64> {
        self.start_get_user_count().wait()
    }

    fn start_get_password_costs(&self, above: Option<u32>) -> Call<Vec<PasswordCost>> {
        self.start(&GET_PASSWORD_COSTS, &mut |to| send_get_password_costs(to, above))
    }

    /// Counts users by the cost of their password hash, lowest first. Values that are not bcrypt
    /// hashes are excluded. Takes time for each user that is counted.
    ///
    /// * `above`: Count only costs above this one.
    pub async fn get_password_costs(&self, above: Option<u32>) -> Result<Vec<PasswordCost>> {
        self.start_get_password_costs(above).await
    }

    /// The blocking twin of [`Client::get_password_costs`].
    pub fn get_password_costs_blocking(&self, above: Option<u32>) -> Result<Vec<PasswordCost>> {
        self.start_get_password_costs(above).wait()
    }

    fn start_update_strava_token(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
        expires_at: Time,
        scope: &str,
        if_version: Option<&str>,
    ) -> Call<()> {
        self.start(&UPDATE_STRAVA_TOKEN, &mut |to| send_update_strava_token(to, user_id, access_token, refresh_token, expires_at, scope, if_version))
    }

    /// Stores a user's Strava token; replaces an earlier one.
    ///
    /// * `user_id`: The user's id.
    /// * `access_token`: The access token; encrypted before it is stored.
    /// * `refresh_token`: The refresh token; encrypted before it is stored.
    /// * `expires_at`: Time of expiry of the access token.
    /// * `scope`: Scope granted by Strava; stored as plain text.
    /// * `if_version`: The version that the stored token must have; null to replace any.
    pub async fn update_strava_token(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
        expires_at: Time,
        scope: &str,
        if_version: Option<&str>,
    ) -> Result<()> {
        self.start_update_strava_token(user_id, access_token, refresh_token, expires_at, scope, if_version).await
    }

    /// The blocking twin of [`Client::update_strava_token`].
    pub fn update_strava_token_blocking(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
        expires_at: Time,
        scope: &str,
        if_version: Option<&str>,
    ) -> Result<()> {
        self.start_update_strava_token(user_id, access_token, refresh_token, expires_at, scope, if_version).wait()
    }

    fn start_get_strava_token(&self, user_id: Uuid) -> Call<Option<Token>> {
        self.start(&GET_STRAVA_TOKEN, &mut |to| send_get_strava_token(to, user_id))
    }

    /// Returns a user's decrypted Strava token; null when the user is unknown or not connected.
    ///
    /// * `user_id`: The user's id.
    pub async fn get_strava_token(&self, user_id: Uuid) -> Result<Option<Token>> {
        self.start_get_strava_token(user_id).await
    }

    /// The blocking twin of [`Client::get_strava_token`].
    pub fn get_strava_token_blocking(&self, user_id: Uuid) -> Result<Option<Token>> {
        self.start_get_strava_token(user_id).wait()
    }

    fn start_clear_strava_token(&self, user_id: Uuid, if_version: Option<&str>) -> Call<()> {
        self.start(&CLEAR_STRAVA_TOKEN, &mut |to| send_clear_strava_token(to, user_id, if_version))
    }

    /// Deletes a user's Strava token; succeeds when there is none.
    ///
    /// * `user_id`: The user's id.
    /// * `if_version`: The version that the stored token must have; null to delete any.
    pub async fn clear_strava_token(&self, user_id: Uuid, if_version: Option<&str>) -> Result<()> {
        self.start_clear_strava_token(user_id, if_version).await
    }

    /// The blocking twin of [`Client::clear_strava_token`].
    pub fn clear_strava_token_blocking(
        &self,
        user_id: Uuid,
        if_version: Option<&str>,
    ) -> Result<()> {
        self.start_clear_strava_token(user_id, if_version).wait()
    }

    fn start_update_fitbit_token(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
        expires_at: Time,
        scope: &str,
        if_version: Option<&str>,
    ) -> Call<()> {
        self.start(&UPDATE_FITBIT_TOKEN, &mut |to| send_update_fitbit_token(to, user_id, access_token, refresh_token, expires_at, scope, if_version))
    }

    /// Stores a user's Fitbit token; replaces an earlier one.
    ///
    /// * `user_id`: The user's id.
    /// * `access_token`: The access token; encrypted before it is stored.
    /// * `refresh_token`: The refresh token; encrypted before it is stored.
    /// * `expires_at`: Time of expiry of the access token.
    /// * `scope`: Scope granted by Fitbit; stored as plain text.
    /// * `if_version`: The version that the stored token must have; null to replace any.
    pub async fn update_fitbit_token(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
        expires_at: Time,
        scope: &str,
        if_version: Option<&str>,
    ) -> Result<()> {
        self.start_update_fitbit_token(user_id, access_token, refresh_token, expires_at, scope, if_version).await
    }

    /// The blocking twin of [`Client::update_fitbit_token`].
    pub fn update_fitbit_token_blocking(
        &self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
        expires_at: Time,
        scope: &str,
        if_version: Option<&str>,
    ) -> Result<()> {
        self.start_update_fitbit_token(user_id, access_token, refresh_token, expires_at, scope, if_version).wait()
    }

    fn start_get_fitbit_token(&self, user_id: Uuid) -> Call<Option<Token>> {
        self.start(&GET_FITBIT_TOKEN, &mut |to| send_get_fitbit_token(to, user_id))
    }

    /// Returns a user's decrypted Fitbit token; null when the user is unknown or not connected.
    ///
    /// * `user_id`: The user's id.
    pub async fn get_fitbit_token(&self, user_id: Uuid) -> Result<Option<Token>> {
        self.start_get_fitbit_token(user_id).await
    }

    /// The blocking twin of [`Client::get_fitbit_token`].
    pub fn get_fitbit_token_blocking(&self, user_id: Uuid) -> Result<Option<Token>> {
        self.start_get_fitbit_token(user_id).wait()
    }

    fn start_clear_fitbit_token(&self, user_id: Uuid, if_version: Option<&str>) -> Call<()> {
        self.start(&CLEAR_FITBIT_TOKEN, &mut |to| send_clear_fitbit_token(to, user_id, if_version))
    }

    /// Deletes a user's Fitbit token; succeeds when there is none.
    ///
    /// * `user_id`: The user's id.
    /// * `if_version`: The version that the stored token must have; null to delete any.
    pub async fn clear_fitbit_token(&self, user_id: Uuid, if_version: Option<&str>) -> Result<()> {
        self.start_clear_fitbit_token(user_id, if_version).await
    }

    /// The blocking twin of [`Client::clear_fitbit_token`].
    pub fn clear_fitbit_token_blocking(
        &self,
        user_id: Uuid,
        if_version: Option<&str>,
    ) -> Result<()> {
        self.start_clear_fitbit_token(user_id, if_version).wait()
    }

    fn start_lease_token_refresh(
        &self,
        user_id: Uuid,
        provider: Provider,
        seconds: Option<u32>,
    ) -> Call<TokenLease> {
        self.start(&LEASE_TOKEN_REFRESH, &mut |to| send_lease_token_refresh(to, user_id, provider, seconds))
    }

    /// Asks for the right to refresh a user's token, which one caller at a time holds. Returns the
    /// stored token in any case. A lease ends with the next write of the token, or at its time.
    ///
    /// * `user_id`: The user's id.
    /// * `provider`: The service that issued the token.
    /// * `seconds`: Duration of the lease.
    pub async fn lease_token_refresh(
        &self,
        user_id: Uuid,
        provider: Provider,
        seconds: Option<u32>,
    ) -> Result<TokenLease> {
        self.start_lease_token_refresh(user_id, provider, seconds).await
    }

    /// The blocking twin of [`Client::lease_token_refresh`].
    pub fn lease_token_refresh_blocking(
        &self,
        user_id: Uuid,
        provider: Provider,
        seconds: Option<u32>,
    ) -> Result<TokenLease> {
        self.start_lease_token_refresh(user_id, provider, seconds).wait()
    }

    fn start_upsert_user_profile(&self, user_id: Uuid, profile_data: &Document) -> Call<()> {
        self.start(&UPSERT_USER_PROFILE, &mut |to| send_upsert_user_profile(to, user_id, profile_data))
    }

    /// Stores a user's profile; replaces the whole earlier document.
    ///
    /// * `user_id`: The user's id.
    /// * `profile_data`: The profile: any JSON object.
    pub async fn upsert_user_profile(&self, user_id: Uuid, profile_data: &Document) -> Result<()> {
        self.start_upsert_user_profile(user_id, profile_data).await
    }

    /// The blocking twin of [`Client::upsert_user_profile`].
    pub fn upsert_user_profile_blocking(
        &self,
        user_id: Uuid,
        profile_data: &Document,
    ) -> Result<()> {
        self.start_upsert_user_profile(user_id, profile_data).wait()
    }

    fn start_get_user_profile(&self, user_id: Uuid) -> Call<Option<Document>> {
        self.start(&GET_USER_PROFILE, &mut |to| send_get_user_profile(to, user_id))
    }

    /// Returns the stored profile document; null when the user is unknown or has none. Causal: a
    /// standby may answer it.
    ///
    /// * `user_id`: The user's id.
    pub async fn get_user_profile(&self, user_id: Uuid) -> Result<Option<Document>> {
        self.start_get_user_profile(user_id).await
    }

    /// The blocking twin of [`Client::get_user_profile`].
    pub fn get_user_profile_blocking(&self, user_id: Uuid) -> Result<Option<Document>> {
        self.start_get_user_profile(user_id).wait()
    }

    fn start_create_goal(&self, user_id: Uuid, goal_data: &Document) -> Call<Uuid> {
        self.start(&CREATE_GOAL, &mut |to| send_create_goal(to, user_id, goal_data))
    }

    /// Creates a goal from a document; returns the goal's id.
    ///
    /// * `user_id`: The owner of the goal.
    /// * `goal_data`: The goal: any JSON object. The members below must have the given type; all
    ///   others are stored unchanged.
    pub async fn create_goal(&self, user_id: Uuid, goal_data: &Document) -> Result<Uuid> {
        self.start_create_goal(user_id, goal_data).await
    }

    /// The blocking twin of [`Client::create_goal`].
    pub fn create_goal_blocking(&self, user_id: Uuid, goal_data: &Document) -> Result<Uuid> {
        self.start_create_goal(user_id, goal_data).wait()
    }

    fn start_get_user_goals(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<Uuid>,
    ) -> Call<Vec<Goal>> {
        self.start(&GET_USER_GOALS, &mut |to| send_get_user_goals(to, user_id, limit, after))
    }

    /// Lists a user's goals, newest first. Causal: a standby may answer it.
    ///
    /// * `user_id`: The user's id.
    /// * `limit`: Maximum number of goals; null means all.
    /// * `after`: Only the goals behind this one in the list: the id of the last goal that the
    ///   caller has.
    pub async fn get_user_goals(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<Uuid>,
    ) -> Result<Vec<Goal>> {
        self.start_get_user_goals(user_id, limit, after).await
    }

    /// The blocking twin of [`Client::get_user_goals`].
    pub fn get_user_goals_blocking(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<Uuid>,
    ) -> Result<Vec<Goal>> {
        self.start_get_user_goals(user_id, limit, after).wait()
    }

    /// The pages of [`Client::get_user_goals`], with up to `size` rows each.
    pub fn get_user_goals_pages(&self, user_id: Uuid, size: u32) -> Pages<Goal> {
        Pages::new(self, size, move |client, size, after| {
            client.start_get_user_goals(user_id, Some(size), after.map(|row: &Goal| row.id))
        })
    }

    fn start_update_goal_progress(
        &self,
        goal_id: Uuid,
        current_value: f64,
        user_id: Option<Uuid>,
    ) -> Call<()> {
        self.start(&UPDATE_GOAL_PROGRESS, &mut |to| send_update_goal_progress(to, goal_id, current_value, user_id))
    }

    /// Sets the current value of a goal.
    ///
    /// * `goal_id`: The goal's id.
    /// * `current_value`: Current value, in the goal's unit.
    /// * `user_id`: The owner of the goal, who must match if given.
    pub async fn update_goal_progress(
        &self,
        goal_id: Uuid,
        current_value: f64,
        user_id: Option<Uuid>,
    ) -> Result<()> {
        self.start_update_goal_progress(goal_id, current_value, user_id).await
    }

    /// The blocking twin of [`Client::update_goal_progress`].
    pub fn update_goal_progress_blocking(
        &self,
        goal_id: Uuid,
        current_value: f64,
        user_id: Option<Uuid>,
    ) -> Result<()> {
        self.start_update_goal_progress(goal_id, current_value, user_id).wait()
    }

    fn start_store_insight(&self, user_id: Uuid, insight_data: &Document) -> Call<Uuid> {
        self.start(&STORE_INSIGHT, &mut |to| send_store_insight(to, user_id, insight_data))
    }

    /// Stores an insight; returns its id.
    ///
    /// * `user_id`: The user whom the insight concerns.
    /// * `insight_data`: The insight: any JSON object. The member below must have the given type;
    ///   all others are stored unchanged.
    pub async fn store_insight(&self, user_id: Uuid, insight_data: &Document) -> Result<Uuid> {
        self.start_store_insight(user_id, insight_data).await
    }

    /// The blocking twin of [`Client::store_insight`].
    pub fn store_insight_blocking(&self, user_id: Uuid, insight_data: &Document) -> Result<Uuid> {
        self.start_store_insight(user_id, insight_data).wait()
    }

    fn start_get_user_insights(
        &self,
        user_id: Uuid,
        insight_type: Option<&str>,
        limit: Option<u32>,
        after: Option<Uuid>,
    ) -> Call<Vec<Insight>> {
        self.start(&GET_USER_INSIGHTS, &mut |to| send_get_user_insights(to, user_id, insight_type, limit, after))
    }

    /// Lists a user's insights, newest first. The limit applies after the filter. Causal: a standby
    /// may answer it.
    ///
    /// * `user_id`: The user's id.
    /// * `insight_type`: Only insights of this kind; null means all.
    /// * `limit`: Maximum number of insights.
    /// * `after`: Only the insights behind this one in the list: the id of the last insight that
    ///   the caller has.
    pub async fn get_user_insights(
        &self,
        user_id: Uuid,
        insight_type: Option<&str>,
        limit: Option<u32>,
        after: Option<Uuid>,
    ) -> Result<Vec<Insight>> {
        self.start_get_user_insights(user_id, insight_type, limit, after).await
    }

    /// The blocking twin of [`Client::get_user_insights`].
    pub fn get_user_insights_blocking(
        &self,
        user_id: Uuid,
        insight_type: Option<&str>,
        limit: Option<u32>,
        after: Option<Uuid>,
    ) -> Result<Vec<Insight>> {
        self.start_get_user_insights(user_id, insight_type, limit, after).wait()
    }

    /// The pages of [`Client::get_user_insights`], with up to `size` rows each.
    pub fn get_user_insights_pages(
        &self,
        user_id: Uuid,
        insight_type: Option<&str>,
        size: u32,
    ) -> Pages<Insight> {
        let insight_type = insight_type.map(String::from);
        Pages::new(self, size, move |client, size, after| {
            client.start_get_user_insights(
                user_id,
                insight_type.as_deref(),
                Some(size),
                after.map(|row: &Insight| row.id),
            )
        })
    }

    fn start_create_api_key(&self, api_key: &ApiKeyInput) -> Call<()> {
        self.start(&CREATE_API_KEY, &mut |to| send_create_api_key(to, api_key))
    }

    /// Stores an API key.
    ///
    /// * `api_key`: The key.
    pub async fn create_api_key(&self, api_key: &ApiKeyInput) -> Result<()> {
        self.start_create_api_key(api_key).await
    }

    /// The blocking twin of [`Client::create_api_key`].
    pub fn create_api_key_blocking(&self, api_key: &ApiKeyInput) -> Result<()> {
        self.start_create_api_key(api_key).wait()
    }

    fn start_get_api_key_by_prefix(&self, prefix: &str, hash: &Secret) -> Call<Option<ApiKey>> {
        self.start(&GET_API_KEY_BY_PREFIX, &mut |to| send_get_api_key_by_prefix(to, prefix, hash))
    }

    /// Returns the active key with this prefix and hash; null when there is none. Expiry is not
    /// checked.
    ///
    /// * `prefix`: The first characters of the key, as in key_prefix.
    /// * `hash`: Hash of the whole key, as in key_hash.
    pub async fn get_api_key_by_prefix(
        &self,
        prefix: &str,
        hash: &Secret,
    ) -> Result<Option<ApiKey>> {
        self.start_get_api_key_by_prefix(prefix, hash).await
    }

    /// The blocking twin of [`Client::get_api_key_by_prefix`].
    pub fn get_api_key_by_prefix_blocking(
        &self,
        prefix: &str,
        hash: &Secret,
    ) -> Result<Option<ApiKey>> {
        self.start_get_api_key_by_prefix(prefix, hash).wait()
    }

    fn start_authenticate_api_key(
        &self,
        prefix: &str,
        hash: &Secret,
    ) -> Call<Option<AuthenticatedApiKey>> {
        self.start(&AUTHENTICATE_API_KEY, &mut |to| send_authenticate_api_key(to, prefix, hash))
    }

    /// Returns the key with this prefix and hash, with its usage in this month; null when it is
    /// unknown, inactive or expired. Sets last_used_at of the key and last_active of its owner if
    /// they are more than a minute old.
    ///
    /// * `prefix`: The first characters of the key, as in key_prefix.
    /// * `hash`: Hash of the whole key, as in key_hash.
    pub async fn authenticate_api_key(
        &self,
        prefix: &str,
        hash: &Secret,
    ) -> Result<Option<AuthenticatedApiKey>> {
        self.start_authenticate_api_key(prefix, hash).await
    }

    /// The blocking twin of [`Client::authenticate_api_key`].
    pub fn authenticate_api_key_blocking(
        &self,
        prefix: &str,
        hash: &Secret,
    ) -> Result<Option<AuthenticatedApiKey>> {
        self.start_authenticate_api_key(prefix, hash).wait()
    }

    fn start_get_user_api_keys(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Call<Vec<ApiKey>> {
        self.start(&GET_USER_API_KEYS, &mut |to| send_get_user_api_keys(to, user_id, limit, after))
    }

    /// Lists a user's keys, newest first, including inactive ones.
    ///
    /// * `user_id`: The user's id.
    /// * `limit`: Maximum number of keys; null means all.
    /// * `after`: Only the keys behind this one in the list: the id of the last key that the caller
    ///   has.
    pub async fn get_user_api_keys(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Result<Vec<ApiKey>> {
        self.start_get_user_api_keys(user_id, limit, after).await
    }

    /// The blocking twin of [`Client::get_user_api_keys`].
    pub fn get_user_api_keys_blocking(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Result<Vec<ApiKey>> {
        self.start_get_user_api_keys(user_id, limit, after).wait()
    }

    /// The pages of [`Client::get_user_api_keys`], with up to `size` rows each.
    pub fn get_user_api_keys_pages(&self, user_id: Uuid, size: u32) -> Pages<ApiKey> {
        Pages::new(self, size, move |client, size, after| {
            client.start_get_user_api_keys(
                user_id,
                Some(size),
                after.map(|row: &ApiKey| &row.id[..]),
            )
        })
    }

    fn start_update_api_key_last_used(&self, api_key_id: &str) -> Call<()> {
        self.start(&UPDATE_API_KEY_LAST_USED, &mut |to| send_update_api_key_last_used(to, api_key_id))
    }

    /// Sets a key's last_used_at to the time of the call.
    ///
    /// * `api_key_id`: The key's id.
    pub async fn update_api_key_last_used(&self, api_key_id: &str) -> Result<()> {
        self.start_update_api_key_last_used(api_key_id).await
    }

    /// The blocking twin of [`Client::update_api_key_last_used`].
    pub fn update_api_key_last_used_blocking(&self, api_key_id: &str) -> Result<()> {
        self.start_update_api_key_last_used(api_key_id).wait()
    }

    fn start_deactivate_api_key(&self, api_key_id: &str, user_id: Uuid) -> Call<()> {
        self.start(&DEACTIVATE_API_KEY, &mut |to| send_deactivate_api_key(to, api_key_id, user_id))
    }

    /// Deactivates a key. Both the key and its owner must match.
    ///
    /// * `api_key_id`: The key's id.
    /// * `user_id`: The owner of the key.
    pub async fn deactivate_api_key(&self, api_key_id: &str, user_id: Uuid) -> Result<()> {
        self.start_deactivate_api_key(api_key_id, user_id).await
    }

    /// The blocking twin of [`Client::deactivate_api_key`].
    pub fn deactivate_api_key_blocking(&self, api_key_id: &str, user_id: Uuid) -> Result<()> {
        self.start_deactivate_api_key(api_key_id, user_id).wait()
    }

    fn start_cleanup_expired_api_keys(&self) -> Call<i64> {
        self.start(&CLEANUP_EXPIRED_API_KEYS, &mut |to| send_cleanup_expired_api_keys(to))
    }

    /// Deactivates the active keys that have expired; returns their number.
    pub async fn cleanup_expired_api_keys(&self) -> Result<i64> {
        self.start_cleanup_expired_api_keys().await
    }

    /// The blocking twin of [`Client::cleanup_expired_api_keys`].
    pub fn cleanup_expired_api_keys_blocking(&self) -> Result<i64> {
        self.start_cleanup_expired_api_keys().wait()
    }

    fn start_get_expired_api_keys(&self) -> Call<Vec<ApiKey>> {
        self.start(&GET_EXPIRED_API_KEYS, &mut |to| send_get_expired_api_keys(to))
    }

    /// Lists the active keys that have expired, ordered by time of expiry.
    pub async fn get_expired_api_keys(&self) -> Result<Vec<ApiKey>> {
        self.start_get_expired_api_keys().await
    }

    /// The blocking twin of [`Client::get_expired_api_keys`].
    pub fn get_expired_api_keys_blocking(&self) -> Result<Vec<ApiKey>> {
        self.start_get_expired_api_keys().wait()
    }

    fn start_record_api_key_usage(&self, usage: &ApiKeyUsageInput) -> Call<()> {
        self.start(&RECORD_API_KEY_USAGE, &mut |to| send_record_api_key_usage(to, usage))
    }

    /// Logs a request.
    ///
    /// * `usage`: The request.
    pub async fn record_api_key_usage(&self, usage: &ApiKeyUsageInput) -> Result<()> {
        self.start_record_api_key_usage(usage).await
    }

    /// The blocking twin of [`Client::record_api_key_usage`].
    pub fn record_api_key_usage_blocking(&self, usage: &ApiKeyUsageInput) -> Result<()> {
        self.start_record_api_key_usage(usage).wait()
    }

    fn start_record_api_key_usages(&self, usages: &[ApiKeyUsageInput]) -> Call<i64> {
        self.start(&RECORD_API_KEY_USAGES, &mut |to| send_record_api_key_usages(to, usages))
    }

    /// Logs many requests at once, all or none; returns their number. An unknown key is not_found
    /// with the path of its request, such as `usages[3].api_key_id`.
    ///
    /// * `usages`: The requests.
    pub async fn record_api_key_usages(&self, usages: &[ApiKeyUsageInput]) -> Result<i64> {
        self.start_record_api_key_usages(usages).await
    }

    /// The blocking twin of [`Client::record_api_key_usages`].
    pub fn record_api_key_usages_blocking(&self, usages: &[ApiKeyUsageInput]) -> Result<i64> {
        self.start_record_api_key_usages(usages).wait()
    }

    fn start_get_api_key_current_usage(&self, api_key_id: &str) -> Call<u32> {
        self.start(&GET_API_KEY_CURRENT_USAGE, &mut |to| send_get_api_key_current_usage(to, api_key_id))
    }

    /// Counts a key's requests since the start of the current calendar month, UTC.
    ///
    /// * `api_key_id`: The key's id.
    pub async fn get_api_key_current_usage(&self, api_key_id: &str) -> Result<u32> {
        self.start_get_api_key_current_usage(api_key_id).await
    }

    /// The blocking twin of [`Client::get_api_key_current_usage`].
    pub fn get_api_key_current_usage_blocking(&self, api_key_id: &str) -> Result<u32> {
        self.start_get_api_key_current_usage(api_key_id).wait()
    }

    fn start_get_api_key_usage_stats(
        &self,
        api_key_id: &str,
        start_date: Time,
        end_date: Time,
    ) -> Call<ApiKeyUsageStats> {
        self.start(&GET_API_KEY_USAGE_STATS, &mut |to| send_get_api_key_usage_stats(to, api_key_id, start_date, end_date))
    }

    /// Summarises a key's requests within a period (start ≤ timestamp \< end); all values are zero
    /// when there are none. Causal: a standby may answer it.
    ///
    /// * `api_key_id`: The key's id.
    /// * `start_date`: Start of the period, inclusive.
    /// * `end_date`: End of the period, exclusive.
    pub async fn get_api_key_usage_stats(
        &self,
        api_key_id: &str,
        start_date: Time,
        end_date: Time,
    ) -> Result<ApiKeyUsageStats> {
        self.start_get_api_key_usage_stats(api_key_id, start_date, end_date).await
    }

    /// The blocking twin of [`Client::get_api_key_usage_stats`].
    pub fn get_api_key_usage_stats_blocking(
        &self,
        api_key_id: &str,
        start_date: Time,
        end_date: Time,
    ) -> Result<ApiKeyUsageStats> {
        self.start_get_api_key_usage_stats(api_key_id, start_date, end_date).wait()
    }

    fn start_get_user_api_key_usage(
        &self,
        user_id: Uuid,
        start_date: Time,
        end_date: Time,
    ) -> Call<Vec<NamedApiKeyUsageStats>> {
        self.start(&GET_USER_API_KEY_USAGE, &mut |to| send_get_user_api_key_usage(to, user_id, start_date, end_date))
    }

    /// Summarises the requests of each of a user's keys within a period (start ≤ timestamp \< end),
    /// the newest key first. Unused keys have zeros. Causal: a standby may answer it.
    ///
    /// * `user_id`: The user's id.
    /// * `start_date`: Start of the period, inclusive.
    /// * `end_date`: End of the period, exclusive.
    pub async fn get_user_api_key_usage(
        &self,
        user_id: Uuid,
        start_date: Time,
        end_date: Time,
    ) -> Result<Vec<NamedApiKeyUsageStats>> {
        self.start_get_user_api_key_usage(user_id, start_date, end_date).await
    }

    /// The blocking twin of [`Client::get_user_api_key_usage`].
    pub fn get_user_api_key_usage_blocking(
        &self,
        user_id: Uuid,
        start_date: Time,
        end_date: Time,
    ) -> Result<Vec<NamedApiKeyUsageStats>> {
        self.start_get_user_api_key_usage(user_id, start_date, end_date).wait()
    }

    fn start_get_user_usage_series(
        &self,
        user_id: Uuid,
        start_date: Time,
        end_date: Time,
        bucket: UsageBucketKind,
    ) -> Call<Vec<UsageBucket>> {
        self.start(&GET_USER_USAGE_SERIES, &mut |to| send_get_user_usage_series(to, user_id, start_date, end_date, bucket))
    }

    /// Counts the requests of a user's keys within a period (start ≤ timestamp \< end), for each
    /// hour or day with any, oldest first. Returns the first 10,000; later ones follow from a later
    /// start. Causal: a standby may answer it.
    ///
    /// * `user_id`: The user's id.
    /// * `start_date`: Start of the period, inclusive.
    /// * `end_date`: End of the period, exclusive.
    /// * `bucket`: Length of the buckets.
    pub async fn get_user_usage_series(
        &self,
        user_id: Uuid,
        start_date: Time,
        end_date: Time,
        bucket: UsageBucketKind,
    ) -> Result<Vec<UsageBucket>> {
        self.start_get_user_usage_series(user_id, start_date, end_date, bucket).await
    }

    /// The blocking twin of [`Client::get_user_usage_series`].
    pub fn get_user_usage_series_blocking(
        &self,
        user_id: Uuid,
        start_date: Time,
        end_date: Time,
        bucket: UsageBucketKind,
    ) -> Result<Vec<UsageBucket>> {
        self.start_get_user_usage_series(user_id, start_date, end_date, bucket).wait()
    }

    fn start_get_request_logs(&self, options: GetRequestLogs<'_>) -> Call<Vec<RequestLog>> {
        self.start(&GET_REQUEST_LOGS, &mut |to| send_get_request_logs(to, options))
    }

    /// Lists logged requests, newest first. An omitted filter matches every request. Causal: a
    /// standby may answer it.
    pub async fn get_request_logs(&self, options: GetRequestLogs<'_>) -> Result<Vec<RequestLog>> {
        self.start_get_request_logs(options).await
    }

    /// The blocking twin of [`Client::get_request_logs`].
    pub fn get_request_logs_blocking(
        &self,
        options: GetRequestLogs<'_>,
    ) -> Result<Vec<RequestLog>> {
        self.start_get_request_logs(options).wait()
    }

    /// The pages of [`Client::get_request_logs`], with up to `size` rows each. `limit` and `after`
    /// of the options are not used.
    pub fn get_request_logs_pages(
        &self,
        options: GetRequestLogs<'_>,
        size: u32,
    ) -> Pages<RequestLog> {
        let api_key_id = options.api_key_id.map(String::from);
        let start_time = options.start_time;
        let end_time = options.end_time;
        let status_filter = options.status_filter;
        let tool_filter = options.tool_filter.map(String::from);
        let user_id = options.user_id;
        Pages::new(self, size, move |client, size, after| {
            let options = GetRequestLogs {
                api_key_id: api_key_id.as_deref(),
                start_time,
                end_time,
                status_filter,
                tool_filter: tool_filter.as_deref(),
                limit: Some(size),
                user_id,
                after: after.map(|row: &RequestLog| &row.id[..]),
            };
            client.start_get_request_logs(options)
        })
    }

    fn start_get_system_stats(&self) -> Call<SystemStats> {
        self.start(&GET_SYSTEM_STATS, &mut |to| send_get_system_stats(to))
    }

    /// Counts users and active API keys. Causal: a standby may answer it.
    pub async fn get_system_stats(&self) -> Result<SystemStats> {
        self.start_get_system_stats().await
    }

    /// The blocking twin of [`Client::get_system_stats`].
    pub fn get_system_stats_blocking(&self) -> Result<SystemStats> {
        self.start_get_system_stats().wait()
    }

    fn start_get_top_tools_analysis(
        &self,
        user_id: Uuid,
        start_time: Time,
        end_time: Time,
    ) -> Call<Vec<ToolUsage>> {
        self.start(&GET_TOP_TOOLS_ANALYSIS, &mut |to| send_get_top_tools_analysis(to, user_id, start_time, end_time))
    }

    /// Returns up to ten tools that a user's API keys called most within a period (start ≤
    /// timestamp ≤ end). The highest request_count comes first; equal counts are ordered by name.
    /// Causal: a standby may answer it.
    ///
    /// * `user_id`: The user's id.
    /// * `start_time`: Start of the period, inclusive.
    /// * `end_time`: End of the period, inclusive.
    pub async fn get_top_tools_analysis(
        &self,
        user_id: Uuid,
        start_time: Time,
        end_time: Time,
    ) -> Result<Vec<ToolUsage>> {
        self.start_get_top_tools_analysis(user_id, start_time, end_time).await
    }

    /// The blocking twin of [`Client::get_top_tools_analysis`].
    pub fn get_top_tools_analysis_blocking(
        &self,
        user_id: Uuid,
        start_time: Time,
        end_time: Time,
    ) -> Result<Vec<ToolUsage>> {
        self.start_get_top_tools_analysis(user_id, start_time, end_time).wait()
    }

    fn start_create_a2a_client(&self, client: &A2AClientInput, api_key_id: &str) -> Call<String> {
        self.start(&CREATE_A2A_CLIENT, &mut |to| send_create_a2a_client(to, client, api_key_id))
    }

    /// Registers a client under an API key; returns the client's id.
    ///
    /// * `client`: The client.
    /// * `api_key_id`: The API key to which the client belongs.
    pub async fn create_a2a_client(
        &self,
        client: &A2AClientInput,
        api_key_id: &str,
    ) -> Result<String> {
        self.start_create_a2a_client(client, api_key_id).await
    }

    /// The blocking twin of [`Client::create_a2a_client`].
    pub fn create_a2a_client_blocking(
        &self,
        client: &A2AClientInput,
        api_key_id: &str,
    ) -> Result<String> {
        self.start_create_a2a_client(client, api_key_id).wait()
    }

    fn start_get_a2a_client(&self, client_id: &str) -> Call<Option<A2AClient>> {
        self.start(&GET_A2A_CLIENT, &mut |to| send_get_a2a_client(to, client_id))
    }

    /// Returns the client with this id; null when there is none. Causal: a standby may answer it.
    ///
    /// * `client_id`: The client's id.
    pub async fn get_a2a_client(&self, client_id: &str) -> Result<Option<A2AClient>> {
        self.start_get_a2a_client(client_id).await
    }

    /// The blocking twin of [`Client::get_a2a_client`].
    pub fn get_a2a_client_blocking(&self, client_id: &str) -> Result<Option<A2AClient>> {
        self.start_get_a2a_client(client_id).wait()
    }

    fn start_get_a2a_client_by_name(&self, name: &str) -> Call<Option<A2AClient>> {
        self.start(&GET_A2A_CLIENT_BY_NAME, &mut |to| send_get_a2a_client_by_name(to, name))
    }

    /// Returns the client with this exact name; null when there is none. Causal: a standby may
    /// answer it.
    ///
    /// * `name`: The client's name, compared byte for byte.
    pub async fn get_a2a_client_by_name(&self, name: &str) -> Result<Option<A2AClient>> {
        self.start_get_a2a_client_by_name(name).await
    }

    /// The blocking twin of [`Client::get_a2a_client_by_name`].
    pub fn get_a2a_client_by_name_blocking(&self, name: &str) -> Result<Option<A2AClient>> {
        self.start_get_a2a_client_by_name(name).wait()
    }

    fn start_list_a2a_clients(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Call<Vec<A2AClient>> {
        self.start(&LIST_A2A_CLIENTS, &mut |to| send_list_a2a_clients(to, user_id, limit, after))
    }

    /// Lists the clients of a user's active API keys, newest first. Causal: a standby may answer
    /// it.
    ///
    /// * `user_id`: The user's id.
    /// * `limit`: Maximum number of clients; null means all.
    /// * `after`: Only the clients behind this one in the list: the id of the last client that the
    ///   caller has.
    pub async fn list_a2a_clients(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Result<Vec<A2AClient>> {
        self.start_list_a2a_clients(user_id, limit, after).await
    }

    /// The blocking twin of [`Client::list_a2a_clients`].
    pub fn list_a2a_clients_blocking(
        &self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Result<Vec<A2AClient>> {
        self.start_list_a2a_clients(user_id, limit, after).wait()
    }

    /// The pages of [`Client::list_a2a_clients`], with up to `size` rows each.
    pub fn list_a2a_clients_pages(&self, user_id: Uuid, size: u32) -> Pages<A2AClient> {
        Pages::new(self, size, move |client, size, after| {
            client.start_list_a2a_clients(
                user_id,
                Some(size),
                after.map(|row: &A2AClient| &row.id[..]),
            )
        })
    }

    fn start_create_a2a_session(
        &self,
        client_id: &str,
        user_id: Option<Uuid>,
        granted_scopes: &[&str],
        expires_in_hours: i64,
    ) -> Call<Secret> {
        self.start(&CREATE_A2A_SESSION, &mut |to| send_create_a2a_session(to, client_id, user_id, granted_scopes, expires_in_hours))
    }

    /// Creates a session for a client; returns its token: 256 random bits in URL-safe characters.
    ///
    /// * `client_id`: The client's id.
    /// * `user_id`: The user on whose behalf the session runs; null for none.
    /// * `granted_scopes`: Scopes granted to the session.
    /// * `expires_in_hours`: Lifetime of the session in hours.
    pub async fn create_a2a_session(
        &self,
        client_id: &str,
        user_id: Option<Uuid>,
        granted_scopes: &[&str],
        expires_in_hours: i64,
    ) -> Result<Secret> {
        self.start_create_a2a_session(client_id, user_id, granted_scopes, expires_in_hours).await
    }

    /// The blocking twin of [`Client::create_a2a_session`].
    pub fn create_a2a_session_blocking(
        &self,
        client_id: &str,
        user_id: Option<Uuid>,
        granted_scopes: &[&str],
        expires_in_hours: i64,
    ) -> Result<Secret> {
        self.start_create_a2a_session(client_id, user_id, granted_scopes, expires_in_hours).wait()
    }

    fn start_get_a2a_session(&self, session_token: &Secret) -> Call<Option<A2ASession>> {
        self.start(&GET_A2A_SESSION, &mut |to| send_get_a2a_session(to, session_token))
    }

    /// Returns the session with this token; null when it is unknown, inactive or expired.
    ///
    /// * `session_token`: The session's token.
    pub async fn get_a2a_session(&self, session_token: &Secret) -> Result<Option<A2ASession>> {
        self.start_get_a2a_session(session_token).await
    }

    /// The blocking twin of [`Client::get_a2a_session`].
    pub fn get_a2a_session_blocking(&self, session_token: &Secret) -> Result<Option<A2ASession>> {
        self.start_get_a2a_session(session_token).wait()
    }

    fn start_update_a2a_session_activity(&self, session_token: &Secret) -> Call<()> {
        self.start(&UPDATE_A2A_SESSION_ACTIVITY, &mut |to| send_update_a2a_session_activity(to, session_token))
    }

    /// Sets a session's last_activity to the time of the call.
    ///
    /// * `session_token`: The session's token.
    pub async fn update_a2a_session_activity(&self, session_token: &Secret) -> Result<()> {
        self.start_update_a2a_session_activity(session_token).await
    }

    /// The blocking twin of [`Client::update_a2a_session_activity`].
    pub fn update_a2a_session_activity_blocking(&self, session_token: &Secret) -> Result<()> {
        self.start_update_a2a_session_activity(session_token).wait()
    }

    fn start_create_a2a_task(
        &self,
        client_id: &str,
        session_id: Option<&Secret>,
        task_type: &str,
        input_data: &Json,
    ) -> Call<Uuid> {
        self.start(&CREATE_A2A_TASK, &mut |to| send_create_a2a_task(to, client_id, session_id, task_type, input_data))
    }

    /// Creates a task with the status `pending`; returns the task's id.
    ///
    /// * `client_id`: The client's id.
    /// * `session_id`: The session of the task, by id or token; null for none.
    /// * `task_type`: Kind of task.
    /// * `input_data`: Input of the task: any JSON value.
    pub async fn create_a2a_task(
        &self,
        client_id: &str,
        session_id: Option<&Secret>,
        task_type: &str,
        input_data: &Json,
    ) -> Result<Uuid> {
        self.start_create_a2a_task(client_id, session_id, task_type, input_data).await
    }

    /// The blocking twin of [`Client::create_a2a_task`].
    pub fn create_a2a_task_blocking(
        &self,
        client_id: &str,
        session_id: Option<&Secret>,
        task_type: &str,
        input_data: &Json,
    ) -> Result<Uuid> {
        self.start_create_a2a_task(client_id, session_id, task_type, input_data).wait()
    }

    fn start_get_a2a_task(&self, task_id: Uuid) -> Call<Option<A2ATask>> {
        self.start(&GET_A2A_TASK, &mut |to| send_get_a2a_task(to, task_id))
    }

    /// Returns the task with this id; null when there is none. Causal: a standby may answer it.
    ///
    /// * `task_id`: The task's id.
    pub async fn get_a2a_task(&self, task_id: Uuid) -> Result<Option<A2ATask>> {
        self.start_get_a2a_task(task_id).await
    }

    /// The blocking twin of [`Client::get_a2a_task`].
    pub fn get_a2a_task_blocking(&self, task_id: Uuid) -> Result<Option<A2ATask>> {
        self.start_get_a2a_task(task_id).wait()
    }

    fn start_update_a2a_task_status(
        &self,
        task_id: Uuid,
        status: TaskStatus,
        result: Option<&Json>,
        error: Option<&str>,
    ) -> Call<()> {
        self.start(&UPDATE_A2A_TASK_STATUS, &mut |to| send_update_a2a_task_status(to, task_id, status, result, error))
    }

    /// Sets the status of a task. started_at is set on the first `running`; completed_at is set on
    /// `completed`, `failed` and `cancelled`, and cleared otherwise.
    ///
    /// * `task_id`: The task's id.
    /// * `status`: The task's new status.
    /// * `result`: Result of the task: any JSON value.
    /// * `error`: Error message of a failed task.
    pub async fn update_a2a_task_status(
        &self,
        task_id: Uuid,
        status: TaskStatus,
        result: Option<&Json>,
        error: Option<&str>,
    ) -> Result<()> {
        self.start_update_a2a_task_status(task_id, status, result, error).await
    }

    /// The blocking twin of [`Client::update_a2a_task_status`].
    pub fn update_a2a_task_status_blocking(
        &self,
        task_id: Uuid,
        status: TaskStatus,
        result: Option<&Json>,
        error: Option<&str>,
    ) -> Result<()> {
        self.start_update_a2a_task_status(task_id, status, result, error).wait()
    }

    fn start_record_a2a_usage(&self, usage: &A2AUsageInput) -> Call<()> {
        self.start(&RECORD_A2A_USAGE, &mut |to| send_record_a2a_usage(to, usage))
    }

    /// Logs a client's request.
    ///
    /// * `usage`: The request.
    pub async fn record_a2a_usage(&self, usage: &A2AUsageInput) -> Result<()> {
        self.start_record_a2a_usage(usage).await
    }

    /// The blocking twin of [`Client::record_a2a_usage`].
    pub fn record_a2a_usage_blocking(&self, usage: &A2AUsageInput) -> Result<()> {
        self.start_record_a2a_usage(usage).wait()
    }

    fn start_record_a2a_usages(&self, usages: &[A2AUsageInput]) -> Call<i64> {
        self.start(&RECORD_A2A_USAGES, &mut |to| send_record_a2a_usages(to, usages))
    }

    /// Logs many requests of clients at once, all or none; returns their number. An unknown client
    /// or session is not_found with the path of its request, such as `usages[3].client_id`.
    ///
    /// * `usages`: The requests.
    pub async fn record_a2a_usages(&self, usages: &[A2AUsageInput]) -> Result<i64> {
        self.start_record_a2a_usages(usages).await
    }

    /// The blocking twin of [`Client::record_a2a_usages`].
    pub fn record_a2a_usages_blocking(&self, usages: &[A2AUsageInput]) -> Result<i64> {
        self.start_record_a2a_usages(usages).wait()
    }

    fn start_get_a2a_client_current_usage(&self, client_id: &str) -> Call<u32> {
        self.start(&GET_A2A_CLIENT_CURRENT_USAGE, &mut |to| send_get_a2a_client_current_usage(to, client_id))
    }

    /// Counts a client's requests since the start of the current calendar month, UTC.
    ///
    /// * `client_id`: The client's id.
    pub async fn get_a2a_client_current_usage(&self, client_id: &str) -> Result<u32> {
        self.start_get_a2a_client_current_usage(client_id).await
    }

    /// The blocking twin of [`Client::get_a2a_client_current_usage`].
    pub fn get_a2a_client_current_usage_blocking(&self, client_id: &str) -> Result<u32> {
        self.start_get_a2a_client_current_usage(client_id).wait()
    }

    fn start_get_a2a_usage_stats(
        &self,
        client_id: &str,
        start_date: Time,
        end_date: Time,
    ) -> Call<A2AUsageStats> {
        self.start(&GET_A2A_USAGE_STATS, &mut |to| send_get_a2a_usage_stats(to, client_id, start_date, end_date))
    }

    /// Summarises a client's requests within a period (start ≤ timestamp \< end); all values are
    /// zero when there are none. A request counts once for each of its capabilities. Causal: a
    /// standby may answer it.
    ///
    /// * `client_id`: The client's id.
    /// * `start_date`: Start of the period, inclusive.
    /// * `end_date`: End of the period, exclusive.
    pub async fn get_a2a_usage_stats(
        &self,
        client_id: &str,
        start_date: Time,
        end_date: Time,
    ) -> Result<A2AUsageStats> {
        self.start_get_a2a_usage_stats(client_id, start_date, end_date).await
    }

    /// The blocking twin of [`Client::get_a2a_usage_stats`].
    pub fn get_a2a_usage_stats_blocking(
        &self,
        client_id: &str,
        start_date: Time,
        end_date: Time,
    ) -> Result<A2AUsageStats> {
        self.start_get_a2a_usage_stats(client_id, start_date, end_date).wait()
    }

    fn start_get_a2a_client_usage_history(
        &self,
        client_id: &str,
        days: u32,
    ) -> Call<Vec<A2AUsageDay>> {
        self.start(&GET_A2A_CLIENT_USAGE_HISTORY, &mut |to| send_get_a2a_client_usage_history(to, client_id, days))
    }

    /// Counts a client's requests for each UTC day with any, oldest first, from midnight `days`
    /// days ago until now. Causal: a standby may answer it.
    ///
    /// * `client_id`: The client's id.
    /// * `days`: Number of past days; 0 means today only.
    pub async fn get_a2a_client_usage_history(
        &self,
        client_id: &str,
        days: u32,
    ) -> Result<Vec<A2AUsageDay>> {
        self.start_get_a2a_client_usage_history(client_id, days).await
    }

    /// The blocking twin of [`Client::get_a2a_client_usage_history`].
    pub fn get_a2a_client_usage_history_blocking(
        &self,
        client_id: &str,
        days: u32,
    ) -> Result<Vec<A2AUsageDay>> {
        self.start_get_a2a_client_usage_history(client_id, days).wait()
    }

    fn start_migrate(&self) -> Call<MigrateResult> {
        self.start(&MIGRATE, &mut |to| send_migrate(to))
    }

    /// Migrates the database schema to the current version. The daemon does the same at start
    /// unless the setting `migrate` is off.
    pub async fn migrate(&self) -> Result<MigrateResult> {
        self.start_migrate().await
    }

    /// The blocking twin of [`Client::migrate`].
    pub fn migrate_blocking(&self) -> Result<MigrateResult> {
        self.start_migrate().wait()
    }

    fn start_rotate_key(&self, bind: Option<bool>) -> Call<Json> {
        self.start(&ROTATE_KEY, &mut |to| send_rotate_key(to, bind))
    }

    /// One step of a key rotation: re-encrypts some of the tokens sealed with the previous key, in
    /// a short transaction. Call it until `state` is no longer `running`. An interrupted rotation
    /// continues with the next call.
    ///
    /// * `bind`: Also begins to bind the tokens of the database to their users and providers, and
    ///   to hash session tokens. This cannot be undone: an older server no longer reads them.
    pub async fn rotate_key(&self, bind: Option<bool>) -> Result<Json> {
        self.start_rotate_key(bind).await
    }

    /// The blocking twin of [`Client::rotate_key`].
    pub fn rotate_key_blocking(&self, bind: Option<bool>) -> Result<Json> {
        self.start_rotate_key(bind).wait()
    }

    fn start_daemon_position(&self) -> Call<String> {
        self.start(&DAEMON_POSITION, &mut |to| send_daemon_position(to))
    }

    /// Returns the position of the database: a text for `daemon.wait_for`. It covers every call
    /// that was answered before, and the calls before it on its connection. Its form may change.
    pub async fn daemon_position(&self) -> Result<String> {
        self.start_daemon_position().await
    }

    /// The blocking twin of [`Client::daemon_position`].
    pub fn daemon_position_blocking(&self) -> Result<String> {
        self.start_daemon_position().wait()
    }

    fn start_daemon_wait_for(&self, position: &str) -> Call<()> {
        self.start(&DAEMON_WAIT_FOR, &mut |to| send_daemon_wait_for(to, position))
    }

    /// Waits until reads on any connection of this daemon see what a position covers. The position
    /// may come from another daemon whose PostgreSQL server is the primary, or another standby, of
    /// the same cluster. Calls behind it on its connection wait, too. `conflict` means that the
    /// position belongs to another database, or that a standby has been promoted since.
    ///
    /// * `position`: A result of `daemon.position`.
    pub async fn daemon_wait_for(&self, position: &str) -> Result<()> {
        self.start_daemon_wait_for(position).await
    }

    /// The blocking twin of [`Client::daemon_wait_for`].
    pub fn daemon_wait_for_blocking(&self, position: &str) -> Result<()> {
        self.start_daemon_wait_for(position).wait()
    }

    fn start_daemon_ping(&self) -> Call<String> {
        self.start(&DAEMON_PING, &mut |to| send_daemon_ping(to))
    }

    /// Returns `"pong"` without querying the database: the event loop is running.
    pub async fn daemon_ping(&self) -> Result<String> {
        self.start_daemon_ping().await
    }

    /// The blocking twin of [`Client::daemon_ping`].
    pub fn daemon_ping_blocking(&self) -> Result<String> {
        self.start_daemon_ping().wait()
    }

    fn start_daemon_version(&self) -> Call<Json> {
        self.start(&DAEMON_VERSION, &mut |to| send_daemon_version(to))
    }

    /// Returns the versions of the daemon, the method set, the schema and the database.
    pub async fn daemon_version(&self) -> Result<Json> {
        self.start_daemon_version().await
    }

    /// The blocking twin of [`Client::daemon_version`].
    pub fn daemon_version_blocking(&self) -> Result<Json> {
        self.start_daemon_version().wait()
    }

    fn start_daemon_health(&self) -> Call<Json> {
        self.start(&DAEMON_HEALTH, &mut |to| send_daemon_health(to))
    }

    /// Queries the database and returns the health of the daemon.
    pub async fn daemon_health(&self) -> Result<Json> {
        self.start_daemon_health().await
    }

    /// The blocking twin of [`Client::daemon_health`].
    pub fn daemon_health_blocking(&self) -> Result<Json> {
        self.start_daemon_health().wait()
    }

    fn start_daemon_stats(&self) -> Call<Json> {
        self.start(&DAEMON_STATS, &mut |to| send_daemon_stats(to))
    }

    /// Returns counters, gauges and the latencies of each method since the daemon started.
    pub async fn daemon_stats(&self) -> Result<Json> {
        self.start_daemon_stats().await
    }

    /// The blocking twin of [`Client::daemon_stats`].
    pub fn daemon_stats_blocking(&self) -> Result<Json> {
        self.start_daemon_stats().wait()
    }

    fn start_daemon_clients(&self) -> Call<Json> {
        self.start(&DAEMON_CLIENTS, &mut |to| send_daemon_clients(to))
    }

    /// Lists the connected clients.
    pub async fn daemon_clients(&self) -> Result<Json> {
        self.start_daemon_clients().await
    }

    /// The blocking twin of [`Client::daemon_clients`].
    pub fn daemon_clients_blocking(&self) -> Result<Json> {
        self.start_daemon_clients().wait()
    }

    fn start_daemon_config(&self) -> Call<Json> {
        self.start(&DAEMON_CONFIG, &mut |to| send_daemon_config(to))
    }

    /// Lists the settings with their values, defaults and sources; secrets are hidden.
    pub async fn daemon_config(&self) -> Result<Json> {
        self.start_daemon_config().await
    }

    /// The blocking twin of [`Client::daemon_config`].
    pub fn daemon_config_blocking(&self) -> Result<Json> {
        self.start_daemon_config().wait()
    }

    fn start_daemon_reload(&self) -> Call<Json> {
        self.start(&DAEMON_RELOAD, &mut |to| send_daemon_reload(to))
    }

    /// Reloads the configuration file, as SIGHUP does, and returns what has changed.
    pub async fn daemon_reload(&self) -> Result<Json> {
        self.start_daemon_reload().await
    }

    /// The blocking twin of [`Client::daemon_reload`].
    pub fn daemon_reload_blocking(&self) -> Result<Json> {
        self.start_daemon_reload().wait()
    }

    fn start_daemon_pause(&self) -> Call<Json> {
        self.start(&DAEMON_PAUSE, &mut |to| send_daemon_pause(to))
    }

    /// Defers new calls until `daemon.resume`, and with them `daemon.transaction`,
    /// `daemon.position` and `daemon.wait_for`. Calls in progress continue, the other `daemon.`
    /// methods are answered, and the time limit of a deferred call keeps running.
    pub async fn daemon_pause(&self) -> Result<Json> {
        self.start_daemon_pause().await
    }

    /// The blocking twin of [`Client::daemon_pause`].
    pub fn daemon_pause_blocking(&self) -> Result<Json> {
        self.start_daemon_pause().wait()
    }

    fn start_daemon_resume(&self) -> Call<Json> {
        self.start(&DAEMON_RESUME, &mut |to| send_daemon_resume(to))
    }

    /// Runs the calls deferred by `daemon.pause`, in order of arrival.
    pub async fn daemon_resume(&self) -> Result<Json> {
        self.start_daemon_resume().await
    }

    /// The blocking twin of [`Client::daemon_resume`].
    pub fn daemon_resume_blocking(&self) -> Result<Json> {
        self.start_daemon_resume().wait()
    }

    fn start_daemon_diagnose(&self) -> Call<Json> {
        self.start(&DAEMON_DIAGNOSE, &mut |to| send_daemon_diagnose(to))
    }

    /// Checks for common problems around the daemon (limits, files, disk space, key, clock), and
    /// suggests fixes.
    pub async fn daemon_diagnose(&self) -> Result<Json> {
        self.start_daemon_diagnose().await
    }

    /// The blocking twin of [`Client::daemon_diagnose`].
    pub fn daemon_diagnose_blocking(&self) -> Result<Json> {
        self.start_daemon_diagnose().wait()
    }

    fn start_daemon_backup(&self, path: &str, force: Option<bool>) -> Call<Json> {
        self.start(&DAEMON_BACKUP, &mut |to| send_daemon_backup(to, path, force))
    }

    /// SQLite: starts a copy of the database to a file in the background, unless one is in
    /// progress. The file gets its name when it is complete, checked and durable.
    ///
    /// * `path`: Absolute path of the file, in a folder where the daemon may write.
    /// * `force`: Whether to replace an existing file.
    pub async fn daemon_backup(&self, path: &str, force: Option<bool>) -> Result<Json> {
        self.start_daemon_backup(path, force).await
    }

    /// The blocking twin of [`Client::daemon_backup`].
    pub fn daemon_backup_blocking(&self, path: &str, force: Option<bool>) -> Result<Json> {
        self.start_daemon_backup(path, force).wait()
    }

    fn start_daemon_backup_state(&self) -> Call<Json> {
        self.start(&DAEMON_BACKUP_STATE, &mut |to| send_daemon_backup_state(to))
    }

    /// SQLite: returns the progress or outcome of the last backup.
    pub async fn daemon_backup_state(&self) -> Result<Json> {
        self.start_daemon_backup_state().await
    }

    /// The blocking twin of [`Client::daemon_backup_state`].
    pub fn daemon_backup_state_blocking(&self) -> Result<Json> {
        self.start_daemon_backup_state().wait()
    }

    fn start_rpc_discover(&self) -> Call<Json> {
        self.start(&RPC_DISCOVER, &mut |to| send_rpc_discover(to))
    }

    /// Returns the OpenRPC document of all methods, with JSON Schemas of parameters and results.
    pub async fn rpc_discover(&self) -> Result<Json> {
        self.start_rpc_discover().await
    }

    /// The blocking twin of [`Client::rpc_discover`].
    pub fn rpc_discover_blocking(&self) -> Result<Json> {
        self.start_rpc_discover().wait()
    }

}

impl Transaction {
    /// Adds a call of [`Client::create_user`].
    pub fn create_user(&mut self, user: &NewUser) -> Result<Planned<Uuid>> {
        self.add(&CREATE_USER, &mut |to| send_create_user(to, user))
    }

    /// Adds a call of [`Client::get_user`].
    pub fn get_user(&mut self, user_id: Uuid) -> Result<Planned<Option<User>>> {
        self.add(&GET_USER, &mut |to| send_get_user(to, user_id))
    }

    /// Adds a call of [`Client::get_user_by_email`].
    pub fn get_user_by_email(&mut self, email: &str) -> Result<Planned<Option<User>>> {
        self.add(&GET_USER_BY_EMAIL, &mut |to| send_get_user_by_email(to, email))
    }

    /// Adds a call of [`Client::get_user_by_email_required`].
    pub fn get_user_by_email_required(&mut self, email: &str) -> Result<Planned<User>> {
        self.add(&GET_USER_BY_EMAIL_REQUIRED, &mut |to| send_get_user_by_email_required(to, email))
    }

    /// Adds a call of [`Client::verify_user_password`].
    pub fn verify_user_password(
        &mut self,
        email: &str,
        password: &Secret,
    ) -> Result<Planned<Option<User>>> {
        self.add(&VERIFY_USER_PASSWORD, &mut |to| send_verify_user_password(to, email, password))
    }

    /// Adds a call of [`Client::update_last_active`].
    pub fn update_last_active(&mut self, user_id: Uuid) -> Result<Planned<()>> {
        self.add(&UPDATE_LAST_ACTIVE, &mut |to| send_update_last_active(to, user_id))
    }

    /// Adds a call of [`Client::get_user_count`].
    pub fn get_user_count(&mut self) -> Result<Planned<i64>> {
        self.add(&GET_USER_COUNT, &mut |to| send_get_user_count(to))
    }

    /// Adds a call of [`Client::get_password_costs`].
    pub fn get_password_costs(&mut self, above: Option<u32>) -> Result<Planned<Vec<PasswordCost>>> {
        self.add(&GET_PASSWORD_COSTS, &mut |to| send_get_password_costs(to, above))
    }

    /// Adds a call of [`Client::update_strava_token`].
    pub fn update_strava_token(
        &mut self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
        expires_at: Time,
        scope: &str,
        if_version: Option<&str>,
    ) -> Result<Planned<()>> {
        self.add(&UPDATE_STRAVA_TOKEN, &mut |to| send_update_strava_token(to, user_id, access_token, refresh_token, expires_at, scope, if_version))
    }

    /// Adds a call of [`Client::get_strava_token`].
    pub fn get_strava_token(&mut self, user_id: Uuid) -> Result<Planned<Option<Token>>> {
        self.add(&GET_STRAVA_TOKEN, &mut |to| send_get_strava_token(to, user_id))
    }

    /// Adds a call of [`Client::clear_strava_token`].
    pub fn clear_strava_token(
        &mut self,
        user_id: Uuid,
        if_version: Option<&str>,
    ) -> Result<Planned<()>> {
        self.add(&CLEAR_STRAVA_TOKEN, &mut |to| send_clear_strava_token(to, user_id, if_version))
    }

    /// Adds a call of [`Client::update_fitbit_token`].
    pub fn update_fitbit_token(
        &mut self,
        user_id: Uuid,
        access_token: &Secret,
        refresh_token: &Secret,
        expires_at: Time,
        scope: &str,
        if_version: Option<&str>,
    ) -> Result<Planned<()>> {
        self.add(&UPDATE_FITBIT_TOKEN, &mut |to| send_update_fitbit_token(to, user_id, access_token, refresh_token, expires_at, scope, if_version))
    }

    /// Adds a call of [`Client::get_fitbit_token`].
    pub fn get_fitbit_token(&mut self, user_id: Uuid) -> Result<Planned<Option<Token>>> {
        self.add(&GET_FITBIT_TOKEN, &mut |to| send_get_fitbit_token(to, user_id))
    }

    /// Adds a call of [`Client::clear_fitbit_token`].
    pub fn clear_fitbit_token(
        &mut self,
        user_id: Uuid,
        if_version: Option<&str>,
    ) -> Result<Planned<()>> {
        self.add(&CLEAR_FITBIT_TOKEN, &mut |to| send_clear_fitbit_token(to, user_id, if_version))
    }

    /// Adds a call of [`Client::lease_token_refresh`].
    pub fn lease_token_refresh(
        &mut self,
        user_id: Uuid,
        provider: Provider,
        seconds: Option<u32>,
    ) -> Result<Planned<TokenLease>> {
        self.add(&LEASE_TOKEN_REFRESH, &mut |to| send_lease_token_refresh(to, user_id, provider, seconds))
    }

    /// Adds a call of [`Client::upsert_user_profile`].
    pub fn upsert_user_profile(
        &mut self,
        user_id: Uuid,
        profile_data: &Document,
    ) -> Result<Planned<()>> {
        self.add(&UPSERT_USER_PROFILE, &mut |to| send_upsert_user_profile(to, user_id, profile_data))
    }

    /// Adds a call of [`Client::get_user_profile`].
    pub fn get_user_profile(&mut self, user_id: Uuid) -> Result<Planned<Option<Document>>> {
        self.add(&GET_USER_PROFILE, &mut |to| send_get_user_profile(to, user_id))
    }

    /// Adds a call of [`Client::create_goal`].
    pub fn create_goal(&mut self, user_id: Uuid, goal_data: &Document) -> Result<Planned<Uuid>> {
        self.add(&CREATE_GOAL, &mut |to| send_create_goal(to, user_id, goal_data))
    }

    /// Adds a call of [`Client::get_user_goals`].
    pub fn get_user_goals(
        &mut self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<Uuid>,
    ) -> Result<Planned<Vec<Goal>>> {
        self.add(&GET_USER_GOALS, &mut |to| send_get_user_goals(to, user_id, limit, after))
    }

    /// Adds a call of [`Client::update_goal_progress`].
    pub fn update_goal_progress(
        &mut self,
        goal_id: Uuid,
        current_value: f64,
        user_id: Option<Uuid>,
    ) -> Result<Planned<()>> {
        self.add(&UPDATE_GOAL_PROGRESS, &mut |to| send_update_goal_progress(to, goal_id, current_value, user_id))
    }

    /// Adds a call of [`Client::store_insight`].
    pub fn store_insight(
        &mut self,
        user_id: Uuid,
        insight_data: &Document,
    ) -> Result<Planned<Uuid>> {
        self.add(&STORE_INSIGHT, &mut |to| send_store_insight(to, user_id, insight_data))
    }

    /// Adds a call of [`Client::get_user_insights`].
    pub fn get_user_insights(
        &mut self,
        user_id: Uuid,
        insight_type: Option<&str>,
        limit: Option<u32>,
        after: Option<Uuid>,
    ) -> Result<Planned<Vec<Insight>>> {
        self.add(&GET_USER_INSIGHTS, &mut |to| send_get_user_insights(to, user_id, insight_type, limit, after))
    }

    /// Adds a call of [`Client::create_api_key`].
    pub fn create_api_key(&mut self, api_key: &ApiKeyInput) -> Result<Planned<()>> {
        self.add(&CREATE_API_KEY, &mut |to| send_create_api_key(to, api_key))
    }

    /// Adds a call of [`Client::get_api_key_by_prefix`].
    pub fn get_api_key_by_prefix(
        &mut self,
        prefix: &str,
        hash: &Secret,
    ) -> Result<Planned<Option<ApiKey>>> {
        self.add(&GET_API_KEY_BY_PREFIX, &mut |to| send_get_api_key_by_prefix(to, prefix, hash))
    }

    /// Adds a call of [`Client::authenticate_api_key`].
    pub fn authenticate_api_key(
        &mut self,
        prefix: &str,
        hash: &Secret,
    ) -> Result<Planned<Option<AuthenticatedApiKey>>> {
        self.add(&AUTHENTICATE_API_KEY, &mut |to| send_authenticate_api_key(to, prefix, hash))
    }

    /// Adds a call of [`Client::get_user_api_keys`].
    pub fn get_user_api_keys(
        &mut self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Result<Planned<Vec<ApiKey>>> {
        self.add(&GET_USER_API_KEYS, &mut |to| send_get_user_api_keys(to, user_id, limit, after))
    }

    /// Adds a call of [`Client::update_api_key_last_used`].
    pub fn update_api_key_last_used(&mut self, api_key_id: &str) -> Result<Planned<()>> {
        self.add(&UPDATE_API_KEY_LAST_USED, &mut |to| send_update_api_key_last_used(to, api_key_id))
    }

    /// Adds a call of [`Client::deactivate_api_key`].
    pub fn deactivate_api_key(&mut self, api_key_id: &str, user_id: Uuid) -> Result<Planned<()>> {
        self.add(&DEACTIVATE_API_KEY, &mut |to| send_deactivate_api_key(to, api_key_id, user_id))
    }

    /// Adds a call of [`Client::cleanup_expired_api_keys`].
    pub fn cleanup_expired_api_keys(&mut self) -> Result<Planned<i64>> {
        self.add(&CLEANUP_EXPIRED_API_KEYS, &mut |to| send_cleanup_expired_api_keys(to))
    }

    /// Adds a call of [`Client::get_expired_api_keys`].
    pub fn get_expired_api_keys(&mut self) -> Result<Planned<Vec<ApiKey>>> {
        self.add(&GET_EXPIRED_API_KEYS, &mut |to| send_get_expired_api_keys(to))
    }

    /// Adds a call of [`Client::record_api_key_usage`].
    pub fn record_api_key_usage(&mut self, usage: &ApiKeyUsageInput) -> Result<Planned<()>> {
        self.add(&RECORD_API_KEY_USAGE, &mut |to| send_record_api_key_usage(to, usage))
    }

    /// Adds a call of [`Client::record_api_key_usages`].
    pub fn record_api_key_usages(&mut self, usages: &[ApiKeyUsageInput]) -> Result<Planned<i64>> {
        self.add(&RECORD_API_KEY_USAGES, &mut |to| send_record_api_key_usages(to, usages))
    }

    /// Adds a call of [`Client::get_api_key_current_usage`].
    pub fn get_api_key_current_usage(&mut self, api_key_id: &str) -> Result<Planned<u32>> {
        self.add(&GET_API_KEY_CURRENT_USAGE, &mut |to| send_get_api_key_current_usage(to, api_key_id))
    }

    /// Adds a call of [`Client::get_api_key_usage_stats`].
    pub fn get_api_key_usage_stats(
        &mut self,
        api_key_id: &str,
        start_date: Time,
        end_date: Time,
    ) -> Result<Planned<ApiKeyUsageStats>> {
        self.add(&GET_API_KEY_USAGE_STATS, &mut |to| send_get_api_key_usage_stats(to, api_key_id, start_date, end_date))
    }

    /// Adds a call of [`Client::get_user_api_key_usage`].
    pub fn get_user_api_key_usage(
        &mut self,
        user_id: Uuid,
        start_date: Time,
        end_date: Time,
    ) -> Result<Planned<Vec<NamedApiKeyUsageStats>>> {
        self.add(&GET_USER_API_KEY_USAGE, &mut |to| send_get_user_api_key_usage(to, user_id, start_date, end_date))
    }

    /// Adds a call of [`Client::get_user_usage_series`].
    pub fn get_user_usage_series(
        &mut self,
        user_id: Uuid,
        start_date: Time,
        end_date: Time,
        bucket: UsageBucketKind,
    ) -> Result<Planned<Vec<UsageBucket>>> {
        self.add(&GET_USER_USAGE_SERIES, &mut |to| send_get_user_usage_series(to, user_id, start_date, end_date, bucket))
    }

    /// Adds a call of [`Client::get_request_logs`].
    pub fn get_request_logs(
        &mut self,
        options: GetRequestLogs<'_>,
    ) -> Result<Planned<Vec<RequestLog>>> {
        self.add(&GET_REQUEST_LOGS, &mut |to| send_get_request_logs(to, options))
    }

    /// Adds a call of [`Client::get_system_stats`].
    pub fn get_system_stats(&mut self) -> Result<Planned<SystemStats>> {
        self.add(&GET_SYSTEM_STATS, &mut |to| send_get_system_stats(to))
    }

    /// Adds a call of [`Client::get_top_tools_analysis`].
    pub fn get_top_tools_analysis(
        &mut self,
        user_id: Uuid,
        start_time: Time,
        end_time: Time,
    ) -> Result<Planned<Vec<ToolUsage>>> {
        self.add(&GET_TOP_TOOLS_ANALYSIS, &mut |to| send_get_top_tools_analysis(to, user_id, start_time, end_time))
    }

    /// Adds a call of [`Client::create_a2a_client`].
    pub fn create_a2a_client(
        &mut self,
        client: &A2AClientInput,
        api_key_id: &str,
    ) -> Result<Planned<String>> {
        self.add(&CREATE_A2A_CLIENT, &mut |to| send_create_a2a_client(to, client, api_key_id))
    }

    /// Adds a call of [`Client::get_a2a_client`].
    pub fn get_a2a_client(&mut self, client_id: &str) -> Result<Planned<Option<A2AClient>>> {
        self.add(&GET_A2A_CLIENT, &mut |to| send_get_a2a_client(to, client_id))
    }

    /// Adds a call of [`Client::get_a2a_client_by_name`].
    pub fn get_a2a_client_by_name(&mut self, name: &str) -> Result<Planned<Option<A2AClient>>> {
        self.add(&GET_A2A_CLIENT_BY_NAME, &mut |to| send_get_a2a_client_by_name(to, name))
    }

    /// Adds a call of [`Client::list_a2a_clients`].
    pub fn list_a2a_clients(
        &mut self,
        user_id: Uuid,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Result<Planned<Vec<A2AClient>>> {
        self.add(&LIST_A2A_CLIENTS, &mut |to| send_list_a2a_clients(to, user_id, limit, after))
    }

    /// Adds a call of [`Client::create_a2a_session`].
    pub fn create_a2a_session(
        &mut self,
        client_id: &str,
        user_id: Option<Uuid>,
        granted_scopes: &[&str],
        expires_in_hours: i64,
    ) -> Result<Planned<Secret>> {
        self.add(&CREATE_A2A_SESSION, &mut |to| send_create_a2a_session(to, client_id, user_id, granted_scopes, expires_in_hours))
    }

    /// Adds a call of [`Client::get_a2a_session`].
    pub fn get_a2a_session(
        &mut self,
        session_token: &Secret,
    ) -> Result<Planned<Option<A2ASession>>> {
        self.add(&GET_A2A_SESSION, &mut |to| send_get_a2a_session(to, session_token))
    }

    /// Adds a call of [`Client::update_a2a_session_activity`].
    pub fn update_a2a_session_activity(&mut self, session_token: &Secret) -> Result<Planned<()>> {
        self.add(&UPDATE_A2A_SESSION_ACTIVITY, &mut |to| send_update_a2a_session_activity(to, session_token))
    }

    /// Adds a call of [`Client::create_a2a_task`].
    pub fn create_a2a_task(
        &mut self,
        client_id: &str,
        session_id: Option<&Secret>,
        task_type: &str,
        input_data: &Json,
    ) -> Result<Planned<Uuid>> {
        self.add(&CREATE_A2A_TASK, &mut |to| send_create_a2a_task(to, client_id, session_id, task_type, input_data))
    }

    /// Adds a call of [`Client::get_a2a_task`].
    pub fn get_a2a_task(&mut self, task_id: Uuid) -> Result<Planned<Option<A2ATask>>> {
        self.add(&GET_A2A_TASK, &mut |to| send_get_a2a_task(to, task_id))
    }

    /// Adds a call of [`Client::update_a2a_task_status`].
    pub fn update_a2a_task_status(
        &mut self,
        task_id: Uuid,
        status: TaskStatus,
        result: Option<&Json>,
        error: Option<&str>,
    ) -> Result<Planned<()>> {
        self.add(&UPDATE_A2A_TASK_STATUS, &mut |to| send_update_a2a_task_status(to, task_id, status, result, error))
    }

    /// Adds a call of [`Client::record_a2a_usage`].
    pub fn record_a2a_usage(&mut self, usage: &A2AUsageInput) -> Result<Planned<()>> {
        self.add(&RECORD_A2A_USAGE, &mut |to| send_record_a2a_usage(to, usage))
    }

    /// Adds a call of [`Client::record_a2a_usages`].
    pub fn record_a2a_usages(&mut self, usages: &[A2AUsageInput]) -> Result<Planned<i64>> {
        self.add(&RECORD_A2A_USAGES, &mut |to| send_record_a2a_usages(to, usages))
    }

    /// Adds a call of [`Client::get_a2a_client_current_usage`].
    pub fn get_a2a_client_current_usage(&mut self, client_id: &str) -> Result<Planned<u32>> {
        self.add(&GET_A2A_CLIENT_CURRENT_USAGE, &mut |to| send_get_a2a_client_current_usage(to, client_id))
    }

    /// Adds a call of [`Client::get_a2a_usage_stats`].
    pub fn get_a2a_usage_stats(
        &mut self,
        client_id: &str,
        start_date: Time,
        end_date: Time,
    ) -> Result<Planned<A2AUsageStats>> {
        self.add(&GET_A2A_USAGE_STATS, &mut |to| send_get_a2a_usage_stats(to, client_id, start_date, end_date))
    }

    /// Adds a call of [`Client::get_a2a_client_usage_history`].
    pub fn get_a2a_client_usage_history(
        &mut self,
        client_id: &str,
        days: u32,
    ) -> Result<Planned<Vec<A2AUsageDay>>> {
        self.add(&GET_A2A_CLIENT_USAGE_HISTORY, &mut |to| send_get_a2a_client_usage_history(to, client_id, days))
    }

}
