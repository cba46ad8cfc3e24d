//! The slices of a feature: its quarters or its values. They are made of the rows alone, whatever the
//! model predicts.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    expression::{OWN_WORDS, RowValue, Slice, SliceTest},
    features::RowFeatures,
};
use crate::{
    data::CellValues,
    error::{Error, Result},
};

/// A column of numbers with more different values than this is divided into quarters.
const MAX_SINGLE_NUMBERS: usize = 10;
/// The values of a column that are slices, the most frequent ones.
const MAX_VALUES: usize = 50;

/// Something that divides the rows of a split into slices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SliceFeature {
    /// Quarters of the number of words.
    Length,
    /// Quarters of the share of tokens that the model does not know.
    Unknown,
    /// Texts with a word of negation.
    Negation,
    /// The values of a column of the dataset, or quarters of its numbers.
    Column(String),
}

/// The slices of a feature, and what became none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FeatureSlices {
    pub(super) slices: Vec<Slice>,
    /// Values that are in too few rows, and those beyond the most frequent ones.
    pub(super) n_left_out: usize,
}

impl FromStr for SliceFeature {
    type Err = Error;

    /// # Errors
    /// An empty name.
    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "length" => Ok(Self::Length),
            "unknown" => Ok(Self::Unknown),
            "negation" => Ok(Self::Negation),
            "" => Err(Error::invalid(
                "a feature has no name: expected length, unknown, negation or a column",
            )),
            name => {
                // In quotes it is a column, whatever it is called.
                let inside = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
                Ok(Self::Column(inside.unwrap_or(name).to_owned()))
            }
        }
    }
}

impl Serialize for SliceFeature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SliceFeature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for SliceFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("length"),
            Self::Unknown => f.write_str("unknown"),
            Self::Negation => f.write_str("negation"),
            Self::Column(name) if OWN_WORDS.contains(&name.as_str()) => write!(f, "\"{name}\""),
            Self::Column(name) => f.write_str(name),
        }
    }
}

impl SliceFeature {
    /// Every feature that `features` has: those of each text, then the columns.
    pub fn all(features: &RowFeatures<'_>) -> Vec<Self> {
        let unknown = features.has_unknown().then_some(Self::Unknown);
        let own = [Some(Self::Length), unknown, Some(Self::Negation)];
        let columns = features.columns().map(|name| Self::Column(name.to_owned()));
        own.into_iter().flatten().chain(columns).collect()
    }

    /// Its slices that have at least `min_rows` rows.
    ///
    /// # Errors
    /// A column or a share of unknown words that `features` lacks.
    pub(super) fn slices(
        &self,
        features: &RowFeatures<'_>,
        min_rows: usize,
    ) -> Result<FeatureSlices> {
        match self {
            Self::Negation => {
                large_enough(features, vec![Slice::of(SliceTest::Negation.holds())], min_rows)
            }
            Self::Length => large_enough(features, quarters(&RowValue::Length), min_rows),
            Self::Unknown => large_enough(features, quarters(&RowValue::Unknown), min_rows),
            Self::Column(name) => {
                let subject = RowValue::Column(name.clone());
                let values = match &features.column(name)?.values {
                    CellValues::Texts(texts) => {
                        ValueCounts::count(texts.iter().map(Option::as_deref))
                    }
                    CellValues::Numbers(numbers) => {
                        let written: Vec<Option<String>> =
                            numbers.iter().map(|number| number.map(|n| n.to_string())).collect();
                        let values = ValueCounts::count(written.iter().map(Option::as_deref));
                        if values.n_distinct() > MAX_SINGLE_NUMBERS {
                            return large_enough(features, quarters(&subject), min_rows);
                        }
                        values
                    }
                };
                Ok(values.slices(&subject, min_rows))
            }
        }
    }
}

fn quarters(subject: &RowValue) -> Vec<Slice> {
    (1..=4).map(|quarter| Slice::of(SliceTest::Quarter(subject.clone(), quarter).holds())).collect()
}

