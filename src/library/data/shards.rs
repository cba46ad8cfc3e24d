//! Tables that lie in several files: all of a folder, or those that match a pattern, in the order of
//! their names. The names may say which split each file is of, as Hugging Face's do:
//! `train-00000-of-00002.parquet`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    dialect::{Dialect, FileFormat},
    input::{STANDARD, unpacked_name},
};
use crate::{
    error::{Error, Result},
    s3::{self, S3Url},
};

/// The depth to which folders are looked into: `data/train/0000.parquet`.
const MAX_DEPTH: usize = 3;

/// The files of a dataset's folder that stand beside its tables.
const NO_TABLES: [&str; 5] = [
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "dataset-metadata.json",
    "state.json",
];

/// Files that are read as one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    /// Their common source: a file, a folder or a pattern.
    pub(super) whole: PathBuf,
    /// Sorted, and at least one.
    pub(super) paths: Vec<PathBuf>,
}

/// Files by the splits that their names say.
#[derive(Debug)]
pub(super) enum ShardSplits {
    Both { train: Files, test: Files, note: String },
    One(Files),
}

/// The split that a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShardSplit {
    Train,
    Test,
    Validation,
    Unlabelled,
}

/// More shards than these of one table are not looked for one by one.
const MAX_SHARDS: usize = 10_000;

/// The parts of a shard's name: `train-00000-of-00002.parquet`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shard {
    before: String,
    index: usize,
    n_digits: usize,
    n_shards: usize,
    /// From the number of shards on.
    after: String,
}

impl Shard {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (front, after) = name.rsplit_once("-of-")?;
        let n_total_digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let n_shards = after[..n_total_digits].parse().ok()?;
        let index = front.rsplit(|char: char| !char.is_ascii_digit()).next()?;
        let before = front[..front.len() - index.len()].to_owned();
        let n_digits = index.len();
        let index = index.parse().ok().filter(|index| *index < n_shards)?;
        Some(Self { before, index, n_digits, n_shards, after: after.to_owned() })
    }

    fn name(&self) -> String {
        let Self { before, index, n_digits, after, .. } = self;
        format!("{before}{index:0n_digits$}-of-{after}")
    }
}

impl Files {
    /// Notes for the reader: that several files are read, and that others which their names promise
    /// are not there.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.paths.len() > 1 {
            notes.push(format!("{} read as one", self.named()));
        }
        notes.extend(self.missing_note());
        notes
    }

    /// That of shards such as `train-00000-of-00002.parquet` some are not there.
    fn missing_note(&self) -> Option<String> {
        let found: Vec<(PathBuf, Shard)> = self
            .paths
            .iter()
            .filter_map(|path| Some((path.with_file_name(""), Shard::of(path)?)))
            .collect();
        let is_found = |dir: &PathBuf, other: &Shard| {
            found.iter().any(|(found, shard)| found == dir && shard == other)
        };
        let mut missing = BTreeSet::new();
        for (dir, shard) in &found {
            for index in 0..shard.n_shards.min(MAX_SHARDS) {
                let other = Shard { index, ..shard.clone() };
                if !is_found(dir, &other) {
                    missing.insert(dir.join(other.name()));
                }
            }
        }
        let more = match missing.len() {
            0 => return None,
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let first = missing.first()?;
        let name = first.file_name().unwrap_or_default().to_string_lossy();
        let are = if missing.len() == 1 { "is" } else { "are" };
        Some(format!("{name}{more}, of which the names of the others tell, {are} not there"))
    }

    fn named(&self) -> String {
        let name = |path: &PathBuf| {
            let inside = path.strip_prefix(&self.whole).ok().filter(|rest| *rest != Path::new(""));
            inside.map_or_else(
                || path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                |inside| inside.display().to_string(),
            )
        };
        match self.paths.as_slice() {
            [] => "no files".to_owned(),
            [only] => name(only),
            [first, second] => format!("{} and {}", name(first), name(second)),
            [first, .., last] => {
                format!("{} files ({} to {})", self.paths.len(), name(first), name(last))
            }
        }
    }
}

