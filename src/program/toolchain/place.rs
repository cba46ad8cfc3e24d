//! The folders of the prelude: its sources, cargo's builds of them, and the finished preludes.
//! It creates nothing.

use std::{
    env,
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    path::{Path, PathBuf},
};

use trialbook::error::{Error, ErrorKind, Result};

/// The environment variable that names the folder of preludes.
const PRELUDE_ENV: &str = "TRIALBOOK_PRELUDE";

/// The environment variable that names the folder of trialbook's sources.
const SOURCE_ENV: &str = "TRIALBOOK_SOURCE";

/// Every folder that building and finding a prelude needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildFolders {
    /// The sources of trialbook, the root of its workspace.
    pub(super) source: PathBuf,
    /// Cargo's target folder.
    pub(super) target: PathBuf,
    /// Finished preludes, a folder each.
    pub(super) preludes: PathBuf,
    /// True in cargo's folder of debug builds, false in that of release builds; `None` where the
    /// program was installed.
    pub(super) is_debug: Option<bool>,
}

impl BuildFolders {
    /// The folders as this process stands. Inside a target folder that folder is used, so that
    /// cargo finds every dependency built; an installed program builds in the user's cache.
    pub(super) fn of_this_process() -> Self {
        let source = env::var_os(SOURCE_ENV).map_or_else(|| workspace().to_owned(), PathBuf::from);
        let beside = env::current_exe()
            .and_then(fs::canonicalize)
            .ok()
            .and_then(|program| target_folder(&program));
        let is_debug = beside.as_ref().map(|(_, is_debug)| *is_debug);
        let target = beside.map_or_else(|| cache().join("target"), |(target, _)| target);
        let preludes = match env::var_os(PRELUDE_ENV) {
            Some(dir) => PathBuf::from(dir),
            None if is_debug.is_some() => target.join("prelude"),
            None => cache().join("prelude"),
        };
        Self { source, target, preludes, is_debug }
    }

    /// # Errors
    /// [`ErrorKind::Unavailable`] when the sources this program was built from are gone.
    pub(super) fn check_source(&self) -> Result<()> {
        if self.source.join("Cargo.toml").is_file() && self.source.join("src/lib.rs").is_file() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("the sources of trialbook are not in {} any more", self.source.display()),
        )
        .with_hint(format!(
            "the prelude is built from them: set {SOURCE_ENV}=DIR to a checkout of version {}",
            env!("CARGO_PKG_VERSION")
        )))
    }
}

/// The library's file name on this system.
pub(super) fn dylib_name() -> String {
    format!("{DLL_PREFIX}trialbook{DLL_SUFFIX}")
}

/// The sources that this program was built from.
fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// Cargo's target folder that `program` was built into, and whether it is a debug build:
/// `T/debug/trialbook`, or `T/debug/deps/…` for tests. Cargo marks `T` with a tag.
fn target_folder(program: &Path) -> Option<(PathBuf, bool)> {
    let mut dir = program.parent()?;
    if dir.file_name()? == "deps" {
        dir = dir.parent()?;
    }
    let is_debug = match dir.file_name()?.to_str()? {
        "debug" => true,
        "release" => false,
        _ => return None,
    };
    let target = dir.parent()?;
    target.join("CACHEDIR.TAG").is_file().then(|| (target.to_owned(), is_debug))
}

/// The user's cache folder for this program.
fn cache() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("trialbook")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_in_a_target_folder_is_known_by_the_tag() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        for (program, expected) in [
            ("debug/trialbook", Some(true)),
            ("debug/deps/integration-1234", Some(true)),
            ("release/trialbook", Some(false)),
            ("bin/trialbook", None),
        ] {
            let program = target.join(program);
            assert_eq!(target_folder(&program), None, "no tag yet: {program:?}");
            fs::create_dir_all(&target).unwrap();
            fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
            let expected = expected.map(|is_debug| (target.clone(), is_debug));
            assert_eq!(target_folder(&program), expected, "{program:?}");
            fs::remove_file(target.join("CACHEDIR.TAG")).unwrap();
        }
    }
}
