//! The thread on which the other version of a release predicts what one has answered already. It has the
//! lowest priority there is, one core at most, and a short queue: what does not fit is counted and left out,
//! so that nobody waits for a comparison. Where others want the core, it takes a twentieth of one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use trialbook::{
    error::{Error, ErrorKind, Result},
    model::prediction::{self, Prediction},
    monitor::Arm,
};

use super::{
    monitor::ModelMonitor,
    served::ServedModel,
    tally::{Compared, Tally},
};

/// Requests that wait to be compared.
const QUEUE: usize = 64;
/// Texts of one request that are compared: of a long batch its beginning tells enough.
const MAX_TEXTS: usize = 32;
/// The time for which it compares one request after the other, about.
const BATCH: Duration = Duration::from_millis(4);
/// The pause after that. A thread that sleeps need not be woken by whoever sends it the next request, which would
/// cost that one more than the request itself.
const PAUSE: Duration = Duration::from_millis(2);
/// The pause where more comes than can be compared anyway: every sixteenth request tells as much as every second one.
const FULL_PAUSE: Duration = Duration::from_millis(20);
/// Where others wanted the core meanwhile, the pause is so many times as long as the work was.
const PAUSE_SHARE: u32 = 20;
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The version that is asked beside the one that answers, and what its answers are to this release.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// The candidate of a shadow: its time and its failures count, and it is logged.
    Candidate,
    /// Production, asked what the candidate of a canary answered: only whether they agree counts.
    Production,
}

/// One request that was answered.
struct AnsweredRequest {
    request_id: String,
    /// Each with its place in the request.
    texts: Vec<(u32, String)>,
    /// Label and confidence of each text's answer.
    answers: Vec<(String, f64)>,
}

/// The queue of the thread, which ends when this is dropped.
pub(crate) struct Shadow {
    jobs: SyncSender<AnsweredRequest>,
    /// Number of requests in the queue.
    n_waiting: Arc<AtomicUsize>,
}

/// What the thread needs.
struct Comparer {
    other: ServedModel,
    beside: Beside,
    tally: Arc<Tally>,
    monitor: Arc<ModelMonitor>,
    n_waiting: Arc<AtomicUsize>,
}

impl Shadow {
    /// Starts the thread that asks `other`.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(
        other: ServedModel,
        beside: Beside,
        tally: Arc<Tally>,
        monitor: Arc<ModelMonitor>,
    ) -> Result<Self> {
        let (jobs, arriving) = sync_channel(QUEUE);
        let n_waiting = Arc::new(AtomicUsize::new(0));
        let comparer =
            Comparer { other, beside, tally, monitor, n_waiting: Arc::clone(&n_waiting) };
        // A pool of one: a model that spreads its work over the threads of its pool stays on this one.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "shadow".to_owned())
            .start_handler(|_| lower_priority())
            .build()
            .map_err(|source| {
                Error::new(ErrorKind::Io, "cannot start the thread of a shadow").with_source(source)
            })?;
        pool.spawn(move || comparer.work(&arriving));
        Ok(Self { jobs, n_waiting })
    }

    /// Compares what was answered, unless the thread is too busy; false if it was left out.
    pub(crate) fn compare(
        &self,
        request_id: &str,
        texts: &[(u32, &str)],
        predictions: &[Prediction],
    ) -> bool {
        // Before anything is copied: under load most of it would be copied for nothing.
        if self.n_waiting.load(Ordering::Relaxed) >= QUEUE {
            return false;
        }
        let texts = texts.iter().take(MAX_TEXTS);
        let texts = texts.map(|(index, text)| (*index, (*text).to_owned())).collect();
        let answers = predictions.iter().take(MAX_TEXTS);
        let answers = answers.map(|one| (one.label.clone(), one.confidence)).collect();
        let job = AnsweredRequest { request_id: request_id.to_owned(), texts, answers };
        // Counted before it can be taken.
        self.n_waiting.fetch_add(1, Ordering::Relaxed);
        let is_sent = self.jobs.try_send(job).is_ok();
        if !is_sent {
            self.n_waiting.fetch_sub(1, Ordering::Relaxed);
        }
        is_sent
    }
}

