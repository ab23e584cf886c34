//! Handles a request with an API key as Pierre's server does, in Rust and through the library's C
//! interface: finds the key, reads its owner's Strava token, and records the usage. Needs only the
//! standard library.
//!
//!     rustc lookup.rs -l pierre-db && ./lookup PREFIX HASH
//!
//! A multi-threaded server gives each thread its own `Db`, which is not `Sync`.
//!
//! Requires Rust 1.63, the version of Debian 12.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::os::raw::{c_char, c_int};
use std::ptr::{null, null_mut, NonNull};

/// The declarations of pierre-db.h and pierre-db-calls.h that are used here.
mod ffi {
    use std::os::raw::{c_char, c_int};

    #[repr(C)]
    pub struct Pierre {
        _private: [u8; 0],
    }

    #[repr(C)]
    pub struct Error {
        pub kind: c_int,
        pub code: c_int,
        pub outcome: c_int,
        pub retryable: bool,
        pub reference: u64,
        pub message: [c_char; 320],
        pub path: [c_char; 160],
        pub field: [c_char; 32],
    }

    #[repr(C)]
    pub struct ApiKey {
        pub id: *const c_char,
        pub user_id: *const c_char,
        pub name: *const c_char,
        pub key_prefix: *const c_char,
        pub key_hash: *const c_char,
        pub description: *const c_char,
        pub tier: *const c_char,
        pub rate_limit_requests: u32,
        pub rate_limit_window: u32,
        pub is_active: bool,
        pub has_last_used_at: bool,
        pub last_used_at: i64,
        pub has_expires_at: bool,
        pub expires_at: i64,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[repr(C)]
    pub struct Token {
        pub access_token: *const c_char,
        pub refresh_token: *const c_char,
        pub expires_at: i64,
        pub scope: *const c_char,
    }

    #[repr(C)]
    pub struct ApiKeyUsageInput {
        pub api_key_id: *const c_char,
        pub has_timestamp: bool,
        pub timestamp: i64,
        pub tool_name: *const c_char,
        pub has_response_time_ms: bool,
        pub response_time_ms: u32,
        pub status_code: u16,
        pub error_message: *const c_char,
        pub has_request_size_bytes: bool,
        pub request_size_bytes: u32,
        pub has_response_size_bytes: bool,
        pub response_size_bytes: u32,
        pub ip_address: *const c_char,
        pub user_agent: *const c_char,
    }

