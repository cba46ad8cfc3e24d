//! `tokenizer_config.json`, what Hugging Face says of a tokenizer besides `tokenizer.json`: how many
//! tokens of a text are read, from which end, and how letters are cleaned.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::{Number, json};

use crate::{
    error::{Error, Result},
    model::ModelFiles,
    text::{Cleaning, TruncationSide, WordPiece},
};

/// Hugging Face's own name of the tokenizer itself.
pub(super) const TOKENIZER_FILE: &str = "tokenizer.json";
/// Hugging Face's own name.
pub(super) const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";

/// The keys that change which tokens a text becomes. `padding_side` is none of them: a text alone
/// is never padded, and a padded one is to have the same answer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct TokenizerConfig {
    tokenizer_class: Option<String>,
    model_max_length: Option<Number>,
    /// The name of it in Transformers before version 3, which still reads it.
    max_len: Option<Number>,
    truncation_side: Option<TruncationSide>,
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    /// True if `tokenizer.json` alone says how long texts are.
    #[serde(skip)]
    is_length_of_backend: bool,
}

/// The key of `tokenizer.json` about cut texts. Transformers takes the side from it, the tokenizers
/// library the length too.
#[derive(Deserialize)]
struct Backend {
    truncation: Option<Truncation>,
}

#[derive(Deserialize)]
struct Truncation {
    max_length: Number,
    direction: Option<TruncationSide>,
}

impl TokenizerConfig {
    /// The configuration in a model's own folder, as [`write`] wrote it; nothing where the file is
    /// missing.
    ///
    /// # Errors
    /// When the file cannot be read, or a key holds what it cannot.
    pub(super) fn stored(files: &ModelFiles) -> Result<Self> {
        let Ok(path) = files.path(TOKENIZER_CONFIG_FILE) else { return Ok(Self::default()) };
        parsed(path, "configuration of a tokenizer")
    }

    /// The configuration of a snapshot, in `tokenizer_config.json` or else in `tokenizer.json`.
    ///
    /// # Errors
    /// As [`TokenizerConfig::stored`].
    pub(super) fn of_checkpoint(files: &ModelFiles) -> Result<Self> {
        let mut config = Self::stored(files)?;
        if let Ok(path) = files.path(TOKENIZER_FILE)
            && let Some(truncation) = parsed::<Backend>(path, "tokenizer.json")?.truncation
        {
            if config.model_max_length.is_none() && config.max_len.is_none() {
                config.model_max_length = Some(truncation.max_length);
                config.is_length_of_backend = true;
            }
            config.truncation_side = config.truncation_side.or(truncation.direction);
        }
        Ok(config)
    }

    /// Tokens that texts are cut to, for a model of so many positions: what was said, or all of
    /// them where it was not, or where it is a number that means "no limit", such as 1e30.
    ///
    /// # Errors
    /// A number that is no length.
    pub(super) fn max_length(&self, positions: usize) -> Result<usize> {
        let said = self.model_max_length.as_ref().or(self.max_len.as_ref());
        let Some(said) = said else { return Ok(positions) };
        let length = said.as_f64().unwrap_or(f64::INFINITY);
        if length >= positions as f64 {
            return Ok(positions);
        }
        if length < 1.0 || length.fract() != 0.0 {
            return Err(Error::invalid(format!(
                "model_max_length must be a whole number of at least 1: found {said}"
            ))
            .with_hint(format!(
                "correct it in {TOKENIZER_CONFIG_FILE}, or remove it: then texts are cut to \
                 {positions} tokens, which the model can read"
            )));
        }
        Ok(length as usize)
    }

    /// The end of longer texts that is cut off.
    pub(super) fn truncation_side(&self) -> TruncationSide {
        self.truncation_side.unwrap_or_default()
    }

    /// The cleaning of texts where nothing else says it: a BERT's own way but for the keys that are
    /// there.
    pub(super) fn cleaning(&self) -> Cleaning {
        self.over(Cleaning::default())
    }

