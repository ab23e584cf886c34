//! Turns arguments into C: texts with a NUL at their end, in memory that is wiped.

use crate::error::{Error, Result};
use crate::secret::zero;
use crate::values::Uuid;
use std::cell::{Cell, RefCell};
use std::os::raw::c_char;
use std::ptr::null;

const BLOCK: usize = 512;

/// The texts of one call. Pointers to them are valid as long as it lives.
pub(crate) struct Args {
    // A block never grows, so its bytes stay where they are.
    blocks: RefCell<Vec<Vec<u8>>>,
    lists: RefCell<Vec<Vec<*const c_char>>>,
    /// The parameter object that is being turned into C, and its place in a list.
    within: Cell<(&'static str, Option<usize>)>,
    refusal: RefCell<Option<Error>>,
}

impl Args {
    pub(crate) fn new() -> Args {
        Args {
            blocks: RefCell::new(Vec::new()),
            lists: RefCell::new(Vec::new()),
            within: Cell::new(("", None)),
            refusal: RefCell::new(None),
        }
    }

    fn keep(&self, bytes: &[u8]) -> *const c_char {
        let mut blocks = self.blocks.borrow_mut();
        let needed = bytes.len() + 1;
        let free = blocks.last().map_or(0, |block| block.capacity() - block.len());
        if free < needed {
            blocks.push(Vec::with_capacity(needed.max(BLOCK)));
        }
        let block = blocks.last_mut().expect("a block was added");
        let start = block.len();
        // SAFETY: the block has room for these bytes behind its length. Writing through the pointer
        // of its memory, not through a slice, leaves earlier pointers valid.
        unsafe {
            let at = block.as_mut_ptr().add(start);
            at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            at.add(bytes.len()).write(0);
            block.set_len(start + needed);
            at as *const c_char
        }
    }

    fn path(&self, name: &str) -> String {
        match self.within.get() {
            ("", _) => name.to_string(),
            (object, None) => format!("{}.{}", object, name),
            (list, Some(place)) => format!("{}[{}].{}", list, place, name),
        }
    }

    pub(crate) fn text(&self, name: &str, text: &str) -> *const c_char {
        if text.as_bytes().contains(&0) {
            let error = Error::invalid(&self.path(name), "contains U+0000");
            self.refusal.borrow_mut().get_or_insert(error);
            return null();
        }
        self.keep(text.as_bytes())
    }

    pub(crate) fn optional(&self, name: &str, text: Option<&str>) -> *const c_char {
        text.map_or(null(), |text| self.text(name, text))
    }

    pub(crate) fn uuid(&self, id: Uuid) -> *const c_char {
        self.keep(&id.ascii())
    }

    pub(crate) fn optional_uuid(&self, id: Option<Uuid>) -> *const c_char {
        id.map_or(null(), |id| self.uuid(id))
    }

    /// An array of texts and its length; None is no array.
    pub(crate) fn texts<T: AsRef<str>>(
        &self,
        name: &str,
        texts: Option<&[T]>,
    ) -> (*const *const c_char, usize) {
        let texts = match texts {
            Some(texts) => texts,
            None => return (null(), 0),
        };
        let mut list: Vec<*const c_char> =
            texts.iter().map(|text| self.text(name, text.as_ref())).collect();
        list.push(null()); // an empty list is not a missing one
        let pointer = list.as_ptr();
        self.lists.borrow_mut().push(list);
        (pointer, texts.len())
    }

    /// Turns a parameter object into C; its name is part of the paths of errors.
    pub(crate) fn within<T>(&self, object: &'static str, turn: impl FnOnce() -> T) -> T {
        self.within.set((object, None));
        let turned = turn();
        self.within.set(("", None));
        turned
    }

    /// The same for each object of a list.
    pub(crate) fn each<T, C>(
        &self,
        list: &'static str,
        objects: &[T],
        turn: impl Fn(&T) -> C,
    ) -> Vec<C> {
        let turned = objects
            .iter()
            .enumerate()
            .map(|(place, object)| {
                self.within.set((list, Some(place)));
                turn(object)
            })
            .collect();
        self.within.set(("", None));
        turned
    }

    /// The first text that C cannot take.
    pub(crate) fn check(&self) -> Result<()> {
        self.refusal.borrow_mut().take().map_or(Ok(()), Err)
    }
}

impl Drop for Args {
    fn drop(&mut self) {
        for block in self.blocks.get_mut() {
            // SAFETY: the block owns its bytes; nothing was written behind them.
            unsafe { zero(block.as_mut_ptr(), block.len()) }
        }
    }
}

/// A pointer to an optional number, which must outlive it.
pub(crate) fn pointer<T>(value: &Option<T>) -> *const T {
    value.as_ref().map_or(null(), |value| value as *const T)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn read(text: *const c_char) -> String {
        unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_string()
    }

    #[test]
    fn texts_stay_where_they_are() {
        let args = Args::new();
        let long = "x".repeat(700);
        let texts: Vec<String> = (0..200)
            .map(|i| if i % 50 == 7 { long.clone() } else { format!("text {}", i) })
            .collect();
        let pointers: Vec<_> = texts.iter().map(|text| args.text("name", text)).collect();
        for (text, pointer) in texts.iter().zip(pointers) {
            assert_eq!(&read(pointer), text);
        }
        assert!(args.check().is_ok());
    }

    #[test]
    fn lists() {
        let args = Args::new();
        let (list, count) = args.texts("scopes", Some(&["a", "bc"]));
        assert_eq!(count, 2);
        assert_eq!(unsafe { (read(*list), read(*list.add(1))) }, ("a".into(), "bc".into()));
        let (empty, count) = args.texts::<&str>("scopes", Some(&[]));
        assert!(!empty.is_null() && count == 0);
        assert!(args.texts::<&str>("scopes", None).0.is_null());
    }

    #[test]
    fn a_nul_is_refused_with_its_path() {
        let args = Args::new();
        let given = args.each("usages", &["good", "b\0d"], |text| args.text("tool_name", text));
        assert_eq!((given[0].is_null(), given[1].is_null()), (false, true));
        let error = args.check().unwrap_err();
        assert_eq!(error.failure().path.as_deref(), Some("usages[1].tool_name"));
        assert!(args.within("user", || args.text("email", "\0")).is_null());
        assert_eq!(args.check().unwrap_err().failure().path.as_deref(), Some("user.email"));
        assert!(args.optional("scope", Some("\0")).is_null());
        assert_eq!(args.check().unwrap_err().failure().path.as_deref(), Some("scope"));
    }

    #[test]
    fn numbers() {
        let (some, none) = (Some(7_u32), None::<u32>);
        assert_eq!(unsafe { *pointer(&some) }, 7);
        assert!(pointer(&none).is_null());
        let args = Args::new();
        let id = Uuid::from_bytes([0x1f; 16]);
        assert_eq!(read(args.uuid(id)), id.to_string());
        assert!(args.optional_uuid(None).is_null());
    }
}
