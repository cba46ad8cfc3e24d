//! A running server as a source: MLflow's own or one of ours, read through its REST API.

use std::{cell::RefCell, collections::BTreeMap, io::Read};

use serde_json::{Value, json};

use super::{
    artifact_place::{encoded, proxy_path},
    rest::RestClient,
    source::{
        ForeignFiles, ForeignFolder, ForeignLoggedModel, ForeignRun, ForeignStore, malformed,
    },
};
use crate::{
    error::{Error, Result},
    registry::{
        DatasetRecord, Experiment, Lineage, LoggedMetric, LoggedModel, Metric, ModelStatus,
        ModelVersion, RegisteredModel, Registration, Run, RunDataset, RunFlow, RunStatus, Stage,
        WholeModel,
    },
};

const PAGE: u64 = 1_000;
const LOGGED_MODEL_PAGE: u64 = 100;
const HISTORY_PAGE: &str = "25000";

/// A server that is read.
pub(super) struct RestStore {
    client: RestClient,
    /// Registered models by name, once they were asked for.
    models: RefCell<Option<BTreeMap<String, WholeModel>>>,
}

impl RestStore {
    /// The server that `client` asks.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when nothing of MLflow's answers.
    pub(super) fn open(client: RestClient) -> Result<Self> {
        client.post("/experiments/search", &json!({"max_results": 1, "view_type": "ALL"}))?;
        Ok(Self { client, models: RefCell::new(None) })
    }

    /// Every item of the list `name` of all pages that `ask` is answered.
    fn pages(
        &self,
        name: &str,
        mut ask: impl FnMut(&RestClient, &str) -> Result<Value>,
    ) -> Result<Vec<Value>> {
        let (mut items, mut token) = (Vec::new(), String::new());
        loop {
            let mut answer = ask(&self.client, &token)?;
            if let Some(Value::Array(page)) = answer.get_mut(name).map(Value::take) {
                items.extend(page);
            }
            match answer["next_page_token"].as_str() {
                // A server that hands out the same token again would be asked forever.
                Some(next) if !next.is_empty() && next != token => next.clone_into(&mut token),
                _ => return Ok(items),
            }
        }
    }

