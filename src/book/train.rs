//! One training as one run: read, fit, predict, evaluate, keep. Whatever happens, the run says how
//! it ended.

use std::{
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use super::{Book, CODE_VERSION, now_ms, resume::Unfinished};
use crate::{
    actor,
    error::{Error, ErrorKind, Result},
    evaluate::{self, Evaluation, evaluate_on},
    model::{self, Fit},
    progress::Monitor,
    registry::{
        Artifact, DEFAULT_EXPERIMENT, DEFAULT_MODEL, Lineage, Metric, ModelVersion, NewRun,
        NewVersion, PROCESS_TAG, Run, RunBatch, RunQuery, RunStatus, RunUpdate,
    },
};

/// What to train on and where to keep the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainRequest {
    /// The dataset's name; its `train` split is learnt, its `test` split is measured.
    pub dataset: String,
    /// The experiment the run belongs to. Default `sentiment-analysis`.
    pub experiment: String,
    /// The registered model that gets a new version, or `None` to keep only the run.
    pub model: Option<String>,
    /// The run's name, made up when absent.
    pub run_name: Option<String>,
    /// Tags of the run.
    pub tags: BTreeMap<String, String>,
    /// The seed that everything random comes from. Default 42.
    pub seed: u64,
}

impl TrainRequest {
    /// Training on `dataset` with every default.
    pub fn new(dataset: &str) -> Self {
        Self {
            dataset: dataset.to_owned(),
            experiment: DEFAULT_EXPERIMENT.to_owned(),
            model: Some(DEFAULT_MODEL.to_owned()),
            run_name: None,
            tags: BTreeMap::new(),
            seed: 42,
        }
    }
}

/// Seconds of wall time that each step took.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Reading both splits.
    pub read_s: f64,
    /// Vectorising and fitting.
    pub fit_s: f64,
    /// Predicting the test split and measuring the answers.
    pub evaluate_s: f64,
    /// Saving the model and the run's artifacts.
    pub save_s: f64,
    /// All of it, bookkeeping included.
    pub total_s: f64,
}

/// What a training left behind.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The finished run.
    pub run: Run,
    /// The registered version, where one was asked for.
    pub version: Option<ModelVersion>,
    /// The measurement on the test split.
    pub evaluation: Evaluation,
    /// What the model is made of.
    pub model: serde_json::Value,
    /// Where the time went.
    pub timings: Timings,
}

/// The folds of a cross-validation.
#[derive(Debug, Clone, Serialize)]
pub struct CrossValidation {
    /// One set of metrics a fold.
    pub folds: Vec<BTreeMap<String, f64>>,
    /// Mean over the folds.
    pub mean: BTreeMap<String, f64>,
    /// Standard deviation over the folds (n - 1 in the denominator).
    pub std: BTreeMap<String, f64>,
}

impl Book {
    /// Trains, measures and registers one model as one run. An error or an interrupt ends the run
    /// as FAILED or KILLED and keeps what was logged until then.
    ///
    /// # Errors
    /// An unknown dataset (then there is no run), unusable data, or a store that cannot be written.
    pub fn train(
        &self,
        fit: &dyn Fit,
        request: &TrainRequest,
        monitor: &Monitor,
    ) -> Result<Trained> {
        let run = self.begin(fit, request)?;
        self.in_run(&run, || {
            let unfinished = Unfinished::begin(self, &run, fit, request)?;
            self.train_in(&run, fit, request, unfinished.as_ref(), monitor)
        })
    }

