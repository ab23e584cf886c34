//! Errors, time limits, and connections that break.

use crate::executor::block_on;
use crate::user;
use pierre_db::*;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::Duration;

#[test]
fn kinds_and_members() -> Result<()> {
    let client = Client::private()?;
    user(&client, "ana@example.com");
    let mut again = NewUser::new("ana@example.com");
    again.password_hash = Some(crate::HASH.into());
    let taken = client.create_user_blocking(&again).unwrap_err();
    assert!(
        matches!(&taken, Error::Conflict(failure) if failure.field.as_deref() == Some("email"))
    );
    assert_eq!(
        (taken.kind(), taken.outcome(), taken.is_retryable()),
        ("conflict", Outcome::None, false)
    );
    assert_eq!(taken.failure().code, -32002);
    let unknown = client.update_last_active_blocking(Uuid::default()).unwrap_err();
    assert!(matches!(unknown, Error::NotFound(_)));
    let refused = client.create_user_blocking(&NewUser::new("no address")).unwrap_err();
    assert!(matches!(&refused, Error::InvalidParams(failure) if failure.path.is_some()));
    let nul = client.get_user_by_email_blocking("a\0b").unwrap_err();
    assert_eq!(nul.failure().path.as_deref(), Some("email"));
    let nul = block_on(client.create_user(&NewUser::new("a\0b"))).unwrap_err();
    assert_eq!(nul.failure().path.as_deref(), Some("user.email"));
    let usages = [ApiKeyUsageInput::new("none", "tool", 200)];
    let missing = client.record_api_key_usages_blocking(&usages).unwrap_err();
    assert_eq!(missing.failure().path.as_deref(), Some("usages[0].api_key_id"));
    let wrong = client.upsert_user_profile_blocking(Uuid::default(), &Document::new("[1]"));
    assert!(matches!(wrong, Err(Error::InvalidParams(_))));
    Ok(())
}

#[test]
fn urls() {
    for wrong in ["", "/run/s", "sqlite:/x", "pierre-dbd:relative", "pierre-dbd:/a\0b"] {
        assert!(matches!(Client::connect(wrong), Err(Error::InvalidParams(_))), "{}", wrong);
    }
    assert!(Client::connect("pierre-dbd:").is_ok());
}

#[test]
fn nobody_listens() -> Result<()> {
    for url in ["pierre-dbd:/nonexistent/socket", "pierre-dbd:///nonexistent/socket"] {
        let client = Client::builder().connect_timeout(Duration::from_secs(0)).connect(url)?;
        for error in [client.get_user_count_blocking(), block_on(client.get_user_count())] {
            let error = error.unwrap_err();
            assert!(matches!(error, Error::NoConnection(_)) && error.is_retryable());
            assert!(error.to_string().contains("/nonexistent/socket"), "{}", error);
        }
    }
    Ok(())
}

#[test]
fn a_deadline_for_each_call() -> Result<()> {
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    client.daemon_pause_blocking()?;
    let hurried = client.with_deadline(Duration::from_millis(30));
    let read = hurried.get_user_blocking(owner).unwrap_err();
    assert!(matches!(read, Error::NoAnswer(_)) && read.outcome() == Outcome::None);
    let write = block_on(hurried.update_last_active(owner)).unwrap_err();
    assert!(matches!(write, Error::NoAnswer(_)) && write.outcome() == Outcome::Unknown);
    client.daemon_resume_blocking()?;
    assert!(client.get_user_blocking(owner)?.is_some());
    Ok(())
}

#[test]
fn a_key_makes_a_write_happen_once() -> Result<()> {
    let client = Client::private()?;
    let mut ana = NewUser::new("ana@example.com");
    ana.password_hash = Some(crate::HASH.into());
    let once = client.with_key("the key of a test")?;
    assert_eq!(once.create_user_blocking(&ana)?, once.create_user_blocking(&ana)?);
    assert_eq!(client.get_user_count_blocking()?, 1);
    ana.email = "bob@example.com".into();
    let other = once.create_user_blocking(&ana);
    assert!(matches!(other, Err(Error::InvalidRequest(_))));
    assert!(matches!(
        client.with_key("")?.create_user_blocking(&ana),
        Err(Error::InvalidParams(_))
    ));
    assert!(matches!(client.with_key("a\0b"), Err(Error::InvalidParams(_))));
    Ok(())
}

