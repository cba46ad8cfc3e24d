//! The columns of a source besides text and label, which a dataset keeps under their own names so
//! that queries see them. Nothing here counts in training: neither fingerprints nor splits know of
//! them.
//!
//! Names are made as pandas makes them: one that is taken, by an earlier column or one of a
//! dataset's own, becomes `text.1`, `text.2`, …, and a column without one is `Unnamed: 2` by its
//! place from 0.

use std::borrow::Cow;

use polars::prelude::{
    Column, DataType, IdxSize, IntoSeries as _, PolarsError, StringChunkedBuilder,
};

use super::{Datum, KeepColumns, guarded::first_line};
use crate::error::{Error, ErrorKind, Result};

/// The number of columns that are kept where none are named: the first ones.
pub(super) const MAX_COLUMNS: usize = 64;
/// A column with a longer cell of text is left out, unless it is named.
pub(super) const MAX_CELL_BYTES: usize = 64 << 10;
/// The memory that all kept columns of both splits may take; one that does not fit is left out.
pub(super) const MAX_BYTES: usize = 256 << 20;

/// The beginning of reasons that hold only for columns that nobody named.
const BEYOND: &str = "beyond the first";
const LONG_CELL: &str = "a cell of";

/// The columns that every dataset has, and the one that a query over both splits adds.
const OWN_NAMES: [&str; 4] = ["text", "label", "target", "split"];

/// A column of a source that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its place among the columns of the source.
    pub(super) idx: usize,
    /// The name that it is kept under.
    pub(super) name: String,
    /// True if the source gives it none.
    is_unnamed: bool,
    max_cell_bytes: usize,
}

/// The columns that are kept of one source.
#[derive(Debug, Default)]
pub(super) struct Kept {
    columns: Vec<KeptValues>,
    /// Columns that are not kept although they would be: the name and why.
    left_out: Vec<(String, String)>,
    /// Notes for the reader, such as another name.
    notes: Vec<String>,
    /// The names of all columns that were asked for and are there, in the source and here.
    found: Vec<String>,
}

/// One value a row.
#[derive(Debug, Clone)]
struct KeptValues {
    values: Column,
    /// Text of a file without types, of which nobody has asked yet whether it is numbers.
    is_untyped: bool,
}

/// Kept columns as they are stored.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The same columns for every part: one value a row.
    pub(super) parts: Vec<Vec<Column>>,
    pub(super) notes: Vec<String>,
}

/// The columns of `found` that are to be kept. Those at `taken` hold text and label.
///
/// # Errors
/// When `keep` names the text or the label column.
pub(super) fn wanted(
    found: &[String],
    taken: &[usize],
    keep: &KeepColumns,
) -> Result<(Vec<Wanted>, Kept)> {
    let mut kept = Kept::default();
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut names: Vec<String> = OWN_NAMES.map(str::to_owned).to_vec();
    for (idx, source) in found.iter().enumerate() {
        let is_named = match keep {
            KeepColumns::All => false,
            KeepColumns::None => break,
            KeepColumns::Only(asked) => asked.contains(source),
        };
        if taken.contains(&idx) {
            if is_named {
                return Err(Error::invalid(format!(
                    "column {source:?} holds the texts or the labels"
                ))
                .with_hint("it is stored anyway: leave it out of --columns"));
            }
            continue;
        }
        let place = format!("Unnamed: {idx}");
        let is_unnamed = source.trim().is_empty() || *source == place;
        let plain = if is_unnamed { place } else { source.clone() };
        let name = free_name(plain, &names);
        names.push(name.clone());
        let max_cell_bytes = match keep {
            KeepColumns::Only(asked) if is_named || asked.contains(&name) => usize::MAX,
            KeepColumns::Only(_) => continue,
            _ => MAX_CELL_BYTES,
        };
        kept.found.extend([source.clone(), name.clone()]);
        if *keep == KeepColumns::All && wanted.len() == MAX_COLUMNS {
            kept.left_out.push((name, format!("{BEYOND} {MAX_COLUMNS}")));
            continue;
        }
        if !is_unnamed && name != *source {
            kept.notes.push(format!("column {source:?} kept as {name:?}, its own name is taken"));
        }
        wanted.push(Wanted { idx, name, is_unnamed, max_cell_bytes });
    }
    Ok((wanted, kept))
}

