//! The true labels of the answers that a release's two versions gave: what an A/B test is decided by.

use std::path::Path;

use super::{label_log::read_labels, reader::visit_predictions, record::Arm};
use crate::{error::Result, evaluate::RightAnswers, registry::Release};

/// Right answers of the version in Production and of the candidate since `release` began, among those whose
/// true label is known, by the logs in the folder `logs_dir`. A shadow's predictions answered nobody and do not
/// count.
///
/// # Errors
/// When a log cannot be read.
pub fn count_release_labels(
    logs_dir: &Path,
    release: &Release,
) -> Result<(RightAnswers, RightAnswers)> {
    let none = RightAnswers { n_right: 0, n_rows: 0 };
    let (mut production, mut candidate) = (none, none);
    let (labels, _) = read_labels(logs_dir)?;
    if labels.is_empty() {
        return Ok((production, candidate));
    }
    visit_predictions(logs_dir, None, |record| {
        let is_of_it = record.model == release.model
            && record.timestamp_ms >= release.started_ms
            && release.ended_ms.is_none_or(|ended_ms| record.timestamp_ms <= ended_ms);
        let side = match record.arm {
            Arm::Production if record.version == release.production => &mut production,
            Arm::Candidate if record.version == release.candidate => &mut candidate,
            _ => return Ok(()),
        };
        let truth = labels.truth(record.request_id, record.index);
        if let Some(label) = truth.and_then(|truth| truth.label.as_ref()).filter(|_| is_of_it) {
            side.n_rows += 1;
            side.n_right += usize::from(*label == record.label);
        }
        Ok(())
    })?;
    Ok((production, candidate))
}
