//! The needs of a model's lifecycle from a registry, wherever that lies: runs, versions, their files and
//! their stages. The store's own registry and one that a server keeps both do it. It refuses to know
//! what only a store has: keys, backups, the audit trail.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    Registry,
    record::{
        Artifact, Experiment, Metric, ModelVersion, NewRun, NewVersion, RegisteredModel, Run,
        RunBatch, RunQuery, RunStatus, RunUpdate, Stage,
    },
    reference::ModelReference,
    release::{NewRelease, Release, ReleaseEnd},
    stages::Grounds,
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    model::ModelFiles,
    store::Store,
};

/// Decides about a move to a stage, given the version and the present Production version: the grounds
/// that are kept, or the error that refuses it.
pub type Permit<'a> = dyn FnMut(&ModelVersion, Option<&ModelVersion>) -> Result<Grounds> + 'a;

/// The gate's own right to change verdicts and stages: nothing outside this library can make one.
#[derive(Debug)]
pub struct GateSeal(());

impl GateSeal {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// A registry for the steps of a model's lifecycle. [`Registry`](super::Registry) is the store's own;
/// [`tracker`](super::tracker) gives the one that a store says it uses.
pub trait Tracker: Send + Sync {
    /// Its place, for people: the store's folder or a server's address.
    fn place(&self) -> String;

    /// The store that it is used from.
    fn store(&self) -> &Store;

    /// The store's own registry, if this is it: that alone has keys and an audit trail.
    fn own(&self) -> Option<&Registry> {
        None
    }

    /// The live experiment called `name`, which is made if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for a deleted one, [`ErrorKind::Invalid`] for a name that cannot be used.
    fn experiment(&self, name: &str) -> Result<Experiment>;

    /// An experiment by id or name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the names there are.
    fn find_experiment(&self, id_or_name: &str) -> Result<Experiment>;

    /// Begins a run.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an experiment that is not there.
    fn create_run(&self, new: NewRun) -> Result<Run>;

    /// Logs metrics, params and tags of a run.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] for a deleted run or a param with another value.
    fn log(&self, run_id: &str, batch: &RunBatch) -> Result<()>;

    /// Changes a run's name or status.
    ///
    /// # Errors
    /// As [`Tracker::log`].
    fn update_run(&self, run_id: &str, update: RunUpdate) -> Result<()>;

    /// Ends a run.
    ///
    /// # Errors
    /// As [`Tracker::log`].
    fn finish_run(&self, run_id: &str, status: RunStatus, end_ms: i64) -> Result<()> {
        let update = RunUpdate { status: Some(status), end_ms: Some(end_ms), name: None };
        self.update_run(run_id, update)
    }

    /// Removes a run's tag.
    ///
    /// # Errors
    /// As [`Tracker::log`].
    fn delete_run_tag(&self, run_id: &str, key: &str) -> Result<()>;

    /// A run by id, by a unique prefix of at least 4 characters, or by a unique name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] if several fit.
    fn run(&self, run: &str) -> Result<Run>;

    /// The runs that fit a query, in its order.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a filter or an order that cannot be read.
    fn search_runs(&self, query: &RunQuery) -> Result<Vec<Run>>;

    /// Every point of every metric of a run.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    fn histories(&self, run_id: &str) -> Result<Vec<Metric>>;

    /// The points of one metric of a run.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        let mut points = self.histories(run_id)?;
        points.retain(|point| point.key == key);
        Ok(points)
    }

    /// Deletes a run, which can be restored.
    ///
    /// # Errors
    /// As [`Tracker::run`].
    fn delete_run(&self, run: &str) -> Result<()>;

    /// Restores a deleted run.
    ///
    /// # Errors
    /// As [`Tracker::run`].
    fn restore_run(&self, run: &str) -> Result<()>;

    /// Keeps `bytes` as the artifact `path` of a run.
    ///
    /// # Errors
    /// As [`Tracker::log`].
    fn log_artifact(&self, run_id: &str, path: &str, bytes: &[u8]) -> Result<Artifact>;

    /// Keeps every plain file below `dir` as an artifact called `prefix/relative/path`.
    ///
    /// # Errors
    /// As [`Tracker::log`], and when `dir` cannot be read.
    fn log_artifacts(&self, run_id: &str, dir: &Path, prefix: &str) -> Result<Vec<Artifact>>;

    /// A run's artifacts, by path. Where nobody recorded a file's SHA-256, it is empty.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    fn artifacts(&self, run_id: &str) -> Result<Vec<Artifact>>;

    /// The bytes of one of [`Tracker::artifacts`].
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if they are not those that were written.
    fn read_artifact(&self, run_id: &str, artifact: &Artifact) -> Result<Vec<u8>>;

    /// Every registered model, by name.
    ///
    /// # Errors
    /// When it cannot be read.
    fn models(&self) -> Result<Vec<RegisteredModel>>;

    /// The registered model called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the names there are.
    fn model(&self, name: &str) -> Result<RegisteredModel>;

    /// Every version of a model, oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    fn versions(&self, model: &str) -> Result<Vec<ModelVersion>>;