/// `name` itself, or with the first number that makes it none of `names`.
fn free_name(name: String, names: &[String]) -> String {
    if !names.contains(&name) {
        return name;
    }
    let numbered = (1..).map(|nth| format!("{name}.{nth}"));
    numbered.into_iter().find(|name| !names.contains(name)).expect("numbers do not run out")
}

impl Kept {
    /// Adds a column of a source with types.
    pub(super) fn push(&mut self, wanted: &Wanted, values: Column) {
        let longest = match values.dtype() {
            DataType::String => {
                let cells = values.as_materialized_series().str().ok();
                cells.and_then(|cells| cells.iter().flatten().map(str::len).max()).unwrap_or(0)
            }
            _ => 0,
        };
        if longest > wanted.max_cell_bytes {
            return self.leave_out(wanted, too_long(longest));
        }
        // A type without values, or one whose values are a table of strings, is text.
        let values = match values.dtype() {
            DataType::Null | DataType::Categorical(..) | DataType::Enum(..) => {
                values.cast(&DataType::String).unwrap_or_else(|_| text_of(&values))
            }
            _ => values,
        };
        let values = values.with_name(wanted.name.as_str().into());
        self.columns.push(KeptValues { values, is_untyped: false });
    }

    /// Says that the column `wanted` is not kept, and why.
    pub(super) fn leave_out(&mut self, wanted: &Wanted, reason: String) {
        self.left_out.push((wanted.name.clone(), reason));
    }

    /// The rows at `rows` alone, in that order.
    pub(super) fn take(self, rows: &[usize]) -> Result<Self> {
        let columns = self.columns.into_iter().map(|column| {
            let values = picked(&column.values, rows)?;
            Ok(KeptValues { values, ..column })
        });
        Ok(Self { columns: columns.collect::<Result<_>>()?, ..self })
    }

    /// The rows of a source of `n_rows` rows and behind them those of `other`. A column that one of
    /// them lacks is null there.
    pub(super) fn append(self, n_rows: usize, other: Self, n_other_rows: usize) -> Result<Self> {
        let found = [&self.found[..], &other.found].concat();
        let (columns, left_out, notes) = united(vec![(self, n_rows), (other, n_other_rows)]);
        let columns = columns.into_iter().map(|parts| {
            let is_untyped = parts[0].is_untyped;
            let mut parts = parts.into_iter().map(|part| part.values);
            let mut values = parts.next().expect("there is a first part");
            for part in parts {
                values.append(&part).map_err(|source| failed(&source))?;
            }
            Ok(KeptValues { values, is_untyped })
        });
        Ok(Self { columns: columns.collect::<Result<_>>()?, left_out, notes, found })
    }

    /// Makes the columns of all `parts` (each with its number of rows) the same in names and types,
    /// tells numbers from texts where the source has no types, and leaves out what is too large.
    ///
    /// # Errors
    /// When `keep` names a column that no part has, or one that cannot be kept.
    pub(super) fn settle(parts: Vec<(Self, usize)>, keep: &KeepColumns) -> Result<Settled> {
        let mut settled = Settled { parts: vec![Vec::new(); parts.len()], notes: Vec::new() };
        let asked: &[String] = if let KeepColumns::Only(names) = keep { names } else { &[] };
        let (columns, mut left_out, notes) = united(parts);
        settled.notes = notes;
        let mut n_bytes = 0;
        for column in columns {
            let column = typed(column);
            let name = column[0].name().to_string();
            let size: usize =
                column.iter().map(|part| part.as_materialized_series().estimated_size()).sum();
            if n_bytes + size > MAX_BYTES {
                left_out.push((name, format!("{} MiB, more than fits", size >> 20)));
                continue;
            }
            n_bytes += size;
            for (part, values) in settled.parts.iter_mut().zip(column) {
                part.push(values);
            }
        }
        if let Some((name, reason)) = left_out.iter().find(|(name, _)| asked.contains(name)) {
            return Err(Error::invalid(format!("column {name:?} cannot be kept: {reason}"))
                .with_hint("leave it out of --columns"));
        }
        settled.notes.extend(left_out_note(&left_out));
        Ok(settled)
    }