    fn history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        let values = self.pages("metrics", |client, token| {
            let mut query =
                vec![("run_id", run_id), ("metric_key", key), ("max_results", HISTORY_PAGE)];
            if !token.is_empty() {
                query.push(("page_token", token));
            }
            client.get("/metrics/get-history", &query)
        })?;
        let metrics = values.iter().map(|value| {
            Ok(Metric {
                key: key.to_owned(),
                value: float(&value["value"]).ok_or_else(|| self.wrong("a metric has no value"))?,
                step: integer(&value["step"]).unwrap_or_default(),
                timestamp_ms: integer(&value["timestamp"]).unwrap_or_default(),
            })
        });
        metrics.collect()
    }

    fn wrong(&self, found: impl std::fmt::Display) -> Error {
        malformed(self.client.url(), found)
    }

    fn text(&self, object: &Value, key: &str) -> Result<String> {
        let text = object[key].as_str().map(str::to_owned);
        text.or_else(|| object[key].as_i64().map(|number| number.to_string()))
            .ok_or_else(|| self.wrong(format!("an answer has no {key}")))
    }

    fn load_models(&self) -> Result<BTreeMap<String, WholeModel>> {
        let listed = |path: &str, name: &str| {
            let max_results = PAGE.to_string();
            self.pages(name, |client, token| {
                let mut query = vec![("max_results", max_results.as_str())];
                if !token.is_empty() {
                    query.push(("page_token", token));
                }
                client.get(path, &query)
            })
        };
        let mut models = BTreeMap::new();
        for model in listed("/registered-models/search", "registered_models")? {
            let model = self.registered(&model)?;
            let whole = WholeModel { model, versions: Vec::new(), highest: 0 };
            models.insert(whole.model.name.clone(), whole);
        }
        for version in listed("/model-versions/search", "model_versions")? {
            let version = self.version(&version)?;
            if let Some(whole) = models.get_mut(&version.model) {
                whole.highest = whole.highest.max(version.version);
                whole.versions.push(version);
            }
        }
        for whole in models.values_mut() {
            whole.versions.sort_by_key(|version| version.version);
        }
        Ok(models)
    }

    fn registered(&self, model: &Value) -> Result<RegisteredModel> {
        let created_ms = integer(&model["creation_timestamp"]).unwrap_or_default();
        let aliases = list(&model["aliases"]).iter().filter_map(|alias| {
            let number =
                integer(&alias["version"]).and_then(|number| u32::try_from(number).ok())?;
            Some((alias["alias"].as_str()?.to_owned(), number))
        });
        Ok(RegisteredModel {
            name: self.text(model, "name")?,
            description: owned(&model["description"]),
            created_ms,
            updated_ms: integer(&model["last_updated_timestamp"]).unwrap_or(created_ms),
            tags: pairs(&model["tags"]),
            aliases: aliases.collect(),
        })
    }

    fn version(&self, version: &Value) -> Result<ModelVersion> {
        let created_ms = integer(&version["creation_timestamp"]).unwrap_or_default();
        let number = integer(&version["version"]).and_then(|number| u32::try_from(number).ok());
        let stage = version["current_stage"].as_str().unwrap_or_default();
        let source = owned(&version["source"]);
        let of_source = source.strip_prefix("models:/").filter(|id| id.starts_with("m-"));
        let model_id = filled(&version["model_id"]).or(of_source.map(str::to_owned));
        Ok(ModelVersion {
            model: self.text(version, "name")?,
            version: number.ok_or_else(|| self.wrong("a version has no number"))?,
            stage: if stage.is_empty() { Stage::None } else { stage.parse()? },
            run_id: owned(&version["run_id"]),
            created_ms,
            files: Vec::new(),
            lineage: Lineage::default(),
            metrics: BTreeMap::new(),
            tags: pairs(&version["tags"]),
            verdict: None,
            history: Vec::new(),
            registration: Some(Registration {
                source,
                model_id,
                run_link: filled(&version["run_link"]),
                description: owned(&version["description"]),
                user: owned(&version["user_id"]),
                updated_ms: integer(&version["last_updated_timestamp"]).unwrap_or(created_ms),
            }),
        })
    }

    /// The files below `path`, whose folders `list` lists.
    fn walk(
        &self,
        list: &dyn Fn(&str, &str) -> Result<Value>,
        path: &str,
        files: &mut Vec<String>,
    ) -> Result<()> {
        for entry in self.pages("files", |_, token| list(path, token))? {
            let found = self.text(&entry, "path")?;
            // A folder lists what is in it, by whole paths; anything else would lead in circles.
            let is_below = path.is_empty() || found.starts_with(&format!("{path}/"));
            if !is_below || found.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err(self.wrong(format!("{path:?} lists {found:?}")));
            }
            if entry["is_dir"].as_bool() == Some(true) {
                self.walk(list, &found, files)?;
            } else {
                files.push(found);
            }
        }
        Ok(())
    }
}

impl ForeignStore for RestStore {
    fn origin(&self) -> &str {
        self.client.url()
    }

    fn experiments(&self) -> Result<Vec<Experiment>> {
        let found = self.pages("experiments", |client, token| {
            let body = json!({"max_results": PAGE, "view_type": "ALL", "page_token": token});
            client.post("/experiments/search", &body)
        })?;
        let mut experiments = Vec::new();
        for experiment in found {
            let created_ms = integer(&experiment["creation_time"]).unwrap_or_default();
            let location = filled(&experiment["artifact_location"]);
            experiments.push(Experiment {
                experiment_id: self.text(&experiment, "experiment_id")?,
                name: self.text(&experiment, "name")?,
                created_ms,
                updated_ms: integer(&experiment["last_update_time"]).unwrap_or(created_ms),
                deleted: experiment["lifecycle_stage"] == "deleted",
                artifact_location: location.filter(|uri| super::artifact_place::is_remote(uri)),
                tags: pairs(&experiment["tags"]),
            });
        }
        let number = |id: &str| id.parse::<u64>().unwrap_or(u64::MAX);
        experiments.sort_by_key(|experiment| number(&experiment.experiment_id));
        Ok(experiments)
    }

