//! The files of a saved baseline: `model.json` (what it is, for people too), `vocabulary.bin` and
//! `weights.bin`. The first holds the second's checksum and the third the first's, so that files
//! of different models are never taken for one.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    Decision, FitReport, Logistic, ModelFiles,
    format::{NumberReader, NumberWriter, checksum, corrupt},
    header::{HEADER_FILE, ModelHeader},
    tfidf_config::{NAME, TfidfConfig},
};
use crate::{
    error::{Error, Result},
    text::{FittedVectorizer, VocabularyEntry, VocabularyParts},
};

const VOCABULARY_FILE: &str = "vocabulary.bin";
const VOCABULARY_MAGIC: [u8; 8] = *b"tbvocab1";
const WEIGHTS_FILE: &str = "weights.bin";
const WEIGHTS_MAGIC: [u8; 8] = *b"tbweigh1";

/// The fields of a baseline's `model.json` alone.
#[derive(Serialize, Deserialize)]
struct TfidfHeader {
    #[serde(flatten)]
    common: ModelHeader,
    params: TfidfConfig,
    sizes: TfidfSizes,
    fit: FitReport,
}

#[derive(Serialize, Deserialize)]
struct TfidfSizes {
    /// Texts it was trained on.
    n_texts: usize,
    n_features: usize,
    n_words: usize,
}

/// The content of the files besides the text of the first; their sizes fit together.
pub(super) struct StoredTfidf {
    pub(super) classes: Vec<String>,
    pub(super) decision: Decision,
    pub(super) vectorizer: FittedVectorizer,
    pub(super) logistic: Logistic,
}

/// The text of `model.json`.
pub(super) fn header(
    config: &TfidfConfig,
    classes: &[String],
    vectorizer: &FittedVectorizer,
    report: &FitReport,
) -> String {
    let header = TfidfHeader {
        common: ModelHeader::new(NAME, classes.to_vec()),
        params: config.clone(),
        sizes: TfidfSizes {
            n_texts: vectorizer.n_texts(),
            n_features: vectorizer.vocabulary().n_features(),
            n_words: vectorizer.vocabulary().n_words(),
        },
        fit: *report,
    };
    text_of(&header)
}

fn text_of(header: &TfidfHeader) -> String {
    serde_json::to_string_pretty(header).expect("the header has string keys and plain values")
        + "\n"
}

/// The text of `model.json` with another decision.
///
/// # Errors
/// A decision that does not fit the classes.
pub(super) fn decided(header: &str, decision: Decision) -> Result<String> {
    let mut parsed = parsed(header)?;
    parsed.common.decide(decision)?;
    Ok(text_of(&parsed))
}

/// The settings of the training.
pub(super) fn settings(header: &str) -> Result<TfidfConfig> {
    parsed(header).map(|header| header.params)
}

fn parsed(header: &str) -> Result<TfidfHeader> {
    serde_json::from_str(header)
        .map_err(|source| corrupt(HEADER_FILE, "it is no tfidf header").with_source(source))
}

/// Writes the three files, of which `header` is the first.
pub(super) fn save(
    header: &str,
    vectorizer: &FittedVectorizer,
    logistic: &Logistic,
    dir: &Path,
) -> Result<()> {
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, bytes).map_err(|source| Error::io("write", &path, source))
    };
    let vocabulary = vocabulary_bytes(vectorizer);
    let mut weights = NumberWriter::new(WEIGHTS_MAGIC);
    weights.u64s(&[checksum(header.as_bytes()), checksum(&vocabulary)]);
    weights.f64s(logistic.intercepts());
    weights.f64s(logistic.coefficients());
    write(VOCABULARY_FILE, &vocabulary)?;
    write(WEIGHTS_FILE, &weights.finish())?;
    write(HEADER_FILE, header.as_bytes())
}

fn vocabulary_bytes(vectorizer: &FittedVectorizer) -> Vec<u8> {
    let VocabularyParts { words, word_features, levels } = vectorizer.vocabulary().parts();
    let mut writer = NumberWriter::new(VOCABULARY_MAGIC);
    writer.u32s(&words.iter().map(|word| word.len() as u32).collect::<Vec<_>>());
    writer.u8s(&words.concat());
    writer.u32s(&word_features);
    writer.u64s(&[levels.len() as u64]);
    for level in levels {
        let column = |part: fn(&VocabularyEntry) -> u32| level.iter().map(part).collect::<Vec<_>>();
        writer.u32s(&column(|entry| entry.prefix));
        writer.u32s(&column(|entry| entry.word));
        writer.u32s(&column(|entry| entry.feature));
    }
    writer.u32s(vectorizer.text_counts());
    writer.finish()
}

