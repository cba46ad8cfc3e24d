//! The manifest `dataset.json` of a stored dataset: its layout, its version, and how it is read and
//! shown. It knows no Parquet; `datasets.rs` puts both into one folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Fingerprint;
use crate::{
    error::{Error, ErrorKind, Result},
    figure,
    hint::Hint,
    output::{Align, Output, Table},
};

/// The newest manifest layout this build reads and the one it writes.
pub const SCHEMA_VERSION: u32 = 1;

pub(super) const MANIFEST_FILE: &str = "dataset.json";

/// A dataset in the store, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Layout of this manifest; see [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The name that commands use.
    pub name: String,
    /// Class names in label order. Of two, the last one is the positive class.
    pub classes: Vec<String>,
    /// The origin of the examples, for the reader.
    pub source: String,
    /// The time when it was added, milliseconds since the Unix epoch.
    pub added_ms: i64,
    /// The splits, `train` first.
    pub splits: Vec<SplitEntry>,
    /// The other columns of the source, kept for queries; the same in both splits. Datasets that
    /// were added before there were such columns have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<KeptColumn>,
    /// The dataset that it was made of; none of a dataset that was added from a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<DatasetLineage>,
    /// The true labels of predictions that it was made of; none of any other dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<FeedbackLineage>,
}

/// The true labels of predictions that a dataset was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackLineage {
    /// The dataset to whose training split they were added, if they were added to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The registered model that predicted.
    pub model: String,
    /// Its versions that did.
    pub versions: Vec<u32>,
    /// Labels that the dataset has: of one that was added to, those that it did not have before.
    pub n_labels: usize,
    /// The time of the first one, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The time of the last one.
    pub to_ms: i64,
    /// The number of labels of each source.
    pub sources: BTreeMap<String, usize>,
    /// The number of labels by how their texts were picked; `unknown` where nobody said.
    pub sampled_by: BTreeMap<String, usize>,
    /// SHA-256 (lower-case hex) over the labels, each with request, place, source and time, sorted.
    pub sha256: String,
}

impl FeedbackLineage {
    /// The labels, in one line for people.
    fn line(&self) -> String {
        let sources: Vec<String> = self
            .sources
            .iter()
            .map(|(source, n)| format!("{} by {source}", figure::count(*n)))
            .collect();
        format!(
            "made of {}{} of predictions of {}, {} to {} (UTC): {}",
            self.base.as_ref().map_or_else(String::new, |base| format!("{base} and ")),
            figure::counted(self.n_labels, "true label"),
            self.model,
            figure::time(self.from_ms),
            figure::time(self.to_ms),
            sources.join(", ")
        )
    }
}

/// The dataset that another one was made of by leaving rows out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetLineage {
    /// The dataset's name.
    pub dataset: String,
    /// Its splits, `train` first.
    pub splits: Vec<LeftOutRows>,
}

/// The rows of one split that were left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutRows {
    /// `train` or `test`.
    pub name: String,
    /// The fingerprint of the split that they were left out of.
    pub sha256: String,
    /// Their places in it, from 0, ascending.
    pub rows: Vec<usize>,
}

impl DatasetLineage {
    /// The rows left out, in one line for people.
    fn line(&self) -> String {
        let left_out: Vec<String> = self
            .splits
            .iter()
            .filter(|split| !split.rows.is_empty())
            .map(|split| format!("{} of {}", figure::counted(split.rows.len(), "row"), split.name))
            .collect();
        format!("made of {} without {}", self.dataset, left_out.join(" and "))
    }
}

/// A column of a stored dataset besides text, label and target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptColumn {
    /// Its name in queries.
    pub name: String,
    /// The type of its values as polars writes it, such as `i64` or `str`.
    pub dtype: String,
}

impl KeptColumn {
    /// `columns` with their types in one line for people.
    pub(super) fn listed(columns: &[Self]) -> String {
        let columns: Vec<String> =
            columns.iter().map(|column| format!("{} ({})", column.name, column.dtype)).collect();
        columns.join(", ")
    }
}

/// One split of a stored dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// `train` or `test`.
    pub name: String,
    /// The fingerprint of its content.
    pub fingerprint: Fingerprint,
    /// The Parquet file, relative to the dataset's folder.
    pub file: PathBuf,
    /// SHA-256 (lower-case hex) of that file's bytes, checked whenever the split is read.
    pub file_sha256: String,
}

