//! `train tfidf`: the baseline's own arguments.

use clap::{Args, ValueEnum};
use trialbook::{
    model::{ClassWeight, TfidfConfig},
    text::{Casing, Html, StopWords, TextFrequency, Vectorizer},
};

use super::common::Common;

/// `train tfidf --data imdb --ngram 2 --min-df 2 --c 10 --sublinear`
#[derive(Debug, Clone, Args)]
pub(crate) struct Tfidf {
    #[command(flatten)]
    common: Common,
    /// Words in the longest terms
    #[arg(long, default_value_t = 2, allow_negative_numbers = true, value_name = "N")]
    ngram: usize,
    /// Words in the shortest terms
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_name = "N")]
    ngram_min: usize,
    /// Drop terms that occur in fewer texts: a count, or a share such as 0.001
    #[arg(long, default_value = "2", allow_negative_numbers = true, value_name = "COUNT|SHARE", value_parser = text_frequency)]
    min_df: TextFrequency,
    /// Drop terms that occur in more texts: a count, or a share such as 0.9
    #[arg(long, default_value = "1.0", allow_negative_numbers = true, value_name = "COUNT|SHARE", value_parser = text_frequency)]
    max_df: TextFrequency,
    /// Keep only the most frequent terms
    #[arg(long, allow_negative_numbers = true, value_name = "TERMS")]
    max_features: Option<usize>,
    /// Count a term that occurs n times in a text as 1 + ln(n) times
    #[arg(long)]
    sublinear: bool,
    /// Do not smooth the inverse document frequencies; without this flag they are counted as if one
    /// more text had every term
    #[arg(long)]
    no_smooth_idf: bool,
    /// Leave these words out
    #[arg(long, value_enum, default_value = "none", value_name = "LIST")]
    stop_words: StopWordList,
    /// Keep upper and lower case apart
    #[arg(long)]
    keep_case: bool,
    /// Keep <br /> as text
    #[arg(long)]
    keep_html: bool,
    /// Inverse strength of regularisation: a larger value fits the train split closer
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true, value_name = "C")]
    c: f64,
    /// The weight of an example of each class
    #[arg(long, value_enum, default_value = "uniform", value_name = "HOW")]
    class_weight: ClassWeights,
    /// The optimiser makes at most this many steps
    #[arg(long, default_value_t = TfidfConfig::default().max_iter, allow_negative_numbers = true, value_name = "STEPS")]
    max_iter: usize,
    /// Stop when no probability is off by more than 100 times this
    #[arg(long, default_value_t = TfidfConfig::default().tol, allow_negative_numbers = true, value_name = "TOLERANCE")]
    tol: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StopWordList {
    /// No words
    None,
    /// English function words
    English,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ClassWeights {
    /// Every example counts the same
    Uniform,
    /// Every class counts the same
    Balanced,
}

impl From<ClassWeights> for ClassWeight {
    fn from(how: ClassWeights) -> Self {
        match how {
            ClassWeights::Uniform => Self::Uniform,
            ClassWeights::Balanced => Self::Balanced,
        }
    }
}

impl Tfidf {
    /// The options of every architecture, and the baseline's own configuration.
    pub(super) fn parts(&self) -> (&Common, TfidfConfig) {
        let vectorizer = Vectorizer {
            ngram_min: self.ngram_min,
            ngram_max: self.ngram,
            min_df: self.min_df,
            max_df: self.max_df,
            max_features: self.max_features,
            sublinear_tf: self.sublinear,
            smooth_idf: !self.no_smooth_idf,
            casing: if self.keep_case { Casing::Keep } else { Casing::Lower },
            html: if self.keep_html { Html::Keep } else { Html::Strip },
            stop_words: match self.stop_words {
                StopWordList::None => StopWords::None,
                StopWordList::English => StopWords::English,
            },
            ..Vectorizer::default()
        };
        let config = TfidfConfig {
            vectorizer,
            c: self.c,
            class_weight: self.class_weight.into(),
            max_iter: self.max_iter,
            tol: self.tol,
            seed: self.common.seed,
        };
        (&self.common, config)
    }
}

/// A whole number is a count, a number with a point a share.
fn text_frequency(text: &str) -> Result<TextFrequency, String> {
    if let Ok(count) = text.parse() {
        return Ok(TextFrequency::Count(count));
    }
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(TextFrequency::Fraction(share)),
        _ => Err("expected a count such as 2, or a share of all texts from 0.0 to 1.0".to_owned()),
    }
}
