//! Secrets leave nothing in the memory of the process.

use crate::executor::block_on;
use crate::private::{again, ROLE};
use crate::user;
use pierre_db::*;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// A random secret that this process can look for: its bytes are kept inverted.
struct Hidden(Vec<u8>);

impl Hidden {
    fn new() -> Hidden {
        let mut random = [0; LENGTH];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut random))
            .expect("bytes");
        Hidden(random.iter().map(|byte| !(b'a' + byte % 26)).collect())
    }

    fn secret(&self) -> Secret {
        let mut text = String::with_capacity(self.0.len());
        text.extend(self.0.iter().map(|byte| char::from(!byte)));
        Secret::from(text)
    }

    fn is_at(&self, memory: &[u8]) -> bool {
        memory.iter().zip(&self.0).all(|(byte, hidden)| *byte == !hidden)
    }
}

const LENGTH: usize = 24;
const PART: usize = 4096;

/// The ranges of memory that can be written, with their lines.
fn mappings() -> Vec<(u64, u64, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the mappings");
    let number = |text| u64::from_str_radix(text, 16).expect("a number");
    maps.lines()
        .filter(|map| map.contains(" rw"))
        .filter_map(|map| {
            let (start, end) = map.split_once(' ')?.0.split_once('-')?;
            Some((number(start), number(end), map.to_string()))
        })
        .collect()
}

/// Where one of the secrets is.
fn found(secrets: &[&Hidden]) -> Vec<String> {
    let memory = File::open("/proc/self/mem").expect("the memory");
    let zeros = [0; PART + LENGTH];
    let mut part = vec![0; PART + LENGTH];
    let own = part.as_ptr() as u64..part.as_ptr() as u64 + part.len() as u64;
    let mut found = Vec::new();
    for (start, end, map) in mappings() {
        for at in (start..end).step_by(PART) {
            let size = part.len().min((end - at) as usize);
            if memory.read_exact_at(&mut part[..size], at).is_err() || part[..size] == zeros[..size]
            {
                continue; // such as a guard page
            }
            for (place, bytes) in part[..size].windows(LENGTH).take(PART).enumerate() {
                let address = at + place as u64;
                if !own.contains(&address) && secrets.iter().any(|secret| secret.is_at(bytes)) {
                    found.push(format!("{:x} in {}", address, map));
                }
            }
        }
    }
    found
}

fn use_tokens(client: &Client, owner: Uuid, access: &Hidden, refresh: &Hidden) -> Result<()> {
    let expires = Time::now() + Duration::from_secs(3600);
    let (one, other) = (access.secret(), refresh.secret());
    client.update_strava_token_blocking(owner, &one, &other, expires, "read", None)?;
    block_on(client.update_strava_token(owner, &one, &other, expires, "read", None))?;
    let mut all = client.transaction()?;
    all.update_fitbit_token(owner, &one, &other, expires, "read", None)?;
    let planned = all.get_fitbit_token(owner)?;
    let results = all.run_blocking()?;
    assert_eq!(results.get(&planned)?.map(|token| token.access_token), Some(access.secret()));
    let token = block_on(client.get_strava_token(owner))?.expect("a token");
    assert_eq!(token.clone().refresh_token, other);
    let found = client.get_user_blocking(owner)?.expect("the user");
    assert!(found.strava_token.is_some());
    let lease = client.lease_token_refresh_blocking(owner, Provider::Strava, None)?;
    assert_eq!(lease.token, Some(token));
    Ok(())
}

#[test]
fn secrets_are_wiped() -> Result<()> {
    if std::env::var(ROLE).is_err() {
        let (passed, output, _) = again("wiping::secrets_are_wiped", "alone");
        assert!(passed, "{}", output);
        return Ok(());
    }
    let client = Client::private()?;
    let owner = user(&client, "ana@example.com");
    let (password, access, refresh) = (Hidden::new(), Hidden::new(), Hidden::new());
    let known = password.secret();
    assert_eq!(found(&[&password]).len(), 1);
    drop(known);
    let mut bob = NewUser::new("bob@example.com");
    bob.password = Some(password.secret());
    client.create_user_blocking(&bob)?;
    assert!(client.verify_user_password_blocking(&bob.email, &password.secret())?.is_some());
    drop(bob);
    use_tokens(&client, owner, &access, &refresh)?;
    // The client still has its connection. Its thread has done with the answers before.
    client.daemon_ping_blocking()?;
    assert_eq!(found(&[&password, &access, &refresh]), Vec::<String>::new());
    Ok(())
}
