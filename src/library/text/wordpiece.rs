//! WordPiece, the sub-word tokens of BERT and its relatives, by the `tokenizers` crate. No type of
//! that crate leaves this file.

use std::{collections::BTreeMap, path::Path};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper, Tokenizer, TruncationDirection,
    TruncationParams, TruncationStrategy, models::wordpiece::WordPiece as Model,
    normalizers::bert::BertNormalizer, pre_tokenizers::bert::BertPreTokenizer,
    processors::bert::BertProcessing,
};

use super::{
    known::KnownTokens,
    merges,
    read_text::{ReadText, ReadWord},
};
use crate::error::{BoxError, Error, ErrorKind, Result};

const PADDING: &str = "[PAD]";
const UNKNOWN: &str = "[UNK]";
const FIRST: &str = "[CLS]";
const LAST: &str = "[SEP]";
const MASK: &str = "[MASK]";

/// The cleaning that BERT does to a text before it looks words up, by the names of
/// `tokenizer_config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cleaning {
    /// True if letters are made small. Default true, as everywhere here: BERT's own.
    pub do_lower_case: bool,
    /// True if letters lose their accents. Default: where they are made small.
    pub strip_accents: Option<bool>,
    /// True if every Chinese character is a word. Default true.
    pub tokenize_chinese_chars: bool,
}

impl Default for Cleaning {
    fn default() -> Self {
        Self { do_lower_case: true, strip_accents: None, tokenize_chinese_chars: true }
    }
}

impl Cleaning {
    fn normalizer(self) -> BertNormalizer {
        BertNormalizer::new(
            true,
            self.tokenize_chinese_chars,
            self.strip_accents,
            self.do_lower_case,
        )
    }
}

/// The end of a long text that is cut off, by the words of `tokenizer_config.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TruncationSide {
    /// Its beginning.
    #[serde(alias = "Left")]
    Left,
    /// Its end: the default, as in Transformers.
    #[default]
    #[serde(alias = "Right")]
    Right,
}

/// A WordPiece tokenizer with the number of tokens it cuts texts to.
#[derive(Debug, Clone)]
pub struct WordPiece {
    tokenizer: Tokenizer,
    /// The same, which cuts nothing: the other stops as soon as it has tokens enough.
    uncut: Tokenizer,
    /// The text of `tokenizer.json`, without the truncation that [`WordPiece::encode`] does.
    json: String,
}

impl WordPiece {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is no tokenizer, or adds no `[CLS]` and `[SEP]` within
    /// `max_length` tokens.
    pub fn from_json_file(path: &Path, max_length: usize) -> Result<Self> {
        let json =
            std::fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        Self::from_json(json, max_length).map_err(|error| error.with_context(format!("{path:?}")))
    }

    /// Reads the text of a `tokenizer.json`.
    ///
    /// # Errors
    /// As [`WordPiece::from_json_file`].
    pub fn from_json(json: String, max_length: usize) -> Result<Self> {
        let tokenizer = Tokenizer::from_bytes(&json)
            .map_err(|source| unusable("it is no tokenizer.json", source))?;
        Self::new(tokenizer, json, max_length)
    }

    /// Reads a `vocab.txt`: one token a line, whose number is the id.
    ///
    /// # Errors
    /// When the file cannot be read or lacks one of `[PAD]`, `[UNK]`, `[CLS]` and `[SEP]`.
    pub fn from_vocabulary(path: &Path, cleaning: Cleaning, max_length: usize) -> Result<Self> {
        // Opened here: the crate's own error does not name the file.
        std::fs::File::open(path).map_err(|source| Error::io("read", path, source))?;
        let model = Model::from_file(&path.to_string_lossy())
            .unk_token(UNKNOWN.to_owned())
            .build()
            .map_err(|source| unusable("it is no vocab.txt", source))?;
        let tokenizer =
            bert(model, cleaning).map_err(|error| error.with_context(format!("{path:?}")))?;
        Self::from_tokenizer(tokenizer, max_length)
    }

