//! The store's own registry as a [`Tracker`]: every step is the registry's own, a transaction each.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    Registry,
    record::{
        Artifact, Experiment, Metric, ModelVersion, NewRun, NewVersion, RegisteredModel, Run,
        RunBatch, RunQuery, RunUpdate, Stage,
    },
    reference::ModelReference,
    release::{NewRelease, Release, ReleaseEnd},
    tracker::{GateSeal, Permit, Tracker},
};
use crate::{error::Result, model::ModelFiles, store::Store};

impl Tracker for Registry {
    fn place(&self) -> String {
        self.store.root().display().to_string()
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn own(&self) -> Option<&Registry> {
        Some(self)
    }

    fn experiment(&self, name: &str) -> Result<Experiment> {
        self.experiment(name)
    }

    fn find_experiment(&self, id_or_name: &str) -> Result<Experiment> {
        self.find_experiment(id_or_name)
    }

    fn create_run(&self, new: NewRun) -> Result<Run> {
        self.create_run(new)
    }

    fn log(&self, run_id: &str, batch: &RunBatch) -> Result<()> {
        self.log(run_id, batch)
    }

    fn update_run(&self, run_id: &str, update: RunUpdate) -> Result<()> {
        self.update_run(run_id, update)
    }

    fn delete_run_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.delete_run_tag(run_id, key)
    }

    fn run(&self, run: &str) -> Result<Run> {
        self.run(run)
    }

    fn search_runs(&self, query: &RunQuery) -> Result<Vec<Run>> {
        self.search_runs(query)
    }

    fn histories(&self, run_id: &str) -> Result<Vec<Metric>> {
        self.histories(run_id)
    }

    fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        self.metric_history(run_id, key)
    }

    fn delete_run(&self, run: &str) -> Result<()> {
        self.delete_run(run)
    }

    fn restore_run(&self, run: &str) -> Result<()> {
        self.restore_run(run)
    }

    fn log_artifact(&self, run_id: &str, path: &str, bytes: &[u8]) -> Result<Artifact> {
        self.log_artifact(run_id, path, bytes)
    }

    fn log_artifacts(&self, run_id: &str, dir: &Path, prefix: &str) -> Result<Vec<Artifact>> {
        self.log_artifacts(run_id, dir, prefix)
    }

    fn artifacts(&self, run_id: &str) -> Result<Vec<Artifact>> {
        self.artifacts(run_id)
    }

    fn read_artifact(&self, _run_id: &str, artifact: &Artifact) -> Result<Vec<u8>> {
        self.read_artifact(artifact)
    }

    fn models(&self) -> Result<Vec<RegisteredModel>> {
        self.models()
    }

    fn model(&self, name: &str) -> Result<RegisteredModel> {
        self.model(name)
    }

    fn versions(&self, model: &str) -> Result<Vec<ModelVersion>> {
        self.versions(model)
    }

    fn version(&self, model: &str, version: u32) -> Result<ModelVersion> {
        self.version(model, version)
    }

    fn production(&self, model: &str) -> Result<Option<ModelVersion>> {
        self.production(model)
    }

    fn resolve(&self, reference: &ModelReference) -> Result<ModelVersion> {
        self.resolve(reference)
    }

    fn versions_by_run(&self) -> Result<BTreeMap<String, String>> {
        self.versions_by_run()
    }

    fn create_version(&self, new: NewVersion) -> Result<ModelVersion> {
        self.create_version(new)
    }

    fn refresh_registered(&self, model: &str, version: u32) -> Result<ModelVersion> {
        self.refresh_registered(model, version)
    }

    fn model_files(&self, version: &ModelVersion) -> Result<ModelFiles> {
        self.model_files(version)
    }

    fn tag_model(
        &self,
        model: &str,
        version: Option<u32>,
        key: &str,
        value: Option<&str>,
    ) -> Result<()> {
        self.tag_model(model, version, key, value)
    }

    fn set_alias(&self, model: &str, alias: &str, version: Option<u32>) -> Result<()> {
        self.set_alias(model, alias, version)
    }

    fn delete_model(&self, model: &str, version: Option<u32>) -> Result<()> {
        self.delete_model(model, version)
    }

    fn set_verdict(&self, model: &str, version: u32, verdict: Value, _: GateSeal) -> Result<()> {
        self.set_verdict(model, version, verdict)
    }

    fn set_stage(
        &self,
        model: &str,
        version: u32,
        stage: Stage,
        permit: &mut Permit<'_>,
        _: GateSeal,
    ) -> Result<ModelVersion> {
        self.set_stage(model, version, stage, permit)
    }

    fn rollback(&self, model: &str, note: &str, _: GateSeal) -> Result<(u32, u32)> {
        let moved = self.rollback(model, note)?;
        Ok((moved.from.version, moved.to.version))
    }

    fn release(&self, model: &str) -> Result<Option<Release>> {
        self.release(model)
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
}
