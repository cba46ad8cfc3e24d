//! Comparisons of two versions that may be looked at after every answer, and ended at any look: p values
//! and intervals that hold at all times together.

use serde::{Deserialize, Serialize};

use super::{share::RightAnswers, special::ln_beta};

/// Fewer good or bad answers than this are too few for the normal approximation.
const MIN_OF_EACH: usize = 10;

/// What a look at two versions finds. However often one looks, and whenever one stops: where both are
/// equally good, the probability is at most 0.05 that a look is ever called decided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AnytimeComparison {
    /// The share of the first minus that of the second.
    pub difference: f64,
    /// The lower end of the 95 % interval of the difference, which holds at all looks together.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// The p value at this look. It holds at all looks together, and so does the smallest of them.
    pub p_value: f64,
    /// True where p is at most 0.05: the difference is not chance, and the comparison may end.
    pub is_decided: bool,
}

/// The level of the tests, and 1 minus that of the intervals.
const LEVEL: f64 = 0.05;

/// Compares the shares of good answers of two versions that answered different requests: the mixture
/// sequential probability ratio test of Johari, Koomen, Pekelis and Walsh 2017, "Peeking at A/B Tests",
/// KDD, 1517–1525 (equations 6 and 8). With `V = p₁(1 - p₁)/n₁ + p₂(1 - p₂)/n₂`, each share with one
/// more good and one more bad answer, and the mixture's variance `τ²`,
/// `Λ = sqrt(V / (V + τ²)) exp(τ² d² / (2 V (V + τ²)))`, and p is `1 / Λ`.
///
/// `expected_difference` is `τ`, the size of the differences that the test should find soonest; any
/// value above 0 keeps its promise.
///
/// That rests on the central limit theorem. While either version has fewer than 10 good or 10 bad
/// answers, as one that hardly ever fails has for long, an exact test takes its place, which needs a larger
/// difference: the probability of the answers where each version's share is drawn from Jeffreys' prior,
/// divided by the largest one that a common share gives them (universal inference: Wasserman, Ramdas
/// and Balakrishnan 2020, PNAS 117, 16880–16890). Its interval is that of two shares, each from the same
/// mixture at half the level.
pub fn compare_anytime(
    first: RightAnswers,
    second: RightAnswers,
    expected_difference: f64,
) -> AnytimeComparison {
    let sides = [first, second];
    let difference = first.accuracy() - second.accuracy();
    let is_small = |side: &RightAnswers| side.n_right.min(side.n_wrong()) < MIN_OF_EACH;
    if sides.iter().any(is_small) {
        return by_beta_mixture(sides);
    }
    let variance = sides.map(|side| {
        let n = side.n_rows as f64 + 2.0;
        let share = (side.n_right as f64 + 1.0) / n;
        share * (1.0 - share) / n
    });
    by_normal_mixture(difference, variance[0] + variance[1], expected_difference)
}

/// Compares two versions that answered the same requests, by the answers that exactly one of them got
/// right. The p value is exact at every size: the inverse of the probability ratio of `n_only_first` and
/// `n_only_second` under a fair coin and under a coin whose bias is drawn evenly from 0 to 1, which is a
/// martingale where both are equally good (Ville 1939; Robbins 1970, "Statistical Methods Related to
/// the Law of the Iterated Logarithm", Annals of Mathematical Statistics 41, 1397–1409):
/// `p = min(1, 2^-n / B(b + 1, c + 1))`. The interval is [`compare_anytime`]'s, of paired differences,
/// and nothing is known of it before there are 10 answers on which they differ. As the two are made in
/// two ways, a look may be decided while the interval still holds 0, and the other way round: the p value
/// decides.
pub fn compare_paired_anytime(
    n_only_first: usize,
    n_only_second: usize,
    n_rows: usize,
    expected_difference: f64,
) -> AnytimeComparison {
    let (only_first, only_second) = (n_only_first as f64, n_only_second as f64);
    let n_differ = only_first + only_second;
    let n = (n_rows as f64).max(n_differ);
    let difference = if n > 0.0 { (only_first - only_second) / n } else { 0.0 };
    let ln_ratio = ln_beta(only_first + 1.0, only_second + 1.0) + n_differ * std::f64::consts::LN_2;
    let p_value = (-ln_ratio).exp().min(1.0);
    let interval = if n_differ < MIN_OF_EACH as f64 {
        AnytimeComparison::undecided(difference)
    } else {
        let variance = ((n_differ + 1.0) / (n + 2.0) - difference * difference).max(0.0) / n;
        by_normal_mixture(difference, variance, expected_difference)
    };
    AnytimeComparison { p_value, is_decided: p_value <= LEVEL, ..interval }
}

