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
    cell::engine::{
        against::Against, diagnostic::Errors, program::Program, running::Running, types::TYPE_LINT,
    },
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
    /// What a program is compiled against that names nothing of the prelude, where there is one.
    pub(crate) facade: Option<PathBuf>,
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
pub(crate) struct CompileSettings {
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

/// A program to be compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompileJob<'a> {
    /// The program.
    pub(crate) program: &'a Program,
    /// The name of its files.
    pub(crate) name: &'a str,
    /// The settings.
    pub(crate) settings: &'a CompileSettings,
    /// The crate that it knows as `trialbook`.
    pub(crate) against: Against,
    /// By what it can be stopped.
    pub(crate) running: &'a Running,
}

/// A shared object, and what the compiler said although it made it.
pub(crate) struct CompiledLibrary {
    /// The file.
    pub(crate) file: PathBuf,
    /// The compiler's messages, a line of JSON each.
    pub(crate) said: String,
}

impl Compiler {
    /// True if programs can be compiled against the facade under `settings`.
    pub(crate) fn has_facade(&self, settings: &CompileSettings) -> bool {
        // Where rustc links, it wants to find every symbol.
        self.facade.is_some() && self.lld.is_some() && !settings.full_link
    }

    /// Compiles a program to a shared object in `dir`. One that `tells_types` has them told under [`TYPE_LINT`], whatever
    /// else is said of that.
    pub(crate) fn compile(
        &self,
        job: CompileJob<'_>,
        tells_types: bool,
    ) -> Result<CompiledLibrary, Refusal> {
        let CompileJob { name, settings, running, .. } = job;
        let library = self.dir.join(format!("{name}.so"));
        let mut rustc = self.rustc(job)?;
        if tells_types {
            rustc.arg(format!("--force-warn={TYPE_LINT}"));
        }
        let Some(lld) = self.lld.as_ref().filter(|_| !settings.full_link) else {
            if cfg!(target_os = "linux") {
                rustc.arg(format!("-Clink-arg=-Wl,{OWN_FUNCTIONS}"));
            }
            rustc.arg("-o").arg(&library);
            let said = run(rustc, running)?;
            return Ok(CompiledLibrary { file: library, said });
        };
        let object = self.dir.join(format!("{name}.o"));
        rustc.arg("--emit=obj").arg("-o").arg(&object);
        let said = run(rustc, running)?;
        // The prelude is in the child already, its symbols are global there: reading its symbol
        // table here would cost more than all else together.
        let mut link = Command::new(lld);
        link.args([
            "-flavor",
            "gnu",
            // It has done its work before other threads have begun.
            "--threads=1",
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
        .args(self.facade.iter().filter(|_| job.against == Against::Facade))
        .args(&self.builtins);
        run(link, running)?;
        // Only the library is needed from here on.
        let _ = std::fs::remove_file(object);
        Ok(CompiledLibrary { file: library, said })
    }

    /// Checks a program without making code of it.
    pub(crate) fn check(&self, job: CompileJob<'_>) -> Result<(), Refusal> {
        let mut rustc = self.rustc(job)?;
        rustc.arg("--emit=metadata").arg("-o").arg(self.dir.join(format!("{}.rmeta", job.name)));
        run(rustc, job.running).map(drop)
    }

    /// A program with its macros expanded.
    pub(crate) fn expand(&self, job: CompileJob<'_>) -> Result<String, Refusal> {
        let expanded = self.dir.join(format!("{}.expanded.rs", job.name));
        let mut rustc = self.rustc(job)?;
        rustc.arg("-Zunpretty=expanded").arg("-o").arg(&expanded);
        run(rustc, job.running)?;
        let text = std::fs::read_to_string(&expanded);
        Ok(text.map_err(|source| Error::io("read", &expanded, source))?)
    }

    /// The file name under which the compiler knows the program `name`.
    pub(crate) fn file(name: &str) -> String {
        format!("{name}.rs")
    }

    fn rustc(&self, job: CompileJob<'_>) -> Result<Command> {
        let CompileJob { program, name, settings, .. } = job;
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
            .args(&settings.arguments);
        match &self.facade {
            Some(facade) if job.against == Against::Facade => {
                rustc.arg(joined("--extern=trialbook=", facade));
            }
            _ => {
                rustc
                    .arg(joined("--extern=trialbook=", &self.prelude))
                    .arg(joined("-Ldependency=", &self.prelude_deps));
            }
        }
        rustc.arg(file);
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

/// Runs a program to its end; returns what it said.
fn run(mut command: Command, running: &Running) -> Result<String, Refusal> {
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
    let said = String::from_utf8_lossy(&stderr).into_owned();
    match status.success() {
        true => Ok(said),
        false => Err(Refusal::Errors(Errors::read(&said))),
    }
}