/// Those of `slices` that have enough rows; one without any is not counted as left out.
fn large_enough(
    features: &RowFeatures<'_>,
    slices: Vec<Slice>,
    min_rows: usize,
) -> Result<FeatureSlices> {
    let mut found = FeatureSlices { slices: Vec::new(), n_left_out: 0 };
    for slice in slices {
        let n_rows = features.rows(&slice)?.into_iter().filter(|is_in| *is_in).count();
        if n_rows >= min_rows.max(1) {
            found.slices.push(slice);
        } else if n_rows > 0 {
            found.n_left_out += 1;
        }
    }
    Ok(found)
}

/// The values of a column with the number of their rows.
pub(super) struct ValueCounts {
    /// The most frequent first, of equals by the alphabet, a missing value first.
    counts: Vec<(Option<String>, usize)>,
}

impl ValueCounts {
    pub(super) fn count<'a>(cells: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for cell in cells {
            *counts.entry(cell).or_default() += 1;
        }
        let mut counts: Vec<(Option<String>, usize)> =
            counts.into_iter().map(|(value, n)| (value.map(str::to_owned), n)).collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        Self { counts }
    }

    pub(super) fn n_distinct(&self) -> usize {
        self.counts.len()
    }

    /// The values that are in at least `min_rows` rows, at most `max_values`.
    pub(super) fn frequent(
        &self,
        min_rows: usize,
        max_values: usize,
    ) -> impl Iterator<Item = &Option<String>> {
        let large = self.counts.iter().take_while(move |(_, n)| *n >= min_rows);
        large.take(max_values).map(|(value, _)| value)
    }

    fn slices(&self, subject: &RowValue, min_rows: usize) -> FeatureSlices {
        let slice = |value: &Option<String>| {
            Slice::of(SliceTest::Equals(subject.clone(), value.clone()).holds())
        };
        let slices: Vec<Slice> = self.frequent(min_rows, MAX_VALUES).map(slice).collect();
        FeatureSlices { n_left_out: self.n_distinct() - slices.len(), slices }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::features::tests::eight_texts, *};
    use crate::data::ColumnCells;

    #[test]
    fn a_feature_is_divided_by_its_values_or_into_quarters() {
        let texts = eight_texts();
        let genres = ["drama", "war", "drama", "war", "drama", "opera", "drama", ""];
        let genres = genres.map(|genre| (!genre.is_empty()).then(|| genre.to_owned()));
        let columns = vec![
            ColumnCells { name: "not".into(), values: CellValues::Texts(genres.to_vec()) },
            ColumnCells {
                name: "stars".into(),
                values: CellValues::Numbers((0..8).map(|row| Some(f64::from(row % 2))).collect()),
            },
        ];
        let known = [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        let features = RowFeatures::new(&texts, Some(&known), columns).unwrap();
        let all = SliceFeature::all(&features);
        let named: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["length", "unknown", "negation", "\"not\"", "stars"]);
        let said = |feature: &SliceFeature| {
            let found = feature.slices(&features, 2).unwrap();
            let slices: Vec<String> = found.slices.iter().map(ToString::to_string).collect();
            (slices.join("; "), found.n_left_out)
        };
        let quarters = "length:q1; length:q2; length:q3; length:q4".to_owned();
        assert_eq!(said(&all[0]), (quarters, 0));
        // Six of eight rows know everything: the other quarters are empty.
        assert_eq!(said(&all[1]), ("unknown:q1; unknown:q4".to_owned(), 0));
        assert_eq!(said(&all[2]), ("negation".to_owned(), 0));
        assert_eq!(said(&all[3]), ("\"not\"=drama; \"not\"=war".to_owned(), 2));
        assert_eq!(said(&all[4]), ("stars=0; stars=1".to_owned(), 0));
        for feature in &all {
            assert_eq!(feature.to_string().parse::<SliceFeature>().unwrap(), *feature);
            for slice in feature.slices(&features, 1).unwrap().slices {
                assert_eq!(slice.to_string().parse::<Slice>().unwrap(), slice);
            }
        }
        assert!(" ".parse::<SliceFeature>().is_err());
        assert!("lengths".parse::<SliceFeature>().unwrap().slices(&features, 1).is_err());
    }
}
