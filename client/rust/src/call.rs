//! A call on its way: from its arguments to its result.

use crate::client::CallOptions;
use crate::error::{Error, Result};
use crate::link::{Core, Queued};
use crate::sys;
use crate::wake;
use std::cell::Cell;
use std::future::Future;
use std::mem::MaybeUninit;
use std::os::raw::{c_char, c_int, c_void};
use std::pin::Pin;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

// Results
// -------------------------------------------------------------------------------------------------

/// A result as the library returns it: a block that it owns, or a number.
pub(crate) struct Raw {
    pub block: *mut c_void,
    pub count: usize,
    pub number: i64,
    pub free: Option<Free>,
}

pub(crate) type Free = unsafe extern "C" fn(*mut c_void);

// SAFETY: the block belongs to this result alone, and the library has no state of a thread.
unsafe impl Send for Raw {}

impl Raw {
    fn empty() -> Raw {
        Raw { block: null_mut(), count: 0, number: 0, free: None }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the function of the block's type; it accepts NULL.
            unsafe { free(self.block) }
        }
    }
}

type Failing<T> = unsafe extern "C" fn(*const sys::Answer, *mut T, *mut sys::Error) -> c_int;

/// The function that takes a result out of an answer, by its form.
#[derive(Clone, Copy)]
pub(crate) enum Take {
    Nothing(unsafe extern "C" fn(*const sys::Answer, *mut sys::Error) -> c_int),
    Integer(Failing<i64>),
    Number(Failing<u32>),
    Block(Failing<*mut c_void>, Free),
    Rows(
        unsafe extern "C" fn(
            *const sys::Answer,
            *mut *mut c_void,
            *mut usize,
            *mut sys::Error,
        ) -> c_int,
        Free,
    ),
}

impl Take {
    /// # Safety
    /// The answer is valid, or NULL.
    pub(crate) unsafe fn take(&self, answer: *const sys::Answer) -> Result<Raw> {
        let mut raw = Raw::empty();
        let mut number = 0_u32;
        let mut error = MaybeUninit::uninit();
        let status = match *self {
            Take::Nothing(take) => take(answer, error.as_mut_ptr()),
            Take::Integer(take) => take(answer, &mut raw.number, error.as_mut_ptr()),
            Take::Number(take) => take(answer, &mut number, error.as_mut_ptr()),
            Take::Block(take, free) => {
                raw.free = Some(free);
                take(answer, &mut raw.block, error.as_mut_ptr())
            }
            Take::Rows(take, free) => {
                raw.free = Some(free);
                take(answer, &mut raw.block, &mut raw.count, error.as_mut_ptr())
            }
        };
        if status != 0 {
            return Err(Error::from_c(&error));
        }
        raw.number = raw.number.max(i64::from(number));
        Ok(raw)
    }
}

/// A method of the daemon: how its result is taken and read.
pub(crate) struct Method<T> {
    pub take: Take,
    pub read: unsafe fn(&Raw) -> Result<T>,
}

// Arguments
// -------------------------------------------------------------------------------------------------

/// What the C function of a call gets besides the arguments. Without a transaction it is queued on
/// the handle.
pub(crate) struct At {
    pub db: *mut sys::Pierre,
    pub transaction: *mut sys::Transaction,
    pub done: sys::Done,
    pub userdata: *mut c_void,
    pub failure: *mut sys::Error,
}

/// Calls the C function of a call with what it gets besides the arguments.
type Sender<'a> = dyn Fn(&mut dyn FnMut(&At) -> i64) -> Result<i64> + 'a;

/// Where a call goes: to a connection, or into a transaction.
pub(crate) struct To<'a>(pub &'a Sender<'a>);

impl To<'_> {
    pub(crate) fn send(&self, call: &mut dyn FnMut(&At) -> i64) -> Result<i64> {
        (self.0)(call)
    }
}

/// Calls the C function of a method with `{ arguments }`: that which queues it, or, where there is
/// one, that which adds it to a transaction.
#[doc(hidden)]
#[macro_export]
macro_rules! send {
    ($to:expr, $args:expr, $queue:ident, $add:ident, { $($value:expr),* $(,)? } $(,)?) => {{
        $args.check()?;
        // SAFETY: the arguments live until the function returns, which copies them.
        $to.send(&mut |at| unsafe {
            if at.transaction.is_null() {
                sys::$queue(at.db, $($value,)* at.done, at.userdata, at.failure)
            } else {
                i64::from(sys::$add(at.transaction, $($value,)* at.failure))
            }
        })
    }};
    ($to:expr, $args:expr, $queue:ident, { $($value:expr),* $(,)? } $(,)?) => {{
        $args.check()?;
        // SAFETY: the arguments live until the function returns, which copies them.
        $to.send(&mut |at| unsafe {
            sys::$queue(at.db, $($value,)* at.done, at.userdata, at.failure)
        })
    }};
}

// States
// -------------------------------------------------------------------------------------------------

/// What a finished call leaves.
pub(crate) enum Outcome {
    Waiting(Option<Waker>),
    Finished(Result<Raw>),
    Taken,
}

/// How a finished call's answer is taken.
pub(crate) enum Taking {
    Result(Take),
    Transaction(Arc<TransactionBlock>),
}

/// The part of a call that its future and the library's callback share.
pub(crate) struct State {
    taking: Taking,
    outcome: Mutex<Outcome>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn finish(&self, result: Result<Raw>) -> Option<Waker> {
        match std::mem::replace(&mut *self.lock(), Outcome::Finished(result)) {
            Outcome::Waiting(waker) => waker,
            _ => None,
        }
    }
}

/// The C library's transaction.
pub(crate) struct TransactionBlock(pub Mutex<*mut sys::Transaction>);

