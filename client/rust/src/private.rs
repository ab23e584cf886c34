//! A daemon for a test: on a new database in memory, with a new key.

use crate::error::{Error, Result};
use crate::sys;
use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(30);
/// What the daemon sees of the environment.
const PASSED: [&str; 6] =
    ["PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"];

/// A running daemon. It ends when this is dropped; and when the process ends in another way, because
/// the kernel ends it with the thread that started it.
pub(crate) struct Daemon {
    end: Option<SyncSender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts a daemon: it, and the path of its socket.
    pub(crate) fn start() -> Result<(Daemon, String)> {
        let (started, start) = channel();
        let (end, ended) = sync_channel(1);
        let keeper = thread::Builder::new()
            .name("pierre-dbd".into())
            .spawn(move || keep(&started, &ended))
            .map_err(failed)?;
        let daemon = Daemon { end: Some(end), keeper: Some(keeper) };
        let socket = start.recv().map_err(|_| failed("its thread has ended"))??;
        Ok((daemon, socket))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn failed(why: impl std::fmt::Display) -> Error {
    Error::no_connection(format!("cannot start a private daemon: {}", why))
}

/// The thread of a daemon: starts it, and ends it when the other side hangs up.
fn keep(started: &Sender<Result<String>>, ended: &Receiver<()>) {
    let running = match Running::start() {
        Ok(running) => running,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(running.path("socket")));
    let _ = ended.recv();
}

/// The process and its folder.
struct Running {
    folder: PathBuf,
    child: Option<Child>,
}

impl Running {
    fn start() -> Result<Running> {
        let mut running = Running { folder: new_folder().map_err(failed)?, child: None };
        let ready = UnixDatagram::bind(running.path("ready")).map_err(failed)?;
        running.child = Some(running.spawn()?);
        running.wait(&ready)?;
        Ok(running)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn spawn(&self) -> Result<Child> {
        let program = program();
        let log = File::create(self.path("log")).map_err(failed)?;
        let mut command = Command::new(&program);
        command
            .args(["--database-url", "sqlite::memory:", "--bcrypt-cost", "4"])
            .args(["--socket", &self.path("socket")])
            .env_clear()
            .envs(PASSED.iter().filter_map(|name| Some((name, env::var_os(name)?))))
            .env("ENCRYPTION_KEY", new_key().map_err(failed)?)
            .env("NOTIFY_SOCKET", self.path("ready"))
            .env("HOME", &self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        // SAFETY: only a system call is made between fork() and exec().
        unsafe {
            command.pre_exec(|| match sys::prctl(sys::PR_SET_PDEATHSIG, sys::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        command.spawn().map_err(|error| failed(format!("{}: {}", program.display(), error)))
    }

    /// Waits until the daemon reports that it answers.
    fn wait(&mut self, ready: &UnixDatagram) -> Result<()> {
        let end = Instant::now() + START;
        let mut message = [0; 256];
        ready.set_read_timeout(Some(Duration::from_millis(20))).map_err(failed)?;
        loop {
            if let Ok(length) = ready.recv(&mut message) {
                if message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                    return Ok(());
                }
                continue;
            }
            let child = self.child.as_mut().ok_or_else(|| failed("it has no process"))?;
            if child.try_wait().map_err(failed)?.is_some() || Instant::now() > end {
                let log = fs::read_to_string(self.path("log")).unwrap_or_default();
                return Err(failed(log.lines().last().unwrap_or("it is not ready")));
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill(); // its database is in memory: nothing is lost
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The program: that of the environment, of the tree's build, or of the `PATH`.
fn program() -> PathBuf {
    let given = env::var_os("PIERRE_DBD").map(PathBuf::from);
    // The daemon runs in a folder of its own.
    let given = given.map(|path| path.canonicalize().unwrap_or(path));
    let built = option_env!("PIERRE_DB_DAEMON").map(PathBuf::from).filter(|path| path.exists());
    given.or(built).unwrap_or_else(|| PathBuf::from("pierre-dbd"))
}

/// A folder that only this user can enter. A socket's path must be short.
fn new_folder() -> io::Result<PathBuf> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let parent = Some(env::temp_dir()).filter(|path| path.as_os_str().len() < 60);
    let parent = parent.unwrap_or_else(|| Path::new("/tmp").to_path_buf());
    loop {
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("pierre-db-{}-{}", std::process::id(), number));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            done => return done.map(|()| folder),
        }
    }
}

/// 32 random bytes in base64.
fn new_key() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(base64(&bytes))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let bits = part.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - part.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= part.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_with_its_padding() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore)] // reads a device
    fn keys_are_of_32_bytes_and_differ() {
        let key = new_key().unwrap();
        assert_eq!(key.len(), 44);
        assert_ne!(key, new_key().unwrap());
    }
}