    #[link(name = "pierre-db")]
    extern "C" {
        pub fn pierre_new(socket: *const c_char) -> *mut Pierre;
        pub fn pierre_free(db: *mut Pierre);
        pub fn pierre_kind_name(kind: c_int) -> *const c_char;
        pub fn pierre_get_api_key_by_prefix(db: *mut Pierre, prefix: *const c_char, hash: *const c_char,
                                            out: *mut *mut ApiKey, failure: *mut Error) -> c_int;
        pub fn pierre_api_key_free(key: *mut ApiKey);
        pub fn pierre_get_strava_token(db: *mut Pierre, user_id: *const c_char, out: *mut *mut Token,
                                       failure: *mut Error) -> c_int;
        pub fn pierre_token_free(token: *mut Token);
        pub fn pierre_record_api_key_usage(db: *mut Pierre, usage: *const ApiKeyUsageInput, failure: *mut Error) -> c_int;
        pub fn pierre_get_api_key_current_usage(db: *mut Pierre, api_key_id: *const c_char, out: *mut u32,
                                                failure: *mut Error) -> c_int;
    }
}

/// The message of a failed call.
#[derive(Debug)]
struct Failure(String);

/// Copies a text of the library, which is never NULL here and always UTF-8.
fn text(pointer: *const c_char) -> String {
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

fn checked(call: impl FnOnce(*mut ffi::Error) -> c_int) -> Result<(), Failure> {
    let mut error = std::mem::MaybeUninit::<ffi::Error>::uninit();
    if call(error.as_mut_ptr()) == 0 {
        return Ok(());
    }
    let error = unsafe { error.assume_init() }; // written by every call that fails
    let kind = text(unsafe { ffi::pierre_kind_name(error.kind) });
    Err(Failure(format!("{kind}: {}", text(error.message.as_ptr()))))
}

/// The data of a key that the server needs.
struct Key {
    id: String,
    user_id: String,
    name: String,
    tier: String,
    rate_limit_requests: u32,
}

struct Token {
    access_token: String,
    scope: String,
}

/// A connection. Only one thread at a time may use it: it is `Send`, but not `Sync`.
struct Db {
    handle: NonNull<ffi::Pierre>,
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

unsafe impl Send for Db {}

impl Db {
    /// Uses the default socket.
    fn new() -> Option<Db> {
        let handle = NonNull::new(unsafe { ffi::pierre_new(null()) })?;
        Some(Db { handle, _not_sync: PhantomData })
    }

    fn key(&self, prefix: &CStr, hash: &CStr) -> Result<Option<Key>, Failure> {
        let mut found = null_mut();
        checked(|error| unsafe {
            ffi::pierre_get_api_key_by_prefix(self.handle.as_ptr(), prefix.as_ptr(), hash.as_ptr(), &mut found, error)
        })?;
        if found.is_null() {
            return Ok(None);
        }
        let row = unsafe { &*found };
        let key = Key {
            id: text(row.id),
            user_id: text(row.user_id),
            name: text(row.name),
            tier: text(row.tier),
            rate_limit_requests: row.rate_limit_requests,
        };
        unsafe { ffi::pierre_api_key_free(found) };
        Ok(Some(key))
    }

    fn strava_token(&self, user_id: &str) -> Result<Option<Token>, Failure> {
        let user_id = CString::new(user_id).expect("ids hold no NUL");
        let mut found = null_mut();
        checked(|error| unsafe {
            ffi::pierre_get_strava_token(self.handle.as_ptr(), user_id.as_ptr(), &mut found, error)
        })?;
        if found.is_null() {
            return Ok(None);
        }
        let row = unsafe { &*found };
        let token = Token { access_token: text(row.access_token), scope: text(row.scope) };
        unsafe { ffi::pierre_token_free(found) };
        Ok(Some(token))
    }

    fn record_usage(&self, api_key_id: &str, tool: &str, status: u16, milliseconds: u32) -> Result<(), Failure> {
        let api_key_id = CString::new(api_key_id).expect("ids hold no NUL");
        let tool = CString::new(tool).expect("names of tools hold no NUL");
        let mut usage: ffi::ApiKeyUsageInput = unsafe { std::mem::zeroed() }; // omits all optional members
        usage.api_key_id = api_key_id.as_ptr();
        usage.tool_name = tool.as_ptr();
        usage.status_code = status;
        usage.has_response_time_ms = true;
        usage.response_time_ms = milliseconds;
        checked(|error| unsafe { ffi::pierre_record_api_key_usage(self.handle.as_ptr(), &usage, error) })
    }

    fn usage_this_month(&self, api_key_id: &str) -> Result<u32, Failure> {
        let api_key_id = CString::new(api_key_id).expect("ids hold no NUL");
        let mut used = 0;
        checked(|error| unsafe {
            ffi::pierre_get_api_key_current_usage(self.handle.as_ptr(), api_key_id.as_ptr(), &mut used, error)
        })?;
        Ok(used)
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        unsafe { ffi::pierre_free(self.handle.as_ptr()) }
    }
}

fn look_up(prefix: &CStr, hash: &CStr) -> Result<i32, Failure> {
    let db = Db::new().ok_or_else(|| Failure("out of memory".into()))?;
    let key = match db.key(prefix, hash)? {
        Some(key) => key,
        None => {
            println!("no active key has this prefix and hash");
            return Ok(2);
        }
    };
    println!("key {} of user {}: {}, tier {}", key.id, key.user_id, key.name, key.tier);
    match db.strava_token(&key.user_id)? {
        Some(token) => println!("Strava: {} characters of token, scope {}", token.access_token.len(), token.scope),
        None => println!("Strava: not connected"),
    }
    db.record_usage(&key.id, "get_activities", 200, 12)?;
    println!("requests this month: {} of {}", db.usage_this_month(&key.id)?, key.rate_limit_requests);
    Ok(0)
}

fn main() {
    let arguments: Vec<CString> = std::env::args().skip(1).filter_map(|text| CString::new(text).ok()).collect();
    let code = match &arguments[..] {
        [prefix, hash] => look_up(prefix, hash).unwrap_or_else(|Failure(message)| {
            eprintln!("{message}");
            1
        }),
        _ => {
            eprintln!("usage: lookup PREFIX HASH");
            64
        }
    };
    std::process::exit(code);
}
