//! One direct call of rustc a cell. With the prelude already compiled, and the linker called
//! without the prelude, a small cell takes a tenth of a second; cargo alone would take longer.

use std::{
    ffi::OsString,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use trialbook::error::{Error, ErrorKind, Result};

use crate::{
    cell::engine::{diagnostic::Errors, program::Program, running::Running},
    toolchain::GroupId,
};

/// The compiler of cells, with its settings.
#[derive(Debug, Clone)]
pub(crate) struct Compiler {
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// The prelude.
    pub(crate) prelude: PathBuf,
    /// The folder of the crates that the prelude is made of.
    pub(crate) prelude_deps: PathBuf,
    /// The linker that comes with the compiler, where there is one.
    pub(crate) lld: Option<PathBuf>,
    /// The compiler's own helper routines, which a cell may need.
    pub(crate) builtins: Option<PathBuf>,
    /// The folder in which sources and cells are written.
    pub(crate) dir: PathBuf,
    /// True if a cell uses the generic functions that the prelude has already made.
    pub(crate) shares_generics: bool,
}

/// The settings that differ between cells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Settings {
    /// `-C opt-level`.
    pub(crate) opt_level: String,
    /// More arguments: the crates that the person added, a linker.
    pub(crate) arguments: Vec<OsString>,
    /// More environment variables.
    pub(crate) environment: Vec<(String, String)>,
    /// True if rustc links the cell itself: it must, where the person's crates are linked in.
    pub(crate) full_link: bool,
}

/// The reason why a program was not compiled.
pub(crate) enum Refusal {
    /// It is wrong.
    Errors(Errors),
    /// The person asked for the stop.
    Interrupted,
    /// The compiler could not be run.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Compiler {
    /// Compiles `program` to a shared object in `dir`, under the name `name`.
    pub(crate) fn compile(
        &self,
        program: &Program,
        name: &str,
        settings: &Settings,
        running: &Running,
    ) -> Result<PathBuf, Refusal> {
        let library = self.dir.join(format!("{name}.so"));
        let Some(lld) = self.lld.as_ref().filter(|_| !settings.full_link) else {
            let mut rustc = self.rustc(program, name, settings)?;
            if cfg!(target_os = "linux") {
                rustc.arg(format!("-Clink-arg=-Wl,{OWN_FUNCTIONS}"));
            }
            rustc.arg("-o").arg(&library);
            run(rustc, running)?;
            return Ok(library);
        };
        let object = self.dir.join(format!("{name}.o"));
        let mut rustc = self.rustc(program, name, settings)?;
        rustc.arg("--emit=obj").arg("-o").arg(&object);
        run(rustc, running)?;
        // The prelude is in the child already, its symbols are global there: reading its symbol
        // table here would cost more than all else together.
        let mut link = Command::new(lld);
        link.args([
            "-shared",
            OWN_FUNCTIONS,
            "-z",
            "undefs",
            "--gc-sections",
            "--eh-frame-hdr",
            "-o",
        ])
        .arg(&library)
        .arg(&object)
        .args(&self.builtins);
        run(link, running)?;
        // Only the library is needed from here on.
        let _ = std::fs::remove_file(object);
        Ok(library)
    }

    /// Checks `program` without making code of it.
    pub(crate) fn check(
        &self,
        program: &Program,
        name: &str,
        settings: &Settings,
        running: &Running,
    ) -> Result<(), Refusal> {
        let mut rustc = self.rustc(program, name, settings)?;
        rustc.arg("--emit=metadata").arg("-o").arg(self.dir.join(format!("{name}.rmeta")));
        run(rustc, running)
    }

    /// `program` with its macros expanded.
    pub(crate) fn expand(
        &self,
        program: &Program,
        name: &str,
        settings: &Settings,
        running: &Running,
    ) -> Result<String, Refusal> {
        let expanded = self.dir.join(format!("{name}.expanded.rs"));
        let mut rustc = self.rustc(program, name, settings)?;
        rustc.arg("-Zunpretty=expanded").arg("-o").arg(&expanded);
        run(rustc, running)?;
        let text = std::fs::read_to_string(&expanded);
        Ok(text.map_err(|source| Error::io("read", &expanded, source))?)
    }

    /// The file name under which the compiler knows the program `name`.
    pub(crate) fn file(name: &str) -> String {
        format!("{name}.rs")
    }

    fn rustc(&self, program: &Program, name: &str, settings: &Settings) -> Result<Command> {
        let file = Self::file(name);
        let path = self.dir.join(&file);
        std::fs::write(&path, program.text())
            .map_err(|source| Error::io("write the program of a cell", &path, source))?;
        let mut rustc = Command::new(&self.rustc);
        rustc
            .current_dir(&self.dir)
            // Three flags that stable compilers keep behind this variable make cells fast, their
            // types nameable and their macros known.
            .env("RUSTC_BOOTSTRAP", "1")
            .envs(settings.environment.iter().map(|(name, value)| (name, value)))
            .args(["--edition=2024", "--crate-type=cdylib", "--crate-name=cell"])
            // One name for all cells: a type that two cells define alike is then the same type.
            .args(["-Cmetadata=trialbook-cell", "-Ccodegen-units=1", "-Cprefer-dynamic"])
            .args(["-Awarnings", "--error-format=json", "--diagnostic-width=1000000"])
            .arg(UNTRIMMED)
            .arg(if self.shares_generics { "-Zshare-generics=yes" } else { "-Zshare-generics=no" })
            .arg(format!("-Copt-level={}", settings.opt_level))
            .arg(joined("--extern=trialbook=", &self.prelude))
            .arg(joined("-Ldependency=", &self.prelude_deps))
            .args(&settings.arguments)
            .arg(file);
        Ok(rustc)
    }
}

/// A cell calls the functions that it was compiled with, where one before it left others of the same
/// symbols. Not so with data: a static is the one of the first.
const OWN_FUNCTIONS: &str = "-Bsymbolic-functions";

/// Untrimmed paths name a type so that the next cell can name it.
const UNTRIMMED: &str = "-Ztrim-diagnostic-paths=no";

fn joined(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}

fn run(mut command: Command, running: &Running) -> Result<(), Refusal> {
    let program = command.get_program().to_string_lossy().into_owned();
    let cannot = |source: std::io::Error| {
        Error::new(ErrorKind::Unavailable, format!("cannot run {program}")).with_source(source)
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (mut process, group) = GroupId::spawn(&mut command).map_err(cannot)?;
    let part = running.group(group);
    let mut stderr = Vec::new();
    if let Some(mut pipe) = process.stderr.take() {
        pipe.read_to_end(&mut stderr).map_err(cannot)?;
    }
    let status = process.wait().map_err(cannot)?;
    drop(part);
    if running.is_interrupted() {
        return Err(Refusal::Interrupted);
    }
    if status.success() {
        return Ok(());
    }
    Err(Refusal::Errors(Errors::read(&String::from_utf8_lossy(&stderr))))
}
