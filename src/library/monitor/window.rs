//! The predictions of one version in a stretch of time, counted as a reference profile counts: whatever
//! their number, they take the memory of a profile.

use std::collections::BTreeMap;

use super::{
    Arm,
    line::PredictionView,
    profile::{
        ConfidenceCounts, N_UNKNOWN_BINS, ReferenceProfile, decoded_rows, length_bin, unknown_bin,
    },
    reader::LogSink,
    tally::WordsLine,
};
use crate::model::TextEmbedding;

/// Embeddings that are kept.
const MAX_EMBEDDINGS: usize = 300;
/// Texts that are kept, of a log that has them.
const MAX_TEXTS: usize = 2_000;

/// The predictions that are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowChoice {
    /// Of this registered model.
    pub model: String,
    /// Of this version of it.
    pub version: u32,
    /// From this moment on, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Up to this moment, itself not included.
    pub to_ms: i64,
    /// True for what the version predicted as a shadow, which nobody got; false for its answers.
    pub is_shadow: bool,
}

/// Predictions in counts.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowCounts {
    choice: WindowChoice,
    classes: Vec<String>,
    list_id: String,
    /// The number of predictions.
    pub n: u64,
    /// The first one's time, in milliseconds since the Unix epoch.
    pub from_ms: Option<i64>,
    /// The last one's.
    pub to_ms: Option<i64>,
    /// The number of times each class was predicted.
    pub labels: BTreeMap<String, u64>,
    /// The probabilities of the predicted labels.
    pub confidence: ConfidenceCounts,
    /// The number of texts of each length, by the profile's bins.
    pub lengths: BTreeMap<u32, u64>,
    /// The number of texts of each share of unknown words, by the profile's bins.
    pub unknown_words: Vec<u64>,
    /// Texts whose words were counted.
    pub n_tallied: u64,
    /// The number of them that have each of the profile's words.
    pub words: Vec<u64>,
    /// Words that were counted by another version's list.
    pub n_of_other_lists: u64,
    embeddings: Sample<TextEmbedding>,
    texts: Sample<String>,
    /// Predictions of the model by other versions in the same time.
    pub n_other_versions: u64,
    /// Lines of the log that are damaged.
    pub n_unreadable: u64,
}

/// One answer, as a window counts it.
#[derive(Debug, Clone, Copy)]
pub struct CountedAnswer<'a> {
    /// The predicted class.
    pub label: &'a str,
    /// Its probability.
    pub confidence: f64,
    /// Length of the text in words.
    pub n_words: Option<u32>,
    /// Words that the model does not know.
    pub n_unknown_words: Option<u32>,
}

impl WindowCounts {
    /// Nothing counted yet, to be compared with `profile`.
    pub fn new(profile: &ReferenceProfile, choice: WindowChoice) -> Self {
        Self {
            choice,
            classes: profile.classes.clone(),
            list_id: profile.list_id(),
            n: 0,
            from_ms: None,
            to_ms: None,
            labels: BTreeMap::new(),
            confidence: ConfidenceCounts::new(profile.classes.len()),
            lengths: BTreeMap::new(),
            unknown_words: vec![0; N_UNKNOWN_BINS],
            n_tallied: 0,
            words: vec![0; profile.words.len()],
            n_of_other_lists: 0,
            embeddings: Sample::new(MAX_EMBEDDINGS),
            texts: Sample::new(MAX_TEXTS),
            n_other_versions: 0,
            n_unreadable: 0,
        }
    }

    /// Counts one answer.
    pub fn add(&mut self, answer: CountedAnswer<'_>) {
        self.n += 1;
        match self.labels.get_mut(answer.label) {
            Some(n) => *n += 1,
            None => {
                self.labels.insert(answer.label.to_owned(), 1);
            }
        }
        self.confidence.add(answer.confidence);
        let Some(n_words) = answer.n_words else { return };
        *self.lengths.entry(length_bin(n_words)).or_default() += 1;
        if let Some(n_unknown) = answer.n_unknown_words {
            self.unknown_words[unknown_bin(n_unknown, n_words)] += 1;
        }
    }

    /// Keeps a text, if it is among those that are kept; `key` tells it from others.
    pub fn add_text(&mut self, key: u64, text: &str) {
        self.texts.add(key, || text.to_owned());
    }

    /// Keeps the place of a text among others.
    pub fn add_embedding(&mut self, key: u64, embedding: TextEmbedding) {
        self.embeddings.add(key, || embedding);
    }

    /// Counts `n` texts that have these words of the profile's.
    pub fn add_words(&mut self, n: u64, counts: impl IntoIterator<Item = (u32, u64)>) {
        self.n_tallied += n;
        for (id, n_texts) in counts {
            if let Some(sum) = self.words.get_mut(id as usize) {
                *sum += n_texts.min(n);
            }
        }
    }

