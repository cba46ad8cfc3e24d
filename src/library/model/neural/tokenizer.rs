//! The tokenizer that turns a net's texts into token ids, and its file beside the weights.

use std::{fs, path::Path};

use rayon::prelude::*;

use super::tokenizer_config::{self, TOKENIZER_FILE, TokenizerConfig};
use crate::{
    error::{Error, Result},
    model::{ModelFiles, format::corrupt},
    text::{KnownTokens, ReadText, WordIds, WordPiece},
};

/// Hugging Face's own name, beside or instead of the other.
const PIECES_FILE: &str = "vocab.txt";
/// The words of a net that learnt its own.
const WORDS_FILE: &str = "words.txt";

/// Texts to token ids.
#[derive(Debug, Clone)]
pub(super) enum NetTokenizer {
    /// Sub-words of a BERT.
    WordPiece(Box<WordPiece>),
    /// Whole words.
    Words { words: WordIds, max_length: usize },
}

impl NetTokenizer {
    /// The tokenizer of a Hugging Face snapshot, `tokenizer.json` or else `vocab.txt`, used as
    /// `config` says; and what to tell about it.
    ///
    /// # Errors
    /// When neither is there, or the one that is cannot be used.
    pub(super) fn of_checkpoint(
        files: &ModelFiles,
        config: &TokenizerConfig,
        max_length: usize,
    ) -> Result<(Self, Vec<String>)> {
        let (pieces, notes) = if let Ok(path) = files.path(TOKENIZER_FILE) {
            config.applied(WordPiece::from_json_file(path, max_length)?)?
        } else {
            let path = files.path(PIECES_FILE).map_err(|error| {
                error.with_context("the checkpoint has no tokenizer").with_hint(format!(
                    "put {TOKENIZER_FILE} or {PIECES_FILE} of the same model into its folder"
                ))
            })?;
            (WordPiece::from_vocabulary(path, config.cleaning(), max_length)?, Vec::new())
        };
        let pieces = pieces.truncating(config.truncation_side())?;
        Ok((Self::WordPiece(Box::new(pieces)), notes))
    }

    /// Loads the tokenizer that [`NetTokenizer::save`] wrote.
    pub(super) fn load(files: &ModelFiles, max_length: usize) -> Result<Self> {
        if let Ok(path) = files.path(TOKENIZER_FILE) {
            let side = TokenizerConfig::stored(files)?.truncation_side();
            let pieces = WordPiece::from_json_file(path, max_length)?.truncating(side)?;
            return Ok(Self::WordPiece(Box::new(pieces)));
        }
        let path = files.path(WORDS_FILE)?;
        let lines = fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        let words = WordIds::from_lines(&lines).map_err(|error| corrupt(WORDS_FILE, error))?;
        Ok(Self::Words { words, max_length })
    }