/// The files that `path` means: itself, all of the folder that it is, or all that match it as a
/// pattern.
///
/// # Errors
/// A folder or pattern without files, and files of several formats.
pub(super) fn files(path: &Path, dialect: &Dialect) -> Result<Files> {
    let whole = path.to_owned();
    let paths = if path == Path::new(STANDARD) {
        vec![whole.clone()]
    } else if let Some(url) = S3Url::of_path(path)? {
        let objects = s3::listed(&url)?;
        let is_folder = url.key().is_empty() || url.key().ends_with('/');
        let objects = objects.iter().map(|url| PathBuf::from(url.to_string()));
        match is_folder {
            true => tables(objects.filter(|path| is_readable(path, dialect)).collect()),
            false => objects.collect(),
        }
    } else if path.is_dir() {
        let mut found = Vec::new();
        list(path, MAX_DEPTH, dialect, &mut found)?;
        tables(found)
    } else if is_pattern(path) {
        matching(path)?
    } else {
        vec![whole.clone()]
    };
    if paths.is_empty() {
        return Err(Error::invalid(format!("{path:?}: no files of rows in it")).with_hint(
            "a folder holds .csv, .tsv, .jsonl, .parquet or .arrow files, or text files as aclImdb \
             does: train/pos, train/neg, test/pos and test/neg",
        ));
    }
    if let (Some(first), None) = (paths.first(), dialect.format)
        && let Some(other) = paths.iter().find(|path| format_of(path) != format_of(first))
    {
        return Err(Error::invalid(format!(
            "{path:?}: files of several formats, such as {first:?} and {other:?}"
        ))
        .with_hint("choose those of one format by a pattern in quotes, such as 'folder/*.csv'"));
    }
    Ok(Files { whole, paths })
}

/// `files` by the splits that their names say, if they do. Unlabelled files, and those of a third
/// split, are left out, which the note says.
///
/// # Errors
/// When only some of the names say it.
pub(super) fn splits(files: Files) -> Result<ShardSplits> {
    let Files { whole, paths } = files;
    let parts: Vec<Option<ShardSplit>> = paths.iter().map(|path| part(&whole, path)).collect();
    let of = |part: ShardSplit| {
        let chosen = paths.iter().zip(&parts).filter(|(_, found)| **found == Some(part));
        let paths: Vec<PathBuf> = chosen.map(|(path, _)| path.clone()).collect();
        Files { whole: whole.clone(), paths }
    };
    let [train, test, validation, unlabelled] =
        [ShardSplit::Train, ShardSplit::Test, ShardSplit::Validation, ShardSplit::Unlabelled]
            .map(of);
    let (test, spare, role) = match test.paths.is_empty() {
        true => (validation, test, " is taken as test"),
        false => (test, validation, ""),
    };
    if train.paths.is_empty() || test.paths.is_empty() {
        return Ok(ShardSplits::One(Files { whole, paths }));
    }
    if let Some(idx) = parts.iter().position(Option::is_none) {
        return Err(Error::invalid(format!(
            "{whole:?}: the name of {:?} does not say whether it is train or test, those of others do",
            paths[idx]
        ))
        .with_hint("name the files with --train and --test, as patterns in quotes if they are several"));
    }
    let mut note = format!("train: {}; test: {}{role}", train.named(), test.named());
    for left in [spare, unlabelled] {
        if !left.paths.is_empty() {
            note.push_str(&format!("; left out: {}", left.named()));
        }
    }
    Ok(ShardSplits::Both { train, test, note })
}

/// The split that the name of the file says, or of the folder that it lies in.
fn part(whole: &Path, path: &Path) -> Option<ShardSplit> {
    let inside = path.strip_prefix(whole).ok().filter(|rest| *rest != Path::new(""));
    let inside = inside.or_else(|| path.file_name().map(Path::new))?;
    let names = inside.iter().rev().map(|name| name.to_string_lossy().to_ascii_lowercase());
    names.into_iter().find_map(|name| {
        name.split(['-', '_', '.']).find_map(|word| match word {
            "train" | "training" => Some(ShardSplit::Train),
            "test" | "testing" => Some(ShardSplit::Test),
            "validation" | "valid" | "val" | "dev" => Some(ShardSplit::Validation),
            "unsupervised" | "unsup" | "unlabeled" | "unlabelled" => Some(ShardSplit::Unlabelled),
            _ => None,
        })
    })
}

/// True if `path` is no file but a pattern of files.
fn is_pattern(path: &Path) -> bool {
    !path.exists() && path.to_string_lossy().contains(['*', '?', '['])
}

fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let options =
        glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(&pattern.to_string_lossy(), options).map_err(|source| {
        Error::invalid(format!("{pattern:?} is no pattern of files"))
            .with_source(source.msg)
            .with_hint("check the path; in a pattern `[` begins a set of characters, as in `[ab]`")
    })?;
    let mut paths = Vec::new();
    for path in found {
        let path = path.map_err(|error| {
            let path = error.path().to_owned();
            Error::io("read", &path, error.into())
        })?;
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    match paths.is_empty() {
        true => Err(Error::invalid(format!("{pattern:?}: no file matches")).with_hint(
            "check the pattern; `*` stands for any part of a name, `[ab]` for a or b, and \
                 `{a,b}` is none",
        )),
        false => Ok(paths),
    }
}

/// Every file of rows in `dir` and the folders in it.
fn list(dir: &Path, depth: usize, dialect: &Dialect, found: &mut Vec<PathBuf>) -> Result<()> {
    let fail = |source| Error::io("read the folder", dir, source);
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        entries.push(entry.map_err(fail)?.path());
    }
    entries.sort();
    for path in entries {
        if is_programs_own(&path) {
            continue;
        }
        if path.is_dir() {
            if depth > 1 {
                list(&path, depth - 1, dialect, found)?;
            }
        } else if is_readable(&path, dialect) {
            found.push(path);
        }
    }
    Ok(())
}

