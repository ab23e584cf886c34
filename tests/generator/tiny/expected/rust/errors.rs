// Made by protocol/generate.py from the catalog. Do not edit.

//! The kinds of errors.

use crate::error::Failure;

/// Why a call failed: a variant for each kind. [`Failure`] has the members of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A bad parameter.
    InvalidParams(Box<Failure>),
    /// The row does not exist.
    NotFound(Box<Failure>),
    /// A unique key is taken.
    Conflict(Box<Failure>),
    /// No database.
    Unavailable(Box<Failure>),
    /// Cannot be opened.
    DecryptionFailed(Box<Failure>),
    /// No daemon answers at the socket; nothing was sent.
    NoConnection(Box<Failure>),
    /// The connection broke before the answer arrived.
    Broken(Box<Failure>),
    /// The call timed out.
    NoAnswer(Box<Failure>),
    /// The library cannot decode the answer.
    BadAnswer(Box<Failure>),
    /// Out of memory.
    NoMemory(Box<Failure>),
    /// The library refuses such a use.
    Misuse(Box<Failure>),
    /// The daemon returned an error with an unknown code.
    OtherError(Box<Failure>),
}

impl Error {
    /// The error of a kind by its code: `enum pierre_kind`.
    pub(crate) fn of(code: i32, failure: Failure) -> Error {
        let failure = Box::new(failure);
        match code {
            -32602 => Error::InvalidParams(failure),
            -32001 => Error::NotFound(failure),
            -32002 => Error::Conflict(failure),
            -32003 => Error::Unavailable(failure),
            -32008 => Error::DecryptionFailed(failure),
            -1 => Error::NoConnection(failure),
            -2 => Error::Broken(failure),
            -3 => Error::NoAnswer(failure),
            -4 => Error::BadAnswer(failure),
            -5 => Error::NoMemory(failure),
            -6 => Error::Misuse(failure),
            _ => Error::OtherError(failure),
        }
    }

    /// The members of the error.
    pub fn failure(&self) -> &Failure {
        #[rustfmt::skip]
        let (Error::InvalidParams(failure)
        | Error::NotFound(failure)
        | Error::Conflict(failure)
        | Error::Unavailable(failure)
        | Error::DecryptionFailed(failure)
        | Error::NoConnection(failure)
        | Error::Broken(failure)
        | Error::NoAnswer(failure)
        | Error::BadAnswer(failure)
        | Error::NoMemory(failure)
        | Error::Misuse(failure)
        | Error::OtherError(failure)) = self;
        failure
    }

    /// The name of the kind, such as `not_found` or `broken`.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::InvalidParams(_) => "invalid_params",
            Error::NotFound(_) => "not_found",
            Error::Conflict(_) => "conflict",
            Error::Unavailable(_) => "unavailable",
            Error::DecryptionFailed(_) => "decryption_failed",
            Error::NoConnection(_) => "no_connection",
            Error::Broken(_) => "broken",
            Error::NoAnswer(_) => "no_answer",
            Error::BadAnswer(_) => "bad_answer",
            Error::NoMemory(_) => "no_memory",
            Error::Misuse(_) => "misuse",
            Error::OtherError(_) => "other_error",
        }
    }
}

/// Codes and names, for the test that compares them with the C library's.
#[cfg(test)]
pub const CODES: &[(i32, &str)] = &[
    (-32602, "invalid_params"),
    (-32001, "not_found"),
    (-32002, "conflict"),
    (-32003, "unavailable"),
    (-32008, "decryption_failed"),
    (-1, "no_connection"),
    (-2, "broken"),
    (-3, "no_answer"),
    (-4, "bad_answer"),
    (-5, "no_memory"),
    (-6, "misuse"),
    (-7, "other_error"),
];
