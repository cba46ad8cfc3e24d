//! What the signals of drift find of real shifts: windows of IMDB reviews against the reference profile of
//! a model, and how often comparisons of two versions, looked at after every answer, are decided. `just
//! bench drift` runs it; a fast machine takes minutes.
//!
//! The folder with `train.parquet` and `test.parquet` is named by `IMDB`. `--windows N` draws so many
//! windows of each size, and five times as many without a shift; `--texts N` so many whose texts are at
//! hand, for the domain classifier; `--rows N` learns and asks fewer reviews; `--comparisons N` simulates
//! so many A/B tests.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a program that prints tables"
)]

mod shifts;

use std::{
    collections::{BTreeSet, HashSet},
    env,
    path::PathBuf,
};

use rayon::prelude::*;
use shifts::{Draws, Shift};
use trialbook::{
    Book,
    data::{AddRequest, DatasetSource, Fingerprint, Split},
    evaluate::{
        AnytimeComparison, RightAnswers, SignalLevel, SplitAnswers, answer_on, compare_anytime,
        compare_paired_anytime, evaluate_answers,
    },
    model::{Classifier, Fit as _, TfidfConfig},
    monitor::{
        CountedAnswer, ProfileRows, ReferenceProfile, WindowChoice, WindowCounts,
        drift::{DriftOptions, DriftReport, DriftTexts, compare},
        n_unknown_words,
    },
    progress::Monitor,
    text::{TextFrequency, Vectorizer},
};

/// Reviews of a window.
const SIZES: [usize; 3] = [200, 1_000, 5_000];
/// Simulated comparisons, and answers of each.
const N_COMPARISONS: u64 = 10_000;
const N_ANSWERS: usize = 10_000;

/// Reviews of a window whose texts are at hand.
const N_TEXTS: usize = 1_000;

fn main() {
    let n_rows = argument("--rows").unwrap_or(usize::MAX);
    let windows = argument("--windows").unwrap_or(200);
    let texts = argument("--texts").unwrap_or(20);
    if windows + texts > 0 {
        shifts_of_imdb(windows, texts, n_rows);
    }
    comparisons(argument("--comparisons").map_or(N_COMPARISONS, |n| n as u64));
}

/// The number behind `name`.
fn argument(name: &str) -> Option<usize> {
    let mut arguments = env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map(|value| value.parse().expect("a whole number after the option"))
}

/// What a model answered to shifted reviews, and what the log counts of each.
struct Asked {
    shift: Shift,
    texts: Vec<String>,
    is_positive: Vec<bool>,
    labels: Vec<u32>,
    confidences: Vec<f64>,
    n_words: Vec<usize>,
    known_shares: Vec<f64>,
    /// The words of the profile's list that each text has.
    words: Vec<Vec<u32>>,
}

/// The tables of shifts.
fn shifts_of_imdb(n_windows: usize, n_with_texts: usize, n_rows: usize) {
    let (train, test) = imdb(n_rows);
    let model = learn(&train);
    // Even rows make the profile, as the test split does when a model is trained; windows are drawn of odd
    // ones.
    let half = |odd: usize| part(&test, |row| row % 2 == odd);
    let (reference, pool) = (half(0), half(1));
    let profile = profile(model.as_ref(), &reference);
    println!("{} reviews in the profile, {} to draw windows of", profile.n, pool.texts.len());
    let mut found: Vec<(Shift, String, Vec<DriftReport>)> = Vec::new();
    let sizes: Vec<usize> = SIZES.into_iter().filter(|size| size * 2 <= pool.texts.len()).collect();
    for shift in Shift::ALL {
        let asked = Asked::by(model.as_ref(), &profile, &pool, shift);
        let times = if shift == Shift::None { 5 } else { 1 };
        for size in &sizes {
            let reports = (0..(n_windows * times) as u64).into_par_iter().map(|seed| {
                let window = asked.window(&profile, &asked.drawn(*size, seed));
                compared(&profile, &window, &DriftTexts::default())
            });
            found.push((shift, format!("{size} predictions"), reports.collect()));
        }
        let size = N_TEXTS.min(pool.texts.len() / 2);
        let reports = (0..n_with_texts as u64).into_par_iter().map(|seed| {
            let rows = asked.drawn(size, seed);
            let mut draws = Draws::new(seed);
            // No text twice: one in two folds would be known again.
            let mut order: Vec<usize> = (0..reference.texts.len()).collect();
            for place in 0..size {
                let other = place + draws.below(order.len() - place);
                order.swap(place, other);
            }
            let texts = DriftTexts {
                reference: order[..size].iter().map(|row| reference.texts[*row].clone()).collect(),
                current: rows.iter().map(|row| asked.texts[*row].clone()).collect(),
            };
            compared(&profile, &asked.window(&profile, &rows), &texts)
        });
        found.push((shift, format!("{size} texts"), reports.collect()));
    }
    found.retain(|(_, _, reports)| !reports.is_empty());
    tables(&found);
}

