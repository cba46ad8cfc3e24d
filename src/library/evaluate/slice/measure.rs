//! How right a model is on a slice, beside the rest of the rows, and which of many slices differ by more
//! than chance. It knows rows and classes, no texts.

use serde::Serialize;

use super::{
    expression::Slice,
    features::RowFeatures,
    group::{FeatureSlices, SliceFeature},
};
use crate::{
    confusion::ConfusionMatrix,
    error::{Error, Result},
    evaluate::{RightAnswers, false_discovery_rates},
};

/// Of the slices that are called different, one in twenty may be chance.
const FALSE_DISCOVERY_RATE: f64 = 0.05;

/// Predictions for the rows of a split.
#[derive(Debug, Clone, Copy)]
pub struct SlicedPredictions<'a> {
    labels: &'a [u32],
    predicted: &'a [u32],
    classes: &'a [String],
}

/// A model on the rows of one slice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SliceMetrics {
    /// The slice, as it is written.
    pub slice: Slice,
    /// Number of its rows.
    pub n_rows: usize,
    /// Those of them that are predicted wrong.
    pub n_errors: usize,
    /// The share of right predictions.
    pub accuracy: f64,
    /// The lower end of its 95 % interval (Wilson).
    pub accuracy_lower: f64,
    /// The upper end.
    pub accuracy_upper: f64,
    /// F1 of the positive class, of more than two classes the macro average; none where all rows are
    /// of one class.
    pub f1: Option<f64>,
    /// The class of all rows, where there is only one.
    pub only_class: Option<String>,
    /// The comparison with the other rows; none where the slice is all of them.
    pub beside_rest: Option<BesideRest>,
    /// The p value corrected for the number of slices looked at, once that was done
    /// ([`control_discoveries`]).
    pub q_value: Option<f64>,
}

/// A slice beside the rows that it leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BesideRest {
    /// The accuracy on those.
    pub accuracy: f64,
    /// The slice's accuracy minus that.
    pub difference: f64,
    /// The lower end of the difference's 95 % interval (Newcombe).
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
    /// The two-sided probability of such a difference by chance (Fisher's exact test).
    pub p_value: f64,
}

/// The verdict on a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceVerdict {
    /// Wrong more often than on the other rows, by more than chance.
    Worse,
    /// Wrong less often, by more than chance.
    Better,
    /// Chance alone may explain the difference.
    Even,
}

impl<'a> SlicedPredictions<'a> {
    /// Predictions for rows with these labels.
    ///
    /// # Shapes
    /// `labels` and `predicted` are `[n]`, class indices below `classes.len()`.
    ///
    /// # Errors
    /// Different lengths, or an index without a class.
    pub fn new(labels: &'a [u32], predicted: &'a [u32], classes: &'a [String]) -> Result<Self> {
        ConfusionMatrix::count(labels, predicted, classes)?;
        Ok(Self { labels, predicted, classes })
    }

    /// For each row whether the prediction is right.
    pub fn is_right(&self) -> Vec<bool> {
        self.labels.iter().zip(self.predicted).map(|(label, guess)| label == guess).collect()
    }

    /// The rows of `slice` beside all others.
    ///
    /// # Errors
    /// As [`RowFeatures::rows`], and a slice without a row.
    pub fn measure(&self, slice: &Slice, features: &RowFeatures<'_>) -> Result<SliceMetrics> {
        self.measure_among(slice, &features.rows(slice)?, |_| true)
    }

    /// The slices of each of `by` that have at least `min_rows` rows, measured; and the number of
    /// values that are in too few rows.
    ///
    /// # Errors
    /// A column or a share of unknown words that `features` lacks.
    pub fn measure_by(
        &self,
        by: &[SliceFeature],
        features: &RowFeatures<'_>,
        min_rows: usize,
    ) -> Result<(Vec<SliceMetrics>, usize)> {
        let (mut measured, mut n_all_left_out) = (Vec::new(), 0);
        for feature in by {
            let FeatureSlices { slices, n_left_out } = feature.slices(features, min_rows)?;
            n_all_left_out += n_left_out;
            for slice in &slices {
                measured.push(self.measure(slice, features)?);
            }
        }
        Ok((measured, n_all_left_out))
    }

    /// The rows of `slice`, which are those of `is_in`, beside the others, of the rows `among` alone.
    pub(super) fn measure_among(
        &self,
        slice: &Slice,
        is_in: &[bool],
        among: impl Fn(usize) -> bool,
    ) -> Result<SliceMetrics> {
        let is_right = self.is_right();
        let own = RightAnswers::count(&is_right, |row| among(row) && is_in[row]);
        let rest = RightAnswers::count(&is_right, |row| among(row) && !is_in[row]);
        if own.n_rows == 0 {
            return Err(Error::invalid(format!("no row is in the slice {slice}")));
        }
        let rows: Vec<usize> =
            (0..is_right.len()).filter(|row| among(*row) && is_in[*row]).collect();
        let of_rows = |values: &[u32]| rows.iter().map(|row| values[*row]).collect::<Vec<u32>>();
        let labels = of_rows(self.labels);
        let confusion = ConfusionMatrix::count(&labels, &of_rows(self.predicted), self.classes)?;
        let first = labels[0];
        let is_single = labels.iter().all(|label| *label == first);
        let (accuracy_lower, accuracy_upper) = own.interval();
        let beside_rest = (rest.n_rows > 0).then(|| {
            let (lower, upper) = own.difference_interval(rest);
            BesideRest {
                accuracy: rest.accuracy(),
                difference: own.accuracy() - rest.accuracy(),
                lower,
                upper,
                p_value: own.fisher(rest),
            }
        });
        Ok(SliceMetrics {
            slice: slice.clone(),
            n_rows: own.n_rows,
            n_errors: own.n_wrong(),
            accuracy: own.accuracy(),
            accuracy_lower,
            accuracy_upper,
            f1: (!is_single).then(|| confusion.headline().f1),
            only_class: is_single.then(|| self.classes[first as usize].clone()),
            beside_rest,
            q_value: None,
        })
    }
}

