//! A cross-validation as runs: one of the whole, and nested in it one of each fold, by MLflow's own
//! tag. What they are measured on, they say by their params.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Book, TrainRequest,
    measured::{CV_PARAM, FOLD_PARAM, STD_PREFIX},
    now_ms,
    registering::logged,
    train::{prefixed, training_log},
};
use crate::{
    error::{Error, Result},
    evaluate::evaluate,
    model::{Fit, Fold, fit_fold, fold_rows},
    progress::Monitor,
    registry::{NewRun, PARENT_RUN_TAG, Run, RunStatus},
};

/// The folds of a cross-validation.
#[derive(Debug, Clone, Serialize)]
pub struct CrossValidation {
    /// One set of metrics a fold.
    pub folds: Vec<BTreeMap<String, f64>>,
    /// Mean over the folds.
    pub mean: BTreeMap<String, f64>,
    /// Standard deviation over the folds (n - 1 in the denominator).
    pub std: BTreeMap<String, f64>,
    /// The run of each fold.
    #[serde(skip)]
    pub runs: Vec<Run>,
}

impl Book {
    /// Measures a configuration by stratified k-fold cross-validation on the train split; no version
    /// is registered, and the test split is not read.
    ///
    /// The run that comes back has under each metric's own name, such as `f1`, the mean over the
    /// folds, and under `std_f1` the standard deviation. It has the param `cv`, the number of folds.
    /// Each fold is a run of its own, called `NAME-fold-1` and so on: the tag `mlflow.parentRunId`
    /// names the run of the whole, the param `fold` the fold, and its metrics are of the fold's own
    /// rows, which it did not learn.
    ///
    /// # Errors
    /// As [`Book::train`]; also when a class has fewer than `n_folds` examples.
    pub fn cross_validate(
        &self,
        fit: &dyn Fit,
        request: &TrainRequest,
        n_folds: usize,
        monitor: &Monitor,
    ) -> Result<(Run, CrossValidation)> {
        if !request.decision.is_empty() {
            return Err(Error::invalid(
                "cross-validation registers no model that could have a threshold or a calibration",
            )
            .with_hint("leave them out, or train without --cv"));
        }
        let request = self.named(request)?;
        let mut whole = self.new_run(fit, &request)?;
        whole.params.insert(CV_PARAM.to_owned(), n_folds.to_string());
        let run = self.begin(whole.clone())?;
        self.in_run(&run, || {
            let registry = self.tracker()?;
            let train = self.datasets().split(&request.dataset, "train")?;
            let (mut runs, mut folds) = (Vec::new(), Vec::new());
            for (fold_idx, rows) in fold_rows(&train, n_folds, request.seed)?.iter().enumerate() {
                monitor.interrupt.check()?;
                let fold_run = self.begin(of_fold(&whole, &run, fold_idx + 1))?;
                let metrics = self.in_run(&fold_run, || {
                    let mut log = training_log(registry, &fold_run);
                    let Fold { labels, probabilities, .. } =
                        fit_fold(fit, &train, rows, monitor, &mut log)?;
                    let evaluation = evaluate(&labels, probabilities.values(), &train.classes)?;
                    let metrics: BTreeMap<String, f64> = evaluation.metrics().into_iter().collect();
                    registry.log(&fold_run.run_id, &logged(&metrics, 0))?;
                    registry.finish_run(&fold_run.run_id, RunStatus::Finished, now_ms())?;
                    Ok(metrics)
                })?;
                runs.push(registry.run(&fold_run.run_id)?);
                folds.push(metrics);
            }
            let summary = CrossValidation::of(folds, runs);
            registry.log(&run.run_id, &logged(&summary.mean, 0))?;
            registry.log(&run.run_id, &logged(&prefixed(STD_PREFIX, &summary.std), 0))?;
            registry.finish_run(&run.run_id, RunStatus::Finished, now_ms())?;
            Ok((registry.run(&run.run_id)?, summary))
        })
    }
}

/// The run of the fold with this number, nested in `parent`, which began as `whole`.
fn of_fold(whole: &NewRun, parent: &Run, fold: usize) -> NewRun {
    let mut new = whole.clone();
    new.name = Some(format!("{}-fold-{fold}", parent.name));
    new.params.insert(FOLD_PARAM.to_owned(), fold.to_string());
    new.tags.insert(PARENT_RUN_TAG.to_owned(), parent.run_id.clone());
    new
}

impl CrossValidation {
    /// Mean and deviation of the metrics that every fold has.
    pub(super) fn of(folds: Vec<BTreeMap<String, f64>>, runs: Vec<Run>) -> Self {
        let mut mean = BTreeMap::new();
        let mut std = BTreeMap::new();
        let n_folds = folds.len() as f64;
        for key in
            folds.first().map(|fold| fold.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
        {
            let values: Option<Vec<f64>> =
                folds.iter().map(|fold| fold.get(&key).copied()).collect();
            let Some(values) = values else { continue };
            let centre = values.iter().sum::<f64>() / n_folds;
            let spread = values.iter().map(|value| (value - centre).powi(2)).sum::<f64>();
            mean.insert(key.clone(), centre);
            std.insert(key, (spread / (n_folds - 1.0)).sqrt());
        }
        Self { folds, mean, std, runs }
    }
}