/// A socket that answers as the test says.
struct Fake {
    path: PathBuf,
    lines: Receiver<String>,
}

impl Fake {
    /// Each connection is given to `serve` with its number; lines go to the test.
    fn start(name: &str, serve: fn(usize, &str) -> Option<String>) -> Fake {
        let path =
            std::env::temp_dir().join(format!("pierre-db-fake-{}-{}", std::process::id(), name));
        let listener = UnixListener::bind(&path).expect("a socket");
        let (sent, lines) = channel();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let stream: UnixStream = stream.expect("a connection");
                for line in BufReader::new(&stream).lines() {
                    let line = match line {
                        Ok(line) => line,
                        Err(_) => break,
                    };
                    let answer = serve(number, &line);
                    let _ = sent.send(line);
                    match answer {
                        Some(answer) => (&stream).write_all(answer.as_bytes()).expect("a peer"),
                        None => break, // closes the connection
                    }
                }
            }
        });
        Fake { path, lines }
    }

    fn client(&self) -> Result<Client> {
        Client::connect(&format!("pierre-dbd:{}", self.path.display()))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The answer to a line with its id.
fn answer(line: &str, result: &str) -> String {
    let id: String = line
        .split("\"id\":")
        .nth(1)
        .unwrap_or("")
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}}\n", id, result)
}

#[test]
fn a_broken_connection_is_opened_again() -> Result<()> {
    let fake = Fake::start("again", |number, line| Some(answer(line, "41")).filter(|_| number > 0));
    let client = fake.client()?;
    assert_eq!(block_on(client.get_user_count())?, 41); // a read is repeated
    assert_eq!(fake.lines.try_iter().count(), 2);
    Ok(())
}

/// All lines have one key.
fn repeated_with_a_key(fake: &Fake) {
    let lines: Vec<String> = fake.lines.try_iter().collect();
    let keys: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split("\"idempotency_key\":\"").nth(1)?.split('"').next())
        .collect();
    assert_eq!((keys.len(), lines.len()), (3, 3));
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[test]
fn a_write_is_repeated_with_its_key() -> Result<()> {
    let fake =
        Fake::start("write", |number, line| Some(answer(line, "null")).filter(|_| number > 1));
    block_on(fake.client()?.update_last_active(Uuid::default()))?;
    repeated_with_a_key(&fake);
    Ok(())
}

#[test]
fn so_is_a_transaction() -> Result<()> {
    let fake = Fake::start("all", |number, line| Some(answer(line, "[7]")).filter(|_| number > 1));
    let mut all = fake.client()?.transaction()?;
    let count = all.get_user_count()?;
    assert_eq!(block_on(all.run())?.get(&count)?, 7);
    repeated_with_a_key(&fake);
    Ok(())
}

#[test]
fn without_repeats_the_outcome_is_unknown() -> Result<()> {
    let fake = Fake::start("none", |_, _| None);
    let url = format!("pierre-dbd:{}", fake.path.display());
    let client = Client::builder().repeats(false).connect(&url)?;
    let error = client.update_last_active_blocking(Uuid::default()).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(!fake.lines.recv().expect("a line").contains("idempotency_key"));
    Ok(())
}

#[test]
fn an_answer_that_cannot_be_read() -> Result<()> {
    let fake = Fake::start("bad", |_, line| {
        Some(answer(line, if line.contains("create_user") { "\"no id\"" } else { "[]" }))
    });
    let client = fake.client()?;
    let id = client.create_user_blocking(&NewUser::new("a@b")).unwrap_err();
    assert!(matches!(id, Error::BadAnswer(_)));
    assert!(matches!(client.get_user_blocking(Uuid::default()), Err(Error::BadAnswer(_))));
    Ok(())
}
