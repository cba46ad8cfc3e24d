//! A classifier kept: its files, its measurement and its metrics with a run, and where wanted a version
//! of a registered model. Training and importing end here; neither learning nor measuring is done.

use std::collections::BTreeMap;

use super::{Book, CODE_VERSION, measured::CODE_VERSION_TAG, now_ms, python_flavour};
use crate::{
    actor,
    error::{Error, Result},
    evaluate::{self, Evaluation},
    model::Classifier,
    monitor::{PROFILE_FILE, ReferenceProfile},
    registry::{Artifact, Lineage, Metric, ModelVersion, NewVersion, PROCESS_TAG, Run, RunBatch},
};

/// The folder of a run's artifacts that holds the classifier's files.
const MODEL_DIR: &str = "model";

/// A classifier that is to be kept with its run.
pub(super) struct Keeping<'a> {
    pub(super) run: &'a Run,
    /// [`Book::keep_files`]'s.
    pub(super) files: Vec<Artifact>,
    /// The measurement whose artifacts are kept.
    pub(super) evaluation: Option<&'a Evaluation>,
    /// The folder of those artifacts with a `/`, or nothing for the run's own.
    pub(super) place: &'static str,
    /// The metrics of the run.
    pub(super) metrics: &'a BTreeMap<String, f64>,
    /// The profile of the model's answers, kept among the files of a version.
    pub(super) profile: Option<&'a ReferenceProfile>,
    /// The version to register.
    pub(super) version: Option<Registering>,
}

/// A version that is to be registered.
pub(super) struct Registering {
    pub(super) model: String,
    pub(super) lineage: Lineage,
    /// Metrics on the lineage's test split.
    pub(super) metrics: BTreeMap<String, f64>,
}

impl Book {
    /// Keeps a classifier's files as artifacts of its run.
    pub(super) fn keep_files(
        &self,
        run: &Run,
        classifier: &dyn Classifier,
    ) -> Result<Vec<Artifact>> {
        let folder = tempfile::tempdir()
            .map_err(|source| Error::io("create in", &std::env::temp_dir(), source))?;
        classifier.save(folder.path())?;
        python_flavour::write(folder.path(), classifier, &run.run_id, now_ms())?;
        self.tracker()?.log_artifacts(&run.run_id, folder.path(), MODEL_DIR)
    }

    /// Keeps the rest of a classifier with its run, and registers a version where one is wanted.
    pub(super) fn keep(&self, keeping: Keeping<'_>) -> Result<Option<ModelVersion>> {
        let Keeping { run, mut files, evaluation, place, metrics, profile, version } = keeping;
        let registry = self.tracker()?;
        for (name, bytes) in evaluation.map(evaluate::artifacts).unwrap_or_default() {
            registry.log_artifact(&run.run_id, &format!("{place}{name}"), &bytes)?;
        }
        if !metrics.is_empty() {
            registry.log(&run.run_id, &logged(metrics, 0))?;
        }
        let Some(Registering { model, lineage, metrics }) = version else { return Ok(None) };
        if let Some(profile) = profile {
            let path = format!("{MODEL_DIR}/{PROFILE_FILE}");
            files.push(registry.log_artifact(&run.run_id, &path, &profile.to_json())?);
        }
        let version = NewVersion {
            model,
            run_id: run.run_id.clone(),
            files: model_files(files),
            lineage,
            metrics,
            created_ms: now_ms(),
        };
        registry.create_version(version).map(Some)
    }

    /// The tags of every run that this process begins.
    pub(super) fn own_tags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("trialbook.user".to_owned(), self.who().to_owned()),
            (CODE_VERSION_TAG.to_owned(), CODE_VERSION.to_owned()),
            (PROCESS_TAG.to_owned(), this_process()),
        ])
    }
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

/// `PID@HOST`: tells a live run from one whose process died without a word.
pub(super) fn this_process() -> String {
    format!("{}@{}", std::process::id(), actor::host())
}

/// A run's artifacts below `model/` under the names they have inside the model folder.
fn model_files(artifacts: Vec<Artifact>) -> Vec<Artifact> {
    let inside = |artifact: Artifact| {
        let name = artifact.path.strip_prefix(MODEL_DIR).and_then(|rest| rest.strip_prefix('/'));
        Artifact { path: name.unwrap_or(&artifact.path).to_owned(), ..artifact }
    };
    artifacts.into_iter().map(inside).collect()
}
