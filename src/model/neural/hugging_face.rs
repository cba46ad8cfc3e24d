//! Between Hugging Face's checkpoints and our nets.

use std::path::Path;

use super::{
    Neural,
    checkpoint::{
        self, Activation, CLASSIFIER_HEAD, Checkpoint, EncoderConfig, Family, Head, LoadReport,
    },
    classifier::Engine,
    device::Resolved,
    encoder::Encoder,
    files::NeuralHeader,
    net::{DistilBertConfig, Net, NetConfig},
    tokenizer::Tokenizer,
};
use crate::{
    error::{Error, Result},
    model::ModelFiles,
};

/// A snapshot as a classifier that predicts as it is, and which of its tensors were left aside, if
/// any.
///
/// `classes` are the class names in label order; without them they are those of `config.json`.
///
/// # Errors
/// A folder without a whole checkpoint that has a classification head and a tokenizer, or another
/// number of classes.
pub fn import(folder: &Path, classes: Option<Vec<String>>) -> Result<(Neural, Option<String>)> {
    let files = ModelFiles::in_dir(folder)?;
    let mut opened = Checkpoint::open(&files, Head::Required)
        .map_err(|error| error.with_context(folder.display()))?;
    if let Some(classes) = classes {
        if classes.len() != opened.config.labels.len() {
            return Err(Error::invalid(format!(
                "{} class names given, the checkpoint has {} classes: {}",
                classes.len(),
                opened.config.labels.len(),
                opened.config.labels.join(", ")
            )));
        }
        opened.config.labels = classes;
    }
    let max_length = opened.config.max_position;
    let tokenizer = Tokenizer::of_checkpoint(&files, max_length)
        .map_err(|error| error.with_context(folder.display()))?;
    check_vocabulary(&tokenizer, &opened.config)?;
    let net = NetConfig::DistilBert(sizes(&opened.config));
    let header = NeuralHeader::new(net, opened.config.labels.clone(), max_length);
    let note = opened.report.note();
    Ok((Neural::new(header, tokenizer, encoder(opened)?), note))
}

/// The tokenizer and the net that fine-tuning begins with, and what to say of them. A
/// classification head of another number of classes is left aside for a new one.
pub(super) fn start(
    folder: &Path,
    classes: &[String],
    max_length: usize,
    seed: u64,
    device: &Resolved,
) -> Result<(Tokenizer, Net, String)> {
    let in_context = |error: Error| error.with_context(folder.display());
    let files = ModelFiles::in_dir(folder)?;
    let mut opened = Checkpoint::open(&files, Head::Optional).map_err(in_context)?;
    if opened.config.activation != Activation::Gelu {
        return Err(Error::invalid(format!(
            "{}: activation {:?} can be predicted with but not trained, expected \"gelu\"",
            folder.display(),
            opened.config.activation.name()
        )));
    }
    if max_length > opened.config.max_position {
        return Err(Error::invalid(format!(
            "--max-len {max_length}: the checkpoint reads at most {} tokens",
            opened.config.max_position
        )));
    }
    let tokenizer = Tokenizer::of_checkpoint(&files, max_length).map_err(in_context)?;
    check_vocabulary(&tokenizer, &opened.config)?;
    let keeps_head = opened.has_head && opened.config.labels.len() == classes.len();
    opened.config.labels = classes.to_vec();
    let config = NetConfig::DistilBert(sizes(&opened.config));
    if !keeps_head {
        let fresh = Net::new(config.clone(), seed, device)?.parameters();
        for name in CLASSIFIER_HEAD {
            opened.tensors.insert(name, fresh.get(name)?.clone());
        }
    }
    let net = Net::load(config, &opened.tensors, device).map_err(in_context)?;
    if opened.config.layer_norm_eps != EncoderConfig::DISTILBERT_EPS {
        return Err(Error::invalid(format!(
            "{}: layer_norm_eps {} can be predicted with but not trained, expected {}",
            folder.display(),
            opened.config.layer_norm_eps,
            EncoderConfig::DISTILBERT_EPS
        )));
    }
    if let Some(note) = opened.report.note() {
        tracing::info!(checkpoint = %folder.display(), "{note}");
    }
    let head = if keeps_head { "its head" } else { "a new head" };
    Ok((tokenizer, net, format!("{} with {head}", folder.display())))
}

/// A checkpoint with a classification head as a net on any device.
///
/// # Errors
/// When the device has no room for it.
pub fn net_of_checkpoint(opened: &Checkpoint, device: &Resolved) -> Result<Net> {
    let config = NetConfig::DistilBert(sizes(&opened.config));
    Net::load(config, &opened.tensors, device)
}

fn check_vocabulary(tokenizer: &Tokenizer, config: &EncoderConfig) -> Result<()> {
    if tokenizer.vocab_size() > config.vocab_size {
        return Err(Error::invalid(format!(
            "the tokenizer knows {} tokens, the checkpoint's embedding {}",
            tokenizer.vocab_size(),
            config.vocab_size
        ))
        .with_hint("use the tokenizer that belongs to the checkpoint"));
    }
    Ok(())
}

fn sizes(config: &EncoderConfig) -> DistilBertConfig {
    DistilBertConfig {
        vocab_size: config.vocab_size,
        n_classes: config.labels.len(),
        dim: config.width,
        hidden_dim: config.ffn_width,
        n_layers: config.n_layers,
        n_heads: config.n_heads,
        max_position_embeddings: config.max_position,
        dropout: config.dropout,
        attention_dropout: config.attention_dropout,
        seq_classif_dropout: config.classifier_dropout,
        ..DistilBertConfig::default()
    }
}

/// The checkpoint that a trained net is.
pub(super) fn checkpoint(net: &Net, header: &NeuralHeader) -> Result<Checkpoint> {
    let NetConfig::DistilBert(sizes) = net.config() else {
        return Err(Error::invalid(format!("{} is no encoder", net.config().name())));
    };
    let config = EncoderConfig {
        family: Family::DistilBert,
        vocab_size: sizes.vocab_size,
        max_position: sizes.max_position_embeddings,
        width: sizes.dim,
        n_layers: sizes.n_layers,
        n_heads: sizes.n_heads,
        ffn_width: sizes.hidden_dim,
        activation: Activation::Gelu,
        layer_norm_eps: EncoderConfig::DISTILBERT_EPS,
        dropout: sizes.dropout,
        attention_dropout: sizes.attention_dropout,
        classifier_dropout: sizes.seq_classif_dropout,
        pad_token_id: 0,
        labels: header.classes().to_vec(),
    };
    Ok(Checkpoint {
        config,
        tensors: net.parameters(),
        has_head: true,
        report: LoadReport::default(),
    })
}

/// The CPU's fast path over a checkpoint.
pub(super) fn encoder(checkpoint: Checkpoint) -> Result<Engine> {
    let encoder = Encoder::load(&checkpoint.config, &checkpoint.tensors)?;
    Ok(Engine::Encoder(Box::new(encoder), Box::new(checkpoint)))
}

/// Writes `config.json` and `model.safetensors`.
pub(super) fn save(opened: &Checkpoint, dir: &Path) -> Result<()> {
    checkpoint::write(dir, &opened.config, &opened.tensors)
}
