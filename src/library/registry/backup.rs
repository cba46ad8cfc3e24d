//! `store backup`: one tar file that holds a consistent copy of the whole store, made while others
//! write. First every table's rows out of one read transaction (`registry.rows`), then each artifact
//! they name, then the datasets, the gate's policies and the true labels that people gave, then
//! `manifest.json` with the length and SHA-256 of everything before it, last the manifest's own SHA-256,
//! without which a backup was cut short. The log of predictions is no part of it: it is large, and servers
//! write it anew.
//!
//! Rows, not the database file: they do not depend on redb's page layout, and free pages take no room.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufRead as _, Read, Seek as _, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{
    Registry,
    artifact_files::Hashed,
    codec::Writer,
    fault::Fault,
    tables,
    transaction::{ReadTxn, Rows},
    upkeep::BackupSummary,
    verify::{Named, named_artifacts},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{sync_dir, temporary_file},
};

/// The layout of backups this build writes and reads.
pub(super) const SCHEMA_VERSION: u32 = 1;
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const MANIFEST_SHA256: &str = "manifest.sha256";
pub(super) const ROWS: &str = "registry.rows";
pub(super) const ARTIFACTS_DIR: &str = "artifacts";
pub(super) const DATA_DIR: &str = "data";
pub(super) const POLICIES_DIR: &str = "policies";
pub(super) const LABELS: &str = "logs/labels.jsonl";

/// So often a backup starts again when `store gc` removes what it is about to copy.
const MAX_TRIES: usize = 3;

/// The description that a backup has of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) schema_version: u32,
    pub(super) made_by: String,
    pub(super) n_runs: usize,
    pub(super) n_versions: usize,
    pub(super) n_artifacts: usize,
    pub(super) n_datasets: usize,
    #[serde(default)]
    pub(super) n_labels: usize,
    pub(super) entries: Vec<Entry>,
}

/// One file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn summary(&self, n_bytes: u64) -> BackupSummary {
        BackupSummary {
            n_runs: self.n_runs,
            n_versions: self.n_versions,
            n_artifacts: self.n_artifacts,
            n_datasets: self.n_datasets,
            n_labels: self.n_labels,
            n_bytes,
        }
    }
}

impl Registry {
    /// A consistent copy of registry, artifacts, datasets, policies and true labels as one file, while others write. The
    /// file appears whole or not at all; an older one of that name is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if an artifact is damaged: a backup of damage would pass for a good
    /// one. [`ErrorKind::Io`] when the system refuses.
    pub fn backup(&self, file: &Path) -> Result<BackupSummary> {
        let dir = match file.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        self.check_outside(file, dir)?;
        let mut n_tries = 1;
        loop {
            match self.try_backup(file, dir) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
                        && n_tries < MAX_TRIES =>
                {
                    // What is missing or odd may have been removed since the rows were read.
                    n_tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// A backup inside the store could replace what it backs up, or end up in the next one.
    fn check_outside(&self, file: &Path, dir: &Path) -> Result<()> {
        let dir = dir.canonicalize().map_err(|e| Error::io("write the backup into", dir, e))?;
        let root = self.store().root();
        let root = root.canonicalize().map_err(|e| Error::io("read", root, e))?;
        if dir.starts_with(&root) {
            return Err(Error::invalid(format!("backup {file:?} would lie inside the store"))
                .with_hint("write it into a folder outside the store"));
        }
        Ok(())
    }

    fn try_backup(&self, file: &Path, dir: &Path) -> Result<BackupSummary> {
        let fail = |source| Error::io("write the backup", file, source);
        let mut rows = temporary_file(dir).map_err(fail)?;
        let snapshot = self.database.read(|txn| Snapshot::take(txn, &mut rows, file))?;
        rows.as_file_mut().rewind().map_err(fail)?;

        let temporary = temporary_file(dir).map_err(fail)?;
        let mut archive = Archive { tar: tar::Builder::new(temporary), file, entries: Vec::new() };
        let rows_path = rows.path().to_owned();
        archive.add_open(ROWS, rows.as_file_mut(), &rows_path)?;
        for (sha256, size_bytes) in &snapshot.named {
            let path = self.files.prove(sha256, *size_bytes)?;
            let name = format!("{ARTIFACTS_DIR}/{}/{sha256}", &sha256[..2]);
            archive.add_file(&name, &path)?;
        }
        let mut data = Vec::new();
        plain_files(&self.store().data_dir(), DATA_DIR, &mut data)?;
        for (name, path) in &data {
            archive.add_file(name, path)?;
        }
        let mut policies = Vec::new();
        plain_files(&self.store().policies_dir(), POLICIES_DIR, &mut policies)?;
        for (name, path) in &policies {
            archive.add_file(name, path)?;
        }
        let n_labels = archive.add_labels(&self.store().labels_path())?;
        let datasets = data.iter().filter_map(|(name, _)| name.split('/').nth(1));
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            made_by: concat!("trialbook ", env!("CARGO_PKG_VERSION")).to_owned(),
            n_runs: snapshot.n_runs,
            n_versions: snapshot.n_versions,
            n_artifacts: snapshot.named.len(),
            n_datasets: datasets.collect::<BTreeSet<_>>().len(),
            n_labels,
            entries: std::mem::take(&mut archive.entries),
        };
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| {
            Error::new(ErrorKind::Internal, "cannot write the manifest").with_source(error)
        })?;
        archive.add_bytes(MANIFEST, &json)?;
        let sha256 = archive.entries.pop().map(|entry| entry.sha256).unwrap_or_default();
        archive.add_bytes(MANIFEST_SHA256, sha256.as_bytes())?;

        let temporary = archive.tar.into_inner().map_err(fail)?;
        temporary.as_file().sync_all().map_err(fail)?;
        let n_bytes = temporary.as_file().metadata().map_err(fail)?.len();
        temporary.persist(file).map_err(|error| fail(error.error))?;
        sync_dir(dir)?;
        Ok(manifest.summary(n_bytes))
    }
}

/// The content of the registry in one read transaction.
struct Snapshot {
    named: Named,
    n_runs: usize,
    n_versions: usize,
}

impl Snapshot {
    /// Writes every row of every table to `out`: the table's name, key and value, each with its length.
    fn take(txn: &ReadTxn, out: &mut NamedTempFile, file: &Path) -> Result<Self, Fault> {
        let fail = |source| Fault::Ours(Error::io("write the backup", file, source));
        let mut out = io::BufWriter::new(out);
        let mut snapshot =
            Self { named: named_artifacts(txn, &BTreeSet::new())?, n_runs: 0, n_versions: 0 };
        for (name, table) in tables::ALL {
            let mut n_rows = 0;
            txn.scan(table, &[], |key, value| {
                n_rows += 1;
                let mut row = Writer::default();
                row.text(name);
                row.bytes(key);
                row.bytes(value);
                out.write_all(&row.into_bytes()).map_err(fail)
            })?;
            match name {
                "runs" => snapshot.n_runs = n_rows,
                "versions" => snapshot.n_versions = n_rows,
                _ => {}
            }
        }
        out.flush().map_err(fail)?;
        Ok(snapshot)
    }
}

/// A tar file that remembers what it holds.
struct Archive<'a> {
    tar: tar::Builder<NamedTempFile>,
    file: &'a Path,
    entries: Vec<Entry>,
}

