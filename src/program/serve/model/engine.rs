//! Batches for models that answer many texts together faster than one after the other.
//!
//! Questions wait in one bounded queue. A thread of its own takes what is there, as many as fit a
//! batch, and asks the model once: a lone question is asked at once, and those that arrive
//! meanwhile are the next batch. Clients that were answered together tend to come back together:
//! the next batch waits for them a small part of the time that the last one took. When the queue is
//! full a question is refused at once. A question whose client has left, or that waited too long,
//! is dropped before it costs anything.
//!
//! A long question goes through batch by batch, and others in between: it holds no more of the queue
//! than a batch. Streams wait for each other outside the queue, however long it takes.
//!
//! Crates that batch, such as batched and tower-batch, fill a batch up to a number of items or a
//! moment: they know no tokens and no model that changes, and one long question keeps the others
//! waiting.

mod queue;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, oneshot};
use trialbook::model::{
    Classifier,
    prediction::{self, Prediction},
};

use crate::serve::http::{error::ApiError, limits::Limits};

use super::metrics::Metrics;
use queue::{Batch, Bounds, Job, Queue, QueueOutcome};

pub(crate) use queue::QueuedTexts;

/// The queue and the thread behind it, which ends when the engine is dropped and the queue empty.
pub(crate) struct BatchEngine(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    bounds: Bounds,
    /// Room in the queue for the texts of streams.
    streams: Semaphore,
    metrics: Arc<Metrics>,
}

impl BatchEngine {
    /// Starts the thread. It begins with the first question.
    pub(crate) fn start(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let bounds = Bounds {
            queue_texts: limits.queue_texts,
            batch_texts: limits.model_batch_texts,
            batch_tokens: limits.model_batch_tokens,
            batch_wait: limits.model_batch_wait,
            queue_wait: limits.queue_wait,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            bounds,
            streams: Semaphore::new(bounds.stream_texts()),
            metrics,
        });
        let behind = Arc::clone(&shared);
        let started =
            thread::Builder::new().name("inference".to_owned()).spawn(move || behind.work());
        if let Err(error) = started {
            // Nobody would ever take a question out of the queue.
            shared.lock().closed = true;
            tracing::error!(%error, "the thread that asks the model did not start");
        }
        Self(shared)
    }

    /// The predictions for all texts of `question`, in their order.
    ///
    /// # Errors
    /// 429 at once when the queue has no room, 503 when the model did not get to it in time, 500
    /// and 422 as the model says.
    pub(crate) async fn ask(&self, question: QueuedTexts) -> QueueOutcome {
        let answer = {
            let Shared { bounds, .. } = &*self.0;
            let mut queue = self.0.lock();
            // A question longer than the queue is taken when there is nothing else.
            let n_texts = queue.n_texts(*bounds);
            let n_more = bounds.held(question.texts.len());
            if n_texts > 0 && n_texts + n_more > bounds.queue_texts {
                return Err(ApiError::overloaded());
            }
            self.0.enter(&mut queue, question, bounds.queue_wait)?
        };
        self.0.answer_to(answer).await
    }

    /// The prediction for each text of `question`, which a stream asks: it waits for its turn as
    /// long as it takes, and what the model cannot answer leaves the other texts alone.
    pub(crate) async fn ask_each(
        &self,
        question: QueuedTexts,
    ) -> Vec<Result<Prediction, ApiError>> {
        match self.ask_patiently(question.clone()).await {
            Ok(predictions) => predictions.into_iter().map(Ok).collect(),
            Err(error) if question.texts.len() == 1 => vec![Err(error)],
            // One of them is the culprit.
            Err(_) => {
                let mut outcomes = Vec::with_capacity(question.texts.len());
                for (text, n_tokens) in question.texts.iter().zip(&question.n_tokens) {
                    let alone = QueuedTexts {
                        classifier: Arc::clone(&question.classifier),
                        texts: [text.clone()].into(),
                        n_tokens: vec![*n_tokens],
                    };
                    let outcome = self.ask_patiently(alone).await;
                    outcomes
                        .push(outcome.and_then(|mut one| one.pop().ok_or_else(ApiError::internal)));
                }
                outcomes
            }
        }
    }

    async fn ask_patiently(&self, question: QueuedTexts) -> QueueOutcome {
        let Shared { bounds, streams, .. } = &*self.0;
        let n_held = bounds.held(question.texts.len()).min(bounds.stream_texts());
        let n_held = u32::try_from(n_held).unwrap_or(u32::MAX);
        let _room = streams.acquire_many(n_held).await.expect("the semaphore is never closed");
        let answer = self.0.enter(&mut self.0.lock(), question, Duration::MAX)?;
        self.0.answer_to(answer).await
    }
}

impl Drop for BatchEngine {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.arrived.notify_all();
    }
}

