//! What is known of each row of a split, and the rows that a slice has. It knows no labels and no
//! predictions.

use super::{
    expression::{RowValue, Slice, SliceCondition, SliceTest, quoted_name},
    negation::has_negation,
    parse::parse_number,
};
use crate::{
    data::{CellValues, ColumnCells, n_words},
    error::{Error, ErrorKind, Result},
    evaluate::quantile,
};

/// The features of the rows of one split.
#[derive(Debug)]
pub struct RowFeatures<'a> {
    texts: &'a [String],
    lengths: Vec<f64>,
    unknown: Option<Vec<f64>>,
    negations: Vec<bool>,
    columns: Vec<ColumnCells>,
}

/// One number a row, where there is one.
#[derive(Debug, Clone, Copy)]
pub(super) enum RowNumbers<'a> {
    Whole(&'a [f64]),
    Gaps(&'a [Option<f64>]),
}

impl<'a> RowFeatures<'a> {
    /// The features of `texts`. `known_shares` are those of the model, for one that can tell; `columns`
    /// are those that slices may name.
    ///
    /// # Shapes
    /// `known_shares` and each column are as long as `texts`.
    ///
    /// # Errors
    /// Other lengths.
    pub fn new(
        texts: &'a [String],
        known_shares: Option<&[f64]>,
        columns: Vec<ColumnCells>,
    ) -> Result<Self> {
        let check = |name: &str, n_values: usize| match n_values == texts.len() {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "{} texts but {n_values} values of {name}",
                texts.len()
            ))),
        };
        if let Some(known_shares) = known_shares {
            check("known shares", known_shares.len())?;
        }
        for ColumnCells { name, values } in &columns {
            check(name, values.len())?;
        }
        Ok(Self {
            texts,
            lengths: texts.iter().map(|text| n_words(text) as f64).collect(),
            unknown: known_shares
                .map(|shares| shares.iter().map(|share| unknown(*share)).collect()),
            negations: texts.iter().map(|text| has_negation(text)).collect(),
            columns,
        })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.texts.len()
    }

    /// The columns that slices may name.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// True if the share of tokens that the model does not know is there.
    pub fn has_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// For each row whether it is in `slice`.
    ///
    /// # Errors
    /// A column that is not there, a share of unknown words where the model has no vocabulary, and a
    /// comparison of numbers with a column of text.
    pub fn rows(&self, slice: &Slice) -> Result<Vec<bool>> {
        let mut rows = vec![true; self.n_rows()];
        for SliceCondition { is_negated, test } in &slice.conditions {
            let holds = self.holds(test)?;
            for (row, holds) in rows.iter_mut().zip(holds) {
                *row &= holds != *is_negated;
            }
        }
        Ok(rows)
    }

    fn holds(&self, test: &SliceTest) -> Result<Vec<bool>> {
        let n_rows = self.n_rows();
        match test {
            SliceTest::Negation => Ok(self.negations.clone()),
            SliceTest::Matches(pattern) => {
                Ok(self.texts.iter().map(|text| pattern.regex.is_match(text)).collect())
            }
            SliceTest::Quarter(subject, quarter) => {
                let numbers = self.numbers(subject)?;
                let cuts = numbers.quarters();
                let is_in = |number: f64| 1 + cuts.iter().filter(|cut| number > **cut).count();
                let is_in = |number: f64| is_in(number) == usize::from(*quarter);
                Ok((0..n_rows).map(|row| numbers.get(row).is_some_and(is_in)).collect())
            }
            SliceTest::Compares(subject, relation, other) => {
                let numbers = self.numbers(subject)?;
                let compares = |number: f64| relation.holds(number, *other);
                Ok((0..n_rows).map(|row| numbers.get(row).is_some_and(compares)).collect())
            }
            SliceTest::Equals(subject, value) => self.equals(subject, value.as_deref()),
        }
    }

    fn equals(&self, subject: &RowValue, value: Option<&str>) -> Result<Vec<bool>> {
        if let RowValue::Column(name) = subject
            && let CellValues::Texts(texts) = &self.column(name)?.values
        {
            return Ok(texts.iter().map(|text| text.as_deref() == value).collect());
        }
        let numbers = self.numbers(subject)?;
        let value = match value {
            None => None,
            Some(value) => Some(parse_number(value).ok_or_else(|| {
                Error::invalid(format!("{subject} holds numbers, and {value:?} is none"))
            })?),
        };
        Ok((0..self.n_rows()).map(|row| numbers.get(row) == value).collect())
    }

    /// The numbers of `subject`.
    pub(super) fn numbers(&self, subject: &RowValue) -> Result<RowNumbers<'_>> {
        match subject {
            RowValue::Length => Ok(RowNumbers::Whole(&self.lengths)),
            RowValue::Unknown => self.unknown.as_deref().map(RowNumbers::Whole).ok_or_else(|| {
                Error::invalid("unknown words cannot be told: the model has no vocabulary")
                    .with_hint("use another feature, such as length:q4")
            }),
            RowValue::Column(name) => match &self.column(name)?.values {
                CellValues::Numbers(numbers) => Ok(RowNumbers::Gaps(numbers)),
                CellValues::Texts(_) => Err(Error::invalid(format!(
                    "the column {name:?} holds text, which has neither order nor quarters"
                ))
                .with_hint(format!("name a value: {}=VALUE", quoted_name(name)))),
            },
        }
    }

    /// The cells of the column `name`.
    pub(super) fn column(&self, name: &str) -> Result<&ColumnCells> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let found: Vec<&str> = self.columns().collect();
            let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
            Error::new(
                ErrorKind::NotFound,
                format!("no column {name:?} of numbers or text: found {found}"),
            )
        })
    }

    pub(super) fn negations(&self) -> &[bool] {
        &self.negations
    }
}

