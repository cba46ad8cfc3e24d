//! The files of a saved net: `model.json` (what it is), `model.safetensors` (its weights by
//! PyTorch's names) and the tokenizer. A DistilBERT's are, with `config.json`, a Hugging Face
//! checkpoint; one in 8 bits has `weights.int8` in place of the others' weights.

use super::{
    checkpoint::{CONFIG_FILE, Checkpoint, EncoderConfig, MissingHead, WEIGHTS_FILE},
    classifier::Neural,
    engine::{Int8Encoder, NetArithmetic},
    header::NeuralHeader,
    hugging_face,
    net::{Net, NetConfig, Precision},
    quantized::{INT8_FILE, QuantizedFile},
    tensors::Tensors,
    tokenizer::NetTokenizer,
};
use crate::{
    error::{Error, ErrorKind, Result},
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
    if header.is_int8() {
        let engine = int8(files, &header, device)?;
        return Ok(Neural::new(header, tokenizer, NetArithmetic::Int8(Box::new(engine))));
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
        precision.check(&device)?;
        NetArithmetic::Net(Box::new(net.predicting_in(precision)))
    };
    Ok(Neural::new(header, tokenizer, engine))
}

/// The encoder in 8 bits of `files`. It computes on the CPU, whatever else is there.
fn int8(files: &ModelFiles, header: &NeuralHeader, device: Device) -> Result<Int8Encoder> {
    if device.is_gpu() {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!("a {} computes on the CPU: found device {device}", header.name()),
        )
        .with_hint("use --device cpu, or the version that it was quantised from"));
    }
    let config = EncoderConfig::read(files.path(CONFIG_FILE)?)?;
    if !matches!(header.net(), NetConfig::DistilBert(sizes) if *sizes == hugging_face::sizes(&config))
    {
        return Err(corrupt(CONFIG_FILE, format!("its sizes are not those in {HEADER_FILE:?}")));
    }
    let file = QuantizedFile::open(files.path(INT8_FILE)?, &config)?;
    Int8Encoder::new(config, file)
}
