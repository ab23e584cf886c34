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

/// How long a thread that blocks for a lone call waits by itself, before it leaves that to the driver.
const LONE_WAIT: Duration = Duration::from_millis(10);
/// With so many unfinished calls on a connection, further calls take the next one. The daemon reads
/// no more than 256 of a connection before it has answered some.
const FULL: usize = 128;

/// The library's handle. It belongs to the thread that holds the lock around it.
struct Handle {
    db: *mut sys::Pierre,
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

/// A queued call: its connection, and its number there.
#[derive(Clone, Copy)]
pub(crate) struct Queued {
    link: usize,
    number: i64,
    sender: Sender,
}

/// Who sends a queued call.
#[derive(Clone, Copy, PartialEq)]
enum Sender {
    /// The driver, which comes by itself.
    Driver,
    WokenDriver,
    /// The caller: no other call is unfinished.
    Caller,
}

/// What a client's clones, its calls and its driver share.
pub(crate) struct Core {
    pub links: Vec<Link>,
    pub wakeup: Wakeup,
    pub ended: AtomicBool,
    pub connect_ms: u32,
}

impl Link {
    /// Takes the handle over.
    pub(crate) fn new(db: *mut sys::Pierre) -> Link {
        Link {
            handle: Mutex::new(Handle { db }),
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

    /// Sends a lone call.
    fn process(&self) {
        let handle = self.lock();
        if !handle.db.is_null() {
            // SAFETY: the handle is locked.
            unsafe { sys::pierre_process(handle.db) };
            self.count(&handle);
        }
    }

    /// Waits for the answer to a lone call, as long as it is alone.
    fn wait_alone(&self, finished: &mut dyn FnMut() -> bool) {
        let end = Instant::now() + LONE_WAIT;
        while !finished() {
            let handle = self.lock();
            if handle.db.is_null() || !self.asleep.load(Ordering::Relaxed) {
                return; // others have woken the driver
            }
            // SAFETY: the handle is locked.
            let (fd, limit) =
                unsafe { (sys::pierre_fd(handle.db), sys::pierre_timeout_ms(handle.db)) };
            let limit = Duration::from_millis(u64::try_from(limit).unwrap_or(u64::MAX));
            let left = end.saturating_duration_since(Instant::now()).min(limit);
            if fd < 0 || self.count(&handle) != 1 || left.as_nanos() == 0 {
                return;
            }
            drop(handle);
            // If others replace the connection meanwhile, this ends early or at the limit.
            readable(fd, left);
            self.process();
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
    ) -> Result<Queued> {
        let mut failure = MaybeUninit::uninit();
        let place = self.choose();
        let link = &self.links[place];
        let handle = link.lock();
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
        let sender = if !link.asleep.load(Ordering::Relaxed) {
            Sender::Driver
        } else if alone {
            Sender::Caller
        } else {
            link.asleep.store(false, Ordering::Relaxed);
            Sender::WokenDriver
        };
        Ok(Queued { link: place, number, sender })
    }

    /// Has a queued call sent. Returns whether nobody waits for its answer yet: its caller is to call
    /// `wait` or `leave`.
    pub(crate) fn send(&self, queued: Queued) -> bool {
        match queued.sender {
            Sender::Driver => {}
            Sender::WokenDriver => self.wakeup.wake(),
            Sender::Caller => {
                self.links[queued.link].process();
                wake::now();
            }
        }
        queued.sender == Sender::Caller
    }

    /// Waits for the answer to a lone call; two changes of threads, to the driver and back, take
    /// longer than most calls. Then leaves it to the driver.
    pub(crate) fn wait(&self, queued: Queued, finished: &mut dyn FnMut() -> bool) {
        self.links[queued.link].wait_alone(finished);
        wake::now();
        if !finished() {
            self.leave(queued);
        }
    }

    /// Leaves the answer to a lone call to the driver.
    pub(crate) fn leave(&self, queued: Queued) {
        if self.links[queued.link].asleep.swap(false, Ordering::Relaxed) {
            self.wakeup.wake();
        }
    }

    /// Returns whether the call was unfinished: its callback does not run then.
    pub(crate) fn cancel(&self, queued: Queued) -> bool {
        self.links[queued.link].cancel(queued.number)
    }
}
