//! Isotonic regression: the rising curve that lies nearest to points, by least squares. The pool-adjacent-
//! violators algorithm (Barlow et al. 1972), with scikit-learn's conventions: equal `x` are one point, the
//! curve is linear between its points and level outside of them. linfa has no isotonic regression.

/// The points of the curve, `x` and `y` both rising; those in the middle of a level part are left out.
///
/// # Shapes
/// `points` are `(x, y)`, with finite numbers; the lists that come back are as long as each other, and
/// empty for no points.
pub(super) fn isotonic(points: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    let mut sorted = points.to_vec();
    sorted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let mut xs: Vec<f64> = Vec::new();
    // Each block is a level part: the sum of its y, its weight, and the number of its distinct x.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for of_one_x in sorted.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((x, _)) = of_one_x.first() else { continue };
        xs.push(*x);
        let sum: f64 = of_one_x.iter().map(|(_, y)| y).sum();
        blocks.push((sum, of_one_x.len() as f64, 1));
        while let [.., before, last] = blocks.as_mut_slice() {
            if before.0 / before.1 < last.0 / last.1 {
                break;
            }
            *before = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
            blocks.pop();
        }
    }
    let levels = blocks.iter().flat_map(|(sum, weight, n)| std::iter::repeat_n(sum / weight, *n));
    let ys: Vec<f64> = levels.collect();
    let is_corner = |at: usize| {
        let (before, after) = (at.checked_sub(1).map(|at| ys[at]), ys.get(at + 1).copied());
        before != Some(ys[at]) || after != Some(ys[at])
    };
    (0..xs.len()).filter(|at| is_corner(*at)).map(|at| (xs[at], ys[at])).unzip()
}

/// The height of the curve with these points at `x`; NaN for a curve without points.
pub(super) fn height(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    let after = xs.partition_point(|known| *known <= x);
    match (after.checked_sub(1), after < xs.len()) {
        (None, _) => ys.first().copied().unwrap_or(f64::NAN),
        (Some(before), false) => ys[before],
        (Some(before), true) => {
            // As NumPy's `interp` has it, so that both give the same bits.
            let slope = (ys[after] - ys[before]) / (xs[after] - xs[before]);
            slope * (x - xs[before]) + ys[before]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn violators_are_pooled_and_level_parts_have_two_points() {
        let (xs, ys) = isotonic(&[(0.1, 0.0), (0.2, 1.0), (0.3, 0.0), (0.4, 0.5), (0.9, 1.0)]);
        assert_eq!(xs, [0.1, 0.2, 0.4, 0.9]);
        assert_eq!(ys, [0.0, 0.5, 0.5, 1.0]);
        assert_eq!(height(&xs, &ys, 0.0), 0.0);
        assert!((height(&xs, &ys, 0.15) - 0.25).abs() < 1e-15);
        assert_eq!(height(&xs, &ys, 0.3), 0.5);
        assert_eq!(height(&xs, &ys, 2.0), 1.0);
    }

    #[test]
    fn equal_places_are_one_point() {
        let (xs, ys) = isotonic(&[(0.5, 1.0), (0.5, 0.0), (0.5, 1.0), (0.7, 1.0)]);
        assert_eq!((xs, ys), (vec![0.5, 0.7], vec![2.0 / 3.0, 1.0]));
        assert_eq!(isotonic(&[]), (vec![], vec![]));
        assert!(height(&[], &[], 0.5).is_nan());
    }

    proptest! {
        #[test]
        fn the_curve_rises_and_keeps_the_mean(
            points in prop::collection::vec((0.0_f64..1.0, any::<bool>()), 1..100)
        ) {
            let points: Vec<(f64, f64)> =
                points.into_iter().map(|(x, y)| (x, f64::from(u8::from(y)))).collect();
            let (xs, ys) = isotonic(&points);
            prop_assert!(xs.is_sorted_by(|a, b| a < b) && ys.is_sorted_by(|a, b| a <= b));
            let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
            let fitted = mean(points.iter().map(|(x, _)| height(&xs, &ys, *x)).collect());
            let seen = mean(points.iter().map(|(_, y)| *y).collect());
            prop_assert!((fitted - seen).abs() < 1e-9, "{} {}", fitted, seen);
        }
    }
}