/// The remedy for a dataset whose files do not hold what they should.
pub(super) fn adding_again() -> Hint {
    Hint::from("remove the dataset with ").run("data remove NAME").say(" and add it again")
}

impl Dataset {
    /// The manifest in the dataset folder `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] without a manifest, [`ErrorKind::Corrupt`] for one that cannot be
    /// read, [`ErrorKind::Invalid`] for one that a newer version wrote.
    pub(super) fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST_FILE);
        let bytes =
            std::fs::read(&path).map_err(|source| Error::io("read the manifest", &path, source))?;
        Self::parse(&bytes).map_err(|error| error.with_context(path.display()))
    }

    /// The manifest that `bytes` spell.
    fn parse(bytes: &[u8]) -> Result<Self> {
        /// The one field that every layout has; it decides how the others are read.
        #[derive(Deserialize)]
        struct Layout {
            schema_version: u32,
        }
        let corrupt = |source: serde_json::Error| {
            Error::new(ErrorKind::Corrupt, "not a dataset manifest")
                .with_source(source)
                .with_hint(adding_again())
        };
        let layout: Layout = serde_json::from_slice(bytes).map_err(corrupt)?;
        if layout.schema_version > SCHEMA_VERSION || layout.schema_version == 0 {
            return Err(Error::invalid(format!(
                "schema {}, this build reads 1 to {SCHEMA_VERSION}",
                layout.schema_version
            ))
            .with_hint("a newer trialbook wrote this dataset: update this one"));
        }
        let dataset: Self = serde_json::from_slice(bytes).map_err(corrupt)?;
        dataset.check_shape()?;
        Ok(dataset)
    }

    /// A manifest whose parts do not fit together was not written by us.
    fn check_shape(&self) -> Result<()> {
        let n_classes = self.classes.len();
        let fits = n_classes >= 2
            && self.splits.iter().all(|split| {
                let print = &split.fingerprint;
                print.class_counts.len() == n_classes
                    && print.class_counts.iter().sum::<usize>() == print.n_rows
                    && split.file.components().count() == 1
                    && split.file.file_name().is_some()
            });
        if fits {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Corrupt, "classes, counts and files do not fit together")
            .with_hint(adding_again()))
    }

    /// The split called `name`, `train` or `test`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the splits there are.
    pub fn split(&self, name: &str) -> Result<&SplitEntry> {
        self.splits.iter().find(|split| split.name == name).ok_or_else(|| {
            let found: Vec<&str> = self.splits.iter().map(|split| split.name.as_str()).collect();
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "dataset {:?} has no split {name:?}: found {}",
                    self.name,
                    found.join(", ")
                ),
            )
        })
    }

    /// The class that precision, recall, F1, curves and probabilities are of; none with more than
    /// two classes.
    pub fn positive(&self) -> Option<&str> {
        match self.classes.as_slice() {
            [_, positive] => Some(positive),
            _ => None,
        }
    }

    /// Examples in all splits.
    pub fn n_rows(&self) -> usize {
        self.splits.iter().map(|split| split.fingerprint.n_rows).sum()
    }

    /// The answer of `data show`.
    pub fn to_output(&self) -> Output {
        let mut heads = vec![("split", Align::Left), ("rows", Align::Right)];
        heads.extend(self.classes.iter().map(|class| (class.as_str(), Align::Right)));
        heads.push(("sha256", Align::Left));
        let mut table = Table::new(heads);
        for split in &self.splits {
            let print = &split.fingerprint;
            let mut row = vec![split.name.clone(), figure::count(print.n_rows)];
            row.extend(print.class_counts.iter().map(|&n| figure::count(n)));
            row.push(print.sha256.clone());
            table.push(row);
        }
        let mut output = Output::new(self)
            .text(format!(
                "{}: {} rows from {}, added {}",
                self.name,
                figure::count(self.n_rows()),
                self.source,
                self.added_utc()
            ))
            .table(table);
        if let Some(positive) = self.positive() {
            output = output.text(format!(
                "positive class: {positive}; precision, recall, F1 and probabilities are of it"
            ));
        }
        if !self.columns.is_empty() {
            output = output.text(format!("kept columns: {}", KeptColumn::listed(&self.columns)));
        }
        if let Some(lineage) = &self.lineage {
            output = output.text(lineage.line());
        }
        if let Some(feedback) = &self.feedback {
            output = output.text(feedback.line());
        }
        output
    }

    /// The answer of `data list` on all `datasets`.
    pub fn list_output(datasets: &[Self]) -> Output {
        let output = Output::new(datasets);
        if datasets.is_empty() {
            return output.hint(
                Hint::from("no datasets yet: add one with ")
                    .run("data add NAME PATH")
                    .say(", or the built-in sample with ")
                    .run("data sample"),
            );
        }
        let mut table = Table::new([
            ("name", Align::Left),
            ("train", Align::Right),
            ("test", Align::Right),
            ("classes", Align::Left),
            ("added (UTC)", Align::Left),
            ("source", Align::Left),
        ]);
        for dataset in datasets {
            let n_rows = |name: &str| {
                dataset
                    .split(name)
                    .map_or(String::new(), |split| figure::count(split.fingerprint.n_rows))
            };
            table.push([
                dataset.name.clone(),
                n_rows("train"),
                n_rows("test"),
                dataset.classes.join(", "),
                dataset.added_utc(),
                dataset.source.clone(),
            ]);
        }
        output.table(table)
    }

    fn added_utc(&self) -> String {
        figure::time(self.added_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest as version 1 writes it; never edit it, add a new one for a new layout.
    const V1: &str = include_str!("fixtures/dataset_v1.json");

    #[test]
    fn version_1_is_read() {
        let dataset = Dataset::parse(V1.as_bytes()).unwrap();
        assert_eq!(dataset.name, "reviews");
        assert_eq!(dataset.classes, ["negative", "positive"]);
        assert_eq!(dataset.n_rows(), 5);
        let test = dataset.split("test").unwrap();
        assert_eq!(test.file, Path::new("test.parquet"));
        assert_eq!(test.fingerprint.class_counts, [1, 1]);
    }

    #[test]
    fn what_this_build_writes_is_the_newest_layout() {
        let dataset = Dataset::parse(V1.as_bytes()).unwrap();
        let written = serde_json::to_value(&dataset).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(V1).unwrap());
        assert_eq!(dataset.schema_version, SCHEMA_VERSION);
    }

    #[test]
    fn kept_columns_are_part_of_the_layout_and_may_be_missing() {
        let mut dataset = Dataset::parse(V1.as_bytes()).unwrap();
        assert!(dataset.columns.is_empty());
        let column =
            |name: &str, dtype: &str| KeptColumn { name: name.into(), dtype: dtype.into() };
        dataset.columns = vec![column("stars", "i64"), column("country", "str")];
        let written = serde_json::to_vec(&dataset).unwrap();
        assert_eq!(Dataset::parse(&written).unwrap(), dataset);
        let text = dataset.to_output().to_text(None);
        assert!(text.ends_with("kept columns: stars (i64), country (str)"), "{text}");
        assert!(text.contains("positive class: positive"), "{text}");
    }

    #[test]
    fn what_was_left_out_is_part_of_the_layout_and_may_be_missing() {
        let mut dataset = Dataset::parse(V1.as_bytes()).unwrap();
        assert_eq!(dataset.lineage, None);
        let left_out = |name: &str, rows: &[usize]| LeftOutRows {
            name: name.into(),
            sha256: "ab".into(),
            rows: rows.to_vec(),
        };
        dataset.lineage = Some(DatasetLineage {
            dataset: "all".into(),
            splits: vec![left_out("train", &[0, 7]), left_out("test", &[])],
        });
        let written = serde_json::to_vec(&dataset).unwrap();
        assert_eq!(Dataset::parse(&written).unwrap(), dataset);
        let text = dataset.to_output().to_text(None);
        assert!(text.ends_with("made of all without 2 rows of train"), "{text}");
    }

    #[test]
    fn a_newer_layout_is_refused_even_when_its_fields_are_unknown() {
        let error = Dataset::parse(br#"{"schema_version": 2, "parts": []}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "schema 2, this build reads 1 to 1");
        assert!(error.hint().unwrap().to_string().contains("newer trialbook"));
    }

    #[test]
    fn a_damaged_manifest_is_corrupt() {
        for damaged in [
            "",
            "{",
            r#"{"name": "x"}"#,
            &V1.replace("\"n_rows\": 3", "\"n_rows\": 4"),
            &V1.replace("test.parquet", "../../elsewhere.parquet"),
        ] {
            let error = Dataset::parse(damaged.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{damaged}");
        }
    }
}
