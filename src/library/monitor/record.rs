//! One logged prediction, and reading them back.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, ErrorKind as Cause},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionRecord {
    /// The time of the answer, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The request it belongs to; a batch has one id for all its texts.
    pub request_id: String,
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
    /// From the whole request received to its predictions made.
    pub latency_ms: f64,
    /// Length of the text in characters.
    pub n_chars: u64,
    /// The text itself, if it is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// The text's SHA-256 in hexadecimal, if that is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text_sha256: Option<String>,
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
            match serde_json::from_slice(&line) {
                Ok(record) => found.records.push(record),
                Err(_) => found.n_unreadable += 1,
            }
        }
    }
    Ok(found)
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
