//! Artifacts as folders: those of a run and of a logged model, listed, opened and removed by path, and
//! the URIs under which clients know them.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    logged_models::{live_model, model_key},
    names,
    record::Artifact,
    runs,
    tables::{ARTIFACTS, RUNS, RunKey, artifact_key, run_key},
    transaction::{Rows, RowsMut as _},
};
use crate::error::{Error, ErrorKind, Result};

/// The beginning of the URIs of artifacts that this store keeps.
pub const ARTIFACT_SCHEME: &str = "mlflow-artifacts:/";

/// The run or logged model that artifacts belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactOwner {
    /// A run's, by its id.
    Run(String),
    /// A logged model's, by its id.
    Model(String),
}

/// A file or a folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    /// From the owner's folder on, such as `model/weights.bin`.
    pub path: String,
    /// The file's length; none for a folder.
    pub size_bytes: Option<u64>,
}

/// The thing that lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// A folder with what is directly in it, by name; empty where nothing lies.
    Entries(Vec<FolderEntry>),
    /// A file.
    File(Artifact),
}

impl Artifact {
    /// Those of `files` that lie in the folder `path`, by their names in it; a file alone has its own
    /// name.
    pub fn below(files: Vec<Self>, path: &str) -> Vec<Self> {
        let path = path.trim_end_matches('/');
        if let Folder::File(file) = Folder::of(&files, path) {
            let name = file.path.rsplit('/').next().unwrap_or_default().to_owned();
            return vec![Self { path: name, ..file }];
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let below = files.into_iter().filter_map(|file| {
            let path = file.path.strip_prefix(&prefix)?.to_owned();
            Some(Self { path, ..file })
        });
        below.collect()
    }
}

impl Folder {
    /// The thing that lies at `path` (empty for the whole folder) among `files`.
    pub fn of(files: &[Artifact], path: &str) -> Self {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let mut entries: BTreeMap<String, Option<u64>> = BTreeMap::new();
        for file in files {
            if file.path == path {
                return Self::File(file.clone());
            }
            let Some(rest) = file.path.strip_prefix(&prefix) else { continue };
            match rest.split_once('/') {
                Some((folder, _)) => entries.insert(format!("{prefix}{folder}"), None),
                None => entries.insert(file.path.clone(), Some(file.size_bytes)),
            };
        }
        let entries =
            entries.into_iter().map(|(path, size_bytes)| FolderEntry { path, size_bytes });
        Self::Entries(entries.collect())
    }
}

/// The URI of a run's artifacts, in an experiment that keeps them at `location` or in the store.
pub fn run_artifact_uri(location: Option<&str>, experiment_id: &str, run_id: &str) -> String {
    format!("{}/{run_id}/artifacts", root(location, experiment_id))
}

/// The URI of a logged model's artifacts.
pub fn model_artifact_uri(location: Option<&str>, experiment_id: &str, model_id: &str) -> String {
    format!("{}/models/{model_id}/artifacts", root(location, experiment_id))
}

/// The URI of an experiment's artifacts.
pub fn experiment_artifact_uri(location: Option<&str>, experiment_id: &str) -> String {
    root(location, experiment_id)
}

fn root(location: Option<&str>, experiment_id: &str) -> String {
    match location {
        Some(location) => location.trim_end_matches('/').to_owned(),
        None => format!("{ARTIFACT_SCHEME}{experiment_id}"),
    }
}

impl Registry {
    /// The artifacts of a run or a logged model, by path.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the owner does not exist.
    pub fn owned_artifacts(&self, owner: &ArtifactOwner) -> Result<Vec<Artifact>> {
        let key = owner.key()?;
        self.database.read(|txn| {
            owner.check_exists(txn)?;
            let artifacts = txn.all::<Artifact>(ARTIFACTS, &key)?;
            Ok(artifacts.into_iter().map(|(_, artifact)| artifact).collect())
        })
    }

