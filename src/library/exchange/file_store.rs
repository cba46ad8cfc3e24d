//! MLflow's file store: a folder `mlruns` with a folder for each experiment and run, `meta.yaml` in each,
//! and a file for each metric, param and tag. Read as MLflow 2.x and 3.x write it.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    artifact_place::{files_below, is_remote, local_path, open},
    source::{
        DELETED_STAGE, ForeignFiles, ForeignFolder, ForeignLoggedModel, ForeignRun, ForeignStore,
        malformed, model_status_of_number, status_of_number,
    },
    yaml::MetaFile,
};
use crate::{
    error::{Error, ErrorKind, Result},
    registry::{
        DatasetRecord, Experiment, Lineage, LoggedMetric, LoggedModel, Metric, ModelStatus,
        ModelVersion, RegisteredModel, Registration, Run, RunDataset, RunFlow, Stage, WholeModel,
    },
};

pub(super) const META: &str = "meta.yaml";
pub(super) const TRASH: &str = ".trash";
/// The folder of registered models in the store, of logged models in an experiment.
pub(super) const MODELS: &str = "models";
pub(super) const DATASETS: &str = "datasets";

/// A folder `mlruns`.
pub(super) struct FileStore {
    root: PathBuf,
    origin: String,
    /// The folders of experiments by id.
    experiments: BTreeMap<String, PathBuf>,
}

impl FileStore {
    /// The store at `root`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for no folder, [`ErrorKind::Invalid`] for one that is no store.
    pub(super) fn open(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            let message = format!("{} is no folder and no database", root.display());
            return Err(Error::new(ErrorKind::NotFound, message)
                .with_hint("name a folder mlruns, a file mlflow.db or http://HOST:PORT"));
        }
        let mut experiments = BTreeMap::new();
        for folder in [root.to_owned(), root.join(TRASH)] {
            for (name, path) in folders_in(&folder)? {
                if name != MODELS && name != TRASH && path.join(META).is_file() {
                    experiments.entry(name).or_insert(path);
                }
            }
        }
        if experiments.is_empty() && !root.join(MODELS).is_dir() {
            let message = format!("{} is no file store of MLflow", root.display());
            let inner = root.join("mlruns");
            let hint = if inner.is_dir() {
                format!("{} is in it", inner.display())
            } else {
                "it has no folder of an experiment with a meta.yaml".to_owned()
            };
            return Err(Error::invalid(message).with_hint(hint));
        }
        let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Ok(Self { root: root.to_owned(), origin: absolute.display().to_string(), experiments })
    }

    fn experiment_dir(&self, experiment_id: &str) -> Result<&Path> {
        self.experiments.get(experiment_id).map(PathBuf::as_path).ok_or_else(|| {
            malformed(&self.origin, format!("there is no experiment {experiment_id}"))
        })
    }

    fn model_dir(&self, experiment_id: &str, model_id: &str) -> Result<PathBuf> {
        Ok(self.experiment_dir(experiment_id)?.join(MODELS).join(model_id))
    }

    /// The folder of artifacts: beside the record, also where the store was moved, or at its URI.
    fn artifact_dir(&self, folder: ForeignFolder) -> Result<Option<PathBuf>> {
        let beside = match folder {
            ForeignFolder::Run { experiment_id, run_id, .. } => {
                Some(self.experiment_dir(experiment_id)?.join(run_id).join("artifacts"))
            }
            ForeignFolder::Model { experiment_id, model_id, .. } => {
                Some(self.model_dir(experiment_id, model_id)?.join("artifacts"))
            }
            ForeignFolder::Uri(_) => None,
        };
        match beside {
            Some(dir) if dir.is_dir() => Ok(Some(dir)),
            _ => Ok(local_path(folder.uri())),
        }
    }
}