    /// The embeddings that are kept, in an order that their number does not change.
    pub fn embeddings(&self) -> impl Iterator<Item = &TextEmbedding> {
        self.embeddings.items.values()
    }

    /// The texts that are kept; none of a log that has none.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.items.values().map(String::as_str)
    }

    fn is_wanted(&self, model: &str, version: u32, at_ms: i64) -> bool {
        let WindowChoice { model: wanted, version: wanted_version, from_ms, to_ms, .. } =
            &self.choice;
        model == wanted && version == *wanted_version && (*from_ms..*to_ms).contains(&at_ms)
    }
}

impl LogSink for WindowCounts {
    fn prediction(&mut self, record: &PredictionView<'_>) {
        let times = self.choice.from_ms..self.choice.to_ms;
        let is_shadow = record.arm == Arm::Shadow;
        if is_shadow != self.choice.is_shadow || !times.contains(&record.timestamp_ms) {
            return;
        }
        if !self.is_wanted(record.model, record.version, record.timestamp_ms) {
            self.n_other_versions += u64::from(record.model == self.choice.model);
            return;
        }
        // No version predicts what is none of its classes.
        if !self.classes.iter().any(|class| class == record.label) {
            self.n_unreadable += 1;
            return;
        }
        self.add(CountedAnswer {
            label: record.label,
            confidence: record.confidence,
            n_words: record.n_words,
            n_unknown_words: record.n_unknown_words,
        });
        let at_ms = record.timestamp_ms;
        self.from_ms = Some(self.from_ms.map_or(at_ms, |from_ms| from_ms.min(at_ms)));
        self.to_ms = Some(self.to_ms.map_or(at_ms, |to_ms| to_ms.max(at_ms)));
        if record.text.is_none() && record.embedding.is_none() {
            return;
        }
        let key = key_of(record);
        if let Some(text) = record.text {
            self.add_text(key, text);
        }
        let row = record.embedding.and_then(|text| decoded_rows(text).ok()?.first().copied());
        if let Some(row) = row {
            self.add_embedding(key, row);
        }
    }

    fn words(&mut self, line: &WordsLine) {
        // Words are counted of answers alone.
        if self.choice.is_shadow || !self.is_wanted(&line.model, line.version, line.to_ms) {
            return;
        }
        match line.list == self.list_id {
            true => self.add_words(line.n, line.counts.iter().copied()),
            false => self.n_of_other_lists += line.n,
        }
    }

    fn unreadable(&mut self) {
        self.n_unreadable += 1;
    }

    fn merge(&mut self, later: Self) {
        let earliest = |one: Option<i64>, other: Option<i64>| one.into_iter().chain(other).min();
        self.n += later.n;
        self.from_ms = earliest(self.from_ms, later.from_ms);
        self.to_ms = self.to_ms.max(later.to_ms);
        for (label, n) in later.labels {
            *self.labels.entry(label).or_default() += n;
        }
        for (bin, n) in later.lengths {
            *self.lengths.entry(bin).or_default() += n;
        }
        let add = |sums: &mut [u64], others: &[u64]| {
            sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
        };
        add(&mut self.confidence.counts, &later.confidence.counts);
        add(&mut self.unknown_words, &later.unknown_words);
        add(&mut self.words, &later.words);
        self.n_tallied += later.n_tallied;
        self.n_of_other_lists += later.n_of_other_lists;
        self.n_other_versions += later.n_other_versions;
        self.n_unreadable += later.n_unreadable;
        self.embeddings.merge(later.embeddings);
        self.texts.merge(later.texts);
    }
}

