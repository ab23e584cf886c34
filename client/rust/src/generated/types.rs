// Made by protocol/generate.py from the catalog. Do not edit.

//! The types of parameters and answers.

#![allow(unused_imports)]

use super::sys;
use crate::args::Args;
use crate::error::Result;
use crate::read::*;
use crate::secret::Secret;
use crate::values::{Document, Json, Time, Uuid};
use std::collections::BTreeMap;
use std::os::raw::c_char;

/// A fitness service whose tokens are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// `strava`
    Strava,
    /// `fitbit`
    Fitbit,
}

impl Provider {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Strava => "strava",
            Provider::Fitbit => "fitbit",
        }
    }

}

/// Service level of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// `trial`
    Trial,
    /// `starter`
    Starter,
    /// `professional`
    Professional,
    /// `enterprise`
    Enterprise,
}

impl Tier {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Trial => "trial",
            Tier::Starter => "starter",
            Tier::Professional => "professional",
            Tier::Enterprise => "enterprise",
        }
    }

    unsafe fn read(c: *const c_char) -> Result<Self> {
        match borrowed(c)? {
            "trial" => Ok(Tier::Trial),
            "starter" => Ok(Tier::Starter),
            "professional" => Ok(Tier::Professional),
            "enterprise" => Ok(Tier::Enterprise),
            other => Err(unknown_word("tier", other)),
        }
    }

}

/// Filter by status: `success` for 2xx, `error` for 400 and above, `all` for every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestStatus {
    /// `success`
    Success,
    /// `error`
    Error,
    /// `all`
    All,
}

impl RequestStatus {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestStatus::Success => "success",
            RequestStatus::Error => "error",
            RequestStatus::All => "all",
        }
    }

}

/// Length of a bucket, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsageBucketKind {
    /// `hour`
    Hour,
    /// `day`
    Day,
}

impl UsageBucketKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            UsageBucketKind::Hour => "hour",
            UsageBucketKind::Day => "day",
        }
    }

}

/// Status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskStatus {
    /// `pending`
    Pending,
    /// `running`
    Running,
    /// `completed`
    Completed,
    /// `failed`
    Failed,
    /// `cancelled`
    Cancelled,
}

impl TaskStatus {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Pending => "pending",
            TaskStatus::Running => "running",
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Cancelled => "cancelled",
        }
    }

    unsafe fn read(c: *const c_char) -> Result<Self> {
        match borrowed(c)? {
            "pending" => Ok(TaskStatus::Pending),
            "running" => Ok(TaskStatus::Running),
            "completed" => Ok(TaskStatus::Completed),
            "failed" => Ok(TaskStatus::Failed),
            "cancelled" => Ok(TaskStatus::Cancelled),
            other => Err(unknown_word("task_status", other)),
        }
    }

}

/// The non-secret part of a stored OAuth token. Its presence means that the service is connected.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectedToken {
    /// Time of expiry of the access token.
    pub expires_at: Time,
    /// Scope granted by the service, in its own notation.
    pub scope: String,
}

impl Row for ConnectedToken {
    type C = sys::ConnectedToken;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(ConnectedToken {
            expires_at: Time::from_micros(c.expires_at),
            scope: string(c.scope)?,
        })
    }
}

/// A user, without the text of any token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// The user's id.
    pub id: Uuid,
    /// Unique e-mail address, stored byte for byte.
    pub email: String,
    /// Display name; null for none.
    pub display_name: Option<String>,
    /// bcrypt hash of the password (`$2a$`, `$2b$` or `$2y$`).
    pub password_hash: Secret,
    /// The Strava connection; null when there is none.
    pub strava_token: Option<ConnectedToken>,
    /// The Fitbit connection; null when there is none.
    pub fitbit_token: Option<ConnectedToken>,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last activity.
    pub last_active: Time,
    /// Whether the user may log in.
    pub is_active: bool,
}

impl Row for User {
    type C = sys::User;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(User {
            id: uuid(c.id)?,
            email: string(c.email)?,
            display_name: optional(c.display_name, string)?,
            password_hash: secret(c.password_hash)?,
            strava_token: optional_part(c.strava_token)?,
            fitbit_token: optional_part(c.fitbit_token)?,
            created_at: Time::from_micros(c.created_at),
            last_active: Time::from_micros(c.last_active),
            is_active: c.is_active,
        })
    }
}

