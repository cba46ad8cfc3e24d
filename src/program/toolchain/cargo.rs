//! One cargo process: what it is asked for, how far it is, what it made, and how it is stopped.

use std::{
    collections::HashSet,
    env::consts::DLL_SUFFIX,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use trialbook::{
    error::{Error, ErrorKind, Result},
    progress::Monitor,
};

use super::{
    group::Group,
    manifest::features,
    message::{Artifact, Message},
    nested::forget_outer_cargo,
    package::Package,
    place::{Place, dylib_name},
    profile::Profile,
    rust::Toolchain,
};

/// How often a build looks whether it is to stop.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// What cargo made.
pub(super) struct Artifacts {
    /// The library.
    pub(super) dylib: PathBuf,
    /// What the compiler reads of every crate inside: metadata, and the code of macros.
    pub(super) deps: HashSet<PathBuf>,
    /// Every library inside, with its sources and its features.
    pub(super) packages: Vec<Package>,
}

/// What went wrong inside, in cargo's and the compiler's own words.
pub(super) struct Failure {
    /// The first line that says so.
    pub(super) summary: String,
    /// All of it.
    pub(super) log: String,
}

/// One line of what cargo says.
enum Said {
    Json(String),
    Text(String),
}

/// Builds the dylib.
///
/// # Errors
/// When cargo cannot be started, and the interrupt. A failed build is the inner [`Failure`].
pub(super) fn build(
    toolchain: &Toolchain,
    place: &Place,
    profile: Profile,
    monitor: &Monitor,
) -> Result<Result<Artifacts, Failure>> {
    let mut command = command(toolchain, place, profile)?;
    let mut cargo = Group::spawn(&mut command)
        .map_err(|source| Error::io("start", Path::new(command.get_program()), source))?;
    let (sender, said) = mpsc::channel();
    let readers = [
        cargo.stdout().map(|stdout| spawn_reader(stdout, sender.clone(), Said::Json)),
        cargo.stderr().map(|stderr| spawn_reader(stderr, sender.clone(), Said::Text)),
    ];
    drop(sender);
    let mut log = Log::default();
    loop {
        match said.recv_timeout(HEARTBEAT) {
            Ok(Said::Json(line)) => log.json(&line),
            Ok(Said::Text(line)) => log.text(line, monitor),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        monitor.interrupt.check()?;
    }
    for reader in readers.into_iter().flatten() {
        // A reader ends with its pipe; it cannot panic.
        let _ = reader.join();
    }
    let status = cargo.wait(&monitor.interrupt)?;
    Ok(log.finish(status))
}

fn command(toolchain: &Toolchain, place: &Place, profile: Profile) -> Result<Command> {
    let cargo = toolchain.cargo.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::Unavailable,
            format!("there is no cargo beside {}", toolchain.rustc.display()),
        )
        .with_hint("install cargo, or a whole toolchain from https://rustup.rs")
    })?;
    let mut command = Command::new(cargo);
    command
        .current_dir(&place.source)
        .args(["rustc", "--package", "trialbook", "--lib", "--crate-type", "dylib"])
        .arg("--message-format=json")
        .args(["--no-default-features", "--features", &features().join(",")])
        .arg("--target-dir")
        .arg(&place.target);
    if place.source.join("Cargo.lock").is_file() {
        command.arg("--locked");
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    forget_outer_cargo(&mut command);
    command
        .args(["--", "-C", "prefer-dynamic"])
        .env("RUSTC", &toolchain.rustc)
        // The bar is how cargo says how much is left; it is read, never shown.
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "100")
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_QUIET", "false")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

fn spawn_reader(
    pipe: impl Read + Send + 'static,
    sender: Sender<Said>,
    wrap: fn(String) -> Said,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(read_line(&mut pipe, &mut line), Ok(true)) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if sender.send(wrap(text)).is_err() {
                return;
            }
            line.clear();
        }
    })
}

