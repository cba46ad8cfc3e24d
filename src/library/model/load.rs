//! Finding out what a saved model is. Every model folder has a `model.json` that begins the same
//! way; the rest is its architecture's business.

use std::fs;

use serde::{Deserialize, Serialize};

#[cfg(feature = "neural")]
use super::neural;
use super::{Classifier, Device, ModelFiles, format::corrupt, tfidf, tfidf_files};
use crate::error::{Error, ErrorKind, Result};

/// The file that says what the others are.
pub(super) const HEADER_FILE: &str = "model.json";
/// What every header's `format` says.
pub(super) const FORMAT: &str = "trialbook-model";
/// The newest layout this build reads and the one it writes.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What every model's header says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) schema_version: u32,
    pub(super) model: String,
    pub(super) classes: Vec<String>,
}

/// Loads a saved model of any kind: the file `model.json` says which one it is. It computes where
/// `TRIALBOOK_DEVICE` says; see [`load_on`].
///
/// # Errors
/// As [`load_on`], and when `TRIALBOOK_DEVICE` names no device.
pub fn load(files: &ModelFiles) -> Result<Box<dyn Classifier>> {
    load_on(files, Device::from_env()?)
}

/// Like [`load`], to compute on `device`; the baseline always computes on the CPU.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a missing file, [`ErrorKind::Corrupt`] for files that are damaged or
/// do not fit together, [`ErrorKind::Invalid`] for a model written by a newer version,
/// [`ErrorKind::Unavailable`] for a device that is not there.
pub fn load_on(files: &ModelFiles, device: Device) -> Result<Box<dyn Classifier>> {
    let path = files.path(HEADER_FILE)?;
    let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
    let text = String::from_utf8(bytes)
        .map_err(|source| corrupt(HEADER_FILE, "it is not UTF-8").with_source(source))?;
    let header: Header = serde_json::from_str(&text)
        .map_err(|source| corrupt(HEADER_FILE, "it is no model header").with_source(source))?;
    if header.format != FORMAT {
        return Err(corrupt(
            HEADER_FILE,
            format!("format {:?}, expected {FORMAT:?}", header.format),
        ));
    }
    if header.schema_version > SCHEMA_VERSION {
        return Err(Error::invalid(format!(
            "model file {HEADER_FILE:?}: schema {}, this build reads up to {SCHEMA_VERSION}",
            header.schema_version
        ))
        .with_hint("use the version of trialbook that trained it, or a newer one"));
    }
    match header.model.as_str() {
        tfidf::NAME => Ok(Box::new(tfidf_files::load(files, text)?)),
        #[cfg(feature = "neural")]
        "avgnet" | "cnn" | "lstm" | "distilbert" => {
            Ok(Box::new(neural::load(files, &text, device)?))
        }
        other => Err(Error::new(
            ErrorKind::Invalid,
            format!("model kind {other:?} is not known to this build ({device})"),
        )
        .with_hint("use a newer version of trialbook, built with the cargo feature `neural`")),
    }
}
