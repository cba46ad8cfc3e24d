//! A store and sources of a test's own, and the rows that every format can hold.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, not what they share")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use polars::prelude::{DataFrame, ParquetWriter, df};
use tempfile::TempDir;
use trialbook::{
    Error,
    data::{AddRequest, Added, DatasetSource, Datasets, ExtraTables, Split},
    progress::Monitor,
    store::Store,
};

/// A store and a folder for sources, both gone after the test.
pub(super) struct Lab {
    pub(super) dir: TempDir,
    pub(super) datasets: Datasets,
}

impl Lab {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let datasets = Datasets::new(&Store::new(dir.path().join("store")));
        Self { dir, datasets }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("sources").join(name)
    }

    /// Writes a source file with the folders above it.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn add(&self, name: &str, source: DatasetSource) -> Result<Added, Error> {
        self.datasets.add(name, &AddRequest::new(source), &Monitor::silent())
    }

    pub(super) fn add_file(&self, name: &str, path: &Path) -> Result<Added, Error> {
        self.add(name, DatasetSource::Path(path.to_owned()))
    }

    /// Everything in the store, to prove that nothing changed.
    pub(super) fn store_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().join("store")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.push(path);
            }
        }
        found.sort();
        found
    }

    /// Both splits as (text, class) pairs, sorted.
    pub(super) fn examples(&self, name: &str) -> Vec<(String, String)> {
        let mut examples: Vec<(String, String)> = ["train", "test"]
            .iter()
            .flat_map(|split| pairs(self.datasets.split(name, split).unwrap()))
            .collect();
        examples.sort();
        examples
    }

    pub(super) fn sql(&self, query: &str) -> serde_json::Value {
        match self.datasets.sql(query, &ExtraTables::none()) {
            Ok(result) => result.to_json(),
            Err(error) => panic!("{query}\n{error:?}"),
        }
    }
}

pub(super) fn pairs(split: Split) -> Vec<(String, String)> {
    let classes = split.classes;
    split
        .texts
        .into_iter()
        .zip(split.labels)
        .map(|(text, label)| (text, classes[label as usize].clone()))
        .collect()
}

/// Ten rows, five of each class, that every format can hold.
pub(super) fn ten_rows() -> Vec<(String, &'static str)> {
    (0..10)
        .map(|n| match n % 2 {
            0 => (format!("a \"fine\" film, number {n}<br />\nreally"), "pos"),
            _ => (format!("a dull film; число {n}"), "neg"),
        })
        .collect()
}

pub(super) fn expected_examples() -> Vec<(String, String)> {
    let named = |label| if label == "pos" { "positive" } else { "negative" }.to_owned();
    let mut rows: Vec<_> =
        ten_rows().into_iter().map(|(text, label)| (text, named(label))).collect();
    rows.sort();
    rows
}

pub(super) fn csv(rows: &[(String, &str)], delimiter: char) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let lines = rows.iter().map(|(text, label)| format!("{}{delimiter}{label}\n", quoted(text)));
    format!("review{delimiter}sentiment\n{}", lines.collect::<String>())
}

pub(super) fn frame(rows: &[(String, &str)]) -> DataFrame {
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    let labels: Vec<&str> = rows.iter().map(|(_, label)| *label).collect();
    df!("id" => (0..rows.len() as i64).collect::<Vec<_>>(), "text" => texts, "label" => labels)
        .unwrap()
}

pub(super) fn write_parquet(path: &Path, mut frame: DataFrame) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    ParquetWriter::new(File::create(path).unwrap()).finish(&mut frame).unwrap();
}
