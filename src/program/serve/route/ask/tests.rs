//! Both ways to a model, at once and through its queue, under both policies, with texts that it refuses.

use std::{borrow::Cow, path::Path, time::Duration};

use serde_json::Value;
use trialbook::{
    error::{Error, Result},
    model::{Classifier, Probabilities, TokenCounts},
    registry::{Release, ReleaseBounds, ReleaseKind, ReleaseState, ReleaseStep, SplitKey, Stage},
};

use super::{super::texts::TextField, *};
use crate::serve::{Limits, ModelInfo, ServerState, model::trial::TakenBack};

/// Words that the model reads of a text.
const MAX_TOKENS: usize = 3;

/// Reads words, and fails with the whole batch for one bad text in it.
struct Moody {
    classes: [String; 2],
    wants_batches: bool,
    /// It takes what the others fail.
    is_sturdy: bool,
}

impl Classifier for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
        assert!(self.is_sturdy || !texts.contains(&"panic"), "asked for");
        if !self.is_sturdy && texts.contains(&"bad") {
            return Err(Error::invalid("a bad text"));
        }
        let values = texts.iter().flat_map(|text| match text.starts_with('+') {
            true => [0.1, 0.9],
            false => [0.8, 0.2],
        });
        Ok(Probabilities::new(values.collect(), 2))
    }

    fn count_tokens(&self, texts: &[&str]) -> Result<Option<TokenCounts>> {
        if !self.is_sturdy && texts.contains(&"uncountable") {
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
    let served = served(1, wants_batches, false);
    ServerState::of_models(vec![("M".to_owned(), Some(served))], Limits::default()).unwrap()
}

fn served(version: u32, wants_batches: bool, is_sturdy: bool) -> ServedModel {
    let classes = ["negative".to_owned(), "positive".to_owned()];
    let info = ModelInfo {
        name: "M".to_owned(),
        version,
        stage: Stage::Production,
        run_id: "r".to_owned(),
    };
    let classifier = Arc::new(Moody { classes, wants_batches, is_sturdy });
    ServedModel { classifier, info: Arc::new(info), words: None }
}

/// The outcome of each text: its label, with `…` where the text was cut, or the type of the error. One for
/// all under [`Policy::All`].
async fn outcomes(state: &ServerState, texts: &[&str], policy: Policy) -> Vec<String> {
    let (slot, started) = (&state.slots()[0], Instant::now());
    let assigned = slot.assign(slot.served().unwrap(), None, "id");
    let asker = Asker { slot, assigned: &assigned, request_id: "id" };
    let is_all = matches!(policy, Policy::All { .. });
    let n_texts = texts.len();
    let texts = texts.iter().map(|text| Cow::Borrowed(*text)).collect();
    let indexes = (0..).take(n_texts).collect();
    let answers = match asker.begin(Texts { texts, indexes, policy, started }) {
        Ok(Begun::Answered(answers)) => Ok(answers),
        Ok(Begun::Waiting(waiting)) => asker.finish(waiting, state.engine()).await,
        Err(error) => Err(error),
    };
    let shown = |answer: PredictedAnswer<'_>| {
        format!("{}{}", answer.prediction.label, if answer.truncated { "…" } else { "" })
    };
    match answers {
        Err(error) => vec![error.error_type().to_owned()],
        Ok(answers) if is_all => answers.all().into_iter().map(shown).collect(),
        Ok(answers) => {
            let outcome = |one: Result<PredictedAnswer<'_>, ApiError>| match one {
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

/// A release of a moody candidate, version 2, that gets every request.
fn release() -> Release {
    Release {
        id: "a release".to_owned(),
        model: "M".to_owned(),
        number: 1,
        candidate: 2,
        production: 1,
        kind: ReleaseKind::Canary,
        steps: ReleaseStep::parse_list("100%").unwrap(),
        step_idx: 0,
        step_since_ms: 0,
        split_by: SplitKey::Request,
        bounds: ReleaseBounds::default(),
        overruled: None,
        state: ReleaseState::Running,
        reason: String::new(),
        evidence: None,
        started_by: "ada".to_owned(),
        started_ms: 0,
        ended_by: None,
        ended_ms: None,
    }
}

#[tokio::test]
async fn production_answers_what_a_candidate_fails_in_every_way() {
    const LONG: &str = "+ one two three";
    for (production_waits, candidate_waits) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let production = served(1, production_waits, true);
        let models = vec![("M".to_owned(), Some(production.clone()))];
        let state = ServerState::of_models(models, Limits::default()).unwrap();
        let slot = &state.slots()[0];
        let versions = (served(2, candidate_waits, false), &production);
        let (metrics, patience) = (state.metrics().releases(), Duration::from_secs(60));
        let trial = Trial::begin(release(), versions, metrics, slot.monitor(), patience).unwrap();
        slot.set_trial(Some(trial));
        let trial = slot.trial().unwrap();
        let (mut n_requests, mut n_errors) = (0, 0);
        for (texts, truncate, expected, fails) in [
            (&["+a", "b"][..], true, &["positive", "negative"][..], false),
            (&["+a", "bad"], true, &["positive", "negative"], true),
            (&["+a", "panic"], true, &["positive", "negative"], true),
            (&["uncountable"], true, &["negative"], true),
        ] {
            for policy in [
                Policy::All { field: TextField::Many, truncate },
                Policy::Each { truncate: vec![truncate; texts.len()] },
            ] {
                let found = outcomes(&state, texts, policy).await;
                assert_eq!(found, expected, "{texts:?} {production_waits} {candidate_waits}");
                n_requests += 1;
                n_errors += u64::from(fails);
            }
        }
        // What both refuse is no fault of the candidate's.
        let policy = Policy::All { field: TextField::Many, truncate: false };
        assert_eq!(outcomes(&state, &[LONG], policy).await, ["validation_error"]);
        let counts = trial.tally().counts().step(0);
        let candidate = &counts.candidate;
        assert_eq!((candidate.n_requests, candidate.n_errors), (n_requests, n_errors));
        assert_eq!(counts.production.n_requests, n_errors);
        // Once it is taken back, Production alone is asked.
        trial.take_back(TakenBack { reason: "a test".to_owned(), evidence: Value::Null });
        let policy = Policy::All { field: TextField::Many, truncate: true };
        assert_eq!(outcomes(&state, &["bad"], policy).await, ["negative"]);
        assert_eq!(trial.tally().counts().step(0).candidate, counts.candidate);
    }
}
