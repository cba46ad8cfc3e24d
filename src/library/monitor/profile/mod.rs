//! The reference profile of a version: what its answers to rows that it was judged by look like, in counts
//! that are small enough to lie beside the model. What is compared with it is another file's business.

mod bins;
mod embedding;

use std::{collections::BTreeMap, sync::Arc};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use bins::{ConfidenceCounts, n_unknown_words};
pub(crate) use bins::{N_CONFIDENCE_BINS, N_UNKNOWN_BINS, length_bin, length_of_bin, unknown_bin};
pub(crate) use embedding::decoded_rows;
pub use embedding::{EmbeddingProfile, encoded_embedding};

use crate::{
    error::{Error, ErrorKind, Result},
    figure::hex,
    model::TextEmbedding,
    text::{DocumentFrequencies, WordList},
};

/// The file among a version's model files.
pub const PROFILE_FILE: &str = "reference_profile.json";
/// The schema that this build writes.
const SCHEMA_VERSION: u32 = 1;
/// Rows that a profile is made of, at most; of more it takes every second, third, fourth.
pub const MAX_PROFILE_ROWS: usize = 10_000;
/// Words whose document frequencies it keeps.
const N_WORDS: usize = 1_000;
/// The longest of them, in bytes: what is longer is rarely a word.
const MAX_WORD_BYTES: usize = 40;
/// Texts that are worth a thread. Large blocks, because the words of all blocks are put together on one.
const MIN_BLOCK: usize = 1_250;

/// What the answers of a version to its test split look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferenceProfile {
    /// The schema of the file.
    pub schema_version: u32,
    /// The rows, such as `imdb.test`.
    pub rows: String,
    /// Their fingerprint.
    pub fingerprint: String,
    /// The number of rows that were counted.
    pub n: usize,
    /// The classes, in the order of the split.
    pub classes: Vec<String>,
    /// The number of rows that each class was predicted for: `[classes]`.
    pub labels: Vec<u64>,
    /// The probabilities of the predicted labels.
    pub confidence: ConfidenceCounts,
    /// The number of texts of each length: the number of its bin and its count, in order.
    pub lengths: Vec<(u32, u64)>,
    /// The number of texts of each share of unknown words: one for none, then one a per cent; none for a model that
    /// cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_words: Option<Vec<u64>>,
    /// The most frequent words with the number of texts that have them, the most frequent first.
    pub words: Vec<(String, u32)>,
    /// The texts as a net sees them; none for other models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<EmbeddingProfile>,
}

/// Rows with a version's answers to them.
#[derive(Debug, Clone, Copy)]
pub struct ProfileRows<'a> {
    /// Their name, such as `imdb.test`.
    pub name: &'a str,
    /// Their fingerprint.
    pub fingerprint: &'a str,
    /// The classes.
    pub classes: &'a [String],
    /// The texts.
    pub texts: &'a [&'a str],
    /// The index of the class that each was predicted as.
    pub predicted: &'a [u32],
    /// The probability of it.
    pub confidences: &'a [f64],
    /// The share of each text that the model knows, where it can tell.
    pub known_shares: Option<&'a [f64]>,
    /// The embeddings of those that have one.
    pub embeddings: Option<&'a [TextEmbedding]>,
}

