//! Ids, times and documents.

use crate::error::{Error, Result};
use crate::sys;
use std::convert::TryFrom;
use std::ffi::{CStr, CString};
use std::fmt;
use std::ops::{Add, Sub};
use std::os::raw::c_char;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

// Ids
// -------------------------------------------------------------------------------------------------

/// A UUID, in any version. Its text is in lower case with hyphens; it is read in any case.
///
/// ```
/// let id: pierre_db::Uuid = "7F0F0A4E-1F60-4C7E-9C55-0D3F7C1B2A3D".parse()?;
/// assert_eq!(id.to_string(), "7f0f0a4e-1f60-4c7e-9c55-0d3f7c1b2a3d");
/// # Ok::<(), pierre_db::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// From its bytes, in the order of the text.
    pub const fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// The bytes, in the order of the text.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The text in ASCII.
    pub(crate) fn ascii(&self) -> [u8; 36] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = [b'-'; 36];
        let mut at = 0;
        for (number, byte) in self.0.iter().enumerate() {
            if matches!(number, 4 | 6 | 8 | 10) {
                at += 1;
            }
            out[at] = DIGITS[usize::from(byte >> 4)];
            out[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        out
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Uuid> {
        let mut bytes = [0; 16];
        let mut at = 0;
        if text.len() != 36 {
            return None;
        }
        for (number, byte) in bytes.iter_mut().enumerate() {
            if matches!(number, 4 | 6 | 8 | 10) {
                if text[at] != b'-' {
                    return None;
                }
                at += 1;
            }
            *byte = digit(text[at])? << 4 | digit(text[at + 1])?;
            at += 2;
        }
        Some(Uuid(bytes))
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl FromStr for Uuid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Uuid> {
        Uuid::parse(text.as_bytes()).ok_or_else(|| Error::invalid("", "the text is not a UUID"))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ascii = self.ascii();
        out.write_str(std::str::from_utf8(&ascii).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

// Times
// -------------------------------------------------------------------------------------------------

/// A time with the daemon's precision: microseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use pierre_db::Time;
/// let time: Time = "2025-06-19T17:44:49.123456789+02:00".parse()?;
/// assert_eq!(time.to_string(), "2025-06-19T15:44:49.123456Z");
/// # Ok::<(), pierre_db::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The current time of the system clock.
    pub fn now() -> Time {
        Time::from(SystemTime::now())
    }

    /// From microseconds since 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Time {
        Time(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// How long after the other time this one is; zero when it is not.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Beyond the range of a `Time` the result is its limit.
impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(micros(duration)))
    }
}

/// Beyond the range of a `Time` the result is its limit.
impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(micros(duration)))
    }
}

/// Parts of a microsecond are cut off.
impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Time {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Time(micros(after)),
            Err(before) => {
                let duration = before.duration();
                let rest = i64::from(duration.subsec_nanos() % 1000 != 0);
                Time((-micros(duration)).saturating_sub(rest))
            }
        }
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> SystemTime {
        let distance = Duration::from_micros(time.0.unsigned_abs());
        if time.0 < 0 {
            UNIX_EPOCH - distance
        } else {
            UNIX_EPOCH + distance
        }
    }
}

/// RFC 3339 with any offset. Digits beyond microseconds are cut off.
impl FromStr for Time {
    type Err = Error;

    fn from_str(text: &str) -> Result<Time> {
        let mut time = 0;
        match CString::new(text) {
            // SAFETY: both pointers are valid during the call.
            Ok(text) if unsafe { sys::pierre_time_parse(text.as_ptr(), &mut time) } => {
                Ok(Time(time))
            }
            _ => Err(Error::invalid("", "the text is not a time of RFC 3339")),
        }
    }
}

/// `2025-06-19T15:44:49.123456Z`; outside the years 0000 to 9999 the microseconds.
impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0 as c_char; sys::TIME_SIZE];
        // SAFETY: the library writes at most TIME_SIZE bytes, which end with NUL.
        let text = unsafe {
            if !sys::pierre_time_format(self.0, text.as_mut_ptr()) {
                return write!(out, "{}", self.0);
            }
            CStr::from_ptr(text.as_ptr())
        };
        out.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

// Documents
// -------------------------------------------------------------------------------------------------

