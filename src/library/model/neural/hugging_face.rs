//! Between Hugging Face's checkpoints and our nets.

use std::{collections::BTreeSet, path::Path};

use super::{
    checkpoint::{
        self, Activation, CLASSIFIER_HEAD, Checkpoint, EncoderConfig, Family, LoadReport,
        MissingHead,
    },
    device::Resolved,
    encoder::Encoder,
    engine::NetArithmetic,
    header::NeuralHeader,
    net::{DistilBertConfig, Net, NetConfig},
    tensors::{FileTensor, Tensors},
    tokenizer::NetTokenizer,
    tokenizer_config::TokenizerConfig,
};
use crate::{
    error::{Error, Result},
    model::ModelFiles,
};

/// The tokenizer and the net that fine-tuning begins with, and what to say of them. A
/// classification head of other classes is left aside for a new one.
pub(super) fn start(
    folder: &Path,
    classes: &[String],
    max_length: usize,
    seed: u64,
    device: &Resolved,
) -> Result<(NetTokenizer, Net, String)> {
    let folder = &checkpoint::snapshot(folder)?;
    let in_context = |error: Error| error.with_context(folder.display());
    let (mut opened, tokenizer, notes) = open_to_train(folder, max_length)?;
    let rows = head_rows(&opened.config.labels, classes).filter(|_| opened.has_head);
    let head = match &rows {
        Some(rows) if rows.is_sorted() => "its head".to_owned(),
        Some(_) => "its head, in the order of the dataset's classes".to_owned(),
        None if opened.has_head => {
            let labels = opened.config.labels.join(", ");
            tracing::warn!(checkpoint = %folder.display(), %labels, "the head of the checkpoint is for other classes: a new head is trained");
            format!("a new head; that of the checkpoint is for {labels}")
        }
        None => "a new head".to_owned(),
    };
    opened.config.labels = classes.to_vec();
    let config = NetConfig::DistilBert(sizes(&opened.config));
    if let Some(rows) = rows {
        reorder(&mut opened.tensors, &rows)?;
    } else {
        let fresh = Net::new(config.clone(), seed, device)?.parameters();
        for name in CLASSIFIER_HEAD {
            opened.tensors.insert(name, fresh.get(name)?.clone());
        }
    }
    let net = Net::load(config, &opened.tensors, device).map_err(in_context)?;
    for note in opened.report.note().into_iter().chain(notes) {
        tracing::info!(checkpoint = %folder.display(), "{note}");
    }
    Ok((tokenizer, net, format!("{} with {head}", folder.display())))
}

/// The checkpoint in `folder` and its tokenizer, with what to say of that one.
///
/// # Errors
/// Files that are missing, damaged or do not fit together, and a net that cannot be trained.
pub(super) fn open_to_train(
    folder: &Path,
    max_length: usize,
) -> Result<(Checkpoint, NetTokenizer, Vec<String>)> {
    let in_context = |error: Error| error.with_context(folder.display());
    let files = ModelFiles::in_dir(folder)?;
    let opened = Checkpoint::open(&files, MissingHead::Optional).map_err(in_context)?;
    if opened.config.activation != Activation::Gelu {
        return Err(Error::invalid(format!(
            "{}: activation {:?} works only in prediction, training needs \"gelu\"",
            folder.display(),
            opened.config.activation.name()
        )));
    }
    if opened.config.layer_norm_eps != EncoderConfig::DISTILBERT_EPS {
        return Err(Error::invalid(format!(
            "{}: layer_norm_eps {} works only in prediction, training needs {}",
            folder.display(),
            opened.config.layer_norm_eps,
            EncoderConfig::DISTILBERT_EPS
        )));
    }
    if max_length > opened.config.max_position {
        return Err(Error::invalid(format!(
            "--max-len {max_length}: the checkpoint reads at most {} tokens",
            opened.config.max_position
        )));
    }
    let (tokenizer, notes) = TokenizerConfig::of_checkpoint(&files)
        .and_then(|said| NetTokenizer::of_checkpoint(&files, &said, max_length))
        .map_err(in_context)?;
    check_vocabulary(&tokenizer, &opened.config)?;
    Ok((opened, tokenizer, notes))
}

/// The row of a head for `labels` that belongs to each of `classes`, or nothing where the head is
/// for something else. Names are the same in small letters or large ones. A head whose labels were
/// never named is taken to be in our order if it has as many.
fn head_rows(labels: &[String], classes: &[String]) -> Option<Vec<usize>> {
    if labels.len() != classes.len() {
        return None;
    }
    if labels.iter().enumerate().all(|(idx, label)| *label == format!("LABEL_{idx}")) {
        return Some((0..labels.len()).collect());
    }
    let small = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
    let (labels, classes) = (small(labels), small(classes));
    let row = |class| labels.iter().position(|label| label == class);
    let rows: Vec<usize> = classes.iter().map(row).collect::<Option<_>>()?;
    let n_used = rows.iter().collect::<BTreeSet<_>>().len();
    (n_used == labels.len()).then_some(rows)
}