    /// One artifact of a run or a logged model.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the owner or the artifact does not exist.
    pub fn owned_artifact(&self, owner: &ArtifactOwner, path: &str) -> Result<Artifact> {
        let key = owner.key()?;
        names::check_artifact_path(path)?;
        self.database.read(|txn| {
            owner.check_exists(txn)?;
            let found = txn.get::<Artifact>(ARTIFACTS, &artifact_key(&key, path))?;
            Ok(found.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("artifact {path:?} does not exist"))
                    .with_hint("list the folder for what there is")
            })?)
        })
    }

    /// Removes the artifact at `path`, or every artifact below it; their bytes stay until `store gc`.
    /// Returns how many there were.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the owner does not exist, [`ErrorKind::Conflict`] if it is deleted.
    pub fn delete_artifacts(&self, owner: &ArtifactOwner, path: &str) -> Result<usize> {
        let key = owner.key()?;
        names::check_artifact_path(path)?;
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            owner.check_live(txn)?;
            let mut keys = Vec::new();
            txn.scan(ARTIFACTS, &artifact_key(&key, path), |found, _| {
                let rest = &found[key.len() + path.len()..];
                if rest.is_empty() || rest[0] == b'/' {
                    keys.push(found.to_vec());
                }
                Ok(())
            })?;
            keys.iter().try_for_each(|key| txn.remove(ARTIFACTS, key))?;
            if !keys.is_empty() {
                let details = json!({"artifact": path, "n_files": keys.len()});
                let event = self.event(AuditAction::Delete, owner.id(), now_ms, details);
                audit::append(txn, &event)?;
            }
            Ok(keys.len())
        })
    }
}

impl ArtifactOwner {
    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Run(id) | Self::Model(id) => id,
        }
    }

    pub(super) fn key(&self) -> Result<RunKey> {
        match self {
            Self::Run(run_id) => run_key(run_id),
            Self::Model(model_id) => model_key(model_id),
        }
    }

    pub(super) fn check_exists(&self, txn: &impl Rows) -> Result<(), Fault> {
        match self {
            Self::Run(run_id) => {
                txn.get_raw(RUNS, &run_key(run_id)?)?.ok_or_else(|| runs::unknown(run_id))?;
                Ok(())
            }
            Self::Model(model_id) => live_model(txn, model_id).map(drop),
        }
    }

    pub(super) fn check_live(&self, txn: &impl Rows) -> Result<(), Fault> {
        match self {
            Self::Run(run_id) => runs::live(txn, &run_key(run_id)?).map(drop),
            Self::Model(model_id) => live_model(txn, model_id).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_shows_its_files_and_folders_and_nothing_of_others() {
        let file = |path: &str| Artifact {
            path: path.to_owned(),
            sha256: String::new(),
            size_bytes: path.len() as u64,
        };
        let files = ["a.txt", "model/MLmodel", "model/code/x.py", "model2/y"].map(file);
        let names = |path: &str| match Folder::of(&files, path) {
            Folder::Entries(entries) => {
                entries.into_iter().map(|entry| (entry.path, entry.size_bytes)).collect()
            }
            Folder::File(file) => vec![(format!("file {}", file.path), Some(file.size_bytes))],
        };
        let entry = |path: &str, size_bytes| (path.to_owned(), size_bytes);
        assert_eq!(
            names(""),
            [entry("a.txt", Some(5)), entry("model", None), entry("model2", None)]
        );
        assert_eq!(names("model"), [entry("model/MLmodel", Some(13)), entry("model/code", None)]);
        assert_eq!(names("model/code/x.py"), [entry("file model/code/x.py", Some(15))]);
        assert_eq!(names("nowhere"), []);
        let below = |path: &str| -> Vec<String> {
            Artifact::below(files.to_vec(), path).into_iter().map(|file| file.path).collect()
        };
        assert_eq!(below("model"), ["MLmodel", "code/x.py"]);
        assert_eq!(below("model/"), ["MLmodel", "code/x.py"]);
        assert_eq!(below("model/code/x.py"), ["x.py"]);
        assert_eq!(below("").len(), 4);
    }
}
