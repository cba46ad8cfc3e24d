//! True labels from a file: read, matched with what was predicted, checked against the classes of the version that
//! answered, and kept. A row that is wrong is told of by its line and costs no other.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::Book;
use crate::{
    data::{Dialect, RowsReader},
    error::{Error, Result},
    figure,
    monitor::{Arm, GivenLabel, LabelLog, LabelOutcome, visit_predictions},
    output::Output,
    progress::Monitor,
};

/// Faults of a file that are told.
const MAX_FAULTS: usize = 5;
/// Labels that are written together.
const BATCH: usize = 10_000;

/// A file of true labels.
#[derive(Debug, Clone)]
pub struct LabelFileRequest {
    /// CSV, TSV, JSON lines, Parquet or Arrow with the columns request_id (or id) and label, and index or line,
    /// source, sampled_by and timestamp_ms where they are there. `-` is standard input.
    pub path: PathBuf,
    /// Its dialect, as far as it is given.
    pub dialect: Dialect,
    /// The source of rows that name none.
    pub source: String,
}

/// What became of the labels of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LabelledFile {
    /// Labels that are new.
    pub accepted: usize,
    /// Those that correct another one of the same source.
    pub corrected: usize,
    /// Those that were known, or said something older than what is known.
    pub unchanged: usize,
    /// Those whose prediction is not in the log; they are kept.
    pub unmatched: usize,
    /// Those that are not kept.
    pub refused: usize,
    /// Rows without a label, such as those that nobody has come to yet.
    pub blank: usize,
    /// The first five rows that are not kept, by their place in the file, each with its place and why.
    pub faults: Vec<String>,
    #[serde(skip)]
    all_faults: BTreeMap<RowPlace, String>,
    /// Guesses about the file.
    pub notes: Vec<String>,
}

/// Where a row stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RowPlace {
    /// From 1.
    number: usize,
    /// True for a line, false for a row of a file without lines.
    is_line: bool,
}

impl fmt::Display for RowPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.is_line { "line" } else { "row" }, self.number)
    }
}

impl Book {
    /// Keeps the true labels of a file, and says what became of them. They are on the disk when this returns.
    ///
    /// # Errors
    /// A file that cannot be read or lacks a column, and a disk that refuses.
    pub fn label_file(
        &self,
        request: &LabelFileRequest,
        monitor: &Monitor,
    ) -> Result<LabelledFile> {
        GivenLabel {
            source: request.source.clone(),
            request_id: "-".to_owned(),
            ..GivenLabel::default()
        }
        .check()?;
        let mut done = LabelledFile::default();
        let given = monitor.stage("read", None, || done.read(request, monitor))?;
        let dir = self.store().logs_dir();
        let mut versions: HashMap<(String, u32), (String, u32)> = given
            .iter()
            .map(|(label, _)| ((label.request_id.clone(), label.index), Default::default()))
            .collect();
        monitor.stage("match", None, || {
            visit_predictions(&dir, None, |record| {
                monitor.interrupt.check()?;
                if record.arm != Arm::Shadow
                    && let Some(found) =
                        versions.get_mut(&(record.request_id.to_owned(), record.index))
                {
                    *found = (record.model.to_owned(), record.version);
                }
                Ok(())
            })
        })?;
        let mut classes: BTreeMap<(String, u32), Option<Vec<String>>> = BTreeMap::new();
        let mut kept = Vec::with_capacity(given.len());
        for (label, place) in given {
            let version =
                versions.get(&(label.request_id.clone(), label.index)).filter(|found| found.1 > 0);
            let known = version.and_then(|version| {
                let of_version = classes
                    .entry(version.clone())
                    // One that is gone is measured by nobody either: its labels are taken as they are.
                    .or_insert_with(|| self.version_classes(&version.0, version.1).ok());
                of_version.as_ref()
            });
            match (known, &label.label) {
                (Some(known), Some(said)) if !known.contains(said) => done.refuse(
                    place,
                    &format!(
                        "label {said:?} is no class of {}: expected one of {}",
                        version.map_or_else(String::new, |(model, version)| format!(
                            "{model}/{version}"
                        )),
                        known.join(", ")
                    ),
                ),
                _ => kept.push((label, version.is_some())),
            }
        }
        let kept = done.last_words(kept);
        let log = LabelLog::new(&dir);
        monitor.stage("write", Some(kept.len() as u64), || {
            for batch in kept.chunks(BATCH) {
                monitor.interrupt.check()?;
                let outcomes = log.keep(batch.iter().map(|(label, _)| label.clone()).collect())?;
                for (outcome, (_, is_matched)) in outcomes.iter().zip(batch) {
                    match outcome {
                        _ if !is_matched => done.unmatched += 1,
                        LabelOutcome::Accepted => done.accepted += 1,
                        LabelOutcome::Corrected => done.corrected += 1,
                        LabelOutcome::Unchanged => done.unchanged += 1,
                    }
                }
                monitor.progress.advance(batch.len() as u64);
            }
            Ok::<_, Error>(())
        })?;
        Ok(done)
    }
}

