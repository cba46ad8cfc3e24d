//! The choice of the best setting: by the mean of a metric over the folds, or the plainest of those within one
//! standard error of it (Breiman and others, Classification and Regression Trees, 1984, section 3.4.3).

use std::cmp::Ordering;

use crate::{
    error::{Error, Result},
    evaluate::is_loss,
};

/// The measures by which a setting is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// Mean of the metric over the folds.
    pub(super) mean: f64,
    /// Standard error of that mean: the deviation over the folds by the root of their number.
    pub(super) standard_error: f64,
    /// A plainer setting has a smaller one: fewer terms, then a stronger penalty.
    pub(super) complexity: [f64; 2],
}

/// The order of two means: the better one first.
pub(super) fn better(metric: &str, one: f64, other: f64) -> Ordering {
    // What could not be measured is the worst.
    let sign = if is_loss(metric) { -1.0 } else { 1.0 };
    let worth = |value: f64| if value.is_nan() { f64::NEG_INFINITY } else { sign * value };
    worth(other).total_cmp(&worth(one))
}

/// The place of the best of `scores`, and that of the plainest within one standard error of it. Of equal
/// ones the earlier.
///
/// # Errors
/// No scores.
pub(super) fn choose(metric: &str, scores: &[Score]) -> Result<(usize, usize)> {
    let best = (0..scores.len())
        .min_by(|one, other| {
            better(metric, scores[*one].mean, scores[*other].mean).then(one.cmp(other))
        })
        .ok_or_else(|| Error::invalid("no setting was measured"))?;
    let distance = |score: &Score| (score.mean - scores[best].mean).abs();
    let plainest = (0..scores.len())
        .filter(|idx| distance(&scores[*idx]) <= scores[best].standard_error)
        .min_by(|one, other| {
            let [one_terms, one_c] = scores[*one].complexity;
            let [other_terms, other_c] = scores[*other].complexity;
            one_terms.total_cmp(&other_terms).then(one_c.total_cmp(&other_c)).then(one.cmp(other))
        });
    Ok((best, plainest.unwrap_or(best)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plainest_within_one_standard_error_is_found_beside_the_best() {
        let score =
            |mean, standard_error, terms, c| Score { mean, standard_error, complexity: [terms, c] };
        let scores = [
            score(0.900, 0.004, 900.0, 10.0),
            score(0.897, 0.001, 300.0, 10.0),
            score(0.897, 0.001, 300.0, 1.0),
            score(0.890, 0.001, 10.0, 1.0),
            score(0.900, 0.001, 900.0, 1.0),
        ];
        assert_eq!(choose("f1", &scores).unwrap(), (0, 2));
        assert_eq!(choose("log_loss", &scores).unwrap(), (3, 3));
        assert!(choose("f1", &[]).is_err());
        assert_eq!(better("f1", f64::NAN, 0.1), Ordering::Greater);
        assert_eq!(better("log_loss", f64::NAN, 0.1), Ordering::Greater);
    }
}
