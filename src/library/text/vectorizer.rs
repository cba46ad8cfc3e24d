//! TF-IDF as scikit-learn's `TfidfVectorizer` defines it: from texts to rows of weighted terms,
//! scaled to length 1. It owns the settings and the formulas; counting and numbering are its
//! neighbours' business.

use std::iter;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    corpus::Corpus,
    counter::FeatureCounter,
    known::KnownTokens,
    matrix::{self, Features, TermMatrix, scaled_rows},
    ngram::Counting,
    stop_words::StopWords,
    term_frequency::TermFrequency,
    text_frequency::TextFrequency,
    token::{Casing, Html, Tokenizer},
    vocabulary::{LocatedText, LookupBuffers, Vocabulary},
};
use crate::{
    error::{Error, ErrorKind, Result},
    progress::Monitor,
};

/// Settings of the vectoriser; the defaults are scikit-learn's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vectorizer {
    /// Words in the shortest terms. Default 1.
    pub ngram_min: usize,
    /// Words in the longest terms. Default 1.
    pub ngram_max: usize,
    /// Terms in fewer texts are dropped. Default 1: none.
    pub min_df: TextFrequency,
    /// Terms in more texts are dropped. Default 1.0: none.
    pub max_df: TextFrequency,
    /// Keeps only so many terms, the most frequent. Default: all.
    pub max_features: Option<usize>,
    /// Counts a term that occurs `n` times in a text as `1 + ln(n)` times. Default false.
    pub sublinear_tf: bool,
    /// Weighs terms by how few texts they occur in. Default true.
    pub use_idf: bool,
    /// Adds one text that contains every term, so that none weighs infinitely. Default true.
    pub smooth_idf: bool,
    /// The treatment of upper-case letters. Default [`Casing::Lower`].
    pub casing: Casing,
    /// The treatment of line breaks. Default [`Html::Strip`], which scikit-learn does not do.
    pub html: Html,
    /// The words that are left out. Default none.
    pub stop_words: StopWords,
}

/// A vectoriser that knows its terms.
#[derive(Debug, Clone)]
pub struct FittedVectorizer {
    settings: Vectorizer,
    vocabulary: Vocabulary,
    n_texts: usize,
    /// Texts each feature occurs in.
    text_counts: Vec<u32>,
    idf: Vec<f64>,
    tf: TermFrequency,
}

impl Default for Vectorizer {
    fn default() -> Self {
        Self {
            ngram_min: 1,
            ngram_max: 1,
            min_df: TextFrequency::Count(1),
            max_df: TextFrequency::Fraction(1.0),
            max_features: None,
            sublinear_tf: false,
            use_idf: true,
            smooth_idf: true,
            casing: Casing::default(),
            html: Html::default(),
            stop_words: StopWords::default(),
        }
    }
}

impl Vectorizer {
    /// Longest n-grams that are accepted: more words say no more about a text.
    pub const MAX_NGRAM: usize = 8;

    /// The number of steps that [`Vectorizer::fit_transform`] reports for `n_texts` texts.
    pub fn n_steps(&self, n_texts: usize) -> u64 {
        (n_texts * (1 + self.ngram_max)) as u64
    }