/// Number of users whose password hash has one bcrypt cost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PasswordCost {
    /// The bcrypt cost, a base-2 logarithm.
    pub cost: i64,
    /// Number of users with this cost, including inactive ones.
    pub users: i64,
}

impl Row for PasswordCost {
    type C = sys::PasswordCost;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(PasswordCost {
            cost: c.cost,
            users: c.users,
        })
    }
}

/// A decrypted OAuth token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Token {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token.
    pub refresh_token: Secret,
    /// Time of expiry of the access token.
    pub expires_at: Time,
    /// Scope granted by the service, in its own notation.
    pub scope: String,
    /// Version of the token: opaque text that changes with every write of the token.
    pub version: String,
}

impl Row for Token {
    type C = sys::Token;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(Token {
            access_token: secret(c.access_token)?,
            refresh_token: secret(c.refresh_token)?,
            expires_at: Time::from_micros(c.expires_at),
            scope: string(c.scope)?,
            version: string(c.version)?,
        })
    }
}

/// Whether the caller may refresh a token, and the token as it is stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenLease {
    /// Whether the lease was granted to this call.
    pub granted: bool,
    /// The lease: opaque text that identifies its holder; null when another caller holds it.
    pub lease: Option<String>,
    /// Time of expiry of the current lease, of any holder.
    pub expires_at: Time,
    /// The decrypted token; null when the user is not connected.
    pub token: Option<Token>,
}

impl Row for TokenLease {
    type C = sys::TokenLease;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(TokenLease {
            granted: c.granted,
            lease: optional(c.lease, string)?,
            expires_at: Time::from_micros(c.expires_at),
            token: optional_part(c.token)?,
        })
    }
}

/// A goal: the members below, then the stored document's other members. The short names repeat the
/// long ones.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Goal {
    /// The goal's id.
    pub id: Uuid,
    /// The owner of the goal.
    pub user_id: Uuid,
    /// Title of the goal.
    pub title: String,
    /// Kind of goal, such as `distance`.
    pub goal_type: String,
    /// Equal to goal_type.
    pub r#type: String,
    /// Target value, in the goal's unit.
    pub target_value: f64,
    /// Equal to target_value.
    pub target: f64,
    /// Current value, in the goal's unit.
    pub current_value: f64,
    /// Equal to current_value.
    pub current: f64,
    /// Status of the goal; initially `active`.
    pub status: String,
    /// When the goal was created.
    pub created_at: Time,
    /// When the goal was last changed.
    pub updated_at: Time,
    /// The whole object as JSON text, with the members of the stored document that are not listed
    /// above.
    pub whole: Document,
}

impl Row for Goal {
    type C = sys::Goal;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(Goal {
            id: uuid(c.id)?,
            user_id: uuid(c.user_id)?,
            title: string(c.title)?,
            goal_type: string(c.goal_type)?,
            r#type: string(c.r#type)?,
            target_value: c.target_value,
            target: c.target,
            current_value: c.current_value,
            current: c.current,
            status: string(c.status)?,
            created_at: Time::from_micros(c.created_at),
            updated_at: Time::from_micros(c.updated_at),
            whole: document(c.whole)?,
        })
    }
}

/// An insight: the members below, then the stored document's other members.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Insight {
    /// The insight's id.
    pub id: Uuid,
    /// The user whom the insight concerns.
    pub user_id: Uuid,
    /// Kind of insight.
    pub insight_type: String,
    /// Time of creation.
    pub created_at: Time,
    /// The whole object as JSON text, with the members of the stored document that are not listed
    /// above.
    pub whole: Document,
}

impl Row for Insight {
    type C = sys::Insight;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(Insight {
            id: uuid(c.id)?,
            user_id: uuid(c.user_id)?,
            insight_type: string(c.insight_type)?,
            created_at: Time::from_micros(c.created_at),
            whole: document(c.whole)?,
        })
    }
}

