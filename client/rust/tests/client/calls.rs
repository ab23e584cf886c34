//! Parameters and results of every type, in both forms of a call.

use crate::executor::block_on;
use crate::{api_key, user, HASH};
use pierre_db::*;
use std::time::Duration;

#[test]
fn users() -> Result<()> {
    let client = Client::private()?;
    let id = Uuid::from_bytes([7; 16]);
    let mut ana = NewUser::new("ana@example.com");
    ana.id = Some(id);
    ana.password = Some(Secret::from("correct horse"));
    ana.display_name = Some("Äna".into());
    ana.created_at = Some("2025-06-19T17:44:49.123456789+02:00".parse()?);
    ana.is_active = Some(true);
    block_on(async {
        assert_eq!(client.create_user(&ana).await?, id);
        let found = client.get_user(id).await?.expect("the user exists");
        assert_eq!((found.id, &found.email[..]), (id, "ana@example.com"));
        assert_eq!(found.display_name.as_deref(), Some("Äna"));
        assert_eq!(found.created_at.to_string(), "2025-06-19T15:44:49.123456Z");
        assert!(found.is_active && found.strava_token.is_none());
        assert_eq!(client.get_user_by_email("ana@example.com").await?, Some(found.clone()));
        assert_eq!(client.get_user_by_email_required("ana@example.com").await?, found);
        let verified =
            client.verify_user_password("ana@example.com", &"correct horse".into()).await?;
        assert_eq!(verified.map(|user| user.id), Some(id));
        assert_eq!(client.verify_user_password("ana@example.com", &"wrong".into()).await?, None);
        client.update_last_active(id).await?;
        assert_eq!(client.get_user_count().await?, 1);
        let costs = client.get_password_costs(None).await?;
        assert_eq!((costs.len(), costs[0].users), (1, 1));
        assert!(client.get_password_costs(Some(costs[0].cost as u32)).await?.is_empty());
        Ok(())
    })
}

#[test]
fn tokens() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    let (access, refresh) = (Secret::from("an access token"), Secret::from("a refresh token"));
    let expires = Time::now() + Duration::from_secs(3600);
    client.update_strava_token_blocking(owner, &access, &refresh, expires, "read", None)?;
    let token = client.get_strava_token_blocking(owner)?.expect("a token");
    assert_eq!((&token.access_token, &token.refresh_token), (&access, &refresh));
    assert_eq!((token.expires_at, &token.scope[..]), (expires, "read"));
    let shown = format!("{:?} {:?}", token, client.get_user_blocking(owner)?);
    assert!(
        !shown.contains("token\"") && !shown.contains("refresh token") && !shown.contains(HASH)
    );
    let lease = client.lease_token_refresh_blocking(owner, Provider::Strava, Some(60))?;
    assert!(lease.granted && lease.token == Some(token.clone()));
    let other = client.lease_token_refresh_blocking(owner, Provider::Strava, None)?;
    assert!(!other.granted && other.lease.is_none());
    client.clear_strava_token_blocking(owner, Some(&token.version))?;
    assert!(client.get_strava_token_blocking(owner)?.is_none());
    Ok(())
}

