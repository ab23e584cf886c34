//! Reads what the C library returns. Every function here is called with pointers of one result,
//! which outlives the call.

#![allow(clippy::missing_safety_doc)]

use crate::call::Raw;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::sys::Count;
use crate::values::{Document, Json, Uuid};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::raw::c_char;

/// An answer object.
pub(crate) trait Row: Sized {
    /// Its C struct.
    type C;

    unsafe fn read(c: &Self::C) -> Result<Self>;
}

/// A type whose value is a text in C.
pub(crate) trait Text: Sized {
    unsafe fn of(text: *const c_char) -> Result<Self>;
}

pub(crate) unsafe fn borrowed<'a>(text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(Error::bad_answer("a text is missing"));
    }
    let text = CStr::from_ptr(text).to_bytes();
    std::str::from_utf8(text).map_err(|_| Error::bad_answer("a text is not valid UTF-8"))
}

pub(crate) unsafe fn string(text: *const c_char) -> Result<String> {
    borrowed(text).map(String::from)
}

pub(crate) unsafe fn secret(text: *const c_char) -> Result<Secret> {
    borrowed(text).map(Secret::from)
}

pub(crate) unsafe fn document(text: *const c_char) -> Result<Document> {
    borrowed(text).map(Document::new)
}

pub(crate) unsafe fn json(text: *const c_char) -> Result<Json> {
    borrowed(text).map(Json::new)
}

pub(crate) unsafe fn uuid(text: *const c_char) -> Result<Uuid> {
    Uuid::parse(borrowed(text)?.as_bytes())
        .ok_or_else(|| Error::bad_answer("an id of the answer is not a UUID"))
}

macro_rules! texts {
    ($($kind:ty: $read:ident),+) => {
        $(impl Text for $kind {
            unsafe fn of(text: *const c_char) -> Result<Self> {
                $read(text)
            }
        })+
    };
}

texts!(String: string, Secret: secret, Document: document, Json: json, Uuid: uuid);

pub(crate) fn unknown_word(what: &str, word: &str) -> Error {
    Error::bad_answer(format!("`{}` is not a {} that this version knows", word, what))
}

/// A value that may be missing.
pub(crate) unsafe fn optional<T>(
    text: *const c_char,
    read: unsafe fn(*const c_char) -> Result<T>,
) -> Result<Option<T>> {
    if text.is_null() {
        return Ok(None);
    }
    read(text).map(Some)
}

pub(crate) unsafe fn part<T: Row>(c: *const T::C) -> Result<T> {
    match c.as_ref() {
        Some(c) => T::read(c),
        None => Err(Error::bad_answer("a part of the answer is missing")),
    }
}

pub(crate) unsafe fn optional_part<T: Row>(c: *const T::C) -> Result<Option<T>> {
    c.as_ref().map(|c| T::read(c)).transpose()
}

pub(crate) unsafe fn texts(list: *const *const c_char, count: usize) -> Result<Vec<String>> {
    (0..count).map(|at| string(*list.add(at))).collect()
}

pub(crate) unsafe fn counts(list: *const Count, count: usize) -> Result<BTreeMap<String, i64>> {
    (0..count)
        .map(|at| {
            let one = &*list.add(at);
            Ok((string(one.name)?, one.count))
        })
        .collect()
}

// Whole results
// -------------------------------------------------------------------------------------------------

pub(crate) unsafe fn nothing(_: &Raw) -> Result<()> {
    Ok(())
}

pub(crate) unsafe fn integer(raw: &Raw) -> Result<i64> {
    Ok(raw.number)
}

pub(crate) unsafe fn number(raw: &Raw) -> Result<u32> {
    u32::try_from(raw.number).map_err(|_| Error::bad_answer("the result is out of range"))
}

pub(crate) unsafe fn row<T: Row>(raw: &Raw) -> Result<T> {
    part(raw.block as *const T::C)
}

pub(crate) unsafe fn optional_row<T: Row>(raw: &Raw) -> Result<Option<T>> {
    optional_part(raw.block as *const T::C)
}

pub(crate) unsafe fn rows<T: Row>(raw: &Raw) -> Result<Vec<T>> {
    let first = raw.block as *const T::C;
    (0..raw.count).map(|at| T::read(&*first.add(at))).collect()
}

pub(crate) unsafe fn text_of<T: Text>(raw: &Raw) -> Result<T> {
    T::of(raw.block as *const c_char)
}

pub(crate) unsafe fn optional_text_of<T: Text>(raw: &Raw) -> Result<Option<T>> {
    optional(raw.block as *const c_char, T::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{null, null_mut};

    fn c(text: &'static str) -> *const c_char {
        assert!(text.ends_with('\0'));
        text.as_ptr() as *const c_char
    }

    fn raw(block: *const c_char) -> Raw {
        Raw { block: block as *mut _, count: 0, number: 0, free: None }
    }

    #[test]
    fn texts_and_what_is_not_one() {
        unsafe {
            assert_eq!(string(c("näme\0")).unwrap(), "näme");
            assert_eq!(secret(c("s\0")).unwrap(), Secret::from("s"));
            assert!(matches!(string(null()), Err(Error::BadAnswer(_))));
            assert!(matches!(uuid(c("no\0")), Err(Error::BadAnswer(_))));
            assert_eq!(optional(null(), string).unwrap(), None);
            let bytes = [0xff_u8, 0];
            assert!(string(bytes.as_ptr() as *const c_char).is_err());
            assert_eq!(text_of::<Json>(&raw(c("[1]\0"))).unwrap().as_str(), "[1]");
            assert_eq!(optional_text_of::<Document>(&raw(null())).unwrap(), None);
        }
    }

    #[test]
    fn lists_and_counts() {
        let list = [c("a\0"), c("b\0")];
        let numbers = [Count { name: c("x\0"), count: 4 }, Count { name: c("y\0"), count: -1 }];
        unsafe {
            assert_eq!(texts(list.as_ptr(), 2).unwrap(), ["a", "b"]);
            assert!(texts(null(), 0).unwrap().is_empty());
            let map = counts(numbers.as_ptr(), 2).unwrap();
            assert_eq!(map.into_iter().collect::<Vec<_>>(), [("x".into(), 4), ("y".into(), -1)]);
        }
    }

    #[test]
    fn rows_of_a_struct() {
        struct Pair(i64, String);
        #[repr(C)]
        struct CPair(i64, *const c_char);
        impl Row for Pair {
            type C = CPair;
            unsafe fn read(c: &CPair) -> Result<Self> {
                Ok(Pair(c.0, string(c.1)?))
            }
        }
        let mut pairs = [CPair(1, c("one\0")), CPair(2, c("two\0"))];
        let block = pairs.as_mut_ptr() as *mut _;
        let some = Raw { block, count: 2, number: 0, free: None };
        let none = Raw { block: null_mut(), count: 0, number: -1, free: None };
        unsafe {
            let read: Vec<(i64, String)> =
                rows::<Pair>(&some).unwrap().into_iter().map(|pair| (pair.0, pair.1)).collect();
            assert_eq!(read, [(1, "one".to_string()), (2, "two".to_string())]);
            assert_eq!(row::<Pair>(&some).unwrap().1, "one");
            assert!(rows::<Pair>(&none).unwrap().is_empty());
            assert!(optional_row::<Pair>(&none).unwrap().is_none());
            assert!(row::<Pair>(&none).is_err());
            assert!(number(&none).is_err());
            assert_eq!(integer(&none).unwrap(), -1);
        }
    }
}
