//! A running server that is written, through MLflow's REST API. The server makes ids and times of its
//! own; the tags `trialbook.run_id` and `trialbook.model_id` say which run and model each was. A run
//! that is not complete has the tag `trialbook.incomplete`, and the next export makes it again.

use std::{collections::BTreeMap, fs::File};

use serde_json::{Value, json};

use super::{
    artifact_place::{encoded, proxy_path},
    rest::RestClient,
    source::RUN_NAME_TAG,
    target::{OutgoingModel, OutgoingRun, OutgoingVersions, Put, Target},
};
use crate::{
    error::{Error, ErrorKind, Result},
    registry::{
        Artifact, DEFAULT_EXPERIMENT, Experiment, LoggedModel, Metric, ModelVersion, Registry,
        Stage, TakenModel, json_number,
    },
};

const RUN_ID_TAG: &str = "trialbook.run_id";
const MODEL_ID_TAG: &str = "trialbook.model_id";
const INCOMPLETE_TAG: &str = "trialbook.incomplete";

/// MLflow's limits of one batch.
const METRICS_PER_BATCH: usize = 1_000;
const ITEMS_PER_BATCH: usize = 100;

/// A server that is written.
pub(super) struct RestTarget {
    client: RestClient,
    /// Its ids of experiments by ours; none for one that is deleted there.
    experiments: BTreeMap<String, (String, bool)>,
    /// Its ids of runs and of logged models by ours.
    runs: BTreeMap<String, String>,
    models: BTreeMap<String, String>,
    /// Its ids of experiments that are to be deleted at the end.
    to_delete: Vec<String>,
}

impl RestTarget {
    /// The server that `client` asks.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when nothing of MLflow's answers.
    pub(super) fn open(client: RestClient) -> Result<Self> {
        client.post("/experiments/search", &json!({"max_results": 1, "view_type": "ALL"}))?;
        let (experiments, runs, models) = Default::default();
        Ok(Self { client, experiments, runs, models, to_delete: Vec::new() })
    }

