//! The datasets of a store: adding, listing, reading, removing. A dataset is a folder
//! `data/NAME` that holds `dataset.json`, `train.parquet` and `test.parquet`. It is made under a
//! temporary name beside its place and renamed, so other processes see it whole or not at all.

use std::{fs, io, path::PathBuf, sync::Once, time::Duration};

use polars::error::set_warning_function;
use polars::prelude::{LazyFrame, PlRefPath, PolarsError, ScanArgsParquet, col, lit, when};

use super::{
    AddOutcome, AddRequest, Added, Dataset, DatasetHead, DatasetProfile, FeedbackLineage,
    Fingerprint, HeadRow, KeptColumn, SCHEMA_VERSION, Split, SplitEntry,
    checked_splits::{CheckedSplits, Examples, gather},
    guarded::first_line,
    manifest::MANIFEST_FILE,
    name::{check_known_name, check_name, check_split, parse_reference},
    stored,
};
use crate::{
    clock::now_ms,
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
    progress::Monitor,
    store::{Store, TEMPORARY_PREFIX, sync_dir, write_atomically},
};

/// The datasets of one store. Any number of processes may use them at the same time.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::{
///     data::{AddRequest, DatasetSource, Datasets, ExtraTables},
///     progress::Monitor,
///     store::Store,
/// };
///
/// let dir = tempfile::tempdir()?;
/// let datasets = Datasets::new(&Store::new(dir.path()));
/// let request = AddRequest::new(DatasetSource::Sample { seed: 42 });
/// datasets.add("sample", &request, &Monitor::silent())?;
/// let train = datasets.split("sample", "train")?;
/// assert_eq!((train.texts.len(), train.classes.len()), (2_000, 2));
/// let counts = datasets.sql(
///     "select label, count(*) as n from sample.test group by label order by label",
///     &ExtraTables::none(),
/// )?;
/// assert_eq!(counts.to_json()[0]["n"], 500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Datasets {
    store: Store,
}

impl Datasets {
    /// The datasets of `store`.
    pub fn new(store: &Store) -> Self {
        hush_polars();
        Self { store: store.clone() }
    }

    /// Every dataset, by name.
    ///
    /// # Errors
    /// When a manifest cannot be read.
    pub fn list(&self) -> Result<Vec<Dataset>> {
        self.names()?.iter().map(|name| self.get(name)).collect()
    }

    /// The dataset called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the datasets there are; [`ErrorKind::Corrupt`] or
    /// [`ErrorKind::Invalid`] for a manifest that this build cannot read.
    pub fn get(&self, name: &str) -> Result<Dataset> {
        self.find(name)?.ok_or_else(|| self.not_found(name))
    }

    /// The examples of the split `split` (`train` or `test`) of the dataset `name`.
    ///
    /// # Errors
    /// As [`Datasets::get`]; [`ErrorKind::Corrupt`] when the file is not what was written.
    pub fn split(&self, name: &str, split: &str) -> Result<Split> {
        let dataset = self.get(name)?;
        self.load(&dataset, split)
    }

    /// The first `n_rows` examples of `imdb.train` or `imdb.test`; `imdb` alone means its training
    /// split.
    ///
    /// # Errors
    /// As [`Datasets::split`].
    pub fn head(&self, reference: &str, n_rows: usize) -> Result<DatasetHead> {
        let (name, split) = parse_reference(reference)?;
        let dataset = self.get(name)?;
        let split = dataset.split(split.unwrap_or("train"))?;
        let path = self.dir(name).join(&split.file);
        let (texts, labels) =
            stored::read(&path, &split.file_sha256, dataset.classes.len(), Some(n_rows))?;
        let rows = texts
            .into_iter()
            .zip(labels)
            .map(|(text, label)| HeadRow { text, label: dataset.classes[label as usize].clone() })
            .collect();
        Ok(DatasetHead { dataset: dataset.name.clone(), split: split.name.clone(), rows })
    }

    /// The profile of a dataset: balance, lengths, vocabulary, telling words, duplicates.
    ///
    /// # Errors
    /// As [`Datasets::split`].
    pub fn describe(&self, name: &str) -> Result<DatasetProfile> {
        let dataset = self.get(name)?;
        let (train, test) =
            rayon::join(|| self.load(&dataset, "train"), || self.load(&dataset, "test"));
        Ok(DatasetProfile {
            columns: dataset.columns,
            ..DatasetProfile::of(&dataset.name, &train?, &test?)
        })
    }

