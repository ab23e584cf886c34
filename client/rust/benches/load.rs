//! The load of scripts/bench: tasks that share one client, on a hand-made executor of one thread.
//!
//! usage: load --target SOCKET --method get_user|record_api_key_usage --keys FILE --tasks N
//!             --pipeline P --calls N
//!
//! Each task has P calls in flight, and the executor runs those that were woken. Prints a line of JSON
//! as the other programs of the benchmark do.

use pierre_db::{ApiKeyUsageInput, Client, Error, Uuid};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks that can run.
struct Ready {
    tasks: Mutex<Vec<usize>>,
    some: Condvar,
}

struct TaskWaker {
    task: usize,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut tasks = self.ready.tasks.lock().unwrap();
        tasks.push(self.task);
        if tasks.len() == 1 {
            self.ready.some.notify_one();
        }
    }
}

/// Runs all of them on this thread.
fn run(mut work: Vec<Option<Work>>) {
    let ready =
        Arc::new(Ready { tasks: Mutex::new((0..work.len()).collect()), some: Condvar::new() });
    let wakers: Vec<Waker> = (0..work.len())
        .map(|task| Waker::from(Arc::new(TaskWaker { task, ready: Arc::clone(&ready) })))
        .collect();
    let mut left = work.len();
    let mut running = Vec::new();
    while left > 0 {
        let mut tasks = ready.tasks.lock().unwrap();
        while tasks.is_empty() {
            tasks = ready.some.wait(tasks).unwrap();
        }
        std::mem::swap(&mut *tasks, &mut running);
        drop(tasks);
        for task in running.drain(..) {
            if let Some(future) = &mut work[task] {
                if future.as_mut().poll(&mut Context::from_waker(&wakers[task])).is_ready() {
                    work[task] = None;
                    left -= 1;
                }
            }
        }
    }
}

/// What the tasks share.
struct Load {
    client: Client,
    users: Vec<Uuid>,
    usages: Vec<ApiKeyUsageInput>,
    calls: usize,
    begun: AtomicUsize,
    micros: Mutex<Vec<f64>>,
}

fn usage(key: &str) -> ApiKeyUsageInput {
    let mut usage = ApiKeyUsageInput::new(key, "get_activities", 200);
    usage.response_time_ms = Some(42);
    usage.request_size_bytes = Some(512);
    usage.response_size_bytes = Some(2048);
    usage.ip_address = Some("192.0.2.17".into());
    usage.user_agent = Some("pierre-bench/1.0".into());
    usage
}

impl Load {
    async fn call(&self, number: usize) -> Result<(), Error> {
        if self.users.is_empty() {
            self.client.record_api_key_usage(&self.usages[number % self.usages.len()]).await
        } else {
            self.client.get_user(self.users[number % self.users.len()]).await.map(drop)
        }
    }

    /// Calls in sequence, until all calls of the run have begun.
    async fn task(self: Arc<Self>) {
        let mut micros = Vec::new();
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if number >= self.calls {
                break;
            }
            let began = Instant::now();
            // Another key in each call, spread over all of them.
            self.call(number.wrapping_mul(7919)).await.unwrap_or_else(|error| panic!("{}", error));
            micros.push(began.elapsed().as_nanos() as f64 / 1e3);
        }
        self.micros.lock().unwrap().append(&mut micros);
    }
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let given: HashMap<&str, &str> = arguments
        .chunks(2)
        .filter(|pair| pair.len() == 2)
        .map(|pair| (&pair[0][..], &pair[1][..]))
        .collect();
    let option = |name: &str| *given.get(name).unwrap_or_else(|| panic!("{} is missing", name));
    let number = |name: &str| option(name).parse::<usize>().expect("a number");
    let keys = std::fs::read_to_string(option("--keys")).expect("the file of keys");
    let keys: Vec<&str> = keys.split_whitespace().collect();
    let records = option("--method") == "record_api_key_usage";
    let parse = |key: &&str| key.parse().expect("an id of a user");
    let load = Arc::new(Load {
        client: Client::connect(&format!("pierre-dbd:{}", option("--target"))).expect("a client"),
        users: if records { Vec::new() } else { keys.iter().map(parse).collect() },
        usages: if records { keys.iter().map(|key| usage(key)).collect() } else { Vec::new() },
        calls: number("--calls"),
        begun: AtomicUsize::new(0),
        micros: Mutex::new(Vec::new()),
    });
    let calls = number("--tasks") * number("--pipeline");
    load.client.daemon_ping_blocking().expect("a daemon");
    let began = Instant::now();
    run((0..calls).map(|_| Some(Box::pin(Arc::clone(&load).task()) as Work)).collect());
    let seconds = began.elapsed().as_secs_f64();
    let mut micros = load.micros.lock().unwrap();
    micros.sort_by(|a, b| a.total_cmp(b));
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    println!(
        "{{\"peer\":\"rust\",\"calls\":{},\"seconds\":{:.6},\"calls_per_second\":{:.1},\
         \"p50_us\":{:.2},\"p90_us\":{:.2},\"p99_us\":{:.2},\"p999_us\":{:.2},\"max_us\":{:.2}}}",
        micros.len(),
        seconds,
        micros.len() as f64 / seconds,
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0),
    );
}
