//! How long a test waits for a daemon of its own: from the call of `Client::private()` to the first
//! answer.
//!
//! usage: private [--starts N]
//!
//! Prints a line of JSON as the other programs of the benchmark do; a start counts as a call.

use pierre_db::{Client, Result};
use std::time::Instant;

/// In microseconds. The daemon's end is not part of it.
fn start() -> Result<f64> {
    let began = Instant::now();
    let client = Client::private()?;
    client.daemon_ping_blocking()?;
    Ok(began.elapsed().as_nanos() as f64 / 1e3)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.iter().position(|word| word == "--starts");
    let starts = given.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(25);
    let mut micros = (0..starts).map(|_| start()).collect::<Result<Vec<f64>>>()?;
    let seconds = micros.iter().sum::<f64>() / 1e6;
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
    Ok(())
}
