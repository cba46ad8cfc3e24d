//! Scores of probabilities themselves: log-loss and Brier score. Both are proper: telling the true
//! probability is the best one can do.

/// Metrics of which less is better.
const LOSSES: [&str; 3] = ["log_loss", "brier", "ece"];

/// True for a metric of which less is better.
pub fn is_loss(metric: &str) -> bool {
    LOSSES.contains(&metric)
}

/// Mean of `-ln p` over the examples, `p` being the probability of the true class, clipped to
/// `[eps, 1 - eps]` with the `f64` machine epsilon, as scikit-learn does.
///
/// # Shapes
/// `labels` is `[n]`, `probabilities` is `[n, n_classes]`, row-major; the mean of nothing is NaN.
///
/// # Panics
/// If a label is not below `n_classes` or a row is missing.
pub fn log_loss(labels: &[u32], probabilities: &[f64], n_classes: usize) -> f64 {
    let sum: f64 = labels
        .iter()
        .enumerate()
        .map(|(example_idx, &label)| {
            assert!((label as usize) < n_classes, "label {label} of {n_classes} classes");
            let probability = probabilities[example_idx * n_classes + label as usize];
            -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
        })
        .sum();
    sum / labels.len() as f64
}

/// Mean squared distance between the probabilities and what came about. For two classes
/// `(p - y)^2` of the positive one, in [0, 1]; for more the sum over the classes, in [0, 2]:
/// scikit-learn's `brier_score_loss` with `scale_by_half="auto"`.
///
/// # Shapes
/// `labels` is `[n]`, `probabilities` is `[n, n_classes]`, row-major; the mean of nothing is NaN.
///
/// # Panics
/// If `n_classes` is 0.
pub fn brier(labels: &[u32], probabilities: &[f64], n_classes: usize) -> f64 {
    let distance = |(row, &label): (&[f64], &u32)| -> f64 {
        let squares = row.iter().enumerate().map(|(class_idx, probability)| {
            let outcome = f64::from(u8::from(class_idx == label as usize));
            (probability - outcome).powi(2)
        });
        if n_classes == 2 { squares.skip(1).sum() } else { squares.sum() }
    };
    let sum: f64 = probabilities.chunks_exact(n_classes).zip(labels).map(distance).sum();
    sum / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use linfa::{dataset::Pr, metrics::BinaryClassification};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_by_hand() {
        let labels = [1, 0];
        let probabilities = [0.2, 0.8, 0.5, 0.5];
        let expected = -(0.8_f64.ln() + 0.5_f64.ln()) / 2.0;
        assert!((log_loss(&labels, &probabilities, 2) - expected).abs() < 1e-15);
        assert!((brier(&labels, &probabilities, 2) - (0.04 + 0.25) / 2.0).abs() < 1e-15);
        // Three classes: (0.3)^2 + (0.2)^2 + (0.1)^2.
        assert!((brier(&[0], &[0.7, 0.2, 0.1], 3) - 0.14).abs() < 1e-15);
    }

    #[test]
    fn a_sure_mistake_costs_much_but_not_infinitely() {
        let loss = log_loss(&[1], &[1.0, 0.0], 2);
        assert!((loss + f64::EPSILON.ln()).abs() < 1e-12, "{loss}");
        assert_eq!(brier(&[1], &[1.0, 0.0], 2), 1.0);
    }

    proptest! {
        #[test]
        fn certainty_in_the_truth_is_best(examples in prop::collection::vec((0_u32..2, 0.0_f64..=1.0), 1..50)) {
            let labels: Vec<u32> = examples.iter().map(|example| example.0).collect();
            let told: Vec<f64> = examples.iter().flat_map(|&(_, p)| [1.0 - p, p]).collect();
            let sure: Vec<f64> = labels
                .iter()
                .flat_map(|&label| [1.0 - f64::from(label), f64::from(label)])
                .collect();
            prop_assert!(log_loss(&labels, &sure, 2) <= log_loss(&labels, &told, 2));
            prop_assert_eq!(brier(&labels, &sure, 2), 0.0);
            prop_assert!((0.0..=1.0).contains(&brier(&labels, &told, 2)));
        }

        #[test]
        fn linfa_agrees_on_log_loss(
            examples in prop::collection::vec((any::<bool>(), 1_u8..=99), 1..50)
        ) {
            let labels: Vec<u32> = examples.iter().map(|&(is, _)| u32::from(is)).collect();
            let positive: Vec<bool> = examples.iter().map(|&(is, _)| is).collect();
            let told: Vec<f64> = examples
                .iter()
                .flat_map(|&(_, percent)| {
                    [1.0 - f64::from(percent) / 100.0, f64::from(percent) / 100.0]
                })
                .collect();
            let rounded: Vec<Pr> =
                examples.iter().map(|&(_, percent)| Pr::new(f32::from(percent) / 100.0)).collect();
            let oracle = ndarray::Array1::from(rounded).log_loss(positive.as_slice()).unwrap();
            prop_assert!((log_loss(&labels, &told, 2) - f64::from(oracle)).abs() < 1e-4);
        }
    }
}
