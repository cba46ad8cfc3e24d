//! Finds programs on the search path, and the folders that belong to a person.

use std::{env, path::PathBuf};

/// The first file called `name` in the folders of `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The system's folder of a person's settings: evcxr looks below it.
pub(crate) fn config_dir() -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        return home().map(|home| home.join("Library/Application Support"));
    }
    absolute("XDG_CONFIG_HOME").or_else(|| home().map(|home| home.join(".config")))
}

/// The system's folder of what can be made again.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        return home().map(|home| home.join("Library/Caches"));
    }
    absolute("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")))
}

fn home() -> Option<PathBuf> {
    absolute("HOME")
}

/// A folder that a variable names. The XDG specification says to pass over relative ones.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