/// The same number for the same prediction, and evenly spread over many (FNV-1a, then a mix as
/// SplitMix64 ends).
fn key_of(record: &PredictionView<'_>) -> u64 {
    let mut key = 0xcbf2_9ce4_8422_2325_u64;
    let numbers = [record.timestamp_ms as u64, u64::from(record.index)];
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    for byte in bytes.chain(record.request_id.bytes()) {
        key = (key ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    sample_key(key)
}

/// A key for the row `number`, evenly spread over all numbers.
pub fn sample_key(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Those with the smallest keys of any number of things: a sample that does not depend on their order, nor
/// on the parts that they came in.
#[derive(Debug, Clone, PartialEq)]
struct Sample<T> {
    max: usize,
    items: BTreeMap<u64, T>,
}

impl<T> Sample<T> {
    fn new(max: usize) -> Self {
        Self { max, items: BTreeMap::new() }
    }

    fn add(&mut self, key: u64, item: impl FnOnce() -> T) {
        let is_full = self.items.len() >= self.max;
        if is_full && self.items.last_key_value().is_none_or(|(last, _)| key >= *last) {
            return;
        }
        self.items.insert(key, item());
        if self.items.len() > self.max {
            self.items.pop_last();
        }
    }

    fn merge(&mut self, other: Self) {
        for (key, item) in other.items {
            self.add(key, || item);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::monitor::{PredictionRecord, ProfileRows, read_log};

    fn profile() -> ReferenceProfile {
        let classes = ["neg".to_owned(), "pos".to_owned()];
        ReferenceProfile::of(&ProfileRows {
            name: "reviews.test",
            fingerprint: "",
            classes: &classes,
            texts: &["good film", "bad film"],
            predicted: &[1, 0],
            confidences: &[0.9, 0.8],
            known_shares: Some(&[1.0, 1.0]),
            embeddings: None,
        })
    }

    fn record(n: u64) -> PredictionRecord {
        PredictionRecord {
            timestamp_ms: n as i64,
            request_id: format!("request-{n}"),
            model: if n % 10 == 9 { "Other" } else { "Reviews" }.to_owned(),
            version: if n % 10 == 8 { 2 } else { 1 },
            arm: if n % 10 == 7 { Arm::Shadow } else { Arm::Production },
            label: if n.is_multiple_of(2) { "neg" } else { "pos" }.to_owned(),
            confidence: 0.5 + (n % 50) as f64 / 100.0,
            latency_ms: 1.0,
            n_words: Some((n % 300) as u32),
            n_unknown_words: Some((n % 3) as u32),
            text: n.is_multiple_of(2).then(|| format!("text {n}")),
            ..PredictionRecord::default()
        }
    }

    fn choice(from_ms: i64) -> WindowChoice {
        let (model, to_ms) = ("Reviews".to_owned(), i64::MAX);
        WindowChoice { model, version: 1, from_ms, to_ms, is_shadow: false }
    }

    #[test]
    fn a_log_in_files_counts_as_one_and_only_what_was_asked_for_counts() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let profile = profile();
        let line = |n: u64| serde_json::to_string(&record(n)).unwrap() + "\n";
        let words = |list: &str, to_ms: i64| {
            format!(
                r#"{{"kind":"words","model":"Reviews","version":1,"list":"{list}","from_ms":0,"to_ms":{to_ms},"n":100,"counts":[[0,90],[2,100],[9,1]]}}"#
            ) + "\n"
        };
        let list = profile.list_id();
        let all: Vec<String> = (0..20_000).map(line).collect();
        let lines = [words(&list, 5_000), words("other", 5_000), words(&list, 999)].concat();
        let impossible = serde_json::to_string(&PredictionRecord {
            label: "neither".to_owned(),
            ..record(5_000)
        });
        let lines = lines + &impossible.unwrap() + "\n";
        fs::write(dir.join("predictions.jsonl"), all.concat() + &lines).unwrap();
        let whole = read_log(dir, 1_000, || WindowCounts::new(&profile, choice(1_000))).unwrap();
        for (idx, part) in all.chunks(7_000).enumerate() {
            let path = dir.join(format!("predictions-9999999999{idx}-1-000000.jsonl"));
            fs::write(path, part.concat()).unwrap();
        }
        fs::write(dir.join("predictions.jsonl"), lines).unwrap();
        let parts = read_log(dir, 1_000, || WindowCounts::new(&profile, choice(1_000))).unwrap();
        assert_eq!(parts, whole);
        assert_eq!(whole.n, 19_000 / 10 * 7);
        assert_eq!(whole.n_other_versions, 1_900);
        assert_eq!((whole.from_ms, whole.to_ms), (Some(1_000), Some(19_996)));
        assert_eq!(whole.labels["neg"], 19_000 / 10 * 4);
        assert_eq!(whole.lengths.values().sum::<u64>(), whole.n);
        assert_eq!(whole.unknown_words.iter().sum::<u64>(), whole.n);
        assert_eq!((whole.n_tallied, whole.n_of_other_lists), (100, 100));
        assert_eq!(whole.words, [90, 0, 100]);
        assert_eq!(whole.n_unreadable, 1, "a label that is no class");
        assert_eq!(whole.texts().count(), MAX_TEXTS);

        let choice = WindowChoice { is_shadow: true, ..choice(1_000) };
        let shadow = read_log(dir, 1_000, || WindowCounts::new(&profile, choice.clone())).unwrap();
        assert_eq!((shadow.n, shadow.n_other_versions), (19_000 / 10, 0));
        assert_eq!(shadow.n_tallied, 0, "words are of answers");
    }

    #[test]
    fn a_sample_is_the_same_whatever_the_order() {
        let keys: Vec<u64> = (0..5_000).map(sample_key).collect();
        let sample = |keys: &mut dyn Iterator<Item = &u64>| {
            let mut sample = Sample::new(100);
            keys.for_each(|key| sample.add(*key, || *key));
            sample
        };
        let mut halves = sample(&mut keys[..2_000].iter());
        halves.merge(sample(&mut keys[2_000..].iter()));
        assert_eq!(sample(&mut keys.iter()), sample(&mut keys.iter().rev()));
        assert_eq!(sample(&mut keys.iter()), halves);
        assert_eq!(halves.items.len(), 100);
    }
}
