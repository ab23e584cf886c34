//! The client: a handle of the library, which a thread of its own drives.

use crate::args::Args;
use crate::call::{done, send_by_name, At, Call, Method, Sent, Taking, To, JSON};
use crate::driver::{self, Wakeup};
use crate::error::{Error, Result};
use crate::private::Daemon;
use crate::read;
use crate::sys;
use crate::transaction::Transaction;
use crate::values::Json;
use crate::wake;
use std::ffi::{CStr, CString};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::raw::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// The library's handle. It belongs to the thread that holds the lock around it.
pub(crate) struct Handle {
    pub db: *mut sys::Pierre,
    /// Rises with each lone call whose answer came while its caller polled, halves with one whose
    /// did not.
    trust: u32,
    /// Lone calls that were not polled for since the last one that was.
    unpolled: u32,
}

// SAFETY: the library allows any thread, one at a time.
unsafe impl Send for Handle {}

const TRUST_MAX: u32 = 8;
const UNPOLLED_MAX: u32 = 32;

/// How a queued call is sent.
pub(crate) enum Sending {
    /// By the driver, which comes by itself.
    ByDriver,
    ByWokenDriver,
    /// By its caller: no other call is unfinished.
    Alone,
}

/// What a client's clones, its calls and its driver share.
pub(crate) struct Core {
    handle: Mutex<Handle>,
    pub wakeup: Wakeup,
    /// The driver sleeps, and must be woken for what is queued. It is set under the lock, behind the
    /// last look at the queue; whoever unsets it wakes the driver.
    pub asleep: AtomicBool,
    pub ended: AtomicBool,
    connect_ms: u32,
    busy_poll: Duration,
}

impl Core {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Handle> {
        self.handle.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Queues a call by its C function, and tells how it is sent.
    pub(crate) fn queue(
        &self,
        options: &CallOptions,
        userdata: *mut c_void,
        call: &mut dyn FnMut(&At) -> i64,
    ) -> Result<(i64, Sending)> {
        let mut failure = MaybeUninit::uninit();
        let mut handle = self.lock();
        if handle.db.is_null() {
            return Err(Error::misuse("the client has ended"));
        }
        // SAFETY: the handle is locked; the texts live until the functions return.
        let (number, alone) = unsafe {
            sys::pierre_set_timeouts(handle.db, self.connect_ms, options.call_ms);
            if let Some(key) = &options.key {
                if sys::pierre_set_key(handle.db, key.as_ptr(), failure.as_mut_ptr()) != 0 {
                    return Err(Error::from_c(&failure));
                }
            }
            let number = call(&At {
                db: handle.db,
                transaction: std::ptr::null_mut(),
                done,
                userdata,
                failure: failure.as_mut_ptr(),
            });
            if number < 0 {
                return Err(Error::from_c(&failure));
            }
            (number, sys::pierre_pending(handle.db) == 1)
        };
        let sending = if !self.asleep.load(Ordering::Relaxed) {
            Sending::ByDriver
        } else if alone && self.wants_polling(&mut handle) {
            Sending::Alone
        } else {
            self.asleep.store(false, Ordering::Relaxed);
            Sending::ByWokenDriver
        };
        Ok((number, sending))
    }

    fn wants_polling(&self, handle: &mut Handle) -> bool {
        if self.busy_poll.as_nanos() == 0 || handle.trust > 0 {
            return handle.trust > 0;
        }
        handle.unpolled += 1;
        if handle.unpolled < UNPOLLED_MAX {
            return false;
        }
        handle.unpolled = 0;
        true
    }

    /// Has a queued call sent.
    pub(crate) fn send(&self, sending: Sending, finished: &mut dyn FnMut() -> bool) {
        match sending {
            Sending::ByDriver => {}
            Sending::ByWokenDriver => self.wakeup.wake(),
            Sending::Alone => {
                if !self.poll_alone(finished) && self.asleep.swap(false, Ordering::Relaxed) {
                    self.wakeup.wake();
                }
                wake::now();
            }
        }
    }

    /// Sends a lone call and looks for its answer for a moment. Two changes of threads, to the
    /// driver and back, take longer than most calls.
    /// Returns whether nothing is left for the driver.
    fn poll_alone(&self, finished: &mut dyn FnMut() -> bool) -> bool {
        let end = Instant::now() + self.busy_poll;
        loop {
            let mut handle = self.lock();
            if handle.db.is_null() || !self.asleep.load(Ordering::Relaxed) {
                return true; // others have woken the driver
            }
            // SAFETY: the handle is locked.
            let (connected, left) = unsafe {
                sys::pierre_process(handle.db);
                (sys::pierre_fd(handle.db) >= 0, sys::pierre_pending(handle.db))
            };
            if finished() {
                handle.trust = (handle.trust + 1).min(TRUST_MAX);
                return left == 0;
            }
            if !connected || left > 1 || Instant::now() >= end {
                handle.trust /= 2;
                return false;
            }
            drop(handle);
            std::hint::spin_loop();
        }
    }