impl ForeignStore for FileStore {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn experiments(&self) -> Result<Vec<Experiment>> {
        let mut experiments = Vec::new();
        for (id, dir) in &self.experiments {
            let meta = MetaFile::read(&dir.join(META))?;
            let created_ms = meta.number("creation_time")?.unwrap_or_default();
            let location = meta.text("artifact_location").filter(|uri| is_remote(uri));
            experiments.push(Experiment {
                experiment_id: id.clone(),
                name: meta.required("name")?.to_owned(),
                created_ms,
                updated_ms: meta.number("last_update_time")?.unwrap_or(created_ms),
                deleted: meta.text("lifecycle_stage") == Some("deleted"),
                artifact_location: location.map(str::to_owned),
                tags: texts_in(&dir.join("tags"))?,
            });
        }
        experiments.sort_by_key(|e| (e.experiment_id != "0", e.created_ms));
        Ok(experiments)
    }

    fn run_ids(&self, experiment_id: &str) -> Result<Vec<String>> {
        let folders = folders_in(self.experiment_dir(experiment_id)?)?;
        let runs = folders.into_iter().filter(|(name, path)| {
            // `tags` and the like have none; a run without one is damaged and has its name.
            path.join(META).is_file() || (name.len() == 32 && path.join("params").is_dir())
        });
        Ok(runs.map(|(name, _)| name).collect())
    }

    fn run(&self, experiment_id: &str, run_id: &str) -> Result<ForeignRun> {
        let experiment = self.experiment_dir(experiment_id)?;
        let dir = experiment.join(run_id);
        let meta = MetaFile::read(&dir.join(META))?;
        let found = meta.text("run_id").or(meta.text("run_uuid")).unwrap_or_default();
        if found != run_id {
            return Err(meta.wrong(format!("it is of run {found:?}")));
        }
        let number = meta.number("status")?.unwrap_or_default();
        let status =
            status_of_number(number).ok_or_else(|| meta.wrong(format!("status is {number}")))?;
        let mut history = Vec::new();
        for key in files_below(&dir.join("metrics"))? {
            for line in metric_lines(&dir.join("metrics").join(&key))? {
                let MetricLine { timestamp_ms, value, step, .. } = line;
                history.push(Metric { key: key.clone(), value, step, timestamp_ms });
            }
        }
        let mut flow = RunFlow::default();
        let mut datasets = Vec::new();
        for (_, path) in folders_in(&dir.join("inputs"))? {
            let input = MetaFile::read(&path.join(META))?;
            let source = input.required("source_id")?.to_owned();
            if input.text("source_type") == Some("DATASET") {
                let record = dataset(&experiment.join(DATASETS).join(source).join(META))?;
                flow.datasets.push(RunDataset {
                    name: record.name.clone(),
                    digest: record.digest.clone(),
                    tags: input.texts("tags"),
                });
                datasets.push(record);
            } else {
                flow.model_inputs.push(source);
            }
        }
        for (name, path) in folders_in(&dir.join("outputs"))? {
            let output = MetaFile::read(&path.join(META))?;
            flow.model_outputs.push((name, output.number("step")?.unwrap_or_default()));
        }
        let user = meta.text("user_id").unwrap_or_default().to_owned();
        Ok(ForeignRun {
            run: Run {
                run_id: run_id.to_owned(),
                experiment_id: experiment_id.to_owned(),
                name: meta.text("run_name").unwrap_or_default().to_owned(),
                status,
                start_ms: meta.number("start_time")?.unwrap_or_default(),
                end_ms: meta.number("end_time")?,
                deleted: meta.text("lifecycle_stage") == Some("deleted"),
                params: texts_in(&dir.join("params"))?,
                metrics: BTreeMap::new(),
                tags: texts_in(&dir.join("tags"))?,
                user,
                measured_at: Vec::new(),
                flow,
            },
            history,
            datasets,
            artifact_uri: meta.text("artifact_uri").unwrap_or_default().to_owned(),
        })
    }

