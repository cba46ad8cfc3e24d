//! The thread on which the other version of a release predicts what one has answered already. It has the
//! lowest priority there is, one core at most, and a short queue: what does not fit is counted and left out,
//! so that nobody waits for a comparison.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Instant,
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
}

/// What the thread needs.
struct Comparer {
    other: ServedModel,
    beside: Beside,
    tally: Arc<Tally>,
    monitor: Arc<ModelMonitor>,
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
        let comparer = Comparer { other, beside, tally, monitor };
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
        Ok(Self { jobs })
    }

    /// Compares what was answered, unless the thread is too busy; false if it was left out.
    pub(crate) fn compare(
        &self,
        request_id: &str,
        texts: &[(u32, &str)],
        predictions: &[Prediction],
    ) -> bool {
        let texts = texts.iter().take(MAX_TEXTS);
        let texts = texts.map(|(index, text)| (*index, (*text).to_owned())).collect();
        let answers = predictions.iter().take(MAX_TEXTS);
        let answers = answers.map(|one| (one.label.clone(), one.confidence)).collect();
        self.jobs
            .try_send(AnsweredRequest { request_id: request_id.to_owned(), texts, answers })
            .is_ok()
    }
}

/// Linux gives each thread a priority of its own; elsewhere the whole process would be slowed down.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!(%error, "a shadow runs at normal priority");
    }
}

impl Comparer {
    fn work(&self, arriving: &Receiver<AnsweredRequest>) {
        while let Ok(job) = arriving.recv() {
            self.compare(&job);
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
