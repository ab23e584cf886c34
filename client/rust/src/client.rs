//! The client and its settings.

use crate::args::Args;
use crate::call::{send_by_name, Call, Method, Sent, Taking, To, JSON};
use crate::driver::{self, Wakeup};
use crate::error::{Error, Result};
use crate::link::{Core, Link};
use crate::private::Daemon;
use crate::read;
use crate::sys;
use crate::transaction::Transaction;
use crate::values::Json;
use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A core whose driver runs. The last clone of a client ends both.
struct Shared {
    core: Arc<Core>,
    /// The daemon of a private client. It ends after the connections.
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
    pub call_ms: u32,
    pub key: Option<Arc<CStr>>,
}

/// A client of the daemon, for any number of tasks and threads.
///
/// A clone costs two reference counts. All clones share a connection, on which calls are pipelined,
/// and a few more when very many calls are unfinished. Calls that are awaited one after the other
/// take effect in that order. A thread of the client's own drives the connections, so its futures
/// work under any executor, and blocking calls on any thread. Dropping a future cancels its call:
/// the answer is dropped, and the daemon may still execute the call.
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
    connections: usize,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            connect: Duration::from_secs(2),
            call: Some(Duration::from_secs(35)),
            limits: (0, 0),
            repeats: true,
            connections: 4,
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

    /// How many connections the calls may take; default: 4. A further one is opened when 128 calls
    /// are unfinished on those before it. With one, all calls of the client take effect in the order
    /// in which they are sent.
    pub fn connections(mut self, max: usize) -> Builder {
        self.connections = max.clamp(1, 64);
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

    fn link(&self, socket: Option<&CStr>) -> Result<Link> {
        // SAFETY: the path is copied, and no other thread has the handle yet.
        unsafe {
            let db = sys::pierre_new(socket.map_or(std::ptr::null(), CStr::as_ptr));
            if db.is_null() {
                return Err(Error::misuse("out of memory for a client"));
            }
            sys::pierre_set_limits(db, self.limits.0, self.limits.1);
            sys::pierre_set_repeats(db, self.repeats);
            Ok(Link::new(db))
        }
    }

    fn start(&self, socket: Option<&str>, daemon: Option<Daemon>) -> Result<Client> {
        let socket = socket
            .map(CString::new)
            .transpose()
            .map_err(|_| Error::invalid("", "the path of the socket contains U+0000"))?;
        let failed = |error| Error::no_connection(format!("cannot start a client: {}", error));
        let wakeup = Wakeup::new().map_err(failed)?;
        let links =
            (0..self.connections).map(|_| self.link(socket.as_deref())).collect::<Result<_>>()?;
        let core = Arc::new(Core {
            links,
            wakeup,
            ended: AtomicBool::new(false),
            connect_ms: if self.connect.as_nanos() == 0 { 0 } else { milliseconds(self.connect) },
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
    /// text. The parameters are an object or an array. Unlike a [`Secret`](crate::Secret), the text
    /// of a result is shown by `Debug` and not wiped.
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
