//! The distance that values have to move for one sample to become the other, in units of the reference's
//! spread.

/// The least spread that divides: Evidently's.
const MIN_DEVIATION: f64 = 0.001;

/// Wasserstein's distance of two samples, divided by the standard deviation of the reference, which
/// counts as 0.001 at least: Evidently's normed Wasserstein distance. 0 where one of them is empty.
pub fn normed_wasserstein(reference: &[f64], current: &[f64]) -> f64 {
    let side = |values: &[f64], is_current: bool| -> Vec<(f64, bool)> {
        values.iter().map(|value| (*value, is_current)).collect()
    };
    let mut points = [side(reference, false), side(current, true)].concat();
    points.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    normed(points.into_iter().map(|(value, is_current)| {
        (value, f64::from(u8::from(!is_current)), f64::from(u8::from(is_current)))
    }))
}

/// The same of values that were counted: `reference` and `current` have the number of each value. `values`
/// rise; a count without a value is left out.
///
/// # Shapes
/// All three are `[n_values]`.
pub fn normed_wasserstein_counts(values: &[f64], reference: &[u64], current: &[u64]) -> f64 {
    let at = |counts: &[u64], bin: usize| counts.get(bin).copied().unwrap_or(0) as f64;
    normed(
        values
            .iter()
            .enumerate()
            .map(|(bin, value)| (*value, at(reference, bin), at(current, bin))),
    )
}

/// That of rising values, each with its number in the reference and in what is compared with it.
fn normed(points: impl Iterator<Item = (f64, f64, f64)> + Clone) -> f64 {
    let (mut n_reference, mut n_current, mut sum) = (0.0, 0.0, 0.0);
    for (value, in_reference, in_current) in points.clone() {
        n_reference += in_reference;
        n_current += in_current;
        sum += value * in_reference;
    }
    if n_reference == 0.0 || n_current == 0.0 {
        return 0.0;
    }
    let mean = sum / n_reference;
    let (mut below_reference, mut below_current) = (0.0, 0.0);
    let (mut moved, mut squares) = (0.0, 0.0);
    let mut last: Option<f64> = None;
    for (value, in_reference, in_current) in points {
        if let Some(last) = last {
            moved +=
                (value - last) * (below_reference / n_reference - below_current / n_current).abs();
        }
        below_reference += in_reference;
        below_current += in_current;
        squares += in_reference * (value - mean) * (value - mean);
        last = Some(value);
    }
    moved / (squares / n_reference).sqrt().max(MIN_DEVIATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_sample_is_as_far_as_it_was_shifted() {
        let reference: Vec<f64> = (0..100).map(|value| f64::from(value % 10)).collect();
        let current: Vec<f64> = reference.iter().map(|value| value + 3.0).collect();
        let deviation = 8.25_f64.sqrt();
        assert!((normed_wasserstein(&reference, &current) - 3.0 / deviation).abs() < 1e-12);
        assert_eq!(normed_wasserstein(&reference, &[]), 0.0);
        assert_eq!(normed_wasserstein(&[1.0, 1.0], &[2.0]), 1000.0);
    }

    #[test]
    fn counted_values_are_as_far_as_the_values_themselves() {
        let values = [1.0, 2.0, 5.0];
        let counted = normed_wasserstein_counts(&values, &[2, 1, 3], &[0, 4, 1]);
        let one_by_one =
            normed_wasserstein(&[5.0, 1.0, 2.0, 1.0, 5.0, 5.0], &[2.0, 5.0, 2.0, 2.0, 2.0]);
        assert!((counted - one_by_one).abs() < 1e-12, "{counted} {one_by_one}");
    }
}
