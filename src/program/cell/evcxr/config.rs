//! The settings by which cells and their dependencies are compiled and shown: evcxr's commands set
//! them, and startup files preset them. Plain data; a value that could not work is refused when it
//! is set.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use trialbook::error::{Error, ErrorKind, Result};

use crate::cell::evcxr::program;

/// The settings of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    opt_level: Option<String>,
    output_format: String,
    error_format: ErrorFormat,
    linker: Option<Linker>,
    toolchain: Option<Toolchain>,
    codegen_backend: Option<String>,
    sccache: Option<PathBuf>,
    /// True if the type is shown above a cell's value. Default false.
    pub display_types: bool,
    /// True if variables survive a panic. Default true.
    pub preserve_vars_on_panic: bool,
    /// True if a cell says the time that it took. Default false.
    pub timing: bool,
    /// True if rustc says the time of its passes; nightly only. Default false.
    pub time_passes: bool,
    /// True if cargo stays away from the network. Default false.
    pub offline: bool,
    /// True if dependencies are linked into each cell. Default true, as in evcxr; otherwise all
    /// cells share one copy, statics included.
    pub allow_static_linking: bool,
    /// The space that built dependencies may take on disk to be shared between sessions, in bytes;
    /// 0 shares nothing. Default 0.
    pub cache_bytes: u64,
    /// The folder in which they are kept then. Default: a folder of its own among the person's
    /// caches.
    pub cache_folder: Option<PathBuf>,
    /// True if the session explains its own inner workings. Default false.
    pub debug: bool,
    /// Variables of the environment for rustc and cargo.
    pub build_env: BTreeMap<String, String>,
    /// Variables of the environment for the process that runs cells, from its next start on.
    pub env: BTreeMap<String, String>,
}

/// The form in which an error that `?` returned is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorFormat {
    /// `{}`
    #[default]
    Display,
    /// `{:?}`
    Debug,
    /// `{:#?}`
    Pretty,
}

/// The linker of cells and dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linker {
    /// The linker that rustc takes by itself.
    System,
    /// LLVM's.
    Lld,
    /// mold.
    Mold,
}

/// A toolchain other than the default one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Toolchain {
    name: String,
    rustc: PathBuf,
    cargo: PathBuf,
}

const OPT_LEVELS: [&str; 6] = ["0", "1", "2", "3", "s", "z"];

/// Cells call into a prelude that is optimised already: compiling them fast is what counts.
const CELL_OPT_LEVEL: &str = "0";

/// The optimisation with which evcxr builds dependencies: they do the work and are built once.
const DEPENDENCY_OPT_LEVEL: &str = "2";

