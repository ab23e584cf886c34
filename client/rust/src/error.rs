//! Errors.

pub use crate::generated::errors::Error;
use crate::sys;
use std::fmt;
use std::mem::MaybeUninit;
use std::os::raw::c_char;

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// What a failed write may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing was changed.
    None,
    /// The change may or may not have been made.
    Unknown,
}

/// The members of an error. None of them contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What is wrong, for people.
    pub message: String,
    /// What the failed write may have done.
    pub outcome: Outcome,
    /// Whether a retry may succeed.
    pub retryable: bool,
    /// The parameter, such as `user.email`: of [`Error::InvalidParams`], and of some others.
    pub path: Option<String>,
    /// The unique value that is taken, such as `email`: of [`Error::Conflict`].
    pub field: Option<String>,
    /// The reference number in the daemon's log: of [`Error::Internal`].
    pub reference: Option<u64>,
    /// The call of a transaction that failed, from 0.
    pub index: Option<usize>,
    /// The daemon's JSON-RPC code; 0 for the library's own errors.
    pub code: i32,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            outcome: Outcome::None,
            retryable: false,
            path: None,
            field: None,
            reference: None,
            index: None,
            code: 0,
        }
    }
}

impl Error {
    /// What a failed write may have done.
    pub fn outcome(&self) -> Outcome {
        self.failure().outcome
    }

    /// Whether a retry may succeed.
    pub fn is_retryable(&self) -> bool {
        self.failure().retryable
    }

    pub(crate) fn misuse(message: impl Into<String>) -> Error {
        Error::Misuse(Box::new(Failure::new(message)))
    }

    pub(crate) fn bad_answer(message: impl Into<String>) -> Error {
        Error::BadAnswer(Box::new(Failure::new(message)))
    }

    pub(crate) fn no_connection(message: impl Into<String>) -> Error {
        Error::NoConnection(Box::new(Failure::new(message)))
    }

    pub(crate) fn invalid(path: &str, what: &str) -> Error {
        let mut failure = Failure::new(if path.is_empty() {
            what.to_string()
        } else {
            format!("{} {}", path, what)
        });
        failure.path = Some(path.to_string()).filter(|path| !path.is_empty());
        Error::InvalidParams(Box::new(failure))
    }

    /// The error that the C library has filled.
    ///
    /// # Safety
    /// A function of the library has failed with it.
    pub(crate) unsafe fn from_c(error: &MaybeUninit<sys::Error>) -> Error {
        let error = &*error.as_ptr();
        Error::of(
            error.kind,
            Failure {
                message: text(&error.message),
                outcome: if error.outcome == sys::OUTCOME_UNKNOWN {
                    Outcome::Unknown
                } else {
                    Outcome::None
                },
                retryable: error.retryable,
                path: Some(text(&error.path)).filter(|path| !path.is_empty()),
                field: Some(text(&error.field)).filter(|field| !field.is_empty()),
                reference: Some(error.r#ref).filter(|reference| *reference != 0),
                index: usize::try_from(error.index).ok(),
                code: error.code,
            },
        )
    }
}

/// A text in an array, up to its NUL.
fn text(array: &[c_char]) -> String {
    let bytes: Vec<u8> =
        array.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.kind(), self.failure().message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_from_the_library() {
        // SAFETY: all members are valid when they are zero.
        let mut c: MaybeUninit<sys::Error> = MaybeUninit::zeroed();
        let filled = unsafe { &mut *c.as_mut_ptr() };
        filled.kind = -32002;
        filled.code = -32002;
        filled.outcome = sys::OUTCOME_UNKNOWN;
        filled.index = -1;
        for (at, byte) in b"taken".iter().enumerate() {
            filled.message[at] = *byte as c_char;
        }
        filled.field[0] = b'f' as c_char;
        let error = unsafe { Error::from_c(&c) };
        assert_eq!(error.to_string(), "conflict: taken");
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(error.failure().field.as_deref(), Some("f"));
        assert_eq!(error.failure().path, None);
        assert_eq!(error.failure().index, None);
        assert!(matches!(error, Error::Conflict(_)));
    }

    #[test]
    fn an_unknown_code_is_another_error() {
        assert!(matches!(Error::of(-1234, Failure::new("new")), Error::OtherError(_)));
    }
}
