//! Lists in pages.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use std::fmt;

type Fetch<T> = Box<dyn Fn(&Client, u32, Option<&T>) -> Call<Vec<T>> + Send + Sync>;

/// The pages of a list, each behind the last row of the one before: none of its rows comes twice and
/// none is left out while others are written.
///
/// ```
/// # fn main() -> pierre_db::Result<()> {
/// # let client = pierre_db::Client::private()?;
/// # let user = pierre_db::Uuid::default();
/// let mut pages = client.get_user_goals_pages(user, 100);
/// while let Some(goals) = pages.next_blocking()? { // in a task: pages.next().await?
///     for goal in goals {
///         println!("{}", goal.title);
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Pages<T> {
    client: Client,
    size: u32,
    fetch: Fetch<T>,
    last: Option<T>,
    ended: bool,
}

impl<T: Clone> Pages<T> {
    pub(crate) fn new(
        client: &Client,
        size: u32,
        fetch: impl Fn(&Client, u32, Option<&T>) -> Call<Vec<T>> + Send + Sync + 'static,
    ) -> Pages<T> {
        let size = size.max(1);
        Pages { client: client.clone(), size, fetch: Box::new(fetch), last: None, ended: false }
    }

    fn start(&self) -> Option<Call<Vec<T>>> {
        if self.ended {
            return None;
        }
        Some((self.fetch)(&self.client, self.size, self.last.as_ref()))
    }

    fn take(&mut self, rows: Vec<T>) -> Option<Vec<T>> {
        self.ended = rows.len() < self.size as usize;
        self.last = rows.last().cloned();
        Some(rows).filter(|rows| !rows.is_empty())
    }

    /// The next page; None behind the last one. After an error it may be asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>> {
        let rows = match self.start() {
            Some(call) => call.await?,
            None => return Ok(None),
        };
        Ok(self.take(rows))
    }

    /// The blocking twin of [`Pages::next`].
    pub fn next_blocking(&mut self) -> Result<Option<Vec<T>>> {
        let rows = match self.start() {
            Some(call) => call.wait()?,
            None => return Ok(None),
        };
        Ok(self.take(rows))
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pages")
            .field("size", &self.size)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
