//! The tensors an encoder consists of, and picking them out of a file.

use super::{
    bert,
    config::{EncoderConfig, Family},
    names::{self, CLASSIFIER_HEAD, EncoderTensor, PREFIX},
    report::{FINE_TUNE, LoadReport, MisShaped, MissingTensor},
};
use crate::{
    error::{Error, Result},
    model::neural::tensors::Tensors,
};

/// The treatment of a checkpoint without a classification head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingHead {
    /// An error: the checkpoint is to predict as it is.
    Required,
    /// A base model to fine-tune: the caller initialises `pre_classifier` and `classifier`.
    Optional,
}

/// Every tensor's name and shape, in DistilBERT's own order; the head comes last. Weights are
/// `[n_out, n_in]`.
pub fn expected_tensors(config: &EncoderConfig) -> Vec<(String, Vec<usize>)> {
    let EncoderConfig { vocab_size, max_position, width, ffn_width, .. } = *config;
    let mut tensors = vec![
        (format!("{PREFIX}embeddings.word_embeddings.weight"), vec![vocab_size, width]),
        (names::POSITION_TABLE.to_owned(), vec![max_position, width]),
    ];
    let mut pair = |name: &str, weight: Vec<usize>| {
        let n_out = weight[0];
        tensors.push((format!("{name}.weight"), weight));
        tensors.push((format!("{name}.bias"), vec![n_out]));
    };
    pair(&format!("{PREFIX}embeddings.LayerNorm"), vec![width]);
    for layer_idx in 0..config.n_layers {
        let layer = format!("{PREFIX}transformer.layer.{layer_idx}");
        for part in ["q_lin", "k_lin", "v_lin", "out_lin"] {
            pair(&format!("{layer}.attention.{part}"), vec![width, width]);
        }
        pair(&format!("{layer}.sa_layer_norm"), vec![width]);
        pair(&format!("{layer}.ffn.lin1"), vec![ffn_width, width]);
        pair(&format!("{layer}.ffn.lin2"), vec![width, ffn_width]);
        pair(&format!("{layer}.output_layer_norm"), vec![width]);
    }
    pair("pre_classifier", vec![width, width]);
    pair("classifier", vec![config.n_labels(), width]);
    tensors
}

/// Renames, folds and checks. Returns the expected tensors, whether the head is among them, and
/// what was left aside.
pub(super) fn select(
    stored: Tensors,
    config: &EncoderConfig,
    head: MissingHead,
) -> Result<(Tensors, bool, LoadReport)> {
    let mut report = LoadReport::default();
    let mut found = Tensors::default();
    for (stored_name, tensor) in stored {
        match names::meaning(&stored_name, config.family) {
            EncoderTensor::Tensor(name) => found.insert(name, tensor),
            EncoderTensor::Dropped => report.dropped.push(stored_name),
        }
    }
    if config.family == Family::Bert {
        bert::fold_token_types(&mut found, config, &mut report)?;
    }
    let has_head = CLASSIFIER_HEAD.iter().all(|name| found.get(name).is_ok());
    if config.family == Family::Bert
        && head == MissingHead::Required
        && !has_head
        && found.get("classifier.weight").is_ok()
    {
        return Err(Error::invalid(
            "a BERT's own classifier needs the BERT's pooler, and a DistilBERT has no pooler",
        )
        .with_hint(FINE_TUNE));
    }
    let mut tensors = Tensors::default();
    for (name, expected) in expected_tensors(config) {
        let is_head = CLASSIFIER_HEAD.contains(&name.as_str());
        let Some(tensor) = found.remove(&name) else {
            if !is_head || head == MissingHead::Required {
                report.missing.push(MissingTensor { tensor: name, expected });
            }
            continue;
        };
        // Half a head is of no use: a BERT's classifier reads its pooler, not a pre_classifier.
        if is_head && !has_head {
            report.dropped.push(name);
        } else if tensor.shape() != expected || !tensor.is_float() {
            let (dtype, found) = (tensor.dtype(), tensor.shape().to_vec());
            report.mis_shaped.push(MisShaped { tensor: name, expected, found, dtype });
        } else {
            tensors.insert(name, tensor);
        }
    }
    report.unused.extend(found.into_iter().map(|(name, _)| name));
    report.check()?;
    Ok((tensors, has_head, report))
}
