//! Finding out what a saved model is; the rest is its architecture's business.

use std::fs;

#[cfg(feature = "neural")]
use super::neural;
use super::{
    Classifier, Device, ModelFiles,
    format::corrupt,
    header::{FORMAT, HEADER_FILE, ModelHeader, SCHEMA_VERSION},
    tfidf::Tfidf,
    tfidf_config::NAME,
};
use crate::error::{Error, ErrorKind, Result};

/// Loads a saved model of any kind: the file `model.json` says which one it is. It computes where
/// `TRIALBOOK_DEVICE` says, on `auto` where that names a remote device; see [`load_on`].
///
/// # Errors
/// As [`load_on`], and when `TRIALBOOK_DEVICE` names no device.
pub fn load(files: &ModelFiles) -> Result<Box<dyn Classifier>> {
    load_on(files, Device::to_predict()?)
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
    let header: ModelHeader = serde_json::from_str(&text)
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
    header.check()?;
    match header.model.as_str() {
        NAME => Ok(Box::new(Tfidf::load(files, text)?)),
        #[cfg(feature = "neural")]
        "avgnet" | "cnn" | "lstm" | "distilbert" | neural::INT8_NAME => {
            Ok(Box::new(neural::load(files, &text, device)?))
        }
        other => Err(Error::new(
            ErrorKind::Invalid,
            format!("model kind {other:?} is not known to this build ({device})"),
        )
        .with_hint("use a newer version of trialbook, built with the cargo feature `neural`")),
    }
}
