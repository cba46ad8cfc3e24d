//! The questions that wait for a model, and what of them is asked next: no thread, no clock.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, oneshot};
use trialbook::model::{Classifier, prediction::Prediction};

use crate::serve::http::error::ApiError;

/// One request's texts.
#[derive(Clone)]
pub(crate) struct QueuedTexts {
    /// Whom to ask. Only questions to the same model share a batch.
    pub(crate) classifier: Arc<dyn Classifier>,
    /// At least one.
    pub(crate) texts: Arc<[String]>,
    /// Tokens that the model reads of each text.
    pub(crate) n_tokens: Vec<usize>,
}

/// The outcome of a question.
pub(super) type QueueOutcome = Result<Vec<Prediction>, ApiError>;

/// The most that a batch and the queue hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) queue_texts: usize,
    pub(super) batch_texts: usize,
    /// None where each model says so itself.
    pub(super) batch_tokens: Option<usize>,
    pub(super) batch_wait: Duration,
    pub(super) queue_wait: Duration,
}

impl Bounds {
    /// The room in the queue that a question takes while no batch has taken `n_texts` of its texts.
    pub(super) fn held(self, n_texts: usize) -> usize {
        n_texts.min(self.batch_texts.max(1))
    }

    /// Texts of streams in the queue: those that are asked and those that are next, and never so
    /// many that nobody else gets in.
    pub(super) fn stream_texts(self) -> usize {
        (2 * self.batch_texts).min(self.queue_texts / 2).clamp(1, Semaphore::MAX_PERMITS)
    }
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) jobs: VecDeque<Job>,
    pub(super) closed: bool,
}

/// A question on its way through one batch or more.
pub(super) struct Job {
    pub(super) question: QueuedTexts,
    /// Of the texts before `n_taken`.
    pub(super) predictions: Vec<Prediction>,
    pub(super) n_taken: usize,
    pub(super) arrived: Instant,
    /// The time that it may wait for its first batch.
    pub(super) patience: Duration,
    pub(super) answer: oneshot::Sender<QueueOutcome>,
}

/// Questions that are asked together: some jobs, each with the number of its texts that take part.
pub(super) type Batch = Vec<(Job, usize)>;

impl Queue {
    /// Texts that wait, of no question more than a batch takes.
    pub(super) fn n_texts(&self, bounds: Bounds) -> usize {
        self.jobs.iter().map(|job| bounds.held(job.n_left())).sum()
    }

    /// Drops the questions whose client has left, and refuses those that have waited too long at `now`.
    pub(super) fn drop_pointless(&mut self, now: Instant) {
        let jobs = std::mem::take(&mut self.jobs);
        for job in jobs {
            let is_late = job.n_taken == 0 && job.waited(now) > job.patience;
            if !is_late && !job.answer.is_closed() {
                self.jobs.push_back(job);
                continue;
            }
            if is_late {
                let _ = job.answer.send(Err(ApiError::too_late()));
            }
        }
    }

    /// Takes what fits a batch from the front: jobs of the first one's model, of a long one only
    /// its next texts. It holds at least one text.
    pub(super) fn take(&mut self, bounds: Bounds) -> Batch {
        let mut room = bounds.batch_texts.max(1);
        let wanted = self.jobs.front().and_then(|job| job.question.classifier.batch_tokens());
        let mut tokens = bounds.batch_tokens.or(wanted).unwrap_or(usize::MAX);
        let mut batch = Batch::new();
        let mut others = VecDeque::new();
        while let Some(job) = self.jobs.pop_front() {
            let is_same = batch.first().is_none_or(|(first, _): &(Job, usize)| {
                Arc::ptr_eq(&first.question.classifier, &job.question.classifier)
            });
            let costs = job.question.n_tokens[job.n_taken..].iter().take(room);
            let mut n_texts = 0;
            for cost in costs.take_while(|_| is_same) {
                let is_first = batch.is_empty() && n_texts == 0;
                if !is_first && *cost > tokens {
                    break;
                }
                tokens = tokens.saturating_sub(*cost);
                n_texts += 1;
            }
            if n_texts == 0 {
                others.push_back(job);
            } else {
                room -= n_texts;
                batch.push((job, n_texts));
            }
            if room == 0 || tokens == 0 {
                break;
            }
        }
        others.append(&mut self.jobs);
        self.jobs = others;
        batch
    }
}

impl Job {
    /// The time that it has been there at `now`.
    pub(super) fn waited(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.arrived)
    }

    pub(super) fn n_left(&self) -> usize {
        self.question.texts.len() - self.n_taken
    }

    pub(super) fn next_texts(&self, n_texts: usize) -> impl Iterator<Item = &str> {
        self.question.texts[self.n_taken..][..n_texts].iter().map(String::as_str)
    }

    pub(super) fn finish(self) {
        // The client may have left.
        let _ = self.answer.send(Ok(self.predictions));
    }
}