    /// A lazy frame over `imdb.train` or `imdb.test` with the columns `text`, `label`, `target` and
    /// those that were kept, or over both splits of `imdb` with the further column `split`. Being lazy it does not check
    /// the files' bytes; [`Datasets::verify`] does.
    ///
    /// # Errors
    /// As [`Datasets::get`].
    pub fn frame(&self, reference: &str) -> Result<LazyFrame> {
        let (name, split) = parse_reference(reference)?;
        let dataset = self.get(name)?;
        match split {
            Some(split) => self.scan(&dataset, &[dataset.split(split)?]),
            None => self.scan(&dataset, &dataset.splits.iter().collect::<Vec<_>>()),
        }
    }

    /// Reads, checks and stores the examples that `request` names as the dataset `name`.
    ///
    /// # Errors
    /// Bad input is one error that says what, where, what was expected and what to do;
    /// [`ErrorKind::Conflict`] when `name` holds other examples. Either way nothing changes.
    pub fn add(&self, name: &str, request: &AddRequest, monitor: &Monitor) -> Result<Added> {
        self.add_made(name, request, None, monitor)
    }

    /// As [`Datasets::add`], of examples that were made of true labels, as `feedback` says.
    ///
    /// # Errors
    /// As [`Datasets::add`].
    pub(crate) fn add_made(
        &self,
        name: &str,
        request: &AddRequest,
        feedback: Option<FeedbackLineage>,
        monitor: &Monitor,
    ) -> Result<Added> {
        check_name(name)?;
        let gathered = gather(request, monitor)?;
        let dataset = monitor
            .stage("fingerprint", None, || Dataset { feedback, ..self.manifest(name, &gathered) });
        if let Some(existing) = self.find(name)? {
            return settle(existing, &dataset, gathered);
        }
        monitor.interrupt.check()?;
        monitor.stage("write", None, || self.write(dataset, gathered))
    }

    /// Removes the dataset `name`. Runs that used it keep its fingerprint.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; when the system refuses.
    pub fn remove(&self, name: &str) -> Result<()> {
        check_known_name(name)?;
        let dir = self.dir(name);
        if !dir.is_dir() {
            return Err(self.not_found(name));
        }
        // Gone for everyone in one step; what is left to delete bears no dataset's name.
        let fail = |source| Error::io("remove", &dir, source);
        let grave = self.temporary_dir().map_err(fail)?;
        fs::rename(&dir, grave.path().join("removed")).map_err(fail)?;
        sync_dir(&self.store.data_dir())?;
        grave.close().map_err(fail)
    }

