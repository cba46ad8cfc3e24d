//! The rustc and cargo in use: `RUSTC`, then rustup's choice for this folder, then the path.
//! The real programs are called, not rustup's proxies, which cost 30 ms a call.

use std::{
    env::{
        self,
        consts::{DLL_PREFIX, DLL_SUFFIX, EXE_SUFFIX},
    },
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use trialbook::error::{Error, ErrorKind, Result};

/// The advice where there is no compiler.
const INSTALL: &str = "install Rust from https://rustup.rs; commands (`:help`) work without it";

/// One installed compiler and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RustToolchain {
    /// The compiler itself.
    pub rustc: PathBuf,
    /// Cargo, which only building needs.
    pub cargo: Option<PathBuf>,
    /// The triple it compiles for: `x86_64-unknown-linux-gnu`.
    pub host: String,
    /// Its release: `1.95.0`, `1.97.0-nightly`.
    pub version: String,
    /// The commit it was built from, empty where it does not say.
    pub commit: String,
    /// The folder of its libraries and its linker.
    pub sysroot: PathBuf,
    /// The folder of `libstd-….so`, which every cell and the prelude load.
    pub lib_dir: PathBuf,
}

impl RustToolchain {
    /// The compiler that a build in the current folder would use.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when there is none, or none that works.
    pub fn detect() -> Result<Self> {
        if let Some(rustc) = env::var_os("RUSTC").filter(|rustc| !rustc.is_empty()) {
            return Self::at(&PathBuf::from(rustc));
        }
        let rustc = rustup(&["which", "rustc"])
            .and_then(|line| line.ok())
            .map(PathBuf::from)
            .or_else(|| program("rustc"))
            .ok_or_else(|| {
                Error::new(ErrorKind::Unavailable, "no Rust compiler found: running Rust needs one")
                    .with_hint(INSTALL)
            })?;
        Self::at(&rustc)
    }

    /// The compiler of rustup's toolchain `name`, such as `nightly`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] without rustup, [`ErrorKind::NotFound`] when it knows no such
    /// toolchain.
    pub fn named(name: &str) -> Result<Self> {
        let line = rustup(&["which", "--toolchain", name, "rustc"]).ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!("cannot choose the toolchain {name:?}: rustup is not installed"),
            )
            .with_hint(INSTALL)
        })?;
        let rustc = line.map_err(|said| {
            Error::new(ErrorKind::NotFound, format!("toolchain {name:?}: {said}"))
                .with_hint(format!("install it with `rustup toolchain install {name}`"))
        })?;
        Self::at(Path::new(&rustc))
    }

    /// The compiler `rustc`, a path or a name to be looked for.
    fn at(rustc: &Path) -> Result<Self> {
        // A start of the compiler takes a while: both at once.
        let (about, sysroot) = std::thread::scope(|threads| {
            let sysroot = threads.spawn(|| said_by(rustc, &["--print", "sysroot"]));
            let about = said_by(rustc, &["-vV"]);
            let gone = |_| Err(broken(rustc, "its answer was lost"));
            (about, sysroot.join().unwrap_or_else(gone))
        });
        let about = about?;
        let field = |name: &str| {
            about.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).map(str::to_owned)
        };
        let (Some(host), Some(version)) = (field("host:"), field("release:")) else {
            return Err(broken(rustc, "`rustc -vV` names no host and no release"));
        };
        let sysroot = PathBuf::from(sysroot?.trim());
        let lib_dir = sysroot.join("lib/rustlib").join(&host).join("lib");
        if !has_std(&lib_dir) {
            return Err(broken(
                rustc,
                &format!("its standard library is missing in {}", lib_dir.display()),
            ));
        }
        Ok(Self {
            cargo: cargo_beside(&sysroot),
            rustc: rustc.to_owned(),
            commit: field("commit-hash:").filter(|commit| commit != "unknown").unwrap_or_default(),
            host,
            version,
            sysroot,
            lib_dir,
        })
    }

    /// `rustc 1.95.0 (x86_64-unknown-linux-gnu)`.
    pub fn describe(&self) -> String {
        format!("rustc {} ({})", self.version, self.host)
    }
}

/// The answer of `rustup` on one line: `None` where it is not installed, its own complaint inside
/// where it refuses.
fn rustup(args: &[&str]) -> Option<Result<String, String>> {
    let output = Command::new(program("rustup")?).args(args).stdin(Stdio::null()).output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Some(Ok(text(&output.stdout)));
    }
    let said = text(&output.stderr);
    let line = said.lines().next().unwrap_or("it refused without a reason");
    Some(Err(line.trim_start_matches("error: ").to_owned()))
}

fn said_by(rustc: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(rustc)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| broken(rustc, "it cannot be started").with_source(source))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(broken(rustc, said.trim().lines().next().unwrap_or("it fails")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn broken(rustc: &Path, reason: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the Rust compiler {} does not work: {reason}", rustc.display()),
    )
    .with_hint("repair it with `rustup update`, or name another one with RUSTC=PATH")
}

/// `program` on the path, or where rustup puts it: a kernel started by a desktop often has a path
/// without `~/.cargo/bin`.
fn program(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{EXE_SUFFIX}");
    let on_path = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .map(|home| home.join("bin"));
    env::split_paths(&on_path).chain(home).map(|dir| dir.join(&file)).find(|path| path.is_file())
}

/// The toolchain's own cargo, or whichever there is: a distribution may keep it elsewhere.
fn cargo_beside(sysroot: &Path) -> Option<PathBuf> {
    let own = sysroot.join("bin").join(format!("cargo{EXE_SUFFIX}"));
    if own.is_file() { Some(own) } else { program("cargo") }
}

fn has_std(lib_dir: &Path) -> bool {
    let is_std = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with(&format!("{DLL_PREFIX}std-")) && name.ends_with(DLL_SUFFIX)
    };
    fs::read_dir(lib_dir)
        .is_ok_and(|entries| entries.flatten().any(|entry| is_std(&entry.file_name())))
}