    /// Learns the terms of `texts` and weighs them: `tf` is a term's count in a text, or
    /// `1 + ln(count)`; `idf` is `ln((1 + n) / (1 + df)) + 1` (smooth) or `ln(n / df) + 1`, with
    /// `n` texts of which `df` contain the term; every row is scaled to length 1. Reports
    /// [`Vectorizer::n_steps`] steps to `monitor`, in whatever stage there is.
    ///
    /// # Shapes
    /// The matrix is `[texts.len(), n_features]`, compressed by columns.
    ///
    /// # Errors
    /// Settings that make no sense, no texts, texts that leave no terms, and an interrupt.
    pub fn fit_transform<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        monitor: &Monitor,
    ) -> Result<(FittedVectorizer, TermMatrix)> {
        let n_texts = texts.len();
        let (min_texts, max_texts) = self.check(n_texts)?;
        let corpus = self.read(texts, min_texts, monitor)?;
        let counting = Counting {
            min_words: self.ngram_min,
            max_words: self.ngram_max,
            min_texts,
            max_texts,
            idf: |df| self.idf(df, n_texts),
            tf: self.tf(),
        };
        let levels = counting.run(&corpus, monitor)?;
        let features = Features::new(corpus, &levels, self.max_features);
        if features.columns.is_empty() {
            return Err(self.without_terms(n_texts));
        }
        monitor.interrupt.check()?;
        let Features { parts, n_texts: text_counts, columns } = features;
        let starts = iter::once(0).chain(columns.iter().scan(0, |end, column| {
            *end += column.texts.len();
            Some(*end)
        }));
        let fill = |column: usize, texts: &mut [u32], values: &mut [f32]| {
            texts.copy_from_slice(columns[column].texts);
            values.copy_from_slice(columns[column].values);
        };
        let (matrix, fitted) = rayon::join(
            || matrix::assemble(starts.collect(), n_texts, fill),
            || FittedVectorizer::new(self.clone(), parts, n_texts, text_counts),
        );
        let fitted = fitted.map_err(|reason| Error::new(ErrorKind::Internal, reason))?;
        Ok((fitted, matrix))
    }

    /// Cuts `texts` into words; those in fewer than `min_texts` texts are dropped.
    ///
    /// # Errors
    /// Texts without words, and an interrupt.
    pub(super) fn read<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        min_texts: f64,
        monitor: &Monitor,
    ) -> Result<Corpus> {
        let stop_words = self.stop_words.words();
        let corpus = Corpus::read(texts, self.tokenizer(), &stop_words, min_texts, monitor)?;
        if !corpus.has_words {
            return Err(Error::invalid(format!(
                "no words of two characters or more in {} texts{}",
                texts.len(),
                if stop_words.is_empty() { "" } else { " besides the stop words" }
            )));
        }
        Ok(corpus)
    }

    /// True if both cut texts into the same words.
    pub(crate) fn cuts_like(&self, other: &Self) -> bool {
        (self.casing, self.html, &self.stop_words) == (other.casing, other.html, &other.stop_words)
    }

    /// What becomes of texts of which nothing is left.
    pub(super) fn without_terms(&self, n_texts: usize) -> Error {
        Error::invalid(format!(
            "min_df={} and max_df={} left no terms of {n_texts} texts",
            self.min_df, self.max_df
        ))
        .with_hint("lower min_df or raise max_df")
    }

    /// Checks what can be told without texts.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub(crate) fn check_settings(&self) -> Result<()> {
        let Self { ngram_min, ngram_max, .. } = *self;
        if ngram_min < 1 || ngram_min > ngram_max || ngram_max > Self::MAX_NGRAM {
            return Err(Error::invalid(format!(
                "n-grams of {ngram_min} to {ngram_max} words: expected 1 <= min <= max <= {}",
                Self::MAX_NGRAM
            )));
        }
        if self.max_features == Some(0) {
            return Err(Error::invalid("max_features must be >= 1, found 0"));
        }
        for (name, bound) in [("min_df", self.min_df), ("max_df", self.max_df)] {
            let is_valid = match bound {
                TextFrequency::Count(count) => count >= 1,
                TextFrequency::Fraction(fraction) => (0.0..=1.0).contains(&fraction),
            };
            if !is_valid {
                return Err(Error::invalid(format!(
                    "{name} must be a count >= 1 or a share from 0.0 to 1.0, found {bound}"
                )));
            }
        }
        Ok(())
    }

    /// Checks the settings; returns the bounds on the number of texts.
    pub(super) fn check(&self, n_texts: usize) -> Result<(f64, f64)> {
        self.check_settings()?;
        if n_texts == 0 {
            return Err(Error::invalid("no texts to learn terms from"));
        }
        let (min_texts, max_texts) = (self.min_df.of(n_texts), self.max_df.of(n_texts));
        if max_texts < min_texts {
            return Err(Error::invalid(format!(
                "max_df={} allows fewer texts than min_df={} demands: {max_texts} < {min_texts}",
                self.max_df, self.min_df
            )));
        }
        Ok((min_texts, max_texts))
    }

    fn tokenizer(&self) -> Tokenizer {
        Tokenizer { casing: self.casing, html: self.html }
    }

    /// The weight of a count in a text.
    pub(crate) fn tf(&self) -> TermFrequency {
        TermFrequency::new(self.sublinear_tf)
    }

    pub(super) fn idf(&self, df: u32, n_texts: usize) -> f64 {
        let (n_texts, df) = (n_texts as f64, f64::from(df));
        match (self.use_idf, self.smooth_idf) {
            (false, _) => 1.0,
            (true, true) => ((1.0 + n_texts) / (1.0 + df)).ln() + 1.0,
            (true, false) => (n_texts / df).ln() + 1.0,
        }
    }
}

