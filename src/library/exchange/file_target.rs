//! A file store of MLflow's that is written: a folder `mlruns`. A run, a logged model and a version
//! appear by a rename, so that a process that dies leaves none in part.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    artifact_place::file_uri,
    file_store::{DATASETS, META, MODELS, TRASH, folders_in},
    source::{DELETED_STAGE, RUN_NAME_TAG, number_of_status},
    target::{OutgoingModel, OutgoingRun, OutgoingVersions, Put, Target},
    yaml::{MetaFile, written},
};
use crate::{
    clock,
    error::{Error, Result},
    figure::hex,
    registry::{
        ARTIFACT_SCHEME, Artifact, DEFAULT_EXPERIMENT, DatasetRecord, Experiment, Metric,
        ModelVersion, Registry, TakenModel,
    },
};

/// A folder `mlruns` that is written.
pub(super) struct FileTarget {
    root: PathBuf,
    place: String,
    /// Things on their way, beside the store.
    staging: PathBuf,
    n_staged: usize,
    /// The folders of experiments by the ids they have here.
    experiments: BTreeMap<String, (String, PathBuf)>,
}

impl FileTarget {
    /// The store at `root`, which is made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be written, or holds other things.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).map_err(|e| Error::io("find", root, e))?;
        let fail = |path: &Path, error| Error::io("write the folder", path, error);
        if root.exists() {
            let folders = folders_in(&root)?;
            let is_store = folders
                .iter()
                .any(|(name, path)| name == MODELS || name == TRASH || path.join(META).is_file());
            if !is_store && fs::read_dir(&root).map_err(|e| fail(&root, e))?.next().is_some() {
                let message = format!("{} holds other things than an mlruns", root.display());
                return Err(Error::invalid(message).with_hint("name a new or empty folder"));
            }
        }
        for dir in [root.clone(), root.join(TRASH), root.join(MODELS)] {
            fs::create_dir_all(&dir).map_err(|e| fail(&dir, e))?;
        }
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let staging = root.with_file_name(format!(".{name}.partial"));
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(|e| fail(&staging, e))?;
        }
        let place = root.display().to_string();
        Ok(Self { root, place, staging, n_staged: 0, experiments: BTreeMap::new() })
    }

    /// A new folder on the way.
    fn stage(&mut self) -> Result<PathBuf> {
        self.n_staged += 1;
        let dir = self.staging.join(self.n_staged.to_string());
        fs::create_dir_all(&dir).map_err(|e| Error::io("write the folder", &dir, e))?;
        Ok(dir)
    }

    fn experiment(&self, experiment_id: &str) -> Result<(String, PathBuf)> {
        self.experiments
            .get(experiment_id)
            .cloned()
            .ok_or_else(|| Error::invalid(format!("experiment {experiment_id} was not written")))
    }

    fn write_logged_model(&mut self, registry: &Registry, outgoing: &OutgoingModel) -> Result<Put> {
        let model = outgoing.model;
        let (experiment_id, dir) = self.experiment(&model.experiment_id)?;
        let place = dir.join(MODELS).join(&model.model_id);
        if place.exists() {
            return Ok(Put::Present);
        }
        let staged = self.stage()?;
        let uri = self.root.join(&experiment_id).join(MODELS).join(&model.model_id);
        write(
            &staged.join(META),
            &written(&json!({
                "artifact_location": file_uri(&uri.join("artifacts")),
                "creation_timestamp": model.created_ms,
                "experiment_id": experiment_id,
                "last_updated_timestamp": model.updated_ms,
                "lifecycle_stage": "active",
                "model_id": model.model_id,
                "model_type": model.model_type,
                "name": model.name,
                "source_run_id": model.source_run_id,
                "status": model.status as u8,
                "status_message": null,
            })),
        )?;
        write_texts(&staged.join("params"), &model.params)?;
        write_texts(&staged.join("tags"), &model.tags)?;
        let mut lines: BTreeMap<&str, String> = BTreeMap::new();
        for metric in &model.metrics {
            let dataset = metric.dataset.as_ref();
            let dataset = dataset.map(|(name, digest)| format!(" {name} {digest}"));
            lines.entry(&metric.key).or_default().push_str(&format!(
                "{} {} {} {}{}\n",
                metric.timestamp_ms,
                metric.value,
                metric.step,
                metric.run_id,
                dataset.unwrap_or_default(),
            ));
        }
        write_lines(&staged.join("metrics"), &lines)?;
        write_artifacts(registry, &staged.join("artifacts"), &outgoing.artifacts)?;
        appear(&staged, &place)?;
        Ok(Put::New)
    }

    fn write_version(
        &mut self,
        registry: &Registry,
        version: &ModelVersion,
        folder: Option<&str>,
    ) -> Result<()> {
        let staged = self.stage()?;
        let place = self.version_dir(&version.model, version.version);
        let said = version.registration.clone().unwrap_or_default();
        let own = place.join("files");
        let source = match (self.source_of(version, folder)?, said.source.as_str()) {
            (Some(uri), _) => uri,
            (None, source) if version.files.is_empty() => source.to_owned(),
            (None, _) => {
                write_artifacts(registry, &staged.join("files"), &version.files)?;
                file_uri(&own)
            }
        };
        let storage = match said.model_id.as_deref().map(|id| self.logged_model_uri(registry, id)) {
            Some(Some(uri)) if source.starts_with("models:/") => uri,
            _ => source.clone(),
        };
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        write(
            &staged.join(META),
            &written(&json!({
                "creation_timestamp": version.created_ms,
                "current_stage": version.stage.as_str(),
                "description": filled(&said.description),
                "last_updated_timestamp": version.updated_ms(),
                "model_id": said.model_id,
                "name": version.model,
                "run_id": filled(&version.run_id),
                "run_link": said.run_link,
                "source": source,
                "status": "READY",
                "status_message": null,
                "storage_location": storage,
                "user_id": filled(&said.user),
                "version": version.version,
            })),
        )?;
        write_texts(&staged.join("tags"), &version.tags)?;
        appear(&staged, &place)
    }

    fn version_dir(&self, model: &str, number: u32) -> PathBuf {
        self.root.join(MODELS).join(model).join(format!("version-{number}"))
    }

    /// The URI of a version's files, where they are those of a run or a logged model that is here.
    fn source_of(&self, version: &ModelVersion, folder: Option<&str>) -> Result<Option<String>> {
        let said = version.registration.as_ref().map_or("", |said| said.source.as_str());
        if said.starts_with("models:/m-") {
            return Ok(Some(said.to_owned()));
        }
        let is_foreign = !said.is_empty() && !said.starts_with(ARTIFACT_SCHEME);
        if is_foreign && version.files.is_empty() {
            return Ok(Some(said.to_owned()));
        }
        let Some(folder) = folder else { return Ok(None) };
        let run = self.experiments.values().map(|(id, dir)| (id, dir.join(&version.run_id)));
        let found = run.into_iter().find(|(_, dir)| dir.is_dir());
        Ok(found.map(|(id, _)| {
            let artifacts = self.root.join(id).join(&version.run_id).join("artifacts");
            file_uri(&if folder.is_empty() { artifacts } else { artifacts.join(folder) })
        }))
    }

    fn logged_model_uri(&self, registry: &Registry, model_id: &str) -> Option<String> {
        let model = registry.logged_model(model_id).ok()?;
        let (id, _) = self.experiments.get(&model.experiment_id)?;
        Some(file_uri(&self.root.join(id).join(MODELS).join(model_id).join("artifacts")))
    }
}

