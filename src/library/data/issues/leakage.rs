//! Leakage, which alone gives the label away: a word, a value of a column, or a whole column. Such a thing is
//! rarely there when a text arrives whose label nobody knows. Pure functions on slices.

use super::super::words::{WordCounts, for_each_word};
use crate::figure;

/// Rows that a word or a value has to be in, and the share of a class's rows.
const MIN_ROWS: u32 = 10;
const MIN_COVERAGE: f64 = 0.3;

/// The share of rows in which the guess has to be right.
const MIN_PRECISION: f64 = 0.99;

/// The factor by which a wrong guess has to be rarer than without it: where nearly all rows are of one class,
/// any word seems to give it away.
const ERROR_SHARE: f64 = 0.1;

/// Words that are listed, those in the most rows first.
const MAX_WORDS: usize = 20;

/// Something that gives the label away.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leak {
    /// A row in which it does.
    pub(crate) row: usize,
    /// The share of rows with it in which the guess is right.
    pub(crate) precision: f64,
    pub(crate) why: String,
}

/// A column whose values are numbered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnCodes {
    pub(crate) name: String,
    /// The number of each row's value; none for a null.
    pub(crate) codes: Vec<Option<u32>>,
    /// The values, for people.
    pub(crate) values: Vec<String>,
}

/// Rows of each class that have something, and all rows of each class.
struct Counts<'a> {
    with: &'a [u32],
    all: &'a [u32],
}

/// The words of `texts` that give a class away.
pub(crate) fn token_leaks(texts: &[String], labels: &[u32], classes: &[String]) -> Vec<Leak> {
    let all = class_counts(labels, classes.len());
    let words = WordCounts::of(texts, labels, classes.len());
    let mut found: Vec<(&str, &[u32], usize)> = words
        .iter()
        .filter_map(|(word, with)| {
            Counts { with, all: &all }.given().map(|class| (word, with, class))
        })
        .collect();
    found.sort_unstable_by(|one, other| {
        let n_rows = |(_, with, class): &(&str, &[u32], usize)| with[*class];
        n_rows(other).cmp(&n_rows(one)).then_with(|| one.0.cmp(other.0))
    });
    found.truncate(MAX_WORDS);
    let leak = |(word, with, class): (&str, &[u32], usize)| {
        let has_word = |text: &str| {
            let mut is_there = false;
            for_each_word(text, |other| is_there |= other == word);
            is_there
        };
        let mut rows = texts.iter().zip(labels);
        let row = rows.position(|(text, label)| *label as usize == class && has_word(text))?;
        let (n_with, n_right) = (with.iter().sum::<u32>(), with[class]);
        Some(Leak {
            row,
            precision: f64::from(n_right) / f64::from(n_with),
            why: format!(
                "the word {word:?} is in {}, {} of them {}",
                figure::counted(n_with, "row"),
                figure::count(n_right),
                classes[class]
            ),
        })
    };
    found.into_iter().filter_map(leak).collect()
}

/// The labels that `column` gives away: the label of every row, or one class by one value.
pub(crate) fn column_leak(
    column: &ColumnCodes,
    labels: &[u32],
    classes: &[String],
) -> Option<Leak> {
    let ColumnCodes { name, codes, values } = column;
    let all = class_counts(labels, classes.len());
    // A null is a value like any other, the last one.
    let place = |code: Option<u32>| code.map_or(values.len(), |code| code as usize);
    let mut counts = vec![vec![0u32; classes.len()]; values.len() + 1];
    for (code, label) in codes.iter().zip(labels) {
        counts[place(*code)][*label as usize] += 1;
    }
    let n_right: u32 = counts.iter().map(|counts| n_guessed(counts)).sum();
    let n_rows = labels.len() as u32;
    let precision = f64::from(n_right) / f64::from(n_rows.max(1));
    let most = all.iter().max().copied().unwrap_or(0);
    if n_rows >= MIN_ROWS && is_telling(precision, f64::from(most) / f64::from(n_rows)) {
        let why = format!(
            "the column {name:?} gives the label away: it tells {} of {}",
            figure::count(n_right),
            figure::counted(n_rows, "row")
        );
        return Some(Leak { row: 0, precision, why });
    }
    let given = counts.iter().enumerate().filter_map(|(value, with)| {
        Counts { with, all: &all }.given().map(|class| (value, with, class))
    });
    let (value, with, class) =
        given.max_by_key(|(value, with, class)| (with[*class], std::cmp::Reverse(*value)))?;
    let (n_with, n_right) = (with.iter().sum::<u32>(), with[class]);
    let said = values.get(value).map_or("null", String::as_str);
    let mut rows = codes.iter().zip(labels);
    Some(Leak {
        row: rows.position(|(code, label)| place(*code) == value && *label as usize == class)?,
        precision: f64::from(n_right) / f64::from(n_with),
        why: format!(
            "the column {name:?} is {said} in {}, {} of them {}",
            figure::counted(n_with, "row"),
            figure::count(n_right),
            classes[class]
        ),
    })
}