/// Reads the three files, of which `header` is the first.
pub(super) fn load(files: &ModelFiles, header: &str) -> Result<StoredTfidf> {
    let TfidfHeader { common, params, sizes, .. } = parsed(header)?;
    let read = |name: &str| {
        let path = files.path(name)?;
        fs::read(path).map_err(|source| Error::io("read", path, source))
    };
    let vocabulary = read(VOCABULARY_FILE)?;
    let weights = read(WEIGHTS_FILE)?;
    let mut reader = NumberReader::new(&weights, WEIGHTS_MAGIC, WEIGHTS_FILE)?;
    let checksums = reader.read_u64s()?;
    let intercepts = reader.read_f64s()?;
    let coefficients = reader.read_f64s()?;
    reader.finish()?;
    if checksums != [checksum(header.as_bytes()), checksum(&vocabulary)] {
        return Err(corrupt(WEIGHTS_FILE, "it belongs to other files than those beside it"));
    }
    let n_classes = common.classes.len();
    let n_outputs = if n_classes == 2 { 1 } else { n_classes };
    let n_expected = n_outputs.checked_mul(sizes.n_features);
    if n_classes < 2 || intercepts.len() != n_outputs || n_expected != Some(coefficients.len()) {
        return Err(corrupt(
            WEIGHTS_FILE,
            format!(
                "{} weights and {} intercepts for {n_classes} classes and {} features",
                coefficients.len(),
                intercepts.len(),
                sizes.n_features
            ),
        ));
    }
    let (parts, text_counts) = read_vocabulary(&vocabulary)?;
    if text_counts.len() != sizes.n_features || parts.words.len() != sizes.n_words {
        return Err(corrupt(VOCABULARY_FILE, "its sizes are not those in model.json"));
    }
    let vectorizer = FittedVectorizer::new(params.vectorizer, parts, sizes.n_texts, text_counts)
        .map_err(|reason| corrupt(VOCABULARY_FILE, reason))?;
    let logistic = Logistic::new(n_classes, coefficients, intercepts);
    Ok(StoredTfidf { classes: common.classes, decision: common.decision, vectorizer, logistic })
}

fn read_vocabulary(bytes: &[u8]) -> Result<(VocabularyParts, Vec<u32>)> {
    let mut reader = NumberReader::new(bytes, VOCABULARY_MAGIC, VOCABULARY_FILE)?;
    let lengths = reader.read_u32s()?;
    let text = reader.read_u8s()?;
    let mut words = Vec::with_capacity(lengths.len());
    let mut rest = text.as_slice();
    for length in lengths {
        let (word, after) = rest
            .split_at_checked(length as usize)
            .ok_or_else(|| corrupt(VOCABULARY_FILE, "its words are longer than their text"))?;
        words.push(word.into());
        rest = after;
    }
    if !rest.is_empty() {
        return Err(corrupt(VOCABULARY_FILE, "its words are shorter than their text"));
    }
    let word_features = reader.read_u32s()?;
    let n_levels = match reader.read_u64s()?.as_slice() {
        [n_levels] if *n_levels < crate::text::Vectorizer::MAX_NGRAM as u64 => *n_levels,
        found => return Err(corrupt(VOCABULARY_FILE, format!("{found:?} lengths of n-grams"))),
    };
    let mut levels = Vec::new();
    for _ in 0..n_levels {
        let (prefixes, words) = (reader.read_u32s()?, reader.read_u32s()?);
        let features = reader.read_u32s()?;
        if prefixes.len() != words.len() || words.len() != features.len() {
            return Err(corrupt(VOCABULARY_FILE, "the lists of an n-gram length differ in length"));
        }
        let entries = prefixes.into_iter().zip(words).zip(features);
        levels.push(
            entries
                .map(|((prefix, word), feature)| VocabularyEntry { prefix, word, feature })
                .collect(),
        );
    }
    let text_counts = reader.read_u32s()?;
    reader.finish()?;
    Ok((VocabularyParts { words, word_features, levels }, text_counts))
}
