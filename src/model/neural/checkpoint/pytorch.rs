//! `pytorch_model.bin`: what `torch.save` wrote of a state dict. The one file of this folder that
//! knows Burn, whose reader understands pickles without running what is in them.

use std::path::Path;

use burn::tensor::DType;
use burn_store::pytorch::PytorchReader;

use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::tensors::{Tensor, Tensors},
};

/// Reads every floating-point tensor into memory, widened to `f32`. Others are listed, for the
/// report, and not read.
///
/// # Errors
/// When the file cannot be opened or is not such a file.
pub(super) fn read(path: &Path) -> Result<Tensors> {
    let corrupt = |source: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Corrupt, format!("cannot read {path:?} as PyTorch weights"))
            .with_source(source)
            .with_hint("convert it to model.safetensors with Transformers' save_pretrained")
    };
    // The reader's own error for a missing file says no more than that.
    std::fs::File::open(path).map_err(|source| Error::io("open", path, source))?;
    let reader = PytorchReader::new(path).map_err(|error| corrupt(error.to_string().into()))?;
    let tensors = reader.into_tensors().into_iter().map(|(name, snapshot)| {
        let shape: Vec<usize> = snapshot.shape.iter().copied().collect();
        if !matches!(snapshot.dtype, DType::F32 | DType::F16 | DType::BF16) {
            let dtype = format!("{:?}", snapshot.dtype);
            return Ok((name, Tensor::unread(shape, dtype)));
        }
        let data =
            snapshot.to_data().map_err(|error| corrupt(format!("{name}: {error:?}").into()))?;
        let values: Vec<f32> = data.iter::<f32>().collect();
        if values.len() != shape.iter().product::<usize>() {
            let found = format!("{name}: {} numbers for shape {shape:?}", values.len());
            return Err(corrupt(found.into()));
        }
        Ok((name, Tensor::new(shape, values)))
    });
    tensors.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_pickle_is_a_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pytorch_model.bin");
        for bytes in [b"not weights".as_slice(), b""] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err();
            assert!(error.to_string().contains("as PyTorch weights"), "{error}");
        }
    }
}