impl Target for FileTarget {
    fn place(&self) -> &str {
        &self.place
    }

    fn put_experiment(&mut self, experiment: &Experiment) -> Result<Put> {
        let mut taken = BTreeMap::new();
        for folder in [self.root.clone(), self.root.join(TRASH)] {
            for (id, dir) in folders_in(&folder)? {
                if id == MODELS || id == TRASH || !dir.join(META).is_file() {
                    continue;
                }
                let meta = MetaFile::read(&dir.join(META))?;
                let name = meta.text("name").unwrap_or_default().to_owned();
                taken.insert(id, (name, dir));
            }
        }
        let is_first = experiment.experiment_id == "0" && experiment.name == DEFAULT_EXPERIMENT;
        let present = taken.iter().find(|(id, (name, _))| {
            *name == experiment.name || (is_first && *id == "0" && name == "Default")
        });
        if let Some((id, (_, dir))) = present {
            let known = (id.clone(), dir.clone());
            self.experiments.insert(experiment.experiment_id.clone(), known);
            return Ok(Put::Present);
        }
        let mut id = experiment.experiment_id.clone();
        while taken.contains_key(&id) {
            // As MLflow's file store makes them up: 18 digits.
            let random = uuid::Uuid::new_v4().as_u128() % 900_000_000_000_000_000;
            id = (random + 100_000_000_000_000_000).to_string();
        }
        let staged = self.stage()?;
        let location = experiment.artifact_location.clone();
        write(
            &staged.join(META),
            &written(&json!({
                "artifact_location": location.unwrap_or_else(|| file_uri(&self.root.join(&id))),
                "creation_time": experiment.created_ms,
                "experiment_id": id,
                "last_update_time": experiment.updated_ms,
                "lifecycle_stage": if experiment.deleted { "deleted" } else { "active" },
                "name": experiment.name,
            })),
        )?;
        write_texts(&staged.join("tags"), &experiment.tags)?;
        let dir = match experiment.deleted {
            true => self.root.join(TRASH).join(&id),
            false => self.root.join(&id),
        };
        appear(&staged, &dir)?;
        self.experiments.insert(experiment.experiment_id.clone(), (id, dir));
        Ok(Put::New)
    }

