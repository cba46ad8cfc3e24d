//! A tracking store that is written, whatever it is kept in.

use crate::{
    error::Result,
    registry::{
        Artifact, Experiment, LoggedMetric, LoggedModel, Registry, TakenModel, WholeModel, WholeRun,
    },
};

/// A run on its way out.
pub(super) struct OutgoingRun<'a> {
    pub(super) whole: WholeRun,
    /// The logged models that it made, with their files.
    pub(super) made: Vec<OutgoingModel<'a>>,
    /// Its measurements of logged models, each by its id.
    pub(super) measured: Vec<(&'a str, &'a LoggedMetric)>,
}

/// A logged model on its way out.
pub(super) struct OutgoingModel<'a> {
    pub(super) model: &'a LoggedModel,
    pub(super) artifacts: Vec<Artifact>,
}

/// A registered model on its way out.
pub(super) struct OutgoingVersions {
    pub(super) whole: WholeModel,
    /// For each version its files as the artifacts of its run have them: the folder in them.
    pub(super) folders: Vec<Option<String>>,
}

/// The outcome for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It was written.
    New,
    /// It was there.
    Present,
}

/// A store that is written. Ids that it is asked about are this registry's.
pub(super) trait Target {
    /// Its place, as people write it.
    fn place(&self) -> &str;

    /// Makes an experiment unless one with its name is there.
    fn put_experiment(&mut self, experiment: &Experiment) -> Result<Put>;

    /// True if the run is there, complete.
    fn has_run(&mut self, experiment_id: &str, run_id: &str) -> Result<bool>;

    /// Writes a run whole, with the logged models that it made.
    fn put_run(&mut self, registry: &Registry, run: &OutgoingRun) -> Result<()>;

    /// Writes a logged model that no run made.
    fn put_logged_model(&mut self, registry: &Registry, model: &OutgoingModel) -> Result<Put>;

    /// Writes a registered model and those of its versions that are not there.
    fn put_model(&mut self, registry: &Registry, model: &OutgoingVersions) -> Result<TakenModel>;

    /// Ends the export: what could only be done once all of it was there.
    fn finish(&mut self) -> Result<()>;
}
