//! The dependencies that `:dep` added to a session, built in one cargo package of the session's
//! folder and handed to cells as arguments for rustc. A change that does not build leaves
//! everything as it was.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::ErrorKind::{AlreadyExists, NotFound},
    path::{Path, PathBuf},
};

use toml::{Table, Value};
use trialbook::error::{Error, Result};

use crate::cell::evcxr::{
    Cache, Config, Dependency, Watch,
    cargo::{Cargo, Made},
};

/// The dependencies of one session.
#[derive(Debug)]
pub struct Dependencies {
    folder: PathBuf,
    wanted: BTreeMap<String, Dependency>,
    built: Built,
    n_builds: u64,
}

/// The parts of the dependencies that a cell's compile needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    /// Each crate's name and its file.
    pub externs: Vec<(String, PathBuf)>,
    /// The folders of the crates that those need.
    pub folders: Vec<PathBuf>,
    /// The folders of native libraries, as `-L` takes them: `native=/path`.
    pub native: Vec<String>,
    /// The shared object that holds them all, when static linking is not allowed. Its folder must
    /// be on the library path of the process that loads cells.
    pub shared: Option<PathBuf>,
}

const PACKAGE: &str = "trialbook_session";

impl Dependencies {
    /// None yet. `folder` is made when the first comes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            // Without a current folder every path is as good as another.
            folder: std::path::absolute(&folder).unwrap_or(folder),
            wanted: BTreeMap::new(),
            built: Built::default(),
            n_builds: 0,
        }
    }

    /// Those there are, by name.
    pub fn list(&self) -> impl Iterator<Item = &Dependency> {
        self.wanted.values()
    }

    /// True if cells can name `crate_name`.
    pub fn has(&self, crate_name: &str) -> bool {
        self.wanted.contains_key(crate_name)
    }

    /// The parts that cells need to use them.
    pub fn built(&self) -> &Built {
        &self.built
    }

    /// Forgets them. What was built stays on disk, and is there again when they are.
    pub fn clear(&mut self) {
        self.wanted.clear();
        self.built = Built::default();
    }

    /// Adds dependencies, or replaces those of the same names, and builds. One that is there as
    /// asked is built again only where its source has changed.
    ///
    /// # Errors
    /// When one cannot be found or built, or at an interrupt. The set is then what it was.
    pub fn add(&mut self, added: Vec<Dependency>, config: &Config, watch: &Watch) -> Result<()> {
        let mut wanted = self.wanted.clone();
        for dependency in added {
            // The prelude is this crate already: another copy would bring other types.
            if dependency.crate_name() != crate::NAME {
                wanted.insert(dependency.crate_name(), dependency);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let lock = self.folder.join("Cargo.lock");
        let lock_before = fs::read(&lock).ok();
        let built = self.build(&wanted, config, watch);
        match built {
            Ok(built) => {
                self.wanted = wanted;
                self.built = built;
                Ok(())
            }
            Err(error) => {
                // Versions that were resolved for the failed set must not stick to the next.
                let restored = match lock_before {
                    Some(text) => fs::write(&lock, text),
                    None => fs::remove_file(&lock).or_else(ignore(NotFound)),
                };
                restored.map_err(|source| Error::io("restore", &lock, source))?;
                Err(error)
            }
        }
    }

    /// Builds again: after the compiler, its flags or the sources have changed.
    ///
    /// # Errors
    /// As [`Dependencies::add`].
    pub fn rebuild(&mut self, config: &Config, watch: &Watch) -> Result<()> {
        self.add(Vec::new(), config, watch)
    }

    fn build(
        &mut self,
        wanted: &BTreeMap<String, Dependency>,
        config: &Config,
        watch: &Watch,
    ) -> Result<Built> {
        // Every build is a crate of its own name: a cell may still use the one before.
        self.n_builds += 1;
        let name = format!("{PACKAGE}_{}", self.n_builds);
        self.write_package(wanted, config, &name)?;
        let cache = if config.cache_bytes > 0 { Some(Cache::open(config)?) } else { None };
        let target_dir = match &cache {
            Some(cache) => cache.target_dir().to_owned(),
            None => self.folder.join("target"),
        };
        let cargo = Cargo { config, folder: &self.folder, target_dir: &target_dir, watch };
        let target = cargo.target()?;
        let direct = cargo.resolve(&target)?;
        let for_cells = target_dir.join(&target);
        let rustc_args: &[&str] =
            if config.allow_static_linking { &[] } else { &["-Cprefer-dynamic", "-Crpath"] };
        let made = cargo.build(&target, rustc_args)?;

        let kept =
            Kept::new(&self.folder.join("crates").join(self.n_builds.to_string()), for_cells)?;
        kept.take(&made)?;
        let mut built = Built { folders: kept.folders(), native: made.native, ..Built::default() };
        for direct in direct {
            let files = made
                .artifacts
                .iter()
                .filter(|artifact| artifact.is_library() && artifact.package_id == direct.package)
                .filter(|artifact| {
                    artifact.is_proc_macro()
                        || artifact.filenames.iter().any(|file| kept.is_for_cells(file))
                })
                .flat_map(|artifact| &artifact.filenames);
            let file = files.clone().find(|file| has_extension(file, "rlib")).or_else(|| {
                files.clone().find(|file| has_extension(file, std::env::consts::DLL_EXTENSION))
            });
            let file = file.ok_or_else(|| {
                Error::invalid(format!("{} is no library that Rust can use", direct.name))
            })?;
            built.externs.push((direct.name, kept.place(file)));
        }
        built.shared = made
            .artifacts
            .iter()
            .flat_map(|artifact| &artifact.filenames)
            .find(|file| {
                let shared = format!("{}{name}", std::env::consts::DLL_PREFIX);
                file.file_stem().is_some_and(|stem| stem == shared.as_str())
                    && has_extension(file, std::env::consts::DLL_EXTENSION)
            })
            .map(|file| kept.place(file));
        if let Some(shared) = &built.shared {
            built.externs.push((name, shared.clone()));
        }
        if let Some(cache) = cache {
            cache.used(&made.artifacts, config.cache_bytes)?;
        }
        Ok(built)
    }

    fn write_package(
        &self,
        wanted: &BTreeMap<String, Dependency>,
        config: &Config,
        name: &str,
    ) -> Result<()> {
        let text = |text: &str| Value::String(text.to_owned());
        let is_shared = !config.allow_static_linking;
        let kind = if is_shared { "dylib" } else { "lib" };
        let level = config.dependency_opt_level();
        let level = level.parse().map_or_else(|_| text(level), Value::Integer);
        let table = |entries: Vec<(&str, Value)>| {
            Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        let dependencies = wanted.values().map(Dependency::entry).collect::<Table>();
        let dev = table(vec![
            ("opt-level", level),
            ("debug", Value::Boolean(false)),
            ("strip", text("debuginfo")),
            ("codegen-units", Value::Integer(16)),
            ("incremental", Value::Boolean(false)),
        ]);
        let manifest = Table::from_iter([
            (
                "package".to_owned(),
                // The package keeps its name, or its lock file would forget the versions in it.
                table(vec![
                    ("name", text(PACKAGE)),
                    ("version", text("0.0.0")),
                    ("edition", text("2024")),
                ]),
            ),
            (
                "lib".to_owned(),
                table(vec![
                    ("name", text(name)),
                    ("path", text("lib.rs")),
                    ("crate-type", Value::Array(vec![text(kind)])),
                ]),
            ),
            ("dependencies".to_owned(), Value::Table(dependencies)),
            ("profile".to_owned(), table(vec![("dev", dev)])),
            // The folder may lie below a workspace of the person's.
            ("workspace".to_owned(), Value::Table(Table::new())),
        ]);
        let source: String = match is_shared {
            // A crate that nothing names would be left out of the shared object.
            true => wanted.keys().map(|name| format!("pub extern crate {name};\n")).collect(),
            false => String::new(),
        };
        fs::create_dir_all(&self.folder)
            .map_err(|source| Error::io("make", &self.folder, source))?;
        for (file, text) in [("Cargo.toml", manifest.to_string()), ("lib.rs", source)] {
            let path = self.folder.join(file);
            fs::write(&path, text).map_err(|source| Error::io("write", &path, source))?;
        }
        Ok(())
    }
}

impl Built {
    /// The arguments that make the crates known to a cell.
    pub fn rustc_args(&self) -> Vec<OsString> {
        let mut args = Vec::new();
        for (name, path) in &self.externs {
            args.push("--extern".into());
            args.push(joined(name, "=", path));
        }
        for folder in &self.folders {
            args.push("-L".into());
            args.push(joined("dependency", "=", folder));
        }
        for native in &self.native {
            args.push("-L".into());
            args.push(native.into());
        }
        args
    }

    /// The beginning of every cell by which rustc takes the crates from the shared object.
    pub fn header(&self) -> Option<String> {
        let shared = self.shared.as_ref()?;
        let (name, _) = self.externs.iter().find(|(_, path)| path == shared)?;
        Some(format!("extern crate {name} as _;"))
    }

    /// The folders that the process that loads cells must look for libraries in.
    pub fn library_folders(&self) -> Vec<PathBuf> {
        let native = self.native.iter().map(|path| {
            PathBuf::from(path.split_once('=').map_or(path.as_str(), |(_, folder)| folder))
        });
        let shared = self.shared.iter().filter_map(|file| file.parent().map(Path::to_owned));
        shared.chain(native).collect()
    }
}

/// The files of one build under the session's own roof: another session may rebuild or throw away
/// what lies in a shared folder, and a rebuilt crate must not change under a running cell.
struct Kept {
    /// The folder in which cargo puts what cells use.
    for_cells: PathBuf,
    cells: PathBuf,
    compiler: PathBuf,
}

impl Kept {
    fn new(folder: &Path, for_cells: PathBuf) -> Result<Self> {
        let kept =
            Self { for_cells, cells: folder.join("cells"), compiler: folder.join("compiler") };
        for folder in kept.folders() {
            fs::create_dir_all(&folder).map_err(|source| Error::io("make", &folder, source))?;
        }
        Ok(kept)
    }

    fn folders(&self) -> Vec<PathBuf> {
        vec![self.cells.clone(), self.compiler.clone()]
    }

    /// True if cargo made the file for cells, and not for the compiler and build scripts.
    fn is_for_cells(&self, file: &Path) -> bool {
        file.starts_with(&self.for_cells)
    }

    fn place(&self, file: &Path) -> PathBuf {
        let folder = if self.is_for_cells(file) { &self.cells } else { &self.compiler };
        folder.join(file.file_name().unwrap_or_default())
    }

    fn take(&self, made: &Made) -> Result<()> {
        let libraries = made.artifacts.iter().filter(|artifact| artifact.is_library());
        for file in libraries.flat_map(|artifact| &artifact.filenames) {
            let place = self.place(file);
            fs::hard_link(file, &place)
                .or_else(ignore(AlreadyExists))
                .or_else(|_| fs::copy(file, &place).map(drop))
                .map_err(|source| Error::io("keep", file, source))?;
        }
        Ok(())
    }
}

fn ignore(kind: std::io::ErrorKind) -> impl Fn(std::io::Error) -> std::io::Result<()> {
    move |error| if error.kind() == kind { Ok(()) } else { Err(error) }
}

fn joined(left: &str, separator: &str, right: &Path) -> OsString {
    let mut text = OsString::from(left);
    text.push(separator);
    text.push(right);
    text
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}
