//! Connections: the library's handles under their locks, and how a queued call is sent.

use crate::call::{done, At};
use crate::client::CallOptions;
use crate::driver::Wakeup;
use crate::error::{Error, Result};
use crate::sys;
use crate::wake;
use std::mem::MaybeUninit;
use std::os::raw::{c_int, c_long, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

const TRUST_MAX: u32 = 16;
const UNTRIED_MAX: u32 = 16;
/// With so many unfinished calls on a connection, further calls take the next one. The daemon reads
/// no more than 256 of a connection before it has answered some.
const FULL: usize = 128;

/// The library's handle. It belongs to the thread that holds the lock around it.
struct Handle {
    db: *mut sys::Pierre,
    /// Rises with each lone call whose answer came while its caller waited, falls with one whose did
    /// not.
    trust: u32,
    /// Lone calls whose callers did not wait, since the last one that did.
    untried: u32,
}

// SAFETY: the library allows any thread, one at a time.
unsafe impl Send for Handle {}

/// A connection.
pub(crate) struct Link {
    handle: Mutex<Handle>,
    /// The driver sleeps, and must be woken for what is queued here. It is set under the lock,
    /// behind the last look at the queue; whoever unsets it wakes the driver.
    asleep: AtomicBool,
    /// The number of unfinished calls, as of the last time that the lock was held.
    unfinished: AtomicUsize,
}

/// What the driver waits for on a connection.
pub(crate) struct Wait {
    pub fd: c_int,
    pub events: i16,
    pub timeout_ms: c_int,
}

/// How a queued call is sent.
pub(crate) enum Sending {
    /// By the driver, which comes by itself.
    ByDriver,
    ByWokenDriver,
    /// By its caller, which then waits at most that long: no other call is unfinished.
    Alone(Duration),
}

/// A queued call: its connection, and its number there.
#[derive(Clone, Copy)]
pub(crate) struct Queued {
    link: usize,
    number: i64,
}

/// What a client's clones, its calls and its driver share.
pub(crate) struct Core {
    pub links: Vec<Link>,
    pub wakeup: Wakeup,
    pub ended: AtomicBool,
    pub connect_ms: u32,
    pub lone_wait: Duration,
}

impl Link {
    /// Takes the handle over.
    pub(crate) fn new(db: *mut sys::Pierre) -> Link {
        Link {
            handle: Mutex::new(Handle { db, trust: TRUST_MAX, untried: 0 }),
            asleep: AtomicBool::new(false),
            unfinished: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Handle> {
        self.handle.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The number of unfinished calls.
    fn count(&self, handle: &Handle) -> usize {
        // SAFETY: the handle is locked.
        let count = unsafe { sys::pierre_pending(handle.db) };
        self.unfinished.store(count, Ordering::Relaxed);
        count
    }

    /// The driver's look at the connection; None without unfinished calls, and when it has ended.
    pub(crate) fn iterate(&self) -> Option<Wait> {
        let handle = self.lock();
        if handle.db.is_null() {
            return None;
        }
        let mut wait = None;
        // SAFETY: the handle is locked. Without calls nothing is expected: the next one wakes the
        // driver, or is alone and awaited by its sender, whose answer must not wake two threads.
        unsafe {
            if sys::pierre_pending(handle.db) > 0 {
                sys::pierre_process(handle.db);
            }
            if self.count(&handle) > 0 {
                let events = sys::pierre_events(handle.db);
                let event = |bit, poll| if events & bit != 0 { poll } else { 0 };
                wait = Some(Wait {
                    fd: sys::pierre_fd(handle.db),
                    events: event(sys::EVENT_READ, sys::POLLIN)
                        | event(sys::EVENT_WRITE, sys::POLLOUT),
                    timeout_ms: sys::pierre_timeout_ms(handle.db),
                });
            }
        }
        self.asleep.store(true, Ordering::Relaxed);
        wait
    }

    /// The driver has woken up.
    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Closes the connection.
    pub(crate) fn end(&self) {
        let db = std::mem::replace(&mut self.lock().db, null_mut());
        // SAFETY: no other thread can reach the handle any more.
        unsafe { sys::pierre_free(db) };
    }

    fn cancel(&self, number: i64) -> bool {
        let handle = self.lock();
        if handle.db.is_null() {
            return false;
        }
        // SAFETY: the handle is locked.
        let cancelled = unsafe { sys::pierre_cancel(handle.db, number) };
        self.count(&handle);
        cancelled
    }

    /// Sends a lone call and waits a moment for its answer. Two changes of threads, to the driver and
    /// back, take longer than most calls. Returns whether nothing is left for the driver.
    fn wait_alone(&self, limit: Duration, finished: &mut dyn FnMut() -> bool) -> bool {
        let end = Instant::now() + limit;
        loop {
            let mut handle = self.lock();
            if handle.db.is_null() || !self.asleep.load(Ordering::Relaxed) {
                return true; // others have woken the driver
            }
            // SAFETY: the handle is locked.
            let fd = unsafe {
                sys::pierre_process(handle.db);
                sys::pierre_fd(handle.db)
            };
            let unfinished = self.count(&handle);
            if finished() {
                handle.trust = (handle.trust + 1).min(TRUST_MAX);
                return unfinished == 0;
            }
            let left = end.saturating_duration_since(Instant::now());
            if fd < 0 || unfinished > 1 || left.as_nanos() == 0 {
                if limit.as_nanos() > 0 {
                    handle.trust = handle.trust.saturating_sub(1);
                }
                return false;
            }
            drop(handle);
            // If others replace the connection meanwhile, this ends early or at the limit.
            readable(fd, left);
        }
    }
}

/// Waits until the socket is readable, at most that long.
fn readable(fd: c_int, limit: Duration) {
    let mut watched = sys::PollFd { fd, events: sys::POLLIN, revents: 0 };
    let limit = sys::TimeSpec {
        seconds: limit.as_secs() as c_long,
        nanoseconds: limit.subsec_nanos() as c_long,
    };
    // SAFETY: one structure of each kind.
    unsafe { sys::ppoll(&mut watched, 1, &limit, std::ptr::null()) };
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end();
    }
}

impl Handle {
    /// Whether the answer of a lone call is likely to come soon.
    fn wants_waiting(&mut self) -> bool {
        if self.trust > 0 {
            return true;
        }
        self.untried += 1;
        if self.untried < UNTRIED_MAX {
            return false;
        }
        self.untried = 0;
        true
    }
}

impl Core {
    /// The first connection that is not full, else the one with the fewest calls.
    fn choose(&self) -> usize {
        let load = |at: usize| self.links[at].unfinished.load(Ordering::Relaxed);
        let mut places = 0..self.links.len();
        places
            .find(|at| load(*at) < FULL)
            .unwrap_or_else(|| (0..self.links.len()).min_by_key(|at| load(*at)).unwrap_or(0))
    }

    /// Queues a call by its C function, and tells how it is sent.
    pub(crate) fn queue(
        &self,
        options: &CallOptions,
        userdata: *mut c_void,
        call: &mut dyn FnMut(&At) -> i64,
    ) -> Result<(Queued, Sending)> {
        let mut failure = MaybeUninit::uninit();
        let place = self.choose();
        let link = &self.links[place];
        let mut handle = link.lock();
        if handle.db.is_null() {
            return Err(Error::misuse("the client has ended"));
        }
        // SAFETY: the handle is locked; the texts live until the functions return.
        let number = unsafe {
            sys::pierre_set_timeouts(handle.db, self.connect_ms, options.call_ms);
            if let Some(key) = &options.key {
                if sys::pierre_set_key(handle.db, key.as_ptr(), failure.as_mut_ptr()) != 0 {
                    return Err(Error::from_c(&failure));
                }
            }
            let number = call(&At {
                db: handle.db,
                transaction: null_mut(),
                done,
                userdata,
                failure: failure.as_mut_ptr(),
            });
            if number < 0 {
                return Err(Error::from_c(&failure));
            }
            number
        };
        let alone = link.count(&handle) == 1 && place == 0;
        let sending = if !link.asleep.load(Ordering::Relaxed) {
            Sending::ByDriver
        } else if alone {
            let waits = handle.wants_waiting();
            Sending::Alone(if waits { self.lone_wait } else { Duration::from_secs(0) })
        } else {
            link.asleep.store(false, Ordering::Relaxed);
            Sending::ByWokenDriver
        };
        Ok((Queued { link: place, number }, sending))
    }

    /// Has a queued call sent.
    pub(crate) fn send(
        &self,
        queued: Queued,
        sending: Sending,
        finished: &mut dyn FnMut() -> bool,
    ) {
        let link = &self.links[queued.link];
        match sending {
            Sending::ByDriver => {}
            Sending::ByWokenDriver => self.wakeup.wake(),
            Sending::Alone(limit) => {
                let done = link.wait_alone(limit, finished);
                if !done && link.asleep.swap(false, Ordering::Relaxed) {
                    self.wakeup.wake();
                }
                wake::now();
            }
        }
    }

    /// Returns whether the call was unfinished: its callback does not run then.
    pub(crate) fn cancel(&self, queued: Queued) -> bool {
        self.links[queued.link].cancel(queued.number)
    }
}
