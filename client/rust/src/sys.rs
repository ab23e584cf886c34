//! The C library's own functions: pierre-db.h. Those of the methods are generated.

use std::os::raw::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

/// `struct pierre`: a handle.
#[repr(C)]
pub struct Pierre {
    _private: [u8; 0],
}

/// `struct pierre_answer`: a finished call within its callback, or of a transaction.
#[repr(C)]
pub struct Answer {
    _private: [u8; 0],
}

/// `struct pierre_transaction`.
#[repr(C)]
pub struct Transaction {
    _private: [u8; 0],
}

/// `struct pierre_error`.
#[repr(C)]
pub struct Error {
    pub kind: c_int,
    pub code: c_int,
    pub outcome: c_int,
    pub retryable: bool,
    pub r#ref: u64,
    pub message: [c_char; 320],
    pub path: [c_char; 160],
    pub field: [c_char; 32],
    pub index: c_int,
}

/// `struct pierre_count`.
#[repr(C)]
pub struct Count {
    pub name: *const c_char,
    pub count: i64,
}

/// `pierre_done`.
pub type Done = unsafe extern "C" fn(*mut Pierre, *const Answer, *mut c_void);

pub const OUTCOME_UNKNOWN: c_int = 1;
pub const EVENT_READ: c_uint = 1;
pub const EVENT_WRITE: c_uint = 2;
pub const TIME_SIZE: usize = 28;

extern "C" {
    pub fn pierre_new(socket: *const c_char) -> *mut Pierre;
    pub fn pierre_free(db: *mut Pierre);
    pub fn pierre_set_timeouts(db: *mut Pierre, connect_ms: c_uint, call_ms: c_uint);
    pub fn pierre_set_limits(db: *mut Pierre, request: usize, answer: usize);
    pub fn pierre_set_repeats(db: *mut Pierre, repeats: bool);
    pub fn pierre_set_key(db: *mut Pierre, key: *const c_char, failure: *mut Error) -> c_int;
    pub fn pierre_call_async(
        db: *mut Pierre,
        method: *const c_char,
        params: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_answer_json(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_text_free(text: *mut c_void);
    pub fn pierre_cancel(db: *mut Pierre, call: i64) -> bool;
    pub fn pierre_pending(db: *const Pierre) -> usize;
    pub fn pierre_fd(db: *const Pierre) -> c_int;
    pub fn pierre_events(db: *const Pierre) -> c_uint;
    pub fn pierre_timeout_ms(db: *const Pierre) -> c_int;
    pub fn pierre_process(db: *mut Pierre);
    pub fn pierre_transaction_new() -> *mut Transaction;
    pub fn pierre_transaction_free(transaction: *mut Transaction);
    pub fn pierre_transaction_count(transaction: *const Transaction) -> c_int;
    pub fn pierre_transaction_run_async(
        db: *mut Pierre,
        transaction: *const Transaction,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_transaction_result(
        transaction: *mut Transaction,
        answer: *const Answer,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_transaction_answer(
        transaction: *const Transaction,
        index: c_int,
    ) -> *const Answer;
    pub fn pierre_time_format(time: i64, text: *mut c_char) -> bool;
    pub fn pierre_time_parse(text: *const c_char, time: *mut i64) -> bool;
    pub fn pierre_version() -> *const c_char;
}

/// `struct pollfd` of the C library.
#[repr(C)]
pub struct PollFd {
    pub fd: c_int,
    pub events: i16,
    pub revents: i16,
}

/// `struct timespec` of the C library.
#[repr(C)]
pub struct TimeSpec {
    pub seconds: c_long,
    pub nanoseconds: c_long,
}

pub const POLLIN: i16 = 1;
pub const POLLOUT: i16 = 4;
pub const EFD_CLOEXEC: c_int = 0o2000000;
pub const EFD_NONBLOCK: c_int = 0o4000;
pub const PR_SET_PDEATHSIG: c_int = 1;
pub const SIGKILL: c_int = 9;

extern "C" {
    pub fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
    pub fn ppoll(
        fds: *mut PollFd,
        count: c_ulong,
        limit: *const TimeSpec,
        signals: *const c_void,
    ) -> c_int;
    pub fn eventfd(value: c_uint, flags: c_int) -> c_int;
    pub fn explicit_bzero(start: *mut c_void, size: usize);
    pub fn prctl(option: c_int, ...) -> c_int;
}

/// Adds the layout of a struct, and of its members, in the words of tests/golden/abi.txt.
#[cfg(test)]
#[macro_export]
#[doc(hidden)]
macro_rules! layout {
    ($all:expr, $kind:ident, $name:expr, $($member:ident),+ $(,)?) => {{
        fn size_of_member<T>(_: *const T) -> usize {
            std::mem::size_of::<T>()
        }
        $all.push(format!("struct {} {}", $name, std::mem::size_of::<$kind>()));
        let place = std::mem::MaybeUninit::<$kind>::uninit();
        let base = place.as_ptr();
        $(
            // SAFETY: only addresses within `place` are taken.
            let member = unsafe { std::ptr::addr_of!((*base).$member) };
            $all.push(format!(
                "struct {}.{} {} {}",
                $name,
                stringify!($member).trim_start_matches("r#"),
                member as usize - base as usize,
                size_of_member(member),
            ));
        )+
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layouts() -> Vec<String> {
        let mut all = Vec::new();
        crate::layout!(
            all,
            Error,
            "pierre_error",
            kind,
            code,
            outcome,
            retryable,
            r#ref,
            message,
            path,
            field,
            index
        );
        crate::layout!(all, Count, "pierre_count", name, count);
        crate::generated::sys::layouts(&mut all);
        all
    }

    /// Every struct of the library is here with the layout that its C compiler gives it.
    #[test]
    fn structs_have_the_layout_of_the_library() {
        let golden = include_str!("../../../tests/golden/abi.txt");
        let mut wanted: Vec<&str> =
            golden.lines().filter(|line| line.starts_with("struct ")).collect();
        let ours = layouts();
        let mut found: Vec<&str> = ours.iter().map(String::as_str).collect();
        wanted.sort_unstable();
        found.sort_unstable();
        assert!(wanted.len() > 100);
        assert_eq!(found, wanted);
    }

    #[test]
    fn kinds_have_the_codes_of_the_library() {
        let golden = include_str!("../../../tests/golden/abi.txt");
        let mut wanted: Vec<String> = golden
            .lines()
            .filter_map(|line| {
                line.strip_prefix("enum pierre_kind.PIERRE_")
                    .or_else(|| line.strip_prefix("enum pierre_daemon_kind.PIERRE_"))
            })
            .filter(|line| *line != "OK 0")
            .map(str::to_lowercase)
            .collect();
        let mut found: Vec<String> = crate::generated::errors::CODES
            .iter()
            .map(|(code, name)| format!("{} {}", name, code))
            .collect();
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted);
    }
}