impl FittedVectorizer {
    /// Bytes of its tables.
    pub(crate) fn n_bytes(&self) -> u64 {
        let n_others =
            self.text_counts.capacity() * size_of::<u32>() + self.idf.capacity() * size_of::<f64>();
        (self.vocabulary.n_bytes() + n_others) as u64
    }

    /// Puts stored parts together.
    ///
    /// # Errors
    /// Names the first thing that does not fit.
    pub(crate) fn new(
        settings: Vectorizer,
        parts: super::vocabulary::VocabularyParts,
        n_texts: usize,
        text_counts: Vec<u32>,
    ) -> Result<Self, String> {
        let (vocabulary, idf) = rayon::join(
            || Vocabulary::new(parts, &settings.stop_words.words()),
            || text_counts.par_iter().map(|df| settings.idf(*df, n_texts)).collect::<Vec<_>>(),
        );
        let vocabulary = vocabulary?;
        if vocabulary.n_features() != text_counts.len() {
            return Err("the numbers of terms and of their text counts differ".to_owned());
        }
        if text_counts.iter().any(|df| *df == 0 || *df as usize > n_texts) {
            return Err("a term's text count is not between 1 and all texts".to_owned());
        }
        let tf = settings.tf();
        Ok(Self { settings, vocabulary, n_texts, text_counts, idf, tf })
    }

    /// The settings it was fitted with.
    pub fn settings(&self) -> &Vectorizer {
        &self.settings
    }

    /// The terms.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Number of texts it was fitted on.
    pub fn n_texts(&self) -> usize {
        self.n_texts
    }

    /// Texts each feature occurred in.
    pub(crate) fn text_counts(&self) -> &[u32] {
        &self.text_counts
    }

    /// The weight of a count in a text.
    pub(crate) fn tf(&self) -> &TermFrequency {
        &self.tf
    }

    /// Each feature's weight; see [`Vectorizer::fit_transform`].
    pub fn idf(&self) -> &[f64] {
        &self.idf
    }

    /// Counts the known terms of `text`. Returns how many of its words are known: none where they
    /// make no term, such as a lone word among terms of two.
    #[inline]
    pub(crate) fn count(
        &self,
        text: &str,
        scratch: &mut LookupBuffers,
        counter: &mut FeatureCounter,
    ) -> KnownTokens {
        counter.clear();
        let tokenizer = self.settings.tokenizer();
        let known = self.vocabulary.for_each_feature(text, tokenizer, scratch, |feature| {
            counter.add(feature);
        });
        match counter.counts() {
            [] => KnownTokens { n_known: 0, ..known },
            _ => known,
        }
    }

