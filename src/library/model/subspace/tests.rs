use super::*;
use crate::text::TermMatrix;

/// Numbers below 1 that look random.
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Sparse rows of length 1 at most, some of them twice, and labels that have something to do with
/// them.
fn examples(seed: u64, n_classes: usize) -> (TermMatrix, Vec<u32>) {
    let mut number = numbers(seed);
    let (n_rows, n_features) = (40, 25);
    let (mut starts, mut features, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut labels: Vec<u32> = Vec::new();
    for row in 0..n_rows {
        if row % 7 == 6 {
            let last = starts[row - 1]..starts[row];
            features.extend_from_within(last.clone());
            values.extend_from_within(last);
        } else {
            let label = row % n_classes;
            for feature in 0..n_features {
                if number() < if feature % n_classes == label { 0.35 } else { 0.2 } {
                    features.push(feature as u32);
                    values.push(number() as f32 / 5.0);
                }
            }
        }
        labels.push(((row % n_classes) + usize::from(number() < 0.15)) as u32 % n_classes as u32);
        starts.push(features.len());
    }
    (TermMatrix::new((n_rows, n_features), starts, features, values).to_csc(), labels)
}

fn problem<'a>(
    (matrix, labels): &'a (TermMatrix, Vec<u32>),
    c: f64,
    n_classes: usize,
    tolerance: f64,
) -> Problem<'a> {
    let n_outputs = if n_classes == 2 { 1 } else { n_classes };
    Problem {
        design: Design::new(matrix, n_outputs),
        loss: Loss::new(labels, vec![c; labels.len()], n_outputs),
        tolerance,
        max_rounds: 1000,
        max_directions: 8,
    }
}

/// Before a round's product and after it, in loosely searched subspaces: the function is never
/// farther above its minimum than the gap, which is never more than the gradient alone tells.
#[test]
fn the_gap_is_never_below_the_functions_excess() {
    for (seed, n_classes) in [(1, 2), (2, 3), (3, 4), (4, 2)] {
        let examples = examples(seed, n_classes);
        for c in [1e-3, 0.1, 1.0, 10.0, 1e3, 1e6] {
            let lowest = problem(&examples, c, n_classes, 1e-7)
                .minimise(&mut |_, _, _| Ok(()))
                .unwrap()
                .objective;
            // One never ends, the other one always before the product.
            let search = problem(&examples, c, n_classes, 0.0);
            let end = problem(&examples, c, n_classes, f64::INFINITY);
            let n_outputs = search.loss.n_outputs();
            let mut point = Point {
                coordinates: Vec::new(),
                intercepts: vec![0.0; n_outputs],
                penalty: 0.0,
                margins: vec![0.0; search.design.n_rows() * n_outputs],
            };
            let (mut subspace, mut dual) = (Subspace::default(), Dual::default());
            let mut state = search.loss.evaluate(&point.margins);
            for round in 0..8 {
                let name = format!("{n_classes} classes, C = {c}, round {round}");
                let excess = state.loss + point.penalty - lowest;
                // What rounding leaves of a difference of two objectives.
                let blur = 1e-12 * lowest;
                let before = end.look(&subspace, &point, &state, &mut dual, FIRST_REACH).gap;
                assert!(excess <= before + blur, "{name}: {excess:e} > {before:e}");
                let look = search.look(&subspace, &point, &state, &mut dual, FIRST_REACH);
                assert!(excess <= look.gap + blur, "{name}: {excess:e} > {:e}", look.gap);
                let (gradient, length) = look.gradient.unwrap();
                let alone = Dual::new(&gradient, &point.pulls(), &state);
                let gap = Gap { square: length * length, divergence: 0.0 };
                let curvature = search.loss.intercept_curvature(&state);
                let alone = search.excess(gap, &alone, (&look.by_intercept, &curvature)).gap;
                assert!(look.gap <= alone, "{name}: {:e} > {alone:e}", look.gap);
                if !subspace.push(gradient) {
                    break;
                }
                point.coordinates.push(0.0);
                let threshold = 0.1 * length;
                search.minimise_within(&subspace, &mut point, &mut state, &look.alpha, threshold);
            }
        }
    }
}

/// The gain of the last step is seen without another product with X.
#[test]
fn a_search_may_end_before_a_rounds_product() {
    let examples = examples(5, 2);
    let mut n_free = 0;
    for tolerance in [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5] {
        let found = problem(&examples, 1e4, 2, tolerance).minimise(&mut |_, _, _| Ok(())).unwrap();
        assert!(found.has_converged && found.gradient.is_finite());
        let search = problem(&examples, 1e4, 2, tolerance / 1e3);
        let search = Problem { max_rounds: found.n_rounds, ..search };
        let same = search.minimise(&mut |_, _, _| Ok(())).unwrap();
        // The same steps; the one that goes on knows the end's gradient.
        assert_eq!((found.n_rounds, found.objective), (same.n_rounds, same.objective));
        n_free += usize::from(found.gradient != same.gradient);
    }
    assert!(n_free > 0);
}