    /// True if the source has a column that was asked for by this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.found.iter().any(|found| found == name)
    }
}

/// The rows of `column` at `rows`.
pub(super) fn picked(column: &Column, rows: &[usize]) -> Result<Column> {
    let rows: Vec<IdxSize> = rows.iter().map(|&row| row as IdxSize).collect();
    column.take_slice(&rows).map_err(|source| failed(&source))
}

/// Collects the kept columns of a file whose cells are texts. An empty cell is null.
pub(super) struct TextCells {
    columns: Vec<TextColumn>,
    kept: Kept,
}

struct TextColumn {
    wanted: Wanted,
    cells: StringChunkedBuilder,
    has_values: bool,
    n_bytes: usize,
    /// The reason why it is left out, once that is known.
    refused: Option<String>,
}

impl TextCells {
    /// Room for the columns that [`wanted`] found.
    pub(super) fn new((wanted, kept): (Vec<Wanted>, Kept)) -> Self {
        let columns = wanted.into_iter().map(|wanted| TextColumn {
            cells: StringChunkedBuilder::new(wanted.name.as_str().into(), 0),
            wanted,
            has_values: false,
            n_bytes: 0,
            refused: None,
        });
        Self { columns: columns.collect(), kept }
    }

    /// Adds a row whose cell in the column `idx` of the file is `cell(idx)`.
    pub(super) fn push<'a>(&mut self, cell: impl Fn(usize) -> Cow<'a, str>) {
        for column in &mut self.columns {
            if column.refused.is_some() {
                continue;
            }
            let text = cell(column.wanted.idx);
            column.n_bytes += text.len();
            if text.len() > column.wanted.max_cell_bytes {
                column.refuse(too_long(text.len()));
            } else if column.n_bytes > MAX_BYTES {
                column.refuse(format!("more than {} MiB", MAX_BYTES >> 20));
            } else if text.is_empty() {
                column.cells.append_null();
            } else {
                column.has_values = true;
                column.cells.append_value(text.as_ref());
            }
        }
    }

    /// The columns; one with neither name nor value, as of a comma that ends each line, is none.
    pub(super) fn finish(self) -> Kept {
        let mut kept = self.kept;
        for column in self.columns {
            if let Some(reason) = column.refused {
                kept.leave_out(&column.wanted, reason);
            } else if column.has_values || !column.wanted.is_unnamed {
                let values = column.cells.finish().into_series().into();
                kept.columns.push(KeptValues { values, is_untyped: true });
            }
        }
        kept
    }
}

impl TextColumn {
    /// Forgets the cells, which are not to fill the memory.
    fn refuse(&mut self, reason: String) {
        self.cells = StringChunkedBuilder::new(self.wanted.name.as_str().into(), 0);
        self.refused = Some(reason);
    }
}

/// Columns as a list of their parts, what is left out of any part, and all notes.
type United = (Vec<Vec<KeptValues>>, Vec<(String, String)>, Vec<String>);

