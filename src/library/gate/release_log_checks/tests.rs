use super::*;
use crate::random::Random;

fn confusion(labels: &[u32], predicted: &[u32], n_classes: usize) -> ConfusionMatrix {
    let classes: Vec<String> = (0..n_classes).map(|idx| format!("class {idx}")).collect();
    ConfusionMatrix::count(labels, predicted, &classes).unwrap()
}

#[test]
fn the_highest_f1_is_above_the_measured_one_and_comes_closer_with_every_label() {
    let mut last = 1.0;
    for n in [10, 100, 1_000, 10_000] {
        let labels = vec![1; n];
        // 60 % of the positive ones are found: F1 is 0.75.
        let predicted: Vec<u32> = (0..n).map(|idx| u32::from(idx % 10 < 6)).collect();
        let matrix = confusion(&labels, &predicted, 2);
        let (f1, highest) = (matrix.headline().f1, highest_f1(&matrix));
        assert!(f1 < highest && highest <= last, "{n}: {f1} and {highest}");
        last = highest;
    }
    assert!(last < 0.78, "{last}");
    assert_eq!(highest_f1(&confusion(&[1; 50], &[1; 50], 2)), 1.0);
    let highest = highest_f1(&confusion(&[1; 50], &[0; 50], 2));
    assert!((0.2..0.35).contains(&highest), "{highest}");
    assert_eq!(highest_f1(&confusion(&[], &[], 2)), 1.0, "nothing is refuted");
}

#[test]
fn a_class_of_several_without_a_row_refutes_nothing() {
    // Two classes of three are all wrong, nothing is known of the third.
    let matrix = confusion(&[[0; 200], [1; 200]].concat(), &[[1; 200], [0; 200]].concat(), 3);
    let highest = highest_f1(&matrix);
    assert!((1.0 / 3.0..0.4).contains(&highest), "{highest}");
}

/// Looked at after every label, a candidate whose F1 is exactly its bound is taken back in at most one of 1,000
/// releases; one that is far below in nearly all.
#[test]
fn looking_at_labels_all_the_time_raises_no_false_alarms() {
    let n_taken_back = |share_wrong: f64, n_releases: u64, n_labels: usize| {
        let bound = 2.0 * (1.0 - 0.3) / (2.0 - 0.3);
        (0..n_releases)
            .filter(|seed| {
                let mut random = Random::new(*seed);
                let mut predicted = Vec::new();
                (0..n_labels).any(|_| {
                    let drawn = random.next_u64() as f64 / u64::MAX as f64;
                    predicted.push(u32::from(drawn >= share_wrong));
                    let matrix = confusion(&vec![1; predicted.len()], &predicted, 2);
                    highest_f1(&matrix) < bound
                })
            })
            .count()
    };
    // Of rows that are all positive, the share that is found wrong is the share of the rows in doubt.
    assert!(n_taken_back(0.3, 300, 150) <= 2);
    assert!(n_taken_back(0.6, 50, 150) >= 45);
}
