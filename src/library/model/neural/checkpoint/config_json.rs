//! `config.json` as Hugging Face writes it, to and from [`EncoderConfig`].

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use super::config::{Activation, EncoderConfig, Family};
use crate::error::{Error, Result};

/// A BERT's key; written for a DistilBERT only where a folded BERT had another value, which
/// Transformers passes over.
const EPS: &str = "layer_norm_eps";

impl EncoderConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is not JSON, is of another architecture, lacks a size or
    /// holds one that cannot be; the message names the key and what was found.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        Self::from_json(&text).map_err(|error| error.with_context(format!("{path:?}")))
    }

    /// The configuration in the text of a `config.json`.
    ///
    /// # Errors
    /// As [`EncoderConfig::read`].
    pub fn from_json(text: &str) -> Result<Self> {
        let config = parse(text)?;
        config.check()?;
        Ok(config)
    }

    /// The text of the `config.json` of a DistilBERT with these sizes.
    pub fn to_json(&self) -> String {
        render(self)
    }
}

/// Reads the keys; the values are checked by [`EncoderConfig::check`].
fn parse(text: &str) -> Result<EncoderConfig> {
    let value: Value = serde_json::from_str(text)
        .map_err(|source| Error::invalid("the configuration is not JSON").with_source(source))?;
    let Value::Object(map) = value else {
        return Err(Error::invalid("the configuration is not a JSON object"));
    };
    let keys = JsonLookup(map);
    match keys.text("model_type")? {
        Some("distilbert") => distilbert(&keys),
        Some("bert") => bert(&keys),
        found => Err(Error::invalid(format!(
            "model_type {} is not supported: expected \"distilbert\" or \"bert\"",
            found.map_or_else(|| "(missing)".to_owned(), |name| format!("{name:?}"))
        ))
        .with_hint("use a DistilBERT or BERT checkpoint")),
    }
}

/// The text of a DistilBERT's `config.json`, as `save_pretrained` lays it out.
fn render(config: &EncoderConfig) -> String {
    let labels = config.labels.iter().enumerate();
    let id2label: Map<String, Value> =
        labels.clone().map(|(label_idx, name)| (label_idx.to_string(), json!(name))).collect();
    let label2id: Map<String, Value> =
        labels.map(|(label_idx, name)| (name.clone(), json!(label_idx))).collect();
    let mut value = json!({
        "activation": config.activation.name(),
        "architectures": ["DistilBertForSequenceClassification"],
        "attention_dropout": config.attention_dropout,
        "dim": config.width,
        "dropout": config.dropout,
        "hidden_dim": config.ffn_width,
        "id2label": id2label,
        "initializer_range": 0.02,
        "label2id": label2id,
        "max_position_embeddings": config.max_position,
        "model_type": "distilbert",
        "n_heads": config.n_heads,
        "n_layers": config.n_layers,
        "pad_token_id": config.pad_token_id,
        "qa_dropout": 0.1,
        "seq_classif_dropout": config.classifier_dropout,
        "sinusoidal_pos_embds": false,
        "torch_dtype": "float32",
        "vocab_size": config.vocab_size,
    });
    if config.layer_norm_eps != EncoderConfig::DISTILBERT_EPS {
        value[EPS] = json!(config.layer_norm_eps);
    }
    serde_json::to_string_pretty(&value).expect("string keys and plain values") + "\n"
}

fn distilbert(keys: &JsonLookup) -> Result<EncoderConfig> {
    Ok(EncoderConfig {
        family: Family::DistilBert,
        vocab_size: keys.size("vocab_size")?,
        max_position: keys.size("max_position_embeddings")?,
        // A DistilBERT's own names, and what Transformers takes for them too (`attribute_map`).
        width: keys.size_of(["dim", "hidden_size"])?,
        n_layers: keys.size_of(["n_layers", "num_hidden_layers"])?,
        n_heads: keys.size_of(["n_heads", "num_attention_heads"])?,
        ffn_width: keys.size("hidden_dim")?,
        activation: keys.activation("activation")?,
        layer_norm_eps: keys.number(EPS, EncoderConfig::DISTILBERT_EPS)?,
        dropout: keys.number("dropout", 0.1)?,
        attention_dropout: keys.number("attention_dropout", 0.1)?,
        classifier_dropout: keys.number("seq_classif_dropout", 0.2)?,
        pad_token_id: keys.pad_token_id()?,
        labels: keys.labels()?,
        dtype: keys.dtype()?,
        problem_type: keys.text("problem_type")?.map(str::to_owned),
    })
}

