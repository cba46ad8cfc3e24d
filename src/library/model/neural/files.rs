//! The files of a saved net: `model.json` (what it is), `model.safetensors` (its weights by
//! PyTorch's names) and the tokenizer. A DistilBERT's are, with `config.json`, a Hugging Face
//! checkpoint.

use super::{
    checkpoint::{Checkpoint, MissingHead, WEIGHTS_FILE},
    classifier::Neural,
    engine::NetArithmetic,
    header::NeuralHeader,
    hugging_face,
    net::{Net, NetConfig, Precision},
    tensors::Tensors,
    tokenizer::NetTokenizer,
};
use crate::{
    error::{ErrorKind, Result},
    model::{Device, ModelFiles, format::corrupt, header::HEADER_FILE},
};

/// Reads the files, of which `header` is the first, for use on `device`.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a missing file, [`ErrorKind::Corrupt`] for files that are damaged or
/// do not fit together, and a device that cannot be used.
pub(crate) fn load(files: &ModelFiles, header: &str, device: Device) -> Result<Neural> {
    let header: NeuralHeader = serde_json::from_str(header).map_err(|source| {
        corrupt(HEADER_FILE, "it is not the header of a net").with_source(source)
    })?;
    if header.net().n_classes() != header.classes().len() {
        return Err(corrupt(
            HEADER_FILE,
            format!(
                "it has {} class names for a net of {} classes",
                header.classes().len(),
                header.net().n_classes()
            ),
        ));
    }
    let tokenizer = NetTokenizer::load(files, header.max_length())?;
    if tokenizer.vocab_size() > header.net().vocab_size() {
        return Err(corrupt(
            HEADER_FILE,
            format!(
                "the tokenizer knows {} tokens, the net {}",
                tokenizer.vocab_size(),
                header.net().vocab_size()
            ),
        ));
    }
    let device = device.resolve()?;
    let is_encoder = matches!(header.net(), NetConfig::DistilBert(_));
    let engine = if is_encoder && device.is_cpu() {
        hugging_face::encoder(Checkpoint::open(files, MissingHead::Required)?)?
    } else {
        let tensors = if is_encoder {
            Checkpoint::open(files, MissingHead::Required)?.tensors
        } else {
            Tensors::map(files.path(WEIGHTS_FILE)?)?
        };
        let net = Net::load(header.net().clone(), &tensors, &device);
        let net = net.map_err(|error| match error.kind() {
            ErrorKind::Invalid => corrupt(WEIGHTS_FILE, error),
            _ => error,
        })?;
        let precision = if device.is_cpu() { Precision::F32 } else { Precision::from_env()? };
        NetArithmetic::Net(Box::new(net.predicting_in(precision)))
    };
    Ok(Neural::new(header, tokenizer, engine))
}