/// The columns of all parts by their names, each with a value for every row. All parts of a column
/// are untyped, or all have the same type.
fn united(parts: Vec<(Kept, usize)>) -> United {
    let mut names: Vec<String> = Vec::new();
    let (mut left_out, mut notes) = (Vec::<(String, String)>::new(), Vec::new());
    for (part, _) in &parts {
        for column in &part.columns {
            let name = column.values.name().as_str();
            if names.iter().all(|known| known != name) {
                names.push(name.to_owned());
            }
        }
        for (name, reason) in &part.left_out {
            if left_out.iter().all(|(known, _)| known != name) {
                left_out.push((name.clone(), reason.clone()));
            }
        }
        for note in &part.notes {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
    }
    // Half a column would be a trap.
    names.retain(|name| left_out.iter().all(|(known, _)| known != name));
    let columns = names.iter().map(|name| {
        let found: Vec<(Option<&KeptValues>, usize)> = parts
            .iter()
            .map(|(part, n_rows)| {
                (part.columns.iter().find(|column| column.values.name().as_str() == name), *n_rows)
            })
            .collect();
        let is_untyped = found.iter().all(|(column, _)| column.is_none_or(|c| c.is_untyped));
        // Beside texts, texts that look like numbers stay as they are.
        let goes_with_numbers = found.iter().filter_map(|(column, _)| *column).all(|column| {
            let values = &column.values;
            column.is_untyped || values.is_full_null() || values.dtype().is_primitive_numeric()
        });
        let columns: Vec<Option<Column>> = found
            .iter()
            .map(|(column, _)| {
                let column = (*column)?;
                Some(match column.is_untyped && !is_untyped && goes_with_numbers {
                    true => typed(vec![column.clone()]).remove(0),
                    false => column.values.clone(),
                })
            })
            .collect();
        let dtype = common_type(columns.iter().flatten());
        let columns = columns.into_iter().zip(&found).map(|(column, (_, n_rows))| {
            let values = match column {
                Some(column) => cast(column, &dtype),
                None => Column::full_null(name.as_str().into(), *n_rows, &dtype),
            };
            KeptValues { values, is_untyped }
        });
        columns.collect()
    });
    (columns.collect(), left_out, notes)
}

/// The type that holds the values of all `columns` as they are; text where there is no other.
fn common_type<'a>(columns: impl Iterator<Item = &'a Column> + Clone) -> DataType {
    let all: Vec<&Column> = columns.clone().collect();
    let known: Vec<&Column> = columns.filter(|column| !column.is_full_null()).collect();
    // A column without values goes with every type.
    let known = if known.is_empty() { all } else { known };
    let Some(first) = known.first().map(|column| column.dtype()) else { return DataType::String };
    if known.iter().all(|column| column.dtype() == first) {
        return first.clone();
    }
    let number = match known.iter().any(|column| column.dtype().is_float()) {
        true => DataType::Float64,
        false => DataType::Int64,
    };
    let comes_back = |column: &&Column| {
        column
            .strict_cast(&number)
            .and_then(|there| there.strict_cast(column.dtype()))
            .is_ok_and(|back| back.equals_missing(column))
    };
    let is_number = |column: &&Column| column.dtype().is_primitive_numeric();
    match known.iter().all(|column| is_number(column) && comes_back(column)) {
        true => number,
        false => DataType::String,
    }
}

fn cast(column: Column, dtype: &DataType) -> Column {
    if column.dtype() == dtype {
        return column;
    }
    if *dtype == DataType::String && !column.is_full_null() {
        return text_of(&column);
    }
    match column.is_full_null() {
        true => Column::full_null(column.name().clone(), column.len(), dtype),
        false => column.cast(dtype).unwrap_or_else(|_| text_of(&column)),
    }
}

/// The values as they stand in a cell of text; lists and structs as JSON.
pub(super) fn text_of(column: &Column) -> Column {
    let values = Datum::all(column.as_materialized_series());
    let cells: Vec<Option<String>> =
        values.iter().map(|value| value.to_cell().map(Cow::into_owned)).collect();
    Column::new(column.name().clone(), cells)
}

/// The kind of value that the texts of a file without types spell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Whole,
    Decimal,
    Text,
}

/// The parts of one column, as numbers where every value of all of them is one.
fn typed(parts: Vec<KeptValues>) -> Vec<Column> {
    let texts = |part: &KeptValues| part.values.as_materialized_series().str().cloned();
    let cells: Option<Vec<_>> =
        parts.iter().map(|part| part.is_untyped.then(|| texts(part).ok()).flatten()).collect();
    let plain = || parts.iter().map(|part| part.values.clone()).collect();
    let Some(cells) = cells else { return plain() };
    let mut values = cells.iter().flat_map(|part| part.iter()).flatten().peekable();
    if values.peek().is_none() {
        return plain();
    }
    let spelling = values.try_fold(Spelling::Whole, |so_far, text| match spelling(text) {
        Spelling::Text => None,
        Spelling::Whole => Some(so_far),
        Spelling::Decimal => Some(Spelling::Decimal),
    });
    // Beside fractions a whole number becomes a float: it must not lose a digit there.
    let is_float = spelling == Some(Spelling::Decimal)
        && cells.iter().flat_map(|part| part.iter()).flatten().all(is_short);
    let numbers = cells.iter().zip(&parts).map(|(cells, part)| {
        let name = part.values.name().clone();
        if is_float {
            let numbers = cells.iter().map(|text| text?.parse::<f64>().ok());
            Column::new(name, numbers.collect::<Vec<_>>())
        } else {
            let numbers = cells.iter().map(|text| text?.parse::<i64>().ok());
            Column::new(name, numbers.collect::<Vec<_>>())
        }
    });
    match spelling {
        Some(Spelling::Whole) => numbers.collect(),
        Some(Spelling::Decimal) if is_float => numbers.collect(),
        _ => plain(),
    }
}

