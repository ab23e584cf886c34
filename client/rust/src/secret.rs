//! Texts that are wiped when they are dropped.

use std::fmt;
#[cfg(not(miri))]
use std::os::raw::c_void;

/// A secret text: a password, a token, a hash. Its memory is wiped when it is dropped, and neither
/// [`Debug`] nor an error shows it.
///
/// ```
/// let token = pierre_db::Secret::from(String::from("a token"));
/// assert_eq!(token.expose(), "a token");
/// assert_eq!(format!("{token:?}"), "Secret(…)");
/// ```
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The text.
    pub fn expose(&self) -> &str {
        // SAFETY: the bytes are those of a String or a str.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }
}

/// Takes the memory of the text over.
impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text.into_bytes())
    }
}

/// Copies the text; the caller's own stays as it is.
impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// Compares in a time that depends on the lengths alone.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |all, (a, b)| all | (a ^ b));
        self.0.len() == other.0.len() && differences == 0
    }
}

impl Eq for Secret {}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites the whole memory of a vector, which is empty afterwards.
pub(crate) fn wipe(bytes: &mut Vec<u8>) {
    bytes.clear();
    // SAFETY: the vector owns `capacity` bytes from its start.
    unsafe { zero(bytes.as_mut_ptr(), bytes.capacity()) }
}

/// Overwrites memory that is not used any more. The compiler keeps that.
///
/// # Safety
/// The memory belongs to the caller.
#[cfg(not(miri))]
pub(crate) unsafe fn zero(start: *mut u8, size: usize) {
    crate::sys::explicit_bzero(start as *mut c_void, size);
}

#[cfg(miri)]
pub(crate) unsafe fn zero(start: *mut u8, size: usize) {
    start.write_bytes(0, size);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_shown() {
        assert!(!format!("{:?}", Secret::from("xyzzy")).contains("xyzzy"));
    }

    #[test]
    fn is_equal_to_the_same_text() {
        assert_eq!(Secret::from("one"), Secret::from(String::from("one")));
        assert_ne!(Secret::from("one"), Secret::from("onE"));
        assert_ne!(Secret::from("one"), Secret::from("on"));
        assert_eq!(Secret::default(), Secret::from(""));
    }

    #[test]
    fn wipes_all_that_it_owned() {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(b"a longer text that was there before");
        bytes.truncate(3);
        let (start, capacity) = (bytes.as_ptr(), bytes.capacity());
        wipe(&mut bytes);
        // SAFETY: the vector still owns these bytes, and each was written.
        let left = unsafe { std::slice::from_raw_parts(start, capacity) };
        assert!(left.iter().all(|byte| *byte == 0));
    }
}
