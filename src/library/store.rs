//! The store's folder: where its parts lie, and how a file or folder is put there whole or not at
//! all; and which server keeps its registry, where the folder does not. It knows paths and bytes, not
//! what they mean; the registry and the datasets do.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{
    address::RegistryAddress,
    error::{Error, Result},
    figure::parse_bytes,
    s3::S3Url,
};

/// The environment variable that names the store's folder.
pub const STORE_ENV: &str = "TRIALBOOK_STORE";

/// The environment variable that names the storage of a store's artifacts, `s3://BUCKET/PREFIX`.
pub const STORE_ARTIFACTS_ENV: &str = "TRIALBOOK_ARTIFACTS";

/// The environment variable that bounds the copies of artifacts that lie elsewhere, such as `2 GB`.
pub const ARTIFACT_CACHE_ENV: &str = "TRIALBOOK_ARTIFACT_CACHE";

/// That bound where none is given: room for some seven nets.
pub const DEFAULT_ARTIFACT_CACHE_BYTES: u64 = 2_000_000_000;

/// The log of true labels in the folder of logs. It is never set aside: labels are people's work.
pub const LABELS_FILE: &str = "labels.jsonl";

/// The beginning of the names of temporary files and folders, wherever the store makes them.
pub(crate) const TEMPORARY_PREFIX: &str = ".trialbook-";

/// One store: a folder that holds `registry-v3.redb` with `registry-v3.log`, `artifacts/`, `data/`, `policies/`, `checkpoints/`
/// and `logs/`, `cache/` where artifacts or the registry lie elsewhere, and for older versions of this
/// program `registry.redb`, which tells them so.
/// Cheap to clone; any number of processes use the same folder at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
    /// The place that its artifacts are to have; none for the one they have.
    artifacts: Option<S3Url>,
    artifact_cache_bytes: u64,
    /// The server that keeps the registry, where the folder does not.
    registry: Option<RegistryAddress>,
}

