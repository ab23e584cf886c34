//! tokio: its two schedulers, calls that it drops or aborts, and threads that block.

use crate::{api_key, connections, executor, user, TASKS};
use futures_lite::{stream, StreamExt};
use pierre_db::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{oneshot, Semaphore};
use tokio::task::{block_in_place, spawn, spawn_blocking, yield_now, JoinSet};

const CALLS: u32 = 10;
const SHORT: Duration = Duration::from_millis(20);

/// What a server does for a task: each gets the answers to its own calls.
pub(crate) async fn requests(client: Client, key: String) -> Result<()> {
    let hash = Secret::from("a hash");
    for call in 0..CALLS {
        let found = client.authenticate_api_key(&key, &hash).await?.expect("the key");
        assert_eq!((&found.api_key.id, found.current_usage), (&key, call));
        client.record_api_key_usage(&ApiKeyUsageInput::new(&key[..], "tool", 200)).await?;
    }
    Ok(())
}

async fn many_tasks() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let key = format!("key {}", number);
        api_key(&client, owner, &key);
        tasks.spawn(requests(client.clone(), key));
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no task panics")?;
    }
    assert_eq!(connections(&client), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_on_several_threads() -> Result<()> {
    many_tasks().await
}

#[tokio::test]
async fn many_tasks_on_one_thread() -> Result<()> {
    many_tasks().await
}

/// A call that waits lets the other tasks of its thread run.
#[tokio::test]
async fn a_waiting_call_does_not_block_its_thread() -> Result<()> {
    let client = Client::private()?;
    client.daemon_pause().await?;
    let waiting = spawn({
        let client = client.clone();
        async move { client.get_user_count().await }
    });
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!waiting.is_finished());
    client.daemon_resume().await?;
    assert_eq!(waiting.await.expect("no panic")?, 0);
    Ok(())
}

#[tokio::test]
async fn a_dropped_call_harms_no_other() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    client.daemon_pause().await?;
    let kept = spawn({
        let client = client.clone();
        async move { client.get_user_count().await }
    });
    for _ in 0..20 {
        assert!(tokio::time::timeout(SHORT / 20, client.get_user(owner)).await.is_err());
        tokio::select! {
            biased;
            _ = client.update_last_active(owner) => panic!("the daemon is paused"),
            _ = std::future::ready(()) => {}
        }
    }
    client.daemon_resume().await?;
    assert_eq!(kept.await.expect("no panic")?, 1);
    assert_eq!(client.get_user(owner).await?.map(|user| user.id), Some(owner));
    assert_eq!(connections(&client), 1);
    Ok(())
}

#[tokio::test]
async fn a_deadline() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    client.daemon_pause().await?;
    let hurried = client.with_deadline(SHORT);
    let (read, write) = tokio::join!(hurried.get_user(owner), hurried.update_last_active(owner));
    assert!(matches!(&read, Err(Error::NoAnswer(_))), "{:?}", read);
    assert_eq!(write.unwrap_err().outcome(), Outcome::Unknown);
    client.daemon_resume().await?;
    assert!(client.get_user(owner).await?.is_some());
    Ok(())
}

/// Each way to wait for an answer on a thread of the runtime, while other tasks have calls.
async fn wait_without_awaiting(client: Client) -> Result<()> {
    assert_eq!(client.get_user_count_blocking()?, 1);
    assert_eq!(executor::block_on(client.get_user_count())?, 1);
    assert_eq!(futures_lite::future::block_on(client.get_user_count())?, 1);
    assert_eq!(async_std::task::block_on(client.get_user_count())?, 1);
    let within = client.clone();
    let waited = spawn_blocking(move || -> Result<i64> {
        within.get_user_count_blocking()?;
        tokio::runtime::Handle::current().block_on(within.get_user_count())
    });
    assert_eq!(waited.await.expect("no panic")?, 1);
    assert_eq!(client.get_user_count().await?, 1);
    Ok(())
}

