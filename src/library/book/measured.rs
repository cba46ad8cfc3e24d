//! The rows that a run's metrics were measured on, and the metrics that a list shows: runs of
//! trialbook itself say it by their params and metrics, and people who compare runs have to know.

use crate::registry::Run;

/// In front of the metrics of rows that were held out to choose by: `validation_f1`.
pub const VALIDATION_PREFIX: &str = "validation_";
/// In front of the standard deviations over the folds of a cross-validation: `std_f1`. No metric's
/// own name begins so.
pub(crate) const STD_PREFIX: &str = "std_";
/// The param with the number of folds of a cross-validation.
pub(crate) const CV_PARAM: &str = "cv";
/// The param of one fold's run: which one it is, from 1.
pub(crate) const FOLD_PARAM: &str = "fold";
/// The tag that every run of trialbook has.
pub(crate) const CODE_VERSION_TAG: &str = "trialbook.code_version";

/// The rows that the listed metrics of `run` were measured on: `test`, `validation`, `fold 2 of 5`
/// or `5 folds`. None for a run without such metrics, and for one that another program logged.
pub fn measured_on(run: &Run) -> Option<String> {
    if !run.tags.contains_key(CODE_VERSION_TAG) {
        return None;
    }
    match (run.params.get(FOLD_PARAM), run.params.get(CV_PARAM)) {
        (Some(fold), Some(n_folds)) => Some(format!("fold {fold} of {n_folds}")),
        (None, Some(n_folds)) => Some(format!("{n_folds} folds")),
        _ if run.metrics.contains_key(&format!("{VALIDATION_PREFIX}accuracy")) => {
            Some("validation".to_owned())
        }
        _ => run.metrics.contains_key("accuracy").then(|| "test".to_owned()),
    }
}

/// The metric `key` of `run` as a list shows it: of the rows to choose by, where some were held out.
pub fn listed_metric(run: &Run, key: &str) -> Option<f64> {
    run.metrics.get(&format!("{VALIDATION_PREFIX}{key}")).or_else(|| run.metrics.get(key)).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::registry::RunStatus;

    #[test]
    fn a_run_says_what_its_listed_metrics_were_measured_on() {
        let check = |params: &[(&str, &str)], metrics: &[(&str, f64)], expected, f1| {
            let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
                pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
            };
            let mut run = Run {
                run_id: "0".repeat(32),
                experiment_id: "0".to_owned(),
                name: "one".to_owned(),
                status: RunStatus::Finished,
                start_ms: 0,
                end_ms: None,
                deleted: false,
                params: text(params),
                metrics: metrics.iter().map(|&(key, value)| (key.to_owned(), value)).collect(),
                tags: text(&[(CODE_VERSION_TAG, "trialbook 1.0.0")]),
                user: String::new(),
                measured_at: Vec::new(),
                flow: crate::registry::RunFlow::default(),
            };
            assert_eq!(measured_on(&run).as_deref(), expected, "{params:?} {metrics:?}");
            assert_eq!(listed_metric(&run, "f1"), f1);
            run.tags.clear();
            assert_eq!(measured_on(&run), None, "another program's");
        };
        let plain = [("accuracy", 0.9), ("f1", 0.8)];
        check(&[], &plain, Some("test"), Some(0.8));
        check(&[("cv", "5")], &plain, Some("5 folds"), Some(0.8));
        check(&[("cv", "5"), ("fold", "2")], &plain, Some("fold 2 of 5"), Some(0.8));
        let held_out = [("validation_accuracy", 0.7), ("validation_f1", 0.6)];
        check(&[], &held_out, Some("validation"), Some(0.6));
        check(&[], &[], None, None);
    }
}
