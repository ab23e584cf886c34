//! The thread that drives the connections: it waits for their sockets and for time limits, and runs
//! the library.

use crate::link::{Core, Link};
use crate::sys;
use crate::wake;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::raw::{c_int, c_ulong};
use std::os::unix::io::{AsRawFd, FromRawFd};
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

    fn fd(&self) -> c_int {
        self.0.as_raw_fd()
    }

    fn clear(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

/// Runs until the client ends.
pub(crate) fn run(core: &Core) {
    let mut watched = Vec::new();
    while !core.ended.load(Ordering::Acquire) {
        let mut timeout_ms = -1;
        watched.clear();
        watched.push(sys::PollFd { fd: core.wakeup.fd(), events: sys::POLLIN, revents: 0 });
        for wait in core.links.iter().filter_map(Link::iterate) {
            watched.push(sys::PollFd { fd: wait.fd, events: wait.events, revents: 0 });
            if wait.timeout_ms >= 0 && (timeout_ms < 0 || wait.timeout_ms < timeout_ms) {
                timeout_ms = wait.timeout_ms;
            }
        }
        wake::now();
        // SAFETY: an array of that length. An interrupted call is like one that ended early.
        unsafe { sys::poll(watched.as_mut_ptr(), watched.len() as c_ulong, timeout_ms) };
        core.links.iter().for_each(Link::awake);
        if watched[0].revents != 0 {
            core.wakeup.clear();
        }
    }
}

/// Ends a client: its connections at once, its driver when that looks again.
pub(crate) fn end(core: &Core) {
    core.ended.store(true, Ordering::Release);
    core.links.iter().for_each(Link::end);
    core.wakeup.wake();
}
