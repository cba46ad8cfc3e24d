//! A sweep's runs in the registry: the run of the whole, one nested in it of each measured setting, and what an
//! earlier process left of both. It measures nothing.

use std::collections::BTreeMap;

use super::{
    super::{
        Book, TrainRequest,
        cross_validate::CrossValidation,
        measured::{CV_PARAM, STD_PREFIX},
        now_ms,
        registering::{logged, this_process},
        train::{is_dead, prefixed},
    },
    swept::SweptSetting,
};
use crate::{
    error::{Error, Result},
    model::FitCandidate,
    registry::{
        Metric, NewRun, PARENT_RUN_TAG, PROCESS_TAG, Run, RunBatch, RunQuery, RunStatus, RunUpdate,
    },
};

/// The tag by which a stopped sweep is known again: a digest of its settings, folds and rows.
pub(super) const SWEEP_TAG: &str = "trialbook.sweep";
/// The tag of a setting's run: its index among the settings.
const SETTING_TAG: &str = "trialbook.sweep.setting";
/// The param of a setting's run that learnt a part of each fold's rows.
const SHARE_PARAM: &str = "train_share";
/// The metric with the number of terms that a setting learnt, the mean over the folds.
const FEATURES_METRIC: &str = "n_features";
/// In front of a metric of one fold; its step is the fold, from 1.
const FOLD_PREFIX: &str = "fold_";
/// The metric with a setting's share of the work, in seconds.
const SECONDS_METRIC: &str = "seconds";

impl Book {
    /// The newest sweep with this digest that began and did not end.
    pub(super) fn stopped_sweep(&self, digest: &str) -> Result<Option<Run>> {
        let query = RunQuery {
            filter: Some(format!(
                "tags.`{SWEEP_TAG}` = '{digest}' and attributes.status != 'FINISHED'"
            )),
            limit: Some(1),
            ..RunQuery::default()
        };
        let Some(run) = self.registry()?.search_runs(&query)?.pop() else { return Ok(None) };
        let is_at_work = run.status == RunStatus::Running
            && run
                .tags
                .get(PROCESS_TAG)
                .is_some_and(|process| *process != this_process() && !is_dead(process));
        if is_at_work {
            return Err(Error::invalid(format!(
                "the same sweep is at work as run {} ({})",
                run.name,
                run.tags.get(PROCESS_TAG).map_or("", String::as_str)
            ))
            .with_hint("wait for it, or begin another one with --fresh"));
        }
        Ok(Some(run))
    }

    /// A stopped sweep's run, now this process's.
    pub(super) fn continued(&self, run: &Run) -> Result<Run> {
        let registry = self.registry()?;
        let running = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
        registry.update_run(&run.run_id, running)?;
        let tags = vec![(PROCESS_TAG.to_owned(), this_process())];
        registry.log(&run.run_id, &RunBatch { tags, ..RunBatch::default() })?;
        registry.run(&run.run_id)
    }
}

/// The runs of one sweep.
pub(super) struct SweepRuns<'a> {
    pub(super) book: &'a Book,
    /// The run of the whole.
    pub(super) run: &'a Run,
    /// With its names filled in.
    pub(super) train_request: &'a TrainRequest,
    pub(super) n_folds: usize,
    pub(super) candidates: &'a [FitCandidate],
}