/// The kind of value that `text` spells. `007`, `+49…` and ` 1` are texts: as numbers they would
/// not come back.
fn spelling(text: &str) -> Spelling {
    if text.parse::<i64>().is_ok_and(|number| number.to_string() == text) {
        return Spelling::Whole;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|exponent| {
            is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))
        })
        && (fraction.is_some() || exponent.is_some())
        && text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number { Spelling::Decimal } else { Spelling::Text }
}

/// True if a float holds every digit of the number `text`: 15 significant ones always fit.
fn is_short(text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').len() <= 15
}

fn too_long(n_bytes: usize) -> String {
    format!("{LONG_CELL} {n_bytes} bytes, at most {MAX_CELL_BYTES} are kept")
}

/// One line about everything that is left out; of many names the first few.
fn left_out_note(left_out: &[(String, String)]) -> Option<String> {
    const MAX_SHOWN: usize = 5;
    // A reason that several have is given once, behind all of them.
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, reason) in left_out {
        match groups.iter_mut().find(|(known, _)| known == reason) {
            Some((_, names)) => names.push(name),
            None => groups.push((reason, vec![name])),
        }
    }
    let listed = |reason: &str, names: &[&str]| {
        let some: Vec<String> =
            names.iter().take(MAX_SHOWN).map(|name| format!("{name:?}")).collect();
        let more = match names.len() - some.len() {
            0 => String::new(),
            n_more => format!(" and {n_more} more"),
        };
        format!("{}{more} ({reason})", some.join(", "))
    };
    let mut shown: Vec<String> =
        groups.iter().take(MAX_SHOWN).map(|(reason, names)| listed(reason, names)).collect();
    let n_more: usize = groups.iter().skip(MAX_SHOWN).map(|(_, names)| names.len()).sum();
    if n_more > 0 {
        shown.push(format!("{n_more} more"));
    }
    let (columns, were) = if left_out.len() == 1 { ("column", "was") } else { ("columns", "were") };
    // What has no type that is kept is not kept by its name either.
    let advice = match left_out.iter().any(|(_, reason)| is_by_default(reason)) {
        true => "; --columns A,B names those to keep",
        false => "",
    };
    (!left_out.is_empty())
        .then(|| format!("{columns} {} {were} left out{advice}", shown.join(", ")))
}

/// True if a column that is left out for this reason is kept when it is named.
fn is_by_default(reason: &str) -> bool {
    reason.starts_with(BEYOND) || reason.starts_with(LONG_CELL)
}

fn failed(source: &PolarsError) -> Error {
    Error::new(ErrorKind::Internal, "kept columns do not go together")
        .with_source(first_line(source))
}

#[cfg(test)]
mod tests {
    use polars::prelude::DataFrame;

    use super::*;
    use crate::data::QueryResult;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn wanted_names(found: &[&str], keep: &KeepColumns) -> Vec<(usize, String)> {
        let (wanted, _) = wanted(&names(found), &[0, 1], keep).unwrap();
        wanted.into_iter().map(|wanted| (wanted.idx, wanted.name)).collect()
    }

    #[test]
    fn names_that_are_taken_get_a_number() {
        let found = ["review", "stars", "id", "", "text", "id", "split", "id.1", "label"];
        let expected = [
            (2, "id"),
            (3, "Unnamed: 3"),
            (4, "text.1"),
            (5, "id.1"),
            (6, "split.1"),
            (7, "id.1.1"),
            (8, "label.1"),
        ];
        let expected: Vec<(usize, String)> =
            expected.iter().map(|(idx, name)| (*idx, (*name).to_owned())).collect();
        assert_eq!(wanted_names(&found, &KeepColumns::All), expected);
        assert_eq!(wanted_names(&found, &KeepColumns::None), []);
        let only = KeepColumns::Only(names(&["Unnamed: 3", "split"]));
        let expected = vec![(3, "Unnamed: 3".to_owned()), (6, "split.1".to_owned())];
        assert_eq!(wanted_names(&found, &only), expected);
        let error = wanted(&names(&found), &[0, 1], &KeepColumns::Only(names(&["stars"])));
        assert!(error.unwrap_err().to_string().contains("column \"stars\" holds the texts or"));
    }