/// A stored API key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiKey {
    /// The key's id: any text.
    pub id: String,
    /// The owner of the key.
    pub user_id: Uuid,
    /// Name of the key; unique among the user's keys.
    pub name: String,
    /// The first characters of the key, used for look-up.
    pub key_prefix: String,
    /// Hash of the whole key.
    pub key_hash: Secret,
    /// Purpose of the key.
    pub description: Option<String>,
    /// The key's service level.
    pub tier: Tier,
    /// Requests allowed within one window.
    pub rate_limit_requests: u32,
    /// Length of the window in seconds.
    pub rate_limit_window: u32,
    /// Whether the key may be used.
    pub is_active: bool,
    /// Time of the last use; null if never used.
    pub last_used_at: Option<Time>,
    /// Time of expiry; null for none.
    pub expires_at: Option<Time>,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
}

impl Row for ApiKey {
    type C = sys::ApiKey;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(ApiKey {
            id: string(c.id)?,
            user_id: uuid(c.user_id)?,
            name: string(c.name)?,
            key_prefix: string(c.key_prefix)?,
            key_hash: secret(c.key_hash)?,
            description: optional(c.description, string)?,
            tier: Tier::read(c.tier)?,
            rate_limit_requests: c.rate_limit_requests,
            rate_limit_window: c.rate_limit_window,
            is_active: c.is_active,
            last_used_at: c.has_last_used_at.then_some(Time::from_micros(c.last_used_at)),
            expires_at: c.has_expires_at.then_some(Time::from_micros(c.expires_at)),
            created_at: Time::from_micros(c.created_at),
            updated_at: Time::from_micros(c.updated_at),
        })
    }
}

/// An API key that may be used, and how much it was used this month.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuthenticatedApiKey {
    /// The key.
    pub api_key: ApiKey,
    /// The key's requests since the start of the current calendar month, UTC.
    pub current_usage: u32,
}

impl Row for AuthenticatedApiKey {
    type C = sys::AuthenticatedApiKey;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(AuthenticatedApiKey {
            api_key: part(c.api_key)?,
            current_usage: c.current_usage,
        })
    }
}

/// Usage of an API key within a period.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiKeyUsageStats {
    /// The key.
    pub api_key_id: String,
    /// Start of the period, inclusive.
    pub period_start: Time,
    /// End of the period, exclusive.
    pub period_end: Time,
    /// Number of requests.
    pub total_requests: i64,
    /// Requests with a 2xx status.
    pub successful_requests: i64,
    /// Requests with a status of 400 and above.
    pub failed_requests: i64,
    /// Sum of the response times in milliseconds, over the requests that have one.
    pub total_response_time_ms: i64,
    /// Number of requests for each tool, ordered by tool name.
    pub tool_usage: BTreeMap<String, i64>,
}

impl Row for ApiKeyUsageStats {
    type C = sys::ApiKeyUsageStats;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(ApiKeyUsageStats {
            api_key_id: string(c.api_key_id)?,
            period_start: Time::from_micros(c.period_start),
            period_end: Time::from_micros(c.period_end),
            total_requests: c.total_requests,
            successful_requests: c.successful_requests,
            failed_requests: c.failed_requests,
            total_response_time_ms: c.total_response_time_ms,
            tool_usage: counts(c.tool_usage, c.tool_usage_count)?,
        })
    }
}

/// Usage of one of a user's API keys within a period.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NamedApiKeyUsageStats {
    /// The key.
    pub api_key_id: String,
    /// Start of the period, inclusive.
    pub period_start: Time,
    /// End of the period, exclusive.
    pub period_end: Time,
    /// Number of requests.
    pub total_requests: i64,
    /// Requests with a 2xx status.
    pub successful_requests: i64,
    /// Requests with a status of 400 and above.
    pub failed_requests: i64,
    /// Sum of the response times in milliseconds, over the requests that have one.
    pub total_response_time_ms: i64,
    /// Number of requests for each tool, ordered by tool name.
    pub tool_usage: BTreeMap<String, i64>,
    /// Name of the key.
    pub name: String,
}

impl Row for NamedApiKeyUsageStats {
    type C = sys::NamedApiKeyUsageStats;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(NamedApiKeyUsageStats {
            api_key_id: string(c.api_key_id)?,
            period_start: Time::from_micros(c.period_start),
            period_end: Time::from_micros(c.period_end),
            total_requests: c.total_requests,
            successful_requests: c.successful_requests,
            failed_requests: c.failed_requests,
            total_response_time_ms: c.total_response_time_ms,
            tool_usage: counts(c.tool_usage, c.tool_usage_count)?,
            name: string(c.name)?,
        })
    }
}