macro_rules! json_text {
    ($kind:ident, $what:literal) => {
        impl $kind {
            /// The JSON text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The JSON text.
            pub fn into_string(self) -> String {
                self.0
            }

            #[doc = concat!("From the text of ", $what, ". The call that sends it checks it.")]
            pub fn new(text: impl Into<String>) -> $kind {
                $kind(text.into())
            }

            /// From a value of a JSON library whose `Display` is JSON, such as
            /// `serde_json::Value`.
            pub fn from_value(value: &impl fmt::Display) -> $kind {
                $kind(value.to_string())
            }

            /// As a value of a JSON library whose `FromStr` reads JSON, such as
            /// `serde_json::Value`.
            pub fn to_value<T: FromStr>(&self) -> std::result::Result<T, T::Err> {
                self.0.parse()
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl AsRef<str> for $kind {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

/// A JSON object, as text. Numbers and the order of members are those of the text.
///
/// With `serde_json`: `Document::from_value(&value)`, and `document.to_value::<Value>()`.
///
/// ```
/// let profile = pierre_db::Document::new(r#"{"age": 41}"#);
/// assert_eq!(profile.as_str(), r#"{"age": 41}"#);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Document(String);

/// Any JSON value, as text.
///
/// ```
/// assert_eq!(pierre_db::Json::from_value(&12).to_value::<u8>(), Ok(12));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(String);

json_text!(Document, "an object");
json_text!(Json, "a value");

impl From<Document> for Json {
    fn from(document: Document) -> Json {
        Json(document.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids() {
        let text = "00ff0a4e-1f60-4c7e-9c55-0d3f7c1b2a3d";
        let id: Uuid = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(format!("{id:?}"), text);
        assert_eq!(id.as_bytes()[..3], [0, 255, 10]);
        assert_eq!(Uuid::from_bytes(*id.as_bytes()), id);
        for wrong in [
            "",
            "00ff0a4e1f604c7e9c550d3f7c1b2a3d",
            "00ff0a4e-1f60-4c7e-9c55-0d3f7c1b2a3",
            "00ff0a4e-1f60-4c7e-9c55-0d3f7c1b2a3g",
            "00ff0a4e-1f60-4c7e-9c55+0d3f7c1b2a3d",
            "00ff0a4e-1f60-4c7e-9c55-0d3f7c1b2a3é",
        ] {
            assert!(wrong.parse::<Uuid>().is_err(), "{}", wrong);
        }
    }

    #[test]
    fn times_and_the_system_clock() {
        let before = UNIX_EPOCH - Duration::new(1, 1);
        assert_eq!(Time::from(before).as_micros(), -1_000_001);
        let time = Time::from_micros(-1_500_000);
        assert_eq!(Time::from(SystemTime::from(time)), time);
        assert_eq!(time + Duration::from_secs(2), Time::from_micros(500_000));
        assert_eq!((time + Duration::from_secs(2)).since(time), Duration::from_secs(2));
        assert_eq!(time.since(time + Duration::from_secs(2)), Duration::from_secs(0));
        assert_eq!(Time::from_micros(i64::MIN) - Duration::MAX, Time::from_micros(i64::MIN));
        assert!(Time::now() > Time::from_micros(1_700_000_000_000_000));
    }

    #[test]
    #[cfg_attr(miri, ignore)] // calls the C library
    fn times_as_text() {
        let time: Time = "2025-06-19T17:44:49.1234569+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2025-06-19T15:44:49.123456Z");
        assert_eq!(Time::from_micros(i64::MAX).to_string(), i64::MAX.to_string());
        for wrong in ["", "2025-06-19", "2025-06-19T17:44:49+02:00\0"] {
            assert!(wrong.parse::<Time>().is_err());
        }
    }

    #[test]
    fn values_of_other_libraries() {
        struct Value(String);
        impl fmt::Display for Value {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
        impl FromStr for Value {
            type Err = ();
            fn from_str(text: &str) -> std::result::Result<Value, ()> {
                Ok(Value(text.to_string()))
            }
        }
        let document = Document::from_value(&Value("{}".into()));
        assert_eq!(document, Document::new("{}"));
        assert_eq!(document.to_value::<Value>().map(|value| value.0), Ok("{}".to_string()));
        assert_eq!(Json::from(document).into_string(), "{}");
    }
}