    /// Returns whether the call was unfinished: its callback does not run then.
    pub(crate) fn cancel(&self, number: i64) -> bool {
        let handle = self.lock();
        // SAFETY: the handle is locked.
        !handle.db.is_null() && unsafe { sys::pierre_cancel(handle.db, number) }
    }
}

/// A core whose driver runs. The last clone of a client ends both.
struct Shared {
    core: Arc<Core>,
    /// The daemon of a private client. It ends after the connection.
    _daemon: Option<Daemon>,
}

impl Drop for Shared {
    /// Does not wait for the driver: it may be running a waker, which may wait for this thread.
    fn drop(&mut self) {
        driver::end(&self.core);
    }
}

/// The settings of calls.
#[derive(Clone)]
pub(crate) struct CallOptions {
    call_ms: u32,
    key: Option<Arc<CStr>>,
}

/// A client of the daemon, for any number of tasks and threads.
///
/// A clone costs two reference counts. All clones share one connection, on which calls are
/// pipelined and take effect in the order in which they are sent. A thread of the client's own
/// drives it, so its futures work under any executor, and blocking calls on any thread. Dropping a
/// future cancels its call: the answer is dropped, and the daemon may still execute the call.
///
/// A broken connection is opened again. A write carries an idempotency key and is repeated when its
/// outcome is unknown, so that it happens once; a read is repeated once.
///
/// Do not use a client in a child process after `fork()`.
///
/// ```
/// # fn main() -> pierre_db::Result<()> {
/// use pierre_db::{Client, NewUser, Secret};
///
/// let client = Client::private()?; // in production: Client::connect("pierre-dbd:")?
/// let mut ana = NewUser::new("ana@example.com");
/// ana.password = Some(Secret::from("correct horse"));
/// let id = client.create_user_blocking(&ana)?; // in a task: client.create_user(&ana).await?
/// assert_eq!(client.get_user_blocking(id)?.map(|user| user.email), Some("ana@example.com".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    options: CallOptions,
}

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct Builder {
    connect: Duration,
    call: Option<Duration>,
    limits: (usize, usize),
    repeats: bool,
    busy_poll: Duration,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            connect: Duration::from_secs(2),
            call: Some(Duration::from_secs(35)),
            limits: (0, 0),
            repeats: true,
            busy_poll: Duration::from_micros(60),
        }
    }
}

/// Rounded up; zero has another meaning in C.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from((duration.as_nanos() + 999_999) / 1_000_000).unwrap_or(u32::MAX).max(1)
}

impl Builder {
    /// How long a call waits for a connection, with retries. Default: 2 s. Zero: one attempt.
    pub fn connect_timeout(mut self, timeout: Duration) -> Builder {
        self.connect = timeout;
        self
    }

    /// The time limit of each call. Default: 35 s, slightly above the daemon's own. None: no limit.
    pub fn deadline(mut self, deadline: Option<Duration>) -> Builder {
        self.call = deadline;
        self
    }

    /// Maximum length in bytes of a line sent and received, for daemons with other limits; zero
    /// keeps the default.
    pub fn limits(mut self, request: usize, answer: usize) -> Builder {
        self.limits = (request, answer);
        self
    }

    /// `false`: writes carry no key of their own and are not repeated. Needed with a daemon of the
    /// first edition, which ignores keys.
    pub fn repeats(mut self, repeats: bool) -> Builder {
        self.repeats = repeats;
        self
    }

    /// How long the sender of a lone call looks for its answer before it sleeps. Default: 60 µs.
    /// Zero: never. It stops by itself where answers take longer.
    pub fn busy_poll(mut self, limit: Duration) -> Builder {
        self.busy_poll = limit;
        self
    }

    /// See [`Client::connect`].
    pub fn connect(&self, url: &str) -> Result<Client> {
        let path = match url.strip_prefix("pierre-dbd:") {
            Some(path) => path.strip_prefix("//").unwrap_or(path),
            None => return Err(Error::invalid("", "the URL does not begin with `pierre-dbd:`")),
        };
        if !path.is_empty() && !path.starts_with('/') {
            return Err(Error::invalid("", "the path of the socket is not absolute"));
        }
        self.start(Some(path).filter(|path| !path.is_empty()), None)
    }

    /// See [`Client::private`].
    pub fn private(&self) -> Result<Client> {
        let (daemon, socket) = Daemon::start()?;
        self.start(Some(&socket), Some(daemon))
    }