async fn waiting_tasks() -> Result<()> {
    let client = Client::private()?;
    user(&client);
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        tasks.spawn(wait_without_awaiting(client.clone()));
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no task panics")?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_on_worker_threads() -> Result<()> {
    waiting_tasks().await?;
    let client = Client::private()?;
    let handle = tokio::runtime::Handle::current();
    assert_eq!(block_in_place(|| handle.block_on(client.get_user_count()))?, 0);
    Ok(())
}

#[tokio::test]
async fn blocking_on_the_only_thread() -> Result<()> {
    waiting_tasks().await
}

/// For each title: whether its write was answered.
type Written = Arc<Mutex<BTreeMap<String, bool>>>;

async fn write_goals(client: Client, owner: Uuid, task: usize, all: Written, some: Arc<Semaphore>) {
    for number in 0.. {
        let title = format!("{} {}", task, number);
        all.lock().unwrap().insert(title.clone(), false);
        let goal = Document::new(format!("{{\"title\": \"{}\"}}", title));
        client.create_goal(owner, &goal).await.expect("a goal");
        all.lock().unwrap().insert(title, true);
        some.add_permits(1);
    }
}

/// Tasks are aborted in the middle of a write: that one may be stored, the ones before it are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_tasks() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    let (written, answered) = (Written::default(), Arc::new(Semaphore::new(0)));
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let shared = (Arc::clone(&written), Arc::clone(&answered));
        tasks.spawn(write_goals(client.clone(), owner, task, shared.0, shared.1));
    }
    let _enough = answered.acquire_many(200).await.expect("an open semaphore");
    tasks.abort_all();
    while let Some(task) = tasks.join_next().await {
        assert!(task.unwrap_err().is_cancelled());
    }
    let written = std::mem::take(&mut *written.lock().unwrap());
    assert!(written.values().filter(|answered| !**answered).count() <= 32);
    assert!(written.values().any(|answered| !answered), "no task was aborted in a write");
    let mut stored = BTreeMap::new();
    let mut pages = client.get_user_goals_pages(owner, 100);
    while let Some(page) = pages.next().await? {
        for goal in page {
            *stored.entry(goal.title).or_insert(0) += 1;
        }
    }
    assert!(stored.iter().all(|(title, count)| *count == 1 && written.contains_key(title)));
    let lost = |(title, answered): &(&String, &bool)| **answered && !stored.contains_key(*title);
    assert_eq!(written.iter().find(lost), None);
    Ok(())
}

/// The runtime ends with a call that is not answered; the client goes on in another one.
#[test]
fn a_runtime_that_ends() -> Result<()> {
    let client = Client::private()?;
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let first = runtime();
    client.daemon_pause_blocking()?;
    let (sender, sent) = oneshot::channel();
    first.spawn({
        let client = client.clone();
        async move {
            let mut call = Box::pin(client.get_user_count());
            let first = futures_lite::future::poll_once(&mut call).await;
            let _ = sender.send(first.is_none());
            call.await
        }
    });
    assert!(first.block_on(sent).expect("the task runs"));
    drop(first);
    client.daemon_resume_blocking()?;
    assert_eq!(runtime().block_on(client.get_user_count())?, 0);
    Ok(())
}

async fn goals(client: &Client, owner: Uuid, count: usize) -> Result<Vec<Uuid>> {
    let mut all = client.transaction()?;
    let planned = (0..count)
        .map(|number| all.create_goal(owner, &Document::new(format!("{{\"target\": {}}}", number))))
        .collect::<Result<Vec<_>>>()?;
    let results = all.run().await?;
    planned.iter().map(|one| results.get(one)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_and_pages() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    let written = spawn({
        let client = client.clone();
        async move { goals(&client, owner, 7).await }
    });
    let mut written = written.await.expect("no panic")?;
    let pages = client.get_user_goals_pages(owner, 3);
    let pages = stream::try_unfold(pages, |mut pages| async move {
        Ok::<_, Error>(pages.next().await?.map(|page| (page, pages)))
    });
    let pages: Vec<Vec<Goal>> = spawn(pages.try_collect()).await.expect("no panic")?;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let mut listed: Vec<Uuid> = pages.concat().iter().map(|goal| goal.id).collect();
    listed.sort();
    written.sort();
    assert_eq!(listed, written);
    Ok(())
}