    /// The kept columns of a text file with the columns of `cells`.
    fn texts(columns: &[(&str, &[&str])]) -> (Kept, usize) {
        let found: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let mut cells = TextCells::new(wanted(&names(&found), &[], &KeepColumns::All).unwrap());
        let n_rows = columns.first().map_or(0, |(_, cells)| cells.len());
        for row_idx in 0..n_rows {
            cells.push(|idx| columns[idx].1[row_idx].into());
        }
        (cells.finish(), n_rows)
    }

    /// Kept columns as (name, type, JSON of the values), the parts behind each other.
    fn settled(parts: Vec<(Kept, usize)>) -> Vec<(String, String, String)> {
        let settled = Kept::settle(parts, &KeepColumns::All).unwrap();
        let n_columns = settled.parts[0].len();
        let column = |idx: usize| {
            let first = &settled.parts[0][idx];
            let mut values = Vec::new();
            for part in &settled.parts {
                assert_eq!(part[idx].dtype(), first.dtype());
                assert_eq!(part[idx].name(), first.name());
                let frame = DataFrame::new(part[idx].len(), vec![part[idx].clone()]).unwrap();
                values.extend(QueryResult::new(frame).values(part[idx].len()).remove(0).1);
            }
            let json = serde_json::Value::Array(values).to_string();
            (first.name().to_string(), first.dtype().to_string(), json)
        };
        (0..n_columns).map(column).collect()
    }

    #[track_caller]
    fn check(cells: &[&str], dtype: &str, json: &str) {
        let found = settled(vec![texts(&[("x", cells)])]);
        assert_eq!(found, [("x".to_owned(), dtype.to_owned(), json.to_owned())], "{cells:?}");
    }

    #[test]
    fn texts_are_numbers_when_all_of_them_are_and_come_back() {
        check(&["1", "-20", "", "9223372036854775807"], "i64", "[1,-20,null,9223372036854775807]");
        check(&["1", "2.50", "-0.1"], "f64", "[1.0,2.5,-0.1]");
        check(&["1e-3", "0"], "f64", "[0.001,0.0]");
        check(&["", ""], "str", "[null,null]");
        check(&["01", "2"], "str", "[\"01\",\"2\"]");
        check(&["+1", "2"], "str", "[\"+1\",\"2\"]");
        check(&[" 1", "2"], "str", "[\" 1\",\"2\"]");
        check(&["1", "two"], "str", "[\"1\",\"two\"]");
        check(&["nan", "inf"], "str", "[\"nan\",\"inf\"]");
        check(&["9223372036854775808", "1"], "str", "[\"9223372036854775808\",\"1\"]");
        // As floats these would lose digits.
        check(&["1234567890123456", "0.5"], "str", "[\"1234567890123456\",\"0.5\"]");
        check(&["3.14159265358979323846"], "str", "[\"3.14159265358979323846\"]");
        check(&["1e999"], "str", "[\"1e999\"]");
    }

