//! Objects of a file of JSON lines, one after the other.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use super::{MAX_RECORD_BYTES, chunk::Row};
use crate::{
    data::jsonl::object,
    error::{Error, Result},
};

/// Where the reading of one file stands.
#[derive(Debug)]
pub(super) struct JsonLineRows {
    path: PathBuf,
    file: BufReader<File>,
    buffer: Vec<u8>,
    /// The line that was read last, from 1.
    line: u32,
}

impl JsonLineRows {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io("read", path, source))?;
        let file = BufReader::with_capacity(256 << 10, file);
        Ok(Self { path: path.to_owned(), file, buffer: Vec::new(), line: 0 })
    }

    /// The line that was read last, from 1.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// The next object; blank lines are passed over.
    ///
    /// # Errors
    /// A line that is no object or far too long, with its number.
    pub(super) fn next(&mut self) -> Result<Option<Row>> {
        loop {
            self.buffer.clear();
            let n_read = (&mut self.file)
                .take(MAX_RECORD_BYTES as u64)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|source| Error::io("read", &self.path, source))?;
            self.line = self.line.saturating_add(1);
            if n_read == 0 {
                return Ok(None);
            }
            if n_read == MAX_RECORD_BYTES && !self.buffer.ends_with(b"\n") {
                return Err(Error::invalid(format!(
                    "{:?} line {}: more than {MAX_RECORD_BYTES} bytes",
                    self.path, self.line
                ))
                .with_hint("every line is one object, such as {\"text\": \"…\"}"));
            }
            let bytes = match self.line {
                1 => self.buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.buffer),
                _ => &self.buffer,
            };
            if !bytes.trim_ascii().is_empty() {
                return object(&self.path, self.line, bytes).map(Some);
            }
        }
    }
}
