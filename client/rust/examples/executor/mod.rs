//! Hand-made executors: of one thread, and of several that take tasks from one queue.

#![allow(dead_code)] // each program uses a part
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs one future on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task: it is in the queue at most once, since its future is taken out while it runs.
struct Task {
    work: Mutex<Option<Work>>,
    pool: Arc<Pool>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let pool = Arc::clone(&self.pool);
        pool.state.lock().unwrap().0.push_back(self);
        pool.changed.notify_one();
    }
}

/// The queue, and the number of tasks that are not finished.
#[derive(Default)]
struct Pool {
    state: Mutex<(VecDeque<Arc<Task>>, usize)>,
    changed: Condvar,
}

impl Pool {
    fn work(&self) {
        let mut state = self.state.lock().unwrap();
        while state.1 > 0 {
            let task = match state.0.pop_front() {
                Some(task) => task,
                None => {
                    state = self.changed.wait(state).unwrap();
                    continue;
                }
            };
            drop(state);
            let mut work = task.work.lock().unwrap();
            let finished = match work.as_mut() {
                Some(future) => {
                    let waker = Waker::from(Arc::clone(&task));
                    future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
                }
                None => false,
            };
            if finished {
                *work = None;
            }
            drop(work);
            state = self.state.lock().unwrap();
            if finished {
                state.1 -= 1;
                self.changed.notify_all();
            }
        }
    }
}

/// Runs all futures on that many threads.
pub fn run_all<F: Future<Output = ()> + Send + 'static>(threads: usize, all: Vec<F>) {
    let pool = Arc::new(Pool::default());
    pool.state.lock().unwrap().1 = all.len();
    for one in all {
        let work = Mutex::new(Some(Box::pin(one) as Work));
        Arc::new(Task { work, pool: Arc::clone(&pool) }).wake();
    }
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.work())
        })
        .collect();
    for worker in workers {
        worker.join().expect("no task panics");
    }
}
