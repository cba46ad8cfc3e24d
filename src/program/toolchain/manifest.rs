//! `prelude.json`: what a prelude was built from, and whether that still stands. A source file
//! counts as unchanged when its size and time are; only where the time differs is it read.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use trialbook::{
    error::{Error, ErrorKind, Result},
    figure::hex,
};

use super::{package::Package, profile::BuildProfile, rust::RustToolchain};

/// The file's name in a prelude's folder.
pub(super) const MANIFEST: &str = "prelude.json";

/// The layout that this build reads and writes.
const SCHEMA: u32 = 1;

/// The description of a prelude: its compiler, its sources and its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreludeManifest {
    schema: u32,
    /// The compiler's release: `1.95.0`.
    pub rustc: String,
    /// The commit the compiler was built from; two nightlies share a release.
    pub rustc_commit: String,
    /// The triple.
    pub host: String,
    /// This package's version.
    pub version: String,
    /// The features of this package it was built with.
    pub features: Vec<String>,
    /// Its optimisation.
    pub profile: BuildProfile,
    /// The folder of sources.
    pub source: PathBuf,
    /// When it was finished, in milliseconds since the Unix epoch.
    pub built_ms: i64,
    /// The duration of the build.
    pub build_s: f64,
    /// The size of the dylib.
    pub dylib_bytes: u64,
    /// The number of crates that cells may name through it.
    pub n_deps: usize,
    /// The size of their metadata.
    pub deps_bytes: u64,
    /// The crates whose names people write in cells.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// Every file the compiler read from the package.
    pub(super) files: Vec<SourceFile>,
}

/// One source file as it was when it was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceFile {
    path: PathBuf,
    n_bytes: u64,
    modified_ns: u64,
    sha256: String,
}

/// A prelude that was built and not yet measured.
pub(super) struct BuiltPrelude {
    pub(super) profile: BuildProfile,
    pub(super) source: PathBuf,
    pub(super) files: Vec<SourceFile>,
    pub(super) built_ms: i64,
    pub(super) build_s: f64,
    pub(super) dylib_bytes: u64,
    pub(super) n_deps: usize,
    pub(super) deps_bytes: u64,
    pub(super) packages: Vec<Package>,
}

impl PreludeManifest {
    /// The manifest of what `toolchain` has just built.
    pub(super) fn new(toolchain: &RustToolchain, built: BuiltPrelude) -> Self {
        Self {
            schema: SCHEMA,
            rustc: toolchain.version.clone(),
            rustc_commit: toolchain.commit.clone(),
            host: toolchain.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: features(),
            profile: built.profile,
            source: built.source,
            built_ms: built.built_ms,
            build_s: built.build_s,
            dylib_bytes: built.dylib_bytes,
            n_deps: built.n_deps,
            deps_bytes: built.deps_bytes,
            packages: built.packages,
            files: built.files,
        }
    }

    /// The manifest in a prelude's folder.
    ///
    /// # Errors
    /// When it is missing, damaged or of another layout.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let bytes = fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|source| {
            Error::new(ErrorKind::Corrupt, format!("{path:?} is damaged")).with_source(source)
        })?;
        if manifest.schema != SCHEMA {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("{path:?}: schema {}, this build reads {SCHEMA}", manifest.schema),
            ));
        }
        Ok(manifest)
    }

    /// True if cells of this program, compiled by `toolchain`, can use the prelude.
    pub(super) fn fits(&self, toolchain: &RustToolchain) -> bool {
        self.rustc == toolchain.version
            && self.rustc_commit == toolchain.commit
            && self.host == toolchain.host
            && self.version == env!("CARGO_PKG_VERSION")
            && self.features == features()
            // Earlier builds of this version did not note them: nothing could be completed.
            && !self.packages.is_empty()
    }

    /// The first source file that has changed since it was compiled. Sources that are gone altogether, as on
    /// a machine that only runs the program, count as unchanged: nothing could be built from them.
    pub(super) fn changed_file(&self) -> Option<&Path> {
        if !self.source.join("Cargo.toml").is_file() {
            return None;
        }
        let changed = self.files.iter().find(|file| !file.stands(&self.source))?;
        Some(&changed.path)
    }
}

impl SourceFile {
    /// The file `path` of the package `source`. One that was changed after `since`, when the
    /// compiler may have read it already, gets no checksum and so never counts as unchanged.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn record(source: &Path, path: &Path, since: SystemTime) -> Result<Self> {
        let whole = source.join(path);
        let fail = |error| Error::io("read", &whole, error);
        let metadata = fs::metadata(&whole).map_err(fail)?;
        let is_settled = metadata.modified().is_ok_and(|modified| modified < since);
        Ok(Self {
            path: path.to_owned(),
            n_bytes: metadata.len(),
            modified_ns: if is_settled { modified_ns(&metadata) } else { 0 },
            sha256: if is_settled {
                sha256(&fs::read(&whole).map_err(fail)?)
            } else {
                String::new()
            },
        })
    }

    fn stands(&self, source: &Path) -> bool {
        let whole = source.join(&self.path);
        let Ok(metadata) = fs::metadata(&whole) else { return false };
        if metadata.len() != self.n_bytes {
            return false;
        }
        // A checkout of the same content touches files: the checksum decides.
        modified_ns(&metadata) == self.modified_ns
            || fs::read(&whole).is_ok_and(|bytes| sha256(&bytes) == self.sha256)
    }
}

/// The features this program was built with. The prelude has the same, so that cargo finds every
/// dependency built.
pub(super) fn features() -> Vec<String> {
    let all = [
        ("analyzer", cfg!(feature = "analyzer")),
        ("cuda", cfg!(feature = "cuda")),
        ("trialbook-program", true),
        ("wgpu", cfg!(feature = "wgpu")),
    ];
    all.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name.to_owned()).collect()
}

fn modified_ns(metadata: &fs::Metadata) -> u64 {
    let since_epoch = metadata
        .modified()
        .ok()
        .and_then(|modified| modified.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
