//! Work that waits on a worker of the runtime without its other tasks being handed over first. The handing
//! over wakes another thread, twice, and a request that is answered in a few hundred microseconds notices.
//!
//! A worker that waits does not look for the network's news. As long as it may be the one whose turn that
//! is, nobody does. So only one does this at a time, there has to be a second worker, and a thread
//! watches: when the work takes long, it gives the runtime a task, for which another worker wakes, who
//! looks for news from then on. A task that the waiting one woke itself, just before, goes on after it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::runtime::Handle;

/// The watch looks this often: work that it sees twice takes long.
const TICK: Duration = Duration::from_millis(1);

/// So many looks without any work end the watch.
const QUIET_TICKS: u32 = 100;

static WATCHED: Mutex<WatchedWork> =
    Mutex::new(WatchedWork { now: None, n_begun: 0, is_watching: false });

struct WatchedWork {
    /// The runtime that the work under way keeps a worker of.
    now: Option<Handle>,
    n_begun: u64,
    is_watching: bool,
}

/// The right to keep a worker waiting, until it is dropped.
pub(super) struct InPlace(());

impl InPlace {
    /// The right, for a worker of `runtime`; none while another has it, or where it is the only one.
    pub(super) fn begin(runtime: Handle) -> Option<Self> {
        if runtime.metrics().num_workers() < 2 {
            return None;
        }
        let mut watched = lock();
        if watched.now.is_some() {
            return None;
        }
        if !watched.is_watching {
            let watch = thread::Builder::new().name("trialbook-watch".to_owned());
            watch.spawn(watch_over).ok()?;
            watched.is_watching = true;
        }
        watched.now = Some(runtime);
        watched.n_begun += 1;
        Some(Self(()))
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        lock().now = None;
    }
}

fn watch_over() {
    let (mut n_seen, mut n_woken, mut n_quiet) = (0, 0, 0);
    loop {
        thread::sleep(TICK);
        let mut watched = lock();
        let n_begun = watched.n_begun;
        match &watched.now {
            Some(runtime) if n_begun == n_seen && n_begun != n_woken => {
                drop(runtime.spawn(async {}));
                n_woken = n_begun;
            }
            None if n_begun == n_seen => n_quiet += 1,
            _ => n_quiet = 0,
        }
        n_seen = n_begun;
        if n_quiet > QUIET_TICKS {
            watched.is_watching = false;
            return;
        }
    }
}

fn lock() -> MutexGuard<'static, WatchedWork> {
    // Nothing that is done under it panics half-way.
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}
