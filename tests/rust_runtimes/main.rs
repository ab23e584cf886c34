//! The crate under tokio and async-std, and with serde_json. Would catch: a future that needs one
//! runtime or blocks its thread, a waker that is lost, a dropped or aborted call that harms another,
//! a write that is lost or happens twice, and a document that changes on its way.
#![deny(warnings)]

mod async_std_tasks;
mod documents;
#[path = "../../client/rust/examples/executor/mod.rs"]
mod executor;
mod restarts;
mod tokio_tasks;

use pierre_db::{ApiKeyInput, Client, NewUser, Secret, Tier, Uuid};

const HASH: &str = "$2b$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TASKS: usize = 64;

/// A user that exists.
fn user(client: &Client) -> Uuid {
    let mut user = NewUser::new("ana@example.com");
    user.password_hash = Some(Secret::from(HASH));
    client.create_user_blocking(&user).expect("a new user")
}

/// An API key that exists.
fn api_key(client: &Client, owner: Uuid, id: &str) {
    let key = ApiKeyInput::new(id, owner, id, id, "a hash", Tier::Starter, 100, 3600);
    client.create_api_key_blocking(&key).expect("a new key");
}

/// The number of connections that the daemon has.
fn connections(client: &Client) -> usize {
    let listed = client.daemon_clients_blocking().expect("a list");
    listed.as_str().matches("\"pid\"").count()
}
