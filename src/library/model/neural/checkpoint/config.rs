//! The sizes, rates and labels of an encoder, checked once when they are read.

use crate::error::{Error, Result};

/// The function between a feed-forward network's two products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · (1 + erf(x / √2)) / 2`, Hugging Face's `gelu`.
    Gelu,
    /// `x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) / 2`, Hugging Face's `gelu_new`.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

impl Activation {
    /// The name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_new",
            Self::Relu => "relu",
        }
    }

    /// The activation Hugging Face calls `name`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }
}

/// Whose names the tensors of a checkpoint have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `model_type` distilbert.
    DistilBert,
    /// `model_type` bert: token type 0 is folded into the positions and the pooler is dropped.
    Bert,
}

/// The configuration of an encoder and its classification head in `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Whose names the stored tensors have; what is written is always DistilBERT's.
    pub family: Family,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Rows of the position embedding: the longest sequence in tokens.
    pub max_position: usize,
    /// Width of a token's representation (`dim`, `hidden_size`).
    pub width: usize,
    /// Number of transformer layers.
    pub n_layers: usize,
    /// Attention heads of a layer; divides `width`.
    pub n_heads: usize,
    /// Width between the feed-forward network's two products (`hidden_dim`, `intermediate_size`).
    pub ffn_width: usize,
    /// The function between them.
    pub activation: Activation,
    /// Added to the variance in every layer norm. DistilBERT's is always 1e-12.
    pub layer_norm_eps: f64,
    /// Dropout rate of embeddings and of both outputs of a layer. DistilBERT's default 0.1.
    pub dropout: f64,
    /// Dropout rate of the attention weights, after the softmax. Default 0.1.
    pub attention_dropout: f64,
    /// Dropout rate before the classifier (`seq_classif_dropout`). DistilBERT's default 0.2.
    pub classifier_dropout: f64,
    /// The id of `[PAD]`.
    pub pad_token_id: u32,
    /// Class names in label order; their number is the classifier's.
    pub labels: Vec<String>,
    /// The number format that the weights are said to have, such as `float16` (`dtype`, before
    /// Transformers 5 `torch_dtype`): what Transformers computes in. What is written says `float32`.
    pub dtype: Option<String>,
    /// The purpose of the classifier's numbers, where it is given: one label of several, several at
    /// a time, or a regression. A file that is written does not give it: it is always one of
    /// several.
    pub problem_type: Option<String>,
}

impl EncoderConfig {
    /// The constant in DistilBERT's layer norms: it is in their code and nothing in their
    /// configuration.
    pub const DISTILBERT_EPS: f64 = 1e-12;

    /// Number of classes.
    pub fn n_labels(&self) -> usize {
        self.labels.len()
    }

    /// Width of one attention head.
    pub fn head_width(&self) -> usize {
        self.width / self.n_heads
    }

    /// Checks that an encoder of these sizes can be built.
    ///
    /// # Errors
    /// The first size or rate that cannot be, with its name and value.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position),
            ("width", self.width),
            ("number of layers", self.n_layers),
            ("number of heads", self.n_heads),
            ("feed-forward width", self.ffn_width),
            ("number of labels", self.labels.len()),
        ];
        // The bound keeps every product of two sizes far from overflow; no encoder is near it.
        for (name, size) in sizes {
            if size == 0 || size > 1 << 28 {
                return Err(Error::invalid(format!(
                    "{name} must be between 1 and {}: found {size}",
                    1 << 28
                )));
            }
        }
        if !self.width.is_multiple_of(self.n_heads) {
            return Err(Error::invalid(format!(
                "the width {} is not divisible by the number of heads {}",
                self.width, self.n_heads
            )));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(Error::invalid(format!(
                "layer_norm_eps must be above 0 and below 1: found {}",
                self.layer_norm_eps
            )));
        }
        let rates = [
            ("dropout", self.dropout),
            ("attention_dropout", self.attention_dropout),
            ("classifier dropout", self.classifier_dropout),
        ];
        for (name, rate) in rates {
            if !(0.0..1.0).contains(&rate) {
                return Err(Error::invalid(format!(
                    "{name} must be at least 0 and below 1: found {rate}"
                )));
            }
        }
        Ok(())
    }
}

