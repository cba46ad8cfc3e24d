//! Records of a CSV or TSV file, a window of its text at a time. What a record is, the reader of
//! datasets says.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{MAX_RECORD_BYTES, chunk::Row};
use crate::{
    data::{
        csv::{Field, Records},
        datum::Datum,
        raw::not_utf8_from,
    },
    error::{Error, Result},
};

/// How much is read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// Where the reading of one file stands.
#[derive(Debug)]
pub(super) struct CsvRows {
    path: PathBuf,
    file: File,
    delimiter: u8,
    columns: Vec<String>,
    /// What was read of the file and not yet given out begins at `at`.
    window: Vec<u8>,
    at: usize,
    is_whole: bool,
    /// The line of the next record, from 1.
    line: u32,
    /// Rows given out.
    n_rows: usize,
}

impl CsvRows {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, or names a column twice.
    pub(super) fn open(path: &Path, delimiter: u8) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io("read", path, source))?;
        let mut rows = Self {
            path: path.to_owned(),
            file,
            delimiter,
            columns: Vec::new(),
            window: Vec::new(),
            at: 0,
            is_whole: false,
            line: 1,
            n_rows: 0,
        };
        rows.fill()?;
        if rows.window.starts_with(b"\xef\xbb\xbf") {
            rows.at = 3;
        }
        let Some((_, header)) = rows.record()? else {
            return Err(Error::invalid(format!("{path:?}: the file is empty"))
                .with_hint("the first line names the columns, such as `id,text`"));
        };
        let columns: Vec<String> = header.into_iter().map(Option::unwrap_or_default).collect();
        for (idx, column) in columns.iter().enumerate() {
            if columns[..idx].contains(column) {
                return Err(Error::invalid(format!("{path:?}: two columns are called {column:?}"))
                    .with_hint("give each column a name of its own"));
            }
        }
        rows.columns = columns;
        Ok(rows)
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row.
    ///
    /// # Errors
    /// Invalid UTF-8, an open quote, more or fewer columns than the header: each with its line.
    pub(super) fn next(&mut self) -> Result<Option<Row>> {
        let Some((line, fields)) = self.record()? else { return Ok(None) };
        self.n_rows += 1;
        if fields.len() != self.columns.len() {
            return Err(Error::invalid(format!(
                "{:?} row {} (line {line}): {} columns, the header has {}",
                self.path,
                self.n_rows,
                fields.len(),
                self.columns.len()
            ))
            .with_hint("a text that contains the delimiter or a line break must stand in quotes"));
        }
        let cells = self.columns.iter().cloned().zip(fields.into_iter().map(cell));
        Ok(Some(cells.collect()))
    }

    /// The next record and the line it begins in. A field without anything in it is none, one with
    /// nothing between quotes is an empty text.
    fn record(&mut self) -> Result<Option<(u32, Vec<Option<String>>)>> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let text = self.text()?;
            let mut records = Records::at(&self.path, text, self.line, self.delimiter);
            let outcome = records.next(&mut fields);
            // Only what ends before the window does is sure to be whole.
            if !self.is_whole && (outcome.is_err() || records.is_at_end()) {
                if self.window.len() - self.at < MAX_RECORD_BYTES {
                    self.fill()?;
                    continue;
                }
                return outcome.and(Err(self.too_long()));
            }
            let Some(line) = outcome? else { return Ok(None) };
            let value =
                |field| (!records.is_missing(field)).then(|| records.value(field).into_owned());
            let values = fields.iter().map(value).collect();
            let (n_bytes, next_line) = records.position();
            self.at += n_bytes;
            self.line = next_line;
            return Ok(Some((line, values)));
        }
    }

    /// The part of the window that is not given out yet, up to the last whole character.
    fn text(&self) -> Result<&str> {
        let rest = &self.window[self.at..];
        match std::str::from_utf8(rest) {
            Ok(text) => Ok(text),
            Err(error) if error.error_len().is_none() && !self.is_whole => {
                let (whole, _) = rest.split_at(error.valid_up_to());
                Ok(std::str::from_utf8(whole).unwrap_or_default())
            }
            Err(error) => Err(not_utf8_from(&self.path, rest, &error, self.line)),
        }
    }

    /// Makes the window longer by what was given out of it, or doubles it.
    fn fill(&mut self) -> Result<()> {
        self.window.drain(..self.at);
        self.at = 0;
        let wanted = WINDOW_BYTES.max(self.window.len());
        let n_read = (&mut self.file)
            .take(wanted as u64)
            .read_to_end(&mut self.window)
            .map_err(|source| Error::io("read", &self.path, source))?;
        self.is_whole = n_read < wanted;
        Ok(())
    }

    fn too_long(&self) -> Error {
        Error::invalid(format!(
            "{:?} line {}: a record of more than {MAX_RECORD_BYTES} bytes",
            self.path, self.line
        ))
        .with_hint("close the quote, or double the quotes that belong to the text")
    }
}

fn cell(value: Option<String>) -> Datum {
    value.map_or(Datum::Null, Datum::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, content).unwrap();
        let mut rows = CsvRows::open(&path, b',')?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row.get("text").and_then(Datum::to_cell).unwrap_or_default().into_owned());
        }
        Ok(found)
    }

    #[test]
    fn records_that_lie_across_windows_are_read_whole() {
        // Quotes, line breaks and characters of several bytes at every place where a window ends.
        let texts: Vec<String> = (0..6_000)
            .map(|idx| format!("{idx} \"é\r\n\", {}", "ü\"\n".repeat(idx % 97)))
            .collect();
        for padding in 0..4 {
            let mut content = format!("id,text\n{},\n", "x".repeat(padding));
            for (idx, text) in texts.iter().enumerate() {
                content.push_str(&format!("{idx},\"{}\"\r\n", text.replace('"', "\"\"")));
            }
            assert!(content.len() > WINDOW_BYTES);
            let found = read(content.as_bytes()).unwrap();
            assert_eq!(found[0], "");
            assert_eq!(found[1..], texts);
        }
    }

    #[test]
    fn complaints_name_the_line_however_far_it_is() {
        let long = format!("id,text\n{}", "1,a\n".repeat(400_000));
        for (end, expected) in [
            (&b"1,a,b\n"[..], "row 400001 (line 400002): 3 columns, the header has 2"),
            (b"1,\"a\n", "line 400002: a quote is opened and never closed"),
            (b"1,\"a\n\xff\"\n", "line 400003: byte 0xff is not UTF-8"),
            (b"1,caf\xc3", "line 400002: byte 0xc3 is not UTF-8"),
        ] {
            let error = read(&[long.as_bytes(), end].concat()).unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
        }
        for (content, expected) in
            [(&b""[..], "the file is empty"), (b"text,a,text\n", "two columns are called \"text\"")]
        {
            let error = read(content).unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }
}
