//! Why the baseline answers as it does. The decision of a linear model is the sum of what its terms
//! add, so that the explanation is exact: nothing is sampled or approximated.
//!
//! Without a background a term adds `coefficient · value`, and the base is the intercept. With one it
//! adds `coefficient · (value - mean)`, and the base is the decision of the mean: the Shapley values of
//! SHAP's linear explainer (Lundberg and Lee 2017, corollary 1).

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::{
    Logistic,
    explanation::{
        Background, ClassTerms, Contribution, Explanation, StrongTerm, StrongTerms, WordWeight,
    },
};
use crate::text::{FittedVectorizer, LocatedText};

/// Texts that are vectorised together for a background.
const CHUNK_N_TEXTS: usize = 1024;

/// A fitted baseline's parts.
#[derive(Clone, Copy)]
pub(super) struct LinearExplainer<'a> {
    pub(super) classes: &'a [String],
    pub(super) vectorizer: &'a FittedVectorizer,
    pub(super) logistic: &'a Logistic,
}

/// A term of a text.
#[derive(Clone, Copy)]
struct RowEntry {
    count: u32,
    /// In the row of length 1.
    value: f64,
}

impl LinearExplainer<'_> {
    /// Explains the answer to `text` by its `n_terms` strongest terms.
    pub(super) fn explain(
        self,
        text: &str,
        background: Option<&Background>,
        n_terms: usize,
    ) -> Explanation {
        let located = self.vectorizer.locate(text);
        let row = self.row(&located);
        let (output, decision) = self.decision(&row);
        let mean = background.map(|background| background.mean.as_slice());
        let base = self.logistic.intercepts()[output]
            + mean.map_or(0.0, |mean| {
                mean.iter()
                    .enumerate()
                    .map(|(idx, mean)| self.coefficient(idx, output) * mean)
                    .sum()
            });
        let weight = |feature: u32, value: f64| {
            let mean = mean.map_or(0.0, |mean| mean[feature as usize]);
            self.coefficient(feature as usize, output) * (value - mean)
        };
        let mut weights: Vec<(u32, f64)> = match background {
            None => row
                .iter()
                .map(|(feature, entry)| (*feature, weight(*feature, entry.value)))
                .collect(),
            Some(background) => (0..background.mean.len() as u32)
                .map(|feature| (feature, weight(feature, value_of(&row, feature))))
                .collect(),
        };
        weights.retain(|(_, weight)| *weight != 0.0);
        weights.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
        let found = weights.len();
        let rest = weights.iter().skip(n_terms).map(|(_, weight)| weight).sum();
        weights.truncate(n_terms);
        Explanation {
            class: match self.logistic.n_outputs() {
                1 => self.classes[1].clone(),
                _ => self.classes[output].clone(),
            },
            decision,
            base,
            terms: self.spelled(&weights, &located, &row),
            n_terms: found,
            rest,
            words: words(text, &located, |feature| {
                row.get(&feature)
                    .map_or(0.0, |entry| weight(feature, entry.value) / f64::from(entry.count))
            }),
            integration: None,
        }
    }

    /// The mean row of `texts`; no row for no text.
    pub(super) fn background(self, texts: &[&str]) -> Background {
        let mut mean = vec![0.0; self.vectorizer.vocabulary().n_features()];
        for chunk in texts.chunks(CHUNK_N_TEXTS) {
            let rows: Vec<BTreeMap<u32, RowEntry>> =
                chunk.par_iter().map(|text| self.row(&self.vectorizer.locate(text))).collect();
            // One after the other, so that the sum does not depend on the number of threads.
            for (feature, entry) in rows.iter().flatten() {
                mean[*feature as usize] += entry.value;
            }
        }
        let n_texts = texts.len().max(1) as f64;
        mean.iter_mut().for_each(|mean| *mean /= n_texts);
        Background::new(mean, texts.len())
    }

    /// For each class the `n_terms` terms with the largest coefficients.
    pub(super) fn strongest(self, n_terms: usize) -> StrongTerms {
        let n_outputs = self.logistic.n_outputs();
        let n_features = self.vectorizer.vocabulary().n_features();
        let classes = self.classes.iter().enumerate().map(|(class_idx, class)| {
            let (output, sign) = match (n_outputs, class_idx) {
                (1, 0) => (0, -1.0),
                (1, _) => (0, 1.0),
                _ => (class_idx, 1.0),
            };
            let mut strongest: Vec<(u32, f64)> = (0..n_features)
                .map(|feature| (feature as u32, sign * self.coefficient(feature, output)))
                .filter(|(_, weight)| *weight > 0.0)
                .collect();
            strongest.sort_by(|(_, one), (_, other)| other.total_cmp(one));
            strongest.truncate(n_terms);
            let spelled = self.vocabulary_terms(strongest.iter().map(|(feature, _)| *feature));
            let term = |(feature, weight): &(u32, f64)| StrongTerm {
                term: spelled.get(feature).cloned().unwrap_or_default(),
                weight: *weight,
                n_texts: self.vectorizer.text_counts()[*feature as usize],
            };
            ClassTerms { class: class.clone(), terms: strongest.iter().map(term).collect() }
        });
        StrongTerms { n_texts: self.vectorizer.n_texts(), classes: classes.collect() }
    }

    /// The known terms of a text, in the order of features.
    fn row(self, located: &LocatedText) -> BTreeMap<u32, RowEntry> {
        let mut row: BTreeMap<u32, RowEntry> = BTreeMap::new();
        for term in &located.terms {
            row.entry(term.feature).or_insert(RowEntry { count: 0, value: 0.0 }).count += 1;
        }
        let (tf, idf) = (self.vectorizer.tf(), self.vectorizer.idf());
        let mut square = 0.0;
        for (feature, entry) in &mut row {
            entry.value = tf.of(entry.count) * idf[*feature as usize];
            square += entry.value * entry.value;
        }
        if square > 0.0 {
            let length = square.sqrt();
            row.values_mut().for_each(|entry| entry.value /= length);
        }
        row
    }

    /// The output that is explained, and its decision.
    fn decision(self, row: &BTreeMap<u32, RowEntry>) -> (usize, f64) {
        let mut decisions = self.logistic.intercepts().to_vec();
        for (feature, entry) in row {
            for (output, decision) in decisions.iter_mut().enumerate() {
                *decision += entry.value * self.coefficient(*feature as usize, output);
            }
        }
        let mut best = 0;
        for (output, decision) in decisions.iter().enumerate() {
            if *decision > decisions[best] {
                best = output;
            }
        }
        (best, decisions[best])
    }

    fn coefficient(self, feature: usize, output: usize) -> f64 {
        self.logistic.coefficients()[feature * self.logistic.n_outputs() + output]
    }

    fn spelled(
        self,
        weights: &[(u32, f64)],
        located: &LocatedText,
        row: &BTreeMap<u32, RowEntry>,
    ) -> Vec<Contribution> {
        let mut terms: BTreeMap<u32, String> = BTreeMap::new();
        for term in &located.terms {
            terms.entry(term.feature).or_insert_with(|| located.spell(term));
        }
        // Those of the background alone, which to find takes a walk through the whole vocabulary.
        let absent = weights.iter().map(|(feature, _)| *feature);
        let absent: Vec<u32> = absent.filter(|feature| !terms.contains_key(feature)).collect();
        if !absent.is_empty() {
            terms.extend(self.vocabulary_terms(absent.into_iter()));
        }
        let contribution = |(feature, weight): &(u32, f64)| Contribution {
            term: terms.get(feature).cloned().unwrap_or_default(),
            count: row.get(feature).map_or(0, |entry| entry.count),
            weight: *weight,
        };
        weights.iter().map(contribution).collect()
    }

    fn vocabulary_terms(self, features: impl Iterator<Item = u32>) -> BTreeMap<u32, String> {
        let wanted: BTreeSet<u32> = features.collect();
        let terms = self.vectorizer.vocabulary().terms_of(|feature| wanted.contains(&feature));
        terms.into_iter().collect()
    }
}

fn value_of(row: &BTreeMap<u32, RowEntry>, feature: u32) -> f64 {
    row.get(&feature).map_or(0.0, |entry| entry.value)
}

/// The words of a text with their shares; `weight` is that of one occurrence of a term.
fn words(text: &str, located: &LocatedText, weight: impl Fn(u32) -> f64) -> Vec<WordWeight> {
    let mut weights = vec![0.0; located.words.len()];
    for term in &located.terms {
        let share = weight(term.feature) / term.words.len() as f64;
        weights[term.words.clone()].iter_mut().for_each(|weight| *weight += share);
    }
    let (mut n_bytes, mut n_chars) = (0, 0);
    let mut n_chars_to = |byte: usize| {
        n_chars += text.get(n_bytes..byte).map_or(0, |part| part.chars().count());
        n_bytes = byte;
        n_chars
    };
    let words = located.words.iter().zip(weights).map(|(word, weight)| {
        let word_text = text.get(word.span.clone()).unwrap_or_default().to_owned();
        let (start, end) = (n_chars_to(word.span.start), n_chars_to(word.span.end));
        WordWeight { word: word_text, start, end, weight }
    });
    words.collect()
}

#[cfg(test)]
mod tests;