    /// Learns a vocabulary of at most `vocab_size` tokens from `texts`, lower-cased.
    ///
    /// # Errors
    /// When `texts` give no vocabulary.
    pub fn train(texts: &[String], vocab_size: usize, max_length: usize) -> Result<Self> {
        let counts = texts
            .par_chunks(256)
            .map(count_words)
            .try_reduce(BTreeMap::new, |one, other| {
                let (mut all, few) =
                    if one.len() < other.len() { (other, one) } else { (one, other) };
                for (word, count) in few {
                    *all.entry(word).or_default() += count;
                }
                Ok(all)
            })
            .map_err(|source| unusable("the texts give no vocabulary", source))?;
        let special = [PADDING, UNKNOWN, FIRST, LAST, MASK].map(str::to_owned);
        let n_learnt = vocab_size.saturating_sub(special.len());
        let tokens = special.into_iter().chain(merges::learn(&counts, n_learnt, 2));
        let lines: String = tokens.flat_map(|token| [token, "\n".to_owned()]).collect();
        let file = tempfile::NamedTempFile::new()
            .map_err(|source| Error::io("create in", &std::env::temp_dir(), source))?;
        std::fs::write(file.path(), lines)
            .map_err(|source| Error::io("write", file.path(), source))?;
        Self::from_vocabulary(file.path(), Cleaning::default(), max_length)
    }

    fn from_tokenizer(tokenizer: Tokenizer, max_length: usize) -> Result<Self> {
        let json =
            tokenizer.to_string(true).map_err(|source| unusable("it cannot be written", source))?;
        Self::new(tokenizer, json, max_length)
    }

