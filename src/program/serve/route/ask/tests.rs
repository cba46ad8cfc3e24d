//! Both ways to a model, at once and through its queue, under both policies, with texts that it refuses.

use std::{borrow::Cow, path::Path};

use serde_json::Value;
use trialbook::{
    error::{Error, Result},
    model::{Classifier, Probabilities, TokenCounts},
    registry::Stage,
};

use super::*;
use crate::serve::{Limits, ModelInfo, ServerState};

/// Words that the model reads of a text.
const MAX_TOKENS: usize = 3;

/// Reads words, and fails with the whole batch for one bad text in it.
struct Moody {
    classes: [String; 2],
    wants_batches: bool,
}

impl Classifier for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
        assert!(!texts.contains(&"panic"), "asked for");
        if texts.contains(&"bad") {
            return Err(Error::invalid("a bad text"));
        }
        let values = texts.iter().flat_map(|text| match text.starts_with('+') {
            true => [0.1, 0.9],
            false => [0.8, 0.2],
        });
        Ok(Probabilities::new(values.collect(), 2))
    }

    fn count_tokens(&self, texts: &[&str]) -> Result<Option<TokenCounts>> {
        if texts.contains(&"uncountable") {
            return Err(Error::invalid("no words"));
        }
        let n_tokens = texts.iter().map(|text| text.split(' ').count()).collect();
        Ok(Some(TokenCounts { n_tokens, max_tokens: MAX_TOKENS }))
    }

    fn batch_tokens(&self) -> Option<usize> {
        self.wants_batches.then_some(100)
    }

    fn save(&self, _: &Path) -> Result<()> {
        unreachable!("nothing here saves it")
    }

    fn describe(&self) -> Value {
        Value::Null
    }
}

fn state(wants_batches: bool) -> ServerState {
    let classes = ["negative".to_owned(), "positive".to_owned()];
    let info = ModelInfo {
        name: "M".to_owned(),
        version: 1,
        stage: Stage::Production,
        run_id: "r".to_owned(),
    };
    let classifier = Arc::new(Moody { classes, wants_batches });
    let served = ServedModel { classifier, info: Arc::new(info), words: None };
    ServerState::of_models(vec![("M".to_owned(), Some(served))], Limits::default()).unwrap()
}

/// The outcome of each text: its label, with `…` where the text was cut, or the type of the error. One for
/// all under [`Policy::All`].
async fn outcomes(state: &ServerState, texts: &[&str], policy: Policy) -> Vec<String> {
    let (slot, started) = (&state.slots()[0], Instant::now());
    let served = slot.served().unwrap();
    let asker = Asker { slot, served: &served, request_id: "id" };
    let is_all = matches!(policy, Policy::All { .. });
    let n_texts = texts.len();
    let texts = texts.iter().map(|text| Cow::Borrowed(*text)).collect();
    let indexes = (0..).take(n_texts).collect();
    let answers = match asker.begin(Texts { texts, indexes, policy, started }) {
        Ok(Begun::Answered(answers)) => Ok(answers),
        Ok(Begun::Waiting(waiting)) => {
            assert!(served.classifier.batch_tokens().is_some(), "it was to be asked at once");
            asker.finish(waiting, state.engine()).await
        }
        Err(error) => Err(error),
    };
    let shown = |answer: Answer<'_>| {
        format!("{}{}", answer.prediction.label, if answer.truncated { "…" } else { "" })
    };
    match answers {
        Err(error) => vec![error.error_type().to_owned()],
        Ok(answers) if is_all => answers.all().into_iter().map(shown).collect(),
        Ok(answers) => {
            let outcome = |one: Result<Answer<'_>, ApiError>| match one {
                Ok(answer) => shown(answer),
                Err(error) => error.error_type().to_owned(),
            };
            answers.each().into_iter().map(outcome).collect()
        }
    }
}

#[tokio::test]
async fn at_once_or_in_the_queue_texts_have_the_same_answers() {
    const LONG: &str = "+ one two three";
    const INVALID: &str = "validation_error";
    for wants_batches in [false, true] {
        let state = state(wants_batches);
        for (texts, truncate, expected) in [
            (&["+a", "b"][..], true, &["positive", "negative"][..]),
            (&["a", LONG], true, &["negative", "positive…"]),
            (&["a", LONG], false, &[INVALID]),
            (&["+a", "bad"], true, &[INVALID]),
            (&["+a", "uncountable"], true, &[INVALID]),
            (&["panic"], true, &["internal"]),
        ] {
            let policy = Policy::All { field: TextField::Many, truncate };
            let found = outcomes(&state, texts, policy).await;
            assert_eq!(found, expected, "all of {texts:?}, in a queue: {wants_batches}");
        }
        for (texts, truncate, expected) in [
            (&["+a", "b"][..], &[true, true][..], &["positive", "negative"][..]),
            (&[LONG, LONG, "b"], &[false, true, true], &[INVALID, "positive…", "negative"]),
            (
                &["bad", "+a", "panic", "b"],
                &[true; 4],
                &[INVALID, "positive", "internal", "negative"],
            ),
            (
                &["uncountable", LONG, LONG, "+a"],
                &[true, false, true, true],
                &[INVALID, INVALID, "positive…", "positive"],
            ),
            (&[LONG, "bad"], &[false, true], &[INVALID, INVALID]),
            (&[LONG], &[false], &[INVALID]),
            (&["uncountable"], &[true], &[INVALID]),
            (&["panic"], &[true], &["internal"]),
        ] {
            let policy = Policy::Each { truncate: truncate.to_vec() };
            let found = outcomes(&state, texts, policy).await;
            assert_eq!(found, expected, "each of {texts:?}, in a queue: {wants_batches}");
        }
    }
}