    fn has_run(&mut self, experiment_id: &str, run_id: &str) -> Result<bool> {
        Ok(self.experiment(experiment_id)?.1.join(run_id).exists())
    }

    fn put_run(&mut self, registry: &Registry, outgoing: &OutgoingRun) -> Result<()> {
        let run = &outgoing.whole.run;
        let (experiment_id, dir) = self.experiment(&run.experiment_id)?;
        for model in &outgoing.made {
            self.write_logged_model(registry, model)?;
        }
        let staged = self.stage()?;
        let uri = self.root.join(&experiment_id).join(&run.run_id).join("artifacts");
        let mut meta = json!({
            "artifact_uri": file_uri(&uri),
            "end_time": run.end_ms,
            "entry_point_name": "",
            "experiment_id": experiment_id,
            "lifecycle_stage": if run.deleted { "deleted" } else { "active" },
            "run_id": run.run_id,
            "run_name": run.name,
            "source_name": "",
            "source_type": 4,
            "source_version": "",
            "start_time": run.start_ms,
            "status": number_of_status(run.status),
            "tags": [],
            "user_id": run.who(),
        });
        if run.deleted {
            meta["deleted_time"] = clock::now_ms().into();
        }
        write(&staged.join(META), &written(&meta))?;
        write_texts(&staged.join("params"), &run.params)?;
        let mut tags = run.tags.clone();
        tags.insert(RUN_NAME_TAG.to_owned(), run.name.clone());
        write_texts(&staged.join("tags"), &tags)?;
        let mut lines: BTreeMap<&str, String> = BTreeMap::new();
        for Metric { key, value, step, timestamp_ms } in &outgoing.whole.history {
            let line = format!("{timestamp_ms} {value} {step}\n");
            lines.entry(key).or_default().push_str(&line);
        }
        write_lines(&staged.join("metrics"), &lines)?;
        for (input, record) in run.flow.datasets.iter().zip(&outgoing.whole.datasets) {
            let id = write_dataset(&dir.join(DATASETS), record)?;
            let name = identifier(&[&id, &json!(input.tags).to_string()]);
            write_link(
                &staged.join("inputs").join(name),
                "DATASET",
                &id,
                json!({
                    "destination_id": run.run_id, "destination_type": "RUN", "tags": input.tags,
                }),
            )?;
        }
        for model_id in &run.flow.model_inputs {
            let name = identifier(&["input", model_id]);
            write_link(
                &staged.join("inputs").join(name),
                "MODEL",
                model_id,
                json!({
                    "destination_id": run.run_id, "destination_type": "RUN", "tags": {},
                }),
            )?;
        }
        for (model_id, step) in &run.flow.model_outputs {
            write_link(
                &staged.join("outputs").join(model_id),
                "RUN_OUTPUT",
                &run.run_id,
                json!({
                    "destination_id": model_id, "destination_type": "MODEL_OUTPUT", "step": step,
                    "tags": {},
                }),
            )?;
        }
        write_artifacts(registry, &staged.join("artifacts"), &outgoing.whole.artifacts)?;
        appear(&staged, &dir.join(&run.run_id))
    }

    fn put_logged_model(&mut self, registry: &Registry, model: &OutgoingModel) -> Result<Put> {
        self.write_logged_model(registry, model)
    }

