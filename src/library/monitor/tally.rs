//! Words counted over many texts while predictions are made: what a log that keeps no text says of words. A
//! tally is written as one line of many texts, so that nobody can read from it what one text says.

use std::{cell::RefCell, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Arm, profile::WordCounter};
use crate::text::{WordList, WordScratch, count_words};

/// Fewer texts than this are not written of a log that keeps no texts.
pub const MIN_TALLIED_TEXTS: u64 = 100;
/// Texts of one line.
const FULL: u64 = 1_000;
/// The time after which enough texts are written although the line is not full.
const MAX_AGE_MS: i64 = 30_000;
/// The time without another text after which they are written too: a server that is quiet now may stay so.
const MAX_QUIET_MS: i64 = 3_000;

/// What the kind of its lines is called.
pub(super) const WORDS_KIND: &str = "words";

/// A line of counted words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordsLine {
    /// `words`: tells the line from a prediction.
    pub kind: String,
    /// The registered model's name.
    pub model: String,
    /// The version that predicted.
    pub version: u32,
    /// The list of words that were looked for: the profile's.
    pub list: String,
    /// The time of the first text, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The time of the last one.
    pub to_ms: i64,
    /// The number of texts.
    pub n: u64,
    /// The number of texts that have a word, for each word of the list that one of them has: its place in
    /// the list, and the number.
    pub counts: Vec<(u32, u64)>,
}

impl WordsLine {
    /// True for counts that a server can have written: no word is in more texts than there are.
    pub(super) fn is_sound(&self) -> bool {
        self.n > 0 && self.counts.iter().all(|(_, n_texts)| *n_texts <= self.n)
    }
}

thread_local! {
    /// Kept from one text to the next.
    static SCRATCH: RefCell<WordScratch> = RefCell::default();
}

/// The words of the texts that one version predicted.
#[derive(Debug)]
pub struct WordTally {
    model: String,
    version: u32,
    arm: Arm,
    counter: WordCounter,
    from_ms: i64,
    to_ms: i64,
    n: u64,
    counts: Vec<u64>,
}

impl WordCounter {
    /// The number of words of `text`, and those of the list that it has, which `found` gets.
    pub fn count(&self, text: &str, found: &mut Vec<u32>) -> usize {
        SCRATCH.with_borrow_mut(|scratch| {
            let list: &WordList = &self.list;
            let n_words = list.count(text, scratch);
            found.extend_from_slice(scratch.found());
            n_words
        })
    }

    /// The number of words of `text`, where nobody knows which ones are looked for.
    pub fn count_all(text: &str) -> usize {
        count_words(text)
    }

    /// The number of words that are looked for.
    pub fn n_words(&self) -> usize {
        self.list.len()
    }

    /// True if both look for the words of one list.
    pub fn is_same_list(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.list, &other.list) || self.list_id == other.list_id
    }
}

impl WordTally {
    /// An empty tally of what a version predicts.
    pub fn new(model: &str, version: u32, arm: Arm, counter: WordCounter) -> Self {
        let counts = vec![0; counter.n_words()];
        Self { model: model.to_owned(), version, arm, counter, from_ms: 0, to_ms: 0, n: 0, counts }
    }

    /// True if it counts what `version` predicts in this part of a release.
    pub fn is_of(&self, version: u32, arm: Arm, counter: &WordCounter) -> bool {
        self.version == version && self.arm == arm && self.counter.is_same_list(counter)
    }

    /// Adds `n` texts, whose words [`WordCounter::count`] found.
    pub fn add(&mut self, n: u64, found: &[u32], now_ms: i64) {
        if self.n == 0 {
            self.from_ms = now_ms;
        }
        self.to_ms = now_ms;
        self.n += n;
        for id in found {
            if let Some(count) = self.counts.get_mut(*id as usize) {
                *count += 1;
            }
        }
    }

    /// True if its line should be written now, which takes `min_texts`: it is full or old, or no text came
    /// for a while. A clock that went back makes it due.
    pub fn is_due(&self, min_texts: u64, now_ms: i64) -> bool {
        let is_within =
            |from_ms: i64, max_ms: i64| (from_ms..from_ms.saturating_add(max_ms)).contains(&now_ms);
        let is_waiting = is_within(self.from_ms, MAX_AGE_MS) && is_within(self.to_ms, MAX_QUIET_MS);
        self.n >= FULL || (self.n >= min_texts.max(1) && !is_waiting)
    }

