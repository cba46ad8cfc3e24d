//! The startup of a session: `evcxr.toml` of the working folder or of evcxr's own, and beside the
//! latter `init.evcxr` (commands) and `prelude.rs` (Rust). It reads; the session runs them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Table;
use trialbook::error::{Error, ErrorKind, Result};

use crate::cell::evcxr::{Config, Dependency, program};

/// The content of the startup files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Startup {
    /// The `evcxr.toml` that was read, where there is one.
    pub source: Option<PathBuf>,
    /// The commands to run first: the dependencies of `evcxr.toml`, else `init.evcxr`.
    pub commands: Option<String>,
    /// The Rust to run after them: the prelude of `evcxr.toml`, else `prelude.rs`.
    pub prelude: Option<String>,
    /// The session's folder, from `evcxr.toml` or `EVCXR_TMPDIR`.
    pub folder: Option<PathBuf>,
    settings: Settings,
}

#[derive(Debug, Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    evcxr: Settings,
    #[serde(default)]
    dependencies: Table,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct Settings {
    tmpdir: Option<PathBuf>,
    preserve_vars_on_panic: Option<bool>,
    offline_mode: Option<bool>,
    sccache: Option<PathBuf>,
    allow_static_linking: Option<bool>,
    prelude: Option<String>,
    opt_level: Option<String>,
}

/// The folder of evcxr's settings: `EVCXR_CONFIG_DIR`, else `evcxr` among the person's settings.
pub fn config_folder() -> Option<PathBuf> {
    env::var_os("EVCXR_CONFIG_DIR")
        .map(PathBuf::from)
        .or_else(|| program::config_dir().map(|folder| folder.join("evcxr")))
}

impl Startup {
    /// The startup of this process.
    ///
    /// # Errors
    /// When a file is there and cannot be read or understood.
    pub fn find() -> Result<Self> {
        let working = env::current_dir().unwrap_or_default();
        let mut startup = Self::read(&working, config_folder().as_deref())?;
        startup.folder = startup.folder.or_else(|| env::var_os("EVCXR_TMPDIR").map(PathBuf::from));
        Ok(startup)
    }

    /// The startup of a session in the folder `working`, beside the settings in `config`.
    ///
    /// # Errors
    /// When a file is there and cannot be read or understood.
    pub fn read(working: &Path, config: Option<&Path>) -> Result<Self> {
        let mut startup = Self::default();
        for folder in [Some(working), config].into_iter().flatten() {
            let path = folder.join("evcxr.toml");
            let Some(text) = read(&path)? else { continue };
            let manifest: Manifest = toml::from_str(&text).map_err(|source| {
                Error::invalid(format!("cannot understand {path:?}")).with_source(source)
            })?;
            startup.commands = commands(manifest.dependencies, working)
                .map_err(|error| error.with_context(path.display()))?;
            startup.prelude = manifest.evcxr.prelude.clone();
            startup.folder = manifest.evcxr.tmpdir.clone();
            startup.settings = manifest.evcxr;
            startup.source = Some(path);
            break;
        }
        if let Some(config) = config {
            if startup.commands.is_none() {
                startup.commands = read(&config.join("init.evcxr"))?;
            }
            if startup.prelude.is_none() {
                startup.prelude = read(&config.join("prelude.rs"))?;
            }
        }
        Ok(startup)
    }

    /// Presets what `evcxr.toml` sets; everything else stays.
    ///
    /// # Errors
    /// When it sets something that could not work.
    pub fn apply(&self, config: &mut Config) -> Result<()> {
        let settings = &self.settings;
        if let Some(level) = &settings.opt_level {
            config.set_opt_level(level)?;
        }
        if let Some(value) = settings.preserve_vars_on_panic {
            config.preserve_vars_on_panic = value;
        }
        if let Some(value) = settings.offline_mode {
            config.offline = value;
        }
        if let Some(value) = settings.allow_static_linking {
            config.allow_static_linking = value;
        }
        if settings.sccache.is_some() {
            config.set_sccache_path(settings.sccache.clone());
        }
        Ok(())
    }

    /// The cells to run, in order.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        [&self.commands, &self.prelude].into_iter().flatten().map(String::as_str)
    }
}

fn commands(dependencies: Table, folder: &Path) -> Result<Option<String>> {
    let lines = dependencies
        .into_iter()
        .map(|(name, wanted)| Ok(format!(":dep {}\n", Dependency::new(&name, wanted, folder)?)))
        .collect::<Result<String>>()?;
    Ok(Some(lines).filter(|lines| !lines.is_empty()))
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path).map_err(|source| Error::io("read", path, source)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}