/// The share that is not known, without the last digits of a subtraction: 0.3 and not
/// 0.30000000000000004, so that a slice means what it says.
fn unknown(known_share: f64) -> f64 {
    ((1.0 - known_share) * 1e9).round() / 1e9
}

impl RowNumbers<'_> {
    pub(super) fn get(self, row: usize) -> Option<f64> {
        match self {
            Self::Whole(numbers) => numbers.get(row).copied(),
            Self::Gaps(numbers) => numbers.get(row).copied().flatten(),
        }
    }

    /// The numbers that are there, in ascending order.
    pub(super) fn sorted(self) -> Vec<f64> {
        let mut sorted: Vec<f64> = match self {
            Self::Whole(numbers) => numbers.to_vec(),
            Self::Gaps(numbers) => numbers.iter().flatten().copied().collect(),
        };
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }

    /// The ends of the first three quarters, each of which belongs to its quarter: equal numbers are
    /// never parted, as in pandas' `qcut`.
    fn quarters(self) -> Vec<f64> {
        let sorted = self.sorted();
        match sorted.is_empty() {
            true => Vec::new(),
            false => [0.25, 0.5, 0.75].map(|share| quantile(&sorted, share)).to_vec(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Eight texts of one to eight words, with a genre, stars that one row lacks, and every second
    /// word unknown from the fifth row on.
    pub(in crate::evaluate::slice) fn eight_texts() -> Vec<String> {
        (1..=8).map(|n| vec![if n % 4 == 0 { "not" } else { "film" }; n].join(" ")).collect()
    }

    fn columns() -> Vec<ColumnCells> {
        let genres = ["drama", "comedy", "drama", "war", "science fiction", "drama", "war", ""];
        let genres = genres.map(|genre| (!genre.is_empty()).then(|| genre.to_owned()));
        let stars = (1..=8).map(|n| (n != 3).then_some(f64::from(n)));
        vec![
            ColumnCells { name: "genre".into(), values: CellValues::Texts(genres.to_vec()) },
            ColumnCells { name: "stars".into(), values: CellValues::Numbers(stars.collect()) },
        ]
    }

    fn rows(slice: &str) -> Result<Vec<usize>> {
        let texts = eight_texts();
        let known = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5];
        let features = RowFeatures::new(&texts, Some(&known), columns()).unwrap();
        let rows = features.rows(&slice.parse().unwrap())?;
        Ok((1..=8).filter(|n| rows[n - 1]).collect())
    }

    #[test]
    fn each_condition_has_its_rows() {
        for (slice, expected) in [
            ("length:q1", &[1, 2][..]),
            ("length:q4", &[7, 8]),
            ("length>6", &[7, 8]),
            ("length=3", &[3]),
            ("unknown>0.2", &[5, 6, 7, 8]),
            // Quarters of equal numbers stay together.
            ("unknown:q1", &[1, 2, 3, 4]),
            ("unknown:q2", &[]),
            ("unknown:q4", &[]),
            ("negation", &[4, 8]),
            ("not negation and length<=4", &[1, 2, 3]),
            ("genre=drama", &[1, 3, 6]),
            ("genre=\"science fiction\"", &[5]),
            ("genre=null", &[8]),
            ("genre=opera", &[]),
            ("genre!=drama", &[2, 4, 5, 7, 8]),
            ("stars=4.0", &[4]),
            ("stars=null", &[3]),
            ("stars>=6", &[6, 7, 8]),
            // A row without a value is in no comparison.
            ("not stars>=6", &[1, 2, 3, 4, 5]),
            ("stars:q1", &[1, 2]),
            ("/NOT/", &[]),
            ("/NOT/i and /^not not not not$/", &[4]),
        ] {
            assert_eq!(rows(slice).unwrap(), expected, "{slice}");
        }
    }

    #[test]
    fn what_has_no_answer_is_refused_in_one_sentence() {
        for (slice, expected) in [
            ("gendre=drama", "no column \"gendre\" of numbers or text: found genre, stars"),
            ("genre>5", "the column \"genre\" holds text, which has neither order nor quarters"),
            ("genre:q1", "the column \"genre\" holds text"),
            ("stars=five", "stars holds numbers, and \"five\" is none"),
        ] {
            assert!(rows(slice).unwrap_err().to_string().starts_with(expected), "{slice}");
        }
        let texts = eight_texts();
        let features = RowFeatures::new(&texts, None, Vec::new()).unwrap();
        let error = features.rows(&"unknown>0".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(error, "unknown words cannot be told: the model has no vocabulary");
        let error = features.rows(&"a=1".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(error, "no column \"a\" of numbers or text: found none");
        assert!(RowFeatures::new(&texts, Some(&[0.5]), Vec::new()).is_err());
        assert!(1.0 - 0.7 > 0.3 && unknown(0.7) == 0.3);
    }
}