impl Shared {
    /// Locks past a thread that panicked: the queue is whole, since nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `question` at the end of the queue; where its answer arrives.
    fn enter(
        &self,
        queue: &mut Queue,
        question: QueuedTexts,
        patience: Duration,
    ) -> Result<oneshot::Receiver<QueueOutcome>, ApiError> {
        if queue.closed {
            return Err(ApiError::internal());
        }
        let (answer, arriving) = oneshot::channel();
        let predictions = Vec::with_capacity(question.texts.len());
        let arrived = Instant::now();
        queue.jobs.push_back(Job { question, predictions, n_taken: 0, arrived, patience, answer });
        self.metrics.queue_holds(queue.n_texts(self.bounds));
        Ok(arriving)
    }

    async fn answer_to(&self, arriving: oneshot::Receiver<QueueOutcome>) -> QueueOutcome {
        self.arrived.notify_one();
        arriving.await.unwrap_or_else(|_| Err(ApiError::internal()))
    }

    fn work(&self) {
        let mut returning = Returning::nobody(Instant::now());
        while let Some(batch) = self.next(&returning) {
            let (n_jobs, started) = (batch.len(), Instant::now());
            self.answer(batch);
            let now = Instant::now();
            returning = Returning::of(n_jobs, now.duration_since(started), now);
        }
    }

    /// The next batch, once there is one; none when the engine is gone and the queue empty.
    fn next(&self, returning: &Returning) -> Option<Batch> {
        let mut queue = self.lock();
        loop {
            let now = Instant::now();
            queue.drop_pointless(now);
            let Some(oldest) = queue.jobs.front() else {
                self.metrics.queue_holds(0);
                if queue.closed {
                    return None;
                }
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let patience = self.bounds.batch_wait.saturating_sub(oldest.waited(now));
            let patience = patience.max(returning.patience(queue.jobs.len(), now));
            let is_full = queue.n_texts(self.bounds) >= self.bounds.batch_texts;
            if patience.is_zero() || queue.closed || is_full {
                break;
            }
            let waited = self.arrived.wait_timeout(queue, patience);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = queue.take(self.bounds);
        self.metrics.queue_holds(queue.n_texts(self.bounds));
        let now = Instant::now();
        for (job, _) in batch.iter().filter(|(job, _)| job.n_taken == 0) {
            self.metrics.waited(job.waited(now));
        }
        Some(batch)
    }

    /// Asks the model, and sends each job on its way: home, or back to the end of the queue.
    fn answer(&self, batch: Batch) {
        let together = {
            let texts: Vec<&str> = batch.iter().flat_map(|(job, n)| job.next_texts(*n)).collect();
            self.metrics.asked(texts.len());
            batch.first().map(|(job, _)| ask(&*job.question.classifier, &texts))
        };
        let Some(together) = together else { return };
        let n_jobs = batch.len();
        let mut predictions = together.map(Vec::into_iter);
        for (mut job, n_texts) in batch {
            let own = match &mut predictions {
                Ok(predictions) => Ok(predictions.by_ref().take(n_texts).collect()),
                Err(error) if n_jobs == 1 => Err(error.clone()),
                // One of them is the culprit; the others shall not suffer for it.
                Err(_) => {
                    let texts: Vec<&str> = job.next_texts(n_texts).collect();
                    ask(&*job.question.classifier, &texts)
                }
            };
            match own {
                Ok(mut own) => {
                    job.predictions.append(&mut own);
                    job.n_taken += n_texts;
                    if job.n_left() == 0 {
                        job.finish();
                    } else {
                        self.lock().jobs.push_back(job);
                    }
                }
                Err(error) => {
                    // The client may have left.
                    let _ = job.answer.send(Err(error));
                }
            }
        }
    }
}

/// Clients that were answered together just now, and may ask again.
struct Returning {
    n_clients: usize,
    /// The moment at which clients that have not come back are waited for no longer.
    until: Instant,
}

impl Returning {
    /// Of the time that a batch took: what is gained when one client's question is not asked alone
    /// before those of all others.
    const PATIENCE: f64 = 0.02;
    /// A client that is on the same network is back by then.
    const MAX_PATIENCE: Duration = Duration::from_millis(50);

    fn nobody(now: Instant) -> Self {
        Self::of(0, Duration::ZERO, now)
    }

    /// After a batch of `n_jobs`, which took `duration` and ended at `now`.
    fn of(n_jobs: usize, duration: Duration, now: Instant) -> Self {
        let patience = duration.mul_f64(Self::PATIENCE).min(Self::MAX_PATIENCE);
        Self { n_clients: n_jobs, until: now + patience }
    }

    /// The time to wait at `now` when `n_jobs` are there. A client that was alone is not waited for: nobody
    /// else is there who would gain by it.
    fn patience(&self, n_jobs: usize, now: Instant) -> Duration {
        if self.n_clients < 2 || n_jobs >= self.n_clients {
            return Duration::ZERO;
        }
        self.until.saturating_duration_since(now)
    }
}

/// A panicking model must not take the thread, and with it all other requests, down.
fn ask(classifier: &dyn Classifier, texts: &[&str]) -> QueueOutcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| prediction::predictions(classifier, texts)));
    let predictions = outcome.map_err(|_| {
        tracing::error!(n_texts = texts.len(), "the model panicked");
        ApiError::internal()
    })??;
    Ok(predictions)
}

#[cfg(test)]
mod tests;
