//! The words whose shares of texts have changed most.

use super::signal::WordShift;

/// Words that are named on each side.
const N_TOLD: usize = 12;
/// Standard errors that a share has to move by, so that chance is rarely named among a thousand words.
const MIN_ERRORS: f64 = 4.0;

/// The words that came and those that went, the largest change first.
pub(super) fn shifts(
    words: &[(String, u32)],
    n_reference: u64,
    current: &[u64],
    n_current: u64,
) -> [Vec<WordShift>; 2] {
    if n_reference == 0 || n_current == 0 {
        return [Vec::new(), Vec::new()];
    }
    let (n, m) = (n_reference as f64, n_current as f64);
    let mut changed: Vec<(f64, WordShift)> = words
        .iter()
        .zip(current)
        .filter_map(|((word, n_texts), n_now)| {
            let (before, now) = (f64::from(*n_texts) / n, *n_now as f64 / m);
            let pooled = (f64::from(*n_texts) + *n_now as f64) / (n + m);
            let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
            let change = now - before;
            let is_told = change.abs() > MIN_ERRORS * error;
            is_told.then(|| {
                let word = word.clone();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_more_than_chance_is_named_and_the_largest_first() {
        let words: Vec<(String, u32)> =
            [("film", 900), ("good", 500), ("plot", 500), ("the", 1000)]
                .map(|(word, n)| (word.to_owned(), n))
                .into();
        let [came, went] = shifts(&words, 1_000, &[100, 700, 505, 1_000], 1_000);
        let names = |shifts: &[WordShift]| {
            shifts.iter().map(|shift| shift.word.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            (names(&came), names(&went)),
            (vec!["good".to_owned()], vec!["film".to_owned()])
        );
        assert_eq!((came[0].reference_share, came[0].current_share), (0.5, 0.7));
        assert_eq!(shifts(&words, 1_000, &[0; 4], 0), [vec![], vec![]]);
    }
}