    fn run_ids(&self, experiment_id: &str) -> Result<Vec<String>> {
        let runs = self.pages("runs", |client, token| {
            let body = json!({
                "experiment_ids": [experiment_id], "run_view_type": "ALL", "max_results": PAGE,
                "page_token": token,
            });
            client.post("/runs/search", &body)
        })?;
        runs.iter().rev().map(|run| self.text(&run["info"], "run_id")).collect()
    }

    fn run(&self, experiment_id: &str, run_id: &str) -> Result<ForeignRun> {
        let answer = self.client.get("/runs/get", &[("run_id", run_id)])?;
        let run = &answer["run"];
        let (info, data) = (&run["info"], &run["data"]);
        let mut history = Vec::new();
        for metric in list(&data["metrics"]) {
            history.extend(self.history(run_id, &self.text(metric, "key")?)?);
        }
        let mut flow = RunFlow::default();
        let mut datasets = Vec::new();
        for input in list(&run["inputs"]["dataset_inputs"]) {
            let dataset = &input["dataset"];
            let (name, digest) = (self.text(dataset, "name")?, self.text(dataset, "digest")?);
            let tags = pairs(&input["tags"]);
            flow.datasets.push(RunDataset { name: name.clone(), digest: digest.clone(), tags });
            datasets.push(DatasetRecord {
                name,
                digest,
                source_type: owned(&dataset["source_type"]),
                source: owned(&dataset["source"]),
                schema: filled(&dataset["schema"]),
                profile: filled(&dataset["profile"]),
            });
        }
        for input in list(&run["inputs"]["model_inputs"]) {
            flow.model_inputs.push(self.text(input, "model_id")?);
        }
        for output in list(&run["outputs"]["model_outputs"]) {
            let step = integer(&output["step"]).unwrap_or_default();
            flow.model_outputs.push((self.text(output, "model_id")?, step));
        }
        Ok(ForeignRun {
            run: Run {
                run_id: self.text(info, "run_id")?,
                experiment_id: experiment_id.to_owned(),
                name: owned(&info["run_name"]),
                status: self.text(info, "status")?.parse::<RunStatus>()?,
                start_ms: integer(&info["start_time"]).unwrap_or_default(),
                end_ms: integer(&info["end_time"]),
                deleted: info["lifecycle_stage"] == "deleted",
                params: pairs(&data["params"]),
                metrics: BTreeMap::new(),
                tags: pairs(&data["tags"]),
                user: owned(&info["user_id"]),
                measured_at: Vec::new(),
                flow,
            },
            history,
            datasets,
            artifact_uri: owned(&info["artifact_uri"]),
        })
    }

