//! Writing a checkpoint that `DistilBertForSequenceClassification.from_pretrained` opens.

use std::{fs, path::Path};

use super::{CONFIG_FILE, WEIGHTS_FILE, config::EncoderConfig, expected::expected_tensors};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::tensors::Tensors,
};

/// Writes `config.json` and `model.safetensors` into the existing folder `dir`.
///
/// # Errors
/// When a tensor of [`expected_tensors`] is not given, or with another shape, and when the system
/// refuses.
pub fn write(dir: &Path, config: &EncoderConfig, tensors: &Tensors) -> Result<()> {
    check(config, tensors)?;
    write_config(dir, config)?;
    tensors.save(&dir.join(WEIGHTS_FILE))
}

/// Writes `config.json` alone.
///
/// # Errors
/// When the system refuses, with the path.
pub fn write_config(dir: &Path, config: &EncoderConfig) -> Result<()> {
    let path = dir.join(CONFIG_FILE);
    fs::write(&path, config.to_json()).map_err(|source| Error::io("write", &path, source))
}

/// Checks that nothing is missing. That would be a bug of the caller, which the reader of the file
/// pays for.
fn check(config: &EncoderConfig, tensors: &Tensors) -> Result<()> {
    let internal = |message: String| Err(Error::new(ErrorKind::Internal, message));
    let expected = expected_tensors(config);
    for (name, shape) in &expected {
        let found = tensors.get(name).ok().map(|tensor| tensor.shape());
        if found != Some(shape) {
            return internal(format!(
                "cannot write tensor {name}: expected {shape:?}, found {found:?}"
            ));
        }
    }
    let n_given = tensors.iter().len();
    if n_given != expected.len() {
        return internal(format!("cannot write {n_given} tensors: expected {}", expected.len()));
    }
    Ok(())
}