/// Puts the rows of the classifier into another order.
fn reorder(tensors: &mut Tensors, rows: &[usize]) -> Result<()> {
    for name in ["classifier.weight", "classifier.bias"] {
        let values = tensors.values(name)?;
        let width = values.len() / rows.len();
        let row = |row: &usize| &values[row * width..(row + 1) * width];
        let reordered = rows.iter().flat_map(row).copied().collect();
        tensors.insert(name, FileTensor::new(tensors.get(name)?.shape().to_vec(), reordered));
    }
    Ok(())
}

/// A checkpoint with a classification head as a net on any device.
///
/// # Errors
/// When the device has no room for it.
pub fn net_of_checkpoint(opened: &Checkpoint, device: &Resolved) -> Result<Net> {
    let config = NetConfig::DistilBert(sizes(&opened.config));
    Net::load(config, &opened.tensors, device)
}

pub(super) fn check_vocabulary(tokenizer: &NetTokenizer, config: &EncoderConfig) -> Result<()> {
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

pub(super) fn sizes(config: &EncoderConfig) -> DistilBertConfig {
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
        return Err(Error::invalid(format!("{} is not an encoder", net.config().name())));
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
        dtype: None,
        problem_type: None,
    };
    Ok(Checkpoint {
        config,
        tensors: net.parameters(),
        has_head: true,
        report: LoadReport::default(),
    })
}

/// The CPU's fast path over a checkpoint.
pub(super) fn encoder(checkpoint: Checkpoint) -> Result<NetArithmetic> {
    let encoder = Encoder::load(&checkpoint.config, &checkpoint.tensors)?;
    Ok(NetArithmetic::Encoder(Box::new(encoder), Box::new(checkpoint)))
}

/// Writes `config.json` and `model.safetensors`.
pub(super) fn save(opened: &Checkpoint, dir: &Path) -> Result<()> {
    checkpoint::write(dir, &opened.config, &opened.tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Device;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_head_is_kept_for_its_own_classes_only() {
        let check = |labels: &[&str], classes: &[&str], expected: Option<Vec<usize>>| {
            assert_eq!(head_rows(&names(labels), &names(classes)), expected, "{labels:?}");
        };
        check(&["bad", "good"], &["bad", "good"], Some(vec![0, 1]));
        check(&["good", "bad"], &["bad", "good"], Some(vec![1, 0]));
        check(&["c", "a", "b"], &["a", "b", "c"], Some(vec![1, 2, 0]));
        check(&["NEGATIVE", "POSITIVE"], &["negative", "positive"], Some(vec![0, 1]));
        check(&["LABEL_0", "LABEL_1"], &["bad", "good"], Some(vec![0, 1]));
        check(&["LABEL_0", "LABEL_1", "LABEL_2"], &["bad", "good"], None);
        check(&["ham", "spam"], &["bad", "good"], None);
        check(&["good", "good"], &["bad", "good"], None);
        check(&["a", "b"], &["a", "A"], None);
    }

    // Only the number of the classes was compared: a head in another order began with every answer
    // the wrong way round.
    #[test]
    fn a_heads_rows_follow_their_classes() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-distilbert");
        let device = Device::Cpu.resolve().unwrap();
        let head = |classes: &[&str]| -> (Vec<f32>, Vec<f32>, String) {
            let (_, net, origin) = start(&folder, &names(classes), 32, 7, &device).unwrap();
            let tensors = net.parameters();
            let values = |name| tensors.values(name).unwrap().to_vec();
            (values("classifier.weight"), values("classifier.bias"), origin)
        };
        let (weight, bias, origin) = head(&["negative", "positive"]);
        assert!(origin.ends_with("with its head"), "{origin}");
        let (turned, turned_bias, origin) = head(&["positive", "negative"]);
        assert!(origin.ends_with("in the order of the dataset's classes"), "{origin}");
        let (first, second) = weight.split_at(weight.len() / 2);
        assert_eq!((turned, turned_bias), ([second, first].concat(), vec![bias[1], bias[0]]));
        let (new, _, origin) = head(&["ham", "spam"]);
        assert!(
            origin.ends_with("a new head; that of the checkpoint is for negative, positive"),
            "{origin}"
        );
        assert_ne!(new, weight);
    }
}
