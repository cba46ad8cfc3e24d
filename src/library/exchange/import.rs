//! Taking another tracking store over: experiments, then for each of them its logged models and runs,
//! then registered models. Artifacts are stored first, and what names them is written whole, so that an
//! import that is cut short leaves complete things and the next one goes on.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    StorePlace,
    artifact_place::is_remote,
    file_store::FileStore,
    notes,
    report::ExchangeReport,
    rest::RestClient,
    rest_source::RestStore,
    source::{ForeignFiles, ForeignFolder, ForeignStore, PROMPT_TAG, RUN_NAME_TAG},
    sqlite::SqliteStore,
};
use crate::{
    error::{Error, ErrorKind, Result},
    progress::Monitor,
    registry::{
        Artifact, ArtifactOwner, Experiment, Registry, WholeRun, model_artifact_uri,
        run_artifact_uri,
    },
};

/// Runs and metrics that are written together: a transaction syncs once.
const RUNS_PER_WRITE: usize = 50;
const METRICS_PER_WRITE: usize = 20_000;

/// The options of an import beside its place.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The folder in which the server of a database kept its artifacts.
    pub artifacts: Option<PathBuf>,
}

/// Takes over everything in the store at `place` that is not here.
///
/// # Errors
/// When the store cannot be opened or read on, when something cannot be written, and
/// [`ErrorKind::Interrupted`]. What was taken until then stays, whole; what is wrong with one thing
/// is in the report.
pub fn import(
    registry: &Registry,
    place: &StorePlace,
    options: &ImportOptions,
    monitor: &Monitor,
) -> Result<ExchangeReport> {
    let source: Box<dyn ForeignStore> = match place {
        StorePlace::Folder(root) => Box::new(FileStore::open(root)?),
        StorePlace::Sqlite(path) => {
            Box::new(SqliteStore::open(path, options.artifacts.as_deref())?)
        }
        StorePlace::Server(url) => Box::new(RestStore::open(RestClient::new(url)?)?),
    };
    let report = ExchangeReport {
        from: source.origin().to_owned(),
        to: registry.store().root().display().to_string(),
        ..ExchangeReport::default()
    };
    let mut import = Import {
        registry,
        source: source.as_ref(),
        monitor,
        report,
        waiting: Vec::new(),
        experiments: BTreeMap::new(),
    };
    import.take_all()?;
    Ok(import.report)
}

/// An import under way.
struct Import<'a> {
    registry: &'a Registry,
    source: &'a dyn ForeignStore,
    monitor: &'a Monitor,
    report: ExchangeReport,
    /// Runs that are complete and not written yet.
    waiting: Vec<WholeRun>,
    /// Experiments here by their ids there.
    experiments: BTreeMap<String, Experiment>,
}

/// True for an error after which nothing more can be asked of the source or of the registry.
fn is_fatal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Interrupted)
}

