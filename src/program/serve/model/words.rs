//! Counting the words of what is predicted: how many a text has and how many the model does not know, and
//! over many texts which words they have. Only a bounded number of texts a second is counted, so that a
//! server under load does not slow down for it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use trialbook::{
    model::{MIN_EMBEDDED_TOKENS, prediction::Prediction},
    monitor::{Arm, PredictionLog, WordCounter, WordTally, encoded_embedding, n_unknown_words},
};

use super::served::ServedModel;

/// Texts a second whose words are counted, and as many at once after a while without: of less traffic all,
/// of more a part of it. Counting a review takes about 3 microseconds.
const COUNTED: Budget = Budget { per_second: 2_000.0, at_once: 2_000.0 };
/// Texts a second whose place among others is asked for, of nets: a few hundred are compared.
const EMBEDDED: Budget = Budget { per_second: 5.0, at_once: 100.0 };
/// Shorter texts are hardly ever long enough in tokens to have a place, and are not asked for one.
const MIN_EMBEDDED_WORDS: usize = MIN_EMBEDDED_TOKENS / 2;
/// Versions of one model whose words are counted at the same time.
const MAX_TALLIES: usize = 4;

/// How often something may be done.
struct Budget {
    per_second: f64,
    at_once: f64,
}

/// What is left of a budget.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn full(budget: &Budget) -> Self {
        Self { left: budget.at_once, at: Instant::now() }
    }

    /// Takes up to `n` of what is left.
    fn take(&mut self, budget: &Budget, n: usize, now: Instant) -> usize {
        let passed_s = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed_s * budget.per_second).min(budget.at_once);
        self.at = now;
        let taken = n.min(self.left as usize);
        self.left -= taken as f64;
        taken
    }
}

/// What is counted of one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TextCounts {
    pub(crate) n_words: Option<u32>,
    pub(crate) n_unknown_words: Option<u32>,
    pub(crate) embedding: Option<String>,
}

/// The words of one model's texts.
pub(crate) struct WordWatch(Mutex<State>);

struct State {
    counted: Allowance,
    embedded: Allowance,
    /// Of the versions that predict, the latest last.
    tallies: Vec<WordTally>,
}

impl Default for WordWatch {
    fn default() -> Self {
        let (counted, embedded) = (Allowance::full(&COUNTED), Allowance::full(&EMBEDDED));
        Self(Mutex::new(State { counted, embedded, tallies: Vec::new() }))
    }
}

impl WordWatch {
    /// The counts of each of `texts`, which `served` predicted; none of those beyond what may be counted.
    /// Lines of many texts go to `log` when they are full.
    pub(crate) fn count<'t>(
        &self,
        log: &PredictionLog,
        served: &ServedModel,
        arm: Arm,
        texts: impl ExactSizeIterator<Item = &'t str>,
        predictions: &[Prediction],
        now_ms: i64,
    ) -> Vec<TextCounts> {
        if !log.counts_words() {
            return predictions.iter().map(|_| TextCounts::default()).collect();
        }
        let n_texts = texts.len();
        let (n_counted, mut n_embedded) = {
            let (mut state, now) = (self.state(), Instant::now());
            let n_counted = state.counted.take(&COUNTED, n_texts, now);
            (n_counted, state.embedded.take(&EMBEDDED, n_counted, now))
        };
        let mut found = Vec::new();
        let counts = texts.zip(predictions).enumerate().map(|(idx, (text, prediction))| {
            if idx >= n_counted {
                return TextCounts::default();
            }
            let n_words = match &served.words {
                Some(counter) => counter.count(text, &mut found),
                None => WordCounter::count_all(text),
            };
            TextCounts {
                n_words: u32::try_from(n_words).ok(),
                n_unknown_words: prediction
                    .known_share
                    .map(|share| n_unknown_words(n_words, share)),
                embedding: match n_embedded > 0 && n_words >= MIN_EMBEDDED_WORDS {
                    true => embedding(served, text).inspect(|_| n_embedded -= 1),
                    false => None,
                },
            }
        });
        let counts: Vec<TextCounts> = counts.collect();
        // Short texts have none.
        self.state().embedded.left += n_embedded as f64;
        if let (Some(counter), true) = (&served.words, n_counted > 0) {
            self.tally(log, served, arm, counter, n_counted as u64, &found, now_ms);
        }
        counts
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one step")]
    fn tally(
        &self,
        log: &PredictionLog,
        served: &ServedModel,
        arm: Arm,
        counter: &WordCounter,
        n: u64,
        found: &[u32],
        now_ms: i64,
    ) {
        let mut lines = Vec::new();
        {
            let mut state = self.state();
            let version = served.info.version;
            let of = |tally: &WordTally| tally.is_of(version, arm, counter);
            if !state.tallies.iter().any(of) {
                if state.tallies.len() == MAX_TALLIES {
                    lines.extend(state.tallies.remove(0).take(log.min_tallied_texts()));
                }
                let model = &served.info.name;
                state.tallies.push(WordTally::new(model, version, arm, counter.clone()));
            }
            if let Some(tally) = state.tallies.iter_mut().find(|tally| of(tally)) {
                tally.add(n, found, now_ms);
                let min_texts = log.min_tallied_texts();
                if tally.is_due(min_texts, now_ms) {
                    lines.extend(tally.take(min_texts));
                }
            }
        }
        lines.into_iter().for_each(|line| log.push_words(line));
    }

    /// Hands over what is counted so far, where it is of enough texts.
    pub(crate) fn flush(&self, log: &PredictionLog) {
        self.hand_over(log, |_| true);
    }

    /// As [`WordWatch::flush`], of what waits for traffic that may not come.
    pub(crate) fn flush_due(&self, log: &PredictionLog, now_ms: i64) {
        self.hand_over(log, |tally| tally.is_due(log.min_tallied_texts(), now_ms));
    }

    fn hand_over(&self, log: &PredictionLog, is_wanted: impl Fn(&WordTally) -> bool) {
        let lines: Vec<_> = {
            let mut state = self.state();
            let tallies = state.tallies.iter_mut().filter(|tally| is_wanted(tally));
            tallies.filter_map(|tally| tally.take(log.min_tallied_texts())).collect()
        };
        lines.into_iter().for_each(|line| log.push_words(line));
    }

    /// The state is whole even after a thread panicked: it is changed in single steps.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a text among others, for the log. A model that fails at it has answered already.
fn embedding(served: &ServedModel, text: &str) -> Option<String> {
    let found = served.classifier.embed(&[text]).ok()??;
    found.into_iter().flatten().next().map(|row| encoded_embedding(&row))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_budget_is_spent_and_comes_back_with_time() {
        let budget = Budget { per_second: 10.0, at_once: 5.0 };
        let mut allowance = Allowance::full(&budget);
        let start = allowance.at;
        assert_eq!(allowance.take(&budget, 3, start), 3);
        assert_eq!(allowance.take(&budget, 3, start), 2);
        assert_eq!(allowance.take(&budget, 1, start), 0);
        assert_eq!(allowance.take(&budget, 9, start + Duration::from_millis(250)), 2);
        assert_eq!(allowance.take(&budget, 9, start + Duration::from_secs(60)), 5);
        assert_eq!(allowance.take(&budget, 1, start), 0, "a clock that goes back gives nothing");
    }
}