/// Usage of a user's API keys within an hour or a day.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UsageBucket {
    /// Start of the hour or day, UTC.
    pub start: Time,
    /// Number of requests.
    pub total_requests: i64,
    /// Requests with a 2xx status.
    pub successful_requests: i64,
    /// Requests with a status of 400 and above.
    pub failed_requests: i64,
    /// Sum of the response times in milliseconds, over the requests that have one.
    pub total_response_time_ms: i64,
}

impl Row for UsageBucket {
    type C = sys::UsageBucket;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(UsageBucket {
            start: Time::from_micros(c.start),
            total_requests: c.total_requests,
            successful_requests: c.successful_requests,
            failed_requests: c.failed_requests,
            total_response_time_ms: c.total_response_time_ms,
        })
    }
}

/// A logged request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RequestLog {
    /// Id of the log entry.
    pub id: String,
    /// When the request was made.
    pub timestamp: Time,
    /// The key that was used.
    pub api_key_id: String,
    /// Name of the key.
    pub api_key_name: String,
    /// The tool that was called.
    pub tool_name: String,
    /// HTTP status of the response.
    pub status_code: u16,
    /// Response time in milliseconds.
    pub response_time_ms: Option<u32>,
    /// Error message of a failed request.
    pub error_message: Option<String>,
    /// Size of the request in bytes.
    pub request_size_bytes: Option<u32>,
    /// Size of the response in bytes.
    pub response_size_bytes: Option<u32>,
}

impl Row for RequestLog {
    type C = sys::RequestLog;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(RequestLog {
            id: string(c.id)?,
            timestamp: Time::from_micros(c.timestamp),
            api_key_id: string(c.api_key_id)?,
            api_key_name: string(c.api_key_name)?,
            tool_name: string(c.tool_name)?,
            status_code: c.status_code,
            response_time_ms: c.has_response_time_ms.then_some(c.response_time_ms),
            error_message: optional(c.error_message, string)?,
            request_size_bytes: c.has_request_size_bytes.then_some(c.request_size_bytes),
            response_size_bytes: c.has_response_size_bytes.then_some(c.response_size_bytes),
        })
    }
}

/// Totals of the whole installation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SystemStats {
    /// Number of users, including inactive ones.
    pub user_count: i64,
    /// Number of active API keys.
    pub api_key_count: i64,
}

impl Row for SystemStats {
    type C = sys::SystemStats;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(SystemStats {
            user_count: c.user_count,
            api_key_count: c.api_key_count,
        })
    }
}

/// Usage of one tool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolUsage {
    /// The tool.
    pub tool_name: String,
    /// Number of requests.
    pub request_count: i64,
    /// Percentage of requests with a 2xx status, 0 to 100.
    pub success_rate: f64,
    /// Mean response time in milliseconds over the requests that have one; 0.0 without any.
    pub average_response_time: f64,
}

impl Row for ToolUsage {
    type C = sys::ToolUsage;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(ToolUsage {
            tool_name: string(c.tool_name)?,
            request_count: c.request_count,
            success_rate: c.success_rate,
            average_response_time: c.average_response_time,
        })
    }
}

/// A registered agent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct A2AClient {
    /// The client's id: any text.
    pub id: String,
    /// The client's name; unique.
    pub name: String,
    /// Description of the client.
    pub description: String,
    /// The client's public key, in any format.
    pub public_key: String,
    /// Capabilities of the client.
    pub capabilities: Vec<String>,
    /// Allowed redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Whether the client is active.
    pub is_active: bool,
    /// Time of registration.
    pub created_at: Time,
}

impl Row for A2AClient {
    type C = sys::A2aClient;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(A2AClient {
            id: string(c.id)?,
            name: string(c.name)?,
            description: string(c.description)?,
            public_key: string(c.public_key)?,
            capabilities: texts(c.capabilities, c.capabilities_count)?,
            redirect_uris: texts(c.redirect_uris, c.redirect_uris_count)?,
            is_active: c.is_active,
            created_at: Time::from_micros(c.created_at),
        })
    }
}

/// A client's session, active and not expired.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct A2ASession {
    /// The session's id (not its token).
    pub id: Uuid,
    /// The client.
    pub client_id: String,
    /// The user on whose behalf the session runs; null for none.
    pub user_id: Option<Uuid>,
    /// Scopes granted to the session.
    pub granted_scopes: Vec<String>,
    /// Time of creation.
    pub created_at: Time,
    /// Time of expiry.
    pub expires_at: Time,
    /// Time of the last activity.
    pub last_activity: Time,
    /// Number of logged requests made in the session.
    pub requests_count: i64,
}

