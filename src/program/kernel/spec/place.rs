//! The folders in which Jupyter keeps its data, by its own rules
//! (<https://docs.jupyter.org/en/latest/use/jupyter-directories.html>).

use std::{ffi::OsString, path::PathBuf, process::Command};

use trialbook::error::{Error, ErrorKind, Result};

/// Whose Jupyter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Every one of this user.
    User,
    /// The one below this folder.
    Prefix(PathBuf),
}

impl Place {
    /// Jupyter's data folder there.
    ///
    /// # Errors
    /// When the user has no home.
    pub(super) fn data_dir(
        &self,
        env: &dyn Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<PathBuf> {
        let folder = |name: &str| env(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        if let Self::Prefix(prefix) = self {
            return Ok(prefix.join("share").join("jupyter"));
        }
        if let Some(dir) = folder("JUPYTER_DATA_DIR") {
            return Ok(dir);
        }
        let home = || {
            home.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, "this user has no home folder")
                    .with_hint("name a folder with --prefix DIR or in JUPYTER_DATA_DIR")
            })
        };
        if cfg!(target_os = "macos") {
            return Ok(home()?.join("Library").join("Jupyter"));
        }
        if cfg!(windows) {
            return match folder("APPDATA") {
                Some(dir) => Ok(dir.join("jupyter")),
                None => Ok(home()?.join(".jupyter").join("data")),
            };
        }
        match folder("XDG_DATA_HOME") {
            Some(dir) => Ok(dir.join("jupyter")),
            None => Ok(home()?.join(".local").join("share").join("jupyter")),
        }
    }
}

/// The prefix of the active Python environment.
///
/// # Errors
/// When no environment is active and there is no python3.
pub(super) fn sys_prefix() -> Result<PathBuf> {
    for name in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        if let Some(prefix) = std::env::var_os(name).filter(|prefix| !prefix.is_empty()) {
            return Ok(prefix.into());
        }
    }
    let hint = "activate an environment, or name the folder with --prefix DIR";
    let python = if cfg!(windows) { "python" } else { "python3" };
    let output = Command::new(python)
        .args(["-c", "import sys; sys.stdout.write(sys.prefix)"])
        .output()
        .map_err(|source| {
            Error::new(
                ErrorKind::NotFound,
                format!("no Python environment is active, and {python} cannot be run"),
            )
            .with_source(source)
            .with_hint(hint)
        })?;
    match String::from_utf8(output.stdout) {
        Ok(prefix) if output.status.success() && !prefix.is_empty() => Ok(prefix.into()),
        _ => Err(Error::new(ErrorKind::NotFound, format!("{python} does not say its sys.prefix"))
            .with_hint(hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_users_folder_follows_the_environment() {
        let check = |variables: &[(&str, &str)], expected: &str| {
            let env = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, dir)| dir.into())
            };
            let found = Place::User.data_dir(&env, Some("/home/ada".into())).unwrap();
            assert_eq!(found, PathBuf::from(expected), "{variables:?}");
        };
        check(&[], "/home/ada/.local/share/jupyter");
        check(&[("XDG_DATA_HOME", "/xdg")], "/xdg/jupyter");
        check(&[("JUPYTER_DATA_DIR", "/data"), ("XDG_DATA_HOME", "/xdg")], "/data");
        check(&[("JUPYTER_DATA_DIR", "")], "/home/ada/.local/share/jupyter");
        assert!(Place::User.data_dir(&|_| None, None).is_err());
    }

    #[test]
    fn a_prefix_has_its_data_in_share() {
        let place = Place::Prefix("/opt/env".into());
        let env = |_: &str| Some("/elsewhere".into());
        assert_eq!(place.data_dir(&env, None).unwrap(), PathBuf::from("/opt/env/share/jupyter"));
    }
}