    fn start(&self, socket: Option<&str>, daemon: Option<Daemon>) -> Result<Client> {
        let socket = socket
            .map(CString::new)
            .transpose()
            .map_err(|_| Error::invalid("", "the path of the socket contains U+0000"))?;
        let failed = |error| Error::no_connection(format!("cannot start a client: {}", error));
        let wakeup = Wakeup::new().map_err(failed)?;
        // SAFETY: the path is copied.
        let db = unsafe {
            sys::pierre_new(socket.as_ref().map_or(std::ptr::null(), |path| path.as_ptr()))
        };
        if db.is_null() {
            return Err(Error::misuse("out of memory for a client"));
        }
        // SAFETY: no other thread has the handle yet.
        unsafe {
            sys::pierre_set_limits(db, self.limits.0, self.limits.1);
            sys::pierre_set_repeats(db, self.repeats);
        }
        let core = Arc::new(Core {
            handle: Mutex::new(Handle { db, trust: TRUST_MAX, unpolled: 0 }),
            wakeup,
            asleep: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            connect_ms: if self.connect.as_nanos() == 0 { 0 } else { milliseconds(self.connect) },
            busy_poll: self.busy_poll,
        });
        let driven = Arc::clone(&core);
        let shared = Arc::new(Shared { core, _daemon: daemon });
        let driver = thread::Builder::new().name("pierre-db".into());
        driver.spawn(move || driver::run(&driven)).map_err(failed)?;
        Ok(Client {
            shared,
            options: CallOptions { call_ms: self.call.map_or(0, milliseconds), key: None },
        })
    }
}

impl Client {
    /// A client of the daemon at a socket: `pierre-dbd:/run/pierre-dbd/pierre-dbd.sock`, or
    /// `pierre-dbd:` for the default one. It opens the connection with the first call, and does not
    /// block.
    pub fn connect(url: &str) -> Result<Client> {
        Builder::default().connect(url)
    }

    /// A client of a daemon of its own, for a test: on a new database in memory with a new key. The
    /// daemon ends with the last clone, and with the process.
    ///
    /// The program is `$PIERRE_DBD`, that of the source tree in which the crate was built, or
    /// `pierre-dbd` in the `PATH`.
    pub fn private() -> Result<Client> {
        Builder::default().private()
    }

    /// The settings of a client, to be changed.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// This client with another time limit of each call.
    pub fn with_deadline(&self, deadline: Duration) -> Client {
        let mut client = self.clone();
        client.options.call_ms = milliseconds(deadline);
        client
    }

    /// This client with an idempotency key in place of the library's own, for one write that the
    /// program may repeat after a restart: 1 to 64 bytes. The daemon knows a key for 24 hours, and
    /// refuses it with another method or other parameters.
    pub fn with_key(&self, key: &str) -> Result<Client> {
        let key = CString::new(key).map_err(|_| Error::invalid("", "the key contains U+0000"))?;
        let mut client = self.clone();
        client.options.key = Some(Arc::from(key));
        Ok(client)
    }

    /// A transaction, to which calls are added.
    pub fn transaction(&self) -> Result<Transaction> {
        Transaction::new(self.clone())
    }

    /// Calls a method by its name, also one that this version does not know: the result as JSON
    /// text. The parameters are an object or an array.
    pub async fn call(&self, method: &str, params: Option<&Json>) -> Result<Json> {
        self.start_by_name(method, params).await
    }

    /// The blocking twin of [`Client::call`].
    pub fn call_blocking(&self, method: &str, params: Option<&Json>) -> Result<Json> {
        self.start_by_name(method, params).wait()
    }

    fn start_by_name(&self, method: &str, params: Option<&Json>) -> Call<Json> {
        static ANY: Method<Json> = Method { take: JSON, read: read::text_of::<Json> };
        self.start(&ANY, &mut |to| {
            let args = Args::new();
            let method = args.text("method", method);
            let params = args.optional("params", params.map(Json::as_str));
            args.check()?;
            send_by_name(to, method, params)
        })
    }

    /// Sends a call.
    pub(crate) fn start<T>(
        &self,
        method: &'static Method<T>,
        send: &mut dyn FnMut(&To<'_>) -> Result<i64>,
    ) -> Call<T> {
        Call::new(self.send(Taking::Result(method.take), send), method.read)
    }

    pub(crate) fn send(
        &self,
        taking: Taking,
        send: &mut dyn FnMut(&To<'_>) -> Result<i64>,
    ) -> Result<Sent> {
        Sent::new(&self.shared.core, &self.options, taking, send)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The version of the C library.
pub fn library_version() -> &'static str {
    // SAFETY: a constant text.
    unsafe { CStr::from_ptr(sys::pierre_version()) }.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up() {
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::from_secs(0)), 1);
        assert_eq!(milliseconds(Duration::from_micros(1500)), 2);
        assert_eq!(milliseconds(Duration::from_secs(3)), 3000);
        assert_eq!(milliseconds(Duration::MAX), u32::MAX);
    }

    #[test]
    fn clients_are_shared_by_threads() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        fn sent<T: Send>(_: &T) {}
        shared::<Client>();
        shared::<Error>();
        fn future(client: &Client) -> impl std::future::Future + Send + '_ {
            client.get_user_count()
        }
        let _ = (future, sent::<Client>);
    }
}
