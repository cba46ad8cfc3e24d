//! The answer to "why": what each term adds to a decision, what that makes of each word, and the part
//! of a long text that weighs most. Numbers and texts; how a model finds them is its own business.

use std::ops::Range;

use serde::Serialize;

/// The part of a decision that one term adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// The word or words.
    pub term: String,
    /// Occurrences in the text; 0 for a term that speaks by its absence, which only a background
    /// makes it do.
    pub count: u32,
    /// Above 0 for the explained class, below 0 against it.
    pub weight: f64,
}

/// A word of the text with its share of the decision: each occurrence of a term has an equal share of
/// the term's weight, and each word of it an equal share of that.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordWeight {
    /// As it stands in the text.
    pub word: String,
    /// Characters before it.
    pub start: usize,
    /// Characters to its end.
    pub end: usize,
    /// The share.
    pub weight: f64,
}

/// The reasons of one answer: `decision = base + Σ terms + rest`, and for one whose
/// weights are integrated, `+ integration.gap`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The class that the weights are for: the positive one of two, else the predicted one.
    pub class: String,
    /// The decision function at this text, as scikit-learn calls it. Of two classes it is the log-odds
    /// of the positive one, `ln(p / (1 - p))`; of more it is the score of the class before softmax. Of a
    /// calibrated model it is that before calibration.
    pub decision: f64,
    /// The decision without any term: the intercept, with a background the mean decision of its
    /// texts, and for integrated weights the decision at their baseline.
    pub base: f64,
    /// The strongest terms first, as many as were asked for.
    pub terms: Vec<Contribution>,
    /// Number of terms that add anything.
    pub n_terms: usize,
    /// The sum of those that are not in `terms`.
    pub rest: f64,
    /// Every word that the model reads, in the order of the text; those that it does not know weigh 0,
    /// but for a net, which has learnt what an unknown word means.
    pub words: Vec<WordWeight>,
    /// The integration that found the weights, where they are no exact sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<Integration>,
}

/// The integration of gradients on the way from a baseline to the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Integration {
    /// The baseline.
    pub baseline: IntegrationBaseline,
    /// Number of steps.
    pub n_steps: usize,
    /// The part of the decision that the weights leave out.
    pub gap: f64,
    /// True if that is at most a hundredth of the difference between decision and base, or less than
    /// 0.001.
    pub is_complete: bool,
}

/// The text that says nothing, from which a net's weights are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IntegrationBaseline {
    /// As many tokens whose embeddings are 0.
    Zeros,
    /// `[PAD]` in the place of every token but those that the tokenizer adds.
    Padding,
}

impl IntegrationBaseline {
    /// Its description in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Zeros => "embeddings of zeros",
            Self::Padding => "[PAD] for every token",
        }
    }
}

/// The mean of texts as a model sees them, to explain another text against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Background {
    /// The mean of each feature.
    pub(super) mean: Vec<f64>,
    n_texts: usize,
}

/// A model's strongest terms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrongTerms {
    /// Texts that the model was trained on.
    pub n_texts: usize,
    /// The terms of each class, in label order.
    pub classes: Vec<ClassTerms>,
}

/// The terms that speak most for a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassTerms {
    /// Its name.
    pub class: String,
    /// The strongest first.
    pub terms: Vec<StrongTerm>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrongTerm {
    /// The word or words.
    pub term: String,
    /// Its coefficient, above 0.
    pub weight: f64,
    /// Training texts that it occurs in.
    pub n_texts: u32,
}

impl Background {
    pub(super) fn new(mean: Vec<f64>, n_texts: usize) -> Self {
        Self { mean, n_texts }
    }

    /// Number of texts that it is the mean of.
    pub fn n_texts(&self) -> usize {
        self.n_texts
    }
}

impl Explanation {
    /// The terms that speak for `class`, the strongest first, with weights above 0. What speaks against
    /// one of two classes speaks for the other one.
    pub fn terms_for(&self, class: &str) -> Vec<Contribution> {
        let sign = if class == self.class { 1.0 } else { -1.0 };
        let turned = self
            .terms
            .iter()
            .map(|term| Contribution { weight: sign * term.weight, ..term.clone() });
        turned.filter(|term| term.weight > 0.0).collect()
    }

    /// `text` in pieces, each with its weight: the words, and 0 for what stands between them.
    pub fn pieces(&self, text: &str) -> Vec<(String, f64)> {
        let mut characters = text.chars();
        let (mut pieces, mut at) = (Vec::new(), 0);
        for WordWeight { start, end, weight, .. } in &self.words {
            let between: String = characters.by_ref().take(start.saturating_sub(at)).collect();
            let word: String = characters.by_ref().take(end.saturating_sub(*start)).collect();
            pieces.extend([(between, 0.0), (word, *weight)]);
            at = *end;
        }
        pieces.push((characters.collect(), 0.0));
        pieces.retain(|(piece, _)| !piece.is_empty());
        pieces
    }
}

/// At most about `max_chars` characters of `text` on one line: those around the words that weigh most,
/// its beginning where none does. What is left out is `…`; control characters become blanks.
pub fn excerpt(text: &str, words: &[WordWeight], max_chars: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    let (start, end) = match characters.len() <= max_chars {
        true => (0, characters.len()),
        false => {
            let heaviest = heaviest(words, max_chars);
            let spare = max_chars.saturating_sub(heaviest.len());
            let start = heaviest.start.saturating_sub(spare / 2).min(characters.len() - max_chars);
            whole_words(&characters, start..start + max_chars, &heaviest)
        }
    };
    let blank = |character: &char| if character.is_control() { ' ' } else { *character };
    let shown: String = characters[start..end].iter().map(blank).collect();
    let line: Vec<&str> = shown.split_whitespace().collect();
    let (before, after) =
        (["", "…"][usize::from(start > 0)], ["", "…"][usize::from(end < characters.len())]);
    format!("{before}{}{after}", line.join(" "))
}