    /// Measures a configuration by stratified k-fold cross-validation on the train split, as one
    /// run that registers no version.
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
        let run = self.begin(fit, request)?;
        self.in_run(&run, || self.cross_validate_in(&run, fit, request, n_folds, monitor))
    }

    /// Marks as FAILED the runs whose process is gone: killed at once, it could not say so itself.
    /// Those that keep checkpoints tell it by their lock, on whatever machine they ran, others by
    /// their process on this one. Returns how many there were.
    ///
    /// # Errors
    /// When the registry cannot be read or written.
    pub fn settle_dead_runs(&self) -> Result<usize> {
        let registry = self.registry()?;
        let running = RunQuery {
            filter: Some("attributes.status = 'RUNNING'".to_owned()),
            ..RunQuery::default()
        };
        let mut n_settled = 0;
        for run in registry.search_runs(&running)? {
            let is_dead = match Unfinished::is_at_work(self, &run) {
                Some(is_at_work) => !is_at_work,
                None => run.tags.get(PROCESS_TAG).is_some_and(|process| is_dead(process)),
            };
            if !is_dead {
                continue;
            }
            let error = ("trialbook.error".to_owned(), "its process died".to_owned());
            registry.log(&run.run_id, &RunBatch { tags: vec![error], ..RunBatch::default() })?;
            let failed = RunUpdate { status: Some(RunStatus::Failed), ..RunUpdate::default() };
            registry.update_run(&run.run_id, failed)?;
            n_settled += 1;
        }
        Ok(n_settled)
    }

    /// Lets `work` fill an open run and closes it by how the work ended.
    pub(super) fn in_run<T>(&self, run: &Run, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let registry = self.registry()?;
        // A bug in a model must not leave a run that seems to go on for ever.
        let outcome = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "training panicked")
                .with_hint("this is a bug: please report the message above"))
        });
        if let Err(error) = &outcome {
            let status = match error.kind() {
                ErrorKind::Interrupted => RunStatus::Killed,
                _ => RunStatus::Failed,
            };
            let tags = vec![("trialbook.error".to_owned(), error.chain())];
            // The first error is the one to show; if the store is what failed, these fail too.
            let _ = registry.log(&run.run_id, &RunBatch { tags, ..RunBatch::default() });
            let _ = registry.finish_run(&run.run_id, status, now_ms());
        }
        outcome
    }

    /// Opens a run.
    fn begin(&self, fit: &dyn Fit, request: &TrainRequest) -> Result<Run> {
        if let Some(model) = &request.model {
            // Known before anything is computed, so said before.
            self.check_model_name(model)?;
        }
        let dataset = self.datasets().get(&request.dataset)?;
        let registry = self.registry()?;
        let experiment = registry.experiment(&request.experiment)?;
        let mut params: BTreeMap<String, String> = fit.params().into_iter().collect();
        params.insert("model".to_owned(), fit.name().to_owned());
        params.insert("dataset".to_owned(), dataset.name.clone());
        params.insert("seed".to_owned(), request.seed.to_string());
        let mut tags = request.tags.clone();
        tags.insert("trialbook.user".to_owned(), self.who().to_owned());
        tags.insert("trialbook.code_version".to_owned(), CODE_VERSION.to_owned());
        tags.insert(PROCESS_TAG.to_owned(), this_process());
        for split in &dataset.splits {
            tags.insert(fingerprint_tag(&split.name), split.fingerprint.sha256.clone());
        }
        registry.create_run(NewRun {
            experiment_id: experiment.experiment_id,
            name: request.run_name.clone(),
            start_ms: now_ms(),
            tags,
            params,
        })
    }

    pub(super) fn train_in(
        &self,
        run: &Run,
        fit: &dyn Fit,
        request: &TrainRequest,
        unfinished: Option<&Unfinished>,
        monitor: &Monitor,
    ) -> Result<Trained> {
        let registry = self.registry()?;
        let started = Instant::now();
        let mut timings = Timings::default();

        let clock = Instant::now();
        let datasets = self.datasets();
        let train = monitor.stage("reading", None, || datasets.split(&request.dataset, "train"))?;
        timings.read_s += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let mut log = |key: &str, value: f64, step: u64| {
            let metric = Metric {
                key: key.to_owned(),
                value,
                step: i64::try_from(step).unwrap_or(i64::MAX),
                timestamp_ms: now_ms(),
            };
            registry.log(&run.run_id, &RunBatch { metrics: vec![metric], ..RunBatch::default() })
        };
        let classifier = match unfinished {
            Some(unfinished) => {
                fit.fit_resumable(&train, monitor, &mut log, unfinished.folder())?
            }
            None => fit.fit(&train, monitor, &mut log)?,
        };
        timings.fit_s = clock.elapsed().as_secs_f64();
        let train_fingerprint = train.fingerprint.sha256.clone();
        // The training texts are the largest thing in memory; the test split takes their place.
        drop(train);

        let clock = Instant::now();
        let test = datasets.split(&request.dataset, "test")?;
        timings.read_s += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let evaluation =
            monitor.stage("evaluating", None, || evaluate_on(classifier.as_ref(), &test))?;
        timings.evaluate_s = clock.elapsed().as_secs_f64();
        monitor.interrupt.check()?;

        let clock = Instant::now();
        let metrics: BTreeMap<String, f64> = evaluation.metrics().into_iter().collect();
        let version = monitor.stage("saving", None, || {
            let folder = tempfile::tempdir()
                .map_err(|source| Error::io("create in", &std::env::temp_dir(), source))?;
            classifier.save(folder.path())?;
            let saved = registry.log_artifacts(&run.run_id, folder.path(), "model")?;
            for (name, bytes) in evaluate::artifacts(&evaluation) {
                registry.log_artifact(&run.run_id, &name, &bytes)?;
            }
            registry.log(&run.run_id, &logged(&metrics, 0))?;
            let Some(model) = &request.model else { return Ok(None) };
            let version = registry.create_version(NewVersion {
                model: model.clone(),
                run_id: run.run_id.clone(),
                files: model_files(saved),
                lineage: Lineage {
                    dataset: request.dataset.clone(),
                    train_fingerprint,
                    test_fingerprint: test.fingerprint.sha256.clone(),
                    code_version: CODE_VERSION.to_owned(),
                    seed: request.seed,
                },
                metrics: metrics.clone(),
                created_ms: now_ms(),
            })?;
            Ok::<_, Error>(Some(version))
        })?;
        timings.save_s = clock.elapsed().as_secs_f64();

        registry.finish_run(&run.run_id, RunStatus::Finished, now_ms())?;
        if let Some(unfinished) = unfinished {
            unfinished.forget();
        }
        timings.total_s = started.elapsed().as_secs_f64();
        Ok(Trained {
            run: registry.run(&run.run_id)?,
            version,
            evaluation,
            model: classifier.describe(),
            timings,
        })
    }

    fn cross_validate_in(
        &self,
        run: &Run,
        fit: &dyn Fit,
        request: &TrainRequest,
        n_folds: usize,
        monitor: &Monitor,
    ) -> Result<(Run, CrossValidation)> {
        let registry = self.registry()?;
        let train = self.datasets().split(&request.dataset, "train")?;
        let params = vec![("cv".to_owned(), n_folds.to_string())];
        registry.log(&run.run_id, &RunBatch { params, ..RunBatch::default() })?;
        let mut folds: Vec<BTreeMap<String, f64>> = Vec::with_capacity(n_folds);
        let mut on_fold = |fold: model::Fold| {
            let evaluation =
                evaluate::evaluate(&fold.labels, fold.probabilities.values(), &train.classes)?;
            let metrics: BTreeMap<String, f64> = evaluation.metrics().into_iter().collect();
            let step = i64::try_from(folds.len()).unwrap_or(i64::MAX);
            registry.log(&run.run_id, &prefixed("cv", &metrics, step))?;
            folds.push(metrics);
            Ok(())
        };
        model::cross_validate(fit, &train, n_folds, request.seed, monitor, &mut on_fold)?;
        let summary = CrossValidation::of(folds);
        registry.log(&run.run_id, &prefixed("cv_mean", &summary.mean, 0))?;
        registry.log(&run.run_id, &prefixed("cv_std", &summary.std, 0))?;
        registry.finish_run(&run.run_id, RunStatus::Finished, now_ms())?;
        Ok((registry.run(&run.run_id)?, summary))
    }
}