impl SweepRuns<'_> {
    /// Keeps a measured setting as a finished run.
    pub(super) fn keep(
        &self,
        setting: usize,
        share: f64,
        outcome: FoldOutcomes,
        seconds: f64,
    ) -> Result<SweptSetting> {
        let registry = self.book.registry()?;
        let fit = self.candidates[setting].fit();
        let mut new: NewRun = self.book.new_run(fit, self.train_request)?;
        new.name = Some(format!("{}-{}", self.run.name, setting + 1));
        new.params.insert(CV_PARAM.to_owned(), self.n_folds.to_string());
        if share < 1.0 {
            new.params.insert(SHARE_PARAM.to_owned(), share.to_string());
        }
        new.tags.insert(PARENT_RUN_TAG.to_owned(), self.run.run_id.clone());
        new.tags.insert(SETTING_TAG.to_owned(), setting.to_string());
        // Its part of the work is over already.
        new.start_ms = now_ms() - (seconds * 1e3) as i64;
        let child = registry.create_run(new)?;
        let n_features = (!outcome.n_features.is_empty())
            .then(|| outcome.n_features.iter().sum::<f64>() / outcome.n_features.len() as f64);
        let of_folds = fold_history(&outcome.folds);
        let CrossValidation { mean, std, .. } = CrossValidation::of(outcome.folds, Vec::new());
        let mut all = mean.clone();
        all.extend(prefixed(STD_PREFIX, &std));
        all.extend(n_features.map(|n_features| (FEATURES_METRIC.to_owned(), n_features)));
        all.insert(SECONDS_METRIC.to_owned(), seconds);
        let mut batch = logged(&all, 0);
        batch.metrics.extend(of_folds);
        registry.log(&child.run_id, &batch)?;
        registry.finish_run(&child.run_id, RunStatus::Finished, now_ms())?;
        Ok(SweptSetting {
            setting,
            params: fit.params().into_iter().collect(),
            mean,
            std,
            n_features,
            train_share: share,
            seconds,
            run_id: child.run_id,
        })
    }

    /// The settings that an earlier process measured for this sweep.
    pub(super) fn known(&self) -> Result<Vec<SweptSetting>> {
        let query = RunQuery {
            filter: Some(format!(
                "tags.`{PARENT_RUN_TAG}` = '{}' and attributes.status = 'FINISHED'",
                self.run.run_id
            )),
            ..RunQuery::default()
        };
        let runs = self.book.registry()?.search_runs(&query)?;
        let read = |run: &Run| -> Option<SweptSetting> {
            let setting: usize = run.tags.get(SETTING_TAG)?.parse().ok()?;
            let fit = self.candidates.get(setting)?.fit();
            let own = |key: &str| {
                key.starts_with(FOLD_PREFIX) || key == FEATURES_METRIC || key == SECONDS_METRIC
            };
            let (mut mean, mut std) = (BTreeMap::new(), BTreeMap::new());
            for (key, value) in &run.metrics {
                match key.strip_prefix(STD_PREFIX) {
                    Some(name) => std.insert(name.to_owned(), *value),
                    None if own(key) => None,
                    None => mean.insert(key.clone(), *value),
                };
            }
            Some(SweptSetting {
                setting,
                params: fit.params().into_iter().collect(),
                mean,
                std,
                n_features: run.metrics.get(FEATURES_METRIC).copied(),
                train_share: match run.params.get(SHARE_PARAM) {
                    Some(share) => share.parse().ok()?,
                    None => 1.0,
                },
                seconds: run.metrics.get(SECONDS_METRIC).copied().unwrap_or(0.0),
                run_id: run.run_id.clone(),
            })
        };
        Ok(runs.iter().filter_map(read).collect())
    }
}

/// The measurements of a setting.
#[derive(Default)]
pub(super) struct FoldOutcomes {
    /// Of each fold.
    pub(super) folds: Vec<BTreeMap<String, f64>>,
    /// Terms learnt in each fold; none for a net.
    pub(super) n_features: Vec<f64>,
}

/// Each fold's metrics, with the fold as their step.
fn fold_history(folds: &[BTreeMap<String, f64>]) -> Vec<Metric> {
    let of_fold = |(fold_idx, metrics): (usize, &BTreeMap<String, f64>)| {
        logged(&prefixed(FOLD_PREFIX, metrics), fold_idx as i64 + 1).metrics
    };
    folds.iter().enumerate().flat_map(of_fold).collect()
}
