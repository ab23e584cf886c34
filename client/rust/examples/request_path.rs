//! What a server does for each request of an MCP client, in 64 tasks that share one client: it
//! finds the API key, checks the limit, does its work, and notes the request. Notes are written in
//! groups, each in one call.
//!
//! ```sh
//! cargo run --example request_path [pierre-dbd:/run/pierre-dbd/pierre-dbd.sock]
//! ```

mod executor;

use pierre_db::*;
use std::sync::{Arc, Mutex};

const TASKS: usize = 64;
const REQUESTS: usize = 25; // of each task
const GROUP: usize = 50;

/// What the tasks of the server share.
struct Server {
    db: Client,
    notes: Mutex<Vec<ApiKeyUsageInput>>,
}

/// The answer to a request, as an HTTP status.
type Status = u16;

impl Server {
    async fn handle(&self, prefix: &str, hash: &Secret, tool: &str) -> Result<Status> {
        let found = match self.db.authenticate_api_key(prefix, hash).await? {
            Some(found) => found,
            None => return Ok(401),
        };
        let allowed = found.current_usage < found.api_key.rate_limit_requests;
        let status = if allowed { 200 } else { 429 };
        let mut note = ApiKeyUsageInput::new(found.api_key.id, tool, status);
        note.timestamp = Some(Time::now()); // that of the request, not that of the group
        self.note(note).await?;
        Ok(status)
    }

    /// The task whose note completes a group writes it.
    async fn note(&self, note: ApiKeyUsageInput) -> Result<()> {
        let group = {
            let mut notes = self.notes.lock().unwrap();
            notes.push(note);
            if notes.len() < GROUP {
                return Ok(());
            }
            std::mem::take(&mut *notes)
        };
        self.db.record_api_key_usages(&group).await.map(drop)
    }

    /// Writes what is left, when the server ends.
    fn end(&self) -> Result<()> {
        let rest = std::mem::take(&mut *self.notes.lock().unwrap());
        if rest.is_empty() {
            return Ok(());
        }
        self.db.record_api_key_usages_blocking(&rest).map(drop)
    }
}

fn new_key(db: &Client, unique: &str) -> Result<()> {
    let mut user = NewUser::new(format!("request-path-{}@example.com", unique));
    user.password_hash =
        Some("$2b$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".into());
    let owner = db.create_user_blocking(&user)?;
    let tier = Tier::Professional;
    let key = ApiKeyInput::new(unique, owner, "laptop", unique, "a hash", tier, 100_000, 3600);
    db.create_api_key_blocking(&key)
}

fn main() -> Result<()> {
    let db = match std::env::args().nth(1) {
        Some(url) => Client::connect(&url)?,
        None => Client::private()?,
    };
    let unique: Arc<str> = Time::now().as_micros().to_string().into();
    new_key(&db, &unique)?;
    let server = Arc::new(Server { db, notes: Mutex::new(Vec::new()) });
    let task = |_| {
        let (server, prefix) = (Arc::clone(&server), Arc::clone(&unique));
        async move {
            let hash = Secret::from("a hash");
            for _ in 0..REQUESTS {
                let status = server.handle(&prefix, &hash, "get_activities").await;
                assert_eq!(status.unwrap_or_else(|error| panic!("{}", error)), 200);
            }
            let refused = server.handle(&prefix, &"another hash".into(), "get_activities").await;
            assert_eq!(refused.unwrap_or_else(|error| panic!("{}", error)), 401);
        }
    };
    executor::run_all(2, (0..TASKS).map(task).collect());
    server.end()?;
    let counted = server.db.get_api_key_current_usage_blocking(&unique)?;
    assert_eq!(counted as usize, TASKS * REQUESTS);
    println!("{} tasks, {} requests noted", TASKS, counted);
    Ok(())
}
