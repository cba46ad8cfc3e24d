//! A registry that a server keeps, MLflow's own or one of ours, asked in MLflow's REST API. What such a
//! server has no place for is kept in tags ([`tags`]). Nothing here is a transaction: what is written in
//! several steps is read again, and said where somebody else came in between.

mod artifacts;
mod client;
mod releases;
mod runs;
mod shapes;
mod stages;
mod tags;
mod versions;

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

pub use tags::{
    FILES_TAG, FORMER_TAG, HISTORY_TAG, LINEAGE_TAG, METRICS_TAG, RELEASE_END_TAG, RELEASE_TAG,
    VERDICT_TAG, is_record_tag, metrics_of, record_tags, take_record_tags,
};

use self::client::Client;
use super::{
    artifact_files::ArtifactFiles,
    record::{
        Artifact, Experiment, Metric, ModelVersion, NewRun, NewVersion, RegisteredModel, Run,
        RunBatch, RunQuery, RunUpdate, Stage,
    },
    reference::ModelReference,
    release::{NewRelease, Release, ReleaseEnd},
    tracker::{GateSeal, Permit, Tracker},
};
use crate::{address::RegistryAddress, error::Result, model::ModelFiles, store::Store};

/// A registry that a server keeps. Making one asks nothing yet.
pub(super) struct RemoteRegistry {
    client: Client,
    store: Store,
    /// The files of versions that were used here.
    cache: ArtifactFiles,
}

impl RemoteRegistry {
    pub(super) fn new(address: &RegistryAddress, store: &Store) -> Result<Self> {
        Ok(Self {
            client: Client::new(address)?,
            store: store.clone(),
            cache: ArtifactFiles::new(store.cache_dir().join("artifacts")),
        })
    }
}

impl Tracker for RemoteRegistry {
    fn place(&self) -> String {
        self.client.place().to_owned()
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn experiment(&self, name: &str) -> Result<Experiment> {
        self.named_or_new_experiment(name)
    }

    fn find_experiment(&self, id_or_name: &str) -> Result<Experiment> {
        self.experiment_called(id_or_name)
    }

    fn create_run(&self, new: NewRun) -> Result<Run> {
        self.begin_run(new)
    }

    fn log(&self, run_id: &str, batch: &RunBatch) -> Result<()> {
        self.log_parts(run_id, batch)
    }

    fn update_run(&self, run_id: &str, update: RunUpdate) -> Result<()> {
        self.change_run(run_id, update)
    }

    fn delete_run_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.remove_run_tag(run_id, key)
    }

    fn run(&self, run: &str) -> Result<Run> {
        self.run_called(run).map(|found| found.run)
    }

    fn search_runs(&self, query: &RunQuery) -> Result<Vec<Run>> {
        self.runs_of(query)
    }

    fn histories(&self, run_id: &str) -> Result<Vec<Metric>> {
        let run = self.run_called(run_id)?.run;
        let mut points = Vec::new();
        for key in run.metrics.keys() {
            points.extend(self.history(run_id, key)?);
        }
        Ok(points)
    }

    fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        self.history(run_id, key)
    }

    fn delete_run(&self, run: &str) -> Result<()> {
        self.set_run_deleted(run, true)
    }

    fn restore_run(&self, run: &str) -> Result<()> {
        self.set_run_deleted(run, false)
    }

    fn log_artifact(&self, run_id: &str, path: &str, bytes: &[u8]) -> Result<Artifact> {
        self.upload_bytes(run_id, path, bytes)
    }

    fn log_artifacts(&self, run_id: &str, dir: &Path, prefix: &str) -> Result<Vec<Artifact>> {
        self.upload_folder(run_id, dir, prefix)
    }

    fn artifacts(&self, run_id: &str) -> Result<Vec<Artifact>> {
        self.artifacts_of_run(run_id)
    }

    fn read_artifact(&self, run_id: &str, artifact: &Artifact) -> Result<Vec<u8>> {
        self.artifact_bytes(run_id, artifact)
    }

    fn models(&self) -> Result<Vec<RegisteredModel>> {
        self.all_models()
    }

    fn model(&self, name: &str) -> Result<RegisteredModel> {
        self.model_called(name)
    }

    fn versions(&self, model: &str) -> Result<Vec<ModelVersion>> {
        self.versions_of(model)
    }

    fn version(&self, model: &str, version: u32) -> Result<ModelVersion> {
        self.version_numbered(model, version)
    }

    fn production(&self, model: &str) -> Result<Option<ModelVersion>> {
        self.in_production(model)
    }

    fn resolve(&self, reference: &ModelReference) -> Result<ModelVersion> {
        self.version_meant(reference)
    }

    fn create_version(&self, new: NewVersion) -> Result<ModelVersion> {
        self.register(new)
    }

    fn refresh_registered(&self, model: &str, version: u32) -> Result<ModelVersion> {
        self.measured_by_now(model, version)
    }

    fn model_files(&self, version: &ModelVersion) -> Result<ModelFiles> {
        self.files_here(version)
    }

    fn tag_model(
        &self,
        model: &str,
        version: Option<u32>,
        key: &str,
        value: Option<&str>,
    ) -> Result<()> {
        self.tag_of_people(key)?;
        self.tag(model, version, key, value)
    }

    fn set_alias(&self, model: &str, alias: &str, version: Option<u32>) -> Result<()> {
        self.point_alias(model, alias, version)
    }

    fn delete_model(&self, model: &str, version: Option<u32>) -> Result<()> {
        self.delete(model, version)
    }

    fn remembered_production(&self, model: &str) -> Option<ModelVersion> {
        self.remembered(model)
    }

    fn set_verdict(&self, model: &str, version: u32, verdict: Value, _: GateSeal) -> Result<()> {
        self.tag(model, Some(version), VERDICT_TAG, Some(&verdict.to_string()))
    }

    fn set_stage(
        &self,
        model: &str,
        version: u32,
        stage: Stage,
        permit: &mut Permit<'_>,
        _: GateSeal,
    ) -> Result<ModelVersion> {
        self.move_version(model, version, stage, permit)
    }

    fn rollback(&self, model: &str, note: &str, _: GateSeal) -> Result<(u32, u32)> {
        self.take_back(model, note)
    }

    fn release(&self, model: &str) -> Result<Option<Release>> {
        self.newest_release(model)
    }

    fn start_release(&self, new: NewRelease, _: GateSeal) -> Result<Release> {
        self.begin_release(new)
    }

    fn advance_release(
        &self,
        model: &str,
        id: &str,
        from_step_idx: usize,
        evidence: Value,
        _: GateSeal,
    ) -> Result<Release> {
        self.step_release(model, id, from_step_idx, evidence)
    }

    fn end_release(
        &self,
        model: &str,
        id: Option<&str>,
        end: ReleaseEnd,
        _: GateSeal,
    ) -> Result<Release> {
        self.finish_release(model, id, end)
    }

    fn versions_by_run(&self) -> Result<BTreeMap<String, String>> {
        self.names_by_run()
    }
}
