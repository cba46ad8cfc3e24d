//! Handing the registry's things over to another tracking store: experiments, runs with the logged
//! models that they made, then registered models. What is there already stays as it is.

use std::collections::BTreeMap;

use super::{
    StorePlace,
    file_target::FileTarget,
    notes,
    report::ExchangeReport,
    rest::RestClient,
    rest_target::RestTarget,
    target::{OutgoingModel, OutgoingRun, OutgoingVersions, Put, Target},
};
use crate::{
    error::{Error, ErrorKind, Result},
    progress::Monitor,
    registry::{
        Artifact, ArtifactOwner, AuditEvent, AuditQuery, Experiment, Lifecycle, LoggedModel,
        ModelVersion, Registry, Run, RunQuery, WholeModel, WholeRun,
    },
};

/// Writes everything that is not at `place` yet.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a database, which only its server writes; when the place cannot be
/// written, and [`ErrorKind::Interrupted`]. What was written until then stays, whole; what could not
/// be written is in the report.
pub fn export(
    registry: &Registry,
    place: &StorePlace,
    monitor: &Monitor,
) -> Result<ExchangeReport> {
    let mut target: Box<dyn Target> = match place {
        StorePlace::Folder(root) => Box::new(FileTarget::open(root)?),
        StorePlace::Server(url) => Box::new(RestTarget::open(RestClient::new(url)?)?),
        StorePlace::Sqlite(path) => {
            let message = format!("{} is a database, which is only read", path.display());
            return Err(Error::invalid(message).with_hint(
                "start `mlflow server` on it and export to its address, or to a folder",
            ));
        }
    };
    let models = registry.logged_models()?;
    let audit = registry.audit(&AuditQuery::default())?;
    let mut export = Export {
        registry,
        monitor,
        report: ExchangeReport {
            from: registry.store().root().display().to_string(),
            to: target.place().to_owned(),
            ..ExchangeReport::default()
        },
        target: target.as_mut(),
        models: &models,
        audit,
    };
    export.write_all()?;
    let report = export.report;
    target.finish()?;
    Ok(report)
}

struct Export<'a> {
    registry: &'a Registry,
    monitor: &'a Monitor,
    report: ExchangeReport,
    target: &'a mut dyn Target,
    models: &'a [LoggedModel],
    audit: Vec<AuditEvent>,
}

impl<'a> Export<'a> {
    fn write_all(&mut self) -> Result<()> {
        for experiment in self.registry.experiments_among(Lifecycle::Any)? {
            let query = RunQuery {
                experiment_ids: vec![experiment.experiment_id.clone()],
                lifecycle: Lifecycle::Any,
                order: vec!["start_time asc".to_owned()],
                ..RunQuery::default()
            };
            let runs = self.registry.search_runs(&query)?;
            match self.target.put_experiment(&experiment) {
                Ok(Put::New) => self.report.moved.n_experiments += 1,
                Ok(Put::Present) => self.report.present.n_experiments += 1,
                Err(error) => {
                    self.leave(format!("experiment {}", experiment.name), error)?;
                    continue;
                }
            }
            self.write_logged_models(&experiment)?;
            self.write_runs(&experiment, runs)?;
        }
        self.write_models()
    }