    fn logged_model_ids(&self, experiment_id: &str) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for (name, path) in folders_in(&self.experiment_dir(experiment_id)?.join(MODELS))? {
            let meta = MetaFile::read(&path.join(META));
            if !meta.is_ok_and(|meta| meta.text("lifecycle_stage") == Some("deleted")) {
                ids.push(name);
            }
        }
        Ok(ids)
    }

    fn logged_model(&self, experiment_id: &str, model_id: &str) -> Result<ForeignLoggedModel> {
        let dir = self.model_dir(experiment_id, model_id)?;
        let meta = MetaFile::read(&dir.join(META))?;
        let number = meta.number("status")?.unwrap_or_default();
        let mut metrics = Vec::new();
        for key in files_below(&dir.join("metrics"))? {
            for line in metric_lines(&dir.join("metrics").join(&key))? {
                let Some(run_id) = line.run_id else { continue };
                metrics.push(LoggedMetric {
                    key: key.clone(),
                    value: line.value,
                    step: line.step,
                    timestamp_ms: line.timestamp_ms,
                    run_id,
                    dataset: line.dataset,
                });
            }
        }
        let created_ms = meta.number("creation_timestamp")?.unwrap_or_default();
        Ok(ForeignLoggedModel {
            model: LoggedModel {
                model_id: model_id.to_owned(),
                experiment_id: experiment_id.to_owned(),
                name: meta.required("name")?.to_owned(),
                created_ms,
                updated_ms: meta.number("last_updated_timestamp")?.unwrap_or(created_ms),
                status: model_status_of_number(number).unwrap_or(ModelStatus::Unspecified),
                model_type: meta.text("model_type").map(str::to_owned),
                source_run_id: meta.text("source_run_id").map(str::to_owned),
                deleted: false,
                tags: texts_in(&dir.join("tags"))?,
                params: texts_in(&dir.join("params"))?,
                metrics,
            },
            artifact_uri: meta.text("artifact_location").unwrap_or_default().to_owned(),
        })
    }

    fn model_names(&self) -> Result<Vec<String>> {
        let folders = folders_in(&self.root.join(MODELS))?;
        let models = folders.into_iter().filter(|(_, path)| path.join(META).is_file());
        Ok(models.map(|(name, _)| name).collect())
    }

    fn model(&self, name: &str) -> Result<WholeModel> {
        let dir = self.root.join(MODELS).join(name);
        let meta = MetaFile::read(&dir.join(META))?;
        let mut versions = Vec::new();
        let mut highest = 0;
        for (folder, path) in folders_in(&dir)? {
            let Some(number) = folder.strip_prefix("version-") else { continue };
            let number: u32 = number.parse().map_err(|_| meta.wrong(format!("{folder:?}")))?;
            highest = highest.max(number);
            let of_version = MetaFile::read(&path.join(META))?;
            if of_version.text("current_stage") == Some(DELETED_STAGE) {
                continue;
            }
            versions.push(version(name, number, &of_version, texts_in(&path.join("tags"))?)?);
        }
        versions.sort_by_key(|version| version.version);
        let mut aliases = BTreeMap::new();
        for (alias, number) in
            meta.texts("aliases").into_iter().chain(texts_in(&dir.join("aliases"))?)
        {
            let number = number.trim().parse();
            let number = number.map_err(|_| meta.wrong(format!("alias {alias:?} is no number")))?;
            aliases.insert(alias, number);
        }
        let created_ms = meta.number("creation_timestamp")?.unwrap_or_default();
        let model = RegisteredModel {
            name: name.to_owned(),
            description: meta.text("description").unwrap_or_default().to_owned(),
            created_ms,
            updated_ms: meta.number("last_updated_timestamp")?.unwrap_or(created_ms),
            tags: texts_in(&dir.join("tags"))?,
            aliases,
        };
        Ok(WholeModel { model, versions, highest })
    }

    fn files(&self, folder: ForeignFolder) -> Result<ForeignFiles> {
        match self.artifact_dir(folder)? {
            Some(dir) => files_below(&dir).map(ForeignFiles::There),
            None => Ok(ForeignFiles::Elsewhere),
        }
    }

    fn open(&self, folder: ForeignFolder, path: &str) -> Result<Box<dyn Read>> {
        let dir = self.artifact_dir(folder)?.unwrap_or_else(|| self.root.clone());
        open(&dir, path)
    }
}