/// What the monitor says of a window: the one place that asks it.
fn compared(profile: &ReferenceProfile, window: &WindowCounts, texts: &DriftTexts) -> DriftReport {
    compare(profile, window, texts, &DriftOptions::default(), &Monitor::silent())
        .expect("the window is of the profile's version")
}

/// Prints in how many windows there is a warning or an alert, over all signals and for each of them.
fn tables(found: &[(Shift, String, Vec<DriftReport>)]) {
    let mut heads: Vec<&str> = Vec::new();
    for (_, head, _) in found {
        if !heads.contains(&head.as_str()) {
            heads.push(head);
        }
    }
    let per_cent = |reports: &[DriftReport], is: &dyn Fn(&DriftReport) -> bool| {
        let n_found = reports.iter().filter(|report| is(report)).count();
        format!("{:.1}", 100.0 * n_found as f64 / reports.len() as f64)
    };
    println!("\nWindows with a warning or an alert / with an alert, in per cent:\n");
    println!("| what is asked | {} |", heads.join(" | "));
    println!("|---|{}", "--:|".repeat(heads.len()));
    for of_shift in found.chunk_by(|one, other| one.0 == other.0) {
        let cells = of_shift.iter().map(|(_, _, reports)| {
            let any = per_cent(reports, &|report| report.verdict != SignalLevel::Ok);
            let alert = per_cent(reports, &|report| report.verdict == SignalLevel::Alert);
            format!("{any} / {alert}")
        });
        println!("| {} | {} |", of_shift[0].0.name(), cells.collect::<Vec<_>>().join(" | "));
    }
    println!("\nWindows in which this signal is a warning or an alert, in per cent:\n");
    println!("| what is asked | signal | {} |", heads.join(" | "));
    println!("|---|---|{}", "--:|".repeat(heads.len()));
    for of_shift in found.chunk_by(|one, other| one.0 == other.0) {
        let reports = of_shift.iter().flat_map(|(_, _, reports)| reports);
        let names: BTreeSet<_> =
            reports.flat_map(|report| report.signals.iter().map(|signal| signal.name)).collect();
        for name in names {
            let is_told = |report: &DriftReport| {
                let own = report.signals.iter().find(|signal| signal.name == name);
                own.is_some_and(|signal| signal.level != SignalLevel::Ok)
            };
            let cells = of_shift.iter().map(|(_, _, reports)| per_cent(reports, &is_told));
            let cells = cells.collect::<Vec<_>>().join(" | ");
            println!("| {} | {name} | {cells} |", of_shift[0].0.name());
        }
    }
    println!();
}

/// The first `n_rows` reviews of each split, which lie in no order of their labels.
fn imdb(n_rows: usize) -> (Split, Split) {
    let folder = env::var_os("IMDB").map(PathBuf::from);
    let folder = folder.expect("IMDB names the folder with train.parquet and test.parquet");
    let store = tempfile::tempdir().expect("the system has a folder for temporary files");
    let datasets = Book::open(store.path()).datasets();
    let [train, test] = ["train", "test"].map(|split| folder.join(format!("{split}.parquet")));
    let request = AddRequest::new(DatasetSource::Pair { train, test });
    datasets.add("imdb", &request, &Monitor::silent()).expect("IMDB is a dataset");
    let split = |name: &str| {
        let split = datasets.split("imdb", name).expect("the dataset was added");
        let mut draws = Draws::new(1);
        let mut order: Vec<usize> = (0..split.texts.len()).collect();
        (1..order.len()).rev().for_each(|last| order.swap(last, draws.below(last + 1)));
        order.truncate(n_rows);
        let is_kept: HashSet<usize> = order.into_iter().collect();
        part(&split, |row| is_kept.contains(&row))
    };
    (split("train"), split("test"))
}