fn bert(keys: &JsonLookup) -> Result<EncoderConfig> {
    match keys.text("position_embedding_type")? {
        None | Some("absolute") => {}
        Some(other) => {
            return Err(Error::invalid(format!(
                "position_embedding_type {other:?} is not supported: expected \"absolute\""
            )));
        }
    }
    let dropout = keys.number("hidden_dropout_prob", 0.1)?;
    Ok(EncoderConfig {
        family: Family::Bert,
        vocab_size: keys.size("vocab_size")?,
        max_position: keys.size("max_position_embeddings")?,
        width: keys.size("hidden_size")?,
        n_layers: keys.size("num_hidden_layers")?,
        n_heads: keys.size("num_attention_heads")?,
        ffn_width: keys.size("intermediate_size")?,
        activation: keys.activation("hidden_act")?,
        layer_norm_eps: keys.number(EPS, EncoderConfig::DISTILBERT_EPS)?,
        dropout,
        attention_dropout: keys.number("attention_probs_dropout_prob", 0.1)?,
        classifier_dropout: keys.number("classifier_dropout", dropout)?,
        pad_token_id: keys.pad_token_id()?,
        labels: keys.labels()?,
        dtype: keys.dtype()?,
        problem_type: keys.text("problem_type")?.map(str::to_owned),
    })
}

/// Typed look-ups that name the key when they fail. `null` counts as absent, as in Hugging Face.
struct JsonLookup(Map<String, Value>);

impl JsonLookup {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<&str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = value.as_str();
        text.map(Some).ok_or_else(|| wrong(key, "a string", value))
    }

    fn size(&self, key: &str) -> Result<usize> {
        let value =
            self.get(key).ok_or_else(|| Error::invalid(format!("the size {key:?} is missing")))?;
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| wrong(key, "a whole number", value))
    }

    /// A size with two names.
    fn size_of(&self, [name, other]: [&str; 2]) -> Result<usize> {
        match (self.get(name), self.get(other)) {
            (Some(one), Some(two)) if self.size(name)? != self.size(other)? => {
                Err(Error::invalid(format!("{name:?} is {one} and {other:?} is {two}"))
                    .with_hint("both give the same size: remove the wrong one"))
            }
            (None, Some(_)) => self.size(other),
            _ => self.size(name),
        }
    }

    fn number(&self, key: &str, default: f64) -> Result<f64> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_f64().ok_or_else(|| wrong(key, "a number", value))
    }

    fn activation(&self, key: &str) -> Result<Activation> {
        let Some(name) = self.text(key)? else { return Ok(Activation::Gelu) };
        Activation::from_name(name).ok_or_else(|| {
            Error::invalid(format!(
                "the activation {name:?} is not supported: expected \"gelu\", \"gelu_new\" or \"relu\""
            ))
        })
    }

    fn pad_token_id(&self) -> Result<u32> {
        let Some(value) = self.get("pad_token_id") else { return Ok(0) };
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| wrong("pad_token_id", "a token id", value))
    }

    /// Under its name since Transformers 5, or the one before.
    fn dtype(&self) -> Result<Option<String>> {
        let said = self.text("dtype")?.or(self.text("torch_dtype")?);
        Ok(said.map(|said| said.trim_start_matches("torch.").to_owned()))
    }

    /// `id2label` in the order of its numbers, or Hugging Face's own names for `num_labels`.
    fn labels(&self) -> Result<Vec<String>> {
        let Some(value) = self.get("id2label") else {
            let n_labels =
                if self.get("num_labels").is_some() { self.size("num_labels")? } else { 2 };
            // A label needs a row of the classifier: more of them than this is a damaged file.
            if n_labels > 1 << 20 {
                return Err(wrong("num_labels", "at most 1048576", &json!(n_labels)));
            }
            return Ok((0..n_labels).map(|label_idx| format!("LABEL_{label_idx}")).collect());
        };
        let by_id = value.as_object().ok_or_else(|| wrong("id2label", "an object", value))?;
        (0..by_id.len())
            .map(|label_idx| {
                by_id.get(&label_idx.to_string()).and_then(label_name).ok_or_else(|| {
                    let found: Vec<&str> = by_id.keys().map(String::as_str).collect();
                    Error::invalid(format!(
                        "\"id2label\" has {} labels but no name for label {label_idx}: found {}",
                        by_id.len(),
                        found.join(", ")
                    ))
                })
            })
            .collect()
    }
}

/// A label's name, which may be written as a number: 1 and 1.0 are the class "1".
fn label_name(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => {
                Some(format!("{whole:.0}"))
            }
            _ => Some(number.to_string()),
        },
        Value::Bool(name) => Some(name.to_string()),
        _ => None,
    }
}

fn wrong(key: &str, expected: &str, found: &Value) -> Error {
    Error::invalid(format!("{key:?} must be {expected}: found {found}"))
}
