//! Hugging Face's snapshots as classifiers that predict as they are.

use std::path::Path;

use super::{
    Neural,
    checkpoint::{self, CONFIG_FILE, Checkpoint, EncoderConfig, Head},
    header::NeuralHeader,
    hugging_face::{check_vocabulary, encoder, sizes},
    net::NetConfig,
    tokenizer::Tokenizer,
    tokenizer_config::TokenizerConfig,
};
use crate::{
    error::{Error, Result},
    figure,
    model::ModelFiles,
};

/// A snapshot as a classifier that predicts as it is, and what to tell of it: tensors that were left
/// aside, and where Transformers answers something else.
///
/// `classes` are the class names in label order; without them they are those of `config.json`.
///
/// # Errors
/// A folder without a whole checkpoint that has a classification head and a tokenizer, another
/// number of classes, and labels or a problem that make no classifier.
pub fn import(folder: &Path, classes: Option<Vec<String>>) -> Result<(Neural, Vec<String>)> {
    let folder = &checkpoint::snapshot(folder)?;
    let files = ModelFiles::in_dir(folder)?;
    let mut opened = Checkpoint::open(&files, Head::Required)
        .map_err(|error| error.with_context(folder.display()))?;
    if let Some(classes) = classes {
        if classes.len() != opened.config.labels.len() {
            return Err(Error::invalid(format!(
                "{} given, the checkpoint has {}: {}",
                figure::counted(classes.len(), "class name"),
                figure::counted(opened.config.labels.len(), "label"),
                opened.config.labels.join(", ")
            ))
            .with_hint("name every class, separated by commas: --classes NAME,NAME"));
        }
        opened.config.labels = classes;
    }
    opened.config.check_labels().map_err(|error| error.with_context(folder.display()))?;
    let tokenizer = TokenizerConfig::of_checkpoint(&files).and_then(|said| {
        let max_length = said.max_length(opened.config.max_position)?;
        Ok((Tokenizer::of_checkpoint(&files, &said, max_length)?, max_length))
    });
    let ((tokenizer, cleaned), max_length) =
        tokenizer.map_err(|error| error.with_context(folder.display()))?;
    check_vocabulary(&tokenizer, &opened.config)?;
    let net = NetConfig::DistilBert(sizes(&opened.config));
    let header = NeuralHeader::new(net, opened.config.labels.clone(), max_length);
    let mut notes: Vec<String> = opened.report.note().into_iter().collect();
    notes.extend(half_precision(&opened));
    notes.extend(cleaned);
    Ok((Neural::new(header, tokenizer, encoder(opened)?), notes))
}

/// Tokens that a snapshot's texts are cut to by its own word.
///
/// # Errors
/// A folder without a configuration, and one that says no length.
pub fn max_length(folder: &Path) -> Result<usize> {
    let files = ModelFiles::in_dir(&checkpoint::snapshot(folder)?)?;
    let config = EncoderConfig::read(files.path(CONFIG_FILE)?)?;
    TokenizerConfig::of_checkpoint(&files)?.max_length(config.max_position)
}

/// The note on weights that Transformers computes with in fewer digits: by default it does in the
/// format that the configuration names, and where it names none, in that of the weights.
fn half_precision(opened: &Checkpoint) -> Option<String> {
    let stored = opened.tensors.iter().find_map(|(_, tensor)| match tensor.dtype().as_str() {
        "F16" => Some("float16"),
        "BF16" => Some("bfloat16"),
        _ => None,
    });
    let theirs = opened.config.dtype.as_deref().or(stored)?;
    if !["float16", "bfloat16"].contains(&theirs) {
        return None;
    }
    Some(format!(
        "the weights {} are used in float32. Transformers 5 computes in {theirs}, and its \
         probabilities can differ by a few hundredths: from_pretrained(DIR, dtype=\"float32\") \
         gives the same answers as here",
        stored.map_or_else(|| format!("for {theirs}"), |stored| format!("in {stored}")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Weights in half precision were computed with in f32 without a word.
    #[test]
    fn what_transformers_computes_in_is_told_where_it_is_not_f32() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-distilbert");
        let notes = |dtype: Option<safetensors::Dtype>, said: &str| -> String {
            let dir = tempfile::tempdir().unwrap();
            for entry in std::fs::read_dir(&folder).unwrap().flatten() {
                std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
            }
            if let Some(dtype) = dtype {
                let path = dir.path().join("model.safetensors");
                let bytes = std::fs::read(&path).unwrap();
                let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
                let halves: Vec<(String, Vec<usize>, Vec<u8>)> = stored
                    .iter()
                    .map(|(name, view)| {
                        let values =
                            view.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
                        let bits = values.map(|value| match dtype {
                            safetensors::Dtype::F16 => half::f16::from_f32(value).to_bits(),
                            _ => half::bf16::from_f32(value).to_bits(),
                        });
                        (
                            name.to_owned(),
                            view.shape().to_vec(),
                            bits.flat_map(u16::to_le_bytes).collect(),
                        )
                    })
                    .collect();
                let views = halves.iter().map(|(name, shape, bytes)| {
                    let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes);
                    (name, view.unwrap())
                });
                safetensors::serialize_to_file(views, None, &path).unwrap();
            }
            let path = dir.path().join("config.json");
            let mut config: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            config.as_object_mut().unwrap().remove("torch_dtype");
            config.as_object_mut().unwrap().remove("dtype");
            if !said.is_empty() {
                config["torch_dtype"] = said.into();
            }
            std::fs::write(&path, config.to_string()).unwrap();
            import(dir.path(), None).unwrap().1.concat()
        };
        let (f16, bf16) = (Some(safetensors::Dtype::F16), Some(safetensors::Dtype::BF16));
        assert_eq!(notes(None, ""), "");
        assert_eq!(notes(None, "float32"), "");
        assert_eq!(notes(f16, "float32"), "");
        assert!(notes(f16, "").contains("Transformers 5 computes in float16"));
        assert!(notes(bf16, "bfloat16").contains("the weights in bfloat16 are used in float32"));
        assert!(notes(None, "float16").contains("weights for float16"));
    }
}
