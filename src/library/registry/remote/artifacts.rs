//! Files of runs and versions of a server: uploaded through its artifact proxy, downloaded into the
//! store's cache, and proved by the SHA-256 that a tag of the run or the version keeps.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    RemoteRegistry,
    client::{API, PROXY, encoded},
    shapes::{RemoteRun, list, text, whole},
    tags::{FILES_TAG, SHA256_PREFIX},
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure::hex,
    model::ModelFiles,
    registry::{
        artifact_files::{ArtifactContent, Stored, copy_hashed},
        artifacts::plain_files,
        folders::ARTIFACT_SCHEME,
        names,
        record::{Artifact, ModelVersion, RunBatch, Stage},
    },
    store::{temporary_file, write_atomically},
};

/// A version that was in Production, as the cache keeps it.
#[derive(Serialize, Deserialize)]
struct Remembered {
    registry: String,
    version: ModelVersion,
}

/// A file to be uploaded.
struct Outgoing {
    name: String,
    path: PathBuf,
}

impl RemoteRegistry {
    pub(super) fn upload_bytes(&self, run_id: &str, path: &str, bytes: &[u8]) -> Result<Artifact> {
        let folder = tempfile::tempdir()
            .map_err(|source| Error::io("create in", &std::env::temp_dir(), source))?;
        let file = folder.path().join("artifact");
        fs::write(&file, bytes).map_err(|source| Error::io("write", &file, source))?;
        let outgoing = [Outgoing { name: path.to_owned(), path: file }];
        let mut kept = self.upload(run_id, &outgoing)?;
        Ok(kept.remove(0))
    }

    pub(super) fn upload_folder(
        &self,
        run_id: &str,
        dir: &Path,
        prefix: &str,
    ) -> Result<Vec<Artifact>> {
        let mut files = Vec::new();
        plain_files(dir, prefix.trim_end_matches('/'), &mut files)?;
        let outgoing: Vec<Outgoing> =
            files.into_iter().map(|(name, path)| Outgoing { name, path }).collect();
        self.upload(run_id, &outgoing)
    }

    fn upload(&self, run_id: &str, files: &[Outgoing]) -> Result<Vec<Artifact>> {
        files.iter().try_for_each(|file| names::check_artifact_path(&file.name))?;
        let run = self.run_called(run_id)?;
        let root = proxied(&run.artifact_uri).ok_or_else(|| {
            Error::invalid(format!(
                "the artifacts of run {run_id} lie at {}, where {} does not take uploads",
                run.artifact_uri,
                self.client.place()
            ))
            .with_hint(
                "start that server with --serve-artifacts and --artifacts-destination, and use an \
                 experiment made since then",
            )
        })?;
        let (mut kept, mut tags) = (Vec::new(), Vec::new());
        for Outgoing { name, path } in files {
            let fail = |source| Error::io("read", path, source);
            let mut input = fs::File::open(path).map_err(fail)?;
            let (sha256, size_bytes) =
                copy_hashed(&mut input, &mut std::io::sink()).map_err(fail)?;
            self.client.upload(&format!("{root}/{name}"), path)?;
            let key = format!("{SHA256_PREFIX}{name}");
            // A name that no tag can have keeps its file without proof.
            if names::check_tag(&key, &sha256).is_ok() {
                tags.push((key, sha256.clone()));
            }
            kept.push(Artifact { path: name.clone(), sha256, size_bytes });
        }
        // The proof last: a file is there before the tag that says so.
        self.log_parts(run_id, &RunBatch { tags, ..RunBatch::default() })?;
        Ok(kept)
    }

