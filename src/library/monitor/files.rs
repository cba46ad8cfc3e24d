//! The files of the prediction log, oldest first, and the part of them that a reader asks for. What their
//! lines say is for others.

use std::{
    fs::{self, File},
    io::{ErrorKind as Cause, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// A file that was set aside so long before a window begins has nothing of it: servers write late, and
/// their clocks differ.
pub(super) const MARGIN_MS: i64 = 10 * 60_000;

/// A file of the log, and the number of bytes at its beginning that are not asked for.
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) n_skipped: u64,
}

impl LogFile {
    /// True for a file whose name says that it was set aside before `from_ms`.
    pub(super) fn is_older(&self, from_ms: i64) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let time = name.strip_prefix("predictions-").and_then(|rest| rest.split(['-', '.']).next());
        let aside_ms: Option<i64> = time.and_then(|digits| digits.parse().ok());
        aside_ms.is_some_and(|aside_ms| aside_ms.saturating_add(MARGIN_MS) < from_ms)
    }

    /// The file at the first byte that is asked for, or one byte before it, which tells whether a line begins
    /// there; nothing if the file was rotated away since the folder was listed.
    ///
    /// # Errors
    /// When the system refuses to open it.
    pub(super) fn open(&self) -> Result<Option<File>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(source) if source.kind() == Cause::NotFound => return Ok(None),
            Err(source) => return Err(Error::io("open", &self.path, source)),
        };
        if self.n_skipped > 0 {
            file.seek(SeekFrom::Start(self.n_skipped - 1))
                .map_err(|source| Error::io("read", &self.path, source))?;
        }
        Ok(Some(file))
    }
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

/// The files of the log but for those that were set aside before `from_ms`.
///
/// # Errors
/// As [`log_files`].
pub(super) fn files_since(dir: &Path, from_ms: i64) -> Result<Vec<LogFile>> {
    let mut files = whole(log_files(dir)?);
    files.retain(|file| !file.is_older(from_ms));
    Ok(files)
}

/// The files that have the newest `latest_bytes` of the log; all of it without a number.
///
/// # Errors
/// As [`log_files`], and when a file's size cannot be read.
pub(super) fn latest_files(dir: &Path, latest_bytes: Option<u64>) -> Result<Vec<LogFile>> {
    let paths = log_files(dir)?;
    let Some(mut n_left) = latest_bytes else { return Ok(whole(paths)) };
    let mut files = Vec::new();
    for path in paths.into_iter().rev() {
        let n_bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(source) if source.kind() == Cause::NotFound => continue,
            Err(source) => return Err(Error::io("read", &path, source)),
        };
        files.push(LogFile { path, n_skipped: n_bytes.saturating_sub(n_left) });
        n_left = n_left.saturating_sub(n_bytes);
        if n_left == 0 {
            break;
        }
    }
    files.reverse();
    Ok(files)
}

fn whole(paths: Vec<PathBuf>) -> Vec<LogFile> {
    paths.into_iter().map(|path| LogFile { path, n_skipped: 0 }).collect()
}
