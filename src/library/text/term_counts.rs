//! The terms of a collection of texts, counted once for many vectorisers and many choices of rows: a
//! sweep learns each fold's terms from them without reading a text again. What comes of the counts is
//! what [`Vectorizer::fit_transform`] and a fitted vectoriser's `transform` give, number by number. It
//! draws no folds.

use rayon::prelude::*;

use super::{
    matrix::{self, Features, TermMatrix, scaled_rows},
    ngram::Counting,
    term_frequency::TermFrequency,
    vectorizer::Vectorizer,
    vocabulary::NO_FEATURE,
};
use crate::{error::Result, progress::Monitor};

/// Terms that are looked at together.
const CHUNK_TERMS: usize = 1 << 13;

/// How often each term occurs in each text.
pub(crate) struct TermCounts {
    n_texts: usize,
    /// The number of words of each term, in the order of the terms' strings.
    n_words: Vec<u8>,
    /// The end of each term's places in `texts` and `counts`, after a 0.
    ends: Vec<usize>,
    /// Each term's texts, ascending.
    texts: Vec<u32>,
    /// Its count in each of them.
    counts: Vec<u32>,
}

/// The place of a text that is neither learnt nor predicted.
const NOWHERE: u32 = u32::MAX;

/// Rows that are learnt and rows that are predicted, by text.
struct RowPlaces {
    /// The row of each text that is learnt, or [`NOWHERE`].
    learnt: Vec<u32>,
    /// The same for those that are predicted.
    own: Vec<u32>,
}

/// A term that a vectoriser learns.
struct KeptTerm {
    term: usize,
    /// Texts to be learnt that it occurs in.
    n_texts: u32,
    /// Occurrences in them.
    count: u64,
}

impl TermCounts {
    /// Counts the terms of up to `max_words` words that occur in at least `min_texts` of `texts`, cut
    /// as `vectorizer` does; nothing else of it matters.
    ///
    /// # Errors
    /// Texts without words, and an interrupt.
    pub(crate) fn new<S: AsRef<str> + Sync>(
        texts: &[S],
        vectorizer: &Vectorizer,
        max_words: usize,
        min_texts: f64,
        monitor: &Monitor,
    ) -> Result<Self> {
        let corpus = vectorizer.read(texts, min_texts, monitor)?;
        let counting = Counting {
            min_words: 1,
            max_words,
            min_texts,
            max_texts: f64::INFINITY,
            idf: |_| 1.0,
            // The count itself.
            tf: TermFrequency::new(false),
        };
        let levels = counting.run(&corpus, monitor)?;
        let Features { parts, columns, .. } = Features::new(corpus, &levels, None);
        let mut n_words = vec![1; columns.len()];
        for (level, length) in parts.levels.iter().zip(2..) {
            for entry in level.iter().filter(|entry| entry.feature != NO_FEATURE) {
                n_words[entry.feature as usize] = length;
            }
        }
        let n_counts = columns.iter().map(|column| column.texts.len()).sum();
        let mut ends = Vec::with_capacity(columns.len() + 1);
        ends.push(0);
        let (mut all, mut counts) = (Vec::with_capacity(n_counts), Vec::with_capacity(n_counts));
        for column in &columns {
            all.extend_from_slice(column.texts);
            counts.extend(column.values.iter().map(|count| *count as u32));
            ends.push(all.len());
        }
        Ok(Self { n_texts: texts.len(), n_words, ends, texts: all, counts })
    }

