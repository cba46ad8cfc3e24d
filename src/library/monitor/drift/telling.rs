//! The words whose shares of texts have changed most.

use super::signal::WordShift;
use crate::evaluate::chi_squared;

/// Words that are named on each side.
const N_TOLD: usize = 12;
/// Standard errors that a share has to move by, so that chance is rarely named among a thousand words.
const MIN_ERRORS: f64 = 4.0;

/// Counts of words in the texts of both sides.
#[derive(Clone, Copy)]
pub(super) struct ComparedWords<'a> {
    /// Each word with the number of the profile's texts that have it.
    pub(super) words: &'a [(String, u32)],
    /// The number of the window's texts that have it, in the same order.
    pub(super) current: &'a [u64],
    /// The number of texts on each side, the profile's first.
    pub(super) n: [u64; 2],
}

/// The largest change of a word's share of texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LargestShift {
    pub(super) shift: WordShift,
    /// Of the test that both sides have the same share, times the number of words that it was chosen from.
    pub(super) p_value: f64,
}

impl ComparedWords<'_> {
    /// Each word with its counts and shares on both sides.
    fn shares(&self) -> impl Iterator<Item = (&str, [u64; 2], [f64; 2])> {
        let n = self.n.map(|n| n.max(1) as f64);
        self.words.iter().zip(self.current).map(move |((word, before), now)| {
            let counts = [u64::from(*before), *now];
            (word.as_str(), counts, [counts[0] as f64 / n[0], counts[1] as f64 / n[1]])
        })
    }

    /// The word whose share has moved most; none without words or texts.
    pub(super) fn largest(&self) -> Option<LargestShift> {
        if self.n.contains(&0) {
            return None;
        }
        let moved = |[before, now]: [f64; 2]| (now - before).abs();
        let (word, counts, [reference_share, current_share]) = self
            .shares()
            .max_by(|(_, _, one), (_, _, other)| moved(*one).total_cmp(&moved(*other)))?;
        let [before, now] =
            [0, 1].map(|side| [counts[side], self.n[side].saturating_sub(counts[side])]);
        let p_value = chi_squared(&before, &now).p_value * self.words.len() as f64;
        let shift = WordShift { word: word.to_owned(), reference_share, current_share };
        Some(LargestShift { shift, p_value: p_value.min(1.0) })
    }

    /// The words that came and those that went, the largest change first.
    pub(super) fn shifts(&self) -> [Vec<WordShift>; 2] {
        if self.n.contains(&0) {
            return [Vec::new(), Vec::new()];
        }
        let [n, m] = self.n.map(|n| n as f64);
        let mut changed: Vec<(f64, WordShift)> = self
            .shares()
            .filter_map(|(word, [n_before, n_now], [before, now])| {
                let pooled = (n_before + n_now) as f64 / (n + m);
                let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
                let change = now - before;
                let is_told = change.abs() > MIN_ERRORS * error;
                is_told.then(|| {
                    let word = word.to_owned();
                    (change, WordShift { word, reference_share: before, current_share: now })
                })
            })
            .collect();
        changed.sort_by(|one, other| other.0.abs().total_cmp(&one.0.abs()));
        [1.0, -1.0].map(|sign| {
            let told = changed.iter().filter(|(change, _)| change * sign > 0.0);
            told.take(N_TOLD).map(|(_, shift)| shift.clone()).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_more_than_chance_is_named_and_the_largest_first() {
        let words: Vec<(String, u32)> =
            [("film", 900), ("good", 500), ("plot", 500), ("the", 1000)]
                .map(|(word, n)| (word.to_owned(), n))
                .into();
        let counts = |current, m| ComparedWords { words: &words, current, n: [1_000, m] };
        let told = counts(&[100, 700, 505, 1_000], 1_000);
        let [came, went] = told.shifts();
        let names = |shifts: &[WordShift]| {
            shifts.iter().map(|shift| shift.word.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            (names(&came), names(&went)),
            (vec!["good".to_owned()], vec!["film".to_owned()])
        );
        assert_eq!((came[0].reference_share, came[0].current_share), (0.5, 0.7));
        let largest = told.largest().unwrap();
        assert_eq!((largest.shift.word.as_str(), largest.shift.current_share), ("film", 0.1));
        assert!(largest.p_value < 1e-100);
        // One of four words moves by so much by chance.
        let same = counts(&[900, 510, 498, 1_000], 1_000).largest().unwrap();
        assert_eq!((same.shift.word.as_str(), same.p_value), ("good", 1.0));
        let nothing = counts(&[0; 4], 0);
        assert_eq!((nothing.shifts(), nothing.largest()), ([vec![], vec![]], None));
    }
}
