//! The records of a whole file, a window of its text at a time.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use super::{
    header::named,
    records::{Field, Grammar, Oddities, Records, is_blank},
};
use crate::{
    data::input::{Input, MAX_RECORD_BYTES, TextReader},
    error::{Error, Result},
};

/// The number of bytes read at once.
pub(super) const WINDOW_BYTES: usize = 1 << 20;

/// The beginning of the line by which Excel is told the delimiter: `sep=;`.
pub(super) const SEPARATOR: &str = "sep=";

/// The state of reading one file.
#[derive(Debug)]
pub(in crate::data) struct RecordStream {
    path: PathBuf,
    reader: TextReader,
    grammar: Grammar,
    /// The text read from the file; the part that is not yet given out begins at `at`.
    window: String,
    at: usize,
    is_whole: bool,
    /// The line of the next record, from 1.
    line: u32,
    fields: Vec<Field>,
    oddities: Oddities,
    /// True if the header names several.
    has_columns: bool,
    /// True if the last error is about quotes, which another grammar may read.
    is_misread: bool,
}

/// One record, and the line it begins in.
#[derive(Debug)]
pub(in crate::data) struct Record<'a> {
    pub(in crate::data) line: u32,
    /// The record as it stands in the file, with the blank lines before it.
    pub(super) text: &'a str,
    pub(super) fields: &'a [Field],
    pub(super) oddities: Oddities,
    grammar: Grammar,
}

impl Record<'_> {
    /// Number of fields.
    pub(in crate::data) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The value of the field with the index `idx`.
    pub(in crate::data) fn value(&self, idx: usize) -> Cow<'_, str> {
        self.grammar.value(self.text, &self.fields[idx])
    }

    /// The value of the field with the index `idx`, if anything at all stands in its place: an
    /// empty text is `""`.
    pub(in crate::data) fn cell(&self, idx: usize) -> Option<Cow<'_, str>> {
        let field = &self.fields[idx];
        let is_missing = field.start == field.end && !field.is_quoted;
        (!is_missing).then(|| self.value(idx))
    }

    /// True if it is no record but names the delimiter, as Excel's first line does.
    fn is_separator(&self) -> bool {
        let line = self.text.trim_matches(['\r', '\n']);
        let stated = line.strip_prefix(SEPARATOR).map(str::as_bytes);
        self.line == 1 && stated == Some(&[self.grammar.delimiter])
    }

    /// The values of all fields.
    pub(in crate::data) fn values(&self) -> Vec<String> {
        (0..self.len()).map(|idx| self.value(idx).into_owned()).collect()
    }
}

impl RecordStream {
    /// Begins at the beginning of `input`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(in crate::data) fn open(input: &Input, grammar: Grammar) -> Result<Self> {
        Ok(Self {
            path: input.name().to_owned(),
            reader: input.text()?,
            grammar,
            window: String::new(),
            at: 0,
            is_whole: false,
            line: 1,
            fields: Vec::new(),
            oddities: Oddities::default(),
            has_columns: false,
            is_misread: false,
        })
    }

    /// The columns that the first record names, and a remark on those that were renamed.
    ///
    /// # Errors
    /// An empty file, and what [`RecordStream::next`] refuses.
    pub(in crate::data) fn header(&mut self) -> Result<(Vec<String>, Option<String>)> {
        let mut cells = self.next()?.map(|record| (record.is_separator(), record.values()));
        if let Some((true, _)) = cells {
            cells = self.next()?.map(|record| (false, record.values()));
        }
        match cells {
            Some((_, cells)) => {
                self.has_columns = cells.len() > 1;
                Ok(named(cells))
            }
            None => Err(Error::invalid(format!("{:?}: the file is empty", self.path))
                .with_hint("the first line names the columns, such as `text,label`")),
        }
    }

    /// The next record.
    ///
    /// # Errors
    /// Bytes that are not the text's encoding, an open quote, a record without an end: each with its
    /// line.
    pub(in crate::data) fn next(&mut self) -> Result<Option<Record<'_>>> {
        loop {
            let text = &self.window[self.at..];
            let mut records = Records::at(&self.path, text, self.line, self.grammar);
            let outcome = records.next(&mut self.fields);
            let (n_bytes, next_line) = records.position();
            let is_at_end = records.is_at_end();
            self.oddities = records.oddities();
            // Only what ends before the window does is sure to be whole.
            if !self.is_whole && (outcome.is_err() || is_at_end) {
                if self.window.len() - self.at < MAX_RECORD_BYTES {
                    self.fill()?;
                    continue;
                }
                self.is_misread = true;
                return Err(outcome.err().unwrap_or_else(|| self.too_long()));
            }
            self.is_misread = outcome.is_err();
            let Some(line) = outcome? else { return Ok(None) };
            let begin = self.at;
            self.at += n_bytes;
            self.line = next_line;
            if self.has_columns && is_blank(&self.window[begin..self.at], &self.fields) {
                continue;
            }
            return Ok(Some(Record {
                line,
                text: &self.window[begin..begin + n_bytes],
                fields: &self.fields,
                oddities: self.oddities,
                grammar: self.grammar,
            }));
        }
    }

    /// The oddities of the record that was read last, or could not be.
    pub(super) fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// True if the last error is about quotes, which another grammar may read.
    pub(super) fn is_misread(&self) -> bool {
        self.is_misread
    }

    /// Makes the window longer by what was given out of it, or doubles it.
    fn fill(&mut self) -> Result<()> {
        self.window.drain(..self.at);
        self.at = 0;
        let wanted = WINDOW_BYTES.max(self.window.len());
        self.is_whole = !self.reader.append(&mut self.window, wanted)?;
        Ok(())
    }

    fn too_long(&self) -> Error {
        Error::invalid(format!(
            "{:?} line {}: a record of more than {MAX_RECORD_BYTES} bytes",
            self.path, self.line
        ))
        .with_hint(self.grammar.advice())
    }
}

/// The error for the row `row` (from 1), in line `line`, that has other columns than the header.
pub(in crate::data) fn ragged(
    path: &Path,
    row: usize,
    line: u32,
    n_found: usize,
    n_columns: usize,
) -> Error {
    let found = if n_found == 1 { "1 column" } else { &format!("{n_found} columns") };
    Error::invalid(format!("{path:?} row {row} (line {line}): {found}, the header has {n_columns}"))
        .with_hint(
            "a text that contains the delimiter or a line break must stand in quotes; --delimiter \
         names another delimiter",
        )
}