impl EncoderConfig {
    /// Checks that a text has one of several labels, each of which has a name of its own.
    ///
    /// # Errors
    /// The first thing that makes it something else than such a classifier.
    pub fn check_labels(&self) -> Result<()> {
        const ONE_OF_SEVERAL: &str = "single_label_classification";
        if let Some(found) = self.problem_type.as_ref().filter(|found| *found != ONE_OF_SEVERAL) {
            return Err(Error::invalid(format!(
                "problem_type {found:?} is not supported: expected {ONE_OF_SEVERAL:?}"
            ))
            .with_hint("only a model that gives every text one of several classes can be used"));
        }
        if self.labels.len() < 2 {
            return Err(Error::invalid(format!(
                "a classifier has at least 2 classes: found {}",
                self.labels.len()
            ))
            .with_hint("a model with one output is a regression, which cannot be used"));
        }
        for (label_idx, name) in self.labels.iter().enumerate() {
            let fault = if name.trim().is_empty() {
                format!("class {label_idx} has no name")
            } else if self.labels[..label_idx].contains(name) {
                format!("class {label_idx} has the same name as an earlier class: {name:?}")
            } else {
                continue;
            };
            return Err(Error::invalid(fault).with_hint("name the classes: --classes NAME,NAME"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISTILBERT: &str = r#"{"model_type": "distilbert", "vocab_size": 30522, "dim": 768, "n_layers": 6,
        "n_heads": 12, "hidden_dim": 3072, "max_position_embeddings": 512, "activation": "gelu",
        "seq_classif_dropout": 0.3, "id2label": {"1": "good", "0": "bad", "2": "so so"}}"#;

    #[track_caller]
    fn refuses(find: &str, replace: &str, expected: &str) {
        assert!(DISTILBERT.contains(find), "{find:?} is not in the example");
        let error = EncoderConfig::from_json(&DISTILBERT.replace(find, replace)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn labels_are_ordered_by_their_numbers() {
        let config = EncoderConfig::from_json(DISTILBERT).unwrap();
        assert_eq!(config.labels, ["bad", "good", "so so"]);
        assert_eq!((config.classifier_dropout, config.layer_norm_eps), (0.3, 1e-12));
    }

    #[test]
    fn a_configuration_survives_being_written() {
        let mut config = EncoderConfig::from_json(DISTILBERT).unwrap();
        config.dtype = Some("float32".to_owned());
        config.activation = Activation::Relu;
        assert_eq!(EncoderConfig::from_json(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn a_folded_berts_epsilon_is_not_lost() {
        let mut config = EncoderConfig::from_json(DISTILBERT).unwrap();
        assert!(!config.to_json().contains("layer_norm_eps"));
        config.layer_norm_eps = 1e-5;
        let again = EncoderConfig::from_json(&config.to_json()).unwrap();
        assert_eq!(again.layer_norm_eps, config.layer_norm_eps);
    }

    #[test]
    fn a_bert_has_its_own_key_names() {
        let config = EncoderConfig::from_json(
            r#"{"model_type": "bert", "vocab_size": 100, "hidden_size": 384, "num_hidden_layers": 6,
            "num_attention_heads": 12, "intermediate_size": 1536, "max_position_embeddings": 512,
            "hidden_act": "gelu", "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.05, "pad_token_id": 3}"#,
        )
        .unwrap();
        assert_eq!((config.family, config.width, config.head_width()), (Family::Bert, 384, 32));
        assert_eq!((config.dropout, config.classifier_dropout), (0.05, 0.05));
        assert_eq!((config.layer_norm_eps, config.pad_token_id), (1e-5, 3));
        assert_eq!(config.labels, ["LABEL_0", "LABEL_1"]);
    }

    #[test]
    fn a_distilbert_may_have_a_berts_key_names() {
        let mut text = DISTILBERT.to_owned();
        let names = [
            ("\"dim\"", "\"hidden_size\""),
            ("\"n_layers\"", "\"num_hidden_layers\""),
            ("\"n_heads\"", "\"num_attention_heads\""),
        ];
        for (own, berts) in names {
            text = text.replace(own, berts);
        }
        let expected = EncoderConfig::from_json(DISTILBERT).unwrap();
        assert_eq!(EncoderConfig::from_json(&text).unwrap(), expected);
        let both = text.replace("\"hidden_size\"", "\"dim\": 768, \"hidden_size\"");
        assert_eq!(EncoderConfig::from_json(&both).unwrap(), expected);
        refuses("\"dim\": 768", "\"dim\": 768, \"hidden_size\": 512", "\"hidden_size\" is 512");
    }

    #[test]
    fn labels_that_are_numbers_are_named_by_them() {
        let check = |good: &str, expected: &str| {
            let config = EncoderConfig::from_json(&DISTILBERT.replace("\"good\"", good)).unwrap();
            assert_eq!(config.labels[1], expected, "{good}");
        };
        check("1", "1");
        check("-1", "-1");
        check("5.0", "5");
        check("0.5", "0.5");
        check("true", "true");
        refuses("\"good\"", "null", "no name for label 1");
        refuses("\"good\"", "[1]", "no name for label 1");
    }

    // A softmax was put over the numbers of every problem, and one class of two names had no score.
    #[test]
    fn labels_of_no_classifier_are_refused() {
        let check = |find: &str, replace: &str, expected: Option<&str>| {
            assert!(DISTILBERT.contains(find), "{find:?} is not in the example");
            let config = EncoderConfig::from_json(&DISTILBERT.replace(find, replace)).unwrap();
            let error = config.check_labels().err().map(|error| error.to_string());
            match expected {
                Some(part) => assert!(error.as_ref().unwrap().contains(part), "{error:?}"),
                None => assert_eq!(error, None, "{replace}"),
            }
        };
        check("good", "good", None);
        let problem = |name: &str| format!("\"problem_type\": {name}, \"id2label\"");
        check("\"id2label\"", &problem("\"single_label_classification\""), None);
        check("\"id2label\"", &problem("null"), None);
        for name in ["multi_label_classification", "regression"] {
            check("\"id2label\"", &problem(&format!("{name:?}")), Some(name));
        }
        check("\"1\": \"good\", \"0\": \"bad\", \"2\": \"so so\"", "\"0\": \"a\"", Some("found 1"));
        check("so so", "bad", Some("class 2 has the same name as an earlier class: \"bad\""));
        check("good", " ", Some("class 1 has no name"));
    }

    #[test]
    fn what_cannot_be_computed_is_named() {
        refuses(
            "\"n_heads\": 12",
            "\"n_heads\": 7",
            "768 is not divisible by the number of heads 7",
        );
        refuses("\"dim\": 768", "\"dim\": 0", "width must be between 1 and");
        refuses("\"dim\": 768", "\"dim\": -3", "\"dim\" must be a whole number: found -3");
        refuses("\"dim\": 768,", "", "\"dim\" is missing");
        refuses("\"gelu\"", "\"swish\"", "activation \"swish\"");
        refuses("\"distilbert\"", "\"roberta\"", "model_type \"roberta\"");
        refuses("\"1\": \"good\", ", "", "label 1");
        refuses("0.3", "1.5", "found 1.5");
        refuses("{\"model_type\"", "{{", "not JSON");
        refuses("\"n_layers\": 6", "\"n_layers\": 9999999999", "number of layers must be");
    }
}