    /// The line of what was counted, which is empty from then on; none for fewer than `min_texts`, and for
    /// what nobody was answered.
    pub fn take(&mut self, min_texts: u64) -> Option<WordsLine> {
        if self.n < min_texts.max(1) || self.arm == Arm::Shadow {
            return None;
        }
        let counts = self.counts.iter_mut().map(std::mem::take).zip(0..);
        let counts =
            counts.filter(|(count, _)| *count > 0).map(|(count, id)| (id, count)).collect();
        Some(WordsLine {
            kind: WORDS_KIND.to_owned(),
            model: self.model.clone(),
            version: self.version,
            list: self.counter.list_id.to_string(),
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            n: std::mem::take(&mut self.n),
            counts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{ProfileRows, ReferenceProfile};

    fn counter(text: &str) -> WordCounter {
        let classes = ["a".to_owned(), "b".to_owned()];
        let rows = ProfileRows {
            name: "d.test",
            fingerprint: "",
            classes: &classes,
            texts: &[text],
            predicted: &[0],
            confidences: &[1.0],
            known_shares: None,
            embeddings: None,
        };
        ReferenceProfile::of(&rows).word_counter()
    }

    #[test]
    fn a_line_is_of_many_texts_and_the_next_one_begins_anew() {
        let counter = counter("bad film good");
        let mut tally = WordTally::new("M", 3, Arm::Production, counter.clone());
        for n in 0..MIN_TALLIED_TEXTS {
            assert_eq!(tally.take(MIN_TALLIED_TEXTS), None, "{n} texts say too much");
            let mut found = Vec::new();
            assert_eq!(counter.count("a good good film, rarely", &mut found), 4);
            tally.add(1, &found, n as i64);
        }
        assert!(!tally.is_due(MIN_TALLIED_TEXTS, MIN_TALLIED_TEXTS as i64));
        let line = tally.take(MIN_TALLIED_TEXTS).unwrap();
        let n = MIN_TALLIED_TEXTS;
        assert_eq!((line.n, line.from_ms, line.to_ms), (n, 0, n as i64 - 1));
        assert_eq!(line.counts, [(1, n), (2, n)]);
        let text = serde_json::to_string(&line).unwrap();
        assert!(text.starts_with(r#"{"kind":"words","model":"M","version":3,"#), "{text}");
        assert!(!text.contains("good"), "{text}");
        assert_eq!(tally.take(1), None);
        tally.add(MIN_TALLIED_TEXTS, &[], 0);
        tally.add(1, &[0], MAX_AGE_MS);
        assert!(tally.is_due(MIN_TALLIED_TEXTS, MAX_AGE_MS));
    }

    #[test]
    fn a_line_waits_for_no_traffic() {
        let tally = |n: u64| {
            let mut tally = WordTally::new("M", 3, Arm::Production, counter("good"));
            tally.add(n, &[0], 10_000);
            tally
        };
        let (few, enough, full) = (tally(99), tally(100), tally(FULL));
        let quiet_ms = 10_000 + MAX_QUIET_MS;
        for (at_ms, expected) in
            [(10_000, false), (quiet_ms - 1, false), (quiet_ms, true), (9_999, true)]
        {
            assert_eq!(enough.is_due(MIN_TALLIED_TEXTS, at_ms), expected, "{at_ms}");
            assert_eq!(few.is_due(1, at_ms), expected, "a log that keeps texts, {at_ms}");
            assert!(!few.is_due(MIN_TALLIED_TEXTS, at_ms), "{at_ms}");
            assert!(full.is_due(MIN_TALLIED_TEXTS, at_ms), "{at_ms}");
        }
        // Texts that keep coming, slowly.
        let mut slow = tally(99);
        slow.add(1, &[0], 10_000 + MAX_AGE_MS - 1);
        assert!(!slow.is_due(MIN_TALLIED_TEXTS, 10_000 + MAX_AGE_MS - 1));
        assert!(slow.is_due(MIN_TALLIED_TEXTS, 10_000 + MAX_AGE_MS));
        assert!(!WordTally::new("M", 3, Arm::Production, counter("good")).is_due(1, i64::MAX));
    }

    #[test]
    fn what_nobody_was_answered_is_not_written() {
        let mut tally = WordTally::new("M", 3, Arm::Shadow, counter("good"));
        tally.add(5_000, &[0], 0);
        assert_eq!(tally.take(1), None);
    }
}