    /// `cleaning` but for the keys that are there.
    fn over(&self, cleaning: Cleaning) -> Cleaning {
        Cleaning {
            do_lower_case: self.do_lower_case.unwrap_or(cleaning.do_lower_case),
            strip_accents: self.strip_accents.or(cleaning.strip_accents),
            tokenize_chinese_chars: self
                .tokenize_chinese_chars
                .unwrap_or(cleaning.tokenize_chinese_chars),
        }
    }

    /// True if Transformers makes a BERT's tokenizer of the files, which takes the vocabulary and
    /// nothing else from `tokenizer.json`: where no other class is named, it is.
    fn is_bert(&self) -> bool {
        let class = self.tokenizer_class.as_deref().unwrap_or("DistilBertTokenizer");
        ["BertTokenizer", "DistilBertTokenizer"].contains(&class.trim_end_matches("Fast"))
    }

    /// `pieces`, read from `tokenizer.json`, with texts cleaned as this says where it says something
    /// else; and what to tell about that, and about what Transformers (5.24) does otherwise.
    ///
    /// # Errors
    /// As [`WordPiece::cleaning_by`].
    pub(super) fn applied(&self, pieces: WordPiece) -> Result<(WordPiece, Vec<String>)> {
        let (mut pieces, mut notes) = (pieces, Vec::new());
        let n_tokens = pieces.max_length();
        let said = self.model_max_length.as_ref().and_then(Number::as_f64);
        if self.is_length_of_backend && said == Some(n_tokens as f64) {
            notes.push(format!(
                "texts are cut to {n_tokens} tokens as {TOKENIZER_FILE} says; Transformers 5 takes \
                 only the side from that file. With \"model_max_length\": {n_tokens} in \
                 {TOKENIZER_CONFIG_FILE} it gives the same answers as here"
            ));
        }
        if !self.is_bert() {
            return Ok((pieces, notes));
        }
        if let Some(own) = pieces.cleaning()
            && !same(own, self.over(own))
        {
            let said = self.over(own);
            notes.push(format!(
                "texts are cleaned as {TOKENIZER_CONFIG_FILE} says ({}), as in Transformers, and \
                 not as {TOKENIZER_FILE} does ({})",
                words(said),
                words(own)
            ));
            pieces = pieces.cleaning_by(said)?;
        }
        let theirs = self.cleaning();
        let found = match pieces.cleaning() {
            Some(own) if same(own, theirs) && pieces.separates_like_bert() => {
                return Ok((pieces, notes));
            }
            Some(own) if !same(own, theirs) => words(own),
            _ => "steps of its own".to_owned(),
        };
        notes.push(format!(
            "texts are cleaned and separated as {TOKENIZER_FILE} does ({found}); Transformers 5 \
             takes only the vocabulary from that file and does what a BERT does ({}). With \
             \"tokenizer_class\": \"PreTrainedTokenizerFast\" in {TOKENIZER_CONFIG_FILE} it gives \
             the same answers as here",
            words(theirs)
        ));
        Ok((pieces, notes))
    }
}

/// True if both do the same to every text: accents follow the case where nothing is said.
fn same(one: Cleaning, other: Cleaning) -> bool {
    let steps = |cleaning: Cleaning| {
        let strips = cleaning.strip_accents.unwrap_or(cleaning.do_lower_case);
        (cleaning.do_lower_case, strips, cleaning.tokenize_chinese_chars)
    };
    steps(one) == steps(other)
}

/// `lower case, accents kept`.
fn words(cleaning: Cleaning) -> String {
    let strips = cleaning.strip_accents.unwrap_or(cleaning.do_lower_case);
    let mut words = vec![
        if cleaning.do_lower_case { "lower case" } else { "case kept" },
        if strips { "accents dropped" } else { "accents kept" },
    ];
    if !cleaning.tokenize_chinese_chars {
        words.push("Chinese characters joined");
    }
    words.join(", ")
}

