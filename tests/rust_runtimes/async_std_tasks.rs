//! async-std: tasks, a timeout, and threads that block.

use crate::tokio_tasks::requests;
use crate::{api_key, connections, user, TASKS};
use async_std::{future, task};
use pierre_db::*;
use std::time::Duration;

#[test]
fn many_tasks() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client);
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let key = format!("key {}", number);
            api_key(&client, owner, &key);
            task::spawn(requests(client.clone(), key))
        })
        .collect();
    task::block_on(async {
        for task in tasks {
            task.await?;
        }
        Ok::<_, Error>(())
    })?;
    assert_eq!(connections(&client), 1);
    Ok(())
}

#[test]
fn dropped_and_cancelled_calls() -> Result<()> {
    let client = Client::private()?;
    task::block_on(async {
        client.daemon_pause().await?;
        let call = future::timeout(Duration::from_millis(1), client.get_user_count());
        assert!(call.await.is_err());
        let cancelled = task::spawn({
            let client = client.clone();
            async move { client.get_user_count().await }
        });
        assert!(cancelled.cancel().await.is_none());
        client.daemon_resume().await?;
        assert_eq!(client.get_user_count().await?, 0);
        Ok(())
    })
}

#[test]
fn blocking_in_a_task() -> Result<()> {
    let client = Client::private()?;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            task::spawn(async move {
                assert_eq!(client.get_user_count_blocking()?, 0);
                assert_eq!(task::block_on(client.get_user_count())?, 0);
                let within = client.clone();
                let blocking = task::spawn_blocking(move || within.get_user_count_blocking());
                assert_eq!(blocking.await?, 0);
                client.get_user_count().await
            })
        })
        .collect();
    for one in tasks {
        assert_eq!(task::block_on(one)?, 0);
    }
    Ok(())
}
