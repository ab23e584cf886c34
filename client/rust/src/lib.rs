//! A client of pierre-dbd, the data layer of Pierre, over the C library `libpierre-db`.
//!
//! [`Client`] has each method of the daemon twice: as an `async fn`, which works under any executor,
//! and with `_blocking` behind its name. Ids, times and documents have types of their own;
//! [`Secret`]s are wiped when they are dropped and are shown by no [`Debug`]. An [`Error`] tells
//! its kind, and what a failed write may have done.
//!
//! ```
//! # fn main() -> pierre_db::Result<()> {
//! use pierre_db::{ApiKeyUsageInput, Client, Secret};
//!
//! async fn handle(client: &Client, prefix: &str, hash: &Secret) -> pierre_db::Result<bool> {
//!     let found = match client.authenticate_api_key(prefix, hash).await? {
//!         Some(found) => found,
//!         None => return Ok(false),
//!     };
//!     let usage = ApiKeyUsageInput::new(found.api_key.id, "get_activities", 200);
//!     client.record_api_key_usage(&usage).await?;
//!     Ok(true)
//! }
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod args;
mod call;
mod client;
mod driver;
mod error;
#[rustfmt::skip]
mod generated {
    #![allow(missing_docs)] // their text is in the catalog, and the generator refuses to miss it
    pub(crate) mod calls;
    pub(crate) mod errors;
    pub(crate) mod sys;
    pub(crate) mod types;
}
mod link;
mod pages;
mod private;
mod read;
mod secret;
mod sys;
mod transaction;
mod values;
mod wake;

pub use client::{library_version, Builder, Client};
pub use error::{Error, Failure, Outcome, Result};
pub use generated::calls::*;
pub use generated::types::*;
pub use pages::Pages;
pub use secret::Secret;
pub use transaction::{Planned, Results, Transaction};
pub use values::{Document, Json, Time, Uuid};
