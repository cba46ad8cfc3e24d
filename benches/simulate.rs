//! The promises of the gate's statistics, by simulation: 10,000 pairs of models whose true difference is
//! known. `just simulate` runs it; a fast machine takes minutes.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints a table")]

mod pairs;

use pairs::{SimulatedRates, SyntheticPair};

const N_PAIRS: usize = 10_000;

fn main() {
    println!("{N_PAIRS} pairs each; margin of non-inferiority 0.01; shares in per cent");
    println!("{:<48} {:>8} {:>8} {:>9} {:>12}", "", "covered", "strict", "non-inf.", "significant");
    let pair = |n_examples, n_classes, accuracies, together| SyntheticPair {
        n_examples,
        n_classes,
        accuracies,
        together,
    };
    let cases = [
        ("equal, 2 classes, 1,000 rows", pair(1_000, 2, [0.9, 0.9], 0.7), 500),
        ("equal, 4 classes, 1,000 rows", pair(1_000, 4, [0.85, 0.85], 0.6), 500),
        ("2 points worse, 2 classes, 1,000 rows", pair(1_000, 2, [0.88, 0.9], 0.7), 500),
        ("2 points better, 2 classes, 1,000 rows", pair(1_000, 2, [0.92, 0.9], 0.7), 500),
        // No interval here: what the default rule lets pass on a split of IMDB's size.
        ("equal, 2 classes, 25,000 rows, strict alone", pair(25_000, 2, [0.9, 0.9], 0.67), 1),
        ("0.2 points worse, 25,000 rows, strict alone", pair(25_000, 2, [0.898, 0.9], 0.67), 1),
    ];
    for (name, pair, n_resamples) in cases {
        let SimulatedRates { covered, strict, non_inferior, significant } =
            pair.simulate(N_PAIRS, n_resamples, 0.01);
        let per_cent = |share: f64, is_known: bool| match is_known {
            true => format!("{:.1}", share * 100.0),
            false => "-".to_owned(),
        };
        let has_interval = n_resamples > 1;
        println!(
            "{name:<48} {:>8} {:>8} {:>9} {:>12}",
            per_cent(covered, has_interval),
            per_cent(strict, true),
            per_cent(non_inferior, has_interval),
            per_cent(significant, true)
        );
    }
}