impl Row for A2ASession {
    type C = sys::A2aSession;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(A2ASession {
            id: uuid(c.id)?,
            client_id: string(c.client_id)?,
            user_id: optional(c.user_id, uuid)?,
            granted_scopes: texts(c.granted_scopes, c.granted_scopes_count)?,
            created_at: Time::from_micros(c.created_at),
            expires_at: Time::from_micros(c.expires_at),
            last_activity: Time::from_micros(c.last_activity),
            requests_count: c.requests_count,
        })
    }
}

/// A task created by a client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct A2ATask {
    /// The task's id.
    pub id: Uuid,
    /// The client.
    pub client_id: String,
    /// Id of the session in which the task was created; null for none.
    pub session_id: Option<String>,
    /// Kind of task.
    pub task_type: String,
    /// Input of the task.
    pub input_data: Json,
    /// Status of the task.
    pub status: TaskStatus,
    /// Time of creation.
    pub created_at: Time,
    /// When the task first ran; null if it never did.
    pub started_at: Option<Time>,
    /// When the task was completed, failed or cancelled; null until then.
    pub completed_at: Option<Time>,
    /// Result of the task; null without one.
    pub result: Option<Json>,
    /// Error message of a failed task.
    pub error: Option<String>,
}

impl Row for A2ATask {
    type C = sys::A2aTask;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(A2ATask {
            id: uuid(c.id)?,
            client_id: string(c.client_id)?,
            session_id: optional(c.session_id, string)?,
            task_type: string(c.task_type)?,
            input_data: json(c.input_data)?,
            status: TaskStatus::read(c.status)?,
            created_at: Time::from_micros(c.created_at),
            started_at: c.has_started_at.then_some(Time::from_micros(c.started_at)),
            completed_at: c.has_completed_at.then_some(Time::from_micros(c.completed_at)),
            result: optional(c.result, json)?,
            error: optional(c.error, string)?,
        })
    }
}

/// A client's usage within a period.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct A2AUsageStats {
    /// The client.
    pub client_id: String,
    /// Start of the period, inclusive.
    pub period_start: Time,
    /// End of the period, exclusive.
    pub period_end: Time,
    /// Number of requests.
    pub total_requests: i64,
    /// Requests with a 2xx status.
    pub successful_requests: i64,
    /// Requests with a status of 400 and above.
    pub failed_requests: i64,
    /// Sum of the response times in milliseconds, over the requests that have one.
    pub total_response_time_ms: i64,
    /// Number of requests for each tool, ordered by tool name.
    pub tool_usage: BTreeMap<String, i64>,
    /// Number of requests for each claimed capability, ordered by name.
    pub capability_usage: BTreeMap<String, i64>,
}

impl Row for A2AUsageStats {
    type C = sys::A2aUsageStats;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(A2AUsageStats {
            client_id: string(c.client_id)?,
            period_start: Time::from_micros(c.period_start),
            period_end: Time::from_micros(c.period_end),
            total_requests: c.total_requests,
            successful_requests: c.successful_requests,
            failed_requests: c.failed_requests,
            total_response_time_ms: c.total_response_time_ms,
            tool_usage: counts(c.tool_usage, c.tool_usage_count)?,
            capability_usage: counts(c.capability_usage, c.capability_usage_count)?,
        })
    }
}

/// A client's requests on one UTC day.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct A2AUsageDay {
    /// Start of the day, midnight UTC.
    pub day: Time,
    /// Requests with a status below 400.
    pub success_count: i64,
    /// Requests with a status of 400 and above.
    pub error_count: i64,
}

impl Row for A2AUsageDay {
    type C = sys::A2aUsageDay;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(A2AUsageDay {
            day: Time::from_micros(c.day),
            success_count: c.success_count,
            error_count: c.error_count,
        })
    }
}

/// The outcome of migrate.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MigrateResult {
    /// Number of the newest migration in the database.
    pub schema_version: i64,
    /// Names of the migrations applied by this call, in order; empty when the schema was current.
    pub applied: Vec<String>,
}

