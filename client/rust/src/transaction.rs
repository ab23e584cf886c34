//! Several calls that take effect together or not at all.

use crate::call::{done, At, Call, Method, Raw, Take, Taking, To, TransactionBlock};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::read;
use crate::sys;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::raw::c_int;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};

/// Calls that take effect together or not at all, in their order; each sees the changes of those
/// before it. The first that fails undoes all of them, and `failure().index` of the error is its
/// place. A transaction has at most 100 calls.
///
/// ```
/// # fn main() -> pierre_db::Result<()> {
/// # let client = pierre_db::Client::private()?;
/// use pierre_db::NewUser;
///
/// let mut user = NewUser::new("ana@example.com");
/// user.password_hash = Some("$2b$12$abcdefghijklmnopqrstuuDzoXzZxn3Z6u9k9C1dO1tqJ3VQq1x5W".into());
/// let mut both = client.transaction()?;
/// let id = both.create_user(&user)?;
/// let count = both.get_user_count()?;
/// let results = both.run_blocking()?; // in a task: both.run().await?
/// assert_eq!(results.get(&count)?, 1);
/// assert!(client.get_user_blocking(results.get(&id)?)?.is_some());
/// # Ok(())
/// # }
/// ```
pub struct Transaction {
    client: Client,
    block: Arc<TransactionBlock>,
}

/// The place of a call in its transaction, for its result.
pub struct Planned<T> {
    index: c_int,
    take: Take,
    read: unsafe fn(&Raw) -> Result<T>,
    kind: PhantomData<fn() -> T>,
}

/// The results of a transaction that was committed.
pub struct Results {
    block: Arc<TransactionBlock>,
}

impl Transaction {
    pub(crate) fn new(client: Client) -> Result<Transaction> {
        // SAFETY: has no preconditions.
        let transaction = unsafe { sys::pierre_transaction_new() };
        if transaction.is_null() {
            return Err(Error::misuse("out of memory for a transaction"));
        }
        Ok(Transaction { client, block: Arc::new(TransactionBlock(Mutex::new(transaction))) })
    }

    /// Adds a call.
    pub(crate) fn add<T>(
        &mut self,
        method: &'static Method<T>,
        send: &mut dyn FnMut(&To<'_>) -> Result<i64>,
    ) -> Result<Planned<T>> {
        let index = send(&To(&|call| {
            let transaction = self.block.lock();
            let mut failure = MaybeUninit::uninit();
            let index = call(&At {
                db: null_mut(),
                transaction: *transaction,
                done,
                userdata: null_mut(),
                failure: failure.as_mut_ptr(),
            });
            if index < 0 {
                // SAFETY: the library has failed with it.
                return Err(unsafe { Error::from_c(&failure) });
            }
            Ok(index)
        }))?;
        let index = c_int::try_from(index).map_err(|_| Error::misuse("too many calls"))?;
        Ok(Planned { index, take: method.take, read: method.read, kind: PhantomData })
    }

    /// The number of calls.
    pub fn len(&self) -> usize {
        // SAFETY: the transaction is locked.
        let count = unsafe { sys::pierre_transaction_count(*self.block.lock()) };
        usize::try_from(count).unwrap_or(0)
    }

    /// Whether it has no calls.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn start(&mut self) -> Call<()> {
        let sent = self.client.send(Taking::Transaction(Arc::clone(&self.block)), &mut |to| {
            // The handle's lock comes first, as in the callback.
            to.send(&mut |at| {
                let block = self.block.lock();
                // SAFETY: the transaction is locked, and the library copies its calls.
                unsafe {
                    sys::pierre_transaction_run_async(
                        at.db,
                        *block,
                        at.done,
                        at.userdata,
                        at.failure,
                    )
                }
            })
        });
        Call::new(sent, read::nothing)
    }

    /// Runs the calls. Like other writes, a run that breaks off is repeated and happens once.
    ///
    /// After a failure that changed nothing ([`Outcome::None`](crate::Outcome)) they may be run
    /// again. A run that was dropped, or that failed with `Outcome::Unknown`, may have taken effect
    /// or may still do so: a further run happens once with it where the client has a key
    /// ([`Client::with_key`]).
    pub async fn run(&mut self) -> Result<Results> {
        self.start().await?;
        Ok(Results { block: Arc::clone(&self.block) })
    }

    /// The blocking twin of [`Transaction::run`].
    pub fn run_blocking(&mut self) -> Result<Results> {
        self.start().wait()?;
        Ok(Results { block: Arc::clone(&self.block) })
    }
}

impl Results {
    /// The result of a call.
    pub fn get<T>(&self, call: &Planned<T>) -> Result<T> {
        let transaction = self.block.lock();
        // SAFETY: the transaction is locked while its answer is used; `take` and `read` belong to
        // one method, and the library refuses the answer of another one.
        unsafe {
            let answer = sys::pierre_transaction_answer(*transaction, call.index);
            let raw = call.take.take(answer)?;
            (call.read)(&raw)
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Transaction").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Planned<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Planned").field(&self.index).finish()
    }
}

impl fmt::Debug for Results {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Results").finish_non_exhaustive()
    }
}
