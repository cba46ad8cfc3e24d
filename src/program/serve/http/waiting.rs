//! Work that waits for the disk, done without keeping other requests waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{block_in_place, spawn_blocking},
};

use super::in_place::InPlace;

/// The work panicked: a fault of ours, which the panic hook has told of.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Does `work`, which may wait for the disk.
///
/// It is done on the thread that asks for it: handing the work itself to another thread and being woken by
/// it takes as long as a small transaction. If other work waits so, the thread's other tasks go to a thread
/// of their own before; that is a fifth of a small transaction, so the first one is done without.
pub(crate) async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    let runtime = Handle::current();
    let work = AssertUnwindSafe(work);
    match runtime.runtime_flavor() {
        // Its only thread has everything else to do.
        RuntimeFlavor::CurrentThread => spawn_blocking(work).await.map_err(|_| Panicked),
        _ => match InPlace::begin(runtime) {
            Some(_in_place) => catch_unwind(work).map_err(|_| Panicked),
            None => block_in_place(|| catch_unwind(work)).map_err(|_| Panicked),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::channel,
        time::{Duration, Instant},
    };

    use super::*;

    async fn other_tasks_go_on() {
        let (senders, waits): (Vec<_>, Vec<_>) = (0..3)
            .map(|_| {
                let (sender, receiver) = channel();
                let work = move || receiver.recv_timeout(Duration::from_secs(20));
                (sender, tokio::spawn(waiting(work)))
            })
            .unzip();
        // By a timer, which some worker has to look at.
        let begun = Instant::now();
        tokio::spawn(async { tokio::time::sleep(Duration::from_millis(20)).await }).await.unwrap();
        for sender in senders {
            sender.send(7).unwrap();
        }
        for wait in waits {
            assert_eq!(wait.await.unwrap().unwrap(), Ok(7));
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_meanwhile_on_the_only_worker() {
        other_tasks_go_on().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn other_tasks_go_on_meanwhile_on_other_workers() {
        other_tasks_go_on().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_is_told_by_a_runtime_of_many_threads() {
        for _ in 0..3 {
            assert!(waiting(|| panic!("a drill")).await.is_err());
            assert_eq!(waiting(|| 7).await.unwrap(), 7);
        }
    }

    #[tokio::test]
    async fn a_panic_is_told_by_a_runtime_of_one_thread() {
        assert!(waiting(|| panic!("a drill")).await.is_err());
        assert_eq!(waiting(|| 7).await.unwrap(), 7);
    }
}