/// The test and the interval of a difference with this variance.
fn by_normal_mixture(
    difference: f64,
    variance: f64,
    expected_difference: f64,
) -> AnytimeComparison {
    let mixture = expected_difference * expected_difference;
    let is_usable = variance > 0.0 && mixture.is_finite() && mixture > 0.0;
    if !is_usable {
        return AnytimeComparison::undecided(difference);
    }
    let whole = variance + mixture;
    let ln_ratio = 0.5 * (variance / whole).ln()
        + mixture * difference * difference / (2.0 * variance * whole);
    let p_value = (-ln_ratio).exp().min(1.0);
    // The differences that the same test would not refute.
    let half = (variance * whole / mixture * ((whole / variance).ln() - 2.0 * LEVEL.ln())).sqrt();
    AnytimeComparison {
        difference,
        lower: (difference - half).max(-1.0),
        upper: (difference + half).min(1.0),
        p_value,
        is_decided: p_value <= LEVEL,
    }
}

/// The exact test and the exact interval.
fn by_beta_mixture(sides: [RightAnswers; 2]) -> AnytimeComparison {
    let [first, second] = sides;
    let both = RightAnswers {
        n_right: first.n_right + second.n_right,
        n_rows: first.n_rows + second.n_rows,
    };
    let ln_ratio = ln_mixture(first) + ln_mixture(second) - ln_probability(both, both.accuracy());
    let p_value = (-ln_ratio).exp().min(1.0);
    let [(lower, upper), (other_lower, other_upper)] = sides.map(share_interval);
    AnytimeComparison {
        difference: first.accuracy() - second.accuracy(),
        lower: lower - other_upper,
        upper: upper - other_lower,
        p_value,
        is_decided: p_value <= LEVEL,
    }
}

/// The shares whose probability of the answers is not small beside the mixture's; holds at all looks
/// together with a probability of 97.5 %.
fn share_interval(side: RightAnswers) -> (f64, f64) {
    let lowest = ln_mixture(side) + (0.5 * LEVEL).ln();
    let is_refuted = |share: f64| ln_probability(side, share) <= lowest;
    // Shares are refuted the more the farther they are from the one found.
    let end = |outermost: f64| {
        let (mut inside, mut outside) = (side.accuracy(), outermost);
        if !is_refuted(outside) {
            return outside;
        }
        for _ in 0..50 {
            let middle = 0.5 * (inside + outside);
            if is_refuted(middle) { outside = middle } else { inside = middle }
        }
        outside
    };
    (end(0.0), end(1.0))
}

/// The logarithm of the probability of these answers, in their order, where each is right with the
/// probability `share`.
fn ln_probability(side: RightAnswers, share: f64) -> f64 {
    let part = |n: usize, share: f64| if n == 0 { 0.0 } else { n as f64 * share.ln() };
    part(side.n_right, share) + part(side.n_wrong(), 1.0 - share)
}

/// The same where the share is drawn from Jeffreys' prior, a beta distribution with 1/2 and 1/2.
fn ln_mixture(side: RightAnswers) -> f64 {
    let (right, wrong) = (side.n_right as f64, side.n_wrong() as f64);
    ln_beta(right + 0.5, wrong + 0.5) - ln_beta(0.5, 0.5)
}