/// A run's artifacts below `model/` under the names they have inside the model folder.
pub(super) fn model_files(artifacts: Vec<Artifact>) -> Vec<Artifact> {
    let inside = |artifact: Artifact| Artifact {
        path: artifact.path.trim_start_matches("model/").to_owned(),
        ..artifact
    };
    artifacts.into_iter().map(inside).collect()
}

/// `metrics` as they are logged at `step`.
pub(super) fn logged(metrics: &BTreeMap<String, f64>, step: i64) -> RunBatch {
    let timestamp_ms = now_ms();
    let metrics = metrics.iter().map(|(key, value)| Metric {
        key: key.clone(),
        value: *value,
        step,
        timestamp_ms,
    });
    RunBatch { metrics: metrics.collect(), ..RunBatch::default() }
}

/// The same under other names: `cv_f1` for `f1`.
fn prefixed(prefix: &str, metrics: &BTreeMap<String, f64>, step: i64) -> RunBatch {
    let named = metrics.iter().map(|(key, value)| (format!("{prefix}_{key}"), *value));
    logged(&named.collect(), step)
}

/// The tag that says which rows a split had.
pub(super) fn fingerprint_tag(split: &str) -> String {
    format!("trialbook.fingerprint.{split}")
}

/// `PID@HOST`: tells a live run from one whose process died without a word.
pub(super) fn this_process() -> String {
    format!("{}@{}", std::process::id(), actor::host())
}

/// Whether `process`, a `PID@HOST`, ran on this machine and runs no more. Unknown counts as alive.
fn is_dead(process: &str) -> bool {
    let proc = std::path::Path::new("/proc");
    process.split_once('@').is_some_and(|(pid, host)| {
        host == actor::host()
            && pid.bytes().all(|digit| digit.is_ascii_digit())
            && proc.join("self").exists()
            && !proc.join(pid).exists()
    })
}

impl CrossValidation {
    /// Mean and deviation of the metrics that every fold has.
    fn of(folds: Vec<BTreeMap<String, f64>>) -> Self {
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
        Self { folds, mean, std }
    }
}