/// Rows whose class is guessed right from the other rows that have the same value: without a look at
/// the row itself, a column of numbers that all differ tells nothing.
fn n_guessed(counts: &[u32]) -> u32 {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    let (most, next) = (sorted.first().copied().unwrap_or(0), sorted.get(1).copied().unwrap_or(0));
    if most > next + 1 { most } else { 0 }
}

fn is_telling(precision: f64, base: f64) -> bool {
    precision >= MIN_PRECISION && 1.0 - precision <= ERROR_SHARE * (1.0 - base)
}

impl Counts<'_> {
    /// The class that is given away.
    fn given(&self) -> Option<usize> {
        let n_with: u32 = self.with.iter().sum();
        let most = self.with.iter().max().copied().filter(|_| n_with >= MIN_ROWS)?;
        let class = self.with.iter().position(|count| *count == most)?;
        let (n_of_class, n_rows) = (self.all[class], self.all.iter().sum::<u32>());
        let base = f64::from(n_of_class) / f64::from(n_rows);
        let covers = f64::from(most) >= MIN_COVERAGE * f64::from(n_of_class);
        (covers && is_telling(f64::from(most) / f64::from(n_with), base)).then_some(class)
    }
}

fn class_counts(labels: &[u32], n_classes: usize) -> Vec<u32> {
    let mut counts = vec![0; n_classes];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Vec<String> {
        vec!["bad".to_owned(), "good".to_owned()]
    }

    fn alternating(n_rows: u32) -> Vec<u32> {
        (0..n_rows).map(|row| row % 2).collect()
    }

    #[test]
    fn a_word_that_stands_for_a_class_is_named_with_its_counts() {
        let labels = alternating(200);
        let texts: Vec<String> = labels
            .iter()
            .enumerate()
            .map(|(row, label)| match (label, row % 10) {
                (1, _) => "film seen xgoodx fine".to_owned(),
                // One in a hundred of each class is not enough, nor is a word of few rows.
                (_, 0) => "film seen dull".to_owned(),
                _ => format!("film seen w{row}"),
            })
            .collect();
        let found = token_leaks(&texts, &labels, &classes());
        let why: Vec<&str> = found.iter().map(|leak| leak.why.as_str()).collect();
        let said = |word: &str| format!("the word {word:?} is in 100 rows, 100 of them good");
        assert_eq!(why, [said("fine"), said("xgoodx")]);
        assert_eq!((found[0].row, found[0].precision), (1, 1.0));
    }

    #[test]
    fn where_nearly_all_rows_are_of_one_class_words_of_all_tell_nothing() {
        let labels: Vec<u32> = (0..1_000).map(|row| u32::from(row % 200 != 0)).collect();
        let texts: Vec<String> = labels.iter().map(|_| "the film".to_owned()).collect();
        assert!(token_leaks(&texts, &labels, &classes()).is_empty());
    }

    fn column(codes: Vec<Option<u32>>) -> ColumnCodes {
        let n_values = codes.iter().flatten().max().map_or(0, |code| code + 1);
        let values = (0..n_values).map(|value| format!("v{value}")).collect();
        ColumnCodes { name: "stars".into(), codes, values }
    }

    #[test]
    fn a_column_that_tells_every_label_is_named_and_one_of_distinct_values_is_not() {
        let labels = alternating(100);
        let copied = column(labels.iter().map(|label| Some(3 + label)).collect());
        let leak = column_leak(&copied, &labels, &classes()).unwrap();
        assert_eq!(leak.why, "the column \"stars\" gives the label away: it tells 100 of 100 rows");
        let distinct = column((0..100).map(Some).collect());
        assert_eq!(column_leak(&distinct, &labels, &classes()), None);
        let constant = column(vec![None; 100]);
        assert_eq!(column_leak(&constant, &labels, &classes()), None);
        let random = column((0..100).map(|row| Some(row / 2 % 7)).collect());
        assert_eq!(column_leak(&random, &labels, &classes()), None);
    }

    #[test]
    fn one_value_of_a_column_can_tell_one_class() {
        let labels = alternating(100);
        let codes = labels.iter().enumerate().map(|(row, label)| match (label, row % 5) {
            (1, 0..3) => Some(1),
            _ => (row % 3 == 0).then_some(0),
        });
        let leak = column_leak(&column(codes.collect()), &labels, &classes()).unwrap();
        assert_eq!(leak.why, "the column \"stars\" is v1 in 30 rows, 30 of them good");
        assert_eq!(leak.row, 1);
    }
}