impl AnytimeComparison {
    /// A look at too little.
    fn undecided(difference: f64) -> Self {
        Self { difference, lower: -1.0, upper: 1.0, p_value: 1.0, is_decided: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn answers(n_right: usize, n_rows: usize) -> RightAnswers {
        RightAnswers { n_right, n_rows }
    }

    /// How many of `n_trials` comparisons, looked at after each of `n_rows` answers, are ever decided.
    fn n_decided(
        per_mille: [usize; 2],
        share_of_second: usize,
        n_rows: usize,
        n_trials: u64,
    ) -> usize {
        let is_decided = |seed: &u64| {
            let mut random = Random::new(*seed);
            let mut sides = [answers(0, 0); 2];
            (0..n_rows).any(|_| {
                let arm = usize::from(random.chance(share_of_second));
                sides[arm].n_rows += 1;
                sides[arm].n_right += usize::from(random.below(1000) < per_mille[arm]);
                compare_anytime(sides[0], sides[1], 0.05).is_decided
            })
        };
        (0..n_trials).filter(is_decided).count()
    }

    #[test]
    fn equal_versions_are_rarely_told_apart_however_often_one_looks() {
        // 0.05 of 200 are 10, and more than 20 have a probability below 0.001.
        for (per_mille, share) in [([900, 900], 50), ([500, 500], 20), ([980, 980], 50)] {
            let n = n_decided(per_mille, share, 2_000, 200);
            assert!(n <= 20, "{n} of 200 at {per_mille:?}, {share} %");
        }
    }

    #[test]
    fn different_versions_are_told_apart() {
        let n = n_decided([900, 820], 50, 2_000, 50);
        assert!(n >= 45, "{n} of 50");
    }

    #[test]
    fn paired_looks_keep_their_promise_from_the_first_answer_on() {
        let is_ever_decided = |seed: &u64, first_in_100: usize| {
            let mut random = Random::new(*seed);
            let (mut only_first, mut only_second) = (0, 0);
            (0..500).any(|row| {
                if random.chance(first_in_100) {
                    only_first += 1
                } else {
                    only_second += 1
                }
                compare_paired_anytime(only_first, only_second, 10 * (row + 1), 0.05).is_decided
            })
        };
        let n_false = (0..400).filter(|seed| is_ever_decided(seed, 50)).count();
        assert!(n_false <= 32, "{n_false} of 400");
        let n_found = (0..100).filter(|seed| is_ever_decided(seed, 65)).count();
        assert!(n_found >= 90, "{n_found} of 100");
    }

    #[test]
    fn p_values_by_hand() {
        // B(11, 1) = 1/11, and 2^-10 · 11.
        let found = compare_paired_anytime(10, 0, 100, 0.05);
        assert!((found.p_value - 11.0 / 1024.0).abs() < 1e-12, "{found:?}");
        assert!(found.is_decided && (found.difference - 0.1).abs() < 1e-12);
        assert!(found.lower < 0.1 && found.upper > 0.1);
        let mirrored = compare_paired_anytime(0, 10, 100, 0.05);
        assert_eq!((mirrored.lower, mirrored.p_value), (-found.upper, found.p_value));
    }

    #[test]
    fn the_interval_leaves_0_out_where_the_test_decides() {
        for n_right in 700..=900 {
            let found = compare_anytime(answers(n_right, 1000), answers(800, 1000), 0.02);
            let leaves_out = found.lower > 0.0 || found.upper < 0.0;
            assert_eq!(leaves_out, found.is_decided, "{n_right}: {found:?}");
        }
    }

    #[test]
    fn a_version_that_fails_is_told_from_one_that_never_did() {
        let never = answers(10_000, 10_000);
        let found = compare_anytime(answers(95, 100), never, 0.02);
        assert!(found.is_decided && found.upper < 0.0 && found.p_value < 1e-5, "{found:?}");
        assert!(found.lower < -0.05 && found.lower > -0.2, "{found:?}");
        let mirrored = compare_anytime(never, answers(95, 100), 0.02);
        assert!((mirrored.lower + found.upper).abs() < 1e-12);
        // One failure of a hundred may be chance.
        assert!(!compare_anytime(answers(99, 100), never, 0.02).is_decided);
    }

    #[test]
    fn rare_failures_of_equal_versions_are_chance() {
        for (per_mille, share) in [([995, 995], 50), ([990, 990], 5), ([1000, 1000], 50)] {
            let n = n_decided(per_mille, share, 2_000, 200);
            assert!(n <= 20, "{n} of 200 at {per_mille:?}, {share} %");
        }
    }

    #[test]
    fn too_little_decides_nothing() {
        for (first, second) in [((0, 0), (0, 0)), ((1, 1), (0, 1)), ((0, 0), (0, 900))] {
            let found =
                compare_anytime(answers(first.0, first.1), answers(second.0, second.1), 0.05);
            assert!(!found.is_decided && found.p_value > 0.05, "{found:?}");
            assert!(found.lower <= 0.0 && found.upper >= 0.0, "{found:?}");
        }
        let nothing = compare_anytime(answers(0, 0), answers(0, 0), 0.05);
        assert_eq!((nothing.lower, nothing.upper), (-1.0, 1.0));
        let unusable = compare_anytime(answers(50, 100), answers(85, 100), f64::NAN);
        assert!(!unusable.is_decided && unusable.p_value == 1.0);
        assert!(compare_paired_anytime(0, 0, 0, 0.05).p_value > 1.0 - 1e-12);
        assert_eq!(compare_paired_anytime(3, 2, 0, 0.05).difference, 0.2);
    }
}
