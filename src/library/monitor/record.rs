//! One logged prediction, and reading them back.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, ErrorKind as Cause, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The part that a version had in a release when it predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The version in Production answered.
    #[default]
    Production,
    /// A version that a release tries answered in its place.
    Candidate,
    /// A version that a release tries predicted beside it; nobody got the answer.
    Shadow,
}

impl Arm {
    fn is_production(&self) -> bool {
        *self == Self::Production
    }
}

/// One line of the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictionRecord {
    /// The time of the answer, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The request it belongs to; a batch has one id for all its texts.
    pub request_id: String,
    /// The place of the text among those of its request, from 0; of a stream its line, from 0.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub index: u32,
    /// The part that the version had in a release.
    #[serde(skip_serializing_if = "Arm::is_production", default)]
    pub arm: Arm,
    /// The registered model's name.
    pub model: String,
    /// The version of it that answered.
    pub version: u32,
    /// The predicted class.
    pub label: String,
    /// The probability of the predicted label.
    pub confidence: f64,
    /// The probability of the positive label of a two-class model.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub probability: Option<f64>,
    /// The probabilities of a model of three or more classes, in label order; empty for other models.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub probabilities: Vec<f64>,
    /// From the whole request received to its predictions made.
    pub latency_ms: f64,
    /// Length of the text in characters.
    pub n_chars: u64,
    /// Length of the text in words, as TF-IDF counts them; absent where they were not counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n_words: Option<u32>,
    /// Those of its words that the model does not know; absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n_unknown_words: Option<u32>,
    /// Of some long texts to a net: the place of the text among others, as 32 numbers of 32 bits in
    /// base64, little-endian.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub embedding: Option<String>,
    /// The text itself, if it is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// The text's SHA-256 in hexadecimal, if that is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text_sha256: Option<String>,
}

/// True for numbers that a server can have written of a prediction: what it says of probabilities lies between 0
/// and 1, and no text has more unknown words than words.
pub(super) fn is_sound(
    confidence: f64,
    probability: Option<f64>,
    n_words: Option<u32>,
    n_unknown_words: Option<u32>,
) -> bool {
    /// What 32-bit floats may make of 1.
    const ROUNDING: f64 = 1e-5;
    let is_share = |share: f64| (-ROUNDING..=1.0 + ROUNDING).contains(&share);
    is_share(confidence)
        && probability.is_none_or(is_share)
        && n_unknown_words.is_none_or(|n_unknown| n_unknown <= n_words.unwrap_or(u32::MAX))
}

impl PredictionRecord {
    /// True for a record that a server can have written; a line with any other one is damaged.
    pub(super) fn is_sound(&self) -> bool {
        is_sound(self.confidence, self.probability, self.n_words, self.n_unknown_words)
            && self.probabilities.iter().all(|share| is_sound(*share, None, None, None))
    }
}

impl LoggedPredictions {
    fn push(&mut self, line: &[u8]) {
        match serde_json::from_slice::<PredictionRecord>(line) {
            Ok(record) if record.is_sound() => self.records.push(record),
            Ok(_) => self.n_unreadable += 1,
            Err(_) if is_of_other_kind(line) => {}
            Err(_) => self.n_unreadable += 1,
        }
    }
}

/// True for a whole line that says that it is something else than a prediction.
fn is_of_other_kind(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct LineKind {
        #[serde(rename = "kind")]
        _kind: String,
    }
    serde_json::from_slice::<LineKind>(line).is_ok()
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The predictions in a folder of logs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoggedPredictions {
    /// Oldest file first, in each file in the order of its lines.
    pub records: Vec<PredictionRecord>,
    /// Lines that are no record, such as the last one of a process that was killed.
    pub n_unreadable: usize,
}

/// Reads every file of the log in the folder `dir`. No folder or no file is an empty log.
///
/// # Errors
/// When the system refuses to read a file that is there.
pub fn read_predictions(dir: &Path) -> Result<LoggedPredictions> {
    let mut found = LoggedPredictions::default();
    for path in log_files(dir)? {
        let file = match File::open(&path) {
            Ok(file) => file,
            // Rotated away since the folder was listed.
            Err(source) if source.kind() == Cause::NotFound => continue,
            Err(source) => return Err(Error::io("open", &path, source)),
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|source| Error::io("read", &path, source))?;
            found.push(&line);
        }
    }
    Ok(found)
}

