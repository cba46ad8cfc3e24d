//! Work that waits for the disk, done without keeping other requests waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{block_in_place, spawn_blocking},
};

/// The work panicked: a fault of ours, which the panic hook has told of.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Does `work`, which may wait for the disk.
///
/// It is done on the thread that asks for it, whose other tasks go to another thread: handing the work itself to
/// another thread and being woken by it takes as long as a small transaction.
pub(crate) async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    match Handle::current().runtime_flavor() {
        // Its only thread has everything else to do.
        RuntimeFlavor::CurrentThread => spawn_blocking(work).await.map_err(|_| Panicked),
        _ => block_in_place(|| catch_unwind(AssertUnwindSafe(work))).map_err(|_| Panicked),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_meanwhile() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let waits = tokio::spawn(waiting(move || receiver.recv_timeout(Duration::from_secs(20))));
        // On the only worker there is, unless that is taken up.
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        sender.send(7).unwrap();
        assert_eq!(waits.await.unwrap().unwrap(), Ok(7));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_panic_is_told_by_a_runtime_of_many_threads() {
        assert!(waiting(|| panic!("a drill")).await.is_err());
        assert_eq!(waiting(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_panic_is_told_by_a_runtime_of_one_thread() {
        assert!(waiting(|| panic!("a drill")).await.is_err());
        assert_eq!(waiting(|| 7).await.unwrap(), 7);
    }
}
