//! Rows of a CSV or TSV file, one after the other. What a record is, the reader of datasets says.

use std::path::PathBuf;

use super::chunk::TextRow;
use crate::{
    data::{
        datum::Datum,
        delimited::{RecordStream, ragged, settle},
        input::Input,
    },
    error::Result,
};

/// The state of reading one file.
#[derive(Debug)]
pub(super) struct CsvRows {
    path: PathBuf,
    records: RecordStream,
    columns: Vec<String>,
    notes: Vec<String>,
    /// Rows given out.
    n_rows: usize,
    /// The line in which the last one begins.
    line: u32,
}

impl CsvRows {
    /// Reads the header of `input`, whose fields `delimiter` usually separates.
    ///
    /// # Errors
    /// When the file cannot be read or is empty, or its quotes or columns do not go together.
    pub(super) fn open(input: &Input, delimiter: u8) -> Result<Self> {
        let settled = settle(input, delimiter)?;
        let mut records = RecordStream::open(input, settled.grammar)?;
        let (columns, renamed) = records.header()?;
        let mut notes = settled.notes;
        notes.extend(renamed);
        Ok(Self { path: input.name().to_owned(), records, columns, notes, n_rows: 0, line: 0 })
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The line in which the last row begins.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// The guesses.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The next row.
    ///
    /// # Errors
    /// Bytes that are not the file's encoding, an open quote, more or fewer columns than the header:
    /// each with its line.
    pub(super) fn next(&mut self) -> Result<Option<TextRow>> {
        let Some(record) = self.records.next()? else { return Ok(None) };
        self.n_rows += 1;
        self.line = record.line;
        if record.len() != self.columns.len() {
            let n_columns = self.columns.len();
            return Err(ragged(&self.path, self.n_rows, record.line, record.len(), n_columns));
        }
        let cell =
            |idx| record.cell(idx).map_or(Datum::Null, |text| Datum::Text(text.into_owned()));
        let cells = self.columns.iter().cloned().enumerate();
        Ok(Some(cells.map(|(idx, name)| (name, cell(idx))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dialect;

    fn read(content: &[u8]) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, content).unwrap();
        let mut rows = CsvRows::open(&Input::open(&path, &Dialect::default())?, b',')?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let text = row.get("text").and_then(|cell| cell.to_cell()).unwrap_or_default();
            found.push(text.into_owned());
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
            assert!(content.len() > 1 << 20);
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
            (b"1,\"a\nb\n", "line 400002: a quote is opened and never closed"),
            (b"1,\"a\n\xff\"\n", "line 400003: byte 0xff is not UTF-8"),
            (b"1,caf\xc3", "line 400002: byte 0xc3 is not UTF-8"),
        ] {
            let error = read(&[long.as_bytes(), end].concat()).unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
        }
        let error = read(b"").unwrap_err();
        assert!(error.to_string().ends_with("the file is empty"), "{error}");
    }
}
