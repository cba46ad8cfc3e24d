//! One set of names: DistilBERT's, as `DistilBertForSequenceClassification` saves them.

use super::config::Family;

/// The part of this encoder that a stored tensor is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EncoderTensor {
    /// A tensor under DistilBERT's name for it, or under its own when no rule knows it.
    Tensor(String),
    /// Known, and of no use here: poolers, pretraining heads, stored positions.
    Dropped,
}

/// The base model's prefix in every canonical name.
pub(super) const PREFIX: &str = "distilbert.";
/// The four tensors of the classification head.
pub const CLASSIFIER_HEAD: [&str; 4] =
    ["pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias"];
/// The table of the tokens' embeddings.
pub const TOKEN_TABLE: &str = "distilbert.embeddings.word_embeddings.weight";
/// BERT's table of token types, before it is folded away.
pub(super) const TOKEN_TYPES: &str = "distilbert.embeddings.token_type_embeddings.weight";
/// The table that it is folded into.
pub const POSITION_TABLE: &str = "distilbert.embeddings.position_embeddings.weight";

/// Translates the name of a stored tensor. Checkpoints of a bare base model have no prefix, and
/// those converted from TensorFlow call a norm's weight and bias gamma and beta.
pub(super) fn meaning(stored: &str, family: Family) -> EncoderTensor {
    let base = match family {
        Family::DistilBert => stored.strip_prefix(PREFIX),
        Family::Bert => stored.strip_prefix("bert."),
    };
    if base.is_none() && is_pretraining_head(stored) {
        return EncoderTensor::Dropped;
    }
    if base.is_none()
        && (stored.starts_with("pre_classifier.") || stored.starts_with("classifier."))
    {
        return EncoderTensor::Tensor(stored.to_owned());
    }
    let name = base.unwrap_or(stored);
    if name == "embeddings.position_ids" || name.starts_with("pooler.") {
        return EncoderTensor::Dropped;
    }
    let name = match (name.strip_suffix(".gamma"), name.strip_suffix(".beta")) {
        (Some(norm), _) => format!("{norm}.weight"),
        (_, Some(norm)) => format!("{norm}.bias"),
        _ => name.to_owned(),
    };
    let name = match family {
        Family::DistilBert => Some(name),
        Family::Bert => from_bert(&name),
    };
    match name {
        Some(name) if name.starts_with("embeddings.") || name.starts_with("transformer.layer.") => {
            EncoderTensor::Tensor(format!("{PREFIX}{name}"))
        }
        _ => EncoderTensor::Tensor(stored.to_owned()),
    }
}

/// Masked-language-model and next-sentence heads.
fn is_pretraining_head(stored: &str) -> bool {
    ["vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "cls."]
        .iter()
        .any(|head| stored.starts_with(head))
}

/// DistilBERT's name for a tensor of a BERT without its prefix.
fn from_bert(name: &str) -> Option<String> {
    if name.starts_with("embeddings.") {
        return Some(name.to_owned());
    }
    let (layer_idx, part) = name.strip_prefix("encoder.layer.")?.split_once('.')?;
    let (part, parameter) = part.rsplit_once('.')?;
    let part = match part {
        "attention.self.query" => "attention.q_lin",
        "attention.self.key" => "attention.k_lin",
        "attention.self.value" => "attention.v_lin",
        "attention.output.dense" => "attention.out_lin",
        "attention.output.LayerNorm" => "sa_layer_norm",
        "intermediate.dense" => "ffn.lin1",
        "output.dense" => "ffn.lin2",
        "output.LayerNorm" => "output_layer_norm",
        _ => return None,
    };
    Some(format!("transformer.layer.{layer_idx}.{part}.{parameter}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(family: Family, stored: &str, expected: Option<&str>) {
        let expected =
            expected.map_or(EncoderTensor::Dropped, |name| EncoderTensor::Tensor(name.to_owned()));
        assert_eq!(meaning(stored, family), expected, "{stored}");
    }

    #[test]
    fn distilbert_names_are_canonical_with_or_without_the_prefix() {
        use Family::DistilBert;
        let name = "distilbert.transformer.layer.0.attention.q_lin.weight";
        check(DistilBert, name, Some(name));
        check(DistilBert, "transformer.layer.0.attention.q_lin.weight", Some(name));
        check(DistilBert, "classifier.bias", Some("classifier.bias"));
        check(DistilBert, "vocab_projector.bias", None);
        check(DistilBert, "embeddings.position_ids", None);
        check(DistilBert, "qa_outputs.weight", Some("qa_outputs.weight"));
    }

    #[test]
    fn bert_names_are_translated() {
        use Family::Bert;
        let layer = "distilbert.transformer.layer.11";
        check(
            Bert,
            "bert.encoder.layer.11.attention.self.value.bias",
            Some(&format!("{layer}.attention.v_lin.bias")),
        );
        check(
            Bert,
            "encoder.layer.11.output.dense.weight",
            Some(&format!("{layer}.ffn.lin2.weight")),
        );
        check(
            Bert,
            "encoder.layer.11.attention.output.dense.weight",
            Some(&format!("{layer}.attention.out_lin.weight")),
        );
        check(
            Bert,
            "bert.encoder.layer.11.output.LayerNorm.gamma",
            Some(&format!("{layer}.output_layer_norm.weight")),
        );
        check(Bert, "bert.embeddings.LayerNorm.beta", Some("distilbert.embeddings.LayerNorm.bias"));
        check(Bert, "bert.embeddings.token_type_embeddings.weight", Some(TOKEN_TYPES));
        check(Bert, "bert.pooler.dense.weight", None);
        check(Bert, "pooler.dense.bias", None);
        check(Bert, "cls.predictions.bias", None);
        check(
            Bert,
            "encoder.layer.0.crossattention.self.key.bias",
            Some("encoder.layer.0.crossattention.self.key.bias"),
        );
    }
}
