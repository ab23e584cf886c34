// Made by protocol/generate.py from the catalog. Do not edit.

//! The typed part of the C library: pierre-db-calls.h.

use crate::sys::{Answer, Count, Done, Error, Pierre, Transaction};
use std::os::raw::{c_char, c_int, c_void};

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ConnectedToken {
    pub expires_at: i64,
    pub scope: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct User {
    pub id: *const c_char,
    pub email: *const c_char,
    pub display_name: *const c_char,
    pub password_hash: *const c_char,
    pub strava_token: *const ConnectedToken,
    pub fitbit_token: *const ConnectedToken,
    pub created_at: i64,
    pub last_active: i64,
    pub is_active: bool,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct PasswordCost {
    pub cost: i64,
    pub users: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Token {
    pub access_token: *const c_char,
    pub refresh_token: *const c_char,
    pub expires_at: i64,
    pub scope: *const c_char,
    pub version: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct TokenLease {
    pub granted: bool,
    pub lease: *const c_char,
    pub expires_at: i64,
    pub token: *const Token,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Goal {
    pub id: *const c_char,
    pub user_id: *const c_char,
    pub title: *const c_char,
    pub goal_type: *const c_char,
    pub r#type: *const c_char,
    pub target_value: f64,
    pub target: f64,
    pub current_value: f64,
    pub current: f64,
    pub status: *const c_char,
    pub created_at: i64,
    pub updated_at: i64,
    pub whole: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Insight {
    pub id: *const c_char,
    pub user_id: *const c_char,
    pub insight_type: *const c_char,
    pub created_at: i64,
    pub whole: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ApiKey {
    pub id: *const c_char,
    pub user_id: *const c_char,
    pub name: *const c_char,
    pub key_prefix: *const c_char,
    pub key_hash: *const c_char,
    pub description: *const c_char,
    pub tier: *const c_char,
    pub rate_limit_requests: u32,
    pub rate_limit_window: u32,
    pub is_active: bool,
    pub has_last_used_at: bool,
    pub last_used_at: i64,
    pub has_expires_at: bool,
    pub expires_at: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct AuthenticatedApiKey {
    pub api_key: *const ApiKey,
    pub current_usage: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ApiKeyUsageStats {
    pub api_key_id: *const c_char,
    pub period_start: i64,
    pub period_end: i64,
    pub total_requests: i64,
    pub successful_requests: i64,
    pub failed_requests: i64,
    pub total_response_time_ms: i64,
    pub tool_usage: *const Count,
    pub tool_usage_count: usize,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct NamedApiKeyUsageStats {
    pub api_key_id: *const c_char,
    pub period_start: i64,
    pub period_end: i64,
    pub total_requests: i64,
    pub successful_requests: i64,
    pub failed_requests: i64,
    pub total_response_time_ms: i64,
    pub tool_usage: *const Count,
    pub tool_usage_count: usize,
    pub name: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct UsageBucket {
    pub start: i64,
    pub total_requests: i64,
    pub successful_requests: i64,
    pub failed_requests: i64,
    pub total_response_time_ms: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct RequestLog {
    pub id: *const c_char,
    pub timestamp: i64,
    pub api_key_id: *const c_char,
    pub api_key_name: *const c_char,
    pub tool_name: *const c_char,
    pub status_code: u16,
    pub has_response_time_ms: bool,
    pub response_time_ms: u32,
    pub error_message: *const c_char,
    pub has_request_size_bytes: bool,
    pub request_size_bytes: u32,
    pub has_response_size_bytes: bool,
    pub response_size_bytes: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct SystemStats {
    pub user_count: i64,
    pub api_key_count: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ToolUsage {
    pub tool_name: *const c_char,
    pub request_count: i64,
    pub success_rate: f64,
    pub average_response_time: f64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct A2aClient {
    pub id: *const c_char,
    pub name: *const c_char,
    pub description: *const c_char,
    pub public_key: *const c_char,
    pub capabilities: *const *const c_char,
    pub capabilities_count: usize,
    pub redirect_uris: *const *const c_char,
    pub redirect_uris_count: usize,
    pub is_active: bool,
    pub created_at: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct A2aSession {
    pub id: *const c_char,
    pub client_id: *const c_char,
    pub user_id: *const c_char,
    pub granted_scopes: *const *const c_char,
    pub granted_scopes_count: usize,
    pub created_at: i64,
    pub expires_at: i64,
    pub last_activity: i64,
    pub requests_count: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct A2aTask {
    pub id: *const c_char,
    pub client_id: *const c_char,
    pub session_id: *const c_char,
    pub task_type: *const c_char,
    pub input_data: *const c_char,
    pub status: *const c_char,
    pub created_at: i64,
    pub has_started_at: bool,
    pub started_at: i64,
    pub has_completed_at: bool,
    pub completed_at: i64,
    pub result: *const c_char,
    pub error: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct A2aUsageStats {
    pub client_id: *const c_char,
    pub period_start: i64,
    pub period_end: i64,
    pub total_requests: i64,
    pub successful_requests: i64,
    pub failed_requests: i64,
    pub total_response_time_ms: i64,
    pub tool_usage: *const Count,
    pub tool_usage_count: usize,
    pub capability_usage: *const Count,
    pub capability_usage_count: usize,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct A2aUsageDay {
    pub day: i64,
    pub success_count: i64,
    pub error_count: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct MigrateResult {
    pub schema_version: i64,
    pub applied: *const *const c_char,
    pub applied_count: usize,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct NewUser {
    pub email: *const c_char,
    pub password_hash: *const c_char,
    pub password: *const c_char,
    pub id: *const c_char,
    pub display_name: *const c_char,
    pub has_created_at: bool,
    pub created_at: i64,
    pub has_last_active: bool,
    pub last_active: i64,
    pub has_is_active: bool,
    pub is_active: bool,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ApiKeyInput {
    pub id: *const c_char,
    pub user_id: *const c_char,
    pub name: *const c_char,
    pub key_prefix: *const c_char,
    pub key_hash: *const c_char,
    pub description: *const c_char,
    pub tier: *const c_char,
    pub rate_limit_requests: u32,
    pub rate_limit_window: u32,
    pub has_is_active: bool,
    pub is_active: bool,
    pub has_last_used_at: bool,
    pub last_used_at: i64,
    pub has_expires_at: bool,
    pub expires_at: i64,
    pub has_created_at: bool,
    pub created_at: i64,
    pub has_updated_at: bool,
    pub updated_at: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ApiKeyUsageInput {
    pub api_key_id: *const c_char,
    pub has_timestamp: bool,
    pub timestamp: i64,
    pub tool_name: *const c_char,
    pub has_response_time_ms: bool,
    pub response_time_ms: u32,
    pub status_code: u16,
    pub error_message: *const c_char,
    pub has_request_size_bytes: bool,
    pub request_size_bytes: u32,
    pub has_response_size_bytes: bool,
    pub response_size_bytes: u32,
    pub ip_address: *const c_char,
    pub user_agent: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct A2aClientInput {
    pub id: *const c_char,
    pub name: *const c_char,
    pub description: *const c_char,
    pub public_key: *const c_char,
    pub capabilities: *const *const c_char,
    pub capabilities_count: usize,
    pub redirect_uris: *const *const c_char,
    pub redirect_uris_count: usize,
    pub has_is_active: bool,
    pub is_active: bool,
    pub has_created_at: bool,
    pub created_at: i64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct A2aUsageInput {
    pub client_id: *const c_char,
    pub session_token: *const c_char,
    pub has_timestamp: bool,
    pub timestamp: i64,
    pub tool_name: *const c_char,
    pub has_response_time_ms: bool,
    pub response_time_ms: u32,
    pub status_code: u16,
    pub error_message: *const c_char,
    pub has_request_size_bytes: bool,
    pub request_size_bytes: u32,
    pub has_response_size_bytes: bool,
    pub response_size_bytes: u32,
    pub ip_address: *const c_char,
    pub user_agent: *const c_char,
    pub protocol_version: *const c_char,
    pub client_capabilities: *const *const c_char,
    pub client_capabilities_count: usize,
    pub granted_scopes: *const *const c_char,
    pub granted_scopes_count: usize,
}

extern "C" {
    pub fn pierre_user_free(block: *mut c_void);
    pub fn pierre_password_cost_free(block: *mut c_void);
    pub fn pierre_token_free(block: *mut c_void);
    pub fn pierre_token_lease_free(block: *mut c_void);
    pub fn pierre_goal_free(block: *mut c_void);
    pub fn pierre_insight_free(block: *mut c_void);
    pub fn pierre_api_key_free(block: *mut c_void);
    pub fn pierre_authenticated_api_key_free(block: *mut c_void);
    pub fn pierre_api_key_usage_stats_free(block: *mut c_void);
    pub fn pierre_named_api_key_usage_stats_free(block: *mut c_void);
    pub fn pierre_usage_bucket_free(block: *mut c_void);
    pub fn pierre_request_log_free(block: *mut c_void);
    pub fn pierre_system_stats_free(block: *mut c_void);
    pub fn pierre_tool_usage_free(block: *mut c_void);
    pub fn pierre_a2a_client_free(block: *mut c_void);
    pub fn pierre_a2a_session_free(block: *mut c_void);
    pub fn pierre_a2a_task_free(block: *mut c_void);
    pub fn pierre_a2a_usage_stats_free(block: *mut c_void);
    pub fn pierre_a2a_usage_day_free(block: *mut c_void);
    pub fn pierre_migrate_result_free(block: *mut c_void);
    pub fn pierre_create_user_async(
        db: *mut Pierre,
        user: *const NewUser,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_create_user_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_create_user(
        transaction: *mut Transaction,
        user: *const NewUser,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_async(
        db: *mut Pierre,
        user_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user(
        transaction: *mut Transaction,
        user_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_by_email_async(
        db: *mut Pierre,
        email: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_by_email_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_by_email(
        transaction: *mut Transaction,
        email: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_by_email_required_async(
        db: *mut Pierre,
        email: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_by_email_required_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_by_email_required(
        transaction: *mut Transaction,
        email: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_verify_user_password_async(
        db: *mut Pierre,
        email: *const c_char,
        password: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_verify_user_password_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_verify_user_password(
        transaction: *mut Transaction,
        email: *const c_char,
        password: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_update_last_active_async(
        db: *mut Pierre,
        user_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_update_last_active_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_update_last_active(
        transaction: *mut Transaction,
        user_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_count_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_count_result(
        answer: *const Answer,
        out: *mut i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_count(transaction: *mut Transaction, failure: *mut Error) -> c_int;
    pub fn pierre_get_password_costs_async(
        db: *mut Pierre,
        above: *const u32,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_password_costs_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_password_costs(
        transaction: *mut Transaction,
        above: *const u32,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_update_strava_token_async(
        db: *mut Pierre,
        user_id: *const c_char,
        access_token: *const c_char,
        refresh_token: *const c_char,
        expires_at: i64,
        scope: *const c_char,
        if_version: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_update_strava_token_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_update_strava_token(
        transaction: *mut Transaction,
        user_id: *const c_char,
        access_token: *const c_char,
        refresh_token: *const c_char,
        expires_at: i64,
        scope: *const c_char,
        if_version: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_strava_token_async(
        db: *mut Pierre,
        user_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_strava_token_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_strava_token(
        transaction: *mut Transaction,
        user_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_clear_strava_token_async(
        db: *mut Pierre,
        user_id: *const c_char,
        if_version: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_clear_strava_token_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_clear_strava_token(
        transaction: *mut Transaction,
        user_id: *const c_char,
        if_version: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_update_fitbit_token_async(
        db: *mut Pierre,
        user_id: *const c_char,
        access_token: *const c_char,
        refresh_token: *const c_char,
        expires_at: i64,
        scope: *const c_char,
        if_version: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_update_fitbit_token_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_update_fitbit_token(
        transaction: *mut Transaction,
        user_id: *const c_char,
        access_token: *const c_char,
        refresh_token: *const c_char,
        expires_at: i64,
        scope: *const c_char,
        if_version: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_fitbit_token_async(
        db: *mut Pierre,
        user_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_fitbit_token_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_fitbit_token(
        transaction: *mut Transaction,
        user_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_clear_fitbit_token_async(
        db: *mut Pierre,
        user_id: *const c_char,
        if_version: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_clear_fitbit_token_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_clear_fitbit_token(
        transaction: *mut Transaction,
        user_id: *const c_char,
        if_version: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_lease_token_refresh_async(
        db: *mut Pierre,
        user_id: *const c_char,
        provider: *const c_char,
        seconds: *const u32,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_lease_token_refresh_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_lease_token_refresh(
        transaction: *mut Transaction,
        user_id: *const c_char,
        provider: *const c_char,
        seconds: *const u32,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_upsert_user_profile_async(
        db: *mut Pierre,
        user_id: *const c_char,
        profile_data: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_upsert_user_profile_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_upsert_user_profile(
        transaction: *mut Transaction,
        user_id: *const c_char,
        profile_data: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_profile_async(
        db: *mut Pierre,
        user_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_profile_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_profile(
        transaction: *mut Transaction,
        user_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_create_goal_async(
        db: *mut Pierre,
        user_id: *const c_char,
        goal_data: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_create_goal_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_create_goal(
        transaction: *mut Transaction,
        user_id: *const c_char,
        goal_data: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_goals_async(
        db: *mut Pierre,
        user_id: *const c_char,
        limit: *const u32,
        after: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_goals_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_goals(
        transaction: *mut Transaction,
        user_id: *const c_char,
        limit: *const u32,
        after: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_update_goal_progress_async(
        db: *mut Pierre,
        goal_id: *const c_char,
        current_value: f64,
        user_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_update_goal_progress_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_update_goal_progress(
        transaction: *mut Transaction,
        goal_id: *const c_char,
        current_value: f64,
        user_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_store_insight_async(
        db: *mut Pierre,
        user_id: *const c_char,
        insight_data: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_store_insight_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_store_insight(
        transaction: *mut Transaction,
        user_id: *const c_char,
        insight_data: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_insights_async(
        db: *mut Pierre,
        user_id: *const c_char,
        insight_type: *const c_char,
        limit: *const u32,
        after: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_insights_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_insights(
        transaction: *mut Transaction,
        user_id: *const c_char,
        insight_type: *const c_char,
        limit: *const u32,
        after: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_create_api_key_async(
        db: *mut Pierre,
        api_key: *const ApiKeyInput,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_create_api_key_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_create_api_key(
        transaction: *mut Transaction,
        api_key: *const ApiKeyInput,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_api_key_by_prefix_async(
        db: *mut Pierre,
        prefix: *const c_char,
        hash: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_api_key_by_prefix_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_api_key_by_prefix(
        transaction: *mut Transaction,
        prefix: *const c_char,
        hash: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_authenticate_api_key_async(
        db: *mut Pierre,
        prefix: *const c_char,
        hash: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_authenticate_api_key_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_authenticate_api_key(
        transaction: *mut Transaction,
        prefix: *const c_char,
        hash: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_api_keys_async(
        db: *mut Pierre,
        user_id: *const c_char,
        limit: *const u32,
        after: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_api_keys_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_api_keys(
        transaction: *mut Transaction,
        user_id: *const c_char,
        limit: *const u32,
        after: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_update_api_key_last_used_async(
        db: *mut Pierre,
        api_key_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_update_api_key_last_used_result(
        answer: *const Answer,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_update_api_key_last_used(
        transaction: *mut Transaction,
        api_key_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_deactivate_api_key_async(
        db: *mut Pierre,
        api_key_id: *const c_char,
        user_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_deactivate_api_key_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_deactivate_api_key(
        transaction: *mut Transaction,
        api_key_id: *const c_char,
        user_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_cleanup_expired_api_keys_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_cleanup_expired_api_keys_result(
        answer: *const Answer,
        out: *mut i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_cleanup_expired_api_keys(
        transaction: *mut Transaction,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_expired_api_keys_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_expired_api_keys_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_expired_api_keys(
        transaction: *mut Transaction,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_record_api_key_usage_async(
        db: *mut Pierre,
        usage: *const ApiKeyUsageInput,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_record_api_key_usage_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_record_api_key_usage(
        transaction: *mut Transaction,
        usage: *const ApiKeyUsageInput,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_record_api_key_usages_async(
        db: *mut Pierre,
        usages: *const ApiKeyUsageInput,
        usages_count: usize,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_record_api_key_usages_result(
        answer: *const Answer,
        out: *mut i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_record_api_key_usages(
        transaction: *mut Transaction,
        usages: *const ApiKeyUsageInput,
        usages_count: usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_api_key_current_usage_async(
        db: *mut Pierre,
        api_key_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_api_key_current_usage_result(
        answer: *const Answer,
        out: *mut u32,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_api_key_current_usage(
        transaction: *mut Transaction,
        api_key_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_api_key_usage_stats_async(
        db: *mut Pierre,
        api_key_id: *const c_char,
        start_date: i64,
        end_date: i64,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_api_key_usage_stats_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_api_key_usage_stats(
        transaction: *mut Transaction,
        api_key_id: *const c_char,
        start_date: i64,
        end_date: i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_api_key_usage_async(
        db: *mut Pierre,
        user_id: *const c_char,
        start_date: i64,
        end_date: i64,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_api_key_usage_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_api_key_usage(
        transaction: *mut Transaction,
        user_id: *const c_char,
        start_date: i64,
        end_date: i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_user_usage_series_async(
        db: *mut Pierre,
        user_id: *const c_char,
        start_date: i64,
        end_date: i64,
        bucket: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_user_usage_series_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_user_usage_series(
        transaction: *mut Transaction,
        user_id: *const c_char,
        start_date: i64,
        end_date: i64,
        bucket: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_request_logs_async(
        db: *mut Pierre,
        api_key_id: *const c_char,
        start_time: *const i64,
        end_time: *const i64,
        status_filter: *const c_char,
        tool_filter: *const c_char,
        limit: *const u32,
        user_id: *const c_char,
        after: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_request_logs_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_request_logs(
        transaction: *mut Transaction,
        api_key_id: *const c_char,
        start_time: *const i64,
        end_time: *const i64,
        status_filter: *const c_char,
        tool_filter: *const c_char,
        limit: *const u32,
        user_id: *const c_char,
        after: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_system_stats_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_system_stats_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_system_stats(transaction: *mut Transaction, failure: *mut Error) -> c_int;
    pub fn pierre_get_top_tools_analysis_async(
        db: *mut Pierre,
        user_id: *const c_char,
        start_time: i64,
        end_time: i64,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_top_tools_analysis_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_top_tools_analysis(
        transaction: *mut Transaction,
        user_id: *const c_char,
        start_time: i64,
        end_time: i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_create_a2a_client_async(
        db: *mut Pierre,
        client: *const A2aClientInput,
        api_key_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_create_a2a_client_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_create_a2a_client(
        transaction: *mut Transaction,
        client: *const A2aClientInput,
        api_key_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_a2a_client_async(
        db: *mut Pierre,
        client_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_a2a_client_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_a2a_client(
        transaction: *mut Transaction,
        client_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_a2a_client_by_name_async(
        db: *mut Pierre,
        name: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_a2a_client_by_name_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_a2a_client_by_name(
        transaction: *mut Transaction,
        name: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_list_a2a_clients_async(
        db: *mut Pierre,
        user_id: *const c_char,
        limit: *const u32,
        after: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_list_a2a_clients_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_list_a2a_clients(
        transaction: *mut Transaction,
        user_id: *const c_char,
        limit: *const u32,
        after: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_create_a2a_session_async(
        db: *mut Pierre,
        client_id: *const c_char,
        user_id: *const c_char,
        granted_scopes: *const *const c_char,
        granted_scopes_count: usize,
        expires_in_hours: i64,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_create_a2a_session_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_create_a2a_session(
        transaction: *mut Transaction,
        client_id: *const c_char,
        user_id: *const c_char,
        granted_scopes: *const *const c_char,
        granted_scopes_count: usize,
        expires_in_hours: i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_a2a_session_async(
        db: *mut Pierre,
        session_token: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_a2a_session_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_a2a_session(
        transaction: *mut Transaction,
        session_token: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_update_a2a_session_activity_async(
        db: *mut Pierre,
        session_token: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_update_a2a_session_activity_result(
        answer: *const Answer,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_update_a2a_session_activity(
        transaction: *mut Transaction,
        session_token: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_create_a2a_task_async(
        db: *mut Pierre,
        client_id: *const c_char,
        session_id: *const c_char,
        task_type: *const c_char,
        input_data: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_create_a2a_task_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_create_a2a_task(
        transaction: *mut Transaction,
        client_id: *const c_char,
        session_id: *const c_char,
        task_type: *const c_char,
        input_data: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_a2a_task_async(
        db: *mut Pierre,
        task_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_a2a_task_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_a2a_task(
        transaction: *mut Transaction,
        task_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_update_a2a_task_status_async(
        db: *mut Pierre,
        task_id: *const c_char,
        status: *const c_char,
        result: *const c_char,
        error: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_update_a2a_task_status_result(
        answer: *const Answer,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_update_a2a_task_status(
        transaction: *mut Transaction,
        task_id: *const c_char,
        status: *const c_char,
        result: *const c_char,
        error: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_record_a2a_usage_async(
        db: *mut Pierre,
        usage: *const A2aUsageInput,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_record_a2a_usage_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_record_a2a_usage(
        transaction: *mut Transaction,
        usage: *const A2aUsageInput,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_record_a2a_usages_async(
        db: *mut Pierre,
        usages: *const A2aUsageInput,
        usages_count: usize,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_record_a2a_usages_result(
        answer: *const Answer,
        out: *mut i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_record_a2a_usages(
        transaction: *mut Transaction,
        usages: *const A2aUsageInput,
        usages_count: usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_a2a_client_current_usage_async(
        db: *mut Pierre,
        client_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_a2a_client_current_usage_result(
        answer: *const Answer,
        out: *mut u32,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_a2a_client_current_usage(
        transaction: *mut Transaction,
        client_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_a2a_usage_stats_async(
        db: *mut Pierre,
        client_id: *const c_char,
        start_date: i64,
        end_date: i64,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_a2a_usage_stats_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_a2a_usage_stats(
        transaction: *mut Transaction,
        client_id: *const c_char,
        start_date: i64,
        end_date: i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_a2a_client_usage_history_async(
        db: *mut Pierre,
        client_id: *const c_char,
        days: u32,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_a2a_client_usage_history_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_a2a_client_usage_history(
        transaction: *mut Transaction,
        client_id: *const c_char,
        days: u32,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_migrate_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_migrate_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_rotate_key_async(
        db: *mut Pierre,
        bind: *const bool,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_rotate_key_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_position_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_position_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_wait_for_async(
        db: *mut Pierre,
        position: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_wait_for_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_daemon_ping_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_ping_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_version_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_version_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_health_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_health_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_stats_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_stats_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_clients_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_clients_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_config_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_config_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_reload_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_reload_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_pause_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_pause_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_resume_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_resume_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_diagnose_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_diagnose_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_backup_async(
        db: *mut Pierre,
        path: *const c_char,
        force: *const bool,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_backup_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_daemon_backup_state_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_daemon_backup_state_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_rpc_discover_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_rpc_discover_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
}

/// The layout of every struct, in the words of tests/golden/abi.txt.
#[cfg(test)]
pub fn layouts(all: &mut Vec<String>) {
    crate::layout!(all, ConnectedToken, "pierre_connected_token", expires_at, scope);
    crate::layout!(
        all,
        User,
        "pierre_user",
        id,
        email,
        display_name,
        password_hash,
        strava_token,
        fitbit_token,
        created_at,
        last_active,
        is_active,
    );
    crate::layout!(all, PasswordCost, "pierre_password_cost", cost, users);
    crate::layout!(
        all,
        Token,
        "pierre_token",
        access_token,
        refresh_token,
        expires_at,
        scope,
        version,
    );
    crate::layout!(all, TokenLease, "pierre_token_lease", granted, lease, expires_at, token);
    crate::layout!(
        all,
        Goal,
        "pierre_goal",
        id,
        user_id,
        title,
        goal_type,
        r#type,
        target_value,
        target,
        current_value,
        current,
        status,
        created_at,
        updated_at,
        whole,
    );
    crate::layout!(all, Insight, "pierre_insight", id, user_id, insight_type, created_at, whole);
    crate::layout!(
        all,
        ApiKey,
        "pierre_api_key",
        id,
        user_id,
        name,
        key_prefix,
        key_hash,
        description,
        tier,
        rate_limit_requests,
        rate_limit_window,
        is_active,
        has_last_used_at,
        last_used_at,
        has_expires_at,
        expires_at,
        created_at,
        updated_at,
    );
    crate::layout!(
        all,
        AuthenticatedApiKey,
        "pierre_authenticated_api_key",
        api_key,
        current_usage,
    );
    crate::layout!(
        all,
        ApiKeyUsageStats,
        "pierre_api_key_usage_stats",
        api_key_id,
        period_start,
        period_end,
        total_requests,
        successful_requests,
        failed_requests,
        total_response_time_ms,
        tool_usage,
        tool_usage_count,
    );
    crate::layout!(
        all,
        NamedApiKeyUsageStats,
        "pierre_named_api_key_usage_stats",
        api_key_id,
        period_start,
        period_end,
        total_requests,
        successful_requests,
        failed_requests,
        total_response_time_ms,
        tool_usage,
        tool_usage_count,
        name,
    );
    crate::layout!(
        all,
        UsageBucket,
        "pierre_usage_bucket",
        start,
        total_requests,
        successful_requests,
        failed_requests,
        total_response_time_ms,
    );
    crate::layout!(
        all,
        RequestLog,
        "pierre_request_log",
        id,
        timestamp,
        api_key_id,
        api_key_name,
        tool_name,
        status_code,
        has_response_time_ms,
        response_time_ms,
        error_message,
        has_request_size_bytes,
        request_size_bytes,
        has_response_size_bytes,
        response_size_bytes,
    );
    crate::layout!(all, SystemStats, "pierre_system_stats", user_count, api_key_count);
    crate::layout!(
        all,
        ToolUsage,
        "pierre_tool_usage",
        tool_name,
        request_count,
        success_rate,
        average_response_time,
    );
    crate::layout!(
        all,
        A2aClient,
        "pierre_a2a_client",
        id,
        name,
        description,
        public_key,
        capabilities,
        capabilities_count,
        redirect_uris,
        redirect_uris_count,
        is_active,
        created_at,
    );
    crate::layout!(
        all,
        A2aSession,
        "pierre_a2a_session",
        id,
        client_id,
        user_id,
        granted_scopes,
        granted_scopes_count,
        created_at,
        expires_at,
        last_activity,
        requests_count,
    );
    crate::layout!(
        all,
        A2aTask,
        "pierre_a2a_task",
        id,
        client_id,
        session_id,
        task_type,
        input_data,
        status,
        created_at,
        has_started_at,
        started_at,
        has_completed_at,
        completed_at,
        result,
        error,
    );
    crate::layout!(
        all,
        A2aUsageStats,
        "pierre_a2a_usage_stats",
        client_id,
        period_start,
        period_end,
        total_requests,
        successful_requests,
        failed_requests,
        total_response_time_ms,
        tool_usage,
        tool_usage_count,
        capability_usage,
        capability_usage_count,
    );
    crate::layout!(all, A2aUsageDay, "pierre_a2a_usage_day", day, success_count, error_count);
    crate::layout!(
        all,
        MigrateResult,
        "pierre_migrate_result",
        schema_version,
        applied,
        applied_count,
    );
    crate::layout!(
        all,
        NewUser,
        "pierre_new_user",
        email,
        password_hash,
        password,
        id,
        display_name,
        has_created_at,
        created_at,
        has_last_active,
        last_active,
        has_is_active,
        is_active,
    );
    crate::layout!(
        all,
        ApiKeyInput,
        "pierre_api_key_input",
        id,
        user_id,
        name,
        key_prefix,
        key_hash,
        description,
        tier,
        rate_limit_requests,
        rate_limit_window,
        has_is_active,
        is_active,
        has_last_used_at,
        last_used_at,
        has_expires_at,
        expires_at,
        has_created_at,
        created_at,
        has_updated_at,
        updated_at,
    );
    crate::layout!(
        all,
        ApiKeyUsageInput,
        "pierre_api_key_usage_input",
        api_key_id,
        has_timestamp,
        timestamp,
        tool_name,
        has_response_time_ms,
        response_time_ms,
        status_code,
        error_message,
        has_request_size_bytes,
        request_size_bytes,
        has_response_size_bytes,
        response_size_bytes,
        ip_address,
        user_agent,
    );
    crate::layout!(
        all,
        A2aClientInput,
        "pierre_a2a_client_input",
        id,
        name,
        description,
        public_key,
        capabilities,
        capabilities_count,
        redirect_uris,
        redirect_uris_count,
        has_is_active,
        is_active,
        has_created_at,
        created_at,
    );
    crate::layout!(
        all,
        A2aUsageInput,
        "pierre_a2a_usage_input",
        client_id,
        session_token,
        has_timestamp,
        timestamp,
        tool_name,
        has_response_time_ms,
        response_time_ms,
        status_code,
        error_message,
        has_request_size_bytes,
        request_size_bytes,
        has_response_size_bytes,
        response_size_bytes,
        ip_address,
        user_agent,
        protocol_version,
        client_capabilities,
        client_capabilities_count,
        granted_scopes,
        granted_scopes_count,
    );
}
