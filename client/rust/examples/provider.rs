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

/// What the server knows of its database.
trait Provider: Send + Sync {
    fn create_user<'a>(&'a self, user: &'a NewUser) -> Answer<'a, Uuid>;
    fn get_user(&self, user_id: Uuid) -> Answer<'_, Option<User>>;
    fn get_user_by_email<'a>(&'a self, email: &'a str) -> Answer<'a, Option<User>>;
    fn get_user_by_email_required<'a>(&'a self, email: &'a str) -> Answer<'a, User>;
    fn update_last_active(&self, user_id: Uuid) -> Answer<'_, ()>;
    fn get_user_count(&self) -> Answer<'_, i64>;
    fn update_strava_token<'a>(
        &'a self,
        user_id: Uuid,
        access_token: &'a Secret,
        refresh_token: &'a Secret,
        expires_at: Time,
        scope: &'a str,
    ) -> Answer<'a, ()>;
    fn get_strava_token(&self, user_id: Uuid) -> Answer<'_, Option<Token>>;
    fn clear_strava_token(&self, user_id: Uuid) -> Answer<'_, ()>;
    fn update_fitbit_token<'a>(
        &'a self,
        user_id: Uuid,
        access_token: &'a Secret,
        refresh_token: &'a Secret,
        expires_at: Time,
        scope: &'a str,
    ) -> Answer<'a, ()>;
    fn get_fitbit_token(&self, user_id: Uuid) -> Answer<'_, Option<Token>>;
    fn clear_fitbit_token(&self, user_id: Uuid) -> Answer<'_, ()>;
    fn upsert_user_profile<'a>(
        &'a self,
        user_id: Uuid,
        profile_data: &'a Document,
    ) -> Answer<'a, ()>;
    fn get_user_profile(&self, user_id: Uuid) -> Answer<'_, Option<Document>>;
    fn create_goal<'a>(&'a self, user_id: Uuid, goal_data: &'a Document) -> Answer<'a, Uuid>;
    fn get_user_goals(&self, user_id: Uuid) -> Answer<'_, Vec<Goal>>;
    fn update_goal_progress(&self, goal_id: Uuid, current_value: f64) -> Answer<'_, ()>;
    fn store_insight<'a>(&'a self, user_id: Uuid, insight_data: &'a Document) -> Answer<'a, Uuid>;
    fn get_user_insights<'a>(
        &'a self,
        user_id: Uuid,
        insight_type: Option<&'a str>,
        limit: Option<u32>,
    ) -> Answer<'a, Vec<Insight>>;
    fn create_api_key<'a>(&'a self, api_key: &'a ApiKeyInput) -> Answer<'a, ()>;
    fn get_api_key_by_prefix<'a>(
        &'a self,
        prefix: &'a str,
        hash: &'a Secret,
    ) -> Answer<'a, Option<ApiKey>>;
    fn get_user_api_keys(&self, user_id: Uuid) -> Answer<'_, Vec<ApiKey>>;
    fn update_api_key_last_used<'a>(&'a self, api_key_id: &'a str) -> Answer<'a, ()>;
    fn deactivate_api_key<'a>(&'a self, api_key_id: &'a str, user_id: Uuid) -> Answer<'a, ()>;
    fn cleanup_expired_api_keys(&self) -> Answer<'_, i64>;
    fn get_expired_api_keys(&self) -> Answer<'_, Vec<ApiKey>>;
    fn record_api_key_usage<'a>(&'a self, usage: &'a ApiKeyUsageInput) -> Answer<'a, ()>;
    fn get_api_key_current_usage<'a>(&'a self, api_key_id: &'a str) -> Answer<'a, u32>;
    fn get_api_key_usage_stats<'a>(
        &'a self,
        api_key_id: &'a str,
        start_date: Time,
        end_date: Time,
    ) -> Answer<'a, ApiKeyUsageStats>;
    fn get_request_logs<'a>(&'a self, options: GetRequestLogs<'a>) -> Answer<'a, Vec<RequestLog>>;
    fn get_system_stats(&self) -> Answer<'_, SystemStats>;
    fn get_top_tools_analysis(
        &self,
        user_id: Uuid,
        start_time: Time,
        end_time: Time,
    ) -> Answer<'_, Vec<ToolUsage>>;
    fn create_a2a_client<'a>(
        &'a self,
        client: &'a A2AClientInput,
        api_key_id: &'a str,
    ) -> Answer<'a, String>;
    fn get_a2a_client<'a>(&'a self, client_id: &'a str) -> Answer<'a, Option<A2AClient>>;
    fn get_a2a_client_by_name<'a>(&'a self, name: &'a str) -> Answer<'a, Option<A2AClient>>;
    fn list_a2a_clients(&self, user_id: Uuid) -> Answer<'_, Vec<A2AClient>>;
    fn create_a2a_session<'a>(
        &'a self,
        client_id: &'a str,
        user_id: Option<Uuid>,
        granted_scopes: &'a [&'a str],
        expires_in_hours: i64,
    ) -> Answer<'a, Secret>;
    fn get_a2a_session<'a>(&'a self, session_token: &'a Secret) -> Answer<'a, Option<A2ASession>>;
    fn update_a2a_session_activity<'a>(&'a self, session_token: &'a Secret) -> Answer<'a, ()>;
    fn create_a2a_task<'a>(
        &'a self,
        client_id: &'a str,
        session_id: Option<&'a Secret>,
        task_type: &'a str,
        input_data: &'a Json,
    ) -> Answer<'a, Uuid>;
    fn get_a2a_task(&self, task_id: Uuid) -> Answer<'_, Option<A2ATask>>;
    fn update_a2a_task_status<'a>(
        &'a self,
        task_id: Uuid,
        status: TaskStatus,
        result: Option<&'a Json>,
        error: Option<&'a str>,
    ) -> Answer<'a, ()>;
    fn record_a2a_usage<'a>(&'a self, usage: &'a A2AUsageInput) -> Answer<'a, ()>;
    fn get_a2a_client_current_usage<'a>(&'a self, client_id: &'a str) -> Answer<'a, u32>;
    fn get_a2a_usage_stats<'a>(
        &'a self,
        client_id: &'a str,
        start_date: Time,
        end_date: Time,
    ) -> Answer<'a, A2AUsageStats>;
    fn get_a2a_client_usage_history<'a>(
        &'a self,
        client_id: &'a str,
        days: u32,
    ) -> Answer<'a, Vec<A2AUsageDay>>;
}

