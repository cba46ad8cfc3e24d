//! Building a prelude: one builder at a time, cargo, then the folder put together beside its place
//! and renamed into it.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use trialbook::{
    book::now_ms,
    error::{Error, ErrorKind, Result},
    progress::Monitor,
    store::write_atomically,
};

use super::{
    cargo::{self, Artifacts, dep_info_files},
    facade::{self, FACADE_SOURCE},
    manifest::{BuiltPrelude, MANIFEST, PreludeManifest, SourceFile},
    package::Package,
    place::{BuildFolders, dylib_name},
    prelude::{InstalledPrelude, Lookup, Need, PreludeOrigin, sweep},
    profile::BuildProfile,
    rust::RustToolchain,
};

/// The lock that builders hold, in the folder of preludes.
const LOCK: &str = ".lock";

/// Everything that cargo and the compiler said in the last build that failed.
const LOG: &str = "build.log";

impl InstalledPrelude {
    /// Builds a prelude with `toolchain`, or returns the fresh one that is there.
    ///
    /// # Errors
    /// As [`InstalledPrelude::make`].
    pub fn build(
        toolchain: &RustToolchain,
        profile: BuildProfile,
        monitor: &Monitor,
    ) -> Result<Self> {
        match Self::make(toolchain, profile, Need::Fresh, monitor)? {
            PreludeOrigin::Built(prelude) | PreludeOrigin::Found(prelude) => Ok(prelude),
        }
    }

    /// Builds a prelude with `toolchain` where `need` asks for it. A second builder waits for the
    /// first and then finds its work done.
    ///
    /// # Errors
    /// [`trialbook::ErrorKind::Unavailable`] without sources or cargo, what the compiler says when it
    /// fails, and the interrupt; whatever happens, nothing half-made is ever found.
    pub fn make(
        toolchain: &RustToolchain,
        profile: BuildProfile,
        need: Need,
        monitor: &Monitor,
    ) -> Result<PreludeOrigin> {
        run(toolchain, profile, need, monitor)
    }

    /// True while another process builds a prelude.
    pub fn is_being_built() -> bool {
        is_running()
    }
}

fn run(
    toolchain: &RustToolchain,
    profile: BuildProfile,
    need: Need,
    monitor: &Monitor,
) -> Result<PreludeOrigin> {
    let place = BuildFolders::of_this_process();
    let fresh = || match InstalledPrelude::find_profile(toolchain, profile) {
        Lookup::Fresh(prelude) if need == Need::Fresh => Some(PreludeOrigin::Found(prelude)),
        _ => None,
    };
    if let Some(found) = fresh() {
        return Ok(found);
    }
    place.check_source()?;
    fs::create_dir_all(&place.preludes)
        .map_err(|source| Error::io("create the folder", &place.preludes, source))?;
    monitor.stage("prelude", None, || {
        let _only_builder = lock(&place.preludes, monitor)?;
        if let Some(found) = fresh() {
            return Ok(found);
        }
        let began = (SystemTime::now(), Instant::now());
        let artifacts = cargo::build(toolchain, &place, profile, monitor)?.map_err(|failure| {
            let log = place.preludes.join(LOG);
            let error = Error::new(
                ErrorKind::Unavailable,
                format!("the prelude does not build: {}", failure.summary),
            );
            match write_atomically(&log, failure.log.as_bytes()) {
                Ok(()) => error.with_hint(format!("the whole output is in {}", log.display())),
                Err(_) => error,
            }
        })?;
        monitor.progress.note("assembling the prelude");
        let prelude = assemble(toolchain, &place, profile, &artifacts, began)?;
        sweep(&prelude);
        Ok(PreludeOrigin::Built(prelude))
    })
}