impl ReferenceProfile {
    /// The profile of `rows`; all of them are counted. The caller chooses at most
    /// [`MAX_PROFILE_ROWS`].
    pub fn of(rows: &ProfileRows<'_>) -> Self {
        let n_blocks = 2 * rayon::current_num_threads();
        let counted: Vec<(DocumentFrequencies, Vec<usize>)> = rows
            .texts
            .par_chunks(rows.texts.len().div_ceil(n_blocks).max(MIN_BLOCK))
            .map(|texts| {
                let mut words = DocumentFrequencies::new();
                let lengths = texts.iter().map(|text| words.add(text)).collect();
                (words, lengths)
            })
            .collect();
        let mut lengths: BTreeMap<u32, u64> = BTreeMap::new();
        let mut unknown = vec![0; N_UNKNOWN_BINS];
        for (row, n_words) in counted.iter().flat_map(|(_, lengths)| lengths).enumerate() {
            let n = u32::try_from(*n_words).unwrap_or(u32::MAX);
            *lengths.entry(length_bin(n)).or_default() += 1;
            if let Some(share) = rows.known_shares.and_then(|shares| shares.get(row)) {
                unknown[unknown_bin(n_unknown_words(*n_words, *share), n)] += 1;
            }
        }
        let words = counted
            .into_iter()
            .map(|(words, _)| words)
            .reduce(|all, words| all.merged(&words))
            .unwrap_or_else(DocumentFrequencies::new);
        let mut confidence = ConfidenceCounts::new(rows.classes.len());
        rows.confidences.iter().for_each(|value| confidence.add(*value));
        let mut labels = vec![0; rows.classes.len()];
        for label in rows.predicted {
            if let Some(count) = labels.get_mut(*label as usize) {
                *count += 1;
            }
        }
        Self {
            schema_version: SCHEMA_VERSION,
            rows: rows.name.to_owned(),
            fingerprint: rows.fingerprint.to_owned(),
            n: rows.texts.len(),
            classes: rows.classes.to_vec(),
            labels,
            confidence,
            lengths: lengths.into_iter().collect(),
            unknown_words: rows.known_shares.map(|_| unknown),
            words: frequent(&words),
            embeddings: rows.embeddings.and_then(EmbeddingProfile::of),
        }
    }

    /// Reads what [`ReferenceProfile::to_json`] wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for bytes that are no profile, [`ErrorKind::Invalid`] for one of a newer
    /// version.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let corrupt = |reason: &str| {
            Error::new(ErrorKind::Corrupt, format!("model file {PROFILE_FILE:?}: {reason}"))
        };
        let profile: Self = serde_json::from_slice(bytes)
            .map_err(|source| corrupt("it is no reference profile").with_source(source))?;
        if profile.schema_version > SCHEMA_VERSION {
            return Err(Error::invalid(format!(
                "model file {PROFILE_FILE:?}: schema {}, this build reads up to {SCHEMA_VERSION}",
                profile.schema_version
            ))
            .with_hint("use the version of trialbook that trained the model, or a newer one"));
        }
        let is_whole = profile.labels.len() == profile.classes.len()
            && profile.confidence.counts.len() == N_CONFIDENCE_BINS
            && (0.0..1.0).contains(&profile.confidence.from)
            && profile.unknown_words.as_ref().is_none_or(|bins| bins.len() == N_UNKNOWN_BINS);
        match is_whole {
            true => Ok(profile),
            false => Err(corrupt("its counts do not fit each other")),
        }
    }

    /// The file's content.
    ///
    /// # Panics
    /// Never: a profile is plain values.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a profile is plain values")
    }

    /// The words whose frequencies it has, ready to be counted in texts.
    pub fn word_counter(&self) -> WordCounter {
        WordCounter {
            list: Arc::new(WordList::new(self.words.iter().map(|(word, _)| word.as_str()))),
            list_id: self.list_id().into(),
        }
    }

    /// A name of the list of words: counts of other lists are not counts of these words.
    pub fn list_id(&self) -> String {
        let mut hash = Sha256::new();
        for (word, _) in &self.words {
            hash.update(word.as_bytes());
            hash.update(b"\n");
        }
        hex(&hash.finalize()[..4])
    }
}

/// A profile's list of words, for those who count them.
#[derive(Debug, Clone)]
pub struct WordCounter {
    pub(super) list: Arc<WordList>,
    pub(super) list_id: Arc<str>,
}

