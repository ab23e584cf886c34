//! The examples of the crate's README, also those that need other crates.
#![cfg_attr(doctest, doc = include_str!("../../client/rust/README.md"))]
