//! The fixed bins in which a text's length, its unknown words and an answer's confidence are counted:
//! the same for a reference profile and for what is compared with it.

use serde::{Deserialize, Serialize};

/// Bins of the confidence.
pub(crate) const N_CONFIDENCE_BINS: usize = 10;
/// Bins of the share of unknown words: none of them, then up to each per cent.
pub(crate) const N_UNKNOWN_BINS: usize = 101;

/// Up to so many words each length is a bin of its own.
const EXACT: u32 = 128;
/// Bins from one doubling of the length to the next, from there on: each is 2 % wide.
const PER_DOUBLING: f64 = 35.0;

/// The bin of a text of `n_words` words.
pub(crate) fn length_bin(n_words: u32) -> u32 {
    match n_words <= EXACT {
        true => n_words,
        false => {
            let doublings = (f64::from(n_words) / f64::from(EXACT)).log2();
            EXACT + (doublings * PER_DOUBLING).ceil() as u32
        }
    }
}

/// The longest length of a bin, in words.
pub(crate) fn length_of_bin(bin: u32) -> f64 {
    match bin <= EXACT {
        true => f64::from(bin),
        false => (f64::from(EXACT) * (f64::from(bin - EXACT) / PER_DOUBLING).exp2()).floor(),
    }
}

/// The bin of `n_unknown` unknown words of `n_words`; nothing is known of a text without words.
pub(crate) fn unknown_bin(n_unknown: u32, n_words: u32) -> usize {
    match n_words {
        0 => N_UNKNOWN_BINS - 1,
        _ => {
            let n_unknown = u64::from(n_unknown.min(n_words));
            (n_unknown * 100).div_ceil(u64::from(n_words)) as usize
        }
    }
}

/// The number of a text's words that a model does not know, which knows a share of its tokens.
pub fn n_unknown_words(n_words: usize, known_share: f64) -> u32 {
    (n_words as f64 * (1.0 - known_share.clamp(0.0, 1.0))).round() as u32
}

/// Confidences counted in ten equal bins from that of a model that cannot tell its
/// classes apart to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceCounts {
    /// The lower end of the first bin: 1 by the number of classes. Lower confidences, which a threshold of
    /// one's own makes, are in the first bin too.
    pub from: f64,
    /// The number of answers in each bin.
    pub counts: Vec<u64>,
}

impl ConfidenceCounts {
    /// Nothing counted yet, of a model of `n_classes` classes.
    pub fn new(n_classes: usize) -> Self {
        Self { from: 1.0 / n_classes.max(1) as f64, counts: vec![0; N_CONFIDENCE_BINS] }
    }

    /// Counts one answer.
    pub fn add(&mut self, confidence: f64) {
        let width = (1.0 - self.from) / N_CONFIDENCE_BINS as f64;
        let bin = ((confidence - self.from) / width).max(0.0) as usize;
        if let Some(count) = self.counts.get_mut(bin.min(N_CONFIDENCE_BINS - 1)) {
            *count += 1;
        }
    }

    /// The ends of the bins, one more than there are bins.
    pub fn edges(&self) -> Vec<f64> {
        let n_bins = self.counts.len();
        (0..=n_bins).map(|idx| self.from + (1.0 - self.from) * idx as f64 / n_bins as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_bins_in_order_that_are_two_per_cent_wide() {
        assert_eq!((length_bin(0), length_bin(128), length_bin(129)), (0, 128, 129));
        for n_words in 1..20_000 {
            let (bin, before) = (length_bin(n_words), length_bin(n_words - 1));
            assert!(bin == before || bin == before + 1 || n_words < 1000, "{n_words}");
            assert!(bin >= before);
            let longest = length_of_bin(bin);
            assert!(
                longest >= f64::from(n_words) && longest <= f64::from(n_words) * 1.021 + 1.0,
                "{n_words}: {longest}"
            );
        }
        assert!(length_bin(u32::MAX) < 1_100);
    }

    #[test]
    fn unknown_words_are_counted_by_the_per_cent() {
        for (n_unknown, n_words, expected) in [
            (0, 10, 0),
            (1, 1000, 1),
            (1, 100, 1),
            (2, 100, 2),
            (10, 10, 100),
            (0, 0, 100),
            (9, 3, 100),
        ] {
            assert_eq!(unknown_bin(n_unknown, n_words), expected, "{n_unknown} of {n_words}");
        }
        assert_eq!(n_unknown_words(200, 0.98), 4);
    }

    #[test]
    fn a_confidence_lies_in_a_bin_of_its_own_classes() {
        let mut counted = ConfidenceCounts::new(2);
        for confidence in [0.2, 0.5, 0.549, 0.551, 0.999, 1.0, f64::NAN] {
            counted.add(confidence);
        }
        assert_eq!(counted.counts, [4, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(counted.edges().len(), 11);
        assert_eq!((counted.edges()[0], counted.edges()[10]), (0.5, 1.0));
    }
}
