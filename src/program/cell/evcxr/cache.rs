//! Built dependencies that sessions share: one target folder of cargo's, kept below a size by
//! throwing out what has not been used for longest. Cargo itself decides what still fits.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    time::SystemTime,
};

use trialbook::error::{Error, Result};

use crate::{cell::evcxr::Config, toolchain::Artifact};

/// The shared folder.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// The content of a cache, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStatistics {
    /// The number of crates, counted once for every way they were built.
    pub n_entries: u64,
    /// Their size.
    pub bytes: u64,
    /// The number of times that one needed not be built.
    pub n_hits: u64,
}

/// Everything one compile left behind.
#[derive(Debug, Default)]
struct Unit {
    paths: Vec<PathBuf>,
    bytes: u64,
    last_used: Option<SystemTime>,
    n_hits: u64,
}

/// The folders in which cargo keeps a unit's pieces, named `NAME-HASH`.
const PIECES: [&str; 3] = ["deps", "build", ".fingerprint"];

impl Cache {
    /// The cache that the settings name, made if need be.
    ///
    /// # Errors
    /// When the system names no folder for caches, or it cannot be written.
    pub fn open(config: &Config) -> Result<Self> {
        let folder = config.cache_folder.clone().ok_or_else(|| {
            Error::invalid("the system names no folder for caches")
                .with_hint("set XDG_CACHE_HOME to a folder of yours")
        })?;
        let cache = Self { folder };
        for folder in [cache.target_dir(), cache.uses()] {
            fs::create_dir_all(&folder).map_err(|source| Error::io("make", &folder, source))?;
        }
        Ok(cache)
    }

    /// The folder in which cargo builds.
    pub(crate) fn target_dir(&self) -> PathBuf {
        self.folder.join("target")
    }

    /// One file for each unit: changed when it was last used, and how often it was.
    fn uses(&self) -> PathBuf {
        self.folder.join("uses")
    }

    /// Its content, in numbers.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn statistics(&self) -> Result<CacheStatistics> {
        let units = self.units()?;
        Ok(CacheStatistics {
            n_entries: units.len() as u64,
            bytes: units.values().map(|unit| unit.bytes).sum(),
            n_hits: units.values().map(|unit| unit.n_hits).sum(),
        })
    }

    /// Remembers what a build used, and throws out the rest down to `limit_bytes`.
    pub(crate) fn used(&self, artifacts: &[Artifact], limit_bytes: u64) -> Result<()> {
        for artifact in artifacts {
            let Some(hash) = artifact.filenames.iter().find_map(|file| hash(file)) else {
                continue;
            };
            let path = self.uses().join(hash);
            let hits: u64 =
                fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            fs::write(&path, (hits + u64::from(artifact.fresh)).to_string())
                .map_err(|source| Error::io("write", &path, source))?;
        }
        self.shrink(limit_bytes).map(drop)
    }

    /// Throws out what was not used for longest until `limit_bytes` are not exceeded; returns how
    /// many bytes that freed. While another session builds, nothing is thrown out.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn shrink(&self, limit_bytes: u64) -> Result<u64> {
        let Some(_locks) = self.lock() else { return Ok(0) };
        let mut units: Vec<(String, Unit)> = self.units()?.into_iter().collect();
        let mut total: u64 = units.iter().map(|(_, unit)| unit.bytes).sum();
        let before = total;
        units.sort_by_key(|(_, unit)| unit.last_used);
        for (hash, unit) in units {
            if total <= limit_bytes {
                break;
            }
            for path in unit.paths.into_iter().chain([self.uses().join(hash)]) {
                let removed = match path.is_dir() {
                    true => fs::remove_dir_all(&path),
                    false => fs::remove_file(&path),
                };
                match removed {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    removed => removed.map_err(|source| Error::io("remove", &path, source))?,
                }
            }
            total -= unit.bytes;
        }
        Ok(before - total)
    }

    /// Cargo's own locks, which a build holds; none when one is held.
    fn lock(&self) -> Option<Vec<File>> {
        let files = self.profiles().into_iter().map(|folder| folder.join(".cargo-lock"));
        files
            .filter_map(|path| File::open(path).ok())
            .map(|file| file.try_lock().ok().map(|()| file))
            .collect()
    }

    /// `target/debug` and `target/TRIPLE/debug`.
    fn profiles(&self) -> Vec<PathBuf> {
        let triples = entries(&self.target_dir()).into_iter().map(|path| path.join("debug"));
        triples.chain([self.target_dir().join("debug")]).filter(|path| path.is_dir()).collect()
    }

    fn units(&self) -> Result<BTreeMap<String, Unit>> {
        let mut units: BTreeMap<String, Unit> = BTreeMap::new();
        let pieces = self
            .profiles()
            .into_iter()
            .flat_map(|profile| PIECES.map(|piece| profile.join(piece)))
            .flat_map(|folder| entries(&folder));
        for path in pieces {
            let Some(hash) = hash(&path) else { continue };
            let unit = units.entry(hash.to_owned()).or_default();
            unit.bytes += size(&path);
            unit.paths.push(path);
        }
        for (hash, unit) in &mut units {
            let path = self.uses().join(hash);
            let Ok(metadata) = fs::metadata(&path) else { continue };
            unit.last_used = metadata.modified().ok();
            let text =
                fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
            unit.n_hits = text.parse().unwrap_or(0);
        }
        Ok(units)
    }
}

impl fmt::Display for CacheStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Entries: {}", self.n_entries)?;
        writeln!(f, "Disk used: {} MiB", self.bytes.div_ceil(1 << 20))?;
        write!(f, "Hits: {}", self.n_hits)
    }
}

/// The hash in `libNAME-HASH.rlib` or `NAME-HASH`.
fn hash(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let (_, hash) = name.split('.').next().filter(|stem| !stem.is_empty())?.rsplit_once('-')?;
    (hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hash)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    // What another session has just removed counts as empty.
    fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => entries(path).iter().map(|path| size(path)).sum(),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    }
}
