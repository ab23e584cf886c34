//! The examples, each of which checks itself.

use std::path::PathBuf;
use std::process::Command;

/// cargo has built them beside this program.
fn run(name: &str) -> String {
    let own = std::env::current_exe().expect("this program");
    let built: PathBuf =
        own.parent().and_then(|deps| deps.parent()).expect("a folder").join("examples");
    let done = Command::new(built.join(name))
        .output()
        .unwrap_or_else(|error| panic!("{}: {}", name, error));
    let output = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{}: {}{}", name, output, String::from_utf8_lossy(&done.stderr));
    output
}

#[test]
fn provider() {
    assert!(run("provider").contains("46 methods"));
}

#[test]
fn request_path() {
    assert!(run("request_path").contains("64 tasks"));
}

#[test]
fn token_refresh() {
    assert!(run("token_refresh").contains("refreshed once"));
}