impl Import<'_> {
    fn take_all(&mut self) -> Result<()> {
        for experiment in self.source.experiments()? {
            self.monitor.interrupt.check()?;
            let id = experiment.experiment_id.clone();
            let is_first = id == "0";
            match self.registry.take_experiment(&experiment, is_first, self.source.origin()) {
                Ok((here, is_new)) => {
                    if is_new {
                        self.report.moved.n_experiments += 1;
                    } else {
                        self.report.present.n_experiments += 1;
                    }
                    self.experiments.insert(id, here);
                }
                Err(error) => self.leave(format!("experiment {}", experiment.name), error)?,
            }
        }
        for (id, here) in self.experiments.clone() {
            self.take_logged_models(&id, &here)?;
            self.take_runs(&id, &here)?;
        }
        self.take_models()
    }

    /// Notes what cannot be taken, unless the import cannot go on.
    fn leave(&mut self, what: String, error: Error) -> Result<()> {
        if is_fatal(&error) {
            return Err(error);
        }
        self.report.leave(what, error.chain());
        Ok(())
    }

    fn take_runs(&mut self, id: &str, here: &Experiment) -> Result<()> {
        let run_ids = self.source.run_ids(id)?;
        let stage = format!("runs of {}", here.name);
        self.monitor.progress.begin(&stage, Some(run_ids.len() as u64));
        let taken = run_ids.iter().try_for_each(|run_id| {
            self.monitor.interrupt.check()?;
            if let Err(error) = self.take_run(id, here, run_id) {
                self.leave(format!("run {run_id}"), error)?;
            }
            let n_metrics: usize = self.waiting.iter().map(|run| run.history.len()).sum();
            if self.waiting.len() >= RUNS_PER_WRITE || n_metrics >= METRICS_PER_WRITE {
                self.write_runs()?;
            }
            self.monitor.progress.advance(1);
            Ok(())
        });
        // What is complete is kept, also when the work was asked to stop.
        let written = self.write_runs();
        self.monitor.progress.end();
        taken.and(written)
    }

    fn write_runs(&mut self) -> Result<()> {
        let runs = std::mem::take(&mut self.waiting);
        if runs.is_empty() {
            return Ok(());
        }
        self.report.moved.n_runs += self.registry.take_runs(&runs, self.source.origin())?;
        for run in &runs {
            self.report.moved.n_metrics += run.history.len();
            self.report.moved.n_artifacts += run.artifacts.len();
        }
        Ok(())
    }

    fn take_run(&mut self, id: &str, here: &Experiment, run_id: &str) -> Result<()> {
        if self.registry.has_run(run_id)? {
            self.report.present.n_runs += 1;
            return Ok(());
        }
        let foreign = self.source.run(id, run_id)?;
        let folder = ForeignFolder::Run { experiment_id: id, run_id, uri: &foreign.artifact_uri };
        let artifacts = self.take_files(folder, &format!("artifacts of run {run_id}"))?;
        let mut run = foreign.run;
        run.experiment_id.clone_from(&here.experiment_id);
        if let Some(name) = run.tags.remove(RUN_NAME_TAG)
            && run.name.is_empty()
        {
            run.name = name;
        }
        let (history, datasets) = (foreign.history, foreign.datasets);
        let mut whole = WholeRun { run, history, datasets, artifacts };
        for why in whole.leave_out_unfit() {
            self.report.leave(format!("run {run_id}"), why);
        }
        crate::registry::check_run_id(run_id)?;
        self.waiting.push(whole);
        Ok(())
    }

    /// Stores the files of a folder.
    fn take_files(&mut self, folder: ForeignFolder, what: &str) -> Result<Vec<Artifact>> {
        let uri = folder.uri();
        let files =
            if is_remote(uri) { ForeignFiles::Elsewhere } else { self.source.files(folder)? };
        let paths = match files {
            ForeignFiles::There(paths) => paths,
            ForeignFiles::Elsewhere if uri.is_empty() => Vec::new(),
            ForeignFiles::Elsewhere => {
                self.report.leave(what, format!("they stay at {uri}, which is not read"));
                Vec::new()
            }
        };
        let mut artifacts = Vec::with_capacity(paths.len());
        for path in paths {
            self.monitor.interrupt.check()?;
            let mut input = self.source.open(folder, &path)?;
            artifacts.push(self.registry.store_artifact(&path, &mut *input)?);
        }
        Ok(artifacts)
    }

    fn take_logged_models(&mut self, id: &str, here: &Experiment) -> Result<()> {
        for model_id in self.source.logged_model_ids(id)? {
            self.monitor.interrupt.check()?;
            if let Err(error) = self.take_logged_model(id, here, &model_id) {
                self.leave(format!("logged model {model_id}"), error)?;
            }
        }
        Ok(())
    }

    fn take_logged_model(&mut self, id: &str, here: &Experiment, model_id: &str) -> Result<()> {
        if self.registry.has_logged_model(model_id)? {
            self.report.present.n_logged_models += 1;
            return Ok(());
        }
        let foreign = self.source.logged_model(id, model_id)?;
        let uri = foreign.artifact_uri.as_str();
        let folder = ForeignFolder::Model { experiment_id: id, model_id, uri };
        let artifacts =
            self.take_files(folder, &format!("artifacts of logged model {model_id}"))?;
        let mut model = foreign.model;
        model.experiment_id.clone_from(&here.experiment_id);
        model.keep_newest_metrics();
        if self.registry.take_logged_model(&model, &artifacts, self.source.origin())? {
            self.report.moved.n_logged_models += 1;
            self.report.moved.n_artifacts += artifacts.len();
        }
        Ok(())
    }

    fn take_models(&mut self) -> Result<()> {
        let names = self.source.model_names()?;
        self.monitor.progress.begin("registered models", Some(names.len() as u64));
        let taken = names.iter().try_for_each(|name| {
            self.monitor.interrupt.check()?;
            if let Err(error) = self.take_model(name) {
                self.leave(format!("model {name}"), error)?;
            }
            self.monitor.progress.advance(1);
            Ok(())
        });
        self.monitor.progress.end();
        taken
    }

    fn take_model(&mut self, name: &str) -> Result<()> {
        let mut whole = self.source.model(name)?;
        if whole.model.tags.get(PROMPT_TAG).is_some_and(|tag| tag == "true") {
            self.report.leave(format!("prompt {name}"), "prompts are not kept here");
            return Ok(());
        }
        let present = self.registry.versions(name).unwrap_or_default();
        let mut kept = Vec::new();
        for mut version in std::mem::take(&mut whole.versions) {
            let is_here = present.iter().any(|here| here.version == version.version);
            let reference = version.reference().to_string();
            if !version.run_id.is_empty() && !self.registry.has_run(&version.run_id)? {
                let why = format!("its run {} was not taken", version.run_id);
                self.report.leave(format!("run of {reference}"), why);
                version.run_id.clear();
            }
            notes::recall_version(&mut version);
            if !is_here && let Err(error) = self.find_files(&mut version, &reference) {
                self.leave(reference, error)?;
                continue;
            }
            kept.push(version);
        }
        whole.versions = kept;
        let n_versions = whole.versions.len();
        let taken = self.registry.take_model(&whole, self.source.origin())?;
        self.count_model(taken.is_new);
        self.report.moved.n_versions += taken.versions.len();
        self.report.present.n_versions += n_versions - taken.versions.len().min(n_versions);
        for (what, why) in taken.left {
            self.report.leave(what, why);
        }
        Ok(())
    }

    fn count_model(&mut self, is_new: bool) {
        if is_new {
            self.report.moved.n_models += 1;
        } else {
            self.report.present.n_models += 1;
        }
    }

    /// Gives a version the files that its source names: those of a run or a logged model that are here
    /// by now, or of a folder.
    fn find_files(
        &mut self,
        version: &mut crate::registry::ModelVersion,
        reference: &str,
    ) -> Result<()> {
        let Some(said) = version.registration.as_mut() else { return Ok(()) };
        let model_id = said.model_id.as_deref().map(str::to_owned);
        let owned = owner_of(&said.source)
            .or_else(|| model_id.map(|model_id| (ArtifactOwner::Model(model_id), String::new())));
        if let Some((owner, path)) = owned
            && let Ok(files) = self.registry.owned_artifacts(&owner)
        {
            version.files = Artifact::below(files, &path);
            if !version.files.is_empty() {
                if !said.source.starts_with("models:/") {
                    said.source = self.uri_here(&owner, &path)?;
                }
                return Ok(());
            }
        }
        if is_remote(&said.source) {
            let why = format!("they stay at {}, which is not read", said.source);
            self.report.leave(format!("files of {reference}"), why);
            return Ok(());
        }
        let source = said.source.clone();
        version.files =
            self.take_files(ForeignFolder::Uri(&source), &format!("files of {reference}"))?;
        if version.files.is_empty() {
            let why = format!("nothing was found at {source}");
            self.report.leave(format!("files of {reference}"), why);
        }
        Ok(())
    }

    fn uri_here(&self, owner: &ArtifactOwner, path: &str) -> Result<String> {
        let root = match owner {
            ArtifactOwner::Run(id) => {
                run_artifact_uri(None, &self.registry.run_by_id(id)?.experiment_id, id)
            }
            ArtifactOwner::Model(id) => {
                model_artifact_uri(None, &self.registry.logged_model(id)?.experiment_id, id)
            }
        };
        Ok(if path.is_empty() { root } else { format!("{root}/{path}") })
    }
}