/// The rows of a split for which `is_kept` is true.
fn part(split: &Split, is_kept: impl Fn(usize) -> bool) -> Split {
    let rows: Vec<usize> = (0..split.texts.len()).filter(|row| is_kept(*row)).collect();
    let labels: Vec<u32> = rows.iter().map(|row| split.labels[*row]).collect();
    let mut class_counts = vec![0; split.classes.len()];
    labels.iter().for_each(|label| class_counts[*label as usize] += 1);
    Split {
        name: split.name.clone(),
        texts: rows.iter().map(|row| split.texts[*row].clone()).collect(),
        labels,
        classes: split.classes.clone(),
        fingerprint: Fingerprint { sha256: String::new(), n_rows: rows.len(), class_counts },
    }
}

/// The baseline with the README's settings.
fn learn(train: &Split) -> Box<dyn Classifier> {
    let vectorizer = Vectorizer {
        ngram_max: 2,
        min_df: TextFrequency::Count(2),
        sublinear_tf: true,
        ..Vectorizer::default()
    };
    let config = TfidfConfig { vectorizer, c: 10.0, ..TfidfConfig::default() };
    config.fit(train, &Monitor::silent(), &mut |_, _, _| Ok(())).expect("reviews can be learnt")
}

fn profile(model: &dyn Classifier, reference: &Split) -> ReferenceProfile {
    let (answers, known_shares) = answer_on(model, reference).expect("reviews can be asked");
    let quality = evaluate_answers(&reference.labels, &answers, &reference.classes)
        .expect("answers can be measured");
    println!("F1 {:.4}", quality.metric("f1").expect("two classes have an F1"));
    let confidences = confidences(&answers, reference.classes.len());
    let texts: Vec<&str> = reference.texts.iter().map(String::as_str).collect();
    ReferenceProfile::of(&ProfileRows {
        name: "imdb.test",
        fingerprint: "",
        classes: &reference.classes,
        texts: &texts,
        predicted: &answers.predicted,
        confidences: &confidences,
        known_shares: known_shares.as_deref(),
        embeddings: None,
    })
}

impl Asked {
    /// The model's answers to the shifted texts of `pool`.
    fn by(model: &dyn Classifier, profile: &ReferenceProfile, pool: &Split, shift: Shift) -> Self {
        let mut draws = Draws::new(7);
        let texts = pool.texts.iter().map(|text| shift.changed(text, &mut draws)).collect();
        let split = Split { texts, ..pool.clone() };
        let (answers, known_shares) = answer_on(model, &split).expect("texts can be asked");
        let counter = profile.word_counter();
        let counted = |text: &String| {
            let mut words = Vec::new();
            (counter.count(text, &mut words), words)
        };
        let (n_words, words) = split.texts.iter().map(counted).unzip();
        Self {
            shift,
            is_positive: pool.labels.iter().map(|label| *label == 1).collect(),
            confidences: confidences(&answers, pool.classes.len()),
            labels: answers.predicted,
            n_words,
            known_shares: known_shares.expect("the baseline tells what it knows"),
            words,
            texts: split.texts,
        }
    }

    /// `size` of the rows, none twice.
    fn drawn(&self, size: usize, seed: u64) -> Vec<usize> {
        let mut draws = Draws::new(seed.wrapping_mul(1_000_003) + size as u64);
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        (1..order.len()).rev().for_each(|last| order.swap(last, draws.below(last + 1)));
        let Shift::Positive(percent) = self.shift else {
            order.truncate(size);
            return order;
        };
        let n_positive = size * percent / 100;
        let of = |is_positive: bool, n: usize| {
            let rows = order.iter().filter(move |row| self.is_positive[**row] == is_positive);
            rows.take(n).copied().collect::<Vec<usize>>()
        };
        [of(true, n_positive), of(false, size - n_positive)].concat()
    }