    fn new(mut tokenizer: Tokenizer, json: String, max_length: usize) -> Result<Self> {
        // The file's own padding would make every text, the empty one below too, as long as it says.
        tokenizer.with_padding(None);
        let n_added = tokenizer.encode("", true).map_or(0, |encoding| encoding.len());
        if n_added == 0 {
            return Err(Error::invalid(
                "the tokenizer adds no [CLS] and [SEP], which a classifier reads",
            )
            .with_hint("use the tokenizer.json or vocab.txt that belongs to the checkpoint"));
        }
        if max_length <= n_added {
            return Err(Error::invalid(format!(
                "at most {max_length} tokens leave no room beside the {n_added} that the tokenizer adds"
            ))
            .with_hint("--max-len 128 or 256 is usual"));
        }
        let mut uncut = tokenizer.clone();
        uncut
            .with_truncation(None)
            .map_err(|source| unusable("it cannot leave texts whole", source))?;
        let truncation = TruncationParams {
            max_length,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
            direction: TruncationDirection::Right,
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(|source| unusable("it cannot cut texts", source))?;
        Ok(Self { tokenizer, uncut, json })
    }

    /// The same, which cuts long texts on `side`.
    ///
    /// # Errors
    /// When the tokenizer cannot cut there.
    pub fn truncating(mut self, side: TruncationSide) -> Result<Self> {
        let direction = match side {
            TruncationSide::Left => TruncationDirection::Left,
            TruncationSide::Right => TruncationDirection::Right,
        };
        let truncation = self.tokenizer.get_truncation().expect("set in new").clone();
        self.tokenizer
            .with_truncation(Some(TruncationParams { direction, ..truncation }))
            .map_err(|source| unusable("it cannot cut texts", source))?;
        Ok(self)
    }

    /// The same vocabulary, with texts cleaned as `cleaning` says.
    ///
    /// # Errors
    /// When the tokenizer cannot be written as a file.
    pub fn cleaning_by(mut self, cleaning: Cleaning) -> Result<Self> {
        for tokenizer in [&mut self.tokenizer, &mut self.uncut] {
            tokenizer
                .with_normalizer(Some(cleaning.normalizer()))
                .map_err(|source| unusable("its normaliser is unusable", source))?;
        }
        self.json = self
            .uncut
            .to_string(true)
            .map_err(|source| unusable("it cannot be written", source))?;
        Ok(self)
    }

    /// Number of tokens known: one more than the largest id.
    pub fn vocab_size(&self) -> usize {
        let largest = self.tokenizer.get_vocab(true).into_values().max();
        largest.map_or(0, |id| id as usize + 1)
    }

    /// The token ids of `text`, with `[CLS]` and `[SEP]`, cut on the right unless
    /// [`WordPiece::truncating`] said otherwise.
    ///
    /// # Errors
    /// When the tokenizer fails on the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, true)
            .map_err(|source| unusable("it cannot read this text", source))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The ids of [`WordPiece::encode`] with the places of the words that they are pieces of;
    /// `[CLS]` and `[SEP]` are of none.
    ///
    /// # Errors
    /// When the tokenizer fails on the text.
    pub(crate) fn read(&self, text: &str) -> Result<ReadText> {
        let encoding = self
            .tokenizer
            .encode_char_offsets(text, true)
            .map_err(|source| unusable("it cannot read this text", source))?;
        let mut words: Vec<(u32, ReadWord)> = Vec::new();
        let pieces = encoding.get_word_ids().iter().zip(encoding.get_offsets());
        for (token, (word_id, (start, end))) in pieces.enumerate() {
            let Some(word_id) = word_id else { continue };
            match words.last_mut() {
                Some((last, word)) if last == word_id && word.tokens.end == token => {
                    word.tokens.end = token + 1;
                    word.chars.end = word.chars.end.max(*end);
                }
                _ => {
                    let word = ReadWord { tokens: token..token + 1, chars: *start..*end };
                    words.push((*word_id, word));
                }
            }
        }
        let words = words.into_iter().map(|(_, word)| word).collect();
        Ok(ReadText { ids: encoding.get_ids().to_vec(), words })
    }

    /// The id of `[PAD]`, where there is one.
    pub(crate) fn padding_id(&self) -> Option<u32> {
        self.tokenizer.token_to_id(PADDING)
    }

    /// Number of tokens of `text`, with `[CLS]` and `[SEP]`, before it is cut.
    ///
    /// # Errors
    /// When the tokenizer fails on the text.
    pub fn n_tokens(&self, text: &str) -> Result<usize> {
        let encoding = self
            .uncut
            .encode_fast(text, true)
            .map_err(|source| unusable("it cannot read this text", source))?;
        Ok(encoding.len())
    }

    /// For each text the number of `ids`, as [`WordPiece::encode`] gave them, that are known
    /// tokens: not `[UNK]`. What frames a text counts on neither side.
    pub(crate) fn known(&self, ids: &[Vec<u32>]) -> Vec<KnownTokens> {
        let id = |token: &str| self.tokenizer.token_to_id(token);
        let unknown = id(UNKNOWN);
        let frame = [PADDING, FIRST, LAST].map(id);
        let known = |ids: &Vec<u32>| {
            let own = || ids.iter().filter(|id| !frame.contains(&Some(**id)));
            let n_known = own().filter(|id| unknown != Some(**id)).count();
            KnownTokens { n_tokens: own().count(), n_known }
        };
        ids.iter().map(known).collect()
    }

    /// Its cleaning of texts, where that is what a BERT does and not something of the file's own.
    pub fn cleaning(&self) -> Option<Cleaning> {
        match self.tokenizer.get_normalizer() {
            Some(NormalizerWrapper::BertNormalizer(normalizer)) if normalizer.clean_text => {
                Some(Cleaning {
                    do_lower_case: normalizer.lowercase,
                    strip_accents: normalizer.strip_accents,
                    tokenize_chinese_chars: normalizer.handle_chinese_chars,
                })
            }
            _ => None,
        }
    }

    /// True if words are separated as a BERT does, and surrounded by `[CLS]` and `[SEP]` alone.
    pub fn separates_like_bert(&self) -> bool {
        let is_bert = matches!(
            self.tokenizer.get_pre_tokenizer(),
            Some(PreTokenizerWrapper::BertPreTokenizer(_))
        );
        let around = [FIRST, LAST].map(|token| self.tokenizer.token_to_id(token));
        let added = self.uncut.encode_fast("", true);
        is_bert && added.is_ok_and(|added| added.get_ids().iter().copied().map(Some).eq(around))
    }

    /// Tokens that texts are cut to.
    pub fn max_length(&self) -> usize {
        self.tokenizer.get_truncation().expect("set in new").max_length
    }

    /// The end of longer texts that is cut off.
    pub fn truncation_side(&self) -> TruncationSide {
        match self.tokenizer.get_truncation().expect("set in new").direction {
            TruncationDirection::Left => TruncationSide::Left,
            TruncationDirection::Right => TruncationSide::Right,
        }
    }

    /// BERT's special tokens that it has, by the names of `tokenizer_config.json`.
    pub fn special_tokens(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [
            ("pad_token", PADDING),
            ("unk_token", UNKNOWN),
            ("cls_token", FIRST),
            ("sep_token", LAST),
            ("mask_token", MASK),
        ]
        .into_iter()
        .filter(|(_, token)| self.tokenizer.token_to_id(token).is_some())
    }

    /// The text of `tokenizer.json`.
    pub fn to_json(&self) -> &str {
        &self.json
    }
}

/// The number of occurrences of each word, as BERT cleans, lower-cases and separates them.
fn count_words(texts: &[String]) -> Result<BTreeMap<String, u64>, BoxError> {
    let normalizer = Cleaning::default().normalizer();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for text in texts {
        let mut normalized = NormalizedString::from(text.as_str());
        normalizer.normalize(&mut normalized)?;
        let mut words = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut words)?;
        for (word, _, _) in words.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(counts.insert(word.to_owned(), 1)),
            }
        }
    }
    Ok(counts)
}

