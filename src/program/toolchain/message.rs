//! Cargo's messages (`--message-format json`), one a line, as far as they matter here:
//! <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>. It starts no cargo.
//!
//! The crate cargo_metadata reads them too. It takes a message with one value that it does not know for a
//! line of text, and brings three crates and serde_json's `unbounded_depth`, for the server as well.

use std::path::{Path, PathBuf};

use serde::{Deserialize, de::DeserializeOwned};
use trialbook::error::{Error, ErrorKind, Result};

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// One target is made.
    Artifact(Artifact),
    /// The compiler complains.
    Diagnostic(Diagnostic),
    /// A build script ran.
    BuildScript(BuildScript),
    /// Another message, or a line that a build script printed.
    Other,
}

/// What cargo made of one target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Artifact {
    /// Cargo's identifier of the package.
    pub(crate) package_id: String,
    pub(crate) target: Target,
    /// The files it consists of.
    pub(crate) filenames: Vec<PathBuf>,
    /// The features it is built with.
    pub(crate) features: Vec<String>,
    /// Whether it was there already.
    pub(crate) fresh: bool,
}

/// One target of a package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Target {
    kind: Vec<String>,
    pub(crate) name: String,
    pub(crate) src_path: PathBuf,
}

/// One complaint of the compiler.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Diagnostic {
    level: String,
    /// As the compiler shows it.
    pub(crate) rendered: Option<String>,
}

/// What a build script asks for.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct BuildScript {
    /// Where native libraries lie, as `-L` takes it.
    pub(crate) linked_paths: Vec<String>,
}

impl Message {
    /// Reads one line, with or without its end.
    ///
    /// # Errors
    /// A message of a kind that matters, in another form than cargo's.
    pub(crate) fn read(line: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            reason: String,
        }
        #[derive(Deserialize)]
        struct Complaint {
            message: Diagnostic,
        }
        let Ok(Kind { reason }) = serde_json::from_slice(line) else { return Ok(Self::Other) };
        Ok(match reason.as_str() {
            "compiler-artifact" => Self::Artifact(content(line)?),
            "compiler-message" => Self::Diagnostic(content::<Complaint>(line)?.message),
            "build-script-executed" => Self::BuildScript(content(line)?),
            _ => Self::Other,
        })
    }
}

fn content<T: DeserializeOwned>(line: &[u8]) -> Result<T> {
    serde_json::from_slice(line).map_err(|source| {
        Error::new(ErrorKind::Internal, "cannot read what cargo said").with_source(source)
    })
}

impl Artifact {
    /// Whether its target is of this kind: `lib`, `dylib`, `custom-build`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.target.kind.iter().any(|found| found == kind)
    }

    /// Whether other crates can name it: no build script, no program.
    pub(crate) fn is_library(&self) -> bool {
        ["lib", "rlib", "dylib", "proc-macro", "cdylib"].iter().any(|kind| self.is(kind))
    }

    /// Whether it runs inside the compiler.
    pub(crate) fn is_proc_macro(&self) -> bool {
        self.is("proc-macro")
    }

    /// Its file whose name ends so.
    pub(crate) fn file_ending(&self, ending: &str) -> Option<&Path> {
        let mut files = self.filenames.iter().map(PathBuf::as_path);
        files.find(|path| path.to_string_lossy().ends_with(ending))
    }
}

impl Diagnostic {
    /// Whether the build fails by it.
    pub(crate) fn is_error(&self) -> bool {
        self.level.starts_with("error")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_matter_are_read_and_other_lines_are_let_by() {
        let read = |line: &str| Message::read(line.as_bytes()).unwrap();
        let artifact = read(
            r#"{"reason":"compiler-artifact","package_id":"registry+x#rand@0.9.1","manifest_path":"/r/Cargo.toml",
            "target":{"kind":["lib"],"crate_types":["lib"],"name":"rand","src_path":"/r/src/lib.rs","edition":"2021"},
            "profile":{"opt_level":"0"},"features":["std"],"filenames":["/d/librand.rlib","/d/librand.rmeta"],
            "executable":null,"fresh":true}"#,
        );
        let Message::Artifact(artifact) = artifact else { panic!("{artifact:?}") };
        assert!(artifact.is_library() && !artifact.is_proc_macro() && artifact.fresh);
        assert_eq!(artifact.file_ending(".rmeta"), Some(Path::new("/d/librand.rmeta")));
        assert_eq!(artifact.file_ending(".so"), None);

        let complaint = r#"{"reason":"compiler-message","package_id":"p","message":{"level":"LEVEL","rendered":"said"}}"#;
        for (level, is_error) in
            [("error", true), ("error: internal compiler error", true), ("warning", false)]
        {
            let read = read(&complaint.replace("LEVEL", level));
            let Message::Diagnostic(diagnostic) = read else { panic!("{read:?}") };
            assert_eq!(diagnostic.is_error(), is_error, "{level}");
            assert_eq!(diagnostic.rendered.as_deref(), Some("said"));
        }

        let script = r#"{"reason":"build-script-executed","package_id":"p","linked_libs":["z"],"linked_paths":["native=/n"]}"#;
        let linked_paths = vec!["native=/n".to_owned()];
        assert_eq!(read(script), Message::BuildScript(BuildScript { linked_paths }));

        for line in [
            "",
            "a build script prints what it likes",
            r#"{"its":"own JSON"}"#,
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"of a later cargo","new":1}"#,
        ] {
            assert_eq!(read(line), Message::Other, "{line}");
        }
    }

    #[test]
    fn a_message_in_another_form_is_an_error() {
        let error = Message::read(br#"{"reason":"compiler-artifact"}"#).unwrap_err();
        assert_eq!(error.to_string(), "cannot read what cargo said");
        assert!(error.chain().contains("package_id"), "{}", error.chain());
    }
}