/// The run or logged model in whose artifacts `uri` lies, and the path in them.
fn owner_of(uri: &str) -> Option<(ArtifactOwner, String)> {
    if let Some(rest) = uri.strip_prefix("models:/").filter(|rest| rest.starts_with("m-")) {
        let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
        return Some((ArtifactOwner::Model(id.to_owned()), path.to_owned()));
    }
    if let Some(rest) = uri.strip_prefix("runs:/") {
        let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
        return Some((ArtifactOwner::Run(id.to_owned()), path.to_owned()));
    }
    let parts: Vec<&str> = uri.trim_end_matches('/').split('/').collect();
    let is_id =
        |id: &str| id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    parts.windows(2).enumerate().find_map(|(idx, pair)| {
        let owner = match (pair[0].strip_prefix("m-"), pair[1]) {
            (Some(id), "artifacts") if is_id(id) => ArtifactOwner::Model(pair[0].to_owned()),
            (None, "artifacts") if is_id(pair[0]) => ArtifactOwner::Run(pair[0].to_owned()),
            _ => return None,
        };
        Some((owner, parts[idx + 2..].join("/")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_the_owner_of_the_files() {
        let id = "0123456789abcdef0123456789abcdef";
        let run = |path: &str| Some((ArtifactOwner::Run(id.to_owned()), path.to_owned()));
        let model = |path: &str| Some((ArtifactOwner::Model(format!("m-{id}")), path.to_owned()));
        for (uri, expected) in [
            (format!("file:///m/1/{id}/artifacts/model/a"), run("model/a")),
            (format!("/m/1/{id}/artifacts"), run("")),
            (format!("mlflow-artifacts:/1/{id}/artifacts/model"), run("model")),
            (format!("runs:/{id}/model"), run("model")),
            (format!("models:/m-{id}"), model("")),
            (format!("s3://b/1/models/m-{id}/artifacts/x"), model("x")),
            ("/tmp/model".to_owned(), None),
        ] {
            assert_eq!(owner_of(&uri), expected, "{uri}");
        }
    }
}