impl Archive<'_> {
    fn add_file(&mut self, name: &str, path: &Path) -> Result<()> {
        let mut file = File::open(path).map_err(|source| Error::io("read", path, source))?;
        self.add_open(name, &mut file, path)
    }

    /// Adds the whole lines of the log of labels, and returns their number: one that is being written, or that a
    /// killed process left, was acknowledged to nobody. No log is none.
    fn add_labels(&mut self, path: &Path) -> Result<usize> {
        let fail = |source| Error::io("read", path, source);
        let mut file = match File::open(path) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(0),
            opened => opened.map_err(fail)?,
        };
        let (mut n_lines, mut n_bytes) = (0, 0);
        let mut reader = io::BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(fail)? > 0 && line.ends_with(b"\n") {
            n_lines += 1;
            n_bytes += line.len() as u64;
            line.clear();
        }
        file.rewind().map_err(fail)?;
        self.add(LABELS, n_bytes, &mut file, path)?;
        Ok(n_lines)
    }

    fn add_bytes(&mut self, name: &str, mut bytes: &[u8]) -> Result<()> {
        self.add(name, bytes.len() as u64, &mut bytes, Path::new(name))
    }

    fn add_open(&mut self, name: &str, file: &mut File, path: &Path) -> Result<()> {
        let metadata = file.metadata().map_err(|source| Error::io("read", path, source))?;
        self.add(name, metadata.len(), file, path)
    }

    /// Adds `size_bytes` of `content`, hashed on the way; `path` is where they come from.
    fn add(
        &mut self,
        name: &str,
        size_bytes: u64,
        content: &mut dyn Read,
        path: &Path,
    ) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size_bytes);
        header.set_mode(0o644);
        let mut content = Hashed::new(content.take(size_bytes));
        self.tar
            .append_data(&mut header, name, &mut content)
            .map_err(|source| Error::io("write the backup", self.file, source))?;
        let (sha256, n_bytes) = content.finish();
        if n_bytes != size_bytes {
            return Err(Error::new(ErrorKind::Io, format!("{path:?} changed while it was copied"))
                .with_hint("run the backup again"));
        }
        self.entries.push(Entry { path: name.to_owned(), size_bytes, sha256 });
        Ok(())
    }
}

/// Names and paths of all plain files below `dir`, by name, without temporary ones; none if there
/// is no such folder.
fn plain_files(dir: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let fail = |source| Error::io("read the folder", dir, source);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(fail)?,
    };
    let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(fail)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let Some(part) = path.file_name().and_then(|part| part.to_str()) else {
            return Err(Error::invalid(format!("the name of {path:?} is not UTF-8")));
        };
        let name = format!("{name}/{part}");
        let kind = entry.file_type().map_err(fail)?;
        if part.starts_with('.') {
            // Being written, or left by a process that died.
        } else if kind.is_dir() {
            plain_files(&path, &name, files)?;
        } else if kind.is_file() {
            files.push((name, path));
        }
    }
    Ok(())
}
