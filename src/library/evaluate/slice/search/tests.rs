//! What the search finds where something is planted, and that it finds nothing where nothing is.

use super::*;
use crate::{
    data::ColumnCells,
    evaluate::{SliceVerdict, control_discoveries},
};

const GENRES: [&str; 6] = ["drama", "comedy", "war", "crime", "western", "horror"];

/// Rows with a length, a share of unknown words, a negation or none, a genre and a year, all drawn.
struct World {
    texts: Vec<String>,
    known: Vec<f64>,
    columns: Vec<ColumnCells>,
}

impl World {
    fn drawn(n_rows: usize, random: &mut Random) -> Self {
        let mut world = Self { texts: Vec::new(), known: Vec::new(), columns: Vec::new() };
        let (mut genres, mut years) = (Vec::new(), Vec::new());
        for _ in 0..n_rows {
            let first = if random.chance(30) { "not" } else { "so" };
            world.texts.push(format!("{first}{}", " film".repeat(random.below(100))));
            world.known.push(random.below(50) as f64 / 50.0);
            genres.push(Some(random.pick(&GENRES).to_owned()));
            years.push((!random.chance(5)).then(|| (1950 + random.below(70)) as f64));
        }
        world.columns = vec![
            ColumnCells { name: "genre".into(), values: CellValues::Texts(genres) },
            ColumnCells { name: "year".into(), values: CellValues::Numbers(years) },
        ];
        world
    }

    /// The slices found where a row of `planted` is wrong in `percent` of a hundred cases and any other
    /// one in ten, by the slices alone or together with those of each feature.
    fn found(
        &self,
        planted: &str,
        percent: usize,
        random: &mut Random,
        alone: bool,
    ) -> Vec<String> {
        let features =
            RowFeatures::new(&self.texts, Some(&self.known), self.columns.clone()).unwrap();
        let is_planted = features.rows(&planted.parse().unwrap()).unwrap();
        let labels: Vec<u32> = is_planted.iter().map(|_| random.below(2) as u32).collect();
        let predicted: Vec<u32> = labels
            .iter()
            .zip(&is_planted)
            .map(|(label, is_planted)| {
                label ^ u32::from(random.chance(if *is_planted { percent } else { 10 }))
            })
            .collect();
        let classes = ["neg", "pos"].map(str::to_owned);
        let predictions = SlicedPredictions::new(&labels, &predicted, &classes).unwrap();
        let by = SliceFeature::all(&features);
        let found = find_slices(&predictions, &by, &features, 50, 42).unwrap();
        let mut looked_at = match alone {
            true => Vec::new(),
            false => predictions.measure_by(&by, &features, 50).unwrap().0,
        };
        looked_at.extend(found.into_iter().map(|found| found.held_out));
        control_discoveries(&mut looked_at).unwrap();
        let worse = looked_at.iter().filter(|one| one.verdict() == SliceVerdict::Worse);
        worse.map(|one| one.slice.to_string()).collect()
    }
}

#[test]
fn a_planted_slice_is_found_and_named() {
    let mut random = Random::new(1);
    let world = World::drawn(3_000, &mut random);
    for (planted, percent) in [
        ("genre=western", 35),
        ("length>80", 30),
        ("unknown>0.7", 30),
        ("negation", 25),
        ("year<=1970", 30),
    ] {
        let found = world.found(planted, percent, &mut random, true);
        let subject = planted.split(['=', '>', '<']).next().unwrap();
        assert_eq!(found.len(), 1, "{planted}: {found:?}");
        assert!(found[0].starts_with(subject), "{planted}: {found:?}");
    }
    // Two conditions together, which no feature alone shows as clearly.
    let found = world.found("genre=war and length>40", 60, &mut random, true);
    assert!(found.iter().any(|one| one.starts_with("genre=war and length>")), "{found:?}");
}

/// By the rate of false discoveries one in twenty of these may have something; the corrected exact tests
/// are more careful than that.
#[test]
fn where_errors_are_random_nothing_is_found() {
    let mut random = Random::new(2);
    let (mut n_alone, mut n_together) = (0, 0);
    const N_WORLDS: usize = 150;
    for _ in 0..N_WORLDS {
        let world = World::drawn(800, &mut random);
        n_alone += usize::from(!world.found("negation", 10, &mut random, true).is_empty());
        n_together += usize::from(!world.found("negation", 10, &mut random, false).is_empty());
    }
    // Two standard errors above one in twenty are 13 of 150.
    assert!(n_alone <= 13 && n_together <= 13, "{n_alone} and {n_together} of {N_WORLDS}");
}

/// A tree of the same rows that it is measured on would be significant nearly always: the test above
/// can fail.
#[test]
fn the_half_that_was_searched_would_call_chance_a_finding() {
    let mut random = Random::new(3);
    let mut n_found = 0;
    for _ in 0..40 {
        let world = World::drawn(800, &mut random);
        let features =
            RowFeatures::new(&world.texts, Some(&world.known), world.columns.clone()).unwrap();
        let is_right: Vec<bool> = (0..800).map(|_| !random.chance(10)).collect();
        let by = SliceFeature::all(&features);
        let coded: Vec<CodedFeature> =
            by.iter().map(|feature| CodedFeature::of(feature, &features, 50).unwrap()).collect();
        let all = RightAnswers::count(&is_right, |_| true);
        let rows: Vec<usize> = (0..800).collect();
        let least = coded
            .iter()
            .flat_map(|feature| feature.answers(&rows, &is_right))
            .filter(|holds| holds.n_rows >= 25 && all.n_rows - holds.n_rows >= 25)
            .map(|holds| {
                let n_right = all.n_right - holds.n_right;
                holds.fisher(RightAnswers { n_right, n_rows: all.n_rows - holds.n_rows })
            })
            .fold(1.0, f64::min);
        n_found += usize::from(least <= 0.05);
    }
    assert!(n_found >= 20, "{n_found} of 40");
}

#[test]
fn conditions_that_a_later_one_makes_needless_are_left_out() {
    let path = |text: &str| text.parse::<Slice>().unwrap().conditions;
    for (given, expected) in [
        ("length<=80 and genre=war and length<=40", "genre=war and length<=40"),
        ("length>10 and length<=40", "length>10 and length<=40"),
        ("genre!=war and genre=drama", "genre=drama"),
        ("genre!=war and genre!=drama", "genre!=war and genre!=drama"),
    ] {
        let found = Slice { conditions: without_repetition(&path(given)) };
        assert_eq!(found.to_string(), expected);
    }
}

#[test]
fn the_same_seed_finds_the_same() {
    let mut random = Random::new(4);
    let world = World::drawn(1_000, &mut random);
    let run = |mut random: Random| world.found("genre=western", 40, &mut random, true);
    assert_eq!(run(Random::new(9)), run(Random::new(9)));
}