impl Row for MigrateResult {
    type C = sys::MigrateResult;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(MigrateResult {
            schema_version: c.schema_version,
            applied: texts(c.applied, c.applied_count)?,
        })
    }
}

/// A user to create. Exactly one of `password_hash` and `password` is required.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NewUser {
    /// Unique e-mail address; contains one @ with text on both sides.
    pub email: String,
    /// An existing bcrypt hash, stored unchanged.
    pub password_hash: Option<Secret>,
    /// The plain password, at most 72 bytes of UTF-8, the limit of bcrypt. The daemon stores only
    /// its hash.
    pub password: Option<Secret>,
    /// The user's id; random by default. Default: a new one.
    pub id: Option<Uuid>,
    /// Display name.
    pub display_name: Option<String>,
    /// Time of creation. Default: now.
    pub created_at: Option<Time>,
    /// Time of the last activity. Default: now.
    pub last_active: Option<Time>,
    /// Whether the user may log in. Default: true.
    pub is_active: Option<bool>,
}

impl NewUser {
    /// The required members. The others are omitted until they are set.
    pub fn new(email: impl Into<String>) -> Self {
        NewUser {
            email: email.into(),
            password_hash: None,
            password: None,
            id: None,
            display_name: None,
            created_at: None,
            last_active: None,
            is_active: None,
        }
    }

    pub(crate) fn c(&self, args: &Args) -> sys::NewUser {
        sys::NewUser {
            email: args.text("email", &self.email),
            password_hash: args.optional("password_hash", self.password_hash.as_ref().map(Secret::expose)),
            password: args.optional("password", self.password.as_ref().map(Secret::expose)),
            id: args.optional_uuid(self.id),
            display_name: args.optional("display_name", self.display_name.as_deref()),
            has_created_at: self.created_at.is_some(),
            created_at: self.created_at.map_or(0, Time::as_micros),
            has_last_active: self.last_active.is_some(),
            last_active: self.last_active.map_or(0, Time::as_micros),
            has_is_active: self.is_active.is_some(),
            is_active: self.is_active.unwrap_or_default(),
        }
    }
}

/// An API key to store.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiKeyInput {
    /// The key's id: any text, unique.
    pub id: String,
    /// The owner of the key.
    pub user_id: Uuid,
    /// Name of the key; unique among the user's keys.
    pub name: String,
    /// The first characters of the key, used for look-up.
    pub key_prefix: String,
    /// Hash of the whole key.
    pub key_hash: Secret,
    /// Purpose of the key.
    pub description: Option<String>,
    /// The key's service level.
    pub tier: Tier,
    /// Requests allowed within one window.
    pub rate_limit_requests: u32,
    /// Length of the window in seconds.
    pub rate_limit_window: u32,
    /// Whether the key may be used. Default: true.
    pub is_active: Option<bool>,
    /// Time of the last use; null if never used.
    pub last_used_at: Option<Time>,
    /// Time of expiry; null for none.
    pub expires_at: Option<Time>,
    /// Time of creation. Default: now.
    pub created_at: Option<Time>,
    /// Time of the last change. Default: now.
    pub updated_at: Option<Time>,
}

impl ApiKeyInput {
    /// The required members. The others are omitted until they are set.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        id: impl Into<String>,
        user_id: Uuid,
        name: impl Into<String>,
        key_prefix: impl Into<String>,
        key_hash: impl Into<Secret>,
        tier: Tier,
        rate_limit_requests: u32,
        rate_limit_window: u32,
    ) -> Self {
        ApiKeyInput {
            id: id.into(),
            user_id,
            name: name.into(),
            key_prefix: key_prefix.into(),
            key_hash: key_hash.into(),
            description: None,
            tier,
            rate_limit_requests,
            rate_limit_window,
            is_active: None,
            last_used_at: None,
            expires_at: None,
            created_at: None,
            updated_at: None,
        }
    }

    pub(crate) fn c(&self, args: &Args) -> sys::ApiKeyInput {
        sys::ApiKeyInput {
            id: args.text("id", &self.id),
            user_id: args.uuid(self.user_id),
            name: args.text("name", &self.name),
            key_prefix: args.text("key_prefix", &self.key_prefix),
            key_hash: args.text("key_hash", self.key_hash.expose()),
            description: args.optional("description", self.description.as_deref()),
            tier: args.text("tier", self.tier.as_str()),
            rate_limit_requests: self.rate_limit_requests,
            rate_limit_window: self.rate_limit_window,
            has_is_active: self.is_active.is_some(),
            is_active: self.is_active.unwrap_or_default(),
            has_last_used_at: self.last_used_at.is_some(),
            last_used_at: self.last_used_at.map_or(0, Time::as_micros),
            has_expires_at: self.expires_at.is_some(),
            expires_at: self.expires_at.map_or(0, Time::as_micros),
            has_created_at: self.created_at.is_some(),
            created_at: self.created_at.map_or(0, Time::as_micros),
            has_updated_at: self.updated_at.is_some(),
            updated_at: self.updated_at.map_or(0, Time::as_micros),
        }
    }
}

