//! The engine asked by clients that come, wait and leave, with a model that answers when it is let.

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

/// The batch that [`Gated`] wants.
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
    engine: Arc<BatchEngine>,
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
    let engine = Arc::new(BatchEngine::start(limits, Arc::new(Metrics::new())));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    Setup { engine, model, asked, gate, runtime }
}

impl Setup {
    /// Asks, and returns once the question is in the queue or already beyond.
    fn ask(&self, texts: &[&str]) -> tokio::task::JoinHandle<QueueOutcome> {
        self.ask_model(&self.model, texts)
    }

    fn question(model: &Arc<Gated>, texts: &[&str]) -> QueuedTexts {
        QueuedTexts {
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
    ) -> tokio::task::JoinHandle<QueueOutcome> {
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

    fn labels(&self, handle: tokio::task::JoinHandle<QueueOutcome>) -> Vec<String> {
        let predictions = self.runtime.block_on(handle).unwrap().unwrap();
        predictions.into_iter().map(|prediction| prediction.label).collect()
    }

    fn error_type(&self, handle: tokio::task::JoinHandle<QueueOutcome>) -> &'static str {
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
    let start = Instant::now();
    let returning = Returning::of(3, second, start);
    let patience = returning.patience(1, start);
    assert!(patience > Duration::ZERO && patience <= second / 50, "{patience:?}");
    assert_eq!(returning.patience(3, start), Duration::ZERO, "all are there");
    assert!(Returning::of(2, 600 * second, start).patience(1, start) <= second / 20);
    for nobody in [Returning::nobody(start), Returning::of(1, second, start)] {
        assert_eq!(nobody.patience(1, start), Duration::ZERO, "a lone client waits for nobody");
    }
    assert_eq!(
        returning.patience(1, start + second / 40),
        Duration::ZERO,
        "the others went elsewhere"
    );
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
        let (engine, question) = (Arc::clone(&setup.engine), Setup::question(&setup.model, texts));
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
