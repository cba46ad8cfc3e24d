//! Going through the log of predictions with one record in memory at a time, however long it is.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, ErrorKind as Cause},
    path::Path,
};

use serde::Deserialize;

use super::record::{PredictionRecord, log_files, read_latest_predictions};
use crate::error::{Error, Result};

/// Hands every prediction of the log in the folder `dir` to `visit`, oldest file first, and returns the number
/// of lines that are none. No folder or no file is an empty log.
///
/// # Errors
/// When the system refuses to read a file that is there; those of `visit`, which end it.
pub fn visit_predictions(
    dir: &Path,
    mut visit: impl FnMut(PredictionRecord) -> Result<()>,
) -> Result<usize> {
    let mut n_unreadable = 0;
    for path in log_files(dir)? {
        let file = match File::open(&path) {
            Ok(file) => file,
            // Rotated away since the folder was listed.
            Err(source) if source.kind() == Cause::NotFound => continue,
            Err(source) => return Err(Error::io("open", &path, source)),
        };
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = file.read_until(b'\n', &mut line);
            if read.map_err(|source| Error::io("read", &path, source))? == 0 {
                break;
            }
            match serde_json::from_slice::<PredictionRecord>(&line) {
                Ok(record) if record.is_sound() => visit(record)?,
                Ok(_) => n_unreadable += 1,
                Err(_) if is_of_other_kind(&line) => {}
                Err(_) => n_unreadable += 1,
            }
        }
    }
    Ok(n_unreadable)
}

/// As [`visit_predictions`], of the newest `latest_bytes` of the log where that is given.
///
/// # Errors
/// As [`visit_predictions`].
pub(super) fn visit_latest(
    dir: &Path,
    latest_bytes: Option<u64>,
    mut visit: impl FnMut(PredictionRecord) -> Result<()>,
) -> Result<usize> {
    let Some(latest_bytes) = latest_bytes else { return visit_predictions(dir, visit) };
    let latest = read_latest_predictions(dir, latest_bytes)?;
    latest.records.into_iter().try_for_each(&mut visit)?;
    Ok(latest.n_unreadable)
}

/// True for a whole line that says that it is something else than a prediction.
fn is_of_other_kind(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "kind")]
        _kind: String,
    }
    serde_json::from_slice::<Kind>(line).is_ok()
}
