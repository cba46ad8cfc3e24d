//! Reading a CSV or TSV file for a dataset: texts, labels and the columns that are kept.

use super::{
    column::ColumnChoice,
    delimited::{RecordStream, ragged, settle},
    input::Input,
    kept::TextCells,
    raw::{Places, RawRows},
};
use crate::error::Result;

/// The columns of `input`, whose fields `delimiter` usually separates.
///
/// # Errors
/// As [`read`].
pub(super) fn columns(input: &Input, delimiter: u8) -> Result<Vec<String>> {
    let settled = settle(input, delimiter)?;
    Ok(RecordStream::open(input, settled.grammar)?.header()?.0)
}

/// Reads both columns of `input`, whose fields `delimiter` usually separates.
///
/// # Errors
/// Bytes that are not the file's encoding, quotes that do not go together, a row with more or fewer
/// columns than the header (each with its line), and columns that are not there.
pub(super) fn read(
    input: &Input,
    delimiter: u8,
    choice: ColumnChoice<'_>,
) -> Result<(RawRows, Vec<String>)> {
    let settled = settle(input, delimiter)?;
    let mut records = RecordStream::open(input, settled.grammar)?;
    let (header, renamed) = records.header()?;
    let chosen = choice.choose(&header, input.name())?;
    let mut kept = TextCells::new(choice.kept(&header, &[chosen.text_idx, chosen.label_idx])?);
    let (mut texts, mut labels, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(record) = records.next()? {
        if record.len() != header.len() {
            let (row, line) = (lines.len() + 1, record.line);
            return Err(ragged(input.name(), row, line, record.len(), header.len()));
        }
        texts.push(Some(record.value(chosen.text_idx).into_owned()));
        labels.push(Some(record.value(chosen.label_idx).into_owned()));
        kept.push(|idx| record.value(idx));
        lines.push(record.line);
    }
    let places = Places::Lines { path: input.name().to_owned(), lines };
    let notes = settled.notes.into_iter().chain(renamed).chain(chosen.notes).collect();
    let kept = kept.finish();
    Ok((RawRows { kept, ..RawRows::new(texts, labels, places) }, notes))
}