/// BERT's own steps around a vocabulary.
fn bert(model: Model, cleaning: Cleaning) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(model);
    normalise(&mut tokenizer, cleaning)?;
    for token in [PADDING, UNKNOWN, FIRST, LAST] {
        if tokenizer.token_to_id(token).is_none() {
            return Err(Error::invalid(format!("the vocabulary lacks the token {token}"))
                .with_hint("use the vocab.txt that belongs to the checkpoint"));
        }
    }
    let special = [PADDING, UNKNOWN, FIRST, LAST, MASK]
        .iter()
        .filter(|token| tokenizer.token_to_id(token).is_some())
        .map(|token| AddedToken::from(*token, true))
        .collect::<Vec<_>>();
    tokenizer
        .add_special_tokens(special)
        .map_err(|source| unusable("its special tokens are unusable", source))?;
    finish(&mut tokenizer)?;
    Ok(tokenizer)
}

/// BERT's cleaning and its cuts at white space and punctuation.
fn normalise(tokenizer: &mut Tokenizer, cleaning: Cleaning) -> Result<()> {
    tokenizer
        .with_normalizer(Some(cleaning.normalizer()))
        .map_err(|source| unusable("its normaliser is unusable", source))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    Ok(())
}

/// Surrounds every text by `[CLS]` and `[SEP]`.
fn finish(tokenizer: &mut Tokenizer) -> Result<()> {
    let id = |token: &str| {
        tokenizer.token_to_id(token).map(|id| (token.to_owned(), id)).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("the vocabulary lost the token {token}"))
        })
    };
    let around = BertProcessing::new(id(LAST)?, id(FIRST)?);
    tokenizer.with_post_processor(Some(around));
    tokenizer.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
    Ok(())
}