/// As [`read_predictions`], of the newest `max_bytes` of the log: what people watch.
///
/// # Errors
/// As [`read_predictions`].
pub fn read_latest_predictions(dir: &Path, max_bytes: u64) -> Result<LoggedPredictions> {
    let mut parts = Vec::new();
    let mut n_left = max_bytes;
    for path in log_files(dir)?.into_iter().rev() {
        let fail = |source| Error::io("read", &path, source);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == Cause::NotFound => continue,
            Err(source) => return Err(fail(source)),
        };
        let n_bytes = file.metadata().map_err(fail)?.len();
        let skipped = n_bytes.saturating_sub(n_left);
        // One byte before: it tells whether a line begins there.
        file.seek(SeekFrom::Start(skipped.saturating_sub(1))).map_err(fail)?;
        let mut found = LoggedPredictions::default();
        for (idx, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line = line.map_err(fail)?;
            if skipped > 0 && idx == 0 {
                continue;
            }
            found.push(&line);
        }
        parts.push(found);
        n_left = n_left.saturating_sub(n_bytes);
        if n_left == 0 {
            break;
        }
    }
    let mut latest = LoggedPredictions::default();
    for part in parts.into_iter().rev() {
        latest.records.extend(part.records);
        latest.n_unreadable += part.n_unreadable;
    }
    Ok(latest)
}

/// The files of the log, oldest first: `predictions-TIME-….jsonl` after rotation, the one that is
/// written last.
///
/// # Errors
/// When the system refuses to list the folder.
pub(super) fn log_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(source) if source.kind() == Cause::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("list", dir, source)),
    };
    let mut rotated = Vec::new();
    let mut current = None;
    for entry in entries {
        let path = entry.map_err(|source| Error::io("list", dir, source))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name == super::PREDICTIONS_FILE {
            current = Some(path);
        } else if name.starts_with("predictions-") && name.ends_with(".jsonl") {
            rotated.push(path);
        }
    }
    // Times have the same number of digits until the year 2286.
    rotated.sort();
    rotated.extend(current);
    Ok(rotated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_log_is_read_over_its_files_and_from_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let line = |n: i64| {
            let record = PredictionRecord {
                timestamp_ms: n,
                request_id: "r".to_owned(),
                model: "M".to_owned(),
                version: 1,
                label: "a".to_owned(),
                confidence: 0.5,
                latency_ms: 1.0,
                n_chars: 1,
                ..PredictionRecord::default()
            };
            serde_json::to_string(&record).unwrap() + "\n"
        };
        let lines = |numbers: std::ops::Range<i64>| numbers.map(line).collect::<String>();
        fs::write(folder.path().join("predictions-1.jsonl"), lines(10..14)).unwrap();
        fs::write(folder.path().join(super::super::PREDICTIONS_FILE), lines(14..18)).unwrap();
        let n_bytes = line(10).len() as u64;
        let read = |max_bytes| -> Vec<i64> {
            let found = read_latest_predictions(folder.path(), max_bytes).unwrap();
            assert_eq!(found.n_unreadable, 0);
            found.records.iter().map(|record| record.timestamp_ms).collect()
        };
        assert_eq!(read(u64::MAX), (10..18).collect::<Vec<_>>());
        assert_eq!(read(n_bytes * 2), [16, 17]);
        assert_eq!(read(n_bytes * 2 + 1), [16, 17]);
        assert_eq!(read(n_bytes * 5), [13, 14, 15, 16, 17]);
        assert_eq!(read(n_bytes - 1), Vec::<i64>::new());
    }
}
