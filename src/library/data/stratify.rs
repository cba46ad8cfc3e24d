//! Splitting examples into train and test so that each class is split in proportion.

use super::excerpt::excerpt;
use crate::{
    error::{Error, Result},
    figure,
    random::Random,
};

/// The indices of both splits, each in the order of the rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) train: Vec<usize>,
    pub(crate) test: Vec<usize>,
}

/// Checks a share of examples for testing: above 0 and below 1.
pub(super) fn check_test_size(test_size: f64) -> Result<()> {
    if test_size > 0.0 && test_size < 1.0 {
        return Ok(());
    }
    Err(Error::invalid(format!("test size {test_size} is not above 0 and below 1"))
        .with_hint("0.2 puts a fifth of each class into the test split"))
}

/// Draws `round(n · test_size)` of the n examples of each class for the test split, but at least
/// one and never all. Decided by `seed` and the order of rows alone, on every machine.
///
/// # Errors
/// When a class has fewer than two examples; `place` says where.
pub(crate) fn stratify(
    labels: &[u32],
    classes: &[String],
    test_size: f64,
    seed: u64,
    place: &str,
) -> Result<Partition> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes.len()];
    for (row_idx, &label) in labels.iter().enumerate() {
        members[label as usize].push(row_idx);
    }
    if let Some(class) = members.iter().position(|rows| rows.len() < 2) {
        return Err(Error::invalid(format!(
            "{place}: class {} has {}, a split needs at least 2 of each class",
            excerpt(&classes[class]),
            figure::counted(members[class].len(), "example")
        ))
        .with_hint("add examples, or give both splits with --train FILE --test FILE"));
    }
    let mut random = Random::new(seed);
    let mut partition = Partition { train: Vec::new(), test: Vec::new() };
    for mut rows in members {
        random.shuffle(&mut rows);
        let n_test = ((rows.len() as f64 * test_size).round() as usize).clamp(1, rows.len() - 1);
        partition.test.extend(&rows[..n_test]);
        partition.train.extend(&rows[n_test..]);
    }
    partition.train.sort_unstable();
    partition.test.sort_unstable();
    Ok(partition)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes(n: usize) -> Vec<String> {
        (0..n).map(|idx| format!("class {idx}")).collect()
    }

    /// Golden value of this very generator: a split must never change between versions.
    #[test]
    fn a_seed_gives_the_same_split_for_ever() {
        let labels: Vec<u32> = (0..20).map(|idx| idx % 2).collect();
        let partition = stratify(&labels, &classes(2), 0.2, 42, "a.csv").unwrap();
        assert_eq!(partition.test, GOLDEN);
        let other = stratify(&labels, &classes(2), 0.2, 43, "a.csv").unwrap();
        assert_ne!(partition, other);
    }

    const GOLDEN: [usize; 4] = [1, 2, 15, 18];

    #[test]
    fn a_class_with_one_example_is_refused() {
        let error = stratify(&[0, 0, 1], &classes(2), 0.5, 1, "\"a.csv\"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"a.csv\": class \"class 1\" has 1 example, a split needs at least 2 of each class"
        );
    }

    #[test]
    fn shares_outside_0_and_1_are_refused() {
        for bad in [0.0, 1.0, -0.1, 20.0, f64::NAN] {
            assert!(check_test_size(bad).is_err(), "{bad}");
        }
        assert!(check_test_size(0.2).is_ok());
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_split_and_every_class_in_both(
            (n_classes, mut labels) in (2usize..5).prop_flat_map(|n| {
                (Just(n), prop::collection::vec(0..n as u32, 0..80))
            }),
            test_size in 0.01f64..0.99,
            seed: u64,
        ) {
            labels.extend((0..n_classes as u32).flat_map(|class| [class, class]));
            let Partition { train, test } =
                stratify(&labels, &classes(n_classes), test_size, seed, "x").unwrap();
            let mut all: Vec<usize> = train.iter().chain(&test).copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            for class in 0..n_classes as u32 {
                let count = |rows: &[usize]| rows.iter().filter(|&&row| labels[row] == class).count();
                let (n_train, n_test) = (count(&train), count(&test));
                prop_assert!(n_train >= 1 && n_test >= 1);
                let exact = (n_train + n_test) as f64 * test_size;
                let is_clamped = n_train == 1 || n_test == 1;
                prop_assert!(is_clamped || (n_test as f64 - exact).abs() <= 0.5);
            }
        }
    }
}
