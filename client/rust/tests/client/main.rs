//! The crate with a daemon of its own for each test. Would catch: a call that is lost, run twice or
//! answered to another task; a wrong type of a parameter or result; memory of the library that is
//! used after it was freed; a secret that stays in memory; a daemon that outlives its client.

mod calls;
mod examples;
#[path = "../../examples/executor/mod.rs"]
mod executor;
mod failures;
mod private;
mod sharing;
mod transactions;
mod wiping;

use pierre_db::{ApiKeyInput, Client, NewUser, Secret, Tier, Uuid};

const HASH: &str = "$2b$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A user that exists.
fn user(client: &Client, email: &str) -> Uuid {
    let mut user = NewUser::new(email);
    user.password_hash = Some(Secret::from(HASH));
    client.create_user_blocking(&user).expect("a new user")
}

/// An API key that exists.
fn api_key(client: &Client, owner: Uuid, id: &str) {
    let hash = format!("hash of {}", id);
    let key = ApiKeyInput::new(id, owner, id, id, hash, Tier::Starter, 100, 3600);
    client.create_api_key_blocking(&key).expect("a new key");
}