impl LabelledFile {
    /// The labels of the file, each with its place.
    fn read(
        &mut self,
        request: &LabelFileRequest,
        monitor: &Monitor,
    ) -> Result<Vec<(GivenLabel, RowPlace)>> {
        let mut reader = RowsReader::open_with(&request.path, &request.dialect, |names, file| {
            let place = |name: &str| names.iter().position(|found| found == name);
            match (place("request_id").or_else(|| place("id")), place("label")) {
                (Some(id), Some(_)) => Ok(id),
                (None, _) => Err(without_column("request_id", names, file)),
                (_, None) => Err(without_column("label", names, file)),
            }
        })?;
        // Elsewhere nothing tells a label that is taken back from a row that nobody has come to yet.
        let has_nulls = reader.extension() == "jsonl";
        self.notes = reader.notes().to_vec();
        let mut given: Vec<(GivenLabel, RowPlace)> = Vec::new();
        let mut n_before = 0;
        while let Some(chunk) = reader.next()? {
            monitor.interrupt.check()?;
            let columns = ["label", "index", "source", "sampled_by", "timestamp_ms", "line"]
                .map(|name| chunk.column(name));
            let nulls = if has_nulls { chunk.nulls("label") } else { Vec::new() };
            for (row, request_id) in chunk.texts.iter().enumerate() {
                let place = match reader.lines().get(row) {
                    Some(line) => RowPlace { number: *line as usize, is_line: true },
                    None => RowPlace { number: n_before + row + 1, is_line: false },
                };
                let cell = |idx: usize| {
                    columns[idx]
                        .get(row)
                        .and_then(Option::as_deref)
                        .map(str::trim)
                        .filter(|cell| !cell.is_empty())
                };
                let label = cell(0);
                if label.is_none() && !nulls.get(row).is_some_and(|is_null| *is_null) {
                    self.blank += 1;
                    continue;
                }
                match read_row(
                    request_id.as_deref().unwrap_or_default(),
                    label,
                    cell,
                    &request.source,
                ) {
                    Err(error) => self.refuse(place, &error.to_string()),
                    Ok(label) => {
                        given.push((label, place));
                    }
                }
            }
            n_before += chunk.n_rows();
        }
        Ok(given)
    }

    /// Of several labels of one text by one source that name no time the last one: the same file twice changes
    /// nothing.
    fn last_words(&mut self, labels: Vec<(GivenLabel, bool)>) -> Vec<(GivenLabel, bool)> {
        let key =
            |label: &GivenLabel| (label.request_id.clone(), label.index, label.source.clone());
        let without_time =
            labels.iter().enumerate().filter(|(_, (label, _))| label.timestamp_ms.is_none());
        let last: HashMap<_, usize> =
            without_time.map(|(idx, (label, _))| (key(label), idx)).collect();
        let n_labels = labels.len();
        let is_last = |idx: usize, label: &GivenLabel| {
            label.timestamp_ms.is_some() || last.get(&key(label)) == Some(&idx)
        };
        let labels: Vec<_> = labels
            .into_iter()
            .enumerate()
            .filter(|(idx, (label, _))| is_last(*idx, label))
            .map(|(_, label)| label)
            .collect();
        self.unchanged += n_labels - labels.len();
        labels
    }

    fn refuse(&mut self, place: RowPlace, why: &str) {
        self.refused += 1;
        self.all_faults.entry(place).or_insert_with(|| why.to_owned());
        if self.all_faults.len() > MAX_FAULTS {
            self.all_faults.pop_last();
        }
        let told = self.all_faults.iter().map(|(place, why)| format!("{place}: {why}"));
        self.faults = told.collect();
    }

    /// The answer of `monitor label`.
    pub fn to_output(&self) -> Output {
        let mut text = Vec::new();
        for note in &self.notes {
            text.push(format!("note: {note}"));
        }
        let n = |n: usize| figure::count(n);
        text.push(format!(
            "labels: {} accepted, {} corrected, {} unchanged, {} unmatched, {} refused",
            n(self.accepted),
            n(self.corrected),
            n(self.unchanged),
            n(self.unmatched),
            n(self.refused)
        ));
        if self.blank > 0 {
            text.push(format!(
                "{} without a label passed over",
                figure::counted(self.blank, "row")
            ));
        }
        if self.unmatched > 0 {
            text.push(
                "unmatched ones are kept, and count once their prediction is found in the log"
                    .to_owned(),
            );
        }
        for fault in &self.faults {
            text.push(format!("refused: {fault}"));
        }
        if self.refused > self.faults.len() {
            text.push(format!("and {} more", n(self.refused - self.faults.len())));
        }
        Output::new(self).text(text.join("\n"))
    }
}

fn without_column(name: &str, found: &[String], path: &Path) -> Error {
    Error::invalid(format!("{path:?} has no column {name:?}: found {}", found.join(", "))).with_hint(
        "a file of labels has the columns request_id (or id) and label, and for batches index or line",
    )
}

/// The label that a row says; none takes back what its source said.
fn read_row<'a>(
    request_id: &str,
    label: Option<&str>,
    cell: impl Fn(usize) -> Option<&'a str>,
    source: &str,
) -> Result<GivenLabel> {
    let whole = |idx: usize, name: &str, least: i64| -> Result<Option<i64>> {
        let Some(text) = cell(idx) else { return Ok(None) };
        // Spreadsheets and data frames make 3.0 of 3.
        let digits = text.strip_suffix(".0").unwrap_or(text);
        let number: Option<i64> = digits.parse().ok().filter(|number| *number >= least);
        number.map(Some).ok_or_else(|| {
            Error::invalid(format!("{name} {text:?}: expected a whole number from {least} on"))
        })
    };
    let index = match (whole(1, "index", 0)?, whole(5, "line", 1)?) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("both index and line are given: expected one"));
        }
        (Some(index), None) => index,
        (None, line) => line.map_or(0, |line| line - 1),
    };
    let index = u32::try_from(index).map_err(|_| Error::invalid("index is too large"))?;
    let given = GivenLabel {
        request_id: request_id.trim().to_owned(),
        index,
        label: label.map(str::to_owned),
        source: cell(2).unwrap_or(source).to_owned(),
        timestamp_ms: whole(4, "timestamp_ms", 0)?,
        sampled_by: cell(3).map(str::parse).transpose()?,
    };
    given.check()?;
    Ok(given)
}
