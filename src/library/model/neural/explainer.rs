//! Why a net answers as it does: integrated gradients of its tokens, added up to the words that people
//! read. The integration is `attribution`'s business.

use std::collections::BTreeMap;

use super::{
    attribution::{Attribution, DecisionTarget, StraightPath, attribute},
    net::{Batch, Net, Precision, pass::Pass},
};
use crate::{
    error::Result,
    model::{Contribution, Explanation, Integration, IntegrationBaseline, WordWeight},
    text::{ReadText, ReadWord},
};

/// A net with the names of its classes.
#[derive(Clone, Copy)]
pub(super) struct NetExplainer<'a> {
    pub(super) net: &'a Net,
    pub(super) classes: &'a [String],
    /// The id of padding, for a net of sub-words: it is counted from padding.
    pub(super) padding_id: Option<u32>,
}

impl NetExplainer<'_> {
    /// Explains the answer to `text`, which was read as `read`, by its `n_terms` strongest words.
    ///
    /// # Errors
    /// As [`attribute`].
    pub(super) fn explain(
        self,
        text: &str,
        read: &ReadText,
        n_terms: usize,
    ) -> Result<Explanation> {
        let logits = self.net.forward(&Batch::new(&[&read.ids], 0)?)?;
        let (class_idx, target) = DecisionTarget::of(&logits);
        let (path, baseline) = self.path(read);
        let found = attribute(self.net, &path, &target)?;
        let words = words(text, read, &found);
        let mut terms = terms(&words);
        let n_found = terms.len();
        let listed: f64 = terms.iter().take(n_terms).map(|term| term.weight).sum();
        terms.truncate(n_terms);
        Ok(Explanation {
            class: self.classes[class_idx].clone(),
            decision: found.decision,
            base: found.base,
            terms,
            n_terms: n_found,
            // With what the tokens add that are of no word.
            rest: found.weights.iter().sum::<f64>() - listed,
            words,
            integration: Some(Integration {
                baseline,
                n_steps: found.n_steps,
                gap: found.gap(),
                is_complete: found.is_complete(),
            }),
        })
    }

    /// The way to the text. Padding is never learnt by a net of words, whose lookups skip it: zeros, as
    /// Sundararajan et al. have it, are the text of such a net that says nothing. A pretrained encoder
    /// has positions and norms, to which zeros are no embedding of anything: padding in its place, with
    /// `[CLS]` and `[SEP]` where they are, is captum's convention for BERT.
    fn path(self, read: &ReadText) -> (StraightPath, IntegrationBaseline) {
        let pass = Pass::predict(self.net.values(), self.net.device().burn(), Precision::F32);
        let rows = |ids: &[u32]| pass.peek_embedded(self.net.embedding(), ids);
        let text = rows(&read.ids);
        let n_tokens = read.ids.len();
        let Some(padding_id) = self.padding_id else {
            let baseline = vec![0.0; text.len()];
            return (StraightPath { baseline, text, n_tokens }, IntegrationBaseline::Zeros);
        };
        let mut ids = read.ids.clone();
        for word in &read.words {
            ids[word.tokens.clone()].fill(padding_id);
        }
        (StraightPath { baseline: rows(&ids), text, n_tokens }, IntegrationBaseline::Padding)
    }
}

/// The words of `text` with the sums of their tokens' weights.
fn words(text: &str, read: &ReadText, found: &Attribution) -> Vec<WordWeight> {
    let characters: Vec<char> = text.chars().collect();
    let word = |ReadWord { tokens, chars }: &ReadWord| WordWeight {
        word: characters.get(chars.clone()).unwrap_or_default().iter().collect(),
        start: chars.start,
        end: chars.end,
        weight: found.weights[tokens.clone()].iter().sum(),
    };
    read.words.iter().map(word).collect()
}

/// The sums of each different word, in small letters, the strongest first.
fn terms(words: &[WordWeight]) -> Vec<Contribution> {
    let mut terms: BTreeMap<String, (u32, f64)> = BTreeMap::new();
    for WordWeight { word, weight, .. } in words {
        let (count, sum) = terms.entry(word.to_lowercase()).or_default();
        *count += 1;
        *sum += weight;
    }
    let mut terms: Vec<Contribution> = terms
        .into_iter()
        .map(|(term, (count, weight))| Contribution { term, count, weight })
        .filter(|term| term.weight != 0.0)
        .collect();
    terms.sort_by(|one, other| other.weight.abs().total_cmp(&one.weight.abs()));
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_weighs_what_its_tokens_weigh_and_a_term_what_its_words_do() {
        let text = "Très Bad, bad";
        let word = |tokens, chars| ReadWord { tokens, chars };
        let read = ReadText {
            ids: vec![2, 9, 8, 7, 6, 7, 3],
            words: vec![word(1..3, 0..4), word(3..4, 5..8), word(4..5, 8..9), word(5..6, 10..13)],
        };
        let weights = vec![0.0, 0.5, -0.25, -1.0, 0.0, -2.0, 0.0];
        let found = Attribution { weights, decision: 0.0, base: 0.0, n_steps: 1 };
        let words = words(text, &read, &found);
        let told: Vec<(&str, usize, f64)> =
            words.iter().map(|word| (word.word.as_str(), word.start, word.weight)).collect();
        assert_eq!(told, [("Très", 0, 0.25), ("Bad", 5, -1.0), (",", 8, 0.0), ("bad", 10, -2.0)]);
        let term =
            |term: &str, count, weight| Contribution { term: term.to_owned(), count, weight };
        assert_eq!(terms(&words), [term("bad", 2, -3.0), term("très", 1, 0.25)]);
    }
}