    /// One version of a model.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the versions there are.
    fn version(&self, model: &str, version: u32) -> Result<ModelVersion>;

    /// The version in Production, if one is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the model does not exist.
    fn production(&self, model: &str) -> Result<Option<ModelVersion>>;

    /// The version that a reference names, as [`Registry::resolve`](super::Registry::resolve) says.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with what there is instead.
    fn resolve(&self, reference: &ModelReference) -> Result<ModelVersion>;

    /// The reference of each run's newest version, by the run's id.
    ///
    /// # Errors
    /// When it cannot be read.
    fn versions_by_run(&self) -> Result<BTreeMap<String, String>> {
        let mut names = BTreeMap::new();
        for model in self.models()? {
            for version in self.versions(&model.name)? {
                let reference = version.reference().to_string();
                names.insert(version.run_id, reference);
            }
        }
        Ok(names)
    }

    /// The model that is meant where none is named: the only one with a Production version or, while
    /// nothing is in production, the only one there is.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] with their names if there are several, [`ErrorKind::NotFound`] if
    /// there is none.
    fn default_model(&self) -> Result<String> {
        let names: Vec<String> = self.models()?.into_iter().map(|model| model.name).collect();
        let mut in_production = Vec::new();
        for name in &names {
            if self.production(name)?.is_some() {
                in_production.push(name.clone());
            }
        }
        let (candidates, fault) = match in_production.is_empty() {
            true => (names, "several models exist, and none is in production"),
            false => (in_production, "several models are in production"),
        };
        match candidates.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Error::new(ErrorKind::NotFound, "there is no model yet").with_hint(
                Hint::from("train one: ")
                    .run("train tfidf --data NAME --deploy")
                    .say(" also puts it in production"),
            )),
            [first, ..] => {
                Err(Error::new(ErrorKind::Conflict, format!("{fault}: {}", candidates.join(", ")))
                    .with_hint(format!("name the model, for example {first}")))
            }
        }
    }

    /// Registers the next version of a model, which is made if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a run that does not exist, [`ErrorKind::Invalid`] for names that
    /// cannot be used or no files.
    fn create_version(&self, new: NewVersion) -> Result<ModelVersion>;

    /// A version with the metrics that its run has by now, if a client of MLflow's registered it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    fn refresh_registered(&self, model: &str, version: u32) -> Result<ModelVersion>;

    /// A version's files on this machine, after every checksum was proved.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if a file's bytes are not those that were written, or not there.
    fn model_files(&self, version: &ModelVersion) -> Result<ModelFiles>;

    /// Sets or removes a tag of a model or of one of its versions.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Invalid`] beyond the limits.
    fn tag_model(
        &self,
        model: &str,
        version: Option<u32>,
        key: &str,
        value: Option<&str>,
    ) -> Result<()>;

    /// Points an alias at a version, or removes it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Invalid`] for an alias that cannot be used.
    fn set_alias(&self, model: &str, alias: &str, version: Option<u32>) -> Result<()>;

    /// Deletes a version, or a model with all its versions.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] for a version that is in use.
    fn delete_model(&self, model: &str, version: Option<u32>) -> Result<()>;

    /// The version that was in Production when the registry was last asked, for the time that it is
    /// away; always none for a store's own.
    fn remembered_production(&self, _model: &str) -> Option<ModelVersion> {
        None
    }

    /// Stores a gate's verdict with a version.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    fn set_verdict(&self, model: &str, version: u32, verdict: Value, seal: GateSeal) -> Result<()>;

    /// Moves a version to `stage` if `permit` allows it, and archives the former Production version
    /// with a move to Production.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] if it is there already or somebody else
    /// changed stages meanwhile, and whatever `permit` returns.
    fn set_stage(
        &self,
        model: &str,
        version: u32,
        stage: Stage,
        permit: &mut Permit<'_>,
        seal: GateSeal,
    ) -> Result<ModelVersion>;

    /// Brings the former Production version back: the numbers of the version that left and of the one
    /// that is Production again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] when there is nothing to go back to.
    fn rollback(&self, model: &str, note: &str, seal: GateSeal) -> Result<(u32, u32)>;

    /// The newest release of a model, running or over.
    ///
    /// # Errors
    /// When it cannot be read.
    fn release(&self, model: &str) -> Result<Option<Release>>;

    /// Starts a release: servers give its candidate a part of the traffic from then on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] while another one runs and without a Production
    /// version beside it.
    fn start_release(&self, new: NewRelease, seal: GateSeal) -> Result<Release>;

    /// Moves the running release `id` of a model from a step, counted from 0, to the next one.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it is over, at another step, or another release.
    fn advance_release(
        &self,
        model: &str,
        id: &str,
        from_step_idx: usize,
        evidence: Value,
        seal: GateSeal,
    ) -> Result<Release>;

    /// Ends the running release of a model; that of this `id`, where one is meant. An end is final.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] when it is over already.
    fn end_release(
        &self,
        model: &str,
        id: Option<&str>,
        end: ReleaseEnd,
        seal: GateSeal,
    ) -> Result<Release>;
}