fn version(
    name: &str,
    number: u32,
    meta: &MetaFile,
    tags: BTreeMap<String, String>,
) -> Result<ModelVersion> {
    let created_ms = meta.number("creation_timestamp")?.unwrap_or_default();
    let stage = meta.text("current_stage").unwrap_or("None");
    let text = |key| meta.text(key).unwrap_or_default().to_owned();
    Ok(ModelVersion {
        model: name.to_owned(),
        version: number,
        stage: stage.parse::<Stage>().map_err(|error| meta.wrong(error))?,
        run_id: text("run_id"),
        created_ms,
        files: Vec::new(),
        lineage: Lineage::default(),
        metrics: BTreeMap::new(),
        tags,
        verdict: None,
        history: Vec::new(),
        registration: Some(Registration {
            source: text("source"),
            model_id: meta.text("model_id").map(str::to_owned),
            run_link: meta.text("run_link").map(str::to_owned),
            description: text("description"),
            user: text("user_id"),
            updated_ms: meta.number("last_updated_timestamp")?.unwrap_or(created_ms),
        }),
    })
}

fn dataset(path: &Path) -> Result<DatasetRecord> {
    let meta = MetaFile::read(path)?;
    let text = |key| meta.text(key).unwrap_or_default().to_owned();
    Ok(DatasetRecord {
        name: text("name"),
        digest: text("digest"),
        source_type: text("source_type"),
        source: text("source"),
        schema: meta.text("schema").map(str::to_owned),
        profile: meta.text("profile").map(str::to_owned),
    })
}

/// One line of a metric's file.
struct MetricLine {
    timestamp_ms: i64,
    value: f64,
    step: i64,
    run_id: Option<String>,
    dataset: Option<(String, String)>,
}

/// `TIME VALUE [STEP [RUN] [DATASET DIGEST]]` for each value. MLflow itself reads the step of a line
/// with a dataset as 0, though it wrote it.
fn metric_lines(path: &Path) -> Result<Vec<MetricLine>> {
    let text = read_text(path)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let wrong = || malformed(&path.display().to_string(), format!("{line:?} is no value"));
            let parts: Vec<&str> = line.trim().split(' ').collect();
            let (run_id, dataset) = match parts.as_slice() {
                [_, _] | [_, _, _] => (None, None),
                [_, _, _, run] => (Some(*run), None),
                [_, _, _, name, digest] => (None, Some((*name, *digest))),
                // A dataset's name may have spaces.
                [_, _, _, run, ..] if is_run_id(run) => (Some(*run), split_dataset(line, 4)),
                _ => (None, split_dataset(line, 3)),
            };
            Ok(MetricLine {
                timestamp_ms: parts[0].parse().map_err(|_| wrong())?,
                value: parts.get(1).and_then(|v| v.parse().ok()).ok_or_else(wrong)?,
                step: parts.get(2).map_or(Ok(0), |step| step.parse()).map_err(|_| wrong())?,
                run_id: run_id.map(str::to_owned),
                dataset: dataset.map(|(name, digest)| (name.to_owned(), digest.to_owned())),
            })
        })
        .collect()
}

fn is_run_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Name and digest after `n_before` words.
fn split_dataset(line: &str, n_before: usize) -> Option<(&str, &str)> {
    line.trim().splitn(n_before + 1, ' ').nth(n_before)?.rsplit_once(' ')
}

/// The text of every file below `dir`, by its path from there on.
fn texts_in(dir: &Path) -> Result<BTreeMap<String, String>> {
    let files = files_below(dir)?;
    files.into_iter().map(|key| Ok((key.clone(), read_text(&dir.join(&key))?))).collect()
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|error| Error::io("read", path, error))?;
    String::from_utf8(bytes).map_err(|_| malformed(&path.display().to_string(), "it is not UTF-8"))
}

/// The folders directly in `dir` by name; none if it is not there.
pub(super) fn folders_in(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let fail = |error| Error::io("read the folder", dir, error);
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_dir()) {
            folders.push((name, entry.path()));
        }
    }
    folders.sort();
    Ok(folders)
}
