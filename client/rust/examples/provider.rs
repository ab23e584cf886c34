//! The data layer of a server that had a provider of its own, as a trait object over the client:
//! 46 methods with the meaning that they had there. An update of a row that does not exist is fine,
//! as it was for that provider; the daemon itself calls it `not_found`.
//!
//! ```sh
//! cargo run --example provider [pierre-dbd:/run/pierre-dbd/pierre-dbd.sock]
//! ```

mod executor;

use pierre_db::*;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What a method of the trait returns: a future that any executor runs.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The provider whose database is behind the daemon.
struct Daemon(Client);

/// The old provider did not look at the number of rows that an update had changed.
async fn unknown_is_fine(updated: impl Future<Output = Result<()>>) -> Result<()> {
    match updated.await {
        Err(Error::NotFound(_)) => Ok(()),
        other => other,
    }
}

/// Makes the trait `Provider`, what the server knows of its database, and its implementation over the
/// client. An entry is a method with its parameters and its result, and behind `=>` the client's call.
/// `'a` is the lifetime of what a call borrows. With the crate `async_trait` the same is written as
/// `async fn get_user(&self, user_id: Uuid) -> Result<…> { self.0.get_user(user_id).await }`.
macro_rules! provider {
    (|$db:ident| $($name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty => $call:expr;)*) => {
        trait Provider: Send + Sync {
            $(fn $name<'a>(&'a self, $($arg: $type),*) -> Answer<'a, $result>;)*
        }

        impl Provider for Daemon {
            $(fn $name<'a>(&'a self, $($arg: $type),*) -> Answer<'a, $result> {
                let $db = &self.0;
                Box::pin($call)
            })*
        }
    };
}