    /// The matrix that `vectorizer` makes of the texts `learnt`, by columns, and what it then makes of
    /// the texts `own`, by rows. Both are given by their indices, ascending.
    ///
    /// # Errors
    /// As [`Vectorizer::fit_transform`].
    pub(crate) fn weigh(
        &self,
        vectorizer: &Vectorizer,
        learnt: &[usize],
        own: &[usize],
    ) -> Result<(TermMatrix, TermMatrix)> {
        let places = RowPlaces::new(self.n_texts, learnt, own);
        let (min_texts, max_texts) = vectorizer.check(learnt.len())?;
        let is_kept = |term: &KeptTerm| {
            let n_texts = f64::from(term.n_texts);
            term.n_texts > 0 && n_texts >= min_texts && n_texts <= max_texts
        };
        let n_words = vectorizer.ngram_min..=vectorizer.ngram_max;
        let n_terms = self.n_words.len();
        let kept: Vec<Vec<KeptTerm>> = (0..n_terms.div_ceil(CHUNK_TERMS))
            .into_par_iter()
            .map(|chunk| {
                let terms = chunk * CHUNK_TERMS..n_terms.min((chunk + 1) * CHUNK_TERMS);
                let wanted =
                    terms.filter(|term| n_words.contains(&usize::from(self.n_words[*term])));
                wanted.map(|term| self.among(term, &places)).filter(is_kept).collect()
            })
            .collect();
        let mut kept: Vec<KeptTerm> = kept.into_iter().flatten().collect();
        if let Some(limit) = vectorizer.max_features.filter(|limit| *limit < kept.len()) {
            // The first in order win a tie.
            kept.sort_by_key(|term| std::cmp::Reverse(term.count));
            kept.truncate(limit);
            kept.sort_unstable_by_key(|term| term.term);
        }
        if kept.is_empty() {
            return Err(vectorizer.without_terms(learnt.len()));
        }
        let tf = vectorizer.tf();
        let idf: Vec<f64> =
            kept.iter().map(|term| vectorizer.idf(term.n_texts, learnt.len())).collect();
        let mut starts = Vec::with_capacity(kept.len() + 1);
        starts.push(0);
        starts.extend(kept.iter().scan(0, |end, term| {
            *end += term.n_texts as usize;
            Some(*end)
        }));
        let fill = |column: usize, rows: &mut [u32], values: &mut [f32]| {
            let (texts, counts) = self.postings(kept[column].term);
            let mut end = 0;
            for (text, count) in texts.iter().zip(counts) {
                let row = places.learnt[*text as usize];
                if row != NOWHERE {
                    rows[end] = row;
                    values[end] = (tf.of(*count) * idf[column]) as f32;
                    end += 1;
                }
            }
        };
        let own_rows = || {
            let mut rows: Vec<Vec<(u32, f64)>> = vec![Vec::new(); own.len()];
            for (column, (term, idf)) in kept.iter().zip(&idf).enumerate() {
                let (texts, counts) = self.postings(term.term);
                if texts.len() == term.n_texts as usize {
                    continue;
                }
                for (text, count) in texts.iter().zip(counts) {
                    if let Some(row) = rows.get_mut(places.own[*text as usize] as usize) {
                        row.push((column as u32, tf.of(*count) * idf));
                    }
                }
            }
            scaled_rows(rows, kept.len())
        };
        Ok(rayon::join(|| matrix::assemble(starts, learnt.len(), fill), own_rows))
    }

    /// A term's texts and its counts in them.
    fn postings(&self, term: usize) -> (&[u32], &[u32]) {
        let span = self.ends[term]..self.ends[term + 1];
        (&self.texts[span.clone()], &self.counts[span])
    }

    /// The term among the texts that are learnt.
    fn among(&self, term: usize, places: &RowPlaces) -> KeptTerm {
        let (mut n_texts, mut total) = (0, 0);
        let (texts, counts) = self.postings(term);
        for (text, count) in texts.iter().zip(counts) {
            let is_learnt = places.learnt[*text as usize] != NOWHERE;
            n_texts += u32::from(is_learnt);
            total += u64::from(is_learnt) * u64::from(*count);
        }
        KeptTerm { term, n_texts, count: total }
    }
}

impl RowPlaces {
    fn new(n_texts: usize, learnt: &[usize], own: &[usize]) -> Self {
        let rows = |texts: &[usize]| {
            let mut rows = vec![NOWHERE; n_texts];
            for (row, text) in texts.iter().enumerate() {
                rows[*text] = row as u32;
            }
            rows
        };
        Self { learnt: rows(learnt), own: rows(own) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{StopWords, TextFrequency};

    #[test]
    fn counts_give_what_reading_the_texts_gives() {
        let texts: Vec<String> = (0..400usize)
            .map(|text| {
                let word = |place: usize| format!("w{}", (text * text + place * place * 7) % 90);
                (0..text % 40).map(word).collect::<Vec<_>>().join(" ")
            })
            .collect();
        let own: Vec<usize> = (0..400).filter(|text| text % 5 == 3).collect();
        let learnt: Vec<usize> = (0..400).filter(|text| text % 5 < 3).collect();
        let among = |rows: &[usize]| rows.iter().map(|row| &texts[*row]).collect::<Vec<_>>();
        let silent = Monitor::silent();
        let base = Vectorizer {
            stop_words: StopWords::List(vec!["w7".to_owned()]),
            ..Vectorizer::default()
        };
        let counts = TermCounts::new(&texts, &base, 3, 2.0, &silent).unwrap();
        for (ngram_min, ngram_max, min_df, max_df, max_features, sublinear_tf) in [
            (1, 1, TextFrequency::Count(2), TextFrequency::Fraction(1.0), None, true),
            (1, 3, TextFrequency::Count(2), TextFrequency::Fraction(0.2), None, false),
            (2, 3, TextFrequency::Count(3), TextFrequency::Fraction(1.0), Some(50), true),
            (1, 2, TextFrequency::Fraction(0.02), TextFrequency::Count(9), Some(10), false),
        ] {
            let vectorizer = Vectorizer {
                ngram_min,
                ngram_max,
                min_df,
                max_df,
                max_features,
                sublinear_tf,
                ..base.clone()
            };
            let (fitted, matrix) = vectorizer.fit_transform(&among(&learnt), &silent).unwrap();
            let (found, found_own) = counts.weigh(&vectorizer, &learnt, &own).unwrap();
            assert_eq!(found, matrix);
            assert_eq!(found_own, fitted.transform(&among(&own)));
        }
        let none = Vectorizer { min_df: TextFrequency::Count(300), ..base };
        let expected = none.fit_transform(&among(&learnt), &silent).unwrap_err().to_string();
        let found = counts.weigh(&none, &learnt, &own).unwrap_err().to_string();
        assert_eq!(found, expected);
    }
}
