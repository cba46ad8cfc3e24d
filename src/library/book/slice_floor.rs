//! The candidate of a gate on the slices that a policy names: its test split, with the kept columns and the
//! share of unknown words that they ask for.

use super::{Book, asked_split::named_columns};
use crate::{
    data::Split,
    error::Result,
    evaluate::{Slice, SliceFeature, SlicedPredictions, answer_on},
    gate::{FloorSlice, SliceFloorCheck, floor_slices},
    registry::ModelVersion,
};

impl Book {
    /// `candidate`, which predicts `predicted` for its test split, on the slices that `check` names.
    pub(super) fn floor_slices(
        &self,
        candidate: &ModelVersion,
        split: &Split,
        predicted: &[u32],
        check: &SliceFloorCheck,
    ) -> Result<Vec<FloorSlice>> {
        let manifest = self.datasets().get(&candidate.lineage.dataset)?;
        // Of a missing column the slice that names it says which there are.
        let columns = named_columns(&manifest, &check.slices, &check.by).unwrap_or_else(|_| {
            manifest.columns.iter().map(|column| column.name.as_str()).collect()
        });
        let needs_vocabulary = check.slices.iter().any(Slice::needs_vocabulary)
            || check.by.contains(&SliceFeature::Unknown);
        let known_shares = match needs_vocabulary {
            true => answer_on(self.load(candidate)?.as_ref(), split)?.1,
            false => None,
        };
        let (features, _) =
            self.row_features(&manifest.name, split, known_shares.as_deref(), &columns)?;
        let predictions = SlicedPredictions::new(&split.labels, predicted, &split.classes)?;
        Ok(floor_slices(check, &predictions, &features))
    }
}