    fn logged_model_ids(&self, experiment_id: &str) -> Result<Vec<String>> {
        let found = self.pages("models", |client, token| {
            let body = json!({
                "experiment_ids": [experiment_id], "max_results": LOGGED_MODEL_PAGE,
                "page_token": token,
            });
            client.post("/logged-models/search", &body)
        });
        match found {
            Ok(models) => {
                models.iter().map(|model| self.text(&model["info"], "model_id")).collect()
            }
            // MLflow 2.x has none, and answers with a page.
            Err(error) if error.to_string().contains("refused with 404") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn logged_model(&self, experiment_id: &str, model_id: &str) -> Result<ForeignLoggedModel> {
        let answer = self.client.get(&format!("/logged-models/{}", encoded(model_id)), &[])?;
        let (info, data) = (&answer["model"]["info"], &answer["model"]["data"]);
        let mut metrics = Vec::new();
        for metric in list(&data["metrics"]) {
            let mut logged = LoggedMetric {
                key: self.text(metric, "key")?,
                value: float(&metric["value"]).unwrap_or_default(),
                step: integer(&metric["step"]).unwrap_or_default(),
                timestamp_ms: integer(&metric["timestamp"]).unwrap_or_default(),
                run_id: owned(&metric["run_id"]),
                dataset: filled(&metric["dataset_name"]).zip(filled(&metric["dataset_digest"])),
            };
            // MLflow says 0 of a logged model where the run has NaN.
            if logged.value == 0.0 && !logged.run_id.is_empty() {
                let of_run = self.history(&logged.run_id, &logged.key).unwrap_or_default();
                let at = (logged.step, logged.timestamp_ms);
                if of_run.iter().any(|m| (m.step, m.timestamp_ms) == at && m.value.is_nan()) {
                    logged.value = f64::NAN;
                }
            }
            metrics.push(logged);
        }
        let status = match &info["status"] {
            Value::String(status) => status.parse().unwrap_or(ModelStatus::Unspecified),
            status => integer(status)
                .and_then(super::source::model_status_of_number)
                .unwrap_or(ModelStatus::Unspecified),
        };
        let created_ms = integer(&info["creation_timestamp_ms"]).unwrap_or_default();
        Ok(ForeignLoggedModel {
            model: LoggedModel {
                model_id: self.text(info, "model_id")?,
                experiment_id: experiment_id.to_owned(),
                name: owned(&info["name"]),
                created_ms,
                updated_ms: integer(&info["last_updated_timestamp_ms"]).unwrap_or(created_ms),
                status,
                model_type: filled(&info["model_type"]),
                source_run_id: filled(&info["source_run_id"]),
                deleted: false,
                tags: pairs(&info["tags"]),
                params: pairs(&data["params"]),
                metrics,
            },
            artifact_uri: owned(&info["artifact_uri"]),
        })
    }

    fn model_names(&self) -> Result<Vec<String>> {
        let models = self.load_models()?;
        let names = models.keys().cloned().collect();
        *self.models.borrow_mut() = Some(models);
        Ok(names)
    }

    fn model(&self, name: &str) -> Result<WholeModel> {
        let models = self.models.borrow();
        let model = models.as_ref().and_then(|models| models.get(name));
        model.cloned().ok_or_else(|| self.wrong(format!("there is no model {name:?}")))
    }

    fn files(&self, folder: ForeignFolder) -> Result<ForeignFiles> {
        let mut files = Vec::new();
        match folder {
            ForeignFolder::Run { run_id, .. } => {
                let list = |path: &str, token: &str| {
                    let mut query = vec![("run_id", run_id)];
                    query.extend((!path.is_empty()).then_some(("path", path)));
                    query.extend((!token.is_empty()).then_some(("page_token", token)));
                    self.client.get("/artifacts/list", &query)
                };
                self.walk(&list, "", &mut files)?;
            }
            ForeignFolder::Model { model_id, .. } => {
                let at = format!("/logged-models/{}/artifacts/directories", encoded(model_id));
                let list = |path: &str, token: &str| {
                    let mut query = Vec::new();
                    query.extend((!path.is_empty()).then_some(("artifact_directory_path", path)));
                    query.extend((!token.is_empty()).then_some(("page_token", token)));
                    self.client.get(&at, &query)
                };
                self.walk(&list, "", &mut files)?;
            }
            ForeignFolder::Uri(_) => return Ok(ForeignFiles::Elsewhere),
        }
        Ok(ForeignFiles::There(files))
    }

    fn open(&self, folder: ForeignFolder, path: &str) -> Result<Box<dyn Read>> {
        if let Some(root) = proxy_path(folder.uri()) {
            let place = format!("{}/{path}", root.trim_end_matches('/'));
            let url = format!("/api/2.0/mlflow-artifacts/artifacts/{}", encoded(&place));
            return self.client.download(&url, &[]);
        }
        match folder {
            ForeignFolder::Run { run_id, .. } => {
                self.client.download("/get-artifact", &[("run_uuid", run_id), ("path", path)])
            }
            ForeignFolder::Model { model_id, .. } => {
                let model = encoded(model_id);
                let url = format!("/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files");
                self.client.download(&url, &[("artifact_file_path", path)])
            }
            ForeignFolder::Uri(uri) => Err(self.wrong(format!("{uri} is not read from a server"))),
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn owned(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn filled(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A whole number, which some servers write as text.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A number, or one of the words that MLflow writes for what JSON has no number for.
fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => text.parse().ok(),
        },
        _ => None,
    }
}

fn pairs(value: &Value) -> BTreeMap<String, String> {
    let pairs = list(value)
        .iter()
        .filter_map(|pair| Some((pair["key"].as_str()?.to_owned(), owned(&pair["value"]))));
    pairs.collect()
}
