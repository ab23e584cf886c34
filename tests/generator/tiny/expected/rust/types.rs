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

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Colour {
    /// `red`
    Red,
    /// `green`
    Green,
}

impl Colour {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Colour::Red => "red",
            Colour::Green => "green",
        }
    }

    unsafe fn read(c: *const c_char) -> Result<Self> {
        match borrowed(c)? {
            "red" => Ok(Colour::Red),
            "green" => Ok(Colour::Green),
            other => Err(unknown_word("colour", other)),
        }
    }

}

/// How big a thing is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Size {
    /// In metres.
    pub width: f64,
    /// As it was given.
    pub unit: Option<String>,
}

impl Row for Size {
    type C = sys::Size;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(Size {
            width: c.width,
            unit: optional(c.unit, string)?,
        })
    }
}

/// A thing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Thing {
    /// The thing's id.
    pub id: Uuid,
    /// Its colour.
    pub colour: Option<Colour>,
    /// Its size.
    pub size: Option<Size>,
    /// The whole object as JSON text, with the members of the stored document that are not listed
    /// above.
    pub whole: Document,
}

impl Row for Thing {
    type C = sys::Thing;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(Thing {
            id: uuid(c.id)?,
            colour: optional(c.colour, Colour::read)?,
            size: optional_part(c.size)?,
            whole: document(c.whole)?,
        })
    }
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Token {
    /// One text.
    pub access_token: Secret,
    /// Another.
    pub refresh_token: Secret,
}

impl Row for Token {
    type C = sys::Token;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(Token {
            access_token: secret(c.access_token)?,
            refresh_token: secret(c.refresh_token)?,
        })
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Account {
    /// Its number.
    pub id: i64,
    /// A hash.
    pub password_hash: Secret,
}

impl Row for Account {
    type C = sys::Account;

    unsafe fn read(c: &Self::C) -> Result<Self> {
        Ok(Account {
            id: c.id,
            password_hash: secret(c.password_hash)?,
        })
    }
}

/// A thing to be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NewThing {
    /// The thing's id. Default: a new one.
    pub id: Option<Uuid>,
    /// What stands on it.
    pub label: Option<String>,
    /// Which one it is.
    pub number: Option<u16>,
    /// Its colour. Default: red.
    pub colour: Option<Colour>,
    /// Words. Default: none.
    pub tags: Option<Vec<String>>,
    /// Whose it is.
    pub owner: String,
    /// When. Default: now.
    pub made_at: Option<Time>,
}

impl NewThing {
    /// The required members. The others are omitted until they are set.
    pub fn new(owner: impl Into<String>) -> Self {
        NewThing {
            id: None,
            label: None,
            number: None,
            colour: None,
            tags: None,
            owner: owner.into(),
            made_at: None,
        }
    }

    pub(crate) fn c(&self, args: &Args) -> sys::NewThing {
        let (tags_texts, tags_count) = args.texts("tags", self.tags.as_deref());
        sys::NewThing {
            id: args.optional_uuid(self.id),
            label: args.optional("label", self.label.as_deref()),
            has_number: self.number.is_some(),
            number: self.number.unwrap_or_default(),
            colour: args.optional("colour", self.colour.map(Colour::as_str)),
            tags: tags_texts,
            tags_count,
            owner: args.text("owner", &self.owner),
            has_made_at: self.made_at.is_some(),
            made_at: self.made_at.map_or(0, Time::as_micros),
        }
    }
}