impl Default for Config {
    fn default() -> Self {
        Self {
            opt_level: None,
            output_format: "{:?}".to_owned(),
            error_format: ErrorFormat::default(),
            linker: None,
            toolchain: None,
            codegen_backend: None,
            sccache: None,
            display_types: false,
            preserve_vars_on_panic: true,
            timing: false,
            time_passes: false,
            offline: false,
            allow_static_linking: true,
            cache_bytes: 0,
            cache_folder: program::cache_dir().map(|folder| folder.join("trialbook/dependencies")),
            debug: false,
            build_env: BTreeMap::new(),
            env: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The level that cells are compiled with. Default 0.
    pub fn opt_level(&self) -> &str {
        self.opt_level.as_deref().unwrap_or(CELL_OPT_LEVEL)
    }

    /// The level that dependencies are compiled with: 2, or what was chosen for everything.
    pub fn dependency_opt_level(&self) -> &str {
        self.opt_level.as_deref().unwrap_or(DEPENDENCY_OPT_LEVEL)
    }

    /// Chooses the level for cells and dependencies.
    ///
    /// # Errors
    /// When rustc has no such level.
    pub fn set_opt_level(&mut self, level: &str) -> Result<()> {
        if !OPT_LEVELS.contains(&level) {
            return Err(Error::invalid(format!("optimization level {level:?} does not exist"))
                .with_hint(format!("one of {}", OPT_LEVELS.join(", "))));
        }
        self.opt_level = Some(level.to_owned());
        Ok(())
    }

    /// The format of a cell's value that has no richer form. Default `{:?}`.
    pub fn output_format(&self) -> &str {
        &self.output_format
    }

    /// Chooses how values are written.
    ///
    /// # Errors
    /// When the format does not take exactly one value.
    pub fn set_output_format(&mut self, format: &str) -> Result<()> {
        let bare = format.replace("{{", "").replace("}}", "");
        let is_one = bare.matches('{').count() == 1
            && bare.matches('}').count() == 1
            && bare.find('{') < bare.find('}');
        if !is_one {
            return Err(Error::invalid(format!(
                "output format {format:?} does not show one value"
            ))
            .with_hint("such as {:?}, {:#?} or {}"));
        }
        self.output_format = format.to_owned();
        Ok(())
    }

    /// The format of an error that `?` returned. Default `{}`.
    pub fn error_format(&self) -> ErrorFormat {
        self.error_format
    }

    /// Chooses how errors are shown.
    ///
    /// # Errors
    /// When it is none of the three formats.
    pub fn set_error_format(&mut self, format: &str) -> Result<()> {
        self.error_format = ErrorFormat::ALL
            .into_iter()
            .find(|known| known.format() == format)
            .ok_or_else(|| {
                let known = ErrorFormat::ALL.map(ErrorFormat::format).join(", ");
                Error::invalid(format!("error format {format:?} is not supported"))
                    .with_hint(format!("one of {known}"))
            })?;
        Ok(())
    }

    /// The linker: the one that was chosen, else the fastest one installed.
    pub fn linker(&self) -> Linker {
        self.linker.unwrap_or_else(Linker::fastest)
    }

    /// Chooses what links.
    ///
    /// # Errors
    /// When the linker is unknown or not installed.
    pub fn set_linker(&mut self, name: &str) -> Result<()> {
        let linker =
            Linker::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
                let known = Linker::ALL.map(Linker::name).join(", ");
                Error::invalid(format!("linker {name:?} is not supported"))
                    .with_hint(format!("one of {known}"))
            })?;
        if !linker.is_installed() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("linker {name:?} is not installed"),
            )
            .with_hint("install it, or use `:linker system`"));
        }
        self.linker = Some(linker);
        Ok(())
    }

    /// The toolchain's name, empty for the default one.
    pub fn toolchain(&self) -> &str {
        self.toolchain.as_ref().map_or("", |toolchain| &toolchain.name)
    }

    /// Chooses a toolchain of rustup.
    ///
    /// # Errors
    /// When rustup does not have it.
    pub fn set_toolchain(&mut self, name: &str) -> Result<()> {
        let tool = |tool: &str| {
            let output = Command::new("rustup")
                .args(["which", "--toolchain", name, tool])
                .output()
                .map_err(|source| {
                    Error::new(ErrorKind::Unavailable, "cannot ask rustup for toolchains")
                        .with_source(source)
                        .with_hint("install rustup from https://rustup.rs")
                })?;
            if !output.status.success() {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("toolchain {name:?} is not installed"),
                )
                .with_hint(format!("rustup toolchain install {name}")));
            }
            Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        };
        self.toolchain =
            Some(Toolchain { name: name.to_owned(), rustc: tool("rustc")?, cargo: tool("cargo")? });
        Ok(())
    }

    /// The compiler.
    pub fn rustc(&self) -> &Path {
        self.toolchain.as_ref().map_or(Path::new("rustc"), |toolchain| &toolchain.rustc)
    }

    /// The builder of dependencies.
    pub fn cargo(&self) -> &Path {
        self.toolchain.as_ref().map_or(Path::new("cargo"), |toolchain| &toolchain.cargo)
    }

    /// The code generator, `default` for rustc's own.
    pub fn codegen_backend(&self) -> &str {
        self.codegen_backend.as_deref().unwrap_or("default")
    }

    /// Chooses the code generator; any but `default` needs a nightly toolchain.
    pub fn set_codegen_backend(&mut self, name: &str) {
        self.codegen_backend = (name != "default").then(|| name.to_owned());
    }

    /// The program that caches what rustc makes, where one is used.
    pub fn sccache(&self) -> Option<&Path> {
        self.sccache.as_deref()
    }

    /// Uses `path` in front of rustc, or nothing.
    pub(crate) fn set_sccache_path(&mut self, path: Option<PathBuf>) {
        self.sccache = path;
    }

    /// Turns sccache on or off.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn set_sccache(&mut self, is_on: bool) -> Result<()> {
        self.sccache = match is_on {
            false => None,
            true => Some(program::find("sccache").ok_or_else(|| {
                Error::new(ErrorKind::NotFound, "cannot find sccache on the search path")
                    .with_hint("install it with `cargo install sccache`")
            })?),
        };
        Ok(())
    }

    /// The flags of rustc for these settings, for cells and dependencies alike. None as long as
    /// nothing was chosen: cells then link in the fastest way there is, and crates hardly link at
    /// all.
    pub fn rustc_flags(&self) -> Vec<String> {
        let linker = self.linker.and_then(Linker::flag);
        let mut flags: Vec<String> = linker.map(str::to_owned).into_iter().collect();
        if self.time_passes {
            flags.push("-Ztime-passes".to_owned());
        }
        flags.extend(self.codegen_backend.iter().map(|name| format!("-Zcodegen-backend={name}")));
        flags
    }
}

impl ErrorFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Display, Self::Debug, Self::Pretty];

    /// The format as a cell would write it.
    pub fn format(self) -> &'static str {
        match self {
            Self::Display => "{}",
            Self::Debug => "{:?}",
            Self::Pretty => "{:#?}",
        }
    }

    /// The trait that errors must implement to be shown so.
    pub fn trait_name(self) -> &'static str {
        match self {
            Self::Display => "std::fmt::Display",
            Self::Debug | Self::Pretty => "std::fmt::Debug",
        }
    }
}

impl Linker {
    /// All of them, fastest last.
    pub const ALL: [Self; 3] = [Self::System, Self::Lld, Self::Mold];

    /// Its name in `:linker`.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Lld => "lld",
            Self::Mold => "mold",
        }
    }

    /// The flag by which rustc uses it.
    fn flag(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Lld => Some("-Clink-arg=-fuse-ld=lld"),
            Self::Mold => Some("-Clink-arg=-fuse-ld=mold"),
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::System => true,
            // The compiler driver looks for `ld.NAME`; neither links for macOS.
            Self::Lld | Self::Mold => {
                !cfg!(target_os = "macos")
                    && program::find(&format!("ld.{}", self.name())).is_some()
            }
        }
    }

    fn fastest() -> Self {
        Self::ALL.into_iter().rfind(|linker| linker.is_installed()).unwrap_or(Self::System)
    }
}

impl fmt::Display for Linker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