    /// The words of `text` and every place where a known term stands. Slower than a count.
    pub(crate) fn locate(&self, text: &str) -> LocatedText {
        self.vocabulary.locate(text, self.settings.tokenizer())
    }

    /// Weighs the known terms of `texts`; unknown ones are passed over.
    ///
    /// # Shapes
    /// `[texts.len(), n_features]`, compressed by rows.
    pub fn transform<S: AsRef<str> + Sync>(&self, texts: &[S]) -> TermMatrix {
        type Buffers = (LookupBuffers, FeatureCounter);
        let rows: Vec<Vec<(u32, f64)>> = texts
            .par_iter()
            .map_init(Buffers::default, |(scratch, counter), text| {
                self.count(text.as_ref(), scratch, counter);
                let mut counts = counter.counts().to_vec();
                counts.sort_unstable();
                let weigh = |(feature, count): (u32, u32)| {
                    (feature, self.tf.of(count) * self.idf[feature as usize])
                };
                counts.into_iter().map(weigh).collect()
            })
            .collect();
        scaled_rows(rows, self.idf.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(vectorizer: &Vectorizer, texts: &[&str]) -> Vec<String> {
        vectorizer.fit_transform(texts, &Monitor::silent()).unwrap().0.vocabulary().terms()
    }

    #[test]
    fn the_first_in_order_win_a_tie_for_the_last_places() {
        let vectorizer =
            Vectorizer { ngram_max: 2, max_features: Some(4), ..Vectorizer::default() };
        let texts = ["dd cc bb aa", "dd cc bb aa", "ee ee ee ee ee"];
        assert_eq!(terms(&vectorizer, &texts), ["aa", "bb", "ee", "ee ee"]);
    }

    #[test]
    fn words_that_no_kept_term_needs_are_forgotten() {
        let vectorizer = Vectorizer {
            ngram_min: 2,
            ngram_max: 3,
            max_features: Some(1),
            ..Vectorizer::default()
        };
        let texts = ["not very good", "not very bad", "not very nice", "quite good"];
        let (fitted, _) = vectorizer.fit_transform(&texts, &Monitor::silent()).unwrap();
        assert_eq!(fitted.vocabulary().terms(), ["not very"]);
        assert_eq!(fitted.vocabulary().n_words(), 2);
        let known = |text| {
            fitted.count(text, &mut LookupBuffers::default(), &mut FeatureCounter::default())
        };
        assert_eq!(known("not very good"), KnownTokens { n_tokens: 3, n_known: 2 });
        assert_eq!(known("very").share(), 0.0, "both words are known, but only together");
        let row = fitted.transform(&["it is not very good"]);
        assert_eq!((row.indices(), row.data()), (&[0][..], &[1.0][..]));
    }

    #[test]
    fn many_texts_give_what_one_text_at_a_time_gives() {
        // More than one chunk of texts and more than one part of n-grams.
        let words: Vec<String> = (0..700).map(|n| format!("w{n}")).collect();
        let texts: Vec<String> = (0..900usize)
            .map(|text| {
                let word = |place: usize| words[(text * text + place * place * 7) % 700].as_str();
                (0..60).map(word).collect::<Vec<_>>().join(" ")
            })
            .collect();
        let vectorizer = Vectorizer { ngram_max: 3, ..Vectorizer::default() };
        let (fitted, matrix) = vectorizer.fit_transform(&texts, &Monitor::silent()).unwrap();
        let mut expected = std::collections::BTreeSet::new();
        for text in &texts {
            let words: Vec<&str> = text.split(' ').collect();
            for length in 1..=3 {
                expected.extend(words.windows(length).map(|words| words.join(" ")));
            }
        }
        assert!(fitted.vocabulary().terms().iter().eq(&expected));
        let difference = &matrix.to_csr() - &fitted.transform(&texts);
        assert!(difference.data().iter().all(|value| value.abs() < 1e-6));
    }
}