/// Linux gives each thread a priority of its own; elsewhere the whole process would be slowed down.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!(%error, "a shadow runs at normal priority");
    }
}

/// The time for which this thread could have run and another one did; none where the system does not say.
fn time_in_wait() -> Option<Duration> {
    // Nanoseconds that it ran, nanoseconds that it waited, and how often it ran.
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let waited_ns = told.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(waited_ns))
}

/// The pause after work that took `took`, in which the thread was kept `waiting`; `is_full` is the queue.
fn pause(took: Duration, waiting: Duration, is_full: bool) -> Duration {
    let least = if is_full { FULL_PAUSE } else { PAUSE };
    match waiting > took / 5 {
        true => (took.saturating_sub(waiting) * PAUSE_SHARE).clamp(least, MAX_PAUSE),
        false => least,
    }
}

impl Comparer {
    fn work(&self, arriving: &Receiver<AnsweredRequest>) {
        while let Ok(first) = arriving.recv() {
            let (begun, waited) = (Instant::now(), time_in_wait());
            let mut next = Some(first);
            while let Some(job) = next {
                self.n_waiting.fetch_sub(1, Ordering::Relaxed);
                self.compare(&job);
                next = match begun.elapsed() < BATCH {
                    true => arriving.try_recv().ok(),
                    false => None,
                };
            }
            let waiting = time_in_wait().zip(waited).map(|(now, then)| now.saturating_sub(then));
            let is_full = self.n_waiting.load(Ordering::Relaxed) >= QUEUE;
            thread::sleep(pause(begun.elapsed(), waiting.unwrap_or_default(), is_full));
        }
    }

    fn compare(&self, job: &AnsweredRequest) {
        let started = Instant::now();
        let placed: Vec<(u32, &str)> =
            job.texts.iter().map(|(index, text)| (*index, text.as_str())).collect();
        let texts: Vec<&str> = placed.iter().map(|(_, text)| *text).collect();
        let ask = || prediction::predictions(&*self.other.classifier, &texts);
        let outcome = catch_unwind(AssertUnwindSafe(ask));
        let duration = started.elapsed();
        let Ok(Ok(predictions)) = outcome else {
            if self.beside == Beside::Candidate {
                self.tally.failed(Arm::Shadow);
                let (info, request_id) = (&self.other.info, &job.request_id);
                tracing::warn!(
                    model = info.name,
                    version = info.version,
                    request_id,
                    "the shadow failed"
                );
            }
            return;
        };
        if self.beside == Beside::Candidate {
            self.tally.answered(Arm::Shadow, duration);
            let id = job.request_id.as_str();
            self.monitor.predicted((&self.other, Arm::Shadow), id, &placed, &predictions, duration);
        }
        self.tally.compared(&self.difference(job, &predictions));
    }

    fn difference(&self, job: &AnsweredRequest, predictions: &[Prediction]) -> Compared {
        let sign = if self.beside == Beside::Candidate { 1.0 } else { -1.0 };
        let mut compared = Compared { n_texts: 0, n_agreed: 0, confidence_difference: 0.0 };
        for (other, (label, confidence)) in predictions.iter().zip(&job.answers) {
            compared.n_texts += 1;
            compared.n_agreed += u64::from(other.label == *label);
            compared.confidence_difference += sign * (other.confidence - confidence);
        }
        compared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pauses_for_long_only_where_others_want_the_core() {
        let ms = Duration::from_millis;
        for (took, waiting, expected) in [
            (ms(4), ms(0), PAUSE),
            (ms(4), ms(1), ms(60)),
            (ms(5), ms(1), PAUSE),
            (ms(300), ms(100), MAX_PAUSE),
            (ms(1), ms(1), PAUSE),
            (ms(1), ms(2), PAUSE),
        ] {
            assert_eq!(pause(took, waiting, false), expected, "{took:?}, {waiting:?} waiting");
            assert_eq!(pause(took, waiting, true), expected.max(FULL_PAUSE));
        }
        let before = time_in_wait();
        assert!(time_in_wait() >= before);
        assert!(before.is_some() || !std::path::Path::new("/proc/thread-self/schedstat").exists());
    }
}
