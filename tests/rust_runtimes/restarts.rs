//! A daemon that is killed and started again while tasks use it.

use crate::{api_key, user};
use pierre_db::*;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(120);
const WRITERS: usize = 16;
const WRITES: u32 = 40;

/// A daemon with its database in a folder of its own.
struct Daemon {
    folder: PathBuf,
    process: Child,
}

impl Daemon {
    fn new() -> Daemon {
        let folder =
            std::env::temp_dir().join(format!("pierre-db-runtimes-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a new folder");
        Daemon { process: Daemon::start(&folder), folder }
    }

    fn start(folder: &Path) -> Child {
        Command::new(std::env::var_os("PIERRE_DBD").expect("PIERRE_DBD is set"))
            .arg("--socket")
            .arg(folder.join("socket"))
            .arg("--database-url")
            .arg(format!("sqlite:{}/pierre.db", folder.display()))
            .env("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the daemon starts")
    }

    fn kill(&mut self) {
        self.process.kill().expect("a running daemon");
        self.process.wait().expect("its end");
    }

    fn restart(&mut self) {
        self.kill();
        self.process = Daemon::start(&self.folder);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn write(client: Client, key: String, answered: Arc<Semaphore>) -> Result<u32> {
    let usage = ApiKeyUsageInput::new(&key[..], "tool", 200);
    for _ in 0..WRITES {
        client.record_api_key_usage(&usage).await?;
        answered.add_permits(1);
    }
    client.get_api_key_current_usage(&key).await
}

/// Each write is answered, and has happened once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_is_killed() -> Result<()> {
    let mut daemon = Daemon::new();
    let url = format!("pierre-dbd:{}/socket", daemon.folder.display());
    let client = Client::builder().connect_timeout(LONG).deadline(Some(LONG)).connect(&url)?;
    let owner = user(&client);
    let answered = Arc::new(Semaphore::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..WRITERS {
        let key = format!("key {}", number);
        api_key(&client, owner, &key);
        tasks.spawn(write(client.clone(), key, Arc::clone(&answered)));
    }
    for _ in 0..2 {
        answered.acquire_many(100).await.expect("an open semaphore").forget();
        daemon.restart();
    }
    while let Some(task) = tasks.join_next().await {
        assert_eq!(task.expect("no task panics")?, WRITES);
    }
    Ok(())
}