    /// Writes its file into the folder `dir`.
    pub(super) fn save(&self, dir: &Path) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(|source| Error::io("write", &path, source))
        };
        match self {
            Self::Words { words, .. } => write(WORDS_FILE, &words.to_lines()),
            Self::WordPiece(pieces) => {
                tokenizer_config::write(pieces, dir)?;
                write(TOKENIZER_FILE, pieces.to_json())
            }
        }
    }

    /// Number of tokens known.
    pub(super) fn vocab_size(&self) -> usize {
        match self {
            Self::WordPiece(pieces) => pieces.vocab_size(),
            Self::Words { words, .. } => words.len(),
        }
    }

    /// The token ids of every text, at least one each.
    pub(super) fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>> {
        let encode = |text: &&str| match self {
            Self::WordPiece(pieces) => pieces.encode(text),
            Self::Words { words, max_length } => Ok(words.encode(text, *max_length)),
        };
        match texts {
            [text] => Ok(vec![encode(text)?]),
            _ => texts.par_iter().map(encode).collect(),
        }
    }

    /// The ids of [`NetTokenizer::encode`] with the places of their words in `text`.
    pub(super) fn read(&self, text: &str) -> Result<ReadText> {
        match self {
            Self::WordPiece(pieces) => pieces.read(text),
            Self::Words { words, max_length } => Ok(words.read(text, *max_length)),
        }
    }

    /// The id that fills a text up, of a vocabulary of sub-words.
    pub(super) fn padding_id(&self) -> Option<u32> {
        match self {
            Self::WordPiece(pieces) => pieces.padding_id(),
            Self::Words { .. } => None,
        }
    }

    /// The share of each text's tokens that it knows, of those that [`NetTokenizer::encode`] left.
    pub(super) fn known_shares(&self, ids: &[Vec<u32>]) -> Vec<f64> {
        let known = match self {
            Self::WordPiece(pieces) => pieces.known(ids),
            Self::Words { .. } => ids.iter().map(|ids| WordIds::known(ids)).collect(),
        };
        known.into_iter().map(KnownTokens::share).collect()
    }

    /// Number of tokens of every text before it is cut, at least one each.
    pub(super) fn n_tokens(&self, texts: &[&str]) -> Result<Vec<usize>> {
        let n_tokens = |text: &&str| match self {
            Self::WordPiece(pieces) => pieces.n_tokens(text),
            Self::Words { words, .. } => Ok(words.n_tokens(text)),
        };
        texts.par_iter().map(n_tokens).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::tokenizer_config::TOKENIZER_CONFIG_FILE, *};

    /// The tokenizer of a folder of these files, beside a vocabulary, and what is told of it.
    fn opened(files: &[(&str, &str)]) -> Result<(NetTokenizer, Vec<String>)> {
        let dir = tempfile::tempdir().unwrap();
        let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ne\n\u{e9}\nE\n";
        for (name, text) in [(PIECES_FILE, vocabulary)].iter().chain(files) {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let files = ModelFiles::in_dir(dir.path())?;
        NetTokenizer::of_checkpoint(&files, &TokenizerConfig::of_checkpoint(&files)?, 16)
    }

    fn tokenizer(files: &[(&str, &str)]) -> Result<NetTokenizer> {
        opened(files).map(|(tokenizer, _)| tokenizer)
    }

    // What Transformers makes of a tokenizer.json whose cleaning tokenizer_config.json does not
    // confirm was neither done nor said.
    #[test]
    fn a_bert_is_cleaned_as_its_configuration_says_and_what_transformers_does_is_said() {
        let whole = |said: &str| {
            let Ok(NetTokenizer::WordPiece(pieces)) = tokenizer(&[(TOKENIZER_CONFIG_FILE, said)])
            else {
                panic!("{said}");
            };
            pieces.to_json().to_owned()
        };
        let (lower, cased) = (whole("{}"), whole(r#"{"do_lower_case": false}"#));
        let check = |json: &str, said: Option<&str>, expected: &[u32], note: &str| {
            let mut files = vec![(TOKENIZER_FILE, json)];
            files.extend(said.map(|said| (TOKENIZER_CONFIG_FILE, said)));
            let (tokenizer, notes) = opened(&files).unwrap();
            assert_eq!(tokenizer.encode(&["E \u{e9}"]).unwrap()[0], expected, "{said:?}");
            assert_eq!(notes.is_empty(), note.is_empty(), "{said:?}: {notes:?}");
            assert!(notes.concat().contains(note), "{said:?}: {notes:?}");
        };
        let (as_lower, as_cased) = (&[2, 4, 4, 3][..], &[2, 6, 5, 3][..]);
        check(&lower, None, as_lower, "");
        check(&lower, Some(r#"{"do_lower_case": true, "strip_accents": null}"#), as_lower, "");
        check(&cased, None, as_cased, "Transformers 5 takes only the vocabulary");
        check(&cased, Some(r#"{"model_max_length": 8}"#), as_cased, "case kept, accents kept");
        check(&cased, Some(r#"{"do_lower_case": false}"#), as_cased, "");
        check(&cased, Some(r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#), as_cased, "");
        let named = r#"{"tokenizer_class": "BertTokenizerFast", "do_lower_case": false}"#;
        check(&lower, Some(named), as_cased, "are cleaned as tokenizer_config.json says");
        let accents = r#"{"strip_accents": false}"#;
        check(&lower, Some(accents), &[2, 4, 5, 3], "lower case, accents kept");
        let mut cut: Value = serde_json::from_str(&lower).unwrap();
        cut["truncation"] = json!({
            "direction": "Left", "max_length": 16, "strategy": "LongestFirst", "stride": 0,
        });
        let cut = cut.to_string();
        check(&cut, None, as_lower, "cut to 16 tokens as tokenizer.json says");
        check(&cut, Some(r#"{"model_max_length": 16}"#), as_lower, "");
    }

    // Only do_lower_case was read: a model trained on accents never saw one.
    #[test]
    fn a_vocabulary_alone_is_used_as_its_configuration_says() {
        let check = |config: &str, expected: &[u32]| {
            let tokenizer = tokenizer(&[(TOKENIZER_CONFIG_FILE, config)]).unwrap();
            assert_eq!(tokenizer.encode(&["E \u{c9} \u{e9}"]).unwrap()[0], expected, "{config}");
        };
        check("{}", &[2, 4, 4, 4, 3]);
        check(r#"{"strip_accents": null, "model_max_length": 512}"#, &[2, 4, 4, 4, 3]);
        check(r#"{"strip_accents": false}"#, &[2, 4, 5, 5, 3]);
        check(r#"{"do_lower_case": false}"#, &[2, 6, 1, 5, 3]);
        let error =
            tokenizer(&[(TOKENIZER_CONFIG_FILE, r#"{"do_lower_case": "no"}"#)]).unwrap_err();
        assert!(error.chain().contains("expected a boolean"), "{error}");
    }

    // Transformers made the letters of a cased model small, and took a text of any length.
    #[test]
    fn what_is_written_tells_transformers_how_texts_are_cleaned_and_cut() {
        let config = |said: &str| -> Value {
            let dir = tempfile::tempdir().unwrap();
            tokenizer(&[(TOKENIZER_CONFIG_FILE, said)]).unwrap().save(dir.path()).unwrap();
            let text = fs::read_to_string(dir.path().join(TOKENIZER_CONFIG_FILE)).unwrap();
            serde_json::from_str(&text).unwrap()
        };
        let cased =
            r#"{"do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false}"#;
        let expected = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 16, "truncation_side": "right",
            "model_input_names": ["input_ids", "attention_mask"],
            "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
            "do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false,
        });
        assert_eq!(config(cased), expected);
        let usual = config("{}");
        assert_eq!(
            (&usual["do_lower_case"], &usual["strip_accents"]),
            (&json!(true), &Value::Null)
        );
    }
}
