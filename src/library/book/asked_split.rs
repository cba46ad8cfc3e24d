//! The split that a version is asked about, and what is known of its rows: the dataset that it was trained
//! on where none is named, and the kept columns that slices name.

use super::Book;
use crate::{
    data::{ColumnCells, Dataset, Split},
    error::{Error, ErrorKind, Result},
    evaluate::{RowFeatures, Slice, SliceFeature},
    registry::ModelVersion,
};

/// A split with the name of its dataset.
pub(super) struct AskedSplit {
    pub(super) dataset: String,
    pub(super) split: Split,
}

impl AskedSplit {
    /// Its name for people: `imdb.test`.
    pub(super) fn reference(&self) -> String {
        format!("{}.{}", self.dataset, self.split.name)
    }

    /// That the test split is another one than at the training of `model`.
    pub(super) fn note(&self, model: &ModelVersion) -> Option<String> {
        let is_same = self.split.fingerprint.sha256 == model.lineage.test_fingerprint;
        let is_asked = self.split.name == "test" && self.dataset == model.lineage.dataset;
        (is_asked && !is_same).then(|| {
            format!("the test split of {} is another one than at the training", self.dataset)
        })
    }
}

impl Book {
    /// The split called `split` of `dataset` or, where none is named, of the one that `model` was
    /// trained on.
    pub(super) fn asked_split(
        &self,
        model: &ModelVersion,
        dataset: Option<&str>,
        split: &str,
    ) -> Result<AskedSplit> {
        let dataset = match dataset {
            Some(dataset) => dataset,
            None => trained_on(model)?,
        };
        let split = self.datasets().split(dataset, split)?;
        Ok(AskedSplit { dataset: dataset.to_owned(), split })
    }

    /// The features of the rows of `split`, with those kept columns of `dataset` that `columns` names,
    /// and the names of those whose values cannot be compared.
    pub(super) fn row_features<'a>(
        &self,
        dataset: &str,
        split: &'a Split,
        known_shares: Option<&[f64]>,
        columns: &[&str],
    ) -> Result<(RowFeatures<'a>, Vec<String>)> {
        let datasets = self.datasets();
        let (mut cells, mut unusable): (Vec<ColumnCells>, _) = (Vec::new(), Vec::new());
        for column in columns {
            match datasets.column_cells(dataset, &split.name, column)? {
                Some(found) => cells.push(found),
                None => unusable.push((*column).to_owned()),
            }
        }
        Ok((RowFeatures::new(&split.texts, known_shares, cells)?, unusable))
    }
}

/// The dataset that a version was trained on.
///
/// # Errors
/// For one that was imported or logged by another program: it names none.
pub fn trained_on(model: &ModelVersion) -> Result<&str> {
    match model.lineage.dataset.as_str() {
        "" => Err(Error::invalid(format!(
            "{} names no dataset that it was trained on",
            model.reference()
        ))
        .with_hint("name one with --data")),
        dataset => Ok(dataset),
    }
}

/// The columns that `slices` and `by` name, each once.
///
/// # Errors
/// [`ErrorKind::NotFound`] for one that `dataset` has not kept, with those it has.
pub(super) fn named_columns<'a>(
    dataset: &Dataset,
    slices: &'a [Slice],
    by: &'a [SliceFeature],
) -> Result<Vec<&'a str>> {
    let of_features = by.iter().filter_map(|feature| match feature {
        SliceFeature::Column(name) => Some(name.as_str()),
        _ => None,
    });
    let mut named: Vec<&str> = Vec::new();
    for name in slices.iter().flat_map(Slice::columns).chain(of_features) {
        if !named.contains(&name) {
            named.push(name);
        }
    }
    let kept: Vec<&str> = dataset.columns.iter().map(|column| column.name.as_str()).collect();
    match named.iter().find(|name| !kept.contains(*name)) {
        None => Ok(named),
        Some(missing) => {
            let found = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
            Err(Error::new(
                ErrorKind::NotFound,
                format!("dataset {:?} has no column {missing:?}: found {found}", dataset.name),
            )
            .with_hint(
                "besides columns there are length, unknown, negation and /a regular expression/",
            ))
        }
    }
}

/// That none of the columns `named` is among those whose values cannot be compared.
///
/// # Errors
/// The first one that is.
pub(super) fn check_usable(unusable: &[String], named: &[&str]) -> Result<()> {
    match unusable.iter().find(|column| named.contains(&column.as_str())) {
        None => Ok(()),
        Some(column) => Err(Error::invalid(format!(
            "the column {column:?} makes no slices: its values are neither numbers nor text"
        ))
        .with_hint("name another column, or another feature")),
    }
}