fn parsed<T: for<'de> Deserialize<'de>>(path: &Path, what: &str) -> Result<T> {
    let text = fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
    serde_json::from_str(&text)
        .map_err(|source| Error::invalid(format!("{path:?} is not a {what}")).with_source(source))
}

/// Writes what Transformers has to know besides `tokenizer.json` into the folder `dir`.
pub(super) fn write(pieces: &WordPiece, dir: &Path) -> Result<()> {
    let mut config = json!({
        // Takes tokenizer.json as it is. A DistilBertTokenizer cleans texts by the last three keys
        // and its own defaults instead: they are for whoever opens it as one.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": pieces.max_length(),
        "truncation_side": pieces.truncation_side(),
        // Without token types, which a DistilBERT does not take.
        "model_input_names": ["input_ids", "attention_mask"],
    });
    for (name, token) in pieces.special_tokens() {
        config[name] = json!(token);
    }
    if let Some(cleaning) = pieces.cleaning() {
        config["do_lower_case"] = json!(cleaning.do_lower_case);
        config["strip_accents"] = json!(cleaning.strip_accents);
        config["tokenize_chinese_chars"] = json!(cleaning.tokenize_chinese_chars);
    }
    let path = dir.join(TOKENIZER_CONFIG_FILE);
    fs::write(&path, format!("{config:#}\n")).map_err(|source| Error::io("write", &path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configuration of a snapshot of these files.
    fn config(files: &[(&str, &str)]) -> Result<TokenizerConfig> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        TokenizerConfig::of_checkpoint(&ModelFiles::in_dir(dir.path())?)
    }

    // All 64 positions were read where the file said 16.
    #[test]
    fn texts_are_cut_where_and_to_what_the_files_say() {
        let check = |own: &str, backend: &str, expected: (usize, TruncationSide)| {
            let files = [(TOKENIZER_CONFIG_FILE, own), (TOKENIZER_FILE, backend)];
            let config = config(&files).unwrap();
            let found = (config.max_length(64).unwrap(), config.truncation_side());
            assert_eq!(found, expected, "{own} {backend}");
        };
        let (left, right) = (TruncationSide::Left, TruncationSide::Right);
        let nothing = r#"{"truncation": null}"#;
        check("{}", nothing, (64, right));
        check("{}", "{}", (64, right));
        check(r#"{"model_max_length": 16}"#, nothing, (16, right));
        check(r#"{"model_max_length": 16.0, "truncation_side": "left"}"#, nothing, (16, left));
        check(r#"{"max_len": 16, "truncation_side": "right"}"#, nothing, (16, right));
        // How Transformers writes that there is no limit, and a length that the model has not.
        for long in ["1e30", "1000000000000000019884624838656", "512", "65", "64"] {
            check(&format!(r#"{{"model_max_length": {long}}}"#), nothing, (64, right));
        }
        check(r#"{"model_max_length": null, "truncation_side": null}"#, nothing, (64, right));
        let backend = r#"{"truncation": {"direction": "Left", "max_length": 32, "strategy": "LongestFirst", "stride": 0}}"#;
        check("{}", backend, (32, left));
        check(r#"{"model_max_length": 16}"#, backend, (16, left));
        check(r#"{"model_max_length": 1e30, "truncation_side": "right"}"#, backend, (64, right));
    }

    #[test]
    fn what_is_no_length_and_no_side_is_named() {
        let length = |said: &str| {
            let config = config(&[(TOKENIZER_CONFIG_FILE, said)]).unwrap();
            config.max_length(64).unwrap_err().to_string()
        };
        for said in ["0", "-1", "16.5"] {
            let error = length(&format!(r#"{{"model_max_length": {said}}}"#));
            assert!(error.contains(&format!("found {said}")), "{error}");
        }
        for said in [r#"{"model_max_length": "16"}"#, r#"{"truncation_side": "middle"}"#] {
            let error = config(&[(TOKENIZER_CONFIG_FILE, said)]).unwrap_err();
            assert!(error.chain().contains("is not a configuration of a tokenizer"), "{error}");
        }
    }
}
