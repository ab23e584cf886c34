//! A private daemon ends with its client, however that ends.

use pierre_db::{Client, Result};
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const ROLE: &str = "PIERRE_DB_TEST_ROLE";

/// The processes that this one has started and that still run.
fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let stat = |pid: u32| fs::read_to_string(format!("/proc/{}/stat", pid)).ok();
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let fields = stat(*pid).and_then(|text| text.rsplit(')').next().map(String::from));
            fields.map_or(false, |fields| fields.split_whitespace().nth(1) == Some(&own[..]))
        })
        .collect()
}

fn ends(pid: u32) {
    let limit = Instant::now() + Duration::from_secs(20);
    while fs::metadata(format!("/proc/{}", pid)).is_ok() {
        assert!(Instant::now() < limit, "the daemon {} outlives its client", pid);
        thread::sleep(Duration::from_millis(2));
    }
}

fn folders(of: u32) -> usize {
    let prefix = format!("pierre-db-{}-", of);
    fs::read_dir(std::env::temp_dir())
        .expect("a folder")
        .filter(|entry| {
            entry
                .as_ref()
                .map_or(false, |entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        })
        .count()
}

/// Runs a test of this file again, alone in a process of its own, in that role.
pub(crate) fn again(test: &str, role: &str) -> (bool, String, u32) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program runs");
    let pid = child.id();
    let mut output = String::new();
    let mut stdout = child.stdout.take().expect("its output");
    stdout.read_to_string(&mut output).expect("a text");
    (child.wait().expect("an end").success(), output, pid)
}

fn daemon_of(output: &str) -> u32 {
    let found = output.split("daemon=").nth(1).and_then(|rest| rest.split_whitespace().next());
    found.and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("no daemon in {:?}", output))
}

#[test]
fn ends_with_the_last_clone() -> Result<()> {
    if std::env::var(ROLE).is_err() {
        let (passed, output, pid) = again("private::ends_with_the_last_clone", "alone");
        assert!(passed, "{}", output);
        assert_eq!(folders(pid), 0);
        return Ok(());
    }
    let began = Instant::now();
    let client = Client::private()?;
    println!("a private daemon after {:?}", began.elapsed());
    let other = client.clone();
    let daemon = children();
    assert_eq!(daemon.len(), 1);
    drop(client);
    assert_eq!(other.daemon_ping_blocking()?, "pong");
    drop(other);
    assert!(children().is_empty());
    // The thread that started it is not the one that uses it.
    let client = thread::spawn(Client::private).join().expect("no panic")?;
    assert_eq!(client.daemon_ping_blocking()?, "pong");
    Ok(())
}

#[test]
fn ends_when_the_test_panics() {
    if std::env::var(ROLE).is_ok() {
        let _client = Client::private().expect("a daemon");
        println!("daemon={}", children()[0]);
        panic!("a test has failed");
    }
    let (passed, output, pid) = again("private::ends_when_the_test_panics", "panic");
    assert!(!passed);
    ends(daemon_of(&output));
    assert_eq!(folders(pid), 0);
}

#[test]
fn ends_when_the_process_is_killed() {
    if std::env::var(ROLE).is_ok() {
        let _client = Client::private().expect("a daemon");
        println!("daemon={}", children()[0]);
        std::process::abort();
    }
    let (passed, output, pid) = again("private::ends_when_the_process_is_killed", "abort");
    assert!(!passed);
    ends(daemon_of(&output));
    for entry in fs::read_dir(std::env::temp_dir()).expect("a folder").flatten() {
        if entry.file_name().to_string_lossy().starts_with(&format!("pierre-db-{}-", pid)) {
            fs::remove_dir_all(entry.path()).expect("what the killed process has left");
        }
    }
}

#[test]
fn a_daemon_that_does_not_start() {
    if std::env::var(ROLE).is_err() {
        let (passed, output, _) = again("private::a_daemon_that_does_not_start", "alone");
        assert!(passed, "{}", output);
        return;
    }
    for (program, why) in [("/nonexistent", "/nonexistent"), ("/bin/false", "not ready")] {
        std::env::set_var("PIERRE_DBD", program);
        let error = Client::private().unwrap_err();
        assert!(error.to_string().contains(why), "{}", error);
    }
    assert_eq!(folders(std::process::id()), 0);
}