/// A request made with an API key, to log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiKeyUsageInput {
    /// The key that was used.
    pub api_key_id: String,
    /// When the request was made. Default: now.
    pub timestamp: Option<Time>,
    /// The tool that was called.
    pub tool_name: String,
    /// Response time in milliseconds.
    pub response_time_ms: Option<u32>,
    /// HTTP status of the response.
    pub status_code: u16,
    /// Error message of a failed request.
    pub error_message: Option<String>,
    /// Size of the request in bytes.
    pub request_size_bytes: Option<u32>,
    /// Size of the response in bytes.
    pub response_size_bytes: Option<u32>,
    /// Origin of the request: an IPv4 or IPv6 address, or any other text of at most 255 bytes,
    /// which is stored unchanged.
    pub ip_address: Option<String>,
    /// User agent of the client.
    pub user_agent: Option<String>,
}

impl ApiKeyUsageInput {
    /// The required members. The others are omitted until they are set.
    pub fn new(
        api_key_id: impl Into<String>,
        tool_name: impl Into<String>,
        status_code: u16,
    ) -> Self {
        ApiKeyUsageInput {
            api_key_id: api_key_id.into(),
            timestamp: None,
            tool_name: tool_name.into(),
            response_time_ms: None,
            status_code,
            error_message: None,
            request_size_bytes: None,
            response_size_bytes: None,
            ip_address: None,
            user_agent: None,
        }
    }

    pub(crate) fn c(&self, args: &Args) -> sys::ApiKeyUsageInput {
        sys::ApiKeyUsageInput {
            api_key_id: args.text("api_key_id", &self.api_key_id),
            has_timestamp: self.timestamp.is_some(),
            timestamp: self.timestamp.map_or(0, Time::as_micros),
            tool_name: args.text("tool_name", &self.tool_name),
            has_response_time_ms: self.response_time_ms.is_some(),
            response_time_ms: self.response_time_ms.unwrap_or_default(),
            status_code: self.status_code,
            error_message: args.optional("error_message", self.error_message.as_deref()),
            has_request_size_bytes: self.request_size_bytes.is_some(),
            request_size_bytes: self.request_size_bytes.unwrap_or_default(),
            has_response_size_bytes: self.response_size_bytes.is_some(),
            response_size_bytes: self.response_size_bytes.unwrap_or_default(),
            ip_address: args.optional("ip_address", self.ip_address.as_deref()),
            user_agent: args.optional("user_agent", self.user_agent.as_deref()),
        }
    }
}

/// An agent to register.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct A2AClientInput {
    /// The client's id: any text, unique.
    pub id: String,
    /// The client's name; unique.
    pub name: String,
    /// Description of the client.
    pub description: String,
    /// The client's public key, in any format.
    pub public_key: String,
    /// Capabilities of the client.
    pub capabilities: Vec<String>,
    /// Allowed redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Whether the client is active. Default: true.
    pub is_active: Option<bool>,
    /// Time of registration. Default: now.
    pub created_at: Option<Time>,
}