    fn named(&self, name: &str) -> Result<Option<Value>> {
        match self.client.get("/experiments/get-by-name", &[("experiment_name", name)]) {
            Ok(answer) => Ok(Some(answer["experiment"].clone())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn live_experiment(&self, experiment_id: &str) -> Result<String> {
        match self.experiments.get(experiment_id) {
            Some((id, false)) => Ok(id.clone()),
            Some((_, true)) => {
                Err(Error::new(ErrorKind::Conflict, "its experiment is deleted there")
                    .with_hint("restore it there, and export again"))
            }
            None => Err(Error::invalid(format!("experiment {experiment_id} was not written"))),
        }
    }

    fn text(&self, answer: &Value, key: &str) -> Result<String> {
        let text = answer[key].as_str().map(str::to_owned);
        text.ok_or_else(|| {
            let message = format!("{} answered without {key}", self.client.url());
            Error::new(ErrorKind::Unavailable, message)
        })
    }

    /// Uploads files below `uri`.
    fn upload(&self, registry: &Registry, uri: &str, artifacts: &[Artifact]) -> Result<()> {
        if artifacts.is_empty() {
            return Ok(());
        }
        let Some(root) = proxy_path(uri) else {
            return Err(Error::invalid(format!(
                "its artifacts would lie at {uri}, not at the server"
            ))
            .with_hint("start the server with --serve-artifacts"));
        };
        for artifact in artifacts {
            let kept = registry.artifact_path(artifact)?;
            let file = File::open(&kept).map_err(|error| Error::io("read", &kept, error))?;
            self.client
                .upload(&format!("{}/{}", root.trim_end_matches('/'), artifact.path), file)?;
        }
        Ok(())
    }

    fn write_logged_model(
        &mut self,
        registry: &Registry,
        outgoing: &OutgoingModel,
        source_run_id: Option<&str>,
    ) -> Result<Put> {
        let LoggedModel { model_id, .. } = outgoing.model;
        if self.find_model(outgoing.model)? {
            return Ok(Put::Present);
        }
        let model = outgoing.model;
        let mut tags = model.tags.clone();
        tags.insert(MODEL_ID_TAG.to_owned(), model_id.clone());
        let answer = self.client.post(
            "/logged-models",
            &json!({
                "experiment_id": self.live_experiment(&model.experiment_id)?,
                "name": model.name,
                "model_type": model.model_type,
                "source_run_id": source_run_id,
                "params": pairs(&model.params),
                "tags": pairs(&tags),
            }),
        )?;
        let info = &answer["model"]["info"];
        let id = self.text(info, "model_id")?;
        self.upload(
            registry,
            info["artifact_uri"].as_str().unwrap_or_default(),
            &outgoing.artifacts,
        )?;
        let body = json!({"model_id": id, "status": model.status.as_str()});
        if model.status != crate::registry::ModelStatus::Pending {
            self.client.patch(&format!("/logged-models/{}", encoded(&id)), &body)?;
        }
        self.models.insert(model_id.clone(), id);
        Ok(Put::New)
    }

    /// True if the model is there; its id is known then.
    fn find_model(&mut self, model: &LoggedModel) -> Result<bool> {
        if self.models.contains_key(&model.model_id) {
            return Ok(true);
        }
        let experiment = self.experiments.get(&model.experiment_id).map(|(id, _)| id.clone());
        let body = json!({
            "experiment_ids": [experiment.unwrap_or_default()],
            "filter": format!("tags.`{MODEL_ID_TAG}` = '{}'", model.model_id),
        });
        let found = self.client.post("/logged-models/search", &body)?;
        let same = self.client.get(&format!("/logged-models/{}", encoded(&model.model_id)), &[]);
        let found = found["models"][0]["info"]["model_id"].as_str().map(str::to_owned);
        let found = found.or_else(|| same.ok().map(|_| model.model_id.clone()));
        if let Some(id) = &found {
            self.models.insert(model.model_id.clone(), id.clone());
        }
        Ok(found.is_some())
    }

    fn fill_run(
        &mut self,
        registry: &Registry,
        outgoing: &OutgoingRun,
        id: &str,
        uri: &str,
    ) -> Result<()> {
        let run = &outgoing.whole.run;
        for model in &outgoing.made {
            self.write_logged_model(registry, model, Some(id))?;
        }
        for params in pairs(&run.params).chunks(ITEMS_PER_BATCH) {
            self.client.post("/runs/log-batch", &json!({"run_id": id, "params": params}))?;
        }
        let inputs = run.flow.datasets.iter().zip(&outgoing.whole.datasets);
        let datasets: Vec<Value> = inputs
            .map(|(input, record)| json!({"tags": pairs(&input.tags), "dataset": record}))
            .collect();
        let models = run.flow.model_inputs.iter().filter_map(|model| self.models.get(model));
        let models: Vec<Value> = models.map(|model_id| json!({"model_id": model_id})).collect();
        if !datasets.is_empty() || !models.is_empty() {
            let mut body = json!({"run_id": id, "datasets": datasets});
            if !models.is_empty() {
                body["models"] = models.into();
            }
            self.client.post("/runs/log-inputs", &body)?;
        }
        let metrics: Vec<Value> =
            outgoing.whole.history.iter().map(|metric| self.metric(metric, outgoing)).collect();
        for metrics in metrics.chunks(METRICS_PER_BATCH) {
            self.client.post("/runs/log-batch", &json!({"run_id": id, "metrics": metrics}))?;
        }
        let outputs = run.flow.model_outputs.iter();
        let outputs = outputs.filter_map(|(model, step)| Some((self.models.get(model)?, step)));
        let outputs: Vec<Value> =
            outputs.map(|(model_id, step)| json!({"model_id": model_id, "step": step})).collect();
        if !outputs.is_empty() {
            self.client.post("/runs/outputs", &json!({"run_id": id, "models": outputs}))?;
        }
        self.upload(registry, uri, &outgoing.whole.artifacts)
    }

    /// One value, with the logged model that it was measured of.
    fn metric(&self, metric: &Metric, outgoing: &OutgoingRun) -> Value {
        let Metric { key, value, step, timestamp_ms } = metric;
        let mut json = json!({
            "key": key, "value": json_number(*value), "step": step, "timestamp": timestamp_ms,
        });
        let measured = outgoing.measured.iter().find(|(_, of_model)| {
            (&of_model.key, of_model.step, of_model.timestamp_ms) == (key, *step, *timestamp_ms)
        });
        if let Some((model, of_model)) = measured
            && let Some(model_id) = self.models.get(*model)
        {
            json["model_id"] = model_id.as_str().into();
            if let Some((name, digest)) = &of_model.dataset {
                json["dataset_name"] = name.as_str().into();
                json["dataset_digest"] = digest.as_str().into();
            }
        }
        json
    }

    fn put_version(
        &mut self,
        registry: &Registry,
        version: &ModelVersion,
        folder: Option<&str>,
        taken: &mut TakenModel,
    ) -> Result<()> {
        let said = version.registration.clone().unwrap_or_default();
        let run_id = self.runs.get(&version.run_id).cloned();
        let model_id = said.model_id.as_ref().and_then(|id| self.models.get(id)).cloned();
        let source = match (&run_id, folder, &model_id) {
            (_, _, Some(model_id)) => format!("models:/{model_id}"),
            (Some(run_id), Some(folder), _) => {
                let answer = self.client.get("/runs/get", &[("run_id", run_id)])?;
                let uri = self.text(&answer["run"]["info"], "artifact_uri")?;
                if folder.is_empty() { uri } else { format!("{uri}/{folder}") }
            }
            (Some(run_id), None, _) if !version.files.is_empty() => {
                let answer = self.client.get("/runs/get", &[("run_id", run_id)])?;
                let uri = self.text(&answer["run"]["info"], "artifact_uri")?;
                let place = format!("{uri}/versions/{}/{}", version.model, version.version);
                self.upload(registry, &place, &version.files)?;
                place
            }
            _ if !said.source.is_empty() && version.files.is_empty() => said.source.clone(),
            _ => {
                let why = "its files have no run there that could hold them".to_owned();
                taken.left.push((version.reference().to_string(), why));
                return Ok(());
            }
        };
        self.fill_gap(version, &source, run_id.as_deref(), taken)?;
        let answer = self.client.post("/model-versions/create", &json!({
            "name": version.model, "source": source, "run_id": run_id, "run_link": said.run_link,
            "description": said.description, "model_id": model_id, "tags": pairs(&version.tags),
        }))?;
        let number = self.text(&answer["model_version"], "version")?;
        if number != version.version.to_string() {
            let why = format!("it is version {number} there");
            taken.left.push((version.reference().to_string(), why));
        }
        taken.versions.push(version.version);
        if version.stage != Stage::None {
            let moved = self.client.post(
                "/model-versions/transition-stage",
                &json!({
                    "name": version.model, "version": number, "stage": version.stage.as_str(),
                    "archive_existing_versions": false,
                }),
            );
            if let Err(error) = moved {
                let what = format!("stage {} of {}", version.stage, version.reference());
                taken.left.push((what, error.chain()));
            }
        }
        Ok(())
    }

    /// Uses up the numbers of versions that are deleted here, so that the others keep theirs.
    fn fill_gap(
        &self,
        version: &ModelVersion,
        source: &str,
        run_id: Option<&str>,
        taken: &TakenModel,
    ) -> Result<()> {
        let last = taken.versions.last().copied().unwrap_or_default();
        let is_first_export = taken.is_new;
        for _ in last + 1..version.version {
            if !is_first_export {
                break;
            }
            let body = json!({"name": version.model, "source": source, "run_id": run_id});
            let answer = self.client.post("/model-versions/create", &body)?;
            let number = self.text(&answer["model_version"], "version")?;
            let body = json!({"name": version.model, "version": number});
            self.client.delete("/model-versions/delete", &body)?;
        }
        Ok(())
    }
}

impl Target for RestTarget {
    fn place(&self) -> &str {
        self.client.url()
    }

    fn put_experiment(&mut self, experiment: &Experiment) -> Result<Put> {
        let mut there = self.named(&experiment.name)?;
        if there.is_none()
            && experiment.experiment_id == "0"
            && experiment.name == DEFAULT_EXPERIMENT
        {
            there = self.named("Default")?;
        }
        if let Some(there) = there {
            let id = self.text(&there, "experiment_id")?;
            let is_deleted = there["lifecycle_stage"] == "deleted";
            self.experiments.insert(experiment.experiment_id.clone(), (id, is_deleted));
            return Ok(Put::Present);
        }
        let answer = self.client.post(
            "/experiments/create",
            &json!({
                "name": experiment.name,
                "artifact_location": experiment.artifact_location,
                "tags": pairs(&experiment.tags),
            }),
        )?;
        let id = self.text(&answer, "experiment_id")?;
        if experiment.deleted {
            self.to_delete.push(id.clone());
        }
        self.experiments.insert(experiment.experiment_id.clone(), (id, false));
        Ok(Put::New)
    }

    fn has_run(&mut self, experiment_id: &str, run_id: &str) -> Result<bool> {
        let same = self.client.get("/runs/get", &[("run_id", run_id)]);
        match same {
            Ok(_) => {
                self.runs.insert(run_id.to_owned(), run_id.to_owned());
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let Some((experiment, _)) = self.experiments.get(experiment_id) else { return Ok(false) };
        let body = json!({
            "experiment_ids": [experiment], "run_view_type": "ALL", "max_results": 100,
            "filter": format!("tags.`{RUN_ID_TAG}` = '{run_id}'"),
        });
        let found = self.client.post("/runs/search", &body)?;
        for run in found["runs"].as_array().into_iter().flatten() {
            let id = self.text(&run["info"], "run_id")?;
            let tags = run["data"]["tags"].as_array();
            let is_incomplete =
                tags.is_some_and(|tags| tags.iter().any(|tag| tag["key"] == INCOMPLETE_TAG));
            if !is_incomplete {
                self.runs.insert(run_id.to_owned(), id);
                return Ok(true);
            }
            if run["info"]["lifecycle_stage"] != "deleted" {
                self.client.post("/runs/delete", &json!({"run_id": id}))?;
            }
        }
        Ok(false)
    }

    fn put_run(&mut self, registry: &Registry, outgoing: &OutgoingRun) -> Result<()> {
        let run = &outgoing.whole.run;
        let mut tags = run.tags.clone();
        tags.insert(RUN_ID_TAG.to_owned(), run.run_id.clone());
        tags.insert(INCOMPLETE_TAG.to_owned(), "true".to_owned());
        tags.insert(RUN_NAME_TAG.to_owned(), run.name.clone());
        let answer = self.client.post(
            "/runs/create",
            &json!({
                "experiment_id": self.live_experiment(&run.experiment_id)?,
                "user_id": run.who(),
                "run_name": run.name,
                "start_time": run.start_ms,
                "tags": pairs(&tags),
            }),
        )?;
        let info = &answer["run"]["info"];
        let id = self.text(info, "run_id")?;
        let uri = info["artifact_uri"].as_str().unwrap_or_default();
        if let Err(error) = self.fill_run(registry, outgoing, &id, uri) {
            // It says that it is incomplete; deleted, nobody takes it for a run.
            let _ = self.client.post("/runs/delete", &json!({"run_id": id}));
            return Err(error);
        }
        let mut body = json!({"run_id": id, "status": run.status.as_str()});
        if let Some(end_ms) = run.end_ms {
            body["end_time"] = end_ms.into();
        }
        self.client.post("/runs/update", &body)?;
        self.client.post("/runs/delete-tag", &json!({"run_id": id, "key": INCOMPLETE_TAG}))?;
        if run.deleted {
            self.client.post("/runs/delete", &json!({"run_id": id}))?;
        }
        self.runs.insert(run.run_id.clone(), id);
        Ok(())
    }

    fn put_logged_model(&mut self, registry: &Registry, model: &OutgoingModel) -> Result<Put> {
        self.write_logged_model(registry, model, None)
    }

    fn put_model(
        &mut self,
        registry: &Registry,
        outgoing: &OutgoingVersions,
    ) -> Result<TakenModel> {
        let whole = &outgoing.whole;
        let name = whole.model.name.as_str();
        let there = match self.client.get("/registered-models/get", &[("name", name)]) {
            Ok(answer) => Some(answer["registered_model"].clone()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut taken = TakenModel { is_new: there.is_none(), ..TakenModel::default() };
        if taken.is_new {
            self.client.post(
                "/registered-models/create",
                &json!({
                    "name": name, "description": whole.model.description,
                    "tags": pairs(&whole.model.tags),
                }),
            )?;
        }
        for model in registry.logged_models()? {
            if whole.versions.iter().any(|version| {
                version.registration.as_ref().and_then(|said| said.model_id.as_ref())
                    == Some(&model.model_id)
            }) {
                self.find_model(&model)?;
            }
        }
        for (version, folder) in whole.versions.iter().zip(&outgoing.folders) {
            let number = version.version.to_string();
            let query = [("name", name), ("version", number.as_str())];
            match self.client.get("/model-versions/get", &query) {
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            self.put_version(registry, version, folder.as_deref(), &mut taken)?;
        }
        let aliases = there.map(|there| there["aliases"].clone()).unwrap_or_default();
        for (alias, number) in &whole.model.aliases {
            let known = aliases.as_array().into_iter().flatten();
            if !known.into_iter().any(|known| known["alias"] == *alias) {
                let body = json!({"name": name, "alias": alias, "version": number.to_string()});
                self.client.post("/registered-models/alias", &body)?;
            }
        }
        Ok(taken)
    }

    fn finish(&mut self) -> Result<()> {
        for id in std::mem::take(&mut self.to_delete) {
            self.client.post("/experiments/delete", &json!({"experiment_id": id}))?;
        }
        Ok(())
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<Value> {
    map.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}
