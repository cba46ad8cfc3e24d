//! One finished prelude: a folder `<key>-<time>` that appears whole or not at all and is never
//! changed afterwards. Whoever uses it holds a shared lock on its manifest, so that a later build
//! removes only what no session works with.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    facade::facade_file,
    manifest::{MANIFEST, PreludeManifest},
    place::{BuildFolders, dylib_name},
    profile::BuildProfile,
    rust::RustToolchain,
};

/// A prelude that cells can be compiled against. While a clone of it lives, its folder stays.
#[derive(Debug, Clone)]
pub struct InstalledPrelude {
    /// The folder.
    pub dir: PathBuf,
    /// The library itself: `--extern trialbook=…`, and loaded by every process that runs cells.
    pub dylib: PathBuf,
    /// The metadata of every crate it was built from: `-L dependency=…`.
    pub deps: PathBuf,
    /// What a cell is compiled against that names nothing of it. Earlier builds made none.
    pub facade: Option<PathBuf>,
    /// Its optimisation.
    pub profile: BuildProfile,
    /// Its manifest, with what it was built from.
    pub manifest: PreludeManifest,
    _in_use: Arc<File>,
}

/// The demand of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A fresh prelude, built now or before.
    Fresh,
    /// One that is built now.
    New,
}

/// The way in which a caller's demand was met.
#[derive(Debug, Clone)]
pub enum PreludeOrigin {
    /// It was built by this call.
    Built(InstalledPrelude),
    /// It was there, or another process was building it.
    Found(InstalledPrelude),
}

/// The answer to a cell that asks for a prelude.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// One that fits the sources as they are.
    Fresh(InstalledPrelude),
    /// One that was built from other sources: it works, but lacks what was changed since.
    Stale {
        /// The prelude.
        prelude: InstalledPrelude,
        /// The first source file that differs.
        changed: PathBuf,
    },
    /// None for this compiler and this version.
    Missing,
}

/// The help of a session with the names that a prelude offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Help {
    /// A session has read its sources.
    Ready,
    /// The first session will read its sources.
    NotYet,
    /// A source that a session needs to read is gone.
    Lost {
        /// The crate.
        package: String,
        /// The file that is missing.
        root: PathBuf,
    },
}

impl InstalledPrelude {
    /// The best prelude for `toolchain`: fresh before stale, release before dev, the newest first.
    pub fn find(toolchain: &RustToolchain) -> Lookup {
        Self::find_where(toolchain, |_| true)
    }

    /// As [`InstalledPrelude::find`], of one profile only.
    pub fn find_profile(toolchain: &RustToolchain, profile: BuildProfile) -> Lookup {
        Self::find_where(toolchain, |manifest| manifest.profile == profile)
    }

    /// The folder in which preludes are kept.
    pub fn folder() -> PathBuf {
        BuildFolders::of_this_process().preludes
    }

    /// The file in which sessions keep what they have read of its sources.
    pub fn index_file(&self) -> PathBuf {
        self.dir.join("index.json")
    }

    /// The help of a session with its names.
    pub fn help(&self) -> Help {
        if self.index_file().is_file() {
            return Help::Ready;
        }
        match self.manifest.packages.iter().find(|package| !package.root.is_file()) {
            Some(lost) => Help::Lost { package: lost.name.clone(), root: lost.root.clone() },
            None => Help::NotYet,
        }
    }

    fn find_where(toolchain: &RustToolchain, wanted: impl Fn(&PreludeManifest) -> bool) -> Lookup {
        let mut fitting: Vec<(PathBuf, PreludeManifest)> = folders(&Self::folder())
            .into_iter()
            .filter_map(|dir| PreludeManifest::read(&dir).ok().map(|manifest| (dir, manifest)))
            .filter(|(_, manifest)| manifest.fits(toolchain) && wanted(manifest))
            .collect();
        fitting.sort_by_key(|(_, manifest)| {
            (manifest.profile != BuildProfile::Release, std::cmp::Reverse(manifest.built_ms))
        });
        let mut stale = None;
        for (dir, manifest) in fitting {
            let changed = manifest.changed_file().map(Path::to_owned);
            // One that a builder removes at this moment cannot be opened: as good as missing.
            let Some(prelude) = Self::open(dir, manifest) else { continue };
            match changed {
                None => return Lookup::Fresh(prelude),
                Some(changed) => stale = stale.or(Some((prelude, changed))),
            }
        }
        match stale {
            Some((prelude, changed)) => Lookup::Stale { prelude, changed },
            None => Lookup::Missing,
        }
    }

    /// The prelude in `dir`, held in use.
    pub(super) fn open(dir: PathBuf, manifest: PreludeManifest) -> Option<Self> {
        let in_use = File::open(dir.join(MANIFEST)).ok()?;
        in_use.try_lock_shared().ok()?;
        let dylib = dir.join(dylib_name());
        dylib.is_file().then(|| Self {
            deps: dir.join("deps"),
            facade: Some(facade_file(&dir)).filter(|file| file.is_file()),
            profile: manifest.profile,
            _in_use: Arc::new(in_use),
            dylib,
            manifest,
            dir,
        })
    }
}

/// Removes the preludes beside `kept` that it takes the place of and that nobody uses.
pub(super) fn sweep(kept: &InstalledPrelude) {
    let Some(folder) = kept.dir.parent() else { return };
    for dir in folders(folder) {
        let replaced = PreludeManifest::read(&dir).is_ok_and(|manifest| {
            (&manifest.rustc, &manifest.host, &manifest.features, manifest.profile)
                == (
                    &kept.manifest.rustc,
                    &kept.manifest.host,
                    &kept.manifest.features,
                    kept.profile,
                )
        });
        if dir == kept.dir || !replaced {
            continue;
        }
        let is_free =
            File::open(dir.join(MANIFEST)).is_ok_and(|manifest| manifest.try_lock().is_ok());
        if is_free {
            // What cannot be removed now is tried again by the next build.
            let _ = fs::remove_dir_all(&dir);
        }
    }
}

/// The folders of `dir` that may hold a prelude; half-made ones begin with a dot.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}