    /// Reads the whole dataset and compares it with its fingerprints.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for the first split that is not what was added.
    pub fn verify(&self, name: &str) -> Result<()> {
        let dataset = self.get(name)?;
        for entry in &dataset.splits {
            let split = self.load(&dataset, &entry.name)?;
            let found = Fingerprint::of(&split.texts, &split.labels, &split.classes);
            if found != entry.fingerprint {
                let path = self.dir(name).join(&entry.file);
                return Err(stored::corrupt(
                    &path,
                    &format!(
                        "fingerprint {}, the manifest says {}",
                        found.sha256, entry.fingerprint.sha256
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Deletes what adds and removals that were killed left behind, when it has not been touched for
    /// `older_than`; returns the number of folders deleted. Work in progress is younger.
    ///
    /// # Errors
    /// When the system refuses, with the path.
    pub fn sweep(&self, older_than: Duration) -> Result<usize> {
        let mut n_deleted = 0;
        for entry in self.entries()? {
            let path = entry.path();
            let fail = |source| Error::io("sweep", &path, source);
            let is_ours = entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX);
            let age = || entry.metadata().and_then(|metadata| metadata.modified());
            if is_ours && age().map_err(fail)?.elapsed().is_ok_and(|age| age >= older_than) {
                fs::remove_dir_all(&path).map_err(fail)?;
                n_deleted += 1;
            }
        }
        Ok(n_deleted)
    }

    /// The names of all datasets, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.entries()? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if check_known_name(&name).is_ok() && entry.path().join(MANIFEST_FILE).is_file() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Everything in the folder of datasets; nothing before the first one is added.
    fn entries(&self) -> Result<Vec<fs::DirEntry>> {
        self.store.check()?;
        let dir = self.store.data_dir();
        match fs::read_dir(&dir).and_then(Iterator::collect) {
            Ok(entries) => Ok(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("list", &dir, error)),
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<Option<Dataset>> {
        // A name that no dataset can have must not become a path.
        if check_known_name(name).is_err() {
            return Ok(None);
        }
        self.store.check()?;
        match Dataset::load(&self.dir(name)) {
            Ok(dataset) => Ok(Some(dataset)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn load(&self, dataset: &Dataset, split: &str) -> Result<Split> {
        let entry = dataset.split(check_split(&dataset.name, split)?)?;
        let path = self.dir(&dataset.name).join(&entry.file);
        let (texts, labels) = stored::read(&path, &entry.file_sha256, dataset.classes.len(), None)?;
        if texts.len() != entry.fingerprint.n_rows {
            return Err(stored::corrupt(
                &path,
                &format!("{} rows, the manifest says {}", texts.len(), entry.fingerprint.n_rows),
            ));
        }
        Ok(Split {
            name: entry.name.clone(),
            texts,
            labels,
            classes: dataset.classes.clone(),
            fingerprint: entry.fingerprint.clone(),
        })
    }

    /// One scan over the files of `splits`; over several, the column `split` says which.
    ///
    /// One scan and not a `concat` of scans: polars counts the rows of a `concat` in 128 bits, which
    /// this build leaves out.
    fn scan(&self, dataset: &Dataset, splits: &[&SplitEntry]) -> Result<LazyFrame> {
        let fail = |source| unreadable(&dataset.name, &source);
        let dir = self.dir(&dataset.name);
        let paths: Vec<PlRefPath> = splits
            .iter()
            .map(|split| PlRefPath::try_from_path(&dir.join(&split.file)))
            .collect::<Result<_, _>>()
            .map_err(fail)?;
        let by_path = (splits.len() > 1).then(|| {
            let names = splits.iter().zip(&paths);
            names.rev().fold(lit(""), |rest, (split, path)| {
                when(col("split").eq(lit(path.as_str())))
                    .then(lit(split.name.as_str()))
                    .otherwise(rest)
            })
        });
        let args = ScanArgsParquet {
            // The store's path is literal: a `*` in it is no pattern.
            glob: false,
            include_file_paths: by_path.is_some().then(|| "split".into()),
            ..ScanArgsParquet::default()
        };
        let frame = LazyFrame::scan_parquet_files(paths.into(), args).map_err(fail)?;
        Ok(match by_path {
            Some(split) => frame.with_column(split.alias("split")),
            None => frame,
        })
    }

    pub(super) fn manifest(&self, name: &str, gathered: &CheckedSplits) -> Dataset {
        let entry = |split: &str, examples: &Examples| SplitEntry {
            name: split.into(),
            fingerprint: Fingerprint::of(&examples.texts, &examples.labels, &gathered.classes),
            file: PathBuf::from(format!("{split}.parquet")),
            // Known once the file is written.
            file_sha256: String::new(),
        };
        Dataset {
            schema_version: SCHEMA_VERSION,
            name: name.into(),
            classes: gathered.classes.clone(),
            source: gathered.source.clone(),
            added_ms: now_ms(),
            splits: vec![entry("train", &gathered.train), entry("test", &gathered.test)],
            columns: gathered
                .train
                .columns
                .iter()
                .map(|column| KeptColumn {
                    name: column.name().to_string(),
                    dtype: column.dtype().to_string(),
                })
                .collect(),
            lineage: None,
            feedback: None,
        }
    }

    pub(super) fn write(&self, mut dataset: Dataset, gathered: CheckedSplits) -> Result<Added> {
        let data_dir = self.store.data_dir();
        self.store.make_dir(&data_dir)?;
        let temporary =
            self.temporary_dir().map_err(|source| Error::io("write into", &data_dir, source))?;
        let dir = temporary.path();
        let write = |split: &SplitEntry, examples: &Examples| {
            stored::write(&dir.join(&split.file), examples, &dataset.classes)
        };
        let (train, test) = rayon::join(
            || write(&dataset.splits[0], &gathered.train),
            || write(&dataset.splits[1], &gathered.test),
        );
        let sha256 = [train?, test?];
        for (split, sha256) in dataset.splits.iter_mut().zip(sha256) {
            split.file_sha256 = sha256;
        }
        let manifest = serde_json::to_vec_pretty(&dataset)
            .map_err(|source| Error::new(ErrorKind::Internal, "manifest").with_source(source))?;
        // Last in, and with it the folder itself becomes durable.
        write_atomically(&dir.join(MANIFEST_FILE), &manifest)?;
        let place = self.dir(&dataset.name);
        match fs::rename(dir, &place) {
            Ok(()) => {
                // The folder has left its temporary name; nothing is there to clean up.
                let _ = temporary.keep();
                sync_dir(&data_dir)?;
                let CheckedSplits { dropped, notes, .. } = gathered;
                let notes = notes.into_iter().map(Hint::from).collect();
                Ok(Added { dataset, outcome: AddOutcome::Created, dropped, notes })
            }
            // Another process was faster: what it added decides.
            Err(source) => match self.find(&dataset.name)? {
                Some(existing) => settle(existing, &dataset, gathered),
                None => Err(Error::io("put in place", &place, source)),
            },
        }
    }

    fn temporary_dir(&self) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(self.store.data_dir())
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.store.data_dir().join(name)
    }

    fn not_found(&self, name: &str) -> Error {
        let error = Error::new(ErrorKind::NotFound, format!("dataset {name:?} does not exist"));
        match self.names().unwrap_or_default() {
            names if names.is_empty() => error.with_hint(
                Hint::from("the store has no datasets: add one with ")
                    .run(CommandLine::new("data add").arg(name).written("PATH")),
            ),
            names => error.with_hint(format!("the store has {}", names.join(", "))),
        }
    }
}

/// Two adds under one name: the same examples are fine, others are a conflict, and so is another
/// positive class. Kept columns do not count, but one is told when others are there.
pub(super) fn settle(existing: Dataset, asked: &Dataset, gathered: CheckedSplits) -> Result<Added> {
    let CheckedSplits { dropped, notes, .. } = gathered;
    let mut notes: Vec<Hint> = notes.into_iter().map(Hint::from).collect();
    let is_same = existing.splits.len() == asked.splits.len()
        && existing
            .splits
            .iter()
            .zip(&asked.splits)
            // Not the counts: their order is that of the classes.
            .all(|(old, new)| {
                old.name == new.name && old.fingerprint.sha256 == new.fingerprint.sha256
            });
    let remove = CommandLine::new("data remove").arg(&existing.name);
    let removal = Hint::from("choose another name, or remove it first with ").run(remove.clone());
    if !is_same {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "dataset {:?} exists with other examples: {} rows from {}, asked for {} rows",
                existing.name,
                existing.n_rows(),
                existing.source,
                asked.n_rows()
            ),
        )
        .with_hint(removal));
    }
    if let (Some(old), Some(new)) = (existing.positive(), asked.positive())
        && old != new
    {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "dataset {:?} exists with the same examples and the positive class {old:?}, asked \
                 for {new:?}",
                existing.name
            ),
        )
        .with_hint(removal));
    }
    if existing.columns != asked.columns {
        let kept = match existing.columns.as_slice() {
            [] => "none".to_owned(),
            columns => KeptColumn::listed(columns),
        };
        let stay = format!(
            "the columns that the store has kept stay as they are: {kept}; to have others remove \
             the dataset first with "
        );
        notes.push(Hint::from(stay).run(remove));
    }
    Ok(Added { dataset: existing, outcome: AddOutcome::Unchanged, dropped, notes })
}

/// Keeps polars from writing its own notices to stderr, where they would stand among answers: they
/// are for who calls its functions, not for who wrote a query.
fn hush_polars() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        set_warning_function(|notice, kind| tracing::debug!(?kind, notice, "polars"));
    });
}

fn unreadable(name: &str, source: &PolarsError) -> Error {
    Error::new(ErrorKind::Corrupt, format!("dataset {name:?} cannot be read"))
        .with_source(first_line(source))
}
