//! A dataset made of another one without some of its rows: those that a list of issues names. The
//! list is checked against the dataset first: a row is a place in certain examples, and among others
//! it is another row.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::{
    Added, Dataset, DatasetLineage, Datasets, Dropped, IssueKind, LeftOutRows, Split,
    checked_splits::{CheckedSplits, Examples},
    datasets::settle,
    guarded::first_line,
    kept::picked,
    name::check_name,
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure,
    hint::Hint,
    progress::Monitor,
};

/// A dataset to be made of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRequest {
    /// The dataset that rows are left out of. It stays as it is.
    pub dataset: String,
    /// The file with the issues: the list that `data issues` writes, or a part of it.
    pub issues: PathBuf,
    /// The kinds that count; all but leakage, which is no row's fault, where none are named.
    pub kinds: Vec<IssueKind>,
    /// The name of the new dataset.
    pub name: String,
}

/// The fields that are read of an issue.
#[derive(Debug, Deserialize)]
struct ListedIssue {
    row: usize,
    split: String,
    kind: IssueKind,
    fingerprint: String,
}

/// Rows by split and place, each with the first kind that named it.
type RowsToDrop = BTreeMap<String, BTreeMap<usize, IssueKind>>;

impl Datasets {
    /// Makes the dataset `request.name` of all rows of `request.dataset` that no issue in the file
    /// names. Its manifest says which rows of which examples were left out.
    ///
    /// # Errors
    /// A file that is no list of issues, or of issues of other examples: another fingerprint, or a
    /// row beyond the end; no row to leave out; a class that would have no training example left, or
    /// a test split that would have one class alone; [`ErrorKind::Conflict`] as in [`Datasets::add`].
    /// Nothing changes then.
    pub fn drop_issues(&self, request: &DropRequest, monitor: &Monitor) -> Result<Added> {
        let DropRequest { dataset, issues: path, kinds, name } = request;
        check_name(name)?;
        let dataset = self.get(dataset)?;
        if *name == dataset.name {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{name:?} is the dataset that rows are left out of"),
            )
            .with_hint("give the new dataset another name: the old one stays as it is"));
        }
        let issues = read(path)?;
        let in_file = |error: Error| error.with_context(format!("{path:?}"));
        let (rows, n_leaks) = chosen(&issues, &dataset, kinds).map_err(in_file)?;
        let lineage = DatasetLineage {
            dataset: dataset.name.clone(),
            splits: dataset
                .splits
                .iter()
                .map(|split| LeftOutRows {
                    name: split.name.clone(),
                    sha256: split.fingerprint.sha256.clone(),
                    rows: rows
                        .get(&split.name)
                        .map_or_else(Vec::new, |rows| rows.keys().copied().collect()),
                })
                .collect(),
        };
        let mut notes = notes(&rows);
        if rows.contains_key("test") {
            notes.push(format!(
                "metrics on {name}.test and {}.test do not compare: without rows that were doubted they \
                 look better (leave the test split alone with a file of `data issues {}.train`)",
                dataset.name, dataset.name
            ));
        }
        if n_leaks > 0 {
            notes.push(format!(
                "{} of leakage passed over: what gives the label away concerns the split, not a row",
                figure::counted(n_leaks, "issue")
            ));
        }
        monitor.interrupt.check()?;
        let (train, test) = monitor.stage("read", None, || {
            rayon::join(
                || self.without(&dataset, "train", &lineage),
                || self.without(&dataset, "test", &lineage),
            )
        });
        let (train, test) = (train?, test?);
        check_classes(&dataset, &train, &test)?;
        let n_rows: usize = lineage.splits.iter().map(|split| split.rows.len()).sum();
        let gathered = CheckedSplits {
            classes: dataset.classes.clone(),
            train,
            test,
            source: format!("{} without {}", dataset.name, figure::counted(n_rows, "row")),
            dropped: Dropped::default(),
            notes,
        };
        let made = monitor.stage("fingerprint", None, || Dataset {
            lineage: Some(lineage),
            ..self.manifest(name, &gathered)
        });
        if let Some(existing) = self.find(name)? {
            return settle(existing, &made, gathered);
        }
        monitor.interrupt.check()?;
        monitor.stage("write", None, || self.write(made, gathered))
    }

    /// The examples of a split that stay, with their kept columns.
    fn without(&self, dataset: &Dataset, name: &str, lineage: &DatasetLineage) -> Result<Examples> {
        let Split { texts, labels, .. } = self.load(dataset, name)?;
        let left_out: BTreeSet<usize> = lineage
            .splits
            .iter()
            .filter(|split| split.name == name)
            .flat_map(|split| split.rows.iter().copied())
            .collect();
        let stay: Vec<usize> = (0..texts.len()).filter(|row| !left_out.contains(row)).collect();
        let reference = format!("{}.{name}", dataset.name);
        let frame = self.frame(&reference)?.collect().map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot read {reference}"))
                .with_source(first_line(&source))
        })?;
        let columns = dataset.columns.iter().map(|column| {
            let values = frame.column(&column.name).map_err(|source| {
                Error::new(
                    ErrorKind::Corrupt,
                    format!("{reference} has no column {:?}", column.name),
                )
                .with_source(first_line(&source))
            })?;
            picked(values, &stay)
        });
        let columns = columns.collect::<Result<_>>()?;
        let mut texts = texts;
        Ok(Examples {
            texts: stay.iter().map(|row| std::mem::take(&mut texts[*row])).collect(),
            labels: stay.iter().map(|row| labels[*row]).collect(),
            columns,
        })
    }
}

