//! Writing a checkpoint that `DistilBertForSequenceClassification.from_pretrained` opens.

use std::{borrow::Cow, collections::HashMap, fs, path::Path};

use safetensors::{Dtype, View};

use super::{CONFIG_FILE, WEIGHTS_FILE, config::EncoderConfig, expected::expected_tensors};
use crate::error::{Error, ErrorKind, Result};

/// A tensor to write, row-major.
#[derive(Debug, Clone)]
pub struct NamedTensor<'a> {
    /// DistilBERT's name, as in [`expected_tensors`].
    pub name: Cow<'a, str>,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// The numbers; written bit by bit as they are.
    pub values: Cow<'a, [f32]>,
}

/// Writes `config.json` and `model.safetensors` into the existing folder `dir`.
///
/// # Errors
/// When a tensor of [`expected_tensors`] is not given, or with another shape, and when the system
/// refuses.
pub fn write(dir: &Path, config: &EncoderConfig, tensors: &[NamedTensor<'_>]) -> Result<()> {
    check(config, tensors)?;
    let path = dir.join(CONFIG_FILE);
    fs::write(&path, config.to_json()).map_err(|source| Error::io("write", &path, source))?;
    write_tensors(&dir.join(WEIGHTS_FILE), tensors)
}

/// Writes a safetensors file.
///
/// # Errors
/// When the system refuses, with the path.
pub fn write_tensors(path: &Path, tensors: &[NamedTensor<'_>]) -> Result<()> {
    // Transformers refuses a file that does not say which framework's layout it has.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let named = tensors.iter().map(|tensor| (tensor.name.as_ref(), tensor));
    safetensors::serialize_to_file(named, Some(metadata), path).map_err(|source| {
        Error::new(ErrorKind::Io, format!("cannot write {path:?}")).with_source(source)
    })
}

/// What is missing here would be a bug of the caller that the reader of the file pays for.
fn check(config: &EncoderConfig, tensors: &[NamedTensor<'_>]) -> Result<()> {
    let given: HashMap<&str, &NamedTensor<'_>> =
        tensors.iter().map(|tensor| (tensor.name.as_ref(), tensor)).collect();
    let expected = expected_tensors(config);
    for (name, shape) in &expected {
        let found = given.get(name.as_str()).map(|tensor| (&tensor.shape, tensor.values.len()));
        if found != Some((shape, shape.iter().product())) {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("cannot write tensor {name}: expected {shape:?}, found {found:?}"),
            ));
        }
    }
    if given.len() != expected.len() || tensors.len() != expected.len() {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("cannot write {} tensors: expected {}", tensors.len(), expected.len()),
        ));
    }
    Ok(())
}

impl View for &NamedTensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(bytemuck::cast_slice(&self.values))
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values.as_ref())
    }
}
