//! Quoted fields with line breaks that may be several rows: an opening quote in a file that does not
//! quote takes in every row up to the next quote, and nothing is wrong with the row that it makes.
//!
//! A field is suspected when every line that its record covers has as many fields as the header, and
//! what stands in the other columns of these lines is what other rows have there: one of the few
//! labels of a column of labels, a number in a column of numbers. In a review of several lines that
//! would be chance.

use std::{collections::BTreeSet, path::Path};

use super::{
    records::{Grammar, Records},
    stream::Record,
};
use crate::error::Error;

/// More different values than these are no labels.
const MAX_VALUES: usize = 64;
/// A longer value is no label.
const MAX_VALUE_BYTES: usize = 64;
/// Suspects that are remembered. More would say nothing else.
const MAX_SUSPECTS: usize = 256;

/// The profiles of the columns, and the records that may be several.
pub(super) struct Suspicion {
    grammar: Grammar,
    columns: Vec<Profile>,
    n_rows: usize,
    suspects: Vec<Suspect>,
}

/// The common properties of the values of a column.
struct Profile {
    /// The different values; none once there are too many or too long ones.
    values: Option<BTreeSet<String>>,
    is_numeric: bool,
}

struct Suspect {
    line: u32,
    n_lines: usize,
    /// Column indices and what the lines would have there.
    values: Vec<(usize, String)>,
}

impl Suspicion {
    pub(super) fn new(n_columns: usize, grammar: Grammar) -> Self {
        let profile = || Profile { values: Some(BTreeSet::new()), is_numeric: true };
        let columns = std::iter::repeat_with(profile).take(n_columns).collect();
        Self { grammar, columns, n_rows: 0, suspects: Vec::new() }
    }

    /// Takes note of a record that has as many fields as the header.
    pub(super) fn look_at(&mut self, record: &Record<'_>) {
        if let Some(suspect) = self.suspect(record) {
            if self.suspects.len() < MAX_SUSPECTS {
                self.suspects.push(suspect);
            }
            return;
        }
        self.n_rows += 1;
        for (idx, profile) in self.columns.iter_mut().enumerate() {
            if profile.values.is_some() || profile.is_numeric {
                profile.take(&record.value(idx));
            }
        }
    }

    /// The record as several rows, if its lines have the right number of fields.
    fn suspect(&self, record: &Record<'_>) -> Option<Suspect> {
        let line_end = if self.grammar.has_cr_lines { '\r' } else { '\n' };
        let mut broken = record.fields.iter().enumerate().filter(|(_, field)| {
            field.is_quoted && record.text[field.start..field.end].contains(line_end)
        });
        let (column, _) = broken.next()?;
        if broken.next().is_some() {
            return None;
        }
        let lines: Vec<&str> = record
            .text
            .split(line_end)
            .map(|line| line.trim_matches(['\r', '\n']))
            .filter(|line| !line.is_empty())
            .collect();
        let last = lines.len().checked_sub(1).filter(|last| *last > 0)?;
        let mut values = Vec::new();
        for (line_idx, line) in lines.iter().enumerate() {
            let fields = self.fields_alone(line)?;
            // Before the field that is in question and behind it the record says the same either way.
            let is_inside = |idx: usize| {
                idx != column && (line_idx > 0 || idx > column) && (line_idx < last || idx < column)
            };
            let inside = fields.into_iter().enumerate().filter(|(idx, _)| is_inside(*idx));
            values.extend(inside);
        }
        Some(Suspect { line: record.line, n_lines: lines.len(), values })
    }

    /// The fields of a line that is a row for itself, if it may be one: by its delimiters alone, or with
    /// a backslash before the quotes in it.
    fn fields_alone(&self, line: &str) -> Option<Vec<String>> {
        let bare: Vec<&str> = line.split(char::from(self.grammar.delimiter)).collect();
        if bare.len() == self.columns.len() {
            return Some(bare.into_iter().map(|value| unquoted(value).to_owned()).collect());
        }
        let grammar = Grammar { escape: Some(b'\\'), ..self.grammar };
        let mut records = Records::at("".as_ref(), line, 1, grammar);
        let mut fields = Vec::new();
        records.next(&mut fields).ok()??;
        let is_row = fields.len() == self.columns.len()
            && records.oddities().has_escape
            && records.oddities().n_lone == 0;
        is_row.then(|| fields.iter().map(|field| grammar.value(line, field).into_owned()).collect())
    }

    /// The error for the first record that very likely is several.
    pub(super) fn verdict(&self, path: &Path) -> Option<Error> {
        let merged = self.suspects.iter().find(|suspect| {
            let fits: Vec<bool> = suspect
                .values
                .iter()
                .filter_map(|(column, value)| self.columns[*column].fits(value, self.n_rows))
                .collect();
            !fits.is_empty() && fits.iter().all(|fits| *fits)
        })?;
        let Suspect { line, n_lines, .. } = merged;
        Some(
            Error::invalid(format!(
                "{path:?} line {line}: a quoted field makes one row of {n_lines} lines, each of which \
                 looks like a row"
            ))
            .with_hint(format!(
                "close the quote in its line; {}; if it is one row, pass --quote '\"'",
                self.grammar.advice()
            )),
        )
    }
}

impl Profile {
    fn take(&mut self, value: &str) {
        self.is_numeric &= is_number(value);
        let Some(values) = &mut self.values else { return };
        if value.len() > MAX_VALUE_BYTES {
            self.values = None;
        } else if !values.contains(value) {
            values.insert(value.to_owned());
            if values.len() > MAX_VALUES {
                self.values = None;
            }
        }
    }

    /// True if `value` is like the column's in other rows; none where that says nothing.
    fn fits(&self, value: &str, n_rows: usize) -> Option<bool> {
        match &self.values {
            // A value seen in one row alone is no label.
            Some(values) if !values.is_empty() && values.len() * 2 <= n_rows => {
                Some(values.contains(value))
            }
            _ if n_rows > 0 && self.is_numeric => Some(is_number(value)),
            _ => None,
        }
    }
}

fn is_number(value: &str) -> bool {
    value.parse::<f64>().is_ok()
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}
