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

use std::{
    collections::VecDeque,
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

/// One request's texts.
#[derive(Clone)]
pub(crate) struct Question {
    /// Whom to ask. Only questions to the same model share a batch.
    pub(crate) classifier: Arc<dyn Classifier>,
    /// At least one.
    pub(crate) texts: Arc<[String]>,
    /// Tokens that the model reads of each text.
    pub(crate) n_tokens: Vec<usize>,
}

type Outcome = Result<Vec<Prediction>, ApiError>;

/// The queue and the thread behind it, which ends when the engine is dropped and the queue empty.
pub(crate) struct Engine(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    bounds: Bounds,
    /// Room in the queue for the texts of streams.
    streams: Semaphore,
    metrics: Arc<Metrics>,
}

/// What a batch and the queue hold at most.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    queue_texts: usize,
    batch_texts: usize,
    /// None where each model says so itself.
    batch_tokens: Option<usize>,
    batch_wait: Duration,
    queue_wait: Duration,
}

impl Bounds {
    /// What a question holds of the queue of whose texts no batch took `n_texts` yet.
    fn held(self, n_texts: usize) -> usize {
        n_texts.min(self.batch_texts.max(1))
    }

    /// Texts of streams in the queue: those that are asked and those that are next, and never so
    /// many that nobody else gets in.
    fn stream_texts(self) -> usize {
        (2 * self.batch_texts).min(self.queue_texts / 2).clamp(1, Semaphore::MAX_PERMITS)
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// A question on its way through one batch or more.
struct Job {
    question: Question,
    /// Of the texts before `n_taken`.
    predictions: Vec<Prediction>,
    n_taken: usize,
    arrived: Instant,
    /// How long it may wait for its first batch.
    patience: Duration,
    answer: oneshot::Sender<Outcome>,
}

/// What is asked together: some jobs, each with the number of its texts that take part.
type Batch = Vec<(Job, usize)>;

impl Engine {
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
    pub(crate) async fn ask(&self, question: Question) -> Outcome {
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
    pub(crate) async fn ask_each(&self, question: Question) -> Vec<Result<Prediction, ApiError>> {
        match self.ask_patiently(question.clone()).await {
            Ok(predictions) => predictions.into_iter().map(Ok).collect(),
            Err(error) if question.texts.len() == 1 => vec![Err(error)],
            // One of them is the culprit.
            Err(_) => {
                let mut outcomes = Vec::with_capacity(question.texts.len());
                for (text, n_tokens) in question.texts.iter().zip(&question.n_tokens) {
                    let alone = Question {
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

    async fn ask_patiently(&self, question: Question) -> Outcome {
        let Shared { bounds, streams, .. } = &*self.0;
        let n_held = bounds.held(question.texts.len()).min(bounds.stream_texts());
        let n_held = u32::try_from(n_held).unwrap_or(u32::MAX);
        let _room = streams.acquire_many(n_held).await.expect("the semaphore is never closed");
        let answer = self.0.enter(&mut self.0.lock(), question, Duration::MAX)?;
        self.0.answer_to(answer).await
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.arrived.notify_all();
    }
}

impl Shared {
    /// What a thread that panicked left behind is whole: nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `question` at the end of the queue; where its answer arrives.
    fn enter(
        &self,
        queue: &mut Queue,
        question: Question,
        patience: Duration,
    ) -> Result<oneshot::Receiver<Outcome>, ApiError> {
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

    async fn answer_to(&self, arriving: oneshot::Receiver<Outcome>) -> Outcome {
        self.arrived.notify_one();
        arriving.await.unwrap_or_else(|_| Err(ApiError::internal()))
    }

    fn work(&self) {
        let mut returning = Returning::nobody();
        while let Some(batch) = self.next(&returning) {
            let (n_jobs, started) = (batch.len(), Instant::now());
            self.answer(batch);
            returning = Returning::of(n_jobs, started.elapsed());
        }
    }

    /// The next batch, once there is one; none when the engine is gone and the queue empty.
    fn next(&self, returning: &Returning) -> Option<Batch> {
        let mut queue = self.lock();
        loop {
            queue.drop_pointless();
            let Some(oldest) = queue.jobs.front() else {
                self.metrics.queue_holds(0);
                if queue.closed {
                    return None;
                }
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let patience = self.bounds.batch_wait.saturating_sub(oldest.arrived.elapsed());
            let patience = patience.max(returning.patience(queue.jobs.len()));
            let is_full = queue.n_texts(self.bounds) >= self.bounds.batch_texts;
            if patience.is_zero() || queue.closed || is_full {
                break;
            }
            let waited = self.arrived.wait_timeout(queue, patience);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = queue.take(self.bounds);
        self.metrics.queue_holds(queue.n_texts(self.bounds));
        for (job, _) in batch.iter().filter(|(job, _)| job.n_taken == 0) {
            self.metrics.waited(job.arrived.elapsed());
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
    /// When whoever has not come back is waited for no longer.
    until: Instant,
}

impl Returning {
    /// Of the time that a batch took: what is gained when one client's question is not asked alone
    /// before those of all others.
    const PATIENCE: f64 = 0.02;
    /// A client that is on the same network is back by then.
    const MAX_PATIENCE: Duration = Duration::from_millis(50);

    fn nobody() -> Self {
        Self::of(0, Duration::ZERO)
    }

    /// After a batch of `n_jobs`, which took `duration`.
    fn of(n_jobs: usize, duration: Duration) -> Self {
        let patience = duration.mul_f64(Self::PATIENCE).min(Self::MAX_PATIENCE);
        Self { n_clients: n_jobs, until: Instant::now() + patience }
    }

    /// How long to wait when `n_jobs` are there. A client that was alone is not waited for: nobody
    /// else is there who would gain by it.
    fn patience(&self, n_jobs: usize) -> Duration {
        if self.n_clients < 2 || n_jobs >= self.n_clients {
            return Duration::ZERO;
        }
        self.until.saturating_duration_since(Instant::now())
    }
}

impl Queue {
    /// Texts that wait, of no question more than a batch takes.
    fn n_texts(&self, bounds: Bounds) -> usize {
        self.jobs.iter().map(|job| bounds.held(job.n_left())).sum()
    }

    /// Drops the questions whose client has left, and refuses those that waited too long.
    fn drop_pointless(&mut self) {
        let jobs = std::mem::take(&mut self.jobs);
        for job in jobs {
            let is_late = job.n_taken == 0 && job.arrived.elapsed() > job.patience;
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
    fn take(&mut self, bounds: Bounds) -> Batch {
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
    fn n_left(&self) -> usize {
        self.question.texts.len() - self.n_taken
    }

    fn next_texts(&self, n_texts: usize) -> impl Iterator<Item = &str> {
        self.question.texts[self.n_taken..][..n_texts].iter().map(String::as_str)
    }

    fn finish(self) {
        // The client may have left.
        let _ = self.answer.send(Ok(self.predictions));
    }
}

/// A panicking model must not take the thread, and with it all other requests, down.
fn ask(classifier: &dyn Classifier, texts: &[&str]) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| prediction::predictions(classifier, texts)));
    let predictions = outcome.map_err(|_| {
        tracing::error!(n_texts = texts.len(), "the model panicked");
        ApiError::internal()
    })??;
    Ok(predictions)
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::mpsc::{Receiver, SyncSender, sync_channel},
    };

    use serde_json::Value;

    use super::*;
    use trialbook::{
        error::{Error, Result},
        model::Probabilities,
    };

    /// What [`Gated`] wants.
    const BATCH_TOKENS: usize = 100;

    /// A model that says which texts it was asked together, and answers when it is let.
    struct Gated {
        classes: [String; 2],
        asked: SyncSender<Vec<String>>,
        gate: Mutex<Receiver<()>>,
    }

    impl Classifier for Gated {
        fn name(&self) -> &'static str {
            "gated"
        }

        fn classes(&self) -> &[String] {
            &self.classes
        }

        fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
            self.asked.send(texts.iter().map(|text| (*text).to_owned()).collect()).unwrap();
            self.gate.lock().unwrap().recv().unwrap();
            assert!(!texts.contains(&"panic"), "asked for");
            if texts.contains(&"bad") {
                return Err(Error::invalid("a bad text"));
            }
            let values = texts.iter().flat_map(|text| {
                let positive = if text.starts_with('+') { 0.9 } else { 0.2 };
                [1.0 - positive, positive]
            });
            Ok(Probabilities::new(values.collect(), 2))
        }

        fn batch_tokens(&self) -> Option<usize> {
            Some(BATCH_TOKENS)
        }

        fn save(&self, _: &Path) -> Result<()> {
            unreachable!("nothing here saves it")
        }

        fn describe(&self) -> Value {
            Value::Null
        }
    }

    struct Setup {
        engine: Arc<Engine>,
        model: Arc<Gated>,
        asked: Receiver<Vec<String>>,
        gate: SyncSender<()>,
        runtime: tokio::runtime::Runtime,
    }

    /// A model, what it was asked, and what lets it answer.
    fn gated() -> (Arc<Gated>, Receiver<Vec<String>>, SyncSender<()>) {
        let (asked_in, asked) = sync_channel(100);
        let (gate, gate_out) = sync_channel(100);
        let classes = ["negative".to_owned(), "positive".to_owned()];
        (Arc::new(Gated { classes, asked: asked_in, gate: Mutex::new(gate_out) }), asked, gate)
    }

    fn setup(limits: &Limits) -> Setup {
        let (model, asked, gate) = gated();
        let engine = Arc::new(Engine::start(limits, Arc::new(Metrics::new())));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Setup { engine, model, asked, gate, runtime }
    }

    impl Setup {
        /// Asks, and returns once the question is in the queue or already beyond.
        fn ask(&self, texts: &[&str]) -> tokio::task::JoinHandle<Outcome> {
            self.ask_model(&self.model, texts)
        }

        fn question(model: &Arc<Gated>, texts: &[&str]) -> Question {
            Question {
                classifier: Arc::clone(model) as Arc<dyn Classifier>,
                texts: texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().into(),
                n_tokens: texts.iter().map(|text| text.len()).collect(),
            }
        }

        /// As [`Setup::ask`], another model.
        fn ask_model(
            &self,
            model: &Arc<Gated>,
            texts: &[&str],
        ) -> tokio::task::JoinHandle<Outcome> {
            let before = self.n_waiting();
            let question = Self::question(model, texts);
            let engine = Arc::clone(&self.engine);
            let handle = self.runtime.spawn(async move { engine.ask(question).await });
            let started = Instant::now();
            while self.n_waiting() == before
                && !handle.is_finished()
                && started.elapsed() < Duration::from_millis(300)
            {
                thread::yield_now();
            }
            handle
        }

        fn n_waiting(&self) -> usize {
            self.engine.0.lock().n_texts(self.engine.0.bounds)
        }

        fn next_batch(&self) -> Vec<String> {
            self.asked.recv_timeout(Duration::from_secs(10)).unwrap()
        }

        fn labels(&self, handle: tokio::task::JoinHandle<Outcome>) -> Vec<String> {
            let predictions = self.runtime.block_on(handle).unwrap().unwrap();
            predictions.into_iter().map(|prediction| prediction.label).collect()
        }

        fn error_type(&self, handle: tokio::task::JoinHandle<Outcome>) -> &'static str {
            self.runtime.block_on(handle).unwrap().unwrap_err().error_type()
        }
    }

    #[test]
    fn a_lone_question_is_asked_at_once_and_those_behind_it_together() {
        let setup = setup(&Limits::default());
        let first = setup.ask(&["+a"]);
        assert_eq!(setup.next_batch(), ["+a"]);
        let others = [setup.ask(&["b"]), setup.ask(&["+c", "d"]), setup.ask(&["+e"])];
        setup.gate.send(()).unwrap();
        assert_eq!(setup.labels(first), ["positive"]);
        assert_eq!(setup.next_batch(), ["b", "+c", "d", "+e"]);
        setup.gate.send(()).unwrap();
        let labels: Vec<_> = others.map(|other| setup.labels(other)).into();
        assert_eq!(labels, [vec!["negative"], vec!["positive", "negative"], vec!["positive"]]);
    }

    #[test]
    fn clients_that_were_answered_together_are_waited_for_a_moment() {
        let second = Duration::from_secs(1);
        let returning = Returning::of(3, second);
        let patience = returning.patience(1);
        assert!(patience > Duration::ZERO && patience <= second / 50, "{patience:?}");
        assert_eq!(returning.patience(3), Duration::ZERO, "all are there");
        assert!(Returning::of(2, 600 * second).patience(1) <= second / 20);
        for nobody in [Returning::nobody(), Returning::of(1, second)] {
            assert_eq!(nobody.patience(1), Duration::ZERO, "a lone client waits for nobody");
        }
        thread::sleep(second / 40);
        assert_eq!(returning.patience(1), Duration::ZERO, "the others went elsewhere");
    }

    #[test]
    fn a_batch_is_of_one_model_however_their_questions_arrive() {
        let setup = setup(&Limits::default());
        let (other, other_asked, other_gate) = gated();
        let first = setup.ask(&["+a"]);
        setup.next_batch();
        let waiting = [
            setup.ask_model(&other, &["+b"]),
            setup.ask(&["c"]),
            setup.ask_model(&other, &["d"]),
            setup.ask(&["+e"]),
        ];
        (0..2).for_each(|_| setup.gate.send(()).unwrap());
        other_gate.send(()).unwrap();
        setup.labels(first);
        let labels = waiting.map(|one| setup.labels(one).remove(0));
        assert_eq!(labels, ["positive", "negative", "negative", "positive"]);
        assert_eq!(other_asked.try_iter().collect::<Vec<_>>(), [["+b", "d"]]);
        assert_eq!(setup.next_batch(), ["c", "+e"]);
    }

    #[test]
    fn a_batch_is_bounded_and_a_long_question_lets_others_in_between() {
        let limits =
            Limits { model_batch_texts: 2, model_batch_tokens: Some(100), ..Limits::default() };
        let setup = setup(&limits);
        let long = setup.ask(&["1", "2", "3", "4"]);
        assert_eq!(setup.next_batch(), ["1", "2"]);
        let short = setup.ask(&["+"]);
        for expected in [vec!["+", "3"], vec!["4"]] {
            setup.gate.send(()).unwrap();
            assert_eq!(setup.next_batch(), expected);
        }
        setup.gate.send(()).unwrap();
        assert_eq!(setup.labels(short), ["positive"]);
        assert_eq!(setup.labels(long).len(), 4);
    }

    #[test]
    fn tokens_bound_a_batch_too() {
        let setup = setup(&Limits { model_batch_tokens: Some(10), ..Limits::default() });
        let first = setup.ask(&["longer than any batch"]);
        assert_eq!(setup.next_batch(), ["longer than any batch"]);
        let others = [setup.ask(&["sixsix"]), setup.ask(&["six+++"]), setup.ask(&["four"])];
        setup.gate.send(()).unwrap();
        assert_eq!(setup.next_batch(), ["sixsix", "four"]);
        setup.gate.send(()).unwrap();
        assert_eq!(setup.next_batch(), ["six+++"]);
        setup.gate.send(()).unwrap();
        setup.labels(first);
        for other in others {
            setup.labels(other);
        }
    }

    #[test]
    fn a_model_says_how_many_tokens_it_wants_where_nobody_else_does() {
        let text = "t".repeat(BATCH_TOKENS / 2);
        for (model_batch_tokens, n_together) in [(None, 2), (Some(3 * BATCH_TOKENS), 3)] {
            let setup = setup(&Limits { model_batch_tokens, ..Limits::default() });
            let first = setup.ask(&["+a"]);
            setup.next_batch();
            let others = [0; 3].map(|_| setup.ask(&[&text]));
            (0..3).for_each(|_| setup.gate.send(()).unwrap());
            setup.labels(first);
            assert_eq!(setup.next_batch().len(), n_together);
            for other in others {
                setup.labels(other);
            }
        }
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let setup = setup(&Limits { queue_texts: 2, ..Limits::default() });
        let first = setup.ask(&["+a"]);
        setup.next_batch();
        let waiting = setup.ask(&["b", "c"]);
        assert_eq!(setup.error_type(setup.ask(&["d"])), "overloaded");
        setup.gate.send(()).unwrap();
        setup.gate.send(()).unwrap();
        setup.labels(first);
        assert_eq!(setup.labels(waiting).len(), 2);
        // Room again.
        setup.gate.send(()).unwrap();
        assert_eq!(setup.labels(setup.ask(&["+e"])), ["positive"]);
    }

    /// One allowed batch of 10,000 texts kept everybody else out until it was nearly over.
    #[test]
    fn a_question_longer_than_the_queue_keeps_nobody_out() {
        let limits = Limits { queue_texts: 4, model_batch_texts: 2, ..Limits::default() };
        let setup = setup(&limits);
        let first = setup.ask(&["+a"]);
        setup.next_batch();
        let long = setup.ask(&["1", "2", "3", "4", "5", "6"]);
        let short = setup.ask(&["+b"]);
        (0..10).for_each(|_| setup.gate.send(()).unwrap());
        assert_eq!(setup.labels(first), ["positive"]);
        assert_eq!(setup.labels(short), ["positive"]);
        assert_eq!(setup.labels(long).len(), 6);
        assert_eq!([setup.next_batch(), setup.next_batch()], [["1", "2"], ["+b", "3"]]);
    }

    #[test]
    fn streams_wait_for_room_and_leave_some_to_others() {
        let limits = Limits {
            queue_texts: 4,
            model_batch_texts: 2,
            queue_wait: Duration::from_millis(1),
            ..Limits::default()
        };
        let setup = setup(&limits);
        let ask_each = |texts: &[&str]| {
            let (engine, question) =
                (Arc::clone(&setup.engine), Setup::question(&setup.model, texts));
            setup.runtime.spawn(async move { engine.ask_each(question).await })
        };
        let streams = [ask_each(&["+a", "+b"]), ask_each(&["+c", "bad"])];
        let first = setup.next_batch();
        thread::sleep(Duration::from_millis(50));
        // The other stream waits outside, and so is refused nothing.
        assert_eq!(setup.n_waiting(), 0);
        (0..10).for_each(|_| setup.gate.send(()).unwrap());
        let [good, mixed] = streams.map(|one| setup.runtime.block_on(one).unwrap());
        assert!(good.iter().all(Result::is_ok));
        assert_eq!(mixed[0].as_ref().unwrap().label, "positive");
        assert_eq!(mixed[1].as_ref().unwrap_err().error_type(), "validation_error");
        assert_eq!(first.len(), 2);
    }

    #[test]
    fn who_left_or_waited_too_long_costs_nothing() {
        let limits = Limits { queue_wait: Duration::from_millis(200), ..Limits::default() };
        let setup = setup(&limits);
        let first = setup.ask(&["+a"]);
        setup.next_batch();
        let gone = setup.ask(&["gone"]);
        gone.abort();
        let late = setup.ask(&["late"]);
        thread::sleep(Duration::from_millis(250));
        let last = setup.ask(&["last"]);
        setup.gate.send(()).unwrap();
        setup.labels(first);
        assert_eq!(setup.next_batch(), ["last"]);
        assert_eq!(setup.error_type(late), "too_late");
        setup.gate.send(()).unwrap();
        assert_eq!(setup.labels(last), ["negative"]);
        assert_eq!(setup.n_waiting(), 0);
    }

    #[test]
    fn one_questions_failure_is_its_own() {
        let setup = setup(&Limits::default());
        for (culprit, error_type) in [("bad", "validation_error"), ("panic", "internal")] {
            let first = setup.ask(&["+a"]);
            setup.next_batch();
            let (good, bad) = (setup.ask(&["+good"]), setup.ask(&[culprit]));
            for _ in 0..4 {
                setup.gate.send(()).unwrap();
            }
            setup.labels(first);
            assert_eq!(setup.labels(good), ["positive"]);
            assert_eq!(setup.error_type(bad), error_type);
            assert_eq!(setup.next_batch(), ["+good", culprit]);
            assert_eq!([setup.next_batch(), setup.next_batch()], [["+good"], [culprit]]);
        }
        assert_eq!(setup.n_waiting(), 0);
    }
}