    /// What the log counts of these rows.
    fn window(&self, profile: &ReferenceProfile, rows: &[usize]) -> WindowCounts {
        let choice = WindowChoice {
            model: "imdb".to_owned(),
            version: 1,
            from_ms: 0,
            to_ms: i64::MAX,
            is_shadow: false,
        };
        let mut window = WindowCounts::new(profile, choice);
        for row in rows {
            let n_words = self.n_words[*row];
            window.add(CountedAnswer {
                label: &profile.classes[self.labels[*row] as usize],
                confidence: self.confidences[*row],
                n_words: Some(n_words as u32),
                n_unknown_words: Some(n_unknown_words(n_words, self.known_shares[*row])),
            });
            window.add_words(1, self.words[*row].iter().map(|word| (*word, 1)));
        }
        window
    }
}

/// The probability of each answer.
fn confidences(answers: &SplitAnswers, n_classes: usize) -> Vec<f64> {
    let rows = answers.probabilities.chunks_exact(n_classes).zip(&answers.predicted);
    rows.map(|(row, label)| row[*label as usize]).collect()
}

/// How often a comparison of two versions that is looked at after every answer is ever decided.
fn comparisons(n_comparisons: u64) {
    println!(
        "{n_comparisons} comparisons each, looked at after every one of at most {N_ANSWERS} answers\n"
    );
    println!("| two versions | decided, in per cent | answers until then, median |");
    println!("|---|--:|--:|");
    for (name, per_mille, share_of_second) in [
        ("A/B, both right in 90.0 %", [900, 900], 50),
        ("A/B, both right in 50.0 %", [500, 500], 50),
        ("A/B, both right in 99.0 %", [990, 990], 50),
        ("canary of 5 %, both right in 90.0 %", [900, 900], 5),
        ("A/B, 90 % against 88 %", [900, 880], 50),
        ("A/B, 90 % against 85 %", [900, 850], 50),
        ("A/B, 90 % against 80 %", [900, 800], 50),
        ("canary of 5 %, 90 % against 80 %", [900, 800], 5),
    ] {
        row(name, n_comparisons, |draws, sides: &mut [RightAnswers; 2]| {
            let arm = usize::from(draws.chance(share_of_second));
            sides[arm].n_rows += 1;
            sides[arm].n_right += usize::from(draws.below(1000) < per_mille[arm]);
            compare_anytime(sides[0], sides[1], 0.02)
        });
    }
    for (name, only_first, only_second) in [
        ("shadow, 6 % differ, equally good", 30, 30),
        ("shadow, 6 % differ, 2 points apart", 40, 20),
        ("shadow, 6 % differ, 1 point apart", 35, 25),
    ] {
        row(name, n_comparisons, |draws, sides: &mut [RightAnswers; 2]| {
            let draw = draws.below(1000);
            sides[0].n_rows += 1;
            sides[0].n_right += usize::from(draw < only_first);
            sides[1].n_right += usize::from((only_first..only_first + only_second).contains(&draw));
            compare_paired_anytime(sides[0].n_right, sides[1].n_right, sides[0].n_rows, 0.02)
        });
    }
}

/// A row of that table.
fn row(
    name: &str,
    n_comparisons: u64,
    look: impl Fn(&mut Draws, &mut [RightAnswers; 2]) -> AnytimeComparison + Sync,
) {
    let first_decided = |seed: u64| {
        let mut draws = Draws::new(seed);
        let mut sides = [RightAnswers { n_right: 0, n_rows: 0 }; 2];
        (1..=N_ANSWERS).find(|_| look(&mut draws, &mut sides).is_decided)
    };
    let mut decided: Vec<usize> =
        (0..n_comparisons).into_par_iter().filter_map(first_decided).collect();
    decided.sort_unstable();
    let share = 100.0 * decided.len() as f64 / n_comparisons.max(1) as f64;
    let median = decided.get(decided.len() / 2).map_or("-".to_owned(), usize::to_string);
    println!("| {name} | {share:.1} | {median} |");
}
