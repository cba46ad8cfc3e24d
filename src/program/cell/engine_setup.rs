//! Puts an engine together: the toolchain, the prelude, a folder to work in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use trialbook::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    progress::Monitor,
};

use crate::{
    cell::{
        engine::{Compiler, Engine, EngineParts, Running},
        options::Options,
    },
    toolchain::{BuildProfile, InstalledPrelude, Lookup, RustToolchain},
};

/// The folder in which a session compiles. Removed with it; what a killed session left is removed
/// by the next.
#[derive(Debug)]
pub(crate) struct SessionFolder(PathBuf);

const PREFIX: &str = "trialbook-session-";

impl SessionFolder {
    /// A folder of this process's own below `root`, or below the system's for temporary files. It is
    /// made when first used.
    pub(crate) fn new(root: Option<&Path>) -> Self {
        let name = format!("{PREFIX}{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
        Self(root.map_or_else(std::env::temp_dir, Path::to_owned).join(name))
    }

    /// Its path, also before it is there.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn make(&self) -> Result<()> {
        if let Some(root) = self.0.parent() {
            sweep(root);
        }
        fs::create_dir_all(&self.0).map_err(|source| Error::io("make", &self.0, source))
    }
}

impl Drop for SessionFolder {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of sessions whose process is gone.
fn sweep(root: &Path) {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok())
            .and_then(rustix::process::Pid::from_raw);
        let gone =
            |process| rustix::process::test_kill_process(process) == Err(rustix::io::Errno::SRCH);
        if process.is_some_and(gone) {
            // Somebody else's folder stays somebody else's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// An engine, where toolchain and prelude are there.
///
/// # Errors
/// When one of them is not.
pub(crate) fn find(options: &Options, running: &Running, folder: &SessionFolder) -> Result<Engine> {
    let toolchain = RustToolchain::detect()?;
    match InstalledPrelude::find(&toolchain) {
        Lookup::Fresh(prelude) => assemble(options, running, folder, &toolchain, prelude),
        Lookup::Stale { .. } | Lookup::Missing => {
            Err(Error::new(ErrorKind::Unavailable, "the prelude is not built yet")
                .with_hint(Hint::new().run("prelude build").say(" builds it")))
        }
    }
}

/// An engine of the toolchain called `toolchain`, or of the person's default one; builds the prelude
/// first where there is none that fits.
///
/// # Errors
/// When there is no toolchain, or the prelude cannot be built.
pub(crate) fn open(
    options: &Options,
    running: &Running,
    folder: &SessionFolder,
    toolchain: Option<&str>,
    monitor: &Monitor,
) -> Result<Engine> {
    let toolchain = toolchain.map_or_else(RustToolchain::detect, RustToolchain::named)?;
    let prelude = match InstalledPrelude::find(&toolchain) {
        Lookup::Fresh(prelude) => prelude,
        // One built from other sources may speak another language than this program.
        Lookup::Stale { .. } | Lookup::Missing => {
            InstalledPrelude::build(&toolchain, BuildProfile::of_this_program(), monitor)?
        }
    };
    assemble(options, running, folder, &toolchain, prelude)
}

fn assemble(
    options: &Options,
    running: &Running,
    folder: &SessionFolder,
    toolchain: &RustToolchain,
    prelude: InstalledPrelude,
) -> Result<Engine> {
    folder.make()?;
    let tools = toolchain.lib_dir.parent().map(|parent| parent.join("bin/rust-lld"));
    let is_builtins = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "rlib")
            && path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("libcompiler_builtins-"))
    };
    let builtins = fs::read_dir(&toolchain.lib_dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(is_builtins);
    Ok(Engine::new(EngineParts {
        compiler: Compiler {
            rustc: toolchain.rustc.clone(),
            prelude: prelude.dylib.clone(),
            prelude_deps: prelude.deps.clone(),
            facade: prelude.facade.clone(),
            // Elsewhere linkers want to know every symbol: there rustc links, with the prelude.
            lld: tools.filter(|tool| cfg!(target_os = "linux") && tool.is_file()),
            builtins,
            dir: folder.path().to_owned(),
            // An optimised prelude has few generic functions to offer, and a cell of frames finds
            // half of what it needs among them. One that is not has so many that looking for them
            // takes a quarter of a second, however small the cell.
            shares_generics: prelude.profile == BuildProfile::Release,
        },
        prelude,
        library_dirs: vec![toolchain.lib_dir.clone()],
        store: options.store.clone(),
        grace: options.grace,
        running: running.clone(),
    }))
}