impl Store {
    /// The store in `root`. Creates nothing: each part is made when it is first written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            artifacts: None,
            artifact_cache_bytes: DEFAULT_ARTIFACT_CACHE_BYTES,
            registry: None,
        }
    }

    /// The same store, whose artifacts lie at `url` once its registry is opened: from then on for every
    /// process, also without saying so again. One whose artifacts lie elsewhere already is not opened.
    #[must_use]
    pub fn with_artifacts(mut self, url: Option<S3Url>) -> Self {
        self.artifacts = url;
        self
    }

    /// The same store with at most `n_bytes` of copies of artifacts that lie elsewhere; default 2 GB.
    #[must_use]
    pub fn with_artifact_cache(mut self, n_bytes: u64) -> Self {
        self.artifact_cache_bytes = n_bytes;
        self
    }

    /// The same store with the registry that the server at `address` keeps; without one, with its own.
    #[must_use]
    pub fn with_registry(self, address: Option<RegistryAddress>) -> Self {
        Self { registry: address, ..self }
    }

    /// The server that keeps the registry; none where the folder does.
    pub fn registry_address(&self) -> Option<&RegistryAddress> {
        self.registry.as_ref()
    }

    /// The folder that `TRIALBOOK_STORE` names, or `store` below the current folder, with the artifacts
    /// that `TRIALBOOK_ARTIFACTS` and `TRIALBOOK_ARTIFACT_CACHE` say. An empty variable counts as none.
    /// Its registry is the one that `TRIALBOOK_REGISTRY` names, or its own.
    ///
    /// # Errors
    /// When what is named is there and is no folder, or no server, and for a variable of another form.
    pub fn from_env() -> Result<Self> {
        let named = std::env::var_os(STORE_ENV).filter(|named| !named.is_empty());
        let mut store = Self::new(named.map_or_else(|| PathBuf::from("store"), PathBuf::from));
        store.check().map_err(|error| {
            error.with_hint(format!(
                "set {STORE_ENV} to a folder; it is created if it does not exist"
            ))
        })?;
        let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(url) = said(STORE_ARTIFACTS_ENV) {
            let url =
                url.parse().map_err(|error: Error| error.with_context(STORE_ARTIFACTS_ENV))?;
            store.artifacts = Some(url);
        }
        if let Some(size) = said(ARTIFACT_CACHE_ENV) {
            store.artifact_cache_bytes = parse_bytes(&size).ok_or_else(|| {
                Error::invalid(format!("{ARTIFACT_CACHE_ENV} is {size:?}, expected a size"))
                    .with_hint("write it as 500 MB or 2 GB")
            })?;
        }
        Ok(store.with_registry(RegistryAddress::from_env()?))
    }

    /// Checks that the store can be one. A folder that is not there can.
    ///
    /// # Errors
    /// When what is there is no folder.
    pub fn check(&self) -> Result<()> {
        if !self.root.exists() || self.root.is_dir() {
            return Ok(());
        }
        Err(Error::invalid(format!("{:?} is a file, and a store is a folder", self.root))
            .with_hint("name a folder with --store DIR; it is created if it does not exist"))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The registry's database file. Its name is that of the schema that put it there: versions
    /// before it have theirs at another, and must not open this one.
    pub fn registry_path(&self) -> PathBuf {
        self.root.join("registry-v3.redb")
    }

    /// The registry's commit log, which holds what was written last.
    pub(crate) fn registry_log_path(&self) -> PathBuf {
        self.registry_path().with_extension("log")
    }

    /// The registry's database file in versions before schema 3.
    pub(crate) fn older_registry_path(&self) -> PathBuf {
        self.root.join("registry.redb")
    }

    /// The folder of artifacts, named by their SHA-256; a file that says where they lie instead.
    pub fn artifacts_dir(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// The place that the artifacts are to have, if it was said.
    pub fn wanted_artifacts(&self) -> Option<&S3Url> {
        self.artifacts.as_ref()
    }

    /// The folder of copies of artifacts that lie elsewhere.
    pub(crate) fn artifact_cache_dir(&self) -> PathBuf {
        self.root.join("cache").join("artifacts")
    }

    /// The bytes that these copies may take.
    pub fn artifact_cache_bytes(&self) -> u64 {
        self.artifact_cache_bytes
    }

    /// The folder of datasets, a folder each.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The folder of what unfinished trainings are continued from, a folder a run.
    pub fn checkpoints_dir(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// The folder of what was downloaded from a registry elsewhere. It can be deleted at any time.
    pub fn cache_dir(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The folder of the gate's policies, named by their SHA-256.
    pub fn policies_dir(&self) -> PathBuf {
        self.root.join("policies")
    }

    /// The folder of logs.
    pub fn logs_dir(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The log of true labels: what people said cannot be made again, so that backups have it.
    pub fn labels_path(&self) -> PathBuf {
        self.logs_dir().join(LABELS_FILE)
    }

    /// Makes `dir`, a folder of this store, and all above it.
    ///
    /// # Errors
    /// When the system refuses, with the path.
    pub fn make_dir(&self, dir: &Path) -> Result<()> {
        self.check()?;
        fs::create_dir_all(dir).map_err(|source| Error::io("create the folder", dir, source))
    }
}

/// Writes `bytes` to `path` so that after a crash the file is either whole or not there: a
/// temporary file beside it, fsync, rename, fsync of the folder.
///
/// # Errors
/// When the system refuses (full disk, read-only), with the path; nothing is left behind.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    // A bare name has the empty path for a parent, which cannot be opened.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let dir = parent.unwrap_or(Path::new("."));
    let fail = |source| Error::io("write", path, source);
    let mut temporary = temporary_file(dir).map_err(fail)?;
    temporary.write_all(bytes).map_err(fail)?;
    temporary.as_file().sync_all().map_err(fail)?;
    temporary.persist(path).map_err(|error| fail(error.error))?;
    sync_dir(dir)
}

/// An empty file in `dir` that vanishes unless it is given a name. Others may read it as far as the
/// process's umask lets them: a server often runs as another user than the one who trains.
///
/// # Errors
/// When the system refuses.
pub(crate) fn temporary_file(dir: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(dir)
}

/// Makes the names in `dir` durable.
///
/// # Errors
/// When the system refuses, with the path.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::io("sync the folder", dir, source))
}
