//! A token that has expired is refreshed by one of many callers: the one that gets the lease. A
//! service such as Strava accepts a refresh token once, so a second refresh would disconnect the
//! user. The others wait for the new token.
//!
//! ```sh
//! cargo run --example token_refresh [pierre-dbd:/run/pierre-dbd/pierre-dbd.sock]
//! ```

use pierre_db::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const CALLERS: usize = 8;
const LEASE_SECONDS: u32 = 30;

/// The service that issues tokens.
#[derive(Default)]
struct Service {
    refreshed: AtomicUsize,
}

impl Service {
    fn refresh(&self, refresh_token: &Secret) -> (Secret, Secret, Time) {
        assert_eq!(refresh_token.expose(), "refresh 0", "a refresh token is valid once");
        self.refreshed.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20));
        ("access 1".into(), "refresh 1".into(), Time::now() + Duration::from_secs(21600))
    }
}

/// A token that is valid now; None when the user is not connected.
fn valid_token(db: &Client, service: &Service, user: Uuid) -> Result<Option<Token>> {
    loop {
        let token = match db.get_strava_token_blocking(user)? {
            Some(token) => token,
            None => return Ok(None),
        };
        if token.expires_at > Time::now() {
            return Ok(Some(token));
        }
        let lease = db.lease_token_refresh_blocking(user, Provider::Strava, Some(LEASE_SECONDS))?;
        let old = match lease.token {
            Some(old) if lease.granted && old.expires_at <= Time::now() => old,
            _ => {
                thread::sleep(Duration::from_millis(10)); // another caller refreshes it
                continue;
            }
        };
        let (access, refresh, end) = service.refresh(&old.refresh_token);
        // Only if nobody has stored another token since, such as a new connection of the user.
        let version = Some(&old.version[..]);
        match db.update_strava_token_blocking(user, &access, &refresh, end, &old.scope, version) {
            Ok(()) | Err(Error::Conflict(_)) => continue,
            Err(error) => return Err(error),
        }
    }
}

fn connected_user(db: &Client) -> Result<Uuid> {
    let mut user = NewUser::new(format!("token-refresh-{}@example.com", Time::now().as_micros()));
    user.password_hash =
        Some("$2b$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".into());
    let user = db.create_user_blocking(&user)?;
    let expired = Time::now() - Duration::from_secs(60);
    let (access, refresh) = ("access 0".into(), "refresh 0".into());
    db.update_strava_token_blocking(user, &access, &refresh, expired, "read", None)?;
    Ok(user)
}

fn main() -> Result<()> {
    let db = match std::env::args().nth(1) {
        Some(url) => Client::connect(&url)?,
        None => Client::private()?,
    };
    let user = connected_user(&db)?;
    let service = Arc::new(Service::default());
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (db, service) = (db.clone(), Arc::clone(&service));
            thread::spawn(move || valid_token(&db, &service, user))
        })
        .collect();
    for caller in callers {
        let token = caller.join().expect("no caller panics")?.expect("the user is connected");
        assert_eq!(token.access_token.expose(), "access 1");
    }
    assert_eq!(service.refreshed.load(Ordering::SeqCst), 1);
    println!("{} callers, refreshed once", CALLERS);
    Ok(())
}
