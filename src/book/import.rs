//! Registering a checkpoint that was trained elsewhere.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Book, CODE_VERSION, now_ms,
    train::{logged, model_files, this_process},
};
use crate::{
    error::{Error, Result},
    evaluate::{self, evaluate_on},
    model::{Classifier as _, neural},
    progress::Monitor,
    registry::{
        DEFAULT_EXPERIMENT, Lineage, ModelVersion, NewRun, NewVersion, PROCESS_TAG, RunStatus,
    },
};

/// What to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// A Hugging Face snapshot: a folder with `config.json`, `model.safetensors` or
    /// `pytorch_model.bin`, and `tokenizer.json` or `vocab.txt`.
    pub folder: PathBuf,
    /// The registered model that gets a new version.
    pub model: String,
    /// The class names in label order; without them they are those of `config.json`.
    pub classes: Option<Vec<String>>,
    /// The dataset on whose test split the version is measured, which a gate needs; or none.
    pub dataset: Option<String>,
}

/// What an import came to.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The new version.
    pub version: ModelVersion,
    /// Which tensors of the checkpoint were left aside, if any.
    pub note: Option<String>,
}

impl Book {
    /// Registers a checkpoint as a new version, with a run that says where it came from.
    ///
    /// # Errors
    /// A checkpoint that cannot be used, an unknown dataset, or one with other classes.
    pub fn import(&self, request: &ImportRequest, monitor: &Monitor) -> Result<Imported> {
        self.check_model_name(&request.model)?;
        let (classifier, note) = monitor
            .stage("reading", None, || neural::import(&request.folder, request.classes.clone()))?;
        let datasets = self.datasets();
        let test = match &request.dataset {
            Some(dataset) => Some(datasets.split(dataset, "test")?),
            None => None,
        };
        self.store().make_dir(self.store().root())?;
        let registry = self.registry()?;
        let experiment = registry.experiment(DEFAULT_EXPERIMENT)?;
        let folder = request.folder.display().to_string();
        let mut params = BTreeMap::from([
            ("model".to_owned(), classifier.name().to_owned()),
            ("imported_from".to_owned(), folder),
        ]);
        params.extend(request.dataset.iter().map(|name| ("dataset".to_owned(), name.clone())));
        let tags = BTreeMap::from([
            ("trialbook.user".to_owned(), self.who().to_owned()),
            ("trialbook.code_version".to_owned(), CODE_VERSION.to_owned()),
            (PROCESS_TAG.to_owned(), this_process()),
        ]);
        let run = registry.create_run(NewRun {
            experiment_id: experiment.experiment_id,
            name: None,
            start_ms: now_ms(),
            tags,
            params,
        })?;
        self.in_run(&run, || {
            let evaluation = test
                .as_ref()
                .map(|test| monitor.stage("evaluating", None, || evaluate_on(&classifier, test)));
            let evaluation = evaluation.transpose()?;
            let saved = tempfile::tempdir()
                .map_err(|source| Error::io("create in", &std::env::temp_dir(), source))?;
            classifier.save(saved.path())?;
            let artifacts = registry.log_artifacts(&run.run_id, saved.path(), "model")?;
            let mut metrics = BTreeMap::new();
            if let Some(evaluation) = &evaluation {
                metrics = evaluation.metrics().into_iter().collect();
                for (name, bytes) in evaluate::artifacts(evaluation) {
                    registry.log_artifact(&run.run_id, &name, &bytes)?;
                }
                registry.log(&run.run_id, &logged(&metrics, 0))?;
            }
            let fingerprint = |sha256: Option<&String>| sha256.cloned().unwrap_or_default();
            let version = registry.create_version(NewVersion {
                model: request.model.clone(),
                run_id: run.run_id.clone(),
                files: model_files(artifacts),
                lineage: Lineage {
                    dataset: request.dataset.clone().unwrap_or_default(),
                    train_fingerprint: String::new(),
                    test_fingerprint: fingerprint(
                        test.as_ref().map(|test| &test.fingerprint.sha256),
                    ),
                    code_version: CODE_VERSION.to_owned(),
                    seed: 0,
                },
                metrics,
                created_ms: now_ms(),
            })?;
            registry.finish_run(&run.run_id, RunStatus::Finished, now_ms())?;
            Ok(Imported { version, note })
        })
    }
}