/// The provider whose database is behind the daemon.
struct Daemon(Client);

/// The old provider did not look at the number of rows that an update had changed.
async fn unknown_is_fine(updated: impl Future<Output = Result<()>>) -> Result<()> {
    match updated.await {
        Err(Error::NotFound(_)) => Ok(()),
        other => other,
    }
}

impl Provider for Daemon {
    fn create_user<'a>(&'a self, user: &'a NewUser) -> Answer<'a, Uuid> {
        Box::pin(self.0.create_user(user))
    }

    fn get_user(&self, user_id: Uuid) -> Answer<'_, Option<User>> {
        Box::pin(self.0.get_user(user_id))
    }

    fn get_user_by_email<'a>(&'a self, email: &'a str) -> Answer<'a, Option<User>> {
        Box::pin(self.0.get_user_by_email(email))
    }

    fn get_user_by_email_required<'a>(&'a self, email: &'a str) -> Answer<'a, User> {
        Box::pin(self.0.get_user_by_email_required(email))
    }

    fn update_last_active(&self, user_id: Uuid) -> Answer<'_, ()> {
        Box::pin(unknown_is_fine(self.0.update_last_active(user_id)))
    }

    fn get_user_count(&self) -> Answer<'_, i64> {
        Box::pin(self.0.get_user_count())
    }

    fn update_strava_token<'a>(
        &'a self,
        user_id: Uuid,
        access_token: &'a Secret,
        refresh_token: &'a Secret,
        expires_at: Time,
        scope: &'a str,
    ) -> Answer<'a, ()> {
        let updated = self.0.update_strava_token(
            user_id,
            access_token,
            refresh_token,
            expires_at,
            scope,
            None,
        );
        Box::pin(unknown_is_fine(updated))
    }

    fn get_strava_token(&self, user_id: Uuid) -> Answer<'_, Option<Token>> {
        Box::pin(self.0.get_strava_token(user_id))
    }

    fn clear_strava_token(&self, user_id: Uuid) -> Answer<'_, ()> {
        Box::pin(unknown_is_fine(self.0.clear_strava_token(user_id, None)))
    }

    fn update_fitbit_token<'a>(
        &'a self,
        user_id: Uuid,
        access_token: &'a Secret,
        refresh_token: &'a Secret,
        expires_at: Time,
        scope: &'a str,
    ) -> Answer<'a, ()> {
        let updated = self.0.update_fitbit_token(
            user_id,
            access_token,
            refresh_token,
            expires_at,
            scope,
            None,
        );
        Box::pin(unknown_is_fine(updated))
    }

    fn get_fitbit_token(&self, user_id: Uuid) -> Answer<'_, Option<Token>> {
        Box::pin(self.0.get_fitbit_token(user_id))
    }

    fn clear_fitbit_token(&self, user_id: Uuid) -> Answer<'_, ()> {
        Box::pin(unknown_is_fine(self.0.clear_fitbit_token(user_id, None)))
    }

    fn upsert_user_profile<'a>(
        &'a self,
        user_id: Uuid,
        profile_data: &'a Document,
    ) -> Answer<'a, ()> {
        Box::pin(self.0.upsert_user_profile(user_id, profile_data))
    }

    fn get_user_profile(&self, user_id: Uuid) -> Answer<'_, Option<Document>> {
        Box::pin(self.0.get_user_profile(user_id))
    }

    fn create_goal<'a>(&'a self, user_id: Uuid, goal_data: &'a Document) -> Answer<'a, Uuid> {
        Box::pin(self.0.create_goal(user_id, goal_data))
    }

    fn get_user_goals(&self, user_id: Uuid) -> Answer<'_, Vec<Goal>> {
        Box::pin(self.0.get_user_goals(user_id, None, None))
    }

    fn update_goal_progress(&self, goal_id: Uuid, current_value: f64) -> Answer<'_, ()> {
        Box::pin(unknown_is_fine(self.0.update_goal_progress(goal_id, current_value, None)))
    }

    fn store_insight<'a>(&'a self, user_id: Uuid, insight_data: &'a Document) -> Answer<'a, Uuid> {
        Box::pin(self.0.store_insight(user_id, insight_data))
    }

    fn get_user_insights<'a>(
        &'a self,
        user_id: Uuid,
        insight_type: Option<&'a str>,
        limit: Option<u32>,
    ) -> Answer<'a, Vec<Insight>> {
        Box::pin(self.0.get_user_insights(user_id, insight_type, limit, None))
    }

    fn create_api_key<'a>(&'a self, api_key: &'a ApiKeyInput) -> Answer<'a, ()> {
        Box::pin(self.0.create_api_key(api_key))
    }

    fn get_api_key_by_prefix<'a>(
        &'a self,
        prefix: &'a str,
        hash: &'a Secret,
    ) -> Answer<'a, Option<ApiKey>> {
        Box::pin(self.0.get_api_key_by_prefix(prefix, hash))
    }

    fn get_user_api_keys(&self, user_id: Uuid) -> Answer<'_, Vec<ApiKey>> {
        Box::pin(self.0.get_user_api_keys(user_id, None, None))
    }

    fn update_api_key_last_used<'a>(&'a self, api_key_id: &'a str) -> Answer<'a, ()> {
        Box::pin(unknown_is_fine(self.0.update_api_key_last_used(api_key_id)))
    }

    fn deactivate_api_key<'a>(&'a self, api_key_id: &'a str, user_id: Uuid) -> Answer<'a, ()> {
        Box::pin(unknown_is_fine(self.0.deactivate_api_key(api_key_id, user_id)))
    }

    fn cleanup_expired_api_keys(&self) -> Answer<'_, i64> {
        Box::pin(self.0.cleanup_expired_api_keys())
    }

    fn get_expired_api_keys(&self) -> Answer<'_, Vec<ApiKey>> {
        Box::pin(self.0.get_expired_api_keys())
    }

    fn record_api_key_usage<'a>(&'a self, usage: &'a ApiKeyUsageInput) -> Answer<'a, ()> {
        Box::pin(self.0.record_api_key_usage(usage))
    }

    fn get_api_key_current_usage<'a>(&'a self, api_key_id: &'a str) -> Answer<'a, u32> {
        Box::pin(self.0.get_api_key_current_usage(api_key_id))
    }

    fn get_api_key_usage_stats<'a>(
        &'a self,
        api_key_id: &'a str,
        start_date: Time,
        end_date: Time,
    ) -> Answer<'a, ApiKeyUsageStats> {
        Box::pin(self.0.get_api_key_usage_stats(api_key_id, start_date, end_date))
    }

    fn get_request_logs<'a>(&'a self, options: GetRequestLogs<'a>) -> Answer<'a, Vec<RequestLog>> {
        Box::pin(self.0.get_request_logs(options))
    }

    fn get_system_stats(&self) -> Answer<'_, SystemStats> {
        Box::pin(self.0.get_system_stats())
    }

    fn get_top_tools_analysis(
        &self,
        user_id: Uuid,
        start_time: Time,
        end_time: Time,
    ) -> Answer<'_, Vec<ToolUsage>> {
        Box::pin(self.0.get_top_tools_analysis(user_id, start_time, end_time))
    }

    fn create_a2a_client<'a>(
        &'a self,
        client: &'a A2AClientInput,
        api_key_id: &'a str,
    ) -> Answer<'a, String> {
        Box::pin(self.0.create_a2a_client(client, api_key_id))
    }

    fn get_a2a_client<'a>(&'a self, client_id: &'a str) -> Answer<'a, Option<A2AClient>> {
        Box::pin(self.0.get_a2a_client(client_id))
    }

    fn get_a2a_client_by_name<'a>(&'a self, name: &'a str) -> Answer<'a, Option<A2AClient>> {
        Box::pin(self.0.get_a2a_client_by_name(name))
    }

    fn list_a2a_clients(&self, user_id: Uuid) -> Answer<'_, Vec<A2AClient>> {
        Box::pin(self.0.list_a2a_clients(user_id, None, None))
    }

    fn create_a2a_session<'a>(
        &'a self,
        client_id: &'a str,
        user_id: Option<Uuid>,
        granted_scopes: &'a [&'a str],
        expires_in_hours: i64,
    ) -> Answer<'a, Secret> {
        Box::pin(self.0.create_a2a_session(client_id, user_id, granted_scopes, expires_in_hours))
    }

    fn get_a2a_session<'a>(&'a self, session_token: &'a Secret) -> Answer<'a, Option<A2ASession>> {
        Box::pin(self.0.get_a2a_session(session_token))
    }

    fn update_a2a_session_activity<'a>(&'a self, session_token: &'a Secret) -> Answer<'a, ()> {
        Box::pin(unknown_is_fine(self.0.update_a2a_session_activity(session_token)))
    }

    fn create_a2a_task<'a>(
        &'a self,
        client_id: &'a str,
        session_id: Option<&'a Secret>,
        task_type: &'a str,
        input_data: &'a Json,
    ) -> Answer<'a, Uuid> {
        Box::pin(self.0.create_a2a_task(client_id, session_id, task_type, input_data))
    }

    fn get_a2a_task(&self, task_id: Uuid) -> Answer<'_, Option<A2ATask>> {
        Box::pin(self.0.get_a2a_task(task_id))
    }

    fn update_a2a_task_status<'a>(
        &'a self,
        task_id: Uuid,
        status: TaskStatus,
        result: Option<&'a Json>,
        error: Option<&'a str>,
    ) -> Answer<'a, ()> {
        Box::pin(unknown_is_fine(self.0.update_a2a_task_status(task_id, status, result, error)))
    }

    fn record_a2a_usage<'a>(&'a self, usage: &'a A2AUsageInput) -> Answer<'a, ()> {
        Box::pin(self.0.record_a2a_usage(usage))
    }

    fn get_a2a_client_current_usage<'a>(&'a self, client_id: &'a str) -> Answer<'a, u32> {
        Box::pin(self.0.get_a2a_client_current_usage(client_id))
    }

    fn get_a2a_usage_stats<'a>(
        &'a self,
        client_id: &'a str,
        start_date: Time,
        end_date: Time,
    ) -> Answer<'a, A2AUsageStats> {
        Box::pin(self.0.get_a2a_usage_stats(client_id, start_date, end_date))
    }

    fn get_a2a_client_usage_history<'a>(
        &'a self,
        client_id: &'a str,
        days: u32,
    ) -> Answer<'a, Vec<A2AUsageDay>> {
        Box::pin(self.0.get_a2a_client_usage_history(client_id, days))
    }
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
