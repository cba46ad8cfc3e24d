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

fn n_outputs(n_classes: usize) -> usize {
    if n_classes == 2 { 1 } else { n_classes }
}

fn problem(labels: &[u32], c: f64, n_classes: usize, tolerance: f64) -> Problem<'_> {
    let n_outputs = n_outputs(n_classes);
    Problem {
        loss: Loss::new(labels, vec![c; labels.len()], n_outputs),
        tolerance,
        max_rounds: 1000,
        max_directions: 8,
    }
}

fn minimise(design: &Design<'_>, problems: &[Problem<'_>]) -> Vec<Minimum> {
    minimise_together(design, problems, &mut |_, _, _, _| Ok(())).unwrap()
}

/// Before a round's product and after it, in loosely searched subspaces: the function is never
/// farther above its minimum than the gap, which is never more than the gradient alone tells.
#[test]
fn the_gap_is_never_below_the_functions_excess() {
    for (seed, n_classes) in [(1, 2), (2, 3), (3, 4), (4, 2)] {
        let (matrix, labels) = &examples(seed, n_classes);
        let design = Design::new(matrix, n_outputs(n_classes));
        for c in [1e-3, 0.1, 1.0, 10.0, 1e3, 1e6] {
            let lowest = minimise(&design, &[problem(labels, c, n_classes, 1e-7)])[0].objective;
            let problem = problem(labels, c, n_classes, 0.0);
            let mut search = MinimumSearch::new(&problem, labels.len());
            for round in 0..8 {
                let name = format!("{n_classes} classes, C = {c}, round {round}");
                // What rounding leaves of a difference of two objectives.
                let blur = 1e-12 * lowest;
                search.look_back();
                let excess = search.look.objective - lowest;
                let before = search.look.gap;
                assert!(excess <= before + blur, "{name}: {excess:e} > {before:e}");
                let gradient = design.gram_products(&[&search.look.gamma]).remove(0);
                search.look_ahead(gradient);
                let MinimumSearch { subspace, point, state, look, length, .. } = &mut search;
                assert!(excess <= look.gap + blur, "{name}: {excess:e} > {:e}", look.gap);
                let gradient = look.gradient.take().unwrap();
                let alone = Dual::new(&gradient, &point.pulls(), state);
                let gap = Gap { square: *length * *length, divergence: 0.0 };
                let intercepts = (look.by_intercept.as_slice(), look.curvature.as_slice());
                let alone = problem.excess(gap, &alone, intercepts).gap;
                assert!(look.gap <= alone, "{name}: {:e} > {alone:e}", look.gap);
                if !subspace.push(gradient) {
                    break;
                }
                point.coordinates.push(0.0);
                let threshold = 0.1 * *length;
                minimise_within(&problem.loss, subspace, point, state, &look.alpha, threshold);
            }
        }
    }
}

/// The gain of the last step is seen without another product with X.
#[test]
fn a_search_may_end_before_a_rounds_product() {
    let (matrix, labels) = &examples(5, 2);
    let design = Design::new(matrix, 1);
    let mut n_free = 0;
    for tolerance in [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5] {
        let found = minimise(&design, &[problem(labels, 1e4, 2, tolerance)]).remove(0);
        assert!(found.has_converged && found.gradient.is_finite());
        let search = problem(labels, 1e4, 2, tolerance / 1e3);
        let search = Problem { max_rounds: found.n_rounds, ..search };
        let same = minimise(&design, &[search]).remove(0);
        // The same steps; the one that goes on knows the end's gradient.
        assert_eq!((found.n_rounds, found.objective), (same.n_rounds, same.objective));
        n_free += usize::from(found.gradient != same.gradient);
    }
    assert!(n_free > 0);
}

/// Each to its own end, in its own number of rounds.
#[test]
fn searches_side_by_side_end_where_each_ends_alone() {
    for (seed, n_classes) in [(6, 2), (7, 3)] {
        let (matrix, labels) = &examples(seed, n_classes);
        let design = Design::new(matrix, n_outputs(n_classes));
        let problems: Vec<Problem<'_>> = [1e3, 0.1, 10.0, 1e-3, 1.0, 100.0]
            .into_iter()
            .map(|c| problem(labels, c, n_classes, 1e-6))
            .collect();
        let mut rounds = vec![Vec::new(); problems.len()];
        let found = minimise_together(&design, &problems, &mut |idx, round, _, _| {
            rounds[idx].push(round);
            Ok(())
        })
        .unwrap();
        for ((found, problem), rounds) in found.iter().zip(&problems).zip(rounds) {
            assert!(found.has_converged);
            assert!(rounds.into_iter().eq(0..=found.n_rounds));
            assert_eq!(found, &minimise(&design, std::slice::from_ref(problem))[0]);
        }
        assert!(found[0].n_rounds > 2 * found[3].n_rounds);
    }
}