    fn leave(&mut self, what: String, error: Error) -> Result<()> {
        if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Interrupted) {
            return Err(error);
        }
        self.report.leave(what, error.chain());
        Ok(())
    }

    /// Those that no run of this registry made; the others go with their runs.
    fn write_logged_models(&mut self, experiment: &Experiment) -> Result<()> {
        for model in self.models {
            let run = model.source_run_id.as_deref();
            let is_of_run = run.map_or(Ok(false), |run| self.registry.has_run(run))?;
            if model.experiment_id != experiment.experiment_id || is_of_run {
                continue;
            }
            self.monitor.interrupt.check()?;
            let written = self.outgoing(model).and_then(|outgoing| {
                let put = self.target.put_logged_model(self.registry, &outgoing)?;
                Ok((put, outgoing.artifacts.len()))
            });
            match written {
                Ok((Put::New, n_artifacts)) => {
                    self.report.moved.n_logged_models += 1;
                    self.report.moved.n_artifacts += n_artifacts;
                }
                Ok((Put::Present, _)) => self.report.present.n_logged_models += 1,
                Err(error) => self.leave(format!("logged model {}", model.model_id), error)?,
            }
        }
        Ok(())
    }

    fn outgoing(&self, model: &'a LoggedModel) -> Result<OutgoingModel<'a>> {
        let owner = ArtifactOwner::Model(model.model_id.clone());
        Ok(OutgoingModel { model, artifacts: self.registry.owned_artifacts(&owner)? })
    }

    fn write_runs(&mut self, experiment: &Experiment, runs: Vec<Run>) -> Result<()> {
        let stage = format!("runs of {}", experiment.name);
        self.monitor.progress.begin(&stage, Some(runs.len() as u64));
        let written = runs.into_iter().try_for_each(|run| {
            self.monitor.interrupt.check()?;
            let run_id = run.run_id.clone();
            if let Err(error) = self.write_run(run) {
                self.leave(format!("run {run_id}"), error)?;
            }
            self.monitor.progress.advance(1);
            Ok(())
        });
        self.monitor.progress.end();
        written
    }

    fn write_run(&mut self, mut run: Run) -> Result<()> {
        if self.target.has_run(&run.experiment_id, &run.run_id)? {
            self.report.present.n_runs += 1;
            let made = self.models.iter().filter(|model| is_made_by(model, &run));
            self.report.present.n_logged_models += made.count();
            return Ok(());
        }
        if let Some(note) = self.audit_note(&run.run_id) {
            run.tags.insert(notes::AUDIT_TAG.to_owned(), note);
        }
        let flows = [(run.experiment_id.as_str(), &run.flow)];
        let datasets = self.registry.datasets_of(&flows)?.pop().unwrap_or_default();
        let made = self.models.iter().filter(|model| is_made_by(model, &run));
        let made = made.map(|model| self.outgoing(model)).collect::<Result<Vec<_>>>()?;
        let measured = self.models.iter().flat_map(|model| {
            let metrics = model.metrics.iter().map(|metric| (model.model_id.as_str(), metric));
            metrics.filter(|(_, metric)| metric.run_id == run.run_id)
        });
        let measured = measured.collect();
        let history = self.registry.histories(&run.run_id)?;
        let artifacts = self.registry.artifacts(&run.run_id)?;
        let whole = WholeRun { run, history, datasets, artifacts };
        let outgoing = OutgoingRun { whole, made, measured };
        self.target.put_run(self.registry, &outgoing)?;
        let OutgoingRun { whole, made, .. } = &outgoing;
        let moved = &mut self.report.moved;
        moved.n_runs += 1;
        moved.n_metrics += whole.history.len();
        moved.n_logged_models += made.len();
        moved.n_artifacts += whole.artifacts.len();
        moved.n_artifacts += made.iter().map(|model| model.artifacts.len()).sum::<usize>();
        Ok(())
    }

    /// The events about `subject`, oldest first.
    fn audit_note(&self, subject: &str) -> Option<String> {
        let events: Vec<&AuditEvent> =
            self.audit.iter().rev().filter(|event| event.subject == subject).collect();
        notes::audit_note(&events)
    }

    fn write_models(&mut self) -> Result<()> {
        let models = self.registry.models()?;
        self.monitor.progress.begin("registered models", Some(models.len() as u64));
        let written = models.into_iter().try_for_each(|model| {
            self.monitor.interrupt.check()?;
            let name = model.name.clone();
            let written = self.whole_model(model).and_then(|outgoing| {
                let n_versions = outgoing.whole.versions.len();
                Ok((self.target.put_model(self.registry, &outgoing)?, n_versions))
            });
            match written {
                Err(error) => self.leave(format!("model {name}"), error)?,
                Ok((taken, n_versions)) => {
                    let counts = &mut self.report;
                    if taken.is_new {
                        counts.moved.n_models += 1;
                    } else {
                        counts.present.n_models += 1;
                    }
                    counts.moved.n_versions += taken.versions.len();
                    counts.present.n_versions += n_versions.saturating_sub(taken.versions.len());
                    for (what, why) in taken.left {
                        counts.leave(what, why);
                    }
                }
            }
            self.monitor.progress.advance(1);
            Ok(())
        });
        self.monitor.progress.end();
        written
    }

    fn whole_model(&self, model: crate::registry::RegisteredModel) -> Result<OutgoingVersions> {
        let mut versions = self.registry.versions(&model.name)?;
        let highest = self.registry.highest_version(&model.name)?;
        let mut by_run: BTreeMap<String, Vec<Artifact>> = BTreeMap::new();
        let mut folders = Vec::new();
        for version in &mut versions {
            let mut tags = std::mem::take(&mut version.tags);
            notes::note_version(version, &mut tags);
            if let Some(note) = self.audit_note(&version.reference().to_string()) {
                tags.insert(notes::AUDIT_TAG.to_owned(), note);
            }
            version.tags = tags;
            if !by_run.contains_key(&version.run_id) {
                let of_run = self.registry.artifacts(&version.run_id).unwrap_or_default();
                by_run.insert(version.run_id.clone(), of_run);
            }
            folders.push(folder_of(version, &by_run[&version.run_id]));
        }
        Ok(OutgoingVersions { whole: WholeModel { model, versions, highest }, folders })
    }
}

fn is_made_by(model: &LoggedModel, run: &Run) -> bool {
    model.source_run_id.as_ref() == Some(&run.run_id) && model.experiment_id == run.experiment_id
}

/// The folder among a run's artifacts that holds exactly the version's files.
fn folder_of(version: &ModelVersion, of_run: &[Artifact]) -> Option<String> {
    let first = version.files.first()?;
    let end = format!("/{}", first.path);
    let same = of_run.iter().filter(|artifact| artifact.sha256 == first.sha256);
    let mut folders = same.filter_map(|artifact| {
        if artifact.path == first.path {
            return Some("");
        }
        artifact.path.strip_suffix(&end)
    });
    let holds = |folder: &&str| {
        version.files.iter().all(|file| {
            let path = if folder.is_empty() {
                file.path.clone()
            } else {
                format!("{folder}/{}", file.path)
            };
            of_run.iter().any(|artifact| artifact.path == path && artifact.sha256 == file.sha256)
        })
    };
    folders.find(holds).map(str::to_owned)
}
