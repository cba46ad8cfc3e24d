//! A server state around a model that does what a text tells it to.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex},
};

use serde_json::Value;
use trialbook::{
    Error, ErrorKind, Result,
    model::{Answers, Classifier, Probabilities, TokenCounts},
    registry::Stage,
};
use trialbook_program::serve::{Limits, ModelInfo, ServedModel, ServerState};

/// A model that finds a text as good as the share of `o` among its letters, waits when the text
/// says so, and breaks in ways that a real one should not.
struct Double {
    classes: Vec<String>,
    gate: Gate,
    /// Words that it reads of a text; none for a model that reads all of them. A model that has
    /// such a bound wants batches, as neural ones do.
    max_tokens: Option<usize>,
}

/// Lets a test wait until the model works, and the model wait until the test lets it go.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    n_entered: usize,
    is_open: bool,
}

impl Gate {
    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.n_entered += 1;
        changed.notify_all();
        drop(changed.wait_while(state, |state| !state.is_open).unwrap());
    }

    pub(crate) fn wait_until_entered(&self) {
        let (state, changed) = &*self.0;
        drop(changed.wait_while(state.lock().unwrap(), |state| state.n_entered == 0).unwrap());
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }
}

impl Classifier for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
        let mut values = Vec::new();
        for text in texts {
            match *text {
                "wait" => self.gate.pass(),
                "fail" => return Err(Error::new(ErrorKind::Corrupt, "bad /secret/store/weights")),
                "panic" => panic!("the double panics when told to"),
                "lose" => continue,
                _ => {}
            }
            let positive = text.matches('o').count() as f64 / text.chars().count() as f64;
            let rest = (1.0 - positive) / (self.classes.len() - 1) as f64;
            values.extend(std::iter::repeat_n(rest, self.classes.len() - 1));
            values.push(positive);
        }
        Ok(Probabilities::new(values, self.classes.len()))
    }

    /// It knows the words with an `o`.
    fn answer(&self, texts: &[&str]) -> Result<Answers> {
        let share = |text: &&str| {
            let words = || text.split_whitespace();
            words().filter(|word| word.contains('o')).count() as f64 / words().count() as f64
        };
        let known_shares = Some(texts.iter().map(share).collect());
        Ok(Answers { probabilities: self.predict(texts)?, known_shares })
    }

    fn count_tokens(&self, texts: &[&str]) -> Result<Option<TokenCounts>> {
        let n_tokens = texts.iter().map(|text| text.split_whitespace().count()).collect();
        Ok(self.max_tokens.map(|max_tokens| TokenCounts { n_tokens, max_tokens }))
    }

    fn batch_tokens(&self) -> Option<usize> {
        self.max_tokens.map(|_| 4_096)
    }

    fn save(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }

    fn describe(&self) -> Value {
        Value::Null
    }
}

pub(crate) fn state_with(classes: &[&str], limits: Limits) -> (ServerState, Gate) {
    let gate = Gate::default();
    let classes = classes.iter().map(|&class| class.to_owned()).collect();
    (state_of(Double { classes, gate: gate.clone(), max_tokens: None }, limits), gate)
}

fn state_of(double: Double, limits: Limits) -> ServerState {
    ServerState::new("Reviews", Some(served("Reviews", double)), limits)
}

/// Version 3 of the model `name`.
fn served(name: &str, double: Double) -> ServedModel {
    let info = ModelInfo {
        name: name.to_owned(),
        version: 3,
        stage: Stage::Production,
        run_id: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    ServedModel { classifier: Arc::new(double), info: Arc::new(info), words: None }
}

/// A server of `Reviews` with two classes, `Long tickets` with three, which wants batches, and
/// `Empty` without a version; and the gate of `Long tickets`.
pub(crate) fn three_models(limits: Limits) -> (ServerState, Gate) {
    let gate = Gate::default();
    let double = |classes: &[&str], max_tokens| {
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        Double { classes, gate: gate.clone(), max_tokens }
    };
    let models = vec![
        ("Reviews".to_owned(), Some(served("Reviews", double(&["neg", "pos"], None)))),
        (
            "Long tickets".to_owned(),
            Some(served("Long tickets", double(&["low", "mid", "high"], Some(5)))),
        ),
        ("Empty".to_owned(), None),
    ];
    (ServerState::of_models(models, limits).unwrap(), gate)
}

pub(crate) fn state() -> ServerState {
    state_with(&["neg", "pos"], Limits::default()).0
}

/// A model that reads only the first `max_tokens` words of a text, and wants batches.
pub(crate) fn short_sighted(max_tokens: usize) -> ServerState {
    batched(max_tokens, Limits::default()).0
}

/// As [`short_sighted`], within `limits`.
pub(crate) fn batched(max_tokens: usize, limits: Limits) -> (ServerState, Gate) {
    let gate = Gate::default();
    let classes = ["neg", "pos"].map(str::to_owned).to_vec();
    let double = Double { classes, gate: gate.clone(), max_tokens: Some(max_tokens) };
    (state_of(double, limits), gate)
}

pub(crate) fn no_model() -> ServerState {
    ServerState::new("Reviews", None, Limits::default())
}
