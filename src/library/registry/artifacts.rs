//! A run's artifacts: the file first, durable under its checksum, then the row that names it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Registry,
    artifact_file::ArtifactFile,
    artifact_files::Stored,
    fault::Fault,
    names,
    record::Artifact,
    runs,
    tables::{ARTIFACTS, RUNS, RunKey, artifact_key, run_key},
    transaction::{Rows, RowsMut as _},
};
use crate::{
    error::{Error, ErrorKind, Result},
    registry::codec,
};

/// The origin of an artifact's bytes.
#[derive(Clone, Copy)]
enum Source<'a> {
    Bytes(&'a [u8]),
    File(&'a Path),
}

impl Registry {
    /// Stores `bytes` by their SHA-256 and names them `path` (such as `metrics.json`) in the run,
    /// in place of what had that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Conflict`] for a run that does not exist or is
    /// deleted, [`ErrorKind::Io`] when the system refuses; then the run is unchanged.
    pub fn log_artifact(&self, run_id: &str, path: &str, bytes: &[u8]) -> Result<Artifact> {
        let mut artifacts = self.log_sources(run_id, &[(path.to_owned(), Source::Bytes(bytes))])?;
        Ok(artifacts.remove(0))
    }

    /// Every plain file below `dir` as an artifact of the run, named `prefix/relative/path`, all
    /// in one transaction. Links are not followed.
    ///
    /// # Errors
    /// As [`Registry::log_artifact`], and when `dir` cannot be read.
    pub fn log_artifacts(&self, run_id: &str, dir: &Path, prefix: &str) -> Result<Vec<Artifact>> {
        let mut files = Vec::new();
        plain_files(dir, prefix.trim_end_matches('/'), &mut files)?;
        let sources: Vec<(String, Source)> =
            files.iter().map(|(name, path)| (name.clone(), Source::File(path))).collect();
        self.log_sources(run_id, &sources)
    }

    /// A run's artifacts, by path.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the run does not exist.
    pub fn artifacts(&self, run_id: &str) -> Result<Vec<Artifact>> {
        let run = run_key(run_id)?;
        self.database.read(|txn| {
            txn.get_raw(RUNS, &run)?.ok_or_else(|| runs::unknown(run_id))?;
            let artifacts = txn.all::<Artifact>(ARTIFACTS, &run)?;
            Ok(artifacts.into_iter().map(|(_, artifact)| artifact).collect())
        })
    }

    /// The bytes, proved to be those that were written.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if they are not, or not there.
    pub fn read_artifact(&self, artifact: &Artifact) -> Result<Vec<u8>> {
        self.files
            .read(&artifact.sha256, artifact.size_bytes)
            .map_err(|error| error.with_context(&artifact.path))
    }

    /// The file that holds the artifact, after its checksum was proved: a copy where artifacts lie in
    /// other storage, which stays as long as this is kept.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if its bytes are not those that were written, or not there.
    pub fn artifact_path(&self, artifact: &Artifact) -> Result<ArtifactFile> {
        self.files
            .prove(&artifact.sha256, artifact.size_bytes)
            .map_err(|error| error.with_context(&artifact.path))
    }

    fn log_sources(&self, run_id: &str, sources: &[(String, Source)]) -> Result<Vec<Artifact>> {
        let key = run_key(run_id)?;
        sources.iter().try_for_each(|(path, _)| names::check_artifact_path(path))?;
        // Asked first, so that what will be refused leaves no orphaned file.
        self.database.read(|txn| {
            runs::live(txn, &key)?;
            sources.iter().try_for_each(|(path, _)| forbid_nesting(txn, &key, path))
        })?;
        let put = |source: Source| match source {
            Source::Bytes(bytes) => self.files.put(bytes),
            Source::File(file) => self.files.put_file(file),
        };
        let stored = sources.iter().map(|(_, source)| put(*source)).collect::<Result<Vec<_>>>()?;

        self.database.write(|txn| {
            runs::live(txn, &key)?;
            let mut artifacts = Vec::with_capacity(sources.len());
            // `store gc` in another process may have taken a file for an orphan. It removes files only
            // while it holds the write transaction, which is ours now.
            let are_there = self.files.contain(&stored)?;
            for (((path, source), Stored { sha256, size_bytes }), is_there) in
                sources.iter().zip(stored).zip(are_there)
            {
                if !is_there {
                    put(*source)?;
                }
                let artifact = Artifact { path: path.clone(), sha256, size_bytes };
                forbid_nesting(txn, &key, path)?;
                txn.put(ARTIFACTS, &artifact_key(&key, path), &artifact)?;
                artifacts.push(artifact);
            }
            Ok(artifacts)
        })
    }
}

/// Refuses `a/b` beside an artifact called `a`, and the other way round: the names are paths.
pub(super) fn forbid_nesting(txn: &impl Rows, run: &RunKey, path: &str) -> Result<(), Fault> {
    let mut clash = None;
    txn.scan(ARTIFACTS, &artifact_key(run, &format!("{path}/")), |key, bytes| {
        clash = Some(codec::unseal::<Artifact>(key, bytes)?.path);
        Ok(())
    })?;
    for (idx, _) in path.match_indices('/') {
        if txn.get_raw(ARTIFACTS, &artifact_key(run, &path[..idx]))?.is_some() {
            clash = Some(path[..idx].to_owned());
        }
    }
    match clash {
        None => Ok(()),
        Some(other) => Err(Fault::Ours(Error::new(
            ErrorKind::Conflict,
            format!(
                "artifact {path:?} cannot lie beside artifact {other:?}: one would be a folder"
            ),
        ))),
    }
}

/// Names and paths of all plain files below `dir`, by name.
pub(super) fn plain_files(
    dir: &Path,
    name: &str,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<()> {
    let fail = |source| Error::io("read the folder", dir, source);
    let mut entries = fs::read_dir(dir)
        .and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>())
        .map_err(fail)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let Some(part) = path.file_name().and_then(|part| part.to_str()) else {
            return Err(Error::invalid(format!("the name of {path:?} is not UTF-8"))
                .with_hint("rename the file"));
        };
        let name = if name.is_empty() { part.to_owned() } else { format!("{name}/{part}") };
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            plain_files(&path, &name, files)?;
        } else if kind.is_file() {
            files.push((name, path));
        }
    }
    Ok(())
}