/// The issues in the file at `path`.
fn read(path: &Path) -> Result<Vec<ListedIssue>> {
    let hint = || {
        Hint::from("write the file with ")
            .run("data issues NAME --out FILE")
            .say(", and take out of it what is to stay")
    };
    let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
    let list: Vec<Value> = serde_json::from_slice(&bytes).map_err(|source| {
        Error::invalid(format!("{path:?} is no JSON list of issues"))
            .with_source(source)
            .with_hint(hint())
    })?;
    let issue = |(idx, value)| {
        ListedIssue::deserialize(&value).map_err(|source| {
            Error::invalid(format!("{path:?}: item {idx} (from 0) is no issue"))
                .with_source(source)
                .with_hint(hint())
        })
    };
    list.into_iter().enumerate().map(issue).collect()
}

/// The rows that `issues` of the wanted kinds name, and how many issues of leakage were passed over.
///
/// # Errors
/// Issues of other examples, and no row at all.
fn chosen(
    issues: &[ListedIssue],
    dataset: &Dataset,
    kinds: &[IssueKind],
) -> Result<(RowsToDrop, usize)> {
    let again = |reference: String| {
        Hint::from("look for issues again: ")
            .run(crate::hint::CommandLine::new("data issues").arg(reference).written("--out FILE"))
    };
    let (mut rows, mut n_leaks) = (RowsToDrop::new(), 0);
    for (idx, issue) in issues.iter().enumerate() {
        let split = dataset
            .split(&issue.split)
            .map_err(|error| error.with_context(format!("item {idx} (from 0)")))?;
        let reference = format!("{}.{}", dataset.name, split.name);
        if issue.fingerprint != split.fingerprint.sha256 {
            return Err(Error::invalid(format!(
                "item {idx} (from 0) is of examples with the fingerprint {}, and {reference} has {}",
                figure::short(&issue.fingerprint),
                figure::short(&split.fingerprint.sha256)
            ))
            .with_hint(again(reference)));
        }
        let n_rows = split.fingerprint.n_rows;
        if issue.row >= n_rows {
            return Err(Error::invalid(format!(
                "item {idx} (from 0) names row {}, and {reference} has rows 0 to {}",
                issue.row,
                n_rows.saturating_sub(1)
            ))
            .with_hint(again(reference)));
        }
        match issue.kind {
            IssueKind::Leakage => n_leaks += 1,
            kind if kinds.is_empty() || kinds.contains(&kind) => {
                rows.entry(issue.split.clone()).or_default().entry(issue.row).or_insert(kind);
            }
            _ => {}
        }
    }
    if rows.is_empty() {
        let found = figure::counted(issues.len(), "issue");
        return Err(Error::invalid(match kinds {
            [] => format!("no row to leave out: found {found}"),
            kinds => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                format!("no row to leave out for {}: found {found}", kinds.join(", "))
            }
        }));
    }
    Ok((rows, n_leaks))
}

/// The rows left out of each split, and the reasons.
fn notes(rows: &RowsToDrop) -> Vec<String> {
    let note = |(split, rows): (&String, &BTreeMap<usize, IssueKind>)| {
        let mut counts: BTreeMap<IssueKind, usize> = BTreeMap::new();
        rows.values().for_each(|kind| *counts.entry(*kind).or_insert(0) += 1);
        let kinds: Vec<String> =
            counts.iter().map(|(kind, n)| format!("{} {kind}", figure::count(*n))).collect();
        format!("{} left out of {split}: {}", figure::counted(rows.len(), "row"), kinds.join(", "))
    };
    // `train` before `test`.
    rows.iter().rev().map(note).collect()
}

/// Every class has a training example left, and the test split two classes.
fn check_classes(dataset: &Dataset, train: &Examples, test: &Examples) -> Result<()> {
    let hint = "leave fewer rows out: take some of the issues out of the file";
    let has = |examples: &Examples, class: usize| {
        examples.labels.iter().any(|label| *label as usize == class)
    };
    let mut classes = dataset.classes.iter().enumerate();
    if let Some((_, class)) = classes.find(|(class, _)| !has(train, *class)) {
        return Err(Error::invalid(format!(
            "no training example of class {class:?} would be left"
        ))
        .with_hint(hint));
    }
    let n_tested = (0..dataset.classes.len()).filter(|class| has(test, *class)).count();
    if n_tested < 2 {
        return Err(Error::invalid(format!(
            "the test split would have {} left, expected two or more",
            match n_tested {
                0 => "no class",
                _ => "one class",
            }
        ))
        .with_hint(hint));
    }
    Ok(())
}
