// Made by protocol/generate.py from the catalog. Do not edit.

//! The kinds of errors.

use crate::error::Failure;

/// Why a call failed: a variant for each kind. [`Failure`] has the members of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The line is not a JSON text the daemon accepts.
    ParseError(Box<Failure>),
    /// JSON, but not a valid request object.
    InvalidRequest(Box<Failure>),
    /// The method does not exist.
    MethodNotFound(Box<Failure>),
    /// Missing, unknown or ill-typed parameter.
    InvalidParams(Box<Failure>),
    /// Internal error; see `data.ref` in the log.
    Internal(Box<Failure>),
    /// The referenced row does not exist.
    NotFound(Box<Failure>),
    /// Duplicate unique key, or unexpected version; see `data.field`.
    Conflict(Box<Failure>),
    /// The database is temporarily unavailable.
    Unavailable(Box<Failure>),
    /// The call timed out; see `data.outcome`.
    Timeout(Box<Failure>),
    /// This peer may not call this method.
    PermissionDenied(Box<Failure>),
    /// Too many connections.
    Overloaded(Box<Failure>),
    /// The line or the answer exceeds its limit.
    TooLarge(Box<Failure>),
    /// A stored token cannot be decrypted.
    DecryptionFailed(Box<Failure>),
    /// Disk full, I/O error, or a database that is read-only, corrupt or outdated.
    Storage(Box<Failure>),
    /// The daemon is shutting down.
    ShuttingDown(Box<Failure>),
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
            -32700 => Error::ParseError(failure),
            -32600 => Error::InvalidRequest(failure),
            -32601 => Error::MethodNotFound(failure),
            -32602 => Error::InvalidParams(failure),
            -32603 => Error::Internal(failure),
            -32001 => Error::NotFound(failure),
            -32002 => Error::Conflict(failure),
            -32003 => Error::Unavailable(failure),
            -32004 => Error::Timeout(failure),
            -32005 => Error::PermissionDenied(failure),
            -32006 => Error::Overloaded(failure),
            -32007 => Error::TooLarge(failure),
            -32008 => Error::DecryptionFailed(failure),
            -32009 => Error::Storage(failure),
            -32010 => Error::ShuttingDown(failure),
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
        let (Error::ParseError(failure)
        | Error::InvalidRequest(failure)
        | Error::MethodNotFound(failure)
        | Error::InvalidParams(failure)
        | Error::Internal(failure)
        | Error::NotFound(failure)
        | Error::Conflict(failure)
        | Error::Unavailable(failure)
        | Error::Timeout(failure)
        | Error::PermissionDenied(failure)
        | Error::Overloaded(failure)
        | Error::TooLarge(failure)
        | Error::DecryptionFailed(failure)
        | Error::Storage(failure)
        | Error::ShuttingDown(failure)
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
            Error::ParseError(_) => "parse_error",
            Error::InvalidRequest(_) => "invalid_request",
            Error::MethodNotFound(_) => "method_not_found",
            Error::InvalidParams(_) => "invalid_params",
            Error::Internal(_) => "internal",
            Error::NotFound(_) => "not_found",
            Error::Conflict(_) => "conflict",
            Error::Unavailable(_) => "unavailable",
            Error::Timeout(_) => "timeout",
            Error::PermissionDenied(_) => "permission_denied",
            Error::Overloaded(_) => "overloaded",
            Error::TooLarge(_) => "too_large",
            Error::DecryptionFailed(_) => "decryption_failed",
            Error::Storage(_) => "storage",
            Error::ShuttingDown(_) => "shutting_down",
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
    (-32700, "parse_error"),
    (-32600, "invalid_request"),
    (-32601, "method_not_found"),
    (-32602, "invalid_params"),
    (-32603, "internal"),
    (-32001, "not_found"),
    (-32002, "conflict"),
    (-32003, "unavailable"),
    (-32004, "timeout"),
    (-32005, "permission_denied"),
    (-32006, "overloaded"),
    (-32007, "too_large"),
    (-32008, "decryption_failed"),
    (-32009, "storage"),
    (-32010, "shutting_down"),
    (-1, "no_connection"),
    (-2, "broken"),
    (-3, "no_answer"),
    (-4, "bad_answer"),
    (-5, "no_memory"),
    (-6, "misuse"),
    (-7, "other_error"),
];