impl SliceMetrics {
    /// The verdict on it. Before [`control_discoveries`] everything is even.
    pub fn verdict(&self) -> SliceVerdict {
        match (self.q_value, self.beside_rest) {
            (Some(q_value), Some(beside)) if q_value <= FALSE_DISCOVERY_RATE => {
                if beside.difference < 0.0 { SliceVerdict::Worse } else { SliceVerdict::Better }
            }
            _ => SliceVerdict::Even,
        }
    }
}

impl SliceVerdict {
    /// A word for people; none for what is not remarkable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worse => "WORSE",
            Self::Better => "better",
            Self::Even => "",
        }
    }
}

/// Corrects the p values of all of `looked_at` for their number, after Benjamini and Hochberg: of the
/// slices that are then worse or better, one in twenty is expected to be chance.
///
/// # Errors
/// A p value that is none.
pub fn control_discoveries<'a>(
    looked_at: impl IntoIterator<Item = &'a mut SliceMetrics>,
) -> Result<()> {
    let mut tested: Vec<(&mut SliceMetrics, f64)> = looked_at
        .into_iter()
        .filter_map(|metrics| {
            let p_value = metrics.beside_rest?.p_value;
            Some((metrics, p_value))
        })
        .collect();
    let p_values: Vec<f64> = tested.iter().map(|(_, p_value)| *p_value).collect();
    for ((metrics, _), q_value) in tested.iter_mut().zip(false_discovery_rates(&p_values)?) {
        metrics.q_value = Some(q_value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CellValues, ColumnCells};

    /// Rows of which each tenth is wrong, and of those with the genre `war` every second.
    fn measured(slices: &[&str]) -> Result<Vec<SliceMetrics>> {
        let texts: Vec<String> = (0..400).map(|row| format!("film {row}")).collect();
        let labels: Vec<u32> = (0..400).map(|row| row / 2 % 2).collect();
        let is_war = |row: usize| row < 40;
        let predicted: Vec<u32> = (0..400)
            .map(|row| {
                let is_wrong = row % if is_war(row) { 2 } else { 10 } == 0;
                labels[row] ^ u32::from(is_wrong)
            })
            .collect();
        let genres = (0..400).map(|row| Some(if is_war(row) { "war" } else { "drama" }.to_owned()));
        let genre =
            ColumnCells { name: "genre".into(), values: CellValues::Texts(genres.collect()) };
        let features = RowFeatures::new(&texts, None, vec![genre]).unwrap();
        let classes = ["neg", "pos"].map(str::to_owned);
        let predictions = SlicedPredictions::new(&labels, &predicted, &classes).unwrap();
        slices.iter().map(|slice| predictions.measure(&slice.parse()?, &features)).collect()
    }

    #[test]
    fn a_slice_stands_beside_the_rest() {
        let mut found =
            measured(&["genre=war", "genre=drama", "length>0", "/film [05]$/"]).unwrap();
        control_discoveries(&mut found).unwrap();
        let war = &found[0];
        assert_eq!((war.n_rows, war.n_errors, war.accuracy), (40, 20, 0.5));
        assert_eq!(war.beside_rest.unwrap().accuracy, 0.9);
        assert!((war.beside_rest.unwrap().difference + 0.4).abs() < 1e-12);
        assert!(war.f1.is_some() && war.only_class.is_none());
        assert_eq!(war.verdict(), SliceVerdict::Worse);
        assert_eq!(found[1].verdict(), SliceVerdict::Better);
        // All rows leave nothing to compare with, and are no test that counts: the smaller two of three
        // p values are the same.
        assert_eq!((found[2].beside_rest, found[2].q_value), (None, None));
        let expected = 1.5 * war.beside_rest.unwrap().p_value;
        assert!((war.q_value.unwrap() / expected - 1.0).abs() < 1e-12);
        // Rows 0 and 5 are of one class: F1 of the other one would be 0, whatever the model.
        assert_eq!((found[3].f1, found[3].only_class.as_deref()), (None, Some("neg")));
        assert_eq!(found[3].verdict(), SliceVerdict::Even);
    }

    #[test]
    fn an_empty_slice_is_refused() {
        let error = measured(&["genre=opera"]).unwrap_err().to_string();
        assert_eq!(error, "no row is in the slice genre=opera");
    }
}