    #[test]
    fn two_splits_get_the_same_columns_and_types() {
        let row = |name: &str, dtype: &str, json: &str| {
            (name.to_owned(), dtype.to_owned(), json.to_owned())
        };
        let found = settled(vec![
            texts(&[("id", &["1", "2"]), ("zip", &["1", "2"]), ("only", &["a", "b"])]),
            texts(&[("late", &["1.5"]), ("zip", &["007"]), ("id", &["3"])]),
        ]);
        assert_eq!(
            found,
            [
                row("id", "i64", "[1,2,3]"),
                row("zip", "str", "[\"1\",\"2\",\"007\"]"),
                row("only", "str", "[\"a\",\"b\",null]"),
                row("late", "f64", "[null,null,1.5]"),
            ]
        );
        let typed = |values: Column| {
            let (wanted, mut kept) = wanted(&names(&["x"]), &[], &KeepColumns::All).unwrap();
            let n_rows = values.len();
            kept.push(&wanted[0], values);
            (kept, n_rows)
        };
        let column = |values: &[i64]| Column::new("x".into(), values);
        let floats = Column::new("x".into(), [0.5f64]);
        for (other, dtype, json) in [
            (Column::new("x".into(), [2u8]), "i64", "[1,2]"),
            (floats.clone(), "f64", "[1.0,0.5]"),
            (Column::new("x".into(), ["a"]), "str", "[\"1\",\"a\"]"),
            (Column::new("x".into(), [true]), "str", "[\"1\",\"true\"]"),
            (Column::new("x".into(), [u64::MAX]), "str", "[\"1\",\"18446744073709551615\"]"),
            (Column::new("x".into(), [None::<&str>]), "i64", "[1,null]"),
        ] {
            assert_eq!(settled(vec![typed(column(&[1])), typed(other)]), [row("x", dtype, json)]);
        }
        let large = settled(vec![typed(column(&[i64::MAX])), typed(floats)]);
        assert_eq!(large, [row("x", "str", "[\"9223372036854775807\",\"0.5\"]")]);
        // A typed column beside one of a text file.
        let mixed = settled(vec![typed(column(&[1])), texts(&[("x", &["2"])])]);
        assert_eq!(mixed, [row("x", "i64", "[1,2]")]);
        let words = Column::new("x".into(), ["a"]);
        let mixed = settled(vec![texts(&[("x", &["1.50"])]), typed(words)]);
        assert_eq!(mixed, [row("x", "str", "[\"1.50\",\"a\"]")]);
    }

    #[test]
    fn files_are_appended_before_anybody_asks_for_numbers() {
        let (first, n_first) = texts(&[("id", &["1", "2"])]);
        let (second, n_second) = texts(&[("id", &["007"]), ("more", &["x"])]);
        let both = first.append(n_first, second, n_second).unwrap();
        let found = settled(vec![(both, 3)]);
        assert_eq!(found[0].2, "[\"1\",\"2\",\"007\"]");
        assert_eq!(found[1].2, "[null,null,\"x\"]");
    }

    #[test]
    fn what_is_too_large_is_left_out_of_both_splits_and_said() {
        let long = "x".repeat(MAX_CELL_BYTES + 1);
        let parts = || {
            vec![
                texts(&[("id", &["1"]), ("html", &[long.as_str()])]),
                texts(&[("id", &["2"]), ("html", &["short"]), ("", &[""])]),
            ]
        };
        let result = Kept::settle(parts(), &KeepColumns::All).unwrap();
        assert_eq!(result.parts.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(
            result.notes,
            ["column \"html\" (a cell of 65537 bytes, at most 65536 are kept) was left out; \
             --columns A,B names those to keep"]
        );
        let many: Vec<String> = (0..MAX_COLUMNS + 9).map(|n| format!("c{n}")).collect();
        let (wanted, kept) = wanted(&many, &[], &KeepColumns::All).unwrap();
        assert_eq!((wanted.len(), kept.left_out.len()), (MAX_COLUMNS, 9));
        let note = |left_out: &[(&str, &str)]| {
            let owned: Vec<(String, String)> = left_out
                .iter()
                .map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned()))
                .collect();
            left_out_note(&owned)
        };
        let many = left_out_note(&kept.left_out).unwrap();
        assert!(
            many.contains("and 4 more (beyond the first 64) were left out; --columns"),
            "{many}"
        );
        assert_eq!(many.matches("beyond").count(), 1, "{many}");
        assert_eq!(note(&[]), None);
        assert_eq!(
            note(&[("a", "bytes, not text")]).unwrap(),
            "column \"a\" (bytes, not text) was left out"
        );
        assert_eq!(
            note(&[
                ("a", "bytes, not text"),
                ("b", "beyond the first 64"),
                ("c", "bytes, not text")
            ])
            .unwrap(),
            "columns \"a\", \"c\" (bytes, not text), \"b\" (beyond the first 64) were left out; \
             --columns A,B names those to keep"
        );
    }
}