    fn put_model(
        &mut self,
        registry: &Registry,
        outgoing: &OutgoingVersions,
    ) -> Result<TakenModel> {
        let whole = &outgoing.whole;
        let name = whole.model.name.as_str();
        let dir = self.root.join(MODELS).join(name);
        let mut taken = TakenModel { is_new: !dir.exists(), ..TakenModel::default() };
        if taken.is_new {
            let staged = self.stage()?;
            write(
                &staged.join(META),
                &written(&json!({
                    "aliases": {},
                    "creation_timestamp": whole.model.created_ms,
                    "description": whole.model.description,
                    "last_updated_timestamp": whole.model.updated_ms,
                    "name": name,
                })),
            )?;
            write_texts(&staged.join("tags"), &whole.model.tags)?;
            appear(&staged, &dir)?;
        }
        for (version, folder) in whole.versions.iter().zip(&outgoing.folders) {
            let place = self.version_dir(name, version.version);
            if place.exists() {
                let meta = MetaFile::read(&place.join(META))?;
                let is_same = meta.number("creation_timestamp")? == Some(version.created_ms)
                    && meta.text("run_id").unwrap_or_default() == version.run_id;
                if !is_same {
                    let why = "another version has this number there".to_owned();
                    taken.left.push((version.reference().to_string(), why));
                }
                continue;
            }
            self.write_version(registry, version, folder.as_deref())?;
            taken.versions.push(version.version);
        }
        let last = self.version_dir(name, whole.highest);
        let n_last = whole.versions.last().map_or(0, |version| version.version);
        if whole.highest > n_last && !last.exists() {
            // A number that was given and is not to be given again.
            let staged = self.stage()?;
            write(
                &staged.join(META),
                &written(&json!({
                    "creation_timestamp": whole.model.created_ms, "current_stage": DELETED_STAGE,
                    "description": null, "last_updated_timestamp": whole.model.updated_ms,
                    "name": name, "run_id": null, "run_link": null, "source": "", "status": "READY",
                    "status_message": null, "storage_location": "", "user_id": null,
                    "version": whole.highest,
                })),
            )?;
            appear(&staged, &last)?;
        }
        for (alias, number) in &whole.model.aliases {
            let path = dir.join("aliases").join(alias);
            if !path.exists() {
                write(&path, &number.to_string())?;
            }
        }
        Ok(taken)
    }

    fn finish(&mut self) -> Result<()> {
        if self.staging.exists() {
            let fail = |error| Error::io("remove the folder", &self.staging, error);
            fs::remove_dir_all(&self.staging).map_err(fail)?;
        }
        Ok(())
    }
}

fn write_dataset(datasets: &Path, record: &DatasetRecord) -> Result<String> {
    let id = identifier(&[&record.name, &record.digest]);
    let path = datasets.join(&id).join(META);
    if !path.exists() {
        let DatasetRecord { name, digest, source_type, source, schema, profile } = record;
        make_parent(&path)?;
        crate::store::write_atomically(
            &path,
            written(&json!({
                "digest": digest, "name": name, "profile": profile, "schema": schema,
                "source": source, "source_type": source_type,
            }))
            .as_bytes(),
        )?;
    }
    Ok(id)
}

fn write_link(dir: &Path, source_type: &str, source_id: &str, mut fields: Value) -> Result<()> {
    fields["source_id"] = source_id.into();
    fields["source_type"] = source_type.into();
    write(&dir.join(META), &written(&fields))
}

/// 32 hexadecimal digits that `parts` decide.
fn identifier(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize()[..16])
}

fn make_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|e| Error::io("write the folder", parent, e))
}

fn write(path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).map_err(|e| Error::io("write", path, e))
}

/// A file for each text; MLflow expects the folder also where there is none.
fn write_texts(dir: &Path, texts: &BTreeMap<String, String>) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io("write the folder", dir, e))?;
    texts.iter().try_for_each(|(key, text)| write(&dir.join(key), text))
}

fn write_lines(dir: &Path, lines: &BTreeMap<&str, String>) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io("write the folder", dir, e))?;
    lines.iter().try_for_each(|(key, text)| write(&dir.join(key), text))
}

fn write_artifacts(registry: &Registry, dir: &Path, artifacts: &[Artifact]) -> Result<()> {
    fs::create_dir_all(dir).map_err(|e| Error::io("write the folder", dir, e))?;
    for artifact in artifacts {
        let path = dir.join(&artifact.path);
        make_parent(&path)?;
        let kept = registry.artifact_path(artifact)?;
        fs::copy(&kept, &path).map_err(|e| Error::io("write", &path, e))?;
    }
    Ok(())
}

/// Gives what is complete its place.
fn appear(staged: &Path, place: &Path) -> Result<()> {
    make_parent(place)?;
    fs::rename(staged, place).map_err(|e| Error::io("write the folder", place, e))
}