/// Reads up to a line feed or a carriage return, with which cargo redraws its bar. `false` at the
/// end.
fn read_line(pipe: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        let buffer = pipe.fill_buf()?;
        if buffer.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let n_read = end.map_or(buffer.len(), |end| end + 1);
        line.extend_from_slice(&buffer[..end.unwrap_or(n_read)]);
        pipe.consume(n_read);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// What cargo has said so far.
#[derive(Default)]
struct Log {
    dylib: Option<PathBuf>,
    deps: HashSet<PathBuf>,
    packages: Vec<Package>,
    errors: String,
    text: String,
    n_done: Option<u64>,
}

impl Log {
    fn json(&mut self, line: &str) {
        match Message::read(line.as_bytes()) {
            Ok(Message::Artifact(artifact)) => self.artifact(artifact),
            Ok(Message::Diagnostic(diagnostic)) if diagnostic.is_error() => {
                self.errors.push_str(&diagnostic.rendered.unwrap_or_default());
            }
            // What is missing for want of a message shows when the dylib is looked for.
            Ok(_) | Err(_) => {}
        }
    }

    fn artifact(&mut self, artifact: Artifact) {
        if artifact.is("custom-build") {
            return;
        }
        let ending = |ending: &str| artifact.file_ending(ending).map(Path::to_owned);
        let own = ending(&dylib_name());
        if artifact.is("dylib") && own.is_some() {
            self.dylib = own;
        } else if artifact.is_proc_macro() {
            self.deps.extend(ending(DLL_SUFFIX));
            return;
        } else {
            // Metadata is all that the compiler needs of a crate whose code the dylib holds; a crate
            // that is also a C library comes without.
            self.deps.extend(ending(".rmeta").or_else(|| ending(".rlib")));
        }
        let Artifact { target, features, .. } = artifact;
        let name = target.name.replace('-', "_");
        self.packages.push(Package { name, root: target.src_path, features });
    }

    fn text(&mut self, line: String, monitor: &Monitor) {
        let line = line.trim();
        if let Some((n_done, n_units, crates)) = bar(line) {
            let before = self.n_done.unwrap_or_else(|| {
                monitor.progress.begin("prelude", Some(n_units));
                0
            });
            monitor.progress.advance(n_done.saturating_sub(before));
            monitor.progress.note(crates);
            self.n_done = Some(n_done.max(before));
        } else if !line.is_empty() {
            if line.starts_with("Blocking") {
                monitor.progress.note("waiting for another cargo");
            }
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn finish(self, status: ExitStatus) -> Result<Artifacts, Failure> {
        let log = format!("{}{}", self.text, self.errors);
        match self.dylib {
            Some(dylib) if status.success() => {
                Ok(Artifacts { dylib, deps: self.deps, packages: self.packages })
            }
            Some(_) | None => {
                let says_so = |line: &&str| line.starts_with("error");
                // The compiler's error is nearer to the cause than cargo's.
                let summary = [&self.errors, &self.text]
                    .into_iter()
                    .find_map(|text| text.lines().find(says_so))
                    .map_or_else(|| format!("cargo ended with {status}"), str::to_owned);
                Err(Failure { summary, log })
            }
        }
    }
}

/// `Building [=====>   ] 123/587: polars_core, redb` as done, all and what is being compiled.
fn bar(line: &str) -> Option<(u64, u64, &str)> {
    let (_, rest) = line.strip_prefix("Building [")?.split_once("] ")?;
    let (counts, crates) = rest.split_once(':').unwrap_or((rest, ""));
    let (n_done, n_units) = counts.split_once('/')?;
    Some((n_done.trim().parse().ok()?, n_units.trim().parse().ok()?, crates.trim()))
}

/// The files that `dep_info`, cargo's makefile beside an artifact, names inside the folder
/// `source`.
pub(super) fn dep_info_files(dep_info: &str, source: &Path) -> Vec<PathBuf> {
    let Some((_, files)) = dep_info.lines().next().and_then(|line| line.split_once(": ")) else {
        return Vec::new();
    };
    // A space inside a name is written `\ `.
    let escaped = files.replace("\\ ", "\0");
    escaped
        .split(' ')
        .map(|file| PathBuf::from(file.replace('\0', " ")))
        .filter_map(|file| file.strip_prefix(source).ok().map(Path::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_tells_how_far_cargo_is() {
        for (line, expected) in [
            (
                "Building [=====>   ] 123/587: polars_core, redb",
                Some((123, 587, "polars_core, redb")),
            ),
            ("Building [         ] 0/2", Some((0, 2, ""))),
            ("Compiling redb v4.4.0", None),
            ("Building [=====", None),
        ] {
            assert_eq!(bar(line), expected, "{line}");
        }
    }

    #[test]
    fn a_carriage_return_ends_a_line_too() {
        let mut pipe = BufReader::with_capacity(4, b"first\rsecond\n\nlast".as_slice());
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while read_line(&mut pipe, &mut line).unwrap() {
            lines.push(String::from_utf8(line.clone()).unwrap());
            line.clear();
        }
        assert_eq!(lines, ["first", "second", "", "last"]);
    }

    #[test]
    fn dep_info_names_files_of_the_package_alone() {
        let dep_info = "/t/libx.so: /my\\ src/Cargo.toml /my\\ src/src/a\\ b.rs /else/where.rs\n";
        assert_eq!(
            dep_info_files(dep_info, Path::new("/my src")),
            [PathBuf::from("Cargo.toml"), PathBuf::from("src/a b.rs")]
        );
    }

    #[test]
    fn a_failed_build_says_the_compilers_first_error() {
        let mut log = Log::default();
        log.json(
            r#"{"reason":"compiler-message","message":{"level":"error","rendered":"error[E0308]: mismatched types\n --> src/lib.rs\n"}}"#,
        );
        log.text("error: could not compile `trialbook`".to_owned(), &Monitor::silent());
        let failed = Command::new("false").status().unwrap();
        let failure = log.finish(failed).err().unwrap();
        assert_eq!(failure.summary, "error[E0308]: mismatched types");
        assert!(failure.log.contains("could not compile"));
    }

    #[test]
    fn metadata_is_taken_before_code_and_macros_as_code() {
        let artifact = |kind: &str, files: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"p","fresh":false,"target":{{"kind":["{kind}"],"name":"{kind}-1","src_path":"/s/{kind}.rs"}},"features":["x"],"filenames":[{files}]}}"#
            )
        };
        let mut log = Log::default();
        log.json(&artifact("lib", r#""/d/liba.rlib","/d/liba.rmeta""#));
        log.json(&artifact("lib", &format!(r#""/d/libc{DLL_SUFFIX}","/d/libc.rlib""#)));
        log.json(&artifact("proc-macro", &format!(r#""/d/libm{DLL_SUFFIX}""#)));
        log.json(&artifact("custom-build", r#""/d/build-script-build""#));
        log.json(&artifact("dylib", &format!(r#""/d/{}""#, dylib_name())));
        log.json("a build script prints what it likes");
        let expected =
            ["/d/liba.rmeta".to_owned(), "/d/libc.rlib".to_owned(), format!("/d/libm{DLL_SUFFIX}")];
        assert_eq!(log.deps, expected.into_iter().map(PathBuf::from).collect());
        assert_eq!(log.dylib, Some(Path::new("/d").join(dylib_name())));
        let packages = ["lib", "lib", "dylib"].map(|kind| Package {
            name: format!("{kind}_1"),
            root: PathBuf::from(format!("/s/{kind}.rs")),
            features: vec!["x".to_owned()],
        });
        assert_eq!(log.packages, packages, "a macro and a build script offer no names");
    }
}
