//! Waking tasks: those whose calls have finished, and threads that wait without an executor.

use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};

thread_local! {
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a waker until this thread has released the handle: a waker may run any code, also a call.
pub(crate) fn later(waker: Waker) {
    WAKERS.with(|wakers| wakers.borrow_mut().push(waker));
}

/// Runs them. A waker that panics takes nobody else's call with it.
pub(crate) fn now() {
    let woken = WAKERS.with(|wakers| std::mem::take(&mut *wakers.borrow_mut()));
    for waker in woken {
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}

struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// Polls until the result is there; the thread sleeps meanwhile.
pub(crate) fn block_on<T>(mut poll: impl FnMut(&Waker) -> Poll<T>) -> T {
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    loop {
        if let Poll::Ready(result) = poll(&waker) {
            return result;
        }
        while !parked.woken.swap(false, Ordering::AcqRel) {
            thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker of a test");
        }
    }

    #[test]
    fn wakers_run_in_order_and_a_panic_stops_none() {
        let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
        later(Waker::from(Arc::new(Panics)));
        later(Waker::from(Arc::clone(&parked)));
        assert!(!parked.woken.load(Ordering::Acquire));
        now();
        assert!(parked.woken.load(Ordering::Acquire));
    }

    #[test]
    fn waits_for_another_thread() {
        let mut polls = 0;
        let result = block_on(|waker| {
            polls += 1;
            if polls > 3 {
                return Poll::Ready(polls);
            }
            let waker = waker.clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        });
        assert_eq!(result, 4);
    }
}