/// The characters of the words, not more than `max_chars` of them, that weigh most together.
fn heaviest(words: &[WordWeight], max_chars: usize) -> Range<usize> {
    let (mut best, mut best_weight) = (0..0, 0.0);
    let (mut next, mut weight) = (0, 0.0);
    for (first_idx, first) in words.iter().enumerate() {
        while let Some(word) = words.get(next).filter(|word| word.end - first.start <= max_chars) {
            weight += word.weight.abs();
            next += 1;
        }
        if next > first_idx && weight > best_weight {
            (best, best_weight) = (first.start..words[next - 1].end, weight);
        }
        match next > first_idx {
            true => weight -= first.weight.abs(),
            // A word that is longer than all there is room for.
            false => next = first_idx + 1,
        }
    }
    best
}

/// `window` without the parts of words at its ends, unless that would cut into `kept`.
fn whole_words(characters: &[char], window: Range<usize>, kept: &Range<usize>) -> (usize, usize) {
    let is_blank = |idx: usize| characters[idx].is_whitespace();
    let (mut start, mut end) = (window.start, window.end);
    if start > 0 && !is_blank(start - 1) {
        let limit = if kept.is_empty() { end } else { kept.start.min(end) };
        start = (start..limit).find(|idx| is_blank(*idx)).unwrap_or(start);
    }
    if end < characters.len() && !is_blank(end) {
        let limit = if kept.is_empty() { start } else { kept.end };
        end = (limit..end).rev().find(|idx| is_blank(*idx)).unwrap_or(end);
    }
    (start, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words of letters, weighing what `weight` says.
    fn words(text: &str, weight: impl Fn(&str) -> f64) -> Vec<WordWeight> {
        let (mut words, mut word, mut start) = (Vec::new(), String::new(), 0);
        for (at, character) in text.chars().chain([' ']).enumerate() {
            if character.is_alphanumeric() {
                start = if word.is_empty() { at } else { start };
                word.push(character);
            } else if !word.is_empty() {
                let weight = weight(&word);
                words.push(WordWeight { word: std::mem::take(&mut word), start, end: at, weight });
            }
        }
        words
    }

    fn of_word(heavy: &str) -> impl Fn(&str) -> f64 + '_ {
        move |word| if word == heavy { -2.0 } else { 0.1 }
    }

    #[test]
    fn a_long_text_is_cut_around_what_weighs_most() {
        let text = "one two three four five six seven eight nine ten";
        let cut = |heavy, max_chars| excerpt(text, &words(text, of_word(heavy)), max_chars);
        assert_eq!(cut("six", 100), text);
        assert_eq!(cut("one", 13), "one two three…");
        assert_eq!(cut("ten", 13), "…nine ten");
        assert_eq!(cut("five", 12), "…four five…");
        // Room for nothing but a part of the word: a cut is a cut.
        assert_eq!(cut("seven", 5), "…seven…");
        assert_eq!(excerpt("  a\n\u{1b}[31mb ", &[], 50), "a [31mb");
        assert_eq!(excerpt("abc defgh ijk", &[], 8), "abc…");
    }

    #[test]
    fn pieces_make_up_the_text() {
        let text = "«Très» bon, très!";
        let explanation = Explanation {
            class: "pos".to_owned(),
            decision: 0.0,
            base: 0.0,
            terms: Vec::new(),
            n_terms: 0,
            rest: 0.0,
            words: words(text, |word| word.len() as f64),
            integration: None,
        };
        let pieces = explanation.pieces(text);
        let joined: String = pieces.iter().map(|(piece, _)| piece.as_str()).collect();
        assert_eq!(joined, text);
        assert_eq!(pieces[1], ("Très".to_owned(), 5.0));
        assert!(explanation.pieces("").is_empty(), "words that another text has are no panic");
    }

    #[test]
    fn what_speaks_against_one_of_two_classes_speaks_for_the_other() {
        let term = |term: &str, weight| Contribution { term: term.to_owned(), count: 1, weight };
        let explanation = Explanation {
            class: "pos".to_owned(),
            decision: 0.0,
            base: 0.0,
            terms: vec![term("dull", -2.0), term("good", 1.0), term("bad", -0.5)],
            n_terms: 3,
            rest: 0.0,
            words: Vec::new(),
            integration: None,
        };
        assert_eq!(explanation.terms_for("pos"), [term("good", 1.0)]);
        assert_eq!(explanation.terms_for("neg"), [term("dull", 2.0), term("bad", 0.5)]);
    }

    proptest! {
        #[test]
        fn an_excerpt_is_short_and_has_the_heaviest_word(
            parts in prop::collection::vec("[a-zé]{1,9}", 1..40), heavy in 0_usize..40, max in 9_usize..60
        ) {
            let mut parts = parts;
            let heavy = heavy % parts.len();
            parts[heavy] = "HEAVY".to_owned();
            let text = parts.join(" ");
            let weight = |word: &str| f64::from(u8::from(word == "HEAVY")) * 9.0;
            let cut = excerpt(&text, &words(&text, weight), max);
            prop_assert!(cut.contains("HEAVY"), "{}", cut);
            prop_assert!(cut.chars().count() <= max + 2);
        }
    }
}
