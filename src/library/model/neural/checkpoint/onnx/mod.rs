//! `model.onnx` as Optimum and PyTorch write it: the weights that stand in the graph, under the names that they
//! had in PyTorch. The graph is not run. A product's weight has lost its name and is turned, so it is found
//! beside its bias, which has not.

mod graph;

use std::{ops::Range, path::Path, sync::Arc};

use bytes::Bytes;
use prost::Message as _;
use safetensors::Dtype;

use self::graph::{WeightGraph, WeightLayout};
use crate::{
    error::{Error, ErrorKind, Result},
    model::{
        ModelFiles,
        neural::tensors::{FileTensor, MappedFile, Tensors},
        onnx::message::{DataLocation, ElementType, ModelProto, TensorProto},
    },
};

/// The first version of the operators in which a sum of two shapes is what it is now.
const MIN_OPSET: i64 = 7;
const AGAIN: &str = "it may be incomplete, or a Git LFS pointer: download it again";

/// Maps the file `path`, and among `files` those that hold weights for it.
///
/// # Errors
/// A file that cannot be opened or is no ONNX model, one that was quantised or rewritten for ONNX Runtime, and
/// weights that are not there.
pub(super) fn read(files: &ModelFiles, path: &Path) -> Result<Tensors> {
    let file = Arc::new(MappedFile::open(path)?);
    let reader = WeightReader { files, file };
    reader.tensors().map_err(|error| error.with_context(format!("{path:?}")))
}

/// A mapped file as bytes that messages can share.
struct SharedFile(Arc<MappedFile>);

impl AsRef<[u8]> for SharedFile {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// What the weights are read from.
struct WeightReader<'a> {
    files: &'a ModelFiles,
    file: Arc<MappedFile>,
}

impl WeightReader<'_> {
    fn tensors(&self) -> Result<Tensors> {
        let bytes = Bytes::from_owner(SharedFile(Arc::clone(&self.file)));
        let n_bytes = bytes.len();
        let no_model = || {
            Error::new(
                ErrorKind::Corrupt,
                format!("its {n_bytes} bytes are not a whole ONNX model"),
            )
            .with_hint(AGAIN)
        };
        let model = ModelProto::decode(bytes).map_err(|source| no_model().with_source(source))?;
        let graph = model.graph.ok_or_else(no_model)?;
        let of_onnx = |domain: &Option<String>| {
            ["", "ai.onnx"].contains(&domain.as_deref().unwrap_or_default())
        };
        let opset = model.opset_import.iter().find(|opset| of_onnx(&opset.domain));
        match opset.map(|opset| opset.version.unwrap_or_default()) {
            Some(MIN_OPSET..) => {}
            found => {
                return Err(Error::invalid(format!(
                    "it is written with {} of ONNX's operators: expected version {MIN_OPSET} or later",
                    found.map_or_else(|| "no version".to_owned(), |found| format!("version {found}"))
                ))
                .with_hint("export it again, with --opset 18"));
            }
        }
        let graph = WeightGraph::new(graph)?;
        let tensors = graph.weights().into_iter().map(|(name, tensor, layout)| {
            let read = self.tensor(tensor).and_then(|tensor| match layout {
                WeightLayout::AsNamed => Ok(tensor),
                WeightLayout::Turned => turned(&tensor),
            });
            Ok((name.clone(), read.map_err(|error| error.with_context(name))?))
        });
        tensors.collect()
    }

    fn tensor(&self, tensor: &TensorProto) -> Result<FileTensor> {
        let size = |size: &i64| usize::try_from(*size).ok();
        let shape: Option<Vec<usize>> = tensor.dims.iter().map(size).collect();
        let n_values = shape.as_ref().and_then(|shape| {
            shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))
        });
        let (Some(shape), Some(n_values)) = (shape, n_values) else {
            return Err(corrupt(format!("its shape is {:?}", tensor.dims)));
        };
        let dtype = match tensor.data_type() {
            ElementType::Float => Dtype::F32,
            ElementType::Float16 => Dtype::F16,
            ElementType::Bfloat16 => Dtype::BF16,
            other => return Ok(FileTensor::unread(shape, format!("{other:?}"))),
        };
        let n_expected = n_values.checked_mul(dtype.bitsize() / 8);
        let wrong_size =
            |n_bytes: usize| corrupt(format!("it has {n_bytes} bytes for {shape:?} of {dtype:?}"));
        if tensor.data_location() == DataLocation::External {
            let (file, range) = self.external(tensor, n_expected)?;
            if Some(range.len()) != n_expected {
                return Err(wrong_size(range.len()));
            }
            return Ok(FileTensor::mapped(file, range, dtype, shape));
        }
        let Some(raw) = &tensor.raw_data else {
            if dtype != Dtype::F32 || tensor.float_data.len() != n_values {
                return Err(wrong_size(4 * tensor.float_data.len()));
            }
            return Ok(FileTensor::new(shape, tensor.float_data.clone()));
        };
        if Some(raw.len()) != n_expected {
            return Err(wrong_size(raw.len()));
        }
        // The message shares the file's bytes: what is left of it is where they lie.
        let start = raw.as_ptr().addr().wrapping_sub(self.file.bytes().as_ptr().addr());
        let range = start..start.wrapping_add(raw.len());
        if self.file.bytes().get(range.clone()) != Some(raw.as_ref()) {
            return Err(Error::new(ErrorKind::Internal, "its bytes are not those of the file"));
        }
        Ok(FileTensor::mapped(Arc::clone(&self.file), range, dtype, shape))
    }

    /// The file and the place in it of a tensor that does not lie in the model's own.
    fn external(
        &self,
        tensor: &TensorProto,
        n_expected: Option<usize>,
    ) -> Result<(Arc<MappedFile>, Range<usize>)> {
        let said = |key: &str| {
            let entries = tensor.external_data.iter();
            let mut values = entries.filter(|entry| entry.key.as_deref() == Some(key));
            values.next().and_then(|entry| entry.value.as_deref())
        };
        let number = |key: &str, default: Option<usize>| match said(key) {
            None => default.ok_or_else(|| corrupt(format!("it has no {key}"))),
            Some(text) => text
                .trim()
                .parse::<usize>()
                .map_err(|_| corrupt(format!("its {key} is {text:?}: expected a number of bytes"))),
        };
        let name = said("location").ok_or_else(|| corrupt("it names no file of its numbers"))?;
        let path = self.files.path(name).map_err(|error| {
            error.with_hint(format!("put {name} of the same model beside model.onnx"))
        })?;
        let file = Arc::new(MappedFile::open(path)?);
        let start = number("offset", Some(0))?;
        let end = start.saturating_add(number("length", n_expected)?);
        if end > file.bytes().len() {
            return Err(corrupt(format!(
                "its bytes {start} to {end} are not in {name}, which has {}",
                file.bytes().len()
            )));
        }
        Ok((file, start..end))
    }
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message).with_hint(AGAIN)
}

/// A matrix with its columns as rows; any other tensor as it is.
fn turned(tensor: &FileTensor) -> Result<FileTensor> {
    let [n_rows, n_columns] = *tensor.shape() else { return Ok(tensor.clone()) };
    let values = tensor.values()?;
    let column = |idx: usize| values.iter().skip(idx).step_by(n_columns).copied();
    let turned: Vec<f32> = (0..n_columns).flat_map(column).collect();
    tensor.release();
    Ok(FileTensor::new(vec![n_columns, n_rows], turned))
}

#[cfg(test)]
mod tests;
