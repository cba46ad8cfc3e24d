//! Runs cargo on the session's one package: its words reach the watcher while it speaks, and an
//! interrupt ends it with everything it started. It knows no cell.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
};

use serde::Deserialize;
use trialbook::error::{Error, ErrorKind, Result};

use crate::{
    cell::evcxr::{Config, Watch},
    toolchain::{Artifact, Group, Message, forget_outer_cargo},
};

/// One package folder and how it is built.
#[derive(Debug)]
pub(crate) struct Cargo<'a> {
    /// The settings.
    pub(crate) config: &'a Config,
    /// The package's folder.
    pub(crate) folder: &'a Path,
    /// The folder of builds.
    pub(crate) target_dir: &'a Path,
    /// The watcher of the build.
    pub(crate) watch: &'a Watch,
}

/// The crate behind each name of `[dependencies]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Direct {
    /// The name that cells use.
    pub(crate) name: String,
    /// cargo's identifier of the package.
    pub(crate) package: String,
}

/// Everything one build made and found.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// In the order in which they were made.
    pub(crate) artifacts: Vec<Artifact>,
    /// The folders of native libraries, as `-L` takes them.
    pub(crate) native: Vec<String>,
}

impl Cargo<'_> {
    /// The machine that is compiled for. Naming it keeps what build scripts use apart from what
    /// cells use, so that every crate has one artifact.
    pub(crate) fn target(&self) -> Result<String> {
        let output = Command::new(self.config.rustc())
            .arg("-vV")
            .current_dir(self.folder)
            .output()
            .map_err(no_toolchain)?;
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
            .ok_or_else(|| {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Error::new(ErrorKind::Unavailable, "rustc does not say which machine it is for")
                    .with_source(said)
            })
    }

    /// Resolves the manifest and says which package each name stands for.
    ///
    /// # Errors
    /// With cargo's own words, when a crate, a version or a feature does not exist.
    pub(crate) fn resolve(&self, target: &str) -> Result<Vec<Direct>> {
        #[derive(Deserialize)]
        struct Metadata {
            resolve: Resolve,
        }
        #[derive(Deserialize)]
        struct Resolve {
            nodes: Vec<Node>,
            root: String,
        }
        #[derive(Deserialize)]
        struct Node {
            id: String,
            deps: Vec<Edge>,
        }
        #[derive(Deserialize)]
        struct Edge {
            name: String,
            pkg: String,
        }
        let mut command = self.command("metadata");
        command.args(["--format-version", "1", "--filter-platform", target]);
        let finished = self.run(command)?;
        finished.check("find the dependency")?;
        let metadata: Metadata = serde_json::from_slice(&finished.stdout).map_err(unreadable)?;
        let Resolve { nodes, root } = metadata.resolve;
        let edges = nodes.into_iter().find(|node| node.id == root).map(|node| node.deps);
        Ok(edges
            .into_iter()
            .flatten()
            .map(|edge| Direct { name: edge.name, package: edge.pkg })
            .collect())
    }

    /// Builds the package and everything it depends on.
    ///
    /// # Errors
    /// With the compiler's own words, when something does not compile.
    pub(crate) fn build(&self, target: &str, rustc_args: &[&str]) -> Result<Made> {
        let mut command = self.command("rustc");
        command.args(["--lib", "--target", target]);
        command.args(["--message-format", "json-render-diagnostics", "--"]).args(rustc_args);
        let finished = self.run(command)?;
        finished.check("build the dependency")?;
        Made::read(&finished.stdout)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.config.cargo());
        forget_outer_cargo(&mut command);
        if self.config.offline {
            command.arg("--offline");
        }
        command
            .arg(name)
            .args(["--color", "never"])
            .current_dir(self.folder)
            .env("CARGO_TARGET_DIR", self.target_dir)
            // A person's own setting may put intermediate files, and so the crates, elsewhere.
            .env("CARGO_BUILD_BUILD_DIR", self.target_dir)
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .env("RUSTC", self.config.rustc())
            .env("RUSTFLAGS", self.config.rustc_flags().join(" "))
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        match self.config.sccache() {
            // A shared folder does what sccache would, and linking into shared objects is beyond it.
            Some(sccache) if self.config.allow_static_linking && self.config.cache_bytes == 0 => {
                command.env("RUSTC_WRAPPER", sccache);
            }
            _ => {}
        }
        command.envs(&self.config.build_env);
        command
    }

    fn run(&self, mut command: Command) -> Result<Finished> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut cargo = Group::spawn(&mut command).map_err(no_toolchain)?;
        let stdout = cargo.stdout();
        let stderr = cargo.stderr();
        thread::scope(|scope| {
            // An interrupt leaves the closure, and so ends the group, before the readers are waited for: a
            // compiler that outlived its cargo would keep the pipes open.
            let mut cargo = cargo;
            let stdout = scope.spawn(move || {
                let mut bytes = Vec::new();
                // What was read before a failure is all there is to judge by.
                let _ = stdout.map(|mut stdout| stdout.read_to_end(&mut bytes));
                bytes
            });
            let stderr = scope.spawn(|| {
                let mut said = String::new();
                for line in stderr.map(BufReader::new).into_iter().flat_map(BufRead::lines) {
                    let Ok(line) = line else { break };
                    (self.watch.line)(&line);
                    said.push_str(&line);
                    said.push('\n');
                }
                said
            });
            let status = cargo.wait(&self.watch.interrupt)?;
            let stdout = stdout.join().unwrap_or_default();
            let stderr = stderr.join().unwrap_or_default();
            self.watch.interrupt.check()?;
            Ok(Finished { status, stdout, stderr })
        })
    }
}

impl Made {
    fn read(messages: &[u8]) -> Result<Self> {
        let mut made = Self::default();
        // Whatever a build script prints comes on the same stream.
        for line in messages.split(|byte| *byte == b'\n') {
            match Message::read(line)? {
                Message::Artifact(artifact) => made.artifacts.push(artifact),
                Message::BuildScript(script) => made.native.extend(script.linked_paths),
                Message::Diagnostic(_) | Message::Other => {}
            }
        }
        Ok(made)
    }
}

struct Finished {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: String,
}

impl Finished {
    fn check(&self, action: &str) -> Result<()> {
        if self.status.success() {
            return Ok(());
        }
        let from = self.stderr.lines().position(|line| line.starts_with("error")).unwrap_or(0);
        let story: Vec<&str> = self.stderr.lines().skip(from).collect();
        let error = Error::invalid(format!("cannot {action}"))
            .with_source(story.join("\n").trim_end().trim_start_matches("error: ").to_owned());
        Err(
            match self.stderr.contains("--offline") || self.stderr.contains("offline was specified")
            {
                true => error.with_hint("`:offline 0` lets cargo use the network"),
                false => error,
            },
        )
    }
}

fn no_toolchain(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "cannot run cargo")
        .with_source(source)
        .with_hint("install Rust from https://rustup.rs")
}

fn unreadable(source: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "cannot read what cargo said").with_source(source)
}