    pub(super) fn artifacts_of_run(&self, run_id: &str) -> Result<Vec<Artifact>> {
        let run = self.run_called(run_id)?;
        let mut open = vec![String::new()];
        let mut found = Vec::new();
        while let Some(folder) = open.pop() {
            let mut query = vec![("run_id", run.run.run_id.as_str())];
            if !folder.is_empty() {
                query.push(("path", folder.as_str()));
            }
            let answer = self.client.get(&format!("{API}/artifacts/list"), &query)?;
            for entry in list(&answer["files"]) {
                let path = text(&entry["path"]);
                // A server that lists a folder inside itself would be asked for ever.
                let is_below = folder.is_empty() || path.starts_with(&format!("{folder}/"));
                names::check_artifact_path(&path)?;
                if entry["is_dir"] == true && is_below {
                    open.push(path);
                } else {
                    let size = whole(&entry["file_size"]).and_then(|size| u64::try_from(size).ok());
                    let sha256 = run.sha256.get(&path).cloned().unwrap_or_default();
                    found.push(Artifact { path, sha256, size_bytes: size.unwrap_or_default() });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    pub(super) fn artifact_bytes(&self, run_id: &str, artifact: &Artifact) -> Result<Vec<u8>> {
        let run = self.run_called(run_id)?;
        let path = self.path_of_run(&run, &artifact.path);
        let place = self.client.place();
        let bytes = self.client.download(&path, |input| {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(|source| broken_off(place, source))?;
            Ok(bytes)
        })?;
        let found = hex(&Sha256::digest(&bytes));
        if !artifact.sha256.is_empty() && found != artifact.sha256 {
            return Err(changed(&artifact.path, &artifact.sha256, &found));
        }
        Ok(bytes)
    }

    fn path_of_run(&self, run: &RemoteRun, path: &str) -> String {
        match proxied(&run.artifact_uri) {
            Some(root) => format!("{PROXY}/{}", encoded(&format!("{root}/{path}"))),
            None => format!("/get-artifact?run_uuid={}&path={}", run.run.run_id, encoded(path)),
        }
    }

    /// The files of a version, out of the cache as far as they are there.
    pub(super) fn files_here(&self, version: &ModelVersion) -> Result<ModelFiles> {
        let context = format!("model {:?} version {}", version.model, version.version);
        let files = self.proved_files(version).map_err(|error| error.with_context(context))?;
        if version.stage == Stage::Production {
            self.remember(version);
        }
        Ok(files)
    }

    fn proved_files(&self, version: &ModelVersion) -> Result<ModelFiles> {
        if version.files.is_empty() {
            return Err(Error::invalid(format!(
                "it has no tag {FILES_TAG}, which says what its files are: another program registered it"
            ))
            .with_hint("only versions that trialbook trained or imported are loaded from a registry"));
        }
        let mut files = BTreeMap::new();
        let mut root = None;
        for file in &version.files {
            names::check_artifact_path(&file.path)?;
            if let Ok(path) = self.cache.prove(&file.sha256, file.size_bytes) {
                files.insert(file.path.clone(), path);
                continue;
            }
            if root.is_none() {
                root = Some(self.root_of(version)?);
            }
            let root = root.as_deref().unwrap_or_default();
            let path = match root.strip_prefix(PROXY) {
                Some(_) => format!("{root}/{}", encoded(&file.path)),
                None => format!("{root}{}", encoded(&file.path)),
            };
            files.insert(file.path.clone(), self.fetch(&path, file)?);
        }
        Ok(ModelFiles::new(files))
    }

    /// The place of a version's files on the server, up to a file's own path.
    fn root_of(&self, version: &ModelVersion) -> Result<String> {
        let (name, number) = (version.model.as_str(), version.version.to_string());
        let path = format!("{API}/model-versions/get-download-uri");
        let answer = self.client.get(&path, &[("name", name), ("version", &number)])?;
        let uri = text(&answer["artifact_uri"]);
        Ok(match proxied(&uri) {
            Some(root) => format!("{PROXY}/{}", encoded(root.trim_end_matches('/'))),
            None => {
                format!(
                    "/model-versions/get-artifact?name={}&version={number}&path=",
                    encoded(name)
                )
            }
        })
    }

    /// Downloads a file into the cache, if it is what it should be.
    fn fetch(&self, path: &str, file: &Artifact) -> Result<PathBuf> {
        let dir = self.store.cache_dir();
        self.store.make_dir(&dir)?;
        let fail = |source| Error::io("write below", &dir, source);
        let mut temporary = temporary_file(&dir).map_err(fail)?;
        let place = self.client.place();
        let (sha256, size_bytes) = self.client.download(path, |input: &mut dyn Read| {
            let mut hashed = Sha256::new();
            let (mut buffer, mut n_bytes) = (vec![0; 256 * 1024], 0_u64);
            loop {
                let n_read = match input.read(&mut buffer) {
                    // A signal, such as that of a window which changes its size.
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read.map_err(|source| broken_off(place, source))?,
                };
                if n_read == 0 {
                    break;
                }
                hashed.update(&buffer[..n_read]);
                n_bytes += n_read as u64;
                temporary.write_all(&buffer[..n_read]).map_err(fail)?;
            }
            Ok((hex(&hashed.finalize()), n_bytes))
        })?;
        if sha256 != file.sha256 || size_bytes != file.size_bytes {
            return Err(changed(&file.path, &file.sha256, &sha256));
        }
        let stored = Stored { sha256, size_bytes };
        let received = self.cache.receive(ArtifactContent::File(temporary), &stored)?;
        self.cache.place(received, &stored, false)?;
        Ok(self.cache.path(&stored.sha256))
    }

    /// Keeps which version is in Production, for a start while the registry is away.
    fn remember(&self, version: &ModelVersion) {
        let remembered =
            Remembered { registry: self.client.place().to_owned(), version: version.clone() };
        let path = self.memory_of(&version.model);
        let written = serde_json::to_vec(&remembered).map_err(|source| {
            Error::new(ErrorKind::Internal, "a version cannot be written as JSON")
                .with_source(source)
        });
        let dir = self.store.cache_dir();
        let outcome = self
            .store
            .make_dir(&dir)
            .and(written)
            .and_then(|bytes| write_atomically(&path, &bytes));
        if let Err(error) = outcome {
            tracing::warn!(error = error.chain(), "the version in production cannot be remembered");
        }
    }

    pub(super) fn remembered(&self, model: &str) -> Option<ModelVersion> {
        let bytes = fs::read(self.memory_of(model)).ok()?;
        let Remembered { registry, version } = serde_json::from_slice(&bytes).ok()?;
        (registry == self.client.place() && version.model == model).then_some(version)
    }

    fn memory_of(&self, model: &str) -> PathBuf {
        let key = format!("{}\n{model}", self.client.place());
        let name = hex(&Sha256::digest(key));
        self.store.cache_dir().join(format!("production-{}.json", &name[..16]))
    }
}

/// The path below the proxy's artifacts of a URI that the server itself keeps.
fn proxied(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix(ARTIFACT_SCHEME)?;
    // `mlflow-artifacts://host/path` names the server again.
    let path = match rest.strip_prefix('/') {
        Some(with_host) => with_host.split_once('/').map_or("", |(_, path)| path),
        None => rest,
    };
    Some(path.trim_matches('/').to_owned())
}

fn broken_off(place: &str, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the download from {place} broke off"))
        .with_hint("try again; nothing of it was kept")
        .with_source(source)
}

fn changed(path: &str, expected: &str, found: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("{path} has the SHA-256 {found}, and {expected} was uploaded"),
    )
    .with_hint("somebody changed the file on the server: train again, or restore it there")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::RegistryAddress,
        registry::{Lineage, Registration},
        store::Store,
    };

    #[test]
    fn the_version_in_production_is_remembered_for_its_registry_alone() {
        let folder = tempfile::tempdir().unwrap();
        let of = |url: &str| {
            let address = RegistryAddress::parse(url).unwrap().unwrap();
            RemoteRegistry::new(&address, &Store::new(folder.path())).unwrap()
        };
        let version = ModelVersion {
            model: "M".to_owned(),
            version: 3,
            stage: Stage::Production,
            run_id: "a".to_owned(),
            created_ms: 1,
            files: vec![Artifact { path: "w".into(), sha256: "ab".into(), size_bytes: 1 }],
            lineage: Lineage::default(),
            metrics: BTreeMap::from([("loss".to_owned(), f64::INFINITY)]),
            tags: BTreeMap::new(),
            verdict: None,
            history: Vec::new(),
            registration: Some(Registration { source: "s".into(), ..Registration::default() }),
        };
        let registry = of("http://127.0.0.1:1");
        assert_eq!(registry.remembered("M"), None);
        registry.remember(&version);
        assert_eq!(registry.remembered("M"), Some(version));
        assert_eq!(registry.remembered("N"), None);
        assert_eq!(of("http://127.0.0.1:2").remembered("M"), None);
    }

    #[test]
    fn the_proxy_s_artifacts_are_told_from_others() {
        for (uri, expected) in [
            ("mlflow-artifacts:/1/a/artifacts", Some("1/a/artifacts")),
            ("mlflow-artifacts://lab:5000/1/a/artifacts/", Some("1/a/artifacts")),
            ("s3://bucket/1/a", None),
            ("/mlruns/1/a", None),
        ] {
            assert_eq!(proxied(uri).as_deref(), expected, "{uri}");
        }
    }
}