impl A2AClientInput {
    /// The required members. The others are omitted until they are set.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        description: impl Into<String>,
        public_key: impl Into<String>,
        capabilities: Vec<String>,
        redirect_uris: Vec<String>,
    ) -> Self {
        A2AClientInput {
            id: id.into(),
            name: name.into(),
            description: description.into(),
            public_key: public_key.into(),
            capabilities,
            redirect_uris,
            is_active: None,
            created_at: None,
        }
    }

    pub(crate) fn c(&self, args: &Args) -> sys::A2aClientInput {
        let (capabilities_texts, capabilities_count) = args.texts("capabilities", Some(&self.capabilities));
        let (redirect_uris_texts, redirect_uris_count) = args.texts("redirect_uris", Some(&self.redirect_uris));
        sys::A2aClientInput {
            id: args.text("id", &self.id),
            name: args.text("name", &self.name),
            description: args.text("description", &self.description),
            public_key: args.text("public_key", &self.public_key),
            capabilities: capabilities_texts,
            capabilities_count,
            redirect_uris: redirect_uris_texts,
            redirect_uris_count,
            has_is_active: self.is_active.is_some(),
            is_active: self.is_active.unwrap_or_default(),
            has_created_at: self.created_at.is_some(),
            created_at: self.created_at.map_or(0, Time::as_micros),
        }
    }
}

/// A client's request to log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct A2AUsageInput {
    /// The client.
    pub client_id: String,
    /// Token of the session of the request; null for none.
    pub session_token: Option<Secret>,
    /// When the request was made. Default: now.
    pub timestamp: Option<Time>,
    /// The tool that was called.
    pub tool_name: String,
    /// Response time in milliseconds.
    pub response_time_ms: Option<u32>,
    /// HTTP status of the response.
    pub status_code: u16,
    /// Error message of a failed request.
    pub error_message: Option<String>,
    /// Size of the request in bytes.
    pub request_size_bytes: Option<u32>,
    /// Size of the response in bytes.
    pub response_size_bytes: Option<u32>,
    /// Origin of the request: an IPv4 or IPv6 address, or any other text of at most 255 bytes,
    /// which is stored unchanged.
    pub ip_address: Option<String>,
    /// User agent of the client.
    pub user_agent: Option<String>,
    /// Version of the agent-to-agent protocol. Default: 1.0.
    pub protocol_version: Option<String>,
    /// Capabilities claimed by the client. Default: none.
    pub client_capabilities: Option<Vec<String>>,
    /// Scopes granted to the request. Default: none.
    pub granted_scopes: Option<Vec<String>>,
}

impl A2AUsageInput {
    /// The required members. The others are omitted until they are set.
    pub fn new(
        client_id: impl Into<String>,
        tool_name: impl Into<String>,
        status_code: u16,
    ) -> Self {
        A2AUsageInput {
            client_id: client_id.into(),
            session_token: None,
            timestamp: None,
            tool_name: tool_name.into(),
            response_time_ms: None,
            status_code,
            error_message: None,
            request_size_bytes: None,
            response_size_bytes: None,
            ip_address: None,
            user_agent: None,
            protocol_version: None,
            client_capabilities: None,
            granted_scopes: None,
        }
    }

    pub(crate) fn c(&self, args: &Args) -> sys::A2aUsageInput {
        let (client_capabilities_texts, client_capabilities_count) = args.texts("client_capabilities", self.client_capabilities.as_deref());
        let (granted_scopes_texts, granted_scopes_count) = args.texts("granted_scopes", self.granted_scopes.as_deref());
        sys::A2aUsageInput {
            client_id: args.text("client_id", &self.client_id),
            session_token: args.optional("session_token", self.session_token.as_ref().map(Secret::expose)),
            has_timestamp: self.timestamp.is_some(),
            timestamp: self.timestamp.map_or(0, Time::as_micros),
            tool_name: args.text("tool_name", &self.tool_name),
            has_response_time_ms: self.response_time_ms.is_some(),
            response_time_ms: self.response_time_ms.unwrap_or_default(),
            status_code: self.status_code,
            error_message: args.optional("error_message", self.error_message.as_deref()),
            has_request_size_bytes: self.request_size_bytes.is_some(),
            request_size_bytes: self.request_size_bytes.unwrap_or_default(),
            has_response_size_bytes: self.response_size_bytes.is_some(),
            response_size_bytes: self.response_size_bytes.unwrap_or_default(),
            ip_address: args.optional("ip_address", self.ip_address.as_deref()),
            user_agent: args.optional("user_agent", self.user_agent.as_deref()),
            protocol_version: args.optional("protocol_version", self.protocol_version.as_deref()),
            client_capabilities: client_capabilities_texts,
            client_capabilities_count,
            granted_scopes: granted_scopes_texts,
            granted_scopes_count,
        }
    }
}
