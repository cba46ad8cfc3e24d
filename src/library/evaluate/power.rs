//! The number of test examples that it takes to tell two models apart: the power of McNemar's test, after
//! Connor 1987, "Sample Size for Testing Differences in Proportions for the Paired-Sample Design",
//! Biometrics 43, 207–211 (equation 3).

/// The 97.5th percentile of the standard normal distribution: a two-sided test at 0.05.
const Z_LEVEL: f64 = 1.959_963_984_540_054;
/// Its 80th percentile: four of five test splits are to show the difference.
const Z_POWER: f64 = 0.841_621_233_572_914_3;

/// The number of examples at which McNemar's two-sided test at level 0.05 finds a difference in
/// accuracy with power 0.8: `((z₁ √ψ + z₂ √(ψ − δ²)) / δ)²`, rounded up. `discordant` (ψ) is the
/// share of examples that exactly one of the models gets right, `difference` (δ) the difference of
/// their accuracies.
///
/// None where no number is enough: without a difference, or with one that is larger than the share of
/// examples that could make it.
pub fn n_to_tell(discordant: f64, difference: f64) -> Option<usize> {
    let difference = difference.abs();
    if difference == 0.0 || !(difference..=1.0).contains(&discordant) {
        return None;
    }
    Some(n_examples(discordant, difference).ceil() as usize)
}

/// The smallest difference in accuracy that McNemar's test finds with `n` examples, as
/// [`n_to_tell`] counts them; none where not even the largest possible one is found.
pub fn tellable_difference(discordant: f64, n: usize) -> Option<f64> {
    if !(discordant > 0.0 && discordant <= 1.0) || n_examples(discordant, discordant) > n as f64 {
        return None;
    }
    // The number of examples falls as the difference grows.
    let (mut small, mut large) = (0.0, discordant);
    for _ in 0..60 {
        let middle = 0.5 * (small + large);
        if n_examples(discordant, middle) > n as f64 { small = middle } else { large = middle }
    }
    Some(large)
}

fn n_examples(discordant: f64, difference: f64) -> f64 {
    let variance = (discordant - difference * difference).max(0.0);
    ((Z_LEVEL * discordant.sqrt() + Z_POWER * variance.sqrt()) / difference).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_difference_takes_many_examples() {
        // 6 % discordant, 0.2 points: (1.96 √0.06 + 0.8416 √(0.06 − 4e-6))² / 4e-6.
        let n = n_to_tell(0.06, 0.002).unwrap();
        assert!((117_700..117_800).contains(&n), "{n}");
        assert_eq!(n_to_tell(0.06, -0.002), Some(n));
    }

    #[test]
    fn what_cannot_be_told_has_no_number() {
        assert_eq!(n_to_tell(0.06, 0.0), None);
        assert_eq!(n_to_tell(0.0, 0.0), None);
        assert_eq!(n_to_tell(0.01, 0.02), None);
        assert_eq!(n_to_tell(f64::NAN, 0.02), None);
        assert_eq!(tellable_difference(0.0, 1000), None);
        assert_eq!(tellable_difference(0.5, 1), None);
    }

    #[test]
    fn the_two_ask_the_same_question() {
        for (discordant, n) in [(0.06, 25_000), (0.3, 200), (0.02, 4_000)] {
            let difference = tellable_difference(discordant, n).unwrap();
            let needed = n_to_tell(discordant, difference).unwrap();
            assert!(needed.abs_diff(n) <= 1, "{discordant} {n}: {needed}");
        }
    }
}