// SAFETY: a transaction belongs to one thread at a time: the one that holds the lock.
unsafe impl Send for TransactionBlock {}
unsafe impl Sync for TransactionBlock {}

impl TransactionBlock {
    pub(crate) fn lock(&self) -> MutexGuard<'_, *mut sys::Transaction> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for TransactionBlock {
    fn drop(&mut self) {
        // SAFETY: nothing else has this pointer.
        unsafe { sys::pierre_transaction_free(*self.lock()) }
    }
}

/// The library's callback. It runs with the handle's lock, so it only stores the result: wakers run
/// when the lock is released.
///
/// # Safety
/// `userdata` comes from `Arc::into_raw`, and this is the only callback with it.
pub(crate) unsafe extern "C" fn done(
    _: *mut sys::Pierre,
    answer: *const sys::Answer,
    userdata: *mut c_void,
) {
    let state = Arc::from_raw(userdata as *const State);
    let result = match &state.taking {
        Taking::Result(take) => take.take(answer),
        Taking::Transaction(block) => {
            let mut error = MaybeUninit::uninit();
            let transaction = block.lock();
            match sys::pierre_transaction_result(*transaction, answer, error.as_mut_ptr()) {
                0 => Ok(Raw::empty()),
                _ => Err(Error::from_c(&error)),
            }
        }
    };
    if let Some(waker) = state.finish(result) {
        wake::later(waker);
    }
}

/// A call that was sent. Dropping it cancels the call.
pub(crate) struct Sent {
    core: Arc<Core>,
    state: Arc<State>,
    queued: Queued,
    /// Nobody waits for the answer yet.
    alone: bool,
}

impl Sent {
    /// Queues a call on the handle.
    pub(crate) fn new(
        core: &Arc<Core>,
        options: &CallOptions,
        taking: Taking,
        send: &mut dyn FnMut(&To<'_>) -> Result<i64>,
    ) -> Result<Sent> {
        let state = Arc::new(State { taking, outcome: Mutex::new(Outcome::Waiting(None)) });
        let queued = Cell::new(None);
        send(&To(&|call| {
            let userdata = Arc::into_raw(Arc::clone(&state)) as *mut c_void;
            match core.queue(options, userdata, call) {
                Ok(how) => {
                    queued.set(Some(how));
                    Ok(0)
                }
                Err(error) => {
                    // SAFETY: the library has not taken it.
                    drop(unsafe { Arc::from_raw(userdata as *const State) });
                    Err(error)
                }
            }
        }))?;
        let queued: Queued =
            queued.into_inner().ok_or_else(|| Error::misuse("nothing was sent"))?;
        let alone = core.send(queued);
        Ok(Sent { core: Arc::clone(core), state, queued, alone })
    }

    fn is_finished(state: &State) -> bool {
        !matches!(*state.lock(), Outcome::Waiting(_))
    }

    /// Blocks, for a moment, where no other call is unfinished.
    fn wait_alone(&mut self) {
        if std::mem::take(&mut self.alone) {
            self.core.wait(self.queued, &mut || Sent::is_finished(&self.state));
        }
    }

    fn leave(&mut self) {
        if std::mem::take(&mut self.alone) && !Sent::is_finished(&self.state) {
            self.core.leave(self.queued);
        }
    }

    fn poll(&mut self, waker: &Waker) -> Poll<Result<Raw>> {
        self.leave();
        let mut outcome = self.state.lock();
        match std::mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Finished(result) => Poll::Ready(result),
            Outcome::Taken => Poll::Ready(Err(Error::misuse("the call's result was taken before"))),
            Outcome::Waiting(old) => {
                let kept = old.filter(|old| old.will_wake(waker));
                *outcome = Outcome::Waiting(Some(kept.unwrap_or_else(|| waker.clone())));
                Poll::Pending
            }
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.leave(); // a call that is partly written needs the driver
        if Sent::is_finished(&self.state) {
            return;
        }
        if self.core.cancel(self.queued) {
            // SAFETY: the callback, which would take this reference, does not run any more.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(&self.state)) });
        }
    }
}

/// A call: a future that works under any executor, and can be waited for without one.
pub(crate) struct Call<T> {
    sent: std::result::Result<Sent, Option<Error>>,
    read: unsafe fn(&Raw) -> Result<T>,
}

impl<T> Call<T> {
    pub(crate) fn new(sent: Result<Sent>, read: unsafe fn(&Raw) -> Result<T>) -> Call<T> {
        Call { sent: sent.map_err(Some), read }
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<Result<T>> {
        let result = match &mut self.sent {
            Ok(sent) => match sent.poll(waker) {
                Poll::Ready(result) => result,
                Poll::Pending => return Poll::Pending,
            },
            Err(error) => Err(error.take().unwrap_or_else(|| Error::misuse("the call has failed"))),
        };
        // SAFETY: the result is that of the method to which `read` belongs.
        Poll::Ready(result.and_then(|raw| unsafe { (self.read)(&raw) }))
    }

    /// Waits for the result.
    pub(crate) fn wait(mut self) -> Result<T> {
        if let Ok(sent) = &mut self.sent {
            sent.wait_alone();
        }
        wake::block_on(|waker| self.poll_with(waker))
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.poll_with(context.waker())
    }
}

/// Any method's result, as JSON text.
pub(crate) const JSON: Take = Take::Block(sys::pierre_answer_json, sys::pierre_text_free);

/// Sends a call by its method's name.
pub(crate) fn send_by_name(
    to: &To<'_>,
    method: *const c_char,
    params: *const c_char,
) -> Result<i64> {
    // SAFETY: both texts live until the function returns, which copies them.
    to.send(&mut |at| unsafe {
        sys::pierre_call_async(at.db, method, params, at.done, at.userdata, at.failure)
    })
}
