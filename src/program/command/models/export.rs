//! `models export`: a version's files in a folder, as they are or as ONNX.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde_json::json;
use trialbook::{
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
    model::{ModelFiles, neural::INT8_FILE},
    output::Output,
    registry::ModelVersion,
};

use super::super::{
    Session,
    named::{self, version_read_forms},
};

/// `models export SentimentClassifier/4 OUT`
#[derive(Debug, Clone, Args)]
pub struct Export {
    #[arg(help = version_read_forms!(""))]
    reference: String,
    /// The folder to write, which must be new or empty. The version goes before it, if NAME does not
    /// include it
    #[arg(value_name = "[VERSION] DIR", required = true, num_args = 1..=2)]
    folder: Vec<PathBuf>,
    /// What the files are: the version's own, or an ONNX model, which a tfidf and a distilbert have
    #[arg(long, value_enum, default_value_t = ExportFormat::Own)]
    format: ExportFormat,
}

/// The format of exported files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// The version's own files
    Own,
    /// model.onnx for ONNX Runtime, and for a distilbert what Optimum opens beside it
    Onnx,
}

impl Export {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let (word, folder) = match &self.folder[..] {
            [version, folder] => (Some(named::version_word(&version.to_string_lossy())?), folder),
            [folder] => (None, folder),
            _ => return Err(Error::invalid("no folder to write")),
        };
        let registry = session.book.tracker()?;
        let reference = named::reference(session, &self.reference, word.as_ref())?;
        let version = registry.resolve(&reference)?;
        let files = registry.model_files(&version)?;
        refuse_int8(&version, &files)?;
        let is_taken = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if is_taken || folder.is_file() {
            return Err(Error::new(ErrorKind::Conflict, format!("{folder:?} is there already"))
                .with_hint("name a new folder: nothing is overwritten"));
        }
        let (names, notes) = match self.format {
            ExportFormat::Own => (copy(&files, folder)?, Vec::new()),
            ExportFormat::Onnx => {
                let classifier = session.book.load(&version)?;
                let notes = classifier.save_onnx(made(folder)?).map_err(|error| {
                    // A model that has no such form leaves the folder empty.
                    let _ = fs::remove_dir(folder);
                    error.with_context(version.reference().to_string())
                })?;
                let written = ModelFiles::in_dir(folder)?;
                (written.iter().map(|(name, _)| name.to_owned()).collect(), notes)
            }
        };
        let mut said =
            format!("wrote {} to {}: {}", version.reference(), folder.display(), names.join(", "));
        for note in &notes {
            said.push_str(&format!("\n{note}"));
        }
        let json = json!({
            "name": version.model, "version": version.version, "folder": folder, "files": names,
            "notes": notes,
        });
        Ok(Output::new(json).text(said))
    }
}

/// Copies `files` into `folder`; returns their names.
fn copy(files: &ModelFiles, folder: &Path) -> Result<Vec<String>> {
    made(folder)?;
    let mut names = Vec::new();
    for (name, path) in files.iter() {
        let target = folder.join(name);
        // A model may have folders of its own.
        let made = target.parent().map_or(Ok(()), fs::create_dir_all);
        made.map_err(|source| Error::io("create the folder of", &target, source))?;
        fs::copy(path, &target).map_err(|source| Error::io("write", &target, source))?;
        names.push(name.to_owned());
    }
    Ok(names)
}

/// `folder`, which is there afterwards.
fn made(folder: &Path) -> Result<&Path> {
    fs::create_dir_all(folder).map_err(|source| Error::io("create the folder", folder, source))?;
    Ok(folder)
}

/// That the files of `version` are read by other programs too.
///
/// # Errors
/// Those of a model in 8 bits.
fn refuse_int8(version: &ModelVersion, files: &ModelFiles) -> Result<()> {
    if files.path(INT8_FILE).is_err() {
        return Ok(());
    }
    let show = CommandLine::new("models show").arg(version.reference().to_string());
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("{} is in 8 bits, which no other program reads", version.reference()),
    )
    .with_hint(
        Hint::from("export the version that it was quantised from: ").run(show).say(" names it"),
    ))
}
