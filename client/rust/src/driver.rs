//! The thread that drives a handle: it waits for the socket and for time limits, and runs the
//! library.

use crate::client::Core;
use crate::sys;
use crate::wake;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::raw::c_int;
use std::os::unix::io::{AsRawFd, FromRawFd};
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

/// Wakes the driver: an eventfd.
pub(crate) struct Wakeup(File);

impl Wakeup {
    pub(crate) fn new() -> io::Result<Wakeup> {
        // SAFETY: a new descriptor, which the file owns.
        unsafe {
            match sys::eventfd(0, sys::EFD_CLOEXEC | sys::EFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Wakeup(File::from_raw_fd(fd))),
            }
        }
    }

    pub(crate) fn wake(&self) {
        let _ = (&self.0).write(&1_u64.to_ne_bytes()); // fails only when it is set already
    }

    fn clear(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

/// What the driver waits for.
struct Wait {
    fd: c_int,
    events: i16,
    timeout_ms: c_int,
}

/// One iteration; None at the end.
fn iterate(core: &Core) -> Option<Wait> {
    let handle = core.lock();
    if core.ended.load(Ordering::Acquire) {
        return None;
    }
    // SAFETY: the handle is locked.
    let wait = unsafe {
        sys::pierre_process(handle.db);
        // Without calls nothing is expected: the next one wakes the driver, or is alone and polled
        // for by its sender, whose answer must not wake two threads.
        if sys::pierre_pending(handle.db) == 0 {
            Wait { fd: -1, events: 0, timeout_ms: -1 }
        } else {
            let events = sys::pierre_events(handle.db);
            let event = |bit, poll| if events & bit != 0 { poll } else { 0 };
            Wait {
                fd: sys::pierre_fd(handle.db),
                events: event(sys::EVENT_READ, sys::POLLIN) | event(sys::EVENT_WRITE, sys::POLLOUT),
                timeout_ms: sys::pierre_timeout_ms(handle.db),
            }
        }
    };
    core.asleep.store(true, Ordering::Relaxed);
    Some(wait)
}

/// Runs until the client ends.
pub(crate) fn run(core: &Core) {
    while let Some(wait) = iterate(core) {
        wake::now();
        let mut watched = [
            sys::PollFd { fd: core.wakeup.0.as_raw_fd(), events: sys::POLLIN, revents: 0 },
            sys::PollFd { fd: wait.fd, events: wait.events, revents: 0 },
        ];
        // SAFETY: an array of two. An interrupted call is like one that ended early.
        unsafe { sys::poll(watched.as_mut_ptr(), 2, wait.timeout_ms) };
        core.asleep.store(false, Ordering::Relaxed);
        if watched[0].revents != 0 {
            core.wakeup.clear();
        }
    }
}

/// Ends a client: its connection at once, its driver when that looks again.
pub(crate) fn end(core: &Core) {
    core.ended.store(true, Ordering::Release);
    let db = std::mem::replace(&mut core.lock().db, null_mut());
    // SAFETY: no other thread can reach the handle any more.
    unsafe { sys::pierre_free(db) };
    core.wakeup.wake();
}
