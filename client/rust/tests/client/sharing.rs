//! One client for many tasks and threads, and futures that are dropped.

use crate::executor::{block_on, run_all};
use crate::{api_key, user};
use pierre_db::*;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

const TASKS: usize = 64;
const CALLS: usize = 20;

/// Each task gets the answers to its own calls, whichever thread runs it.
#[test]
fn many_tasks_on_several_threads() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    for task in 0..TASKS {
        api_key(&client, owner, &format!("key {}", task));
    }
    let finished = Arc::new(AtomicUsize::new(0));
    let task = |number: usize| {
        let (client, finished) = (client.clone(), Arc::clone(&finished));
        async move {
            let key = format!("key {}", number);
            let hash = Secret::from(format!("hash of {}", key));
            for call in 0..CALLS {
                let found = client.authenticate_api_key(&key, &hash).await.unwrap().unwrap();
                assert_eq!((&found.api_key.id, found.current_usage), (&key, call as u32));
                let usage = ApiKeyUsageInput::new(&key[..], "tool", 200);
                client.record_api_key_usage(&usage).await.unwrap();
            }
            finished.fetch_add(1, Ordering::Relaxed);
        }
    };
    run_all(3, (0..TASKS).map(task).collect());
    assert_eq!(finished.load(Ordering::Relaxed), TASKS);
    Ok(())
}

#[test]
fn many_threads_that_block() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let client = client.clone();
            thread::spawn(move || {
                for call in 0..CALLS {
                    let title = format!("{{\"title\": \"{} {}\"}}", number, call);
                    client.create_goal_blocking(owner, &Document::new(title)).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no call fails");
    }
    assert_eq!(client.get_user_goals_blocking(owner, None, None)?.len(), 8 * CALLS);
    Ok(())
}

/// A blocking call, and a block_on, within a task.
#[test]
fn waiting_inside_a_task() -> Result<()> {
    let client = Client::private()?;
    let tasks = (0..4).map(|_| {
        let client = client.clone();
        async move {
            assert_eq!(client.get_user_count_blocking().unwrap(), 0);
            assert_eq!(block_on(client.get_user_count()).unwrap(), 0);
            assert_eq!(client.get_user_count().await.unwrap(), 0);
        }
    });
    run_all(1, tasks.collect());
    Ok(())
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

pub fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::new(Nothing))))
}

#[test]
fn dropped_futures_are_cancelled() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    drop(client.get_user(owner)); // never begun
    client.daemon_pause_blocking()?;
    for _ in 0..50 {
        let mut first = Box::pin(client.get_user(owner));
        let mut second = Box::pin(client.update_last_active(owner));
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
    }
    let mut kept = Box::pin(client.get_user_count());
    assert!(poll_once(kept.as_mut()).is_pending());
    client.daemon_resume_blocking()?;
    assert_eq!(block_on(kept)?, 1);
    Ok(())
}

/// Futures that are dropped while their answers arrive.
#[test]
fn dropped_at_any_moment() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    let tasks = (0..16).map(|number| {
        let client = client.clone();
        async move {
            for call in 0..40 {
                let mut future = Box::pin(client.get_user(owner));
                if let Poll::Ready(answer) = poll_once(future.as_mut()) {
                    assert!(answer.unwrap().is_some());
                } else if (number + call) % 3 == 0 {
                    assert!(future.await.unwrap().is_some());
                }
            }
        }
    });
    run_all(3, tasks.collect());
    assert_eq!(client.get_user_count_blocking()?, 1);
    Ok(())
}

/// A forgotten future keeps its own memory, and nothing else.
#[test]
fn forgotten_futures_harm_nobody() -> Result<()> {
    let client = Client::private()?;
    let mut future = Box::pin(client.get_user_count());
    let _ = poll_once(future.as_mut());
    std::mem::forget(future);
    assert_eq!(client.get_user_count_blocking()?, 0);
    Ok(())
}

/// A waker runs on the client's own thread; there it may end the client.
#[test]
fn the_last_clone_is_dropped_by_a_waker() -> Result<()> {
    struct Last(Mutex<Option<Client>>, Mutex<Option<std::sync::mpsc::Sender<()>>>);
    impl Wake for Last {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
            drop(self.1.lock().unwrap().take());
        }
    }
    let client = Client::private()?;
    client.daemon_pause_blocking()?;
    let (sender, woken) = std::sync::mpsc::channel::<()>();
    let last = Arc::new(Last(Mutex::new(Some(client.clone())), Mutex::new(Some(sender))));
    // The future owns its client, so that the waker's is the last one.
    let mut future = Box::pin({
        let client = client.with_deadline(std::time::Duration::from_millis(30));
        async move {
            let result = client.get_user_count().await;
            (result, client)
        }
    });
    let waker = Waker::from(Arc::clone(&last));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(client);
    assert!(woken.recv().is_err()); // the waker has run
    let (result, client) = block_on(future);
    assert!(matches!(result, Err(Error::NoAnswer(_))));
    drop(client);
    Ok(())
}

/// A waker may wait for the thread that ends the client, which does not wait for it.
#[test]
fn the_end_waits_for_no_waker() -> Result<()> {
    struct Waits {
        entered: std::sync::mpsc::SyncSender<()>,
        held: Arc<Mutex<()>>,
    }
    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            let _ = self.entered.send(());
            drop(self.held.lock());
        }
    }
    let client = Client::private()?;
    client.daemon_pause_blocking()?;
    let held = Arc::new(Mutex::new(()));
    let (entered, waker_runs) = std::sync::mpsc::sync_channel(1);
    let waker = Waker::from(Arc::new(Waits { entered, held: Arc::clone(&held) }));
    let guard = held.lock().unwrap();
    let hurried = client.with_deadline(std::time::Duration::from_millis(30));
    let mut future = Box::pin(async move { hurried.get_user_count().await });
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    waker_runs.recv().expect("the waker");
    drop(future);
    drop(client);
    drop(guard);
    Ok(())
}

/// The number of the daemon's clients while so many calls are unfinished.
fn connections_with(client: &Client, calls: usize) -> Result<usize> {
    client.daemon_pause_blocking()?;
    let mut waiting: Vec<_> = (0..calls).map(|_| Box::pin(client.get_user_count())).collect();
    for one in &mut waiting {
        assert!(poll_once(one.as_mut()).is_pending());
    }
    let listed = client.daemon_clients_blocking()?;
    client.daemon_resume_blocking()?;
    for one in waiting {
        assert_eq!(block_on(one)?, 0);
    }
    Ok(listed.as_str().matches("\"pid\"").count())
}

#[test]
fn many_calls_take_more_connections() -> Result<()> {
    let client = Client::private()?;
    assert_eq!(connections_with(&client, 1)?, 1);
    assert!(connections_with(&client, 300)? > 1);
    let client = Client::builder().connections(1).private()?;
    assert_eq!(connections_with(&client, 200)?, 1);
    Ok(())
}