/// True while another process builds a prelude.
fn is_running() -> bool {
    let lock = File::open(BuildFolders::of_this_process().preludes.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Waits until no other process builds here.
fn lock(preludes: &Path, monitor: &Monitor) -> Result<File> {
    let path = preludes.join(LOCK);
    let fail = |source| Error::io("lock", &path, source);
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => monitor.progress.note("another process builds it"),
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        monitor.interrupt.check()?;
        thread::sleep(Duration::from_millis(100));
    }
}

fn assemble(
    toolchain: &RustToolchain,
    place: &BuildFolders,
    profile: BuildProfile,
    artifacts: &Artifacts,
    (began, clock): (SystemTime, Instant),
) -> Result<InstalledPrelude> {
    let files = sources(&place.source, &artifacts.dylib, began)?;
    let half = tempfile::Builder::new()
        .prefix(".half-")
        .tempdir_in(&place.preludes)
        .map_err(|source| Error::io("create a folder in", &place.preludes, source))?;
    let deps = half.path().join("deps");
    fs::create_dir(&deps).map_err(|source| Error::io("create the folder", &deps, source))?;
    let mut deps_bytes = 0;
    for file in &artifacts.deps {
        deps_bytes += link(file, &deps)?;
    }
    let dylib_bytes = link(&artifacts.dylib, half.path())?;
    facade::make(toolchain, &place.source, half.path())?;
    let built_ms = now_ms();
    let manifest = PreludeManifest::new(
        toolchain,
        BuiltPrelude {
            profile,
            source: place.source.clone(),
            files,
            built_ms,
            build_s: clock.elapsed().as_secs_f64(),
            dylib_bytes,
            n_deps: artifacts.deps.len(),
            deps_bytes,
            packages: Package::named_in_cells(&artifacts.packages),
        },
    );
    let json = serde_json::to_vec_pretty(&manifest).map_err(|source| {
        Error::new(ErrorKind::Internal, "cannot describe the prelude").with_source(source)
    })?;
    write_atomically(&half.path().join(MANIFEST), &json)?;
    let name = format!("{}-{built_ms}", key(&manifest));
    let dir = place.preludes.join(name);
    open_for_others(half.path())?;
    fs::rename(half.path(), &dir).map_err(|source| Error::io("create", &dir, source))?;
    // Renamed away: there is nothing left for the temporary folder to remove.
    let _ = half.keep();
    InstalledPrelude::open(dir.clone(), manifest).ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            format!("the prelude in {dir:?} disappeared right after it was built"),
        )
    })
}

/// `trialbook-0.1.0_rustc-1.95.0_release`, for people who look into the folder.
fn key(manifest: &PreludeManifest) -> String {
    let has = |name: &str| manifest.features.iter().any(|feature| feature == name);
    format!(
        "trialbook-{}_rustc-{}{}{}{}_{}",
        manifest.version,
        manifest.rustc,
        if has("analyzer") { "_analyzer" } else { "" },
        if has("cuda") { "_cuda" } else { "" },
        if has("wgpu") { "_wgpu" } else { "" },
        manifest.profile
    )
}

/// Every file of the package that went into `dylib`, with what decides on features and
/// dependencies.
fn sources(source: &Path, dylib: &Path, began: SystemTime) -> Result<Vec<SourceFile>> {
    let dep_info = dylib.with_extension("d");
    let text =
        fs::read_to_string(&dep_info).map_err(|error| Error::io("read", &dep_info, error))?;
    let mut files = dep_info_files(&text, source);
    // Cargo names all that the package stands on, and of that the program is no part of the prelude.
    files.retain(|file| !file.starts_with("src/program"));
    files.extend(
        ["Cargo.toml", "Cargo.lock", "src/library/Cargo.toml", FACADE_SOURCE]
            .map(PathBuf::from)
            .into_iter()
            .filter(|file| source.join(file).is_file()),
    );
    files.sort();
    files.dedup();
    files.iter().map(|file| SourceFile::record(source, file, began)).collect()
}

/// Puts `file` into `dir` without copying where the file system can; returns its size.
fn link(file: &Path, dir: &Path) -> Result<u64> {
    let name = file.file_name().map_or_else(|| dylib_name().into(), ToOwned::to_owned);
    let place = dir.join(name);
    if fs::hard_link(file, &place).is_err() {
        fs::copy(file, &place).map_err(|source| Error::io("copy", file, source))?;
    }
    let metadata = fs::metadata(&place).map_err(|source| Error::io("read", &place, source))?;
    Ok(metadata.len())
}

/// A temporary folder is its maker's alone; a prelude may be built by one user and used by others.
fn open_for_others(dir: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
        .map_err(|source| Error::io("set the permissions of", dir, source))
}