#[test]
fn documents() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    let profile = Document::new(r#"{"age": 41, "weight_kg": 61.5, "tags": ["ä", {"deep": null}]}"#);
    client.upsert_user_profile_blocking(owner, &profile)?;
    let stored = client.get_user_profile_blocking(owner)?.expect("a profile");
    let squeeze = |text: &str| text.replace(' ', "");
    assert_eq!(squeeze(stored.as_str()), squeeze(profile.as_str()));
    assert!(client.get_user_profile_blocking(Uuid::default())?.is_none());
    let goal =
        Document::new(r#"{"title": "10 km", "type": "distance", "target": 10, "unit": "km"}"#);
    let id = client.create_goal_blocking(owner, &goal)?;
    client.update_goal_progress_blocking(id, 2.5, Some(owner))?;
    let goals = client.get_user_goals_blocking(owner, None, None)?;
    assert_eq!((goals.len(), goals[0].id, &goals[0].title[..]), (1, id, "10 km"));
    assert_eq!((goals[0].target_value, goals[0].current_value), (10.0, 2.5));
    assert_eq!(
        (&goals[0].r#type[..], goals[0].whole.as_str().contains("\"unit\"")),
        ("distance", true)
    );
    let insight = client.store_insight_blocking(owner, &Document::new(r#"{"type": "rest"}"#))?;
    let insights = client.get_user_insights_blocking(owner, Some("rest"), Some(3), None)?;
    assert_eq!((insights.len(), insights[0].id), (1, insight));
    assert!(client.get_user_insights_blocking(owner, Some("other"), None, None)?.is_empty());
    Ok(())
}

#[test]
fn usage() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    api_key(&client, owner, "key");
    let mut request = ApiKeyUsageInput::new("key", "get_activities", 200);
    request.response_time_ms = Some(12);
    request.ip_address = Some("2001:DB8::1".into());
    client.record_api_key_usage_blocking(&request)?;
    let mut failed = ApiKeyUsageInput::new("key", "get_stats", 500);
    failed.error_message = Some("näh".into());
    assert_eq!(client.record_api_key_usages_blocking(&[request.clone(), failed])?, 2);
    assert_eq!(client.get_api_key_current_usage_blocking("key")?, 3);
    let hash = Secret::from("hash of key");
    let known = client.authenticate_api_key_blocking("key", &hash)?.expect("the key");
    assert_eq!(
        (known.current_usage, known.api_key.tier, known.api_key.user_id),
        (3, Tier::Starter, owner)
    );
    assert_eq!(
        client.get_api_key_by_prefix_blocking("key", &hash)?.map(|key| key.id),
        Some("key".into())
    );
    let (start, end) =
        (Time::now() - Duration::from_secs(86400), Time::now() + Duration::from_secs(60));
    let stats = client.get_api_key_usage_stats_blocking("key", start, end)?;
    assert_eq!(
        (stats.total_requests, stats.failed_requests, stats.total_response_time_ms),
        (3, 1, 24)
    );
    assert_eq!(
        stats.tool_usage.into_iter().collect::<Vec<_>>(),
        [("get_activities".into(), 2), ("get_stats".into(), 1)]
    );
    assert_eq!(client.get_user_api_key_usage_blocking(owner, start, end)?[0].name, "key");
    let series = client.get_user_usage_series_blocking(owner, start, end, UsageBucketKind::Day)?;
    assert_eq!(series.iter().map(|bucket| bucket.total_requests).sum::<i64>(), 3);
    let errors = GetRequestLogs { status_filter: Some(RequestStatus::Error), ..Default::default() };
    let logs = client.get_request_logs_blocking(errors)?;
    assert_eq!((logs.len(), logs[0].status_code, logs[0].response_time_ms), (1, 500, None));
    assert_eq!(logs[0].error_message.as_deref(), Some("näh"));
    assert_eq!(client.get_top_tools_analysis_blocking(owner, start, end)?[0].request_count, 2);
    assert_eq!(client.get_system_stats_blocking()?.api_key_count, 1);
    assert_eq!(client.cleanup_expired_api_keys_blocking()?, 0);
    Ok(())
}

#[test]
fn agents() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    api_key(&client, owner, "key");
    let lists = (vec!["read".to_string(), "ä".into()], Vec::new());
    let agent = A2AClientInput::new("agent", "Agent", "An agent", "a key", lists.0, lists.1);
    assert_eq!(client.create_a2a_client_blocking(&agent, "key")?, "agent");
    let found = client.get_a2a_client_by_name_blocking("Agent")?.expect("the agent");
    assert_eq!((&found.capabilities[..], found.redirect_uris.len()), (&agent.capabilities[..], 0));
    let session = client.create_a2a_session_blocking("agent", Some(owner), &["read"], 24)?;
    assert!(!format!("{:?}", session).contains(session.expose()));
    let open = client.get_a2a_session_blocking(&session)?.expect("the session");
    assert_eq!((&open.granted_scopes[..], open.user_id), (&["read".to_string()][..], Some(owner)));
    let input = Json::new("[1, {\"a\": null}]");
    let task = client.create_a2a_task_blocking("agent", Some(&session), "sum", &input)?;
    client.update_a2a_task_status_blocking(
        task,
        TaskStatus::Completed,
        Some(&Json::new("6")),
        None,
    )?;
    let done = client.get_a2a_task_blocking(task)?.expect("the task");
    assert_eq!((done.status, done.result), (TaskStatus::Completed, Some(Json::new("6"))));
    assert!(done.completed_at.is_some() && done.error.is_none());
    let mut request = A2AUsageInput::new("agent", "sum", 200);
    request.session_token = Some(session);
    request.client_capabilities = Some(vec!["read".into()]);
    assert_eq!(client.record_a2a_usages_blocking(&[request.clone(), request])?, 2);
    let (start, end) =
        (Time::now() - Duration::from_secs(86400), Time::now() + Duration::from_secs(60));
    let stats = client.get_a2a_usage_stats_blocking("agent", start, end)?;
    assert_eq!((stats.total_requests, stats.capability_usage.get("read")), (2, Some(&2)));
    assert_eq!(
        client
            .get_a2a_client_usage_history_blocking("agent", 2)?
            .iter()
            .map(|day| day.success_count)
            .sum::<i64>(),
        2
    );
    Ok(())
}

#[test]
fn the_daemon() -> Result<()> {
    let client = Client::private()?;
    assert_eq!(client.daemon_ping_blocking()?, "pong");
    assert!(client.daemon_health_blocking()?.as_str().contains("\"ok\""));
    let position = client.daemon_position_blocking()?;
    assert!(position.starts_with("sqlite-"));
    client.daemon_wait_for_blocking(&position)?;
    block_on(client.daemon_wait_for(&position))?;
    let other = Client::private()?.daemon_position_blocking()?;
    assert!(matches!(client.daemon_wait_for_blocking(&other), Err(Error::Conflict(_))));
    assert!(client.migrate_blocking()?.applied.is_empty());
    let params = Json::new("[\"nobody@example.com\"]");
    assert_eq!(client.call_blocking("get_user_by_email", Some(&params))?.as_str(), "null");
    assert_eq!(block_on(client.call("get_user_count", None))?, Json::new("0"));
    assert!(matches!(client.call_blocking("no_such_method", None), Err(Error::MethodNotFound(_))));
    assert!(!library_version().is_empty());
    Ok(())
}

#[test]
fn pages() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    let goals: Vec<Uuid> = (0..7)
        .map(|i| {
            client.create_goal_blocking(owner, &Document::new(format!("{{\"title\": \"{}\"}}", i)))
        })
        .collect::<Result<_>>()?;
    for id in ["a", "b", "c"] {
        api_key(&client, owner, id);
        client.record_api_key_usage_blocking(&ApiKeyUsageInput::new(id, "tool", 200))?;
    }
    let mut sizes = Vec::new();
    let mut seen = Vec::new();
    let mut list = client.get_user_goals_pages(owner, 3);
    while let Some(page) = block_on(list.next())? {
        sizes.push(page.len());
        seen.extend(page.into_iter().map(|goal| goal.id));
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert!(list.next_blocking()?.is_none());
    seen.sort();
    let mut all = goals;
    all.sort();
    assert_eq!(seen, all);
    let mut keys = client.get_user_api_keys_pages(owner, 1);
    let mut count = 0;
    while let Some(page) = keys.next_blocking()? {
        count += page.len();
    }
    assert_eq!(count, 3);
    let of_b = GetRequestLogs { api_key_id: Some("b"), ..Default::default() };
    let mut logs = client.get_request_logs_pages(of_b, 2);
    assert_eq!(logs.next_blocking()?.map(|page| page.len()), Some(1));
    assert!(logs.next_blocking()?.is_none());
    assert!(client.list_a2a_clients_pages(owner, 5).next_blocking()?.is_none());
    assert!(client.get_user_insights_pages(owner, None, 5).next_blocking()?.is_none());
    Ok(())
}