/// True for `_SUCCESS`, `.cache`: what programs leave for themselves.
fn is_programs_own(path: &Path) -> bool {
    path.file_name().unwrap_or_default().to_string_lossy().starts_with(['.', '_'])
}

/// True if the name says a format of rows, and the one that is asked for.
fn is_readable(path: &Path, dialect: &Dialect) -> bool {
    !is_programs_own(path)
        && format_of(path).is_some_and(|format| dialect.format.is_none_or(|it| it == format))
}

/// `found` without what only describes a data set.
fn tables(found: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_table = |path: &&PathBuf| {
        path.file_name().is_none_or(|name| NO_TABLES.iter().all(|other| *name != **other))
    };
    found.iter().filter(is_table).cloned().collect()
}

fn format_of(path: &Path) -> Option<FileFormat> {
    FileFormat::of_name(&unpacked_name(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_is_its_tables_in_order() {
        let folder = touched(&[
            "data/b.parquet",
            "data/a.parquet",
            "README.md",
            "_SUCCESS",
            ".x.parquet",
            "dataset_infos.json",
        ]);
        let found = files(folder.path(), &Dialect::default()).unwrap();
        assert_eq!(found.notes(), ["data/a.parquet and data/b.parquet read as one"]);
        let pattern = folder.path().join("data/*.parquet");
        assert_eq!(files(&pattern, &Dialect::default()).unwrap().paths, found.paths);
        for (names, expected) in [
            (&["a.csv", "b.jsonl"][..], "files of several formats, such as"),
            (&["a.txt"], "no files of rows in it"),
            (&[], "no files of rows in it"),
        ] {
            let error = files(touched(names).path(), &Dialect::default()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        let error = files(&folder.path().join("*.csv"), &Dialect::default()).unwrap_err();
        assert!(error.to_string().ends_with("no file matches"), "{error}");
    }

    #[test]
    fn names_say_the_splits() {
        for (names, expected) in [
            (
                &[
                    "train-00000-of-00002.parquet",
                    "train-00001-of-00002.parquet",
                    "test-00000-of-00001.parquet",
                    "unsupervised-00000-of-00001.parquet",
                ][..],
                Some(
                    "train: train-00000-of-00002.parquet and train-00001-of-00002.parquet; test: \
                      test-00000-of-00001.parquet; left out: unsupervised-00000-of-00001.parquet",
                ),
            ),
            (
                &["imdb_train.csv", "imdb_test.csv"],
                Some("train: imdb_train.csv; test: imdb_test.csv"),
            ),
            (
                &["train.jsonl.gz", "dev.jsonl.gz"],
                Some("train: train.jsonl.gz; test: dev.jsonl.gz is taken as test"),
            ),
            (
                &["a/train/0.csv", "a/train/1.csv", "a/train/2.csv", "a/test/0.csv", "a/val/0.csv"],
                Some(
                    "train: 3 files (a/train/0.csv to a/train/2.csv); test: a/test/0.csv; left \
                      out: a/val/0.csv",
                ),
            ),
            (&["part-0.csv", "part-1.csv"], None),
            (&["train-0.csv", "train-1.csv"], None),
        ] {
            let folder = touched(names);
            let found = splits(files(folder.path(), &Dialect::default()).unwrap()).unwrap();
            let note = match &found {
                ShardSplits::Both { note, .. } => Some(note.as_str()),
                ShardSplits::One(all) => {
                    assert_eq!(all.paths.len(), names.len());
                    None
                }
            };
            assert_eq!(note, expected);
        }
        let folder = touched(&["train.csv", "test.csv", "more.csv"]);
        let error = splits(files(folder.path(), &Dialect::default()).unwrap()).unwrap_err();
        assert!(error.to_string().contains("does not say whether it is train or test"), "{error}");
    }

    #[test]
    fn shards_that_are_not_there_are_told() {
        for (names, expected) in [
            (&["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"][..], None),
            (
                &["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"],
                Some("train-00001-of-00003.parquet, of which the names of the others tell, is not"),
            ),
            (
                &["a/train-1-of-4-x.csv.gz", "b/train-0-of-1-x.csv.gz"],
                Some(
                    "train-0-of-4-x.csv.gz and 2 more, of which the names of the others tell, are",
                ),
            ),
            (&["best-of-2020.csv", "7-of-9.csv"], Some("0-of-9.csv and 7 more")),
            (&["out-of-00002.csv", "9-of-9.csv", "a.csv"], None),
        ] {
            let paths: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
            let found = Files { whole: "data".into(), paths }.notes();
            let note = found.get(1).map(String::as_str);
            assert_eq!(note.is_some(), expected.is_some(), "{names:?}: {found:?}");
            assert!(note.is_none_or(|note| note.starts_with(expected.unwrap())), "{found:?}");
        }
    }
}