/// The most frequent words; of equally frequent ones the first in the order of their letters.
fn frequent(counted: &DocumentFrequencies) -> Vec<(String, u32)> {
    let mut all: Vec<(&[u8], u32)> =
        counted.iter().filter(|(word, _)| word.len() <= MAX_WORD_BYTES).collect();
    let by_frequency =
        |one: &(&[u8], u32), other: &(&[u8], u32)| other.1.cmp(&one.1).then(one.0.cmp(other.0));
    if all.len() > N_WORDS {
        all.select_nth_unstable_by(N_WORDS, by_frequency);
        all.truncate(N_WORDS);
    }
    all.sort_unstable_by(by_frequency);
    let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    all.into_iter().map(|(bytes, n_texts)| (word(bytes), n_texts)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<'a>(
        texts: &'a [&'a str],
        classes: &'a [String],
        predicted: &'a [u32],
        confidences: &'a [f64],
        known: &'a [f64],
    ) -> ProfileRows<'a> {
        ProfileRows {
            name: "reviews.test",
            fingerprint: "f",
            classes,
            texts,
            predicted,
            confidences,
            known_shares: Some(known),
            embeddings: None,
        }
    }

    #[test]
    fn a_profile_counts_what_a_version_answered() {
        let classes = ["neg".to_owned(), "pos".to_owned()];
        let texts = ["a good film", "a bad film, bad", "film"];
        let profile = ReferenceProfile::of(&rows(
            &texts,
            &classes,
            &[1, 0, 1],
            &[0.9, 0.8, 0.55],
            &[1.0, 0.5, 0.0],
        ));
        assert_eq!((profile.n, profile.labels.as_slice()), (3, &[1, 2][..]));
        assert_eq!(profile.lengths, [(1, 1), (2, 1), (3, 1)]);
        assert_eq!(
            profile.words,
            [("film", 3), ("bad", 1), ("good", 1)].map(|(word, n)| (word.to_owned(), n))
        );
        let unknown = profile.unknown_words.clone().unwrap();
        assert_eq!(
            (unknown[0], unknown[67], unknown[100]),
            (1, 1, 1),
            "two of three words: 1.5 rounds up"
        );
        assert_eq!(ReferenceProfile::from_json(&profile.to_json()).unwrap(), profile);
    }

    #[test]
    fn a_profile_of_long_texts_of_many_words_stays_small() {
        let texts: Vec<String> = (0..12_000_u64)
            .map(|text| {
                let n_words = 20 + (text * 7919) % 1_500;
                let word = |place: u64| {
                    let number = (text * 31 + place * place) % (1 + (place * 37) % 40_000);
                    format!("uncommonlylongword{number:016}")
                };
                (0..n_words.min(120)).map(word).collect::<Vec<_>>().join(" ")
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let classes: Vec<String> = (0..20).map(|class| format!("class number {class}")).collect();
        let predicted: Vec<u32> = (0..12_000).map(|row| row % 20).collect();
        let embeddings: Vec<TextEmbedding> =
            (0..12_000).map(|row| std::array::from_fn(|idx| ((row * idx) as f32).sin())).collect();
        let known = vec![0.97; 12_000];
        let mut rows = rows(&texts, &classes, &predicted, &known, &known);
        rows.embeddings = Some(&embeddings);
        let profile = ReferenceProfile::of(&rows);
        assert_eq!(profile.words.len(), N_WORDS);
        let n_bytes = profile.to_json().len();
        assert!(n_bytes < 200_000, "{n_bytes} bytes");
    }

    #[test]
    fn the_most_frequent_words_of_all_blocks_are_kept_in_order() {
        // More than one block; `word0` to `word6` are in one text of seven each.
        let texts: Vec<String> =
            (0..2_800).map(|n| format!("word{} rare{}", n % 7, n % 1_201)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let classes = ["a".to_owned(), "b".to_owned()];
        let (zeros, ones) = (vec![0; 2_800], vec![1.0; 2_800]);
        let profile = ReferenceProfile::of(&rows(&texts, &classes, &zeros, &ones, &ones));
        let expected: Vec<(String, u32)> = (0..7).map(|n| (format!("word{n}"), 400)).collect();
        assert_eq!(profile.words[..7], expected);
        assert_eq!(profile.words[7], ("rare0".to_owned(), 3));
        assert_eq!(profile.words.len(), N_WORDS);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        let classes = ["neg".to_owned(), "pos".to_owned()];
        let profile = ReferenceProfile::of(&rows(&["a film"], &classes, &[0], &[0.7], &[1.0]));
        let mut newer = profile.clone();
        newer.schema_version += 1;
        let mut torn = profile.clone();
        torn.labels.pop();
        for (bytes, kind) in [
            (b"{}".to_vec(), ErrorKind::Corrupt),
            (b"\xff".to_vec(), ErrorKind::Corrupt),
            (torn.to_json(), ErrorKind::Corrupt),
            (newer.to_json(), ErrorKind::Invalid),
        ] {
            assert_eq!(ReferenceProfile::from_json(&bytes).unwrap_err().kind(), kind);
        }
    }
}