fn unusable(what: &str, source: BoxError) -> Error {
    Error::invalid(format!("the tokenizer cannot be used: {what}")).with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(lines: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();
        file
    }

    #[test]
    fn a_vocabulary_cuts_words_and_surrounds_them() {
        let file = vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\n##ness\n!\n");
        let pieces = WordPiece::from_vocabulary(file.path(), Cleaning::default(), 8).unwrap();
        assert_eq!(pieces.encode("Goodness! zebra").unwrap(), [2, 4, 5, 6, 1, 3]);
        assert_eq!(pieces.encode("").unwrap(), [2, 3]);
        let shares = |text: &str| pieces.known(&[pieces.encode(text).unwrap()])[0].share();
        assert_eq!([shares("Goodness! zebra"), shares("zebra"), shares("")], [0.75, 0.0, 0.0]);
        assert_eq!(pieces.encode(&"good ".repeat(100_000)).unwrap(), [2, 4, 4, 4, 4, 4, 4, 3]);
        assert_eq!(pieces.vocab_size(), 7);
    }

    #[test]
    fn texts_are_cleaned_as_the_model_asks() {
        let file =
            vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\ne\n\u{e9}\nE\n\u{65e5}\n\u{65e5}\u{672c}\n");
        let check = |cleaning, text, expected: &[u32]| {
            let pieces = WordPiece::from_vocabulary(file.path(), cleaning, 8).unwrap();
            assert_eq!(pieces.encode(text).unwrap(), expected, "{cleaning:?} {text}");
        };
        let usual = Cleaning::default();
        check(usual, "E \u{c9} \u{65e5}\u{672c}", &[2, 4, 4, 7, 1, 3]);
        check(Cleaning { do_lower_case: false, ..usual }, "E \u{e9}", &[2, 6, 5, 3]);
        check(Cleaning { strip_accents: Some(false), ..usual }, "E \u{c9}", &[2, 4, 5, 3]);
        let stripped = Cleaning { do_lower_case: false, strip_accents: Some(true), ..usual };
        check(stripped, "E \u{e9}", &[2, 6, 4, 3]);
        let whole = Cleaning { tokenize_chinese_chars: false, ..usual };
        check(whole, "\u{65e5}\u{672c} \u{65e5}", &[2, 8, 7, 3]);
    }

    #[test]
    fn either_end_is_cut_off() {
        let file = vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\n");
        let right = WordPiece::from_vocabulary(file.path(), Cleaning::default(), 5).unwrap();
        let left = right.clone().truncating(TruncationSide::Left).unwrap();
        assert_eq!(right.truncation_side(), TruncationSide::Right);
        assert_eq!(left.truncation_side(), TruncationSide::Left);
        for (text, first, last) in [
            ("a b c d e", [2, 4, 5, 6, 3], [2, 6, 7, 8, 3]),
            ("a b c", [2, 4, 5, 6, 3], [2, 4, 5, 6, 3]),
        ] {
            assert_eq!(right.encode(text).unwrap(), first, "{text}");
            assert_eq!(left.encode(text).unwrap(), last, "{text}");
            assert_eq!(left.n_tokens(text).unwrap(), right.n_tokens(text).unwrap());
        }
    }

    #[test]
    fn a_vocabulary_is_kept_when_texts_are_cleaned_in_another_way() {
        let file = vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nA\n");
        let small = WordPiece::from_vocabulary(file.path(), Cleaning::default(), 5).unwrap();
        let cased = Cleaning { do_lower_case: false, ..Cleaning::default() };
        let cased = small.clone().cleaning_by(cased).unwrap();
        let again = WordPiece::from_json(cased.to_json().to_owned(), 5).unwrap();
        assert_eq!(small.encode("A a").unwrap(), [2, 4, 4, 3]);
        assert_eq!(cased.encode("A a").unwrap(), [2, 5, 4, 3]);
        assert_eq!(again.encode("A a").unwrap(), [2, 5, 4, 3]);
        assert!(small.separates_like_bert() && again.separates_like_bert());
    }

    #[test]
    fn tokens_that_are_cut_off_are_counted() {
        let file = vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\n##ness\n!\n");
        let pieces = WordPiece::from_vocabulary(file.path(), Cleaning::default(), 8).unwrap();
        for (n_words, expected) in [(0, 2), (6, 8), (7, 9), (13, 15), (100_000, 100_002)] {
            assert_eq!(pieces.n_tokens(&"good ".repeat(n_words)).unwrap(), expected);
        }
        assert_eq!(pieces.n_tokens("good [SEP] goodness").unwrap(), 6);
    }

    #[test]
    fn written_and_read_again_it_says_the_same() {
        let texts = vec!["a good film, a very good film".to_owned(); 4];
        let pieces = WordPiece::train(&texts, 60, 16).unwrap();
        let again = WordPiece::from_json(pieces.to_json().to_owned(), 16).unwrap();
        let text = "A very good filmgoer";
        assert_eq!(again.encode(text).unwrap(), pieces.encode(text).unwrap());
        assert_eq!(again.to_json(), pieces.to_json());
        assert!(pieces.vocab_size() <= 60);
        assert_eq!(WordPiece::train(&texts, 60, 16).unwrap().to_json(), pieces.to_json());
    }

    #[test]
    fn padding_that_the_file_asks_for_is_left_aside() {
        let file = vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\n");
        let pieces = WordPiece::from_vocabulary(file.path(), Cleaning::default(), 8).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(pieces.to_json()).unwrap();
        // As sentence-transformers' checkpoints have it.
        json["padding"] = serde_json::json!({
            "strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        });
        let padding = WordPiece::from_json(json.to_string(), 8).unwrap();
        assert_eq!(padding.encode("good").unwrap(), [2, 4, 3]);
        assert_eq!(padding.to_json(), json.to_string(), "the file stays as it was");
    }

    #[test]
    fn what_is_no_tokenizer_is_refused() {
        let refused = |error: Error, part: &str| assert!(error.chain().contains(part), "{error}");
        let file = vocabulary("[PAD]\n[UNK]\n[CLS]\n");
        refused(
            WordPiece::from_vocabulary(file.path(), Cleaning::default(), 8).unwrap_err(),
            "[SEP]",
        );
        refused(WordPiece::from_json("{}".to_owned(), 8).unwrap_err(), "no tokenizer.json");
        let file = vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\n");
        refused(
            WordPiece::from_vocabulary(file.path(), Cleaning::default(), 2).unwrap_err(),
            "no room",
        );
    }
}