provider! { |db|
    create_user(user: &'a NewUser) -> Uuid => db.create_user(user);
    get_user(user_id: Uuid) -> Option<User> => db.get_user(user_id);
    get_user_by_email(email: &'a str) -> Option<User> => db.get_user_by_email(email);
    get_user_by_email_required(email: &'a str) -> User => db.get_user_by_email_required(email);
    update_last_active(user_id: Uuid) -> () => unknown_is_fine(db.update_last_active(user_id));
    get_user_count() -> i64 => db.get_user_count();
    update_strava_token(
        user_id: Uuid,
        access_token: &'a Secret,
        refresh_token: &'a Secret,
        expires_at: Time,
        scope: &'a str,
    ) -> ()
        => unknown_is_fine(
            db.update_strava_token(user_id, access_token, refresh_token, expires_at, scope, None)
        );
    get_strava_token(user_id: Uuid) -> Option<Token> => db.get_strava_token(user_id);
    clear_strava_token(user_id: Uuid) -> ()
        => unknown_is_fine(db.clear_strava_token(user_id, None));
    update_fitbit_token(
        user_id: Uuid,
        access_token: &'a Secret,
        refresh_token: &'a Secret,
        expires_at: Time,
        scope: &'a str,
    ) -> ()
        => unknown_is_fine(
            db.update_fitbit_token(user_id, access_token, refresh_token, expires_at, scope, None)
        );
    get_fitbit_token(user_id: Uuid) -> Option<Token> => db.get_fitbit_token(user_id);
    clear_fitbit_token(user_id: Uuid) -> ()
        => unknown_is_fine(db.clear_fitbit_token(user_id, None));
    upsert_user_profile(user_id: Uuid, profile_data: &'a Document) -> ()
        => db.upsert_user_profile(user_id, profile_data);
    get_user_profile(user_id: Uuid) -> Option<Document> => db.get_user_profile(user_id);
    create_goal(user_id: Uuid, goal_data: &'a Document) -> Uuid
        => db.create_goal(user_id, goal_data);
    get_user_goals(user_id: Uuid) -> Vec<Goal> => db.get_user_goals(user_id, None, None);
    update_goal_progress(goal_id: Uuid, current_value: f64) -> ()
        => unknown_is_fine(db.update_goal_progress(goal_id, current_value, None));
    store_insight(user_id: Uuid, insight_data: &'a Document) -> Uuid
        => db.store_insight(user_id, insight_data);
    get_user_insights(
        user_id: Uuid,
        insight_type: Option<&'a str>,
        limit: Option<u32>,
    ) -> Vec<Insight>
        => db.get_user_insights(user_id, insight_type, limit, None);
    create_api_key(api_key: &'a ApiKeyInput) -> () => db.create_api_key(api_key);
    get_api_key_by_prefix(prefix: &'a str, hash: &'a Secret) -> Option<ApiKey>
        => db.get_api_key_by_prefix(prefix, hash);
    get_user_api_keys(user_id: Uuid) -> Vec<ApiKey> => db.get_user_api_keys(user_id, None, None);
    update_api_key_last_used(api_key_id: &'a str) -> ()
        => unknown_is_fine(db.update_api_key_last_used(api_key_id));
    deactivate_api_key(api_key_id: &'a str, user_id: Uuid) -> ()
        => unknown_is_fine(db.deactivate_api_key(api_key_id, user_id));
    cleanup_expired_api_keys() -> i64 => db.cleanup_expired_api_keys();
    get_expired_api_keys() -> Vec<ApiKey> => db.get_expired_api_keys();
    record_api_key_usage(usage: &'a ApiKeyUsageInput) -> () => db.record_api_key_usage(usage);
    get_api_key_current_usage(api_key_id: &'a str) -> u32
        => db.get_api_key_current_usage(api_key_id);
    get_api_key_usage_stats(
        api_key_id: &'a str,
        start_date: Time,
        end_date: Time,
    ) -> ApiKeyUsageStats
        => db.get_api_key_usage_stats(api_key_id, start_date, end_date);
    get_request_logs(options: GetRequestLogs<'a>) -> Vec<RequestLog>
        => db.get_request_logs(options);
    get_system_stats() -> SystemStats => db.get_system_stats();
    get_top_tools_analysis(user_id: Uuid, start_time: Time, end_time: Time) -> Vec<ToolUsage>
        => db.get_top_tools_analysis(user_id, start_time, end_time);
    create_a2a_client(client: &'a A2AClientInput, api_key_id: &'a str) -> String
        => db.create_a2a_client(client, api_key_id);
    get_a2a_client(client_id: &'a str) -> Option<A2AClient> => db.get_a2a_client(client_id);
    get_a2a_client_by_name(name: &'a str) -> Option<A2AClient> => db.get_a2a_client_by_name(name);
    list_a2a_clients(user_id: Uuid) -> Vec<A2AClient> => db.list_a2a_clients(user_id, None, None);
    create_a2a_session(
        client_id: &'a str,
        user_id: Option<Uuid>,
        granted_scopes: &'a [&'a str],
        expires_in_hours: i64,
    ) -> Secret
        => db.create_a2a_session(client_id, user_id, granted_scopes, expires_in_hours);
    get_a2a_session(session_token: &'a Secret) -> Option<A2ASession>
        => db.get_a2a_session(session_token);
    update_a2a_session_activity(session_token: &'a Secret) -> ()
        => unknown_is_fine(db.update_a2a_session_activity(session_token));
    create_a2a_task(
        client_id: &'a str,
        session_id: Option<&'a Secret>,
        task_type: &'a str,
        input_data: &'a Json,
    ) -> Uuid
        => db.create_a2a_task(client_id, session_id, task_type, input_data);
    get_a2a_task(task_id: Uuid) -> Option<A2ATask> => db.get_a2a_task(task_id);
    update_a2a_task_status(
        task_id: Uuid,
        status: TaskStatus,
        result: Option<&'a Json>,
        error: Option<&'a str>,
    ) -> ()
        => unknown_is_fine(db.update_a2a_task_status(task_id, status, result, error));
    record_a2a_usage(usage: &'a A2AUsageInput) -> () => db.record_a2a_usage(usage);
    get_a2a_client_current_usage(client_id: &'a str) -> u32
        => db.get_a2a_client_current_usage(client_id);
    get_a2a_usage_stats(client_id: &'a str, start_date: Time, end_date: Time) -> A2AUsageStats
        => db.get_a2a_usage_stats(client_id, start_date, end_date);
    get_a2a_client_usage_history(client_id: &'a str, days: u32) -> Vec<A2AUsageDay>
        => db.get_a2a_client_usage_history(client_id, days);
}

const HASH: &str = "$2b$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

async fn users(db: &dyn Provider, unique: &str) -> Result<Uuid> {
    let email = format!("provider-{}@example.com", unique);
    let mut user = NewUser::new(&email[..]);
    user.password_hash = Some(HASH.into());
    let before = db.get_user_count().await?;
    let id = db.create_user(&user).await?;
    assert_eq!(db.get_user_count().await?, before + 1);
    assert_eq!(db.get_user(id).await?.map(|user| user.email), Some(email.clone()));
    assert_eq!(db.get_user_by_email(&email).await?.map(|user| user.id), Some(id));
    assert_eq!(db.get_user_by_email_required(&email).await?.id, id);
    db.update_last_active(id).await?;
    db.update_last_active(Uuid::default()).await?; // nobody: fine
    Ok(id)
}

async fn tokens(db: &dyn Provider, user: Uuid) -> Result<()> {
    let (access, refresh) = (Secret::from("an access token"), Secret::from("a refresh token"));
    let end = Time::now() + Duration::from_secs(3600);
    db.update_strava_token(user, &access, &refresh, end, "read").await?;
    db.update_fitbit_token(user, &access, &refresh, end, "activity").await?;
    assert_eq!(db.get_strava_token(user).await?.map(|token| token.access_token), Some(access));
    assert_eq!(db.get_fitbit_token(user).await?.map(|token| token.scope), Some("activity".into()));
    db.clear_strava_token(user).await?;
    db.clear_fitbit_token(user).await?;
    db.clear_fitbit_token(Uuid::default()).await?;
    assert_eq!(db.get_strava_token(user).await?, None);
    Ok(())
}

async fn documents(db: &dyn Provider, user: Uuid) -> Result<()> {
    let profile = Document::new(r#"{"age":41}"#);
    db.upsert_user_profile(user, &profile).await?;
    assert!(db.get_user_profile(user).await?.is_some());
    let goal = db.create_goal(user, &Document::new(r#"{"title":"10 km"}"#)).await?;
    db.update_goal_progress(goal, 4.5).await?;
    db.update_goal_progress(Uuid::default(), 4.5).await?;
    assert_eq!(db.get_user_goals(user).await?[0].current_value, 4.5);
    let insight = db.store_insight(user, &Document::new(r#"{"type":"rest"}"#)).await?;
    assert_eq!(db.get_user_insights(user, Some("rest"), Some(5)).await?[0].id, insight);
    Ok(())
}

async fn keys(db: &dyn Provider, user: Uuid, id: &str) -> Result<()> {
    let hash = Secret::from("a hash");
    let mut key = ApiKeyInput::new(id, user, "laptop", id, hash.clone(), Tier::Trial, 100, 3600);
    db.create_api_key(&key).await?;
    assert!(db.get_api_key_by_prefix(id, &hash).await?.is_some());
    key.id = format!("{} of yesterday", id);
    key.name = "desktop".into();
    key.expires_at = Some(Time::now() - Duration::from_secs(86400));
    db.create_api_key(&key).await?;
    assert!(db.get_expired_api_keys().await?.iter().any(|expired| expired.id == key.id));
    assert!(db.cleanup_expired_api_keys().await? > 0);
    assert_eq!(db.get_user_api_keys(user).await?.len(), 2);
    db.update_api_key_last_used(id).await?;
    db.update_api_key_last_used("unknown").await?;
    db.deactivate_api_key("unknown", user).await?;
    let (start, end) =
        (Time::now() - Duration::from_secs(60), Time::now() + Duration::from_secs(60));
    db.record_api_key_usage(&ApiKeyUsageInput::new(id, "get_activities", 200)).await?;
    assert_eq!(db.get_api_key_current_usage(id).await?, 1);
    assert_eq!(db.get_api_key_usage_stats(id, start, end).await?.successful_requests, 1);
    let of_key = GetRequestLogs { api_key_id: Some(id), ..Default::default() };
    assert_eq!(db.get_request_logs(of_key).await?[0].tool_name, "get_activities");
    assert_eq!(db.get_top_tools_analysis(user, start, end).await?.len(), 1);
    assert!(db.get_system_stats().await?.api_key_count > 0);
    Ok(())
}

async fn agents(db: &dyn Provider, user: Uuid, id: &str) -> Result<()> {
    let agent = A2AClientInput::new(id, id, "An agent", "a key", vec!["sum".into()], vec![]);
    assert_eq!(db.create_a2a_client(&agent, id).await?, id);
    assert!(db.get_a2a_client(id).await?.is_some());
    assert!(db.get_a2a_client_by_name(id).await?.is_some());
    assert_eq!(db.list_a2a_clients(user).await?.len(), 1);
    let session = db.create_a2a_session(id, Some(user), &["read"], 24).await?;
    db.update_a2a_session_activity(&session).await?;
    db.update_a2a_session_activity(&"unknown".into()).await?;
    assert!(db.get_a2a_session(&session).await?.is_some());
    let task = db.create_a2a_task(id, Some(&session), "sum", &Json::new("[1,2]")).await?;
    let result = Json::new("3");
    db.update_a2a_task_status(task, TaskStatus::Completed, Some(&result), None).await?;
    db.update_a2a_task_status(Uuid::default(), TaskStatus::Failed, None, Some("lost")).await?;
    assert_eq!(db.get_a2a_task(task).await?.and_then(|task| task.result), Some(result));
    let (start, end) =
        (Time::now() - Duration::from_secs(60), Time::now() + Duration::from_secs(60));
    db.record_a2a_usage(&A2AUsageInput::new(id, "sum", 200)).await?;
    assert_eq!(db.get_a2a_client_current_usage(id).await?, 1);
    assert_eq!(db.get_a2a_usage_stats(id, start, end).await?.total_requests, 1);
    assert_eq!(db.get_a2a_client_usage_history(id, 1).await?.len(), 1);
    Ok(())
}

async fn everything(db: Arc<dyn Provider>) -> Result<()> {
    let unique = Time::now().as_micros().to_string();
    let user = users(&*db, &unique).await?;
    tokens(&*db, user).await?;
    documents(&*db, user).await?;
    keys(&*db, user, &unique).await?;
    agents(&*db, user, &unique).await?;
    db.deactivate_api_key(&unique, user).await?;
    assert_eq!(db.get_api_key_by_prefix(&unique, &"a hash".into()).await?, None);
    Ok(())
}

fn main() -> Result<()> {
    let client = match std::env::args().nth(1) {
        Some(url) => Client::connect(&url)?,
        None => Client::private()?,
    };
    executor::block_on(everything(Arc::new(Daemon(client))))?;
    println!("46 methods, as the old provider had them");
    Ok(())
}
